//! The server over real sockets.

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Mutex;

use flate2::read::GzDecoder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::sync::oneshot;

use super::*;
use crate::metrics::catalogue::{Family, Kind};
use crate::metrics::exposition::Exposition;
use crate::metrics::segment::{Segment, example};
use crate::metrics::text::Labels;

/// More than the sockets of a stalled connection hold.
const HUGE: usize = 24 << 20;

/// For anything that should happen soon; a test that gets here has failed.
const PATIENCE: Duration = Duration::from_secs(20);

static CATALOGUE: [Family; 1] = [Family::example("t_up", Kind::Gauge, &["device_id"], "Up.")];

/// A running server. Dropping it kills the server; `stop` asks it to end.
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: JoinSet<()>,
    responses: Arc<Mutex<Vec<String>>>,
}

impl Running {
    async fn start(settings: Settings, tail: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let responses = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let routes = Routes {
            exposition: Arc::new(exposition()),
            tail: Box::new(move |_| vec![b'#'; tail]),
            ready: Box::new(|| Ok(())),
            rooms: Box::new(Arc::default),
            page: Box::new(|| bytes::Bytes::from_static(b"page")),
            on_read: Box::new(|_| ()),
            on_response: Box::new({
                let responses = Arc::clone(&responses);
                move |handler, code| responses.lock().unwrap().push(format!("{handler} {code}"))
            }),
            reload: None,
            external_url: None,
            is_https: false,
            telemetry_path: "/metrics".to_owned(),
        };
        let routes = Service::Web(Box::new(routes), Arc::new(Guard::absent()));
        let mut server = JoinSet::new();
        server.spawn(run(vec![listener], routes, settings, async { stopped.await.unwrap_or_default() }));
        Self { address, stop: Some(stop), server, responses }
    }

