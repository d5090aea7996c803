//! Why a fetch fails.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::Uri;

use super::location::{self, AddressError};
use crate::keys::{JwksError, SkippedKey};

/// Why a fetch failed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FetchError {
    kind: FetchErrorKind,
    source: Option<Arc<dyn Error + Send + Sync>>,
    address: Option<Arc<Address>>,
}

/// The requested address.
struct Address {
    /// Without its query.
    shown: Box<str>,
    /// It may contain a secret.
    #[cfg_attr(
        not(feature = "tracing"),
        expect(dead_code, reason = "it is cut from what is logged")
    )]
    query: Option<Box<str>>,
}

/// Shows the address without its query.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown.fmt(f)
    }
}

/// The kind of a [`FetchError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FetchErrorKind {
    /// The fetch of keys took longer than 5 seconds, or an introspection longer than its deadline.
    Timeout,
    /// There was no response. The source contains the reason.
    Transport,
    /// TLS cannot be set up, as on a machine without root certificates. The source contains the
    /// reason.
    TlsUnavailable,
    /// The status was not 200. Redirects are not followed.
    Status(u16),
    /// The response is longer than 1 MiB. Or an answer to an introspection is longer than 64 KiB.
    TooLong,
    /// The issuer's metadata are not a JSON object with `issuer` and the needed address: `jwks_uri`
    /// for keys, `introspection_endpoint` for an introspection (OpenID Connect Discovery 1.0 §3,
    /// RFC 8414 §2).
    InvalidMetadata,
    /// The metadata name another issuer than the one you configured (OpenID Connect Discovery 1.0
    /// §4.3). The source is an [`IssuerMismatch`] with both names.
    IssuerMismatch,
    /// The metadata's `jwks_uri` or `introspection_endpoint` is not allowed: its address is invalid
    /// or forbidden, or it is not on an allowed [origin](super::RemoteKeysBuilder::jwks_origins).
    /// The source is a [`ForbiddenEndpoint`] with the reason.
    ForbiddenEndpoint,
    /// The document is not a JWK Set, or does not have a usable key. The source is a
    /// [`JwksError`](crate::keys::JwksError).
    NoUsableKeys,
    /// An answer to an introspection is not what RFC 7662 §2.2 requires. The source says where.
    #[cfg(feature = "introspection")]
    #[cfg_attr(docsrs, doc(cfg(feature = "introspection")))]
    MalformedAnswer,
    /// The assertion that authenticates the client of an introspection could not be signed.
    #[cfg(feature = "introspection")]
    #[cfg_attr(docsrs, doc(cfg(feature = "introspection")))]
    Assertion,
    /// There is no tokio runtime in which to fetch.
    NoRuntime,
    /// The [`Fetch`](super::Fetch) implementation panicked.
    Panic,
    /// Too many requests are already waiting for the issuer.
    TooManyWaiting,
}

/// The [source](Error::source) of a [`FetchErrorKind::IssuerMismatch`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuerMismatch {
    /// The issuer you configured.
    pub configured: String,
    /// The start of the `issuer` in the metadata, 200 characters at most. It is untrusted text.
    pub found: String,
}

impl IssuerMismatch {
    pub(super) fn new(configured: &str, found: &str) -> Self {
        const MAX_CHARACTERS: usize = 200;

        Self {
            configured: configured.to_owned(),
            found: found.chars().take(MAX_CHARACTERS).collect(),
        }
    }
}

impl fmt::Display for IssuerMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { configured, found } = self;
        write!(
            f,
            "the metadata name {found:?}, you configured {configured:?}"
        )
    }
}

impl Error for IssuerMismatch {}

/// The [source](Error::source) of a [`FetchErrorKind::ForbiddenEndpoint`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForbiddenEndpoint {
    /// The endpoint in the metadata, without query and credentials, and of bounded length.
    pub uri: String,
    /// The rule that it breaks.
    pub reason: AddressError,
}

impl fmt::Display for ForbiddenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.uri, self.reason)
    }
}

impl Error for ForbiddenEndpoint {}

impl FetchError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> FetchErrorKind {
        self.kind
    }

    /// The requested URL without its query. `None` if nothing was requested.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.address.as_deref().map(|address| &*address.shown)
    }

    /// The skipped keys, if the fetch failed with [`FetchErrorKind::NoUsableKeys`]. Otherwise
    /// empty.
    ///
    /// ```
    /// # fn log(error: &tower_jwt_auth::keys::remote::FetchError) {
    /// for skipped in error.skipped() {
    ///     eprintln!("key {}: {}", skipped.index, skipped.reason);
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn skipped(&self) -> &[SkippedKey] {
        let source = self.source.as_deref();
        match source.and_then(|source| source.downcast_ref()) {
            Some(JwksError::NoUsableKey(skipped)) => skipped,
            _ => &[],
        }
    }

    pub(crate) fn because(
        kind: FetchErrorKind,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            kind,
            source: Some(Arc::new(source)),
            address: None,
        }
    }

    /// Adds the requested URI, unless it is known.
    pub(crate) fn at(mut self, uri: &Uri) -> Self {
        self.address.get_or_insert_with(|| {
            Arc::new(Address {
                shown: location::shown(uri).into(),
                query: uri.query().map(Box::from),
            })
        });
        self
    }

    /// The error and its causes on one line of bounded length, for a log. Control characters are
    /// escaped, and the query of the URL is removed.
    #[cfg(feature = "tracing")]
    pub(crate) fn chain(&self) -> String {
        const MAX_CHARACTERS: usize = 1000;
        /// The first cause is often long, and the last one says why.
        const MAX_CHARACTERS_OF_CAUSE: usize = 250;
        const MAX_CAUSES: usize = 8;

        let mut chain = String::new();
        let mut next: Option<&dyn Error> = Some(self);
        for _ in 0..MAX_CAUSES {
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
            chain.push_str(&on_one_line(&text, MAX_CHARACTERS_OF_CAUSE));
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
            FetchErrorKind::Timeout => "the issuer did not answer within the deadline",
            FetchErrorKind::Transport => "the request to the issuer failed",
            FetchErrorKind::TlsUnavailable => "the issuer needs TLS, which cannot be set up",
            #[cfg(feature = "introspection")]
            FetchErrorKind::Status(status @ (401 | 403)) => {
                return write!(
                    f,
                    "the issuer answered with status {status}: for an introspection, check the \
                     client's credentials, and whether it may introspect tokens"
                );
            }
            FetchErrorKind::Status(status) => {
                return write!(f, "the issuer answered with status {status}");
            }
            FetchErrorKind::TooLong => "the issuer's document is too long",
            FetchErrorKind::InvalidMetadata => {
                "the issuer's metadata lack issuer or the address of an endpoint, or are not a \
                 JSON object"
            }
            FetchErrorKind::IssuerMismatch => {
                "the metadata name another issuer than the one you configured"
            }
            FetchErrorKind::ForbiddenEndpoint => {
                "the metadata name an endpoint that is not an allowed address"
            }
            FetchErrorKind::NoUsableKeys => "the issuer's document has no usable key",
            #[cfg(feature = "introspection")]
            FetchErrorKind::MalformedAnswer => "the answer to an introspection is malformed",
            #[cfg(feature = "introspection")]
            FetchErrorKind::Assertion => "the client's assertion could not be signed",
            FetchErrorKind::NoRuntime => "there is no tokio runtime in which to send requests",
            FetchErrorKind::Panic => "the client panicked",
            FetchErrorKind::TooManyWaiting => "too many requests are waiting for the issuer",
        })
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// At most `most` characters of untrusted text. Control and invisible characters are escaped.
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
