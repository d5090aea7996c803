//! Holds verification to the examples of three RFCs, byte for byte: RFC 7515 appendix A (JWS), RFC
//! 7520 §4 (cookbook) and RFC 8037 appendix A (Ed25519). Holds thumbprints to RFC 7638 and others.
//!
//! Most of them sign a sentence, not claims: they are not JWTs and must be rejected. The rejection
//! as `MalformedClaims` proves the rest valid, as the payload is parsed last, after its signature.

#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics fails"
)]

use serde_json::{Value, json};
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::{Algorithm, KeyError, KeySet, SigningKey, VerifyingKey};
use tower_jwt_auth::verify::Stage;
use tower_jwt_auth::{Verifier, VerifyErrorKind};

/// 80 seconds before the claims of RFC 7515 expire.
const NOW: u64 = 1_300_819_300;

/// Takes out the line breaks and blanks that, here as in the RFCs, are for display only.
fn unwrapped(text: &str) -> String {
    text.split_ascii_whitespace().collect()
}

fn compact(segments: [&str; 3]) -> String {
    unwrapped(&segments.join("."))
}

/// The key that a private (or secret) JWK leads to, by itself and by its public half alone.
fn keys(algorithm: Algorithm, jwk: &str) -> [VerifyingKey; 2] {
    let jwk = unwrapped(jwk);
    let mut public: Value = serde_json::from_str(&jwk).unwrap();
    let members = public.as_object_mut().unwrap();
    if members.contains_key("d") {
        assert_eq!(
            VerifyingKey::from_jwk_for(algorithm, &jwk).unwrap_err(),
            KeyError::UnexpectedPrivateKey
        );
    }
    for private in ["d", "p", "q", "dp", "dq", "qi"] {
        members.remove(private);
    }
    let signing = SigningKey::from_jwk_for(algorithm, &jwk).unwrap();
    let verifying = VerifyingKey::from_jwk_for(algorithm, public.to_string()).unwrap();
    assert_eq!(signing.key_id(), public["kid"].as_str());
    assert_eq!(verifying.key_id(), public["kid"].as_str());
    [signing.verifying_key(), verifying]
}

fn verifiers(algorithm: Algorithm, jwk: &str) -> [Verifier; 2] {
    keys(algorithm, jwk).map(|key| Verifier::new(key).clock(ManualClock::at(NOW)))
}

#[track_caller]
fn refused(verifier: &Verifier, token: &str, kind: VerifyErrorKind) {
    assert_eq!(verifier.verify(token).unwrap_err().kind(), kind, "{token}");
}

/// Neither form of JSON serialization has three segments; a `kid` in clear may bring dots along.
#[track_caller]
fn refused_json(verifier: &Verifier, json: &Value) {
    let refused = verifier.verify(json.to_string()).unwrap_err();
    assert_eq!(refused.kind().stage(), Stage::Token, "{json}");
}

/// Every token that differs from `token` in one character of the signature. The last character is
/// left out: some of its bits belong to no byte.
fn with_another_signature(token: &str) -> impl Iterator<Item = String> {
    let start = token.rfind('.').unwrap() + 1;
    (start..token.len() - 1).map(move |at| {
        let other = if &token[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &token[..at], &token[at + 1..])
    })
}

/// The signature is right, and the payload is no claims set.
#[track_caller]
fn signed_but_no_claims(verifier: &Verifier, token: &str) {
    refused(verifier, token, VerifyErrorKind::MalformedClaims);
    for forged in with_another_signature(token) {
        refused(verifier, &forged, VerifyErrorKind::BadSignature);
    }
}

mod rfc_7515 {
    use super::*;

