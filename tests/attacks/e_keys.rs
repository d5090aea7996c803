//! Tokens that name the key to verify them with.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyBin};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use axum::Router;
use serde_json::{Value, json};
use tower_jwt_auth::keys::{Algorithm, JwksOptions, KeySet, KeySetError, VerifyingKey};
use tower_jwt_auth::{JwtAuthLayer, Verifier, VerifyErrorKind::*};

#[cfg(feature = "tracing")]
use crate::log::Log;
use crate::support::{
    P256, SECRET, Signer, app, base64url, bearer, carried, carrier, certificate, claims, clock,
    ec_jwk, forge, good, hs256, layer, p256_key, rsa_jwk, rsa_key,
};

/// Keys that no layer here trusts.
static EVIL_EC: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
static EVIL_RSA: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap());
const EVIL_SECRET: &[u8] = b"the attacker's secret, long enough";

/// Two signers of an algorithm: the one that is trusted, and one that is not.
struct Side {
    algorithm: &'static str,
    app: Router,
    trusted: Signer,
    evil: Signer,
}

/// A layer for each kind of key, and one with a set.
fn sides() -> [Side; 4] {
    let app = |layer: JwtAuthLayer| app(layer.clock(clock()));
    let set = [p256_key().with_key_id("a"), hs256().with_key_id("a")];
    [
        Side {
            algorithm: "HS256",
            app: app(JwtAuthLayer::new(hs256())),
            trusted: Signer::hmac(SECRET),
            evil: Signer::hmac(EVIL_SECRET),
        },
        Side {
            algorithm: "RS256",
            app: app(JwtAuthLayer::new(rsa_key(Algorithm::RS256))),
            trusted: Signer::rs256(),
            evil: Signer::Rsa(&EVIL_RSA, &RSA_PKCS1_SHA256),
        },
        Side {
            algorithm: "ES256",
            app: app(JwtAuthLayer::new(p256_key())),
            trusted: Signer::es256(),
            evil: Signer::Ec(&EVIL_EC),
        },
        Side {
            algorithm: "ES256",
            app: app(JwtAuthLayer::new(KeySet::new(set).unwrap())),
            trusted: Signer::es256(),
            evil: Signer::Ec(&EVIL_EC),
        },
    ]
}

/// With `members` in its header a token is still verified by the trusted key, and by no other.
async fn members_are_ignored(members: &Value) {
    for side in sides() {
        let mut header = json!({ "alg": side.algorithm, "kid": "a" });
        let members = members.as_object().unwrap().clone();
        header.as_object_mut().unwrap().extend(members);
        let token = |signer| forge(header.to_string(), claims(json!({})), signer);
        bearer(&side.app, &token(&side.evil))
            .await
            .refused(BadSignature);
        bearer(&side.app, &token(&side.trusted)).await.accepted();
        // And once more, now that the header is known.
        bearer(&side.app, &token(&side.evil))
            .await
            .refused(BadSignature);
    }
}

/// The attacker's keys as JWKs.
fn evil_jwks() -> [Value; 6] {
    let ec: Value = serde_json::from_str(&ec_jwk(&EVIL_EC, "P-256", json!({}))).unwrap();
    let with = |mut jwk: Value, more: Value| {
        let more = more.as_object().unwrap().clone();
        jwk.as_object_mut().unwrap().extend(more);
        jwk
    };
    let (n, e) = (
        EVIL_RSA.public_key().modulus(),
        EVIL_RSA.public_key().exponent(),
    );
    let rsa = json!({
        "kty": "RSA",
        "n": base64url(n.big_endian_without_leading_zero()),
        "e": base64url(e.big_endian_without_leading_zero()),
    });
    let scalar: EcPrivateKeyBin<'_> = EVIL_EC.private_key().as_be_bytes().unwrap();
    let oct = json!({ "kty": "oct", "k": base64url(EVIL_SECRET) });
    [
        ec.clone(),
        with(
            ec.clone(),
            json!({ "alg": "ES256", "kid": "a", "use": "sig" }),
        ),
        with(ec, json!({ "d": base64url(scalar.as_ref()) })),
        with(rsa, json!({ "alg": "RS256", "kid": "a" })),
        oct.clone(),
        with(oct, json!({ "alg": "HS256", "kid": "a" })),
    ]
}

