//! The layer that refreshes the tokens of a page's visitor before the page is made.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_core::body::Body;
use axum_core::response::Response;
use http::header::{COOKIE, HeaderMap, SET_COOKIE};
use http::{HeaderValue, Request};
use pin_project_lite::pin_project;
use tokio::time::timeout;
use tower_layer::Layer;
use tower_service::Service;

use super::navigation::is_navigation;
use super::response::error_response;
use super::session_cookies::SessionCookies;
use super::session_routes::{RejectionHook, SessionRoutes};
use super::shared_refreshes::{Participant, SharedRefreshes};
use crate::cookie::CookieError;
use crate::middleware::{
    AuthError, Found, ProblemJson, RequestHead, Respond, Responder, TokenSource, prevent_storing,
};
use crate::revocation::{RevocationStore, TokenIdentity};
use crate::session::{SessionError, SessionErrorKind, SessionStore, Sessions, TokenPair};
use crate::verify::{Verifier, VerifyErrorKind};

/// Less than the [grace](Sessions::grace) of 10 seconds, in which a reload may use the same token.
const DEADLINE: Duration = Duration::from_secs(5);

impl<S: SessionStore, R> SessionRoutes<S, R> {
    /// The layer that refreshes the tokens of a visitor when a page is opened, for pages that the
    /// server renders. Add it after [`layer`](SessionRoutes::layer), so that it is outside of that
    /// layer.
    ///
    /// Call this method once and clone the layer: clones share a refresh of the same token. Call
    /// the setters first.
    ///
    /// [`PageRenewalLayer`] has an example.
    ///
    /// # Errors
    ///
    /// [`CookieError::NotConfigured`] if there are no cookies.
    pub fn page_renewal(&self) -> Result<PageRenewalLayer<S, R>, CookieError> {
        let cookies = self.cookies().ok_or(CookieError::NotConfigured)?;
        let [bearer_source, access_source] = cookies.sources();
        Ok(PageRenewalLayer(Arc::new(Renewal {
            verifier: self.verifier(),
            bearer_source,
            access_source,
            refresh_source: cookies.refresh_source(),
            sessions: self.sessions().clone(),
            cookies: cookies.clone(),
            responder: self.responder.clone(),
            rejection_hook: Arc::clone(&self.settings.rejection_hook),
            refreshes: SharedRefreshes::new(self.sessions().grace_length()),
        })))
    }
}

