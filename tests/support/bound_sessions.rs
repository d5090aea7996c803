//! Sessions that are bound to a key of the client (RFC 9449 §5), for any store. Each function of
//! [`all`] is a test, and gets an empty store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::response::{ErrorResponse, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use http::request::Parts;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::clock::{Clock, ManualClock, SystemClock};
use tower_jwt_auth::dpop::{Dpop, DpopErrorKind as Kind};
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::routes::SessionRoutes;
use tower_jwt_auth::session::{
    RefreshKeys, Session, SessionErrorKind, SessionEventKind, SessionId, SessionStore, Sessions,
};
use tower_jwt_auth::{AuthErrorKind, VerifiedToken};

use crate::answer::{Answer, send};
use crate::dpop_client::{Client, token_hash};

/// Passes the names of all tests to a macro, which runs them on its stores.
macro_rules! all {
    ($run:ident) => {
        $run! {
            l19_a_refresh_without_the_key_is_refused_and_the_owner_goes_on,
            l24_a_session_without_a_key_never_gets_one,
            l25_a_session_never_changes_or_loses_its_key,
            l26_a_thief_without_the_key_triggers_no_reuse_detection,
            l27_an_impersonation_has_the_key_of_its_actor,
            l28_each_access_token_of_a_bound_session_is_bound,
            l31_concurrent_refreshes_need_a_proof_each,
        }
    };
}
pub(crate) use all;

pub(crate) const URL: &str = "https://api.example.com";
pub(crate) const REFRESH: &str = "https://api.example.com/refresh";

pub(crate) fn dpop() -> Dpop {
    Dpop::new(URL).unwrap()
}

/// How a client sends its refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Cookie,
    Json,
    Form,
}

pub(crate) const WAYS: [Way; 3] = [Way::Cookie, Way::Json, Way::Form];

pub(crate) struct World<S> {
    pub(crate) clock: ManualClock,
    pub(crate) sessions: Sessions<S>,
    pub(crate) routes: SessionRoutes<S>,
    pub(crate) app: Router,
    events: Arc<Mutex<Vec<SessionEventKind>>>,
}

