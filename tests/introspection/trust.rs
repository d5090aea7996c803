//! Introspection beside keys, guards, claims and revocation.

use axum::body::Body;
use axum::routing::get;
use axum::{Router, http};
use http::Request;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _};
use tower_jwt_auth::introspection::Introspection;
use tower_jwt_auth::keys::{Algorithm, KeySet, SigningKey};
use tower_jwt_auth::middleware::TokenFault;
use tower_jwt_auth::revocation::{Revocation, TokenIdentity};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::{
    Claims, JwtAuthLayer, Require, TokenSource, TrustedIssuer, Verifier, VerifyErrorKind,
};

use crate::server::{Answer, Server};
use crate::{App, NOW, Scene, active, app, ask, client, invalid, kind, layer, status};

fn jwt(key: &SigningKey, issuer: &str) -> String {
    let claims = json!({ "iss": issuer, "aud": "api", "sub": "jwt", "exp": NOW + 1000 });
    key.sign(&claims).unwrap()
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::ES256)
        .unwrap()
        .with_key_id("1")
}

fn keys(key: &SigningKey) -> KeySet {
    KeySet::new([key.verifying_key()]).unwrap()
}

#[tokio::test]
async fn q28_the_shape_decides_and_no_token_is_tried_both_ways() {
    let scene = Scene::new().await;
    let (ours, stranger) = (key(), key());
    let issuer = scene.server.name();
    let layers = [
        JwtAuthLayer::new(keys(&ours))
            .issuer(issuer)
            .audience("api"),
        JwtAuthLayer::new(TrustedIssuer::new(issuer, keys(&ours)).audience("api")),
    ];
    for layer in layers {
        let before = scene.server.count();
        let layer = layer
            .introspection(scene.introspection.clone())
            .clock(scene.clock.clone());
        let app = app(&layer);
        let response = ask(&app, &jwt(&ours, issuer)).await;
        assert_eq!(response.extensions().get::<String>().unwrap(), "jwt");
        // The issuer would say that these are active, and is not asked.
        let signed = jwt(&ours, issuer);
        let (head, _) = signed.rsplit_once('.').unwrap();
        for token in [
            jwt(&stranger, issuer),
            format!("{head}.AAAA"),
            // Nor is the issuer asked if it may ignore what is wrong with the token.
            format!("{head}."),
            format!("{}=", jwt(&stranger, issuer)),
            "a.b.c".to_owned(),
            "ory_at.b.c".to_owned(),
        ] {
            assert_eq!(status(&app, &token).await, 401, "{token}");
        }
        assert_eq!(scene.server.count(), before);
        // These are no JWTs. Keys do not verify them, whatever the issuer says.
        let response = ask(&app, "opaque").await;
        assert_eq!(response.extensions().get::<String>().unwrap(), "alice");
        for token in ["a.b", "a.b.c.d.e", "a~b.c.d"] {
            assert_eq!(status(&app, token).await, 200, "{token}");
        }
        scene.clock.advance(std::time::Duration::from_secs(60));
    }
    // As the only trust, it is asked about every token.
    let response = ask(&scene.app, &jwt(&stranger, issuer)).await;
    assert_eq!(response.extensions().get::<String>().unwrap(), "alice");
}

#[tokio::test]
async fn q29_an_issuer_speaks_for_itself_alone() {
    let scene = Scene::new().await;
    let ours = key();
    let other = "https://id.example.com";
    let layer = JwtAuthLayer::new(TrustedIssuer::new(other, keys(&ours)))
        .introspection(scene.introspection.clone())
        .audience("api")
        .clock(scene.clock.clone());
    let app = app(&layer);
    assert_eq!(status(&app, &jwt(&ours, other)).await, 200);
    // The other issuer is trusted too, but was not asked.
    scene
        .server
        .answer_with(active(&json!({ "iss": other, "sub": "admin" })));
    let response = ask(&app, "opaque").await;
    assert_eq!(kind(&response), invalid(VerifyErrorKind::WrongIssuer));
    // Nor does a verifier that requires the other accept it.
    let layer = JwtAuthLayer::new(keys(&ours))
        .issuer(other)
        .introspection(scene.introspection.clone())
        .audience("api")
        .clock(scene.clock.clone());
    let app = crate::app(&layer);
    scene.server.answer_with(active(&json!({})));
    let response = ask(&app, "another").await;
    assert_eq!(kind(&response), invalid(VerifyErrorKind::WrongIssuer));
}

#[tokio::test]
async fn the_audiences_of_a_trusted_issuer_count_for_its_opaque_tokens() {
    let scene = Scene::new().await;
    let trusted = TrustedIssuer::new(scene.server.name(), keys(&key())).audience("own");
    let layer = JwtAuthLayer::new(trusted)
        .introspection(scene.introspection.clone())
        .clock(scene.clock.clone());
    let app = app(&layer);
    let response = ask(&app, "opaque").await;
    assert_eq!(kind(&response), invalid(VerifyErrorKind::WrongAudience));
    scene.server.answer_with(active(&json!({ "aud": "own" })));
    assert_eq!(status(&app, "another").await, 200);
}

