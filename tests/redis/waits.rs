//! Whom `revoke_and_wait` waits for, and for how long.

use std::time::Duration;

use tokio::task::JoinHandle;
use tower_jwt_auth::revocation::RevocationStore;
use tower_jwt_auth::store::RedisStore;
use tower_jwt_auth::store::redis::RedisStoreError;
use tower_jwt_auth::store::redis::client::cmd;

use crate::access::{allow, client, documented};
use crate::load::{Thing, in_seconds};
use crate::proxy::{Flow, Proxy};
use crate::server::Server;
use crate::{LONG, STALENESS, connect, eventually, node, options};

/// Revokes the thing, and waits for the other nodes in a task.
async fn begin_to_wait(
    maker: &RedisStore,
    thing: &Thing,
) -> JoinHandle<Result<(), RedisStoreError>> {
    let waiting = tokio::spawn({
        let (maker, thing) = (maker.clone(), thing.clone());
        async move { maker.revoke_and_wait(&thing.revocation(), LONG).await }
    });
    eventually("it is revoked", || maker.peek(&thing.token()) == Some(true)).await;
    waiting
}

/// Asserts that the wait ends, although the other node never reads the entry, and that the other
/// node is stale by then.
async fn is_not_waited_for(maker: &RedisStore, other: &RedisStore) {
    let thing = Thing::new(600, in_seconds(600));
    maker
        .revoke_and_wait(&thing.revocation(), LONG)
        .await
        .unwrap();
    assert_ne!(other.peek(&thing.token()), Some(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_node_is_waited_for_until_it_is_stale() {
    let server = Server::start(&[]);
    let small = options().max_staleness(STALENESS).capacity(1);
    let small = connect(small, server.client()).await;
    let large = node(server.client()).await;
    for number in [0, 6] {
        let thing = Thing::new(number, in_seconds(600));
        large.revoke(&thing.revocation()).await.unwrap();
    }
    eventually("full", || !small.state().is_fresh).await;
    is_not_waited_for(&large, &small).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_read_the_stream_is_not_waited_for() {
    let server = Server::start(&[]);
    let rules = documented();
    let rules: Vec<_> = rules.into_iter().filter(|rule| *rule != "+xread").collect();
    allow(&server, &rules);
    let blind = options().max_staleness(STALENESS);
    let blind = blind.connect(client(&server)).await.unwrap();
    eventually("loaded", || blind.state().loads > 0).await;
    let maker = node(server.client()).await;
    is_not_waited_for(&maker, &blind).await;
    // It tries again.
    let loads = blind.state().loads;
    eventually("loaded again", || blind.state().loads > loads).await;
    allow(&server, &documented());
    blind.ready(LONG).await.unwrap();
}

/// The entry is gone before the node that waits has read it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_loads_the_state_goes_on_waiting() {
    let server = Server::start(&[]);
    let way = Proxy::to(server.port).await;
    let (maker, other) = (node(way.client()).await, node(server.client()).await);
    way.set(Flow::StopsReads);
    let thing = Thing::new(0, in_seconds(600));
    let waiting = begin_to_wait(&maker, &thing).await;
    way.set(Flow::HoldsNew);
    way.cut();
    let loads = maker.state().loads;
    server.ask::<u64>(cmd("XTRIM").arg("{jwt}:stream").arg("MAXLEN").arg(0));
    way.set(Flow::Passes);
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(maker.state().loads > loads);
    assert_ne!(other.peek(&thing.token()), Some(false));
}

/// The server is away for longer than the other node is fresh, and may come back without the entry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_does_not_end_while_the_server_is_away() {
    let mut server = Server::start(&[]);
    let way = Proxy::to(server.port).await;
    let (maker, other) = (node(server.client()).await, node(way.client()).await);
    eventually("they know of each other", || maker.state().nodes == 2).await;
    way.set(Flow::Stops);
    let thing = Thing::new(0, in_seconds(600));
    let waiting = begin_to_wait(&maker, &thing).await;
    server.kill();
    tokio::time::sleep(STALENESS * 3).await;
    assert!(!waiting.is_finished());
    server.run();
    way.set(Flow::Passes);
    way.cut();
    waiting.await.unwrap().unwrap();
    assert_ne!(other.peek(&thing.token()), Some(false));
}

/// The maker of a block loads the state while it waits, and another node has lifted the block.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_is_lifted_meanwhile_stays_lifted() {
    let server = Server::start(&[]);
    let way = Proxy::to(server.port).await;
    let patient = || options().max_staleness(Duration::from_secs(5));
    let maker = connect(patient(), server.client()).await;
    let silent = connect(patient(), way.client()).await;
    eventually("they know of each other", || maker.state().nodes == 2).await;
    way.set(Flow::Stops);
    let blocked = Thing::new(5, in_seconds(600));
    let waiting = begin_to_wait(&maker, &blocked).await;
    let other = node(server.client()).await;
    let (issuer, subject) = (blocked.token().issuer, blocked.token().subject.unwrap());
    assert!(other.lift_block(issuer, subject).await.unwrap());

    let loads = maker.state().loads;
    server.ask::<()>(cmd("HSET").arg("{jwt}:last").arg("hash").arg("another"));
    eventually("loaded", || maker.state().loads > loads).await;
    waiting.await.unwrap().unwrap();
    assert!(!other.lift_block(issuer, subject).await.unwrap());
    drop(silent);
}

/// The name of the server leads to another one, and the old one still answers the scripts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_connections_lead_to_two_servers_leaves_the_old_one() {
    let (old, new) = (Server::start(&[]), Server::start(&[]));
    let way = Proxy::to(old.port).await;
    let moved = node(way.client()).await;
    let other = node(new.client()).await;
    way.lead_to(new.port);
    let clients: String = old.ask(cmd("CLIENT").arg("LIST"));
    let reader = clients.lines().find(|line| line.contains("cmd=xread"));
    let id = reader.unwrap().split(['=', ' ']).nth(1).unwrap();
    let _: i64 = old.ask(cmd("CLIENT").arg("KILL").arg("ID").arg(id));
    let thing = Thing::new(0, in_seconds(600));
    other.revoke(&thing.revocation()).await.unwrap();
    eventually("it follows the new one", || {
        moved.peek(&thing.token()) == Some(true) && moved.state().is_fresh
    })
    .await;
    assert!(moved.state().loads < 10, "{:?}", moved.state());
}

/// The maker loads the state while it waits. It writes the revocation again, and no replica has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_write_without_replicas_is_reported() {
    let master = Server::start(&[]);
    let replica = master.replica(0);
    let way = Proxy::to(master.port).await;
    let patient = || options().max_staleness(Duration::from_secs(5));
    let maker = patient().replicas(1, Duration::from_millis(500));
    let maker = connect(maker, master.client()).await;
    let silent = connect(patient(), way.client()).await;
    eventually("they know of each other", || maker.state().nodes == 2).await;
    way.set(Flow::Stops);
    let thing = Thing::new(0, in_seconds(600));
    let waiting = begin_to_wait(&maker, &thing).await;
    // The first write is replicated by now.
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(replica);
    master.ask::<()>(cmd("HSET").arg("{jwt}:last").arg("hash").arg("another"));
    let waited = waiting.await.unwrap();
    assert!(
        matches!(waited, Err(RedisStoreError::Unreplicated)),
        "{waited:?}"
    );
    drop(silent);
}
