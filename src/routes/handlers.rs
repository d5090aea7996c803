//! The handlers.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use axum_core::extract::{DefaultBodyLimit, FromRequest, Request};
use axum_core::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Deserialize;

use super::answer::{Fault, refuse, respond};
use super::cookies::SessionCookies;
use super::is_of_type;
use crate::cookie::CookieError;
use crate::csrf::Origin;
use crate::middleware::{
    CsrfRules, Found, JwtAuthLayer, ProblemJson, RequestHead, TokenSource, cookies,
};
use crate::session::{SessionId, SessionStore, Sessions};
use crate::verify::Verifier;

/// Handlers for the sessions of a service, and the layer that goes with them. Cheap to clone.
///
/// See the [module docs](super) for an example.
pub struct SessionRoutes<S> {
    sessions: Sessions<S>,
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Shared {
    cookies: SessionCookies,
    csrf: CsrfRules,
    origins: Vec<Origin>,
    /// Verifies access tokens, expired or not.
    whatever_age: Verifier,
}

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// What a request is about.
#[derive(Clone, Copy)]
enum Wish {
    Renewal,
    Logout,
}

impl<S: SessionStore> SessionRoutes<S> {
    /// A refresh token with all around it takes no more.
    const MOST_BYTES: usize = 4096;

    /// Handlers for `sessions`, with [`SessionCookies::new`]. Access tokens that fit into no cookie become an error at issue.
    ///
    /// # Errors
    ///
    /// As [`SessionCookies::new`].
    pub fn new(sessions: Sessions<S>) -> Result<Self, CookieError> {
        Ok(Self::with_cookies(sessions, SessionCookies::new()?))
    }

    /// As [`SessionRoutes::new`], with your own cookies.
    #[must_use]
    pub fn with_cookies(sessions: Sessions<S>, cookies: SessionCookies) -> Self {
        let whatever_age = verifier(&sessions).for_expired_tokens();
        Self {
            sessions: sessions.max_token_length(cookies.max_token_length()),
            shared: Arc::new(Shared {
                whatever_age,
                cookies,
                csrf: CsrfRules::default(),
                origins: Vec::new(),
            }),
        }
    }

    /// Lets pages of `origin` send requests with cookies. See [`csrf`](crate::csrf).
    ///
    /// # Panics
    ///
    /// If it is no [`Origin`]. Parse text from outside first, and hand over the result.
    #[must_use]
    #[track_caller]
    pub fn trusted_origin<O: TryInto<Origin, Error: fmt::Display>>(mut self, origin: O) -> Self {
        let origin = Origin::expect(origin);
        let shared = Arc::make_mut(&mut self.shared);
        shared.csrf.trust(origin.clone());
        shared.origins.push(origin);
        self
    }

    /// The sessions, for login.
    #[must_use]
    pub fn sessions(&self) -> &Sessions<S> {
        &self.sessions
    }

    /// The cookies, for login.
    #[must_use]
    pub fn cookies(&self) -> &SessionCookies {
        &self.shared.cookies
    }

    /// The layer for routes that need an access token of these sessions: in `Authorization` or the cookie, by their key, issuer,
    /// audience and clock, and asked of their store.
    #[must_use]
    pub fn auth_layer(&self) -> JwtAuthLayer<ProblemJson, Arc<S>> {
        let layer = JwtAuthLayer::with_verifier(verifier(&self.sessions))
            .sources(self.shared.cookies.sources())
            .revocation(Arc::clone(self.sessions.store()));
        self.shared
            .origins
            .iter()
            .cloned()
            .fold(layer, JwtAuthLayer::trusted_origin)
    }

    /// A handler for `POST` that renews the tokens.
    pub fn refresh(&self) -> impl Fn(Request) -> Answer + Clone + Send + Sync + 'static + use<S> {
        let routes = self.clone();
        move |request| {
            let routes = routes.clone();
            Box::pin(async move { routes.handle(request, Wish::Renewal).await })
        }
    }

