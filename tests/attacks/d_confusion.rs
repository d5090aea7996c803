//! Keys used as keys of another type, algorithm or issuer.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::hmac::{HMAC_SHA256, HMAC_SHA384, HMAC_SHA512};
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair, RSA_PSS_SHA256};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde_json::{Value, json};
use tower_jwt_auth::keys::{
    Algorithm, JwksError, JwksOptions, KeyError, KeySet, SigningKey, SkipReason, VerifyingKey,
};
use tower_jwt_auth::{
    AuthErrorKind, Claims, JwtAuthLayer, TokenSource, TrustedIssuer, VerifyErrorKind::*,
};

use crate::support::{
    ED25519, K256, P256, P384, RSA, SECRET, Signer, app, base64url, bearer, certificate, claims,
    clock, der, ec_jwk, ed25519_key, forge, good, hs256, k256_key, layer, p256_key, p384_key, pem,
    rsa_jwk, rsa_key, send,
};

const HASHES: [(Algorithm, aws_lc_rs::hmac::Algorithm); 3] = [
    (Algorithm::HS256, HMAC_SHA256),
    (Algorithm::HS384, HMAC_SHA384),
    (Algorithm::HS512, HMAC_SHA512),
];

/// A text or encoding of a key, and what it is called.
type Encoding = (String, Vec<u8>);

fn spki<'a>(key: &'a impl AsDer<PublicKeyX509Der<'a>>) -> Vec<u8> {
    key.as_der().unwrap().as_ref().to_vec()
}

/// A text as files, environment variables and consoles pass it on.
fn handed_on(name: &str, text: &str) -> Vec<Encoding> {
    let bare = text.trim_end_matches('\n');
    let crlf = text.replace('\n', "\r\n");
    [
        ("", text.to_owned()),
        (" without its last line feed", bare.to_owned()),
        (" with CRLF", crlf.clone()),
        (" with CRLF but at its end", crlf.trim_end().to_owned()),
        (" with CR", text.replace('\n', "\r")),
        (" with CR but at its end", bare.replace('\n', "\r")),
        (" behind a space", format!(" {text}")),
        (" behind a line feed", format!("\n{text}")),
        (" behind a byte order mark", format!("\u{feff}{text}")),
        (
            " behind a mark, without its last line feed",
            format!("\u{feff}{bare}"),
        ),
        (" with two line feeds at its end", format!("{text}\n")),
        (" on one line", text.replace('\n', "")),
        (" on one line, by spaces", text.replace('\n', " ")),
        (
            " on one line, by spaces but at its end",
            bare.replace('\n', " "),
        ),
        (" on one line, by escapes", text.replace('\n', "\\n")),
        (" in quotes", format!("\"{bare}\"")),
        (" with a NUL at its end", format!("{text}\0")),
    ]
    .map(|(how, text)| (format!("{name}{how}"), text.into_bytes()))
    .into()
}

