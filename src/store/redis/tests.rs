//! What needs no server: what a node makes of an entry that it reads.

use std::sync::Arc;
use std::time::Duration;

use super::feed::take;
use super::health::Moment;
use super::record::{Lineage, Record};
use super::sealed::Seal;
use super::shared::{Beat, Names, Position, Settings, Shared};
use super::*;
use crate::clock::SystemClock;
use crate::revocation::RevocationSet;

const NODE: &str = "00000000000000aa";

fn shared() -> Shared {
    let seal = Seal::new(&[7; 32]).unwrap();
    let set = RevocationSet::new().fingerprint_key(seal.fingerprints);
    let settings = Settings {
        max_staleness: Duration::from_secs(5),
        longest_lifetime: Duration::from_secs(3600),
        replicas: 0,
        replication_patience: Duration::ZERO,
        allows_eviction: false,
    };
    Shared::new(
        client::Client::open("redis://127.0.0.1:1/").unwrap().into(),
        Names::new("jwt"),
        seal,
        set,
        Arc::new(SystemClock),
        settings,
        Duration::from_secs(1),
        NODE.to_owned(),
    )
}

/// The nonce of a call.
fn nonce(name: &str) -> String {
    format!("{name:0>16}")
}

/// The tag of an entry of that call.
fn tag(name: &str) -> String {
    nonce(name) + "0123456789abcdef"
}

fn read(shared: &Shared, name: &str, members: &[(&str, &[u8])]) -> Result<bool, RedisStoreError> {
    let member = |name: &str| {
        let found = members.iter().find(|(member, _)| *member == name);
        found.map(|(_, value)| *value)
    };
    take(shared, Position::START, tag(name).as_bytes(), &member)
}

