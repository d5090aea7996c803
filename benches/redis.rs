//! Measures a [`RedisStore`] on a redis-server of this machine. The figures are the delay until a
//! revocation is in force on other nodes, the time a node takes to load many, and their memory.
//!
//! `cargo bench --features redis --bench redis [-- spread COUNT | load COUNT | requests]`.
//! `read PORT` starts nodes at a server on this machine that has revocations already.
//! `redis-server` must be installed.
//!
//! `requests memory COUNT` and `requests redis COUNT` make `COUNT` requests. Count their
//! instructions with `valgrind --tool=callgrind` for two counts, and take the difference.
#![expect(clippy::print_stdout, reason = "it tells what it measured")]
#![expect(clippy::unwrap_used, reason = "a bench that fails is no bench")]
#![expect(clippy::expect_used, reason = "a bench that fails is no bench")]
#![expect(clippy::panic, reason = "a bench that fails is no bench")]
#![expect(clippy::indexing_slicing, reason = "small numbers")]
#![expect(clippy::arithmetic_side_effects, reason = "small numbers")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]
#![expect(clippy::cast_precision_loss, reason = "small numbers")]

#[path = "support/resident.rs"]
mod resident;
#[path = "../tests/redis/server.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod server;

use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, StatusCode};
use resident::resident_kib;
use server::Server;
use tower::Service as _;
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::claims::RegisteredClaims;
use tower_jwt_auth::keys::SigningKey;
use tower_jwt_auth::revocation::{Revocation, RevocationStore, TokenIdentity};
use tower_jwt_auth::store::redis::client::{Client, cmd};
use tower_jwt_auth::store::{MemoryStore, RedisStore, RedisStoreOptions};
use tower_jwt_auth::{Claims, JwtAuthLayer};

const ISSUER: &str = "https://id.example.com";

fn in_seconds(seconds: u64) -> NumericDate {
    (SystemTime::now() + Duration::from_secs(seconds)).into()
}

async fn node(server: &Server) -> RedisStore {
    connect(server.client()).await
}

async fn connect(client: Client) -> RedisStore {
    let options = RedisStoreOptions::new([7; 32]).unwrap();
    let store = options.connect(client).await.unwrap();
    store.ready(Duration::from_secs(300)).await.unwrap();
    store
}

async fn revoke(store: &RedisStore, jti: &str, expires_at: NumericDate) -> bool {
    let revocation = Revocation::Token {
        issuer: Some(ISSUER),
        jti,
        expires_at,
    };
    store.revoke(&revocation).await.is_ok()
}

/// From the return of a revocation on one node to the moment at which both others refuse.
async fn spread_once(nodes: &[RedisStore], jti: &str, expires_at: NumericDate) -> Duration {
    // A machine that has too much else to do may make it wait for too long.
    while !revoke(&nodes[0], jti, expires_at).await {}
    let began = Instant::now();
    let token = TokenIdentity::new(expires_at).issuer(ISSUER).jti(jti);
    while nodes.iter().any(|node| node.peek(&token) != Some(true)) {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "it does not spread"
        );
        tokio::task::yield_now().await;
    }
    began.elapsed()
}

async fn spread(nodes: &[RedisStore], name: &str, count: usize) {
    let expires_at = in_seconds(3600);
    let mut times = Vec::new();
    for number in 0..count {
        times.push(spread_once(nodes, &format!("{name}-{number}"), expires_at).await);
    }
    times.sort_unstable();
    println!(
        "{name}, {count} times: median {:.2?}, 99th percentile {:.2?}, longest {:.2?}",
        times[count / 2],
        times[count * 99 / 100],
        times[count - 1]
    );
}

