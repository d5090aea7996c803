//! Holds the layer that refreshes when a page is opened to what it refreshes, and how often.
#![cfg(all(feature = "axum", feature = "testing"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics fails"
)]

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/answer.rs"]
mod answer;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use answer::{Answer, send};
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::any;
use http::header::{CACHE_CONTROL, RETRY_AFTER, SET_COOKIE, VARY};
use http::{HeaderMap, Request, StatusCode};
use tokio::task::{JoinHandle, JoinSet};
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::middleware::TokenFault;
use tower_jwt_auth::revocation::Revocation;
use tower_jwt_auth::routes::{SessionCookies, SessionRoutes};
use tower_jwt_auth::session::{RefreshKeys, SessionErrorKind, Sessions, TokenPair};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::testing::{FailingStore, TestIssuer};
use tower_jwt_auth::{AuthError, AuthErrorKind, TrustedIssuer, VerifiedToken};

type Store = FailingStore<MemoryStore>;

struct World {
    clock: ManualClock,
    store: Store,
    sessions: Sessions<Store>,
    routes: SessionRoutes<Store>,
    app: Router,
}

fn world() -> World {
    world_with(|sessions| sessions)
}

fn world_with(change: impl FnOnce(Sessions<Store>) -> Sessions<Store>) -> World {
    let clock = ManualClock::at(1_800_000_000);
    let store = FailingStore::new(MemoryStore::with_clock(clock.clone()));
    let key = SigningKey::from_secret(Algorithm::HS256, [1; 32]).unwrap();
    let sessions = Sessions::new(store.clone(), key, RefreshKeys::new([1; 32]).unwrap())
        .issuer("https://id.example.com")
        .clock(clock.clone());
    let sessions = change(sessions);
    let routes = SessionRoutes::new(sessions.clone()).unwrap();
    let app = app(&routes);
    World {
        clock,
        store,
        sessions,
        routes,
        app,
    }
}

/// `/` says who asks, with which token and which cookies. `/slow/60` does it after 60 seconds.
/// `/public` is for everybody. `/logout` is a page that deletes the cookies.
fn app(routes: &SessionRoutes<Store>) -> Router {
    let page = async |token: VerifiedToken, headers: HeaderMap| {
        let cookies = headers.get_all("cookie").iter();
        let cookies: Vec<_> = cookies.map(|line| line.to_str().unwrap()).collect();
        let (subject, id) = (token.subject().unwrap(), token.token_id().unwrap());
        (
            [("cache-control", "public")],
            format!("{subject} {id} {}", cookies.join("|")),
        )
    };
    let slow = async move |Path(seconds): Path<u64>, token: VerifiedToken, headers: HeaderMap| {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        page(token, headers).await
    };
    let cookies = routes.cookies().unwrap().clone();
    let logout = async move |_: VerifiedToken| {
        let cookies = cookies.clear().unwrap();
        AppendHeaders(cookies.into_iter().map(|cookie| (SET_COOKIE, cookie)))
    };
    let public = async |token: Option<VerifiedToken>| match token {
        Some(token) => token.subject().unwrap().to_owned(),
        None => "nobody".to_owned(),
    };
    let public = Router::new()
        .route("/public", any(public))
        .layer(routes.layer().anonymous_if([TokenFault::Expired]));
    Router::new()
        .route("/", any(page))
        .route("/slow/{seconds}", any(slow))
        .route("/logout", any(logout))
        .layer(routes.layer())
        .merge(public)
        .layer(routes.page_renewal().unwrap())
}

const NAVIGATION: [(&str, &str); 2] = [
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
];

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

impl World {
    async fn login(&self) -> TokenPair {
        let alice = self.sessions.subject_named("alice");
        self.sessions.login(&alice).await.unwrap()
    }

    fn expire_access_token(&self) {
        self.clock.advance(Duration::from_secs(331));
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        send(&self.app, request(method, path, headers)).await
    }

    /// A navigation to `path` with these cookies.
    async fn open(&self, path: &str, cookies: &str) -> Answer {
        let headers = [&NAVIGATION[..], &[("cookie", cookies)]].concat();
        self.ask("GET", path, &headers).await
    }
}

fn both(tokens: &TokenPair) -> String {
    let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
    format!("a=b; __Host-access={access}; __Host-refresh={refresh}; c=d")
}

