//! What is asked, how often, and with which credentials.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::introspection::{ClientAuthentication, Introspection, IntrospectionError};
use tower_jwt_auth::keys::remote::{AddressError, FetchErrorKind, HttpFetch};
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::{Verifier, VerifyErrorKind};

use crate::server::{Answer, Server, form};
use crate::{FrozenTime, NOW, SECRET, Scene, active, app, client, clock, layer, status, until};

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}

async fn question_with(client: ClientAuthentication) -> crate::server::Request {
    let server = Server::start().await;
    server.answer_with(active(&json!({})));
    let introspection = Introspection::endpoint(server.endpoint(), server.name(), client);
    let introspection = introspection.build().unwrap();
    let app = app(&layer(&introspection, &clock()));
    assert_eq!(status(&app, "opaque").await, 200);
    server.questions().remove(0)
}

#[tokio::test]
async fn the_question_is_that_of_the_rfc() {
    let question = question_with(client()).await;
    assert!(question.head.starts_with("POST /introspect HTTP/1.1\r\n"));
    let type_of = header(&question.head, "content-type");
    assert_eq!(
        type_of.as_deref(),
        Some("application/x-www-form-urlencoded")
    );
    let accepted = header(&question.head, "accept");
    assert_eq!(accepted.as_deref(), Some("application/json"));
    assert_eq!(question.body, "token=opaque&token_type_hint=access_token");
}

#[tokio::test]
async fn q01_client_id_secret_and_token_are_encoded_before_they_are_joined() {
    // RFC 6749 §2.3.1: each part is form-urlencoded, so a colon does not end the ID.
    let secret = ClientAuthentication::secret_basic("an:id", "p%&=+ ä");
    let question = question_with(secret).await;
    let basic = header(&question.head, "authorization").unwrap();
    let pair = base64_simd::STANDARD
        .decode_to_vec(basic.strip_prefix("Basic ").unwrap())
        .unwrap();
    assert_eq!(
        String::from_utf8(pair).unwrap(),
        "an%3Aid:p%25%26%3D%2B+%C3%A4"
    );

    let posted = ClientAuthentication::secret_post("an:id", "p%&=+ ä");
    let question = question_with(posted).await;
    assert_eq!(header(&question.head, "authorization"), None);
    let form_of = form(&question.body);
    assert_eq!(form_of["client_id"], "an:id");
    assert_eq!(form_of["client_secret"], "p%&=+ ä");
    assert_eq!(form_of.len(), 4);

    let scene = Scene::new().await;
    assert_eq!(status(&scene.app, "a+b/c~d.e==").await, 200);
    let body = &scene.server.questions()[0].body;
    assert_eq!(form(body)["token"], "a+b/c~d.e==");
    assert_eq!(
        body,
        "token=a%2Bb%2Fc%7Ed.e%3D%3D&token_type_hint=access_token"
    );
}

