//! A token that was verified.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;

use super::error::{VerifyError, VerifyErrorKind};
use crate::claims::{NumericDate, StoredClaims, Times};
use crate::keys::Algorithm;
use crate::token::JoseHeader;

/// A token whose signature and claims were verified. Cheap to clone.
///
/// Nothing but a [`Verifier`](super::Verifier) makes one. The layer leaves it in the extensions of the request; in
/// axum it is also an extractor.
#[derive(Clone)]
pub struct VerifiedToken(Arc<Inner>);

struct Inner {
    header: Arc<VerifiedHeader>,
    payload: String,
    claims: StoredClaims,
    /// The payload as the `T` of whoever asked first, who is nearly always the only one to ask.
    decoded: OnceLock<Arc<dyn Any + Send + Sync>>,
    /// How many bytes that may take to be kept.
    room: usize,
}

/// What is kept of a header.
pub(super) struct VerifiedHeader {
    algorithm: Algorithm,
    key_id: Option<Box<str>>,
    typ: Option<Box<str>>,
}

impl VerifiedHeader {
    pub(super) fn new(algorithm: Algorithm, header: JoseHeader) -> Self {
        Self {
            algorithm,
            key_id: header.key_id.map(Into::into),
            typ: header.token_type.map(Into::into),
        }
    }

    /// What it takes where no other token shares it.
    fn size(&self) -> usize {
        let texts = [&self.key_id, &self.typ];
        texts
            .into_iter()
            .flatten()
            .fold(size_of::<Self>(), |size, text| {
                size.saturating_add(text.len())
            })
    }
}

impl VerifiedToken {
    /// Of one that `is_kept` in memory, the decoded claims take no more than is reckoned with here.
    pub(super) fn new(
        header: Arc<VerifiedHeader>,
        payload: String,
        claims: StoredClaims,
        is_kept: bool,
    ) -> Self {
        let room = if is_kept {
            decoded_size(&payload)
        } else {
            usize::MAX
        };
        Self(Arc::new(Inner {
            header,
            payload,
            claims,
            decoded: OnceLock::new(),
            room,
        }))
    }

    /// What it takes in memory, decoded claims and all. It does not change.
    pub(super) fn size(&self) -> usize {
        let inner = &*self.0;
        size_of::<Inner>()
            .saturating_add(inner.header.size())
            .saturating_add(inner.payload.capacity())
            .saturating_add(inner.claims.heap_size())
            .saturating_add(inner.room)
    }

    /// A copy that shares nothing but the header. Its claims are not decoded yet.
    pub(super) fn deep_clone(&self) -> Self {
        Self(Arc::new(Inner {
            header: Arc::clone(&self.0.header),
            payload: self.0.payload.clone(),
            claims: self.0.claims.clone(),
            decoded: OnceLock::new(),
            room: self.0.room,
        }))
    }

    /// What is checked again whenever the token is presented.
    pub(super) fn times(&self) -> Times {
        self.0.claims.times()
    }

    /// The claims as a type of one's own. The first type that is asked for is kept, for as long as the token is
    /// [remembered](super::Verifier::cache); asking for it again costs no parse. Requests with the same token may share the value: what
    /// can be changed in it (a `Mutex`, an atomic number) is no place for what belongs to one request.
    ///
    /// # Errors
    ///
    /// [`VerifyErrorKind::ClaimsMismatch`] if the payload is no `T`. The source of the error says where.
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
            .map_err(|error| VerifyError::decoding(VerifyErrorKind::ClaimsMismatch, &error))?;
        // Another type may be there already; then this one is parsed each time. So is one that is large by itself, where
        // the token is kept.
        if size_of::<T>() <= self.0.room {
            let _ = self.0.decoded.set(Arc::clone(&claims) as _);
        }
        Ok(claims)
    }

    /// The whole claims set, as the JSON object that was signed.
    #[must_use]
    pub fn payload(&self) -> &str {
        &self.0.payload
    }

    /// `iss`: who issued the token (RFC 7519 §4.1.1).
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.0.claims.issuer(&self.0.payload)
    }

    /// `sub`: whom the token speaks of (§4.1.2).
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.0.claims.subject(&self.0.payload)
    }

    /// `aud`: whom the token is for (§4.1.3), in its order.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.0.claims.audience(&self.0.payload)
    }

    /// `exp`: the first moment at which the token no longer counts (§4.1.4), leeway aside.
    #[must_use]
    pub fn expires_at(&self) -> NumericDate {
        self.times().expires_at
    }

    /// `nbf`: the first moment at which the token counts (§4.1.5), leeway aside.
    #[must_use]
    pub fn not_before(&self) -> Option<NumericDate> {
        self.times().not_before
    }

    /// `iat`: when the token was issued (§4.1.6).
    #[must_use]
    pub fn issued_at(&self) -> Option<NumericDate> {
        self.times().issued_at
    }

    /// `jti`: the token's own id (§4.1.7).
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.0.claims.token_id(&self.0.payload)
    }

    /// `sid`: the session that the token belongs to (OpenID Connect Front-Channel Logout 1.0 §3).
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.0.claims.session_id(&self.0.payload)
    }

    /// `generation`: how often the subject had been logged out everywhere when the token was issued. `None` too if
    /// it is no whole number, as an issuer may mean something else by the name.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        self.0.claims.generation
    }

    /// The algorithm that it was signed with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.header.algorithm
    }

    /// `kid` of the header (RFC 7515 §4.1.4).
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.0.header.key_id.as_deref()
    }

    /// `typ` of the header (RFC 7515 §4.1.9), as it was written.
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.0.header.typ.as_deref()
    }
}

/// What the payload takes once it is decoded, generously: as a `serde_json::Value`, which takes more than a type of one's
/// own. Every text is an allocation, every member a place in a tree, vectors and trees are up to half empty, and a vector begins
/// with four places.
fn decoded_size(payload: &str) -> usize {
    /// Under serde_json's `preserve_order` it is more than twice as large.
    const VALUE: usize = size_of::<serde_json::Value>();
    const ARRAY: usize = 4 * VALUE + 16;
    const MEMBER: usize = 2 * VALUE + 48;

    let each = |wanted: u8, size: usize| {
        let count = payload.bytes().filter(|byte| *byte == wanted).count();
        count.saturating_mul(size)
    };
    let places = [each(b'{', 640), each(b'[', ARRAY), each(b',', MEMBER)];
    places
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

    /// What the vectors of a value take.
    fn places(value: &Value) -> usize {
        let Value::Array(values) = value else {
            return 0;
        };
        let own = values.capacity() * size_of::<Value>();
        own + values.iter().map(places).sum::<usize>()
    }

    #[test]
    fn arrays_of_little_are_reckoned_with() {
        for payload in [
            format!("{}{}", "[".repeat(100), "]".repeat(100)),
            format!("[{}0]", "[0],".repeat(100)),
            format!("[{}0]", "[0,0,0,0,0],".repeat(100)),
            format!("{}0{}", "[".repeat(100), "]".repeat(100)),
        ] {
            let value: Value = serde_json::from_str(&payload).unwrap();
            assert!(decoded_size(&payload) >= places(&value), "{payload}");
        }
    }
}
