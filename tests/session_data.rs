//! Data of sessions, and access tokens that are invalidated.
#![cfg(feature = "testing")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics fails"
)]

#[path = "support/session_changes.rs"]
mod session_changes;
#[macro_use]
#[path = "support/on_each_store.rs"]
mod on_each_store;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use session_changes as cases;
use session_changes::{read, sessions};
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::session::{
    BoxSessionStore, Session, SessionErrorKind, SessionEventKind, SessionStore, TokenPair,
};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::testing::FailingStore;

const NOW: u64 = 1_800_000_000;

session_changes::all!(on_each_store);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Data {
    organisation: String,
    amr: Vec<String>,
}

fn data() -> Data {
    Data {
        organisation: "acme".to_owned(),
        amr: vec!["pwd".to_owned(), "otp".to_owned()],
    }
}

async fn login<S: SessionStore>(
    sessions: &tower_jwt_auth::session::Sessions<S>,
    data: &impl Serialize,
) -> Result<TokenPair, SessionErrorKind> {
    let pending = sessions.begin(&sessions.subject_named("alice")).await;
    let pending = pending.unwrap().label("phone").data(data);
    let pending = pending.map_err(|error| error.kind())?;
    Ok(sessions.complete(pending).await.unwrap())
}

#[tokio::test]
async fn the_claims_function_sees_the_session_and_its_data() {
    let clock = ManualClock::at(NOW);
    let seen: Arc<Mutex<Vec<Session>>> = Arc::default();
    let sees = Arc::clone(&seen);
    let sessions =
        sessions(MemoryStore::with_clock(clock.clone()))
            .clock(clock.clone())
            .client_id("app")
            .claims(move |session| {
                sees.lock().unwrap().push(session.clone());
                let data = session.data::<Data>();
                async move {
                    data.map(|data| Some(json!({ "org": data.map(|data| data.organisation) })))
                }
            });
    let tokens = login(&sessions, &data()).await.unwrap();
    clock.advance(Duration::from_secs(100));
    let refreshed = sessions.refresh(&tokens.refresh_token).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 2);
    for session in &seen {
        assert_eq!(session.sid, tokens.sid);
        assert_eq!(session.subject, "alice");
        assert_eq!(session.label.as_deref(), Some("phone"));
        assert_eq!(session.client_id.as_deref(), Some("app"));
        assert_eq!(session.created_at.seconds(), NOW);
        assert_eq!(session.authenticated_at.seconds(), NOW);
        assert_eq!(session.data::<Data>().unwrap(), Some(data()));
    }
    for tokens in [tokens, refreshed] {
        let token = tokens.access_token.split('.').nth(1).unwrap();
        let claims = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(token).unwrap();
        let claims: HashMap<String, Value> = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["org"], "acme");
    }
    let alice = sessions.subject_named("alice");
    let listed = sessions.list(&alice).await.unwrap();
    assert_eq!(listed[0].data::<Data>().unwrap(), Some(data()));
}

#[tokio::test]
async fn a_change_of_data_shows_at_the_next_refresh() {
    let sessions = sessions(MemoryStore::new()).claims(|session| {
        let data = session.data::<Data>();
        async move { data.map(|data| Some(json!({ "org": data.map(|data| data.organisation) }))) }
    });
    let tokens = login(&sessions, &data()).await.unwrap();
    let changed = sessions.update(tokens.sid, |data: &mut Option<Data>| {
        data.as_mut().unwrap().organisation = "other".to_owned();
    });
    let changed = changed.await.unwrap().data::<Data>().unwrap().unwrap();
    assert_eq!((&*changed.organisation, changed.amr), ("other", data().amr));
    let tokens = sessions.refresh(&tokens.refresh_token).await.unwrap();
    assert_eq!(
        read(&sessions, &tokens.access_token).await.0["org"],
        "other"
    );
    let removed = sessions.update(tokens.sid, |data: &mut Option<Data>| *data = None);
    assert_eq!(removed.await.unwrap().data::<Data>().unwrap(), None);
    let tokens = sessions.refresh(&tokens.refresh_token).await.unwrap();
    assert_eq!(
        read(&sessions, &tokens.access_token).await.0["org"],
        Value::Null
    );
}

