//! Why a token is not verified, or not yet.

use super::error::VerifyError;
#[cfg(feature = "jwks")]
use super::error::VerifyErrorKind;
#[cfg(feature = "jwks")]
use super::remote::KeyFetch;
#[cfg(feature = "jwks")]
use super::resolved::{IssuerRequest, Unresolved};
#[cfg(feature = "introspection")]
use crate::introspection::Question;

/// Why a token is not verified, or not yet.
pub(crate) enum NotVerified {
    Rejected(VerifyError),
    /// Keys have to be fetched first, or the issuer has to be resolved.
    #[cfg(feature = "jwks")]
    KeysRequired(KeyRequest),
    /// The token's issuer has to be asked first.
    #[cfg(feature = "introspection")]
    Unanswered(Question),
}

impl NotVerified {
    /// The error for a caller that does not wait.
    pub(super) fn error(self) -> VerifyError {
        match self {
            Self::Rejected(error) => error,
            #[cfg(feature = "jwks")]
            Self::KeysRequired(request) => request.error(),
            #[cfg(feature = "introspection")]
            Self::Unanswered(_) => VerifyErrorKind::IntrospectionUnavailable.into(),
        }
    }

    /// A token with a wrong issuer or malformed claims causes no fetch. It is rejected for these
    /// claims, although no signature was verified.
    pub(super) fn unless_rejected_by(self, issuer_check: &Result<(), VerifyError>) -> Self {
        match (self, issuer_check) {
            #[cfg(feature = "jwks")]
            (Self::KeysRequired(_), Err(error)) => Self::Rejected(error.clone()),
            (other, _) => other,
        }
    }
}

impl<E: Into<VerifyError>> From<E> for NotVerified {
    fn from(error: E) -> Self {
        Self::Rejected(error.into())
    }
}

/// What a token needs before it can be verified.
#[cfg(feature = "jwks")]
pub(crate) enum KeyRequest {
    Fetch(KeyFetch),
    /// The keys of an issuer that is known only at run time.
    Issuer(IssuerRequest),
}

#[cfg(feature = "jwks")]
impl KeyRequest {
    /// The error for a caller that does not wait.
    fn error(self) -> VerifyError {
        match self {
            Self::Fetch(fetch) => fetch.error(),
            Self::Issuer(_) => VerifyErrorKind::KeysUnavailable.into(),
        }
    }

    pub(super) async fn wait(self) -> Result<(), VerifyError> {
        match self {
            Self::Fetch(fetch) => fetch.wait().await,
            Self::Issuer(request) => request.wait().await,
        }
    }
}

#[cfg(feature = "jwks")]
impl From<KeyFetch> for NotVerified {
    fn from(fetch: KeyFetch) -> Self {
        Self::KeysRequired(KeyRequest::Fetch(fetch))
    }
}

#[cfg(feature = "jwks")]
impl From<Unresolved> for NotVerified {
    fn from(unresolved: Unresolved) -> Self {
        match unresolved {
            Unresolved::Pending(request) => Self::KeysRequired(KeyRequest::Issuer(request)),
            Unresolved::Failed(error) => Self::Rejected(error),
        }
    }
}
