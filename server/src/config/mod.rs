//! The configuration: Wings' own `config.yml`, where each key means what it means to Wings, and the
//! additional blocks `s3` and `wingback`. `docs/server.md` lists the keys.

mod bucket;
mod compatibility;
mod decode;
mod error;
mod hooks;
mod host;
mod scalar;
mod secret;
mod summary;
#[cfg(test)]
mod tests;
mod values;
#[cfg(test)]
mod wings;
mod yaml;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper::StatusCode;
use serde::Deserialize;
use uuid::Uuid;
use wingback::{Encoder, IgnoreFile, Level, Profile, Rules, Transfer};
use wingback_hooks::Hooks;

use self::{
    bucket::Bucket,
    hooks::{HooksBlock, ServerHooks},
    host::Host,
    yaml::Node,
};
pub(crate) use self::{compatibility::Compatibility, secret::Secret, values::ArchiveName};
use crate::service_url::ServiceUrl;

/// Name of the file beside the configuration that may have the blocks `s3` and `wingback`. Wings removes
/// them when it writes its own file.
const BLOCKS: &str = "wingback.yml";

/// The configuration. All other keys are ignored, because only Wings uses them.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    pub(crate) token_id: String,
    pub(crate) token: Secret,
    /// URL of the Panel; empty if there is no Panel.
    pub(crate) remote: String,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) api: Api,
    pub(crate) system: System,
    pub(crate) s3: Option<Bucket>,
    pub(crate) wingback: Wingback,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
pub(crate) struct Api {
    host: Host,
    port: u16,
    pub(crate) ssl: Ssl,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Ssl {
    pub(crate) enabled: bool,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct System {
    root_directory: Option<PathBuf>,
    data: Option<PathBuf>,
    backup_directory: Option<PathBuf>,
    user: User,
    backups: Backups,
    /// Bytes per second, as documented.
    backup_write_limit: u64,
}

/// Owner of the restored files.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct User {
    #[serde(deserialize_with = "values::id")]
    pub(crate) uid: Option<u32>,
    #[serde(deserialize_with = "values::id")]
    pub(crate) gid: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Backups {
    /// MiB per second, as in Wings. A value below 1 means no limit.
    write_limit: i64,
    /// One of the words of Wings. Wings treats any other word as `best_speed`.
    compression_level: String,
    /// Hosts, addresses and networks that a restore may download from although they are not public.
    restore_host_allowlist: Option<Vec<String>>,
}

/// The attribute that shows whether a file has changed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Trust {
    #[default]
    Ctime,
    Mtime,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
pub(crate) struct Wingback {
    listen: Option<SocketAddr>,
    state_directory: Option<PathBuf>,
    /// The source of the default of the following keys.
    compatibility: Compatibility,
    archive_name: Option<ArchiveName>,
    #[serde(deserialize_with = "values::rules")]
    rules: Option<Rules>,
    #[serde(deserialize_with = "values::ignore_mode")]
    ignore_mode: Option<IgnoreFile>,
    ignore_file: Option<String>,
    tokens: Option<Compatibility>,
    #[serde(deserialize_with = "values::error_status")]
    invalid_adapter_status: Option<StatusCode>,
    #[serde(deserialize_with = "values::error_status")]
    invalid_uuid_status: Option<StatusCode>,
    #[serde(deserialize_with = "values::profile")]
    pub(crate) profile: Profile,
    #[serde(deserialize_with = "values::encoder")]
    pub(crate) encoder: Encoder,
    /// 0 means one thread for each processor.
    pub(crate) threads: usize,
    #[serde(deserialize_with = "values::at_least_one")]
    pub(crate) slots: usize,
    pub(crate) background: bool,
    /// Whether unchanged files are copied from the server's last local backup.
    pub(crate) previous: bool,
    pub(crate) trust: Trust,
    /// Size of the cache of archives that are not stored locally; 0 means no cache.
    pub(crate) cache_mib: u64,
    /// Memory that the parts of all uploads may take together.
    memory_limit_mib: u64,
    reserve_mib: u64,
    /// How long the Panel may answer that it does not know a backup, before this counts as final.
    #[serde(deserialize_with = "values::seconds")]
    pub(crate) panel_missing_timeout: Duration,
    /// Longest pause between two attempts to notify the Panel.
    #[serde(deserialize_with = "values::seconds")]
    pub(crate) panel_retry_max: Duration,
    pub(crate) max_body_kib: usize,
    #[serde(deserialize_with = "values::at_least_one")]
    pub(crate) max_connections: usize,
    #[serde(deserialize_with = "values::at_least_one")]
    pub(crate) max_queued: usize,
    #[serde(deserialize_with = "values::seconds")]
    pub(crate) request_timeout: Duration,
    #[serde(deserialize_with = "values::seconds")]
    pub(crate) stop_timeout: Duration,
    hooks: HooksBlock,
    /// Each block replaces `hooks` for its server.
    server_hooks: ServerHooks,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            token_id: String::new(),
            token: Secret(String::new()),
            remote: String::new(),
            allowed_origins: Vec::new(),
            api: Api::default(),
            system: System::default(),
            s3: None,
            wingback: Wingback::default(),
        }
    }
}

