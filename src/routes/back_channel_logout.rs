//! Where a provider tells that somebody has logged out (OpenID Connect Back-Channel Logout 1.0).

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum_core::extract::{DefaultBodyLimit, FromRequest, Request};
use axum_core::response::Response;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, Method, StatusCode};

use super::answer::respond;
use super::is_of_type;
use crate::openid::{LogoutToken, LogoutTokenVerifier, OpenIdError};
use crate::revocation::{Revocation, RevocationSet, TokenIdentity};

/// Receives the logout tokens of a provider, and ends the sessions that they name. Cheap to clone.
///
/// Where access tokens of the provider itself are accepted, a revocation does it:
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
/// Sessions of your own that began with an ID token are ended by
/// [`ProviderSessions`](crate::openid::ProviderSessions): see there.
///
/// | request | answer (§2.8) |
/// | --- | --- |
/// | `POST`, a form with one good `logout_token` | 200, once the sessions have ended |
/// | a token that is refused, or was seen before; no form | 400 `invalid_request` |
/// | the provider's keys, or what ends the sessions, fail; the same token is being seen to | 400 `temporarily_unavailable`; it may come again |
///
/// Why a token is refused is in the response's extensions, as an [`OpenIdError`].
///
/// Each process remembers by itself which tokens it has seen. Where several share the work, a token that is replayed at another one ends
/// again what it names: nothing that a [`revocation`](LogoutToken::revocation) would not end anyway, but for a closure that
/// ends all sessions of a subject, those of a login since. Within the token's [age](LogoutTokenVerifier::max_age), 5 minutes.
#[derive(Clone)]
pub struct BackChannelLogout(Arc<Inner>);

struct Inner {
    verifier: LogoutTokenVerifier,
    end_sessions: Box<EndSessions>,
    /// The ids of logout tokens, as though they were revoked.
    seen: RevocationSet,
    /// The ids of those whose sessions are being ended: one for each request that waits.
    under_way: Mutex<HashSet<Box<str>>>,
}

/// Keeps a token from being seen to twice at once, for as long as it is not known what comes of it.
struct UnderWay<'a> {
    tokens: &'a Mutex<HashSet<Box<str>>>,
    id: Box<str>,
}

type Ended = Pin<Box<dyn Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send>>;
type EndSessions = dyn Fn(LogoutToken) -> Ended + Send + Sync;
type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Why nobody is logged out.
enum Fault {
    Method,
    /// No form with one logout token.
    Form,
    Token(OpenIdError),
    Replayed,
    /// The same token is being seen to.
    UnderWay,
    /// There is no room to remember another token.
    Full,
    Ending(
        #[cfg_attr(
            not(feature = "tracing"),
            expect(dead_code, reason = "for the log alone")
        )]
        Box<dyn Error + Send + Sync>,
    ),
}

impl BackChannelLogout {
    /// A form with one token takes no more.
    const MOST_BYTES: usize = 16 * 1024;

    /// As many tokens as are remembered at once: a hundred logouts a second for more than two hours.
    const MOST_SEEN: usize = 1_000_000;

    /// Receives the tokens that `verifier` verifies, and has `end_sessions` end what they name. It answers once that is done for good.
    pub fn new<F, A, E>(verifier: LogoutTokenVerifier, end_sessions: F) -> Self
    where
        F: Fn(LogoutToken) -> A + Send + Sync + 'static,
        A: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let seen = RevocationSet::new()
            .capacity(Self::MOST_SEEN)
            .clock(verifier.current_clock());
        Self(Arc::new(Inner {
            verifier,
            end_sessions: Box::new(move |logout| {
                let ended = end_sessions(logout);
                Box::pin(async move { ended.await.map_err(Into::into) })
            }),
            seen,
            under_way: Mutex::default(),
        }))
    }

    /// A handler for `POST`.
    pub fn handler(&self) -> impl Fn(Request) -> Answer + Clone + Send + Sync + 'static + use<> {
        let logout = self.clone();
        move |request| {
            let logout = logout.clone();
            Box::pin(async move { logout.handle(request).await })
        }
    }

    async fn handle(&self, request: Request) -> Response {
        let done = self.receive(request).await;
        report(&done);
        match done {
            Ok(()) => answer(StatusCode::OK, None),
            Err(Fault::Method) => {
                let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, None);
                let allowed = HeaderValue::from_static("POST");
                response.headers_mut().insert(ALLOW, allowed);
                response
            }
            Err(fault) => {
                let mut response = answer(StatusCode::BAD_REQUEST, Some(fault.code()));
                if let Fault::Token(error) = fault {
                    response.extensions_mut().insert(error);
                }
                response
            }
        }
    }

    async fn receive(&self, request: Request) -> Result<(), Fault> {
        let Inner {
            verifier,
            end_sessions,
            seen,
            under_way,
        } = &*self.0;
        let token = logout_token(request).await?;
        let logout = verifier.verify(&token).await.map_err(Fault::Token)?;
        let id = TokenIdentity::new(logout.refused_from())
            .issuer(logout.issuer())
            .jti(logout.token_id());
        // Before it is asked whether the token was seen: another request may be about to say so.
        let _under_way = UnderWay::begin(under_way, logout.token_id()).ok_or(Fault::UnderWay)?;
        if seen.is_revoked(&id) {
            return Err(Fault::Replayed);
        }
        end_sessions(logout.clone()).await.map_err(Fault::Ending)?;
        // Only now: what has failed may be tried again.
        match Revocation::of_token(&id).map(|id| seen.revoke(&id)) {
            Some(Ok(())) => Ok(()),
            _ => Err(Fault::Full),
        }
    }
}

