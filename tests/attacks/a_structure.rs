//! The structure of a token: segments, serializations and encryption.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::KeyPair;
use axum::body::Body;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use serde_json::json;
use tower::{Layer, Service, service_fn};
use tower_jwt_auth::keys::{Algorithm, SigningKey, TokenHeader, VerifyingKey};
use tower_jwt_auth::{AuthErrorKind, JwtAuthLayer, TokenSource, Verifier, VerifyErrorKind::*};

use crate::support::{
    RSA, SECRET, Signer, app, base64url, bearer, carried, carrier, claims, clock, ed25519_key,
    forge, forge_segments, good, hs256, hs256_token, layer, p256_key, request, rsa_key, send,
};

/// Most algorithms, each with a key that is trusted and what signs for it.
fn algorithms() -> [(&'static str, VerifyingKey, Signer); 5] {
    [
        ("HS256", hs256(), Signer::hmac(SECRET)),
        ("RS256", rsa_key(Algorithm::RS256), Signer::rs256()),
        ("PS256", rsa_key(Algorithm::PS256), Signer::ps256()),
        ("ES256", p256_key(), Signer::es256()),
        ("EdDSA", ed25519_key(Algorithm::EdDSA), Signer::ed25519()),
    ]
}

#[tokio::test]
async fn a01_empty_token() {
    let sources = [
        TokenSource::bearer(),
        TokenSource::cookie("token"),
        TokenSource::header("x-token"),
        carrier(),
    ];
    let app = app(layer().sources(sources));
    bearer(&app, &good()).await.accepted();
    carried(&app, good()).await.accepted();
    for value in ["Bearer ", "Bearer", "bearer     "] {
        let request = request().header(AUTHORIZATION, value);
        let answer = send(&app, request.body(Body::empty()).unwrap()).await;
        answer.malformed();
        assert_eq!(answer.kind(), Some(AuthErrorKind::MalformedCredentials));
    }

    // Where only a token may be, an empty value is no token: 401, and the bare challenge.
    let nothing = [
        ("authorization", ""),
        ("x-token", ""),
        ("cookie", "token="),
        ("cookie", "token"),
    ];
    for (name, value) in nothing {
        let request = request().header(name, value);
        let answer = send(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.kind(), Some(AuthErrorKind::MissingToken), "{name}");
        assert_eq!(answer.challenge(), Some(r#"Bearer realm="api""#));
    }
    let answer = carried(&app, "").await;
    assert_eq!(answer.kind(), Some(AuthErrorKind::MissingToken));
    let refused = Verifier::new(hs256()).verify("").unwrap_err();
    assert_eq!(refused.kind(), Malformed);
}

#[tokio::test]
async fn a02_segments() {
    let trusting = app(layer());
    // No key of this layer fits. An error about a missing key would mean that one was looked up.
    let without_key = app(JwtAuthLayer::new(rsa_key(Algorithm::RS256)).clock(clock()));
    let good = good();
    bearer(&trusting, &good).await.accepted();
    bearer(&without_key, &good).await.refused(NoFittingKey);

    let [header, payload, signature]: [&str; 3] =
        good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let tokens = [
        "a",
        "a.b",
        "a.b.c.d",
        "a.b.c.d.e.f",
        header,
        &format!("{header}.{payload}"),
        &format!("{header}{payload}{signature}"),
        &format!("{good}.{signature}"),
        &format!("{good}."),
        &format!(".{good}"),
        &format!("{good}.{good}"),
        &format!("{header}..{payload}.{signature}"),
    ];
    for token in tokens {
        for app in [&trusting, &without_key] {
            bearer(app, token).await.refused(Malformed);
        }
    }
}

/// The other serializations of RFC 7515 §7.2 have several signatures, or unsigned headers.
#[tokio::test]
async fn a02_json_serialization_and_dots_that_only_look_like_dots() {
    let app = app(layer().sources([TokenSource::bearer(), carrier()]));
    let good = good();
    carried(&app, &*good).await.accepted();
    let segments: Vec<_> = good.split('.').collect();
    let (protected, payload, signature) = (segments[0], segments[1], segments[2]);
    let signed = json!({ "protected": protected, "signature": signature });
    let flattened =
        json!({ "protected": protected, "payload": payload, "signature": signature }).to_string();
    bearer(&app, &flattened).await.malformed();
    for token in [
        flattened,
        json!({ "payload": payload, "signatures": [signed] }).to_string(),
        json!([good]).to_string(),
        json!(good).to_string(),
        good.replace('.', "\u{ff0e}"),
        good.replace('.', "\u{2024}"),
        good.replace('.', "%2e"),
        good.replace('.', ","),
    ] {
        let answer = carried(&app, &*token).await;
        // A quoted token still has three segments; its header is no base64url.
        let quoted = token.starts_with(['"', '[']);
        answer.refused(if quoted { MalformedHeader } else { Malformed });
    }
}

/// `inner` encrypted with AES-256-GCM (RFC 7518 §5.3): a JWE that `key` decrypts.
fn jwe(header: &str, encrypted_key: &[u8], key: &[u8], inner: &str) -> String {
    let header = base64url(header);
    let nonce = [7; NONCE_LEN];
    let aes = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let mut text = inner.as_bytes().to_vec();
    let tag = aes
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(header.as_bytes()),
            &mut text,
        )
        .unwrap();
    let parts = [encrypted_key, &nonce, &text, tag.as_ref()].map(base64url);
    format!("{header}.{}", parts.join("."))
}

#[tokio::test]
async fn a03_encrypted_tokens() {
    let unsigned = format!(
        "{}.{}.",
        base64url(r#"{"alg":"none"}"#),
        base64url(claims(json!({})))
    );

    let by_secret = app(layer().sources([TokenSource::bearer(), carrier()]));
    bearer(&by_secret, &good()).await.accepted();
    let dir = r#"{"alg":"dir","enc":"A256GCM","cty":"JWT"}"#;
    // Two segments of five are garbage. An error about them would mean that they were decrypted or
    // parsed.
    for token in [
        jwe(dir, b"", SECRET, &unsigned),
        jwe(dir, b"", SECRET, &good()),
        jwe(dir, b"", SECRET, &claims(json!({}))),
        jwe(r#"{"alg":"HS256"}"#, b"", SECRET, &unsigned),
        format!("{}.a.b", good()),
        format!("..{}", good()),
        "a.b.c.d.e".to_owned(),
        "....".to_owned(),
    ] {
        bearer(&by_secret, &token).await.refused(Encrypted);
    }
    carried(&by_secret, "!.?.!.?.!").await.refused(Encrypted);

    // Anyone can encrypt to a public key, so that decryption proves nothing.
    let by_rsa = app(JwtAuthLayer::new(rsa_key(Algorithm::RS256)).clock(clock()));
    let signed = forge(r#"{"alg":"RS256"}"#, claims(json!({})), &Signer::rs256());
    bearer(&by_rsa, &signed).await.accepted();
    let spki: PublicKeyX509Der<'_> = RSA.public_key().as_der().unwrap();
    let public = PublicEncryptingKey::from_der(spki.as_ref()).unwrap();
    let public = OaepPublicEncryptingKey::new(public).unwrap();
    let mut wrapped = vec![0; public.ciphertext_size()];
    let wrapped = public
        .encrypt(&OAEP_SHA1_MGF1SHA1, &[9; 32], &mut wrapped, None)
        .unwrap();
    let header = r#"{"alg":"RSA-OAEP","enc":"A256GCM","cty":"JWT"}"#;
    for inner in [&unsigned, &signed] {
        let token = jwe(header, wrapped, &[9; 32], inner);
        bearer(&by_rsa, &token).await.refused(Encrypted);
    }
}

/// A JWE's algorithm in a JWS that is well signed.
#[tokio::test]
async fn a03_key_management_names_no_signature() {
    let app = app(layer());
    for algorithm in [
        "dir",
        "A256KW",
        "A256GCMKW",
        "RSA-OAEP",
        "RSA1_5",
        "ECDH-ES",
    ] {
        let token = |algorithm: &str| {
            let header = json!({ "alg": algorithm, "enc": "A256GCM" }).to_string();
            forge(header, claims(json!({})), &Signer::hmac(SECRET))
        };
        bearer(&app, &token(algorithm)).await.refused(NoFittingKey);
        bearer(&app, &token("HS256")).await.accepted();
    }
}

#[tokio::test]
async fn a04_long_tokens() {
    let app_of = |bytes| app(layer().max_token_length(bytes));
    let default = app(layer());
    for token in [
        ".".repeat(100_000),
        "....".repeat(16 * 1024),
        "a".repeat(64 * 1024),
        "a".repeat(1024 * 1024),
        ".".repeat(1024 * 1024),
        format!(
            "{}.{}.{}",
            "a".repeat(350_000),
            "b".repeat(350_000),
            "c".repeat(350_000)
        ),
        // Good but for its length.
        hs256_token(claims(json!({ "x": "x".repeat(1024 * 1024) }))),
        hs256_token(claims(json!({ "x": "x".repeat(8 * 1024) }))),
    ] {
        bearer(&default, &token).await.refused(TooLong);
    }
    bearer(&default, &".".repeat(8 * 1024 + 1))
        .await
        .refused(TooLong);
    bearer(&default, &".".repeat(8 * 1024))
        .await
        .refused(Malformed);

    // The same good token, and a cap that it just meets or just exceeds.
    let token = hs256_token(claims(json!({ "x": "x".repeat(20_000) })));
    bearer(&app_of(token.len()), &token).await.accepted();
    bearer(&app_of(token.len() - 1), &token)
        .await
        .refused(TooLong);
}

#[test]
fn a04_long_tokens_take_no_memory() {
    const LENGTH: usize = 1024 * 1024;

    let verifier = Verifier::new(hs256()).clock(clock());
    let allocations = |token: &str, expected| {
        let mut verdict = None;
        let info = allocation_counter::measure(|| verdict = Some(verifier.verify(token)));
        let kind = verdict.unwrap().map(|_| ()).map_err(|error| error.kind());
        assert_eq!(kind, expected);
        info.count_total
    };
    // What is counted: a good token is stored.
    assert_ne!(allocations(&good(), Ok(())), 0);
    let long = hs256_token(claims(json!({ "x": "x".repeat(LENGTH) })));
    for token in [".".repeat(LENGTH), "a".repeat(LENGTH), long] {
        assert_eq!(allocations(&token, Err(TooLong)), 0);
    }
    for token in [
        "....",
        "..",
        ".",
        &".".repeat(8 * 1024),
        &"a".repeat(8 * 1024),
    ] {
        let expected = if token == "...." {
            Encrypted
        } else {
            Malformed
        };
        assert_eq!(allocations(token, Err(expected)), 0);
    }
    assert_eq!(allocations(&"a.".repeat(4 * 1024), Err(Malformed)), 0);
}

/// The layer allocates its answer, which has one size for every token.
#[test]
fn a04_long_tokens_take_no_memory_in_the_layer() {
    let source = TokenSource::custom(|parts| {
        let token: Option<&Arc<str>> = parts.extensions.get();
        token.map(|token| Cow::Borrowed(&**token))
    });
    let layer = layer().sources([source]);
    let mut service = layer.layer(service_fn(async |_: Request<Body>| {
        Ok::<_, Infallible>(Response::new(Body::empty()))
    }));
    let mut bytes = |length: usize| {
        let token: Arc<str> = ".".repeat(length).into();
        let request = request().extension(token).body(Body::empty()).unwrap();
        let mut status = None;
        let info = allocation_counter::measure(|| {
            let response = pin!(service.call(request));
            if let Poll::Ready(Ok(response)) =
                response.poll(&mut Context::from_waker(Waker::noop()))
            {
                status = Some(response.status());
            }
        });
        assert_eq!(status, Some(StatusCode::UNAUTHORIZED));
        info.bytes_total
    };
    // The first answer may fill what is kept.
    bytes(10_000);
    let usual = bytes(10_000);
    assert_eq!(bytes(1024 * 1024), usual);
    assert_eq!(bytes(16 * 1024 * 1024), usual);
}

#[tokio::test]
async fn a06_empty_segments() {
    for (algorithm, key, signer) in algorithms() {
        let app = app(JwtAuthLayer::new(key).clock(clock()));
        let header = base64url(json!({ "alg": algorithm }).to_string());
        let payload = base64url(claims(json!({})));
        let good = forge_segments(&header, &payload, &signer);
        bearer(&app, &good).await.accepted();
        let unsigned = &good[..good.rfind('.').unwrap()];
        for token in [
            // Each under a signature that is good for what there is.
            forge_segments("", &payload, &signer),
            forge_segments(&header, "", &signer),
            forge_segments("", "", &signer),
            format!("{unsigned}."),
            format!("{header}.."),
            format!(".{payload}."),
            "..".to_owned(),
        ] {
            bearer(&app, &token).await.refused(Malformed);
        }
        // What is there is empty, and the segment is not.
        let blank = forge_segments(&header, &base64url(" "), &signer);
        bearer(&app, &blank).await.refused(MalformedClaims);
        let blank = forge_segments(&base64url(" "), &payload, &signer);
        bearer(&app, &blank).await.refused(MalformedHeader);
    }
}

#[tokio::test]
async fn a07_nested_tokens() {
    let app = app(layer());
    let token = |header: serde_json::Value, payload: &str| {
        forge(header.to_string(), payload, &Signer::hmac(SECRET))
    };
    let claims = claims(json!({}));
    for cty in ["JWT", "jwt", "Jwt", "application/JWT", "APPLICATION/jwt"] {
        let header = json!({ "alg": "HS256", "typ": "JWT", "cty": cty });
        // The inner token is as good as the outer.
        bearer(&app, &token(header.clone(), &good()))
            .await
            .refused(Nested);
        bearer(&app, &token(header, &claims)).await.refused(Nested);
    }
    bearer(
        &app,
        &token(json!({ "alg": "HS256", "cty": "json" }), &claims),
    )
    .await
    .accepted();

    // Without `cty` a token within a token is no claims.
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    bearer(&app, &token(header.clone(), &claims))
        .await
        .accepted();
    for payload in [good(), json!(good()).to_string()] {
        bearer(&app, &token(header.clone(), &payload))
            .await
            .refused(MalformedClaims);
    }
    for cty in [json!(null), json!(1), json!(["JWT"]), json!({})] {
        let header = json!({ "alg": "HS256", "cty": cty });
        bearer(&app, &token(header, &claims))
            .await
            .refused(MalformedHeader);
    }
}

/// Longer than the signature of the longest key there is.
#[tokio::test]
async fn a06_signatures_of_any_length() {
    for (algorithm, key, signer) in algorithms() {
        let app = app(JwtAuthLayer::new(key).clock(clock()));
        let good = forge(
            json!({ "alg": algorithm }).to_string(),
            claims(json!({})),
            &signer,
        );
        bearer(&app, &good).await.accepted();
        let (unsigned, _) = good.rsplit_once('.').unwrap();
        for length in [1, 16, 31, 32, 63, 64, 255, 256, 1023, 1024] {
            // All zero, in as many bytes as any key signs.
            let token = format!("{unsigned}.{}", base64url(vec![0; length]));
            bearer(&app, &token).await.refused(BadSignature);
        }
        for length in [1025, 1026, 1027, 4096] {
            let token = format!("{unsigned}.{}", base64url(vec![0; length]));
            bearer(&app, &token).await.refused(Malformed);
        }
    }
}

#[test]
fn a03_a_signed_token_that_says_it_holds_another_is_not_minted_either() {
    let key = SigningKey::hs256([7; 32]).unwrap();
    let header = TokenHeader::new().member("cty", "JWT");
    assert!(key.sign_with(&header, &json!({})).is_err());
}
