//! Protection against cross-site request forgery: a page of another site makes a browser send a request, and the browser
//! adds the cookies.
//!
//! [`JwtAuthLayer`](super::JwtAuthLayer) applies the rules to a request that is authenticated by a cookie.
//! [`CsrfLayer`] applies them to every request, for routes that set a cookie rather than read one: without it a page of
//! another site could log its visitor in as somebody else.
//!
//! A request is allowed if any of these holds:
//!
//! 1. Its method is `GET`, `HEAD` or `OPTIONS`, it does not ask for an upgrade, and no header overrides the method. A
//!    WebSocket begins as a `GET` that upgrades, and a browser opens one to any site, with cookies. `Upgrade: h2c`
//!    alone asks for HTTP/2, as Java's client and `curl --http2` do, and is no such upgrade.
//! 2. `Sec-Fetch-Site` is `same-origin` or `none`.
//! 3. `Origin` is one of the trusted origins.
//! 4. There is no `Sec-Fetch-Site`, and `Origin` is the request's own: host and port are those of the request's target,
//!    or of `Host`.
//!
//! Anything else gets 403, a request with neither header too: a browser sends at least one of them. A client that is no
//! browser can authenticate with `Authorization`, or send `Sec-Fetch-Site: none`.
//!
//! # Behind a proxy
//!
//! Rule 4 compares with the `Host` that arrives here. A proxy that rewrites it leaves rules 2 and 3, which is enough for
//! browsers since 2023. `Origin` and `Sec-Fetch-Site` must arrive unchanged.
//!
//! In a test without a server nobody adds `Host`: name it, or send a whole URI, or `Sec-Fetch-Site: same-origin`.
//!
//! ```
//! use tower_jwt_auth::csrf::CsrfLayer;
//! # use axum::{Router, routing::post};
//! # async fn login() {}
//!
//! let app: Router = Router::new()
//!     .route("/login", post(login))
//!     .layer(CsrfLayer::new().trusted_origin("https://app.example.com"));
//! ```

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{HOST, HeaderMap, HeaderName, ORIGIN, UPGRADE};
use http::{HeaderValue, Method, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::future::ResponseFuture;
use super::rejection::{Answers, AuthError, AuthErrorKind, ProblemJson, Respond};
use super::source::RequestHead;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Frameworks read the method from these instead of the request line.
const METHOD_OVERRIDES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
];

/// The origins whose pages may send requests here, and the rules at the top of this module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    trusted: Vec<Origin>,
}

impl Rules {
    pub(crate) fn trust(&mut self, origin: Origin) {
        self.trusted.push(origin);
    }

    pub(crate) fn check(&self, request: RequestHead<'_>) -> Result<(), AuthError> {
        if !has_effects(request) || self.allows(request) {
            Ok(())
        } else {
            Err(AuthErrorKind::CrossSite.into())
        }
    }

    fn allows(&self, request: RequestHead<'_>) -> bool {
        let headers = request.headers;
        let (Ok(site), Ok(origin)) = (single(headers, &SEC_FETCH_SITE), single(headers, &ORIGIN))
        else {
            return false;
        };
        let trusted = |origin: &HeaderValue| {
            self.trusted
                .iter()
                .any(|trusted| trusted.0.as_bytes() == origin.as_bytes())
        };
        match (site.map(HeaderValue::as_bytes), origin) {
            (Some(b"same-origin" | b"none"), _) => true,
            (_, Some(origin)) if trusted(origin) => true,
            (None, Some(origin)) => is_own(origin, request),
            _ => false,
        }
    }
}

fn has_effects(request: RequestHead<'_>) -> bool {
    let safe = matches!(
        *request.method,
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    !safe
        || upgrades(request.headers)
        || METHOD_OVERRIDES
            .iter()
            .any(|name| request.headers.contains_key(name))
}

/// Whether anything but `h2c` is asked for, which carries the same request over HTTP/2 (RFC 7540
/// §3.2). Over HTTP/2 itself an upgrade is a `CONNECT` (RFC 8441), which is no safe method.
fn upgrades(headers: &HeaderMap) -> bool {
    headers
        .get_all(UPGRADE)
        .iter()
        .flat_map(|protocols| protocols.as_bytes().split(|byte| *byte == b','))
        .any(|protocol| !protocol.trim_ascii().eq_ignore_ascii_case(b"h2c"))
}

/// The header is there more than once.
struct Several;

fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Several> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Several),
    }
}

