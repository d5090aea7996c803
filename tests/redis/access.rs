//! The documented ACL rules are enough, and none is superfluous.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::store::redis::client::{Client, Value, cmd};
use tower_jwt_auth::testing::session_store_contract;

use crate::load::{Thing, in_seconds};
use crate::server::Server;
use crate::{LONG, STALENESS, connect, eventually, options};

/// The ACL rules in the module docs.
pub(crate) fn documented() -> Vec<&'static str> {
    let docs = include_str!("../../src/store/redis/mod.rs");
    let rules = docs.split_once("//! ACL SETUSER service on >password");
    let rules = rules.expect("the docs name the rules").1;
    let rules = rules.split_once("//! ```").unwrap().0;
    rules
        .split_whitespace()
        .filter(|rule| *rule != "//!")
        .collect()
}

/// Asserts that the server denied no command except `CLIENT SETINFO`.
pub(crate) fn nothing_was_denied(server: &Server) {
    let log: Vec<Value> = server.ask(cmd("ACL").arg("LOG"));
    let denied = log.iter().map(|entry| format!("{entry:?}"));
    let denied: Vec<_> = denied.filter(|entry| !entry.contains("setinfo")).collect();
    assert!(denied.is_empty(), "{denied:?}");
}

/// The rules that the docs add for a deployment, from that row of the table.
pub(crate) fn documented_for(deployment: &str) -> Vec<String> {
    let docs = include_str!("../../src/store/redis/mod.rs");
    let row = docs.lines().find(|line| line.contains(deployment));
    let rules = row.expect("the docs name the deployment").split('`');
    rules
        .filter(|part| part.starts_with('+'))
        .flat_map(str::split_whitespace)
        .map(|rule| rule.replace("\\|", "|"))
        .collect()
}

/// The docs list exactly the commands that scripts and nodes use.
#[test]
fn the_documented_rules_name_each_command_and_no_other() {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/redis/scripts");
    let mut used: BTreeSet<_> = ["eval", "evalsha", "xread", "wait"]
        .map(str::to_owned)
        .into();
    for script in std::fs::read_dir(scripts).unwrap() {
        let code = std::fs::read_to_string(script.unwrap().path()).unwrap();
        let calls = code.split("redis.call('").skip(1);
        used.extend(calls.map(|call| call.split('\'').next().unwrap().to_lowercase()));
    }
    let rules = documented();
    let named = rules.iter().filter_map(|rule| rule.strip_prefix('+'));
    let named: BTreeSet<_> = named.map(str::to_owned).collect();
    assert_eq!(named, used);
    let others: Vec<_> = rules.iter().filter(|rule| !rule.starts_with('+')).collect();
    assert_eq!(others, [&"~{jwt}:*"]);
}

/// Creates the ACL user with these rules.
pub(crate) fn allow(server: &Server, rules: &[&str]) {
    let mut user = cmd("ACL");
    user.arg("SETUSER").arg("service").arg("reset");
    server.ask::<()>(user.arg("on").arg(">password").arg(rules));
}

pub(crate) fn client(server: &Server) -> Client {
    Client::open(format!(
        "redis://service:password@127.0.0.1:{}/",
        server.port
    ))
    .unwrap()
}

#[tokio::test]
async fn the_documented_rules_are_enough_for_the_contract() {
    let server = Server::start(&[]);
    let mut rules = documented();
    // Each prefix gets its rules.
    rules.retain(|rule| !rule.starts_with('~'));
    rules.push("~{*}:*");
    allow(&server, &rules);
    let number = AtomicU64::new(0);
    session_store_contract(|clock: ManualClock| {
        let prefix = number.fetch_add(1, Ordering::SeqCst).to_string();
        let options = options().prefix(prefix).clock(clock);
        connect(options, client(&server))
    })
    .await;
}

/// What the contract does not cover: other revocations, replicas, and write-back to an emptied
/// server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_rules_are_enough_for_the_rest() {
    let master = Server::start(&[]);
    let _replica = master.replica(0);
    allow(&master, &documented());
    let options = options().max_staleness(STALENESS);
    let options = options.replicas(1, Duration::from_secs(1));
    let node = connect(options, client(&master)).await;
    for number in 0..6 {
        let thing = Thing::new(number, in_seconds(600));
        node.revoke_and_wait(&thing.revocation(), LONG)
            .await
            .unwrap();
    }
    let blocked = Thing::new(5, in_seconds(600));
    let token = blocked.token();
    assert!(
        node.lift_block(token.issuer, token.subject.unwrap())
            .await
            .unwrap()
    );
    let loads = node.state().loads;
    master.ask::<()>(&mut cmd("FLUSHALL"));
    // Each has the empty member too, which shows that the key was not deleted.
    let members = || master.ask::<u64>(cmd("ZCARD").arg("{jwt}:revoked"));
    eventually("restored", || members() == 5).await;
    eventually("subjects too", || {
        master.ask::<u64>(cmd("HLEN").arg("{jwt}:subjects")) == 3
    })
    .await;
    node.ready(LONG).await.unwrap();
    assert!(node.state().loads > loads);
    nothing_was_denied(&master);
}

fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// If a command is not allowed, the node is not ready and reports the server's answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_not_allowed_is_reported() {
    let server = Server::start(&[]);
    let rules = documented();
    for missing in ["+info", "+xread", "+xadd", "+evalsha"] {
        let rules: Vec<_> = rules.iter().filter(|rule| **rule != missing).collect();
        assert_eq!(rules.len() + 1, documented().len(), "{missing}");
        let rules: Vec<_> = rules.into_iter().copied().collect();
        allow(&server, &rules);
        let options = options().max_staleness(STALENESS);
        let node = options.connect(client(&server)).await.unwrap();
        let error = node.ready(Duration::from_secs(3)).await.unwrap_err();
        let why = chain(&error);
        println!("{missing}: {why}");
        assert!(
            why.contains("permission") || why.contains("can't run"),
            "{missing}: {why}"
        );
        assert!(!why.contains("password"), "{missing}: {why}");
    }
}
