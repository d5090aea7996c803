//! Errors of ID tokens and logout tokens.

use std::error::Error;
use std::fmt;

use crate::verify::{VerifyError, VerifyErrorKind};

/// Why an ID token, a logout token or an authorization response is rejected. Holds no part of a
/// token.
#[derive(Clone, Debug)]
pub struct OpenIdError {
    kind: OpenIdErrorKind,
    source: Option<VerifyError>,
}

/// The reason for an [`OpenIdError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpenIdErrorKind {
    /// The token fails one of the checks that apply to [all tokens](crate::verify).
    /// [`VerifyErrorKind::KeysUnavailable`] is an outage: the token may be valid.
    Token(VerifyErrorKind),
    /// `sub` is missing or empty.
    MissingSubject,
    /// `iat` is missing.
    MissingIssuedAt,

    /// The authorization response has no `iss`, although the provider announced it (RFC 9207).
    MissingResponseIssuer,
    /// `iss` of the authorization response names another provider (RFC 9207).
    WrongResponseIssuer,

    /// The ID token has no `nonce`, although the login was begun with one.
    MissingNonce,
    /// The ID token has a `nonce`, although the login was begun without one.
    UnexpectedNonce,
    /// The `nonce` is not the one of this login: the token belongs to another login.
    WrongNonce,
    /// `aud` has a value that is neither the client ID nor an
    /// [additional audience](super::IdTokenVerifier::additional_audience) (OpenID Connect Core 1.0
    /// §3.1.3.7).
    UntrustedAudience,
    /// `azp` is missing although `aud` has several values.
    MissingAuthorizedParty,
    /// `azp` is neither the client ID nor an
    /// [authorized party](super::IdTokenVerifier::authorized_party).
    WrongAuthorizedParty,
    /// `auth_time` is missing although a [`max_age`](super::IdTokenVerifier::max_age) is set.
    MissingAuthenticationTime,
    /// The user authenticated longer ago than [`max_age`](super::IdTokenVerifier::max_age), or in
    /// the future.
    AuthenticationTooOld,

    /// `events` does not have the logout event.
    MissingLogoutEvent,
    /// The logout token has a `nonce`, so it could be mistaken for an ID token.
    NonceInLogoutToken,
    /// The logout token has no `jti`, or an empty one.
    MissingTokenId,
    /// The logout token has neither `sub` nor `sid`, or one of them is empty.
    MissingSubjectAndSession,
    /// The logout token is older than [`max_age`](super::LogoutTokenVerifier::max_age).
    IssuedTooLongAgo,
}

impl OpenIdError {
    /// The reason for this error.
    #[must_use]
    pub fn kind(&self) -> OpenIdErrorKind {
        self.kind
    }

    /// Whether the issuer's keys are unavailable. The token may be valid: retry later.
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
            Self::MissingSubject => "sub is missing or empty",
            Self::MissingIssuedAt => "iat is missing",
            Self::MissingResponseIssuer => "iss of the authorization response is missing",
            Self::WrongResponseIssuer => {
                "iss of the authorization response is not the configured provider"
            }
            Self::MissingNonce => "nonce is missing",
            Self::UnexpectedNonce => "the token has a nonce, but the login was begun without one",
            Self::WrongNonce => "nonce is not the one of this login",
            Self::UntrustedAudience => {
                "aud has a value that is not the client ID or a configured additional audience"
            }
            Self::MissingAuthorizedParty => "azp is missing although aud has several values",
            Self::WrongAuthorizedParty => {
                "azp is not the client ID or a configured authorized party"
            }
            Self::MissingAuthenticationTime => {
                "auth_time is missing although max_age is configured"
            }
            Self::AuthenticationTooOld => {
                "the authentication is older than the configured max_age, or in the future"
            }
            Self::MissingLogoutEvent => "events does not have the logout event",
            Self::NonceInLogoutToken => "a logout token must not have a nonce",
            Self::MissingTokenId => "jti is missing or empty",
            Self::MissingSubjectAndSession => "sub and sid are missing, or one of them is empty",
            Self::IssuedTooLongAgo => "the logout token is older than the configured max_age",
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
