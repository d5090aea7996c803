//! Who sent a request, and how those further in learn of it.

use http::{Extensions, Request};

use super::caching::Sharing;
use super::rejection::{AuthError, AuthErrorKind};
use crate::verify::VerifiedToken;

/// The layer lets requests without a token pass, and this one had none.
#[derive(Clone, Copy)]
struct Anonymous;

/// The token that the nearest layer verified, or `None` where it let the request pass without one.
pub(crate) fn token_of(extensions: &Extensions) -> Result<Option<&VerifiedToken>, AuthError> {
    match extensions.get() {
        Some(token) => Ok(Some(token)),
        None if extensions.get::<Anonymous>().is_some() => Ok(None),
        None => Err(AuthErrorKind::MissingLayer.into()),
    }
}

/// Who sent a request.
pub(super) struct Sender {
    /// `None` where a token is optional, and there is none.
    pub(super) token: Option<VerifiedToken>,
    pub(super) sharing: Sharing,
}

impl Sender {
    /// Leaves the token in the extensions. What an outer layer left there does not count: the nearest layer decides.
    pub(super) fn mark<B>(self, request: &mut Request<B>) {
        match self.token {
            Some(token) => {
                request.extensions_mut().insert(token);
            }
            None => {
                request.extensions_mut().remove::<VerifiedToken>();
                request.extensions_mut().insert(Anonymous);
            }
        }
    }
}