impl Default for Api {
    fn default() -> Self {
        // The default of Wings is every address.
        Api { host: Host::loopback(), port: 8080, ssl: Ssl::default() }
    }
}

impl Default for Wingback {
    fn default() -> Self {
        Wingback {
            listen: None,
            state_directory: None,
            compatibility: Compatibility::default(),
            archive_name: None,
            rules: None,
            ignore_mode: None,
            ignore_file: None,
            tokens: None,
            invalid_adapter_status: None,
            invalid_uuid_status: None,
            profile: Profile::default(),
            encoder: Encoder::default(),
            threads: 0,
            slots: 2,
            background: false,
            previous: true,
            trust: Trust::default(),
            cache_mib: 0,
            memory_limit_mib: 256,
            reserve_mib: 256,
            panel_missing_timeout: Duration::from_secs(60),
            panel_retry_max: Duration::from_secs(300),
            max_body_kib: 1024,
            max_connections: 512,
            max_queued: 1000,
            request_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(60),
            hooks: HooksBlock::default(),
            server_hooks: ServerHooks::default(),
        }
    }
}

impl Config {
    /// Reads and checks the file at `path`. A given `compatibility` has priority over the file's.
    pub(crate) fn read(path: &Path, compatibility: Option<Compatibility>) -> Result<Self, String> {
        let mut config = Config::parse_file(path)?;
        let blocks = path.with_file_name(BLOCKS);
        if blocks.try_exists().map_err(|e| format!("{}: {e}", blocks.display()))? {
            let Config { s3, wingback, .. } = Config::parse_file(&blocks)?;
            (config.s3, config.wingback) = (s3, wingback);
        }
        config.wingback.compatibility = compatibility.unwrap_or(config.wingback.compatibility);
        config.token = config.token.resolve("token", "WINGS_TOKEN")?;
        config.token_id = Secret(config.token_id).resolve("token_id", "WINGS_TOKEN_ID")?.0;
        config.check().map_err(|problem| format!("{}: {problem}", path.display()))?;
        Ok(config)
    }

    /// Finds mistakes that would otherwise appear during a backup.
    fn check(&self) -> Result<(), String> {
        if self.token.0.is_empty() {
            return Err("token: it is missing".into());
        }
        self.token.check().map_err(|why| format!("token: {why}"))?;
        Secret(self.token_id.clone()).check().map_err(|why| format!("token_id: {why}"))?;
        self.address()?;
        for (key, path) in [
            ("root_directory", self.system.root_directory.as_ref()),
            ("data", self.system.data.as_ref()),
            ("backup_directory", self.system.backup_directory.as_ref()),
        ] {
            if path.is_some_and(|path| path.as_os_str().is_empty()) {
                return Err(format!("system.{key}: it must not be empty"));
            }
        }
        if !self.remote.is_empty() {
            ServiceUrl::parse(&self.remote).map_err(|why| format!("remote: {why}"))?;
        }
        let transfer = self.link_transfer().check();
        transfer.map_err(|e| format!("system.backups.restore_host_allowlist: {e}"))?;
        let encoder = self.wingback.encoder.check(self.level());
        encoder.map_err(|why| format!("wingback.encoder: {why}"))?;
        self.s3.as_ref().map_or(Ok(()), Bucket::check).map_err(|why| format!("s3: {why}"))
    }

    fn parse_file(path: &Path) -> Result<Self, String> {
        let fail = |why: String| format!("{}: {why}", path.display());
        let text = fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
        Config::parse(&text).map_err(fail)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let root = Node::parse(text).map_err(|e| e.to_string())?;
        serde_path_to_error::deserialize(&*root).map_err(|e| match &*e.path().to_string() {
            "." => e.inner().to_string(),
            key => format!("{key}: {}", e.inner()),
        })
    }

    /// Returns the address to listen on. `[::]` means every address, IPv4 included.
    pub(crate) fn address(&self) -> Result<SocketAddr, String> {
        match self.wingback.listen {
            Some(address) => Ok(address),
            None => self.api.host.address(self.api.port).map_err(|why| format!("api.host: {why}")),
        }
    }

