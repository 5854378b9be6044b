//! HTTP/1.1 as a server speaks it: one request after the other on a connection, bodies with a length or chunked.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use super::faults::What;
use super::{Logged, Shared};

/// Longer, neither side waits for the other: a forgotten connection ends.
const PATIENCE: Duration = Duration::from_secs(60);
const HEAD_LIMIT: u64 = 64 << 10;

pub(super) struct Request {
    pub(super) method: String,
    /// Path and query as sent.
    pub(super) target: String,
    /// Decoded, without the query.
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
    /// Whether all of the body arrived.
    pub(super) whole: bool,
}

pub(super) struct Response {
    pub(super) status: u16,
    /// Lower-case names.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Arc<[u8]>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first value of that name in the query.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Response {
    pub(super) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Arc::default() }
    }

    pub(super) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(super) fn body(mut self, bytes: impl Into<Arc<[u8]>>) -> Self {
        self.body = bytes.into();
        self
    }
}

/// Names and values of a query or form.
pub(super) fn form(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let decode = |text: &str| decode(&text.replace('+', " "));
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(k, v)| (decode(k), decode(v)))
        .collect()
}

/// `%2F` is `/`.
fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut pieces = text.split('%');
    out.extend(pieces.next().unwrap_or("").bytes());
    for piece in pieces {
        match piece.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                out.extend(piece[2..].bytes());
            }
            None => {
                out.push(b'%');
                out.extend(piece.bytes());
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Answers the requests of a connection until it ends or is to be closed.
pub(super) fn serve(shared: &Shared, stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(64 << 10, stream);
    while let Some(mut request) = read_head(&mut reader)? {
        let entry = {
            let log = &mut shared.state().log;
            let (method, path, headers) =
                (request.method.clone(), request.target.clone(), request.headers.clone());
            log.push(Logged { method, path, headers, status: 0, received: 0, sent: 0 });
            log.len() - 1
        };
        let what = shared.meets(&request);
        let most = if let Some(What::CutUpload(most)) = what { most } else { usize::MAX };
        if most > 0 && request.header("expect").is_some_and(|it| it.eq_ignore_ascii_case("100-continue")) {
            (&*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if let Some(What::TrickleUpload(pause)) = &what {
            let mut piece = [0; 100];
            while reader.read(&mut piece)? > 0 && !shared.closing() {
                shared.sleep(*pause);
            }
            return Ok(());
        }
        // Before it is dropped.
        let from = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        let from = from.and_then(|from| from.parse().ok()).unwrap_or(0);
        read_body(&mut reader, &mut request, most);
        shared.state().log[entry].received = request.body.len();
        let Some(response) = shared.respond(&mut request, what.as_ref()) else { return Ok(()) };
        shared.state().log[entry].status = response.status;
        let mut sending = Sending { shared, stream, entry, from };
        if !sending.send(&request, &response, what.as_ref())? {
            return Ok(());
        }
    }
    Ok(())
}

/// Nothing at the end of the connection.
fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut head = reader.take(HEAD_LIMIT);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 || !line.ends_with('\n') {
            return Ok(None);
        }
        match line.trim_end() {
            "" if lines.is_empty() => {}
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let words: Vec<&str> = lines[0].split(' ').collect();
    let &[method, target, version] = &words[..] else { return Err(io::ErrorKind::InvalidData.into()) };
    let mut headers = BTreeMap::<String, String>::new();
    for line in &lines[1..] {
        let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
        let (name, value) = (name.to_ascii_lowercase(), value.trim());
        let joined = headers.get(&name).map_or_else(|| value.to_owned(), |first| format!("{first}, {value}"));
        headers.insert(name, joined);
    }
    if version == "HTTP/1.0" {
        headers.insert("connection".into(), "close".into());
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(Some(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        path: decode(path),
        query: form(query),
        headers,
        body: Vec::new(),
        whole: true,
    }))
}

/// Reads `most` bytes of the body, or as many as come.
fn read_body(reader: &mut impl BufRead, request: &mut Request, most: usize) {
    if request.header("transfer-encoding").is_none() {
        let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        return read_piece(reader, request, length, most);
    }
    while request.whole {
        let mut line = String::new();
        _ = reader.take(100).read_line(&mut line);
        let size = usize::from_str_radix(line.trim_end().split(';').next().unwrap_or(""), 16);
        match size {
            Ok(size) if line.ends_with('\n') => read_piece(reader, request, size, most),
            _ => request.whole = false,
        }
        // Without trailers, which no client sends.
        let end = request.whole && reader.take(2).read_line(&mut line).is_ok() && line.ends_with("\r\n");
        request.whole &= end;
        if size == Ok(0) {
            return;
        }
    }
}

fn read_piece(reader: &mut impl BufRead, request: &mut Request, length: usize, most: usize) {
    let before = request.body.len();
    let wanted = length.min(most - before);
    // What came before an error is kept.
    _ = reader.take(wanted as u64).read_to_end(&mut request.body);
    request.whole = request.body.len() - before == length;
}

struct Sending<'a> {
    shared: &'a Shared,
    stream: &'a TcpStream,
    entry: usize,
    /// What the request's range begins with.
    from: usize,
}

impl Sending<'_> {
    /// Sends an answer; whether the connection goes on.
    fn send(&mut self, request: &Request, response: &Response, what: Option<&What>) -> io::Result<bool> {
        let length = response.body.len();
        let told = match what {
            Some(What::Length(difference)) => length.saturating_add_signed(*difference),
            _ => length,
        };
        let close = request.header("connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
        let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
        for (name, value) in &response.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let replaced = response.headers.iter().any(|(name, _)| name == "content-length");
        head.push_str(&match what {
            Some(What::Endless | What::Chunked) => "transfer-encoding: chunked\r\n".to_owned(),
            _ if response.status == 204 || replaced => String::new(),
            _ => format!("content-length: {told}\r\n"),
        });
        head.push_str(if close { "connection: close\r\n\r\n" } else { "\r\n" });
        match what {
            Some(What::TrickleHead(pause)) => self.trickle(head.as_bytes(), *pause)?,
            _ => self.stream.write_all(head.as_bytes())?,
        }
        if request.method == "HEAD" || response.status == 204 {
            return Ok(!close);
        }
        match what {
            Some(What::Endless) => self.endless(&response.body),
            Some(What::Trickle(pause)) => self.trickle(&response.body, *pause).map(|()| false),
            Some(What::Again(more)) => {
                self.body(&response.body[..length.min(self.from + more)]).map(|()| false)
            }
            Some(What::Chunked) => {
                for piece in response.body.chunks(1000) {
                    write!(self.stream, "{:X};x=y\r\n", piece.len())?;
                    self.body(piece)?;
                    self.stream.write_all(b"\r\n")?;
                }
                self.stream.write_all(b"0\r\n\r\n").map(|()| !close)
            }
            Some(What::CutBody(most)) => self.body(&response.body[..length.min(*most)]).map(|()| false),
            Some(What::StallBody(most)) => {
                self.body(&response.body[..length.min(*most)])?;
                self.shared.sleep(Duration::MAX);
                Ok(false)
            }
            _ => self.body(&response.body).map(|()| told <= length && !close),
        }
    }

    /// On record before it is sent, so that whoever has it finds it there.
    fn body(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(64 << 10) {
            self.shared.state().log[self.entry].sent += piece.len();
            self.stream.write_all(piece)?;
        }
        Ok(())
    }

    fn trickle(&mut self, bytes: &[u8], pause: Duration) -> io::Result<()> {
        for byte in bytes.chunks(1) {
            if self.shared.closing() {
                return Ok(());
            }
            self.stream.write_all(byte)?;
            self.shared.sleep(pause);
        }
        Ok(())
    }

    fn endless(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let mut bytes = bytes.to_vec();
        loop {
            if !bytes.is_empty() {
                write!(self.stream, "{:x}\r\n", bytes.len())?;
                self.body(&bytes)?;
                self.stream.write_all(b"\r\n")?;
            }
            bytes = vec![b' '; 64 << 10];
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        _ => "Status",
    }
}
