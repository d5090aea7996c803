//! Verifies any bytes as a token. Only the seven minted tokens may be accepted, each only by its
//! own verifier. `jsonwebtoken::decode` is asked about the minted ones alone.
#![no_main]

use std::sync::LazyLock;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::{KeySet, VerifyingKey};
use tower_jwt_auth::{TrustedIssuer, Verifier, VerifyErrorKind};
use tower_jwt_auth_fuzz::count;
use tower_jwt_auth_fuzz::tokens::base64url;

const NOW: u64 = 1_800_000_000;

/// Each the one byte of a secret.
const SECRETS: [u8; 3] = *b"123";

/// RFC 7515 A.3 and RFC 8037 A.1.
const ES256: &str = r#"{"kty":"EC","crv":"P-256","kid":"e","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const ED25519: &str =
    r#"{"kty":"OKP","crv":"Ed25519","kid":"d","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

macro_rules! minted {
    ($name:literal) => {
        include_bytes!(concat!("../seeds/token/", $name)).as_slice()
    };
}

/// Of a lone key, of a set, and of two issuers.
const MINTED: [&[u8]; 7] = [
    minted!("lone"),
    minted!("set_hs256"),
    minted!("set_es256"),
    minted!("set_eddsa"),
    minted!("issuer_a"),
    minted!("issuer_b_eddsa"),
    minted!("issuer_b_es256"),
];

/// With the tokens that it accepts.
type Verifying = (Verifier, &'static [&'static [u8]]);

static VERIFIERS: LazyLock<[Verifying; 3]> = LazyLock::new(|| {
    let secret = |index: usize| VerifyingKey::hs256([SECRETS[index]; 32]).unwrap();
    let es256 = || VerifyingKey::from_jwk(ES256).unwrap();
    let eddsa = || VerifyingKey::from_jwk(ED25519).unwrap();
    let set = KeySet::new([secret(1).with_key_id("h"), es256(), eddsa()]).unwrap();
    let issuers = [
        TrustedIssuer::new("https://a.example", secret(2)).audience("api"),
        TrustedIssuer::new(
            "https://b.example",
            KeySet::new([eddsa().with_key_id("b"), es256().with_key_id("b")]).unwrap(),
        ),
    ];
    let all = [
        (Verifier::new(secret(0)), &MINTED[..1]),
        (Verifier::new(set).audience("api"), &MINTED[1..4]),
        (Verifier::new(issuers), &MINTED[4..]),
    ];
    all.map(|(verifier, minted)| {
        let verifier = verifier.clock(ManualClock::at(NOW));
        for token in minted {
            verifier.verify(token).expect("a seed is no good token");
            reference(token);
        }
        (verifier, minted)
    })
});

/// `jsonwebtoken` takes the token, but for its time, which is not now.
#[expect(clippy::disallowed_methods, reason = "the reference")]
fn reference(token: &[u8]) {
    let header = jsonwebtoken::decode_header(token).unwrap();
    let jwk = |json| DecodingKey::from_jwk(&serde_json::from_str(json).unwrap()).unwrap();
    let keys = match header.alg {
        Algorithm::ES256 => vec![jwk(ES256)],
        Algorithm::EdDSA => vec![jwk(ED25519)],
        _ => Vec::from(SECRETS.map(|byte| DecodingKey::from_secret(&[byte; 32]))),
    };
    let mut validation = Validation::new(header.alg);
    (validation.validate_exp, validation.validate_aud) = (false, false);
    let accepts = |key| jsonwebtoken::decode::<Value>(token, key, &validation).is_ok();
    assert_eq!(keys.iter().filter(|key| accepts(*key)).count(), 1);
}

fn check(token: &[u8]) {
    let too_long = token.len() > 8 * 1024;
    let dots = token.iter().filter(|byte| **byte == b'.').count();
    for ((verifier, minted), name) in VERIFIERS.iter().zip(["lone", "set", "issuers"]) {
        let verified = verifier.verify(token);
        assert_eq!(verified.is_ok(), minted.contains(&token));
        let Err(error) = verified else {
            count(name, "accepted");
            continue;
        };
        let kind = error.kind();
        count(name, kind.name());
        assert_eq!(kind == VerifyErrorKind::TooLong, too_long);
        assert_eq!(kind == VerifyErrorKind::Encrypted, !too_long && dots == 4);
        assert!(dots == 2 || too_long || dots == 4 || kind == VerifyErrorKind::Malformed);
        let _ = (kind.stage(), error.to_string());
    }
}

fuzz_target!(|data: &[u8]| {
    check(data);
    // Lines: header and payload in clear, and the signature, as base64 is hard to mutate. An empty
    // signature is that of a minted token.
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    if let (Some(header), Some(payload), Some(signature)) =
        (lines.next(), lines.next(), lines.next())
    {
        let minted = MINTED[data.len() % MINTED.len()];
        let segments = std::str::from_utf8(minted).unwrap().split('.');
        let parts = [header, payload, signature].into_iter().zip(segments).map(
            |(part, segment)| match part {
                b"" => segment.to_owned(),
                part => base64url(part),
            },
        );
        check(parts.collect::<Vec<_>>().join(".").as_bytes());
    }
});