/// The tokens of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl<S: SessionStore> World<S> {
    pub(crate) fn new(store: S, dpop: impl Into<Arc<Dpop>>) -> Self {
        // The store has the real time. This clock moves only by hand.
        let now = NumericDate::from(SystemClock.now()).seconds();
        let clock = ManualClock::at(now);
        let events: Arc<Mutex<Vec<_>>> = Arc::default();
        let heard = Arc::clone(&events);
        let key = SigningKey::from_secret(Algorithm::HS256, [1; 32]).unwrap();
        let sessions = Sessions::new(store, key, RefreshKeys::new([2; 32]).unwrap())
            .issuer("https://id.example.com")
            .clock(clock.clone())
            .on_event(move |event| heard.lock().unwrap().push(event.kind));
        let routes = SessionRoutes::new(sessions.clone()).unwrap().dpop(dpop);
        let app = app(&routes);
        Self {
            clock,
            sessions,
            routes,
            app,
            events,
        }
    }

    pub(crate) fn now(&self) -> u64 {
        NumericDate::from(self.clock.now()).seconds()
    }

    pub(crate) fn times(&self, kind: SessionEventKind) -> usize {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| **event == kind).count()
    }

    /// A good proof for the refresh route, with `more` laid over its claims.
    pub(crate) fn proof(&self, client: &Client, more: &Value) -> String {
        client.proof(REFRESH, self.now(), more)
    }

    pub(crate) async fn post(&self, path: &str, proof: Option<&str>) -> Answer {
        let request = with_proof(Request::post(path), proof);
        send(&self.app, request.body(Body::empty()).unwrap()).await
    }

    /// Logs alice in, with refresh and access tokens bound to the key of `client`, if there is one.
    pub(crate) async fn login(&self, client: Option<&Client>) -> Tokens {
        let url = format!("{URL}/login");
        let proof = client.map(|client| client.proof(&url, self.now(), &json!({})));
        tokens(&self.post("/login", proof.as_deref()).await)
    }

    pub(crate) async fn refresh(&self, way: Way, token: &str, proof: Option<&str>) -> Answer {
        let request = with_proof(Request::post("/refresh"), proof);
        let (request, body) = match way {
            Way::Cookie => {
                let cookie = format!("__Host-refresh={token}");
                let request = request.header(COOKIE, cookie);
                (
                    request.header("sec-fetch-site", "same-origin"),
                    Body::empty(),
                )
            }
            Way::Json => {
                let body = json!({ "refresh_token": token }).to_string();
                (
                    request.header(CONTENT_TYPE, "application/json"),
                    body.into(),
                )
            }
            Way::Form => {
                let body = format!("grant_type=refresh_token&refresh_token={token}");
                let form = "application/x-www-form-urlencoded";
                (request.header(CONTENT_TYPE, form), body.into())
            }
        };
        send(&self.app, request.body(body).unwrap()).await
    }

    /// The owner refreshes, with a good proof.
    pub(crate) async fn owner_refreshes(&self, client: &Client, token: &str) -> Tokens {
        let proof = self.proof(client, &json!({}));
        tokens(&self.refresh(Way::Json, token, Some(&proof)).await)
    }

    pub(crate) async fn session(&self, tokens: &Tokens) -> Session {
        let sid = self.sid(tokens);
        self.sessions.find(sid).await.unwrap().unwrap()
    }

    pub(crate) fn sid(&self, tokens: &Tokens) -> SessionId {
        let sid = self.sessions.session_of_refresh_token(&tokens.refresh);
        sid.unwrap()
    }

    /// `GET /me` with these headers.
    pub(crate) async fn me(&self, headers: &[(&str, &str)]) -> Answer {
        let request = headers
            .iter()
            .fold(Request::get("/me"), |request, (name, value)| {
                request.header(*name, *value)
            });
        send(&self.app, request.body(Body::empty()).unwrap()).await
    }

    /// `GET /me` with a bound access token and a proof of `client`.
    pub(crate) async fn me_proven(&self, client: &Client, access: &str) -> Answer {
        send(&self.app, self.proven(client, access)).await
    }

    /// The token as a handler gets it.
    async fn verified_by_layer(&self, client: &Client, access: &str) -> VerifiedToken {
        let found: Arc<Mutex<Option<VerifiedToken>>> = Arc::default();
        let keeps = Arc::clone(&found);
        let handler = async move |token: VerifiedToken| *keeps.lock().unwrap() = Some(token);
        let app = Router::new().route("/me", get(handler));
        let answer = send(&app.layer(self.routes.layer()), self.proven(client, access)).await;
        assert_eq!(answer.status, StatusCode::OK);
        found.lock().unwrap().take().unwrap()
    }

    fn proven(&self, client: &Client, access: &str) -> Request<Body> {
        let more = json!({ "htm": "GET", "ath": token_hash(access) });
        let proof = client.proof(&format!("{URL}/me"), self.now(), &more);
        let credentials = format!("DPoP {access}");
        Request::get("/me")
            .header(AUTHORIZATION, credentials)
            .header("dpop", proof)
            .body(Body::empty())
            .unwrap()
    }
}

/// Login in three ways, `/me`, refresh, logout.
fn app<S: SessionStore>(routes: &SessionRoutes<S>) -> Router {
    let (in_body, by_cookie, for_script) = (routes.clone(), routes.clone(), routes.clone());
    Router::new()
        .route(
            "/me",
            get(async |token: VerifiedToken| token.subject().unwrap_or_default().to_owned()),
        )
        .layer(routes.layer())
        .route(
            "/login",
            post(async move |parts: Parts| log_in(&in_body, &parts, Login::InBody).await),
        )
        .route(
            "/login-by-cookie",
            post(async move |parts: Parts| log_in(&by_cookie, &parts, Login::ByCookie).await),
        )
        .route(
            "/login-for-script",
            post(async move |parts: Parts| log_in(&for_script, &parts, Login::ForScript).await),
        )
        .route("/refresh", post(routes.refresh()))
        .route("/logout", post(routes.logout()))
}

