//! Which of the fetched keys verifies a token, and when they are fetched again for it.

use std::time::Duration;

use serde_json::{Value, json};
use tower_jwt_auth::keys::remote::RemoteKeys;
use tower_jwt_auth::keys::{Algorithm, JwksOptions, SigningKey, SkipReason, TokenHeader};

use crate::issuer::{Answer, Issuer};
use crate::{NOW, built, clock, of, status};

fn unnamed() -> SigningKey {
    SigningKey::generate(Algorithm::ES256).unwrap()
}

fn jwk(key: &SigningKey, more: &Value) -> Value {
    let mut jwk: Value = serde_json::from_str(&key.verifying_key().to_jwk().unwrap()).unwrap();
    let more = more.as_object().unwrap().clone();
    jwk.as_object_mut().unwrap().extend(more);
    jwk
}

fn publish(issuer: &Issuer, keys: &[Value]) {
    let document = json!({ "keys": keys }).to_string();
    issuer.answer("/jwks", Answer::Text(document));
}

fn token(issuer: &Issuer, key: &SigningKey, thumbprint: Option<&str>) -> String {
    let header = match thumbprint {
        Some(thumbprint) => TokenHeader::new().member("x5t", thumbprint),
        None => TokenHeader::new(),
    };
    let claims = json!({ "iss": issuer.name(), "aud": "api", "sub": "me", "exp": NOW + 100_000 });
    key.sign_with(&header, &claims).unwrap()
}

#[tokio::test]
async fn an_unknown_thumbprint_fetches_once_per_cooldown() {
    let (old, new, clock) = (unnamed(), unnamed(), clock());
    let issuer = Issuer::start().await;
    let [old_jwk, new_jwk] =
        [(&old, "old"), (&new, "new")].map(|(key, name)| jwk(key, &json!({ "x5t": name })));
    publish(&issuer, std::slice::from_ref(&old_jwk));
    let (_keys, app) = of(&issuer, &clock);
    assert_eq!(status(&app, &token(&issuer, &old, Some("old"))).await, 200);
    assert_eq!(issuer.hits("/jwks"), 1);
    publish(&issuer, &[old_jwk, new_jwk]);
    assert_eq!(status(&app, &token(&issuer, &new, Some("new"))).await, 200);
    assert_eq!(issuer.hits("/jwks"), 2);
    for number in 0..50 {
        let unknown = token(&issuer, &new, Some(&format!("unknown {number}")));
        assert_eq!(status(&app, &unknown).await, 401);
    }
    assert_eq!(issuer.hits("/jwks"), 2);
    clock.advance(Duration::from_secs(31));
    assert_eq!(
        status(&app, &token(&issuer, &new, Some("other"))).await,
        401
    );
    assert_eq!(issuer.hits("/jwks"), 3);
}

/// The issuer may have renewed the certificate.
#[tokio::test]
async fn e08_a_thumbprint_that_contradicts_a_fetched_key_fetches_once_per_cooldown() {
    let (key, clock) = (unnamed().with_key_id("1"), clock());
    let issuer = Issuer::start().await;
    publish(&issuer, &[jwk(&key, &json!({ "x5t": "old" }))]);
    let (_keys, app) = of(&issuer, &clock);
    assert_eq!(status(&app, &token(&issuer, &key, None)).await, 200);
    assert_eq!(status(&app, &token(&issuer, &key, Some("old"))).await, 200);
    assert_eq!(issuer.hits("/jwks"), 1);
    for number in 0..50 {
        let contradicting = token(&issuer, &key, Some(&format!("other {number}")));
        assert_eq!(status(&app, &contradicting).await, 401);
    }
    assert_eq!(issuer.hits("/jwks"), 2);
    publish(&issuer, &[jwk(&key, &json!({ "x5t": "new" }))]);
    clock.advance(Duration::from_secs(31));
    assert_eq!(status(&app, &token(&issuer, &key, Some("new"))).await, 200);
    // The withdrawn certificate: its tokens are neither in the cache nor among the headers.
    assert_eq!(status(&app, &token(&issuer, &key, Some("old"))).await, 401);
    assert_eq!(status(&app, &token(&issuer, &key, None)).await, 200);
    assert_eq!(issuer.hits("/jwks"), 3);
}

