//! What a look-up costs, and when a revocation is in force on which node.

use std::time::Duration;

use http::StatusCode;
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::revocation::{FailurePolicy, Revocation, RevocationStore, TokenIdentity};
use tower_jwt_auth::session::{SessionStore, Subject};
use tower_jwt_auth::store::redis::client::cmd;
use tower_jwt_auth::store::{RedisStore, RedisStoreError};

use crate::edge::{Edge, token};
use crate::load::{ISSUER, Thing, in_seconds};
use crate::proxy::{Flow, Proxy};
use crate::server::Server;
use crate::{LONG, STALENESS, connect, eventually, node, nodes, options};

/// What keeps a node fresh: it reads the stream, and sends five heartbeats per `max_staleness`.
const ALWAYS: [&str; 13] = [
    "xread", "evalsha", "eval", "time", "get", "xadd", "xrange", "zrange", "hmget", "hset",
    "zscore", "hexists", "exists",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_requests_ask_redis_nothing() {
    let server = Server::start(&[]);
    let node = connect(options(), server.client()).await;
    let edge = Edge::new(&node, FailurePolicy::Reject);
    let expires_at = in_seconds(600);
    let (valid, revoked) = (Thing::new(1, expires_at), Thing::new(0, expires_at));
    node.revoke(&revoked.revocation()).await.unwrap();
    let (good, bad) = (token(&valid), token(&revoked));
    let before = server.calls();
    let began = std::time::Instant::now();
    for number in 0..100_000 {
        let (token, want) = if number % 10 == 0 {
            (&bad, StatusCode::UNAUTHORIZED)
        } else {
            (&good, StatusCode::OK)
        };
        assert_eq!(edge.status(token).await, want);
    }
    let seconds = began.elapsed().as_secs() + 1;
    let after = server.calls();
    let more: Vec<(&String, u64)> = after
        .iter()
        .map(|(name, calls)| (name, calls - before.get(name).unwrap_or(&0)))
        .filter(|(name, more)| *more > 0 && *name != "info" && !name.starts_with("client"))
        .collect();
    println!("100,000 requests in {seconds} s: {more:?}");
    for (name, more) in more {
        assert!(ALWAYS.contains(&name.as_str()), "{name} was called");
        // Each heartbeat is read at once. Without one the server answers after half a second.
        assert!(more <= 10 + 5 * seconds, "{name} was called {more} times");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k01_a_revocation_that_was_waited_for_is_in_force_on_all_nodes() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 3).await;
    let expires_at = in_seconds(600);
    for (number, maker) in (0..1000).zip(nodes.iter().cycle()) {
        let thing = Thing::new(number, expires_at);
        maker
            .revoke_and_wait(&thing.revocation(), LONG)
            .await
            .unwrap();
        for node in &nodes {
            assert_eq!(node.peek(&thing.token()), Some(true), "{number}");
        }
        // Also if the nodes know the revocation already.
        if number % 10 == 0 {
            maker
                .revoke_and_wait(&thing.revocation(), LONG)
                .await
                .unwrap();
        }
    }
}

/// A new node cannot know all others yet: the server may have lost their heartbeats.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_node_waits_for_the_others() {
    let server = Server::start(&[]);
    let way = Proxy::to(server.port).await;
    let patient = options().max_staleness(Duration::from_secs(600));
    let other = connect(patient.clone(), way.client()).await;
    way.set(Flow::Stops);
    for loses in [false, true] {
        if loses {
            server.ask::<u64>(cmd("DEL").arg("{jwt}:stream"));
        }
        let new = connect(patient.clone(), server.client()).await;
        let thing = Thing::new(0, in_seconds(600));
        let revocation = thing.revocation();
        let waited = new.revoke_and_wait(&revocation, Duration::from_millis(300));
        assert!(matches!(waited.await, Err(RedisStoreError::Unread)));
        // It is fresh, and has not read the revocation.
        assert_eq!(other.peek(&thing.token()), Some(false));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_away_is_waited_for_until_it_is_stale() {
    let server = Server::start(&[]);
    let way = Proxy::to(server.port).await;
    let patient = || options().max_staleness(Duration::from_secs(5));
    let away = connect(patient(), way.client()).await;
    let node = connect(patient(), server.client()).await;
    eventually("they know of each other", || node.state().nodes == 2).await;
    way.set(Flow::Stops);
    let thing = Thing::new(0, in_seconds(600));
    let revocation = thing.revocation();
    let waited = node.revoke_and_wait(&revocation, Duration::from_millis(100));
    assert!(matches!(waited.await, Err(RedisStoreError::Unread)));
    // It is a deadline like others.
    node.revoke_and_wait(&thing.revocation(), Duration::MAX)
        .await
        .unwrap();
    assert_ne!(away.peek(&thing.token()), Some(false));
    way.set(Flow::Passes);
    eventually("it has read it", || away.peek(&thing.token()) == Some(true)).await;
}

/// Nodes that load a revocation as they start have it, also if they end before they report again.
#[tokio::test]
async fn nodes_that_start_and_end_are_not_waited_for() {
    let server = Server::start(&[]);
    let way = Proxy::to(server.port).await;
    let (away, node) = (node(way.client()).await, node(server.client()).await);
    eventually("they know of each other", || node.state().nodes == 2).await;
    way.set(Flow::Stops);
    let thing = Thing::new(0, in_seconds(600));
    let revocation = thing.revocation();
    let waited = node.revoke_and_wait(&revocation, LONG);
    let restarts = async {
        loop {
            drop(crate::node(server.client()).await);
        }
    };
    tokio::select! {
        waited = waited => waited.unwrap(),
        () = restarts => (),
    }
    drop(away);
}

/// A node reports in one server's stream how far it has read another's, where the IDs are higher.
#[tokio::test]
async fn positions_in_another_stream_are_ignored() {
    let old = Server::ahead(1000);
    let proxy = Proxy::to(old.port).await;
    let staleness = Duration::from_secs(4);
    let late = connect(options().max_staleness(staleness), proxy.client()).await;
    let new = Server::start(&[]);
    let node = connect(options().max_staleness(staleness), new.client()).await;

    proxy.lead_to(new.port);
    let clients: String = old.ask(cmd("CLIENT").arg("LIST"));
    let mut writes = clients
        .lines()
        .filter(|line| !line.contains("cmd=xread") && !line.contains("cmd=client"));
    let id = writes.next().unwrap().split(['=', ' ']).nth(1).unwrap();
    let _: i64 = old.ask(cmd("CLIENT").arg("KILL").arg("ID").arg(id));
    eventually("it is heard of where it does not read", || {
        node.state().nodes == 2
    })
    .await;
    assert_eq!(late.state().loads, 1);
    let thing = Thing::new(1, in_seconds(600));
    let revoked = node.revoke_and_wait(&thing.revocation(), LONG).await;
    revoked.unwrap();
    assert_eq!(late.peek(&thing.token()), Some(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k12b_a_node_that_is_full_is_not_fresh() {
    let server = Server::start(&[]);
    let small = options().max_staleness(STALENESS).capacity(10);
    let small = connect(small, server.client()).await;
    let large = node(server.client()).await;
    let expires_at = in_seconds(600);
    for number in 0..10 {
        let thing = Thing::new(number * 6, expires_at);
        large.revoke(&thing.revocation()).await.unwrap();
        eventually("read", || small.peek(&thing.token()) == Some(true)).await;
    }
    let eleventh = Thing::new(600, expires_at);
    large.revoke(&eleventh.revocation()).await.unwrap();
    eventually("full", || small.peek(&eleventh.token()).is_none()).await;
    let full = small.ready(Duration::from_millis(10)).await;
    assert!(matches!(full, Err(RedisStoreError::SetFull)));
    let twelfth = Thing::new(606, expires_at);
    let full = small.revoke(&twelfth.revocation()).await;
    assert!(matches!(full, Err(RedisStoreError::SetFull)));
    eventually("Redis has it", || {
        large.peek(&twelfth.token()) == Some(true)
    })
    .await;
    for number in 0..10 {
        let thing = Thing::new(number * 6, expires_at);
        assert_eq!(small.peek(&thing.token()), Some(true));
    }
    assert_eq!(small.peek(&Thing::new(6000, expires_at).token()), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_last_clone_tasks_and_connections_end() {
    let server = Server::start(&[]);
    let clients = || {
        let list: String = server.ask(cmd("CLIENT").arg("LIST"));
        list.lines().count()
    };
    assert_eq!(clients(), 1);
    let runtime = tokio::runtime::Handle::current();
    let before = runtime.metrics().num_alive_tasks();
    for replicas in [0, 1] {
        let options = options().replicas(replicas, Duration::from_millis(1));
        let store = connect(options, server.client()).await;
        let thing = Thing::new(0, in_seconds(600));
        let _ = store.revoke(&thing.revocation()).await;
        server.ask::<()>(&mut cmd("FLUSHALL"));
        eventually("read anew", || store.state().loads > 1).await;
        let clone = store.clone();
        drop(store);
        assert!(clients() > 1);
        drop(clone);
        eventually("no connection", || clients() == 1).await;
        eventually("no task", || runtime.metrics().num_alive_tasks() == before).await;
    }
}

/// A node that loads the state again, though nothing was lost, writes nothing back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_back_that_is_there() {
    let server = Server::start(&[]);
    // Not stale so soon that a busy machine makes them load once more.
    let node = || connect(options(), server.client());
    let nodes = [node().await, node().await];
    let expires_at = in_seconds(600);
    for number in 0..300 {
        let thing = Thing::new(number, expires_at);
        nodes[0].revoke(&thing.revocation()).await.unwrap();
    }
    let last = Thing::new(299, expires_at);
    eventually("read", || nodes[1].peek(&last.token()) == Some(true)).await;
    server.ask::<u64>(cmd("XTRIM").arg("{jwt}:stream").arg("MAXLEN").arg(0));
    server.ask::<()>(cmd("HSET").arg("{jwt}:last").arg("hash").arg("another"));
    eventually("read anew", || {
        nodes.iter().all(|node| node.state().loads == 2)
    })
    .await;
    // A write-back would be done before the next few heartbeats.
    let length = || server.ask::<u64>(cmd("XLEN").arg("{jwt}:stream"));
    eventually("signs of life", || length() >= 12).await;
    let entries: Vec<(String, Vec<String>)> =
        server.ask(cmd("XRANGE").arg("{jwt}:stream").arg("-").arg("+"));
    for (_, members) in entries {
        let says = |what: &str| members.iter().any(|member| member == what);
        assert!(!says("z") && !says("u"), "{members:?}");
    }
}

/// One of two nodes waits for replicas that do not exist. It gets an error, and stays fresh.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_waited_for() {
    let master = Server::start(&[]);
    let options = options().max_staleness(STALENESS);
    let options = options.replicas(1, Duration::from_millis(300));
    let node = connect(options, master.client()).await;
    let number = std::sync::atomic::AtomicU64::new(0);
    let revoke = async || {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let thing = Thing::new(number, in_seconds(600));
        let revoked = node.revoke(&thing.revocation()).await;
        assert!(revoked.is_err() || node.peek(&thing.token()) == Some(true));
        revoked
    };
    for _ in 0..3 {
        let error = revoke().await.unwrap_err();
        assert!(matches!(error, RedisStoreError::Unreplicated), "{error:?}");
    }
    let all = futures(&revoke, 10).await;
    assert!(all.iter().all(Result::is_err));
    assert!(node.state().is_fresh);
    let replica = master.replica(0);
    eventually("it has a replica", || {
        master.info("replication").contains("state=online")
    })
    .await;
    let mut tries = 0;
    while revoke().await.is_err() {
        tries += 1;
        assert!(tries < 20);
    }
    revoke().await.unwrap();
    drop(replica);
    assert!(revoke().await.is_err());
}

/// `WAIT` covers the writes of its connection. On a new connection that is nothing, and every
/// replica has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_connection_is_no_proof_of_replicas() {
    let master = Server::start(&[]);
    let replica = master.replica(0);
    let proxy = Proxy::to(master.port).await;
    let options = options().replicas(1, Duration::from_millis(50));
    let node = connect(options, proxy.client()).await;
    let thing = Thing::new(0, in_seconds(600));
    while node.revoke(&thing.revocation()).await.is_err() {}

    replica.freeze();
    let until = std::time::Instant::now() + Duration::from_secs(5);
    let writers: Vec<_> = (1..=32)
        .map(|writer| {
            let node = node.clone();
            tokio::spawn(async move {
                let mut written = 0;
                for number in 0.. {
                    if std::time::Instant::now() > until {
                        break;
                    }
                    let thing = Thing::new(writer << 32 | number, in_seconds(600));
                    let revoked = node.revoke(&thing.revocation()).await;
                    assert!(revoked.is_err(), "no replica has it");
                    written += u64::from(matches!(revoked, Err(RedisStoreError::Unreplicated)));
                }
                written
            })
        })
        .collect();
    while std::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(3)).await;
        proxy.cut();
    }
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    assert!(written > 100, "{written} writes");
}

async fn futures<T>(call: &impl AsyncFn() -> T, count: usize) -> Vec<T> {
    let mut pending: Vec<_> = (0..count).map(|_| Box::pin(call())).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        let mut left = Vec::new();
        for mut one in pending.drain(..) {
            match one.as_mut().poll(context) {
                std::task::Poll::Ready(value) => done.push(value),
                std::task::Poll::Pending => left.push(one),
            }
        }
        pending = left;
        if pending.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done
}

#[tokio::test]
async fn k13_a_generation_that_scripts_cannot_count_to_is_refused() {
    let server = Server::start(&[]);
    let node = node(server.client()).await;
    let most = 1 << 52;
    for (generation, is_fine) in [(most, true), (most + 1, false), (u64::MAX, false)] {
        let revocation = Revocation::Generation {
            issuer: Some(ISSUER),
            subject: "alice",
            generation,
            until: in_seconds(600),
        };
        assert_eq!(node.revoke(&revocation).await.is_ok(), is_fine);
    }
    // A logout everywhere can still raise the highest one.
    let alice = Subject::new(Some(ISSUER), "alice");
    for raised in 1..=3 {
        let generation = node.raise_generation(&alice).await.unwrap();
        assert_eq!(generation, most + raised);
    }
    crate::node(server.client()).await;
}

/// The longer of two revocations of one token applies, also on a node that starts later.
#[tokio::test]
async fn k02_a_shorter_revocation_does_not_shorten() {
    let server = Server::start(&[]);
    let node = node(server.client()).await;
    let (long, short) = (in_seconds(600), in_seconds(5));
    for until in [long, short] {
        let session = Revocation::Session {
            issuer: Some(ISSUER),
            sid: "some",
            until,
        };
        node.revoke(&session).await.unwrap();
    }
    let mut members = cmd("ZRANGE");
    members
        .arg("{jwt}:revoked")
        .arg(0)
        .arg(-1)
        .arg("WITHSCORES");
    let members: Vec<Vec<u8>> = server.ask(&mut members);
    let end: u64 = std::str::from_utf8(&members[1]).unwrap().parse().unwrap();
    assert!(end >= long.seconds(), "{end}");
}

/// The last page of a load is full, or has one entry, or none.
#[tokio::test]
async fn a_state_of_about_one_page_is_loaded() {
    let server = Server::start(&[]);
    let first = node(server.client()).await;
    let until = in_seconds(600);
    revoke_sessions(&first, 0..3998, |_| until).await;
    for count in 3999..4002 {
        revoke_sessions(&first, count - 1..count, |_| until).await;
        let new = node(server.client()).await;
        let revocations = new.state().revocations;
        assert_eq!(revocations.entries() as u64, count);
    }
}

/// Meanwhile others revoke, and extend what the load has not read yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_of_many_pages_is_loaded_while_it_changes() {
    const SESSIONS: u64 = 12_500;
    let server = Server::start(&[]);
    let first = node(server.client()).await;
    // Some ends have many sessions, and some have one.
    let end = |number: u64| in_seconds(600 + number % 50 * (number % 80));
    revoke_sessions(&first, 0..SESSIONS, end).await;
    // Of another program.
    for (score, member) in [
        ("1e12", "short"),
        ("1e9", "0123456789abcdef"),
        ("-inf", "x"),
    ] {
        let mut add = cmd("ZADD");
        server.ask::<u64>(add.arg("{jwt}:revoked").arg(score).arg(member));
    }
    let extending = first.clone();
    let changes = tokio::spawn(async move {
        for round in 0.. {
            let numbers = (0..SESSIONS + round).rev().step_by(250);
            for number in numbers {
                let until = in_seconds(5000 + round);
                revoke_sessions(&extending, number..number + 1, |_| until).await;
            }
        }
    });
    for _ in 0..10 {
        let new = node(server.client()).await;
        for number in 0..SESSIONS {
            let sid = format!("session-{number}");
            let token = TokenIdentity::new(in_seconds(300));
            let token = token.issuer(ISSUER).sid(&sid);
            assert_eq!(new.peek(&token), Some(true), "{number}");
        }
    }
    changes.abort();
}

async fn revoke_sessions(
    node: &RedisStore,
    numbers: std::ops::Range<u64>,
    until: impl Fn(u64) -> NumericDate,
) {
    let mut pending = tokio::task::JoinSet::new();
    for number in numbers {
        let (node, until) = (node.clone(), until(number));
        pending.spawn(async move {
            let sid = format!("session-{number}");
            let revocation = Revocation::Session {
                issuer: Some(ISSUER),
                sid: &sid,
                until,
            };
            node.revoke(&revocation).await.unwrap();
        });
        if pending.len() == 64 {
            pending.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(revoked) = pending.join_next().await {
        revoked.unwrap();
    }
}
