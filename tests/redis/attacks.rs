//! Attempts to lose an acknowledged revocation, or to leave a node stale for ever.

use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::revocation::{RevocationStore, TokenIdentity};
use tower_jwt_auth::session::{SessionStore, Subject};
use tower_jwt_auth::store::RedisStoreError;
use tower_jwt_auth::store::redis::client::Client;

use crate::load::{ISSUER, Thing, in_seconds};
use crate::proxy::{Flow, Proxy};
use crate::server::Server;
use crate::sessions::sessions;
use crate::{LONG, connect, eventually, node, options};

/// The second logout finds no session, and still waits for replicas as the first does.
#[tokio::test]
async fn a_logout_is_retried_without_a_replica() {
    let server = Server::start(&[]);
    let tokens = {
        let node = node(server.client()).await;
        let subject = sessions(&node);
        let subject = subject.subject_named("alice");
        sessions(&node).login(&subject).await.unwrap()
    };
    let options = options().replicas(1, Duration::from_millis(300));
    let node = connect(options, server.client()).await;
    for _ in 0..2 {
        let ended = node.end(tokens.sid, Some(ISSUER), in_seconds(600)).await;
        let error = ended.unwrap_err();
        assert!(matches!(error, RedisStoreError::Unreplicated), "{error:?}");
    }
}

/// The node loads the revocations that did not fit once others have expired.
#[tokio::test]
async fn a_node_that_was_full_for_a_moment_knows_everything_again() {
    let server = Server::start(&[]);
    let now = in_seconds(0).since_epoch().as_secs();
    let clock = ManualClock::at(now);
    // Everything expires before the node loads the state by itself.
    let small = options().max_staleness(Duration::from_secs(60));
    let small = small.capacity(10).clock(clock.clone());
    let small = connect(small, server.client()).await;
    let large = node(server.client()).await;
    for number in 0..10 {
        let thing = Thing::new(number * 6, in_seconds(600));
        large.revoke(&thing.revocation()).await.unwrap();
        eventually("read", || small.peek(&thing.token()) == Some(true)).await;
    }
    let eleventh = Thing::new(600, in_seconds(100_000));
    large.revoke(&eleventh.revocation()).await.unwrap();
    eventually("full", || small.peek(&eleventh.token()).is_none()).await;
    clock.advance(Duration::from_secs(3600));
    eventually("read", || small.peek(&eleventh.token()) == Some(true)).await;
    small.ready(Duration::from_secs(20)).await.unwrap();
}

/// A caller starts to connect and gives up, and nothing drives its runtime from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_is_not_driven_blocks_no_connection() {
    let server = Server::start(&[]);
    let way = Proxy::to(server.port).await;
    let options = options().max_staleness(Duration::from_secs(20));
    let store = connect(options, way.client()).await;
    let thing = Thing::new(0, in_seconds(600));
    way.set(Flow::HoldsNew);
    way.cut();
    let (caller, revocation) = (store.clone(), thing.revocation());
    let still = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            for _ in 0..3 {
                let revoked = runtime.block_on(caller.revoke(&revocation));
                assert!(revoked.is_err());
            }
            runtime
        });
        other.join().unwrap()
    });
    way.set(Flow::Passes);
    let began = Instant::now();
    while store.revoke(&thing.revocation()).await.is_err() {
        assert!(began.elapsed() < LONG, "nobody connects");
    }
    still.shutdown_background();
}

fn alice() -> Subject<'static> {
    Subject::new(Some(ISSUER), "alice")
}

fn is_dead(store: &tower_jwt_auth::store::RedisStore, generation: u64) -> Option<bool> {
    let token = TokenIdentity::new(in_seconds(200))
        .issuer(ISSUER)
        .jti("some");
    let token = token.issued_at(in_seconds(0)).subject("alice");
    store.peek(&token.generation(generation))
}

/// A generation that a node takes for expired applies again once its clock is right.
#[tokio::test]
async fn a_logout_everywhere_is_read_while_the_clock_is_days_ahead() {
    let server = Server::start(&[]);
    let clock = ManualClock::at(in_seconds(3 * 86_400).since_epoch().as_secs());
    let ahead = connect(options().clock(clock.clone()), server.client()).await;
    let right = node(server.client()).await;
    right.raise_generation(&alice()).await.unwrap();
    let last = Thing::new(0, in_seconds(10 * 86_400));
    right.revoke(&last.revocation()).await.unwrap();
    eventually("read", || ahead.peek(&last.token()) == Some(true)).await;
    clock.step_back(Duration::from_secs(3 * 86_400));
    assert_eq!(is_dead(&right, 0), Some(true));
    assert_eq!(is_dead(&ahead, 0), Some(true));
    ahead.ready(LONG).await.unwrap();
    assert_eq!(is_dead(&ahead, 0), Some(true));
}

/// RESP3 answers have other types.
#[tokio::test]
async fn the_third_protocol() {
    let server = Server::start(&[]);
    let client = Client::open(server.url() + "?protocol=resp3").unwrap();
    let (new, old) = (node(client).await, node(server.client()).await);
    for number in 0..12 {
        let thing = Thing::new(number, in_seconds(600));
        old.revoke(&thing.revocation()).await.unwrap();
        eventually("read", || new.peek(&thing.token()) == Some(true)).await;
    }
    let sessions = sessions(&new);
    let tokens = sessions
        .login(&sessions.subject_named("al\0ice\u{1f600}{jwt}:revoked"))
        .await
        .unwrap();
    let tokens = sessions.refresh(&tokens.refresh_token).await.unwrap();
    sessions.logout(&tokens.refresh_token).await.unwrap();
    assert!(sessions.refresh(&tokens.refresh_token).await.is_err());
    eventually("dead", || {
        crate::sessions::is_dead(&old, tokens.sid) == Some(true)
    })
    .await;
}
