//! Holds keys fetched from an issuer to their rules: discovery, refresh, outages and trust.
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unreachable,
    reason = "tests"
)]

mod choosing;
mod dpop;
mod hostile;
mod ignored;
mod issuer;
mod keeping;
#[cfg(feature = "tracing")]
#[path = "../support/log.rs"]
mod log;
#[cfg(feature = "tracing")]
mod logged;
mod mtls;
mod reported;
mod resolved;
mod several;
mod tenants;
mod tls;

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{Request, Response, StatusCode, Uri};
use issuer::{Answer, Issuer};
use serde_json::json;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::remote::{Fetch, FetchErrorKind, RemoteKeys, RemoteKeysBuilder};
use tower_jwt_auth::keys::{Algorithm, KeySet, SigningKey};
use tower_jwt_auth::{
    AuthError, AuthErrorKind, JwtAuthLayer, TrustedIssuer, VerifiedToken, Verifier, VerifyErrorKind,
};

const NOW: u64 = 1_800_000_000;

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(Algorithm::ES256)
        .unwrap()
        .with_key_id(kid)
}

fn token(key: &SigningKey, issuer: &str) -> String {
    let claims = json!({ "iss": issuer, "aud": "api", "sub": "me", "exp": NOW + 100_000 });
    key.sign(&claims).unwrap()
}

type App =
    tower::util::BoxCloneSyncService<Request<Body>, Response<Body>, std::convert::Infallible>;

fn app(layer: &JwtAuthLayer) -> App {
    let inner = service_fn(async |_: Request<Body>| Ok(Response::new(Body::empty())));
    App::new(layer.layer(inner))
}

async fn ask(app: &App, token: &str) -> Response<Body> {
    let request = Request::get("/")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    app.clone()
        .ready()
        .await
        .unwrap()
        .call(request)
        .await
        .unwrap()
}

async fn status(app: &App, token: &str) -> u16 {
    ask(app, token).await.status().as_u16()
}

fn built(builder: RemoteKeysBuilder, clock: &ManualClock) -> (RemoteKeys, App) {
    let keys = builder.clock(clock.clone()).build().unwrap();
    let layer = JwtAuthLayer::new(keys.clone())
        .audience("api")
        .clock(clock.clone());
    let app = app(&layer);
    (keys, app)
}

fn of(issuer: &Issuer, clock: &ManualClock) -> (RemoteKeys, App) {
    built(RemoteKeys::discover(issuer.name()), clock)
}

fn clock() -> ManualClock {
    ManualClock::at(NOW)
}

#[tokio::test]
async fn keys_are_found_by_the_name_of_the_issuer() {
    let key = key("1");
    let issuer = Issuer::start().await;
    issuer.publish([&key]);
    let (keys, app) = of(&issuer, &clock());
    assert_eq!(status(&app, &token(&key, issuer.name())).await, 200);
    assert_eq!(keys.state().keys.unwrap().len(), 1);
    assert_eq!((issuer.hits("/jwks"), keys.state().fetches), (1, 1));
    // One who differs by a slash is another.
    assert_eq!(
        status(&app, &token(&key, &format!("{}/", issuer.name()))).await,
        401
    );
}

#[tokio::test]
async fn j02_an_issuer_that_is_down_at_the_start_is_503_and_heals() {
    let (key, clock) = (key("1"), clock());
    let issuer = Issuer::start().await;
    issuer.answer("/jwks", Answer::Status(500));
    let (keys, app) = of(&issuer, &clock);
    let good = token(&key, issuer.name());
    let response = ask(&app, &good).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[RETRY_AFTER], "1");
    assert_eq!(
        keys.state().last_error.unwrap().kind(),
        FetchErrorKind::Status(500)
    );
    for _ in 0..100 {
        assert_eq!(status(&app, &good).await, 503);
    }
    issuer.publish([&key]);
    clock.advance(Duration::from_secs(60));
    assert_eq!(status(&app, &good).await, 200);
}

