//! Origins, in the form that browsers send.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::HeaderValue;

/// An origin, as browsers write it in the `Origin` header (RFC 6454 §6.1).
///
/// It has a scheme, a host in lower case, and a port unless it is the scheme's default. Other
/// spellings are errors, because they would never match: `https://a:08443`, `http://127.1`,
/// `https://[0:0:0:0:0:0:0:1]`.
///
/// Apps and browser extensions have schemes of their own: `capacitor://localhost`,
/// `tauri://localhost`, `chrome-extension://` with the extension's ID. Their hosts are compared
/// byte for byte.
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

/// The text is not an origin as browsers write it, and would never match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OriginError;

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an origin is `scheme://host` or `scheme://host:port` as a browser writes it: http, \
             https, or the scheme of an app or a browser extension, in lower case, addresses in \
             their one short form, without the default port and without a path",
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
            Some((scheme, host)) if is_app_scheme(scheme) && is_app_host(host) => {
                return Ok(Self(origin.into()));
            }
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

/// Whether an app or a browser extension may have this scheme (RFC 3986 §3.1). Pages of the schemes
/// listed here have no origin, or none that requests carry.
fn is_app_scheme(scheme: &str) -> bool {
    const WITHOUT_ORIGIN: [&str; 6] = ["blob", "data", "file", "ftp", "ws", "wss"];
    let is_scheme_byte = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.');
    scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(is_scheme_byte)
        && !WITHOUT_ORIGIN.contains(&scheme)
}

/// Whether it is a name or an ID, perhaps with a port. Browsers keep its case.
fn is_app_host(authority: &str) -> bool {
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_host_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !host.is_empty()
        && host.bytes().all(is_host_byte)
        // No port is 0, so 0 stands for "no default".
        && port.is_none_or(|port| is_canonical_port(port, 0))
}

/// Whether browsers write the port like this. `default` is that of the scheme.
fn is_canonical_port(port: &str, default: u16) -> bool {
    let number: Result<u16, _> = port.parse();
    number.is_ok_and(|number| number != 0 && number != default && number.to_string() == port)
}

/// Whether browsers write the host like this (WHATWG URL §3.5).
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
    // A name that ends with a number is an IPv4 address, which has many spellings.
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = match last.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => last.bytes().all(|byte| byte.is_ascii_digit()),
    };
    !is_number || host.parse::<Ipv4Addr>().is_ok()
}

/// The address as browsers write it: like `Display`, but without IPv4 notation.
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
    /// The origin as a browser writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scheme, such as `https`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.split_once("://").map_or("", |(scheme, _)| scheme)
    }

    /// The host without the port. An IPv6 address is in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let authority = self.0.split_once("://").map_or("", |(_, host)| host);
        match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => authority,
        }
    }

    /// Whether the host is a loopback address, or `localhost`.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let address: Result<IpAddr, _> = address.parse();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// The origin that a request names. `None` if it is opaque (`null`) or in another spelling.
    pub(super) fn from_header(header: &HeaderValue) -> Option<Self> {
        header.to_str().ok()?.parse().ok()
    }

    /// Whether a request's `Origin` header names it.
    pub(super) fn is_named_by(&self, header: &HeaderValue) -> bool {
        self.0.as_bytes() == header.as_bytes()
    }

    #[track_caller]
    #[expect(clippy::panic, reason = "misuse of a builder, before any request")]
    pub(crate) fn expect<O: TryInto<Self, Error: fmt::Display>>(origin: O) -> Self {
        match origin.try_into() {
            Ok(origin) => origin,
            Err(error) => panic!("{error}"),
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
            // Apps and browser extensions.
            "capacitor://localhost",
            "ionic://localhost",
            "tauri://localhost",
            "app://localhost:3000",
            "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb",
            "moz-extension://d8a3d2ce-5a3a-4d42-8b0a-52cb1a6c2a5c",
            "safari-web-extension://D8A3D2CE-5A3A-4D42-8B0A-52CB1A6C2A5C",
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
            // Schemes.
            "Capacitor://localhost",
            "1app://localhost",
            "a_b://localhost",
            "file://localhost",
            "ws://localhost",
            "wss://localhost",
            "capacitor://",
            "capacitor://localhost/",
            "capacitor://localhost:",
            "capacitor://localhost:08",
            "capacitor://a:1:2",
            "capacitor://user@localhost",
            "chrome-extension://*",
            "capacitor://a,b",
            "capacitor://a b",
        ] {
            assert!(origin.parse::<Origin>().is_err(), "{origin}");
        }
    }

    #[test]
    fn the_parts_of_an_origin() {
        for (origin, scheme, host) in [
            ("https://a.example", "https", "a.example"),
            ("http://a.example:8080", "http", "a.example"),
            ("https://[::1]", "https", "[::1]"),
            ("https://[::1]:8443", "https", "[::1]"),
            ("capacitor://localhost", "capacitor", "localhost"),
        ] {
            let parsed: Origin = origin.parse().unwrap();
            assert_eq!(
                (parsed.as_str(), parsed.scheme(), parsed.host()),
                (origin, scheme, host)
            );
        }
    }
}
