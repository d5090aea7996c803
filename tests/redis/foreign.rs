//! Other programs, and nodes with another secret, that use the same server.

use std::time::Duration;

use tower_jwt_auth::revocation::RevocationStore;
use tower_jwt_auth::session::{SessionStore, Subject};
use tower_jwt_auth::store::redis::client::{Client, cmd};
use tower_jwt_auth::store::{RedisStoreError, RedisStoreOptions};

use crate::load::{Thing, in_seconds};
use crate::server::Server;
use crate::{LONG, STALENESS, all_fresh, connect, eventually, node, nodes, options};

#[tokio::test]
async fn another_secret() {
    let server = Server::start(&[]);
    let ours = node(server.client()).await;
    let theirs = RedisStoreOptions::new([8; 32])
        .unwrap()
        .max_staleness(STALENESS);
    let theirs = theirs.connect(server.client()).await.unwrap();
    let thing = Thing::new(0, in_seconds(600));
    let revoked = theirs.revoke(&thing.revocation()).await;
    assert!(matches!(revoked, Err(RedisStoreError::OtherSecret)));
    let alice = Subject::new(None, "alice");
    let blocked = theirs.block(&alice).await;
    assert!(matches!(blocked, Err(RedisStoreError::OtherSecret)));
    let ready = theirs.ready(Duration::from_secs(3)).await;
    assert!(matches!(ready, Err(RedisStoreError::OtherSecret)));
    assert_eq!(theirs.peek(&thing.token()), None);
    assert_eq!(ours.peek(&thing.token()), Some(false));
    // Only the empty member is there.
    assert_eq!(server.ask::<u64>(cmd("ZCARD").arg("{jwt}:revoked")), 1);
    // After the keys are deleted, the first node to write owns them. The other becomes stale.
    drop(ours);
    server.ask::<()>(&mut cmd("FLUSHALL"));
    theirs.ready(LONG).await.unwrap();
}

#[tokio::test]
async fn the_secret_is_changed_under_a_node() {
    let server = Server::start(&[]);
    let node = node(server.client()).await;
    server.ask::<()>(cmd("SET").arg("{jwt}:secret").arg("another"));
    eventually("it knows nothing", || !node.state().is_fresh).await;
    server.ask::<()>(cmd("DEL").arg("{jwt}:secret"));
    eventually("it knows", || node.state().is_fresh).await;
}

#[tokio::test]
async fn a_wrong_password_and_then_the_right_one() {
    let server = Server::start(&["--requirepass", "right"]);
    let client = |password: &str| {
        Client::open(format!("redis://:{password}@127.0.0.1:{}/", server.port)).unwrap()
    };
    let options = options().max_staleness(STALENESS);
    let wrong = options.clone().connect(client("wrong")).await.unwrap();
    let error = wrong.ready(Duration::from_secs(3)).await.unwrap_err();
    // The error names the reason, and not the password.
    let source = std::error::Error::source(&error).unwrap();
    let state = wrong.state();
    assert!(format!("{:?}", state.last_error).contains("Server"));
    for text in [
        format!("{error:?} {source:?} {state:?}"),
        format!("{error} {source}"),
    ] {
        assert!(!text.contains("wrong"), "{text}");
    }
    let thing = Thing::new(0, in_seconds(600));
    let error = wrong.revoke(&thing.revocation()).await.unwrap_err();
    assert!(!format!("{error:?} {wrong:?}").contains("wrong"));
    connect(options, client("right")).await;
    let mut right = client("right").get_connection().unwrap();
    let change = cmd("CONFIG")
        .arg("SET")
        .arg("requirepass")
        .arg("wrong")
        .query::<()>(&mut right);
    change.unwrap();
    wrong.ready(LONG).await.unwrap();
    assert!(wrong.state().last_error.is_none(), "it is fresh again");
}

/// TLS to a server without it is an error and not a panic: there is a crypto provider.
#[tokio::test]
async fn tls_to_a_server_without_it() {
    let server = Server::start(&[]);
    let client = Client::open(format!("rediss://127.0.0.1:{}/#insecure", server.port));
    let client = client.or_else(|_| Client::open(format!("rediss://127.0.0.1:{}/", server.port)));
    let store = options().connect(client.unwrap()).await.unwrap();
    let thing = Thing::new(0, in_seconds(600));
    assert!(store.revoke(&thing.revocation()).await.is_err());
    assert!(store.ready(Duration::from_millis(100)).await.is_err());
}

#[tokio::test]
async fn two_prefixes_in_one_server() {
    let server = Server::start(&[]);
    let one = connect(options().prefix("one"), server.client()).await;
    let other = connect(options().prefix("other"), server.client()).await;
    let thing = Thing::new(0, in_seconds(600));
    one.revoke_and_wait(&thing.revocation(), LONG)
        .await
        .unwrap();
    let alice = Subject::new(None, "alice");
    one.block(&alice).await.unwrap();
    assert_eq!(one.peek(&thing.token()), Some(true));
    assert_eq!(other.peek(&thing.token()), Some(false));
    assert!(!other.subject(&alice).await.unwrap().blocked);
    assert_eq!((one.state().nodes, other.state().nodes), (1, 1));
}

