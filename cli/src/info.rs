//! `wingback info`: the identity of an archive.

use std::path::Path;

use wingback::{Error, ErrorKind, Info};

use crate::{
    args,
    output::{Style, bytes, plain, print, say},
    status::Status,
    units::{contents, count, plural, rfc3339, size},
};

pub async fn info(args: &args::Info) -> Status {
    let style = if args.json { Style::Json } else { Style::Quiet };
    match read(style, args).await {
        Ok(info) if args.json => print(&info),
        Ok(info) => say(&text(&info)),
        Err(e) => {
            style.error(&e);
            return Status::Failed;
        }
    }
    Status::Done
}

async fn read(style: Style, args: &args::Info) -> Result<Info, Error> {
    let refuse = |why: &str| {
        Error::new(ErrorKind::InvalidInput, "read the identity of").at(&args.archive).caused_by(why)
    };
    if args.archive == Path::new("-") {
        return Err(refuse("standard input has no end to begin with: name a file"));
    }
    let info = style.run_on(&args.archive, &args.remote, |archive| archive.info()).await?;
    info.ok_or_else(|| {
        refuse("it has no index: another program made it, or its end is missing or damaged")
    })
}

/// Formats an identity for people. Fields that the archive does not have are left out.
fn text(info: &Info) -> String {
    let mut lines = Vec::new();
    let mut put = |title: &str, value: String| lines.push(format!("{title:<10}{value}"));
    if !info.label.is_empty() {
        put("label", bytes(&info.label));
    }
    for (key, value) in &info.tags {
        put("tag", plain(&format!("{key}={value}")));
    }
    if let Some(source) = &info.source {
        put("source", bytes(source));
    }
    if let Some(host) = &info.host {
        put("host", plain(host));
    }
    if let Some(made) = info.made_ns() {
        put("made", rfc3339(made));
    }
    put("tool", plain(&info.tool));
    put("size", format!("{} ({} bytes)", size(info.size), count(info.size)));
    put("content", contents(info.files, info.directories, info.symlinks, info.content));
    put("skipped", if info.skipped == 0 { "none".into() } else { count(info.skipped) });
    put("tar", format!("{}, {}", size(info.tar_len), plural(info.segments, "segment")));
    put("encoder", info.encoder.to_string());
    put("profile", info.profile.code().into());
    let patterns: Vec<_> =
        info.excludes.split(|&b| b == b'\n').filter(|line| !line.is_empty()).collect();
    match patterns.len() {
        0 => put("patterns", "none".into()),
        n => put("patterns", format!("{}, rules {}", count(n as u64), info.rules.code())),
    }
    lines.extend(patterns.into_iter().map(|pattern| format!("  {}", bytes(pattern))));
    lines.join("\n")
}
