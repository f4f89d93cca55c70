//! The blocks `hooks` and `server_hooks`: what runs around backups. Only the operator can write them.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use uuid::Uuid;
use wingback_hooks::Hooks;

use super::values;

/// Hooks as they are written. `{server}` in `quiesce` and `rcon_password_file` is the UUID of the server.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HooksBlock {
    #[serde(deserialize_with = "targets")]
    quiesce: Vec<String>,
    rcon_password_file: Option<String>,
    before: Option<String>,
    after_read: Option<String>,
    after: Option<String>,
    #[serde(deserialize_with = "timeout")]
    timeout: Option<Duration>,
}

impl HooksBlock {
    /// Returns the hooks for backups of a server.
    pub(super) fn of(&self, server: Uuid) -> Hooks {
        let targets = self
            .quiesce
            .iter()
            .map(|target| named(target, server).parse().expect("it was checked while it was read"));
        let path = self.rcon_password_file.as_deref();
        let command = |command: &Option<String>| command.as_deref().map(Into::into);
        let defaults = Hooks::default();
        Hooks {
            quiesce: targets.collect(),
            rcon_password_file: path.map(|path| PathBuf::from(named(path, server))),
            before: command(&self.before),
            after_read: command(&self.after_read),
            after: command(&self.after),
            timeout: self.timeout.unwrap_or(defaults.timeout),
        }
    }
}

/// The hooks of single servers.
#[derive(Debug, Default)]
pub(super) struct ServerHooks(BTreeMap<Uuid, HooksBlock>);

impl ServerHooks {
    pub(super) fn get(&self, server: Uuid) -> Option<&HooksBlock> {
        self.0.get(&server)
    }
}

impl<'de> Deserialize<'de> for ServerHooks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Blocks;

        impl<'de> Visitor<'de> for Blocks {
            type Value = ServerHooks;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a block for each UUID of a server")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<ServerHooks, M::Error> {
                let mut blocks = BTreeMap::new();
                while let Some((server, block)) = map.next_entry::<Uuid, HooksBlock>()? {
                    if blocks.insert(server, block).is_some() {
                        return Err(M::Error::custom(format!("{server} has two values")));
                    }
                }
                Ok(ServerHooks(blocks))
            }
        }

        deserializer.deserialize_map(Blocks)
    }
}

/// Returns text with the UUID of a server in it.
fn named(text: &str, server: Uuid) -> String {
    text.replace("{server}", &server.to_string())
}

/// Decodes servers that can be paused.
fn targets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let targets = Vec::<String>::deserialize(deserializer)?;
    for target in &targets {
        let parsed = named(target, Uuid::nil()).parse::<wingback_hooks::Target>();
        parsed.map_err(|why| D::Error::custom(format!("{target:?}: {why}")))?;
    }
    Ok(targets)
}

fn timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    values::seconds(deserializer).map(Some)
}
