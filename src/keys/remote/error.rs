//! Why a fetch yields no keys.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::Uri;

use super::location;

/// Why a fetch yielded no keys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FetchError {
    kind: FetchErrorKind,
    source: Option<Arc<dyn Error + Send + Sync>>,
    address: Option<Arc<Address>>,
}

/// What was being fetched.
struct Address {
    /// Without its query.
    shown: Box<str>,
    /// It may be a secret.
    #[cfg_attr(
        not(feature = "tracing"),
        expect(dead_code, reason = "it is cut from what is logged")
    )]
    query: Option<Box<str>>,
}

/// Shows no query.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown.fmt(f)
    }
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
    /// The metadata's `jwks_uri` is no address that may be fetched, or on none of the
    /// [origins](super::RemoteKeysBuilder::jwks_origins) that are allowed.
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

    /// The address that was being fetched, without its query. `None` where nothing was.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.address.as_deref().map(|address| &*address.shown)
    }

    pub(super) fn because(
        kind: FetchErrorKind,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            kind,
            source: Some(Arc::new(source)),
            address: None,
        }
    }

    /// Says what was being fetched, unless that is known.
    pub(super) fn at(mut self, uri: &Uri) -> Self {
        self.address.get_or_insert_with(|| {
            Arc::new(Address {
                shown: location::shown(uri).into(),
                query: uri.query().map(Box::from),
            })
        });
        self
    }

    /// The error and its causes on one line, for a log: without control characters, without the
    /// query of the address, and of a bounded length.
    #[cfg(feature = "tracing")]
    pub(super) fn chain(&self) -> String {
        const MAX_CHARACTERS: usize = 1000;
        /// Of the causes the first is often long, and the last says why.
        const MOST_OF_EACH: usize = 250;
        const MOST_CAUSES: usize = 8;

        let mut chain = String::new();
        let mut next: Option<&dyn Error> = Some(self);
        for _ in 0..MOST_CAUSES {
            let Some(error) = next else { break };
            let mut text = error.to_string();
            let address = self.address.as_deref();
            if let Some(query) = address.and_then(|address| address.query.as_deref())
                && !query.is_empty()
            {
                text = text.replace(query, "[query]");
            }
            if !chain.is_empty() {
                chain.push_str(": ");
            }
            chain.push_str(&on_one_line(&text, MOST_OF_EACH));
            next = error.source();
        }
        chain.chars().take(MAX_CHARACTERS).collect()
    }
}

impl From<FetchErrorKind> for FetchError {
    fn from(kind: FetchErrorKind) -> Self {
        Self {
            kind,
            source: None,
            address: None,
        }
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

/// At most `most` characters of a text from outside, with control and invisible characters escaped.
#[cfg(feature = "tracing")]
pub(super) fn on_one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    for character in text.chars().take(most) {
        match character {
            '"' | '\'' | '\\' => line.push(character),
            _ => line.extend(character.escape_debug()),
        }
    }
    line
}
