//! What `create` does around a backup: commands of the user, and game servers that pause.

use std::{
    cell::Cell,
    ffi::OsString,
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use futures::future::{self, Either};
use smol::Timer;
use wingback::{Backup, Error, ErrorKind, Report, Warning};

use crate::{
    args,
    output::{complain, json_line},
    quiesce::{Quiesce, rcon},
    shell::Shell,
    signals,
};

/// How long a hook may still run after the second signal.
const HURRY: Duration = Duration::from_secs(10);

/// Variables of options that a `wingback` in a hook must not inherit: it would run the hooks as well.
const HIDDEN: [&str; 4] =
    ["WINGBACK_BEFORE", "WINGBACK_AFTER_READ", "WINGBACK_AFTER", "WINGBACK_QUIESCE"];

/// The hooks of one backup.
pub struct Hooks<'a> {
    args: &'a args::Hooks,
    source: &'a Path,
}

impl<'a> Hooks<'a> {
    pub fn new(args: &'a args::Hooks, source: &'a Path) -> Self {
        Hooks { args, source }
    }

    /// Pauses the servers, runs `--before`, and calls `make`. `make` must [`apply`](Paused::apply) its argument to
    /// the backup.
    ///
    /// Whatever has begun also ends: as soon as the source has been read, and otherwise after an error, a cancel, a
    /// panic or a signal.
    pub async fn around<F>(&self, make: impl FnOnce(Paused) -> F) -> Result<Report, Error>
    where
        F: Future<Output = Result<Report, Error>>,
    {
        let mut paused = Paused::new(self.args.hook_timeout, self.source);
        if self.args.is_empty() {
            return make(paused).await;
        }
        signals::hold();
        let resumer = paused.resumer.clone();
        let made = match self.pause(&mut paused).await {
            Ok(()) => until_second_signal(make(paused)).await,
            Err(e) => Err(e),
        };
        let resumed = resumer.resume();
        if let (Err(_), Err(why)) = (&made, resumed) {
            // Otherwise the report has it.
            complain(&why);
        }
        made
    }

    async fn pause(&self, paused: &mut Paused) -> Result<(), Error> {
        let password = match self.args.quiesce.iter().any(|target| target.needs_password()) {
            true => Some(rcon::Password::read(self.args.rcon_password_file.as_deref())?),
            false => None,
        };
        for target in &self.args.quiesce {
            let server = Quiesce::new(target.clone(), password.clone());
            let begun = || paused.resumer.begin(Step::Server(server.clone()));
            let pause = server.pause(self.source, begun);
            let lens = match future::select(pin!(pause), pin!(self.stop_or_signal())).await {
                Either::Left((lens, _)) => lens?,
                Either::Right((Some(why), _)) => return Err(server.error(why)),
                Either::Right((None, _)) => return Err(cancelled()),
            };
            paused.max_lens.extend(lens);
        }
        if let Some(after_read) = &self.args.after_read {
            paused.resumer.begin(Step::AfterRead(after_read.clone()));
        }
        if let Some(before) = &self.args.before {
            let is_signalled = Cell::new(false);
            let stop = async {
                let why = self.stop_or_signal().await;
                is_signalled.set(why.is_none());
                why.unwrap_or_default()
            };
            let env = env("before", self.source);
            let shell = Shell { command: before, env: &env, hidden: &HIDDEN, stdin: b"" };
            shell.run(stop).await.map_err(|why| match is_signalled.get() {
                true => cancelled(),
                false => Error::new(ErrorKind::Io, "run --before").caused_by(why),
            })?;
        }
        Ok(())
    }

    /// Resolves with the reason when a hook must not run any longer. `None` is the first signal.
    async fn stop_or_signal(&self) -> Option<String> {
        match future::select(pin!(stop(self.args.hook_timeout)), pin!(signals::first())).await {
            Either::Left((why, _)) => Some(why),
            Either::Right(_) => None,
        }
    }

