//! The Panel withdraws tokens of a user whose access changes. The requests and their answers are Wings'.

use hyper::{Request, StatusCode, body::Incoming};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    api_error::ApiError,
    denials::Denial,
    http::{
        body,
        reply::{self, Reply},
    },
    node::Node,
};

#[derive(Deserialize)]
struct Tokens {
    jtis: Vec<String>,
}

/// Pelican's Panel of 2026 sends the value in a field `json`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Deauthorize {
    Plain(User),
    Wrapped { json: User },
}

#[derive(Deserialize)]
struct User {
    user: String,
    /// Empty for all servers.
    #[serde(default)]
    servers: Vec<Uuid>,
}

/// Withdraws tokens by their IDs.
pub(crate) async fn deny(
    node: &Node,
    server: Uuid,
    request: Request<Incoming>,
) -> Result<Reply, ApiError> {
    node.server(server).await?;
    let Tokens { jtis } = body::json(request, &node.config.wingback).await?;
    for id in jtis {
        node.tokens.deny(Denial::Id(id));
    }
    node.events.check_tokens(Some(server));
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// Withdraws all tokens of a user.
pub(crate) async fn deauthorize(
    node: &Node,
    request: Request<Incoming>,
) -> Result<Reply, ApiError> {
    let (Deauthorize::Plain(user) | Deauthorize::Wrapped { json: user }) =
        body::json(request, &node.config.wingback).await?;
    let User { user, servers } = user;
    let servers = match &*servers {
        [] => vec![None],
        some => some.iter().copied().map(Some).collect(),
    };
    for server in servers {
        node.tokens.deny(Denial::User { user: user.clone(), server });
        node.events.check_tokens(server);
    }
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
