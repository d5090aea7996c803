//! The verifier's side of the [cache](crate::cache): which tokens are kept, and for which keys.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::ring::Epoch;
use super::token::VerifiedToken;
use crate::cache::{Copyable, Probe, TokenCache};

/// The tokens that a verifier knows. Clones share them.
#[derive(Clone)]
pub(super) struct KnownTokens {
    /// None are kept if it is 0.
    bytes: usize,
    /// Made with the first token: a chain of builder calls goes through many of these.
    cache: Arc<OnceLock<TokenCache<Known>>>,
}

#[derive(Clone)]
pub(super) struct Known {
    pub(super) token: VerifiedToken,
    /// Of the keys it was verified with.
    pub(super) epoch: Epoch,
}

impl Copyable for Known {
    fn apart(&self) -> Self {
        Self {
            token: self.token.apart(),
            epoch: self.epoch,
        }
    }
}

/// Where a token is, or would be.
pub(super) struct Place<'a> {
    cache: &'a TokenCache<Known>,
    probe: Probe<'a>,
}

impl KnownTokens {
    pub(super) fn within(bytes: usize) -> Self {
        Self {
            bytes,
            cache: Arc::default(),
        }
    }

    /// The same settings, and no token.
    pub(super) fn anew(&self) -> Self {
        Self::within(self.bytes)
    }

    /// `None` if it is not kept, whatever comes of it.
    #[inline]
    pub(super) fn place_of<'a>(&'a self, token: &'a [u8]) -> Option<Place<'a>> {
        if self.bytes == 0 {
            return None;
        }
        let cache = self.cache.get_or_init(|| TokenCache::new(self.bytes));
        let probe = cache.probe(token)?;
        Some(Place { cache, probe })
    }
}

impl Place<'_> {
    #[inline]
    pub(super) fn find(&self) -> Option<Known> {
        self.cache.find(self.probe)
    }

    pub(super) fn keep(&self, token: &VerifiedToken, epoch: Epoch) {
        let known = Known {
            token: token.clone(),
            epoch,
        };
        self.cache.keep(self.probe, known, token.size());
    }
}

impl fmt::Debug for KnownTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownTokens")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
