//! The URLs that clients use, as a proof names them in `htu`.

use std::fmt;

use fluent_uri::Uri;
use fluent_uri::component::{Authority, Host};

/// The normalized URL of the path `/`, without the slash at its end.
pub(super) struct BaseUrl(Box<str>);

/// The text cannot be the base URL of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaseUrlError {
    /// It is not a URI with a host (RFC 3986). Write a host name that is not ASCII in Punycode
    /// (`xn--…`).
    Malformed,
    /// The scheme is not `https`. `http` is accepted for `localhost` and loopback addresses.
    NotHttps,
    /// It has user information, a query or a fragment.
    UnexpectedPart,
}

impl fmt::Display for BaseUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => {
                "the base URL is not a URL in ASCII with a host, such as https://api.example.com"
            }
            Self::NotHttps => {
                "the base URL does not begin with https, and http is for loopback hosts only"
            }
            Self::UnexpectedPart => {
                "the base URL has user information, a query or a fragment: remove it"
            }
        })
    }
}

impl std::error::Error for BaseUrlError {}

impl BaseUrl {
    pub(super) fn new(url: &str) -> Result<Self, BaseUrlError> {
        let uri = Uri::parse(url).map_err(|_| BaseUrlError::Malformed)?;
        let authority = uri.authority().ok_or(BaseUrlError::Malformed)?;
        if authority.host().is_empty() || authority.port_to_u16().is_err() {
            return Err(BaseUrlError::Malformed);
        }
        if authority.has_userinfo() || uri.has_query() || uri.has_fragment() {
            return Err(BaseUrlError::UnexpectedPart);
        }
        let scheme = uri.scheme().as_str();
        let is_http = scheme.eq_ignore_ascii_case("http") && is_loopback(authority);
        if !scheme.eq_ignore_ascii_case("https") && !is_http {
            return Err(BaseUrlError::NotHttps);
        }
        let url = normalized(url).ok_or(BaseUrlError::Malformed)?;
        Ok(Self(url.strip_suffix('/').unwrap_or(&url).into()))
    }

    /// Whether `htu` is the URL of `path`.
    pub(super) fn matches(&self, htu: &str, path: &str) -> bool {
        // A path with dot segments could leave the base URL, and clients remove them.
        if !path.starts_with('/') || path.split('/').any(is_dot_segment) {
            return false;
        }
        // Nearly every client writes the URL as it sends it.
        if htu.strip_prefix(&*self.0) == Some(path) {
            return true;
        }
        let Some(htu) = normalized(htu) else {
            return false;
        };
        // The root of a service below a prefix has two URLs, and the layer cannot tell which.
        let is_root = path == "/" && htu == *self.0;
        is_root || normalized(&format!("{}{path}", self.0)).is_some_and(|url| url == htu)
    }
}

/// The URL after normalization by syntax and scheme (RFC 3986 §6.2.2, §6.2.3), without query and
/// fragment. `None` if it is not a URL with a host alone.
fn normalized(url: &str) -> Option<String> {
    let url = url.split(['?', '#']).next()?;
    let uri = Uri::parse(url).ok()?;
    if uri.authority()?.has_userinfo() {
        return None;
    }
    let mut normalized = uri.normalize().into_string();
    if uri.path().as_str().is_empty() {
        normalized.push('/');
    }
    Some(normalized)
}

fn is_loopback(authority: Authority<'_>) -> bool {
    match authority.host_parsed() {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::RegName(name) => name.as_str().eq_ignore_ascii_case("localhost"),
        _ => false,
    }
}

/// `.` or `..`, also with percent-encoded dots.
fn is_dot_segment(segment: &str) -> bool {
    const LONGEST: usize = "%2e%2e".len();
    if !segment.starts_with(['.', '%']) || segment.len() > LONGEST {
        return false;
    }
    let segment = segment.to_ascii_lowercase().replace("%2e", ".");
    matches!(&*segment, "." | "..")
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_https_or_loopback() {
        for (url, base) in [
            ("https://api.example.com", "https://api.example.com"),
            ("https://api.example.com/", "https://api.example.com"),
            (
                "HTTPS://API.example.com:443/v1/",
                "https://api.example.com/v1",
            ),
            (
                "https://api.example.com:8443/a/../v1",
                "https://api.example.com:8443/v1",
            ),
            ("https://[::1]:8443", "https://[::1]:8443"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("http://[::1]", "http://[::1]"),
            ("https://xn--exmple-cua.com", "https://xn--exmple-cua.com"),
        ] {
            assert_eq!(&*BaseUrl::new(url).unwrap().0, base, "{url}");
        }
        for (url, error) in [
            ("", BaseUrlError::Malformed),
            ("api.example.com", BaseUrlError::Malformed),
            ("/v1", BaseUrlError::Malformed),
            ("https:///v1", BaseUrlError::Malformed),
            ("https:v1", BaseUrlError::Malformed),
            ("https://exämple.com", BaseUrlError::Malformed),
            ("https://api.example.com:99999", BaseUrlError::Malformed),
            ("http://api.example.com", BaseUrlError::NotHttps),
            ("http://localhost.example.com", BaseUrlError::NotHttps),
            ("ftp://localhost", BaseUrlError::NotHttps),
            ("https://me@api.example.com", BaseUrlError::UnexpectedPart),
            ("https://api.example.com?v=1", BaseUrlError::UnexpectedPart),
            ("https://api.example.com/#v1", BaseUrlError::UnexpectedPart),
        ] {
            assert_eq!(BaseUrl::new(url).err(), Some(error), "{url}");
        }
    }

    #[test]
    fn the_root_below_a_prefix_has_two_urls() {
        let base = BaseUrl::new("https://api.example.com/v1").unwrap();
        assert!(base.matches("https://api.example.com/v1", "/"));
        assert!(base.matches("https://api.example.com/v1/", "/"));
        assert!(!base.matches("https://api.example.com/v1", "/a"));
        assert!(!base.matches("https://api.example.com/", "/"));
        assert!(!base.matches("https://api.example.com/v10/", "/"));
        let base = BaseUrl::new("https://api.example.com").unwrap();
        assert!(base.matches("https://api.example.com", "/"));
        assert!(base.matches("https://api.example.com?a=b", "/"));
    }

    #[test]
    fn no_path_leaves_the_prefix() {
        let base = BaseUrl::new("https://api.example.com/v1").unwrap();
        for path in [
            "/../admin",
            "/%2e%2E/admin",
            "/.%2e/admin",
            "/a/../../admin",
            "/.",
            "*",
            "",
        ] {
            assert!(
                !base.matches("https://api.example.com/admin", path),
                "{path}"
            );
            let literal = format!("https://api.example.com/v1{path}");
            assert!(!base.matches(&literal, path), "{path}");
        }
        assert!(base.matches("https://api.example.com/v1/...", "/..."));
    }
}
