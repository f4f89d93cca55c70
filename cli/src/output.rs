//! Output for people and for programs: progress, reports and errors.

use std::{
    io::{self, IsTerminal, Write, stderr, stdout},
    path::Path,
    pin::pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::future;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use wingback::{Archive, Change, Error, Handle, LISTED_MAX, Phase, Progress, Report, Task};

use crate::{
    archives, args, signals,
    status::Status,
    units::{clock, count, plural, size},
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
            Style::Bar => (Duration::from_millis(100), bar()),
            Style::Lines => (Duration::from_secs(5), lines()),
        };
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

/// The first error of standard output. The job continues, and the exit status reports the error.
static OUTPUT_ERROR: Mutex<Option<io::Error>> = Mutex::new(None);

/// Keeps the first error of standard output.
pub fn written(result: io::Result<()>) {
    if let Err(e) = result {
        OUTPUT_ERROR.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
    }
}

/// Returns `status`, or a failure if standard output had an error. A reader that closed the pipe is not
/// an error, because it has read all it needs.
pub fn finish(status: Status) -> Status {
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

/// Prints text.
pub fn say(text: &str) {
    written(writeln!(stdout(), "{text}"));
}

/// Prints a line for people on standard error.
pub fn complain(text: &str) {
    let _ = writeln!(stderr(), "wingback: {}", plain(text));
}

/// Shows progress.
type Show = Box<dyn FnMut(&Progress)>;

fn bar() -> Show {
    let style = |template| {
        ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ")
    };
    let known = style("{prefix:12} [{bar:30}] {bytes}/{total_bytes} {msg}");
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(style("{prefix:12} {spinner} {bytes} {msg}"));
    Box::new(move |progress| {
        if let (Some(expected), None) = (progress.expected, bar.length()) {
            bar.set_style(known.clone());
            bar.set_length(expected.bytes);
        }
        bar.set_prefix(format!("{}{}", phase(progress.phase), uploaded(progress)));
        bar.set_message(speed(progress));
        bar.set_position(progress.bytes);
        if progress.phase == Phase::Committing {
            bar.finish_and_clear();
        }
    })
}

fn lines() -> Show {
    Box::new(|progress| {
        let percent = progress.percent().map(|percent| format!(" ({} %)", percent as u64));
        let _ = writeln!(
            stderr(),
            "{}: {} files, {}{} read, {}, {} written{}",
            phase(progress.phase),
            count(progress.files),
            size(progress.bytes),
            percent.unwrap_or_default(),
            speed(progress),
            size(progress.written),
            uploaded(progress),
        );
    })
}

/// Returns the rate and the time left as text.
fn speed(progress: &Progress) -> String {
    let rate = format!("{}/s", size(progress.rate));
    match progress.time_left {
        None => rate,
        Some(time) => format!("{rate}, {} left", clock(time)),
    }
}

/// Returns the uploaded bytes as text; empty without an upload.
fn uploaded(progress: &Progress) -> String {
    match progress.uploaded {
        0 => String::new(),
        bytes => format!(", {} uploaded", size(bytes)),
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Reading => "reading",
        Phase::SourceRead => "writing",
        Phase::Committing => "syncing",
        _ => "done",
    }
}

/// Formats a report for people.
pub fn report(report: &Report) -> String {
    let location = report.location.clone().unwrap_or_default();
    let mut lines = vec![
        format!("archive   {}", plain(&location.to_string_lossy())),
        format!("size      {} ({} bytes)", size(report.size), count(report.size)),
        format!("sha1      {}", report.sha1_hex()),
        format!(
            "content   {}, {}, {}, {}",
            plural(report.files, "file"),
            plural(report.directories, "directory"),
            plural(report.symlinks, "symlink"),
            size(report.content),
        ),
        format!("time      {:.2} s", report.duration.as_secs_f64()),
    ];
    if report.copied > 0 {
        let [copied, read, compressed] = [report.copied, report.read, report.compressed].map(size);
        lines.push(format!(
            "previous  {copied} copied from it, {read} read, {compressed} compressed"
        ));
    }
    if report.excluded > 0 {
        lines.push(format!("excluded  {}", count(report.excluded)));
    }
    let skipped = report.skipped.iter().map(|s| format!("{}: {}", bytes(&s.path), s.reason));
    list(&mut lines, "skipped", report.skipped.total(), skipped);
    let changed = report.changed.iter().map(|c| {
        let how = match c.change {
            Change::Grew => "grew while it was read",
            Change::Shrank => "shrank while it was read",
            _ => "changed while it was read",
        };
        format!("{}: {how}", bytes(&c.path))
    });
    list(&mut lines, "changed", report.changed.total(), changed);
    let warnings = report.warnings.iter().map(|w| plain(&w.to_string()));
    list(&mut lines, "warnings", report.warnings.len() as u64, warnings);
    lines.join("\n")
}

/// Adds a title with the number of items, and the first items.
pub fn list(lines: &mut Vec<String>, title: &str, n: u64, items: impl Iterator<Item = String>) {
    lines.push(format!("{title:<10}{}", if n == 0 { "none".into() } else { count(n) }));
    lines.extend(items.take(LIST_MAX).map(|item| format!("  {item}")));
    if let Some(more) = n.checked_sub(LIST_MAX as u64).filter(|&more| more > 0) {
        let lists = if n <= LISTED_MAX as u64 { "all" } else { "1,000" };
        lines.push(format!("  … and {} more (--json lists {lists})", count(more)));
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
