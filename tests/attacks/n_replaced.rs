//! Responses that a layer replaces: which layer does, and which headers stay.

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{ETAG, VARY, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::Value;
use tower::ServiceBuilder;
use tower_jwt_auth::{AuthError, Claims};

use crate::support::{bearer, good, layer, request, send};

async fn handler(_: Claims<Value>) -> &'static str {
    "in"
}

#[tokio::test]
async fn n01_an_outer_layer_does_not_answer_for_an_inner_one() {
    let inner = layer().realm("inner").respond(|error: &AuthError| {
        let mut response = error.clone().into_response();
        *response.body_mut() = Body::from("inner");
        response
    });
    let app = Router::new()
        .route("/claims", get(handler))
        .layer(inner)
        .layer(layer().realm("outer").optional());
    let answer = send(&app, request().body(Body::empty()).unwrap()).await;
    assert_eq!(answer.body, "inner");
    assert_eq!(answer.headers[WWW_AUTHENTICATE], r#"Bearer realm="inner""#);
}

#[tokio::test]
async fn n01_a_handler_that_answers_otherwise_is_left_alone() {
    let app = Router::new()
        .route(
            "/claims",
            get(async |result: Result<Claims<Vec<u8>>, AuthError>| {
                (StatusCode::NOT_FOUND, result.unwrap_err())
            }),
        )
        .layer(layer());
    let answer = bearer(&app, &good()).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.challenge().is_none());
}

/// What says something of a body, or for how long it may be kept.
const OF_THE_BODY: [&str; 33] = [
    "accept-ranges",
    "age",
    "cache-control",
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "delta-base",
    "digest",
    "edge-control",
    "etag",
    "expires",
    "last-modified",
    "pragma",
    "repr-digest",
    "signature",
    "signature-input",
    "surrogate-control",
    "trailer",
    "transfer-encoding",
    "unencoded-digest",
    "use-as-dictionary",
    "x-accel-expires",
    "x-accel-redirect",
    "x-lighttpd-send-file",
    "x-sendfile",
];

/// What says something of the exchange, the connection or the site.
const KEPT: [&str; 9] = [
    "content-security-policy",
    "content-security-policy-report-only",
    "server-timing",
    "set-cookie",
    "strict-transport-security",
    "timing-allow-origin",
    "x-content-type-options",
    "x-mine",
    "x-request-id",
];

#[tokio::test]
async fn n01_what_belonged_to_the_old_body_goes_with_it() {
    let add = tower_http::cors::CorsLayer::permissive();
    let app = Router::new()
        .route("/claims", get(async |_: Claims<Vec<u8>>| "in"))
        .layer(ServiceBuilder::new().layer(add))
        .layer(axum::middleware::map_response(
            async |mut response: axum::response::Response| {
                let headers = response.headers_mut();
                headers.insert(ETAG, HeaderValue::from_static("\"a\""));
                for name in OF_THE_BODY.iter().chain(&KEPT) {
                    headers.append(*name, HeaderValue::from_static("x"));
                    headers.append(*name, HeaderValue::from_static("y"));
                }
                response
            },
        ))
        .layer(layer());
    let answer = bearer(&app, &good()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    for gone in OF_THE_BODY {
        let values = answer.headers.get_all(gone).iter();
        let kept = values.filter(|value| matches!(value.as_bytes(), b"x" | b"y"));
        assert_eq!(kept.count(), 0, "{gone}");
    }
    for kept in KEPT {
        let values: Vec<_> = answer.headers.get_all(kept).iter().collect();
        assert_eq!(values, ["x", "y"], "{kept}");
    }
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn n01_an_answer_depends_on_what_either_depended_on() {
    let own = layer().respond(|error: &AuthError| {
        (error.status(), [(VARY, "accept-language")], "sorry").into_response()
    });
    let app = Router::new()
        .route("/claims", get(async |_: Claims<Vec<u8>>| "in"))
        .layer(axum::middleware::map_response(
            async |response: axum::response::Response| ([(VARY, "origin")], response),
        ))
        .layer(own);
    let answer = bearer(&app, &good()).await;
    assert_eq!(answer.body, "sorry");
    let lines: Vec<_> = answer.headers.get_all(VARY).iter().collect();
    assert_eq!(lines, ["accept-language", "origin"]);
}
