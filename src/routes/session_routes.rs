//! The handlers for refresh and logout.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use axum_core::body::Body;
use axum_core::extract::Request;
use axum_core::response::Response;
use http::{HeaderValue, StatusCode};

use super::request::{RequestParts, refresh_token_in_body};
use super::response::{error_response, for_oauth, form_error_response, response};
use super::session_cookies::SessionCookies;
use crate::cookie::CookieError;
use crate::csrf::{CsrfLayer, Origin};
use crate::middleware::{
    AuthError, AuthErrorKind, CsrfRules, Found, JwtAuthLayer, ProblemJson, Respond, Responder,
    TokenSource,
};
use crate::session::{SessionId, SessionStore, Sessions};
use crate::verify::Verifier;

/// The handlers for refresh and logout, and the layer for the routes that need a session. Cheap to
/// clone.
///
/// The [module docs](super) have an example.
pub struct SessionRoutes<S, R = ProblemJson> {
    /// For clients that send their refresh tokens in bodies.
    body_sessions: Sessions<S>,
    /// Issues access tokens that fit into the cookie.
    sessions: Sessions<S>,
    settings: Arc<Settings>,
    responder: Responder<R>,
}

type RejectionHook = dyn Fn(&AuthError) + Send + Sync;

#[derive(Clone)]
struct Settings {
    cookies: SessionCookies,
    csrf: CsrfRules,
    /// Verifies the access tokens of a logout, which may have expired.
    logout_verifier: Verifier,
    rejection_hook: Arc<RejectionHook>,
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
    /// # Errors
    ///
    /// As [`SessionCookies::new`].
    pub fn new(sessions: Sessions<S>) -> Result<Self, CookieError> {
        let cookies = SessionCookies::new()?;
        let logout_verifier = verifier(&sessions).for_expired_tokens();
        Ok(Self {
            sessions: fitting(&sessions, &cookies),
            body_sessions: sessions,
            settings: Arc::new(Settings {
                cookies,
                csrf: CsrfRules::default(),
                logout_verifier,
                rejection_hook: Arc::new(|_: &AuthError| {}),
            }),
            responder: Responder::default(),
        })
    }
}

impl<S: SessionStore, R> SessionRoutes<S, R> {
    /// Replaces the cookies.
    #[must_use]
    pub fn with_cookies(mut self, cookies: SessionCookies) -> Self {
        self.sessions = fitting(&self.body_sessions, &cookies);
        Arc::make_mut(&mut self.settings).cookies = cookies;
        self
    }

    /// Sets the responses to rejected requests, as [`JwtAuthLayer::respond`] does. [`ProblemJson`]
    /// by default.
    ///
    /// The handlers add `Cache-Control: no-store`, and `Set-Cookie` if a session has ended. Errors
    /// of forms stay JSON as in RFC 6749 §5.2.
    ///
    /// ```
    /// use axum::{Json, response::{IntoResponse, Response}};
    /// use tower_jwt_auth::AuthError;
    /// use tower_jwt_auth::middleware::Respond;
    /// use tower_jwt_auth::routes::SessionRoutes;
    /// # use axum::body::Body;
    ///
    /// fn error_response(error: &AuthError) -> Response {
    ///     let body = serde_json::json!({ "message": error.description(), "code": error.code() });
    ///     (error.status(), Json(body)).into_response()
    /// }
    ///
    /// # fn with<S: tower_jwt_auth::session::SessionStore>(
    /// #     routes: SessionRoutes<S>,
    /// # ) -> SessionRoutes<S, impl Respond<Body>> {
    /// let routes = routes.respond(error_response);
    /// # routes }
    /// ```
    #[must_use]
    pub fn respond<R2>(self, responder: R2) -> SessionRoutes<S, R2> {
        SessionRoutes {
            body_sessions: self.body_sessions,
            sessions: self.sessions,
            settings: self.settings,
            responder: self.responder.with_respond(responder),
        }
    }

