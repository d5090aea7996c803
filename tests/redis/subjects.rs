//! Blocks and generations: the last change applies, also to nodes that were away.

use std::time::Duration;

use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::revocation::{Revocation, RevocationStore, TokenIdentity};
use tower_jwt_auth::session::{SessionErrorKind, SessionStore, Subject};
use tower_jwt_auth::store::RedisStore;
use tower_jwt_auth::store::redis::client::cmd;

use crate::load::{ISSUER, in_seconds};
use crate::proxy::{Flow, Proxy};
use crate::server::Server;
use crate::sessions::sessions;
use crate::{eventually, node, nodes};

fn alice() -> Subject<'static> {
    Subject::new(Some(ISSUER), "alice")
}

/// Whether a node rejects a token of alice with that generation, issued now. `None`: it is stale.
fn is_dead(store: &RedisStore, generation: u64) -> Option<bool> {
    let token = TokenIdentity::new(in_seconds(200))
        .issuer(ISSUER)
        .jti("some");
    let token = token.issued_at(in_seconds(0)).subject("alice");
    store.peek(&token.generation(generation))
}

async fn generation(store: &RedisStore) -> u64 {
    store.subject(&alice()).await.unwrap().generation
}

async fn is_blocked(store: &RedisStore) -> bool {
    store.subject(&alice()).await.unwrap().blocked
}

fn make_all_nodes_load(server: &Server) {
    server.ask::<u64>(cmd("XTRIM").arg("{jwt}:stream").arg("MAXLEN").arg(0));
    server.ask::<()>(cmd("HSET").arg("{jwt}:last").arg("hash").arg("another"));
}

#[tokio::test]
async fn k03_log_out_everywhere_then_a_login_in_the_same_second() {
    let server = Server::start(&[]);
    // Fresh also on a busy machine.
    let node = || crate::connect(crate::options(), server.client());
    let nodes = [node().await, node().await, node().await];
    for round in 1..=20 {
        let node = &nodes[round % 3];
        sessions(node)
            .logout_everywhere(&sessions(node).subject_named("alice"))
            .await
            .unwrap();
        let generation = generation(node).await;
        assert_eq!(is_dead(node, generation - 1), Some(true));
        let next = sessions(&nodes[(round + 1) % 3]);
        next.login(&next.subject_named("alice")).await.unwrap();
        for node in &nodes {
            assert_eq!(is_dead(node, generation), Some(false));
            eventually("dead", || is_dead(node, generation - 1) == Some(true)).await;
        }
    }
}

#[tokio::test]
async fn k03_a_cutoff_applies_beside_a_generation_on_all_nodes() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let sessions = sessions(&nodes[0]);
    let alice = sessions.subject_named("alice");
    sessions.logout_everywhere(&alice).await.unwrap();
    let generation = generation(&nodes[0]).await;
    for node in &nodes {
        eventually("alive", || is_dead(node, generation) == Some(false)).await;
    }
    let cutoff = Revocation::Cutoff {
        issuer: Some(ISSUER),
        subject: "alice",
        issued_at: in_seconds(60),
        until: in_seconds(400),
    };
    nodes[1].revoke(&cutoff).await.unwrap();
    assert_eq!(is_dead(&nodes[1], generation), Some(true));
    eventually("dead", || is_dead(&nodes[0], generation) == Some(true)).await;
    // A node that starts later loads it.
    make_all_nodes_load(&server);
    let late = node(server.client()).await;
    for node in [&nodes[0], &nodes[1], &late] {
        eventually("dead", || is_dead(node, generation) == Some(true)).await;
    }
}

