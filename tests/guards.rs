//! Holds guards to what they allow and reject, as layers and as extractors.
#![cfg(all(feature = "axum", feature = "testing"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics fails"
)]

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/answer.rs"]
mod answer;

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use answer::{Answer, send};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::keys::Algorithm;
use tower_jwt_auth::testing::{TestIssuer, TestToken};
use tower_jwt_auth::{
    Allowed, AuthError, AuthErrorKind, Claims, JwtAuthLayer, Permission, Require, TrustedIssuer,
    VerifiedToken, VerifyError, VerifyErrorKind,
};

#[derive(Deserialize)]
struct Roles {
    roles: Vec<String>,
}

fn role(name: &'static str) -> Require {
    Require::claims(move |claims: &Roles| claims.roles.iter().any(|role| role == name))
}

impl Answer {
    /// 403 `insufficient_scope`, which names these scopes.
    #[track_caller]
    fn forbidden(&self, scope: Option<&str>) {
        assert_eq!(self.status, StatusCode::FORBIDDEN);
        let error = self.error.as_ref().unwrap();
        assert_eq!(error.kind(), AuthErrorKind::InsufficientScope);
        assert_eq!(error.scope(), scope);
        if let Some(scope) = scope {
            // The log names them too, or the claim that does not decode.
            let reason = error.source().unwrap();
            assert!(
                reason.is::<VerifyError>()
                    || reason.to_string() == format!("expected scope: {scope:?}")
            );
        }
        let mut challenge = r#"Bearer realm="api", error="insufficient_scope", error_description="The access token does not allow this.""#.to_owned();
        if let Some(scope) = scope {
            challenge += &format!(r#", scope="{scope}""#);
        }
        assert_eq!(self.headers[WWW_AUTHENTICATE], challenge.as_str());
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(
            self.body,
            r#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"The access token does not allow this.","code":"insufficient_scope"}"#
        );
    }
}

async fn ask(app: &Router, token: TestToken) -> Answer {
    let request = Request::get("/").header("authorization", token.bearer());
    send(app, request.body(Body::empty()).unwrap()).await
}

fn guarded(issuer: &TestIssuer, guard: Require) -> Router {
    guarded_behind(issuer.layer(), guard)
}

fn guarded_behind(layer: JwtAuthLayer, guard: Require) -> Router {
    Router::new()
        .route("/", get(async || "in"))
        .route_layer(guard)
        .layer(layer)
}

#[tokio::test]
async fn a_scope() {
    let issuer = TestIssuer::new();
    let app = guarded(&issuer, Require::scope("notes:read"));
    let with = |scope: Value| issuer.token("alice").claim("scope", scope);
    let answer = ask(&app, with(json!("notes:write notes:read"))).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "in"));
    ask(&app, with(json!("notes:write")))
        .await
        .forbidden(Some("notes:read"));
    ask(&app, issuer.token("alice"))
        .await
        .forbidden(Some("notes:read"));
    let scp = issuer.token("alice").claim("scp", json!(["notes:read"]));
    assert_eq!(ask(&app, scp).await.status, StatusCode::OK);
}

