//! The other end of a sign-in by browser: takes one answer on this machine, and shows a page.

use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A browser sends a code and its own headers; cookies of other things on localhost may come along.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Browsers open connections in advance and leave them silent; the one that speaks waits behind them.
const SILENCE: Duration = Duration::from_secs(2);

/// Waits for the request that brings a sign-in back, and gives its query. Other requests are told that nothing is there.
pub(super) async fn answer(listener: &TcpListener) -> anyhow::Result<String> {
    loop {
        let (mut stream, _) = listener.accept().await.context("cannot accept a connection")?;
        let Ok(Some(head)) = timeout(SILENCE, read_head(&mut stream)).await else { continue };
        let found = query(&head);
        let (status, text) = match found {
            Some(_) => ("200 OK", "The sign-in goes on in the terminal. This page can be closed."),
            None => ("404 Not Found", "There is nothing here."),
        };
        let length = text.len();
        let page = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n{text}"
        );
        // Whoever does not read the page has been heard all the same.
        drop(timeout(SILENCE, stream.write_all(page.as_bytes())).await);
        drop(timeout(SILENCE, stream.shutdown()).await);
        if let Some(query) = found {
            return Ok(query.to_owned());
        }
    }
}

/// The first line and the headers; none where they do not come to an end.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut part = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut part).await.ok().filter(|read| *read > 0)?;
        head.extend_from_slice(part.get(..read)?);
        if head.len() > MAX_HEAD_BYTES {
            return None;
        }
    }
    String::from_utf8(head).ok()
}

/// The query of `GET /?..`, if it may be the answer to a sign-in.
fn query(head: &str) -> Option<&str> {
    let target = head.lines().next()?.strip_prefix("GET ")?.split(' ').next()?;
    let query = target.strip_prefix("/?")?;
    query.split('&').any(|pair| pair.starts_with("state=")).then_some(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sign_in_is_an_answer() {
        for (head, expected) in [
            ("GET /?code=a&state=b HTTP/1.1\r\nHost: x", Some("code=a&state=b")),
            ("GET /?state=b&error=c HTTP/1.1", Some("state=b&error=c")),
            ("GET /?code=a HTTP/1.1", None),
            ("GET /favicon.ico HTTP/1.1", None),
            ("GET /x?state=b HTTP/1.1", None),
            ("POST /?state=b HTTP/1.1", None),
            ("", None),
        ] {
            assert_eq!(query(head), expected, "{head}");
        }
    }

    #[tokio::test]
    async fn silent_and_other_connections_do_not_stand_in_the_way() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let browser = async {
            let silent = TcpStream::connect(address).await.expect("it listens");
            let mut answers = Vec::new();
            for target in ["/favicon.ico", "/?code=a&state=b"] {
                let mut stream = TcpStream::connect(address).await.expect("it listens");
                let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
                stream.write_all(request.as_bytes()).await.expect("sent");
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.expect("an answer");
                answers.push(answer);
            }
            drop(silent);
            answers
        };
        let (query, answers) = tokio::join!(answer(&listener), browser);
        assert_eq!(query.expect("accepted"), "code=a&state=b");
        assert!(answers[0].contains("404") && answers[1].contains("200 OK"), "{answers:?}");
    }
}
