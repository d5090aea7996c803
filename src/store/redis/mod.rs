//! Sessions and revocations in Redis or Valkey, for services with many nodes.
//!
//! You need it when more than one process must know a logout. For one process,
//! [`EmbeddedStore`](crate::store) or [`MemoryStore`](crate::store::MemoryStore) need no server.
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
//! // Sessions::new(store.clone(), signing_keys, refresh_keys)
//! // JwtAuthLayer::new(keys).revocation(store)
//! # Ok(()) }
//! ```
//!
//! A revocation on one node is effective on all nodes within milliseconds, and no request asks
//! Redis. Each node reads all revocations into a
//! [`RevocationSet`](crate::revocation::RevocationSet) when it starts, and then follows a stream.
//! Login, refresh and logout are one script each.
//!
//! # Fresh and stale nodes
//!
//! Each node writes a heartbeat to the stream, five times per
//! [`max_staleness`](RedisStoreOptions::max_staleness), and reads it there. At the time of its last
//! heartbeat that it has read, it knew everything that Redis knew. If that was longer ago than
//! `max_staleness`, the node is stale.
//!
//! A stale node never says that a token is not revoked: the layer's
//! [policy](crate::revocation::FailurePolicy) decides, 503 by default. It still rejects the tokens
//! that it knows to be revoked. The age is measured by the wall clock and the monotonic clock,
//! whichever says more.
//!
//! # When a server loses data
//!
//! Each entry of the stream carries a hash over itself and the hash of the entry before it. Equal
//! hashes therefore mean equal histories, on every server. In each of these cases a node reads the
//! whole state again, and writes back what it knows and Redis lacks:
//!
//! - An entry does not continue the history that the node has read. Entries were trimmed or lost,
//!   or another server has taken over.
//! - A write of this node was acknowledged, and does not appear in the stream. Pages that are
//!   written back are such writes. So is a call that changes nothing, such as a second block.
//! - The node read the whole state, and the entry that it wrote afterwards does not appear.
//! - A key is gone: the server starts a new history.
//!
//! A call may run twice: after a lost connection the store repeats it, and so does the cluster
//! client of the crate `redis`. If both runs hit the same history, the second finds the first. If
//! not, their entries have different hashes, and the nodes notice.
//!
//! So a revocation that a living node has made or read survives the loss of the server's last
//! writes, or of all data. Until it is written back, for a second or so, other nodes may accept
//! such a token. The last change of a user wins. If two servers diverged, the stricter state wins:
//! a block stays in force until it is lifted again, and a user logged out on both must log in
//! again. A block lifted in that second may come back for this reason.
//!
//! # What Redis may lose
//!
//! Some data is only as safe as the server is configured to keep it: sessions, and revocations that
//! no living node has read.
//!
//! | setting | what is lost |
//! | --- | --- |
//! | `appendonly yes`, `appendfsync always` | nothing, as long as the disk survives |
//! | `appendonly yes`, `appendfsync everysec`, the default with `appendonly` | up to two seconds if the machine dies; nothing if the process dies |
//! | snapshots only, the server's default | minutes |
//! | a replica is promoted | what it had not received; [`replicas`](RedisStoreOptions::replicas) waits for it |
//! | a master without its replicas continues | what it accepts until it notices; `min-replicas-to-write 1` prevents it |
//!
//! In the last case nodes on the old master's side do not hear what the new master accepts. With
//! `min-replicas-to-write` they become stale after `min-replicas-max-lag` and `max_staleness`.
//!
//! Under Sentinel, a replaced master runs on as a master for up to ten seconds. Each node asks the
//! Sentinels five times per `max_staleness` and leaves a master that they have replaced. If no
//! Sentinel answers, the node stays with its master.
//!
//! What follows from a loss:
//!
//! - A refresh token of a lost rotation is ahead of the store. The store accepts it and sends the
//!   event [`LostWrites`](crate::session::SessionEventKind::LostWrites).
//! - A session whose login was lost has ended. Nodes do not write sessions back. A logout with one
//!   of its tokens revokes its `sid` for a day, the longest lifetime of an access token.
//! - A user whose last logout everywhere is so old that all tokens have expired starts with
//!   generation 0.
//!
//! A session whose end was lost is there again. The nodes write back that it was revoked, and so it
//! cannot be renewed. Once its access tokens have been dead for a few minutes, that is dropped: a
//! refresh token that is first tried after that renews the session. A block, or a logout
//! everywhere, that was written back refuses it for good.
//!
//! Keys must not be evicted. The store accepts `maxmemory 0` with any policy, and otherwise only
//! `maxmemory-policy noeviction`; both are the server's defaults. It reads `INFO memory` with each
//! heartbeat. Under another policy no node is fresh, and each says why:
//! [`Eviction`](RedisStoreError::Eviction). `volatile-*` policies evict sessions and their lists.
//! [`allow_eviction`](RedisStoreOptions::allow_eviction) accepts all policies.
//!
//! Anyone who can write to the server can log anybody in or out. Protect it like the signing keys.
//!
//! # Resources
//!
//! A revoked token takes about 130 bytes in Redis and 14 on each node. The stream takes about 90
//! more, for one to two minutes. A node keeps two connections, and one more with
//! [`replicas`](RedisStoreOptions::replicas).
//!
//! One step of the server lists or ends all sessions of a user. With some hundred thousand sessions
//! that takes longer than a call waits: limit how often a user may log in.
//!
//! # Keys
//!
//! All keys have one prefix, `{jwt}` by default. It is their hash tag, so a Cluster keeps them in
//! one slot.
//!
//! | key | contents | until |
//! | --- | --- | --- |
//! | `{jwt}:revoked` | a sorted set of tokens, sessions and cutoffs by their end | each a few minutes after its end |
//! | `{jwt}:subjects` | a hash of users that were blocked or logged out everywhere | for ever |
//! | `{jwt}:stream` | revocations and heartbeats | one to two minutes, or three to six times `max_staleness` if that is longer |
//! | `{jwt}:session:…` | a hash for each session | a few minutes after its end |
//! | `{jwt}:sessions:…` | a sorted set of a user's sessions | a few minutes after the last one's end |
//! | `{jwt}:last` | a hash: the end of the stream, and where it is trimmed | for ever |
//! | `{jwt}:secret` | a check value of the nodes' secret | for ever |
//!
//! The first two each have one empty member. If it is missing, the key was deleted.
//!
//! The first three store IDs as keyed fingerprints of 64 bits, encrypted by AES. Sessions store
//! their subject, issuer and label in plain text. Entries of another program are skipped. A key of
//! another type is an outage.
//!
//! The ends of sessions and revocations come from the nodes' clocks. The
//! [grace](crate::session::Sessions::grace) of a rotation comes from the server's clock: keep the
//! clocks of servers that can replace each other within one second.
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
//!     +del +exists +get +hexists +hget +hgetall +hmget +hscan +hset +info +pexpire +pttl +set
//!     +time +xadd +xrange +xrevrange +zadd +zrange +zrem +zremrangebyscore +zscan +zscore
//! ```
//!
//! The second line is what a node sends; the others are what its scripts call. Set the same rules
//! on every server that may become the master. The connection itself may need more:
//!
//! | deployment | also allow |
//! | --- | --- |
//! | a database other than 0 | `+select` |
//! | without [`replicas`](RedisStoreOptions::replicas) | `+wait` is not needed |
//! | under Sentinel | `+role` on the servers; `+role +sentinel\|masters +sentinel\|get-master-addr-by-name` on the Sentinels |
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

