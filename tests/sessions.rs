//! Holds login, refresh and logout to their rules in a whole service: the routes, the layer and a
//! store.
#![cfg(all(feature = "axum", feature = "testing"))]
#![expect(clippy::unwrap_used, reason = "a test that panics fails")]

#[path = "support/answer.rs"]
mod answer;

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use answer::{Answer, send};
use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, ORIGIN, RETRY_AFTER};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::revocation::{Revocation, RevocationSet, RevocationStore, TokenIdentity};
use tower_jwt_auth::routes::SessionRoutes;
use tower_jwt_auth::session::{
    OwnSubject, RefreshKeys, Rotation, SessionErrorKind, SessionEventKind, SessionId, SessionStore,
    Sessions, TokenPair,
};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::testing::FailingStore;
use tower_jwt_auth::{AuthErrorKind, Claims, VerifiedToken, Verifier};

const NOW: u64 = 1_800_000_000;

/// What is known of users: their roles. A user who is not there does not exist.
type Users = Arc<Mutex<HashMap<String, Vec<String>>>>;

struct World<S> {
    clock: ManualClock,
    store: FailingStore<S>,
    users: Users,
    events: Arc<Mutex<Vec<SessionEventKind>>>,
    sessions: Sessions<FailingStore<S>>,
    routes: SessionRoutes<FailingStore<S>>,
    app: Router,
}

fn memory(clock: &ManualClock) -> MemoryStore {
    MemoryStore::with_clock(clock.clone())
}

fn world() -> World<MemoryStore> {
    let clock = ManualClock::at(NOW);
    let store = memory(&clock);
    World::new(clock, store, |sessions| sessions)
}

impl<S: SessionStore> World<S> {
    fn new(
        clock: ManualClock,
        store: S,
        configure: impl FnOnce(Sessions<FailingStore<S>>) -> Sessions<FailingStore<S>>,
    ) -> Self {
        let store = FailingStore::new(store);
        let users: Users = Arc::default();
        for name in ["alice", "bob"] {
            let roles = vec!["reader".to_owned()];
            users.lock().unwrap().insert(name.to_owned(), roles);
        }
        let events: Arc<Mutex<Vec<_>>> = Arc::default();
        let key = SigningKey::from_secret(Algorithm::HS256, [1; 32]).unwrap();
        let (known, heard) = (Arc::clone(&users), Arc::clone(&events));
        let sessions = Sessions::new(store.clone(), key, RefreshKeys::new([2; 32]).unwrap())
            .issuer("https://id.example.com")
            .audience("api")
            .clock(clock.clone())
            .claims(move |session| {
                let roles = known.lock().unwrap().get(&session.subject).cloned();
                let claims = roles.map(|roles| json!({ "roles": roles }));
                async move { Ok::<_, Infallible>(claims) }
            })
            .on_event(move |event| heard.lock().unwrap().push(event.kind));
        let sessions = configure(sessions);
        let routes = SessionRoutes::new(sessions.clone()).unwrap();
        let app = Router::new()
            .route(
                "/me",
                get(async |Claims(claims): Claims<Value>| claims.to_string()),
            )
            .layer(routes.layer())
            .route("/refresh", post(routes.refresh()))
            .route("/logout", post(routes.logout()));
        Self {
            clock,
            store,
            users,
            events,
            sessions,
            routes,
            app,
        }
    }

    /// How often that happened.
    fn times(&self, kind: SessionEventKind) -> usize {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| **event == kind).count()
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.app, request).await
    }

    /// What `/me` says to an access token, in the header and in the cookie.
    async fn me(&self, access_token: &str) -> StatusCode {
        let header = Request::get("/me").header(AUTHORIZATION, format!("Bearer {access_token}"));
        let header = self.send(header.body(Body::empty()).unwrap()).await;
        let cookie = Request::get("/me").header(COOKIE, format!("__Host-access={access_token}"));
        let cookie = self.send(cookie.body(Body::empty()).unwrap()).await;
        assert_eq!(header.status, cookie.status);
        header.status
    }

    async fn post_json(&self, path: &str, body: Value) -> Answer {
        let request = Request::post(path).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    async fn post_cookies(&self, path: &str, cookies: &str) -> Answer {
        let request = Request::post(path)
            .header(COOKIE, cookies)
            .header("sec-fetch-site", "same-origin");
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn refresh_json(&self, refresh_token: &str) -> Answer {
        self.post_json("/refresh", json!({ "refresh_token": refresh_token }))
            .await
    }

    async fn refresh(&self, refresh_token: &str) -> Result<TokenPair, SessionErrorKind> {
        let refreshed = self.sessions.refresh(refresh_token).await;
        refreshed.map_err(|error| error.kind())
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The cookies that it deletes.
    fn deletes(&self) -> usize {
        let deleted = |cookie: &&&str| cookie.contains("Max-Age=0;");
        self.cookies().iter().filter(deleted).count()
    }
}

#[tokio::test]
async fn a_session_from_login_to_logout() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    assert_eq!(world.me(&tokens.access_token).await, StatusCode::OK);
    assert_eq!(tokens.access_lifetime, Duration::from_secs(300));
    assert_eq!(tokens.refresh_lifetime, Duration::from_secs(14 * 86400));
    assert!(tokens.refresh_token.len() < 100);

    world.advance(300);
    let answer = world.refresh_json(&tokens.refresh_token).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers[CACHE_CONTROL], "no-store");
    assert!(answer.cookies().is_empty());
    let json = answer.json();
    assert_eq!(json["token_type"], "Bearer");
    assert_eq!(json["expires_in"], 300);
    let renewed = json["access_token"].as_str().unwrap();
    assert_eq!(world.me(renewed).await, StatusCode::OK);

    let refresh_token = json["refresh_token"].as_str().unwrap();
    let logout = json!({ "refresh_token": refresh_token });
    let answer = world.post_json("/logout", logout.clone()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(world.me(renewed).await, StatusCode::UNAUTHORIZED);
    let answer = world.refresh_json(refresh_token).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.times(SessionEventKind::Ended), 1);
}

#[tokio::test]
async fn the_access_token_says_what_it_should() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let request =
        Request::get("/me").header(AUTHORIZATION, format!("Bearer {}", tokens.access_token));
    let claims = world
        .send(request.body(Body::empty()).unwrap())
        .await
        .json();
    assert_eq!(claims["iss"], "https://id.example.com");
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["aud"], "api");
    assert_eq!(claims["iat"], NOW);
    assert_eq!(claims["exp"], NOW + 300);
    assert_eq!(claims["sid"], tokens.sid.to_string());
    assert_eq!(claims["generation"], 0);
    assert_eq!(claims["auth_time"], NOW);
    assert_eq!(claims.get("acr"), None);
    assert_eq!(claims["roles"], json!(["reader"]));
    assert_eq!(claims["jti"].as_str().unwrap().len(), 32);
    let header = tokens.access_token.split('.').next().unwrap();
    let header = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(header).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header["typ"], "at+jwt");
}

