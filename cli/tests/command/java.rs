//! A fake server of Minecraft Java: RCON, and a world that it writes.

use std::{
    fs,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

pub const PASSWORD: &str = "hunter2";

/// The answer to `save-all flush`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Good,
    /// After a while, as for a large world.
    Late,
    /// In packets of a few bytes.
    InPieces,
    /// The command does not exist.
    Unknown,
    Nothing,
    /// One byte after another, for over a minute.
    Trickle,
    /// Packets without an end.
    Endless,
    /// A packet of 2 GiB.
    Huge,
    /// Another protocol.
    Garbage,
    /// The server exits before the answer.
    Death,
    /// The server exits after the answer.
    LaterDeath,
}

/// A server whose world is the file `level.dat`.
pub struct Java {
    pub target: String,
    commands: Arc<Mutex<Vec<String>>>,
}

impl Java {
    pub fn start(world: PathBuf, answer: Answer) -> Java {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let target = format!("rcon://{}", listener.local_addr().expect("an address"));
        let commands = Arc::new(Mutex::new(Vec::new()));
        let server = Server { level: world.join("level.dat"), answer, commands: commands.clone() };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Err(e) = server.serve(stream)
                    && e.kind() == io::ErrorKind::ConnectionAborted
                {
                    // Closes the port.
                    return;
                }
            }
        });
        Java { target, commands }
    }

    /// The commands so far.
    pub fn commands(&self) -> Vec<String> {
        self.commands.lock().expect("no panic").clone()
    }
}

struct Server {
    level: PathBuf,
    answer: Answer,
    commands: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves a connection to its end. The error `ConnectionAborted` means that the server exits.
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut is_known = false;
        loop {
            let (number, kind, text) = receive(&mut stream)?;
            match (kind, text.as_str()) {
                (3, PASSWORD) => {
                    is_known = true;
                    stream.write_all(&packet(number, 2, b""))?;
                }
                (2, command) if is_known => {
                    self.commands.lock().expect("no panic").push(command.to_owned());
                    self.run(command, number, &mut stream)?;
                }
                _ => stream.write_all(&packet(-1, 2, b""))?,
            }
        }
    }

    fn run(&self, command: &str, number: i32, stream: &mut TcpStream) -> io::Result<()> {
        let mut answer = |text: &[u8]| stream.write_all(&packet(number, 0, text));
        match command {
            "save-off" => answer(b"Automatic saving is now disabled"),
            "save-on" => {
                // Now it may write again.
                fs::write(&self.level, "new")?;
                answer(b"Automatic saving is now enabled")
            }
            _ => self.flush(number, stream),
        }
    }

    fn flush(&self, number: i32, stream: &mut TcpStream) -> io::Result<()> {
        let saved = b"Saving the game (this may take a moment!)Saved the game";
        let good = packet(number, 0, saved);
        let endless = packet(number, 0, &[b'x'; 4096]);
        // Each pause acts as a slow server.
        match self.answer {
            Answer::Good | Answer::LaterDeath => (),
            Answer::Late => thread::sleep(Duration::from_millis(1500)),
            Answer::InPieces => {
                fs::write(&self.level, "flushed")?;
                for piece in good.chunks(3) {
                    thread::sleep(Duration::from_millis(10));
                    stream.write_all(piece)?;
                }
                return Ok(());
            }
            Answer::Unknown => return stream.write_all(&packet(number, 0, b"Unknown command")),
            Answer::Nothing => return Ok(()),
            Answer::Trickle => {
                for byte in packet(number, 0, &[b'x'; 4000]) {
                    thread::sleep(Duration::from_millis(20));
                    stream.write_all(&[byte])?;
                }
                return Ok(());
            }
            Answer::Endless => loop {
                stream.write_all(&endless)?;
            },
            Answer::Huge => return stream.write_all(&[0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0]),
            Answer::Garbage => return stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            Answer::Death => return Err(io::ErrorKind::ConnectionAborted.into()),
        }
        fs::write(&self.level, "flushed")?;
        stream.write_all(&good)?;
        match self.answer {
            Answer::LaterDeath => Err(io::ErrorKind::ConnectionAborted.into()),
            _ => Ok(()),
        }
    }
}

fn packet(number: i32, kind: i32, text: &[u8]) -> Vec<u8> {
    let len = i32::try_from(text.len() + 10).expect("a short text");
    let fields = [len, number, kind].map(i32::to_le_bytes);
    [fields.as_flattened(), text, b"\0\0"].concat()
}

fn receive(stream: &mut TcpStream) -> io::Result<(i32, i32, String)> {
    let mut integer = || {
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).map(|()| i32::from_le_bytes(bytes))
    };
    let (len, number, kind) = (integer()?, integer()?, integer()?);
    let mut text = vec![0; usize::try_from(len).expect("a length") - 8];
    stream.read_exact(&mut text)?;
    text.truncate(text.len() - 2);
    Ok((number, kind, String::from_utf8(text).expect("text")))
}