/// Another program writes into the keys. No node panics. A node skips what it cannot read, or loads
/// the state again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_in_the_keys() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let expires_at = in_seconds(600);
    let thing = Thing::new(0, expires_at);
    nodes[0].revoke(&thing.revocation()).await.unwrap();
    let huge = "x".repeat(16 << 20);
    let last = || {
        server
            .ask::<Option<String>>(cmd("HGET").arg("{jwt}:last").arg("hash"))
            .unwrap_or_default()
    };
    let garbage: Vec<Vec<&str>> = vec![
        vec!["XADD", "{jwt}:stream", "*", "a", "b"],
        vec!["XADD", "{jwt}:stream", "*", "p", "x", "n", "y"],
        vec!["XADD", "{jwt}:stream", "*", "p", "", "n", ""],
        vec!["XADD", "{jwt}:stream", "*", &huge, &huge],
        vec!["ZADD", "{jwt}:revoked", "9e300", "garbage"],
        vec!["ZADD", "{jwt}:revoked", "inf", "0123456789abcdef"],
        vec!["ZADD", "{jwt}:revoked", "-inf", ""],
        vec!["HSET", "{jwt}:subjects", "garbage", "garbage"],
        vec!["HSET", "{jwt}:subjects", "0123456789abcdef", "1:2:3:4:5:6"],
        vec!["HSET", "{jwt}:last", "hash", "x"],
        vec!["DEL", "{jwt}:last"],
        vec!["XTRIM", "{jwt}:stream", "MAXLEN", "0"],
        vec!["DEL", "{jwt}:stream"],
        vec!["DEL", "{jwt}:revoked"],
    ];
    let mut number = 0;
    for command in garbage {
        let what = command.iter().map(|part| &part[..part.len().min(20)]);
        let what = what.collect::<Vec<_>>().join(" ");
        let mut parts = command.iter();
        let mut command = cmd(parts.next().unwrap());
        server.ask::<tower_jwt_auth::store::redis::client::Value>(
            command.arg(parts.collect::<Vec<_>>()),
        );
        for _ in 0..3 {
            number += 1;
            let thing = Thing::new(number, expires_at);
            nodes[0].revoke(&thing.revocation()).await.unwrap();
            eventually(&what, || nodes[1].peek(&thing.token()) == Some(true)).await;
        }
        all_fresh(&nodes).await;
        let new = node(server.client()).await;
        assert_eq!(
            new.peek(&Thing::new(number, expires_at).token()),
            Some(true),
            "{what}"
        );
    }
    // By a program that links its entries correctly.
    for members in [
        vec!["z", "garbage", "s", "5"],
        vec!["z", "0123456789abcdef", "s", "x"],
        vec!["u", "garbage", "r", "x"],
        vec!["h", "garbage", "a", "x"],
        vec!["h", "0123456789abcdef", "a", "x"],
        vec!["h", &huge, "a", "1-1"],
        vec!["h", "0123456789abcdef", "a", "18446744073709551615-0"],
    ] {
        let before = last();
        server.ask::<()>(cmd("HSET").arg("{jwt}:last").arg("hash").arg("forged"));
        let mut entry = cmd("XADD");
        entry
            .arg("{jwt}:stream")
            .arg("*")
            .arg("p")
            .arg(before)
            .arg("n")
            .arg("forged");
        server.ask::<String>(entry.arg(&members));
        number += 1;
        let thing = Thing::new(number, expires_at);
        nodes[0].revoke(&thing.revocation()).await.unwrap();
        eventually("read", || nodes[1].peek(&thing.token()) == Some(true)).await;
        all_fresh(&nodes).await;
    }
    // A key of another type: nothing works until it is deleted, and then everything does.
    for key in [
        "{jwt}:revoked",
        "{jwt}:stream",
        "{jwt}:last",
        "{jwt}:secret",
    ] {
        // In one step: a node creates a deleted key again.
        let replace = "redis.call('DEL', KEYS[1]) return redis.call('SADD', KEYS[1], 'garbage')";
        server.ask::<u64>(cmd("EVAL").arg(replace).arg(1).arg(key));
        eventually("stale", || nodes.iter().all(|node| !node.state().is_fresh)).await;
        assert_eq!(nodes[1].peek(&thing.token()), Some(true));
        server.ask::<u64>(cmd("DEL").arg(key));
        all_fresh(&nodes).await;
    }
    let new = node(server.client()).await;
    eventually("restored", || new.peek(&thing.token()) == Some(true)).await;
}
