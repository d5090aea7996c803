//! Holds the verification of ID tokens and logout tokens to OpenID Connect, and the handlers that
//! receive them to their answers.
#![cfg(all(feature = "axum", any(feature = "aws_lc_rs", feature = "rust_crypto")))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test that panics fails"
)]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{Request, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::{
    Algorithm, KeySet, KeySetError, SigningKey, SigningKeySet, TokenHeader,
};
use tower_jwt_auth::openid::{
    IdTokenVerifier, LogoutToken, LogoutTokenVerifier, OpenIdError, OpenIdErrorKind,
};
use tower_jwt_auth::revocation::Revocation;
use tower_jwt_auth::routes::{BackChannelLogout, JwksRoute, SessionRoutes};
use tower_jwt_auth::session::{RefreshKeys, Sessions};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::{
    Claims, JwtAuthLayer, TrustedIssuer, VerifiedToken, Verifier, VerifyErrorKind,
};

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://id.example.com";
const CLIENT: &str = "our-client";
const NONCE: &str = "n-0S6_WzA2Mj";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

struct Provider {
    key: SigningKey,
    clock: ManualClock,
}

impl Provider {
    fn new() -> Self {
        Self {
            key: SigningKey::generate(Algorithm::ES256).unwrap(),
            clock: ManualClock::at(NOW),
        }
    }

    fn trust(&self) -> TrustedIssuer {
        TrustedIssuer::new(ISSUER, self.key.verifying_key())
    }

    fn id_tokens(&self) -> IdTokenVerifier {
        IdTokenVerifier::new(self.trust(), CLIENT).clock(self.clock.clone())
    }

    fn logout_tokens(&self) -> LogoutTokenVerifier {
        LogoutTokenVerifier::new(self.trust(), CLIENT).clock(self.clock.clone())
    }

    fn sign(&self, typ: Option<&str>, claims: &Value) -> String {
        let header = match typ {
            Some(typ) => TokenHeader::new().typ(typ),
            None => TokenHeader::new().without_typ(),
        };
        self.key.sign_with(&header, claims).unwrap()
    }

    fn id_token(&self, changes: Value) -> String {
        let claims = json!({
            "iss": ISSUER, "aud": CLIENT, "sub": "alice", "nonce": NONCE, "iat": NOW, "exp": NOW + 300,
        });
        self.sign(Some("JWT"), &changed(claims, changes))
    }

    fn logout_token(&self, changes: Value) -> String {
        let claims = json!({
            "iss": ISSUER, "aud": CLIENT, "sub": "alice", "sid": "s1", "jti": "j1", "iat": NOW, "exp": NOW + 120,
            "events": { EVENT: {} },
        });
        self.sign(Some("logout+jwt"), &changed(claims, changes))
    }

    fn access_token(&self, changes: Value) -> String {
        let claims = json!({
            "iss": ISSUER, "aud": "api", "sub": "alice", "sid": "s1", "jti": "a1", "iat": NOW, "exp": NOW + 3600,
        });
        self.sign(Some("at+jwt"), &changed(claims, changes))
    }
}

/// `exp` is required in ID tokens and logout tokens, and their `typ` is their own.
#[tokio::test]
async fn g14_opt_ins_for_access_tokens_do_not_loosen_tokens_of_a_login() {
    let provider = Provider::new();
    let trust = || {
        let trust = provider.trust().typ("access+jwt");
        trust.allow_missing_expiry(Duration::from_secs(3600))
    };
    let clock = || provider.clock.clone();
    let id_tokens = IdTokenVerifier::new(trust(), CLIENT).clock(clock());
    let logout_tokens = LogoutTokenVerifier::new(trust(), CLIENT).clock(clock());
    let none = json!({ "exp": null });
    let good = provider.id_token(json!({}));
    assert!(id_tokens.verify(good, NONCE).await.is_ok());
    let ageless = provider.id_token(none.clone());
    assert!(id_tokens.verify(ageless, NONCE).await.is_err());
    let good = provider.logout_token(json!({}));
    assert!(logout_tokens.verify(good).await.is_ok());
    let ageless = provider.logout_token(none.clone());
    assert!(logout_tokens.verify(ageless).await.is_err());
    let access = provider.sign(
        Some("access+jwt"),
        &json!({
            "iss": ISSUER, "aud": "api", "sub": "alice", "iat": NOW,
        }),
    );
    let verifier = Verifier::new(trust()).audience("api").clock(clock());
    assert!(verifier.verify(access).is_ok());
}

/// `null` takes a member away.
fn changed(mut claims: Value, changes: Value) -> Value {
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        members.remove(name);
        if !value.is_null() {
            members.insert(name.clone(), value.clone());
        }
    }
    claims
}

