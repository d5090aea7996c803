//! Holds the layer to call the same inner service that it polled ready.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "a test that panics fails"
)]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use serde_json::json;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::SigningKey;
use tower_jwt_auth::middleware::EmptyBody;
use tower_jwt_auth::{JwtAuthLayer, VerifiedToken};

const NOW: u64 = 1_800_000_000;

/// Panics when it is called without having been polled ready; a clone never was.
#[derive(Default)]
struct Strict {
    ready: bool,
    calls: Arc<AtomicUsize>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self {
            ready: false,
            calls: Arc::clone(&self.calls),
        }
    }
}

impl Service<Request<()>> for Strict {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called without having been polled ready"
        );
        assert!(request.extensions().get::<VerifiedToken>().is_some());
        self.calls.fetch_add(1, Ordering::SeqCst);
        ready(Ok(Response::new(())))
    }
}

fn layer_and_token() -> (JwtAuthLayer<EmptyBody>, String) {
    let key = SigningKey::hs256([7; 32]).unwrap();
    let token = key
        .sign(&json!({ "sub": "alice", "exp": NOW + 60 }))
        .unwrap();
    let layer = JwtAuthLayer::new(key.verifying_key()).clock(ManualClock::at(NOW));
    (layer.respond(EmptyBody), token)
}

fn request(token: &str) -> Request<()> {
    let request = Request::builder().header(AUTHORIZATION, format!("Bearer {token}"));
    request.body(()).unwrap()
}

#[test]
#[should_panic(expected = "polled ready")]
fn the_inner_service_notices() {
    let (layer, token) = layer_and_token();
    drop(layer.layer(Strict::default()).call(request(&token)));
}

/// Good and bad tokens from many tasks at once; every task sees each of its answers.
async fn load<S>(service: S, calls: &AtomicUsize)
where
    S: Service<Request<()>, Response = Response<()>, Future: Send> + Clone + Send + 'static,
    S::Error: std::fmt::Debug + Send,
{
    const TASKS: usize = 16;
    const ROUNDS: usize = 200;
    let (_, token) = layer_and_token();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let (mut service, token) = (service.clone(), token.clone());
        tasks.spawn(async move {
            for round in 0..ROUNDS {
                let good = !(task + round).is_multiple_of(3);
                let token = if good { token.as_str() } else { "a.b.c" };
                let response = service
                    .ready()
                    .await
                    .unwrap()
                    .call(request(token))
                    .await
                    .unwrap();
                let expected = if good {
                    StatusCode::OK
                } else {
                    StatusCode::UNAUTHORIZED
                };
                assert_eq!(response.status(), expected);
                tokio::task::yield_now().await;
            }
        });
    }
    // A permit that is lost, or a slot that is held, would hang here.
    let all = tokio::time::timeout(Duration::from_secs(60), tasks.join_all());
    all.await.expect("some task never got its answer");
    let good = (0..TASKS * ROUNDS)
        .filter(|n| !(n / ROUNDS + n % ROUNDS).is_multiple_of(3))
        .count();
    assert_eq!(calls.load(Ordering::SeqCst), good);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn alone() {
    let strict = Strict::default();
    let calls = Arc::clone(&strict.calls);
    load(layer_and_token().0.layer(strict), &calls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn around_a_concurrency_limit() {
    let strict = Strict::default();
    let calls = Arc::clone(&strict.calls);
    let service = ServiceBuilder::new()
        .layer(layer_and_token().0)
        .concurrency_limit(2)
        .service(strict);
    load(service, &calls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn behind_a_concurrency_limit_and_a_buffer() {
    let strict = Strict::default();
    let calls = Arc::clone(&strict.calls);
    let service = ServiceBuilder::new()
        .buffer(4)
        .concurrency_limit(2)
        .layer(layer_and_token().0)
        .service(strict);
    load(service, &calls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn around_a_buffer_around_a_concurrency_limit() {
    let strict = Strict::default();
    let calls = Arc::clone(&strict.calls);
    let service = ServiceBuilder::new()
        .layer(layer_and_token().0)
        .buffer(32)
        .concurrency_limit(2)
        .service(strict);
    load(service, &calls).await;
}
