//! The store: its tasks, revocations and state.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::error::RedisStoreError;
use super::heartbeat::{follow_sentinels, send_heartbeats};
use super::node::Node;
use super::pending_writes::PendingWrite;
use super::script::Argument;
use super::stream_reader::follow_stream;
use super::write_back::write_back_records;
use crate::dpop::ReplayMemory;
use crate::revocation::{
    FingerprintedRevocation, Revocation, RevocationKind, RevocationSetState, RevocationStore,
    TokenIdentity,
};
use crate::session::{MAX_GENERATION, SessionId, Subject};

/// Sessions and revocations in Redis. Clones share connections and data.
///
/// See the [module docs](super) for an example. The store's background tasks end when the last
/// clone is dropped.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    node: Arc<Node>,
    /// The DPoP proofs that were used on this node.
    proofs: ReplayMemory,
    tasks: Mutex<Tasks>,
}

/// The tasks that follow the stream, send heartbeats and follow the Sentinels.
///
/// Dropping this aborts them.
struct Tasks([AbortHandle; 3]);

impl Tasks {
    fn begin(node: &Arc<Node>, runtime: &Handle) -> Self {
        let reader = runtime.spawn(follow_stream(Arc::clone(node)));
        let heartbeats = runtime.spawn(send_heartbeats(Arc::clone(node)));
        let sentinels = runtime.spawn(follow_sentinels(Arc::clone(node)));
        Self([reader, heartbeats, sentinels].map(|task| task.abort_handle()))
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

/// Whether a revocation wrote an entry for the nodes to read.
#[derive(PartialEq, Eq)]
enum Written {
    Entry,
    /// No token can have what was revoked.
    Nothing,
}

impl RedisStore {
    pub(super) fn begin(node: Node, proofs: ReplayMemory, runtime: &Handle) -> Self {
        let node = Arc::new(node);
        let tasks = Mutex::new(Tasks::begin(&node, runtime));
        Self(Arc::new(Inner {
            node,
            proofs,
            tasks,
        }))
    }

    pub(super) fn proofs(&self) -> &ReplayMemory {
        &self.0.proofs
    }

    /// Restarts the tasks in the caller's runtime if their own runtime has shut down.
    pub(super) fn running_node(&self) -> &Node {
        let Inner { node, tasks, .. } = &*self.0;
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.0.iter().any(AbortHandle::is_finished)
            && let Ok(runtime) = Handle::try_current()
        {
            // The connections may have been driven by that runtime.
            node.redis.forget_connections();
            *tasks = Tasks::begin(node, &runtime);
        }
        node
    }

    /// Waits until this node is fresh: call it before the service accepts requests.
    ///
    /// # Errors
    ///
    /// Why the node is not fresh after `deadline`, such as [`RedisStoreError::Eviction`].
    pub async fn ready(&self, deadline: Duration) -> Result<(), RedisStoreError> {
        let node = self.running_node();
        let mut cursor = node.cursor.subscribe();
        let fresh = timeout(deadline, async {
            while !node.local.freshness.is_fresh() {
                // The sender lives as long as `self`.
                let _ = cursor.changed().await;
            }
        });
        fresh.await.map_err(|_| self.not_fresh_error())
    }

    /// Revokes a token, a session or a user's tokens.
    ///
    /// When it returns, Redis has the revocation, and every look-up on this node sees it. Other
    /// nodes see it within milliseconds. You may repeat a revocation.
    ///
    /// It also applies to sessions in this store. A revoked session ends. A block rejects logins
    /// and refreshes. A generation ends sessions with a lower one.
    ///
    /// To block a subject that logs in here, prefer
    /// [`block`](crate::session::SessionStore::block). It also rejects a login that begins before
    /// the block and completes after it is lifted.
    ///
    /// # Errors
    ///
    /// After [`Unreplicated`](RedisStoreError::Unreplicated) and
    /// [`SetFull`](RedisStoreError::SetFull) Redis has the revocation. After
    /// [`OutOfRange`](RedisStoreError::OutOfRange) it does not. After any other error, it may or
    /// may not have it.
    pub async fn revoke(&self, revocation: &Revocation<'_>) -> Result<(), RedisStoreError> {
        let node = self.running_node();
        let mut write = node.begin_write(false)?;
        revoke(node, &mut write, revocation, false)
            .await
            .map(|_| ())
    }

    /// Revokes as [`revoke`](RedisStore::revoke) does, and waits until every living node has read
    /// the revocation.
    ///
    /// A silent node is waited for until it is stale, so that the layer's
    /// [`FailurePolicy`](crate::revocation::FailurePolicy) applies there. That takes
    /// [`max_staleness`](super::RedisStoreOptions::max_staleness) and up to a fifth more: choose a
    /// longer `deadline`. While the server is away, this waits for it.
    ///
    /// The wait is as long if this node may not know all nodes: it has just started, has read the
    /// whole state again because the stream broke, or follows another server since a failover. If
    /// it reads the whole state meanwhile, it writes the revocation once more.
    ///
    /// # Errors
    ///
    /// As [`RedisStore::revoke`], and [`RedisStoreError::Unread`] if a node has not read it after
    /// `deadline`. The deadline counts from the call, but does not end the first write, which has
    /// the timeouts of [`RedisStore::revoke`].
    pub async fn revoke_and_wait(
        &self,
        revocation: &Revocation<'_>,
        deadline: Duration,
    ) -> Result<(), RedisStoreError> {
        let began = Instant::now();
        let node = self.running_node();
        // Before the write: a load during it counts.
        let mut load_count = node.load_count();
        let mut write = node.begin_write(true)?;
        if revoke(node, &mut write, revocation, true).await? == Written::Nothing {
            return Ok(());
        }
        let mut cursor = node.cursor.subscribe();
        let all_read = async {
            while !have_all_read(node, &write) {
                // A node that becomes silent changes no cursor: check again after a while.
                let _ = timeout(Duration::from_millis(100), cursor.changed()).await;
                let loads_now = node.load_count();
                if loads_now != load_count {
                    // This node reads no entry from before its load: it needs another one.
                    let mut again = node.begin_write(true)?;
                    match revoke_again(node, &mut again, revocation).await {
                        Ok(()) => (write, load_count) = (again, loads_now),
                        Err(error @ RedisStoreError::Unreplicated) => return Err(error),
                        // The next turn tries again.
                        Err(_) => {}
                    }
                }
            }
            Ok(())
        };
        let all_read = timeout(deadline.saturating_sub(began.elapsed()), all_read).await;
        all_read.unwrap_or(Err(RedisStoreError::Unread))
    }

    /// Lifts the block of a subject, and returns whether there was one. Tokens issued before stay
    /// rejected. There is an exception for a subject whose tokens your `Sessions` do not issue.
    /// Suppose that its access epoch in this store is not 0, for example after `block`. Then a
    /// token is accepted again if its claim `generation` is not lower than that epoch.
    ///
    /// # Errors
    ///
    /// [`RedisStoreError`] if the call fails. The block may or may not be lifted.
    pub async fn lift_block(
        &self,
        issuer: Option<&str>,
        subject: &str,
    ) -> Result<bool, RedisStoreError> {
        let node = self.running_node();
        let subject = Subject::new(issuer, subject);
        let script = &node.redis.scripts.unblock_subject;
        let (_, was_blocked) = node.change_subject(script, &subject).await?;
        Ok(was_blocked)
    }

    /// The state of this node, for monitoring.
    #[must_use]
    pub fn state(&self) -> RedisStoreState {
        let node = &self.0.node;
        let freshness = &node.local.freshness;
        RedisStoreState {
            staleness: freshness.staleness(),
            is_fresh: freshness.is_fresh(),
            nodes: node.nodes.live_count(),
            loads: node.load_count(),
            subjects: node.local.subject_count(),
            revocations: node.local.set.state(),
            last_error: freshness.last_error(),
        }
    }

    /// Why this node may not say that a token is not revoked.
    pub(super) fn not_fresh_error(&self) -> RedisStoreError {
        let freshness = &self.0.node.local.freshness;
        if let Some(error) = freshness.foreign_keys() {
            error
        } else if freshness.is_over_capacity() {
            RedisStoreError::SetFull
        } else if let Some(policy) = freshness.eviction_policy() {
            RedisStoreError::Eviction(policy)
        } else {
            RedisStoreError::Stale(freshness.last_error())
        }
    }
}

async fn revoke(
    node: &Node,
    write: &mut PendingWrite<'_>,
    revocation: &Revocation<'_>,
    requests_heartbeats: bool,
) -> Result<Written, RedisStoreError> {
    let fingerprinted = node.local.set.fingerprinted(revocation);
    let Some(member) = node.local.cipher.encrypt_revocation(&fingerprinted) else {
        return revoke_subject(node, write, &fingerprinted, requests_heartbeats).await;
    };
    let until = Argument::from(fingerprinted.until);
    let mut arguments: Vec<&[u8]> = vec![&member, &until];
    if let Revocation::Session { sid, .. } = *revocation
        && SessionId::parse(sid).is_some()
    {
        arguments.push(sid.as_bytes());
    }
    let script = &node.redis.scripts.revoke;
    let reply = node
        .call_for(write, script, &arguments, requests_heartbeats)
        .await?;
    node.apply_revocation_reply(write, &member, &reply).await?;
    Ok(Written::Entry)
}

/// Revokes by a generation or a block, which are in the record of the subject.
async fn revoke_subject(
    node: &Node,
    write: &mut PendingWrite<'_>,
    revocation: &FingerprintedRevocation,
    requests_heartbeats: bool,
) -> Result<Written, RedisStoreError> {
    let fingerprint = revocation.fingerprint.bits();
    let field = node.local.cipher.encrypt_subject(fingerprint);
    let scripts = &node.redis.scripts;
    let (script, arguments) = match revocation.kind {
        // No generation is lower.
        RevocationKind::Generation(0) => return Ok(Written::Nothing),
        RevocationKind::Generation(generation) if generation > MAX_GENERATION => {
            return Err(RedisStoreError::OutOfRange);
        }
        RevocationKind::Generation(generation) => {
            let arguments = vec![generation.into(), revocation.until.into()];
            (&scripts.set_generation, arguments)
        }
        _ => {
            let longest = node.local.longest_lifetime().as_secs();
            let arguments = vec![Argument::from(longest), Argument::from("1")];
            (&scripts.block_subject, arguments)
        }
    };
    let arguments: Vec<&[u8]> = std::iter::once(&field[..])
        .chain(arguments.iter().map(|argument| &**argument))
        .collect();
    let reply = node
        .call_for(write, script, &arguments, requests_heartbeats)
        .await?;
    node.apply_subject_reply(write, &field, &reply).await?;
    Ok(Written::Entry)
}

/// Writes what this node knows of the revocation once more. A block that was lifted meanwhile stays
/// lifted.
async fn revoke_again(
    node: &Node,
    write: &mut PendingWrite<'_>,
    revocation: &Revocation<'_>,
) -> Result<(), RedisStoreError> {
    let fingerprinted = node.local.set.fingerprinted(revocation);
    let member = node.local.cipher.encrypt_revocation(&fingerprinted);
    if member.is_some() {
        return revoke(node, write, revocation, true).await.map(|_| ());
    }
    let subject = fingerprinted.fingerprint.bits();
    let reply = write_back_records(node, write, &[subject], true).await?;
    node.redis.wait_for_replicas(&reply).await
}

/// Whether all living nodes, with this one, have read the entry of that write.
fn have_all_read(node: &Node, write: &PendingWrite<'_>) -> bool {
    // In this order: after a load, an entry from before it counts no more.
    let entry = write.read_position();
    entry.is_some_and(|entry| {
        entry.load_count == node.load_count() && node.nodes.all_have_read(&node.id, entry)
    })
}

impl RevocationStore for RedisStore {
    type Error = RedisStoreError;

    async fn is_revoked(&self, token: &TokenIdentity<'_>) -> Result<bool, RedisStoreError> {
        self.peek(token).ok_or_else(|| {
            self.running_node();
            self.not_fresh_error()
        })
    }

    #[inline]
    fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool> {
        let local = &self.0.node.local;
        if local.set.is_revoked(token) {
            return Some(true);
        }
        local.freshness.is_fresh().then_some(false)
    }
}

/// The state of this node, for monitoring.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RedisStoreState {
    /// The age of the newest heartbeat that this node has read back: the time since the node sent
    /// it. Usually about a second. `None` before the first.
    pub staleness: Option<Duration>,
    /// Whether the node is fresh. If not, look-ups of unrevoked tokens fail with an error.
    pub is_fresh: bool,
    /// The number of living nodes, including this one.
    pub nodes: usize,
    /// How often this node has read the whole state: once at the start, and again each time that
    /// the stream breaks or lacks what this node wrote. Also after a revocation did not fit into
    /// the set. A read that fails does not count.
    pub loads: u64,
    /// The number of users whose block, logout everywhere or invalidation is in force.
    pub subjects: usize,
    /// The revocations and their memory.
    pub revocations: RevocationSetState,
    /// The last failure since this node was fresh: the source of
    /// [`Stale`](RedisStoreError::Stale). `None` while nothing fails.
    pub last_error: Option<Arc<RedisStoreError>>,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("deployment", &self.0.node.redis.deployment)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