fn refresh_alone(tokens: &TokenPair) -> String {
    format!("__Host-refresh={}", tokens.refresh_token)
}

impl Answer {
    /// The new values of both cookies.
    #[track_caller]
    fn renewed(&self) -> [String; 2] {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self.uncached();
        let cookies = self.cookies();
        assert_eq!(cookies.len(), 2, "{cookies:?}");
        assert!(cookies.iter().all(|cookie| !cookie.contains("Max-Age=0")));
        let value = |cookie: &str, name: &str| {
            let value = cookie.strip_prefix(name).unwrap().split(';').next();
            value.unwrap().to_owned()
        };
        [
            value(cookies[0], "__Host-access="),
            value(cookies[1], "__Host-refresh="),
        ]
    }

    #[track_caller]
    fn cleared(&self) {
        self.uncached();
        let cookies = self.cookies();
        assert_eq!(cookies.len(), 2, "{cookies:?}");
        assert!(cookies.iter().all(|cookie| cookie.contains("Max-Age=0")));
    }

    #[track_caller]
    fn uncached(&self) {
        let caching: Vec<_> = self.headers.get_all(CACHE_CONTROL).iter().collect();
        assert_eq!(caching, ["no-store"]);
        assert_eq!(self.headers[VARY], "cookie");
    }

    #[track_caller]
    fn unchanged(&self, status: StatusCode) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.cookies(), [""; 0]);
    }
}

#[tokio::test]
async fn a_page_renews_an_expired_or_missing_access_cookie() {
    let world = world();
    let tokens = world.login().await;
    world.expire_access_token();
    let answer = world.open("/", &both(&tokens)).await;
    let [access, refresh] = answer.renewed();
    // The handler gets the new tokens with the other cookies, in one header.
    let cookies = format!("a=b; c=d; __Host-access={access}; __Host-refresh={refresh}");
    let (start, seen) = answer.body.split_at("alice ".len());
    assert_eq!(
        (start, seen.split_once(' ').unwrap().1),
        ("alice ", &*cookies)
    );

    world.expire_access_token();
    let alone = format!("__Host-refresh={refresh}");
    let [access, refresh] = world.open("/", &alone).await.renewed();
    // The new ones are good, and nothing is renewed before the time.
    let good = format!("__Host-access={access}; __Host-refresh={refresh}");
    let calls = world.store.calls();
    let answer = world.open("/", &good).await;
    answer.unchanged(StatusCode::OK);
    assert_eq!(answer.headers[CACHE_CONTROL], "public");
    assert_eq!(world.store.calls(), calls);
}

/// After a restart with another key the session lives on: refresh tokens have keys of their own.
#[tokio::test]
async fn an_access_token_of_a_replaced_key_is_renewed() {
    let world = world();
    let other_secret = SigningKey::from_secret(Algorithm::HS256, [2; 32]).unwrap();
    let other_algorithm = SigningKey::generate(Algorithm::ES256).unwrap();
    for key in [other_secret, other_algorithm] {
        let refresh_keys = RefreshKeys::new([1; 32]).unwrap();
        let before = Sessions::new(world.store.clone(), key, refresh_keys)
            .issuer("https://id.example.com")
            .clock(world.clock.clone());
        let alice = before.subject_named("alice");
        let tokens = before.login(&alice).await.unwrap();
        world.open("/", &both(&tokens)).await.renewed();
    }
}

#[tokio::test(start_paused = true)]
async fn ten_requests_at_once_rotate_once_and_log_nobody_out() {
    for cookies in [both, refresh_alone] {
        let world = world();
        let tokens = world.login().await;
        world.expire_access_token();
        // All ten wait for the store.
        world.store.delay(Duration::from_millis(50));
        let cookies = cookies(&tokens);
        let headers = [&NAVIGATION[..], &[("cookie", &*cookies)]].concat();
        let mut requests = JoinSet::new();
        for _ in 0..10 {
            let (app, request) = (world.app.clone(), request("GET", "/", &headers));
            requests.spawn(async move { send(&app, request).await });
        }
        let answers = requests.join_all().await;
        let renewed: Vec<_> = answers.iter().map(Answer::renewed).collect();
        // One refresh makes one access token: another refresh would make another.
        assert!(renewed.iter().all(|cookies| *cookies == renewed[0]));
        world.store.recover();
        // The store agrees: the old token is one behind, so within the grace it still works.
        let again = world.sessions.refresh(&tokens.refresh_token).await.unwrap();
        assert_eq!(again.refresh_token, renewed[0][1]);
        let [access, refresh] = &renewed[0];
        let new = format!("__Host-access={access}; __Host-refresh={refresh}");
        world.open("/", &new).await.unchanged(StatusCode::OK);
    }
}

