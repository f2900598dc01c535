//! A server that answers GET for a few fixed paths, one request a connection, one
//! connection at a time: what scrapers and probes need and nothing else.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// Longest request head, bytes.
const HEAD: usize = 8 * 1024;
/// Most header fields of a request.
const FIELDS: usize = 64;
/// A client that takes longer gives way to the next one.
const PATIENCE: Duration = Duration::from_secs(5);

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(status: &'static str, text: &str) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: text.as_bytes().to_vec(),
        }
    }
}

/// Serves for as long as the process lives.
pub(crate) fn serve(listener: &TcpListener, answer: &dyn Fn(&str) -> Answer) {
    for client in listener.incoming() {
        match client.and_then(|client| one(client, answer)) {
            Ok(()) => {}
            // Out of descriptors, for example: not to be tried again in a tight loop.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn one(mut client: TcpStream, answer: &dyn Fn(&str) -> Answer) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let head = read_head(&mut client)?;
    let answer = route(&head, answer);
    write!(
        client,
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.content_type,
        answer.body.len()
    )?;
    client.write_all(&answer.body)
}

fn route(head: &[u8], answer: &dyn Fn(&str) -> Answer) -> Answer {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    if !matches!(request.parse(head), Ok(httparse::Status::Complete(_))) {
        return Answer::text("400 Bad Request", "not a request\n");
    }
    match (request.method, request.path) {
        (Some("GET"), Some(path)) => answer(path.split('?').next().unwrap_or(path)),
        _ => Answer::text("405 Method Not Allowed", "GET only\n"),
    }
}

/// Reads up to the empty line that ends a head.
fn read_head(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while head.len() < HEAD && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match client.read(&mut piece)? {
            0 => break,
            n => head.extend_from_slice(piece.get(..n).unwrap_or_default()),
        }
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::{Answer, route};

    #[test]
    fn only_gets_of_whole_requests_are_answered() {
        let answer = |path: &str| Answer::text("200 OK", path);
        let body = |head: &[u8]| String::from_utf8_lossy(&route(head, &answer).body).into_owned();
        assert_eq!(
            body(b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"),
            "/metrics"
        );
        assert_eq!(body(b"POST /metrics HTTP/1.1\r\n\r\n"), "GET only\n");
        for bad in [&b""[..], b"GET /", b"\xff\xfe\r\n\r\n", &[b'a'; 9000]] {
            assert_eq!(body(bad), "not a request\n");
        }
    }
}
