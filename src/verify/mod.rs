//! Bytes to a [`VerifiedToken`], without any HTTP.
//!
//! Strict by default. What a token says counts for nothing until its signature is verified. Each part is looked at once
//! those before it are good, in this order:
//!
//! 1. The length is capped (8 KiB). There are exactly three segments; each, once it is read, is strict base64url (RFC 7515 §2).
//! 2. The header has no member twice, and none of `crit`, `b64`, `zip`. `typ` is absent, `JWT` or `at+jwt`
//!    (RFC 9068 §4), in any case, with or without `application/`; or exactly what [`Verifier::typ`] says.
//!    `jwk`, `jku`, `x5u` and `x5c` are never read.
//! 3. The key is found by `kid` and `alg`, never by trying out (see [`KeySet`](crate::keys::KeySet)).
//! 4. The signature is verified, before any claim is believed.
//! 5. The claims: no registered one twice or of the wrong type, and, as in the header, nothing
//!    nested deeper than 127 levels. `exp` is required, and counts while
//!    `now < exp + leeway`; `nbf` and `iat` do not lie in the future, and `exp` not before `iat`. Issuer and audience are
//!    required once configured, and compared whole. A token with an `aud` is refused where none is configured (RFC 7519 §4.1.3).
//!    `"aud": []` names nobody: it counts as absent where no audience is configured, and as a wrong
//!    one otherwise.
//!    Of several [`TrustedIssuer`]s, `iss` chooses the one whose keys count, so there the claims are read first.
//!    A logout token (`events`) is no access token, and a sender-constrained one (`cnf`) is no bearer token.
//!
//! A token that was verified before is [remembered](Verifier::cache), and only what may have changed is looked at again: its times,
//! and whether its issuer still has the same keys.

mod error;
mod known;
#[cfg(feature = "jwks")]
mod remote;
mod ring;
mod token;
mod trust;

pub use error::{Stage, VerifyError, VerifyErrorKind};
pub use token::VerifiedToken;
pub use trust::{Keys, Trust, TrustedIssuer};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::claims::{NumericDate, RegisteredMembers, StoredClaims, Times, read_registered};
use crate::clock::{Clock, SystemClock, since_epoch};
use crate::token::{Segments, base64url};
use known::{KnownTokens, Span};
#[cfg(feature = "jwks")]
pub(crate) use remote::Lack;
#[cfg(feature = "jwks")]
use remote::{HeldRing, RemoteRing};
use ring::{Epoch, Ring};
use token::VerifiedHeader;
use trust::{Anchor, AnchorKeys, Anchors, Typ};

/// Verifies tokens. Made once, shared, and used from any thread.
///
/// [`JwtAuthLayer`](crate::JwtAuthLayer) holds one; this is the same without HTTP.
/// A clone shares keys, clock, and the [tokens that were verified](Verifier::cache).
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
    anchors: Anchors,
    issuers: Vec<Box<str>>,
    audiences: Vec<Box<str>>,
    any_audience: bool,
    confirmations: Vec<Box<str>>,
    typ: Typ,
    /// Whether tokens with `events` are what is wanted.
    for_logout: bool,
    leeway: Duration,
    max_token_length: usize,
    ignore_expiry: bool,
    clock: Arc<dyn Clock>,
    known: KnownTokens,
    /// Whether `clock` is the one that is there by default.
    #[cfg(feature = "jwks")]
    has_system_clock: bool,
}

/// Why a token is not verified, or not yet.
pub(crate) enum Refusal {
    Final(VerifyError),
    /// Keys have to be fetched first.
    #[cfg(feature = "jwks")]
    Lacking(Lack),
}

impl Refusal {
    /// What can be said without waiting.
    fn at_once(self) -> VerifyError {
        match self {
            Self::Final(error) => error,
            #[cfg(feature = "jwks")]
            Self::Lacking(lack) => lack.at_once(),
        }
    }
}

impl<E: Into<VerifyError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Final(error.into())
    }
}

