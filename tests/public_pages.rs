//! Holds `JwtAuthLayer::anonymous_if` to its limits: which tokens count as none, and on which
//! requests.
#![cfg(all(feature = "axum", feature = "testing"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics fails"
)]

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/answer.rs"]
mod answer;

use std::convert::Infallible;
use std::io;

use answer::{Answer, send};
use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::header::{CACHE_CONTROL, HOST, ORIGIN, VARY, WWW_AUTHENTICATE};
use http::{Extensions, Request, StatusCode};
use serde_json::Value;
use tower_jwt_auth::keys::{Algorithm, SigningKey, VerifyingKey};
use tower_jwt_auth::middleware::{ProblemJson, TokenFault};
use tower_jwt_auth::revocation::{NoRevocation, Revocation, RevocationStore, store_fn};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::testing::{FailingStore, TestIssuer};
use tower_jwt_auth::{
    AuthError, AuthErrorKind, Claims, JwtAuthLayer, TokenSource, VerifiedToken, VerifyErrorKind,
};

const COOKIE: &str = "__Host-access";
const ALL: [TokenFault; 4] = [
    TokenFault::Expired,
    TokenFault::Revoked,
    TokenFault::BadSignature,
    TokenFault::NoFittingKey,
];

/// `/` shows who asks, and why nobody does. It allows caches to store its page. `/claims` needs a
/// token.
fn app<V: RevocationStore>(layer: JwtAuthLayer<ProblemJson, V>) -> Router {
    let page = async |token: Option<VerifiedToken>, extensions: Extensions| {
        let subject = token.and_then(|token| token.subject().map(str::to_owned));
        let reason = extensions
            .get()
            .map(|error: &AuthError| error.kind().name());
        let page = format!(
            "{} {}",
            subject.as_deref().unwrap_or("-"),
            reason.unwrap_or("-")
        );
        let caching = [
            ("cache-control", "public, max-age=60"),
            ("cdn-cache-control", "max-age=60"),
        ];
        (caching, page)
    };
    let claims = async |Claims(claims): Claims<Value>| claims.to_string();
    Router::new()
        .route("/", any(page))
        .route("/claims", any(claims))
        .layer(layer)
}

fn cookies(layer: JwtAuthLayer) -> JwtAuthLayer {
    layer.sources([TokenSource::bearer(), TokenSource::cookie(COOKIE)])
}

async fn ask(app: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(app, request.body(Body::empty()).unwrap()).await
}

async fn with_cookie(app: &Router, token: &str) -> Answer {
    ask(app, "GET", "/", &[("cookie", &format!("{COOKIE}={token}"))]).await
}

impl Answer {
    #[track_caller]
    fn anonymous(&self, reason: &str) {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        assert_eq!(self.body, format!("- {reason}"));
        let caching: Vec<_> = self.headers.get_all(CACHE_CONTROL).iter().collect();
        assert_eq!(caching, ["no-store"]);
        assert_eq!(self.headers["cdn-cache-control"], "no-store");
        assert_eq!(self.headers[VARY], "cookie");
    }

    #[track_caller]
    fn rejected(&self, kind: AuthErrorKind) {
        let error = self.error.as_ref().unwrap();
        assert_eq!(error.kind(), kind);
        assert_eq!(self.status, error.status());
    }
}

/// Tokens that `issuer` rejects, each with the fault that names it, and its kind.
fn faulty(issuer: &TestIssuer) -> Vec<(TokenFault, String, VerifyErrorKind)> {
    let expired = issuer.token("alice").claim("exp", 1).sign();
    let good = issuer.token("alice").sign();
    let forged = format!("{}AAAA", &good[..good.len() - 4]);
    let other = SigningKey::generate(Algorithm::ES256).unwrap();
    let of_other = TestIssuer::with_key(other).token("alice").sign();
    vec![
        (TokenFault::Expired, expired, VerifyErrorKind::Expired),
        (
            TokenFault::BadSignature,
            forged,
            VerifyErrorKind::BadSignature,
        ),
        (
            TokenFault::NoFittingKey,
            of_other,
            VerifyErrorKind::NoFittingKey,
        ),
    ]
}

#[tokio::test]
async fn only_a_named_fault_counts_as_no_token() {
    let issuer = TestIssuer::new();
    for named in ALL {
        let app = app(cookies(issuer.layer()).anonymous_if([named]));
        for (fault, token, kind) in faulty(&issuer) {
            let answer = with_cookie(&app, &token).await;
            if fault == named {
                answer.anonymous(kind.name());
            } else {
                answer.rejected(AuthErrorKind::InvalidToken(kind));
            }
        }
        // Without a token, and with a good one, nothing is ignored.
        let nobody = ask(&app, "GET", "/", &[]).await;
        assert_eq!((nobody.status, &*nobody.body), (StatusCode::OK, "- -"));
        let alice = with_cookie(&app, &issuer.token("alice").sign()).await;
        assert_eq!((alice.status, &*alice.body), (StatusCode::OK, "alice -"));
        assert_eq!(alice.headers[CACHE_CONTROL], "public, max-age=60");
    }
    let strict = app(cookies(issuer.layer()).optional());
    for (_, token, kind) in faulty(&issuer) {
        let answer = with_cookie(&strict, &token).await;
        answer.rejected(AuthErrorKind::InvalidToken(kind));
    }
}

