//! Compares the contents of two files of one size, and reads as little as possible.

use crate::{
    error::Result,
    fs::file::SourceFile,
    ops::{
        diff::{table::TableSide, tree::TreeSide},
        index_entries::{IndexEntries, Piece},
    },
    progress::Tracker,
};

/// One of the two sides of a comparison.
pub(super) enum Side<'a> {
    Indexed(Box<IndexEntries>),
    Table(Box<TableSide>),
    Tree(Box<TreeSide<'a>>),
}

/// Returns whether the current files of both sides have equal contents. `None` if one of them cannot be read.
/// `is_trusted` answers before any content of an archive is read.
pub(super) fn is_same_content(
    a: &mut Side<'_>,
    b: &mut Side<'_>,
    is_trusted: bool,
    tracker: &Tracker,
) -> Result<Option<bool>> {
    match (a, b) {
        (Side::Indexed(a), Side::Indexed(b)) => of_archives(a, b, is_trusted, tracker).map(Some),
        (Side::Indexed(a), Side::Tree(b)) => match b.open()? {
            Some(file) => of_file(a, b, file, tracker),
            None => Ok(None),
        },
        (a, b) => match (hash(a, tracker)?, hash(b, tracker)?) {
            (Some(a), Some(b)) => Ok(Some(a == b)),
            _ => Ok(None),
        },
    }
}

fn hash(side: &mut Side<'_>, tracker: &Tracker) -> Result<Option<[u8; 32]>> {
    match side {
        Side::Indexed(side) => side.hash(tracker).map(Some),
        Side::Table(side) => Ok(Some(side.hash())),
        Side::Tree(side) => side.hash(tracker),
    }
}

/// Compares the contents piece by piece: by the keys of the segments, and by the bytes if the keys prove nothing.
fn of_archives(
    a: &mut IndexEntries,
    b: &mut IndexEntries,
    is_trusted: bool,
    tracker: &Tracker,
) -> Result<bool> {
    let (mut rest_a, mut rest_b) = (None::<Piece>, None::<Piece>);
    loop {
        tracker.check()?;
        rest_a = next_piece(rest_a, a)?;
        rest_b = next_piece(rest_b, b)?;
        let (Some(piece_a), Some(piece_b)) = (&mut rest_a, &mut rest_b) else {
            return Ok(rest_a.is_none() && rest_b.is_none());
        };
        let len = piece_a.len().min(piece_b.len());
        let is_same = match piece_a.is_equal(piece_b) {
            Some(is_same) => is_same,
            None if is_trusted => return Ok(true),
            None => a.read(piece_a, tracker)?[..len] == b.read(piece_b, tracker)?[..len],
        };
        if !is_same {
            return Ok(false);
        }
        piece_a.skip(len);
        piece_b.skip(len);
    }
}

fn next_piece(rest: Option<Piece>, side: &mut IndexEntries) -> Result<Option<Piece>> {
    match rest.filter(|piece| piece.len() > 0) {
        Some(piece) => Ok(Some(piece)),
        None => side.next_piece(),
    }
}

/// Compares the content of an archive with a file: by the keys of the segments, and by the bytes of segments that
/// also have other files.
fn of_file(
    archive: &mut IndexEntries,
    tree: &mut TreeSide<'_>,
    mut file: SourceFile,
    tracker: &Tracker,
) -> Result<Option<bool>> {
    let mut bytes = Vec::new();
    while let Some(piece) = archive.next_piece()? {
        tracker.check()?;
        let read = tree.read(&mut file, piece.range.start, piece.len(), &mut bytes, tracker)?;
        if read.is_none() {
            return Ok(None);
        }
        // The file may have become shorter.
        let is_same = bytes.len() == piece.len()
            && match piece.has_bytes(&mut bytes) {
                Some(is_same) => is_same,
                None => archive.read(&piece, tracker)? == bytes,
            };
        if !is_same {
            return Ok(Some(false));
        }
    }
    Ok(Some(true))
}