/// What the future of a verifier says that need not fetch anything.
fn at_once<F: Future>(future: F) -> F::Output {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

fn refused_id(verifier: &IdTokenVerifier, token: &str) -> OpenIdErrorKind {
    at_once(verifier.verify(token, NONCE)).unwrap_err().kind()
}

fn refused_logout(verifier: &LogoutTokenVerifier, token: &str) -> OpenIdErrorKind {
    at_once(verifier.verify(token)).unwrap_err().kind()
}

#[test]
fn an_id_token_says_who_a_person_is() {
    let provider = Provider::new();
    let token = provider.id_token(json!({
        "sid": "s1", "auth_time": NOW - 60, "email": "alice@example.com", "azp": CLIENT, "aud": [CLIENT],
    }));
    let id = at_once(provider.id_tokens().verify(&token, NONCE)).unwrap();
    assert_eq!(
        (id.issuer(), id.subject(), id.session_id()),
        (ISSUER, "alice", Some("s1"))
    );
    assert_eq!(id.authenticated_at(), NumericDate::from_seconds(NOW - 60));
    assert_eq!(id.claims::<Value>().unwrap()["email"], "alice@example.com");
    assert_eq!(id.token().algorithm(), Some(Algorithm::ES256));
    for hidden in ["alice", NONCE, "s1"] {
        assert!(!format!("{id:?}").contains(hidden));
    }
    for typ in [None, Some("jwt"), Some("application/JWT")] {
        let claims = json!({
            "iss": ISSUER, "aud": CLIENT, "sub": "a", "nonce": NONCE, "iat": NOW, "exp": NOW + 1,
        });
        let token = provider.sign(typ, &claims);
        at_once(provider.id_tokens().verify(&token, NONCE)).unwrap();
    }
}

#[test]
fn what_is_no_id_token_of_this_login_is_refused() {
    use OpenIdErrorKind as Kind;
    let provider = Provider::new();
    let verifier = provider.id_tokens();
    for (changes, kind) in [
        (json!({ "nonce": null }), Kind::MissingNonce),
        (json!({ "nonce": "other" }), Kind::WrongNonce),
        (json!({ "nonce": "" }), Kind::WrongNonce),
        (json!({ "nonce": "n-0S6_WzA2M" }), Kind::WrongNonce),
        (
            json!({ "nonce": [NONCE] }),
            Kind::Token(VerifyErrorKind::MalformedClaims),
        ),
        (json!({ "sub": null }), Kind::MissingSubject),
        (json!({ "sub": "" }), Kind::MissingSubject),
        (json!({ "iat": null }), Kind::MissingIssuedAt),
        (
            json!({ "exp": null }),
            Kind::Token(VerifyErrorKind::MissingExpiry),
        ),
        (
            json!({ "exp": NOW - 31 }),
            Kind::Token(VerifyErrorKind::Expired),
        ),
        (
            json!({ "aud": null }),
            Kind::Token(VerifyErrorKind::MissingAudience),
        ),
        (
            json!({ "aud": "api" }),
            Kind::Token(VerifyErrorKind::WrongAudience),
        ),
        (
            json!({ "aud": "our-clien" }),
            Kind::Token(VerifyErrorKind::WrongAudience),
        ),
        (
            json!({ "aud": [CLIENT, "api"], "azp": CLIENT }),
            Kind::UntrustedAudience,
        ),
        (
            json!({ "aud": [CLIENT, CLIENT] }),
            Kind::MissingAuthorizedParty,
        ),
        (json!({ "azp": "other" }), Kind::WrongAuthorizedParty),
        (json!({ "azp": "" }), Kind::WrongAuthorizedParty),
        (
            json!({ "azp": 1 }),
            Kind::Token(VerifyErrorKind::MalformedClaims),
        ),
        (
            json!({ "auth_time": "1" }),
            Kind::Token(VerifyErrorKind::MalformedClaims),
        ),
        (
            json!({ "iss": "https://id.example.com/" }),
            Kind::Token(VerifyErrorKind::UnknownIssuer),
        ),
        (
            json!({ "iss": null }),
            Kind::Token(VerifyErrorKind::MissingIssuer),
        ),
        (
            json!({ "events": { EVENT: {} } }),
            Kind::Token(VerifyErrorKind::LogoutToken),
        ),
        (
            json!({ "cnf": { "jkt": "x" } }),
            Kind::Token(VerifyErrorKind::SenderConstrained),
        ),
    ] {
        let token = provider.id_token(changes.clone());
        assert_eq!(refused_id(&verifier, &token), kind, "{changes}");
    }
    let wrong_type = Kind::Token(VerifyErrorKind::WrongType);
    for typ in ["at+jwt", "logout+jwt", "secevent+jwt"] {
        let claims = json!({
            "iss": ISSUER, "aud": CLIENT, "sub": "a", "nonce": NONCE, "iat": NOW, "exp": NOW + 1,
        });
        let token = provider.sign(Some(typ), &claims);
        assert_eq!(refused_id(&verifier, &token), wrong_type, "{typ}");
    }
    let twice = r#"{"iss":"https://id.example.com","aud":"our-client","sub":"a","iat":1800000000,
        "exp":1800000001,"nonce":"n-0S6_WzA2Mj","nonce":"n-0S6_WzA2Mj"}"#;
    let twice: Box<serde_json::value::RawValue> = serde_json::from_str(twice).unwrap();
    let token = provider.key.sign(&twice).unwrap();
    let malformed = Kind::Token(VerifyErrorKind::MalformedClaims);
    assert_eq!(refused_id(&verifier, &token), malformed);

    let other = Provider::new().id_token(json!({}));
    let bad_signature = Kind::Token(VerifyErrorKind::BadSignature);
    assert_eq!(refused_id(&verifier, &other), bad_signature);
    provider.clock.set(NOW + 330);
    let expired = Kind::Token(VerifyErrorKind::Expired);
    assert_eq!(
        refused_id(&verifier, &provider.id_token(json!({}))),
        expired
    );
}

#[test]
fn an_authorization_response_of_another_provider_is_refused() {
    let verifier = Provider::new().id_tokens();
    let check = |iss: Option<&str>, is_announced| {
        let checked = verifier.check_response_issuer(iss, is_announced);
        checked.map_err(|error| error.kind())
    };
    for is_announced in [false, true] {
        assert_eq!(check(Some(ISSUER), is_announced), Ok(()));
        for other in ["", "https://id.example.com/", "HTTPS://ID.EXAMPLE.COM"] {
            assert_ne!(other, ISSUER);
            let wrong = Err(OpenIdErrorKind::WrongResponseIssuer);
            assert_eq!(check(Some(other), is_announced), wrong, "{other}");
        }
    }
    assert_eq!(check(None, false), Ok(()));
    assert_eq!(
        check(None, true),
        Err(OpenIdErrorKind::MissingResponseIssuer)
    );
}

#[test]
fn a_login_without_a_nonce_takes_no_token_with_one() {
    let provider = Provider::new();
    let verifier = provider.id_tokens();
    let without = provider.id_token(json!({ "nonce": null }));
    at_once(verifier.verify_without_nonce(&without)).unwrap();
    let refused = at_once(verifier.verify_without_nonce(provider.id_token(json!({}))));
    assert_eq!(
        refused.unwrap_err().kind(),
        OpenIdErrorKind::UnexpectedNonce
    );
    // One that was lost is not the same as the provider's empty one.
    let empty = provider.id_token(json!({ "nonce": "" }));
    let refused = at_once(verifier.verify(&empty, ""));
    assert_eq!(refused.unwrap_err().kind(), OpenIdErrorKind::WrongNonce);
}

