//! The page and the description of the interface. Both are part of the program.

use hyper::header::{self, HeaderValue};
use serde_json::{Value, json};

use crate::{
    archives,
    http::reply::{self, Reply},
    node::Node,
    record::Adapter,
};

/// Content security policy: nothing from other origins, nothing inline, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// The modules of the page's script. `page.js` imports the others.
const SCRIPTS: [(&str, &str); 11] = [
    ("actions.js", include_str!("../../page/actions.js")),
    ("api.js", include_str!("../../page/api.js")),
    ("backups.js", include_str!("../../page/backups.js")),
    ("card.js", include_str!("../../page/card.js")),
    ("dialogs.js", include_str!("../../page/dialogs.js")),
    ("live.js", include_str!("../../page/live.js")),
    ("messages.js", include_str!("../../page/messages.js")),
    ("page.js", include_str!("../../page/page.js")),
    ("servers.js", include_str!("../../page/servers.js")),
    ("state.js", include_str!("../../page/state.js")),
    ("words.js", include_str!("../../page/words.js")),
];

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

/// Returns the script of this name; `None` if the page has no such script.
pub(crate) fn script(name: &str) -> Option<Reply> {
    let (_, text) = SCRIPTS.iter().find(|(script, _)| *script == name)?;
    Some(reply::text(*text, "text/javascript; charset=utf-8"))
}

pub(crate) fn is_script(name: &str) -> bool {
    SCRIPTS.iter().any(|(script, _)| *script == name)
}

/// Returns the interface of this node, with the adapters that it supports.
pub(crate) fn openapi(node: &Node) -> Reply {
    let text = include_str!("../../openapi.json");
    let mut document: Value = serde_json::from_str(text).expect("the description is JSON");
    let schemas = &mut document["components"]["schemas"];
    if archives::destination(&node.config, Adapter::S3).is_none() {
        schemas["Adapter"]["enum"] = json!([Adapter::Wings]);
    }
    if node.config.s3.is_some() {
        let restore = &mut schemas["RestoreBackup"]["oneOf"][1];
        restore["required"] = json!(["adapter"]);
        let link = &mut restore["properties"]["download_url"];
        *link = json!({ "anyOf": [link, { "const": "" }, { "type": "null" }] });
    }
    reply::json(&document)
}
