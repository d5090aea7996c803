//! Holds the set of revocations to its rules: what is revoked, until when, and what happens when it
//! is full.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test that panics fails"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use proptest::collection::vec;
use proptest::prelude::*;
use tower_jwt_auth::Verifier;
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::clock::{Clock, ManualClock};
use tower_jwt_auth::revocation::{
    FingerprintKey, Revocation, RevocationSet, RevocationSetFull, RevocationStore, TokenIdentity,
};
use tower_jwt_auth::store::MemoryStore;

const NOW: u64 = 1_800_000_000;
/// Less than by default, so that there is less to wait for.
const LEEWAY: u64 = 30;

fn new_set() -> RevocationSet {
    RevocationSet::new().leeway(Duration::from_secs(LEEWAY))
}
const HOUR: u64 = 3600;
const ISSUER: &str = "https://id.example.com";

fn at(seconds: u64) -> NumericDate {
    NumericDate::from_seconds(seconds).unwrap()
}

fn exactly(seconds: f64) -> NumericDate {
    serde_json::from_value(serde_json::json!(seconds)).unwrap()
}

fn set() -> (RevocationSet, ManualClock) {
    let clock = ManualClock::at(NOW);
    (new_set().clock(clock.clone()), clock)
}

fn token(expires_at: u64) -> TokenIdentity<'static> {
    TokenIdentity::new(at(expires_at)).issuer(ISSUER)
}

fn revoke_token(set: &RevocationSet, token: &TokenIdentity<'_>) {
    set.revoke(&Revocation::of_token(token).unwrap()).unwrap();
}

fn session(sid: &str, until: u64) -> Revocation<'_> {
    Revocation::Session {
        issuer: Some(ISSUER),
        sid,
        until: at(until),
    }
}

fn generation(subject: &str, generation: u64, until: u64) -> Revocation<'_> {
    Revocation::Generation {
        issuer: Some(ISSUER),
        subject,
        generation,
        until: at(until),
    }
}

fn cutoff(subject: &str, issued_at: u64, until: u64) -> Revocation<'_> {
    Revocation::Cutoff {
        issuer: Some(ISSUER),
        subject,
        issued_at: at(issued_at),
        until: at(until),
    }
}

fn block(subject: &str) -> Revocation<'_> {
    Revocation::Block {
        issuer: Some(ISSUER),
        subject,
    }
}

#[test]
fn k02_no_verifier_has_a_larger_leeway() {
    assert_eq!(RevocationSet::DEFAULT_LEEWAY, Verifier::MAX_LEEWAY);
}

#[test]
fn k01_only_what_was_revoked_is_revoked() {
    let (set, _) = set();
    let revoked = token(NOW + 300).jti("a");
    revoke_token(&set, &revoked);
    assert!(set.is_revoked(&revoked));
    assert!(set.is_revoked(&revoked.sid("s").subject("u").generation(9)));
    for other in [
        token(NOW + 300).jti("b"),
        token(NOW + 300).sid("a").subject("a"),
        token(NOW + 300),
        TokenIdentity::new(at(NOW + 300)).jti("a"),
        revoked.issuer("https://id.example.org"),
        revoked.issuer(""),
    ] {
        assert!(!set.is_revoked(&other));
    }
}

#[test]
fn ids_of_other_kinds_and_no_issuer_are_told_apart() {
    let (set, _) = set();
    let bare = TokenIdentity::new(at(NOW + 300));
    let no_issuer = Revocation::Session {
        issuer: None,
        sid: "a",
        until: at(NOW + 300),
    };
    set.revoke(&no_issuer).unwrap();
    assert!(set.is_revoked(&bare.sid("a")));
    assert!(!set.is_revoked(&bare.jti("a").subject("a")));
    assert!(!set.is_revoked(&bare.issuer("").sid("a")));
    let no_issuer = Revocation::Block {
        issuer: None,
        subject: "a",
    };
    set.revoke(&no_issuer).unwrap();
    assert!(set.is_revoked(&bare.subject("a")));
    assert!(!set.is_revoked(&bare.issuer("").subject("a")));
    assert!(!set.is_revoked(&bare.jti("a").sid("b")));
}

#[test]
fn f04_the_id_decides_and_not_the_bytes() {
    // What a look-up is given of a token and of its twin with the other signature.
    let (set, _) = set();
    revoke_token(&set, &token(NOW + 300).jti("a").subject("u"));
    assert!(set.is_revoked(&token(NOW + 300).jti("a").subject("u")));
}

#[test]
fn k02_a_token_is_held_until_it_is_dead() {
    for (expires_at, last) in [
        (at(NOW + 300), NOW + 300 + LEEWAY - 1),
        // The first and the last second of a bucket, and fractions.
        (at(NOW + 320), NOW + 320 + LEEWAY - 1),
        (at(NOW + 319), NOW + 319 + LEEWAY - 1),
        (exactly((NOW + 319) as f64 + 0.75), NOW + 319 + LEEWAY),
        (exactly((NOW + 320) as f64 + 0.5), NOW + 320 + LEEWAY),
    ] {
        let (set, clock) = set();
        let id = TokenIdentity::new(expires_at).issuer(ISSUER).jti("a");
        revoke_token(&set, &id);
        for now in NOW..=last {
            clock.set(now);
            set.prune();
            assert!(set.is_revoked(&id));
            assert_eq!(set.state().tokens, 1, "{now}");
        }
        // Its neighbours that are not revoked die by their own `exp`.
        let alive = TokenIdentity::new(expires_at).issuer(ISSUER).jti("b");
        assert!(!set.is_revoked(&alive));
        clock.set(last + 70);
        set.prune();
        assert_eq!(set.state().tokens, 0);
        assert!(set.is_revoked(&id));
    }
}

#[test]
fn k02_pruning_touches_no_living_token() {
    let (set, clock) = set();
    for expires_at in NOW + 1..NOW + 400 {
        revoke_token(&set, &token(expires_at).jti("revoked"));
    }
    for now in NOW..NOW + 550 {
        clock.set(now);
        set.prune();
        for expires_at in NOW + 1..NOW + 400 {
            assert!(set.is_revoked(&token(expires_at).jti("revoked")));
            if now < expires_at + LEEWAY {
                assert!(!set.is_revoked(&token(expires_at).jti("alive")), "{now}");
            }
        }
    }
    assert_eq!(set.state().tokens, 0);
}