#[tokio::test]
async fn k05_a_block_holds_on_all_nodes_until_it_is_lifted() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let [one, other] = [sessions(&nodes[0]), sessions(&nodes[1])];
    let pair = one.login(&one.subject_named("alice")).await.unwrap();
    let begun = other.begin(&other.subject_named("alice")).await.unwrap();
    one.block(&one.subject_named("alice")).await.unwrap();
    assert_eq!(is_dead(&nodes[0], 0), Some(true));
    eventually("dead", || is_dead(&nodes[1], 0) == Some(true)).await;
    for error in [
        other.complete(begun).await.unwrap_err(),
        other
            .login(&other.subject_named("alice"))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), SessionErrorKind::Blocked);
    }
    assert!(other.refresh(&pair.refresh_token).await.is_err());
    other.unblock(&other.subject_named("alice")).await.unwrap();
    let generation = generation(&nodes[0]).await;
    one.login(&one.subject_named("alice")).await.unwrap();
    for node in &nodes {
        eventually("alive", || is_dead(node, generation) == Some(false)).await;
        assert_eq!(is_dead(node, 0), Some(true));
    }
}

/// A node is away while other nodes change the subject. When it returns, the stream was trimmed.
async fn away(changes: usize, then_blocked: bool) {
    let server = Server::start(&[]);
    let way = Proxy::to(server.port).await;
    let (sleeper, other) = (node(way.client()).await, node(server.client()).await);
    sleeper.block(&alice()).await.unwrap();
    eventually("read", || is_dead(&other, 0) == Some(true)).await;
    way.set(Flow::Stops);
    eventually("stale", || !sleeper.state().is_fresh).await;
    assert_eq!(is_dead(&sleeper, 1), Some(true));
    other.unblock(&alice()).await.unwrap();
    for _ in 0..changes {
        other.raise_generation(&alice()).await.unwrap();
    }
    if then_blocked {
        other.block(&alice()).await.unwrap();
    }
    make_all_nodes_load(&server);
    way.set(Flow::Passes);
    eventually("fresh", || sleeper.state().is_fresh).await;
    let generation = generation(&sleeper).await;
    // Long enough for a wrong write-back.
    tokio::time::sleep(Duration::from_millis(300)).await;
    make_all_nodes_load(&server);
    for node in [&sleeper, &other, &node(server.client()).await] {
        assert_eq!(is_blocked(node).await, then_blocked);
        eventually("as it should be", || {
            is_dead(node, generation) == Some(then_blocked)
        })
        .await;
        assert_eq!(is_dead(node, 0), Some(true));
    }
}

#[tokio::test]
async fn a_lifted_block_is_not_written_back_by_a_node_that_slept() {
    away(0, false).await;
}

#[tokio::test]
async fn a_block_that_was_lifted_long_ago_is_not_written_back_by_a_node_that_slept() {
    away(20, false).await;
}

#[tokio::test]
async fn a_block_is_not_lifted_by_a_node_that_slept() {
    away(3, true).await;
}

#[tokio::test]
async fn a_block_that_the_server_has_lost_is_written_back() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    nodes[0].raise_generation(&alice()).await.unwrap();
    nodes[0].block(&alice()).await.unwrap();
    for _ in 0..3 {
        server.ask::<()>(&mut cmd("FLUSHALL"));
        let new = node(server.client()).await;
        let mut tries = 0;
        while !is_blocked(&new).await {
            tries += 1;
            assert!(tries < 1000, "not restored");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(generation(&new).await, 2);
        eventually("dead", || is_dead(&new, 2) == Some(true)).await;
    }
}

