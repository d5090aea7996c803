//! The keys of one issuer as they stand, with what is remembered about them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::error::{VerifyError, VerifyErrorKind};
use super::token::VerifiedHeader;
use super::trust::Typ;
use crate::keys::{Algorithm, KeySet, NoFit, VerifyingKey};
use crate::token::JoseHeader;

/// Counts the changes of an issuer's keys. Those that are given once and for all have one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Epoch(pub(crate) u64);

/// Keys that do not change, with what is remembered about them.
#[derive(Clone)]
pub(super) struct Ring {
    keys: RingKeys,
    /// The header that each key's tokens carry. An issuer's tokens share it byte for byte, and comparing it is
    /// far cheaper than parsing. What is in here passed every check of a header, under a good signature.
    headers: Box<[OnceLock<KnownHeader>]>,
}

#[derive(Clone)]
pub(super) enum RingKeys {
    Lone(VerifyingKey),
    Set(KeySet),
}

#[derive(Clone)]
struct KnownHeader {
    segment: Box<[u8]>,
    header: Arc<VerifiedHeader>,
}

/// The key for a token.
pub(super) struct Choice<'a> {
    pub(super) key: &'a VerifyingKey,
    index: usize,
    header: Arc<VerifiedHeader>,
}

impl Ring {
    /// Comparing with more headers than this would cost what parsing costs.
    const MOST_KNOWN_HEADERS: usize = 16;

    pub(super) fn new(keys: RingKeys) -> Self {
        let count = match &keys {
            RingKeys::Lone(_) => 1,
            RingKeys::Set(set) => set.len().min(Self::MOST_KNOWN_HEADERS),
        };
        Self {
            keys,
            headers: std::iter::repeat_with(OnceLock::new).take(count).collect(),
        }
    }

    pub(super) fn forget(&mut self) {
        for slot in &mut self.headers {
            slot.take();
        }
    }

    /// Checks the header and finds the one key for it.
    pub(super) fn choose(&self, segment: &[u8], typ: &Typ) -> Result<Choice<'_>, VerifyError> {
        for (index, slot) in self.headers.iter().enumerate() {
            if let Some(known) = slot.get()
                && *known.segment == *segment
                && let Some(key) = self.key(index)
            {
                return Ok(Choice {
                    key,
                    index,
                    header: Arc::clone(&known.header),
                });
            }
        }
        JoseHeader::read(segment, |header| {
            if !typ.allows(header.token_type.as_deref()) {
                return Err(VerifyErrorKind::WrongType.into());
            }
            let algorithm =
                Algorithm::named(&header.algorithm).ok_or(VerifyErrorKind::NoFittingKey)?;
            let index = self.find(algorithm, header.key_id.as_deref())?;
            Ok(Choice {
                key: self.key(index).ok_or(VerifyErrorKind::NoFittingKey)?,
                index,
                header: Arc::new(VerifiedHeader::new(algorithm, header)),
            })
        })?
    }

    /// Whether a header names a key that a set of others might hold: by a `kid`, and for an algorithm of public keys.
    #[cfg(feature = "jwks")]
    pub(super) fn could_hold_key_of(segment: &[u8]) -> bool {
        JoseHeader::read(segment, |header| {
            let algorithm = Algorithm::named(&header.algorithm);
            header.key_id.is_some() && algorithm.is_some_and(Algorithm::is_asymmetric)
        })
        .unwrap_or(false)
    }

    fn find(&self, algorithm: Algorithm, key_id: Option<&str>) -> Result<usize, VerifyErrorKind> {
        match &self.keys {
            RingKeys::Lone(key) if key.algorithm() == algorithm => Ok(0),
            RingKeys::Lone(_) => Err(VerifyErrorKind::NoFittingKey),
            RingKeys::Set(set) => set.find(algorithm, key_id).map_err(|no| match no {
                NoFit::None => VerifyErrorKind::NoFittingKey,
                NoFit::Several => VerifyErrorKind::SeveralFittingKeys,
            }),
        }
    }

    fn key(&self, index: usize) -> Option<&VerifyingKey> {
        match &self.keys {
            RingKeys::Lone(key) => Some(key),
            RingKeys::Set(set) => set.key(index),
        }
    }

    /// To be called once the signature is verified.
    pub(super) fn remember(&self, choice: Choice<'_>, segment: &[u8]) -> Arc<VerifiedHeader> {
        if let Some(slot) = self.headers.get(choice.index) {
            slot.get_or_init(|| KnownHeader {
                segment: segment.into(),
                header: Arc::clone(&choice.header),
            });
        }
        choice.header
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.keys {
            RingKeys::Lone(key) => key.fmt(f),
            RingKeys::Set(set) => set.fmt(f),
        }
    }
}
