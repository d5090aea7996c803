//! Cookies that hold a token (RFC 6265).
//!
//! You need [`TokenCookie`] if your own handler sets or deletes a token cookie. A layer reads it
//! with [`TokenSource::cookie`](crate::TokenSource::cookie). For the two cookies of a session, use
//! `routes::SessionCookies`.
//!
//! ```
//! use std::time::Duration;
//! use tower_jwt_auth::cookie::{SameSite, TokenCookie};
//!
//! let cookie = TokenCookie::new("__Host-access")?.same_site(SameSite::Strict)?;
//! let set_cookie = cookie.set("aaa.bbb.ccc", Duration::from_secs(300))?;
//! assert_eq!(
//!     set_cookie,
//!     "__Host-access=aaa.bbb.ccc; Max-Age=300; Path=/; Secure; HttpOnly; SameSite=Strict"
//! );
//! # Ok::<_, tower_jwt_auth::cookie::CookieError>(())
//! ```

use std::fmt;
use std::time::Duration;

use http::HeaderValue;

/// Builds the `Set-Cookie` headers that set and delete a token cookie.
///
/// | attribute | value | changed by |
/// | --- | --- | --- |
/// | `HttpOnly` | always: scripts cannot read the token | |
/// | `Secure` | set by default | [`insecure`](TokenCookie::insecure) |
/// | `Path` | `/` by default | [`path`](TokenCookie::path) |
/// | `SameSite` | `Lax` by default | [`same_site`](TokenCookie::same_site) |
/// | `Domain` | absent by default | [`domain`](TokenCookie::domain) |
/// | `Max-Age` | the lifetime of the token | [`without_max_age`](TokenCookie::without_max_age) |
/// | `Partitioned` | absent by default | [`partitioned`](TokenCookie::partitioned) |
///
/// Some prefixes of the name require attributes. Browsers reject a cookie without them, and ignore
/// the case of the prefix. This type enforces the same rules:
///
/// | prefix | requires | protects from |
/// | --- | --- | --- |
/// | `__Secure-` | `Secure` | cookies set over plain HTTP |
/// | `__Http-` | `Secure`, `HttpOnly` | also cookies set by scripts |
/// | `__Host-` | `Secure`, `Path=/`, no `Domain` | cookies set over plain HTTP or by other hosts of the domain |
/// | `__Host-Http-` | all of these | all of these |
///
/// A browser that does not support `__Http-` yet treats `__Host-Http-` as `__Host-`.
///
/// ```
/// use tower_jwt_auth::cookie::TokenCookie;
///
/// assert!(TokenCookie::new("__Host-access")?.domain("example.com").is_err());
/// # Ok::<_, tower_jwt_auth::cookie::CookieError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TokenCookie {
    name: CookieName,
    path: Box<str>,
    domain: Option<Box<str>>,
    same_site: SameSite,
    secure: bool,
    partitioned: bool,
    /// Whether the cookie outlives the browser: it has `Max-Age`.
    persistent: bool,
}

/// When a browser sends the cookie with requests that another site caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// Only with a `GET` that opens a page, but not in a frame. For example, the user follows a
    /// link. A script or a redirect of the other site can open the page too.
    Lax,
    /// Never.
    Strict,
    /// Always. The cookie needs `Secure`.
    ///
    /// You need it if your page and your API are on two sites, or your page is in a frame of
    /// another site. Every site can then send requests with the cookie, so the origin check of
    /// [`csrf`](crate::csrf) is the only protection. A `GET` must not change anything.
    None,
}

impl TokenCookie {
    /// The maximum length of a cookie with its attributes, in bytes. Browsers silently drop a
    /// longer one.
    pub const MAX_LENGTH: usize = 4096;

    /// The maximum length of an attribute, in bytes. Browsers ignore a longer one. Without its
    /// `Path`, the cookie would be a different one.
    const MAX_ATTRIBUTE_LENGTH: usize = 1024;

    /// Creates a cookie with this name.
    ///
    /// # Errors
    ///
    /// [`CookieError::Name`] if the name is not a token of RFC 9110 §5.6.2, or is longer than 1,024
    /// bytes.
    pub fn new(name: &str) -> Result<Self, CookieError> {
        Ok(Self {
            name: CookieName::new(name)?,
            path: "/".into(),
            domain: None,
            same_site: SameSite::Lax,
            secure: true,
            partitioned: false,
            persistent: true,
        })
    }

