//! Checks which addresses may be fetched.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

/// Why an address is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// It is not an absolute URL.
    NotAUrl,
    /// It does not have a host.
    NoHost,
    /// It contains a user or a password. If the address of keys needs them, send them by your own
    /// [`Fetch`](super::Fetch).
    Credentials,
    /// It has a fragment.
    Fragment,
    /// It is an issuer with a query (OpenID Connect Discovery 1.0 §2, RFC 8414 §2). The address of
    /// a JWK Set document may have one: pass it to [`RemoteKeys::jwks`](super::RemoteKeys::jwks).
    Query,
    /// The scheme is neither `https` nor `http`.
    Scheme,
    /// It is an `http` address of another machine. `allow_http` of the builder allows it.
    Http,
    /// It is passed as an [origin](super::RemoteKeysBuilder::jwks_origins), but contains more than
    /// scheme, host and port.
    NotAnOrigin,
    /// The metadata of a remote issuer name an `http` address of this machine.
    LocalHttp,
    /// The metadata of a remote issuer name a loopback, link-local or unspecified address.
    ThisMachine,
    /// The metadata name an origin that is not the issuer's. For keys,
    /// [`jwks_origins`](super::RemoteKeysBuilder::jwks_origins) allows other origins. An
    /// introspection endpoint on another origin has to be configured by its URL.
    OtherOrigin,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAUrl => "it is not an absolute URL such as https://id.example.com",
            Self::NoHost => "it has no host",
            Self::Credentials => {
                "it contains a user or a password: implement Fetch to send them for keys, or use a \
                 ClientAuthentication for an introspection"
            }
            Self::Fragment => "it has a fragment: remove the # and what follows",
            Self::Query => "an issuer has no query: use RemoteKeys::jwks for the address of keys",
            Self::Scheme => "its scheme is neither https nor http",
            Self::Http => "it uses http and is not a loopback address: use https or allow_http",
            Self::NotAnOrigin => "an origin has only scheme, host and port",
            Self::LocalHttp => "a remote issuer may not name an http address of this machine",
            Self::ThisMachine => {
                "a remote issuer may not name a loopback, link-local or unspecified address"
            }
            Self::OtherOrigin => {
                "its origin is neither the issuer's nor in jwks_origins; for an introspection, \
                 configure the endpoint"
            }
        })
    }
}

impl std::error::Error for AddressError {}

/// Parses an absolute URL with `https`. `http` is allowed for loopback addresses, or if configured.
pub(crate) fn parse(text: &str, http_allowed: bool) -> Result<Uri, AddressError> {
    // `Uri` silently drops a fragment.
    if text.contains('#') {
        return Err(AddressError::Fragment);
    }
    let uri: Uri = text.parse().map_err(|_| invalid(text))?;
    let authority = uri.authority().ok_or_else(|| invalid(text))?;
    if authority.as_str().contains('@') {
        return Err(AddressError::Credentials);
    }
    if authority.host().is_empty() {
        return Err(AddressError::NoHost);
    }
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => Ok(uri),
        Some(scheme) if *scheme == Scheme::HTTP => {
            if http_allowed || is_loopback(authority.host()) {
                Ok(uri)
            } else {
                Err(AddressError::Http)
            }
        }
        Some(_) => Err(AddressError::Scheme),
        None => Err(AddressError::NotAUrl),
    }
}

/// Why a text is not a URL with an authority.
fn invalid(text: &str) -> AddressError {
    match text.split_once("://") {
        Some((_, rest)) if rest.is_empty() || rest.starts_with(['/', ':', '?']) => {
            AddressError::NoHost
        }
        _ => AddressError::NotAUrl,
    }
}

/// Whether the host is a loopback address.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether the host is a loopback, link-local (RFC 3927, RFC 4291 §2.5.6) or unspecified address.
/// Cloud metadata services have link-local addresses.
///
/// The address is parsed as the client parses it: `2852039166` and `0xa9fea9fe` are
/// 169.254.169.254.
pub(super) fn is_of_this_machine(uri: &Uri) -> bool {
    let Ok(url) = reqwest::Url::parse(&uri.to_string()) else {
        return true;
    };
    let Some(host) = url.host_str() else {
        return true;
    };
    let name = host.trim_end_matches('.');
    if name == "localhost" || name.ends_with(".localhost") {
        return true;
    }
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address
        .parse::<IpAddr>()
        .map(|address| address.to_canonical())
    {
        // All of 0.0.0.0/8 is rejected (RFC 1122 §3.2.1.3).
        Ok(IpAddr::V4(ip)) => {
            ip.is_loopback() || ip.is_link_local() || ip.octets().first() == Some(&0)
        }
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unspecified() || ip.is_unicast_link_local(),
        Err(_) => false,
    }
}

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebOrigin(String);

