//! Why an ID token or a logout token is refused.

use std::error::Error;
use std::fmt;

use crate::verify::{VerifyError, VerifyErrorKind};

/// Why an ID token or a logout token is refused. Holds nothing of the token.
#[derive(Clone, Debug)]
pub struct OpenIdError {
    kind: OpenIdErrorKind,
    source: Option<VerifyError>,
}

/// The reason for an [`OpenIdError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpenIdErrorKind {
    /// What every token is refused for. [`VerifyErrorKind::KeysUnavailable`] is an outage, and no fault of the token.
    Token(VerifyErrorKind),
    /// `sub` is missing or empty.
    MissingSubject,
    /// `iat` is missing.
    MissingIssuedAt,

    /// The authorization response has no `iss`, although the provider announced it (RFC 9207).
    MissingResponseIssuer,
    /// `iss` of the authorization response names another provider (RFC 9207).
    WrongResponseIssuer,

    /// The ID token has no `nonce`, and one was sent.
    MissingNonce,
    /// The ID token has a `nonce`, and none was sent.
    UnexpectedNonce,
    /// The `nonce` is not the one that was sent: the token was made for another login.
    WrongNonce,
    /// `aud` names somebody else besides the client (OpenID Connect Core 1.0 §3.1.3.7).
    UntrustedAudience,
    /// `azp` is missing where `aud` names several.
    MissingAuthorizedParty,
    /// `azp` is not the client.
    WrongAuthorizedParty,
    /// `auth_time` is missing, and a [`max_age`](super::IdTokenVerifier::max_age) is required.
    MissingAuthenticationTime,
    /// The person authenticated longer ago than [`max_age`](super::IdTokenVerifier::max_age), or in the future.
    AuthenticationTooOld,

    /// `events` does not say that it is a logout token.
    MissingLogoutEvent,
    /// A logout token has no `nonce`: it could pass for an ID token.
    NonceInLogoutToken,
    /// The logout token has no `jti`.
    MissingTokenId,
    /// The logout token has neither `sub` nor `sid`.
    MissingSubjectAndSession,
    /// The logout token was issued too long ago.
    IssuedTooLongAgo,
}

impl OpenIdError {
    /// Why the token is refused.
    #[must_use]
    pub fn kind(&self) -> OpenIdErrorKind {
        self.kind
    }

    /// Whether the issuer's keys are not there, which is no fault of the token.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        self.kind == OpenIdErrorKind::Token(VerifyErrorKind::KeysUnavailable)
    }
}

impl OpenIdErrorKind {
    /// The kind in snake case, for logs and metrics. Not for clients.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Token(kind) => kind.name(),
            Self::MissingSubject => "missing_subject",
            Self::MissingIssuedAt => "missing_issued_at",
            Self::MissingResponseIssuer => "missing_response_issuer",
            Self::WrongResponseIssuer => "wrong_response_issuer",
            Self::MissingNonce => "missing_nonce",
            Self::UnexpectedNonce => "unexpected_nonce",
            Self::WrongNonce => "wrong_nonce",
            Self::UntrustedAudience => "untrusted_audience",
            Self::MissingAuthorizedParty => "missing_authorized_party",
            Self::WrongAuthorizedParty => "wrong_authorized_party",
            Self::MissingAuthenticationTime => "missing_authentication_time",
            Self::AuthenticationTooOld => "authentication_too_old",
            Self::MissingLogoutEvent => "missing_logout_event",
            Self::NonceInLogoutToken => "nonce_in_logout_token",
            Self::MissingTokenId => "missing_token_id",
            Self::MissingSubjectAndSession => "missing_subject_and_session",
            Self::IssuedTooLongAgo => "issued_too_long_ago",
        }
    }
}

impl From<OpenIdErrorKind> for OpenIdError {
    fn from(kind: OpenIdErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<VerifyError> for OpenIdError {
    fn from(error: VerifyError) -> Self {
        Self {
            kind: OpenIdErrorKind::Token(error.kind()),
            source: Some(error),
        }
    }
}

impl fmt::Display for OpenIdErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(kind) => return kind.fmt(f),
            Self::MissingSubject => "sub is missing",
            Self::MissingIssuedAt => "iat is missing",
            Self::MissingResponseIssuer => "iss of the authorization response is missing",
            Self::WrongResponseIssuer => "iss of the authorization response is not the provider",
            Self::MissingNonce => "nonce is missing",
            Self::UnexpectedNonce => "the token has a nonce, and none was sent",
            Self::WrongNonce => "nonce is not the one that was sent",
            Self::UntrustedAudience => "aud names somebody else too",
            Self::MissingAuthorizedParty => "azp is missing, and aud names several",
            Self::WrongAuthorizedParty => "azp is not the client",
            Self::MissingAuthenticationTime => "auth_time is missing",
            Self::AuthenticationTooOld => "the authentication is too old",
            Self::MissingLogoutEvent => "events does not tell of a logout",
            Self::NonceInLogoutToken => "a logout token has no nonce",
            Self::MissingTokenId => "jti is missing",
            Self::MissingSubjectAndSession => "both sub and sid are missing",
            Self::IssuedTooLongAgo => "the token was issued too long ago",
        })
    }
}

impl fmt::Display for OpenIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl Error for OpenIdError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
