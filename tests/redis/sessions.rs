//! Login, refresh and logout over several nodes.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use tower_jwt_auth::TrustedIssuer;
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::openid::{IdTokenVerifier, LogoutTokenVerifier, ProviderSessions};
use tower_jwt_auth::revocation::{Revocation, RevocationStore, TokenIdentity};
use tower_jwt_auth::session::{
    RefreshKeys, SessionErrorKind, SessionId, SessionLimit, SessionStore, Sessions, TokenPair,
};
use tower_jwt_auth::store::RedisStore;
use tower_jwt_auth::store::redis::client;

use crate::edge::signing_key;
use crate::load::{ISSUER, in_seconds};
use crate::proxy::{Flow, Proxy};
use crate::server::Server;
use crate::{eventually, node, nodes};

pub(crate) fn sessions(store: &RedisStore) -> Sessions<RedisStore> {
    let refresh_keys = RefreshKeys::new([2; 32]).unwrap();
    Sessions::new(store.clone(), signing_key(), refresh_keys).issuer(ISSUER)
}

/// Whether a node rejects the access tokens of a session. `None`: it is stale.
pub(crate) fn is_dead(store: &RedisStore, sid: SessionId) -> Option<bool> {
    let sid = sid.to_string();
    let token = TokenIdentity::new(in_seconds(200))
        .issuer(ISSUER)
        .jti("some");
    store.peek(&token.sid(&sid))
}

fn successor(pair: &TokenPair) -> String {
    pair.refresh_token.clone()
}

/// The second node may not have read the first node's write yet, and may soon be stale.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_ends_an_ended_session_knows_it_at_once() {
    let server = Server::start(&[]);
    let one = node(server.client()).await;
    let way = Proxy::to(server.port).await;
    let other = crate::options().max_staleness(Duration::from_secs(10));
    let other = crate::connect(other, way.client()).await;
    let (ending, late) = (sessions(&one), sessions(&other));
    let pair = ending.login(&ending.subject_named("bob")).await.unwrap();
    way.set(Flow::StopsReads);
    ending.end_session(pair.sid).await.unwrap();
    assert_eq!(is_dead(&other, pair.sid), Some(false));
    late.end_session(pair.sid).await.unwrap();
    assert_eq!(is_dead(&other, pair.sid), Some(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l03_a_hundred_renewals_of_one_token_on_three_nodes() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 3).await;
    let sessions: Vec<_> = nodes.iter().map(sessions).collect();
    for _ in 0..10 {
        let first = sessions[0]
            .login(&sessions[0].subject_named("alice"))
            .await
            .unwrap();
        let tasks: Vec<_> = (0..100)
            .map(|number| {
                let (sessions, token) = (sessions[number % 3].clone(), successor(&first));
                tokio::spawn(async move { sessions.refresh(&token).await })
            })
            .collect();
        let mut successors = HashSet::new();
        for task in tasks {
            successors.insert(successor(&task.await.unwrap().unwrap()));
        }
        assert_eq!(successors.len(), 1);
        let session = nodes[1].find(first.sid).await.unwrap().unwrap();
        assert_eq!(session.counter, 1);
    }
}

