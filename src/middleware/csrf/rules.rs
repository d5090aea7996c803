//! Which requests are allowed: the rules in the documentation of `csrf`.

use std::fmt;
use std::sync::Arc;

use http::header::{COOKIE, HOST, HeaderMap, HeaderName, ORIGIN, UPGRADE};
use http::{HeaderValue, Method};

use super::origin::Origin;
use crate::middleware::error::AuthError;
use crate::middleware::error_kind::AuthErrorKind;
use crate::middleware::source::{RequestHead, has_token};

pub(crate) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Frameworks read the method from these instead of the request line.
const METHOD_OVERRIDES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
];

/// The rules, and the origins whose pages may send requests here.
#[derive(Clone, Default)]
pub(crate) struct CsrfRules {
    trusted: Vec<Origin>,
    trusted_by: Vec<Arc<IsTrusted>>,
    /// Whether explicit credentials replace an origin.
    exempts_authorization: bool,
}

type IsTrusted = dyn Fn(&Origin) -> bool + Send + Sync;

impl CsrfRules {
    pub(crate) fn trust(&mut self, origin: Origin) {
        self.trusted.push(origin);
    }

    pub(crate) fn trust_by(
        &mut self,
        is_trusted: impl Fn(&Origin) -> bool + Send + Sync + 'static,
    ) {
        self.trusted_by.push(Arc::new(is_trusted));
    }

    pub(super) fn exempt_authorization(&mut self) {
        self.exempts_authorization = true;
    }

    pub(crate) fn check(&self, request: RequestHead<'_>) -> Result<(), AuthError> {
        if !has_effects(request)
            || self.allows(request)
            || self.exempts_authorization && is_by_authorization_alone(request.headers)
        {
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
        match (site.map(HeaderValue::as_bytes), origin) {
            (Some(b"same-origin" | b"none"), _) => true,
            (_, Some(origin)) if self.trusts(origin) => true,
            (None, Some(origin)) => is_own(origin, request),
            _ => false,
        }
    }

    fn trusts(&self, origin: &HeaderValue) -> bool {
        let mut listed = self.trusted.iter();
        if listed.any(|trusted| trusted.is_named_by(origin)) {
            return true;
        }
        let mut predicates = self.trusted_by.iter();
        !self.trusted_by.is_empty()
            && Origin::from_header(origin)
                .is_some_and(|origin| predicates.any(|is_trusted| is_trusted(&origin)))
    }
}

/// Whether the request has credentials that no browser adds on its own, no cookie, and no header
/// that a browser would add.
fn is_by_authorization_alone(headers: &HeaderMap) -> bool {
    let from_browser = [&COOKIE, &ORIGIN, &SEC_FETCH_SITE];
    from_browser.iter().all(|name| !headers.contains_key(*name)) && has_token(headers)
}

impl fmt::Debug for CsrfRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfRules")
            .field("trusted", &self.trusted)
            .field("exempts_authorization", &self.exempts_authorization)
            .finish_non_exhaustive()
    }
}

/// Whether the request may change something: its method is not safe, another one overrides it, or
/// it upgrades.
pub(crate) fn has_effects(request: RequestHead<'_>) -> bool {
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
pub(crate) struct Several;

/// The value of a header that may be there once.
pub(crate) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Several> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Several),
    }
}

/// Whether `origin` names the host and port that the request was sent to. The scheme is not known
/// here: TLS mostly ends before the server.
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
    // A browser leaves the default port out of `Origin`; something on the way may have added it to
    // the host.
    let host = host.strip_suffix(default_port).unwrap_or(host);
    !host.is_empty() && host.eq_ignore_ascii_case(origin)
}
