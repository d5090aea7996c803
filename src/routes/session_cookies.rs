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
/// | for | call |
/// | --- | --- |
/// | several environments or services on one host | [`environment`](SessionCookies::environment) |
/// | a page on another site than the API | [`cross_site`](SessionCookies::cross_site) |
/// | a page in frames of other sites | [`cross_site`](SessionCookies::cross_site) and [`partitioned`](SessionCookies::partitioned) |
/// | logins that end with the browser | [`without_max_age`](SessionCookies::without_max_age) for all logins, [`PendingLogin::without_max_age`](crate::session::PendingLogin::without_max_age) for a single login |
/// | other names or attributes | [`with_cookies`](SessionCookies::with_cookies) |
///
/// ```
/// use tower_jwt_auth::routes::SessionCookies;
///
/// // `__Host-staging-access` and `__Host-staging-refresh`, also for pages of other sites.
/// let cookies = SessionCookies::new()?.environment("staging")?.cross_site()?.partitioned()?;
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
            refresh: TokenCookie::new("__Host-refresh")?.same_site(SameSite::Strict)?,
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
                .same_site(SameSite::Strict)?
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

    /// Inserts `environment` into both cookie names, after the prefix: `__Host-staging-access` for
    /// `staging`.
    ///
    /// Call it if several environments or services share a host name, or the ports of `localhost`:
    /// cookies do not distinguish ports.
    ///
    /// # Errors
    ///
    /// [`CookieError::Name`] if `environment` has anything but ASCII letters, digits and inner
    /// dashes, or is too long.
    pub fn environment(self, environment: &str) -> Result<Self, CookieError> {
        self.change(|cookie| cookie.with_environment(environment))
    }

    /// Sets [`SameSite::None`] for both cookies, for a page on another site than the API.
    ///
    /// Add the page to the trusted origins: requests of all other sites are still rejected.
    /// Browsers that block cookies of other sites block these too, unless they are
    /// [`partitioned`](Self::partitioned).
    ///
    /// # Errors
    ///
    /// [`CookieError::Insecure`] if a cookie is not `Secure`.
    pub fn cross_site(self) -> Result<Self, CookieError> {
        self.change(|cookie| cookie.same_site(SameSite::None))
    }

    /// Sets `Partitioned` for both cookies. See [`TokenCookie::partitioned`].
    ///
    /// # Errors
    ///
    /// [`CookieError::Insecure`] if a cookie is not `Secure`.
    pub fn partitioned(self) -> Result<Self, CookieError> {
        self.change(TokenCookie::partitioned)
    }

    /// Removes `Max-Age` from both cookies: the browser deletes them when it closes. See
    /// [`TokenCookie::without_max_age`].
    #[must_use]
    pub fn without_max_age(self) -> Self {
        Self {
            access: self.access.without_max_age(),
            refresh: self.refresh.without_max_age(),
        }
    }

    fn change(
        self,
        change: impl Fn(TokenCookie) -> Result<TokenCookie, CookieError>,
    ) -> Result<Self, CookieError> {
        Ok(Self {
            access: change(self.access)?,
            refresh: change(self.refresh)?,
        })
    }

    /// The token sources for a layer: first `Authorization`, then the access cookie.
    #[must_use]
    pub fn sources(&self) -> [TokenSource; 2] {
        [TokenSource::bearer(), TokenSource::from(&self.access)]
    }

    /// The values of the `Set-Cookie` headers that store the tokens for their lifetimes. They have
    /// no `Max-Age` if the tokens are not [persistent](TokenPair::persistent).
    ///
    /// There is one for each cookie. For a cookie with a `Domain`, a header that deletes the old
    /// cookie without `Domain` comes first, as for [`clear`](Self::clear).
    ///
    /// A [bound](TokenPair::access_is_bound) access token is not stored, because a script must read
    /// it. The access cookie is deleted instead.
    ///
    /// # Errors
    ///
    /// [`CookieError::TooLarge`] if a cookie is too large for browsers.
    pub fn set(&self, tokens: &TokenPair) -> Result<Vec<HeaderValue>, CookieError> {
        let cookies = if tokens.persistent {
            self.clone()
        } else {
            self.clone().without_max_age()
        };
        // First, since old browsers see one cookie if the `Domain` is the host itself.
        let mut headers = self.clear_without_domain()?;
        headers.push(if tokens.access_is_bound {
            // That of an earlier login.
            cookies.access.clear()?
        } else {
            cookies
                .access
                .set(&tokens.access_token, tokens.access_lifetime)?
        });
        headers.push(
            cookies
                .refresh
                .set(&tokens.refresh_token, tokens.refresh_lifetime)?,
        );
        Ok(headers)
    }

    /// The values of the `Set-Cookie` headers that delete the cookies.
    ///
    /// There is one for each cookie. For a cookie with a `Domain`, another header comes first: it
    /// deletes the cookie of the same name without `Domain`. That cookie may be left from before
    /// you set the `Domain`.
    ///
    /// # Errors
    ///
    /// This never fails: a cookie without a token is never too large.
    pub fn clear(&self) -> Result<Vec<HeaderValue>, CookieError> {
        let mut headers = self.clear_without_domain()?;
        headers.push(self.access.clear()?);
        headers.push(self.refresh.clear()?);
        Ok(headers)
    }

    fn clear_without_domain(&self) -> Result<Vec<HeaderValue>, CookieError> {
        let both = [&self.access, &self.refresh];
        let headers = both.map(TokenCookie::clear_without_domain);
        headers.into_iter().filter_map(Result::transpose).collect()
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

    pub(super) fn are_partitioned(&self) -> bool {
        self.refresh.is_partitioned()
    }

    pub(super) fn refresh_source(&self) -> TokenSource {
        TokenSource::from(&self.refresh)
    }
}
