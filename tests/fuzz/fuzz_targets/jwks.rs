//! Parses any bytes as key documents: JWKS, JWK, PEM and DER.
//!
//! Accepted keys satisfy the rules of the crate, written out over `serde_json::Value`, and skipped
//! keys are reported. Keys of a document verify the tokens that `jsonwebtoken::decode` accepts with
//! them, and no others.
#![no_main]

use std::collections::HashSet;

use arbitrary::Unstructured;
use jsonwebtoken::{DecodingKey, Validation};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tower_jwt_auth::keys::{
    Algorithm, JwksError, JwksOptions, KeyError, KeySet, SigningKey, SkipReason, SkippedKey,
    VerifyingKey,
};
use tower_jwt_auth::{Verifier, clock::ManualClock};
use tower_jwt_auth_fuzz::json::Json;
use tower_jwt_auth_fuzz::tokens::decode;
use tower_jwt_auth_fuzz::writing::key_set;
use tower_jwt_auth_fuzz::{count, note};

const NAMES: [&str; 15] = [
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
    "ES384", "ES512", "ES256K", "EdDSA", "Ed25519",
];

/// The members of a key that are read; others may come as often as they like.
const KNOWN: [&str; 17] = [
    "kty", "crv", "alg", "kid", "use", "key_ops", "k", "n", "e", "x", "y", "d", "p", "q", "dp",
    "dq", "qi",
];

struct Setup {
    options: JwksOptions,
    rsa: &'static str,
    ed25519: &'static str,
    secrets: bool,
}

fn setups() -> [Setup; 3] {
    let new = JwksOptions::new();
    let setup = |options, rsa, ed25519, secrets| Setup {
        options,
        rsa,
        ed25519,
        secrets,
    };
    let others = new
        .rsa_algorithm(Algorithm::PS256)
        .ed25519_algorithm(Algorithm::Ed25519);
    [
        setup(new, "RS256", "EdDSA", false),
        setup(new.allow_secrets(), "RS256", "EdDSA", true),
        setup(others, "PS256", "Ed25519", false),
    ]
}

/// The algorithm that a key says it is for; `None` if kty, crv and alg do not agree.
fn algorithm<'a>(jwk: &'a Value, rsa: &'a str, ed25519: &'a str) -> Option<&'a str> {
    let text = |name: &str| jwk.get(name).filter(|value| !value.is_null());
    let alg = match text("alg") {
        Some(alg) => Some(alg.as_str()?),
        None => None,
    };
    let fitting: &[&str] = match (text("kty")?.as_str()?, text("crv").and_then(Value::as_str)) {
        ("oct", _) => &["HS256", "HS384", "HS512"],
        ("RSA", _) => &[rsa, "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
        ("EC", Some("P-256")) => &["ES256"],
        ("EC", Some("P-384")) => &["ES384"],
        ("EC", Some("P-521")) => &["ES512"],
        ("EC", Some("secp256k1")) => &["ES256K"],
        ("OKP", Some("Ed25519")) => &[ed25519, "EdDSA", "Ed25519"],
        _ => return None,
    };
    match alg {
        Some(alg) => fitting.contains(&alg).then_some(alg),
        None if fitting[0] == "HS256" => None,
        None => Some(fitting[0]),
    }
}

/// Whether a key holds private members.
fn is_secret(jwk: &Value) -> bool {
    let holds = |name: &&str| !jwk[*name].is_null();
    jwk["kty"] == "oct" || ["k", "d", "p", "q", "dp", "dq", "qi"].iter().any(holds)
}

/// What verifies, as the numbers that it is.
fn material(jwk: &Value, name: Option<&str>) -> Vec<Vec<u8>> {
    let bytes = |name: &str| jwk[name].as_str().and_then(decode).unwrap_or_default();
    let number = |name: &str| {
        let bytes = bytes(name);
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes[zeros..].to_vec()
    };
    match name {
        Some("HS256" | "HS384" | "HS512") => {
            // HMAC fills a secret up with zeros to a block of its hash (RFC 2104 §2).
            let block = if name == Some("HS256") { 64 } else { 128 };
            let mut secret = bytes("k");
            while secret.len() <= block && secret.last() == Some(&0) {
                secret.pop();
            }
            vec![secret]
        }
        Some("EdDSA" | "Ed25519") => vec![bytes("x")],
        Some(name) if name.starts_with("ES") => vec![bytes("x"), bytes("y")],
        _ => vec![number("n"), number("e")],
    }
}

