//! Parts of several uploads share one limit of memory.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures::executor::block_on;
use wingback::{PartUrls, Upload, set_memory_limit};

use crate::{hostile, support::limited};

const MB: usize = 1 << 20;

/// Five uploads whose parts do not have room together. They take turns in one task, so none of them may wait for
/// the memory of another.
#[test]
fn five_uploads_of_large_parts_share_the_memory() {
    const PART: usize = 128 * MB;
    const LAST: usize = 3 * MB;
    let received = Arc::new(Mutex::new(BTreeMap::new()));
    let prepare = |dir: &std::path::Path| {
        let received = received.clone();
        let url = hostile::serve(move |head, to| {
            let len: usize = head.get("content-length").unwrap().parse().unwrap();
            received.lock().unwrap().insert(head.word(1).to_owned(), len);
            let head = "ETag: \"e\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            write!(to, "HTTP/1.1 200 OK\r\n{head}")
        });
        fs::write(dir.join("url"), url).unwrap();
    };
    let body = |dir: &std::path::Path| {
        set_memory_limit(256 << 20);
        let url = fs::read_to_string(dir.join("url")).unwrap();
        let begin = |n: usize| {
            let urls = [1, 2].map(|part| format!("{url}/{n}/{part}"));
            let (upload, parts) = PartUrls::new(urls, PART as u64).unwrap().staging(dir).upload();
            (Box::new(upload), parts)
        };
        let mut uploads: Vec<_> = (0..5).map(begin).collect();
        block_on(async {
            for _ in 0..(PART + LAST) / MB {
                for (upload, _) in &mut uploads {
                    upload.write(Bytes::from(vec![1; MB])).await.unwrap();
                }
            }
            for (upload, parts) in uploads {
                upload.complete().await.unwrap();
                assert_eq!(parts.get().len(), 2);
            }
        });
    };
    let Some(ran) = limited::body(prepare, body) else { return };
    ran.succeeded().peak_below(256 + 64);
    assert!(ran.peak_kb >> 10 > 200, "parts that have room are in memory: {ran:?}");
    let all = (0..5).flat_map(|n| [(format!("/{n}/1"), PART), (format!("/{n}/2"), LAST)]);
    assert_eq!(*received.lock().unwrap(), BTreeMap::from_iter(all));
}