#[tokio::test]
async fn an_assertion_is_made_for_each_question() {
    let key = SigningKey::generate(Algorithm::ES256)
        .unwrap()
        .with_key_id("k");
    let server = Server::start().await;
    server.answer_with(active(&json!({})));
    let clock = clock();
    let mut ids = Vec::new();
    for (client, audience) in [
        (
            ClientAuthentication::private_key_jwt("api", key.clone()),
            server.name().to_owned(),
        ),
        (
            ClientAuthentication::private_key_jwt("api", key.clone())
                .assertion_audience("https://id.example.com/token"),
            "https://id.example.com/token".to_owned(),
        ),
    ] {
        let introspection = Introspection::endpoint(server.endpoint(), server.name(), client);
        let introspection = introspection.build().unwrap();
        let app = app(&layer(&introspection, &clock));
        for token in ["one", "two"] {
            assert_eq!(status(&app, token).await, 200);
            let mut form = form(&server.questions().last().unwrap().body);
            assert_eq!(form["client_id"], "api");
            assert_eq!(
                form["client_assertion_type"],
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            );
            let assertion = form.remove("client_assertion").unwrap();
            let verifier = Verifier::new(key.verifying_key())
                .issuer("api")
                .audience(&audience)
                .clock(clock.clone());
            let verified = verifier.verify(&assertion).unwrap();
            assert_eq!(verified.subject(), Some("api"));
            assert_eq!(verified.expires_at().seconds(), NOW + 60);
            ids.push(verified.token_id().unwrap().to_owned());
        }
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn a_client_with_a_certificate_sends_its_id() {
    let question = question_with(ClientAuthentication::tls("api")).await;
    let form = form(&question.body);
    assert_eq!((&*form["client_id"], form.len()), ("api", 3));
    assert_eq!(header(&question.head, "authorization"), None);
}

#[tokio::test]
async fn the_endpoint_is_discovered_once() {
    let server = Server::start().await;
    server.answer_with(active(&json!({})));
    let introspection = Introspection::discover(server.name(), client())
        .build()
        .unwrap();
    let app = app(&layer(&introspection, &clock()));
    let requests = (0..50).map(|number| {
        let app = app.clone();
        tokio::spawn(async move { status(&app, &format!("token{number}")).await })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(server.hits("/.well-known/openid-configuration"), 1);
    assert_eq!(server.count(), 50);
    // Connections are kept, one for each question that is on its way.
    assert!(server.connections() <= 33, "{}", server.connections());
}

#[tokio::test]
async fn an_endpoint_that_moves_is_discovered_again() {
    let server = Server::start().await;
    let name = server.name().to_owned();
    server.publish(format!(
        r#"{{"issuer":"{name}","introspection_endpoint":"{name}/old"}}"#
    ));
    server.answer_with(active(&json!({})));
    let introspection = Introspection::discover(&name, client()).build().unwrap();
    let clock = clock();
    let app = app(&layer(&introspection, &clock));
    assert_eq!(status(&app, "opaque").await, 503);
    server.publish(format!(
        r#"{{"issuer":"{name}","introspection_endpoint":"{name}/introspect"}}"#
    ));
    clock.advance(Duration::from_secs(1));
    assert_eq!(status(&app, "opaque").await, 200);
}

/// A connection that breaks, or a firewall that rejects one request, must not lead to an outage
/// while the metadata are unavailable.
#[tokio::test]
async fn an_endpoint_that_failed_is_used_while_the_metadata_are_unavailable() {
    let server = Server::start().await;
    server.answer_by(|token| match token {
        "broken" => Answer::Close,
        _ => Answer::Text(active(&json!({}))),
    });
    let introspection = Introspection::discover(server.name(), client())
        .build()
        .unwrap();
    let app = app(&layer(&introspection, &clock()));
    assert_eq!(status(&app, "one").await, 200);
    server.publish("unavailable".to_owned());
    assert_eq!(status(&app, "broken").await, 503);
    assert_eq!(status(&app, "two").await, 200);
}

/// Its task holds the place of the one that discovers the endpoint.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q32_a_runtime_that_nobody_drives_blocks_no_discovery() {
    let server = Server::start().await;
    server.answer_with(active(&json!({})));
    let introspection = Introspection::discover(server.name(), client());
    let introspection = introspection.deadline(Duration::from_secs(2));
    let app = app(&layer(&introspection.build().unwrap(), &clock()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            runtime.block_on(async {
                let app = app.clone();
                tokio::spawn(async move { status(&app, "blocked").await });
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
            });
        });
    });
    let began = tokio::time::Instant::now();
    // A failure is remembered for the token.
    for number in 0.. {
        if status(&app, &format!("new-{number}")).await == 200 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "in vain");
    }
    runtime.shutdown_background();
}

