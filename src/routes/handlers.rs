//! The handlers.

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
use crate::middleware::{Found, JwtAuthLayer, ProblemJson, RequestHead, Rules, TokenSource};
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
    csrf: Rules,
    origins: Vec<Origin>,
}

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// What a request is about.
#[derive(Clone, Copy)]
enum Wish {
    Renewal,
    Logout,
}

/// A refresh token, and how it came.
enum Presented {
    Json(String),
    Cookie(String),
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

    /// As [`SessionRoutes::new`], with cookies of one's own.
    #[must_use]
    pub fn with_cookies(sessions: Sessions<S>, cookies: SessionCookies) -> Self {
        Self {
            sessions: sessions.max_token_length(cookies.max_token_length()),
            shared: Arc::new(Shared {
                cookies,
                csrf: Rules::default(),
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
        let layer = JwtAuthLayer::with_verifier(self.verifier())
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

    /// A handler for `POST` that ends the session.
    pub fn logout(&self) -> impl Fn(Request) -> Answer + Clone + Send + Sync + 'static + use<S> {
        let routes = self.clone();
        move |request| {
            let routes = routes.clone();
            Box::pin(async move { routes.handle(request, Wish::Logout).await })
        }
    }

    async fn renew(&self, parts: &Parts, body: Option<Bytes>) -> Result<Response, Fault> {
        let presented = match body {
            Some(body) => Some(Presented::Json(refresh_token(&body)?)),
            None => {
                let source = self.shared.cookies.refresh_source();
                self.find(&source, parts)?.map(Presented::Cookie)
            }
        };
        match presented.ok_or(Fault::NoToken)? {
            Presented::Json(token) => {
                let tokens = self.sessions.refresh(&token).await?;
                let json = serde_json::to_string(&tokens).map_err(|_| Fault::Cookie)?;
                Ok(respond(StatusCode::OK, Some(json), Vec::new()))
            }
            Presented::Cookie(token) => {
                let tokens = self.sessions.refresh(&token).await?;
                let cookies = self.shared.cookies.set(&tokens);
                let cookies = cookies.map_err(|_| Fault::Cookie)?;
                let json = format!(r#"{{"expires_in":{}}}"#, tokens.access_lifetime.as_secs());
                Ok(respond(StatusCode::OK, Some(json), cookies.into()))
            }
        }
    }

    async fn end(&self, parts: &Parts, body: Option<Bytes>) -> Result<Response, Fault> {
        if let Some(body) = body {
            self.sessions.logout(&refresh_token(&body)?).await?;
            return Ok(respond(StatusCode::NO_CONTENT, None, Vec::new()));
        }
        // What a client says by itself counts before what a browser adds.
        if let Some(token) = self.find(&TokenSource::bearer(), parts)? {
            self.sessions.end_session(self.session_of(&token)?).await?;
            return Ok(respond(StatusCode::NO_CONTENT, None, self.cleared()));
        }
        let refresh_token = self.find(&self.shared.cookies.refresh_source(), parts)?;
        let access_token = self.find(&self.shared.cookies.access_source(), parts)?;
        let by_refresh_token = match refresh_token {
            Some(token) => self.sessions.logout(&token).await.map_err(Fault::from),
            None => Err(Fault::NoToken),
        };
        match (by_refresh_token, access_token) {
            // One that nobody can read any more must not keep a person logged in.
            (Err(fault), Some(token)) if fault.is_unreadable() => {
                self.sessions.end_session(self.session_of(&token)?).await?;
            }
            (ended, _) => ended?,
        }
        Ok(respond(StatusCode::NO_CONTENT, None, self.cleared()))
    }

    async fn handle(&self, request: Request, wish: Wish) -> Response {
        let parts = Parts::of(&request);
        let body = match Self::body(request).await {
            Ok(body) => body,
            Err(fault) => return refuse(&fault, Vec::new()),
        };
        let by_cookie = body.is_none();
        let done = match wish {
            Wish::Renewal => self.renew(&parts, body).await,
            Wish::Logout => self.end(&parts, body).await,
        };
        match done {
            Ok(response) => response,
            Err(fault) if by_cookie && fault.is_final() => refuse(&fault, self.cleared()),
            Err(fault) => refuse(&fault, Vec::new()),
        }
    }

    /// The body, if it is JSON and not empty.
    async fn body(mut request: Request) -> Result<Option<Bytes>, Fault> {
        if request.method() != Method::POST {
            return Err(Fault::Method);
        }
        if !is_json(request.headers())? {
            return Ok(None);
        }
        DefaultBodyLimit::max(Self::MOST_BYTES).apply(&mut request);
        let body = Bytes::from_request(request, &()).await;
        let body = body.map_err(|_| Fault::Malformed)?;
        Ok((!body.is_empty()).then_some(body))
    }

    /// The session of an access token that is good, but for its age.
    fn session_of(&self, access_token: &str) -> Result<SessionId, Fault> {
        let token = self.verifier().ignore_expiry().verify(access_token);
        let token = token.map_err(|_| Fault::AccessToken)?;
        let sid = token.session_id().and_then(SessionId::parse);
        sid.ok_or(Fault::AccessToken)
    }

    fn find(&self, source: &TokenSource, parts: &Parts) -> Result<Option<String>, Fault> {
        let head = parts.head();
        let token = match source.find(head) {
            Found::Nothing => return Ok(None),
            Found::Malformed | Found::Several => return Err(Fault::Malformed),
            Found::Token(token) if source.is_malformed(&token) => return Err(Fault::Malformed),
            Found::Token(token) => token,
        };
        if source.is_ambient() {
            self.shared.csrf.check(head).map_err(|_| Fault::CrossSite)?;
        }
        let token = String::from_utf8(token.into_owned());
        token.map(Some).map_err(|_| Fault::Malformed)
    }

    fn verifier(&self) -> Verifier {
        let mut verifier = Verifier::new(self.sessions.verifying_keys())
            .typ("at+jwt")
            .clock(self.sessions.current_clock());
        if let Some(issuer) = self.sessions.issuer_name() {
            verifier = verifier.issuer(issuer);
        }
        self.sessions
            .audiences()
            .fold(verifier, |verifier, audience| verifier.audience(audience))
    }

    fn cleared(&self) -> Vec<HeaderValue> {
        let cookies = self.shared.cookies.clear();
        cookies.map(Vec::from).unwrap_or_default()
    }
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

    fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: &self.method,
            uri: &self.uri,
            headers: &self.headers,
            extensions: &self.extensions,
        }
    }
}

/// The refresh token in a JSON body.
fn refresh_token(body: &[u8]) -> Result<String, Fault> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Members {
        refresh_token: String,
    }

    // An array of the members would be read as well.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Fault::Malformed);
    }
    let members: Members = serde_json::from_slice(body).map_err(|_| Fault::Malformed)?;
    Ok(members.refresh_token)
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
