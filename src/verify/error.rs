//! Why a token is rejected.

use std::error::Error;
use std::fmt;

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "jwks")]
use super::cause::Outage;
use super::cause::{Cause, Expected, KnownKeys, Leeway, Missing, OtherCertificate, Place};
use super::mismatch::Mismatch;
use super::names::Names;
use crate::claims::PayloadError;
#[cfg(feature = "introspection")]
use crate::introspection::PAUSE;
use crate::keys::KeySet;
#[cfg(feature = "introspection")]
use crate::keys::remote::FetchError;
use crate::token::{HeaderFault, ShapeFault};

/// Why a token is rejected. Contains no value of the token.
///
/// Its [source](Error::source) shows the configured value, or names the claim that failed. It is
/// for logs: do not send it to clients.
#[derive(Clone, Debug)]
pub struct VerifyError {
    kind: VerifyErrorKind,
    cause: Option<Cause>,
}

/// The reason for a [`VerifyError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VerifyErrorKind {
    /// Longer than [`Verifier::max_token_length`](super::Verifier::max_token_length).
    TooLong,
    /// Not three segments (RFC 7515 §3.1), or the payload or signature is not strict base64url. Or
    /// an opaque token is not a `b64token` (RFC 6750 §2.1).
    Malformed,
    /// Five segments: a JWE, which this crate does not decrypt.
    Encrypted,

    /// The header is not a JSON object in strict base64url, or lacks `alg`. Or it has a duplicate
    /// member, a member of the wrong type, or nests deeper than 127 levels.
    MalformedHeader,
    /// The header has `crit` (RFC 7515 §4.1.11).
    CriticalHeader,
    /// The header has `b64` (RFC 7797).
    UnencodedPayload,
    /// The header has `zip`.
    Compressed,
    /// The header has `cty: JWT`: a token within a token (RFC 7519 §5.2).
    Nested,
    /// `typ` is not that of an access token, or not the required one (RFC 8725 §3.11). Or the
    /// issuer says that an opaque token is of another kind.
    WrongType,

    /// No key fits the token, for one of these reasons:
    ///
    /// - No key has the token's `alg`, or in a set no key has its `kid` and `alg`. There is never a
    ///   key for `alg: none`.
    /// - The key with its `kid` and `alg` has another `x5t#S256` or `x5t` than the token.
    /// - The token has no `kid`, and no key with its `alg` has its `x5t#S256` or `x5t`. In a set
    ///   without thumbprints, these members are ignored.
    NoFittingKey,
    /// Several keys fit the token, for one of these reasons:
    ///
    /// - They have its `kid` and `alg`.
    /// - The token has no `kid`, and they have its `alg`, and its `x5t#S256` or `x5t`.
    /// - The token has neither `kid` nor thumbprint, and they have its `alg`. In a set without
    ///   thumbprints, those of the token are ignored.
    SeveralFittingKeys,
    /// The member `issuer` of the key's JWK names another issuer than `iss`.
    WrongKeyIssuer,
    /// The issuer's keys cannot be fetched now: an outage, not a fault of the token. The layer's
    /// response is 503, with the kind `unavailable`.
    KeysUnavailable,

    /// The key does not verify the signature.
    BadSignature,

    /// The issuer says that the token is not active (RFC 7662 §2.2): it is unknown, expired or
    /// revoked, or your service must not use it.
    Inactive,
    /// The issuer cannot be asked about the token now, or its answer is malformed: an outage, not a
    /// fault of the token.
    IntrospectionUnavailable,

    /// The payload is not a JSON object. Or it has a duplicate registered claim, one of the wrong
    /// type, or nests deeper than 127 levels.
    MalformedClaims,
    /// `exp` is missing.
    MissingExpiry,
    /// Another required claim is missing. The error's source names it.
    MissingClaim,
    /// `exp` has passed, and the leeway too.
    Expired,
    /// `nbf` is further in the future than the leeway.
    NotYetValid,
    /// `iat` is further in the future than the leeway.
    IssuedInFuture,
    /// `exp` is before `iat`.
    ExpiresBeforeIssued,
    /// `iss` is missing.
    MissingIssuer,
    /// `iss` is not the required issuer.
    WrongIssuer,
    /// `iss` is none of the trusted issuers.
    UnknownIssuer,
    /// `tid` is missing, or is not the tenant in `iss`.
    WrongTenant,
    /// `aud` is missing.
    MissingAudience,
    /// `aud` names none of the required audiences.
    WrongAudience,
    /// The token names an audience, and none is configured (RFC 7519 §4.1.3).
    UnexpectedAudience,
    /// The token has `events`: a logout token.
    LogoutToken,
    /// The token has `cnf` (RFC 7800): it is sender-constrained, not a bearer token.
    /// [`TokenSource::dpop`](crate::TokenSource::dpop) accepts a token that is bound to a key by
    /// `jkt`, and [`JwtAuthLayer::mtls`](crate::JwtAuthLayer::mtls) one that is bound to a
    /// certificate by `x5t#S256`.
    SenderConstrained,
    /// The token is bound to a certificate by `x5t#S256`, and the client has none. See
    /// [`mtls`](crate::mtls).
    MissingCertificate,
    /// The token is bound to another certificate than that of the client (RFC 8705 §3).
    WrongCertificate,
    /// The header `Client-Cert` of a trusted proxy occurs several times, is too long, or is not a
    /// certificate as RFC 9440 §2.1 writes it.
    MalformedCertificate,
    /// The header `Client-Cert` comes from a peer that is not a trusted proxy. The error's source
    /// shows the proxies.
    UntrustedProxy,
    /// The claims do not decode as the type that the handler requests.
    ClaimsMismatch,
}

