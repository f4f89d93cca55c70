//! Bytes that are kept until they are written, beyond a limit in a file without a name.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use crate::error::{Error, Result};

/// Bytes that are kept in memory.
const MEMORY_MAX: usize = 8 << 20;

/// Bytes that are returned at once.
const CHUNK: usize = 256 << 10;

/// Bytes in the order in which they were written. The first 8 MiB are in memory. More are in a file without
/// a name in `$TMPDIR` or `/var/tmp`, which vanishes with the process.
#[derive(Debug, Default)]
pub(crate) struct Spill {
    memory: Vec<u8>,
    file: Option<File>,
    len: u64,
}

impl Spill {
    /// Returns the number of bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) or [`ErrorKind::NoSpace`](crate::ErrorKind::NoSpace) if the
    /// file cannot be made or written.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.memory.extend(bytes);
        self.len += bytes.len() as u64;
        if self.memory.len() > MEMORY_MAX {
            self.move_to_file()?;
        }
        Ok(())
    }

    fn move_to_file(&mut self) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(unnamed_file(&temp_dir())?),
        };
        let fail = |e| Error::io("write a temporary file", e);
        file.seek(SeekFrom::End(0)).map_err(fail)?;
        file.write_all(&self.memory).map_err(fail)?;
        self.memory.clear();
        Ok(())
    }

    /// Fills `into` with the bytes at offset `at`. The caller asks only for bytes that were written.
    pub(crate) fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        let in_memory_at = self.len - self.memory.len() as u64;
        let in_file = in_memory_at.saturating_sub(at).min(into.len() as u64) as usize;
        let (from_file, from_memory) = into.split_at_mut(in_file);
        if let (Some(file), false) = (&self.file, from_file.is_empty()) {
            file.read_exact_at(from_file, at).map_err(|e| Error::io("read a temporary file", e))?;
        }
        if !from_memory.is_empty() {
            let start = (at + in_file as u64 - in_memory_at) as usize;
            from_memory.copy_from_slice(&self.memory[start..start + from_memory.len()]);
        }
        Ok(())
    }

    /// Passes all bytes to `emit`, in order.
    pub(crate) fn read_back(&self, mut emit: impl FnMut(Vec<u8>) -> Result<()>) -> Result<()> {
        let mut at = 0;
        while at < self.len {
            let mut chunk = vec![0; (self.len - at).min(CHUNK as u64) as usize];
            self.read_at(at, &mut chunk)?;
            at += chunk.len() as u64;
            emit(chunk)?;
        }
        Ok(())
    }
}

/// Returns the directory for large temporary files: `$TMPDIR`, or `/var/tmp`, which is not in memory.
pub(crate) fn temp_dir() -> PathBuf {
    std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from)
}

/// Makes a file without a name, so that nothing of it can stay behind.
pub(crate) fn unnamed_file(dir: &Path) -> Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        // The file system has no files without a name.
        Err(_) => unlinked(dir),
    }
}

/// Makes a file, and removes its name at once.
fn unlinked(dir: &Path) -> Result<File> {
    let path = dir.join(format!(".wingback-{}", uuid::Uuid::new_v4()));
    let fail = |e: rustix::io::Errno| Error::io("make a temporary file in", e).at(dir);
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(fail)?;
    rustix::fs::unlink(&path).map_err(fail)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_in_order_from_memory_and_from_the_file() {
        let mut spill = Spill::default();
        let byte = |at: usize| (at / 1000 % 251) as u8;
        let len = 2 * MEMORY_MAX + MEMORY_MAX / 2;
        for at in (0..len).step_by(100_000) {
            let piece: Vec<u8> = (at..(at + 100_000).min(len)).map(byte).collect();
            spill.write(&piece).expect("written");
        }
        assert!(spill.file.is_some() && !spill.memory.is_empty() && spill.len() == len as u64);
        let mut at = 0;
        spill
            .read_back(|chunk| {
                assert!(chunk.iter().enumerate().all(|(i, b)| *b == byte(at + i)));
                at += chunk.len();
                Ok(())
            })
            .expect("read");
        assert_eq!(at, len);
        // Across the border of file and memory.
        let border = (spill.len - spill.memory.len() as u64) as usize;
        let mut across = [0; 2000];
        spill.read_at(border as u64 - 1000, &mut across).expect("read");
        assert!(across.iter().enumerate().all(|(i, b)| *b == byte(border - 1000 + i)));
    }
}
