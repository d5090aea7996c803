//! The handler for the logout tokens of a provider (OpenID Connect Back-Channel Logout 1.0).

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum_core::extract::{DefaultBodyLimit, FromRequest, Request};
use axum_core::response::Response;
use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderValue, Method, StatusCode};

use super::content_type::is_content_type;
use super::response::response;
use crate::openid::{LogoutToken, LogoutTokenVerifier, OpenIdError};
use crate::revocation::{Revocation, RevocationSet, TokenIdentity};

/// Receives the logout tokens of a provider and ends the sessions they name. Cheap to clone.
///
/// You need it if users log in at a provider, and a logout there must end their sessions here. If
/// your service accepts access tokens of the provider itself, revoke them:
///
/// ```
/// use std::time::Duration;
/// use axum::{Router, routing::post};
/// use tower_jwt_auth::{JwtAuthLayer, TrustedIssuer};
/// use tower_jwt_auth::openid::{LogoutToken, LogoutTokenVerifier};
/// use tower_jwt_auth::routes::BackChannelLogout;
/// use tower_jwt_auth::store::MemoryStore;
/// # let keys = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
///
/// let store = MemoryStore::new();
/// let provider = TrustedIssuer::new("https://id.example.com", keys);
/// let layer = JwtAuthLayer::new(provider.clone()).audience("api").revocation(store.clone());
///
/// let verifier = LogoutTokenVerifier::new(provider, "our-client-id");
/// let logout = BackChannelLogout::new(verifier, move |logout: LogoutToken| {
///     let store = store.clone();
///     async move { store.revoke(&logout.revocation(Duration::from_secs(3600))) }
/// });
/// let app: Router = Router::new().route("/backchannel-logout", post(logout.handler()));
/// ```
///
/// To end your own sessions that began with an ID token, use
/// [`ProviderSessions`](crate::openid::ProviderSessions).
///
/// | request | answer (§2.8) |
/// | --- | --- |
/// | `POST` of a form with one valid `logout_token` | 200, after the sessions have ended |
/// | an invalid token; a token that was processed before; a body that is not such a form | 400 `invalid_request` |
/// | an outage of the provider's keys; an error of `end_sessions`; the same token is being processed | 400 `temporarily_unavailable`: the provider may retry |
/// | another method than `POST` | 405 |
///
/// The reason for an invalid token is in the response's extensions, as an [`OpenIdError`].
///
/// # Replays
///
/// Each process remembers the tokens it has processed. If several processes share the work, a token
/// can be replayed at another one within its [`max_age`](LogoutTokenVerifier::max_age), 5 minutes
/// by default. Then `end_sessions` runs again:
///
/// - A [`revocation`](LogoutToken::revocation) changes nothing the second time.
/// - A function that ends all sessions of a subject also ends those that began since.
#[derive(Clone)]
pub struct BackChannelLogout(Arc<Inner>);

struct Inner {
    verifier: LogoutTokenVerifier,
    end_sessions: Box<EndSessions>,
    /// The IDs of processed tokens, kept as if they were revoked.
    processed: RevocationSet,
    /// The IDs of the tokens whose sessions are being ended now.
    in_progress: Mutex<HashSet<Box<str>>>,
}

/// Reserves a token ID, so that concurrent requests do not process the same token.
struct Reservation<'a> {
    in_progress: &'a Mutex<HashSet<Box<str>>>,
    id: Box<str>,
}

type BoxError = Box<dyn Error + Send + Sync>;
type EndSessions = dyn Fn(LogoutToken) -> EndSessionsFuture + Send + Sync;
type EndSessionsFuture = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;
type ResponseFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Why a request did not end any session.
enum LogoutError {
    MethodNotAllowed,
    /// The body is not a form with exactly one logout token.
    MalformedForm,
    Token(OpenIdError),
    Replayed,
    /// Another request is processing the same token.
    InProgress,
    /// The set of processed tokens is full.
    MemoryFull,
    EndSessions(
        #[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "only logged"))] BoxError,
    ),
}

impl BackChannelLogout {
    /// The maximum length of a body, in bytes: room for a token and some other members.
    const MAX_BODY_LENGTH: usize = 16 * 1024;

    /// The maximum number of tokens remembered: 100 logouts per second for more than two hours.
    const MAX_PROCESSED: usize = 1_000_000;

