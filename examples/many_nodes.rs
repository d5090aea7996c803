//! Two nodes with one Redis: a logout on one node is effective on the other.
//!
//! Start a Redis or Valkey 7.0 or later, with `redis-server` or `docker run -p 6379:6379 redis`, or
//! set `REDIS_URL`. Run `cargo run --example many_nodes --features redis`, then paste the lines
//! that it prints. `PORT` sets the first node's port (default 3000). The second node has the next
//! one.
#![expect(clippy::print_stdout, reason = "it talks to a person")]

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::session::{RefreshKeys, Sessions};
use tower_jwt_auth::store::redis::client::Client;
use tower_jwt_auth::store::{RedisStore, RedisStoreOptions};
use tower_jwt_auth::{JwtAuthLayer, VerifiedToken};

const ISSUER: &str = "many-nodes";

/// The secrets that all nodes share. A real service reads them from its configuration.
const SIGNING_SECRET: [u8; 32] = [1; 32];
const REFRESH_SECRET: [u8; 32] = [2; 32];
const STORE_SECRET: [u8; 32] = [3; 32];

/// A real service checks a password, and returns the refresh token too.
async fn login(State(sessions): State<Sessions<RedisStore>>) -> Result<String, StatusCode> {
    let tokens = sessions.login(&sessions.subject_named("alice")).await;
    let tokens = tokens.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(tokens.access_token)
}

async fn me(token: VerifiedToken) -> String {
    format!("hello {}", token.subject().unwrap_or("stranger"))
}

/// After this response this node rejects the session's tokens. The other node does so milliseconds
/// later.
async fn logout(
    State(sessions): State<Sessions<RedisStore>>,
    token: VerifiedToken,
) -> Result<StatusCode, StatusCode> {
    let sid = sessions.session_of(&token);
    let ended = sessions.end_session(sid.map_err(|_| StatusCode::FORBIDDEN)?);
    // The logout failed, so the client must not be told that it succeeded.
    ended.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A node. In a real deployment each node is a process.
async fn node(redis: Client) -> Result<Router, Box<dyn Error>> {
    let store = RedisStoreOptions::new(STORE_SECRET)?.connect(redis).await?;
    store.ready(Duration::from_secs(10)).await?;
    let key = SigningKey::from_secret(Algorithm::HS256, SIGNING_SECRET)?;
    let layer = JwtAuthLayer::new(key.verifying_key())
        .issuer(ISSUER)
        .revocation(store.clone());
    let refresh_keys = RefreshKeys::new(REFRESH_SECRET)?;
    let sessions = Sessions::new(store, key, refresh_keys).issuer(ISSUER);
    Ok(Router::new()
        .route("/me", get(me))
        .route("/logout", post(logout))
        .layer(layer)
        .route("/login", post(login))
        .with_state(sessions))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let redis = std::env::var("REDIS_URL");
    let redis = Client::open(redis.as_deref().unwrap_or("redis://127.0.0.1/"))?;
    let nodes = tokio::try_join!(node(redis.clone()), node(redis));
    let (first, second) = nodes.map_err(|error| {
        format!("{error}: is there a Redis at REDIS_URL, or else at redis://127.0.0.1/?")
    })?;
    let port: u16 = match std::env::var("PORT") {
        Ok(port) => port.parse()?,
        Err(_) => 3000,
    };
    let next = if port == 0 { 0 } else { port.saturating_add(1) };
    let one = TcpListener::bind(("127.0.0.1", port)).await?;
    let other = TcpListener::bind(("127.0.0.1", next)).await?;
    let (a, b) = (one.local_addr()?, other.local_addr()?);
    println!(
        r#"Two nodes, http://{a} and http://{b}. Paste these lines into another terminal:

TOKEN=$(curl -s -X POST http://{a}/login)

# Login at the first node, known to both; logout at the second, rejected by both.
# 200, 200, 204, 401, 401.
curl -iw '\n' http://{a}/me -H "Authorization: Bearer $TOKEN"
curl -iw '\n' http://{b}/me -H "Authorization: Bearer $TOKEN"
curl -iw '\n' -X POST http://{b}/logout -H "Authorization: Bearer $TOKEN"
# The first node hears of it within milliseconds.
sleep 0.5
curl -iw '\n' http://{a}/me -H "Authorization: Bearer $TOKEN"
curl -iw '\n' http://{b}/me -H "Authorization: Bearer $TOKEN"
"#
    );
    tokio::try_join!(axum::serve(one, first), axum::serve(other, second))?;
    Ok(())
}
