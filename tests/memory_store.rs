//! Holds the memory store to the contract of session stores, and its revocation to its rules,
//! directly and through the layer.
#![cfg(all(feature = "axum", feature = "testing"))]
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test that panics fails"
)]

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use tower::ServiceExt;
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::revocation::{Revocation, RevocationSet, RevocationStore, TokenIdentity};
use tower_jwt_auth::session::BoxSessionStore;
use tower_jwt_auth::store::{MemoryStore, MemoryStoreError};
use tower_jwt_auth::testing::{TestIssuer, session_store_contract};
use tower_jwt_auth::{AuthError, AuthErrorKind, Verifier, VerifyErrorKind};

struct World {
    issuer: TestIssuer,
    store: MemoryStore,
    app: Router,
}

fn world() -> World {
    let issuer = TestIssuer::new();
    let set = RevocationSet::new().clock(issuer.clock().clone());
    world_with(issuer, set)
}

fn world_with(issuer: TestIssuer, set: RevocationSet) -> World {
    let store = MemoryStore::with(set, issuer.clock().clone());
    let app = Router::new()
        .route("/", get(async || "in"))
        .layer(issuer.layer().revocation(store.clone()));
    World { issuer, store, app }
}

impl World {
    /// What becomes of a request with this token.
    async fn ask(&self, token: &str) -> Result<(), AuthErrorKind> {
        let request = Request::get("/").header(AUTHORIZATION, format!("Bearer {token}"));
        let request = request.body(Body::empty()).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        match response.extensions().get().map(AuthError::kind) {
            Some(kind) => {
                assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
                Err(kind)
            }
            None => {
                assert_eq!(response.status(), StatusCode::OK);
                Ok(())
            }
        }
    }

    fn revoke(&self, token: &str) {
        let verifier = Verifier::new(self.issuer.key()).clock(self.issuer.clock().clone());
        let token = verifier.verify(token).unwrap();
        let id = TokenIdentity::from(&token);
        self.store
            .revoke(&Revocation::of_token(&id).unwrap())
            .unwrap();
    }

    fn subject(&self, name: &'static str) -> Subject<'_> {
        Subject { world: self, name }
    }

    fn now(&self) -> NumericDate {
        self.issuer.clock().now().into()
    }

    fn later(&self, seconds: u64) -> NumericDate {
        NumericDate::from_seconds(self.now().seconds() + seconds).unwrap()
    }
}

struct Subject<'a> {
    world: &'a World,
    name: &'static str,
}

impl Subject<'_> {
    const ISSUER: Option<&'static str> = Some(TestIssuer::NAME);

    fn block(&self) {
        let revocation = Revocation::Block {
            issuer: Self::ISSUER,
            subject: self.name,
        };
        self.world.store.revoke(&revocation).unwrap();
    }

    fn cut_off(&self) {
        let revocation = Revocation::Cutoff {
            issuer: Self::ISSUER,
            subject: self.name,
            issued_at: self.world.now(),
            until: self.world.later(300),
        };
        self.world.store.revoke(&revocation).unwrap();
    }

    fn raise(&self, generation: u64) {
        let revocation = Revocation::Generation {
            issuer: Self::ISSUER,
            subject: self.name,
            generation,
            until: self.world.later(300),
        };
        self.world.store.revoke(&revocation).unwrap();
    }
}

