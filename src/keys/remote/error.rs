//! Why a fetch yields no keys.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Why a fetch yielded no keys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FetchError {
    kind: FetchErrorKind,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The reason for a [`FetchError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FetchErrorKind {
    /// It took longer than 5 seconds.
    Timeout,
    /// There was no response. The source says why.
    Transport,
    /// The status was not 200. Redirects are not followed.
    Status(u16),
    /// The response is longer than 1 MiB.
    TooLong,
    /// The issuer's metadata is no JSON object with `issuer` and `jwks_uri` (OpenID Connect Discovery 1.0 §3, RFC 8414 §2).
    Metadata,
    /// The metadata speak of another issuer than was asked for (OpenID Connect Discovery 1.0 §4.3).
    WrongIssuer,
    /// The metadata's `jwks_uri` is no address that may be fetched.
    Location,
    /// The document is no JWK Set, or none of its keys can be used. The source says which.
    Keys,
    /// There is no tokio runtime to fetch in.
    Runtime,
    /// The [`Fetch`](super::Fetch) panicked.
    Panic,
    /// Too many requests wait for the keys already.
    Crowded,
}

impl FetchError {
    /// Why there are no keys.
    #[must_use]
    pub fn kind(&self) -> FetchErrorKind {
        self.kind
    }

    pub(super) fn because(
        kind: FetchErrorKind,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            kind,
            source: Some(Arc::new(source)),
        }
    }
}

impl From<FetchErrorKind> for FetchError {
    fn from(kind: FetchErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            FetchErrorKind::Timeout => "the issuer's keys did not arrive in time",
            FetchErrorKind::Transport => "the issuer's keys could not be fetched",
            FetchErrorKind::Status(status) => {
                return write!(f, "the issuer answered with status {status}");
            }
            FetchErrorKind::TooLong => "the issuer's document is longer than 1 MiB",
            FetchErrorKind::Metadata => "the issuer's metadata cannot be read",
            FetchErrorKind::WrongIssuer => "the metadata are those of another issuer",
            FetchErrorKind::Location => "the issuer's jwks_uri may not be fetched",
            FetchErrorKind::Keys => "the issuer's document holds no key that can be used",
            FetchErrorKind::Runtime => "there is no tokio runtime to fetch keys in",
            FetchErrorKind::Panic => "the client panicked",
            FetchErrorKind::Crowded => "too many requests wait for the issuer's keys",
        })
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
