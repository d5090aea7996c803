//! Issuers that a resolver approves at run time.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::RETRY_AFTER;
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::{JoinSet, yield_now};
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::remote::RemoteKeys;
use tower_jwt_auth::keys::{KeySet, SigningKey};
use tower_jwt_auth::verify::{IssuerResolution, IssuerResolver, ResolutionError};
use tower_jwt_auth::{JwtAuthLayer, TrustedIssuer, Verifier, VerifyError, VerifyErrorKind};

use crate::issuer::Issuer;
use crate::{NOW, app, ask, clock, key, token};

/// A resolver that counts its calls.
#[derive(Clone, Default)]
struct Customers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    released: Notify,
}

#[derive(Default)]
struct State {
    issuers: HashMap<String, TrustedIssuer>,
    calls: HashMap<String, usize>,
    mode: Mode,
}

#[derive(Clone, Copy, Default)]
enum Mode {
    #[default]
    Answer,
    /// Answers once it is released.
    Wait,
    Fail,
    Hang,
    Panic,
}

impl IssuerResolver for Customers {
    type Error = io::Error;

    async fn resolve(&self, issuer: &str) -> Result<Option<TrustedIssuer>, io::Error> {
        let mode = {
            let mut state = self.0.state.lock().unwrap();
            *state.calls.entry(issuer.to_owned()).or_default() += 1;
            state.mode
        };
        match mode {
            Mode::Answer => (),
            Mode::Wait => self.0.released.notified().await,
            Mode::Fail => return Err(io::Error::other("the database is down")),
            Mode::Hang => std::future::pending().await,
            Mode::Panic => panic!("the resolver panics"),
        }
        Ok(self.0.state.lock().unwrap().issuers.get(issuer).cloned())
    }
}

impl Customers {
    fn approving<'a>(names: impl IntoIterator<Item = &'a str>, key: &SigningKey) -> Self {
        let customers = Self::default();
        for name in names {
            customers.approve(name, TrustedIssuer::new(name, key.verifying_key()));
        }
        customers
    }

    fn approve(&self, name: &str, issuer: TrustedIssuer) {
        let mut state = self.0.state.lock().unwrap();
        state.issuers.insert(name.to_owned(), issuer);
    }

    fn withdraw(&self, name: &str) {
        self.0.state.lock().unwrap().issuers.remove(name).unwrap();
    }

    fn set(&self, mode: Mode) {
        self.0.state.lock().unwrap().mode = mode;
    }

    fn calls(&self, name: &str) -> usize {
        let state = self.0.state.lock().unwrap();
        state.calls.get(name).copied().unwrap_or(0)
    }

    fn all_calls(&self) -> usize {
        self.0.state.lock().unwrap().calls.values().sum()
    }

    fn resolution(&self) -> IssuerResolution {
        IssuerResolution::new(self.clone())
    }

    fn verifier(&self, clock: &ManualClock) -> Verifier {
        verifier(self.resolution(), clock)
    }
}

fn verifier(resolution: IssuerResolution, clock: &ManualClock) -> Verifier {
    Verifier::new(resolution)
        .audience("api")
        .clock(clock.clone())
}

async fn verified(verifier: &Verifier, token: &str) -> Result<(), VerifyErrorKind> {
    let verified = verifier.fetch_and_verify(token).await;
    verified.map(drop).map_err(|error| error.kind())
}

/// The error that the resolver's part of the crate gave.
fn cause(error: &VerifyError) -> Option<ResolutionError> {
    let source = std::error::Error::source(error)?;
    source.downcast_ref::<ResolutionError>().copied()
}