#[test]
fn k02_tokens_that_live_for_years_are_held_too() {
    let (set, clock) = set();
    let far: Vec<_> = [80, 24 * 30, 24 * 365 * 20, 24 * 365 * 7000]
        .map(|hours| token(NOW + hours * HOUR).jti("a"))
        .into();
    let empty = set.state().heap_bytes;
    for (index, id) in far.iter().enumerate() {
        let jti = index.to_string();
        revoke_token(&set, &id.jti(&jti));
    }
    assert!(set.state().heap_bytes < empty + 4096);
    for now in [NOW, NOW + 79 * HOUR, NOW + 24 * 300 * HOUR] {
        clock.set(now);
        set.prune();
        for (index, id) in far.iter().enumerate() {
            let jti = index.to_string();
            assert!(set.is_revoked(&id.jti(&jti)), "{index} at {now}");
        }
        assert!(!set.is_revoked(&far[3]));
    }
    assert_eq!(set.state().tokens, 2);
    // Revoked while far, looked up while near, and revoked once more.
    let (set, clock) = self::set();
    revoke_token(&set, &far[0]);
    clock.advance(Duration::from_secs(40 * HOUR));
    assert!(set.is_revoked(&far[0]));
    revoke_token(&set, &far[0]);
    assert!(set.is_revoked(&far[0]));
}

#[test]
fn k01_growth_and_crowding_lose_nothing() {
    let (set, _) = set();
    let id = token(NOW + 300).issued_at(at(NOW));
    for number in 0..5000 {
        let name = number.to_string();
        // Odd bounds and even ones.
        let until = NOW + 300 + number % 7;
        revoke_token(&set, &id.jti(&name));
        set.revoke(&session(&name, until)).unwrap();
        set.revoke(&cutoff(&name, NOW, until)).unwrap();
    }
    for number in 0..5000 {
        let name = number.to_string();
        assert!(set.is_revoked(&id.jti(&name)), "{number}");
        assert!(set.is_revoked(&id.sid(&name)), "{number}");
        assert!(set.is_revoked(&id.subject(&name)), "{number}");
        let name = format!("x{number}");
        assert!(!set.is_revoked(&id.jti(&name).sid(&name).subject(&name)));
    }
    let state = set.state();
    assert_eq!(
        (state.tokens, state.sessions, state.cutoffs),
        (5000, 5000, 5000)
    );
}

#[test]
fn k01_buckets_that_share_a_place_in_the_ring_are_told_apart() {
    // 4096 buckets of 64 seconds.
    let around = 4096 * 64;
    let (set, clock) = set();
    let near = token(NOW + 300).jti("a");
    let next = token(NOW + 300 + around).jti("b");
    revoke_token(&set, &near);
    assert!(!set.is_revoked(&token(NOW + 300 + around).jti("a")));
    assert!(!set.is_revoked(&token(NOW + 300 - around).jti("a")));
    // Nothing was pruned, the clock is ahead of the place and then behind it: it is taken.
    clock.advance(Duration::from_secs(300 + LEEWAY - 1));
    revoke_token(&set, &next);
    for now in [NOW, NOW + 300 + LEEWAY - 1] {
        clock.set(now);
        assert!(set.is_revoked(&near) && set.is_revoked(&next));
    }
}

#[test]
fn k03_generations_let_the_next_login_in_within_the_second() {
    let (set, _) = set();
    set.revoke(&generation("u", 3, NOW + 300)).unwrap();
    let id = token(NOW + 300).subject("u").issued_at(at(NOW));
    assert!(set.is_revoked(&id.generation(0)));
    assert!(set.is_revoked(&id.generation(2)));
    assert!(!set.is_revoked(&id.generation(3)));
    assert!(!set.is_revoked(&id.generation(4)));
    // One without is of generation 0, however late it was issued.
    assert!(set.is_revoked(&id.issued_at(at(NOW + 9))));
    // Not those of others.
    assert!(!set.is_revoked(&token(NOW + 300).subject("v").issued_at(at(NOW))));
    assert!(!set.is_revoked(&id.issuer("other")));

    set.revoke(&generation("u", 2, NOW + 300)).unwrap();
    assert!(set.is_revoked(&id.generation(2)), "generations only rise");
    set.revoke(&generation("u", 4, NOW + 300)).unwrap();
    assert!(set.is_revoked(&id.generation(3)));
    assert_eq!(set.state().generations, 1);
}

/// A cutoff revokes the tokens that it names, whatever else applies to their subject.
#[test]
fn k03_no_generation_exempts_a_token_from_a_cutoff() {
    let (set, clock) = set();
    let id = token(NOW + 900).subject("u");
    set.revoke(&generation("u", 3, NOW + 900)).unwrap();
    assert!(!set.is_revoked(&id.generation(3).issued_at(at(NOW))));
    clock.advance(Duration::from_secs(60));
    set.revoke(&cutoff("u", NOW + 60, NOW + 900)).unwrap();
    for generation in [3, 4, u64::MAX] {
        let id = id.generation(generation);
        assert!(set.is_revoked(&id), "without iat");
        assert!(set.is_revoked(&id.issued_at(at(NOW))));
        assert!(set.is_revoked(&id.issued_at(exactly((NOW + 60) as f64 + 0.9))));
        assert!(!set.is_revoked(&id.issued_at(at(NOW + 61))));
    }
    // In the other order too, and beside a block that was lifted.
    set.revoke(&cutoff("v", NOW + 60, NOW + 900)).unwrap();
    set.revoke(&block("v")).unwrap();
    assert_eq!(set.lift_block_by_generation(Some(ISSUER), "v", 2), Ok(true));
    let id = token(NOW + 900).subject("v").generation(2);
    assert!(set.is_revoked(&id.issued_at(at(NOW + 60))));
    assert!(!set.is_revoked(&id.issued_at(at(NOW + 61))));
}

#[test]
fn k03_a_generation_of_0_kills_nothing_and_exempts_nothing() {
    let (set, _) = set();
    set.revoke(&generation("u", 0, NOW + 300)).unwrap();
    set.revoke(&cutoff("u", NOW, NOW + 300)).unwrap();
    let id = token(NOW + 300).subject("u").generation(0);
    assert!(set.is_revoked(&id.issued_at(at(NOW))));
    assert!(!set.is_revoked(&id.issued_at(at(NOW + 1))));
}

