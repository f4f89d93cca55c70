//! What the daemon is told: Wings' own `config.yml`, read as it is, with the blocks `s3` and
//! `wingback` besides. `docs/server.md` lists the keys.

use std::{
    env, fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer, de::Error as _};
use uuid::Uuid;
use wingback::{Credentials, IgnoreFile, Level, NameTemplate, Profile, Rules, S3Store};

use crate::client::Client;

/// The configuration. Keys that are not here are somebody else's, and are passed over.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    pub(crate) token_id: String,
    pub(crate) token: Secret,
    /// The Panel's URL; empty where there is none to be told.
    pub(crate) remote: String,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) api: Api,
    pub(crate) system: System,
    pub(crate) s3: Option<S3>,
    pub(crate) wingback: Wingback,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
pub(crate) struct Api {
    #[serde(deserialize_with = "host")]
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
    pub(crate) ssl: Ssl,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Ssl {
    pub(crate) enabled: bool,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
pub(crate) struct System {
    root_directory: PathBuf,
    data: Option<PathBuf>,
    backup_directory: Option<PathBuf>,
    user: User,
    backups: Backups,
    /// Bytes a second, as documented.
    backup_write_limit: u64,
}

/// Who owns what a restore writes.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct User {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Backups {
    /// MiB a second, as in Wings: without limit where it is less than 1.
    write_limit: i64,
    compression_level: Effort,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Effort {
    None,
    #[default]
    BestSpeed,
    BestCompression,
}

/// What has to be as it was for a file to be unchanged.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Trust {
    #[default]
    Ctime,
    Mtime,
}

/// An S3 service that the daemon has credentials for.
#[derive(Debug, Deserialize)]
pub(crate) struct S3 {
    endpoint: Option<String>,
    region: Option<String>,
    bucket: String,
    #[serde(default)]
    prefix: String,
    path_style: Option<bool>,
    access_key_id: Option<String>,
    secret_access_key: Option<Secret>,
    session_token: Option<Secret>,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
pub(crate) struct Wingback {
    listen: Option<SocketAddr>,
    state_directory: Option<PathBuf>,
    archive_name: ArchiveName,
    #[serde(deserialize_with = "rules")]
    pub(crate) rules: Rules,
    #[serde(deserialize_with = "ignore_mode")]
    pub(crate) ignore_mode: IgnoreFile,
    pub(crate) ignore_file: String,
    #[serde(deserialize_with = "profile")]
    pub(crate) profile: Profile,
    /// 0 is one for each processor.
    pub(crate) threads: usize,
    #[serde(deserialize_with = "at_least_one")]
    pub(crate) slots: usize,
    pub(crate) background: bool,
    /// What has not changed since a server's last local backup is copied from that.
    pub(crate) previous: bool,
    pub(crate) trust: Trust,
    /// The last archives of servers whose backups go elsewhere; 0 is none.
    pub(crate) cache_mib: u64,
    reserve_mib: u64,
    /// How long the Panel may say that it has no such backup before that is believed.
    #[serde(deserialize_with = "seconds")]
    pub(crate) panel_missing_timeout: Duration,
    /// The longest wait between two attempts to tell the Panel.
    #[serde(deserialize_with = "seconds")]
    pub(crate) panel_retry_max: Duration,
    pub(crate) max_body_kib: usize,
    #[serde(deserialize_with = "at_least_one")]
    pub(crate) max_connections: usize,
    #[serde(deserialize_with = "at_least_one")]
    pub(crate) max_queued: usize,
    #[serde(deserialize_with = "seconds")]
    pub(crate) request_timeout: Duration,
    #[serde(deserialize_with = "seconds")]
    pub(crate) stop_timeout: Duration,
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
        // Wings listens everywhere; who wants that says so.
        Api { host: Ipv4Addr::LOCALHOST.into(), port: 8080, ssl: Ssl::default() }
    }
}

impl Default for System {
    fn default() -> Self {
        System {
            root_directory: "/var/lib/pterodactyl".into(),
            data: None,
            backup_directory: None,
            user: User::default(),
            backups: Backups::default(),
            backup_write_limit: 0,
        }
    }
}

impl Default for Wingback {
    fn default() -> Self {
        Wingback {
            listen: None,
            state_directory: None,
            archive_name: ArchiveName::default(),
            rules: Rules::default(),
            ignore_mode: IgnoreFile::default(),
            ignore_file: ".pteroignore".into(),
            profile: Profile::default(),
            threads: 0,
            slots: 2,
            background: false,
            previous: true,
            trust: Trust::default(),
            cache_mib: 0,
            reserve_mib: 256,
            panel_missing_timeout: Duration::from_secs(60),
            panel_retry_max: Duration::from_secs(300),
            max_body_kib: 1024,
            max_connections: 512,
            max_queued: 1000,
            request_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// Reads the file at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut config =
            Config::parse(&text).map_err(|problem| format!("{}: {problem}", path.display()))?;
        config.token = config.token.resolve("token", "WINGS_TOKEN")?;
        config.token_id = Secret(config.token_id).resolve("token_id", "WINGS_TOKEN_ID")?.0;
        config.check().map_err(|problem| format!("{}: {problem}", path.display()))?;
        Ok(config)
    }

    /// What would otherwise be found when a backup is made.
    fn check(&self) -> Result<(), String> {
        if self.token.0.is_empty() {
            return Err("token: there must be one".into());
        }
        if !self.remote.is_empty() {
            Client::new(&self.remote).map_err(|why| format!("remote: {why}"))?;
        }
        let Some(s3) = &self.s3 else { return Ok(()) };
        if s3.bucket.is_empty() {
            return Err("s3.bucket: there must be one".into());
        }
        if s3.access_key_id.is_some() != s3.secret_access_key.is_some() {
            return Err("s3: access_key_id and secret_access_key go together".into());
        }
        if let Some(endpoint) = &s3.endpoint {
            Client::new(endpoint).map_err(|why| format!("s3.endpoint: {why}"))?;
        }
        Ok(())
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut key = String::new();
        let read = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
            serde_path_to_error::deserialize(deserializer).map_err(|e| {
                key = e.path().to_string();
                e.into_inner()
            })
        });
        read.map_err(|e| {
            // Not the line itself, which may hold a secret.
            let problem = e.without_snippet();
            if key.is_empty() || key == "." {
                problem.to_string()
            } else {
                format!("{key}: {problem}")
            }
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.wingback.listen.unwrap_or_else(|| SocketAddr::new(self.api.host, self.api.port))
    }

    /// Where the servers' directories are, each named after its server's UUID.
    pub(crate) fn data(&self) -> PathBuf {
        self.system.below_root(self.system.data.as_ref(), "volumes")
    }

    pub(crate) fn backup_directory(&self) -> PathBuf {
        self.system.below_root(self.system.backup_directory.as_ref(), "backups")
    }

    /// Where the engine keeps the records of restores.
    pub(crate) fn engine_directory(&self) -> PathBuf {
        self.state_directory().join("engine")
    }

    /// Where the daemon keeps its records.
    pub(crate) fn state_directory(&self) -> PathBuf {
        self.system.below_root(self.wingback.state_directory.as_ref(), "wingback")
    }

    pub(crate) fn archive_name(&self) -> &ArchiveName {
        &self.wingback.archive_name
    }

    pub(crate) fn level(&self) -> Level {
        match self.system.backups.compression_level {
            Effort::None => Level::None,
            Effort::BestSpeed => Level::Fast,
            Effort::BestCompression => Level::Best,
        }
    }

    /// Bytes a second, the lower of both spellings; 0 is without limit.
    pub(crate) fn write_limit(&self) -> u64 {
        let mib = self.system.backups.write_limit.max(0).cast_unsigned().saturating_mul(1 << 20);
        let both = [mib, self.system.backup_write_limit];
        both.into_iter().filter(|&limit| limit > 0).min().unwrap_or(0)
    }

    /// Bytes of the file system that stay free.
    pub(crate) fn reserve(&self) -> u64 {
        self.wingback.reserve_mib.saturating_mul(1 << 20)
    }

    pub(crate) fn user(&self) -> User {
        self.system.user
    }
}

impl System {
    fn below_root(&self, path: Option<&PathBuf>, default: &str) -> PathBuf {
        path.cloned().unwrap_or_else(|| self.root_directory.join(default))
    }
}

impl S3 {
    /// The bucket's part for one server: `{prefix}/{server}/`.
    pub(crate) fn store(&self, server: Uuid) -> wingback::Result<S3Store> {
        let credentials = match (&self.access_key_id, &self.secret_access_key) {
            (Some(access), Some(secret)) => Credentials::new(access, &*secret.0),
            _ => Credentials::find()?,
        };
        let credentials = match &self.session_token {
            Some(token) => credentials.session_token(&*token.0),
            None => credentials,
        };
        let prefix = match self.prefix.trim_matches('/') {
            "" => format!("{server}/"),
            prefix => format!("{prefix}/{server}/"),
        };
        let mut store = S3Store::new(&*self.bucket, credentials).prefix(prefix);
        if let Some(in_path) = self.path_style {
            store = store.path_style(in_path);
        }
        if let Some(endpoint) = &self.endpoint {
            store = store.endpoint(endpoint);
        }
        if let Some(region) = &self.region {
            store = store.region(region);
        }
        Ok(store)
    }
}

/// How archives are named: a [`NameTemplate`] in which `{server}` may stand before `{uuid}`.
#[derive(Clone, Debug)]
pub(crate) struct ArchiveName(String);

impl ArchiveName {
    pub(crate) fn of(&self, server: Uuid) -> NameTemplate {
        let named = self.0.replace("{server}", &server.to_string());
        named.parse().expect("it was tried when it was read")
    }
}

impl Default for ArchiveName {
    fn default() -> Self {
        ArchiveName(NameTemplate::default().to_string())
    }
}

impl<'de> Deserialize<'de> for ArchiveName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let one = name.replace("{server}", &Uuid::nil().to_string());
        one.parse::<NameTemplate>().map_err(D::Error::custom)?;
        Ok(ArchiveName(name))
    }
}