#[tokio::test]
#[should_panic(expected = "a verifier has one introspection")]
async fn two_introspections_are_refused() {
    let scene = Scene::new().await;
    let _ = Verifier::new(scene.introspection.clone()).introspection(scene.introspection.clone());
}

#[tokio::test]
async fn q30_a_local_revocation_applies_to_opaque_tokens() {
    let scene = Scene::new().await;
    scene.server.answer_by(|token| {
        let (sid, jti) = (format!("sid-{token}"), format!("jti-{token}"));
        Answer::Text(active(&json!({ "sub": token, "sid": sid, "jti": jti })))
    });
    let store = MemoryStore::with_clock(scene.clock.clone());
    let layer = layer(&scene.introspection, &scene.clock).revocation(store.clone());
    let app = app(&layer);
    let verifier = Verifier::new(scene.introspection.clone())
        .audience("api")
        .clock(scene.clock.clone());
    for token in ["one", "two", "three"] {
        assert_eq!(status(&app, token).await, 200);
    }
    let one = verifier.fetch_and_verify("one").await.unwrap();
    let identity = TokenIdentity::new(one.expires_at())
        .issuer(one.issuer().unwrap())
        .jti(one.token_id().unwrap());
    store
        .revoke(&Revocation::of_token(&identity).unwrap())
        .unwrap();
    assert_eq!(status(&app, "one").await, 401);
    assert_eq!(status(&app, "two").await, 200);
    // A token without an ID cannot be revoked alone.
    scene.server.answer_with(active(&json!({})));
    let response = ask(&app, "four").await;
    let missing = tower_jwt_auth::AuthErrorKind::MissingTokenId;
    assert_eq!(kind(&response), Some(missing));
    let optional = crate::app(&layer.token_id_optional());
    assert_eq!(status(&optional, "four").await, 200);
    // Nor can one without `exp`: the revocation would be found by a date that changes.
    let mut answer: Value = serde_json::from_str(&active(&json!({ "jti": "five" }))).unwrap();
    answer.as_object_mut().unwrap().remove("exp");
    scene.server.answer_with(answer.to_string());
    let response = ask(&app, "five").await;
    assert_eq!(kind(&response), Some(missing));
    assert_eq!(status(&optional, "five").await, 200);
}

#[derive(Deserialize)]
struct User {
    sub: String,
    username: String,
}

#[tokio::test]
async fn claims_and_guards_read_the_answer() {
    async fn me(Claims(user): Claims<User>) -> String {
        format!("{} {}", user.sub, user.username)
    }
    let scene = Scene::new().await;
    scene.server.answer_by(|token| {
        let scope = token.replace('.', " ");
        Answer::Text(active(&json!({ "username": "Alice", "scope": scope })))
    });
    let router = Router::new()
        .route("/", get(me))
        .route_layer(Require::scope("read"))
        .layer(layer(&scene.introspection, &scene.clock));
    for (token, expected) in [("read", 200), ("write.read", 200), ("write", 403)] {
        let request = Request::get("/")
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), expected, "{token}");
        if expected == 200 {
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "alice Alice");
        }
    }
}

#[tokio::test]
async fn an_inactive_cookie_counts_as_none_on_a_public_page() {
    let scene = Scene::new().await;
    scene.server.answer_with(r#"{"active":false}"#);
    let layer = layer(&scene.introspection, &scene.clock)
        .sources([TokenSource::cookie("access")])
        .anonymous_if([TokenFault::Inactive]);
    let inner = tower::service_fn(async |_: Request<Body>| Ok(http::Response::new(Body::empty())));
    let app = App::new(layer.layer(inner));
    let page = || {
        Request::get("/")
            .header("cookie", "access=opaque")
            .body(Body::empty())
            .unwrap()
    };
    for _ in 0..2 {
        let response = app.clone().oneshot(page()).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    // An outage is no reason to be somebody else.
    scene.server.answer(Answer::Close);
    scene.clock.advance(std::time::Duration::from_secs(5));
    let response = app.clone().oneshot(page()).await.unwrap();
    assert_eq!(response.status(), 503);
}

#[tokio::test]
async fn rfc9068_requires_its_claims_of_an_answer() {
    let scene = Scene::new().await;
    let layer = layer(&scene.introspection, &scene.clock).rfc9068();
    let app = app(&layer);
    let response = ask(&app, "opaque").await;
    assert_eq!(kind(&response), invalid(VerifyErrorKind::MissingClaim));
    let whole = json!({ "client_id": "c", "iat": NOW, "jti": "1" });
    scene.server.answer_with(active(&whole));
    assert_eq!(status(&app, "another").await, 200);
}

#[tokio::test]
async fn an_introspection_of_a_stopped_issuer_is_503() {
    let server = Server::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let introspection = Introspection::endpoint(nobody, server.name(), client())
        .build()
        .unwrap();
    let app = app(&layer(&introspection, &crate::clock()));
    assert_eq!(status(&app, "opaque").await, 503);
}
