//! An API for the access tokens of an OpenID provider. It prints the provider's keys, and why a
//! token is rejected.
//!
//! ```text
//! ISSUER=https://id.example.com AUDIENCE=api cargo run --example openid_provider --features jwks
//! curl -i http://127.0.0.1:3000/claims -H "Authorization: Bearer $TOKEN"
//! ```
//!
//! `PORT` sets the port (default 3000). `TYP` sets the required `typ` of tokens: `at+jwt` if the
//! provider follows RFC 9068.
#![expect(clippy::print_stdout, reason = "it talks to a person")]

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_jwt_auth::keys::remote::{RemoteKeys, RemoteKeysState};
use tower_jwt_auth::{AuthError, JwtAuthLayer, VerifiedToken};

async fn claims(token: VerifiedToken) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "application/json")],
        token.payload().to_owned(),
    )
}

/// Logs the reason for the operator. The client does not learn it.
async fn explain(response: Response) -> Response {
    if let Some(error) = response.extensions().get::<AuthError>() {
        println!("refused: {}", chain(error));
    }
    response
}

fn chain(error: &dyn Error) -> String {
    let sources = std::iter::successors(error.source(), |error| (*error).source());
    sources.fold(error.to_string(), |text, source| {
        format!("{text}: {source}")
    })
}

fn print(state: &RemoteKeysState) {
    match &state.keys {
        None => println!("no keys yet"),
        Some(keys) => {
            println!("{} keys:", keys.len());
            for key in keys.iter() {
                let kid = key.key_id().unwrap_or("(no kid)");
                println!("  {} {kid}", key.algorithm());
            }
        }
    }
    for skipped in &state.skipped {
        println!("  {skipped}");
    }
    if let Some(error) = &state.last_error {
        println!("the last attempt has failed: {}", chain(error));
    }
}

/// Prints changes of the keys every few seconds.
async fn watch(keys: RemoteKeys) {
    let mut seen = 0;
    let mut pause = tokio::time::interval(Duration::from_millis(250));
    loop {
        pause.tick().await;
        let state = keys.state();
        let is_over = state.age.is_some() || state.last_error.is_some();
        if state.fetches != seen && is_over {
            seen = state.fetches;
            print(&state);
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let keys = RemoteKeys::discover(variable("ISSUER")?).build()?;
    let mut layer = JwtAuthLayer::new(keys.clone()).audience(variable("AUDIENCE")?);
    if let Ok(typ) = variable("TYP") {
        layer = layer.typ(typ);
    }
    let app = Router::new()
        .route("/claims", get(claims).post(claims))
        .layer(layer)
        .layer(map_response(explain));

    let port: u16 = variable("PORT").unwrap_or("3000".to_owned()).parse()?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    tokio::spawn(watch(keys));
    axum::serve(listener, app).await?;
    Ok(())
}