#[test]
fn k03_a_cutoff_kills_its_whole_second() {
    let (set, _) = set();
    set.revoke(&cutoff("u", NOW, NOW + 300)).unwrap();
    let id = token(NOW + 300).subject("u");
    assert!(set.is_revoked(&id), "without iat");
    assert!(set.is_revoked(&id.issued_at(at(NOW - 1))));
    assert!(set.is_revoked(&id.issued_at(at(NOW))));
    assert!(set.is_revoked(&id.issued_at(exactly(NOW as f64 + 0.9))));
    assert!(!set.is_revoked(&id.issued_at(at(NOW + 1))));
    // No generation was raised, so one that is carried says nothing.
    assert!(set.is_revoked(&id.issued_at(at(NOW)).generation(7)));

    set.revoke(&cutoff("u", NOW - 100, NOW + 300)).unwrap();
    assert!(
        set.is_revoked(&id.issued_at(at(NOW))),
        "the later one counts"
    );
    set.revoke(&cutoff("u", NOW + 5, NOW + 300)).unwrap();
    assert!(set.is_revoked(&id.issued_at(at(NOW + 5))));
    assert_eq!(set.state().cutoffs, 1);
}

#[test]
fn k03_what_is_judged_by_generation_is_still_blocked() {
    let (set, _) = set();
    set.revoke(&generation("u", 1, NOW + 300)).unwrap();
    set.revoke(&block("u")).unwrap();
    let id = token(NOW + 300).subject("u").generation(1);
    assert!(set.is_revoked(&id.issued_at(at(NOW + 9))));
}

#[test]
fn k04_what_is_held_for_a_subject_outlives_the_rest() {
    let (set, clock) = set();
    let long = NOW + 20 * HOUR;
    set.revoke(&generation("g", 2, long)).unwrap();
    set.revoke(&cutoff("c", NOW, long)).unwrap();
    set.revoke(&session("s", long)).unwrap();
    set.revoke(&block("b")).unwrap();
    // A shorter one does not shorten it.
    set.revoke(&generation("g", 2, NOW + 10)).unwrap();
    set.revoke(&cutoff("c", NOW, NOW + 10)).unwrap();
    set.revoke(&session("s", NOW + 10)).unwrap();
    let id = token(long).issued_at(at(NOW));
    let all = [
        id.subject("g").generation(1),
        id.subject("c"),
        id.sid("s"),
        id.subject("b"),
    ];
    for minute in 0..20 * 60 {
        clock.set(NOW + minute * 60);
        for number in 0..50 {
            let name = format!("{minute}.{number}");
            set.revoke(&session(&name, NOW + minute * 60 + 40)).unwrap();
            set.revoke(&generation(&name, 1, NOW + minute * 60 + 40))
                .unwrap();
        }
        if minute % 7 == 0 {
            set.prune();
        }
        for (index, id) in all.iter().enumerate() {
            assert!(set.is_revoked(id), "{index} in minute {minute}");
        }
    }
    clock.set(long + LEEWAY - 1);
    set.prune();
    assert!(all.iter().all(|id| set.is_revoked(id)));
    let state = set.state();
    assert_eq!(
        (state.sessions, state.generations, state.cutoffs),
        (1, 1, 1)
    );
    // Behind that only the block is held, and what has expired is forgotten.
    clock.set(long + LEEWAY);
    set.prune();
    let state = set.state();
    assert_eq!(
        (state.sessions, state.generations, state.cutoffs),
        (0, 0, 0)
    );
    assert_eq!(state.blocks, 1);
    let later = token(long + HOUR).issued_at(at(NOW));
    assert!(set.is_revoked(&later.subject("b")));
    assert!(!set.is_revoked(&later.subject("c").sid("s")));
}

#[test]
fn an_expired_entry_revokes_only_its_tokens_pruned_or_not() {
    let (set, clock) = set();
    set.revoke(&cutoff("u", NOW, NOW + 300)).unwrap();
    set.revoke(&session("s", NOW + 300)).unwrap();
    let own = token(NOW + 300).issued_at(at(NOW));
    let later = token(NOW + 301).issued_at(at(NOW));
    clock.set(NOW + 300 + LEEWAY - 1);
    assert!(set.is_revoked(&later.subject("u")) && set.is_revoked(&later.sid("s")));
    clock.set(NOW + 300 + LEEWAY);
    for _ in 0..2 {
        assert!(set.is_revoked(&own.subject("u")) && set.is_revoked(&own.sid("s")));
        assert!(!set.is_revoked(&later.subject("u")) && !set.is_revoked(&later.sid("s")));
        set.prune();
    }
}

#[test]
fn lifting_revives_nothing() {
    let (set, clock) = set();
    assert!(!set.lift_block(Some(ISSUER), "u"));
    set.revoke(&generation("u", 1, NOW + 300)).unwrap();
    set.revoke(&block("u")).unwrap();
    clock.advance(Duration::from_secs(100));
    let now = NOW + 100;
    let id = token(now + 900).subject("u");
    assert!(set.is_revoked(&id.issued_at(at(now + 50)).generation(8)));
    assert!(!set.lift_block(None, "u"));
    assert!(set.lift_block(Some(ISSUER), "u"));
    assert!(!set.lift_block(Some(ISSUER), "u"));
    for id in [id.generation(1), id.generation(8)] {
        assert!(set.is_revoked(&id));
        assert!(set.is_revoked(&id.issued_at(at(NOW - 10))));
        assert!(set.is_revoked(&id.issued_at(at(now))));
        assert!(!set.is_revoked(&id.issued_at(at(now + 1))));
    }
    // It is remembered for as long as tokens live.
    let late = token(now + 24 * HOUR).subject("u").issued_at(at(now));
    clock.set(now + 24 * HOUR + LEEWAY - 1);
    set.prune();
    assert!(set.is_revoked(&late));
    clock.advance(Duration::from_secs(2));
    set.prune();
    assert_eq!(set.state().blocks, 0);
    assert!(set.is_revoked(&late));
    // Blocked again, it is in force. Lifted again, the later cutoff applies.
    set.revoke(&block("u")).unwrap();
    clock.advance(Duration::from_secs(9));
    let now = now + 24 * HOUR + LEEWAY + 10;
    set.lift_block(Some(ISSUER), "u");
    set.revoke(&block("u")).unwrap();
    let id = token(now + 300).subject("u");
    assert!(set.is_revoked(&id.issued_at(at(now + 100))));
    set.lift_block(Some(ISSUER), "u");
    assert!(set.is_revoked(&id.issued_at(at(now))));
    assert!(!set.is_revoked(&id.issued_at(at(now + 1))));
}

#[test]
fn lifting_revives_nothing_when_the_clock_steps_back() {
    let (set, clock) = set();
    set.revoke(&block("u")).unwrap();
    clock.step_back(Duration::from_secs(HOUR));
    set.lift_block(Some(ISSUER), "u");
    let id = token(NOW + 300).subject("u");
    assert!(set.is_revoked(&id.issued_at(at(NOW))));
    assert!(!set.is_revoked(&id.issued_at(at(NOW + 1))));
}

