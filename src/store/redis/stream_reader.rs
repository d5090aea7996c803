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
use super::timestamp::Timestamp;
use super::write_back::WriteBack;

/// How long the server delays its answer while there are no new entries.
const BLOCK: Duration = Duration::from_millis(500);

/// How many entries to read at once.
const MAX_ENTRIES: usize = 1000;

/// How long a replica that answers a read may lack what its master has acknowledged. The time
/// doubles with each load in vain, up to half of `max_staleness`.
const REPLICA_LAG: Duration = Duration::from_secs(1);

/// What a read of the stream found.
enum ReadOutcome {
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
    let mut patience = REPLICA_LAG;
    loop {
        node.set_follows_stream(false);
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
        node.record_load(&loaded.process);
        if loaded.must_write_back {
            // This aborts the task before: the new one covers everything.
            drop(write_back.replace(WriteBack::begin(&node)));
        }
        let has_read_end = read_until_broken(&node, &link, loaded, patience).await;
        // The server may no longer be the master.
        link.forget_any();
        if has_read_end {
            backoff.reset();
            patience = REPLICA_LAG;
        } else {
            if patience > REPLICA_LAG {
                // In vain twice in a row: scripts and reads may go to different servers.
                node.redis.forget_connections();
            }
            backoff.wait().await;
            patience = patience.saturating_mul(2);
        }
    }
}

/// Reads the stream until it breaks, or until the state must be loaded for another reason.
///
/// A load misses a revocation whose end becomes later during the load: it moves to a page that was
/// read already. The stream has it. Until the node has read the entry at the load's end, it may
/// lack a revocation that is before the cursor. So it does not tell the other nodes yet how far it
/// has read. What it told them before the load stays true.
///
/// `patience`: how long a server that answers may lack that entry. Returns whether it was read.
async fn read_until_broken(
    node: &Node,
    link: &Link,
    loaded: LoadedState<'_>,
    patience: Duration,
) -> bool {
    // An acknowledged entry that is not read by then, a heartbeat or the end of the load, went to
    // another stream.
    let limit = node.max_staleness.div_f64(2.0);
    let mut cursor = loaded.cursor;
    let began = Timestamp::now();
    let mut has_read_end = false;
    let mut backoff = Backoff::default();
    // Heartbeats sent before the load say nothing about this stream.
    node.pending_heartbeats.clear();
    loop {
        let mut is_heartbeat_requested = false;
        let read = read_entries(node, link, &mut cursor, &mut is_heartbeat_requested).await;
        if !has_read_end && loaded.end.read_position().is_some() {
            has_read_end = true;
            is_heartbeat_requested = true;
            node.local.freshness.resolve_overflows(loaded.overflows);
        }
        if has_read_end {
            node.cursor.send_replace(cursor.clone());
            node.set_follows_stream(true);
        }
        if is_heartbeat_requested {
            node.heartbeat_request.notify_one();
        }
        match read {
            // Heartbeats may follow.
            Ok(ReadOutcome::MoreMayFollow) => {
                backoff.reset();
                continue;
            }
            // This server does not have the end of the load: another one has taken its place.
            Ok(ReadOutcome::UpToDate) if !has_read_end && began.age() > patience.min(limit) => {
                return false;
            }
            Ok(ReadOutcome::UpToDate) => {
                if has_read_end && node.local.freshness.is_over_capacity() {
                    // Only a load can show whether there is room now.
                    return true;
                }
                backoff.reset();
            }
            Ok(ReadOutcome::Broken) => return has_read_end,
            Err(error) => {
                node.record_error(error);
                backoff.wait().await;
            }
        }
        if node.pending_heartbeats.take_overdue(limit) || !has_read_end && began.age() > limit {
            return has_read_end;
        }
    }
}

/// Reads the next entries, or waits for them, and applies them.
async fn read_entries(
    node: &Node,
    link: &Link,
    cursor: &mut StreamCursor,
    is_heartbeat_requested: &mut bool,
) -> Result<ReadOutcome, RedisStoreError> {
    let mut command = ::redis::cmd("XREAD");
    let block = u64::try_from(BLOCK.as_millis()).unwrap_or(u64::MAX);
    command.arg("COUNT").arg(MAX_ENTRIES);
    command.arg("BLOCK").arg(block);
    command.arg("STREAMS").arg(&node.redis.keys.stream);
    command.arg(cursor.position.to_text());
    let reply = link.ask(&node.redis.deployment, &command).await?;
    if reply == Value::Nil {
        return Ok(ReadOutcome::UpToDate);
    }
    let reply: StreamReadReply =
        redis::from_redis_value(reply).map_err(|_| RedisStoreError::Reply)?;
    let mut count = 0_usize;
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
        // First: as soon as the entry counts as read, a wait may end, and must see the process.
        if let Some(process) = field("q") {
            node.nodes.record_process(process);
        }
        is_broken = previous != cursor.hash || !apply_entry(node, position, tag, &field)?;
        if is_broken {
            break;
        }
        *is_heartbeat_requested |= field("w") == Some(b"1");
        *cursor = StreamCursor {
            position,
            hash: hash.to_vec(),
        };
    }
    Ok(if is_broken {
        ReadOutcome::Broken
    } else if count < MAX_ENTRIES {
        ReadOutcome::UpToDate
    } else {
        ReadOutcome::MoreMayFollow
    })
}
