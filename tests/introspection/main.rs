//! Holds opaque tokens to their rules: what is asked, what an answer may say, what is remembered.
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod asking;
mod hostile;
#[cfg(feature = "tracing")]
#[path = "../support/log.rs"]
mod log;
mod remembering;
mod server;
mod trust;

use axum::body::Body;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use serde_json::{Value, json};
use server::Server;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::introspection::{ClientAuthentication, Introspection, IntrospectionBuilder};
use tower_jwt_auth::keys::remote::FetchErrorKind;
use tower_jwt_auth::revocation::RevocationStore;
use tower_jwt_auth::{AuthError, AuthErrorKind, JwtAuthLayer, VerifiedToken, VerifyErrorKind};

const NOW: u64 = 1_800_000_000;

const SECRET: &str = "the-secret-of-the-client";

type App =
    tower::util::BoxCloneSyncService<Request<Body>, Response<Body>, std::convert::Infallible>;

/// A service that answers with the subject.
fn app<V: RevocationStore>(
    layer: &JwtAuthLayer<tower_jwt_auth::middleware::ProblemJson, V>,
) -> App {
    let inner = service_fn(async |request: Request<Body>| {
        let token = request.extensions().get::<VerifiedToken>().unwrap();
        let mut response = Response::new(Body::empty());
        if let Some(subject) = token.subject() {
            let subject = subject.to_owned();
            response.extensions_mut().insert(subject);
        }
        Ok(response)
    });
    App::new(layer.layer(inner))
}

async fn ask(app: &App, token: &str) -> Response<Body> {
    let request = Request::get("/")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    let mut app = app.clone();
    app.ready().await.unwrap().call(request).await.unwrap()
}

async fn status(app: &App, token: &str) -> u16 {
    ask(app, token).await.status().as_u16()
}

fn kind(response: &Response<Body>) -> Option<AuthErrorKind> {
    let error = response.extensions().get::<AuthError>();
    error.map(AuthError::kind)
}

fn invalid(kind: VerifyErrorKind) -> Option<AuthErrorKind> {
    Some(AuthErrorKind::InvalidToken(kind))
}

fn clock() -> ManualClock {
    ManualClock::at(NOW)
}

fn client() -> ClientAuthentication {
    ClientAuthentication::secret_basic("api", SECRET)
}

fn of(server: &Server) -> IntrospectionBuilder {
    Introspection::endpoint(server.endpoint(), server.name(), client())
}

fn layer(introspection: &Introspection, clock: &ManualClock) -> JwtAuthLayer {
    JwtAuthLayer::new(introspection.clone())
        .audience("api")
        .clock(clock.clone())
}

/// An answer about an active token, with other members.
fn active(members: &Value) -> String {
    let mut answer = json!({
        "active": true, "token_type": "Bearer", "aud": "api", "sub": "alice", "scope": "read",
        "exp": NOW + 100_000,
    });
    let all = answer.as_object_mut().unwrap();
    for (name, value) in members.as_object().unwrap() {
        if value.is_null() {
            all.remove(name);
        } else {
            all.insert(name.clone(), value.clone());
        }
    }
    answer.to_string()
}

/// A server, and a service that asks it.
struct Scene {
    server: Server,
    clock: ManualClock,
    introspection: Introspection,
    app: App,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(configure: impl FnOnce(IntrospectionBuilder) -> IntrospectionBuilder) -> Self {
        let server = Server::start().await;
        server.answer_with(active(&json!({})));
        let clock = clock();
        let introspection = configure(of(&server)).build().unwrap();
        let app = app(&layer(&introspection, &clock));
        Self {
            server,
            clock,
            introspection,
            app,
        }
    }

    fn last_error(&self) -> FetchErrorKind {
        self.introspection.state().last_error.unwrap().kind()
    }
}

/// A condition that other tasks bring about.
async fn until(holds: impl Fn() -> bool) {
    for _ in 0..5_000_000 {
        if holds() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("in vain");
}

/// Time stands still: no deadline passes, however slow the machine is. Paused time would move while
/// all tasks wait for sockets, unless a blocking task runs.
struct FrozenTime(std::sync::mpsc::Sender<()>);

impl FrozenTime {
    fn begin() -> Self {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        tokio::time::pause();
        tokio::task::spawn_blocking(move || receiver.recv());
        Self(sender)
    }
}

impl Drop for FrozenTime {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}
