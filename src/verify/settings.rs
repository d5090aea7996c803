//! How a [`Verifier`] is configured.

use std::time::Duration;

use super::cached::VerifiedTokens;
use super::rules::{ClaimRules, IssuerRules, Profile, access_token_type};
use super::trust::IntoTrust;
use super::verifier::Verifier;
use crate::clock::{Clock, ClockSource, MAX_LEEWAY};
#[cfg(feature = "introspection")]
use crate::introspection::Introspection;

impl Verifier {
    /// 30 seconds: the clocks of synchronized servers differ by less.
    pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);

    /// 5 minutes. A longer leeway would hide a broken clock and keep expired tokens valid.
    pub const MAX_LEEWAY: Duration = MAX_LEEWAY;

    /// 8 KiB: most servers reject longer headers.
    pub const DEFAULT_MAX_TOKEN_LENGTH: usize = 8 * 1024;

    /// The greatest value of [`max_token_length`](Verifier::max_token_length).
    pub(crate) const LONGEST_TOKEN: usize = 64 * 1024;

    /// 16 MiB, enough for about 12,000 tokens of 500 bytes. Memory is allocated as tokens arrive.
    pub const DEFAULT_CACHE: usize = 16 * 1024 * 1024;

    /// Trusts a key, a [`KeySet`](crate::keys::KeySet), or
    /// [`TrustedIssuer`](super::TrustedIssuer)s. With feature `jwks` also
    /// `RemoteKeys` and an `IssuerResolution`, and with feature `introspection` an
    /// `Introspection`.
    #[must_use]
    #[track_caller]
    pub fn new(trust: impl IntoTrust) -> Self {
        Self {
            trust: trust.into_trust(),
            rules: ClaimRules::new(Self::DEFAULT_LEEWAY),
            max_token_length: Self::DEFAULT_MAX_TOKEN_LENGTH,
            clock: ClockSource::default(),
            cache: VerifiedTokens::within(Self::DEFAULT_CACHE),
        }
        .changed()
    }

    /// Asks an issuer about opaque tokens, beside the keys that verify JWTs.
    ///
    /// The shape of a token decides: three segments of base64url are a JWT. So are three segments
    /// of other base64, and those with padding or dots at the end: the issuer may read them as a
    /// JWT. See [`introspection`](crate::introspection). For tokens that are all opaque, pass the
    /// introspection to [`Verifier::new`] instead.
    ///
    /// # Panics
    ///
    /// If there is one already: an opaque token does not name its issuer.
    #[cfg(feature = "introspection")]
    #[cfg_attr(docsrs, doc(cfg(feature = "introspection")))]
    #[must_use]
    #[track_caller]
    pub fn introspection(mut self, introspection: Introspection) -> Self {
        self.trust.ask(introspection);
        self.changed()
    }

    /// Requires `iss` to be `issuer`, byte for byte.
    ///
    /// May be called more than once: a token must match one of the values.
    ///
    /// # Panics
    ///
    /// - If `issuer` is empty.
    /// - If the issuers have names already: you trust [`TrustedIssuer`](super::TrustedIssuer)s,
    ///   keys of `RemoteKeys::discover`, an `IssuerResolution`, or an `Introspection` alone.
    #[must_use]
    #[track_caller]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        let issuer = issuer.into();
        assert!(!issuer.is_empty(), "the issuer is empty");
        assert!(
            !self.trust.names_issuers(),
            "the issuers have names already: do not call `issuer`"
        );
        self.rules.issuers.push(issuer.into());
        self.changed()
    }

    /// Requires `aud` to be or to contain `audience`, byte for byte (RFC 7519 §4.1.3).
    ///
    /// May be called more than once: a token must match one of the values. A
    /// [`TrustedIssuer`](super::TrustedIssuer) with audiences uses its own instead.
    ///
    /// # Panics
    ///
    /// If `audience` is empty.
    #[must_use]
    #[track_caller]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        let audience = audience.into();
        assert!(!audience.is_empty(), "the audience is empty");
        self.rules.audiences.push(audience.into());
        self.changed()
    }

    /// Accepts a token with any `aud` while no audience is configured.
    ///
    /// By default such a token is rejected (RFC 7519 §4.1.3): otherwise all services of an issuer
    /// would accept a token for one of them. If keys are fetched, a token without `aud` is rejected
    /// too, because its issuer may serve other services (RFC 9068 §4). This method accepts both.
    ///
    /// It applies to every issuer without audiences of its own. For one issuer, call
    /// [its method](super::TrustedIssuer::any_audience).
    #[must_use]
    pub fn any_audience(mut self) -> Self {
        self.rules.any_audience = true;
        self.changed()
    }

    /// Sets how far the issuer's clock may be off. 30 seconds by default.
    ///
    /// It applies to `exp`, `nbf` and `iat`.
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
        self.rules.leeway = leeway;
        self.changed()
    }

    /// Requires the header's `typ` to be `typ`, for example `at+jwt`.
    ///
    /// May be called more than once: a token must have one of the values. A
    /// [`TrustedIssuer`](super::TrustedIssuer) with values uses its own instead. Case does not
    /// matter, nor does the prefix `application/` (RFC 7515 §4.1.9). By default `typ` may be
    /// absent, `JWT` or `at+jwt`. For access tokens that conform to RFC 9068, call
    /// [`rfc9068`](Verifier::rfc9068) instead.
    ///
    /// # Panics
    ///
    /// - If `typ` is empty.
    /// - If it is the type of another kind of token: `logout+jwt`, `dpop+jwt`, `secevent+jwt` or
    ///   `token-introspection+jwt`.
    /// - If you called [`rfc9068`](Verifier::rfc9068) before.
    #[must_use]
    #[track_caller]
    pub fn typ(mut self, typ: impl Into<String>) -> Self {
        let typ = typ.into();
        assert!(
            !self.rules.is_rfc9068,
            "RFC 9068 has one typ: do not call `typ`"
        );
        self.rules.accept_type(access_token_type(&typ));
        self.changed()
    }

    /// Requires an access token that conforms to RFC 9068, the JWT profile for OAuth 2.0 access
    /// tokens.
    ///
    /// - `typ` is `at+jwt` or `application/at+jwt` (§4).
    /// - `iss`, `exp`, `aud`, `sub`, `client_id`, `iat` and `jti` are present (§2.2).
    /// - `iss` and `aud` match configured values (§4): call [`issuer`](Verifier::issuer) and
    ///   [`audience`](Verifier::audience), or trust a [`TrustedIssuer`](super::TrustedIssuer).
    ///   Without an issuer every token is rejected.
    ///
    /// [`Sessions`](crate::session::Sessions) issues such tokens, once it has an issuer, an
    /// audience and a [`client_id`](crate::session::Sessions::client_id).
    ///
    /// ```
    /// use tower_jwt_auth::Verifier;
    /// # let keys = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
    ///
    /// let verifier = Verifier::new(keys)
    ///     .issuer("https://id.example.com").audience("https://api.example.com")
    ///     .rfc9068();
    /// ```
    ///
    /// # Panics
    ///
    /// If you called [`typ`](Verifier::typ) before, with another value than `at+jwt`.
    #[must_use]
    #[track_caller]
    pub fn rfc9068(mut self) -> Self {
        self.rules.require_rfc9068();
        self.changed()
    }

    /// Treats `null` in a registered claim as a missing claim: `iss`, `sub`, `aud`, `exp`, `nbf`,
    /// `iat`, `jti` and `sid`. Required claims stay required.
    ///
    /// By default such a token is rejected: RFC 7519 does not allow `null` in these claims, so it
    /// is usually an issuer's bug.
    ///
    /// If you also trust the `Introspection` of another issuer, its opaque tokens are not affected.
    ///
    /// # Panics
    ///
    /// If the verifier trusts several [`TrustedIssuer`](super::TrustedIssuer)s or an
    /// `IssuerResolution`: call [the method of the one
    /// issuer](super::TrustedIssuer::allow_null_claims).
    #[must_use]
    #[track_caller]
    pub fn allow_null_claims(self) -> Self {
        self.allow(|rules| rules.allowed.null_claims = true)
    }

    /// Accepts a whole number in `sub`. [`subject`](super::VerifiedToken::subject) is then its
    /// decimal digits.
    ///
    /// **`1` and `"1"` are then the same subject**, also for revocation. Call this only if the
    /// issuer never uses both for different users. A number has at most 19 digits and no sign,
    /// fraction or exponent. Your own type of claims still sees a number.
    ///
    /// By default such a token is rejected (RFC 7519 §4.1.2).
    ///
    /// If you also trust the `Introspection` of another issuer, its opaque tokens are not affected.
    ///
    /// # Panics
    ///
    /// If the verifier trusts several [`TrustedIssuer`](super::TrustedIssuer)s or an
    /// `IssuerResolution`: call [the method of the one
    /// issuer](super::TrustedIssuer::allow_integer_subject).
    #[must_use]
    #[track_caller]
    pub fn allow_integer_subject(self) -> Self {
        self.allow(|rules| rules.allowed.integer_subject = true)
    }

    /// Accepts tokens without `exp`: they expire at `max_age` after `iat`.
    ///
    /// That date counts everywhere: in [`expires_at`](super::VerifiedToken::expires_at), in the
    /// cache and for revocation. A token without `exp` needs an `iat`. A token with `exp` expires
    /// at its `exp`.
    ///
    /// By default such a token is rejected, because a stolen one would stay valid for ever.
    ///
    /// If you also trust the `Introspection` of another issuer, its opaque tokens are not affected.
    ///
    /// # Panics
    ///
    /// - If `max_age` is zero.
    /// - If the verifier trusts several [`TrustedIssuer`](super::TrustedIssuer)s or an
    ///   `IssuerResolution`: call [the method of the one
    ///   issuer](super::TrustedIssuer::allow_missing_expiry).
    #[must_use]
    #[track_caller]
    pub fn allow_missing_expiry(self, max_age: Duration) -> Self {
        assert!(!max_age.is_zero(), "the maximum age is zero");
        self.allow(|rules| rules.max_age = Some(max_age))
    }

    /// Accepts segments with correct padding: `=` at their end (RFC 4648 §3.2). AWS Application
    /// Load Balancers send them.
    ///
    /// The same token can then arrive with and without padding. Revocation is not affected: it does
    /// not compare the token's text. By default padding is rejected (RFC 7515 §2).
    ///
    /// # Panics
    ///
    /// If the verifier trusts several [`TrustedIssuer`](super::TrustedIssuer)s or an
    /// `IssuerResolution`: call [the method of the one
    /// issuer](super::TrustedIssuer::allow_padding).
    #[must_use]
    #[track_caller]
    pub fn allow_padding(self) -> Self {
        self.allow(|rules| rules.padding_allowed = true)
    }

    /// Changes the rules of the one issuer. With several issuers, it would loosen the rules for the
    /// others too.
    #[track_caller]
    fn allow(mut self, change: impl FnOnce(&mut IssuerRules)) -> Self {
        let rules = self.trust.sole_rules();
        assert!(
            rules.is_some(),
            "several issuers are trusted: call this method of the `TrustedIssuer` that deviates"
        );
        if let Some(rules) = rules {
            change(rules);
        }
        self.changed()
    }

    /// Accepts sender-constrained tokens with this member of `cnf` (RFC 7800): `jkt` for DPoP
    /// (RFC 9449), `x5t#S256` for mutual TLS (RFC 8705).
    ///
    /// Call this only if something else checks the binding, such as a gateway. By default a token
    /// with `cnf` is rejected, because it is not a bearer token. The layer can check both: see
    /// [`TokenSource::dpop`](crate::TokenSource::dpop) and
    /// [`JwtAuthLayer::mtls`](crate::JwtAuthLayer::mtls).
    #[must_use]
    pub fn allow_confirmation(mut self, method: impl Into<String>) -> Self {
        self.rules.confirmations.push(method.into().into());
        self.changed()
    }

    /// Accepts tokens that are bound to a key by `jkt`. The caller checks the key.
    pub(crate) fn with_proven_keys(mut self) -> Self {
        self.rules.keys_are_proven = true;
        self.changed()
    }

    /// Whether the caller checks the key that a token is bound to.
    pub(crate) fn keys_are_proven(&self) -> bool {
        self.rules.keys_are_proven
    }

    /// Accepts tokens that are bound to a certificate by `x5t#S256`. The caller checks the
    /// certificate.
    pub(crate) fn with_checked_certificates(mut self) -> Self {
        self.rules.certificates_are_checked = true;
        self.changed()
    }

    /// Whether the caller checks the certificate that a token is bound to.
    pub(crate) fn certificates_are_checked(&self) -> bool {
        self.rules.certificates_are_checked
    }

    /// Whether tokens with this member of `cnf` pass without a check of it.
    pub(crate) fn allows_confirmation(&self, method: &str) -> bool {
        let mut methods = self.rules.confirmations.iter();
        methods.any(|allowed| **allowed == *method)
    }

    /// Sets the length of the longest token to accept, in bytes. 8 KiB by default.
    ///
    /// # Panics
    ///
    /// If it is more than 64 KiB.
    #[must_use]
    #[track_caller]
    pub fn max_token_length(mut self, bytes: usize) -> Self {
        assert!(bytes <= Self::LONGEST_TOKEN, "tokens of more than 64 KiB");
        self.max_token_length = bytes;
        self.changed()
    }

    /// Accepts expired tokens: a logout needs to know whose session ends.
    #[cfg_attr(
        not(feature = "axum"),
        expect(dead_code, reason = "routes alone need it")
    )]
    pub(crate) fn for_expired_tokens(mut self) -> Self {
        self.rules.profile = Profile::ExpiredAccess;
        self.without_cache()
    }

    /// Accepts ID tokens instead of access tokens.
    pub(crate) fn for_id_tokens(mut self) -> Self {
        self.rules.profile = Profile::Id;
        self.changed().without_cache()
    }

    /// Requires `typ: logout+jwt`.
    pub(crate) fn requiring_logout_type(mut self) -> Self {
        self.rules.accept_type("logout+jwt");
        self.changed()
    }

    /// Accepts logout tokens instead of access tokens. The caller checks `events`.
    pub(crate) fn for_logout_tokens(mut self) -> Self {
        self.rules.profile = Profile::Logout;
        self.changed().without_cache()
    }

    #[cfg(feature = "axum")]
    pub(crate) fn current_clock(&self) -> ClockSource {
        self.clock.clone()
    }

    pub(crate) fn leeway_and_now(&self) -> (Duration, Duration) {
        (self.rules.leeway, self.clock.since_epoch())
    }

    /// Sets the clock. The system clock by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = ClockSource::custom(clock);
        self.changed()
    }

    /// Sets the memory of the token cache, in bytes. 16 MiB by default, 0 turns it off.
    ///
    /// A cache hit costs no signature check and no parsing. The whole token is compared, and `exp`,
    /// `nbf`, `iat` and revocation are checked every time. A change of an issuer's fetched keys
    /// invalidates the cached tokens that they verified.
    ///
    /// A miss costs slightly more than without a cache. With public keys, one hit saves about a
    /// hundred times this extra cost. With an HMAC secret, the cache pays off if two of five
    /// requests hit. [Turn it off](Verifier::without_cache) if your service gets each token once.
    ///
    /// A token of 500 bytes takes about 1.3 KiB, and 2.2 KiB if its claims are a `Value`. A token
    /// of more than 4 KiB is not cached.
    ///
    /// `bytes` includes strings, sequences and maps of the claims. It does not include boxes, nor
    /// what your type computes. If those are large, keep them elsewhere, or turn the cache off.
    ///
    /// Entries stay cached until they are evicted; expired ones are rejected when found. Clones
    /// share the cache. Any other setter gives this verifier an empty cache of its own.
    #[must_use]
    pub fn cache(mut self, bytes: usize) -> Self {
        self.cache = VerifiedTokens::within(bytes);
        self
    }

    /// Turns the token cache off.
    #[must_use]
    pub fn without_cache(mut self) -> Self {
        self.cache = VerifiedTokens::within(0);
        self
    }

    /// Empties the caches: their entries were verified under other settings.
    fn changed(mut self) -> Self {
        self.trust.clear_headers();
        self.cache = self.cache.emptied();
        self
    }

    /// Whether RFC 9068 is required, and the issuer or the audience is not configured.
    pub(crate) fn lacks_names_for_rfc9068(&self) -> bool {
        let has_issuer = self.trust.names_issuers() || !self.rules.issuers.is_empty();
        let has_audience = self.rules.any_audience
            || !self.rules.audiences.is_empty()
            || self.trust.has_audiences();
        self.rules.is_rfc9068 && !(has_issuer && has_audience)
    }

    /// Whether it is configured for whom tokens of fetched keys must be (RFC 9068 §4).
    pub(crate) fn names_audience(&self) -> bool {
        self.rules.any_audience
            || !self.rules.audiences.is_empty()
            || self.trust.has_audiences_where_remote()
    }
}
