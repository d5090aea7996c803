//! What the clones of a store and its tasks share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ::redis::Value;
use tokio::sync::{Notify, watch};

use super::error::RedisStoreError;
use super::fingerprint_cipher::EncryptedFingerprint;
use super::local_state::LocalState;
use super::log::warn_of_error;
use super::node_table::NodeTable;
use super::pending_heartbeats::PendingHeartbeats;
use super::pending_writes::{PendingWrite, PendingWrites};
use super::random_id::random_id;
use super::reply::{bytes, items, text};
use super::script::{Argument, Script};
use super::script_client::{ScriptCall, ScriptClient, ScriptReply};
use super::stream_position::{ReadPosition, StreamCursor, StreamPosition};
use super::subject_record::SubjectRecord;
use crate::session::Subject;

/// One node of the service: this process.
pub(super) struct Node {
    /// Random. Another one after a restart.
    pub(super) id: String,
    pub(super) redis: ScriptClient,
    pub(super) local: LocalState,
    pub(super) max_staleness: Duration,
    pub(super) allows_eviction: bool,
    pub(super) pending_writes: PendingWrites,
    pub(super) pending_heartbeats: PendingHeartbeats,
    /// Makes this node send a heartbeat at once, if it follows the stream.
    pub(super) heartbeat_request: Notify,
    /// Whether this node has loaded the state, and has read what was changed meanwhile.
    follows_stream: AtomicBool,
    pub(super) nodes: NodeTable,
    /// How far this node has read the stream.
    pub(super) cursor: watch::Sender<StreamCursor>,
    /// How often this node has loaded the state.
    load_count: AtomicU64,
    /// The load count at the last warning of eviction.
    eviction_warned_at: AtomicU64,
}

impl Node {
    pub(super) fn new(
        id: String,
        redis: ScriptClient,
        local: LocalState,
        max_staleness: Duration,
        allows_eviction: bool,
    ) -> Self {
        Self {
            id,
            redis,
            local,
            max_staleness,
            allows_eviction,
            pending_writes: PendingWrites::default(),
            pending_heartbeats: PendingHeartbeats::default(),
            heartbeat_request: Notify::new(),
            follows_stream: AtomicBool::new(false),
            nodes: NodeTable::new(max_staleness),
            cursor: watch::Sender::default(),
            load_count: AtomicU64::new(0),
            eviction_warned_at: AtomicU64::new(0),
        }
    }

    /// Starts a write. `is_awaited`: whether the caller will ask where its entry was read.
    pub(super) fn begin_write(
        &self,
        is_awaited: bool,
    ) -> Result<PendingWrite<'_>, RedisStoreError> {
        Ok(self.pending_writes.begin(random_id()?, is_awaited))
    }

    /// Runs a script that writes to the stream, and repeats it once after a broken connection.
    pub(super) async fn call_for(
        &self,
        write: &PendingWrite<'_>,
        script: &Script,
        arguments: &[&[u8]],
        requests_heartbeats: bool,
    ) -> Result<ScriptReply, RedisStoreError> {
        let call = ScriptCall {
            requests_heartbeats,
            ..self.redis.prepare(script, &write.nonce, arguments)
        };
        self.redis.call_and_retry(&call).await
    }

    /// Applies a revocation. The reply ends with the entry's tag and the end of the revocation.
    pub(super) async fn apply_revocation_reply(
        &self,
        write: &mut PendingWrite<'_>,
        member: &[u8],
        reply: &ScriptReply,
    ) -> Result<(), RedisStoreError> {
        let Some([.., tag, until]) = items(reply) else {
            return Err(RedisStoreError::Reply);
        };
        let until = bytes(until)
            .and_then(text)
            .and_then(|text| text.parse().ok());
        let until = until.ok_or(RedisStoreError::Reply)?;
        self.local.apply_revocation(member, until)?;
        write.acknowledge(bytes(tag).ok_or(RedisStoreError::Reply)?);
        self.redis.wait_for_replicas(reply).await
    }

    /// Runs a script that changes a subject and needs the longest lifetime of a token.
    ///
    /// Returns the record afterwards, and whether the script changed it.
    pub(super) async fn change_subject(
        &self,
        script: &Script,
        subject: &Subject<'_>,
    ) -> Result<(SubjectRecord, bool), RedisStoreError> {
        let longest = Argument::from(self.local.longest_lifetime().as_secs());
        let field = self.local.encrypt_subject(subject);
        let mut write = self.begin_write(false)?;
        let reply = self
            .call_for(&write, script, &[&field, &longest], false)
            .await?;
        let record = self.apply_subject_reply(&mut write, &field, &reply).await?;
        let is_changed = matches!(items(&reply), Some([_, _, Value::Int(1)]));
        Ok((record, is_changed))
    }

    /// Applies the record of a subject. The reply starts with the entry's tag and the record.
    ///
    /// The record may be new to this node even if the script changed nothing. So the script writes
    /// an entry in each case, and this node expects to read it.
    pub(super) async fn apply_subject_reply(
        &self,
        write: &mut PendingWrite<'_>,
        field: &EncryptedFingerprint,
        reply: &ScriptReply,
    ) -> Result<SubjectRecord, RedisStoreError> {
        let Some([tag, record, ..]) = items(reply) else {
            return Err(RedisStoreError::Reply);
        };
        let record = self.local.apply_subject_record(field, record)?;
        write.acknowledge(bytes(tag).ok_or(RedisStoreError::Reply)?);
        self.redis.wait_for_replicas(reply).await?;
        Ok(record)
    }

    /// Notes the failure of a task, and logs it.
    pub(super) fn record_error(&self, error: RedisStoreError) {
        warn_of_error(&error);
        self.local.freshness.record_error(error);
    }

    pub(super) fn follows_stream(&self) -> bool {
        self.follows_stream.load(Ordering::Acquire)
    }

    pub(super) fn set_follows_stream(&self, follows: bool) {
        self.follows_stream.store(follows, Ordering::Release);
    }

    pub(super) fn load_count(&self) -> u64 {
        self.load_count.load(Ordering::Acquire)
    }

    /// `process`: of the server.
    pub(super) fn record_load(&self, process: &[u8]) {
        self.nodes.record_gap(process);
        self.load_count.fetch_add(1, Ordering::AcqRel);
    }

    /// A position in the stream that this node reads since its last load.
    pub(super) fn read_position(&self, position: StreamPosition) -> ReadPosition {
        ReadPosition {
            position,
            load_count: self.load_count(),
        }
    }

    /// Whether to log that the server may evict keys: once for each load.
    pub(super) fn must_warn_of_eviction(&self) -> bool {
        let load_count = self.load_count();
        self.eviction_warned_at.swap(load_count, Ordering::AcqRel) != load_count
    }
}
