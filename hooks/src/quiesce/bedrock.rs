//! The console of Minecraft Bedrock: commands into its named pipe, answers from its log.
//!
//! After `save hold` the server removes no file of its world. `save query` then prints which files the backup is
//! made of, and the length of each. The files may grow meanwhile. `save resume` ends this.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{fs::OFlags, io::Errno};
use smol::Timer;
use wingback::{Error, ErrorKind};

const IS_READY: &str = "Files are now ready to be copied";

/// "Changes to the world are resumed", or "the level" until version 1.17.
const IS_RESUMED: &str = "are resumed";

/// Pause between two looks at the log.
const LOOK: Duration = Duration::from_millis(100);

/// Time after which `save query` is repeated.
const QUERY_TIME: Duration = Duration::from_secs(1);

/// Time for the answer to `save resume`.
const RESUME_TIME: Duration = Duration::from_secs(10);

/// Most bytes that the log may grow by between two looks. The list of a large world has 1 MiB.
const LOG_MAX: u64 = 16 << 20;

type Lens = Vec<(Vec<u8>, u64)>;

/// Named pipe and log of a server.
#[derive(Clone, Debug)]
pub(crate) struct Console {
    fifo: PathBuf,
    log: PathBuf,
}

impl Console {
    pub(crate) fn new(fifo: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Console { fifo: fifo.into(), log: log.into() }
    }

    pub(crate) async fn pause(&self, source: &Path, begun: impl FnOnce()) -> Result<Lens, Error> {
        let mut log = self.follow()?;
        let mut pipe = self.open()?;
        begun();
        let listed = async {
            send(&mut pipe, "save hold")?;
            let mut is_ready = false;
            loop {
                send(&mut pipe, "save query")?;
                let asked = Instant::now();
                while asked.elapsed() < QUERY_TIME {
                    for line in log.lines()? {
                        is_ready |= line.contains(IS_READY);
                        let list = line.split_once(IS_READY).map_or(&*line, |(_, rest)| rest);
                        if let (true, Some(files)) = (is_ready, parse(list)) {
                            return Ok(files);
                        }
                    }
                    Timer::after(LOOK).await;
                }
            }
        };
        let files = listed.await.map_err(|e| self.failed(e))?;
        beneath(source, files)
    }

    pub(crate) async fn resume(&self) -> Result<(), Error> {
        let mut log = self.follow()?;
        let mut pipe = self.open()?;
        let resumed = async {
            send(&mut pipe, "save resume")?;
            let asked = Instant::now();
            while asked.elapsed() < RESUME_TIME {
                if log.lines()?.iter().any(|line| line.contains(IS_RESUMED)) {
                    return Ok(());
                }
                Timer::after(LOOK).await;
            }
            let why = format!("no answer to save resume within {} s", RESUME_TIME.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, why))
        };
        resumed.await.map_err(|e| self.failed(e))
    }

    pub(crate) fn error(&self, why: String) -> Error {
        self.failed(io::Error::other(why))
    }

    fn failed(&self, cause: io::Error) -> Error {
        Error::io("control the saves by", cause).at(&self.fifo)
    }

    fn follow(&self) -> Result<Log<'_>, Error> {
        Log::at_end(&self.log).map_err(|e| Error::io("read the log", e).at(&self.log))
    }

    fn open(&self) -> Result<File, Error> {
        // Without this flag, the call waits for a reader.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let opened = OpenOptions::new().write(true).custom_flags(flags).open(&self.fifo);
        let why = match &opened {
            Ok(pipe) if pipe.metadata().is_ok_and(|meta| meta.file_type().is_fifo()) => None,
            Ok(_) => Some("it is not a named pipe"),
            Err(e) if e.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
                Some("no server reads from it")
            }
            Err(_) => None,
        };
        match why {
            Some(why) => Err(self.error(why.to_owned())),
            None => opened.map_err(|e| self.failed(e)),
        }
    }
}

fn send(pipe: &mut File, command: &str) -> io::Result<()> {
    // A line this short is written at once or not at all.
    pipe.write_all(format!("{command}\n").as_bytes())
}

/// The end of a log that grows, and may be replaced.
struct Log<'a> {
    path: &'a Path,
    read: u64,
    /// The beginning of a line.
    rest: Vec<u8>,
}

