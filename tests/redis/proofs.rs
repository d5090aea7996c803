//! DPoP proofs that all nodes share.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use serde_json::json;
use tokio::task::JoinSet;
use tower::ServiceExt;
use tower_jwt_auth::dpop::{Dpop, DpopErrorKind, ProofIdentity, ReplayStore, ReplayVerdict};
use tower_jwt_auth::store::redis::client::cmd;
use tower_jwt_auth::store::{RedisStore, RedisStoreError, RedisStoreOptions};
use tower_jwt_auth::{AuthError, AuthErrorKind, JwtAuthLayer, TokenSource};

use crate::bound_token::BoundToken;
use crate::edge::signing_key;
use crate::groups::{Cluster, Watched};
use crate::load::ISSUER;
use crate::proxy::{Flow, Proxy};
use crate::server::Server;
use crate::{LONG, STALENESS, connect, eventually, node, nodes, options};

/// A thumbprint has 43 characters.
const KEY: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

/// From `iat` until the proof may be forgotten, and until no node accepts it.
const KEPT: i64 = 90;
const ACCEPTED: i64 = 60;

fn later(time: SystemTime, seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { time - by } else { time + by }
}

/// Uses a proof now, by a clock that is some seconds ahead.
async fn use_proof(
    store: &RedisStore,
    jti: &str,
    issued: SystemTime,
    ahead: i64,
) -> Result<ReplayVerdict, RedisStoreError> {
    let now = later(SystemTime::now(), ahead);
    let identity = ProofIdentity::new(KEY, jti, later(issued, KEPT), now);
    store.remember(&identity).await
}

async fn use_new(store: &RedisStore, jti: &str) -> Result<ReplayVerdict, RedisStoreError> {
    use_proof(store, jti, SystemTime::now(), 0).await
}

/// The names of the proofs that have not expired.
fn stored(server: &Server) -> Vec<Vec<u8>> {
    server.ask(cmd("KEYS").arg("{jwt}:proof:*"))
}

/// At every second, for clocks that differ: no proof is new while a node accepts it.
#[tokio::test]
async fn o39_a_proof_of_another_node_stays_used_until_it_expires() {
    let (server, clock) = Server::with_clock();
    let nodes = nodes(&server, 2).await;
    let mut replays = 0;
    for first_use in [-29, 0, 59] {
        for (one, other) in [(0, 0), (29, -29), (-29, 29), (29, 29), (-29, -29)] {
            let issued = SystemTime::now();
            let jti = |second: i64| format!("{first_use} {one} {other} {second}");
            // All clocks count from `issued`, however long this takes.
            let passed = || i64::try_from(issued.elapsed().unwrap().as_secs()).unwrap();
            // By the clock of the first node.
            let shift = first_use - one;
            for second in shift..=KEPT {
                clock.set(shift - passed());
                let ahead = first_use - passed();
                let verdict = use_proof(&nodes[0], &jti(second), issued, ahead).await;
                assert_eq!(verdict.unwrap(), ReplayVerdict::New);
            }
            for second in shift..=KEPT {
                // The layer rejects it before it asks the store.
                if second + other >= ACCEPTED {
                    break;
                }
                clock.set(second - passed());
                let ahead = second + other - passed();
                let verdict = use_proof(&nodes[1], &jti(second), issued, ahead).await;
                assert_eq!(verdict.unwrap(), ReplayVerdict::Replayed, "{}", jti(second));
                replays += 1;
            }
            clock.set(KEPT + 60);
            assert_eq!(stored(&server).len(), 0, "all have expired");
        }
    }
    println!("{replays} replays on a second node");
}