    /// A connection whose receive buffer is small, so that not reading soon stalls the sender.
    async fn connect(&self) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 << 10).unwrap();
        Client { stream: socket.connect(self.address).await.unwrap(), ahead: Vec::new() }
    }

    async fn ask(&self, request: &str) -> Reply {
        let mut client = self.connect().await;
        client.send(request).await;
        client.reply().await
    }

    /// Scrapes until the status is the wanted one.
    async fn until_scrape_is(&self, status: u16) {
        let wanted = async {
            while self.ask("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.status != status {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, wanted).await.expect("the status in time");
    }

    async fn ended(&mut self) {
        timeout(PATIENCE, self.server.join_next()).await.expect("the server ends in time");
    }
}

fn exposition() -> Exposition {
    let exposition = Exposition::new(&CATALOGUE, vec!["contoso".to_owned()]);
    let devices: Vec<_> = (0..5000).map(|device| (device, 1)).collect();
    let segment = example::cut(&Segment::default(), &devices, |(device, value), lines| {
        let device = format!("device-{device}");
        lines.sample("t_up", &Labels::new(&[("device_id", &device)]), &[], value);
    });
    exposition.replace(0, "contoso", segment);
    exposition
}

struct Client {
    stream: TcpStream,
    /// Read, but part of the next reply.
    ahead: Vec<u8>,
}

impl Client {
    async fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// Reads more; false at the end of the connection.
    async fn more(&mut self) -> bool {
        let read =
            timeout(PATIENCE, self.stream.read_buf(&mut self.ahead)).await.expect("bytes or the end in time");
        read.is_ok_and(|count| count > 0)
    }

    async fn head(&mut self) -> Reply {
        let end = loop {
            if let Some(end) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.more().await, "a whole head, not {:?}", String::from_utf8_lossy(&self.ahead));
        };
        let head = String::from_utf8(self.ahead.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { head, status, body: Vec::new() }
    }

    /// One reply with the body that its Content-Length announces.
    async fn reply(&mut self) -> Reply {
        let mut reply = self.head().await;
        let length = reply.length();
        while self.ahead.len() < length {
            assert!(self.more().await, "the whole body");
        }
        reply.body = self.ahead.drain(..length).collect();
        reply
    }

    /// As much as `length` of what comes.
    async fn rest_of(&mut self, length: usize) -> usize {
        while self.ahead.len() < length && self.more().await {}
        self.ahead.len()
    }

    /// Everything up to the end of the connection.
    async fn rest(&mut self) -> usize {
        while self.more().await {}
        self.ahead.len()
    }
}

#[derive(Debug)]
struct Reply {
    head: String,
    status: u16,
    body: Vec<u8>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn length(&self) -> usize {
        self.header("content-length").expect("a length").parse().unwrap()
    }
}

const SCRAPE: &str = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn a_scrape_is_the_same_plain_and_compressed() {
    let server = Running::start(Settings::default(), 0).await;
    let plain = server.ask(SCRAPE).await;
    assert_eq!(plain.status, 200);
    assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(plain.body.starts_with(b"# HELP t_up Up.\n# TYPE t_up gauge\nt_up{"));

    let packed = server.ask("GET /metrics HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\n\r\n").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!(packed.header("vary"), Some("Accept, Accept-Encoding"));
    let mut inflated = Vec::new();
    GzDecoder::new(packed.body.as_slice()).read_to_end(&mut inflated).unwrap();
    assert!(inflated == plain.body);
    assert_eq!(*server.responses.lock().unwrap(), ["metrics 200", "metrics 200"]);
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let server = Running::start(Settings::default(), 100).await;
    for path in ["/metrics", "/", "/-/healthy", "/-/ready", "/nope"] {
        let without_date =
            |head: &str| head.lines().filter(|line| !line.starts_with("date")).collect::<String>();
        let got = server.ask(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let mut client = server.connect().await;
        client.send(&format!("HEAD {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
        let head = client.head().await;
        assert_eq!(without_date(&head.head).replace("connection: close", ""), without_date(&got.head));
        assert_eq!(head.length(), got.body.len());
        assert_eq!(client.rest().await, 0);
    }
}

#[tokio::test]
async fn errors_are_answered() {
    let server = Running::start(Settings::default(), 0).await;
    assert_eq!(server.ask("GET /nope HTTP/1.1\r\nhost: x\r\n\r\n").await.status, 404);
    assert_eq!(
        server.ask("DELETE /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.header("allow"),
        Some("GET, HEAD")
    );
    assert_eq!(server.ask("GET /metrics?name[]=nope HTTP/1.1\r\nhost: x\r\n\r\n").await.status, 400);
    assert_eq!(server.ask("GET /metrics?tenant=nope HTTP/1.1\r\nhost: x\r\n\r\n").await.status, 404);
    let huge = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(20 << 10));
    assert_eq!(server.ask(&huge).await.status, 431);
}

#[tokio::test]
async fn a_connection_is_kept_and_requests_may_be_pipelined() {
    let server = Running::start(Settings::default(), 0).await;
    let mut client = server.connect().await;
    client.send("GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\nGET /-/ready HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(client.reply().await.body, b"teams-rooms-exporter is healthy.\n");
    assert_eq!(client.reply().await.body, b"teams-rooms-exporter is ready.\n");
    client.send(SCRAPE).await;
    assert_eq!(client.reply().await.status, 200);
}

#[tokio::test]
async fn a_request_with_a_body_ends_the_connection() {
    let server = Running::start(Settings::default(), 0).await;
    let mut client = server.connect().await;
    client.send("POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nabc").await;
    let reply = client.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (405, Some("close")));
    assert_eq!(client.rest().await, 0);
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut() {
    let settings = Settings { head: Duration::from_millis(50), ..Settings::default() };
    let server = Running::start(settings, 0).await;
    let mut silent = server.connect().await;
    let mut slow = server.connect().await;
    slow.send("GET / HTTP/1.1\r\nhost: x\r\nx: ").await;
    assert_eq!(silent.rest().await, 0);
    assert_eq!(slow.rest().await, 0);

    let mut second = server.connect().await;
    second.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(second.reply().await.status, 200);
    second.send("G").await;
    assert_eq!(second.rest().await, 0, "also behind a good request");
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let settings = Settings { idle: Duration::from_millis(50), ..Settings::default() };
    let server = Running::start(settings, 0).await;
    let mut client = server.connect().await;
    client.send(SCRAPE).await;
    assert_eq!(client.reply().await.status, 200);
    assert_eq!(client.rest().await, 0);
}

#[tokio::test]
async fn stalled_readers_are_dropped_while_others_scrape() {
    let settings = Settings { scrapes: 2, stalled: Duration::from_secs(4), ..Settings::default() };
    let server = Running::start(settings, HUGE).await;
    let mut stalled = server.connect().await;
    stalled.send(SCRAPE).await;
    let head = stalled.head().await;
    assert_eq!(server.ask(SCRAPE).await.body.len(), head.length(), "one slot is left");

    let mut second = server.connect().await;
    second.send(SCRAPE).await;
    second.head().await;
    let refused = server.ask(SCRAPE).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(server.ask("GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n").await.status, 200);

    server.until_scrape_is(200).await;
    assert!(stalled.rest().await < head.length());
}

#[tokio::test]
async fn a_small_response_nobody_reads_is_bounded_too() {
    let settings = Settings { scrapes: 1, response: Duration::from_millis(200), ..Settings::default() };
    let server = Running::start(settings, 0).await;
    let mut client = server.connect().await;
    // Each answer fits into hyper's buffers; together they fill the socket.
    let requests = SCRAPE.repeat(200);
    let (mut read, mut write) = client.stream.split();
    // Fails once the server has gone.
    write.write_all(requests.as_bytes()).await.ok();
    server.until_scrape_is(200).await;
    let mut all = Vec::new();
    timeout(PATIENCE, read.read_to_end(&mut all)).await.expect("the end in time").ok();
    assert!(all.len() < 200 * 100_000);
}

#[tokio::test]
async fn beyond_the_limit_the_connection_that_waits_longest_makes_room() {
    let server = Running::start(Settings { connections: 2, ..Settings::default() }, HUGE).await;
    let mut first = server.connect().await;
    first.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(first.reply().await.status, 200);
    let mut busy = server.connect().await;
    busy.send(SCRAPE).await;
    let head = busy.head().await;
    for _ in 0..10 {
        assert_eq!(server.ask("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.status, 200);
    }
    assert_eq!(first.rest().await, 0, "it was idle");
    assert_eq!(busy.rest_of(head.length()).await, head.length(), "a response is not cut short for others");
}

#[tokio::test]
async fn stopping_finishes_the_response_in_flight() {
    let mut server = Running::start(Settings { drain: PATIENCE, ..Settings::default() }, HUGE).await;
    let mut idle = server.connect().await;
    idle.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(idle.reply().await.status, 200);
    let mut busy = server.connect().await;
    busy.send(SCRAPE).await;
    let head = busy.head().await;

    server.stop.take().unwrap().send(()).unwrap();
    assert_eq!(idle.rest().await, 0, "an idle connection ends at once");
    assert!(TcpStream::connect(server.address).await.is_err());
    assert_eq!(busy.rest().await, head.length());
    server.ended().await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_stalled_reader() {
    let mut server =
        Running::start(Settings { drain: Duration::from_millis(50), ..Settings::default() }, HUGE).await;
    let mut stalled = server.connect().await;
    stalled.send(SCRAPE).await;
    let head = stalled.head().await;
    server.stop.take().unwrap().send(()).unwrap();
    server.ended().await;
    assert!(stalled.rest().await < head.length());
}

#[tokio::test]
async fn a_failing_accept_is_followed_by_a_pause() {
    let mut accepting = Accepting::default();
    let aborted = io::Error::from(io::ErrorKind::ConnectionAborted);
    assert!(matches!(accepting.judge(Err(aborted)), Accepted::Nothing) && accepting.resume.is_none());
    let exhausted = || io::Error::from_raw_os_error(24);
    assert!(matches!(accepting.judge(Err(exhausted())), Accepted::NoDescriptor));
    accepting.resume_at_once();
    assert!(accepting.resume.is_some_and(|resume| resume <= Instant::now()));
    assert!(matches!(accepting.judge(Err(io::Error::other("something else"))), Accepted::Nothing));
    assert!(accepting.resume.is_some());

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let started = Instant::now();
    let accepted = accepting.next(&[listener]).await;
    assert!(started.elapsed() >= ACCEPT_PAUSE / 2);
    assert!(matches!(accepting.judge(accepted), Accepted::Connection(_)) && accepting.resume.is_none());
}
