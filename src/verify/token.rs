//! A verified token.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;

use super::error::VerifyError;
use super::mismatch::Mismatch;
use crate::claims::{NumericDate, StoredClaims, Times};
#[cfg(feature = "introspection")]
use crate::introspection::Lifespan;
use crate::keys::Algorithm;
use crate::token::{JoseHeader, JwkThumbprint};

/// A token whose signature and claims were verified, or whose issuer says that it is active. Cheap
/// to clone.
///
/// Only a [`Verifier`](super::Verifier) makes one. The layer inserts it into the extensions of the
/// request. In axum it is also an extractor.
#[derive(Clone)]
pub struct VerifiedToken(Arc<Inner>);

struct Inner {
    header: Arc<VerifiedHeader>,
    payload: String,
    claims: StoredClaims,
    /// The payload as the first type that was requested. There is nearly always only one.
    decoded: OnceLock<Arc<dyn Any + Send + Sync>>,
    /// How many bytes the decoded claims may take to be kept.
    decoded_limit: usize,
    /// How long the issuer's answer counts. `None` if a signature was verified.
    #[cfg(feature = "introspection")]
    lifespan: Option<Lifespan>,
}

/// The members of a header that are kept.
pub(super) struct VerifiedHeader {
    /// `None`: the token is opaque.
    algorithm: Option<Algorithm>,
    key_id: Option<Box<str>>,
    typ: Option<Box<str>>,
    /// The member `issuer` of the key's JWK.
    key_issuer: Option<Arc<str>>,
}

impl VerifiedHeader {
    pub(super) fn new(
        algorithm: Algorithm,
        header: JoseHeader,
        key_issuer: Option<Arc<str>>,
    ) -> Self {
        Self {
            algorithm: Some(algorithm),
            key_id: header.key_id.map(Into::into),
            typ: header.token_type.map(Into::into),
            key_issuer,
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
        }
    }

    #[inline]
    pub(super) fn key_issuer(&self) -> Option<&str> {
        self.key_issuer.as_deref()
    }

    /// Its size in bytes, as if no other token shared it.
    fn size(&self) -> usize {
        let texts = [
            self.key_id.as_deref(),
            self.typ.as_deref(),
            self.key_issuer(),
        ];
        texts
            .into_iter()
            .flatten()
            .fold(size_of::<Self>(), |size, text| {
                size.saturating_add(text.len())
            })
    }
}

impl Inner {
    fn new(
        header: Arc<VerifiedHeader>,
        payload: String,
        claims: StoredClaims,
        is_cached: bool,
    ) -> Self {
        let decoded_limit = if is_cached {
            decoded_size(&payload)
        } else {
            usize::MAX
        };
        Self {
            header,
            payload,
            claims,
            decoded: OnceLock::new(),
            decoded_limit,
            #[cfg(feature = "introspection")]
            lifespan: None,
        }
    }
}

impl VerifiedToken {
    /// The decoded claims of a token in the cache are bounded, so that its size is known.
    pub(super) fn new(
        header: Arc<VerifiedHeader>,
        payload: String,
        claims: StoredClaims,
        is_cached: bool,
    ) -> Self {
        Self(Arc::new(Inner::new(header, payload, claims, is_cached)))
    }

    /// A token that its issuer says is active. The payload is the answer.
    #[cfg(feature = "introspection")]
    pub(super) fn introspected(
        header: Arc<VerifiedHeader>,
        payload: String,
        claims: StoredClaims,
        is_cached: bool,
        lifespan: Lifespan,
    ) -> Self {
        Self(Arc::new(Inner {
            lifespan: Some(lifespan),
            ..Inner::new(header, payload, claims, is_cached)
        }))
    }

    /// How long the issuer's answer counts. `None` if a signature was verified.
    #[cfg(feature = "introspection")]
    #[inline]
    pub(super) fn lifespan(&self) -> Option<&Lifespan> {
        self.0.lifespan.as_ref()
    }

    /// Its size in bytes, with the decoded claims. It does not change.
    pub(super) fn size(&self) -> usize {
        let inner = &*self.0;
        size_of::<Inner>()
            .saturating_add(inner.header.size())
            .saturating_add(inner.payload.capacity())
            .saturating_add(inner.claims.heap_size())
            .saturating_add(inner.decoded_limit)
    }

