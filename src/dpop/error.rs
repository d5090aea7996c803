//! Why a proof is rejected.

use std::fmt;

/// Why the DPoP proof of a request, a login or a refresh is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DpopErrorKind {
    /// The request has no header `DPoP`.
    MissingProof,
    /// The request has several headers `DPoP`.
    SeveralProofs,
    /// The proof is longer than 4 KiB.
    TooLong,
    /// The proof is no JWS in compact serialization. Or its header or claims are not a JSON object,
    /// lack a required member, or have a duplicate member or one of the wrong type.
    Malformed,
    /// The header has `crit`, `b64`, `zip` or `cty: JWT`.
    UnsupportedHeader,
    /// `typ` is not `dpop+jwt`.
    WrongType,
    /// `alg` is `none`, symmetric, unknown, or not one of
    /// [`Dpop::algorithms`](super::Dpop::algorithms).
    UnsupportedAlgorithm,
    /// `jwk` has private members.
    PrivateKey,
    /// `jwk` is no key for `alg`, or is too weak.
    InvalidKey,
    /// The token is bound to another key.
    WrongKey,
    /// The key does not verify the signature.
    BadSignature,
    /// `htm` is not the method of the request.
    WrongMethod,
    /// `htu` is not the URL of the request. The error's source shows the base URLs.
    WrongUrl,
    /// `iat` is longer ago than [`Dpop::lifetime`](super::Dpop::lifetime).
    Expired,
    /// `iat` is more than 30 seconds in the future.
    IssuedInFuture,
    /// `ath` is missing, or is not the digest of the token. At login and refresh: the proof has an
    /// `ath`, which is not allowed there.
    WrongTokenHash,
    /// `jti` is empty, or longer than 256 bytes.
    InvalidId,
    /// The proof has no `nonce`, and [`Dpop::nonces`](super::Dpop::nonces) are on. The response has
    /// one. This is normal for the first request of a client.
    MissingNonce,
    /// The `nonce` is too old, or was never issued. The response has a new one.
    StaleNonce,
    /// The proof was used before.
    Replayed,
    /// The client or its subject sends more proofs than the [`ReplayStore`](super::ReplayStore)
    /// remembers for it.
    TooMany,
    /// The token is not bound to a key: send it as `Bearer`, if that is accepted. At a refresh:
    /// send no proof, because the session has no key.
    UnboundToken,
}

impl DpopErrorKind {
    /// The kind in snake case, for logs and metrics. Do not send it to clients: it would tell an
    /// attacker what to try next.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingProof => "dpop_missing_proof",
            Self::SeveralProofs => "dpop_several_proofs",
            Self::TooLong => "dpop_too_long",
            Self::Malformed => "dpop_malformed",
            Self::UnsupportedHeader => "dpop_unsupported_header",
            Self::WrongType => "dpop_wrong_type",
            Self::UnsupportedAlgorithm => "dpop_unsupported_algorithm",
            Self::PrivateKey => "dpop_private_key",
            Self::InvalidKey => "dpop_invalid_key",
            Self::WrongKey => "dpop_wrong_key",
            Self::BadSignature => "dpop_bad_signature",
            Self::WrongMethod => "dpop_wrong_method",
            Self::WrongUrl => "dpop_wrong_url",
            Self::Expired => "dpop_expired",
            Self::IssuedInFuture => "dpop_issued_in_future",
            Self::WrongTokenHash => "dpop_wrong_token_hash",
            Self::InvalidId => "dpop_invalid_id",
            Self::MissingNonce => "dpop_missing_nonce",
            Self::StaleNonce => "dpop_stale_nonce",
            Self::Replayed => "dpop_replayed",
            Self::TooMany => "dpop_too_many",
            Self::UnboundToken => "dpop_unbound_token",
        }
    }
}

impl fmt::Display for DpopErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingProof => "the request has no DPoP proof",
            Self::SeveralProofs => "the request has several DPoP proofs",
            Self::TooLong => "the DPoP proof is too long",
            Self::Malformed => "the DPoP proof is malformed",
            Self::UnsupportedHeader => "the DPoP proof has crit, b64, zip or cty",
            Self::WrongType => "the typ of the DPoP proof is not dpop+jwt",
            Self::UnsupportedAlgorithm => "the alg of the DPoP proof is not accepted",
            Self::PrivateKey => "the jwk of the DPoP proof is private",
            Self::InvalidKey => "the jwk of the DPoP proof is not a key for its alg",
            Self::WrongKey => "the token is bound to another key than that of the DPoP proof",
            Self::BadSignature => "the signature of the DPoP proof does not verify",
            Self::WrongMethod => "htm of the DPoP proof is not the method of the request",
            Self::WrongUrl => "htu of the DPoP proof is not the URL of the request",
            Self::Expired => "iat of the DPoP proof is too long ago",
            Self::IssuedInFuture => "iat of the DPoP proof lies in the future",
            Self::WrongTokenHash => "ath of the DPoP proof is not the digest of the token",
            Self::InvalidId => "jti of the DPoP proof is empty or too long",
            Self::MissingNonce => "the DPoP proof has no nonce",
            Self::StaleNonce => "the nonce of the DPoP proof is not current",
            Self::Replayed => "the DPoP proof was used before",
            Self::TooMany => "the client sends too many DPoP proofs",
            Self::UnboundToken => "the token is not bound to a key",
        })
    }
}
