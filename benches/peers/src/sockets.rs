//! Requests a second over sockets, with many users: the server has one processor, the client the
//! other.
//!
//! All servers run at once, and the client asks them in turns, so that a machine whose speed drifts
//! favours none. Each figure is the median of five rounds. The client sends prepared bytes and
//! reads only the status of a response, so that the server is what limits the rate.

use std::io;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tower_jwt_auth::keys::Algorithm;

use crate::subjects::Setting;
use crate::{machine, many_users, median, rs256};

const ROUNDS: usize = 5;

/// How many times the servers take turns in a round.
const TURNS: u32 = 4;

const CONNECTIONS: usize = 32;

/// Bytes that a connection reads at once.
const BUFFER: usize = 16 << 10;

/// What `serve` calls them, and their names in the table. The first is compared with.
const SERVERS: [(&str, &str); 5] = [
    ("bare", "no authentication"),
    ("ours", "this crate, with the default cache"),
    ("ours-large", "this crate, with a cache of 64 MiB"),
    ("by-hand", "an extractor by hand, `jsonwebtoken` 11"),
    ("oauth2", "`tower-oauth2-resource-server` 0.12"),
];

#[derive(Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    /// The bytes of a request. In HTTP/2 the number of its stream is missing.
    fn request(self, authorization: &HeaderValue) -> Vec<u8> {
        let authorization = authorization.as_bytes();
        match self {
            Self::Http1 => [
                &b"GET /me HTTP/1.1\r\nhost: localhost\r\nauthorization: "[..],
                authorization,
                b"\r\n\r\n",
            ]
            .concat(),
            Self::Http2 => {
                // HPACK (RFC 7541): GET, http, :path, :authority, and `authorization` that is not
                // indexed.
                let mut fields = b"\x82\x86\x04\x03/me\x01\x09localhost\x0f\x08\x7f".to_vec();
                let mut length = authorization.len() - 127;
                while length >= 128 {
                    fields.push((length % 128 + 128) as u8);
                    length /= 128;
                }
                fields.push(length as u8);
                fields.extend_from_slice(authorization);
                frame(HEADERS, END_STREAM | END_HEADERS, &fields)
            }
        }
    }

    /// Asks in turn until the time is up. Returns the number of responses.
    async fn ask(self, stream: TcpStream, requests: Arc<Requests>, until: Instant) -> usize {
        let asked = match self {
            Self::Http1 => http1(stream, &requests, until).await,
            Self::Http2 => http2(stream, &requests, until).await,
        };
        asked.unwrap()
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A frame of HTTP/2 (RFC 9113 §4.1), of stream 0.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
    [&length[..], &[kind, flags, 0, 0, 0, 0], payload].concat()
}

/// The requests of all users, and how many a server has been sent.
struct Requests {
    all: Arc<Vec<Vec<u8>>>,
    sent: AtomicUsize,
}

impl Requests {
    fn next(&self) -> &[u8] {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        &self.all[number % self.all.len()]
    }
}

async fn http1(mut stream: TcpStream, requests: &Requests, until: Instant) -> io::Result<usize> {
    let mut responses = 0;
    let mut read = Vec::with_capacity(BUFFER);
    while Instant::now() < until {
        stream.write_all(requests.next()).await?;
        read.clear();
        // Responses have no body.
        while !read.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut read).await?, 0, "the server closed");
        }
        assert!(read.starts_with(b"HTTP/1.1 200"), "not answered with 200");
        responses += 1;
    }
    Ok(responses)
}

async fn http2(mut stream: TcpStream, requests: &Requests, until: Instant) -> io::Result<usize> {
    /// Streams that are open at once.
    const STREAMS: usize = 8;
    let mut written = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    written.extend(frame(SETTINGS, 0, &[]));
    let (mut responses, mut open, mut next_stream) = (0, 0, 1u32);
    let mut read = Vec::with_capacity(BUFFER);
    loop {
        if Instant::now() < until {
            for _ in open..STREAMS {
                let start = written.len();
                written.extend_from_slice(requests.next());
                written[start + 5..start + 9].copy_from_slice(&next_stream.to_be_bytes());
                next_stream += 2;
            }
            open = STREAMS;
        } else if open == 0 {
            return Ok(responses);
        }
        stream.write_all(&written).await?;
        written.clear();
        assert_ne!(stream.read_buf(&mut read).await?, 0, "the server closed");
        let mut rest = &read[..];
        while let [a, b, c, kind, flags, _, _, _, _, after @ ..] = rest {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            let Some((payload, after)) = after.split_at_checked(length) else {
                break;
            };
            rest = after;
            match *kind {
                // `:status: 200` is one byte.
                HEADERS => assert_eq!(payload[0], 0x88, "not answered with 200"),
                SETTINGS if flags & ACK == 0 => written.extend(frame(SETTINGS, ACK, &[])),
                RST_STREAM | GOAWAY => panic!("the server gave up"),
                _ => {}
            }
            if matches!(*kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                responses += 1;
                open -= 1;
            }
        }
        let done = read.len() - rest.len();
        read.drain(..done);
    }
}

