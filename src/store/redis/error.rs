//! Why a Redis store fails.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Why a [`RedisStore`](super::RedisStore) has no answer, or has not done what it was to do. Cheap to clone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RedisStoreError {
    /// The server cannot be reached, or answers with an error. The source says which. A write may have happened all the same.
    Server(Arc<redis::RedisError>),
    /// The server took too long. A write may have happened all the same.
    Timeout,
    /// It is not known whether the token was revoked: this node has not heard from the others for longer than
    /// [`max_staleness`](super::RedisStoreOptions::max_staleness). The source says what failed last
    /// since, if anything did: a command that the server's access list does not allow, for one.
    Stale(Option<Arc<RedisStoreError>>),
    /// There are more revocations than the node's [capacity](super::RedisStoreOptions::capacity). Then it cannot tell of any
    /// token that it is not revoked.
    SetFull,
    /// The keys in Redis belong to nodes with another secret.
    OtherSecret,
    /// The server evicts keys by this `maxmemory-policy`, and with them revocations and blocks. Set
    /// `maxmemory-policy noeviction`, or `maxmemory 0`. `unknown`: `INFO memory` does not name the
    /// policy. See [`allow_eviction`](super::RedisStoreOptions::allow_eviction).
    Eviction(Arc<str>),
    /// Redis has it, but fewer [replicas](super::RedisStoreOptions::replicas) than wanted have said so.
    Unreplicated,
    /// Redis has it, but not every node has read it in time.
    Unread,
    /// The server's answer makes no sense: another program writes to these keys.
    Reply,
    /// Another server, or another process of it, has taken the place of the one whose state was being read.
    Replaced,
    /// A generation above 2^52, from which the server's scripts cannot count on for long. Nothing
    /// was written.
    OutOfRange,
    /// The crypto back-end failed: no randomness.
    Backend,
}

impl From<redis::RedisError> for RedisStoreError {
    fn from(error: redis::RedisError) -> Self {
        if error.is_timeout() {
            Self::Timeout
        } else if error.code() == Some("OTHERSECRET") {
            Self::OtherSecret
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
            Self::Server(_) => "the Redis server cannot be reached, or has refused",
            Self::Timeout => "the Redis server took too long",
            Self::Stale(_) => "this node has not heard from Redis for too long",
            Self::SetFull => "there are more revocations than this node may hold",
            Self::OtherSecret => "the keys in Redis belong to nodes with another secret",
            Self::Unreplicated => "too few replicas have it",
            Self::Unread => "not every node has read it in time",
            Self::Reply => "the Redis server's answer makes no sense",
            Self::Replaced => "another Redis server has taken the place of the one that was read",
            Self::OutOfRange => "the generation is too large",
            Self::Backend => "the crypto back-end failed",
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
