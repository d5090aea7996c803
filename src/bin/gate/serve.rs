//! Verifies the token of each request.

use std::error::Error;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tower_jwt_auth::{
    AuthError, AuthErrorKind, JwtAuthLayer, TokenSource, VerifiedToken, VerifyError,
};

use super::check::printable;
use super::options::Options;

/// Answers the claims of each request to `/claims`, or why they are rejected.
pub(crate) async fn serve(options: &Options, port: u16) -> Result<(), Box<dyn Error>> {
    let app = app(options)?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| format!("--port {port}: cannot listen on 127.0.0.1:{port}: {error}"))?;
    println!("Listening on http://{}/claims", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

fn app(options: &Options) -> Result<Router, Box<dyn Error>> {
    let mut layer = JwtAuthLayer::with_verifier(options.verifier(options.keys.read()?.trust));
    if let Some(cookie) = &options.cookie {
        layer = layer.sources([TokenSource::bearer(), TokenSource::from(cookie)]);
    }
    if options.optional {
        layer = layer.optional();
    }
    let mut app = Router::new().route("/claims", get(claims).post(claims));
    if let Some(scopes) = options.scopes() {
        app = app.route_layer(scopes);
    }
    let app = app.layer(layer);
    Ok(match options.explain {
        true => app.layer(map_response(explain)),
        false => app,
    })
}

async fn claims(token: Option<VerifiedToken>) -> Response {
    let body = token.map_or_else(|| "null".to_owned(), |token| token.payload().to_owned());
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

async fn explain(response: Response) -> Response {
    if let Some(error) = response.extensions().get::<AuthError>() {
        let stage = match error.kind() {
            AuthErrorKind::InvalidToken(kind) => kind.stage().name(),
            _ => "request",
        };
        let mut line = json!({
            "kind": error.kind().name(),
            "stage": stage,
            "status": response.status().as_u16(),
        });
        if let (Some(reason), Some(line)) = (reason(error), line.as_object_mut()) {
            line.insert("reason".to_owned(), reason.into());
        }
        eprintln!("{line}");
    }
    response
}

/// What is configured, or which claim is at fault.
fn reason(error: &AuthError) -> Option<String> {
    let mut cause = error.source()?;
    if cause.is::<VerifyError>() {
        cause = cause.source()?;
    }
    Some(printable(&cause.to_string()))
}
