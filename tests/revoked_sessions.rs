//! Holds the stores in memory and in a file to end sessions with their revocations. `tests/redis`
//! does so for Redis.
#![cfg(all(
    feature = "embedded",
    any(feature = "aws_lc_rs", feature = "rust_crypto")
))]
#![expect(clippy::unwrap_used, reason = "a test that panics fails")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::revocation::{Revocation, TokenIdentity};
use tower_jwt_auth::session::{
    RefreshKeys, SessionErrorKind, SessionId, SessionStore, Sessions, TokenPair,
};
use tower_jwt_auth::store::{EmbeddedStore, EmbeddedStoreOptions, MemoryStore};

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://id.example.com";
trait Store: SessionStore + Clone {
    async fn revoke(&self, revocation: &Revocation<'_>);
}

impl Store for MemoryStore {
    async fn revoke(&self, revocation: &Revocation<'_>) {
        MemoryStore::revoke(self, revocation).unwrap();
    }
}

impl Store for EmbeddedStore {
    async fn revoke(&self, revocation: &Revocation<'_>) {
        EmbeddedStore::revoke(self, revocation).await.unwrap();
    }
}

/// A store, and a service over it.
struct World<S> {
    clock: ManualClock,
    store: S,
    sessions: Sessions<S>,
    file: Option<PathBuf>,
}

impl<S: Store> World<S> {
    fn new(clock: ManualClock, store: S, file: Option<PathBuf>) -> Self {
        let key = SigningKey::from_secret(Algorithm::HS256, [1; 32]).unwrap();
        let sessions = Sessions::new(store.clone(), key, RefreshKeys::new([2; 32]).unwrap())
            .issuer(ISSUER)
            .clock(clock.clone());
        Self {
            clock,
            store,
            sessions,
            file,
        }
    }

    fn now(&self) -> NumericDate {
        self.clock.now().into()
    }

    fn later(&self, seconds: u64) -> NumericDate {
        NumericDate::from_seconds(self.now().seconds().saturating_add(seconds)).unwrap()
    }

    /// Earlier than any token that is alive.
    fn long_ago() -> NumericDate {
        NumericDate::from_seconds(NOW.saturating_sub(1000)).unwrap()
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn refused(&self, tokens: &TokenPair) -> SessionErrorKind {
        let refreshed = self.sessions.refresh(&tokens.refresh_token).await;
        refreshed.unwrap_err().kind()
    }

    /// What the store says of an access token with this `sid` and `exp`.
    fn is_dead(&self, issuer: &str, sid: SessionId, expires_at: NumericDate) -> bool {
        let sid = sid.to_string();
        let token = TokenIdentity::new(expires_at).issuer(issuer).jti("some");
        self.store.peek(&token.sid(&sid)).unwrap()
    }

    /// What the store says of an access token of alice's of that generation, that counts for 5
    /// minutes after the start.
    fn is_dead_of_generation(&self, generation: u64) -> bool {
        let expires_at = NumericDate::from_seconds(NOW.saturating_add(300)).unwrap();
        let token = TokenIdentity::new(expires_at).issuer(ISSUER).jti("some");
        let token = token.subject("alice").issued_at(self.now());
        self.store.peek(&token.generation(generation)).unwrap()
    }

    /// Gives the store occasion to drop what is old.
    async fn stir(&self) {
        for _ in 0..20 {
            let tokens = self
                .sessions
                .login(&self.sessions.subject_named("stranger"))
                .await
                .unwrap();
            self.sessions.logout(&tokens.refresh_token).await.unwrap();
        }
    }
}

impl<S> Drop for World<S> {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(file);
        }
    }
}

async fn in_memory() -> World<MemoryStore> {
    let clock = ManualClock::at(NOW);
    let store = MemoryStore::with_clock(clock.clone());
    World::new(clock, store, None)
}

async fn in_a_file() -> World<EmbeddedStore> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("revoked-sessions-{}-{number}", std::process::id());
    let file = std::env::temp_dir().join(name);
    let clock = ManualClock::at(NOW);
    let store = EmbeddedStoreOptions::new().clock(clock.clone()).open(&file);
    World::new(clock, store.await.unwrap(), Some(file))
}

