//! What changes while claims are computed, for any store: data of a session, and rights of a
//! subject. Each function is a test, and gets an empty store.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::clock::{Clock, ManualClock, SystemClock};
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::revocation::{RevocationStore, TokenIdentity};
use tower_jwt_auth::session::{
    OwnSubject, RefreshKeys, Session, SessionErrorKind, SessionEventKind, SessionId, SessionLimit,
    SessionStore, Sessions,
};
use tower_jwt_auth::{VerifiedToken, Verifier};

/// Passes the names of all tests to a macro, which runs them on its stores.
macro_rules! all {
    ($run:ident) => {
        $run! {
            invalidated_access_tokens_are_dead_and_the_session_lives,
            a_refresh_with_older_rights_computes_them_again,
            a_login_with_older_rights_computes_them_again,
            a_refresh_with_older_data_computes_the_claims_again,
            changes_of_data_at_once_all_count,
            one_session_outlives_the_others,
            claims_that_are_never_current_are_an_outage,
            no_older_rights_pass_after_an_invalidation,
            an_elevation_shows_in_every_access_token_after_it,
            l16_a_copy_from_before_an_elevation_gets_nothing,
            l16_no_refresh_at_the_same_time_gets_the_level,
            l08_the_grace_counts_until_the_request_arrives,
            l17_an_impersonation_ends_with_its_actor_and_with_its_subject,
            l18_a_login_beyond_the_limit_ends_the_oldest_session,
            l18_a_login_beyond_the_limit_is_rejected,
            l18_logins_at_once_keep_to_the_limit,
        }
    };
}
pub(crate) use all;

const ISSUER: &str = "https://id.example.com";

pub(crate) fn sessions<S: SessionStore>(store: S) -> Sessions<S> {
    let key = SigningKey::from_secret(Algorithm::HS256, [1; 32]).unwrap();
    Sessions::new(store, key, RefreshKeys::new([2; 32]).unwrap()).issuer(ISSUER)
}

fn alice<S: SessionStore>(sessions: &Sessions<S>) -> OwnSubject {
    sessions.subject_named("alice")
}

/// The claims of an access token, and whether the store revokes it.
pub(crate) async fn read<S: SessionStore>(sessions: &Sessions<S>, token: &str) -> (Value, bool) {
    let verifier = Verifier::new(sessions.verifying_keys().clone()).issuer(ISSUER);
    let token = verifier.verify(token).unwrap();
    let identity = TokenIdentity::from(&token);
    let revoked = sessions.store().is_revoked(&identity).await.unwrap();
    (Value::clone(&token.claims().unwrap()), revoked)
}

pub(crate) fn verified<S: SessionStore>(sessions: &Sessions<S>, token: &str) -> VerifiedToken {
    let verifier = Verifier::new(sessions.verifying_keys().clone()).issuer(ISSUER);
    verifier.verify(token).unwrap()
}

/// Claims that change: each call returns the version of the rights when it began. The next call
/// can be held.
#[derive(Clone, Default)]
pub(crate) struct Rights(Arc<Inner>);

#[derive(Default)]
struct Inner {
    version: AtomicU64,
    calls: AtomicU64,
    hold_next: AtomicBool,
    held: Notify,
    released: Notify,
}

impl Rights {
    fn of<S: SessionStore>(&self, sessions: Sessions<S>) -> Sessions<S> {
        let rights = self.clone();
        sessions.claims(move |session: Session| {
            let Rights(inner) = rights.clone();
            async move {
                inner.calls.fetch_add(1, Ordering::SeqCst);
                let version = inner.version.load(Ordering::SeqCst);
                if inner.hold_next.swap(false, Ordering::SeqCst) {
                    inner.held.notify_one();
                    inner.released.notified().await;
                }
                tokio::task::yield_now().await;
                let data: Option<Value> = session.data()?;
                Ok::<_, tower_jwt_auth::session::SessionError>(Some(
                    json!({ "rights": version, "data": data }),
                ))
            }
        })
    }

