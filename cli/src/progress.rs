//! Progress for people: a bar on a terminal, or a line every few seconds.

use std::{
    cell::Cell,
    io::{Write, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wingback::{Phase, Progress};

use crate::units::{clock, plural, size};

/// Shows progress.
pub type Show = Box<dyn FnMut(&Progress)>;

/// A shorter command shows no bar.
pub const DELAY: Duration = Duration::from_secs(1);

/// Time between two changes of a bar.
pub const TICK: Duration = Duration::from_millis(100);

/// Shows progress as a bar that takes the rest of a line. The terminal has no bar after `Committing`.
pub fn bar() -> Show {
    let mut shown: Option<ProgressBar> = None;
    Box::new(move |progress| {
        let total = progress.expected.map(|expected| expected.bytes);
        let bar = match shown.take() {
            Some(bar) if bar.length() == total => bar,
            _ => new_bar(total),
        };
        bar.set_message(line(progress));
        bar.set_position(progress.bytes);
        match progress.phase {
            Phase::Committing => bar.finish_and_clear(),
            _ => bar.tick(),
        }
        shown = Some(bar);
    })
}

fn new_bar(total: Option<u64>) -> ProgressBar {
    let template = if total.is_some() { "[{wide_bar}] {msg}" } else { "{spinner} {msg}" };
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr()).with_style(style)
}

/// Shows how much a command without a task has done, such as `removed: 12`. A drop of the future removes it.
pub async fn count(what: &str, done: &Cell<u64>) {
    smol::Timer::after(DELAY).await;
    let bar = new_bar(None);
    loop {
        bar.set_message(format!("{what}: {}", crate::units::count(done.get())));
        bar.tick();
        smol::Timer::after(TICK).await;
    }
}

/// Shows progress as lines.
pub fn lines() -> Show {
    Box::new(|progress| {
        let _ = writeln!(stderr(), "{}", line(progress));
    })
}

/// Formats progress in at most 79 columns, so that a line does not wrap.
fn line(progress: &Progress) -> String {
    let mut parts = Vec::new();
    match (progress.expected, progress.percent()) {
        (Some(expected), Some(percent)) => {
            parts.push(format!("{} % of {}", percent as u64, size(expected.bytes)));
        }
        _ => {
            parts.push(plural(progress.files, "file"));
            if progress.bytes > 0 {
                parts.push(size(progress.bytes));
            }
        }
    }
    if progress.rate > 0 {
        parts.push(format!("{}/s", size(progress.rate)));
    }
    if let Some(time) = progress.time_left {
        parts.push(format!("{} left", clock(time)));
    }
    match (progress.written, progress.uploaded + progress.copied_in_store) {
        (0, _) => {}
        (written, 0) => parts.push(format!("{} written", size(written))),
        (_, uploaded) => parts.push(format!("{} uploaded", size(uploaded))),
    }
    format!("{}: {}", phase(progress.phase), parts.join(", "))
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
