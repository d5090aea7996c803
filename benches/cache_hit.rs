//! Measures a request whose token is in the cache: the layer and `Claims<T>`, over a bare axum
//! router. Also measures a second thread, and the memory of the cache under a flood of tokens.
//!
//! Subjects take turns in one process, batch by batch, so a machine whose speed drifts favours
//! none. Compare the ratios of their 10th percentiles; absolute times mean little.
//!
//! `cargo bench --bench cache_hit`, with `-- cost`, `threads` or `flood` for a part of it. `--
//! count bare|ours|set|fresh N` makes `N` requests with one token, for a tool that counts
//! instructions.
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
#[path = "support/resident.rs"]
mod resident;
mod support;

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use http::HeaderValue;
use serde_json::Value;
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::revocation::{Revocation, RevocationSet, RevocationStore, TokenIdentity};
use tower_jwt_auth::{JwtAuthLayer, VerifiedToken, Verifier};

use median::median;
use resident::resident_kib;
use support::{Access, Subject, access, bare_handler, call, handler};

const MEBIBYTE: usize = 1024 * 1024;

/// The set alone, without what writes to it.
struct Set(Arc<RevocationSet>);

impl RevocationStore for Set {
    type Error = Infallible;

    async fn is_revoked(&self, token: &TokenIdentity<'_>) -> Result<bool, Infallible> {
        Ok(self.0.is_revoked(token))
    }

    fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool> {
        Some(self.0.is_revoked(token))
    }
}

fn set(entries: u64) -> Arc<RevocationSet> {
    let set = RevocationSet::new();
    for number in 0..entries {
        let jti = format!("revoked-{number}");
        let expires_at = NumericDate::from_seconds(access().exp - number % 3600).unwrap();
        set.revoke(&Revocation::Token {
            issuer: Some("https://id.example.com"),
            jti: &jti,
            expires_at,
        })
        .unwrap();
    }
    Arc::new(set)
}

fn numbered(signing: &SigningKey, number: u64) -> String {
    let mut access: Access = access();
    access.jti = format!("6b1d5a9e-6a52-4c0e-9d29-{number:012x}");
    signing.sign(&access).unwrap()
}

fn headers(signing: &SigningKey, count: u64) -> Vec<HeaderValue> {
    let header = |number| format!("Bearer {}", numbered(signing, number));
    (0..count)
        .map(|number| HeaderValue::try_from(header(number)).unwrap())
        .collect()
}

fn layer(signing: &SigningKey) -> JwtAuthLayer {
    JwtAuthLayer::new(signing.verifying_key())
        .issuer("https://id.example.com")
        .audience("api")
        .cache(64 * MEBIBYTE)
}

/// As `axum::serve` does. Without the state the layer would be applied again for every request.
fn bare() -> Router {
    Router::new().route("/me", get(bare_handler)).with_state(())
}

fn ours(signing: &SigningKey) -> Router {
    let router = Router::new().route("/me", get(handler));
    router.layer(layer(signing)).with_state(())
}

fn with_set(signing: &SigningKey, set: &Arc<RevocationSet>) -> Router {
    let layer = layer(signing).revocation(Set(Arc::clone(set)));
    let router = Router::new().route("/me", get(handler));
    router.layer(layer).with_state(())
}

fn in_turn<'a>(router: &'a mut Router, tokens: &'a [HeaderValue]) -> impl FnMut() + 'a {
    let mut next = 0;
    move || {
        call(router, &tokens[next]);
        next = (next + 1) % tokens.len();
    }
}

