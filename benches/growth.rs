//! Measures how costs grow: with the number of revocations, of trusted issuers, and of keys in a
//! set.
//!
//! Everything runs five times, in turns, so a machine whose speed drifts favours none. Each figure
//! is the median of the five. A request is compared with one through a bare axum router, by 10th
//! percentiles of batches. Its tokens are sent in turn, so the tables are as cold as with many
//! users.
//!
//! `cargo bench --locked --bench growth --features embedded`. The files of the stores are created
//! in the directory for temporary files: the largest has about 1 GB. To fill them faster, choose a
//! directory in memory: `TMPDIR=/dev/shm`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a bench: it panics, prints, and reads the time"
)]

#[path = "support/median.rs"]
mod median;
mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::routing::get;
use http::HeaderValue;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::{Algorithm, KeySet, SigningKey};
use tower_jwt_auth::revocation::{Revocation, RevocationSet};
use tower_jwt_auth::store::{EmbeddedStore, EmbeddedStoreOptions};
use tower_jwt_auth::{JwtAuthLayer, TrustedIssuer};

use median::median;
use support::{Subject, access, bare_handler, call, handler};

const ROUNDS: usize = 5;
const ISSUER: &str = "https://id.example.com";

/// Tokens expire within this many seconds, but none during the bench.
const EXPIRIES: std::ops::Range<u64> = 3600..7200;

/// Larger than all tokens of a subject.
const CACHE: usize = 64 << 20;

/// How much is measured. As a test the bench only shows that it runs.
struct Effort {
    revocations: &'static [u64],
    issuers: &'static [usize],
    tokens: usize,
    samples: usize,
}

const FULL: Effort = Effort {
    revocations: &[10_000, 100_000, 1_000_000, 10_000_000],
    issuers: &[1, 10, 100, 1000],
    tokens: 10_000,
    samples: 500,
};

const QUICK: Effort = Effort {
    revocations: &[10, 100],
    issuers: &[1, 10],
    tokens: 20,
    samples: 2,
};

/// A service, and the tokens that are sent to it in turn.
type Service<'a> = (Router, &'a [HeaderValue]);

/// As `axum::serve` does. Without the state the layer would be applied again for every request.
fn service(router: Router, tokens: &[HeaderValue]) -> Service<'_> {
    (router.with_state(()), tokens)
}

fn bare() -> Router {
    Router::new().route("/me", get(bare_handler))
}

fn with_claims() -> Router {
    Router::new().route("/me", get(handler))
}

fn in_turn<'a>((router, tokens): &'a mut Service<'_>) -> Subject<'a> {
    let mut tokens = tokens.iter().cycle();
    Subject::new(move || call(router, tokens.next().unwrap()))
}

/// What a request to each service costs over one to the first, in µs.
fn costs(services: &mut [Service<'_>], samples: usize) -> Vec<f64> {
    // Each token once, so that a cache has them all.
    for (router, tokens) in &mut *services {
        tokens.iter().for_each(|token| call(router, token));
    }
    let mut rounds = vec![Vec::new(); services.len()];
    for _ in 0..ROUNDS {
        let mut subjects: Vec<_> = services.iter_mut().map(in_turn).collect();
        for _ in 0..samples {
            subjects.iter_mut().for_each(Subject::sample);
        }
        let bare = subjects[0].percentile();
        for (subject, overs) in subjects.iter_mut().zip(&mut rounds) {
            overs.push((subject.percentile() - bare) / 1000.0);
        }
    }
    rounds.iter_mut().map(|overs| median(overs)).collect()
}

/// Tokens of as many users. The names of issuers and the keys take turns.
fn tokens(count: usize, issuers: &[String], keys: &[SigningKey]) -> Vec<HeaderValue> {
    let token = |number: usize| {
        let mut access = access();
        access.iss.clone_from(&issuers[number % issuers.len()]);
        access.sub = format!("{number:012}");
        access.jti = format!("6b1d5a9e-6a52-4c0e-9d29-{number:012x}");
        let spread = u64::try_from(number * 7919).unwrap() % (EXPIRIES.end - EXPIRIES.start);
        access.exp = access.iat + EXPIRIES.start + spread;
        let token = keys[number % keys.len()].sign(&access).unwrap();
        HeaderValue::try_from(format!("Bearer {token}")).unwrap()
    };
    (0..count).map(token).collect()
}

/// The id and the expiry of one of so many revoked tokens, by expiry.
fn revoked(number: u64, count: u64) -> (String, NumericDate) {
    let spread = number * (EXPIRIES.end - EXPIRIES.start) / count;
    let expires_at = SystemTime::now() + Duration::from_secs(EXPIRIES.start + spread);
    (format!("revoked-{number}"), expires_at.into())
}

fn revocation((jti, expires_at): &(String, NumericDate)) -> Revocation<'_> {
    Revocation::Token {
        issuer: Some(ISSUER),
        jti,
        expires_at: *expires_at,
    }
}

async fn open(path: &Path) -> EmbeddedStore {
    let options = EmbeddedStoreOptions::new().capacity(usize::MAX);
    options.open(path).await.unwrap()
}