impl WebOrigin {
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let url = reqwest::Url::parse(&uri.to_string()).ok()?;
        Some(Self(url.origin().ascii_serialization()))
    }

    /// Parses a text that is only an origin.
    pub(crate) fn parse(text: &str, http_allowed: bool) -> Result<Self, AddressError> {
        let uri = parse(text, http_allowed)?;
        if uri.path() != "/" || uri.query().is_some() || text.contains('*') {
            return Err(AddressError::NotAnOrigin);
        }
        Self::of(&uri).ok_or(AddressError::NotAUrl)
    }
}

/// A URL from outside, on one line of bounded length. The query and credentials may contain
/// secrets, so they are removed.
pub(super) fn shown_text(text: &str) -> String {
    const MAX_CHARACTERS: usize = 200;

    // First: a password may contain a `?`.
    let (credentials, rest) = match text.rsplit_once('@') {
        Some((_, after)) => ("[credentials]@", after),
        None => ("", text),
    };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let shown = format!("{credentials}{}", rest.get(..end).unwrap_or_default());
    let shown: String = shown.chars().take(MAX_CHARACTERS).collect();
    shown.escape_debug().to_string()
}

/// The URL without its query, which may contain a secret.
pub(super) fn shown(uri: &Uri) -> String {
    let text = uri.to_string();
    match text.split_once('?') {
        Some((before, _)) => before.to_owned(),
        None => text,
    }
}

/// Whether the scheme is `http`.
pub(super) fn is_http(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTP)
}

/// The possible addresses of an issuer's metadata: OpenID Connect Discovery 1.0 §4, then RFC 8414
/// §3.
pub(super) fn metadata_of(issuer: &Uri) -> Option<[Uri; 2]> {
    let path = issuer.path().trim_end_matches('/');
    let at = |path: String| {
        let mut parts = issuer.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
        Uri::from_parts(parts).ok()
    };
    Some([
        at(format!("{path}/.well-known/openid-configuration"))?,
        at(format!("/.well-known/oauth-authorization-server{path}"))?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_fetched() {
        for text in [
            "https://id.example.com",
            "https://id.example.com:8443/a/b?c=d",
            "http://localhost:3000/jwks",
            "http://127.0.0.1/jwks",
            "http://127.9.9.9/jwks",
            "http://[::1]:1/jwks",
        ] {
            assert!(parse(text, false).is_ok(), "{text}");
        }
        use AddressError::{Credentials, Fragment, Http, NoHost, NotAUrl, Scheme};
        for (text, expected) in [
            ("", NotAUrl),
            ("/jwks", NotAUrl),
            ("id.example.com", NotAUrl),
            ("https://a b", NotAUrl),
            ("http://id.example.com", Http),
            ("http://localhost.example.com", Http),
            ("http://127.0.0.1.example.com", Http),
            ("http://10.0.0.1/", Http),
            ("http://169.254.169.254/latest", Http),
            ("file:///etc/passwd", NoHost),
            ("data:text/plain,x", NotAUrl),
            ("https://user@id.example.com/", Credentials),
            ("https://user:secret@id.example.com/", Credentials),
            ("https://id.example.com/#x", Fragment),
            ("ftp://id.example.com/", Scheme),
            ("https://", NoHost),
            ("https:///x", NoHost),
            ("https://:443/x", NoHost),
        ] {
            assert_eq!(parse(text, false), Err(expected), "{text}");
        }
        assert!(parse("http://id.example.com", true).is_ok());
        assert_eq!(parse("ftp://id.example.com", true), Err(Scheme));
    }

    #[test]
    fn where_metadata_lie() {
        let of = |issuer: &str| {
            metadata_of(&issuer.parse().unwrap())
                .unwrap()
                .map(|uri| uri.to_string())
        };
        assert_eq!(
            of("https://id.example.com"),
            [
                "https://id.example.com/.well-known/openid-configuration",
                "https://id.example.com/.well-known/oauth-authorization-server",
            ]
        );
        assert_eq!(
            of("https://id.example.com/realms/a/"),
            [
                "https://id.example.com/realms/a/.well-known/openid-configuration",
                "https://id.example.com/.well-known/oauth-authorization-server/realms/a",
            ]
        );
    }
}
