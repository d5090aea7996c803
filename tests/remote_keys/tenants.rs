//! Issuers by pattern, as Microsoft Entra ID has them, and keys with an issuer of their own.

use std::time::Duration;

use serde_json::{Value, json};
use tower_jwt_auth::keys::remote::RemoteKeys;
use tower_jwt_auth::keys::{KeySet, SigningKey, VerifyingKey};
use tower_jwt_auth::{JwtAuthLayer, TrustedIssuer, Verifier, VerifyErrorKind};

use crate::issuer::{Answer, Issuer};
use crate::{NOW, app, clock, key, status};

const PATTERN: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";
const OURS: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const OTHERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

fn named(tenant: &str) -> String {
    PATTERN.replace("{tenantid}", tenant)
}

/// A token as Entra makes it. `tid` is left out if it is null.
fn token(key: &SigningKey, issuer: &str, tid: impl Into<Value>) -> String {
    let mut claims = json!({
        "iss": issuer, "aud": "api", "sub": "me", "ver": "2.0", "exp": NOW + 100_000,
    });
    match tid.into() {
        Value::Null => (),
        tid => drop(claims.as_object_mut().unwrap().insert("tid".into(), tid)),
    }
    key.sign(&claims).unwrap()
}

/// The public key, with a member `issuer`.
fn jwk(key: &SigningKey, issuer: impl Into<Value>) -> String {
    let jwk = key.verifying_key().to_jwk().unwrap();
    let mut jwk: Value = serde_json::from_str(&jwk).unwrap();
    let members = jwk.as_object_mut().unwrap();
    members.insert("issuer".into(), issuer.into());
    jwk.to_string()
}

