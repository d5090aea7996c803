//! Warnings of the background tasks, by `tracing`.

use super::error::RedisStoreError;

#[cfg(feature = "tracing")]
pub(super) fn warn_of_error(error: &RedisStoreError) {
    let reason = std::error::Error::source(error).map(tracing::field::display);
    tracing::warn!(reason, "revocations cannot be read from Redis: {error}");
}

#[cfg(not(feature = "tracing"))]
pub(super) fn warn_of_error(_: &RedisStoreError) {}

#[cfg(feature = "tracing")]
pub(super) fn warn_of_eviction(policy: &str, is_allowed: bool) {
    let consequence = if is_allowed {
        "`allow_eviction` is set, so revocations may be lost"
    } else {
        "this node does not say of any token that it is not revoked"
    };
    tracing::warn!(
        policy,
        "Redis may evict keys: set `maxmemory-policy noeviction`; {consequence}"
    );
}

#[cfg(not(feature = "tracing"))]
pub(super) fn warn_of_eviction(_: &str, _: bool) {}
