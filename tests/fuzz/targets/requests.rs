//! Whatever is asked for, the server answers, with a status that it means and a body that is what its head says.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use flate2::read::GzDecoder;
use teams_rooms_exporter::metrics::catalogue::FAMILIES;
use teams_rooms_exporter::metrics::exposition::Exposition;
use teams_rooms_exporter::serve::guard::Guard;
use teams_rooms_exporter::serve::routes::Routes;
use teams_rooms_exporter::serve::{self, Service};

/// Path with query, `Accept`, `Accept-Encoding` and `Host`, each on a line.
pub(crate) fn corpus() -> Vec<Vec<u8>> {
    [
        "/metrics\n*/*\ngzip",
        "/metrics?tenant=contoso&name[]=teams_rooms_up\ntext/plain;version=0.0.4;q=0.5,*/*;q=0.1\ngzip;q=0.5, identity",
        "/metrics?name%5B%5D=teams_rooms_up&name[]=process_open_fds\n\
         application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;q=0.4\n*;q=0",
        "/api/v1/rooms?tenant=contoso\napplication/json\n",
        "/api/v1/rooms/room%2b1%40contoso.example\ntext/html, \"a\\\"b\"; q=\"0.1\"\nx-gzip;q=1.000",
        "/-/ready\n\nbr",
        "/\n*/*\n",
        "/sd?tenant=contoso\n*/*\n\nexporter.example:10064",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(crate) fn run(input: &[u8]) {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    static KEPT: Mutex<Option<TcpStream>> = Mutex::new(None);
    let address = *ADDRESS.get_or_init(start);
    let mut kept = KEPT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let stream = kept.take().unwrap_or_else(|| connect(address));
    *kept = ask(stream, &request(input));
}

/// Lines cannot be left, or this would be about HTTP smuggling, which is the library's.
fn request(input: &[u8]) -> Vec<u8> {
    let plain: Vec<u8> = input.iter().copied().filter(|byte| *byte != b'\r').collect();
    let mut lines = plain.split(|byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let (path, accept, encoding, host) = (next(), next(), next(), next());
    let fields: [(&[u8], &[u8]); 3] = [(b"Host", host), (b"Accept", accept), (b"Accept-Encoding", encoding)];
    let mut request = [b"GET ", path, b" HTTP/1.1\r\n"].concat();
    for (name, value) in fields {
        request.extend([name, b": ", value, b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    request
}

/// Gives the connection back where it stays open.
fn ask(mut stream: TcpStream, request: &[u8]) -> Option<TcpStream> {
    stream.write_all(request).expect("sent");
    let (head, mut body) = head(&mut stream);
    let head = String::from_utf8(head).expect("a head in ASCII").to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap_or_default();
    assert!(["200", "400", "404", "414", "431", "503"].contains(&status), "{head}");
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let length = field("content-length:").expect("every answer says how long it is");
    let length: usize = length.parse().expect("a number");
    let mut rest = vec![0; length - body.len()];
    stream.read_exact(&mut rest).expect("as long as it says");
    body.append(&mut rest);
    if status == "200" {
        check(&body, field("content-type:"), field("content-encoding:"));
    }
    (field("connection:") != Some("close")).then_some(stream)
}

/// What is read up to the empty line, and what came after it.
fn head(stream: &mut TcpStream) -> (Vec<u8>, Vec<u8>) {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = read.split_off(end + 4);
            return (read, body);
        }
        let count = stream.read(&mut buffer).expect("an answer in time");
        assert!(count > 0, "closed without an answer after {:?}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&buffer[..count]);
    }
}

fn check(body: &[u8], content_type: Option<&str>, encoding: Option<&str>) {
    let mut text = String::new();
    match encoding {
        Some("gzip") => drop(GzDecoder::new(body).read_to_string(&mut text).expect("gzip of text")),
        None => text = String::from_utf8(body.to_vec()).expect("text"),
        Some(other) => panic!("{other} is nothing that we send"),
    }
    let content_type = content_type.expect("Prometheus refuses a scrape without it");
    if content_type.starts_with("application/openmetrics-text") {
        assert!(text.ends_with("# EOF\n"), "{text}");
    } else {
        let known = ["text/plain", "text/html", "application/json"];
        assert!(known.iter().any(|known| content_type.starts_with(known)), "{content_type}");
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    stream.set_nodelay(true).expect("a socket");
    stream
}

/// A server on a thread of its own, until the process ends.
fn start() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let service = Service::Web(Box::new(routes()), Arc::new(Guard::absent()));
            serve::run(vec![listener], service, serve::Settings::default(), std::future::pending()).await;
        });
    });
    address
}

fn routes() -> Routes {
    Routes {
        exposition: Arc::new(Exposition::new(FAMILIES, vec!["contoso".to_owned()])),
        tail: Box::new(|_| b"# TYPE process_open_fds gauge\nprocess_open_fds 9\n".repeat(20)),
        ready: Box::new(|| Err("waiting".to_owned())),
        rooms: Box::new(Arc::default),
        page: Box::new(|| hyper::body::Bytes::from_static(b"<!doctype html>")),
        on_read: Box::new(|_| {}),
        on_response: Box::new(|_, _| {}),
        reload: None,
        external_url: None,
        is_https: false,
        telemetry_path: "/metrics".to_owned(),
    }
}
