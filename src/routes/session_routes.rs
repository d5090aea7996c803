//! The handlers for refresh and logout.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use axum_core::extract::Request;
use axum_core::response::Response;
use http::{HeaderValue, StatusCode};

use super::request::{RequestParts, refresh_token_in_body};
use super::response::{RouteError, error_response, for_oauth, form_error_response, response};
use super::session_cookies::SessionCookies;
use crate::cookie::CookieError;
use crate::csrf::Origin;
use crate::middleware::{CsrfRules, Found, JwtAuthLayer, ProblemJson, TokenSource};
use crate::session::{SessionId, SessionStore, Sessions};
use crate::verify::Verifier;

/// The handlers for refresh and logout, and the layer for the routes that need a session. Cheap to
/// clone.
///
/// The [module docs](super) have an example.
pub struct SessionRoutes<S> {
    sessions: Sessions<S>,
    settings: Arc<Settings>,
}

#[derive(Clone)]
struct Settings {
    cookies: SessionCookies,
    csrf: CsrfRules,
    trusted_origins: Vec<Origin>,
    /// Verifies the access tokens of a logout, which may have expired.
    logout_verifier: Verifier,
}

#[derive(Clone, Copy)]
enum Operation {
    Refresh,
    Logout,
}

type ResponseFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

impl<S: SessionStore> SessionRoutes<S> {
    /// Creates the handlers for `sessions`, with the cookies of [`SessionCookies::new`].
    ///
    /// Sets [`max_token_length`](Sessions::max_token_length) to what fits into the access cookie. A
    /// longer access token is an error when it is issued.
    ///
    /// # Errors
    ///
    /// As [`SessionCookies::new`].
    pub fn new(sessions: Sessions<S>) -> Result<Self, CookieError> {
        let cookies = SessionCookies::new()?;
        let logout_verifier = verifier(&sessions).for_expired_tokens();
        Ok(Self {
            sessions: sessions.max_token_length(cookies.max_token_length()),
            settings: Arc::new(Settings {
                cookies,
                csrf: CsrfRules::default(),
                trusted_origins: Vec::new(),
                logout_verifier,
            }),
        })
    }

    /// Replaces the cookies. Sets [`max_token_length`](Sessions::max_token_length) accordingly.
    #[must_use]
    pub fn with_cookies(mut self, cookies: SessionCookies) -> Self {
        self.sessions = self.sessions.max_token_length(cookies.max_token_length());
        Arc::make_mut(&mut self.settings).cookies = cookies;
        self
    }

    /// Trusts pages of `origin` to send requests with cookies. May be called more than once. See
    /// [`csrf`](crate::csrf).
    ///
    /// # Panics
    ///
    /// If it is not an [`Origin`]. Parse untrusted text first and pass the result.
    #[must_use]
    #[track_caller]
    pub fn trusted_origin<O: TryInto<Origin, Error: fmt::Display>>(mut self, origin: O) -> Self {
        let origin = Origin::expect(origin);
        let settings = Arc::make_mut(&mut self.settings);
        settings.csrf.trust(origin.clone());
        settings.trusted_origins.push(origin);
        self
    }

    /// The sessions, for your login handler.
    #[must_use]
    pub fn sessions(&self) -> &Sessions<S> {
        &self.sessions
    }

    /// The cookies, for your login handler.
    #[must_use]
    pub fn cookies(&self) -> &SessionCookies {
        &self.settings.cookies
    }

    /// The layer for routes that need an access token of these sessions.
    ///
    /// It takes the token from `Authorization` or from the access cookie. It uses the keys, issuer,
    /// audience and clock of the sessions, and rejects tokens that their store has revoked.
    #[must_use]
    pub fn auth_layer(&self) -> JwtAuthLayer<ProblemJson, Arc<S>> {
        let layer = JwtAuthLayer::with_verifier(verifier(&self.sessions))
            .sources(self.settings.cookies.sources())
            .revocation(Arc::clone(self.sessions.store()));
        self.settings
            .trusted_origins
            .iter()
            .cloned()
            .fold(layer, JwtAuthLayer::trusted_origin)
    }