    fn change(&self) -> u64 {
        self.0.version.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::SeqCst)
    }

    fn hold_next(&self) {
        self.0.hold_next.store(true, Ordering::SeqCst);
    }

    async fn is_held(&self) {
        self.0.held.notified().await;
    }

    fn release(&self) {
        self.0.released.notify_one();
    }
}

pub(crate) async fn invalidated_access_tokens_are_dead_and_the_session_lives<S: SessionStore>(
    store: S,
) {
    let rights = Rights::default();
    let sessions = rights.of(sessions(store));
    let bob = sessions.subject_named("bob");
    let (alices, bobs) = (alice(&sessions), sessions.login(&bob).await.unwrap());
    let mut tokens = sessions.login(&alices).await.unwrap();
    for version in 1..=3 {
        let before = tokens;
        assert!(!read(&sessions, &before.access_token).await.1);
        rights.change();
        sessions.invalidate_access_tokens(&alices).await.unwrap();
        assert!(read(&sessions, &before.access_token).await.1);
        tokens = sessions.refresh(&before.refresh_token).await.unwrap();
        assert_eq!(tokens.sid, before.sid);
        let (claims, revoked) = read(&sessions, &tokens.access_token).await;
        assert_eq!((&claims["rights"], revoked), (&json!(version), false));
        // A retry within the grace gets the new rights too.
        let again = sessions.refresh(&before.refresh_token).await.unwrap();
        let (claims, revoked) = read(&sessions, &again.access_token).await;
        assert_eq!((&claims["rights"], revoked), (&json!(version), false));
    }
    let calls = rights.calls();
    sessions.refresh(&tokens.refresh_token).await.unwrap();
    assert_eq!(rights.calls(), calls + 1, "usually computed once");
    assert!(!read(&sessions, &bobs.access_token).await.1);
    let late = sessions.login(&alices).await.unwrap();
    assert!(!read(&sessions, &late.access_token).await.1);
    sessions.logout_everywhere(&alices).await.unwrap();
    for tokens in [tokens, late] {
        assert!(read(&sessions, &tokens.access_token).await.1);
        let error = sessions.refresh(&tokens.refresh_token).await.unwrap_err();
        assert!(error.kind().is_final(), "{error}");
    }
}

pub(crate) async fn a_refresh_with_older_rights_computes_them_again<S: SessionStore>(store: S) {
    let rights = Rights::default();
    let sessions = rights.of(sessions(store));
    let alice = alice(&sessions);
    let tokens = sessions.login(&alice).await.unwrap();
    rights.hold_next();
    let refreshing = tokio::spawn({
        let sessions = sessions.clone();
        async move { sessions.refresh(&tokens.refresh_token).await }
    });
    rights.is_held().await;
    rights.change();
    sessions.invalidate_access_tokens(&alice).await.unwrap();
    rights.release();
    let tokens = refreshing.await.unwrap().unwrap();
    let (claims, revoked) = read(&sessions, &tokens.access_token).await;
    assert_eq!((&claims["rights"], revoked), (&json!(1), false));
    assert_eq!(rights.calls(), 3);
}

pub(crate) async fn a_login_with_older_rights_computes_them_again<S: SessionStore>(store: S) {
    let rights = Rights::default();
    let sessions = rights.of(sessions(store));
    let alice = alice(&sessions);
    let pending = sessions.begin(&alice).await.unwrap();
    rights.hold_next();
    let completing = tokio::spawn({
        let sessions = sessions.clone();
        async move { sessions.complete(pending).await }
    });
    rights.is_held().await;
    rights.change();
    sessions.invalidate_access_tokens(&alice).await.unwrap();
    rights.release();
    let tokens = completing.await.unwrap().unwrap();
    let (claims, revoked) = read(&sessions, &tokens.access_token).await;
    assert_eq!((&claims["rights"], revoked), (&json!(1), false));
    assert_eq!(sessions.list(&alice).await.unwrap().len(), 1);
}

