//! The cookie that carries a token to a browser (RFC 6265), out of reach of scripts.

use std::fmt;
use std::time::Duration;

use http::HeaderValue;

/// Sets and clears the cookie that holds a token.
///
/// `HttpOnly`, and `Secure` unless [asked otherwise](TokenCookie::insecure); `Path=/` and
/// `SameSite=Lax` unless changed.
///
/// Browsers enforce attributes by the name's prefix, in any case, and refuse a cookie without them.
/// So does this type:
///
/// | prefix | what it needs | what it keeps out |
/// | --- | --- | --- |
/// | `__Secure-` | `Secure` | cookies set over plain HTTP |
/// | `__Http-` | `Secure`, `HttpOnly` | also cookies set by scripts |
/// | `__Host-` | `Secure`, `Path=/`, no `Domain` | cookies set over plain HTTP or by other hosts of the domain |
/// | `__Host-Http-` | all of these | all of these |
///
/// A browser that does not know `__Http-` yet takes `__Host-Http-` for `__Host-`.
///
/// ```
/// use std::time::Duration;
/// use tower_jwt_auth::cookie::{SameSite, TokenCookie};
///
/// let cookie = TokenCookie::new("__Host-access")?.same_site(SameSite::Strict);
/// let set_cookie = cookie.set("aaa.bbb.ccc", Duration::from_secs(300))?;
/// assert_eq!(
///     set_cookie,
///     "__Host-access=aaa.bbb.ccc; Max-Age=300; Path=/; Secure; HttpOnly; SameSite=Strict"
/// );
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
}

/// When a browser sends the cookie along with requests that other sites cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// Only when a person follows a link there.
    Lax,
    /// Never.
    Strict,
}

impl TokenCookie {
    /// The most that browsers keep of a cookie, in bytes, attributes included. A larger one they
    /// drop without a word.
    pub const MAX_LENGTH: usize = 4096;

    /// The most that browsers read of an attribute. A longer one they ignore: without its `Path`
    /// the cookie would be another one.
    const MAX_ATTRIBUTE_LENGTH: usize = 1024;

    /// A cookie of this name.
    ///
    /// # Errors
    ///
    /// [`CookieError::Name`] if the name is no token of RFC 9110 §5.6.2, or has more than 1,024
    /// bytes.
    pub fn new(name: &str) -> Result<Self, CookieError> {
        Ok(Self {
            name: CookieName::new(name)?,
            path: "/".into(),
            domain: None,
            same_site: SameSite::Lax,
            secure: true,
        })
    }

    /// Sets `SameSite`. `Lax` by default, so that a link from elsewhere finds its reader logged in.
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Leaves `Secure` out, so that browsers send the cookie over plain HTTP, where everybody on
    /// the way can read it: for development on one machine.
    ///
    /// # Errors
    ///
    /// [`CookieError::Prefix`] if the name begins with `__Host-`, `__Http-` or `__Secure-`:
    /// browsers take those with `Secure` only.
    pub fn insecure(mut self) -> Result<Self, CookieError> {
        if self.name.is_secure() {
            return Err(CookieError::Prefix);
        }
        self.secure = false;
        Ok(self)
    }

    /// Sets `Path`. This keeps no secret from other paths of the same host.
    ///
    /// # Errors
    ///
    /// [`CookieError::Prefix`] for a `__Host-` cookie, unless it is `/`. [`CookieError::Attribute`]
    /// if it does not begin with `/`, holds what cannot stand in a cookie, or has more than 1,024
    /// bytes, which browsers ignore.
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

