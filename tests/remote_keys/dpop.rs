//! Bound tokens (RFC 9449) whose issuer's keys must be fetched within the request.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::Value;
use tower_jwt_auth::TokenSource;
use tower_jwt_auth::dpop::{Dpop, DpopErrorKind};
use tower_jwt_auth::keys::VerifyingKey;

use super::*;

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes.as_ref())
}

/// The key of a client, and its public JWK.
fn client() -> (EcdsaKeyPair, Value) {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let coordinates = key.public_key().as_ref().split_first().unwrap().1;
    let (x, y) = coordinates.split_at(32);
    let (x, y) = (base64url(x), base64url(y));
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
    (key, jwk)
}

/// A token of `key` that is bound to `jwk`.
fn bound_token(key: &SigningKey, issuer: &str, jwk: &Value) -> String {
    let thumbprint = VerifyingKey::from_jwk(jwk.to_string()).unwrap();
    let cnf = json!({ "jkt": thumbprint.jwk_thumbprint() });
    let claims = json!({
        "iss": issuer, "aud": "api", "sub": "me", "exp": NOW + 100_000, "cnf": cnf
    });
    key.sign(&claims).unwrap()
}

fn proof((key, jwk): &(EcdsaKeyPair, Value), token: &str, jti: &str) -> String {
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
    let claims = json!({
        "jti": jti, "htm": "GET", "htu": "https://api.example.com/", "iat": NOW,
        "ath": base64url(digest(&SHA256, token.as_bytes())),
    });
    let input = [header, claims].map(|part| base64url(part.to_string()));
    let input = input.join(".");
    let signature = key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    format!("{input}.{}", base64url(signature))
}

#[tokio::test]
async fn o08_a_bound_token_whose_key_is_fetched_needs_its_proof() {
    let (client, thief) = (client(), client());
    let key = key("1");
    let issuer = Issuer::start().await;
    issuer.publish([&key]);
    let token = bound_token(&key, issuer.name(), &client.1);
    let good = proof(&client, &token, "one");
    // Each time with new keys, so that the first request fetches.
    for (scheme, proof, kind) in [
        (
            "DPoP",
            Some(proof(&thief, &token, "x")),
            Some(DpopErrorKind::WrongKey),
        ),
        ("DPoP", None, Some(DpopErrorKind::MissingProof)),
        ("Bearer", None, None),
        ("Bearer", Some(good.clone()), None),
        ("DPoP", Some(good.clone()), Some(DpopErrorKind::Replayed)),
    ] {
        let keys = RemoteKeys::discover(issuer.name()).clock(clock()).build();
        let dpop = Dpop::new("https://api.example.com").unwrap();
        let layer = JwtAuthLayer::new(keys.unwrap())
            .audience("api")
            .clock(clock());
        let app = app(&layer.source(TokenSource::dpop(dpop)));
        let send = async || {
            let mut request = Request::get("/").header(AUTHORIZATION, format!("{scheme} {token}"));
            if let Some(proof) = &proof {
                request = request.header("dpop", proof);
            }
            let request = request.body(Body::empty()).unwrap();
            app.clone().oneshot(request).await.unwrap()
        };
        let mut response = send().await;
        if kind == Some(DpopErrorKind::Replayed) {
            assert_eq!(response.status(), StatusCode::OK);
            response = send().await;
        }
        let expected = kind.map_or(
            AuthErrorKind::InvalidToken(VerifyErrorKind::SenderConstrained),
            AuthErrorKind::InvalidProof,
        );
        let error: &AuthError = response.extensions().get().unwrap();
        assert_eq!(error.kind(), expected);
        let challenge = response.headers().get("www-authenticate").unwrap();
        assert!(challenge.to_str().unwrap().starts_with(scheme));
    }
}
