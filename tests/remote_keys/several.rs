//! Several key sources for one issuer: Supabase moves from a shared secret to published keys.

use std::time::Duration;

use serde_json::json;
use tower_jwt_auth::keys::remote::RemoteKeys;
use tower_jwt_auth::keys::{Algorithm, JwksOptions, KeySet, SigningKey, SkipReason, VerifyingKey};
use tower_jwt_auth::{JwtAuthLayer, TrustedIssuer, Verifier, VerifyErrorKind};

use crate::issuer::{Answer, Issuer};
use crate::{NOW, app, clock, key, status, token};

fn secret() -> SigningKey {
    SigningKey::hs256([7; 32]).unwrap()
}

/// Remote keys that nobody has fetched yet.
fn unfetched(issuer: &Issuer) -> RemoteKeys {
    let build = || RemoteKeys::discover(issuer.name()).build();
    std::thread::scope(|scope| scope.spawn(build).join().unwrap().unwrap())
}

#[tokio::test]
async fn a_secret_and_published_keys_verify_side_by_side() {
    let (old, new) = (secret(), key("new"));
    let issuer = Issuer::start().await;
    issuer.publish([&new]);
    // In either order.
    for is_first in [true, false] {
        let (secret, published) = (old.verifying_key(), unfetched(&issuer));
        let trusted = if is_first {
            TrustedIssuer::new(issuer.name(), secret).keys(published)
        } else {
            TrustedIssuer::new(issuer.name(), published).keys(secret)
        };
        let layer = JwtAuthLayer::new(trusted).audience("api").clock(clock());
        let (app, before) = (app(&layer), issuer.connections());
        let name = issuer.name();
        for _ in 0..3 {
            assert_eq!(status(&app, &token(&old, name)).await, 200);
            let named = old.clone().with_key_id("any");
            assert_eq!(status(&app, &token(&named, name)).await, 200);
        }
        // What a fixed key can verify or reject fetches nothing.
        let forged = SigningKey::hs256([8; 32]).unwrap();
        assert_eq!(status(&app, &token(&forged, name)).await, 401);
        let other = SigningKey::from_secret(Algorithm::HS512, [7; 64])
            .unwrap()
            .with_key_id("new");
        assert_eq!(status(&app, &token(&other, name)).await, 401);
        assert_eq!(issuer.connections(), before);
        for _ in 0..3 {
            assert_eq!(status(&app, &token(&new, name)).await, 200);
        }
        assert!(issuer.connections() > before);
        assert_eq!(status(&app, &token(&key("new"), name)).await, 401);
    }
}

#[tokio::test]
async fn a_published_key_is_no_secret() {
    let new = key("new");
    let issuer = Issuer::start().await;
    issuer.publish([&new]);
    let published = RemoteKeys::discover(issuer.name()).build().unwrap();
    let trusted = TrustedIssuer::new(issuer.name(), published).keys(secret().verifying_key());
    let app = app(&JwtAuthLayer::new(trusted).audience("api").clock(clock()));
    // HS256 with the public key as the secret.
    let public = new.verifying_key().to_jwk().unwrap();
    for bytes in [public.as_bytes(), issuer.name().as_bytes()] {
        let Ok(forger) = SigningKey::hs256(bytes) else {
            continue;
        };
        let forger = forger.with_key_id("new");
        assert_eq!(status(&app, &token(&forger, issuer.name())).await, 401);
    }
}

#[tokio::test]
async fn a_fixed_source_works_while_the_issuer_is_down() {
    let (old, new) = (secret(), key("new"));
    let issuer = Issuer::start().await;
    issuer.answer("/jwks", Answer::Status(500));
    let trusted = TrustedIssuer::new(issuer.name(), old.verifying_key());
    let trusted = trusted.keys(RemoteKeys::discover(issuer.name()).build().unwrap());
    let verifier = Verifier::new(trusted).audience("api").clock(clock());
    let good = token(&old, issuer.name());
    for _ in 0..3 {
        verifier.verify(&good).unwrap();
        verifier.fetch_and_verify(&good).await.unwrap();
    }
    let error = verifier.fetch_and_verify(token(&new, issuer.name())).await;
    assert_eq!(error.unwrap_err().kind(), VerifyErrorKind::KeysUnavailable);
}

