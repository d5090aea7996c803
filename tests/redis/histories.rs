//! A replica with another history replaces the master.
//!
//! A revocation that a fresh node knows is also known by a node that starts later.

use std::time::{Duration, Instant};

use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::revocation::{RevocationStore, TokenIdentity};
use tower_jwt_auth::session::{SessionStore, Subject};
use tower_jwt_auth::store::redis::client::cmd;
use tower_jwt_auth::store::{RedisStore, RedisStoreOptions};

use crate::load::{ISSUER, Thing, in_seconds};
use crate::proxy::{Flow, Proxy};
use crate::server::Server;
use crate::{LONG, STALENESS, connect, eventually, options};

/// A staleness so long that no heartbeat interferes.
fn quiet() -> RedisStoreOptions {
    options().max_staleness(LONG).call_timeout(LONG)
}

fn alice() -> Subject<'static> {
    Subject::new(Some(ISSUER), "alice")
}

fn is_dead(store: &RedisStore, generation: u64) -> Option<bool> {
    let token = TokenIdentity::new(in_seconds(200))
        .issuer(ISSUER)
        .jti("some");
    let token = token.issued_at(in_seconds(0)).subject("alice");
    store.peek(&token.generation(generation))
}

/// Waits until nothing is written: nodes send heartbeats when they start.
async fn at_rest(server: &Server) {
    let entries = || server.ask::<u64>(cmd("XLEN").arg("{jwt}:stream"));
    let mut before = entries();
    let mut since = Instant::now();
    eventually("at rest", || {
        let now = entries();
        if now != before {
            (before, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(500)
    })
    .await;
}

/// A master, and a replica of it that can be cut off.
struct Pair {
    master: Server,
    replica: Server,
    replication: Proxy,
}

impl Pair {
    async fn start(replica_ahead: i64) -> Self {
        let master = Server::start(&[]);
        let replica = master.replica(replica_ahead);
        let replication = Proxy::to(master.port).await;
        let mut follow = cmd("REPLICAOF");
        follow.arg("127.0.0.1").arg(replication.port());
        replica.ask::<()>(&mut follow);
        replica.wait_for("master_link_status:up");
        Self {
            master,
            replica,
            replication,
        }
    }

    /// Cuts the replica off. It has everything that the master has.
    async fn cut_off_at_rest(&self) {
        at_rest(&self.master).await;
        self.cut_off().await;
    }

    /// The same, during writes.
    async fn cut_off(&self) {
        let offset = |server: &Server| server.number("replication", "master_repl_offset");
        eventually("the replica has all", || {
            offset(&self.master) == offset(&self.replica)
        })
        .await;
        self.replication.set(Flow::Stops);
    }

    /// Kills the master, and promotes the replica.
    fn fail_over(mut self, ways: &[&Proxy]) -> Server {
        self.master.kill();
        self.replica.promote();
        for way in ways {
            way.lead_to(self.replica.port);
            way.cut();
        }
        self.replica
    }
}

/// The nodes read X's write from the master, and its answer is lost. Y writes to the promoted
/// replica, whose clock is behind. X's write is repeated there, after Y's. X has read past both
/// positions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_repeated_on_a_promoted_server_hides_nothing() {
    let pair = Pair::start(-5).await;
    let way = Proxy::to(pair.master.port).await;
    let x = connect(quiet(), way.client()).await;
    // The server keeps the script from then on.
    let first = Thing::new(3, in_seconds(600));
    x.revoke(&first.revocation()).await.unwrap();
    let first = Thing::new(6, in_seconds(600));
    x.revoke(&first.revocation()).await.unwrap();
    pair.cut_off_at_rest().await;
    way.set(Flow::StopsWrites);
    let expires_at = in_seconds(600);
    let writing = tokio::spawn({
        let x = x.clone();
        async move {
            let repeated = Thing::new(0, expires_at);
            x.revoke(&repeated.revocation()).await
        }
    });
    let repeated = Thing::new(0, expires_at);
    eventually("X has read it", || x.peek(&repeated.token()) == Some(true)).await;

    let mut pair = pair;
    pair.master.kill();
    pair.replica.promote();
    let y = connect(quiet(), pair.replica.client()).await;
    y.block(&alice()).await.unwrap();
    let hidden = Thing::new(1, in_seconds(600));
    y.revoke(&hidden.revocation()).await.unwrap();

    way.lead_to(pair.replica.port);
    way.set(Flow::Passes);
    way.cut();
    writing.await.unwrap().unwrap();
    // Until the IDs are higher than those that X has read.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let later = Thing::new(2, in_seconds(600));
    y.revoke(&later.revocation()).await.unwrap();
    eventually("X reads on", || x.peek(&later.token()) == Some(true)).await;
    // X loads the state in any order: the later change may be first.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(x.peek(&hidden.token()), Some(true));
    assert_eq!(is_dead(&x, 0), Some(true));
}

/// X's logout everywhere is repeated on the promoted server, which lacks a block before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_everywhere_that_is_repeated_on_a_promoted_server_hides_no_block() {
    let pair = Pair::start(0).await;
    let way = Proxy::to(pair.master.port).await;
    let x = connect(quiet(), way.client()).await;
    x.raise_generation(&alice()).await.unwrap();
    let y = connect(quiet(), pair.master.client()).await;
    pair.cut_off_at_rest().await;
    y.block(&alice()).await.unwrap();
    drop(y);
    eventually("X has read it", || is_dead(&x, 9) == Some(true)).await;
    let entries = || -> u64 { pair.master.ask(cmd("XLEN").arg("{jwt}:stream")) };
    let before = entries();
    way.set(Flow::StopsWrites);
    let raising = tokio::spawn({
        let x = x.clone();
        async move { x.raise_generation(&alice()).await }
    });
    eventually("it is raised", || entries() > before).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let loads = x.state().loads;
    let replica = pair.fail_over(&[&way]);
    way.set(Flow::Passes);
    raising.await.unwrap().unwrap();
    request_heartbeats(&replica).await;
    eventually("X has read all again", || x.state().loads > loads).await;
    assert_eq!(is_dead(&x, 9), Some(true));
    all_know(&x, &replica).await;
}

