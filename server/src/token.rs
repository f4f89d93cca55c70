//! Authorization: the node's token, and the JSON Web Tokens that it signs (RFC 7519, HS256).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError, RwLock},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::{config::Secret, timestamp::Timestamp};

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// How many seconds the Panel's clock may be ahead of the daemon's clock.
const LEEWAY: u64 = 60;

/// The tokens of a node. A reload changes them.
#[derive(Debug)]
pub(crate) struct Tokens {
    token: RwLock<Secret>,
    started: Timestamp,
    /// Used download tokens, and when they expire.
    used: Mutex<HashMap<String, u64>>,
}

/// The claims of a token for a WebSocket.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SocketClaims {
    pub(crate) server_uuid: Uuid,
    #[serde(default)]
    pub(crate) permissions: Vec<String>,
    #[serde(flatten)]
    pub(crate) times: Times,
}

/// The claims of a token for one download.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct DownloadClaims {
    pub(crate) server_uuid: Uuid,
    pub(crate) backup_uuid: Uuid,
    unique_id: String,
    /// Path of one file in the archive. Without it, as in tokens for Wings, the whole archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    #[serde(flatten)]
    times: Times,
}

/// The time during which a token is valid, in seconds since 1970.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Times {
    pub(crate) exp: u64,
    #[serde(default)]
    nbf: u64,
    #[serde(default)]
    iat: Option<u64>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

impl SocketClaims {
    pub(crate) fn may(&self, permission: &str) -> bool {
        self.permissions.iter().any(|p| p == permission || p == "*")
    }
}

impl Times {
    fn for_seconds(seconds: u64) -> Self {
        let now = Timestamp::now().seconds();
        Times { exp: now + seconds, nbf: 0, iat: Some(now) }
    }

    fn are_valid_at(&self, now: u64) -> bool {
        now < self.exp && self.nbf <= now + LEEWAY
    }
}

impl Tokens {
    pub(crate) fn new(token: Secret) -> Self {
        Tokens { token: RwLock::new(token), started: Timestamp::now(), used: Mutex::default() }
    }

    pub(crate) fn replace(&self, token: Secret) {
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// Whether `Authorization: Bearer TOKEN` contains the node's token.
    pub(crate) fn is_bearer(&self, header: &[u8]) -> bool {
        let Some((scheme, token)) = header.split_at_checked(7) else { return false };
        scheme.eq_ignore_ascii_case(b"bearer ") && self.is(token)
    }

    /// Compares digests, so that the time does not depend on the token or its length.
    fn is(&self, token: &[u8]) -> bool {
        let mac = |text: &[u8]| self.mac().chain_update(text).finalize().into_bytes();
        // This clone releases the lock, because `mac` locks the token as well.
        let ours = self.token.read().unwrap_or_else(PoisonError::into_inner).clone();
        mac(token).ct_eq(&mac(ours.0.as_bytes())).into()
    }

    pub(crate) fn for_socket(&self, server: Uuid) -> String {
        let permissions = ["websocket.connect", "backup.read"].map(String::from).into();
        let times = Times::for_seconds(600);
        self.sign(&SocketClaims { server_uuid: server, permissions, times })
    }

    pub(crate) fn for_download(&self, server: Uuid, backup: Uuid, file: Option<String>) -> String {
        self.sign(&DownloadClaims {
            server_uuid: server,
            backup_uuid: backup,
            unique_id: Uuid::new_v4().to_string(),
            file,
            times: Times::for_seconds(300),
        })
    }

    pub(crate) fn socket(&self, token: &str) -> Option<SocketClaims> {
        let claims: SocketClaims = self.verify(token)?;
        claims.times.are_valid_at(Timestamp::now().seconds()).then_some(claims)
    }

    /// Returns the claims of a token at its first use, and `None` at any later use. A restart forgets the
    /// used tokens, so tokens from before it are not valid.
    pub(crate) fn download(&self, token: &str) -> Option<DownloadClaims> {
        let claims: DownloadClaims = self.verify(token)?;
        let now = Timestamp::now().seconds();
        let is_older = claims.times.iat.is_some_and(|iat| iat < self.started.seconds());
        if !claims.times.are_valid_at(now) || is_older {
            return None;
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, until| *until > now);
        used.insert(claims.unique_id.clone(), claims.times.exp).is_none().then_some(claims)
    }

    fn sign(&self, claims: &impl Serialize) -> String {
        let claims = serde_json::to_vec(claims).expect("claims serialize to JSON");
        let signed = format!("{}.{}", BASE64.encode(HEADER), BASE64.encode(claims));
        let mac = self.mac().chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", BASE64.encode(mac))
    }

    fn verify<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
        if header.alg != "HS256" {
            return None;
        }
        let signature = BASE64.decode(signature).ok()?;
        self.mac().chain_update(signed).verify_slice(&signature).ok()?;
        serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()
    }

