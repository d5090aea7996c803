//! Finds the token in a request.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName};
use http::{Extensions, Method, Request, Uri};

use super::caching::CacheDirective;
use super::scheme::Scheme;
use crate::cookie::{CookieName, TokenCookie};
use crate::dpop::Dpop;

/// A place in a request where a token may be.
///
/// Sources are read in order. The first with a token decides: if that token is bad, the request is
/// rejected, and later sources are not read. If a source finds two different cookies of its name,
/// or two headers, the request is rejected with 400.
///
/// There is no source for the query, because URLs end up in logs and histories (RFC 9700 §4.3.2).
#[derive(Clone)]
pub struct TokenSource(Kind);

#[derive(Clone)]
enum Kind {
    Bearer,
    Dpop(Arc<Dpop>),
    Cookie(CookieName),
    Header(HeaderName),
    Custom { read: Arc<Read>, ambient: bool },
}

type Read = dyn for<'a> Fn(RequestHead<'a>) -> Option<Cow<'a, str>> + Send + Sync;

/// A request without its body, for [`TokenSource::custom`].
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The target.
    pub uri: &'a Uri,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The extensions of outer layers.
    pub extensions: &'a Extensions,
}

impl<'a> RequestHead<'a> {
    pub(crate) fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

/// Shows the method and the header names. Header values and parts of the target may be tokens.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.keys().collect();
        f.debug_struct("RequestHead")
            .field("method", self.method)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// What a source finds.
pub(crate) enum Found<'a> {
    Nothing,
    Token(Cow<'a, [u8]>),
    /// Credentials that break the grammar.
    Malformed,
    /// More than one token.
    Several,
}

impl TokenSource {
    /// `Authorization: Bearer <token>` (RFC 6750 §2.1). The case of the scheme does not matter (RFC
    /// 9110 §11.1). A request with another scheme counts as one without a token.
    ///
    /// Credentials that are not a `b64token` are malformed: 400. A `b64token` has ASCII letters,
    /// digits and `-._~+/=`. In a cookie, a header or a custom source, a token with other
    /// characters is invalid: 401.
    #[must_use]
    pub fn bearer() -> Self {
        Self(Kind::Bearer)
    }

    /// `Authorization: DPoP <token>` (RFC 9449 §7.1), with a proof in the header `DPoP`. The token
    /// must be bound to the key of the proof. See [`dpop`](crate::dpop).
    ///
    /// As for [`bearer`](Self::bearer), a request with another scheme counts as one without a
    /// token, and credentials that are not a `b64token` are malformed.
    ///
    /// ```
    /// use tower_jwt_auth::dpop::Dpop;
    /// use tower_jwt_auth::{JwtAuthLayer, TokenSource};
    /// # let key = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
    ///
    /// // Bound tokens under `DPoP`, and other tokens under `Bearer`.
    /// let dpop = Dpop::new("https://api.example.com")?;
    /// let layer = JwtAuthLayer::new(key).source(TokenSource::dpop(dpop));
    /// # Ok::<_, tower_jwt_auth::dpop::BaseUrlError>(())
    /// ```
    #[must_use]
    pub fn dpop(dpop: impl Into<Arc<Dpop>>) -> Self {
        Self(Kind::Dpop(dpop.into()))
    }

    /// The cookie of this name. All `Cookie` headers are read, because HTTP/2 may split them.
    /// Quotes around the value are ignored (RFC 6265 §4.1.1). An empty cookie is not a token.
    ///
    /// A request with the token in a cookie is checked for
    /// [cross-site request forgery](super::csrf).
    ///
    /// # Panics
    ///
    /// If `name` is not a cookie name. For a configured name, call [`TokenCookie::new`] and convert
    /// the result with `TokenSource::from`.
    #[must_use]
    #[track_caller]
    pub fn cookie(name: &str) -> Self {
        match CookieName::new(name) {
            Ok(name) => Self(Kind::Cookie(name)),
            Err(error) => misuse(&error),
        }
    }

    /// A header whose value is the token, as some gateways send it.
    ///
    /// # Panics
    ///
    /// If `name` is not a header name, or is `authorization` or `cookie`, which have sources of
    /// their own.
    #[must_use]
    #[track_caller]
    pub fn header(name: &str) -> Self {
        match HeaderName::try_from(name) {
            Ok(AUTHORIZATION) => {
                misuse(&"`Authorization` is read by `TokenSource::bearer` and `dpop`")
            }
            Ok(COOKIE) => misuse(&"`Cookie` is read by `TokenSource::cookie`"),
            Ok(name) => Self(Kind::Header(name)),
            Err(error) => misuse(&error),
        }
    }