#[tokio::test]
async fn e01_jwk() {
    for jwk in evil_jwks() {
        members_are_ignored(&json!({ "jwk": jwk })).await;
        // A name that would not be found without it.
        let header = json!({ "alg": "ES256", "kid": "evil", "jwk": jwk }).to_string();
        let token = forge(header, claims(json!({})), &Signer::Ec(&EVIL_EC));
        carried(&named(), token).await.refused(NoFittingKey);
    }
    for jwk in [json!(null), json!("a"), json!([]), json!({}), json!(0)] {
        members_are_ignored(&json!({ "jwk": jwk })).await;
    }
    members_are_ignored(&json!({ "jwks": { "keys": evil_jwks() }, "keys": evil_jwks() })).await;
}

#[tokio::test]
async fn e02_urls_of_keys() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let here = listener.local_addr().unwrap();

    let jwks = json!({ "keys": evil_jwks() }).to_string();
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("e02.json");
    std::fs::write(&file, &jwks).unwrap();
    let urls = [
        format!("http://{here}/jwks.json"),
        format!("https://{here}/jwks.json"),
        format!("http://localhost:{}/jwks.json", here.port()),
        format!("http://alice@{here}/"),
        format!("//{here}/jwks.json"),
        here.to_string(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[::ffff:169.254.169.254]/".to_owned(),
        format!("file://{}", file.display()),
        file.display().to_string(),
        format!("data:application/json,{jwks}"),
        format!(
            "data:application/json;base64,{}",
            base64_simd::STANDARD.encode_to_string(&jwks)
        ),
        String::new(),
    ];
    for url in &urls {
        for member in ["jku", "x5u"] {
            members_are_ignored(&json!({ member: url })).await;
        }
    }
    members_are_ignored(&json!({ "jku": urls, "x5u": { "url": here.to_string() } })).await;
    // Nor for a name that is not at hand.
    let set = KeySet::new([hs256().with_key_id("a")]).unwrap();
    let app = app(JwtAuthLayer::new(set).clock(clock()));
    let header = json!({ "alg": "ES256", "kid": "evil", "jku": urls[0] }).to_string();
    let token = forge(header, claims(json!({})), &Signer::Ec(&EVIL_EC));
    bearer(&app, &token).await.refused(NoFittingKey);

    let nobody = listener.accept().unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::WouldBlock);
    // This listener does accept connections.
    let visitor = std::net::TcpStream::connect(here).unwrap();
    listener.set_nonblocking(false).unwrap();
    assert_eq!(listener.accept().unwrap().1, visitor.local_addr().unwrap());
}

#[tokio::test]
async fn e03_certificates() {
    let evil = EVIL_RSA.public_key().as_der().unwrap();
    let trusted = P256.public_key().as_der().unwrap();
    let evil_signer = Signer::Rsa(&EVIL_RSA, &RSA_PKCS1_SHA256);
    let standard = |der: &[u8]| base64_simd::STANDARD.encode_to_string(der);
    let self_signed = certificate(evil.as_ref(), &evil_signer);
    let unrelated = certificate(trusted.as_ref(), &evil_signer);
    let thumbprints = json!({
        "x5t": base64url(digest(&SHA1_FOR_LEGACY_USE_ONLY, &self_signed)),
        "x5t#S256": base64url(digest(&SHA256, &self_signed)),
    });
    for members in [
        json!({ "x5c": [standard(&self_signed)] }),
        json!({ "x5c": [standard(&self_signed), standard(&unrelated)] }),
        json!({ "x5c": [standard(&unrelated), standard(&self_signed)] }),
        json!({ "x5c": [] }),
        json!({ "x5c": standard(&self_signed) }),
        json!({ "x5c": ["not base64"], "x5t": "AAAA" }),
        json!({ "x5t": null, "x5t#S256": [] }),
        thumbprints,
    ] {
        members_are_ignored(&members).await;
    }
}

