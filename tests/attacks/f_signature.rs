//! Forged and altered signatures, keys too weak to sign, and the order of the checks.

use std::time::Duration;

use aws_lc_rs::digest;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value, json};
use tower_jwt_auth::keys::{Algorithm, JwksError, KeyError, KeySet, SigningKey, SkipReason};
use tower_jwt_auth::keys::{SkippedKey, VerifyingKey};
use tower_jwt_auth::revocation::{Revocation, TokenIdentity};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::{
    AuthErrorKind, JwtAuthLayer, TokenSource, TrustedIssuer, Verifier, VerifyErrorKind,
};

use crate::support::{
    Answer, NOW, RSA, SECRET, Signer, app, base64url, bearer, carried, carrier, claims, clock, der,
    ed25519_key, forge, good, hs256, layer, p256_key, request, rsa_key, send,
};

/// An algorithm of each family: a service that trusts its key, and a token that it accepts.
fn families() -> Vec<(&'static str, Router, String)> {
    [
        ("HS256", hs256(), Signer::hmac(SECRET)),
        ("RS256", rsa_key(Algorithm::RS256), Signer::rs256()),
        ("ES256", p256_key(), Signer::es256()),
        ("EdDSA", ed25519_key(Algorithm::EdDSA), Signer::ed25519()),
    ]
    .map(|(name, key, signer)| {
        let layer = JwtAuthLayer::new(key)
            .clock(clock())
            .sources([TokenSource::bearer(), carrier()]);
        let header = json!({ "alg": name }).to_string();
        (name, app(layer), forge(header, claims(json!({})), &signer))
    })
    .into()
}

/// Sends bytes as a token, beside the headers where no header can hold them.
async fn send_bytes(app: &Router, token: &[u8]) -> Answer {
    match HeaderValue::from_bytes(&[b"Bearer ", token].concat()) {
        Ok(value) => {
            let request = request().header(AUTHORIZATION, value);
            send(app, request.body(Body::empty()).unwrap()).await
        }
        Err(_) => carried(app, String::from_utf8(token.to_vec()).unwrap()).await,
    }
}

#[tokio::test]
async fn f01_each_bit_of_each_byte_flipped() {
    let refused = [StatusCode::UNAUTHORIZED, StatusCode::BAD_REQUEST];
    // The second time the header is remembered.
    for _ in 0..2 {
        for (name, app, token) in families() {
            for at in 0..token.len() {
                for bit in 0..8 {
                    let mut changed = token.clone().into_bytes();
                    changed[at] ^= 1 << bit;
                    let answer = send_bytes(&app, &changed).await;
                    assert!(
                        refused.contains(&answer.status),
                        "{name}: bit {bit} of {at}"
                    );
                }
                if at == 0 {
                    bearer(&app, &token).await.accepted();
                }
            }
            bearer(&app, &token).await.accepted();
        }
    }
}

#[tokio::test]
async fn f01_last_byte_plus_and_minus_one() {
    for (name, app, token) in families() {
        for step in [1, u8::MAX] {
            let mut text = token.clone().into_bytes();
            let last = text.last_mut().unwrap();
            *last = last.wrapping_add(step);
            // Characters next to those of base64url, which no credentials have.
            let expected = match last.is_ascii_alphanumeric() || b"-._~+/=".contains(last) {
                true => StatusCode::UNAUTHORIZED,
                false => StatusCode::BAD_REQUEST,
            };
            let answer = send_bytes(&app, &text).await;
            assert_eq!(answer.status, expected, "{name}");

            for first in [true, false] {
                let (input, mut signature) = split(&token);
                let byte = match first {
                    true => signature.first_mut().unwrap(),
                    false => signature.last_mut().unwrap(),
                };
                *byte = byte.wrapping_add(step);
                let token = format!("{input}.{}", base64url(signature));
                let answer = bearer(&app, &token).await;
                answer.refused(VerifyErrorKind::BadSignature);
            }
        }
        bearer(&app, &token).await.accepted();
    }
}

