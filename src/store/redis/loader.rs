//! Loads the whole state from the server.

use super::error::RedisStoreError;
use super::log::warn_of_error;
use super::node::Node;
use super::random_id::random_id;
use super::reply::{bytes, items, text};
use super::stream_position::{StreamCursor, StreamPosition};
use super::subject_record::SubjectRecord;

/// How many pairs to read at once. They take the server some hundred microseconds.
const PAGE_SIZE: usize = 1000;

/// The result of a load.
pub(super) struct LoadedState {
    /// Where to read the stream from.
    pub(super) cursor: StreamCursor,
    /// Whether this node knows something that the server may have lost.
    pub(super) must_write_back: bool,
}

/// Where the stream is to be read from, and which process of a server answered.
struct LoadStart {
    cursor: StreamCursor,
    process: Vec<u8>,
}

/// Loads the state, and finds where to read the stream from.
///
/// 1. It notes the end of the stream. Changes made during the load are read from the stream.
/// 2. It reads the state.
/// 3. It writes an empty entry, which the node expects to read. If the server loses changes that
///    were in the state but came after the noted end, it loses the entry too.
pub(super) async fn load(node: &Node) -> Result<LoadedState, RedisStoreError> {
    let freshness = &node.local.freshness;
    let overflows = freshness.overflows();
    let LoadStart { cursor, process } = find_start(node).await?;
    // Nothing may come between these two. A write acknowledged between them would be neither
    // expected nor written back.
    node.pending_writes.begin_load();
    let knows_something = !node.local.is_empty();
    read_pages(node, &process, "revoked", |member, until| {
        let until: f64 = text(until).and_then(|text| text.parse().ok())?;
        // A score is a whole number of seconds.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates"
        )]
        Some(node.local.apply_revocation(member, until as u64))
    })
    .await?;
    read_pages(node, &process, "subjects", |field, record| {
        let fingerprint = node.local.cipher.decrypt_subject(field)?;
        let record = SubjectRecord::parse(record)?;
        let applied = node.local.apply_subject(fingerprint, record);
        Some(applied.map(|_| ()))
    })
    .await?;
    freshness.resolve_overflows(overflows);
    append_empty_entry(node, &process).await?;
    Ok(LoadedState {
        cursor,
        must_write_back: node.pending_writes.end_load() || knows_something,
    })
}

/// Finds where to read the stream from, and checks the secret and the format.
async fn find_start(node: &Node) -> Result<LoadStart, RedisStoreError> {
    let nonce = random_id()?;
    let script = &node.redis.scripts.find_cursor;
    let call = node.redis.prepare(script, &nonce, &[]);
    let reply = node.redis.call_once(&call).await;
    let foreign = match &reply {
        Err(error @ (RedisStoreError::OtherSecret | RedisStoreError::OtherFormat)) => {
            Some(error.clone())
        }
        _ => None,
    };
    if foreign.is_some() || reply.is_ok() {
        node.local.freshness.set_foreign_keys(foreign);
    }
    let reply = reply?;
    let Some([position, hash, process]) = items(&reply) else {
        return Err(RedisStoreError::Reply);
    };
    let position = bytes(position).and_then(StreamPosition::parse);
    Ok(LoadStart {
        cursor: StreamCursor {
            position: position.ok_or(RedisStoreError::Reply)?,
            hash: bytes(hash).ok_or(RedisStoreError::Reply)?.to_vec(),
        },
        process: bytes(process).ok_or(RedisStoreError::Reply)?.to_vec(),
    })
}

async fn append_empty_entry(node: &Node, process: &[u8]) -> Result<(), RedisStoreError> {
    let mut write = node.begin_write(false)?;
    let script = &node.redis.scripts.append_empty;
    let call = node.redis.prepare(script, &write.nonce, &[]);
    let reply = node.redis.call_once(&call).await?;
    let Some([from, tag]) = items(&reply) else {
        return Err(RedisStoreError::Reply);
    };
    if bytes(from) != Some(process) {
        return Err(RedisStoreError::Replaced);
    }
    write.acknowledge(bytes(tag).ok_or(RedisStoreError::Reply)?);
    Ok(())
}

/// Reads all pairs of a key from one process of a server. The scan cursor is valid there only.
///
/// `apply` returns `None` for a pair of another program, which is skipped.
async fn read_pages(
    node: &Node,
    process: &[u8],
    key: &str,
    mut apply: impl FnMut(&[u8], &[u8]) -> Option<Result<(), RedisStoreError>>,
) -> Result<(), RedisStoreError> {
    let mut scan_cursor = b"0".to_vec();
    let page_size = PAGE_SIZE.to_string();
    loop {
        let nonce = random_id()?;
        let arguments = [key.as_bytes(), &scan_cursor, page_size.as_bytes()];
        let script = &node.redis.scripts.scan_page;
        let call = node.redis.prepare(script, &nonce, &arguments);
        let page = node.redis.call_once(&call).await?;
        let Some([from, next, pairs]) = items(&page) else {
            return Err(RedisStoreError::Reply);
        };
        if bytes(from) != Some(process) {
            return Err(RedisStoreError::Replaced);
        }
        let pairs = items(pairs).ok_or(RedisStoreError::Reply)?;
        for pair in pairs.chunks_exact(2) {
            let [name, value] = pair else { continue };
            let (name, value) = (bytes(name).unwrap_or_default(), bytes(value));
            // The empty member only shows that the key was not deleted.
            if name.is_empty() {
                continue;
            }
            match apply(name, value.unwrap_or_default()) {
                // `Reply` concerns this pair alone: the others may be valid.
                Some(Err(RedisStoreError::Reply)) | None => warn_of_error(&RedisStoreError::Reply),
                Some(applied) => applied?,
            }
        }
        scan_cursor = bytes(next).ok_or(RedisStoreError::Reply)?.to_vec();
        if scan_cursor == *b"0" {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}