/// What must hold for a key that is accepted.
fn is_sound(jwk: &Value, name: &str, operation: &str) -> bool {
    let bytes = |name: &str| decode(jwk.get(name)?.as_str()?);
    let length = |name: &str| bytes(name).map(|bytes| bytes.len());
    let for_signatures = jwk["use"].is_null() || jwk["use"] == "sig";
    let allowed = match &jwk["key_ops"] {
        Value::Null => true,
        Value::Array(all) => {
            all.iter().all(Value::is_string) && all.iter().any(|one| one == operation)
        }
        _ => false,
    };
    let material = match name {
        "HS256" => length("k") >= Some(32),
        "HS384" => length("k") >= Some(48),
        "HS512" => length("k") >= Some(64),
        "ES256" | "ES256K" => length("x") == Some(32) && length("y") == Some(32),
        "ES384" => length("x") == Some(48) && length("y") == Some(48),
        "ES512" => length("x") == Some(66) && length("y") == Some(66),
        "EdDSA" | "Ed25519" => length("x") == Some(32),
        _ => bytes("n")
            .zip(bytes("e"))
            .is_some_and(|(n, e)| is_sound_rsa(&n, &e)),
    };
    let texts = [
        "kid", "crv", "k", "n", "e", "x", "y", "d", "p", "q", "dp", "dq", "qi",
    ]
    .iter()
    .all(|name| jwk[name].is_null() || jwk[name].is_string());
    for_signatures && allowed && material && texts
}

fn is_sound_rsa(n: &[u8], e: &[u8]) -> bool {
    let digits = |bytes: &[u8]| {
        let binary: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
        binary.trim_start_matches('0').len()
    };
    (2048..=8192).contains(&digits(n))
        && (2..=33).contains(&digits(e))
        && e.last().is_some_and(|last| last % 2 == 1)
}

/// An object with one array `keys`, of what `serde_json::Value` can hold.
fn is_jwks(json: &str, value: &Option<Value>) -> bool {
    let Some(Json::Object(members)) = Json::parse(json) else {
        return false;
    };
    let mut all = members
        .iter()
        .filter(|(name, _)| name.as_deref() == Some("keys"));
    let keys = match (all.next(), all.next()) {
        (Some((_, keys)), None) => keys,
        _ => return false,
    };
    matches!(keys, Json::Array(_)) && value.is_some()
}

/// Whether a key of a set has a member twice, which `serde_json::Value` does not show.
fn has_member_twice(json: &str, index: usize) -> bool {
    let Some(Json::Object(members)) = Json::parse(json) else {
        return false;
    };
    let keys = members.iter().find_map(|(name, keys)| match keys {
        Json::Array(keys) if name.as_deref() == Some("keys") => Some(keys),
        _ => None,
    });
    let Some(Json::Object(members)) = keys.and_then(|keys| keys.get(index)) else {
        return false;
    };
    let mut names = HashSet::new();
    members
        .iter()
        .any(|(name, _)| KNOWN.contains(&name.as_deref().unwrap_or("")) && !names.insert(name))
}

