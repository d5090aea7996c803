//! Sessions that are bound to a key of the client (RFC 9449 §5), on the stores that need no server.
#![cfg(all(feature = "axum", any(feature = "aws_lc_rs", feature = "rust_crypto")))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics fails"
)]

#[path = "support/answer.rs"]
mod answer;
#[path = "support/bound_sessions.rs"]
mod bound_sessions;
#[macro_use]
#[path = "support/on_each_store.rs"]
mod on_each_store;
#[path = "support/dpop_client.rs"]
mod dpop_client;

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use answer::send;
use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use bound_sessions as cases;
use bound_sessions::{REFRESH, URL, WAYS, Way, World, cookie, dpop, tokens};
use dpop_client::{Client, token_hash};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower_jwt_auth::dpop::{
    DpopErrorKind as Kind, ProofIdentity, ReplayMemory, ReplayStore, ReplayVerdict,
};
use tower_jwt_auth::routes::SessionRoutes;
use tower_jwt_auth::session::{SessionErrorKind, SessionEventKind};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::{AuthErrorKind, VerifiedToken};

bound_sessions::all!(on_each_store);

const LOGIN: &str = "https://api.example.com/login";

fn world() -> World<MemoryStore> {
    World::new(MemoryStore::new(), dpop())
}

/// Another MAC over the same contents.
fn forged(token: &str) -> String {
    let (rest, last) = token.split_at(token.len() - 1);
    format!("{rest}{}", if last == "A" { "Q" } else { "A" })
}

/// Each of these proofs of the owner is refused in each way, for `kind`. Then a good one works.
async fn refused(world: &World<MemoryStore>, kind: Kind, bad: &[Value]) {
    let owner = Client::new();
    let current = world.login(Some(&owner)).await;
    for (way, more) in WAYS
        .iter()
        .flat_map(|way| bad.iter().map(move |more| (*way, more)))
    {
        let before = world.session(&current).await;
        let proof = world.proof(&owner, more);
        let answer = world.refresh(way, &current.refresh, Some(&proof)).await;
        answer.unproven(way, kind);
        assert_eq!(world.session(&current).await, before);
    }
    world.owner_refreshes(&owner, &current.refresh).await;
}

#[tokio::test]
async fn l20_a_proof_with_ath_is_not_for_a_refresh() {
    let world = world();
    let tokens = world.login(Some(&Client::new())).await;
    let bad = [
        json!({ "ath": token_hash(&tokens.access) }),
        json!({ "ath": token_hash(&tokens.refresh) }),
        json!({ "ath": token_hash("") }),
        json!({ "ath": "" }),
    ];
    refused(&world, Kind::WrongTokenHash, &bad).await;
}

#[tokio::test]
async fn l21_a_used_proof_does_not_refresh() {
    let world = world();
    let owner = Client::new();
    let mut current = world.login(Some(&owner)).await;
    for way in WAYS {
        let proof = world.proof(&owner, &json!({}));
        let answer = world
            .refresh(Way::Json, &current.refresh, Some(&proof))
            .await;
        let next = tokens(&answer);
        for token in [&current.refresh, &next.refresh] {
            let answer = world.refresh(way, token, Some(&proof)).await;
            answer.unproven(way, Kind::Replayed);
        }
        current = next;
    }
    // That of another session of the same key.
    let other = world.login(Some(&owner)).await;
    let proof = world.proof(&owner, &json!({}));
    tokens(&world.refresh(Way::Json, &other.refresh, Some(&proof)).await);
    let answer = world
        .refresh(Way::Json, &current.refresh, Some(&proof))
        .await;
    answer.unproven(Way::Json, Kind::Replayed);
    // A proof that was refused with a forged token was not used.
    let proof = world.proof(&owner, &json!({}));
    let forged = forged(&current.refresh);
    let answer = world.refresh(Way::Json, &forged, Some(&proof)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    tokens(
        &world
            .refresh(Way::Json, &current.refresh, Some(&proof))
            .await,
    );
}

#[tokio::test]
async fn l22_a_proof_for_another_request_does_not_refresh() {
    let world = world();
    let urls = [
        LOGIN,
        "https://api.example.com/refresh/",
        "https://api.example.com/Refresh",
        "https://elsewhere.example.com/refresh",
        "http://api.example.com/refresh",
        "https://api.example.com:8443/refresh",
        "/refresh",
    ];
    let urls = urls.map(|url| json!({ "htu": url }));
    refused(&world, Kind::WrongUrl, &urls).await;
    let methods = ["GET", "post", ""].map(|method| json!({ "htm": method }));
    refused(&world, Kind::WrongMethod, &methods).await;
    let (early, late) = (world.now() + 31, world.now() - 60);
    refused(&world, Kind::IssuedInFuture, &[json!({ "iat": early })]).await;
    refused(&world, Kind::Expired, &[json!({ "iat": late })]).await;
    refused(&world, Kind::InvalidId, &[json!({ "jti": "" })]).await;
    refused(&world, Kind::Malformed, &[json!({ "jti": null })]).await;
    // Query and fragment are ignored.
    let owner = Client::new();
    let current = world.login(Some(&owner)).await;
    let url = format!("{REFRESH}?a=b#c");
    let proof = world.proof(&owner, &json!({ "htu": url }));
    tokens(
        &world
            .refresh(Way::Json, &current.refresh, Some(&proof))
            .await,
    );
}

#[tokio::test]
async fn l22_the_configured_url_is_in_the_log_and_in_no_response() {
    let world = world();
    let owner = Client::new();
    let current = world.login(Some(&owner)).await;
    let proof = world.proof(&owner, &json!({ "htu": LOGIN }));
    let answer = world
        .refresh(Way::Json, &current.refresh, Some(&proof))
        .await;
    let error = answer.error.unwrap();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains(URL), "{source}");
    assert!(!answer.body.contains("example.com"), "{}", answer.body);
    for secret in [&*proof, &*current.refresh, &*owner.thumbprint()] {
        let shown = format!("{error:?} {error} {:?}", world.session(&current).await);
        assert!(!shown.contains(secret));
    }
}