#[tokio::test]
async fn cookies_are_set_renewed_and_cleared() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let cookies = world.routes.cookies().unwrap().set(&tokens).unwrap();
    let [access, refresh] = cookies.try_into().unwrap();
    assert_eq!(
        access.to_str().unwrap(),
        format!(
            "__Host-access={}; Max-Age=300; Path=/; Secure; HttpOnly; SameSite=Lax",
            tokens.access_token
        )
    );
    assert_eq!(
        refresh.to_str().unwrap(),
        format!(
            "__Host-refresh={}; Max-Age=1209600; Path=/; Secure; HttpOnly; SameSite=Strict",
            tokens.refresh_token
        )
    );
    let cookies = format!("__Host-refresh={}", tokens.refresh_token);
    let answer = world.post_cookies("/refresh", &cookies).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, r#"{"expires_in":300}"#);
    let set = answer.cookies();
    assert!(set[0].starts_with("__Host-access=ey") && set[1].starts_with("__Host-refresh="));
    let renewed = set[1].split(';').next().unwrap();
    let answer = world.post_cookies("/logout", renewed).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.deletes(), 2);
}

#[tokio::test]
async fn i09_renewal_and_logout_are_not_for_other_sites() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let cookies = format!(
        "__Host-access={}; __Host-refresh={}",
        tokens.access_token, tokens.refresh_token
    );
    for path in ["/refresh", "/logout"] {
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("x-nothing", "at all"),
        ] {
            // A form of another site can say that it is text.
            for kind in ["text/plain", "application/x-www-form-urlencoded"] {
                let request = Request::post(path)
                    .header(COOKIE, &cookies)
                    .header("host", "example.com")
                    .header("content-type", kind)
                    .header(name, value);
                let answer = world.send(request.body(Body::empty()).unwrap()).await;
                assert_eq!(
                    answer.status,
                    StatusCode::FORBIDDEN,
                    "{path} {name} {value}"
                );
                assert!(answer.cookies().is_empty());
            }
        }
    }
    assert_eq!(world.me(&tokens.access_token).await, StatusCode::OK);
    assert_eq!(
        world
            .sessions
            .list(&world.sessions.subject_named("alice"))
            .await
            .unwrap()
            .len(),
        1
    );
    // The page itself, and one that is trusted.
    let own = Request::post("/refresh")
        .header(COOKIE, &cookies)
        .header("host", "example.com")
        .header(ORIGIN, "https://example.com");
    let answer = world.send(own.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn only_post_renews() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let app = Router::new().route("/refresh", axum::routing::any(world.routes.refresh()));
    for method in ["GET", "HEAD", "PUT", "OPTIONS"] {
        let request = Request::builder()
            .method(method)
            .uri("/refresh")
            .header(COOKIE, format!("__Host-refresh={}", tokens.refresh_token))
            .header("sec-fetch-site", "same-origin");
        let request = request.body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["allow"], "POST");
    }
}

#[tokio::test]
async fn malformed_wishes_change_nothing() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    for body in [
        "{",
        "[]",
        r#"{"refresh_token":1}"#,
        r#"{"refresh_token":"a","refresh_token":"b"}"#,
        &format!(r#"{{"refresh_token":"{}"}}"#, "a".repeat(5000)),
    ] {
        let request = Request::post("/refresh").header("content-type", "application/json");
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let answer = world.send(request).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let twice = format!("__Host-refresh={}; __Host-refresh=x", tokens.refresh_token);
    let answer = world.post_cookies("/refresh", &twice).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let answer = world.post_cookies("/refresh", "a=b").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(world.refresh(&tokens.refresh_token).await.is_ok());
}

#[tokio::test]
async fn l01_neither_token_stands_in_for_the_other() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let answer = world.refresh_json(&tokens.access_token).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let cookies = format!("__Host-refresh={}", tokens.access_token);
    let answer = world.post_cookies("/refresh", &cookies).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        world.me(&tokens.refresh_token).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(world.me(&tokens.access_token).await, StatusCode::OK);
}

#[tokio::test]
async fn l02_a_replay_after_the_grace_ends_the_session() {
    for thief_first in [false, true] {
        let world = world();
        let stolen = world
            .sessions
            .login(&world.sessions.subject_named("alice"))
            .await
            .unwrap();
        world.advance(60);
        // The first request gets the next token; the other one has an old token.
        let first = world.refresh(&stolen.refresh_token).await.unwrap();
        let second = if thief_first {
            world.advance(60);
            world.refresh(&first.refresh_token).await.unwrap()
        } else {
            first.clone()
        };
        world.advance(11);
        assert_eq!(world.me(&second.access_token).await, StatusCode::OK);
        let answer = world.refresh_json(&stolen.refresh_token).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        for access_token in [
            &stolen.access_token,
            &first.access_token,
            &second.access_token,
        ] {
            assert_eq!(world.me(access_token).await, StatusCode::UNAUTHORIZED);
        }
        for tokens in [&stolen, &first, &second] {
            assert_eq!(
                world.refresh(&tokens.refresh_token).await.unwrap_err(),
                SessionErrorKind::Ended
            );
        }
        assert_eq!(world.times(SessionEventKind::ReuseDetected), 1);
    }
}

#[tokio::test]
async fn l02_the_grandparent_is_theft_even_within_the_grace() {
    let world = world();
    let first = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let second = world.refresh(&first.refresh_token).await.unwrap();
    let third = world.refresh(&second.refresh_token).await.unwrap();
    assert_eq!(
        world.refresh(&first.refresh_token).await.unwrap_err(),
        SessionErrorKind::ReuseDetected
    );
    assert_eq!(
        world.me(&third.access_token).await,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn l02_the_grace_does_not_slide() {
    let world = world();
    let first = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let second = world.refresh(&first.refresh_token).await.unwrap();
    for _ in 0..3 {
        world.advance(3);
        let again = world.refresh(&first.refresh_token).await.unwrap();
        assert_eq!(again.refresh_token, second.refresh_token);
        assert_eq!(world.me(&again.access_token).await, StatusCode::OK);
    }
    world.advance(1);
    assert_eq!(
        world.refresh(&first.refresh_token).await.unwrap_err(),
        SessionErrorKind::ReuseDetected
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l03_a_hundred_at_once_get_the_same_successor() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let mut asked = Vec::new();
    for _ in 0..100 {
        let (sessions, token) = (world.sessions.clone(), tokens.refresh_token.clone());
        asked.push(tokio::spawn(async move { sessions.refresh(&token).await }));
    }
    let mut successors = HashSet::new();
    for answer in asked {
        let tokens = answer.await.unwrap().unwrap();
        assert_eq!(world.me(&tokens.access_token).await, StatusCode::OK);
        successors.insert(tokens.refresh_token);
    }
    assert_eq!(successors.len(), 1);
    let listed = world
        .sessions
        .list(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    assert_eq!(listed[0].counter, 1, "one rotation");
}

#[tokio::test]
async fn l05_a_response_of_503_clears_no_cookie() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let cookies = format!("__Host-refresh={}", tokens.refresh_token);
    world.store.fail();
    for path in ["/refresh", "/logout"] {
        let answer = world.post_cookies(path, &cookies).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answer.headers[RETRY_AFTER], "1");
        assert!(answer.cookies().is_empty());
    }
    world.store.recover();
    // Nor does a guess.
    let answer = world.post_cookies("/refresh", "__Host-refresh=guess").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.cookies().is_empty());
    // A session that is dead does.
    world.sessions.logout(&tokens.refresh_token).await.unwrap();
    let answer = world.post_cookies("/refresh", &cookies).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.deletes(), 2);
}

