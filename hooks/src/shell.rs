//! A command of the user, run by the shell.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write, stderr},
    os::{fd::AsFd, unix::process::CommandExt},
    pin::pin,
    process::Stdio,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::{
    AsyncRead, AsyncReadExt, AsyncWriteExt, FutureExt,
    future::{self, Either},
};
use rustix::process::{Pid, Signal, kill_process_group};
use smol::{
    Timer,
    process::{Child, Command, ExitStatus},
};

/// Time between SIGTERM and SIGKILL.
const TERM_GRACE: Duration = Duration::from_secs(5);

/// Kept length of the last line on standard error.
const LINE_MAX: usize = 500;

/// A command for `/bin/sh -c`.
pub(crate) struct Shell<'a> {
    pub(crate) command: &'a OsStr,
    pub(crate) env: &'a [(&'static str, OsString)],
    /// Variables that it does not inherit.
    pub(crate) hidden: &'a [&'static str],
    pub(crate) stdin: &'a [u8],
}

impl Shell<'_> {
    /// Runs the command until it exits, or until `stop` resolves with the reason to kill it. Its output goes to
    /// standard error.
    ///
    /// The command is the leader of a process group, so Ctrl-C does not reach it, and a kill reaches its children.
    /// An error is a sentence with its status and its last line on standard error.
    pub(crate) async fn run(&self, stop: impl Future<Output = String>) -> Result<(), String> {
        let mut child = self.spawn().map_err(|e| format!("/bin/sh does not start: {e}"))?;
        let (stdin, output) = (child.stdin.take(), child.stderr.take());
        let last_line = Mutex::new(Vec::new());
        let io = async {
            let feed = async {
                if let Some(mut stdin) = stdin {
                    // The command need not read it.
                    let _ = stdin.write_all(self.stdin).await;
                }
            };
            let forward = async {
                if let Some(output) = output {
                    forward(output, &last_line).await;
                }
            };
            future::join(feed, forward).await;
            // The end of the output is not the end of the command.
            future::pending::<()>().await
        };
        let mut io = pin!(io);
        let ended = {
            let ended = pin!(end(&mut child, stop));
            match future::select(ended, &mut io).await {
                Either::Left((ended, _)) => ended,
                Either::Right(_) => unreachable!("it is pending"),
            }
        };
        // Forwards the rest of the output. Children of the command may keep the pipe open.
        let _ = (&mut io).now_or_never();
        let last_line = last_line.lock().unwrap_or_else(PoisonError::into_inner);
        let last_line = String::from_utf8_lossy(&last_line).trim().to_owned();
        let colon = if last_line.is_empty() { "" } else { ": " };
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{status}{colon}{last_line}")),
            Err(reason) => Err(format!("{reason}{colon}{last_line}")),
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut command = std::process::Command::new("/bin/sh");
        command.arg("-c").arg(self.command).process_group(0);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        self.hidden.iter().for_each(|name| {
            command.env_remove(name);
        });
        let mut command = Command::from(command);
        // Standard output is for the report.
        command.stdout(stderr().as_fd().try_clone_to_owned()?).stderr(Stdio::piped());
        command.stdin(if self.stdin.is_empty() { Stdio::null() } else { Stdio::piped() });
        command.spawn()
    }
}

/// Waits for the end of `child`. Kills its process group if `stop` resolves before.
async fn end(child: &mut Child, stop: impl Future<Output = String>) -> Result<ExitStatus, String> {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let kill = |signal| group.map(|group| kill_process_group(group, signal));
    let reason = match future::select(pin!(child.status()), pin!(stop)).await {
        Either::Left((status, _)) => return status.map_err(|e| e.to_string()),
        Either::Right((reason, _)) => reason,
    };
    kill(Signal::TERM);
    if let Either::Right(_) = future::select(pin!(child.status()), Timer::after(TERM_GRACE)).await {
        kill(Signal::KILL);
        let _ = child.status().await;
    }
    Err(reason)
}

/// Copies `from` to standard error, and keeps its last line that is not empty.
async fn forward(mut from: impl AsyncRead + Unpin, last_line: &Mutex<Vec<u8>>) {
    let (mut buffer, mut is_ended) = ([0; 4096], true);
    loop {
        let len = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(len) => len,
        };
        let _ = stderr().write_all(&buffer[..len]);
        let mut line = last_line.lock().unwrap_or_else(PoisonError::into_inner);
        for &byte in &buffer[..len] {
            match byte {
                b'\n' => is_ended = true,
                _ if is_ended => {
                    is_ended = false;
                    line.clear();
                    line.push(byte);
                }
                _ if line.len() < LINE_MAX => line.push(byte),
                _ => (),
            }
        }
    }
}