#[derive(PartialEq)]
enum Login {
    InBody,
    /// The refresh token is bound, and both are in cookies.
    ByCookie,
    /// Both are bound, and the access token is for the page's script.
    ForScript,
}

async fn log_in<S: SessionStore>(
    routes: &SessionRoutes<S>,
    request: &Parts,
    way: Login,
) -> Result<Response, ErrorResponse> {
    let sessions = routes.sessions();
    let mut login = sessions.begin(&sessions.subject_named("alice")).await?;
    if let Some(proof) = routes.proof(request) {
        login = match way {
            Login::ByCookie => login.bind_refresh_token(&proof)?,
            _ => login.bind(&proof)?,
        };
    }
    let tokens = sessions.complete(login).await?;
    if way == Login::InBody {
        return Ok(Json(tokens).into_response());
    }
    let cookies = routes.logged_in(&tokens)?;
    Ok((cookies, Json(tokens.for_script())).into_response())
}

pub(crate) fn with_proof(
    request: http::request::Builder,
    proof: Option<&str>,
) -> http::request::Builder {
    match proof {
        Some(proof) => request.header("dpop", proof),
        None => request,
    }
}

/// The tokens in the JSON of a login or a refresh.
#[track_caller]
pub(crate) fn tokens(answer: &Answer) -> Tokens {
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.error);
    let json: Value = serde_json::from_str(&answer.body).unwrap();
    let text = |name: &str| json[name].as_str().unwrap().to_owned();
    Tokens {
        access: text("access_token"),
        refresh: text("refresh_token"),
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The refresh was refused for its proof, with the status and the code of `kind`. No cookie is
    /// deleted.
    #[track_caller]
    pub(crate) fn unproven(&self, way: Way, kind: Kind) {
        let rejected = AuthErrorKind::Session(SessionErrorKind::InvalidProof(kind));
        let error = self.error.as_ref().expect("an error");
        assert_eq!(error.kind(), rejected, "{way:?}");
        assert!(!SessionErrorKind::InvalidProof(kind).is_final());
        let code = match kind {
            Kind::WrongKey | Kind::UnboundToken => "invalid_grant",
            Kind::MissingNonce | Kind::StaleNonce => "use_dpop_nonce",
            _ => "invalid_dpop_proof",
        };
        let status = match (way, code) {
            (Way::Cookie | Way::Json, "invalid_grant") => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        };
        assert_eq!(self.status, status, "{way:?} {kind:?}");
        let name = if way == Way::Form { "error" } else { "code" };
        assert_eq!(self.json()[name], code, "{way:?} {kind:?}");
        assert_eq!(self.cookies(), Vec::<&str>::new());
        let has_nonce = self.headers.contains_key("dpop-nonce");
        assert_eq!(has_nonce, code == "use_dpop_nonce", "{way:?} {kind:?}");
    }
}

pub(crate) async fn l19_a_refresh_without_the_key_is_refused_and_the_owner_goes_on<
    S: SessionStore,
