//! The codes of errors for clients.

use http::StatusCode;

use super::error::AuthError;
use super::error_kind::AuthErrorKind;
use crate::dpop::DpopErrorKind;
use crate::session::SessionErrorKind;

impl AuthError {
    /// The error code for clients. It is stable: a client may compare it.
    ///
    /// | code | status | defined by | what the client should do |
    /// | --- | --- | --- | --- |
    /// | `invalid_token` | 401 | RFC 6750 §3.1 | get a new access token |
    /// | `invalid_dpop_proof` | 401; 400 at login and refresh | RFC 9449 §5, §7.1 | make a correct proof of its key |
    /// | `use_dpop_nonce` | 401; 400 at login and refresh | RFC 9449 §8, §9 | retry with the nonce of the response |
    /// | `missing_token`, `missing_refresh_token` | 401 | this crate | log in |
    /// | `invalid_grant` | 401; 400 if the refresh token is in a form | RFC 6749 §5.2 | log in again; if a step-up ran at the same time, first retry with the tokens that it returned |
    /// | `insufficient_user_authentication` | 401 | RFC 9470 §3 | log in again, as [`acr_values`](Self::acr_values) and [`max_age`](Self::max_age) say |
    /// | `insufficient_scope` | 403 | RFC 6750 §3.1 | ask for the [scopes](Self::scope) |
    /// | `cross_site` | 403 | this crate | call from a [trusted origin](super::csrf) |
    /// | `access_denied` | 403 | RFC 6749 §4.1.2.1 | use a session's token, no impersonation's |
    /// | `too_many_sessions` | 409 | this crate | end a session, then log in again |
    /// | `invalid_request` | 400 | RFC 6750 §3.1, RFC 6749 §5.2 | correct the request |
    /// | `unsupported_grant_type` | 400 | RFC 6749 §5.2 | correct the request |
    /// | `method_not_allowed` | 405 | this crate | send `POST` |
    /// | `too_many_requests` | 429 | this crate | retry, as `Retry-After` says |
    /// | `temporarily_unavailable` | 503 | RFC 6749 §4.1.2.1 | retry, as `Retry-After` says |
    /// | `server_error` | 500 | RFC 6749 §4.1.2.1 | report it |
    ///
    /// `WWW-Authenticate` has only codes of RFC 6750, RFC 9449 and RFC 9470. So a request without a
    /// token gets a challenge without a code (RFC 6750 §3.1).
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind() {
            AuthErrorKind::InvalidToken(_)
            | AuthErrorKind::MissingTokenId
            | AuthErrorKind::Revoked => "invalid_token",
            AuthErrorKind::InvalidProof(kind) => match kind {
                DpopErrorKind::WrongKey | DpopErrorKind::UnboundToken => "invalid_token",
                DpopErrorKind::TooMany => "too_many_requests",
                kind => proof_code(kind),
            },
            AuthErrorKind::MissingToken => "missing_token",
            AuthErrorKind::MissingRefreshToken => "missing_refresh_token",
            AuthErrorKind::InsufficientScope => "insufficient_scope",
            AuthErrorKind::InsufficientUserAuthentication => "insufficient_user_authentication",
            AuthErrorKind::CrossSite => "cross_site",
            AuthErrorKind::MalformedCredentials
            | AuthErrorKind::SeveralTokens
            | AuthErrorKind::SeveralRefreshTokens
            | AuthErrorKind::MalformedBody => "invalid_request",
            AuthErrorKind::UnsupportedGrantType => "unsupported_grant_type",
            AuthErrorKind::MethodNotAllowed => "method_not_allowed",
            AuthErrorKind::Unavailable => "temporarily_unavailable",
            AuthErrorKind::MissingLayer | AuthErrorKind::Misconfigured => "server_error",
            AuthErrorKind::Session(SessionErrorKind::InvalidProof(kind))
                if self.status() == StatusCode::BAD_REQUEST =>
            {
                proof_code(kind)
            }
            AuthErrorKind::Session(_) => match self.status() {
                StatusCode::UNAUTHORIZED => "invalid_grant",
                StatusCode::TOO_MANY_REQUESTS => "too_many_requests",
                StatusCode::FORBIDDEN => "access_denied",
                StatusCode::CONFLICT => "too_many_sessions",
                StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
                _ => "server_error",
            },
        }
    }

    /// The code for a challenge (RFC 6750 §3.1, RFC 9449 §7.1, RFC 9470 §3).
    pub(super) fn challenge_code(&self) -> Option<&'static str> {
        match self.kind() {
            AuthErrorKind::InvalidProof(DpopErrorKind::TooMany) => None,
            AuthErrorKind::InvalidToken(_)
            | AuthErrorKind::InvalidProof(_)
            | AuthErrorKind::MissingTokenId
            | AuthErrorKind::Revoked
            | AuthErrorKind::InsufficientScope
            | AuthErrorKind::InsufficientUserAuthentication
            | AuthErrorKind::MalformedCredentials
            | AuthErrorKind::SeveralTokens => Some(self.code()),
            _ => None,
        }
    }

    /// The code for a form (RFC 6749 §5.2).
    #[cfg(feature = "axum")]
    pub(crate) fn form_code(&self) -> Option<&'static str> {
        let is_fault_of_client = matches!(
            self.status(),
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED
        );
        is_fault_of_client.then(|| self.code())
    }
}

/// The code for a proof that a better one may replace (RFC 9449 §5, §7.1, §8).
fn proof_code(kind: DpopErrorKind) -> &'static str {
    match kind {
        DpopErrorKind::MissingNonce | DpopErrorKind::StaleNonce => "use_dpop_nonce",
        _ => "invalid_dpop_proof",
    }
}
