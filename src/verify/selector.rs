//! Reads the header of a token, and asks [`KeySet::find`] for its key.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::decoded_sizes::DecodedSizes;
use super::error::{VerifyError, VerifyErrorKind};
use super::rules::{ClaimRules, IssuerRules};
use super::token::VerifiedHeader;
use crate::keys::{Algorithm, KeyLookupError, KeySet, VerifyingKey};
use crate::token::JoseHeader;

/// Keys that do not change, with the headers of tokens that they verified.
#[derive(Clone)]
pub(super) struct KeySelector {
    keys: KeySet,
    /// One header per key. An issuer's tokens share it byte for byte, and comparing it is far
    /// cheaper than parsing. A header in here passed every check, under a good signature.
    headers: Box<[OnceLock<CachedHeader>]>,
    decoded_sizes: Arc<DecodedSizes>,
}

#[derive(Clone)]
struct CachedHeader {
    segment: Box<[u8]>,
    header: Arc<VerifiedHeader>,
}

/// The key for a token, or the keys to try.
pub(super) struct Selection<'a> {
    key: &'a VerifyingKey,
    index: usize,
    /// Nearly always empty.
    others: Vec<usize>,
    keys: &'a KeySet,
    header: Arc<VerifiedHeader>,
}

impl KeySelector {
    /// Comparing more headers than this costs as much as parsing one.
    const MAX_CACHED_HEADERS: usize = 16;

    pub(super) fn new(keys: KeySet) -> Self {
        let count = keys.len().min(Self::MAX_CACHED_HEADERS);
        Self {
            keys,
            headers: std::iter::repeat_with(OnceLock::new).take(count).collect(),
            decoded_sizes: Arc::default(),
        }
    }

    pub(super) fn keys(&self) -> &KeySet {
        &self.keys
    }

    pub(super) fn clear_headers(&mut self) {
        for slot in &mut self.headers {
            slot.take();
        }
    }

    /// Checks the header and finds its key. Finds several if the set has keys with the same `kid`
    /// and `alg` and tries them.
    pub(super) fn select(
        &self,
        segment: &[u8],
        rules: &ClaimRules,
        issuer: &IssuerRules,
    ) -> Result<Selection<'_>, VerifyError> {
        if let Some(selection) = self.select_cached(segment) {
            return Ok(selection);
        }
        let header = JoseHeader::decode(segment)?;
        rules.check_type(header.token_type.as_deref(), issuer)?;
        let algorithm = Algorithm::named(&header.algorithm)
            .ok_or_else(|| VerifyError::no_fitting_key(&self.keys))?;
        let found = self
            .keys
            .find(
                algorithm,
                header.key_id.as_deref(),
                header.thumbprints.as_ref(),
            )
            .map_err(|no| match no {
                KeyLookupError::NotFound => VerifyError::no_fitting_key(&self.keys),
                KeyLookupError::OtherCertificate => VerifyError::other_certificate(),
                KeyLookupError::Ambiguous => VerifyErrorKind::SeveralFittingKeys.into(),
            })?;
        let key = (self.keys.key(found.first)).ok_or(VerifyErrorKind::NoFittingKey)?;
        Ok(Selection {
            key,
            index: found.first,
            others: found.others,
            keys: &self.keys,
            header: Arc::new(VerifiedHeader::new(
                algorithm,
                header,
                key.shared_issuer(),
                Arc::clone(&self.decoded_sizes),
            )),
        })
    }

    /// Whether a token with this header was verified.
    pub(super) fn remembers(&self, segment: &[u8]) -> bool {
        self.cached_at(segment).is_some()
    }

    fn cached_at(&self, segment: &[u8]) -> Option<usize> {
        let is_same = |slot: &OnceLock<CachedHeader>| {
            slot.get().is_some_and(|cached| *cached.segment == *segment)
        };
        self.headers.iter().position(is_same)
    }

    fn select_cached(&self, segment: &[u8]) -> Option<Selection<'_>> {
        let index = self.cached_at(segment)?;
        Some(Selection {
            key: self.keys.key(index)?,
            index,
            others: Vec::new(),
            keys: &self.keys,
            header: Arc::clone(&self.headers.get(index)?.get()?.header),
        })
    }

    /// Caches the header of a selection whose signature was verified. One that chooses several keys
    /// is not cached, because a slot is for one key.
    pub(super) fn keep(&self, selection: Selection<'_>, segment: &[u8]) -> Arc<VerifiedHeader> {
        if selection.others.is_empty()
            && let Some(slot) = self.headers.get(selection.index)
        {
            slot.get_or_init(|| CachedHeader {
                segment: segment.into(),
                header: Arc::clone(&selection.header),
            });
        }
        selection.header
    }

    /// Whether a header names a key that newer keys of the issuer might hold: by a `kid`, or by a
    /// thumbprint if the issuer publishes thumbprints.
    #[cfg(feature = "jwks")]
    pub(super) fn may_be_published(&self, segment: &[u8]) -> bool {
        JoseHeader::decode(segment).is_ok_and(|header| {
            header.key_id.is_some() || header.thumbprints.is_some() && self.keys.has_thumbprints()
        })
    }
}

impl Selection<'_> {
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verifies(message, signature)
            || !self.others.is_empty() && self.others_verify(message, signature)
    }

    #[cold]
    fn others_verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let mut others = self.others.iter().filter_map(|index| self.keys.key(*index));
        others.any(|key| key.verifies(message, signature))
    }
}

impl fmt::Debug for KeySelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keys.fmt(f)
    }
}
