//! Measures the sessions of each store: bytes and time of a login with and without data, and
//! refreshes a second by one caller and by 64.
//!
//! `cargo bench --features embedded,redis --bench sessions [-- COUNT]`. `redis-server` must be
//! installed.
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

use std::path::Path;
use std::time::Instant;

use resident::resident_kib;
use serde_json::{Value, json};
use server::Server;
use tokio::task::JoinSet;
use tower_jwt_auth::keys::SigningKey;
use tower_jwt_auth::session::{RefreshKeys, SessionStore, Sessions, TokenPair};
use tower_jwt_auth::store::redis::client::cmd;
use tower_jwt_auth::store::{EmbeddedStore, EmbeddedStoreOptions};
use tower_jwt_auth::store::{MemoryStore, RedisStoreOptions};

const CALLERS: usize = 64;

fn sessions<S: SessionStore>(store: S) -> Sessions<S> {
    let key = SigningKey::hs256([7; 32]).unwrap();
    let sessions = Sessions::new(store, key, RefreshKeys::new([2; 32]).unwrap());
    sessions.issuer("https://id.example.com").audience("api")
}

/// 200 bytes of JSON.
fn data() -> Value {
    json!({ "organisation": "acme", "amr": ["pwd", "otp"], "notes": "n".repeat(148) })
}

/// Logs `count` subjects in, by 64 callers. Returns the last token of each caller.
async fn log_in<S: SessionStore>(
    sessions: &Sessions<S>,
    count: usize,
    data: Option<Value>,
) -> Vec<TokenPair> {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (sessions, data) = (sessions.clone(), data.clone());
        callers.spawn(async move {
            let mut last = None;
            for number in 0..count / CALLERS {
                let subject = sessions.subject_named(format!("user {caller} {number}"));
                let mut login = sessions.begin(&subject).await.unwrap();
                if let Some(data) = &data {
                    login = login.data(data).unwrap();
                }
                last = Some(sessions.complete(login).await.unwrap());
            }
            last.expect("each caller logs in")
        });
    }
    callers.join_all().await
}

/// Refreshes by as many callers as there are tokens, `count` times in all.
async fn refresh<S: SessionStore>(sessions: &Sessions<S>, tokens: Vec<TokenPair>, count: usize) {
    let (callers, began) = (tokens.len(), Instant::now());
    let mut tasks = JoinSet::new();
    for mut tokens in tokens {
        let sessions = sessions.clone();
        tasks.spawn(async move {
            for _ in 0..count / callers {
                tokens = sessions.refresh(&tokens.refresh_token).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let rate = count as f64 / began.elapsed().as_secs_f64();
    println!("  {rate:.0} refreshes a second by {callers} callers");
}

/// `bytes`: how many the store takes now.
async fn measure<S: SessionStore>(name: &str, store: S, count: usize, bytes: impl Fn() -> u64) {
    println!("{name}, {count} sessions");
    let sessions = sessions(store);
    for (what, data) in [
        ("without data", None),
        ("with 200 bytes of data", Some(data())),
    ] {
        let (before, began) = (bytes(), Instant::now());
        let tokens = log_in(&sessions, count, data).await;
        let each = began.elapsed() / u32::try_from(count).unwrap();
        let size = bytes().saturating_sub(before) / u64::try_from(count).unwrap();
        println!("  {what}: {size} bytes, a login {each:.1?} by {CALLERS} callers");
        let one = tokens.iter().take(1).cloned().collect();
        refresh(&sessions, one, count / 10).await;
        refresh(&sessions, tokens.into_iter().skip(1).collect(), count).await;
    }
}

async fn embedded(path: &Path, count: usize) {
    let store: EmbeddedStore = EmbeddedStoreOptions::new().open(path).await.unwrap();
    let length = || std::fs::metadata(path).unwrap().len();
    measure("embedded (its file)", store, count, length).await;
}

async fn redis(count: usize) {
    let server = Server::start(&[]);
    let options = RedisStoreOptions::new([7; 32]).unwrap();
    let store = options.connect(server.client()).await.unwrap();
    let used = || {
        let info = server.ask::<String>(cmd("INFO").arg("memory"));
        let line = info.lines().find(|line| line.starts_with("used_memory:"));
        line.and_then(|line| line.split(':').nth(1))
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    };
    measure("Redis (used_memory)", store, count, used).await;
}

async fn run() {
    let count = std::env::args().find_map(|word| word.parse().ok());
    let count = count.unwrap_or(64_000);
    let resident = || resident_kib("RssAnon:") << 10;
    measure("memory", MemoryStore::new(), count, resident).await;
    let name = format!("tower-jwt-auth-bench-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    embedded(&path, count).await;
    let _ = std::fs::remove_file(&path);
    redis(count).await;
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run());
}
