//! URLs with signatures: how to show them without the signature, and when they expire.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use reqwest::Url;

use crate::error::{Error, ErrorKind, Result};

/// A URL whose query is secret, because it is the permission to use it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretUrl(Url);

impl SecretUrl {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let invalid = |why: &str| {
            let shown = url.split(['?', '#']).next().unwrap_or_default();
            // Removes the password as well.
            let shown = shown.rsplit_once('@').map_or(shown, |(_, host)| host);
            Error::new(ErrorKind::InvalidInput, "use the URL").at(shown).caused_by(why)
        };
        let parsed = Url::parse(url).map_err(|e| invalid(&e.to_string()))?;
        match parsed.scheme() {
            "http" | "https" if parsed.has_host() => Ok(SecretUrl(parsed)),
            _ => Err(invalid("it is neither http nor https")),
        }
    }

    pub(crate) fn get(&self) -> Url {
        self.0.clone()
    }

    /// Resolves the `Location` header of a response from this URL.
    pub(crate) fn join(&self, location: &str) -> Result<SecretUrl> {
        let to = self.0.join(location).map_err(|e| bad_redirect(self, &e.to_string()))?;
        match to.scheme() {
            "http" | "https" if to.has_host() => Ok(SecretUrl(to)),
            _ => Err(bad_redirect(self, "it redirects to a URL that is neither http nor https")),
        }
    }

    /// Resolves a redirect of a link from `from`. The target must have TLS or the host of the link, so that a
    /// redirect does not remove the protection of TLS.
    pub(crate) fn follow(&self, from: &SecretUrl, location: &str) -> Result<SecretUrl> {
        let to = from.join(location)?;
        if to.0.scheme() == "https" || to.0.host_str() == self.0.host_str() {
            return Ok(to);
        }
        Err(bad_redirect(self, "it redirects to another host without TLS"))
    }

    /// Returns when the signature expires, if the URL has the time (AWS Signature Version 4 and 2).
    fn ends(&self) -> Option<SystemTime> {
        let value = |name: &str| {
            let mut pairs = self.0.query_pairs();
            pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        if let Some(date) = value("X-Amz-Date") {
            let seconds = value("X-Amz-Expires")?.parse().ok()?;
            return amz_date(&date)?.checked_add(Duration::from_secs(seconds));
        }
        let at = value("Expires")?.parse().ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(at))
    }

    /// Returns whether the signature has expired by the clock of this machine.
    pub(crate) fn is_over(&self) -> bool {
        self.ends().is_some_and(|end| end <= SystemTime::now())
    }
}

impl From<Url> for SecretUrl {
    fn from(url: Url) -> Self {
        SecretUrl(url)
    }
}

/// Returns the error of a redirect that is not followed.
pub(crate) fn bad_redirect(from: &SecretUrl, why: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, "follow the URL").at(from.to_string()).caused_by(why)
}

/// Shows neither the query nor a user and password.
impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.0;
        write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
        url.port().map_or(Ok(()), |port| write!(f, ":{port}"))?;
        f.write_str(url.path())
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({self})")
    }
}

/// Parses a time such as `20260131T235959Z`.
fn amz_date(text: &str) -> Option<SystemTime> {
    let date = chrono::NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").ok()?;
    let seconds = u64::try_from(date.and_utc().timestamp()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expiry_is_read_from_the_query() {
        let end = |query: &str| {
            let url = SecretUrl::parse(&format!("https://s3.example/b/k?{query}")).expect("a URL");
            url.ends()
                .map(|end| end.duration_since(SystemTime::UNIX_EPOCH).expect("late").as_secs())
        };
        assert_eq!(end("X-Amz-Date=19700101T000000Z&X-Amz-Expires=5"), Some(5));
        assert_eq!(end("X-Amz-Date=20000229T120000Z&X-Amz-Expires=0"), Some(951_825_600));
        assert_eq!(end("x-amz-date=20260301T000001Z&x-amz-expires=3600"), Some(1_772_326_801));
        assert_eq!(end("Expires=1700000000&Signature=x"), Some(1_700_000_000));
        for unknown in ["", "X-Amz-Date=x&X-Amz-Expires=5", "X-Amz-Date=20260301T000000Z", "a=b"] {
            assert_eq!(end(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_signature_is_never_shown() {
        let secret = "https://user:word@s3.example:9000/b/k%20y?X-Amz-Signature=secret#part";
        let url = SecretUrl::parse(secret).expect("a URL");
        assert_eq!(url.to_string(), "https://s3.example:9000/b/k%20y");
        assert_eq!(format!("{url:?}"), "SecretUrl(https://s3.example:9000/b/k%20y)");
        for bad in ["ftp://user:word@host/x?secret", "https://?secret", "user:word@host?secret"] {
            let error = SecretUrl::parse(bad).expect_err(bad).to_string();
            assert!(!error.contains("secret") && !error.contains("word"), "{error}");
        }
    }
}