impl Verifier {
    /// 30 seconds: what clocks of well-kept servers differ by, and less than anyone needs to notice a theft.
    pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);

    /// 5 minutes. A leeway that long hides a broken clock, and keeps dead tokens alive.
    pub const MAX_LEEWAY: Duration = Duration::from_secs(300);

    /// 8 KiB: most servers refuse longer headers anyway.
    pub const DEFAULT_MAX_TOKEN_LENGTH: usize = 8 * 1024;

    /// 16 MiB: some 4,000 tokens. The memory is taken as tokens come.
    pub const DEFAULT_CACHE: usize = 16 * 1024 * 1024;

    /// Trusts a key, a [`KeySet`](crate::keys::KeySet), or some [`TrustedIssuer`]s.
    #[must_use]
    pub fn new(trust: impl Into<Trust>) -> Self {
        Self {
            known: KnownTokens::within(Self::DEFAULT_CACHE),
            anchors: Anchors::new(trust.into()),
            issuers: Vec::new(),
            audiences: Vec::new(),
            any_audience: false,
            confirmations: Vec::new(),
            typ: Typ::Access,
            for_logout: false,
            leeway: Self::DEFAULT_LEEWAY,
            max_token_length: Self::DEFAULT_MAX_TOKEN_LENGTH,
            ignore_expiry: false,
            clock: Arc::new(SystemClock),
            #[cfg(feature = "jwks")]
            has_system_clock: true,
        }
    }

    /// Requires `iss` to be `issuer`, byte for byte. Called again, one of them.
    ///
    /// # Panics
    ///
    /// If `issuer` is empty, or the trust is in [`TrustedIssuer`]s, which bring theirs.
    #[must_use]
    #[track_caller]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        let issuer = issuer.into();
        assert!(!issuer.is_empty(), "the issuer is empty");
        assert!(
            matches!(self.anchors, Anchors::Any(_)),
            "trusted issuers bring their own name"
        );
        self.issuers.push(issuer.into());
        self.changed()
    }

    /// Requires `aud` to be or to contain `audience`, byte for byte. Called again, one of them.
    /// A [`TrustedIssuer`] with audiences of its own is held to those instead.
    ///
    /// # Panics
    ///
    /// If `audience` is empty.
    #[must_use]
    #[track_caller]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        let audience = audience.into();
        assert!(!audience.is_empty(), "the audience is empty");
        self.audiences.push(audience.into());
        self.changed()
    }

    /// Accepts a token whoever it is for, where no audience is configured.
    ///
    /// Without it such a token is refused, as RFC 7519 §4.1.3 wants it: an issuer's token for one service would
    /// open every other.
    #[must_use]
    pub fn any_audience(mut self) -> Self {
        self.any_audience = true;
        self.changed()
    }

    /// How far the issuer's clock may be off. 30 seconds by default.
    ///
    /// # Panics
    ///
    /// If it is more than [`Verifier::MAX_LEEWAY`].
    #[must_use]
    #[track_caller]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        assert!(
            leeway <= Self::MAX_LEEWAY,
            "the leeway is more than 5 minutes"
        );
        self.leeway = leeway;
        self.changed()
    }

    /// Requires the header's `typ` to be `typ`: `at+jwt` for access tokens by RFC 9068 alone. In any case, and with or
    /// without `application/` (RFC 7515 §4.1.9). Without this call `typ` may be absent, `JWT` or `at+jwt`.
    ///
    /// # Panics
    ///
    /// If `typ` is empty.
    #[must_use]
    #[track_caller]
    pub fn typ(mut self, typ: impl Into<String>) -> Self {
        self.typ = Typ::exactly(&typ.into());
        self.changed()
    }

    /// Accepts tokens that are bound to their sender by `method`, a member of `cnf` (RFC 7800): `jkt` for DPoP
    /// (RFC 9449), `x5t#S256` for mutual TLS (RFC 8705).
    ///
    /// This crate does not check the binding: only call it where something else does. Without this call a token
    /// with `cnf` is refused, since it is not a bearer token.
    #[must_use]
    pub fn allow_confirmation(mut self, method: impl Into<String>) -> Self {
        self.confirmations.push(method.into().into());
        self.changed()
    }

    /// The longest token that is looked at, in bytes. 8 KiB by default.
    ///
    /// # Panics
    ///
    /// If it is more than 64 KiB.
    #[must_use]
    #[track_caller]
    pub fn max_token_length(mut self, bytes: usize) -> Self {
        assert!(bytes <= 64 * 1024, "tokens of more than 64 KiB");
        self.max_token_length = bytes;
        self.changed()
    }

    /// Accepts tokens that have expired, and are good otherwise: for a logout, which needs to know whose session is to end.
    #[cfg_attr(
        not(feature = "axum"),
        expect(dead_code, reason = "routes alone need it")
    )]
    pub(crate) fn ignore_expiry(mut self) -> Self {
        self.ignore_expiry = true;
        self.without_cache()
    }

    /// For ID tokens, instead of access tokens: `typ` is absent or `JWT`.
    pub(crate) fn for_id_tokens(mut self) -> Self {
        self.typ = Typ::Identity;
        self.changed().without_cache()
    }

    /// For logout tokens, instead of access tokens: `typ` is absent, `JWT` or `logout+jwt`, and `events` are left to the caller.
    pub(crate) fn for_logout_tokens(mut self) -> Self {
        self.typ = Typ::Logout;
        self.for_logout = true;
        self.changed().without_cache()
    }

    #[cfg(feature = "axum")]
    pub(crate) fn current_clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The leeway and the present time.
    pub(crate) fn tolerance(&self) -> (Duration, Duration) {
        (self.leeway, since_epoch(&*self.clock))
    }

    /// Where the time comes from. The system's clock by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        #[cfg(feature = "jwks")]
        {
            self.has_system_clock = false;
        }
        self.changed()
    }

    /// Remembers verified tokens in `bytes` of memory at most, so that a token seen before costs no signature check and no parse. It
    /// is compared whole; `exp`, `nbf`, `iat` and revocation are checked every time, and a key that goes takes along what it
    /// verified.
    ///
    /// On by default, with [`DEFAULT_CACHE`](Verifier::DEFAULT_CACHE). What it saves is a hundred times what it costs for tokens of
    /// public keys. For those of an HMAC secret it pays once two of five requests bring a token that is still there; a service
    /// that sees each token once does better [without](Verifier::without_cache).
    ///
    /// A token takes about 3 to 5 KiB, decoded claims reckoned in generously: as large as any JSON value may be. What a type of
    /// claims allocates beyond that cannot be seen from here and comes on top: tables that it computes, patterns that it compiles, long
    /// arrays of something far larger than its JSON. Keep such things elsewhere, or remember nothing.
    ///
    /// What is remembered stays in memory, expired or not, until others need its place. Clones share the memory; a verifier that is
    /// configured further begins anew. With 0 bytes nothing is remembered.
    #[must_use]
    pub fn cache(mut self, bytes: usize) -> Self {
        self.known = KnownTokens::within(bytes);
        self
    }

    /// Verifies every token anew, however often it is seen.
    #[must_use]
    pub fn without_cache(mut self) -> Self {
        self.known = KnownTokens::within(0);
        self
    }

    /// What was verified under other settings counts no more.
    fn changed(mut self) -> Self {
        self.anchors.forget();
        self.known = self.known.anew();
        self
    }

    /// Verifies a token in compact serialization (RFC 7515 §3.1).
    ///
    /// # Errors
    ///
    /// [`VerifyError`] for everything that is not a token to be trusted at this moment. It holds nothing of the token.
    pub fn verify(&self, token: impl AsRef<[u8]>) -> Result<VerifiedToken, VerifyError> {
        self.try_verify(token.as_ref()).map_err(Refusal::at_once)
    }

    /// Whether it is said who the tokens of others are to be meant for (RFC 9068 §4).
    pub(crate) fn names_audience(&self) -> bool {
        self.any_audience || !self.audiences.is_empty() || self.anchors.all_remote_have_audiences()
    }

    /// Verifies with the keys at hand, or finds that it did before.
    pub(crate) fn try_verify(&self, token: &[u8]) -> Result<VerifiedToken, Refusal> {
        let Some(place) = self.known.place_of(token) else {
            return Ok(self.verify_anew(token, false)?.0);
        };
        if let Some(known) = place.find() {
            let now = since_epoch(&*self.clock);
            if self.keys_are_of(known.epoch, &known.token, now)? {
                if !known.span.holds(now) {
                    self.check_times(known.token.times(), now)?;
                }
                return Ok(known.token);
            }
        }
        let (token, epoch) = self.verify_anew(token, true)?;
        place.keep(&token, epoch, self.span_of(token.times()));
        Ok(token)
    }

    /// When [`check_times`](Self::check_times) finds nothing amiss with a token that was verified: the same reckoned out beforehand.
    fn span_of(&self, times: Times) -> Span {
        let starts = [times.not_before, times.issued_at];
        let start = starts.into_iter().flatten().max();
        let start = start.map_or(Duration::ZERO, NumericDate::since_epoch);
        Span {
            from: start.saturating_sub(self.leeway),
            until: times.expires_at.since_epoch().saturating_add(self.leeway),
        }
    }

    /// Whether the keys that count now for a known token are those it was verified with.
    fn keys_are_of(
        &self,
        epoch: Epoch,
        token: &VerifiedToken,
        #[cfg_attr(
            not(feature = "jwks"),
            expect(unused_variables, reason = "keys that do not change do not age")
        )]
        now: Duration,
    ) -> Result<bool, Refusal> {
        let anchor = match &self.anchors {
            Anchors::Any(anchor) => Some(anchor),
            Anchors::Issuers(issuers) => token.issuer().and_then(|issuer| issuers.get(issuer)),
        };
        match anchor.map(|anchor| &anchor.keys) {
            None => Ok(false),
            // These never change.
            Some(AnchorKeys::Fixed(_)) => Ok(epoch == Epoch::default()),
            #[cfg(feature = "jwks")]
            Some(AnchorKeys::Remote(remote)) => Ok(self.hold(remote, now)?.epoch() == Some(epoch)),
        }
    }

    /// The keys that count now, by their own clock.
    #[cfg(feature = "jwks")]
    #[inline(always)]
    fn hold(&self, remote: &RemoteRing, now: Duration) -> Result<HeldRing, Refusal> {
        let is_same_clock = self.has_system_clock && remote.has_system_clock();
        let now = if is_same_clock { now } else { remote.now() };
        match remote.fresh_at(now) {
            Some(held) => Ok(held),
            None => remote.at(now),
        }
    }

    fn verify_anew(&self, token: &[u8], is_kept: bool) -> Result<(VerifiedToken, Epoch), Refusal> {
        let segments = Segments::split(token, self.max_token_length).map_err(VerifyError::from)?;
        // Read once, for keys and claims.
        let now = since_epoch(&*self.clock);
        match &self.anchors {
            Anchors::Any(anchor) => {
                let (header, epoch) = self
                    .check_signature(anchor, &segments, now)
                    .map_err(|refusal| self.unless_of_another(refusal, &segments))?;
                let payload = decode_payload(segments.payload)?;
                let claims = self.read_claims(&payload, |members, times| {
                    self.check_issuer(members)?;
                    Ok(self.check_claims(members, times, anchor, now)?)
                })?;
                Ok((VerifiedToken::new(header, payload, claims, is_kept), epoch))
            }
            // The issuer decides on the keys, so the claims are read first; what they say counts for nothing
            // else until the signature is verified.
            Anchors::Issuers(issuers) => {
                let payload = decode_payload(segments.payload)?;
                let mut checked = None;
                let claims = self.read_claims(&payload, |members, times| {
                    let issuer = members
                        .issuer
                        .as_deref()
                        .ok_or(VerifyErrorKind::MissingIssuer)?;
                    let anchor = issuers.get(issuer).ok_or(VerifyErrorKind::UnknownIssuer)?;
                    checked = Some(self.check_signature(anchor, &segments, now)?);
                    Ok(self.check_claims(members, times, anchor, now)?)
                })?;
                let (header, epoch) = checked.ok_or(VerifyErrorKind::BadSignature)?;
                Ok((VerifiedToken::new(header, payload, claims, is_kept), epoch))
            }
        }
    }

    /// Finds the key and verifies the signature. Of which epoch the key is, is known before it is chosen.
    fn check_signature(
        &self,
        anchor: &Anchor,
        segments: &Segments<'_>,
        #[cfg_attr(
            not(feature = "jwks"),
            expect(unused_variables, reason = "keys that do not change do not age")
        )]
        now: Duration,
    ) -> Result<(Arc<VerifiedHeader>, Epoch), Refusal> {
        match &anchor.keys {
            AnchorKeys::Fixed(ring) => {
                Ok((self.check_signature_with(ring, segments)?, Epoch::default()))
            }
            #[cfg(feature = "jwks")]
            AnchorKeys::Remote(remote) => {
                let held = self.hold(remote, now)?;
                let ring = held.ring().ok_or(VerifyErrorKind::KeysUnavailable)?;
                let epoch = held.epoch().ok_or(VerifyErrorKind::KeysUnavailable)?;
                let header =
                    self.check_signature_with(ring, segments).map_err(|error| {
                        match error.kind() {
                            VerifyErrorKind::NoFittingKey
                                if Ring::could_hold_key_of(segments.header)
                                    && base64url::decode(segments.signature).is_ok() =>
                            {
                                remote.lacks_key(&held)
                            }
                            _ => error.into(),
                        }
                    })?;
                Ok((header, epoch))
            }
        }
    }

    /// A token of another issuer than the one required makes nobody fetch anything.
    fn unless_of_another(&self, refusal: Refusal, segments: &Segments<'_>) -> Refusal {
        if matches!(refusal, Refusal::Final(_)) {
            return refusal;
        }
        let is_ours = self.issuers.is_empty()
            || decode_payload(segments.payload).is_ok_and(|payload| {
                read_registered(&payload).is_ok_and(|members| self.check_issuer(&members).is_ok())
            });
        if is_ours {
            refusal
        } else {
            Refusal::Final(VerifyErrorKind::NoFittingKey.into())
        }
    }

    fn check_signature_with(
        &self,
        ring: &Ring,
        segments: &Segments<'_>,
    ) -> Result<Arc<VerifiedHeader>, VerifyError> {
        /// The signature of an RSA key of 8192 bits, the longest there is.
        const LONGEST: usize = 1024;
        /// That of P-521, in base64url: all but RSA.
        const SHORT: usize = 176;
        /// That of an RSA key of 2048 bits, in base64url.
        const USUAL: usize = 344;

        let choice = ring.choose(segments.header, &self.typ)?;
        let verify = |buffer: &mut [u8]| {
            let signature = base64url::decode_into(segments.signature, buffer)
                .map_err(|_| VerifyErrorKind::Malformed)?;
            if choice.key.verifies(segments.signing_input, signature) {
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
        Ok(ring.remember(choice, segments.header))
    }

    fn read_claims(
        &self,
        payload: &str,
        check: impl FnOnce(&RegisteredMembers<'_>, Option<Times>) -> Result<(), Refusal>,
    ) -> Result<StoredClaims, Refusal> {
        let members = read_registered(payload)
            .map_err(|error| VerifyError::decoding(VerifyErrorKind::MalformedClaims, &error))?;
        let times = members.times();
        check(&members, times)?;
        let times = times.ok_or(VerifyErrorKind::MissingExpiry)?;
        Ok(StoredClaims::new(&members, times, payload))
    }

    fn check_issuer(&self, members: &RegisteredMembers<'_>) -> Result<(), VerifyError> {
        if self.issuers.is_empty() {
            return Ok(());
        }
        let issuer = members
            .issuer
            .as_deref()
            .ok_or(VerifyErrorKind::MissingIssuer)?;
        if self.issuers.iter().any(|trusted| **trusted == *issuer) {
            Ok(())
        } else {
            Err(VerifyErrorKind::WrongIssuer.into())
        }
    }

    /// What the claims say about time and place.
    fn check_claims(
        &self,
        members: &RegisteredMembers<'_>,
        times: Option<Times>,
        anchor: &Anchor,
        now: Duration,
    ) -> Result<(), VerifyError> {
        if members.events && !self.for_logout {
            return Err(VerifyErrorKind::LogoutToken.into());
        }
        if let Some(methods) = &members.confirmation {
            let allowed = |method: &str| self.confirmations.iter().any(|name| **name == *method);
            if methods.is_empty() || !methods.iter().all(|method| allowed(method)) {
                return Err(VerifyErrorKind::SenderConstrained.into());
            }
        }
        self.check_times(times.ok_or(VerifyErrorKind::MissingExpiry)?, now)?;
        self.check_audience(members, anchor)
    }

    fn check_times(&self, times: Times, now: Duration) -> Result<(), VerifyError> {
        let latest_start = now.saturating_add(self.leeway);
        let expires_at = times.expires_at;
        if !self.ignore_expiry && now >= expires_at.since_epoch().saturating_add(self.leeway) {
            return Err(VerifyErrorKind::Expired.into());
        }
        if times
            .not_before
            .is_some_and(|start| start.since_epoch() > latest_start)
        {
            return Err(VerifyErrorKind::NotYetValid.into());
        }
        if let Some(issued_at) = times.issued_at {
            if issued_at.since_epoch() > latest_start {
                return Err(VerifyErrorKind::IssuedInFuture.into());
            }
            if expires_at < issued_at {
                return Err(VerifyErrorKind::ExpiresBeforeIssued.into());
            }
        }
        Ok(())
    }

    fn check_audience(
        &self,
        members: &RegisteredMembers<'_>,
        anchor: &Anchor,
    ) -> Result<(), VerifyError> {
        let accepted = match anchor.audiences() {
            [] => &*self.audiences,
            own => own,
        };
        // An empty array names nobody. Only where an audience is required does that differ from no
        // `aud`.
        let audience = members
            .audience
            .as_ref()
            .filter(|audience| !accepted.is_empty() || !audience.is_empty());
        match (audience, accepted) {
            // What others sign is meant for somebody: for us only if it says so (RFC 9068 §4).
            (None, []) if anchor.is_remote() && !self.any_audience => {
                Err(VerifyErrorKind::MissingAudience.into())
            }
            (None, []) => Ok(()),
            (Some(_), []) if self.any_audience => Ok(()),
            (Some(_), []) => Err(VerifyErrorKind::UnexpectedAudience.into()),
            (None, _) => Err(VerifyErrorKind::MissingAudience.into()),
            (Some(audience), accepted) => {
                let ours = |name: &str| accepted.iter().any(|own| **own == *name);
                if audience.names().any(ours) {
                    Ok(())
                } else {
                    Err(VerifyErrorKind::WrongAudience.into())
                }
            }
        }
    }
}

fn decode_payload(segment: &[u8]) -> Result<String, VerifyError> {
    let bytes = base64url::decode(segment).map_err(|_| VerifyErrorKind::Malformed)?;
    // serde_json skips over strings that it ignores without looking whether they are UTF-8.
    String::from_utf8(bytes).map_err(|_| VerifyErrorKind::MalformedClaims.into())
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("trust", &self.anchors)
            .field("issuers", &self.issuers)
            .field("audiences", &self.audiences)
            .field("any_audience", &self.any_audience)
            .field("confirmations", &self.confirmations)
            .field("typ", &self.typ)
            .field("leeway", &self.leeway)
            .field("max_token_length", &self.max_token_length)
            .field("cache", &self.known)
            .finish_non_exhaustive()
    }
}
