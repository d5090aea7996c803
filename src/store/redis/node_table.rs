//! The nodes that write heartbeats to the stream.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::stream_position::ReadPosition;
use super::timestamp::Timestamp;

/// The most nodes to remember. No deployment has more: somebody else writes to the stream.
const MAX_NODES: usize = 10_000;

/// All nodes by their ID, with this one.
pub(super) struct NodeTable {
    nodes: Mutex<HashMap<Vec<u8>, NodeStatus>>,
    /// Since when this node knows all heartbeats. `None` until it has loaded the state.
    complete: Mutex<Option<Complete>>,
    max_staleness: Duration,
}

/// Since when this node has read all heartbeats, from one process of a server.
struct Complete {
    since: Timestamp,
    process: Vec<u8>,
}

/// The last heartbeat of a node.
struct NodeStatus {
    /// How far the node had read. The load count is that of this node.
    has_read: ReadPosition,
    received: Timestamp,
}

impl NodeTable {
    pub(super) fn new(max_staleness: Duration) -> Self {
        Self {
            nodes: Mutex::default(),
            complete: Mutex::default(),
            max_staleness,
        }
    }

    /// Notes a heartbeat that was read now.
    pub(super) fn record_heartbeat(&self, id: &[u8], has_read: ReadPosition) {
        let status = NodeStatus {
            has_read,
            received: Timestamp::now(),
        };
        let mut nodes = self.nodes();
        let is_known = nodes.contains_key(id);
        if !is_known {
            nodes.retain(|_, node| self.is_alive(node));
        }
        if is_known || nodes.len() < MAX_NODES {
            nodes.insert(id.to_vec(), status);
        }
    }

    /// Notes that this node has loaded the state just now. Another node may be fresh by a heartbeat
    /// that this one has not read, or that the server has lost.
    ///
    /// `process`: of the server.
    pub(super) fn record_load(&self, process: &[u8]) {
        *self.complete() = Some(Complete {
            since: Timestamp::now(),
            process: process.to_vec(),
        });
    }

    /// Notes which process wrote an entry. If it is another one, a replica was promoted, and may
    /// lack heartbeats that its master had.
    pub(super) fn record_process(&self, process: &[u8]) {
        let is_other = |complete: &Complete| complete.process != process;
        if self.complete().as_ref().is_some_and(is_other) {
            self.record_load(process);
        }
    }

    pub(super) fn live_count(&self) -> usize {
        let nodes = self.nodes();
        nodes.values().filter(|node| self.is_alive(node)).count()
    }

    /// Whether all living nodes except `own_id` have read the entry at that position. `false` as
    /// long as a node may be alive that is not known.
    ///
    /// `staleness`: of this node, which knows only the heartbeats from before that time. Another
    /// node is silent if it was stale by then.
    pub(super) fn all_have_read(
        &self,
        own_id: &str,
        entry: ReadPosition,
        staleness: Duration,
    ) -> bool {
        let limit = self.max_staleness.saturating_add(staleness);
        let is_recent = |complete: &Complete| complete.since.minimum_age() <= limit;
        if self.complete().as_ref().is_none_or(is_recent) {
            return false;
        }
        self.nodes().iter().all(|(id, node)| {
            let has_read = node.has_read;
            *id == own_id.as_bytes()
                || has_read.load_count == entry.load_count && has_read.position >= entry.position
                || node.received.minimum_age() > limit
        })
    }

    /// Whether this node has read a heartbeat of that node within `max_staleness`. A node that is
    /// silent for longer is stale by its own clocks, so nobody waits for it.
    fn is_alive(&self, node: &NodeStatus) -> bool {
        node.received.minimum_age() <= self.max_staleness
    }

    fn complete(&self) -> MutexGuard<'_, Option<Complete>> {
        self.complete.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<Vec<u8>, NodeStatus>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
