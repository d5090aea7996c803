//! Any bytes as a token. None but the seven minted ones may be accepted, and those only by their own verifier.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::{KeySet, VerifyingKey};
use tower_jwt_auth::{TrustedIssuer, Verifier};
use tower_jwt_auth_fuzz::tokens::base64url;

const NOW: u64 = 1_800_000_000;

/// RFC 7515 A.3 and RFC 8037 A.1.
const ES256: &str = r#"{"kty":"EC","crv":"P-256","kid":"e","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const ED25519: &str =
    r#"{"kty":"OKP","crv":"Ed25519","kid":"d","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

macro_rules! minted {
    ($name:literal) => {
        include_bytes!(concat!("../seeds/token/", $name)).as_slice()
    };
}

/// Each with the tokens that it accepts.
static VERIFIERS: LazyLock<[(Verifier, Vec<&[u8]>); 3]> = LazyLock::new(|| {
    let secret = |byte| VerifyingKey::hs256([byte; 32]).unwrap();
    let es256 = || VerifyingKey::from_jwk(ES256).unwrap();
    let eddsa = || VerifyingKey::from_jwk(ED25519).unwrap();
    let set = KeySet::new([secret(b'2').with_key_id("h"), es256(), eddsa()]).unwrap();
    let issuers = [
        TrustedIssuer::new("https://a.example", secret(b'3')).audience("api"),
        TrustedIssuer::new(
            "https://b.example",
            KeySet::new([eddsa().with_key_id("b"), es256().with_key_id("b")]).unwrap(),
        ),
    ];
    let all = [
        (Verifier::new(secret(b'1')), vec![minted!("lone")]),
        (
            Verifier::new(set).audience("api"),
            vec![
                minted!("set_hs256"),
                minted!("set_es256"),
                minted!("set_eddsa"),
            ],
        ),
        (
            Verifier::new(issuers),
            vec![
                minted!("issuer_a"),
                minted!("issuer_b_eddsa"),
                minted!("issuer_b_es256"),
            ],
        ),
    ];
    all.map(|(verifier, minted)| {
        let verifier = verifier.clock(ManualClock::at(NOW));
        for token in &minted {
            verifier.verify(token).expect("a seed is no good token");
        }
        (verifier, minted)
    })
});

fn check(token: &[u8]) {
    for (verifier, minted) in VERIFIERS.iter() {
        let verified = verifier.verify(token);
        assert_eq!(verified.is_ok(), minted.contains(&token));
        if let Err(error) = verified {
            let _ = (error.kind().stage(), error.to_string());
        }
    }
}

fuzz_target!(|data: &[u8]| {
    check(data);
    // Lines: header and payload in clear, and the signature. Base64 is hard to mutate.
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    if let (Some(header), Some(payload), Some(signature)) =
        (lines.next(), lines.next(), lines.next())
    {
        check(
            [header, payload, signature]
                .map(base64url)
                .join(".")
                .as_bytes(),
        );
    }
});
