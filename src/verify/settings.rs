//! How a [`Verifier`] is configured.

use std::time::Duration;

use super::cached::VerifiedTokens;
use super::rules::{ClaimRules, Profile};
use super::trust::Trust;
use super::verifier::Verifier;
use crate::clock::{Clock, ClockSource};

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
            trust: trust.into(),
            rules: ClaimRules::new(Self::DEFAULT_LEEWAY),
            max_token_length: Self::DEFAULT_MAX_TOKEN_LENGTH,
            clock: ClockSource::default(),
            cache: VerifiedTokens::within(Self::DEFAULT_CACHE),
        }
        .changed()
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
            !self.trust.names_issuers(),
            "trusted issuers bring their own name"
        );
        self.rules.issuers.push(issuer.into());
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
        self.rules.audiences.push(audience.into());
        self.changed()
    }

    /// Accepts a token whoever it is for, where no audience is configured.
    ///
    /// Without it such a token is refused, as RFC 7519 §4.1.3 wants it: an issuer's token for one service would
    /// open every other.
    #[must_use]
    pub fn any_audience(mut self) -> Self {
        self.rules.any_audience = true;
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
        self.rules.leeway = leeway;
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
        self.rules.require_type(&typ.into());
        self.changed()
    }

    /// Accepts tokens that are bound to their sender by `method`, a member of `cnf` (RFC 7800): `jkt` for DPoP
    /// (RFC 9449), `x5t#S256` for mutual TLS (RFC 8705).
    ///
    /// This crate does not check the binding: only call it where something else does. Without this call a token
    /// with `cnf` is refused, since it is not a bearer token.
    #[must_use]
    pub fn allow_confirmation(mut self, method: impl Into<String>) -> Self {
        self.rules.confirmations.push(method.into().into());
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
    pub(crate) fn for_expired_tokens(mut self) -> Self {
        self.rules.profile = Profile::ExpiredAccessToken;
        self.without_cache()
    }

    /// For ID tokens, instead of access tokens: `typ` is absent or `JWT`.
    pub(crate) fn for_id_tokens(mut self) -> Self {
        self.rules.profile = Profile::IdToken;
        self.changed().without_cache()
    }

    /// For logout tokens, instead of access tokens: `typ` is absent, `JWT` or `logout+jwt`, and `events` are left to the caller.
    pub(crate) fn for_logout_tokens(mut self) -> Self {
        self.rules.profile = Profile::LogoutToken;
        self.changed().without_cache()
    }

    #[cfg(feature = "axum")]
    pub(crate) fn current_clock(&self) -> ClockSource {
        self.clock.clone()
    }

    /// The leeway and the present time.
    pub(crate) fn tolerance(&self) -> (Duration, Duration) {
        (self.rules.leeway, self.clock.since_epoch())
    }

    /// Where the time comes from. The system's clock by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = ClockSource::custom(clock);
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
        self.cache = VerifiedTokens::within(bytes);
        self
    }

    /// Verifies every token anew, however often it is seen.
    #[must_use]
    pub fn without_cache(mut self) -> Self {
        self.cache = VerifiedTokens::within(0);
        self
    }

    /// What was verified under other settings counts no more.
    fn changed(mut self) -> Self {
        self.trust.clear_headers();
        self.cache = self.cache.emptied();
        self
    }

    /// Whether it is configured for whom tokens of fetched keys must be (RFC 9068 §4).
    pub(crate) fn names_audience(&self) -> bool {
        self.rules.any_audience
            || !self.rules.audiences.is_empty()
            || self.trust.has_audiences_where_remote()
    }
}
