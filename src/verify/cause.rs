//! What an error tells besides its kind: what is configured, and the names of claims.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::mismatch::Mismatch;
use super::names::Names;
use crate::keys::{KeySet, VerifyingKey};

/// What is known besides the kind of an error.
#[derive(Clone, Debug)]
pub(super) enum Cause {
    Place(Place),
    Mismatch(Arc<Mismatch>),
    Expected(Expected),
    Missing(Missing),
    Keys(KnownKeys),
    Certificate(OtherCertificate),
    Leeway(Leeway),
    #[cfg(feature = "jwks")]
    Outage(Outage),
}

impl Cause {
    /// The cause, as an error.
    pub(super) fn error(&self) -> &(dyn Error + 'static) {
        match self {
            Self::Place(place) => place,
            Self::Mismatch(mismatch) => &**mismatch,
            Self::Expected(expected) => expected,
            Self::Missing(missing) => missing,
            Self::Keys(keys) => keys,
            Self::Certificate(other) => other,
            Self::Leeway(leeway) => leeway,
            #[cfg(feature = "jwks")]
            Self::Outage(outage) => &*outage.error,
        }
    }
}

#[cfg(feature = "jwks")]
#[derive(Clone, Debug)]
pub(super) struct Outage {
    pub(super) retry_after: Duration,
    pub(super) error: Arc<dyn Error + Send + Sync>,
}

/// The position of the error in the payload. The parser's own message may quote a claim.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) claim: Option<&'static str>,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// What is configured.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) member: &'static str,
    pub(super) names: Names,
}

/// A required claim.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missing(pub(super) &'static str);

/// The keys that a token could have named.
#[derive(Clone)]
pub(super) struct KnownKeys(pub(super) KeySet);

/// The token names the certificate of another key.
#[derive(Clone, Copy, Debug)]
pub(super) struct OtherCertificate;

/// How far clocks may differ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leeway(pub(super) Duration);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(claim) = self.claim {
            write!(f, "`{claim}`, ")?;
        }
        write!(
            f,
            "at line {}, column {} of the payload",
            self.line, self.column
        )
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { member, names } = self;
        if names.is_empty() {
            return write!(f, "no `{member}` is configured");
        }
        write!(f, "expected `{member}`: {names}")
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is required", self.0)
    }
}

/// The first algorithms, and the first key IDs of public keys. An issuer chooses its key IDs, so
/// their length is bounded.
impl fmt::Display for KnownKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_CHARACTERS: usize = 64;

        let mut algorithms = Vec::new();
        for name in self.0.iter().flat_map(VerifyingKey::algorithms) {
            if !algorithms.contains(&name) {
                algorithms.push(name);
            }
        }
        let algorithms: Names = algorithms.iter().map(|one| one.name().into()).collect();
        write!(f, "the keys have `alg`: {algorithms}")?;
        if self.0.ignores_key_id() {
            return f.write_str(", and any `kid`");
        }
        let short = |name: &str| name.chars().take(MAX_CHARACTERS).collect::<String>();
        let public = (self.0.iter()).filter(|key| key.algorithm().is_asymmetric());
        let named = public.filter_map(VerifyingKey::key_id);
        let shown = named.take(Names::MAX_SHOWN.saturating_add(1));
        let key_ids: Names = shown.map(|name| short(name).into()).collect();
        if !key_ids.is_empty() {
            write!(f, ", and `kid`: {key_ids}")
        } else if self.0.iter().all(|key| key.key_id().is_none()) {
            f.write_str(", and no `kid`")
        } else {
            Ok(())
        }
    }
}

/// As text: the key IDs of secrets are not shown.
impl fmt::Debug for KnownKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for OtherCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no key that matches the token's `alg` (and `kid`, if any) has the token's `x5t#S256` \
             or `x5t`",
        )
    }
}

impl fmt::Display for Leeway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by more than the leeway of {} seconds", self.0.as_secs())
    }
}

impl Error for KnownKeys {}
impl Error for OtherCertificate {}
impl Error for Leeway {}
impl Error for Place {}
impl Error for Expected {}
impl Error for Missing {}