mod deployment;
mod error;
mod feed;
mod health;
mod link;
mod options;
mod own;
mod record;
mod script;
mod sealed;
mod sentinel;
mod sessions;
mod shared;

/// The crate `redis`, whose clients say where the server is.
pub use ::redis as client;

pub use deployment::RedisDeployment;
pub use error::RedisStoreError;
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
use crate::revocation::{
    Revocation, RevocationKind, RevocationSetState, RevocationStore, TokenIdentity,
};
use crate::session::{SessionId, Subject};

/// Sessions and revocations in Redis. Clones share connections and data.
///
/// See the [module docs](self) for an example. Its tasks end when the last clone is dropped.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    tasks: Mutex<Tasks>,
}

/// The tasks that read the stream, write heartbeats and follow Sentinels. Dropping aborts them.
struct Tasks([AbortHandle; 3]);

impl Tasks {
    fn begin(shared: &Arc<Shared>, runtime: &Handle) -> Self {
        let follow = runtime.spawn(feed::follow(Arc::clone(shared)));
        let beat = runtime.spawn(feed::beat(Arc::clone(shared)));
        let sentinels = runtime.spawn(feed::follow_sentinels(Arc::clone(shared)));
        Self([follow, beat, sentinels].map(|task| task.abort_handle()))
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

    /// Restarts the tasks in the caller's runtime if their own runtime has shut down.
    fn shared(&self) -> &Shared {
        let Inner { shared, tasks } = &*self.0;
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.0.iter().any(AbortHandle::is_finished)
            && let Ok(runtime) = Handle::try_current()
        {
            // The connections may have been driven by that runtime.
            shared.forget_connections();
            *tasks = Tasks::begin(shared, &runtime);
        }
        shared
    }

    /// Waits until this node is fresh: call it before the service accepts requests.
    ///
    /// # Errors
    ///
    /// Why the node is not fresh after `deadline`, such as [`RedisStoreError::Eviction`].
    pub async fn ready(&self, deadline: Duration) -> Result<(), RedisStoreError> {
        let shared = self.shared();
        let mut place = shared.place.subscribe();
        let known = timeout(deadline, async {
            while !shared.health.is_fresh() {
                // The sender lives as long as `self`.
                let _ = place.changed().await;
            }
        });
        known.await.map_err(|_| self.incomplete_error())
    }

    /// Revokes a token, a session or a user's tokens.
    ///
    /// When it returns, Redis has the revocation, and every look-up on this node sees it. Other
    /// nodes see it within milliseconds. Revoking twice is the same as once.
    ///
    /// Sessions in this store are affected too. A revoked session has ended. A block rejects logins
    /// and refreshes, and a generation ends the sessions before it.
    ///
    /// # Errors
    ///
    /// After [`Unreplicated`](RedisStoreError::Unreplicated) and
    /// [`SetFull`](RedisStoreError::SetFull) Redis has the revocation. After any other error it may
    /// have it or not.
    pub async fn revoke(&self, revocation: &Revocation<'_>) -> Result<(), RedisStoreError> {
        let mut ticket = self.shared().ticket(false)?;
        self.revoke_for(&mut ticket, revocation, false)
            .await
            .map(|_| ())
    }

    /// Revokes, and waits until every living node has read it.
    ///
    /// A node that is silent for longer than [`max_staleness`](RedisStoreOptions::max_staleness) is
    /// not waited for: it is stale, and accepts no token.
    ///
    /// # Errors
    ///
    /// As [`RedisStore::revoke`], and [`RedisStoreError::Unread`] if a node has not read it after
    /// `deadline`.
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
        let fingerprinted = shared.set.fingerprinted(revocation);
        let until = Argument::from(fingerprinted.until);
        if let Some(member) = shared.seal.member(&fingerprinted) {
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
        let field = shared.seal.field(fingerprinted.fingerprint.bits());
        let longest = Argument::from(shared.longest_lifetime().as_secs());
        let (script, arguments) = match fingerprinted.kind {
            // No token has less.
            RevocationKind::Generation(0) => return Ok(false),
            RevocationKind::Generation(generation) => {
                if generation > Shared::MAX_GENERATION {
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

    /// The state of this node, for monitoring.
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

    /// Why this node cannot say that a token is not revoked.
    fn incomplete_error(&self) -> RedisStoreError {
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

    async fn is_revoked(&self, token: &TokenIdentity<'_>) -> Result<bool, RedisStoreError> {
        self.peek(token).ok_or_else(|| {
            self.shared();
            self.incomplete_error()
        })
    }

    #[inline]
    fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool> {
        let shared = &self.0.shared;
        if shared.set.is_revoked(token) {
            return Some(true);
        }
        shared.health.is_fresh().then_some(false)
    }
}

/// The state of this node, for monitoring.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RedisStoreState {
    /// The age of this node's knowledge, usually about a second. `None` before it has any.
    pub staleness: Option<Duration>,
    /// Whether the node is fresh: only then does it say that a token is not revoked.
    pub is_fresh: bool,
    /// The number of living nodes, with this one.
    pub nodes: usize,
    /// How often this node has read the whole state: once at the start, and whenever the stream
    /// broke.
    pub loads: u64,
    /// The number of users with a block or logout everywhere in force.
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
            .field("deployment", &self.0.shared.deployment)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
