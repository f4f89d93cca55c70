//! Output for people and for programs: progress, reports and errors.

use std::{
    io::{self, IsTerminal, Write, stderr, stdout},
    path::Path,
    pin::pin,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::future;
use serde::Serialize;
use wingback::{
    Archive, Change, Error, ErrorKind, Handle, LISTED_MAX, Listed, Phase, Report, Skipped, Task,
    Warning,
};

use crate::{
    archives, args,
    progress::{self, Show},
    signals,
    status::Status,
    units::{contents, count, size},
};

/// Most lines of each list in a report for people.
const LIST_MAX: usize = 20;

/// How a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// JSON objects on standard output, one a line.
    Json,
    /// A progress bar on the terminal.
    Bar,
    /// A progress line every few seconds.
    Lines,
    /// Only the report.
    Quiet,
}

impl Style {
    pub fn of(output: &args::Output) -> Self {
        match output {
            _ if output.json => Style::Json,
            _ if output.quiet => Style::Quiet,
            _ if stderr().is_terminal() => Style::Bar,
            _ => Style::Lines,
        }
    }

    /// Returns the style of a command without `--quiet`. It shows progress only on a terminal that does not
    /// get the output as well.
    pub fn of_short(json: bool) -> Self {
        match json {
            true => Style::Json,
            false if stderr().is_terminal() && !stdout().is_terminal() => Style::Bar,
            false => Style::Quiet,
        }
    }

    /// Returns the style of the tasks of a command that prints all its output after them. It shows no progress in
    /// JSON.
    pub fn of_tasks(json: bool) -> Self {
        if !json && stderr().is_terminal() { Style::Bar } else { Style::Quiet }
    }

    /// Runs a task to its end, and shows its progress. The first Ctrl-C or SIGTERM cancels the task,
    /// which cleans up. The second ends the process at once.
    pub async fn run<T>(self, task: Task<'_, T>) -> Result<T, Error> {
        self.watch(task.handle(), task).await
    }

    /// Runs `work`, which `handle` watches and cancels, as [`run`](Style::run) does.
    pub async fn watch<T>(self, handle: Handle, work: impl Future<Output = T>) -> T {
        let watch = future::join(self.follow(handle.clone()), cancel_on_signal(handle));
        match future::select(pin!(work), pin!(watch)).await {
            future::Either::Left((result, _)) => result,
            // Without signals and progress, `watch` ends first. The work continues.
            future::Either::Right((_, work)) => work.await,
        }
    }

    /// Runs a task that reads the archive at `path`.
    pub async fn run_on<'a, T>(
        self,
        path: &Path,
        remote: &args::Remote,
        start: impl FnOnce(Archive<'static>) -> Task<'a, T>,
    ) -> Result<T, Error> {
        self.run(start(archives::archive(path, remote)?)).await
    }

    /// Shows the progress of a task until its end.
    async fn follow(self, handle: Handle) {
        let (every, mut show): (_, Show) = match self {
            Style::Quiet => return,
            Style::Json => (Duration::from_millis(250), Box::new(print)),
            Style::Bar => (progress::TICK, progress::bar()),
            Style::Lines => (Duration::from_secs(5), progress::lines()),
        };
        if self == Style::Bar {
            smol::Timer::after(progress::DELAY).await;
        }
        let mut last = None;
        loop {
            smol::Timer::after(every).await;
            let now = handle.progress();
            if now.phase == Phase::Done {
                return;
            }
            if last.replace(now) != Some(now) {
                show(&now);
            }
        }
    }

    pub fn error(self, error: &Error) {
        IS_CANCELLED.fetch_or(error.kind() == ErrorKind::Cancelled, Relaxed);
        match self {
            Style::Json => print(error),
            _ => complain(&error.to_string()),
        }
    }
}

async fn cancel_on_signal(handle: Handle) {
    signals::first().await;
    handle.cancel();
    signals::exit().await;
}

/// Whether the command reported that its task was cancelled.
static IS_CANCELLED: AtomicBool = AtomicBool::new(false);

/// The first error of standard output. The job continues, and the exit status reports the error.
static OUTPUT_ERROR: Mutex<Option<io::Error>> = Mutex::new(None);

/// Keeps the first error of standard output.
pub fn written(result: io::Result<()>) {
    if let Err(e) = result {
        OUTPUT_ERROR.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
    }
}

/// Returns the exit status: `status`, or a failure if standard output had an error. A reader that closed the
/// pipe is not an error, because it has read all it needs. After a signal has cancelled the command, the signal
/// decides.
pub fn finish(status: Status) -> ExitCode {
    let status = with_output(status);
    match signals::cancelled() {
        Some(code) if IS_CANCELLED.load(Relaxed) => code.into(),
        _ => status.into(),
    }
}

/// Returns `status`, or a failure if standard output had an error.
pub fn with_output(status: Status) -> Status {
    written(stdout().flush());
    match OUTPUT_ERROR.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("write to standard output: {e}"));
            if status == Status::Usage { status } else { Status::Failed }
        }
        _ => status,
    }
}