    /// Sets `SameSite`. `Lax` by default, so a user who follows a link from another site stays
    /// logged in.
    ///
    /// # Errors
    ///
    /// [`CookieError::Insecure`] for [`SameSite::None`] after [`insecure`](Self::insecure).
    pub fn same_site(mut self, same_site: SameSite) -> Result<Self, CookieError> {
        self.same_site = same_site;
        self.checked()
    }

    /// Sets `Partitioned` (CHIPS): the browser keeps a separate cookie for each top-level site,
    /// which the address bar shows.
    ///
    /// You need it, with [`SameSite::None`], if your page is in frames of other sites. Browsers
    /// that block cookies of other sites accept partitioned ones. A user then logs in separately on
    /// each of these sites.
    ///
    /// A cookie that was not partitioned stays in browsers, beside the new one, and requests with
    /// both are rejected. Change the name of the cookie when you change this.
    ///
    /// # Errors
    ///
    /// [`CookieError::Insecure`] after [`insecure`](Self::insecure).
    pub fn partitioned(mut self) -> Result<Self, CookieError> {
        self.partitioned = true;
        self.checked()
    }

    #[cfg(feature = "axum")]
    pub(crate) fn is_partitioned(&self) -> bool {
        self.partitioned
    }

    /// Removes `Max-Age`: the browser deletes the cookie when it closes. A browser that restores
    /// its tabs also restores such cookies.
    ///
    /// The token still expires. [`clear`](Self::clear) still sends `Max-Age=0`.
    #[must_use]
    pub fn without_max_age(mut self) -> Self {
        self.persistent = false;
        self
    }

    /// Removes `Secure`, for development on `localhost`. Browsers then send the cookie over plain
    /// HTTP, where everyone on the network path can read it.
    ///
    /// # Errors
    ///
    /// - [`CookieError::Prefix`] if the name begins with `__Host-`, `__Http-` or `__Secure-`, which
    ///   require `Secure`.
    /// - [`CookieError::Insecure`] with [`SameSite::None`] or [`partitioned`](Self::partitioned).
    pub fn insecure(mut self) -> Result<Self, CookieError> {
        if self.name.is_secure() {
            return Err(CookieError::Prefix);
        }
        self.secure = false;
        self.checked()
    }

    /// Browsers reject cookies with these attributes if they are not `Secure`.
    fn checked(self) -> Result<Self, CookieError> {
        let needs_secure = self.partitioned || self.same_site == SameSite::None;
        if needs_secure && !self.secure {
            return Err(CookieError::Insecure);
        }
        Ok(self)
    }

    /// Sets `Path`. It does not protect the cookie from pages under other paths of the same host.
    ///
    /// # Errors
    ///
    /// - [`CookieError::Prefix`] for a `__Host-` cookie, unless `path` is `/`.
    /// - [`CookieError::Attribute`] if `path` does not begin with `/`, has a character that is not
    ///   allowed in a cookie, or is longer than 1,024 bytes.
    pub fn path(mut self, path: &str) -> Result<Self, CookieError> {
        if self.name.is_host() && path != "/" {
            return Err(CookieError::Prefix);
        }
        let is_too_long = path.len() > Self::MAX_ATTRIBUTE_LENGTH;
        if is_too_long || !path.starts_with('/') || !path.bytes().all(is_attribute_byte) {
            return Err(CookieError::Attribute);
        }
        self.path = path.into();
        Ok(self)
    }

    /// Sets `Domain`: browsers send the cookie to this host and every host below it.
    ///
    /// A cookie that was set without `Domain` stays in browsers, beside the new one, and requests
    /// with both are rejected with 400. `routes::SessionCookies` deletes the old cookie at login
    /// and logout. For other cookies, change the name.
    ///
    /// # Errors
    ///
    /// - [`CookieError::Prefix`] for a `__Host-` cookie.
    /// - [`CookieError::Attribute`] if `domain` is empty, longer than 1,024 bytes, or has a
    ///   character that is not allowed in a host name.
    pub fn domain(mut self, domain: &str) -> Result<Self, CookieError> {
        if self.name.is_host() {
            return Err(CookieError::Prefix);
        }
        let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
        let is_too_long = domain.len() > Self::MAX_ATTRIBUTE_LENGTH;
        if is_too_long || domain.is_empty() || !domain.bytes().all(is_host_byte) {
            return Err(CookieError::Attribute);
        }
        self.domain = Some(domain.into());
        Ok(self)
    }

    /// The name of the cookie.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Inserts `environment` and a dash after the prefix of the name.
    ///
    /// # Errors
    ///
    /// [`CookieError::Name`] if `environment` does not consist of letters, digits and dashes
    /// between letters or digits, or the name becomes too long.
    #[cfg(feature = "axum")]
    pub(crate) fn with_environment(mut self, environment: &str) -> Result<Self, CookieError> {
        self.name = self.name.with_environment(environment)?;
        Ok(self)
    }