#[tokio::test]
async fn l23_a_refresh_without_the_current_nonce_gets_it_with_400() {
    let nonces = || dpop().nonces([7; 32]).unwrap();
    let world = World::new(MemoryStore::new(), nonces());
    let owner = Client::new();
    // The login, too.
    let proof = owner.proof(LOGIN, world.now(), &json!({}));
    let answer = world.post("/login", Some(&proof)).await;
    answer.unproven(Way::Json, Kind::MissingNonce);
    let nonce = |answer: &answer::Answer| {
        let nonce = answer.headers["dpop-nonce"].to_str().unwrap();
        nonce.to_owned()
    };
    let first = nonce(&answer);
    let proof = owner.proof(LOGIN, world.now(), &json!({ "nonce": first }));
    let mut current = tokens(&world.post("/login", Some(&proof)).await);
    let others = World::new(MemoryStore::new(), dpop().nonces([8; 32]).unwrap());
    let proof = others.proof(&owner, &json!({ "htu": LOGIN }));
    let foreign = nonce(&others.post("/login", Some(&proof)).await);
    for way in WAYS {
        let proof = world.proof(&owner, &json!({}));
        let answer = world.refresh(way, &current.refresh, Some(&proof)).await;
        answer.unproven(way, Kind::MissingNonce);
        assert_eq!(nonce(&answer), first);
        for bad in ["", &*foreign, &first[1..]] {
            let proof = world.proof(&owner, &json!({ "nonce": bad }));
            let answer = world.refresh(way, &current.refresh, Some(&proof)).await;
            answer.unproven(way, Kind::StaleNonce);
        }
        let proof = world.proof(&owner, &json!({ "nonce": first }));
        current = tokens(
            &world
                .refresh(Way::Json, &current.refresh, Some(&proof))
                .await,
        );
    }
    // The previous nonce works, and the next one comes with the tokens: by body and by cookie.
    world.clock.advance(Duration::from_secs(300));
    let proof = world.proof(&owner, &json!({ "nonce": first }));
    let answer = world
        .refresh(Way::Json, &current.refresh, Some(&proof))
        .await;
    let next = nonce(&answer);
    assert_ne!(next, first);
    current = tokens(&answer);
    let proof = world.proof(&owner, &json!({ "nonce": first }));
    let answer = world
        .refresh(Way::Cookie, &current.refresh, Some(&proof))
        .await;
    assert_eq!(
        (answer.status, nonce(&answer)),
        (StatusCode::OK, next.clone())
    );
    let url = format!("{URL}/login-by-cookie");
    let proof = owner.proof(&url, world.now(), &json!({ "nonce": first }));
    let answer = world.post("/login-by-cookie", Some(&proof)).await;
    assert_eq!((answer.status, nonce(&answer)), (StatusCode::OK, next));
    world.clock.advance(Duration::from_secs(300));
    let current = cookie(&answer, "__Host-refresh").unwrap();
    let proof = world.proof(&owner, &json!({ "nonce": first }));
    let answer = world.refresh(Way::Cookie, &current, Some(&proof)).await;
    answer.unproven(Way::Cookie, Kind::StaleNonce);
}