/// A login at an OpenID provider on one node, and the provider's logout token on another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_at_the_provider_ends_sessions_of_another_node_and_pending_logins() {
    const PROVIDER: &str = "https://id.example.com";
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let [one, other] = [&nodes[0], &nodes[1]].map(sessions);
    let (logins, logouts) = (
        ProviderSessions::new(one.clone()),
        ProviderSessions::new(other.clone()),
    );
    let key = signing_key();
    let trust = || TrustedIssuer::new(PROVIDER, key.verifying_key());
    let token = async |sid: &str, more: Value| {
        let mut claims = json!({
            "iss": PROVIDER, "aud": "client", "sid": sid, "jti": sid,
            "iat": in_seconds(0).seconds(), "exp": in_seconds(60).seconds(),
        });
        let members = claims.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        key.sign(&claims).unwrap()
    };
    let id_token = async |sid: &str| {
        let token = token(sid, json!({ "sub": "alice" })).await;
        let verifier = IdTokenVerifier::new(trust(), "client");
        verifier.verify_without_nonce(&token).await.unwrap()
    };
    let logout = async |sid: &str| {
        let events = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
        let token = token(sid, json!({ "events": events })).await;
        let verifier = LogoutTokenVerifier::new(trust(), "client");
        verifier.verify(&token).await.unwrap()
    };
    let alice = one.subject_named("alice");

    let begun = one.begin(&alice).await.unwrap();
    let pair = logins.complete(begun, &id_token("first").await).await;
    let pair = pair.unwrap();
    let stays = one.begin(&alice).await.unwrap();
    let stays = logins.complete(stays, &id_token("stays").await).await;
    logouts.end(&logout("first").await).await.unwrap();
    assert_eq!(is_dead(&nodes[1], pair.sid), Some(true));
    let refused = one.refresh(&pair.refresh_token).await.unwrap_err();
    assert_eq!(refused.kind(), SessionErrorKind::Ended);

    let (mut won, mut lost) = (0, 0);
    for round in 0..100 {
        let sid = format!("session {round}");
        let (id_token, logout) = (id_token(&sid).await, logout(&sid).await);
        let begun = one.begin(&alice).await.unwrap();
        let logging_in = {
            let logins = logins.clone();
            tokio::spawn(async move { logins.complete(begun, &id_token).await })
        };
        tokio::time::sleep(Duration::from_micros(50 * (round % 20))).await;
        logouts.end(&logout).await.unwrap();
        match logging_in.await.unwrap() {
            Ok(pair) => {
                won += 1;
                let refused = other.refresh(&pair.refresh_token).await.unwrap_err();
                assert_eq!(refused.kind(), SessionErrorKind::Ended);
            }
            Err(error) => {
                lost += 1;
                assert_eq!(error.kind(), SessionErrorKind::LoggedOut);
            }
        }
    }
    println!("a login was done {won} times before the logout, {lost} times after");
    assert_eq!(one.list(&alice).await.unwrap().len(), 1);
    assert!(one.refresh(&stays.unwrap().refresh_token).await.is_ok());
}

/// The answer to a rotation is lost on its way to the node, which retries. Even without a grace
/// that is not reuse.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l08_the_answer_is_lost_on_the_way_to_the_node() {
    let server = Server::start(&[]);
    let way = Proxy::to(server.port).await;
    let (one, other) = (node(way.client()).await, node(server.client()).await);
    let sessions = sessions(&one).grace(Duration::ZERO);
    let first = sessions
        .login(&sessions.subject_named("alice"))
        .await
        .unwrap();
    // The server keeps the script from then on.
    let first = sessions.refresh(&successor(&first)).await.unwrap();
    way.set(Flow::StopsRenewals);
    let renewing = sessions.clone();
    let token = successor(&first);
    let renewal = tokio::spawn(async move { renewing.refresh(&token).await });
    loop {
        let session = other.find(first.sid).await.unwrap().unwrap();
        if session.counter == 2 {
            break;
        }
    }
    way.cut();
    way.set(Flow::Passes);
    let second = renewal.await.unwrap().unwrap();
    let session = other.find(first.sid).await.unwrap().unwrap();
    assert_eq!(session.counter, 2);
    sessions.refresh(&successor(&second)).await.unwrap();
}

/// The client lost the response, and retries on another node.
#[tokio::test]
async fn l08_the_response_is_lost_on_the_way_to_the_client() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let [one, other] = [sessions(&nodes[0]), sessions(&nodes[1])];
    let first = one.login(&one.subject_named("alice")).await.unwrap();
    let lost = one.refresh(&successor(&first)).await.unwrap();
    let again = other.refresh(&successor(&first)).await.unwrap();
    assert_eq!(successor(&lost), successor(&again));
    one.refresh(&successor(&again)).await.unwrap();
}

/// The grace is measured by the server's clock: a second tab is no reuse, even if the nodes' clocks
/// differ by half a minute.
#[tokio::test]
async fn l08_the_clocks_of_the_nodes_differ() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let one = sessions(&nodes[0]);
    let ahead = ManualClock::at(in_seconds(30).seconds());
    let other = sessions(&nodes[1]).clock(ahead);
    let first = one.login(&one.subject_named("alice")).await.unwrap();
    let second = one.refresh(&successor(&first)).await.unwrap();
    let again = other.refresh(&successor(&first)).await.unwrap();
    assert_eq!(successor(&second), successor(&again));
}