#[test]
fn k03_lifting_by_generation_lets_the_next_login_in_within_the_second() {
    let (set, _) = set();
    assert_eq!(
        set.lift_block_by_generation(Some(ISSUER), "u", 2),
        Ok(false)
    );
    assert_eq!(set.state().entries(), 0);
    set.revoke(&block("u")).unwrap();
    assert_eq!(set.lift_block_by_generation(Some(ISSUER), "u", 2), Ok(true));
    let id = token(NOW + 300).subject("u").issued_at(at(NOW));
    assert!(set.is_revoked(&id.generation(1)));
    assert!(!set.is_revoked(&id.generation(2)));
    assert!(set.is_revoked(&id), "without a generation");
    // A block that was lifted otherwise later on has its cutoff.
    set.revoke(&block("u")).unwrap();
    assert!(set.is_revoked(&id.generation(2)));
    assert!(set.lift_block(Some(ISSUER), "u"));
    assert!(set.is_revoked(&id.generation(2)));
}

#[test]
fn g05_what_was_pruned_stays_revoked_when_the_clock_steps_back() {
    let (set, clock) = set();
    let id = token(NOW + 300)
        .subject("u")
        .sid("s")
        .jti("a")
        .issued_at(at(NOW));
    let short = token(NOW + 300).issued_at(at(NOW));
    revoke_token(&set, &short.jti("a"));
    set.revoke(&session("s", NOW + 300)).unwrap();
    set.revoke(&generation("g", 1, NOW + 300)).unwrap();
    set.revoke(&cutoff("c", NOW, NOW + 300)).unwrap();
    let all = [
        id,
        short.jti("a"),
        short.sid("s"),
        short.subject("g"),
        short.subject("c"),
    ];
    clock.advance(Duration::from_secs(HOUR));
    set.prune();
    assert_eq!(set.state().entries(), 0);
    clock.step_back(Duration::from_secs(HOUR));
    assert!(all.iter().all(|id| set.is_revoked(id)));
    assert!(set.state().horizon.unwrap() >= at(NOW + 300));
    // The horizon is no farther ahead than the dropped entries.
    assert!(!set.is_revoked(&token(NOW + 400).jti("a")));
    // Writes go on, and pruning drops nothing that is in force by the clock as it is.
    revoke_token(&set, &token(NOW + 400).jti("b"));
    set.prune();
    assert!(set.is_revoked(&token(NOW + 400).jti("b")));
    clock.set(0);
    set.prune();
    revoke_token(&set, &token(NOW + 400).jti("c"));
    assert!(set.is_revoked(&token(NOW + 400).jti("c")));
    assert!(set.is_revoked(&token(NOW + 400).jti("b")));
}

#[test]
fn g05_each_kind_raises_the_horizon() {
    let revocations: [(Revocation<'_>, TokenIdentity<'_>); 5] = [
        (
            Revocation::of_token(&token(NOW + 300).jti("a")).unwrap(),
            token(NOW + 300).jti("a"),
        ),
        (
            Revocation::of_token(&token(NOW + 100 * HOUR).jti("a")).unwrap(),
            token(NOW + 100 * HOUR).jti("a"),
        ),
        (session("s", NOW + 300), token(NOW + 300).sid("s")),
        (generation("u", 1, NOW + 300), token(NOW + 300).subject("u")),
        (cutoff("u", NOW, NOW + 300), token(NOW + 300).subject("u")),
    ];
    for (revocation, id) in revocations {
        // Dropped by pruning, by later writes, and dead on arrival.
        for way in 0..3 {
            let (set, clock) = set();
            if way < 2 {
                set.revoke(&revocation).unwrap();
            }
            clock.advance(Duration::from_secs(101 * HOUR));
            match way {
                0 => set.prune(),
                1 => (0..300_u64).for_each(|number| {
                    let jti = number.to_string();
                    revoke_token(&set, &token(NOW + 102 * HOUR).jti(&jti));
                }),
                _ => set.revoke(&revocation).unwrap(),
            }
            let held = if way == 1 { 300 } else { 0 };
            assert_eq!(set.state().entries(), held, "{revocation:?} {way}");
            clock.step_back(Duration::from_secs(101 * HOUR));
            assert!(set.is_revoked(&id), "{revocation:?} {way}");
        }
    }
}

#[test]
fn g05_a_clock_that_stands_before_the_epoch_drops_nothing() {
    struct Stepping(AtomicBool);
    impl Clock for Stepping {
        fn now(&self) -> SystemTime {
            match self.0.load(Ordering::SeqCst) {
                true => SystemTime::UNIX_EPOCH - Duration::from_secs(1),
                false => SystemTime::UNIX_EPOCH + Duration::from_secs(NOW),
            }
        }
    }
    let clock = Arc::new(Stepping(AtomicBool::new(false)));
    let set = new_set().clock(Arc::clone(&clock));
    set.revoke(&block("u")).unwrap();
    clock.0.store(true, Ordering::SeqCst);
    revoke_token(&set, &token(NOW + 300).jti("a"));
    set.revoke(&session("s", NOW + 300)).unwrap();
    set.prune();
    set.lift_block(Some(ISSUER), "u");
    for _ in 0..2 {
        assert!(set.is_revoked(&token(NOW + 300).jti("a")));
        assert!(set.is_revoked(&token(NOW + 300).sid("s")));
        let id = token(NOW + 300).subject("u");
        assert!(set.is_revoked(&id.issued_at(at(NOW))));
        assert_eq!(set.state().horizon, None);
        clock.0.store(false, Ordering::SeqCst);
    }
}

#[test]
fn k09_revoking_twice_changes_nothing() {
    let clock = ManualClock::at(NOW);
    let store = MemoryStore::with(new_set().clock(clock.clone()), clock.clone());
    let id = token(NOW + 300).jti("a").sid("s").subject("u");
    let all = [
        Revocation::of_token(&id).unwrap(),
        Revocation::of_session(&id, at(NOW + 100)).unwrap(),
        generation("u", 1, NOW + 300),
        cutoff("u", NOW, NOW + 300),
        Revocation::of_subject(&id).unwrap(),
    ];
    for revocation in &all {
        store.revoke(revocation).unwrap();
    }
    let state = store.revocations();
    assert_eq!(state.entries(), 5);
    for revocation in all.iter().rev().chain(&all) {
        store.clone().revoke(revocation).unwrap();
    }
    assert_eq!(store.revocations(), state);
    assert_eq!(store.peek(&id), Some(true));
    // What has expired is revoked as it is: nothing is added.
    clock.advance(Duration::from_secs(HOUR));
    store.prune();
    // The block, and the generation that it raised, which lasts a day.
    assert_eq!(store.revocations().entries(), 2);
    for revocation in &all[..4] {
        store.revoke(revocation).unwrap();
    }
    assert_eq!(store.revocations().entries(), 2);
    assert_eq!(store.peek(&id), Some(true));
}

