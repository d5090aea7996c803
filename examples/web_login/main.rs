//! A web page with login and a list of the user's sessions. It shows how the reuse of a stolen
//! refresh token ends its session. A second factor protects the password, and support acts for
//! users.
//!
//! Run `cargo run --example web_login --features embedded`, then open the address that it prints.
//!
//! | variable | | default |
//! | --- | --- | --- |
//! | `PORT` | the port on 127.0.0.1 | 3000 |
//! | `ACCESS_SECONDS` | the lifetime of an access token | 60: short, so that you see the page refresh |
//! | `GRACE_SECONDS` | how long the previous refresh token works | 3 |
//! | `IDLE_SECONDS` | how long a session lives without a refresh | 1,209,600: 14 days |
//! | `STORE` | the file of the sessions | a temporary file, named after the port |
//! | `REFRESH_SECRET` | the secret of refresh tokens, at least 32 bytes | random |
//! | `PLAIN_COOKIES` | if set, cookies without `Secure`, for Safari over plain HTTP | |
//!
//! `main.rs` and `sensitive.rs` are what your service would do. `users.rs` stands for its user
//! database. `demo.rs` is for the demonstration only: a thief, an outage, and an event log that
//! anybody can read.
#![expect(clippy::print_stdout, reason = "it talks to a person")]

mod demo;
mod sensitive;
mod users;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{DefaultBodyLimit, Form, Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, REFERRER_POLICY,
    RETRY_AFTER, USER_AGENT, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tower_jwt_auth::cookie::CookieError;
use tower_jwt_auth::dpop::{Dpop, SentProof};
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::routes::{SessionCookies, SessionRoutes};
use tower_jwt_auth::session::{
    PendingLogin, RefreshKeys, SessionError, SessionErrorKind, SessionId, Sessions, TokenPair,
};
use tower_jwt_auth::store::EmbeddedStore;
use tower_jwt_auth::{Claims, Require, VerifiedToken};

use demo::Demo;
use users::Users;

type Store = EmbeddedStore;

/// Sessions on disk. With `REFRESH_SECRET` they outlive the process. Access tokens of the old
/// signing key are then rejected, and the page refreshes.
async fn open_store(port: u16) -> Result<Store, Box<dyn Error>> {
    let file = std::env::var_os("STORE").map_or_else(
        || std::env::temp_dir().join(format!("web_login-{port}.redb")),
        PathBuf::from,
    );
    Ok(EmbeddedStore::open(file).await?)
}

struct Service {
    routes: SessionRoutes<Store>,
    users: Users,
    demo: Arc<Demo>,
}

type App = State<Arc<Service>>;

/// Allows this server's files only: no inline script or style, no foreign frames, no markup from
/// strings.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
    #[serde(default)]
    binding: Binding,
}

/// What is bound to the key of the browser, if it has sent a proof.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Binding {
    /// The access token is in a cookie, and works for its thief until it expires.
    #[default]
    Refresh,
    /// The access token is in the memory of the page's script.
    Both,
    None,
}

impl Binding {
    fn apply(self, login: PendingLogin, proof: &SentProof) -> Result<PendingLogin, SessionError> {
        match self {
            Self::Refresh => login.bind_refresh_token(proof),
            Self::Both => login.bind(proof),
            Self::None => Ok(login),
        }
    }
}

/// The same work and the same response for a wrong name and a wrong password. Only a user who knows
/// the password learns that the account is blocked.
async fn login(
    State(service): App,
    request: Parts,
    Form(credentials): Form<Credentials>,
) -> Result<Response, Problem> {
    let Credentials {
        username,
        password,
        binding,
    } = credentials;
    let headers = &request.headers;
    let sessions = service.routes.sessions();
    // Before the password check: a block or logout everywhere during that check prevents the login.
    let mut pending = sessions.begin(&sessions.subject_named(&username)).await?;
    if let Some(proof) = service.routes.proof(&request) {
        // No password is needed to tell the browser the nonce.
        pending = binding.apply(pending, &proof)?;
    }
    if !service.users.check(&username, password).await? {
        return Err(Problem::WRONG_PASSWORD);
    }
    let pending = pending.label(device(headers));
    // End the session that this login replaces: the browser is about to lose its tokens.
    if let Some(old) = service.routes.session_of_cookie(headers) {
        sessions.end_session(old).await?;
    }
    let tokens = sessions.complete(pending).await?;
    service.logged_in(&tokens)
}

impl Service {
    /// The cookies. A bound access token goes to the page's script.
    fn logged_in(&self, tokens: &TokenPair) -> Result<Response, Problem> {
        let cookies = self.routes.logged_in(tokens)?;
        Ok(if tokens.access_is_bound {
            (cookies, Json(tokens.for_script())).into_response()
        } else {
            (StatusCode::NO_CONTENT, cookies).into_response()
        })
    }
}

