//! What the test may do with the server, and what the server saw.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use tokio::sync::watch;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::session::{SessionError, Sessions};

use crate::Store;

/// A request without its secrets.
#[derive(Serialize)]
struct Seen {
    method: String,
    host: String,
    path: String,
    version: String,
    origin: Option<String>,
    site: Option<String>,
    authorization: bool,
    /// The names.
    cookies: Vec<String>,
    cookie_headers: usize,
    status: u16,
}

/// The requests, except those to `/test`.
#[derive(Default)]
pub(crate) struct Traffic {
    seen: Mutex<Vec<Seen>>,
    in_flight: watch::Sender<usize>,
    /// How many requests must be in flight before the next refresh goes on.
    awaited: AtomicUsize,
}

impl Traffic {
    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as the test has asked for by `/test/hold`, once. The function for claims calls it.
    pub(crate) async fn hold(&self) {
        let awaited = self.awaited.swap(0, Ordering::SeqCst);
        let mut in_flight = self.in_flight.subscribe();
        // The sender is here, so this ends with the condition only.
        let _ = in_flight.wait_for(|requests| *requests >= awaited).await;
    }
}

#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) clock: ManualClock,
    pub(crate) sessions: Sessions<Store>,
    pub(crate) traffic: Arc<Traffic>,
}

impl Control {
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/test/advance/{seconds}", post(advance))
            .route("/test/store/{state}", post(set_store))
            .route("/test/hold/{requests}", post(hold))
            .route("/test/counters/{subject}", get(counters))
            .route("/test/seen", get(take_seen))
            .with_state(self)
    }
}

/// Records the requests to `routes`.
pub(crate) fn recorded(routes: Router, traffic: &Arc<Traffic>) -> Router {
    routes.layer(from_fn_with_state(Arc::clone(traffic), record))
}

async fn advance(State(control): State<Control>, Path(seconds): Path<u64>) {
    control.clock.advance(Duration::from_secs(seconds));
}

async fn set_store(State(control): State<Control>, Path(state): Path<String>) -> StatusCode {
    let store = control.sessions.store();
    match &*state {
        "fail" => store.fail(),
        "recover" => store.recover(),
        _ => return StatusCode::NOT_FOUND,
    }
    StatusCode::NO_CONTENT
}

async fn hold(State(control): State<Control>, Path(requests): Path<usize>) {
    control.traffic.awaited.store(requests, Ordering::SeqCst);
}

/// How often each session of the subject was refreshed.
async fn counters(
    State(control): State<Control>,
    Path(subject): Path<String>,
) -> Result<Json<Vec<u64>>, SessionError> {
    let sessions = &control.sessions;
    let list = sessions.list(&sessions.subject_named(&subject)).await?;
    Ok(Json(list.iter().map(|session| session.counter).collect()))
}

async fn take_seen(State(control): State<Control>) -> Json<Vec<Seen>> {
    Json(std::mem::take(&mut *control.traffic.seen()))
}

async fn record(State(traffic): State<Arc<Traffic>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let mut seen = Seen {
        method: request.method().to_string(),
        host: text(headers, HOST.as_str())
            .or_else(|| request.uri().authority().map(ToString::to_string))
            .unwrap_or_default(),
        path: request.uri().path().to_owned(),
        version: format!("{:?}", request.version()),
        origin: text(headers, ORIGIN.as_str()),
        site: text(headers, "sec-fetch-site"),
        authorization: headers.contains_key(AUTHORIZATION),
        cookies: cookie_names(headers),
        cookie_headers: headers.get_all(COOKIE).iter().count(),
        status: 0,
    };
    traffic
        .in_flight
        .send_modify(|count| *count = count.saturating_add(1));
    let response = next.run(request).await;
    traffic
        .in_flight
        .send_modify(|count| *count = count.saturating_sub(1));
    seen.status = response.status().as_u16();
    traffic.seen().push(seen);
    response
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn cookie_names(headers: &HeaderMap) -> Vec<String> {
    let headers = headers.get_all(COOKIE).iter();
    let lines = headers.filter_map(|header| header.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';'));
    let names = pairs.filter_map(|pair| pair.split('=').next());
    names.map(|name| name.trim().to_owned()).collect()
}