/// Lets the calls that were spawned run.
async fn settle() {
    for _ in 0..10 {
        yield_now().await;
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const UNKNOWN: Result<(), VerifyErrorKind> = Err(VerifyErrorKind::UnknownIssuer);
const UNAVAILABLE: Result<(), VerifyErrorKind> = Err(VerifyErrorKind::KeysUnavailable);

#[tokio::test]
async fn an_approved_issuer_is_asked_for_once() {
    let key = key("1");
    let customers = Customers::approving(["a", "b"], &key);
    let verifier = customers.verifier(&clock());
    let good = token(&key, "a");
    // Without waiting there is no answer yet.
    let error = verifier.verify(&good).unwrap_err();
    assert_eq!(error.kind(), VerifyErrorKind::KeysUnavailable);
    assert_eq!(customers.all_calls(), 0);
    for _ in 0..3 {
        assert_eq!(verified(&verifier, &good).await, Ok(()));
        verifier.verify(&good).unwrap();
    }
    assert_eq!((customers.calls("a"), customers.calls("b")), (1, 0));
}

#[tokio::test]
async fn a_layer_waits_for_the_resolver() {
    let key = key("1");
    let customers = Customers::approving(["a", "b"], &key);
    let layer = JwtAuthLayer::new(customers.resolution());
    let app = app(&layer.audience("api").clock(clock()));
    for _ in 0..3 {
        assert_eq!(ask(&app, &token(&key, "a")).await.status(), 200);
        assert_eq!(ask(&app, &token(&key, "c")).await.status(), 401);
        assert_eq!(ask(&app, &token(&crate::key("1"), "a")).await.status(), 401);
    }
    assert_eq!(customers.calls("a"), 1);
    assert_eq!((customers.calls("b"), customers.calls("c")), (0, 1));
}

#[tokio::test]
async fn a_refusal_is_remembered_for_a_minute() {
    let (key, clock) = (key("1"), clock());
    let customers = Customers::default();
    let verifier = customers.verifier(&clock);
    let token = token(&key, "a");
    for _ in 0..100 {
        assert_eq!(verified(&verifier, &token).await, UNKNOWN);
    }
    assert_eq!(customers.calls("a"), 1);
    customers.approve("a", TrustedIssuer::new("a", key.verifying_key()));
    clock.advance(seconds(59));
    assert_eq!(verified(&verifier, &token).await, UNKNOWN);
    clock.advance(seconds(1));
    assert_eq!(verified(&verifier, &token).await, Ok(()));
    assert_eq!(customers.calls("a"), 2);
}

#[tokio::test]
async fn a_flood_of_names_is_bounded_and_evicts_no_approved_issuer() {
    let key = SigningKey::hs256([7; 32]).unwrap();
    let customers = Customers::approving(["a"], &key);
    let verifier = customers.verifier(&clock());
    let good = token(&key, "a");
    assert_eq!(verified(&verifier, &good).await, Ok(()));
    // What it names decides, as nobody verifies its signature.
    let flood = |number: usize| {
        let claims = format!(r#"{{"iss":"https://{number}.example"}}"#);
        let claims = base64_simd::URL_SAFE_NO_PAD.encode_to_string(claims);
        format!("eyJhbGciOiJIUzI1NiJ9.{claims}.AAAA")
    };
    for number in 0..100_000 {
        assert_eq!(verified(&verifier, &flood(number)).await, UNKNOWN);
    }
    let shown = format!("{verifier:?}");
    assert!(shown.contains("approved: 1, refused: 4096"), "{shown}");
    assert_eq!(customers.all_calls(), 100_001);
    assert_eq!(verified(&verifier, &good).await, Ok(()));
    assert_eq!(customers.calls("a"), 1);
    // The last name is still remembered.
    assert_eq!(verified(&verifier, &flood(99_999)).await, UNKNOWN);
    assert_eq!(customers.all_calls(), 100_001);
}

#[tokio::test]
async fn many_requests_share_one_call() {
    let key = key("1");
    let customers = Customers::approving(["a"], &key);
    customers.set(Mode::Wait);
    let verifier = customers.verifier(&clock());
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let (verifier, token) = (verifier.clone(), token(&key, "a"));
        requests.spawn(async move { verified(&verifier, &token).await });
    }
    settle().await;
    assert_eq!(customers.calls("a"), 1);
    // Those who gave up do not stop the call.
    let mut waiting = Box::pin(verifier.fetch_and_verify(token(&key, "a")));
    assert!(futures_poll(&mut waiting).await.is_none());
    drop(waiting);
    customers.0.released.notify_waiters();
    while let Some(outcome) = requests.join_next().await {
        assert_eq!(outcome.unwrap(), Ok(()));
    }
    assert_eq!(customers.calls("a"), 1);
}

/// Polls once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_hangs_is_503_within_its_deadline() {
    let (key, clock) = (key("1"), clock());
    let customers = Customers::approving(["a"], &key);
    customers.set(Mode::Hang);
    let layer = JwtAuthLayer::new(customers.resolution().deadline(seconds(3)));
    let app = app(&layer.audience("api").clock(clock.clone()));
    let began = tokio::time::Instant::now();
    let response = ask(&app, &token(&key, "a")).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()[RETRY_AFTER], "1");
    assert_eq!(began.elapsed().as_secs(), 3);
    // It is not asked again at once, and then it heals.
    assert_eq!(ask(&app, &token(&key, "a")).await.status(), 503);
    assert_eq!(customers.calls("a"), 1);
    customers.set(Mode::Answer);
    clock.advance(seconds(1));
    assert_eq!(ask(&app, &token(&key, "a")).await.status(), 200);
}