#[tokio::test]
async fn f01_signatures_of_another_length() {
    for (_, app, token) in families() {
        let (input, signature) = split(&token);
        let zero = [0].as_slice();
        for other in [
            signature[..1].to_vec(),
            signature[..16].to_vec(),
            signature[..signature.len() - 1].to_vec(),
            signature[1..].to_vec(),
            [zero, &signature].concat(),
            [&signature, zero].concat(),
            [&signature[..], &signature].concat(),
            vec![0; signature.len()],
            vec![0; 1024],
        ] {
            let token = format!("{input}.{}", base64url(other));
            let answer = bearer(&app, &token).await;
            answer.refused(VerifyErrorKind::BadSignature);
        }
        // Longer than that of any key.
        let token = format!("{input}.{}", base64url([0; 1025]));
        let answer = bearer(&app, &token).await;
        answer.refused(VerifyErrorKind::Malformed);
        bearer(&app, &format!("{input}.{}", base64url(signature)))
            .await
            .accepted();
    }
}

/// The orders of the curves' groups (SEC 2), big-endian.
const ORDERS: [(Algorithm, &str); 4] = [
    (
        Algorithm::ES256,
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    ),
    (
        Algorithm::ES384,
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    ),
    (
        Algorithm::ES512,
        "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
    ),
    (
        Algorithm::ES256K,
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
    ),
];

/// A service that trusts a new key of `algorithm`, and a token that it accepts.
fn new_key(algorithm: Algorithm, more: Value) -> (Router, String) {
    let key = SigningKey::generate(algorithm).unwrap();
    let claims: Value = serde_json::from_str(&claims(more)).unwrap();
    let token = key.sign(&claims).unwrap();
    (
        app(JwtAuthLayer::new(key.verifying_key()).clock(clock())),
        token,
    )
}

#[tokio::test]
async fn f02_ecdsa_with_numbers_at_the_edges() {
    for (algorithm, order) in ORDERS {
        let n = hex(order);
        let small = |number: u8| {
            let mut bytes = vec![0; n.len()];
            *bytes.last_mut().unwrap() = number;
            bytes
        };
        let numbers = [
            small(0),
            small(1),
            subtract(&n, &small(1)),
            n.clone(),
            add(&n, &small(1)),
            vec![0xff; n.len()],
        ];
        let (app, token) = new_key(algorithm, json!({}));
        let (input, signature) = split(&token);
        assert_eq!(signature.len(), 2 * n.len());
        for r in &numbers {
            for s in &numbers {
                let forged = format!("{input}.{}", base64url([&r[..], s].concat()));
                let answer = bearer(&app, &forged).await;
                answer.refused(VerifyErrorKind::BadSignature);
            }
        }
        bearer(&app, &token).await.accepted();
    }
}

#[tokio::test]
async fn f04_the_twin_of_an_ecdsa_signature_is_the_same_token() {
    for (algorithm, order) in ORDERS {
        let (app, token) = new_key(algorithm, json!({ "jti": "one" }));
        let (input, signature) = split(&token);
        let (r, s) = signature.split_at(signature.len() / 2);
        let n = hex(order);
        let twin = format!("{input}.{}", base64url([r, &subtract(&n, s)].concat()));
        assert_ne!(twin, token);
        let original = bearer(&app, &token).await.accepted();
        let twin = bearer(&app, &twin).await.accepted();
        assert_eq!(twin, original);
        assert_eq!(twin["jti"], "one");

        for other in [
            [&subtract(&n, r), s].concat(),
            [&subtract(&n, r), &subtract(&n, s)[..]].concat(),
            [s, r].concat(),
        ] {
            let token = format!("{input}.{}", base64url(other));
            let answer = bearer(&app, &token).await;
            answer.refused(VerifyErrorKind::BadSignature);
        }
    }
}