fn document(json: &str) {
    let value = serde_json::from_str::<Value>(json).ok();
    let is_jwks = is_jwks(json, &value);
    for setup in setups() {
        let read = setup.options.read(json);
        let (accepted, skipped) = match &read {
            Ok(jwks) => (jwks.keys.iter().collect(), &jwks.skipped),
            Err(JwksError::NoUsableKey(skipped)) => (Vec::new(), skipped),
            Err(_) => {
                assert!(!is_jwks, "refused, and is a set");
                count("documents", "no set");
                continue;
            }
        };
        count(
            "documents",
            match (accepted.len(), skipped.len()) {
                (0, _) => "no usable key",
                (_, 0) => "all keys accepted",
                _ => "some keys accepted",
            },
        );
        let Some(value) = &value else {
            // Members beside the keys are not parsed into a value.
            note(
                "accepted",
                "a set with a member that serde_json::Value cannot hold",
                || json.into(),
            );
            return;
        };
        assert!(is_jwks, "accepted, and is no set");
        let documented = value["keys"].as_array().unwrap();
        assert_eq!(accepted.is_empty(), read.is_err());
        // Keys that share a name stay in the set.
        let left_out: HashSet<_> = skipped
            .iter()
            .filter(|key| key.reason != SkipReason::Duplicate)
            .map(|key| key.index)
            .collect();
        assert!(accepted.len() + left_out.len() <= documented.len());
        assert!(skipped.is_sorted_by(|one, next| one.index < next.index));
        if !setup.secrets && setup.rsa == "RS256" {
            let shorthand = KeySet::from_jwks(json).map(|jwks| jwks.skipped);
            assert_eq!(
                shorthand,
                read.as_ref()
                    .map(|jwks| jwks.skipped.clone())
                    .map_err(Clone::clone)
            );
        }

        // One key with two certificates is listed twice.
        let has_thumbprint = |jwk: &Value| {
            ["x5t", "x5t#S256", "x5c"]
                .iter()
                .any(|name| !jwk[*name].is_null())
        };
        if documented.iter().any(has_thumbprint) {
            count("documents", "with thumbprints");
            continue;
        }
        let ambiguous: HashSet<_> = skipped
            .iter()
            .filter(|key| key.reason == SkipReason::Duplicate)
            .map(|key| &documented[key.index])
            .map(|jwk| {
                (
                    jwk["kid"].as_str(),
                    algorithm(jwk, setup.rsa, setup.ed25519),
                )
            })
            .collect();
        // The same key twice is one key.
        let mut seen = HashSet::new();
        let kept: Vec<_> = documented
            .iter()
            .enumerate()
            .filter(|(index, _)| !left_out.contains(index))
            .filter(|(_, jwk)| {
                let name = algorithm(jwk, setup.rsa, setup.ed25519);
                seen.insert((jwk["kid"].as_str(), name, material(jwk, name)))
            })
            .collect();
        assert_eq!(accepted.len(), kept.len());
        let mut names = HashSet::new();
        for (key, (_, jwk)) in accepted.iter().zip(kept) {
            let name = algorithm(jwk, setup.rsa, setup.ed25519).expect("kty, crv and alg disagree");
            assert_eq!(key.algorithm().name(), name);
            assert_eq!(key.key_id(), jwk["kid"].as_str());
            assert!(is_sound(jwk, name, "verify"), "{jwk}");
            assert!(!is_secret(jwk) || setup.secrets, "{jwk}");
            let is_new = names.insert((key.key_id(), name));
            let is_reported = ambiguous.contains(&(key.key_id(), Some(name)));
            assert!(is_new || is_reported, "two keys of one name");
        }
        if let Ok(jwks) = &read {
            verify(&setup, jwks.keys.clone(), json, documented);
        }
        for SkippedKey {
            index,
            key_id,
            reason,
            ..
        } in skipped
        {
            let jwk = documented.get(*index).expect("a key that is not there");
            let alone = VerifyingKey::from_jwk(&jwk.to_string());
            match reason {
                SkipReason::Secret => {
                    count("skipped", "secret");
                    assert!(!setup.secrets && is_secret(jwk));
                }
                SkipReason::Duplicate => {
                    count("skipped", "duplicate");
                    let name = algorithm(jwk, setup.rsa, setup.ed25519);
                    let twins = skipped.iter().filter(|other| {
                        let jwk = &documented[other.index];
                        other.reason == SkipReason::Duplicate
                            && other.key_id == *key_id
                            && algorithm(jwk, setup.rsa, setup.ed25519) == name
                    });
                    let twins: HashSet<_> = twins
                        .map(|twin| material(&documented[twin.index], name))
                        .collect();
                    assert!(twins.len() >= 2, "no twin that differs");
                    assert!(names.contains(&(key_id.as_deref(), name.unwrap())));
                }
                SkipReason::Key(error) => {
                    count("skipped", kind(*error));
                    match alone {
                        // `alone` was made of the last of them.
                        _ if has_member_twice(json, *index) => {
                            assert_eq!(*error, KeyError::Unreadable);
                        }
                        Ok(_) => panic!("good alone, but skipped: {error}"),
                        Err(KeyError::UnexpectedPrivateKey) => assert!(setup.secrets),
                        Err(alone) => assert_eq!(alone, *error),
                    }
                }
                _ => panic!("a new reason"),
            }
        }
        if setup.secrets {
            for jwk in documented {
                one_jwk(&jwk.to_string());
            }
        }
    }
}

