//! The URL of a service, such as the Panel.

use hyper::Uri;

/// The parts of an http or https URL.
#[derive(Clone, Debug)]
pub(crate) struct ServiceUrl {
    pub(crate) is_https: bool,
    /// An IPv6 address has no brackets here.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Beginning of every path, without a slash at its end.
    pub(crate) prefix: String,
}

impl ServiceUrl {
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{url:?}: {why}");
        let uri: Uri = url.parse().map_err(|_| wrong("it is not a URL"))?;
        let host = uri.host().ok_or_else(|| wrong("it has no host"))?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("it must begin with http:// or https://")),
        };
        Ok(ServiceUrl {
            is_https,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(if is_https { 443 } else { 80 }),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The value of the header `Host`.
    pub(crate) fn host_header(&self) -> String {
        match (self.host.contains(':'), self.port) {
            (true, port) => format!("[{}]:{port}", self.host),
            (false, 80 | 443) => self.host.clone(),
            (false, port) => format!("{}:{port}", self.host),
        }
    }
}
