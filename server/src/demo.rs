//! A demonstration node with one sample server, on loopback. It is removed when the daemon ends.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

const SERVER: Uuid = Uuid::from_u128(0x6d1ab1f0_9d1c_4f0e_8a52_7b3c0de5e4a1);

#[derive(Debug)]
pub(crate) struct Demo {
    pub(crate) config: PathBuf,
    dir: PathBuf,
    token: String,
}

impl Demo {
    pub(crate) fn new() -> Result<Self, String> {
        let dir = std::env::temp_dir().join(format!("wingback-demo-{}", Uuid::new_v4()));
        let (config, token) = (dir.join("config.yml"), Uuid::new_v4().simple().to_string());
        let demo = Demo { config, dir, token };
        demo.fill().map_err(|e| format!("{}: {e}", demo.dir.display()))?;
        Ok(demo)
    }

    fn fill(&self) -> io::Result<()> {
        let server = self.dir.join("volumes").join(SERVER.to_string());
        for dir in ["world/region", "plugins", "logs", "empty"] {
            fs::create_dir_all(server.join(dir))?;
        }
        let write = |path: &str, bytes: &[u8]| fs::write(server.join(path), bytes);
        write(".pteroignore", b"logs/\n*.tmp\n")?;
        write("server.properties", b"motd=A sample server\nmax-players=20\n")?;
        write("logs/latest.log", b"[12:00:00] [Server thread/INFO]: Done\n")?;
        write("plugins/Economy.jar", &noise(2, 3 << 20))?;
        write("world/level.dat", &noise(3, 4096))?;
        for n in 0..8 {
            write(&format!("world/region/r.{n}.0.mca"), &noise(10 + n, 12 << 20))?;
        }
        let config = format!(
            "token: {}\napi: {{port: 0}}\nsystem: {{root_directory: {}}}\n",
            self.token,
            serde_json::json!(self.dir)
        );
        fs::write(&self.config, config)
    }

    /// Prints the addresses and the token on standard output.
    #[allow(clippy::print_stdout, reason = "the user asked for this output")]
    pub(crate) fn greet(&self, url: &str) {
        println!("page:   {url}");
        println!("token:  {}", self.token);
        println!("server: {SERVER}");
        println!("files:  {}", self.files().display());
    }

    fn files(&self) -> PathBuf {
        Path::new(&self.dir).join("volumes").join(SERVER.to_string())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir_all(&self.dir) {
            tracing::warn!("cannot remove {}: {e}", self.dir.display());
        }
    }
}

/// Returns bytes that compress to about one half. The same seed gives the same bytes.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..len).map(|i| if i % 2 == 0 { random.u8(..) } else { random.u8(..2) }).collect()
}
