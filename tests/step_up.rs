//! Holds guards to RFC 9470, step-up authentication, and to `act` of RFC 8693.
#![cfg(all(feature = "axum", feature = "testing"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics fails"
)]

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/answer.rs"]
mod answer;

use std::time::Duration;

use answer::{Answer, send};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::SigningKey;
use tower_jwt_auth::session::{RefreshKeys, Sessions, TokenPair};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::testing::{TestIssuer, TestToken};
use tower_jwt_auth::{Allowed, AuthErrorKind, JwtAuthLayer, Permission, Require, VerifyErrorKind};

const FIVE_MINUTES: Duration = Duration::from_secs(300);

fn guarded(issuer: &TestIssuer, guard: Require) -> Router {
    Router::new()
        .route("/", get(async || "in"))
        .route_layer(guard.clock(issuer.clock().clone()))
        .layer(issuer.layer())
}

async fn ask(app: &Router, token: TestToken) -> Answer {
    let request = Request::get("/").header("authorization", token.bearer());
    send(app, request.body(Body::empty()).unwrap()).await
}

impl Answer {
    #[track_caller]
    fn passed(&self) {
        assert_eq!((self.status, &*self.body), (StatusCode::OK, "in"));
    }

    /// 401 that asks for another login, with these parameters.
    #[track_caller]
    fn steps_up(&self, parameters: &str) {
        assert_eq!(self.status, StatusCode::UNAUTHORIZED);
        let error = self.error.as_ref().unwrap();
        assert_eq!(error.kind(), AuthErrorKind::InsufficientUserAuthentication);
        let challenge = format!(
            r#"Bearer realm="api", error="insufficient_user_authentication", error_description="The user must log in again, or at another level.", {parameters}"#
        );
        assert_eq!(self.headers[WWW_AUTHENTICATE], challenge.as_str());
        assert_eq!(self.headers[CACHE_CONTROL], "no-store");
    }

    #[track_caller]
    fn forbidden(&self) {
        assert_eq!(self.status, StatusCode::FORBIDDEN);
        let error = self.error.as_ref().unwrap();
        assert_eq!(error.kind(), AuthErrorKind::InsufficientScope);
    }
}

