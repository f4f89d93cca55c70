//! Requests as the proxy sees them, and what may happen to them.

use crate::http::Head;

/// A request, by its head.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    /// As it came.
    pub query: String,
    pub range: Option<String>,
    pub content_length: Option<u64>,
    /// Their names in lower case.
    pub headers: Vec<(String, String)>,
    /// How many came before it, of all connections.
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

    /// By its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| &*header.1)
    }

    /// The value of a query's part, as it came.
    pub fn query(&self, name: &str) -> Option<&str> {
        let parts = self.query.split('&').map(|part| part.split_once('=').unwrap_or((part, "")));
        parts.into_iter().find(|part| part.0 == name).map(|part| part.1)
    }

    /// The number of the part that it uploads.
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

/// What happens to a request. Bytes are those of a body, without what frames it.
#[derive(Clone, Debug)]
pub enum Fault {
    None,
    /// The server gets nothing, the client this status with this code of S3.
    Status(u16, &'static str),
    /// The server gets nothing, and the client's connection closes before its body is read.
    Refuse,
    /// The server gets so much of the request, then both connections close.
    CutRequest {
        after: usize,
    },
    /// The client gets so much of the response, then both connections close.
    CutResponse {
        after: usize,
    },
    /// The server gets it all, the client a closed connection.
    LoseResponse,
    /// The server gets nothing; nobody reads on or answers until the client goes away.
    Stall,
    /// The client gets so much of the response, and no more until it goes away.
    StallResponse {
        after: usize,
    },
    /// The server does not get this header of the request.
    ForgetHeader(&'static str),
    /// Of the response.
    StripHeader(&'static str),
    /// The server gets nothing, the client this.
    Replace {
        status: u16,
        body: String,
    },
    /// The same, with headers.
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// The server gets and does it all, the client gets this.
    ReplaceAfter {
        status: u16,
        body: String,
    },
    /// Both bodies.
    Slow {
        bytes_per_second: usize,
    },
}

/// As S3 says it.
pub fn error(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>The test says so.</Message><RequestId>TESTREQ1</RequestId>\
         <HostId>test</HostId></Error>"
    )
}
