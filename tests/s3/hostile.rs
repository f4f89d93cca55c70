//! Services with arbitrary responses: memory and time are bounded, and errors are clear.

use std::{
    io::{self, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use futures::executor::block_on;
use wingback::{
    Archive, Credentials, Error, ErrorKind, List, S3Config, S3Store, Store, Transfer, Verify,
};

use crate::{
    http::Head,
    support::{self, Tree, forge, limited, swept},
};

/// Memory limit of an operation for any response.
const MB: u64 = 64;

/// Starts a service that responds to every request with `answer`, and then closes the connection.
pub fn serve(
    answer: impl Fn(&Head, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = std::sync::Arc::new(answer);
    thread::spawn(move || {
        for client in listener.incoming() {
            let answer = answer.clone();
            thread::spawn(move || -> io::Result<()> {
                let mut client = client?;
                let mut requests = BufReader::new(client.try_clone()?);
                if let Some(head) = Head::read(&mut requests)? {
                    let body = head.request_body();
                    body.read(&mut requests, &mut |_, _| Ok(()))?;
                    answer(&head, &mut client)?;
                }
                Ok(())
            });
        }
    });
    url
}

pub fn begin(to: &mut TcpStream, status: u16) -> io::Result<()> {
    let head = "Content-Type: application/xml\r\nConnection: close\r\n\r\n";
    write!(to, "HTTP/1.1 {status} Said\r\n{head}")
}

/// Writes the same bytes `times` times.
fn repeat(to: &mut TcpStream, text: &str, times: usize) -> io::Result<()> {
    let many = (64 << 10) / text.len();
    let chunk = text.repeat(many);
    (0..times / many).try_for_each(|_| to.write_all(chunk.as_bytes()))
}

/// A store in the service at `url`.
fn store(url: &str, transfer: Transfer) -> S3Store {
    let mut config = S3Config::new("bucket");
    config.credentials = Some(Credentials::new("access", "secret"));
    config.endpoint = Some(url.to_owned());
    config.transfer = transfer;
    S3Store::new(config).unwrap()
}

/// Calls every operation of a store, and lists through a link.
fn ask(url: &str) -> Vec<(&'static str, Result<(), Error>)> {
    let quick = Transfer::new()
        .stall_after(Duration::from_millis(600))
        .retry_for(Duration::from_millis(100));
    let store = store(url, quick.clone());
    let key = support::key();
    let tree = Tree::with(&[("a", b"a")]);
    let link = Archive::link(&format!("{url}/a.tar.gz"), quick).unwrap();
    vec![
        ("list", block_on(store.list()).map(drop)),
        ("sweep", swept(&store).map(drop)),
        ("head", block_on(store.head(&key)).map(drop)),
        ("delete", block_on(store.delete(&key))),
        (
            "read",
            block_on(List::new().start(Archive::in_store(store.clone(), key.clone()))).map(drop),
        ),
        ("backup", block_on(tree.backup().start(store, key)).map(drop)),
        ("link", block_on(List::new().start(link)).map(drop)),
    ]
}

/// Runs all operations in a child with this response. Errors are one line of bounded length.
fn each_is_bounded(
    seconds: f64,
    answer: impl Fn(&Head, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) {
    let body = |_: &std::path::Path| {
        let url = serve(answer);
        for (what, asked) in ask(&url) {
            println!("{what}: {asked:?}");
            if let Err(e) = asked {
                let text = e.to_string();
                assert!(text.len() < 1000 && !text.contains('\n'), "{what}: {text}");
                assert_ne!(e.kind(), ErrorKind::Internal, "{what}: {text}");
            }
        }
    };
    let Some(ran) = limited::body(|_| {}, body) else { return };
    ran.succeeded().peak_below(MB).took_less_than(seconds);
}

#[test]
fn an_error_of_nested_elements_is_bounded() {
    each_is_bounded(10.0, |_, to| {
        begin(to, 403)?;
        write!(to, "<Error>")?;
        repeat(to, "<a>", (8 << 20) / 3)
    });
}

#[test]
fn an_error_of_nested_elements_that_is_short_is_bounded() {
    each_is_bounded(10.0, |_, to| {
        begin(to, 403)?;
        write!(to, "<Error>{}", "<a>".repeat(20_000))
    });
}

#[test]
fn a_success_of_nested_elements_is_bounded() {
    each_is_bounded(20.0, |_, to| {
        begin(to, 200)?;
        write!(to, "<ListBucketResult>")?;
        repeat(to, "<a>", (7 << 20) / 3)
    });
}

#[test]
fn a_success_of_many_small_elements_is_bounded() {
    each_is_bounded(20.0, |_, to| {
        begin(to, 200)?;
        write!(to, "<ListBucketResult>")?;
        repeat(to, "<a/>", (7 << 20) / 4)
    });
}

#[test]
fn an_endless_answer_is_bounded() {
    each_is_bounded(20.0, |head, to| {
        begin(to, if head.word(0) == "GET" { 200 } else { 500 })?;
        repeat(to, "x", usize::MAX)
    });
}

#[test]
fn an_endless_head_is_bounded() {
    each_is_bounded(20.0, |_, to| {
        write!(to, "HTTP/1.1 200 Said\r\n")?;
        repeat(to, "x-a: b\r\n", usize::MAX)
    });
}

#[test]
fn an_answer_that_trickles_is_bounded_in_time() {
    each_is_bounded(30.0, |_, to| {
        begin(to, 403)?;
        loop {
            to.write_all(b"<")?;
            thread::sleep(Duration::from_millis(50));
        }
    });
}

#[test]
fn an_endless_list_is_an_error() {
    let body = |_: &std::path::Path| {
        let url = serve(|head, to| {
            begin(to, 200)?;
            let at = head.word(1).len();
            write!(
                to,
                "<R><IsTruncated>true</IsTruncated><NextContinuationToken>{at}</NextContinuationToken>\
                 <NextKeyMarker>{at}</NextKeyMarker><NextUploadIdMarker>a</NextUploadIdMarker></R>"
            )
        });
        let store = store(&url, Transfer::new());
        for error in
            [block_on(store.list()).map(drop).unwrap_err(), swept(&store).map(drop).unwrap_err()]
        {
            assert!(error.to_string().contains("the service lists over"), "{error}");
        }
    };
    let Some(ran) = limited::body(|_| {}, body) else { return };
    ran.succeeded().peak_below(MB).took_less_than(20.0);
}

#[test]
fn a_length_claimed_by_a_link_is_bounded() {
    let body = |_: &std::path::Path| {
        for len in [1 << 40, u64::MAX / 2, u64::MAX] {
            let footer =
                forge::Footer { root_len: u32::MAX, file_len: len, ..forge::Footer::default() };
            let last = forge::footer(&footer, b"");
            let url = serve(move |head, to| {
                let range = head.get("range").unwrap_or_default();
                let (from, to_) = range.trim_start_matches("bytes=").split_once('-').unwrap();
                let range = match from {
                    "" => len - to_.parse::<u64>().unwrap()..len,
                    from => from.parse().unwrap()..to_.parse::<u64>().unwrap() + 1,
                };
                let (start, end) = (range.start, range.end);
                write!(to, "HTTP/1.1 206 Said\r\nContent-Length: {}\r\n", end - start)?;
                let last_of = end - 1;
                write!(
                    to,
                    "Content-Range: bytes {start}-{last_of}/{len}\r\nConnection: close\r\n\r\n"
                )?;
                if end < len {
                    return to.write_all(&vec![0; (end - start) as usize]);
                }
                let zeros = (end - start) as usize - last.len();
                repeat(to, "\0", zeros)?;
                to.write_all(&vec![0; zeros % (64 << 10)])?;
                to.write_all(&last)
            });
            let quick = Transfer::new()
                .stall_after(Duration::from_secs(2))
                .retry_for(Duration::from_millis(100));
            let link = || Archive::link(&url, quick.clone()).unwrap();
            let listed = block_on(List::new().start(link())).map(drop);
            let verified = block_on(Verify::new().start(link())).map(drop);
            println!("{len}: {listed:?} {verified:?}");
            listed.unwrap_err();
        }
    };
    let Some(ran) = limited::body(|_| {}, body) else { return };
    ran.succeeded().peak_below(2 * MB).took_less_than(20.0);
}
