//! Whose tokens count.

use std::collections::HashMap;
use std::fmt;

#[cfg(feature = "jwks")]
use super::remote::RemoteRing;
use super::ring::{Ring, RingKeys};
#[cfg(feature = "jwks")]
use crate::keys::remote::RemoteKeys;
use crate::keys::{KeySet, VerifyingKey};
use crate::token::is_media_type;

/// What a [`Verifier`](super::Verifier) trusts: a key, a [`KeySet`], or some [`TrustedIssuer`]s.
pub struct Trust(Source);

enum Source {
    Any(Keys),
    Issuers(Vec<TrustedIssuer>),
}

/// The keys of one issuer: a key, or a [`KeySet`].
///
/// A lone key serves every token of its algorithm, whatever its `kid`. In a set the `kid` must match.
#[derive(Clone, Debug)]
pub struct Keys(KeysKind);

#[derive(Clone, Debug)]
enum KeysKind {
    Lone(VerifyingKey),
    Set(KeySet),
    #[cfg(feature = "jwks")]
    Remote(RemoteKeys),
}

impl From<VerifyingKey> for Keys {
    fn from(key: VerifyingKey) -> Self {
        Self(KeysKind::Lone(key))
    }
}

impl From<KeySet> for Keys {
    fn from(keys: KeySet) -> Self {
        Self(KeysKind::Set(keys))
    }
}

#[cfg(feature = "jwks")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwks")))]
impl From<RemoteKeys> for Keys {
    fn from(keys: RemoteKeys) -> Self {
        Self(KeysKind::Remote(keys))
    }
}

/// Keys that were found by the name of their issuer are trusted with its tokens, and with no others.
#[cfg(feature = "jwks")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwks")))]
impl From<RemoteKeys> for Trust {
    fn from(keys: RemoteKeys) -> Self {
        match keys.issuer().map(str::to_owned) {
            Some(issuer) => TrustedIssuer::new(issuer, keys).into(),
            None => Self(Source::Any(keys.into())),
        }
    }
}

impl From<VerifyingKey> for Trust {
    fn from(key: VerifyingKey) -> Self {
        Self(Source::Any(key.into()))
    }
}

impl From<KeySet> for Trust {
    fn from(keys: KeySet) -> Self {
        Self(Source::Any(keys.into()))
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
        Self(Source::Issuers(vec![issuer]))
    }
}

/// # Panics
///
/// If there is none, or two have the same name.
impl<const N: usize> From<[TrustedIssuer; N]> for Trust {
    fn from(issuers: [TrustedIssuer; N]) -> Self {
        Vec::from(issuers).into()
    }
}

/// # Panics
///
/// If there is none, or two have the same name.
impl From<Vec<TrustedIssuer>> for Trust {
    fn from(issuers: Vec<TrustedIssuer>) -> Self {
        assert!(!issuers.is_empty(), "no trusted issuer");
        let mut names: Vec<_> = issuers.iter().map(|issuer| &issuer.name).collect();
        names.sort_unstable();
        assert!(
            names.windows(2).all(|pair| pair.first() != pair.last()),
            "two trusted issuers have the same name"
        );
        Self(Source::Issuers(issuers))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Any(keys) => keys.fmt(f),
            Source::Issuers(issuers) => issuers.fmt(f),
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
/// **Several issuers: `sub` alone names nobody.** A subject is unique within its issuer only
/// (RFC 7519 §4.1.2), and a partner chooses its own: its `u1` is not your `u1`. So is its `sid`. A
/// handler behind such a layer must look at
/// [`issuer`](crate::VerifiedToken::issuer) and [`subject`](crate::VerifiedToken::subject)
/// together. To act on your own sessions, take the subject from
/// [`Sessions::subject_of`](crate::session::Sessions::subject_of), which refuses other issuers.
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    name: Box<str>,
    keys: Keys,
    audiences: Vec<Box<str>>,
}

impl TrustedIssuer {
    /// The issuer whose tokens say `iss: name`, byte for byte.
    ///
    /// # Panics
    ///
    /// If `name` is empty.
    #[must_use]
    pub fn new(name: impl Into<String>, keys: impl Into<Keys>) -> Self {
        let name = name.into();
        assert!(!name.is_empty(), "the issuer is empty");
        let keys = keys.into();
        #[cfg(feature = "jwks")]
        if let KeysKind::Remote(keys) = &keys.0 {
            assert!(
                keys.issuer().is_none_or(|issuer| issuer == name),
                "the keys are those of another issuer"
            );
        }
        Self {
            name: name.into(),
            keys,
            audiences: Vec::new(),
        }
    }

    /// Requires the `aud` of this issuer's tokens to be or to contain `audience`, instead of what the
    /// verifier requires of all. Called again, one of them.
    ///
    /// # Panics
    ///
    /// If `audience` is empty.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        let audience = audience.into();
        assert!(!audience.is_empty(), "the audience is empty");
        self.audiences.push(audience.into());
        self
    }
}

