//! A token's way from bytes to a [`VerifiedToken`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::cached::VerifiedTokens;
use super::error::{VerifyError, VerifyErrorKind};
use super::found_trust::FoundTrust;
use super::keys_version::KeysVersion;
use super::not_verified::NotVerified;
#[cfg(feature = "jwks")]
use super::remote::RemoteKeySelector;
use super::rules::{ClaimRules, IssuerRules};
use super::selector::KeySelector;
use super::sources::KeySource;
use super::tenants;
use super::text::{SentToken, TokenText};
use super::token::{Verification, VerifiedHeader, VerifiedToken};
use super::trust::Trust;
use super::trusted_issuer::IssuerTrust;
use crate::claims::{Allowances, RegisteredMembers, StoredClaims, read_registered};
use crate::clock::ClockSource;
use crate::token::{Segments, base64url};

/// Verifies tokens. Make one, share it, and use it from any thread.
///
/// [`JwtAuthLayer`](crate::JwtAuthLayer) holds one; use this type to verify tokens without HTTP.
/// Clones share the keys, the clock and the [token cache](Verifier::cache).
///
/// ```
/// use tower_jwt_auth::{Verifier, VerifyErrorKind};
/// use tower_jwt_auth::keys::VerifyingKey;
///
/// # let secret = [7; 32];
/// let key = VerifyingKey::hs256(secret)?;
/// let verifier = Verifier::new(key).issuer("https://id.example.com").audience("api");
/// # let token = tower_jwt_auth::keys::SigningKey::hs256(secret)?.sign(&serde_json::json!({
/// #     "iss": "https://id.example.com", "aud": "api", "sub": "alice", "exp": 4_000_000_000_u64
/// # })).unwrap();
///
/// let verified = verifier.verify(&token).unwrap();
/// assert_eq!(verified.subject(), Some("alice"));
/// let claims = verified.claims::<serde_json::Value>().unwrap();
///
/// let refused = verifier.verify("no token at all").unwrap_err();
/// assert_eq!(refused.kind(), VerifyErrorKind::Malformed);
/// # Ok::<_, tower_jwt_auth::keys::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Verifier {
    pub(super) trust: Trust,
    pub(super) rules: ClaimRules,
    pub(super) max_token_length: usize,
    pub(super) clock: ClockSource,
    pub(super) cache: VerifiedTokens,
}

impl Verifier {
    /// How often a token may wait and still not find its key: for its issuer, for the first keys of
    /// that issuer, for a fetch that was under way already, and for its own fetch.
    #[cfg(feature = "jwks")]
    const MAX_WAITS: usize = 4;

    /// Verifies a token in compact serialization (RFC 7515 §3.1).
    ///
    /// # Errors
    ///
    /// [`VerifyError`] if the token is rejected. It contains no part of the token.
    pub fn verify(&self, token: impl AsRef<[u8]>) -> Result<VerifiedToken, VerifyError> {
        self.try_verify(token.as_ref()).map_err(NotVerified::error)
    }

    /// As [`verify`](Verifier::verify), but fetches the issuer's keys first if they are missing, or
    /// none has the token's `kid`.
    ///
    /// It waits for an [`IssuerResolver`](super::IssuerResolver) and for the issuer of an opaque
    /// token too. It needs a tokio runtime with its timer enabled, and waits for at most 6 seconds
    /// per fetch. A token with a known key is verified without waiting.
    ///
    /// # Errors
    ///
    /// As [`verify`](Verifier::verify). [`VerifyErrorKind::KeysUnavailable`] or
    /// [`VerifyErrorKind::IntrospectionUnavailable`] if the issuer does not answer.
    #[cfg(feature = "jwks")]
    #[cfg_attr(docsrs, doc(cfg(feature = "jwks")))]
    pub async fn fetch_and_verify(
        &self,
        token: impl AsRef<[u8]>,
    ) -> Result<VerifiedToken, VerifyError> {
        let token = token.as_ref();
        for _ in 0..Self::MAX_WAITS {
            match self.try_verify(token) {
                Ok(token) => return Ok(token),
                Err(NotVerified::Rejected(error)) => return Err(error),
                Err(NotVerified::KeysRequired(request)) => request.wait().await?,
                #[cfg(feature = "introspection")]
                Err(NotVerified::Unanswered(question)) => {
                    return self.ask_and_verify(question, token).await;
                }
            }
        }
        self.verify(token)
    }

    /// Verifies with the keys at hand, or finds the token in the cache.
    pub(crate) fn try_verify(&self, token: &[u8]) -> Result<VerifiedToken, NotVerified> {
        let now = self.clock.since_epoch();
        let slot = self.cache.slot(token);
        if let Some(slot) = &slot
            && let Some(cached) = slot.find()
            && self.is_current(&cached, now)?
        {
            self.rules.check_times(cached.times(), now)?;
            return Ok(cached);
        }
        #[cfg(feature = "introspection")]
        if let Some(opaque) = self.trust.opaque(token) {
            return self.try_introspected(opaque, token, now);
        }
        let token = self.verify_uncached(token, now, slot.is_some())?;
        if let Some(slot) = slot {
            slot.keep(token.clone());
        }
        Ok(token)
    }