#[test]
fn other_parties_and_audiences_count_once_they_are_named() {
    let provider = Provider::new();
    let verifier = provider
        .id_tokens()
        .authorized_party("our-app")
        .additional_audience("api");
    let token = |changes| provider.id_token(changes);
    for changes in [
        json!({ "azp": "our-app" }),
        json!({ "aud": [CLIENT, "api"], "azp": "our-app" }),
        json!({ "aud": ["api", CLIENT], "azp": CLIENT }),
    ] {
        at_once(verifier.verify(token(changes.clone()), NONCE)).unwrap();
    }
    let refused = |changes| refused_id(&verifier, &token(changes));
    assert_eq!(
        refused(json!({ "aud": [CLIENT, "our-app"] })),
        OpenIdErrorKind::UntrustedAudience
    );
    assert_eq!(
        refused(json!({ "azp": "api" })),
        OpenIdErrorKind::WrongAuthorizedParty
    );
    assert_eq!(
        refused(json!({ "aud": [CLIENT, "api"] })),
        OpenIdErrorKind::MissingAuthorizedParty
    );
    assert_eq!(
        refused(json!({ "aud": "api" })),
        OpenIdErrorKind::Token(VerifyErrorKind::WrongAudience)
    );
}

#[test]
fn an_authentication_of_long_ago_is_refused_where_that_counts() {
    let provider = Provider::new();
    let verifier = provider.id_tokens().max_age(Duration::from_secs(60));
    let token = |at: Value| provider.id_token(json!({ "auth_time": at }));
    for at in [NOW, NOW - 90, NOW + 30] {
        at_once(verifier.verify(token(json!(at)), NONCE)).unwrap();
    }
    for at in [NOW - 91, NOW + 31, 0] {
        let kind = refused_id(&verifier, &token(json!(at)));
        assert_eq!(kind, OpenIdErrorKind::AuthenticationTooOld, "{at}");
    }
    let kind = refused_id(&verifier, &token(Value::Null));
    assert_eq!(kind, OpenIdErrorKind::MissingAuthenticationTime);
}

#[test]
fn neither_token_passes_for_an_access_token_nor_an_access_token_for_them() {
    let provider = Provider::new();
    let layer = |audience: &str| {
        Verifier::new(provider.trust())
            .audience(audience)
            .clock(provider.clock.clone())
    };
    let kind = |verifier: &Verifier, token: &str| verifier.verify(token).unwrap_err().kind();
    let (id, logout) = (
        provider.id_token(json!({})),
        provider.logout_token(json!({})),
    );
    assert_eq!(kind(&layer("api"), &id), VerifyErrorKind::WrongAudience);
    assert_eq!(
        kind(&layer(CLIENT).typ("at+jwt"), &id),
        VerifyErrorKind::WrongType
    );
    assert_eq!(kind(&layer(CLIENT), &logout), VerifyErrorKind::WrongType);
    let plain = changed(
        json!({ "iss": ISSUER, "aud": CLIENT, "jti": "j", "sub": "alice", "iat": NOW, "exp": NOW + 120 }),
        json!({ "events": { EVENT: {} } }),
    );
    let untyped = provider.sign(None, &plain);
    assert_eq!(kind(&layer(CLIENT), &untyped), VerifyErrorKind::LogoutToken);

    let access = provider.access_token(json!({ "aud": CLIENT, "nonce": NONCE }));
    let wrong_type = OpenIdErrorKind::Token(VerifyErrorKind::WrongType);
    assert_eq!(refused_id(&provider.id_tokens(), &access), wrong_type);
    assert_eq!(
        refused_logout(&provider.logout_tokens(), &access),
        wrong_type
    );
    let untyped = provider.sign(None, &json!({
        "iss": ISSUER, "aud": CLIENT, "sub": "alice", "sid": "s1", "jti": "a1", "iat": NOW, "exp": NOW + 60,
    }));
    let no_event = OpenIdErrorKind::MissingLogoutEvent;
    assert_eq!(
        refused_logout(&provider.logout_tokens(), &untyped),
        no_event
    );
    assert_eq!(refused_logout(&provider.logout_tokens(), &id), no_event);
}

#[test]
fn g11_tokens_that_nest_too_deeply() {
    let provider = Provider::new();
    let nested = |levels: usize| (1..levels).fold(json!([]), |inner, _| json!([inner]));
    let id = |levels| provider.id_token(json!({ "x": nested(levels) }));
    let logout =
        |levels| provider.logout_token(json!({ "events": { EVENT: { "x": nested(levels) } } }));
    assert!(at_once(provider.id_tokens().verify(&id(126), NONCE)).is_ok());
    assert!(at_once(provider.logout_tokens().verify(&logout(124))).is_ok());
    let too_deep = OpenIdErrorKind::Token(VerifyErrorKind::MalformedClaims);
    assert_eq!(refused_id(&provider.id_tokens(), &id(127)), too_deep);
    assert_eq!(
        refused_logout(&provider.logout_tokens(), &logout(125)),
        too_deep
    );
}

#[test]
fn a_logout_token_says_who_has_logged_out() {
    let provider = Provider::new();
    let verifier = provider.logout_tokens();
    let token = provider.logout_token(json!({}));
    let logout = at_once(verifier.verify(&token)).unwrap();
    assert_eq!((logout.issuer(), logout.token_id()), (ISSUER, "j1"));
    assert_eq!(
        (logout.subject(), logout.session_id()),
        (Some("alice"), Some("s1"))
    );
    assert!(!format!("{logout:?}").contains("alice"));

    let hour = Duration::from_secs(3600);
    let until = NumericDate::from_seconds(NOW + 3600).unwrap();
    assert!(matches!(
        logout.revocation(hour),
        Revocation::Session { issuer: Some(ISSUER), sid: "s1", until: at } if at == until
    ));
    let issued_at = NumericDate::from_seconds(NOW).unwrap();
    let is_cutoff = |revocation: &Revocation<'_>| {
        matches!(revocation, Revocation::Cutoff { issuer: Some(ISSUER), subject: "alice", issued_at: at, until: end }
            if *at == issued_at && *end == until)
    };
    assert!(is_cutoff(&logout.subject_revocation(hour).unwrap()));

    let all = provider.logout_token(json!({ "sid": null }));
    let all = at_once(verifier.verify(&all)).unwrap();
    assert!(is_cutoff(&all.revocation(hour)));
    let one = provider.logout_token(json!({ "sub": null }));
    let one = at_once(verifier.verify(&one)).unwrap();
    assert!(one.subject_revocation(hour).is_none());
    assert!(matches!(
        one.revocation(hour),
        Revocation::Session { sid: "s1", .. }
    ));
}

