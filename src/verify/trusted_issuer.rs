//! One issuer, its keys and the rules for its tokens.

use std::time::Duration;

use super::rules::IssuerRules;
use super::sources::Keys;
use super::tenants::Tenants;
use crate::keys::TENANT_SLOT;

/// The keys of one issuer, and the rules for its tokens.
#[derive(Clone, Debug)]
pub(super) struct IssuerTrust {
    keys: Keys,
    rules: IssuerRules,
    /// The tenants, if it stands for many issuers.
    tenants: Option<Box<Tenants>>,
}

impl IssuerTrust {
    pub(super) fn new(keys: Keys, tenants: Option<Tenants>) -> Self {
        let rules = IssuerRules {
            audience_required: keys.are_remote(),
            ..IssuerRules::default()
        };
        Self {
            keys,
            rules,
            tenants: tenants.map(Box::new),
        }
    }

    #[inline]
    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    #[inline]
    pub(super) fn tenants(&self) -> Option<&Tenants> {
        self.tenants.as_deref()
    }

    #[inline]
    pub(super) fn rules(&self) -> &IssuerRules {
        &self.rules
    }

    pub(super) fn rules_mut(&mut self) -> &mut IssuerRules {
        &mut self.rules
    }

    /// Whether it has audiences of its own, if its keys are fetched.
    pub(super) fn has_audiences_where_remote(&self) -> bool {
        !self.keys.are_remote() || self.rules.decide_audience()
    }

    /// Requires an audience even if the keys are fixed: the issuer may serve other services too.
    #[cfg(feature = "jwks")]
    pub(super) fn require_audience(&mut self) {
        self.rules.audience_required = true;
    }

    pub(super) fn clear_headers(&mut self) {
        self.keys.clear_headers();
    }
}

/// An issuer with its own keys. Its tokens are verified with those and no others (RFC 8725 §3.8).
///
/// ```
/// use tower_jwt_auth::{TrustedIssuer, Verifier};
/// use tower_jwt_auth::keys::VerifyingKey;
///
/// # let (ours, partners) = (VerifyingKey::hs256([1; 32])?, VerifyingKey::hs256([2; 32])?);
/// let verifier = Verifier::new([
///     TrustedIssuer::new("https://id.example.com", ours),
///     TrustedIssuer::new("https://id.partner.example", partners).audience("our-api"),
/// ]);
/// # Ok::<_, tower_jwt_auth::keys::KeyError>(())
/// ```
///
/// **With several issuers, `sub` alone identifies no user.** A subject is unique only within its
/// issuer (RFC 7519 §4.1.2): the `u1` of a partner is not your `u1`. The same holds for `sid`. A
/// handler behind such a layer must use [`issuer`](crate::VerifiedToken::issuer) and
/// [`subject`](crate::VerifiedToken::subject) together. To act on your own sessions, take the
/// subject from [`Sessions::subject_of`](crate::session::Sessions::subject_of), which refuses other
/// issuers.
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    pub(super) name: Box<str>,
    pub(super) trust: IssuerTrust,
}

impl TrustedIssuer {
    /// Trusts tokens whose `iss` is `name`, byte for byte, if one of `keys` signed them.
    ///
    /// # Panics
    ///
    /// If `name` is empty or contains `{tenantid}`, or `keys` come from `RemoteKeys::discover` of
    /// another issuer.
    #[must_use]
    #[track_caller]
    pub fn new(name: impl Into<String>, keys: impl Into<Keys>) -> Self {
        let name = name.into();
        assert!(!name.is_empty(), "the issuer is empty");
        assert!(
            !name.contains(TENANT_SLOT),
            "the issuer is the pattern of many names: call `TrustedIssuer::tenants`"
        );
        Self::named(name, keys.into(), None)
    }

    /// Trusts the issuers of many tenants, which share `keys`. `{tenantid}` in `pattern` stands for
    /// the tenant.
    ///
    /// You need it for a multi-tenant application of Microsoft Entra ID. Choose the tenants with
    /// [`tenant`](Self::tenant) or [`any_tenant`](Self::any_tenant).
    ///
    /// ```
    /// # #[cfg(feature = "jwks")] {
    /// use tower_jwt_auth::{TrustedIssuer, Verifier, keys::remote::RemoteKeys};
    ///
    /// let pattern = "https://login.microsoftonline.com/{tenantid}/v2.0";
    /// let keys = RemoteKeys::discover(pattern).build()?;
    /// let entra = TrustedIssuer::tenants(pattern, keys)
    ///     .tenant("72f988bf-86f1-41af-91ab-2d7cd011db47")
    ///     .audience("6731de76-14a6-49ae-97bc-6eba6914391e");
    /// let verifier = Verifier::new(entra);
    /// # }
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// - The tenant is one segment of the path: 1 to 253 ASCII letters, digits, `-`, `.` and `_`.
    /// - The claim `tid` must be the tenant in `iss`, byte for byte.
    /// - A token of a tenant that you did not choose is rejected before any key is fetched.
    /// - If you also trust one of these issuers by its exact name, it keeps its own keys and
    ///   audiences.
    ///
    /// # Panics
    ///
    /// If `pattern` is not a URL with `{tenantid}` as exactly one path segment, or `keys` come from
    /// `RemoteKeys::discover` of another issuer.
    #[must_use]
    #[track_caller]
    pub fn tenants(pattern: impl Into<String>, keys: impl Into<Keys>) -> Self {
        let pattern = pattern.into();
        let tenants = Tenants::of_pattern(&pattern);
        assert!(
            tenants.is_some(),
            "the pattern is not a URL with `{{tenantid}}` as exactly one segment of its path"
        );
        Self::named(pattern, keys.into(), tenants)
    }