pub(crate) async fn a_refresh_with_older_data_computes_the_claims_again<S: SessionStore>(store: S) {
    let rights = Rights::default();
    let sessions = rights.of(sessions(store));
    let pending = sessions.begin(&alice(&sessions)).await.unwrap();
    let pending = pending.data(&json!({ "organisation": "old" })).unwrap();
    let tokens = sessions.complete(pending).await.unwrap();
    let (claims, _) = read(&sessions, &tokens.access_token).await;
    assert_eq!(claims["data"]["organisation"], "old");
    rights.hold_next();
    let refreshing = tokio::spawn({
        let sessions = sessions.clone();
        async move { sessions.refresh(&tokens.refresh_token).await }
    });
    rights.is_held().await;
    let changed = sessions.update(tokens.sid, |data: &mut Option<Value>| {
        *data = Some(json!({ "organisation": "new" }));
    });
    assert_eq!(changed.await.unwrap().data_version, 1);
    rights.release();
    let tokens = refreshing.await.unwrap().unwrap();
    let (claims, revoked) = read(&sessions, &tokens.access_token).await;
    assert_eq!(
        (&claims["data"]["organisation"], revoked),
        (&json!("new"), false)
    );
    let again = sessions.refresh(&tokens.refresh_token).await.unwrap();
    let (claims, _) = read(&sessions, &again.access_token).await;
    assert_eq!(claims["data"]["organisation"], "new");
}

pub(crate) async fn changes_of_data_at_once_all_count<S: SessionStore>(store: S) {
    let sessions = sessions(store);
    let tokens = sessions.login(&alice(&sessions)).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let sessions = sessions.clone();
            tokio::spawn(async move {
                let add = |data: &mut Option<u64>| *data.get_or_insert(0) += 1;
                sessions.update(tokens.sid, add).await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let session = sessions.find(tokens.sid).await.unwrap().unwrap();
    assert_eq!(session.data::<u64>().unwrap(), Some(8));
}

/// The claims function changes what the claims depend on, at each call.
pub(crate) async fn claims_that_are_never_current_are_an_outage<S: SessionStore + Clone>(store: S) {
    let calls = Arc::new(AtomicU64::new(u64::MAX / 2));
    let (counted, own) = (Arc::clone(&calls), sessions(store.clone()));
    let sessions = sessions(store).claims(move |_| {
        let (own, call) = (own.clone(), counted.fetch_add(1, Ordering::SeqCst));
        async move {
            if call < 4 {
                let alice = alice(&own);
                let invalidated = own.invalidate_access_tokens(&alice).await;
                invalidated.map_err(io::Error::other)?;
            }
            Ok::<_, io::Error>(Some(json!({})))
        }
    });
    let tokens = sessions.login(&alice(&sessions)).await.unwrap();
    calls.store(0, Ordering::SeqCst);
    let error = sessions.refresh(&tokens.refresh_token).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unavailable);
    assert_eq!(calls.load(Ordering::SeqCst), 4);
    calls.store(0, Ordering::SeqCst);
    let error = sessions.login(&alice(&sessions)).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unavailable);
    assert_eq!(calls.load(Ordering::SeqCst), 4);
    // The refresh token was not used up.
    let refreshed = sessions.refresh(&tokens.refresh_token).await.unwrap();
    assert!(!read(&sessions, &refreshed.access_token).await.1);
}

/// After a change of the password.
pub(crate) async fn one_session_outlives_the_others<S: SessionStore>(store: S) {
    let sessions = sessions(store);
    let (alice, bob) = (alice(&sessions), sessions.subject_named("bob"));
    let kept = sessions.login(&alice).await.unwrap();
    let other = sessions.login(&alice).await.unwrap();
    let bobs = sessions.login(&bob).await.unwrap();
    let pending = sessions.begin(&alice).await.unwrap();
    sessions.logout_others(kept.sid).await.unwrap();
    for tokens in [&kept, &other] {
        assert!(read(&sessions, &tokens.access_token).await.1);
    }
    let error = sessions.refresh(&other.refresh_token).await.unwrap_err();
    assert!(error.kind().is_final(), "{error}");
    let error = sessions.complete(pending).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::LoggedOut);
    let refreshed = sessions.refresh(&kept.refresh_token).await.unwrap();
    assert!(!read(&sessions, &refreshed.access_token).await.1);
    assert!(!read(&sessions, &bobs.access_token).await.1);
    let listed = sessions.list(&alice).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed.first().map(|session| session.sid), Some(kept.sid));
    let error = sessions.logout_others(other.sid).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Ended);
    assert!(!read(&sessions, &refreshed.access_token).await.1);
}

