//! Whose tokens count.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use super::error::{VerifyError, VerifyErrorKind};
use super::token::VerifiedHeader;
use crate::keys::{Algorithm, KeySet, NoFit, VerifyingKey};
use crate::token::{JoseHeader, is_media_type};

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
        Self {
            name: name.into(),
            keys: keys.into(),
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

    fn allows(&self, typ: Option<&str>) -> bool {
        match (self, typ) {
            (Self::Access, None) => true,
            (Self::Access, Some(typ)) => is_media_type(typ, "jwt") || is_media_type(typ, "at+jwt"),
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

    /// Drops what is remembered of headers: they passed checks that no longer hold.
    pub(super) fn forget(&mut self) {
        match self {
            Self::Any(anchor) => anchor.forget(),
            Self::Issuers(issuers) => issuers.values_mut().for_each(Anchor::forget),
        }
    }
}

/// The keys that count for a token, with what is remembered about them.
#[derive(Clone)]
pub(super) struct Anchor {
    keys: KeysKind,
    audiences: Vec<Box<str>>,
    /// The header that each key's tokens carry. An issuer's tokens share it byte for byte, and comparing it is
    /// far cheaper than parsing. What is in here passed every check of a header, under a good signature.
    headers: Box<[OnceLock<KnownHeader>]>,
}

#[derive(Clone)]
struct KnownHeader {
    segment: Box<[u8]>,
    header: Arc<VerifiedHeader>,
}

/// The key for a token.
pub(super) struct Choice<'a> {
    pub(super) key: &'a VerifyingKey,
    index: usize,
    header: Arc<VerifiedHeader>,
}

impl Anchor {
    /// Comparing with more headers than this would cost what parsing costs.
    const MOST_KNOWN_HEADERS: usize = 16;

    fn new(Keys(keys): Keys, audiences: Vec<Box<str>>) -> Self {
        let count = match &keys {
            KeysKind::Lone(_) => 1,
            KeysKind::Set(set) => set.len().min(Self::MOST_KNOWN_HEADERS),
        };
        Self {
            keys,
            audiences,
            headers: std::iter::repeat_with(OnceLock::new).take(count).collect(),
        }
    }

    fn forget(&mut self) {
        for slot in &mut self.headers {
            slot.take();
        }
    }

    pub(super) fn audiences(&self) -> &[Box<str>] {
        &self.audiences
    }

    /// Checks the header and finds the one key for it.
    pub(super) fn choose(&self, segment: &[u8], typ: &Typ) -> Result<Choice<'_>, VerifyError> {
        for (index, slot) in self.headers.iter().enumerate() {
            if let Some(known) = slot.get()
                && *known.segment == *segment
                && let Some(key) = self.key(index)
            {
                return Ok(Choice {
                    key,
                    index,
                    header: Arc::clone(&known.header),
                });
            }
        }
        JoseHeader::read(segment, |header| {
            if !typ.allows(header.token_type.as_deref()) {
                return Err(VerifyErrorKind::WrongType.into());
            }
            let algorithm =
                Algorithm::named(&header.algorithm).ok_or(VerifyErrorKind::NoFittingKey)?;
            let index = self.find(algorithm, header.key_id.as_deref())?;
            Ok(Choice {
                key: self.key(index).ok_or(VerifyErrorKind::NoFittingKey)?,
                index,
                header: Arc::new(VerifiedHeader::new(algorithm, header)),
            })
        })?
    }

    fn find(&self, algorithm: Algorithm, key_id: Option<&str>) -> Result<usize, VerifyErrorKind> {
        match &self.keys {
            KeysKind::Lone(key) if key.algorithm() == algorithm => Ok(0),
            KeysKind::Lone(_) => Err(VerifyErrorKind::NoFittingKey),
            KeysKind::Set(set) => set.find(algorithm, key_id).map_err(|no| match no {
                NoFit::None => VerifyErrorKind::NoFittingKey,
                NoFit::Several => VerifyErrorKind::SeveralFittingKeys,
            }),
        }
    }

    fn key(&self, index: usize) -> Option<&VerifyingKey> {
        match &self.keys {
            KeysKind::Lone(key) => Some(key),
            KeysKind::Set(set) => set.key(index),
        }
    }

    /// To be called once the signature is verified.
    pub(super) fn remember(&self, choice: Choice<'_>, segment: &[u8]) -> Arc<VerifiedHeader> {
        if let Some(slot) = self.headers.get(choice.index) {
            slot.get_or_init(|| KnownHeader {
                segment: segment.into(),
                header: Arc::clone(&choice.header),
            });
        }
        choice.header
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
