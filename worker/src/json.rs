//! Results of the engine as JSON: the results of events here, and the lines of `--json` of the command.
//! `docs/command.md` documents them. Fields are added, never changed.
#![allow(missing_docs, reason = "each function returns its argument as an object")]

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
#[cfg(feature = "s3")]
use wingback::UploadedPart;
use wingback::{
    Damage, Error, Estimate, Extracted, Member, MemberStream, NotExtracted, Object, Progress,
    ReadMethod, Recovered, Report, Restored, Sha1, Unpacked, Verified, Warning,
};

pub fn progress(progress: &Progress) -> Value {
    json!({
        "type": "progress",
        "phase": progress.phase.code(),
        "files": progress.files,
        "bytes": progress.bytes,
        "written": progress.written,
        "uploaded": progress.uploaded,
        "expected_files": progress.expected.map(|e| e.files),
        "expected_bytes": progress.expected.map(|e| e.bytes),
    })
}

pub fn report(report: &Report) -> Value {
    let skipped = report.skipped.iter().map(|skipped| {
        with_path(
            &skipped.path,
            json!({
                "reason": skipped.reason.code(),
                "message": skipped.reason.to_string(),
                "loss": skipped.reason.is_data_loss(),
            }),
        )
    });
    let changed = report
        .changed
        .iter()
        .map(|changed| with_path(&changed.path, json!({ "change": changed.change.code() })));
    json!({
            "type": "report",
            "size": report.size,
            "sha1": report.sha1_hex(),
            "files": report.files,
            "directories": report.directories,
            "symlinks": report.symlinks,
            "hard_links": report.hard_links,
            "content": report.content,
            "read": report.read,
            "copied": report.copied,
            "compressed": report.compressed,
            "segments": report.segments,
            "excluded": report.excluded,
            "skipped": skipped.collect::<Vec<_>>(),
            "skipped_more": report.skipped.more(),
            "changed": changed.collect::<Vec<_>>(),
            "changed_more": report.changed.more(),
            "warnings": warnings(&report.warnings),
            "partial": report.is_partial(),
            "duration_ms": report.duration.as_millis() as u64,
    })
}

fn warnings(warnings: &[Warning]) -> Value {
    let warnings = warnings.iter().map(|warning| {
        let object = json!({ "code": warning.code(), "message": warning.to_string() });
        match warning.path() {
            Some(path) => with_path(path, object),
            None => object,
        }
    });
    warnings.collect()
}

pub fn estimate(estimate: &Estimate) -> Value {
    json!({
        "type": "estimate",
        "files": estimate.files,
        "directories": estimate.directories,
        "symlinks": estimate.symlinks,
        "content": estimate.content,
        "archive_max": estimate.archive_max,
    })
}

pub fn error(error: &Error) -> Value {
    use std::os::unix::ffi::OsStrExt;
    let object = json!({
        "type": "error",
        "kind": error.kind().code(),
        "operation": error.operation(),
        "message": error.to_string(),
        "retryable": error.is_retryable(),
    });
    match error.path() {
        Some(path) => with_path(path.as_os_str().as_bytes(), object),
        None => object,
    }
}

pub fn member(member: &Member) -> Value {
    let object = with_path(
        &member.path,
        json!({
            "type": "member",
            "kind": member.kind.code(),
            "mode": format!("{:04o}", member.mode),
            "size": member.size,
            "mtime_ns": member.mtime_ns,
            "uid": member.uid,
            "gid": member.gid,
        }),
    );
    match &*member.target {
        [] => object,
        target => with_bytes("target", target, object),
    }
}

pub fn verified(verified: &Verified) -> Value {
    let whole = verified.whole.iter().map(|path| with_path(path, json!({})));
    with_fields(
        json!({
            "type": "verified",
            "whole": verified.is_whole(),
            "size": verified.size,
            "sha1": verified.sha1.map(|sha1| Sha1(sha1).to_string()),
            "sha1_matches": verified.sha1_matches,
            "segments": verified.segments,
            "files": verified.files,
            "damage": damage_of(&verified.damage),
            "damage_more": verified.damage.more(),
            "whole_files": whole.collect::<Vec<_>>(),
            "whole_files_more": verified.whole.more(),
            "duration_ms": verified.duration.as_millis() as u64,
        }),
        read_method(verified.read_method),
    )
}

