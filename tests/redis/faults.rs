//! Redis and the network fail under load.
//!
//! A revocation that a node has read or made stays in force on every fresh node. Each node recovers
//! by itself.

use std::time::Duration;

use tower_jwt_auth::revocation::RevocationStore;
use tower_jwt_auth::session::{SessionStore, Subject};
use tower_jwt_auth::store::RedisStore;
use tower_jwt_auth::store::redis::client::cmd;

use crate::edge::Edges;
use crate::load::{Load, Thing, in_seconds};
use crate::proxy::{Flow, Proxy};
use crate::server::Server;
use crate::{LONG, STALENESS, all_fresh, connect, eventually, node, nodes, options};

const PAUSE: Duration = Duration::from_millis(5);

async fn killed(options: &[&str]) {
    let mut server = Server::start(options);
    let nodes = nodes(&server, 3).await;
    let edges = Edges::over(&nodes[0]).await;
    let load = Load::on(&nodes, PAUSE);
    load.go_on(100).await;
    for _ in 0..3 {
        server.kill();
        edges.knows_nothing().await;
        server.run();
        load.go_on(200).await;
        edges.knows().await;
    }
    all_fresh(&nodes).await;
    let new = node(server.client()).await;
    load.settle(&[&new]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_killed_that_syncs_always() {
    killed(&["--appendonly", "yes", "--appendfsync", "always"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_killed_that_syncs_every_second() {
    killed(&["--appendonly", "yes", "--appendfsync", "everysec"]).await;
}

/// All nodes end too, so none can write anything back.
///
/// `writes_first`: whether the server has written everything to the file when it is killed.
async fn killed_with_all_nodes(options: &[&str], writes_first: bool) {
    let mut server = Server::start(options);
    let nodes = nodes(&server, 2).await;
    let mut load = Load::on(&nodes, Duration::ZERO);
    load.go_on(500).await;
    if writes_first {
        load.stop().await;
        eventually("everything is written", || {
            server.number("persistence", "aof_buffer_length") == 0
        })
        .await;
    }
    server.kill();
    let acknowledged = load.stop().await;
    drop((load, nodes));
    server.run();
    let new = node(server.client()).await;
    for thing in &acknowledged {
        assert_eq!(new.peek(&thing.token()), Some(true), "{thing:?}");
    }
    println!("{} revocations were kept", acknowledged.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_keeps_what_it_syncs_always() {
    let options = ["--appendonly", "yes", "--appendfsync", "always"];
    killed_with_all_nodes(&options, false).await;
}

/// The process is killed, and the machine runs on. While the server syncs, it delays its writes to
/// the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_keeps_what_it_syncs_every_second() {
    let options = ["--appendonly", "yes", "--appendfsync", "everysec"];
    killed_with_all_nodes(&options, true).await;
}

/// A master without replicas may have been replaced: it rejects writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_without_replicas_says_so() {
    let limits = [
        "--min-replicas-to-write",
        "1",
        "--min-replicas-max-lag",
        "1",
    ];
    let master = Server::start(&limits);
    let replica = master.replica(0);
    let node = node(master.client()).await;
    let edges = Edges::over(&node).await;
    drop(replica);
    edges.knows_nothing().await;
    let thing = Thing::new(0, in_seconds(600));
    assert!(node.revoke(&thing.revocation()).await.is_err());
    let _replica = master.replica(0);
    edges.knows().await;
    node.revoke(&thing.revocation()).await.unwrap();
}

/// The server loses everything, and gets what the nodes write back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_killed_that_keeps_nothing() {
    killed(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_forgets_everything() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 3).await;
    let load = Load::on(&nodes, PAUSE);
    for _ in 0..5 {
        load.go_on(200).await;
        server.ask::<()>(&mut cmd("FLUSHALL"));
    }
    load.go_on(200).await;
    eventually("all have noticed", || {
        nodes.iter().all(|node| node.state().loads > 1)
    })
    .await;
    all_fresh(&nodes).await;
    let new = node(server.client()).await;
    load.settle(&[&new]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_cut_and_killed() {
    let server = Server::start(&[]);
    let proxy = Proxy::to(server.port).await;
    let nodes = [node(proxy.client()).await, node(server.client()).await];
    let edges = Edges::over(&nodes[0]).await;
    let load = Load::on(&nodes, PAUSE);
    for _ in 0..20 {
        load.go_on(20).await;
        proxy.cut();
        load.go_on(20).await;
        server.ask::<u64>(cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal"));
    }
    // No client notices short outages.
    edges.as_ever().await;
    proxy.set(Flow::Refused);
    proxy.cut();
    edges.knows_nothing().await;
    proxy.set(Flow::Passes);
    edges.knows().await;
    all_fresh(&nodes).await;
    let new = node(server.client()).await;
    load.settle(&[&new]).await;
}

async fn half_open(flow: Flow) {
    let server = Server::start(&[]);
    let proxy = Proxy::to(server.port).await;
    let nodes = [node(proxy.client()).await, node(server.client()).await];
    let edges = Edges::over(&nodes[0]).await;
    let load = Load::on(&nodes, PAUSE);
    for _ in 0..2 {
        load.go_on(50).await;
        proxy.set(flow);
        edges.knows_nothing().await;
        load.go_on(50).await;
        proxy.set(Flow::Passes);
        edges.knows().await;
    }
    all_fresh(&nodes).await;
    let new = node(server.client()).await;
    load.settle(&[&new]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_comes_through() {
    half_open(Flow::Stops).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_comes_through() {
    half_open(Flow::StopsAnswers).await;
}

/// A connection stays half open: the store replaces it, and the next one works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_dead_is_given_up() {
    let server = Server::start(&[]);
    let (dead, alive) = (Proxy::to(server.port).await, Proxy::to(server.port).await);
    let way = Proxy::to(0).await;
    way.lead_to(dead.port());
    let node = node(way.client()).await;
    dead.set(Flow::Stops);
    way.lead_to(alive.port());
    eventually("stale", || !node.state().is_fresh).await;
    eventually("fresh", || node.state().is_fresh).await;
}

/// Promotes a replica that lacks the last writes.
async fn promoted(seconds_ahead: i64) {
    let master = Server::start(&[]);
    let replica = master.replica(seconds_ahead);
    let to_replica = Proxy::to(master.port).await;
    replica.ask::<()>(cmd("REPLICAOF").arg("127.0.0.1").arg(to_replica.port()));
    replica.wait_for("master_link_status:up");
    let proxies = [Proxy::to(master.port).await, Proxy::to(master.port).await];
    let nodes = [
        node(proxies[0].client()).await,
        node(proxies[1].client()).await,
    ];
    let edges = Edges::over(&nodes[0]).await;
    let load = Load::on(&nodes, PAUSE);
    load.go_on(200).await;
    to_replica.set(Flow::Stops);
    load.go_on(200).await;
    // At the same time, during writes.
    replica.ask::<()>(cmd("REPLICAOF").arg("NO").arg("ONE"));
    for proxy in &proxies {
        proxy.lead_to(replica.port);
        proxy.cut();
    }
    load.go_on(200).await;
    edges.knows().await;
    drop(master);
    all_fresh(&nodes).await;
    let new = node(replica.client()).await;
    load.settle(&[&new]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_promoted_that_lacks_the_last_writes() {
    promoted(0).await;
}

/// By a quarter of an hour: the IDs of its stream are lower than those that the nodes have read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_promoted_whose_clock_is_behind() {
    promoted(-900).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_promoted_whose_clock_is_ahead() {
    promoted(900).await;
}

/// The server loses a write before its node has read it. The other nodes have read no more than the
/// new server has, so the stream continues for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_nobody_has_read_is_lost() {
    let master = Server::start(&[]);
    let replica = master.replica(0);
    let to_replica = Proxy::to(master.port).await;
    replica.ask::<()>(cmd("REPLICAOF").arg("127.0.0.1").arg(to_replica.port()));
    replica.wait_for("master_link_status:up");
    let way = Proxy::to(master.port).await;
    // A long staleness makes heartbeats rare, so that none interferes.
    let options = options().max_staleness(Duration::from_secs(20));
    let writer = connect(options.clone(), way.client()).await;
    let reader = connect(options, way.client()).await;
    let thing = Thing::new(0, in_seconds(600));
    let offset = |server: &Server| server.number("replication", "master_repl_offset");
    eventually("the replica has all", || {
        offset(&master) == offset(&replica)
    })
    .await;
    to_replica.set(Flow::Stops);
    way.set(Flow::StopsReads);
    writer.revoke(&thing.revocation()).await.unwrap();
    replica.ask::<()>(cmd("REPLICAOF").arg("NO").arg("ONE"));
    way.lead_to(replica.port);
    way.cut();
    way.set(Flow::Passes);
    drop(master);
    assert_eq!(writer.peek(&thing.token()), Some(true));
    eventually("the other node has it", || {
        reader.peek(&thing.token()) == Some(true)
    })
    .await;
    let new = node(replica.client()).await;
    assert_eq!(new.peek(&thing.token()), Some(true));
}

/// A node is cut off while the stream is trimmed beyond its position. Nothing else fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_is_trimmed_beyond_a_node_that_slept() {
    let server = Server::start(&[]);
    let proxy = Proxy::to(server.port).await;
    let nodes: [RedisStore; 2] = [node(proxy.client()).await, node(server.client()).await];
    let edges = Edges::over(&nodes[0]).await;
    let load = Load::on(&nodes, PAUSE);
    load.go_on(100).await;
    proxy.set(Flow::Stops);
    edges.knows_nothing().await;
    load.go_on(100).await;
    server.ask::<u64>(cmd("XTRIM").arg("{jwt}:stream").arg("MAXLEN").arg(0));
    load.go_on(10).await;
    proxy.set(Flow::Passes);
    edges.knows().await;
    assert!(nodes[0].state().loads >= 2);
    all_fresh(&nodes).await;
    load.settle(&[]).await;
}

/// Redis is away for longer than any call waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_away_at_the_start() {
    let mut server = Server::start(&[]);
    server.kill();
    let store = options()
        .max_staleness(STALENESS)
        .connect(server.client())
        .await;
    let store = store.unwrap();
    let thing = Thing::new(0, in_seconds(600));
    assert!(store.revoke(&thing.revocation()).await.is_err());
    assert!(store.ready(Duration::from_millis(100)).await.is_err());
    assert!(!store.state().is_fresh);
    server.run();
    store.ready(crate::LONG).await.unwrap();
    let edges = Edges::over(&store).await;
    edges.knows().await;
}

/// A complete server replaces the one whose state a node is loading. Another call makes the new
/// connection, so the load would continue without an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_replaced_while_the_state_is_read() {
    const COUNT: u64 = 5000;
    let mut server = Server::start(&[]);
    let first = node(server.client()).await;
    let expires_at = in_seconds(3000);
    let writers: Vec<_> = (0..50)
        .map(|writer| {
            let node = first.clone();
            tokio::spawn(async move {
                for number in (writer..COUNT).step_by(50) {
                    let thing = Thing::new(number * 6, expires_at);
                    node.revoke(&thing.revocation()).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    // This node would write back what the others lack.
    drop(first);
    // Members of another program, so that there is much to load.
    let fill = "for i = 1, 300000 do redis.call('ZADD', KEYS[1], 4000000000, string.format('%016d', i)) end";
    server.ask::<()>(cmd("EVAL").arg(fill).arg(1).arg("{jwt}:revoked"));
    for round in 0..4_u64 {
        let next = server.replica(0);
        let proxy = Proxy::to(server.port).await;
        let store = options().connect(proxy.client()).await.unwrap();
        let busy: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    loop {
                        let _ = store.subject(&Subject::new(None, "bob")).await;
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(350 + 100 * round)).await;
        next.ask::<()>(cmd("REPLICAOF").arg("NO").arg("ONE"));
        proxy.lead_to(next.port);
        proxy.cut();
        store.ready(LONG).await.unwrap();
        let is_missing = |number: &u64| {
            let thing = Thing::new(number * 6, expires_at);
            store.peek(&thing.token()) != Some(true)
        };
        assert_eq!((0..COUNT).filter(is_missing).count(), 0, "{round}");
        busy.iter().for_each(tokio::task::JoinHandle::abort);
        server = next;
    }
}
