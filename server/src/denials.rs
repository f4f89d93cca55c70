//! Tokens that the Panel withdraws before they expire.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use uuid::Uuid;

use crate::claims::Grant;

/// How long a denial is kept, in seconds. A token that is older is not valid, so it needs no denial.
pub(crate) const KEPT: u64 = 24 * 3600;

/// The tokens that the Panel withdraws.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) enum Denial {
    /// Those with this ID (`jti`).
    Id(String),
    /// Those of a user, for one server or for all servers.
    User { user: String, server: Option<Uuid> },
}

/// All denials, each with its time in seconds since 1970. A token that was made later is valid.
#[derive(Debug, Default)]
pub(crate) struct Denials(Mutex<HashMap<Denial, u64>>);

impl Denial {
    fn covers(&self, grant: &Grant) -> bool {
        match self {
            Denial::Id(id) => grant.jti.as_ref() == Some(id),
            Denial::User { user, server } => {
                // A token that names no user may be this user's.
                grant.user_uuid.as_ref().is_none_or(|of| of == user)
                    && server.is_none_or(|server| server == grant.server_uuid)
            }
        }
    }
}

impl Denials {
    pub(crate) fn add(&self, denial: Denial, now: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, at| *at + KEPT >= now);
        all.insert(denial, now);
    }

    /// Whether a token is withdrawn that was made at `iat`.
    pub(crate) fn cover(&self, grant: &Grant, iat: u64) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|(denial, at)| iat <= *at && denial.covers(grant))
    }
}
