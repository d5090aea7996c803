//! Which key of a set verifies a token.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![expect(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "tests")]

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::{
    Algorithm, JwksOptions, KeySet, KeySetError, SigningKey, SkipReason, TokenHeader, VerifyingKey,
};
use tower_jwt_auth::{Verifier, VerifyErrorKind};

const NOW: u64 = 1_800_000_000;

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// An ES256 key with its certificate.
struct Certified {
    key: SigningKey,
    certificate: Vec<u8>,
}

impl Certified {
    fn new() -> Self {
        let pair = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["id.example.com".to_owned()]).unwrap();
        let certificate = params.self_signed(&pair).unwrap().der().to_vec();
        let key = SigningKey::from_der(Algorithm::ES256, pair.serialize_der()).unwrap();
        Self { key, certificate }
    }

    fn sha1(&self) -> String {
        base64url(digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.certificate))
    }

    fn sha256(&self) -> String {
        base64url(digest(&SHA256, &self.certificate))
    }

    /// The SHA-1 digest in hexadecimal digits.
    fn sha1_digits(&self) -> String {
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.certificate);
        digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect()
    }

    fn x5c(&self) -> Value {
        json!([base64_simd::STANDARD.encode_to_string(&self.certificate)])
    }

    /// Its JWK with further members.
    fn jwk(&self, more: Value) -> Value {
        jwk(&self.key, more)
    }

    /// A token with these members in the header.
    fn token(&self, members: Value) -> String {
        token(&self.key, members)
    }
}

fn jwk(key: &SigningKey, more: Value) -> Value {
    let mut jwk: Value = serde_json::from_str(&key.verifying_key().to_jwk().unwrap()).unwrap();
    let members = jwk.as_object_mut().unwrap();
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    jwk
}

fn token(key: &SigningKey, members: Value) -> String {
    let members = members.as_object().unwrap();
    let header = members
        .iter()
        .fold(TokenHeader::new(), |header, (name, value)| {
            header.member(name, value.clone())
        });
    let claims = json!({ "sub": "me", "exp": NOW + 300 });
    key.sign_with(&header, &claims).unwrap()
}

fn set(jwks: &[Value]) -> KeySet {
    let jwks = KeySet::from_jwks(json!({ "keys": jwks }).to_string()).unwrap();
    jwks.keys
}

/// Without cache, so that each token chooses its key.
fn verifier(keys: KeySet) -> Verifier {
    Verifier::new(keys)
        .clock(ManualClock::at(NOW))
        .without_cache()
}

fn kind(verifier: &Verifier, token: &str) -> Result<(), VerifyErrorKind> {
    let verified = verifier.verify(token);
    verified.map(|_| ()).map_err(|error| error.kind())
}

const NO_FITTING_KEY: Result<(), VerifyErrorKind> = Err(VerifyErrorKind::NoFittingKey);
const SEVERAL: Result<(), VerifyErrorKind> = Err(VerifyErrorKind::SeveralFittingKeys);
const BAD_SIGNATURE: Result<(), VerifyErrorKind> = Err(VerifyErrorKind::BadSignature);

#[test]
fn a_token_without_kid_chooses_its_key_by_thumbprint() {
    let (one, two) = (Certified::new(), Certified::new());
    let published =
        |key: &Certified| key.jwk(json!({ "x5t": key.sha1(), "x5t#S256": key.sha256() }));
    let certified = |key: &Certified| key.jwk(json!({ "x5c": key.x5c() }));
    let legacy = |key: &Certified| key.jwk(json!({ "kid": key.sha1(), "x5t": key.sha1() }));
    for keys in [
        set(&[certified(&one), certified(&two)]),
        set(&[published(&one), certified(&two)]),
        set(&[legacy(&one), legacy(&two)]),
    ] {
        let verifier = verifier(keys);
        for key in [&one, &two, &one] {
            assert_eq!(
                kind(&verifier, &key.token(json!({ "x5t": key.sha1() }))),
                Ok(())
            );
        }
        // Several keys have its `alg`.
        assert_eq!(kind(&verifier, &one.token(json!({}))), SEVERAL);
        // It names the key of another.
        let forged = one.token(json!({ "x5t": two.sha1() }));
        assert_eq!(kind(&verifier, &forged), BAD_SIGNATURE);
    }
    let verifier = verifier(set(&[certified(&one), certified(&two)]));
    for key in [&one, &two] {
        let (sha1, sha256) = (key.sha1(), key.sha256());
        let both = json!({ "x5t": sha1, "x5t#S256": sha256 });
        assert_eq!(kind(&verifier, &key.token(both)), Ok(()));
        assert_eq!(
            kind(&verifier, &key.token(json!({ "x5t#S256": sha256 }))),
            Ok(())
        );
    }
    // Two thumbprints of two certificates.
    for members in [
        json!({ "x5t": one.sha1(), "x5t#S256": two.sha256() }),
        json!({ "x5t": two.sha1(), "x5t#S256": one.sha256() }),
    ] {
        assert_eq!(kind(&verifier, &one.token(members)), NO_FITTING_KEY);
    }
}

