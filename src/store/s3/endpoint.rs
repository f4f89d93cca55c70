//! The endpoint of a service: the URLs of a bucket and its objects.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

/// The characters that the signature needs encoded. A path keeps its slashes.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const IN_PATH: &AsciiSet = &IN_QUERY.remove(b'/');

/// The endpoint of a service.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    url: Url,
    /// Whether the bucket comes in front of the host, if it can.
    has_bucket_in_host: bool,
}

impl Endpoint {
    /// Parses `https://host` or `http://host:port`. By default the bucket is in front of the hosts of Amazon and
    /// Alibaba, and in the path for all others.
    pub(super) fn parse(text: &str, path_style: Option<bool>) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|e| e.to_string())?;
        let host = url.host_str().ok_or("it has no host")?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("it must have nothing after the host and the port".into());
        }
        if AmazonHost::is_of_amazon(host) && AmazonHost::parse(host).is_none() {
            return Err("this host of Amazon is not one of S3".into());
        }
        let by_default = AmazonHost::parse(host).is_some() || host.ends_with(".aliyuncs.com");
        let has_bucket_in_host = path_style.map_or(by_default, |path_style| !path_style);
        Ok(Endpoint { has_bucket_in_host, url })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the region in the host, if it is one of Amazon.
    pub(super) fn region(&self) -> Option<&str> {
        AmazonHost::parse(self.url.host_str()?)?.region
    }

    /// Returns the URL of an object, or of the bucket.
    pub(super) fn url_of(
        &self,
        region: &str,
        bucket: &str,
        object: Option<&str>,
        query: &[(&str, &str)],
    ) -> Result<Url, String> {
        let host = self.url.host_str().unwrap_or_default();
        let host = AmazonHost::parse(host).map_or(host.to_owned(), |host| host.in_region(region));
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let object =
            object.map(|object| format!("/{}", encoded_object(object))).unwrap_or_default();
        let scheme = self.url.scheme();
        let url = match self.has_bucket_in_host && self.can_be_in_host(bucket) {
            true => format!("{scheme}://{bucket}.{host}{port}{object}"),
            false => format!("{scheme}://{host}{port}/{bucket}{object}"),
        };
        let mut url = Url::parse(&url).map_err(|e| format!("{url}: {e}"))?;
        url.set_query(canonical_query(query).as_deref());
        Ok(url)
    }

    /// Returns whether the name of the bucket is a name in DNS. A certificate for `*.host` does not cover dots.
    fn can_be_in_host(&self, bucket: &str) -> bool {
        let has_tls = self.url.scheme() == "https";
        !bucket.contains(|c: char| c == '_' || c.is_ascii_uppercase() || c == '.' && has_tls)
    }
}

/// Returns the query as signatures need it: encoded and sorted.
pub(super) fn canonical_query(query: &[(&str, &str)]) -> Option<String> {
    let encoded = |text| utf8_percent_encode(text, IN_QUERY).to_string();
    let mut pairs: Vec<_> =
        query.iter().map(|(key, value)| (encoded(key), encoded(value))).collect();
    pairs.sort();
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    (!pairs.is_empty()).then(|| pairs.join("&"))
}

/// Encodes the name of an object for the path of a URL.
pub(super) fn encoded_object(object: &str) -> String {
    utf8_percent_encode(object, IN_PATH).to_string()
}

/// A host of Amazon S3, such as `s3.dualstack.eu-west-3.amazonaws.com` ("Amazon Simple Storage Service endpoints
/// and quotas").
struct AmazonHost<'a> {
    /// `s3`, or a variant such as `s3-accelerate` or `s3-fips`, and what comes before it.
    start: String,
    is_dualstack: bool,
    region: Option<&'a str>,
    /// `amazonaws.com` and what comes before it.
    end: String,
}

/// Returns whether the host, after the name of a bucket, is one of Amazon S3.
pub(super) fn is_amazon_s3(host: &str) -> bool {
    AmazonHost::parse(host).is_some()
}

impl<'a> AmazonHost<'a> {
    fn is_of_amazon(host: &str) -> bool {
        host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
    }