>(
    store: S,
) {
    let world = World::new(store, dpop());
    let (owner, thief) = (Client::new(), Client::new());
    let mut tokens = world.login(Some(&owner)).await;
    for way in WAYS {
        let before = world.session(&tokens).await;
        let answer = world.refresh(way, &tokens.refresh, None).await;
        answer.unproven(way, Kind::MissingProof);
        let proof = world.proof(&thief, &json!({}));
        let answer = world.refresh(way, &tokens.refresh, Some(&proof)).await;
        answer.unproven(way, Kind::WrongKey);
        assert_eq!(world.session(&tokens).await, before);
        tokens = world.owner_refreshes(&owner, &tokens.refresh).await;
        let me = world.me_proven(&owner, &tokens.access).await;
        assert_eq!(me.status, StatusCode::OK);
    }
    // Without the routes, too.
    let error = world.sessions.refresh(&tokens.refresh).await.unwrap_err();
    let missing = SessionErrorKind::InvalidProof(Kind::MissingProof);
    assert_eq!(error.kind(), missing);
    // Routes that know no proofs.
    let other = SessionRoutes::new(world.sessions.clone()).unwrap();
    let proof = world.proof(&owner, &json!({}));
    let request = with_proof(Request::post("/refresh"), Some(&proof))
        .header(CONTENT_TYPE, "application/json")
        .body(
            json!({ "refresh_token": tokens.refresh })
                .to_string()
                .into(),
        )
        .unwrap();
    send(&app(&other), request)
        .await
        .unproven(Way::Json, Kind::MissingProof);
    world.owner_refreshes(&owner, &tokens.refresh).await;
}

pub(crate) async fn l24_a_session_without_a_key_never_gets_one<S: SessionStore>(store: S) {
    let world = World::new(store, dpop());
    let client = Client::new();
    let mut current = world.login(None).await;
    for way in WAYS {
        let before = world.session(&current).await;
        let proof = world.proof(&client, &json!({}));
        let answer = world.refresh(way, &current.refresh, Some(&proof)).await;
        answer.unproven(way, Kind::UnboundToken);
        assert_eq!(world.session(&current).await, before);
        let answer = world.refresh(Way::Json, &current.refresh, None).await;
        assert_eq!(answer.json()["token_type"], "Bearer");
        current = tokens(&answer);
        assert_eq!(world.session(&current).await.key_thumbprint, None);
        let credentials = format!("Bearer {}", current.access);
        let me = world.me(&[(AUTHORIZATION.as_str(), &credentials)]).await;
        assert_eq!(me.status, StatusCode::OK);
    }
}

pub(crate) async fn l25_a_session_never_changes_or_loses_its_key<S: SessionStore>(store: S) {
    let world = World::new(store, dpop());
    let (owner, other) = (Client::new(), Client::new());
    let mut tokens = world.login(Some(&owner)).await;
    let sid = world.sid(&tokens);
    let key = Some(owner.thumbprint());
    let alice = world.sessions.subject_named("alice");
    for step in 0..6 {
        match step {
            0 => {}
            1 => {
                let proof = world.proof(&other, &json!({}));
                let answer = world
                    .refresh(Way::Json, &tokens.refresh, Some(&proof))
                    .await;
                answer.unproven(Way::Json, Kind::WrongKey);
            }
            2 => {
                let elevated = world.sessions.elevate(sid, "mfa").await.unwrap();
                tokens.refresh = elevated.refresh_token;
            }
            3 => {
                let change = |data: &mut Option<Value>| *data = Some(json!("x"));
                world.sessions.update(sid, change).await.unwrap();
            }
            4 => world.sessions.logout_others(sid).await.unwrap(),
            // The store has lost a refresh, or this is the grace.
            _ => {
                let before = tokens.clone();
                tokens = world.owner_refreshes(&owner, &tokens.refresh).await;
                let again = world.owner_refreshes(&owner, &before.refresh).await;
                assert_eq!(again.refresh, tokens.refresh);
            }
        }
        tokens = world.owner_refreshes(&owner, &tokens.refresh).await;
        let session = world.session(&tokens).await;
        assert_eq!(session.key_thumbprint, key, "step {step}");
        assert!(session.access_is_bound, "step {step}");
        let listed = world.sessions.list(&alice).await.unwrap();
        assert_eq!(listed, [session], "step {step}");
    }
    // A login with another key is another session.
    let second = world.login(Some(&other)).await;
    assert_ne!(world.sid(&second), sid);
    assert_eq!(world.session(&tokens).await.key_thumbprint, key);
    let proof = world.proof(&other, &json!({}));
    let answer = world
        .refresh(Way::Json, &tokens.refresh, Some(&proof))
        .await;
    answer.unproven(Way::Json, Kind::WrongKey);
}

