//! A store is used after the runtime that connected it has ended.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tower_jwt_auth::revocation::RevocationStore;
use tower_jwt_auth::session::SessionStore;
use tower_jwt_auth::store::RedisStore;
use tower_jwt_auth::store::redis::RedisDeployment;
use tower_jwt_auth::store::redis::client::sentinel::{SentinelClient, SentinelServerType};

use crate::groups::{Cluster, Sentinel};
use crate::load::{Thing, in_seconds};
use crate::server::Server;
use crate::sessions::{is_dead, sessions};
use crate::{LONG, STALENESS, eventually, node, options};

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// A stale node whose runtime has ended.
fn orphan(to: impl Into<RedisDeployment>, replicas: usize) -> RedisStore {
    let first = runtime();
    let store = first.block_on(async {
        let options = options().max_staleness(STALENESS);
        let options = options.replicas(replicas, Duration::from_millis(500));
        let store = crate::connect(options, to).await;
        store
            .revoke(&Thing::new(0, in_seconds(600)).revocation())
            .await
            .unwrap();
        store
    });
    drop(first);
    std::thread::sleep(STALENESS);
    assert!(!store.state().is_fresh);
    store
}

#[test]
fn a_store_goes_on_in_another_runtime() {
    let server = Server::start(&[]);
    let store = orphan(server.client(), 0);
    let clone = store.clone();
    runtime().block_on(async {
        let other = node(server.client()).await;
        // A service only looks up: the first look-up has no answer yet.
        let unknown = Thing::new(6, in_seconds(600));
        assert!(store.is_revoked(&unknown.token()).await.is_err());
        eventually("fresh again", || clone.state().is_fresh).await;
        assert!(!store.is_revoked(&unknown.token()).await.unwrap());
        // The node reads what others revoke, and they read what it revokes.
        other
            .revoke_and_wait(&unknown.revocation(), LONG)
            .await
            .unwrap();
        assert_eq!(clone.peek(&unknown.token()), Some(true));
        let tokens = sessions(&clone)
            .login(&sessions(&clone).subject_named("alice"))
            .await
            .unwrap();
        sessions(&store)
            .logout(&tokens.refresh_token)
            .await
            .unwrap();
        eventually("dead", || is_dead(&other, tokens.sid) == Some(true)).await;
        assert_eq!(other.state().nodes, 2);
    });
}

/// Each call that may wait restarts the tasks.
#[test]
fn any_call_may_be_the_first_in_another_runtime() {
    let server = Server::start(&[]);
    let master = Server::start(&[]);
    let _replica = master.replica(0);
    for (server, replicas) in [(&server, 0), (&master, 1)] {
        let thing = Thing::new(6, in_seconds(600));
        let store = orphan(server.client(), replicas);
        runtime().block_on(async { store.ready(LONG).await.unwrap() });
        // By now the second runtime has ended too.
        runtime().block_on(async {
            store.revoke(&thing.revocation()).await.unwrap();
            eventually("fresh", || store.state().is_fresh).await;
        });
        let sessions = sessions(&store);
        let tokens = runtime().block_on(async {
            let tokens = sessions
                .login(&sessions.subject_named("alice"))
                .await
                .unwrap();
            eventually("fresh", || store.state().is_fresh).await;
            tokens
        });
        runtime().block_on(async {
            assert!(store.find(tokens.sid).await.unwrap().is_some());
            store.ready(LONG).await.unwrap();
        });
    }
}

/// The clients of Sentinel and Cluster have separate connections.
#[test]
fn under_a_sentinel_and_in_a_cluster_too() {
    let master = Server::start(&[]);
    let sentinel = Sentinel::of(&master);
    let urls = vec![format!("redis://127.0.0.1:{}/", sentinel.port)];
    let client = SentinelClient::build(urls, "main", None, SentinelServerType::Master).unwrap();
    let cluster = runtime().block_on(Cluster::start());
    for store in [orphan(client, 0), orphan(cluster.client(), 1)] {
        runtime().block_on(async {
            store.ready(LONG).await.unwrap();
            let thing = Thing::new(6, in_seconds(600));
            store.revoke(&thing.revocation()).await.unwrap();
        });
    }
}