/// The part of a token that is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The segments.
    Token,
    /// The header.
    Header,
    /// The choice of the key.
    Key,
    /// The signature.
    Signature,
    /// The answer of the issuer about an opaque token.
    Introspection,
    /// The claims.
    Claims,
}

impl VerifyErrorKind {
    /// The part of the token that is at fault.
    #[must_use]
    pub fn stage(self) -> Stage {
        match self {
            Self::TooLong | Self::Malformed | Self::Encrypted => Stage::Token,
            Self::MalformedHeader
            | Self::CriticalHeader
            | Self::UnencodedPayload
            | Self::Compressed
            | Self::Nested
            | Self::WrongType => Stage::Header,
            Self::NoFittingKey
            | Self::SeveralFittingKeys
            | Self::WrongKeyIssuer
            | Self::KeysUnavailable => Stage::Key,
            Self::BadSignature => Stage::Signature,
            Self::Inactive | Self::IntrospectionUnavailable => Stage::Introspection,
            _ => Stage::Claims,
        }
    }

    /// Whether it is an outage, and no fault of the token.
    pub(crate) fn is_outage(self) -> bool {
        matches!(self, Self::KeysUnavailable | Self::IntrospectionUnavailable)
    }

    /// The kind in snake case, for logs and metrics. Do not send it to clients: it would tell an
    /// attacker what to try next.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Encrypted => "encrypted",
            Self::MalformedHeader => "malformed_header",
            Self::CriticalHeader => "critical_header",
            Self::UnencodedPayload => "unencoded_payload",
            Self::Compressed => "compressed",
            Self::Nested => "nested",
            Self::WrongType => "wrong_type",
            Self::NoFittingKey => "no_fitting_key",
            Self::SeveralFittingKeys => "several_fitting_keys",
            Self::WrongKeyIssuer => "wrong_key_issuer",
            Self::KeysUnavailable => "keys_unavailable",
            Self::BadSignature => "bad_signature",
            Self::Inactive => "inactive",
            Self::IntrospectionUnavailable => "introspection_unavailable",
            Self::MalformedClaims => "malformed_claims",
            Self::MissingExpiry => "missing_expiry",
            Self::MissingClaim => "missing_claim",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::ExpiresBeforeIssued => "expires_before_issued",
            Self::MissingIssuer => "missing_issuer",
            Self::WrongIssuer => "wrong_issuer",
            Self::UnknownIssuer => "unknown_issuer",
            Self::WrongTenant => "wrong_tenant",
            Self::MissingAudience => "missing_audience",
            Self::WrongAudience => "wrong_audience",
            Self::UnexpectedAudience => "unexpected_audience",
            Self::LogoutToken => "logout_token",
            Self::SenderConstrained => "sender_constrained",
            Self::MissingCertificate => "missing_certificate",
            Self::WrongCertificate => "wrong_certificate",
            Self::MalformedCertificate => "malformed_certificate",
            Self::UntrustedProxy => "untrusted_proxy",
            Self::ClaimsMismatch => "claims_mismatch",
        }
    }
}

