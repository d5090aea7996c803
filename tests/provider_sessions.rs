//! Holds sessions that began with an OpenID login to end with the provider's logout tokens.
#![cfg(all(feature = "axum", feature = "testing"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics fails"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::Request;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tower_jwt_auth::TrustedIssuer;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::{Algorithm, SigningKey, TokenHeader};
use tower_jwt_auth::openid::{IdToken, IdTokenVerifier, LogoutTokenVerifier, ProviderSessions};
use tower_jwt_auth::routes::BackChannelLogout;
use tower_jwt_auth::session::{RefreshKeys, SessionErrorKind, SessionStore, Sessions, TokenPair};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::testing::FailingStore;

const NOW: u64 = 1_800_000_000;
const PROVIDER: &str = "https://id.example.com";
const CLIENT: &str = "our-client";

/// A provider, and a service with sessions.
struct World<S> {
    clock: ManualClock,
    key: SigningKey,
    store: FailingStore<S>,
    sessions: Sessions<FailingStore<S>>,
    logins: ProviderSessions<FailingStore<S>>,
    logout: BackChannelLogout,
    numbers: AtomicU64,
}

impl World<MemoryStore> {
    fn new() -> Self {
        let clock = ManualClock::at(NOW);
        let store = MemoryStore::with_clock(clock.clone());
        Self::over(FailingStore::new(store), clock)
    }
}

impl<S: SessionStore> World<S> {
    /// A node of the service over this store.
    fn over(store: FailingStore<S>, clock: ManualClock) -> Self {
        let key = SigningKey::from_secret(Algorithm::HS256, [1; 32]).unwrap();
        let refresh_keys = RefreshKeys::new([2; 32]).unwrap();
        let sessions = Sessions::new(store.clone(), key.clone(), refresh_keys)
            .issuer("https://service.example.com")
            .clock(clock.clone());
        let logins = ProviderSessions::new(sessions.clone());
        let provider = TrustedIssuer::new(PROVIDER, key.verifying_key());
        let verifier = LogoutTokenVerifier::new(provider, CLIENT).clock(clock.clone());
        let ending = logins.clone();
        let logout = BackChannelLogout::new(verifier, move |logout| {
            let logins = ending.clone();
            async move { logins.end(&logout).await }
        });
        Self {
            clock,
            key,
            store,
            sessions,
            logins,
            logout,
            numbers: AtomicU64::new(0),
        }
    }

    fn sign(&self, typ: &str, age: u64, claims: &Value) -> String {
        let issued_at = NOW - age;
        let mut all = json!({
            "iss": PROVIDER, "aud": CLIENT, "iat": issued_at, "exp": NOW + 7200,
            "jti": self.numbers.fetch_add(1, Ordering::Relaxed).to_string(),
        });
        let members = all.as_object_mut().unwrap();
        members.extend(claims.as_object().unwrap().clone());
        let header = TokenHeader::new().typ(typ);
        self.key.sign_with(&header, &all).unwrap()
    }

    /// An ID token that was issued `age` seconds ago.
    async fn id_token(&self, age: u64, claims: Value) -> IdToken {
        let provider = TrustedIssuer::new(PROVIDER, self.key.verifying_key());
        let verifier = IdTokenVerifier::new(provider, CLIENT).clock(self.clock.clone());
        let token = self.sign("JWT", age, &claims);
        verifier.verify_without_nonce(token).await.unwrap()
    }

    async fn complete(&self, id_token: &IdToken) -> Result<TokenPair, SessionErrorKind> {
        // The service knows the person by another name than the provider.
        let subject = format!("account of {}", id_token.subject());
        let login = self
            .sessions
            .begin(&self.sessions.subject_named(subject))
            .await;
        let completed = self.logins.complete(login.unwrap(), id_token).await;
        completed.map_err(|error| error.kind())
    }

    async fn log_in(&self, age: u64, claims: Value) -> TokenPair {
        self.complete(&self.id_token(age, claims).await)
            .await
            .unwrap()
    }

