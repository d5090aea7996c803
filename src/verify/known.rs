//! The verifier's side of the [cache](crate::cache): which tokens are kept, and for which keys.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::Verifier;
use super::ring::Epoch;
use super::token::VerifiedToken;
use super::trust::Anchors;
use crate::cache::{Copyable, Probe, TokenCache};
use crate::keys::Algorithm;

/// The tokens that a verifier knows. Clones share them.
#[derive(Clone)]
pub(super) struct KnownTokens {
    scope: Scope,
    bytes: usize,
    /// Made with the first token: a chain of builder calls goes through many of these.
    cache: Arc<OnceLock<TokenCache<Known>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Nothing,
    /// Tokens that are signed with a private key.
    Asymmetric,
    All,
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
    pub(super) fn by_default(anchors: &Anchors) -> Self {
        if anchors.have_public_keys() {
            Self::new(Scope::Asymmetric, Verifier::DEFAULT_CACHE)
        } else {
            Self::none()
        }
    }

    pub(super) fn all(bytes: usize) -> Self {
        match bytes {
            0 => Self::none(),
            _ => Self::new(Scope::All, bytes),
        }
    }

    pub(super) fn none() -> Self {
        Self::new(Scope::Nothing, 0)
    }

    fn new(scope: Scope, bytes: usize) -> Self {
        Self {
            scope,
            bytes,
            cache: Arc::default(),
        }
    }

    /// The same settings, and no token.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.scope, self.bytes)
    }

    /// `None` if it is not kept in any case.
    #[inline]
    pub(super) fn place_of<'a>(&'a self, token: &'a [u8]) -> Option<Place<'a>> {
        if self.scope == Scope::Nothing {
            return None;
        }
        let cache = self.cache.get_or_init(|| TokenCache::new(self.bytes));
        let probe = cache.probe(token)?;
        Some(Place { cache, probe })
    }

    pub(super) fn takes(&self, algorithm: Algorithm) -> bool {
        match self.scope {
            Scope::Nothing => false,
            Scope::Asymmetric => algorithm.is_asymmetric(),
            Scope::All => true,
        }
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
            .field("scope", &self.scope)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
