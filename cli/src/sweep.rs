//! `wingback sweep`.

use std::{cell::Cell, os::unix::ffi::OsStrExt, time::Duration};

use futures::TryStreamExt;
use smol::future;
use wingback::{Error, ErrorKind, NamedBytes, Result};

use crate::{
    archives::{self, Archives},
    args,
    output::{Style, bytes, print, say},
    progress, signals,
    status::Status,
};

pub async fn sweep(args: &args::Sweep) -> Status {
    let style = Style::of_short(args.json);
    match run(args, style).await {
        Ok(()) => Status::Done,
        Err(e) => {
            style.error(&e);
            Status::Failed
        }
    }
}

/// Removes what is unfinished, and prints it. A signal leaves the rest.
async fn run(args: &args::Sweep, style: Style) -> Result<()> {
    archives::require(&args.place)?;
    let age = Duration::from_secs(args.older_than.saturating_mul(3600));
    let archives = Archives::at(&args.place, &args.name, &args.remote, |config| {
        config.dead_after = age;
    })?;
    let store = archives.store();
    let (mut locations, removed) = (Vec::new(), Cell::new(0));
    let sweep = async {
        let mut swept = store.sweep();
        while let Some(location) = swept.try_next().await? {
            removed.set(removed.get() + 1);
            match args.json {
                true => locations.push(location),
                false => say(&format!("removed {}", bytes(location.as_bytes()))),
            }
        }
        Ok(())
    };
    let cancel = async {
        signals::first().await;
        Err(Error::new(ErrorKind::Cancelled, "cancelled"))
    };
    let show = async {
        if style == Style::Bar {
            progress::count("removed", &removed).await;
        }
        future::pending().await
    };
    future::or(cancel, future::or(sweep, show)).await?;
    if args.json {
        let locations = locations.iter().map(|at| NamedBytes::new("location", at.as_bytes()));
        let removed: Vec<_> = locations.collect();
        print(&serde_json::json!({ "type": "sweep", "removed": removed }));
    }
    Ok(())
}