/// While sessions are refreshed and begun, rights change. After each call to invalidate, no token
/// with older rights is accepted, whenever it was issued.
pub(crate) async fn no_older_rights_pass_after_an_invalidation<S: SessionStore>(store: S) {
    let rights = Rights::default();
    let sessions = rights.of(sessions(store));
    let alice = alice(&sessions);
    for _ in 0..20 {
        let tasks: Vec<_> = (0..6)
            .map(|task| {
                let (sessions, alice) = (sessions.clone(), alice.clone());
                tokio::spawn(async move {
                    let mut issued = Vec::new();
                    let mut tokens = sessions.login(&alice).await.unwrap();
                    for _ in 0..task {
                        tokens = sessions.refresh(&tokens.refresh_token).await.unwrap();
                        issued.push(tokens.clone());
                    }
                    issued.push(tokens);
                    issued
                })
            })
            .collect();
        tokio::task::yield_now().await;
        let version = rights.change();
        sessions.invalidate_access_tokens(&alice).await.unwrap();
        let mut passed = 0;
        for task in tasks {
            for tokens in task.await.unwrap() {
                let (claims, revoked) = read(&sessions, &tokens.access_token).await;
                assert!(revoked || claims["rights"] == version, "older rights");
                passed += u32::from(!revoked);
            }
        }
        let tokens = sessions.login(&alice).await.unwrap();
        assert!(!read(&sessions, &tokens.access_token).await.1, "{passed}");
        sessions.logout_everywhere(&alice).await.unwrap();
    }
}

pub(crate) async fn an_elevation_shows_in_every_access_token_after_it<S: SessionStore>(store: S) {
    let rights = Rights::default();
    let sessions = rights.of(sessions(store));
    let alice = alice(&sessions);
    let tokens = sessions.login(&alice).await.unwrap();
    let (claims, _) = read(&sessions, &tokens.access_token).await;
    assert_eq!(claims["auth_time"], claims["iat"]);
    assert_eq!(claims.get("acr"), None);
    // Rights and data that change before it do not stop it.
    rights.hold_next();
    let elevating = tokio::spawn({
        let sessions = sessions.clone();
        async move { sessions.elevate(tokens.sid, "mfa").await }
    });
    rights.is_held().await;
    rights.change();
    sessions.invalidate_access_tokens(&alice).await.unwrap();
    rights.release();
    let elevated = elevating.await.unwrap().unwrap();
    assert_eq!(elevated.sid, tokens.sid);
    let refreshed = sessions.refresh(&elevated.refresh_token).await.unwrap();
    let again = sessions.refresh(&elevated.refresh_token).await.unwrap();
    let auth_time = read(&sessions, &elevated.access_token).await.0["auth_time"].clone();
    for tokens in [&elevated, &refreshed, &again] {
        let (claims, revoked) = read(&sessions, &tokens.access_token).await;
        assert_eq!((&claims["acr"], revoked), (&json!("mfa"), false));
        assert_eq!(claims["auth_time"], auth_time);
        assert_eq!(claims["rights"], 1);
    }
    let higher = sessions.elevate(tokens.sid, "hardware").await.unwrap();
    let (claims, _) = read(&sessions, &higher.access_token).await;
    assert_eq!(claims["acr"], "hardware");
    let session = sessions.find(tokens.sid).await.unwrap().unwrap();
    assert_eq!(session.acr.as_deref(), Some("hardware"));
    sessions.end_session(tokens.sid).await.unwrap();
    let error = sessions.elevate(tokens.sid, "mfa").await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Ended);
}

