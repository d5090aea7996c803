//! An acknowledged revocation stays in force as long as documented, also after a restart.
#![cfg(feature = "embedded")]
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test that panics fails"
)]

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::revocation::{Revocation, RevocationStore, TokenIdentity};
use tower_jwt_auth::session::{MAX_GENERATION, SessionStore, Subject, SubjectState};
use tower_jwt_auth::store::{EmbeddedStore, EmbeddedStoreOptions, MemoryStore};

const START: u64 = 1_700_000_000;
const DAY: u64 = 86_400;
const ISSUER: Option<&str> = Some("https://id.example.com");

fn at(seconds: u64) -> NumericDate {
    NumericDate::from_seconds(START.saturating_add(seconds)).unwrap()
}

/// A token of `mallory` from another issuer, without a generation.
fn foreign(issued: u64, expires: u64) -> TokenIdentity<'static> {
    let token = TokenIdentity::new(at(expires)).subject("mallory");
    token.issuer(ISSUER.unwrap()).issued_at(at(issued))
}

fn mallory() -> Subject<'static> {
    Subject::new(ISSUER, "mallory")
}

const BLOCK: Revocation<'static> = Revocation::Block {
    issuer: ISSUER,
    subject: "mallory",
};

/// The directory of a store, which is removed when the test ends, and a clock.
struct World {
    directory: PathBuf,
    clock: ManualClock,
    longest_lifetime: u64,
}

impl World {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tower-jwt-auth-attacks-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        Self {
            directory,
            clock: ManualClock::at(START),
            longest_lifetime: DAY,
        }
    }

    fn set(&self, seconds: u64) {
        self.clock.set(START.saturating_add(seconds));
    }

    async fn open(&self) -> EmbeddedStore {
        EmbeddedStoreOptions::new()
            .clock(self.clock.clone())
            .longest_lifetime(Duration::from_secs(self.longest_lifetime))
            .open(Path::new(&self.directory).join("store"))
            .await
            .unwrap()
    }

    async fn reopen(&self, store: EmbeddedStore) -> EmbeddedStore {
        store.close().await;
        self.open().await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[tokio::test]
async fn k03_a_lower_generation_that_is_held_longer_counts_as_long() {
    let world = World::new();
    let mut store = world.open().await;
    for (generation, until) in [(2, 300), (1, 3600)] {
        let revocation = Revocation::Generation {
            issuer: ISSUER,
            subject: "mallory",
            generation,
            until: at(until),
        };
        store.revoke(&revocation).await.unwrap();
    }
    let token = foreign(0, 3600).generation(0);
    world.set(2000);
    assert_eq!(store.peek(&token), Some(true));
    store = world.reopen(store).await;
    assert_eq!(store.peek(&token), Some(true), "reopened");
    assert_eq!(store.subject(&mallory()).await.unwrap().generation, 2);
}

#[tokio::test]
async fn k03_lifting_a_long_block_revives_no_token_after_a_restart() {
    let world = World::new();
    let mut store = world.open().await;
    store.block(&mallory()).await.unwrap();
    world.set(3 * DAY);
    store.unblock(&mallory()).await.unwrap();
    let token = foreign(3 * DAY - 60, 3 * DAY + 7200);
    world.set(3 * DAY + 3600);
    assert_eq!(store.peek(&token), Some(true));
    store = world.reopen(store).await;
    assert_eq!(store.peek(&token), Some(true), "reopened");
}

#[tokio::test]
async fn k03_lifting_a_block_revives_no_token_that_lives_long_after_a_restart() {
    let mut world = World::new();
    world.longest_lifetime = 30 * DAY;
    let mut store = world.open().await;
    store.block(&mallory()).await.unwrap();
    world.set(3600);
    store.unblock(&mallory()).await.unwrap();
    let token = foreign(0, 29 * DAY);
    world.set(2 * DAY);
    assert_eq!(store.peek(&token), Some(true));
    store = world.reopen(store).await;
    assert_eq!(store.peek(&token), Some(true), "reopened");
}

#[tokio::test]
async fn k03_lifting_a_block_revives_no_token_however_short_the_longest_lifetime() {
    let mut world = World::new();
    world.longest_lifetime = 3600;
    let mut store = world.open().await;
    store.block(&mallory()).await.unwrap();
    world.set(60);
    store.unblock(&mallory()).await.unwrap();
    let token = foreign(0, DAY);
    world.set(2 * 3600);
    assert_eq!(store.peek(&token), Some(true));
    store = world.reopen(store).await;
    assert_eq!(store.peek(&token), Some(true), "reopened");
}

#[tokio::test]
async fn g05_lifting_a_block_revives_nothing_when_the_clock_steps_back_and_after_a_restart() {
    for restart_between in [false, true] {
        for by_revocation in [true, false] {
            let mut world = World::new();
            world.longest_lifetime = 30 * DAY;
            world.set(10 * DAY);
            let mut store = world.open().await;
            if by_revocation {
                store.revoke(&BLOCK).await.unwrap();
            } else {
                store.block(&mallory()).await.unwrap();
            }
            world.set(0);
            if restart_between {
                store = world.reopen(store).await;
            }
            store.unblock(&mallory()).await.unwrap();
            let token = foreign(10 * DAY - 60, 35 * DAY);
            let case = format!("{restart_between} {by_revocation}");
            assert_eq!(store.peek(&token), Some(true), "{case}");
            store = world.reopen(store).await;
            assert_eq!(store.peek(&token), Some(true), "{case}, reopened");
            world.set(32 * DAY);
            assert_eq!(store.peek(&token), Some(true), "{case}, later");
            store = world.reopen(store).await;
            assert_eq!(store.peek(&token), Some(true), "{case}, later, anew");
        }
    }
}

fn up_to(generation: u64) -> Revocation<'static> {
    Revocation::Generation {
        issuer: ISSUER,
        subject: "mallory",
        generation,
        until: at(300),
    }
}

/// The highest generation that is accepted can still be raised.
async fn require_generations_that_can_be_raised<S: SessionStore, E: Display>(
    store: &S,
    revoke: impl AsyncFn(u64) -> Result<(), E>,
) {
    for refused in [MAX_GENERATION + 1, u64::MAX] {
        let error = revoke(refused).await.err().unwrap();
        assert_eq!(error.to_string(), "the generation is larger than 2^52");
        let state = store.subject(&mallory()).await.unwrap();
        assert_eq!(state, SubjectState::default());
    }
    assert!(revoke(MAX_GENERATION).await.is_ok());
    for raised in 1..=3 {
        let generation = store.raise_generation(&mallory()).await.unwrap();
        assert_eq!(generation, MAX_GENERATION + raised);
    }
}

#[tokio::test]
async fn k13_a_generation_that_cannot_be_raised_is_refused() {
    let world = World::new();
    let memory = MemoryStore::with_clock(world.clock.clone());
    let revoke = async |generation| memory.revoke(&up_to(generation));
    require_generations_that_can_be_raised(&memory, revoke).await;
    let store = world.open().await;
    let revoke = async |generation| store.revoke(&up_to(generation)).await;
    require_generations_that_can_be_raised(&store, revoke).await;
}
