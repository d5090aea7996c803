//! "Log in with …": the authorization code flow with PKCE at any OpenID provider. The service
//! verifies the ID token and starts its own session.
//!
//! ```text
//! ISSUER=https://id.example.com CLIENT_ID=… CLIENT_SECRET=… cargo run --example social_login --features jwks
//! ```
//!
//! Then open the address that it prints. Register `{ORIGIN}/callback` as a redirect URI at the
//! provider. Register `{ORIGIN}/backchannel-logout` if a logout there must end the session here.
//!
//! | variable | | default |
//! | --- | --- | --- |
//! | `ISSUER` | the provider: `iss` of its tokens | |
//! | `CLIENT_ID`, `CLIENT_SECRET` | from the provider; a public client has no secret | |
//! | `PORT` | the port on 127.0.0.1 | 3000 |
//! | `ORIGIN` | the address of this service for browsers and for the provider | `http://localhost:{PORT}` |
#![expect(clippy::print_stdout, reason = "it talks to a person")]

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Query, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope, StandardRevocableToken, StandardTokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower_jwt_auth::claims::RegisteredClaims;
use tower_jwt_auth::cookie::TokenCookie;
use tower_jwt_auth::keys::remote::RemoteKeys;
use tower_jwt_auth::keys::{Algorithm, SigningKey, TokenHeader};
use tower_jwt_auth::openid::{IdTokenVerifier, LogoutToken, LogoutTokenVerifier, ProviderSessions};
use tower_jwt_auth::routes::{BackChannelLogout, SessionRoutes};
use tower_jwt_auth::session::{
    RefreshKeys, Session, SessionError, SessionErrorKind, SessionId, Sessions,
};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::{Claims, JwtAuthLayer, TokenSource};

/// How long a user may take to log in at the provider.
const PATIENCE: Duration = Duration::from_secs(600);

/// More than any provider's token response.
const LONGEST_ANSWER: usize = 256 * 1024;

/// An OAuth 2.0 client (RFC 6749) whose token responses have an ID token.
type Provider = Client<
    BasicErrorResponse,
    StandardTokenResponse<IdTokenField, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

#[derive(Debug, Deserialize, Serialize)]
struct IdTokenField {
    id_token: String,
}

impl ExtraTokenFields for IdTokenField {}

struct Service {
    provider: Provider,
    /// Whether every authorization response of the provider has `iss` (RFC 9207).
    announces_issuer: bool,
    http: reqwest::Client,
    id_tokens: IdTokenVerifier,
    logins: ProviderSessions<MemoryStore>,
    /// Signs the state of a login in progress. The browser keeps that state in a cookie.
    login_key: SigningKey,
    login_cookie: TokenCookie,
    routes: SessionRoutes<MemoryStore>,
    people: People,
}

type App = State<Arc<Service>>;

/// The users. A real service has a table whose key is the provider's `sub`, never the e-mail
/// address.
#[derive(Clone, Default)]
struct People(Arc<Mutex<HashMap<String, Person>>>);

#[derive(Clone, Deserialize, Serialize)]
struct Person {
    name: Option<String>,
    email: Option<String>,
}

impl People {
    fn meet(&self, subject: &str, person: Person) {
        let mut people = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        people.insert(subject.to_owned(), person);
    }

    fn find(&self, subject: &str) -> Option<Person> {
        let people = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        people.get(subject).cloned()
    }
}

/// A login in progress.
#[derive(Deserialize, Serialize)]
struct PendingLogin {
    state: String,
    nonce: String,
    pkce_verifier: String,
    /// The session that this browser has now.
    replaces: Option<String>,
    #[serde(flatten)]
    registered: RegisteredClaims,
}

/// A shared cache must not store a response that sets cookies.
const NO_STORE: (HeaderName, HeaderValue) = (CACHE_CONTROL, HeaderValue::from_static("no-store"));

async fn login(State(service): App, headers: HeaderMap) -> Result<Response, Failure> {
    // A browser that comes from another site does not send the refresh cookie: the user must click.
    if headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site")
    {
        return Ok(Redirect::to("/").into_response());
    }
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let nonce = CsrfToken::new_random().into_secret();
    let (url, state) = service
        .provider
        .authorize_url(CsrfToken::new_random)
        .add_scopes(["openid", "email", "profile"].map(|scope| Scope::new(scope.to_owned())))
        .add_extra_param("nonce", &nonce)
        .set_pkce_challenge(challenge)
        .url();
    let now = service.routes.sessions().current_clock().now();
    let pending = PendingLogin {
        state: state.into_secret(),
        nonce,
        pkce_verifier: verifier.into_secret(),
        replaces: service
            .routes
            .session_of_cookie(&headers)
            .map(|sid| sid.to_string()),
        registered: RegisteredClaims::valid_for(PATIENCE, now),
    };
    let header = TokenHeader::new().typ("login+jwt");
    let pending = service.login_key.sign_with(&header, &pending)?;
    let cookie = service.login_cookie.set(&pending, PATIENCE)?;
    let headers = [(SET_COOKIE, cookie), NO_STORE];
    Ok((headers, Redirect::to(url.as_str())).into_response())
}

