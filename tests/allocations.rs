//! Holds the layer to the number of allocations of a request. Unlike times, the counts are the same
//! on every machine.
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
use serde_json::Value;
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
const FIRST_SIGHT: u64 = 16;
/// The bytes of the token.
const KEPT: u64 = 1;
const SEEN_BEFORE: u64 = 4;

fn call(router: &mut Router, authorization: &HeaderValue) {
    let request = Request::get("/me").header(AUTHORIZATION, authorization);
    let request = request.body(Body::empty()).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    match pin!(router.call(request)).poll(&mut context) {
        Poll::Ready(Ok(response)) => assert_eq!(response.status(), StatusCode::OK),
        _ => panic!("nothing here waits"),
    }
}

fn count(router: &mut Router, authorization: &HeaderValue) -> u64 {
    allocation_counter::measure(|| call(router, authorization)).count_total
}

/// What everybody has: the layer that does nothing, which axum boxes and clones all the same.
fn idle(router: Router) -> Router {
    router.layer(tower::util::MapRequestLayer::new(
        |request: Request<Body>| request,
    ))
}

fn bare() -> Router {
    Router::new().route("/me", get(async || StatusCode::OK))
}

fn ours(layer: JwtAuthLayer) -> Router {
    let layer = layer.issuer("https://id.example.com").audience("api");
    let router = Router::new().route("/me", get(async |_: Claims<Access>| StatusCode::OK));
    router.layer(layer).with_state(())
}

fn tokens(key: &SigningKey, count: usize) -> Vec<String> {
    let token = |number| {
        let registered = RegisteredClaims::valid_for(Duration::from_secs(300), SystemTime::now())
            .issuer("https://id.example.com")
            .audience("api")
            .subject("248289761001")
            .token_id(format!("6b1d5a9e-6a52-4c0e-9d29-{number:012}"));
        let token = Token {
            scope: "openid profile email notes:read notes:write",
            roles: ["reader", "writer", "admin"],
            registered,
        };
        key.sign(&token).unwrap()
    };
    (0..count).map(token).collect()
}

fn headers(key: &SigningKey, count: usize) -> Vec<HeaderValue> {
    let header = |token: &String| HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    let headers: Vec<_> = tokens(key, count).iter().map(header).collect();
    // The first clone of one allocates what its clones share.
    let _ = headers.clone();
    headers
}

/// Allocations of the layer and `Claims<T>` over a bare router. Two are axum's own for any layer.
/// Neither crypto back-end allocates for HMAC.
#[test]
fn a_request_allocates_so_much_and_no_more() {
    const OF_ANY_LAYER: u64 = 2;
    const TOKENS: usize = 100;
    let key = SigningKey::hs256([7; 32]).unwrap();
    let tokens = headers(&key, TOKENS);
    let mut bare = bare().with_state(());
    call(&mut bare, &tokens[0]);
    let least = count(&mut bare, &tokens[0]);
    let mut idle = idle(self::bare()).with_state(());
    call(&mut idle, &tokens[0]);
    assert_eq!(count(&mut idle, &tokens[0]) - least, OF_ANY_LAYER);

    let layer = JwtAuthLayer::new(key.verifying_key());
    let mut without = ours(layer.clone().without_cache());
    let mut with = ours(layer);
    for router in [&mut without, &mut with] {
        // The first token of a key has its header parsed; later ones share it.
        call(router, &tokens[0]);
    }
    assert_eq!(
        count(&mut without, &tokens[1]) - least,
        FIRST_SIGHT,
        "of which {OF_ACCESS} are the handler's claims"
    );
    // Now and then a table grows; which it is, is a matter of chance.
    let kept = tokens[1..]
        .iter()
        .map(|token| count(&mut with, token) - least);
    assert_eq!(kept.min(), Some(FIRST_SIGHT + KEPT));
    let hot = &tokens[TOKENS - 1];
    let seen: Vec<_> = (0..100).map(|_| count(&mut with, hot) - least).collect();
    // In between, once, a token that turns out hot is copied, and the copy decoded.
    let unusual = seen.iter().filter(|over| **over != SEEN_BEFORE).count();
    assert!(unusual <= 2, "{seen:?}");
}

/// The memory of tokens stays within its bound, decoded claims and all, whatever they hold.
#[test]
fn a_flood_of_tokens_stays_within_the_bound() {
    const BOUND: usize = 1 << 20;
    let key = SigningKey::hs256([7; 32]).unwrap();
    let plain = tokens(&key, 3000);
    let odd: Vec<_> = (0..3000)
        .map(|number| {
            let many: serde_json::Map<_, _> = (0..number % 60)
                .map(|member| (format!("a{member}"), Value::from("b")))
                .collect();
            let nested = serde_json::json!({ "a": { "b": { "c": { "d": [[[1], [2]], {}] } } } });
            key.sign(&serde_json::json!({
                "iss": "https://id.example.com", "aud": ["api", "\u{e9}"], "exp": 4_000_000_000_u64, "jti": number.to_string(),
                "many": many, "nested": nested, "roles": vec!["r"; number % 40],
            }))
            .unwrap()
        })
        .collect();
    for (tokens, as_value) in [(&plain, false), (&plain, true), (&odd, true)] {
        let verifier = Verifier::new(key.verifying_key())
            .audience("api")
            .cache(BOUND);
        let most = allocation_counter::measure(|| {
            for token in tokens {
                let token = verifier.verify(token).unwrap();
                if as_value {
                    token.claims::<Value>().unwrap();
                } else {
                    token.claims::<Access>().unwrap();
                }
            }
        });
        let most = usize::try_from(most.bytes_max).unwrap();
        assert!(most <= BOUND, "{most}");
        // And it is made use of.
        assert!(most > BOUND / 4, "{most}");
    }
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

/// An issuer that a resolver has approved costs no allocation more than a configured one.
#[cfg(feature = "jwks")]
#[test]
fn a_resolved_issuer_allocates_nothing_more() {
    use std::convert::Infallible;
    use tower_jwt_auth::TrustedIssuer;
    use tower_jwt_auth::keys::VerifyingKey;
    use tower_jwt_auth::verify::{IssuerResolution, IssuerResolver};

    struct Approving(VerifyingKey);

    impl IssuerResolver for Approving {
        type Error = Infallible;

        async fn resolve(&self, issuer: &str) -> Result<Option<TrustedIssuer>, Infallible> {
            Ok(Some(TrustedIssuer::new(issuer, self.0.clone())))
        }
    }

    let key = SigningKey::hs256([7; 32]).unwrap();
    let token = tokens(&key, 1).remove(0);
    let name = "https://id.example.com";
    let verifiers = [
        Verifier::new(TrustedIssuer::new(name, key.verifying_key())),
        Verifier::new(IssuerResolution::new(Approving(key.verifying_key()))),
    ];
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let counts = verifiers.map(|verifier| {
        let cached = verifier.audience("api");
        let uncached = cached.clone().without_cache();
        for verifier in [&cached, &uncached] {
            let first = runtime.block_on(verifier.fetch_and_verify(&token));
            first.unwrap();
        }
        let least = |verifier: &Verifier| {
            let count = || allocation_counter::measure(|| drop(verifier.verify(&token).unwrap()));
            (0..10).map(|_| count().count_total).min().unwrap()
        };
        (least(&cached), least(&uncached))
    });
    let [configured, resolved] = counts;
    assert_eq!(configured, resolved);
    assert_eq!(resolved.0, 0);
}
