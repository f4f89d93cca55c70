//! The JSON that `--json` prints, one object a line. `docs/command.md` documents it; fields are
//! added, never changed.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use uuid::Uuid;
use wingback::{Error, Estimate, Progress, Report, Way};

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

pub fn report(report: &Report, path: &[u8], uuid: Uuid) -> Value {
    let skipped = report.skipped.iter().map(|skipped| {
        with_path(
            &skipped.path,
            json!({
                "reason": skipped.reason.code(),
                "message": skipped.reason.to_string(),
                "loss": skipped.reason.is_loss(),
            }),
        )
    });
    let changed = report
        .changed
        .iter()
        .map(|changed| with_path(&changed.path, json!({ "change": changed.change.code() })));
    with_path(
        path,
        json!({
            "type": "report",
            "uuid": uuid.to_string(),
            "size": report.size,
            "sha1": report.sha1_hex(),
            "files": report.files,
            "directories": report.directories,
            "symlinks": report.symlinks,
            "hard_links": report.hard_links,
            "content": report.content,
            "read": report.read,
            "segments": report.segments,
            "excluded": report.excluded,
            "skipped": skipped.collect::<Vec<_>>(),
            "changed": changed.collect::<Vec<_>>(),
            "warnings": report.warnings.iter().map(|w| w.to_string()).collect::<Vec<_>>(),
            "partial": report.is_partial(),
            "duration_ms": report.duration.as_millis() as u64,
        }),
    )
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

/// Which way an archive was read.
pub fn way(way: Way) -> Value {
    match way {
        Way::Index => json!({ "way": "index" }),
        Way::Sequence(why) => json!({ "way": "sequence", "no_index": why.code() }),
    }
}

/// The fields of both objects.
pub fn with_fields(mut object: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut object, more) {
        fields.extend(more);
    }
    object
}

/// Adds the path as text, and as base64 besides where it is no UTF-8.
pub fn with_path(path: &[u8], object: Value) -> Value {
    let mut fields = Map::new();
    fields.insert("path".into(), String::from_utf8_lossy(path).into());
    if std::str::from_utf8(path).is_err() {
        fields.insert("path_b64".into(), STANDARD.encode(path).into());
    }
    if let Value::Object(rest) = object {
        fields.extend(rest);
    }
    Value::Object(fields)
}
