//! RCON of Minecraft Java: the protocol of Source, with one packet a request.
//!
//! A packet is a length and three fields: number, kind and text, all integers in little-endian order. Two zero bytes
//! end it. A wrong password is answered with the number -1. The server splits an answer into packets of 4096 bytes.

use std::{
    fs::File,
    io::{self, ErrorKind::InvalidData, Read},
    path::Path,
    pin::pin,
    time::Duration,
};

use futures::{
    AsyncReadExt, AsyncWriteExt,
    future::{self, Either},
};
use smol::{Timer, net::TcpStream};
use wingback::{Error, ErrorKind};

/// The port of `rcon.port` if nobody changes it.
const PORT: u16 = 25575;

const COMMAND: i32 = 2;
const LOGIN: i32 = 3;
const ANSWER: i32 = 0;
const LOGGED_IN: i32 = 2;

/// Length of the number, the kind and the two zero bytes.
const FRAME: usize = 10;

/// Text of a packet that another packet of the same answer follows.
const SPLIT: usize = 4096;

/// Longest packet. Text of 4096 characters has at most three times as many bytes.
const PACKET_MAX: usize = FRAME + 3 * SPLIT;

/// Longest answer. The answers to these commands have one line.
const ANSWER_MAX: usize = 64 << 10;

/// Most bytes that are read of the file with the password.
const PASSWORD_FILE_MAX: u64 = 4 << 10;

/// Time for a connection with its login.
const LOGIN_TIME: Duration = Duration::from_secs(10);

/// Time for the answer to a command that does not write the world.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// Answers of versions from 1.7 on.
const IS_OFF: [&str; 3] =
    ["Automatic saving is now disabled", "Saving is already turned off", "Turned off world auto"];
const IS_ON: [&str; 3] =
    ["Automatic saving is now enabled", "Saving is already turned on", "Turned on world auto"];
const IS_SAVED: [&str; 2] = ["Saved the game", "Saved the world"];

/// A password, which is never printed.
#[derive(Clone, Default)]
pub(crate) struct Password(String);

impl Password {
    /// Reads the first line of `file`, or the variable `WINGBACK_RCON_PASSWORD`.
    pub(crate) fn read(file: Option<&Path>) -> Result<Self, Error> {
        let text = match file {
            Some(file) => {
                let mut text = String::new();
                let opened = File::open(file).map(|file| file.take(PASSWORD_FILE_MAX));
                let read = opened.and_then(|mut file| file.read_to_string(&mut text));
                read.map_err(|e| Error::io("read the password in", e).at(file))?;
                text
            }
            None => std::env::var("WINGBACK_RCON_PASSWORD").unwrap_or_default(),
        };
        match text.lines().next() {
            Some(password) if !password.is_empty() => Ok(Password(password.to_owned())),
            _ => Err(Error::new(ErrorKind::InvalidInput, "log in to RCON").caused_by(
                "there is no password: set WINGBACK_RCON_PASSWORD, or name a file that has it",
            )),
        }
    }
}

/// Returns host and port of the text after `rcon://`.
pub(crate) fn address(text: &str) -> Result<String, String> {
    if text.contains('@') {
        return Err("the password must not be in it: set WINGBACK_RCON_PASSWORD".to_owned());
    }
    let (host, port) = match text.rsplit_once(':') {
        // The colon is a part of an IPv6 address.
        Some((_, port)) if port.ends_with(']') => (text, PORT),
        Some((host, port)) => (host, port.parse().map_err(|_| format!("{port:?} is not a port"))?),
        None => (text, PORT),
    };
    let is_bare_ipv6 = host.contains(':') && !host.starts_with('[');
    if host.is_empty() || is_bare_ipv6 || host.contains(['/', '?', '#']) {
        return Err("it must be rcon://HOST:PORT".to_owned());
    }
    Ok(format!("{host}:{port}"))
}

/// A server.
#[derive(Clone)]
pub(crate) struct Rcon {
    pub(crate) address: String,
    pub(crate) password: Password,
}

impl Rcon {
    pub(crate) async fn pause(&self, begun: impl FnOnce()) -> Result<(), Error> {
        let paused = async {
            let mut connection = self.connect().await?;
            begun();
            within(ANSWER_TIME, connection.run("save-off", &IS_OFF)).await?;
            // For a large world this takes minutes. The caller has a limit.
            connection.run("save-all flush", &IS_SAVED).await
        };
        paused.await.map_err(|e| self.failed(e))
    }

