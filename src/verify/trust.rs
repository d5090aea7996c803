//! Whose tokens a verifier trusts, and by which keys.

use std::collections::HashMap;
use std::fmt;

use super::names::Names;
#[cfg(feature = "introspection")]
use super::opaque::{OpaqueTrust, has_jwt_shape};
#[cfg(feature = "jwks")]
use super::resolved::ResolvedIssuers;
#[cfg(feature = "jwks")]
use super::resolver::IssuerResolution;
use super::rules::IssuerRules;
use super::sources::Keys;
use super::trusted_issuer::{IssuerTrust, TrustedIssuer};
use crate::claims::Allowances;
#[cfg(feature = "introspection")]
use crate::introspection::Introspection;
#[cfg(feature = "jwks")]
use crate::keys::remote::RemoteKeys;
use crate::keys::{KeySet, VerifyingKey};

/// What a [`Verifier`](super::Verifier) trusts: a key, a [`KeySet`], or [`TrustedIssuer`]s. With
/// feature `jwks` also `RemoteKeys` and an `IssuerResolution`, and with feature `introspection` an
/// `Introspection`.
#[derive(Clone)]
pub struct Trust {
    kind: TrustKind,
    /// The issuer that is asked about opaque tokens.
    #[cfg(feature = "introspection")]
    opaque: Option<OpaqueTrust>,
}

#[derive(Clone)]
enum TrustKind {
    /// Tokens of any `iss`, unless the verifier requires one.
    AnyIssuer(IssuerTrust),
    /// `iss` chooses the keys.
    Issuers(TrustedIssuers),
}

/// Issuers, found by `iss`.
#[derive(Clone, Debug, Default)]
struct TrustedIssuers {
    by_name: HashMap<Box<str>, IssuerTrust>,
    by_pattern: Vec<IssuerTrust>,
    /// The issuers that are known only at run time.
    #[cfg(feature = "jwks")]
    resolved: Option<ResolvedIssuers>,
}

impl Trust {
    /// The keys for a token with this `iss`. `None` if its issuer is not configured.
    pub(super) fn of_issuer(&self, issuer: Option<&str>) -> Option<&IssuerTrust> {
        match &self.kind {
            TrustKind::AnyIssuer(trust) => Some(trust),
            TrustKind::Issuers(issuers) => issuers.find(issuer?),
        }
    }

    /// The issuers that are known only at run time.
    #[cfg(feature = "jwks")]
    pub(super) fn resolved(&self) -> Option<&ResolvedIssuers> {
        match &self.kind {
            TrustKind::AnyIssuer(_) => None,
            TrustKind::Issuers(issuers) => issuers.resolved.as_ref(),
        }
    }

    /// Whether `iss` chooses the keys.
    pub(super) fn names_issuers(&self) -> bool {
        matches!(self.kind, TrustKind::Issuers(_))
    }

    /// Some names of the configured issuers, for an error.
    pub(super) fn issuer_names(&self) -> Names {
        match &self.kind {
            TrustKind::AnyIssuer(_) => Names::default(),
            TrustKind::Issuers(issuers) => issuers.names(),
        }
    }

    /// The name of the one issuer, if it is the only one and has no audiences of its own.
    pub(crate) fn sole_issuer(&self) -> Option<&str> {
        match &self.kind {
            TrustKind::Issuers(issuers) if issuers.is_one() => issuers
                .by_name
                .iter()
                .find(|(_, trust)| !trust.rules().decide_audience())
                .map(|(name, _)| &**name),
            _ => None,
        }
    }

    /// Whether every configured issuer whose keys are fetched has audiences of its own. Those that
    /// a resolver approves are held to it when their tokens are verified.
    pub(super) fn has_audiences_where_remote(&self) -> bool {
        let has_audiences = match &self.kind {
            TrustKind::AnyIssuer(trust) => trust.has_audiences_where_remote(),
            TrustKind::Issuers(issuers) => {
                issuers.all().all(IssuerTrust::has_audiences_where_remote)
            }
        };
        has_audiences && self.opaque_tokens_have_audiences()
    }