    /// Sends a logout token that was issued `age` seconds ago.
    async fn log_out(&self, age: u64, mut claims: Value) -> u16 {
        claims["events"] = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
        let token = self.sign("logout+jwt", age, &claims);
        let request = Request::post("/")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(format!("logout_token={token}")));
        self.logout.handler()(request.unwrap())
            .await
            .status()
            .as_u16()
    }

    async fn lives(&self, tokens: &TokenPair) -> bool {
        match self.sessions.refresh(&tokens.refresh_token).await {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), SessionErrorKind::Ended);
                false
            }
        }
    }
}

#[tokio::test]
async fn a_logout_token_with_sid_alone_ends_the_session_that_began_with_it() {
    let world = World::new();
    let long = "s".repeat(300);
    let here = world
        .log_in(10, json!({ "sub": "alice", "sid": long }))
        .await;
    let again = world
        .log_in(5, json!({ "sub": "alice", "sid": long }))
        .await;
    let elsewhere = world
        .log_in(10, json!({ "sub": "alice", "sid": "s2" }))
        .await;
    let unnamed = world.log_in(10, json!({ "sub": "alice" })).await;
    let other = world
        .log_in(10, json!({ "sub": long, "sid": "alice" }))
        .await;
    assert_eq!(world.log_out(0, json!({ "sid": "unknown" })).await, 200);
    let of_another = json!({ "sid": long, "sub": "bob" });
    assert_eq!(world.log_out(0, of_another).await, 200);
    assert!(world.lives(&here).await);
    assert_eq!(world.log_out(0, json!({ "sid": long })).await, 200);
    assert!(!world.lives(&here).await && !world.lives(&again).await);
    for tokens in [&elsewhere, &unnamed, &other] {
        assert!(world.lives(tokens).await);
    }
    // With `sub`, a session whose ID token had no `sid` may be the one.
    assert_eq!(
        world
            .log_out(0, json!({ "sid": "s3", "sub": "alice" }))
            .await,
        200
    );
    assert!(!world.lives(&unnamed).await);
    assert!(world.lives(&elsewhere).await && world.lives(&other).await);
}

#[tokio::test]
async fn another_node_ends_the_session_and_is_heard_of_at_the_login() {
    let world = World::new();
    let tokens = world
        .log_in(0, json!({ "sub": "alice", "sid": "s1" }))
        .await;
    let late = world
        .id_token(0, json!({ "sub": "alice", "sid": "s2" }))
        .await;
    let other = World::over(world.store.clone(), world.clock.clone());
    assert_eq!(other.log_out(0, json!({ "sid": "s1" })).await, 200);
    assert!(!world.lives(&tokens).await);
    assert_eq!(other.log_out(0, json!({ "sid": "s2" })).await, 200);
    let refused = world.complete(&late).await.unwrap_err();
    assert_eq!(refused, SessionErrorKind::LoggedOut);
}