#[test]
fn what_is_no_logout_token_is_refused() {
    use OpenIdErrorKind as Kind;
    let provider = Provider::new();
    let verifier = provider.logout_tokens();
    let malformed = Kind::Token(VerifyErrorKind::MalformedClaims);
    for (changes, kind) in [
        (json!({ "events": null }), Kind::MissingLogoutEvent),
        (json!({ "events": {} }), Kind::MissingLogoutEvent),
        (
            json!({ "events": { "http://schemas.openid.net/event/other": {} } }),
            Kind::MissingLogoutEvent,
        ),
        (json!({ "events": [EVENT] }), malformed),
        (json!({ "events": EVENT }), malformed),
        (json!({ "events": { EVENT: [] } }), malformed),
        (json!({ "events": { EVENT: true } }), malformed),
        (json!({ "nonce": "n" }), Kind::NonceInLogoutToken),
        (json!({ "nonce": 1 }), Kind::NonceInLogoutToken),
        (json!({ "jti": null }), Kind::MissingTokenId),
        (json!({ "jti": "" }), Kind::MissingTokenId),
        (
            json!({ "sub": null, "sid": null }),
            Kind::MissingSubjectAndSession,
        ),
        (
            json!({ "sub": null, "sid": "" }),
            Kind::MissingSubjectAndSession,
        ),
        (json!({ "sub": "" }), Kind::MissingSubjectAndSession),
        (json!({ "iat": null }), Kind::MissingIssuedAt),
        (
            json!({ "iat": NOW + 31 }),
            Kind::Token(VerifyErrorKind::IssuedInFuture),
        ),
        (
            json!({ "exp": null }),
            Kind::Token(VerifyErrorKind::MissingExpiry),
        ),
        (
            json!({ "aud": "another-client" }),
            Kind::Token(VerifyErrorKind::WrongAudience),
        ),
        (
            json!({ "aud": null }),
            Kind::Token(VerifyErrorKind::MissingAudience),
        ),
        (
            json!({ "iss": "https://id.example" }),
            Kind::Token(VerifyErrorKind::UnknownIssuer),
        ),
    ] {
        let token = provider.logout_token(changes.clone());
        assert_eq!(refused_logout(&verifier, &token), kind, "{changes}");
    }
    for events in [
        r#"{"http://schemas.openid.net/event/backchannel-logout":{},"http://schemas.openid.net/event/backchannel-logout":{}}"#,
        r#"{"http://schemas.openid.net/event/backchannel-logout":{}},"nonce":null"#,
    ] {
        let claims = format!(
            r#"{{"iss":"{ISSUER}","aud":"{CLIENT}","sub":"a","jti":"j","iat":{NOW},"exp":{NOW},"events":{events}}}"#
        );
        let claims: Box<serde_json::value::RawValue> = serde_json::from_str(&claims).unwrap();
        let token = provider.key.sign(&claims).unwrap();
        at_once(verifier.verify(&token)).unwrap_err();
    }
    // Other members of an event, and other events, are of no interest.
    let token = provider.logout_token(json!({ "events": { EVENT: { "x": 1 }, "y": [1] } }));
    at_once(verifier.verify(&token)).unwrap();
}

#[test]
fn an_old_logout_token_is_refused_though_it_has_not_expired() {
    let provider = Provider::new();
    let verifier = provider.logout_tokens();
    let token = provider.logout_token(json!({ "exp": NOW + 100_000 }));
    provider.clock.set(NOW + 329);
    let logout = at_once(verifier.verify(&token)).unwrap();
    assert_eq!(
        Some(logout.remember_until()),
        NumericDate::from_seconds(NOW + 330)
    );
    provider.clock.set(NOW + 330);
    assert_eq!(
        refused_logout(&verifier, &token),
        OpenIdErrorKind::IssuedTooLongAgo
    );
    at_once(verifier.max_age(Duration::from_secs(301)).verify(&token)).unwrap();
}

#[test]
fn an_id_token_may_be_long_where_that_is_allowed() {
    let provider = Provider::new();
    let groups = vec!["a-group-with-a-name"; 1000];
    let token = provider.id_token(json!({ "groups": groups }));
    let too_long = OpenIdErrorKind::Token(VerifyErrorKind::TooLong);
    assert_eq!(refused_id(&provider.id_tokens(), &token), too_long);
    let verifier = provider.id_tokens().max_token_length(64 * 1024);
    at_once(verifier.verify(&token, NONCE)).unwrap();
}

#[test]
fn the_typ_of_a_logout_token_can_be_required() {
    let provider = Provider::new();
    let claims = json!({
        "iss": ISSUER, "aud": CLIENT, "sub": "a", "jti": "j", "iat": NOW, "exp": NOW + 1, "events": { EVENT: {} },
    });
    let strict = provider.logout_tokens().require_typ();
    for typ in [
        None,
        Some("JWT"),
        Some("logout+jwt"),
        Some("application/Logout+JWT"),
    ] {
        let token = provider.sign(typ, &claims);
        at_once(provider.logout_tokens().verify(&token)).unwrap();
        let is_accepted = at_once(strict.verify(&token)).is_ok();
        assert_eq!(is_accepted, typ.is_some_and(|typ| typ != "JWT"), "{typ:?}");
    }
    for typ in ["at+jwt", "secevent+jwt", "logout"] {
        let token = provider.sign(Some(typ), &claims);
        let kind = refused_logout(&provider.logout_tokens(), &token);
        assert_eq!(kind, OpenIdErrorKind::Token(VerifyErrorKind::WrongType));
    }
}

#[test]
#[should_panic = "not one issuer by name"]
fn keys_without_a_name_verify_no_id_token() {
    let _ = IdTokenVerifier::new(Provider::new().key.verifying_key(), CLIENT);
}

#[test]
#[should_panic = "without audiences of its own"]
fn audiences_of_an_issuer_are_no_client() {
    let _ = LogoutTokenVerifier::new(Provider::new().trust().audience("api"), CLIENT);
}

