use clap::ValueEnum;
use serde_json::{Value, json};

use super::*;

fn tokens(form: Compatibility) -> Tokens {
    Tokens::new(Secret("node".into()), form)
}

fn in_seconds(seconds: i64) -> u64 {
    Timestamp::now().seconds().saturating_add_signed(seconds)
}

/// The claims of a token of Pterodactyl's Panel for a WebSocket, changed by `change`.
fn claims(server: Uuid, change: Value) -> Value {
    let mut claims = json!({ "server_uuid": server, "user_uuid": "alex", "jti": "alex-1",
        "permissions": ["*"], "iat": in_seconds(0), "nbf": in_seconds(-300), "exp": in_seconds(600) });
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[test]
fn only_the_nodes_token_is_accepted_and_a_reload_changes_it() {
    let tokens = tokens(Compatibility::Documented);
    assert!(tokens.is_bearer(b"Bearer node") && tokens.is_bearer(b"bearer node"));
    for wrong in ["", "node", "Bearer", "Bearer ", "Bearer nod", "Bearer node2", "Basic node"] {
        assert!(!tokens.is_bearer(wrong.as_bytes()), "{wrong}");
    }
    tokens.replace(Secret("other".into()));
    assert!(!tokens.is_bearer(b"Bearer node") && tokens.is_bearer(b"Bearer other"));
}

#[test]
fn a_download_token_is_valid_once() {
    let (tokens, server, backup) =
        (tokens(Compatibility::Documented), Uuid::new_v4(), Uuid::new_v4());
    let token = tokens.for_download(server, backup, None);
    let granted = tokens.download(&token).unwrap();
    assert_eq!((granted.grant.server_uuid, granted.backup_uuid), (server, backup));
    assert_eq!(tokens.download(&token).unwrap_err(), TokenError::Used);
}

#[test]
fn a_forged_expired_or_early_token_is_not_valid() {
    use TokenError::{Denied, Expired, Invalid};
    let (tokens, server) = (tokens(Compatibility::Documented), Uuid::new_v4());
    let good = tokens.for_socket(server);
    assert!(tokens.socket(&good).unwrap().may("backup.read"));
    let other = Tokens::new(Secret("other".into()), Compatibility::Documented);
    assert_eq!(other.socket(&good).unwrap_err(), Invalid);

    for (change, expected) in [
        (json!({}), Ok(())),
        (json!({ "nbf": in_seconds(30) }), Ok(())),
        (json!({ "nbf": in_seconds(100) }), Err(Invalid)),
        (json!({ "exp": in_seconds(-1) }), Err(Expired)),
        (json!({ "exp": null }), Err(Invalid)),
        // From before the start of the daemon, or without a time.
        (json!({ "iat": in_seconds(-100) }), Err(Denied)),
        (json!({ "iat": null }), Err(Denied)),
    ] {
        let token = tokens.sign(&claims(server, change.clone()));
        assert_eq!(tokens.socket(&token).map(drop), expected, "{change}");
    }

    let [_, claims, mac] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    for alg in ["none", "HS512", "RS256"] {
        let header = BASE64.encode(json!({ "alg": alg }).to_string());
        assert!(tokens.socket(&format!("{header}.{claims}.{mac}")).is_err());
        assert!(tokens.socket(&format!("{header}.{claims}.")).is_err());
    }
    for text in ["", ".", "..", "a.b.c", &good[1..], &good[..good.len() - 1]] {
        assert!(tokens.socket(text).is_err(), "{text}");
    }
}

#[test]
fn a_denial_covers_the_tokens_of_its_id_or_user_until_its_time() {
    let [one, other] = [1, 2].map(Uuid::from_u128);
    let id = |id: &str| Denial::Id(id.into());
    let user = |user: &str, server| Denial::User { user: user.into(), server };
    let anonymous = json!({ "user_uuid": null });
    for (denial, change, is_denied) in [
        (id("alex-1"), json!({}), true),
        (id("alex-1"), json!({ "iat": in_seconds(5) }), false),
        (id("alex-1"), json!({ "jti": "kim-1" }), false),
        (id("alex-1"), json!({ "jti": null }), false),
        (user("alex", Some(one)), json!({}), true),
        (user("alex", Some(one)), json!({ "iat": in_seconds(5) }), false),
        (user("alex", Some(one)), json!({ "user_uuid": "kim" }), false),
        (user("alex", Some(one)), anonymous.clone(), true),
        (user("alex", Some(other)), json!({}), false),
        (user("alex", Some(other)), anonymous, false),
        (user("alex", None), json!({}), true),
    ] {
        let tokens = tokens(Compatibility::Pterodactyl);
        let token = tokens.sign(&claims(one, change.clone()));
        let open = tokens.socket(&token).unwrap();
        let operator = tokens.socket(&tokens.for_socket(one)).unwrap();
        let text = format!("{denial:?} {change}");
        tokens.deny(denial);
        let expected = if is_denied { Err(TokenError::Denied) } else { Ok(()) };
        assert_eq!(tokens.socket(&token).map(drop), expected, "{text}");
        assert_eq!(tokens.check_socket(&open), expected, "{text}");
        assert_eq!(tokens.check_socket(&operator), Ok(()), "{text}");
    }
}

#[test]
fn only_pelicans_tokens_need_a_scope_and_a_user() {
    use TokenError::{Denied, WrongScope};
    let server = Uuid::new_v4();
    for (change, for_pelican) in [
        (json!({ "scope": "websocket" }), Ok(())),
        (json!({ "scope": "file-upload websocket" }), Ok(())),
        (json!({ "scope": "websockets" }), Err(WrongScope)),
        (json!({}), Err(WrongScope)),
        (json!({ "scope": "websocket", "user_uuid": null }), Err(Denied)),
    ] {
        for &form in Compatibility::value_variants() {
            let tokens = tokens(form);
            let token = tokens.sign(&claims(server, change.clone()));
            let expected = if form == Compatibility::Pelican { for_pelican } else { Ok(()) };
            assert_eq!(tokens.socket(&token).map(drop), expected, "{form:?} {change}");
        }
    }
    let tokens = tokens(Compatibility::Pelican);
    assert!(tokens.socket(&tokens.for_socket(server)).is_ok());
    assert!(tokens.download(&tokens.for_download(server, Uuid::new_v4(), None)).is_ok());
}