pub(crate) async fn l26_a_thief_without_the_key_triggers_no_reuse_detection<S: SessionStore>(
    store: S,
) {
    let world = World::new(store, dpop());
    let (owner, thief) = (Client::new(), Client::new());
    let stolen = world.login(Some(&owner)).await;
    let mut tokens = world.owner_refreshes(&owner, &stolen.refresh).await;
    world.clock.advance(Duration::from_secs(60));
    for way in WAYS {
        let answer = world.refresh(way, &stolen.refresh, None).await;
        answer.unproven(way, Kind::MissingProof);
        let proof = world.proof(&thief, &json!({}));
        let answer = world.refresh(way, &stolen.refresh, Some(&proof)).await;
        answer.unproven(way, Kind::WrongKey);
        tokens = world.owner_refreshes(&owner, &tokens.refresh).await;
    }
    assert_eq!(world.times(SessionEventKind::ReuseDetected), 0);
    // A copied profile has the key. Then reuse detection works as for any session.
    let proof = world.proof(&owner, &json!({}));
    let answer = world
        .refresh(Way::Json, &stolen.refresh, Some(&proof))
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.times(SessionEventKind::ReuseDetected), 1);
    let proof = world.proof(&owner, &json!({}));
    let answer = world
        .refresh(Way::Json, &tokens.refresh, Some(&proof))
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

pub(crate) async fn l27_an_impersonation_has_the_key_of_its_actor<S: SessionStore>(store: S) {
    let world = World::new(store, dpop());
    let (agent, thief) = (Client::new(), Client::new());
    let url = format!("{URL}/login-by-cookie");
    let proof = agent.proof(&url, world.now(), &json!({}));
    let answer = world.post("/login-by-cookie", Some(&proof)).await;
    let access = cookie(&answer, "__Host-access").unwrap();
    // An unbound token, as a thief may have it.
    let token = world.verify(&access);
    let bob = world.sessions.subject_named("bob");
    let begin = async || world.sessions.impersonate(&token, &bob).await.unwrap();
    let sent = |client: &Client| {
        let proof = client.proof(&format!("{URL}/act"), world.now(), &json!({}));
        let request = with_proof(Request::post("/act"), Some(&proof));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        world.routes.proof(&parts).unwrap()
    };
    let unbound = world.sessions.complete(begin().await).await.unwrap_err();
    let missing = SessionErrorKind::InvalidProof(Kind::MissingProof);
    assert_eq!(unbound.kind(), missing);
    let wrong = SessionErrorKind::InvalidProof(Kind::WrongKey);
    let login = begin().await.bind(&sent(&thief));
    assert_eq!(login.unwrap_err().kind(), wrong);
    let login = begin().await.bind_refresh_token(&sent(&thief));
    assert_eq!(login.unwrap_err().kind(), wrong);
    let login = begin().await.bind(&sent(&agent)).unwrap();
    let tokens = world.sessions.complete(login).await.unwrap();
    assert_eq!(tokens.token_type(), "DPoP");
    let tokens = world.owner_refreshes(&agent, &tokens.refresh_token).await;
    let session = world.session(&tokens).await;
    assert_eq!(session.actor.as_deref(), Some("alice"));
    assert_eq!(session.key_thumbprint, Some(agent.thumbprint()));
    // A bound access token was proven by its own request.
    let bound = world.login(Some(&agent)).await;
    let bound = world.verified_by_layer(&agent, &bound.access).await;
    let login = world.sessions.impersonate(&bound, &bob).await.unwrap();
    let tokens = world.sessions.complete(login).await.unwrap();
    assert_eq!(tokens.token_type(), "DPoP");
    let tokens = world.owner_refreshes(&agent, &tokens.refresh_token).await;
    let key = world.session(&tokens).await.key_thumbprint;
    assert_eq!(key, Some(agent.thumbprint()));
    // The agent has logged out.
    let sid = world.sessions.session_of(&token).unwrap();
    world.sessions.end_session(sid).await.unwrap();
    let ended = world.sessions.impersonate(&token, &bob).await.unwrap_err();
    assert_eq!(ended.kind(), SessionErrorKind::LoggedOut);
}

