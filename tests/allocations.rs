//! What a request allocates on its way through the layer. Counts do not depend on the machine's mood.
#![cfg(all(feature = "axum", any(feature = "aws_lc_rs", feature = "rust_crypto")))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that panics fails; the token is of now"
)]

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, StatusCode};
use serde::{Deserialize, Serialize};
use tower::Service;
use tower_jwt_auth::claims::RegisteredClaims;
use tower_jwt_auth::keys::SigningKey;
use tower_jwt_auth::{Claims, JwtAuthLayer, Verifier};

#[derive(Serialize)]
struct Token {
    scope: &'static str,
    roles: [&'static str; 3],
    #[serde(flatten)]
    registered: RegisteredClaims,
}

/// Five strings, and a vector of three: nine allocations of its own.
#[derive(Deserialize)]
#[expect(dead_code, reason = "decoded to be decoded")]
struct Access {
    sub: String,
    iss: String,
    aud: String,
    jti: String,
    scope: String,
    roles: Vec<String>,
}

const OF_ACCESS: u64 = 9;

fn count(router: &mut Router, authorization: &HeaderValue) -> u64 {
    let mut call = || {
        let request = Request::get("/me").header(AUTHORIZATION, authorization);
        let request = request.body(Body::empty()).unwrap();
        let mut context = Context::from_waker(Waker::noop());
        match pin!(router.call(request)).poll(&mut context) {
            Poll::Ready(Ok(response)) => assert_eq!(response.status(), StatusCode::OK),
            _ => panic!("nothing here waits"),
        }
    };
    // The first token of a key has its header parsed; later ones share it.
    call();
    allocation_counter::measure(call).count_total
}

/// With either crypto back-end.
#[test]
fn first_sight_costs_sixteen_allocations() {
    let key = SigningKey::hs256([7; 32]).unwrap();
    let registered = RegisteredClaims::valid_for(Duration::from_secs(300), SystemTime::now())
        .issuer("https://id.example.com")
        .audience("api")
        .subject("248289761001")
        .token_id("6b1d5a9e-6a52-4c0e-9d29-2f1d0a1f3c77");
    let token = Token {
        scope: "openid profile email notes:read notes:write",
        roles: ["reader", "writer", "admin"],
        registered,
    };
    let authorization = format!("Bearer {}", key.sign(&token).unwrap());
    let authorization = HeaderValue::try_from(authorization).unwrap();
    let layer = JwtAuthLayer::new(key.verifying_key())
        .issuer("https://id.example.com")
        .audience("api");

    let mut bare = Router::new()
        .route("/me", get(async || StatusCode::OK))
        .with_state(());
    let mut ours = Router::new()
        .route("/me", get(async |_: Claims<Access>| StatusCode::OK))
        .layer(layer)
        .with_state(());
    let over = count(&mut ours, &authorization) - count(&mut bare, &authorization);
    assert_eq!(over, 16, "of which {OF_ACCESS} are the handler's claims");
}

#[test]
fn a_token_that_is_too_long_costs_nothing() {
    let verifier = Verifier::new(SigningKey::hs256([7; 32]).unwrap().verifying_key());
    for token in [
        vec![b'.'; 100_000],
        vec![b'a'; 64 * 1024],
        vec![b'a'; 1 << 20],
    ] {
        let cost = allocation_counter::measure(|| assert!(verifier.verify(&token).is_err()));
        assert_eq!(cost.count_total, 0);
    }
}
