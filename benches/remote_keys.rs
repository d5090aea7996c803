//! Compares requests with keys fetched from an issuer and with the same keys given locally. The
//! layer runs over a service that does nothing, as the request never waits.
//!
//! `cargo bench --bench remote_keys` compares them in one process, batch by batch, by medians and
//! 10th percentiles. It also prints the time of the slowest request while keys are fetched without
//! a pause.
//!
//! `cargo bench --bench remote_keys -- --count local 10000` (or `remote`, or `stale`) makes only so
//! many requests, for a tool that counts instructions:
//!
//! ```text
//! valgrind --tool=callgrind --toggle-collect='*counted*' \
//!     target/release/deps/remote_keys-… --count remote 10000
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench: it panics, prints, and reads the time"
)]

use std::convert::Infallible;
use std::hint::black_box;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, Uri};
use serde_json::json;
use tower::{Layer, Service, service_fn};
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::remote::{Fetch, RemoteKeys};
use tower_jwt_auth::keys::{Algorithm, KeySet, SigningKey};
use tower_jwt_auth::{JwtAuthLayer, TrustedIssuer};

const ISSUER: &str = "https://id.example.com";

/// An issuer in memory, which may be down.
#[derive(Clone)]
struct Memory {
    document: Arc<str>,
    is_down: Arc<AtomicBool>,
}

impl Fetch for Memory {
    type Error = io::Error;

    async fn fetch(&self, uri: &Uri) -> Result<Response<Bytes>, io::Error> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let body = if uri.path() == "/jwks" {
            self.document.to_string()
        } else {
            format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{ISSUER}/jwks"}}"#)
        };
        Ok(Response::new(body.into()))
    }
}

/// A key, its token, and its document.
struct Scene {
    keys: KeySet,
    authorization: HeaderValue,
    memory: Memory,
}

impl Scene {
    fn new(algorithm: Algorithm) -> Self {
        let key = match algorithm {
            // RFC 8037 appendix A.1: how many instructions a signature takes depends on it.
            Algorithm::EdDSA => SigningKey::from_jwk(
                r#"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            ),
            other => SigningKey::generate(other),
        };
        let key = key.unwrap().with_key_id("2026");
        let other = SigningKey::generate(Algorithm::ES256)
            .unwrap()
            .with_key_id("2025");
        let keys = KeySet::new([other.verifying_key(), key.verifying_key()]).unwrap();
        let claims = json!({
            "iss": ISSUER, "aud": "api", "sub": "248289761001", "iat": 1_700_000_000, "exp": 4_000_000_000_u64,
            "scope": "openid profile email notes:read notes:write",
        });
        let token = key.sign(&claims).unwrap();
        Self {
            memory: Memory {
                document: keys.to_jwks().into(),
                is_down: Arc::default(),
            },
            keys,
            authorization: HeaderValue::try_from(format!("Bearer {token}")).unwrap(),
        }
    }

    fn local(
        &self,
    ) -> impl Service<Request<()>, Response = Response<Bytes>, Error = Infallible> + use<> {
        let trusted = TrustedIssuer::new(ISSUER, self.keys.clone());
        service(&JwtAuthLayer::new(trusted).without_cache())
    }

    /// Its keys are there.
    fn remote(
        &self,
        clock: Option<&ManualClock>,
    ) -> (
        RemoteKeys,
        impl Service<Request<()>, Response = Response<Bytes>, Error = Infallible> + use<>,
    ) {
        let mut remote = RemoteKeys::discover(ISSUER).fetch(self.memory.clone());
        if let Some(clock) = clock {
            remote = remote.clock(clock.clone());
        }
        let keys = remote.build().unwrap();
        while keys.state().keys.is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        (
            keys.clone(),
            service(&JwtAuthLayer::new(keys).without_cache()),
        )
    }
}

fn service(
    layer: &JwtAuthLayer,
) -> impl Service<Request<()>, Response = Response<Bytes>, Error = Infallible> + use<> {
    let inner = service_fn(|request: Request<()>| {
        black_box(&request);
        std::future::ready(Ok(Response::new(Bytes::new())))
    });
    layer.clone().audience("api").layer(inner)
}

/// One request, without a runtime: nothing in it waits.
fn call(
    service: &mut impl Service<Request<()>, Response = Response<Bytes>, Error = Infallible>,
    authorization: &HeaderValue,
) {
    let request = Request::get("/me")
        .header(AUTHORIZATION, authorization)
        .body(())
        .unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let answer = pin!(service.call(request)).poll(&mut context);
    let is_good = matches!(answer, Poll::Ready(Ok(response)) if response.status() == 200);
    assert!(is_good, "the request was not answered with 200");
}

/// What is counted.
#[inline(never)]
fn counted(
    service: &mut impl Service<Request<()>, Response = Response<Bytes>, Error = Infallible>,
    authorization: &HeaderValue,
    times: u32,
) {
    for _ in 0..times {
        call(service, authorization);
    }
}

/// Nanoseconds of each batch.
fn sample(run: &mut dyn FnMut(), batch: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..batch {
        run();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(batch)
}

fn at(samples: &mut [f64], hundredths: usize) -> f64 {
    samples.sort_by(f64::total_cmp);
    let place = samples.len() * hundredths / 100;
    samples[place.min(samples.len() - 1)]
}

fn compare(algorithm: Algorithm, rounds: usize) {
    let scene = Scene::new(algorithm);
    let authorization = &scene.authorization;
    let mut local = scene.local();
    let mut again = scene.local();
    let (_keys, mut remote) = scene.remote(None);
    let mut subjects: [Box<dyn FnMut()>; 3] = [
        Box::new(|| call(&mut local, authorization)),
        Box::new(|| call(&mut remote, authorization)),
        Box::new(|| call(&mut again, authorization)),
    ];
    let each = sample(&mut *subjects[0], 100);
    // Batches of about 100 µs.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is small"
    )]
    let batch = (100_000.0 / each).max(1.0) as u32;
    let (mut remote_over, mut again_over) = (Vec::new(), Vec::new());
    let mut locals = Vec::new();
    for round in 0..rounds {
        let mut times = [0.0; 3];
        // In turn, each first as often as the others.
        for offset in 0..3 {
            let which = (round + offset) % 3;
            times[which] = sample(&mut *subjects[which], batch);
        }
        locals.push(times[0]);
        remote_over.push(times[1] / times[0]);
        again_over.push(times[2] / times[0]);
    }
    println!(
        "{algorithm:<6} {:>9.0} ns {:>13.4} {:>14.4}",
        at(&mut locals, 50),
        at(&mut remote_over, 50),
        at(&mut again_over, 50),
    );
}

