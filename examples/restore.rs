//! Restores a directory from an archive.
//!
//! ```text
//! cargo run --example restore -- ARCHIVE DIR STATE
//! ```
//!
//! The content of DIR becomes exactly that of ARCHIVE. Stop the game server first.
//! STATE is a directory for the records of restores. Only the operator may be able to write to it.

use std::{env, ffi::OsStr, process::exit};

use wingback::{Archive, Restore, Result};

fn main() -> Result<()> {
    let args: Vec<_> = env::args_os().skip(1).collect();
    let [archive, dir, state] = &*args else {
        eprintln!("usage: restore ARCHIVE DIR STATE");
        exit(2);
    };
    smol::block_on(restore(archive, dir, state))
}

async fn restore(archive: &OsStr, dir: &OsStr, state: &OsStr) -> Result<()> {
    // DIR changes only after the whole archive was read and checked. If a kill or a power cut interrupts
    // the exchange, the next restore with this state directory finishes or undoes it first.
    let restored = Restore::new(dir).state_dir(state).start(Archive::file(archive)).await?;
    if let Some(recovered) = restored.recovered {
        println!("an earlier restore was interrupted: {recovered:?}");
    }
    println!("{} files in {:?}", restored.unpacked.files, restored.duration);
    for warning in &restored.warnings {
        println!("warning: {warning}");
    }
    Ok(())
}
