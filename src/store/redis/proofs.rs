//! Used DPoP proofs in Redis. Each request runs one script.

use std::time::SystemTime;

use ::redis::Value;

use super::error::RedisStoreError;
use super::random_id::random_id;
use super::script::Argument;
use super::script_client::ScriptCall;
use super::store::RedisStore;
use crate::dpop::{ProofIdentity, ReplayStore, ReplayVerdict};

impl ReplayStore for RedisStore {
    type Error = RedisStoreError;

    /// Asks the memory of this node first: it bounds what a client can store in Redis, and a
    /// replay on the same node costs Redis nothing.
    async fn remember(&self, proof: &ProofIdentity<'_>) -> Result<ReplayVerdict, RedisStoreError> {
        let node = self.running_node();
        // Only a fresh node knows that the server keeps what it is given.
        if !node.local.freshness.is_fresh() {
            return Err(self.not_fresh_error());
        }
        let verdict = self.proofs().remember(proof).await;
        match verdict.map_err(|_| RedisStoreError::ProofsFull)? {
            ReplayVerdict::New => {}
            known => return Ok(known),
        }
        let fingerprint = node.local.encrypt_proof(proof.key, proof.jti);
        // A millisecond more, as the rest of it is cut off.
        let forget_at = Argument::from(milliseconds(proof.forget_at).saturating_add(1));
        let nonce = random_id()?;
        let arguments = [&fingerprint[..], &*forget_at];
        let call = ScriptCall {
            now: milliseconds(proof.now),
            ..node
                .redis
                .prepare(&node.redis.scripts.use_proof, &nonce, &arguments)
        };
        match *node.redis.call_unreplicated(&call).await? {
            Value::Int(1) => Ok(ReplayVerdict::New),
            Value::Int(0) => Ok(ReplayVerdict::Replayed),
            _ => Err(RedisStoreError::Reply),
        }
    }
}

/// A time before the epoch counts as the epoch, far from the server's time.
fn milliseconds(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since_epoch.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