    /// Whether what verified a cached token still counts: the keys, or the issuer's answer.
    #[inline]
    fn is_current(&self, cached: &VerifiedToken, now: Duration) -> Result<bool, NotVerified> {
        #[cfg(feature = "introspection")]
        if let Some(lifespan) = cached.lifespan() {
            return Ok(lifespan.contains(now));
        }
        Ok(self.keys_version(cached, now)? == Some(cached.keys_version()))
    }

    /// Decode, read, choose the issuer, verify, check. Until the signature is verified the claims
    /// decide nothing but whose keys to use, and what is wrong with them is not an error yet.
    fn verify_uncached(
        &self,
        token: &[u8],
        now: Duration,
        is_cached: bool,
    ) -> Result<VerifiedToken, NotVerified> {
        let padded = Segments::split(token, self.max_token_length).map_err(VerifyError::from)?;
        let bare = padded.without_padding();
        let payload = decode_payload(bare.payload);
        let (trust, members) = self.trust_and_members(payload.as_deref(), now)?;
        let (segments, members) = if trust.rules().padding_allowed {
            (bare, members)
        } else if bare.payload.len() == padded.payload.len() {
            (padded, members)
        } else {
            (padded, Err(VerifyErrorKind::Malformed.into()))
        };
        let issuer_check = members
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|members| self.rules.check_issuer(members, self.trust.names_issuers()));
        let (header, keys) = self
            .check_signature(&trust, &segments, now)
            .map_err(|not_verified| not_verified.unless_rejected_by(&issuer_check))?;
        issuer_check?;
        let members = members?;
        let text = payload.as_deref().unwrap_or_default();
        // Most issuers have no tenants, and most keys no issuer of their own.
        if trust.tenants().is_some() || header.key_issuer().is_some() {
            let issuer = members.issuer.as_deref();
            tenants::check(trust.tenants(), header.key_issuer(), issuer, text)?;
        }
        let times = self.rules.check(&members, trust.rules(), text, now)?;
        let (claims, unescaped) =
            StoredClaims::new(&members, times, text).ok_or(VerifyErrorKind::TooLong)?;
        let verification = Verification {
            keys_version: keys.of_answer(trust.answer()),
            #[cfg(feature = "introspection")]
            lifespan: None,
        };
        let text = match is_cached {
            true => TokenText::of_token(text, &unescaped, SentToken::Signed(padded)),
            false => TokenText::of_payload(payload?, &unescaped),
        };
        let text = text.ok_or(VerifyErrorKind::TooLong)?;
        Ok(VerifiedToken::new(header, text, claims, verification))
    }

    /// The trust in the issuer, and the claims as that issuer may write them. What it may deviate
    /// in is known only with its name: then the claims are read once more.
    fn trust_and_members<'p>(
        &self,
        payload: Result<&'p str, &VerifyError>,
        now: Duration,
    ) -> Result<(FoundTrust<'_>, Result<RegisteredMembers<'p>, VerifyError>), NotVerified> {
        let read = |allowed| {
            let payload = payload.map_err(Clone::clone)?;
            read(payload, allowed)
        };
        let members = read(self.trust.allowed());
        if members.is_ok() || payload.is_err() || !self.trust.may_allow_more() {
            return Ok((self.trust_for(members.as_ref(), now)?, members));
        }
        let trust = self.trust_for(read(Allowances::ALL).as_ref(), now)?;
        let members = read(trust.rules().allowed);
        Ok((trust, members))
    }

    /// The issuer's keys and rules. Without trusted issuers they are the same for every token.
    fn trust_for(
        &self,
        members: Result<&RegisteredMembers<'_>, &VerifyError>,
        now: Duration,
    ) -> Result<FoundTrust<'_>, NotVerified> {
        let issuer = members.ok().and_then(|members| members.issuer.as_deref());
        let trust = self.find_trust(issuer, now)?;
        trust.ok_or_else(|| match (members, issuer) {
            (Err(error), _) => error.clone().into(),
            (Ok(_), Some(_)) => VerifyError::unknown_issuer(self.trust.issuer_names()).into(),
            (Ok(_), None) => VerifyErrorKind::MissingIssuer.into(),
        })
    }

    /// The trust in an issuer. `None` if it is not trusted.
    #[inline]
    fn find_trust(
        &self,
        issuer: Option<&str>,
        #[cfg_attr(
            not(feature = "jwks"),
            expect(unused_variables, reason = "configured issuers do not age")
        )]
        now: Duration,
    ) -> Result<Option<FoundTrust<'_>>, NotVerified> {
        if let Some(trust) = self.trust.of_issuer(issuer) {
            return Ok(Some(FoundTrust::Configured(trust)));
        }
        #[cfg(feature = "jwks")]
        if let (Some(resolved), Some(issuer)) = (self.trust.resolved(), issuer) {
            let approved = resolved.find(issuer, &self.clock, now)?;
            return Ok(approved.map(FoundTrust::Resolved));
        }
        Ok(None)
    }

    /// The present version of the keys that a cached token was verified with. `None` if they are
    /// gone, or no longer trusted.
    fn keys_version(
        &self,
        cached: &VerifiedToken,
        now: Duration,
    ) -> Result<Option<KeysVersion>, NotVerified> {
        let Some(trust) = self.find_trust(cached.issuer(), now)? else {
            return Ok(None);
        };
        let position = cached.keys_version().source;
        let version = match trust.keys().source_at(position) {
            Some(KeySource::Fixed(_)) => Some(KeysVersion::of_fixed(position)),
            #[cfg(feature = "jwks")]
            Some(KeySource::Remote(remote)) => remote.current(&self.clock, now)?.version(position),
            None => None,
        };
        Ok(version.map(|version| version.of_answer(trust.answer())))
    }

    /// Finds the key and verifies the signature. The version of the keys is read before the key is
    /// chosen.
    fn check_signature(
        &self,
        trust: &IssuerTrust,
        segments: &Segments<'_>,
        #[cfg_attr(
            not(feature = "jwks"),
            expect(unused_variables, reason = "fixed keys do not age")
        )]
        now: Duration,
    ) -> Result<(Arc<VerifiedHeader>, KeysVersion), NotVerified> {
        let (position, source) = trust.keys().source_for(segments.header)?;
        match source {
            KeySource::Fixed(selector) => {
                let header = self.check_signature_with(selector, trust.rules(), segments)?;
                Ok((header, KeysVersion::of_fixed(position)))
            }
            #[cfg(feature = "jwks")]
            KeySource::Remote(remote) => {
                self.check_signature_by(remote, position, trust.rules(), segments, now)
            }
        }
    }

    /// As [`check_signature`](Self::check_signature), by keys that may have to be fetched first.
    #[cfg(feature = "jwks")]
    #[inline]
    fn check_signature_by(
        &self,
        remote: &RemoteKeySelector,
        position: usize,
        rules: &IssuerRules,
        segments: &Segments<'_>,
        now: Duration,
    ) -> Result<(Arc<VerifiedHeader>, KeysVersion), NotVerified> {
        let current = match remote.current(&self.clock, now) {
            Ok(current) => current,
            Err(fetch) if remote.serves_header(segments.header)? => return Err(fetch.into()),
            Err(_) => return Err(VerifyErrorKind::NoFittingKey.into()),
        };
        let (selector, version) = current
            .selector(position)
            .ok_or(VerifyErrorKind::KeysUnavailable)?;
        match self.check_signature_with(selector, rules, segments) {
            Ok(header) => Ok((header, version)),
            Err(error)
                if error.kind() == VerifyErrorKind::NoFittingKey
                    && selector.may_be_published(segments.header)
                    && remote.serves_header(segments.header) == Ok(true)
                    && base64url::decode(segments.signature).is_ok() =>
            {
                Err(remote.request_after(&current, error).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn check_signature_with(
        &self,
        selector: &KeySelector,
        issuer: &IssuerRules,
        segments: &Segments<'_>,
    ) -> Result<Arc<VerifiedHeader>, VerifyError> {
        /// Bytes of the longest signature: RSA with 8192 bits.
        const LONGEST: usize = 1024;
        /// Characters of a signature by P-521 in base64url, the longest but those by RSA.
        const SHORT: usize = 176;
        /// Characters of a signature by RSA with 2048 bits in base64url.
        const USUAL: usize = 344;

        let selection = selector.select(segments.header, &self.rules, issuer)?;
        let verify = |buffer: &mut [u8]| {
            let signature = base64url::decode_into(segments.signature, buffer)
                .map_err(|_| VerifyErrorKind::Malformed)?;
            if selection.verifies(segments.signing_input, signature) {
                Ok(())
            } else {
                Err(VerifyErrorKind::BadSignature)
            }
        };
        if segments.signature.len() <= SHORT {
            verify(&mut [0; SHORT])?;
        } else if segments.signature.len() <= USUAL {
            verify(&mut [0; USUAL])?;
        } else {
            verify(&mut [0; LONGEST])?;
        }
        Ok(selector.keep(selection, segments.header))
    }
}

fn decode_payload(segment: &[u8]) -> Result<String, VerifyError> {
    let bytes = base64url::decode(segment).map_err(|_| VerifyErrorKind::Malformed)?;
    // serde_json does not check that the strings it skips are UTF-8.
    String::from_utf8(bytes).map_err(|_| VerifyErrorKind::MalformedClaims.into())
}

fn read(payload: &str, allowed: Allowances) -> Result<RegisteredMembers<'_>, VerifyError> {
    read_registered(payload, allowed).map_err(|error| VerifyError::malformed_claims(&error))
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("trust", &self.trust)
            .field("rules", &self.rules)
            .field("max_token_length", &self.max_token_length)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
