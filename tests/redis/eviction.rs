//! A server that evicts keys, and deleted keys.

use std::time::Duration;

use tower_jwt_auth::revocation::{RevocationStore, TokenIdentity};
use tower_jwt_auth::session::{SessionErrorKind, SessionStore, Subject};
use tower_jwt_auth::store::redis::client::cmd;
use tower_jwt_auth::store::{RedisStore, RedisStoreError, RedisStoreOptions};

use crate::load::{ISSUER, Thing, in_seconds};
use crate::server::Server;
use crate::sessions::sessions;
use crate::{LONG, STALENESS, all_fresh, connect, eventually, node, nodes, options};

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

fn set(server: &Server, name: &str, value: &str) {
    let mut set = cmd("CONFIG");
    server.ask::<()>(set.arg("SET").arg(name).arg(value));
}

/// Makes the server evict keys until the subjects are gone.
fn evict_subjects(server: &Server) {
    set(server, "maxmemory-policy", "allkeys-random");
    let filler = "x".repeat(10_000);
    let mut most = server.number("memory", "used_memory") + 3_000_000;
    let mut connection = server.client().get_connection().unwrap();
    for number in 0..100_000 {
        set(server, "maxmemory", &most.to_string());
        let mut fill = cmd("SET");
        fill.arg(format!("filler-{number}")).arg(&filler);
        let _ = fill.query::<()>(&mut connection);
        if server.ask::<u64>(cmd("EXISTS").arg("{jwt}:subjects")) == 0 {
            return;
        }
        most = most.saturating_sub(1000).max(2_000_000);
    }
    panic!("it is never evicted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_evicts_is_refused() {
    let server = Server::start(&[]);
    let first = node(server.client()).await;
    first.block(&alice()).await.unwrap();
    drop(first);
    evict_subjects(&server);
    let new = options().max_staleness(STALENESS);
    let new = new.connect(server.client()).await.unwrap();
    let ready = new.ready(Duration::from_secs(3)).await;
    println!(
        "{ready:?}, login: {:?}",
        sessions(&new)
            .login(&sessions(&new).subject_named("alice"))
            .await
    );
    let error = ready.unwrap_err();
    assert!(error.to_string().contains("allkeys-random"), "{error}");
    let token = Thing::new(0, in_seconds(600));
    let error = new.is_revoked(&token.token()).await.unwrap_err();
    assert!(error.to_string().contains("allkeys-random"), "{error}");
    assert_eq!(new.peek(&token.token()), None);
    assert!(!new.state().is_fresh);
}

/// The `volatile-*` policies evict sessions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_that_evict_are_noticed_when_they_are_set() {
    let server = Server::start(&[]);
    let node = node(server.client()).await;
    let thing = Thing::new(0, in_seconds(600));
    node.revoke(&thing.revocation()).await.unwrap();
    let other = Thing::new(6, in_seconds(600));
    for policy in ["allkeys-lru", "volatile-ttl", "volatile-lru", "allkeys-lfu"] {
        set(&server, "maxmemory-policy", policy);
        // Without a limit the server evicts nothing.
        set(&server, "maxmemory", "0");
        all_fresh(std::slice::from_ref(&node)).await;
        set(&server, "maxmemory", "1000000000");
        eventually(policy, || node.peek(&other.token()).is_none()).await;
        let error = node.is_revoked(&other.token()).await.unwrap_err();
        assert!(matches!(&error, RedisStoreError::Eviction(why) if **why == *policy));
        assert_eq!(node.peek(&thing.token()), Some(true));
        set(&server, "maxmemory-policy", "noeviction");
        eventually("fresh", || node.peek(&other.token()) == Some(false)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_evicts_is_accepted_if_that_is_allowed() {
    let limits = ["--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"];
    let server = Server::start(&limits);
    let node = connect(options().allow_eviction(), server.client()).await;
    let thing = Thing::new(0, in_seconds(600));
    node.revoke(&thing.revocation()).await.unwrap();
    assert_eq!(node.peek(&thing.token()), Some(true));
}

/// Two nodes are connected while each key is deleted in turn. They write back what was lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_key_is_written_back() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    nodes[0].raise_generation(&alice()).await.unwrap();
    nodes[0].block(&alice()).await.unwrap();
    let mut number = 0;
    let mut thing = || {
        number += 6;
        Thing::new(number, in_seconds(600))
    };
    let first = thing();
    nodes[0].revoke(&first.revocation()).await.unwrap();
    for key in ["revoked", "subjects", "stream", "last", "secret"] {
        for (writes, refills) in [(false, false), (true, false), (true, true)] {
            let key = format!("{{jwt}}:{key}");
            eventually("both know", || {
                nodes
                    .iter()
                    .all(|node| node.peek(&first.token()) == Some(true))
            })
            .await;
            all_fresh(&nodes).await;
            server.ask::<u64>(cmd("DEL").arg(&key));
            // Before any heartbeat: the first write to the new key must not hide the deletion.
            let next = thing();
            if writes {
                nodes[1].revoke(&next.revocation()).await.unwrap();
                nodes[1]
                    .raise_generation(&Subject::new(None, "bob"))
                    .await
                    .unwrap();
            }
            if refills {
                drop(
                    sessions(&nodes[1])
                        .login(&sessions(&nodes[1]).subject_named("bob"))
                        .await,
                );
            }
            let began = std::time::Instant::now();
            loop {
                let new = connect(options().max_staleness(LONG), server.client()).await;
                let is_there = new.peek(&first.token()) == Some(true)
                    && is_dead(&new, 9) == Some(true)
                    && (!writes || new.peek(&next.token()) == Some(true))
                    && new.subject(&alice()).await.unwrap().blocked;
                if is_there {
                    break;
                }
                assert!(began.elapsed() < Duration::from_secs(20), "{key} {writes}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let login = sessions(&nodes[0])
                .login(&sessions(&nodes[0]).subject_named("alice"))
                .await
                .unwrap_err();
            assert_eq!(login.kind(), SessionErrorKind::Blocked);
        }
    }
}

/// If the key of the secret is deleted, nodes with another secret do not take over the state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_secret_is_not_replaced_by_another() {
    let server = Server::start(&[]);
    let ours = node(server.client()).await;
    let thing = Thing::new(0, in_seconds(600));
    ours.revoke(&thing.revocation()).await.unwrap();
    drop(ours);
    server.ask::<u64>(cmd("DEL").arg("{jwt}:secret"));
    let theirs = RedisStoreOptions::new([8; 32]).unwrap();
    let theirs = theirs.connect(server.client()).await.unwrap();
    let ready = theirs.ready(Duration::from_secs(3)).await;
    assert!(
        matches!(ready, Err(RedisStoreError::OtherSecret)),
        "{ready:?}"
    );
    let ours = node(server.client()).await;
    assert_eq!(ours.peek(&thing.token()), Some(true));
}

/// A node must not take an emptied state for one that was never written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_state_is_written_back() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    for node in &nodes {
        assert_eq!(node.state().revocations.entries(), 0);
        assert_eq!((node.state().subjects, node.state().loads), (0, 1));
    }
    assert_eq!(server.ask::<u64>(cmd("ZCARD").arg("{jwt}:revoked")), 1);
    assert_eq!(server.ask::<u64>(cmd("HLEN").arg("{jwt}:subjects")), 1);
}