/// Revokes so many tokens a second on a fourth node, until it is stopped. Returns how many were
/// acknowledged.
async fn busy(store: RedisStore, per_second: u64, stops: Arc<AtomicBool>) -> u64 {
    let expires_at = in_seconds(3600);
    let began = Instant::now();
    let (mut made, mut acknowledged) = (0, 0);
    let mut pending = tokio::task::JoinSet::new();
    while !stops.load(Ordering::SeqCst) {
        let due = u64::try_from(began.elapsed().as_millis()).unwrap() * per_second / 1000;
        while made < due {
            let store = store.clone();
            let jti = format!("busy-{made}");
            pending.spawn(async move { revoke(&store, &jti, expires_at).await });
            made += 1;
        }
        while let Some(done) = pending.try_join_next() {
            acknowledged += u64::from(done.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while let Some(done) = pending.join_next().await {
        acknowledged += u64::from(done.unwrap());
    }
    acknowledged
}

async fn spreads(count: usize) {
    let server = Server::start(&[]);
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(node(&server).await);
    }
    spread(&nodes, "alone", count).await;
    let stops = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let busy = tokio::spawn(busy(node(&server).await, 2000, Arc::clone(&stops)));
    spread(&nodes, "among 2,000 others a second", count).await;
    stops.store(true, Ordering::SeqCst);
    let rate = busy.await.unwrap() as f64 / began.elapsed().as_secs_f64();
    println!("  others: {rate:.0} a second");
}

/// How much time both processes have used so far: this one, and the server's.
fn used_seconds(client: &Client) -> [f64; 2] {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.split(' ').skip(13).take(2);
    let ticks: f64 = ticks.filter_map(|field| field.parse::<f64>().ok()).sum();
    let info: String = cmd("INFO")
        .arg("cpu")
        .query(&mut client.get_connection().unwrap())
        .unwrap();
    let of = |name| info.lines().find_map(|line| line.strip_prefix(name));
    let server = ["used_cpu_user:", "used_cpu_sys:"].map(|name| of(name).unwrap());
    let server = server.map(|seconds| seconds.trim().parse::<f64>().unwrap());
    [ticks / 100.0, server[0] + server[1]]
}

/// The fastest of several starts of a node at a server with revocations. The first one tells the
/// memory.
async fn read(client: Client) {
    let mut fastest = f64::MAX;
    let mut times = String::new();
    for round in 0..7 {
        let resident = resident_kib("VmRSS:");
        let (before, began) = (used_seconds(&client), Instant::now());
        let node = connect(client.clone()).await;
        let took = began.elapsed().as_secs_f64();
        let after = used_seconds(&client);
        let revocations = node.state().revocations;
        let count = revocations.entries() as f64;
        if round == 0 {
            let more = |name| (resident_kib(name) - resident) as f64;
            println!(
                "  a node holds {count} in {:.1} bytes each; its memory grew by {:.0} MiB, and at \
                 most by {:.2} times as much",
                revocations.heap_bytes as f64 / count,
                more("VmRSS:") / 1024.0,
                more("VmHWM:") / more("VmRSS:")
            );
        }
        if took < fastest {
            fastest = took;
            let [own, server] = [after[0] - before[0], after[1] - before[1]];
            times = format!("{took:.2} s; the node computes {own:.2} s, the server {server:.2} s");
        }
    }
    println!("  a node reads them in {times}");
}

async fn load(count: u64) {
    let server = Server::start(&[]);
    let first = node(&server).await;
    let used = || server.number("memory", "used_memory");
    let before = used();
    let began = Instant::now();
    let tasks: Vec<_> = (0..256)
        .map(|task: u64| {
            let store = first.clone();
            tokio::spawn(async move {
                for number in (task..count).step_by(256) {
                    // Of tokens that live an hour.
                    let expires_at = in_seconds(1 + number * 3600 / count);
                    let jti = format!("token-{number}");
                    while !revoke(&store, &jti, expires_at).await {}
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let took = began.elapsed();
    println!("{count} revocations, made in {took:.1?} by 256 callers on one node");
    let with_stream = used();
    server.ask::<u64>(cmd("XTRIM").arg("{jwt}:stream").arg("MAXLEN").arg(0));
    let members: u64 = server.ask(cmd("ZCARD").arg("{jwt}:revoked"));
    let state = (used() - before) as f64 / members as f64;
    println!(
        "  in Redis {state:.0} bytes each, and {:.0} more for a minute in the stream",
        (with_stream - used()) as f64 / members as f64
    );
    // In a separate process, to measure its memory alone.
    let mut program = Command::new(std::env::current_exe().unwrap());
    let reading = program.arg("read").arg(server.port.to_string());
    assert!(reading.status().unwrap().success());
    let second = node(&server).await;
    // All of a deployment's nodes at once, since the server has lost its stream.
    let began = Instant::now();
    server.ask::<()>(cmd("HSET").arg("{jwt}:last").arg("hash").arg("another"));
    let mut longest = Duration::ZERO;
    while [&first, &second].iter().any(|node| node.state().loads < 2)
        || !first.state().is_fresh
        || !second.state().is_fresh
    {
        longest = longest.max(first.state().staleness.unwrap());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!(
        "  two nodes read all anew in {:.2?}, and were without news for {longest:.2?} at most",
        began.elapsed()
    );
}

/// A service over a store, and a session's token.
struct Service {
    router: Router,
    authorization: HeaderValue,
}

impl Service {
    fn over<S: RevocationStore>(store: S) -> Self {
        let key = SigningKey::hs256([7; 32]).unwrap();
        let registered = RegisteredClaims::valid_for(Duration::from_secs(3600), SystemTime::now())
            .issuer(ISSUER)
            .subject("248289761001")
            .token_id("6b1d5a9e-6a52-4c0e-9d29-2f1d0a1f3c77")
            .session_id("Dhsj_tC8WzpyZGAdNvukdw")
            .generation(2);
        let authorization = format!("Bearer {}", key.sign(&registered).unwrap());
        let layer = JwtAuthLayer::new(key.verifying_key())
            .issuer(ISSUER)
            .revocation(store);
        Self {
            router: Router::new()
                .route("/me", get(async |_: Claims<User>| StatusCode::OK))
                .layer(layer)
                .with_state(()),
            authorization: authorization.try_into().unwrap(),
        }
    }

    /// Nothing in it waits.
    fn call(&mut self, count: u64) {
        for _ in 0..count {
            let request = Request::get("/me").header(AUTHORIZATION, &self.authorization);
            let request = request.body(Body::empty()).unwrap();
            let mut context = Context::from_waker(Waker::noop());
            match pin!(self.router.call(request)).poll(&mut context) {
                Poll::Ready(Ok(response)) => assert_eq!(response.status(), StatusCode::OK),
                _ => panic!("a store that has no answer"),
            }
        }
    }
}

#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "decoded to be decoded")]
struct User {
    sub: String,
}

/// Of all kinds, none of which is the token's own.
fn others() -> impl Iterator<Item = [String; 3]> {
    (0..1000).map(|number| ["jti", "sid", "subject"].map(|name| format!("{name}-{number}")))
}

fn revocations<'a>(
    [jti, sid, subject]: &'a [String; 3],
    until: NumericDate,
) -> [Revocation<'a>; 3] {
    let issuer = Some(ISSUER);
    [
        Revocation::Token {
            issuer,
            jti,
            expires_at: until,
        },
        Revocation::Session { issuer, sid, until },
        Revocation::Generation {
            issuer,
            subject,
            generation: 2,
            until,
        },
    ]
}

fn memory() -> MemoryStore {
    let store = MemoryStore::new();
    let until = in_seconds(3600);
    for names in others() {
        for revocation in revocations(&names, until) {
            store.revoke(&revocation).unwrap();
        }
    }
    store
}

async fn redis(server: &Server) -> RedisStore {
    // Long enough that only requests run between two heartbeats, however slow the machine is.
    let options = RedisStoreOptions::new([7; 32]).unwrap();
    let options = options.max_staleness(Duration::from_secs(3600));
    let store = options.connect(server.client()).await.unwrap();
    store.ready(Duration::from_secs(300)).await.unwrap();
    let until = in_seconds(3600);
    for names in others() {
        for revocation in revocations(&names, until) {
            store.revoke(&revocation).await.unwrap();
        }
    }
    store
}

/// By turns, so that both have the machine in the same mood.
async fn requests(count: u64) {
    let server = Server::start(&[]);
    let (mut memory, mut redis) = (Service::over(memory()), Service::over(redis(&server).await));
    let mut ratios = Vec::new();
    let mut nanoseconds = Vec::new();
    for round in 0..=40 {
        let time = |service: &mut Service| {
            let began = Instant::now();
            service.call(count);
            began.elapsed().as_nanos() as f64 / count as f64
        };
        let (first, second) = match round % 2 {
            0 => {
                let first = time(&mut memory);
                (first, time(&mut redis))
            }
            _ => {
                let second = time(&mut redis);
                (time(&mut memory), second)
            }
        };
        ratios.push(second / first);
        nanoseconds.push(first);
    }
    ratios.sort_by(f64::total_cmp);
    nanoseconds.sort_by(f64::total_cmp);
    println!(
        "a request with the memory store: {:.0} ns; with Redis: {:.3} of that (median of {} pairs)",
        nanoseconds[20],
        ratios[20],
        ratios.len()
    );
}

async fn run(arguments: Vec<String>) {
    let mut words: Vec<_> = arguments.iter().map(String::as_str).collect();
    // As a test it only shows that it runs.
    let is_bench = words.contains(&"--bench");
    words.retain(|word| *word != "--bench");
    let count = words.iter().find_map(|word| word.parse().ok());
    if let ["requests", store, count] = words[..] {
        // Both are there: a process with several threads takes longer to give memory back.
        let server = Server::start(&[]);
        let (memory, redis) = (memory(), redis(&server).await);
        let mut service = match store {
            "memory" => Service::over(memory),
            _ => Service::over(redis.clone()),
        };
        return service.call(count.parse().unwrap());
    }
    if let ["read", port] = words[..] {
        return read(Client::open(format!("redis://127.0.0.1:{port}/")).unwrap()).await;
    }
    let is = |mode: &str| {
        let modes = ["spread", "load", "requests"];
        words.contains(&mode) || !words.iter().any(|word| modes.contains(word))
    };
    if is("requests") {
        requests(if is_bench { 10_000 } else { 10 }).await;
    }
    if is("spread") {
        spreads(count.unwrap_or(if is_bench { 10_000 } else { 100 })).await;
    }
    if is("load") {
        let counts: &[u64] = match is_bench {
            true => &[10_000, 100_000, 1_000_000],
            false => &[10_000],
        };
        match count {
            Some(count) => load(count as u64).await,
            None => {
                for count in counts {
                    load(*count).await;
                }
            }
        }
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(std::env::args().skip(1).collect()));
}