#[tokio::test]
async fn only_a_change_of_its_own_source_invalidates_a_cached_token() {
    let (old, new, clock) = (secret(), key("new"), clock());
    let issuer = Issuer::start().await;
    issuer.publish([&new]);
    let published = RemoteKeys::discover(issuer.name()).clock(clock.clone());
    let trusted =
        TrustedIssuer::new(issuer.name(), old.verifying_key()).keys(published.build().unwrap());
    let verifier = Verifier::new(trusted).audience("api").clock(clock.clone());
    let tokens = [token(&old, issuer.name()), token(&new, issuer.name())];
    let mut before = Vec::new();
    for token in &tokens {
        before.push(verifier.fetch_and_verify(token).await.unwrap());
    }
    issuer.publish([&new, &key("newer")]);
    clock.advance(Duration::from_secs(600));
    for (token, is_cached) in tokens.iter().zip([true, false]) {
        let now = verifier.fetch_and_verify(token).await.unwrap();
        let earlier = before.remove(0);
        assert_eq!(std::ptr::eq(now.payload(), earlier.payload()), is_cached);
    }
    issuer.publish([&key("newer")]);
    clock.advance(Duration::from_secs(600));
    verifier.fetch_and_verify(&tokens[0]).await.unwrap();
    let error = verifier.fetch_and_verify(&tokens[1]).await.unwrap_err();
    assert_eq!(error.kind(), VerifyErrorKind::NoFittingKey);
}

fn of(algorithm: Algorithm, kid: &str) -> SigningKey {
    SigningKey::generate(algorithm).unwrap().with_key_id(kid)
}

/// The keys at `uri`, all of this algorithm, which nobody has fetched yet.
fn only(algorithm: Algorithm, uri: &str) -> RemoteKeys {
    let options = JwksOptions::new().algorithms([algorithm]);
    let keys = RemoteKeys::jwks(uri).options(options).clock(clock());
    std::thread::scope(|scope| scope.spawn(|| keys.build()).join().unwrap().unwrap())
}

#[tokio::test]
async fn e09_alg_chooses_the_source_before_kid() {
    // All keys have one `kid`, and each document has a key for the other source too.
    let [old, new, fixed] =
        [Algorithm::ES384, Algorithm::ES256, Algorithm::EdDSA].map(|algorithm| of(algorithm, "1"));
    let (extra, stray) = (of(Algorithm::ES384, "2"), of(Algorithm::ES256, "2"));
    let (first, second) = (Issuer::start().await, Issuer::start().await);
    first.publish([&old, &stray]);
    second.publish([&new, &extra]);
    let [first_uri, second_uri] = [&first, &second].map(|one| format!("{}/jwks", one.name()));
    let old_keys = only(Algorithm::ES384, &first_uri);
    let new_keys = only(Algorithm::ES256, &second_uri);
    let trusted = TrustedIssuer::new("id", old_keys.clone())
        .keys(fixed.verifying_key())
        .keys(new_keys);
    let app = app(&JwtAuthLayer::new(trusted).audience("api").clock(clock()));

    // An `alg` of no remote source fetches nothing, whatever its `kid`.
    for (key, expected) in [
        (fixed.clone(), 200),
        (of(Algorithm::EdDSA, "1"), 401),
        (of(Algorithm::ES512, "1"), 401),
        (secret().with_key_id("1"), 401),
    ] {
        assert_eq!(status(&app, &token(&key, "id")).await, expected);
    }
    assert_eq!((first.connections(), second.connections()), (0, 0));
    assert_eq!(status(&app, &token(&new, "id")).await, 200);
    assert_eq!((first.connections(), second.connections()), (0, 1));
    for _ in 0..2 {
        assert_eq!(status(&app, &token(&old, "id")).await, 200);
        assert_eq!(status(&app, &token(&new, "id")).await, 200);
        assert_eq!(status(&app, &token(&fixed, "id")).await, 200);
    }
    // The key of a document whose algorithm is that of another source.
    for key in [&stray, &extra] {
        assert_eq!(status(&app, &token(key, "id")).await, 401);
    }
    let skipped: Vec<_> = old_keys
        .state()
        .skipped
        .iter()
        .map(|key| key.reason)
        .collect();
    assert_eq!(skipped, [SkipReason::OtherAlgorithm]);
}

