//! A verified token.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;

use super::decoded_sizes::DecodedSizes;
use super::error::VerifyError;
use super::keys_version::KeysVersion;
use super::mismatch::Mismatch;
use super::text::TokenText;
use crate::cache::Cached;
use crate::claims::{NumericDate, StoredClaims, Times, allocation, decode_measured};
#[cfg(feature = "introspection")]
use crate::introspection::Lifespan;
use crate::keys::Algorithm;
use crate::token::{JoseHeader, JwkThumbprint};

/// A token whose signature and claims were verified, or whose issuer says that it is active. Cheap
/// to clone.
///
/// Only a [`Verifier`](super::Verifier) makes one. The layer inserts it into the extensions of the
/// request. In axum it is also an extractor.
///
/// If the verifier has a cache, a `VerifiedToken` keeps the whole token in memory, with its
/// signature.
#[derive(Clone)]
pub struct VerifiedToken(Arc<Inner>);

struct Inner {
    header: Arc<VerifiedHeader>,
    text: TokenText,
    claims: StoredClaims,
    verification: Verification,
    /// The payload as the first type that was requested. There is nearly always only one.
    decoded: OnceLock<Arc<dyn Any + Send + Sync>>,
    /// The memory that is reserved for the decoded claims, in bytes. No bound if the token is not
    /// kept in the cache.
    reserved: u32,
    /// The memory that all of this takes without the decoded claims, in bytes.
    undecoded_size: u32,
}

/// What a token was verified with.
#[derive(Clone, Copy)]
pub(super) struct Verification {
    pub(super) keys_version: KeysVersion,
    /// How long the issuer's answer counts. `None` if a signature was verified.
    #[cfg(feature = "introspection")]
    pub(super) lifespan: Option<Lifespan>,
}

/// The members of a header that are kept.
pub(super) struct VerifiedHeader {
    /// `None`: the token is opaque.
    algorithm: Option<Algorithm>,
    key_id: Option<Box<str>>,
    typ: Option<Box<str>>,
    /// The member `issuer` of the key's JWK.
    key_issuer: Option<Arc<str>>,
    /// Of the tokens that were verified with the same keys.
    decoded_sizes: Arc<DecodedSizes>,
}

impl VerifiedHeader {
    pub(super) fn new(
        algorithm: Algorithm,
        header: JoseHeader,
        key_issuer: Option<Arc<str>>,
        decoded_sizes: Arc<DecodedSizes>,
    ) -> Self {
        Self {
            algorithm: Some(algorithm),
            key_id: header.key_id.map(Into::into),
            typ: header.token_type.map(Into::into),
            key_issuer,
            decoded_sizes,
        }
    }

    /// An opaque token has no header.
    #[cfg(feature = "introspection")]
    pub(super) fn none() -> Self {
        Self {
            algorithm: None,
            key_id: None,
            typ: None,
            key_issuer: None,
            decoded_sizes: Arc::default(),
        }
    }

    #[inline]
    pub(super) fn key_issuer(&self) -> Option<&str> {
        self.key_issuer.as_deref()
    }

    /// Its memory in bytes.
    fn size(&self) -> usize {
        let texts = [self.key_id.as_deref(), self.typ.as_deref()];
        let size = allocation(size_of::<Self>().saturating_add(ARC));
        texts.into_iter().flatten().fold(size, |size, text| {
            size.saturating_add(allocation(text.len()))
        })
    }
}

/// The counters of an `Arc`, in bytes.
const ARC: usize = 16;