#[tokio::test]
async fn q02_metadata_do_not_send_credentials_elsewhere() {
    let elsewhere = Server::start().await;
    elsewhere.answer_with(active(&json!({})));
    for (endpoint, reason) in [
        (elsewhere.endpoint(), AddressError::OtherOrigin),
        (
            "https://id.example.com/introspect".to_owned(),
            AddressError::OtherOrigin,
        ),
        (
            "http://id.example.com/introspect".to_owned(),
            AddressError::Http,
        ),
        ("/introspect".to_owned(), AddressError::NotAUrl),
    ] {
        let server = Server::start().await;
        let name = server.name();
        server.publish(format!(
            r#"{{"issuer":"{name}","introspection_endpoint":"{endpoint}"}}"#
        ));
        let introspection = Introspection::discover(name, client()).build().unwrap();
        let app = app(&layer(&introspection, &clock()));
        assert_eq!(status(&app, "opaque").await, 503, "{endpoint}");
        let error = introspection.state().last_error.unwrap();
        assert_eq!(
            error.kind(),
            FetchErrorKind::ForbiddenEndpoint,
            "{endpoint}"
        );
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(&reason.to_string()), "{source}");
    }
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn metadata_of_another_issuer_are_an_outage() {
    let server = Server::start().await;
    let name = server.name();
    for (metadata, expected) in [
        (
            format!(r#"{{"issuer":"{name}/","introspection_endpoint":"{name}/introspect"}}"#),
            FetchErrorKind::IssuerMismatch,
        ),
        (
            format!(r#"{{"issuer":"{name}"}}"#),
            FetchErrorKind::InvalidMetadata,
        ),
        ("[]".to_owned(), FetchErrorKind::InvalidMetadata),
    ] {
        server.publish(metadata);
        let introspection = Introspection::discover(name, client()).build().unwrap();
        let app = app(&layer(&introspection, &clock()));
        assert_eq!(status(&app, "opaque").await, 503);
        assert_eq!(introspection.state().last_error.unwrap().kind(), expected);
    }
    assert_eq!(server.count(), 0);
}

#[test]
fn addresses_are_checked_when_it_is_built() {
    let at = |url: &str| Introspection::endpoint(url, "https://id.example.com", client()).build();
    let of = |issuer: &str| Introspection::discover(issuer, client()).build();
    assert_eq!(
        at("http://id.example.com/introspect").unwrap_err(),
        IntrospectionError::Endpoint(AddressError::Http)
    );
    assert_eq!(
        at("https://user:secret@id.example.com/").unwrap_err(),
        IntrospectionError::Endpoint(AddressError::Credentials)
    );
    assert_eq!(
        of("https://id.example.com?a").unwrap_err(),
        IntrospectionError::Issuer(AddressError::Query)
    );
    assert_eq!(of("").unwrap_err(), IntrospectionError::EmptyIssuer);
    assert!(at("https://id.example.com/introspect?realm=a").is_ok());
    let plain = Introspection::endpoint("http://id.internal/", "https://id.internal", client());
    assert!(plain.allow_http().build().is_ok());
}

#[tokio::test]
async fn q03_a_thousand_requests_with_one_token_are_one_question() {
    let scene = Scene::new().await;
    scene.server.answer(Answer::Held(active(&json!({}))));
    let requests = (0..1000).map(|_| {
        let app = scene.app.clone();
        tokio::spawn(async move { status(&app, "opaque").await })
    });
    let requests: Vec<_> = requests.collect();
    until(|| scene.introspection.state().waiting == 1000).await;
    scene.server.release(1);
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(scene.server.count(), 1);
    assert_eq!(scene.introspection.state().questions, 1);
    assert_eq!(scene.introspection.state().waiting, 0);
}

#[tokio::test]
async fn q04_a_cancelled_request_cancels_no_question() {
    let scene = Scene::new().await;
    scene.server.answer(Answer::Held(active(&json!({}))));
    let ask = || {
        let app = scene.app.clone();
        tokio::spawn(async move { status(&app, "opaque").await })
    };
    let (first, second) = (ask(), ask());
    until(|| scene.introspection.state().waiting == 2 && scene.server.count() == 1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    scene.server.release(1);
    assert_eq!(second.await.unwrap(), 200);
    assert_eq!(scene.server.count(), 1);

    // Also if nobody waits any more: the answer is remembered.
    scene.clock.advance(Duration::from_secs(30));
    let lonely = ask();
    until(|| scene.server.count() == 2).await;
    lonely.abort();
    scene.server.release(1);
    until(|| scene.introspection.state().waiting == 0).await;
    assert_eq!(status(&scene.app, "opaque").await, 200);
    assert_eq!(scene.server.count(), 2);
}

#[tokio::test]
async fn q05_ten_thousand_random_tokens_are_bounded_and_known_ones_pass() {
    let _frozen = FrozenTime::begin();
    let scene = Scene::with(|builder| builder.max_questions(8)).await;
    for _ in 0..2 {
        assert_eq!(status(&scene.app, "known").await, 200);
    }
    let held = Answer::Held(r#"{"active":false}"#.to_owned());
    scene.server.answer(held);
    let requests = (0..10_000).map(|number| {
        let app = scene.app.clone();
        tokio::spawn(async move { status(&app, &format!("random{number}")).await })
    });
    let requests: Vec<_> = requests.collect();
    // A quarter of the questions is reserved.
    until(|| scene.server.count() == 7).await;
    // The issuer is busy with the flood, and known tokens need no question.
    assert_eq!(status(&scene.app, "known").await, 200);
    scene.server.release(10_000);
    let (mut inactive, mut unavailable) = (0, 0);
    for request in requests {
        match request.await.unwrap() {
            401 => inactive += 1,
            503 => unavailable += 1,
            other => panic!("{other}"),
        }
    }
    // Those that found room in the queue got an answer, the others 503 and no question.
    assert_eq!((inactive, unavailable), (1024, 10_000 - 1024));
    assert_eq!(scene.server.count(), 1 + 1024);
    assert_eq!(scene.server.most_active(), 6);
    assert_eq!(status(&scene.app, "known").await, 200);
    assert_eq!(scene.server.count(), 1 + 1024);
    let state = scene.introspection.state();
    assert_eq!((state.active, state.inactive), (1, 1024));
}

/// The answers about all known tokens are due again during the flood.
#[tokio::test]
async fn q31_a_flood_of_new_tokens_locks_no_known_ones_out() {
    const KNOWN: usize = 100;
    let _frozen = FrozenTime::begin();
    let scene = Scene::with(|builder| builder.max_questions(4)).await;
    let known = |number: usize| format!("known{number}");
    for number in 0..KNOWN {
        assert_eq!(status(&scene.app, &known(number)).await, 200);
    }
    scene.clock.advance(Duration::from_secs(30));
    scene.server.answer_by(|token| match token {
        token if token.starts_with("known") => Answer::Text(active(&json!({}))),
        _ => Answer::Held(r#"{"active":false}"#.to_owned()),
    });
    let ask = |token: String| {
        let app = scene.app.clone();
        tokio::spawn(async move { status(&app, &token).await })
    };
    // The queue of questions is full, and so is that of requests.
    let random = (0..5000).map(|number| ask(format!("random{number}")));
    let one = (0..5000).map(|_| ask("random0".to_owned()));
    let flood: Vec<_> = random.chain(one).collect();
    until(|| scene.introspection.state().waiting == 4096).await;
    until(|| scene.server.count() >= KNOWN + 3).await;
    let users: Vec<_> = (0..KNOWN).map(|number| ask(known(number))).collect();
    until(|| users.iter().all(JoinHandle::is_finished)).await;
    for user in users {
        assert_eq!(user.await.unwrap(), 200);
    }
    assert_eq!(scene.server.count(), 2 * KNOWN + 3);
    // A token that was known is new again once its issuer has said no.
    scene.server.answer_with(r#"{"active":false}"#);
    scene.clock.advance(Duration::from_secs(30));
    assert_eq!(status(&scene.app, &known(0)).await, 401);
    scene.clock.advance(Duration::from_secs(30));
    assert_eq!(status(&scene.app, &known(0)).await, 503);
    scene.server.release(10_000);
    for request in flood {
        assert!([401, 503].contains(&request.await.unwrap()));
    }
    assert_eq!(scene.server.most_active(), 4);
}

/// A blocked thread of a server with one runtime for each core.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q32_a_runtime_that_nobody_drives_keeps_no_turn() {
    let scene = Scene::with(|builder| {
        let builder = builder.max_questions(4);
        builder.deadline(Duration::from_millis(500))
    });
    let scene = scene.await;
    scene.server.answer_by(|token| match token {
        token if token.starts_with("blocked") => Answer::Hang,
        _ => Answer::Text(active(&json!({}))),
    });
    assert_eq!(status(&scene.app, "known").await, 200);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let (blocks, is_blocked) = std::sync::mpsc::channel::<()>();
    let app = scene.app.clone();
    let asked = scene.introspection.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            for number in 0..2000 {
                let app = app.clone();
                tokio::spawn(async move { status(&app, &format!("blocked{number}")).await });
            }
            until(|| asked.state().questions >= 4).await;
        });
        blocks.send(()).unwrap();
        let _ = stopped.recv();
    });
    is_blocked.recv().unwrap();
    scene.clock.advance(Duration::from_secs(30));
    // Known tokens have a turn of their own. The others come back after the longest wait.
    assert_eq!(status(&scene.app, "known").await, 200);
    let began = tokio::time::Instant::now();
    while status(&scene.app, "new").await != 200 {
        assert!(began.elapsed() < Duration::from_secs(30), "in vain");
    }
    assert_eq!(status(&scene.app, "another").await, 200);
    stop.send(()).unwrap();
    thread.join().unwrap();
    assert_eq!(status(&scene.app, "last").await, 200);
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_opened_again() {
    let scene = Scene::new().await;
    assert_eq!(status(&scene.app, "one").await, 200);
    // The next question finds the connection closed, without an answer.
    let closes = std::sync::atomic::AtomicBool::new(true);
    scene.server.answer_by(move |_| {
        match closes.swap(false, std::sync::atomic::Ordering::SeqCst) {
            true => Answer::Close,
            false => Answer::Text(active(&json!({}))),
        }
    });
    assert_eq!(status(&scene.app, "two").await, 200);
    assert_eq!(scene.server.connections(), 2);
}

#[tokio::test]
async fn a_verifier_that_does_not_wait_asks_nobody() {
    let scene = Scene::new().await;
    let verifier = Verifier::new(scene.introspection.clone())
        .audience("api")
        .clock(scene.clock.clone());
    let refused = verifier.verify("opaque").unwrap_err();
    assert_eq!(refused.kind(), VerifyErrorKind::IntrospectionUnavailable);
    assert_eq!(scene.server.count(), 0);
    let verified = verifier.fetch_and_verify("opaque").await.unwrap();
    assert_eq!(verified.subject(), Some("alice"));
    assert_eq!(verified.algorithm(), None);
    assert_eq!(verified.issuer(), Some(scene.server.name()));
    assert_eq!(verified.claims::<Value>().unwrap()["scope"], "read");
    assert!(verifier.verify("opaque").is_ok());
    assert_eq!(scene.server.count(), 1);
}

#[test]
fn without_a_runtime_it_is_an_outage() {
    let introspection = Introspection::endpoint(
        "https://id.example.com/",
        "https://id.example.com",
        client(),
    )
    .fetch(HttpFetch::new())
    .build()
    .unwrap();
    let verifier = Verifier::new(introspection)
        .audience("api")
        .clock(ManualClock::at(NOW));
    let mut waits = std::pin::pin!(verifier.fetch_and_verify("opaque"));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(answer) = waits.as_mut().poll(&mut context) else {
        panic!("it waits for a runtime");
    };
    assert_eq!(
        answer.unwrap_err().kind(),
        VerifyErrorKind::IntrospectionUnavailable
    );
}

#[test]
fn nothing_shows_the_secret() {
    let basic = client();
    let post = ClientAuthentication::secret_post("api", SECRET);
    for client in [basic, post] {
        let builder = Introspection::discover("https://id.example.com", client.clone());
        let shown = format!("{client:?} {builder:?}");
        let shown = format!("{shown} {:?}", builder.build());
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(shown.contains("client_secret_"), "{shown}");
    }
}