/// Runs each test over each store.
macro_rules! tests {
    ($($test:ident,)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test(async || super::in_memory().await).await;
            })*
        }

        mod embedded {
            $(#[tokio::test]
            async fn $test() {
                super::$test(async || super::in_a_file().await).await;
            })*
        }
    };
}

tests! {
    a_session_that_was_revoked_can_never_be_renewed,
    revoking_a_session_of_another_issuer_leaves_ours_alone,
    a_block_holds_for_login_and_renewal,
    a_block_raises_the_generation_whoever_blocked_first,
    a_generation_ends_the_sessions_before_it,
    a_logout_of_a_lost_session_ends_its_access_tokens,
    a_second_logout_lengthens_no_revocation,
    a_clock_that_stepped_back_before_a_token_comes_again_does_not_lengthen_the_grace,
}

async fn a_session_that_was_revoked_can_never_be_renewed<S: Store>(
    make: impl AsyncFn() -> World<S>,
) {
    let world = make().await;
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let other = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let expires_at = world.later(300);
    // Too early for the access token: the store knows better.
    world
        .store
        .revoke(&Revocation::Session {
            issuer: Some(ISSUER),
            sid: &tokens.sid.to_string(),
            until: World::<S>::long_ago(),
        })
        .await;
    assert!(world.is_dead(ISSUER, tokens.sid, expires_at));
    assert_eq!(world.refused(&tokens).await, SessionErrorKind::Ended);
    assert_eq!(
        world
            .sessions
            .list(&world.sessions.subject_named("alice"))
            .await
            .unwrap()
            .len(),
        1
    );
    world.advance(599);
    world.stir().await;
    assert!(world.is_dead(ISSUER, tokens.sid, expires_at));
    // The entry is gone, and the session stays dead.
    world.advance(86_400);
    world.stir().await;
    assert_eq!(world.refused(&tokens).await, SessionErrorKind::Ended);
    world.sessions.refresh(&other.refresh_token).await.unwrap();
}

async fn revoking_a_session_of_another_issuer_leaves_ours_alone<S: Store>(
    make: impl AsyncFn() -> World<S>,
) {
    let world = make().await;
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    for issuer in [None, Some("https://elsewhere.example.com")] {
        world
            .store
            .revoke(&Revocation::Session {
                issuer,
                sid: &tokens.sid.to_string(),
                until: world.later(300),
            })
            .await;
    }
    assert!(!world.is_dead(ISSUER, tokens.sid, world.later(300)));
    world.sessions.refresh(&tokens.refresh_token).await.unwrap();
}

const BLOCK: Revocation<'static> = Revocation::Block {
    issuer: Some(ISSUER),
    subject: "alice",
};