#[tokio::test]
async fn l02_reuse_is_detected_by_any_node() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let [one, other] = [sessions(&nodes[0]), sessions(&nodes[1])];
    // A token from two rotations ago on one node, and from one ago without a grace on the other.
    let first = one.login(&one.subject_named("alice")).await.unwrap();
    let second = one.refresh(&successor(&first)).await.unwrap();
    let third = other.refresh(&successor(&second)).await.unwrap();
    let strict = sessions(&nodes[1]).grace(Duration::ZERO);
    let bob = one.login(&one.subject_named("bob")).await.unwrap();
    let bob_next = one.refresh(&successor(&bob)).await.unwrap();
    for (thief, stolen, current) in [(&one, &first, &third), (&strict, &bob, &bob_next)] {
        assert_eq!(is_dead(&nodes[0], stolen.sid), Some(false));
        let error = thief.refresh(&successor(stolen)).await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::ReuseDetected);
        eventually("dead on both", || {
            nodes
                .iter()
                .all(|node| is_dead(node, stolen.sid) == Some(true))
        })
        .await;
        for sessions in [&one, &other] {
            let error = sessions.refresh(&successor(current)).await.unwrap_err();
            assert_eq!(error.kind(), SessionErrorKind::Ended);
        }
    }
}

/// After the logout has returned, its node rejects every token of the session. The other node does
/// so soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l06_renewals_on_one_node_and_a_logout_on_the_other() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let [one, other] = [sessions(&nodes[0]), sessions(&nodes[1])];
    for round in 0..100 {
        let first = one.login(&one.subject_named("alice")).await.unwrap();
        let (renewing, token) = (one.clone(), successor(&first));
        let renewals = tokio::spawn(async move {
            let mut token = token;
            while let Ok(next) = renewing.refresh(&token).await {
                token = successor(&next);
            }
            token
        });
        tokio::time::sleep(Duration::from_micros(100 * (round % 20))).await;
        other.end_session(first.sid).await.unwrap();
        assert_eq!(is_dead(&nodes[1], first.sid), Some(true));
        let last = renewals.await.unwrap();
        let error = other.refresh(&last).await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Ended);
        eventually("dead on the other", || {
            is_dead(&nodes[0], first.sid) == Some(true)
        })
        .await;
    }
}

/// A node on which a logout has returned rejects the session, also if another node ended it first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k09_a_second_logout_on_another_node() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let [one, other] = [sessions(&nodes[0]), sessions(&nodes[1])];
    for _ in 0..300 {
        let pair = one.login(&one.subject_named("alice")).await.unwrap();
        one.end_session(pair.sid).await.unwrap();
        other.end_session(pair.sid).await.unwrap();
        assert_eq!(is_dead(&nodes[1], pair.sid), Some(true));
    }
}

#[tokio::test]
async fn l07_redis_is_down_and_no_token_is_used_up() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let node = node(server.client()).await;
    let sessions = sessions(&node);
    let first = sessions
        .login(&sessions.subject_named("alice"))
        .await
        .unwrap();
    server.kill();
    for error in [
        sessions.refresh(&successor(&first)).await.unwrap_err(),
        sessions
            .login(&sessions.subject_named("bob"))
            .await
            .unwrap_err(),
        sessions.end_session(first.sid).await.unwrap_err(),
        sessions
            .logout_everywhere(&sessions.subject_named("alice"))
            .await
            .unwrap_err(),
        sessions
            .block(&sessions.subject_named("alice"))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
    }
    server.run();
    sessions.refresh(&successor(&first)).await.unwrap();
}

/// The replicas are away for longer than the grace. Refreshes continue, and are not reuse.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l08_no_replica_gets_the_rotations() {
    let master = Server::start(&[]);
    let replica = master.replica(0);
    let options = crate::options().replicas(1, Duration::from_millis(500));
    let store = crate::connect(options, master.client()).await;
    let sessions = sessions(&store).grace(Duration::ZERO);
    let first = sessions
        .login(&sessions.subject_named("alice"))
        .await
        .unwrap();
    drop(replica);
    let second = sessions.refresh(&first.refresh_token).await.unwrap();
    sessions.refresh(&second.refresh_token).await.unwrap();
    // Reuse is still detected and reported.
    let error = sessions.refresh(&first.refresh_token).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::ReuseDetected);
    assert_eq!(is_dead(&store, first.sid), Some(true));
}

