//! The task that loads the state and follows the stream.

use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;
use ::redis::streams::StreamReadReply;

use super::backoff::Backoff;
use super::error::RedisStoreError;
use super::link::Link;
use super::loader::{LoadedState, load};
use super::node::Node;
use super::random_id::ID_LENGTH;
use super::reply::bytes;
use super::stream_entry::apply_entry;
use super::stream_position::{StreamCursor, StreamPosition};
use super::write_back::WriteBack;

/// How long the server delays its answer while there are no new entries.
const BLOCK: Duration = Duration::from_millis(500);

/// How many entries to read at once.
const MAX_ENTRIES: usize = 1000;

/// What a read of the stream found.
struct ReadOutcome {
    extent: Extent,
    /// Whether an entry asks the nodes to send a heartbeat.
    is_heartbeat_requested: bool,
}

enum Extent {
    /// The most entries of one read. There may be more.
    MoreMayFollow,
    /// All entries that there are.
    UpToDate,
    /// An entry does not continue this node's history: some were trimmed, lost or replaced.
    Broken,
}

/// Loads the state and follows the stream. Starts again whenever the stream breaks.
pub(super) async fn follow_stream(node: Arc<Node>) {
    let link = Link::new(BLOCK.saturating_add(Duration::from_secs(1)));
    let mut write_back = None;
    let mut backoff = Backoff::default();
    loop {
        let loading = async {
            // First: what is loaded must not become old while the connection is made.
            link.connect(&node.redis.deployment).await?;
            load(&node).await
        };
        let loaded = match loading.await {
            Ok(loaded) => loaded,
            Err(error) => {
                node.record_error(error);
                backoff.wait().await;
                continue;
            }
        };
        node.record_load();
        if loaded.must_write_back {
            // This aborts the task before: the new one covers everything.
            drop(write_back.replace(WriteBack::begin(&node)));
        }
        backoff.reset();
        read_until_broken(&node, &link, loaded).await;
        // The server may no longer be the master.
        link.forget_any();
    }
}

/// Reads the stream until it breaks, or until the state must be loaded for another reason.
///
/// A load skips what is extended meanwhile. Until the node has read the entry at the load's end, it
/// may lack a revocation that is before the cursor. So it does not tell the other nodes yet how far
/// it has read. What it told them before the load stays true.
async fn read_until_broken(node: &Node, link: &Link, loaded: LoadedState<'_>) {
    let mut cursor = loaded.cursor;
    let mut has_read_end = false;
    let mut backoff = Backoff::default();
    // Heartbeats sent before the load say nothing about this stream. Send one after the first read,
    // also if it fails: a heartbeat that is not read back shows that the stream is another one.
    node.pending_heartbeats.clear();
    let mut must_send_heartbeat = true;
    loop {
        let read = read_entries(node, link, &mut cursor).await;
        if !has_read_end && loaded.end.read_position().is_some() {
            has_read_end = true;
            must_send_heartbeat = true;
            node.local.freshness.resolve_overflows(loaded.overflows);
        }
        if has_read_end {
            node.cursor.send_replace(cursor.clone());
            must_send_heartbeat |= read.as_ref().is_ok_and(|read| read.is_heartbeat_requested);
        }
        if std::mem::take(&mut must_send_heartbeat) {
            node.heartbeat_request.notify_one();
        }
        match read.map(|read| read.extent) {
            // Heartbeats may follow.
            Ok(Extent::MoreMayFollow) => {
                backoff.reset();
                continue;
            }
            Ok(Extent::UpToDate) => {
                if node.local.freshness.is_over_capacity() {
                    // Only a load can show whether there is room now.
                    return;
                }
                backoff.reset();
            }
            Ok(Extent::Broken) => return,
            Err(error) => {
                node.record_error(error);
                backoff.wait().await;
            }
        }
        // The server acknowledged a heartbeat that is not here: it went to another stream.
        let limit = node.max_staleness.div_f64(2.0);
        if node.pending_heartbeats.take_overdue(limit) {
            return;
        }
    }
}

/// Reads the next entries, or waits for them, and applies them.
async fn read_entries(
    node: &Node,
    link: &Link,
    cursor: &mut StreamCursor,
) -> Result<ReadOutcome, RedisStoreError> {
    let mut command = ::redis::cmd("XREAD");
    let block = u64::try_from(BLOCK.as_millis()).unwrap_or(u64::MAX);
    command.arg("COUNT").arg(MAX_ENTRIES);
    command.arg("BLOCK").arg(block);
    command.arg("STREAMS").arg(&node.redis.keys.stream);
    command.arg(cursor.position.to_text());
    let reply = link.ask(&node.redis.deployment, &command).await?;
    if reply == Value::Nil {
        return Ok(ReadOutcome {
            extent: Extent::UpToDate,
            is_heartbeat_requested: false,
        });
    }
    let reply: StreamReadReply =
        redis::from_redis_value(reply).map_err(|_| RedisStoreError::Reply)?;
    let mut count = 0_usize;
    let mut is_heartbeat_requested = false;
    let mut is_broken = false;
    for entry in reply.keys.into_iter().flat_map(|key| key.ids) {
        count = count.saturating_add(1);
        let position = StreamPosition::parse(entry.id.as_bytes()).ok_or(RedisStoreError::Reply)?;
        let field = |name: &str| entry.map.get(name).and_then(bytes);
        let (Some(previous), Some(tag)) = (field("p"), field("n")) else {
            // An entry of another program: skip it. It is not part of the chain of hashes.
            cursor.position = position;
            continue;
        };
        let hash = tag.get(ID_LENGTH..).unwrap_or_default();
        is_broken = previous != cursor.hash || !apply_entry(node, position, tag, &field)?;
        if is_broken {
            break;
        }
        is_heartbeat_requested |= field("w") == Some(b"1");
        *cursor = StreamCursor {
            position,
            hash: hash.to_vec(),
        };
    }
    let extent = if is_broken {
        Extent::Broken
    } else if count < MAX_ENTRIES {
        Extent::UpToDate
    } else {
        Extent::MoreMayFollow
    };
    Ok(ReadOutcome {
        extent,
        is_heartbeat_requested,
    })
}