impl Stage {
    /// The stage in lower case, for logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Header => "header",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Introspection => "introspection",
            Self::Claims => "claims",
        }
    }
}

impl VerifyError {
    /// Why the token is rejected.
    #[must_use]
    pub fn kind(&self) -> VerifyErrorKind {
        self.kind
    }

    pub(super) fn malformed_claims(error: &PayloadError) -> Self {
        Self::because(
            VerifyErrorKind::MalformedClaims,
            Cause::Place(Place {
                claim: error.claim,
                line: error.error.line(),
                column: error.error.column(),
            }),
        )
    }

    pub(super) fn mismatch(mismatch: Mismatch) -> Self {
        Self::because(
            VerifyErrorKind::ClaimsMismatch,
            Cause::Mismatch(Arc::new(mismatch)),
        )
    }

    /// `member` has none of the configured values.
    pub(super) fn expected(kind: VerifyErrorKind, member: &'static str, names: Names) -> Self {
        Self::because(kind, Cause::Expected(Expected { member, names }))
    }

    /// `names` is empty if a resolver alone knows the issuers.
    #[cold]
    pub(super) fn unknown_issuer(names: Names) -> Self {
        let kind = VerifyErrorKind::UnknownIssuer;
        if names.is_empty() {
            kind.into()
        } else {
            Self::expected(kind, "iss", names)
        }
    }

    /// None of `keys` matches the token.
    #[cold]
    pub(super) fn no_fitting_key(keys: &KeySet) -> Self {
        let keys = KnownKeys(keys.clone());
        Self::because(VerifyErrorKind::NoFittingKey, Cause::Keys(keys))
    }

    /// The thumbprint of the token is not that of a key.
    #[cold]
    pub(super) fn other_certificate() -> Self {
        Self::because(
            VerifyErrorKind::NoFittingKey,
            Cause::Certificate(OtherCertificate),
        )
    }

    /// A time of the token is wrong by more than `leeway`.
    #[cold]
    pub(super) fn time(kind: VerifyErrorKind, leeway: Duration) -> Self {
        Self::because(kind, Cause::Leeway(Leeway(leeway)))
    }

    /// The peer is none of these proxies.
    #[cold]
    pub(crate) fn untrusted_proxy(proxies: impl IntoIterator<Item = Box<str>>) -> Self {
        let proxies = proxies.into_iter().collect();
        Self::expected(VerifyErrorKind::UntrustedProxy, "peer", proxies)
    }

    pub(super) fn missing(claim: &'static str) -> Self {
        Self::because(
            VerifyErrorKind::MissingClaim,
            Cause::Missing(Missing(claim)),
        )
    }

    fn because(kind: VerifyErrorKind, cause: Cause) -> Self {
        Self {
            kind,
            cause: Some(cause),
        }
    }
}

#[cfg(feature = "jwks")]
impl VerifyError {
    pub(super) fn outage(retry_after: Duration, error: Arc<dyn Error + Send + Sync>) -> Self {
        Self {
            kind: VerifyErrorKind::KeysUnavailable,
            cause: Some(Cause::Outage(Outage { retry_after, error })),
        }
    }