    pub(crate) fn cookie_name(&self) -> &CookieName {
        &self.name
    }

    /// The value of the `Set-Cookie` header that stores `token` for `max_age`, in whole seconds, or
    /// until the browser closes ([`without_max_age`](Self::without_max_age)).
    ///
    /// # Errors
    ///
    /// - [`CookieError::TooLarge`] if the cookie is longer than [`MAX_LENGTH`](Self::MAX_LENGTH).
    /// - [`CookieError::Value`] if the token is empty, or has a character that is not allowed in a
    ///   cookie.
    pub fn set(&self, token: &str, max_age: Duration) -> Result<HeaderValue, CookieError> {
        let is_cookie_octet =
            |byte: u8| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
        if token.is_empty() || !token.bytes().all(is_cookie_octet) {
            return Err(CookieError::Value);
        }
        self.header(token, self.persistent.then_some(max_age))
    }

    /// The maximum length of a token in this cookie, in bytes, for any `max_age`.
    #[must_use]
    pub fn max_token_length(&self) -> usize {
        let longest_attributes = self.text("", self.persistent.then_some(Duration::MAX));
        Self::MAX_LENGTH.saturating_sub(longest_attributes.len())
    }

    /// The value of the `Set-Cookie` header that deletes the cookie. It has all attributes of
    /// [`set`](Self::set): browsers delete only the cookie of the same `Domain`, `Path` and
    /// partition.
    ///
    /// # Errors
    ///
    /// This never fails: a cookie without a token is never too large.
    pub fn clear(&self) -> Result<HeaderValue, CookieError> {
        self.header("", Some(Duration::ZERO))
    }

    /// The value of the `Set-Cookie` header that deletes the cookie of this name without `Domain`.
    /// `None` if this cookie has no `Domain` either.
    #[cfg(feature = "axum")]
    pub(crate) fn clear_without_domain(&self) -> Result<Option<HeaderValue>, CookieError> {
        if self.domain.is_none() {
            return Ok(None);
        }
        let host_only = Self {
            domain: None,
            ..self.clone()
        };
        host_only.clear().map(Some)
    }

    fn text(&self, value: &str, max_age: Option<Duration>) -> String {
        let mut cookie = format!("{}={value}", self.name.as_str());
        if let Some(max_age) = max_age {
            cookie.push_str(&format!("; Max-Age={}", max_age.as_secs()));
        }
        if let Some(domain) = &self.domain {
            cookie.push_str("; Domain=");
            cookie.push_str(domain);
        }
        cookie.push_str("; Path=");
        cookie.push_str(&self.path);
        cookie.push_str(if self.secure { "; Secure" } else { "" });
        cookie.push_str("; HttpOnly; SameSite=");
        cookie.push_str(match self.same_site {
            SameSite::Lax => "Lax",
            SameSite::Strict => "Strict",
            SameSite::None => "None",
        });
        cookie.push_str(if self.partitioned {
            "; Partitioned"
        } else {
            ""
        });
        cookie
    }

    fn header(&self, value: &str, max_age: Option<Duration>) -> Result<HeaderValue, CookieError> {
        let cookie = self.text(value, max_age);
        if cookie.len() > Self::MAX_LENGTH {
            return Err(CookieError::TooLarge);
        }
        let mut header = HeaderValue::try_from(cookie).map_err(|_| CookieError::Value)?;
        header.set_sensitive(true);
        Ok(header)
    }
}

fn is_attribute_byte(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && byte != b';'
}

/// The name of a cookie (RFC 6265 §4.1.1).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CookieName(Box<str>);

