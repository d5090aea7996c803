//! Sessions and revocations in Redis or Valkey, for services with many nodes.
//!
//! You need this store when a logout must take effect in more than one process. For one process,
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
//! A revocation on one node is effective on all nodes within milliseconds. Checking an access token
//! never asks Redis, unless the nodes share their [DPoP proofs](self#dpop-proofs). Each node reads
//! all revocations into a [`RevocationSet`](crate::revocation::RevocationSet) when it starts, and
//! then follows a stream. Login, refresh and logout are one script each.
//!
//! # DPoP proofs
//!
//! The store is a [`ReplayStore`](crate::dpop::ReplayStore) too. You need this if a proof that was
//! used on one node must be rejected on all others:
//!
//! ```
//! use tower_jwt_auth::TokenSource;
//! use tower_jwt_auth::dpop::{BaseUrlError, Dpop};
//! use tower_jwt_auth::store::RedisStore;
//!
//! fn source(store: &RedisStore) -> Result<TokenSource, BaseUrlError> {
//!     let dpop = Dpop::new("https://api.example.com")?.replay_store(store.clone());
//!     Ok(TokenSource::dpop(dpop))
//! }
//! ```
//!
//! Sharing proofs costs each request with a valid proof one round trip. So it is off by default,
//! and each node remembers its own proofs. [Nonces](crate::dpop::Dpop::nonces) need no round trip,
//! but they only limit the age of proofs.
//!
//! | if | then |
//! | --- | --- |
//! | Redis does not answer within [`replay_deadline`](crate::dpop::Dpop::replay_deadline), 250 ms by default | 503 |
//! | the clocks of node and server differ by more than 30 seconds | 503, [`ClocksDiffer`](RedisStoreError::ClocksDiffer) |
//! | a client's key or a subject has used a sixteenth of [`proof_capacity`](RedisStoreOptions::proof_capacity) on a node | 429 there |
//! | the node has used all of it | 503, [`ProofsFull`](RedisStoreError::ProofsFull) |
//! | the node is stale | 503, [`Stale`](RedisStoreError::Stale) |
//! | the server may evict keys | 503, [`Eviction`](RedisStoreError::Eviction) |
//!
//! A proof takes about 170 bytes in Redis. On the node where it was used it takes 10 to 21, and up
//! to 100 if each proof comes from another client. It expires when no node accepts it any more.
//! Each node stores at most its capacity of proofs. So Redis holds at most the sum of all
//! capacities, plus unexpired proofs of nodes that have stopped or restarted. Leave that much
//! memory free: a full server also rejects logins.
//!
//! Nodes do not wait until [`replicas`](RedisStoreOptions::replicas) have a proof, and do not
//! restore proofs that the server loses. Each lost proof can be used once more until it expires,
//! except on the node where it was used. A server whose clock jumps ahead loses proofs too.
//!
//! # Fresh and stale nodes
//!
//! Each node writes a heartbeat to the stream, five times per
//! [`max_staleness`](RedisStoreOptions::max_staleness). A node that reads back its own heartbeat
//! has read everything written before it. A node is stale if more than `max_staleness` has passed
//! since it sent the newest heartbeat that it has read back. It is also stale in these cases:
//!
//! - A revocation does not fit into its set. Until all fit, the node reads the whole state again
//!   and again.
//! - The keys belong to nodes with another secret or format.
//! - The server may evict keys, and you have not
//!   [allowed](RedisStoreOptions::allow_eviction) that.
//!
//! On a stale node look-ups of unrevoked tokens fail. The layer's
//! [policy](crate::revocation::FailurePolicy) then applies: 503 by default. The node still rejects
//! the tokens that it knows to be revoked. Both the wall clock and the monotonic clock
//! measure how long ago the node sent the newest heartbeat that it has read back. The larger value
//! counts.
//!
//! # When a server loses data
//!
//! Each entry of the stream carries a hash over itself and the hash of the entry before it. Equal
//! hashes therefore mean equal histories, on every server. A node reads the whole state again, and
//! writes back entries that Redis lacks, in each of these cases:
//!
//! - An entry does not continue the history that the node has read. Entries were trimmed or lost,
//!   or another server has taken over.
//! - A write of this node was acknowledged, but its entry does not appear in the stream. Every
//!   write of a revocation or a subject adds an entry, even if it writes data back or changes
//!   nothing. Logins, refreshes and changes of session data add none, unless they end a session.
//! - The node read the whole state, and the entry that it wrote afterwards does not appear.
//! - A key is gone: the server starts a new history.
//!
//! A call may run twice: after a lost connection the store repeats it, and so does the cluster
//! client of the crate `redis`. If the server still has the first run's entry, the second run
//! changes nothing. If the server lost that entry, the second run writes one with another hash, and
//! the nodes notice.
//!
//! So a revocation that a living node has made or read survives the loss of the server's last
//! writes, or of all data. Until it is written back, which takes about a second, other nodes may
//! accept a revoked token. Two servers may have different records of a user. If one is a later
//! version of the other, the later one applies. If two servers recorded different changes, the
//! stricter result applies. A block lifted shortly before the loss may therefore return. If a user
//! was logged out everywhere on both servers, this also ends sessions that began afterwards.
//!
//! # What Redis may lose
//!
//! The server's configuration decides how safe two kinds of data are: sessions, and revocations
//! that no living node has read.
//!
//! | setting | what is lost |
//! | --- | --- |
//! | `appendonly yes`, `appendfsync always` | nothing, as long as the disk survives |
//! | `appendonly yes`, `appendfsync everysec`, the default with `appendonly` | up to two seconds if the machine dies; nothing if the process dies |
//! | snapshots only, the server's default | minutes |
//! | a replica is promoted | writes that the replica had not received; [`replicas`](RedisStoreOptions::replicas) makes each write wait for replicas, except a token rotation |
//! | a master that is cut off from its replicas continues | writes that it accepts before it steps down; `min-replicas-to-write 1` prevents this |
//!
//! In the last case nodes that are still connected to the old master do not read what the new
//! master accepts. With `min-replicas-to-write` they become stale after at most
//! `min-replicas-max-lag` plus `max_staleness`.
//!
//! Under Sentinel, a replaced master continues to accept writes for up to ten seconds. Each node
//! asks the Sentinels five times per `max_staleness` and leaves a master that they have replaced.
//! If no Sentinel answers, the node stays with its master.
//!
//! The effects of a loss:
//!
//! - A refresh token may be newer than the store's record, because the store has lost a refresh. It
//!   is accepted, and you get the event
//!   [`LostWrites`](crate::session::SessionEventKind::LostWrites).
//! - If the write of a login is lost, its session no longer exists: nodes do not write sessions
//!   back. A logout with one of its tokens revokes its `sid` for a day, the longest lifetime of an
//!   access token.
//! - If the record of an old logout everywhere is lost, the user's generation and access epoch are
//!   0 again. The next logout everywhere, block or invalidation of this user raises the access
//!   epoch above those of the sessions that Redis has.
//!
//! If Redis loses a logout, the session exists again. The nodes write back its revocation. Every
//! call then regards the session as ended, and the first that finds it deletes it. The nodes drop
//! the revocation a few minutes after the last access token expires. If no call has found the
//! session by then, its refresh token is accepted again, unless the user was blocked or logged out
//! everywhere.
//!
//! Keys must not be evicted. The store accepts `maxmemory 0` with any policy, and otherwise only
//! `maxmemory-policy noeviction`; both are the server's defaults. The store reads `INFO` with each
//! heartbeat. Under another policy look-ups of unrevoked tokens fail with
//! [`Eviction`](RedisStoreError::Eviction). `volatile-*` policies evict sessions and their lists.
//! [`allow_eviction`](RedisStoreOptions::allow_eviction) accepts all policies.
//!
//! Anyone who can write to the server can log anybody in or out. Protect it like the signing keys.
//!
//! # Resources
//!
//! A revoked token takes about 130 bytes in Redis and 14 on each node. The stream takes about 90
//! more, for one to two minutes. A node keeps two connections, one more with
//! [`replicas`](RedisStoreOptions::replicas), and one more under Sentinel. In a Cluster, each of
//! them is a client with connections to several servers of the Cluster.
//!
//! Listing or ending all sessions of a user is one script. With a few hundred thousand sessions it
//! exceeds the call timeout, so limit [the sessions of a
//! user](crate::session::Sessions::max_sessions).
//!
//! # Keys
//!
//! All keys have one prefix, `{jwt}` by default. It is their hash tag, so a Cluster keeps them in
//! one slot.
//!
//! | key | contents | deleted |
//! | --- | --- | --- |
//! | `{jwt}:revoked` | a sorted set of tokens, sessions and cutoffs by their end | each a few minutes after its end |
//! | `{jwt}:subjects` | a hash of users that were blocked or logged out everywhere, or whose access tokens were invalidated | never |
//! | `{jwt}:stream` | revocations and heartbeats | each entry after one to two minutes, or three to six times `max_staleness` if that is longer; about 100 more entries stay, because Redis removes them in blocks |
//! | `{jwt}:session:…` | a hash for each session | at logout; otherwise when it expires, but not before 5 minutes after the `exp` of its last access token |
//! | `{jwt}:sessions:…` | a sorted set of a user's sessions | when it is empty, or when the last of these sessions would be deleted |
//! | `{jwt}:proof:…` | a nonce for each used DPoP proof | half a minute after the proof expires |
//! | `{jwt}:ended:…` | the sessions that a login ended, for a repeated call after a lost answer | after a minute |
//! | `{jwt}:last` | a hash: the end of the stream, and where it is trimmed | never |
//! | `{jwt}:secret` | the format of the keys, and a check value of the nodes' secret | never |
//!
//! `revoked` and `subjects` each contain a placeholder with an empty name. If it is missing, the
//! store knows that the key was deleted.
//!
//! Do not remove members of `{jwt}:revoked` by hand while a node starts or reads the state again:
//! it reads them page by page, by rank, and may then miss one.
//!
//! `revoked`, `subjects`, `stream` and the names of proof keys do not contain IDs. They contain
//! keyed 64-bit fingerprints of the IDs, encrypted by AES. Sessions store their subject, actor,
//! issuer, label, client, `acr`, key thumbprint and data in plain text. Entries of another program
//! are skipped. If one of the keys has another Redis type, calls fail.
//!
//! Nodes compute when sessions and revocations expire, by their own clocks. The server measures the
//! [grace](crate::session::Sessions::grace), and expires proofs. So the clocks of servers that can
//! replace each other must differ by less than one second.
//!
//! The store needs Redis 7.0 or later, or Valkey.
//!
//! # Upgrades and a new secret
//!
//! Nodes with different versions of this crate can share a deployment, unless the changelog names a
//! change of the format. A node ignores entries of a kind that only a later version writes.
//!
//! If the keys have another format, the node is not [ready](RedisStore::ready). All its calls fail
//! with [`OtherFormat`](RedisStoreError::OtherFormat). Nothing is migrated: use a new
//! [`prefix`](RedisStoreOptions::prefix), and all users must log in again.
//!
//! The secret cannot be changed in place: nodes with another secret fail with
//! [`OtherSecret`](RedisStoreError::OtherSecret). To change it, start all nodes with a new secret,
//! a new [`prefix`](RedisStoreOptions::prefix) and new signing keys. All users must log in again,
//! and tokens that were revoked under the old prefix do not verify with the new keys.
//!
//! # What the server must allow
//!
//! The store's own calls need only these commands, on its keys. With the prefix `jwt`:
//!
//! ```text
//! ACL SETUSER service on >password ~{jwt}:*
//!     +eval +evalsha +xread +wait
//!     +del +exists +get +hexists +hget +hgetall +hmget +hscan +hset +info +pexpire +pttl +set
//!     +time +xadd +xrange +xrevrange +zadd +zcount +zrange +zrem +zremrangebyscore +zscore
//! ```
//!
//! The first line of commands is what a node sends; the other lines are what its scripts call. Set
//! the same rules on every server that may become the master. The connection itself may need more:
//!
//! | deployment | change |
//! | --- | --- |
//! | a database other than 0 | also allow `+select` |
//! | without [`replicas`](RedisStoreOptions::replicas) | you may leave out `+wait` |
//! | under Sentinel | also allow `+role` on the servers; `+role +sentinel\|masters +sentinel\|get-master-addr-by-name` on the Sentinels |
//! | Redis 7.2 or later | you may allow `+client\|setinfo`: without it each connection leaves an entry in `ACL LOG` |
//! | a Cluster | also allow `+cluster\|slots +ping +asking`, and `+readonly` if the client reads from replicas |
//!
//! If a command is missing, the node is not [ready](RedisStore::ready). The source of
//! [`Stale`](RedisStoreError::Stale), and [`last_error`](RedisStoreState::last_error), hold the
//! server's answer. If a script called the command, the answer does not name it. Look in `ACL LOG`
//! on the server.
//!
//! # Runtimes
//!
//! Three tasks keep a node fresh: one reads the stream, one sends heartbeats, and one follows the
//! Sentinels. They run in the tokio runtime that called [`connect`](RedisStoreOptions::connect). If
//! that runtime is gone, the node becomes stale. The next asynchronous call on any clone restarts
//! them in its runtime. A revocation look-up restarts them only when the node is stale. The store
//! does not notice a runtime that still exists but is no longer driven, such as a `current_thread`
//! runtime outside `block_on`.

mod backoff;
mod deployment;
mod error;
mod fingerprint_cipher;
mod freshness;
mod heartbeat;
mod key_names;
mod link;
mod loader;
mod local_state;
mod log;
mod node;
mod node_table;
mod options;
mod pending_heartbeats;
mod pending_writes;
mod proofs;
mod random_id;
mod reply;
mod script;
mod script_client;
mod sentinel;
mod session_hash;
mod sessions;
mod store;
mod stream_entry;
mod stream_position;
mod stream_reader;
mod subject_record;
mod timestamp;
mod write_back;

/// The crate `redis`: its clients hold the address of the server.
pub use ::redis as client;

pub use deployment::RedisDeployment;
pub use error::RedisStoreError;
pub use options::RedisStoreOptions;
pub use store::{RedisStore, RedisStoreState};

#[cfg(test)]
mod tests;