    /// A copy that shares nothing but the header. Its claims are not decoded yet.
    pub(super) fn deep_clone(&self) -> Self {
        Self(Arc::new(Inner {
            header: Arc::clone(&self.0.header),
            payload: self.0.payload.clone(),
            claims: self.0.claims.clone(),
            decoded: OnceLock::new(),
            decoded_limit: self.0.decoded_limit,
            #[cfg(feature = "introspection")]
            lifespan: self.0.lifespan,
        }))
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
    /// The first type requested is kept with the token, so the next call costs no parsing. Requests
    /// with the same [cached](super::Verifier::cache) token share the value: do not keep data of
    /// one request in it, such as a `Mutex` or an atomic.
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
        let claims: Arc<T> = serde_json::from_str(&self.0.payload)
            .map(Arc::new)
            .map_err(|error| VerifyError::mismatch(Mismatch::of::<T>(&self.0.payload, &error)))?;
        // A second type is parsed each time, and so is a large one in the cache.
        if size_of::<T>() <= self.0.decoded_limit {
            let _ = self.0.decoded.set(Arc::clone(&claims) as _);
        }
        Ok(claims)
    }

    /// The claims set, as the signed JSON object. For an opaque token, the issuer's answer (RFC
    /// 7662 §2.2).
    #[must_use]
    pub fn payload(&self) -> &str {
        &self.0.payload
    }

    /// `iss`: who issued the token (RFC 7519 §4.1.1).
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.0.claims.issuer(&self.0.payload)
    }

    /// `sub`: the subject (§4.1.2).
    ///
    /// With [`allow_integer_subject`](super::Verifier::allow_integer_subject), a number is returned
    /// as its digits.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.0.claims.subject(&self.0.payload)
    }

    /// `aud`: the audiences (§4.1.3), in the token's order.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.0.claims.audience(&self.0.payload)
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
        self.0.claims.token_id(&self.0.payload)
    }

    /// `sid`: the session that the token belongs to (OpenID Connect Front-Channel Logout 1.0 §3).
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.0.claims.session_id(&self.0.payload)
    }

    /// `generation`, a claim of this crate. It counts how often, before the token was issued, the
    /// subject was logged out everywhere or blocked, or its access tokens were invalidated.
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

/// The size of the decoded payload in bytes, at most: as a `serde_json::Value`, which is larger
/// than a struct.
///
/// Every string is an allocation and every member a node of a tree. Vectors and trees are up to
/// half empty, and a vector starts with room for four.
fn decoded_size(payload: &str) -> usize {
    /// With the feature `preserve_order` of serde_json it is more than twice as large.
    const VALUE: usize = size_of::<serde_json::Value>();
    const ARRAY: usize = 4 * VALUE + 16;
    const MEMBER: usize = 2 * VALUE + 48;

    let each = |wanted: u8, size: usize| {
        let count = payload.bytes().filter(|byte| *byte == wanted).count();
        count.saturating_mul(size)
    };
    let sizes = [each(b'{', 640), each(b'[', ARRAY), each(b',', MEMBER)];
    sizes
        .into_iter()
        .fold(payload.len().saturating_mul(2), usize::saturating_add)
}

/// Shows the algorithm, and no claim.
impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("algorithm", &self.0.header.algorithm)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The size of the vectors of a value, in bytes.
    fn vectors(value: &Value) -> usize {
        let Value::Array(values) = value else {
            return 0;
        };
        let size = values.capacity() * size_of::<Value>();
        size + values.iter().map(vectors).sum::<usize>()
    }

    #[test]
    fn small_arrays_are_counted() {
        for payload in [
            format!("{}{}", "[".repeat(100), "]".repeat(100)),
            format!("[{}0]", "[0],".repeat(100)),
            format!("[{}0]", "[0,0,0,0,0],".repeat(100)),
            format!("{}0{}", "[".repeat(100), "]".repeat(100)),
        ] {
            let value: Value = serde_json::from_str(&payload).unwrap();
            assert!(decoded_size(&payload) >= vectors(&value), "{payload}");
        }
    }
}
