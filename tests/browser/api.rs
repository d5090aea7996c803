//! An API of another origin than the page that calls it, with CORS. For tests/browser/check.py.
//!
//! `browser_api ORIGIN` allows pages of that origin. It prints its address and a token.
#![expect(clippy::print_stdout, reason = "its output is read by the test")]

use std::error::Error;
use std::time::Duration;

use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method};
use axum::{Router, routing::get};
use serde_json::{Value, json};
use tower_http::cors::CorsLayer;
use tower_jwt_auth::claims::RegisteredClaims;
use tower_jwt_auth::clock::{Clock, SystemClock};
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::{Claims, JwtAuthLayer};

async fn me(Claims(claims): Claims<Value>) -> String {
    json!({ "sub": claims.get("sub") }).to_string()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let origin = std::env::args().nth(1).ok_or("whose pages may call?")?;
    let key = SigningKey::generate(Algorithm::ES256)?;
    let claims = RegisteredClaims::valid_for(Duration::from_secs(600), SystemClock.now());
    let token = key.sign(&claims.subject("alice"))?;

    let cors = CorsLayer::new()
        .allow_origin(origin.parse::<HeaderValue>()?)
        .allow_methods([Method::GET, Method::PUT])
        .allow_headers([AUTHORIZATION])
        .expose_headers([WWW_AUTHENTICATE]);
    let app = Router::new()
        .route("/me", get(me).put(me))
        .layer(JwtAuthLayer::new(key.verifying_key()))
        .layer(cors);

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{} {token}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