/// The authorization response.
#[derive(Deserialize)]
struct Callback {
    state: String,
    code: Option<String>,
    /// RFC 9207.
    iss: Option<String>,
    error: Option<String>,
}

async fn callback(
    State(service): App,
    Claims(pending): Claims<PendingLogin>,
    Query(callback): Query<Callback>,
) -> Result<Response, Failure> {
    // An attacker's login must not complete in this browser.
    if CsrfToken::new(callback.state.clone()) != CsrfToken::new(pending.state.clone()) {
        return Err(Failure::refused("this login did not begin in this browser"));
    }
    // Even if the login fails, its state must not be used again.
    let forget = [(SET_COOKIE, service.login_cookie.clear()?), NO_STORE];
    let ended = finish(&service, &pending, callback).await;
    Ok((AppendHeaders(forget), ended).into_response())
}

async fn finish(
    service: &Service,
    pending: &PendingLogin,
    callback: Callback,
) -> Result<Response, Failure> {
    service
        .id_tokens
        .check_response_issuer(callback.iss.as_deref(), service.announces_issuer)
        .map_err(|_| Failure::refused("the answer is another provider's"))?;
    let code = match (callback.code, callback.error) {
        (Some(code), None) => AuthorizationCode::new(code),
        _ => return Err(Failure::refused("the provider has refused the login")),
    };
    let http = |request| send(service.http.clone(), request);
    let response = service
        .provider
        .exchange_code(code)
        .set_pkce_verifier(PkceCodeVerifier::new(pending.pkce_verifier.clone()))
        .request_async(&http)
        .await
        .map_err(|_| Failure::refused("the provider does not know this login"))?;
    let id_token = service
        .id_tokens
        .verify(&response.extra_fields().id_token, &pending.nonce)
        .await
        .map_err(|error| {
            println!("an ID token is refused: {error}");
            Failure::refused("the provider's answer cannot be trusted")
        })?;

    let person: Arc<Person> = id_token.claims().map_err(Failure::internal)?;
    service.people.meet(id_token.subject(), (*person).clone());
    let sessions = service.routes.sessions();
    let begun = sessions
        .begin(&sessions.subject_named(id_token.subject()))
        .await?;
    // End the session that this login replaces: the browser is about to lose its tokens.
    if let Some(old) = pending.replaces.as_deref().and_then(SessionId::parse) {
        sessions.end_session(old).await?;
    }
    // A logout at the provider then finds this session.
    let tokens = service.logins.complete(begun, &id_token).await?;
    let cookies = service.routes.logged_in(&tokens)?;
    Ok((cookies, Redirect::to("/")).into_response())
}

/// Without the layer: a user with the cookie of an ended session must still see the login page.
async fn page() -> Response {
    let policy = "default-src 'none'; script-src 'self'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'";
    ([(CONTENT_SECURITY_POLICY, policy)], Html(PAGE)).into_response()
}

const PAGE: &str = "<!doctype html>
<meta charset=utf-8>
<title>social_login</title>
<script type=module src=/page.js></script>
<p id=out hidden><a href=/login>Log in</a>
<div id=in hidden><pre id=claims></pre>
<form method=post action=/leave><button>Log out</button></form></div>
<p id=down hidden>The service is not available now. Please try again.
<noscript><p>This page needs JavaScript.</noscript>
";

/// The access token lives for minutes, the session for days: the page refreshes.
const SCRIPT: &str = r#"
const me = () => fetch('/me');
let answer = await me();
if (answer.status === 401) {
    const renewed = await fetch('/refresh', { method: 'POST' });
    answer = renewed.ok ? await me() : renewed;
}
let shown = 'down';
if (answer.ok) {
    const claims = await answer.json();
    document.getElementById('claims').textContent = JSON.stringify(claims, null, 2);
    shown = 'in';
} else if (answer.status === 401) {
    shown = 'out';
}
document.getElementById(shown).hidden = false;
"#;

async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT)
}

/// Logs out, and returns to the page even if the session had ended.
async fn leave(State(service): App, request: Request) -> Response {
    let ended = service.routes.logout()(request).await;
    if ended.status().is_success() || ended.status() == StatusCode::UNAUTHORIZED {
        let cookies = ended.headers().get_all(SET_COOKIE).iter().cloned();
        let mut response = Redirect::to("/").into_response();
        let headers = response.headers_mut();
        headers.extend(cookies.map(|cookie| (SET_COOKIE, cookie)));
        response
    } else {
        ended
    }
}