/// What `typ` may be.
#[derive(Clone, Debug)]
pub(super) enum Typ {
    /// Absent, `JWT` or `at+jwt`.
    Access,
    /// Absent or `JWT`.
    Identity,
    /// Absent, `JWT` or `logout+jwt`.
    Logout,
    Exactly(Box<str>),
}

impl Typ {
    #[track_caller]
    pub(super) fn exactly(typ: &str) -> Self {
        let subtype = match typ.split_once('/') {
            Some((application, rest)) if application.eq_ignore_ascii_case("application") => rest,
            _ => typ,
        };
        assert!(!subtype.is_empty(), "the typ is empty");
        Self::Exactly(subtype.into())
    }

    pub(super) fn allows(&self, typ: Option<&str>) -> bool {
        match (self, typ) {
            (Self::Access | Self::Identity | Self::Logout, None) => true,
            (Self::Access, Some(typ)) => is_media_type(typ, "jwt") || is_media_type(typ, "at+jwt"),
            (Self::Identity, Some(typ)) => is_media_type(typ, "jwt"),
            (Self::Logout, Some(typ)) => {
                is_media_type(typ, "jwt") || is_media_type(typ, "logout+jwt")
            }
            (Self::Exactly(_), None) => false,
            (Self::Exactly(exactly), Some(typ)) => is_media_type(typ, exactly),
        }
    }
}

/// [`Trust`] made ready for look-ups.
#[derive(Clone, Debug)]
pub(super) enum Anchors {
    Any(Anchor),
    Issuers(HashMap<Box<str>, Anchor>),
}

impl Trust {
    /// The name of the one issuer, if it is one alone, with no audiences of its own.
    pub(crate) fn sole_issuer(&self) -> Option<&str> {
        match &self.0 {
            Source::Issuers(issuers) => match issuers.as_slice() {
                [issuer] if issuer.audiences.is_empty() => Some(&issuer.name),
                _ => None,
            },
            Source::Any(_) => None,
        }
    }
}

impl Anchors {
    pub(super) fn new(trust: Trust) -> Self {
        match trust.0 {
            Source::Any(keys) => Self::Any(Anchor::new(keys, Vec::new())),
            Source::Issuers(issuers) => Self::Issuers(
                issuers
                    .into_iter()
                    .map(|issuer| (issuer.name, Anchor::new(issuer.keys, issuer.audiences)))
                    .collect(),
            ),
        }
    }

    /// Whether tokens of every issuer whose keys are fetched have to name an audience of its own.
    pub(super) fn all_remote_have_audiences(&self) -> bool {
        let has = |anchor: &Anchor| !anchor.is_remote() || !anchor.audiences.is_empty();
        match self {
            Self::Any(anchor) => has(anchor),
            Self::Issuers(issuers) => issuers.values().all(has),
        }
    }

    /// Drops what is remembered of headers: they passed checks that no longer hold.
    pub(super) fn forget(&mut self) {
        match self {
            Self::Any(anchor) => anchor.forget(),
            Self::Issuers(issuers) => issuers.values_mut().for_each(Anchor::forget),
        }
    }
}

/// The keys that count for a token, and for whom.
#[derive(Clone)]
pub(super) struct Anchor {
    pub(super) keys: AnchorKeys,
    audiences: Vec<Box<str>>,
}

#[derive(Clone, Debug)]
pub(super) enum AnchorKeys {
    Fixed(Ring),
    #[cfg(feature = "jwks")]
    Remote(RemoteRing),
}

impl Anchor {
    fn new(Keys(keys): Keys, audiences: Vec<Box<str>>) -> Self {
        let keys = match keys {
            KeysKind::Lone(key) => AnchorKeys::Fixed(Ring::new(RingKeys::Lone(key))),
            KeysKind::Set(set) => AnchorKeys::Fixed(Ring::new(RingKeys::Set(set))),
            #[cfg(feature = "jwks")]
            KeysKind::Remote(keys) => AnchorKeys::Remote(RemoteRing::new(keys)),
        };
        Self { keys, audiences }
    }

    fn forget(&mut self) {
        match &mut self.keys {
            AnchorKeys::Fixed(ring) => ring.forget(),
            #[cfg(feature = "jwks")]
            AnchorKeys::Remote(remote) => remote.forget(),
        }
    }

    pub(super) fn audiences(&self) -> &[Box<str>] {
        &self.audiences
    }

    /// Whether its keys come from somebody else.
    pub(super) fn is_remote(&self) -> bool {
        match self.keys {
            AnchorKeys::Fixed(_) => false,
            #[cfg(feature = "jwks")]
            AnchorKeys::Remote(_) => true,
        }
    }
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anchor")
            .field("keys", &self.keys)
            .field("audiences", &self.audiences)
            .finish_non_exhaustive()
    }
}
