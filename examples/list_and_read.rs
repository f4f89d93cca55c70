//! Lists an archive, or writes one file of it to standard output.
//!
//! ```text
//! cargo run --example list_and_read -- ARCHIVE
//! cargo run --example list_and_read -- ARCHIVE FILE
//! ```
//!
//! ARCHIVE is any `.tar.gz`, and FILE a path in it. With an index, only the needed parts are read.

use std::{env, ffi::OsStr, io, os::unix::ffi::OsStrExt, process::exit};

use smol::Unblock;
use wingback::{Archive, List, Result};

fn main() -> Result<()> {
    let args: Vec<_> = env::args_os().skip(1).collect();
    match &*args {
        [archive] => smol::block_on(list(archive)),
        [archive, file] => smol::block_on(read(archive, file)),
        _ => {
            eprintln!("usage: list_and_read ARCHIVE [FILE]");
            exit(2);
        }
    }
}

async fn list(archive: &OsStr) -> Result<()> {
    let listing = List::new().start(Archive::file(archive)).await?;
    for member in listing.members() {
        println!("{:>12}  {}", member.size, String::from_utf8_lossy(&member.path));
    }
    eprintln!("{} members, read method: {:?}", listing.members().count(), listing.read_method());
    Ok(())
}

async fn read(archive: &OsStr, file: &OsStr) -> Result<()> {
    let output = Unblock::new(io::stdout());
    Archive::file(archive).copy_file(file.as_bytes(), output).await?;
    Ok(())
}