#[test]
fn k12_an_hour_of_churn_leaves_nothing_behind() {
    let (set, clock) = set();
    let per_second = if cfg!(debug_assertions) { 20 } else { 400 };
    let mut most = (0, 0);
    let mut warm = (0, 0);
    for second in 0..HOUR {
        clock.set(NOW + second);
        for number in 0..per_second {
            let name = format!("{second}.{number}");
            let until = NOW + second + 300;
            match number % 4 {
                0 => set.revoke(&session(&name, until)).unwrap(),
                1 if number % 8 == 1 => set.revoke(&generation(&name, 1, until)).unwrap(),
                1 => {
                    set.revoke(&block(&name)).unwrap();
                    set.revoke(&cutoff(&name, NOW, until)).unwrap();
                }
                _ => revoke_token(&set, &token(until).jti(&name)),
            }
        }
        if second >= 20 {
            let name = format!("{}.5", second - 20);
            set.lift_block(Some(ISSUER), &name);
        }
        let state = set.state();
        if second < 900 {
            warm = (state.entries() - state.blocks, state.heap_bytes);
        }
        most = (
            most.0.max(state.entries() - state.blocks),
            most.1.max(state.heap_bytes),
        );
    }
    // 300 seconds and the leeway of it count at once; the rest waits for being dropped.
    let live = usize::try_from(per_second * 11 / 10 * (300 + LEEWAY)).unwrap();
    assert!(most.0 < live * 3 / 2, "{most:?}, {live} count");
    assert!(warm.0 < live * 3 / 2, "{warm:?}");
    // Half of the blocks are in force and must stay.
    clock.advance(Duration::from_secs(HOUR));
    set.prune();
    let state = set.state();
    assert_eq!(state.entries(), state.blocks);
}

#[test]
fn k12_what_is_dropped_gives_its_memory_back() {
    let (set, clock) = set();
    let empty = set.state().heap_bytes;
    for number in 0..50_000 {
        let name = number.to_string();
        revoke_token(&set, &token(NOW + 1 + number % 900).jti(&name));
        set.revoke(&session(&name, NOW + 300)).unwrap();
    }
    assert!(set.state().heap_bytes > empty + 50_000 * 30);
    clock.advance(Duration::from_secs(HOUR));
    set.prune();
    assert_eq!(set.state().heap_bytes, empty);
}

#[test]
fn k12b_a_token_that_was_revoked_far_ahead_is_no_news_to_a_full_set() {
    let clock = ManualClock::at(NOW);
    let set = new_set().clock(clock.clone()).capacity(1);
    let id = token(NOW + 73 * HOUR).jti("a");
    revoke_token(&set, &id);
    clock.set(NOW + 72 * HOUR);
    revoke_token(&set, &id);
    let later = Revocation::of_token(&token(NOW + 73 * HOUR + 1).jti("a")).unwrap();
    assert_eq!(set.revoke(&later), Err(RevocationSetFull));
    assert!(set.is_revoked(&id));
}

#[test]
fn k12b_a_full_set_refuses_and_forgets_nothing() {
    let clock = ManualClock::at(NOW);
    let set = new_set().clock(clock.clone()).capacity(5);
    let id = token(NOW + 300).jti("a").sid("s").subject("u");
    set.revoke(&Revocation::of_token(&id).unwrap()).unwrap();
    set.revoke(&session("s", NOW + 300)).unwrap();
    set.revoke(&generation("g", 1, NOW + 300)).unwrap();
    set.revoke(&cutoff("c", NOW, NOW + 300)).unwrap();
    set.revoke(&block("b")).unwrap();
    let others = [
        Revocation::of_token(&token(NOW + 900).jti("b")).unwrap(),
        Revocation::of_token(&token(NOW + 900 * HOUR).jti("b")).unwrap(),
        session("t", NOW + 900),
        generation("h", 1, NOW + 900),
        cutoff("d", NOW, NOW + 900),
        block("d"),
    ];
    for other in &others {
        assert_eq!(set.revoke(other), Err(RevocationSetFull), "{other:?}");
    }
    // What is in it can be revoked again, raised, and lifted.
    set.revoke(&Revocation::of_token(&id).unwrap()).unwrap();
    set.revoke(&session("s", NOW + 500)).unwrap();
    set.revoke(&generation("g", 2, NOW + 500)).unwrap();
    set.revoke(&cutoff("c", NOW + 1, NOW + 500)).unwrap();
    set.revoke(&block("b")).unwrap();
    assert!(set.lift_block(Some(ISSUER), "b"));
    set.revoke(&block("b")).unwrap();
    assert_eq!(
        set.lift_block_by_generation(Some(ISSUER), "b", 1),
        Err(RevocationSetFull)
    );
    let late = token(NOW + 500).issued_at(at(NOW + 1));
    for id in [
        token(NOW + 300).jti("a"),
        late.sid("s"),
        late.subject("g").generation(1),
        late.subject("c"),
        late.subject("b"),
    ] {
        assert!(set.is_revoked(&id));
    }
    assert_eq!(set.state().entries(), 5);
    // There is room once something has expired, and the write itself makes it.
    clock.set(NOW + 320 + 64 + LEEWAY);
    for other in &others[..1] {
        set.revoke(other).unwrap();
    }
    assert_eq!(set.revoke(&others[2]), Err(RevocationSetFull));
    clock.set(NOW + 500 + LEEWAY);
    for other in &others[1..4] {
        set.revoke(other).unwrap();
    }
    assert_eq!(set.revoke(&others[5]), Err(RevocationSetFull));
    assert!(set.is_revoked(&late.subject("b")));
}

#[test]
fn sets_of_one_key_and_of_their_own() {
    let set = new_set().fingerprint_key(FingerprintKey::new([7; 16]));
    assert!(!format!("{set:?} {:?}", FingerprintKey::new([7; 16])).contains('7'));
    assert!(!format!("{:?}", block("secret")).contains("secret"));
}

#[tokio::test]
async fn a_store_in_memory_always_has_the_answer() {
    let store = MemoryStore::new();
    let id = TokenIdentity::new(NumericDate::MAX).jti("a");
    assert_eq!(store.peek(&id), Some(false));
    store.revoke(&Revocation::of_token(&id).unwrap()).unwrap();
    let handle = store.clone();
    assert_eq!(handle.peek(&id), Some(true));
    assert_eq!(handle.is_revoked(&id).await, Ok(true));
}