/// Asserts that a node that starts later knows that alice is blocked.
async fn all_know(x: &RedisStore, server: &Server) {
    let began = Instant::now();
    loop {
        let new = connect(quiet(), server.client()).await;
        if is_dead(&new, 9) == Some(true) {
            assert!(new.subject(&alice()).await.unwrap().blocked);
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "a new node: {:?}; X, fresh: {}: {:?}",
            is_dead(&new, 9),
            x.state().is_fresh,
            is_dead(x, 9)
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Makes all nodes send heartbeats, by writes that wait for them. Several, because a heartbeat
/// fails on a connection that was cut.
async fn request_heartbeats(server: &Server) {
    let node = connect(quiet(), server.client()).await;
    for number in 2..6 {
        let thing = Thing::new(6 * number, in_seconds(600));
        let wait = Duration::from_secs(1);
        let waited = node.revoke_and_wait(&thing.revocation(), wait).await;
        assert!(waited.is_err(), "a new node cannot know all others");
    }
}

/// Nodes take some milliseconds for each revocation without optimization.
const COUNT: u64 = if cfg!(debug_assertions) {
    5_000
} else {
    30_000
};

async fn revoke_many(store: &RedisStore, expires_at: NumericDate) {
    let writers: Vec<_> = (0..64)
        .map(|writer| {
            let node = store.clone();
            tokio::spawn(async move {
                for number in (writer..COUNT).step_by(64) {
                    let thing = Thing::new(number * 6, expires_at);
                    while node.revoke(&thing.revocation()).await.is_err() {}
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

/// How many of these tokens the node accepts.
fn passing(store: &RedisStore, expires_at: NumericDate) -> usize {
    let passes = |number: &u64| {
        let thing = Thing::new(number * 6, expires_at);
        store.peek(&thing.token()) != Some(true)
    };
    (0..COUNT).filter(passes).count()
}

/// Waits until a new node accepts none of the tokens. Returns how many it accepted first.
async fn all_written_back(server: &Server, expires_at: NumericDate) -> usize {
    let mut first = None;
    for _ in 0..10 {
        let new = connect(quiet(), server.client()).await;
        let passing = passing(&new, expires_at);
        let first = *first.get_or_insert(passing);
        if passing == 0 {
            return first;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("{first:?} of {COUNT} revoked tokens pass on new nodes");
}

/// The server loses everything. It is killed during the write-back, while the nodes read nothing
/// for a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_are_lost_before_they_are_read_are_written_back_again() {
    let pair = Pair::start(0).await;
    let way = Proxy::to(pair.master.port).await;
    let options = options().max_staleness(Duration::from_secs(12));
    let x = connect(options, way.client()).await;
    let expires_at = in_seconds(3000);
    revoke_many(&x, expires_at).await;
    let members = |server: &Server| -> u64 { server.ask(cmd("ZCARD").arg("{jwt}:revoked")) };
    eventually("the replica has all", || members(&pair.replica) >= COUNT).await;
    way.set(Flow::StopsReads);
    pair.master.ask::<()>(&mut cmd("FLUSHALL"));
    // X misses its heartbeats, and loads the state again.
    let mut connection = pair.replica.client().get_connection().unwrap();
    let mut told = || -> u64 {
        let mut command = cmd("ZCARD");
        command.arg("{jwt}:revoked").query(&mut connection).unwrap()
    };
    eventually("it is told some", || {
        let told = told();
        if told >= COUNT {
            // This came too late, or the replica has not forgotten everything yet.
            pair.master.ask::<()>(&mut cmd("FLUSHALL"));
        }
        (COUNT / 5..COUNT).contains(&told)
    })
    .await;
    pair.replication.set(Flow::Stops);
    let kept = members(&pair.replica);
    eventually("it is told all", || members(&pair.master) >= COUNT).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let replica = pair.fail_over(&[&way]);
    way.set(Flow::Passes);
    // Longer than a heartbeat and its effects.
    tokio::time::sleep(Duration::from_secs(8)).await;
    eventually("X is fresh", || x.state().is_fresh).await;
    assert_eq!(passing(&x, expires_at), 0);
    let first = all_written_back(&replica, expires_at).await;
    println!("kept {kept}; on the first new node {first} passed");
}

/// No connection is held: the master is killed right after the last page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_is_killed_right_after_the_last_page() {
    let rounds = if cfg!(debug_assertions) { 3 } else { 8 };
    for round in 0..rounds {
        let master = Server::start(&[]);
        let replica = master.replica(0);
        let way = Proxy::to(master.port).await;
        let x = connect(options(), way.client()).await;
        let z = connect(options(), way.client()).await;
        let expires_at = in_seconds(3000);
        revoke_many(&x, expires_at).await;
        eventually("all nodes have all", || passing(&z, expires_at) == 0).await;
        master.ask::<()>(&mut cmd("FLUSHALL"));
        let mut connection = master.client().get_connection().unwrap();
        let mut members = || -> u64 {
            let mut command = cmd("ZCARD");
            command.arg("{jwt}:revoked").query(&mut connection).unwrap()
        };
        while members() < COUNT {}
        let pair = Pair {
            replication: Proxy::to(master.port).await,
            master,
            replica,
        };
        let replica = pair.fail_over(&[&way]);
        eventually("fresh", || {
            [&x, &z].iter().all(|node| node.state().is_fresh)
        })
        .await;
        // Longer than the interval of heartbeats.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let first = all_written_back(&replica, expires_at).await;
        println!("round {round}: on the first new node {first} passed");
    }
}

/// X blocks a subject that Y has blocked, before X has read Y's block. Then Y and the master die.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_changes_nothing_is_expected_to_be_read() {
    let pair = Pair::start(0).await;
    let way = Proxy::to(pair.master.port).await;
    let x = connect(quiet(), way.client()).await;
    let y = connect(quiet(), pair.master.client()).await;
    at_rest(&pair.master).await;
    way.set(Flow::StopsReads);
    pair.cut_off_at_rest().await;
    y.block(&alice()).await.unwrap();
    drop(y);
    x.block(&alice()).await.unwrap();
    assert_eq!(is_dead(&x, 9), Some(true));
    let replica = pair.fail_over(&[&way]);
    way.set(Flow::Passes);
    request_heartbeats(&replica).await;
    all_know(&x, &replica).await;
}

/// X lifts a block that does not exist. The answer shows that Y has logged alice out everywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_to_lifting_no_block_is_expected_to_be_read() {
    let pair = Pair::start(0).await;
    let way = Proxy::to(pair.master.port).await;
    let x = connect(quiet(), way.client()).await;
    let y = connect(quiet(), pair.master.client()).await;
    at_rest(&pair.master).await;
    way.set(Flow::StopsReads);
    pair.cut_off_at_rest().await;
    assert_eq!(y.raise_generation(&alice()).await.unwrap(), 1);
    drop(y);
    assert!(!x.lift_block(Some(ISSUER), "alice").await.unwrap());
    assert_eq!(is_dead(&x, 0), Some(true));
    let replica = pair.fail_over(&[&way]);
    way.set(Flow::Passes);
    request_heartbeats(&replica).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let new = connect(quiet(), replica.client()).await;
    assert_eq!(is_dead(&x, 0), Some(true));
    assert_eq!(is_dead(&new, 0), Some(true));
}

/// The master dies after X has loaded its state and before X has read its stream. The replica lacks
/// the last writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loaded_state_is_expected_to_be_read() {
    let pair = Pair::start(0).await;
    let way = Proxy::to(pair.master.port).await;
    let y = connect(quiet(), pair.master.client()).await;
    pair.cut_off_at_rest().await;
    let thing = Thing::new(0, in_seconds(600));
    y.revoke(&thing.revocation()).await.unwrap();
    y.block(&alice()).await.unwrap();
    drop(y);
    way.set(Flow::StopsReads);
    let x = quiet().connect(way.client()).await.unwrap();
    eventually("X has found it", || {
        x.state().loads == 1 && x.peek(&thing.token()) == Some(true)
    })
    .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let replica = pair.fail_over(&[&way]);
    way.set(Flow::Passes);
    request_heartbeats(&replica).await;
    x.ready(LONG).await.unwrap();
    assert_eq!(x.peek(&thing.token()), Some(true));
    all_know(&x, &replica).await;
    let new = connect(quiet(), replica.client()).await;
    assert_eq!(new.peek(&thing.token()), Some(true));
}

/// An empty node revokes while its reader of the stream connects. The server loses the revocation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_acknowledged_while_the_reader_connects_is_written_back() {
    let server = Server::start(&[]);
    let way = Proxy::to(server.port).await;
    let x = options().max_staleness(STALENESS).call_timeout(LONG);
    let x = connect(x, way.client()).await;
    way.set(Flow::HoldsNew);
    // The stream breaks, so X's reader connects.
    server.ask::<u64>(cmd("DEL").arg("{jwt}:last"));
    eventually("it connects", || way.held() > 0).await;
    let thing = Thing::new(0, in_seconds(600));
    x.revoke(&thing.revocation()).await.unwrap();
    server.ask::<()>(&mut cmd("FLUSHALL"));
    way.set(Flow::Passes);
    eventually("it has read all", || x.state().loads > 1).await;
    eventually("X is fresh", || x.state().is_fresh).await;
    tokio::time::sleep(STALENESS).await;
    assert_eq!(x.peek(&thing.token()), Some(true));
    let new = connect(quiet(), server.client()).await;
    assert_eq!(new.peek(&thing.token()), Some(true));
}

/// The maker is away while the other node sends its first heartbeats, and the replica never gets
/// them. The maker reads on from the promoted replica, and loads nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_heartbeats_are_lost_in_a_failover_is_waited_for() {
    let staleness = || options().max_staleness(Duration::from_secs(5));
    let pair = Pair::start(0).await;
    let way = Proxy::to(pair.master.port).await;
    let maker = connect(staleness(), way.client()).await;
    let first = Thing::new(0, in_seconds(600));
    maker
        .revoke_and_wait(&first.revocation(), LONG)
        .await
        .unwrap();
    pair.cut_off().await;
    way.set(Flow::HoldsNew);
    way.cut();
    let other = connect(staleness(), pair.master.client()).await;

    let _replica = pair.fail_over(&[&way]);
    way.set(Flow::Passes);
    let thing = Thing::new(6, in_seconds(600));
    let waited = maker.revoke_and_wait(&thing.revocation(), LONG).await;
    assert_ne!(other.peek(&thing.token()), Some(false));
    waited.unwrap();
}
