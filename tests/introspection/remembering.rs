//! What is remembered, for how long, and what happens during an outage.

use std::time::Duration;

use serde_json::json;
use tower_jwt_auth::keys::remote::FetchErrorKind;
use tower_jwt_auth::{AuthErrorKind, JwtAuthLayer, VerifyErrorKind};

use crate::server::Answer;
use crate::{NOW, Scene, active, app, ask, invalid, kind, layer, status};

/// So often a token has to come until it is hot, and more.
const HOT: usize = 100;

const INACTIVE: &str = r#"{"active":false}"#;

#[tokio::test]
async fn q21_a_token_that_was_revoked_at_the_issuer_is_refused_within_its_life() {
    for times in [1, HOT] {
        let scene = Scene::new().await;
        for _ in 0..times {
            assert_eq!(status(&scene.app, "opaque").await, 200);
        }
        scene.server.answer_with(INACTIVE);
        scene.clock.advance(Duration::from_millis(29_999));
        assert_eq!(status(&scene.app, "opaque").await, 200);
        assert_eq!(scene.server.count(), 1);
        scene.clock.advance(Duration::from_millis(1));
        let response = ask(&scene.app, "opaque").await;
        assert_eq!(kind(&response), invalid(VerifyErrorKind::Inactive));
        assert_eq!(scene.server.count(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn q22_a_clock_that_is_set_back_makes_no_answer_younger() {
    for times in [1, HOT] {
        let scene = Scene::new().await;
        for _ in 0..times {
            assert_eq!(status(&scene.app, "opaque").await, 200);
        }
        scene.server.answer_with(INACTIVE);
        tokio::time::advance(Duration::from_secs(29)).await;
        scene.clock.step_back(Duration::from_secs(3600));
        assert_eq!(status(&scene.app, "opaque").await, 200);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(status(&scene.app, "opaque").await, 401);
    }
}

#[tokio::test]
async fn q23_an_answer_is_not_remembered_beyond_exp() {
    for times in [1, HOT] {
        let scene = Scene::new().await;
        scene
            .server
            .answer_with(active(&json!({ "exp": NOW + 10 })));
        for _ in 0..times {
            assert_eq!(status(&scene.app, "opaque").await, 200);
        }
        scene.clock.advance(Duration::from_secs(9));
        assert_eq!(status(&scene.app, "opaque").await, 200);
        assert_eq!(scene.server.count(), 1);
        // The leeway is for clocks that differ, and not for what is remembered.
        scene.server.answer_with(INACTIVE);
        scene.clock.advance(Duration::from_secs(1));
        assert_eq!(status(&scene.app, "opaque").await, 401);
        assert_eq!(scene.server.count(), 2);
    }
}

#[tokio::test]
async fn an_answer_without_exp_has_the_life_that_is_set() {
    let scene = Scene::with(|builder| builder.lifetime(Duration::from_secs(7))).await;
    let answer = json!({ "exp": null, "iat": NOW + 20 });
    scene.server.answer_with(active(&answer));
    let verifier = tower_jwt_auth::Verifier::new(scene.introspection.clone())
        .audience("api")
        .clock(scene.clock.clone());
    let verified = verifier.fetch_and_verify("opaque").await.unwrap();
    // Not before `iat`.
    assert_eq!(verified.expires_at().seconds(), NOW + 20);
    let plain = json!({ "exp": null });
    scene.server.answer_with(active(&plain));
    let verified = verifier.fetch_and_verify("another").await.unwrap();
    assert_eq!(verified.expires_at().seconds(), NOW + 7);
    scene.server.answer_with(INACTIVE);
    scene.clock.advance(Duration::from_secs(6));
    assert!(verifier.verify("another").is_ok());
    scene.clock.advance(Duration::from_secs(1));
    let refused = verifier.fetch_and_verify("another").await.unwrap_err();
    assert_eq!(refused.kind(), VerifyErrorKind::Inactive);

    let aged = json!({ "exp": null, "iat": NOW });
    scene.server.answer_with(active(&aged));
    let verifier = verifier.allow_missing_expiry(Duration::from_secs(600));
    let verified = verifier.fetch_and_verify("a-third").await.unwrap();
    assert_eq!(verified.expires_at().seconds(), NOW + 600);
}

#[tokio::test]
async fn q24_a_token_that_is_not_active_is_remembered_for_five_seconds() {
    let scene = Scene::new().await;
    scene.server.answer_with(INACTIVE);
    for _ in 0..HOT {
        let response = ask(&scene.app, "opaque").await;
        assert_eq!(response.status(), 401);
        assert_eq!(kind(&response), invalid(VerifyErrorKind::Inactive));
    }
    scene.server.answer_with(active(&json!({})));
    scene.clock.advance(Duration::from_millis(4_999));
    assert_eq!(status(&scene.app, "opaque").await, 401);
    assert_eq!(scene.server.count(), 1);
    scene.clock.advance(Duration::from_millis(1));
    assert_eq!(status(&scene.app, "opaque").await, 200);
    assert_eq!(scene.server.count(), 2);
}

#[tokio::test]
async fn q25_an_outage_is_503_and_remembered_tokens_pass_until_their_life_ends() {
    for times in [1, HOT] {
        let scene = Scene::new().await;
        for _ in 0..times {
            assert_eq!(status(&scene.app, "known").await, 200);
        }
        scene.server.answer(Answer::Close);
        for second in 0..29 {
            let response = ask(&scene.app, "unknown").await;
            assert_eq!(response.status(), 503, "{second}");
            assert_eq!(kind(&response), Some(AuthErrorKind::Unavailable));
            assert_eq!(response.headers()["retry-after"], "1");
            assert!(!response.headers().contains_key("www-authenticate"));
            assert_eq!(status(&scene.app, "known").await, 200, "{second}");
            scene.clock.advance(Duration::from_secs(1));
        }
        assert_eq!(scene.last_error(), FetchErrorKind::Transport);
        scene.clock.advance(Duration::from_secs(1));
        assert_eq!(status(&scene.app, "known").await, 503);
        scene.server.answer_with(active(&json!({})));
        scene.clock.advance(Duration::from_secs(1));
        assert_eq!(status(&scene.app, "known").await, 200);
        assert_eq!(status(&scene.app, "unknown").await, 200);
        assert!(scene.introspection.state().last_error.is_none());
    }
}

#[tokio::test]
async fn q25_a_client_that_repeats_its_request_costs_one_question_a_second() {
    let scene = Scene::new().await;
    let head = "HTTP/1.1 500 Status\r\n".to_owned();
    scene.server.answer(Answer::Head(head));
    for _ in 0..HOT {
        assert_eq!(status(&scene.app, "opaque").await, 503);
    }
    assert_eq!(scene.server.count(), 1);
    // A failure for one token is not one for another.
    scene.server.answer_with(active(&json!({})));
    assert_eq!(status(&scene.app, "another").await, 200);
    assert_eq!(status(&scene.app, "opaque").await, 503);
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(status(&scene.app, "opaque").await, 200);
}

#[tokio::test]
async fn q26_the_answer_about_another_token_is_never_given() {
    let scene = Scene::new().await;
    scene.server.answer_by(|token| match token {
        "opaque-token" => Answer::Text(active(&json!({ "sub": "alice" }))),
        "Opaque-token" => Answer::Text(active(&json!({ "sub": "bob" }))),
        _ => Answer::Text(INACTIVE.to_owned()),
    });
    let long = "x".repeat(5000);
    let others = [
        "opaque-toke",
        "opaque-token=",
        "opaque-token.",
        "paque-token",
        "opaque_token",
        "opaque-tokeN",
        "opaque-token-opaque-token",
        &long,
    ];
    for _ in 0..HOT {
        for (token, subject) in [("opaque-token", "alice"), ("Opaque-token", "bob")] {
            let response = ask(&scene.app, token).await;
            assert_eq!(response.extensions().get::<String>().unwrap(), subject);
        }
        for token in others {
            assert_eq!(status(&scene.app, token).await, 401, "{token}");
        }
    }
    assert_eq!(scene.server.count(), 2 + others.len());
}

#[tokio::test]
async fn a_life_of_zero_asks_for_every_request() {
    let scene = Scene::with(|builder| {
        builder
            .lifetime(Duration::ZERO)
            .inactive_lifetime(Duration::ZERO)
    })
    .await;
    for count in 1..=5 {
        assert_eq!(status(&scene.app, "opaque").await, 200);
        assert_eq!(scene.server.count(), count);
    }
    scene.server.answer_with(INACTIVE);
    for count in 6..=10 {
        assert_eq!(status(&scene.app, "opaque").await, 401);
        assert_eq!(scene.server.count(), count);
    }
}

#[tokio::test]
async fn answers_are_remembered_without_the_token_cache_and_across_verifiers() {
    let scene = Scene::new().await;
    let without = app(&layer(&scene.introspection, &scene.clock).without_cache());
    let other = app(&layer(&scene.introspection, &scene.clock));
    for app in [&without, &other, &scene.app] {
        for _ in 0..5 {
            assert_eq!(status(app, "opaque").await, 200);
        }
    }
    assert_eq!(scene.server.count(), 1);
    // Each verifier has its own audience.
    let strange = JwtAuthLayer::new(scene.introspection.clone())
        .audience("other")
        .clock(scene.clock.clone());
    let response = ask(&app(&strange), "opaque").await;
    assert_eq!(kind(&response), invalid(VerifyErrorKind::WrongAudience));
    assert_eq!(scene.server.count(), 1);
    // Longer than what the cache of tokens keeps.
    let long = "x".repeat(8000);
    for _ in 0..5 {
        assert_eq!(status(&scene.app, &long).await, 200);
    }
    assert_eq!(scene.server.count(), 2);
}

#[tokio::test]
async fn q27_the_memory_of_active_tokens_is_bounded() {
    let scene = Scene::with(|builder| builder.memory(64 * 1024)).await;
    let large = active(&json!({ "x": "x".repeat(1000) }));
    scene.server.answer_with(large);
    let app = app(&layer(&scene.introspection, &scene.clock).without_cache());
    for number in 0..200 {
        let token = format!("token{number}");
        assert_eq!(status(&app, &token).await, 200);
    }
    let remembered = scene.introspection.state().active;
    assert!((20..=50).contains(&remembered), "{remembered}");
}
