//! Whose tokens a verifier trusts, and by which keys.

use std::collections::HashMap;
use std::fmt;

#[cfg(feature = "jwks")]
use super::resolved::ResolvedIssuers;
#[cfg(feature = "jwks")]
use super::resolver::IssuerResolution;
use super::sources::Keys;
use super::trusted_issuer::{IssuerTrust, TrustedIssuer};
#[cfg(feature = "jwks")]
use crate::keys::remote::RemoteKeys;
use crate::keys::{KeySet, VerifyingKey};

/// What a [`Verifier`](super::Verifier) trusts: a key, a [`KeySet`], or [`TrustedIssuer`]s. With
/// feature `jwks` also `RemoteKeys` and an `IssuerResolution`.
#[derive(Clone)]
pub struct Trust(TrustKind);

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
        match &self.0 {
            TrustKind::AnyIssuer(trust) => Some(trust),
            TrustKind::Issuers(issuers) => issuers.find(issuer?),
        }
    }

    /// The issuers that are known only at run time.
    #[cfg(feature = "jwks")]
    pub(super) fn resolved(&self) -> Option<&ResolvedIssuers> {
        match &self.0 {
            TrustKind::AnyIssuer(_) => None,
            TrustKind::Issuers(issuers) => issuers.resolved.as_ref(),
        }
    }

    /// Whether `iss` chooses the keys.
    pub(super) fn names_issuers(&self) -> bool {
        matches!(self.0, TrustKind::Issuers(_))
    }

    /// The name of the one issuer, if it is the only one and has no audiences of its own.
    pub(crate) fn sole_issuer(&self) -> Option<&str> {
        match &self.0 {
            TrustKind::Issuers(issuers) if issuers.is_one() => issuers
                .by_name
                .iter()
                .find(|(_, trust)| trust.audiences().names.is_empty())
                .map(|(name, _)| &**name),
            _ => None,
        }
    }

    /// Whether every configured issuer whose keys are fetched has audiences of its own. Those that
    /// a resolver approves are held to it when their tokens are verified.
    pub(super) fn has_audiences_where_remote(&self) -> bool {
        match &self.0 {
            TrustKind::AnyIssuer(trust) => trust.has_audiences_where_remote(),
            TrustKind::Issuers(issuers) => {
                issuers.all().all(IssuerTrust::has_audiences_where_remote)
            }
        }
    }

    /// Drops the cached headers: they passed checks under other settings.
    pub(super) fn clear_headers(&mut self) {
        match &mut self.0 {
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
        Self(TrustKind::AnyIssuer(IssuerTrust::new(keys, None)))
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

/// Keys discovered by an issuer's name verify tokens of that issuer only.
#[cfg(feature = "jwks")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwks")))]
impl From<RemoteKeys> for Trust {
    fn from(keys: RemoteKeys) -> Self {
        match keys.issuer().map(str::to_owned) {
            Some(issuer) => TrustedIssuer::new(issuer, keys).into(),
            None => Self::any_issuer(keys.into()),
        }
    }
}

impl From<VerifyingKey> for Trust {
    fn from(key: VerifyingKey) -> Self {
        Self::any_issuer(key.into())
    }
}

impl From<KeySet> for Trust {
    fn from(keys: KeySet) -> Self {
        Self::any_issuer(keys.into())
    }
}

impl From<&VerifyingKey> for Trust {
    fn from(key: &VerifyingKey) -> Self {
        key.clone().into()
    }
}

impl From<&KeySet> for Trust {
    fn from(keys: &KeySet) -> Self {
        keys.clone().into()
    }
}

/// # Panics
///
/// If it stands for [tenants](TrustedIssuer::tenants) that are not chosen.
impl From<TrustedIssuer> for Trust {
    fn from(issuer: TrustedIssuer) -> Self {
        vec![issuer].into()
    }
}

/// # Panics
///
/// If the array is empty, a name could be that of two of its issuers, or
/// [tenants](TrustedIssuer::tenants) are not chosen.
impl<const N: usize> From<[TrustedIssuer; N]> for Trust {
    fn from(issuers: [TrustedIssuer; N]) -> Self {
        Vec::from(issuers).into()
    }
}

/// # Panics
///
/// If the list is empty, a name could be that of two of its issuers, or
/// [tenants](TrustedIssuer::tenants) are not chosen.
impl From<Vec<TrustedIssuer>> for Trust {
    fn from(issuers: Vec<TrustedIssuer>) -> Self {
        assert!(!issuers.is_empty(), "no trusted issuer");
        let mut trusted = TrustedIssuers::default();
        for issuer in issuers {
            trusted.add(issuer);
        }
        Self(TrustKind::Issuers(trusted))
    }
}

/// # Panics
///
/// As for a list of [`TrustedIssuer`]s, if there are some. Here the list may be empty.
#[cfg(feature = "jwks")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwks")))]
impl From<IssuerResolution> for Trust {
    fn from(resolution: IssuerResolution) -> Self {
        let (resolved, issuers) = ResolvedIssuers::new(resolution);
        let mut trusted = TrustedIssuers {
            resolved: Some(resolved),
            ..TrustedIssuers::default()
        };
        for issuer in issuers {
            trusted.add(issuer);
        }
        Self(TrustKind::Issuers(trusted))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            TrustKind::AnyIssuer(trust) => trust.fmt(f),
            TrustKind::Issuers(issuers) => issuers.fmt(f),
        }
    }
}