fn damage_of(damage: &[Damage]) -> Value {
    let damage = damage.iter().map(|damage| {
        json!({
            "code": damage.code(),
            "problem": damage.problem,
            "segment": damage.segment,
            "start": damage.range.as_ref().map(|r| r.start),
            "end": damage.range.as_ref().map(|r| r.end),
            "members": damage.members.iter().map(|m| with_path(m, json!({}))).collect::<Vec<_>>(),
            "truncates_rest": damage.truncates_rest,
        })
    });
    damage.collect()
}

fn skipped_json(skipped: &[NotExtracted]) -> Value {
    let skipped = skipped.iter().map(|skipped| {
        let message = skipped.reason.to_string();
        with_path(&skipped.path, json!({ "reason": skipped.reason.code(), "message": message }))
    });
    skipped.collect()
}

fn unpacked_json(unpacked: &Unpacked) -> Value {
    json!({
        "files": unpacked.files,
        "directories": unpacked.directories,
        "symlinks": unpacked.symlinks,
        "hard_links": unpacked.hard_links,
        "content": unpacked.content,
        "skipped": skipped_json(&unpacked.skipped),
        "skipped_more": unpacked.skipped.more(),
        "refused": unpacked.refused,
    })
}

pub fn extracted(done: &Extracted) -> Value {
    with_fields(
        json!({
            "type": "extracted",
            "warnings": warnings(&done.warnings),
            "damage": damage_of(&done.damage),
            "damage_more": done.damage.more(),
            "unmatched": done.unmatched.iter().map(|p| String::from_utf8_lossy(p)).collect::<Vec<_>>(),
            "duration_ms": done.duration.as_millis() as u64,
        }),
        with_fields(unpacked_json(&done.unpacked), read_method(done.read_method)),
    )
}

pub fn restored(done: &Restored) -> Value {
    with_fields(
        json!({
            "type": "restored",
            "recovered": done.recovered.map(Recovered::code),
            "warnings": warnings(&done.warnings),
            "duration_ms": done.duration.as_millis() as u64,
        }),
        with_fields(unpacked_json(&done.unpacked), read_method(done.read_method)),
    )
}

pub fn recovered(recovered: Option<Recovered>) -> Value {
    json!({ "type": "recovered", "recovered": recovered.map(Recovered::code) })
}

/// Returns the end of a list of so many members.
pub fn listing(listed: &MemberStream<'_>, members: u64) -> Value {
    let unmatched = listed.unmatched().iter().map(|p| String::from_utf8_lossy(p));
    with_fields(
        json!({
            "type": "listing",
            "members": members,
            "unmatched": unmatched.collect::<Vec<_>>(),
        }),
        listed.read_method().map_or(Value::Null, read_method),
    )
}

pub fn object(object: &Object, location: &str) -> Value {
    json!({
        "key": object.key.as_str(),
        "size": object.size,
        "modified_ns": object.modified_ns(),
        "location": location,
    })
}

#[cfg(feature = "s3")]
pub fn parts(parts: &[UploadedPart]) -> Value {
    parts.iter().map(|part| json!({ "number": part.number, "etag": part.etag })).collect()
}

/// Returns how an archive was read.
fn read_method(method: ReadMethod) -> Value {
    match method {
        ReadMethod::Sequential(why) => {
            json!({ "read_method": method.code(), "no_index": why.code() })
        }
        _ => json!({ "read_method": method.code() }),
    }
}

/// Merges the fields of both objects.
pub fn with_fields(mut object: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut object, more) {
        fields.extend(more);
    }
    object
}

/// Adds the path as text, and also as base64 if it is not UTF-8.
pub fn with_path(path: &[u8], object: Value) -> Value {
    with_bytes("path", path, object)
}

fn with_bytes(name: &str, bytes: &[u8], object: Value) -> Value {
    let mut fields = Map::new();
    fields.insert(name.into(), String::from_utf8_lossy(bytes).into());
    if std::str::from_utf8(bytes).is_err() {
        fields.insert(format!("{name}_b64"), STANDARD.encode(bytes).into());
    }
    if let Value::Object(rest) = object {
        fields.extend(rest);
    }
    Value::Object(fields)
}