/// A step of a node's clock makes an old proof acceptable there, whose key has expired.
#[tokio::test]
async fn o40_a_node_whose_clock_steps_uses_no_proof() {
    let (server, clock) = Server::with_clock();
    let nodes = nodes(&server, 3).await;
    let issued = SystemTime::now();
    let verdict = use_proof(&nodes[0], "a", issued, 0).await;
    assert_eq!(verdict.unwrap(), ReplayVerdict::New);
    // For the server, and for the third node, the proof has expired long ago.
    clock.set(3600);
    assert_eq!(stored(&server).len(), 0);
    let error = use_proof(&nodes[1], "a", issued, 0).await.unwrap_err();
    assert!(matches!(error, RedisStoreError::ClocksDiffer), "{error:?}");
    for ahead in [-31, 31, 86_400] {
        let of_step = later(issued, 3600 + ahead);
        let jti = format!("b {ahead}");
        let used = use_proof(&nodes[2], &jti, of_step, 3600 + ahead).await;
        let error = used.unwrap_err();
        assert!(matches!(error, RedisStoreError::ClocksDiffer), "{error:?}");
    }
    assert_eq!(stored(&server).len(), 0);
    // Nothing is wrong with nodes whose clocks follow.
    let verdict = use_proof(&nodes[0], "c", later(issued, 3600), 3600).await;
    assert_eq!(verdict.unwrap(), ReplayVerdict::New);
}