impl VerifiedToken {
    pub(super) fn new(
        header: Arc<VerifiedHeader>,
        text: TokenText,
        claims: StoredClaims,
        verification: Verification,
    ) -> Self {
        let (reserved, size) = match text.has_token() {
            true => {
                let reserved = header.decoded_sizes.reserve(text.payload());
                // Most headers are those of their key, which all tokens share.
                let header_size = match Arc::strong_count(&header) {
                    1 => header.size(),
                    _ => 0,
                };
                let size = allocation(size_of::<Inner>().saturating_add(ARC))
                    .saturating_add(header_size)
                    .saturating_add(allocation(text.as_str().len()))
                    .saturating_add(claims.heap_size());
                (reserved, size)
            }
            false => (usize::MAX, 0),
        };
        Self(Arc::new(Inner {
            header,
            text,
            claims,
            verification,
            decoded: OnceLock::new(),
            reserved: u32::try_from(reserved).unwrap_or(u32::MAX),
            undecoded_size: u32::try_from(size).unwrap_or(u32::MAX),
        }))
    }

    /// How long the issuer's answer counts. `None` if a signature was verified.
    #[cfg(feature = "introspection")]
    #[inline]
    pub(super) fn lifespan(&self) -> Option<&Lifespan> {
        self.0.verification.lifespan.as_ref()
    }

    #[inline]
    pub(super) fn keys_version(&self) -> KeysVersion {
        self.0.verification.keys_version
    }

    /// The times, which are checked at every use.
    pub(super) fn times(&self) -> Times {
        self.0.claims.times()
    }

    /// The thumbprint of the key that the token is bound to.
    #[inline]
    pub(crate) fn key_thumbprint(&self) -> Option<&JwkThumbprint> {
        self.0.claims.key_thumbprint()
    }

    /// The SHA-256 of the certificate that the token is bound to.
    #[inline]
    pub(crate) fn certificate_digest(&self) -> Option<&[u8; 32]> {
        self.0.claims.certificate_digest()
    }

    /// Decodes the claims as your type.
    ///
    /// The value of the first type that you request is kept with the token, so further calls for
    /// this type cost no parsing. Another type is decoded at each call. So is a value that needs
    /// more memory than the [cache](super::Verifier::cache) has reserved for it.
    ///
    /// Requests with the same cached token share the value: do not keep data of one request in it,
    /// such as a `Mutex` or an atomic.
    ///
    /// # Errors
    ///
    /// [`ClaimsMismatch`](super::VerifyErrorKind::ClaimsMismatch) if the payload does not decode as
    /// `T`. The error's source names the type and the claim.
    pub fn claims<T>(&self) -> Result<Arc<T>, VerifyError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        if let Some(decoded) = self.0.decoded.get()
            && let Ok(claims) = Arc::clone(decoded).downcast()
        {
            return Ok(claims);
        }
        let (claims, size) = decode_measured(self.payload())
            .map_err(|error| VerifyError::mismatch(Mismatch::of::<T>(self.payload(), &error)))?;
        let claims = Arc::new(claims);
        self.keep_decoded(Arc::clone(&claims) as _, size);
        Ok(claims)
    }

    /// Keeps decoded claims of `size` bytes, if there is room. A second type is decoded each time.
    fn keep_decoded(&self, claims: Arc<dyn Any + Send + Sync>, size: usize) {
        let inner = &*self.0;
        if inner.decoded.get().is_some() {
            return;
        }
        if inner.text.has_token() {
            inner.header.decoded_sizes.learn(self.payload(), size);
        }
        if u32::try_from(size).is_ok_and(|size| size <= inner.reserved) {
            let _ = inner.decoded.set(claims);
        }
    }

    /// The claims set, as the signed JSON object. For an opaque token, the issuer's answer (RFC
    /// 7662 §2.2).
    #[must_use]
    pub fn payload(&self) -> &str {
        self.0.text.payload()
    }

    /// `iss`: who issued the token (RFC 7519 §4.1.1).
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.0.claims.issuer(self.0.text.as_str())
    }

    /// `sub`: the subject (§4.1.2).
    ///
    /// With [`allow_integer_subject`](super::Verifier::allow_integer_subject), a number is returned
    /// as its digits.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.0.claims.subject(self.0.text.as_str())
    }

    /// `aud`: the audiences (§4.1.3), in the token's order.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.0.claims.audience(self.0.text.as_str())
    }

    /// `exp`: when the token expires (§4.1.4), without the leeway.
    ///
    /// If the token has no `exp`, this is the date that
    /// [`allow_missing_expiry`](super::Verifier::allow_missing_expiry) implies. For an opaque token
    /// without `exp`, it may be the time at which the issuer is asked again.
    #[must_use]
    pub fn expires_at(&self) -> NumericDate {
        self.times().expires_at
    }

    /// `nbf`: when the token becomes valid (§4.1.5), without the leeway.
    #[must_use]
    pub fn not_before(&self) -> Option<NumericDate> {
        self.times().not_before
    }

    /// `iat`: when the token was issued (§4.1.6).
    #[must_use]
    pub fn issued_at(&self) -> Option<NumericDate> {
        self.times().issued_at
    }

    /// `jti`: the token's ID (§4.1.7).
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.0.claims.token_id(self.0.text.as_str())
    }

    /// `sid`: the session that the token belongs to (OpenID Connect Front-Channel Logout 1.0 §3).
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.0.claims.session_id(self.0.text.as_str())
    }

    /// `generation`, a claim of this crate: a counter of the subject, as it was when the token was
    /// issued. It counts three events: a logout everywhere, a block, and an invalidation of the
    /// access tokens.
    ///
    /// `None` if it is not a whole number: another issuer may use the name for something else.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        self.0.claims.generation
    }

    /// The algorithm of the signature. `None` for an opaque token: its issuer was asked.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.0.header.algorithm
    }

    /// `kid` of the header (RFC 7515 §4.1.4).
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.0.header.key_id.as_deref()
    }

    /// `typ` of the header (RFC 7515 §4.1.9), as written.
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.0.header.typ.as_deref()
    }
}