fn beat(node: &str) -> [(&'static str, Vec<u8>); 2] {
    [("h", node.into()), ("a", b"1-1".to_vec())]
}

fn hear(shared: &Shared, name: &str, node: &str) -> bool {
    let members = beat(node);
    let members: Vec<(&str, &[u8])> = members
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    read(shared, name, &members).unwrap()
}

#[test]
fn a_node_is_fresh_as_of_when_it_wrote_what_it_reads() {
    let shared = shared();
    assert!(hear(&shared, "1", "00000000000000bb"));
    // By its name, but not written by this process.
    assert!(hear(&shared, "2", NODE));
    assert_eq!(shared.health.staleness(), None);
    assert!(!shared.health.is_fresh());

    shared.beats().push_back(Beat {
        nonce: nonce("3"),
        written: Moment::now(),
    });
    std::thread::sleep(Duration::from_millis(20));
    assert!(hear(&shared, "4", "00000000000000bb"));
    assert!(!shared.health.is_fresh());
    assert!(hear(&shared, "3", NODE));
    assert!(shared.health.is_fresh());
    assert!(shared.health.staleness() >= Some(Duration::from_millis(20)));
    assert_eq!(shared.live_nodes(), 2);
}

#[test]
fn a_node_that_misses_its_own_write_is_not_fresh() {
    let shared = shared();
    let mut ticket = shared.own.ticket(nonce("a"), false);
    ticket.acknowledge(tag("a").as_bytes());
    drop(ticket);
    std::thread::sleep(Duration::from_millis(1));
    for (beat, is_there) in [("5", false), ("6", true)] {
        if is_there {
            assert!(read(&shared, "a", &[]).unwrap());
        }
        shared.beats().push_back(Beat {
            nonce: nonce(beat),
            written: Moment::now(),
        });
        assert_eq!(hear(&shared, beat, NODE), is_there);
        assert_eq!(shared.health.is_fresh(), is_there);
    }
}

#[test]
fn a_node_is_not_fresh_while_the_server_evicts() {
    for allows_eviction in [false, true] {
        let mut shared = shared();
        shared.settings.allows_eviction = allows_eviction;
        let beat = |name: &str, policy: Option<&[u8]>| {
            shared.beats().push_back(Beat {
                nonce: nonce(name),
                written: Moment::now(),
            });
            let mut members: Vec<(&str, &[u8])> = vec![("h", NODE.as_bytes()), ("a", b"1-1")];
            members.extend(policy.map(|policy| ("e", policy)));
            assert!(read(&shared, name, &members).unwrap());
            shared.health.is_fresh()
        };
        assert!(beat("1", None));
        assert_eq!(beat("2", Some(b"allkeys-lru")), allows_eviction);
        assert!(beat("3", None));
    }
}

#[test]
fn what_makes_no_sense_is_told_from_what_does() {
    let shared = shared();
    let field = shared.seal.field(7);
    for members in [
        vec![("z", &b"garbage"[..]), ("s", b"5")],
        vec![("z", &field), ("s", b"5")],
        vec![("z", &[0; 16]), ("s", b"5")],
        vec![("u", b"garbage"), ("r", b"1:2:0:0:1:aaaaaaaa,")],
        vec![("u", &field), ("r", b"garbage")],
        vec![("h", b"garbage"), ("a", b"1-1")],
        vec![("h", NODE.as_bytes()), ("a", b"garbage")],
    ] {
        assert!(!read(&shared, "1", &members).unwrap(), "{members:?}");
    }
    // Of a later version: nothing that this one has to know.
    assert!(read(&shared, "1", &[("x", b"y")]).unwrap());
}

#[test]
fn of_two_histories_of_a_subject_both_count() {
    let shared = shared();
    let learn = |text: &str| {
        let record = Record::parse(text.as_bytes()).unwrap();
        shared.learn_subject(7, record).unwrap()
    };
    let is_blocked = || {
        let expires_at = crate::claims::NumericDate::from_seconds(4_000_000_000).unwrap();
        let issued_at = crate::claims::NumericDate::from_seconds(3_999_999_999).unwrap();
        let token = TokenIdentity::new(expires_at)
            .subject("alice")
            .issued_at(issued_at);
        shared.set.is_revoked(&token.generation(9))
    };
    let id = shared.set.subject_fingerprint(None, "alice").bits();
    let learn_alice = |text: &str| {
        let record = Record::parse(text.as_bytes()).unwrap();
        shared.learn_subject(id, record).unwrap()
    };
    assert_eq!(learn("1:4000000000:0:5:1:aaaaaaaa,"), Lineage::Newer);
    assert_eq!(learn_alice("1:4000000000:1:5:1:aaaaaaaa,"), Lineage::Newer);
    assert!(is_blocked());
    assert_eq!(
        learn_alice("1:4000000000:0:6:2:bbbbbbbb,aaaaaaaa,"),
        Lineage::Newer
    );
    assert!(!is_blocked());
    assert_eq!(learn_alice("1:4000000000:1:5:1:aaaaaaaa,"), Lineage::Older);
    assert!(!is_blocked());
    assert_eq!(
        learn_alice("2:4000000000:1:7:2:cccccccc,aaaaaaaa,"),
        Lineage::Split
    );
    assert!(is_blocked());
    // What was known is what is restored.
    assert!(shared.live_subjects().contains(&id));
    let record = shared.record_of(id).unwrap();
    assert_eq!(record.to_text(), "1:4000000000:0:6:2:bbbbbbbb,aaaaaaaa,");
    assert_eq!(
        learn_alice("2:4000000000:0:8:4:dddddddd,bbbbbbbb,cccccccc,aaaaaaaa,"),
        Lineage::Newer
    );
    assert!(!is_blocked());
}

#[test]
fn positions_are_read_as_the_server_writes_them() {
    assert!(Position::parse(b"12-3") < Position::parse(b"12-4"));
    assert!(Position::parse(b"9-9") < Position::parse(b"10-0"));
    assert_eq!(Position::parse(b"12-3").unwrap().to_text(), "12-3");
    for text in ["", "12", "-", "a-1", "1-a", "99999999999999999999-0"] {
        assert_eq!(Position::parse(text.as_bytes()), None, "{text}");
    }
}
