//! The nodes that write heartbeats to the stream.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::stream_position::ReadPosition;
use super::timestamp::Timestamp;

/// The most nodes to remember. No deployment has more: somebody else writes to the stream.
const MAX_NODES: usize = 10_000;

/// What this node knows of all nodes by their heartbeats.
pub(super) struct NodeTable {
    heartbeats: Mutex<Heartbeats>,
    max_staleness: Duration,
}

#[derive(Default)]
struct Heartbeats {
    /// All nodes by their ID, with this one.
    nodes: HashMap<Vec<u8>, NodeStatus>,
    /// Since when this node has read all heartbeats. `None` until it has loaded the state.
    complete_since: Option<Timestamp>,
    /// The process of the server that wrote them.
    process: Vec<u8>,
    /// When this node sent the last heartbeat that it has read back. It knows of each other node
    /// whether that one was alive by then, but not whether it is alive now.
    confirmed: Option<Timestamp>,
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
            heartbeats: Mutex::default(),
            max_staleness,
        }
    }

    /// Notes a heartbeat that was read now.
    pub(super) fn record_heartbeat(&self, id: &[u8], has_read: ReadPosition) {
        let status = NodeStatus {
            has_read,
            received: Timestamp::now(),
        };
        let nodes = &mut self.lock().nodes;
        if nodes.contains_key(id) || nodes.len() < MAX_NODES {
            nodes.insert(id.to_vec(), status);
        }
    }

    /// Notes that this node has read back its own heartbeat. Forgets the nodes that were silent for
    /// longer than `max_staleness` when it was sent: they are stale by their own clocks.
    pub(super) fn record_own_heartbeat(&self, sent: Timestamp) {
        let mut heartbeats = self.lock();
        heartbeats.confirmed = Some(sent);
        let is_alive = |node: &NodeStatus| sent.minimum_since(node.received) <= self.max_staleness;
        heartbeats.nodes.retain(|_, node| is_alive(node));
    }

    /// Notes that this node may lack heartbeats from before now, by which another node is fresh: it
    /// has loaded the state, or a server has taken over that may have lost them.
    ///
    /// `process`: of the server.
    pub(super) fn record_gap(&self, process: &[u8]) {
        let mut heartbeats = self.lock();
        heartbeats.complete_since = Some(Timestamp::now());
        heartbeats.process = process.to_vec();
    }

    /// Notes which process of a server wrote an entry. If it is another one than before, a replica
    /// was promoted.
    pub(super) fn record_process(&self, process: &[u8]) {
        let is_other = self.lock().process != process;
        if is_other {
            self.record_gap(process);
        }
    }

    pub(super) fn live_count(&self) -> usize {
        let heartbeats = self.lock();
        let nodes = heartbeats.nodes.values();
        nodes
            .filter(|node| node.received.minimum_age() <= self.max_staleness)
            .count()
    }

    /// Whether all living nodes except `own_id` have read the entry at that position. `false` as
    /// long as a node may be alive that is not known.
    pub(super) fn all_have_read(&self, own_id: &str, entry: ReadPosition) -> bool {
        let heartbeats = self.lock();
        let (Some(since), Some(confirmed)) = (heartbeats.complete_since, heartbeats.confirmed)
        else {
            return false;
        };
        confirmed.minimum_since(since) > self.max_staleness
            && heartbeats.nodes.iter().all(|(id, node)| {
                let has_read = node.has_read;
                *id == own_id.as_bytes()
                    || has_read.load_count == entry.load_count
                        && has_read.position >= entry.position
            })
    }

    fn lock(&self) -> MutexGuard<'_, Heartbeats> {
        self.heartbeats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
