//! Sessions and revocations in a real Redis.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test that panics fails, and a real server goes by real time"
)]

mod server;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use server::Server;
use tower_jwt_auth::clock::{Clock, ManualClock};
use tower_jwt_auth::store::{RedisStore, RedisStoreOptions};
use tower_jwt_auth::testing::session_store_contract;

const SECRET: [u8; 32] = [7; 32];
const SOON: Duration = Duration::from_secs(10);

async fn node(server: &Server, prefix: &str, clock: impl Clock) -> RedisStore {
    let options = RedisStoreOptions::new(SECRET).unwrap();
    let store = options.prefix(prefix).clock(clock).connect(server.client());
    let store = store.await.unwrap();
    store.ready(SOON).await.unwrap();
    store
}

#[tokio::test]
async fn the_contract() {
    let server = Server::start(&[]);
    let number = AtomicU64::new(0);
    session_store_contract(|clock: ManualClock| {
        let prefix = number.fetch_add(1, Ordering::SeqCst).to_string();
        let server = &server;
        async move { node(server, &prefix, clock).await }
    })
    .await;
}