    /// Uses a new connection, because the backup may have taken hours.
    pub(crate) async fn resume(&self) -> Result<(), Error> {
        let resumed = async {
            let mut connection = self.connect().await?;
            within(ANSWER_TIME, connection.run("save-on", &IS_ON)).await
        };
        resumed.await.map_err(|e| self.failed(e))
    }

    pub(crate) fn error(&self, why: String) -> Error {
        self.failed(io::Error::other(why))
    }

    fn failed(&self, cause: io::Error) -> Error {
        Error::io("control the saves of", cause).at(format!("rcon://{}", self.address))
    }

    async fn connect(&self) -> io::Result<Connection> {
        within(LOGIN_TIME, async {
            let stream = TcpStream::connect(&self.address).await?;
            let mut connection = Connection { stream, number: 0 };
            connection.log_in(&self.password).await?;
            Ok(connection)
        })
        .await
    }
}

struct Connection {
    stream: TcpStream,
    /// Number of the last request.
    number: i32,
}

struct Packet {
    number: i32,
    kind: i32,
    text: Vec<u8>,
}

impl Connection {
    async fn log_in(&mut self, password: &Password) -> io::Result<()> {
        self.send(LOGIN, &password.0).await?;
        loop {
            let packet = self.receive().await?;
            match (packet.kind, packet.number) {
                // Servers of Source send an empty answer first.
                (ANSWER, number) if number == self.number => (),
                (LOGGED_IN, number) if number == self.number => return Ok(()),
                (_, -1) => {
                    return Err(io::Error::new(
                        io::ErrorKind::PermissionDenied,
                        "it refuses the password",
                    ));
                }
                _ => return Err(io::Error::new(InvalidData, "it does not speak RCON")),
            }
        }
    }

    /// Runs `command`, whose answer must have one of these texts.
    async fn run(&mut self, command: &str, expected: &[&str]) -> io::Result<()> {
        self.send(COMMAND, command).await?;
        let mut answer = Vec::new();
        loop {
            let packet = self.receive().await?;
            if (packet.kind, packet.number) != (ANSWER, self.number) {
                return Err(io::Error::new(InvalidData, "it answers another request"));
            }
            answer.extend_from_slice(&packet.text);
            if packet.text.len() < SPLIT {
                break;
            }
            if answer.len() > ANSWER_MAX {
                return Err(io::Error::new(InvalidData, "its answer is too long"));
            }
        }
        let answer = String::from_utf8_lossy(&answer);
        if expected.iter().any(|text| answer.contains(text)) {
            return Ok(());
        }
        let answer: String = answer.chars().take(200).collect();
        Err(io::Error::new(InvalidData, format!("it answers {answer:?} to {command}")))
    }

    async fn send(&mut self, kind: i32, text: &str) -> io::Result<()> {
        self.number += 1;
        let len = i32::try_from(FRAME + text.len()).map_err(io::Error::other)?;
        let mut packet = Vec::new();
        for field in [len, self.number, kind] {
            packet.extend_from_slice(&field.to_le_bytes());
        }
        packet.extend_from_slice(text.as_bytes());
        packet.extend_from_slice(&[0, 0]);
        // The server expects a packet in one piece.
        self.stream.write_all(&packet).await
    }

    async fn receive(&mut self) -> io::Result<Packet> {
        let len = self.integer().await?;
        let len = usize::try_from(len).unwrap_or_default();
        if !(FRAME..=PACKET_MAX).contains(&len) {
            return Err(io::Error::new(InvalidData, "it does not speak RCON"));
        }
        let (number, kind) = (self.integer().await?, self.integer().await?);
        let mut text = vec![0; len - 8];
        self.stream.read_exact(&mut text).await?;
        text.truncate(len - FRAME);
        Ok(Packet { number, kind, text })
    }

    async fn integer(&mut self) -> io::Result<i32> {
        let mut bytes = [0; 4];
        self.stream.read_exact(&mut bytes).await?;
        Ok(i32::from_le_bytes(bytes))
    }
}

async fn within<T>(time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match future::select(pin!(work), Timer::after(time)).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {} s", time.as_secs()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for (text, expected) in [
            ("localhost:25580", "localhost:25580"),
            ("10.0.0.7", "10.0.0.7:25575"),
            ("[::1]", "[::1]:25575"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(address(text).as_deref(), Ok(expected));
        }
        for text in ["", ":1", "::1", "a:b", "a:70000", "a/b", "user:secret@host", "a:1/"] {
            let error = address(text).expect_err(text);
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