/// It is a token without `kid`, and those never fetch.
#[tokio::test]
async fn a_thumbprint_fetches_nothing_if_the_issuer_publishes_none() {
    let (key, clock) = (unnamed(), clock());
    let issuer = Issuer::start().await;
    publish(&issuer, &[jwk(&key, &json!({ "kid": "1" }))]);
    let (_keys, app) = of(&issuer, &clock);
    assert_eq!(status(&app, &token(&issuer, &key, Some("any"))).await, 200);
    let other = SigningKey::generate(Algorithm::EdDSA).unwrap();
    assert_eq!(
        status(&app, &token(&issuer, &other, Some("any"))).await,
        401
    );
    assert_eq!(issuer.hits("/jwks"), 1);
}

#[tokio::test]
async fn keys_with_one_kid_leave_the_others_usable() {
    let clock = clock();
    let [one, two, other] = ["a", "a", "b"].map(|kid| unnamed().with_key_id(kid));
    let issuer = Issuer::start().await;
    issuer.publish([&one, &two, &other]);
    let (keys, app) = of(&issuer, &clock);
    let tokens = [&one, &two].map(|key| token(&issuer, key, None));
    assert_eq!(status(&app, &token(&issuer, &other, None)).await, 200);
    for token in &tokens {
        assert_eq!(status(&app, token).await, 401);
    }
    let reasons: Vec<_> = keys.state().skipped.iter().map(|key| key.reason).collect();
    assert_eq!(reasons, [SkipReason::Duplicate; 2]);

    let trying = RemoteKeys::discover(issuer.name()).try_keys_with_same_id();
    let (keys, app) = built(trying, &clock);
    for token in tokens.iter().chain(&tokens) {
        assert_eq!(status(&app, token).await, 200);
    }
    assert_eq!(keys.state().skipped, []);

    // Nothing but keys that cannot be told apart is no outage.
    issuer.publish([&one, &two]);
    let (keys, app) = of(&issuer, &clock);
    assert_eq!(status(&app, &tokens[0]).await, 401);
    assert_eq!(keys.state().skipped.len(), 2);
}

/// The option holds for whatever `options` says before or after.
#[tokio::test]
async fn five_keys_with_one_kid_are_not_tried() {
    let issuer = Issuer::start().await;
    let keys: Vec<_> = (0..5).map(|_| unnamed().with_key_id("a")).collect();
    issuer.publish(&keys);
    let trying = RemoteKeys::discover(issuer.name())
        .try_keys_with_same_id()
        .options(JwksOptions::new());
    let (state, app) = built(trying, &clock());
    for key in &keys {
        assert_eq!(status(&app, &token(&issuer, key, None)).await, 401);
    }
    assert_eq!(state.state().skipped.len(), 5);
    issuer.publish(&keys[..4]);
    let trying = RemoteKeys::discover(issuer.name())
        .try_keys_with_same_id()
        .options(JwksOptions::new());
    let (_keys, app) = built(trying, &clock());
    for key in &keys[..4] {
        assert_eq!(status(&app, &token(&issuer, key, None)).await, 200);
    }
}

#[tokio::test]
async fn a_fetched_ed25519_key_without_alg_has_both_names_if_you_say_so() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let [old, new] = [Algorithm::EdDSA, Algorithm::Ed25519].map(|algorithm| {
        let key = SigningKey::from_der(algorithm, key.serialize_der()).unwrap();
        key.with_key_id("a")
    });
    let issuer = Issuer::start().await;
    let mut bare = jwk(&old, &json!({}));
    bare.as_object_mut().unwrap().remove("alg");
    publish(&issuer, &[bare]);
    let tokens = [&old, &new].map(|key| token(&issuer, key, None));
    let both = RemoteKeys::discover(issuer.name()).options(JwksOptions::new().both_ed25519_names());
    for (keys, expected) in [
        (RemoteKeys::discover(issuer.name()), [200, 401]),
        (both, [200, 200]),
    ] {
        let (_keys, app) = built(keys, &clock());
        for (token, expected) in tokens.iter().zip(expected) {
            assert_eq!(status(&app, token).await, expected);
        }
    }
}
