//! A signing key, and other keys that still verify.

use super::set::{KeySet, KeySetError};
use super::signing::SigningKey;
use super::verifying::VerifyingKey;

/// The key that signs, and other keys whose tokens are accepted too. Cheap to clone.
///
/// The other keys are retired keys whose tokens have not expired yet, and future keys published in
/// advance.
///
/// To rotate the key of a service whose tokens other services verify:
///
/// 1. Publish the new key: `SigningKeySet::new(old, [new.verifying_key()])`. Wait until the
///    verifiers have fetched the document again.
/// 2. Sign with the new key: `SigningKeySet::new(new, [old.verifying_key()])`. Wait for the
///    lifetime of an access token.
/// 3. Remove the old key: `SigningKeySet::new(new, [])`.
///
/// ```
/// use tower_jwt_auth::{JwtAuthLayer, keys::{Algorithm, SigningKey, SigningKeySet}};
///
/// let retired = SigningKey::generate(Algorithm::ES256)?.with_key_id("2025");
/// let current = SigningKey::generate(Algorithm::ES256)?.with_key_id("2026");
/// let keys = SigningKeySet::new(current, [retired.verifying_key()])?;
///
/// let token = keys.signing_key().sign(&serde_json::json!({ "sub": "me", "exp": 1_900_000_000 }))?;
/// let layer = JwtAuthLayer::new(keys.verifying_keys());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SigningKeySet {
    signing_key: SigningKey,
    verifying_keys: KeySet,
}

impl SigningKeySet {
    /// Signs with `signing_key`, and verifies with its public key and with `others`.
    ///
    /// # Errors
    ///
    /// - [`KeySetError::MissingKeyId`] if there are several keys and one of them does not have a
    ///   key ID.
    /// - [`KeySetError::Duplicate`] if two different keys have the same key ID and algorithm.
    pub fn new(
        signing_key: SigningKey,
        others: impl IntoIterator<Item = VerifyingKey>,
    ) -> Result<Self, KeySetError> {
        let mut keys = vec![signing_key.verifying_key()];
        keys.extend(others);
        let has_unnamed = keys.iter().any(|key| key.key_id().is_none());
        let verifying_keys = KeySet::new(keys);
        // Duplicates of the same key are merged.
        let is_one = verifying_keys.as_ref().is_ok_and(|keys| keys.len() == 1);
        if has_unnamed && !is_one {
            return Err(KeySetError::MissingKeyId);
        }
        Ok(Self {
            signing_key,
            verifying_keys: verifying_keys?,
        })
    }

    /// The key that signs.
    #[must_use]
    pub fn signing_key(&self) -> &SigningKey {
        &self.signing_key
    }

    /// All keys that verify. The public key of the signing key is the first.
    #[must_use]
    pub fn verifying_keys(&self) -> &KeySet {
        &self.verifying_keys
    }
}

/// A set of only this key.
impl From<SigningKey> for SigningKeySet {
    fn from(signing_key: SigningKey) -> Self {
        let verifying_keys = KeySet::of_one(signing_key.verifying_key());
        Self {
            signing_key,
            verifying_keys,
        }
    }
}