#[tokio::test]
async fn i14_only_safe_requests_become_anonymous() {
    let issuer = TestIssuer::new();
    let app = app(cookies(issuer.layer()).anonymous_if(ALL));
    for (_, token, kind) in faulty(&issuer) {
        let cookie = format!("{COOKIE}={token}");
        let own = [
            ("cookie", &*cookie),
            (HOST.as_str(), "a.example"),
            (ORIGIN.as_str(), "https://a.example"),
        ];
        for method in ["GET", "OPTIONS"] {
            ask(&app, method, "/", &own).await.anonymous(kind.name());
        }
        assert_eq!(ask(&app, "HEAD", "/", &own).await.status, StatusCode::OK);
        for method in ["POST", "PUT", "PATCH", "DELETE", "LINK"] {
            let answer = ask(&app, method, "/", &own).await;
            answer.rejected(AuthErrorKind::InvalidToken(kind));
        }
        for header in [
            ("upgrade", "websocket"),
            ("x-http-method-override", "DELETE"),
            ("x-http-method", "DELETE"),
            ("x-method-override", "DELETE"),
        ] {
            let headers = [&own[..], &[header]].concat();
            let answer = ask(&app, "GET", "/", &headers).await;
            answer.rejected(AuthErrorKind::InvalidToken(kind));
        }
    }
}

#[tokio::test]
async fn only_a_token_that_the_browser_sent_by_itself_is_ignored() {
    let issuer = TestIssuer::new();
    let sources = [
        TokenSource::bearer(),
        TokenSource::header("x-token"),
        TokenSource::custom(|head| Some(head.headers.get("x-custom")?.to_str().ok()?.into())),
        TokenSource::custom_ambient(|head| {
            Some(head.headers.get("x-ambient")?.to_str().ok()?.into())
        }),
    ];
    let app = app(issuer.layer().sources(sources).anonymous_if(ALL));
    for (_, token, kind) in faulty(&issuer) {
        let bearer = format!("Bearer {token}");
        for header in [
            ("authorization", &*bearer),
            ("x-token", &token),
            ("x-custom", &token),
        ] {
            let answer = ask(&app, "GET", "/", &[header]).await;
            answer.rejected(AuthErrorKind::InvalidToken(kind));
        }
        let answer = ask(&app, "GET", "/", &[("x-ambient", &token)]).await;
        answer.anonymous(kind.name());
    }
}

#[tokio::test]
async fn a_bad_authorization_header_and_malformed_cookies_stay_rejected() {
    let issuer = TestIssuer::new();
    let app = app(cookies(issuer.layer()).anonymous_if(ALL));
    let (_, expired, _) = faulty(&issuer).remove(0);
    let cookie = format!("{COOKIE}={expired}");
    for authorization in ["Bearer", "Bearer ", "Bearer a b"] {
        let headers = [("cookie", &*cookie), ("authorization", authorization)];
        let answer = ask(&app, "GET", "/", &headers).await;
        answer.rejected(AuthErrorKind::MalformedCredentials);
    }
    let headers = [("cookie", &*cookie), ("authorization", "Bearer a.b.c")];
    let answer = ask(&app, "GET", "/", &headers).await;
    answer.rejected(AuthErrorKind::InvalidToken(
        VerifyErrorKind::MalformedHeader,
    ));
    let twice = [("cookie", &*cookie), ("cookie", "__Host-access=x")];
    let answer = ask(&app, "GET", "/", &twice).await;
    answer.rejected(AuthErrorKind::SeveralTokens);
    for token in ["x", "a.b", "a.b.c"] {
        let answer = with_cookie(&app, token).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token}");
    }
    let wrong_issuer = issuer.token("alice").claim("iss", "x").sign();
    let answer = with_cookie(&app, &wrong_issuer).await;
    answer.rejected(AuthErrorKind::InvalidToken(VerifyErrorKind::WrongIssuer));
}

#[tokio::test]
async fn no_later_source_is_read() {
    let issuer = TestIssuer::new();
    let sources = [TokenSource::cookie(COOKIE), TokenSource::header("x-token")];
    let app = app(issuer.layer().sources(sources).anonymous_if(ALL));
    let good = issuer.token("mallory").sign();
    for (_, token, kind) in faulty(&issuer) {
        let cookie = format!("{COOKIE}={token}");
        let headers = [("cookie", &*cookie), ("x-token", &good)];
        ask(&app, "GET", "/", &headers).await.anonymous(kind.name());
    }
}

