//! The settings of the session routes, and the layers around a user's own routes.

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Method, Uri};

use super::response::{SetCookies, set_cookie_headers};
use super::session_cookies::SessionCookies;
use crate::cookie::CookieError;
use crate::csrf::{CsrfLayer, Origin};
use crate::dpop::{Dpop, SentProof};
use crate::middleware::{
    AuthError, CsrfRules, Found, JwtAuthLayer, ProblemJson, Responder, TokenSource, token_in_cookie,
};
use crate::session::{SessionId, SessionStore, Sessions, TokenPair};
use crate::verify::{IntoTrust, TrustedIssuer, Verifier};

/// The handlers for refresh and logout, and the layers around your own routes. Cheap to clone.
///
/// The [module docs](super) have an example.
///
/// | route | what it needs |
/// | --- | --- |
/// | login | [`csrf_layer`](SessionRoutes::csrf_layer), [`sessions`](SessionRoutes::sessions) and [`logged_in`](SessionRoutes::logged_in) |
/// | routes that need a session | [`layer`](SessionRoutes::layer) |
/// | refresh | [`refresh`](SessionRoutes::refresh) |
/// | logout | [`logout`](SessionRoutes::logout) |
///
/// Call the setters first: each method of the table uses the settings at the time of its call.
pub struct SessionRoutes<S, R = ProblemJson> {
    /// Issues access tokens that fit into the cookie, if there is one.
    pub(super) sessions: Sessions<S>,
    /// For clients that send their refresh tokens in bodies.
    pub(super) body_sessions: Sessions<S>,
    pub(super) settings: Arc<Settings>,
    pub(super) responder: Responder<R>,
}

pub(super) type RejectionHook = dyn Fn(&AuthError) + Send + Sync;

#[derive(Clone)]
pub(super) struct Settings {
    cookies: Option<SessionCookies>,
    pub(super) csrf: CsrfRules,
    /// Besides the issuer of the sessions.
    trusted_issuers: Vec<TrustedIssuer>,
    /// Verifies the access tokens of a logout, which may have expired.
    pub(super) logout_verifier: Verifier,
    pub(super) rejection_hook: Arc<RejectionHook>,
    pub(super) dpop: Option<Arc<Dpop>>,
}

impl<S: SessionStore> SessionRoutes<S> {
    /// Creates the handlers for `sessions`, with the cookies of [`SessionCookies::new`].
    ///
    /// # Errors
    ///
    /// As [`SessionCookies::new`].
    pub fn new(sessions: Sessions<S>) -> Result<Self, CookieError> {
        Ok(Self::without_cookies(sessions).with_cookies(SessionCookies::new()?))
    }

    /// Creates the handlers for `sessions` of apps and machines. Cookies are neither read nor set.
    ///
    /// The tokens are in bodies and in `Authorization`.
    #[must_use]
    pub fn without_cookies(sessions: Sessions<S>) -> Self {
        // A logout needs no proof, so bound tokens are always accepted there.
        let logout_verifier = verifier(&sessions).for_expired_tokens().with_proven_keys();
        Self {
            body_sessions: sessions.clone(),
            sessions,
            settings: Arc::new(Settings {
                cookies: None,
                csrf: CsrfRules::default(),
                trusted_issuers: Vec::new(),
                logout_verifier,
                rejection_hook: Arc::new(|_: &AuthError| {}),
                dpop: None,
            }),
            responder: Responder::default(),
        }
    }
}

impl<S: SessionStore, R> SessionRoutes<S, R> {
    /// Replaces the cookies.
    #[must_use]
    pub fn with_cookies(mut self, cookies: SessionCookies) -> Self {
        self.sessions = fitting(&self.body_sessions, &cookies);
        Arc::make_mut(&mut self.settings).cookies = Some(cookies);
        self
    }