#[tokio::test]
async fn j03_keys_are_served_stale_while_the_issuer_is_down_and_then_not() {
    let (key, clock) = (key("1"), clock());
    let issuer = Issuer::start().await;
    issuer.publish([&key]);
    let (keys, app) = of(&issuer, &clock);
    let good = token(&key, issuer.name());
    assert_eq!(status(&app, &good).await, 200);
    issuer.answer("/jwks", Answer::Status(503));
    issuer.answer(
        "/.well-known/openid-configuration",
        Answer::Reset(Vec::new()),
    );
    for _ in 0..69 {
        clock.advance(Duration::from_secs(60));
        assert_eq!(status(&app, &good).await, 200);
    }
    assert!(keys.state().last_error.is_some());
    clock.advance(Duration::from_secs(61));
    let response = ask(&app, &good).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(RETRY_AFTER));
    issuer.start_metadata();
    issuer.publish([&key]);
    clock.advance(Duration::from_secs(60));
    assert_eq!(status(&app, &good).await, 200);
}

#[tokio::test]
async fn j04_a_new_key_is_found_within_the_request() {
    let (old, new, clock) = (key("1"), key("2"), clock());
    let issuer = Issuer::start().await;
    issuer.publish([&old]);
    let (_keys, app) = of(&issuer, &clock);
    assert_eq!(status(&app, &token(&old, issuer.name())).await, 200);
    issuer.publish([&old, &new]);
    assert_eq!(status(&app, &token(&new, issuer.name())).await, 200);
    assert_eq!(status(&app, &token(&old, issuer.name())).await, 200);
    assert_eq!(issuer.hits("/jwks"), 2);
}

#[tokio::test]
async fn j05_a_key_that_is_withdrawn_stops_verifying_within_its_life() {
    let (kept, gone, clock) = (key("1"), key("2"), clock());
    let issuer = Issuer::start().await;
    issuer.publish([&kept, &gone]);
    let (_keys, app) = of(&issuer, &clock);
    let withdrawn = token(&gone, issuer.name());
    assert_eq!(status(&app, &withdrawn).await, 200);
    issuer.publish([&kept]);
    clock.advance(Duration::from_secs(599));
    // The refresh is due, and goes on beside this request.
    assert_eq!(status(&app, &withdrawn).await, 200);
    clock.advance(Duration::from_secs(1));
    assert_eq!(status(&app, &withdrawn).await, 401);
    assert_eq!(status(&app, &token(&kept, issuer.name())).await, 200);
}

/// So often a token has to come until it is hot, and more.
const HOT: usize = 100;

#[tokio::test]
async fn j05_known_tokens_go_with_the_key_that_verified_them() {
    for times in [1, HOT] {
        let (one, clock) = (key("1"), clock());
        let issuer = Issuer::start().await;
        issuer.publish([&one]);
        let (keys, app) = of(&issuer, &clock);
        let known = token(&one, issuer.name());
        for _ in 0..times {
            assert_eq!(status(&app, &known).await, 200);
        }
        // Another key under the same name.
        let another = key("1");
        issuer.publish([&another]);
        clock.advance(Duration::from_secs(600));
        assert_eq!(status(&app, &known).await, 401);
        assert_eq!(status(&app, &token(&another, issuer.name())).await, 200);
        // And back again: it is verified with the key that is there.
        issuer.publish([&one]);
        clock.advance(Duration::from_secs(600));
        assert_eq!(status(&app, &known).await, 200);
        assert_eq!(keys.state().fetches, 3);
    }
}

#[tokio::test]
async fn j03_known_tokens_are_not_served_with_keys_that_are_too_old() {
    for times in [1, HOT] {
        let (one, clock) = (key("1"), clock());
        let issuer = Issuer::start().await;
        issuer.publish([&one]);
        let (_keys, app) = of(&issuer, &clock);
        let known = token(&one, issuer.name());
        for _ in 0..times {
            assert_eq!(status(&app, &known).await, 200);
        }
        issuer.answer("/jwks", Answer::Status(500));
        // Keys of an age to be renewed: the attempt is waited for, fails, and they serve on.
        clock.advance(Duration::from_secs(601));
        assert_eq!(status(&app, &known).await, 200);
        clock.advance(Duration::from_secs(4000));
        assert_eq!(status(&app, &known).await, 503);
    }
}