/// The name of a browser for the list of sessions, from a header that anybody can forge.
fn device(headers: &HeaderMap) -> String {
    let agent = headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default();
    let first = |known: &[(&str, &'static str)], otherwise: &'static str| {
        let found = known.iter().find(|(mark, _)| agent.contains(mark));
        found.map_or(otherwise, |(_, name)| name)
    };
    // Browsers name each other in this header, so the order matters.
    let browser = first(
        &[
            ("Edg/", "Edge"),
            ("OPR/", "Opera"),
            ("Firefox/", "Firefox"),
            ("Chrome/", "Chromium"),
            ("Safari/", "Safari"),
            ("curl/", "curl"),
        ],
        "Some client",
    );
    let system = first(
        &[
            ("Android", " on Android"),
            ("iPhone", " on an iPhone"),
            ("iPad", " on an iPad"),
            ("Windows", " on Windows"),
            ("Mac OS X", " on a Mac"),
            ("Linux", " on Linux"),
        ],
        "",
    );
    format!("{browser}{system}")
}

/// The user, and the remaining lifetime of the access token.
async fn me(State(service): App, token: VerifiedToken, Claims(claims): Claims<Value>) -> Response {
    let now = service.routes.sessions().current_clock().now();
    let left = token.expires_at().since_epoch().saturating_sub(age(now));
    Json(json!({
        "claims": *claims,
        "expires_in": left.as_secs_f64(),
    }))
    .into_response()
}

fn age(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

async fn list_sessions(
    State(service): App,
    token: VerifiedToken,
) -> Result<Json<Vec<Value>>, Problem> {
    let sessions = service.routes.sessions();
    let list = sessions.list(&sessions.subject_of(&token)?).await?;
    let shown = |session: &tower_jwt_auth::session::Session| {
        let sid = session.sid.to_string();
        json!({
            "current": token.session_id() == Some(&sid),
            "sid": sid,
            "label": session.label,
            "created": session.created_at.seconds(),
            "used": session.rotated_at.seconds(),
            "renewals": session.counter,
        })
    };
    Ok(Json(list.iter().map(shown).collect()))
}

/// Ends another session of the user, on another device for example.
async fn end_session(
    State(service): App,
    token: VerifiedToken,
    Path(sid): Path<String>,
) -> Result<StatusCode, Problem> {
    let sid = SessionId::parse(&sid).ok_or(Problem::NO_SUCH_SESSION)?;
    let sessions = service.routes.sessions();
    match sessions
        .end_session_of(&sessions.subject_of(&token)?, sid)
        .await?
    {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::NO_SUCH_SESSION),
    }
}

async fn logout_everywhere(State(service): App, token: VerifiedToken) -> Result<Response, Problem> {
    let sessions = service.routes.sessions();
    let subject = sessions.subject_of(&token)?;
    sessions.logout_everywhere(&subject).await?;
    let cookies = service.routes.logged_out()?;
    Ok((StatusCode::NO_CONTENT, cookies).into_response())
}

/// An error as `application/problem+json` (RFC 9457), like the responses of the crate.
struct Problem {
    status: StatusCode,
    detail: &'static str,
    /// Has a response of its own, with a nonce for the next proof.
    unproven: Option<SessionError>,
}

impl Problem {
    const WRONG_PASSWORD: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "The name or the password is wrong.",
    );
    const WRONG_CODE: Self = Self::new(StatusCode::FORBIDDEN, "The code is wrong.");
    const SHORT_PASSWORD: Self = Self::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "A password has at least 8 characters.",
    );
    const NOT_A_CUSTOMER: Self = Self::new(
        StatusCode::FORBIDDEN,
        "There is no such user, or support may not act for them.",
    );
    const ENDED: Self = Self::new(StatusCode::UNAUTHORIZED, "The session has ended.");
    const BLOCKED: Self = Self::new(StatusCode::FORBIDDEN, "This account is blocked.");
    const LOGGED_OUT: Self = Self::new(
        StatusCode::CONFLICT,
        "The account was logged out everywhere meanwhile. Please log in again.",
    );
    const NO_SUCH_SESSION: Self = Self::new(StatusCode::NOT_FOUND, "There is no such session.");
    const NOTHING_TO_STEAL: Self = Self::new(StatusCode::CONFLICT, "There is no session to steal.");
    const NO_LOOT: Self = Self::new(StatusCode::CONFLICT, "The thief has no token.");
    const UNAVAILABLE: Self = Self::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "The service is not available now. Please try again.",
    );
    const INTERNAL: Self = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "That did not work.");

    const fn new(status: StatusCode, detail: &'static str) -> Self {
        Self {
            status,
            detail,
            unproven: None,
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error.kind() {
            SessionErrorKind::Unavailable => Self::UNAVAILABLE,
            SessionErrorKind::Blocked => Self::BLOCKED,
            SessionErrorKind::LoggedOut => Self::LOGGED_OUT,
            SessionErrorKind::UnknownSubject | SessionErrorKind::Impersonated => {
                Self::NOT_A_CUSTOMER
            }
            SessionErrorKind::Ended | SessionErrorKind::Expired => Self::ENDED,
            SessionErrorKind::InvalidProof(_) => Self {
                unproven: Some(error),
                ..Self::INTERNAL
            },
            _ => Self::INTERNAL,
        }
    }
}

