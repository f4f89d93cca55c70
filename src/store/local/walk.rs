//! Finds the files of a store in its directory and all folders in it. All calls block.

use std::{
    fs::{self, DirEntry},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result},
    name::Key,
    store::Object,
};

/// Calls `found` with each regular file in `dir` and its folders, and with its name relative to `dir`. Follows
/// no link, and does not enter hidden folders. A `dir` that does not exist has no files.
///
/// Folders that the caller may not read are left out, such as `lost+found`.
pub(super) fn files(
    dir: &Path,
    found: &mut dyn FnMut(&Path, &DirEntry) -> Result<()>,
) -> Result<()> {
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = dir.join(&folder);
        let fail = |e| Error::io("list", e).at(&path);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) if e.kind() == ErrorKind::PermissionDenied && folder != Path::new("") => {
                continue;
            }
            Err(e) => return Err(fail(e)),
        };
        for entry in entries {
            let entry = entry.map_err(fail)?;
            let (name, kind) = (folder.join(entry.file_name()), entry.file_type().map_err(fail)?);
            let is_hidden = || entry.file_name().as_encoded_bytes().starts_with(b".");
            if kind.is_dir() && !is_hidden() {
                folders.push(name);
            } else if kind.is_file() {
                found(&name, &entry)?;
            }
        }
    }
    Ok(())
}

/// Returns the files with names that are keys, in the order of the keys.
pub(super) fn objects(dir: &Path) -> Result<Vec<Object>> {
    let mut objects = Vec::new();
    files(dir, &mut |name, entry| {
        let Some(Ok(key)) = name.to_str().map(Key::new) else { return Ok(()) };
        match entry.metadata() {
            Ok(meta) => objects.push(Object::new(key, meta.len(), meta.modified().ok())),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("look at", e).at(dir.join(name))),
        }
        Ok(())
    })?;
    objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(objects)
}
