//! Holds sessions to their issuer: a token ends only sessions of its issuer, with two issuers
//! trusted or two in one store.
#![cfg(all(feature = "axum", feature = "tracing"))]
#![expect(clippy::unwrap_used, reason = "a test that panics fails")]

#[path = "support/log.rs"]
mod log;

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::{get, post};
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use log::Log;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::{Algorithm, KeySet, SigningKey, TokenHeader};
use tower_jwt_auth::revocation::NoRevocation;
use tower_jwt_auth::session::{RefreshKeys, SessionError, SessionErrorKind, Sessions};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::{JwtAuthLayer, Require, TrustedIssuer, VerifiedToken, Verifier};

const NOW: u64 = 1_800_000_000;
const OURS: &str = "https://id.example.com";
const PARTNER: &str = "https://id.partner.example";

fn key(name: &str, secret: u8) -> SigningKey {
    let key = SigningKey::from_secret(Algorithm::HS256, [secret; 32]).unwrap();
    key.with_key_id(name)
}

fn sessions_of(issuer: Option<&str>, clock: &ManualClock) -> Sessions<MemoryStore> {
    let store = MemoryStore::with_clock(clock.clone());
    let refresh_keys = RefreshKeys::new([2; 32]).unwrap();
    let sessions = Sessions::new(store, key("ours", 1), refresh_keys).clock(clock.clone());
    match issuer {
        Some(issuer) => sessions.issuer(issuer),
        None => sessions,
    }
}

/// A token of the partner.
fn partners_token(claims: &Value) -> String {
    let mut all = json!({ "sub": "u1", "jti": "1", "iat": NOW, "exp": NOW + 300 });
    let members = all.as_object_mut().unwrap();
    members.extend(claims.as_object().unwrap().clone());
    let header = TokenHeader::new().typ("at+jwt");
    key("partner", 7).sign_with(&header, &all).unwrap()
}

