//! A web server without support for ranges.

use std::{
    io::{BufReader, Write},
    net::TcpListener,
    thread,
};

use crate::http::Head;

/// Its address. It runs until the process ends.
pub struct Plain {
    pub url: String,
}

/// Responds to every request with the bytes that `content` returns for its path.
pub fn serve(content: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Plain {
    answer(move |path| {
        let body = content(path);
        let mut answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend(body);
        answer
    })
}

/// Redirects every request.
pub fn redirect(to: &str) -> Plain {
    let answer_text =
        format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes();
    answer(move |_| answer_text.clone())
}

fn answer(make: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Plain {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(&stream);
            if let Ok(Some(head)) = Head::read(&mut reader) {
                // A client that needs only a part closes the connection.
                let _ = (&stream).write_all(&make(head.word(1)));
            }
        }
    });
    Plain { url }
}