#[tokio::test]
async fn l07_a_store_that_is_down_uses_up_no_token() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    world.store.fail();
    assert_eq!(
        world.refresh(&tokens.refresh_token).await.unwrap_err(),
        SessionErrorKind::Unavailable
    );
    world.store.recover();
    world.advance(3600);
    assert!(world.refresh(&tokens.refresh_token).await.is_ok());
}

#[tokio::test]
async fn l07_claims_that_cannot_be_had_use_up_no_token() {
    let clock = ManualClock::at(NOW);
    let broken = Arc::new(Mutex::new(false));
    let switch = Arc::clone(&broken);
    let store = memory(&clock);
    let world = World::new(clock, store, move |sessions| {
        sessions.claims(move |_| {
            let broken = *switch.lock().unwrap();
            async move {
                if broken {
                    return Err(std::io::Error::other("the database of alice is down"));
                }
                Ok(Some(json!({})))
            }
        })
    });
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    *broken.lock().unwrap() = true;
    let answer = world.refresh_json(&tokens.refresh_token).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!answer.body.contains("alice"));
    world.advance(3600);
    *broken.lock().unwrap() = false;
    assert!(world.refresh(&tokens.refresh_token).await.is_ok());
}

#[tokio::test]
async fn l08_the_grace_counts_from_the_stored_time() {
    let world = world();
    let first = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let second = world.refresh(&first.refresh_token).await.unwrap();
    // The response is lost and the server starts again, over the same store.
    let key = SigningKey::from_secret(Algorithm::HS256, [1; 32]).unwrap();
    let keys = RefreshKeys::new([2; 32]).unwrap();
    let restarted = Sessions::new(world.store.clone(), key, keys)
        .issuer("https://id.example.com")
        .clock(world.clock.clone());
    world.advance(9);
    let again = restarted.refresh(&first.refresh_token).await.unwrap();
    assert_eq!(again.refresh_token, second.refresh_token);
    world.advance(1);
    let late = restarted.refresh(&first.refresh_token).await.unwrap_err();
    assert_eq!(late.kind(), SessionErrorKind::ReuseDetected);
}

