//! The URLs of protected resources and of authorization servers.

use std::error::Error;
use std::fmt;

use super::csrf::Origin;

/// A URL in the one spelling that clients compare byte for byte.
#[derive(Clone, Debug)]
pub(super) struct ResourceUrl {
    text: Box<str>,
    /// Bytes of the scheme, the host and the port.
    origin_length: usize,
}

/// The URL of a resource or of an authorization server cannot be used.
#[derive(Clone, PartialEq, Eq)]
pub struct ResourceUrlError {
    kind: ResourceUrlErrorKind,
    /// Without query and fragment.
    url: Box<str>,
}

/// What is wrong with the URL of a resource or of an authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResourceUrlErrorKind {
    /// It is not an absolute URL.
    NotAUrl,
    /// The scheme is not `https` (RFC 9728 §1.2, RFC 8414 §2). `http` is for loopback addresses.
    Scheme,
    /// It contains a user or a password.
    Credentials,
    /// It has a fragment (RFC 9728 §1.2, RFC 8414 §2).
    Fragment,
    /// It has a query. RFC 9728 §1.2 discourages it, and routes ignore queries. RFC 8414 §2 forbids
    /// it for authorization servers.
    Query,
    /// The host or the port is not written as an [`Origin`] is: in lower case, without the
    /// default port.
    Host,
    /// The path has a dot segment, a byte that must be percent-encoded, or a malformed percent
    /// encoding (RFC 3986 §3.3).
    Path,
}

impl ResourceUrl {
    pub(super) fn parse(text: &str) -> Result<Self, ResourceUrlError> {
        match origin_length(text) {
            Ok(origin_length) => Ok(Self {
                text: text.into(),
                origin_length,
            }),
            Err(kind) => {
                // What comes before the last `@` may be a password, also with a `?` in it.
                let shown = text.rsplit_once('@').map_or(text, |(_, after)| after);
                let end = shown.find(['?', '#']).unwrap_or(shown.len());
                let url = shown.get(..end).unwrap_or_default().into();
                Err(ResourceUrlError { kind, url })
            }
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn origin(&self) -> &str {
        self.text.split_at(self.origin_length).0
    }

    /// The path without a slash at its end.
    pub(super) fn path(&self) -> &str {
        let (_, path) = self.text.split_at(self.origin_length);
        path.strip_suffix('/').unwrap_or(path)
    }
}

/// Checks a URL. Returns where its path begins.
fn origin_length(text: &str) -> Result<usize, ResourceUrlErrorKind> {
    use ResourceUrlErrorKind as Kind;

    let (scheme, rest) = text.split_once("://").ok_or(Kind::NotAUrl)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(Kind::Credentials);
    }
    if text.contains('#') {
        return Err(Kind::Fragment);
    }
    if text.contains('?') {
        return Err(Kind::Query);
    }
    if !matches!(scheme, "https" | "http") {
        return Err(Kind::Scheme);
    }
    let path = rest.get(authority.len()..).unwrap_or_default();
    let length = text.len().saturating_sub(path.len());
    let origin: Result<Origin, _> = text.split_at(length).0.parse();
    let origin = origin.map_err(|_| Kind::Host)?;
    if scheme == "http" && !origin.is_loopback() {
        return Err(Kind::Scheme);
    }
    if is_path(path) {
        Ok(length)
    } else {
        Err(Kind::Path)
    }
}

/// Whether it is a path of RFC 3986 §3.3 without dot segments, which clients would resolve.
fn is_path(path: &str) -> bool {
    path.split('/').all(is_segment)
}

fn is_segment(segment: &str) -> bool {
    let is_pchar = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
    let mut parts = segment.split('%');
    let plain = parts.next().unwrap_or_default();
    let is_encoded = |part: &str| match part.as_bytes() {
        [high, low, rest @ ..] => {
            high.is_ascii_hexdigit()
                && low.is_ascii_hexdigit()
                && rest.iter().copied().all(is_pchar)
        }
        _ => false,
    };
    let dots = segment.to_ascii_lowercase().replace("%2e", ".");
    !matches!(&*dots, "." | "..") && plain.bytes().all(is_pchar) && parts.all(is_encoded)
}

impl ResourceUrlError {
    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> ResourceUrlErrorKind {
        self.kind
    }
}

impl fmt::Display for ResourceUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.url, self.kind)
    }
}

