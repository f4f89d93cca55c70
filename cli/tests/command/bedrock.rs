//! A fake server of Minecraft Bedrock: commands from a named pipe, answers in a log.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rustix::fs::{CWD, FileType, Mode};

/// How the server answers `save query`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// At the second query, after which a file grows.
    Good,
    /// As `Good`, with a pause in the middle of the list.
    InPieces,
    Nothing,
    /// Lines of another program.
    Garbage,
    /// A line without an end.
    Endless,
    /// The files of another world.
    OtherWorld,
    /// The server exits before the answer.
    Death,
    /// The server exits after the answer.
    LaterDeath,
}

/// A server whose world has the file `db/000003.log`.
pub struct Bedrock {
    pub target: String,
    commands: Arc<Mutex<Vec<String>>>,
}

impl Bedrock {
    /// `dir` is the directory of the server; its pipe and its log are beside it.
    pub fn start(dir: &Path, answer: Answer) -> Bedrock {
        let (fifo, log) = (dir.with_extension("fifo"), dir.with_extension("log"));
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("made");
        fs::write(&log, "[INFO] Server started.\n").expect("written");
        // With a writer of its own, the pipe has no end when a client closes it.
        let pipe = OpenOptions::new().read(true).write(true).open(&fifo).expect("a pipe");
        let commands = Arc::new(Mutex::new(Vec::new()));
        let server = Server {
            world: dir.join("worlds/My, world"),
            log: OpenOptions::new().append(true).open(&log).expect("a log"),
            answer,
            queries: 0,
            commands: commands.clone(),
        };
        thread::spawn(move || server.serve(pipe));
        let target = format!("bedrock-console:{},{}", fifo.display(), log.display());
        Bedrock { target, commands }
    }

    /// The commands so far, without repetitions of `save query`.
    pub fn commands(&self) -> Vec<String> {
        let mut commands = self.commands.lock().expect("no panic").clone();
        commands.dedup();
        commands
    }
}

struct Server {
    world: PathBuf,
    log: File,
    answer: Answer,
    queries: u32,
    commands: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves until it exits, which closes the pipe.
    fn serve(mut self, pipe: File) {
        for command in BufReader::new(pipe).lines() {
            let command = command.expect("a pipe");
            self.commands.lock().expect("no panic").push(command.clone());
            let served = match command.as_str() {
                "save hold" => writeln!(self.log, "[INFO] Saving..."),
                "save query" => self.query(),
                _ => writeln!(self.log, "[INFO] Changes to the world are resumed."),
            };
            if served.is_err() {
                return;
            }
        }
    }

    fn query(&mut self) -> io::Result<()> {
        self.queries += 1;
        if self.queries < 2 {
            return writeln!(self.log, "[INFO] A previous save has not been completed.");
        }
        match self.answer {
            Answer::Nothing => return Ok(()),
            Answer::Garbage => return writeln!(self.log, "\u{7}\0 w/a:1, w/b: 17:x, , :,"),
            Answer::Endless => return self.log.write_all(&[b'x'; 20 << 20]),
            Answer::Death => return Err(io::ErrorKind::Other.into()),
            _ => (),
        }
        let world = if self.answer == Answer::OtherWorld { "Other" } else { "My, world" };
        writeln!(self.log, "[INFO] Data saved. Files are now ready to be copied.")?;
        write!(self.log, "{world}/db/000003.log:7, {world}/le")?;
        if self.answer == Answer::InPieces {
            // Acts as a slow server.
            thread::sleep(Duration::from_millis(500));
        }
        writeln!(self.log, "vel.dat:5")?;
        fs::write(self.world.join("db/000003.log"), "flushed, and written in between")?;
        match self.answer {
            Answer::LaterDeath => Err(io::ErrorKind::Other.into()),
            _ => Ok(()),
        }
    }
}
