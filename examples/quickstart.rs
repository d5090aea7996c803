//! A service with login, protected routes, scopes and logout.
//!
//! Run `cargo run --example quickstart`, then paste the lines that it prints.
//!
//! `PORT` sets the port (default 3000). `JWT_SECRET` sets the secret, at least 32 bytes. By default
//! it is random, and tokens end with the process.
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
use tower_jwt_auth::revocation::{Revocation, TokenIdentity};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::{Claims, JwtAuthLayer, Require, TokenSource, VerifiedToken};

const ISSUER: &str = "quickstart";
const LIFETIME: Duration = Duration::from_secs(300);

/// The claims of our tokens. `flatten` adds `sub`, `iss`, `exp`, `iat` and `jti`.
#[derive(Serialize)]
struct AccessToken {
    name: &'static str,
    scope: String,
    #[serde(flatten)]
    registered: RegisteredClaims,
}

/// The claims that a handler reads.
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
    #[serde(default)]
    scope: String,
}

struct Service {
    key: SigningKey,
    cookie: TokenCookie,
    store: MemoryStore,
}

async fn login(
    State(service): State<Arc<Service>>,
    Json(credentials): Json<Credentials>,
) -> Result<Response, StatusCode> {
    // A real service checks a password hash from its user database, and looks up the user's scopes.
    if (credentials.username.as_str(), credentials.password.as_str()) != ("demo", "demo") {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let response = token_for_demo(&service, credentials.scope);
    response.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

fn token_for_demo(service: &Service, scope: String) -> Result<Response, Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "the issuer's clock")]
    let now = SystemTime::now();
    let claims = AccessToken {
        name: "Demo User",
        scope,
        registered: RegisteredClaims::valid_for(LIFETIME, now)
            .issuer(ISSUER)
            .subject("user-1")
            .random_token_id()?,
    };
    let token = service.key.sign(&claims)?;
    let cookie = service.cookie.set(&token, LIFETIME)?;
    let body = json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": LIFETIME.as_secs(),
    });
    let headers = [(SET_COOKIE, cookie), (CACHE_CONTROL, "no-store".parse()?)];
    Ok((headers, Json(body)).into_response())
}

/// After this response the token is rejected, from header and cookie alike.
async fn logout(
    State(service): State<Arc<Service>>,
    token: VerifiedToken,
) -> Result<Response, StatusCode> {
    let id = TokenIdentity::from(&token);
    let revocation = Revocation::of_token(&id).ok_or(StatusCode::BAD_REQUEST)?;
    // If the revocation failed, the client must not be told that it is logged out.
    let revoked = service.store.revoke(&revocation);
    revoked.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let cleared = service.cookie.clear();
    let cleared = cleared.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cleared)]).into_response())
}

fn app(service: Service) -> Router {
    let auth = JwtAuthLayer::new(service.key.verifying_key())
        .issuer(ISSUER)
        .sources([TokenSource::bearer(), TokenSource::from(&service.cookie)])
        .revocation(service.store.clone());

    let protected = Router::new()
        .route("/me", get(me))
        .route("/logout", post(logout))
        .route("/notes", post(note).layer(Require::scope("notes:write")))
        .layer(auth);

    let open = Router::new()
        .route("/login", post(login))
        // A login sets a cookie, so other sites must not be able to send one.
        .layer(CsrfLayer::new());

    protected.merge(open).with_state(Arc::new(service))
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
        r#"Listening on {base}. Paste these lines into another terminal (they leave a file quickstart.cookies):

# Log in. The token comes in the body and as a cookie.
login() {{ curl -sS {base}/login -c quickstart.cookies -H 'Content-Type: application/json' -H 'Origin: {base}' -d "$1" | sed 's/.*"access_token":"\([^"]*\)".*/\1/'; }}
TOKEN=$(login '{{"username":"demo","password":"demo"}}')

# 200: with the header, and with the cookie. 401: without a token, with a challenge.
curl -iw '\n' {base}/me -H "Authorization: Bearer $TOKEN"
curl -iw '\n' {base}/me -b quickstart.cookies
curl -iw '\n' {base}/me

# 403: the token lacks the scope, which the challenge names. 200: one that has it.
curl -iw '\n' {base}/notes -H "Authorization: Bearer $TOKEN" -d hello
TOKEN=$(login '{{"username":"demo","password":"demo","scope":"notes:write"}}')
curl -iw '\n' {base}/notes -H "Authorization: Bearer $TOKEN" -d hello

# 200: a POST with the cookie from a page of this origin; 403: from a page of another one.
curl -iw '\n' {base}/notes -b quickstart.cookies -H 'Origin: {base}' -d hello
curl -iw '\n' {base}/notes -b quickstart.cookies -H 'Origin: https://evil.example' -d hello

# 204: log out. 401 at once for the same token, with the header and with the cookie.
curl -iw '\n' -X POST {base}/logout -H "Authorization: Bearer $TOKEN"
curl -iw '\n' {base}/me -H "Authorization: Bearer $TOKEN"
curl -iw '\n' {base}/me -b quickstart.cookies
"#
    );
    let service = Service {
        key,
        cookie: TokenCookie::new("__Host-access")?,
        store: MemoryStore::new(),
    };
    axum::serve(listener, app(service)).await?;
    Ok(())
}