/// The server restarts with a session that has ended. The nodes write back that it is revoked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k09_a_session_that_was_ended_does_not_come_back() {
    let mut server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let sessions = sessions(&nodes[0]);
    let pair = sessions
        .login(&sessions.subject_named("alice"))
        .await
        .unwrap();
    server.ask::<()>(&mut client::cmd("SAVE"));
    sessions.logout(&pair.refresh_token).await.unwrap();
    eventually("both know", || {
        nodes
            .iter()
            .all(|node| is_dead(node, pair.sid) == Some(true))
    })
    .await;
    server.kill();
    server.run();
    let members = || server.ask::<u64>(client::cmd("ZCARD").arg("{jwt}:revoked"));
    // The empty member is always there.
    eventually("it is told", || members() > 1).await;
    let error = sessions.refresh(&pair.refresh_token).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Ended);
    assert_eq!(nodes[1].find(pair.sid).await.unwrap(), None);
}

/// The server restarts with sessions that have ended. No call shows one, before or after another
/// deletes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k09_sessions_whose_end_was_lost_are_not_shown() {
    let mut server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let sessions = sessions(&nodes[0]);
    let [alice, bob] = ["alice", "bob"].map(|name| sessions.subject_named(name));
    let found = sessions.login(&alice).await.unwrap().sid;
    let listed = sessions.login(&alice).await.unwrap().sid;
    let ended = sessions.login(&alice).await.unwrap().sid;
    let bobs = sessions.login(&bob).await.unwrap().sid;
    server.ask::<()>(&mut client::cmd("SAVE"));
    for sid in [found, listed, ended] {
        sessions.end_session(sid).await.unwrap();
    }
    sessions.logout_everywhere(&bob).await.unwrap();
    eventually("both know", || {
        nodes.iter().all(|node| {
            let all = node.state();
            is_dead(node, ended) == Some(true) && all.subjects == 1
        })
    })
    .await;
    server.kill();
    server.run();
    let key = |sid: SessionId| format!("{{jwt}}:session:{sid}");
    let exists = |sid| server.ask::<u64>(client::cmd("EXISTS").arg(key(sid))) == 1;
    assert!([found, listed, ended, bobs].into_iter().all(exists));
    eventually("it is told", || {
        let members = server.ask::<u64>(client::cmd("ZCARD").arg("{jwt}:revoked"));
        let subjects = server.ask::<u64>(client::cmd("HLEN").arg("{jwt}:subjects"));
        // With the empty members.
        members == 4 && subjects == 2
    })
    .await;
    // A refresh before that has issued a later access token.
    let late = in_seconds(9000).seconds();
    let mut refresh = client::cmd("HSET");
    refresh
        .arg(key(found))
        .arg("x")
        .arg(format!("{late:012}000000000"));
    server.ask::<()>(&mut refresh);
    for node in &nodes {
        assert_eq!(node.find(found).await.unwrap(), None);
        assert_eq!(node.find(bobs).await.unwrap(), None);
    }
    let mut revoked_for_long = client::cmd("ZCOUNT");
    revoked_for_long.arg("{jwt}:revoked").arg(late).arg(late);
    assert_eq!(server.ask::<u64>(&mut revoked_for_long), 1);
    let end = nodes[0].end(ended, Some(ISSUER), in_seconds(600));
    assert_eq!(end.await.unwrap(), None, "it was not live");
    for subject in [&alice, &bob] {
        assert_eq!(sessions.list(subject).await.unwrap(), []);
    }
    // They are gone for good, also once their revocation has expired. Bob's may not be deleted:
    // after a loss his record may be missing for a moment only.
    for (sid, is_kept) in [
        (found, false),
        (listed, false),
        (ended, false),
        (bobs, true),
    ] {
        assert_eq!(exists(sid), is_kept);
    }
    // Nor do they count.
    let limited = sessions.max_sessions(SessionLimit::RejectLogin(1));
    limited.login(&alice).await.unwrap();
    limited.login(&bob).await.unwrap();
}

/// Earlier than any valid token.
fn long_ago() -> NumericDate {
    NumericDate::from_seconds(1_000_000_000).unwrap()
}

