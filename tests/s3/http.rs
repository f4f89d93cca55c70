//! The parts of HTTP/1.1 that the proxy and the client need.

use std::io::{self, BufRead};

/// The lines of a head as received.
#[derive(Clone)]
pub struct Head(Vec<String>);

impl Head {
    /// `None` at the end of the connection.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Head>> {
        let mut lines = Vec::new();
        loop {
            let line = line(from)?;
            match line.trim_end() {
                "" if line.is_empty() && lines.is_empty() => return Ok(None),
                "" if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                "" => return Ok(Some(Head(lines))),
                line => lines.push(line.to_owned()),
            }
        }
    }

    /// A word of the first line.
    pub fn word(&self, at: usize) -> &str {
        self.0[0].split(' ').nth(at).unwrap_or_default()
    }

    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap()
    }

    /// With names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (String, String)> {
        let split = self.0[1..].iter().filter_map(|line| line.split_once(':'));
        split.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
    }

    pub fn get(&self, name: &str) -> Option<String> {
        self.headers().find(|header| header.0 == name).map(|header| header.1)
    }

    pub fn remove(&mut self, name: &str) {
        let is_it = |line: &String| {
            line.split_once(':').is_some_and(|line| line.0.eq_ignore_ascii_case(name))
        };
        self.0.retain(|line| !is_it(line));
    }

    pub fn bytes(&self) -> Vec<u8> {
        (self.0.join("\r\n") + "\r\n\r\n").into_bytes()
    }

    pub fn closes(&self) -> bool {
        self.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The framing of the request body.
    pub fn request_body(&self) -> Body {
        self.framing().unwrap_or(Body::Length(0))
    }

    /// The framing of the response body for a request with this method.
    pub fn response_body(&self, method: &str) -> Body {
        match self.status() {
            100..200 | 204 | 304 => Body::Length(0),
            _ if method == "HEAD" => Body::Length(0),
            _ => self.framing().unwrap_or(Body::UntilEnd),
        }
    }

    fn framing(&self) -> Option<Body> {
        if self.get("transfer-encoding").is_some_and(|value| value.ends_with("chunked")) {
            return Some(Body::Chunked);
        }
        self.get("content-length").map(|length| Body::Length(length.parse().unwrap()))
    }
}

/// The framing of a body.
#[derive(Clone, Copy, PartialEq)]
pub enum Body {
    Length(u64),
    Chunked,
    UntilEnd,
}

/// Receives the bytes of a body. Bytes of the framing come with `false`.
pub type Sink<'a> = dyn FnMut(&[u8], bool) -> io::Result<()> + 'a;

impl Body {
    /// Reads the body to its end, or until `to` returns an error.
    pub fn read(self, from: &mut impl BufRead, to: &mut Sink<'_>) -> io::Result<()> {
        match self {
            Body::Length(length) => exactly(length, from, to),
            Body::UntilEnd => loop {
                match piece(u64::MAX, from, to)? {
                    0 => return Ok(()),
                    _ => continue,
                }
            },
            Body::Chunked => loop {
                let head = line(from)?;
                to(head.as_bytes(), false)?;
                let size = head.trim_end().split(';').next().unwrap_or_default();
                let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
                exactly(size, from, to)?;
                // Trailers may follow the last chunk.
                loop {
                    let end = line(from)?;
                    to(end.as_bytes(), false)?;
                    match end.trim_end() {
                        "" if size == 0 => return Ok(()),
                        "" => break,
                        _ if size == 0 => continue,
                        _ => return Err(io::ErrorKind::InvalidData.into()),
                    }
                }
            },
        }
    }
}

fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    Ok(line)
}

fn exactly(mut left: u64, from: &mut impl BufRead, to: &mut Sink<'_>) -> io::Result<()> {
    while left > 0 {
        match piece(left, from, to)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => left -= read,
        }
    }
    Ok(())
}

fn piece(most: u64, from: &mut impl BufRead, to: &mut Sink<'_>) -> io::Result<u64> {
    let bytes = from.fill_buf()?;
    let len = bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX));
    if len > 0 {
        to(&bytes[..len], true)?;
    }
    from.consume(len);
    Ok(len as u64)
}
