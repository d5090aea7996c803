//! Floods of DPoP proofs through the layer: what they leave in memory, and what others get.
//!
//! `FLOOD_PROOFS=100000 cargo test --all-features --test dpop_flood` sends that many of each kind.
#![cfg(all(feature = "axum", feature = "aws_lc_rs"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that panics fails"
)]

#[path = "support/bound_token.rs"]
mod bound_token;
#[path = "support/dpop_client.rs"]
mod dpop_client;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bound_token::BoundToken;
use http::Request;
use http::header::AUTHORIZATION;
use serde_json::json;
use tower::Service;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::dpop::{Dpop, DpopErrorKind as Kind, ReplayMemory};
use tower_jwt_auth::keys::SigningKey;
use tower_jwt_auth::{AuthError, AuthErrorKind, JwtAuthLayer, TokenSource};

const NOW: u64 = 1_800_000_000;

/// A request of another client follows so many of the flood.
const OTHERS_EVERY: usize = 50;

/// The most that the token cache, the clients' keys and a request take.
const REST: usize = 128 * 1024;

/// The number of proofs of each kind.
fn flood_size() -> usize {
    let size = std::env::var("FLOOD_PROOFS");
    size.map_or(1000, |size| size.parse().unwrap())
}

fn client(key: &SigningKey, subject: &str) -> BoundToken {
    BoundToken::new(|cnf| {
        let claims = json!({ "sub": subject, "exp": NOW + 3000, "cnf": cnf });
        key.sign(&claims).unwrap()
    })
}

/// `None`: the request is served.
fn ask(router: &mut Router, token: &str, proof: &str) -> Option<AuthErrorKind> {
    let request = Request::get("/")
        .header(AUTHORIZATION, format!("DPoP {token}"))
        .header("dpop", proof)
        .body(Body::empty())
        .unwrap();
    let mut context = Context::from_waker(Waker::noop());
    match pin!(router.call(request)).poll(&mut context) {
        Poll::Ready(Ok(response)) => response.extensions().get().map(AuthError::kind),
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// A bad proof, each of another kind than the one before.
fn bad_proof(number: usize, client: &BoundToken, thief: &BoundToken) -> (String, Kind) {
    let good = client.proof(&format!("bad {number}"), NOW);
    let (input, signature) = good.rsplit_once('.').unwrap();
    match number % 4 {
        // The signature of another proof.
        0 => {
            let other = client.proof("other", NOW);
            let (_, other) = other.rsplit_once('.').unwrap();
            (format!("{input}.{other}"), Kind::BadSignature)
        }
        1 => (thief.proof(&format!("bad {number}"), NOW), Kind::WrongKey),
        2 => (
            client.proof(&format!("bad {number}"), NOW - 60),
            Kind::Expired,
        ),
        _ => (format!("{input}.{}", &signature[1..]), Kind::Malformed),
    }
}

#[test]
fn o42_floods_of_good_and_bad_proofs_harm_their_senders_alone() {
    let size = flood_size();
    // With 100,000 proofs this is the default. A client's share is 62.5 % of its flood.
    let capacity = size * 10;
    let share = capacity.div_ceil(16);
    let memory = Arc::new(ReplayMemory::new().capacity(capacity));
    let dpop = Dpop::new("https://api.example.com").unwrap();
    let clock = ManualClock::at(NOW);
    let key = SigningKey::hs256([7; 32]).unwrap();
    let layer = JwtAuthLayer::new(key.verifying_key())
        .clock(clock.clone())
        .sources([TokenSource::dpop(dpop.replay_store(Arc::clone(&memory)))]);
    let router = Router::new().route("/", get(async || "here")).layer(layer);
    let mut router = router.with_state(());
    let (good, bad, thief) = (
        client(&key, "mallory"),
        client(&key, "eve"),
        client(&key, "eve"),
    );
    let others: Vec<_> = (0..20)
        .map(|number| client(&key, &format!("user {number}")))
        .collect();

    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    let mut of_others = 0;
    let flood = allocation_counter::measure(|| {
        for number in 0..size {
            let proof = good.proof(&format!("good {number}"), NOW);
            let answer = ask(&mut router, &good.token, &proof);
            *answers.entry(format!("{answer:?}")).or_default() += 1;
            let (proof, kind) = bad_proof(number, &bad, &thief);
            let answer = ask(&mut router, &bad.token, &proof);
            assert_eq!(answer, Some(AuthErrorKind::InvalidProof(kind)));
            if number % OTHERS_EVERY == 0 {
                let other = &others[number / OTHERS_EVERY % others.len()];
                let proof = other.proof(&number.to_string(), NOW);
                assert_eq!(ask(&mut router, &other.token, &proof), None);
                of_others += 1;
            }
        }
    });
    let too_many = AuthErrorKind::InvalidProof(Kind::TooMany);
    let expected = [(None, share), (Some(too_many), size - share)];
    let expected = expected.map(|(answer, count)| (format!("{answer:?}"), count));
    assert_eq!(answers, BTreeMap::from(expected));
    // The client with bad proofs has spent nothing.
    let proof = bad.proof("good", NOW);
    assert_eq!(ask(&mut router, &bad.token, &proof), None);

    // As documented, and as much again while the table grows.
    let (most, kept) = (flood.bytes_max, flood.bytes_current);
    println!("{size} of each: at most {most} bytes, {kept} kept, {memory:?}");
    let proofs = share + of_others;
    assert!(usize::try_from(kept).unwrap() <= 21 * proofs + REST);
    assert!(usize::try_from(most).unwrap() <= 2 * 21 * proofs + REST);
    // The memory is freed once the proofs have expired.
    let after = allocation_counter::measure(|| {
        clock.advance(Duration::from_secs(120));
        let proof = good.proof("later", NOW + 120);
        assert_eq!(ask(&mut router, &good.token, &proof), None);
    });
    assert!(after.bytes_current < 0, "{after:?}");
}
