//! Sessions and revocations in a real Redis. See `run.sh`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test that panics fails, and a real server uses the real time"
)]

mod access;
#[path = "../support/answer.rs"]
mod answer;
mod attacks;
#[path = "../support/bound_sessions.rs"]
mod bound_sessions;
#[path = "../support/bound_token.rs"]
mod bound_token;
mod changes;
#[path = "../support/dpop_client.rs"]
mod dpop_client;
mod edge;
mod eviction;
mod faults;
mod foreign;
mod groups;
mod histories;
mod load;
mod loads;
mod process;
mod proofs;
mod proxy;
mod revocations;
mod runtime;
#[expect(dead_code, reason = "the random histories use the rest")]
mod server;
#[path = "../support/session_changes.rs"]
mod session_changes;
mod sessions;
mod subjects;
mod trimming;
mod waits;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use server::Server;
use tower_jwt_auth::clock::{Clock, ManualClock};
use tower_jwt_auth::store::redis::RedisDeployment;
use tower_jwt_auth::store::{RedisStore, RedisStoreOptions};
use tower_jwt_auth::testing::session_store_contract;

const SECRET: [u8; 32] = [7; 32];

/// Longer than any step takes, even on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// Short, so that a short outage makes a node stale.
const STALENESS: Duration = Duration::from_secs(1);

fn options() -> RedisStoreOptions {
    RedisStoreOptions::new(SECRET).unwrap()
}

async fn connect(options: RedisStoreOptions, to: impl Into<RedisDeployment>) -> RedisStore {
    let store = options.connect(to).await.unwrap();
    store.ready(LONG).await.unwrap();
    store
}

/// A node that becomes stale soon.
async fn node(to: impl Into<RedisDeployment>) -> RedisStore {
    connect(options().max_staleness(STALENESS), to).await
}

async fn nodes(server: &Server, count: usize) -> Vec<RedisStore> {
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(node(server.client()).await);
    }
    nodes
}

/// Waits until `is_so`, and checks every few milliseconds.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LONG, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn all_fresh(nodes: &[RedisStore]) {
    eventually("all nodes are fresh", || {
        nodes.iter().all(|node| node.state().is_fresh)
    })
    .await;
}

async fn of_prefix(server: &Server, prefix: &str, clock: impl Clock) -> RedisStore {
    connect(options().prefix(prefix).clock(clock), server.client()).await
}

#[tokio::test]
async fn keeps_the_session_store_contract() {
    let server = Server::start(&[]);
    let number = AtomicU64::new(0);
    session_store_contract(|clock: ManualClock| {
        let prefix = number.fetch_add(1, Ordering::SeqCst).to_string();
        let server = &server;
        async move { of_prefix(server, &prefix, clock).await }
    })
    .await;
}