#[tokio::test]
async fn a_known_token_has_its_keys_renewed_and_outlives_that() {
    let (one, clock) = (key("1"), clock());
    let issuer = Issuer::start().await;
    issuer.publish([&one]);
    let keys = RemoteKeys::discover(issuer.name()).clock(clock.clone());
    let keys = keys.build().unwrap();
    let verifier = Verifier::new(keys.clone())
        .audience("api")
        .clock(clock.clone());
    let known = token(&one, issuer.name());
    let first = verifier.fetch_and_verify(&known).await.unwrap();
    let hits = |other: &VerifiedToken| std::ptr::eq(first.payload(), other.payload());
    for round in 2..6 {
        clock.advance(Duration::from_secs(500));
        let again = verifier.verify(&known).unwrap();
        assert!(hits(&again), "while they are renewed");
        let renewed = async {
            while keys.state().fetches < round || keys.state().age > Some(Duration::from_secs(400))
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), renewed)
            .await
            .unwrap();
        // The same keys: what they verified stays.
        assert!(hits(&verifier.verify(&known).unwrap()));
    }
    // Others beside them: it is verified once more.
    issuer.publish([&one, &key("2")]);
    clock.advance(Duration::from_secs(601));
    let anew = verifier.fetch_and_verify(&known).await.unwrap();
    assert!(!hits(&anew));
}

#[tokio::test]
async fn a_request_that_is_dropped_while_it_waits_leaves_nothing() {
    let (one, clock) = (key("1"), clock());
    let issuer = Issuer::start().await;
    issuer.publish([&one]);
    issuer.answer("/jwks", Answer::Hang);
    let keys = RemoteKeys::discover(issuer.name()).clock(clock.clone());
    let verifier = Verifier::new(keys.build().unwrap())
        .audience("api")
        .clock(clock.clone());
    let token = token(&one, issuer.name());
    for _ in 0..HOT {
        let mut waits = Box::pin(verifier.fetch_and_verify(&token));
        assert!(futures_poll(&mut waits).await.is_none());
        drop(waits);
        let refused = verifier.verify(&token).unwrap_err();
        assert_eq!(refused.kind(), VerifyErrorKind::KeysUnavailable);
    }
}

#[tokio::test]
async fn e05_ten_thousand_unknown_key_ids_cost_one_fetch() {
    let (key, clock) = (key("1"), clock());
    let issuer = Issuer::start().await;
    issuer.publish([&key]);
    // Longer than this test takes: the cooldown ends by whichever clock is ahead.
    let minutes = Duration::from_secs(300);
    let remote = RemoteKeys::discover(issuer.name()).cooldown(minutes);
    let (_keys, app) = built(remote, &clock);
    let good = token(&key, issuer.name());
    assert_eq!(status(&app, &good).await, 200);
    let stranger = SigningKey::generate(Algorithm::ES256).unwrap();
    for number in 0..10_000 {
        let forged = stranger.clone().with_key_id(number.to_string());
        assert_eq!(status(&app, &token(&forged, issuer.name())).await, 401);
    }
    assert_eq!(issuer.hits("/jwks"), 2);
    clock.advance(minutes);
    let forged = stranger.with_key_id("x");
    for _ in 0..2 {
        assert_eq!(status(&app, &token(&forged, issuer.name())).await, 401);
    }
    assert_eq!(issuer.hits("/jwks"), 3);
    assert_eq!(status(&app, &good).await, 200);
}