/// Readers see what was acknowledged while tables grow, are pruned, and are swapped.
#[test]
fn k01_readers_see_what_was_acknowledged() {
    let (set, clock) = set();
    let (set, acknowledged, done) = (&set, &AtomicU64::new(0), &AtomicBool::new(false));
    let names = 40_000_u64;
    // The tokens looked up stay valid. A tenth of those in between expires while the writer writes.
    let id_of = |number: u64, name: &str, check: &mut dyn FnMut(&TokenIdentity<'_>)| {
        let id = token(NOW + 10 * HOUR + number % 700).issued_at(at(NOW));
        match number % 4 {
            0 => check(&id.sid(name)),
            1 => check(&id.subject(name).generation(1)),
            2 => check(&id.subject(name)),
            _ => check(&id.jti(name)),
        }
    };
    let id_of = &id_of;
    thread::scope(|scope| {
        for reader in 0..2_u64 {
            scope.spawn(move || {
                let mut look_ups = 0_u64;
                let mut state = reader + 1;
                while !done.load(Ordering::SeqCst) {
                    let known = acknowledged.load(Ordering::SeqCst);
                    if known == 0 {
                        continue;
                    }
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    // The latest, and any.
                    for number in [known - 1, (state >> 20) % known] {
                        let name = number.to_string();
                        id_of(number, &name, &mut |id| {
                            assert!(set.is_revoked(id), "{number}");
                        });
                        look_ups += 1;
                    }
                    let other = format!("x{}", state >> 20);
                    let id = token(NOW + 10 * HOUR)
                        .jti(&other)
                        .sid(&other)
                        .subject(&other);
                    assert!(!set.is_revoked(&id));
                }
                assert!(look_ups > 1000, "{look_ups}");
            });
        }
        scope.spawn(move || {
            let began = Instant::now();
            for number in 0..names {
                let name = number.to_string();
                let until = NOW + 10 * HOUR + number % 700;
                match number % 4 {
                    0 => set.revoke(&session(&name, until)).unwrap(),
                    1 => set.revoke(&generation(&name, 2, until)).unwrap(),
                    2 => {
                        set.revoke(&block(&name)).unwrap();
                        if number % 8 == 2 {
                            set.lift_block(Some(ISSUER), &name);
                        }
                    }
                    _ => revoke_token(set, &token(until).jti(&name)),
                }
                acknowledged.store(number + 1, Ordering::SeqCst);
                let name = format!("short{number}");
                set.revoke(&session(&name, NOW + number / 4 + 40)).unwrap();
                revoke_token(set, &token(NOW + number / 4 + 40).jti(&name));
                if number % 4 == 0 {
                    clock.advance(Duration::from_secs(1));
                }
                if number % 1000 == 0 {
                    set.prune();
                }
                if began.elapsed() > Duration::from_secs(20) {
                    break;
                }
            }
            done.store(true, Ordering::SeqCst);
        });
    });
}

/// A block, then its generation or cutoff, then the lifting, while the tables are rebuilt. At no
/// moment does a token of an earlier generation or before the cutoff pass. The clock of its issuer
/// is ahead.
#[test]
fn k03_no_moment_lets_a_token_pass_between_a_block_and_what_comes_with_it() {
    const OF_ONE: u64 = 4;
    let (set, clock) = set();
    let (set, blocked, done) = (&set, &AtomicU64::new(0), &AtomicBool::new(false));
    let until = NOW + 10 * HOUR;
    // Four rounds for each subject: the first has no row of a generation yet.
    let subject_of = |round: u64| format!("s{}", round / OF_ONE);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move || {
                let mut look_ups = 0_u64;
                while !done.load(Ordering::SeqCst) {
                    let round = blocked.load(Ordering::SeqCst);
                    if round > 0 {
                        let subject = subject_of(round);
                        let id = token(until).subject(&subject).generation(round % OF_ONE);
                        let other = format!("o{round}");
                        for _ in 0..20 {
                            assert!(set.is_revoked(&id.issued_at(at(NOW + HOUR))), "{round}");
                            let of_cutoff = token(until).subject(&other);
                            let of_cutoff = of_cutoff.issued_at(at(NOW + HOUR));
                            assert!(set.is_revoked(&of_cutoff), "{other}");
                            look_ups += 1;
                        }
                    }
                }
                assert!(look_ups > 1000, "{look_ups}");
            });
        }
        scope.spawn(move || {
            let began = Instant::now();
            for round in 1..12_000 {
                let subject = subject_of(round);
                let number = round % OF_ONE + 1;
                let other = format!("o{round}");
                set.revoke(&block(&subject)).unwrap();
                set.revoke(&block(&other)).unwrap();
                blocked.store(round, Ordering::SeqCst);
                set.revoke(&generation(&subject, number, until)).unwrap();
                let lifted = set.lift_block_by_generation(Some(ISSUER), &subject, number);
                assert!(lifted.unwrap());
                let id = token(until).subject(&subject).issued_at(at(NOW));
                assert!(!set.is_revoked(&id.generation(number)), "{round}");
                // Of tokens that know no generation the cutoff tells.
                set.revoke(&cutoff(&other, NOW + HOUR, until)).unwrap();
                assert!(set.lift_block(Some(ISSUER), &other));
                // So that shards grow and are pruned, those of both among them.
                let short = format!("x{round}");
                set.revoke(&cutoff(&short, NOW, NOW + round / 16)).unwrap();
                if round % 16 == 0 {
                    clock.advance(Duration::from_secs(1));
                }
                if began.elapsed() > Duration::from_secs(20) {
                    break;
                }
            }
            done.store(true, Ordering::SeqCst);
        });
    });
}