async fn fill(path: &Path, count: u64) {
    const CALLERS: usize = 1024;
    let store = open(path).await;
    let mut tasks = JoinSet::new();
    for caller in 0..CALLERS {
        let store = store.clone();
        tasks.spawn(async move {
            for number in (0..count).skip(caller).step_by(CALLERS) {
                let token = revoked(number, count);
                store.revoke(&revocation(&token)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    store.close().await;
}

/// Figures of a number of revocations, a sample of each round.
#[derive(Default)]
struct Growth {
    starts: Vec<Duration>,
    prunes: Vec<Duration>,
    heap_bytes: usize,
}

impl Growth {
    fn measure(&mut self, runtime: &Runtime, path: &Path, count: u64) {
        runtime.block_on(async {
            let began = Instant::now();
            let store = open(path).await;
            self.starts.push(began.elapsed());
            store.close().await;
        });

        let clock = ManualClock::at(access().iat);
        let set = RevocationSet::new().capacity(usize::MAX);
        let set = set.clock(clock.clone());
        for number in 0..count {
            set.revoke(&revocation(&revoked(number, count))).unwrap();
        }
        assert_eq!(set.state().tokens as u64, count);
        self.heap_bytes = set.state().heap_bytes;
        clock.advance(Duration::from_secs(2 * EXPIRIES.end));
        let began = Instant::now();
        set.prune();
        self.prunes.push(began.elapsed());
        assert_eq!(set.state().tokens, 0);
    }
}

fn revocations(effort: &Effort, directory: &Path) {
    let runtime = Runtime::new().unwrap();
    let path = |count: u64| directory.join(count.to_string());
    let mut rows: Vec<_> = effort
        .revocations
        .iter()
        .map(|count| (*count, Growth::default()))
        .collect();
    for (count, _) in &rows {
        runtime.block_on(fill(&path(*count), *count));
    }
    for _ in 0..ROUNDS {
        for (count, growth) in &mut rows {
            growth.measure(&runtime, &path(*count), *count);
        }
    }

    let signing = SigningKey::generate(Algorithm::HS256).unwrap();
    let tokens = tokens(
        effort.tokens,
        &[ISSUER.to_owned()],
        std::slice::from_ref(&signing),
    );
    let layer = JwtAuthLayer::new(signing.verifying_key())
        .issuer(ISSUER)
        .audience("api")
        .cache(CACHE);
    let mut services = vec![
        service(bare(), &tokens),
        service(with_claims().layer(layer.clone()), &tokens),
    ];
    for (count, _) in &rows {
        let store = runtime.block_on(open(&path(*count)));
        services.push(service(
            with_claims().layer(layer.clone().revocation(store)),
            &tokens,
        ));
    }
    let costs = costs(&mut services, effort.samples);
    println!("| revocations | cache hit, µs over bare axum | memory | file | start | prune |");
    println!("| --- | --- | --- | --- | --- | --- |");
    println!("| no store | {:.2} | - | - | - | - |", costs[1]);
    for ((count, growth), cost) in rows.iter_mut().zip(&costs[2..]) {
        let mebibytes = |bytes: f64| bytes / f64::from(1 << 20);
        println!(
            "| {count} | {cost:.2} | {:.1} MiB | {:.0} MiB | {:.1?} | {:.1?} |",
            mebibytes(growth.heap_bytes as f64),
            mebibytes(std::fs::metadata(path(*count)).unwrap().len() as f64),
            median(&mut growth.starts),
            median(&mut growth.prunes),
        );
    }
}

/// A layer that trusts so many issuers with a key each, and one that trusts one with so many keys.
fn trusting(issuers: &[String], keys: &[SigningKey]) -> [JwtAuthLayer; 2] {
    let issuers = issuers.iter().zip(keys);
    let issuers = issuers.map(|(name, key)| TrustedIssuer::new(name, key.verifying_key()));
    let issuers: Vec<_> = issuers.collect();
    let set = KeySet::new(keys.iter().map(SigningKey::verifying_key)).unwrap();
    [
        JwtAuthLayer::new(issuers),
        JwtAuthLayer::new(set).issuer(ISSUER),
    ]
    .map(|layer| layer.audience("api").cache(CACHE))
}

fn issuers_and_keys(effort: &Effort) {
    let counts = effort.issuers;
    let most = counts.iter().copied().max().unwrap();
    let key = |number| {
        SigningKey::generate(Algorithm::HS256)
            .unwrap()
            .with_key_id(format!("key {number}"))
    };
    let keys: Vec<_> = (0..most).map(key).collect();
    let names: Vec<_> = (0..most)
        .map(|number| format!("https://{number:04}.example.com"))
        .collect();
    let tokens: Vec<_> = counts
        .iter()
        .map(|count| {
            let (names, keys) = (&names[..*count], &keys[..*count]);
            [
                tokens(effort.tokens, names, keys),
                tokens(effort.tokens, &[ISSUER.to_owned()], keys),
            ]
        })
        .collect();
    let mut services = vec![service(bare(), &tokens[0][0])];
    for (count, tokens) in counts.iter().zip(&tokens) {
        for (layer, tokens) in trusting(&names[..*count], &keys[..*count])
            .into_iter()
            .zip(tokens)
        {
            services.push(service(with_claims().layer(layer.clone()), tokens));
            services.push(service(with_claims().layer(layer.without_cache()), tokens));
        }
    }
    let costs = costs(&mut services, effort.samples);
    println!(
        "\n| µs over bare axum, HS256 | issuers: cache hit | cache miss | keys in a set: cache hit \
         | cache miss |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for (count, costs) in counts.iter().zip(costs[1..].chunks(4)) {
        let cells: Vec<_> = costs.iter().map(|cost| format!("{cost:.2}")).collect();
        println!("| {count} | {} |", cells.join(" | "));
    }
}

fn main() {
    // `cargo test --benches` runs this too, to see that it works.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let effort = if is_bench { FULL } else { QUICK };
    let name = format!("tower-jwt-auth-growth-{}", std::process::id());
    let directory: PathBuf = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).unwrap();
    revocations(&effort, &directory);
    std::fs::remove_dir_all(&directory).unwrap();
    issuers_and_keys(&effort);
    println!(
        "\nMedians of {ROUNDS}, of {} tokens in turn.",
        effort.tokens
    );
}
