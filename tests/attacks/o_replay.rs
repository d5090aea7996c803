//! Used DPoP proofs, nonces and floods.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use http::{StatusCode, header::RETRY_AFTER};
use serde_json::json;
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::dpop::{
    DpopErrorKind as Kind, ProofIdentity, ReplayMemory, ReplayStore, ReplayVerdict,
};
use tower_jwt_auth::revocation::Revocation;
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::{AuthErrorKind, Require};

use crate::o_dpop::{Client, dpop, layer_of, prove, proven};
use crate::support::{Answer, NOW, app, clock, send};

#[tokio::test]
async fn o22_a_proof_is_used_once() {
    let app = app(layer_of(dpop()));
    let (client, other) = (Client::es256(), Client::es384());
    let (token, others) = (client.token(), other.token());
    let proof = client.proof(&token, json!({ "jti": "same" }));
    prove(&app, &token, &proof).await.accepted();
    for _ in 0..3 {
        prove(&app, &token, &proof).await.unproven(Kind::Replayed);
    }
    // A second signature over the same ID, at another time, is the same proof.
    let again = client.proof(&token, json!({ "jti": "same" }));
    prove(&app, &token, &again).await.unproven(Kind::Replayed);
    // Another client may choose the same ID.
    let proof = other.proof(&others, json!({ "jti": "same" }));
    prove(&app, &others, &proof).await.accepted();
}

#[tokio::test]
async fn o23_a_proof_stays_used_until_it_expires() {
    let client = Client::es256();
    let token = client.token();
    for offset in 0..16 {
        let clock = ManualClock::at(NOW + offset);
        let app = app(layer_of(dpop()).clock(clock.clone()));
        let proof = client.proof(&token, json!({ "iat": NOW + offset }));
        prove(&app, &token, &proof).await.accepted();
        for _ in 0..59 {
            clock.advance(Duration::from_secs(1));
            prove(&app, &token, &proof).await.unproven(Kind::Replayed);
        }
        clock.advance(Duration::from_secs(1));
        prove(&app, &token, &proof).await.unproven(Kind::Expired);
    }
}