    fn parse(host: &'a str) -> Option<Self> {
        if !AmazonHost::is_of_amazon(host) {
            return None;
        }
        // The last such label, because the name of a bucket in front of the host may have the same form.
        let labels: Vec<_> = host.split('.').collect();
        let is_s3 = |label: &&str| *label == "s3" || label.starts_with("s3-");
        let s3 = labels.iter().rposition(is_s3)?;
        let mut rest = &labels[s3 + 1..];
        let is_dualstack = rest.first() == Some(&"dualstack");
        rest = &rest[usize::from(is_dualstack)..];
        let region = rest.first().copied().filter(|label| is_region(label));
        rest = &rest[usize::from(region.is_some())..];
        let end = rest.join(".");
        let is_end = matches!(
            end.strip_prefix("vpce.").unwrap_or(&end),
            "amazonaws.com" | "amazonaws.com.cn"
        );
        is_end.then(|| AmazonHost { start: labels[..=s3].join("."), is_dualstack, region, end })
    }

    /// Returns the host for another region.
    fn in_region(&self, region: &str) -> String {
        let AmazonHost { start, end, .. } = self;
        let dualstack = if self.is_dualstack { ".dualstack" } else { "" };
        // A variant without a region serves all regions, or has the region in its name.
        match self.region.is_some() || start == "s3" {
            true => format!("{start}{dualstack}.{region}.{end}"),
            false => format!("{start}{dualstack}.{end}"),
        }
    }
}

