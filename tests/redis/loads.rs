//! Loads that skip a revocation, because it is extended between two pages.

use std::time::Duration;

use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::revocation::{Revocation, RevocationStore, TokenIdentity};
use tower_jwt_auth::store::RedisStore;
use tower_jwt_auth::store::redis::client::cmd;

use crate::load::{Thing, in_seconds};
use crate::proxy::{Flow, Proxy};
use crate::server::Server;
use crate::{LONG, connect, eventually, options};

/// Longer than the steps take, so that the node stays fresh meanwhile.
const STALENESS: Duration = Duration::from_secs(3);

/// A session's revocation that ends in so many seconds.
fn session(seconds: u64) -> Revocation<'static> {
    Revocation::Session {
        issuer: None,
        sid: "extended",
        until: in_seconds(seconds),
    }
}

/// What the node knows of the session.
fn peek(node: &RedisStore) -> Option<bool> {
    node.peek(&TokenIdentity::new(in_seconds(10_000)).sid("extended"))
}

/// Fills the first page of a load with members that no node reads.
fn fill_a_page(server: &Server) {
    let add = "for n = 1, 4000 do redis.call('ZADD', KEYS[1], ARGV[1], 'member-' .. n) end";
    let end = in_seconds(100_000).since_epoch().as_secs();
    let mut add_all = cmd("EVAL");
    add_all.arg(add).arg(1).arg("{jwt}:revoked").arg(end);
    server.ask::<()>(&mut add_all);
}

/// Makes a node load the state that has not read the last entry, and keeps the second page from it.
async fn hold_second_page(server: &Server, way: &Proxy) {
    server.ask::<u64>(cmd("XTRIM").arg("{jwt}:stream").arg("MAXLEN").arg(0));
    let held = way.held();
    way.set(Flow::StopsSecondPage);
    eventually("the node asks for the second page", || way.held() > held).await;
}

/// The node lacks the revocation, which is on the second page. Another node extends it, so that it
/// moves to the first. Then the load ends, and the node does not read the extension.
async fn skip_on_second_page(way: &Proxy, other: &RedisStore) {
    other.revoke(&session(200_000)).await.unwrap();
    way.set(Flow::StopsReads);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_a_load_skips_is_waited_for() {
    let server = Server::start(&[]);
    let way = Proxy::to(server.port).await;
    let patient = || options().max_staleness(STALENESS);
    let maker = connect(patient(), server.client()).await;
    let node = connect(patient(), way.client()).await;
    fill_a_page(&server);
    // Until the maker knows all nodes.
    let first = Thing::new(0, in_seconds(600));
    maker
        .revoke_and_wait(&first.revocation(), LONG)
        .await
        .unwrap();

    way.set(Flow::HoldsNew);
    way.cut();
    let waiting = tokio::spawn({
        let maker = maker.clone();
        async move { maker.revoke_and_wait(&session(600), LONG).await }
    });
    eventually("it is revoked", || peek(&maker) == Some(true)).await;
    hold_second_page(&server, &way).await;
    skip_on_second_page(&way, &maker).await;
    // It is stale then, or has loaded the state once more.
    eventually("the node does not accept the session", || {
        let has_waited = waiting.is_finished();
        let accepts = peek(&node) == Some(false);
        assert!(!has_waited || !accepts);
        !accepts
    })
    .await;
    way.set(Flow::Passes);
    waiting.await.unwrap().unwrap();
    assert_eq!(peek(&node), Some(true));
}

/// The node lacks the revocation, because its set was full. There is room when it loads the state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_node_that_skips_a_revocation_in_a_load_is_not_fresh() {
    let server = Server::start(&[]);
    let way = Proxy::to(server.port).await;
    let clock = ManualClock::at(in_seconds(0).since_epoch().as_secs());
    let small = options().max_staleness(LONG).capacity(10);
    let small = connect(small.clock(clock.clone()), way.client()).await;
    let large = connect(options(), server.client()).await;
    fill_a_page(&server);
    for number in 0..10 {
        let thing = Thing::new(number * 6, in_seconds(600));
        large.revoke(&thing.revocation()).await.unwrap();
        eventually("read", || small.peek(&thing.token()) == Some(true)).await;
    }
    large.revoke(&session(50_000)).await.unwrap();
    eventually("full", || peek(&small).is_none()).await;

    hold_second_page(&server, &way).await;
    clock.advance(Duration::from_secs(3600));
    let loads = small.state().loads;
    skip_on_second_page(&way, &large).await;
    eventually("loaded", || small.state().loads > loads).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(peek(&small), None);
    way.set(Flow::Passes);
    eventually("it has read it", || peek(&small) == Some(true)).await;
    small.ready(LONG).await.unwrap();
}