    /// Sets the `realm` of challenges (RFC 9110 §11.5). `api` by default.
    ///
    /// # Panics
    ///
    /// If `realm` has a quote, a backslash, or anything but printable ASCII.
    #[must_use]
    #[track_caller]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.responder.set_realm(realm.into());
        self
    }

    /// Calls `hook` with the reason for each rejected refresh and logout, for example to count
    /// them. The hook must not block. None by default.
    ///
    /// [`Sessions::on_event`] reports what succeeded. The reason is also in the response's
    /// extensions.
    ///
    /// ```
    /// # use tower_jwt_auth::{routes::SessionRoutes, session::SessionStore};
    /// # fn counted<S: SessionStore>(routes: SessionRoutes<S>) -> SessionRoutes<S> {
    /// let routes = routes.on_rejection(|error| {
    ///     // A fixed set of names, so a good label of a metric.
    ///     tracing::info!(kind = error.kind().name(), "a refresh or a logout was rejected");
    /// });
    /// # routes }
    /// ```
    #[must_use]
    pub fn on_rejection(mut self, hook: impl Fn(&AuthError) + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.settings).rejection_hook = Arc::new(hook);
        self
    }

    /// Trusts pages of `origin` to send requests with cookies. May be called more than once. See
    /// [`csrf`](crate::csrf).
    ///
    /// It applies to refresh and logout, to [`auth_layer`](SessionRoutes::auth_layer) and to
    /// [`csrf_layer`](SessionRoutes::csrf_layer): call it before them.
    ///
    /// # Panics
    ///
    /// If it is not an [`Origin`]. Parse untrusted text first and pass the result.
    #[must_use]
    #[track_caller]
    pub fn trusted_origin<O: TryInto<Origin, Error: fmt::Display>>(mut self, origin: O) -> Self {
        let settings = Arc::make_mut(&mut self.settings);
        settings.csrf.trust(Origin::expect(origin));
        self
    }

    /// Trusts pages of every origin for which `is_trusted` returns true, as
    /// [`CsrfLayer::trusted_origins_by`].
    #[must_use]
    pub fn trusted_origins_by(
        mut self,
        is_trusted: impl Fn(&Origin) -> bool + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.settings).csrf.trust_by(is_trusted);
        self
    }

    /// The layer against cross-site requests for your login, with the trusted origins of these
    /// routes.
    #[must_use]
    pub fn csrf_layer(&self) -> CsrfLayer {
        CsrfLayer::with_rules(self.settings.csrf.clone())
    }

    /// The sessions, for your login handler.
    ///
    /// Their access tokens fit into the access cookie: a longer one is an error before a session
    /// begins. A lower [`max_token_length`](Sessions::max_token_length) of yours stays. For clients
    /// that have no cookies, use the `Sessions` that you passed to [`new`](Self::new).
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
        JwtAuthLayer::with_verifier(verifier(&self.sessions))
            .sources(self.settings.cookies.sources())
            .csrf_rules(self.settings.csrf.clone())
            .revocation(Arc::clone(self.sessions.store()))
    }

    fn deleted_cookies(&self) -> Vec<HeaderValue> {
        self.settings.cookies.clear().unwrap_or_default()
    }
}