fn hostile_key_ids() -> Vec<String> {
    [
        "../../etc/passwd",
        "/dev/null",
        "..\\..\\windows\\win.ini",
        "' OR 1=1--",
        "\" OR \"\"=\"",
        "\0",
        "a\0",
        "a\0b",
        "|cmd",
        "$(cmd)",
        "`cmd`",
        "a\r\nforged: line",
        "a\n",
        "\r\n",
        "\u{1b}[2J",
        "",
        " ",
        "a ",
        " a",
        "A",
        "aa",
        "null",
        "undefined",
        "[object Object]",
        "__proto__",
        "constructor",
        "{{7*7}}",
        "${jndi:ldap://127.0.0.1/}",
        "%s%n",
        "%61",
        "*",
        ".*",
        "0",
        "-1",
        "http://127.0.0.1/a",
        "\u{430}",
        "\u{ff41}",
        "a\u{300}",
        "a\u{200b}",
        "\u{202e}a",
        "a\u{feff}",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(["a".repeat(5_000)])
    .collect()
}

fn with_key_id(kid: &Value) -> String {
    let header = json!({ "alg": "HS256", "kid": kid }).to_string();
    forge(header, claims(json!({})), &Signer::hmac(SECRET))
}

/// A set with the trusted secret as `a`, a key of another kind, and two that have no name.
fn named() -> Router {
    let keys = [
        hs256().with_key_id("a"),
        p256_key().with_key_id("b"),
        rsa_key(Algorithm::RS256),
    ];
    app(JwtAuthLayer::new(KeySet::new(keys).unwrap())
        .clock(clock())
        .sources([carrier()]))
}

#[tokio::test]
async fn e04_hostile_key_ids() {
    let set = named();
    let lone = app(layer().sources([carrier()]));
    carried(&set, with_key_id(&json!("a"))).await.accepted();
    for kid in hostile_key_ids() {
        let answer = carried(&set, with_key_id(&json!(kid))).await;
        answer.refused(NoFittingKey);
        // Nothing of it comes back.
        if kid.len() > 4 {
            assert!(!answer.body.contains(&kid), "{}", answer.body);
            assert!(!format!("{:?}", answer.headers).contains(&kid));
            assert!(!format!("{:?} {0}", answer.error.as_ref().unwrap()).contains(&kid));
        }
        // A lone key looks nothing up: it has no name to compare with.
        carried(&lone, with_key_id(&json!(kid))).await.accepted();
    }
    let kid = json!("a".repeat(64 * 1024));
    carried(&set, with_key_id(&kid)).await.refused(TooLong);
    carried(&lone, with_key_id(&kid)).await.refused(TooLong);
}

/// Of the wrong type even where it is not looked at.
#[tokio::test]
async fn e04_key_ids_that_are_no_text() {
    let apps = [named(), app(layer().sources([carrier()]))];
    for app in &apps {
        carried(app, with_key_id(&json!("a"))).await.accepted();
        let deep = (0..100).fold(json!("a"), |inner, _| json!([inner]));
        for kid in [
            json!(null),
            json!(0),
            json!(1e300),
            json!(true),
            json!([]),
            json!({}),
            json!(["a"]),
            json!({ "kid": "a" }),
            json!({ "toString": "a" }),
            deep,
        ] {
            carried(app, with_key_id(&kid))
                .await
                .refused(MalformedHeader);
        }
        let twice = forge(
            r#"{"alg":"HS256","kid":"a","kid":"a"}"#,
            claims(json!({})),
            &Signer::hmac(SECRET),
        );
        carried(app, twice).await.refused(MalformedHeader);
    }
}

/// Names are compared as they are: no normal form, no case, and only JSON's own escapes.
#[tokio::test]
async fn e04_key_ids_in_unicode() {
    let composed = "cl\u{e9}-\u{212b}-\u{df}-\u{1f511}";
    let key = || hs256().with_key_id(composed);
    let set = KeySet::new([key(), p256_key().with_key_id("b")]).unwrap();
    let app = app(JwtAuthLayer::new(set).clock(clock()).sources([carrier()]));
    carried(&app, with_key_id(&json!(composed)))
        .await
        .accepted();
    let escaped = r#"{"alg":"HS256","kid":"cl\u00e9-\u212B-\u00DF-\ud83d\udd11"}"#;
    let token = forge(escaped, claims(json!({})), &Signer::hmac(SECRET));
    carried(&app, token).await.accepted();
    for other in [
        "cle\u{301}-\u{212b}-\u{df}-\u{1f511}",
        "cl\u{e9}-\u{c5}-\u{df}-\u{1f511}",
        "cl\u{e9}-A\u{30a}-\u{df}-\u{1f511}",
        "CL\u{c9}-\u{212b}-SS-\u{1f511}",
        "cl\u{e9}-\u{212b}-ss-\u{1f511}",
        "cl\u{e9}-\u{212b}-\u{df}-",
        "cl\u{e9}-\u{212b}-\u{df}-\u{1f511}\u{fe0f}",
        "cl\\u00e9-\\u212b-\\u00df-\\ud83d\\udd11",
    ] {
        carried(&app, with_key_id(&json!(other)))
            .await
            .refused(NoFittingKey);
    }
    let lone_surrogate = r#"{"alg":"HS256","kid":"cl\u00e9-\u212B-\u00DF-\ud83d"}"#;
    let token = forge(lone_surrogate, claims(json!({})), &Signer::hmac(SECRET));
    carried(&app, token).await.refused(MalformedHeader);
}

/// A name with a line feed in it would be two entries: whatever the name, the log says the same.
#[cfg(feature = "tracing")]
#[tokio::test]
async fn e04_key_ids_do_not_reach_the_log() {
    let log = Log::start();
    let set = named();
    let mut usual = None;
    for kid in hostile_key_ids() {
        carried(&set, with_key_id(&json!(kid)))
            .await
            .refused(NoFittingKey);
        let lines: Vec<_> = log.take();
        let usual = usual.get_or_insert_with(|| lines.clone());
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("no_fitting_key"), "{lines:?}");
        assert_eq!(lines, *usual);
    }
}