    /// The handler for `POST` that refreshes the tokens.
    pub fn refresh(
        &self,
    ) -> impl Fn(Request) -> ResponseFuture + Clone + Send + Sync + 'static + use<S> {
        self.handler(Operation::Refresh)
    }

    /// The handler for `POST` that ends the sessions of the request's tokens and deletes the
    /// cookies.
    pub fn logout(
        &self,
    ) -> impl Fn(Request) -> ResponseFuture + Clone + Send + Sync + 'static + use<S> {
        self.handler(Operation::Logout)
    }

    fn handler(
        &self,
        operation: Operation,
    ) -> impl Fn(Request) -> ResponseFuture + Clone + Send + Sync + 'static + use<S> {
        let routes = self.clone();
        move |request| {
            let routes = routes.clone();
            Box::pin(async move { routes.handle(request, operation).await })
        }
    }

    async fn handle(&self, request: Request, operation: Operation) -> Response {
        let parts = RequestParts::of(&request);
        let refresh_token = match refresh_token_in_body(request).await {
            Ok(refresh_token) => refresh_token,
            Err(error) if parts.has_form() => return form_error_response(&error),
            Err(error) => return error_response(&error, Vec::new()),
        };
        let uses_cookies = refresh_token.is_none();
        let is_oauth = parts.has_form() && !uses_cookies;
        let result = match (operation, refresh_token) {
            (Operation::Refresh, Some(token)) => self.refresh_by_body(&token).await,
            (Operation::Refresh, None) => self.refresh_by_cookie(&parts).await,
            (Operation::Logout, Some(token)) => self.logout_by_body(&token).await,
            (Operation::Logout, None) => self.logout_by_headers(&parts).await,
        };
        match result {
            Ok(response) if is_oauth => for_oauth(response),
            Ok(response) => response,
            Err(error) if is_oauth => form_error_response(&error),
            Err(error) if uses_cookies && error.is_final() => {
                error_response(&error, self.deleted_cookies())
            }
            Err(error) => error_response(&error, Vec::new()),
        }
    }

    async fn refresh_by_body(&self, refresh_token: &str) -> Result<Response, RouteError> {
        let tokens = self.sessions.refresh(refresh_token).await?;
        let json = serde_json::to_string(&tokens).map_err(|_| RouteError::Response)?;
        Ok(response(StatusCode::OK, Some(json), Vec::new()))
    }

    async fn refresh_by_cookie(&self, parts: &RequestParts) -> Result<Response, RouteError> {
        let source = self.settings.cookies.refresh_source();
        let token = self.find_token(&source, parts)?;
        let token = token.ok_or(RouteError::MissingToken)?;
        let tokens = self.sessions.refresh(&token).await?;
        let cookies = self.settings.cookies.set(&tokens);
        let cookies = cookies.map_err(|_| RouteError::Response)?;
        let json = format!(r#"{{"expires_in":{}}}"#, tokens.access_lifetime.as_secs());
        Ok(response(StatusCode::OK, Some(json), cookies))
    }

    async fn logout_by_body(&self, refresh_token: &str) -> Result<Response, RouteError> {
        self.sessions.logout(refresh_token).await?;
        Ok(response(StatusCode::NO_CONTENT, None, Vec::new()))
    }

    async fn logout_by_headers(&self, parts: &RequestParts) -> Result<Response, RouteError> {
        let bearer_token = self.find_token(&TokenSource::bearer(), parts)?;
        let bearer_session = bearer_token.and_then(|token| self.session_of(&token));
        // Also checked without cookies: the response deletes cookies that `SameSite` held back.
        if self.settings.csrf.check(parts.head()).is_err() {
            // A browser never adds `Authorization` by itself, so that session may end. Cookies are
            // ignored.
            let sid = bearer_session.ok_or(RouteError::CrossSite)?;
            self.sessions.end_session(sid).await?;
            return Ok(response(StatusCode::NO_CONTENT, None, Vec::new()));
        }
        let mut sids = self.cookie_sessions(parts)?;
        sids.extend(bearer_session);
        for sid in sids {
            self.sessions.end_session(sid).await?;
        }
        let cookies = self.deleted_cookies();
        Ok(response(StatusCode::NO_CONTENT, None, cookies))
    }

    /// The sessions of all tokens in the two cookies. A token that is not authentic is ignored.
    fn cookie_sessions(&self, parts: &RequestParts) -> Result<BTreeSet<SessionId>, RouteError> {
        let [access, refresh] = self.settings.cookies.names();
        let access_tokens = parts.cookie_values(access)?;
        let refresh_tokens = parts.cookie_values(refresh)?;
        let of_access_tokens = access_tokens
            .into_iter()
            .filter_map(|token| self.session_of(token));
        let of_refresh_tokens = refresh_tokens
            .into_iter()
            .filter_map(|token| self.sessions.session_of_refresh_token(token));
        Ok(of_access_tokens.chain(of_refresh_tokens).collect())
    }

    /// The session of an access token, which may have expired.
    fn session_of(&self, access_token: &str) -> Option<SessionId> {
        let token = self.settings.logout_verifier.verify(access_token).ok()?;
        token.session_id().and_then(SessionId::parse)
    }

    fn find_token(
        &self,
        source: &TokenSource,
        parts: &RequestParts,
    ) -> Result<Option<String>, RouteError> {
        let head = parts.head();
        let token = match source.find(head) {
            Found::Nothing => return Ok(None),
            Found::Several if source.is_ambient() => return Err(RouteError::SeveralCookies),
            Found::Malformed | Found::Several => return Err(RouteError::Malformed),
            Found::Token(token) => token,
        };
        if source.is_ambient() {
            let checked = self.settings.csrf.check(head);
            checked.map_err(|_| RouteError::CrossSite)?;
        }
        let token = String::from_utf8(token.into_owned());
        token.map(Some).map_err(|_| RouteError::Malformed)
    }

    fn deleted_cookies(&self) -> Vec<HeaderValue> {
        self.settings.cookies.clear().unwrap_or_default()
    }
}

/// A verifier for the access tokens of `sessions`.
fn verifier<S: SessionStore>(sessions: &Sessions<S>) -> Verifier {
    let mut verifier = Verifier::new(sessions.verifying_keys())
        .typ("at+jwt")
        .clock(sessions.current_clock());
    if let Some(issuer) = sessions.issuer_name() {
        verifier = verifier.issuer(issuer);
    }
    sessions
        .audiences()
        .fold(verifier, |verifier, audience| verifier.audience(audience))
}

impl<S> Clone for SessionRoutes<S> {
    fn clone(&self) -> Self {
        Self {
            sessions: self.sessions.clone(),
            settings: Arc::clone(&self.settings),
        }
    }
}

impl<S> fmt::Debug for SessionRoutes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRoutes")
            .field("sessions", &self.sessions)
            .field("cookies", &self.settings.cookies)
            .finish_non_exhaustive()
    }
}