    /// Whether every configured issuer has audiences of its own.
    pub(super) fn has_audiences(&self) -> bool {
        let has_audiences = match &self.kind {
            TrustKind::AnyIssuer(_) => false,
            TrustKind::Issuers(issuers) => {
                issuers.all().all(|trust| trust.rules().decide_audience())
            }
        };
        has_audiences && self.opaque_tokens_have_audiences()
    }

    /// Whether the issuer of opaque tokens, if there is one, has audiences of its own.
    fn opaque_tokens_have_audiences(&self) -> bool {
        #[cfg(feature = "introspection")]
        if let Some(opaque) = &self.opaque {
            let trust = self.of_issuer(Some(opaque.issuer()));
            return trust.is_some_and(|trust| trust.rules().decide_audience());
        }
        true
    }

    /// The rules of the one issuer. `None` if there may be several.
    pub(super) fn sole_rules(&mut self) -> Option<&mut IssuerRules> {
        #[cfg(feature = "introspection")]
        if !self.has_keys() {
            return self.opaque.as_mut().map(|opaque| &mut opaque.rules);
        }
        match &mut self.kind {
            TrustKind::AnyIssuer(trust) => Some(trust.rules_mut()),
            TrustKind::Issuers(issuers) if issuers.is_one() => {
                issuers.all_mut().next().map(IssuerTrust::rules_mut)
            }
            TrustKind::Issuers(_) => None,
        }
    }

    /// What the claims may deviate in before their issuer is known.
    pub(super) fn allowed(&self) -> Allowances {
        match &self.kind {
            TrustKind::AnyIssuer(trust) => trust.rules().allowed,
            TrustKind::Issuers(_) => Allowances::default(),
        }
    }

    /// Whether the claims of some issuer may deviate in more than [`allowed`](Self::allowed).
    #[cold]
    pub(super) fn may_allow_more(&self) -> bool {
        match &self.kind {
            TrustKind::AnyIssuer(_) => false,
            #[cfg(feature = "jwks")]
            TrustKind::Issuers(issuers) if issuers.resolved.is_some() => true,
            TrustKind::Issuers(issuers) => issuers
                .all()
                .any(|trust| trust.rules().allowed != Allowances::default()),
        }
    }

    /// The issuer to ask about this token. `None` if keys verify it.
    #[cfg(feature = "introspection")]
    pub(super) fn opaque(&self, token: &[u8]) -> Option<&OpaqueTrust> {
        let opaque = self.opaque.as_ref()?;
        (!self.has_keys() || !has_jwt_shape(token)).then_some(opaque)
    }

    /// Whether any token is verified by keys.
    #[cfg(feature = "introspection")]
    fn has_keys(&self) -> bool {
        match &self.kind {
            TrustKind::AnyIssuer(_) => true,
            TrustKind::Issuers(issuers) => {
                issuers.resolved.is_some() || issuers.all().next().is_some()
            }
        }
    }

    /// Asks an issuer about opaque tokens.
    ///
    /// # Panics
    ///
    /// If another one is asked already: a token does not tell whose it is.
    #[cfg(feature = "introspection")]
    #[track_caller]
    pub(super) fn ask(&mut self, introspection: Introspection) {
        let opaque = OpaqueTrust::new(introspection);
        assert!(
            self.opaque.replace(opaque).is_none(),
            "a verifier has one introspection: an opaque token does not name its issuer"
        );
    }

    /// Drops the cached headers: they passed checks under other settings.
    pub(super) fn clear_headers(&mut self) {
        match &mut self.kind {
            TrustKind::AnyIssuer(trust) => trust.clear_headers(),
            TrustKind::Issuers(issuers) => {
                issuers.all_mut().for_each(IssuerTrust::clear_headers);
                #[cfg(feature = "jwks")]
                if let Some(resolved) = &mut issuers.resolved {
                    resolved.clear();
                }
            }
        }
    }

    fn any_issuer(keys: Keys) -> Self {
        Self::of(TrustKind::AnyIssuer(IssuerTrust::new(keys, None)))
    }

