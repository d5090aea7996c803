//! The two cookies of a session.

use http::HeaderValue;

use crate::cookie::{CookieError, SameSite, TokenCookie};
use crate::middleware::TokenSource;
use crate::session::TokenPair;

/// The cookies that carry a session's tokens, out of reach of scripts.
///
/// `__Host-access` is `SameSite=Lax`, so that a link from elsewhere finds its reader logged in; `__Host-refresh` is
/// `SameSite=Strict`, since only the page itself renews. Both are `Secure`, `HttpOnly` and for `/`.
#[derive(Clone, Debug)]
pub struct SessionCookies {
    access: TokenCookie,
    refresh: TokenCookie,
}

impl SessionCookies {
    /// `__Host-access` and `__Host-refresh`.
    ///
    /// # Errors
    ///
    /// None: the names are good.
    pub fn new() -> Result<Self, CookieError> {
        Ok(Self {
            access: TokenCookie::new("__Host-access")?,
            refresh: TokenCookie::new("__Host-refresh")?.same_site(SameSite::Strict),
        })
    }

    /// Your own cookies.
    ///
    /// # Errors
    ///
    /// [`CookieError::SameName`] if both have one name, whatever their paths.
    pub fn with(access: TokenCookie, refresh: TokenCookie) -> Result<Self, CookieError> {
        if access.name() == refresh.name() {
            return Err(CookieError::SameName);
        }
        Ok(Self { access, refresh })
    }

    /// `access` and `refresh` without `Secure`, for plain HTTP on one's own machine, in browsers that take no `Secure` cookie from
    /// there. Says so in the log (feature `tracing`): over a network everybody on the way could read them, and any host of
    /// the same domain could set them.
    ///
    /// # Errors
    ///
    /// None: the names are good.
    pub fn insecure_for_localhost() -> Result<Self, CookieError> {
        #[cfg(feature = "tracing")]
        tracing::warn!("session cookies are not Secure: for plain HTTP on localhost only");
        Ok(Self {
            access: TokenCookie::new("access")?.insecure()?,
            refresh: TokenCookie::new("refresh")?
                .same_site(SameSite::Strict)
                .insecure()?,
        })
    }

    /// Where a layer finds access tokens: in `Authorization`, or else in the cookie.
    #[must_use]
    pub fn sources(&self) -> [TokenSource; 2] {
        [TokenSource::bearer(), TokenSource::from(&self.access)]
    }

    /// The values of two `Set-Cookie` headers that store the tokens for as long as they count.
    ///
    /// # Errors
    ///
    /// [`CookieError::TooLarge`] if browsers would drop one.
    pub fn set(&self, tokens: &TokenPair) -> Result<[HeaderValue; 2], CookieError> {
        Ok([
            self.access
                .set(&tokens.access_token, tokens.access_lifetime)?,
            self.refresh
                .set(&tokens.refresh_token, tokens.refresh_lifetime)?,
        ])
    }

    /// The values of two `Set-Cookie` headers that delete both.
    ///
    /// # Errors
    ///
    /// None: names and attributes are short enough.
    pub fn clear(&self) -> Result<[HeaderValue; 2], CookieError> {
        Ok([self.access.clear()?, self.refresh.clear()?])
    }

    /// The longest access token that fits into its cookie, in bytes.
    #[must_use]
    pub fn max_token_length(&self) -> usize {
        self.access.max_token_length()
    }

    /// Of the access token's, and of the refresh token's.
    pub(super) fn names(&self) -> [&str; 2] {
        [self.access.name(), self.refresh.name()]
    }

    pub(super) fn refresh_source(&self) -> TokenSource {
        TokenSource::from(&self.refresh)
    }
}