pub(crate) async fn l16_a_copy_from_before_an_elevation_gets_nothing<S: SessionStore>(store: S) {
    let sessions = sessions(store);
    let copy = sessions.login(&alice(&sessions)).await.unwrap();
    let elevated = sessions.elevate(copy.sid, "mfa").await.unwrap();
    for _ in 0..2 {
        let error = sessions.refresh(&copy.refresh_token).await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Elevated);
        assert!(!error.kind().is_final());
    }
    let refreshed = sessions.refresh(&elevated.refresh_token).await.unwrap();
    let (claims, revoked) = read(&sessions, &refreshed.access_token).await;
    assert_eq!((&claims["acr"], revoked), (&json!("mfa"), false));
    let error = sessions.refresh(&copy.refresh_token).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::ReuseDetected);
    for tokens in [copy, elevated, refreshed] {
        assert!(read(&sessions, &tokens.access_token).await.1);
        assert!(sessions.refresh(&tokens.refresh_token).await.is_err());
    }
}

/// Whatever the order, the refresh tokens that refreshes return do not lead to the level.
pub(crate) async fn l16_no_refresh_at_the_same_time_gets_the_level<S: SessionStore>(store: S) {
    let sessions = Rights::default().of(sessions(store));
    for round in 0..20 {
        let tokens = sessions.login(&alice(&sessions)).await.unwrap();
        let refreshes: Vec<_> = (0..4)
            .map(|_| {
                let (sessions, token) = (sessions.clone(), tokens.refresh_token.clone());
                tokio::spawn(async move { sessions.refresh(&token).await })
            })
            .collect();
        for _ in 0..round % 4 {
            tokio::task::yield_now().await;
        }
        let elevated = sessions.elevate(tokens.sid, "mfa").await.unwrap();
        let (claims, _) = read(&sessions, &elevated.access_token).await;
        assert_eq!(claims["acr"], "mfa");
        for refreshed in refreshes {
            let Ok(refreshed) = refreshed.await.unwrap() else {
                continue;
            };
            let (claims, _) = read(&sessions, &refreshed.access_token).await;
            assert_eq!(claims.get("acr"), None);
            assert_ne!(refreshed.refresh_token, elevated.refresh_token);
            let error = sessions.refresh(&refreshed.refresh_token).await;
            assert!(error.is_err(), "a copy gets the level");
        }
    }
}

/// A slow claims function, and claims that are computed again, do not turn a request within the
/// grace into reuse.
pub(crate) async fn l08_the_grace_counts_until_the_request_arrives<S: SessionStore + Clone>(
    store: S,
) {
    // Far from the clock of a server, which then does not count.
    let now = NumericDate::from(SystemClock.now()).seconds();
    let clock = ManualClock::at(now + 86_400);
    let slow = Arc::new(AtomicU64::new(0));
    let own = sessions(store.clone());
    let (takes, passing) = (Arc::clone(&slow), clock.clone());
    let sessions = sessions(store).clock(clock.clone()).claims(move |_| {
        let (own, passing, takes) = (own.clone(), passing.clone(), Arc::clone(&takes));
        async move {
            if takes.swap(0, Ordering::SeqCst) == 1 {
                passing.advance(Duration::from_secs(60));
                let alice = alice(&own);
                let invalidated = own.invalidate_access_tokens(&alice).await;
                invalidated.map_err(io::Error::other)?;
            }
            Ok::<_, io::Error>(Some(json!({})))
        }
    });
    let tokens = sessions.login(&alice(&sessions)).await.unwrap();
    let refreshed = sessions.refresh(&tokens.refresh_token).await.unwrap();
    clock.advance(Duration::from_secs(9));
    slow.store(1, Ordering::SeqCst);
    let again = sessions.refresh(&tokens.refresh_token).await.unwrap();
    assert_eq!(again.refresh_token, refreshed.refresh_token);
    assert_eq!(slow.load(Ordering::SeqCst), 0);
    let late = sessions.refresh(&tokens.refresh_token).await.unwrap_err();
    assert_eq!(late.kind(), SessionErrorKind::ReuseDetected);
    // Without a grace a slow request has none either.
    let strict = sessions.grace(Duration::ZERO);
    let tokens = strict.login(&alice(&strict)).await.unwrap();
    strict.refresh(&tokens.refresh_token).await.unwrap();
    slow.store(1, Ordering::SeqCst);
    let late = strict.refresh(&tokens.refresh_token).await.unwrap_err();
    assert_eq!(late.kind(), SessionErrorKind::ReuseDetected);
}

