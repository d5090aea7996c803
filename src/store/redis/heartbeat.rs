//! Two of the three tasks of a node: it sends heartbeats, and follows the Sentinels.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::error::RedisStoreError;
use super::node::Node;
use super::random_id::random_id;
use super::stream_position::StreamCursor;

/// Sends a heartbeat five times per `max_staleness`, and whenever one is requested.
///
/// A node that loads the state sends none. It may load for ever, because its set is full or because
/// it cannot read the stream. Then it becomes stale, and nobody needs to wait for it.
pub(super) async fn send_heartbeats(node: Arc<Node>) {
    let interval = heartbeat_interval(&node);
    loop {
        if node.follows_stream()
            && let Err(error) = send_heartbeat(&node).await
        {
            node.record_error(error);
        }
        node.local.prune_subjects();
        let _ = timeout(interval, node.heartbeat_request.notified()).await;
    }
}

/// Follows the Sentinels as often as heartbeats are sent: the node leaves a replaced master within
/// that time.
pub(super) async fn follow_sentinels(node: Arc<Node>) {
    let interval = heartbeat_interval(&node);
    node.redis.follow_sentinels(interval).await;
}

fn heartbeat_interval(node: &Node) -> Duration {
    node.max_staleness.div_f64(5.0)
}

async fn send_heartbeat(node: &Node) -> Result<(), RedisStoreError> {
    let nonce = random_id()?;
    node.pending_heartbeats.push(nonce.clone());
    let StreamCursor { position, hash } = node.cursor.borrow().clone();
    let position = position.to_text();
    let arguments = [node.id.as_bytes(), position.as_bytes(), &hash];
    let script = &node.redis.scripts.heartbeat;
    let call = node.redis.prepare(script, &nonce, &arguments);
    let reply = node.redis.call_once(&call).await;
    if reply.is_err() {
        // The server may not have it, so its absence says nothing about the stream.
        node.pending_heartbeats.remove(&nonce);
    }
    reply.map(|_| ())
}