/// Fails, or never answers.
struct Broken(bool);

impl ReplayStore for Broken {
    type Error = io::Error;

    async fn remember(&self, _: &ProofIdentity<'_>) -> io::Result<ReplayVerdict> {
        if self.0 {
            pending::<()>().await;
        }
        Err(io::Error::other("down"))
    }
}

#[tokio::test(start_paused = true)]
async fn l29_a_replay_store_that_fails_is_never_skipped() {
    let good = world();
    let owner = Client::new();
    let current = good.login(Some(&owner)).await;
    for (dpop, status) in [
        (
            dpop().replay_store(Broken(true)),
            StatusCode::SERVICE_UNAVAILABLE,
        ),
        (
            dpop().replay_store(Broken(false)),
            StatusCode::SERVICE_UNAVAILABLE,
        ),
        (
            dpop().replay_store(ReplayMemory::new().capacity(0)),
            StatusCode::TOO_MANY_REQUESTS,
        ),
    ] {
        let broken = World::new(good.sessions.store().clone(), dpop);
        for way in WAYS {
            let before = good.session(&current).await;
            let proof = broken.proof(&owner, &json!({}));
            let answer = broken.refresh(way, &current.refresh, Some(&proof)).await;
            assert_eq!(answer.status, status, "{way:?}");
            assert!(answer.headers.contains_key("retry-after"));
            assert_eq!(answer.cookies(), Vec::<&str>::new());
            assert_eq!(good.session(&current).await, before);
        }
        let proof = owner.proof(LOGIN, broken.now(), &json!({}));
        let answer = broken.post("/login", Some(&proof)).await;
        assert_eq!(answer.status, status);
        assert_eq!(broken.times(SessionEventKind::Started), 0);
    }
    good.owner_refreshes(&owner, &current.refresh).await;
}

