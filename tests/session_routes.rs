//! Holds the refresh and logout routes to what clients send: bodies, cookies, origins, and tokens
//! that are not read.
#![cfg(all(feature = "axum", feature = "testing"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics fails"
)]

#[path = "support/answer.rs"]
mod answer;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use answer::{Answer, send};
use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, HeaderMap};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::cookie::{CookieError, TokenCookie};
use tower_jwt_auth::keys::{Algorithm, SigningKey, TokenHeader};
use tower_jwt_auth::middleware::Respond;
use tower_jwt_auth::routes::{SessionCookies, SessionRoutes};
use tower_jwt_auth::session::{
    RefreshKeys, SessionErrorKind, SessionEventKind, SessionLimit, Sessions, TokenPair,
};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::testing::FailingStore;
use tower_jwt_auth::{AuthError, AuthErrorKind, Claims, TokenSource, TrustedIssuer};

type Store = FailingStore<MemoryStore>;

/// What the hook was told.
type Rejected = Arc<Mutex<Vec<AuthErrorKind>>>;

struct World {
    clock: ManualClock,
    store: Store,
    ended: Arc<Mutex<usize>>,
    rejected: Rejected,
    sessions: Sessions<Store>,
    app: Router,
}

fn sessions(store: Store, clock: &ManualClock, secret: u8) -> Sessions<Store> {
    let key = SigningKey::from_secret(Algorithm::HS256, [secret; 32]).unwrap();
    Sessions::new(store, key, RefreshKeys::new([secret; 32]).unwrap())
        .issuer("https://id.example.com")
        .audience("api")
        .clock(clock.clone())
}

fn world() -> World {
    world_with(SessionCookies::new().unwrap())
}

fn own_cookies(access: TokenCookie, refresh: TokenCookie) -> Result<SessionCookies, CookieError> {
    SessionCookies::new()?.with_cookies(access, refresh)
}

fn world_with(cookies: SessionCookies) -> World {
    let clock = ManualClock::at(1_800_000_000);
    let store = FailingStore::new(MemoryStore::with_clock(clock.clone()));
    let ended = Arc::new(Mutex::new(0));
    let heard = Arc::clone(&ended);
    let sessions = sessions(store.clone(), &clock, 1).on_event(move |event| {
        if event.kind == SessionEventKind::Ended {
            *heard.lock().unwrap() += 1;
        }
    });
    let rejected = Rejected::default();
    let counted = Arc::clone(&rejected);
    let routes = SessionRoutes::new(sessions.clone())
        .unwrap()
        .with_cookies(cookies)
        .trusted_origin("https://www.example.com")
        .on_rejection(move |error| counted.lock().unwrap().push(error.kind()));
    World {
        clock,
        store,
        ended,
        rejected,
        sessions,
        app: app(&routes),
    }
}

fn app<R>(routes: &SessionRoutes<Store, R>) -> Router
where
    R: Respond<Body> + Send + Sync + 'static,
{
    Router::new()
        .route(
            "/me",
            get(async |Claims(claims): Claims<Value>| claims.to_string()),
        )
        .layer(routes.layer())
        .route("/refresh", any(routes.refresh()))
        .route("/logout", any(routes.logout()))
}

impl World {
    async fn login(&self, name: &str) -> TokenPair {
        self.sessions
            .login(&self.sessions.subject_named(name))
            .await
            .unwrap()
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::post(path).header(HOST, "example.com");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        send(&self.app, request).await
    }

    async fn logout(&self, headers: &[(&str, &str)]) -> Answer {
        self.post("/logout", headers, "").await
    }

    async fn is_alive(&self, tokens: &TokenPair) -> bool {
        let request =
            Request::get("/me").header(AUTHORIZATION, format!("Bearer {}", tokens.access_token));
        let request = request.body(Body::empty()).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        response.status() == StatusCode::OK
    }
}

impl Answer {
    /// 204, and both cookies are deleted.
    #[track_caller]
    fn logged_out(&self) {
        assert_eq!(self.status, StatusCode::NO_CONTENT, "{}", self.body);
        assert_eq!(self.headers[CACHE_CONTROL], "no-store");
        let cookies = self.cookies();
        assert_eq!(cookies.len(), 2);
        assert!(cookies.iter().all(|cookie| cookie.contains("Max-Age=0;")));
    }

    /// This status, and no cookie is touched.
    #[track_caller]
    fn refused(&self, status: StatusCode) {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(self.cookies().is_empty());
        assert_eq!(self.headers[CACHE_CONTROL], "no-store");
    }
}

impl Answer {
    /// 400 with this code, as RFC 6749 §5.2 has it, and no cookie is touched.
    #[track_caller]
    fn refused_as_form(&self, code: &str) {
        self.refused(StatusCode::BAD_REQUEST);
        assert_eq!(self.headers["content-type"], "application/json");
        assert_eq!(self.headers["pragma"], "no-cache");
        let json: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(json["error"], code);
        assert!(json["error_description"].is_string());
    }
}

const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");
const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn access(tokens: &TokenPair) -> String {
    format!("__Host-access={}", tokens.access_token)
}

fn refresh(tokens: &TokenPair) -> String {
    format!("__Host-refresh={}", tokens.refresh_token)
}