/// On any node, and however early the revocation ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_revoked_can_never_be_renewed() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let sessions = sessions(&nodes[0]);
    let tokens = sessions
        .login(&sessions.subject_named("alice"))
        .await
        .unwrap();
    let other = sessions
        .login(&sessions.subject_named("alice"))
        .await
        .unwrap();
    let sid = tokens.sid.to_string();
    let revoke = |issuer, until| {
        let (node, sid) = (&nodes[1], &sid);
        async move {
            let revocation = Revocation::Session { issuer, sid, until };
            node.revoke(&revocation).await.unwrap();
        }
    };
    // A session of another issuer with the same ID is another session.
    for issuer in [None, Some("https://elsewhere.example.com")] {
        revoke(issuer, in_seconds(600)).await;
    }
    let tokens = sessions.refresh(&tokens.refresh_token).await.unwrap();
    revoke(Some(ISSUER), long_ago()).await;
    assert_eq!(is_dead(&nodes[1], tokens.sid), Some(true));
    eventually("dead on both", || {
        is_dead(&nodes[0], tokens.sid) == Some(true)
    })
    .await;
    assert_eq!(
        sessions
            .list(&sessions.subject_named("alice"))
            .await
            .unwrap()
            .len(),
        1
    );
    // As pruning does after the revocation has expired.
    server.ask::<u64>(client::cmd("DEL").arg("{jwt}:revoked"));
    let error = sessions.refresh(&tokens.refresh_token).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Ended);
    sessions.refresh(&other.refresh_token).await.unwrap();
}

#[tokio::test]
async fn a_generation_ends_the_sessions_before_it() {
    let server = Server::start(&[]);
    let node = node(server.client()).await;
    let sessions = sessions(&node);
    let tokens = sessions
        .login(&sessions.subject_named("alice"))
        .await
        .unwrap();
    let raise = |until| {
        let node = &node;
        async move {
            let revocation = Revocation::Generation {
                issuer: Some(ISSUER),
                subject: "alice",
                generation: 1,
                until,
            };
            node.revoke(&revocation).await.unwrap();
        }
    };
    raise(long_ago()).await;
    let token = TokenIdentity::new(in_seconds(200)).issuer(ISSUER);
    let token = token.subject("alice").generation(0);
    assert_eq!(node.peek(&token), Some(true));
    assert_eq!(node.find(tokens.sid).await.unwrap(), None);
    assert!(sessions.refresh(&tokens.refresh_token).await.is_err());
    let after = sessions
        .login(&sessions.subject_named("alice"))
        .await
        .unwrap();
    raise(in_seconds(600)).await;
    sessions.refresh(&after.refresh_token).await.unwrap();
}

/// The server lost the session: it was evicted, or an older snapshot was restored. The logout still
/// revokes its access tokens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_of_a_lost_session_ends_its_access_tokens() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let sessions = sessions(&nodes[0]);
    let first = sessions
        .login(&sessions.subject_named("alice"))
        .await
        .unwrap();
    let second = sessions
        .login(&sessions.subject_named("alice"))
        .await
        .unwrap();
    let evict = |sid: SessionId| {
        let key = format!("{{jwt}}:session:{sid}");
        assert_eq!(server.ask::<u64>(client::cmd("DEL").arg(key)), 1);
    };
    evict(first.sid);
    evict(second.sid);
    sessions.logout(&first.refresh_token).await.unwrap();
    assert_eq!(is_dead(&nodes[0], first.sid), Some(true));
    sessions.end_session(second.sid).await.unwrap();
    assert_eq!(is_dead(&nodes[0], second.sid), Some(true));
    eventually("dead on the other", || {
        let dead = |tokens: &TokenPair| is_dead(&nodes[1], tokens.sid) == Some(true);
        dead(&first) && dead(&second)
    })
    .await;
    // For the longest lifetime of a token. A second logout does not extend it.
    let ends = || {
        let mut ends = client::cmd("ZRANGE");
        // The last is the empty member.
        ends.arg("{jwt}:revoked").arg(0).arg(-2).arg("WITHSCORES");
        server.ask::<Vec<(client::Value, u64)>>(&mut ends)
    };
    let before = ends();
    assert_eq!(before.len(), 2);
    for (_, end) in &before {
        let in_a_day = in_seconds(86_400).seconds();
        assert!((in_a_day - 60..=in_a_day + 1).contains(end), "{end}");
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    sessions.logout(&first.refresh_token).await.unwrap();
    assert_eq!(ends(), before);
    // Neither does the second logout of a session that the server had.
    let third = sessions
        .login(&sessions.subject_named("alice"))
        .await
        .unwrap();
    for _ in 0..2 {
        sessions.logout(&third.refresh_token).await.unwrap();
    }
    let ends = ends();
    assert_eq!(ends.len(), 3);
    assert!(ends[0].1 <= in_seconds(301).seconds());
}

