//! Checks which addresses may be fetched.

use std::net::IpAddr;

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

/// Parses an absolute URL with `https`. `http` is allowed for loopback addresses, or if configured.
pub(super) fn parse(text: &str, http_allowed: bool) -> Option<Uri> {
    // `Uri` silently drops a fragment.
    if text.contains('#') {
        return None;
    }
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return None;
    }
    let is_safe = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        Some(scheme) if *scheme == Scheme::HTTP => http_allowed || is_loopback(authority.host()),
        _ => false,
    };
    is_safe.then_some(uri)
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
pub(super) struct WebOrigin(String);

impl WebOrigin {
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let url = reqwest::Url::parse(&uri.to_string()).ok()?;
        Some(Self(url.origin().ascii_serialization()))
    }

    /// Parses a text that is only an origin.
    pub(super) fn parse(text: &str, http_allowed: bool) -> Option<Self> {
        let uri = parse(text, http_allowed)?;
        let is_bare = uri.path() == "/" && uri.query().is_none() && !text.contains('*');
        is_bare.then(|| Self::of(&uri))?
    }
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
            assert!(parse(text, false).is_some(), "{text}");
        }
        for text in [
            "",
            "/jwks",
            "id.example.com",
            "http://id.example.com",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://10.0.0.1/",
            "http://169.254.169.254/latest",
            "file:///etc/passwd",
            "data:text/plain,x",
            "https://user@id.example.com/",
            "https://user:secret@id.example.com/",
            "https://id.example.com/#x",
            "ftp://id.example.com/",
            "https://",
            "https:///x",
        ] {
            assert!(parse(text, false).is_none(), "{text}");
        }
        assert!(parse("http://id.example.com", true).is_some());
        assert!(parse("ftp://id.example.com", true).is_none());
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