/// Bodies without a token, as HTTP clients of browsers send them, with their content type.
const NO_TOKEN: [(Option<&str>, &str); 17] = [
    (None, ""),
    // axios and ky with `{}`, fetch with `JSON.stringify`.
    (Some("application/json"), "{}"),
    (Some("application/json;charset=utf-8"), " {} "),
    (Some("application/json"), "null"),
    (Some("application/json"), ""),
    (Some("application/json"), r#"{"refresh_token":null}"#),
    (
        Some("application/json"),
        r#"{"reason":"idle","deep":[{"a":[1]}]}"#,
    ),
    (
        Some("application/json"),
        r#"{"grant_type":"refresh_token"}"#,
    ),
    (Some("application/json"), r#"{"grant_type":null}"#),
    // A form with nothing in it, or with what a framework adds.
    (Some("application/x-www-form-urlencoded"), ""),
    (Some(FORM.1), "csrf=1&button="),
    (Some(FORM.1), "grant_type=refresh_token&scope=a"),
    (Some(FORM.1), "grant_type=&refresh_token="),
    (
        Some("application/x-www-form-urlencoded;charset=UTF-8"),
        "&&",
    ),
    // `navigator.sendBeacon`, and fetch with a text.
    (Some("text/plain;charset=UTF-8"), ""),
    (Some("text/plain;charset=UTF-8"), "{}"),
    (Some("multipart/form-data; boundary=x"), "--x--\r\n"),
];

#[tokio::test]
async fn l13_a_body_without_a_refresh_token_means_the_cookie() {
    for path in ["/refresh", "/logout"] {
        for (kind, body) in NO_TOKEN {
            let world = world();
            let tokens = world.login("alice").await;
            let cookies = format!("{}; {}", access(&tokens), refresh(&tokens));
            let mut headers = vec![("cookie", &*cookies)];
            headers.extend(kind.map(|kind| ("content-type", kind)));
            // From another site, or from who knows where: no.
            for site in [Some("cross-site"), Some("same-site"), None] {
                let mut headers = headers.clone();
                headers.extend(site.map(|site| ("sec-fetch-site", site)));
                let answer = world.post(path, &headers, body).await;
                answer.refused(StatusCode::FORBIDDEN);
            }
            assert!(world.is_alive(&tokens).await);
            headers.push(OWN);
            let answer = world.post(path, &headers, body).await;
            assert_eq!(answer.cookies().len(), 2, "{path} {kind:?} {body}");
            if path == "/logout" {
                answer.logged_out();
                assert!(!world.is_alive(&tokens).await);
            } else {
                assert_eq!(answer.status, StatusCode::OK);
                assert_eq!(answer.body, r#"{"expires_in":300}"#);
            }
        }
    }
}

#[tokio::test]
async fn l13_malformed_bodies_are_refused_whatever_the_cookie() {
    let world = world();
    let tokens = world.login("alice").await;
    let cookies = format!("{}; {}", access(&tokens), refresh(&tokens));
    let token = &tokens.refresh_token;
    for path in ["/refresh", "/logout"] {
        for (kind, body) in [
            (JSON.1, "{"),
            (JSON.1, "[]"),
            (JSON.1, "[{}]"),
            (JSON.1, "\"\""),
            (JSON.1, "0"),
            (JSON.1, "nul"),
            (JSON.1, "{} {}"),
            (JSON.1, "null null"),
            (JSON.1, &*format!(r#"["{token}"]"#)),
            (JSON.1, &format!("\"{token}\"")),
            (JSON.1, r#"{"refresh_token":1}"#),
            (JSON.1, r#"{"refresh_token":["a"]}"#),
            (JSON.1, r#"{"refresh_token":null,"refresh_token":"a"}"#),
            (JSON.1, r#"{"refresh_token":"a","refresh_token":"b"}"#),
            (JSON.1, &format!("{{\"x\":{}", "[".repeat(2000))),
            (JSON.1, &format!(r#"{{"x":"{}"}}"#, "a".repeat(5000))),
            // A token that is not read must not be taken for ended.
            (FORM.1, &format!(r#"{{"refresh_token":"{token}"}}"#)),
            (FORM.1, &format!("\r\n {{\"refresh_token\":\"{token}\"}}")),
            ("text/plain", &format!(r#"{{"refresh_token":"{token}"}}"#)),
            (
                "application/vnd.api+json",
                &format!(r#"{{"refresh_token":"{token}"}}"#),
            ),
            (
                "multipart/form-data; boundary=x",
                "--x\r\nContent-Disposition: form-data; name=\"refresh_token\"\r\n",
            ),
        ] {
            let headers = [("cookie", &*cookies), OWN, ("content-type", kind)];
            let answer = world.post(path, &headers, body).await;
            answer.refused(StatusCode::BAD_REQUEST);
        }
        let twice = [("cookie", &*cookies), OWN, JSON, JSON];
        let answer = world.post(path, &twice, "{}").await;
        answer.refused(StatusCode::BAD_REQUEST);
    }
    assert!(world.is_alive(&tokens).await);
}

/// As libraries for OAuth send it (RFC 6749 §6).
#[tokio::test]
async fn l13_a_form_is_answered_as_oauth_clients_expect() {
    let world = world();
    let bob = world.login("bob").await;
    let cookies = format!("{}; {}", access(&bob), refresh(&bob));
    for (before, after) in [
        ("", ""),
        ("grant_type=refresh_token&", ""),
        ("grant_type=refresh_token&client_id=app&", "&scope=a+b"),
        ("x=&y&", "&grant_type="),
    ] {
        let mut refresh_token = world.login("alice").await.refresh_token;
        for site in ["same-origin", "cross-site"] {
            let headers = [("cookie", &*cookies), FORM, ("sec-fetch-site", site)];
            let body = format!("{before}refresh_token={refresh_token}{after}");
            let answer = world.post("/refresh", &headers, &body).await;
            answer.refused(StatusCode::OK);
            assert_eq!(answer.headers["pragma"], "no-cache");
            assert_eq!(answer.headers["content-type"], "application/json");
            let json: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(json["token_type"], "Bearer");
            assert_eq!(json["expires_in"], 300);
            assert!(json["access_token"].is_string());
            refresh_token = json["refresh_token"].as_str().unwrap().to_owned();
        }
        let body = format!("{before}refresh_token={refresh_token}{after}");
        let headers = [("cookie", &*cookies), FORM];
        let answer = world.post("/logout", &headers, &body).await;
        answer.refused(StatusCode::NO_CONTENT);
        let answer = world.post("/refresh", &headers, &body).await;
        answer.refused_as_form("invalid_grant");
    }
    assert!(world.is_alive(&bob).await);
}

#[tokio::test]
async fn l13_a_malformed_form_is_refused_whatever_the_cookie() {
    let world = world();
    let tokens = world.login("alice").await;
    let cookies = format!("{}; {}", access(&tokens), refresh(&tokens));
    let token = format!("refresh_token={}", tokens.refresh_token);
    for path in ["/refresh", "/logout"] {
        for (body, code) in [
            (format!("{token}&{token}"), "invalid_request"),
            (format!("{token}&refresh_token="), "invalid_request"),
            (format!("{token}&refresh%5Ftoken=a"), "invalid_request"),
            (format!("{token}&x=1&x=1"), "invalid_request"),
            (
                format!("grant_type=refresh_token&grant_type=password&{token}"),
                "invalid_request",
            ),
            (
                format!("grant_type=password&{token}"),
                "unsupported_grant_type",
            ),
            (
                "grant_type=authorization_code".to_owned(),
                "unsupported_grant_type",
            ),
            (format!("x={}&{token}", "a".repeat(5000)), "invalid_request"),
            ("refresh_token=guess".to_owned(), "invalid_grant"),
            ("refresh_token=%ff".to_owned(), "invalid_grant"),
        ] {
            let headers = [("cookie", &*cookies), OWN, FORM];
            let answer = world.post(path, &headers, &body).await;
            answer.refused_as_form(code);
        }
        let body = json!({ "refresh_token": tokens.refresh_token, "grant_type": "password" });
        let headers = [("cookie", &*cookies), OWN, JSON];
        let answer = world.post(path, &headers, &body.to_string()).await;
        answer.refused(StatusCode::BAD_REQUEST);
    }
    assert!(world.is_alive(&tokens).await);
}

#[tokio::test]
async fn l13_an_outage_is_503_for_every_kind_of_body() {
    let world = world();
    let tokens = world.login("alice").await;
    let cookies = format!("{}; {}", access(&tokens), refresh(&tokens));
    let form = format!("refresh_token={}", tokens.refresh_token);
    let json = json!({ "refresh_token": tokens.refresh_token }).to_string();
    world.store.fail();
    for path in ["/refresh", "/logout"] {
        for (kind, body) in [(JSON, "{}"), (JSON, &*json), (FORM, &*form), (FORM, "")] {
            let answer = world
                .post(path, &[("cookie", &cookies), OWN, kind], body)
                .await;
            answer.refused(StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.headers["retry-after"], "1");
        }
    }
    world.store.recover();
    assert!(world.is_alive(&tokens).await);
}

/// A browser keeps the cookie from before the `Domain`, and sends both.
#[tokio::test]
async fn two_refresh_cookies_are_refused_until_the_next_login() {
    let of_domain = |name| {
        let cookie = TokenCookie::new(name).unwrap();
        cookie.domain("example.com").unwrap()
    };
    let cookies = own_cookies(of_domain("access"), of_domain("refresh")).unwrap();
    let world = world_with(cookies.clone());
    let (old, new) = (world.login("alice").await, world.login("alice").await);
    let both = format!(
        "refresh={}; refresh={}",
        old.refresh_token, new.refresh_token
    );
    let headers = [("cookie", &*both), OWN];
    let answer = world.post("/refresh", &headers, "").await;
    answer.refused(StatusCode::BAD_REQUEST);
    assert!(answer.body.contains("Log in again"), "{}", answer.body);
    // A login deletes the old one before it sets the new one.
    let set = cookies.set(&new).unwrap();
    let set: Vec<_> = set.iter().map(|cookie| cookie.to_str().unwrap()).collect();
    assert_eq!(set.len(), 4);
    for (deleted, name) in set.iter().zip(["access", "refresh"]) {
        let attributes = "=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax";
        assert_eq!(*deleted, format!("{name}{attributes}"));
    }
    assert!(set[2..].iter().all(|cookie| cookie.contains("Domain=")));
    // So does a logout.
    let answer = world.logout(&headers).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.cookies().len(), 4);
    assert!(!world.is_alive(&old).await);
    assert!(!world.is_alive(&new).await);
}

/// The body decides: the client says by itself which token it means.
#[tokio::test]
async fn l13_a_refresh_token_in_the_body_decides_alone() {
    let world = world();
    for unknown in ["", r#","client":"app","n":null"#] {
        let (alice, bob) = (world.login("alice").await, world.login("bob").await);
        let cookies = format!("{}; {}", access(&bob), refresh(&bob));
        let body = format!(r#"{{"refresh_token":"{}"{unknown}}}"#, alice.refresh_token);
        for site in ["same-origin", "cross-site"] {
            let headers = [("cookie", &*cookies), JSON, ("sec-fetch-site", site)];
            let answer = world.post("/refresh", &headers, &body).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
            assert!(answer.cookies().is_empty());
            assert!(answer.body.contains("access_token"));
        }
        let answer = world
            .post("/logout", &[("cookie", &cookies), JSON, OWN], &body)
            .await;
        answer.refused(StatusCode::NO_CONTENT);
        assert!(!world.is_alive(&alice).await);
        assert!(world.is_alive(&bob).await);
        // An unreadable one is rejected, and the cookies are not used instead.
        let body = json!({ "refresh_token": "guess" }).to_string();
        for path in ["/refresh", "/logout"] {
            let answer = world
                .post(path, &[("cookie", &cookies), JSON, OWN], &body)
                .await;
            answer.refused(StatusCode::UNAUTHORIZED);
        }
        assert!(world.is_alive(&bob).await);
    }
}

#[tokio::test]
async fn l14_logout_deletes_unreadable_cookies() {
    let world = world();
    // Of keys that are gone.
    let others = sessions(world.store.clone(), &world.clock, 3);
    let old = others.login(&others.subject_named("alice")).await.unwrap();
    for cookies in [
        format!("{}; {}", access(&old), refresh(&old)),
        access(&old),
        refresh(&old),
        "__Host-access=x; __Host-refresh=y".to_owned(),
        "__Host-access=\u{e9}; __Host-refresh=\u{fe}".to_owned(),
        "__Host-access=; __Host-refresh=".to_owned(),
        "a=b".to_owned(),
    ] {
        for own in [OWN, ("sec-fetch-site", "none")] {
            world
                .logout(&[("cookie", &cookies), own])
                .await
                .logged_out();
        }
        for origin in ["https://example.com", "https://www.example.com"] {
            let own = ("origin", origin);
            world
                .logout(&[("cookie", &cookies), own])
                .await
                .logged_out();
        }
        for headers in [
            &[][..],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
        ] {
            let headers = [&[("cookie", &*cookies)], headers].concat();
            world.logout(&headers).await.refused(StatusCode::FORBIDDEN);
        }
    }
    // Nor by the header, of keys that are gone or for another service.
    for authorization in [
        format!("Bearer {}", old.access_token),
        "Bearer x".to_owned(),
        "Basic YTpi".to_owned(),
    ] {
        let headers = [("authorization", &*authorization), OWN];
        world.logout(&headers).await.logged_out();
        world
            .logout(&headers[..1])
            .await
            .refused(StatusCode::FORBIDDEN);
    }
    assert_eq!(*world.ended.lock().unwrap(), 0);
}

/// Another site's request carries no `SameSite` cookie. It must not log anybody out by
/// `Set-Cookie`.
#[tokio::test]
async fn l14_the_origin_is_checked_even_without_a_cookie() {
    let world = world();
    world.logout(&[OWN]).await.logged_out();
    let own = ("origin", "https://example.com");
    world.logout(&[own]).await.logged_out();
    for headers in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[OWN, OWN],
    ] {
        world.logout(headers).await.refused(StatusCode::FORBIDDEN);
        let json = [headers, &[JSON]].concat();
        let answer = world.post("/logout", &json, "{}").await;
        answer.refused(StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn l14_malformed_credentials_stay_400() {
    let world = world();
    let tokens = world.login("alice").await;
    let cookies = format!("{}; {}", access(&tokens), refresh(&tokens));
    for authorization in [&["Bearer"][..], &["Bearer a b"], &["Bearer a", "Bearer b"]] {
        let mut headers = vec![("cookie", &*cookies), OWN];
        headers.extend(authorization.iter().map(|value| ("authorization", *value)));
        world
            .logout(&headers)
            .await
            .refused(StatusCode::BAD_REQUEST);
    }
    assert!(world.is_alive(&tokens).await);
}

#[tokio::test]
async fn l15_logout_ends_every_session_that_a_token_names() {
    let world = world();
    let a = world.login("alice").await;
    let b = world.login("bob").await;
    let c = world.login("carol").await;
    let authorization = format!("Bearer {}", c.access_token);
    // Expired access tokens still name their session.
    world.clock.advance(Duration::from_secs(3600));
    let cookies = format!("{}; {}", access(&a), refresh(&b));
    let answer = world
        .logout(&[("cookie", &cookies), ("authorization", &authorization), OWN])
        .await;
    answer.logged_out();
    assert_eq!(*world.ended.lock().unwrap(), 3);
    for tokens in [&a, &b, &c] {
        assert!(world.sessions.refresh(&tokens.refresh_token).await.is_err());
    }
    // Once each, also where several tokens name one session.
    let a = world.login("alice").await;
    let cookies = format!("{}; {}", access(&a), refresh(&a));
    let authorization = format!("Bearer {}", a.access_token);
    let headers = [
        ("cookie", &*cookies),
        ("authorization", &*authorization),
        OWN,
    ];
    world.logout(&headers).await.logged_out();
    assert_eq!(*world.ended.lock().unwrap(), 4);
    world.logout(&headers).await.logged_out();
    assert_eq!(*world.ended.lock().unwrap(), 4);
}

/// It quotes the values, and adds attributes and a version (RFC 2965).
#[tokio::test]
async fn cookies_as_java_sends_them_are_read() {
    let world = world();
    let tokens = world.login("alice").await;
    let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
    let attributes = r#"$Path="/";$Domain="localhost.local""#;
    let headers = [
        ("cookie", r#"$Version="1""#),
        (
            "cookie",
            &format!(r#"__Host-access="{access}";{attributes}"#),
        ),
        (
            "cookie",
            &format!(r#"__Host-refresh="{refresh}";{attributes}"#),
        ),
        OWN,
    ];
    let refreshed = world.post("/refresh", &headers, "").await;
    assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.body);
    world.logout(&headers).await.logged_out();
    assert_eq!(*world.ended.lock().unwrap(), 1);
}

/// What cannot be read hides nothing that can.
#[tokio::test]
async fn l15_an_unreadable_token_does_not_block_a_logout() {
    let world = world();
    for bad in ["__Host-refresh=old", "__Host-access=old"] {
        let tokens = world.login("alice").await;
        let good = if bad.contains("refresh") {
            access(&tokens)
        } else {
            refresh(&tokens)
        };
        for authorization in ["Bearer old", "Basic eDp5"] {
            let cookies = format!("{bad}; {good}");
            let headers = [("cookie", &*cookies), ("authorization", authorization), OWN];
            world.logout(&headers).await.logged_out();
        }
        assert!(!world.is_alive(&tokens).await);
    }
}

/// A host of the same domain can set a cookie of the same name, unless its prefix forbids it.
#[tokio::test]
async fn l15_a_repeated_cookie_does_not_block_a_logout() {
    let named = |name| TokenCookie::new(name).unwrap();
    let cookies = own_cookies(named("access"), named("refresh")).unwrap();
    let world = world_with(cookies);
    let (alice, mallory) = (world.login("alice").await, world.login("mallory").await);
    let cookies = format!(
        "refresh=x; refresh={}; refresh={}; access={}; access=y",
        mallory.refresh_token, alice.refresh_token, alice.access_token
    );
    let answer = world
        .post("/refresh", &[("cookie", &cookies), OWN], "")
        .await;
    answer.refused(StatusCode::BAD_REQUEST);
    world
        .logout(&[("cookie", &cookies), OWN])
        .await
        .logged_out();
    assert!(!world.is_alive(&alice).await);
    assert!(!world.is_alive(&mallory).await);
    // There is a limit to what one request can make a server look at.
    let alice = world.login("alice").await;
    let many: Vec<_> = (0..1000).map(|n| format!("refresh={n}")).collect();
    let cookies = format!("{}; access={}", many.join("; "), alice.access_token);
    let answer = world.logout(&[("cookie", &cookies), OWN]).await;
    answer.refused(StatusCode::BAD_REQUEST);
    assert!(world.is_alive(&alice).await);
}

#[tokio::test]
async fn l15_a_store_that_fails_clears_nothing() {
    let world = world();
    let tokens = world.login("alice").await;
    world.store.fail();
    let authorization = format!("Bearer {}", tokens.access_token);
    let (access, refresh) = (access(&tokens), refresh(&tokens));
    for headers in [
        [("cookie", &*access), OWN],
        [("cookie", &*refresh), OWN],
        [("authorization", &*authorization), OWN],
    ] {
        let answer = world.logout(&headers).await;
        answer.refused(StatusCode::SERVICE_UNAVAILABLE);
    }
    // Nothing to be ended: nothing to be stored.
    world.logout(&[OWN]).await.logged_out();
    world.store.recover();
    assert!(world.is_alive(&tokens).await);
}

/// A client that is no browser says by itself whose session it means. Cookies are not touched then.
#[tokio::test]
async fn l15_an_authorization_header_needs_no_origin() {
    let world = world();
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let authorization = format!("Bearer {}", alice.access_token);
    let cookies = format!("{}; {}", access(&bob), refresh(&bob));
    for cookies in [&[("cookie", &*cookies)][..], &[]] {
        let headers = [&[("authorization", &*authorization)], cookies].concat();
        world.logout(&headers).await.refused(StatusCode::NO_CONTENT);
    }
    assert!(!world.is_alive(&alice).await);
    assert!(world.is_alive(&bob).await);
}

#[test]
fn i12_one_name_cannot_be_both_cookies() {
    let named = |name| TokenCookie::new(name).unwrap();
    let same = own_cookies(named("token"), named("token").path("/refresh").unwrap());
    assert_eq!(same.err(), Some(CookieError::SameName));
    assert!(own_cookies(named("access"), named("refresh")).is_ok());
}

/// One setting reaches refresh, logout, the layer and the login.
#[tokio::test]
async fn origins_trusted_by_a_predicate_are_trusted_by_all_routes() {
    let clock = ManualClock::at(1_800_000_000);
    let store = FailingStore::new(MemoryStore::with_clock(clock.clone()));
    let sessions = sessions(store, &clock, 1);
    let routes = SessionRoutes::new(sessions.clone())
        .unwrap()
        .trusted_origins_by(|origin| origin.host().ends_with(".preview.example"));
    let app = Router::new()
        .route("/notes", post(async || "saved"))
        .layer(routes.layer())
        .route("/login", post(async || "in").layer(routes.csrf_layer()))
        .route("/refresh", post(routes.refresh()))
        .route("/logout", post(routes.logout()));
    for (origin, trusted) in [
        ("https://a.preview.example", true),
        ("https://preview.example", false),
    ] {
        let tokens = sessions.login(&sessions.subject_named("alice")).await;
        let tokens = tokens.unwrap();
        for path in ["/login", "/notes", "/refresh", "/logout"] {
            let request = Request::post(path)
                .header(HOST, "example.com")
                .header("origin", origin)
                .header("cookie", format!("__Host-access={}", tokens.access_token))
                .header("cookie", format!("__Host-refresh={}", tokens.refresh_token));
            let answer = send(&app, request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status.is_success(), trusted, "{path} {origin}");
        }
    }
}

/// Browsers send such cookies with every site's requests, so the origin decides alone.
#[tokio::test]
async fn cookies_for_other_sites_serve_trusted_origins_only() {
    let cookies = SessionCookies::new().unwrap().cross_site().unwrap();
    let world = world_with(cookies.partitioned().unwrap());
    let tokens = world.login("alice").await;
    let cookies = format!("{}; {}", access(&tokens), refresh(&tokens));
    let cross_site = ("sec-fetch-site", "cross-site");
    for origin in ["https://evil.example", "null"] {
        for path in ["/refresh", "/logout"] {
            let headers = [("cookie", &*cookies), cross_site, ("origin", origin)];
            let answer = world.post(path, &headers, "").await;
            answer.refused(StatusCode::FORBIDDEN);
        }
    }
    let trusted = ("origin", "https://www.example.com");
    let headers = [("cookie", &*cookies), cross_site, trusted];
    let answer = world.post("/refresh", &headers, "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.cookies().len(), 2);
    for cookie in answer.cookies() {
        assert!(cookie.ends_with("; SameSite=None; Partitioned"), "{cookie}");
    }
    world.logout(&headers).await.logged_out();
}

/// The reason is in the extensions of the response, and the hook is told once.
#[tokio::test]
async fn every_refusal_has_a_typed_reason() {
    let world = world();
    let tokens = world.login("alice").await;
    let both = format!("__Host-refresh=x; {}", refresh(&tokens));
    let guess = json!({ "refresh_token": "guess" }).to_string();
    let cookie = refresh(&tokens);
    for (path, headers, body, kind) in [
        (
            "/refresh",
            &[OWN][..],
            "",
            AuthErrorKind::MissingRefreshToken,
        ),
        (
            "/refresh",
            &[("cookie", &*cookie)],
            "",
            AuthErrorKind::CrossSite,
        ),
        ("/logout", &[], "", AuthErrorKind::CrossSite),
        (
            "/refresh",
            &[("cookie", &*both), OWN],
            "",
            AuthErrorKind::SeveralRefreshTokens,
        ),
        (
            "/logout",
            &[("authorization", "Bearer a b"), OWN],
            "",
            AuthErrorKind::MalformedCredentials,
        ),
        (
            "/logout",
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
            "",
            AuthErrorKind::SeveralTokens,
        ),
        ("/refresh", &[JSON], "{", AuthErrorKind::MalformedBody),
        ("/logout", &[FORM], "a&a", AuthErrorKind::MalformedBody),
        (
            "/refresh",
            &[FORM],
            "grant_type=password",
            AuthErrorKind::UnsupportedGrantType,
        ),
        (
            "/refresh",
            &[JSON],
            &*guess,
            AuthErrorKind::Session(SessionErrorKind::InvalidToken),
        ),
        (
            "/logout",
            &[FORM],
            "refresh_token=guess",
            AuthErrorKind::Session(SessionErrorKind::InvalidToken),
        ),
    ] {
        let answer = world.post(path, headers, body).await;
        assert_eq!(answer.error.map(|error| error.kind()), Some(kind));
        assert_eq!(std::mem::take(&mut *world.rejected.lock().unwrap()), [kind]);
    }
    let request = Request::get("/refresh").body(Body::empty()).unwrap();
    let answer = send(&world.app, request).await;
    answer.refused(StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers["allow"], "POST");
    let kind = answer.error.map(|error| error.kind());
    assert_eq!(kind, Some(AuthErrorKind::MethodNotAllowed));
    world.store.fail();
    let headers = [("cookie", &*cookie), OWN];
    let answer = world.post("/refresh", &headers, "").await;
    let error = answer.error.unwrap();
    let unavailable = AuthErrorKind::Session(SessionErrorKind::Unavailable);
    assert_eq!(error.kind(), unavailable);
    assert!(std::error::Error::source(&error).is_some());
    world.store.recover();
    // What succeeds is no rejection.
    world.rejected.lock().unwrap().clear();
    let answer = world.post("/refresh", &headers, "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(world.rejected.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_routes_answer_with_the_responder_and_realm_of_the_service() {
    let clock = ManualClock::at(1_800_000_000);
    let store = FailingStore::new(MemoryStore::with_clock(clock.clone()));
    let sessions = sessions(store.clone(), &clock, 1);
    let respond = |error: &AuthError| (error.status(), "ours").into_response();
    let routes = SessionRoutes::new(sessions.clone()).unwrap();
    let routes = routes.realm("shop").respond(respond);
    let app = app(&routes);
    let request = |cookie: &str| {
        let request = Request::post("/refresh").header(OWN.0, OWN.1);
        let request = request.header("cookie", cookie).body(Body::empty());
        request.unwrap()
    };
    let answer = send(&app, request("a=b")).await;
    answer.refused(StatusCode::UNAUTHORIZED);
    assert_eq!(answer.body, "ours");
    assert_eq!(answer.headers["www-authenticate"], r#"Bearer realm="shop""#);
    let alice = sessions.subject_named("alice");
    let tokens = sessions.login(&alice).await.unwrap();
    store.fail();
    let answer = send(&app, request(&refresh(&tokens))).await;
    answer.refused(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.body, "ours");
    assert_eq!(answer.headers["retry-after"], "1");
    store.recover();
    // A session that has ended: the cookies go, whatever the responder does.
    sessions.end_session(tokens.sid).await.unwrap();
    let answer = send(&app, request(&refresh(&tokens))).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.body, "ours");
    assert_eq!(answer.cookies().len(), 2);
    assert_eq!(answer.headers["www-authenticate"], r#"Bearer realm="shop""#);
    // Clients of OAuth read the form of RFC 6749.
    let form = Request::post("/refresh").header(FORM.0, FORM.1);
    let form = form.body(Body::from("refresh_token=x")).unwrap();
    send(&app, form).await.refused_as_form("invalid_grant");
}

#[tokio::test]
async fn each_refresh_is_an_event() {
    let clock = ManualClock::at(1_800_000_000);
    let store = FailingStore::new(MemoryStore::with_clock(clock.clone()));
    let events: Arc<Mutex<Vec<_>>> = Arc::default();
    let heard = Arc::clone(&events);
    let sessions = sessions(store, &clock, 1).on_event(move |event| {
        heard.lock().unwrap().push((event.kind, event.sid));
    });
    let subject = sessions.subject_named("alice");
    let tokens = sessions.login(&subject).await.unwrap();
    events.lock().unwrap().clear();
    // Twice within the grace: both got tokens.
    for _ in 0..2 {
        sessions.refresh(&tokens.refresh_token).await.unwrap();
    }
    let refreshed = (SessionEventKind::Refreshed, Some(tokens.sid));
    assert_eq!(*events.lock().unwrap(), [refreshed, refreshed]);
    clock.advance(Duration::from_secs(60));
    assert!(sessions.refresh(&tokens.refresh_token).await.is_err());
    let reused = (SessionEventKind::ReuseDetected, Some(tokens.sid));
    assert_eq!(*events.lock().unwrap(), [refreshed, refreshed, reused]);
}

/// A login elsewhere ended the session, because the user had too many.
#[tokio::test]
async fn l18_cookies_of_a_session_that_the_limit_ended_are_cleared() {
    let world = world();
    let sessions = world
        .sessions
        .clone()
        .max_sessions(SessionLimit::EndOldest(1));
    let alice = sessions.subject_named("alice");
    let ended = sessions.login(&alice).await.unwrap();
    let live = sessions.login(&alice).await.unwrap();
    for (tokens, me, refreshed) in [
        (&ended, StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED),
        (&live, StatusCode::OK, StatusCode::OK),
    ] {
        let request = Request::get("/me").header("cookie", access(tokens));
        let answer = send(&world.app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, me);
        assert!(answer.cookies().is_empty());
        let headers = [OWN, ("cookie", &refresh(tokens))];
        let answer = world.post("/refresh", &headers, "").await;
        assert_eq!(answer.status, refreshed, "{}", answer.body);
        let is_cleared = |cookie: &&str| cookie.contains("Max-Age=0");
        let cleared = answer.cookies().into_iter().filter(is_cleared).count();
        assert_eq!(cleared > 0, refreshed == StatusCode::UNAUTHORIZED);
        assert_eq!(answer.cookies().len(), 2);
    }
}

#[tokio::test]
async fn a_login_that_the_limit_rejects_is_409() {
    let world = world();
    let sessions = world
        .sessions
        .clone()
        .max_sessions(SessionLimit::RejectLogin(1));
    let alice = sessions.subject_named("alice");
    sessions.login(&alice).await.unwrap();
    let response = sessions.login(&alice).await.unwrap_err().into_response();
    assert_eq!(response.status(), StatusCode::CONFLICT);
    assert!(!response.headers().contains_key("set-cookie"));
    let error: &AuthError = response.extensions().get().unwrap();
    let too_many = AuthErrorKind::Session(SessionErrorKind::TooManySessions);
    assert_eq!(
        (error.kind(), error.code()),
        (too_many, "too_many_sessions")
    );
    assert_eq!(too_many.name(), "too_many_sessions");
}

/// Claims for clients without cookies may be longer than a cookie. A cookie may not.
#[tokio::test]
async fn the_routes_leave_the_maximum_token_length_alone() {
    let clock = ManualClock::at(1_800_000_000);
    let name_length = Arc::new(Mutex::new(10));
    let length = Arc::clone(&name_length);
    let store = FailingStore::new(MemoryStore::with_clock(clock.clone()));
    let sessions = |most: Option<usize>| {
        let length = Arc::clone(&length);
        let sessions = sessions(store.clone(), &clock, 1).claims(move |_| {
            let claims = json!({ "name": "x".repeat(*length.lock().unwrap()) });
            async move { Ok::<_, std::convert::Infallible>(Some(claims)) }
        });
        match most {
            Some(most) => sessions.max_token_length(most),
            None => sessions,
        }
    };
    let routes = SessionRoutes::new(sessions(None)).unwrap();
    let app_of_all = app(&routes);
    let own = routes.sessions();
    let tokens = own.login(&own.subject_named("alice")).await.unwrap();
    *name_length.lock().unwrap() = 4000;
    let refused = own.login(&own.subject_named("alice")).await.unwrap_err();
    assert_eq!(refused.kind(), SessionErrorKind::TokenTooLong);
    let by_body = |token: &str| {
        let body = json!({ "refresh_token": token }).to_string();
        let request = Request::post("/refresh").header(JSON.0, JSON.1);
        request.body(Body::from(body)).unwrap()
    };
    let by_cookie = |cookie: &str| {
        let request = Request::post("/refresh").header(OWN.0, OWN.1);
        let request = request.header("cookie", cookie).body(Body::empty());
        request.unwrap()
    };
    let too_long = Some(AuthErrorKind::Session(SessionErrorKind::TokenTooLong));
    let kind = |answer: &Answer| answer.error.as_ref().map(AuthError::kind);
    let answer = send(&app_of_all, by_cookie(&refresh(&tokens))).await;
    answer.refused(StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(kind(&answer), too_long);
    // The refresh token has not been used.
    clock.advance(Duration::from_secs(60));
    let answer = send(&app_of_all, by_body(&tokens.refresh_token)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    // A lower maximum of your own stays too.
    let routes = SessionRoutes::new(sessions(Some(1000))).unwrap();
    *name_length.lock().unwrap() = 1000;
    let json: Value = serde_json::from_str(&answer.body).unwrap();
    let cookie = format!("__Host-refresh={}", json["refresh_token"].as_str().unwrap());
    let answer = send(&app(&routes), by_cookie(&cookie)).await;
    assert_eq!(kind(&answer), too_long);
    // A higher one applies to the layer and the logout too.
    *name_length.lock().unwrap() = 12_000;
    let sessions_of_all = sessions(Some(20_000));
    let partner = SigningKey::generate(Algorithm::ES256).unwrap();
    let partner = TrustedIssuer::new("https://partner.example", partner.verifying_key());
    let routes = SessionRoutes::new(sessions_of_all.clone()).unwrap();
    for routes in [routes.clone(), routes.trusted_issuer(partner)] {
        let app = app(&routes);
        let subject = sessions_of_all.subject_named("alice");
        let token = sessions_of_all.login(&subject).await.unwrap().access_token;
        assert!(token.len() > 12_000);
        for (method, path, status) in [
            ("GET", "/me", StatusCode::OK),
            ("POST", "/logout", StatusCode::NO_CONTENT),
            ("GET", "/me", StatusCode::UNAUTHORIZED),
        ] {
            let request = Request::builder().method(method).uri(path);
            let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            let answer = send(&app, request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, status, "{path}");
        }
    }
}

#[test]
#[should_panic(expected = "more than 64 KiB")]
fn no_token_is_longer_than_a_layer_accepts() {
    let clock = ManualClock::at(1);
    let store = FailingStore::new(MemoryStore::with_clock(clock.clone()));
    let _ = sessions(store, &clock, 1).max_token_length(64 * 1024 + 1);
}

/// A login ends the session that the browser had before.
#[tokio::test]
async fn the_session_of_a_cookie_is_found_for_the_next_login() {
    let clock = ManualClock::at(1_800_000_000);
    let store = FailingStore::new(MemoryStore::with_clock(clock.clone()));
    let sessions = sessions(store, &clock, 1);
    let routes = SessionRoutes::new(sessions.clone()).unwrap();
    let alice = sessions.subject_named("alice");
    let [a, b] = [
        sessions.login(&alice).await.unwrap(),
        sessions.login(&alice).await.unwrap(),
    ];
    let session_of = |cookies: &[&str]| {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append("cookie", cookie.parse().unwrap());
        }
        routes.session_of_cookie(&headers)
    };
    let (of_a, of_b) = (refresh(&a), refresh(&b));
    assert_eq!(session_of(&["x=y", &of_a]), Some(a.sid));
    assert_eq!(session_of(&[&of_a, &of_a]), Some(a.sid));
    // An expired one, or one of an ended session, is authentic still.
    clock.advance(Duration::from_secs(100 * 24 * 60 * 60));
    assert_eq!(session_of(&[&of_a]), Some(a.sid));
    let forged = format!("{of_a}A");
    let access = format!("__Host-refresh={}", a.access_token);
    for cookies in [
        &[][..],
        &["__Host-refresh="],
        &[&*forged],
        &[&*access],
        &[&*of_a, &*of_b],
    ] {
        assert_eq!(session_of(cookies), None);
    }
    let without = SessionRoutes::without_cookies(sessions);
    let mut headers = HeaderMap::new();
    headers.append("cookie", of_a.parse().unwrap());
    assert_eq!(without.session_of_cookie(&headers), None);
}

#[test]
fn a_handler_may_return_the_error_of_a_cookie() {
    let response = CookieError::TooLarge.into_response();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let error: &AuthError = response.extensions().get().unwrap();
    assert_eq!(error.kind(), AuthErrorKind::Misconfigured);
    let source = std::error::Error::source(error).unwrap();
    assert_eq!(source.to_string(), CookieError::TooLarge.to_string());
}

/// The layer, the login and the handlers have one set of settings.
#[tokio::test]
async fn the_layer_and_the_login_have_the_settings_of_the_routes() {
    let clock = ManualClock::at(1_800_000_000);
    let store = FailingStore::new(MemoryStore::with_clock(clock.clone()));
    let sessions = sessions(store, &clock, 1);
    let respond = |error: &AuthError| (error.status(), "ours").into_response();
    let routes = SessionRoutes::new(sessions.clone()).unwrap();
    let routes = routes.realm("shop").respond(respond);
    let routes = routes.trusted_origin("https://www.example.com");
    let login = {
        let routes = routes.clone();
        async move || {
            let sessions = routes.sessions();
            let tokens = sessions.login(&sessions.subject_named("alice")).await?;
            Ok::<_, axum::response::ErrorResponse>((
                StatusCode::CREATED,
                routes.logged_in(&tokens)?,
            ))
        }
    };
    let app = Router::new()
        .route("/notes", any(async || "saved"))
        .layer(routes.layer())
        .route("/login", any(login).layer(routes.csrf_layer()));
    let post = async |path: &str, origin: &str, cookie: &str| {
        let request = Request::post(path).header("sec-fetch-site", "same-site");
        let request = request.header("origin", origin).header("cookie", cookie);
        send(&app, request.body(Body::empty()).unwrap()).await
    };
    let (own, evil) = ("https://www.example.com", "https://evil.example.com");
    let answer = post("/login", evil, "").await;
    answer.refused(StatusCode::FORBIDDEN);
    assert_eq!(answer.body, "ours");
    let answer = post("/login", own, "").await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.headers[CACHE_CONTROL], "no-store");
    let set = answer.cookies();
    assert!(set[0].starts_with("__Host-access=") && set[1].starts_with("__Host-refresh="));
    let cookie = set[0].split(';').next().unwrap();
    assert_eq!(post("/notes", own, cookie).await.status, StatusCode::OK);
    let answer = post("/notes", evil, cookie).await;
    answer.refused(StatusCode::FORBIDDEN);
    assert_eq!(answer.body, "ours");
    let answer = post("/notes", own, "").await;
    answer.refused(StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers["www-authenticate"], r#"Bearer realm="shop""#);
}

#[tokio::test]
async fn routes_without_cookies_neither_read_nor_set_any() {
    let clock = ManualClock::at(1_800_000_000);
    let store = FailingStore::new(MemoryStore::with_clock(clock.clone()));
    let sessions = sessions(store, &clock, 1);
    let routes = SessionRoutes::without_cookies(sessions.clone());
    let app = app(&routes);
    let alice = sessions.subject_named("alice");
    let tokens = sessions.login(&alice).await.unwrap();
    assert_eq!(
        routes.logged_in(&tokens).unwrap_err(),
        CookieError::NotConfigured
    );
    let cookies = format!("{}; {}", access(&tokens), refresh(&tokens));
    let bearer = format!("Bearer {}", tokens.access_token);
    let ask = async |method: &str, path: &str, headers: &[(&str, &str)]| {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(&app, request.body(Body::empty()).unwrap()).await
    };
    let with_cookies = [("cookie", &*cookies), OWN];
    for (method, path, kind) in [
        ("GET", "/me", AuthErrorKind::MissingToken),
        ("POST", "/refresh", AuthErrorKind::MissingRefreshToken),
        ("POST", "/logout", AuthErrorKind::MissingToken),
    ] {
        let answer = ask(method, path, &with_cookies).await;
        assert_eq!(answer.error.as_ref().map(AuthError::kind), Some(kind));
        answer.refused(StatusCode::UNAUTHORIZED);
    }
    let headers = [("authorization", &*bearer), ("cookie", &*cookies)];
    assert_eq!(ask("GET", "/me", &headers).await.status, StatusCode::OK);
    let answer = ask("POST", "/logout", &headers).await;
    answer.refused(StatusCode::NO_CONTENT);
    let answer = ask("GET", "/me", &headers).await;
    answer.refused(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_layer_is_open_to_further_issuers_and_sources() {
    let clock = ManualClock::at(1_800_000_000);
    let store = FailingStore::new(MemoryStore::with_clock(clock.clone()));
    let sessions = sessions(store.clone(), &clock, 1);
    let partner = SigningKey::from_secret(Algorithm::HS256, [7; 32]).unwrap();
    let claims = |issuer: &str, audience: &str, sid: &str| {
        json!({ "iss": issuer, "sub": "alice", "aud": audience, "sid": sid, "jti": "1",
            "iat": 1_800_000_000, "exp": 1_800_000_300 })
    };
    let header = TokenHeader::new().typ("at+jwt");
    let sign = |claims: &Value| partner.sign_with(&header, claims).unwrap();
    let issuer = "https://id.partner.example";
    let trusted = TrustedIssuer::new(issuer, partner.verifying_key()).audience("partner-api");
    let routes = SessionRoutes::new(sessions.clone()).unwrap();
    let routes = routes.trusted_issuer(trusted.clone());
    let app = Router::new()
        .route("/me", any(async || "me"))
        .layer(routes.layer().source(TokenSource::header("x-token")))
        .route("/logout", any(routes.logout()));
    let me = async |headers: &[(&str, &str)]| {
        let mut request = Request::get("/me");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(&app, request.body(Body::empty()).unwrap())
            .await
            .status
    };
    let tokens = sessions.login(&sessions.subject_named("alice")).await;
    let tokens = tokens.unwrap();
    assert_eq!(me(&[("cookie", &access(&tokens))]).await, StatusCode::OK);
    assert_eq!(
        me(&[("x-token", &tokens.access_token)]).await,
        StatusCode::OK
    );
    let sid = tokens.sid.to_string();
    let theirs = sign(&claims(issuer, "partner-api", &sid));
    assert_eq!(me(&[("x-token", &theirs)]).await, StatusCode::OK);
    // Each issuer keeps to its own keys and audiences.
    for claims in [
        claims(issuer, "api", &sid),
        claims("https://id.example.com", "api", &sid),
        claims("https://other.example", "partner-api", &sid),
    ] {
        let refused = me(&[("x-token", &sign(&claims))]).await;
        assert_eq!(refused, StatusCode::UNAUTHORIZED);
    }
    // Nor does a partner end our sessions.
    let logout = Request::post("/logout").header("authorization", format!("Bearer {theirs}"));
    let answer = send(&app, logout.body(Body::empty()).unwrap()).await;
    answer.refused(StatusCode::FORBIDDEN);
    assert_eq!(me(&[("cookie", &access(&tokens))]).await, StatusCode::OK);
    // A session that has ended ends for the layer.
    sessions.end_session(tokens.sid).await.unwrap();
    let ended = me(&[("cookie", &access(&tokens))]).await;
    assert_eq!(ended, StatusCode::UNAUTHORIZED);
    // Without a name, our tokens could not be told from theirs.
    let key = SigningKey::from_secret(Algorithm::HS256, [1; 32]).unwrap();
    let unnamed = Sessions::new(store, key, RefreshKeys::new([1; 32]).unwrap());
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        SessionRoutes::without_cookies(unnamed).trusted_issuer(trusted)
    }));
    assert!(refused.is_err());
}