async fn a_block_holds_for_login_and_renewal<S: Store>(make: impl AsyncFn() -> World<S>) {
    let world = make().await;
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    world.store.revoke(&BLOCK).await;
    let login = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap_err();
    assert_eq!(login.kind(), SessionErrorKind::Blocked);
    assert!(world.sessions.refresh(&tokens.refresh_token).await.is_err());
    world
        .sessions
        .unblock(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    // Lifting it revives nothing, and lets in who logs in again.
    assert!(world.sessions.refresh(&tokens.refresh_token).await.is_err());
    assert!(world.is_dead_of_generation(0));
    let again = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    world.sessions.refresh(&again.refresh_token).await.unwrap();
}

async fn a_block_raises_the_generation_whoever_blocked_first<S: Store>(
    make: impl AsyncFn() -> World<S>,
) {
    let world = make().await;
    let pending = world
        .sessions
        .begin(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    world.store.revoke(&BLOCK).await;
    world
        .sessions
        .block(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    world
        .sessions
        .unblock(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let completed = world.sessions.complete(pending).await.unwrap_err();
    assert_eq!(completed.kind(), SessionErrorKind::LoggedOut);
}

async fn a_generation_ends_the_sessions_before_it<S: Store>(make: impl AsyncFn() -> World<S>) {
    let world = make().await;
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let raise = async |until| {
        let revocation = Revocation::Generation {
            issuer: Some(ISSUER),
            subject: "alice",
            generation: 1,
            until,
        };
        world.store.revoke(&revocation).await;
    };
    raise(World::<S>::long_ago()).await;
    assert!(world.is_dead_of_generation(0));
    assert!(world.sessions.refresh(&tokens.refresh_token).await.is_err());
    world.advance(599);
    world.stir().await;
    assert!(world.is_dead_of_generation(0));
    // A login afterwards is of that generation. The same revocation again does not end it.
    let after = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    raise(world.later(3600)).await;
    let after = world.sessions.refresh(&after.refresh_token).await.unwrap();
    assert!(!world.is_dead_of_generation(1));
    raise(world.now()).await;
    world.sessions.refresh(&after.refresh_token).await.unwrap();
}

async fn a_logout_of_a_lost_session_ends_its_access_tokens<S: Store>(
    make: impl AsyncFn() -> World<S>,
) {
    const DAY: u64 = 86_400;
    let lost = make().await;
    let first = lost
        .sessions
        .login(&lost.sessions.subject_named("alice"))
        .await
        .unwrap();
    let second = lost
        .sessions
        .login(&lost.sessions.subject_named("alice"))
        .await
        .unwrap();
    // The same service, with a store that has lost everything.
    let world = make().await;
    world.sessions.logout(&first.refresh_token).await.unwrap();
    world.sessions.end_session(second.sid).await.unwrap();
    for sid in [first.sid, second.sid] {
        assert!(world.is_dead(ISSUER, sid, world.later(300)));
        assert!(!world.is_dead("https://elsewhere.example.com", sid, world.later(300)));
    }
    // A token may live for a day, whatever the service is set to by now.
    let longest = world.later(DAY);
    world.advance(DAY / 2);
    world.sessions.logout(&first.refresh_token).await.unwrap();
    world.advance(DAY / 2);
    world.stir().await;
    assert!(world.is_dead(ISSUER, first.sid, longest));
    // The second logout has lengthened nothing.
    world.advance(301);
    assert!(!world.is_dead(ISSUER, first.sid, world.later(DAY)));
    // A token that an outsider makes up costs no entry: it is refused.
    let forged = format!("{}A", &second.refresh_token[1..]);
    let refused = world.sessions.logout(&forged).await.unwrap_err();
    assert_eq!(refused.kind(), SessionErrorKind::InvalidToken);
}

async fn a_second_logout_lengthens_no_revocation<S: Store>(make: impl AsyncFn() -> World<S>) {
    let world = make().await;
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let expires_at = world.later(300);
    for _ in 0..3 {
        world.sessions.logout(&tokens.refresh_token).await.unwrap();
        world.sessions.end_session(tokens.sid).await.unwrap();
    }
    world.advance(300);
    assert!(world.is_dead(ISSUER, tokens.sid, expires_at));
    world.advance(301);
    assert!(!world.is_dead(ISSUER, tokens.sid, world.later(3600)));
}

async fn a_clock_that_stepped_back_before_a_token_comes_again_does_not_lengthen_the_grace<
    S: Store,
>(
    make: impl AsyncFn() -> World<S>,
) {
    let world = make().await;
    world.advance(3600);
    let first = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let second = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    for tokens in [&first, &second] {
        world.sessions.refresh(&tokens.refresh_token).await.unwrap();
    }
    // Less than the grace period: it starts from the current time of the clock.
    world.clock.step_back(Duration::from_secs(5));
    world.sessions.refresh(&first.refresh_token).await.unwrap();
    world.advance(10);
    assert_eq!(world.refused(&first).await, SessionErrorKind::ReuseDetected);
    // More than the grace period: the time since the refresh is unknown.
    world.clock.step_back(Duration::from_secs(3600));
    assert_eq!(
        world.refused(&second).await,
        SessionErrorKind::ReuseDetected
    );
}
