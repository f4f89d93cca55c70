//! S3 servers, as built by `tests/s3-servers.sh`, and a client for inspection.

use std::{
    collections::BTreeSet,
    env, fs,
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Deref,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::client::{Client, sha256};

const MINIO: &str = "minio-v0.0.0-20260212201848-7aac2a2c5b7c";
const VERSITYGW: &str = "versitygw-v1.8.0";

/// Runs the server until its standard input requests a kill or is closed by the end of the tests. Then
/// it stops the server and removes its folder.
const KEEPER: &str = r#"
dir=$1
shift
"$@" >>"$dir/log" 2>&1 &
server=$!
read -r _ && killed=1 || killed=
kill -9 $server
wait $server
[ "$killed" ] || rm -rf "$dir"
"#;

/// A server on a loopback port with a temporary folder, and a client of it. Dropping it stops the server
/// and removes its folder.
pub struct Server {
    client: Client,
    kind: Kind,
    dir: PathBuf,
    /// `None` while the server is stopped.
    keeper: Option<Child>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Minio,
    Versitygw,
}

impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// The parent of the servers' folders: in memory if there is enough, because MinIO refuses writes if its
/// file system is 99 % full, whatever its size.
fn parent() -> PathBuf {
    let memory = Path::new("/dev/shm");
    match rustix::fs::statvfs(memory) {
        Ok(stat) if stat.f_bavail * stat.f_frsize >= 2 << 30 => memory.to_owned(),
        _ => env::temp_dir(),
    }
}

impl Server {
    /// The default server: versitygw, or the one that `WINGBACK_S3_SERVER` names.
    pub fn new() -> Self {
        match env::var("WINGBACK_S3_SERVER").as_deref() {
            Err(_) | Ok("versitygw") => Server::start(Kind::Versitygw),
            Ok("minio") => Server::start(Kind::Minio),
            Ok(other) => panic!("WINGBACK_S3_SERVER={other}: there are versitygw and minio"),
        }
    }

    /// The default server, shared by all tests of the process. No test may kill it.
    pub fn shared() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Server::new)
    }

    /// The server's error code for an unknown access key.
    pub fn unknown_key_code(&self) -> &'static str {
        if self.is_minio() { "InvalidAccessKeyId" } else { "XAdminUserNotFound" }
    }

    /// Whether the server is MinIO.
    pub fn is_minio(&self) -> bool {
        self.kind == Kind::Minio
    }

    fn start(kind: Kind) -> Self {
        let client = Client {
            address: free_port(),
            access_key: format!("access{:08x}", fastrand::u32(..)),
            secret_key: format!("secret{:032x}", fastrand::u128(..)),
            timeout: Duration::from_secs(60),
        };
        // The keeper removes it.
        let mut folder = tempfile::Builder::new();
        let folder = folder.prefix("wingback-s3-").tempdir_in(parent()).unwrap();
        let dir = folder.keep();
        for name in ["data", "aside", "sidecar"] {
            fs::create_dir(dir.join(name)).unwrap();
        }
        let mut server = Server { client, kind, dir, keeper: None };
        server.restart();
        server
    }

    pub fn address(&self) -> SocketAddr {
        self.client.address
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    pub fn access_key(&self) -> &str {
        &self.client.access_key
    }

    pub fn secret_key(&self) -> &str {
        &self.client.secret_key
    }

    /// A client that uses a proxy.
    pub fn through(&self, address: SocketAddr) -> Client {
        Client { address, ..self.client.clone() }
    }

    /// Kills the server with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            keeper.stdin.take().unwrap().write_all(b"kill\n").unwrap();
            keeper.wait().unwrap();
        }
    }

    /// Starts the server again, with the same port and folder.
    pub fn restart(&mut self) {
        self.spawn();
        let start = Instant::now();
        while !self.answers() {
            assert!(start.elapsed() < Duration::from_secs(120), "no answer: {}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Restarts the server with TLS and returns its self-signed certificate. The client of this file does
    /// not support TLS.
    pub fn restart_with_tls(&mut self) -> PathBuf {
        let (certificate, aside) = (self.dir.join("aside/public.crt"), self.dir.join("aside"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=wingback", "-addext", "subjectAltName=IP:127.0.0.1"])
            // rustls requires this for a server certificate.
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout".as_ref(), aside.join("private.key").as_os_str()])
            .args(["-out".as_ref(), certificate.as_os_str()])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        self.spawn();
        certificate
    }

    fn spawn(&mut self) {
        self.kill();
        let (data, aside) = (self.dir.join("data"), self.dir.join("aside"));
        let address = self.address().to_string();
        let tls = [("--cert", "public.crt"), ("--key", "private.key")].map(|(option, name)| {
            let file = aside.join(name);
            if file.exists() { vec![option.into(), file.into_os_string()] } else { vec![] }
        });
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(&self.dir);
        match self.kind {
            Kind::Minio => keeper
                .arg(binary(MINIO))
                .args(["server", "--address", &address, "--certs-dir"])
                .args([&aside, &data])
                .env("MINIO_ROOT_USER", self.access_key())
                .env("MINIO_ROOT_PASSWORD", self.secret_key())
                .env("MINIO_BROWSER", "off")
                .env("MINIO_UPDATE", "off"),
            // Versitygw stores metadata in extended attributes by default, which some file systems lack.
            Kind::Versitygw => keeper
                .arg(binary(VERSITYGW))
                .args(["--port", &address])
                .args(tls.iter().flatten())
                .args(["posix", "--sidecar"])
                .args([&self.dir.join("sidecar"), &data])
                .env("ROOT_ACCESS_KEY", self.access_key())
                .env("ROOT_SECRET_KEY", self.secret_key()),
        };
        // An interrupt from the terminal must not kill the keeper before its cleanup.
        keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.keeper = Some(keeper.spawn().unwrap());
    }

    /// Checked with its own key, so that no other server on the port is accepted.
    fn answers(&self) -> bool {
        let client = Client { timeout: Duration::from_secs(5), ..self.client.clone() };
        client.request("GET", "", "", &[], &[], b"").is_ok_and(|reply| reply.status == 200)
    }

    /// The server's output.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Key and upload ID of every multipart upload in the bucket that is neither completed nor aborted,
    /// sorted: all that the server lists, and all on its disk. Uploads that it does not list have a hash
    /// instead of the key.
    ///
    /// A list alone is incomplete. Without a prefix, MinIO lists the uploads in its memory: all of the
    /// bucket since its start, in one page, but none from before a restart. With a prefix, it lists only
    /// the uploads of exactly that key, from its disk. Versitygw lists from its disk with any prefix, but
    /// omits uploads whose completion was interrupted by a kill.
    ///
    /// On MinIO's disk, uploads are named by a hash of bucket and key. After a restart, one may belong to
    /// another bucket.
    pub fn unfinished(&self, bucket: &str) -> Vec<(String, String)> {
        let mut before = None;
        loop {
            let on_disk = self.on_disk(bucket);
            let buckets = self.client.buckets();
            let listed = buckets.iter().flat_map(|bucket| self.client.listed_uploads(bucket, ""));
            let listed: BTreeSet<_> = listed.map(|upload| upload.1).collect();
            let mut found = BTreeSet::from_iter(self.client.listed_uploads(bucket, ""));
            found.extend(on_disk.into_iter().filter(|upload| !listed.contains(&upload.1)));
            // Uploads of other tests, and those that the server is just finishing, differ the second time.
            if before.as_ref() == Some(&found) {
                return found.into_iter().collect();
            }
            before = Some(found);
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The upload IDs of one key, from the server's disk. They are complete after a restart as well.
    pub fn unfinished_of(&self, bucket: &str, key: &str) -> Vec<String> {
        let hash = match self.kind {
            Kind::Minio => sha256(format!("{bucket}/{key}").as_bytes()),
            Kind::Versitygw => sha256(key.as_bytes()),
        };
        let on_disk = self.on_disk(bucket).into_iter();
        let mut ids: Vec<_> = on_disk.filter(|one| one.0 == hash).map(|one| one.1).collect();
        ids.sort();
        ids
    }

    /// The uploads that the server lists in a bucket, and those of one key on its disk. For servers that
    /// other tests use at the same time.
    pub fn left_of(&self, bucket: &str, key: &str) -> Vec<String> {
        let look = || {
            let listed = self.client.listed_uploads(bucket, "").into_iter().map(|one| one.1);
            BTreeSet::from_iter(listed.chain(self.unfinished_of(bucket, key)))
        };
        let mut left = look();
        if !left.is_empty() {
            // The server may still be finishing. It gives no sign when it is done, and a longer wait would hide
            // an abort that the engine sends too late.
            thread::sleep(Duration::from_millis(50));
            left = look();
        }
        left.into_iter().collect()
    }

    /// The hash and the ID of every upload in the server's folder; with MinIO, of all buckets.
    fn on_disk(&self, bucket: &str) -> Vec<(String, String)> {
        let data = self.dir.join("data");
        let (uploads, deployment) = match self.kind {
            Kind::Minio => {
                let own = data.join(".minio.sys");
                let format = fs::read_to_string(own.join("format.json")).unwrap();
                let id = format.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap();
                (own.join("multipart"), Some(id.to_owned()))
            }
            Kind::Versitygw => (data.join(bucket).join(".sgwtmp/multipart"), None),
        };
        let id = |name: &str| match &deployment {
            Some(deployment) => BASE64_URL_SAFE_NO_PAD.encode(format!("{deployment}.{name}")),
            // The name of an upload during its completion has more parts than the ID.
            None => name.split('.').next().unwrap().to_owned(),
        };
        let of = |hash: String| {
            let names = names(&uploads.join(&hash));
            names.into_iter().map(|name| (hash.clone(), id(&name))).collect::<Vec<_>>()
        };
        names(&uploads).into_iter().flat_map(of).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match self.keeper.take() {
            Some(mut keeper) => {
                drop(keeper.stdin.take());
                let _ = keeper.wait();
            }
            None => drop(fs::remove_dir_all(&self.dir)),
        }
    }
}

/// The names in a folder. The folder may disappear at any time.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn binary(name: &str) -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| env::home_dir().map(|home| home.join(".cache"))).unwrap();
    let path = cache.join("wingback/bin").join(name);
    assert!(path.is_file(), "{name} is not there, tests/s3-servers.sh builds it");
    path
}

/// A port below the ephemeral range, so that it stays free after a kill.
fn free_port() -> SocketAddr {
    let ports = std::iter::repeat_with(|| fastrand::u16(12_000..32_000));
    let addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    addresses.into_iter().find(|address| TcpListener::bind(address).is_ok()).unwrap()
}
