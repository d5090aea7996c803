//! Attacks found by a review of the complete crate.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::KeyPair;
use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{AUTHORIZATION, CACHE_CONTROL, ETAG, VARY, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, StatusCode};
use jsonwebtoken::DecodingKey;
use serde_json::{Value, json};
use tower::ServiceBuilder;
use tower_jwt_auth::keys::{
    Algorithm, JwksError, JwksOptions, KeyError, KeySet, SigningKey, SkipReason, VerifyingKey,
};
use tower_jwt_auth::{AuthError, Claims, JwtAuthLayer, TokenSource, VerifyErrorKind};

use crate::support::{
    P256, RSA, Signer, base64url, bearer, claims, clock, forge, good, hs256, layer, request,
    rsa_jwk, rsa_key, send,
};

async fn handler(_: Claims<Value>) -> &'static str {
    "in"
}

#[tokio::test]
async fn n03_the_debug_of_a_request_shows_no_token() {
    let source = TokenSource::custom(|request| {
        let text = format!("{request:?}");
        assert!(
            !text.contains("s3cr3t") && !text.contains("cook1e"),
            "{text}"
        );
        assert!(text.contains("authorization"), "{text}");
        None
    });
    let app = crate::support::app(layer().sources([source]));
    let request = Request::get("/claims?access_token=s3cr3t")
        .header(AUTHORIZATION, "Bearer s3cr3t")
        .header("cookie", "a=cook1e");
    let answer = send(&app, request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[test]
#[should_panic(expected = "`Cookie` is read by")]
fn i04_the_cookie_header_is_no_header_source() {
    let _ = TokenSource::header("cookie");
}

#[test]
#[should_panic(expected = "the typ is empty")]
fn c11_an_empty_typ_cannot_be_required() {
    let _ = layer().typ("application/");
}

#[tokio::test]
async fn n01_an_outer_layer_does_not_answer_for_an_inner_one() {
    let inner = layer().realm("inner").respond(|error: &AuthError| {
        let mut response = error.clone().into_response();
        *response.body_mut() = Body::from("inner");
        response
    });
    let app = Router::new()
        .route("/claims", get(handler))
        .layer(inner)
        .layer(layer().realm("outer").optional());
    let answer = send(&app, request().body(Body::empty()).unwrap()).await;
    assert_eq!(answer.body, "inner");
    assert_eq!(answer.headers[WWW_AUTHENTICATE], r#"Bearer realm="inner""#);
}

#[tokio::test]
async fn n01_a_handler_that_answers_otherwise_is_left_alone() {
    let app = Router::new()
        .route(
            "/claims",
            get(async |result: Result<Claims<Vec<u8>>, AuthError>| {
                (StatusCode::NOT_FOUND, result.unwrap_err())
            }),
        )
        .layer(layer());
    let answer = bearer(&app, &good()).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.challenge().is_none());
}

/// What says something of a body, or for how long it may be kept.
const OF_THE_BODY: [&str; 33] = [
    "accept-ranges",
    "age",
    "cache-control",
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "delta-base",
    "digest",
    "edge-control",
    "etag",
    "expires",
    "last-modified",
    "pragma",
    "repr-digest",
    "signature",
    "signature-input",
    "surrogate-control",
    "trailer",
    "transfer-encoding",
    "unencoded-digest",
    "use-as-dictionary",
    "x-accel-expires",
    "x-accel-redirect",
    "x-lighttpd-send-file",
    "x-sendfile",
];

/// What says something of the exchange, the connection or the site.
const KEPT: [&str; 9] = [
    "content-security-policy",
    "content-security-policy-report-only",
    "server-timing",
    "set-cookie",
    "strict-transport-security",
    "timing-allow-origin",
    "x-content-type-options",
    "x-mine",
    "x-request-id",
];

#[tokio::test]
async fn n01_what_belonged_to_the_old_body_goes_with_it() {
    let add = tower_http::cors::CorsLayer::permissive();
    let app = Router::new()
        .route("/claims", get(async |_: Claims<Vec<u8>>| "in"))
        .layer(ServiceBuilder::new().layer(add))
        .layer(axum::middleware::map_response(
            async |mut response: axum::response::Response| {
                let headers = response.headers_mut();
                headers.insert(ETAG, HeaderValue::from_static("\"a\""));
                for name in OF_THE_BODY.iter().chain(&KEPT) {
                    headers.append(*name, HeaderValue::from_static("x"));
                    headers.append(*name, HeaderValue::from_static("y"));
                }
                response
            },
        ))
        .layer(layer());
    let answer = bearer(&app, &good()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    for gone in OF_THE_BODY {
        let values = answer.headers.get_all(gone).iter();
        let kept = values.filter(|value| matches!(value.as_bytes(), b"x" | b"y"));
        assert_eq!(kept.count(), 0, "{gone}");
    }
    for kept in KEPT {
        let values: Vec<_> = answer.headers.get_all(kept).iter().collect();
        assert_eq!(values, ["x", "y"], "{kept}");
    }
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn n01_an_answer_depends_on_what_either_depended_on() {
    let own = layer().respond(|error: &AuthError| {
        (error.status(), [(VARY, "accept-language")], "sorry").into_response()
    });
    let app = Router::new()
        .route("/claims", get(async |_: Claims<Vec<u8>>| "in"))
        .layer(axum::middleware::map_response(
            async |response: axum::response::Response| ([(VARY, "origin")], response),
        ))
        .layer(own);
    let answer = bearer(&app, &good()).await;
    assert_eq!(answer.body, "sorry");
    let lines: Vec<_> = answer.headers.get_all(VARY).iter().collect();
    assert_eq!(lines, ["accept-language", "origin"]);
}

#[tokio::test]
async fn h05_answers_to_a_custom_header_are_private_to_caches() {
    let sources = [TokenSource::bearer(), TokenSource::header("x-token")];
    let app = crate::support::app(layer().sources(sources));
    let request = request().header("x-token", good());
    let answer = send(&app, request.body(Body::empty()).unwrap()).await;
    answer.accepted();
    assert_eq!(answer.headers[CACHE_CONTROL], "private");
    let answer = bearer(&app, &good()).await;
    assert!(!answer.headers.contains_key(CACHE_CONTROL));
}

#[tokio::test]
async fn j01_one_odd_key_does_not_spoil_a_document() {
    let odd = [
        r#"{"kty":"EC","x":1e999}"#.to_owned(),
        r#"{"kty":"EC","note":"\ud800"}"#.to_owned(),
        format!(
            r#"{{"kty":"EC","x":{}1{}}}"#,
            "[".repeat(500),
            "]".repeat(500)
        ),
        r#"["oct",null,"HS256"]"#.to_owned(),
        "17".to_owned(),
        "null".to_owned(),
        // The same member twice: which one applies?
        r#"{"kty":"RSA","kty":"oct"}"#.to_owned(),
    ];
    let good = rsa_jwk(json!({ "kid": "good" }));
    for odd in odd {
        for document in [
            format!(r#"{{"keys":[{good},{odd}]}}"#),
            format!(r#"{{ "x": [{{}}], "keys" : [ {odd} , {good} ] , "y": "" }}"#),
        ] {
            let jwks = KeySet::from_jwks(&document).unwrap();
            assert_eq!(jwks.keys.len(), 1, "{document}");
            assert_eq!(jwks.skipped.len(), 1);
            assert!(matches!(jwks.skipped[0].reason, SkipReason::Key(_)));
            let app = crate::support::app(JwtAuthLayer::new(jwks.keys).clock(clock()));
            let header = r#"{"alg":"RS256","kid":"good"}"#;
            let token = forge(header, claims(json!({})), &Signer::rs256());
            bearer(&app, &token).await.accepted();
        }
    }
}

#[test]
fn j01_a_document_or_key_is_an_object() {
    let key = rsa_jwk(json!({}));
    for document in [
        format!("[[{key}]]"),
        format!("[{key}]"),
        key.clone(),
        format!(r#"{{"keys":{key}}}"#),
    ] {
        assert_eq!(
            KeySet::from_jwks(&document).unwrap_err(),
            JwksError::NotJwks,
            "{document}"
        );
    }
    let k = base64url([7; 32]);
    let members = format!(
        r#"["oct",null,"HS256",null,null,null,"{k}",null,null,null,null,null,null,null,null,null,null]"#
    );
    assert_eq!(
        VerifyingKey::from_jwk(members).unwrap_err(),
        KeyError::Unreadable
    );
}

#[test]
fn d05_any_part_of_a_private_key_makes_it_private() {
    for part in ["d", "p", "q", "dp", "dq", "qi", "k"] {
        let key = rsa_jwk(json!({ part: "AQAB" }));
        assert_eq!(
            VerifyingKey::from_jwk(&key).unwrap_err(),
            KeyError::UnexpectedPrivateKey,
            "{part}"
        );
        let document = format!(r#"{{"keys":[{key}]}}"#);
        let JwksError::NoUsableKey(skipped) = KeySet::from_jwks(&document).unwrap_err() else {
            panic!("{part}");
        };
        assert_eq!(skipped[0].reason, SkipReason::Secret, "{part}");
        assert!(JwksOptions::new().allow_secrets().read(&document).is_ok());
    }
}

#[tokio::test]
async fn a03_a_signed_token_that_says_it_holds_another_is_not_minted_either() {
    let key = SigningKey::hs256([7; 32]).unwrap();
    let header = tower_jwt_auth::keys::TokenHeader::new().member("cty", "JWT");
    assert!(key.sign_with(&header, &json!({})).is_err());
}

#[tokio::test]
async fn e07_a_key_by_reference_is_the_same_key() {
    let key = hs256();
    let app = crate::support::app(JwtAuthLayer::new(&key).clock(clock()));
    bearer(&app, &good()).await.accepted();
    let set = KeySet::new([rsa_key(Algorithm::RS256)]).unwrap();
    let app = crate::support::app(JwtAuthLayer::new(&set).clock(clock()));
    bearer(&app, &good())
        .await
        .refused(VerifyErrorKind::NoFittingKey);
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

#[test]
fn d05_nothing_follows_a_key_in_der() {
    let rsa = RSA.public_key().as_ref().to_vec();
    let ec: PublicKeyX509Der<'_> = P256.public_key().as_der().unwrap();
    let ec = ec.as_ref().to_vec();
    for (algorithm, der) in [(Algorithm::RS256, &rsa), (Algorithm::ES256, &ec)] {
        assert!(VerifyingKey::from_der(algorithm, der).is_ok());
        for after in [&[0][..], &[4, 0], &rsa, &ec] {
            let longer = [&der[..], after].concat();
            assert_eq!(
                VerifyingKey::from_der(algorithm, &longer).unwrap_err(),
                KeyError::Unreadable
            );
            let key = match algorithm {
                Algorithm::RS256 => DecodingKey::from_rsa_der(&longer),
                _ => DecodingKey::from_ec_der(&longer),
            };
            assert!(VerifyingKey::from_decoding_key(algorithm, &key).is_err());
        }
    }
}

#[test]
fn g11_a_key_that_is_nested_without_end_is_refused_and_overflows_nothing() {
    for levels in [20, 400, 20_000] {
        let mut der: Vec<u8> = Vec::new();
        for _ in 0..levels {
            let length = u32::try_from(der.len()).unwrap().to_be_bytes();
            der = [&[0x30, 0x83], &length[1..], &der].concat();
        }
        let body = base64_simd::STANDARD.encode_to_string(&der);
        for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
            assert!(VerifyingKey::from_der(algorithm, &der).is_err());
            assert!(SigningKey::from_der(algorithm, &der).is_err());
            for label in ["PUBLIC KEY", "CERTIFICATE", "PRIVATE KEY"] {
                let pem = format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
                assert!(VerifyingKey::from_pem(algorithm, &pem).is_err());
                assert!(SigningKey::from_pem(algorithm, &pem).is_err());
            }
        }
    }
}

#[test]
fn d02_openssh_in_binary_is_no_secret_either() {
    for name in ["ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256"] {
        let length = u32::try_from(name.len()).unwrap().to_be_bytes();
        let blob = [&length[..], name.as_bytes(), &[0, 0, 0, 32], &[0xa5; 64]].concat();
        let line = format!(
            "{name} {} me@here",
            base64_simd::STANDARD.encode_to_string(&blob)
        );
        let twice = base64_simd::STANDARD.encode_to_string(&line);
        for secret in [&blob[..], line.as_bytes(), twice.as_bytes()] {
            assert_eq!(
                VerifyingKey::hs256(secret).unwrap_err(),
                KeyError::SecretIsKey
            );
        }
    }
    // But words of a passphrase may begin like it.
    assert!(VerifyingKey::hs256("correct horse ssh- battery staple and more").is_ok());
}