    /// Creates the handler for the tokens that `verifier` accepts. `end_sessions` ends the sessions
    /// that a token names.
    ///
    /// The provider gets its answer after `end_sessions` returns. So `end_sessions` must return
    /// only when its changes are durable.
    pub fn new<F, A, E>(verifier: LogoutTokenVerifier, end_sessions: F) -> Self
    where
        F: Fn(LogoutToken) -> A + Send + Sync + 'static,
        A: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let processed = RevocationSet::new()
            .capacity(Self::MAX_PROCESSED)
            .clock(verifier.current_clock());
        Self(Arc::new(Inner {
            verifier,
            end_sessions: Box::new(move |logout| {
                let ended = end_sessions(logout);
                Box::pin(async move { ended.await.map_err(Into::into) })
            }),
            processed,
            in_progress: Mutex::default(),
        }))
    }

    /// The handler for `POST`.
    pub fn handler(
        &self,
    ) -> impl Fn(Request) -> ResponseFuture + Clone + Send + Sync + 'static + use<> {
        let logout = self.clone();
        move |request| {
            let logout = logout.clone();
            Box::pin(async move { logout.handle(request).await })
        }
    }

    async fn handle(&self, request: Request) -> Response {
        let result = self.process(request).await;
        log(&result);
        match result {
            Ok(()) => answer(StatusCode::OK, None),
            Err(LogoutError::MethodNotAllowed) => {
                let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, None);
                let allowed = HeaderValue::from_static("POST");
                response.headers_mut().insert(ALLOW, allowed);
                response
            }
            Err(error) => {
                let mut response = answer(StatusCode::BAD_REQUEST, Some(error.code()));
                if let LogoutError::Token(error) = error {
                    response.extensions_mut().insert(error);
                }
                response
            }
        }
    }

    async fn process(&self, request: Request) -> Result<(), LogoutError> {
        let Inner {
            verifier,
            end_sessions,
            processed,
            in_progress,
        } = &*self.0;
        let token = logout_token(request).await?;
        let logout = verifier.verify(&token).await.map_err(LogoutError::Token)?;
        let id = TokenIdentity::new(logout.remember_until())
            .issuer(logout.issuer())
            .jti(logout.token_id());
        // Reserve the ID before the check, or two requests could both pass it.
        let reservation = Reservation::new(in_progress, logout.token_id());
        let _reservation = reservation.ok_or(LogoutError::InProgress)?;
        if processed.is_revoked(&id) {
            return Err(LogoutError::Replayed);
        }
        end_sessions(logout.clone())
            .await
            .map_err(LogoutError::EndSessions)?;
        // Remembered only after success, so the provider can retry after an error.
        match Revocation::of_token(&id).map(|id| processed.revoke(&id)) {
            Some(Ok(())) => Ok(()),
            _ => Err(LogoutError::MemoryFull),
        }
    }
}

impl<'a> Reservation<'a> {
    /// `None` if another request has reserved the ID.
    fn new(in_progress: &'a Mutex<HashSet<Box<str>>>, id: &str) -> Option<Self> {
        let is_first = lock(in_progress).insert(id.into());
        is_first.then(|| Self {
            in_progress,
            id: id.into(),
        })
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        lock(self.in_progress).remove(&self.id);
    }
}

fn lock(ids: &Mutex<HashSet<Box<str>>>) -> MutexGuard<'_, HashSet<Box<str>>> {
    ids.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one `logout_token` of a form (§2.5). Other members are ignored.
async fn logout_token(mut request: Request) -> Result<String, LogoutError> {
    if request.method() != Method::POST {
        return Err(LogoutError::MethodNotAllowed);
    }
    match is_content_type(request.headers(), "application/x-www-form-urlencoded") {
        Ok(true) => {}
        _ => return Err(LogoutError::MalformedForm),
    }
    DefaultBodyLimit::max(BackChannelLogout::MAX_BODY_LENGTH).apply(&mut request);
    let body = Bytes::from_request(request, &()).await;
    let body = body.map_err(|_| LogoutError::MalformedForm)?;
    let mut tokens = form_urlencoded::parse(&body)
        .filter_map(|(name, value)| (name == "logout_token").then_some(value));
    match (tokens.next(), tokens.next()) {
        (Some(token), None) => Ok(token.into_owned()),
        _ => Err(LogoutError::MalformedForm),
    }
}

impl LogoutError {
    /// The error code for the provider (§2.8).
    fn code(&self) -> &'static str {
        match self {
            Self::Token(error) if error.is_outage() => "temporarily_unavailable",
            Self::InProgress | Self::MemoryFull | Self::EndSessions(_) => "temporarily_unavailable",
            _ => "invalid_request",
        }
    }
}

fn answer(status: StatusCode, code: Option<&str>) -> Response {
    let json = code.map(|code| format!(r#"{{"error":"{code}"}}"#));
    response(status, json, Vec::new())
}

#[cfg(feature = "tracing")]
fn log(result: &Result<(), LogoutError>) {
    match result {
        Ok(()) => tracing::debug!("a provider's logout token has ended sessions"),
        Err(LogoutError::MethodNotAllowed | LogoutError::MalformedForm) => {
            tracing::debug!("the request is not a form with one logout token");
        }
        Err(LogoutError::Token(error)) => {
            let kind = error.kind().name();
            let reason = error.source().map(tracing::field::display);
            if error.is_outage() {
                tracing::warn!(kind, reason, "a logout token cannot be verified");
            } else {
                tracing::debug!(kind, reason, "a logout token is rejected: {error}");
            }
        }
        Err(LogoutError::Replayed) => tracing::debug!("a logout token was replayed"),
        Err(LogoutError::InProgress) => {
            tracing::debug!("another request is processing the same logout token");
        }
        Err(LogoutError::MemoryFull) => {
            tracing::error!("the set of processed logout tokens is full");
        }
        Err(LogoutError::EndSessions(error)) => {
            tracing::error!(reason = %error, "the sessions of a logout token could not be ended");
        }
    }
}

#[cfg(not(feature = "tracing"))]
fn log(_: &Result<(), LogoutError>) {}

impl fmt::Debug for BackChannelLogout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackChannelLogout")
            .field("verifier", &self.0.verifier)
            .finish_non_exhaustive()
    }
}