#[tokio::test]
async fn claims_are_still_required_where_a_handler_asks_for_them() {
    let issuer = TestIssuer::new();
    let app = app(cookies(issuer.layer()).anonymous_if(ALL));
    for (_, token, _) in faulty(&issuer) {
        let cookie = format!("{COOKIE}={token}");
        let answer = ask(&app, "GET", "/claims", &[("cookie", &cookie)]).await;
        answer.rejected(AuthErrorKind::MissingToken);
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.headers[WWW_AUTHENTICATE], r#"Bearer realm="api""#);
        assert_eq!(answer.headers[CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers[VARY], "cookie");
    }
}

/// Of a store in memory, and of one that has to be awaited.
#[tokio::test]
async fn a_revoked_token_counts_as_none() {
    let issuer = TestIssuer::new();
    let revokes_bob = |subject: Option<&str>| subject == Some("bob");
    let later = store_fn(move |token| {
        let revoked = revokes_bob(token.subject);
        async move {
            tokio::task::yield_now().await;
            Ok::<_, io::Error>(revoked)
        }
    });
    let set = MemoryStore::with_clock(issuer.clock().clone());
    let (alice, bob) = (issuer.token("alice").sign(), issuer.token("bob").sign());
    check(
        app(cookies(issuer.layer()).revocation(later).anonymous_if(ALL)),
        &alice,
        &bob,
    )
    .await;
    let revoked = issuer.verify(&bob);
    let revocation = Revocation::Token {
        issuer: revoked.issuer(),
        jti: revoked.token_id().unwrap(),
        expires_at: revoked.expires_at(),
    };
    set.revoke(&revocation).unwrap();
    check(
        app(cookies(issuer.layer()).revocation(set).anonymous_if(ALL)),
        &alice,
        &bob,
    )
    .await;
    let others = [TokenFault::Expired, TokenFault::BadSignature];
    let strict = app(cookies(issuer.layer())
        .revocation(later)
        .anonymous_if(others));
    with_cookie(&strict, &bob)
        .await
        .rejected(AuthErrorKind::Revoked);

    async fn check(app: Router, alice: &str, bob: &str) {
        assert_eq!(with_cookie(&app, alice).await.body, "alice -");
        with_cookie(&app, bob).await.anonymous("revoked");
        let bearer = format!("Bearer {bob}");
        let answer = ask(&app, "GET", "/", &[("authorization", &bearer)]).await;
        answer.rejected(AuthErrorKind::Revoked);
        let cookie = format!("{COOKIE}={bob}");
        let post = [("cookie", &*cookie), ("sec-fetch-site", "same-origin")];
        ask(&app, "POST", "/", &post)
            .await
            .rejected(AuthErrorKind::Revoked);
    }
}

#[tokio::test]
async fn an_outage_stays_an_outage() {
    let issuer = TestIssuer::new();
    let store = FailingStore::new(NoRevocation);
    let app = app(cookies(issuer.layer())
        .revocation(store.clone())
        .anonymous_if(ALL));
    let token = issuer.token("alice").sign();
    assert_eq!(with_cookie(&app, &token).await.body, "alice -");
    store.fail();
    let answer = with_cookie(&app, &token).await;
    answer.rejected(AuthErrorKind::Unavailable);
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let no_id = issuer.token("alice").without("jti").sign();
    let answer = with_cookie(&app, &no_id).await;
    answer.rejected(AuthErrorKind::MissingTokenId);
}

#[tokio::test]
async fn the_nearest_layer_says_why_nobody_asks() {
    let issuer = TestIssuer::new();
    let inner = issuer.layer().optional();
    let outer = cookies(issuer.layer()).anonymous_if(ALL);
    let both = app(inner).layer(outer.clone());
    let (_, expired, _) = faulty(&issuer).remove(0);
    assert_eq!(with_cookie(&both, &expired).await.body, "- -");
    // The inner layer has a token, so the request is not anonymous for any reason.
    let own_source = issuer.layer().sources([TokenSource::header("x-token")]);
    let app = app(own_source).layer(outer);
    let cookie = format!("{COOKIE}={expired}");
    let good = issuer.token("alice").sign();
    let headers = [("cookie", &*cookie), ("x-token", &good)];
    let answer = ask(&app, "GET", "/", &headers).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "alice -"));
}

#[test]
#[should_panic(expected = "no fault of a token is named")]
fn no_fault_is_a_mistake() {
    let key = VerifyingKey::hs256([7; 32]).unwrap();
    let _ = JwtAuthLayer::new(key).anonymous_if([]);
}

/// A service of plain tower can read the reason too.
#[tokio::test]
async fn the_reason_is_in_the_extensions_of_the_request() {
    use tower::{Layer, ServiceExt, service_fn};

    let issuer = TestIssuer::new();
    let layer = cookies(issuer.layer()).anonymous_if([TokenFault::Expired]);
    let service = layer.layer(service_fn(async |request: Request<()>| {
        let reason: &AuthError = request.extensions().get().unwrap();
        assert_eq!(
            reason.kind(),
            AuthErrorKind::InvalidToken(VerifyErrorKind::Expired)
        );
        Ok::<_, Infallible>(http::Response::new(Body::empty()))
    }));
    let (_, expired, _) = faulty(&issuer).remove(0);
    let request = Request::get("/").header("cookie", format!("{COOKIE}={expired}"));
    let response = service.oneshot(request.body(()).unwrap()).await.unwrap();
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
}
