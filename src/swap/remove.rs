//! Removes trees: no link followed, no mount entered, as deep as they may be.

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode},
    io::Errno,
};

use crate::{
    swap::ops::{self, At},
    unpack::beneath::Beneath,
    walk::root::DIRECTORY,
};

/// Removes all that lies in `trash`. Directories that are not empty have their directories moved up
/// into `trash` first, so that no path becomes long and no descriptor stays open.
pub(crate) fn empty(trash: &Beneath) -> Result<(), Errno> {
    let mut moved = 0;
    loop {
        let names = names(trash)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            let stat = At(trash, &name).stat()?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                ops::remove_file(trash, &name)?;
                continue;
            }
            match ops::remove_dir(trash, &name) {
                // POSIX lets it be either.
                Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                result => {
                    result?;
                    continue;
                }
            }
            let dir = Beneath::from_fd(open_for_removal(trash, &name)?);
            for inner in self::names(&dir)? {
                let stat = rustix::fs::statat(&dir, &*inner, AtFlags::SYMLINK_NOFOLLOW)?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                    ops::remove_file(&dir, &inner)?;
                } else if ops::remove_dir(&dir, &inner).is_err() {
                    let up = loop {
                        let up = format!("moved-{moved}").into_bytes();
                        moved += 1;
                        if !At(trash, &up).exists()? {
                            break up;
                        }
                    };
                    // A mount point cannot be renamed (EBUSY), so none is ever entered.
                    ops::rename(At(&dir, &inner), At(trash, &up), false)?;
                }
            }
            ops::remove_dir(trash, &name)?;
        }
    }
}

fn open_for_removal(at: &Beneath, name: &[u8]) -> Result<std::os::fd::OwnedFd, Errno> {
    let open = || rustix::fs::openat(at, name, DIRECTORY, Mode::empty());
    let dir = match open() {
        Err(Errno::ACCESS) => {
            // Ours, but closed to ourselves. What stands here was just seen to be a directory, and
            // nobody else may write to the trash.
            rustix::fs::chmodat(at, name, Mode::RWXU, AtFlags::empty())?;
            open()?
        }
        result => result?,
    };
    let mode = Mode::from_raw_mode(rustix::fs::fstat(&dir)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        ops::chmod(&dir, mode | Mode::RWXU)?;
    }
    Ok(dir)
}

/// The names in a directory.
pub(crate) fn names(dir: &Beneath) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    Ok(names)
}