#[tokio::test]
async fn a_resolver_that_fails_is_503_and_is_not_a_refusal() {
    let (key, clock) = (key("1"), clock());
    let customers = Customers::approving(["a"], &key);
    let verifier = customers.verifier(&clock);
    let good = token(&key, "a");
    for (calls, mode) in [(1, Mode::Fail), (2, Mode::Panic)] {
        customers.set(mode);
        for _ in 0..10 {
            assert_eq!(verified(&verifier, &good).await, UNAVAILABLE);
        }
        assert_eq!(customers.calls("a"), calls);
        let error = verifier.verify(&good).unwrap_err();
        let text = std::error::Error::source(&error).unwrap().to_string();
        match mode {
            Mode::Panic => assert_eq!(cause(&error), Some(ResolutionError::Interrupted)),
            _ => assert_eq!(text, "the database is down"),
        }
        clock.advance(seconds(1));
    }
    customers.set(Mode::Answer);
    assert_eq!(verified(&verifier, &good).await, Ok(()));
}

#[tokio::test]
async fn an_answer_for_another_issuer_is_a_failure() {
    let (key, pattern) = (key("1"), "https://id.example/{tenantid}");
    let customers = Customers::default();
    customers.approve("a", TrustedIssuer::new("b", key.verifying_key()));
    let tenants = TrustedIssuer::tenants(pattern, key.verifying_key()).any_tenant();
    customers.approve("https://id.example/t", tenants);
    let verifier = customers.verifier(&clock());
    for name in ["a", "https://id.example/t"] {
        let error = verifier.fetch_and_verify(token(&key, name)).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), VerifyErrorKind::KeysUnavailable);
        assert_eq!(cause(&error), Some(ResolutionError::OtherIssuer));
    }
}

#[tokio::test]
async fn an_old_answer_is_asked_for_again_and_serves_for_a_bounded_time() {
    let (key, clock) = (key("1"), clock());
    let customers = Customers::approving(["a"], &key);
    let verifier = customers.verifier(&clock);
    let good = token(&key, "a");
    assert_eq!(verified(&verifier, &good).await, Ok(()));
    clock.advance(seconds(299));
    assert_eq!(verified(&verifier, &good).await, Ok(()));
    assert_eq!(customers.calls("a"), 1);
    // In the background.
    clock.advance(seconds(1));
    assert_eq!(verified(&verifier, &good).await, Ok(()));
    settle().await;
    assert_eq!(customers.calls("a"), 2);
    // A resolver that is down: the old answer serves for 5 more minutes, from the start of the
    // call that gave it.
    customers.set(Mode::Fail);
    clock.advance(seconds(599));
    for _ in 0..3 {
        assert_eq!(verified(&verifier, &good).await, Ok(()));
        settle().await;
    }
    clock.advance(seconds(1));
    for _ in 0..3 {
        assert_eq!(verified(&verifier, &good).await, UNAVAILABLE);
    }
    customers.set(Mode::Answer);
    clock.advance(seconds(1));
    assert_eq!(verified(&verifier, &good).await, Ok(()));
}

#[tokio::test]
async fn without_max_stale_a_token_waits_for_the_new_answer() {
    let (key, clock) = (key("1"), clock());
    let customers = Customers::approving(["a"], &key);
    let resolution = customers.resolution().max_stale(Duration::ZERO);
    let verifier = verifier(resolution.lifetime(seconds(10)), &clock);
    let good = token(&key, "a");
    assert_eq!(verified(&verifier, &good).await, Ok(()));
    customers.withdraw("a");
    clock.advance(seconds(10));
    assert_eq!(verified(&verifier, &good).await, UNKNOWN);
    assert_eq!(customers.calls("a"), 2);
}

#[tokio::test]
async fn withdrawing_an_approval_invalidates_cached_tokens() {
    let (key, clock) = (key("1"), clock());
    let customers = Customers::approving(["a", "b"], &key);
    let verifier = customers.verifier(&clock);
    let (gone, kept) = (token(&key, "a"), token(&key, "b"));
    for _ in 0..100 {
        assert_eq!(verified(&verifier, &gone).await, Ok(()));
        assert_eq!(verified(&verifier, &kept).await, Ok(()));
    }
    customers.withdraw("a");
    clock.advance(seconds(300));
    let _ = verifier.verify(&gone);
    settle().await;
    assert_eq!(verified(&verifier, &gone).await, UNKNOWN);
    assert_eq!(verified(&verifier, &kept).await, Ok(()));
    // Approved once more, with other keys.
    let other = crate::key("1");
    customers.approve("a", TrustedIssuer::new("a", other.verifying_key()));
    clock.advance(seconds(60));
    assert_eq!(verified(&verifier, &token(&other, "a")).await, Ok(()));
    assert_eq!(
        verified(&verifier, &gone).await,
        Err(VerifyErrorKind::BadSignature)
    );
}