impl<S, R> SessionRoutes<S, R>
where
    S: SessionStore,
    R: Respond<Body> + Send + Sync + 'static,
{
    /// The handler for `POST` that refreshes the tokens.
    pub fn refresh(
        &self,
    ) -> impl Fn(Request) -> ResponseFuture + Clone + Send + Sync + 'static + use<S, R> {
        self.handler(Operation::Refresh)
    }

    /// The handler for `POST` that ends the sessions of the request's tokens and deletes the
    /// cookies.
    pub fn logout(
        &self,
    ) -> impl Fn(Request) -> ResponseFuture + Clone + Send + Sync + 'static + use<S, R> {
        self.handler(Operation::Logout)
    }

    fn handler(
        &self,
        operation: Operation,
    ) -> impl Fn(Request) -> ResponseFuture + Clone + Send + Sync + 'static + use<S, R> {
        let routes = self.clone();
        move |request| {
            let routes = routes.clone();
            Box::pin(async move { routes.handle(request, operation).await })
        }
    }

    async fn handle(&self, request: Request, operation: Operation) -> Response {
        let parts = RequestParts::of(&request);
        let (is_form, body) = (parts.has_form(), refresh_token_in_body(request).await);
        let uses_cookies = matches!(body, Ok(None));
        let result = match (operation, body) {
            (_, Err(error)) => Err(error.into()),
            (Operation::Refresh, Ok(Some(token))) => self.refresh_by_body(&token).await,
            (Operation::Refresh, Ok(None)) => self.refresh_by_cookie(&parts).await,
            (Operation::Logout, Ok(Some(token))) => self.logout_by_body(&token).await,
            (Operation::Logout, Ok(None)) => self.logout_by_headers(&parts).await,
        };
        let is_oauth = is_form && !uses_cookies;
        match result {
            Ok(response) if is_oauth => for_oauth(response),
            Ok(response) => response,
            Err(error) => self.rejection(&error, is_oauth, uses_cookies),
        }
    }

    fn rejection(&self, error: &AuthError, is_oauth: bool, uses_cookies: bool) -> Response {
        (self.settings.rejection_hook)(error);
        if is_oauth {
            return form_error_response(&self.responder, error);
        }
        // The session can never be refreshed again.
        let is_final = matches!(error.kind(), AuthErrorKind::Session(kind) if kind.is_final());
        let cookies = if uses_cookies && is_final {
            self.deleted_cookies()
        } else {
            Vec::new()
        };
        error_response(&self.responder, error, cookies)
    }

    async fn refresh_by_body(&self, refresh_token: &str) -> Result<Response, AuthError> {
        let tokens = self.body_sessions.refresh(refresh_token).await?;
        let json = serde_json::to_string(&tokens);
        let json = json.map_err(|error| AuthError::misconfigured(Arc::new(error)))?;
        Ok(response(StatusCode::OK, Some(json), Vec::new()))
    }

    async fn refresh_by_cookie(&self, parts: &RequestParts) -> Result<Response, AuthError> {
        let cookies = &self.settings.cookies;
        let source = cookies.refresh_source();
        let token = self.find_token(&source, parts)?;
        let token = token.ok_or_else(|| AuthError::missing_refresh_token(&source))?;
        let tokens = self.sessions.refresh(&token).await?;
        let cookies = cookies.set(&tokens);
        let cookies = cookies.map_err(|error| AuthError::misconfigured(Arc::new(error)))?;
        let json = format!(r#"{{"expires_in":{}}}"#, tokens.access_lifetime.as_secs());
        Ok(response(StatusCode::OK, Some(json), cookies))
    }

    async fn logout_by_body(&self, refresh_token: &str) -> Result<Response, AuthError> {
        self.sessions.logout(refresh_token).await?;
        Ok(response(StatusCode::NO_CONTENT, None, Vec::new()))
    }

    async fn logout_by_headers(&self, parts: &RequestParts) -> Result<Response, AuthError> {
        let bearer_token = self.find_token(&TokenSource::bearer(), parts)?;
        let bearer_session = bearer_token.and_then(|token| self.session_of(&token));
        // Also checked without cookies: the response deletes cookies that `SameSite` held back.
        if self.settings.csrf.check(parts.head()).is_err() {
            // A browser never adds `Authorization` by itself, so that session may end. Cookies are
            // ignored.
            let sid = bearer_session.ok_or(AuthErrorKind::CrossSite)?;
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
    fn cookie_sessions(&self, parts: &RequestParts) -> Result<BTreeSet<SessionId>, AuthError> {
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
    ) -> Result<Option<String>, AuthError> {
        let head = parts.head();
        let token = match source.find(head) {
            Found::Nothing => return Ok(None),
            Found::Several if source.is_ambient() => {
                return Err(AuthErrorKind::SeveralRefreshTokens.into());
            }
            Found::Several => return Err(AuthErrorKind::SeveralTokens.into()),
            Found::Token(token) if source.may_hold(&token) => token,
            _ => return Err(AuthErrorKind::MalformedCredentials.into()),
        };
        if source.is_ambient() {
            self.settings.csrf.check(head)?;
        }
        let token = String::from_utf8(token.into_owned());
        let token = token.map_err(|_| AuthErrorKind::MalformedCredentials)?;
        Ok(Some(token))
    }
}

/// `sessions` whose access tokens fit into the cookie. A longer one is an error before a session
/// begins or a refresh token is used.
fn fitting<S: SessionStore>(sessions: &Sessions<S>, cookies: &SessionCookies) -> Sessions<S> {
    let longest = sessions.longest_token().min(cookies.max_token_length());
    sessions.clone().max_token_length(longest)
}

/// A verifier for the access tokens of `sessions`.
pub(super) fn verifier<S: SessionStore>(sessions: &Sessions<S>) -> Verifier {
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

impl<S, R> Clone for SessionRoutes<S, R> {
    fn clone(&self) -> Self {
        Self {
            body_sessions: self.body_sessions.clone(),
            sessions: self.sessions.clone(),
            settings: Arc::clone(&self.settings),
            responder: self.responder.clone(),
        }
    }
}

impl<S, R> fmt::Debug for SessionRoutes<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRoutes")
            .field("sessions", &self.sessions)
            .field("cookies", &self.settings.cookies)
            .finish_non_exhaustive()
    }
}