/// Returns whether the label has the form of a region of Amazon: `eu-west-3`, `us-gov-west-1`.
fn is_region(label: &str) -> bool {
    let parts: Vec<_> = label.split('-').collect();
    let is_word = |part: &&str| part.bytes().all(|b| b.is_ascii_lowercase()) && !part.is_empty();
    let (Some(last), true) = (parts.last(), parts.len() >= 3) else { return false };
    parts[..parts.len() - 1].iter().all(is_word) && last.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use minio::s3::{
        http::BaseUrl,
        multimap_ext::{Multimap, MultimapExt},
        types::{BucketName, ObjectKey, Region},
    };

    use super::*;

    fn url(endpoint: &str, path_style: Option<bool>, bucket: &str, region: &str) -> String {
        let endpoint = Endpoint::parse(endpoint, path_style).expect(endpoint);
        let url = endpoint.url_of(region, bucket, Some("a b/é.tar.gz"), &[]);
        url.expect("a URL").to_string()
    }

    #[test]
    fn the_bucket_is_in_the_host_or_in_the_path() {
        let amazon = "https://s3.us-east-1.amazonaws.com";
        for (endpoint, path_style, bucket, start) in [
            (amazon, None, "bucket", "https://bucket.s3.eu-west-3.amazonaws.com/a%20b/%C3%A9.tar"),
            (amazon, Some(true), "bucket", "https://s3.eu-west-3.amazonaws.com/bucket/a%20b/"),
            (amazon, None, "my.bucket", "https://s3.eu-west-3.amazonaws.com/my.bucket/a%20b/"),
            (amazon, None, "My_Bucket", "https://s3.eu-west-3.amazonaws.com/My_Bucket/a%20b/"),
            ("https://oss.aliyuncs.com", None, "bucket", "https://bucket.oss.aliyuncs.com/a%20b/"),
            ("http://127.0.0.1:9000", None, "bucket", "http://127.0.0.1:9000/bucket/a%20b/"),
            ("http://[::1]:9000/", None, "bucket", "http://[::1]:9000/bucket/a%20b/"),
            ("https://host:443", None, "bucket", "https://host/bucket/a%20b/"),
            ("https://s3.example.com", Some(false), "bucket", "https://bucket.s3.example.com/a"),
            ("http://s3.example.com", Some(false), "my.bucket", "http://my.bucket.s3.example.com/"),
        ] {
            let url = url(endpoint, path_style, bucket, "eu-west-3");
            assert!(url.starts_with(start), "{url}");
        }
    }

    #[test]
    fn hosts_of_amazon_have_the_region() {
        for (host, region, moved) in [
            ("s3.amazonaws.com", None, "s3.eu-west-3.amazonaws.com"),
            ("s3.us-east-1.amazonaws.com", Some("us-east-1"), "s3.eu-west-3.amazonaws.com"),
            (
                "s3.dualstack.us-gov-west-1.amazonaws.com",
                Some("us-gov-west-1"),
                "s3.dualstack.eu-west-3.amazonaws.com",
            ),
            (
                "s3-fips.us-east-2.amazonaws.com",
                Some("us-east-2"),
                "s3-fips.eu-west-3.amazonaws.com",
            ),
            ("s3-accelerate.amazonaws.com", None, "s3-accelerate.amazonaws.com"),
            (
                "s3-accelerate.dualstack.amazonaws.com",
                None,
                "s3-accelerate.dualstack.amazonaws.com",
            ),
            ("s3.cn-north-1.amazonaws.com.cn", Some("cn-north-1"), "s3.eu-west-3.amazonaws.com.cn"),
            (
                "bucket.vpce-1-2.s3.us-east-1.vpce.amazonaws.com",
                Some("us-east-1"),
                "bucket.vpce-1-2.s3.eu-west-3.vpce.amazonaws.com",
            ),
        ] {
            let endpoint = Endpoint::parse(&format!("https://{host}"), Some(true)).expect(host);
            assert_eq!(endpoint.region(), region, "{host}");
            let url = endpoint.url_of("eu-west-3", "bucket", None, &[]).expect(host);
            assert_eq!(url.host_str(), Some(moved));
        }
        let other = Endpoint::parse("https://s3.us-east-1.example.com", None).expect("usable");
        assert_eq!(other.region(), None);
        for host in ["ec2.eu-west-3.amazonaws.com", "s3-a.eu-west-3.elb.amazonaws.com"] {
            Endpoint::parse(&format!("https://{host}"), None).expect_err(host);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_an_error() {
        for bad in
            ["https://", "https://host/path", "https://host?a", "https://host#a", "https://a b"]
        {
            Endpoint::parse(bad, None).expect_err(bad);
        }
        let address = Endpoint::parse("https://127.0.0.1", Some(false)).expect("an endpoint");
        address.url_of("r", "bucket", None, &[]).expect_err("no bucket before an address");
    }

    #[test]
    fn urls_and_queries_are_those_of_the_crate_minio() {
        let objects = ["a", "a b/é.tar.gz", "a+b&c=d?e#f%2f~_-.:@!$'()*,;", "a/b\"c<d>"];
        let queries: [&[(&str, &str)]; 4] = [
            &[],
            &[("uploads", "")],
            &[("uploadId", "a/b=+ ~*"), ("partNumber", "10")],
            &[("prefix", "é/"), ("list-type", "2"), ("continuation-token", "1=/+")],
        ];
        for endpoint in [
            "https://s3.us-east-1.amazonaws.com",
            "http://127.0.0.1:9000",
            "https://s3.example.com",
        ] {
            let theirs: BaseUrl = endpoint.parse().expect(endpoint);
            let ours = Endpoint::parse(endpoint, None).expect(endpoint);
            let bucket = BucketName::new("bucket").expect("a bucket");
            let region = Region::new("us-west-2").expect("a region");
            for (object, query) in objects.iter().flat_map(|o| queries.map(|query| (o, query))) {
                let mut map = Multimap::new();
                query.iter().for_each(|&(key, value)| map.add(key, value));
                let object_key = ObjectKey::new(*object).expect("a key");
                let theirs = theirs
                    .build_url(
                        &reqwest::Method::GET,
                        &region,
                        &map,
                        Some(&bucket),
                        Some(&object_key),
                    )
                    .expect("a URL");
                let ours = ours.url_of("us-west-2", "bucket", Some(object), query).expect("a URL");
                assert_eq!(ours.host_str(), Some(&*theirs.host));
                assert_eq!(ours.path(), theirs.path);
                assert_eq!(
                    ours.query().unwrap_or_default(),
                    theirs.query.get_canonical_query_string()
                );
            }
        }
    }
}