    #[track_caller]
    fn named(name: String, keys: Keys, tenants: Option<Tenants>) -> Self {
        let issuer = Self {
            name: name.into(),
            trust: IssuerTrust::new(keys, tenants),
        };
        issuer.check_keys();
        issuer
    }

    /// Whether it is one issuer, of this name.
    #[cfg(feature = "jwks")]
    pub(super) fn is_named(&self, name: &str) -> bool {
        *self.name == *name && self.trust.tenants.is_none()
    }

    #[track_caller]
    fn check_keys(&self) {
        #[cfg(feature = "jwks")]
        assert!(
            self.trust.keys.are_of(&self.name),
            "the keys are those of another issuer"
        );
    }

    /// Adds a second source of keys. Use it while an issuer migrates from one to the other.
    ///
    /// Supabase does this: old tokens are signed with a shared secret, new ones with keys that it
    /// publishes.
    ///
    /// ```
    /// # #[cfg(feature = "jwks")] {
    /// use tower_jwt_auth::{TrustedIssuer, keys::VerifyingKey, keys::remote::RemoteKeys};
    ///
    /// # let secret = [7; 32];
    /// let issuer = "https://project.supabase.co/auth/v1";
    /// let published = RemoteKeys::discover(issuer).build()?;
    /// let trusted = TrustedIssuer::new(issuer, VerifyingKey::hs256(secret)?).keys(published);
    /// # }
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// - A token's `alg` chooses the source, then its `kid` chooses the key. No other source is
    ///   tried. So a token whose `alg` belongs to a key that you configured causes no fetch, and
    ///   works during an outage.
    /// - `RemoteKeys` count as a source for every asymmetric algorithm, unless you
    ///   [name their algorithms](crate::keys::JwksOptions::algorithms).
    /// - A change of the published keys does not invalidate cached tokens of another source.
    ///
    #[cfg_attr(feature = "jwks", doc = "```no_run")]
    #[cfg_attr(not(feature = "jwks"), doc = "```text")]
    /// use tower_jwt_auth::TrustedIssuer;
    /// use tower_jwt_auth::keys::{Algorithm, JwksOptions, remote::RemoteKeys};
    ///
    /// let only = |algorithm| JwksOptions::new().algorithms([algorithm]);
    /// let old = RemoteKeys::jwks("https://old.example.com/keys").options(only(Algorithm::RS256));
    /// let new = RemoteKeys::jwks("https://new.example.com/keys").options(only(Algorithm::ES256));
    /// let trusted = TrustedIssuer::new("https://id.example.com", old.build()?).keys(new.build()?);
    /// # Ok::<_, tower_jwt_auth::keys::remote::RemoteKeysError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// - If two sources may have keys for the same algorithm. Put fixed keys into one
    ///   [`KeySet`](crate::keys::KeySet), and name the algorithms of `RemoteKeys`.
    /// - If `more` comes from `RemoteKeys::discover` of another issuer.
    #[must_use]
    #[track_caller]
    pub fn keys(mut self, more: impl Into<Keys>) -> Self {
        self.trust.keys = self.trust.keys.and(more.into());
        self.trust.rules.audience_required = self.trust.keys.are_remote();
        self.check_keys();
        self
    }

    /// Trusts one tenant of [`tenants`](Self::tenants). May be called more than once.
    ///
    /// # Panics
    ///
    /// - If this was not created with [`tenants`](Self::tenants), or you called
    ///   [`any_tenant`](Self::any_tenant) before.
    /// - If `tenant` is not a segment of 1 to 253 ASCII letters, digits, `-`, `.` and `_`.
    #[must_use]
    #[track_caller]
    pub fn tenant(mut self, tenant: impl AsRef<str>) -> Self {
        let tenants = self.trust.tenants.as_deref_mut();
        assert!(
            tenants.and_then(|all| all.allow(tenant.as_ref())).is_some(),
            "call `tenant` on `TrustedIssuer::tenants` without `any_tenant`, with a name of ASCII \
             letters, digits, `-`, `.` and `_`"
        );
        self
    }

