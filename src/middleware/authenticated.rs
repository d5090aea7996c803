//! What authentication leaves in the extensions of a request.

use http::{Extensions, Request};

use super::caching::CacheDirective;
use super::error::AuthError;
use super::error_kind::AuthErrorKind;
use super::proof::{remember, remember_now};
use super::scheme::Scheme;
use super::token_fault::TokenFaults;
use crate::dpop::CheckedProof;
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
    /// The faults with which the token counts as missing. Empty for most requests.
    pub(super) ignorable: TokenFaults,
    /// Why the request's token counts as missing.
    pub(super) ignored: Option<Box<AuthError>>,
    /// The proof of the token, if its source needs one.
    pub(super) proof: Option<Box<CheckedProof>>,
}

impl Authenticated {
    /// How the client sent its token.
    pub(super) fn scheme(&self) -> Scheme {
        match self.proof {
            Some(_) => Scheme::Dpop,
            None => Scheme::Bearer,
        }
    }

    /// Remembers the proof, as the last step. `None` if the replay store has to be awaited.
    #[inline]
    pub(super) fn remember_proof_now(&self) -> Option<Result<(), AuthError>> {
        match (&self.proof, &self.token) {
            (Some(proof), Some(token)) => remember_now(proof, token),
            _ => Some(Ok(())),
        }
    }

    /// Remembers the proof, and waits if that is needed.
    pub(super) async fn remember_proof(self) -> Result<Self, AuthError> {
        if let (Some(proof), Some(token)) = (&self.proof, &self.token) {
            let remembered = remember(proof, token).await;
            remembered.map_err(|error| error.under(self.scheme()))?;
        }
        Ok(self)
    }

    /// An anonymous request, if its token is rejected for one of the `ignorable` faults.
    pub(super) fn despite(error: AuthError, ignorable: TokenFaults) -> Result<Self, AuthError> {
        if !ignorable.include(&error) {
            return Err(error);
        }
        report(&error);
        Ok(Self {
            token: None,
            caching: CacheDirective::NotStored,
            ignorable: TokenFaults::NONE,
            ignored: Some(Box::new(error)),
            proof: None,
        })
    }

    /// The same, once the revocation store has answered.
    pub(super) fn after(self, look_up: Result<(), AuthError>) -> Result<Self, AuthError> {
        match look_up {
            Ok(()) => Ok(self),
            Err(error) => Self::despite(error.under(self.scheme()), self.ignorable),
        }
    }

    /// Leaves the outcome in the extensions. The nearest layer decides: nothing of an outer one
    /// stays.
    pub(super) fn insert_into<B>(self, request: &mut Request<B>) {
        let extensions = request.extensions_mut();
        extensions.remove::<AuthError>();
        match self.token {
            Some(token) => {
                extensions.insert(token);
            }
            None => {
                extensions.remove::<VerifiedToken>();
                extensions.insert(Anonymous);
                if let Some(reason) = self.ignored {
                    extensions.insert(*reason);
                }
            }
        }
    }
}

#[cfg(feature = "tracing")]
fn report(error: &AuthError) {
    let kind = error.kind().name();
    tracing::debug!(
        kind,
        "a token is ignored, the request is anonymous: {error}"
    );
}

#[cfg(not(feature = "tracing"))]
fn report(_: &AuthError) {}