#[test]
fn errors_have_their_source_and_say_nothing_of_the_token() {
    let provider = Provider::new();
    let token = provider.id_token(json!({ "nonce": "a-secret-nonce" }));
    let error: OpenIdError = at_once(provider.id_tokens().verify(&token, NONCE)).unwrap_err();
    assert!(error.source().is_none());
    assert!(!format!("{error} {error:?}").contains("secret"));
    let error = at_once(provider.id_tokens().verify("x", NONCE)).unwrap_err();
    assert!(error.source().is_some());
    assert!(!error.is_outage());
}

fn form(body: impl Into<Body>) -> Request<Body> {
    Request::post("/logout")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body.into())
        .unwrap()
}

async fn send(app: &Router, request: Request<Body>) -> Response<Body> {
    app.clone().oneshot(request).await.unwrap()
}

async fn error_of(response: Response<Body>) -> (u16, Value) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let body = to_bytes(response.into_body(), 1000).await.unwrap();
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    (status, json["error"].clone())
}

async fn logs_out(app: &Router, token: &str) -> (u16, Value) {
    error_of(send(app, form(format!("logout_token={token}"))).await).await
}

/// A service that accepts the provider's access tokens, and hears of its logouts.
fn service(provider: &Provider, store: &MemoryStore) -> Router {
    let layer = JwtAuthLayer::new(provider.trust())
        .audience("api")
        .revocation(store.clone())
        .clock(provider.clock.clone());
    let store = store.clone();
    let logout = BackChannelLogout::new(provider.logout_tokens(), move |logout: LogoutToken| {
        let store = store.clone();
        async move { store.revoke(&logout.revocation(Duration::from_secs(3600))) }
    });
    Router::new()
        .route("/me", get(async |_: VerifiedToken| ()).layer(layer))
        .route("/logout", post(logout.handler()))
}

async fn me(app: &Router, token: &str) -> u16 {
    let request = Request::get("/me").header("Authorization", format!("Bearer {token}"));
    let request = request.body(Body::empty()).unwrap();
    send(app, request).await.status().as_u16()
}

#[tokio::test]
async fn a_logout_at_the_provider_ends_its_access_tokens_at_the_next_request() {
    let provider = Provider::new();
    let app = service(&provider, &MemoryStore::with_clock(provider.clock.clone()));
    let (ours, others) = (
        provider.access_token(json!({})),
        provider.access_token(json!({ "sid": "s2", "jti": "a2" })),
    );
    assert_eq!((me(&app, &ours).await, me(&app, &others).await), (200, 200));
    assert_eq!(
        logs_out(&app, &provider.logout_token(json!({}))).await,
        (200, Value::Null)
    );
    assert_eq!((me(&app, &ours).await, me(&app, &others).await), (401, 200));

    // All of the subject's, but those of a login since.
    provider.clock.set(NOW + 10);
    let all =
        provider.logout_token(json!({ "sid": null, "jti": "j2", "iat": NOW + 5, "exp": NOW + 60 }));
    assert_eq!(logs_out(&app, &all).await.0, 200);
    let since = provider.access_token(json!({ "sid": "s3", "jti": "a3", "iat": NOW + 6 }));
    assert_eq!(
        (me(&app, &others).await, me(&app, &since).await),
        (401, 200)
    );
    provider.clock.set(NOW + 3599);
    assert_eq!(me(&app, &ours).await, 401);
}

/// How often sessions were ended, and whether that works.
#[derive(Clone, Default)]
struct Ended(Arc<AtomicU64>, Arc<std::sync::atomic::AtomicBool>);

fn counting(provider: &Provider, ended: &Ended) -> Router {
    let ended = ended.clone();
    let logout = BackChannelLogout::new(provider.logout_tokens(), move |_| {
        let Ended(count, fails) = ended.clone();
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            if fails.load(Ordering::SeqCst) {
                Err("down")
            } else {
                Ok(())
            }
        }
    });
    Router::new().route("/logout", axum::routing::any(logout.handler()))
}

