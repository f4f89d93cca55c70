//! The steps around one backup.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    pin::pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use futures::{
    channel::oneshot,
    future::{self, Either},
};
use smol::Timer;
use wingback::{Backup, Error, ErrorKind, Report, Warning};

use crate::{
    quiesce::{Quiesce, Target, rcon},
    shell::Shell,
};

/// How long a hook may still run after the program was [hurried](Host::hurried).
const HURRY: Duration = Duration::from_secs(10);

/// What to do around a backup.
#[derive(Clone, Debug)]
pub struct Hooks {
    /// Game servers that do not save while their files are read.
    pub quiesce: Vec<Target>,
    /// File with the password for RCON. The default is the variable `WINGBACK_RCON_PASSWORD`.
    pub rcon_password_file: Option<PathBuf>,
    /// Shell command that runs before the source is opened.
    pub before: Option<OsString>,
    /// Shell command that runs as soon as the source has been read.
    pub after_read: Option<OsString>,
    /// Shell command that runs at the end.
    pub after: Option<OsString>,
    /// Longest time of each step. The default is 5 minutes.
    pub timeout: Duration,
}

impl Default for Hooks {
    fn default() -> Self {
        Hooks {
            quiesce: Vec::new(),
            rcon_password_file: None,
            before: None,
            after_read: None,
            after: None,
            timeout: Duration::from_secs(5 * 60),
        }
    }
}

impl Hooks {
    /// Returns whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.quiesce.is_empty()
            && self.before.is_none()
            && self.after_read.is_none()
            && self.after.is_none()
    }
}

/// The program that runs hooks.
pub trait Host: Clone + Send + Sync + 'static {
    /// Variables that a hook must not inherit.
    const HIDDEN: &'static [&'static str];

    /// Returns variables that every hook gets, besides those of the hook itself.
    fn env(&self) -> Vec<(&'static str, OsString)>;

    /// Resolves when the backup is to end. No further step begins.
    fn cancelled(&self) -> impl Future<Output = ()> + Send;

    /// Resolves when the program is to end soon. The backup is dropped, and each step that is still necessary gets
    /// ten seconds.
    fn hurried(&self) -> impl Future<Output = ()> + Send;

    /// Reports a failure that no report contains.
    fn complain(&self, why: &str);
}

/// The hooks of one backup.
pub struct Around<'a, H> {
    hooks: &'a Hooks,
    source: &'a Path,
    host: H,
}

impl<'a, H: Host> Around<'a, H> {
    /// Returns the hooks for a backup of the directory `source`.
    pub fn new(hooks: &'a Hooks, source: &'a Path, host: H) -> Self {
        Around { hooks, source, host }
    }

