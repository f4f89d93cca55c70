//! The page, and the description of the interface: text that is in the program.

use hyper::header::{self, HeaderValue};

use crate::http::reply::{self, Reply};

/// Nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

pub(crate) fn html() -> Reply {
    let mut reply = reply::text(include_str!("../../page/page.html"), "text/html; charset=utf-8");
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    reply
}

pub(crate) fn css() -> Reply {
    reply::text(include_str!("../../page/page.css"), "text/css; charset=utf-8")
}

pub(crate) fn js() -> Reply {
    reply::text(include_str!("../../page/page.js"), "text/javascript; charset=utf-8")
}

pub(crate) fn openapi() -> Reply {
    reply::text(include_str!("../../openapi.json"), "application/json")
}
