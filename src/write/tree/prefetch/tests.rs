use std::{fs, sync::mpsc, time::Duration};

use super::{reader::Reader, *};
use crate::{
    error::{Error, ErrorKind},
    format::buffer::Pool,
    fs::{root::Root, walk::WalkOptions},
    progress::Tracker,
    write::tree::options::TreeOptions,
};

/// Long enough for a thread that does not wait.
const MOMENT: Duration = Duration::from_millis(100);

/// A tree of files with these sizes, named by their numbers.
fn tree(sizes: &[usize]) -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (i, size) in sizes.iter().enumerate() {
        fs::create_dir_all(dir.path().join(format!("{:02}", i / 10))).expect("made");
        let path = dir.path().join(format!("{:02}/{i:04}", i / 10));
        fs::write(path, vec![i as u8; *size]).expect("written");
    }
    let root = Root::open(dir.path()).expect("opened");
    (dir, root)
}

fn with_items<T>(
    root: &Root,
    write: impl FnOnce(Items<'_, '_>, &Reader<'_>) -> Result<T>,
) -> Result<T> {
    let (options, tracker) = (TreeOptions::default(), Tracker::default());
    let reader = Reader {
        root,
        options: &options,
        tracker: &tracker,
        pool: Pool::default(),
        previous_ns: None,
    };
    let walk = WalkOptions::default();
    let walk = TreeWalk::new(root, &walk)?;
    run(walk, &reader, Threads { count: 2, background: false }, |items| write(items, &reader))
}

#[test]
fn items_have_the_order_of_the_walk_and_all_bytes() {
    let mut sizes: Vec<usize> = (0..400).map(|i| i * 37 % 5000).collect();
    // More than the queue holds, and several large files in one run of entries.
    (0..400).step_by(3).for_each(|i| sizes[i] = 1_500_000 + i);
    let (_dir, root) = tree(&sizes);
    let files = with_items(&root, |mut items, reader| {
        let mut files = Vec::new();
        while let Some(Item { path, found, .. }) = items.next()? {
            let Found::File(Ok(found)) = found else { continue };
            let bytes = match found.content {
                Content::Small(small) => small.tar[small.header_len..].to_vec(),
                Content::Large { header_len, mut parts } => {
                    let mut bytes = Vec::new();
                    while let Ok(NextPart::Part(part)) = parts.next(reader) {
                        bytes.extend_from_slice(&part.batch.raw);
                    }
                    bytes.split_off(header_len)
                }
                Content::Unread | Content::OwnArchive => panic!("it must be read"),
            };
            assert!(found.meta.size as usize <= bytes.len());
            files.push((path, bytes[..found.meta.size as usize].to_vec()));
        }
        Ok(files)
    });
    let files = files.expect("read");
    assert_eq!(files.len(), sizes.len());
    for (i, (path, bytes)) in files.iter().enumerate() {
        assert_eq!(path, format!("{:02}/{i:04}", i / 10).as_bytes());
        assert!(bytes.len() == sizes[i] && bytes.iter().all(|&byte| byte == i as u8), "{i}");
    }
}

#[test]
fn a_writer_that_ends_early_ends_the_threads() {
    let (_dir, root) = tree(&[8 << 20; 10]);
    for taken in [0, 1, 5] {
        let result: Result<()> = with_items(&root, |mut items, _| {
            for _ in 0..taken {
                drop(items.next()?);
            }
            // Now all threads wait: for room, or to send a part.
            thread::sleep(MOMENT);
            Err(Error::new(ErrorKind::Internal, "stop"))
        });
        assert_eq!(result.expect_err("the error of the writer").kind(), ErrorKind::Internal);
    }
}

#[test]
fn returned_entries_are_claimed_in_their_order() {
    let (_dir, root) = tree(&[0; 40]);
    let walk = WalkOptions::default();
    let queue = Queue::new(TreeWalk::new(&root, &walk).expect("walk"), 1);
    let paths = |claims: &VecDeque<Claim>| -> Vec<Vec<u8>> {
        claims.iter().map(|claim| claim.entry.path.clone()).collect()
    };
    let (mut first, mut second) = (queue.claim().expect("files"), queue.claim().expect("files"));
    let all = [paths(&first), paths(&second)].concat();
    queue.put_back(&mut second);
    queue.put_back(&mut first);
    let again = [queue.claim().expect("returned"), queue.claim().expect("returned")];
    assert_eq!(again.each_ref().map(paths).concat(), all);
}

#[test]
fn only_the_first_entry_needs_no_room() {
    let (_dir, root) = tree(&[0; 2]);
    let walk = WalkOptions::default();
    let queue = Queue::new(TreeWalk::new(&root, &walk).expect("walk"), 10);
    let claims = queue.claim().expect("files");
    let [first, second] = [&claims[0], &claims[1]];
    thread::scope(|scope| {
        // The directory is the first item, and the writer has taken it.
        assert!(matches!(queue.take().expect("taken")[0].found, Found::Directory(..)));
        let room = queue.reserve(first, 1000).expect("room");
        let (done, is_done) = mpsc::channel();
        let queue = &queue;
        scope.spawn(move || done.send(queue.reserve(second, 1).is_some()));
        is_done.recv_timeout(MOMENT).expect_err("it waits for room");
        drop(room);
        assert!(is_done.recv().expect("the thread ends"));
    });
}
