//! Tests of the reader with archives of other writers, results of other readers, and damaged archives.

mod damage;
mod fixtures;
mod foreign;
mod rules;
mod tar;

use super::{BLOCK, Reader, Step, TarMember};
use crate::{
    error::{Error, Result},
    left_out::left_out,
};

#[allow(unreachable_pub, reason = "shared with the integration tests")]
#[path = "../../../../tests/support/corpora.rs"]
mod corpora;

/// Result of reading a stream: the members before its end or the error, with their data.
#[derive(Debug, Default)]
struct Reading {
    members: Vec<(TarMember, Vec<u8>)>,
    error: Option<Error>,
}

impl Reading {
    fn paths(&self) -> Vec<String> {
        self.members.iter().map(|(m, _)| String::from_utf8_lossy(&m.path).into_owned()).collect()
    }
}

/// Reads a stream as an extractor does.
fn read(tar: &[u8]) -> Reading {
    let mut reading = Reading::default();
    reading.error = read_into(tar, &mut reading.members).err();
    reading
}

fn read_into(mut tar: &[u8], members: &mut Vec<(TarMember, Vec<u8>)>) -> Result<()> {
    let mut reader = Reader::new();
    while let Some((block, rest)) = tar.split_first_chunk::<BLOCK>() {
        tar = rest;
        match reader.block(block)? {
            Step::More => {}
            Step::End => break,
            Step::Member(member) => {
                let data = cut(&mut tar, member.stored);
                cut(&mut tar, member.stored.next_multiple_of(BLOCK as u64) - member.stored);
                members.push((*member, data.to_vec()));
            }
        }
    }
    reader.end()
}

/// Splits up to `len` bytes off the front.
fn cut<'a>(from: &mut &'a [u8], len: u64) -> &'a [u8] {
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(from.len());
    let (front, rest) = from.split_at(len);
    *from = rest;
    front
}

/// Returns the content of a member, including its holes.
fn content((member, data): &(TarMember, Vec<u8>)) -> Vec<u8> {
    let Some(extents) = &member.sparse else {
        return data.clone();
    };
    let mut content = vec![0; member.size as usize];
    let mut data = &data[..];
    for &(offset, len) in extents {
        let extent = cut(&mut data, len);
        content[offset as usize..][..extent.len()].copy_from_slice(extent);
    }
    content
}