/// A server in a process of its own, on processor 0.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(which: &str, port: u16) -> Self {
        let process = Command::new("taskset")
            .args(["-c", "0"])
            .arg(std::env::current_exe().unwrap())
            .args(["serve", which, &port.to_string()])
            .spawn()
            .unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { process, port }
    }

    /// How long its threads have run.
    fn processor_time(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let time = |thread: io::Result<std::fs::DirEntry>| {
            let times = std::fs::read_to_string(thread.unwrap().path().join("schedstat"));
            let times = times.unwrap_or_default();
            let time = times.split(' ').next().and_then(|time| time.parse().ok());
            Duration::from_nanos(time.unwrap_or(0))
        };
        threads.map(time).sum()
    }

    /// Asks for so long. Returns the number of responses.
    async fn ask(&self, protocol: Protocol, requests: &Arc<Requests>, time: Duration) -> usize {
        let mut streams = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
            stream.set_nodelay(true).unwrap();
            streams.push(stream);
        }
        let until = Instant::now() + time;
        let mut connections = JoinSet::new();
        for stream in streams {
            connections.spawn(protocol.ask(stream, Arc::clone(requests), until));
        }
        connections.join_all().await.into_iter().sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Of a server in each round.
#[derive(Clone, Default)]
struct Rates {
    /// Requests a second.
    wall: Vec<f64>,
    /// Requests a second of the time that the server ran. Other processes do not slow it down.
    processor: Vec<f64>,
}

impl Rates {
    fn busy(&self) -> f64 {
        let parts = self.wall.iter().zip(&self.processor);
        median(parts.map(|(wall, processor)| wall / processor).collect())
    }
}

/// The median of ratios, round by round.
fn ratio(rates: &[f64], others: &[f64]) -> f64 {
    let rates = rates.iter().zip(others);
    median(rates.map(|(rate, other)| rate / other).collect())
}

async fn rates(
    protocol: Protocol,
    servers: &[Server],
    tokens: &[HeaderValue],
    turn: Duration,
) -> Vec<Rates> {
    let all: Vec<_> = tokens.iter().map(|token| protocol.request(token)).collect();
    let all = Arc::new(all);
    let requests: Vec<_> = servers
        .iter()
        .map(|_| {
            Arc::new(Requests {
                all: Arc::clone(&all),
                sent: AtomicUsize::new(0),
            })
        })
        .collect();
    for (server, requests) in servers.iter().zip(&requests) {
        // Enough that a cache has the tokens.
        server.ask(protocol, requests, turn * TURNS).await;
    }
    let mut rates = vec![Rates::default(); servers.len()];
    for _ in 0..ROUNDS {
        let mut sums = vec![(0, Duration::ZERO, Duration::ZERO); servers.len()];
        for _ in 0..TURNS {
            for ((server, requests), sum) in servers.iter().zip(&requests).zip(&mut sums) {
                let (began, before) = (Instant::now(), server.processor_time());
                sum.0 += server.ask(protocol, requests, turn).await;
                sum.1 += began.elapsed();
                sum.2 += server.processor_time() - before;
            }
        }
        for ((responses, time, processor), rates) in sums.into_iter().zip(&mut rates) {
            rates.wall.push(responses as f64 / time.as_secs_f64());
            rates
                .processor
                .push(responses as f64 / processor.as_secs_f64());
        }
    }
    rates
}

/// `users`: tokens. `turn`: how long a server is asked in a turn. Where a server is not busy nearly
/// all the time, something else limits its rate, and the ratio by processor time counts.
pub fn table(users: usize, turn: Duration) {
    let tokens = many_users::tokens(&Setting::with(Algorithm::RS256, rs256()), users);
    // Before this thread has only one.
    let machine = machine();
    // The thread of the client, on processor 1.
    let pinned = Command::new("taskset")
        .args(["-cp", "1", &std::process::id().to_string()])
        .output();
    assert!(pinned.unwrap().status.success(), "there is no processor 1");
    let servers = SERVERS.iter().zip(4000..);
    let servers: Vec<_> = servers
        .map(|((which, _), port)| Server::start(which, port))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let columns = [Protocol::Http1, Protocol::Http2]
        .map(|protocol| runtime.block_on(rates(protocol, &servers, &tokens, turn)));

    let columns = columns.map(|rates| {
        let row = |server: &Rates| {
            format!(
                "{:.0} | {:.2} | {:.2} | {:.0} %",
                median(server.wall.clone()),
                ratio(&server.wall, &rates[0].wall),
                ratio(&server.processor, &rates[0].processor),
                100.0 * server.busy(),
            )
        };
        rates.iter().map(row).collect::<Vec<_>>()
    });
    let figures = "requests a second | of the first | by processor time | busy";
    println!("| RS256, {users} tokens in turn | HTTP/1.1: {figures} | HTTP/2: {figures} |");
    println!("|{}", " --- |".repeat(9));
    for (index, (_, name)) in SERVERS.iter().enumerate() {
        let cells = columns.each_ref().map(|rows| rows[index].as_str());
        println!("| {name} | {} |", cells.join(" | "));
    }
    println!("\n{machine}. {CONNECTIONS} connections.");
}