#[tokio::test]
async fn j06_a_thousand_cold_requests_cost_one_fetch_and_known_keys_wait_for_none() {
    let (key, clock) = (key("1"), clock());
    let issuer = Issuer::start().await;
    issuer.publish([&key]);
    let (_keys, app) = of(&issuer, &clock);
    let good = token(&key, issuer.name());
    let requests = (0..1000).map(|_| {
        let (app, good) = (app.clone(), good.clone());
        tokio::spawn(async move { status(&app, &good).await })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(issuer.hits("/jwks"), 1);

    // While a fetch hangs for an unknown `kid`, tokens with known ones pass at once.
    issuer.answer("/jwks", Answer::Hang);
    let forged = token(&self::key("x"), issuer.name());
    let mut waits = Box::pin(status(&app, &forged));
    assert!(futures_poll(&mut waits).await.is_none());
    let mut passes = Box::pin(status(&app, &good));
    assert_eq!(futures_poll(&mut passes).await, Some(200));
}

/// What a future says when it is polled once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn e07_issuers_that_share_a_name_of_a_key_are_told_apart() {
    let (one, two, ours, clock) = (key("1"), key("1"), key("1"), clock());
    let (a, b) = (Issuer::start().await, Issuer::start().await);
    a.publish([&one]);
    b.publish([&two]);
    let remote = |issuer: &Issuer, remote: RemoteKeysBuilder| {
        let keys = remote.clock(clock.clone()).build().unwrap();
        TrustedIssuer::new(issuer.name(), keys).audience("api")
    };
    let local = "https://own.example.com";
    let layer = JwtAuthLayer::new([
        remote(&a, RemoteKeys::discover(a.name())),
        remote(&b, RemoteKeys::jwks(format!("{}/jwks", b.name()))),
        TrustedIssuer::new(local, ours.verifying_key()).audience("api"),
    ]);
    let app = app(&layer.clock(clock.clone()));
    let issuers = [(a.name(), &one), (b.name(), &two), (local, &ours)];
    for (name, its_own) in issuers {
        for (_, key) in issuers {
            let expected = if std::ptr::eq(key, its_own) { 200 } else { 401 };
            assert_eq!(status(&app, &token(key, name)).await, expected, "{name}");
        }
    }

    // The keys of an untrusted issuer are not fetched, whether or not it exists, and whatever `kid`
    // the token has.
    let other = Issuer::start().await;
    other.publish([&one]);
    let connections = (a.connections(), b.connections());
    let strangers = [
        other.name().to_owned(),
        format!("{}/", a.name()),
        format!("{}//", a.name()),
        a.name().to_uppercase(),
        a.name().replace("http:", "https:"),
        a.name().replace("127.0.0.1", "localhost"),
        format!("{}?", a.name()),
        format!("{}#", a.name()),
        format!(" {}", a.name()),
        format!("{}\0", a.name()),
        format!("{local}/"),
        String::new(),
    ];
    for name in strangers {
        for key in [&one, &two, &ours, &key("2")] {
            assert_eq!(status(&app, &token(key, &name)).await, 401, "{name}");
        }
    }
    // Nor are keys fetched for a token that cannot be the issuer's: without an issuer, without a
    // `kid`, signed with a secret, or not a token.
    let nobody = json!({ "aud": "api", "sub": "me", "exp": NOW + 100_000 });
    let secret = SigningKey::hs256([7; 32]).unwrap().with_key_id("2");
    let nameless = SigningKey::generate(Algorithm::ES256).unwrap();
    let forged = token(&key("2"), a.name());
    for token in [
        key("2").sign(&nobody).unwrap(),
        token(&secret, a.name()),
        token(&nameless, a.name()),
        format!("{forged}="),
        format!("{forged}."),
        format!("{forged}.{forged}"),
    ] {
        assert_ne!(status(&app, &token).await, 200, "{token}");
    }
    assert_eq!((a.connections(), b.connections()), connections);
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_token_of_another_issuer_than_the_one_required_makes_nobody_fetch() {
    let (key, clock) = (key("1"), clock());
    let issuer = Issuer::start().await;
    issuer.publish([&key]);
    let keys = RemoteKeys::jwks(format!("{}/jwks", issuer.name()));
    let keys = keys.clock(clock.clone()).build().unwrap();
    let layer = JwtAuthLayer::new(keys).issuer("https://id.example.com");
    let app = app(&layer.audience("api").clock(clock));
    let good = token(&key, "https://id.example.com");
    assert_eq!(status(&app, &good).await, 200);
    for name in ["https://id.example.com/", "https://id.example.org", ""] {
        let response = ask(&app, &token(&self::key("2"), name)).await;
        let error: &AuthError = response.extensions().get().unwrap();
        let expected = AuthErrorKind::InvalidToken(VerifyErrorKind::WrongIssuer);
        assert_eq!(error.kind(), expected);
    }
    assert_eq!(issuer.connections(), 1);
}

#[tokio::test]
async fn no_task_outlives_the_layer() {
    let key = key("1");
    let issuer = Issuer::start().await;
    issuer.publish([&key]);
    let before = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    let (keys, app) = of(&issuer, &clock());
    assert_eq!(status(&app, &token(&key, issuer.name())).await, 200);
    drop((keys, app));
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    // What is left is the server's own, for connections that are closed by and by.
    let after = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert!(after <= before + 1, "{before} {after}");
}

#[tokio::test]
#[should_panic = "keys of other issuers need an audience"]
async fn keys_of_others_need_an_audience() {
    let keys = RemoteKeys::discover("https://id.example.com")
        .build()
        .unwrap();
    let _ = app(&JwtAuthLayer::new(keys));
}

#[tokio::test]
async fn metadata_of_another_issuer_are_refused() {
    let key = key("1");
    let issuer = Issuer::start().await;
    issuer.publish([&key]);
    for (metadata, expected) in [
        (
            format!(
                r#"{{"issuer":"{0}/","jwks_uri":"{0}/jwks"}}"#,
                issuer.name()
            ),
            FetchErrorKind::IssuerMismatch,
        ),
        (
            format!(r#"{{"issuer":"{}"}}"#, issuer.name()),
            FetchErrorKind::InvalidMetadata,
        ),
        (
            format!(
                r#"{{"issuer":"{0}","issuer":"{0}","jwks_uri":"{0}/jwks"}}"#,
                issuer.name()
            ),
            FetchErrorKind::InvalidMetadata,
        ),
        (
            format!(
                r#"{{"issuer":"{}","jwks_uri":"http://169.254.169.254/"}}"#,
                issuer.name()
            ),
            FetchErrorKind::ForbiddenEndpoint,
        ),
    ] {
        issuer.answer("/.well-known/openid-configuration", Answer::Text(metadata));
        let (keys, app) = of(&issuer, &clock());
        assert_eq!(status(&app, &token(&key, issuer.name())).await, 503);
        assert_eq!(keys.state().last_error.unwrap().kind(), expected);
    }
    // RFC 8414 is asked where OpenID Connect Discovery is not there.
    issuer.answer("/.well-known/openid-configuration", Answer::Status(404));
    issuer.answer(
        "/.well-known/oauth-authorization-server",
        Answer::Text(format!(
            r#"{{"issuer":"{0}","jwks_uri":"{0}/jwks"}}"#,
            issuer.name()
        )),
    );
    let (_keys, app) = of(&issuer, &clock());
    assert_eq!(status(&app, &token(&key, issuer.name())).await, 200);
}

#[test]
fn keys_are_read_as_a_set() {
    let document = issuer::document([&key("1"), &key("2")]);
    assert_eq!(KeySet::from_jwks(document).unwrap().keys.len(), 2);
}

/// What a client asks for, and a `jwks_uri` that leads it somewhere else.
#[derive(Clone)]
struct Elsewhere {
    issuer: &'static str,
    jwks_uri: &'static str,
    key: SigningKey,
    asked: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Fetch for Elsewhere {
    type Error = std::io::Error;

    async fn fetch(&self, uri: &Uri) -> Result<Response<Bytes>, std::io::Error> {
        self.asked.lock().unwrap().push(uri.to_string());
        let body = match uri.path().contains(".well-known") {
            true => json!({ "issuer": self.issuer, "jwks_uri": self.jwks_uri }).to_string(),
            false => issuer::document([&self.key]),
        };
        Ok(Response::new(body.into()))
    }
}

/// How keys of `issuer` whose metadata name this `jwks_uri` fare: the status, and whether anybody
/// was asked for them.
async fn elsewhere(
    issuer: &'static str,
    jwks_uri: &'static str,
    configure: impl Fn(RemoteKeysBuilder) -> RemoteKeysBuilder,
) -> u16 {
    let elsewhere = Elsewhere {
        issuer,
        jwks_uri,
        key: key("1"),
        asked: std::sync::Arc::default(),
    };
    let remote = RemoteKeys::discover(issuer).fetch(elsewhere.clone());
    let (keys, app) = built(configure(remote), &clock());
    let status = status(&app, &token(&elsewhere.key, issuer)).await;
    let asked = elsewhere.asked.lock().unwrap().len();
    if status == 200 {
        assert_eq!(asked, 2, "{jwks_uri}");
    } else {
        assert_eq!((status, asked), (503, 1), "{jwks_uri}");
        let error = keys.state().last_error.unwrap();
        assert_eq!(
            error.kind(),
            FetchErrorKind::ForbiddenEndpoint,
            "{jwks_uri}"
        );
    }
    status
}

#[tokio::test]
async fn e02_a_jwks_uri_on_another_origin_is_refused_on_demand() {
    const ISSUER: &str = "https://accounts.example.com/tenant";
    for (jwks_uri, by_default, on_own, on_listed) in [
        ("https://accounts.example.com/keys", 200, 200, 200),
        ("https://ACCOUNTS.example.com:443/keys", 200, 200, 200),
        ("https://www.apis.example.net/certs", 200, 503, 200),
        ("https://www.apis.example.net:443/certs", 200, 503, 200),
        ("https://www.apis.example.net:8443/certs", 200, 503, 503),
        ("https://accounts.example.com:8443/keys", 200, 503, 503),
        (
            "https://accounts.example.com.evil.example/keys",
            200,
            503,
            503,
        ),
        ("https://evil.accounts.example.com/keys", 200, 503, 503),
        ("https://10.0.0.1/keys", 200, 503, 503),
        ("https://internal/keys", 200, 503, 503),
        ("http://accounts.example.com/keys", 503, 503, 503),
    ] {
        assert_eq!(elsewhere(ISSUER, jwks_uri, |keys| keys).await, by_default);
        let own = |keys: RemoteKeysBuilder| keys.jwks_origins(&[]);
        assert_eq!(elsewhere(ISSUER, jwks_uri, own).await, on_own, "{jwks_uri}");
        let listed = |keys: RemoteKeysBuilder| keys.jwks_origins(&["https://WWW.apis.example.net"]);
        let status = elsewhere(ISSUER, jwks_uri, listed).await;
        assert_eq!(status, on_listed, "{jwks_uri}");
    }
    // What is no origin is an error before anything is fetched.
    for origin in [
        "",
        "www.apis.example.net",
        "https://www.apis.example.net/certs",
        "https://www.apis.example.net?",
        "http://www.apis.example.net",
        "https://user@www.apis.example.net",
        "https://*.example.net",
    ] {
        let built = RemoteKeys::discover(ISSUER).jwks_origins(&[origin]).build();
        assert!(built.is_err(), "{origin}");
    }
}

/// Addresses that only a machine itself, or what stands beside it, answers: no issuer out there has
/// its keys on them.
#[tokio::test]
async fn e02_a_jwks_uri_within_the_machine_or_its_link_is_refused() {
    for jwks_uri in [
        "https://169.254.169.254/latest/meta-data",
        "https://169.254.0.1:8443/",
        "https://[fe80::1]/",
        "https://[febf::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://0.0.0.0/",
        "https://[::]/",
        "https://127.0.0.1/",
        "https://127.1.2.3:9000/",
        "https://[::1]/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://id.localhost/",
        // As clients read what looks like a name.
        "https://2852039166/",
        "https://0xa9fea9fe/",
        "https://0251.0376.0251.0376/",
        "https://169.254.43518/",
        "https://0/",
        "https://127.1/",
    ] {
        for issuer in ["https://id.example.com", "https://10.1.2.3"] {
            assert_eq!(elsewhere(issuer, jwks_uri, |keys| keys).await, 503);
        }
    }
    // An issuer that is there itself may have them there.
    for (issuer, jwks_uri) in [
        ("https://169.254.7.8", "https://169.254.7.8:8443/keys"),
        ("https://localhost:8443", "https://127.0.0.1/keys"),
        ("http://127.0.0.1:3000", "http://localhost:3001/keys"),
        ("http://localhost:3000", "https://id.example.com/keys"),
    ] {
        assert_eq!(elsewhere(issuer, jwks_uri, |keys| keys).await, 200);
    }
}