#[test]
fn an_unknown_thumbprint_has_no_key_even_if_one_key_fits() {
    let (key, other) = (Certified::new(), Certified::new());
    let verifier = verifier(set(&[key.jwk(json!({ "x5c": key.x5c() }))]));
    let sha1 = key.sha1();
    for thumbprint in [
        other.sha1(),
        format!("{sha1}="),
        format!(" {sha1}"),
        sha1.to_lowercase(),
        sha1[1..].to_owned(),
        sha1.repeat(100),
        "A".into(),
        "\0".into(),
        key.sha256(),
    ] {
        let members = json!({ "x5t": thumbprint });
        assert_eq!(
            kind(&verifier, &key.token(members)),
            NO_FITTING_KEY,
            "{thumbprint}"
        );
    }
    assert_eq!(kind(&verifier, &key.token(json!({ "x5t": sha1 }))), Ok(()));
    // Without a thumbprint the one key of its `alg` serves it, as an empty or mistyped one does.
    for members in [json!({}), json!({ "x5t": "" }), json!({ "x5t": 5 })] {
        assert_eq!(kind(&verifier, &key.token(members)), Ok(()));
    }
}

#[test]
fn a_set_without_thumbprints_treats_the_token_as_one_without_kid() {
    let (one, two) = (Certified::new(), Certified::new());
    let named = |key: &Certified, kid: &str| key.jwk(json!({ "kid": kid }));
    let alone = verifier(set(&[named(&one, "1")]));
    let token = one.token(json!({ "x5t": two.sha1() }));
    assert_eq!(kind(&alone, &token), Ok(()));
    let both = verifier(set(&[named(&one, "1"), named(&two, "2")]));
    assert_eq!(kind(&both, &token), SEVERAL);
}

#[test]
fn kid_decides_beside_a_thumbprint() {
    let (mut one, two) = (Certified::new(), Certified::new());
    one.key = one.key.with_key_id("1");
    let document = |one_more: Value| {
        set(&[
            one.jwk(one_more),
            two.jwk(json!({ "kid": "2", "x5c": two.x5c() })),
        ])
    };
    // The key of the `kid` has no thumbprint, or not of this kind.
    for more in [json!({}), json!({ "x5t#S256": one.sha256() })] {
        let verifier = verifier(document(more));
        let token = one.token(json!({ "x5t": two.sha1() }));
        assert_eq!(kind(&verifier, &token), Ok(()));
    }
    let verifier = verifier(document(json!({ "x5c": one.x5c() })));
    for members in [
        json!({ "x5t": one.sha1(), "x5t#S256": one.sha256() }),
        json!({ "x5t": "", "x5t#S256": null }),
        json!({ "x5t": 5 }),
        json!({ "x5t": base64url(one.sha1_digits()) }),
    ] {
        assert_eq!(
            kind(&verifier, &one.token(members.clone())),
            Ok(()),
            "{members}"
        );
    }
    let renamed = one.key.clone().with_key_id("3");
    let unknown = token(&renamed, json!({ "x5t": one.sha1() }));
    assert_eq!(kind(&verifier, &unknown), NO_FITTING_KEY);
}

