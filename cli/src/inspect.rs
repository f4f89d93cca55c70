//! `wingback list`, `cat` and `verify` of one archive. They read an archive and change nothing.

use futures::TryStreamExt;
use smol::Unblock;
use wingback::{Damage, Error, List, Listed, Member, MemberKind, Verified, Verify};

use crate::{
    archives, args,
    output::{Lines, Style, bytes, complain, json_line, list as list_lines, print, say},
    status::Status,
    units::{count, plural, size, timestamp},
    verify_all::verify_all,
};

pub async fn list(args: &args::List) -> Status {
    let style = Style::of_short(args.json);
    let list = List::new().max_members(args.max_members);
    let list = args.patterns.iter().fold(list, |list, pattern| {
        list.select(std::os::unix::ffi::OsStrExt::as_bytes(pattern.as_os_str()))
    });
    let mut members = match archives::archive(&args.archive, &args.remote) {
        Ok(archive) => list.stream(args.limit.on(archive)),
        Err(e) => {
            style.error(&e);
            return Status::Failed;
        }
    };
    let mut lines = Lines::default();
    let handle = members.handle();
    let print_all = async {
        while let Some(member) = members.try_next().await? {
            lines.say(&if args.json { json_line(&member) } else { line(&member) });
        }
        Ok(())
    };
    let listed = style.watch(handle, print_all).await;
    lines.flush();
    if let Err(e) = listed {
        style.error(&e);
        return Status::Failed;
    }
    match (args.json, members.read_method()) {
        (true, _) => print(&members),
        (false, Some(method)) => {
            complain(&format!("{}, read {method}", plural(members.returned(), "member")));
        }
        (false, None) => {}
    }
    unmatched(members.unmatched())
}

/// Reports patterns that matched nothing.
pub fn unmatched(patterns: &[Vec<u8>]) -> Status {
    for pattern in patterns {
        complain(&format!("{}: nothing in the archive matches it", bytes(pattern)));
    }
    if patterns.is_empty() { Status::Done } else { Status::Failed }
}

/// Formats a member like `ls -l`.
fn line(member: &Member) -> String {
    let kind = match member.kind {
        MemberKind::File => '-',
        MemberKind::Directory => 'd',
        MemberKind::Symlink => 'l',
        MemberKind::HardLink => 'h',
        MemberKind::Fifo => 'p',
        MemberKind::CharDevice => 'c',
        _ => 'b',
    };
    let bits = (0..9).rev().zip("rwxrwxrwx".chars());
    let mode: String = bits.map(|(i, c)| if member.mode >> i & 1 == 1 { c } else { '-' }).collect();
    let slash = if member.kind == MemberKind::Directory { "/" } else { "" };
    let (size, time) = (member.size, timestamp(member.mtime_ns));
    format!("{kind}{mode} {size:>12}  {time}  {}{slash}", bytes(&member.path))
}

pub async fn cat(args: &args::Cat) -> Status {
    let style = Style::of_short(false);
    let mut out = Unblock::with_capacity(1 << 20, std::io::stdout());
    let path = std::os::unix::ffi::OsStrExt::as_bytes(args.path.as_os_str());
    let to = &mut out;
    let copy = |archive| args.limits.on(archive).copy_file(path, to);
    match style.run_on(&args.archive, &args.remote, copy).await {
        Ok(_) => Status::Done,
        Err(e) if is_closed_pipe(&e) => Status::Done,
        Err(e) => {
            style.error(&e);
            Status::Failed
        }
    }
}

/// Whether the reader of standard output closed it. A lost connection to a service is different.
fn is_closed_pipe(error: &Error) -> bool {
    if error.operation() != "write" {
        return false;
    }
    let source = std::error::Error::source(error);
    let source = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

pub async fn verify(args: &args::Verify) -> Status {
    if archives::is_place(&args.archive) {
        return verify_all(args).await;
    }
    let all = &args.all;
    if all.sample.is_some() || all.label.is_some() || all.restart {
        complain("--sample, --label and --restart are for a directory, or s3://bucket/prefix/");
        return Status::Usage;
    }
    let style = Style::of(&args.output);
    let mut verify = Verify::new().background(args.background);
    if let Some(threads) = args.threads {
        verify = verify.threads(threads.into());
    }
    if let Some(sha1) = args.sha1 {
        verify = verify.sha1(sha1);
    }
    let start = |archive| verify.start(args.limit.on(archive));
    let verified = match style.run_on(&args.archive, &args.remote, start).await {
        Ok(verified) => verified,
        Err(e) => {
            style.error(&e);
            return Status::Failed;
        }
    };
    match style {
        Style::Json => print(&verified),
        _ => say(&verified_text(&verified)),
    }
    if verified.is_whole() { Status::Done } else { Status::Failed }
}

fn verified_text(verified: &Verified) -> String {
    let state = match (verified.damage.is_empty(), verified.sha1_matches) {
        (false, _) => "DAMAGED",
        (true, Some(false)) => "whole, but ANOTHER ONE than the SHA-1 says",
        (true, _) => "whole",
    };
    let mut lines = vec![
        format!("archive   {state}"),
        format!(
            "checked   {}, {}, {}",
            plural(verified.files, "file"),
            plural(verified.segments, "segment"),
            verified.read_method
        ),
    ];
    if let Some(bytes) = verified.size {
        lines.push(format!("size      {} ({} bytes)", size(bytes), count(bytes)));
    }
    if let Some(matches) = verified.sha1_matches {
        let says = match (matches, verified.sha1) {
            (true, _) => "as given".to_owned(),
            (false, Some(sha1)) => format!("{sha1}, NOT the one given"),
            (false, None) => "unknown, because the archive could not be read completely".to_owned(),
        };
        lines.push(format!("sha1      {says}"));
    }
    lines.push(format!("time      {:.2} s", verified.duration.as_secs_f64()));
    if !verified.damage.is_empty() {
        damage_lines(&mut lines, &verified.damage);
        let whole = verified.whole_files.iter().map(|path| bytes(path));
        list_lines(&mut lines, "whole", verified.whole_files.total(), whole);
    }
    lines.join("\n")
}

/// Adds the damage, and the members that are lost.
pub fn damage_lines(lines: &mut Vec<String>, damage: &Listed<Damage>) {
    let members: Vec<_> = damage.iter().flat_map(|d| &d.members).collect();
    let lines_of_damage = damage.iter().map(|d| crate::output::plain(&d.to_string()));
    list_lines(lines, "damage", damage.total(), lines_of_damage);
    list_lines(lines, "lost", members.len() as u64, members.iter().map(|path| bytes(path)));
    if damage.iter().any(|d| d.truncates_rest) {
        lines.push("          and everything after it".to_owned());
    }
}
