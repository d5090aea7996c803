//! Access tokens of RFC 9068, required and issued.
#![cfg(all(feature = "axum", feature = "testing"))]
#![expect(clippy::unwrap_used, reason = "a test that panics fails")]

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/answer.rs"]
mod answer;

use answer::send;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use serde_json::{Value, json};
use tower::Layer;
use tower_jwt_auth::VerifyErrorKind::{self, *};
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::routes::SessionRoutes;
use tower_jwt_auth::session::{RefreshKeys, SessionErrorKind, Sessions};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::testing::{TestIssuer, TestToken};
use tower_jwt_auth::{JwtAuthLayer, TrustedIssuer, Verifier};

const API: &str = "https://api.test";

fn issuer() -> TestIssuer {
    TestIssuer::new().audience(API)
}

fn verifier(issuer: &TestIssuer) -> Verifier {
    Verifier::new(issuer.key())
        .issuer(TestIssuer::NAME)
        .audience(API)
        .clock(issuer.clock().clone())
        .rfc9068()
}

fn token(issuer: &TestIssuer) -> TestToken {
    let token = issuer.token("alice").claim("client_id", "app");
    token.typ("at+jwt")
}

fn panics(misuse: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(misuse)).is_err()
}

fn kind(verifier: &Verifier, token: TestToken) -> Option<VerifyErrorKind> {
    verifier
        .verify(token.sign())
        .err()
        .map(|error| error.kind())
}

#[test]
fn the_type_is_that_of_access_tokens() {
    let issuer = issuer();
    let verifier = verifier(&issuer);
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        assert_eq!(kind(&verifier, token(&issuer).typ(typ)), None, "{typ}");
    }
    for typ in ["JWT", "", "jwt+at", "logout+jwt"] {
        assert_eq!(
            kind(&verifier, token(&issuer).typ(typ)),
            Some(WrongType),
            "{typ}"
        );
    }
}

#[test]
fn each_claim_is_required() {
    let issuer = issuer();
    let verifier = verifier(&issuer);
    for (claim, why) in [
        ("iss", MissingIssuer),
        ("exp", MissingExpiry),
        ("aud", MissingAudience),
        ("sub", MissingClaim),
        ("client_id", MissingClaim),
        ("iat", MissingClaim),
        ("jti", MissingClaim),
    ] {
        let without = token(&issuer).without(claim);
        assert_eq!(kind(&verifier, without.clone()), Some(why), "{claim}");
        // What the verifier allows elsewhere is no way around it.
        let lax = verifier
            .clone()
            .any_audience()
            .allow_null_claims()
            .allow_missing_expiry(TestIssuer::LIFETIME);
        assert_eq!(kind(&lax, without), Some(why), "{claim}");
        if claim != "client_id" {
            let null = token(&issuer).claim(claim, Value::Null);
            assert_eq!(kind(&lax, null), Some(why), "{claim}");
        }
    }
    for client in [json!(""), Value::Null] {
        let token = token(&issuer).claim("client_id", client);
        assert_eq!(kind(&verifier, token), Some(MissingClaim));
    }
    let token = token(&issuer).claim("client_id", 7);
    assert_eq!(kind(&verifier, token), Some(MalformedClaims));
}

#[test]
fn an_error_names_the_missing_claim() {
    let issuer = issuer();
    let token = token(&issuer).without("client_id").sign();
    let error = verifier(&issuer).verify(token).unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "`client_id` is required");
}

#[test]
fn without_a_configured_issuer_no_token_passes() {
    let issuer = issuer();
    let nameless = Verifier::new(issuer.key())
        .audience(API)
        .clock(issuer.clock().clone())
        .rfc9068();
    assert_eq!(kind(&nameless, token(&issuer)), Some(WrongIssuer));
    let named = TrustedIssuer::new(TestIssuer::NAME, issuer.key()).audience(API);
    let named = Verifier::new(named).clock(issuer.clock().clone()).rfc9068();
    assert_eq!(kind(&named, token(&issuer)), None);
}

#[test]
fn a_layer_without_issuer_or_audience_is_misuse() {
    let layer = || JwtAuthLayer::new(issuer().key()).rfc9068();
    for layer in [layer(), layer().issuer("a"), layer().audience("b")] {
        assert!(panics(|| drop(layer.layer(()))));
    }
    let _ = layer().issuer("a").audience("b").layer(());
    let _ = layer().issuer("a").any_audience().layer(());
    let named = TrustedIssuer::new("a", issuer().key()).audience("b");
    let _ = JwtAuthLayer::new(named).rfc9068().layer(());
}

#[test]
fn another_type_contradicts_the_profile() {
    let verifier = || Verifier::new(issuer().key());
    assert!(panics(|| drop(verifier().typ("JWT").rfc9068())));
    assert!(panics(|| drop(verifier().rfc9068().typ("JWT"))));
    let _ = verifier().typ("at+jwt").rfc9068().rfc9068();
}

fn sessions() -> Sessions<MemoryStore> {
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    Sessions::new(MemoryStore::new(), key, RefreshKeys::generate().unwrap())
        .issuer("https://id.test")
        .audience(API)
}

#[tokio::test]
async fn sessions_issue_what_the_profile_requires() {
    for (sessions, status) in [(sessions().client_id("app"), 200), (sessions(), 401)] {
        let tokens = sessions
            .login(&sessions.subject_named("alice"))
            .await
            .unwrap();
        let routes = SessionRoutes::new(sessions.clone()).unwrap();
        let profile = JwtAuthLayer::new(sessions.verifying_keys())
            .issuer("https://id.test")
            .audience(API)
            .rfc9068()
            .revocation(sessions.store().clone());
        let app = |layer| Router::new().route("/", get(|| async {})).layer(layer);
        let request = || {
            let token = format!("Bearer {}", tokens.access_token);
            Request::get("/")
                .header("Authorization", token)
                .body(Body::empty())
                .unwrap()
        };
        let own = Router::new()
            .route("/", get(|| async {}))
            .layer(routes.layer());
        assert_eq!(send(&own, request()).await.status, 200);
        let own = Router::new()
            .route("/", get(|| async {}))
            .layer(routes.layer().rfc9068());
        assert_eq!(send(&own, request()).await.status, status);
        assert_eq!(send(&app(profile), request()).await.status, status);
        // A refresh keeps the client.
        let tokens = sessions.refresh(&tokens.refresh_token).await.unwrap();
        let verifier = Verifier::new(sessions.verifying_keys()).issuer("https://id.test");
        let verified = verifier
            .audience(API)
            .rfc9068()
            .verify(&tokens.access_token);
        assert_eq!(verified.is_ok(), status == 200);
    }
}

#[tokio::test]
async fn the_application_does_not_supply_a_second_client() {
    let supplied = json!({ "client_id": "other" });
    let with_claims = |sessions: Sessions<MemoryStore>| {
        let supplied = supplied.clone();
        sessions.claims(move |_| {
            let claims = supplied.clone();
            async move { Ok::<_, std::io::Error>(Some(claims)) }
        })
    };
    let sessions = with_claims(self::sessions().client_id("app"));
    let error = sessions
        .login(&sessions.subject_named("alice"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::InvalidClaims);
    let sessions = with_claims(self::sessions());
    assert!(
        sessions
            .login(&sessions.subject_named("alice"))
            .await
            .is_ok()
    );
}