#[tokio::test]
async fn f04_the_twin_of_a_revoked_token_is_revoked() {
    for (algorithm, order) in ORDERS {
        let key = SigningKey::generate(algorithm).unwrap();
        let token =
            key.sign(&serde_json::from_str::<Value>(&claims(json!({ "jti": "one" }))).unwrap());
        let token = token.unwrap();
        let (input, signature) = split(&token);
        let (r, s) = signature.split_at(signature.len() / 2);
        let twin = format!(
            "{input}.{}",
            base64url([r, &subtract(&hex(order), s)].concat())
        );
        let store = MemoryStore::with_clock(clock());
        let verifier = Verifier::new(key.verifying_key()).clock(clock());
        let app = Router::new()
            .route("/claims", get(async || "in"))
            .layer(JwtAuthLayer::with_verifier(verifier.clone()).revocation(store.clone()));
        assert_eq!(bearer(&app, &twin).await.status, StatusCode::OK);
        let verified = verifier.verify(&token).unwrap();
        let id = TokenIdentity::from(&verified);
        store.revoke(&Revocation::of_token(&id).unwrap()).unwrap();
        for token in [&token, &twin] {
            let answer = bearer(&app, token).await;
            assert_eq!(answer.kind(), Some(AuthErrorKind::Revoked));
        }
    }
}