    /// Trusts every tenant of [`tenants`](Self::tenants), including those that you do not know.
    ///
    /// Anybody can create a tenant of Microsoft Entra ID. Your handlers must check which tenant a
    /// token is of: see [`issuer`](crate::VerifiedToken::issuer).
    ///
    /// # Panics
    ///
    /// If this was not created with [`tenants`](Self::tenants), or you called
    /// [`tenant`](Self::tenant) before.
    #[must_use]
    #[track_caller]
    pub fn any_tenant(mut self) -> Self {
        let tenants = self.trust.tenants.as_deref_mut();
        assert!(
            tenants.and_then(Tenants::allow_any).is_some(),
            "call `any_tenant` on `TrustedIssuer::tenants`, without `tenant`"
        );
        self
    }

    /// Requires `aud` to be or to contain `audience`, byte for byte.
    ///
    /// This replaces the verifier's audiences for this issuer. May be called more than once: a
    /// token must name one of the values.
    ///
    /// # Panics
    ///
    /// If `audience` is empty, or you called [`any_audience`](Self::any_audience) before.
    #[must_use]
    #[track_caller]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        let audience = audience.into();
        assert!(!audience.is_empty(), "the audience is empty");
        self.changed(|rules| rules.audiences.push(audience.into()))
    }

    /// Accepts tokens of this issuer with any `aud`, or with none.
    ///
    /// This replaces the verifier's audiences for this issuer. Use it for an issuer that names no
    /// audience, such as Amazon Cognito. Then check another claim, for example `client_id` with
    /// [`Require::claim`](crate::Require::claim): otherwise a token for one service of the issuer
    /// is accepted by every other.
    ///
    /// # Panics
    ///
    /// If you called [`audience`](Self::audience) before.
    #[must_use]
    #[track_caller]
    pub fn any_audience(self) -> Self {
        self.changed(|rules| rules.any_audience = true)
    }

    /// Requires the `typ` of this issuer's access tokens to be `typ`, as
    /// [`Verifier::typ`](crate::Verifier::typ).
    ///
    /// This replaces the verifier's values for this issuer. With
    /// [`rfc9068`](crate::Verifier::rfc9068) the verifier's value stays. May be called more than
    /// once: a token must have one of the values.
    ///
    /// # Panics
    ///
    /// - If `typ` is empty.
    /// - If it is the type of another kind of token: [`Verifier::typ`](crate::Verifier::typ) lists
    ///   them.
    #[must_use]
    #[track_caller]
    pub fn typ(self, typ: impl Into<String>) -> Self {
        let typ = typ.into();
        self.changed(|rules| rules.accept_type(&typ))
    }

    /// Accepts access tokens of this issuer without `typ`, even if a `typ` is required: by
    /// [`typ`](Self::typ), by [`Verifier::typ`](crate::Verifier::typ), or by the layer of
    /// `SessionRoutes`.
    ///
    /// Some providers leave it out, such as Amazon Cognito and Okta. Their ID tokens may lack it
    /// too. Then only `aud`, or a [guard](crate::Require::claim) on a claim such as `token_use`,
    /// distinguishes an access token from an ID token.
    ///
    /// A token with a `typ` needs one of the required values. With
    /// [`rfc9068`](crate::Verifier::rfc9068) this has no effect.
    #[must_use]
    pub fn typ_optional(self) -> Self {
        self.changed(|rules| rules.typ_optional = true)
    }

    /// Treats `null` in a registered claim of this issuer's tokens as a missing claim, as
    /// [`Verifier::allow_null_claims`](crate::Verifier::allow_null_claims).
    #[must_use]
    pub fn allow_null_claims(self) -> Self {
        self.changed(|rules| rules.allowed.null_claims = true)
    }

    /// Accepts a whole number in `sub` of this issuer's tokens, as
    /// [`Verifier::allow_integer_subject`](crate::Verifier::allow_integer_subject): `1` and `"1"`
    /// are then the same subject of this issuer.
    #[must_use]
    pub fn allow_integer_subject(self) -> Self {
        self.changed(|rules| rules.allowed.integer_subject = true)
    }

    /// Accepts access tokens of this issuer without `exp`: they expire at `max_age` after `iat`, as
    /// [`Verifier::allow_missing_expiry`](crate::Verifier::allow_missing_expiry).
    ///
    /// # Panics
    ///
    /// If `max_age` is zero.
    #[must_use]
    #[track_caller]
    pub fn allow_missing_expiry(self, max_age: Duration) -> Self {
        assert!(!max_age.is_zero(), "the maximum age is zero");
        self.changed(|rules| rules.max_age = Some(max_age))
    }

    /// Accepts segments with correct padding in this issuer's tokens, as
    /// [`Verifier::allow_padding`](crate::Verifier::allow_padding).
    #[must_use]
    pub fn allow_padding(self) -> Self {
        self.changed(|rules| rules.padding_allowed = true)
    }

    #[track_caller]
    fn changed(mut self, change: impl FnOnce(&mut IssuerRules)) -> Self {
        let rules = &mut self.trust.rules;
        change(rules);
        assert!(
            !rules.any_audience || rules.audiences.is_empty(),
            "the issuer has an audience: do not call `any_audience`"
        );
        self
    }
}
