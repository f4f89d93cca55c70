//! A list that returns its members one by one.

mod support;

use futures::{StreamExt, TryStreamExt, executor::block_on};
use support::{Tree, archive_bytes, forge, in_memory, text};
use wingback::{ErrorKind, List, Member, NoIndex, ReadMethod};

/// An archive whose index has several pages.
fn archive() -> Vec<u8> {
    let tree = Tree::new();
    for i in 0..6_000 {
        tree.file(format!("{}/player-{i}.json", i / 100), text(i % 50));
    }
    archive_bytes(tree.backup())
}

fn listed(bytes: &[u8]) -> Vec<Member> {
    block_on(List::new().start(in_memory(bytes))).unwrap().into_members()
}

/// The tar stream has no fractions of seconds.
fn paths(members: &[Member]) -> impl Iterator<Item = &[u8]> {
    members.iter().map(|member| &*member.path)
}

#[test]
fn a_stream_has_the_members_of_the_list() {
    let bytes = archive();
    let mut stream = List::new().select("7").select("nothing").stream(in_memory(&bytes));
    assert!(stream.read_method().is_none() && stream.unmatched().is_empty());
    let members: Vec<Member> = block_on((&mut stream).try_collect()).unwrap();
    assert_eq!(members.len(), 101);
    let expected = listed(&bytes)
        .into_iter()
        .filter(|member| member.path.split(|b| *b == b'/').next() == Some(b"7"));
    assert!(expected.eq(members));
    assert_eq!(stream.read_method(), Some(ReadMethod::Indexed));
    assert_eq!(stream.unmatched(), [b"nothing"]);
    assert!(block_on(stream.next()).is_none());
    let all: Vec<Member> = block_on(List::new().stream(in_memory(&bytes)).try_collect()).unwrap();
    assert!(all == listed(&bytes));
}

#[test]
fn a_stream_that_is_dropped_ends_its_thread() {
    let mut stream = List::new().stream(in_memory(&archive()));
    assert!(block_on(stream.next()).unwrap().is_ok());
    drop(stream);
    support::wait_until("the end of the thread", || support::engine_threads() == 0);
}

/// Without members so far, the archive is read without its index. Later the caller has some already.
#[test]
fn a_damaged_page_is_an_error_only_after_the_first_members() {
    let bytes = archive();
    let expected = listed(&bytes);
    let (footer, _) = forge::read(&bytes);
    let first_page = footer.data_end as usize + 10 + 100;
    let last_page = bytes.len() - forge::FOOTER_LEN - footer.root_len as usize - 100;
    for (at, is_first) in [(first_page, true), (last_page, false)] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let mut stream = List::new().stream(in_memory(&damaged));
        let mut members = Vec::new();
        let error = block_on(async {
            while let Some(member) = stream.next().await {
                match member {
                    Ok(member) => members.push(member),
                    Err(e) => return Some(e),
                }
            }
            None
        });
        assert!(block_on(stream.next()).is_none());
        if is_first {
            assert!(error.is_none(), "{error:?}");
            assert_eq!(stream.read_method(), Some(ReadMethod::Sequential(NoIndex::Damaged)));
            assert!(paths(&members).eq(paths(&expected)));
        } else {
            assert_eq!(error.unwrap().kind(), ErrorKind::Corrupt);
            assert!(!members.is_empty() && expected.starts_with(&members));
        }
        // All members at once come from the tar stream in both cases.
        assert!(paths(&listed(&damaged)).eq(paths(&expected)));
    }
}