    /// A handler for `POST` that ends every session that a token of the request names, and deletes
    /// the cookies.
    pub fn logout(&self) -> impl Fn(Request) -> Answer + Clone + Send + Sync + 'static + use<S> {
        let routes = self.clone();
        move |request| {
            let routes = routes.clone();
            Box::pin(async move { routes.handle(request, Wish::Logout).await })
        }
    }

    async fn renew(&self, parts: &Parts, presented: Option<String>) -> Result<Response, Fault> {
        if let Some(token) = presented {
            let tokens = self.sessions.refresh(&token).await?;
            let json = serde_json::to_string(&tokens).map_err(|_| Fault::Cookie)?;
            return Ok(respond(StatusCode::OK, Some(json), Vec::new()));
        }
        let source = self.shared.cookies.refresh_source();
        let token = self.find(&source, parts)?.ok_or(Fault::NoToken)?;
        let tokens = self.sessions.refresh(&token).await?;
        let cookies = self.shared.cookies.set(&tokens);
        let cookies = cookies.map_err(|_| Fault::Cookie)?;
        let json = format!(r#"{{"expires_in":{}}}"#, tokens.access_lifetime.as_secs());
        Ok(respond(StatusCode::OK, Some(json), cookies.into()))
    }

    async fn end(&self, parts: &Parts, presented: Option<String>) -> Result<Response, Fault> {
        if let Some(token) = presented {
            self.sessions.logout(&token).await?;
            return Ok(respond(StatusCode::NO_CONTENT, None, Vec::new()));
        }
        let authorization = self.find(&TokenSource::bearer(), parts)?;
        let named = authorization.and_then(|token| self.session_of(&token));
        // Also where no cookie came: `Set-Cookie` deletes those that `SameSite` held back.
        if self.shared.csrf.check(parts.head()).is_err() {
            // A client that sends `Authorization` means it. What a browser adds is left alone.
            let sid = named.ok_or(Fault::CrossSite)?;
            self.sessions.end_session(sid).await?;
            return Ok(respond(StatusCode::NO_CONTENT, None, Vec::new()));
        }
        let [access, refresh] = self.shared.cookies.names();
        let mut sids = BTreeSet::from_iter(named);
        let access_tokens = parts.cookies(access)?;
        sids.extend(
            access_tokens
                .iter()
                .filter_map(|token| self.session_of(token)),
        );
        let refresh_tokens = parts.cookies(refresh)?;
        let named = |token: &&str| self.sessions.session_of_refresh_token(token);
        sids.extend(refresh_tokens.iter().filter_map(named));
        for sid in sids {
            self.sessions.end_session(sid).await?;
        }
        Ok(respond(StatusCode::NO_CONTENT, None, self.cleared()))
    }

    async fn handle(&self, request: Request, wish: Wish) -> Response {
        let parts = Parts::of(&request);
        let presented = match Self::presented(request).await {
            Ok(presented) => presented,
            Err(fault) => return refuse(&fault, Vec::new()),
        };
        let by_cookie = presented.is_none();
        let done = match wish {
            Wish::Renewal => self.renew(&parts, presented).await,
            Wish::Logout => self.end(&parts, presented).await,
        };
        match done {
            Ok(response) => response,
            Err(fault) if by_cookie && fault.is_final() => refuse(&fault, self.cleared()),
            Err(fault) => refuse(&fault, Vec::new()),
        }
    }

    /// The refresh token in the body, if it has one.
    async fn presented(mut request: Request) -> Result<Option<String>, Fault> {
        if request.method() != Method::POST {
            return Err(Fault::Method);
        }
        let is_json = is_json(request.headers())?;
        DefaultBodyLimit::max(Self::MOST_BYTES).apply(&mut request);
        let body = Bytes::from_request(request, &()).await;
        let body = body.map_err(|_| Fault::Malformed)?;
        if is_json {
            return refresh_token(&body);
        }
        // It is not read here. A client that sends it must not believe that its session has ended.
        match memchr::memmem::find(&body, b"refresh_token") {
            Some(_) => Err(Fault::Malformed),
            None => Ok(None),
        }
    }

    /// The session of an access token that is good, but for its age.
    fn session_of(&self, access_token: &str) -> Option<SessionId> {
        let token = self.shared.whatever_age.verify(access_token).ok()?;
        token.session_id().and_then(SessionId::parse)
    }

    fn find(&self, source: &TokenSource, parts: &Parts) -> Result<Option<String>, Fault> {
        let head = parts.head();
        let token = match source.find(head) {
            Found::Nothing => return Ok(None),
            Found::Malformed | Found::Several => return Err(Fault::Malformed),
            Found::Token(token) => token,
        };
        if source.is_ambient() {
            self.shared.csrf.check(head).map_err(|_| Fault::CrossSite)?;
        }
        let token = String::from_utf8(token.into_owned());
        token.map(Some).map_err(|_| Fault::Malformed)
    }

    fn cleared(&self) -> Vec<HeaderValue> {
        let cookies = self.shared.cookies.clear();
        cookies.map(Vec::from).unwrap_or_default()
    }
}

/// Verifies the access tokens of these sessions.
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

/// A request without its body, which is read in between.
struct Parts {
    method: Method,
    uri: http::Uri,
    headers: HeaderMap,
    extensions: http::Extensions,
}

impl Parts {
    fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            extensions: http::Extensions::new(),
        }
    }

    /// The different values of a cookie. Another host of the domain may have set one of the same
    /// name.
    fn cookies(&self, name: &str) -> Result<BTreeSet<&str>, Fault> {
        /// Enough to look at for one request: each costs a signature.
        const MOST: usize = 16;
        let values = cookies(&self.headers, name.as_bytes());
        let values: BTreeSet<_> = values
            .filter_map(|value| str::from_utf8(value).ok())
            .collect();
        match values.len() {
            0..=MOST => Ok(values),
            _ => Err(Fault::Malformed),
        }
    }

    fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: &self.method,
            uri: &self.uri,
            headers: &self.headers,
            extensions: &self.extensions,
        }
    }
}

/// The refresh token in a JSON body. Clients that have none to say send an empty object, or `null`.
fn refresh_token(body: &[u8]) -> Result<Option<String>, Fault> {
    #[derive(Deserialize)]
    struct Members {
        refresh_token: Option<String>,
    }

    match body.trim_ascii() {
        b"null" => Ok(None),
        _ if body.is_empty() => Ok(None),
        // An array of the members would be read as well.
        [b'{', ..] => {
            let members: Members = serde_json::from_slice(body).map_err(|_| Fault::Malformed)?;
            Ok(members.refresh_token)
        }
        _ => Err(Fault::Malformed),
    }
}

/// Whether the body says that it is JSON. A form cannot say so, and a script of another site only after a preflight.
fn is_json(headers: &HeaderMap) -> Result<bool, Fault> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (None, _) => Ok(false),
        (Some(_), Some(_)) => Err(Fault::Malformed),
        (Some(value), None) => Ok(is_of_type(value, "application/json")),
    }
}

impl<S> Clone for SessionRoutes<S> {
    fn clone(&self) -> Self {
        Self {
            sessions: self.sessions.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S> fmt::Debug for SessionRoutes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRoutes")
            .field("sessions", &self.sessions)
            .field("cookies", &self.shared.cookies)
            .finish_non_exhaustive()
    }
}