/// Must be asked at every request: what it adds to a bare router, as a part of what that costs.
fn cost(algorithm: Algorithm, set: &Arc<RevocationSet>, many: u64, rounds: usize) {
    let signing = SigningKey::generate(algorithm).unwrap();
    let tokens = headers(&signing, many);
    let hot = &tokens[..1];
    let mut routers = [
        bare(),
        ours(&signing),
        with_set(&signing, set),
        bare(),
        ours(&signing),
        with_set(&signing, set),
    ];
    // Each token once, so that none is seen first in a sample.
    for router in &mut routers[4..] {
        tokens.iter().for_each(|token| call(router, token));
    }
    let mut subjects = Vec::new();
    for (index, router) in routers.iter_mut().enumerate() {
        let tokens = if index < 3 { hot } else { &tokens };
        subjects.push(Subject::new(in_turn(router, tokens)));
    }
    for _ in 0..rounds {
        subjects.iter_mut().for_each(Subject::sample);
    }
    let times: Vec<_> = subjects.iter_mut().map(Subject::percentile).collect();
    println!(
        "{algorithm:<6} {:>6.0} {:>7.0} {:>7.0} {:>7.2} {:>7.2}   {:>6.0} {:>7.0} {:>7.0} {:>7.2} {:>7.2}",
        times[0],
        times[1] - times[0],
        times[2] - times[0],
        (times[1] - times[0]) / times[0],
        (times[2] - times[0]) / times[0],
        times[3],
        times[4] - times[3],
        times[5] - times[3],
        (times[4] - times[3]) / times[3],
        (times[5] - times[3]) / times[3],
    );
}

/// Runs `threads` threads, each with a clone of the router as each connection has. Returns requests
/// a second, and requests a second of processor time, which excludes other processes.
fn throughput(
    router: &Router,
    tokens: &[HeaderValue],
    threads: usize,
    time: Duration,
) -> (f64, f64) {
    let (stop, total, nanoseconds) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let barrier = Barrier::new(threads);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let mut router = router.clone();
            // Copied, not shared: each request has its own in memory.
            let tokens: Vec<_> = tokens
                .iter()
                .map(|token| HeaderValue::from_bytes(token.as_bytes()).unwrap())
                .collect();
            let (stop, total, nanoseconds, barrier) = (&stop, &total, &nanoseconds, &barrier);
            scope.spawn(move || {
                let mut done = 0;
                let mut next = thread * tokens.len() / threads;
                barrier.wait();
                let before = processor_time();
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..64 {
                        call(&mut router, &tokens[next]);
                        next = (next + 1) % tokens.len();
                    }
                    done += 64;
                    if thread == 0 && start.elapsed() >= time {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
                total.fetch_add(done, Ordering::Relaxed);
                nanoseconds.fetch_add(processor_time() - before, Ordering::Relaxed);
            });
        }
    });
    let total = total.load(Ordering::Relaxed) as f64;
    let each = nanoseconds.load(Ordering::Relaxed) as f64 / 1e9 / threads as f64;
    (total / start.elapsed().as_secs_f64(), total / each)
}

/// How long this thread has run, in nanoseconds, where the system says so.
fn processor_time() -> u64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = times.split_whitespace().next();
    first.and_then(|time| time.parse().ok()).unwrap_or(0)
}

/// By what the bare router and ours grow from one thread to two.
fn threads(rounds: usize, time: Duration) {
    let signing = SigningKey::generate(Algorithm::EdDSA).unwrap();
    for (name, count) in [("one hot token", 1), ("10,000 tokens", 10_000)] {
        let tokens = headers(&signing, if rounds < 3 { count.min(100) } else { count });
        let (bare, ours) = (bare(), ours(&signing));
        for token in &tokens {
            call(&mut ours.clone(), token);
        }
        let mut growth = [(); 4].map(|()| Vec::new());
        for _ in 0..rounds {
            for (index, router) in [&bare, &ours].into_iter().enumerate() {
                let one = throughput(router, &tokens, 1, time);
                let two = throughput(router, &tokens, 2, time);
                growth[index].push(two.0 / one.0);
                growth[2 + index].push(two.1 / one.1);
            }
        }
        let [bare, ours, bare_processor, ours_processor] =
            growth.map(|mut samples| median(&mut samples));
        println!(
            "{name}: from one thread to two the bare router grows by {bare:.2}, ours by {ours:.2}: {:.2}; by the \
             processor's time {bare_processor:.2}, {ours_processor:.2}: {:.2}",
            ours / bare,
            ours_processor / bare_processor,
        );
    }
}