/// Refreshes the tokens of a visitor when a page is opened.
///
/// You need it if the server renders the pages: no script calls `POST /refresh`, and the browser
/// deletes the access cookie after 5 minutes. Made by [`SessionRoutes::page_renewal`].
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_jwt_auth::VerifiedToken;
/// use tower_jwt_auth::cookie::CookieError;
/// use tower_jwt_auth::routes::SessionRoutes;
/// use tower_jwt_auth::session::SessionStore;
///
/// fn pages<S: SessionStore>(routes: &SessionRoutes<S>) -> Result<Router, CookieError> {
///     Ok(Router::new()
///         .route("/account", get(async |_: VerifiedToken| "your account"))
///         .layer(routes.layer())
///         .layer(routes.page_renewal()?))
/// }
/// ```
///
/// # When it refreshes
///
/// All of these must hold. Any other request passes unchanged.
///
/// - The request is a navigation: `GET` or `HEAD`, without an upgrade or a method override, and
///   with `Sec-Fetch-Mode: navigate` or `Sec-Fetch-Dest: document`. Browsers send these headers
///   since 2023, over HTTPS and to `localhost`.
/// - It does not open a frame in a page of another site, unless the cookies are
///   [partitioned](SessionCookies::partitioned).
/// - There is no token in `Authorization`.
/// - The access cookie is missing, has expired, or was signed with a key that the service no longer
///   has, for example after a restart. Or it was revoked, and the store knows this without
///   waiting: see [`peek`](crate::revocation::RevocationStore::peek).
/// - There is one refresh cookie, and it is authentic.
///
/// | the refresh | the request | cookies in the response |
/// | --- | --- | --- |
/// | succeeds | goes on with the new tokens in its `Cookie` header | both, new |
/// | can never succeed again ([`is_final`](crate::session::SessionErrorKind::is_final)): the session has ended, or reuse was detected | goes on unchanged | both are deleted |
/// | finds that the refresh token belongs to another service, or is from before an [elevation](Sessions::elevate) | goes on unchanged | none |
/// | finds that the session is [bound to a key](crate::session#bound-to-a-key-of-the-client): a navigation has no proof | goes on unchanged | none |
/// | fails because of the store or the claims function, or takes longer than 5 seconds | 503 with `Retry-After: 1`, by the [responder](SessionRoutes::respond) of the routes | none |
/// | fails because the claims are invalid, or a token is too long for the layer or its cookie | 500 | none |
///
/// A response with cookies gets `Cache-Control: no-store` and `Vary: Cookie`. If the handler sets
/// or deletes one of the two cookies, as a login does, the handler's cookies are kept instead.
///
/// # Many requests at once
///
/// Requests with the same refresh token share one refresh in one process. Between processes the
/// [grace](Sessions::grace) applies. Keep it above zero, or these requests are treated as reuse.
///
/// # Slow and aborted pages
///
/// The new cookies arrive with the page. Until then the browser has the old refresh token, and
/// sends it again if the visitor reloads the page or opens another one.
///
/// | process that gets the old token | how long it answers with the new refresh token |
/// | --- | --- |
/// | the process that refreshed | until the page is done or aborted, and for one [grace](Sessions::grace) after that, but at most 5 minutes |
/// | another process | for the grace after the refresh |
///
/// Later the old token is treated as reuse, and the session ends. So if pages take longer than the
/// grace and there are several processes, raise the grace, or always send a visitor to the same
/// process. Put a timeout inside of this layer, not outside: then the response to a timeout has the
/// cookies.
///
/// During this time a stolen refresh token is not detected, as [during the grace](Sessions::grace).
///
/// If a login or a step-up completes while a slow page is rendered, the page replaces the new
/// cookies. The visitor must then log in again. So a page should not offer a login or a step-up
/// until it has loaded.
///
/// # Links from other sites
///
/// A navigation from another site may refresh, because it changes nothing but the cookies. Whether
/// the browser sends the refresh cookie depends on its `SameSite`:
///
/// | refresh cookie | the first page after a link on another site or in a mail |
/// | --- | --- |
/// | `Strict`, the default | is not refreshed: if the access token has expired, this page shows the visitor as logged out, and the next one does not |
/// | `Lax`, by [`SessionCookies::with_cookies`], or `None`, by [`SessionCookies::cross_site`] | is refreshed |
///
/// With `Lax` or `None`, any site can make its visitor's browser start a refresh and abort it. The
/// new token is then lost. If the visitor comes back after the grace, the old one is treated as
/// reuse, and the session ends. With `Strict`, a page for visitors without a token can reload
/// itself by a script, `location.replace(location.href)`: the browser sends the cookie then. A
/// redirect does not help, because it still counts as coming from the other site.
pub struct PageRenewalLayer<S, R = ProblemJson>(Arc<Renewal<S, R>>);

struct Renewal<S, R> {
    sessions: Sessions<S>,
    cookies: SessionCookies,
    responder: Responder<R>,
    rejection_hook: Arc<RejectionHook>,
    verifier: Verifier,
    bearer_source: TokenSource,
    access_source: TokenSource,
    refresh_source: TokenSource,
    refreshes: SharedRefreshes,
}