fn document(jwks: &[String]) -> String {
    format!(r#"{{"keys":[{}]}}"#, jwks.join(","))
}

fn verifier(issuer: TrustedIssuer) -> Verifier {
    Verifier::new(issuer).audience("api").clock(clock())
}

fn kind(verifier: &Verifier, token: &str) -> Option<VerifyErrorKind> {
    verifier.verify(token).err().map(|error| error.kind())
}

#[test]
fn only_a_token_of_the_tenant_in_its_issuer_is_accepted() {
    let key = key("1");
    let keys = KeySet::new([key.verifying_key()]).unwrap();
    let verifier = verifier(TrustedIssuer::tenants(PATTERN, keys).tenant(OURS));
    let good = token(&key, &named(OURS), OURS);
    // From the keys, and from the cache.
    for _ in 0..3 {
        assert_eq!(kind(&verifier, &good), None);
    }
    let wrong = Some(VerifyErrorKind::WrongTenant);
    let cases = [
        (token(&key, &named(OURS), OTHERS), wrong),
        (token(&key, &named(OURS), Value::Null), wrong),
        (token(&key, &named(OURS), OURS.to_uppercase()), wrong),
        (token(&key, &named(OURS), format!("{OURS} ")), wrong),
        (
            token(&key, &named(OTHERS), OURS),
            Some(VerifyErrorKind::UnknownIssuer),
        ),
        (
            token(&key, &named(OTHERS), OTHERS),
            Some(VerifyErrorKind::UnknownIssuer),
        ),
        (
            token(&key, PATTERN, "{tenantid}"),
            Some(VerifyErrorKind::UnknownIssuer),
        ),
        (
            token(&key, &named(OURS), json!([OURS])),
            Some(VerifyErrorKind::MalformedClaims),
        ),
    ];
    for (token, expected) in &cases {
        assert_eq!(kind(&verifier, token), *expected);
        assert_eq!(kind(&verifier, token), *expected);
    }
}

#[test]
fn a_tenant_that_is_named_twice_is_rejected() {
    let key = key("1");
    let keys = KeySet::new([key.verifying_key()]).unwrap();
    let verifier = verifier(TrustedIssuer::tenants(PATTERN, keys).any_tenant());
    for second in [r#""tid""#, r#""t\u0069d""#] {
        let payload = format!(
            r#"{{"iss":"{}","aud":"api","exp":{},"tid":"{OURS}",{second}:"{OURS}"}}"#,
            named(OURS),
            NOW + 300
        );
        let claims = serde_json::value::RawValue::from_string(payload).unwrap();
        let token = key.sign(&claims).unwrap();
        let expected = Some(VerifyErrorKind::MalformedClaims);
        assert_eq!(kind(&verifier, &token), expected, "{second}");
    }
}

#[test]
fn any_tenant_is_still_the_tenant_in_the_issuer() {
    let key = key("1");
    let keys = KeySet::new([key.verifying_key()]).unwrap();
    let verifier = verifier(TrustedIssuer::tenants(PATTERN, keys).any_tenant());
    for tenant in [OURS, OTHERS, "contoso.example"] {
        assert_eq!(kind(&verifier, &token(&key, &named(tenant), tenant)), None);
    }
    let crossed = token(&key, &named(OTHERS), OURS);
    assert_eq!(
        kind(&verifier, &crossed),
        Some(VerifyErrorKind::WrongTenant)
    );
    for name in ["", ".", "..", "a/b", "é"] {
        let token = token(&key, &named(name), name);
        let expected = Some(VerifyErrorKind::UnknownIssuer);
        assert_eq!(kind(&verifier, &token), expected, "{name}");
    }
}

#[test]
fn an_exact_issuer_wins_over_a_pattern() {
    let (own, shared) = (key("own"), key("shared"));
    let of = |key: &SigningKey| KeySet::new([key.verifying_key()]).unwrap();
    let verifier = Verifier::new([
        TrustedIssuer::tenants(PATTERN, of(&shared)).any_tenant(),
        TrustedIssuer::new(named(OURS), of(&own)).audience("ours"),
    ])
    .audience("api")
    .clock(clock());
    let fitting = |key, tenant: &str| kind(&verifier, &token(key, &named(tenant), tenant));
    assert_eq!(fitting(&shared, OTHERS), None);
    assert_eq!(fitting(&shared, OURS), Some(VerifyErrorKind::NoFittingKey));
    assert_eq!(fitting(&own, OURS), Some(VerifyErrorKind::WrongAudience));
}

#[tokio::test]
async fn an_unknown_tenant_opens_no_socket() {
    let key = key("1");
    let issuer = Issuer::start().await;
    issuer.publish([&key]);
    let keys = std::thread::scope(|scope| {
        // Outside of the runtime: the first token starts the first fetch.
        let build = || RemoteKeys::jwks(format!("{}/jwks", issuer.name())).build();
        scope.spawn(build).join().unwrap().unwrap()
    });
    let trusted = TrustedIssuer::tenants(PATTERN, keys).tenant(OURS);
    let verifier = verifier(trusted);
    for tenant in [OTHERS, "common", ""] {
        let token = token(&key, &named(tenant), tenant);
        let error = verifier.fetch_and_verify(&token).await.unwrap_err();
        assert_eq!(error.kind(), VerifyErrorKind::UnknownIssuer);
    }
    assert_eq!(issuer.connections(), 0);
    let good = token(&key, &named(OURS), OURS);
    verifier.fetch_and_verify(&good).await.unwrap();
    assert_eq!(issuer.connections(), 1);
}

#[tokio::test]
async fn keys_of_all_tenants_are_discovered_at_the_tenant_common() {
    let key = key("1");
    let issuer = Issuer::start().await;
    let pattern = format!("{}/{{tenantid}}/v2.0", issuer.name());
    let jwks = jwk(&key, pattern.as_str());
    issuer.answer("/jwks", Answer::Text(document(&[jwks])));
    let metadata = |name: &str| {
        let text = format!(
            r#"{{"issuer":"{name}","jwks_uri":"{}/jwks"}}"#,
            issuer.name()
        );
        issuer.answer(
            "/common/v2.0/.well-known/openid-configuration",
            Answer::Text(text),
        );
    };
    let layer = || {
        let keys = RemoteKeys::discover(&pattern).build().unwrap();
        let trusted = TrustedIssuer::tenants(&pattern, keys).tenant(OURS);
        JwtAuthLayer::new(trusted).audience("api").clock(clock())
    };
    let good = token(&key, &pattern.replace("{tenantid}", OURS), OURS);
    metadata(&pattern);
    assert_eq!(status(&app(&layer()), &good).await, 200);
    // The metadata of one tenant are not those of all.
    metadata(&pattern.replace("{tenantid}", OURS));
    assert_eq!(status(&app(&layer()), &good).await, 503);
}

#[test]
fn a_key_verifies_only_tokens_of_its_own_issuer() {
    let keys = [key("any"), key("tenant"), key("other"), key("v1")];
    let issuers = [
        PATTERN.to_owned(),
        named(OURS),
        named(OTHERS),
        "https://sts.windows.net/{tenantid}/".to_owned(),
    ];
    let jwks = keys.iter().zip(&issuers);
    let jwks: Vec<_> = jwks
        .map(|(key, issuer)| jwk(key, issuer.as_str()))
        .collect();
    let set = || KeySet::from_jwks(document(&jwks)).unwrap().keys;
    let by_name = || TrustedIssuer::new(named(OURS), set());
    let verifiers = [
        verifier(TrustedIssuer::tenants(PATTERN, set()).tenant(OURS)),
        verifier(by_name()),
        Verifier::new([by_name(), TrustedIssuer::new("other", set())])
            .audience("api")
            .clock(clock()),
        Verifier::new(set())
            .issuer(named(OURS))
            .audience("api")
            .clock(clock()),
        Verifier::new(set()).audience("api").clock(clock()),
    ];
    let wrong = Some(VerifyErrorKind::WrongKeyIssuer);
    for verifier in &verifiers {
        let of = |key: &SigningKey| kind(verifier, &token(key, &named(OURS), OURS));
        // Twice: the header is remembered.
        for _ in 0..2 {
            assert_eq!(keys.each_ref().map(of), [None, None, wrong, wrong]);
        }
    }
    // The tenant of a key for all tenants is in `tid`, whatever is trusted.
    let [any, ..] = &keys;
    for verifier in &verifiers[1..] {
        for tid in [json!(OTHERS), json!(format!("{OURS}/x"))] {
            assert!(kind(verifier, &token(any, &named(OURS), tid)).is_some());
        }
        let none = kind(verifier, &token(any, &named(OURS), Value::Null));
        assert_eq!(none, Some(VerifyErrorKind::WrongTenant));
    }
    let without = any
        .sign(&json!({ "aud": "api", "tid": OURS, "exp": NOW + 300 }))
        .unwrap();
    let any_issuer = verifiers.last().unwrap();
    assert_eq!(
        kind(any_issuer, &without),
        Some(VerifyErrorKind::MissingIssuer)
    );
}

#[test]
fn a_lone_key_keeps_its_issuer_and_publishes_it() {
    let key = key("1");
    let public = VerifyingKey::from_jwk(jwk(&key, named(OTHERS))).unwrap();
    assert_eq!(public.issuer(), Some(&*named(OTHERS)));
    let copy = VerifyingKey::from_jwk(public.to_jwk().unwrap()).unwrap();
    assert_eq!(copy.issuer(), public.issuer());
    let of_key = verifier(TrustedIssuer::new(named(OURS), copy));
    let wrong = Some(VerifyErrorKind::WrongKeyIssuer);
    assert_eq!(kind(&of_key, &token(&key, &named(OURS), OURS)), wrong);
    assert!(VerifyingKey::from_jwk(jwk(&key, json!(["a"]))).is_err());
    // Nobody could tell which of the two a token means.
    let two = KeySet::from_jwks(document(&[jwk(&key, "a"), jwk(&key, "b")])).unwrap();
    assert_eq!(two.skipped.len(), 2);
    let verifier = verifier(TrustedIssuer::new("a", two.keys));
    let several = Some(VerifyErrorKind::SeveralFittingKeys);
    assert_eq!(kind(&verifier, &token(&key, "a", OURS)), several);
}

#[tokio::test]
async fn a_key_that_moves_to_another_issuer_invalidates_cached_tokens() {
    let (key, clock) = (key("1"), clock());
    let issuer = Issuer::start().await;
    let publish = |name: &str| {
        issuer.answer("/jwks", Answer::Text(document(&[jwk(&key, name)])));
    };
    publish(PATTERN);
    let keys = RemoteKeys::jwks(format!("{}/jwks", issuer.name()));
    let keys = keys.clock(clock.clone()).build().unwrap();
    let trusted = TrustedIssuer::tenants(PATTERN, keys).tenant(OURS);
    let layer = JwtAuthLayer::new(trusted)
        .audience("api")
        .clock(clock.clone());
    let app = app(&layer);
    let good = token(&key, &named(OURS), OURS);
    for _ in 0..3 {
        assert_eq!(status(&app, &good).await, 200);
    }
    publish(&named(OTHERS));
    clock.advance(Duration::from_secs(600));
    assert_eq!(status(&app, &good).await, 401);
}

fn a_key() -> VerifyingKey {
    key("1").verifying_key()
}

#[test]
#[should_panic(expected = "call `tenant` for each, or `any_tenant`")]
fn tenants_must_be_chosen() {
    let _ = Verifier::new(TrustedIssuer::tenants(PATTERN, a_key()));
}

#[test]
#[should_panic(expected = "without `any_tenant`")]
fn any_tenant_is_not_a_list() {
    let _ = TrustedIssuer::tenants(PATTERN, a_key())
        .any_tenant()
        .tenant(OURS);
}

#[test]
#[should_panic(expected = "without `tenant`")]
fn a_list_is_not_any_tenant() {
    let _ = TrustedIssuer::tenants(PATTERN, a_key())
        .tenant(OURS)
        .any_tenant();
}

#[test]
#[should_panic(expected = "call `tenant` on `TrustedIssuer::tenants`")]
fn a_tenant_of_one_issuer() {
    let _ = TrustedIssuer::new("id", a_key()).tenant(OURS);
}

#[test]
#[should_panic(expected = "ASCII letters")]
fn a_tenant_that_no_name_can_hold() {
    let _ = TrustedIssuer::tenants(PATTERN, a_key()).tenant("a/b");
}

#[test]
#[should_panic(expected = "exactly one segment")]
fn a_pattern_without_a_slot() {
    let _ = TrustedIssuer::tenants("https://login.microsoftonline.com/common/v2.0", a_key());
}

#[test]
#[should_panic(expected = "call `TrustedIssuer::tenants`")]
fn a_pattern_is_not_a_name() {
    let _ = TrustedIssuer::new(PATTERN, a_key());
}

#[test]
#[should_panic(expected = "two patterns of trusted issuers match the same name")]
fn patterns_that_match_one_name() {
    let other = "https://login.microsoftonline.com/common/{tenantid}";
    let _ = Verifier::new([
        TrustedIssuer::tenants(PATTERN, a_key()).tenant(OURS),
        TrustedIssuer::tenants(other, a_key()).tenant(OTHERS),
    ]);
}