#[tokio::test]
async fn l09_no_session_outlives_its_end() {
    let clock = ManualClock::at(NOW);
    let store = memory(&clock);
    let world = World::new(clock, store, |sessions| {
        sessions
            .idle_lifetime(Duration::from_secs(1000))
            .lifetime(Duration::from_secs(2500))
    });
    // Idle.
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    assert_eq!(tokens.refresh_lifetime, Duration::from_secs(1000));
    world.advance(1000);
    assert_eq!(
        world.refresh(&tokens.refresh_token).await.unwrap_err(),
        SessionErrorKind::Expired
    );
    assert!(
        world
            .sessions
            .list(&world.sessions.subject_named("alice"))
            .await
            .unwrap()
            .is_empty()
    );
    // By age, however busy.
    let mut tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    for expected in [1000, 1000, 700, 100] {
        world.advance(600);
        tokens = world.refresh(&tokens.refresh_token).await.unwrap();
        assert_eq!(tokens.refresh_lifetime, Duration::from_secs(expected));
    }
    // The access token ends with it.
    assert_eq!(tokens.access_lifetime, Duration::from_secs(100));
    world.advance(100);
    assert_eq!(
        world.refresh(&tokens.refresh_token).await.unwrap_err(),
        SessionErrorKind::Expired
    );
    world.advance(30);
    assert_eq!(
        world.me(&tokens.access_token).await,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn l09_no_access_token_outlives_an_idle_session() {
    let clock = ManualClock::at(NOW);
    let store = memory(&clock);
    let world = World::new(clock, store, |sessions| {
        sessions.idle_lifetime(Duration::from_secs(60))
    });
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    assert_eq!(tokens.access_lifetime, Duration::from_secs(60));
    // Within the leeway the token is still valid. It must be distinguishable when its subject is
    // logged out.
    world.advance(70);
    world
        .sessions
        .login(&world.sessions.subject_named("bob"))
        .await
        .unwrap();
    assert_eq!(world.me(&tokens.access_token).await, StatusCode::OK);
    world
        .sessions
        .logout_everywhere(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    assert_eq!(
        world.me(&tokens.access_token).await,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn l11_guesses_change_nothing_and_a_counter_ahead_is_caught_up_with() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let mut forged = tokens.refresh_token.clone().into_bytes();
    for index in 0..forged.len() {
        let before = forged[index];
        forged[index] = if before == b'A' { b'B' } else { b'A' };
        let text = String::from_utf8(forged.clone()).unwrap();
        assert_eq!(
            world.refresh(&text).await.unwrap_err(),
            SessionErrorKind::InvalidToken
        );
        forged[index] = before;
    }
    // The same session in a store that has lost the last two writes.
    let lost = World::new(world.clock.clone(), memory(&world.clock), |sessions| {
        sessions
    });
    let session = world
        .sessions
        .list(&world.sessions.subject_named("alice"))
        .await
        .unwrap()
        .remove(0);
    lost.store.create(&session, None).await.unwrap();
    let second = world.refresh(&tokens.refresh_token).await.unwrap();
    let third = world.refresh(&second.refresh_token).await.unwrap();
    let caught_up = lost.refresh(&third.refresh_token).await.unwrap();
    assert_eq!(lost.times(SessionEventKind::LostWrites), 1);
    assert_eq!(
        caught_up.refresh_token,
        world
            .refresh(&third.refresh_token)
            .await
            .unwrap()
            .refresh_token
    );
    lost.advance(11);
    assert_eq!(
        lost.refresh(&third.refresh_token).await.unwrap_err(),
        SessionErrorKind::ReuseDetected
    );
}

#[tokio::test]
async fn l12_the_store_holds_no_secret() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let session = world
        .sessions
        .list(&world.sessions.subject_named("alice"))
        .await
        .unwrap()
        .remove(0);
    // All that a store is handed, field by field.
    let kept = format!(
        "{} {:?} {} {} {} {:?}",
        session.sid,
        session.issuer,
        session.subject,
        session.generation,
        session.counter,
        session.label
    );
    let mac = &tokens.refresh_token[34..];
    assert!(!kept.contains(mac));
    let others = RefreshKeys::new([3; 32]).unwrap();
    let key = SigningKey::from_secret(Algorithm::HS256, [1; 32]).unwrap();
    let thief = Sessions::new(world.store.clone(), key, others).clock(world.clock.clone());
    let refused = thief.refresh(&tokens.refresh_token).await.unwrap_err();
    assert_eq!(refused.kind(), SessionErrorKind::InvalidToken);
}

#[tokio::test]
async fn k01_k03_log_out_everywhere_and_in_again_in_the_same_second() {
    let world = world();
    let phone = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let laptop = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let bob = world
        .sessions
        .login(&world.sessions.subject_named("bob"))
        .await
        .unwrap();
    world
        .sessions
        .logout_everywhere(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let again = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    for tokens in [&phone, &laptop] {
        assert_eq!(
            world.me(&tokens.access_token).await,
            StatusCode::UNAUTHORIZED
        );
        let answer = world.refresh_json(&tokens.refresh_token).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    for tokens in [&again, &bob] {
        assert_eq!(world.me(&tokens.access_token).await, StatusCode::OK);
        assert!(world.refresh(&tokens.refresh_token).await.is_ok());
    }
}

#[tokio::test]
async fn k04_what_was_ended_stays_ended() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    world
        .sessions
        .logout_everywhere(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    for _ in 0..90 {
        world.advance(86_400);
        // Traffic, so that the store tidies up.
        world
            .sessions
            .login(&world.sessions.subject_named("bob"))
            .await
            .unwrap();
        assert!(world.refresh(&tokens.refresh_token).await.is_err());
        assert_eq!(
            world.me(&tokens.access_token).await,
            StatusCode::UNAUTHORIZED
        );
    }
}

#[tokio::test]
async fn k05_a_block_wins_over_a_login_that_began_before_it() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let pending = world
        .sessions
        .begin(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    world
        .sessions
        .block(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let refused = |result: Result<TokenPair, _>| {
        result.map_err(|error: tower_jwt_auth::session::SessionError| error.kind())
    };
    assert_eq!(
        refused(world.sessions.complete(pending).await).unwrap_err(),
        SessionErrorKind::Blocked
    );
    assert_eq!(
        refused(
            world
                .sessions
                .login(&world.sessions.subject_named("alice"))
                .await
        )
        .unwrap_err(),
        SessionErrorKind::Blocked
    );
    assert_eq!(
        world.me(&tokens.access_token).await,
        StatusCode::UNAUTHORIZED
    );
    assert!(world.refresh(&tokens.refresh_token).await.is_err());
    // Lifting it revives no session, and allows new logins.
    let pending = world
        .sessions
        .begin(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    world
        .sessions
        .unblock(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    assert_eq!(
        refused(world.sessions.complete(pending).await).unwrap_err(),
        SessionErrorKind::Blocked
    );
    assert!(world.refresh(&tokens.refresh_token).await.is_err());
    assert_eq!(
        world.me(&tokens.access_token).await,
        StatusCode::UNAUTHORIZED
    );
    let again = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    assert_eq!(world.me(&again.access_token).await, StatusCode::OK);
}

#[tokio::test]
async fn k05_a_login_begun_before_a_logout_everywhere_is_refused() {
    let world = world();
    let pending = world
        .sessions
        .begin(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    world
        .sessions
        .logout_everywhere(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let refused = world.sessions.complete(pending).await.unwrap_err();
    assert_eq!(refused.kind(), SessionErrorKind::LoggedOut);
    // Even if a block came and went.
    let pending = world
        .sessions
        .begin(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    world
        .sessions
        .block(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    world
        .sessions
        .unblock(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let refused = world.sessions.complete(pending).await.unwrap_err();
    assert_eq!(refused.kind(), SessionErrorKind::LoggedOut);
}

#[tokio::test]
async fn k07_a_logout_that_was_not_stored_is_not_acknowledged() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    world.store.fail();
    let logout = json!({ "refresh_token": tokens.refresh_token });
    let answer = world.post_json("/logout", logout).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    for failed in [
        world
            .sessions
            .block(&world.sessions.subject_named("alice"))
            .await,
        world
            .sessions
            .unblock(&world.sessions.subject_named("alice"))
            .await,
        world
            .sessions
            .logout_everywhere(&world.sessions.subject_named("alice"))
            .await,
        world.sessions.end_session(tokens.sid).await,
    ] {
        assert_eq!(failed.unwrap_err().kind(), SessionErrorKind::Unavailable);
    }
    assert_eq!(world.times(SessionEventKind::Ended), 0);
    world.store.recover();
    assert_eq!(world.me(&tokens.access_token).await, StatusCode::OK);
}

#[tokio::test]
async fn k09_logging_out_again_changes_nothing() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    for _ in 0..2 {
        let logout = json!({ "refresh_token": tokens.refresh_token });
        let answer = world.post_json("/logout", logout).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(world.times(SessionEventKind::Ended), 1);
    // By an access token that has only expired, in the header and in the cookie.
    for by_cookie in [false, true] {
        let tokens = world
            .sessions
            .login(&world.sessions.subject_named("alice"))
            .await
            .unwrap();
        world.advance(3600);
        assert_eq!(
            world.me(&tokens.access_token).await,
            StatusCode::UNAUTHORIZED
        );
        let request = Request::post("/logout").header("sec-fetch-site", "same-origin");
        let request = if by_cookie {
            request.header(COOKIE, format!("__Host-access={}", tokens.access_token))
        } else {
            request.header(AUTHORIZATION, format!("Bearer {}", tokens.access_token))
        };
        let answer = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert!(world.refresh(&tokens.refresh_token).await.is_err());
    }
    // By one that is anything but good: not at all.
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let mut forged = tokens.access_token.clone();
    forged.pop();
    let request = Request::post("/logout").header(AUTHORIZATION, format!("Bearer {forged}"));
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let answer = world
        .send(Request::post("/logout").body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(world.me(&tokens.access_token).await, StatusCode::OK);
}

#[tokio::test]
async fn a_role_that_was_taken_away_is_gone_from_the_next_token() {
    let world = world();
    let roles = async |token: &str| {
        let request = Request::get("/me").header(AUTHORIZATION, format!("Bearer {token}"));
        world
            .send(request.body(Body::empty()).unwrap())
            .await
            .json()["roles"]
            .clone()
    };
    world
        .users
        .lock()
        .unwrap()
        .get_mut("alice")
        .unwrap()
        .push("admin".into());
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    assert_eq!(
        roles(&tokens.access_token).await,
        json!(["reader", "admin"])
    );
    world.users.lock().unwrap().get_mut("alice").unwrap().pop();
    let tokens = world.refresh(&tokens.refresh_token).await.unwrap();
    assert_eq!(roles(&tokens.access_token).await, json!(["reader"]));
    // And a user who is gone gets none.
    world.users.lock().unwrap().remove("alice");
    assert_eq!(
        world.refresh(&tokens.refresh_token).await.unwrap_err(),
        SessionErrorKind::UnknownSubject
    );
    assert_eq!(
        world.me(&tokens.access_token).await,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn claims_that_belong_to_the_session_cannot_be_supplied() {
    for claims in [
        json!({ "sub": "root" }),
        json!({ "exp": 9_999_999_999_u64 }),
        json!({ "sid": "x" }),
        json!({ "generation": 9 }),
        json!({ "auth_time": NOW }),
        json!(["roles"]),
        json!("root"),
    ] {
        let clock = ManualClock::at(NOW);
        let store = memory(&clock);
        let world = World::new(clock, store, move |sessions| {
            sessions.claims(move |_| {
                let claims = claims.clone();
                async move { Ok::<_, Infallible>(Some(claims)) }
            })
        });
        let refused = world
            .sessions
            .login(&world.sessions.subject_named("alice"))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), SessionErrorKind::InvalidClaims);
        assert!(
            world
                .sessions
                .list(&world.sessions.subject_named("alice"))
                .await
                .unwrap()
                .is_empty()
        );
    }
}

/// `acr` is the application's as long as the session has none.
#[tokio::test]
async fn the_level_of_a_session_cannot_be_supplied_as_well() {
    let world = World::new(ManualClock::at(NOW), MemoryStore::new(), |sessions| {
        sessions.claims(async |_| Ok::<_, Infallible>(Some(json!({ "acr": "pwd" }))))
    });
    let alice = world.sessions.subject_named("alice");
    let tokens = world.sessions.login(&alice).await.unwrap();
    let elevated = world.sessions.elevate(tokens.sid, "mfa").await;
    let kind = elevated.unwrap_err().kind();
    assert_eq!(kind, SessionErrorKind::InvalidClaims);
    let strong = world.sessions.begin(&alice).await.unwrap().acr("mfa");
    let refused = world.sessions.complete(strong.unwrap()).await;
    assert_eq!(refused.unwrap_err().kind(), SessionErrorKind::InvalidClaims);
    assert!(world.refresh(&tokens.refresh_token).await.is_ok());
}

#[tokio::test]
async fn an_acr_that_no_guard_can_require_is_refused() {
    let world = world();
    let alice = world.sessions.subject_named("alice");
    let longest = "x".repeat(256);
    for acr in ["0", "urn:mace:incommon:iap:silver", &longest] {
        let login = world.sessions.begin(&alice).await.unwrap().acr(acr);
        let tokens = world.sessions.complete(login.unwrap()).await.unwrap();
        let session = world.sessions.find(tokens.sid).await.unwrap().unwrap();
        assert_eq!(session.acr.as_deref(), Some(acr));
    }
    let tokens = world.sessions.login(&alice).await.unwrap();
    let too_long = "x".repeat(257);
    for acr in ["", "a b", "a\"b", "a\\b", "ä", "a\n", &too_long] {
        let login = world.sessions.begin(&alice).await.unwrap().acr(acr);
        assert_eq!(login.unwrap_err().kind(), SessionErrorKind::InvalidAcr);
        let elevated = world.sessions.elevate(tokens.sid, acr).await;
        assert_eq!(elevated.unwrap_err().kind(), SessionErrorKind::InvalidAcr);
    }
    let session = world.sessions.find(tokens.sid).await.unwrap().unwrap();
    assert_eq!((session.acr, session.counter), (None, 0));
}

#[test]
fn n03_a_rotation_shows_no_acr() {
    let mut rotation = Rotation::new(1, NumericDate::from_seconds(NOW).unwrap());
    rotation.elevation = Some("canary".to_owned());
    let shown = format!("{rotation:?} {rotation:#?}");
    assert!(shown.contains("counter") && !shown.contains("canary"));
}

/// In each way to refresh, the token from before an elevation is refused and nothing is cleared.
#[tokio::test]
async fn l16_a_refusal_after_an_elevation_clears_no_cookie() {
    let world = world();
    let alice = world.sessions.subject_named("alice");
    let tokens = world.sessions.login(&alice).await.unwrap();
    let elevated = world.sessions.elevate(tokens.sid, "mfa").await.unwrap();
    assert_eq!(world.times(SessionEventKind::Elevated), 1);
    let cookie = format!("__Host-refresh={}", tokens.refresh_token);
    let by_cookie = world.post_cookies("/refresh", &cookie).await;
    let by_json = world.refresh_json(&tokens.refresh_token).await;
    for answer in [by_cookie, by_json] {
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        let kind = AuthErrorKind::Session(SessionErrorKind::Elevated);
        assert_eq!(answer.error.as_ref().unwrap().kind(), kind);
        assert!(answer.cookies().is_empty());
    }
    let form =
        Request::post("/refresh").header("content-type", "application/x-www-form-urlencoded");
    let body = format!(
        "grant_type=refresh_token&refresh_token={}",
        tokens.refresh_token
    );
    let answer = world.send(form.body(Body::from(body)).unwrap()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["error"], "invalid_grant");
    assert_eq!(world.me(&elevated.access_token).await, StatusCode::OK);
    let refreshed = world.refresh(&elevated.refresh_token).await.unwrap();
    // A copy that waits is reuse, as ever.
    world.advance(10);
    let late = world.refresh(&tokens.refresh_token).await.unwrap_err();
    assert_eq!(late, SessionErrorKind::ReuseDetected);
    assert_eq!(
        world.me(&refreshed.access_token).await,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn an_elevation_is_for_own_sessions_and_during_an_outage_an_outage() {
    let world = world();
    let alice = world.sessions.subject_named("alice");
    let tokens = world.sessions.login(&alice).await.unwrap();
    let theirs = world
        .sessions
        .clone()
        .issuer("https://elsewhere.example.com");
    let refused = theirs.elevate(tokens.sid, "mfa").await.unwrap_err();
    assert_eq!(refused.kind(), SessionErrorKind::Ended);
    world.store.fail();
    let outage = world.sessions.elevate(tokens.sid, "mfa").await.unwrap_err();
    assert_eq!(outage.kind(), SessionErrorKind::Unavailable);
    world.store.recover();
    world.users.lock().unwrap().remove("alice");
    let unknown = world.sessions.elevate(tokens.sid, "mfa").await.unwrap_err();
    assert_eq!(unknown.kind(), SessionErrorKind::UnknownSubject);
    let ended = world.refresh(&tokens.refresh_token).await.unwrap_err();
    assert_eq!(ended, SessionErrorKind::Ended);
}

#[tokio::test]
async fn a_login_that_is_not_remembered_has_cookies_without_max_age() {
    let world = world();
    let alice = world.sessions.subject_named("alice");
    let login = world.sessions.begin(&alice).await.unwrap();
    let tokens = world.sessions.complete(login.without_max_age()).await;
    let mut tokens = tokens.unwrap();
    for _ in 0..2 {
        let cookies = world.routes.cookies().unwrap().set(&tokens).unwrap();
        for cookie in cookies {
            let cookie = cookie.to_str().unwrap().to_owned();
            assert!(!cookie.contains("Max-Age"), "{cookie}");
        }
        let cookie = format!("__Host-refresh={}", tokens.refresh_token);
        let answer = world.post_cookies("/refresh", &cookie).await;
        let [access, refresh] = answer.cookies().try_into().unwrap();
        assert!(!access.contains("Max-Age") && !refresh.contains("Max-Age"));
        assert!(access.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"));
        assert!(refresh.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict"));
        let (_, next) = refresh.split_once('=').unwrap();
        next.split(';')
            .next()
            .unwrap()
            .clone_into(&mut tokens.refresh_token);
    }
    let elevated = world.sessions.elevate(tokens.sid, "mfa").await.unwrap();
    assert!(!elevated.persistent);
    // Deleting them still needs it, and other logins are not concerned.
    let logout = world.post_cookies("/logout", "a=b").await;
    assert_eq!(logout.deletes(), 2);
    assert!(world.sessions.login(&alice).await.unwrap().persistent);
}

#[tokio::test]
async fn a_login_may_be_shorter_than_the_others() {
    let world = world();
    let alice = world.sessions.subject_named("alice");
    let begin = async || world.sessions.begin(&alice).await.unwrap();
    let hour = Duration::from_secs(3600);
    let longest = Duration::from_secs(90 * 86400);
    for (lifetime, refused) in [
        (Duration::ZERO, true),
        (Duration::from_millis(999), true),
        (Duration::from_secs(1), false),
        (longest, false),
        (longest + Duration::from_nanos(1), true),
        (Duration::MAX, true),
    ] {
        let login = begin().await.lifetime(lifetime);
        let kind = login.err().map(|error| error.kind());
        assert_eq!(kind, refused.then_some(SessionErrorKind::InvalidLifetime));
    }
    let login = begin().await.lifetime(hour).unwrap();
    let tokens = world.sessions.complete(login).await.unwrap();
    assert_eq!(tokens.refresh_lifetime, hour);
    world.advance(3540);
    let refreshed = world.refresh(&tokens.refresh_token).await.unwrap();
    assert_eq!(refreshed.refresh_lifetime, Duration::from_secs(60));
    assert_eq!(refreshed.access_lifetime, Duration::from_secs(60));
    let other = world.sessions.login(&alice).await.unwrap();
    world.advance(60);
    let expired = world.refresh(&refreshed.refresh_token).await.unwrap_err();
    assert_eq!(expired, SessionErrorKind::Expired);
    assert!(world.refresh(&other.refresh_token).await.is_ok());
}

/// The verified access token of a new session of `name`, which may have a level.
async fn token_of(world: &World<MemoryStore>, name: &str, acr: Option<&str>) -> VerifiedToken {
    let login = world
        .sessions
        .begin(&world.sessions.subject_named(name))
        .await;
    let login = match acr {
        Some(acr) => login.unwrap().acr(acr).unwrap(),
        None => login.unwrap(),
    };
    let tokens = world.sessions.complete(login).await.unwrap();
    verified(world, &tokens)
}

fn verified(world: &World<MemoryStore>, tokens: &TokenPair) -> VerifiedToken {
    let verifier = Verifier::new(world.sessions.verifying_keys().clone())
        .issuer("https://id.example.com")
        .audience("api")
        .clock(world.clock.clone());
    verifier.verify(&tokens.access_token).unwrap()
}

#[tokio::test]
async fn l17_an_impersonation_is_short_has_no_level_and_begins_no_other() {
    let world = world();
    let (agent, alice) = (
        token_of(&world, "bob", Some("mfa")).await,
        world.sessions.subject_named("alice"),
    );
    let begin = async || world.sessions.impersonate(&agent, &alice).await.unwrap();
    let tokens = world.sessions.complete(begin().await).await.unwrap();
    assert_eq!(tokens.refresh_lifetime, Duration::from_secs(15 * 60));
    let hour = Duration::from_secs(3600);
    let login = begin().await.lifetime(hour + Duration::from_nanos(1));
    let kind = login.unwrap_err().kind();
    assert_eq!(kind, SessionErrorKind::InvalidLifetime);
    let long = begin().await.lifetime(hour).unwrap();
    let long = world.sessions.complete(long).await.unwrap();
    assert_eq!(long.refresh_lifetime, hour);

    let impersonated = SessionErrorKind::Impersonated;
    let strong = begin().await.acr("mfa").unwrap_err();
    assert_eq!(strong.kind(), impersonated);
    let elevated = world.sessions.elevate(tokens.sid, "mfa").await.unwrap_err();
    assert_eq!(elevated.kind(), impersonated);
    let token = verified(&world, &tokens);
    let bob = world.sessions.subject_named("bob");
    for subject in [&alice, &bob] {
        let chained = world.sessions.impersonate(&token, subject).await;
        assert_eq!(chained.unwrap_err().kind(), impersonated);
    }
    let refreshed = world.refresh(&tokens.refresh_token).await.unwrap();
    for tokens in [&tokens, &refreshed] {
        let claims = Value::clone(&verified(&world, tokens).claims().unwrap());
        assert_eq!(claims["sub"], "alice");
        let act = json!({ "sub": "bob", "iss": "https://id.example.com" });
        assert_eq!(claims["act"], act);
        // Guards take neither for a login of the subject.
        assert_eq!(claims.get("acr"), None);
        assert_eq!(claims.get("auth_time"), None);
    }
    let oneself = world.sessions.impersonate(&agent, &bob).await;
    assert_eq!(oneself.unwrap_err().kind(), impersonated);
    let alone = world.sessions.logout_others(tokens.sid).await;
    assert_eq!(alone.unwrap_err().kind(), impersonated);
    let session = world.sessions.find(tokens.sid).await.unwrap().unwrap();
    assert_eq!(session.actor.as_deref(), Some("bob"));
    assert!(!format!("{session:?}").contains("bob"));
    // However often it is refreshed.
    world.advance(15 * 60);
    let late = world.refresh(&refreshed.refresh_token).await.unwrap_err();
    assert_eq!(late, SessionErrorKind::Expired);
}

#[tokio::test]
async fn l17_only_a_current_token_of_ours_impersonates() {
    let world = world();
    let alice = world.sessions.subject_named("alice");
    let bob = world.sessions.subject_named("bob");
    let agent = token_of(&world, "bob", None).await;
    let kind = async |agent: &VerifiedToken, subject: &OwnSubject| {
        let login = world.sessions.impersonate(agent, subject).await;
        login.err().map(|error| error.kind())
    };
    let other = world
        .sessions
        .clone()
        .issuer("https://elsewhere.example.com");
    let theirs = other.subject_named("alice");
    assert_eq!(kind(&agent, &theirs).await, Some(SessionErrorKind::Foreign));
    let refused = other.impersonate(&agent, &theirs).await.unwrap_err();
    assert_eq!(refused.kind(), SessionErrorKind::Foreign);
    assert_eq!(kind(&agent, &alice).await, None);

    world.sessions.block(&alice).await.unwrap();
    assert_eq!(kind(&agent, &alice).await, Some(SessionErrorKind::Blocked));
    world.sessions.unblock(&alice).await.unwrap();
    world.sessions.invalidate_access_tokens(&bob).await.unwrap();
    let stale = Some(SessionErrorKind::LoggedOut);
    assert_eq!(kind(&agent, &alice).await, stale);
    let agent = token_of(&world, "bob", None).await;
    assert_eq!(kind(&agent, &alice).await, None);
    world.store.fail();
    let outage = Some(SessionErrorKind::Unavailable);
    assert_eq!(kind(&agent, &alice).await, outage);
}

#[tokio::test]
async fn l17_an_outage_ends_no_impersonation() {
    let world = world();
    let agent = token_of(&world, "bob", None).await;
    let alice = world.sessions.subject_named("alice");
    let login = world.sessions.impersonate(&agent, &alice).await.unwrap();
    let tokens = world.sessions.complete(login).await.unwrap();
    world.store.fail();
    let outage = world.refresh(&tokens.refresh_token).await.unwrap_err();
    assert_eq!(outage, SessionErrorKind::Unavailable);
    world.store.recover();
    assert!(world.refresh(&tokens.refresh_token).await.is_ok());
    // A change of the actor's password ends it, and a logout of one device does not.
    let sid = world.sessions.session_of(&agent).unwrap();
    let tokens = world.refresh(&tokens.refresh_token).await.unwrap();
    world.sessions.logout_others(sid).await.unwrap();
    let ended = world.refresh(&tokens.refresh_token).await.unwrap_err();
    assert_eq!(ended, SessionErrorKind::LoggedOut);
}

#[tokio::test]
async fn each_event_of_an_impersonation_names_both() {
    type Heard = (SessionEventKind, String, Option<String>);
    let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
    let hears = Arc::clone(&heard);
    let clock = ManualClock::at(NOW);
    let world = World::new(clock.clone(), memory(&clock), move |sessions| {
        sessions.on_event(move |event| {
            assert!(!format!("{event:?}").contains("bob"));
            let (subject, actor) = (
                event.subject.name.to_owned(),
                event.actor.map(str::to_owned),
            );
            hears.lock().unwrap().push((event.kind, subject, actor));
        })
    });
    let agent = token_of(&world, "bob", None).await;
    let alice = world.sessions.subject_named("alice");
    let login = world.sessions.impersonate(&agent, &alice).await.unwrap();
    let tokens = world.sessions.complete(login).await.unwrap();
    world.refresh(&tokens.refresh_token).await.unwrap();
    world.sessions.logout(&tokens.refresh_token).await.unwrap();
    let expected = [
        (SessionEventKind::Started, "bob", None),
        (SessionEventKind::ImpersonationStarted, "alice", Some("bob")),
        (SessionEventKind::Refreshed, "alice", Some("bob")),
        (SessionEventKind::Ended, "alice", Some("bob")),
    ];
    let expected = expected.map(|(kind, subject, actor): (_, &str, Option<&str>)| {
        (kind, subject.to_owned(), actor.map(str::to_owned))
    });
    assert_eq!(*heard.lock().unwrap(), expected);
}

/// `act` is the application's as long as nobody impersonates by `Sessions`.
#[tokio::test]
async fn the_actor_of_a_session_cannot_be_supplied_as_well() {
    let clock = ManualClock::at(NOW);
    let world = World::new(clock.clone(), memory(&clock), |sessions| {
        let act = json!({ "act": { "sub": "a service" } });
        sessions.claims(move |session| {
            let claims = (session.subject == "alice").then(|| act.clone());
            async move { Ok::<_, Infallible>(Some(claims.unwrap_or_else(|| json!({})))) }
        })
    });
    let agent = token_of(&world, "bob", None).await;
    let alice = world.sessions.subject_named("alice");
    let login = world.sessions.impersonate(&agent, &alice).await.unwrap();
    let refused = world.sessions.complete(login).await.unwrap_err();
    assert_eq!(refused.kind(), SessionErrorKind::InvalidClaims);
    // That token cannot impersonate either.
    let acted = token_of(&world, "alice", None).await;
    let bob = world.sessions.subject_named("bob");
    let refused = world.sessions.impersonate(&acted, &bob).await.unwrap_err();
    assert_eq!(refused.kind(), SessionErrorKind::Impersonated);
}

#[tokio::test]
async fn a_token_too_large_for_a_cookie_is_an_error_at_issue() {
    let world = world();
    world
        .users
        .lock()
        .unwrap()
        .get_mut("alice")
        .unwrap()
        .push("x".repeat(4000));
    let refused = world
        .routes
        .sessions()
        .login(&world.routes.sessions().subject_named("alice"))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), SessionErrorKind::TokenTooLong);
    assert!(
        world
            .sessions
            .list(&world.sessions.subject_named("alice"))
            .await
            .unwrap()
            .is_empty()
    );
    // At a renewal it uses up no token.
    world.users.lock().unwrap().get_mut("alice").unwrap().pop();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    world
        .users
        .lock()
        .unwrap()
        .get_mut("alice")
        .unwrap()
        .push("x".repeat(4000));
    let cookies = format!("__Host-refresh={}", tokens.refresh_token);
    let answer = world.post_cookies("/refresh", &cookies).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    world.users.lock().unwrap().get_mut("alice").unwrap().pop();
    world.advance(3600);
    assert!(world.refresh(&tokens.refresh_token).await.is_ok());
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one() {
    let world = world();
    let begin = async |label: &str| {
        let pending = world
            .sessions
            .begin(&world.sessions.subject_named("alice"))
            .await
            .unwrap()
            .label(label);
        world.sessions.complete(pending).await.unwrap()
    };
    let phone = begin("phone").await;
    world.advance(60);
    let laptop = begin("laptop").await;
    world.advance(60);
    world.refresh(&phone.refresh_token).await.unwrap();
    let listed = world
        .sessions
        .list(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let labels: Vec<_> = listed
        .iter()
        .map(|session| session.label.as_deref())
        .collect();
    assert_eq!(labels, [Some("phone"), Some("laptop")], "used last first");
    assert_eq!(listed[0].created_at.seconds(), NOW);
    assert_eq!(listed[0].rotated_at.seconds(), NOW + 120);
    // A session of another user is rejected.
    assert!(
        !world
            .sessions
            .end_session_of(&world.sessions.subject_named("bob"), laptop.sid)
            .await
            .unwrap()
    );
    assert_eq!(world.me(&laptop.access_token).await, StatusCode::OK);
    assert!(
        world
            .sessions
            .end_session_of(&world.sessions.subject_named("alice"), laptop.sid)
            .await
            .unwrap()
    );
    assert_eq!(
        world.me(&laptop.access_token).await,
        StatusCode::UNAUTHORIZED
    );
    assert!(
        !world
            .sessions
            .end_session_of(&world.sessions.subject_named("alice"), laptop.sid)
            .await
            .unwrap()
    );
    assert_eq!(
        world
            .sessions
            .list(&world.sessions.subject_named("alice"))
            .await
            .unwrap()
            .len(),
        1
    );
    let unknown = SessionId::from_bytes([0; 16]);
    assert!(
        !world
            .sessions
            .end_session_of(&world.sessions.subject_named("alice"), unknown)
            .await
            .unwrap()
    );
}

/// 1,000, or what `RACE_ROUNDS` says.
fn rounds() -> usize {
    std::env::var("RACE_ROUNDS").map_or(1_000, |rounds| rounds.parse().unwrap())
}

/// A token may be issued while the clock is ahead. It must not be valid once that time has come.
#[tokio::test]
async fn k05_a_block_that_was_lifted_rejects_tokens_of_a_clock_ahead() {
    let clock = ManualClock::at(NOW);
    let store = MemoryStore::with_clock(clock.clone());
    let world = World::new(clock.clone(), store, |sessions| sessions);
    let alice = world.sessions.subject_named("alice");
    let ahead = Duration::from_secs(2 * 86_400);
    clock.advance(ahead);
    let pair = world.sessions.login(&alice).await.unwrap();
    assert_eq!(world.me(&pair.access_token).await, StatusCode::OK);
    clock.step_back(ahead);
    world.sessions.block(&alice).await.unwrap();
    world.sessions.unblock(&alice).await.unwrap();
    clock.advance(ahead);
    let answer = world.me(&pair.access_token).await;
    assert_eq!(answer, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn k05_a_block_that_finds_no_room_leaves_all_as_it_was() {
    let clock = ManualClock::at(NOW);
    let set = RevocationSet::new().clock(clock.clone()).capacity(1);
    let store = MemoryStore::with(set, clock.clone());
    let block = Revocation::Block {
        issuer: Some("https://id.example.com"),
        subject: "bob",
    };
    store.revoke(&block).unwrap();
    let world = World::new(clock, store, |sessions| sessions);
    let alice = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    assert!(
        world
            .sessions
            .block(&world.sessions.subject_named("alice"))
            .await
            .is_err()
    );
    assert!(
        world
            .sessions
            .logout_everywhere(&world.sessions.subject_named("alice"))
            .await
            .is_err()
    );
    assert!(world.sessions.logout(&alice.refresh_token).await.is_err());
    world.advance(1);
    assert_eq!(world.me(&alice.access_token).await, StatusCode::OK);
    assert!(world.refresh(&alice.refresh_token).await.is_ok());
    // The earlier block stays in force, and may be repeated.
    let bob = world.sessions.subject_named("bob");
    let login = world.sessions.login(&bob).await.unwrap_err();
    assert_eq!(login.kind(), SessionErrorKind::Blocked);
    world.sessions.block(&bob).await.unwrap();
    assert!(world.sessions.login(&bob).await.is_err());
    // One that was lifted behind the sessions' back is put in again.
    assert!(
        world
            .store
            .store()
            .lift_block(Some("https://id.example.com"), "bob")
    );
    world
        .sessions
        .block(&world.sessions.subject_named("bob"))
        .await
        .unwrap();
    let id = TokenIdentity::new(NumericDate::from_seconds(NOW + 300).unwrap());
    let id = id
        .issuer("https://id.example.com")
        .subject("bob")
        .generation(9);
    assert_eq!(world.store.store().peek(&id), Some(true));
}

#[tokio::test]
async fn l08_a_clock_that_steps_back_does_not_lengthen_the_grace() {
    let world = world();
    let first = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    world.advance(5 * 86_400);
    world.refresh(&first.refresh_token).await.unwrap();
    world.clock.step_back(Duration::from_secs(5 * 86_400));
    // The time since the refresh is unknown.
    assert_eq!(
        world.refresh(&first.refresh_token).await.unwrap_err(),
        SessionErrorKind::ReuseDetected
    );
}

#[tokio::test]
async fn what_comes_as_json_leaves_cookies_alone() {
    let world = world();
    let live = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let dead = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    world.sessions.logout(&dead.refresh_token).await.unwrap();
    for path in ["/refresh", "/logout"] {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header(COOKIE, format!("__Host-refresh={}", live.refresh_token));
        let body = json!({ "refresh_token": dead.refresh_token }).to_string();
        let answer = world.send(request.body(Body::from(body)).unwrap()).await;
        assert!(answer.cookies().is_empty(), "{path}");
    }
    assert!(world.refresh(&live.refresh_token).await.is_ok());
    let request = Request::post("/refresh").header("content-type", "application/json");
    let body = json!([live.refresh_token]).to_string();
    let answer = world.send(request.body(Body::from(body)).unwrap()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_unreadable_refresh_cookie_does_not_block_a_logout() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let cookies = format!("__Host-refresh=old; __Host-access={}", tokens.access_token);
    let answer = world.post_cookies("/logout", &cookies).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.deletes(), 2);
    assert_eq!(
        world.me(&tokens.access_token).await,
        StatusCode::UNAUTHORIZED
    );
    let answer = world.post_cookies("/logout", "__Host-refresh=old").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.deletes(), 2);
}

#[tokio::test]
async fn an_authorization_header_says_whose_session_ends() {
    let world = world();
    let alice = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    let bob = world
        .sessions
        .login(&world.sessions.subject_named("bob"))
        .await
        .unwrap();
    let request = Request::post("/logout")
        .header(AUTHORIZATION, format!("Bearer {}", alice.access_token))
        .header(COOKIE, format!("__Host-refresh={}", bob.refresh_token));
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(
        world.me(&alice.access_token).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(world.me(&bob.access_token).await, StatusCode::OK);
}

#[tokio::test]
async fn l11_a_refresh_token_of_another_issuer_is_none_of_ours() {
    let world = world();
    let tokens = world
        .sessions
        .login(&world.sessions.subject_named("alice"))
        .await
        .unwrap();
    // The same store and, by mistake, the same secrets.
    let key = SigningKey::from_secret(Algorithm::HS256, [1; 32]).unwrap();
    let keys = RefreshKeys::new([2; 32]).unwrap();
    let other = Sessions::new(world.store.clone(), key, keys)
        .issuer("https://other.example.com")
        .clock(world.clock.clone());
    let refused = other.refresh(&tokens.refresh_token).await.unwrap_err();
    assert_eq!(refused.kind(), SessionErrorKind::InvalidToken);
    assert!(world.refresh(&tokens.refresh_token).await.is_ok());
}

/// Races a renewal against something that ends the session, many times over.
async fn race<S: SessionStore>(world: &World<S>, rounds: usize, end: &str) {
    for round in 0..rounds {
        let tokens = world
            .sessions
            .login(&world.sessions.subject_named("alice"))
            .await
            .unwrap();
        let refresh = {
            let (sessions, token) = (world.sessions.clone(), tokens.refresh_token.clone());
            tokio::spawn(async move { sessions.refresh(&token).await })
        };
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        match end {
            "logout" => world.sessions.logout(&tokens.refresh_token).await.unwrap(),
            "everywhere" => world
                .sessions
                .logout_everywhere(&world.sessions.subject_named("alice"))
                .await
                .unwrap(),
            _ => world
                .sessions
                .block(&world.sessions.subject_named("alice"))
                .await
                .unwrap(),
        }
        // It has returned. From here on nothing works, whichever request won.
        let raced = refresh.await.unwrap();
        let mut issued = vec![tokens];
        issued.extend(raced);
        for tokens in &issued {
            assert_eq!(
                world.me(&tokens.access_token).await,
                StatusCode::UNAUTHORIZED
            );
            assert!(world.refresh(&tokens.refresh_token).await.is_err());
        }
        if end == "block" {
            assert!(
                world
                    .sessions
                    .login(&world.sessions.subject_named("alice"))
                    .await
                    .is_err()
            );
            world
                .sessions
                .unblock(&world.sessions.subject_named("alice"))
                .await
                .unwrap();
        }
        // The same second.
        let again = world
            .sessions
            .login(&world.sessions.subject_named("alice"))
            .await
            .unwrap();
        assert_eq!(world.me(&again.access_token).await, StatusCode::OK);
        world.sessions.logout(&again.refresh_token).await.unwrap();
        // The store may forget what is long dead.
        world.advance(1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l06_a_renewal_that_races_a_logout_loses() {
    race(&world(), rounds(), "logout").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l06_a_renewal_that_races_a_logout_everywhere_loses() {
    race(&world(), rounds(), "everywhere").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l06_a_renewal_that_races_a_block_loses() {
    race(&world(), rounds(), "block").await;
}
