//! Holds the layer to ask its revocation store, to limit the wait, and to apply the outage policy.
#![cfg(all(feature = "axum", feature = "testing"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics fails"
)]

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/answer.rs"]
mod answer;

use std::collections::HashSet;
use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use answer::{Answer, send};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::{AUTHORIZATION, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Request, StatusCode};
use serde_json::Value;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_jwt_auth::revocation::{
    BoxRevocationStore, FailurePolicy, RevocationStore, TokenIdentity, store_fn,
};
use tower_jwt_auth::testing::{FailingStore, TestIssuer};
use tower_jwt_auth::{AuthError, AuthErrorKind, Claims, JwtAuthLayer, VerifiedToken};

/// Ids that were revoked; answers only those who wait.
#[derive(Clone, Default)]
struct Ids(Arc<Mutex<HashSet<String>>>);

impl Ids {
    fn revoke(&self, jti: &str) {
        self.0.lock().unwrap().insert(jti.to_owned());
    }
}

impl RevocationStore for Ids {
    type Error = io::Error;

    async fn is_revoked(&self, token: &TokenIdentity<'_>) -> io::Result<bool> {
        tokio::task::yield_now().await;
        Ok(token
            .jti
            .is_some_and(|jti| self.0.lock().unwrap().contains(jti)))
    }
}

impl Answer {
    fn kind(&self) -> Option<AuthErrorKind> {
        self.error.as_ref().map(AuthError::kind)
    }