#[tokio::test]
async fn o41_a_flood_fills_its_share_alone() {
    let server = Server::start(&[]);
    let small = options().proof_capacity(1600);
    let node = connect(small.clone(), server.client()).await;
    let mut verdicts = [0, 0];
    for number in 0..500 {
        match use_new(&node, &number.to_string()).await.unwrap() {
            ReplayVerdict::New => verdicts[0] += 1,
            ReplayVerdict::TooMany => verdicts[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(verdicts, [100, 400]);
    assert_eq!(stored(&server).len(), 100);
    let now = SystemTime::now();
    for number in 0..100 {
        let key = format!("{number:0>43}");
        let identity = ProofIdentity::new(&key, "a", later(now, KEPT), now);
        let verdict = node.remember(&identity).await.unwrap();
        assert_eq!(verdict, ReplayVerdict::New);
    }
    // Each node has shares of its own.
    let other = connect(small, server.client()).await;
    assert_eq!(use_new(&other, "new").await.unwrap(), ReplayVerdict::New);
    let verdict = use_new(&other, "0").await.unwrap();
    assert_eq!(verdict, ReplayVerdict::Replayed);
    let full = connect(options().proof_capacity(1), server.client()).await;
    assert_eq!(use_new(&full, "last").await.unwrap(), ReplayVerdict::New);
    let identity = ProofIdentity::new("another", "a", later(now, KEPT), now);
    let error = full.remember(&identity).await.unwrap_err();
    assert!(matches!(error, RedisStoreError::ProofsFull), "{error:?}");
}

/// What a proof takes in Redis, as the docs have it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_takes_as_much_memory_as_documented() {
    const PROOFS: usize = 20_000;
    let server = Server::start(&[]);
    let node = node(server.client()).await;
    let before = server.number("memory", "used_memory");
    for number in 0..PROOFS {
        use_new(&node, &number.to_string()).await.unwrap();
    }
    let used = server.number("memory", "used_memory") - before;
    let each = usize::try_from(used).unwrap() / PROOFS;
    println!("{each} bytes a proof");
    assert!((100..=200).contains(&each), "{each}");
}

#[tokio::test]
async fn o36_redis_has_no_value_of_a_proof() {
    let server = Server::start(&[]);
    let node = node(server.client()).await;
    for jti in ["same", "other"] {
        use_new(&node, jti).await.unwrap();
    }
    let names = stored(&server);
    assert_eq!(names.len(), 2);
    for name in names {
        assert_eq!(name.len(), "{jwt}:proof:".len() + 16);
        let value: Vec<u8> = server.ask(cmd("GET").arg(&name));
        assert_eq!(value.len(), 16);
        for secret in [KEY.as_bytes(), b"same", b"other"] {
            let has = |text: &[u8]| text.windows(secret.len()).any(|part| part == secret);
            assert!(!has(&name) && !has(&value));
        }
    }
    // Under another secret the names differ, so those nodes could not see each other's proofs.
    let foreign = RedisStoreOptions::new([8; 32]).unwrap();
    let foreign = foreign.connect(server.client()).await.unwrap();
    foreign.ready(STALENESS).await.unwrap_err();
    let error = use_new(&foreign, "same").await.unwrap_err();
    assert!(matches!(error, RedisStoreError::OtherSecret), "{error:?}");
}

/// The server ran the script, and the connection broke before its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_call_has_the_same_verdict() {
    let server = Server::start(&[]);
    let proxy = Proxy::to(server.port).await;
    let (node, other) = (node(proxy.client()).await, node(server.client()).await);
    // From now on the server has the script.
    use_new(&other, "used").await.unwrap();
    let runs = || server.calls()["set"];
    for (jti, verdict) in [
        ("new", ReplayVerdict::New),
        ("used", ReplayVerdict::Replayed),
    ] {
        let before = runs();
        proxy.set(Flow::StopsAnswers);
        let used = tokio::spawn({
            let node = node.clone();
            async move { use_new(&node, jti).await }
        });
        eventually("stored", || runs() > before).await;
        proxy.cut();
        proxy.set(Flow::Passes);
        assert_eq!(used.await.unwrap().unwrap(), verdict);
        assert_eq!(runs(), before + 2);
    }
}

#[tokio::test]
async fn a_server_that_evicts_uses_no_proof() {
    let server = Server::start(&["--maxmemory", "1gb", "--maxmemory-policy", "volatile-ttl"]);
    let node = options().connect(server.client()).await.unwrap();
    // Before it knows the policy, too.
    use_new(&node, "at once").await.unwrap_err();
    node.ready(Duration::from_secs(2)).await.unwrap_err();
    let error = use_new(&node, "a").await.unwrap_err();
    assert!(matches!(error, RedisStoreError::Eviction(_)), "{error:?}");
    let allowed = connect(options().allow_eviction(), server.client()).await;
    assert_eq!(use_new(&allowed, "b").await.unwrap(), ReplayVerdict::New);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o39_replays_in_a_cluster() {
    let cluster = Cluster::start().await;
    let replicated = options().replicas(1, Duration::from_secs(1));
    let nodes = [
        node(cluster.client()).await,
        connect(replicated, cluster.client()).await,
    ];
    for number in 0..20 {
        let (jti, first) = (number.to_string(), number % 2);
        let verdict = use_new(&nodes[first], &jti).await.unwrap();
        assert_eq!(verdict, ReplayVerdict::New);
        let verdict = use_new(&nodes[1 - first], &jti).await.unwrap();
        assert_eq!(verdict, ReplayVerdict::Replayed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o39_replays_after_sentinels_have_named_another_master() {
    let mut watched = Watched::start().await;
    let nodes = [node(watched.client()).await, node(watched.client()).await];
    assert_eq!(use_new(&nodes[0], "a").await.unwrap(), ReplayVerdict::New);
    let verdict = use_new(&nodes[1], "a").await.unwrap();
    assert_eq!(verdict, ReplayVerdict::Replayed);
    use_new(&nodes[0], "before").await.unwrap();
    watched.servers[0].kill();
    let mut number = 0;
    let began = Instant::now();
    loop {
        number += 1;
        let jti = format!("after {number}");
        match use_new(&nodes[0], &jti).await {
            Ok(verdict) => {
                assert_eq!(verdict, ReplayVerdict::New);
                let verdict = use_new(&nodes[1], &jti).await;
                assert!(!matches!(verdict, Ok(ReplayVerdict::New)), "{verdict:?}");
                if verdict.is_ok() {
                    break;
                }
            }
            Err(_) => assert!(began.elapsed() < LONG, "no other master"),
        }
    }
    // The new master may have lost it, and its own node remembers it.
    let verdict = use_new(&nodes[0], "before").await.unwrap();
    assert_eq!(verdict, ReplayVerdict::Replayed);
}

fn seconds_now() -> u64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_epoch.unwrap().as_secs()
}

fn new_client() -> BoundToken {
    let expires_at = seconds_now() + 600;
    BoundToken::new(|cnf| {
        let claims = json!({ "iss": ISSUER, "sub": "alice", "exp": expires_at, "cnf": cnf });
        signing_key().sign(&claims).unwrap()
    })
}

fn fresh_proof(client: &BoundToken, jti: &str) -> String {
    client.proof(jti, seconds_now())
}

/// The status, and the kind of a rejection.
async fn ask(
    service: &Router,
    client: &BoundToken,
    proof: &str,
) -> (StatusCode, Option<AuthErrorKind>) {
    let request = Request::get("/")
        .header(AUTHORIZATION, format!("DPoP {}", client.token))
        .header("dpop", proof)
        .body(Body::empty())
        .unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    let error = response.extensions().get::<AuthError>();
    (response.status(), error.map(AuthError::kind))
}

fn service(store: &RedisStore) -> Router {
    let dpop = Dpop::new("https://api.example.com").unwrap();
    let source = TokenSource::dpop(dpop.replay_store(store.clone()));
    let layer = JwtAuthLayer::new(signing_key().verifying_key())
        .issuer(ISSUER)
        .sources([source]);
    Router::new().route("/", get(async || "here")).layer(layer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o39_a_replay_on_another_node_through_the_layer() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let services = [service(&nodes[0]), service(&nodes[1])];
    let client = Arc::new(new_client());
    let replayed = AuthErrorKind::InvalidProof(DpopErrorKind::Replayed);
    for number in 0..20 {
        let proof = fresh_proof(&client, &number.to_string());
        let (status, _) = ask(&services[number % 2], &client, &proof).await;
        assert_eq!(status, StatusCode::OK);
        for service in &services {
            let answer = ask(service, &client, &proof).await;
            assert_eq!(answer, (StatusCode::UNAUTHORIZED, Some(replayed)));
        }
    }
    assert_eq!(stored(&server).len(), 20);
    // One for each use on either node, and one for the secret. A replay on one node asks nobody.
    assert_eq!(server.calls()["set"], 2 * 20 + 1);
    // At once on all nodes: one wins.
    let proof = fresh_proof(&client, "at once");
    let mut uses = JoinSet::new();
    for number in 0..40 {
        let (client, service) = (Arc::clone(&client), services[number % 2].clone());
        let proof = proof.clone();
        uses.spawn(async move { ask(&service, &client, &proof).await.0 });
    }
    let statuses = uses.join_all().await;
    let statuses = statuses.into_iter();
    let accepted = statuses.filter(|status| *status == StatusCode::OK).count();
    assert_eq!(accepted, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o31_a_redis_that_does_not_answer_is_never_skipped() {
    let mut server = Server::start(&[]);
    let store = node(server.client()).await;
    let service = service(&store);
    let client = new_client();
    let accepted = (StatusCode::OK, None);
    let unavailable = (
        StatusCode::SERVICE_UNAVAILABLE,
        Some(AuthErrorKind::Unavailable),
    );
    let first = fresh_proof(&client, "a");
    assert_eq!(ask(&service, &client, &first).await, accepted);
    server.freeze();
    for jti in ["b", "c"] {
        let began = Instant::now();
        let answer = ask(&service, &client, &fresh_proof(&client, jti)).await;
        assert_eq!(answer, unavailable);
        println!("frozen: 503 after {:?}", began.elapsed());
    }
    server.signal("-CONT");
    let mut number = 0;
    let use_next = async |number: u32| {
        let proof = fresh_proof(&client, &number.to_string());
        ask(&service, &client, &proof).await
    };
    while use_next(number).await != accepted {
        number += 1;
        assert!(number < 1000, "it does not recover");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.kill();
    for number in 1000..1010 {
        assert_eq!(use_next(number).await, unavailable);
    }
    server.run();
    store.ready(LONG).await.unwrap();
    assert_eq!(use_next(2000).await, accepted);
}