impl<'a> UnderWay<'a> {
    fn begin(tokens: &'a Mutex<HashSet<Box<str>>>, id: &str) -> Option<Self> {
        let is_first = lock(tokens).insert(id.into());
        is_first.then(|| Self {
            tokens,
            id: id.into(),
        })
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(self.tokens).remove(&self.id);
    }
}

fn lock(tokens: &Mutex<HashSet<Box<str>>>) -> MutexGuard<'_, HashSet<Box<str>>> {
    tokens.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one `logout_token` of a form (§2.5). Other members are ignored.
async fn logout_token(mut request: Request) -> Result<String, Fault> {
    if request.method() != Method::POST {
        return Err(Fault::Method);
    }
    if !is_form(request.headers()) {
        return Err(Fault::Form);
    }
    DefaultBodyLimit::max(BackChannelLogout::MOST_BYTES).apply(&mut request);
    let body = Bytes::from_request(request, &()).await;
    let body = body.map_err(|_| Fault::Form)?;
    let mut tokens = form_urlencoded::parse(&body)
        .filter_map(|(name, value)| (name == "logout_token").then_some(value));
    match (tokens.next(), tokens.next()) {
        (Some(token), None) => Ok(token.into_owned()),
        _ => Err(Fault::Form),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else {
        return false;
    };
    is_of_type(value, "application/x-www-form-urlencoded")
}

impl Fault {
    /// All that a provider is told.
    fn code(&self) -> &'static str {
        match self {
            Self::Token(error) if error.is_outage() => "temporarily_unavailable",
            Self::UnderWay | Self::Full | Self::Ending(_) => "temporarily_unavailable",
            _ => "invalid_request",
        }
    }
}

fn answer(status: StatusCode, code: Option<&str>) -> Response {
    let json = code.map(|code| format!(r#"{{"error":"{code}"}}"#));
    respond(status, json, Vec::new())
}

#[cfg(feature = "tracing")]
fn report(done: &Result<(), Fault>) {
    match done {
        Ok(()) => tracing::debug!("a provider's logout has ended sessions here"),
        Err(Fault::Method | Fault::Form) => tracing::debug!("no form with a logout token"),
        Err(Fault::Token(error)) => {
            let kind = error.kind().name();
            let reason = error.source().map(tracing::field::display);
            if error.is_outage() {
                tracing::warn!(kind, reason, "a logout token cannot be verified");
            } else {
                tracing::debug!(kind, reason, "a logout token is refused: {error}");
            }
        }
        Err(Fault::Replayed) => tracing::debug!("a logout token has come before"),
        Err(Fault::UnderWay) => tracing::debug!("the same logout token is being seen to"),
        Err(Fault::Full) => tracing::error!("no room to remember another logout token"),
        Err(Fault::Ending(error)) => {
            tracing::error!(reason = %error, "sessions could not be ended at a provider's logout");
        }
    }
}

#[cfg(not(feature = "tracing"))]
fn report(_: &Result<(), Fault>) {}

impl fmt::Debug for BackChannelLogout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackChannelLogout")
            .field("verifier", &self.0.verifier)
            .finish_non_exhaustive()
    }
}
