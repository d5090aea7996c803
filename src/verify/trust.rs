//! Whose tokens a verifier trusts, and by which keys.

use std::collections::HashMap;
use std::fmt;

#[cfg(feature = "jwks")]
use super::remote::RemoteKeySelector;
use super::rules::IssuerAudiences;
use super::selector::KeySelector;
#[cfg(feature = "jwks")]
use crate::keys::remote::RemoteKeys;
use crate::keys::{KeySet, VerifyingKey};

/// What a [`Verifier`](super::Verifier) trusts: a key, a [`KeySet`], or [`TrustedIssuer`]s.
#[derive(Clone)]
pub struct Trust(TrustKind);

#[derive(Clone)]
enum TrustKind {
    /// Tokens of any `iss`, unless the verifier requires one.
    AnyIssuer(IssuerTrust),
    /// `iss` chooses the keys.
    Issuers(HashMap<Box<str>, IssuerTrust>),
}

/// The keys of one issuer, and the audiences its tokens must name.
#[derive(Clone, Debug)]
pub(super) struct IssuerTrust {
    keys: Keys,
    audiences: IssuerAudiences,
}

/// The keys of one issuer: a key, or a [`KeySet`].
///
/// A lone key serves every token of its algorithm, whatever its `kid`. In a set the `kid` must
/// match.
#[derive(Clone)]
pub struct Keys(KeySource);

#[derive(Clone)]
pub(super) enum KeySource {
    Fixed(KeySelector),
    #[cfg(feature = "jwks")]
    Remote(RemoteKeySelector),
}

impl Trust {
    /// The keys for a token with this `iss`. `None` if its issuer is not trusted.
    pub(super) fn of_issuer(&self, issuer: Option<&str>) -> Option<&IssuerTrust> {
        match &self.0 {
            TrustKind::AnyIssuer(trust) => Some(trust),
            TrustKind::Issuers(issuers) => issuers.get(issuer?),
        }
    }

    /// Whether `iss` chooses the keys.
    pub(super) fn names_issuers(&self) -> bool {
        matches!(self.0, TrustKind::Issuers(_))
    }

    /// The name of the one issuer, if it is the only one and has no audiences of its own.
    pub(crate) fn sole_issuer(&self) -> Option<&str> {
        match &self.0 {
            TrustKind::Issuers(issuers) if issuers.len() == 1 => issuers
                .iter()
                .find(|(_, trust)| trust.audiences.names.is_empty())
                .map(|(name, _)| &**name),
            _ => None,
        }
    }

    /// Whether every issuer whose keys are fetched has audiences of its own.
    pub(super) fn has_audiences_where_remote(&self) -> bool {
        let has =
            |trust: &IssuerTrust| !trust.keys.are_remote() || !trust.audiences.names.is_empty();
        match &self.0 {
            TrustKind::AnyIssuer(trust) => has(trust),
            TrustKind::Issuers(issuers) => issuers.values().all(has),
        }
    }

    /// Drops the cached headers: they passed checks under other settings.
    pub(super) fn clear_headers(&mut self) {
        match &mut self.0 {
            TrustKind::AnyIssuer(trust) => trust.keys.clear_headers(),
            TrustKind::Issuers(issuers) => {
                for trust in issuers.values_mut() {
                    trust.keys.clear_headers();
                }
            }
        }
    }

    fn any_issuer(keys: Keys) -> Self {
        Self(TrustKind::AnyIssuer(IssuerTrust::new(keys)))
    }
}

impl IssuerTrust {
    fn new(keys: Keys) -> Self {
        let audiences = IssuerAudiences {
            names: Vec::new(),
            are_required: keys.are_remote(),
        };
        Self { keys, audiences }
    }

    pub(super) fn keys(&self) -> &KeySource {
        &self.keys.0
    }

    pub(super) fn audiences(&self) -> &IssuerAudiences {
        &self.audiences
    }
}

impl Keys {
    /// Whether they are fetched from the issuer.
    fn are_remote(&self) -> bool {
        !matches!(self.0, KeySource::Fixed(_))
    }