/// The time of the store and of the runtime.
async fn pass(world: &World, seconds: u64) {
    world.clock.advance(Duration::from_secs(seconds));
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Opens a page in the background, and waits until its handler runs.
async fn open_slowly(world: &World, seconds: u64, cookies: &str) -> JoinHandle<Answer> {
    let headers = [&NAVIGATION[..], &[("cookie", cookies)]].concat();
    let request = request("GET", &format!("/slow/{seconds}"), &headers);
    let app = world.app.clone();
    let page = tokio::spawn(async move { send(&app, request).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    page
}

#[tokio::test(start_paused = true)]
async fn a_reload_during_a_slow_page_is_no_reuse() {
    let world = world();
    let tokens = world.login().await;
    world.expire_access_token();
    let cookies = both(&tokens);
    let slow = open_slowly(&world, 60, &cookies).await;
    let calls = world.store.calls();
    // Long after the grace.
    pass(&world, 50).await;
    let reloaded = world.open("/", &cookies).await.renewed();
    assert_eq!(world.store.calls(), calls);
    pass(&world, 20).await;
    assert_eq!(slow.await.unwrap().renewed(), reloaded);
    let [_, refresh] = reloaded;
    assert!(world.sessions.refresh(&refresh).await.is_ok());
}

/// A browser that reloads a page aborts it first.
#[tokio::test(start_paused = true)]
async fn an_aborted_page_may_be_opened_again_within_the_grace() {
    for is_in_time in [true, false] {
        let world = world();
        let tokens = world.login().await;
        world.expire_access_token();
        let cookies = both(&tokens);
        let slow = open_slowly(&world, 60, &cookies).await;
        pass(&world, 30).await;
        slow.abort();
        assert!(slow.await.is_err());
        pass(&world, if is_in_time { 9 } else { 11 }).await;
        let answer = world.open("/", &cookies).await;
        if is_in_time {
            let [_, refresh] = answer.renewed();
            assert!(world.sessions.refresh(&refresh).await.is_ok());
        } else {
            answer.cleared();
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        }
    }
}

/// Also without a grace: then nothing is shared once the page is done.
#[tokio::test(start_paused = true)]
async fn without_a_grace_a_token_is_used_once() {
    let world = world_with(|sessions| sessions.grace(Duration::ZERO));
    let tokens = world.login().await;
    world.expire_access_token();
    let cookies = both(&tokens);
    let slow = open_slowly(&world, 60, &cookies).await;
    pass(&world, 10).await;
    let reloaded = world.open("/", &cookies).await.renewed();
    pass(&world, 60).await;
    assert_eq!(slow.await.unwrap().renewed(), reloaded);
    world.open("/", &cookies).await.cleared();
}

#[tokio::test(start_paused = true)]
async fn a_refresh_is_shared_for_five_minutes_at_most() {
    for (seconds, is_shared) in [(299, true), (300, false)] {
        let world = world_with(|sessions| sessions.access_lifetime(Duration::from_secs(3600)));
        let tokens = world.login().await;
        world.clock.advance(Duration::from_secs(3631));
        let cookies = both(&tokens);
        let slow = open_slowly(&world, 600, &cookies).await;
        pass(&world, seconds).await;
        let answer = world.open("/", &cookies).await;
        if is_shared {
            answer.renewed();
        } else {
            answer.cleared();
        }
        slow.abort();
    }
}

/// A token that is good comes from the store, also after the grace of the one from before.
#[tokio::test(start_paused = true)]
async fn tokens_that_were_revoked_since_are_not_shared() {
    let world = world();
    let alice = world.sessions.subject_named("alice");
    let tokens = world.login().await;
    world.expire_access_token();
    let cookies = both(&tokens);
    let slow = open_slowly(&world, 60, &cookies).await;
    pass(&world, 20).await;
    let invalidated = world.sessions.invalidate_access_tokens(&alice).await;
    invalidated.unwrap();
    let [access, refresh] = world.open("/", &cookies).await.renewed();
    pass(&world, 40).await;
    let [revoked, _] = slow.await.unwrap().renewed();
    assert_ne!(access, revoked);
    assert!(world.sessions.refresh(&refresh).await.is_ok());
}

/// On several threads some come while the refresh is under way, and some after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_on_several_threads_rotate_once() {
    let world = world();
    for _ in 0..20 {
        let tokens = world.login().await;
        world.expire_access_token();
        let cookies = both(&tokens);
        let headers = [&NAVIGATION[..], &[("cookie", &*cookies)]].concat();
        let mut requests = JoinSet::new();
        for _ in 0..10 {
            let (app, request) = (world.app.clone(), request("GET", "/", &headers));
            requests.spawn(async move { send(&app, request).await.renewed() });
        }
        let renewed = requests.join_all().await;
        let refresh = &renewed[0][1];
        assert!(renewed.iter().all(|[_, other]| other == refresh));
        assert!(world.sessions.refresh(refresh).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_does_not_take_the_others_along() {
    let world = world();
    let tokens = world.login().await;
    world.expire_access_token();
    world.store.delay(Duration::from_millis(50));
    let cookies = both(&tokens);
    let headers = [&NAVIGATION[..], &[("cookie", &*cookies)]].concat();
    let ask = || {
        let (app, request) = (world.app.clone(), request("GET", "/", &headers));
        tokio::spawn(async move { send(&app, request).await })
    };
    let (first, second) = (ask(), ask());
    tokio::time::sleep(Duration::from_millis(10)).await;
    first.abort();
    second.await.unwrap().renewed();
}

/// Two layers know nothing of each other, as two processes: the grace lets both renew.
#[tokio::test]
async fn two_processes_renew_the_same_token() {
    let world = world();
    let tokens = world.login().await;
    world.expire_access_token();
    let other = app(&world.routes);
    let cookies = both(&tokens);
    let headers = [&NAVIGATION[..], &[("cookie", &*cookies)]].concat();
    let [_, first] = world.ask("GET", "/", &headers).await.renewed();
    let [_, second] = send(&other, request("GET", "/", &headers)).await.renewed();
    assert_eq!(first, second);
}

/// Another site could start refreshes in a hidden frame and abort them, until one is reuse.
#[tokio::test]
async fn a_frame_of_another_site_renews_partitioned_cookies_only() {
    let world = world();
    let tokens = world.login().await;
    world.expire_access_token();
    let cookies = both(&tokens);
    let headers = [
        ("cookie", &*cookies),
        NAVIGATION[0],
        ("sec-fetch-dest", "iframe"),
        ("sec-fetch-site", "cross-site"),
    ];
    let cross_site = SessionCookies::new().unwrap().cross_site().unwrap();
    let partitioned = cross_site.clone().partitioned().unwrap();
    let routes = world.routes.clone();
    let in_frames = app(&routes.clone().with_cookies(cross_site));
    let answer = send(&in_frames, request("GET", "/", &headers)).await;
    answer.unchanged(StatusCode::UNAUTHORIZED);
    let in_frames = app(&routes.with_cookies(partitioned));
    send(&in_frames, request("GET", "/", &headers))
        .await
        .renewed();
}

/// The layer accepts it, so the visitor does not become the user of an older session.
#[tokio::test]
async fn a_token_of_a_trusted_issuer_is_left_alone() {
    let world = world();
    let tokens = world.login().await;
    let partner = TestIssuer::with_key(SigningKey::generate(Algorithm::ES256).unwrap())
        .name("https://partner.example")
        .audience("api");
    let token = partner.token("bob").typ("at+jwt");
    let token = token
        .claim("iat", 1_800_000_000)
        .claim("exp", 1_800_000_300)
        .sign();
    let trusted = TrustedIssuer::new("https://partner.example", partner.key());
    let app = app(&world.routes.clone().trusted_issuer(trusted.audience("api")));
    let refresh = &tokens.refresh_token;
    let cookies = format!("__Host-access={token}; __Host-refresh={refresh}");
    let headers = [&NAVIGATION[..], &[("cookie", &*cookies)]].concat();
    let answer = send(&app, request("GET", "/", &headers)).await;
    answer.unchanged(StatusCode::OK);
    assert!(answer.body.starts_with("bob "), "{}", answer.body);
}

#[tokio::test]
async fn only_a_navigation_renews() {
    let world = world();
    let tokens = world.login().await;
    world.expire_access_token();
    let cookies = both(&tokens);
    let cookie = ("cookie", &*cookies);
    let calls = world.store.calls();
    for headers in [
        &[cookie][..],
        &[
            cookie,
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-dest", "empty"),
        ],
        &[
            cookie,
            ("sec-fetch-mode", "no-cors"),
            ("sec-fetch-dest", "image"),
        ],
        &[cookie, ("sec-fetch-mode", "websocket")],
        &[cookie, NAVIGATION[0], NAVIGATION[0]],
        &[cookie, NAVIGATION[0], ("upgrade", "websocket")],
        &[cookie, NAVIGATION[0], ("x-http-method-override", "DELETE")],
        &[cookie, NAVIGATION[0], ("authorization", "Bearer a.b.c")],
    ] {
        let headers = [headers, &[("sec-fetch-site", "same-origin")]].concat();
        let answer = world.ask("GET", "/", &headers).await;
        answer.unchanged(StatusCode::UNAUTHORIZED);
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let site = ("sec-fetch-site", "same-origin");
        let headers = [cookie, NAVIGATION[0], NAVIGATION[1], site];
        let answer = world.ask(method, "/", &headers).await;
        answer.unchanged(StatusCode::UNAUTHORIZED);
    }
    assert_eq!(world.store.calls(), calls);
    // Each of these is one. A navigation from another site changes nothing but the cookies.
    for (method, headers) in [
        ("GET", &[cookie, NAVIGATION[0]][..]),
        ("GET", &[cookie, NAVIGATION[1]]),
        ("HEAD", &[cookie, NAVIGATION[0]]),
        (
            "GET",
            &[cookie, NAVIGATION[0], ("authorization", "Basic YTpi")],
        ),
        (
            "GET",
            &[
                cookie,
                NAVIGATION[0],
                NAVIGATION[1],
                ("sec-fetch-site", "cross-site"),
            ],
        ),
    ] {
        world.ask(method, "/", headers).await.renewed();
    }
}

/// A proxy or an attacker may have added one. Then it is not known which one the browser sent.
#[tokio::test]
async fn i13_several_fetch_metadata_headers_renew_nothing() {
    const SITE: (&str, &str) = ("sec-fetch-site", "same-origin");
    const OTHER_SITE: (&str, &str) = ("sec-fetch-site", "cross-site");
    const FRAME: (&str, &str) = ("sec-fetch-dest", "iframe");
    let [mode, dest] = NAVIGATION;
    let world = world();
    let tokens = world.login().await;
    world.expire_access_token();
    let cookies = both(&tokens);
    let calls = world.store.calls();
    for headers in [
        &[SITE, OTHER_SITE, mode, FRAME][..],
        &[OTHER_SITE, SITE, mode, FRAME],
        &[SITE, SITE, mode, dest],
        &[SITE, mode, mode, dest],
        &[SITE, mode, dest, dest],
        &[SITE, mode, ("sec-fetch-mode", "cors"), dest],
        &[SITE, mode, FRAME, dest],
        // Something on the way joined them.
        &[("sec-fetch-site", "cross-site, same-origin"), mode, FRAME],
        &[("sec-fetch-site", "same-origin, cross-site"), mode, dest],
        &[("sec-fetch-site", ""), mode, dest],
        &[("sec-fetch-site", "Cross-Site"), mode, FRAME],
    ] {
        let headers = [headers, &[("cookie", &*cookies)]].concat();
        let answer = world.ask("GET", "/", &headers).await;
        answer.unchanged(StatusCode::UNAUTHORIZED);
    }
    assert_eq!(world.store.calls(), calls);
    for site in ["same-origin", "same-site", "none"] {
        let headers = [("sec-fetch-site", site), mode, FRAME, ("cookie", &*cookies)];
        world.ask("GET", "/", &headers).await.renewed();
    }
}

#[tokio::test]
async fn ambiguous_or_forged_cookies_renew_nothing() {
    let world = world();
    let tokens = world.login().await;
    world.expire_access_token();
    let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
    let forged = format!("{}AAAA", &refresh[..refresh.len() - 4]);
    let calls = world.store.calls();
    for (cookies, status) in [
        (
            format!("__Host-access={access}; __Host-access=x; __Host-refresh={refresh}"),
            400,
        ),
        (
            format!("__Host-access={access}; __Host-refresh={refresh}; __Host-refresh=x"),
            401,
        ),
        (format!("__Host-access=x; __Host-refresh={refresh}"), 401),
        (
            format!("__Host-access={access}; __Host-refresh={forged}"),
            401,
        ),
        (format!("__Host-refresh={forged}"), 401),
        (format!("__Host-refresh={access}"), 401),
        (format!("__Host-access={access}"), 401),
    ] {
        let answer = world.open("/", &cookies).await;
        answer.unchanged(StatusCode::from_u16(status).unwrap());
    }
    assert_eq!(world.store.calls(), calls);
    assert!(world.sessions.refresh(refresh).await.is_ok());
}

#[tokio::test]
async fn reuse_ends_the_session_and_deletes_the_cookies() {
    let world = world();
    let tokens = world.login().await;
    let stolen = both(&tokens);
    let current = world.sessions.refresh(&tokens.refresh_token).await.unwrap();
    world.expire_access_token();
    let answer = world.open("/", &stolen).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    answer.cleared();
    // Neither the thief nor the user goes on.
    let answer = world.open("/", &both(&current)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    answer.cleared();
    let error = world.sessions.refresh(&current.refresh_token).await;
    assert_eq!(error.unwrap_err().kind(), SessionErrorKind::Ended);
    let public = world.open("/public", &refresh_alone(&tokens)).await;
    assert_eq!((public.status, &*public.body), (StatusCode::OK, "nobody"));
    public.cleared();
}

#[tokio::test]
async fn a_page_keeps_the_cookies_of_a_login_that_is_not_remembered() {
    let world = world();
    let alice = world.sessions.subject_named("alice");
    let login = world.sessions.begin(&alice).await.unwrap();
    let tokens = world.sessions.complete(login.without_max_age()).await;
    let tokens = tokens.unwrap();
    world.expire_access_token();
    let page = world.open("/", &both(&tokens)).await;
    assert_eq!(page.status, StatusCode::OK);
    let cookies = page.cookies();
    assert_eq!(cookies.len(), 2);
    assert!(cookies.iter().all(|cookie| !cookie.contains("Max-Age")));
}

/// The browser may have the new cookies already, from another tab.
#[tokio::test]
async fn l16_a_page_with_a_token_from_before_an_elevation_goes_on_unchanged() {
    let world = world();
    let tokens = world.login().await;
    let elevated = world.sessions.elevate(tokens.sid, "mfa").await.unwrap();
    world
        .open("/", &refresh_alone(&tokens))
        .await
        .unchanged(StatusCode::UNAUTHORIZED);
    world
        .open("/public", &refresh_alone(&tokens))
        .await
        .unchanged(StatusCode::OK);
    let page = world.open("/", &refresh_alone(&elevated)).await;
    assert_eq!(page.status, StatusCode::OK);
    page.renewed();
}

#[tokio::test]
async fn a_session_that_has_ended_loses_its_cookies() {
    let world = world();
    let ended = world.login().await;
    world.sessions.end_session(ended.sid).await.unwrap();
    // Its access token has not expired, but is revoked.
    world.open("/", &both(&ended)).await.cleared();
    let expired = world.login().await;
    world.clock.advance(Duration::from_secs(15 * 24 * 3600));
    world.open("/", &both(&expired)).await.cleared();
    let blocked = world.login().await;
    let alice = world.sessions.subject_named("alice");
    world.sessions.block(&alice).await.unwrap();
    world.open("/", &refresh_alone(&blocked)).await.cleared();
}

#[tokio::test]
async fn a_revoked_access_token_of_a_live_session_is_renewed() {
    let world = world();
    let tokens = world.login().await;
    let answer = world.open("/", &both(&tokens)).await;
    answer.unchanged(StatusCode::OK);
    let jti = answer.body.split(' ').nth(1).unwrap();
    let expires_at = tower_jwt_auth::claims::NumericDate::from_seconds(1_800_000_300).unwrap();
    let issuer = Some("https://id.example.com");
    let revocation = Revocation::Token {
        issuer,
        jti,
        expires_at,
    };
    world.store.store().revoke(&revocation).unwrap();
    world.open("/", &both(&tokens)).await.renewed();
}

#[tokio::test]
async fn an_outage_is_503_and_deletes_nothing() {
    let world = world();
    let tokens = world.login().await;
    world.expire_access_token();
    world.store.fail();
    for path in ["/", "/public"] {
        let answer = world.open(path, &both(&tokens)).await;
        answer.unchanged(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers[RETRY_AFTER], "1");
        assert_eq!(answer.headers[CACHE_CONTROL], "no-store");
    }
    world.store.recover();
    world.open("/", &both(&tokens)).await.renewed();
}

#[tokio::test]
async fn the_hook_of_the_routes_is_told_of_each_refresh_that_fails() {
    use SessionErrorKind::{Ended, ReuseDetected, Unavailable};
    let world = world();
    let told = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&told);
    let routes = world.routes.clone();
    let app = app(&routes.on_rejection(move |error| hook.lock().unwrap().push(error.kind())));
    let tokens = world.login().await;
    let current = world.sessions.elevate(tokens.sid, "mfa").await.unwrap();
    let open = async |path: &str, tokens: &TokenPair| {
        let cookies = refresh_alone(tokens);
        let headers = [&NAVIGATION[..], &[("cookie", &*cookies)]].concat();
        send(&app, request("GET", path, &headers)).await
    };
    // The page is served as without the layer.
    let answer = open("/public", &tokens).await;
    answer.unchanged(StatusCode::OK);
    world.expire_access_token();
    world.store.fail();
    let answer = open("/", &current).await;
    answer.unchanged(StatusCode::SERVICE_UNAVAILABLE);
    world.store.recover();
    open("/public", &current).await.renewed();
    open("/public", &tokens).await.cleared();
    open("/public", &current).await.cleared();
    let kinds = [Unavailable, ReuseDetected, Ended].map(AuthErrorKind::Session);
    assert_eq!(*told.lock().unwrap(), kinds);
}

/// A page has its own look, and so has its error.
#[tokio::test]
async fn the_responder_of_the_routes_answers_an_outage() {
    let world = world();
    let tokens = world.login().await;
    world.expire_access_token();
    let respond = |error: &AuthError| (error.status(), "ours").into_response();
    let routes = world.routes.clone().respond(respond);
    let app = Router::new()
        .route("/", any(async |_: VerifiedToken| "page"))
        .layer(routes.layer())
        .layer(routes.page_renewal().unwrap());
    let cookies = both(&tokens);
    let headers = [&NAVIGATION[..], &[("cookie", &*cookies)]].concat();
    world.store.fail();
    let answer = send(&app, request("GET", "/", &headers)).await;
    answer.unchanged(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.body, "ours");
    assert_eq!(answer.headers[RETRY_AFTER], "1");
}

#[tokio::test(start_paused = true)]
async fn no_page_waits_for_ever() {
    let world = world();
    let tokens = world.login().await;
    world.expire_access_token();
    world.store.hang();
    let start = tokio::time::Instant::now();
    let answer = world.open("/", &both(&tokens)).await;
    answer.unchanged(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(start.elapsed().as_secs(), 5);
    world.store.recover();
    world.open("/", &both(&tokens)).await.renewed();
}

#[tokio::test]
async fn a_page_that_decides_about_the_cookies_is_obeyed() {
    let world = world();
    let tokens = world.login().await;
    world.expire_access_token();
    let answer = world.open("/logout", &both(&tokens)).await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.cleared();
}

/// The tokens were rotated, so the browser must learn them whatever the page says.
#[tokio::test]
async fn a_page_that_fails_renews_too() {
    let world = world();
    let tokens = world.login().await;
    world.expire_access_token();
    let answer = world.open("/no-such-page", &both(&tokens)).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.cookies().len(), 2);
    answer.uncached();
}
