//! The deviations from the RFCs that a verifier accepts only if it is told to.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics fails"
)]

use std::time::Duration;

use base64_simd::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::value::RawValue;
use tower_jwt_auth::VerifyErrorKind::{self, *};
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::{SigningKey, TokenHeader};
use tower_jwt_auth::openid::IdTokenVerifier;
use tower_jwt_auth::revocation::{Revocation, RevocationStore, TokenIdentity};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::{TrustedIssuer, VerifiedToken, Verifier};

const SECRET: [u8; 32] = [7; 32];
const NOW: u64 = 1_900_000_000;
const HOUR: Duration = Duration::from_secs(3600);

fn key() -> SigningKey {
    SigningKey::hs256(SECRET).unwrap()
}

/// A token with exactly this payload.
fn token(payload: &str) -> String {
    let payload = RawValue::from_string(payload.to_owned()).unwrap();
    key().sign(&payload).unwrap()
}

fn verifier() -> Verifier {
    Verifier::new(key().verifying_key()).clock(ManualClock::at(NOW))
}

fn kind(verifier: &Verifier, token: &str) -> Result<VerifiedToken, VerifyErrorKind> {
    verifier.verify(token).map_err(|error| error.kind())
}

#[track_caller]
fn rejected(verifier: &Verifier, payload: &str, why: VerifyErrorKind) {
    assert_eq!(
        kind(verifier, &token(payload)).err(),
        Some(why),
        "{payload}"
    );
}

#[track_caller]
fn accepted(verifier: &Verifier, payload: &str) -> VerifiedToken {
    kind(verifier, &token(payload)).unwrap_or_else(|kind| panic!("{kind:?}: {payload}"))
}

#[test]
fn a_token_may_have_one_of_several_types() {
    let verifier = verifier().typ("at+jwt").typ("application/access+jwt");
    let of_type = |typ: &str| {
        let header = TokenHeader::new().typ(typ);
        let claims = serde_json::json!({ "exp": NOW + 60 });
        key().sign_with(&header, &claims).unwrap()
    };
    for typ in [
        "at+jwt",
        "application/AT+JWT",
        "access+jwt",
        "application/access+jwt",
    ] {
        assert!(verifier.verify(of_type(typ)).is_ok(), "{typ}");
    }
    for typ in ["JWT", "id+jwt", "", "logout+jwt"] {
        assert_eq!(
            kind(&verifier, &of_type(typ)).err(),
            Some(WrongType),
            "{typ}"
        );
    }
    let without = TokenHeader::new().without_typ();
    let claims = serde_json::json!({ "exp": NOW + 60 });
    let without = key().sign_with(&without, &claims).unwrap();
    assert_eq!(kind(&verifier, &without).err(), Some(WrongType));
}

#[test]
fn types_of_other_tokens_are_never_accepted() {
    for typ in [
        "logout+jwt",
        "application/LOGOUT+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
    ] {
        let set = std::panic::catch_unwind(|| verifier().typ(typ));
        assert!(set.is_err(), "{typ}");
    }
}

