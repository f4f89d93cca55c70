//! Authorization: the node's token, and the JSON Web Tokens that it signs (RFC 7519, HS256).

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError, RwLock},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::{
    claims::{self, DownloadClaims, Grant, SocketClaims},
    config::{Compatibility, Secret},
    denials::{self, Denial, Denials},
    timestamp::Timestamp,
};

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// How many seconds the Panel's clock may be ahead of the daemon's clock.
const LEEWAY: u64 = 60;

/// The tokens of a node. A reload changes them.
#[derive(Debug)]
pub(crate) struct Tokens {
    token: RwLock<Secret>,
    /// The program whose Panel signs the tokens.
    form: Compatibility,
    started: Timestamp,
    denials: Denials,
    /// Used download tokens, and when they expire.
    used: Mutex<HashMap<String, u64>>,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// Its signature or its claims are wrong.
    Invalid,
    Expired,
    /// The Panel withdrew it, or it is from before the start of the daemon.
    Denied,
    /// It is for another purpose.
    WrongScope,
    /// It was valid for one request.
    Used,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

impl Tokens {
    pub(crate) fn new(token: Secret, form: Compatibility) -> Self {
        Tokens {
            token: RwLock::new(token),
            form,
            started: Timestamp::now(),
            denials: Denials::default(),
            used: Mutex::default(),
        }
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
        let grant = Grant::for_operator(server, claims::SOCKET, 600);
        self.sign(&SocketClaims { grant, permissions })
    }

    pub(crate) fn for_download(&self, server: Uuid, backup: Uuid, file: Option<String>) -> String {
        self.sign(&DownloadClaims {
            grant: Grant::for_operator(server, claims::DOWNLOAD, 300),
            backup_uuid: backup,
            unique_id: Uuid::new_v4().to_string(),
            file,
        })
    }

    /// Withdraws tokens that were made until now.
    pub(crate) fn deny(&self, denial: Denial) {
        self.denials.add(denial, Timestamp::now().seconds());
    }

    /// Returns the claims of a token for a WebSocket.
    pub(crate) fn socket(&self, token: &str) -> Result<SocketClaims, TokenError> {
        let claims = self.verify(token).ok_or(TokenError::Invalid)?;
        self.check_socket(&claims).map(|()| claims)
    }

    /// Checks the claims of an open WebSocket again: they expire, and the Panel may withdraw them.
    pub(crate) fn check_socket(&self, claims: &SocketClaims) -> Result<(), TokenError> {
        self.check(&claims.grant, claims::SOCKET)
    }

    /// Returns the claims of a token at its first use.
    pub(crate) fn download(&self, token: &str) -> Result<DownloadClaims, TokenError> {
        let claims: DownloadClaims = self.verify(token).ok_or(TokenError::Invalid)?;
        self.check(&claims.grant, claims::DOWNLOAD)?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Timestamp::now().seconds();
        used.retain(|_, until| *until > now);
        let before = used.insert(claims.unique_id.clone(), claims.grant.exp);
        before.map_or(Ok(claims), |_| Err(TokenError::Used))
    }

    fn check(&self, grant: &Grant, scope: &str) -> Result<(), TokenError> {
        let now = Timestamp::now().seconds();
        if grant.exp <= now {
            return Err(TokenError::Expired);
        }
        if grant.nbf > now + LEEWAY {
            return Err(TokenError::Invalid);
        }
        // A restart forgets used and withdrawn tokens, so tokens from before it are not valid.
        let oldest = self.started.seconds().max(now.saturating_sub(denials::KEPT));
        let iat = grant.iat.filter(|&iat| iat >= oldest).ok_or(TokenError::Denied)?;
        if self.denials.cover(grant, iat) {
            return Err(TokenError::Denied);
        }
        if self.form == Compatibility::Pelican {
            grant.user_uuid.as_ref().ok_or(TokenError::Denied)?;
            if !grant.has_scope(scope) {
                return Err(TokenError::WrongScope);
            }
        }
        Ok(())
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

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The Panel's page asks for a new token if it finds the words of `Expired` or `Denied`.
        f.write_str(match self {
            TokenError::Invalid => "jwt: the token is not valid for this server",
            TokenError::Expired => "jwt: exp claim is invalid",
            TokenError::Denied => "jwt: created too far in past (denylist)",
            TokenError::WrongScope => "jwt: the token is for another purpose",
            TokenError::Used => "jwt: the token was used already",
        })
    }
}

#[cfg(test)]
mod tests;
