//! The trust in the issuer of one token.

use std::ops::Deref;
#[cfg(feature = "jwks")]
use std::sync::Arc;

#[cfg(feature = "jwks")]
use super::resolved::ApprovedIssuer;
use super::trusted_issuer::IssuerTrust;

/// The trust in the issuer of one token.
pub(super) enum FoundTrust<'a> {
    Configured(&'a IssuerTrust),
    #[cfg(feature = "jwks")]
    Resolved(Arc<ApprovedIssuer>),
}

impl FoundTrust<'_> {
    /// The number of the resolver's answer. 0 if the issuer is configured.
    #[inline]
    pub(super) fn answer(&self) -> u64 {
        match self {
            Self::Configured(_) => 0,
            #[cfg(feature = "jwks")]
            Self::Resolved(approved) => approved.number(),
        }
    }
}

impl Deref for FoundTrust<'_> {
    type Target = IssuerTrust;

    #[inline]
    fn deref(&self) -> &IssuerTrust {
        match self {
            Self::Configured(trust) => trust,
            #[cfg(feature = "jwks")]
            Self::Resolved(approved) => approved.trust(),
        }
    }
}