impl CookieName {
    pub(crate) fn new(name: &str) -> Result<Self, CookieError> {
        let is_token_byte =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        // A cookie with the longest name and attributes can still be deleted.
        let is_too_long = name.len() > TokenCookie::MAX_ATTRIBUTE_LENGTH;
        if is_too_long || name.is_empty() || !name.bytes().all(is_token_byte) {
            return Err(CookieError::Name);
        }
        Ok(Self(name.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    #[cfg(feature = "axum")]
    fn with_environment(&self, environment: &str) -> Result<Self, CookieError> {
        let is_inner_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        // At the ends a dash or an underscore could make another prefix.
        let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = environment.as_bytes();
        let is_valid = is_end(bytes.first()) && is_end(bytes.last());
        if !is_valid || !bytes.iter().copied().all(is_inner_byte) {
            return Err(CookieError::Name);
        }
        let prefixes = ["__Host-Http-", "__Host-", "__Http-", "__Secure-"];
        let prefix = prefixes.iter().find(|prefix| self.has_prefix(prefix));
        let (prefix, rest) = self.0.split_at(prefix.map_or(0, |prefix| prefix.len()));
        Self::new(&format!("{prefix}{environment}-{rest}"))
    }

    /// Covers `__Host-Http-` too: `HttpOnly` is always set.
    fn is_host(&self) -> bool {
        self.has_prefix("__Host-")
    }

    fn is_secure(&self) -> bool {
        self.is_host() || self.has_prefix("__Http-") || self.has_prefix("__Secure-")
    }

    /// Browsers ignore the case of a prefix.
    fn has_prefix(&self, wanted: &str) -> bool {
        self.0
            .get(..wanted.len())
            .is_some_and(|prefix| prefix.eq_ignore_ascii_case(wanted))
    }
}

impl fmt::Debug for CookieName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a cookie cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieError {
    /// The name is empty, longer than 1,024 bytes, or has a character that is not allowed.
    Name,
    /// Browsers would reject the cookie for the prefix of its name:
    ///
    /// - a `__Host-` cookie with a `Domain`, or with a `Path` other than `/`;
    /// - a `__Host-`, `__Http-` or `__Secure-` cookie without `Secure`.
    Prefix,
    /// `SameSite=None` and `Partitioned` need `Secure`: browsers would reject the cookie.
    Insecure,
    /// The `Path` or `Domain` is malformed, or longer than 1,024 bytes.
    Attribute,
    /// The token is empty, or has a character that is not allowed in a cookie.
    Value,
    /// The cookie is longer than [`TokenCookie::MAX_LENGTH`] bytes: browsers would drop it.
    TooLarge,
    /// The session routes have no cookies, so none can be set.
    NotConfigured,
    /// The cookies of two tokens have the same name: one would replace the other.
    SameName,
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => {
                "the cookie's name is empty, longer than 1024 bytes, or not a token of RFC 9110"
            }
            Self::Prefix => {
                "a __Host-, __Http- or __Secure- cookie needs Secure; a __Host- cookie also needs \
                 Path=/ and no Domain"
            }
            Self::Insecure => "a cookie with SameSite=None or Partitioned needs Secure",
            Self::Attribute => {
                "the cookie's Path or Domain is malformed, or longer than 1024 bytes"
            }
            Self::Value => "the token is empty, or has a character that is not allowed in a cookie",
            Self::TooLarge => "the cookie is longer than 4096 bytes; use a shorter token",
            Self::NotConfigured => "the session routes have no cookies; call `with_cookies`",
            Self::SameName => {
                "the cookies of two tokens have the same name; choose different names"
            }
        })
    }
}

impl std::error::Error for CookieError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_browsers_would_drop_is_an_error() {
        let cookie = TokenCookie::new("a").unwrap();
        let overhead = cookie.set("x", Duration::ZERO).unwrap().len() - 1;
        let longest = "x".repeat(TokenCookie::MAX_LENGTH - overhead);
        assert!(cookie.set(&longest, Duration::ZERO).is_ok());
        let longer = format!("{longest}x");
        assert_eq!(
            cookie.set(&longer, Duration::ZERO),
            Err(CookieError::TooLarge)
        );
    }

    #[test]
    fn values_cannot_inject_attributes() {
        for name in ["", "a b", "a=b", "a;b", "a\r\nb", "ä"] {
            assert_eq!(
                TokenCookie::new(name).err(),
                Some(CookieError::Name),
                "{name}"
            );
        }
        let cookie = TokenCookie::new("a").unwrap();
        for value in [
            "",
            "a b",
            "a;Domain=x",
            "a\r\nSet-Cookie: b",
            "\"a\"",
            "a,b",
        ] {
            assert_eq!(
                cookie.set(value, Duration::ZERO),
                Err(CookieError::Value),
                "{value}"
            );
        }
        assert!(cookie.clone().path("/a;Domain=x").is_err());
        assert!(cookie.clone().path("a").is_err());
        assert!(cookie.domain("x; Path=/").is_err());
    }

    #[test]
    fn clear_names_the_same_cookie() {
        let cookie = TokenCookie::new("a")
            .unwrap()
            .domain("example.com")
            .unwrap();
        assert_eq!(
            cookie.clear().unwrap(),
            "a=; Max-Age=0; Domain=example.com; Path=/; Secure; HttpOnly; SameSite=Lax"
        );
    }
}
