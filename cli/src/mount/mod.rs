//! `wingback mount`.

mod file_system;
mod folders;
mod listing;
mod nodes;
mod readers;
mod tree;

use std::{
    fs::{OpenOptions, read_dir},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use fuser::{MountOption, Session};
use futures::{
    channel::oneshot,
    future::{Either, select},
};
use rustix::mount::{UnmountFlags, unmount};
use wingback::{ArchiveReader, Archives, Error, ErrorKind, Result, Store};

use crate::{
    archives, args,
    mount::{file_system::FileSystem, readers::Readers, tree::Tree},
    output::{Style, complain, plain, say},
    signals,
    status::Status,
    units::plural,
};

const DEVICE: &str = "/dev/fuse";

pub async fn mount(args: args::Mount) -> Status {
    match run(args).await {
        Ok(()) => Status::Done,
        Err(e) => {
            Style::Quiet.error(&e);
            Status::Failed
        }
    }
}

/// Mounts the archives, and serves them until they are unmounted.
async fn run(args: args::Mount) -> Result<()> {
    let dir = mount_point(&args.mountpoint)?;
    let mut options = vec![
        MountOption::FSName("wingback".to_owned()),
        MountOption::Subtype("wingback".to_owned()),
        MountOption::RO,
        MountOption::NoSuid,
        MountOption::NoDev,
        // The kernel compares owners and modes.
        MountOption::DefaultPermissions,
    ];
    if args.allow_other {
        options.push(MountOption::AllowOther);
    }
    // A signal after the mount must unmount.
    signals::listen();
    let (tree, what) = open(args).await?;
    let mut session =
        Session::new(FileSystem::new(tree), &dir, &options).map_err(|e| not_mounted(e, &dir))?;
    let mut unmounter = session.unmount_callable();
    let (ended, has_ended) = oneshot::channel();
    let serve = move || {
        // The receiver is gone if a signal ends the command.
        let _ = ended.send(session.run());
    };
    let thread = thread::Builder::new().name("fuse".to_owned()).spawn(serve);
    thread.map_err(|e| Error::io("start a thread", e))?;
    say(&format!("mounted   {} at {}", plain(&what), plain(&dir.to_string_lossy())));
    let signal = std::pin::pin!(signals::first());
    match select(has_ended, signal).await {
        Either::Left((Ok(result), _)) => {
            result.map_err(|e| Error::io("serve the files", e).at(dir))
        }
        Either::Left((Err(_), _)) => {
            Err(Error::new(ErrorKind::Internal, "serve the files").caused_by("a thread panicked"))
        }
        Either::Right(_) => {
            // Processes that still use it get errors after this one has ended.
            if unmount(&dir, UnmountFlags::DETACH).is_err() {
                // Without the permission, fusermount3 does it.
                let _ = unmounter.unmount();
            }
            Err(Error::new(ErrorKind::Cancelled, "cancelled"))
        }
    }
}

/// Returns the path of the mount point. Fails unless it is a directory, and FUSE is available.
fn mount_point(path: &Path) -> Result<PathBuf> {
    let dir = path.canonicalize().and_then(|dir| read_dir(&dir).map(|_| dir));
    let dir = dir.map_err(|e| Error::io("open the mount point", e).at(path))?;
    let device = OpenOptions::new().read(true).write(true).open(DEVICE);
    device.map_err(|e| Error::io("open the device", e).at(DEVICE))?;
    Ok(dir)
}

/// Opens the archives. Also returns what they are.
async fn open(args: args::Mount) -> Result<(Tree, String)> {
    let limit = args.limit.limiter();
    if !archives::is_place(&args.place) {
        let archive = archives::archive(&args.place, &args.remote)?.read_limit(limit.clone());
        let reader = Style::Quiet.run(ArchiveReader::open(archive)).await?;
        let what = args.place.to_string_lossy().into_owned();
        return Ok((Tree::of_one(Readers::of_one(args.place, args.remote, limit, reader)), what));
    }
    let store: Arc<dyn Store> = archives::existing(&args.place, &args.remote)?.into();
    let archives = Style::of_tasks(false).run(Archives::new().start(store.clone())).await?;
    let (whole, others): (Vec<_>, Vec<_>) = archives.into_iter().partition(|one| one.is_whole());
    for archive in others {
        let location = store.location(&archive.key);
        let why = "it has no index to use";
        complain(&format!("left out: {}: {why}", location.to_string_lossy()));
    }
    let what = plural(whole.len() as u64, "archive");
    Ok((Tree::of_many(Readers::of_many(store, whole, limit)), what))
}

fn not_mounted(error: io::Error, dir: &Path) -> Error {
    let error = match (error.kind(), error.raw_os_error()) {
        // The mount point and the device were there.
        (kind @ io::ErrorKind::NotFound, _) => {
            io::Error::new(kind, "fusermount3 of the package fuse3 is not installed")
        }
        // fusermount3 says why, and may do so on several lines.
        (kind, None) => io::Error::new(kind, error.to_string().trim().replace('\n', "; ")),
        _ => error,
    };
    Error::io("mount", error).at(dir)
}