/// The server loses a block, and the subject is changed before a node writes the block back. Both
/// changes apply.
async fn split(lifted_before: bool) {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    nodes[0].raise_generation(&alice()).await.unwrap();
    if lifted_before {
        nodes[0].block(&alice()).await.unwrap();
        nodes[0].unblock(&alice()).await.unwrap();
    }
    let before: Vec<(Vec<u8>, Vec<u8>)> = server.ask(cmd("HGETALL").arg("{jwt}:subjects"));
    nodes[0].block(&alice()).await.unwrap();
    let blocked_at = generation(&nodes[0]).await;
    eventually("read", || {
        nodes
            .iter()
            .all(|node| is_dead(node, blocked_at) == Some(true))
    })
    .await;
    // In one step: the loss and a change after it.
    let (field, old) = before.iter().find(|(field, _)| !field.is_empty()).unwrap();
    let old = std::str::from_utf8(old).unwrap();
    let mut parts: Vec<String> = old.splitn(7, ':').map(str::to_owned).collect();
    parts[0] = (parts[0].parse::<u64>().unwrap() + 1).to_string();
    parts[4] = (parts[4].parse::<u64>().unwrap() + 1).to_string();
    // A logout everywhere: the generation is the new access epoch.
    parts[5] = parts[0].clone();
    parts[6] = format!("12345678,{}", parts[6]);
    server.ask::<u64>(
        cmd("HSET")
            .arg("{jwt}:subjects")
            .arg(field)
            .arg(parts.join(":")),
    );
    make_all_nodes_load(&server);
    let loads = nodes[0].state().loads;
    while !is_blocked(&nodes[1]).await || nodes[0].state().loads == loads {
        assert_eq!(is_dead(&nodes[0], blocked_at), Some(true));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let new = node(server.client()).await;
    for node in [&nodes[0], &nodes[1], &new] {
        assert_eq!(is_dead(node, blocked_at + 1), Some(true));
    }
    // Once the block is lifted, it stays lifted on all nodes.
    new.unblock(&alice()).await.unwrap();
    make_all_nodes_load(&server);
    for node in [&nodes[0], &nodes[1], &new] {
        eventually("alive", || is_dead(node, blocked_at + 1) == Some(false)).await;
    }
    assert!(!is_blocked(&new).await);
}

#[tokio::test]
async fn a_block_that_another_history_lacks_applies() {
    split(false).await;
}

#[tokio::test]
async fn a_second_block_that_another_history_lacks_applies() {
    split(true).await;
}

/// Two nodes that know thirty changes of alice, which the server has lost.
async fn nodes_that_know_more(server: &Server) -> Vec<RedisStore> {
    let nodes = nodes(server, 2).await;
    for _ in 0..30 {
        nodes[0].raise_generation(&alice()).await.unwrap();
    }
    eventually("both know", || {
        nodes.iter().all(|node| is_dead(node, 29) == Some(true))
    })
    .await;
    server.ask::<()>(&mut cmd("FLUSHALL"));
    nodes
}

/// A node knows nine changes that the server has lost, and blocks the subject. The last change must
/// not be taken for the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k05_a_block_after_a_loss_applies_beside_the_longer_history() {
    let server = Server::start(&[]);
    let nodes = nodes_that_know_more(&server).await;
    nodes[1].block(&alice()).await.unwrap();
    assert_eq!(is_dead(&nodes[1], 1000), Some(true));
    for node in &nodes {
        eventually("read anew", || {
            node.state().loads > 1 && node.state().is_fresh
        })
        .await;
    }
    eventually("both are told", || {
        nodes.iter().all(|node| is_dead(node, 1000) == Some(true))
    })
    .await;
    make_all_nodes_load(&server);
    for node in &nodes {
        eventually("read once more", || {
            node.state().loads > 2 && node.state().is_fresh
        })
        .await;
        assert_eq!(is_dead(node, 1000), Some(true));
    }
    assert!(is_blocked(&nodes[0]).await);
}

/// The server has lost everything, so it takes the subject for one of another issuer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k05_a_block_of_a_subject_that_the_server_has_forgotten_logs_out() {
    let server = Server::start(&[]);
    let nodes = nodes_that_know_more(&server).await;
    let (issuer, subject) = (Some(ISSUER), "alice");
    let block = Revocation::Block { issuer, subject };
    nodes[1].revoke(&block).await.unwrap();
    for node in &nodes {
        eventually("blocked", || {
            node.state().loads > 1 && is_dead(node, 1000) == Some(true)
        })
        .await;
    }
    nodes[0].lift_block(issuer, subject).await.unwrap();
    for node in &nodes {
        eventually("lifted", || is_dead(node, 1000) == Some(false)).await;
        eventually("logged out", || is_dead(node, 30) == Some(true)).await;
    }
}