    /// Returns the directory of the servers' directories, each named after its server's UUID.
    pub(crate) fn data(&self) -> PathBuf {
        self.below_root(self.system.data.as_ref(), "volumes")
    }

    pub(crate) fn backup_directory(&self) -> PathBuf {
        self.below_root(self.system.backup_directory.as_ref(), "backups")
    }

    /// Returns the directory for the records of restores that the engine writes.
    pub(crate) fn engine_directory(&self) -> PathBuf {
        self.state_directory().join("engine")
    }

    /// Returns the directory for the daemon's records.
    pub(crate) fn state_directory(&self) -> PathBuf {
        self.below_root(self.wingback.state_directory.as_ref(), "wingback")
    }

    fn root_directory(&self) -> PathBuf {
        let default = || self.wingback.compatibility.root_directory().to_owned();
        self.system.root_directory.clone().unwrap_or_else(default)
    }

    fn below_root(&self, path: Option<&PathBuf>, default: &str) -> PathBuf {
        path.cloned().unwrap_or_else(|| self.root_directory().join(default))
    }

    /// Returns the name of new archives.
    pub(crate) fn archive_name(&self) -> ArchiveName {
        let default = || self.wingback.compatibility.archive_name();
        self.wingback.archive_name.clone().unwrap_or_else(default)
    }

    pub(crate) fn rules(&self) -> Rules {
        self.wingback.rules.unwrap_or(self.wingback.compatibility.rules())
    }

    pub(crate) fn ignore_mode(&self) -> IgnoreFile {
        self.wingback.ignore_mode.unwrap_or(self.wingback.compatibility.ignore_mode())
    }

    pub(crate) fn ignore_file(&self) -> &str {
        let default = self.wingback.compatibility.ignore_file();
        self.wingback.ignore_file.as_deref().unwrap_or(default)
    }

    /// Returns the program whose tokens are accepted, and whose answers to other tokens are given.
    pub(crate) fn tokens(&self) -> Compatibility {
        self.wingback.tokens.unwrap_or(self.wingback.compatibility)
    }

    pub(crate) fn invalid_adapter_status(&self) -> StatusCode {
        let default = self.wingback.compatibility.invalid_adapter_status();
        self.wingback.invalid_adapter_status.unwrap_or(default)
    }

    pub(crate) fn invalid_uuid_status(&self) -> StatusCode {
        let default = self.wingback.compatibility.invalid_uuid_status();
        self.wingback.invalid_uuid_status.unwrap_or(default)
    }

    /// Returns the settings for the links of restores.
    pub(crate) fn link_transfer(&self) -> Transfer {
        match self.allowed_hosts() {
            Some(except) => Transfer::new().public_only(except),
            None => Transfer::new(),
        }
    }

    /// Returns the hosts without a public address that a link may lead to. `None` if it may lead to all.
    fn allowed_hosts(&self) -> Option<&[String]> {
        let listed = self.system.backups.restore_host_allowlist.as_deref();
        let by_default = || self.wingback.compatibility.links_are_public().then_some(&[][..]);
        listed.or_else(by_default)
    }

    pub(crate) fn level(&self) -> Level {
        match &*self.system.backups.compression_level {
            "none" => Level::None,
            "best_compression" => Level::Best,
            _ => Level::Fast,
        }
    }

    /// Returns the value of `compression_level`, if Wings does not know it.
    pub(crate) fn unknown_level(&self) -> Option<&str> {
        let level = &*self.system.backups.compression_level;
        let is_known = matches!(level, "" | "none" | "best_speed" | "best_compression");
        (!is_known).then_some(level)
    }

    /// Returns the memory for parts of uploads, in bytes.
    pub(crate) fn memory_limit(&self) -> u64 {
        self.wingback.memory_limit_mib.saturating_mul(1 << 20)
    }

    /// Returns the lower of both limits in bytes per second; 0 means no limit.
    pub(crate) fn write_limit(&self) -> u64 {
        let mib = self.system.backups.write_limit.max(0).cast_unsigned().saturating_mul(1 << 20);
        let both = [mib, self.system.backup_write_limit];
        both.into_iter().filter(|&limit| limit > 0).min().unwrap_or(0)
    }

    /// Returns the bytes of the file system that stay free.
    pub(crate) fn reserve(&self) -> u64 {
        self.wingback.reserve_mib.saturating_mul(1 << 20)
    }

    /// Returns what runs around the backups of a server.
    pub(crate) fn hooks(&self, server: Uuid) -> Hooks {
        let own = self.wingback.server_hooks.get(server);
        own.unwrap_or(&self.wingback.hooks).of(server)
    }

    pub(crate) fn user(&self) -> User {
        self.system.user
    }
}
