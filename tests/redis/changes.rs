//! Data of sessions, and access tokens that are invalidated.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::revocation::Revocation;
use tower_jwt_auth::session::{
    Rotation, RotationOutcome, Session, SessionId, SessionLimit, SessionStore, Subject,
};
use tower_jwt_auth::store::redis::client::cmd;
use tower_jwt_auth::store::{MemoryStore, RedisStoreError};

use crate::bound_sessions;
use crate::load::in_seconds;
use crate::proxy::{Flow, Proxy};
use crate::server::Server;
use crate::session_changes::{self, read, sessions};
use crate::{eventually, node, nodes, of_prefix, options};

macro_rules! on_redis {
    ($suite:ident: $($test:ident,)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let server = Server::start(&[]);
            $suite::$test(node(server.client()).await).await;
        })*
    };
}

macro_rules! changes_on_redis {
    ($($test:ident,)*) => { on_redis! { session_changes: $($test,)* } };
}

macro_rules! bound_on_redis {
    ($($test:ident,)*) => { on_redis! { bound_sessions: $($test,)* } };
}

session_changes::all!(changes_on_redis);
bound_sessions::all!(bound_on_redis);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_and_data_reach_the_other_node() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let [one, other] = [sessions(nodes[0].clone()), sessions(nodes[1].clone())];
    let alice = one.subject_named("alice");
    let tokens = one.login(&alice).await.unwrap();
    let changed = one.update(tokens.sid, |data: &mut Option<Value>| {
        *data = Some(7.into());
    });
    changed.await.unwrap();
    let session = other.find(tokens.sid).await.unwrap().unwrap();
    assert_eq!(session.data::<u8>().unwrap(), Some(7));
    assert!(!read(&other, &tokens.access_token).await.1);
    other.invalidate_access_tokens(&alice).await.unwrap();
    assert!(read(&other, &tokens.access_token).await.1);
    let refreshed = one.refresh(&tokens.refresh_token).await.unwrap();
    let began = std::time::Instant::now();
    while !read(&one, &tokens.access_token).await.1 {
        assert!(began.elapsed() < Duration::from_secs(10), "never revoked");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for sessions in [&one, &other] {
        assert!(!read(sessions, &refreshed.access_token).await.1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_that_the_server_has_lost_is_written_back() {
    let server = Server::start(&[]);
    let node = node(server.client()).await;
    let sessions = sessions(node.clone());
    let alice = sessions.subject_named("alice");
    let tokens = sessions.login(&alice).await.unwrap();
    sessions.invalidate_access_tokens(&alice).await.unwrap();
    server.ask::<()>(&mut cmd("FLUSHALL"));
    eventually("it is written back", || {
        server.ask::<u64>(cmd("HLEN").arg("{jwt}:subjects")) == 2
    })
    .await;
    assert!(read(&sessions, &tokens.access_token).await.1);
    let tokens = sessions.login(&alice).await.unwrap();
    assert!(!read(&sessions, &tokens.access_token).await.1);
    let session = node.find(tokens.sid).await.unwrap().unwrap();
    assert_eq!((session.generation, session.access_epoch), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l18_logins_on_three_nodes_at_once_keep_to_the_limit() {
    let server = Server::start(&[]);
    session_changes::keep_to_the_limit(&nodes(&server, 3).await).await;
}

/// All nodes reject the tokens of a session that a login on one of them ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l18_a_session_that_a_login_ended_is_dead_on_the_other_node() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let limit = SessionLimit::EndOldest(1);
    let one = sessions(nodes[0].clone()).max_sessions(limit);
    let other = sessions(nodes[1].clone());
    let alice = one.subject_named("alice");
    let first = other.login(&alice).await.unwrap();
    one.login(&alice).await.unwrap();
    assert!(read(&one, &first.access_token).await.1);
    let began = std::time::Instant::now();
    while !read(&other, &first.access_token).await.1 {
        assert!(began.elapsed() < Duration::from_secs(10), "never revoked");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // A server that loses it gets it back.
    server.ask::<()>(&mut cmd("FLUSHALL"));
    eventually("it is written back", || {
        server.ask::<u64>(cmd("ZCARD").arg("{jwt}:revoked")) == 2
    })
    .await;
}

/// The answer to a login is lost on its way to the node, which retries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l18_a_repeated_login_ends_no_second_session() {
    let server = Server::start(&[]);
    let way = Proxy::to(server.port).await;
    let (node, other) = (node(way.client()).await, node(server.client()).await);
    let limit = SessionLimit::EndOldest(2);
    let (limited, ended) = session_changes::limited(node, limit);
    let other = sessions(other);
    let alice = limited.subject_named("alice");
    let mut before = Vec::new();
    for _ in 0..2 {
        before.push(limited.login(&alice).await.unwrap());
    }
    way.set(Flow::StopsRenewals);
    let logging_in = tokio::spawn({
        let (sessions, alice) = (limited.clone(), alice.clone());
        async move { sessions.login(&alice).await }
    });
    while other.find(before[0].sid).await.unwrap().is_some() {}
    way.cut();
    way.set(Flow::Passes);
    let third = logging_in.await.unwrap().unwrap();
    assert_eq!(*ended.lock().unwrap(), [before[0].sid]);
    assert!(read(&limited, &before[0].access_token).await.1);
    let mut listed: Vec<_> = other.list(&alice).await.unwrap();
    listed.sort_by_key(|session| session.sid);
    let mut expected = [before[1].sid, third.sid];
    expected.sort_unstable();
    assert!(listed.iter().map(|session| session.sid).eq(expected));
}

/// The server lost the record of the subject, and no node remembers it. The next change starts from
/// access epoch 0 there, and still revokes the tokens of before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k03_a_change_after_a_loss_revokes_tokens_of_higher_epochs() {
    let server = Server::start(&[]);
    for (change, name) in ["invalidate", "log out", "log others out", "block", "revoke"]
        .into_iter()
        .enumerate()
    {
        let sessions = sessions(node(server.client()).await);
        let subject = sessions.subject_named(name);
        for _ in 0..3 {
            sessions.invalidate_access_tokens(&subject).await.unwrap();
        }
        let kept = sessions.login(&subject).await.unwrap();
        let before = sessions.login(&subject).await.unwrap();
        // No node is left that knows the record.
        drop(sessions);
        server.ask::<u64>(cmd("DEL").arg("{jwt}:subjects"));
        let store = node(server.client()).await;
        let sessions = session_changes::sessions(store.clone());
        let after = sessions.refresh(&before.refresh_token).await.unwrap();
        for tokens in [&before, &after, &kept] {
            assert!(!read(&sessions, &tokens.access_token).await.1, "{name}");
        }
        match change {
            0 => sessions.invalidate_access_tokens(&subject).await.unwrap(),
            1 => sessions.logout_everywhere(&subject).await.unwrap(),
            2 => sessions.logout_others(kept.sid).await.unwrap(),
            3 => sessions.block(&subject).await.unwrap(),
            _ => {
                let revocation = Revocation::Generation {
                    issuer: sessions.issuer_name(),
                    subject: name,
                    generation: 1,
                    until: in_seconds(600),
                };
                store.revoke(&revocation).await.unwrap();
            }
        }
        for tokens in [&before, &after, &kept] {
            assert!(read(&sessions, &tokens.access_token).await.1, "{name}");
        }
        if name != "block" {
            let tokens = sessions.login(&subject).await.unwrap();
            assert!(!read(&sessions, &tokens.access_token).await.1, "{name}");
        }
    }
}

/// The keys of a version before the format had a number, and of a later one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_two_formats_do_not_share_keys() {
    let server = Server::start(&[]);
    let ours = node(server.client()).await;
    let mut secret: Vec<u8> = server.ask(cmd("GET").arg("{jwt}:secret"));
    assert!(secret.starts_with(b"4:"));
    let before = secret.split_off(2);
    let later = [b"5:", &*before].concat();
    for other in [before, later] {
        server.ask::<()>(cmd("SET").arg("{jwt}:secret").arg(&other));
        eventually("the other node is not fresh", || !ours.state().is_fresh).await;
        let late = options().connect(server.client()).await.unwrap();
        let ready = late.ready(Duration::from_secs(3)).await.unwrap_err();
        assert!(matches!(ready, RedisStoreError::OtherFormat), "{ready:?}");
        assert!(ready.to_string().contains("`prefix`"));
        let alice = Subject::new(None, "alice");
        let raised = late.raise_access_epoch(&alice).await.unwrap_err();
        assert!(matches!(raised, RedisStoreError::OtherFormat), "{raised:?}");
        let kept: Vec<u8> = server.ask(cmd("GET").arg("{jwt}:secret"));
        assert_eq!(kept, other);
    }
}

/// The rules of a rotation are written twice, in Rust and in Lua.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_rotates_by_the_rules_in_rust() {
    const START: u64 = 1_700_000_000;
    let at = |seconds: u64| NumericDate::from_seconds(START + seconds).unwrap();
    let server = Server::start(&[]);
    let clock = ManualClock::at(START);
    let redis = of_prefix(&server, "rules", clock.clone()).await;
    let memory = MemoryStore::with_clock(clock);
    let alice = Subject::new(None, "alice");
    let mut state = 1_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        state = state.wrapping_add(1);
        (state >> 33) % below
    };
    let mut seen = HashSet::new();
    for number in 0..60 {
        let sid = SessionId::from_bytes([number; 16]);
        let mut session = Session::new(sid, &alice, 0, at(100));
        session.idle_expires_at = at(500);
        session.expires_at = at(900);
        redis.create(&session, None).await.unwrap();
        memory.create(&session, None).await.unwrap();
        let mut now = 100;
        loop {
            now = now + random(12) - random(6);
            let current = memory.find(sid).await.unwrap().unwrap().counter;
            let mut rotation = Rotation::new((current + 1).saturating_sub(random(4)), at(now));
            rotation.grace = Duration::from_secs(random(3) * 5);
            rotation.idle_expires_at = at(now + 50);
            rotation.access_expires_at = at(now + random(20));
            rotation.data_version = u64::from(random(8) == 0);
            rotation.elevation = (random(3) == 0).then(|| format!("level {}", random(2)));
            let outcome = redis.rotate(sid, &rotation).await.unwrap();
            assert_eq!(outcome, memory.rotate(sid, &rotation).await.unwrap());
            let found = redis.find(sid).await.unwrap();
            assert_eq!(found, memory.find(sid).await.unwrap());
            seen.insert(match outcome {
                RotationOutcome::Rejected(rejection) => format!("{rejection:?}"),
                other => format!("{other:?}").split('(').next().unwrap().to_owned(),
            });
            if found.is_none() || now > 600 {
                break;
            }
        }
    }
    for outcome in [
        "Rotated",
        "WithinGrace",
        "LostWrites",
        "ReuseDetected",
        "Outdated",
        "Elevated",
    ] {
        assert!(seen.contains(outcome), "never {outcome}");
    }
}
