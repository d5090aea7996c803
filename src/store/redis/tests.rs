//! What a node does with the stream entries that it reads. No server is needed.

use std::sync::Arc;
use std::time::Duration;

use super::fingerprint_cipher::FingerprintCipher;
use super::key_names::KeyNames;
use super::local_state::LocalState;
use super::node::Node;
use super::node_table::NodeTable;
use super::script_client::{ScriptClient, ScriptSettings};
use super::stream_entry::apply_entry;
use super::stream_position::{ReadPosition, StreamPosition};
use super::subject_record::{RecordOrder, SubjectRecord};
use super::timestamp::Timestamp;
use super::*;
use crate::clock::SystemClock;
use crate::dpop::Dpop;
use crate::revocation::{RevocationSet, TokenIdentity};

const NODE_ID: &str = "00000000000000aa";
const OTHER_NODE_ID: &str = "00000000000000bb";

fn node(allows_eviction: bool) -> Node {
    let cipher = FingerprintCipher::new(&[7; 32]).unwrap();
    let set = RevocationSet::new().fingerprint_key(cipher.fingerprint_key);
    let max_staleness = Duration::from_secs(5);
    let settings = ScriptSettings {
        check_value: cipher.check_value(),
        retention: Duration::from_secs(60),
        call_timeout: Duration::from_secs(1),
        replicas: 0,
        replication_timeout: Duration::ZERO,
    };
    let client = client::Client::open("redis://127.0.0.1:1/").unwrap();
    let clock = Arc::new(SystemClock);
    let keys = KeyNames::new("jwt");
    let redis = ScriptClient::new(client.into(), keys, clock.clone(), settings);
    let longest_lifetime = Duration::from_secs(3600);
    let local = LocalState::new(set, cipher, clock, longest_lifetime, max_staleness);
    let id = NODE_ID.to_owned();
    Node::new(id, redis, local, max_staleness, allows_eviction)
}

/// The nonce of a call.
fn nonce(name: &str) -> String {
    format!("{name:0>16}")
}

/// The tag of an entry of that call.
fn tag(name: &str) -> String {
    nonce(name) + "0123456789abcdef"
}

fn apply(node: &Node, name: &str, fields: &[(&str, &[u8])]) -> Result<bool, RedisStoreError> {
    let field = |name: &str| {
        let found = fields.iter().find(|(field, _)| *field == name);
        found.map(|(_, value)| *value)
    };
    apply_entry(node, StreamPosition::START, tag(name).as_bytes(), &field)
}

fn apply_heartbeat(node: &Node, name: &str, id: &str) -> bool {
    apply(node, name, &[("h", id.as_bytes()), ("a", b"1-1")]).unwrap()
}

fn send_heartbeat(node: &Node, name: &str) {
    node.pending_heartbeats.push(nonce(name));
}

#[test]
fn a_node_is_as_fresh_as_the_heartbeat_that_it_reads() {
    let node = node(false);
    let freshness = &node.local.freshness;
    assert!(apply_heartbeat(&node, "1", OTHER_NODE_ID));
    // With the ID of this node, but not sent by it.
    assert!(apply_heartbeat(&node, "2", NODE_ID));
    assert_eq!(freshness.staleness(), None);
    assert!(!freshness.is_fresh());

    send_heartbeat(&node, "3");
    std::thread::sleep(Duration::from_millis(20));
    assert!(apply_heartbeat(&node, "4", OTHER_NODE_ID));
    assert!(!freshness.is_fresh());
    assert!(apply_heartbeat(&node, "3", NODE_ID));
    assert!(freshness.is_fresh());
    assert!(freshness.staleness() >= Some(Duration::from_millis(20)));
    assert_eq!(node.nodes.live_count(), 2);
}

#[test]
fn a_node_that_misses_its_own_write_is_not_fresh() {
    let node = node(false);
    let mut write = node.pending_writes.begin(nonce("a"), false);
    write.acknowledge(tag("a").as_bytes());
    drop(write);
    std::thread::sleep(Duration::from_millis(1));
    for (heartbeat, is_there) in [("5", false), ("6", true)] {
        if is_there {
            assert!(apply(&node, "a", &[]).unwrap());
        }
        send_heartbeat(&node, heartbeat);
        assert_eq!(apply_heartbeat(&node, heartbeat, NODE_ID), is_there);
        assert_eq!(node.local.freshness.is_fresh(), is_there);
    }
}

#[test]
fn a_node_is_not_fresh_while_the_server_evicts() {
    for allows_eviction in [false, true] {
        let node = node(allows_eviction);
        let is_fresh_after = |name: &str, policy: Option<&[u8]>| {
            send_heartbeat(&node, name);
            let mut fields: Vec<(&str, &[u8])> = vec![("h", NODE_ID.as_bytes()), ("a", b"1-1")];
            fields.extend(policy.map(|policy| ("e", policy)));
            assert!(apply(&node, name, &fields).unwrap());
            node.local.freshness.is_fresh()
        };
        assert!(is_fresh_after("1", None));
        assert_eq!(is_fresh_after("2", Some(b"allkeys-lru")), allows_eviction);
        assert!(is_fresh_after("3", None));
    }
}

