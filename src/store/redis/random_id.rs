//! Random IDs of nodes and calls.

use super::error::RedisStoreError;

/// The length of a node's ID, of a call's nonce, and of the hash of a stream entry, in digits.
pub(super) const ID_LENGTH: usize = 16;

/// 16 random hexadecimal digits.
pub(super) fn random_id() -> Result<String, RedisStoreError> {
    let mut id = [0; 8];
    getrandom::fill(&mut id).map_err(|_| RedisStoreError::Backend)?;
    Ok(format!("{:016x}", u64::from_be_bytes(id)))
}
