//! Sessions and revocations in Redis or Valkey, for services of many nodes.
//!
//! ```no_run
//! # async fn open(secret: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use tower_jwt_auth::store::RedisStoreOptions;
//! use tower_jwt_auth::store::redis::client::Client;
//!
//! let store = RedisStoreOptions::new(secret)?
//!     .connect(Client::open("redis://127.0.0.1/")?)
//!     .await?;
//! store.ready(Duration::from_secs(5)).await?;
//! // Sessions::new(store.clone(), signing_keys, refresh_keys), and JwtAuthLayer::new(keys).revocation(store)
//! # Ok(()) }
//! ```
//!
//! What one node revokes holds on all within milliseconds, and no request asks Redis: each node reads all that was revoked into a
//! [`RevocationSet`](crate::revocation::RevocationSet) when it starts, and then follows a stream. Login, renewal and logout are one script each.
//!
//! # What a node knows
//!
//! Each node writes a sign of life to the stream, five times within [`max_staleness`](RedisStoreOptions::max_staleness), and reads it
//! there. When it last wrote one that it has read since, it knew all that Redis did. If that is longer ago than `max_staleness`, by
//! the clock of the machine or that of the wall, it no longer says of any token that it was not revoked, and the layer's
//! [policy](crate::revocation::FailurePolicy) decides: 503 by default. What it knows to be revoked stays so. Both clocks are read
//! once for each second of the wall's, and that one for every request.
//!
//! Each entry of the stream carries a hash over itself and the hash of the entry before it. Equal
//! hashes therefore mean equal histories, on whatever server. A node reads the whole state again,
//! and writes back what it holds and Redis lacks, in each of these cases:
//!
//! - An entry does not continue the history that the node has read. Entries were trimmed or lost, or
//!   another server has taken over.
//! - A write of this node was acknowledged, and does not appear in the stream. Pages that are written
//!   back are such writes. So is a call that changes nothing, such as a second block.
//! - The node read the whole state, and the entry that it wrote afterwards does not appear.
//! - A key is gone: the server starts a new history.
//!
//! A call may run twice: after a lost connection the store repeats it, and so does the cluster
//! client of the crate `redis` by itself. If both runs hit the same history, the second finds the
//! first. If not, their entries have different hashes, and the nodes notice.
//!
//! A revocation that any living node has made or read therefore survives the loss of the server's
//! last writes, or of all. Until it is written back, for a second or so, nodes that had not read it
//! may let such a token pass. Of a subject the last change counts. If two servers diverged, the
//! stricter state wins: a block stands until it is lifted again, and a user logged out on both must
//! log in again.
//!
//! # What Redis may lose
//!
//! Sessions, and revocations of which no node that lives on had heard, are as safe as the server is set to keep them:
//!
//! | setting | what is lost |
//! | --- | --- |
//! | `appendonly yes`, `appendfsync always` | nothing, as long as the disk stays |
//! | `appendonly yes`, `appendfsync everysec`, the server's default once it is on | up to the last second or two, if the machine dies; nothing if the process does |
//! | snapshots alone, the server's default | minutes |
//! | a replica is promoted | what it had not got; [`replicas`](RedisStoreOptions::replicas) waits for it |
//! | a master that was cut off from its replicas and goes on | what it is told until it notices; `min-replicas-to-write 1` stops it |
//!
//! The last of these hides more than it loses: nodes on its side take it for the server, and do not hear what the new one is
//! told. With `min-replicas-to-write` they know nothing any more after `min-replicas-max-lag` and `max_staleness`.
//!
//! Nodes keep what still counts, and nothing else. A subject that was logged out everywhere so long ago that no token of before lives on, and
//! that the server has lost, begins with generation 0 again.
//!
//! A refresh token of a renewal that was lost is ahead of the store, which takes it and [says so](crate::session::SessionEventKind::Recovered).
//! A session whose beginning was lost is over. A logout with one of its tokens ends its access
//! tokens all the same: the `sid` is then revoked for a day, the longest that an access token may
//! live. Nodes do not write sessions back.
//!
//! A session whose end was lost is there again. The nodes write back that it was revoked, and so it
//! cannot be renewed. Once its access tokens have been dead for a few minutes, that is dropped: a
//! refresh token that is first tried after that renews the session. A block, or a logout
//! everywhere, that was written back refuses it for good.
//!
//! Keys must not be evicted. The store accepts `maxmemory 0` with any policy, and otherwise only
//! `maxmemory-policy noeviction`; both are the server's defaults. It asks `INFO memory` with each
//! sign of life. Under another policy no node is fresh, and each says why:
//! [`Eviction`](RedisStoreError::Eviction). `volatile-*` policies evict sessions and their lists.
//! [`allow_eviction`](RedisStoreOptions::allow_eviction) accepts all policies.
//!
//! Anyone who can write to the server can log anybody in or out: protect it as you protect the
//! signing keys.
//!
//! # What it takes
//!
//! A revoked token takes some 130 bytes in Redis and 14 on each node. The stream takes some 90
//! more, for one to two minutes. A node keeps two connections, one more with
//! [`replicas`](RedisStoreOptions::replicas).
//!
//! All sessions of a subject are listed, and ended, in one step of the server, which takes longer than a call waits if there are some
//! hundred thousand of them: limit how often one subject may log in.
//!
//! # Keys
//!
//! All have one prefix, `{jwt}` by default, which is their hash tag: in a Cluster they lie in one slot.
//!
//! | key | holds | until |
//! | --- | --- | --- |
//! | `{jwt}:revoked` | a sorted set of tokens, sessions and cutoffs by their end | each a few minutes after its end |
//! | `{jwt}:subjects` | a hash of subjects that were blocked, or logged out everywhere | for ever |
//! | `{jwt}:stream` | what is revoked, and the nodes' signs of life | one to two minutes, or three to six times `max_staleness` if that is longer |
//! | `{jwt}:session:…` | a hash for each session | a few minutes after its end |
//! | `{jwt}:sessions:…` | a sorted set of a subject's sessions | a few minutes after the last one's end |
//! | `{jwt}:last` | a hash: where the stream ends, and from where it is kept | for ever |
//! | `{jwt}:secret` | what tells nodes with another secret | for ever |
//!
//! The first two each hold one empty member. If it is missing, the key was gone in between.
//!
//! Ids are in the first three as keyed fingerprints of 64 bits, encrypted by AES; sessions hold their subject, issuer and label as they
//! are. An entry that another program has written to one of these keys is skipped; a key of another type is an outage.
//!
//! The ends of sessions and revocations come from the nodes' clocks, and the [grace](crate::session::Sessions::grace) of a renewal from the
//! server's: let those of servers that may take each other's place agree within a second.
//!
//! Redis 7.0 or later, or Valkey.
//!
//! # What the server must allow
//!
//! The store needs these commands on its keys, and nothing else. With the prefix `jwt`:
//!
//! ```text
//! ACL SETUSER service on >password ~{jwt}:*
//!     +eval +evalsha +xread +wait
//!     +del +exists +get +hexists +hget +hgetall +hmget +hscan +hset +info +pexpire +pttl +set +time
//!     +xadd +xrange +xrevrange +zadd +zrange +zrem +zremrangebyscore +zscan +zscore
//! ```
//!
//! The second line is what a node sends; the others are what its scripts call. Set the same rules
//! on every server that may become the master. The connection itself may need more:
//!
//! | deployment | also allow |
//! | --- | --- |
//! | a database other than 0 | `+select` |
//! | without [`replicas`](RedisStoreOptions::replicas) | `+wait` is not needed |
//! | under Sentinel | `+role` on the servers; `+role +sentinel\|masters` on the Sentinels |
//! | Redis 7.2 or later | `+client\|setinfo` is optional: without it each connection leaves an entry in `ACL LOG` |
//! | a Cluster | `+cluster\|slots +ping +asking`, and `+readonly` if the client reads from replicas |
//!
//! If a command is missing, the node is not [ready](RedisStore::ready). The source of
//! [`Stale`](RedisStoreError::Stale), and [`last_error`](RedisStoreState::last_error), hold the
//! server's answer. That names no command if a script called it: `ACL LOG` on the server does.
//!
//! # Runtimes
//!
//! Two tasks keep a node fresh. They run in the tokio runtime that called
//! [`connect`](RedisStoreOptions::connect). If that runtime is gone, the node becomes stale. The
//! next call that waits, on any clone, starts them again in its own runtime; so does a look-up by
//! the layer once the node is stale. A runtime that still exists but is no longer driven, such as a
//! `current_thread` runtime outside `block_on`, is not noticed.

