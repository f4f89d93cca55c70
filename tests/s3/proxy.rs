//! An HTTP/1.1 proxy between a client and a server that injects faults.

use std::{
    collections::HashMap,
    fs,
    io::{self, BufReader, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    ops::Deref,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    fault::{Fault, Seen, error},
    http::{Body, Head},
};

type Rule = dyn Fn(&Seen) -> Fault + Send + Sync;

/// Closes all its connections when it is dropped.
pub struct Proxy {
    inner: Arc<Inner>,
    accepting: Option<JoinHandle<()>>,
}

struct Inner {
    address: SocketAddr,
    server: SocketAddr,
    rule: Mutex<Arc<Rule>>,
    log: Mutex<Vec<Seen>>,
    /// The clients of the parts in flight.
    parts: Mutex<HashMap<usize, SocketAddr>>,
    most: AtomicUsize,
    /// Every open connection. `None` after the proxy has ended.
    open: Mutex<Option<HashMap<usize, TcpStream>>>,
    ids: AtomicUsize,
}

impl Proxy {
    pub fn to(server: SocketAddr, rule: impl Fn(&Seen) -> Fault + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let inner = Arc::new(Inner {
            address: listener.local_addr().unwrap(),
            server,
            rule: Mutex::new(Arc::new(rule)),
            log: Mutex::default(),
            parts: Mutex::default(),
            most: AtomicUsize::default(),
            open: Mutex::new(Some(HashMap::new())),
            ids: AtomicUsize::default(),
        });
        let accepting = thread::spawn({
            let inner = inner.clone();
            move || inner.accept(&listener)
        });
        Proxy { inner, accepting: Some(accepting) }
    }

    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Applies to all later requests.
    pub fn set_rule(&self, rule: impl Fn(&Seen) -> Fault + Send + Sync + 'static) {
        *self.inner.rule.lock().unwrap() = Arc::new(rule);
    }

    /// All requests so far.
    pub fn log(&self) -> Vec<Seen> {
        self.inner.log.lock().unwrap().clone()
    }

    /// The largest number of parts in flight at the same time.
    pub fn most_at_once(&self) -> usize {
        self.inner.most.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        for stream in self.inner.open.lock().unwrap().take().unwrap().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // This connection wakes the listener and is its last one.
        let _ = TcpStream::connect(self.address());
        self.accepting.take().unwrap().join().unwrap();
    }
}

/// A connection that is closed when the proxy ends.
struct Tracked<'a> {
    stream: TcpStream,
    id: usize,
    inner: &'a Inner,
}

impl Deref for Tracked<'_> {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}

impl Drop for Tracked<'_> {
    fn drop(&mut self) {
        if let Some(open) = &mut *self.inner.open.lock().unwrap() {
            open.remove(&self.id);
        }
    }
}

/// Limits the length and the speed of a body.
struct Gate {
    left: usize,
    bytes_per_second: Option<usize>,
}

impl Gate {
    /// Fails after the limit is reached.
    fn pass(&mut self, mut to: &TcpStream, bytes: &[u8], payload: bool) -> io::Result<()> {
        if !payload {
            return to.write_all(bytes);
        }
        let bytes = &bytes[..bytes.len().min(self.left)];
        self.left -= bytes.len();
        for piece in bytes.chunks(self.bytes_per_second.map_or(usize::MAX, |n| n.div_ceil(50))) {
            if let Some(rate) = self.bytes_per_second {
                // Simulates a slow connection.
                thread::sleep(Duration::from_secs_f64(piece.len() as f64 / rate as f64));
            }
            to.write_all(piece)?;
        }
        self.check()
    }

    fn check(&self) -> io::Result<()> {
        if self.left > 0 { Ok(()) } else { Err(io::ErrorKind::ConnectionAborted.into()) }
    }
}