    /// Sets the responses to rejected requests, as [`JwtAuthLayer::respond`] does. [`ProblemJson`]
    /// by default.
    ///
    /// [`page_renewal`](SessionRoutes::page_renewal), [`layer`](SessionRoutes::layer) and
    /// [`csrf_layer`](SessionRoutes::csrf_layer) use this responder too. The last two also respond
    /// with it to a [`SessionError`](crate::session::SessionError), a [`CookieError`] or an
    /// [`AuthError`] that your handler returns.
    ///
    /// The handlers add `Cache-Control: no-store`, and `Set-Cookie` if a session has ended. These
    /// responses do not change:
    ///
    /// - 400 to a form that has a refresh token, is malformed, or has a `grant_type` other than
    ///   `refresh_token`: the JSON of RFC 6749 §5.2;
    /// - axum's own rejections, such as 404, 405 and those of `Json`;
    /// - errors of a handler outside of both layers.
    ///
    /// For a field or a `State` write the type as `SessionRoutes<S, fn(&AuthError) -> Response>`,
    /// and annotate the variable with it. Otherwise the compiler says `expected fn pointer, found
    /// fn item`.
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
    /// type Routes<S> = SessionRoutes<S, fn(&AuthError) -> Response>;
    ///
    /// # fn with<S: tower_jwt_auth::session::SessionStore>(
    /// #     routes: SessionRoutes<S>,
    /// # ) -> SessionRoutes<S, impl Respond<Body>> {
    /// let routes: Routes<S> = routes.respond(error_response);
    /// # routes }
    /// ```
    #[must_use]
    pub fn respond<R2>(self, responder: R2) -> SessionRoutes<S, R2> {
        SessionRoutes {
            sessions: self.sessions,
            body_sessions: self.body_sessions,
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
    /// [`page_renewal`](SessionRoutes::page_renewal) calls it too, if a refresh deletes the cookies
    /// or rejects the page. If the request goes on unchanged, the hook is not called.
    ///
    /// [`Sessions::on_event`] reports changes of sessions: successful operations, and detected
    /// reuse. The response of a rejected request has the reason in its extensions too.
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

    /// Checks the DPoP proofs of logins and refreshes, so that sessions can be bound to a key of
    /// the client. [`layer`](SessionRoutes::layer) then accepts bound access tokens too. See
    /// [sessions that are bound to a key](crate::session#bound-to-a-key-of-the-client).
    ///
    /// Login, refresh and the routes behind the layer must have the same [base
    /// URL](Dpop#method.new). If `nest` changes the base URL of some of them, add the layer outside
    /// of `nest`, or replace its [sources](JwtAuthLayer::sources).
    ///
    /// Without this, bound sessions cannot be refreshed here. A logout needs no proof.
    #[must_use]
    pub fn dpop(mut self, dpop: impl Into<Arc<Dpop>>) -> Self {
        Arc::make_mut(&mut self.settings).dpop = Some(dpop.into());
        self
    }

    /// Trusts pages of `origin` to send requests with cookies. May be called more than once. See
    /// [`csrf`](crate::csrf).
    ///
    /// It applies to refresh and logout, to [`layer`](SessionRoutes::layer) and to
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

    /// Lets [`layer`](SessionRoutes::layer) accept tokens of another issuer too. May be called more
    /// than once.
    ///
    /// Give the issuer an [audience](TrustedIssuer::audience): its tokens for other services would
    /// be accepted otherwise. **With two issuers, `sub` alone identifies no user:** see
    /// [`TrustedIssuer`].
    ///
    /// The layer requires `typ: at+jwt` and a `jti` of its tokens too. If they differ:
    ///
    /// | its tokens have | call |
    /// | --- | --- |
    /// | another `typ` | [`TrustedIssuer::typ`] |
    /// | no `typ` | [`TrustedIssuer::typ_optional`] |
    /// | no `jti` | [`JwtAuthLayer::token_id_optional`] on the layer |
    ///
    /// # Panics
    ///
    /// - If the sessions have no [issuer](Sessions::issuer).
    /// - If `issuer` has the same name as theirs, or as an issuer that you added before.
    /// - If its tenants are not chosen, or its pattern of tenants overlaps with that of an issuer
    ///   that you added before.
    #[must_use]
    #[track_caller]
    pub fn trusted_issuer(mut self, issuer: TrustedIssuer) -> Self {
        let settings = Arc::make_mut(&mut self.settings);
        settings.trusted_issuers.push(issuer);
        // Panics here rather than in `layer`.
        let _ = self.verifier();
        self
    }

    #[track_caller]
    pub(super) fn verifier(&self) -> Verifier {
        let others = &self.settings.trusted_issuers;
        if others.is_empty() {
            return verifier(&self.body_sessions);
        }
        let issuer = self.sessions.issuer_name().unwrap_or_default();
        assert!(
            !issuer.is_empty(),
            "the sessions have no issuer, and tokens of others are trusted: call `issuer`"
        );
        let own = TrustedIssuer::new(issuer, self.sessions.verifying_keys().clone());
        let own = self.sessions.audiences().fold(own, TrustedIssuer::audience);
        let mut issuers = others.clone();
        issuers.push(own);
        verifier_trusting(issuers, &self.body_sessions)
    }

    /// The sessions, for your login handler.
    ///
    /// They issue only access tokens that fit into the access cookie. If a token is longer, the
    /// login fails before a session begins. A lower
    /// [`max_token_length`](Sessions::max_token_length) that you set stays in force. Tokens for
    /// clients without cookies may be longer: log these in with the `Sessions` that you passed to
    /// [`new`](Self::new).
    #[must_use]
    pub fn sessions(&self) -> &Sessions<S> {
        &self.sessions
    }

    /// The DPoP proof of a request to your login, for
    /// [`PendingLogin::bind`](crate::session::PendingLogin::bind) or
    /// [`bind_refresh_token`](crate::session::PendingLogin::bind_refresh_token). `None` without the
    /// header `DPoP`, or if [`dpop`](SessionRoutes::dpop) was not called.
    ///
    /// axum extracts `request` as `http::request::Parts`.
    #[must_use]
    pub fn proof(&self, request: &Parts) -> Option<SentProof> {
        self.find_proof(&request.method, &request.uri, &request.headers)
    }

    pub(super) fn find_proof(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Option<SentProof> {
        SentProof::find_in(self.settings.dpop.as_ref()?, method, uri, headers)
    }

    /// The cookies. `None` after [`without_cookies`](SessionRoutes::without_cookies).
    #[must_use]
    pub fn cookies(&self) -> Option<&SessionCookies> {
        self.settings.cookies.as_ref()
    }

    /// The headers of the response to a login: they set both cookies, and keep the response out of
    /// caches. They also have the next DPoP nonce, if there is one.
    ///
    /// A [bound](crate::session::PendingLogin::bind) access token is in no cookie. Return
    /// `Json(tokens.for_script())` for it.
    ///
    /// Return the headers alone, or as part of your response:
    /// `(routes.logged_in(&tokens)?, Redirect::to("/"))`. For clients without cookies respond with
    /// `Json(tokens)` instead.
    ///
    /// # Errors
    ///
    /// - [`CookieError::NotConfigured`] if there are no cookies.
    /// - [`CookieError::TooLarge`] if a cookie is too large for browsers. Tokens of
    ///   [`sessions`](SessionRoutes::sessions) fit.
    pub fn logged_in(&self, tokens: &TokenPair) -> Result<SetCookies, CookieError> {
        let cookies = self.cookies().ok_or(CookieError::NotConfigured)?;
        let nonce = tokens.dpop_nonce.as_deref();
        Ok(set_cookie_headers(cookies.set(tokens)?, nonce))
    }

    /// The session of the refresh cookie. `None` without a cookie, with several different ones, or
    /// with one that is not authentic. The session may have ended.
    ///
    /// Use it at login, after the password was checked, to end the session that the browser had
    /// before: the login replaces its cookies.
    #[must_use]
    pub fn session_of_cookie(&self, headers: &HeaderMap) -> Option<SessionId> {
        let [_, name] = self.cookies()?.names();
        let Found::Token(token) = token_in_cookie(headers, name.as_bytes()) else {
            return None;
        };
        let token = str::from_utf8(&token).ok()?;
        self.sessions.session_of_refresh_token(token)
    }

    /// The headers of the response to a logout of your own, such as a logout everywhere: they
    /// delete both cookies, and keep the response out of caches.
    ///
    /// # Errors
    ///
    /// [`CookieError::NotConfigured`] if there are no cookies.
    pub fn logged_out(&self) -> Result<SetCookies, CookieError> {
        let cookies = self.cookies().ok_or(CookieError::NotConfigured)?;
        Ok(set_cookie_headers(cookies.clear()?, None))
    }

    /// The layer for routes that need an access token of these sessions.
    ///
    /// It takes the token from `Authorization` or, if there are cookies, from the access cookie.
    /// After [`dpop`](SessionRoutes::dpop) it also takes bound tokens under `DPoP`. The layer
    /// uses the keys, issuer, audience and clock of the sessions, and rejects tokens that their
    /// store has revoked. A token needs `typ: at+jwt` and a `jti`. The layer has the responder, the
    /// realm and the trusted origins of these routes.
    ///
    /// You can change the layer, for example add a [source](JwtAuthLayer::source). For tokens of
    /// other issuers call [`trusted_issuer`](SessionRoutes::trusted_issuer) first.
    #[must_use]
    pub fn layer(&self) -> JwtAuthLayer<R, Arc<S>> {
        let layer = JwtAuthLayer::with_verifier(self.verifier());
        let bound = self.settings.dpop.clone().map(TokenSource::dpop);
        let sources = self.cookies().map_or_else(
            || vec![TokenSource::bearer()],
            |cookies| cookies.sources().into(),
        );
        let layer = layer.sources(bound.into_iter().chain(sources));
        layer
            .csrf_rules(self.settings.csrf.clone())
            .with_responder(self.responder.clone())
            .revocation(Arc::clone(self.sessions.store()))
    }

    /// The layer against cross-site requests for your login, with the responder and the trusted
    /// origins of these routes.
    #[must_use]
    pub fn csrf_layer(&self) -> CsrfLayer<R> {
        CsrfLayer::with_rules(self.settings.csrf.clone(), self.responder.clone())
    }
}

/// `sessions` whose access tokens fit into the cookie. A longer one is an error before a session
/// begins or a refresh token is used.
fn fitting<S: SessionStore>(sessions: &Sessions<S>, cookies: &SessionCookies) -> Sessions<S> {
    let longest = sessions.longest_token().min(cookies.max_token_length());
    sessions.clone().max_token_length(longest)
}

/// A verifier for the access tokens of `sessions`.
fn verifier<S: SessionStore>(sessions: &Sessions<S>) -> Verifier {
    let mut verifier = verifier_trusting(sessions.verifying_keys(), sessions);
    if let Some(issuer) = sessions.issuer_name() {
        verifier = verifier.issuer(issuer);
    }
    sessions
        .audiences()
        .fold(verifier, |verifier, audience| verifier.audience(audience))
}

/// A verifier with the clock of `sessions`, for tokens as they issue them.
fn verifier_trusting<S: SessionStore>(trust: impl IntoTrust, sessions: &Sessions<S>) -> Verifier {
    let longest = sessions.longest_token();
    Verifier::new(trust)
        .typ("at+jwt")
        // No less than the default: tokens may have been issued before a shorter length was set.
        .max_token_length(longest.max(Verifier::DEFAULT_MAX_TOKEN_LENGTH))
        .clock(sessions.current_clock())
}

impl<S, R> Clone for SessionRoutes<S, R> {
    fn clone(&self) -> Self {
        Self {
            sessions: self.sessions.clone(),
            body_sessions: self.body_sessions.clone(),
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
