//! A server that throws keys away, and keys that are gone.

use std::time::{Duration, Instant};

use tower_jwt_auth::revocation::{RevocationStore, TokenId};
use tower_jwt_auth::session::{SessionErrorKind, SessionStore, Subject};
use tower_jwt_auth::store::RedisStore;
use tower_jwt_auth::store::redis::client::cmd;

use crate::load::{ISSUER, Thing, in_seconds};
use crate::server::Server;
use crate::sessions::sessions;
use crate::{STALENESS, all_fresh, eventually, node, nodes, options};

fn alice() -> Subject<'static> {
    Subject::new(Some(ISSUER), "alice")
}

fn is_dead(store: &RedisStore, generation: u64) -> Option<bool> {
    let token = TokenId::new(in_seconds(200)).issuer(ISSUER).jti("some");
    let token = token.issued_at(in_seconds(0)).subject("alice");
    store.peek(&token.generation(generation))
}

fn set(server: &Server, name: &str, value: &str) {
    let mut set = cmd("CONFIG");
    server.ask::<()>(set.arg("SET").arg(name).arg(value));
}

/// Throws keys away until the subjects are gone.
fn evict_subjects(server: &Server) {
    set(server, "maxmemory-policy", "allkeys-random");
    let filler = "x".repeat(10_000);
    let mut used = server.number("memory", "used_memory") + 3_000_000;
    for number in 0..100_000 {
        set(server, "maxmemory", &used.to_string());
        let mut fill = cmd("SET");
        let _: Option<String> = server
            .client()
            .get_connection()
            .and_then(|mut connection| {
                fill.arg(format!("filler-{number}"))
                    .arg(&filler)
                    .query(&mut connection)
            })
            .unwrap_or_default();
        if server.ask::<u64>(cmd("EXISTS").arg("{jwt}:subjects")) == 0 {
            return;
        }
        used = used.saturating_sub(1000).max(2_000_000);
    }
    panic!("it is never thrown away");
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
    let login = sessions(&new).login("alice").await;
    println!("{ready:?}, blocked: {:?}", login.is_err());
    let error = ready.unwrap_err();
    assert!(error.to_string().contains("allkeys-random"), "{error}");
    let token = Thing::new(0, in_seconds(600));
    let error = new.is_revoked(&token.token()).await.unwrap_err();
    assert!(error.to_string().contains("allkeys-random"), "{error}");
    assert_eq!(new.peek(&token.token()), None);
    assert!(!new.state().is_fresh);
}
