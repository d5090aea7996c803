//! What authentication leaves in the extensions of a request.

use http::{Extensions, Request};

use super::caching::CacheDirective;
use super::error::{AuthError, AuthErrorKind};
use crate::verify::VerifiedToken;

/// The layer let a request without a token pass.
#[derive(Clone, Copy)]
struct Anonymous;

/// The token that the nearest layer verified, or `None` if it let the request pass without one.
pub(crate) fn token_of(extensions: &Extensions) -> Result<Option<&VerifiedToken>, AuthError> {
    match extensions.get() {
        Some(token) => Ok(Some(token)),
        None if extensions.get::<Anonymous>().is_some() => Ok(None),
        None => Err(AuthErrorKind::MissingLayer.into()),
    }
}

/// The outcome of authentication.
pub(super) struct Authenticated {
    /// `None` if a token is optional and the request has none.
    pub(super) token: Option<VerifiedToken>,
    pub(super) caching: CacheDirective,
}

impl Authenticated {
    /// Leaves the token in the extensions. The nearest layer decides: it removes the token of an
    /// outer one.
    pub(super) fn insert_into<B>(self, request: &mut Request<B>) {
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