/// The page that a user sees.
struct Failure(StatusCode, &'static str);

impl Failure {
    fn refused(why: &'static str) -> Self {
        Self(StatusCode::FORBIDDEN, why)
    }

    fn internal<E>(_: E) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, "that did not work")
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        match error.kind() {
            SessionErrorKind::LoggedOut => Self::refused("you have logged out meanwhile"),
            SessionErrorKind::Blocked => Self::refused("this account is blocked"),
            _ => Self(StatusCode::SERVICE_UNAVAILABLE, "no session can begin now"),
        }
    }
}

impl From<tower_jwt_auth::cookie::CookieError> for Failure {
    fn from(error: tower_jwt_auth::cookie::CookieError) -> Self {
        Self::internal(error)
    }
}

impl From<tower_jwt_auth::keys::SignError> for Failure {
    fn from(error: tower_jwt_auth::keys::SignError) -> Self {
        Self::internal(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, format!("{}\n", self.1)).into_response()
    }
}

async fn send(http: reqwest::Client, request: HttpRequest) -> io::Result<HttpResponse> {
    let request = request.try_into().map_err(io::Error::other)?;
    let mut response = http.execute(request).await.map_err(io::Error::other)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(io::Error::other)? {
        if body.len().saturating_add(chunk.len()) > LONGEST_ANSWER {
            return Err(io::Error::other("the answer is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    let mut answer = HttpResponse::new(body);
    *answer.status_mut() = response.status();
    *answer.headers_mut() = response.headers().clone();
    Ok(answer)
}

/// The provider's metadata (OpenID Connect Discovery 1.0 §3).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    /// RFC 9207 §3.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

async fn discover(http: &reqwest::Client, issuer: &str) -> Result<Metadata, Box<dyn Error>> {
    let path = "/.well-known/openid-configuration";
    let url = format!("{}{path}", issuer.trim_end_matches('/'));
    let response = http.get(url).send().await?.error_for_status()?;
    let metadata: Metadata = serde_json::from_slice(&response.bytes().await?)?;
    if metadata.issuer != issuer {
        return Err("the metadata are those of another issuer".into());
    }
    Ok(metadata)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let issuer = variable("ISSUER")?;
    let client_id = variable("CLIENT_ID")?;
    let port: u16 = variable("PORT").unwrap_or("3000".to_owned()).parse()?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let port = listener.local_addr()?.port();
    let origin = variable("ORIGIN").unwrap_or_else(|_| format!("http://localhost:{port}"));

    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(5))
        .build()?;
    let metadata = discover(&http, &issuer).await?;
    let mut provider = Client::new(ClientId::new(client_id.clone()))
        .set_auth_uri(AuthUrl::new(metadata.authorization_endpoint)?)
        .set_token_uri(TokenUrl::new(metadata.token_endpoint)?)
        .set_redirect_uri(RedirectUrl::new(format!("{origin}/callback"))?);
    if let Ok(secret) = variable("CLIENT_SECRET") {
        provider = provider.set_client_secret(ClientSecret::new(secret));
    }

    let keys = RemoteKeys::discover(&issuer).build()?;
    let people = People::default();
    let known = people.clone();
    let signing_key = SigningKey::generate(Algorithm::ES256)?;
    let sessions = Sessions::new(MemoryStore::new(), signing_key, RefreshKeys::generate()?)
        .issuer(&origin)
        .audience(&origin)
        .claims(move |session: Session| {
            let person = known.find(&session.subject);
            std::future::ready(Ok::<_, std::convert::Infallible>(person))
        });
    let routes = SessionRoutes::new(sessions)?;

    let logins = ProviderSessions::new(routes.sessions().clone());
    let logout = {
        let logins = logins.clone();
        let verifier = LogoutTokenVerifier::new(keys.clone(), &client_id);
        BackChannelLogout::new(verifier, move |logout: LogoutToken| {
            let logins = logins.clone();
            async move { logins.end(&logout).await }
        })
    };
    let login_key = SigningKey::generate(Algorithm::HS256)?;
    let login_cookie = TokenCookie::new("__Host-login")?;
    // The authorization response is valid only in the browser where the login began.
    let pending = JwtAuthLayer::new(login_key.verifying_key())
        .typ("login+jwt")
        .sources([TokenSource::cookie(login_cookie.name())]);
    let app = Router::new()
        .route("/callback", get(callback).layer(pending))
        .route(
            "/me",
            get(async |Claims(claims): Claims<Value>| Json((*claims).clone()))
                .layer(routes.layer()),
        )
        .route("/", get(page))
        .route("/page.js", get(script))
        .route("/login", get(login))
        .route("/leave", post(leave))
        .route("/refresh", post(routes.refresh()))
        .route("/logout", post(routes.logout()))
        .route("/backchannel-logout", post(logout.handler()))
        .with_state(Arc::new(Service {
            provider,
            announces_issuer: metadata.authorization_response_iss_parameter_supported,
            http,
            id_tokens: IdTokenVerifier::new(keys, client_id),
            logins,
            login_key,
            login_cookie,
            routes,
            people,
        }));
    println!("open {origin}");
    axum::serve(listener, app).await?;
    Ok(())
}