    #[track_caller]
    fn unavailable(&self) {
        assert_eq!(self.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(self.kind(), Some(AuthErrorKind::Unavailable));
        assert_eq!(self.headers[RETRY_AFTER], "1");
        assert_eq!(self.headers[CACHE_CONTROL], "no-store");
        assert!(!self.headers.contains_key(WWW_AUTHENTICATE));
        let error = self.error.as_ref().unwrap();
        assert!(error.source().is_some(), "nobody learns why");
        assert!(!self.body.contains("command"), "{}", self.body);
    }

    #[track_caller]
    fn revoked(&self) {
        assert_eq!(self.status, StatusCode::UNAUTHORIZED);
        assert_eq!(self.kind(), Some(AuthErrorKind::Revoked));
        let challenge = self.headers[WWW_AUTHENTICATE].to_str().unwrap();
        assert_eq!(
            challenge,
            r#"Bearer realm="api", error="invalid_token", error_description="The access token is invalid.""#
        );
    }
}

fn app<V: RevocationStore>(
    layer: JwtAuthLayer<tower_jwt_auth::middleware::ProblemJson, V>,
) -> Router {
    Router::new()
        .route(
            "/",
            get(async |Claims(claims): Claims<Value>| claims["sub"].to_string()),
        )
        .layer(layer)
}

async fn ask(app: &Router, token: &str) -> Answer {
    let request = Request::get("/").header(AUTHORIZATION, format!("Bearer {token}"));
    send(app, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn k01_a_revoked_token_is_refused_and_another_is_not() {
    let issuer = TestIssuer::new();
    let ids = Ids::default();
    let app = app(issuer.layer().revocation(ids.clone()));
    let token = issuer.token("alice").claim("jti", "a").sign();
    let other = issuer.token("alice").claim("jti", "b").sign();
    assert_eq!(ask(&app, &token).await.status, StatusCode::OK);
    ids.revoke("a");
    ask(&app, &token).await.revoked();
    assert_eq!(ask(&app, &other).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_adapter_asks_the_store_inside() {
    async fn check<V: RevocationStore>(issuer: &TestIssuer, store: V) {
        let app = app(issuer.layer().revocation(store));
        let token = issuer.token("alice").claim("jti", "a").sign();
        ask(&app, &token).await.revoked();
        let token = issuer.token("alice").sign();
        assert_eq!(ask(&app, &token).await.status, StatusCode::OK);
    }
    let issuer = TestIssuer::new();
    let ids = Ids::default();
    ids.revoke("a");
    check(&issuer, Arc::new(ids.clone())).await;
    check(&issuer, BoxRevocationStore::new(ids.clone())).await;
    check(&issuer, Arc::new(BoxRevocationStore::new(ids.clone()))).await;
    let closure = store_fn(|token| {
        let revoked = token.jti == Some("a");
        async move { Ok::<_, io::Error>(revoked) }
    });
    check(&issuer, closure).await;
}

#[tokio::test]
async fn the_store_learns_the_identity_of_the_token() {
    let issuer = TestIssuer::new();
    let seen = Arc::new(Mutex::new(false));
    let store = {
        let seen = Arc::clone(&seen);
        store_fn(move |token| {
            assert_eq!(token.issuer, Some(TestIssuer::NAME));
            assert_eq!(token.jti, Some("j"));
            assert_eq!(token.sid, Some("s"));
            assert_eq!(token.subject, Some("alice"));
            assert_eq!(token.generation, Some(7));
            let seconds = |date: tower_jwt_auth::claims::NumericDate| date.seconds();
            assert_eq!(token.issued_at.map(seconds), Some(TestIssuer::START));
            assert_eq!(seconds(token.expires_at), TestIssuer::START + 300);
            *seen.lock().unwrap() = true;
            async { Ok::<_, io::Error>(false) }
        })
    };
    let app = app(issuer.layer().revocation(store));
    let token = issuer.token("alice").claim("jti", "j").claim("sid", "s");
    let token = token.claim("generation", 7).sign();
    assert_eq!(ask(&app, &token).await.status, StatusCode::OK);
    assert!(*seen.lock().unwrap());
}

#[tokio::test]
async fn g08_with_a_store_a_token_needs_an_id() {
    let issuer = TestIssuer::new();
    let store = FailingStore::new(Ids::default());
    let strict = app(issuer.layer().revocation(store.clone()));
    let lax = app(issuer.layer().revocation(store.clone()).token_id_optional());
    for token in [
        issuer.token("alice").without("jti").sign(),
        issuer.token("alice").claim("jti", "").sign(),
    ] {
        let before = store.calls();
        let answer = ask(&strict, &token).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.kind(), Some(AuthErrorKind::MissingTokenId));
        assert_eq!(ask(&lax, &token).await.status, StatusCode::OK);
        assert_eq!(store.calls(), before + 1, "only the lax layer asked");
        assert_eq!(
            ask(&app(issuer.layer()), &token).await.status,
            StatusCode::OK,
            "without a store nobody asks"
        );
    }
    let long = "j".repeat(4096);
    let token = issuer.token("alice").claim("jti", long.clone()).sign();
    assert_eq!(ask(&strict, &token).await.status, StatusCode::OK);
    store.store().revoke(&long);
    ask(&strict, &token).await.revoked();
}

#[tokio::test]
async fn a_bad_token_is_never_looked_up() {
    let issuer = TestIssuer::new();
    let store = FailingStore::new(Ids::default());
    let app = app(issuer.layer().revocation(store.clone()).optional());
    let stranger = TestIssuer::new().token("alice").sign();
    assert_eq!(ask(&app, &stranger).await.status, StatusCode::UNAUTHORIZED);
    let request = Request::get("/").body(Body::empty()).unwrap();
    let anonymous = app.clone().oneshot(request).await.unwrap();
    assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(store.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn k06_reject() {
    let issuer = TestIssuer::new();
    let store = FailingStore::new(Ids::default());
    let app = app(issuer.layer().revocation(store.clone()));
    let token = issuer.token("alice").claim("jti", "a").sign();
    store.fail();
    ask(&app, &token).await.unavailable();
    store.recover();
    assert_eq!(ask(&app, &token).await.status, StatusCode::OK);
    store.store().revoke("a");
    ask(&app, &token).await.revoked();
    store.fail();
    ask(&app, &token).await.unavailable();
}

#[tokio::test(start_paused = true)]
async fn k06_allow() {
    let issuer = TestIssuer::new();
    let store = FailingStore::new(Ids::default());
    let layer = issuer.layer().revocation(store.clone());
    let app = app(layer.revocation_failure(FailurePolicy::Allow));
    let token = issuer.token("alice").claim("jti", "a").sign();
    store.store().revoke("a");
    ask(&app, &token).await.revoked();
    store.fail();
    tokio::time::advance(Duration::from_secs(1_000_000)).await;
    assert_eq!(ask(&app, &token).await.status, StatusCode::OK);
    store.recover();
    ask(&app, &token).await.revoked();
}

#[tokio::test(start_paused = true)]
async fn k06_allow_for_a_while() {
    let issuer = TestIssuer::new();
    let store = FailingStore::new(Ids::default());
    let layer = issuer.layer().revocation(store.clone());
    let app = app(layer.revocation_failure(FailurePolicy::AllowFor(Duration::from_secs(60))));
    let token = issuer.token("alice").sign();
    let advance = async |seconds| tokio::time::advance(Duration::from_secs(seconds)).await;

    store.fail();
    assert_eq!(ask(&app, &token).await.status, StatusCode::OK);
    advance(59).await;
    assert_eq!(ask(&app, &token).await.status, StatusCode::OK);
    advance(1).await;
    ask(&app, &token).await.unavailable();
    // It flaps: back for 59 seconds is not back.
    store.recover();
    assert_eq!(ask(&app, &token).await.status, StatusCode::OK);
    advance(59).await;
    store.fail();
    ask(&app, &token).await.unavailable();
    // Seen healthy for 60 seconds: a new outage, with a new grace.
    store.recover();
    assert_eq!(ask(&app, &token).await.status, StatusCode::OK);
    advance(60).await;
    assert_eq!(ask(&app, &token).await.status, StatusCode::OK);
    store.fail();
    assert_eq!(ask(&app, &token).await.status, StatusCode::OK);
    advance(60).await;
    ask(&app, &token).await.unavailable();
}

#[tokio::test(start_paused = true)]
async fn k06_one_answer_and_silence_are_no_recovery() {
    let issuer = TestIssuer::new();
    let grace = FailurePolicy::AllowFor(Duration::from_secs(60));
    let app = app(issuer.layer().revocation(Stale).revocation_failure(grace));
    let known = issuer.token("alice").claim("jti", "a").sign();
    let unknown = issuer.token("alice").claim("jti", "b").sign();
    assert_eq!(ask(&app, &unknown).await.status, StatusCode::OK);
    tokio::time::advance(Duration::from_secs(61)).await;
    ask(&app, &unknown).await.unavailable();
    ask(&app, &known).await.revoked();
    tokio::time::advance(Duration::from_secs(61)).await;
    ask(&app, &unknown).await.unavailable();
}

#[tokio::test(start_paused = true)]
async fn k06_layers_of_different_policies_do_not_share_an_outage() {
    let issuer = TestIssuer::new();
    let store = FailingStore::new(Ids::default());
    let reject = issuer.layer().revocation(store.clone());
    let grace = FailurePolicy::AllowFor(Duration::from_secs(60));
    let lenient = app(reject.clone().revocation_failure(grace));
    let reject = app(reject);
    let token = issuer.token("alice").sign();
    store.fail();
    assert_eq!(ask(&lenient, &token).await.status, StatusCode::OK);
    tokio::time::advance(Duration::from_secs(61)).await;
    ask(&lenient, &token).await.unavailable();
    store.recover();
    assert_eq!(ask(&reject, &token).await.status, StatusCode::OK);
    store.fail();
    ask(&lenient, &token).await.unavailable();
}

#[tokio::test(start_paused = true)]
async fn settings_may_come_before_the_store() {
    let issuer = TestIssuer::new();
    let store = FailingStore::new(Ids::default());
    let layer = issuer
        .layer()
        .revocation_failure(FailurePolicy::Allow)
        .revocation_deadline(Duration::from_millis(40))
        .token_id_optional()
        .revocation(store.clone());
    let app = app(layer);
    store.hang();
    let start = tokio::time::Instant::now();
    let token = issuer.token("alice").without("jti").sign();
    assert_eq!(ask(&app, &token).await.status, StatusCode::OK);
    assert_eq!(start.elapsed(), Duration::from_millis(40));
}

/// Knows some tokens for sure, even while it cannot say anything of others.
struct Stale;

impl RevocationStore for Stale {
    type Error = io::Error;

    async fn is_revoked(&self, _: &TokenIdentity<'_>) -> io::Result<bool> {
        Err(io::Error::other("stale"))
    }

    fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool> {
        (token.jti == Some("a")).then_some(true)
    }
}

#[tokio::test]
async fn k06_a_stale_set_still_refuses_what_it_knows() {
    let issuer = TestIssuer::new();
    let known = issuer.token("alice").claim("jti", "a").sign();
    let unknown = issuer.token("alice").claim("jti", "b").sign();
    let allow = app(issuer
        .layer()
        .revocation(Stale)
        .revocation_failure(FailurePolicy::Allow));
    ask(&allow, &known).await.revoked();
    assert_eq!(ask(&allow, &unknown).await.status, StatusCode::OK);
    let reject = app(issuer.layer().revocation(Stale));
    ask(&reject, &known).await.revoked();
    ask(&reject, &unknown).await.unavailable();
}

#[tokio::test(start_paused = true)]
async fn k08_a_store_that_hangs_meets_the_deadline() {
    let issuer = TestIssuer::new();
    let store = FailingStore::new(Ids::default());
    let layer = issuer.layer().revocation(store.clone());
    let token = issuer.token("alice").sign();
    store.hang();

    let reject = app(layer.clone());
    let start = tokio::time::Instant::now();
    ask(&reject, &token).await.unavailable();
    assert_eq!(start.elapsed(), Duration::from_millis(250));

    let allow = app(layer
        .revocation_failure(FailurePolicy::Allow)
        .revocation_deadline(Duration::from_millis(40)));
    let start = tokio::time::Instant::now();
    assert_eq!(ask(&allow, &token).await.status, StatusCode::OK);
    assert_eq!(start.elapsed(), Duration::from_millis(40));
}

#[tokio::test(start_paused = true)]
async fn k08_an_answer_counts_up_to_the_deadline() {
    let issuer = TestIssuer::new();
    let store = FailingStore::new(Ids::default());
    let app = app(issuer.layer().revocation(store.clone()));
    let token = issuer.token("alice").claim("jti", "a").sign();
    store.delay(Duration::from_millis(249));
    assert_eq!(ask(&app, &token).await.status, StatusCode::OK);
    store.store().revoke("a");
    ask(&app, &token).await.revoked();
    store.delay(Duration::from_millis(251));
    ask(&app, &token).await.unavailable();
}

#[test]
fn without_a_runtime_there_is_no_waiting() {
    let issuer = TestIssuer::new();
    let mut app = app(issuer.layer().revocation(Ids::default())).with_state(());
    let token = issuer.token("alice").bearer();
    let request = Request::get("/").header(AUTHORIZATION, token);
    let request = request.body(Body::empty()).unwrap();
    let mut future = pin!(app.call(request));
    let mut context = Context::from_waker(Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(Ok(response)) => {
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        _ => panic!("it waits for a timer that nobody drives"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_cancelled_while_it_waits_leaves_the_service_usable() {
    #[derive(Clone)]
    #[expect(dead_code, reason = "held to be counted")]
    struct Counted(Arc<()>);

    let issuer = TestIssuer::new();
    let store = FailingStore::new(Ids::default());
    let layer = issuer.layer().revocation(store.clone());
    let alive = Arc::new(());
    let counted = Counted(Arc::clone(&alive));
    let inner = tower::service_fn(move |request: Request<()>| {
        let _counted = counted.clone();
        async move {
            assert!(request.extensions().get::<VerifiedToken>().is_some());
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        }
    });
    // One request at a time: one that is dropped must give its place back.
    let inner = ServiceBuilder::new().concurrency_limit(1).service(inner);
    let mut service = layer
        .respond(tower_jwt_auth::middleware::EmptyBody)
        .layer(inner);
    let request = || {
        let body = Arc::new(());
        let request = Request::get("/").header(AUTHORIZATION, issuer.token("alice").bearer());
        let request = request.extension(Counted(Arc::clone(&body))).body(());
        (request.unwrap(), body)
    };
    store.hang();
    for _ in 0..100 {
        let (request, body) = request();
        let before = Arc::strong_count(&alive);
        {
            let mut future = pin!(service.ready().await.unwrap().call(request));
            let mut context = Context::from_waker(Waker::noop());
            assert!(future.as_mut().poll(&mut context).is_pending());
            assert!(Arc::strong_count(&body) > 1);
        }
        assert_eq!(Arc::strong_count(&body), 1, "the request is held");
        assert_eq!(Arc::strong_count(&alive), before, "the service is held");
    }
    store.recover();
    let response = service.ready().await.unwrap().call(request().0).await;
    assert_eq!(response.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_that_was_ready_is_called_after_the_wait() {
    /// Panics when it is called without having been polled ready; a clone never was.
    #[derive(Default)]
    struct Strict(bool);

    impl Clone for Strict {
        fn clone(&self) -> Self {
            Self(false)
        }
    }

    impl Service<Request<()>> for Strict {
        type Response = http::Response<String>;
        type Error = std::convert::Infallible;
        type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
            self.0 = true;
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            assert!(std::mem::take(&mut self.0), "not ready");
            std::future::ready(Ok(http::Response::new(String::new())))
        }
    }

    let issuer = TestIssuer::new();
    let layer = issuer
        .layer()
        .revocation(Ids::default())
        .respond(tower_jwt_auth::middleware::EmptyBody);
    let service = ServiceBuilder::new()
        .buffer(8)
        .concurrency_limit(2)
        .layer(layer)
        .service(Strict::default());
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let (mut service, issuer) = (service.clone(), issuer.clone());
        tasks.push(tokio::spawn(async move {
            for _ in 0..50 {
                let request = Request::get("/")
                    .header(AUTHORIZATION, issuer.token("alice").bearer())
                    .body(())
                    .unwrap();
                let response = service.ready().await.unwrap().call(request).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
            }
        }));
    }
    for task in tasks {
        task.await.expect("no panic");
    }
}

#[test]
#[should_panic(expected = "the deadline is zero")]
fn a_deadline_of_nothing_is_a_mistake() {
    let issuer = TestIssuer::new();
    let _ = issuer
        .layer()
        .revocation(Ids::default())
        .revocation_deadline(Duration::ZERO);
}
