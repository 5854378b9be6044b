//! `docker-daemon:REFERENCE`: a Docker or Podman engine, over the API that both speak.
//!
//! One request, `POST /images/load`, with the [OCI archive](super::OciArchive) as a chunked body: nothing lies
//! on the disk in between. If a blob turns out to be damaged on the way, the body is cut off without its end, and
//! the engine drops it.

use std::io::{self, BufWriter, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::{Error, Export, Failed, Moved, Open, Sink, oci_archive};
use crate::layer::archive;
use crate::oci::json;

/// How long an engine may neither take nor give a byte. Unpacking is silent in some.
pub const STALL: Duration = Duration::from_secs(300);
/// More than that no engine has to say.
const MAX_ANSWER: u64 = 32 << 20;

/// An engine.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// `unix:///var/run/docker.sock`, or `tcp://` with an address of this machine.
    pub host: String,
    /// [`STALL`], unless somebody knows better.
    pub stall: Duration,
}

impl<E> Sink<E> for Daemon {
    fn put(&mut self, export: &Export, open: Open<'_, E>) -> Result<Option<Moved>, Failed<E>> {
        let mut stream = self.connect()?;
        let head = "POST /images/load?quiet=0 HTTP/1.1\r\nHost: docker\r\nContent-Type: application/x-tar\r\n\
                    Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).map_err(|error| self.failed("write to", error))?;
        let mut body = BufWriter::with_capacity(64 << 10, Chunks(&mut *stream));
        let sent = oci_archive::write(std::slice::from_ref(export), open, &mut body, &self.host);
        // A buffer that is dropped would be sent.
        drop(body.into_parts());
        let sent = match sent {
            // It may have hung up on us because it has said why already.
            Err(Failed::Sink(Error::Archive { source: archive::Error::Write(error), .. })) => {
                Err(self.failed("write to", error))
            }
            Err(error) => return Err(error),
            Ok(()) => stream.write_all(b"0\r\n\r\n").map_err(|error| self.failed("write to", error)),
        };
        let mut answer = Vec::new();
        let received = stream.take(MAX_ANSWER).read_to_end(&mut answer);
        match (sent, self.judge(&answer)) {
            (_, Some(Err(refused))) => Err(refused.into()),
            (Err(error), _) => Err(error.into()),
            (Ok(()), Some(Ok(()))) => {
                received.map(|_| None).map_err(|error| self.failed("read from", error).into())
            }
            (Ok(()), None) => {
                let error = received.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
                Err(self.failed("read from", error).into())
            }
        }
    }
}

trait Stream: Read + Write {}
impl Stream for UnixStream {}
impl Stream for TcpStream {}

impl Daemon {
    fn failed(&self, action: &'static str, source: io::Error) -> Error {
        Error::Connection { host: self.host.clone(), action, source }
    }

    fn connect(&self) -> Result<Box<dyn Stream>, Error> {
        let failed = |error| self.failed("reach", error);
        if let Some(path) = self.host.strip_prefix("unix://") {
            let stream = UnixStream::connect(path).map_err(failed)?;
            let limited = stream.set_read_timeout(Some(self.stall));
            limited.and_then(|()| stream.set_write_timeout(Some(self.stall))).map_err(failed)?;
            return Ok(Box::new(stream));
        }
        let address = self.host.strip_prefix("tcp://").unwrap_or_default().trim_end_matches('/');
        // Nothing encrypts or authenticates: elsewhere than on this machine it would be everybody's engine.
        if !["127.0.0.1:", "localhost:", "[::1]:"].iter().any(|own| address.starts_with(own)) {
            return Err(Error::Host { host: self.host.clone() });
        }
        let stream = TcpStream::connect(address).map_err(failed)?;
        let limited = stream.set_read_timeout(Some(self.stall));
        limited.and_then(|()| stream.set_write_timeout(Some(self.stall))).map_err(failed)?;
        Ok(Box::new(stream))
    }

    /// What the engine says; nothing while it has not said it all.
    fn judge(&self, answer: &[u8]) -> Option<Result<(), Error>> {
        let (status, body) = parse_answer(answer)?;
        let refused = |message| Error::Refused { host: self.host.clone(), status, message };
        let member = |name: &str| {
            body.split(|&byte| byte == b'\n').find_map(|line| {
                let value = json::parse(line.trim_ascii()).ok()?;
                Some(value.as_object()?.get(name)?.as_str()?.to_owned())
            })
        };
        if let Some(message) = member("error") {
            return Some(Err(refused(message)));
        }
        if status == 200 {
            return Some(Ok(()));
        }
        Some(Err(refused(member("message").unwrap_or_else(|| format!("HTTP status {status}")))))
    }
}

/// Every write becomes one chunk.
struct Chunks<'a>(&'a mut dyn Stream);

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        write!(self.0, "{:x}\r\n", bytes.len())?;
        self.0.write_all(bytes)?;
        self.0.write_all(b"\r\n")?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Status and body of an HTTP answer that is there to its end.
fn parse_answer(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = (std::str::from_utf8(&answer[..end]).ok()?, &answer[end + 4..]);
    let status: u16 = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    if status == 100 {
        return parse_answer(body);
    }
    let header = |wanted: &str| {
        let pairs = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut found = pairs.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.next().map(|(_, value)| value.trim().to_ascii_lowercase())
    };
    if header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        return Some((status, join_chunks(body)?));
    }
    match header("content-length").map(|length| length.parse()) {
        None => Some((status, body.to_vec())),
        Some(Ok(length)) => Some((status, body.get(..length)?.to_vec())),
        Some(Err(_)) => None,
    }
}

fn join_chunks(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut joined = Vec::new();
    loop {
        let end = body.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&body[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(joined);
        }
        let start = end + 2;
        let stop = start.checked_add(size)?;
        joined.extend_from_slice(body.get(start..stop)?);
        body = body.get(stop.checked_add(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_to_their_end_or_not_at_all() {
        let daemon = Daemon { host: "unix:///x".into(), stall: STALL };
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{\"stream\":\"yes\"}\r\n";
        assert!(daemon.judge(chunked).is_none());
        assert!(daemon.judge(&[&chunked[..], b"0\r\n\r\n"].concat()).unwrap().is_ok());
        let message = |answer: &str| daemon.judge(answer.as_bytes()).unwrap().unwrap_err().to_string();
        let late =
            "HTTP/1.1 200 OK\r\n\r\n{\"status\":\"x\"}\r\n{\"error\":\"no space\",\"errorDetail\":{}}\r\n";
        assert!(message(late).ends_with("refused the image: no space"));
        let early = "HTTP/1.1 500 Oh\r\nContent-Length: 16\r\n\r\n{\"message\":\"no\"}";
        assert!(message(early).ends_with("refused the image: no"));
        assert!(daemon.judge(&early.as_bytes()[..50]).is_none());
        assert!(message("HTTP/1.1 404 X\r\n\r\nfoo").ends_with("HTTP status 404"));
    }
}