/// In the cache.
impl Cached for VerifiedToken {
    #[inline]
    fn is_of(&self, token: &[u8]) -> bool {
        self.0.text.is_of(token)
    }

    fn is_of_token_of(&self, other: &Self) -> bool {
        self.0.text.is_of_token_of(&other.0.text)
    }

    #[inline]
    fn size(&self) -> usize {
        let size = self.0.undecoded_size.saturating_add(self.0.reserved);
        usize::try_from(size).unwrap_or(usize::MAX)
    }

    /// A copy that shares nothing but the header. Its claims are not decoded yet. It reserves what
    /// the original does, or more if that has been learned since, or less if there is no room.
    fn deep_clone(&self, max_size: usize) -> Option<Self> {
        let inner = &*self.0;
        let room = u32::try_from(max_size).unwrap_or(u32::MAX);
        let room = room.checked_sub(inner.undecoded_size)?;
        let learned = inner.header.decoded_sizes.reserve(self.payload());
        let learned = u32::try_from(learned).unwrap_or(u32::MAX);
        let reserves = [inner.reserved.max(learned), inner.reserved, learned];
        let reserved = reserves.into_iter().find(|reserved| *reserved <= room)?;
        Some(Self(Arc::new(Inner {
            header: Arc::clone(&inner.header),
            text: inner.text.clone(),
            claims: inner.claims.clone(),
            verification: inner.verification,
            decoded: OnceLock::new(),
            reserved,
            undecoded_size: inner.undecoded_size,
        })))
    }
}

/// Shows the algorithm, and no claim.
impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("algorithm", &self.0.header.algorithm)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, any(feature = "aws_lc_rs", feature = "rust_crypto")))]
impl VerifiedToken {
    /// As verified by other keys.
    pub(super) fn with_keys_version(&self, number: u64) -> Option<Self> {
        let mut token = self.deep_clone(usize::MAX)?;
        let inner = Arc::get_mut(&mut token.0)?;
        inner.verification.keys_version.number = number;
        Some(token)
    }
}