/// The server lost that alice was logged out everywhere. The next logout everywhere starts from
/// generation 0 there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k03_a_generation_after_a_loss_rejects_older_tokens() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    assert_eq!(nodes[0].raise_generation(&alice()).await.unwrap(), 1);
    eventually("both know", || {
        nodes.iter().all(|node| is_dead(node, 0) == Some(true))
    })
    .await;
    assert_eq!(is_dead(&nodes[0], 1), Some(false));
    server.ask::<()>(&mut cmd("FLUSHALL"));
    nodes[0].raise_generation(&alice()).await.unwrap();
    for node in &nodes {
        eventually("dead", || is_dead(node, 1) == Some(true)).await;
    }
    let mut raised = 1;
    while raised == 1 {
        raised = generation(&nodes[1]).await;
    }
    sessions(&nodes[1])
        .login(&sessions(&nodes[1]).subject_named("alice"))
        .await
        .unwrap();
    let generation = generation(&nodes[1]).await;
    for node in &nodes {
        eventually("dead", || is_dead(node, generation - 1) == Some(true)).await;
        eventually("alive", || is_dead(node, generation) == Some(false)).await;
    }
}

/// Without a restart and without other writes.
#[tokio::test]
async fn expired_records_are_dropped() {
    let server = Server::start(&[]);
    let clock = ManualClock::at(in_seconds(0).seconds());
    let options = crate::options().max_staleness(Duration::from_secs(10));
    let node = crate::connect(options.clock(clock.clone()), server.client()).await;
    for number in 0..50 {
        let name = format!("user-{number}");
        let subject = Subject::new(None, &name);
        node.raise_generation(&subject).await.unwrap();
    }
    node.block(&alice()).await.unwrap();
    assert_eq!(node.state().subjects, 51);
    clock.advance(Duration::from_secs(25 * 3600));
    eventually("dropped", || node.state().subjects == 1).await;
    assert_eq!(is_dead(&node, 9), Some(true));
    assert_eq!(node.state().loads, 1);
}

/// A user of another issuer has no generation here. Tokens that are issued after the block is
/// lifted are accepted.
#[tokio::test]
async fn a_block_of_another_issuers_user_is_lifted() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let issuer = Some("https://accounts.example.net");
    let subject = "mallory";
    let (before, after) = (in_seconds(0), in_seconds(100));
    let is_rejected = |node: &RedisStore, issued: NumericDate| {
        let token = TokenIdentity::new(in_seconds(200)).jti("some");
        let token = token
            .issuer("https://accounts.example.net")
            .subject(subject);
        node.peek(&token.issued_at(issued))
    };
    nodes[0]
        .revoke(&Revocation::Block { issuer, subject })
        .await
        .unwrap();
    for node in &nodes {
        eventually("blocked", || is_rejected(node, after) == Some(true)).await;
    }
    assert!(nodes[1].lift_block(issuer, subject).await.unwrap());
    for node in &nodes {
        eventually("lifted", || is_rejected(node, after) == Some(false)).await;
        assert_eq!(is_rejected(node, before), Some(true));
    }
    // A block by the sessions of a subject that is blocked already raises its generation.
    nodes[0]
        .revoke(&Revocation::Block { issuer, subject })
        .await
        .unwrap();
    let user = Subject::new(issuer, subject);
    assert_eq!(nodes[1].subject(&user).await.unwrap().generation, 0);
    nodes[1].block(&user).await.unwrap();
    assert_eq!(nodes[1].subject(&user).await.unwrap().generation, 1);
}
