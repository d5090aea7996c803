//! The access cookie and the refresh cookie.

use http::HeaderValue;

use crate::cookie::{CookieError, SameSite, TokenCookie};
use crate::middleware::TokenSource;
use crate::session::TokenPair;

/// The two cookies that hold the tokens of a session. Scripts cannot read them.
///
/// | cookie | `SameSite` | reason |
/// | --- | --- | --- |
/// | `__Host-access` | `Lax` | a user who follows a link from another site is logged in |
/// | `__Host-refresh` | `Strict` | only your own pages refresh |
///
/// Both are `Secure` and `HttpOnly`, with `Path=/`.
///
/// ```
/// use tower_jwt_auth::cookie::{SameSite, TokenCookie};
/// use tower_jwt_auth::routes::SessionCookies;
///
/// let cookies = SessionCookies::new()?.with_cookies(
///     TokenCookie::new("__Host-shop-access")?,
///     TokenCookie::new("__Host-shop-refresh")?.same_site(SameSite::Strict),
/// )?;
/// # let _ = cookies;
/// # Ok::<_, tower_jwt_auth::cookie::CookieError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SessionCookies {
    access: TokenCookie,
    refresh: TokenCookie,
}

impl SessionCookies {
    /// The cookies `__Host-access` and `__Host-refresh`.
    ///
    /// # Errors
    ///
    /// This never fails: both names are valid.
    pub fn new() -> Result<Self, CookieError> {
        Ok(Self {
            access: TokenCookie::new("__Host-access")?,
            refresh: TokenCookie::new("__Host-refresh")?.same_site(SameSite::Strict),
        })
    }

    /// The cookies `access` and `refresh` without `Secure`, for development on plain HTTP.
    ///
    /// Use it only on `localhost`, in browsers that reject `Secure` cookies there. On a network,
    /// everyone on the path can read the cookies, and other hosts of the domain can set them. With
    /// feature `tracing` a warning is logged.
    ///
    /// # Errors
    ///
    /// This never fails: both names are valid.
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

    /// Replaces both cookies. Consider [`SameSite::Strict`] for `refresh`.
    ///
    /// # Errors
    ///
    /// [`CookieError::SameName`] if both have the same name, even with different paths.
    pub fn with_cookies(
        mut self,
        access: TokenCookie,
        refresh: TokenCookie,
    ) -> Result<Self, CookieError> {
        if access.name() == refresh.name() {
            return Err(CookieError::SameName);
        }
        self.access = access;
        self.refresh = refresh;
        Ok(self)
    }

    /// The token sources for a layer: first `Authorization`, then the access cookie.
    #[must_use]
    pub fn sources(&self) -> [TokenSource; 2] {
        [TokenSource::bearer(), TokenSource::from(&self.access)]
    }

    /// The values of the two `Set-Cookie` headers that store the tokens for their lifetimes.
    ///
    /// # Errors
    ///
    /// [`CookieError::TooLarge`] if a cookie is too large for browsers.
    pub fn set(&self, tokens: &TokenPair) -> Result<[HeaderValue; 2], CookieError> {
        Ok([
            self.access
                .set(&tokens.access_token, tokens.access_lifetime)?,
            self.refresh
                .set(&tokens.refresh_token, tokens.refresh_lifetime)?,
        ])
    }

    /// The values of the two `Set-Cookie` headers that delete the cookies.
    ///
    /// # Errors
    ///
    /// This never fails: a cookie without a token is never too large.
    pub fn clear(&self) -> Result<[HeaderValue; 2], CookieError> {
        Ok([self.access.clear()?, self.refresh.clear()?])
    }

    /// The maximum length of an access token that fits into its cookie, in bytes.
    #[must_use]
    pub fn max_token_length(&self) -> usize {
        self.access.max_token_length()
    }

    /// The names of the access cookie and of the refresh cookie.
    pub(super) fn names(&self) -> [&str; 2] {
        [self.access.name(), self.refresh.name()]
    }

    pub(super) fn refresh_source(&self) -> TokenSource {
        TokenSource::from(&self.refresh)
    }
}