#[tokio::test]
async fn other_keys_of_an_approved_issuer_invalidate_cached_tokens() {
    let (old, new, clock) = (key("1"), key("1"), clock());
    let customers = Customers::approving(["a"], &old);
    let verifier = customers.verifier(&clock);
    let token = token(&old, "a");
    for _ in 0..100 {
        assert_eq!(verified(&verifier, &token).await, Ok(()));
    }
    customers.approve("a", TrustedIssuer::new("a", new.verifying_key()));
    clock.advance(seconds(300));
    let _ = verifier.verify(&token);
    settle().await;
    let rejected = Err(VerifyErrorKind::BadSignature);
    assert_eq!(verified(&verifier, &token).await, rejected);
}

#[tokio::test]
async fn nothing_is_fetched_for_an_issuer_that_is_not_approved() {
    let key = key("1");
    let issuer = Issuer::start().await;
    issuer.publish([&key]);
    let customers = Customers::default();
    let verifier = customers.verifier(&clock());
    let token = token(&key, issuer.name());
    assert_eq!(verified(&verifier, &token).await, UNKNOWN);
    assert_eq!(issuer.connections(), 0);
    let keys = RemoteKeys::discover(issuer.name()).build().unwrap();
    customers.approve(issuer.name(), TrustedIssuer::new(issuer.name(), keys));
    let verifier = customers.verifier(&clock());
    assert_eq!(verified(&verifier, &token).await, Ok(()));
    assert_eq!(issuer.hits("/jwks"), 1);
}

#[tokio::test]
async fn nobody_is_asked_for_a_name_of_more_than_512_bytes() {
    let key = key("1");
    let (short, long) = ("a".repeat(512), "a".repeat(513));
    let customers = Customers::approving([&*short, &*long], &key);
    let verifier = customers.verifier(&clock());
    assert_eq!(verified(&verifier, &token(&key, &short)).await, Ok(()));
    assert_eq!(verified(&verifier, &token(&key, &long)).await, UNKNOWN);
    assert_eq!(customers.calls(&long), 0);
}

#[tokio::test]
async fn a_flood_does_not_delay_known_issuers() {
    let (key, clock) = (key("1"), clock());
    let customers = Customers::approving(["a"], &key);
    let verifier = verifier(customers.resolution().max_calls(8), &clock);
    let good = token(&key, "a");
    assert_eq!(verified(&verifier, &good).await, Ok(()));
    customers.set(Mode::Wait);
    let mut flood = JoinSet::new();
    for number in 0..8 {
        let (verifier, token) = (verifier.clone(), token(&key, &format!("flood-{number}")));
        flood.spawn(async move { verified(&verifier, &token).await });
    }
    settle().await;
    let error = verifier.fetch_and_verify(token(&key, "one more")).await;
    let error = error.unwrap_err();
    assert_eq!(cause(&error), Some(ResolutionError::TooManyCalls));
    assert_eq!(customers.calls("one more"), 0);
    // A known issuer is asked for again all the same.
    customers.set(Mode::Answer);
    clock.advance(seconds(300));
    assert_eq!(verified(&verifier, &good).await, Ok(()));
    settle().await;
    assert_eq!(customers.calls("a"), 2);
    customers.0.released.notify_waiters();
    while let Some(outcome) = flood.join_next().await {
        assert_eq!(outcome.unwrap(), UNKNOWN);
    }
    assert_eq!(verified(&verifier, &token(&key, "one more")).await, UNKNOWN);
}

/// A blocked thread of a server with one runtime for each core.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_nobody_drives_keeps_no_call() {
    let (key, clock) = (key("1"), clock());
    let customers = Customers::approving(["a"], &key);
    let resolution = customers.resolution().max_calls(8);
    let verifier = verifier(resolution.deadline(Duration::from_millis(500)), &clock);
    customers.set(Mode::Wait);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            runtime.block_on(async {
                for number in 0..8 {
                    let (verifier, name) = (verifier.clone(), format!("blocked-{number}"));
                    let token = token(&key, &name);
                    tokio::spawn(async move { verified(&verifier, &token).await });
                }
                settle().await;
            });
        });
    });
    customers.set(Mode::Answer);
    let began = tokio::time::Instant::now();
    while verified(&verifier, &token(&key, "a")).await != Ok(()) {
        assert!(began.elapsed() < Duration::from_secs(30), "in vain");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Not dropped in this runtime, where that may block.
    runtime.shutdown_background();
}