fn kind(error: KeyError) -> &'static str {
    match error {
        KeyError::EmptySecret => "EmptySecret",
        KeyError::ZeroSecret => "ZeroSecret",
        KeyError::ShortSecret { .. } => "ShortSecret",
        KeyError::SecretIsKey => "SecretIsKey",
        KeyError::Unreadable => "Unreadable",
        KeyError::WeakRsa => "WeakRsa",
        KeyError::LargeRsa => "LargeRsa",
        KeyError::InvalidRsaExponent => "RsaExponent",
        KeyError::LowOrder => "LowOrder",
        KeyError::Unsupported => "Unknown",
        KeyError::AlgorithmMismatch => "Disagreement",
        KeyError::MissingAlgorithm => "NoAlgorithm",
        KeyError::InvalidMember(name) => name,
        KeyError::NotForSignatures => "Use",
        _ => "other",
    }
}

/// Tokens for the audience `api`, with the algorithm and `kid` that they say.
const TOKENS: [(&str, &str, &str); 3] = [
    ("HS256", "h", include_str!("../seeds/token/set_hs256")),
    ("ES256", "e", include_str!("../seeds/token/set_es256")),
    ("EdDSA", "d", include_str!("../seeds/token/set_eddsa")),
];

/// What `keys`, read from `documented`, verify.
fn verify(setup: &Setup, keys: KeySet, json: &str, documented: &[Value]) {
    let verifier = Verifier::new(keys)
        .audience("api")
        .clock(ManualClock::at(1_800_000_000));
    for (alg, kid, token) in TOKENS {
        let named: Vec<_> = documented
            .iter()
            .enumerate()
            .filter(|(index, jwk)| {
                jwk["kid"] == kid
                    && !has_member_twice(json, *index)
                    && algorithm(jwk, setup.rsa, setup.ed25519) == Some(alg)
                    && is_sound(jwk, alg, "verify")
                    && (!is_secret(jwk) || setup.secrets)
            })
            .map(|(_, jwk)| jwk)
            .collect();
        let accepted = verifier.verify(token).is_ok();
        let by_reference = named.iter().any(|jwk| decodes(jwk, token));
        assert!(by_reference || !accepted, "accepted {token}: {named:?}");
        // Two with one `kid` are both skipped.
        assert!(
            accepted || !by_reference || named.len() > 1,
            "refused {token}: {named:?}"
        );
        let group = match accepted {
            true => "accepted tokens",
            false => "refused tokens",
        };
        count(group, alg);
    }
}

#[expect(clippy::disallowed_methods, reason = "the reference")]
fn decodes(jwk: &Value, token: &str) -> bool {
    let text = |name: &str| jwk[name].as_str().unwrap_or_default();
    let key = match text("kty") {
        "oct" => Ok(DecodingKey::from_secret(&decode(text("k")).unwrap())),
        "EC" => DecodingKey::from_ec_components(text("x"), text("y")),
        _ => DecodingKey::from_ed_components(text("x")),
    };
    let header = jsonwebtoken::decode_header(token).unwrap();
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&["api"]);
    // It knows no clock but the system's.
    validation.validate_exp = false;
    key.is_ok_and(|key| jsonwebtoken::decode::<Value>(token, &key, &validation).is_ok())
}