/// The three PEM texts of D01.
fn pem_texts() -> [(&'static str, String); 5] {
    let rsa = spki(RSA.public_key());
    let p256 = spki(P256.public_key());
    [
        ("RSA SPKI PEM", pem("PUBLIC KEY", &rsa)),
        (
            "PKCS#1 PEM",
            pem("RSA PUBLIC KEY", RSA.public_key().as_ref()),
        ),
        (
            "RSA X.509 PEM",
            pem("CERTIFICATE", &certificate(&rsa, &Signer::rs256())),
        ),
        ("EC SPKI PEM", pem("PUBLIC KEY", &p256)),
        (
            "EC X.509 PEM",
            pem("CERTIFICATE", &certificate(&p256, &Signer::es256())),
        ),
    ]
}

/// `ssh-keygen`'s line (RFC 4253 §6.6, RFC 5656 §3.1).
fn openssh(parts: &[&[u8]]) -> String {
    let name = str::from_utf8(parts[0]).unwrap();
    let field = |part: &&[u8]| {
        let length = u32::try_from(part.len()).unwrap().to_be_bytes();
        [&length, *part].concat()
    };
    let blob: Vec<u8> = parts.iter().flat_map(field).collect();
    format!(
        "{name} {} alice@example",
        base64_simd::STANDARD.encode_to_string(blob)
    )
}

/// The other encodings of D02, but for the bare modulus.
fn other_encodings() -> Vec<Encoding> {
    let (rsa, p256) = (spki(RSA.public_key()), spki(P256.public_key()));
    let pkcs1 = RSA.public_key().as_ref().to_vec();
    let x509 = certificate(&rsa, &Signer::rs256());
    let modulus = RSA.public_key().modulus();
    let n = [&[0], modulus.big_endian_without_leading_zero()].concat();
    let e = RSA.public_key().exponent();
    let lines = [
        openssh(&[b"ssh-rsa", e.big_endian_without_leading_zero(), &n]),
        openssh(&[
            b"ecdsa-sha2-nistp256",
            b"nistp256",
            P256.public_key().as_ref(),
        ]),
        openssh(&[b"ssh-ed25519", ED25519.public_key().as_ref()]),
    ];
    let jwks = [
        rsa_jwk(json!({})),
        rsa_jwk(json!({ "alg": "RS256", "use": "sig", "kid": "a" })),
        ec_jwk(&P256, "P-256", json!({})),
    ];

    let mut all = Vec::new();
    for (name, bytes) in [
        ("SPKI", rsa),
        ("EC SPKI", p256),
        ("PKCS#1", pkcs1),
        ("X.509", x509),
    ] {
        // The middle of a PEM text is what some consoles show.
        let lines = pem("X", &bytes);
        let lines: Vec<_> = lines
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        all.push((format!("{name} in base64"), lines.concat().into_bytes()));
        all.push((
            format!("{name} in base64, on lines"),
            lines.join("\n").into_bytes(),
        ));
        all.push((
            format!("{name} in base64url"),
            base64url(&bytes).into_bytes(),
        ));
        all.push((format!("{name} DER"), bytes));
    }
    for line in lines {
        let name = line.split(' ').next().unwrap().to_owned();
        all.push((
            format!("{name} and a line feed"),
            format!("{line}\n").into_bytes(),
        ));
        all.push((
            format!("{name} without comment"),
            line[..line.len() - 14].into(),
        ));
        all.push((name, line.into_bytes()));
    }
    for jwk in jwks {
        let value: Value = serde_json::from_str(&jwk).unwrap();
        let set = json!({ "keys": [value] });
        for (name, text) in [
            ("JWK", jwk.clone()),
            ("JWK and a line feed", format!("{jwk}\n")),
            ("JWK behind a space", format!(" {jwk}")),
            ("JWK behind a byte order mark", format!("\u{feff}{jwk}")),
            ("JWK, pretty", serde_json::to_string_pretty(&value).unwrap()),
            ("JWKS", set.to_string()),
            ("JWKS, pretty", serde_json::to_string_pretty(&set).unwrap()),
        ] {
            all.push((name.to_owned(), text.into_bytes()));
        }
    }
    all
}

/// The modulus alone, as bytes and as `n` of a JWK.
fn bare_modulus() -> [Encoding; 2] {
    let modulus = RSA.public_key().modulus();
    let bytes = modulus.big_endian_without_leading_zero();
    let text = base64url(bytes).into_bytes();
    [
        ("n".to_owned(), bytes.to_vec()),
        ("n in base64url".to_owned(), text),
    ]
}

/// Layers that trust the public keys above, parsed from every format, and what each one accepts.
fn public_key_layers() -> Vec<(Router, String)> {
    let sign = |algorithm: &str, signer: &Signer| {
        let header = json!({ "alg": algorithm, "kid": "a" });
        forge(header.to_string(), claims(json!({})), signer)
    };
    let [rs, es] = [
        sign("RS256", &Signer::rs256()),
        sign("ES256", &Signer::es256()),
    ];
    let mut layers = Vec::new();
    for (name, text) in pem_texts() {
        let (algorithm, good) = match name.starts_with("EC") {
            true => (Algorithm::ES256, &es),
            false => (Algorithm::RS256, &rs),
        };
        let key = VerifyingKey::from_pem(algorithm, text).unwrap();
        layers.push((JwtAuthLayer::new(key), good));
    }
    let jwk = rsa_jwk(json!({ "kid": "a" }));
    let jwks = KeySet::from_jwks(format!(r#"{{"keys":[{jwk}]}}"#))
        .unwrap()
        .keys;
    layers.push((
        JwtAuthLayer::new(VerifyingKey::from_jwk(&jwk).unwrap()),
        &rs,
    ));
    layers.push((JwtAuthLayer::new(jwks), &rs));
    let der = VerifyingKey::from_der(Algorithm::ES256, spki(P256.public_key())).unwrap();
    layers.push((JwtAuthLayer::new(der), &es));
    layers
        .into_iter()
        .map(|(layer, good)| (app(layer.clock(clock())), good.clone()))
        .collect()
}

/// No layer takes a MAC keyed by one of `encodings`, whatever the header calls it.
async fn no_mac_passes(encodings: &[Encoding]) {
    let payload = claims(json!({}));
    for (app, good) in public_key_layers() {
        bearer(&app, &good).await.accepted();
        for (_, secret) in encodings {
            for (algorithm, hash) in HASHES {
                let mac = Signer::hmac_with(hash, secret);
                let header = json!({ "alg": algorithm.name(), "kid": "a" }).to_string();
                bearer(&app, &forge(header, &payload, &mac))
                    .await
                    .refused(NoFittingKey);
            }
            let header = good.split('.').next().unwrap();
            let token =
                crate::support::forge_segments(header, &base64url(&payload), &Signer::hmac(secret));
            bearer(&app, &token).await.refused(BadSignature);
        }
    }
}

#[tokio::test]
async fn d01_macs_keyed_by_the_pem_of_the_public_key() {
    let texts = pem_texts();
    let encodings = texts.iter().flat_map(|(name, text)| handed_on(name, text));
    no_mac_passes(&encodings.collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn d02_macs_keyed_by_other_encodings_of_the_public_key() {
    no_mac_passes(&other_encodings()).await;
    no_mac_passes(&bare_modulus()).await;
}

/// A set that holds a secret beside the public key, even under the same name.
#[tokio::test]
async fn d02_macs_in_a_set_of_both_kinds() {
    let set = KeySet::new([
        rsa_key(Algorithm::RS256).with_key_id("a"),
        hs256().with_key_id("a"),
        p256_key().with_key_id("b"),
    ]);
    let app = app(JwtAuthLayer::new(set.unwrap()).clock(clock()));
    let token = |algorithm: &str, kid: &str, signer: &Signer| {
        let header = json!({ "alg": algorithm, "kid": kid }).to_string();
        forge(header, claims(json!({})), signer)
    };
    let (hmac, rsa) = (Signer::hmac(SECRET), Signer::rs256());
    bearer(&app, &token("RS256", "a", &rsa)).await.accepted();
    bearer(&app, &token("HS256", "a", &hmac)).await.accepted();
    bearer(&app, &token("ES256", "b", &Signer::es256()))
        .await
        .accepted();
    // Each by the other's name.
    bearer(&app, &token("RS256", "a", &hmac))
        .await
        .refused(BadSignature);
    bearer(&app, &token("HS256", "a", &rsa))
        .await
        .refused(BadSignature);
    bearer(&app, &token("HS256", "b", &hmac))
        .await
        .refused(NoFittingKey);
    bearer(&app, &token("ES256", "a", &Signer::es256()))
        .await
        .refused(NoFittingKey);
    let texts = pem_texts();
    let pems = texts.iter().flat_map(|(name, text)| handed_on(name, text));
    for (_, secret) in pems.chain(other_encodings()).chain(bare_modulus()) {
        let mac = Signer::hmac(&secret);
        bearer(&app, &token("HS256", "a", &mac))
            .await
            .refused(BadSignature);
        bearer(&app, &token("HS256", "b", &mac))
            .await
            .refused(NoFittingKey);
    }
}

#[tokio::test]
async fn d04_one_key_one_algorithm() {
    let by_rsa = |algorithm| app(JwtAuthLayer::new(rsa_key(algorithm)).clock(clock()));
    let by = |key: VerifyingKey| app(JwtAuthLayer::new(key).clock(clock()));
    let apps = [
        ("RS256", by_rsa(Algorithm::RS256), Signer::rs256()),
        (
            "RS384",
            by_rsa(Algorithm::RS384),
            Signer::rsa(&aws_lc_rs::signature::RSA_PKCS1_SHA384),
        ),
        (
            "PS256",
            by_rsa(Algorithm::PS256),
            Signer::rsa(&RSA_PSS_SHA256),
        ),
        ("ES256", by(p256_key()), Signer::es256()),
        ("ES384", by(p384_key()), Signer::es384()),
        ("ES256K", by(k256_key()), Signer::es256k()),
        (
            "EdDSA",
            by(ed25519_key(Algorithm::EdDSA)),
            Signer::ed25519(),
        ),
        (
            "Ed25519",
            by(ed25519_key(Algorithm::Ed25519)),
            Signer::ed25519(),
        ),
    ];
    for (own, app, _) in &apps {
        for (signed, _, signer) in &apps {
            for (said, _, _) in &apps {
                let header = json!({ "alg": said }).to_string();
                let answer = bearer(app, &forge(header, claims(json!({})), signer)).await;
                // EdDSA and Ed25519 are two names of one signature, and still two algorithms.
                let ed = |name: &str| name.starts_with("Ed");
                if said != own {
                    answer.refused(NoFittingKey);
                } else if signed == own || ed(own) && ed(signed) {
                    answer.accepted();
                } else {
                    answer.refused(BadSignature);
                }
            }
        }
    }
}

#[tokio::test]
async fn d04_ed25519_under_both_names_by_configuration() {
    let token = |algorithm: &str| {
        let header = json!({ "alg": algorithm, "kid": "a" }).to_string();
        forge(header, claims(json!({})), &Signer::ed25519())
    };
    let [old, new] = [Algorithm::EdDSA, Algorithm::Ed25519]
        .map(|algorithm| ed25519_key(algorithm).with_key_id("a"));
    let app_of = |set: KeySet| app(JwtAuthLayer::new(set).clock(clock()));
    let both = app_of(KeySet::new([old.clone(), new]).unwrap());
    let one = app_of(KeySet::new([old]).unwrap());
    bearer(&both, &token("EdDSA")).await.accepted();
    bearer(&both, &token("Ed25519")).await.accepted();
    bearer(&one, &token("EdDSA")).await.accepted();
    bearer(&one, &token("Ed25519")).await.refused(NoFittingKey);
    for app in [&both, &one] {
        for algorithm in ["Ed448", "ed25519", "EDDSA", "ES256"] {
            bearer(app, &token(algorithm)).await.refused(NoFittingKey);
        }
    }
}

#[test]
fn d04_a_point_of_another_curve_is_no_key() {
    let curves: [(&str, &EcdsaKeyPair, Algorithm); 3] = [
        ("P-256", &P256, Algorithm::ES256),
        ("P-384", &P384, Algorithm::ES384),
        ("secp256k1", &K256, Algorithm::ES256K),
    ];
    for (curve, key, own) in curves {
        let jwk = ec_jwk(key, curve, json!({}));
        let der = spki(key.public_key());
        for (other, _, algorithm) in curves {
            let by_jwk = VerifyingKey::from_jwk_for(algorithm, &jwk);
            let by_der = VerifyingKey::from_der(algorithm, &der);
            let by_pem = VerifyingKey::from_pem(algorithm, pem("PUBLIC KEY", &der));
            // The JWK names another curve than that of the point.
            let lying = VerifyingKey::from_jwk(ec_jwk(key, other, json!({})));
            if algorithm == own {
                assert!(by_jwk.is_ok() && lying.is_ok(), "{own}");
                assert!(by_der.is_ok() && by_pem.is_ok(), "{own}");
            } else {
                assert_eq!(
                    by_jwk.unwrap_err(),
                    KeyError::AlgorithmMismatch,
                    "{own} {algorithm}"
                );
                assert!(by_der.is_err() && by_pem.is_err(), "{own} {algorithm}");
                assert!(lying.is_err(), "{curve} as {other}");
            }
        }
        for algorithm in [Algorithm::RS256, Algorithm::EdDSA, Algorithm::HS256] {
            assert!(VerifyingKey::from_jwk_for(algorithm, &jwk).is_err());
            assert!(VerifyingKey::from_der(algorithm, &der).is_err());
        }
    }
}

/// What every constructor that takes a secret says to this one.
fn verdicts(algorithm: Algorithm, secret: &[u8]) -> [(&'static str, Option<KeyError>); 8] {
    let jwk = json!({ "kty": "oct", "alg": algorithm.name(), "k": base64url(secret) }).to_string();
    let short = match algorithm {
        Algorithm::HS384 => VerifyingKey::hs384(secret),
        Algorithm::HS512 => VerifyingKey::hs512(secret),
        _ => VerifyingKey::hs256(secret),
    };
    let good = json!({ "kty": "oct", "alg": "HS512", "k": base64url([7; 64]), "kid": "good" });
    let document = format!(r#"{{"keys":[{jwk},{good}]}}"#);
    let jwks = JwksOptions::new().allow_secrets().read(&document).unwrap();
    let skipped = jwks.skipped.first().map(|key| match key.reason {
        SkipReason::Key(error) => error,
        _ => KeyError::Unsupported,
    });
    let decoding = DecodingKey::from_secret(secret);
    let encoding = EncodingKey::from_secret(secret);
    [
        ("hs*", short.err()),
        (
            "from_secret",
            VerifyingKey::from_secret(algorithm, secret).err(),
        ),
        ("from_jwk", VerifyingKey::from_jwk(&jwk).err()),
        ("JwksOptions", skipped),
        (
            "from_decoding_key",
            VerifyingKey::from_decoding_key(algorithm, &decoding).err(),
        ),
        (
            "SigningKey::from_secret",
            SigningKey::from_secret(algorithm, secret).err(),
        ),
        ("SigningKey::from_jwk", SigningKey::from_jwk(&jwk).err()),
        (
            "SigningKey::from_encoding_key",
            SigningKey::from_encoding_key(algorithm, &encoding).err(),
        ),
    ]
}

#[track_caller]
fn all_say(name: &str, secret: &[u8], expected: impl Fn(Algorithm) -> Option<KeyError>) {
    for (algorithm, _) in HASHES {
        for (constructor, verdict) in verdicts(algorithm, secret) {
            assert_eq!(
                verdict,
                expected(algorithm),
                "{constructor} {algorithm} of {name}"
            );
        }
    }
    let signing = SigningKey::hs256(secret).err();
    assert_eq!(
        signing,
        expected(Algorithm::HS256),
        "SigningKey::hs256 of {name}"
    );
}

#[test]
fn d05_the_text_of_a_key_is_no_secret() {
    all_say("random bytes", &[0xa5; 64], |_| None);
    let pkcs8: Pkcs8V1Der<'_> = RSA.as_der().unwrap();
    let private = pem("PRIVATE KEY", pkcs8.as_ref());
    let texts = pem_texts();
    let pems = texts
        .iter()
        .flat_map(|(name, text)| handed_on(name, text))
        .chain(handed_on("PKCS#8 PEM", &private))
        .chain([("PKCS#8 DER".to_owned(), pkcs8.as_ref().to_vec())]);
    for (name, secret) in pems.chain(other_encodings()) {
        all_say(&name, &secret, |_| Some(KeyError::SecretIsKey));
    }
}

/// Keys as other tools write them, and as they are quoted on their way.
fn disguises() -> Vec<Encoding> {
    let mut all: Vec<Encoding> = Vec::new();
    let mut add = |name: &str, text: String| all.push((name.to_owned(), text.into_bytes()));
    let ec = ec_jwk(&P256, "P-256", json!({ "kid": "a" }));
    let rsa = rsa_jwk(json!({ "alg": "RS256" }));
    for (kind, jwk) in [("EC", &ec), ("RSA", &rsa)] {
        let without = |name: &str| {
            let mut jwk: Value = serde_json::from_str(jwk).unwrap();
            jwk.as_object_mut().unwrap().remove(name);
            jwk.to_string()
        };
        let unquoted = ["kty", "crv", "x", "y", "n", "e", "kid", "alg"]
            .iter()
            .fold(jwk.clone(), |text, name| {
                text.replace(&format!("\"{name}\":"), &format!("{name}: "))
            });
        for (name, text) in [
            ("in single quotes", jwk.replace('"', "'")),
            ("in JavaScript", unquoted.clone()),
            (
                "in YAML",
                unquoted.replace(['{', '}', '"'], "").replace(',', "\n"),
            ),
            ("in Ruby", jwk.replace("\":", "\" => ")),
            (
                "with a name in escapes",
                jwk.replace("\"kty", "\"\\u006bty"),
            ),
            (
                "with names in escapes",
                jwk.replace("\"k", "\"\\u006B")
                    .replace("\"e\"", "\"\\u0065\""),
            ),
            (
                "with JavaScript's escapes",
                jwk.replace("\"kty", "\"\\x6bty"),
            ),
            ("as a JSON text", jwk.replace('"', "\\\"")),
            ("as a JSON text within one", jwk.replace('"', "\\\\\\\"")),
            ("in HTML", jwk.replace('"', "&quot;")),
            ("in a URL", jwk.replace('"', "%22")),
            ("without kty", without("kty")),
            (
                "without kty, pretty",
                without("kty").replace("\":", "\" :\n"),
            ),
            (
                "without kty, in single quotes",
                without("kty").replace('"', "'"),
            ),
            (
                "behind mark and space",
                format!("\u{feff} \n{}", jwk.replace('"', "'")),
            ),
            (
                "twice in base64",
                base64_simd::STANDARD.encode_to_string(base64url(jwk)),
            ),
        ] {
            add(&format!("{kind} JWK {name}"), text);
        }
    }
    let certified = json!({ "x5c": ["MIIB"], "use": "sig", "kid": "of a certificate" });
    add("certificates of a JWK", certified.to_string());
    let n = base64_simd::STANDARD
        .encode_to_string(RSA.public_key().modulus().big_endian_without_leading_zero());
    let value = format!("<Modulus>{n}</Modulus><Exponent>AQAB</Exponent>");
    add("XML", format!("<RSAKeyValue>{value}</RSAKeyValue>"));
    add("XML of another order", value);
    add(
        "XML Signature",
        format!("<ds:RSAKeyValue xmlns:ds=\"x\"><ds:Modulus>{n}</ds:Modulus></ds:RSAKeyValue>"),
    );
    add(
        "XML of a curve",
        "<ECKeyValue><NamedCurve URI=\"urn:oid:1.2.840.10045.3.1.7\"/></ECKeyValue>".into(),
    );
    add(
        "a certificate in XML",
        "<X509Data><X509Certificate>MIIB</X509Certificate></X509Data>".into(),
    );
    let [(_, pem), ..] = pem_texts();
    add("PEM in lower case", pem.to_lowercase());
    add("OpenPGP", pem.replace("PUBLIC KEY", "PGP PUBLIC KEY BLOCK"));
    add(
        "PuTTY",
        "PuTTY-User-Key-File-3: ssh-ed448\nEncryption: none\nComment: me".into(),
    );
    let hex = |bytes: &[u8], between: &str| {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<Vec<_>>().join(between)
    };
    let der = spki(P256.public_key());
    for (name, text) in [
        ("hex", hex(&der, "")),
        ("hex by colons", hex(&der, ":")),
        ("hex by spaces", hex(&der, " ")),
        ("hex by commas", format!("0x{}", hex(&der, ", 0x"))),
        ("hex in escapes", format!("\\x{}", hex(&der, "\\x"))),
        (
            "hex in base64",
            base64_simd::STANDARD.encode_to_string(hex(&der, "")),
        ),
        (
            "base64 in hex",
            hex(base64_simd::STANDARD.encode_to_string(&der).as_bytes(), ""),
        ),
        (
            "openssl's text",
            format!("Public-Key: (256 bit)\npub:\n    {}", hex(&der[26..], ":")),
        ),
        (
            "openssl's modulus",
            format!("Modulus={}", hex(&[0xa5; 256], "").to_uppercase()),
        ),
    ] {
        add(name, text);
    }
    let marked = [b"\xef\xbb\xbf \n", &*der, b"\0\n"].concat();
    all.push(("DER behind a byte order mark".into(), marked));
    all
}

#[test]
fn d05_a_key_in_disguise_is_no_secret() {
    for (name, secret) in disguises() {
        let verdict = VerifyingKey::hs256(&secret).err();
        assert_eq!(verdict, Some(KeyError::SecretIsKey), "{name}");
    }
}

/// A point with both coordinates shows by its equation what it is, whatever it is wrapped in.
#[test]
fn d05_an_uncompressed_point_is_no_secret() {
    let p521 = SigningKey::generate(Algorithm::ES512).unwrap();
    let jwk: Value = serde_json::from_str(&p521.verifying_key().to_jwk().unwrap()).unwrap();
    let decode = |name: &str| {
        let text = jwk[name].as_str().unwrap();
        base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).unwrap()
    };
    let p521 = [&[4][..], &decode("x"), &decode("y")].concat();
    let points = [
        P256.public_key().as_ref(),
        K256.public_key().as_ref(),
        P384.public_key().as_ref(),
        &p521,
    ];
    for point in points {
        let hex: String = point.iter().map(|byte| format!("{byte:02X}")).collect();
        let hybrid = [&[6 | (point.last().unwrap() & 1)], &point[1..]].concat();
        for secret in [
            point,
            &point[1..],
            &hybrid,
            hex.as_bytes(),
            base64url(point).as_bytes(),
            base64_simd::STANDARD.encode_to_string(point).as_bytes(),
        ] {
            all_say("a point", secret, |_| Some(KeyError::SecretIsKey));
        }
        // A point on no curve is as good as any other bytes.
        for at in [1, point.len() - 1] {
            let mut other = point.to_vec();
            other[at] ^= 1;
            all_say("no point", &other, |_| None);
        }
        // One coordinate is on the curve half of the time, as random bytes are.
        let compressed = [&[2], &point[1..=point.len() / 2]].concat();
        assert!(VerifyingKey::hs256(&compressed).is_ok());
    }
}

/// A generator of numbers that are random enough to look like a secret, and the same each time.
fn random_bytes(state: &mut u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend((word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// As bytes, and as the texts that tools write them in. `SECRETS` sets how many of each length.
#[test]
fn d05_random_secrets_are_never_taken_for_keys() {
    let secrets = std::env::var("SECRETS").map_or(100, |count| count.parse().unwrap());
    let mut state = 14;
    for length in 32..=133 {
        for _ in 0..secrets {
            let bytes = random_bytes(&mut state, length);
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            for secret in [
                &*bytes,
                hex.as_bytes(),
                base64url(&bytes).as_bytes(),
                base64_simd::STANDARD.encode_to_string(&bytes).as_bytes(),
            ] {
                let verdict = VerifyingKey::hs256(secret).err();
                assert_eq!(verdict, None, "{}", String::from_utf8_lossy(secret));
            }
        }
    }
}

/// Nor bytes that begin as DER, a point or a text of a key do.
#[test]
fn d05_secrets_that_begin_like_a_key() {
    let mut state = 24;
    for start in [
        &[0x30][..],
        &[0x30, 0x3e],
        &[0x30, 0x81, 0x80],
        &[4],
        b"{\"",
        b"ssh-",
        b"<",
        b"-----",
    ] {
        for length in (32..=133).chain([64, 65, 97, 133].repeat(50)) {
            let mut secret = random_bytes(&mut state, length);
            secret[..start.len()].copy_from_slice(start);
            let verdict = VerifyingKey::hs256(&secret).err();
            assert_eq!(verdict, None, "{}", String::from_utf8_lossy(&secret));
        }
    }
    for secret in [
        "the key to this house is {n} and {e}, not a number",
        "x: 1, y: 2; what is the modulus of the exponent?",
        "'keys', 'kid', and 'use' are words in a list of words",
        "public key, private key: both begin with a p, correct?",
        r#"{"n":"this is an object of JSON, and it is no key"}"#,
    ] {
        assert_eq!(VerifyingKey::hs256(secret).err(), None, "{secret}");
    }
}

/// Nothing marks a bare modulus: it is as long and as random as a good secret. Only the binding of
/// a key to its algorithm (D02) prevents its use as a secret.
#[test]
fn d05_a_bare_modulus_cannot_be_told_from_a_secret() {
    for (name, secret) in bare_modulus() {
        all_say(&name, &secret, |_| None);
    }
}

/// What `openssl` writes before a key is text of any encoding.
#[test]
fn d05_pem_behind_or_before_other_bytes() {
    let [(_, text), ..] = pem_texts();
    let text = text.as_bytes();
    for (name, secret) in [
        ("a comment", [b"# our key\n", text].concat()),
        (
            "bag attributes",
            [b"Bag Attributes\n    friendlyName: us\n", text].concat(),
        ),
        (
            "a comment in UTF-8",
            ["# Schl\u{fc}ssel\n".as_bytes(), text].concat(),
        ),
        ("a comment in Latin-1", [b"# Schl\xfcssel\n", text].concat()),
        ("a byte that is no text", [text, b"\xff"].concat()),
    ] {
        all_say(name, &secret, |_| Some(KeyError::SecretIsKey));
    }
}

#[tokio::test]
async fn d06_empty_secrets() {
    all_say("random bytes", &[0xa5; 64], |_| None);
    for secret in [
        &b""[..],
        b" ",
        b"\n",
        &[b' '; 64],
        &[b'\t'; 64],
        &[b'\n'; 64],
        &b"\r\n".repeat(32),
        &b" \t\r\n\x0c\0".repeat(16),
    ] {
        all_say(&format!("{secret:?}"), secret, |_| {
            Some(KeyError::EmptySecret)
        });
    }
    // A buffer that was never filled is not empty, and the error says so.
    for length in [1, 31, 32, 64, 200] {
        for (constructor, verdict) in verdicts(Algorithm::HS256, &vec![0; length]) {
            let text = verdict.map(|error| error.to_string()).unwrap_or_default();
            assert!(text.contains("zero"), "{constructor} {length}: {text}");
        }
    }
    // `k` left out, or of no type.
    for k in [json!(null), json!(0), json!([]), json!({})] {
        let jwk = json!({ "kty": "oct", "alg": "HS256", "k": k }).to_string();
        assert!(VerifyingKey::from_jwk(&jwk).is_err(), "{jwk}");
    }
    let jwk = json!({ "kty": "oct", "alg": "HS256" }).to_string();
    assert_eq!(
        VerifyingKey::from_jwk(&jwk).unwrap_err(),
        KeyError::InvalidMember("k")
    );

    // The other side: no layer falls back to such a secret.
    let app = app(layer());
    bearer(&app, &good()).await.accepted();
    for secret in [
        &b""[..],
        b" ",
        b"\0",
        &[0; 32],
        &[0; 64],
        b"null",
        b"undefined",
        b"secret",
    ] {
        let token = forge(
            r#"{"alg":"HS256"}"#,
            claims(json!({})),
            &Signer::hmac(secret),
        );
        bearer(&app, &token).await.refused(BadSignature);
    }
}

#[tokio::test]
async fn d07_short_secrets() {
    for (algorithm, hash, needed) in [
        (Algorithm::HS256, HMAC_SHA256, 32),
        (Algorithm::HS384, HMAC_SHA384, 48),
        (Algorithm::HS512, HMAC_SHA512, 64),
    ] {
        for length in [1, 16, 31, needed - 1] {
            for (constructor, verdict) in verdicts(algorithm, &vec![0xa5; length]) {
                let short = KeyError::ShortSecret { algorithm, needed };
                assert_eq!(verdict, Some(short), "{constructor} {algorithm} {length}");
            }
        }
        for length in [needed, needed + 1, 200] {
            let secret = vec![0xa5; length];
            for (constructor, verdict) in verdicts(algorithm, &secret) {
                assert_eq!(verdict, None, "{constructor} {algorithm} {length}");
            }
            let key = VerifyingKey::from_secret(algorithm, &secret).unwrap();
            let app = app(JwtAuthLayer::new(key).clock(clock()));
            let header = json!({ "alg": algorithm.name() }).to_string();
            let sign =
                |secret: &[u8]| forge(&header, claims(json!({})), &Signer::hmac_with(hash, secret));
            bearer(&app, &sign(&secret)).await.accepted();
            bearer(&app, &sign(&secret[1..]))
                .await
                .refused(BadSignature);
        }
    }
    assert!(VerifyingKey::from_secret(Algorithm::RS256, [0xa5; 64]).is_err());
}

#[tokio::test]
async fn d08_no_issuer_vouches_for_another() {
    const OURS: &str = "https://id.example.com";
    const THEIRS: &str = "https://id.partner.example";
    let set = |key: VerifyingKey, kid: &str| KeySet::new([key.with_key_id(kid)]).unwrap();
    let app = app(JwtAuthLayer::new([
        TrustedIssuer::new(OURS, set(rsa_key(Algorithm::RS256), "ours")),
        TrustedIssuer::new(THEIRS, set(p256_key(), "theirs")),
        TrustedIssuer::new("lone", hs256()),
    ])
    .clock(clock()));
    let token = |issuer: Value, algorithm: &str, kid: &str, signer: &Signer| {
        let header = json!({ "alg": algorithm, "kid": kid }).to_string();
        forge(header, claims(json!({ "iss": issuer })), signer)
    };
    let keys = [
        (OURS, "RS256", "ours", Signer::rs256()),
        (THEIRS, "ES256", "theirs", Signer::es256()),
        ("lone", "HS256", "any", Signer::hmac(SECRET)),
    ];
    for (home, algorithm, kid, signer) in &keys {
        for (issuer, ..) in &keys {
            let answer = bearer(&app, &token(json!(issuer), algorithm, kid, signer)).await;
            if issuer == home {
                answer.accepted();
            } else {
                answer.refused(NoFittingKey);
            }
        }
        // Nearly the issuer's name is another name.
        for issuer in [
            "",
            " ",
            "https://id.example.com/",
            "https://ID.example.com",
            "HTTPS://id.example.com",
            "https://id.example.com\0",
            " https://id.example.com",
            "https://id.example.com ",
            "https://id.example.com.evil.example",
            "id.example.com",
            "https://evil.example",
            "*",
        ] {
            bearer(&app, &token(json!(issuer), algorithm, kid, signer))
                .await
                .refused(UnknownIssuer);
        }
        for issuer in [json!([home]), json!({ "url": home }), json!(0)] {
            bearer(&app, &token(issuer, algorithm, kid, signer))
                .await
                .refused(MalformedClaims);
        }
    }
}

/// The layer of one tenant's routes within the layer of the whole service.
#[tokio::test]
async fn d08_the_nearest_layer_decides() {
    const GLOBAL: &[u8] = b"a secret of the whole service 32";
    let global = JwtAuthLayer::new(VerifyingKey::hs256(GLOBAL).unwrap())
        .clock(clock())
        .sources([TokenSource::header("x-global")]);
    let required = get(async |Claims(claims): Claims<Value>| claims.to_string());
    let optional = get(async |claims: Option<Claims<Value>>| match claims {
        Some(Claims(claims)) => claims.to_string(),
        None => "nobody".to_owned(),
    });
    let app = Router::new()
        .route("/required", required.clone().layer(layer()))
        .route("/optional", optional.layer(layer().optional()))
        .route("/global", required)
        .layer(global);
    let sign = |secret: &[u8], subject: &str| {
        let payload = claims(json!({ "sub": subject }));
        forge(r#"{"alg":"HS256"}"#, payload, &Signer::hmac(secret))
    };
    let (outer, inner) = (sign(GLOBAL, "operator"), sign(SECRET, "tenant"));
    let ask = async |path: &str, bearer: Option<&str>| {
        let mut request = Request::get(path).header("x-global", &outer);
        if let Some(token) = bearer {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        send(&app, request.body(Body::empty()).unwrap()).await
    };
    assert_eq!(ask("/global", None).await.accepted()["sub"], "operator");
    for path in ["/required", "/optional"] {
        assert_eq!(ask(path, Some(&inner)).await.accepted()["sub"], "tenant");
        // The service's own token opens no tenant's route.
        ask(path, Some(&outer)).await.refused(BadSignature);
    }
    let answer = ask("/required", None).await;
    assert_eq!(answer.kind(), Some(AuthErrorKind::MissingToken));
    assert_eq!(ask("/optional", None).await.body, "nobody");
}

/// A DER text that is only nearly one is still the text of a key; random bytes are not.
#[test]
fn d05_der_of_any_key() {
    let sequence = |elements: &[&[u8]]| der(0x30, &elements.concat());
    let number = |length: usize| der(0x02, &vec![0x41; length]);
    let key = sequence(&[&number(200), &number(3)]);
    all_say("PKCS#1 of odd numbers", &key, |_| {
        Some(KeyError::SecretIsKey)
    });
    let mut broken = key;
    broken[0] = 0x31;
    all_say("another tag", &broken, |_| None);
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
