//! Parts for the demonstration only. Do not copy them into a service.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{COOKIE, HeaderMap};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;
use tower_jwt_auth::VerifiedToken;
use tower_jwt_auth::clock::{Clock, SystemClock};
use tower_jwt_auth::session::{
    SessionError, SessionErrorKind, SessionEvent, SessionEventKind, Sessions,
};

use crate::users::{SUPPORT, lock};
use crate::{App, Problem, Service, Store, age};

/// The outage, the thief, and the event log.
pub(crate) struct Demo {
    outage: AtomicBool,
    /// Whether the support agent is blocked.
    blocked: AtomicBool,
    loot: Mutex<Option<String>>,
    log: Mutex<Log>,
    grace: Duration,
}

#[derive(Default)]
struct Log {
    entries: VecDeque<Entry>,
    last: u64,
}

#[derive(Clone, Serialize)]
struct Entry {
    number: u64,
    at: u64,
    kind: &'static str,
    who: String,
    /// Who acts for them.
    actor: Option<String>,
    /// The beginning of the session's ID.
    session: Option<String>,
}

impl Demo {
    const ENTRIES: usize = 40;

    pub(crate) fn new(grace: Duration) -> Self {
        Self {
            outage: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            loot: Mutex::default(),
            log: Mutex::default(),
            grace,
        }
    }

    /// Fails during the outage, like a user database that cannot be reached.
    pub(crate) fn reachable(&self) -> io::Result<()> {
        if self.outage.load(Ordering::Relaxed) {
            return Err(io::Error::other("an outage, for the demonstration"));
        }
        Ok(())
    }

    /// For [`Sessions::on_event`](tower_jwt_auth::session::Sessions::on_event). A real service
    /// would notify the user of a reused token.
    pub(crate) fn note_event(&self, event: &SessionEvent<'_>) {
        // There are many, and the log is short.
        if event.kind == SessionEventKind::Refreshed {
            return;
        }
        self.push(Entry {
            actor: event.actor.map(str::to_owned),
            session: event
                .sid
                .map(|sid| sid.to_string().chars().take(8).collect()),
            ..Entry::new(event.kind.name(), event.subject.name)
        });
    }

    fn note(&self, kind: &'static str, who: &str) {
        self.push(Entry::new(kind, who));
    }

    fn push(&self, mut entry: Entry) {
        let mut log = lock(&self.log);
        log.last = log.last.saturating_add(1);
        entry.number = log.last;
        log.entries.push_front(entry);
        log.entries.truncate(Self::ENTRIES);
    }
}

impl Entry {
    /// [`Demo::push`] sets the number.
    fn new(kind: &'static str, who: &str) -> Self {
        Self {
            number: 0,
            at: age(SystemClock.now()).as_secs(),
            kind,
            who: who.to_owned(),
            actor: None,
            session: None,
        }
    }
}

/// A store that outlived the process may still have the block of [`toggle_block`].
pub(crate) async fn reset(sessions: &Sessions<Store>) -> Result<(), SessionError> {
    sessions.unblock(&sessions.subject_named(SUPPORT)).await
}

/// Anybody may read it, so that the page can say why its session ended.
pub(crate) async fn state(State(service): App) -> Response {
    let demo = &service.demo;
    let entries: Vec<_> = lock(&demo.log).entries.iter().cloned().collect();
    Json(json!({
        "outage": demo.outage.load(Ordering::Relaxed),
        "blocked": demo.blocked.load(Ordering::Relaxed),
        "loot": lock(&demo.loot).is_some(),
        "grace": demo.grace.as_secs(),
        "log": entries,
    }))
    .into_response()
}

pub(crate) fn actions() -> Router<Arc<Service>> {
    Router::new()
        .route("/thief/steal", post(steal))
        .route("/thief/replay", post(replay))
        .route("/demo/outage", post(toggle_outage))
        .route("/demo/block", post(toggle_block))
}

/// Steals the refresh token of this request, as malware on the user's device could.
async fn steal(State(service): App, headers: HeaderMap) -> Result<Response, Problem> {
    let token = refresh_token(&headers).ok_or(Problem::NOTHING_TO_STEAL)?;
    *lock(&service.demo.loot) = Some(token.to_owned());
    service.demo.note("copied", "the thief");
    Ok(Json(json!({ "loot": true })).into_response())
}

/// The thief refreshes with the stolen token, and keeps the result.
async fn replay(State(service): App) -> Result<Response, Problem> {
    let demo = &service.demo;
    let token = lock(&demo.loot).take().ok_or(Problem::NO_LOOT)?;
    let outcome = match service.routes.sessions().refresh(&token).await {
        Ok(tokens) => {
            *lock(&demo.loot) = Some(tokens.refresh_token);
            "thief_renewed"
        }
        Err(error) => match error.kind() {
            SessionErrorKind::Unavailable => {
                *lock(&demo.loot) = Some(token);
                return Err(error.into());
            }
            // The event log says that the reuse was detected.
            SessionErrorKind::ReuseDetected => "reuse_detected",
            SessionErrorKind::Elevated => "thief_below",
            SessionErrorKind::InvalidProof(_) => "thief_without_key",
            _ => "thief_refused",
        },
    };
    if outcome != "reuse_detected" {
        demo.note(outcome, "the thief");
    }
    Ok(Json(json!({ "outcome": outcome })).into_response())
}

async fn toggle_outage(State(service): App) -> Response {
    let demo = &service.demo;
    let outage = !demo.outage.fetch_not(Ordering::Relaxed);
    let kind = if outage { "outage" } else { "outage_over" };
    demo.note(kind, "the user database");
    Json(json!({ "outage": outage })).into_response()
}

/// Blocks the support agent, or lifts the block. The event log says so.
async fn toggle_block(State(service): App) -> Result<Response, Problem> {
    let sessions = service.routes.sessions();
    let agent = sessions.subject_named(SUPPORT);
    let blocked = !service.demo.blocked.load(Ordering::Relaxed);
    if blocked {
        sessions.block(&agent).await?;
    } else {
        sessions.unblock(&agent).await?;
    }
    service.demo.blocked.store(blocked, Ordering::Relaxed);
    Ok(Json(json!({ "blocked": blocked })).into_response())
}

/// Removes the user's admin role, or restores it. The next access token has the new roles.
pub(crate) async fn toggle_admin(
    State(service): App,
    token: VerifiedToken,
) -> Result<Response, Problem> {
    let subject = service.routes.sessions().subject_of(&token)?;
    let id = subject.name();
    let admin = service.users.toggle_admin(id).ok_or(Problem::INTERNAL)?;
    let kind = if admin { "role_given" } else { "role_taken" };
    service.demo.note(kind, id);
    Ok(Json(json!({ "admin": admin })).into_response())
}

fn refresh_token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter();
    let cookies = cookies.filter_map(|cookies| cookies.to_str().ok());
    let mut cookies = cookies.flat_map(|cookies| cookies.split(';'));
    cookies.find_map(|cookie| match cookie.trim().split_once('=')? {
        ("__Host-refresh" | "refresh", token) if !token.is_empty() => Some(token),
        _ => None,
    })
}