/// The server's clock was ahead at the rotation, and has been set back since.
#[tokio::test]
async fn l08_a_server_clock_that_steps_back_does_not_lengthen_the_grace() {
    let server = Server::start(&[]);
    let node = node(server.client()).await;
    let sessions = sessions(&node).grace(Duration::from_secs(2));
    let renewed_ahead = async |milliseconds: u64| {
        let first = sessions
            .login(&sessions.subject_named("alice"))
            .await
            .unwrap();
        sessions.refresh(&first.refresh_token).await.unwrap();
        let key = format!("{{jwt}}:session:{}", first.sid);
        let mut ahead = client::cmd("HINCRBY");
        server.ask::<u64>(ahead.arg(&key).arg("t").arg(milliseconds));
        (first, key)
    };
    // By less than the grace: the age is measured from the present time of the clock.
    let (first, key) = renewed_ahead(1500).await;
    sessions.refresh(&first.refresh_token).await.unwrap();
    let stored = server.ask::<u64>(client::cmd("HGET").arg(&key).arg("t"));
    let (seconds, _) = server.ask::<(u64, u64)>(&mut client::cmd("TIME"));
    assert!(stored / 1000 <= seconds);
    tokio::time::sleep(Duration::from_millis(2000)).await;
    let error = sessions.refresh(&first.refresh_token).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::ReuseDetected);
    // By more than the grace: the age of the rotation is unknown.
    let (first, _) = renewed_ahead(40_000).await;
    let error = sessions.refresh(&first.refresh_token).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::ReuseDetected);
}

/// A replica whose clock is behind replaces the master.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l08_a_promoted_server_whose_clock_is_behind_does_not_lengthen_the_grace() {
    let master = Server::ahead(40);
    let replica = master.replica(0);
    let way = Proxy::to(master.port).await;
    let node = node(way.client()).await;
    let sessions = sessions(&node);
    let first = sessions
        .login(&sessions.subject_named("alice"))
        .await
        .unwrap();
    sessions.refresh(&first.refresh_token).await.unwrap();
    let has_it = || {
        let key = format!("{{jwt}}:session:{}", first.sid);
        replica.ask::<Option<u64>>(client::cmd("HGET").arg(key).arg("k")) == Some(1)
    };
    eventually("the replica has it", has_it).await;
    replica.ask::<()>(client::cmd("REPLICAOF").arg("NO").arg("ONE"));
    way.lead_to(replica.port);
    way.cut();
    let error = loop {
        match sessions.refresh(&first.refresh_token).await {
            Err(error) if error.kind() == SessionErrorKind::Unavailable => {}
            refreshed => break refreshed.unwrap_err(),
        }
    };
    assert_eq!(error.kind(), SessionErrorKind::ReuseDetected);
}

/// As the docs of `Sessions::refresh` say: after `Unavailable` the token may have been used. Within
/// the grace a retry works, after it the retry is reuse.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l07_after_a_lost_answer_a_retry_works_within_the_grace_and_is_reuse_after_it() {
    let server = Server::start(&[]);
    let way = Proxy::to(server.port).await;
    let other = node(server.client()).await;
    // Far from the server's clock, so that the node's clock decides.
    let clock = ManualClock::at(1_700_000_000);
    let node = crate::connect(crate::options().clock(clock.clone()), way.client()).await;
    let sessions = sessions(&node).clock(clock.clone());
    for (later, kind) in [(9, None), (12, Some(SessionErrorKind::ReuseDetected))] {
        let first = sessions
            .login(&sessions.subject_named("alice"))
            .await
            .unwrap();
        let first = sessions.refresh(&first.refresh_token).await.unwrap();
        way.set(Flow::StopsRenewals);
        let error = sessions.refresh(&first.refresh_token).await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
        way.set(Flow::Passes);
        way.cut();
        let session = other.find(first.sid).await.unwrap().unwrap();
        assert_eq!(session.counter, 2, "it was used");
        clock.advance(Duration::from_secs(later));
        let retried = sessions.refresh(&first.refresh_token).await;
        assert_eq!(retried.err().map(|error| error.kind()), kind, "{later}");
    }
}