#[tokio::test]
async fn the_number_of_approved_issuers_is_bounded() {
    let key = key("1");
    let names = ["a", "b", "c", "d", "e"];
    let customers = Customers::approving(names, &key);
    let verifier = verifier(customers.resolution().max_issuers(2), &clock());
    for _ in 0..3 {
        for name in names {
            assert_eq!(verified(&verifier, &token(&key, name)).await, Ok(()));
        }
    }
    let shown = format!("{verifier:?}");
    assert!(shown.contains("approved: 2"), "{shown}");
}

#[tokio::test]
async fn an_approved_issuer_needs_an_audience() {
    let key = key("1");
    let customers = Customers::approving(["a"], &key);
    let verifier = Verifier::new(customers.resolution()).clock(clock());
    let claims = json!({ "iss": "a", "exp": NOW + 300 });
    let token = key.sign(&claims).unwrap();
    let missing = Err(VerifyErrorKind::MissingAudience);
    assert_eq!(verified(&verifier, &token).await, missing);
    let issuer = TrustedIssuer::new("b", key.verifying_key()).audience("b-api");
    customers.approve("b", issuer);
    let of = |audience: &str| json!({ "iss": "b", "aud": audience, "exp": NOW + 300 });
    let good = key.sign(&of("b-api")).unwrap();
    assert_eq!(verified(&verifier, &good).await, Ok(()));
    let wrong = Err(VerifyErrorKind::WrongAudience);
    let other = key.sign(&of("api")).unwrap();
    assert_eq!(verified(&verifier, &other).await, wrong);
}

#[tokio::test]
async fn verifiers_with_other_settings_share_no_headers() {
    let key = key("1");
    let customers = Customers::default();
    let set = KeySet::new([key.verifying_key()]).unwrap();
    customers.approve("a", TrustedIssuer::new("a", set));
    let lax = customers.verifier(&clock());
    let good = token(&key, "a");
    assert_eq!(verified(&lax, &good).await, Ok(()));
    let strict = lax.clone().typ("x+jwt");
    let wrong = Err(VerifyErrorKind::WrongType);
    assert_eq!(verified(&strict, &good).await, wrong);
    assert_eq!(verified(&lax, &good).await, Ok(()));
}

#[tokio::test]
async fn a_configured_issuer_is_not_asked_for() {
    let key = key("1");
    let customers = Customers::default();
    let known = TrustedIssuer::new("a", key.verifying_key());
    let verifier = verifier(customers.resolution().trusted_issuer(known), &clock());
    verifier.verify(token(&key, "a")).unwrap();
    assert_eq!(verified(&verifier, &token(&key, "b")).await, UNKNOWN);
    assert_eq!((customers.calls("a"), customers.calls("b")), (0, 1));
}

#[test]
fn without_a_runtime_nobody_is_asked() {
    let key = key("1");
    let customers = Customers::approving(["a"], &key);
    let verifier = customers.verifier(&clock());
    let waiting = verifier.fetch_and_verify(token(&key, "a"));
    let mut waiting = std::pin::pin!(waiting);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(answer) = waiting.as_mut().poll(&mut context) else {
        panic!("it waits for ever");
    };
    assert_eq!(
        cause(&answer.unwrap_err()),
        Some(ResolutionError::NoRuntime)
    );
    assert_eq!(customers.all_calls(), 0);
}

#[test]
fn a_runtime_that_shut_down_blocks_no_issuer() {
    let key = key("1");
    let customers = Customers::approving(["a"], &key);
    let (verifier, good) = (customers.verifier(&clock()), token(&key, "a"));
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    customers.set(Mode::Wait);
    let first = runtime();
    first.block_on(async {
        let mut waiting = Box::pin(verifier.fetch_and_verify(&good));
        assert!(futures_poll(&mut waiting).await.is_none());
        settle().await;
    });
    drop(first);
    customers.set(Mode::Answer);
    runtime().block_on(async {
        // The call of the first runtime ended without an answer.
        assert_eq!(verified(&verifier, &good).await, UNAVAILABLE);
    });
    let clock = clock();
    let verifier = customers.verifier(&clock);
    runtime().block_on(async {
        assert_eq!(verified(&verifier, &good).await, Ok(()));
    });
}

#[test]
#[should_panic(expected = "the lifetime of a refusal is less than a second")]
fn a_refusal_without_a_lifetime() {
    let _ = Customers::default()
        .resolution()
        .refusal_lifetime(Duration::ZERO);
}
