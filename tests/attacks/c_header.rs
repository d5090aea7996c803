//! Header members that ask the verifier for something.

use std::thread;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use tower_jwt_auth::keys::{Algorithm, JwksOptions, KeyError, KeySet, SkipReason, VerifyingKey};
use tower_jwt_auth::{
    JwtAuthLayer, TokenSource, TrustedIssuer, Verifier, VerifyErrorKind, VerifyErrorKind::*,
};

use crate::support::{
    P256, SECRET, Signer, app, base64url, bearer, carried, carrier, claims, clock, ec_jwk, forge,
    forge_segments, good, hs256, layer, p256_key, rsa_jwk, rsa_key, send,
};

/// A header as it is, under a good signature.
fn signed(header: impl AsRef<[u8]>) -> String {
    forge(header, claims(json!({})), &Signer::hmac(SECRET))
}

/// A header of HS256 and `members`, each `"name":value`.
fn signed_with(members: &str) -> String {
    signed(format!(r#"{{"alg":"HS256",{members}}}"#))
}

/// Each of these headers is refused for this reason, though its signature is good.
async fn all_refused(app: &Router, kind: VerifyErrorKind, headers: &[&str]) {
    for header in headers {
        bearer(app, &signed(header)).await.refused(kind);
    }
}

#[tokio::test]
async fn c01_alg_none_in_every_spelling() {
    const ISSUER: &str = "https://id.example.com";
    let set = KeySet::new([hs256().with_key_id("a"), p256_key().with_key_id("b")]).unwrap();
    let apps = [
        app(layer()),
        app(JwtAuthLayer::new(set).clock(clock())),
        app(JwtAuthLayer::new(TrustedIssuer::new(ISSUER, hs256())).clock(clock())),
    ];
    let payload = base64url(claims(json!({ "iss": ISSUER })));
    let hmac = Signer::hmac(SECRET);
    let header = |algorithm: &str| json!({ "alg": algorithm, "kid": "a" }).to_string();
    for app in &apps {
        let good = forge_segments(&base64url(header("HS256")), &payload, &hmac);
        bearer(app, &good).await.accepted();
        for none in [
            "none",
            "None",
            "NONE",
            "nOnE",
            "noNE",
            "none ",
            " none",
            "none\0",
            "\0none",
            "none\n",
            "NonE\t",
            "n\u{43e}ne",
            "\u{ff4e}one",
            "none\u{200b}",
            "null",
            "",
        ] {
            let header = base64url(header(none));
            let signed = forge_segments(&header, &payload, &hmac);
            bearer(app, &signed).await.refused(NoFittingKey);
            let digest_of_nothing = format!("{header}.{payload}.{}", base64url([0; 32]));
            bearer(app, &digest_of_nothing).await.refused(NoFittingKey);
            // A segment that is empty is none.
            bearer(app, &format!("{header}.{payload}."))
                .await
                .refused(Malformed);
            bearer(app, &format!("{header}.{payload}"))
                .await
                .refused(Malformed);
        }
    }
}

#[tokio::test]
async fn c01_alg_that_is_no_name() {
    let app = app(layer());
    bearer(&app, &good()).await.accepted();
    let malformed = [
        r#"{}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":null}"#,
        r#"{"alg":0}"#,
        r#"{"alg":false}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":{"name":"HS256"}}"#,
        "{\"alg\":\"none\0\"}",
        r#"{"ALG":"HS256"}"#,
        r#"{"alg ":"HS256"}"#,
    ];
    all_refused(&app, MalformedHeader, &malformed).await;
    // The name of an algorithm is case-sensitive (RFC 7515 §4.1.1). No case folding applies, not
    // even of the letters that Unicode folds to S and K.
    let unknown = [
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"Hs256"}"#,
        r#"{"alg":"HS256 "}"#,
        r#"{"alg":" HS256"}"#,
        r#"{"alg":"HS256\u0000"}"#,
        r#"{"alg":"HS256\u0000none"}"#,
        r#"{"alg":"HS-256"}"#,
        r#"{"alg":"HS257"}"#,
        r#"{"alg":"HS256,none"}"#,
        r#"{"alg":"A256KW"}"#,
        "{\"alg\":\"H\u{17f}256\"}",
        "{\"alg\":\"HS\u{ff12}56\"}",
    ];
    all_refused(&app, NoFittingKey, &unknown).await;
    bearer(&app, &signed(r#"{"\u0061lg":"\u0048S256"}"#))
        .await
        .accepted();
}

#[tokio::test]
async fn c03_alg_that_the_route_does_not_allow() {
    // Two routes of one service; the key of each is good, and at home.
    let route = |key: VerifyingKey| JwtAuthLayer::new(key).clock(clock());
    let app = Router::new()
        .route(
            "/rsa",
            get(async || "rsa").layer(route(rsa_key(Algorithm::RS256))),
        )
        .route("/ec", get(async || "ec").layer(route(p256_key())))
        .route("/hmac", get(async || "hmac").layer(route(hs256())));
    let long = [SECRET, SECRET].concat();
    let tokens = [
        ("RS256", Signer::rs256(), "/rsa"),
        ("ES256", Signer::es256(), "/ec"),
        ("HS256", Signer::hmac(SECRET), "/hmac"),
        ("PS256", Signer::ps256(), ""),
        (
            "RS512",
            Signer::rsa(&aws_lc_rs::signature::RSA_PKCS1_SHA512),
            "",
        ),
        (
            "HS384",
            Signer::hmac_with(aws_lc_rs::hmac::HMAC_SHA384, SECRET),
            "",
        ),
        (
            "HS512",
            Signer::hmac_with(aws_lc_rs::hmac::HMAC_SHA512, &long),
            "",
        ),
    ];
    for (algorithm, signer, home) in tokens {
        let header = json!({ "alg": algorithm, "typ": "JWT" }).to_string();
        let token = forge(header, claims(json!({})), &signer);
        for path in ["/rsa", "/ec", "/hmac"] {
            let request = Request::get(path).header(AUTHORIZATION, format!("Bearer {token}"));
            let answer = send(&app, request.body(Body::empty()).unwrap()).await;
            if path == home {
                assert_eq!(answer.status, 200, "{algorithm} at {path}");
            } else {
                answer.refused(NoFittingKey);
            }
        }
    }
}

#[tokio::test]
async fn c04_alg_of_the_jwk_decides() {
    use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256};
    let by = [
        ("RS256", Signer::rsa(&RSA_PKCS1_SHA256)),
        ("RS384", Signer::rsa(&RSA_PKCS1_SHA384)),
        ("PS256", Signer::rsa(&RSA_PSS_SHA256)),
    ];
    // A key without `alg` takes none from the token either.
    for (jwk, own) in [
        (rsa_jwk(json!({ "kid": "a" })), "RS256"),
        (rsa_jwk(json!({ "kid": "a", "alg": "RS256" })), "RS256"),
        (rsa_jwk(json!({ "kid": "a", "alg": "RS384" })), "RS384"),
        (rsa_jwk(json!({ "kid": "a", "alg": "PS256" })), "PS256"),
    ] {
        let lone = VerifyingKey::from_jwk(&jwk).unwrap();
        let set = KeySet::from_jwks(format!(r#"{{"keys":[{jwk}]}}"#))
            .unwrap()
            .keys;
        for layer in [JwtAuthLayer::new(lone), JwtAuthLayer::new(set)] {
            let app = app(layer.clock(clock()));
            for (algorithm, signer) in &by {
                let header = json!({ "alg": algorithm, "kid": "a" }).to_string();
                let answer = bearer(&app, &forge(header, claims(json!({})), signer)).await;
                if *algorithm == own {
                    answer.accepted();
                } else {
                    answer.refused(NoFittingKey);
                }
            }
        }
    }

    let k = base64url([SECRET, SECRET].concat());
    let oct = |alg: Value| json!({ "kty": "oct", "k": k, "alg": alg }).to_string();
    let app =
        app(JwtAuthLayer::new(VerifyingKey::from_jwk(oct(json!("HS512"))).unwrap()).clock(clock()));
    let secret = [SECRET, SECRET].concat();
    let mac = |hash| Signer::hmac_with(hash, &secret);
    let token = |algorithm: &str, hash| {
        forge(
            json!({ "alg": algorithm }).to_string(),
            claims(json!({})),
            &mac(hash),
        )
    };
    bearer(&app, &token("HS512", aws_lc_rs::hmac::HMAC_SHA512))
        .await
        .accepted();
    bearer(&app, &token("HS256", aws_lc_rs::hmac::HMAC_SHA256))
        .await
        .refused(NoFittingKey);
    bearer(&app, &token("HS384", aws_lc_rs::hmac::HMAC_SHA384))
        .await
        .refused(NoFittingKey);
}

#[test]
fn c04_a_jwk_that_contradicts_itself_is_no_key() {
    let k = base64url([7; 64]);
    let p256 = |more| ec_jwk(&P256, "P-256", more);
    let errors = [
        // Nothing says which hash, and the token shall not.
        (
            json!({ "kty": "oct", "k": k }).to_string(),
            KeyError::MissingAlgorithm,
        ),
        (
            json!({ "kty": "oct", "k": k, "alg": "RS256" }).to_string(),
            KeyError::AlgorithmMismatch,
        ),
        (
            rsa_jwk(json!({ "alg": "HS256" })),
            KeyError::AlgorithmMismatch,
        ),
        (
            rsa_jwk(json!({ "alg": "ES256" })),
            KeyError::AlgorithmMismatch,
        ),
        (rsa_jwk(json!({ "alg": "none" })), KeyError::Unsupported),
        (rsa_jwk(json!({ "alg": "RSA-OAEP" })), KeyError::Unsupported),
        (rsa_jwk(json!({ "alg": "" })), KeyError::Unsupported),
        (p256(json!({ "alg": "ES384" })), KeyError::AlgorithmMismatch),
        (
            p256(json!({ "alg": "ES256K" })),
            KeyError::AlgorithmMismatch,
        ),
        (p256(json!({ "alg": "HS256" })), KeyError::AlgorithmMismatch),
    ];
    assert!(VerifyingKey::from_jwk(rsa_jwk(json!({}))).is_ok());
    assert!(VerifyingKey::from_jwk(p256(json!({}))).is_ok());
    let oct = json!({ "kty": "oct", "k": k, "alg": "HS512" }).to_string();
    assert!(VerifyingKey::from_jwk(&oct).is_ok());
    for (jwk, expected) in &errors {
        assert_eq!(VerifyingKey::from_jwk(jwk).unwrap_err(), *expected, "{jwk}");
        // In a set such a key is left out, and the others count.
        let document = format!(r#"{{"keys":[{jwk},{}]}}"#, p256(json!({ "kid": "good" })));
        let jwks = JwksOptions::new().allow_secrets().read(&document).unwrap();
        assert_eq!(jwks.keys.len(), 1, "{jwk}");
        assert_eq!(jwks.skipped[0].reason, SkipReason::Key(*expected), "{jwk}");
    }
    for named in [
        Algorithm::RS384,
        Algorithm::PS256,
        Algorithm::HS256,
        Algorithm::ES256,
    ] {
        let jwk = rsa_jwk(json!({ "alg": "RS256" }));
        let key = VerifyingKey::from_jwk_for(named, &jwk);
        assert_eq!(key.unwrap_err(), KeyError::AlgorithmMismatch, "{named}");
    }
}

#[tokio::test]
async fn c05_headers_that_are_no_json_object() {
    let app = app(layer());
    bearer(&app, &signed(r#"{"alg":"HS256"}"#)).await.accepted();
    bearer(&app, &signed(" {\"alg\" :\t\"HS256\"}\r\n"))
        .await
        .accepted();
    let utf16: Vec<u8> = r#"{"alg":"HS256"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for header in [
        &br#"["HS256"]"#[..],
        br#"[{"alg":"HS256"}]"#,
        br#"[["alg","HS256"]]"#,
        br#""HS256""#,
        br#""{\"alg\":\"HS256\"}""#,
        b"256",
        b"null",
        b"true",
        b" ",
        b"HS256",
        b"alg=HS256",
        b"{alg:\"HS256\"}",
        b"{'alg':'HS256'}",
        br#"{"alg":"HS256""#,
        br#"{"alg":"HS256",}"#,
        br#"{"alg":"HS256"}}"#,
        br#"{"alg":"HS256"}{"alg":"none"}"#,
        br#"{"alg":"HS256"}x"#,
        b"{\"alg\":\"HS256\"}\0",
        b"{\"alg\":\"HS256\",\"x\":NaN}",
        b"{\"alg\":\"HS256\",\"x\":01}",
        b"{\"alg\":\"HS256\"/**/}",
        b"{\"alg\":\"HS256\",\"x\":\"\n\"}",
        br#"{"alg":"HS256","x":"\x41"}"#,
        br#"{"alg":"HS256","kid":"\ud800"}"#,
        br#"{"alg":"HS256","\udc00":1}"#,
        // Not UTF-8, even in a member that is ignored.
        b"{\"alg\":\"HS256\",\"x\":\"\xff\"}",
        b"{\"alg\":\"HS256\",\"x\":\"\xc0\xaf\"}",
        b"{\"alg\":\"HS256\",\"x\":\"\xed\xa0\x80\"}",
        b"{\"alg\":\"HS256\",\"\xff\":1}",
        b"\xff{\"alg\":\"HS256\"}",
        // Byte order marks.
        b"\xef\xbb\xbf{\"alg\":\"HS256\"}",
        b"\xff\xfe{\"alg\":\"HS256\"}",
        &utf16,
    ] {
        bearer(&app, &signed(header)).await.refused(MalformedHeader);
    }
}

/// A parser that takes the first and one that takes the last see two tokens (CVE-2023-51774 and its
/// like).
#[tokio::test]
async fn c05_repeated_members() {
    let app = app(layer());
    bearer(&app, &signed_with(r#""typ":"JWT","kid":"a","x":1,"X":1"#))
        .await
        .accepted();
    for header in [
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"alg":"HS256","\u0061lg":"none"}"#,
        r#"{"\u0061\u006c\u0067":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","kid":"a","kid":"b"}"#,
        r#"{"alg":"HS256","kid":"a","k\u0069d":"b"}"#,
        r#"{"alg":"HS256","typ":"JWT","typ":"JWT"}"#,
        r#"{"alg":"HS256","x":1,"x":1}"#,
        r#"{"alg":"HS256","jwk":{},"jwk":{}}"#,
        r#"{"alg":"HS256","":1,"":1}"#,
        r#"{"alg":"HS256","cty":"json","cty":"JWT"}"#,
    ] {
        bearer(&app, &signed(header)).await.refused(MalformedHeader);
    }
}

/// As many members as fit pass if they are well signed. Deeper than 127 levels nothing passes, and
/// it costs neither stack nor time.
#[tokio::test]
async fn c05_headers_as_wide_and_as_deep_as_fit() {
    let app = app(layer());
    let wide: Vec<_> = (0..600)
        .map(|number| format!(r#""{number:x}":0"#))
        .collect();
    let wide = wide.join(",");
    bearer(&app, &signed_with(&wide)).await.accepted();
    bearer(&app, &signed_with(&format!(r#"{wide},"0":0"#)))
        .await
        .refused(MalformedHeader);
    bearer(&app, &signed_with(&format!(r#"{wide},"crit":0"#)))
        .await
        .refused(CriticalHeader);
    bearer(&app, &signed_with(&vec![r#""x":0"#; 900].join(",")))
        .await
        .refused(MalformedHeader);

    // On a stack so small that a parser which calls itself for each level would end the process.
    let verdicts = thread::Builder::new().stack_size(256 * 1024).spawn(|| {
        let verifier = Verifier::new(hs256())
            .clock(clock())
            .max_token_length(64 * 1024);
        let array = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let object = |depth| format!("{}0{}", r#"{"x":"#.repeat(depth), "}".repeat(depth));
        let open = "[".repeat(20_000);
        let verify = |members: String| verifier.verify(signed_with(&members)).map_err(|e| e.kind());
        let within_the_default = signed_with(&format!(r#""x":{}"#, array(2_900)));
        assert!(within_the_default.len() <= Verifier::DEFAULT_MAX_TOKEN_LENGTH);
        [
            verifier.verify(within_the_default).map_err(|e| e.kind()),
            verify(format!(r#""x":{}"#, array(20_000))),
            verify(format!(r#""x":{}"#, object(7_000))),
            verify(format!(r#""jwk":{}"#, object(7_000))),
            verify(format!(r#""x":{open}"#)),
            verify(format!(r#""kid":{}"#, array(20_000))),
            verify(format!(r#""typ":{}"#, object(7_000))),
            verify(format!(r#""crit":{}"#, array(20_000))),
            verify(format!(r#""x":{}"#, array(126))),
            verify(format!(r#""x":{}"#, array(127))),
            verify(format!(r#""x":{}"#, object(127))),
        ]
        .map(|verdict| verdict.map(|_| ()))
    });
    let verdicts = verdicts.unwrap().join().unwrap();
    let bad = Err(MalformedHeader);
    assert_eq!(
        verdicts,
        [bad, bad, bad, bad, bad, bad, bad, bad, Ok(()), bad, bad]
    );
}

#[tokio::test]
async fn c07_crit() {
    let app = app(layer());
    // Only this very name is the one.
    for members in [
        r#""exp":1,"kid":"crit""#,
        r#""Crit":["exp"]"#,
        r#""x":{"crit":["exp"]}"#,
    ] {
        bearer(&app, &signed_with(members)).await.accepted();
    }
    for members in [
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""crit":"x""#,
        r#""crit":"exp""#,
        r#""crit":0"#,
        r#""crit":false"#,
        r#""crit":{}"#,
        r#""crit":[null]"#,
        r#""crit":[[]]"#,
        r#""crit":[""]"#,
        r#""crit":["exp"],"exp":1"#,
        r#""crit":["exp"]"#,
        r#""crit":["alg"]"#,
        r#""crit":["crit"]"#,
        r#""crit":["unknown"],"unknown":1"#,
        r#""crit":["unknown"]"#,
        r#""crit":["b64"],"b64":true"#,
        r#""crit":["b64"],"b64":false"#,
        r#""crit":["b64"]"#,
        r#""crit":["http://openbanking.org.uk/iat"],"http://openbanking.org.uk/iat":1"#,
        r#""crit":["exp","exp"],"exp":1"#,
        r#""cr\u0069t":["unknown"]"#,
    ] {
        bearer(&app, &signed_with(members))
            .await
            .refused(CriticalHeader);
    }
    bearer(&app, &signed(r#"{"crit":["x"],"x":1,"alg":"HS256"}"#))
        .await
        .refused(CriticalHeader);
    let twice = r#""crit":["exp"],"crit":["exp"]"#;
    bearer(&app, &signed_with(twice))
        .await
        .refused(MalformedHeader);
    let twice = r#""crit":[],"\u0063rit":["exp"]"#;
    bearer(&app, &signed_with(twice))
        .await
        .refused(MalformedHeader);
}

#[tokio::test]
async fn c08_b64() {
    let app = app(layer().sources([TokenSource::bearer(), carrier()]));
    let hmac = Signer::hmac(SECRET);
    let encoded = base64url(claims(json!({})));
    // RFC 7797 §3: the payload is not encoded, and is signed as it is. It has no dot.
    let plain = claims(json!({}));
    assert!(!plain.contains('.'));
    bearer(&app, &signed_with(r#""B64":false"#))
        .await
        .accepted();
    for (members, expected) in [
        (r#""b64":false"#, UnencodedPayload),
        (r#""b64":true"#, UnencodedPayload),
        (r#""b64":null"#, UnencodedPayload),
        (r#""b64":"false""#, UnencodedPayload),
        (r#""b64":0"#, UnencodedPayload),
        (r#""b\u00364":false"#, UnencodedPayload),
        (r#""b64":false,"crit":["b64"]"#, CriticalHeader),
        (r#""crit":["b64"],"b64":false"#, CriticalHeader),
        (r#""b64":false,"b64":true"#, MalformedHeader),
    ] {
        let header = base64url(format!(r#"{{"alg":"HS256",{members}}}"#));
        for payload in [&encoded, &plain] {
            let token = forge_segments(&header, payload, &hmac);
            carried(&app, token).await.refused(expected);
        }
        // Detached (RFC 7515 appendix F).
        let detached = forge_segments(&header, "", &hmac);
        bearer(&app, &detached).await.refused(Malformed);
    }
}

/// DEFLATE with one stored block (RFC 1951 §3.2.4).
fn deflated(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let head = [&[1][..], &length.to_le_bytes(), &(!length).to_le_bytes()].concat();
    [&head, text].concat()
}

#[tokio::test]
async fn c09_zip() {
    let app = app(layer());
    let hmac = Signer::hmac(SECRET);
    let plain = claims(json!({}));
    bearer(&app, &signed_with(r#""Zip":"DEF""#))
        .await
        .accepted();
    for zip in [
        r#""DEF""#,
        r#""def""#,
        r#""GZIP""#,
        r#""""#,
        "null",
        "false",
        "[]",
    ] {
        let header = base64url(format!(r#"{{"alg":"HS256","zip":{zip}}}"#));
        for payload in [
            base64url(&plain),
            base64url(deflated(plain.as_bytes())),
            // A verifier that decodes this answers Malformed.
            "a".to_owned(),
        ] {
            let token = forge_segments(&header, &payload, &hmac);
            bearer(&app, &token).await.refused(Compressed);
        }
    }
    // No bomb goes off under another header: what is not JSON is refused as it is.
    let token = forge(r#"{"alg":"HS256"}"#, deflated(plain.as_bytes()), &hmac);
    bearer(&app, &token).await.refused(MalformedClaims);
    let jwe = base64url(r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#);
    bearer(&app, &format!("{jwe}..AAAA.AAAA.AAAA"))
        .await
        .refused(Encrypted);
}

/// Two thousand million rounds of PBKDF2 would keep this test busy for an hour.
#[tokio::test]
async fn c10_p2c() {
    let app = app(layer());
    bearer(&app, &good()).await.accepted();
    let members = json!({ "p2c": 1u64 << 31, "p2s": base64url([7; 16]) });
    for algorithm in [
        "PBES2-HS256+A128KW",
        "PBES2-HS384+A192KW",
        "PBES2-HS512+A256KW",
    ] {
        let mut header = json!({ "alg": algorithm, "enc": "A128CBC-HS256" });
        header
            .as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        let token = signed(header.to_string());
        bearer(&app, &token).await.refused(NoFittingKey);
        bearer(&app, &format!("{token}.AAAA.AAAA"))
            .await
            .refused(Encrypted);
    }
    // With a matching name it is one more member that is ignored.
    bearer(&app, &signed_with(r#""p2c":2147483648,"p2s":"AAAA""#))
        .await
        .accepted();
    bearer(&app, &signed_with(r#""p2c":1e400"#))
        .await
        .accepted();
}

#[tokio::test]
async fn c11_typ() {
    let typed = |typ: &str| signed(json!({ "alg": "HS256", "typ": typ }).to_string());
    let absent = signed(r#"{"alg":"HS256"}"#);
    let default = app(layer());
    let exact = [
        app(layer().typ("at+jwt")),
        app(layer().typ("application/AT+JWT")),
    ];

    let at = [
        "at+jwt",
        "AT+JWT",
        "At+Jwt",
        "application/at+jwt",
        "APPLICATION/at+JWT",
    ];
    for typ in at {
        bearer(&default, &typed(typ)).await.accepted();
        for exact in &exact {
            bearer(exact, &typed(typ)).await.accepted();
        }
    }
    // An ID token is a plain JWT; a route for access tokens by RFC 9068 tells it apart.
    bearer(&default, &absent).await.accepted();
    for typ in ["JWT", "jwt", "JwT", "application/jwt", "Application/JWT"] {
        bearer(&default, &typed(typ)).await.accepted();
    }
    for exact in &exact {
        bearer(exact, &absent).await.refused(WrongType);
        for typ in ["JWT", "jwt", "application/jwt"] {
            bearer(exact, &typed(typ)).await.refused(WrongType);
        }
    }
    for typ in [
        "refresh+jwt",
        "dpop+jwt",
        "logout+jwt",
        "id_token+jwt",
        "secevent+jwt",
        "rt+jwt",
        "token-introspection+jwt",
        "oauth-authz-req+jwt",
        "application/refresh+jwt",
        "application/logout+jwt",
        "JOSE",
        "JOSE+JSON",
        "JWE",
        "",
        "application/",
        "text/jwt",
        "application/application/jwt",
        "/jwt",
        " JWT",
        "JWT ",
        "JWT\0",
        "at+jwt;v=1",
        "at jwt",
        "at+jwt,JWT",
        "x+at+jwt",
        "at+jwts",
        "\u{ff2a}WT",
        "applicatio\u{f1}/jwt",
        "application\u{2215}jwt",
    ] {
        bearer(&default, &typed(typ)).await.refused(WrongType);
        for exact in &exact {
            bearer(exact, &typed(typ)).await.refused(WrongType);
        }
    }
    let malformed = [
        r#"{"alg":"HS256","typ":null}"#,
        r#"{"alg":"HS256","typ":["JWT"]}"#,
        r#"{"alg":"HS256","typ":1}"#,
        r#"{"alg":"HS256","typ":"JWT","typ":"refresh+jwt"}"#,
    ];
    all_refused(&default, MalformedHeader, &malformed).await;
}

/// A header that was remembered as good is good no longer when the rule changes.
#[test]
fn c11_typ_after_a_header_is_remembered() {
    let verifier = Verifier::new(hs256()).clock(clock());
    assert!(verifier.verify(good()).is_ok());
    assert!(verifier.verify(good()).is_ok());
    let strict = verifier.clone().typ("at+jwt");
    assert_eq!(strict.verify(good()).unwrap_err().kind(), WrongType);
    let either = strict.typ("jwt");
    assert!(either.verify(good()).is_ok());
    assert!(verifier.verify(good()).is_ok());
}

#[test]
#[should_panic(expected = "the typ is empty")]
fn c11_an_empty_typ_cannot_be_required() {
    let _ = layer().typ("application/");
}
