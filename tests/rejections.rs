//! What the log says of a rejection: what is configured, and which claim is at fault, by name.
#![cfg(all(feature = "axum", feature = "testing", feature = "tracing"))]
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics fails"
)]

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/answer.rs"]
mod answer;
#[path = "support/log.rs"]
mod log;

use std::time::UNIX_EPOCH;

use answer::{Answer, send};
use axum::Router;
use axum::body::Body;
use axum::response::{ErrorResponse, IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, StatusCode};
use log::Log;
use serde::Deserialize;
use serde_json::{Value, json};
use tower_jwt_auth::cookie::CookieError;
use tower_jwt_auth::csrf::CsrfLayer;
use tower_jwt_auth::keys::{Algorithm, KeySet, SigningKey};
use tower_jwt_auth::session::{SessionError, SessionErrorKind};
use tower_jwt_auth::testing::{TestIssuer, TestToken};
use tower_jwt_auth::{AuthError, Claims, JwtAuthLayer, TokenSource, TrustedIssuer};

#[derive(Deserialize)]
#[expect(dead_code, reason = "only decoded")]
struct User {
    name: String,
    age: Option<u8>,
}

fn layer(issuer: &TestIssuer) -> JwtAuthLayer {
    JwtAuthLayer::new(issuer.key())
        .clock(issuer.clock().clone())
        .issuer(TestIssuer::NAME)
        .audience("api-1")
        .audience("api-2")
}

/// The reason in the log for a rejected request. Neither log nor response has a claim's value.
async fn reason(layer: JwtAuthLayer, token: Option<HeaderValue>) -> String {
    let app = Router::new()
        .route("/", get(async |_: Claims<User>| {}))
        .layer(layer);
    let mut request = Request::get("/").body(Body::empty()).unwrap();
    if let Some(token) = token {
        request.headers_mut().insert("Authorization", token);
    }
    let log = Log::start();
    let answer = send(&app, request).await;
    let lines = log.take().join("\n");
    assert_eq!(answer.status, 401, "{lines}");
    assert!(!lines.contains("secret"), "{lines}");
    let response = format!("{:?} {}", answer.headers, answer.body);
    for told in ["secret", "api-1", TestIssuer::NAME, "expected", "User"] {
        assert!(!response.contains(told), "{response}");
    }
    let (_, reason) = lines
        .split_once(" reason=")
        .unwrap_or_else(|| panic!("{lines}"));
    reason.to_owned()
}

async fn of(change: impl FnOnce(TestToken) -> TestToken) -> String {
    let issuer = TestIssuer::new().audience("api-1");
    let token = change(issuer.token("secret-subject").claim("name", "secret-name"));
    reason(layer(&issuer), Some(token.bearer())).await
}