impl Inner {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        let mut connections = Vec::new();
        for client in listener.incoming() {
            if self.open.lock().unwrap().is_none() {
                break;
            }
            let inner = self.clone();
            connections.push(thread::spawn(move || drop(client.and_then(|one| inner.serve(one)))));
        }
        connections.into_iter().for_each(|connection| connection.join().unwrap());
    }

    fn track(&self, stream: TcpStream) -> io::Result<Tracked<'_>> {
        stream.set_nodelay(true)?;
        let id = self.ids.fetch_add(1, Ordering::SeqCst);
        let mut open = self.open.lock().unwrap();
        open.as_mut().ok_or(io::ErrorKind::NotConnected)?.insert(id, stream.try_clone()?);
        Ok(Tracked { stream, id, inner: self })
    }

    /// Handles all requests of a connection.
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        let client = self.track(client)?;
        let mut requests = BufReader::new(&*client);
        while let Some(head) = Head::read(&mut requests)? {
            let seen = {
                let mut log = self.log.lock().unwrap();
                let seen = Seen::new(&head, log.len());
                log.push(seen.clone());
                seen
            };
            let rule = self.rule.lock().unwrap().clone();
            self.begin_part(&seen, &client)?;
            let goes_on = self.request(&client, &mut requests, &head, &seen, rule(&seen));
            self.end_part(&seen);
            if !goes_on? || head.closes() {
                break;
            }
        }
        Ok(())
    }

    /// Handles one request. Returns whether another one may follow on its connection.
    fn request(
        &self,
        client: &TcpStream,
        requests: &mut BufReader<&TcpStream>,
        head: &Head,
        seen: &Seen,
        fault: Fault,
    ) -> io::Result<bool> {
        let mut gate = Gate { left: usize::MAX, bytes_per_second: None };
        match fault {
            Fault::Refuse => return Ok(false),
            Fault::Stall => return self.wait_until_gone(client),
            Fault::Status(status, code) => {
                head.request_body().read(requests, &mut |_, _| Ok(()))?;
                return self.answer(client, seen, status, &[], &error(code));
            }
            Fault::Replace { status, body } => {
                head.request_body().read(requests, &mut |_, _| Ok(()))?;
                return self.answer(client, seen, status, &[], &body);
            }
            Fault::Answer { status, headers, body } => {
                head.request_body().read(requests, &mut |_, _| Ok(()))?;
                return self.answer(client, seen, status, &headers, &body);
            }
            Fault::CutRequest { after } => gate.left = after,
            Fault::Slow { bytes_per_second } => gate.bytes_per_second = Some(bytes_per_second),
            _ => {}
        }

        // A new connection for each request, because the server may have closed an old one.
        let server = self.track(TcpStream::connect(self.server)?)?;
        let mut asked = head.clone();
        if let Fault::ForgetHeader(name) = &fault {
            asked.remove(name);
        }
        (&*server).write_all(&asked.bytes())?;
        gate.check()?;
        let mut server_reads = true;
        let sent = head.request_body().read(requests, &mut |bytes, payload| {
            let passed = gate.pass(&server, bytes, payload);
            server_reads = passed.is_ok();
            passed
        });
        match fault {
            Fault::CutRequest { .. } => return Ok(false),
            // The server may have responded although it has not read the whole request.
            _ if server_reads => sent?,
            _ => {}
        }

        let mut responses = BufReader::new(&*server);
        let mut response = loop {
            match Head::read(&mut responses)?.ok_or(io::ErrorKind::UnexpectedEof)? {
                head if head.status() < 200 => { client }.write_all(&head.bytes())?,
                head => break head,
            }
        };
        let body = response.response_body(&seen.method);
        match &fault {
            Fault::LoseResponse | Fault::ReplaceAfter { .. } => {
                body.read(&mut responses, &mut |_, _| Ok(()))?;
            }
            Fault::CutResponse { after } | Fault::StallResponse { after } => gate.left = *after,
            Fault::StripHeader(name) => response.remove(name),
            _ => {}
        }
        match &fault {
            Fault::LoseResponse => return Ok(false),
            Fault::ReplaceAfter { status, body } => {
                return self.answer(client, seen, *status, &[], body);
            }
            _ => {}
        }
        // Before the client can read the response and send the next request.
        self.end_part(seen);
        { client }.write_all(&response.bytes())?;
        let mut pass = |bytes: &[u8], payload| gate.pass(client, bytes, payload);
        let passed = match pass(b"", true) {
            Ok(()) => body.read(&mut responses, &mut pass),
            shut => shut,
        };
        match fault {
            Fault::StallResponse { .. } => self.wait_until_gone(client),
            Fault::CutResponse { .. } => Ok(false),
            _ => passed.map(|()| server_reads && body != Body::UntilEnd && !response.closes()),
        }
    }

    fn answer(
        &self,
        client: &TcpStream,
        seen: &Seen,
        status: u16,
        headers: &[(&str, String)],
        body: &str,
    ) -> io::Result<bool> {
        self.end_part(seen);
        let headers: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut response = format!(
            "HTTP/1.1 {status} Fault\r\nContent-Type: application/xml\r\n\
             x-amz-request-id: TESTREQ1\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        response += if seen.method == "HEAD" { "" } else { body };
        { client }.write_all(response.as_bytes())?;
        Ok(true)
    }

    fn begin_part(&self, seen: &Seen, client: &TcpStream) -> io::Result<()> {
        if seen.is_part() {
            let mut parts = self.parts.lock().unwrap();
            // A client that has given up may have sent the part again.
            parts.retain(|_, client| self.is_there(*client));
            parts.insert(seen.n, client.peer_addr()?);
            self.most.fetch_max(parts.len(), Ordering::SeqCst);
        }
        Ok(())
    }

    fn end_part(&self, seen: &Seen) {
        self.parts.lock().unwrap().remove(&seen.n);
    }

    /// Whether the client still has its connection open. While unread data is buffered, the end of the
    /// connection would not be visible on our side.
    fn is_there(&self, client: SocketAddr) -> bool {
        const ESTABLISHED: &str = "01";
        let row = [hex(client), hex(self.address), ESTABLISHED.to_owned()].join(" ");
        fs::read_to_string("/proc/net/tcp").unwrap().contains(&row)
    }

    fn wait_until_gone(&self, client: &TcpStream) -> io::Result<bool> {
        let address = client.peer_addr()?;
        while self.open.lock().unwrap().is_some() && self.is_there(address) {
            thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }
}

/// The address in the format of /proc/net/tcp.
fn hex(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { unreachable!("only IPv4 is listened on") };
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}