fn one_jwk(json: &str) {
    let value = serde_json::from_str::<Value>(json);
    let sound = |algorithm: Algorithm, key_id: Option<&str>, operation| {
        let Ok(jwk) = &value else {
            note(
                "accepted",
                "a key with a member that serde_json::Value cannot hold",
                || json.into(),
            );
            return;
        };
        let ed25519 = if algorithm == Algorithm::Ed25519 {
            "Ed25519"
        } else {
            "EdDSA"
        };
        let name = algorithm.name();
        assert_eq!(self::algorithm(jwk, "RS256", ed25519), Some(name), "{jwk}");
        assert!(is_sound(jwk, name, operation), "{jwk}");
        assert_eq!(key_id, jwk["kid"].as_str());
    };
    if let Ok(key) = VerifyingKey::from_jwk(json) {
        count("verifying JWK", key.algorithm().name());
        sound(key.algorithm(), key.key_id(), "verify");
        for name in NAMES {
            let named = VerifyingKey::from_jwk_for(name.parse().unwrap(), json);
            assert!(named.is_ok() || name != key.algorithm().name());
        }
        if let Ok(value) = &value {
            assert!(!is_secret(value) || value["kty"] == "oct");
        }
    }
    if let Ok(key) = SigningKey::from_jwk(json) {
        count("signing JWK", key.algorithm().name());
        sound(key.algorithm(), key.key_id(), "sign");
        signs(&key);
    }
}

fn signs(key: &SigningKey) {
    let token = key
        .sign(&serde_json::json!({ "exp": 1 }))
        .expect("a key that cannot sign");
    let verifier = Verifier::new(key.verifying_key()).clock(ManualClock::at(0));
    assert!(
        verifier.verify(token).is_ok(),
        "a key that does not verify what it signs"
    );
}

/// `bytes` as PEM and as DER, for `algorithm`.
fn encoded(algorithm: Algorithm, bytes: &[u8]) {
    let verifying = [
        VerifyingKey::from_pem(algorithm, bytes),
        VerifyingKey::from_der(algorithm, bytes),
    ];
    let signing = [
        SigningKey::from_pem(algorithm, bytes),
        SigningKey::from_der(algorithm, bytes),
    ];
    let hmac = algorithm.name().starts_with('H');
    for key in verifying.iter().flatten() {
        count("verifying PEM or DER", algorithm.name());
        assert!(!hmac && key.algorithm() == algorithm && key.key_id().is_none());
    }
    for key in signing.iter().flatten() {
        count("signing PEM or DER", algorithm.name());
        assert!(!hmac && key.algorithm() == algorithm && key.key_id().is_none());
        signs(key);
    }
    let [_, der] = &verifying;
    if der.is_ok() && (algorithm.name().starts_with('R') || algorithm.name().starts_with('P')) {
        let (n, e) = rsa_of(bytes).expect("no RSA key");
        assert!(is_sound_rsa(n, e), "a weak RSA key");
    }
}

/// Modulus and exponent of PKCS#1, or of SubjectPublicKeyInfo around it.
fn rsa_of(der: &[u8]) -> Option<(&[u8], &[u8])> {
    fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
        let (first, rest) = der.split_first()?;
        let (length, rest) = rest.split_first()?;
        let long = match length {
            0x80.. => usize::from(length - 0x80),
            _ => 0,
        };
        let (digits, rest) = rest.split_at_checked(long)?;
        let length = match long {
            0 => usize::from(*length),
            _ => digits
                .iter()
                .fold(0, |sum, byte| sum * 256 + usize::from(*byte)),
        };
        (*first == tag).then_some(())?;
        rest.split_at_checked(length)
    }
    let (inside, _) = element(der, 0x30)?;
    if let Some((n, rest)) = element(inside, 2) {
        return Some((n, element(rest, 2)?.0));
    }
    let (_, rest) = element(inside, 0x30)?;
    rsa_of(element(rest, 3)?.0.get(1..)?)
}

// Text is a document, or one key of it. After a byte 1 there are choices for `writing`. After a
// byte from 0x80 on, which chooses the algorithm, there is PEM or DER.
fuzz_target!(|data: &[u8]| {
    if let Some((1, choices)) = data.split_first() {
        if let Ok(json) = key_set(&mut Unstructured::new(choices)) {
            document(&json);
        }
    } else if let Some((first @ 0x80.., rest)) = data.split_first() {
        let name = NAMES[usize::from(first - 0x80) % NAMES.len()];
        encoded(name.parse().unwrap(), rest);
    } else if let Ok(json) = std::str::from_utf8(data) {
        document(json);
        one_jwk(json);
        if json.starts_with("-----BEGIN ") {
            for name in ["RS256", "PS512", "ES256", "ES384", "EdDSA"] {
                encoded(name.parse().unwrap(), data);
            }
        }
    }
});
