//! The claims of JSON Web Tokens, in the form of both Panels.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::timestamp::Timestamp;

/// Purposes of tokens, in the claim `scope`.
pub(crate) const SOCKET: &str = "websocket";
pub(crate) const DOWNLOAD: &str = "backup-download";

/// The claims of every token. Times are seconds since 1970.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Grant {
    pub(crate) server_uuid: Uuid,
    #[serde(default)]
    pub(crate) user_uuid: Option<String>,
    /// ID of the token. All tokens of one user for one server have the same.
    #[serde(default)]
    pub(crate) jti: Option<String>,
    /// Purposes, separated by spaces. Only tokens of Pelican's Panel have them.
    #[serde(default)]
    scope: Option<String>,
    pub(crate) exp: u64,
    #[serde(default)]
    pub(crate) nbf: u64,
    #[serde(default)]
    pub(crate) iat: Option<u64>,
}

/// The claims of a token for a WebSocket.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SocketClaims {
    #[serde(flatten)]
    pub(crate) grant: Grant,
    #[serde(default)]
    pub(crate) permissions: Vec<String>,
}

/// The claims of a token for one download.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct DownloadClaims {
    #[serde(flatten)]
    pub(crate) grant: Grant,
    pub(crate) backup_uuid: Uuid,
    pub(crate) unique_id: String,
    /// Path of one file in the archive. Without it, as in tokens for Wings, the whole archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
}

impl Grant {
    /// Creates the claims of a token of the operator, who has the node's token.
    pub(crate) fn for_operator(server: Uuid, scope: &str, seconds: u64) -> Self {
        let now = Timestamp::now().seconds();
        Grant {
            server_uuid: server,
            // No user has this UUID.
            user_uuid: Some(Uuid::nil().to_string()),
            jti: None,
            scope: Some(scope.to_owned()),
            exp: now + seconds,
            nbf: 0,
            iat: Some(now),
        }
    }

    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.scope.iter().flat_map(|scopes| scopes.split(' ')).any(|other| other == scope)
    }
}

impl SocketClaims {
    pub(crate) fn may(&self, permission: &str) -> bool {
        self.permissions.iter().any(|p| p == permission || p == "*")
    }
}
