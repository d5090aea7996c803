//! Writes back what this node knows and the server may have lost.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::backoff::Backoff;
use super::error::RedisStoreError;
use super::local_state::LocalState;
use super::node::Node;
use super::pending_writes::PendingWrite;
use super::reply::{bytes, items};
use super::script::Argument;
use super::script_client::ScriptReply;

/// How many revocations to write at once. They take the server some hundred microseconds.
const REVOCATIONS_PAGE: usize = 1000;

/// How many subjects to write at once. Each takes the server longer than a revocation.
const SUBJECTS_PAGE: usize = 100;

/// The task that writes back. Dropping this aborts it.
pub(super) struct WriteBack(JoinHandle<()>);

impl WriteBack {
    pub(super) fn begin(node: &Arc<Node>) -> Self {
        let node = Arc::clone(node);
        Self(tokio::spawn(async move {
            let mut backoff = Backoff::default();
            while let Err(error) = write_back(&node).await {
                node.record_error(error);
                backoff.wait().await;
            }
        }))
    }
}

impl Drop for WriteBack {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Writes back everything. The node expects to read each page: if the server loses one, the node
/// loads the state and writes back everything again.
async fn write_back(node: &Node) -> Result<(), RedisStoreError> {
    // First, because they are few, and each blocks or logs out a whole user.
    write_back_subjects(node).await?;
    write_back_revocations(node).await
}

async fn write_back_subjects(node: &Node) -> Result<(), RedisStoreError> {
    for page in node.local.live_subjects().chunks(SUBJECTS_PAGE) {
        let mut write = node.begin_write(false)?;
        write_back_records(node, &mut write, page, false).await?;
    }
    Ok(())
}

/// Writes back the records of these subjects. The newer record of each wins.
pub(super) async fn write_back_records(
    node: &Node,
    write: &mut PendingWrite<'_>,
    subjects: &[u64],
    requests_heartbeats: bool,
) -> Result<ScriptReply, RedisStoreError> {
    let longest = Argument::from(node.local.longest_lifetime().as_secs());
    let encode = |fingerprint: &u64| {
        let record = node.local.subject(*fingerprint)?;
        let field = node.local.cipher.encrypt_subject(*fingerprint);
        Some((field, record.to_text()))
    };
    let page: Vec<_> = subjects.iter().filter_map(encode).collect();
    let pairs = page
        .iter()
        .flat_map(|(field, record)| [&field[..], record.as_bytes()]);
    let arguments: Vec<&[u8]> = std::iter::once(&*longest).chain(pairs).collect();
    let script = &node.redis.scripts.write_back_subjects;
    let reply = node
        .call_for(write, script, &arguments, requests_heartbeats)
        .await?;
    let Some([tag, records]) = items(&reply) else {
        return Err(RedisStoreError::Reply);
    };
    let records = items(records).ok_or(RedisStoreError::Reply)?;
    for ((field, _), record) in page.iter().zip(records) {
        node.local.apply_subject_record(field, record)?;
    }
    write.acknowledge(bytes(tag).ok_or(RedisStoreError::Reply)?);
    Ok(reply)
}

async fn write_back_revocations(node: &Node) -> Result<(), RedisStoreError> {
    let now = node.local.now_in_seconds();
    let snapshot = node.local.set.snapshot();
    let revocations = snapshot.tokens_sessions_and_cutoffs();
    let mut members = revocations.filter_map(|revocation| {
        let is_live = now < revocation.until.saturating_add(LocalState::LEEWAY_SECONDS);
        let member = node.local.cipher.encrypt_revocation(&revocation);
        let member = member.filter(|_| is_live)?;
        Some((member, Argument::from(revocation.until)))
    });
    // In pages: all arguments at once would take far more memory than the set.
    loop {
        let page: Vec<_> = members.by_ref().take(REVOCATIONS_PAGE).collect();
        if page.is_empty() {
            return Ok(());
        }
        let pairs = page.iter().flat_map(|(member, until)| [&member[..], until]);
        let arguments: Vec<&[u8]> = pairs.collect();
        let mut write = node.begin_write(false)?;
        let script = &node.redis.scripts.write_back_revocations;
        let reply = node.call_for(&write, script, &arguments, false).await?;
        write.acknowledge(bytes(&reply).ok_or(RedisStoreError::Reply)?);
    }
}