#[tokio::test]
async fn data_over_4_kib_or_no_json_are_refused() {
    let sessions = sessions(MemoryStore::new());
    let tokens = login(&sessions, &"x".repeat(4094)).await.unwrap();
    let invalid = Err(SessionErrorKind::InvalidData);
    let no_json = HashMap::from([((1, 2), 3)]);
    // It could be written, but not read again.
    let mut deep = Value::Null;
    for _ in 0..128 {
        deep = Value::Array(vec![deep]);
    }
    for refused in [
        login(&sessions, &"x".repeat(4095)).await,
        login(&sessions, &deep).await,
        login(&sessions, &no_json).await,
    ] {
        assert_eq!(refused.map(|tokens| tokens.sid), invalid);
    }
    let too_long = sessions.update(tokens.sid, |data: &mut Option<String>| {
        data.as_mut().unwrap().push('x');
    });
    assert_eq!(
        too_long.await.unwrap_err().kind(),
        SessionErrorKind::InvalidData
    );
    let session = sessions.find(tokens.sid).await.unwrap().unwrap();
    assert_eq!(session.data_version, 0);
    assert_eq!(session.data::<String>().unwrap(), Some("x".repeat(4094)));
}

#[tokio::test]
async fn data_of_another_type_are_an_error_without_a_value() {
    let sessions = sessions(MemoryStore::new());
    let tokens = login(&sessions, &"a secret of alice").await.unwrap();
    let session = sessions.find(tokens.sid).await.unwrap().unwrap();
    let error = session.data::<u64>().unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::InvalidData);
    let update = sessions.update(tokens.sid, |_: &mut Option<u64>| {});
    let of_update = update.await.unwrap_err();
    assert_eq!(of_update.kind(), SessionErrorKind::InvalidData);
    let pending = sessions.begin(&sessions.subject_named("alice")).await;
    let pending = pending.unwrap().data(&"a secret of alice").unwrap();
    for shown in [
        format!("{error} {error:?} {of_update} {of_update:?}"),
        format!("{session:?} {pending:?}"),
    ] {
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_runs_again_if_the_data_changed_meanwhile() {
    for (meanwhile, runs) in [(0, 1), (1, 2), (9, 10), (10, 10)] {
        let sessions = sessions(MemoryStore::new());
        let tokens = sessions.login(&sessions.subject_named("alice")).await;
        let (sid, store) = (tokens.unwrap().sid, sessions.store());
        let mut ran = 0;
        let updated = sessions.update(sid, |data: &mut Option<String>| {
            if ran < meanwhile {
                let other = store.update(sid, ran, Some("\"other\""));
                block_in_place(|| Handle::current().block_on(other)).unwrap();
            }
            ran += 1;
            let before = data.take().unwrap_or_default();
            *data = Some(before + " and ours");
        });
        let updated = updated.await;
        assert_eq!(ran, runs);
        if meanwhile == 10 {
            assert_eq!(updated.unwrap_err().kind(), SessionErrorKind::Unavailable);
        } else {
            let expected = if meanwhile == 0 { "" } else { "other" };
            let data: Option<String> = updated.unwrap().data().unwrap();
            assert_eq!(data, Some(format!("{expected} and ours")));
        }
    }
}

#[tokio::test]
async fn a_session_that_ended_expired_or_is_foreign_is_neither_found_nor_updated() {
    let clock = ManualClock::at(NOW);
    let store = MemoryStore::with_clock(clock.clone());
    let ours = sessions(store.clone()).clock(clock.clone());
    let theirs = sessions(store).clock(clock.clone());
    let theirs = theirs.issuer("https://elsewhere.example.com");
    let [ended, expired, foreign] = [
        login(&ours, &1).await.unwrap().sid,
        login(&ours, &1).await.unwrap().sid,
        login(&theirs, &1).await.unwrap().sid,
    ];
    assert!(ours.find(expired).await.unwrap().is_some());
    ours.end_session(ended).await.unwrap();
    assert!(ours.find(foreign).await.unwrap().is_none());
    let update = ours.update(foreign, |data: &mut Option<u8>| *data = Some(2));
    assert_eq!(update.await.unwrap_err().kind(), SessionErrorKind::Ended);
    let kept = theirs.find(foreign).await.unwrap().unwrap();
    assert_eq!(kept.data::<u8>().unwrap(), Some(1));
    clock.advance(Duration::from_secs(14 * 86_400));
    for sid in [ended, expired] {
        assert!(ours.find(sid).await.unwrap().is_none());
        let update = ours.update(sid, |data: &mut Option<u8>| *data = Some(2));
        assert_eq!(update.await.unwrap_err().kind(), SessionErrorKind::Ended);
    }
}

#[tokio::test]
async fn a_login_may_have_a_client_of_its_own() {
    let sessions = sessions(MemoryStore::new()).client_id("web");
    let alice = sessions.subject_named("alice");
    let pending = sessions.begin(&alice).await.unwrap().client_id("phone");
    let phone = sessions.complete(pending).await.unwrap();
    let refreshed = sessions.refresh(&phone.refresh_token).await.unwrap();
    let web = sessions.login(&alice).await.unwrap();
    for (tokens, client_id) in [(phone, "phone"), (refreshed, "phone"), (web, "web")] {
        let (claims, _) = read(&sessions, &tokens.access_token).await;
        assert_eq!(claims["client_id"], client_id);
    }
}

#[tokio::test]
async fn an_invalidation_is_an_event_and_only_for_own_subjects() {
    let heard: Arc<Mutex<Vec<_>>> = Arc::default();
    let hears = Arc::clone(&heard);
    let store = MemoryStore::new();
    let sessions = sessions(store.clone())
        .on_event(move |event| hears.lock().unwrap().push((event.kind, event.sid)));
    let theirs = session_changes::sessions(store).issuer("https://elsewhere.example.com");
    let foreign = theirs.subject_named("alice");
    let error = sessions.invalidate_access_tokens(&foreign).await;
    assert_eq!(error.unwrap_err().kind(), SessionErrorKind::Foreign);
    let alice = sessions.subject_named("alice");
    sessions.invalidate_access_tokens(&alice).await.unwrap();
    let event = (SessionEventKind::AccessTokensInvalidated, None);
    assert_eq!(*heard.lock().unwrap(), [event]);
    assert_eq!(event.0.name(), "access_tokens_invalidated");
}

#[tokio::test]
async fn a_failure_in_a_box_keeps_its_cause() {
    let failing = FailingStore::new(MemoryStore::new());
    let sessions = sessions(BoxSessionStore::new(failing.clone()));
    let tokens = login(&sessions, &1).await.unwrap();
    assert!(!read(&sessions, &tokens.access_token).await.1);
    failing.fail();
    let error = sessions.refresh(&tokens.refresh_token).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unavailable);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "the store was told to fail");
}

#[tokio::test]
async fn a_session_serializes_for_a_list_without_subject_and_data() {
    let clock = ManualClock::at(NOW);
    let sessions = sessions(MemoryStore::with_clock(clock.clone()))
        .clock(clock)
        .client_id("app");
    let tokens = login(&sessions, &"a secret").await.unwrap();
    let alice = sessions.subject_named("alice");
    let listed = serde_json::to_value(sessions.list(&alice).await.unwrap()).unwrap();
    let expected = json!([{
        "sid": tokens.sid.to_string(),
        "label": "phone",
        "client_id": "app",
        "acr": null,
        "authenticated_at": NOW,
        "created_at": NOW,
        "rotated_at": NOW,
        "idle_expires_at": NOW + 14 * 86_400,
        "expires_at": NOW + 90 * 86_400,
    }]);
    assert_eq!(listed, expected);
}
