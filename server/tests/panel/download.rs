//! A download with a token that the Panel signed.

use std::fs;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::{Reply, fetch},
    daemon::{TOKEN, jwt, now},
    node::{Node, USER, with_each_fork},
    panel::Fork,
};

fn get(node: &Node, key: &str, claims: &Value) -> Reply {
    let url = format!("{}/download/backup?token={}", node.daemon.url, jwt(key, claims));
    fetch("GET", &url, &[], b"").unwrap()
}

fn claims(node: &Node, backup: Uuid) -> Value {
    node.claims("backup-download", json!({ "backup_uuid": backup, "exp": now() + 900 }))
}

#[test]
fn a_token_is_valid_for_one_download() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        let backup = node.made("wings");
        let claims = claims(&node, backup);
        let archive = get(&node, TOKEN, &claims).expect(200);
        assert!(archive.body == fs::read(node.archive(backup)).unwrap());
        assert_eq!(archive.headers["content-length"], archive.body.len().to_string());
        let name = format!("attachment; filename=\"{backup}.tar.gz\"");
        assert!(archive.headers["content-disposition"].starts_with(&name));
        get(&node, TOKEN, &claims).expect(404);
    });
}

#[test]
fn other_tokens_are_answered_as_wings_does() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        let backup = node.made("wings");
        let changed = |change: Value| {
            let mut claims = claims(&node, backup);
            for (name, value) in change.as_object().unwrap() {
                claims[name] = value.clone();
            }
            claims
        };
        get(&node, TOKEN, &changed(json!({ "exp": now() - 1 }))).expect(500);
        get(&node, "another key", &changed(json!({}))).expect(500);
        get(&node, TOKEN, &changed(json!({ "backup_uuid": Uuid::new_v4() }))).expect(404);
        get(&node, TOKEN, &changed(json!({ "server_uuid": Uuid::new_v4() }))).expect(404);
        let for_socket = changed(json!({ "scope": "websocket" }));
        let status = if fork == Fork::Pelican { 404 } else { 200 };
        get(&node, TOKEN, &for_socket).expect(status);
    });
}

#[test]
fn a_user_without_access_cannot_use_an_earlier_token() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        let backup = node.made("wings");
        let earlier = claims(&node, backup);
        let body = json!({ "user": USER, "servers": [node.server()] });
        node.ask("POST", "/api/deauthorize-user", Some(body)).expect(204);
        get(&node, TOKEN, &earlier).expect(404);
        let mut later = claims(&node, backup);
        later["iat"] = json!(now() + 1);
        get(&node, TOKEN, &later).expect(200);
    });
}
