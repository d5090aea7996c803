//! Login, renewal and logout over several nodes.

use std::collections::HashSet;
use std::time::Duration;

use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::revocation::{RevocationStore, TokenId};
use tower_jwt_auth::session::{
    RefreshKeys, SessionErrorKind, SessionId, SessionStore, Sessions, TokenPair,
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

/// What a node says of the access tokens of a session.
pub(crate) fn is_dead(store: &RedisStore, sid: SessionId) -> Option<bool> {
    let sid = sid.to_string();
    let token = TokenId::new(in_seconds(200)).issuer(ISSUER).jti("some");
    store.peek(&token.sid(&sid))
}

fn successor(pair: &TokenPair) -> String {
    pair.refresh_token.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l03_a_hundred_renewals_of_one_token_on_three_nodes() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 3).await;
    let sessions: Vec<_> = nodes.iter().map(sessions).collect();
    for _ in 0..10 {
        let first = sessions[0].login("alice").await.unwrap();
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

/// The server renews, and the answer is lost on its way to the node, which asks again: without any grace that is no theft.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l08_the_answer_is_lost_on_the_way_to_the_node() {
    let server = Server::start(&[]);
    let way = Proxy::to(server.port).await;
    let (one, other) = (node(way.client()).await, node(server.client()).await);
    let sessions = sessions(&one).grace(Duration::ZERO);
    let first = sessions.login("alice").await.unwrap();
    // From then on the server knows the script.
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

/// The client did not get it, and asks another node.
#[tokio::test]
async fn l08_the_response_is_lost_on_the_way_to_the_client() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let [one, other] = [sessions(&nodes[0]), sessions(&nodes[1])];
    let first = one.login("alice").await.unwrap();
    let lost = one.refresh(&successor(&first)).await.unwrap();
    let again = other.refresh(&successor(&first)).await.unwrap();
    assert_eq!(successor(&lost), successor(&again));
    one.refresh(&successor(&again)).await.unwrap();
}

/// The grace goes by the server's clock: nodes whose clocks differ by half a minute see no theft in a second tab.
#[tokio::test]
async fn l08_the_clocks_of_the_nodes_differ() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let one = sessions(&nodes[0]);
    let ahead = ManualClock::at(in_seconds(30).seconds());
    let other = sessions(&nodes[1]).clock(ahead);
    let first = one.login("alice").await.unwrap();
    let second = one.refresh(&successor(&first)).await.unwrap();
    let again = other.refresh(&successor(&first)).await.unwrap();
    assert_eq!(successor(&second), successor(&again));
}

#[tokio::test]
async fn l02_a_theft_is_noticed_by_whichever_node() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let [one, other] = [sessions(&nodes[0]), sessions(&nodes[1])];
    // Two renewals ago, on the one; and one ago, without a grace, on the other.
    let first = one.login("alice").await.unwrap();
    let second = one.refresh(&successor(&first)).await.unwrap();
    let third = other.refresh(&successor(&second)).await.unwrap();
    let strict = sessions(&nodes[1]).grace(Duration::ZERO);
    let bob = one.login("bob").await.unwrap();
    let bob_next = one.refresh(&successor(&bob)).await.unwrap();
    for (thief, stolen, current) in [(&one, &first, &third), (&strict, &bob, &bob_next)] {
        assert_eq!(is_dead(&nodes[0], stolen.sid), Some(false));
        let error = thief.refresh(&successor(stolen)).await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Stolen);
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

/// Of all tokens that anybody got, none is alive once the logout has returned on its node, and soon on the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l06_renewals_on_one_node_and_a_logout_on_the_other() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let [one, other] = [sessions(&nodes[0]), sessions(&nodes[1])];
    for round in 0..100 {
        let first = one.login("alice").await.unwrap();
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

/// Whichever node a logout came to first: where it has returned, the session is dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k09_a_second_logout_on_another_node() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let [one, other] = [sessions(&nodes[0]), sessions(&nodes[1])];
    for _ in 0..300 {
        let pair = one.login("alice").await.unwrap();
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
    let first = sessions.login("alice").await.unwrap();
    server.kill();
    for error in [
        sessions.refresh(&successor(&first)).await.unwrap_err(),
        sessions.login("bob").await.unwrap_err(),
        sessions.end_session(first.sid).await.unwrap_err(),
        sessions.logout_everywhere("alice").await.unwrap_err(),
        sessions.block("alice").await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
    }
    server.run();
    sessions.refresh(&successor(&first)).await.unwrap();
}

/// The replicas are away for longer than the grace: renewals go on, and are no theft.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l08_no_replica_hears_of_renewals() {
    let master = Server::start(&[]);
    let replica = master.replica(0);
    let options = crate::options().replicas(1, Duration::from_millis(50));
    let store = crate::connect(options, master.client()).await;
    let sessions = sessions(&store).grace(Duration::ZERO);
    let first = sessions.login("alice").await.unwrap();
    drop(replica);
    let second = sessions.refresh(&first.refresh_token).await.unwrap();
    sessions.refresh(&second.refresh_token).await.unwrap();
    // A theft is one all the same, and is told.
    let error = sessions.refresh(&first.refresh_token).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Stolen);
    assert_eq!(is_dead(&store, first.sid), Some(true));
}

/// The server comes back with a session that was ended, and is told so by the nodes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k09_a_session_that_was_ended_does_not_come_back() {
    let mut server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let sessions = sessions(&nodes[0]);
    let pair = sessions.login("alice").await.unwrap();
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
    // One is always there.
    eventually("it is told", || members() > 1).await;
    let error = sessions.refresh(&pair.refresh_token).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Ended);
    assert_eq!(nodes[1].find(pair.sid).await.unwrap(), None);
}
