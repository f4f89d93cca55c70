//! The Panel withdraws the tokens of a user whose access to a server changes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    daemon::{TOKEN, jwt, now},
    node::{Node, USER, with_each_fork},
    panel::Fork,
};

/// The words by which the page knows that it must ask the Panel for a new token.
const ASK_AGAIN: &str = "jwt: created too far in past (denylist)";

/// The request of the fork's Panel.
fn withdraw(node: &Node) {
    match node.fork {
        Fork::Pterodactyl => {
            let body = json!({ "jtis": ["of-this-user-and-server"] });
            let path = format!("/api/servers/{}/ws/deny", node.server());
            node.ask("POST", &path, Some(body)).expect(204);
        }
        Fork::Pelican => {
            let body = json!({ "json": { "user": USER, "servers": [node.server()] } });
            node.ask("POST", "/api/deauthorize-user", Some(body)).expect(204);
        }
    }
}

fn is_withdrawn(event: &Value) -> bool {
    event["event"] == "jwt error" && event["args"][0].as_str().unwrap().contains(ASK_AGAIN)
}

#[test]
fn an_open_socket_gets_no_event_until_it_has_a_new_token() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        let other = json!({ "user_uuid": Uuid::new_v4(), "jti": "of-another-user" });
        let (mut page, mut other) = (node.socket(json!({})), node.socket(other));
        withdraw(&node);
        let event = page.next().unwrap();
        assert!(is_withdrawn(&event), "{event}");
        // The same token is refused.
        let claims = node.claims("websocket", json!({ "permissions": ["*"], "iat": now() - 1 }));
        page.auth(&jwt(TOKEN, &claims));
        assert!(is_withdrawn(&page.next().unwrap()));
        let backup = node.made("wings");
        let name = format!("backup completed:{backup}");
        let seen = other.until(&name);
        assert!(seen.iter().all(|event| event["event"] != "jwt error"), "{seen:?}");
        let more = json!({ "permissions": ["*"], "iat": now() + 1 });
        page.auth(&jwt(TOKEN, &node.claims("websocket", more)));
        assert_eq!(page.next().unwrap()["event"], "auth success");
        page.until(&name);
    });
}

#[test]
fn a_socket_without_a_new_token_is_closed() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        let mut page = node.socket(json!({}));
        let began = Instant::now();
        withdraw(&node);
        assert!(is_withdrawn(&page.next().unwrap()));
        assert_eq!(page.next(), None);
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    });
}

#[test]
fn a_user_can_lose_the_access_to_all_servers() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        let mut page = node.socket(json!({}));
        let body = json!({ "user": USER, "servers": [] });
        node.ask("POST", "/api/deauthorize-user", Some(body)).expect(204);
        assert!(is_withdrawn(&page.next().unwrap()));
        node.ask("POST", "/api/deauthorize-user", Some(json!({ "servers": [] }))).expect(400);
        let unknown = format!("/api/servers/{}/ws/deny", Uuid::new_v4());
        node.ask("POST", &unknown, Some(json!({ "jtis": [] }))).expect(404);
    });
}

#[test]
fn the_page_is_asked_for_a_new_token_before_and_after_the_end_of_the_old_one() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        let mut page = node.socket(json!({ "exp": now() + 3 }));
        for name in ["token expiring", "token expired"] {
            assert_eq!(page.next().unwrap()["event"], name);
        }
        let expired = json!({ "permissions": ["*"], "exp": now() - 1 });
        page.auth(&jwt(TOKEN, &node.claims("websocket", expired)));
        let event = page.next().unwrap();
        // By these words, the page asks for a new token.
        assert!(
            event["args"][0].as_str().unwrap().contains("jwt: exp claim is invalid"),
            "{event}"
        );
        page.auth(&jwt(TOKEN, &node.claims("websocket", json!({ "permissions": ["*"] }))));
        assert_eq!(page.next().unwrap()["event"], "auth success");
    });
}