/// Shows no credentials, no query and no fragment.
impl fmt::Debug for ResourceUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceUrlError")
            .field("kind", &self.kind)
            .field("url", &self.url)
            .finish()
    }
}

impl fmt::Display for ResourceUrlErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAUrl => "it is not an absolute URL such as https://api.example.com/mcp",
            Self::Scheme => "its scheme must be https, or http for a loopback address",
            Self::Credentials => "it contains a user or a password: remove them",
            Self::Fragment => "it has a fragment: remove the # and what follows",
            Self::Query => "it has a query: remove the ? and what follows",
            Self::Host => {
                "its host must be in lower case, as a browser writes it, without the default port"
            }
            Self::Path => {
                "its path has a dot segment, or a byte that is not percent-encoded correctly"
            }
        })
    }
}

impl Error for ResourceUrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_resource_may_be_named() {
        for (text, origin, path) in [
            ("https://a.example", "https://a.example", ""),
            ("https://a.example/", "https://a.example", ""),
            ("https://a.example/mcp", "https://a.example", "/mcp"),
            ("https://a.example/mcp/", "https://a.example", "/mcp"),
            ("https://a.example/a//", "https://a.example", "/a/"),
            ("https://a:8443/x/y.z", "https://a:8443", "/x/y.z"),
            ("https://[::1]:1/~a%2Fb%e4", "https://[::1]:1", "/~a%2Fb%e4"),
            ("https://a/.../a@b:c", "https://a", "/.../a@b:c"),
            ("http://localhost:3000/mcp", "http://localhost:3000", "/mcp"),
            ("http://127.9.9.9/mcp", "http://127.9.9.9", "/mcp"),
            ("http://[::1]", "http://[::1]", ""),
        ] {
            let url = ResourceUrl::parse(text).unwrap();
            assert_eq!(
                (url.as_str(), url.origin(), url.path()),
                (text, origin, path)
            );
        }
    }

    #[test]
    fn what_it_may_not_be_named() {
        use ResourceUrlErrorKind::{Credentials, Fragment, Host, NotAUrl, Path, Query, Scheme};
        for (text, kind) in [
            ("", NotAUrl),
            ("api", NotAUrl),
            ("/mcp", NotAUrl),
            ("a.example/mcp", NotAUrl),
            ("urn:example:api", NotAUrl),
            ("https:/a.example", NotAUrl),
            ("ftp://a.example", Scheme),
            ("HTTPS://a.example", Scheme),
            ("capacitor://localhost", Scheme),
            ("http://a.example", Scheme),
            ("http://localhost.example", Scheme),
            ("http://10.0.0.1", Scheme),
            ("https://user@a.example", Credentials),
            ("https://user:secret@a.example/?a#b", Credentials),
            ("https://a.example/#", Fragment),
            ("https://a.example#x", Fragment),
            ("https://a.example/?", Query),
            ("https://a.example?x", Query),
            ("https://", Host),
            ("https:///mcp", Host),
            ("https://A.example", Host),
            ("https://a.example:443", Host),
            ("https://a.example:x/mcp", Host),
            ("https://a.example\"", Host),
            ("https://a.example\\@b", Credentials),
            ("https://ä.example", Host),
            ("https://127.1", Host),
            ("https://a.example/.", Path),
            ("https://a.example/a/../b", Path),
            ("https://a.example/%2E%2e/b", Path),
            ("https://a.example/a b", Path),
            ("https://a.example/a\"b", Path),
            ("https://a.example/a\\b", Path),
            ("https://a.example/a\r\nb", Path),
            ("https://a.example/{tenant}", Path),
            ("https://a.example/ä", Path),
            ("https://a.example/%", Path),
            ("https://a.example/%4", Path),
            ("https://a.example/%zz", Path),
        ] {
            let error = ResourceUrl::parse(text).unwrap_err();
            assert_eq!(error.kind(), kind, "{text}");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("secret"), "{shown}");
            assert!(!shown.contains(['\r', '\n']), "{shown}");
        }
        let error = ResourceUrl::parse("https://a.example/mcp?key=secret").unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"https://a.example/mcp\": it has a query: remove the ? and what follows"
        );
    }
}