    fn of(kind: TrustKind) -> Self {
        Self {
            kind,
            #[cfg(feature = "introspection")]
            opaque: None,
        }
    }
}

impl TrustedIssuers {
    /// The trust in the issuer of this name. An exact name wins over a pattern.
    fn find(&self, issuer: &str) -> Option<&IssuerTrust> {
        let of_pattern = || {
            let mut patterns = self.by_pattern.iter();
            patterns.find(|trust| trust.tenants().is_some_and(|all| all.include(issuer)))
        };
        self.by_name.get(issuer).or_else(of_pattern)
    }

    /// No more names than an error shows, so that a foreign token costs little.
    fn names(&self) -> Names {
        let patterns = self.by_pattern.iter().filter_map(IssuerTrust::tenants);
        let names = self.by_name.keys().cloned();
        let all = names.chain(patterns.map(|tenants| tenants.pattern().into()));
        all.take(Names::MAX_SHOWN.saturating_add(1)).collect()
    }

    /// # Panics
    ///
    /// If a name could be that of two issuers, or the tenants are not chosen.
    #[track_caller]
    fn add(&mut self, issuer: TrustedIssuer) {
        let TrustedIssuer { name, trust } = issuer;
        let Some(tenants) = trust.tenants() else {
            let earlier = self.by_name.insert(name, trust);
            assert!(earlier.is_none(), "two trusted issuers have the same name");
            return;
        };
        assert!(
            tenants.are_chosen(),
            "the tenants of an issuer are not chosen: call `tenant` for each, or `any_tenant`"
        );
        let mut others = self.by_pattern.iter().filter_map(IssuerTrust::tenants);
        assert!(
            !others.any(|other| other.overlap(tenants)),
            "two patterns of trusted issuers match the same name"
        );
        self.by_pattern.push(trust);
    }

    /// Whether there is one issuer, and never another.
    fn is_one(&self) -> bool {
        #[cfg(feature = "jwks")]
        if self.resolved.is_some() {
            return false;
        }
        self.all().count() == 1
    }

    fn all(&self) -> impl Iterator<Item = &IssuerTrust> {
        self.by_name.values().chain(&self.by_pattern)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut IssuerTrust> {
        self.by_name.values_mut().chain(&mut self.by_pattern)
    }
}

/// What you can pass to [`Verifier::new`](super::Verifier::new) and
/// [`JwtAuthLayer::new`](crate::JwtAuthLayer::new).
///
/// A bare secret, or a key of another crate, is not accepted, because it has no algorithm. Create a
/// [`VerifyingKey`] from it:
///
/// ```compile_fail,E0277
/// let layer = tower_jwt_auth::JwtAuthLayer::new("secret");
/// ```
///
/// ```text
/// error[E0277]: `&str` is not a key or an issuer to trust
///   |
///   |     JwtAuthLayer::new("secret");
///   |                       ^^^^^^^^ expected a `VerifyingKey`, `KeySet`, `RemoteKeys`, […]
///   |
///   = note: a secret: `VerifyingKey::hs256(secret)?`
///   = note: a PEM file: `VerifyingKey::from_pem(Algorithm::RS256, pem)?`
///   = note: a key of `jsonwebtoken`: `VerifyingKey::from_decoding_key(Algorithm::RS256, &key)?`
/// ```
///
/// ```
/// use tower_jwt_auth::{JwtAuthLayer, keys::VerifyingKey};
///
/// # let secret = [7; 32];
/// let layer = JwtAuthLayer::new(VerifyingKey::hs256(secret)?);
/// # Ok::<_, tower_jwt_auth::keys::KeyError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a key or an issuer to trust",
    label = "expected a `VerifyingKey`, `KeySet`, `RemoteKeys`, or one or more `TrustedIssuer`s",
    note = "a secret: `VerifyingKey::hs256(secret)?`",
    note = "a PEM file: `VerifyingKey::from_pem(Algorithm::RS256, pem)?`",
    note = "a key of `jsonwebtoken`: `VerifyingKey::from_decoding_key(Algorithm::RS256, &key)?`",
    note = "a JWKS document: `KeySet::from_jwks(json)?.keys`",
    note = "a provider: `RemoteKeys::discover(issuer).build()?`"
)]
pub trait IntoTrust {
    /// What to trust.
    fn into_trust(self) -> Trust;
}

