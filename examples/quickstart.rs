//! A service that logs a demo user in and knows who calls it.
//!
//! `cargo run --example quickstart`, then paste the lines that it prints.
//!
//! `PORT` sets the port (default 3000), `JWT_SECRET` the secret (at least 32 bytes; default: a random one, which is gone
//! with the process).
#![expect(clippy::print_stdout, reason = "it talks to a person")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, SET_COOKIE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tower_jwt_auth::claims::RegisteredClaims;
use tower_jwt_auth::cookie::TokenCookie;
use tower_jwt_auth::csrf::CsrfLayer;
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::{Claims, JwtAuthLayer, TokenSource};

const ISSUER: &str = "quickstart";
const LIFETIME: Duration = Duration::from_secs(300);

/// What our tokens say. `flatten` adds `sub`, `iss`, `exp` and `iat`.
#[derive(Serialize)]
struct AccessToken {
    name: &'static str,
    #[serde(flatten)]
    registered: RegisteredClaims,
}

/// What a handler wants to know of it.
#[derive(Deserialize, Serialize)]
struct User {
    sub: String,
    name: String,
}

async fn me(Claims(user): Claims<User>) -> Json<serde_json::Value> {
    Json(json!({ "sub": user.sub, "name": user.name }))
}

async fn note(Claims(user): Claims<User>, text: String) -> String {
    format!("{} noted: {text}\n", user.name)
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

struct Login {
    key: SigningKey,
    cookie: TokenCookie,
}

async fn login(
    State(login): State<Arc<Login>>,
    Json(credentials): Json<Credentials>,
) -> Result<Response, StatusCode> {
    // A real service asks its user database, and compares a password hash.
    if (credentials.username.as_str(), credentials.password.as_str()) != ("demo", "demo") {
        return Err(StatusCode::UNAUTHORIZED);
    }
    #[expect(clippy::disallowed_methods, reason = "the issuer's clock")]
    let now = SystemTime::now();
    let claims = AccessToken {
        name: "Demo User",
        registered: RegisteredClaims::valid_for(LIFETIME, now)
            .issuer(ISSUER)
            .subject("user-1"),
    };
    let internal = |_| StatusCode::INTERNAL_SERVER_ERROR;
    let token = login.key.sign(&claims).map_err(internal)?;
    let cookie = login
        .cookie
        .set(&token, LIFETIME)
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let body = json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": LIFETIME.as_secs(),
    });
    Ok((
        [
            (SET_COOKIE, cookie),
            (
                CACHE_CONTROL,
                "no-store"
                    .parse()
                    .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?,
            ),
        ],
        Json(body),
    )
        .into_response())
}

fn app(key: SigningKey, cookie: TokenCookie) -> Router {
    let auth = JwtAuthLayer::new(key.verifying_key())
        .issuer(ISSUER)
        .sources([TokenSource::bearer(), TokenSource::from(&cookie)]);

    let protected = Router::new()
        .route("/me", get(me))
        .route("/notes", post(note))
        .layer(auth);

    let open = Router::new()
        .route("/login", post(login))
        // A login sets a cookie, so no other site may cause one.
        .layer(CsrfLayer::new())
        .with_state(Arc::new(Login { key, cookie }));

    protected.merge(open)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let key = match std::env::var("JWT_SECRET") {
        Ok(secret) => SigningKey::hs256(secret)?,
        Err(_) => SigningKey::generate(Algorithm::HS256)?,
    };
    let port: u16 = match std::env::var("PORT") {
        Ok(port) => port.parse()?,
        Err(_) => 3000,
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    println!(
        r#"Listening on {base}. Paste these lines into another terminal:

# Log in. The token comes in the body and as a cookie.
TOKEN=$(curl -s {base}/login -c quickstart.cookies -H 'Content-Type: application/json' -H 'Origin: {base}' -d '{{"username":"demo","password":"demo"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')

# 200: with the header, and with the cookie.
curl -iw '\n' {base}/me -H "Authorization: Bearer $TOKEN"
curl -iw '\n' {base}/me -b quickstart.cookies

# 401: without a token, with a challenge.
curl -iw '\n' {base}/me

# 200: a POST with the cookie from a page of this origin; 403: from a page of another one.
curl -iw '\n' {base}/notes -b quickstart.cookies -H 'Origin: {base}' -d hello
curl -iw '\n' {base}/notes -b quickstart.cookies -H 'Origin: https://evil.example' -d hello
"#
    );
    axum::serve(listener, app(key, TokenCookie::new("__Host-access")?)).await?;
    Ok(())
}