#[tokio::test]
async fn o24_the_clock_steps_back() {
    let clock = ManualClock::at(NOW);
    let app = app(layer_of(dpop()).clock(clock.clone()));
    let client = Client::es256();
    let token = client.token_with(json!({ "exp": NOW + 100_000 }));
    let proof = client.proof(&token, json!({}));
    prove(&app, &token, &proof).await.accepted();
    for step in [61, 75, 80, 90, 1000, 50_000] {
        clock.set(NOW + step);
        let fresh = client.proof(&token, json!({ "iat": NOW + step }));
        prove(&app, &token, &fresh).await.accepted();
        clock.set(NOW);
        prove(&app, &token, &proof).await.unproven(Kind::Replayed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn o25_a_hundred_uses_at_once() {
    let app = app(layer_of(dpop()));
    let client = Client::es256();
    let token = client.token();
    let proof = client.proof(&token, json!({}));
    let uses = (0..100).map(|_| {
        let (app, request) = (app.clone(), proven(&token, &proof));
        tokio::spawn(async move { send(&app, request).await.status })
    });
    let mut accepted = 0;
    for used in uses.collect::<Vec<_>>() {
        accepted += usize::from(used.await.unwrap() == StatusCode::OK);
    }
    assert_eq!(accepted, 1);
}

fn nonce_of(answer: &Answer) -> Option<&str> {
    answer
        .headers
        .get("dpop-nonce")
        .map(|nonce| nonce.to_str().unwrap())
}

#[tokio::test]
async fn o28_nonces() {
    // A multiple of the period.
    let clock = ManualClock::at(NOW);
    assert_eq!(NOW % 300, 0);
    let node = |secret: u8| {
        let dpop = dpop().nonces([secret; 32]).unwrap();
        app(layer_of(dpop).clock(clock.clone()))
    };
    let (one, other, foreign) = (node(7), node(7), node(8));
    let client = Client::es256();
    let token = client.token_with(json!({ "exp": NOW + 3000 }));
    let with =
        |nonce: Option<&str>, iat: u64| client.proof(&token, json!({ "nonce": nonce, "iat": iat }));

    let answer = prove(&one, &token, &with(None, NOW)).await;
    answer.unproven(Kind::MissingNonce);
    let nonce = nonce_of(&answer).unwrap().to_owned();
    assert_eq!(answer.error.unwrap().dpop_nonce(), Some(&*nonce));
    // Any node with the secret accepts it, for any client, any number of times.
    for app in [&one, &other, &one] {
        let answer = prove(app, &token, &with(Some(&nonce), NOW)).await;
        answer.accepted();
        assert_eq!(nonce_of(&answer), None);
        assert!(!answer.headers.contains_key("cache-control"));
    }
    for forged in [
        "",
        "x",
        &nonce[1..],
        &format!("{nonce}x"),
        &nonce.to_lowercase(),
    ] {
        let answer = prove(&one, &token, &with(Some(forged), NOW)).await;
        answer.unproven(Kind::StaleNonce);
        assert_eq!(nonce_of(&answer), Some(&*nonce));
    }
    let answer = prove(&foreign, &token, &with(Some(&nonce), NOW)).await;
    answer.unproven(Kind::StaleNonce);
    // Other faults count first, and tell no nonce.
    let proof = client.proof(&token, json!({ "htm": "POST" }));
    let answer = prove(&one, &token, &proof).await;
    answer.unproven(Kind::WrongMethod);
    assert_eq!(nonce_of(&answer), None);
    // The next period: still accepted, and replaced.
    clock.set(NOW + 300);
    let answer = prove(&one, &token, &with(Some(&nonce), NOW + 300)).await;
    answer.accepted();
    let next = nonce_of(&answer).unwrap().to_owned();
    assert_ne!(next, nonce);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let answer = prove(&one, &token, &with(Some(&next), NOW + 300)).await;
    answer.accepted();
    assert_eq!(nonce_of(&answer), None);
    // The period after that.
    clock.set(NOW + 600);
    let answer = prove(&one, &token, &with(Some(&nonce), NOW + 600)).await;
    answer.unproven(Kind::StaleNonce);
    assert!(dpop().nonces(b"short").is_err());
}

#[tokio::test]
async fn o28_a_rejection_of_a_guard_has_the_scheme_and_the_nonce() {
    let clock = ManualClock::at(NOW);
    let layer = layer_of(dpop().nonces([7; 32]).unwrap()).clock(clock.clone());
    let route = axum::routing::get(|| async {}).layer(Require::scope("write"));
    let app = Router::new().route("/claims", route).layer(layer);
    let client = Client::es256();
    let token = client.token_with(json!({ "exp": NOW + 3000 }));
    let answer = prove(&app, &token, &client.proof(&token, json!({}))).await;
    let nonce = nonce_of(&answer).unwrap().to_owned();
    clock.set(NOW + 300);
    let proof = client.proof(&token, json!({ "nonce": nonce, "iat": NOW + 300 }));
    let answer = prove(&app, &token, &proof).await;
    assert_eq!(answer.kind(), Some(AuthErrorKind::InsufficientScope));
    let start = r#"DPoP realm="api", error="insufficient_scope""#;
    assert!(answer.challenge().unwrap().starts_with(start));
    assert!(nonce_of(&answer).is_some());
}

/// The number of proofs that a memory holds.
fn held(memory: &ReplayMemory) -> usize {
    let text = format!("{memory:?}");
    let (_, rest) = text.split_once("proofs: ").unwrap();
    let digits = rest
        .split(|char: char| !char.is_ascii_digit())
        .next()
        .unwrap();
    digits.parse().unwrap()
}

#[tokio::test]
async fn o29_a_flood_of_good_proofs_harms_its_sender_alone() {
    let memory = Arc::new(ReplayMemory::new().capacity(1600));
    let app = app(layer_of(dpop().replay_store(Arc::clone(&memory))));
    let (flood, other) = (Client::es256(), Client::es384());
    let (token, others) = (flood.token_with(json!({ "sub": "mallory" })), other.token());
    let mut accepted = 0;
    for number in 0..2000 {
        let answer = prove(&app, &token, &flood.proof(&token, json!({}))).await;
        match answer.status {
            StatusCode::OK => accepted += 1,
            status => {
                assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
                let kind = AuthErrorKind::InvalidProof(Kind::TooMany);
                assert_eq!(answer.kind(), Some(kind));
                assert_eq!(answer.challenge(), None);
                assert!(answer.headers.contains_key(RETRY_AFTER));
            }
        }
        if number % 40 == 0 {
            let proof = other.proof(&others, json!({}));
            prove(&app, &others, &proof).await.accepted();
        }
    }
    assert_eq!(accepted, 100);
    assert_eq!(held(&memory), 150);
}

#[tokio::test]
async fn o30_bad_proofs_leave_nothing() {
    let memory = Arc::new(ReplayMemory::new());
    let app = app(layer_of(dpop().replay_store(Arc::clone(&memory))));
    let (client, thief) = (Client::es256(), Client::es384());
    let token = client.token();
    let good_proof = client.proof(&token, json!({}));
    let (input, _) = good_proof.rsplit_once('.').unwrap();
    let unsigned = format!("{input}.{}", "A".repeat(86));
    for number in 0..1000 {
        let proof = match number % 4 {
            0 => thief.proof(&token, json!({})),
            1 => client.proof(&token, json!({ "htm": "PUT" })),
            2 => client.proof(&token, json!({ "iat": NOW - 60 })),
            _ => unsigned.clone(),
        };
        let answer = prove(&app, &token, &proof).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(held(&memory), 0);
    // The ID of a proof that was forged is not used up.
    prove(&app, &token, &good_proof).await.accepted();
}

/// A store that fails in one of several ways.
struct Broken(&'static str);

impl ReplayStore for Broken {
    type Error = io::Error;

    async fn remember(&self, _: &ProofIdentity<'_>) -> io::Result<ReplayVerdict> {
        match self.0 {
            "hangs" => pending().await,
            _ => Err(io::Error::other("down")),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn o31_a_store_that_does_not_answer_is_never_skipped() {
    let client = Client::es256();
    let token = client.token();
    let stores = [
        dpop().replay_store(Broken("hangs")),
        dpop().replay_store(Broken("fails")),
        dpop().replay_store(ReplayMemory::new().capacity(0)),
    ];
    for (index, dpop) in stores.into_iter().enumerate() {
        let app = app(layer_of(dpop));
        let answer = prove(&app, &token, &client.proof(&token, json!({}))).await;
        if index == 2 {
            // No client has a share of nothing.
            assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
            continue;
        }
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.kind(), Some(AuthErrorKind::Unavailable));
        assert_eq!(answer.challenge(), None);
        assert!(answer.headers.contains_key(RETRY_AFTER));
    }
    // A memory that other clients have filled.
    let memory = ReplayMemory::new().capacity(1);
    let app = app(layer_of(dpop().replay_store(memory)));
    prove(&app, &token, &client.proof(&token, json!({})))
        .await
        .accepted();
    let other = Client::es384();
    let others = other.token_with(json!({ "sub": "bob" }));
    let answer = prove(&app, &others, &other.proof(&others, json!({}))).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

/// A store that all nodes share, which has to be awaited.
#[derive(Clone, Default)]
struct SharedStore {
    memory: Arc<ReplayMemory>,
    calls: Arc<AtomicUsize>,
}

impl ReplayStore for SharedStore {
    type Error = Infallible;

    async fn remember(&self, proof: &ProofIdentity<'_>) -> Result<ReplayVerdict, Infallible> {
        tokio::task::yield_now().await;
        self.calls.fetch_add(1, Ordering::SeqCst);
        assert_eq!(proof.subject, Some("alice"));
        assert_eq!(proof.key.len(), 43);
        // Longer than the proof is valid: a slow call, or a clock that is behind, comes later.
        let kept = proof.forget_at.duration_since(proof.now).unwrap();
        assert_eq!(kept, Duration::from_secs(90));
        Ok(self.memory.remember(proof).await.unwrap())
    }
}

#[tokio::test]
async fn o35_a_replay_on_another_node() {
    let client = Client::es256();
    let token = client.token();
    let nodes = [app(layer_of(dpop())), app(layer_of(dpop()))];
    let proof = client.proof(&token, json!({}));
    // By default each node knows its own requests.
    for node in &nodes {
        prove(node, &token, &proof).await.accepted();
        prove(node, &token, &proof).await.unproven(Kind::Replayed);
    }
    let store = SharedStore::default();
    let nodes = [(); 2].map(|()| app(layer_of(dpop().replay_store(store.clone()))));
    let proof = client.proof(&token, json!({}));
    prove(&nodes[0], &token, &proof).await.accepted();
    for node in &nodes {
        prove(node, &token, &proof).await.unproven(Kind::Replayed);
    }
    assert_eq!(store.calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn o32_a_revoked_token_uses_up_no_proof() {
    let memory = Arc::new(ReplayMemory::new());
    let store = MemoryStore::with_clock(clock());
    let dpop = dpop().replay_store(Arc::clone(&memory));
    let app = Router::new()
        .route("/claims", axum::routing::get(async || "{}"))
        .layer(layer_of(dpop).revocation(store.clone()));
    let client = Client::es256();
    let token = client.token_with(json!({ "jti": "one" }));
    let proof = client.proof(&token, json!({}));
    prove(&app, &token, &proof).await.accepted();
    assert_eq!(held(&memory), 1);
    let revocation = Revocation::Token {
        issuer: None,
        jti: "one",
        expires_at: NumericDate::from_seconds(NOW + 300).unwrap(),
    };
    store.revoke(&revocation).unwrap();
    for proof in [client.proof(&token, json!({})), proof] {
        let answer = prove(&app, &token, &proof).await;
        assert_eq!(answer.kind(), Some(AuthErrorKind::Revoked));
        let start = r#"DPoP realm="api", error="invalid_token""#;
        assert!(answer.challenge().unwrap().starts_with(start));
    }
    assert_eq!(held(&memory), 1);
}
