//! A service with sessions for real browsers and clients, over HTTP and TLS, HTTP/1.1 and HTTP/2.
//! For tests/browser and tests/clients.
//!
//! `session_api CERTIFICATE COOKIES HOST…` writes its certificate to a file, and prints the ports
//! for HTTP and TLS. Every host name below `localhost` is this server. It trusts the pages of each
//! `HOST` at the TLS port. `COOKIES` is a variant of `session_cookies`. What is below `/test` is
//! for the test alone: its clock, its store, and what the server saw.
#![expect(clippy::print_stdout, reason = "its output is read by the test")]

mod control;
mod tls;

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{Form, Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{Html, IntoResponse, Result};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_http::cors::CorsLayer;
use tower_jwt_auth::clock::{Clock, ManualClock, SystemClock};
use tower_jwt_auth::cookie::{CookieError, SameSite, TokenCookie};
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::routes::{SessionCookies, SessionRoutes};
use tower_jwt_auth::session::{RefreshKeys, SessionError, Sessions, TokenPair};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::testing::FailingStore;
use tower_jwt_auth::{Claims, VerifiedToken};

use control::{Control, Traffic, recorded};

type Store = FailingStore<MemoryStore>;
type Routes = SessionRoutes<Store>;

#[derive(Deserialize)]
struct Credentials {
    username: String,
}

/// Every name is right: passwords are not what is tested here.
async fn tokens_of(
    sessions: &Sessions<Store>,
    Credentials { username }: Credentials,
) -> Result<TokenPair, SessionError> {
    sessions.login(&sessions.subject_named(&username)).await
}

async fn login(
    State(routes): State<Routes>,
    Form(credentials): Form<Credentials>,
) -> Result<impl IntoResponse> {
    let tokens = tokens_of(routes.sessions(), credentials).await?;
    Ok((StatusCode::NO_CONTENT, routes.logged_in(&tokens)?))
}

/// For clients without cookies.
async fn app_login(
    State(routes): State<Routes>,
    Form(credentials): Form<Credentials>,
) -> Result<Json<TokenPair>> {
    Ok(Json(tokens_of(routes.sessions(), credentials).await?))
}

async fn me(Claims(claims): Claims<Value>) -> Json<Value> {
    Json(json!({ "sub": claims.get("sub") }))
}

fn html(title: &str, body: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><link rel=icon href=data:,>\
         <title>{title}</title><h1>{title}</h1>{body}"
    ))
}

/// A page that the server renders for the user.
async fn page(token: VerifiedToken, Path(number): Path<u8>) -> Html<String> {
    let subject = token.subject().unwrap_or_default();
    html(
        &format!("Page {number}"),
        &format!("<p id=user>{subject}</p>"),
    )
}

/// Ten pages at once.
async fn frames() -> Html<String> {
    let frames = (1..=10).map(|number| format!("<iframe src=/pages/{number}></iframe>"));
    html("Ten pages", &frames.collect::<String>())
}

fn session_cookies(variant: &str) -> Result<SessionCookies, CookieError> {
    let cookies = SessionCookies::new()?;
    let named = |name: &str| TokenCookie::new(name);
    match variant.split_once('=') {
        Some(("domain", domain)) => cookies.with_cookies(
            named("__Secure-access")?.domain(domain)?,
            named("__Secure-refresh")?
                .same_site(SameSite::Strict)?
                .domain(domain)?,
        ),
        _ => match variant {
            "cross-site" => cookies.cross_site(),
            "partitioned" => cookies.cross_site()?.partitioned(),
            // As before a move to `domain`.
            "host-only" => cookies.with_cookies(
                named("__Secure-access")?,
                named("__Secure-refresh")?.same_site(SameSite::Strict)?,
            ),
            _ => Ok(cookies),
        },
    }
}

fn app(routes: &Routes, origins: &[String]) -> Result<Router, Box<dyn Error>> {
    let allowed: Result<Vec<HeaderValue>, _> = origins.iter().map(|o| o.parse()).collect();
    let cors = CorsLayer::new()
        .allow_origin(allowed?)
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .expose_headers([WWW_AUTHENTICATE]);
    Ok(Router::new()
        .route("/pages/{number}", get(page))
        .layer(routes.layer())
        .layer(routes.page_renewal()?)
        .merge(
            Router::new()
                .route("/me", get(me).post(me).put(me))
                .layer(routes.layer()),
        )
        .route("/login", post(login).layer(routes.csrf_layer()))
        .route("/app/login", post(app_login))
        .route("/refresh", post(routes.refresh()))
        .route("/logout", post(routes.logout()))
        .route("/frames", get(frames))
        .route("/", get(Html(include_str!("page.html"))))
        .layer(cors)
        .with_state(routes.clone()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let certificate = arguments.next().ok_or("which file for the certificate?")?;
    let variant = arguments.next().ok_or("which cookies?")?;

    let plain = TcpListener::bind(("127.0.0.1", 0)).await?;
    let (secure, pem) = tls::Listener::bind()?;
    std::fs::write(certificate, pem)?;
    let ports = [plain.local_addr()?.port(), secure.port()];
    let origins: Vec<_> = arguments
        .map(|host| format!("https://{host}:{}", ports[1]))
        .collect();

    let now = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH)?;
    let clock = ManualClock::at(now.as_secs());
    let store = FailingStore::new(MemoryStore::with_clock(clock.clone()));
    let signing_key = SigningKey::generate(Algorithm::ES256)?;
    let traffic = Arc::new(Traffic::default());
    let sessions = Sessions::new(store, signing_key, RefreshKeys::generate()?)
        .issuer("session_api")
        .grace(Duration::from_secs(10))
        .clock(clock.clone())
        .claims({
            let traffic = Arc::clone(&traffic);
            move |_| {
                let traffic = Arc::clone(&traffic);
                async move {
                    traffic.hold().await;
                    Ok::<_, Infallible>(Some(json!({})))
                }
            }
        });
    let mut routes = SessionRoutes::new(sessions)?.with_cookies(session_cookies(&variant)?);
    for origin in &origins {
        routes = routes.trusted_origin(&**origin);
    }

    let app = recorded(app(&routes, &origins)?, &traffic);
    let control = Control {
        clock,
        sessions: routes.sessions().clone(),
        traffic,
    };
    let app = app.merge(control.router());
    println!("{} {}", ports[0], ports[1]);
    let (plain, secure) = tokio::join!(
        axum::serve(plain, app.clone()).into_future(),
        axum::serve(secure, app).into_future(),
    );
    plain.and(secure)?;
    Ok(())
}
