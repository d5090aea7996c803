//! Revocations of any issuer, and lifted blocks.

use std::time::Duration;

use super::fixture::{
    ALICE, START, TemporaryDirectory, at, end, is_revoked, open, options, session, sid,
};
use crate::claims::NumericDate;
use crate::clock::ManualClock;
use crate::revocation::{Revocation, RevocationStore, TokenIdentity};
use crate::session::{CreationOutcome, Session, SessionStore, Subject, SubjectState};
use crate::store::embedded::EmbeddedStore;

const ELSEWHERE: &str = "https://elsewhere.example.com";

/// A revocation of each kind, by another issuer.
fn revocations(expires_at: NumericDate) -> [Revocation<'static>; 5] {
    let issuer = Some(ELSEWHERE);
    let until = at(4_000);
    [
        Revocation::Token {
            issuer,
            jti: "t",
            expires_at,
        },
        Revocation::Session {
            issuer,
            sid: "s",
            until,
        },
        Revocation::Generation {
            issuer,
            subject: "g",
            generation: 3,
            until,
        },
        Revocation::Cutoff {
            issuer,
            subject: "c",
            issued_at: at(0),
            until,
        },
        Revocation::Block {
            issuer,
            subject: "b",
        },
    ]
}

/// The tokens that [`revocations`] revokes, in its order.
fn revoked_tokens(expires_at: NumericDate) -> [TokenIdentity<'static>; 5] {
    let foreign = TokenIdentity::new(expires_at).issuer(ELSEWHERE);
    [
        foreign.jti("t"),
        foreign.sid("s"),
        foreign.subject("g").generation(2),
        foreign.subject("c").issued_at(at(0)),
        foreign.subject("b").issued_at(at(1)),
    ]
}

/// Tokens that [`revocations`] does not revoke.
fn live_tokens(expires_at: NumericDate) -> [TokenIdentity<'static>; 6] {
    let foreign = TokenIdentity::new(expires_at).issuer(ELSEWHERE);
    [
        foreign.jti("u"),
        TokenIdentity::new(expires_at).jti("t"),
        foreign.sid("u"),
        foreign.subject("g").generation(3),
        foreign.subject("c").issued_at(at(1)),
        foreign.subject("u"),
    ]
}

/// K01 to K03, for tokens of any issuer: at once, and after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn k01_k02_k03_whatever_is_revoked_stays_revoked_after_a_restart() {
    let directory = TemporaryDirectory::new();
    let clock = ManualClock::at(START);
    let open = async || options(&clock).open(directory.file()).await.unwrap();
    let store = open().await;
    // With a fraction of a second, at the edge of a bucket of the set.
    let expires_at =
        NumericDate::from_since_epoch(Duration::new((START / 32 + 20) * 32 - 1, 500_000_000));
    let expires_at = expires_at.unwrap();
    for revocation in &revocations(expires_at) {
        store.revoke(revocation).await.unwrap();
        store.revoke(revocation).await.unwrap();
    }
    let check = |store: &EmbeddedStore| {
        for (number, token) in revoked_tokens(expires_at).iter().enumerate() {
            assert!(store.peek(token).unwrap(), "revoked {number}");
        }
        for (number, token) in live_tokens(expires_at).iter().enumerate() {
            assert!(!store.peek(token).unwrap(), "live {number}");
        }
    };
    check(&store);
    store.close().await;
    let store = open().await;
    check(&store);
    // Until the token has expired, including the leeway.
    clock.set(expires_at.seconds() + 30);
    for _ in 0..3 {
        end(&store, sid(0)).await.unwrap();
    }
    store.close().await;
    let store = open().await;
    check(&store);
    // The rows are dropped. The expiry still revokes the tokens when the clock steps back.
    clock.set(START + 10_000_000);
    for _ in 0..2 {
        end(&store, sid(0)).await.unwrap();
    }
    store.close().await;
    clock.set(START);
    let store = open().await;
    for token in &revoked_tokens(expires_at) {
        assert!(store.peek(token).unwrap(), "below the horizon");
    }
    assert!(
        store.state().await.unwrap().revocations <= 2,
        "block and generation"
    );
}

/// The tokens of this subject have no generation.
#[tokio::test(flavor = "multi_thread")]
async fn k03_lifting_a_block_revives_no_foreign_token() {
    let directory = TemporaryDirectory::new();
    let store = open(&directory.file()).await;
    let subject = Subject::new(Some(ELSEWHERE), "b");
    let token = TokenIdentity::new(at(300)).issuer(ELSEWHERE).subject("b");
    let issuer = subject.issuer;
    store
        .revoke(&Revocation::Block {
            issuer,
            subject: "b",
        })
        .await
        .unwrap();
    assert_eq!(
        store.subject(&subject).await.unwrap(),
        SubjectState::new(0, true)
    );
    let outcome = store
        .create(&Session::new(sid(1), &subject, 0, at(0)), None)
        .await
        .unwrap();
    assert_eq!(outcome, CreationOutcome::Blocked);
    store.unblock(&subject).await.unwrap();
    let check = |store: &EmbeddedStore| {
        assert_eq!(store.peek(&token.issued_at(at(0))), Some(true));
        assert_eq!(store.peek(&token.issued_at(at(1))), Some(false));
    };
    check(&store);
    store.close().await;
    let store = open(&directory.file()).await;
    check(&store);

    // A subject with sessions gets a generation too.
    store.create(&session(1, 0), None).await.unwrap();
    store
        .revoke(&Revocation::Block {
            issuer: ALICE.issuer,
            subject: ALICE.name,
        })
        .await
        .unwrap();
    assert_eq!(
        store.subject(&ALICE).await.unwrap(),
        SubjectState::new(1, true)
    );
    store.unblock(&ALICE).await.unwrap();
    assert!(is_revoked(&store, &session(1, 0)));
    assert_eq!(store.find(sid(1)).await.unwrap(), None);
}

/// K03: a cutoff applies to all tokens of its subject, with or without a session in this store.
#[tokio::test(flavor = "multi_thread")]
async fn k03_a_cutoff_applies_beside_a_generation_and_after_a_restart() {
    let directory = TemporaryDirectory::new();
    let clock = ManualClock::at(START);
    let open = async || options(&clock).open(directory.file()).await.unwrap();
    let store = open().await;
    store.create(&session(1, 0), None).await.unwrap();
    store.raise_generation(&ALICE).await.unwrap();
    clock.advance(Duration::from_secs(60));
    let token = |generation, issued_at| {
        let token = TokenIdentity::new(at(300)).issuer("https://id.example.com");
        let token = token.subject("alice").generation(generation);
        token.issued_at(at(issued_at))
    };
    assert_eq!(store.peek(&token(1, 60)), Some(false));
    let cutoff = Revocation::Cutoff {
        issuer: ALICE.issuer,
        subject: ALICE.name,
        issued_at: at(60),
        until: at(400),
    };
    store.revoke(&cutoff).await.unwrap();
    for generation in 1..4 {
        assert_eq!(store.peek(&token(generation, 0)), Some(true));
        assert_eq!(store.peek(&token(generation, 60)), Some(true));
        assert_eq!(store.peek(&token(generation, 61)), Some(false));
        store.raise_generation(&ALICE).await.unwrap();
        assert_eq!(store.peek(&token(generation, 61)), Some(true));
    }
    store.close().await;
    let store = open().await;
    assert_eq!(store.peek(&token(4, 60)), Some(true));
    assert_eq!(store.peek(&token(4, 61)), Some(false));
}
