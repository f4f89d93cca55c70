//! What a backup would contain, entry by entry.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::Stream;

use crate::{
    entry::MemberKind,
    error::Result,
    fs::ignore::PatternMatch,
    listed::Listed,
    ops::{
        batches::{BatchStream, Batches},
        estimate::Estimate,
        events::Events,
    },
    report::{SkipReason, Skipped},
    task::{Handle, Task},
    warning::Warning,
};

/// An entry of the source, and whether a backup would contain it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PreviewEntry {
    /// Path relative to the root. It may hold any bytes.
    pub path: Vec<u8>,
    /// Kind of the entry. `None` for a socket, and for a path that the source does not have. A hard link is a
    /// file.
    pub kind: Option<MemberKind>,
    /// Bytes of content that the backup would store.
    pub size: u64,
    /// Whether the backup would contain the entry.
    pub is_included: bool,
    /// The reason why the backup would skip the entry. Of an included directory, it would skip only the content.
    /// `None` if it would skip nothing, or if a pattern excludes the entry.
    pub skipped: Option<SkipReason>,
    /// The last pattern that matches the path: it excludes the entry, or includes it again. `None` if no pattern
    /// matches, and if the backup would skip the entry.
    pub pattern: Option<PatternMatch>,
}

/// What a backup would contain, after the last entry of a [`PreviewStream`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Preview {
    /// Counts of the included entries, and the largest possible size of the archive.
    pub estimate: Estimate,
    /// Entries that a pattern excludes. The content of a directory that was not entered is not counted.
    pub excluded: u64,
    /// Entries that [`select`](crate::Backup::select) leaves out. The content of such a directory is not counted.
    pub unselected: u64,
    /// Paths that the backup would skip for other reasons, in the order of the walk.
    pub skipped: Listed<Skipped>,
    /// Suspicious patterns, options that name paths that were not found, and the like.
    pub warnings: Vec<Warning>,
    /// Time of the walk.
    pub duration: Duration,
    pub(super) is_partial: bool,
}

impl Preview {
    /// Returns whether the archive would lack something that could not be read.
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }
}

/// The entries of a source that [`Backup::preview`](crate::Backup::preview) returns, in the order of the archive. A
/// directory whose content is left out is one entry.
///
/// The stream takes constant memory: the names in the current directories, and about a thousand entries. It ends
/// after the last entry, or after an error.
///
/// # Cancel safety
///
/// Dropping the stream ends the walk. Nothing is written.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct PreviewStream(BatchStream<'static, PreviewEntry, Preview>);

impl PreviewStream {
    /// Returns the entries that the task adds.
    pub(super) fn of(start: impl FnOnce(Batches<PreviewEntry>) -> Task<'static, Preview>) -> Self {
        PreviewStream(BatchStream::new(Events::of_task(|sender| start(Batches::new(sender)))))
    }

    /// Returns a handle that watches and cancels the walk.
    pub fn handle(&self) -> Handle {
        self.0.handle()
    }

    /// Returns the number of entries that the stream has yielded.
    pub fn returned(&self) -> u64 {
        self.0.count()
    }

    /// Returns the result. `None` before the end of the stream, and after an error.
    pub fn preview(&self) -> Option<&Preview> {
        self.0.result()
    }

    /// Returns the result without copying it. `None` before the end of the stream, and after an error.
    pub fn into_preview(self) -> Option<Preview> {
        self.0.into_result()
    }
}

impl Stream for PreviewStream {
    type Item = Result<PreviewEntry>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<PreviewEntry>>> {
        self.0.poll_next(cx)
    }
}
