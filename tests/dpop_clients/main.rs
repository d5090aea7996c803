//! A service behind DPoP for clients of others. For `tests/dpop_clients/run.sh`.
//!
//! `dpop_clients ISSUER CLIENT SECRET` trusts the tokens of that issuer: JWTs, and opaque ones, for
//! which it asks as that client. It requires nonces. It prints the URL of the service, then the URL
//! that sets its clock ahead: `POST …/SECONDS`. A header of each response names the kind of a
//! rejection, which no real service should do.
#![expect(clippy::print_stdout, reason = "its output is read by the test")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_jwt_auth::clock::{Clock, SystemClock};
use tower_jwt_auth::dpop::Dpop;
use tower_jwt_auth::introspection::{ClientAuthentication, Introspection};
use tower_jwt_auth::keys::remote::RemoteKeys;
use tower_jwt_auth::{AuthError, Claims, JwtAuthLayer, TokenSource};

/// A clock that runs, and is some seconds ahead.
#[derive(Clone, Default)]
struct ShiftedClock(Arc<AtomicU64>);

impl Clock for ShiftedClock {
    fn now(&self) -> SystemTime {
        let ahead = Duration::from_secs(self.0.load(Ordering::SeqCst));
        let now = SystemClock.now();
        now.checked_add(ahead).unwrap_or(now)
    }
}

async fn tell_client(Claims(claims): Claims<Value>) -> Json<Value> {
    Json(json!({ "client": claims.get("client_id") }))
}

async fn tell_kind(mut response: Response) -> Response {
    let error = response.extensions().get::<AuthError>();
    let kind = error.map(|error| format!("{:?}", error.kind()));
    if let Some(Ok(kind)) = kind.map(HeaderValue::try_from) {
        response.headers_mut().insert("x-refused", kind);
    }
    response
}

async fn set_ahead(State(clock): State<ShiftedClock>, Path(seconds): Path<u64>) -> StatusCode {
    clock.0.store(seconds, Ordering::SeqCst);
    StatusCode::NO_CONTENT
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [issuer, client, secret] = &*arguments else {
        return Err("usage: dpop_clients ISSUER CLIENT SECRET".into());
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let control = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let clock = ShiftedClock::default();

    let as_client = ClientAuthentication::secret_basic(client, secret);
    let introspection = Introspection::discover(issuer, as_client).build()?;
    let dpop = Dpop::new(&url)?.nonces([7; 32])?;
    let layer = JwtAuthLayer::new(RemoteKeys::discover(issuer).build()?)
        .introspection(introspection)
        .audience("https://api.example")
        .clock(clock.clone())
        .sources([TokenSource::dpop(dpop), TokenSource::bearer()]);
    let app = Router::new()
        .route("/me", any(tell_client))
        .route("/notes", get(tell_client))
        .layer(layer)
        .layer(map_response(tell_kind));
    let controls = Router::new()
        .route("/{seconds}", post(set_ahead))
        .with_state(clock);
    println!("{url}\nhttp://{}", control.local_addr()?);
    tokio::spawn(async move { axum::serve(control, controls).await });
    Ok(axum::serve(listener, app).await?)
}