/// Whether `origin` names the host and port that the request was sent to. The scheme is not known here: TLS mostly
/// ends before the server.
fn is_own(origin: &HeaderValue, request: RequestHead<'_>) -> bool {
    let Some((scheme, origin)) = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
    else {
        return false;
    };
    let default_port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return false,
    };
    let host = match request.uri.authority() {
        Some(authority) => authority.as_str(),
        None => match single(request.headers, &HOST) {
            Ok(Some(host)) => host.to_str().unwrap_or_default(),
            _ => return false,
        },
    };
    // A browser leaves the default port out of `Origin`; something on the way may have added it to the host.
    let host = host.strip_suffix(default_port).unwrap_or(host);
    !host.is_empty() && host.eq_ignore_ascii_case(origin)
}

/// An origin as browsers write it in the `Origin` header (RFC 6454 §6.1): scheme, host in lower case, and a port
/// unless it is the scheme's own.
///
/// Any other spelling is an error, since it would never match: `https://a:08443`, `http://127.1`,
/// `https://[0:0:0:0:0:0:0:1]`.
///
/// ```
/// use tower_jwt_auth::csrf::Origin;
///
/// let origin: Origin = "https://app.example.com:8443".parse()?;
/// assert!("https://App.example.com/".parse::<Origin>().is_err());
/// # Ok::<_, tower_jwt_auth::csrf::OriginError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Box<str>);

/// The text is no origin in the form that browsers send, and would never match one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OriginError;

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an origin is `scheme://host` or `scheme://host:port` as a browser writes it: http or https, \
             in lower case, addresses in their one short form, without the default port and without a path",
        )
    }
}

impl std::error::Error for OriginError {}

impl std::str::FromStr for Origin {
    type Err = OriginError;

    fn from_str(origin: &str) -> Result<Self, OriginError> {
        let (default_port, authority) = match origin.split_once("://") {
            Some(("https", authority)) => (443, authority),
            Some(("http", authority)) => (80, authority),
            _ => return Err(OriginError),
        };
        // The colons of an IPv6 address are in brackets.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        if is_canonical_host(host) && port.is_none_or(|port| is_canonical_port(port, default_port))
        {
            Ok(Self(origin.into()))
        } else {
            Err(OriginError)
        }
    }
}

/// Whether a browser writes a port like that, of a scheme with this default.
fn is_canonical_port(port: &str, default: u16) -> bool {
    let number: Result<u16, _> = port.parse();
    number.is_ok_and(|number| number != 0 && number != default && number.to_string() == port)
}

/// Whether a browser writes a host like that (WHATWG URL §3.5).
fn is_canonical_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']');
        return address.is_some_and(|text| {
            let address: Result<Ipv6Addr, _> = text.parse();
            address.is_ok_and(|address| serialize(address) == text)
        });
    }
    // A name may end with a dot.
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        let byte = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        !label.is_empty() && label.bytes().all(byte)
    };
    if !name.split('.').all(is_label) {
        return false;
    }
    // A name that ends with a number is an IPv4 address, in one of many spellings.
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = match last.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => last.bytes().all(|byte| byte.is_ascii_digit()),
    };
    !is_number || host.parse::<Ipv4Addr>().is_ok()
}

/// As browsers write an address: like `Display`, but no part of it as an IPv4 address.
fn serialize(address: Ipv6Addr) -> String {
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => format!("::ffff:{high:x}:{low:x}"),
        _ => address.to_string(),
    }
}

impl TryFrom<&str> for Origin {
    type Error = OriginError;