#[test]
fn malformed_entries_are_inconsistent() {
    let node = node(false);
    let field = node.local.cipher.encrypt_subject(7);
    for fields in [
        vec![("z", &b"garbage"[..]), ("s", b"5")],
        vec![("z", &field), ("s", b"5")],
        vec![("z", &[0; 16]), ("s", b"5")],
        vec![("u", b"garbage"), ("r", b"1:2:0:0:1:1:aaaaaaaa,")],
        vec![("u", &field), ("r", b"garbage")],
        vec![("h", b"garbage"), ("a", b"1-1")],
        vec![("h", NODE_ID.as_bytes()), ("a", b"garbage")],
    ] {
        assert!(!apply(&node, "1", &fields).unwrap(), "{fields:?}");
    }
    // An entry of a later version, which this one need not know.
    assert!(apply(&node, "1", &[("x", b"y")]).unwrap());
}

#[test]
fn both_of_two_diverged_histories_of_a_subject_apply() {
    let node = node(false);
    let apply_to = |fingerprint: u64, text: &str| {
        let record = SubjectRecord::parse(text.as_bytes()).unwrap();
        node.local.apply_subject(fingerprint, record).unwrap()
    };
    let is_blocked = || {
        let expires_at = crate::claims::NumericDate::from_seconds(4_000_000_000).unwrap();
        let issued_at = crate::claims::NumericDate::from_seconds(3_999_999_999).unwrap();
        let token = TokenIdentity::new(expires_at)
            .subject("alice")
            .issued_at(issued_at);
        node.local.set.is_revoked(&token.generation(9))
    };
    let alice = node.local.set.subject_fingerprint(None, "alice").bits();
    let apply = |text: &str| apply_to(alice, text);
    let newer = RecordOrder::Newer;
    assert_eq!(apply_to(7, "1:4000000000:0:5:1:1:aaaaaaaa,"), newer);
    assert_eq!(apply("1:4000000000:1:5:1:1:aaaaaaaa,"), newer);
    assert!(is_blocked());
    assert_eq!(apply("1:4000000000:0:6:2:1:bbbbbbbb,aaaaaaaa,"), newer);
    assert!(!is_blocked());
    let order = apply("1:4000000000:1:5:1:1:aaaaaaaa,");
    assert_eq!(order, RecordOrder::Older);
    assert!(!is_blocked());
    let order = apply("2:4000000000:1:7:2:2:cccccccc,aaaaaaaa,");
    assert_eq!(order, RecordOrder::Diverged);
    assert!(is_blocked());
    // The known record is written back.
    assert!(node.local.live_subjects().contains(&alice));
    let record = node.local.subject(alice).unwrap();
    assert_eq!(record.to_text(), "1:4000000000:0:6:2:1:bbbbbbbb,aaaaaaaa,");
    let order = apply("2:4000000000:0:8:4:2:dddddddd,bbbbbbbb,cccccccc,aaaaaaaa,");
    assert_eq!(order, newer);
    assert!(!is_blocked());
}

#[test]
fn the_scripts_repeat_the_largest_leeway() {
    let prelude = include_str!("scripts/prelude.lua");
    let line = format!("local leeway = {}\n", crate::clock::MAX_LEEWAY.as_millis());
    assert!(prelude.contains(&line), "{line}");
}

#[test]
fn the_script_repeats_the_margin_of_proofs() {
    let script = include_str!("scripts/use_proof.lua");
    let line = format!(
        "(server - now) > {} then\n",
        Dpop::REPLAY_MARGIN.as_millis()
    );
    assert!(script.contains(&line), "{line}");
}

/// A heartbeat from before the load may be all that shows a node.
#[test]
fn no_write_is_read_by_all_nodes_while_one_may_be_unknown() {
    let nodes = NodeTable::new(Duration::ZERO);
    let entry = ReadPosition {
        position: StreamPosition::START,
        load_count: 1,
    };
    let later = || {
        std::thread::sleep(Duration::from_millis(1));
        Timestamp::now()
    };
    let all_have_read = |nodes: &NodeTable| nodes.all_have_read(NODE_ID, entry);
    assert!(!all_have_read(&nodes));
    nodes.record_gap(b"process");
    assert!(!all_have_read(&nodes));
    nodes.record_own_heartbeat(later());
    assert!(all_have_read(&nodes));
    // It has read nothing since this node has loaded the state.
    let mut has_read = entry;
    has_read.load_count = 0;
    nodes.record_heartbeat(OTHER_NODE_ID.as_bytes(), has_read);
    later();
    assert!(!all_have_read(&nodes));
    nodes.record_own_heartbeat(later());
    assert!(all_have_read(&nodes));
    nodes.record_process(b"process");
    assert!(all_have_read(&nodes));
    nodes.record_process(b"promoted");
    assert!(!all_have_read(&nodes));

    let nodes = NodeTable::new(Duration::from_secs(3600));
    nodes.record_gap(b"process");
    nodes.record_own_heartbeat(later());
    assert!(!all_have_read(&nodes));
    nodes.record_heartbeat(OTHER_NODE_ID.as_bytes(), entry);
    assert!(!all_have_read(&nodes));
}