/// As above, from each kind of key, and after a token of the same key was accepted.
#[test]
fn e08_a_thumbprint_that_contradicts_the_key_of_its_kid() {
    let (mut one, two) = (Certified::new(), Certified::new());
    one.key = one.key.with_key_id("1");
    let alone = one.jwk(json!({ "x5c": one.x5c() }));
    let published = one.jwk(json!({ "x5t": one.sha1(), "x5t#S256": one.sha256() }));
    let other = two.jwk(json!({ "kid": "2", "x5c": two.x5c() }));
    let local = [VerifyingKey::from_jwk(alone.to_string()).unwrap()];
    for keys in [
        set(std::slice::from_ref(&alone)),
        set(&[alone.clone(), other.clone()]),
        set(&[published, other]),
        KeySet::new(local).unwrap(),
        set(&[alone]).try_keys_with_same_id(),
    ] {
        let verifier = Verifier::new(keys).clock(ManualClock::at(NOW));
        for _ in 0..2 {
            assert_eq!(kind(&verifier, &one.token(json!({}))), Ok(()));
            assert_eq!(
                kind(&verifier, &one.token(json!({ "x5t": one.sha1() }))),
                Ok(())
            );
            for members in [
                json!({ "x5t": two.sha1() }),
                json!({ "x5t#S256": two.sha256() }),
                json!({ "x5t": one.sha1(), "x5t#S256": two.sha256() }),
                json!({ "x5t": two.sha1(), "x5t#S256": one.sha256() }),
                json!({ "x5t": 5, "x5t#S256": two.sha256() }),
                json!({ "x5t": "\u{0}" }),
                json!({ "x5t": base64url(two.sha1_digits()) }),
            ] {
                let token = one.token(members.clone());
                assert_eq!(kind(&verifier, &token), NO_FITTING_KEY, "{members}");
            }
        }
        let error = verifier.verify(one.token(json!({ "x5t": two.sha1() })));
        let source = std::error::Error::source(&error.unwrap_err())
            .unwrap()
            .to_string();
        assert!(source.contains("x5t#S256"), "{source}");
    }
}

/// A thumbprint leaves fewer keys to try, but adds none.
#[test]
fn e08_a_thumbprint_that_contradicts_some_keys_of_one_kid() {
    let mut keys = [Certified::new(), Certified::new(), Certified::new()];
    keys.iter_mut()
        .for_each(|one| one.key = one.key.clone().with_key_id("1"));
    let [one, two, three] = &keys;
    let document = [
        one.jwk(json!({ "x5c": one.x5c() })),
        two.jwk(json!({ "x5c": two.x5c() })),
        three.jwk(json!({})),
    ];
    let verifier = verifier(set(&document).try_keys_with_same_id());
    for _ in 0..2 {
        for key in &keys {
            let members = json!({ "x5t": two.sha1() });
            let is_contradicted = std::ptr::eq(key, one);
            let expected = if is_contradicted {
                BAD_SIGNATURE
            } else {
                Ok(())
            };
            assert_eq!(kind(&verifier, &key.token(members)), expected);
            assert_eq!(kind(&verifier, &key.token(json!({}))), Ok(()));
        }
    }
    let strict = self::verifier(set(&document));
    assert_eq!(
        kind(&strict, &two.token(json!({ "x5t": two.sha1() }))),
        SEVERAL
    );
}

/// A certificate's thumbprint is no way around the algorithm of the key.
#[test]
fn a_thumbprint_does_not_choose_a_key_of_another_algorithm() {
    let key = Certified::new();
    let verifier = verifier(set(&[key.jwk(json!({ "x5c": key.x5c() }))]));
    let secret = SigningKey::hs256([7; 32]).unwrap();
    let confused = token(&secret, json!({ "x5t": key.sha1() }));
    assert_eq!(kind(&verifier, &confused), NO_FITTING_KEY);
}

#[test]
fn a_renewed_certificate_of_the_same_key_chooses_it_too() {
    let (key, old) = (Certified::new(), Certified::new());
    let other = Certified::new();
    let document = [
        key.jwk(json!({ "kid": "1", "x5t": old.sha1() })),
        key.jwk(json!({ "kid": "1", "x5c": key.x5c() })),
        key.jwk(json!({ "kid": "2", "x5t": key.sha1() })),
        other.jwk(json!({ "kid": "3", "x5c": other.x5c() })),
    ];
    let verifier = verifier(set(&document));
    for thumbprint in [old.sha1(), key.sha1()] {
        let members = json!({ "x5t": thumbprint });
        let named = key.key.clone().with_key_id("1");
        for key in [&key.key, &named] {
            assert_eq!(kind(&verifier, &token(key, members.clone())), Ok(()));
        }
    }
    for (kid, thumbprint) in [("1", other.sha1()), ("2", old.sha1())] {
        let named = key.key.clone().with_key_id(kid);
        let token = token(&named, json!({ "x5t": thumbprint }));
        assert_eq!(kind(&verifier, &token), NO_FITTING_KEY);
    }
}

