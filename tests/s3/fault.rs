//! Requests as the proxy sees them, and the faults that it can inject.

use crate::http::Head;

/// The head of a request.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    /// As received.
    pub query: String,
    pub range: Option<String>,
    pub content_length: Option<u64>,
    /// With names in lower case.
    pub headers: Vec<(String, String)>,
    /// Number of earlier requests on all connections.
    pub n: usize,
}

impl Seen {
    pub fn new(head: &Head, n: usize) -> Self {
        let (path, query) = head.word(1).split_once('?').unwrap_or((head.word(1), ""));
        Seen {
            method: head.word(0).to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            range: head.get("range"),
            content_length: head.get("content-length").and_then(|length| length.parse().ok()),
            headers: head.headers().collect(),
            n,
        }
    }

    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| &*header.1)
    }

    /// The value of a query parameter, as received.
    pub fn query(&self, name: &str) -> Option<&str> {
        let parts = self.query.split('&').map(|part| part.split_once('=').unwrap_or((part, "")));
        parts.into_iter().find(|part| part.0 == name).map(|part| part.1)
    }

    /// The part number of an upload of a part.
    pub fn part(&self) -> Option<u32> {
        let number = self.query("partNumber").filter(|_| self.method == "PUT");
        number.and_then(|number| number.parse().ok())
    }

    pub fn is_part(&self) -> bool {
        self.part().is_some()
    }

    pub fn is_create(&self) -> bool {
        self.method == "POST" && self.query("uploads").is_some()
    }

    pub fn is_complete(&self) -> bool {
        self.method == "POST" && self.query("uploadId").is_some()
    }

    pub fn is_abort(&self) -> bool {
        self.method == "DELETE" && self.query("uploadId").is_some()
    }
}

/// The handling of a request. Byte counts refer to the body without its framing.
#[derive(Clone, Debug)]
pub enum Fault {
    None,
    /// The server gets nothing. The client gets this status with this S3 error code.
    Status(u16, &'static str),
    /// The server gets nothing. The client's connection is closed before its body is read.
    Refuse,
    /// The server gets this many bytes of the request, then both connections are closed.
    CutRequest {
        after: usize,
    },
    /// The client gets this many bytes of the response, then both connections are closed.
    CutResponse {
        after: usize,
    },
    /// The server gets the whole request. The client's connection is closed without a response.
    LoseResponse,
    /// The server gets nothing. The proxy neither reads nor responds until the client closes the connection.
    Stall,
    /// The client gets this many bytes of the response, and nothing more until it closes the connection.
    StallResponse {
        after: usize,
    },
    /// The server does not get this header of the request.
    ForgetHeader(&'static str),
    /// The client does not get this header of the response.
    StripHeader(&'static str),
    /// The server gets nothing. The client gets this response.
    Replace {
        status: u16,
        body: String,
    },
    /// Like `Replace`, with headers.
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// The server handles the request. The client gets this response.
    ReplaceAfter {
        status: u16,
        body: String,
    },
    /// Limits the speed of both bodies.
    Slow {
        bytes_per_second: usize,
    },
}

/// An error document of S3.
pub fn error(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>The test says so.</Message><RequestId>TESTREQ1</RequestId>\
         <HostId>test</HostId></Error>"
    )
}