    fn mac(&self) -> Hmac<Sha256> {
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
        Hmac::new_from_slice(token.0.as_bytes()).expect("HMAC accepts a key of any length")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tokens() -> Tokens {
        Tokens::new(Secret("node".into()))
    }

    fn in_seconds(seconds: i64) -> u64 {
        Timestamp::now().seconds().saturating_add_signed(seconds)
    }

    #[test]
    fn only_the_nodes_token_is_accepted_and_a_reload_changes_it() {
        let tokens = tokens();
        assert!(tokens.is_bearer(b"Bearer node") && tokens.is_bearer(b"bearer node"));
        for wrong in ["", "node", "Bearer", "Bearer ", "Bearer nod", "Bearer node2", "Basic node"] {
            assert!(!tokens.is_bearer(wrong.as_bytes()), "{wrong}");
        }
        tokens.replace(Secret("other".into()));
        assert!(!tokens.is_bearer(b"Bearer node") && tokens.is_bearer(b"Bearer other"));
    }

    #[test]
    fn a_download_token_is_valid_once() {
        let (tokens, server, backup) = (tokens(), Uuid::new_v4(), Uuid::new_v4());
        let token = tokens.for_download(server, backup, None);
        let claims = tokens.download(&token).unwrap();
        assert_eq!((claims.server_uuid, claims.backup_uuid), (server, backup));
        assert!(tokens.download(&token).is_none());
        let from_before = json!({ "server_uuid": server, "backup_uuid": backup, "unique_id": "x",
            "exp": in_seconds(100), "iat": in_seconds(-100) });
        assert!(tokens.download(&tokens.sign(&from_before)).is_none());
    }

    #[test]
    fn a_forged_expired_or_early_token_is_not_valid() {
        let (tokens, server) = (tokens(), Uuid::new_v4());
        let good = tokens.for_socket(server);
        assert!(tokens.socket(&good).unwrap().may("backup.read"));
        assert!(Tokens::new(Secret("other".into())).socket(&good).is_none());

        let claims = |exp, nbf| json!({ "server_uuid": server, "exp": exp, "nbf": nbf });
        assert!(tokens.socket(&tokens.sign(&claims(in_seconds(9), in_seconds(30)))).is_some());
        assert!(tokens.socket(&tokens.sign(&claims(in_seconds(-1), 0))).is_none());
        assert!(tokens.socket(&tokens.sign(&claims(in_seconds(900), in_seconds(100)))).is_none());
        assert!(tokens.socket(&tokens.sign(&json!({ "server_uuid": server }))).is_none());

        let [_, claims, mac] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
        for alg in ["none", "HS512", "RS256"] {
            let header = BASE64.encode(json!({ "alg": alg }).to_string());
            assert!(tokens.socket(&format!("{header}.{claims}.{mac}")).is_none());
            assert!(tokens.socket(&format!("{header}.{claims}.")).is_none());
        }
        for text in ["", ".", "..", "a.b.c", &good[1..], &good[..good.len() - 1]] {
            assert!(tokens.socket(text).is_none(), "{text}");
        }
    }
}