/// The handler of `examples/web_login`.
async fn logout_everywhere(
    State(sessions): State<Sessions<MemoryStore>>,
    token: VerifiedToken,
) -> Result<StatusCode, SessionError> {
    let subject = sessions.subject_of(&token)?;
    sessions.logout_everywhere(&subject).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn logout(
    State(sessions): State<Sessions<MemoryStore>>,
    token: VerifiedToken,
) -> Result<StatusCode, SessionError> {
    sessions.end_session(sessions.session_of(&token)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The fault as it was seen: `sub` alone is taken for our user.
async fn logout_by_sub_alone(
    State(sessions): State<Sessions<MemoryStore>>,
    token: VerifiedToken,
) -> Result<StatusCode, SessionError> {
    let subject = sessions.subject_named(token.subject().unwrap());
    sessions.logout_everywhere(&subject).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn ask(app: &Router, request: http::request::Builder, token: &str) -> StatusCode {
    let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    let request = request.body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn a_partners_token_ends_no_session_of_ours() {
    let clock = ManualClock::at(NOW);
    let sessions = sessions_of(Some(OURS), &clock);
    let layer = JwtAuthLayer::new([
        TrustedIssuer::new(OURS, sessions.verifying_keys().clone()),
        TrustedIssuer::new(PARTNER, key("partner", 7).verifying_key()),
    ]);
    let app = Router::new()
        .route("/me", get(async || ""))
        .route("/logout-everywhere", post(logout_everywhere))
        .route("/logout", post(logout))
        .route(
            "/guarded",
            post(logout_by_sub_alone).route_layer(Require::issuer(OURS)),
        )
        .route("/fault", post(logout_by_sub_alone))
        .layer(
            layer
                .clock(clock.clone())
                .revocation(sessions.store().clone()),
        )
        .with_state(sessions.clone());
    let ours = sessions.login(&sessions.subject_named("u1")).await.unwrap();
    assert_eq!(
        ask(&app, Request::get("/me"), &ours.access_token).await,
        StatusCode::OK
    );
    // An honest partner, and one that copies what our tokens say.
    let of_ours = verified(&ours.access_token);
    for claims in [
        json!({ "iss": PARTNER }),
        json!({ "iss": PARTNER, "sid": of_ours.session_id(), "generation": 0 }),
    ] {
        let theirs = partners_token(&claims);
        for path in ["/logout-everywhere", "/logout", "/guarded"] {
            let answer = ask(&app, Request::post(path), &theirs).await;
            let me = ask(&app, Request::get("/me"), &ours.access_token).await;
            assert_eq!(
                (me, answer),
                (StatusCode::OK, StatusCode::FORBIDDEN),
                "{path}"
            );
        }
    }
    // The attack itself: it succeeds where the issuer is not looked at.
    let theirs = partners_token(&json!({ "iss": PARTNER }));
    let answer = ask(&app, Request::post("/fault"), &theirs).await;
    let me = ask(&app, Request::get("/me"), &ours.access_token).await;
    assert_eq!(
        (me, answer),
        (StatusCode::UNAUTHORIZED, StatusCode::NO_CONTENT)
    );
}

/// A token of the partner, verified as a layer over both keys does.
fn verified(token: &str) -> VerifiedToken {
    let keys = [key("ours", 1), key("partner", 7)].map(|key| key.verifying_key());
    let verifier = Verifier::new(KeySet::new(keys).unwrap()).clock(ManualClock::at(NOW));
    verifier.verify(token).unwrap()
}

#[tokio::test]
async fn only_a_token_of_a_session_names_a_subject() {
    let clock = ManualClock::at(NOW);
    let named = sessions_of(Some(OURS), &clock);
    let nameless = sessions_of(None, &clock);
    for (own, other) in [(&named, &nameless), (&nameless, &named)] {
        let tokens = own.login(&own.subject_named("u1")).await.unwrap();
        let token = verified(&tokens.access_token);
        assert_eq!(own.subject_of(&token).unwrap(), own.subject_named("u1"));
        assert_eq!(own.subject_of(&token).unwrap().name(), "u1");
        assert_eq!(own.session_of(&token).unwrap(), tokens.sid);
        let refused = other.subject_of(&token).unwrap_err();
        assert_eq!(refused.kind(), SessionErrorKind::Foreign);
        let refused = other.session_of(&token).unwrap_err();
        assert_eq!(refused.kind(), SessionErrorKind::Foreign);
    }
    // An honest partner without `iss` writes no `generation`, and its sessions have other names.
    let sid = "AAAAAAAAAAAAAAAAAAAAAA";
    let nearly = format!("{OURS}/");
    for claims in [
        json!({}),
        json!({ "sid": sid }),
        json!({ "generation": 0 }),
        json!({ "sid": sid, "generation": "0" }),
        json!({ "sid": "08a5019c-17e1-4977-8f42-65a12843ea02", "generation": 0 }),
        json!({ "sid": sid, "generation": 0, "iss": PARTNER }),
        json!({ "sid": sid, "generation": 0, "iss": nearly }),
        json!({ "sid": sid, "generation": 0, "iss": "" }),
    ] {
        let token = verified(&partners_token(&claims));
        for sessions in [&named, &nameless] {
            let refused = sessions.subject_of(&token).unwrap_err();
            assert_eq!(refused.kind(), SessionErrorKind::Foreign);
            let refused = sessions.session_of(&token).unwrap_err();
            assert_eq!(refused.kind(), SessionErrorKind::Foreign);
        }
    }
    let header = TokenHeader::new().typ("at+jwt");
    let nobody = json!({ "exp": NOW + 300, "sid": sid, "generation": 0, "iss": OURS });
    let nobody = verified(&key("ours", 1).sign_with(&header, &nobody).unwrap());
    let refused = named.subject_of(&nobody).unwrap_err();
    assert_eq!(refused.kind(), SessionErrorKind::Foreign);
    assert!(named.session_of(&nobody).is_ok());
}

#[tokio::test]
async fn a_subject_of_other_sessions_is_refused_everywhere() {
    let clock = ManualClock::at(NOW);
    let ours = sessions_of(Some(OURS), &clock);
    let theirs = Sessions::new(
        ours.store().clone(),
        key("ours", 1),
        RefreshKeys::new([2; 32]).unwrap(),
    );
    let theirs = theirs.issuer(PARTNER).clock(clock.clone());
    let (u1, their_u1) = (ours.subject_named("u1"), theirs.subject_named("u1"));
    assert_ne!(u1, their_u1);
    let tokens = ours.login(&u1).await.unwrap();
    let pending = theirs.begin(&their_u1).await.unwrap();
    let refused = [
        ours.login(&their_u1).await.map(drop),
        ours.begin(&their_u1).await.map(drop),
        ours.complete(pending).await.map(drop),
        ours.list(&their_u1).await.map(drop),
        ours.end_session_of(&their_u1, tokens.sid).await.map(drop),
        ours.logout_everywhere(&their_u1).await,
        ours.invalidate_access_tokens(&their_u1).await,
        ours.block(&their_u1).await,
        ours.unblock(&their_u1).await,
    ];
    for refused in refused {
        assert_eq!(refused.unwrap_err().kind(), SessionErrorKind::Foreign);
    }
    assert!(ours.refresh(&tokens.refresh_token).await.is_ok());
    assert!(theirs.login(&their_u1).await.is_ok());
}

#[tokio::test]
async fn a_refresh_token_of_another_issuer_logs_nobody_out() {
    let clock = ManualClock::at(NOW);
    let sessions = sessions_of(Some(OURS), &clock);
    let tokens = sessions.login(&sessions.subject_named("u1")).await.unwrap();
    let keys = RefreshKeys::new([2; 32]).unwrap();
    let other = Sessions::new(sessions.store().clone(), key("other", 3), keys)
        .issuer(PARTNER)
        .clock(clock.clone());
    let refused = other.logout(&tokens.refresh_token).await;
    assert!(sessions.refresh(&tokens.refresh_token).await.is_ok());
    assert_eq!(refused.unwrap_err().kind(), SessionErrorKind::InvalidToken);
}

#[tokio::test]
async fn a_session_of_another_issuer_cannot_be_ended() {
    let clock = ManualClock::at(NOW);
    let sessions = sessions_of(Some(OURS), &clock);
    let tokens = sessions.login(&sessions.subject_named("u1")).await.unwrap();
    let keys = RefreshKeys::new([2; 32]).unwrap();
    let other = Sessions::new(sessions.store().clone(), key("other", 3), keys)
        .issuer(PARTNER)
        .clock(clock.clone());
    other.end_session(tokens.sid).await.unwrap();
    assert!(sessions.refresh(&tokens.refresh_token).await.is_ok());
}

async fn issue(claims: Value) -> Result<String, SessionErrorKind> {
    let sessions = sessions_of(Some(OURS), &ManualClock::at(NOW)).claims(move |_| {
        let claims = claims.clone();
        async move { Ok::<_, Infallible>(Some(claims)) }
    });
    let issued = sessions.login(&sessions.subject_named("u1")).await;
    issued
        .map(|tokens| tokens.access_token)
        .map_err(|error| error.kind())
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(0), |value, _| json!([value]))
}

#[tokio::test]
async fn claims_that_no_layer_accepts_are_refused_at_issue() {
    for claims in [
        json!({ "events": {} }),
        json!({ "events": null }),
        json!({ "cnf": { "jkt": "x" } }),
        json!({ "cnf": {} }),
        json!({ "deep": nested(127) }),
        json!({ "deep": nested(1_000) }),
    ] {
        assert_eq!(issue(claims).await, Err(SessionErrorKind::InvalidClaims));
    }
    let long = json!({ "long": "x".repeat(8 * 1024) });
    assert_eq!(issue(long).await, Err(SessionErrorKind::TokenTooLong));

    // What is issued, the layer accepts and the handler reads.
    let clock = ManualClock::at(NOW);
    let app = Router::new()
        .route("/me", get(async |_: tower_jwt_auth::Claims<Value>| ""))
        .layer(JwtAuthLayer::new(key("ours", 1).verifying_key()).clock(clock));
    for claims in [
        json!({ "deep": nested(126) }),
        json!({ "Events": {}, "vc": { "cnf": {}, "events": {} } }),
        json!({ "n": [u64::MAX, i64::MIN, f64::MAX, f64::MIN_POSITIVE], "": "\u{0}" }),
        json!({ "long": "x".repeat(5 * 1024) }),
    ] {
        let token = issue(claims).await.unwrap();
        assert_eq!(ask(&app, Request::get("/me"), &token).await, StatusCode::OK);
    }
}

/// The warnings since the last call, each of which is one of the layer.
fn warnings(log: &Log) -> usize {
    let mut lines = log.take();
    lines.retain(|line| line.starts_with("WARN "));
    for line in &lines {
        assert_eq!(
            line.split(' ').nth(1),
            Some("tower_jwt_auth::middleware::revocation")
        );
    }
    lines.len()
}

#[tokio::test]
async fn a_layer_without_a_store_warns_once_of_tokens_that_have_a_session() {
    let log = Log::start();
    let clock = ManualClock::at(NOW);
    let sessions = sessions_of(None, &clock);
    let keys = KeySet::new([
        key("ours", 1).verifying_key(),
        key("partner", 7).verifying_key(),
    ]);
    let layer = JwtAuthLayer::new(keys.unwrap()).clock(clock.clone());
    let me = || Router::new().route("/me", get(async || ""));
    let app = me().layer(layer.clone());
    let get_me = async |app: &Router, token: &str| {
        assert_eq!(ask(app, Request::get("/me"), token).await, StatusCode::OK);
        warnings(&log)
    };
    // Those of a provider have a `sid` too, and `generation` may mean something else there.
    for claims in [
        json!({}),
        json!({ "sid": "08a5019c-17e1-4977-8f42-65a12843ea02" }),
        json!({ "generation": 3 }),
        json!({ "sid": "s", "generation": "third" }),
    ] {
        assert_eq!(get_me(&app, &partners_token(&claims)).await, 0);
    }
    let tokens = sessions.login(&sessions.subject_named("u1")).await.unwrap();
    assert_eq!(get_me(&app, &tokens.access_token).await, 1);
    assert_eq!(get_me(&app, &tokens.access_token).await, 0);
    let other = sessions.login(&sessions.subject_named("u2")).await.unwrap();
    assert_eq!(get_me(&app, &other.access_token).await, 0);
    // Clones and services of the layer count as one; another layer warns again.
    assert_eq!(
        get_me(&me().layer(layer.clone()), &other.access_token).await,
        0
    );
    let another = JwtAuthLayer::new(key("ours", 1).verifying_key()).clock(clock);
    assert_eq!(
        get_me(&me().layer(another.clone()), &other.access_token).await,
        1
    );
    // With a store it has nothing to say, nor where somebody says that this is meant.
    let asked = another.clone().revocation(sessions.store().clone());
    assert_eq!(get_me(&me().layer(asked), &other.access_token).await, 0);
    let meant = another.revocation(NoRevocation);
    assert_eq!(get_me(&me().layer(meant), &other.access_token).await, 0);
}