/// Requests beside fetches: how many, and how long one took.
fn beside(scene: &Scene, clock: Option<&ManualClock>, life: Duration) -> (u64, Vec<f64>) {
    let (keys, mut remote) = scene.remote(clock);
    let before = keys.state().fetches;
    let done = Arc::new(AtomicBool::new(false));
    let ticks = clock.map(|clock| {
        let (keys, clock, done) = (keys.clone(), clock.clone(), Arc::clone(&done));
        // Keys are due again as soon as they are there.
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                if keys.state().age < Some(Duration::from_secs(400)) {
                    clock.advance(Duration::from_secs(500));
                }
                std::thread::sleep(Duration::from_micros(100));
            }
        })
    });
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < life {
        let begin = Instant::now();
        call(&mut remote, &scene.authorization);
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    done.store(true, Ordering::Relaxed);
    if let Some(ticks) = ticks {
        ticks.join().unwrap();
    }
    (keys.state().fetches - before, times)
}

fn refresh(life: Duration) {
    let scene = Scene::new(Algorithm::EdDSA);
    // The clock of the keys. Tokens have another.
    let clock = ManualClock::at(1_800_000_000);
    for (name, clock) in [("none", None), ("all the time", Some(&clock))] {
        let (fetches, mut times) = beside(&scene, clock, life);
        println!(
            "{name:<13} {fetches:>8} {:>10} {:>10.1} {:>10.1} {:>12.1}",
            times.len(),
            at(&mut times, 50),
            at(&mut times, 99),
            at(&mut times, 100),
        );
    }
}

/// Keys that are past their life, of an issuer that is down.
fn stale(
    scene: &Scene,
) -> (
    ManualClock,
    impl Service<Request<()>, Response = Response<Bytes>, Error = Infallible> + use<>,
) {
    let clock = ManualClock::at(1_800_000_000);
    let (keys, mut remote) = scene.remote(Some(&clock));
    scene.memory.is_down.store(true, Ordering::Relaxed);
    clock.advance(Duration::from_secs(590));
    while keys.state().last_error.is_none() {
        call(&mut remote, &scene.authorization);
        clock.advance(Duration::from_millis(1));
        std::thread::sleep(Duration::from_millis(1));
    }
    clock.advance(Duration::from_secs(100));
    (clock, remote)
}

fn count(which: &str, times: u32) {
    let scene = Scene::new(Algorithm::EdDSA);
    let authorization = &scene.authorization;
    match which {
        "local" => {
            let mut local = scene.local();
            call(&mut local, authorization);
            counted(&mut local, authorization, times);
        }
        "remote" => {
            let (_keys, mut remote) = scene.remote(None);
            call(&mut remote, authorization);
            counted(&mut remote, authorization, times);
        }
        _ => {
            let (_clock, mut remote) = stale(&scene);
            call(&mut remote, authorization);
            counted(&mut remote, authorization, times);
        }
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    if let Some(place) = arguments.iter().position(|argument| argument == "--count") {
        let times = arguments[place + 2].parse().unwrap();
        return count(&arguments[place + 1], times);
    }
    // `cargo test --benches` runs this too, to see that it works.
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let (rounds, life) = if is_bench {
        (3000, Duration::from_secs(3))
    } else {
        (3, Duration::from_millis(50))
    };
    println!("medians\nalg        local keys   remote/local  local/local");
    for algorithm in [Algorithm::EdDSA, Algorithm::ES256] {
        compare(algorithm, rounds);
    }
    println!(
        "\nrequests beside fetches, in µs\nfetches             requests     median   99th of 100      longest"
    );
    refresh(life);
    // Keys that cannot be refreshed: each request notices, and goes on.
    let scene = Scene::new(Algorithm::EdDSA);
    let (_clock, mut stale) = stale(&scene);
    let mut local = scene.local();
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let stale = sample(&mut || call(&mut stale, &scene.authorization), 3);
        let local = sample(&mut || call(&mut local, &scene.authorization), 3);
        ratios.push(stale / local);
    }
    println!("\nstale keys over local ones: {:.4}", at(&mut ratios, 50));
}
