//! Several key sources for one issuer: Supabase moves from a shared secret to published keys.

use std::time::Duration;

use serde_json::json;
use tower_jwt_auth::keys::remote::RemoteKeys;
use tower_jwt_auth::keys::{Algorithm, KeySet, SigningKey, VerifyingKey};
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

#[tokio::test]
async fn a_pinned_set_is_asked_before_the_published_keys() {
    let (pinned, new) = (key("pinned"), key("new"));
    let issuer = Issuer::start().await;
    issuer.publish([&new]);
    let set = KeySet::new([pinned.verifying_key()]).unwrap();
    let trusted = TrustedIssuer::new(issuer.name(), unfetched(&issuer)).keys(set);
    let app = app(&JwtAuthLayer::new(trusted).audience("api").clock(clock()));
    assert_eq!(status(&app, &token(&pinned, issuer.name())).await, 200);
    assert_eq!(issuer.connections(), 0);
    assert_eq!(status(&app, &token(&new, issuer.name())).await, 200);
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
#[should_panic(expected = "keys for the same algorithm")]
fn fixed_sources_with_one_algorithm() {
    let set = KeySet::new([public()]).unwrap();
    let _ = TrustedIssuer::new("id", public()).keys(set);
}

#[test]
#[should_panic(expected = "keys for the same algorithm")]
fn fixed_sources_with_two_names_of_one_algorithm() {
    let key = |algorithm| SigningKey::generate(algorithm).unwrap().verifying_key();
    let both = key(Algorithm::EdDSA).with_both_ed25519_names();
    let _ = TrustedIssuer::new("id", both).keys(key(Algorithm::Ed25519));
}

#[test]
#[should_panic(expected = "at most one source of fetched keys")]
fn two_fetched_sources() {
    let _ = TrustedIssuer::new("id", remote()).keys(remote());
}

#[test]
#[should_panic(expected = "a lone public key would hide the fetched keys")]
fn a_lone_public_key_next_to_fetched_ones() {
    let _ = TrustedIssuer::new("id", remote()).keys(public());
}

#[test]
#[should_panic(expected = "the keys are those of another issuer")]
fn keys_discovered_by_another_name() {
    let keys = RemoteKeys::discover("https://id.example").build().unwrap();
    let _ = TrustedIssuer::new("id", secret().verifying_key()).keys(keys);
}