    fn clear_headers(&mut self) {
        match &mut self.0 {
            KeySource::Fixed(selector) => selector.clear_headers(),
            #[cfg(feature = "jwks")]
            KeySource::Remote(selector) => selector.clear_headers(),
        }
    }
}

impl From<VerifyingKey> for Keys {
    fn from(key: VerifyingKey) -> Self {
        Self(KeySource::Fixed(KeySelector::new(KeySet::ignoring_key_id(
            key,
        ))))
    }
}

impl From<KeySet> for Keys {
    fn from(keys: KeySet) -> Self {
        Self(KeySource::Fixed(KeySelector::new(keys)))
    }
}

#[cfg(feature = "jwks")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwks")))]
impl From<RemoteKeys> for Keys {
    fn from(keys: RemoteKeys) -> Self {
        Self(KeySource::Remote(RemoteKeySelector::new(keys)))
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

impl From<TrustedIssuer> for Trust {
    fn from(issuer: TrustedIssuer) -> Self {
        vec![issuer].into()
    }
}

/// # Panics
///
/// If the array is empty, or two issuers have the same name.
impl<const N: usize> From<[TrustedIssuer; N]> for Trust {
    fn from(issuers: [TrustedIssuer; N]) -> Self {
        Vec::from(issuers).into()
    }
}

/// # Panics
///
/// If the list is empty, or two issuers have the same name.
impl From<Vec<TrustedIssuer>> for Trust {
    fn from(issuers: Vec<TrustedIssuer>) -> Self {
        assert!(!issuers.is_empty(), "no trusted issuer");
        let mut by_name = HashMap::new();
        for issuer in issuers {
            let earlier = by_name.insert(issuer.name, issuer.trust);
            assert!(earlier.is_none(), "two trusted issuers have the same name");
        }
        Self(TrustKind::Issuers(by_name))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            TrustKind::AnyIssuer(trust) => trust.keys.fmt(f),
            TrustKind::Issuers(issuers) => issuers.fmt(f),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            KeySource::Fixed(selector) => selector.fmt(f),
            #[cfg(feature = "jwks")]
            KeySource::Remote(selector) => selector.fmt(f),
        }
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
/// **With several issuers, `sub` alone names nobody.** A subject is unique within its issuer only
/// (RFC 7519 §4.1.2), and a partner chooses its own: its `u1` is not your `u1`. The same holds for
/// `sid`. A handler behind such a layer must look at
/// [`issuer`](crate::VerifiedToken::issuer) and [`subject`](crate::VerifiedToken::subject)
/// together. To act on your own sessions, take the subject from
/// [`Sessions::subject_of`](crate::session::Sessions::subject_of), which refuses other issuers.
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    name: Box<str>,
    trust: IssuerTrust,
}

impl TrustedIssuer {
    /// Trusts tokens whose `iss` is `name`, byte for byte, if one of `keys` signed them.
    ///
    /// # Panics
    ///
    /// If `name` is empty, or `keys` were discovered by the name of another issuer.
    #[must_use]
    #[track_caller]
    pub fn new(name: impl Into<String>, keys: impl Into<Keys>) -> Self {
        let name = name.into();
        assert!(!name.is_empty(), "the issuer is empty");
        let keys = keys.into();
        #[cfg(feature = "jwks")]
        if let KeySource::Remote(selector) = &keys.0 {
            assert!(
                selector.issuer().is_none_or(|issuer| issuer == name),
                "the keys are those of another issuer"
            );
        }
        Self {
            name: name.into(),
            trust: IssuerTrust::new(keys),
        }
    }

    /// Requires `aud` to be or to contain `audience`, byte for byte.
    ///
    /// This replaces the verifier's audiences for this issuer. May be called more than once: a
    /// token must name one of the values.
    ///
    /// # Panics
    ///
    /// If `audience` is empty.
    #[must_use]
    #[track_caller]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        let audience = audience.into();
        assert!(!audience.is_empty(), "the audience is empty");
        self.trust.audiences.names.push(audience.into());
        self
    }
}