#[tokio::test]
async fn acr_is_one_of_the_values() {
    let issuer = TestIssuer::new();
    let app = guarded(&issuer, Require::acr(["phrh", "phr"]));
    let with = |acr: Value| issuer.token("alice").claim("acr", acr);
    for acr in ["phr", "phrh"] {
        ask(&app, with(json!(acr))).await.passed();
    }
    for acr in [
        json!("pwd"),
        json!("PHR"),
        json!("phr phrh"),
        json!(""),
        json!(["phr"]),
        json!(1),
        json!({ "phr": true }),
        Value::Null,
    ] {
        ask(&app, with(acr))
            .await
            .steps_up(r#"acr_values="phrh phr""#);
    }
    let none = ask(&app, issuer.token("alice")).await;
    none.steps_up(r#"acr_values="phrh phr""#);
    let error = none.error.unwrap();
    assert_eq!(error.acr_values(), Some("phrh phr"));
    assert_eq!((error.max_age(), error.scope()), (None, None));
}

#[tokio::test]
async fn a_login_may_be_too_long_ago() {
    let issuer = TestIssuer::new();
    let app = guarded(&issuer, Require::authenticated_within(FIVE_MINUTES));
    let start = TestIssuer::START;
    let at = |auth_time: Value| {
        let token = issuer.token("alice").claim("auth_time", auth_time);
        token.lifetime(Duration::from_secs(3600))
    };
    for auth_time in [json!(start), json!(start - 300), json!(start + 30)] {
        ask(&app, at(auth_time)).await.passed();
    }
    for auth_time in [
        json!(start - 301),
        json!(0),
        json!(start + 31),
        json!(start * 1000),
        json!(-1),
        json!(start.to_string()),
        Value::Null,
    ] {
        ask(&app, at(auth_time)).await.steps_up(r#"max_age="300""#);
    }
    ask(&app, issuer.token("alice"))
        .await
        .steps_up(r#"max_age="300""#);
    // The same token becomes too old.
    let token = at(json!(start));
    ask(&app, token.clone()).await.passed();
    issuer.clock().advance(FIVE_MINUTES);
    ask(&app, token.clone()).await.passed();
    issuer.clock().advance(Duration::from_secs(1));
    ask(&app, token).await.steps_up(r#"max_age="300""#);
}

#[tokio::test]
async fn a_guard_has_the_clock_that_any_of_its_parts_has() {
    let issuer = TestIssuer::new();
    let clock = || issuer.clock().clone();
    let recent = || Require::authenticated_within(FIVE_MINUTES);
    let level = || Require::acr(["mfa"]);
    let other = ManualClock::at(1);
    let token = || {
        let token = issuer.token("alice").claim("acr", "mfa");
        token.claim("auth_time", TestIssuer::START)
    };
    for guard in [
        level().clock(clock()).max_age(FIVE_MINUTES),
        level().max_age(FIVE_MINUTES).clock(clock()),
        level().and(recent().clock(clock())),
        level().clock(clock()).and(recent()),
        level().clock(clock()).and(recent().clock(other.clone())),
        recent().clock(other).clock(clock()),
        Require::acr(["pin"]).or(recent().clock(clock())),
        recent().clock(clock()).or(Require::acr(["pin"])),
    ] {
        let app = Router::new()
            .route("/", get(async || "in"))
            .route_layer(guard)
            .layer(issuer.layer());
        ask(&app, token()).await.passed();
    }
}

#[tokio::test]
async fn one_challenge_names_both() {
    let issuer = TestIssuer::new();
    let app = guarded(&issuer, Require::acr(["mfa"]).max_age(FIVE_MINUTES));
    let both = r#"acr_values="mfa", max_age="300""#;
    let token = |acr: &str, auth_time: u64| {
        let token = issuer.token("alice").claim("acr", acr);
        token.claim("auth_time", auth_time)
    };
    ask(&app, token("mfa", TestIssuer::START)).await.passed();
    ask(&app, token("pwd", TestIssuer::START))
        .await
        .steps_up(both);
    ask(&app, token("mfa", 1)).await.steps_up(both);
    // Of two ages the shorter applies.
    let minute = Duration::from_secs(60);
    let two = Require::authenticated_within(FIVE_MINUTES).max_age(minute);
    let app = guarded(&issuer, two);
    ask(&app, token("mfa", 1)).await.steps_up(r#"max_age="60""#);
    ask(&app, token("mfa", TestIssuer::START - 61))
        .await
        .steps_up(r#"max_age="60""#);
    ask(&app, token("mfa", TestIssuer::START - 60))
        .await
        .passed();
}

/// A client that follows the challenge gets in, so it is not sent to a login for ever.
#[tokio::test]
async fn a_challenge_names_levels_that_meet_all_requirements() {
    let issuer = TestIssuer::new();
    let token = |acr: &str| issuer.token("alice").claim("acr", acr).claim("scope", "s");
    let acr = |values: &[&str]| Require::acr(values);
    for (guard, named, passing, refused) in [
        (
            acr(&["pwd", "mfa", "hwk"]).and(acr(&["hwk", "mfa", "pin"])),
            "mfa hwk",
            &["mfa", "hwk"][..],
            &["pwd", "pin"][..],
        ),
        // The scope is a way around the first, so the second alone is named.
        (
            Require::scope("s").or(acr(&["pwd"])).and(acr(&["mfa"])),
            "mfa",
            &["mfa"],
            &["pwd"],
        ),
        (
            acr(&["pwd"]).or(acr(&["mfa"])).and(acr(&["mfa", "hwk"])),
            "mfa",
            &["mfa"],
            &["pwd", "hwk"],
        ),
        (
            acr(&["mfa"]).and(Require::scope("s")).and(acr(&["mfa"])),
            "mfa",
            &["mfa"],
            &["pwd"],
        ),
    ] {
        let app = guarded(&issuer, guard);
        for acr in passing {
            ask(&app, token(acr)).await.passed();
        }
        for acr in refused {
            let challenge = format!(r#"acr_values="{named}""#);
            ask(&app, token(acr)).await.steps_up(&challenge);
        }
    }
}

/// Another login is asked for only if it would help.
#[tokio::test]
async fn a_missing_scope_is_no_reason_to_log_in_again() {
    let issuer = TestIssuer::new();
    let mfa = || Require::acr(["mfa"]);
    let with = |scope: &str, acr: &str| {
        let token = issuer.token("alice").claim("scope", scope);
        token.claim("acr", acr)
    };
    let both = guarded(&issuer, Require::scope("a").and(mfa()));
    ask(&both, with("a", "mfa")).await.passed();
    ask(&both, with("", "mfa")).await.forbidden();
    ask(&both, with("", "pwd")).await.forbidden();
    ask(&both, with("a", "pwd"))
        .await
        .steps_up(r#"acr_values="mfa""#);

    for either in [
        Require::scope("a").or(mfa()),
        mfa().or(Require::scope("a")),
        mfa()
            .or(Require::claims(|_: &NoSuchClaim| true))
            .or(Require::scope("a")),
        mfa().or(
            Require::claims_async(async |_: std::sync::Arc<Value>| false).or(Require::scope("a")),
        ),
    ] {
        let app = guarded(&issuer, either);
        ask(&app, with("a", "pwd")).await.passed();
        ask(&app, with("", "mfa")).await.passed();
        ask(&app, with("", "pwd"))
            .await
            .steps_up(r#"acr_values="mfa""#);
    }
    let fails = |_: &Value| Err::<bool, _>(std::io::Error::other("down"));
    let outage = guarded(&issuer, mfa().or(Require::claims(fails)));
    let answer = ask(&outage, with("", "pwd")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[derive(serde::Deserialize)]
struct NoSuchClaim {
    #[expect(dead_code, reason = "only its presence counts")]
    no_such_claim: String,
}

#[tokio::test]
async fn a_claim_that_comes_twice_shows_nothing() {
    let payload = |twice: &str| {
        let exp = TestIssuer::START + 300;
        let name = TestIssuer::NAME;
        format!(r#"{{"iss":"{name}","sub":"alice","jti":"1","exp":{exp},{twice}}}"#)
    };
    let key = tower_jwt_auth::keys::SigningKey::hs256([7; 32]).unwrap();
    let issuer = TestIssuer::with_key(key.clone());
    let send_payload = async |guard: Require, twice: &str| {
        let raw: Box<serde_json::value::RawValue> =
            serde_json::value::RawValue::from_string(payload(twice)).unwrap();
        let token = key.sign(&raw).unwrap();
        let request = Request::get("/").header("authorization", format!("Bearer {token}"));
        let app = guarded(&issuer, guard);
        send(&app, request.body(Body::empty()).unwrap())
            .await
            .status
    };
    let now = TestIssuer::START;
    let mfa = || Require::acr(["mfa"]);
    let recent = || Require::authenticated_within(FIVE_MINUTES);
    let (ok, again) = (StatusCode::OK, StatusCode::UNAUTHORIZED);
    assert_eq!(send_payload(mfa(), r#""acr":"mfa""#).await, ok);
    let twice = r#""acr":"mfa","ac\u0072":"mfa""#;
    assert_eq!(send_payload(mfa(), twice).await, again);
    let once = format!(r#""auth_time":{now}"#);
    assert_eq!(send_payload(recent(), &once).await, ok);
    let twice = format!(r#""auth_time":{now},"auth_time":{now}"#);
    assert_eq!(send_payload(recent(), &twice).await, again);
    let nobody = Require::not_impersonated();
    assert_eq!(send_payload(nobody.clone(), &once).await, ok);
    for act in [
        r#""a\u0063t":{"sub":"bob"}"#,
        r#""act":{"sub":"bob"},"act":{"sub":"bob"}"#,
    ] {
        let status = send_payload(nobody.clone(), act).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn nobody_may_act_for_the_user() {
    let issuer = TestIssuer::new();
    let app = guarded(&issuer, Require::not_impersonated());
    ask(&app, issuer.token("alice")).await.passed();
    // `may_act` only says who could.
    let may_act = issuer
        .token("alice")
        .claim("may_act", json!({ "sub": "bob" }));
    ask(&app, may_act).await.passed();
    for act in [
        json!({ "sub": "bob" }),
        json!({}),
        json!([]),
        json!("bob"),
        json!(false),
        Value::Null,
    ] {
        ask(&app, issuer.token("alice").claim("act", act))
            .await
            .forbidden();
    }
}

#[test]
fn the_outermost_actor_is_readable() {
    let issuer = TestIssuer::new();
    let with = |act: Value| {
        let token = issuer.token("alice").claim("act", act).sign();
        issuer.verify(&token)
    };
    let token = with(json!({
        "sub": "bob", "iss": "https://staff.example", "email": "bob@staff.example",
        "act": { "sub": "carol" },
    }));
    let actor = token.actor().unwrap().unwrap();
    assert_eq!(actor.subject(), Some("bob"));
    assert_eq!(actor.issuer(), Some("https://staff.example"));
    assert_eq!(format!("{actor:?}"), "Actor { .. }");
    let token = with(json!({ "client_id": "app" }));
    let actor = token.actor().unwrap().unwrap();
    assert_eq!((actor.subject(), actor.issuer()), (None, None));
    let plain = issuer.verify(&issuer.token("alice").sign());
    assert_eq!(plain.actor().unwrap(), None);
    for act in [
        json!("bob"),
        json!(["bob"]),
        Value::Null,
        json!({ "sub": 1 }),
        json!({ "sub": "bob", "iss": [] }),
    ] {
        let error = with(act).actor().unwrap_err();
        assert_eq!(error.kind(), VerifyErrorKind::MalformedClaims);
    }
}

#[tokio::test]
async fn a_permission_asks_for_another_login_too() {
    struct Transfer;

    impl Permission for Transfer {
        fn require() -> Require {
            Require::acr(["mfa"])
        }
    }

    let issuer = TestIssuer::new();
    let app = Router::new()
        .route("/", get(async |_: Allowed<Transfer>| "in"))
        .layer(issuer.layer());
    ask(&app, issuer.token("alice").claim("acr", "mfa"))
        .await
        .passed();
    ask(&app, issuer.token("alice"))
        .await
        .steps_up(r#"acr_values="mfa""#);
}

/// From the refusal over the second factor to the answer, by tokens of sessions.
#[tokio::test]
async fn a_session_that_was_elevated_passes_until_the_login_is_too_long_ago() {
    let clock = ManualClock::at(TestIssuer::START);
    let key = SigningKey::hs256([1; 32]).unwrap();
    let store = MemoryStore::with_clock(clock.clone());
    let sessions = Sessions::new(store, key, RefreshKeys::new([2; 32]).unwrap())
        .issuer("https://id.example.com")
        .clock(clock.clone());
    let layer = JwtAuthLayer::new(sessions.verifying_keys().clone())
        .issuer("https://id.example.com")
        .clock(clock.clone());
    let guard = Require::acr(["mfa"]).max_age(FIVE_MINUTES);
    let app = Router::new()
        .route("/", get(async || "in"))
        .route_layer(guard.clock(clock.clone()))
        .layer(layer);
    let ask = async |tokens: &TokenPair| {
        let bearer = format!("Bearer {}", tokens.access_token);
        let request = Request::get("/").header("authorization", bearer);
        send(&app, request.body(Body::empty()).unwrap()).await
    };
    let alice = sessions.subject_named("alice");
    let tokens = sessions.login(&alice).await.unwrap();
    let again = |answer: &Answer| {
        let challenge = answer.headers[WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.contains(r#""insufficient_user_authentication""#));
        assert!(challenge.contains(r#"acr_values="mfa", max_age="300""#));
    };
    again(&ask(&tokens).await);
    let elevated = sessions.elevate(tokens.sid, "mfa").await.unwrap();
    ask(&elevated).await.passed();
    clock.advance(Duration::from_secs(240));
    let refreshed = sessions.refresh(&elevated.refresh_token).await.unwrap();
    ask(&refreshed).await.passed();
    clock.advance(Duration::from_secs(61));
    again(&ask(&refreshed).await);
    let elevated = sessions.elevate(tokens.sid, "mfa").await.unwrap();
    ask(&elevated).await.passed();
    // A login that was strong at once.
    let strong = sessions.begin(&alice).await.unwrap().acr("mfa").unwrap();
    ask(&sessions.complete(strong).await.unwrap())
        .await
        .passed();
}

#[test]
fn mistakes_are_found_when_the_guard_is_built() {
    let panics = |build: fn() -> Require| std::panic::catch_unwind(build).is_err();
    assert!(panics(|| Require::acr([""; 0])));
    for value in ["", "a b", "a\"b", "a\\b", "ä", "a\nb"] {
        assert!(std::panic::catch_unwind(|| Require::acr([value])).is_err());
    }
    assert!(panics(|| Require::authenticated_within(Duration::ZERO)));
    assert!(panics(
        || Require::acr(["a"]).max_age(Duration::from_millis(999))
    ));
    assert!(!panics(|| Require::authenticated_within(
        Duration::from_secs(1)
    )));
    // No token has two levels.
    fn acr(value: &str) -> Require {
        Require::acr([value])
    }
    assert!(panics(|| acr("a").and(acr("b"))));
    assert!(panics(|| acr("a").and(Require::scope("s")).and(acr("b"))));
    assert!(panics(|| acr("a").or(acr("b")).and(acr("c"))));
    assert!(panics(|| acr("c").and(acr("a").and(Require::scope("s")))));
    assert!(!panics(|| acr("a").or(acr("b")).and(acr("b"))));
    assert!(!panics(|| acr("a").or(Require::scope("s")).and(acr("b"))));
}