    /// The payload of A.1, A.2, A.3 and A.5: [`claims`].
    const CLAIMS: &str = "
    eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0
    cnVlfQ";
    const A1_KEY: &str = r#"
    {"kty":"oct",
     "k":
      "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
    const A1_HEADER: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
    const A1_SIGNATURE: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const A2_KEY: &str = r#"
    {"kty":"RSA",
     "n":
      "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt
      0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSX
      ndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5
      IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
     "e":"AQAB",
     "d":
      "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol
      2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn43
      9X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8
      bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
     "p":
      "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_
      Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
     "q":
      "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7Tje
      LQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
     "dp":
      "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOK
      nu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0",
     "dq":
      "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U
      0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU",
     "qi":
      "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5
      cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U"}"#;
    const A2_HEADER: &str = "eyJhbGciOiJSUzI1NiJ9";
    const A2_SIGNATURE: &str = "
    cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W
    2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkS
    jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv
    Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    const A3_KEY: &str = r#"
    {"kty":"EC",
     "crv":"P-256",
     "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
     "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
     "d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
    const A3_HEADER: &str = "eyJhbGciOiJFUzI1NiJ9";
    const A3_SIGNATURE: &str = "
    DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    const A4_KEY: &str = r#"
    {"kty":"EC",
     "crv":"P-521",
     "x":
      "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
     "y":
      "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
     "d":
      "AY5pb7A0UFiB3RELSD64fTLOSV_jazdF7fLYyuTw8lOfRhWg6Y6rUrPAxerEzgdRhajnu0ferB0d53vM9mE15j2C"}"#;
    const A4_HEADER: &str = "eyJhbGciOiJFUzUxMiJ9";
    const A4_SIGNATURE: &str = "
    AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7Xdt
    AG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
    const A4_PAYLOAD: &str = "UGF5bG9hZA";
    const A5_HEADER: &str = "eyJhbGciOiJub25lIn0";

    fn claims() -> Value {
        json!({"iss": "joe", "exp": 1_300_819_380, "http://example.com/is_root": true})
    }

    #[track_caller]
    fn signed_claims(algorithm: Algorithm, jwk: &str, header: &str, signature: &str) {
        let token = compact([header, CLAIMS, signature]);
        for key in keys(algorithm, jwk) {
            let clock = ManualClock::at(NOW);
            let verifier = Verifier::new(key).clock(clock.clone());
            let verified = verifier.verify(&token).unwrap();
            assert_eq!(*verified.claims::<Value>().unwrap(), claims());
            assert_eq!(verified.issuer(), Some("joe"));
            assert_eq!(verified.expires_at().seconds(), 1_300_819_380);
            assert_eq!(verified.algorithm(), Some(algorithm));
            for forged in with_another_signature(&token) {
                refused(&verifier, &forged, VerifyErrorKind::BadSignature);
            }
            clock.set(1_300_819_380 + Verifier::DEFAULT_LEEWAY.as_secs() - 1);
            verifier.verify(&token).unwrap();
            clock.set(1_300_819_380 + Verifier::DEFAULT_LEEWAY.as_secs());
            refused(&verifier, &token, VerifyErrorKind::Expired);
        }
    }

    #[test]
    fn a_1_hs256() {
        signed_claims(Algorithm::HS256, A1_KEY, A1_HEADER, A1_SIGNATURE);
    }

    #[test]
    fn a_2_rs256() {
        signed_claims(Algorithm::RS256, A2_KEY, A2_HEADER, A2_SIGNATURE);
    }

    #[test]
    fn a_3_es256() {
        signed_claims(Algorithm::ES256, A3_KEY, A3_HEADER, A3_SIGNATURE);
    }

    #[test]
    fn a_4_es512() {
        let token = compact([A4_HEADER, A4_PAYLOAD, A4_SIGNATURE]);
        for verifier in verifiers(Algorithm::ES512, A4_KEY) {
            signed_but_no_claims(&verifier, &token);
        }
    }

    #[test]
    fn a_5_unsecured() {
        for (algorithm, jwk) in [
            (Algorithm::HS256, A1_KEY),
            (Algorithm::RS256, A2_KEY),
            (Algorithm::ES256, A3_KEY),
            (Algorithm::ES512, A4_KEY),
        ] {
            for verifier in verifiers(algorithm, jwk) {
                let unsigned = compact([A5_HEADER, CLAIMS, ""]);
                refused(&verifier, &unsigned, VerifyErrorKind::Malformed);
                let signed = compact([A5_HEADER, CLAIMS, A1_SIGNATURE]);
                refused(&verifier, &signed, VerifyErrorKind::NoFittingKey);
            }
        }
    }

    /// JSON serialization is for JWSs that are not JWTs (RFC 7519 §1: a JWT is compact). The
    /// signatures are those of A.2 and A.3. Their `kid`s are in an unsigned header, which a compact
    /// token does not have.
    #[test]
    fn a_6_and_a_7_json() {
        let signature = |header, kid, signature| {
            json!({
                "protected": header,
                "header": {"kid": kid},
                "signature": unwrapped(signature),
            })
        };
        let rsa = signature(A2_HEADER, "2010-12-29", A2_SIGNATURE);
        let ec_id = "e9bc097a-ce51-4036-9562-d2ade882db0d";
        let mut flattened = signature(A3_HEADER, ec_id, A3_SIGNATURE);
        let general = json!({"payload": unwrapped(CLAIMS), "signatures": [rsa, flattened]});
        flattened["payload"] = json!(unwrapped(CLAIMS));

        let [rsa, _] = keys(Algorithm::RS256, A2_KEY);
        let [ec, _] = keys(Algorithm::ES256, A3_KEY);
        let keys = KeySet::new([rsa.with_key_id("2010-12-29"), ec.with_key_id(ec_id)]).unwrap();
        let verifier = Verifier::new(keys).clock(ManualClock::at(NOW));
        for json in [general, flattened] {
            refused_json(&verifier, &json);
        }
        for (header, signature, kid) in [
            (A2_HEADER, A2_SIGNATURE, "2010-12-29"),
            (A3_HEADER, A3_SIGNATURE, ec_id),
        ] {
            let token = compact([header, CLAIMS, signature]);
            assert_eq!(
                verifier.verify(&token).unwrap().issuer(),
                Some("joe"),
                "{kid}"
            );
        }
    }
}

mod rfc_7520 {
    use super::*;

    /// §3.2
    const EC_KEY: &str = r#"
    {"kty":"EC",
     "kid":"bilbo.baggins@hobbiton.example",
     "use":"sig",
     "crv":"P-521",
     "x":
      "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
     "y":
      "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1",
     "d":
      "AAhRON2r9cqXX1hg-RoI6R1tX5p2rUAYdmpHZoC1XNM56KtscrX6zbKipQrCW9CGZH3T4ubpnoTKLDYJ_fF3_rJt"}"#;
    /// §3.4
    const RSA_KEY: &str = r#"
    {"kty":"RSA",
     "kid":"bilbo.baggins@hobbiton.example",
     "use":"sig",
     "n":
      "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_
      AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpP
      e7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg
      _3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw",
     "e":"AQAB",
     "d":
      "bWUC9B-EFRIo8kpGfh0ZuyGPvMNKvYWNtB_ikiH9k20eT-O1q_I78eiZkpXxXQ0UTEs2LsNRS-8uJbvQ-A1irkwM
      SMkK1J3XTGgdrhCku9gRldY7sNA_AKZGh-Q661_42rINLRCe8W-nZ34ui_qOfkLnK9QWDDqpaIsA-bMwWWSDFu2M
      UBYwkHTMEzLYGqOe04noqeq1hExBTHBOBdkMXiuFhUq1BU6l-DqEiWxqg82sXt2h-LMnT3046AOYJoRioz75tSUQ
      fGCshWTBnP5uDjd18kKhyv07lhfSJdrPdM5Plyl21hsFf4L_mHCuoFau7gdsPfHPxxjVOcOpBrQzwQ",
     "p":
      "3Slxg_DwTXJcb6095RoXygQCAZ5RnAvZlno1yhHtnUex_fp7AZ_9nRaO7HX_-SFfGQeutao2TDjDAWU4Vupk8rw9
      JR0AzZ0N2fvuIAmr_WCsmGpeNqQnev1T7IyEsnh8UMt-n5CafhkikzhEsrmndH6LxOrvRJlsPp6Zv8bUq0k",
     "q":
      "uKE2dh-cTf6ERF4k4e_jy78GfPYUIaUyoSSJuBzp3Cubk3OCqs6grT8bR_cu0Dm1MZwWmtdqDyI95HrUeq3MP15v
      MMON8lHTeZu2lmKvwqW7anV5UzhM1iZ7z4yMkuUwFWoBvyY898EXvRD-hdqRxHlSqAZ192zB3pVFJ0s7pFc",
     "dp":
      "B8PVvXkvJrj2L-GYQ7v3y9r6Kw5g9SahXBwsWUzp19TVlgI-YV85q1NIb1rxQtD-IsXXR3-TanevuRPRt5OBOdiM
      GQp8pbt26gljYfKU_E9xn-RULHz0-ed9E9gXLKD4VGngpz-PfQ_q29pk5xWHoJp009Qf1HvChixRX59ehik",
     "dq":
      "CLDmDGduhylc9o7r84rEUVn7pzQ6PF83Y-iBZx5NT-TpnOZKF1pErAMVeKzFEl41DlHHqqBLSM0W1sOFbwTxYWZD
      m6sI6og5iTbwQGIC3gnJKbi_7k_vJgGHwHxgPaX2PnvP-zyEkDERuf-ry4c_Z11Cq9AqC2yeL6kdKT1cYF8",
     "qi":
      "3PiqvXQN0zwMeE-sBvZgi289XP9XCQF3VWqPzMKnIgQp7_Tugo6-NZBKCQsMf3HaEGBjTVJs_jcK8-TRXvaKe-7Z
      MaQj8VfBdYkssbu0NKDDhjJ-GtiseaDVWt7dcH0cfwxgFUHpQh7FoCrjFJ6h6ZEpMF6xmujs4qMpPz8aaI4"}"#;
    /// §3.5
    const MAC_KEY: &str = r#"
    {"kty":"oct",
     "kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037",
     "use":"sig",
     "alg":"HS256",
     "k":"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"}"#;
    /// §4, figure 8
    const PAYLOAD: &str = "
    SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAg
    b250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dp
    bmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
    const HEADER_4_1: &str =
        "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
    const SIGNATURE_4_1: &str = "
    MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83
    xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJ
    Dt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12
    podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg";
    const HEADER_4_2: &str =
        "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
    const SIGNATURE_4_2: &str = "
    cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6
    O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqi
    VJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_
    jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw";
    const HEADER_4_3: &str =
        "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
    const SIGNATURE_4_3: &str = "
    AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJ
    AQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2";
    const HEADER_4_4: &str = "
    eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9";
    const SIGNATURE_4_4: &str = "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0";
    const HEADER_4_6: &str = "eyJhbGciOiJIUzI1NiJ9";
    const SIGNATURE_4_6: &str = "bWUSVaxorn7bEF1djytBd0kHv70Ly5pvbomzMWSOr20";
    const SIGNATURE_4_7: &str = "xuLifqLGiblpv9zBpuZczWhNj1gARaLV3UxvxhJxZuk";
    const HEADER_4_8: &str = "eyJhbGciOiJSUzI1NiJ9";
    const SIGNATURE_4_8_RSA: &str = "
    MIsjqtVlOpa71KE-Mss8_Nq2YH4FGhiocsqrgi5NvyG53uoimic1tcMdSg-qptrzZc7CG6Svw2Y13TDIqHzTUrL_
    lR2ZFcryNFiHkSw129EghGpwkpxaTn_THJTCglNbADko1MZBCdwzJxwqZc-1RlpO2HibUYyXSwO97BSe0_evZKdj
    vvKSgsIqjytKSeAMbhMBdMma622_BG5t4sdbuCHtFjp9iJmkio47AIwqkZV1aIZsv33uPUqBBCXbYoQJwt7mxPft
    HmNlGoOSMxR_3thmXTCm4US-xiNOyhbm8afKK64jU6_TPtQHiJeQJxz9G3Tx-083B745_AfYOnlC9w";
    const SIGNATURE_4_8_EC: &str = "
    ARcVLnaJJaUWG8fG-8t5BREVAuTY8n8YHjwDO1muhcdCoFZFFjfISu0Cdkn9Ybdlmi54ho0x924DUz8sK7ZXkhc7
    AFM8ObLfTvNCrqcI3Jkl2U5IX3utNhODH6v7xgy1Qahsn0fyb4zSAkje8bAWz4vIfj5pCMYxxm4fgV3q7ZYhm5eD";

    /// The keys of the cookbook in one set. The RSA key serves two algorithms, so it is there twice
    /// with one `kid`.
    fn cookbook() -> [Verifier; 2] {
        let rs256 = keys(Algorithm::RS256, RSA_KEY);
        let ps384 = keys(Algorithm::PS384, RSA_KEY);
        let es512 = keys(Algorithm::ES512, EC_KEY);
        let hs256 = keys(Algorithm::HS256, MAC_KEY);
        [0, 1].map(|half| {
            let set = [&rs256, &ps384, &es512, &hs256].map(|keys| keys[half].clone());
            Verifier::new(KeySet::new(set).unwrap())
        })
    }

    #[track_caller]
    fn signed_sentence(algorithm: Algorithm, jwk: &str, header: &str, signature: &str) {
        let token = compact([header, PAYLOAD, signature]);
        for verifier in verifiers(algorithm, jwk).iter().chain(&cookbook()) {
            signed_but_no_claims(verifier, &token);
        }
        // In a set the `kid` selects the key, and these tokens have one.
        let [key, _] = keys(algorithm, jwk);
        let other = KeySet::new([key.with_key_id("frodo.baggins@hobbiton.example")]).unwrap();
        refused(&Verifier::new(other), &token, VerifyErrorKind::NoFittingKey);
    }

    #[test]
    fn the_payload_is_the_sentence() {
        let sentence = "It\u{2019}s a dangerous business, Frodo, going out your door. You step onto the road, \
            and if you don't keep your feet, there\u{2019}s no knowing where you might be swept off to.";
        let encoded = base64_simd::URL_SAFE_NO_PAD.encode_to_string(sentence);
        assert_eq!(encoded, unwrapped(PAYLOAD));
    }

    #[test]
    fn s_4_1_rs256() {
        signed_sentence(Algorithm::RS256, RSA_KEY, HEADER_4_1, SIGNATURE_4_1);
    }

    #[test]
    fn s_4_2_ps384() {
        signed_sentence(Algorithm::PS384, RSA_KEY, HEADER_4_2, SIGNATURE_4_2);
    }

    #[test]
    fn s_4_3_es512() {
        signed_sentence(Algorithm::ES512, EC_KEY, HEADER_4_3, SIGNATURE_4_3);
    }

    #[test]
    fn s_4_4_hs256() {
        signed_sentence(Algorithm::HS256, MAC_KEY, HEADER_4_4, SIGNATURE_4_4);
    }

    /// The payload is detached, and a JWT needs its claims. Its signature is that of 4.4.
    #[test]
    fn s_4_5_detached() {
        let token = compact([HEADER_4_4, "", SIGNATURE_4_4]);
        for verifier in cookbook() {
            refused(&verifier, &token, VerifyErrorKind::Malformed);
        }
    }

    /// JSON serialization with unsigned headers or several signatures. Neither has a compact form,
    /// so neither is a JWT. What fits into three segments is tested.
    #[test]
    fn s_4_6_to_4_8_json() {
        let payload = unwrapped(PAYLOAD);
        let mac_id = "018c0ae5-4d9b-471b-bfd6-eef314bc7037";
        let protected_in_part = json!({
            "payload": payload,
            "protected": HEADER_4_6,
            "header": {"kid": mac_id},
            "signature": SIGNATURE_4_6,
        });
        let not_protected = json!({
            "payload": payload,
            "header": {"alg": "HS256", "kid": mac_id},
            "signature": SIGNATURE_4_7,
        });
        let several = json!({
            "payload": payload,
            "signatures": [
                {
                    "protected": HEADER_4_8,
                    "header": {"kid": "bilbo.baggins@hobbiton.example"},
                    "signature": unwrapped(SIGNATURE_4_8_RSA),
                },
                {
                    "header": {"alg": "ES512", "kid": "bilbo.baggins@hobbiton.example"},
                    "signature": unwrapped(SIGNATURE_4_8_EC),
                },
                {"protected": unwrapped(HEADER_4_4), "signature": SIGNATURE_4_4},
            ],
        });
        for verifier in cookbook() {
            for json in [&protected_in_part, &not_protected, &several] {
                refused_json(&verifier, json);
            }
            for signature in [SIGNATURE_4_7, SIGNATURE_4_8_EC] {
                let headless = compact(["", PAYLOAD, signature]);
                refused(&verifier, &headless, VerifyErrorKind::Malformed);
            }
            for (header, signature) in
                [(HEADER_4_6, SIGNATURE_4_6), (HEADER_4_8, SIGNATURE_4_8_RSA)]
            {
                signed_but_no_claims(&verifier, &compact([header, PAYLOAD, signature]));
            }
        }
    }
}

/// A.3, the key's thumbprint (RFC 7638), is left out: this crate makes no thumbprints.
mod rfc_8037 {
    use super::*;

    /// A.1; A.2 is the same without `d`.
    const KEY: &str = r#"
    {"kty":"OKP",
     "crv":"Ed25519",
     "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
     "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    /// A.4. It cannot be signed here, though Ed25519 is deterministic: [`SigningKey`] writes its
    /// own header.
    const TOKEN: &str = "
    eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.
    hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    #[test]
    fn a_1_and_a_2_keys() {
        let jwk = unwrapped(KEY);
        let signing = SigningKey::from_jwk(&jwk).unwrap();
        assert_eq!(signing.algorithm(), Algorithm::EdDSA);
        // What it signs, the public half of A.2 verifies.
        let token = signing.sign(&json!({"exp": NOW + 1})).unwrap();
        for verifier in verifiers(Algorithm::EdDSA, KEY) {
            verifier.verify(&token).unwrap();
        }
        // A public half that belongs to another seed makes no key.
        let mismatched = jwk.replace("\"nWGx", "\"oWGx");
        assert_eq!(
            SigningKey::from_jwk(&mismatched).unwrap_err(),
            KeyError::Unreadable
        );
    }

    #[test]
    fn a_4_and_a_5_signature() {
        for verifier in verifiers(Algorithm::EdDSA, KEY) {
            signed_but_no_claims(&verifier, &unwrapped(TOKEN));
        }
        // RFC 9864: the name of the algorithm must match as well.
        for verifier in verifiers(Algorithm::Ed25519, KEY) {
            refused(&verifier, &unwrapped(TOKEN), VerifyErrorKind::NoFittingKey);
        }
    }

    /// A.6 and A.7: X25519 and X448 agree on keys and sign nothing.
    #[test]
    fn a_6_and_a_7_key_agreement() {
        for jwk in [
            r#"{"kty":"OKP","crv":"X25519","kid":"Bob","x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"}"#,
            r#"{"kty":"OKP","crv":"X25519","x":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"}"#,
            r#"{"kty":"OKP","crv":"X448","kid":"Dave",
                "x":"PreoKbDNIPW8_AtZm2_sz22kYnEHvbDU80W0MCfYuXL8PjT7QjKhPKcG3LV67D2uB73BxnvzNgk"}"#,
            r#"{"kty":"OKP","crv":"X448",
                "x":"mwj3zDG34-Z9ItWuoSEHSic70rg94Jxj-qc9LCLF2bvINmRyQdlT1AxbEtqIEg1TF3-A5TLEH6A"}"#,
        ] {
            assert_eq!(
                VerifyingKey::from_jwk(jwk).unwrap_err(),
                KeyError::Unsupported
            );
            assert_eq!(
                VerifyingKey::from_jwk_for(Algorithm::EdDSA, jwk).unwrap_err(),
                KeyError::AlgorithmMismatch
            );
        }
    }
}

#[test]
fn thumbprints_of_keys() {
    for (algorithm, jwk, thumbprint) in [
        // RFC 7638 §3.1.
        (
            Algorithm::RS256,
            r#"{"kty":"RSA","n":"
               0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1
               L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4
               QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbO
               pbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csF
               Cur-kEgU8awapJzKnqDKgw
               ","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#,
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        ),
        // RFC 8037 appendix A.3.
        (
            Algorithm::EdDSA,
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        ),
        // RFC 9449 §4.2 and §6.1.
        (
            Algorithm::ES256,
            r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
                "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#,
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
        ),
    ] {
        let key = VerifyingKey::from_jwk_for(algorithm, unwrapped(jwk)).unwrap();
        assert_eq!(key.jwk_thumbprint().as_deref(), Some(thumbprint), "{jwk}");
    }
    let secret = VerifyingKey::hs256([7; 32]).unwrap();
    assert_eq!(secret.jwk_thumbprint(), None);
}