    /// A closure that reads the token from a place that the client sets explicitly, such as a
    /// header. An empty string is not a token.
    ///
    /// ```
    /// use std::borrow::Cow;
    /// use tower_jwt_auth::TokenSource;
    ///
    /// // A browser cannot set headers for a WebSocket, but it can name protocols (RFC 6455 §4.1).
    /// // The server accepts another of them, such as `chat`, so the token is not sent back.
    /// let source = TokenSource::custom(|request| {
    ///     let protocols = request.headers.get("sec-websocket-protocol")?.to_str().ok()?;
    ///     let token = |name: &'_ str| name.trim().strip_prefix("access-token.").map(str::to_owned);
    ///     protocols.split(',').find_map(token).map(Cow::Owned)
    /// });
    /// ```
    ///
    /// Use [`TokenSource::custom_ambient`] if browsers send the token by themselves, as with
    /// cookies.
    #[must_use]
    pub fn custom<F>(read: F) -> Self
    where
        F: for<'a> Fn(RequestHead<'a>) -> Option<Cow<'a, str>> + Send + Sync + 'static,
    {
        Self(Kind::Custom {
            read: Arc::new(read),
            ambient: false,
        })
    }

    /// A closure that reads the token from a place that browsers send automatically, such as an
    /// encrypted cookie.
    ///
    /// The request is checked for [cross-site request forgery](super::csrf), as with
    /// [`TokenSource::cookie`].
    #[must_use]
    pub fn custom_ambient<F>(read: F) -> Self
    where
        F: for<'a> Fn(RequestHead<'a>) -> Option<Cow<'a, str>> + Send + Sync + 'static,
    {
        Self(Kind::Custom {
            read: Arc::new(read),
            ambient: true,
        })
    }

    /// Whether the syntax of the source allows this token. The credentials are malformed if not.
    ///
    /// A verified token needs no such check: it has the characters of base64url and dots.
    pub(crate) fn may_hold(&self, token: &[u8]) -> bool {
        !matches!(self.0, Kind::Bearer | Kind::Dpop(_)) || is_b64token(token)
    }

    /// What shared caches must be told about a response to a token from this source.
    pub(super) fn caching(&self) -> CacheDirective {
        match self.0 {
            Kind::Bearer | Kind::Dpop(_) => CacheDirective::None,
            _ => CacheDirective::Private,
        }
    }

    /// The header on which a response without a token depends. `Authorization` may be omitted
    /// (RFC 9110 §12.5.5).
    pub(super) fn varies_by(&self) -> Option<HeaderName> {
        match &self.0 {
            Kind::Bearer | Kind::Dpop(_) | Kind::Custom { ambient: false, .. } => None,
            Kind::Cookie(_) | Kind::Custom { ambient: true, .. } => Some(COOKIE),
            Kind::Header(name) => Some(name.clone()),
        }
    }

    /// Whether browsers send the token by themselves.
    pub(crate) fn is_ambient(&self) -> bool {
        match &self.0 {
            Kind::Bearer | Kind::Dpop(_) | Kind::Header(_) => false,
            Kind::Cookie(_) => true,
            Kind::Custom { ambient, .. } => *ambient,
        }
    }

    /// How the proof of its sender is checked.
    pub(super) fn proof_settings(&self) -> Option<&Arc<Dpop>> {
        match &self.0 {
            Kind::Dpop(dpop) => Some(dpop),
            _ => None,
        }
    }

    pub(super) fn scheme(&self) -> Scheme {
        match self.0 {
            Kind::Dpop(_) => Scheme::Dpop,
            _ => Scheme::Bearer,
        }
    }

    pub(crate) fn find<'a>(&self, request: RequestHead<'a>) -> Found<'a> {
        match &self.0 {
            Kind::Bearer => one_header(request.headers, &AUTHORIZATION, |value| {
                credentials(value, Scheme::Bearer)
            }),
            Kind::Dpop(_) => one_header(request.headers, &AUTHORIZATION, |value| {
                credentials(value, Scheme::Dpop)
            }),
            Kind::Header(name) => one_header(request.headers, name, |value| match value {
                [] => Found::Nothing,
                token => Found::Token(Cow::Borrowed(token)),
            }),
            Kind::Cookie(name) => token_in_cookie(request.headers, name.as_str().as_bytes()),
            Kind::Custom { read, .. } => match read(request) {
                Some(Cow::Borrowed(token)) if !token.is_empty() => {
                    Found::Token(Cow::Borrowed(token.as_bytes()))
                }
                Some(Cow::Owned(token)) if !token.is_empty() => {
                    Found::Token(Cow::Owned(token.into_bytes()))
                }
                _ => Found::Nothing,
            },
        }
    }
}

/// Reads the cookie that [`TokenCookie`] sets.
impl From<&TokenCookie> for TokenSource {
    fn from(cookie: &TokenCookie) -> Self {
        Self(Kind::Cookie(cookie.cookie_name().clone()))
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "misuse of a builder, before any request")]
fn misuse(message: &dyn fmt::Display) -> ! {
    panic!("{message}")
}

fn one_header<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    read: impl FnOnce(&'a [u8]) -> Found<'a>,
) -> Found<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Found::Nothing,
        (Some(value), None) => read(value.as_bytes()),
        (Some(_), Some(_)) => Found::Several,
    }
}