const REVOKED: Result<(), AuthErrorKind> = Err(AuthErrorKind::Revoked);
const EXPIRED: Result<(), AuthErrorKind> =
    Err(AuthErrorKind::InvalidToken(VerifyErrorKind::Expired));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_session_store_contract() {
    session_store_contract(async |clock| MemoryStore::with_clock(clock)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_a_box_keeps_the_session_store_contract() {
    session_store_contract(async |clock| BoxSessionStore::new(MemoryStore::with_clock(clock)))
        .await;
}

#[tokio::test]
async fn k01_a_token_by_its_id() {
    let world = world();
    let token = world.issuer.token("alice").claim("jti", "a").sign();
    let other = world.issuer.token("alice").claim("jti", "b").sign();
    assert_eq!(world.ask(&token).await, Ok(()));
    world.revoke(&token);
    assert_eq!(world.ask(&token).await, REVOKED);
    assert_eq!(world.ask(&other).await, Ok(()));
    // The same id of another issuer is another token.
    let stranger = TestIssuer::with_key(tower_jwt_auth::keys::SigningKey::hs256([7; 32]).unwrap())
        .name("https://other.test");
    let elsewhere = Router::new().route("/", get(async || "in")).layer(
        stranger
            .layer()
            .clock(world.issuer.clock().clone())
            .revocation(world.store.clone()),
    );
    let token = stranger.token("alice").claim("jti", "a").bearer();
    let request = Request::get("/").header(AUTHORIZATION, token);
    let response = elsewhere.oneshot(request.body(Body::empty()).unwrap());
    assert_eq!(response.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn k02_a_revocation_lives_as_long_as_its_token() {
    let world = world();
    let token = world.issuer.token("alice").sign();
    world.revoke(&token);
    // 300 seconds, and 30 of leeway, second by second, with a store that tidies up all the while.
    for _ in 0..330 {
        world.store.prune();
        assert_eq!(world.ask(&token).await, REVOKED);
        world.issuer.clock().advance(Duration::from_secs(1));
    }
    assert_eq!(world.ask(&token).await, EXPIRED);
}

#[tokio::test]
async fn k02_nor_does_the_largest_leeway_revive_it() {
    let issuer = TestIssuer::new();
    // The set knows nothing of the verifier's leeway.
    let set = RevocationSet::new().clock(issuer.clock().clone());
    let store = MemoryStore::with(set, issuer.clock().clone());
    let layer = issuer.layer().leeway(Verifier::MAX_LEEWAY);
    let app = Router::new()
        .route("/", get(async || "in"))
        .layer(layer.revocation(store.clone()));
    let world = World { issuer, store, app };
    let token = world.issuer.token("alice").sign();
    world.revoke(&token);
    for _ in 0..600 {
        world.store.prune();
        assert_eq!(world.ask(&token).await, REVOKED);
        world.issuer.clock().advance(Duration::from_secs(1));
    }
    assert_eq!(world.ask(&token).await, EXPIRED);
}

#[tokio::test]
async fn k03_log_out_everywhere_and_in_again_in_the_same_second() {
    let world = world();
    // Own tokens, by generation.
    let before = world.issuer.token("alice").claim("generation", 4).sign();
    let unnumbered = world.issuer.token("alice").sign();
    world.subject("alice").raise(5);
    let after = world.issuer.token("alice").claim("generation", 5).sign();
    let bob = world.issuer.token("bob").claim("generation", 4).sign();
    assert_eq!(world.ask(&before).await, REVOKED);
    assert_eq!(world.ask(&unnumbered).await, REVOKED);
    assert_eq!(world.ask(&after).await, Ok(()));
    assert_eq!(world.ask(&bob).await, Ok(()));
    // A generation never falls.
    world.subject("alice").raise(3);
    assert_eq!(world.ask(&before).await, REVOKED);
}

#[tokio::test]
async fn k03_tokens_of_others_are_cut_off_by_the_second() {
    let world = world();
    let before = world.issuer.token("carol").sign();
    let undated = world.issuer.token("carol").without("iat").sign();
    let fraction = world.now().seconds();
    let fraction: serde_json::Value = serde_json::from_str(&format!("{fraction}.9")).unwrap();
    let same_second = world.issuer.token("carol").claim("iat", fraction).sign();
    world.subject("carol").cut_off();
    for token in [&before, &undated, &same_second] {
        assert_eq!(world.ask(token).await, REVOKED);
    }
    world.issuer.clock().advance(Duration::from_secs(1));
    let after = world.issuer.token("carol").sign();
    assert_eq!(world.ask(&after).await, Ok(()));
}

#[tokio::test]
async fn k03_a_cutoff_is_in_force_a_minute_after_a_logout_everywhere() {
    let world = world();
    let token = |generation: u64| {
        let token = world.issuer.token("alice");
        token.claim("generation", generation).sign()
    };
    world.subject("alice").raise(5);
    world.issuer.clock().advance(Duration::from_secs(60));
    let own = token(5);
    assert_eq!(world.ask(&own).await, Ok(()));
    world.subject("alice").cut_off();
    assert_eq!(world.ask(&own).await, REVOKED);
    assert_eq!(world.ask(&token(6)).await, REVOKED);
    world.issuer.clock().advance(Duration::from_secs(1));
    assert_eq!(world.ask(&token(5)).await, Ok(()));
}

#[tokio::test]
async fn k04_a_cutoff_lasts_until_the_last_token_is_dead() {
    let world = world();
    let token = world.issuer.token("carol").sign();
    world.subject("carol").cut_off();
    for _ in 0..330 {
        // Others come and go.
        world.revoke(&world.issuer.token("bob").sign());
        world.store.prune();
        assert_eq!(world.ask(&token).await, REVOKED);
        world.issuer.clock().advance(Duration::from_secs(1));
    }
    assert_eq!(world.ask(&token).await, EXPIRED);
}

#[tokio::test]
async fn k01_a_block_is_in_force_until_lifted_and_then_revives_nothing() {
    let world = world();
    let before = world.issuer.token("mallory").sign();
    world.subject("mallory").block();
    world.issuer.clock().advance(Duration::from_secs(200));
    let during = world.issuer.token("mallory").sign();
    for token in [&before, &during] {
        assert_eq!(world.ask(token).await, REVOKED);
    }
    assert!(world.store.lift_block(Some(TestIssuer::NAME), "mallory"));
    assert!(!world.store.lift_block(Some(TestIssuer::NAME), "nobody"));
    for token in [&before, &during] {
        assert_eq!(world.ask(token).await, REVOKED);
    }
    world.issuer.clock().advance(Duration::from_secs(1));
    let after = world.issuer.token("mallory").sign();
    assert_eq!(world.ask(&after).await, Ok(()));
    assert_eq!(world.ask(&during).await, REVOKED);
}

#[tokio::test]
async fn k01_a_session_by_its_id() {
    let world = world();
    let with = |sid: &str| world.issuer.token("alice").claim("sid", sid).sign();
    let (first, second, other) = (with("s"), with("s"), with("t"));
    let revocation = Revocation::Session {
        issuer: Some(TestIssuer::NAME),
        sid: "s",
        until: world.later(300),
    };
    world.store.revoke(&revocation).unwrap();
    assert_eq!(world.ask(&first).await, REVOKED);
    assert_eq!(world.ask(&second).await, REVOKED);
    assert_eq!(world.ask(&other).await, Ok(()));
}

#[tokio::test]
async fn g05_a_clock_that_steps_back_revives_nothing() {
    let world = world();
    let token = world.issuer.token("alice").sign();
    world.revoke(&token);
    world.issuer.clock().advance(Duration::from_secs(7200));
    // It is forgotten, and remembered that something was.
    world.store.prune();
    assert_eq!(world.store.revocations().tokens, 0);
    world.issuer.clock().step_back(Duration::from_secs(7200));
    assert_eq!(world.ask(&token).await, REVOKED);
}

#[tokio::test]
async fn k12b_a_full_store_refuses_more_and_keeps_what_it_has() {
    let issuer = TestIssuer::new();
    let set = RevocationSet::new()
        .clock(issuer.clock().clone())
        .capacity(3);
    let world = world_with(issuer, set);
    let tokens: Vec<_> = (0..3).map(|_| world.issuer.token("alice").sign()).collect();
    for token in &tokens {
        world.revoke(token);
    }
    let more = Revocation::Block {
        issuer: None,
        subject: "bob",
    };
    let full = world.store.revoke(&more).unwrap_err();
    assert!(matches!(full, MemoryStoreError::Revocations(_)));
    for token in &tokens {
        assert_eq!(world.ask(token).await, REVOKED);
        // Again, which changes nothing and needs no room.
        world.revoke(token);
    }
    // Room comes with time.
    world.issuer.clock().advance(Duration::from_secs(3600));
    world.store.revoke(&more).unwrap();
}

#[tokio::test]
async fn k12_an_hour_of_churn_stays_bounded() {
    let world = world();
    let mut most = 0;
    for second in 0..3600_u64 {
        for token in 0..50_u64 {
            let jti = format!("{second}-{token}");
            let revocation = Revocation::Token {
                issuer: Some(TestIssuer::NAME),
                jti: &jti,
                expires_at: world.later(300),
            };
            world.store.revoke(&revocation).unwrap();
        }
        let sid = format!("s{second}");
        let revocation = Revocation::Session {
            issuer: Some(TestIssuer::NAME),
            sid: &sid,
            until: world.later(300),
        };
        world.store.revoke(&revocation).unwrap();
        world.issuer.clock().advance(Duration::from_secs(1));
        if second >= 1200 {
            most = most.max(world.store.revocations().heap_bytes);
        }
        let state = world.store.revocations();
        // 51 a second for 300 seconds and 5 minutes of leeway, and what waits for its turn.
        assert!(state.entries() < 51 * 900, "{second}: {state:?}");
    }
    assert!(most < 2_000_000, "{most}");
    // And with nobody writing.
    world.issuer.clock().advance(Duration::from_secs(3600));
    world.store.prune();
    assert_eq!(world.store.revocations().entries(), 0);
}

#[tokio::test]
async fn the_store_answers_on_the_spot() {
    let world = world();
    let id = TokenIdentity::new(world.later(300)).jti("a");
    assert_eq!(world.store.peek(&id), Some(false));
    let revocation = Revocation::of_token(&id).unwrap();
    world.store.revoke(&revocation).unwrap();
    assert_eq!(world.store.peek(&id), Some(true));
    assert_eq!(world.store.is_revoked(&id).await, Ok(true));
}