#[tokio::test]
async fn e06_missing_key_id() {
    let other = VerifyingKey::hs256(EVIL_SECRET).unwrap();
    let unnamed = with_header(r#"{"alg":"HS256"}"#);
    let set = |keys: Vec<VerifyingKey>| JwtAuthLayer::new(KeySet::new(keys).unwrap());
    let layers = [
        // Alone, in a set or without one, named or not.
        (JwtAuthLayer::new(hs256()), None),
        (JwtAuthLayer::new(hs256().with_key_id("a")), None),
        (set(vec![hs256()]), None),
        (set(vec![hs256().with_key_id("a")]), None),
        // One that fits among others.
        (
            set(vec![hs256().with_key_id("a"), p256_key().with_key_id("b")]),
            None,
        ),
        (
            set(vec![
                rsa_key(Algorithm::RS256),
                hs256().with_key_id("a"),
                p256_key(),
            ]),
            None,
        ),
        // Several that fit: none is tried, though the first or the last would do.
        (
            set(vec![
                hs256().with_key_id("a"),
                other.clone().with_key_id("b"),
            ]),
            Some(SeveralFittingKeys),
        ),
        (
            set(vec![
                other.clone().with_key_id("b"),
                hs256().with_key_id("a"),
            ]),
            Some(SeveralFittingKeys),
        ),
        (
            set(vec![hs256(), other.clone().with_key_id("b")]),
            Some(SeveralFittingKeys),
        ),
        // None that fits.
        (
            set(vec![p256_key(), rsa_key(Algorithm::RS256)]),
            Some(NoFittingKey),
        ),
    ];
    for (layer, expected) in layers {
        let app = app(layer.clock(clock()));
        let answer = bearer(&app, &unnamed).await;
        match expected {
            None => drop(answer.accepted()),
            Some(kind) => answer.refused(kind),
        }
    }
    // Two keys that no token could tell apart are no set.
    for keys in [
        [hs256(), other.clone()],
        [hs256().with_key_id("a"), other.with_key_id("a")],
    ] {
        assert_eq!(KeySet::new(keys).unwrap_err(), KeySetError::Duplicate);
    }
}

/// A key that is listed twice is one key, by whatever name a token asks for it.
#[tokio::test]
async fn e06_a_key_that_is_listed_twice_is_one_key() {
    let other = || VerifyingKey::hs256(EVIL_SECRET).unwrap();
    let again = VerifyingKey::hs256(SECRET).unwrap();
    let named = |kid: &str| hs256().with_key_id(kid);
    let jwk = json!({ "kty": "oct", "alg": "HS256", "k": base64url(SECRET), "kid": "a" });
    let document = json!({ "keys": [&jwk, &jwk] }).to_string();
    let document = JwksOptions::new().allow_secrets().read(&document).unwrap();
    assert_eq!(document.skipped, []);
    for (keys, names) in [
        (KeySet::new([hs256(), again.clone()]), &[None][..]),
        (
            KeySet::new([named("a"), again.clone().with_key_id("a")]),
            &[None, Some("a")],
        ),
        (
            KeySet::new([named("a"), named("b")]),
            &[None, Some("a"), Some("b")],
        ),
        (KeySet::new([hs256(), named("a")]), &[None, Some("a")]),
        (KeySet::new([named("a"), hs256()]), &[None, Some("a")]),
        (
            KeySet::new([named("a"), p256_key().with_key_id("a"), named("a")]),
            &[None, Some("a")],
        ),
        (Ok(document.keys), &[None, Some("a")]),
    ] {
        let app = app(JwtAuthLayer::new(keys.unwrap()).clock(clock()));
        for name in names {
            let header = match name {
                None => json!({ "alg": "HS256" }),
                Some(kid) => json!({ "alg": "HS256", "kid": kid }),
            };
            bearer(&app, &with_header(&header.to_string()))
                .await
                .accepted();
        }
        bearer(&app, &with_key_id(&json!("c")))
            .await
            .refused(NoFittingKey);
    }
    // Another one among them is not the same.
    for keys in [
        vec![named("a"), named("a"), other().with_key_id("a")],
        vec![hs256(), other(), hs256()],
    ] {
        assert_eq!(KeySet::new(keys).unwrap_err(), KeySetError::Duplicate);
    }
    let set = KeySet::new([named("a"), named("b"), other()]).unwrap();
    let app = app(JwtAuthLayer::new(set).clock(clock()));
    let answer = bearer(&app, &with_header(r#"{"alg":"HS256"}"#)).await;
    answer.refused(SeveralFittingKeys);
}

/// The same in a document: the same material once with `alg` and once without is one key too.
#[test]
fn e06_a_public_key_that_is_listed_twice_is_one_key() {
    let ec = |more: Value| ec_jwk(&P256, "P-256", more);
    let rsa = |more: Value| rsa_jwk(more);
    let padded = rsa(json!({})).replacen(r#""n":""#, r#""n":"AAAA"#, 1);
    let read = |keys: &[String]| {
        let jwks = KeySet::from_jwks(format!(r#"{{"keys":[{}]}}"#, keys.join(","))).ok();
        jwks.map(|jwks| (jwks.keys.len(), jwks.skipped.len()))
    };
    let named = json!({ "kid": "a" });
    for (one, other) in [
        (ec(json!({})), ec(json!({}))),
        (ec(named.clone()), ec(named.clone())),
        (
            ec(named.clone()),
            ec(json!({ "kid": "a", "alg": "ES256", "use": "sig" })),
        ),
        (
            rsa(named.clone()),
            rsa(json!({ "kid": "a", "alg": "RS256" })),
        ),
        (rsa(json!({})), padded),
    ] {
        assert_eq!(read(&[one.clone(), other.clone()]), Some((1, 0)), "{one}");
        assert_eq!(read(&[other.clone(), one.clone(), other]), Some((1, 0)));
    }
    // Two that differ are both reported, and nothing else is.
    let two = |kid: &str| {
        let other = ec_jwk(&EVIL_EC, "P-256", json!({ "kid": kid }));
        [ec(json!({ "kid": kid })), ec(json!({ "kid": kid })), other]
    };
    let good = rsa(json!({ "kid": "a" }));
    assert_eq!(read(&[&two("a")[..], &[good]].concat()), Some((3, 3)));
    assert_eq!(read(&two("a")), Some((2, 3)));
    assert_eq!(read(&[ec(named), ec(json!({ "kid": "b" }))]), Some((2, 0)));
}

/// A good token with this header.
fn with_header(header: &str) -> String {
    forge(header, claims(json!({})), &Signer::hmac(SECRET))
}

/// A key without a name does not serve a token that names one.
#[tokio::test]
async fn e06_unnamed_keys_serve_unnamed_tokens() {
    let set = KeySet::new([hs256(), p256_key().with_key_id("b")]).unwrap();
    let app = app(JwtAuthLayer::new(set).clock(clock()));
    bearer(&app, &with_header(r#"{"alg":"HS256"}"#))
        .await
        .accepted();
    for kid in ["", "a", "b", "null"] {
        bearer(&app, &with_key_id(&json!(kid)))
            .await
            .refused(NoFittingKey);
    }
}

/// A cached header saves the parse, never the signature. A token with the header of a valid one,
/// byte for byte, still needs its key. There are more keys than cached headers.
#[tokio::test]
async fn e06_a_cached_header_does_not_replace_the_signature() {
    const COUNT: u8 = 40;
    let secret = |number: u8| [number | 0x80; 32];
    let keys = (1..=COUNT).map(|number| {
        let key = VerifyingKey::hs256(secret(number)).unwrap();
        key.with_key_id(format!("key {number}"))
    });
    let app = app(JwtAuthLayer::new(KeySet::new(keys).unwrap()).clock(clock()));
    let token = |named: u8, signed: u8, typ: &str| {
        let header = json!({ "alg": "HS256", "kid": format!("key {named}"), "typ": typ });
        forge(
            header.to_string(),
            claims(json!({})),
            &Signer::hmac(&secret(signed)),
        )
    };
    for _ in 0..2 {
        for named in 1..=COUNT {
            let other = named % COUNT + 1;
            bearer(&app, &token(named, other, "JWT"))
                .await
                .refused(BadSignature);
            bearer(&app, &token(named, named, "JWT")).await.accepted();
            bearer(&app, &token(named, other, "JWT"))
                .await
                .refused(BadSignature);
            // A second header of the same key, beside the one that is remembered.
            bearer(&app, &token(named, named, "at+jwt"))
                .await
                .accepted();
            bearer(&app, &token(named, other, "at+jwt"))
                .await
                .refused(BadSignature);
            bearer(&app, &token(named, named, "dpop+jwt"))
                .await
                .refused(WrongType);
        }
    }
    bearer(&app, &token(COUNT + 1, 1, "JWT"))
        .await
        .refused(NoFittingKey);
}

/// A header with an invalid signature is not cached as valid, nor an invalid header with a valid
/// signature.
#[test]
fn e06_only_good_headers_are_remembered() {
    let set = KeySet::new([hs256().with_key_id("a"), p256_key().with_key_id("b")]).unwrap();
    let verifier = Verifier::new(set).clock(clock());
    let header = |kid: &str| json!({ "alg": "HS256", "kid": kid, "x": 1 }).to_string();
    let token = |kid: &str, signer: &Signer| forge(header(kid), claims(json!({})), signer);
    let evil = Signer::hmac(EVIL_SECRET);
    let kind = |token: &str| {
        verifier
            .verify(token)
            .map(|_| ())
            .map_err(|error| error.kind())
    };
    for _ in 0..3 {
        assert_eq!(kind(&token("a", &evil)), Err(BadSignature));
        assert_eq!(kind(&token("b", &Signer::hmac(SECRET))), Err(NoFittingKey));
        let critical = with_header(r#"{"alg":"HS256","kid":"a","crit":["x"],"x":1}"#);
        assert_eq!(kind(&critical), Err(CriticalHeader));
        // Claims that are refused do not make the header a bad one, nor the next claims good ones.
        let expired = forge(
            header("a"),
            claims(json!({ "exp": 1, "iat": 1 })),
            &Signer::hmac(SECRET),
        );
        assert_eq!(kind(&expired), Err(Expired));
        assert_eq!(kind(&token("a", &Signer::hmac(SECRET))), Ok(()));
    }
}

#[tokio::test]
async fn e07_a_key_by_reference_is_the_same_key() {
    let key = hs256();
    let app = crate::support::app(JwtAuthLayer::new(&key).clock(clock()));
    bearer(&app, &good()).await.accepted();
    let set = KeySet::new([rsa_key(Algorithm::RS256)]).unwrap();
    let app = crate::support::app(JwtAuthLayer::new(&set).clock(clock()));
    bearer(&app, &good()).await.refused(NoFittingKey);
}
