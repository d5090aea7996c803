//! What a hostile issuer, an attacker in its place, or a hostile client may send.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use http::Request;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::ServiceExt;
use tower_jwt_auth::keys::remote::FetchErrorKind;
use tower_jwt_auth::mtls::{ClientCertificate, Mtls};
use tower_jwt_auth::{AuthError, AuthErrorKind, VerifyErrorKind};

use crate::server::{Answer, Server};
use crate::{NOW, SECRET, Scene, active, app, ask, clock, invalid, kind, layer, status};

/// The answer is an outage: 503, and never 401.
async fn is_an_outage(answer: Answer, expected: FetchErrorKind) {
    let scene = Scene::new().await;
    let shown = format!("{answer:.200?}");
    scene.server.answer(answer);
    let response = ask(&scene.app, "opaque").await;
    assert_eq!(response.status(), 503, "{shown}");
    assert_eq!(kind(&response), Some(AuthErrorKind::Unavailable), "{shown}");
    assert_eq!(response.headers()["retry-after"], "1", "{shown}");
    assert_eq!(scene.last_error(), expected, "{shown}");
}

async fn is_malformed(text: impl Into<String>) {
    is_an_outage(Answer::Text(text.into()), FetchErrorKind::MalformedAnswer).await;
}

#[tokio::test]
async fn q06_active_is_a_boolean_or_the_answer_is_malformed() {
    for value in [
        r#""true""#,
        r#""false""#,
        "1",
        "0",
        "null",
        "[true]",
        "{}",
        r#"{"active":true}"#,
        "TRUE",
    ] {
        is_malformed(format!(
            r#"{{"active":{value},"aud":"api","exp":{}}}"#,
            NOW + 9
        ))
        .await;
    }
    is_malformed(r#"{"aud":"api","sub":"alice"}"#).await;
    is_malformed(r#"{"Active":true,"aud":"api"}"#).await;
    is_malformed(r#"{"result":{"active":true}}"#).await;
}

#[tokio::test]
async fn q07_a_duplicate_member_is_a_malformed_answer() {
    for members in [
        r#""active":true,"active":true"#,
        r#""active":true,"active":false"#,
        r#""active":false,"active":true"#,
        r#""active":true,"\u0061ctive":true"#,
        r#""active":true,"sub":"alice","sub":"bob""#,
        r#""active":true,"scope":"read","scope":"admin""#,
        r#""active":true,"role":"user","role":"admin""#,
        r#""active":false,"role":1,"r\u006fle":2"#,
    ] {
        is_malformed(format!(r#"{{{members},"aud":"api","exp":{}}}"#, NOW + 9)).await;
    }
}

#[tokio::test]
async fn q08_what_is_no_json_object_is_malformed() {
    let good = active(&json!({}));
    for text in [
        "",
        " ",
        "true",
        "null",
        "[]",
        r#""active""#,
        r#"[{"active":true}]"#,
        "active=true",
        "<html></html>",
        r#"{"active":true"#,
        r#"{'active':true}"#,
        r#"{"active":true,}"#,
        // A signed answer (RFC 9701) that nobody asked for.
        "eyJhbGciOiJIUzI1NiJ9.eyJhY3RpdmUiOnRydWV9.c2ln",
    ] {
        is_malformed(text).await;
    }
    is_malformed(format!("{good}{good}")).await;
    is_malformed(format!("{good} x")).await;
    is_malformed(format!("\u{feff}{good}")).await;
    let nested = format!(
        r#"{{"active":true,"x":{}{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    is_malformed(nested).await;
    let mut bytes = br#"{"active":true,"x":""#.to_vec();
    bytes.extend(b"\xff\xfe\"}");
    is_an_outage(Answer::Body(bytes), FetchErrorKind::MalformedAnswer).await;
}

#[tokio::test]
async fn q09_claims_of_the_wrong_type_are_a_malformed_answer() {
    for (name, value) in [
        ("exp", json!("2000000000")),
        ("exp", json!(1e300)),
        ("exp", json!(-1)),
        ("exp", json!([])),
        ("token_type", json!(1)),
    ] {
        let text = active(&json!({ name: value }));
        is_malformed(text).await;
    }
    for (name, value) in [
        ("nbf", json!("0")),
        ("iat", json!({})),
        ("sub", json!(1)),
        ("aud", json!(5)),
        ("iss", json!(["x"])),
        ("cnf", json!("x")),
    ] {
        let scene = Scene::new().await;
        scene.server.answer_with(active(&json!({ name: value })));
        let response = ask(&scene.app, "opaque").await;
        assert_eq!(response.status(), 503, "{name}");
        let kind_of = kind(&response);
        assert_eq!(kind_of, Some(AuthErrorKind::Unavailable), "{name}");
    }
}

#[tokio::test]
async fn q10_a_huge_answer_is_cut_off() {
    let padded = |length: usize| {
        let text = active(&json!({ "x": "" }));
        let padding = "x".repeat(length - text.len());
        active(&json!({ "x": padding }))
    };
    let scene = Scene::new().await;
    scene.server.answer_with(padded(64 * 1024));
    assert_eq!(status(&scene.app, "opaque").await, 200);
    is_an_outage(Answer::Text(padded(64 * 1024 + 1)), FetchErrorKind::TooLong).await;
    let scene = Scene::new().await;
    let endless = Answer::Endless(vec![b' '; 4096], Duration::ZERO);
    scene.server.answer(endless);
    assert_eq!(status(&scene.app, "opaque").await, 503);
    assert_eq!(scene.last_error(), FetchErrorKind::TooLong);
    // What the sockets hold beyond what was read.
    assert!(scene.server.sent() < 16 * 1024 * 1024);
}

#[tokio::test]
async fn q11_a_slow_answer_is_503_within_the_deadline() {
    let deadline = Duration::from_millis(300);
    for answer in [
        Answer::Hang,
        Answer::Endless(b" ".to_vec(), Duration::from_millis(20)),
    ] {
        let scene = Scene::with(|builder| builder.deadline(deadline)).await;
        scene.server.answer(answer.clone());
        let began = Instant::now();
        let response = ask(&scene.app, "opaque").await;
        let took = began.elapsed();
        assert_eq!(response.status(), 503, "{answer:?}");
        assert_eq!(scene.last_error(), FetchErrorKind::Timeout, "{answer:?}");
        assert!(
            took >= deadline && took < Duration::from_secs(5),
            "{took:?}"
        );
    }
}

#[tokio::test]
async fn q11_a_turn_in_the_queue_counts_towards_the_deadline() {
    let deadline = Duration::from_millis(300);
    let scene = Scene::with(|builder| builder.deadline(deadline).max_questions(1)).await;
    scene.server.answer(Answer::Hang);
    let began = Instant::now();
    let requests = (0..20).map(|number| {
        let app = scene.app.clone();
        tokio::spawn(async move { status(&app, &format!("token{number}")).await })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.unwrap(), 503);
    }
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn q12_redirects_are_not_followed_and_other_statuses_are_no_answer() {
    let target = Server::start().await;
    target.answer_with(active(&json!({})));
    for status in [301, 302, 303, 307, 308] {
        let head = format!(
            "HTTP/1.1 {status} Moved\r\nLocation: {}\r\n",
            target.endpoint()
        );
        is_an_outage(Answer::Head(head), FetchErrorKind::Status(status)).await;
    }
    assert_eq!(target.count(), 0);
    for status in [201, 204, 400, 401, 403, 404, 429, 500, 503] {
        let head = format!("HTTP/1.1 {status} Status\r\n");
        is_an_outage(Answer::Head(head), FetchErrorKind::Status(status)).await;
    }
}

#[tokio::test]
async fn q13_a_token_with_other_characters_is_rejected_without_a_question() {
    let scene = Scene::new().await;
    for token in [
        "a b",
        "a&token=b",
        "a\"b",
        "a'b",
        "a%62",
        "a=b",
        "=",
        "a,b",
        "a;b",
        "a\tb",
        "a{b}",
    ] {
        let response = ask(&scene.app, token).await;
        assert!(matches!(response.status().as_u16(), 400 | 401), "{token:?}");
    }
    let long = "a".repeat(8 * 1024 + 1);
    let response = ask(&scene.app, &long).await;
    assert_eq!(kind(&response), invalid(VerifyErrorKind::TooLong));
    // Sources other than `Authorization` have no syntax of their own.
    let verifier = tower_jwt_auth::Verifier::new(scene.introspection.clone()).audience("api");
    for token in [&b"a\0b"[..], b"a\r\nb", b"a\x7f", b"\xc3\xa9", b"\xff", b""] {
        let refused = verifier.fetch_and_verify(token).await.unwrap_err();
        assert_eq!(refused.kind(), VerifyErrorKind::Malformed, "{token:?}");
    }
    assert_eq!(scene.server.count(), 0);
    assert_eq!(status(&scene.app, &"a".repeat(8 * 1024)).await, 200);
}

/// A refusal by the claims of the answer: 401.
async fn is_refused(members: &Value, expected: VerifyErrorKind) {
    let scene = Scene::new().await;
    scene.server.answer_with(active(members));
    let response = ask(&scene.app, "opaque").await;
    assert_eq!(response.status(), 401, "{members}");
    assert_eq!(kind(&response), invalid(expected), "{members}");
    // A second request gets the same, without a second question.
    let response = ask(&scene.app, "opaque").await;
    assert_eq!(kind(&response), invalid(expected), "{members}");
    assert_eq!(scene.server.count(), 1, "{members}");
}

#[tokio::test]
async fn q14_an_answer_of_another_issuer_is_refused() {
    for issuer in ["", "https://id.example.com", "http://127.0.0.1"] {
        is_refused(&json!({ "iss": issuer }), VerifyErrorKind::WrongIssuer).await;
    }
    let scene = Scene::new().await;
    let name = scene.server.name().to_owned();
    for (issuer, expected) in [
        (name.clone(), 200),
        (format!("{name}/"), 401),
        (name.to_uppercase(), 401),
    ] {
        let answer = active(&json!({ "iss": issuer }));
        scene.server.answer_with(answer);
        let token = format!("token-{}", issuer.len() + usize::from(expected));
        assert_eq!(status(&scene.app, &token).await, expected, "{issuer}");
    }
}

#[tokio::test]
async fn q15_an_answer_for_nobody_or_for_others_is_refused() {
    for (audience, expected) in [
        (Value::Null, VerifyErrorKind::MissingAudience),
        (json!([]), VerifyErrorKind::WrongAudience),
        (json!("API"), VerifyErrorKind::WrongAudience),
        (json!(["other", "api2"]), VerifyErrorKind::WrongAudience),
    ] {
        is_refused(&json!({ "aud": audience }), expected).await;
    }
    let scene = Scene::new().await;
    scene
        .server
        .answer_with(active(&json!({ "aud": ["other", "api"] })));
    assert_eq!(status(&scene.app, "opaque").await, 200);
}

#[tokio::test]
#[should_panic(expected = "need an audience")]
async fn q15_a_layer_needs_an_audience() {
    let scene = Scene::new().await;
    let layer = tower_jwt_auth::JwtAuthLayer::new(scene.introspection.clone());
    let _ = app(&layer);
}

#[tokio::test]
async fn q16_the_times_of_an_answer_are_checked() {
    for (members, expected) in [
        (json!({ "exp": NOW - 31 }), VerifyErrorKind::Expired),
        (json!({ "exp": 0 }), VerifyErrorKind::Expired),
        (json!({ "nbf": NOW + 31 }), VerifyErrorKind::NotYetValid),
        (json!({ "iat": NOW + 31 }), VerifyErrorKind::IssuedInFuture),
        (
            json!({ "iat": NOW, "exp": NOW - 1 }),
            VerifyErrorKind::ExpiresBeforeIssued,
        ),
    ] {
        let scene = Scene::new().await;
        scene.server.answer_with(active(&members));
        let response = ask(&scene.app, "opaque").await;
        assert_eq!(kind(&response), invalid(expected), "{members}");
    }
}

#[tokio::test]
async fn q17_a_refresh_token_is_no_access_token() {
    for members in [
        json!({ "token_type": "refresh_token" }),
        json!({ "token_type": "N_A" }),
        json!({ "token_type": "" }),
        json!({ "token_use": "refresh_token" }),
        json!({ "token_use": "id" }),
        json!({ "token_type": "DPoP" }),
    ] {
        is_refused(&members, VerifyErrorKind::WrongType).await;
    }
    // Its answer has no audience and no type. An audience that is checked keeps it out.
    let refresh = json!({ "token_type": null, "aud": null });
    is_refused(&refresh, VerifyErrorKind::MissingAudience).await;
    for (allowed, expected) in [(false, 401), (true, 200)] {
        let scene = Scene::with(|builder| match allowed {
            false => builder,
            true => builder.allow_missing_token_type(),
        })
        .await;
        scene.server.answer_with(active(&refresh));
        let layer = tower_jwt_auth::JwtAuthLayer::new(scene.introspection.clone())
            .any_audience()
            .clock(scene.clock.clone());
        let app = app(&layer);
        let response = ask(&app, "opaque").await;
        assert_eq!(response.status(), expected);
        if !allowed {
            assert_eq!(kind(&response), invalid(VerifyErrorKind::WrongType));
        }
        let access = json!({ "aud": null });
        scene.server.answer_with(active(&access));
        assert_eq!(status(&app, "another").await, 200);
    }
}

#[tokio::test]
async fn q18_a_bound_token_and_a_logout_token_are_no_bearer_tokens() {
    for (members, expected) in [
        (
            json!({ "cnf": { "jkt": "x" }, "token_type": "DPoP" }),
            VerifyErrorKind::SenderConstrained,
        ),
        (
            json!({ "cnf": { "x5t#S256": "x" } }),
            VerifyErrorKind::SenderConstrained,
        ),
        (json!({ "cnf": {} }), VerifyErrorKind::SenderConstrained),
        (json!({ "events": {} }), VerifyErrorKind::LogoutToken),
    ] {
        is_refused(&members, expected).await;
    }
    let scene = Scene::new().await;
    scene
        .server
        .answer_with(active(&json!({ "cnf": { "x5t#S256": "x" } })));
    let layer = layer(&scene.introspection, &scene.clock).allow_confirmation("x5t#S256");
    assert_eq!(status(&app(&layer), "opaque").await, 200);
}

/// An error with all its causes, as every log shows it.
fn chain(error: &AuthError) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!(" {cause} {cause:?}"));
        next = cause.source();
    }
    text
}

#[tokio::test]
async fn q19_no_secret_token_or_claim_is_in_an_error() {
    use tower_jwt_auth::introspection::{ClientAuthentication, Introspection};
    const TOKEN: &str = "the-opaque-token-of-alice";
    const VALUE: &str = "a-value-of-a-claim";
    let answers = [
        Answer::Text(format!(r#"{{"active":"{VALUE}"}}"#)),
        Answer::Text(format!(r#"{{"active":true,"exp":"{VALUE}"}}"#)),
        Answer::Text(format!(r#"{{"active":true,"{VALUE}":1,"{VALUE}":2}}"#)),
        Answer::Text(active(&json!({ "iss": VALUE }))),
        Answer::Text(active(&json!({ "aud": VALUE }))),
        Answer::Text(active(&json!({ "nbf": VALUE }))),
        Answer::Text(active(&json!({ "token_type": VALUE }))),
        Answer::Text(active(&json!({ "exp": 1, "sub": VALUE }))),
        Answer::Text(format!(r#"{{"active":false,"error":"{VALUE}"}}"#)),
        Answer::Head("HTTP/1.1 401 Unauthorized\r\n".to_owned()),
        Answer::Close,
    ];
    for answer in answers {
        for client in [
            ClientAuthentication::secret_basic("api", SECRET),
            ClientAuthentication::secret_post("api", SECRET),
        ] {
            let server = Server::start().await;
            server.answer(answer.clone());
            // The query may be a secret too.
            let url = format!("{}?key={SECRET}", server.endpoint());
            let introspection = Introspection::endpoint(url, server.name(), client);
            let introspection = introspection.build().unwrap();
            let app = app(&layer(&introspection, &clock()));
            let response = ask(&app, TOKEN).await;
            assert!(response.status().is_client_error() || response.status() == 503);
            let error = response.extensions().get::<AuthError>().unwrap();
            let shown = format!(
                "{} {introspection:?} {:?}",
                chain(error),
                introspection.state()
            );
            let basic = base64_simd::STANDARD.encode_to_string(format!("api:{SECRET}"));
            for hidden in [SECRET, TOKEN, VALUE, &basic] {
                assert!(!shown.contains(hidden), "{answer:?}: {shown}");
            }
        }
    }
}

#[cfg(feature = "tracing")]
#[tokio::test]
async fn q20_a_flood_of_failures_is_logged_once_a_second() {
    let log = crate::log::Log::start();
    let scene = Scene::new().await;
    let head = "HTTP/1.1 500 Status\r\n".to_owned();
    scene.server.answer(Answer::Head(head));
    let warnings = || {
        let lines = log.take().into_iter();
        let is_warning = |line: &String| line.starts_with("WARN tower_jwt_auth::introspection");
        lines.filter(is_warning).collect::<Vec<_>>()
    };
    for number in 0..50 {
        let token = format!("token-of-alice-{number}");
        assert_eq!(status(&scene.app, &token).await, 503);
    }
    let lines = warnings();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (name, url) = (scene.server.name(), scene.server.endpoint());
    for part in [
        &format!("issuer={name:?}"),
        &format!("url={url:?}"),
        "500",
        "silent=0",
    ] {
        assert!(lines[0].contains(part), "{part} in {lines:?}");
    }
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(status(&scene.app, "another-of-alice").await, 503);
    let lines = warnings();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("silent=49"), "{lines:?}");
    assert!(!format!("{lines:?}").contains("of-alice"), "{lines:?}");
}

#[tokio::test]
async fn t22_an_opaque_token_that_is_bound_needs_its_certificate() {
    let scene = Scene::new().await;
    let thumbprint = base64_simd::URL_SAFE_NO_PAD.encode_to_string(digest(&SHA256, b"own"));
    let bound = json!({ "cnf": { "x5t#S256": thumbprint } });
    scene.server.answer_with(active(&bound));
    let app = app(&layer(&scene.introspection, &scene.clock).mtls(Mtls::direct()));
    for (certificate, expected) in [
        (None, Some(VerifyErrorKind::MissingCertificate)),
        (Some("other"), Some(VerifyErrorKind::WrongCertificate)),
        (Some("own"), None),
    ] {
        // Another token each time, so that the first request asks. The second finds the answer.
        let token = format!("opaque-{}", certificate.unwrap_or("none"));
        for _ in 0..2 {
            let mut request = Request::get("/").header(AUTHORIZATION, format!("Bearer {token}"));
            if let Some(der) = certificate {
                request = request.extension(ClientCertificate::from_der(der));
            }
            let request = request.body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            let expected = expected.map(AuthErrorKind::InvalidToken);
            assert_eq!(kind(&response), expected, "{certificate:?}");
        }
    }
}
