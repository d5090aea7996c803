//! Where a token is sent: the header, several places at once, other origins, and requests without
//! one.

use std::sync::Arc;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CACHE_CONTROL,
    CONTENT_TYPE,
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use serde_json::{Value, json};
use tower_http::cors::CorsLayer;
use tower_jwt_auth::keys::VerifyingKey;
use tower_jwt_auth::{
    AuthErrorKind, Claims, JwtAuthLayer, TokenSource, VerifiedToken, VerifyErrorKind,
};

use crate::support::{
    Answer, Signer, app, bearer, claims, clock, forge, good, hs256_token, layer, request, send,
    with_headers,
};

/// `GET /claims` with these `Authorization` headers.
async fn authorized(app: &Router, values: &[&str]) -> Answer {
    let headers: Vec<_> = values
        .iter()
        .map(|value| ("authorization", *value))
        .collect();
    send(app, with_headers("GET", &headers)).await
}

/// 401 with a challenge that names no error.
#[track_caller]
fn missing(answer: &Answer) {
    assert_eq!(answer.kind(), Some(AuthErrorKind::MissingToken));
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.challenge(), Some(r#"Bearer realm="api""#));
}

/// A token signed with a secret that no layer here trusts.
fn bad() -> String {
    forge(
        r#"{"alg":"HS256"}"#,
        claims(json!({})),
        &Signer::hmac(b"another secret of thirty-two byte"),
    )
}

#[tokio::test]
async fn h01_no_token() {
    let app = app(layer());
    let token = good();
    missing(&authorized(&app, &[]).await);
    for value in [
        "",
        "Basic YWxpY2U6c2VjcmV0",
        "Basic",
        "Digest username=\"alice\"",
        "DPoP x",
        "Bear",
        "Token x",
        &token,
        &format!("Basic {token}"),
        &format!("DPoP {token}"),
        &format!("x Bearer {token}"),
        &format!("\"Bearer {token}\""),
        &format!("\tBearer {token}"),
        &format!(" Bearer {token}"),
    ] {
        missing(&authorized(&app, &[value]).await);
    }
    for name in ["proxy-authorization", "x-authorization", "authentication"] {
        let value = format!("Bearer {token}");
        let request = with_headers("GET", &[(name, &value)]);
        missing(&send(&app, request).await);
    }
    bearer(&app, &token).await.accepted();
}

#[tokio::test]
async fn h02_the_scheme_in_any_case() {
    let app = app(layer());
    let token = good();
    for scheme in ["Bearer", "bearer", "BEARER", "BeArEr", "bEARER"] {
        authorized(&app, &[&format!("{scheme} {token}")])
            .await
            .accepted();
        let answer = authorized(&app, &[&format!("{scheme} {}", bad())]).await;
        answer.refused(VerifyErrorKind::BadSignature);
    }
    // Letters that only look alike, or lose their case in Unicode, are another scheme or none.
    for scheme in ["Веarer", "BEARER\u{131}", "ᴮearer", "Bearer\u{a0}"] {
        let answer = authorized(&app, &[&format!("{scheme} {token}")]).await;
        assert_ne!(answer.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn h04_credentials_that_are_malformed() {
    let app = app(layer());
    let token = good();
    for value in [
        format!("Bearer {token}"),
        format!("Bearer  {token}"),
        format!("Bearer{}{token}", " ".repeat(100)),
    ] {
        authorized(&app, &[&value]).await.accepted();
    }
    for value in [
        format!("Bearer\t{token}"),
        format!("Bearer {token} "),
        format!("Bearer {token}  "),
        format!("Bearer{token}"),
        format!("Bearer={token}"),
        format!("Bearer:{token}"),
        format!("Bearer,{token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer {token} x=y"),
        format!("Bearer {}", token.replacen('.', ". ", 1)),
        "Bearer".into(),
        "bearer".into(),
        "Bearer ".into(),
        "Bearer    ".into(),
        "Bearer\t".into(),
        "Bearertok".into(),
        "Bearer a b".into(),
        "Bearer Bearer x".into(),
        format!("Bearer Bearer {token}"),
    ] {
        let answer = authorized(&app, &[&value]).await;
        answer.malformed();
        assert_eq!(answer.kind(), Some(AuthErrorKind::MalformedCredentials));
    }
    // One space, and then what no `b64token` holds (RFC 6750 §2.1).
    for value in [
        format!("Bearer {token}\t"),
        format!("Bearer \t{token}"),
        format!("Bearer \"{token}\""),
        format!("Bearer '{token}'"),
        format!("Bearer <{token}>"),
        format!("Bearer {token};"),
        format!("Bearer {token},"),
        format!("Bearer {token},{token}"),
        format!("Bearer {token}\u{a0}"),
        format!("Bearer {token}é"),
        format!("Bearer \u{feff}{token}"),
        "Bearer é".into(),
        "Bearer \u{202e}".into(),
    ] {
        let answer = authorized(&app, &[&value]).await;
        answer.malformed();
        assert_eq!(answer.kind(), Some(AuthErrorKind::MalformedCredentials));
    }
    // These characters it may hold, though a JWT does not have them there.
    for value in [
        format!("Bearer token={token}"),
        format!("Bearer {token}="),
        format!("Bearer {token}~+/"),
    ] {
        let answer = authorized(&app, &[&value]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{value}");
    }
}

/// Each byte that a header can hold, before, within and behind a good token.
#[tokio::test]
async fn h04_every_byte_in_the_credentials() {
    let bearer = app(layer());
    let optional = app(layer().optional());
    let header = app(layer().sources([TokenSource::header("x-token")]));
    let cookie = app(layer().sources([TokenSource::cookie("token")]));
    let token = good();
    let dot = token.find('.').unwrap();
    for byte in (0x20..=0xff).chain([b'\t']).filter(|byte| *byte != 0x7f) {
        let is_of_b64token = byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        for at in [0, dot, token.len()] {
            let (before, behind) = token.as_bytes().split_at(at);
            let value = [before, &[byte], behind].concat();
            let send_in = async |app: &axum::Router, name: &str, value: Vec<u8>| {
                let mut request = with_headers("GET", &[]);
                let value = http::HeaderValue::from_bytes(&value).unwrap();
                request
                    .headers_mut()
                    .append(name.parse::<http::HeaderName>().unwrap(), value);
                send(app, request).await
            };
            for app in [&bearer, &optional] {
                let value = [b"Bearer ", &*value].concat();
                // `Bearer  x` has two spaces before its token.
                if at == 0 && byte == b' ' {
                    continue;
                }
                let answer = send_in(app, "authorization", value).await;
                match is_of_b64token {
                    true => assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{byte:x}"),
                    false => {
                        assert_eq!(answer.kind(), Some(AuthErrorKind::MalformedCredentials));
                        answer.malformed();
                    }
                }
            }
            // Other sources have no grammar of their own: whatever they hold is a token, and a bad
            // one.
            let answer = send_in(&header, "x-token", value.clone()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{byte:x}");
            if byte != b';' {
                let value = [b"token=", &*value].concat();
                let answer = send_in(&cookie, "cookie", value).await;
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{byte:x}");
            }
        }
    }
}

#[tokio::test]
async fn h05_several_tokens() {
    let app = app(layer());
    let (good, bad) = (good(), bad());
    let bearer = |token: &str| format!("Bearer {token}");
    let good = bearer(&good);
    for values in [
        &[&*good, &good][..],
        &[&good, &bearer(&bad)],
        &[&bearer(&bad), &good],
        &[&good, "Basic x"],
        &["Basic x", &good],
        &["", &good],
        &[&good, ""],
        &[&good, &good, &good],
        &[&format!("Basic x, {good}")],
        &[&format!("Basic x,{good}")],
        &[&format!("Basic x,\t {good}")],
        &[&format!("Basic x,, ,{good}")],
        &[&format!("basic x, {}", good.to_lowercase())],
        &[&format!("Digest a=\"b\", {good}, Basic x")],
    ] {
        let answer = authorized(&app, values).await;
        answer.malformed();
        assert_eq!(answer.kind(), Some(AuthErrorKind::SeveralTokens));
    }
    // After the first scheme a comma is part of the token, and no token has one. After a space it
    // is malformed.
    authorized(&app, &["Bearer a, Bearer b"]).await.malformed();
    authorized(&app, &[&format!("{good}, {good}")])
        .await
        .malformed();
    authorized(&app, &[&format!("{good}, Basic x")])
        .await
        .malformed();
    let joined = authorized(&app, &[&format!("{good},{good}")]).await;
    joined.malformed();
    authorized(&app, &[&good]).await.accepted();
}

#[tokio::test]
async fn h05_several_tokens_in_a_custom_header() {
    let app = app(layer().sources([TokenSource::header("x-token")]));
    let (good, bad) = (good(), bad());
    let ask = async |values: &[&str]| {
        let headers: Vec<_> = values.iter().map(|value| ("x-token", *value)).collect();
        send(&app, with_headers("GET", &headers)).await
    };
    ask(&[&good]).await.accepted();
    ask(&[&good, &good]).await.malformed();
    ask(&[&good, &bad]).await.malformed();
    ask(&["", &good]).await.malformed();
    for value in [
        format!("{good},{good}"),
        format!("Bearer {good}"),
        format!("{good} "),
    ] {
        assert_eq!(ask(&[&value]).await.status, StatusCode::UNAUTHORIZED);
    }
    missing(&ask(&[""]).await);
}

#[test]
fn h05_authorization_is_not_a_custom_header() {
    for name in ["authorization", "Authorization", "", "x token", "é"] {
        assert!(crate::support::panics(|| TokenSource::header(name)));
    }
    assert!(!crate::support::panics(|| TokenSource::header("X-Token")));
    assert!(crate::support::panics(|| layer().sources([])));
}

#[tokio::test]
async fn h07_the_first_source_that_has_a_token_decides() {
    let named = |name: &str| hs256_token(claims(json!({ "sub": name })));
    let (header, cookie) = (named("header"), named("cookie"));
    let sources = [TokenSource::bearer(), TokenSource::cookie("access")];
    let header_first = app(layer().sources(sources.clone()));
    let [bearer, access] = sources;
    let cookie_first = app(layer().sources([access, bearer]));
    let ask = async |app: &Router, authorization: &[&str], cookie: &str| {
        let mut headers = vec![("cookie", cookie)];
        headers.extend(authorization.iter().map(|value| ("authorization", *value)));
        send(app, with_headers("GET", &headers)).await
    };
    let good = format!("Bearer {header}");
    let forged = format!("Bearer {}", bad());
    let in_cookie = format!("access={cookie}");
    let forged_cookie = format!("access={}", bad());

    for (app, first) in [(&header_first, "header"), (&cookie_first, "cookie")] {
        let both = ask(app, &[&good], &in_cookie).await.accepted();
        assert_eq!(both["sub"], first);
        // Whatever holds none leaves it to the other.
        for nothing in ["", "access=", "other=x", "Access=x", "access"] {
            let answer = ask(app, &[&good], nothing).await.accepted();
            assert_eq!(answer["sub"], "header");
        }
        for nothing in [&[][..], &[""], &["Basic x"]] {
            let answer = ask(app, nothing, &in_cookie).await.accepted();
            assert_eq!(answer["sub"], "cookie");
        }
        missing(&ask(app, &["Basic x"], "access=").await);
    }

    // No fall-through from what is bad.
    let refused = VerifyErrorKind::BadSignature;
    ask(&header_first, &[&forged], &in_cookie)
        .await
        .refused(refused);
    ask(&cookie_first, &[&good], &forged_cookie)
        .await
        .refused(refused);
    for authorization in [
        &["Bearer"][..],
        &["Bearer a b"],
        &[&good, &good],
        &["Basic x", "Basic y"],
        &["Basic x, Bearer y"],
    ] {
        ask(&header_first, authorization, &in_cookie)
            .await
            .malformed();
    }
    let twice = format!("{in_cookie}; {forged_cookie}");
    ask(&cookie_first, &[&good], &twice).await.malformed();
    // What comes later is not looked at.
    ask(&header_first, &[&good], &twice).await.accepted();
    ask(&cookie_first, &["Bearer a b"], &in_cookie)
        .await
        .accepted();
}

#[tokio::test]
async fn h08_query_and_body_hold_no_token() {
    let app = app(layer().sources([TokenSource::bearer(), TokenSource::cookie("access")]));
    let token = good();
    let ask = async |uri: &str, body: &str, authorization: &[&str]| {
        let mut request =
            Request::post(uri).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        for value in authorization {
            request = request.header(AUTHORIZATION, *value);
        }
        send(&app, request.body(Body::from(body.to_owned())).unwrap()).await
    };
    for name in ["access_token", "token", "jwt", "access", "authorization"] {
        let pair = format!("{name}={token}");
        missing(&ask(&format!("/claims?{pair}"), "", &[]).await);
        missing(&ask("/claims", &pair, &[]).await);
        missing(
            &ask(
                &format!("/claims?{name}=Bearer%20{token}"),
                &pair,
                &["Basic x"],
            )
            .await,
        );

        // Neither do they spoil what is sent properly.
        let pair = format!("{name}={}", bad());
        let good = format!("Bearer {token}");
        ask(&format!("/claims?{pair}"), &pair, &[&good])
            .await
            .accepted();
    }
}

const ORIGIN: &str = "https://app.example.com";

#[tokio::test]
async fn h10_cors_outside_the_layer() {
    let cors = || {
        CorsLayer::new()
            .allow_origin(HeaderValue::from_static(ORIGIN))
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([AUTHORIZATION])
            .allow_credentials(true)
    };
    let layer = layer().sources([TokenSource::bearer(), TokenSource::cookie("access")]);
    let outside = app(layer.clone()).layer(cors());
    let preflight = || {
        with_headers(
            "OPTIONS",
            &[
                ("origin", ORIGIN),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", "authorization"),
            ],
        )
    };
    let readable = |answer: &Answer| {
        let header = |name| answer.headers.get(name).map(HeaderValue::as_bytes);
        header(ACCESS_CONTROL_ALLOW_ORIGIN) == Some(ORIGIN.as_bytes())
            && header(ACCESS_CONTROL_ALLOW_CREDENTIALS) == Some(b"true")
    };

    let answer = send(&outside, preflight()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(readable(&answer));
    assert!(answer.error.is_none());
    assert!(answer.headers.contains_key("access-control-allow-methods"));

    let (good, bad) = (good(), bad());
    let authorization = |token: &str| format!("Bearer {token}");
    for (method, headers, status) in [
        ("GET", vec![], StatusCode::UNAUTHORIZED),
        (
            "GET",
            vec![("authorization", authorization(&bad))],
            StatusCode::UNAUTHORIZED,
        ),
        (
            "GET",
            vec![("authorization", "Bearer a b".to_owned())],
            StatusCode::BAD_REQUEST,
        ),
        (
            "POST",
            vec![
                ("cookie", format!("access={good}")),
                ("sec-fetch-site", "cross-site".to_owned()),
            ],
            StatusCode::FORBIDDEN,
        ),
        (
            "POST",
            vec![("authorization", authorization(&good))],
            StatusCode::OK,
        ),
        // A token on a preflight changes nothing for other requests with the method.
        (
            "OPTIONS",
            vec![("authorization", authorization(&bad))],
            StatusCode::OK,
        ),
    ] {
        let mut all = vec![("origin", ORIGIN)];
        all.extend(headers.iter().map(|(name, value)| (*name, &**value)));
        let answer = send(&outside, with_headers(method, &all)).await;
        assert_eq!(answer.status, status, "{method} {headers:?}");
        assert!(readable(&answer), "{method} {headers:?}");
        let exposed = answer.challenge().is_some();
        let challenged = matches!(status.as_u16(), 400 | 401);
        assert_eq!(exposed, challenged, "{method} {headers:?}");
    }

    // The order matters: inside, the preflight never arrives.
    let handler = Router::new().route("/claims", get(|| async { "{}" }));
    let inside = handler.layer(cors()).layer(layer);
    let answer = send(&inside, preflight()).await;
    missing(&answer);
    assert!(!readable(&answer));
}

/// `GET /claims` answers the claims, or `null` without.
fn optional(layer: JwtAuthLayer) -> Router {
    async fn claims(claims: Option<Claims<Value>>, token: Option<VerifiedToken>) -> String {
        assert_eq!(claims.is_some(), token.is_some());
        claims
            .map_or(Value::Null, |claims| (*claims.0).clone())
            .to_string()
    }
    Router::new()
        .route("/claims", get(claims).post(claims))
        .layer(layer)
}

#[tokio::test]
async fn h11_optional() {
    let app = optional(layer().optional());
    for nothing in [&[][..], &[""], &["Basic x"], &["Bear"]] {
        let answer = authorized(&app, nothing).await;
        assert_eq!(answer.accepted(), Value::Null);
    }
    assert_eq!(bearer(&app, &good()).await.accepted()["sub"], "alice");
    for (token, kind) in [
        (bad(), VerifyErrorKind::BadSignature),
        ("x".into(), VerifyErrorKind::Malformed),
        ("null".into(), VerifyErrorKind::Malformed),
        ("undefined".into(), VerifyErrorKind::Malformed),
        (hs256_token(r#"{"exp":1}"#), VerifyErrorKind::Expired),
        (hs256_token("{}"), VerifyErrorKind::MissingExpiry),
        (
            hs256_token(claims(json!({ "aud": "x" }))),
            VerifyErrorKind::UnexpectedAudience,
        ),
        ("x".repeat(8193), VerifyErrorKind::TooLong),
    ] {
        bearer(&app, &token).await.refused(kind);
    }
    let good = format!("Bearer {}", good());
    for values in [&["Bearer"][..], &["Bearer a b"], &[&good, &good]] {
        authorized(&app, values).await.malformed();
    }
}

#[tokio::test]
async fn h11_optional_by_cookie() {
    let app = optional(layer().optional().sources([TokenSource::cookie("access")]));
    let ask = async |method: &str, cookie: &str, site: &str| {
        let headers = [("cookie", cookie), ("sec-fetch-site", site)];
        send(&app, with_headers(method, &headers)).await
    };
    let good = format!("access={}", good());
    for (method, site) in [("GET", "cross-site"), ("POST", "same-origin")] {
        let answer = ask(method, &good, site).await;
        assert_eq!(answer.accepted()["sub"], "alice");
        assert_eq!(ask(method, "access=", site).await.accepted(), Value::Null);
        let answer = ask(method, &format!("access={}", bad()), site).await;
        answer.refused(VerifyErrorKind::BadSignature);
    }
    // From another site it is refused; it does not turn into a stranger's.
    let answer = ask("POST", &good, "cross-site").await;
    assert_eq!(answer.kind(), Some(AuthErrorKind::CrossSite));
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let twice = format!("{good}; access={}", bad());
    ask("GET", &twice, "none").await.malformed();
    // A stranger may post from anywhere: there is nothing to misuse.
    let answer = ask("POST", "other=x", "cross-site").await;
    assert_eq!(answer.accepted(), Value::Null);
}

#[tokio::test]
async fn h11_optional_does_not_excuse_who_needs_a_token() {
    let app = app(layer().optional());
    missing(&authorized(&app, &[]).await);
    bearer(&app, &good()).await.accepted();
}

#[tokio::test]
async fn h12_headers_say_nothing_about_the_client() {
    let app = app(layer());
    let names = [
        "x-user-id",
        "x-user",
        "x-forwarded-user",
        "x-auth-request-user",
        "x-remote-user",
        "remote-user",
        "x-jwt-claims",
        "x-amzn-oidc-data",
        "x-ms-client-principal",
        "sub",
        "claims",
    ];
    let authorization = format!("Bearer {}", good());
    for value in ["mallory", r#"{"sub":"mallory"}"#, &bad()] {
        let headers: Vec<_> = names.map(|name| (name, value)).into();
        missing(&send(&app, with_headers("GET", &headers)).await);
        let with_token = [&[("authorization", &*authorization)], &headers[..]].concat();
        let answer = send(&app, with_headers("GET", &with_token)).await;
        assert_eq!(answer.accepted()["sub"], "alice");
    }
}

#[tokio::test]
async fn h12_extensions_of_another_type_say_nothing() {
    let forged = json!({ "sub": "mallory" });
    let outer = |app: Router| {
        app.layer(Extension(Claims(Arc::new(forged.clone()))))
            .layer(Extension(Arc::new(forged.clone())))
            .layer(Extension(forged.clone()))
            .layer(Extension("mallory".to_owned()))
            .layer(Extension(None::<VerifiedToken>))
    };
    let required = outer(app(layer()));
    missing(&authorized(&required, &[]).await);
    assert_eq!(bearer(&required, &good()).await.accepted()["sub"], "alice");
    let optional = outer(optional(layer().optional()));
    assert_eq!(authorized(&optional, &[]).await.accepted(), Value::Null);

    // Without a layer there is no token, whatever else there is.
    let handler = |Claims(claims): Claims<Value>| async move { claims.to_string() };
    let bare = outer(Router::new().route("/claims", get(handler)));
    let answer = bearer(&bare, &good()).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.kind(), Some(AuthErrorKind::MissingLayer));
}

#[tokio::test]
async fn h12_the_token_of_an_outer_layer_does_not_leak_in() {
    const OUTER: &[u8] = b"the secret of the layer outside.";
    let outer = || {
        let key = VerifyingKey::hs256(OUTER).unwrap();
        JwtAuthLayer::new(key).clock(clock())
    };
    let inner = || layer().sources([TokenSource::header("x-inner")]);
    let outer_token = forge(
        r#"{"alg":"HS256"}"#,
        claims(json!({ "sub": "outer" })),
        &Signer::hmac(OUTER),
    );
    let outer_value = format!("Bearer {outer_token}");
    let inner_token = good();
    let ask = async |app: &Router, inner: Option<&str>| {
        let mut headers = vec![("authorization", &*outer_value)];
        headers.extend(inner.map(|token| ("x-inner", token)));
        send(app, with_headers("GET", &headers)).await
    };

    let apps = [
        optional(inner().optional()).layer(outer()),
        optional(inner().optional()).layer(outer().optional()),
        app(inner()).layer(outer()),
        app(inner().optional()).layer(outer().optional()),
    ];
    for app in &apps {
        let answer = ask(app, Some(&inner_token)).await.accepted();
        assert_eq!(answer["sub"], "alice");
        let answer = ask(app, Some(&outer_token)).await;
        answer.refused(VerifyErrorKind::BadSignature);
    }
    let [first, second, required, careful] = apps;
    for app in [first, second] {
        assert_eq!(ask(&app, None).await.accepted(), Value::Null);
    }
    for app in [required, careful] {
        missing(&ask(&app, None).await);
    }

    // Nor does the stranger of an optional layer outside.
    let app = app(inner()).layer(outer().optional());
    let answer = send(&app, with_headers("GET", &[("x-inner", &inner_token)])).await;
    assert_eq!(answer.accepted()["sub"], "alice");
    missing(&send(&app, with_headers("GET", &[])).await);
}

#[tokio::test]
async fn h12_a_token_from_elsewhere_put_into_the_request() {
    let elsewhere = layer().sources([TokenSource::bearer()]);
    let kept: Arc<std::sync::Mutex<Option<VerifiedToken>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let handler = move |token: VerifiedToken| async move {
        *keep.lock().unwrap() = Some(token);
        "{}"
    };
    let app = Router::new()
        .route("/claims", get(handler))
        .layer(elsewhere);
    bearer(&app, &good()).await.accepted();
    let token = kept.lock().unwrap().take().unwrap();

    let app = optional(layer().optional()).layer(Extension(token.clone()));
    assert_eq!(authorized(&app, &[]).await.accepted(), Value::Null);
    let app = crate::support::app(layer()).layer(Extension(token));
    missing(&authorized(&app, &[]).await);
}

/// Headers reach the handler as they came: the layer reads, and takes nothing away.
#[tokio::test]
async fn h12_the_request_is_left_alone() {
    let handler = |headers: HeaderMap| async move { json!(headers.len()).to_string() };
    let app = Router::new().route("/claims", get(handler)).layer(layer());
    let good = format!("Bearer {}", good());
    let headers = [
        ("authorization", &*good),
        ("cookie", "a=b"),
        ("x", "y"),
        ("x", "z"),
    ];
    let answer = send(&app, with_headers("GET", &headers)).await;
    assert_eq!(answer.accepted(), 4);
}

#[tokio::test]
async fn h05_answers_to_a_custom_header_are_private_to_caches() {
    let sources = [TokenSource::bearer(), TokenSource::header("x-token")];
    let app = app(layer().sources(sources));
    let request = request().header("x-token", good());
    let answer = send(&app, request.body(Body::empty()).unwrap()).await;
    answer.accepted();
    assert_eq!(answer.headers[CACHE_CONTROL], "private");
    let answer = bearer(&app, &good()).await;
    assert!(!answer.headers.contains_key(CACHE_CONTROL));
}