pub(crate) async fn l17_an_impersonation_ends_with_its_actor_and_with_its_subject<
    S: SessionStore,
>(
    store: S,
) {
    let sessions = sessions(store);
    let (agent, alice) = (sessions.subject_named("agent"), alice(&sessions));
    for (of_actor, blocks) in [(true, true), (true, false), (false, true), (false, false)] {
        let own = sessions.login(&agent).await.unwrap();
        let token = verified(&sessions, &own.access_token);
        let login = sessions.impersonate(&token, &alice).await.unwrap();
        let late = sessions.impersonate(&token, &alice).await.unwrap();
        let tokens = sessions.complete(login).await.unwrap();
        let tokens = sessions.refresh(&tokens.refresh_token).await.unwrap();
        let (claims, revoked) = read(&sessions, &tokens.access_token).await;
        assert_eq!((&claims["sub"], revoked), (&json!("alice"), false));
        assert_eq!(claims["act"], json!({ "sub": "agent", "iss": ISSUER }));
        let ended = if of_actor { &agent } else { &alice };
        let kind = if blocks {
            sessions.block(ended).await.unwrap();
            SessionErrorKind::Blocked
        } else {
            sessions.logout_everywhere(ended).await.unwrap();
            SessionErrorKind::LoggedOut
        };
        let error = sessions.complete(late).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        if of_actor {
            let error = sessions.impersonate(&token, &alice).await.err().unwrap();
            assert_eq!(error.kind(), kind);
            let error = sessions.refresh(&tokens.refresh_token).await.unwrap_err();
            assert_eq!(error.kind(), kind);
        }
        // Of the actor, from the refresh on. Of the subject, at once.
        assert!(read(&sessions, &tokens.access_token).await.1);
        let error = sessions.refresh(&tokens.refresh_token).await.unwrap_err();
        assert!(error.kind().is_final(), "{error}");
        assert!(sessions.list(&alice).await.unwrap().is_empty());
        sessions.unblock(ended).await.unwrap();
    }
}

/// Sessions with a limit, and the sessions that it ended.
pub(crate) fn limited<S: SessionStore>(
    store: S,
    limit: SessionLimit,
) -> (Sessions<S>, Arc<Mutex<Vec<SessionId>>>) {
    let ended: Arc<Mutex<Vec<SessionId>>> = Arc::default();
    let heard = Arc::clone(&ended);
    let sessions = sessions(store).max_sessions(limit).on_event(move |event| {
        if event.kind == SessionEventKind::EndedByLimit {
            heard.lock().unwrap().extend(event.sid);
        }
    });
    (sessions, ended)
}