#[test]
fn two_keys_of_one_thumbprint_are_several_keys() {
    let (one, two) = (Certified::new(), Certified::new());
    let verifier = verifier(set(&[
        one.jwk(json!({ "kid": "1", "x5t": one.sha1() })),
        two.jwk(json!({ "kid": "2", "x5t": one.sha1() })),
    ]));
    assert_eq!(
        kind(&verifier, &one.token(json!({ "x5t": one.sha1() }))),
        SEVERAL
    );
}

#[test]
fn the_certificate_counts_where_a_published_thumbprint_contradicts_it() {
    let (key, other) = (Certified::new(), Certified::new());
    let (own, wrong) = (base64url(key.sha1_digits()), other.sha1());
    for published in [own, wrong] {
        let jwk = key.jwk(json!({ "kid": "1", "x5c": key.x5c(), "x5t": published }));
        let verifier = verifier(set(&[jwk]));
        assert_eq!(
            kind(&verifier, &key.token(json!({ "x5t": key.sha1() }))),
            Ok(())
        );
        let token = key.token(json!({ "x5t": published }));
        assert_eq!(kind(&verifier, &token), NO_FITTING_KEY);
    }
}

#[test]
fn an_unreadable_certificate_leaves_the_key_usable() {
    let key = Certified::new();
    let der = base64_simd::STANDARD.encode_to_string(&key.certificate);
    for x5c in [
        json!([]),
        json!(5),
        json!(der),
        json!([5]),
        json!([[der]]),
        json!([""]),
        json!(["AAAA"]),
        json!(["not base64"]),
        json!([format!("{der}AAAA")]),
        json!([&der[4..]]),
        json!(["A".repeat(1 << 20)]),
        json!(["MIAAAA=="]),
    ] {
        let verifier = verifier(set(&[key.jwk(json!({ "kid": "1", "x5c": x5c }))]));
        // No thumbprint: it is a token without `kid`.
        assert_eq!(kind(&verifier, &key.token(json!({ "x5t": "any" }))), Ok(()));
        let jwk = key.jwk(json!({ "kid": "1", "x5c": x5c, "x5t": key.sha1() }));
        let verifier = self::verifier(set(&[jwk]));
        assert_eq!(
            kind(&verifier, &key.token(json!({ "x5t": key.sha1() }))),
            Ok(())
        );
        assert_eq!(
            kind(&verifier, &key.token(json!({ "x5t": "any" }))),
            NO_FITTING_KEY
        );
    }
}

/// ES256 keys with the key ID `a`, and a document of them and of others.
fn with_same_id(count: usize, others: &[Value]) -> (Vec<SigningKey>, KeySet) {
    let keys: Vec<_> = std::iter::repeat_with(|| {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        key.with_key_id("a")
    })
    .take(count)
    .collect();
    let jwks: Vec<_> = keys.iter().map(|key| jwk(key, json!({}))).collect();
    let keys_and_others = [&jwks[..], others].concat();
    (keys, set(&keys_and_others))
}

fn key(algorithm: Algorithm, kid: &str) -> SigningKey {
    SigningKey::generate(algorithm).unwrap().with_key_id(kid)
}

#[test]
fn keys_with_one_kid_reject_their_tokens_and_no_others() {
    let (other_id, other_algorithm) = (key(Algorithm::ES256, "b"), key(Algorithm::EdDSA, "a"));
    let others = [&other_id, &other_algorithm].map(|key| jwk(key, json!({})));
    let (same, keys) = with_same_id(2, &others);
    let verifier = verifier(keys);
    for key in &same {
        assert_eq!(kind(&verifier, &token(key, json!({}))), SEVERAL);
    }
    for key in [&other_id, &other_algorithm] {
        assert_eq!(kind(&verifier, &token(key, json!({}))), Ok(()));
    }
    // Without any other key too: it is the token's fault, not an outage.
    let (same, keys) = with_same_id(2, &[]);
    let verifier = self::verifier(keys);
    assert_eq!(kind(&verifier, &token(&same[0], json!({}))), SEVERAL);
}

#[test]
fn the_report_names_keys_with_one_kid() {
    let (one, two) = (key(Algorithm::ES256, "a"), key(Algorithm::ES256, "a"));
    let document = json!({ "keys": [jwk(&one, json!({})), jwk(&two, json!({}))] });
    let read = KeySet::from_jwks(document.to_string()).unwrap();
    let report: Vec<_> = read
        .skipped
        .iter()
        .map(|key| (key.index, key.reason))
        .collect();
    let duplicate = SkipReason::Duplicate;
    assert_eq!(report, [(0, duplicate), (1, duplicate)]);
    assert!(
        read.skipped[0]
            .to_string()
            .contains("try_keys_with_same_id")
    );
}