    #[cfg(feature = "introspection")]
    #[cold]
    pub(super) fn introspection_outage(error: FetchError) -> Self {
        let outage = Outage {
            retry_after: PAUSE,
            error: Arc::new(error),
        };
        Self::because(
            VerifyErrorKind::IntrospectionUnavailable,
            Cause::Outage(outage),
        )
    }

    /// When to try again, if the issuer is not available.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match &self.cause {
            Some(Cause::Outage(outage)) => Some(outage.retry_after),
            _ => None,
        }
    }
}

impl From<VerifyErrorKind> for VerifyError {
    fn from(kind: VerifyErrorKind) -> Self {
        Self { kind, cause: None }
    }
}

impl From<ShapeFault> for VerifyError {
    fn from(fault: ShapeFault) -> Self {
        Self::from(match fault {
            ShapeFault::TooLong => VerifyErrorKind::TooLong,
            ShapeFault::Segments => VerifyErrorKind::Malformed,
            ShapeFault::Encrypted => VerifyErrorKind::Encrypted,
        })
    }
}

impl From<HeaderFault> for VerifyError {
    fn from(fault: HeaderFault) -> Self {
        Self::from(match fault {
            HeaderFault::Malformed => VerifyErrorKind::MalformedHeader,
            HeaderFault::Critical => VerifyErrorKind::CriticalHeader,
            HeaderFault::UnencodedPayload => VerifyErrorKind::UnencodedPayload,
            HeaderFault::Compressed => VerifyErrorKind::Compressed,
            HeaderFault::Nested => VerifyErrorKind::Nested,
        })
    }
}

impl fmt::Display for VerifyErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the token is too long",
            Self::Malformed => {
                "the token is neither three segments of base64url nor a valid opaque token"
            }
            Self::Encrypted => "the token is encrypted",
            Self::MalformedHeader => "the header is malformed",
            Self::CriticalHeader => "the header has crit",
            Self::UnencodedPayload => "the header has b64",
            Self::Compressed => "the header has zip",
            Self::Nested => "the token holds another token",
            Self::WrongType => "the typ of the token is not the required one",
            Self::NoFittingKey => "no key has the token's alg, and its kid or thumbprint",
            Self::SeveralFittingKeys => "several keys match the token's alg (and kid, if any)",
            Self::WrongKeyIssuer => "the key belongs to another issuer than iss",
            Self::KeysUnavailable => "the issuer's keys are not available",
            Self::BadSignature => "the signature does not verify",
            Self::Inactive => "the issuer says that the token is not active",
            Self::IntrospectionUnavailable => "the issuer cannot be asked about the token",
            Self::MalformedClaims => "the claims are malformed",
            Self::MissingExpiry => "exp is missing",
            Self::MissingClaim => "a required claim is missing",
            Self::Expired => "exp has passed",
            Self::NotYetValid => "nbf lies in the future",
            Self::IssuedInFuture => "iat lies in the future",
            Self::ExpiresBeforeIssued => "exp lies before iat",
            Self::MissingIssuer => "iss is missing",
            Self::WrongIssuer => "iss is not the required one",
            Self::UnknownIssuer => "iss is none of the trusted issuers",
            Self::WrongTenant => "tid is missing, or is not the tenant in iss",
            Self::MissingAudience => "aud is missing",
            Self::WrongAudience => "aud names none of the required audiences",
            Self::UnexpectedAudience => {
                "the token has an aud, and no audience is configured: call `audience`"
            }
            Self::LogoutToken => "the token is a logout token",
            Self::SenderConstrained => "the token is sender-constrained: it has cnf",
            Self::MissingCertificate => "the client has no certificate",
            Self::WrongCertificate => "the token is bound to another certificate",
            Self::MalformedCertificate => "the header Client-Cert is malformed",
            Self::UntrustedProxy => "the header Client-Cert comes from no trusted proxy",
            Self::ClaimsMismatch => "the claims do not decode as the requested type",
        })
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl Error for VerifyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(Cause::error)
    }
}