impl<S: SessionStore, R: Respond<Body>> Renewal<S, R> {
    /// The refresh token of a page whose visitor needs new tokens.
    fn refresh_token_of(&self, head: RequestHead<'_>) -> Option<String> {
        if !is_navigation(head, self.cookies.are_partitioned())
            || !matches!(self.bearer_source.find(head), Found::Nothing)
        {
            return None;
        }
        match self.access_source.find(head) {
            Found::Nothing => {}
            Found::Token(token) if self.is_outdated(&token) => {}
            _ => return None,
        }
        let Found::Token(token) = self.refresh_source.find(head) else {
            return None;
        };
        let token = str::from_utf8(&token).ok()?;
        // A forged token takes no place among the refreshes.
        self.sessions.session_of_refresh_token(token)?;
        Some(token.to_owned())
    }

    fn is_outdated(&self, access_token: &[u8]) -> bool {
        match self.verifier.verify(access_token) {
            Ok(token) => {
                let revoked = self.sessions.store().peek(&TokenIdentity::from(&token));
                revoked == Some(true)
            }
            Err(error) => matches!(
                error.kind(),
                VerifyErrorKind::Expired
                    | VerifyErrorKind::BadSignature
                    | VerifyErrorKind::NoFittingKey
            ),
        }
    }

    async fn refresh(
        &self,
        refresh_token: &str,
        participant: &Participant,
    ) -> Result<TokenPair, SessionError> {
        let tokens = participant
            .tokens(|| self.refresh_in_time(refresh_token))
            .await?;
        // A slow page may share tokens that have expired or were revoked since. The old refresh
        // token may be past its grace, but its sender would have got the new one.
        if self.is_outdated(tokens.access_token.as_bytes()) {
            return self.refresh_in_time(&tokens.refresh_token).await;
        }
        Ok(tokens)
    }

    async fn refresh_in_time(&self, refresh_token: &str) -> Result<TokenPair, SessionError> {
        match timeout(DEADLINE, self.sessions.refresh(refresh_token)).await {
            Ok(result) => result,
            Err(elapsed) => Err(SessionError::unavailable(elapsed)),
        }
    }

    async fn respond<I, B>(
        &self,
        refresh_token: &str,
        mut inner: I,
        mut request: Request<B>,
    ) -> Result<Response, I::Error>
    where
        I: Service<Request<B>, Response = Response>,
    {
        // Lives until the response is there: only then does the browser learn the new tokens.
        let participant = self.refreshes.join(refresh_token);
        let cookies = match self.refresh(refresh_token, &participant).await {
            Ok(tokens) => {
                let cookies = match self.cookies.set(&tokens) {
                    Ok(cookies) => cookies,
                    Err(error) => return Ok(self.reject(error)),
                };
                let [access, refresh] = self.cookies.names();
                let replaced = [
                    (access, &*tokens.access_token),
                    (refresh, &*tokens.refresh_token),
                ];
                replace_cookies(request.headers_mut(), replaced);
                Ok(cookies)
            }
            Err(error) => match error.kind() {
                SessionErrorKind::InvalidToken
                | SessionErrorKind::Elevated
                | SessionErrorKind::InvalidProof(_) => return inner.call(request).await,
                kind if kind.is_final() => {
                    self.report(error);
                    self.cookies.clear()
                }
                _ => return Ok(self.reject(error)),
            },
        };
        let mut response = inner.call(request).await?;
        self.add_cookies(&mut response, cookies.into_iter().flatten());
        Ok(response)
    }

    fn report(&self, error: impl Into<AuthError>) -> AuthError {
        let error = error.into();
        (self.rejection_hook)(&error);
        error
    }

    fn reject(&self, error: impl Into<AuthError>) -> Response {
        error_response(&self.responder, &self.report(error), Vec::new())
    }