pub(crate) async fn l28_each_access_token_of_a_bound_session_is_bound<S: SessionStore>(store: S) {
    let world = World::new(store, dpop());
    let (owner, thief) = (Client::new(), Client::new());
    let login = world.login(Some(&owner)).await;
    let refreshed = world.owner_refreshes(&owner, &login.refresh).await;
    let elevated = world
        .sessions
        .elevate(world.sid(&login), "mfa")
        .await
        .unwrap();
    let again = world.owner_refreshes(&owner, &elevated.refresh_token).await;
    let all = [
        login.access,
        refreshed.access,
        elevated.access_token,
        again.access,
    ];
    for access in &all {
        assert_eq!(world.me_proven(&owner, access).await.status, StatusCode::OK);
        let bearer = format!("Bearer {access}");
        let cookie = format!("__Host-access={access}");
        let proven = format!("DPoP {access}");
        for headers in [
            [(AUTHORIZATION.as_str(), &*bearer)],
            [(COOKIE.as_str(), &*cookie)],
            [(AUTHORIZATION.as_str(), &*proven)],
        ] {
            assert_eq!(world.me(&headers).await.status, StatusCode::UNAUTHORIZED);
        }
        let answer = world.me_proven(&thief, access).await;
        let wrong = AuthErrorKind::InvalidProof(Kind::WrongKey);
        assert_eq!(answer.error.unwrap().kind(), wrong);
    }
}

pub(crate) async fn l31_concurrent_refreshes_need_a_proof_each<S: SessionStore>(store: S) {
    let world = Arc::new(World::new(store, dpop()));
    let owner = Client::new();
    let mut token = world.login(Some(&owner)).await.refresh;
    let same = world.proof(&owner, &json!({}));
    for has_own_proofs in [true, false] {
        let mut tasks = Vec::new();
        for _ in 0..20 {
            let own = world.proof(&owner, &json!({}));
            let proof = if has_own_proofs { own } else { same.clone() };
            let (world, token) = (Arc::clone(&world), token.clone());
            tasks.push(tokio::spawn(async move {
                world.refresh(Way::Json, &token, Some(&proof)).await
            }));
        }
        let mut successors = Vec::new();
        for task in tasks {
            let answer = task.await.unwrap();
            if answer.status == StatusCode::OK {
                successors.push(tokens(&answer).refresh);
            } else {
                answer.unproven(Way::Json, Kind::Replayed);
            }
        }
        assert_eq!(successors.len(), if has_own_proofs { 20 } else { 1 });
        successors.dedup();
        assert_eq!(successors.len(), 1);
        token = successors.remove(0);
    }
}

impl<S: SessionStore> World<S> {
    pub(crate) fn verify(&self, access: &str) -> VerifiedToken {
        let verifier = tower_jwt_auth::Verifier::new(self.sessions.verifying_keys().clone())
            .issuer("https://id.example.com")
            .clock(self.clock.clone());
        verifier.verify(access).unwrap()
    }
}

/// The value of a cookie that an answer sets.
pub(crate) fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let cookies = answer.cookies();
    let mut pairs = cookies
        .iter()
        .filter_map(|cookie| cookie.split(';').next()?.split_once('='));
    pairs
        .find(|(found, value)| *found == name && !value.is_empty())
        .map(|(_, value)| value.to_owned())
}
