//! `wingback verify` of all archives of a place.

use std::{os::unix::ffi::OsStrExt, path::Path};

use futures::TryStreamExt;
use wingback::{ArchiveCheck, Error, ErrorKind, VerifiedAll, VerifyAll, VerifyAllStream};

use crate::{
    archives, args,
    output::{Style, bytes, complain, list, plain, print, say},
    status::Status,
    units::{plural, size, timestamp},
};

pub async fn verify_all(args: &args::Verify) -> Status {
    if args.sha1.is_some() {
        complain("--sha1 is for one archive");
        return Status::Usage;
    }
    let style = Style::of(&args.output);
    match run(args, style).await {
        Ok(all) => {
            match style {
                Style::Json => print(&all),
                _ => say(&summary(&all)),
            }
            if all.is_whole() { Status::Done } else { Status::Failed }
        }
        Err(e) => {
            style.error(&e);
            Status::Failed
        }
    }
}

/// Prints each check.
async fn run(args: &args::Verify, style: Style) -> Result<VerifiedAll, Error> {
    let mut checks = start(args)?;
    let handle = checks.handle();
    let print_all = async {
        while let Some(check) = checks.try_next().await? {
            match style {
                Style::Json => print(&check),
                _ => say(&line(&check)),
            }
        }
        Ok(())
    };
    style.watch(handle, print_all).await?;
    let all = checks.verified_all().cloned();
    all.ok_or_else(|| Error::new(ErrorKind::Internal, "verify"))
}

fn start(args: &args::Verify) -> Result<VerifyAllStream<'static>, Error> {
    let store = archives::existing(&args.archive, &args.remote)?;
    let all = &args.all;
    let mut verify = VerifyAll::new().restart(all.restart).background(args.background);
    verify = verify.read_limit(args.limit.limiter());
    if let Some(threads) = args.threads {
        verify = verify.threads(threads.into());
    }
    if let Some(percent) = all.sample {
        verify = verify.sample(percent);
    }
    if let Some(label) = &all.label {
        verify = verify.label(label.as_bytes());
    }
    let place = name_of(&args.archive);
    Ok(verify.record(all.state_dir.clone(), place.as_os_str().as_bytes()).start(store))
}

/// Returns the name of a place in its record. A directory has one name, however it is written.
fn name_of(place: &Path) -> std::path::PathBuf {
    place.canonicalize().unwrap_or_else(|_| place.to_owned())
}

fn line(check: &ArchiveCheck) -> String {
    let archive = &check.archive;
    let (word, why) = match &check.result {
        Ok(verified) if verified.is_whole() => ("whole", String::new()),
        Ok(verified) => {
            let lost: usize = verified.damage.iter().map(|damage| damage.members.len()).sum();
            ("DAMAGED", format!("  ({} lost)", plural(lost as u64, "member")))
        }
        Err(e) if e.kind() == ErrorKind::Corrupt => ("DAMAGED", format!("  ({e})")),
        Err(e) => ("unread", format!("  ({e})")),
    };
    let none = || "-".to_owned();
    let made = archive.made_ns().map_or_else(none, timestamp);
    let label = archive.label().map_or_else(none, bytes);
    let (size, key) = (size(archive.size), &archive.key);
    format!("{word:<8}{made:<19}  {size:>10}  {label:<16}  {}", plain(&format!("{key}{why}")))
}

fn summary(all: &VerifiedAll) -> String {
    let mut lines = vec![format!(
        "verified  {} of {}, {}",
        all.verified,
        plural(all.archives, "archive"),
        size(all.bytes),
    )];
    if let Some(began) = all.resumed {
        let began = timestamp(nanoseconds(began));
        lines.push(format!("earlier   {} in the pass of {began}", plural(all.earlier, "archive")));
    }
    if all.failed > 0 {
        lines.push(format!("unread    {}", all.failed));
    }
    let oldest = match (all.never, all.oldest) {
        (0, Some(oldest)) => timestamp(nanoseconds(oldest)),
        (0, None) => "none".to_owned(),
        (never, _) => format!("{} never verified", plural(never, "archive")),
    };
    lines.push(format!("oldest    {oldest}"));
    lines.push(format!("time      {:.2} s", all.duration.as_secs_f64()));
    let damaged = all.damaged.iter().map(|key| plain(key.as_str()));
    list(&mut lines, "damaged", all.damaged.total(), damaged);
    lines.join("\n")
}

fn nanoseconds(time: std::time::SystemTime) -> i64 {
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