#[test]
fn each_of_four_keys_with_one_kid_is_tried_if_you_say_so() {
    let other_id = key(Algorithm::ES256, "b");
    let (same, keys) = with_same_id(4, &[jwk(&other_id, json!({}))]);
    let verifier = verifier(keys.try_keys_with_same_id());
    let stranger = key(Algorithm::ES256, "a");
    // More than once, so that no header is remembered for one of them.
    for _ in 0..3 {
        for key in same.iter().chain([&other_id]) {
            assert_eq!(kind(&verifier, &token(key, json!({}))), Ok(()));
        }
        for key in same.iter().rev() {
            assert_eq!(kind(&verifier, &token(key, json!({}))), Ok(()));
        }
        assert_eq!(kind(&verifier, &token(&stranger, json!({}))), BAD_SIGNATURE);
    }
    // Neither a token without `kid` nor one with another name tries them.
    let unnamed = SigningKey::generate(Algorithm::ES256).unwrap();
    assert_eq!(kind(&verifier, &token(&unnamed, json!({}))), SEVERAL);
    let unknown = key(Algorithm::ES256, "c");
    assert_eq!(kind(&verifier, &token(&unknown, json!({}))), NO_FITTING_KEY);
    let other_algorithm = key(Algorithm::EdDSA, "a");
    assert_eq!(
        kind(&verifier, &token(&other_algorithm, json!({}))),
        NO_FITTING_KEY
    );
}

#[test]
fn more_than_four_keys_with_one_kid_are_not_tried() {
    let (same, keys) = with_same_id(5, &[]);
    let verifier = verifier(keys.try_keys_with_same_id());
    for key in &same {
        assert_eq!(kind(&verifier, &token(key, json!({}))), SEVERAL);
    }
}

/// Otherwise the issuer of a token would depend on the key that happens to verify it.
#[test]
fn keys_of_different_issuers_with_one_kid_are_not_tried() {
    let (one, two) = (key(Algorithm::ES256, "a"), key(Algorithm::ES256, "a"));
    for (issuer, expected) in [
        ("https://b.example", SEVERAL),
        ("https://a.example", Ok(())),
    ] {
        let keys = set(&[
            jwk(&one, json!({ "issuer": "https://a.example" })),
            jwk(&two, json!({ "issuer": issuer })),
        ]);
        let verifier = verifier(keys.try_keys_with_same_id());
        let token = two.sign(&json!({ "iss": "https://a.example", "exp": 4_000_000_000_u64 }));
        assert_eq!(kind(&verifier, &token.unwrap()), expected, "{issuer}");
    }
}

/// One key that is listed often is one key.
#[test]
fn ten_thousand_keys_with_one_kid_are_bounded() {
    let other_id = key(Algorithm::EdDSA, "b");
    let secret = |number: u32| {
        let mut secret = [0xa9; 32];
        secret[..4].copy_from_slice(&number.to_be_bytes());
        json!({ "kty": "oct", "alg": "HS256", "kid": "a", "k": base64url(secret) })
    };
    let mut jwks: Vec<_> = (0..10_000).map(secret).collect();
    jwks.push(jwk(&other_id, json!({})));
    let document = json!({ "keys": jwks }).to_string();
    let jwks = JwksOptions::new().allow_secrets().read(document).unwrap();
    assert_eq!(jwks.skipped.len(), 10_000);
    let verifier = verifier(jwks.keys.try_keys_with_same_id());
    let mut bytes = [0xa9; 32];
    bytes[..4].fill(0);
    let same = SigningKey::hs256(bytes).unwrap().with_key_id("a");
    assert_eq!(kind(&verifier, &token(&same, json!({}))), SEVERAL);
    assert_eq!(kind(&verifier, &token(&other_id, json!({}))), Ok(()));
    let same = jwk(&other_id, json!({}));
    let often = verifier_of(&vec![same; 10_000]);
    assert_eq!(kind(&often, &token(&other_id, json!({}))), Ok(()));
}

fn verifier_of(jwks: &[Value]) -> Verifier {
    verifier(set(jwks))
}

#[test]
fn explicit_keys_with_one_kid_stay_a_configuration_error() {
    let keys = [key(Algorithm::ES256, "a"), key(Algorithm::ES256, "a")];
    let keys = keys.map(|key| key.verifying_key());
    assert_eq!(KeySet::new(keys).unwrap_err(), KeySetError::Duplicate);
}