#[tokio::test]
async fn f04_neither_eddsa_nor_rsa_signatures_have_a_twin() {
    // The order of the base point, little-endian (RFC 8032 §5.1), and S + L in place of S.
    let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let (app, token) = new_key(Algorithm::EdDSA, json!({}));
    let (input, signature) = split(&token);
    let (r, s) = signature.split_at(32);
    let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<_>>();
    let beyond = reversed(&add(&reversed(&order), &reversed(s)));
    let twin = format!("{input}.{}", base64url([r, &beyond].concat()));
    bearer(&app, &token).await.accepted();
    let answer = bearer(&app, &twin).await;
    answer.refused(VerifyErrorKind::BadSignature);

    let modulus = {
        use aws_lc_rs::signature::KeyPair;
        let key = RSA.public_key();
        [&[0], key.modulus().big_endian_without_leading_zero()].concat()
    };
    let layer = JwtAuthLayer::new(rsa_key(Algorithm::RS256)).clock(clock());
    let app = crate::support::app(layer);
    let token = forge(r#"{"alg":"RS256"}"#, claims(json!({})), &Signer::rs256());
    bearer(&app, &token).await.accepted();
    let (input, signature) = split(&token);
    let signature = [&[0], &signature[..]].concat();
    for twin in [add(&modulus, &signature), subtract(&modulus, &signature)] {
        let digits = match twin[0] {
            0 => &twin[1..],
            _ => &twin[..],
        };
        let twin = format!("{input}.{}", base64url(digits));
        let answer = bearer(&app, &twin).await;
        answer.refused(VerifyErrorKind::BadSignature);
    }
}

#[tokio::test]
async fn f04_an_ecdsa_signature_in_der_is_none() {
    let layer = JwtAuthLayer::new(p256_key()).clock(clock());
    let app = app(layer);
    let token = forge(r#"{"alg":"ES256"}"#, claims(json!({})), &Signer::es256());
    bearer(&app, &token).await.accepted();
    let (input, signature) = split(&token);
    let (r, s) = signature.split_at(32);
    let encoded = der(0x30, &[integer(r), integer(s)].concat());
    let answer = bearer(&app, &format!("{input}.{}", base64url(encoded))).await;
    answer.refused(VerifyErrorKind::BadSignature);
}

/// The modulus of a real RSA key of 2048 bits whose exponent is 3, and a token that it signed.
const N: &str = "10Q1YLUgqwW9FO2_5u864rps2RuyEY-BmoATYQKGk7OLlPpM8a3MNdJRlLOXE1BYt_dD1OniqiPbF4FcaT_Bp-sSSW50iluFeUkDeYZ_Ghuau29Dwkn0hO7Zh9vIY8h_D8gcaXTDck6dZHmLDuautIxRtzg9AfsIzhzf3Ss0lwWomTxsO8F7HC-WvlOkGA54cBgHgrYJyfrBYK3LjN5RsnQO4imE3d5NvM3s4qfu0nRH1K4fKg7LmLLTQNE6YfAqFiHWSeiMzfrNzw7hdPplUQ_y0VcHxWyqkWnb0nihcHbbZc2PlXzf8BmAiiKY_TP7lAJHpoN1ZSTpW3zH2zrX5Q";
const SIGNED: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTgwMDAwMDMwMH0";
const SIGNATURE: &str = "r59rm63a8-5yiFBHWuwn4GYp_e9Vr6XLilAdOm-tnoYcPKKpQqSJRAPFerpH-D0ZS-vbcG222a3c_UmlulP_ovH4eunCPuHPQ17_wKFe2oY0ZOCExBXV6r7juSIsnfiMtA3sL0mNrIDakd7MYpHQ-k8E8ngy6UJ8F611NnZkvFK2UuD8F6zokU95j30PyKJXG2AtiwYx3FTzE0BIlkRzoWsY4vSct6DGL4-jC_BEElRRnJA78yCbPz8X9T3mQEDZWDrqCJfbsZK37dkMz3ZhpdpMujIH_tom8QWbG0xN06pVFS4vM03hZ1s9_bljcC1HJBRbFr5D4wwXFihnOY2XFQ";

/// A cube root of what a careless verifier accepts as padding: `00 01 ff… 00`, the hash, and
/// garbage.
const CUBE_ROOT: &str = "32cbfd4a7adc7905583d767520f51640759176d37826f2ef63ae3dc7ab3574be9fc2b4b545addf284ddeabf7cf0bf929b96fd017722007a5f85c2fed1180ac534646f30ed076cf7fc10b48970f4a4adb73964cc4dd";

#[tokio::test]
async fn f06_a_cube_root_is_no_signature() {
    let jwk = rsa_jwk(&n(), &[3], json!({}));
    let app = app(JwtAuthLayer::new(VerifyingKey::from_jwk(&jwk).unwrap()).clock(clock()));
    bearer(&app, &format!("{SIGNED}.{SIGNATURE}"))
        .await
        .accepted();
    let root = hex(CUBE_ROOT);
    let padded = [vec![0; 256 - root.len()], root].concat();
    let answer = bearer(&app, &format!("{SIGNED}.{}", base64url(padded))).await;
    answer.refused(VerifyErrorKind::BadSignature);
}

/// Modulus, exponent, and why they are refused.
fn weak_keys() -> Vec<(Vec<u8>, Vec<u8>, KeyError)> {
    const E: [u8; 3] = [1, 0, 1];
    let modulus = |bits: usize| {
        let mut n = vec![0xd5; bits.div_ceil(8)];
        n[0] >>= n.len() * 8 - bits;
        n
    };
    let mut keys: Vec<_> = [512, 768, 1024, 2040, 2047]
        .map(|bits| (modulus(bits), E.to_vec(), KeyError::WeakRsa))
        .into();
    keys.push((modulus(8193), E.to_vec(), KeyError::LargeRsa));
    for e in [
        &[1][..],
        &[0],
        &[2],
        &[4],
        &[1, 0, 0],
        &[2, 0, 0, 0, 1],
        &[0xff; 8],
    ] {
        keys.push((n(), e.to_vec(), KeyError::InvalidRsaExponent));
    }
    keys
}

fn n() -> Vec<u8> {
    base64_simd::URL_SAFE_NO_PAD.decode_to_vec(N).unwrap()
}

/// The key in every form that there is, read for `algorithm`.
fn every_form(algorithm: Algorithm, n: &[u8], e: &[u8]) -> Vec<Result<VerifyingKey, KeyError>> {
    let pkcs1 = der(0x30, &[integer(n), integer(e)].concat());
    // The object identifier rsaEncryption with its NULL.
    let identifier = hex("300d06092a864886f70d0101010500");
    let bits = der(0x03, &[&[0], &pkcs1[..]].concat());
    let spki = der(0x30, &[identifier, bits].concat());
    let pem = |label: &str, der: &[u8]| {
        let body = base64_simd::STANDARD.encode_to_string(der);
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    };
    let pems = [pem("RSA PUBLIC KEY", &pkcs1), pem("PUBLIC KEY", &spki)];
    let dressed_up = [&[0; 128], n].concat();
    let mut keys = vec![
        VerifyingKey::from_jwk_for(algorithm, rsa_jwk(n, e, json!({}))),
        // Leading zeros add no bits.
        VerifyingKey::from_jwk_for(algorithm, rsa_jwk(&dressed_up, e, json!({}))),
        VerifyingKey::from_der(algorithm, &pkcs1),
        VerifyingKey::from_der(algorithm, &spki),
    ];
    for key in [
        DecodingKey::from_rsa_der(&pkcs1),
        DecodingKey::from_rsa_raw_components(n, e),
        DecodingKey::from_rsa_components(&base64url(n), &base64url(e)).unwrap(),
    ] {
        keys.push(VerifyingKey::from_decoding_key(algorithm, &key));
    }
    for pem in pems {
        keys.push(VerifyingKey::from_pem(algorithm, &pem));
        let key = DecodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
        keys.push(VerifyingKey::from_decoding_key(algorithm, &key));
    }
    keys
}

#[tokio::test]
async fn f06_weak_rsa_keys_are_refused_in_every_form() {
    for algorithm in [Algorithm::RS256, Algorithm::PS512] {
        for (n, e, reason) in weak_keys() {
            for (form, key) in every_form(algorithm, &n, &e).into_iter().enumerate() {
                // Some the library refuses before this crate does.
                let refused = [reason, KeyError::Unreadable];
                assert!(
                    key.is_err_and(|error| refused.contains(&error)),
                    "form {form} of {reason:?}"
                );
            }
            let jwk = rsa_jwk(&n, &e, json!({}));
            let named = VerifyingKey::from_jwk_for(algorithm, &jwk).err();
            assert_eq!(named, Some(reason));
        }
    }
    for key in every_form(Algorithm::RS256, &n(), &[3]) {
        let app = app(JwtAuthLayer::new(key.unwrap()).clock(clock()));
        bearer(&app, &format!("{SIGNED}.{SIGNATURE}"))
            .await
            .accepted();
    }
    for e in [&[3][..], &[1, 0, 1], &[1, 0, 0, 0, 1]] {
        for key in every_form(Algorithm::PS512, &n(), e) {
            key.unwrap();
        }
    }
}

#[test]
fn f06_a_certificate_over_a_weak_rsa_key() {
    const PEM: &str = "-----BEGIN CERTIFICATE-----
MIIB+jCCAWOgAwIBAgIUOr3Wa+mVwc84sqez0ZQxhbPytGcwDQYJKoZIhvcNAQEL
BQAwDzENMAsGA1UEAwwEd2VhazAeFw0yNjExMjQwODM2MTRaFw0zNjExMjEwODM2
MTRaMA8xDTALBgNVBAMMBHdlYWswgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGB
ALbiMWXdHKIbTX1+0ITVj75fZShtsw9+rEr4JMVxb2y/u9OAZXWXk5EVHIWEQwAf
SEF+nQn0pbrAaoDWVSiHl33H9DRe0bjXn4hHCQMJH0nVMTWqbUu7cYFMk+kE4/db
D/3lwo44ECfGDTlSEF4BJorg4J7vABmg6WqjBdLsW59VAgMBAAGjUzBRMB0GA1Ud
DgQWBBRBhzUqttKy2NuI+Gut9Bge5FU4WDAfBgNVHSMEGDAWgBRBhzUqttKy2NuI
+Gut9Bge5FU4WDAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4GBAKdF
sdsIZb4dq8ZpFgetVemugy+i/xHKgOy75oJR3uJxUdhPj6w0gj8wV+SXMmgdhBsE
tJRi7wtIUAGTiXAJaEsYK3Qa827ky7iowjW5f6RsOudfYpseAr1c+yx3EeqTT750
VG0VGa+nRrwiTnYT/8p53u+TQcCpagngIKKtFlVq
-----END CERTIFICATE-----
";
    let key = VerifyingKey::from_pem(Algorithm::RS256, PEM);
    assert_eq!(key.err(), Some(KeyError::WeakRsa));
}

#[tokio::test]
async fn f06_weak_rsa_keys_of_a_document_are_skipped_and_reported() {
    let weak = weak_keys();
    let jwk = |n: &[u8], e: &[u8], kid: &str| -> Value {
        serde_json::from_str(&rsa_jwk(n, e, json!({ "kid": kid }))).unwrap()
    };
    let mut keys: Vec<_> = weak
        .iter()
        .enumerate()
        .map(|(index, (n, e, _))| jwk(n, e, &format!("weak {index}")))
        .collect();
    let expected: Vec<_> = weak
        .iter()
        .enumerate()
        .map(|(index, (.., error))| {
            let key_id = Some(format!("weak {index}"));
            (index, key_id, SkipReason::Key(*error))
        })
        .collect();
    let told = |skipped: &[SkippedKey]| -> Vec<_> {
        let tell = |key: &SkippedKey| (key.index, key.key_id.clone(), key.reason);
        skipped.iter().map(tell).collect()
    };

    let error = KeySet::from_jwks(json!({ "keys": keys }).to_string()).unwrap_err();
    assert!(
        matches!(&error, JwksError::NoUsableKey(skipped) if told(skipped) == expected),
        "{error:?}"
    );

    keys.push(jwk(&n(), &[3], "good"));
    let signer = Signer::rs256();
    keys.push(serde_json::from_str(&crate::support::rsa_jwk(json!({ "kid": "ours" }))).unwrap());
    let jwks = KeySet::from_jwks(json!({ "keys": keys }).to_string()).unwrap();
    assert_eq!(told(&jwks.skipped), expected);
    assert_eq!(jwks.keys.len(), 2);

    let app = app(JwtAuthLayer::new(jwks.keys).clock(clock()));
    let header = |kid: &str| json!({ "alg": "RS256", "kid": kid }).to_string();
    let token = forge(header("ours"), claims(json!({})), &signer);
    bearer(&app, &token).await.accepted();
    for index in 0..weak.len() {
        let token = forge(header(&format!("weak {index}")), claims(json!({})), &signer);
        let answer = bearer(&app, &token).await;
        answer.refused(VerifyErrorKind::NoFittingKey);
    }
}

/// With the exponent 1, padding a message is enough to sign it.
#[tokio::test]
async fn f06_a_signature_without_any_key_under_the_exponent_one() {
    let n = n();
    let keys = [
        rsa_jwk(&n, &[1], json!({ "kid": "one" })),
        crate::support::rsa_jwk(json!({ "kid": "ours" })),
    ]
    .join(",");
    let jwks = KeySet::from_jwks(format!(r#"{{"keys":[{keys}]}}"#)).unwrap();
    let app = app(JwtAuthLayer::new(jwks.keys).clock(clock()));
    for (kid, kind) in [
        ("one", VerifyErrorKind::NoFittingKey),
        ("ours", VerifyErrorKind::BadSignature),
    ] {
        let header = json!({ "alg": "RS256", "kid": kid }).to_string();
        let input = format!("{}.{}", base64url(header), base64url(claims(json!({}))));
        let hash = digest::digest(&digest::SHA256, input.as_bytes());
        let info = [
            hex("3031300d060960864801650304020105000420"),
            hash.as_ref().to_vec(),
        ]
        .concat();
        let filler = vec![0xff; n.len() - info.len() - 3];
        let padded = [&[0, 1], &filler[..], &[0], &info].concat();
        let answer = bearer(&app, &format!("{input}.{}", base64url(padded))).await;
        answer.refused(kind);
    }
    let header = r#"{"alg":"RS256","kid":"ours"}"#;
    let token = forge(header, claims(json!({})), &Signer::rs256());
    bearer(&app, &token).await.accepted();
}

/// Claims that are refused, and for what.
fn bad_claims() -> Vec<(Value, VerifyErrorKind)> {
    use VerifyErrorKind as Kind;
    vec![
        (json!({ "exp": NOW - 300, "iat": NOW - 600 }), Kind::Expired),
        (json!({ "nbf": NOW + 300 }), Kind::NotYetValid),
        (json!({ "iat": NOW + 300 }), Kind::IssuedInFuture),
        (
            json!({ "exp": NOW + 5, "iat": NOW + 9 }),
            Kind::ExpiresBeforeIssued,
        ),
        (json!({ "aud": "else" }), Kind::WrongAudience),
        (json!({ "events": {} }), Kind::LogoutToken),
        (json!({ "cnf": { "jkt": "x" } }), Kind::SenderConstrained),
    ]
}

#[tokio::test]
async fn f08_the_signature_comes_before_the_claims() {
    const ISSUER: &str = "https://id.example.com";
    let lone = app(layer().issuer(ISSUER).audience("api"));
    let other = VerifyingKey::hs256([7; 32]).unwrap();
    let several = app(JwtAuthLayer::new([
        TrustedIssuer::new(ISSUER, hs256()),
        TrustedIssuer::new("https://other.example.com", other),
    ])
    .clock(clock())
    .audience("api"));
    let sign =
        |payload: &str, secret: &[u8]| forge(r#"{"alg":"HS256"}"#, payload, &Signer::hmac(secret));
    let ours = |more: &Value| {
        let mut payload = json!({ "iss": ISSUER, "aud": "api" });
        let more = more.as_object().unwrap().clone();
        payload.as_object_mut().unwrap().extend(more);
        claims(payload)
    };

    let good = ours(&json!({}));
    let forged = bearer(&lone, &sign(&good, &[8; 32])).await;
    for app in [&lone, &several] {
        bearer(app, &sign(&good, SECRET)).await.accepted();
        for (more, kind) in bad_claims() {
            let payload = ours(&more);
            bearer(app, &sign(&payload, SECRET)).await.refused(kind);
            let answer = bearer(app, &sign(&payload, &[8; 32])).await;
            answer.refused(VerifyErrorKind::BadSignature);
            assert_eq!(answer.body, forged.body);
            assert_eq!(answer.headers, forged.headers);
        }
    }

    // Not JSON, or claims that cannot be parsed. With one trusted issuer the payload is not read;
    // with several it names no issuer. Either way the answer is the same.
    for payload in [
        "",
        "[]",
        "{",
        "{}",
        r#"{"exp":"never"}"#,
        r#"{"iss":"a","iss":"b"}"#,
        r#"{"iss":"https://else.example.com"}"#,
    ] {
        let token = sign(payload, &[8; 32]);
        let answers = [bearer(&lone, &token).await, bearer(&several, &token).await];
        if !payload.is_empty() {
            answers[0].refused(VerifyErrorKind::BadSignature);
        }
        for answer in answers {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
            assert_eq!(answer.body, forged.body);
            assert_eq!(answer.headers, forged.headers);
        }
    }
}

#[tokio::test]
async fn f08_expiry_is_reported_only_for_a_signed_token() {
    let app = app(layer());
    let payload = json!({ "exp": NOW - 300 }).to_string();
    let token = |secret: &[u8]| forge(r#"{"alg":"HS256"}"#, &payload, &Signer::hmac(secret));
    let signed = bearer(&app, &token(SECRET)).await;
    assert!(signed.body.contains("expired"));
    let forged = bearer(&app, &token(&[8; 32])).await;
    forged.refused(VerifyErrorKind::BadSignature);
    assert!(!forged.body.contains("expired"));
    assert!(!forged.challenge().unwrap().contains("expired"));
}

#[tokio::test]
async fn f08_a_remembered_header_is_no_pass() {
    let layer = layer();
    let lax = app(layer.clone());
    let token = good();
    bearer(&lax, &token).await.accepted();
    let (input, signature) = split(&token);
    for other in [&signature[1..], &[0; 32]] {
        let answer = bearer(&lax, &format!("{input}.{}", base64url(other))).await;
        answer.refused(VerifyErrorKind::BadSignature);
    }
    // The earlier check of the header no longer applies.
    let strict = app(layer.typ("at+jwt").leeway(Duration::ZERO));
    let answer = bearer(&strict, &token).await;
    answer.refused(VerifyErrorKind::WrongType);
    let header = r#"{"alg":"HS256","typ":"at+jwt"}"#;
    let token = forge(header, claims(json!({})), &Signer::hmac(SECRET));
    bearer(&strict, &token).await.accepted();
}

fn split(token: &str) -> (&str, Vec<u8>) {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(signature);
    (input, signature.unwrap())
}

fn rsa_jwk(n: &[u8], e: &[u8], more: Value) -> String {
    let mut jwk = json!({ "kty": "RSA", "n": base64url(n), "e": base64url(e) });
    let more: Map<_, _> = serde_json::from_value(more).unwrap();
    jwk.as_object_mut().unwrap().extend(more);
    jwk.to_string()
}

fn hex(digits: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// The lower bytes of `a + b`, big-endian numbers of the same length.
fn add(a: &[u8], b: &[u8]) -> Vec<u8> {
    assert_eq!(a.len(), b.len());
    let mut carry = 0;
    let mut sum: Vec<u8> = std::iter::zip(a.iter().rev(), b.iter().rev())
        .map(|(a, b)| {
            let [low, high] = (u16::from(*a) + u16::from(*b) + carry).to_le_bytes();
            carry = high.into();
            low
        })
        .collect();
    sum.reverse();
    sum
}

/// `a - b`, of which `a` is the greater.
fn subtract(a: &[u8], b: &[u8]) -> Vec<u8> {
    // a + (2^k - 1 - b) + 1, modulo 2^k.
    let complement: Vec<_> = b.iter().map(|byte| !byte).collect();
    let mut one = vec![0; a.len()];
    *one.last_mut().unwrap() = 1;
    add(&add(a, &complement), &one)
}

fn integer(number: &[u8]) -> Vec<u8> {
    let digits: Vec<_> = number
        .iter()
        .copied()
        .skip_while(|byte| *byte == 0)
        .collect();
    let sign = match digits.first() {
        Some(..0x80) => vec![],
        _ => vec![0],
    };
    der(0x02, &[sign, digits].concat())
}

/// The Ed25519 counterpart of `e = 1`. For a point of low order, R = identity and S = 0 sign many
/// or all messages.
#[test]
fn f06_ed25519_keys_of_low_order() {
    let mut points: Vec<[u8; 32]> = vec![[0; 32]];
    for (first, middle, last) in [
        (1, 0, 0),
        (0xec, 0xff, 0x7f),
        (0xed, 0xff, 0x7f),
        (0xee, 0xff, 0x7f),
    ] {
        let mut point = [middle; 32];
        (point[0], point[31]) = (first, last);
        points.push(point);
    }
    // The two pairs of order 8, by their y coordinates.
    for hex in [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ] {
        let bytes = (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap());
        points.push(bytes.collect::<Vec<_>>().try_into().unwrap());
    }
    for mut point in points {
        for sign in [0, 0x80] {
            point[31] = point[31] & 0x7f | sign;
            let jwk =
                json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(point), "kid": "low" });
            let key = VerifyingKey::from_jwk(jwk.to_string());
            assert_eq!(key.err(), Some(KeyError::LowOrder), "{point:x?}");
            let decoding = jsonwebtoken::DecodingKey::from_ed_der(&point);
            let key = VerifyingKey::from_decoding_key(Algorithm::EdDSA, &decoding);
            assert_eq!(key.err(), Some(KeyError::LowOrder), "{point:x?}");
        }
    }
}

/// SubjectPublicKeyInfo of Ed25519 before the key.
const ED25519_SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

#[test]
fn f06_a_key_of_low_order_is_refused_in_every_wrapping() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let spki = [&ED25519_SPKI[..], &identity].concat();
    for bytes in [&identity[..], &spki] {
        let key = DecodingKey::from_ed_der(bytes);
        assert_eq!(
            VerifyingKey::from_decoding_key(Algorithm::EdDSA, &key).unwrap_err(),
            KeyError::LowOrder
        );
        // What is checked must be what is used: nothing before or after it.
        for odd in [
            [bytes, &[7]].concat(),
            [&[7], bytes].concat(),
            bytes[1..].to_vec(),
        ] {
            let key = DecodingKey::from_ed_der(&odd);
            assert_eq!(
                VerifyingKey::from_decoding_key(Algorithm::EdDSA, &key).unwrap_err(),
                KeyError::Unreadable
            );
            assert!(VerifyingKey::from_der(Algorithm::EdDSA, &odd).is_err());
        }
    }
    assert_eq!(
        VerifyingKey::from_der(Algorithm::EdDSA, &spki).unwrap_err(),
        KeyError::LowOrder
    );
}
