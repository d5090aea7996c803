//! A [`RedisStore`] on a redis-server of this machine: how soon a revocation holds on other nodes, how long a node takes to
//! read many, and what they take up.
//!
//! `cargo bench --features redis --bench redis [-- spread COUNT | load COUNT]`; `redis-server` must be installed.
#![expect(clippy::print_stdout, reason = "it tells what it measured")]
#![expect(clippy::unwrap_used, reason = "a bench that fails is no bench")]
#![expect(clippy::expect_used, reason = "a bench that fails is no bench")]
#![expect(clippy::panic, reason = "a bench that fails is no bench")]
#![expect(clippy::indexing_slicing, reason = "small numbers")]
#![expect(clippy::arithmetic_side_effects, reason = "small numbers")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]
#![expect(clippy::cast_precision_loss, reason = "small numbers")]

#[path = "../tests/redis/server.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use server::Server;
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::revocation::{Revocation, RevocationStore, TokenId};
use tower_jwt_auth::store::redis::client::cmd;
use tower_jwt_auth::store::{RedisStore, RedisStoreOptions};

const ISSUER: &str = "https://id.example.com";

fn in_seconds(seconds: u64) -> NumericDate {
    (SystemTime::now() + Duration::from_secs(seconds)).into()
}

async fn node(server: &Server) -> RedisStore {
    let options = RedisStoreOptions::new([7; 32]).unwrap();
    let store = options.connect(server.client()).await.unwrap();
    store.ready(Duration::from_secs(300)).await.unwrap();
    store
}

async fn revoke(store: &RedisStore, jti: &str, expires_at: NumericDate) {
    let revocation = Revocation::Token {
        issuer: Some(ISSUER),
        jti,
        expires_at,
    };
    store.revoke(&revocation).await.unwrap();
}

/// From the return of a revocation on one node to the moment at which both others refuse.
async fn spread_once(nodes: &[RedisStore], jti: &str, expires_at: NumericDate) -> Duration {
    revoke(&nodes[0], jti, expires_at).await;
    let began = Instant::now();
    let token = TokenId::new(expires_at).issuer(ISSUER).jti(jti);
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

/// So many revocations a second by a fourth node, until it is told to stop. How many there were.
async fn busy(store: RedisStore, per_second: u64, stops: Arc<AtomicBool>) -> u64 {
    let expires_at = in_seconds(3600);
    let began = Instant::now();
    let mut made = 0;
    let mut pending = tokio::task::JoinSet::new();
    while !stops.load(Ordering::SeqCst) {
        let due = began.elapsed().as_millis() as u64 * per_second / 1000;
        while made < due {
            let store = store.clone();
            let jti = format!("busy-{made}");
            pending.spawn(async move { revoke(&store, &jti, expires_at).await });
            made += 1;
        }
        while pending.try_join_next().is_some() {}
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while let Some(done) = pending.join_next().await {
        done.unwrap();
    }
    made
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

async fn load(count: u64) {
    let server = Server::start(&[]);
    let first = node(&server).await;
    let used = || server.number("memory", "used_memory");
    let before = used();
    let began = Instant::now();
    let tasks: Vec<_> = (0..256)
        .map(|task| {
            let store = first.clone();
            tokio::spawn(async move {
                for number in (task..count).step_by(256) {
                    // Of tokens that live an hour.
                    let expires_at = in_seconds(1 + number * 3600 / count);
                    revoke(&store, &format!("token-{number}"), expires_at).await;
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
    let began = Instant::now();
    let second = node(&server).await;
    let took = began.elapsed();
    let revocations = second.state().revocations;
    println!(
        "  a node reads them in {took:.2?}, and holds {} in {:.1} bytes each",
        revocations.entries(),
        revocations.heap_bytes as f64 / revocations.entries() as f64
    );
    // All of a deployment's nodes at once, since the server has lost its stream.
    let began = Instant::now();
    server.ask::<()>(cmd("SET").arg("{jwt}:last").arg("another"));
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

async fn run(arguments: Vec<String>) {
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    // As a test it only shows that it runs.
    let is_bench = words.contains(&"--bench");
    let count = words.iter().find_map(|word| word.parse().ok());
    if !words.contains(&"load") {
        spreads(count.unwrap_or(if is_bench { 10_000 } else { 100 })).await;
    }
    if !words.contains(&"spread") {
        let count = count.map_or(if is_bench { 1_000_000 } else { 10_000 }, |count| {
            count as u64
        });
        load(count).await;
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(std::env::args().skip(1).collect()));
}