impl IntoTrust for Trust {
    fn into_trust(self) -> Trust {
        self
    }
}

/// Keys from `RemoteKeys::discover` verify only tokens of that issuer.
///
/// # Panics
///
/// If the keys were discovered with `{tenantid}`. Pass them to [`TrustedIssuer::tenants`] instead.
#[cfg(feature = "jwks")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwks")))]
impl IntoTrust for RemoteKeys {
    #[track_caller]
    fn into_trust(self) -> Trust {
        match self.issuer().map(str::to_owned) {
            Some(issuer) => TrustedIssuer::new(issuer, self).into_trust(),
            None => Trust::any_issuer(self.into()),
        }
    }
}

/// Treats every token as opaque.
#[cfg(feature = "introspection")]
#[cfg_attr(docsrs, doc(cfg(feature = "introspection")))]
impl IntoTrust for Introspection {
    fn into_trust(self) -> Trust {
        let mut trust = Trust::of(TrustKind::Issuers(TrustedIssuers::default()));
        trust.ask(self);
        trust
    }
}

impl IntoTrust for VerifyingKey {
    fn into_trust(self) -> Trust {
        Trust::any_issuer(self.into())
    }
}

impl IntoTrust for KeySet {
    fn into_trust(self) -> Trust {
        Trust::any_issuer(self.into())
    }
}

impl IntoTrust for &VerifyingKey {
    fn into_trust(self) -> Trust {
        self.clone().into_trust()
    }
}

impl IntoTrust for &KeySet {
    fn into_trust(self) -> Trust {
        self.clone().into_trust()
    }
}

/// # Panics
///
/// If it is for [tenants](TrustedIssuer::tenants) and has no `tenant` or `any_tenant`.
impl IntoTrust for TrustedIssuer {
    #[track_caller]
    fn into_trust(self) -> Trust {
        vec![self].into_trust()
    }
}

/// Panics as a `Vec` of them does.
impl<const N: usize> IntoTrust for [TrustedIssuer; N] {
    #[track_caller]
    fn into_trust(self) -> Trust {
        Vec::from(self).into_trust()
    }
}

/// # Panics
///
/// - If the list is empty.
/// - If two issuers have the same name, or the same `iss` could match two patterns of
///   [tenants](TrustedIssuer::tenants).
/// - If an issuer of tenants has no `tenant` or `any_tenant`.
impl IntoTrust for Vec<TrustedIssuer> {
    #[track_caller]
    fn into_trust(self) -> Trust {
        assert!(!self.is_empty(), "no trusted issuer");
        let mut trusted = TrustedIssuers::default();
        for issuer in self {
            trusted.add(issuer);
        }
        Trust::of(TrustKind::Issuers(trusted))
    }
}

/// Panics as a `Vec` of its issuers from `IssuerResolution::trusted_issuer` does. Unlike a `Vec`,
/// it may have none.
#[cfg(feature = "jwks")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwks")))]
impl IntoTrust for IssuerResolution {
    #[track_caller]
    fn into_trust(self) -> Trust {
        let (resolved, issuers) = ResolvedIssuers::new(self);
        let mut trusted = TrustedIssuers {
            resolved: Some(resolved),
            ..TrustedIssuers::default()
        };
        for issuer in issuers {
            trusted.add(issuer);
        }
        Trust::of(TrustKind::Issuers(trusted))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(feature = "introspection")]
        if let Some(opaque) = &self.opaque {
            opaque.fmt(f)?;
            f.write_str(", ")?;
        }
        match &self.kind {
            TrustKind::AnyIssuer(trust) => trust.fmt(f),
            TrustKind::Issuers(issuers) => issuers.fmt(f),
        }
    }
}