#[tokio::test]
async fn a_logout_token_is_used_once() {
    let provider = Provider::new();
    let ended = Ended::default();
    let app = counting(&provider, &ended);
    let token = provider.logout_token(json!({ "exp": NOW + 100_000 }));
    assert_eq!(logs_out(&app, &token).await.0, 200);
    for at in [NOW, NOW + 100, NOW + 329, NOW + 330, NOW + 10_000] {
        provider.clock.set(at);
        assert_eq!(
            logs_out(&app, &token).await,
            (400, json!("invalid_request")),
            "{at}"
        );
    }
    // The clock steps back.
    provider.clock.set(NOW);
    assert_eq!(logs_out(&app, &token).await.0, 400);
    assert_eq!(ended.0.load(Ordering::SeqCst), 1);
    let other = provider.logout_token(json!({ "jti": "j2" }));
    assert_eq!(logs_out(&app, &other).await.0, 200);
    assert_eq!(ended.0.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn logout_tokens_are_remembered_by_the_clock_that_verifies_them() {
    let provider = Provider::new();
    provider.clock.set(1_000_000_000);
    let ended = Ended::default();
    let app = counting(&provider, &ended);
    for number in 0..3 {
        let token = provider.logout_token(json!({
            "jti": number.to_string(), "iat": 1_000_000_000, "exp": 1_000_000_060,
        }));
        assert_eq!(logs_out(&app, &token).await.0, 200);
        assert_eq!(logs_out(&app, &token).await.0, 400);
    }
    assert_eq!(ended.0.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_failed_logout_may_be_repeated() {
    let provider = Provider::new();
    let ended = Ended::default();
    let app = counting(&provider, &ended);
    let token = provider.logout_token(json!({}));
    ended.1.store(true, Ordering::SeqCst);
    let failed = logs_out(&app, &token).await;
    assert_eq!(failed, (400, json!("temporarily_unavailable")));
    ended.1.store(false, Ordering::SeqCst);
    assert_eq!(logs_out(&app, &token).await.0, 200);
    assert_eq!(logs_out(&app, &token).await.0, 400);
    assert_eq!(ended.0.load(Ordering::SeqCst), 2);
}

/// A receiver whose first logout waits for `go` once it has said `begun`. The others take no time.
fn slow_at_first(
    provider: &Provider,
    [begun, go]: [&Arc<tokio::sync::Notify>; 2],
    count: &Arc<AtomicU64>,
) -> Router {
    let (begun, go, count) = (Arc::clone(begun), Arc::clone(go), Arc::clone(count));
    let logout = BackChannelLogout::new(provider.logout_tokens(), move |_| {
        let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
        let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if is_first {
                begun.notify_one();
                go.notified().await;
            }
            Ok::<_, std::convert::Infallible>(())
        }
    });
    Router::new().route("/logout", post(logout.handler()))
}

#[tokio::test]
async fn a_logout_token_sent_twice_at_once_is_used_once() {
    let provider = Provider::new();
    let (begun, go, count) = <(Arc<_>, Arc<_>, Arc<AtomicU64>)>::default();
    let app = slow_at_first(&provider, [&begun, &go], &count);
    let token = provider.logout_token(json!({}));
    let first = tokio::spawn({
        let (app, token) = (app.clone(), token.clone());
        async move { logs_out(&app, &token).await }
    });
    begun.notified().await;
    // Whether it ends the sessions is not known yet.
    let unavailable = (400, json!("temporarily_unavailable"));
    assert_eq!(logs_out(&app, &token).await, unavailable);
    let other = provider.logout_token(json!({ "jti": "j2" }));
    assert_eq!(logs_out(&app, &other).await.0, 200);
    go.notify_one();
    assert_eq!(first.await.unwrap().0, 200);
    let replayed = (400, json!("invalid_request"));
    assert_eq!(logs_out(&app, &token).await, replayed);
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_logout_whose_caller_left_may_be_repeated() {
    let provider = Provider::new();
    let (begun, go, count) = <(Arc<_>, Arc<_>, Arc<AtomicU64>)>::default();
    let app = slow_at_first(&provider, [&begun, &go], &count);
    let token = provider.logout_token(json!({}));
    let first = tokio::spawn({
        let (app, token) = (app.clone(), token.clone());
        async move { logs_out(&app, &token).await }
    });
    begun.notified().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(logs_out(&app, &token).await.0, 200);
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn only_a_form_with_one_good_logout_token_ends_anything() {
    let provider = Provider::new();
    let ended = Ended::default();
    let app = counting(&provider, &ended);
    let good = provider.logout_token(json!({}));
    let refused = (400, json!("invalid_request"));

    for body in [
        String::new(),
        "logout_token=".to_owned(),
        format!("token={good}"),
        format!("logout_token={good}&logout_token={good}"),
        format!("logout_token={good}&logout%5ftoken=x"),
        format!("logout_token={good}.x"),
        format!("LOGOUT_TOKEN={good}"),
        format!("logout_token={good}&x={}", "y".repeat(16 * 1024)),
        format!("logout_token={}", provider.id_token(json!({}))),
        format!("logout_token={}", Provider::new().logout_token(json!({}))),
    ] {
        let answer = error_of(send(&app, form(body.clone())).await).await;
        assert_eq!(answer, refused, "{body}");
    }
    let another = provider.logout_token(json!({ "aud": "another-client" }));
    let response = send(&app, form(format!("logout_token={another}"))).await;
    let error = response.extensions().get::<OpenIdError>().unwrap();
    let wrong_audience = OpenIdErrorKind::Token(VerifyErrorKind::WrongAudience);
    assert_eq!(error.kind(), wrong_audience);
    for kind in [
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        "",
    ] {
        let mut request = form(format!("logout_token={good}"));
        request
            .headers_mut()
            .insert(CONTENT_TYPE, kind.parse().unwrap());
        assert_eq!(error_of(send(&app, request).await).await, refused, "{kind}");
    }
    let mut request = form(format!("logout_token={good}"));
    let two = "application/x-www-form-urlencoded".parse().unwrap();
    request.headers_mut().append(CONTENT_TYPE, two);
    assert_eq!(error_of(send(&app, request).await).await, refused);
    let query = Request::post(format!("/logout?logout_token={good}"));
    let query = query.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let query = query.body(Body::empty()).unwrap();
    assert_eq!(error_of(send(&app, query).await).await, refused);
    for method in ["GET", "PUT", "DELETE"] {
        let mut request = form(format!("logout_token={good}"));
        *request.method_mut() = method.parse().unwrap();
        let response = send(&app, request).await;
        assert_eq!(response.headers()["allow"], "POST");
        assert_eq!(response.status(), 405, "{method}");
    }
    assert_eq!(ended.0.load(Ordering::SeqCst), 0);

    // Other members of the form, and parameters of its type, are ignored.
    let mut request = form(format!("a=b&logout_token={good}&c"));
    let kind = "Application/X-WWW-Form-Urlencoded; charset=utf-8"
        .parse()
        .unwrap();
    request.headers_mut().insert(CONTENT_TYPE, kind);
    assert_eq!(send(&app, request).await.status(), 200);
    assert_eq!(ended.0.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn public_keys_are_served_and_no_secret() {
    let old = SigningKey::generate(Algorithm::ES256)
        .unwrap()
        .with_key_id("old");
    let new = SigningKey::generate(Algorithm::EdDSA)
        .unwrap()
        .with_key_id("new");
    let secret = SigningKey::generate(Algorithm::HS256)
        .unwrap()
        .with_key_id("secret");
    let keys =
        SigningKeySet::new(new.clone(), [old.verifying_key(), secret.verifying_key()]).unwrap();
    let route = JwksRoute::new(keys.verifying_keys()).max_age(Duration::from_secs(60));
    let app = Router::new().route("/jwks", get(route.handler()));
    let response = send(&app, Request::get("/jwks").body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()[CONTENT_TYPE], "application/jwk-set+json");
    assert_eq!(response.headers()[CACHE_CONTROL], "public, max-age=60");
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    let document: Value = serde_json::from_slice(&body).unwrap();
    let kids: Vec<_> = document["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["kid"].clone())
        .collect();
    assert_eq!(kids, ["new", "old"]);
    assert!(
        document["keys"]
            .as_array()
            .unwrap()
            .iter()
            .all(|key| key["d"].is_null() && key["k"].is_null())
    );

    // Who reads it verifies tokens of both.
    let read = KeySet::from_jwks(&body).unwrap();
    assert!(read.skipped.is_empty());
    let verifier = Verifier::new(read.keys);
    for key in [&old, &new] {
        let token = key.sign(&json!({ "exp": 4_000_000_000_u64 })).unwrap();
        assert_eq!(verifier.verify(&token).unwrap().key_id(), key.key_id());
    }
    let head = Request::head("/jwks").body(Body::empty()).unwrap();
    assert_eq!(send(&app, head).await.status(), 200);
}

#[test]
fn a_key_among_several_needs_a_name() {
    let key = |name: Option<&str>| {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        match name {
            Some(name) => key.with_key_id(name),
            None => key,
        }
    };
    let set = |signing: Option<&str>, other: Option<&str>| {
        SigningKeySet::new(key(signing), [key(other).verifying_key()]).err()
    };
    assert_eq!(set(Some("a"), Some("b")), None);
    assert_eq!(set(None, Some("b")), Some(KeySetError::MissingKeyId));
    assert_eq!(set(Some("a"), None), Some(KeySetError::MissingKeyId));
    assert_eq!(set(Some("a"), Some("a")), Some(KeySetError::Duplicate));
    assert!(SigningKeySet::new(key(None), []).is_ok());
    // The same key twice is one key.
    for name in [None, Some("a")] {
        let signing = key(name);
        let again = signing.verifying_key();
        let keys = SigningKeySet::new(signing, [again]).unwrap();
        assert_eq!(keys.verifying_keys().len(), 1);
    }
}

#[tokio::test]
async fn sessions_go_on_while_their_key_is_changed() {
    let clock = ManualClock::at(NOW);
    let store = MemoryStore::with_clock(clock.clone());
    let refresh_keys = RefreshKeys::generate().unwrap();
    let old = SigningKey::generate(Algorithm::ES256)
        .unwrap()
        .with_key_id("old");
    let new = SigningKey::generate(Algorithm::ES256)
        .unwrap()
        .with_key_id("new");
    let node = |keys: SigningKeySet| {
        let sessions =
            Sessions::new(store.clone(), keys, refresh_keys.clone()).clock(clock.clone());
        let routes = SessionRoutes::new(sessions).unwrap();
        let me = get(async |Claims(claims): Claims<Value>| claims["sub"].to_string());
        let app = Router::new().route("/me", me).layer(routes.layer());
        (routes, app)
    };
    let published = |signing: &SigningKey, other: &SigningKey| {
        SigningKeySet::new(signing.clone(), [other.verifying_key()]).unwrap()
    };
    // Some nodes have the new key already, some do not yet; each accepts what the others sign.
    let (before, before_app) = node(published(&old, &new));
    let (after, after_app) = node(published(&new, &old));
    let first = before
        .sessions()
        .login(&before.sessions().subject_named("alice"))
        .await
        .unwrap();
    let second = after
        .sessions()
        .refresh(&first.refresh_token)
        .await
        .unwrap();
    for app in [&before_app, &after_app] {
        assert_eq!(me(app, &first.access_token).await, 200);
        assert_eq!(me(app, &second.access_token).await, 200);
    }
    // Once the old key is gone, so are its tokens; the session is not.
    let (last, last_app) = node(new.clone().into());
    assert_eq!(me(&last_app, &first.access_token).await, 401);
    assert_eq!(me(&last_app, &second.access_token).await, 200);
    let third = last
        .sessions()
        .refresh(&second.refresh_token)
        .await
        .unwrap();
    assert_eq!(me(&last_app, &third.access_token).await, 200);
}

/// A token of these claims, written as they are.
fn written(provider: &Provider, typ: &str, claims: &str) -> String {
    let claims: Box<serde_json::value::RawValue> = serde_json::from_str(claims).unwrap();
    let header = TokenHeader::new().typ(typ);
    provider.key.sign_with(&header, &claims).unwrap()
}

#[test]
fn members_in_disguise_are_read_as_what_they_are() {
    let provider = Provider::new();
    let id = |members: &str| {
        let claims = format!(
            r#"{{"iss":"{ISSUER}","aud":"{CLIENT}","sub":"a","iat":{NOW},"exp":{NOW},{members}}}"#
        );
        let token = written(&provider, "JWT", &claims);
        at_once(provider.id_tokens().verify(&token, NONCE))
            .map(drop)
            .map_err(|error| error.kind())
    };
    let malformed = Err(OpenIdErrorKind::Token(VerifyErrorKind::MalformedClaims));
    assert_eq!(id(r#""nonce":"n-0S6_WzA2Mj""#), Ok(()));
    assert_eq!(id(r#""n\u006fnce":"n\u002d0S6_WzA2Mj""#), Ok(()));
    for twice in [
        r#""nonce":"x","n\u006fnce":"n-0S6_WzA2Mj""#,
        r#""nonce":null,"nonce":"n-0S6_WzA2Mj""#,
        r#""nonce":"n-0S6_WzA2Mj","azp":"our-client","a\u007ap":"x""#,
        r#""nonce":"n-0S6_WzA2Mj","auth_time":1,"auth\u005ftime":2"#,
        r#""nonce":"n-0S6_WzA2Mj","a\u0075d":"our-client""#,
        r#""nonce":"n-0S6_WzA2Mj\ud800""#,
        r#""nonce":{"x":"n-0S6_WzA2Mj"}"#,
        r#""nonce":"n-0S6_WzA2Mj","azp":["our-client"]"#,
    ] {
        assert_eq!(id(twice), malformed, "{twice}");
    }
    for other in [
        r#""nonce":"n-0s6_wza2mj""#,
        r#""nonce":"n-0S6_WzA2Mj\u0000""#,
        r#""nonce":"n-0S6_WzA2Mj ""#,
        r#""nonce":"\u200bn-0S6_WzA2Mj""#,
        "\"nonce\":\"n\u{2010}0S6_WzA2Mj\"",
    ] {
        assert_eq!(id(other), Err(OpenIdErrorKind::WrongNonce), "{other}");
    }
    for missing in [
        r#""Nonce":"n-0S6_WzA2Mj""#,
        r#""nonce":null"#,
        r#""x":{"nonce":"n-0S6_WzA2Mj"}"#,
    ] {
        assert_eq!(id(missing), Err(OpenIdErrorKind::MissingNonce), "{missing}");
    }
    for event in [r#""events":null"#, r#""\u0065vents":{}"#, r#""events":0"#] {
        let members = format!(r#""nonce":"{NONCE}",{event}"#);
        let logout = Err(OpenIdErrorKind::Token(VerifyErrorKind::LogoutToken));
        assert_eq!(id(&members), logout, "{event}");
    }

    let logout = |members: &str| {
        let claims = format!(
            r#"{{"iss":"{ISSUER}","aud":"{CLIENT}","sub":"a","jti":"j","iat":{NOW},"exp":{NOW},{members}}}"#
        );
        let token = written(&provider, "logout+jwt", &claims);
        at_once(provider.logout_tokens().verify(&token))
            .map(drop)
            .map_err(|error| error.kind())
    };
    let event = format!(r#""{EVENT}":{{}}"#);
    let in_disguise = event.replacen("http", r"\u0068ttp", 1);
    assert_eq!(logout(&format!(r#""events":{{{in_disguise}}}"#)), Ok(()));
    for members in [
        format!(r#""events":{{{event},{in_disguise}}}"#),
        format!(r#""events":{{{event}}},"\u0065vents":{{{event}}}"#),
        format!(r#""events":{{"{EVENT}":[]}}"#),
        format!(r#""events":[["{EVENT}",{{}}]]"#),
        format!(r#""events":{{{event}}},"j\u0074i":"k""#),
    ] {
        assert_eq!(logout(&members), malformed, "{members}");
    }
    for members in [
        format!(r#""events":{{"x":{{{event}}}}}"#),
        format!(r#""events":{{}},{event}"#),
        format!(r#""events":{{{}}}"#, event.replacen("http", "https", 1)),
        format!(
            r#""events":{{{}}}"#,
            event.replacen("logout\"", "logout/\"", 1)
        ),
        format!(r#""Events":{{{event}}}"#),
    ] {
        let no_event = Err(OpenIdErrorKind::MissingLogoutEvent);
        assert_eq!(logout(&members), no_event, "{members}");
    }
    let nonce = format!(r#""events":{{{event}}},"n\u006fnce":null"#);
    assert_eq!(logout(&nonce), Err(OpenIdErrorKind::NonceInLogoutToken));
}

#[tokio::test]
async fn logout_tokens_are_told_apart_by_all_of_their_id() {
    let provider = Provider::new();
    let ended = Ended::default();
    let app = counting(&provider, &ended);
    let long = "j".repeat(64);
    let ids = [
        "j",
        "J",
        "j\0",
        "j ",
        "\u{e9}",
        "e\u{301}",
        &long,
        &format!("{long}j"),
        &format!("{long}k"),
        &"j".repeat(4000),
    ]
    .map(str::to_owned);
    for id in &ids {
        let token = provider.logout_token(json!({ "jti": id }));
        assert_eq!(logs_out(&app, &token).await.0, 200);
    }
    for id in &ids {
        // Another signature, and another way to write it: the same id all the same.
        let token = provider.logout_token(json!({ "jti": id, "x": 1 }));
        let replayed = (400, json!("invalid_request"));
        assert_eq!(logs_out(&app, &token).await, replayed);
    }
    assert_eq!(ended.0.load(Ordering::SeqCst), 10);
}

#[tokio::test]
async fn a_form_is_read_once_and_as_bytes_that_are_text() {
    let provider = Provider::new();
    let ended = Ended::default();
    let app = counting(&provider, &ended);
    let good = provider.logout_token(json!({}));
    for body in [
        format!("logout_token[]={good}"),
        format!("logout_token[0]={good}"),
        format!("logout_token%00={good}"),
        format!("+logout_token={good}"),
        format!("logout_token=+{good}"),
        format!("logout_token={good}+"),
        format!("logout_token={good}%0a"),
        format!("logout_token={good}%ff"),
        format!("logout_token={good}%"),
        format!("logout_token={good};x=y"),
        format!("logout_token%253d={good}"),
        format!("x=y?logout_token={good}"),
        format!("logout_token={}", good.replace('.', "%252e")),
        format!("logout_token={good}&logout_token"),
        format!("logout_token&logout_token={good}"),
    ] {
        let refused = (400, json!("invalid_request"));
        let answer = error_of(send(&app, form(body.clone())).await).await;
        assert_eq!(answer, refused, "{body}");
    }
    assert_eq!(ended.0.load(Ordering::SeqCst), 0);
    // RFC 1866 §8.2.1 lets any character be written this way.
    let dots = good.replace('.', "%2E");
    let answer = send(&app, form(format!("&&logout%5Ftoken={dots}&"))).await;
    assert_eq!(answer.status(), 200);
}

#[test]
fn keys_of_one_name_and_other_algorithms_are_not_taken_for_each_other() {
    let secret = SigningKey::hs256([7; 32]).unwrap().with_key_id("k");
    let public = SigningKey::generate(Algorithm::ES256)
        .unwrap()
        .with_key_id("k");
    let keys = SigningKeySet::new(public.clone(), [secret.verifying_key()]).unwrap();
    let verifier = Verifier::new(keys.verifying_keys());
    let claims = json!({ "sub": "a", "exp": 4_000_000_000_u64 });
    for key in [&secret, &public] {
        verifier.verify(key.sign(&claims).unwrap()).unwrap();
    }
    // What everybody can read of the public one is no secret of the set.
    let document = keys.verifying_keys().to_jwks();
    let jwk: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(jwk["keys"].as_array().unwrap().len(), 1);
    let jwk = public.verifying_key().to_jwk().unwrap();
    for known in [jwk.as_bytes(), document.as_bytes()] {
        if let Ok(forger) = SigningKey::hs256(known) {
            let forged = forger.with_key_id("k").sign(&claims).unwrap();
            let error = verifier.verify(&forged).unwrap_err();
            assert_eq!(error.kind(), VerifyErrorKind::BadSignature);
        }
    }
    // A signature of the one under the header of the other.
    let [[by_secret, payload, mac], [by_public, _, signature]] =
        [&secret, &public].map(|key| parts(&key.sign(&claims).unwrap()));
    for forged in [
        format!("{by_secret}.{payload}.{signature}"),
        format!("{by_public}.{payload}.{mac}"),
    ] {
        let error = verifier.verify(&forged).unwrap_err();
        assert_eq!(error.kind(), VerifyErrorKind::BadSignature);
    }
}

fn parts(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}