    /// Sets `Domain`, which hands the cookie to every host below it.
    ///
    /// # Errors
    ///
    /// [`CookieError::Prefix`] for a `__Host-` cookie. [`CookieError::Attribute`] if it is empty,
    /// longer than 1,024 bytes, or holds what is no host name.
    pub fn domain(mut self, domain: &str) -> Result<Self, CookieError> {
        if self.name.is_host() {
            return Err(CookieError::Prefix);
        }
        let host = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
        let is_too_long = domain.len() > Self::MAX_ATTRIBUTE_LENGTH;
        if is_too_long || domain.is_empty() || !domain.bytes().all(host) {
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

    pub(crate) fn cookie_name(&self) -> &CookieName {
        &self.name
    }

    /// The value of a `Set-Cookie` header that stores `token` for `max_age`, in whole seconds.
    ///
    /// # Errors
    ///
    /// [`CookieError::TooLarge`] if browsers would drop it. [`CookieError::Value`] if the token is
    /// empty or holds what cannot stand in a cookie.
    pub fn set(&self, token: &str, max_age: Duration) -> Result<HeaderValue, CookieError> {
        let cookie_octet =
            |byte: u8| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
        if token.is_empty() || !token.bytes().all(cookie_octet) {
            return Err(CookieError::Value);
        }
        self.header(token, max_age)
    }

    /// The longest token that this cookie can hold, whatever its life.
    #[must_use]
    pub fn max_token_length(&self) -> usize {
        let longest_life = self.text("", Duration::MAX);
        Self::MAX_LENGTH.saturating_sub(longest_life.len())
    }

    /// The value of a `Set-Cookie` header that deletes the cookie.
    ///
    /// # Errors
    ///
    /// None: name and attributes are short enough.
    pub fn clear(&self) -> Result<HeaderValue, CookieError> {
        self.header("", Duration::ZERO)
    }

    fn text(&self, value: &str, max_age: Duration) -> String {
        let mut cookie = format!(
            "{}={value}; Max-Age={}",
            self.name.as_str(),
            max_age.as_secs()
        );
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
        });
        cookie
    }

    fn header(&self, value: &str, max_age: Duration) -> Result<HeaderValue, CookieError> {
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

/// A cookie's name (RFC 6265 §4.1.1).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CookieName(Box<str>);

impl CookieName {
    pub(crate) fn new(name: &str) -> Result<Self, CookieError> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        // With the longest attributes it can still be deleted.
        let is_too_long = name.len() > TokenCookie::MAX_ATTRIBUTE_LENGTH;
        if is_too_long || name.is_empty() || !name.bytes().all(token) {
            return Err(CookieError::Name);
        }
        Ok(Self(name.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Also where `__Host-Http-` stands, since `HttpOnly` is always set.
    fn is_host(&self) -> bool {
        self.has_prefix("__Host-")
    }

    fn is_secure(&self) -> bool {
        self.is_host() || self.has_prefix("__Http-") || self.has_prefix("__Secure-")
    }

    /// Browsers take a prefix in any case.
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

/// Why there is no cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieError {
    /// The name is empty, too long, or holds what a cookie's name may not.
    Name,
    /// Browsers would refuse the cookie for the prefix of its name: a `__Host-` cookie with a
    /// `Path` other than `/` or with a `Domain`; a `__Host-`, `__Http-` or `__Secure-` cookie
    /// without `Secure`.
    Prefix,
    /// The `Path` or `Domain` is malformed.
    Attribute,
    /// The value is empty, or holds what a cookie's value may not.
    Value,
    /// The cookie has more than [`TokenCookie::MAX_LENGTH`] bytes, and browsers would drop it.
    TooLarge,
    /// Two cookies for two tokens have one name, and the browser would send one for the other.
    SameName,
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "not a cookie's name",
            Self::Prefix => {
                "a __Host-, __Http- or __Secure- cookie is Secure; a __Host- cookie has Path=/ and no Domain"
            }
            Self::Attribute => "the Path or Domain of the cookie is malformed",
            Self::Value => "the token cannot stand in a cookie",
            Self::TooLarge => "browsers drop cookies of more than 4096 bytes",
            Self::SameName => "two cookies for two tokens need two names",
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
    fn nothing_can_be_smuggled_in() {
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
    fn clearing_names_the_same_cookie() {
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