impl<'a> Log<'a> {
    fn at_end(path: &'a Path) -> io::Result<Self> {
        let meta = path.metadata()?;
        if !meta.is_file() {
            // The open of a named pipe could wait without an end.
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok(Log { path, read: meta.len(), rest: Vec::new() })
    }

    /// Returns the lines that are complete since the last call.
    fn lines(&mut self) -> io::Result<Vec<String>> {
        let mut file = match File::open(self.path) {
            // It is being replaced.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        let len = file.metadata()?.len();
        if len < self.read {
            (self.read, self.rest) = (0, Vec::new());
        }
        if len - self.read + self.rest.len() as u64 > LOG_MAX {
            return Err(io::Error::other(format!("{} grows too fast", self.path.display())));
        }
        file.seek(SeekFrom::Start(self.read))?;
        self.read += file.take(LOG_MAX).read_to_end(&mut self.rest)? as u64;
        let complete = self.rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<_> = self.rest.drain(..complete).collect();
        Ok(String::from_utf8_lossy(&lines).lines().map(str::to_owned).collect())
    }
}

/// Parses `world/db/CURRENT:16, world/level.dat:2209`. Returns `None` for any other line. Names may have commas and
/// colons.
fn parse(line: &str) -> Option<Lens> {
    let line = match line.trim_start().strip_prefix('[').and_then(|line| line.split_once("] ")) {
        Some((_, line)) => line,
        None => line,
    };
    let (mut files, mut start) = (Vec::new(), 0);
    let line = line.trim();
    let ends = line.match_indices(", ").map(|(at, _)| at).chain([line.len()]);
    for end in ends {
        let file = line[start..end].rsplit_once(':');
        if let Some((path, Ok(len))) = file.map(|(path, len)| (path, len.parse())) {
            files.push((path.as_bytes().to_vec(), len));
            start = end + 2;
        }
    }
    (start == line.len() + 2).then_some(files)
}

/// Makes the paths relative to `source`. The server prints them relative to its directory `worlds`. The source may be
/// the directory of the server, `worlds`, or one world.
fn beneath(source: &Path, files: Lens) -> Result<Lens, Error> {
    let is_there = |path: &[u8]| source.join(OsStr::from_bytes(path)).is_file();
    let place = |path: &[u8], how: usize| match how {
        0 => [b"worlds/", path].concat(),
        1 => path.to_vec(),
        _ => path.splitn(2, |&byte| byte == b'/').last().unwrap_or_default().to_vec(),
    };
    let Some((first, _)) = files.first() else { return Ok(files) };
    let how = (0..3).find(|&how| is_there(&place(first, how))).ok_or_else(|| {
        let why = format!(
            "the server listed {}, and this directory does not have it",
            String::from_utf8_lossy(first)
        );
        Error::new(ErrorKind::InvalidInput, "find the world in").at(source).caused_by(why)
    })?;
    Ok(files.into_iter().map(|(path, len)| (place(&path, how), len)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_files_has_paths_and_lengths() {
        let parsed = |line| {
            let files = parse(line)?;
            let text =
                |(path, len): &(Vec<u8>, u64)| format!("{}={len}", String::from_utf8_lossy(path));
            Some(files.iter().map(text).collect::<Vec<_>>())
        };
        let list = |files: &[&str]| Some(files.iter().map(|&file| file.to_owned()).collect());
        assert_eq!(
            parsed("w/db/CURRENT:16, w/level.dat:2209"),
            list(&["w/db/CURRENT=16", "w/level.dat=2209"])
        );
        assert_eq!(parsed("[2026-01-02 03:04:05:678 INFO] w/a:1"), list(&["w/a=1"]));
        assert_eq!(
            parsed("My, own: world/a:1, My, own: world/b:0"),
            list(&["My, own: world/a=1", "My, own: world/b=0"])
        );
        for line in ["", "w/a", "w/a:1, w/b", "[x INFO] Player connected: Al, xuid: 253", "w/a:-1"]
        {
            assert_eq!(parsed(line), None, "{line}");
        }
    }

    #[test]
    fn a_log_is_followed_across_a_rotation() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        std::fs::write(&path, "old\nhalf").expect("written");
        let mut log = Log::at_end(&path).expect("a log");
        std::fs::write(&path, "old\nhalf a line\nnew").expect("written");
        assert_eq!(log.lines().expect("read"), [" a line"]);
        std::fs::remove_file(&path).expect("removed");
        assert!(log.lines().expect("read").is_empty());
        std::fs::write(&path, "again\n").expect("written");
        assert_eq!(log.lines().expect("read"), ["again"]);
        assert!(Log::at_end(dir.path()).is_err());
    }
}