/// What must not be seen in a log.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

impl Secret {
    /// The secret itself: that of the environment, if there is one, or, of `file://PATH`, what the
    /// file has.
    fn resolve(self, key: &str, variable: &str) -> Result<Self, String> {
        let given = env::var(variable).unwrap_or_default().trim().to_owned();
        let text = if given.is_empty() { self.0 } else { given };
        let Some(path) = text.strip_prefix("file://") else { return Ok(Secret(text)) };
        let text = fs::read_to_string(path).map_err(|e| format!("{key}: {path}: {e}"))?;
        Ok(Secret(text.trim().to_owned()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// One of the words for an option of the engine's.
fn word<'de, D, T, const N: usize>(deserializer: D, words: [(&str, T); N]) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    let found = words.into_iter().find(|(word, _)| *word == text);
    found
        .map(|(_, value)| value)
        .ok_or_else(|| D::Error::custom(format!("it must be one of {known}")))
}

/// An address, or the name of one.
fn host<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let unknown = |why: String| D::Error::custom(format!("{text:?}: {why}"));
    let found = (&*text, 0).to_socket_addrs().map_err(|e| unknown(e.to_string()))?.next();
    found.map(|found| found.ip()).ok_or_else(|| unknown("it has no address".into()))
}

fn rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rules, D::Error> {
    word(deserializer, [("git", Rules::Git), ("wings", Rules::Wings)])
}

fn ignore_mode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IgnoreFile, D::Error> {
    let modes = [
        ("merge", IgnoreFile::Merge),
        ("replace", IgnoreFile::Replace),
        ("none", IgnoreFile::None),
    ];
    word(deserializer, modes)
}

fn profile<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Profile, D::Error> {
    word(deserializer, [("full", Profile::Full), ("wings", Profile::Wings)])
}

fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match usize::deserialize(deserializer)? {
        0 => Err(D::Error::custom("it must be at least 1")),
        n => Ok(n),
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    match u64::deserialize(deserializer)? {
        0 => Err(D::Error::custom("it must be at least 1 second")),
        n => Ok(Duration::from_secs(n)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINGS: &str = "
debug: false
app_name: Pterodactyl
uuid: 2f9a1f4e-6a3b-4d31-9d0a-0f4f5c3f2b11
token_id: abcdefgh
token: secret
api:
  host: 0.0.0.0
  port: 8080
  ssl: {enabled: true, cert: /etc/cert.pem, key: /etc/key.pem}
  upload_limit: 100
system:
  root_directory: /srv/ptero
  data: /srv/volumes
  user: {uid: 988, gid: 987}
  backups: {write_limit: 2, compression_level: best_compression}
  backup_write_limit: 1000
  sftp: {bind_port: 2022}
allowed_mounts: []
remote: https://panel.example.com
";

    #[test]
    fn wings_own_file_is_read_as_it_is() {
        let config = Config::parse(WINGS).unwrap();
        assert_eq!(config.address(), "0.0.0.0:8080".parse().unwrap());
        assert_eq!(config.data(), Path::new("/srv/volumes"));
        assert_eq!(config.backup_directory(), Path::new("/srv/ptero/backups"));
        assert_eq!(config.state_directory(), Path::new("/srv/ptero/wingback"));
        assert_eq!(config.write_limit(), 1000, "the lower of both");
        assert_eq!(config.level(), Level::Best);
        assert_eq!((config.user().uid, config.user().gid), (Some(988), Some(987)));
        assert!(config.api.ssl.enabled);
        assert_eq!(config.wingback.rules, Rules::Git);
        assert_eq!(config.wingback.ignore_mode, IgnoreFile::Merge);
    }

    #[test]
    fn what_is_not_said_is_on_loopback_and_as_documented() {
        let config = Config::parse("token: x\n").unwrap();
        assert!(config.address().ip().is_loopback());
        assert_eq!(config.backup_directory(), Path::new("/var/lib/pterodactyl/backups"));
        let (server, backup) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let key = config.archive_name().of(server).key(&backup);
        assert_eq!(key.as_str(), format!("backup-{backup}.tar.gz"));
        let text = "wingback: {archive_name: '{server}/{uuid}.tar.gz', listen: '[::1]:9'}";
        let config = Config::parse(text).unwrap();
        let key = config.archive_name().of(server).key(&backup);
        assert_eq!(key.as_str(), format!("{server}/{backup}.tar.gz"));
        assert_eq!(config.address(), "[::1]:9".parse().unwrap());
    }

    #[test]
    fn a_secret_may_stand_in_a_file_and_a_limit_below_one_is_none() {
        let tmp = tempfile::tempdir().unwrap();
        let file = tmp.path().join("secret");
        fs::write(&file, " hidden\n").unwrap();
        let path = tmp.path().join("config.yml");
        let at = format!("file://{}", file.display());
        let text = format!(
            "token: {at}\ntoken_id: {at}\napi: {{host: localhost}}\n\
             system: {{backups: {{write_limit: -1}}}}\n"
        );
        fs::write(&path, text).unwrap();
        let config = Config::read(&path).unwrap();
        assert_eq!((&*config.token.0, &*config.token_id), ("hidden", "hidden"));
        assert!(config.address().ip().is_loopback() && config.write_limit() == 0);
    }

    #[test]
    fn what_could_not_work_is_said_before_anything_starts() {
        for (text, why) in [
            ("remote: https://p.example.com\n", "token: there must be one"),
            ("token: x\nremote: panel.example.com\n", "remote: "),
            ("token: x\ns3: {bucket: ''}\n", "s3.bucket: there must be one"),
            ("token: x\ns3: {bucket: b, access_key_id: a}\n", "go together"),
            ("token: x\ns3: {bucket: b, endpoint: 's3.example.com'}\n", "s3.endpoint: "),
        ] {
            let problem = Config::parse(text).unwrap().check().unwrap_err();
            assert!(problem.contains(why), "{problem}");
        }
        Config::parse("token: x\ns3: {bucket: b}\n").unwrap().check().unwrap();
    }

    #[test]
    fn a_wrong_value_is_an_error_with_its_key_and_line_and_without_a_secret() {
        for (text, key, line) in [
            ("token: x\napi:\n  port: banana\n", "api.port", "line 3"),
            ("api:\n  host: '!'\n", "api.host", "line 2"),
            ("system:\n  backup_write_limit: -1\n", "system.backup_write_limit", "line 2"),
            ("system:\n  backups:\n    compression_level: zip\n", "compression_level", "line 3"),
            ("wingback:\n  rules: perl\n", "wingback.rules", "line 2"),
            ("wingback:\n  slots: 0\n", "wingback.slots", "line 2"),
            ("wingback:\n  archive_name: ../x\n", "wingback.archive_name", "line 2"),
            ("s3:\n  region: x\n", "bucket", "line 2"),
            ("token: [hunter2\n", "token", "line 1"),
            ("token: hunter2\ntoken: hunter2\n", "token", "line 2"),
        ] {
            let problem = Config::parse(text).unwrap_err();
            assert!(problem.contains(key) && problem.contains(line), "{problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