    /// Adds the cookies, unless the handler has decided about them.
    fn add_cookies(&self, response: &mut Response, cookies: impl Iterator<Item = HeaderValue>) {
        let headers = response.headers_mut();
        prevent_storing(headers);
        let names = self.cookies.names();
        let is_decided = headers.get_all(SET_COOKIE).iter().any(|cookie| {
            let name = cookie.as_bytes().split(|byte| *byte == b'=').next();
            names.iter().any(|own| name == Some(own.as_bytes()))
        });
        if !is_decided {
            for cookie in cookies {
                headers.append(SET_COOKIE, cookie);
            }
        }
    }
}

/// Replaces these cookies of a request, or adds them, in one header.
fn replace_cookies(headers: &mut HeaderMap, cookies: [(&str, &str); 2]) {
    let is_other = |pair: &&[u8]| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        !pair.is_empty() && !cookies.iter().any(|(own, _)| own.as_bytes() == name)
    };
    let lines = headers.get_all(COOKIE);
    let pairs = lines
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let mut pairs: Vec<_> = pairs
        .map(<[u8]>::trim_ascii_start)
        .filter(is_other)
        .collect();
    let new = cookies.map(|(name, token)| format!("{name}={token}"));
    pairs.extend(new.iter().map(String::as_bytes));
    // Parts of header values and tokens are a header value.
    if let Ok(mut value) = HeaderValue::from_bytes(&pairs.join(&b"; "[..])) {
        value.set_sensitive(true);
        headers.insert(COOKIE, value);
    }
}

impl<I, S, R> Layer<I> for PageRenewalLayer<S, R> {
    type Service = PageRenewal<I, S, R>;

    fn layer(&self, inner: I) -> PageRenewal<I, S, R> {
        PageRenewal {
            inner,
            renewal: Arc::clone(&self.0),
        }
    }
}

/// The service that [`PageRenewalLayer`] makes.
pub struct PageRenewal<I, S, R = ProblemJson> {
    inner: I,
    renewal: Arc<Renewal<S, R>>,
}

impl<I, S, R, B> Service<Request<B>> for PageRenewal<I, S, R>
where
    I: Service<Request<B>, Response = Response, Future: Send> + Clone + Send + 'static,
    S: SessionStore,
    R: Respond<Body> + Send + Sync + 'static,
    B: Send + 'static,
{
    type Response = Response;
    type Error = I::Error;
    type Future = PageRenewalFuture<I::Future, I::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let head = RequestHead::of(&request);
        let kind = match self.renewal.refresh_token_of(head) {
            None => Kind::Unchanged {
                future: self.inner.call(request),
            },
            Some(token) => {
                // The service that was polled ready must be called. Its clone was not polled.
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                let renewal = Arc::clone(&self.renewal);
                let future = async move { renewal.respond(&token, ready, request).await };
                Kind::Renewing {
                    future: Box::pin(future),
                }
            }
        };
        PageRenewalFuture { kind }
    }
}

pin_project! {
    /// The future of [`PageRenewal`].
    pub struct PageRenewalFuture<F, E> {
        #[pin]
        kind: Kind<F, E>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F, E> {
        Unchanged {
            #[pin]
            future: F,
        },
        Renewing {
            future: Pin<Box<dyn Future<Output = Result<Response, E>> + Send>>,
        },
    }
}

impl<F, E> Future for PageRenewalFuture<F, E>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Unchanged { future } => future.poll(cx),
            KindProjection::Renewing { future } => future.as_mut().poll(cx),
        }
    }
}

impl<S, R> Clone for PageRenewalLayer<S, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<I: Clone, S, R> Clone for PageRenewal<I, S, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            renewal: Arc::clone(&self.renewal),
        }
    }
}

impl<S, R> fmt::Debug for PageRenewalLayer<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageRenewalLayer")
            .field("cookies", &self.0.cookies)
            .finish_non_exhaustive()
    }
}

impl<I: fmt::Debug, S, R> fmt::Debug for PageRenewal<I, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageRenewal")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<F, E> fmt::Debug for PageRenewalFuture<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageRenewalFuture").finish_non_exhaustive()
    }
}
