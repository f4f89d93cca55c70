//! Backs up a directory. Shows the progress, and cancels when Enter is pressed.
//!
//! ```text
//! cargo run --example back_up -- DIR TO
//! ```
//!
//! DIR is the directory to back up, and TO the directory for archives.

use std::{env, ffi::OsStr, io, process::exit, thread, time::Duration};

use smol::{Timer, future::zip, stream::StreamExt};
use wingback::{Backup, Handle, LocalStore, Result};

fn main() -> Result<()> {
    let args: Vec<_> = env::args_os().skip(1).collect();
    let [dir, to] = &*args else {
        eprintln!("usage: back_up DIR TO");
        exit(2);
    };
    // Any executor can poll the task. This one also has a timer.
    smol::block_on(back_up(dir, to))
}

async fn back_up(dir: &OsStr, to: &OsStr) -> Result<()> {
    let store = LocalStore::new(to).mkdir(true);
    let key = store.key(uuid::Uuid::new_v4());
    let path = store.path(&key);
    let task = Backup::new(dir).exclude("*.log\ncache/**").count_first(true).start(store, key);

    let handle = task.handle();
    thread::spawn({
        let handle = handle.clone();
        move || cancel_at_enter(&handle)
    });
    // The progress ends when the task ends, also if it fails.
    let (report, ()) = zip(task, show_progress(&handle)).await;

    let report = report?;
    println!("{}", path.display());
    println!("{} files, {} bytes, SHA-1 {}", report.files, report.size, report.sha1);
    for skipped in &report.skipped {
        println!("skipped {}: {}", String::from_utf8_lossy(&skipped.path), skipped.reason);
    }
    Ok(())
}

async fn show_progress(handle: &Handle) {
    let mut updates = handle.updates();
    while let Some(progress) = updates.next().await {
        let (files, bytes) = (progress.files, progress.bytes);
        let expected = progress.expected.map_or("?".into(), |expected| expected.bytes.to_string());
        eprintln!("{}: {files} files, {bytes} of {expected} bytes", progress.phase.code());
        // A slow reader misses updates, but never the last one.
        Timer::after(Duration::from_millis(100)).await;
    }
}

fn cancel_at_enter(handle: &Handle) {
    let mut line = String::new();
    if io::stdin().read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        // The task removes what it wrote, and then resolves with `ErrorKind::Cancelled`.
        handle.cancel();
    }
}