mod error;
mod feed;
mod health;
mod link;
mod options;
mod own;
mod record;
mod script;
mod sealed;
mod sessions;
mod shared;

/// The crate `redis`, whose clients say where the server is.
pub use ::redis as client;

pub use error::RedisStoreError;
pub use link::RedisDeployment;
pub use options::RedisStoreOptions;

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};

use self::own::Ticket;
use self::shared::{Argument, Shared};
use crate::revocation::{MarkKind, Revocation, RevocationSetState, RevocationStore, TokenId};
use crate::session::{SessionId, Subject};

/// Keeps sessions and revocations in Redis. Clones share the connections and what was read.
///
/// See the [module docs](self) for an example. With the last clone its tasks end.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    tasks: Mutex<Tasks>,
}

/// What reads the stream, and what writes signs of life. They end with this.
struct Tasks([AbortHandle; 2]);

impl Tasks {
    fn begin(shared: &Arc<Shared>, runtime: &Handle) -> Self {
        let follow = runtime.spawn(feed::follow(Arc::clone(shared)));
        let beat = runtime.spawn(feed::beat(Arc::clone(shared)));
        Self([follow.abort_handle(), beat.abort_handle()])
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl RedisStore {
    fn begin(shared: Arc<Shared>, runtime: &Handle) -> Self {
        let tasks = Mutex::new(Tasks::begin(&shared, runtime));
        Self(Arc::new(Inner { shared, tasks }))
    }

    /// What every call that waits begins with. If the runtime of the tasks is gone, they begin
    /// again in the caller's.
    fn shared(&self) -> &Shared {
        let Inner { shared, tasks } = &*self.0;
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.0.iter().any(AbortHandle::is_finished)
            && let Ok(runtime) = Handle::try_current()
        {
            // What drives the connections may have gone with it.
            shared.forget_connections();
            *tasks = Tasks::begin(shared, &runtime);
        }
        shared
    }

    /// Waits until it is known of every token whether it was revoked.
    ///
    /// # Errors
    ///
    /// Why that is not known after `deadline`, such as [`RedisStoreError::Eviction`].
    pub async fn ready(&self, deadline: Duration) -> Result<(), RedisStoreError> {
        let shared = self.shared();
        let mut place = shared.place.subscribe();
        let known = timeout(deadline, async {
            while !shared.health.is_fresh() {
                // The sender lives as long as `self`.
                let _ = place.changed().await;
            }
        });
        known.await.map_err(|_| self.ignorance())
    }

    /// Revokes. Once it has returned Redis has it, and every look-up on this node sees it; on others within milliseconds. To revoke
    /// what is revoked changes nothing.
    ///
    /// This holds for sessions in this store too. A session that is revoked has ended. A block
    /// refuses logins and refreshes, and a generation ends the sessions before it.
    ///
    /// # Errors
    ///
    /// [`RedisStoreError`]: it may be revoked or not, but where Redis has it for sure:
    /// [`Unreplicated`](RedisStoreError::Unreplicated), [`SetFull`](RedisStoreError::SetFull).
    pub async fn revoke(&self, revocation: &Revocation<'_>) -> Result<(), RedisStoreError> {
        let mut ticket = self.shared().ticket(false)?;
        self.revoke_for(&mut ticket, revocation, false)
            .await
            .map(|_| ())
    }

    /// Revokes, and waits until every node that is alive has read it. A node that was not heard of for longer than
    /// [`max_staleness`](RedisStoreOptions::max_staleness) does not count: it knows nothing of any token.
    ///
    /// # Errors
    ///
    /// As [`RedisStore::revoke`]; [`RedisStoreError::Unread`] if a node has not read it after `deadline`.
    pub async fn revoke_and_wait(
        &self,
        revocation: &Revocation<'_>,
        deadline: Duration,
    ) -> Result<(), RedisStoreError> {
        let deadline = Instant::now().checked_add(deadline);
        let deadline = deadline.ok_or(RedisStoreError::Unread)?;
        let shared = self.shared();
        let mut ticket = shared.ticket(true)?;
        if !self.revoke_for(&mut ticket, revocation, true).await? {
            return Ok(());
        }
        let mut place = shared.place.subscribe();
        let all_read = async {
            while !shared.has_been_read(&ticket) {
                // A node that has fallen silent is given up without a word from it.
                let _ = timeout(Duration::from_millis(100), place.changed()).await;
            }
        };
        let all_read = timeout_at(deadline, all_read).await;
        all_read.map_err(|_| RedisStoreError::Unread)
    }

    /// Lifts the block of a subject. Whether there was one. What was issued before stays dead.
    ///
    /// # Errors
    ///
    /// [`RedisStoreError`]: then it may be lifted or not.
    pub async fn lift_block(
        &self,
        issuer: Option<&str>,
        subject: &str,
    ) -> Result<bool, RedisStoreError> {
        let shared = self.shared();
        let subject = Subject::new(issuer, subject);
        let (_, was_blocked) = shared.change(&shared.scripts.unblock, &subject).await?;
        Ok(was_blocked)
    }

    /// Whether there is something for the nodes to read.
    async fn revoke_for(
        &self,
        ticket: &mut Ticket<'_>,
        revocation: &Revocation<'_>,
        is_wanted: bool,
    ) -> Result<bool, RedisStoreError> {
        let shared = self.shared();
        let mark = shared.set.mark(revocation);
        let until = Argument::from(mark.until);
        if let Some(member) = shared.seal.member(&mark) {
            let script = &shared.scripts.revoke;
            let mut arguments: Vec<&[u8]> = vec![&member, &until];
            if let Revocation::Session { sid, .. } = *revocation
                && SessionId::parse(sid).is_some()
            {
                arguments.push(sid.as_bytes());
            }
            let answer =
                shared.call_twice(&ticket.nonce, script, shared.now(), is_wanted, &arguments);
            shared.revoked(ticket, &member, &answer.await?).await?;
            return Ok(true);
        }
        let field = shared.seal.field(mark.id);
        let longest = Argument::from(shared.longest_lifetime().as_secs());
        let (script, arguments) = match mark.kind {
            // No token has less.
            MarkKind::Generation(0) => return Ok(false),
            MarkKind::Generation(generation) => {
                if generation > Shared::MOST {
                    return Err(RedisStoreError::OutOfRange);
                }
                let generation = Argument::from(generation);
                (&shared.scripts.generation, vec![generation, until])
            }
            _ => (&shared.scripts.block, vec![longest]),
        };
        let arguments: Vec<&[u8]> = std::iter::once(&field[..])
            .chain(arguments.iter().map(|argument| &**argument))
            .collect();
        let answer = shared.call_twice(&ticket.nonce, script, shared.now(), is_wanted, &arguments);
        shared.changed(ticket, &field, &answer.await?).await?;
        Ok(true)
    }

    /// How the node fares.
    #[must_use]
    pub fn state(&self) -> RedisStoreState {
        let shared = &self.0.shared;
        RedisStoreState {
            staleness: shared.health.staleness(),
            is_fresh: shared.health.is_fresh(),
            nodes: shared.live_nodes(),
            loads: shared.loads.load(Ordering::Relaxed),
            subjects: shared.records_held(),
            revocations: shared.set.state(),
            last_error: shared.health.last_error(),
        }
    }

    /// Why it is not known of a token whether it was revoked.
    fn ignorance(&self) -> RedisStoreError {
        let health = &self.0.shared.health;
        if health.has_other_secret() {
            RedisStoreError::OtherSecret
        } else if health.is_incomplete() {
            RedisStoreError::SetFull
        } else if let Some(policy) = health.eviction() {
            RedisStoreError::Eviction(policy)
        } else {
            RedisStoreError::Stale(health.last_error())
        }
    }
}

impl Shared {
    /// Whether all nodes that are alive have read what that call wrote.
    fn has_been_read(&self, ticket: &Ticket<'_>) -> bool {
        let Some(read) = ticket.read() else {
            return false;
        };
        let max_staleness = self.settings.max_staleness;
        self.nodes().iter().all(|(name, node)| {
            *name == self.node.as_bytes()
                || node.loads == read.loads && node.read >= read.position
                || node.is_silent(max_staleness)
        })
    }

    fn live_nodes(&self) -> usize {
        let nodes = self.nodes();
        let live = nodes.values();
        live.filter(|node| !node.is_silent(self.settings.max_staleness))
            .count()
    }
}

impl RevocationStore for RedisStore {
    type Error = RedisStoreError;

    async fn is_revoked(&self, token: &TokenId<'_>) -> Result<bool, RedisStoreError> {
        self.peek(token).ok_or_else(|| {
            self.shared();
            self.ignorance()
        })
    }

    #[inline]
    fn peek(&self, token: &TokenId<'_>) -> Option<bool> {
        let shared = &self.0.shared;
        if shared.set.is_revoked(token) {
            return Some(true);
        }
        shared.health.is_fresh().then_some(false)
    }
}

/// How a node fares, of which a [`RedisStore`] is a part.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RedisStoreState {
    /// How old what this node knows is; `None` before it knows anything. A second or so, as a rule.
    pub staleness: Option<Duration>,
    /// Whether it says of tokens that they were not revoked.
    pub is_fresh: bool,
    /// How many nodes are alive, with this one.
    pub nodes: usize,
    /// How often it has read the whole state: once when it starts, and once each time that the stream did not go on.
    pub loads: u64,
    /// Subjects of which something is known that still counts.
    pub subjects: usize,
    /// What was revoked, with the bytes that it takes.
    pub revocations: RevocationSetState,
    /// What failed last since this node read a sign of life of its own: the source of
    /// [`Stale`](RedisStoreError::Stale). `None` while nothing fails.
    pub last_error: Option<Arc<RedisStoreError>>,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("deployment", &self.0.shared.deployment)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