/// Prints a line of JSON.
pub fn print(value: &impl Serialize) {
    say(&json_line(value));
}

/// Many lines, which are printed together. Other output comes between two lines.
#[derive(Default)]
pub struct Lines(String);

impl Lines {
    pub fn say(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
        if self.0.len() > 64 << 10 {
            self.flush();
        }
    }

    /// Prints the lines that were not printed yet.
    pub fn flush(&mut self) {
        written(stdout().write_all(self.0.as_bytes()).and_then(|()| stdout().flush()));
        self.0.clear();
    }
}

/// Returns a line of JSON without control characters.
pub fn json_line(value: &impl Serialize) -> String {
    // JSON allows DEL and the control characters above it in strings, but terminals act on them.
    let mut line = String::new();
    // Only a map with keys that are not text could fail.
    for c in serde_json::to_string(value).unwrap_or_default().chars() {
        match c.is_control() {
            true => line.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => line.push(c),
        }
    }
    line
}

/// Whether standard output is for an archive.
static USE_STDERR: AtomicBool = AtomicBool::new(false);

/// Prints everything on standard error from now on, because standard output is for an archive.
pub fn use_stderr() {
    USE_STDERR.store(true, Relaxed);
}

/// Prints text.
pub fn say(text: &str) {
    written(match USE_STDERR.load(Relaxed) {
        false => writeln!(stdout(), "{text}"),
        true => writeln!(stderr(), "{text}"),
    });
}

/// Prints a line for people on standard error.
pub fn complain(text: &str) {
    let _ = writeln!(stderr(), "wingback: {}", plain(text));
}

/// Formats a report for people.
pub fn report(report: &Report) -> String {
    let location = report.location.as_ref().map(|location| location.to_string_lossy());
    let mut lines = vec![
        format!("archive   {}", plain(&location.unwrap_or("standard output".into()))),
        format!("size      {} ({} bytes)", size(report.size), count(report.size)),
        format!("sha1      {}", report.sha1),
        format!(
            "content   {}",
            contents(report.files, report.directories, report.symlinks, report.content),
        ),
        format!("time      {:.2} s", report.duration.as_secs_f64()),
    ];
    if report.copied > 0 {
        let [copied, read, compressed] = [report.copied, report.read, report.compressed].map(size);
        lines.push(format!(
            "previous  {copied} copied from it, {read} read, {compressed} compressed"
        ));
    }
    if report.copied_in_store > 0 {
        let [sent, copied] = [report.uploaded, report.copied_in_store].map(size);
        lines.push(format!("upload    {sent} sent, {copied} copied by the service"));
    }
    if report.excluded > 0 {
        lines.push(format!("excluded  {}", count(report.excluded)));
    }
    list_skipped(&mut lines, &report.skipped);
    let changed = report.changed.iter().map(|c| {
        let how = match c.change {
            Change::Grew => "grew while it was read",
            Change::Shrank => "shrank while it was read",
            _ => "changed while it was read",
        };
        format!("{}: {how}", bytes(&c.path))
    });
    list(&mut lines, "changed", report.changed.total(), changed);
    list_warnings(&mut lines, &report.warnings);
    lines.join("\n")
}

/// Adds the paths that a backup skips, with the reasons.
pub fn list_skipped(lines: &mut Vec<String>, skipped: &Listed<Skipped>) {
    let reasons = skipped.iter().map(|s| format!("{}: {}", bytes(&s.path), s.reason));
    list(lines, "skipped", skipped.total(), reasons);
}

pub fn list_warnings(lines: &mut Vec<String>, warnings: &[Warning]) {
    let texts = warnings.iter().map(|warning| plain(&warning.to_string()));
    list(lines, "warnings", warnings.len() as u64, texts);
}

/// Adds a title with the number of items, and the first items.
pub fn list(lines: &mut Vec<String>, title: &str, n: u64, items: impl Iterator<Item = String>) {
    list_first(lines, title, n, items, LIST_MAX);
}

/// Adds a list as [`list`] does, with at most `max` of its items. With zero, only their number is added.
pub fn list_first(
    lines: &mut Vec<String>,
    title: &str,
    n: u64,
    items: impl Iterator<Item = String>,
    max: usize,
) {
    lines.push(format!("{title:<10}{}", if n == 0 { "none".into() } else { count(n) }));
    lines.extend(items.take(max).map(|item| format!("  {item}")));
    let more = n.saturating_sub(max as u64);
    if max > 0 && more > 0 {
        let hint = match n <= LISTED_MAX as u64 {
            true => " (--json lists all)",
            false if max < LISTED_MAX => " (--json lists 1,000)",
            false => "",
        };
        lines.push(format!("  … and {} more{hint}", count(more)));
    }
}

/// Formats a path without control characters.
pub fn bytes(path: &[u8]) -> String {
    plain(&String::from_utf8_lossy(path))
}

/// Escapes control characters, so that a file name cannot control the terminal.
pub fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let kept = (!c.is_control()).then_some(c);
            escaped.into_iter().flatten().chain(kept)
        })
        .collect()
}