impl From<CookieError> for Problem {
    fn from(_: CookieError) -> Self {
        Self::INTERNAL
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Some(error) = self.unproven {
            return error.into_response();
        }
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let kind = [(CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, kind, body.to_string()).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse + Clone {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text)
}

async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(REFERRER_POLICY, "same-origin");
    set(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

fn app(service: Service) -> Router {
    let routes = service.routes.clone();

    // Not for support that acts for the user.
    let personal = Router::new()
        .route("/sessions/{sid}", delete(end_session))
        .route("/logout-everywhere", post(logout_everywhere))
        .route("/demo/role", post(demo::toggle_admin))
        .route_layer(Require::not_impersonated());
    // The layer rejects a cookie from another site.
    let protected = Router::new()
        .route("/me", get(me))
        .route("/sessions", get(list_sessions))
        .merge(personal)
        .merge(sensitive::routes())
        .route_layer(routes.layer());

    // Protects the login: other sites must not be able to log a visitor in.
    let open = Router::new()
        .route("/login", post(login))
        .merge(demo::actions())
        .route_layer(routes.csrf_layer());

    let html = file("text/html; charset=utf-8", include_str!("page.html"));
    let script = file("text/javascript; charset=utf-8", include_str!("page.js"));
    let key = file("text/javascript; charset=utf-8", include_str!("key.js"));
    let style = file("text/css; charset=utf-8", include_str!("page.css"));
    let icon = file("image/svg+xml", include_str!("icon.svg"));
    Router::new()
        .route("/", get(html))
        .route("/page.js", get(script))
        .route("/key.js", get(key))
        .route("/page.css", get(style))
        .route("/icon.svg", get(icon))
        .route("/refresh", post(routes.refresh()))
        .route("/logout", post(routes.logout()))
        .route("/demo", get(demo::state))
        .merge(protected)
        .merge(open)
        .layer(DefaultBodyLimit::max(4096))
        .with_state(Arc::new(service))
        // Outermost, so that every response has these headers.
        .layer(map_response(harden))
}

fn seconds(name: &str, default: u64) -> Result<Duration, Box<dyn Error>> {
    let seconds = match std::env::var(name) {
        Ok(seconds) => seconds
            .parse()
            .map_err(|error| format!("{name}: {error}"))?,
        Err(_) => default,
    };
    Ok(Duration::from_secs(seconds))
}

/// Proofs for this origin. Several nodes would need one secret for the nonces, and more than a
/// restart: `Dpop::replay_store`.
fn dpop(port: u16) -> Result<Dpop, Box<dyn Error>> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    Ok(Dpop::new(format!("http://127.0.0.1:{port}"))?
        .base_url(format!("http://localhost:{port}"))?
        .nonces(secret)?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let refresh_keys = match std::env::var("REFRESH_SECRET") {
        Ok(secret) => RefreshKeys::new(secret)?,
        Err(_) => RefreshKeys::generate()?,
    };
    let cookies = match std::env::var_os("PLAIN_COOKIES") {
        Some(_) => SessionCookies::insecure_for_localhost()?,
        None => SessionCookies::new()?,
    };
    let access = seconds("ACCESS_SECONDS", 60)?;
    let grace = seconds("GRACE_SECONDS", 3)?;
    let idle = seconds("IDLE_SECONDS", 14 * 24 * 60 * 60)?;

    let users = Users::demo()?;
    let demo = Arc::new(Demo::new(grace));
    let signing_key = SigningKey::generate(Algorithm::ES256)?;
    let port: u16 = match std::env::var("PORT") {
        Ok(port) => port.parse()?,
        Err(_) => 3000,
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    let store = open_store(address.port()).await?;
    let sessions = Sessions::new(store, signing_key, refresh_keys)
        .issuer("web_login")
        .audience("web_login")
        .access_lifetime(access)
        .grace(grace)
        .idle_lifetime(idle)
        .claims({
            let (users, demo) = (users.clone(), Arc::clone(&demo));
            move |session| {
                let claims = demo.reachable().map(|()| users.claims(&session));
                std::future::ready(claims)
            }
        })
        .on_event({
            let demo = Arc::clone(&demo);
            move |event| demo.note_event(event)
        });
    let blocked = sessions.subject_named(users::BLOCKED);
    sessions.block(&blocked).await?;
    demo::reset(&sessions).await?;

    let service = Service {
        routes: SessionRoutes::new(sessions)?
            .with_cookies(cookies)
            .dpop(dpop(address.port())?),
        users,
        demo,
    };
    println!("Open http://{address} in a browser.");
    println!("The one-time code of this demo is {}.", users::CODE);
    axum::serve(listener, app(service)).await?;
    Ok(())
}