/// A cutoff kills what carries a generation too: at no moment does the generation that is raised
/// beside it revive a token.
#[test]
fn k03_a_cutoff_stays_in_force_while_a_generation_is_raised() {
    let (set, clock) = set();
    let until = NOW + 10 * HOUR;
    let names: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    for name in &names {
        set.revoke(&generation(name, 1, NOW + 10)).unwrap();
        set.revoke(&cutoff(name, NOW, until)).unwrap();
    }
    clock.advance(Duration::from_secs(400));
    let (set, names, at_name, done) = (&set, &names, &AtomicUsize::new(0), &AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(move || {
            while !done.load(Ordering::SeqCst) {
                let name = &names[at_name.load(Ordering::SeqCst)];
                let id = token(until).subject(name).issued_at(at(NOW)).generation(1);
                for _ in 0..20 {
                    assert!(set.is_revoked(&id), "{name}");
                }
            }
        });
        for (number, name) in names.iter().enumerate() {
            at_name.store(number, Ordering::SeqCst);
            set.revoke(&generation(name, 2, until)).unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
}

/// A revoked token is found at all times while its bucket grows from nothing, and the rows of those
/// that expire late.
#[test]
fn k01_what_was_revoked_first_is_found_while_everything_grows() {
    for round in 0..60_u64 {
        let (set, _) = set();
        let (set, acknowledged) = (&set, &AtomicU64::new(0));
        let names: Vec<String> = (0..400).map(|number| format!("{round}-{number}")).collect();
        let names = &names;
        thread::scope(|scope| {
            for reader in 0..2_usize {
                scope.spawn(move || {
                    let mut at_name = reader;
                    loop {
                        let known = acknowledged.load(Ordering::SeqCst);
                        let known = usize::try_from(known).unwrap();
                        if known > 0 {
                            at_name = (at_name + 7) % known;
                            for name in [&names[at_name], &names[known - 1]] {
                                let near = token(NOW + 60);
                                let far = token(NOW + 100 * 24 * HOUR);
                                assert!(set.is_revoked(&near.jti(name)), "{name}");
                                assert!(set.is_revoked(&far.jti(name)), "{name}");
                                assert!(set.is_revoked(&near.sid(name)), "{name}");
                                assert!(set.is_revoked(&near.subject(name)), "{name}");
                            }
                        }
                        if known == names.len() {
                            break;
                        }
                    }
                });
            }
            for (number, name) in (1..).zip(names) {
                revoke_token(set, &token(NOW + 60).jti(name));
                revoke_token(set, &token(NOW + 100 * 24 * HOUR).jti(name));
                set.revoke(&session(name, NOW + 60)).unwrap();
                set.revoke(&block(name)).unwrap();
                acknowledged.store(number, Ordering::SeqCst);
            }
        });
    }
}

#[derive(Clone, Debug)]
enum Step {
    Revoke(Said),
    Lift(usize),
    LiftByGeneration(usize, u64),
    Prune,
    Advance(u64),
    ClockBack(u64),
    Look(Looked),
}

#[derive(Clone, Debug)]
enum Said {
    Token {
        name: usize,
        after: u64,
    },
    Session {
        name: usize,
        after: u64,
    },
    Generation {
        name: usize,
        generation: u64,
        after: u64,
    },
    Cutoff {
        name: usize,
        before: u64,
        after: u64,
    },
    Block {
        name: usize,
    },
}

#[derive(Clone, Debug)]
struct Looked {
    jti: Option<usize>,
    sid: Option<usize>,
    subject: Option<usize>,
    issued_before: Option<u64>,
    after: u64,
    generation: Option<u64>,
}

const NAMES: usize = 6;

/// Close spans, to reach the edges, and some far away.
fn span() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 0..4_u64,
        6 => 25..70_u64,
        3 => 0..400_u64,
        1 => prop::sample::select(vec![HOUR, 71 * HOUR, 73 * HOUR, 400 * 24 * HOUR]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES;
    let said = prop_oneof![
        (name.clone(), span()).prop_map(|(name, after)| Said::Token { name, after }),
        (name.clone(), span()).prop_map(|(name, after)| Said::Session { name, after }),
        (name.clone(), 0..4_u64, span()).prop_map(|(name, generation, after)| Said::Generation {
            name,
            generation,
            after
        }),
        (name.clone(), span(), span()).prop_map(|(name, before, after)| Said::Cutoff {
            name,
            before,
            after
        }),
        name.clone().prop_map(|name| Said::Block { name }),
    ];
    let maybe = || prop::option::of(0..NAMES);
    let looked = (
        maybe(),
        maybe(),
        maybe(),
        prop::option::of(span()),
        span(),
        prop::option::of(0..5_u64),
    )
        .prop_map(
            |(jti, sid, subject, issued_before, after, generation)| Looked {
                jti,
                sid,
                subject,
                issued_before,
                after,
                generation,
            },
        );
    prop_oneof![
        8 => said.prop_map(Step::Revoke),
        2 => name.clone().prop_map(Step::Lift),
        1 => (name, 0..4_u64)
            .prop_map(|(name, generation)| Step::LiftByGeneration(name, generation)),
        2 => Just(Step::Prune),
        4 => span().prop_map(Step::Advance),
        1 => span().prop_map(Step::ClockBack),
        16 => looked.prop_map(Step::Look),
    ]
}

/// Something that was said, each for itself: nothing is merged, and nothing forgotten.
#[derive(Clone, Copy, Debug)]
struct Known {
    said: Speaks,
    until: u64,
    /// Whether its `exp` was so far ahead by the clock at that time, or others may be, that its
    /// `exp` need not be distinguished.
    is_far: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Token {
        name: usize,
        expires_at: u64,
    },
    Session {
        name: usize,
    },
    Generation {
        name: usize,
        generation: u64,
    },
    Cutoff {
        name: usize,
        second: u64,
    },
    Block {
        name: usize,
    },
    Lifted {
        name: usize,
        surely: u64,
        at_most: u64,
        by_generation: bool,
    },
}

impl Known {
    /// Whether it must count. `latest`: the latest time that the clock has shown.
    fn counts(&self, latest: u64, expires_at: u64) -> bool {
        expires_at <= self.until || self.is_held(latest)
    }

    fn is_held(&self, latest: u64) -> bool {
        latest < self.until.saturating_add(LEEWAY)
    }

    /// `exempt`: whether a generation is taken to exempt the token from what a lifted block has
    /// left.
    fn kills(
        &self,
        look: &Looked,
        expires_at: u64,
        issued_at: Option<u64>,
        exempt: bool,
        must: bool,
    ) -> bool {
        let is_subject = |name| look.subject == Some(name);
        let issued_until = |second| issued_at.is_none_or(|at| at <= second);
        match self.said {
            // Tokens of one id that expire close together, or far away, need not be distinguished.
            Speaks::Token {
                name,
                expires_at: exp,
            } => {
                look.jti == Some(name)
                    && (exp == expires_at
                        || !must && (exp.abs_diff(expires_at) < 64 || self.is_far))
            }
            Speaks::Session { name } => look.sid == Some(name),
            Speaks::Generation { name, generation } => {
                is_subject(name) && look.generation.unwrap_or(0) < generation
            }
            Speaks::Cutoff { name, second } => is_subject(name) && issued_until(second),
            Speaks::Block { name } => is_subject(name),
            Speaks::Lifted {
                name,
                surely,
                at_most,
                by_generation,
            } => {
                is_subject(name)
                    && !(exempt && by_generation)
                    && issued_until(if must { surely } else { at_most })
            }
        }
    }
}

fn names(prefix: &str) -> Vec<String> {
    (0..NAMES).map(|name| format!("{prefix}{name}")).collect()
}

/// Runs the steps against a list of all revocations. A token revoked by any line must be revoked. A
/// revoked token must have a line, expired or not, or be behind the horizon.
fn compare(steps: &[Step], capacity: usize) -> Result<(), TestCaseError> {
    let clock = ManualClock::at(NOW);
    let set = new_set()
        .clock(clock.clone())
        .capacity(capacity)
        .longest_lifetime(Duration::from_secs(300));
    let mut now = NOW;
    let mut known: Vec<Known> = Vec::new();
    let mut latest = NOW;
    // The start of the block, and the latest time of any block.
    let (mut blocked_at, mut ever_blocked_at) = ([0; NAMES], [0; NAMES]);
    let (jtis, sids, subjects) = (names("j"), names("s"), names("u"));
    for step in steps {
        match step {
            Step::Advance(by) => now += by,
            Step::ClockBack(by) => now = (now - by).max(NOW / 2),
            Step::Prune => set.prune(),
            Step::Revoke(said) => {
                let (revocation, speaks, until) = match *said {
                    Said::Token { name, after } => (
                        Revocation::of_token(&token(now + after).jti(&jtis[name])).unwrap(),
                        Speaks::Token {
                            name,
                            expires_at: now + after,
                        },
                        now + after,
                    ),
                    Said::Session { name, after } => (
                        session(&sids[name], now + after),
                        Speaks::Session { name },
                        now + after,
                    ),
                    Said::Generation {
                        name,
                        generation,
                        after,
                    } => (
                        self::generation(&subjects[name], generation, now + after),
                        Speaks::Generation { name, generation },
                        now + after,
                    ),
                    Said::Cutoff {
                        name,
                        before,
                        after,
                    } => (
                        cutoff(&subjects[name], now - before, now + after),
                        Speaks::Cutoff {
                            name,
                            second: now - before,
                        },
                        now + after,
                    ),
                    Said::Block { name } => {
                        (block(&subjects[name]), Speaks::Block { name }, u64::MAX)
                    }
                };
                let merges = known
                    .iter()
                    .any(|known| known.said == speaks && known.is_held(latest));
                match set.revoke(&revocation) {
                    Ok(()) => {
                        if let Said::Block { name } = *said {
                            if !known.iter().any(|known| known.said == speaks) {
                                blocked_at[name] = now;
                            }
                            ever_blocked_at[name] = now.max(ever_blocked_at[name]);
                        }
                        known.push(Known {
                            said: speaks,
                            until,
                            is_far: until.max(latest).saturating_sub(now) > 71 * HOUR,
                        });
                    }
                    Err(RevocationSetFull) => {
                        prop_assert!(set.state().entries() >= capacity);
                        prop_assert!(!merges, "{speaks:?} is in it");
                    }
                }
                prop_assert!(set.state().entries() <= capacity);
            }
            Step::Lift(name) | Step::LiftByGeneration(name, _) => {
                let name = *name;
                let generation = match step {
                    Step::LiftByGeneration(_, generation) => *generation,
                    _ => 0,
                };
                let stands = known
                    .iter()
                    .any(|known| known.said == Speaks::Block { name });
                let lifted = match step {
                    Step::Lift(_) => Ok(set.lift_block(Some(ISSUER), &subjects[name])),
                    _ => set.lift_block_by_generation(Some(ISSUER), &subjects[name], generation),
                };
                if let Ok(lifted) = lifted {
                    prop_assert_eq!(lifted, stands);
                }
                if lifted == Ok(true) {
                    known.retain(|known| known.said != Speaks::Block { name });
                    // Of several, the last decides whether the generation applies.
                    for known in &mut known {
                        if let Speaks::Lifted {
                            name: whose,
                            by_generation,
                            ..
                        } = &mut known.said
                            && *whose == name
                        {
                            *by_generation = generation > 0;
                        }
                    }
                    let surely = now.max(blocked_at[name]);
                    let at_most = now.max(ever_blocked_at[name]);
                    known.push(Known {
                        said: Speaks::Lifted {
                            name,
                            surely,
                            at_most,
                            by_generation: generation > 0,
                        },
                        until: surely + 301,
                        is_far: false,
                    });
                    if generation > 0 {
                        known.push(Known {
                            said: Speaks::Generation { name, generation },
                            until: now + 301,
                            is_far: false,
                        });
                    }
                }
            }
            Step::Look(look) => {
                let expires_at = now + look.after;
                let issued_at = look.issued_before.map(|before| now - before);
                let mut id = token(expires_at);
                id.jti = look.jti.map(|name| jtis[name].as_str());
                id.sid = look.sid.map(|name| sids[name].as_str());
                id.subject = look.subject.map(|name| subjects[name].as_str());
                id.issued_at = issued_at.map(at);
                id.generation = look.generation;
                let ever_raised = look.generation.is_some()
                    && known.iter().any(|known| {
                        matches!(known.said, Speaks::Generation { name, generation }
                            if Some(name) == look.subject && generation > 0)
                    });
                let surely_raised = look.generation.is_some()
                    && known.iter().any(|known| {
                        matches!(known.said, Speaks::Generation { name, generation }
                            if Some(name) == look.subject && generation > 0)
                            && known.is_held(latest)
                    });
                let must = known.iter().any(|known| {
                    known.counts(latest, expires_at)
                        && known.kills(look, expires_at, issued_at, ever_raised, true)
                });
                let may = set
                    .state()
                    .horizon
                    .is_some_and(|horizon| at(expires_at) <= horizon)
                    || known.iter().any(|known| {
                        known.kills(look, expires_at, issued_at, surely_raised, false)
                    });
                let is = set.is_revoked(&id);
                prop_assert!(is || !must, "missed: {look:?} at {now}, {known:?}");
                prop_assert!(!is || may, "made up: {look:?} at {now}, {known:?}");
            }
        }
        clock.set(now);
        latest = latest.max(now);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(debug_assertions) { 150 } else { 5000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn k01_k02_k03_k04_g05_matches_a_list_of_all_revocations(steps in vec(step(), 1..120)) {
        compare(&steps, 1000)?;
    }

    #[test]
    fn k12b_matches_a_list_of_all_revocations_when_tiny(
        steps in vec(step(), 1..120),
        capacity in 0..8_usize,
    ) {
        compare(&steps, capacity)?;
    }
}