/// Sends distinct, decoded tokens in turn, with a hot set among them. Prints the memory and the hit
/// rate of the hot set.
fn flood(count: u64) {
    const BOUND: usize = 16 * MEBIBYTE;
    const HOT: u64 = 500;
    let signing = SigningKey::generate(Algorithm::HS256).unwrap();
    // Of before both: the second may well live in what the first has left.
    let before = resident_kib("VmRSS:");
    for value in [false, true] {
        let verifier = Verifier::new(signing.verifying_key())
            .audience("api")
            .cache(BOUND);
        let hot: Vec<_> = (0..HOT).map(|number| numbered(&signing, number)).collect();
        let mut seen: Vec<Option<VerifiedToken>> = vec![None; hot.len()];
        let (mut peak, mut hits, mut lookups) = (0, 0, 0);
        for number in 0..count {
            let token = verifier.verify(numbered(&signing, HOT + number)).unwrap();
            decode(&token, value);
            if number % 10 == 0 {
                let index = usize::try_from((number / 10 * 7919) % HOT).unwrap();
                let token = verifier.verify(&hot[index]).unwrap();
                decode(&token, value);
                lookups += 1;
                // One that was there is the same in memory.
                if let Some(before) = seen[index].replace(token.clone()) {
                    hits += u64::from(std::ptr::eq(before.payload(), token.payload()));
                }
            }
            if number % 1000 == 0 {
                peak = peak.max(resident_kib("VmRSS:"));
            }
        }
        println!(
            "{count} distinct tokens in turn, decoded as {}: {:.1} MiB at most, of {} MiB; every tenth request one of \
             {HOT} hot tokens, of which {:.1} % were there",
            if value {
                "a Value"
            } else {
                "a type of one's own"
            },
            peak.saturating_sub(before) as f64 / 1024.0,
            BOUND / MEBIBYTE,
            100.0 * hits as f64 / lookups as f64,
        );
    }
}

fn decode(token: &VerifiedToken, value: bool) {
    if value {
        black_box(token.claims::<Value>().unwrap());
    } else {
        black_box(token.claims::<Access>().unwrap());
    }
}

/// Requests with one token, and nothing to compare them with.
fn count(subject: &str, requests: u64) {
    let signing = SigningKey::generate(Algorithm::HS256).unwrap();
    let tokens = headers(&signing, 1);
    let mut router = match subject {
        "bare" => bare(),
        "ours" => ours(&signing),
        "fresh" => {
            let router = Router::new().route("/me", get(handler));
            router.layer(layer(&signing).without_cache()).with_state(())
        }
        _ => with_set(&signing, &set(1000)),
    };
    for _ in 0..requests {
        call(&mut router, &tokens[0]);
    }
}

fn main() {
    // `cargo test --benches` runs this too, to see that it works.
    let arguments: Vec<_> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|arg| arg == "count") {
        return count(&arguments[at + 1], arguments[at + 2].parse().unwrap());
    }
    let is_bench = arguments.iter().any(|arg| arg == "--bench");
    let all = !["cost", "threads", "flood"]
        .iter()
        .any(|part| arguments.iter().any(|arg| arg == part));
    let wanted = |part: &str| all || arguments.iter().any(|arg| arg == part);

    if wanted("cost") {
        let (revoked, many, rounds) = if is_bench {
            (1_000_000, 10_000, 2000)
        } else {
            (1000, 100, 5)
        };
        let set = set(revoked);
        println!(
            "10th percentiles in ns; `over` is what the layer and the claims add, `set` with a set of {revoked} revocations\n\
             {:<6} {:>6} {:>7} {:>7} {:>7} {:>7}   {many} tokens in turn\n\
             {:<6} {:>6} {:>7} {:>7} {:>7} {:>7}   {:>6} {:>7} {:>7} {:>7} {:>7}",
            "",
            "one",
            "token",
            "",
            "",
            "",
            "alg",
            "bare",
            "over",
            "set",
            "over/b",
            "set/b",
            "bare",
            "over",
            "set",
            "over/b",
            "set/b",
        );
        for algorithm in [
            Algorithm::HS256,
            Algorithm::RS256,
            Algorithm::ES256,
            Algorithm::EdDSA,
        ] {
            cost(algorithm, &set, many, rounds);
        }
    }
    if wanted("threads") {
        if is_bench {
            threads(9, Duration::from_millis(100));
        } else {
            threads(1, Duration::from_millis(1));
        }
    }
    if wanted("flood") {
        flood(if is_bench { 1_000_000 } else { 2000 });
    }
}
