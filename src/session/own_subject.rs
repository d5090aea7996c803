//! The subjects that a service may act on.

use std::fmt;
use std::sync::Arc;

/// A subject of the issuer that [`Sessions`](super::Sessions) act for.
///
/// Every method that names a subject takes one, so a token of another issuer cannot name a subject
/// of yours. `sub` means something only together with `iss` (RFC 7519 §4.1.2): the `u1` of a
/// partner is not your `u1`.
///
/// | you have | call |
/// | --- | --- |
/// | the [`VerifiedToken`](crate::VerifiedToken) of a request | [`Sessions::subject_of`](super::Sessions::subject_of), which refuses tokens of others |
/// | the key of an account: at a login, in an administrator's tool | [`Sessions::subject_named`](super::Sessions::subject_named) |
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OwnSubject {
    pub(super) issuer: Option<Arc<str>>,
    name: Box<str>,
}

impl OwnSubject {
    pub(super) fn new(issuer: Option<Arc<str>>, name: Box<str>) -> Self {
        Self { issuer, name }
    }

    /// `sub` of its tokens.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Shows no claim.
impl fmt::Debug for OwnSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnSubject").finish_non_exhaustive()
    }
}