    fn try_from(origin: &str) -> Result<Self, OriginError> {
        origin.parse()
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;

    fn try_from(origin: String) -> Result<Self, OriginError> {
        origin.parse()
    }
}

impl Origin {
    #[track_caller]
    #[expect(clippy::panic, reason = "misuse of a builder, before any request")]
    pub(crate) fn expect<O: TryInto<Self, Error: fmt::Display>>(origin: O) -> Self {
        match origin.try_into() {
            Ok(origin) => origin,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Applies the [rules](self) to every request, whatever it carries.
///
/// See the [module docs](self) for an example.
pub struct CsrfLayer<R = ProblemJson> {
    rules: Arc<Rules>,
    answers: Arc<Answers<R>>,
}

impl CsrfLayer {
    /// Trusts no other origin.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Default for CsrfLayer {
    fn default() -> Self {
        Self {
            rules: Arc::default(),
            // A request from another site lacks no credentials.
            answers: Arc::new(Answers::new(None)),
        }
    }
}

impl<R> CsrfLayer<R> {
    /// Lets pages of `origin` send requests here.
    ///
    /// # Panics
    ///
    /// If it is no [`Origin`]. Parse text from outside first, and hand over the result.
    #[must_use]
    #[track_caller]
    pub fn trusted_origin<O: TryInto<Origin, Error: fmt::Display>>(mut self, origin: O) -> Self {
        Arc::make_mut(&mut self.rules).trust(Origin::expect(origin));
        self
    }

    /// Replaces what answers a refused request.
    #[must_use]
    pub fn respond<R2>(self, responder: R2) -> CsrfLayer<R2> {
        CsrfLayer {
            rules: self.rules,
            answers: Arc::new(self.answers.with_responder(responder)),
        }
    }
}

impl<R> Clone for CsrfLayer<R> {
    fn clone(&self) -> Self {
        Self {
            rules: Arc::clone(&self.rules),
            answers: Arc::clone(&self.answers),
        }
    }
}

impl<R> fmt::Debug for CsrfLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfLayer")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl<S, R> Layer<S> for CsrfLayer<R> {
    type Service = Csrf<S, R>;

    fn layer(&self, inner: S) -> Csrf<S, R> {
        Csrf {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service that [`CsrfLayer`] makes.
pub struct Csrf<S, R = ProblemJson> {
    inner: S,
    layer: CsrfLayer<R>,
}

impl<S: Clone, R> Clone for Csrf<S, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S: fmt::Debug, R> fmt::Debug for Csrf<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Csrf")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .finish()
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for Csrf<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: Respond<ResBody>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, ResBody, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match self.layer.rules.check(RequestHead::of(&request)) {
            Ok(()) => ResponseFuture::untouched(self.inner.call(request)),
            Err(error) => ResponseFuture::rejected(self.layer.answers.reject(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_what_browsers_send() {
        for origin in [
            "https://example.com",
            "http://localhost:3000",
            "https://[::1]:8443",
            "http://127.0.0.1",
            "https://xn--exmple-cua.com",
            "https://a",
            "https://a_b.example",
            "https://example.com.",
            "https://example.com:8443",
            "https://example.com:80",
            "http://example.com:443",
            "https://1.example",
            "https://0x7f.example",
            "https://1a",
            "https://[::]",
            "https://[2001:db8::1]",
            "https://[2001:db8:0:1:1:1:1:1]",
            "https://[1:0:0:2::]",
            "https://[::ffff:7f00:1]",
            "https://[::7f00:1]",
        ] {
            assert!(origin.parse::<Origin>().is_ok(), "{origin}");
        }
        for origin in [
            "",
            "null",
            "*",
            "https://",
            "https://*.example.com",
            "https://example.com/",
            "https://example.com/path",
            "https://example.com?query",
            "https://example.com:443",
            "http://example.com:80",
            "https://example.com:",
            "https://example.com:99999",
            "https://Example.com",
            "HTTPS://example.com",
            "https://user@example.com",
            "example.com",
            "ftp://example.com",
            "https://exämple.com",
            // Ports.
            "https://a:08443",
            "https://a:+8443",
            "https://a:0",
            "https://a:65536",
            "https://a:8443:8443",
            "https://a:8443/",
            // Numbers that are addresses in another spelling.
            "http://127.1",
            "http://127.0.1",
            "http://2130706433",
            "http://0x7f000001",
            "http://0x7f.0.0.1",
            "http://127.0.0.0x1",
            "http://127.0.0.01",
            "http://0177.0.0.1",
            "http://127.0.0.1.",
            "http://1.2.3.4.5",
            "http://256.0.0.1",
            "http://1.2.3",
            "http://a.1",
            "http://a.0x",
            "http://a.0xg.1.",
            // IPv6 in another spelling, or none.
            "https://[0:0:0:0:0:0:0:1]",
            "https://[::0001]",
            "https://[::0:1]",
            "https://[1::2:0:0:0:3]",
            "https://[2001:DB8::1]",
            "https://[2001:db8::1:1:1:1:1]",
            "https://[::ffff:127.0.0.1]",
            "https://[::127.0.0.1]",
            "https://[fe80::1%25eth0]",
            "https://[::1",
            "https://::1",
            "https://[]",
            "https://[::1]x",
            "https://[::1]:443",
            "https://[127.0.0.1]",
            "https://[v1.a]",
            // Hosts.
            "https://a,b",
            "https://a,https://b",
            "https://a b",
            "https://a\tb",
            "https://a;b",
            "https://a%2eb",
            "https://a\\b",
            "https://a|b",
            "https://a!b",
            "https://a..b",
            "https://.a",
            "https://.",
            "https://..",
            "https://:8443",
            "https://user:password@a",
            "https://@a",
            "https://a#",
            "https://a?",
            "https:/a",
            "https:a",
            "https:///a",
            "://a",
            "//a",
            " https://a",
            "https://a ",
            "https://a\n",
        ] {
            assert!(origin.parse::<Origin>().is_err(), "{origin}");
        }
    }
}