#[cfg(feature = "embedded")]
#[tokio::test]
async fn a_service_that_was_started_again_knows_its_logins_and_logouts() {
    use tower_jwt_auth::store::EmbeddedStoreOptions;

    let clock = ManualClock::at(NOW);
    let file = std::env::temp_dir().join(format!("provider_sessions-{}", std::process::id()));
    let _ = std::fs::remove_file(&file);
    let open = async || {
        let options = EmbeddedStoreOptions::new().clock(clock.clone());
        let store = options.open(&file).await.unwrap();
        World::over(FailingStore::new(store), clock.clone())
    };
    let world = open().await;
    let tokens = world
        .log_in(0, json!({ "sub": "alice", "sid": "s1" }))
        .await;
    let late = world
        .id_token(0, json!({ "sub": "alice", "sid": "s2" }))
        .await;
    assert_eq!(world.log_out(0, json!({ "sid": "s2" })).await, 200);
    world.store.store().close().await;
    drop(world);
    let world = open().await;
    assert!(world.lives(&tokens).await);
    assert_eq!(world.log_out(0, json!({ "sid": "s1" })).await, 200);
    assert!(!world.lives(&tokens).await);
    let refused = world.complete(&late).await.unwrap_err();
    assert_eq!(refused, SessionErrorKind::LoggedOut);
    drop(world);
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn a_logout_token_without_sid_ends_what_began_before_it() {
    let world = World::new();
    let named = world
        .log_in(60, json!({ "sub": "alice", "sid": "s1" }))
        .await;
    let unnamed = world.log_in(60, json!({ "sub": "alice" })).await;
    let later = world
        .log_in(20, json!({ "sub": "alice", "sid": "s2" }))
        .await;
    let bob = world.log_in(60, json!({ "sub": "bob", "sid": "s3" })).await;
    assert_eq!(world.log_out(30, json!({ "sub": "alice" })).await, 200);
    assert!(!world.lives(&named).await && !world.lives(&unnamed).await);
    assert!(world.lives(&later).await && world.lives(&bob).await);
}

#[tokio::test]
async fn a_logout_token_that_overtakes_the_login_is_not_forgotten() {
    for (logout, id_token) in [
        (
            json!({ "sid": "s1" }),
            json!({ "sub": "alice", "sid": "s1" }),
        ),
        (
            json!({ "sid": "s1", "sub": "alice" }),
            json!({ "sub": "alice", "sid": "s1" }),
        ),
        (
            json!({ "sid": "s1", "sub": "alice" }),
            json!({ "sub": "alice" }),
        ),
        (
            json!({ "sub": "alice" }),
            json!({ "sub": "alice", "sid": "s1" }),
        ),
        (json!({ "sub": "alice" }), json!({ "sub": "alice" })),
    ] {
        let world = World::new();
        let late = world.id_token(30, id_token.clone()).await;
        assert_eq!(world.log_out(20, logout.clone()).await, 200);
        let refused = world.complete(&late).await.unwrap_err();
        assert_eq!(refused, SessionErrorKind::LoggedOut, "{logout} {id_token}");
        let account = world.sessions.subject_named("account of alice");
        assert!(world.sessions.list(&account).await.unwrap().is_empty());
        // A later login is another session there, and is valid.
        let tokens = world
            .log_in(10, json!({ "sub": "alice", "sid": "s2" }))
            .await;
        assert!(world.lives(&tokens).await);
        // It is remembered for an hour.
        world.clock.advance(Duration::from_secs(3599));
        assert!(world.complete(&late).await.is_err());
        world.clock.advance(Duration::from_secs(1));
        assert!(world.complete(&late).await.is_ok());
    }
}

#[tokio::test]
async fn a_failing_store_ends_nothing_and_the_logout_may_be_repeated() {
    let world = World::new();
    let tokens = world
        .log_in(0, json!({ "sub": "alice", "sid": "s1" }))
        .await;
    let late = world
        .id_token(0, json!({ "sub": "alice", "sid": "s1" }))
        .await;
    let login = world
        .sessions
        .begin(&world.sessions.subject_named("alice"))
        .await;
    world.store.fail();
    assert_eq!(world.log_out(0, json!({ "sid": "s1" })).await, 400);
    let refused = world
        .logins
        .complete(login.unwrap(), &late)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), SessionErrorKind::Unavailable);
    world.store.recover();
    assert!(world.lives(&tokens).await);
    assert_eq!(world.log_out(0, json!({ "sid": "s1" })).await, 200);
    assert!(!world.lives(&tokens).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_that_races_the_login_wins() {
    for round in 0..500 {
        let world = World::new();
        let id_token = world
            .id_token(0, json!({ "sub": "alice", "sid": "s1" }))
            .await;
        let login = world
            .sessions
            .begin(&world.sessions.subject_named("alice"))
            .await;
        let logins = world.logins.clone();
        let login = tokio::spawn(async move { logins.complete(login.unwrap(), &id_token).await });
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.log_out(0, json!({ "sid": "s1" })).await, 200);
        if let Ok(tokens) = login.await.unwrap() {
            assert!(!world.lives(&tokens).await);
        }
    }
}
