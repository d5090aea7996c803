//! Why a Redis store fails.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Why a call of [`RedisStore`](super::RedisStore) failed. Cheap to clone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RedisStoreError {
    /// The server cannot be reached, or answered with an error: see the source. A write may have
    /// happened.
    Server(Arc<redis::RedisError>),
    /// The server took too long. A write may have happened.
    Timeout,
    /// The node is stale: every heartbeat that it has read back was sent longer than
    /// [`max_staleness`](super::RedisStoreOptions::max_staleness) ago. The source is the last
    /// failure, for example a command that the server's ACL does not allow.
    Stale(Option<Arc<RedisStoreError>>),
    /// There are more revocations than the node's [capacity](super::RedisStoreOptions::capacity).
    /// Look-ups of unrevoked tokens fail with this error.
    SetFull,
    /// This node has used as many DPoP proofs as its
    /// [`proof_capacity`](super::RedisStoreOptions::proof_capacity) allows.
    ProofsFull,
    /// The clocks of this node and of the server differ by more than 30 seconds, so a used DPoP
    /// proof could be accepted again.
    ClocksDiffer,
    /// The keys in Redis belong to nodes with another secret.
    OtherSecret,
    /// The keys in Redis belong to nodes of another version of this crate, with another format. Use
    /// another [`prefix`](super::RedisStoreOptions::prefix), or delete the keys once those nodes
    /// are stopped: all users must log in again.
    OtherFormat,
    /// The server evicts keys by this `maxmemory-policy`, and with them revocations and blocks. Set
    /// `maxmemory-policy noeviction`, or `maxmemory 0`. The policy is `unknown` if `INFO memory`
    /// does not report it. See [`allow_eviction`](super::RedisStoreOptions::allow_eviction).
    Eviction(Arc<str>),
    /// Redis has the write, but too few [replicas](super::RedisStoreOptions::replicas) have
    /// acknowledged it.
    Unreplicated,
    /// Redis has the write, but not every node has read it in time.
    Unread,
    /// The server's reply is not one that this store expects: another program may write to its
    /// keys.
    Reply,
    /// Another server has replaced the one whose state was being read.
    Replaced,
    /// A generation above [`MAX_GENERATION`](crate::session::MAX_GENERATION). Nothing was written.
    OutOfRange,
    /// There is no randomness, or `connect` was called outside a tokio runtime.
    Backend,
}

impl From<redis::RedisError> for RedisStoreError {
    fn from(error: redis::RedisError) -> Self {
        if error.is_timeout() {
            Self::Timeout
        } else if error.code() == Some("OTHERSECRET") {
            Self::OtherSecret
        } else if error.code() == Some("OTHERFORMAT") {
            Self::OtherFormat
        } else if error.code() == Some("CLOCKSDIFFER") {
            Self::ClocksDiffer
        } else {
            Self::Server(Arc::new(error))
        }
    }
}

impl fmt::Display for RedisStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eviction(policy) => {
                return write!(
                    f,
                    "the Redis server may evict revocations: its `maxmemory-policy` is `{policy}`; \
                     set it to `noeviction`"
                );
            }
            Self::Server(_) => "the Redis server cannot be reached, or answered with an error",
            Self::Timeout => "the Redis server took too long",
            Self::Stale(_) => "this node is stale: it has had no news from Redis for too long",
            Self::SetFull => {
                "there are more revocations than the capacity of this node: raise `capacity`"
            }
            Self::ProofsFull => {
                "this node has used as many DPoP proofs as it may: raise `proof_capacity`"
            }
            Self::ClocksDiffer => {
                "the clocks of this node and the Redis server differ by over 30 seconds: set them"
            }
            Self::OtherSecret => {
                "the keys in Redis belong to nodes with another secret: use theirs, or another \
                 `prefix`"
            }
            Self::OtherFormat => {
                "the keys in Redis have the format of another version of this crate: use another \
                 `prefix`, or stop those nodes and delete the keys"
            }
            Self::Unreplicated => "too few replicas have acknowledged the write",
            Self::Unread => "not every node has read the revocation in time",
            Self::Reply => "the Redis server's answer is not one of this store",
            Self::Replaced => "another Redis server has replaced the one that was read",
            Self::OutOfRange => "the generation is larger than 2^52",
            Self::Backend => {
                "there is no randomness, or `connect` was called outside a tokio runtime"
            }
        })
    }
}

impl Error for RedisStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Server(error) => Some(&**error),
            Self::Stale(Some(error)) => Some(&**error),
            _ => None,
        }
    }
}