#[tokio::test]
async fn l30_a_page_is_not_renewed_with_a_bound_token() {
    let world = world();
    let owner = Client::new();
    let proof = owner.proof(&format!("{URL}/login-by-cookie"), world.now(), &json!({}));
    let answer = world.post("/login-by-cookie", Some(&proof)).await;
    let current = cookie(&answer, "__Host-refresh").unwrap();
    let pages = Router::new()
        .route("/", get(async |_: VerifiedToken| "in"))
        .layer(world.routes.layer())
        .layer(world.routes.page_renewal().unwrap());
    let refresh = format!("__Host-refresh={current}");
    let proof = world.proof(&owner, &json!({}));
    for proof in [None, Some(&*proof)] {
        let request = Request::get("/")
            .header("cookie", &refresh)
            .header("sec-fetch-mode", "navigate");
        let request = bound_sessions::with_proof(request, proof);
        let answer = send(&pages, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.cookies(), Vec::<&str>::new());
    }
    let answer = world.refresh(Way::Cookie, &current, Some(&proof)).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn l32_a_login_needs_a_good_and_new_proof_to_bind() {
    let world = world();
    let owner = Client::new();
    for (kind, more) in [
        (Kind::WrongUrl, json!({ "htu": REFRESH })),
        (Kind::WrongMethod, json!({ "htm": "GET" })),
        (Kind::Expired, json!({ "iat": world.now() - 60 })),
        (Kind::WrongTokenHash, json!({ "ath": token_hash("") })),
        (Kind::InvalidId, json!({ "jti": "" })),
    ] {
        let proof = owner.proof(LOGIN, world.now(), &more);
        let answer = world.post("/login", Some(&proof)).await;
        answer.unproven(Way::Json, kind);
    }
    let proof = owner.proof(LOGIN, world.now(), &json!({}));
    let changed = format!("{}A", &proof[..proof.len() - 2]);
    let answer = world.post("/login", Some(&changed)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.times(SessionEventKind::Started), 0);
    tokens(&world.post("/login", Some(&proof)).await);
    let answer = world.post("/login", Some(&proof)).await;
    answer.unproven(Way::Json, Kind::Replayed);
    assert_eq!(world.times(SessionEventKind::Started), 1);
    // Two headers.
    let request = Request::post("/login")
        .header("dpop", owner.proof(LOGIN, world.now(), &json!({})))
        .header("dpop", owner.proof(LOGIN, world.now(), &json!({})));
    let answer = send(&world.app, request.body(Body::empty()).unwrap()).await;
    answer.unproven(Way::Json, Kind::SeveralProofs);
}

#[tokio::test]
async fn l33_logins_without_a_password_use_no_memory() {
    let dpop = Arc::new(dpop());
    let world = World::new(MemoryStore::new(), Arc::clone(&dpop));
    let alice = world.sessions.subject_named("alice");
    let mut proofs = Vec::new();
    for _ in 0..20 {
        let owner = Client::new();
        let text = owner.proof(LOGIN, world.now(), &json!({}));
        let request = Request::post("/login").header("dpop", &text).body(());
        let (parts, ()) = request.unwrap().into_parts();
        let proof = world.routes.proof(&parts).unwrap();
        // The password turns out to be wrong.
        let login = world.sessions.begin(&alice).await.unwrap();
        drop(login.bind(&proof).unwrap());
        proofs.push((owner, text));
    }
    assert!(format!("{dpop:?}").contains("ClientKeys(0)"), "{dpop:?}");
    for (owner, proof) in &proofs {
        let current = tokens(&world.post("/login", Some(proof)).await);
        let answer = world.post("/login", Some(proof)).await;
        answer.unproven(Way::Json, Kind::Replayed);
        assert!(format!("{dpop:?}").contains("ClientKeys(0)"), "{dpop:?}");
        let forged = forged(&current.refresh);
        let proof = world.proof(owner, &json!({}));
        let answer = world.refresh(Way::Json, &forged, Some(&proof)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    assert!(format!("{dpop:?}").contains("ClientKeys(0)"), "{dpop:?}");
}

#[tokio::test]
async fn l34_logout_by_a_bound_access_token_ends_its_session() {
    let world = world();
    let body_routes = SessionRoutes::without_cookies(world.sessions.clone()).dpop(dpop());
    let of_apps = Router::new().route("/logout", post(body_routes.logout()));
    let from = |name: &str, value: &str| Request::post("/logout").header(name, value);
    for (scheme, lives) in [("DPoP", true), ("Bearer", true), ("DPoP", false)] {
        for (app, request) in [
            (&of_apps, Request::post("/logout")),
            // Another site can end no session: it has no token.
            (&world.app, Request::post("/logout")),
            (&world.app, from("origin", "https://elsewhere.example")),
            (&world.app, from("sec-fetch-site", "same-origin")),
        ] {
            let current = world.login(Some(&Client::new())).await;
            if !lives {
                world.clock.advance(Duration::from_secs(3600));
            }
            let request = request.header("authorization", format!("{scheme} {}", current.access));
            let answer = send(app, request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::NO_CONTENT, "{:?}", answer.error);
            let sid = world.sid(&current);
            assert!(world.sessions.find(sid).await.unwrap().is_none());
        }
    }
    // Routes that check no proofs need none for a logout either.
    let without_dpop = SessionRoutes::without_cookies(world.sessions.clone());
    let app = Router::new().route("/logout", post(without_dpop.logout()));
    let current = world.login(Some(&Client::new())).await;
    let request = from("authorization", &format!("Bearer {}", current.access));
    let answer = send(&app, request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{:?}", answer.error);
    let sid = world.sid(&current);
    assert!(world.sessions.find(sid).await.unwrap().is_none());
}

#[tokio::test]
async fn l35_nobody_without_a_password_learns_who_is_blocked() {
    let world = World::new(MemoryStore::new(), dpop().nonces([7; 32]).unwrap());
    let proof = Client::new().proof(LOGIN, world.now(), &json!({}));
    let request = Request::post("/login").header("dpop", &proof).body(());
    let (parts, ()) = request.unwrap().into_parts();
    let proof = world.routes.proof(&parts).unwrap();
    let carol = world.sessions.subject_named("carol");
    world.sessions.block(&carol).await.unwrap();
    for name in ["carol", "alice", "nobody"] {
        let subject = world.sessions.subject_named(name);
        let login = world.sessions.begin(&subject).await.unwrap();
        let error = login.bind(&proof).unwrap_err();
        assert_eq!(
            error.kind(),
            SessionErrorKind::InvalidProof(Kind::MissingNonce)
        );
        assert!(error.dpop_nonce().is_some());
    }
    // Not even if the block is lifted meanwhile: the password was checked for a blocked user.
    let login = world.sessions.begin(&carol).await.unwrap();
    world.sessions.unblock(&carol).await.unwrap();
    let error = world.sessions.complete(login).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Blocked);
}

#[tokio::test]
async fn l36_a_login_that_takes_longer_than_its_proof_lives_is_refused() {
    let world = world();
    let alice = world.sessions.subject_named("alice");
    for (seconds, accepted) in [(59, true), (60, false), (600, false)] {
        let proof = Client::new().proof(LOGIN, world.now(), &json!({}));
        let request = Request::post("/login").header("dpop", &proof).body(());
        let (parts, ()) = request.unwrap().into_parts();
        let proof = world.routes.proof(&parts).unwrap();
        let login = world.sessions.begin(&alice).await.unwrap();
        let login = login.bind(&proof).unwrap();
        world.clock.advance(Duration::from_secs(seconds));
        let kind = world.sessions.complete(login).await.err();
        let expected = (!accepted).then_some(SessionErrorKind::InvalidProof(Kind::Expired));
        assert_eq!(kind.map(|error| error.kind()), expected, "{seconds}");
    }
}

#[tokio::test]
async fn cookies_hold_the_refresh_token_and_only_an_unbound_access_token() {
    let world = world();
    let owner = Client::new();
    // The access token in its cookie, unbound.
    let proof = owner.proof(&format!("{URL}/login-by-cookie"), world.now(), &json!({}));
    let mut answer = world.post("/login-by-cookie", Some(&proof)).await;
    for _ in 0..3 {
        assert_eq!(answer.body, r#"{"expires_in":300}"#);
        let access = format!(
            "__Host-access={}",
            cookie(&answer, "__Host-access").unwrap()
        );
        assert_eq!(
            world.me(&[("cookie", &access)]).await.status,
            StatusCode::OK
        );
        let refresh = cookie(&answer, "__Host-refresh").unwrap();
        let proof = world.proof(&owner, &json!({}));
        answer = world.refresh(Way::Cookie, &refresh, Some(&proof)).await;
    }
    // It lives five minutes, and the leeway of the layer.
    let access = format!(
        "__Host-access={}",
        cookie(&answer, "__Host-access").unwrap()
    );
    world.clock.advance(Duration::from_secs(300 + 29));
    assert_eq!(
        world.me(&[("cookie", &access)]).await.status,
        StatusCode::OK
    );
    world.clock.advance(Duration::from_secs(1));
    let me = world.me(&[("cookie", &access)]).await;
    assert_eq!(me.status, StatusCode::UNAUTHORIZED);

    // The access token for the script, bound. An old access cookie is deleted.
    let proof = owner.proof(&format!("{URL}/login-for-script"), world.now(), &json!({}));
    let mut answer = world.post("/login-for-script", Some(&proof)).await;
    for _ in 0..3 {
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["token_type"], "DPoP");
        assert_eq!(body.get("refresh_token"), None);
        assert_eq!(cookie(&answer, "__Host-access"), None);
        assert!(answer.cookies()[0].starts_with("__Host-access=; Max-Age=0"));
        let access = body["access_token"].as_str().unwrap();
        let me = world.me_proven(&owner, access).await;
        assert_eq!((me.status, &*me.body), (StatusCode::OK, "alice"));
        let refresh = cookie(&answer, "__Host-refresh").unwrap();
        let proof = world.proof(&owner, &json!({}));
        answer = world.refresh(Way::Cookie, &refresh, Some(&proof)).await;
    }
}

#[tokio::test]
async fn logout_needs_no_proof() {
    let world = world();
    let owner = Client::new();
    let current = world.login(Some(&owner)).await;
    world.sessions.logout(&current.refresh).await.unwrap();
    let proof = world.proof(&owner, &json!({}));
    let answer = world
        .refresh(Way::Json, &current.refresh, Some(&proof))
        .await;
    let ended = AuthErrorKind::Session(SessionErrorKind::Ended);
    assert_eq!(answer.error.unwrap().kind(), ended);
}

#[tokio::test]
async fn a_service_may_require_a_key() {
    let world = world();
    let request = Request::post("/login").body(()).unwrap();
    let (parts, ()) = request.into_parts();
    assert!(world.routes.proof(&parts).is_none());
    let routes = SessionRoutes::new(world.sessions.clone()).unwrap();
    let proof = Client::new().proof(LOGIN, world.now(), &json!({}));
    let request = Request::post("/login").header("dpop", proof).body(());
    let (parts, ()) = request.unwrap().into_parts();
    assert!(routes.proof(&parts).is_none());
    let proof = world.routes.proof(&parts).unwrap();
    assert_eq!(format!("{proof:?}"), "SentProof { .. }");
}
