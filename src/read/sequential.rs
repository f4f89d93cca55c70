//! Reads an archive from start to end, without an index.

use std::sync::{Arc, Mutex, PoisonError};

use sha1::Digest;

use super::{
    damage::{Damage, NoIndex, ReadMethod},
    damage_log::DamageLog,
    gunzip::{Event, Gunzip},
    input::Source,
    report::{Options, ReadReport},
    sink::Sink,
    tar_reader::TarReader,
    worker_pool::WorkerPool,
};
use crate::{
    checksum::Sha1,
    error::{Error, Result},
    progress::Tracker,
};

/// Reads an archive from start to end. `why` is the reason why its index is not used.
pub(crate) fn in_sequence(
    source: Source,
    mut why: NoIndex,
    options: &Options,
    workers: &WorkerPool,
    tracker: &Tracker,
    sink: &mut impl Sink,
) -> Result<ReadReport> {
    let sha1 = Arc::new(Mutex::new(options.sha1.then(sha1::Sha1::new)));
    let hash = {
        let sha1 = sha1.clone();
        move |bytes: &[u8]| {
            if let Some(sha1) = &mut *sha1.lock().unwrap_or_else(PoisonError::into_inner) {
                sha1.update(bytes);
            }
        }
    };
    let mut gunzip = Gunzip::start(source.into_chunks(), workers, Box::new(hash))?;
    let mut reader = TarReader::new(sink);
    let mut damage = DamageLog::new(options);
    let (mut at, mut is_whole) = (0, true);
    let index = loop {
        if tracker.is_cancelled() {
            return Err(Error::cancelled());
        }
        workers.check()?;
        match gunzip.next()? {
            Event::Data(raw) => {
                let fed = reader.feed(&raw, 0..raw.len(), at);
                damage.tolerate(fed, at, &mut reader)?;
                at += raw.len() as u64;
                reader.buffer_end()?;
            }
            Event::Damaged(problem) => {
                let mut rest = Damage::of_rest(at, problem);
                rest.members.extend(reader.abandon());
                damage.add(rest)?;
                is_whole = false;
                break None;
            }
            Event::End(ending) => {
                let begins_index = ending.begins_index();
                let index = ending.index()?;
                if index.is_none() && begins_index {
                    why = NoIndex::Damaged;
                }
                break index;
            }
        }
    };
    let end = reader.check_end();
    damage.tolerate(end, at, &mut reader)?;
    let sha1 = sha1.lock().unwrap_or_else(PoisonError::into_inner).take();
    // If reading ended early, the hash does not cover the whole archive.
    let sha1 = sha1.filter(|_| is_whole);
    Ok(ReadReport {
        read_method: ReadMethod::Sequential(why),
        sha1: sha1.map(|sha1| Sha1(sha1.finalize().into())),
        damage: damage.into_list(),
        lost: Vec::new(),
        index: index.map(Arc::new),
    })
}