#[test]
fn null_counts_as_absent_only_if_allowed() {
    let payload = r#"{"iss":null,"sub":null,"aud":null,"nbf":null,"iat":null,"jti":null,"sid":null,"exp":1900000060}"#;
    rejected(&verifier(), payload, MalformedClaims);
    let lax = verifier().allow_null_claims();
    let token = accepted(&lax, payload);
    assert_eq!(
        (token.issuer(), token.subject(), token.token_id()),
        (None, None, None)
    );
    assert_eq!(token.audience().count(), 0);

    rejected(&lax, r#"{"exp":null}"#, MissingExpiry);
    let strict = lax.clone().issuer("a").audience("b");
    rejected(
        &strict,
        r#"{"iss":null,"aud":"b","exp":1900000060}"#,
        MissingIssuer,
    );
    rejected(
        &strict,
        r#"{"iss":"a","aud":null,"exp":1900000060}"#,
        MissingAudience,
    );
    // A key binding or an event that cannot be read is no reason to accept a token.
    rejected(&lax, r#"{"cnf":null,"exp":1900000060}"#, MalformedClaims);
    rejected(&lax, r#"{"events":null,"exp":1900000060}"#, LogoutToken);
    rejected(
        &lax,
        r#"{"sub":null,"sub":"a","exp":1900000060}"#,
        MalformedClaims,
    );
    rejected(&lax, r#"{"sub":1,"exp":1900000060}"#, MalformedClaims);
}

#[test]
fn an_integer_subject_is_its_decimal_string_only_if_allowed() {
    let payload = r#"{"sub":42,"exp":1900000060}"#;
    rejected(&verifier(), payload, MalformedClaims);
    let lax = verifier().allow_integer_subject();
    assert_eq!(accepted(&lax, payload).subject(), Some("42"));
    // The second time it is in the cache.
    assert_eq!(accepted(&lax, payload).subject(), Some("42"));
    assert_eq!(
        accepted(&lax, r#"{"sub":"42","exp":1900000060}"#).subject(),
        Some("42")
    );
    let large = r#"{"sub":9999999999999999999,"exp":1900000060}"#;
    assert_eq!(accepted(&lax, large).subject(), Some("9999999999999999999"));
    for subject in [
        "-1",
        "1.0",
        "1e2",
        "10000000000000000000",
        "null",
        "true",
        "[1]",
        "{}",
    ] {
        let payload = format!(r#"{{"sub":{subject},"exp":1900000060}}"#);
        rejected(&lax, &payload, MalformedClaims);
    }
    let both = lax.allow_null_claims();
    assert_eq!(
        accepted(&both, r#"{"sub":null,"exp":1900000060}"#).subject(),
        None
    );
    assert_eq!(accepted(&both, payload).subject(), Some("42"));
    // Other claims stay strings.
    rejected(&both, r#"{"jti":1,"exp":1900000060}"#, MalformedClaims);
}

#[test]
fn a_token_without_exp_expires_by_iat_only_if_allowed() {
    let payload = format!(r#"{{"sub":"a","iat":{NOW}}}"#);
    rejected(&verifier(), &payload, MissingExpiry);

    for is_cached in [true, false] {
        let clock = ManualClock::at(NOW);
        let mut lax = verifier().clock(clock.clone()).allow_missing_expiry(HOUR);
        if !is_cached {
            lax = lax.without_cache();
        }
        let token = accepted(&lax, &payload);
        assert_eq!(token.expires_at().seconds(), NOW + 3600);
        clock.advance(HOUR + Verifier::DEFAULT_LEEWAY - Duration::from_secs(1));
        accepted(&lax, &payload);
        clock.advance(Duration::from_secs(1));
        rejected(&lax, &payload, Expired);
    }

    let lax = verifier().allow_missing_expiry(HOUR);
    rejected(&lax, r#"{"sub":"a"}"#, MissingClaim);
    rejected(&lax, &format!(r#"{{"iat":{}}}"#, NOW + 60), IssuedInFuture);
    // `exp` counts if it is there.
    rejected(&lax, &format!(r#"{{"iat":{NOW},"exp":1}}"#), Expired);
    let late = accepted(&lax, &format!(r#"{{"iat":{NOW},"exp":{}}}"#, NOW + 9000));
    assert_eq!(late.expires_at().seconds(), NOW + 9000);
    // A `null` is no date.
    rejected(
        &lax,
        &format!(r#"{{"iat":{NOW},"exp":null}}"#),
        MalformedClaims,
    );
    let both = lax.allow_null_claims();
    accepted(&both, &format!(r#"{{"iat":{NOW},"exp":null}}"#));
    rejected(&both, r#"{"iat":null}"#, MissingClaim);
}

#[tokio::test]
async fn a_token_without_exp_can_be_revoked() {
    let clock = ManualClock::at(NOW);
    let store = MemoryStore::with_clock(clock.clone());
    let lax = verifier().clock(clock.clone()).allow_missing_expiry(HOUR);
    let token = accepted(&lax, &format!(r#"{{"jti":"a","iat":{NOW}}}"#));
    let token = TokenIdentity::from(&token);
    store
        .revoke(&Revocation::of_token(&token).unwrap())
        .unwrap();
    clock.advance(HOUR);
    store.prune();
    assert!(store.is_revoked(&token).await.unwrap());
}

/// A token whose segments have padding, as AWS writes them.
fn padded(payload: &str) -> [String; 3] {
    padded_with(r#"{"alg":"HS256" }"#, payload)
}

fn padded_with(header: &str, payload: &str) -> [String; 3] {
    let header = URL_SAFE.encode_to_string(header);
    let payload = URL_SAFE.encode_to_string(payload);
    let input = format!("{header}.{payload}");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &SECRET);
    let signature = aws_lc_rs::hmac::sign(&key, input.as_bytes());
    [header, payload, URL_SAFE.encode_to_string(signature)]
}

#[test]
fn padded_segments_are_accepted_only_if_allowed() {
    let [header, payload, signature] = padded(r#"{"exp":1900000060 }"#);
    assert!(
        [&header, &payload, &signature]
            .iter()
            .all(|part| part.ends_with('='))
    );
    let whole = format!("{header}.{payload}.{signature}");
    assert!(verifier().verify(&whole).is_err());
    let lax = verifier().allow_padding();
    assert!(lax.verify(&whole).is_ok());
    assert!(lax.verify(&whole).is_ok());
    assert!(lax.verify(token(r#"{"exp":1900000060}"#)).is_ok());

    // The signature is of the padded text.
    let bare = whole.replace('=', "");
    assert_eq!(kind(&lax, &bare).err(), Some(BadSignature));
    for (wrong, why) in [
        (format!("{header}=.{payload}.{signature}"), MalformedHeader),
        (format!("{header}.{payload}=.{signature}"), BadSignature),
        (format!("{header}.{payload}.{signature}="), Malformed),
        (format!("{header}.{payload}.{signature}===="), Malformed),
        (format!("{header}.{payload}.="), Malformed),
    ] {
        assert_eq!(kind(&lax, &wrong).err(), Some(why), "{wrong}");
    }
    // Stray bits are no padding.
    let stray = URL_SAFE_NO_PAD
        .encode_to_string([0_u8; 32])
        .replace('A', "B")
        + "=";
    assert_eq!(
        kind(&lax, &format!("{header}.{payload}.{stray}")).err(),
        Some(Malformed)
    );
}

const DEVIATING: &str = "https://deviating.example";
const STRICT: &str = "https://strict.example";

type Change = fn(TrustedIssuer) -> TrustedIssuer;

/// A verifier for two issuers with the same key, of which one may deviate.
fn of_two(deviate: Change) -> Verifier {
    let issuer = |name| TrustedIssuer::new(name, key().verifying_key());
    Verifier::new([issuer(STRICT), deviate(issuer(DEVIATING))]).clock(ManualClock::at(NOW))
}

#[test]
fn g14_an_opt_in_of_one_issuer_does_not_loosen_another() {
    let [integer, null]: [Change; 2] = [
        TrustedIssuer::allow_integer_subject,
        TrustedIssuer::allow_null_claims,
    ];
    let ageing: Change = |issuer| issuer.allow_missing_expiry(HOUR);
    let (far, near) = (NOW + 60, NOW);
    let cases: [(Change, String, VerifyErrorKind); 3] = [
        (integer, format!(r#""sub":42,"exp":{far}"#), MalformedClaims),
        (null, format!(r#""jti":null,"exp":{far}"#), MalformedClaims),
        (ageing, format!(r#""iat":{near}"#), MissingExpiry),
    ];
    for (deviate, members, why) in &cases {
        let verifier = of_two(*deviate);
        let with = |issuer: &str| format!(r#"{{{members},"iss":"{issuer}"}}"#);
        // The second time from the cache, and in either order.
        for _ in 0..2 {
            accepted(&verifier, &with(DEVIATING));
            rejected(&verifier, &with(STRICT), *why);
            rejected(&verifier, &with("https://unknown.example"), UnknownIssuer);
        }
        rejected(&verifier, &format!(r#"{{{members}}}"#), MissingIssuer);
        rejected(&of_two(|issuer| issuer), &with(DEVIATING), *why);
        // Each opt-in allows one deviation.
        for (_, others, why) in cases.iter().filter(|(_, others, _)| others != members) {
            let payload = format!(r#"{{{others},"iss":"{DEVIATING}"}}"#);
            rejected(&verifier, &payload, *why);
        }
        // `iss` decides nothing unless the signature is good.
        let forged = SigningKey::hs256([8; 32]).unwrap();
        let payload = RawValue::from_string(with(DEVIATING)).unwrap();
        let forged = forged.sign(&payload).unwrap();
        assert_eq!(kind(&verifier, &forged).err(), Some(BadSignature));
    }
    let lax = of_two(integer);
    let payload = format!(r#"{{"sub":42,"exp":{far},"iss":"{DEVIATING}"}}"#);
    assert_eq!(accepted(&lax, &payload).subject(), Some("42"));
    for subject in ["-1", "1.0", "1e2", "10000000000000000000", "null"] {
        let payload = format!(r#"{{"sub":{subject},"exp":{far},"iss":"{DEVIATING}"}}"#);
        rejected(&lax, &payload, MalformedClaims);
    }
    let both = of_two(|issuer| issuer.allow_null_claims());
    let nameless = format!(r#"{{"iss":null,"exp":{far}}}"#);
    rejected(&both, &nameless, MissingIssuer);
}

#[test]
fn g14_padding_is_allowed_for_one_issuer() {
    let verifier = of_two(TrustedIssuer::allow_padding);
    let with = |header: &str, space: &str, issuer: &str| {
        let payload = format!(r#"{{"exp":1900000060,"iss":"{issuer}"{space}}}"#);
        padded_with(header, &payload)
    };
    for header in [r#"{"alg":"HS256"}"#, r#"{"alg":"HS256" }"#] {
        for space in ["", " ", "  "] {
            for keeps_signature in [true, false] {
                let token = |issuer| {
                    let [header, payload, signature] = with(header, space, issuer);
                    let bare = signature.trim_end_matches('=');
                    let signature = if keeps_signature { &signature } else { bare };
                    format!("{header}.{payload}.{signature}")
                };
                let strict = token(STRICT);
                let why = match strict.split_once('.') {
                    Some((header, _)) if header.ends_with('=') => Some(MalformedHeader),
                    _ => strict.contains('=').then_some(Malformed),
                };
                for _ in 0..2 {
                    assert_eq!(kind(&verifier, &token(DEVIATING)).err(), None);
                    assert_eq!(kind(&verifier, &strict).err(), why, "{strict}");
                }
            }
        }
    }
}

#[test]
fn g14_a_typ_is_allowed_for_one_issuer() {
    let of = |issuer: &str, typ: &str| {
        let header = TokenHeader::new().typ(typ);
        let claims = serde_json::json!({ "exp": NOW + 60, "iss": issuer });
        key().sign_with(&header, &claims).unwrap()
    };
    let verifier = of_two(|issuer| issuer.typ("access+jwt").typ("application/x+jwt"));
    let strict = verifier.clone().typ("at+jwt");
    for verifier in [&verifier, &strict] {
        for _ in 0..2 {
            for typ in ["access+jwt", "X+JWT"] {
                assert!(verifier.verify(of(DEVIATING, typ)).is_ok(), "{typ}");
                assert_eq!(kind(verifier, &of(STRICT, typ)).err(), Some(WrongType));
            }
            assert_eq!(
                kind(verifier, &of(DEVIATING, "at+jwt")).err(),
                Some(WrongType)
            );
            assert!(verifier.verify(of(STRICT, "at+jwt")).is_ok());
        }
    }
    assert!(verifier.verify(of(STRICT, "JWT")).is_ok());
    assert_eq!(kind(&strict, &of(STRICT, "JWT")).err(), Some(WrongType));
    // RFC 9068 has one type.
    let profile = verifier.rfc9068();
    assert_eq!(
        kind(&profile, &of(DEVIATING, "access+jwt")).err(),
        Some(WrongType)
    );
    for typ in ["", "application/", "logout+jwt", "dpop+jwt"] {
        let set =
            std::panic::catch_unwind(|| TrustedIssuer::new(STRICT, key().verifying_key()).typ(typ));
        assert!(set.is_err(), "{typ}");
    }
}

#[test]
fn g14_typ_is_optional_for_one_issuer() {
    let of = |issuer: &str, header: TokenHeader| {
        let claims = serde_json::json!({ "exp": NOW + 60, "iss": issuer });
        key().sign_with(&header, &claims).unwrap()
    };
    let without = || TokenHeader::new().without_typ();
    let typ = |typ: &str| TokenHeader::new().typ(typ);
    let by_verifier = of_two(TrustedIssuer::typ_optional).typ("at+jwt");
    let by_issuer = of_two(|issuer| issuer.typ_optional().typ("at+jwt")).typ("access+jwt");
    for (verifier, of_the_other) in [(&by_verifier, "at+jwt"), (&by_issuer, "access+jwt")] {
        for _ in 0..2 {
            assert!(verifier.verify(of(DEVIATING, without())).is_ok());
            assert!(verifier.verify(of(DEVIATING, typ("at+jwt"))).is_ok());
            assert!(verifier.verify(of(STRICT, typ(of_the_other))).is_ok());
            for bad in [
                of(DEVIATING, typ("JWT")),
                of(DEVIATING, typ("logout+jwt")),
                of(STRICT, without()),
            ] {
                assert_eq!(kind(verifier, &bad).err(), Some(WrongType));
            }
        }
    }
    // RFC 9068 requires one.
    let profile = of_two(TrustedIssuer::typ_optional).rfc9068();
    assert_eq!(
        kind(&profile, &of(DEVIATING, without())).err(),
        Some(WrongType)
    );
}

#[test]
fn g14_any_audience_is_allowed_for_one_issuer() {
    let of = |issuer: &str, audience: &str| {
        format!(r#"{{"exp":1900000060,"iss":"{issuer}"{audience}}}"#)
    };
    let verifier = of_two(TrustedIssuer::any_audience);
    let named = verifier.clone().audience("api");
    for audience in ["", r#","aud":"other""#, r#","aud":[]"#] {
        accepted(&verifier, &of(DEVIATING, audience));
        accepted(&named, &of(DEVIATING, audience));
    }
    rejected(
        &verifier,
        &of(STRICT, r#","aud":"other""#),
        UnexpectedAudience,
    );
    rejected(&named, &of(STRICT, r#","aud":"other""#), WrongAudience);
    rejected(&named, &of(STRICT, ""), MissingAudience);
    accepted(&named, &of(STRICT, r#","aud":"api""#));
    let both = || of_two(|issuer| issuer.audience("api").any_audience());
    assert!(std::panic::catch_unwind(both).is_err());
    let both = || of_two(|issuer| issuer.any_audience().audience("api"));
    assert!(std::panic::catch_unwind(both).is_err());
    // An ID token is for the client.
    let of_client = || {
        let trusted = TrustedIssuer::new(STRICT, key().verifying_key());
        IdTokenVerifier::new(trusted.any_audience(), "client")
    };
    assert!(std::panic::catch_unwind(of_client).is_err());
}

/// They would loosen the rules for every issuer.
#[test]
fn g14_opt_ins_of_a_verifier_of_several_issuers_are_refused() {
    let one = || Verifier::new(TrustedIssuer::new(DEVIATING, key().verifying_key()));
    let changes: [fn(Verifier) -> Verifier; 4] = [
        Verifier::allow_integer_subject,
        Verifier::allow_null_claims,
        Verifier::allow_padding,
        |verifier| verifier.allow_missing_expiry(HOUR),
    ];
    for change in changes {
        let several = std::panic::catch_unwind(|| change(of_two(|issuer| issuer)));
        assert!(several.is_err());
        let _ = change(one());
    }
    let payload = format!(r#"{{"sub":42,"exp":{},"iss":"{DEVIATING}"}}"#, NOW + 60);
    let verifier = one().allow_integer_subject().clock(ManualClock::at(NOW));
    assert_eq!(accepted(&verifier, &payload).subject(), Some("42"));
}