pub(crate) async fn l18_a_login_beyond_the_limit_ends_the_oldest_session<S: SessionStore>(
    store: S,
) {
    let (sessions, ended) = limited(store, SessionLimit::EndOldest(2));
    let (alice, bob) = (alice(&sessions), sessions.subject_named("bob"));
    let bobs = sessions.login(&bob).await.unwrap();
    let first = sessions.login(&alice).await.unwrap();
    let second = sessions.login(&alice).await.unwrap();
    // The first was refreshed last, so the second ends.
    let first = sessions.refresh(&first.refresh_token).await.unwrap();
    let third = sessions.login(&alice).await.unwrap();
    assert_eq!(*ended.lock().unwrap(), [second.sid]);
    assert!(read(&sessions, &second.access_token).await.1);
    let error = sessions.refresh(&second.refresh_token).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Ended);
    assert!(error.kind().is_final());
    for tokens in [&bobs, &first, &third] {
        assert!(!read(&sessions, &tokens.access_token).await.1);
        sessions.refresh(&tokens.refresh_token).await.unwrap();
    }
    // A lower limit applies at the next login.
    let sessions = sessions.max_sessions(SessionLimit::EndOldest(1));
    let last = sessions.login(&alice).await.unwrap();
    let ended: HashSet<_> = ended.lock().unwrap().drain(1..).collect();
    assert_eq!(ended, HashSet::from([first.sid, third.sid]));
    let listed = sessions.list(&alice).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed.first().map(|session| session.sid), Some(last.sid));
    // An impersonation ends no session of the subject.
    let agent = sessions
        .login(&sessions.subject_named("agent"))
        .await
        .unwrap();
    let agent = verified(&sessions, &agent.access_token);
    let login = sessions.impersonate(&agent, &alice).await.unwrap();
    sessions.complete(login).await.unwrap();
    assert!(!read(&sessions, &last.access_token).await.1);
    assert_eq!(sessions.list(&alice).await.unwrap().len(), 2);
}

pub(crate) async fn l18_a_login_beyond_the_limit_is_rejected<S: SessionStore>(store: S) {
    let (sessions, ended) = limited(store, SessionLimit::RejectLogin(2));
    let alice = alice(&sessions);
    let first = sessions.login(&alice).await.unwrap();
    let second = sessions.login(&alice).await.unwrap();
    let error = sessions.login(&alice).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::TooManySessions);
    assert!(!error.kind().is_final());
    for tokens in [&first, &second] {
        assert!(!read(&sessions, &tokens.access_token).await.1);
    }
    assert!(sessions.end_session_of(&alice, first.sid).await.unwrap());
    let third = sessions.login(&alice).await.unwrap();
    assert!(!read(&sessions, &third.access_token).await.1);
    assert_eq!(sessions.list(&alice).await.unwrap().len(), 2);
    assert!(ended.lock().unwrap().is_empty());
}

pub(crate) async fn l18_logins_at_once_keep_to_the_limit<S: SessionStore + Clone>(store: S) {
    keep_to_the_limit(&[store]).await;
}

/// Logs in through all stores at once, which share their sessions.
pub(crate) async fn keep_to_the_limit<S: SessionStore + Clone>(stores: &[S]) {
    for (name, limit) in [
        ("alice", SessionLimit::EndOldest(3)),
        ("bob", SessionLimit::RejectLogin(3)),
    ] {
        let nodes: Vec<_> = stores
            .iter()
            .map(|store| limited(store.clone(), limit))
            .collect();
        let (one, _) = nodes.first().unwrap();
        let subject = one.subject_named(name);
        for _ in 0..5 {
            let tasks: Vec<_> = (0..24)
                .map(|task| {
                    let (sessions, _) = nodes.get(task % nodes.len()).unwrap();
                    let (sessions, subject) = (sessions.clone(), subject.clone());
                    tokio::spawn(async move { sessions.login(&subject).await })
                })
                .collect();
            let mut created = HashSet::new();
            for task in tasks {
                match task.await.unwrap() {
                    Ok(tokens) => assert!(created.insert(tokens.sid)),
                    Err(error) => assert_eq!(error.kind(), SessionErrorKind::TooManySessions),
                }
            }
            let listed = one.list(&subject).await.unwrap();
            let listed: HashSet<_> = listed.iter().map(|session| session.sid).collect();
            assert_eq!(listed.len(), 3);
            let heard = nodes
                .iter()
                .flat_map(|(_, ended)| std::mem::take(&mut *ended.lock().unwrap()));
            let heard: Vec<_> = heard.collect();
            let ended: HashSet<_> = heard.iter().copied().collect();
            assert_eq!(ended.len(), heard.len(), "one event for each");
            let live: HashSet<_> = created.difference(&ended).copied().collect();
            assert_eq!(live, listed);
            for sid in ended {
                let ended = one.find(sid).await.unwrap();
                assert_eq!(ended, None);
            }
            one.logout_everywhere(&subject).await.unwrap();
        }
    }
}
