//! As little of an HTTP server as a benchmark needs: one thread per connection, connections are kept.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// Longest request head; the client of this benchmark sends a hundred bytes.
const MAX_HEAD_BYTES: usize = 8 * 1024;

/// Hands each request to `answer`, with whether the client takes gzip.
pub(crate) fn serve(
    listen: SocketAddr,
    answer: impl Fn(&mut TcpStream, bool) -> io::Result<()> + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let answer = Arc::new(answer);
    for stream in TcpListener::bind(listen)?.incoming() {
        let (mut stream, answer) = (stream?, Arc::clone(&answer));
        stream.set_nodelay(true)?;
        thread::spawn(move || {
            // Ends with an error when the client is gone.
            while let Ok(Some(gzip)) = read_head(&mut stream) {
                if answer(&mut stream, gzip).is_err() {
                    break;
                }
            }
        });
    }
    Ok(())
}

/// Nothing once the client has closed. A client sends its next request when it has the answer, so that nothing
/// follows a head.
fn read_head(stream: &mut TcpStream) -> io::Result<Option<bool>> {
    let mut buffer = [0; MAX_HEAD_BYTES];
    let mut length = 0;
    loop {
        let free = buffer.get_mut(length..).unwrap_or_default();
        let read = stream.read(free)?;
        if read == 0 {
            return Ok(None);
        }
        length += read;
        let head = buffer.get(..length).unwrap_or_default();
        if head.ends_with(b"\r\n\r\n") {
            let text = String::from_utf8_lossy(head).to_ascii_lowercase();
            return Ok(Some(text.lines().any(|line| line == "accept-encoding: gzip")));
        }
    }
}

pub(crate) fn head(length: usize, gzip: bool) -> String {
    let encoding = if gzip { "Content-Encoding: gzip\r\n" } else { "" };
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n{encoding}\
         Content-Length: {length}\r\n\r\n"
    )
}
