//! The keys of clients: read from proofs, and kept parsed.

use std::fmt;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::DpopErrorKind;
use crate::keys::{Algorithm, KeyError, VerifyingKey};
use crate::token::{HeaderFault, JoseHeader, JwkThumbprint, base64url};

/// `typ` of proofs (RFC 9449 §4.2).
const PROOF_TYPE: &str = "dpop+jwt";

/// A key, and the header that it was read from.
pub(super) struct ClientKey {
    /// The segment. A client's proofs share it byte for byte, and comparing it is far cheaper than
    /// parsing.
    header: Box<[u8]>,
    pub(super) key: VerifyingKey,
}

/// The keys of clients that sent good proofs lately, by thumbprint.
///
/// A client has one entry. It can replace its own entry, but cannot grow the cache.
pub(super) struct ClientKeys(Cache<JwkThumbprint, Arc<ClientKey>, KeyWeighter>);

#[derive(Clone)]
struct KeyWeighter;

impl Weighter<JwkThumbprint, Arc<ClientKey>> for KeyWeighter {
    fn weight(&self, _: &JwkThumbprint, key: &Arc<ClientKey>) -> u64 {
        /// Bytes of a parsed key and of a place in the cache.
        const OVERHEAD: usize = 2048;
        u64::try_from(key.header.len().saturating_add(OVERHEAD)).unwrap_or(u64::MAX)
    }
}

impl ClientKeys {
    /// 16 MiB: about 7,000 keys. A key that was evicted is parsed again, which takes less time than
    /// checking a signature.
    const MAX_BYTES: u64 = 16 * 1024 * 1024;
    const USUAL_BYTES: u64 = 2400;

    pub(super) fn new() -> Self {
        let items = usize::try_from(Self::MAX_BYTES / Self::USUAL_BYTES).unwrap_or(0);
        Self(Cache::with_weighter(items, Self::MAX_BYTES, KeyWeighter))
    }

    /// The key with this thumbprint, if it was read from this very header.
    pub(super) fn find(&self, thumbprint: &JwkThumbprint, header: &[u8]) -> Option<Arc<ClientKey>> {
        let found = self.0.get(thumbprint)?;
        (*found.header == *header).then_some(found)
    }

    /// Keeps a key that has verified a proof.
    pub(super) fn keep(&self, thumbprint: JwkThumbprint, key: Arc<ClientKey>) {
        self.0.insert(thumbprint, key);
    }
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientKeys").field(&self.0.len()).finish()
    }
}

impl ClientKey {
    /// Reads the header of a proof (RFC 9449 §4.2), with the key for one of `algorithms`.
    pub(super) fn read(header: &[u8], algorithms: &[Algorithm]) -> Result<Self, DpopErrorKind> {
        let members = JoseHeader::decode(header).map_err(|fault| match fault {
            HeaderFault::Malformed => DpopErrorKind::Malformed,
            HeaderFault::Critical
            | HeaderFault::UnencodedPayload
            | HeaderFault::Compressed
            | HeaderFault::Nested => DpopErrorKind::UnsupportedHeader,
        })?;
        if members.token_type.as_deref() != Some(PROOF_TYPE) {
            return Err(DpopErrorKind::WrongType);
        }
        let algorithm = Algorithm::named(&members.algorithm)
            .filter(|algorithm| algorithms.contains(algorithm))
            .ok_or(DpopErrorKind::UnsupportedAlgorithm)?;
        let json = base64url::decode(header).map_err(|_| DpopErrorKind::Malformed)?;
        let key: EmbeddedKey<'_> =
            serde_json::from_slice(&json).map_err(|_| DpopErrorKind::Malformed)?;
        let key =
            VerifyingKey::from_jwk_for(algorithm, key.jwk.get()).map_err(|error| match error {
                KeyError::UnexpectedPrivateKey => DpopErrorKind::PrivateKey,
                _ => DpopErrorKind::InvalidKey,
            })?;
        Ok(Self {
            header: header.into(),
            key,
        })
    }
}

/// The one member that other headers do not have. `JoseHeader` rejects duplicates.
#[derive(Deserialize)]
struct EmbeddedKey<'a> {
    #[serde(borrow)]
    jwk: &'a RawValue,
}
