//! Applies the entries of the stream.

use std::sync::Arc;

use super::error::RedisStoreError;
use super::log::warn_of_eviction;
use super::node::Node;
use super::random_id::ID_LENGTH;
use super::reply::text;
use super::stream_position::StreamPosition;
use super::subject_record::{RecordOrder, SubjectRecord};

/// Applies an entry. Whether it is consistent with what this node knows: if not, the node must load
/// the state.
///
/// `tag`: the nonce of the call and the hash of the entry. `field`: the fields by name:
///
/// | entry | fields |
/// | --- | --- |
/// | revocation | `z`: the member; `s`: its end in seconds |
/// | subject | `u`: the field in the hash; `r`: the record |
/// | heartbeat | `h`: the node; `a`: how far it has read; `e`: the eviction policy, if any |
///
/// In heartbeats, and in entries that request them, `q` is the process of the server.
pub(super) fn apply_entry<'a>(
    node: &Node,
    position: StreamPosition,
    tag: &[u8],
    field: &impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<bool, RedisStoreError> {
    let is_consistent = if let (Some(member), Some(until)) = (field("z"), field("s")) {
        apply_revocation(node, member, until)?
    } else if let (Some(subject), Some(record)) = (field("u"), field("r")) {
        apply_subject(node, subject, record)?
    } else if let (Some(id), Some(has_read)) = (field("h"), field("a")) {
        StreamPosition::parse(has_read)
            .is_some_and(|has_read| apply_heartbeat(node, id, has_read, tag, field("e")))
    } else {
        // Empty, or of a later version.
        true
    };
    let position = node.read_position(position);
    node.pending_writes.record_read(tag, position);
    Ok(is_consistent)
}

fn apply_revocation(node: &Node, member: &[u8], until: &[u8]) -> Result<bool, RedisStoreError> {
    let Some(until) = text(until).and_then(|text| text.parse().ok()) else {
        return Ok(false);
    };
    match node.local.apply_revocation(member, until) {
        Err(RedisStoreError::Reply) => Ok(false),
        applied => applied.map(|()| true),
    }
}

fn apply_subject(node: &Node, field: &[u8], record: &[u8]) -> Result<bool, RedisStoreError> {
    let fingerprint = node.local.cipher.decrypt_subject(field);
    let (Some(fingerprint), Some(record)) = (fingerprint, SubjectRecord::parse(record)) else {
        return Ok(false);
    };
    let order = node.local.apply_subject(fingerprint, record)?;
    Ok(order != RecordOrder::Diverged)
}

/// Applies a heartbeat. `false` if it is this node's own, and a write that it acknowledged before
/// is missing.
///
/// `policy`: the eviction policy, if the server could evict keys when it wrote the heartbeat.
fn apply_heartbeat(
    node: &Node,
    id: &[u8],
    has_read: StreamPosition,
    tag: &[u8],
    policy: Option<&[u8]>,
) -> bool {
    if id.len() != ID_LENGTH {
        return false;
    }
    let has_read = node.read_position(has_read);
    node.nodes.record_heartbeat(id, has_read);
    if id != node.id.as_bytes() {
        return true;
    }
    let nonce = tag.get(..ID_LENGTH).unwrap_or_default();
    let Some(sent) = node.pending_heartbeats.take(nonce) else {
        return true;
    };
    if node.pending_writes.is_any_missing(sent) {
        return false;
    }
    apply_eviction_policy(node, policy);
    node.local.freshness.record_heartbeat(sent);
    node.nodes.record_own_heartbeat(sent);
    true
}

fn apply_eviction_policy(node: &Node, policy: Option<&[u8]>) {
    let freshness = &node.local.freshness;
    let Some(policy) = policy else {
        return freshness.set_eviction_policy(None);
    };
    let policy: Arc<str> = String::from_utf8_lossy(policy).into();
    if node.must_warn_of_eviction() {
        warn_of_eviction(&policy, node.allows_eviction);
    }
    let is_rejected = !node.allows_eviction;
    freshness.set_eviction_policy(is_rejected.then_some(policy));
}
