//! The reasons for a rejection.

use std::fmt;

use crate::dpop::DpopErrorKind;
use crate::session::SessionErrorKind;
use crate::verify::VerifyErrorKind;

/// The reason for an [`AuthError`](super::AuthError).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthErrorKind {
    /// No source has a token: 401. The error's source says where the layer looked.
    MissingToken,
    /// `Authorization: Bearer` or `DPoP` is not followed by a `b64token` (RFC 6750 §2.1): 400.
    MalformedCredentials,
    /// One source has more than one token: 400.
    SeveralTokens,
    /// The token is invalid: 401.
    InvalidToken(VerifyErrorKind),
    /// The token has no `jti`, so it cannot be revoked individually: 401.
    MissingTokenId,
    /// The token was revoked: 401.
    Revoked,
    /// The DPoP proof of the request is missing or wrong: 401, or 429 for
    /// [`DpopErrorKind::TooMany`].
    InvalidProof(DpopErrorKind),
    /// The request comes from an origin that you do not trust (see [`csrf`](super::csrf)): 403.
    CrossSite,
    /// The token lacks what a [guard](crate::guard) requires: 403.
    InsufficientScope,
    /// A [guard](crate::guard) requires a newer login of the user, or one at another authentication
    /// level: 401 (RFC 9470).
    InsufficientUserAuthentication,
    /// The revocation store, the replay store, a guard's condition, an issuer or an
    /// `IssuerResolver` failed or did not answer in time: 503. The error's source says why.
    Unavailable,
    /// A handler or a guard needs the token, but no [`JwtAuthLayer`](super::JwtAuthLayer) is around
    /// it: 500.
    MissingLayer,
    /// The service is misconfigured: 500. No token can satisfy a `Permission`, or a cookie cannot
    /// be built. Or [`Mtls::behind_proxies`](crate::mtls::Mtls::behind_proxies) finds no address of
    /// the peer. The error's source says why.
    Misconfigured,
    /// A request for a refresh has no refresh token: 401. If `SessionRoutes` has cookies, the
    /// error's source names the cookie that was searched.
    MissingRefreshToken,
    /// A request for a refresh has different refresh tokens in cookies of one name: 400.
    ///
    /// The browser may still have an older cookie, from before you set a `Domain`, a `Path` or
    /// `Partitioned`. Or another host of the domain has set one. If you added a `Domain`, a new
    /// login deletes the older cookie. In the other cases, change the name of the cookie.
    SeveralRefreshTokens,
    /// The body of a refresh or a logout is malformed: 400.
    MalformedBody,
    /// The body of a refresh or a logout has a `grant_type` other than `refresh_token`: 400.
    UnsupportedGrantType,
    /// The method of a refresh or a logout is not `POST`: 405.
    MethodNotAllowed,
    /// A login, a refresh or a logout failed: 400, 401, 403, 409, 429, 500 or 503.
    Session(SessionErrorKind),
}

impl AuthErrorKind {
    /// The kind in snake case, for logs and metrics. For an error of a token, a proof or a
    /// session, this is the name of its [`VerifyErrorKind`], [`DpopErrorKind`] or
    /// [`SessionErrorKind`].
    ///
    /// Do not send it to clients: it would tell an attacker what to try next. Use
    /// [`AuthError::code`](super::AuthError::code).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::MalformedCredentials => "malformed_credentials",
            Self::SeveralTokens => "several_tokens",
            Self::InvalidToken(kind) => kind.name(),
            Self::MissingTokenId => "missing_token_id",
            Self::Revoked => "revoked",
            Self::InvalidProof(kind) => kind.name(),
            Self::CrossSite => "cross_site",
            Self::InsufficientScope => "insufficient_scope",
            Self::InsufficientUserAuthentication => "insufficient_user_authentication",
            Self::Unavailable => "unavailable",
            Self::MissingLayer => "missing_layer",
            Self::Misconfigured => "misconfigured",
            Self::MissingRefreshToken => "missing_refresh_token",
            Self::SeveralRefreshTokens => "several_refresh_tokens",
            Self::MalformedBody => "malformed_body",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Session(kind) => kind.name(),
        }
    }
}

impl fmt::Display for AuthErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
