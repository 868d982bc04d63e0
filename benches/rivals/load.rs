//! The client: scrapes on connections that are kept, reads every byte and looks at none beyond the head.
//!
//! Each worker takes the connection that has rested longest, asks, reads the answer and puts it back. So many connections
//! may be open, and fewer have a request on its way.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use url::Url;

use super::process;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    url: Url,
    #[arg(long)]
    gzip: bool,
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Of the connections, so many have a request on its way at once
    #[arg(long, default_value_t = 40)]
    in_flight: usize,
    /// Ends after so many responses
    #[arg(long, default_value_t = 1_000_000)]
    requests: u64,
    /// Begins no request after so many seconds
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
}

/// The slowest rival takes half a minute for a response, and forty of them at once share two cores.
const PATIENCE: Duration = Duration::from_mins(15);

/// What is read at once: all workers together stay at a few megabytes.
const BUFFER_BYTES: usize = 1024 * 1024;
const SMALL_BUFFER_BYTES: usize = 128 * 1024;
const FEW_WORKERS: usize = 4;

/// What workers share.
struct Load {
    request: Vec<u8>,
    address: String,
    gzip: bool,
    connections: Mutex<VecDeque<Option<TcpStream>>>,
    begun: AtomicU64,
    requests: u64,
    until: Instant,
}