#[tokio::test]
async fn e09_a_lone_remote_source_fetches_nothing_for_other_algorithms() {
    let new = of(Algorithm::ES256, "1");
    let issuer = Issuer::start().await;
    issuer.publish([&new]);
    let keys = only(Algorithm::ES256, &format!("{}/jwks", issuer.name()));
    let trusted = TrustedIssuer::new("id", keys);
    let app = app(&JwtAuthLayer::new(trusted).audience("api").clock(clock()));
    let others = [secret().with_key_id("2"), of(Algorithm::ES384, "2")];
    for other in &others {
        assert_eq!(status(&app, &token(other, "id")).await, 401);
    }
    assert_eq!(issuer.hits("/jwks"), 0);
    assert_eq!(status(&app, &token(&new, "id")).await, 200);
    for other in &others {
        assert_eq!(status(&app, &token(other, "id")).await, 401);
    }
    assert_eq!(issuer.hits("/jwks"), 1);
    assert_eq!(
        status(&app, &token(&of(Algorithm::ES256, "2"), "id")).await,
        401
    );
    assert_eq!(issuer.hits("/jwks"), 2);
}

#[test]
fn the_error_for_another_alg_names_those_of_the_sources() {
    let set = KeySet::new([key("new").verifying_key()]).unwrap();
    let trusted = TrustedIssuer::new("id", secret().verifying_key()).keys(set);
    let verifier = Verifier::new(trusted).audience("api").clock(clock());
    let error = verifier
        .verify(token(&of(Algorithm::EdDSA, "1"), "id"))
        .unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, r#"expected `alg`: "HS256" or "ES256""#);
}

#[test]
fn fixed_sources_of_different_algorithms() {
    let (old, new) = (secret(), key("new"));
    let set = KeySet::new([new.verifying_key()]).unwrap();
    let trusted = TrustedIssuer::new("id", old.verifying_key()).keys(set);
    let verifier = Verifier::new(trusted).audience("api").clock(clock());
    verifier.verify(token(&old, "id")).unwrap();
    verifier.verify(token(&new, "id")).unwrap();
    let claims = json!({ "iss": "id", "aud": "api", "exp": NOW + 300 });
    let stranger = SigningKey::generate(Algorithm::ES384).unwrap();
    let error = verifier
        .verify(stranger.sign(&claims).unwrap())
        .unwrap_err();
    assert_eq!(error.kind(), VerifyErrorKind::NoFittingKey);
}

fn remote() -> RemoteKeys {
    RemoteKeys::jwks("http://127.0.0.1:9/jwks").build().unwrap()
}

fn public() -> VerifyingKey {
    key("1").verifying_key()
}

#[test]
#[should_panic(expected = "may have keys for ES256")]
fn fixed_sources_with_one_algorithm() {
    let set = KeySet::new([public()]).unwrap();
    let _ = TrustedIssuer::new("id", public()).keys(set);
}

#[test]
#[should_panic(expected = "may have keys for Ed25519")]
fn fixed_sources_with_two_names_of_one_algorithm() {
    let key = |algorithm| SigningKey::generate(algorithm).unwrap().verifying_key();
    let both = key(Algorithm::EdDSA).with_both_ed25519_names();
    let _ = TrustedIssuer::new("id", both).keys(key(Algorithm::Ed25519));
}

#[test]
#[should_panic(expected = "name the algorithms of fetched keys by `JwksOptions::algorithms`")]
fn two_fetched_sources_whose_algorithms_are_not_named() {
    let _ = TrustedIssuer::new("id", remote()).keys(remote());
}

#[test]
#[should_panic(expected = "may have keys for ES256")]
fn two_fetched_sources_with_one_algorithm() {
    let keys = || only(Algorithm::ES256, "http://127.0.0.1:9/jwks");
    let _ = TrustedIssuer::new("id", keys()).keys(keys());
}

#[test]
#[should_panic(expected = "may have keys for ES256")]
fn a_public_key_next_to_fetched_ones() {
    let _ = TrustedIssuer::new("id", remote()).keys(public());
}

#[test]
#[should_panic(expected = "no algorithm")]
fn no_algorithm_at_all() {
    let _ = JwksOptions::new().algorithms([]);
}

#[test]
#[should_panic(expected = "the keys are those of another issuer")]
fn keys_discovered_by_another_name() {
    let keys = RemoteKeys::discover("https://id.example").build().unwrap();
    let _ = TrustedIssuer::new("id", secret().verifying_key()).keys(keys);
}