    /// Runs `--after` with the result. A failure is a warning in the report, or a line beside the error.
    ///
    /// `line` returns the object of `--json`.
    pub async fn after(&self, made: &mut Result<Report, Error>, line: impl Fn(&Report) -> String) {
        let Some(after) = &self.args.after else { return };
        let mut env = env("after", self.source);
        let mut put = |name, value: String| env.push((name, value.into()));
        let json = match made {
            Ok(report) => {
                put(
                    "WINGBACK_HOOK_STATUS",
                    if has_problem(report) { "partial" } else { "done" }.into(),
                );
                put("WINGBACK_HOOK_SIZE", report.size.to_string());
                put("WINGBACK_HOOK_SHA1", report.sha1.to_string());
                put("WINGBACK_HOOK_FILES", report.files.to_string());
                put("WINGBACK_HOOK_CONTENT", report.content.to_string());
                put("WINGBACK_HOOK_SKIPPED", report.skipped.total().to_string());
                put("WINGBACK_HOOK_WARNINGS", report.warnings.len().to_string());
                env.push(("WINGBACK_HOOK_ARCHIVE", report.location.clone().unwrap_or_default()));
                line(report)
            }
            Err(e) => {
                put("WINGBACK_HOOK_STATUS", "failed".into());
                put("WINGBACK_HOOK_ERROR", e.to_string());
                json_line(e)
            }
        };
        let stdin = format!("{json}\n");
        let shell = Shell { command: after, env: &env, hidden: &HIDDEN, stdin: stdin.as_bytes() };
        if let Err(why) = shell.run(stop(self.args.hook_timeout)).await {
            let why = format!("--after failed: {why}");
            match made {
                Ok(report) => report.warnings.push(Warning::Hook(why)),
                Err(_) => complain(&why),
            }
        }
    }
}

/// Returns whether the archive lacks a file, or a hook failed.
pub fn has_problem(report: &Report) -> bool {
    report.is_partial() || report.warnings.iter().any(|w| matches!(w, Warning::Hook(_)))
}

/// What has been paused for a backup.
pub struct Paused {
    /// Lengths of files that a server has reported, for [`Backup::max_len`].
    max_lens: Vec<(Vec<u8>, u64)>,
    resumer: Arc<Resumer>,
}

impl Paused {
    fn new(timeout: Duration, source: &Path) -> Self {
        let resumer = Resumer {
            timeout,
            source: source.into(),
            begun: Mutex::default(),
            result: OnceLock::new(),
        };
        Paused { max_lens: Vec::new(), resumer: Arc::new(resumer) }
    }

    /// Sets the options that the hooks need.
    pub fn apply(self, backup: Backup) -> Backup {
        let backup =
            self.max_lens.into_iter().fold(backup, |backup, (path, len)| backup.max_len(path, len));
        backup.on_source_read(move || self.resumer.resume())
    }
}

/// Something that has begun, and must end.
enum Step {
    Server(Quiesce),
    AfterRead(OsString),
}

/// Ends what has begun, exactly once.
struct Resumer {
    timeout: Duration,
    source: PathBuf,
    begun: Mutex<Vec<Step>>,
    result: OnceLock<Result<(), String>>,
}

impl Resumer {
    fn begin(&self, step: Step) {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).push(step);
    }

    /// Ends everything in reverse order. A second call waits for the first one, and returns its result.
    fn resume(&self) -> Result<(), String> {
        let resume = || {
            let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
            let mut failures = Vec::new();
            while let Some(step) = begun.pop() {
                failures.extend(smol::block_on(self.end(step)).err());
            }
            if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
        };
        self.result.get_or_init(resume).clone()
    }

    async fn end(&self, step: Step) -> Result<(), String> {
        match step {
            Step::Server(server) => {
                match future::select(pin!(server.resume()), pin!(stop(self.timeout))).await {
                    Either::Left((resumed, _)) => resumed.map_err(|e| e.to_string()),
                    Either::Right((why, _)) => Err(server.error(why).to_string()),
                }
            }
            Step::AfterRead(command) => {
                let env = env("after-read", &self.source);
                let shell = Shell { command: &command, env: &env, hidden: &HIDDEN, stdin: b"" };
                let ran = shell.run(stop(self.timeout)).await;
                ran.map_err(|why| format!("--after-read failed: {why}"))
            }
        }
    }
}

impl Drop for Resumer {
    /// Only a panic comes here before the end.
    fn drop(&mut self) {
        let _ = self.resume();
    }
}

/// Returns the variables that every hook gets.
fn env(hook: &str, source: &Path) -> Vec<(&'static str, OsString)> {
    vec![("WINGBACK_HOOK", hook.into()), ("WINGBACK_HOOK_SOURCE", source.into())]
}

/// Resolves with the reason when a hook must not run any longer.
async fn stop(timeout: Duration) -> String {
    let hurry = async {
        signals::second().await;
        Timer::after(HURRY).await;
    };
    match future::select(Timer::after(timeout), pin!(hurry)).await {
        Either::Left(_) => format!("it took more than {} s", timeout.as_secs()),
        Either::Right(_) => {
            format!("it took more than {} s after the second signal", HURRY.as_secs())
        }
    }
}

/// Runs a backup until the second signal. Then the backup is dropped.
async fn until_second_signal(
    make: impl Future<Output = Result<Report, Error>>,
) -> Result<Report, Error> {
    match future::select(pin!(make), pin!(signals::second())).await {
        Either::Left((made, _)) => made,
        Either::Right(_) => Err(cancelled()),
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "cancelled")
}
