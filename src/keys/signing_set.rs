//! A key that signs, beside others that still verify.

use super::{KeySet, KeySetError, SigningKey, VerifyingKey};

/// One key that signs, and others whose tokens are accepted too: retired ones, until their last token is dead, and ones to
/// come, which others have to know before they sign. Cheap to clone.
///
/// To change the key of a service whose tokens others verify, without anybody noticing:
///
/// 1. The new key is published, and the old one signs, for as long as those who verify keep the document:
///    `SigningKeySet::new(old, [new.verifying_key()])`.
/// 2. The new key signs, and the old one verifies, for as long as access tokens live: `SigningKeySet::new(new, [old.verifying_key()])`.
/// 3. The old key goes: `SigningKeySet::new(new, [])`.
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
    /// Signs with `signing_key`, and verifies with its public half and with `others`.
    ///
    /// # Errors
    ///
    /// [`KeySetError::Unnamed`] if there are others, and one of all these has no `kid`: a token could not say which it means.
    /// [`KeySetError::Duplicate`] if two different ones have the same `kid` and algorithm.
    pub fn new(
        signing_key: SigningKey,
        others: impl IntoIterator<Item = VerifyingKey>,
    ) -> Result<Self, KeySetError> {
        let mut keys = vec![signing_key.verifying_key()];
        keys.extend(others);
        let has_unnamed = keys.iter().any(|key| key.key_id().is_none());
        let verifying_keys = KeySet::new(keys);
        // The same key twice is one key.
        let is_one = verifying_keys.as_ref().is_ok_and(|keys| keys.len() == 1);
        if has_unnamed && !is_one {
            return Err(KeySetError::Unnamed);
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

    /// All keys that verify, that of the signing key first.
    #[must_use]
    pub fn verifying_keys(&self) -> &KeySet {
        &self.verifying_keys
    }
}

/// A key alone.
impl From<SigningKey> for SigningKeySet {
    fn from(signing_key: SigningKey) -> Self {
        let verifying_keys = KeySet::of_one(signing_key.verifying_key());
        Self {
            signing_key,
            verifying_keys,
        }
    }
}