/// The same Ed25519 key, signing under both names.
fn ed25519() -> [SigningKey; 2] {
    let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    [Algorithm::EdDSA, Algorithm::Ed25519].map(|algorithm| {
        SigningKey::from_der(algorithm, pair.serialize_der())
            .unwrap()
            .with_key_id("a")
    })
}

#[test]
fn an_ed25519_key_without_alg_has_both_names_if_you_say_so() {
    let [old, new] = ed25519();
    let bare = jwk(&old, json!({ "alg": null }));
    let document = json!({ "keys": [bare] }).to_string();
    let by_default = verifier(KeySet::from_jwks(&document).unwrap().keys);
    assert_eq!(kind(&by_default, &token(&old, json!({}))), Ok(()));
    assert_eq!(kind(&by_default, &token(&new, json!({}))), NO_FITTING_KEY);
    for options in [
        JwksOptions::new().both_ed25519_names(),
        JwksOptions::new()
            .ed25519_algorithm(Algorithm::Ed25519)
            .both_ed25519_names(),
    ] {
        let read = options.read(&document).unwrap();
        assert_eq!((read.keys.len(), read.skipped.len()), (1, 0));
        let both = verifier(read.keys);
        for key in [&old, &new, &old, &new] {
            assert_eq!(kind(&both, &token(key, json!({}))), Ok(()));
        }
        let [stranger, _] = ed25519();
        assert_eq!(kind(&both, &token(&stranger, json!({}))), BAD_SIGNATURE);
        // Keys with `alg`, and of another kind, keep their one name.
        let named = json!({ "keys": [jwk(&old, json!({}))] }).to_string();
        let named = verifier(options.read(named).unwrap().keys);
        assert_eq!(kind(&named, &token(&new, json!({}))), NO_FITTING_KEY);
        let other = key(Algorithm::ES256, "a");
        let document = json!({ "keys": [jwk(&other, json!({ "alg": null })) ] }).to_string();
        let other_kind = verifier(options.read(document).unwrap().keys);
        assert_eq!(kind(&other_kind, &token(&other, json!({}))), Ok(()));
        assert_eq!(kind(&other_kind, &token(&new, json!({}))), NO_FITTING_KEY);
    }
}

#[test]
fn a_verifying_key_has_both_ed25519_names_if_you_say_so() {
    let [old, new] = ed25519();
    for key in [&old, &new] {
        let verifying = key.verifying_key().with_both_ed25519_names();
        let lone = Verifier::new(&verifying).clock(ManualClock::at(NOW));
        let set = verifier(KeySet::new([verifying]).unwrap());
        for key in [&old, &new] {
            assert_eq!(kind(&lone, &token(key, json!({}))), Ok(()));
            assert_eq!(kind(&set, &token(key, json!({}))), Ok(()));
        }
        let one_name = verifier(KeySet::new([key.verifying_key()]).unwrap());
        let accepted = [&old, &new].map(|key| kind(&one_name, &token(key, json!({}))).is_ok());
        assert_eq!(accepted.iter().filter(|accepted| **accepted).count(), 1);
    }
}

#[test]
fn both_names_of_one_ed25519_key_are_one_key() {
    let [old, new] = ed25519();
    let bare = jwk(&old, json!({ "alg": null }));
    let named = jwk(&new, json!({}));
    for jwks in [[&bare, &named], [&named, &bare]] {
        let document = json!({ "keys": jwks }).to_string();
        let read = JwksOptions::new()
            .both_ed25519_names()
            .read(document)
            .unwrap();
        assert_eq!(read.skipped, []);
        let verifier = verifier(read.keys);
        for key in [&old, &new] {
            assert_eq!(kind(&verifier, &token(key, json!({}))), Ok(()));
        }
    }
    // Another key under the second name cannot be told apart.
    let [_, stranger] = ed25519();
    let keys = [
        old.verifying_key().with_both_ed25519_names(),
        stranger.verifying_key(),
    ];
    assert_eq!(KeySet::new(keys).unwrap_err(), KeySetError::Duplicate);
}

#[test]
#[should_panic(expected = "not an Ed25519 key")]
fn other_keys_do_not_have_both_ed25519_names() {
    let _ = key(Algorithm::ES256, "a")
        .verifying_key()
        .with_both_ed25519_names();
}