#[tokio::test]
async fn all_any_and_or() {
    let issuer = TestIssuer::new();
    let with = |scope: &str, roles: &[&str]| {
        let token = issuer.token("alice").claim("scope", scope);
        token.claim("roles", json!(roles))
    };
    let all = guarded(&issuer, Require::all_scopes(["a", "b"]));
    assert_eq!(ask(&all, with("b c a", &[])).await.status, StatusCode::OK);
    ask(&all, with("a", &[])).await.forbidden(Some("a b"));

    let any = guarded(&issuer, Require::any_scope(["a", "b"]));
    assert_eq!(ask(&any, with("b", &[])).await.status, StatusCode::OK);
    ask(&any, with("c", &[])).await.forbidden(Some("a b"));

    let both = guarded(&issuer, Require::scope("a").and(role("admin")));
    assert_eq!(
        ask(&both, with("a", &["admin"])).await.status,
        StatusCode::OK
    );
    ask(&both, with("a", &["user"])).await.forbidden(Some("a"));
    ask(&both, with("b", &["admin"])).await.forbidden(Some("a"));

    let either = guarded(&issuer, Require::scope("a").or(role("admin")));
    assert_eq!(ask(&either, with("a", &[])).await.status, StatusCode::OK);
    assert_eq!(
        ask(&either, with("", &["admin"])).await.status,
        StatusCode::OK
    );
    ask(&either, with("", &[])).await.forbidden(Some("a"));

    let roles = guarded(&issuer, role("admin"));
    ask(&roles, with("a", &[])).await.forbidden(None);
    let keycloak = Require::scope("admin").at(["realm_access", "roles"]);
    let keycloak = guarded(&issuer, keycloak);
    let token = issuer.token("alice");
    let token = token.claim("realm_access", json!({ "roles": ["admin"] }));
    assert_eq!(ask(&keycloak, token).await.status, StatusCode::OK);
    // A client cannot ask for a role. The log names it.
    let answer = ask(&keycloak, issuer.token("alice")).await;
    answer.forbidden(None);
    let reason = answer.error.unwrap();
    let reason = reason.source().unwrap().to_string();
    assert_eq!(reason, r#"expected scope: "admin""#);
}

#[tokio::test]
async fn claims_of_another_type_hold_nothing() {
    let issuer = TestIssuer::new();
    let app = guarded(&issuer, role("admin"));
    for roles in [
        json!(null),
        json!("admin"),
        json!({ "admin": true }),
        json!([1]),
    ] {
        let answer = ask(&app, issuer.token("alice").claim("roles", roles)).await;
        answer.forbidden(None);
        let error = answer.error.unwrap();
        assert!(
            error
                .source()
                .unwrap()
                .to_string()
                .contains("requested type")
        );
    }
    // But another condition may hold.
    let either = guarded(&issuer, role("admin").or(Require::scope("a")));
    let token = issuer.token("alice").claim("scope", "a");
    assert_eq!(ask(&either, token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_condition_on_the_token() {
    let issuer = TestIssuer::new();
    let app = guarded(
        &issuer,
        Require::token(|token| {
            token.algorithm() == Some(Algorithm::HS256) && token.subject() == Some("alice")
        }),
    );
    assert_eq!(
        ask(&app, issuer.token("alice")).await.status,
        StatusCode::OK
    );
    ask(&app, issuer.token("bob")).await.forbidden(None);
}

/// A router that trusts our issuer and a partner.
fn with_partner(ours: &TestIssuer, partner: &TestIssuer, guard: Require) -> Router {
    let trusted = [
        TrustedIssuer::new("https://id.example.com", ours.key()),
        TrustedIssuer::new("https://id.partner.example", partner.key()),
    ];
    let layer = JwtAuthLayer::new(trusted).any_audience();
    guarded_behind(layer.clock(ours.clock().clone()), guard)
}

#[tokio::test]
async fn a_partner_does_not_become_our_admin() {
    let (ours, partner) = (TestIssuer::new(), TestIssuer::new());
    let admin = || Require::scope("admin").at(["roles"]);
    let our_name = "https://id.example.com";
    let of = |issuer: &TestIssuer, name: &str, role: &str| {
        let token = issuer.token("alice").claim("iss", name);
        token.claim("roles", json!([role]))
    };
    let our_admin = || of(&ours, our_name, "admin");
    let our_user = || of(&ours, our_name, "user");
    let partner_name = "https://id.partner.example";
    let their_admin = || of(&partner, partner_name, "admin");

    // The role alone is whatever a partner writes into its tokens.
    let app = with_partner(&ours, &partner, admin());
    assert_eq!(ask(&app, their_admin()).await.status, StatusCode::OK);

    let issuer = || Require::issuer(our_name);
    let member = || Require::claims_async(|_: Arc<Roles>| async { true });
    for guard in [
        issuer().and(admin()),
        admin().and(issuer()),
        issuer().and(role("admin")),
        issuer().and(admin()).and(member()),
        Require::any_issuer(["https://else.example", our_name]).and(admin()),
    ] {
        let app = with_partner(&ours, &partner, guard);
        assert_eq!(ask(&app, our_admin()).await.status, StatusCode::OK);
        assert_eq!(ask(&app, our_user()).await.status, StatusCode::FORBIDDEN);
        let answer = ask(&app, their_admin()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        // Its keys are not ours.
        let forged = of(&partner, our_name, "admin");
        assert_eq!(ask(&app, forged).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn one_of_several_issuers_byte_for_byte() {
    let (ours, partner) = (TestIssuer::new(), TestIssuer::new());
    let token = || ours.token("alice").claim("iss", "https://id.example.com");
    let status = async |guard| {
        ask(&with_partner(&ours, &partner, guard), token())
            .await
            .status
    };
    let both =
        Require::issuer("https://else.example").or(Require::issuer("https://id.example.com"));
    assert_eq!(status(both).await, StatusCode::OK);
    for name in [
        "https://id.example.com/",
        "https://ID.example.com",
        "https://id.example",
    ] {
        assert_eq!(status(Require::issuer(name)).await, StatusCode::FORBIDDEN);
    }
}

/// The claims of two issuers. `iss` is the tag, so the verified issuer chooses the variant.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(tag = "iss")]
enum Caller {
    #[serde(rename = "https://id.example.com")]
    Employee(Employee),
    #[serde(rename = "https://id.partner.example")]
    Partner(Partner),
}

#[derive(Debug, Deserialize, PartialEq)]
struct Employee {
    department: String,
    #[serde(default)]
    level: Option<u64>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Partner {
    company: String,
    exp: NumericDate,
}

/// The same without a tag: the first variant that decodes counts.
#[derive(Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only decoded")]
enum Untagged {
    Employee(Employee),
    Partner(Partner),
}

#[tokio::test]
async fn d09_the_verified_issuer_chooses_the_claims_type() {
    async fn caller(Claims(caller): Claims<Caller>, token: VerifiedToken) -> String {
        assert!(token.issuer().is_some(), "`iss` is there beside the tag");
        match &*caller {
            Caller::Employee(employee) => format!("employee of {}", employee.department),
            Caller::Partner(partner) => format!("partner of {}", partner.company),
        }
    }
    async fn untagged(Claims(caller): Claims<Untagged>) -> &'static str {
        match &*caller {
            Untagged::Employee(_) => "employee",
            Untagged::Partner(_) => "partner",
        }
    }
    let (ours, partner) = (TestIssuer::new(), TestIssuer::new());
    let layer = JwtAuthLayer::new([
        TrustedIssuer::new("https://id.example.com", ours.key()),
        TrustedIssuer::new("https://id.partner.example", partner.key()),
    ]);
    let app = Router::new()
        .route("/", get(caller))
        .route("/untagged", get(untagged))
        .layer(layer.clock(ours.clock().clone()));
    let of_ours = || {
        let token = ours.token("u1").claim("iss", "https://id.example.com");
        token.claim("department", "sales")
    };
    let of_partner = || {
        let token = partner.token("u1");
        let token = token.claim("iss", "https://id.partner.example");
        token.claim("company", "acme")
    };
    // The second time from the cache, where the claims are kept decoded.
    let [employee, partners] = [of_ours(), of_partner()].map(|token| token.bearer());
    for _ in 0..3 {
        for (bearer, expected) in [
            (&employee, "employee of sales"),
            (&partners, "partner of acme"),
        ] {
            let request = Request::get("/").header("authorization", bearer);
            let answer = send(&app, request.body(Body::empty()).unwrap()).await;
            assert_eq!((answer.status, &*answer.body), (StatusCode::OK, expected));
        }
    }
    // A partner that writes what our tokens say stays a partner, or is refused.
    let copied = || of_partner().claim("department", "board").claim("level", 9);
    assert_eq!(ask(&app, copied()).await.body, "partner of acme");
    for token in [
        copied().claim("company", Value::Null),
        partner
            .token("u1")
            .claim("iss", "https://id.partner.example")
            .claim("department", "board"),
        copied().claim("iss", json!(["https://id.example.com"])),
        copied().claim("iss", "https://id.example.com"),
        copied().claim("iss", "Employee"),
        of_ours().claim("level", "9"),
    ] {
        assert_eq!(ask(&app, token).await.status, StatusCode::UNAUTHORIZED);
    }
    // That is why the guide warns of `untagged`.
    let request = Request::get("/untagged").header("authorization", copied().bearer());
    let answer = send(&app, request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.body, "employee");

    // The log names the type and the claim that is missing.
    let missing = ours.token("u1").claim("iss", "https://id.example.com");
    let error = ask(&app, missing).await.error.unwrap();
    let reason = error.source().unwrap().source().unwrap().to_string();
    assert!(
        reason.contains("Caller` needs the claim `department`"),
        "{reason}"
    );
}

#[test]
#[should_panic(expected = "no issuer is required")]
fn one_of_no_issuers() {
    let _ = Require::any_issuer(Vec::<&str>::new());
}

#[test]
#[should_panic(expected = "the issuer is empty")]
fn an_issuer_without_a_name() {
    let _ = Require::issuer("");
}

#[tokio::test]
async fn two_guards_and_every_extractor_see_the_claims() {
    struct WriteNotes;
    impl Permission for WriteNotes {
        fn require() -> Require {
            Require::scope("c")
        }
    }
    async fn handler(
        _: Allowed<WriteNotes>,
        Claims(first): Claims<Value>,
        Claims(second): Claims<Value>,
        token: VerifiedToken,
        optional: Option<Claims<Value>>,
    ) -> String {
        assert_eq!(first, second);
        assert!(optional.is_some());
        token.subject().unwrap().to_owned()
    }
    let issuer = TestIssuer::new();
    let app = Router::new()
        .route("/", get(handler))
        .route_layer(Require::scope("b"))
        .route_layer(Require::scope("a"))
        .layer(issuer.layer());
    let with = |scope: &str| issuer.token("alice").claim("scope", scope);
    let answer = ask(&app, with("a b c")).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "alice"));
    ask(&app, with("b c")).await.forbidden(Some("a"));
    ask(&app, with("a c")).await.forbidden(Some("b"));
    ask(&app, with("a b")).await.forbidden(Some("c"));
}

#[tokio::test(start_paused = true)]
async fn an_asynchronous_condition() {
    let issuer = TestIssuer::new();
    let guard = Require::claims_async(|claims: Arc<Value>| async move {
        tokio::time::sleep(Duration::from_millis(900)).await;
        match claims["sub"].as_str() {
            Some("alice") => Ok(true),
            Some("bob") => Ok(false),
            _ => Err(io::Error::other("the database of carol is down")),
        }
    });
    let app = guarded(&issuer, guard);
    assert_eq!(
        ask(&app, issuer.token("alice")).await.status,
        StatusCode::OK
    );
    ask(&app, issuer.token("bob")).await.forbidden(None);
    let answer = ask(&app, issuer.token("carol")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers[RETRY_AFTER], "1");
    assert!(!answer.body.contains("carol"));
    let error = answer.error.unwrap();
    assert_eq!(error.kind(), AuthErrorKind::Unavailable);
    assert_eq!(
        error.source().unwrap().to_string(),
        "the database of carol is down"
    );
}

#[tokio::test(start_paused = true)]
async fn an_asynchronous_condition_that_hangs_has_a_deadline() {
    struct Hanging;
    impl Permission for Hanging {
        fn require() -> Require {
            hanging()
        }
    }
    fn hanging() -> Require {
        Require::claims_async(|_: Arc<Value>| std::future::pending::<bool>())
    }
    let issuer = TestIssuer::new();
    let short = || hanging().deadline(Duration::from_millis(70));
    let long = || hanging().deadline(Duration::from_secs(5));
    let holds = || Require::token(|_| true);
    let extractor = Router::new()
        .route("/", get(async |_: Allowed<Hanging>| "in"))
        .layer(issuer.layer());
    for (app, deadline) in [
        (guarded(&issuer, hanging()), 1000),
        (guarded(&issuer, short()), 70),
        (guarded(&issuer, holds().and(short())), 70),
        (guarded(&issuer, short().and(holds())), 70),
        (guarded(&issuer, short().or(holds())), 70),
        (guarded(&issuer, short().and(hanging()).or(hanging())), 70),
        (guarded(&issuer, long().and(holds())), 5000),
        (guarded(&issuer, Require::token(|_| false).or(long())), 5000),
        (guarded(&issuer, long().and(short())), 70),
        (extractor, 1000),
    ] {
        let start = tokio::time::Instant::now();
        let answer = ask(&app, issuer.token("alice")).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(start.elapsed(), Duration::from_millis(deadline));
    }
    // What need not be asked is not waited for.
    for app in [
        guarded(&issuer, holds().or(hanging())),
        guarded(&issuer, Require::token(|_| false).and(hanging())),
    ] {
        let start = tokio::time::Instant::now();
        let status = ask(&app, issuer.token("alice")).await.status;
        assert_ne!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

#[tokio::test]
async fn no_token_and_no_layer() {
    struct Anything;
    impl Permission for Anything {
        fn require() -> Require {
            Require::token(|_| true)
        }
    }
    let issuer = TestIssuer::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let handler = get(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { "in" }
    });
    let routes = Router::new()
        .route("/", handler)
        .route_layer(Require::token(|_| true))
        .route("/extractor", get(async |_: Allowed<Anything>| "in"));
    let optional = routes.clone().layer(issuer.layer().optional());
    for path in ["/", "/extractor"] {
        let request = || Request::get(path).body(Body::empty()).unwrap();
        let answer = send(&optional, request()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.headers[WWW_AUTHENTICATE], r#"Bearer realm="api""#);
        let answer = send(&routes, request()).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.error.unwrap().kind(), AuthErrorKind::MissingLayer);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_guard_answers_in_the_layers_own_words() {
    let issuer = TestIssuer::new();
    let layer = issuer.layer().respond(|error: &AuthError| {
        let body = Body::from(format!("no: {}", error.scope().unwrap_or_default()));
        let mut response = Response::new(body);
        *response.status_mut() = error.status();
        response
    });
    let app = Router::new()
        .route("/", get(async || "in"))
        .route_layer(Require::scope("a"))
        .layer(layer);
    let answer = ask(&app, issuer.token("alice")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.body, "no: a");
    assert!(answer.headers.contains_key(WWW_AUTHENTICATE));
}

#[tokio::test]
async fn only_403_tells_of_a_guard() {
    // A bad token is refused before any guard looks at it.
    let issuer = TestIssuer::new();
    let app = guarded(&issuer, Require::scope("a"));
    let stranger = TestIssuer::new();
    let answer = ask(&app, stranger.token("alice")).await;
    assert_eq!(
        answer.error.unwrap().kind(),
        AuthErrorKind::InvalidToken(VerifyErrorKind::BadSignature)
    );
    assert!(
        !answer.headers[WWW_AUTHENTICATE]
            .to_str()
            .unwrap()
            .contains("scope")
    );
    let open = guarded(&issuer, Require::token(|_| true));
    let answer = ask(&open, issuer.token("alice")).await;
    let plain = Router::new()
        .route("/", get(async || "in"))
        .layer(issuer.layer());
    let expected = ask(&plain, issuer.token("alice")).await;
    assert_eq!(answer.headers, expected.headers);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_guard_calls_the_service_that_was_ready() {
    let issuer = TestIssuer::new();
    let guard = Require::claims_async(|claims: Arc<Value>| async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        claims["sub"] == "alice"
    });
    let inner = tower::service_fn(async |request: Request<()>| {
        assert!(request.extensions().get::<VerifiedToken>().is_some());
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let inner = ServiceBuilder::new().concurrency_limit(1).service(inner);
    let mut service = ServiceBuilder::new()
        .layer(
            issuer
                .layer()
                .respond(tower_jwt_auth::middleware::EmptyBody),
        )
        .layer(guard)
        .service(inner);
    let request = |subject: &str| {
        let token = issuer.token(subject).bearer();
        Request::get("/")
            .header("authorization", token)
            .body(())
            .unwrap()
    };
    for _ in 0..10 {
        // Dropped while it waits: its place must be free again.
        let mut future = pin!(service.ready().await.unwrap().call(request("alice")));
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    let ready = service.ready().await.unwrap();
    let response = ready.call(request("alice")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let ready = service.ready().await.unwrap();
    let response = ready.call(request("bob")).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

/// A layer is built when the service starts, and panics there. A permission is built for each
/// request.
#[tokio::test]
async fn a_permission_that_is_built_wrongly_refuses_and_does_not_panic() {
    macro_rules! permissions {
        ($($name:ident: $require:expr;)+) => {{
            $(
                struct $name;
                impl Permission for $name {
                    fn require() -> Require {
                        $require
                    }
                }
            )+
            [$((stringify!($name), get(async |_: Allowed<$name>| "in"))),+]
        }};
    }
    let routes = permissions! {
        Space: Require::scope("notes write");
        Empty: Require::scope("");
        Quote: Require::all_scopes(["a", "\""]);
        Umlaut: Require::any_scope(["a", "\u{e4}"]);
        NoneOfNone: Require::any_scope(Vec::<String>::new());
        AllOfNone: Require::all_scopes(Vec::<String>::new());
        NoPath: Require::scope("a").at(Vec::<String>::new());
        NoScopes: Require::token(|_| true).at(["roles"]);
        NoTime: Require::token(|_| true).deadline(Duration::ZERO);
        // One alternative would hold: it is misuse all the same.
        Either: Require::scope("a").or(Require::scope("a b"));
        Both: Require::scope("a b").and(Require::scope("a"));
    };
    let issuer = TestIssuer::new();
    for (name, route) in routes {
        let app = Router::new().route("/", route).layer(issuer.layer());
        let token = issuer.token("alice").claim("scope", "a b notes write");
        let asked = tokio::spawn(async move { ask(&app, token).await }).await;
        let answer = asked.unwrap_or_else(|_| panic!("{name} panics at the request"));
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{name}");
        let error = answer.error.unwrap();
        assert_eq!(error.kind(), AuthErrorKind::Misconfigured);
        assert!(error.source().is_some());
    }
    // Outside of a request it is still a panic.
    assert!(std::panic::catch_unwind(|| Require::scope("a b")).is_err());
    assert!(std::panic::catch_unwind(|| Require::all_scopes([""; 0])).is_err());
    assert!(std::panic::catch_unwind(|| Require::scope("a").at([""; 0])).is_err());
    assert!(std::panic::catch_unwind(|| Require::scope("a").deadline(Duration::ZERO)).is_err());
}

#[test]
#[should_panic(expected = "`at` says where scopes stand")]
fn at_is_for_scopes() {
    let _ = role("admin").at(["roles"]);
}

#[test]
fn debug_shows_no_secret_and_no_claim() {
    let text = format!("{:?}", Require::scope("a").and(role("b")));
    assert_eq!(
        text,
        r#"Require { condition: All([Scopes { names: ["a"], requires_all: true, path: None }, Check]), deadline: 1s }"#
    );
    let service = Require::scope("a").layer(tower::util::BoxCloneService::new(tower::service_fn(
        async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())),
    )));
    drop(service);
}

#[tokio::test]
async fn a_claim_must_equal_a_value() {
    let issuer = TestIssuer::new();
    let guard = || Require::claim("client_id", "app").and(Require::claim("email_verified", true));
    let app = Router::new()
        .route("/", get(async || "in"))
        .route_layer(guard())
        .layer(issuer.layer());
    let ask = async |token: TestToken| {
        let request = Request::get("/").header("Authorization", token.bearer());
        send(&app, request.body(Body::empty()).unwrap()).await
    };
    let token = || {
        issuer
            .token("alice")
            .claim("client_id", "app")
            .claim("email_verified", true)
    };
    assert_eq!(ask(token()).await.status, StatusCode::OK);
    for token in [
        token().claim("client_id", "other"),
        token().claim("client_id", json!(["app"])),
        token().without("client_id"),
        token().claim("email_verified", false),
        token().claim("email_verified", "true"),
        token().claim("email_verified", Value::Null),
    ] {
        ask(token).await.forbidden(None);
    }
    let shown = format!("{:?}", Require::claim("azp", "app"));
    assert!(shown.contains("azp") && !shown.contains("app"), "{shown}");
}

#[test]
fn a_required_claim_is_a_plain_value() {
    for value in [Value::Null, json!([1]), json!({})] {
        assert!(std::panic::catch_unwind(|| Require::claim("a", value)).is_err());
    }
    assert!(std::panic::catch_unwind(|| Require::claim("", "a")).is_err());
}
