//! Loads the whole state from the server.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use ::redis::Value;
use tokio::task::yield_now;

use super::error::RedisStoreError;
use super::local_state::LocalState;
use super::log::warn_of_error;
use super::node::Node;
use super::pending_writes::PendingWrite;
use super::random_id::random_id;
use super::reply::{bytes, items, text};
use super::script::{Argument, Script};
use super::script_client::ScriptReply;
use super::stream_position::{StreamCursor, StreamPosition};

/// How many revocations to read at once. They take the server 2 milliseconds.
const REVOCATIONS_PAGE: u64 = 4000;

/// How many subjects to read at once. Each takes the server longer than a revocation.
const SUBJECTS_PAGE: u64 = 1000;

/// The result of a load.
pub(super) struct LoadedState<'a> {
    /// Where to read the stream from.
    pub(super) cursor: StreamCursor,
    /// The process of the server.
    pub(super) process: Vec<u8>,
    /// The entry that the load has written. A node that has read it knows everything that was
    /// changed before.
    pub(super) end: PendingWrite<'a>,
    /// Whether this node knows something that the server may have lost.
    pub(super) must_write_back: bool,
    /// The number of overflows before the load. Everything that the load read fitted into the set.
    pub(super) overflows: u64,
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
pub(super) async fn load(node: &Node) -> Result<LoadedState<'_>, RedisStoreError> {
    let overflows = node.local.freshness.overflows();
    let LoadStart { cursor, process } = find_start(node).await?;
    // Nothing may come between these two. A write acknowledged between them would be neither
    // expected nor written back.
    node.pending_writes.begin_load();
    let knows_something = !node.local.is_empty();
    let scripts = &node.redis.scripts;
    let (script, page_size) = (&scripts.load_revocations, REVOCATIONS_PAGE);
    read_pages(node, &process, script, page_size, apply_revocations).await?;
    let (script, page_size) = (&scripts.load_subjects, SUBJECTS_PAGE);
    read_pages(node, &process, script, page_size, apply_subjects).await?;
    let end = append_empty_entry(node, &process).await?;
    Ok(LoadedState {
        cursor,
        process,
        end,
        must_write_back: node.pending_writes.end_load() || knows_something,
        overflows,
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

async fn append_empty_entry<'a>(
    node: &'a Node,
    process: &[u8],
) -> Result<PendingWrite<'a>, RedisStoreError> {
    let mut write = node.begin_write(true)?;
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
    Ok(write)
}

/// Reads all pages from one process of a server. Where a page begins is valid there only.
///
/// The server reads the next page while this node applies one.
async fn read_pages(
    node: &Node,
    process: &[u8],
    script: &Script,
    page_size: u64,
    apply: fn(&LocalState, &[Value]) -> Result<(), RedisStoreError>,
) -> Result<(), RedisStoreError> {
    let page_size = Argument::from(page_size);
    let mut page = read_page(node, script, b"0", &page_size).await?;
    loop {
        let Some([from, next, contents @ ..]) = items(&page) else {
            return Err(RedisStoreError::Reply);
        };
        if bytes(from) != Some(process) {
            return Err(RedisStoreError::Replaced);
        }
        let next = bytes(next).ok_or(RedisStoreError::Reply)?.to_vec();
        if next.is_empty() {
            return apply(&node.local, contents);
        }
        let mut next_page = pin!(read_page(node, script, &next, &page_size));
        let begun = poll_fn(|context| Poll::Ready(next_page.as_mut().poll(context))).await;
        // Lets the task of the connection send the call.
        yield_now().await;
        apply(&node.local, contents)?;
        page = match begun {
            Poll::Ready(next_page) => next_page?,
            Poll::Pending => next_page.await?,
        };
    }
}

async fn read_page(
    node: &Node,
    script: &Script,
    start: &[u8],
    page_size: &[u8],
) -> Result<ScriptReply, RedisStoreError> {
    let nonce = random_id()?;
    let arguments = [start, page_size];
    let call = node.redis.prepare(script, &nonce, &arguments);
    node.redis.call_once(&call).await
}

/// `page`: the members as one text, and for each end how many of the members have it.
fn apply_revocations(local: &LocalState, page: &[Value]) -> Result<(), RedisStoreError> {
    let [members, ends] = page else {
        return Err(RedisStoreError::Reply);
    };
    let members = bytes(members).ok_or(RedisStoreError::Reply)?;
    let (mut members, incomplete) = members.as_chunks::<16>();
    let mut revocations = Vec::with_capacity(members.len());
    for end in items(ends).ok_or(RedisStoreError::Reply)?.chunks(2) {
        let [until, Value::Int(count)] = end else {
            return Err(RedisStoreError::Reply);
        };
        let until = bytes(until).and_then(text);
        let until: Option<f64> = until.and_then(|text| text.parse().ok());
        // A score is a whole number of seconds.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates"
        )]
        let until = until.ok_or(RedisStoreError::Reply)? as u64;
        let count = usize::try_from(*count).map_err(|_| RedisStoreError::Reply)?;
        let split = members.split_at_checked(count);
        let (with_this_end, rest) = split.ok_or(RedisStoreError::Reply)?;
        for member in with_this_end {
            match local.cipher.decrypt_revocation(member, until) {
                Some(revocation) => revocations.push(revocation),
                None => warn_of_error(&RedisStoreError::Reply),
            }
        }
        members = rest;
    }
    // A member without an end must not be lost.
    if !members.is_empty() || !incomplete.is_empty() {
        return Err(RedisStoreError::Reply);
    }
    local.merge(&revocations)
}

/// `page`: the fields and records.
fn apply_subjects(local: &LocalState, page: &[Value]) -> Result<(), RedisStoreError> {
    let [pairs] = page else {
        return Err(RedisStoreError::Reply);
    };
    for pair in items(pairs).ok_or(RedisStoreError::Reply)?.chunks_exact(2) {
        let [field, record] = pair else { continue };
        let field = bytes(field).unwrap_or_default();
        // The empty field only shows that the key was not deleted.
        if field.is_empty() {
            continue;
        }
        match local.apply_subject_record(field, record) {
            // This concerns the pair alone: the others may be valid.
            Err(RedisStoreError::Reply) => warn_of_error(&RedisStoreError::Reply),
            applied => drop(applied?),
        }
    }
    Ok(())
}