/// What a worker has seen.
#[derive(Default)]
struct Seen {
    times: Vec<Duration>,
    bytes: u64,
    refused: u64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Value> {
    let load = Load::new(args)?;
    let (began, cpu) = (Instant::now(), process::cpu_seconds());
    let mut seen = thread::scope(|scope| {
        let work = || load.work(args.connections.min(args.in_flight));
        let workers: Vec<_> = (0..args.connections.min(args.in_flight)).map(|_| scope.spawn(work)).collect();
        let seen = workers.into_iter().map(|worker| worker.join().expect("workers do not panic"));
        seen.reduce(|all, one| Ok(all?.with(one?))).context("no connections")?
    })?;
    let took = began.elapsed().as_secs_f64();
    seen.times.sort_unstable();
    ensure!(!seen.times.is_empty(), "no response within {} s", args.seconds);
    let requests = seen.times.len() as u64;
    Ok(json!({
        "requests": requests,
        "refused": seen.refused,
        "p50": seen.quantile(50),
        "p99": seen.quantile(99),
        "requests_per_second": rate(requests, took),
        "bytes_per_response": seen.bytes / requests,
        "cpu_seconds": process::cpu_seconds() - cpu,
    }))
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^53 here")]
fn rate(requests: u64, seconds: f64) -> f64 {
    requests as f64 / seconds
}

impl Load {
    fn new(args: &Args) -> anyhow::Result<Self> {
        let host = args.url.host_str().context("no host")?;
        let address = format!("{host}:{}", args.url.port_or_known_default().context("no port")?);
        let encoding = if args.gzip { "gzip" } else { "identity" };
        let connections = (0..args.connections).map(|_| connect(&address).map(Some));
        Ok(Self {
            request: format!(
                "GET {} HTTP/1.1\r\nHost: {address}\r\nAccept: text/plain;version=0.0.4\r\n\
                 Accept-Encoding: {encoding}\r\n\r\n",
                args.url.path()
            )
            .into_bytes(),
            gzip: args.gzip,
            connections: Mutex::new(connections.collect::<anyhow::Result<_>>()?),
            address,
            begun: AtomicU64::new(0),
            requests: args.requests,
            until: Instant::now() + Duration::from_secs_f64(args.seconds),
        })
    }

    fn work(&self, workers: usize) -> anyhow::Result<Seen> {
        let mut buffer = vec![0; if workers > FEW_WORKERS { SMALL_BUFFER_BYTES } else { BUFFER_BYTES }];
        let mut seen = Seen::default();
        while self.begun.fetch_add(1, Ordering::Relaxed) < self.requests && Instant::now() < self.until {
            // As many workers as connections at most: there is one for everybody.
            let kept = self.with(VecDeque::pop_front).context("no connection left")?;
            let mut stream = kept.map_or_else(|| connect(&self.address), Ok)?;
            let began = Instant::now();
            stream.write_all(&self.request)?;
            let response = read_response(&mut stream, &mut buffer)?;
            match response.status {
                200 => {
                    ensure!(response.gzip == self.gzip, "another encoding than asked for");
                    seen.times.push(began.elapsed());
                    seen.bytes += response.bytes;
                }
                503 => seen.refused += 1,
                status => bail!("status {status}"),
            }
            self.with(|connections| connections.push_back((!response.closes).then_some(stream)));
        }
        Ok(seen)
    }

    fn with<T>(&self, change: impl FnOnce(&mut VecDeque<Option<TcpStream>>) -> T) -> T {
        change(&mut self.connections.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seen {
    fn with(mut self, other: Self) -> Self {
        self.times.extend(other.times);
        Self { times: self.times, bytes: self.bytes + other.bytes, refused: self.refused + other.refused }
    }

    /// Seconds; the times are sorted.
    fn quantile(&self, percent: usize) -> f64 {
        let at = (self.times.len() * percent / 100).min(self.times.len() - 1);
        self.times.get(at).map_or(0.0, Duration::as_secs_f64)
    }
}

fn connect(address: &str) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

struct Response {
    status: u16,
    gzip: bool,
    /// Of the body, without framing.
    bytes: u64,
    closes: bool,
}

/// Reads a whole response; an error where it is not as long as it says.
fn read_response(stream: &mut TcpStream, buffer: &mut [u8]) -> anyhow::Result<Response> {
    let (head, mut filled, end) = read_head(stream, buffer)?;
    let mut body = if let Some(length) = head.length { Framing::Length(length) } else { Framing::chunked() };
    ensure!(head.length.is_some() || head.chunked, "neither a length nor chunks");
    let mut bytes = body.take(buffer.get(end..filled).unwrap_or_default())?;
    while !body.is_done() {
        filled = stream.read(buffer)?;
        ensure!(filled > 0, "the response was cut short");
        bytes += body.take(buffer.get(..filled).unwrap_or_default())?;
    }
    Ok(Response { status: head.status, gzip: head.gzip, bytes, closes: head.closes })
}

struct Head {
    status: u16,
    length: Option<u64>,
    chunked: bool,
    gzip: bool,
    closes: bool,
}

/// The head, how much of the buffer is filled, and where the head ends in it.
fn read_head(stream: &mut TcpStream, buffer: &mut [u8]) -> anyhow::Result<(Head, usize, usize)> {
    let mut filled = 0;
    loop {
        let read = stream.read(buffer.get_mut(filled..).unwrap_or_default())?;
        ensure!(read > 0, "closed before the head ended");
        filled += read;
        let got = buffer.get(..filled).unwrap_or_default();
        if let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(got.get(..end).unwrap_or_default()).to_ascii_lowercase();
            return Ok((Head::parse(&text)?, filled, end + 4));
        }
    }
}

impl Head {
    fn parse(head: &str) -> anyhow::Result<Self> {
        let mut lines = head.lines();
        let first = lines.next().unwrap_or_default();
        let status = first.split(' ').nth(1).context("no status")?.parse()?;
        let mut parsed =
            Self { status, length: None, chunked: false, gzip: false, closes: first.starts_with("http/1.0") };
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            match (name, value) {
                ("content-length", length) => parsed.length = Some(length.parse()?),
                ("transfer-encoding", "chunked") => parsed.chunked = true,
                ("content-encoding", "gzip") => parsed.gzip = true,
                ("connection", "close") => parsed.closes = true,
                _ => {}
            }
        }
        Ok(parsed)
    }
}

/// How much of a body is still to come.
enum Framing {
    Length(u64),
    Chunks { state: Chunks, left: usize },
}

#[derive(Clone, Copy, PartialEq)]
enum Chunks {
    /// In the line that tells the size of the next chunk.
    Size,
    Data,
    /// In the line end behind a chunk.
    Behind,
    /// Behind the last chunk, which is empty; trailers are not expected.
    End,
    Done,
}

impl Framing {
    fn chunked() -> Self {
        Self::Chunks { state: Chunks::Size, left: 0 }
    }

    fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunks { state, .. } => *state == Chunks::Done,
        }
    }

    /// Takes what was read; says how much of it is body.
    fn take(&mut self, read: &[u8]) -> anyhow::Result<u64> {
        match self {
            Self::Length(left) => {
                *left = left.checked_sub(read.len() as u64).context("longer than its Content-Length")?;
                Ok(read.len() as u64)
            }
            Self::Chunks { state, left } => take_chunks(state, left, read),
        }
    }
}

fn take_chunks(state: &mut Chunks, left: &mut usize, mut read: &[u8]) -> anyhow::Result<u64> {
    let mut bytes = 0;
    while let Some((&byte, rest)) = read.split_first() {
        match (*state, byte) {
            (Chunks::Data, _) => {
                let data = (*left).min(read.len());
                (bytes, *left) = (bytes + data as u64, *left - data);
                read = read.get(data..).unwrap_or_default();
                if *left == 0 {
                    *state = Chunks::Behind;
                }
                continue;
            }
            (Chunks::Size, b'\n') => *state = if *left == 0 { Chunks::End } else { Chunks::Data },
            (Chunks::Size | Chunks::Behind | Chunks::End, b'\r') => {}
            (Chunks::Size, digit) => {
                let digit = char::from(digit).to_digit(16).context("not the size of a chunk")?;
                *left = *left * 16 + digit as usize;
            }
            (Chunks::Behind, b'\n') => *state = Chunks::Size,
            (Chunks::End, b'\n') => *state = Chunks::Done,
            (Chunks::Behind | Chunks::End | Chunks::Done, _) => bail!("more than the last chunk"),
        }
        read = rest;
    }
    Ok(bytes)
}
