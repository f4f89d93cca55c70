//! Game servers that do not save while their files are read.

mod bedrock;
pub(crate) mod rcon;

use std::{path::Path, str::FromStr, time::Duration};

use smol::Timer;
use wingback::Error;

use self::{
    bedrock::Console,
    rcon::{Password, Rcon},
};

/// Pauses between attempts to let a server save again. A server that has exited needs no more of them.
const RETRY: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// A server that can be paused, as the operator names it: `rcon://HOST:PORT`, or `bedrock-console:FIFO,LOG`.
#[derive(Clone, Debug)]
pub struct Target(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// Host and port of Minecraft Java's RCON.
    Rcon(String),
    /// The console of Minecraft Bedrock.
    Bedrock(Console),
}

impl Target {
    pub(crate) fn needs_password(&self) -> bool {
        matches!(self.0, Kind::Rcon(_))
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(address) = text.strip_prefix("rcon://") {
            return Ok(Target(Kind::Rcon(rcon::address(address)?)));
        }
        let console = text.strip_prefix("bedrock-console:").and_then(|paths| paths.split_once(','));
        match console {
            Some((fifo, log)) if !fifo.is_empty() && !log.is_empty() => {
                Ok(Target(Kind::Bedrock(Console::new(fifo, log))))
            }
            _ => Err("it must be rcon://HOST:PORT or bedrock-console:FIFO,LOG".to_owned()),
        }
    }
}

/// A server that can be paused.
#[derive(Clone)]
pub(crate) enum Quiesce {
    Rcon(Rcon),
    Bedrock(Console),
}

impl Quiesce {
    /// `password` is needed if the target [says so](Target::needs_password).
    pub(crate) fn new(target: Target, password: Option<Password>) -> Self {
        match target.0 {
            Kind::Rcon(address) => {
                Quiesce::Rcon(Rcon { address, password: password.unwrap_or_default() })
            }
            Kind::Bedrock(console) => Quiesce::Bedrock(console),
        }
    }

    /// Pauses the saves of the server, and resolves after it has written everything. Calls `begun` right before the
    /// command after which [`resume`](Quiesce::resume) is necessary.
    ///
    /// Returns the lengths at which files beneath `source` are to be cut.
    pub(crate) async fn pause(
        &self,
        source: &Path,
        begun: impl FnOnce(),
    ) -> Result<Vec<(Vec<u8>, u64)>, Error> {
        match self {
            Quiesce::Rcon(rcon) => rcon.pause(begun).await.map(|()| Vec::new()),
            Quiesce::Bedrock(console) => console.pause(source, begun).await,
        }
    }

    /// Lets the server save again. Tries several times.
    pub(crate) async fn resume(&self) -> Result<(), Error> {
        let mut pauses = RETRY.iter();
        loop {
            let resumed = match self {
                Quiesce::Rcon(rcon) => rcon.resume().await,
                Quiesce::Bedrock(console) => console.resume().await,
            };
            match (resumed, pauses.next()) {
                (Err(_), Some(&pause)) => Timer::after(pause).await,
                (resumed, _) => return resumed,
            };
        }
    }

    /// Returns an error about this server.
    pub(crate) fn error(&self, why: String) -> Error {
        match self {
            Quiesce::Rcon(rcon) => rcon.error(why),
            Quiesce::Bedrock(console) => console.error(why),
        }
    }
}