    /// Pauses the servers, runs `before`, and calls `make`. `make` must [`apply`](Paused::apply) its argument to the
    /// backup.
    ///
    /// Whatever has begun also ends: as soon as the source has been read, and otherwise after an error, a cancel or a
    /// panic.
    pub async fn run<T, F>(&self, make: impl FnOnce(Paused<H>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut paused = Paused::new(self.hooks.timeout, self.source, self.host.clone());
        if self.hooks.is_empty() {
            return make(paused).await;
        }
        let resumer = paused.resumer.clone();
        let made = match self.pause(&mut paused).await {
            Ok(()) => self.until_hurried(make(paused)).await,
            Err(e) => Err(e),
        };
        let resumed = Resumer::resume_on_thread(&resumer).await;
        if let (Err(_), Err(why)) = (&made, resumed) {
            // Otherwise the report has it.
            self.host.complain(&why);
        }
        made
    }

    async fn pause(&self, paused: &mut Paused<H>) -> Result<(), Error> {
        let password = match self.hooks.quiesce.iter().any(Target::needs_password) {
            true => Some(rcon::Password::read(self.hooks.rcon_password_file.as_deref())?),
            false => None,
        };
        for target in &self.hooks.quiesce {
            let server = Quiesce::new(target.clone(), password.clone());
            let begun = || paused.resumer.begin(Step::Server(server.clone()));
            let pause = server.pause(self.source, begun);
            let lens = match future::select(pin!(pause), pin!(self.stop_or_cancel())).await {
                Either::Left((lens, _)) => lens?,
                Either::Right((Some(why), _)) => return Err(server.error(why)),
                Either::Right((None, _)) => return Err(cancelled()),
            };
            paused.max_lens.extend(lens);
        }
        if let Some(after_read) = &self.hooks.after_read {
            paused.resumer.begin(Step::AfterRead(after_read.clone()));
        }
        if let Some(before) = &self.hooks.before {
            let is_cancelled = AtomicBool::new(false);
            let stop = async {
                let why = self.stop_or_cancel().await;
                is_cancelled.store(why.is_none(), Relaxed);
                why.unwrap_or_default()
            };
            let env = env(&self.host, "before", self.source);
            let shell = Shell { command: before, env: &env, hidden: H::HIDDEN, stdin: b"" };
            shell.run(stop).await.map_err(|why| match is_cancelled.load(Relaxed) {
                true => cancelled(),
                false => Error::new(ErrorKind::Io, "run the before hook").caused_by(why),
            })?;
        }
        Ok(())
    }

    /// Resolves with the reason when a hook must not run any longer. `None` is a cancel.
    async fn stop_or_cancel(&self) -> Option<String> {
        let stop = stop(&self.host, self.hooks.timeout);
        match future::select(pin!(stop), pin!(self.host.cancelled())).await {
            Either::Left((why, _)) => Some(why),
            Either::Right(_) => None,
        }
    }

    /// Runs a backup until the program is hurried. Then the backup is dropped.
    async fn until_hurried<T>(
        &self,
        make: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match future::select(pin!(make), pin!(self.host.hurried())).await {
            Either::Left((made, _)) => made,
            Either::Right(_) => Err(cancelled()),
        }
    }

    /// Runs `after` with the result, if there is such a hook. `json` returns the object for its standard input, on
    /// one line. A failure is a warning in the report. Without a report, the host complains.
    pub async fn after(
        &self,
        made: &mut Result<Report, Error>,
        json: impl FnOnce(&Result<Report, Error>) -> String,
    ) {
        let Some(after) = &self.hooks.after else { return };
        let mut env = env(&self.host, "after", self.source);
        let mut put = |name, value: String| env.push((name, value.into()));
        match &*made {
            Ok(report) => {
                let status = if has_problem(report) { "partial" } else { "done" };
                put("WINGBACK_HOOK_STATUS", status.into());
                put("WINGBACK_HOOK_SIZE", report.size.to_string());
                put("WINGBACK_HOOK_SHA1", report.sha1.to_string());
                put("WINGBACK_HOOK_FILES", report.files.to_string());
                put("WINGBACK_HOOK_CONTENT", report.content.to_string());
                put("WINGBACK_HOOK_SKIPPED", report.skipped.total().to_string());
                put("WINGBACK_HOOK_WARNINGS", report.warnings.len().to_string());
                env.push(("WINGBACK_HOOK_ARCHIVE", report.location.clone().unwrap_or_default()));
            }
            Err(e) => {
                put("WINGBACK_HOOK_STATUS", "failed".into());
                put("WINGBACK_HOOK_ERROR", e.to_string());
            }
        }
        let stdin = format!("{}\n", json(made));
        let stdin = stdin.as_bytes();
        let shell = Shell { command: after, env: &env, hidden: H::HIDDEN, stdin };
        if let Err(why) = shell.run(stop(&self.host, self.hooks.timeout)).await {
            let why = format!("the after hook failed: {why}");
            match made {
                Ok(report) => report.warnings.push(Warning::Hook(why)),
                Err(_) => self.host.complain(&why),
            }
        }
    }
}

/// Returns whether the archive lacks a file, or a hook failed.
pub fn has_problem(report: &Report) -> bool {
    report.is_partial() || report.warnings.iter().any(|w| matches!(w, Warning::Hook(_)))
}

/// What has been paused for a backup.
pub struct Paused<H: Host> {
    /// Lengths of files that a server has reported, for [`Backup::max_len`].
    max_lens: Vec<(Vec<u8>, u64)>,
    resumer: Arc<Resumer<H>>,
}

impl<H: Host> Paused<H> {
    fn new(timeout: Duration, source: &Path, host: H) -> Self {
        let resumer = Resumer {
            timeout,
            source: source.into(),
            host,
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
struct Resumer<H: Host> {
    timeout: Duration,
    source: PathBuf,
    host: H,
    begun: Mutex<Vec<Step>>,
    result: OnceLock<Result<(), String>>,
}

impl<H: Host> Resumer<H> {
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

    /// Does the same without blocking an executor. The thread is not one of the `blocking` pool: that may have only
    /// one, and the look-up of a host needs it.
    async fn resume_on_thread(resumer: &Arc<Self>) -> Result<(), String> {
        if let Some(result) = resumer.result.get() {
            return result.clone();
        }
        let (sender, resumed) = oneshot::channel();
        let on_thread = resumer.clone();
        let thread = thread::Builder::new().name("hooks".into());
        let spawned = thread.spawn(move || drop(sender.send(on_thread.resume())));
        match (spawned, resumed.await) {
            (Ok(_), Ok(result)) => result,
            _ => resumer.resume(),
        }
    }

    async fn end(&self, step: Step) -> Result<(), String> {
        let stop = stop(&self.host, self.timeout);
        match step {
            Step::Server(server) => match future::select(pin!(server.resume()), pin!(stop)).await {
                Either::Left((resumed, _)) => resumed.map_err(|e| e.to_string()),
                Either::Right((why, _)) => Err(server.error(why).to_string()),
            },
            Step::AfterRead(command) => {
                let env = env(&self.host, "after-read", &self.source);
                let shell = Shell { command: &command, env: &env, hidden: H::HIDDEN, stdin: b"" };
                let ran = shell.run(stop).await;
                ran.map_err(|why| format!("the after-read hook failed: {why}"))
            }
        }
    }
}

impl<H: Host> Drop for Resumer<H> {
    /// Only a panic comes here before the end.
    fn drop(&mut self) {
        let _ = self.resume();
    }
}

/// Returns the variables that every hook gets.
fn env(host: &impl Host, hook: &str, source: &Path) -> Vec<(&'static str, OsString)> {
    let mut env = host.env();
    env.push(("WINGBACK_HOOK", hook.into()));
    env.push(("WINGBACK_HOOK_SOURCE", source.into()));
    env
}

/// Resolves with the reason when a hook must not run any longer.
async fn stop(host: &impl Host, timeout: Duration) -> String {
    let hurry = async {
        host.hurried().await;
        Timer::after(HURRY).await;
    };
    match future::select(Timer::after(timeout), pin!(hurry)).await {
        Either::Left(_) => format!("it took more than {} s", timeout.as_secs()),
        Either::Right(_) => format!("it did not end within {} s", HURRY.as_secs()),
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "cancelled")
}