#[tokio::test]
async fn a_wrong_issuer_and_audience_name_the_configured_ones() {
    assert_eq!(
        of(|token| token.claim("iss", "https://secret.test")).await,
        r#"expected `iss`: "https://issuer.test""#
    );
    assert_eq!(
        of(|token| token.claim("aud", "secret-audience")).await,
        r#"expected `aud`: "api-1" or "api-2""#
    );
    let issuer = TestIssuer::new();
    let token = issuer
        .token("a")
        .claim("iss", "https://secret.test")
        .bearer();
    let named = ["b", "a"].map(|name| TrustedIssuer::new(name, issuer.key()));
    let named = JwtAuthLayer::new(named).clock(issuer.clock().clone());
    let reason = reason(named, Some(token)).await;
    assert!(
        [r#""a" or "b""#, r#""b" or "a""#]
            .map(|names| format!("expected `iss`: {names}"))
            .contains(&reason),
        "{reason}"
    );
}

#[tokio::test]
async fn an_issuer_has_its_own_audiences() {
    let issuer = TestIssuer::new();
    let trusted = TrustedIssuer::new(TestIssuer::NAME, issuer.key()).audience("api-1");
    let layer = JwtAuthLayer::new(trusted)
        .audience("other")
        .clock(issuer.clock().clone());
    let token = issuer.token("a").claim("aud", "other").bearer();
    assert_eq!(
        reason(layer, Some(token)).await,
        r#"expected `aud`: "api-1""#
    );
}

#[tokio::test]
async fn a_wrong_type_names_the_accepted_ones() {
    assert_eq!(
        of(|token| token.typ("secret+jwt")).await,
        r#"expected `typ`: "none" or "JWT" or "at+jwt""#
    );
    let issuer = TestIssuer::new().audience("api-1");
    let token = || Some(issuer.token("a").typ("secret").bearer());
    assert_eq!(
        reason(layer(&issuer).typ("application/x+jwt").typ("y"), token()).await,
        r#"expected `typ`: "x+jwt" or "y""#
    );
    assert_eq!(
        reason(layer(&issuer).rfc9068(), token()).await,
        r#"expected `typ`: "at+jwt""#
    );
}

#[tokio::test]
async fn a_malformed_claim_is_named() {
    for (claim, value) in [
        ("exp", json!("secret")),
        ("aud", json!({ "secret": 1 })),
        ("sub", json!(["secret"])),
        ("cnf", json!("secret")),
    ] {
        let reason = of(|token| token.claim(claim, value)).await;
        assert!(
            reason.starts_with(&format!("`{claim}`, at line 1, column ")),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_mismatch_names_the_type_and_the_claim() {
    let missing = of(|token| token.without("name")).await;
    assert!(
        missing.starts_with("`rejections::User` needs the claim `name`, at line 1"),
        "{missing}"
    );
    for (claim, value) in [
        ("age", json!("secret")),
        ("age", json!(-1)),
        ("name", Value::Null),
    ] {
        let reason = of(|token| token.claim(claim, value)).await;
        let told = format!("`rejections::User` cannot read the claim {claim:?}, at line 1");
        assert!(reason.starts_with(&told), "{reason}");
    }
}

#[tokio::test]
async fn a_missing_token_names_where_it_was_looked_for() {
    let issuer = TestIssuer::new().audience("api-1");
    assert_eq!(
        reason(layer(&issuer), None).await,
        "looked for in: `Authorization: Bearer`"
    );
    let sources = [
        TokenSource::bearer(),
        TokenSource::cookie("__Host-access"),
        TokenSource::header("x-token"),
        TokenSource::custom(|_| None),
    ];
    assert_eq!(
        reason(layer(&issuer).sources(sources), None).await,
        "looked for in: `Authorization: Bearer`, the cookie `__Host-access`, the header \
         `x-token`, a custom source"
    );
}

#[tokio::test]
async fn many_names_do_not_fill_the_log() {
    let issuer = TestIssuer::new().audience("secret");
    let mut layer = JwtAuthLayer::new(issuer.key()).clock(issuer.clock().clone());
    for number in 0..100 {
        layer = layer.audience(format!("api-{number}\n"));
    }
    let reason = reason(layer, Some(issuer.token("a").bearer())).await;
    assert!(reason.ends_with(r#" or "api-7\n" or others"#), "{reason}");
}

#[tokio::test]
async fn a_wrong_time_names_the_leeway() {
    let issuer = TestIssuer::new().audience("api-1");
    let now = issuer.clock().now();
    let now = now.duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (claim, value) in [("exp", now - 31), ("nbf", now + 31), ("iat", now + 31)] {
        assert_eq!(
            of(|token| token.claim(claim, value)).await,
            "by more than the leeway of 30 seconds",
            "{claim}"
        );
    }
}

#[tokio::test]
async fn a_token_without_a_key_names_those_there_are() {
    let issuer = TestIssuer::new().audience("api-1");
    let token = || Some(issuer.token("a").bearer());
    let key = |name: &str| {
        let key = SigningKey::generate(Algorithm::ES384).unwrap();
        key.with_key_id(name).verifying_key()
    };
    let alone = JwtAuthLayer::new(key("one"));
    assert_eq!(
        reason(alone, token()).await,
        r#"the keys have `alg`: "ES384", and any `kid`"#
    );
    let two = KeySet::new([key("one"), key("two\n")]).unwrap();
    assert_eq!(
        reason(JwtAuthLayer::new(two), token()).await,
        r#"the keys have `alg`: "ES384", and `kid`: "one" or "two\n""#
    );
    let many = (0..20).map(|number| key(&format!("{number}{}", "x".repeat(100))));
    let many = KeySet::new(many).unwrap();
    let reason = reason(JwtAuthLayer::new(many), token()).await;
    assert!(reason.ends_with(" or others"), "{reason}");
    assert!(reason.len() < 1000, "{reason}");
}

fn own_words(error: &AuthError) -> Response {
    (error.status(), format!("ours: {}", error.code())).into_response()
}

/// `/reuse`, `/outage` and `/cookie` return these errors, as handlers do by `?`.
fn failing() -> Router {
    async fn fail<E: Into<ErrorResponse>>(error: E) -> Result<(), ErrorResponse> {
        Err(error.into())
    }
    let session = |kind: SessionErrorKind| move || fail(SessionError::from(kind));
    Router::new()
        .route("/reuse", post(session(SessionErrorKind::ReuseDetected)))
        .route("/outage", post(session(SessionErrorKind::Unavailable)))
        .route("/cookie", post(|| fail(CookieError::TooLarge)))
}

const FAILING: [(&str, StatusCode, &str); 3] = [
    ("/reuse", StatusCode::UNAUTHORIZED, "invalid_grant"),
    (
        "/outage",
        StatusCode::SERVICE_UNAVAILABLE,
        "temporarily_unavailable",
    ),
    ("/cookie", StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
];

/// The answer to `POST`, which must be in the log once.
async fn post_to(app: &Router, path: &str) -> Answer {
    let request = Request::post(path).header("sec-fetch-site", "same-origin");
    let log = Log::start();
    let answer = send(app, request.body(Body::empty()).unwrap()).await;
    let lines = log.take();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(answer.headers[CACHE_CONTROL], "no-store");
    assert!(answer.error.is_some());
    answer
}

#[tokio::test]
async fn a_layer_responds_to_errors_that_a_handler_returns() {
    let issuer = TestIssuer::new();
    let auth = || issuer.layer().realm("shop").optional().respond(own_words);
    let csrf = || CsrfLayer::new().respond(own_words);
    let other = || CsrfLayer::new().respond(|error: &AuthError| error.status().into_response());
    for app in [
        failing().layer(auth()),
        failing().layer(csrf()),
        // The layer that authenticates decides, wherever it is.
        failing().layer(other()).layer(auth()),
        failing().layer(auth()).layer(other()),
    ] {
        for (path, status, code) in FAILING {
            let answer = post_to(&app, path).await;
            assert_eq!(
                (answer.status, answer.body),
                (status, format!("ours: {code}"))
            );
            let headers = &answer.headers;
            assert_eq!(headers.contains_key(WWW_AUTHENTICATE), status == 401);
            assert_eq!(headers.contains_key(RETRY_AFTER), status == 503);
        }
    }
    let answer = post_to(&failing().layer(auth()), "/reuse").await;
    let challenges: Vec<_> = answer.headers.get_all(WWW_AUTHENTICATE).iter().collect();
    assert_eq!(challenges, [r#"Bearer realm="shop""#]);
}

#[tokio::test]
async fn an_error_of_a_handler_outside_of_every_layer_is_a_problem() {
    for (path, status, code) in FAILING {
        let answer = post_to(&failing(), path).await;
        assert_eq!(answer.status, status);
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(
            (&problem["status"], &problem["code"]),
            (&json!(status.as_u16()), &json!(code))
        );
        let headers = &answer.headers;
        assert_eq!(headers.contains_key(WWW_AUTHENTICATE), status == 401);
        assert_eq!(headers.contains_key(RETRY_AFTER), status == 503);
    }
}

/// The headers of the protocol belong to the status, which the responder may choose.
#[tokio::test]
async fn another_status_has_no_challenge() {
    let teapot = |_: &AuthError| StatusCode::IM_A_TEAPOT.into_response();
    let app = failing().layer(CsrfLayer::new().respond(teapot));
    for (path, _, _) in FAILING {
        let answer = post_to(&app, path).await;
        assert_eq!(answer.status, StatusCode::IM_A_TEAPOT);
        assert!(!answer.headers.contains_key(WWW_AUTHENTICATE));
        assert!(!answer.headers.contains_key(RETRY_AFTER));
    }
}

/// A layer against cross-site requests alone, around an extractor: nothing authenticates.
#[tokio::test]
async fn a_missing_layer_is_reported_once() {
    let app = Router::new()
        .route("/", post(async |_: Claims<User>| {}))
        .layer(CsrfLayer::new().respond(own_words));
    let answer = post_to(&app, "/").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.body, "ours: server_error");
}