/// The scheme, spaces, and a `b64token`. A value that begins with the scheme and goes on otherwise
/// is malformed, not another scheme. [`TokenSource::may_hold`] checks the characters of the token.
#[inline]
fn credentials(value: &[u8], scheme: Scheme) -> Found<'_> {
    let scheme = scheme.name().as_bytes();
    // The usual spelling, or another case.
    let rest = match value.strip_prefix(scheme) {
        Some(rest) => rest,
        None => match value.split_at_checked(scheme.len()) {
            Some((start, rest)) if start.eq_ignore_ascii_case(scheme) => rest,
            Some(_) if lists(scheme, value) => return Found::Several,
            _ => return Found::Nothing,
        },
    };
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    match rest.get(spaces..) {
        Some(token) if spaces > 0 && !token.is_empty() => Found::Token(Cow::Borrowed(token)),
        _ => Found::Malformed,
    }
}

/// Whether `Authorization` has a token under `Bearer` or `DPoP` (RFC 9449 §7.1). Browsers send
/// `Basic` and `Negotiate` on their own, but none of these.
pub(super) fn has_token(headers: &HeaderMap) -> bool {
    let found = one_header(headers, &AUTHORIZATION, |value| {
        let mut words = value.split(|byte| *byte == b' ');
        let scheme = words.next().unwrap_or_default();
        let mut rest = words.skip_while(|word| word.is_empty());
        let mut schemes = [Scheme::Bearer, Scheme::Dpop].into_iter();
        match (rest.next(), rest.next()) {
            (Some(token), None)
                if schemes.any(|known| scheme.eq_ignore_ascii_case(known.name().as_bytes()))
                    && is_b64token(token) =>
            {
                Found::Token(Cow::Borrowed(token))
            }
            _ => Found::Nothing,
        }
    });
    matches!(found, Found::Token(_))
}

/// Whether all bytes may stand in a `b64token` (RFC 6750 §2.1).
fn is_b64token(token: &[u8]) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    // Without an early return, so that the compiler checks many bytes at once.
    token.iter().fold(true, |all, byte| all & is_allowed(*byte))
}

/// Whether credentials of this scheme follow other credentials after a comma: something joined two
/// headers.
fn lists(scheme: &[u8], value: &[u8]) -> bool {
    // Each request with a DPoP token passes here, if `Bearer` is looked for first.
    memchr::memchr_iter(b',', value).any(|comma| {
        let rest = value.get(comma.saturating_add(1)..).unwrap_or_default();
        let rest = rest.trim_ascii_start();
        let mut words = rest.split(|byte| *byte == b',' || byte.is_ascii_whitespace());
        words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case(scheme))
    })
}

/// The values of every cookie of this name, without quotes around them.
pub(crate) fn cookies<'a>(headers: &'a HeaderMap, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|header| header.as_bytes().split(|byte| *byte == b';'))
        .filter_map(move |pair| {
            let equals = memchr::memchr(b'=', pair)?;
            let (key, value) = pair.split_at_checked(equals)?;
            (key.trim_ascii_start() == name).then(|| unquoted(value.get(1..).unwrap_or_default()))
        })
}

/// RFC 6265 §4.1.1 allows quotes around a value, and Java's `CookieManager` adds them. They do not
/// join what semicolons separate.
fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

/// The token in the cookie of this name.
pub(crate) fn token_in_cookie<'a>(headers: &'a HeaderMap, name: &[u8]) -> Found<'a> {
    let mut found: Option<&[u8]> = None;
    for value in cookies(headers, name) {
        if found.replace(value).is_some_and(|before| before != value) {
            return Found::Several;
        }
    }
    match found {
        None | Some([]) => Found::Nothing,
        Some(token) => Found::Token(Cow::Borrowed(token)),
    }
}

/// Where a token was looked for.
#[derive(Debug)]
pub(super) struct SearchedSources(String);

impl SearchedSources {
    pub(super) fn new(sources: &[TokenSource]) -> Self {
        let names: Vec<_> = sources.iter().map(TokenSource::name).collect();
        Self(names.join(", "))
    }
}

impl fmt::Display for SearchedSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "looked for in: {}", self.0)
    }
}

impl Error for SearchedSources {}

impl TokenSource {
    /// What an operator calls it.
    fn name(&self) -> String {
        match &self.0 {
            Kind::Bearer => "`Authorization: Bearer`".to_owned(),
            Kind::Dpop(_) => "`Authorization: DPoP`".to_owned(),
            Kind::Cookie(name) => format!("the cookie `{}`", name.as_str()),
            Kind::Header(name) => format!("the header `{name}`"),
            Kind::Custom { .. } => "a custom source".to_owned(),
        }
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Bearer => f.write_str("Bearer"),
            Kind::Dpop(dpop) => dpop.fmt(f),
            Kind::Cookie(name) => f.debug_tuple("Cookie").field(name).finish(),
            Kind::Header(name) => f.debug_tuple("Header").field(name).finish(),
            Kind::Custom { ambient: false, .. } => f.write_str("Custom"),
            Kind::Custom { ambient: true, .. } => f.write_str("CustomAmbient"),
        }
    }
}
