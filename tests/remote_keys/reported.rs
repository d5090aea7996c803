//! What an operator learns when keys, documents or addresses are refused.

use std::error::Error;

use tower_jwt_auth::keys::remote::{
    AddressError, FetchErrorKind, ForbiddenEndpoint, IssuerMismatch, RemoteKeys, RemoteKeysBuilder,
    RemoteKeysError,
};
use tower_jwt_auth::keys::{KeyError, SkipReason};

use crate::issuer::{self, Answer, Issuer};
use crate::{built, clock, key, of, status, token};

fn metadata(issuer: &Issuer, name: &str, jwks_uri: &str) {
    let metadata = format!(r#"{{"issuer":"{name}","jwks_uri":"{jwks_uri}"}}"#);
    issuer.answer("/.well-known/openid-configuration", Answer::Text(metadata));
}

#[test]
fn a_refused_address_names_the_rule_and_the_option() {
    let discover = |issuer: &str| RemoteKeys::discover(issuer);
    let jwks = |uri: &str| RemoteKeys::jwks(uri);
    for (builder, rule, part) in [
        (
            discover("http://id.example.com"),
            AddressError::Http,
            "allow_http",
        ),
        (
            jwks("http://id.example.com/jwks"),
            AddressError::Http,
            "allow_http",
        ),
        (
            discover("https://id.example.com?a"),
            AddressError::Query,
            "RemoteKeys::jwks",
        ),
        (
            jwks("https://id.example.com/#a"),
            AddressError::Fragment,
            "fragment",
        ),
        (
            jwks("https://me:hidden@id.example.com"),
            AddressError::Credentials,
            "Fetch",
        ),
        (discover("https://"), AddressError::NoHost, "no host"),
        (
            discover("id.example.com"),
            AddressError::NotAUrl,
            "https://",
        ),
        (
            discover("ftp://id.example.com"),
            AddressError::Scheme,
            "scheme",
        ),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error, RemoteKeysError::Address(rule));
        let said = error.to_string();
        assert!(said.contains(part), "{said}");
        assert!(!said.contains("hidden"), "{said}");
    }
    for (origin, rule) in [
        ("https://id.example.com/keys", AddressError::NotAnOrigin),
        ("https://*.example.com", AddressError::NotAnOrigin),
        ("http://id.example.com", AddressError::Http),
    ] {
        let error = origin_of(origin).build().unwrap_err();
        assert_eq!(error, RemoteKeysError::Origin(rule));
        assert!(error.to_string().contains("jwks_origins"), "{error}");
    }
    assert!(
        discover("http://id.example.com")
            .allow_http()
            .build()
            .is_ok()
    );
    assert!(origin_of("https://keys.example.com").build().is_ok());
}

fn origin_of(origin: &str) -> RemoteKeysBuilder {
    RemoteKeys::discover("https://id.example.com").jwks_origins(&[origin])
}

#[tokio::test]
async fn metadata_of_another_issuer_are_reported_with_both_names() {
    let issuer = Issuer::start().await;
    let found = "https://login.example.com/{tenant}";
    metadata(&issuer, found, &format!("{}/jwks", issuer.name()));
    let (keys, app) = of(&issuer, &clock());
    assert_eq!(status(&app, &token(&key("1"), issuer.name())).await, 503);
    let error = keys.state().last_error.unwrap();
    assert_eq!(error.kind(), FetchErrorKind::IssuerMismatch);
    let source = error.source().unwrap();
    for name in [found, issuer.name()] {
        assert!(source.to_string().contains(name), "{source}");
    }
    let mismatch: &IssuerMismatch = source.downcast_ref().unwrap();
    assert_eq!(
        (&*mismatch.configured, &*mismatch.found),
        (issuer.name(), found)
    );
    // Text of any length from outside.
    metadata(
        &issuer,
        &"x".repeat(100_000),
        &format!("{}/jwks", issuer.name()),
    );
    let (keys, app) = of(&issuer, &clock());
    assert_eq!(status(&app, &token(&key("1"), issuer.name())).await, 503);
    let error = keys.state().last_error.unwrap();
    assert!(error.source().unwrap().to_string().len() < 1_000);
}

#[tokio::test]
async fn a_refused_jwks_uri_is_reported_with_the_rule() {
    let issuer = Issuer::start().await;
    for (jwks_uri, rule, shown) in [
        (
            "http://id.example.com/a?key=hidden",
            AddressError::Http,
            "http://id.example.com/a",
        ),
        (
            "https://id.example.com/a",
            AddressError::OtherOrigin,
            "https://id.example.com/a",
        ),
        (
            "https://me:hidden@id.example.com/",
            AddressError::Credentials,
            "[credentials]@id.example.com/",
        ),
        ("/jwks", AddressError::NotAUrl, "/jwks"),
    ] {
        metadata(&issuer, issuer.name(), jwks_uri);
        let remote = RemoteKeys::discover(issuer.name()).jwks_origins(&[]);
        let (keys, app) = built(remote, &clock());
        assert_eq!(status(&app, &token(&key("1"), issuer.name())).await, 503);
        let error = keys.state().last_error.unwrap();
        assert_eq!(error.kind(), FetchErrorKind::ForbiddenEndpoint);
        let forbidden: &ForbiddenEndpoint = error.source().unwrap().downcast_ref().unwrap();
        assert_eq!((&*forbidden.uri, forbidden.reason), (shown, rule));
        assert!(!forbidden.to_string().contains("hidden"));
    }
}

#[tokio::test]
async fn unusable_keys_are_reported_with_place_name_and_reason() {
    let issuer = Issuer::start().await;
    let encrypts = r#"{"kty":"RSA","kid":"e","use":"enc","n":"AQAB","e":"AQAB"}"#;
    let other_type = r#"{"kty":"RSA","kid":"t","n":5,"e":"AQAB"}"#;
    let secret =
        r#"{"kty":"oct","kid":"s","alg":"HS256","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"}"#;
    let bad = format!("{encrypts},{other_type},{secret}");
    let expected = [
        (0, Some("e"), SkipReason::Key(KeyError::ForEncryption)),
        (1, Some("t"), SkipReason::Key(KeyError::Unreadable)),
        (2, Some("s"), SkipReason::Secret),
    ];
    let good = key("1");
    let beside = issuer::document([&good]).replacen('[', &format!("[{bad},"), 1);
    for (document, has_key) in [(beside, true), (format!(r#"{{"keys":[{bad}]}}"#), false)] {
        issuer.answer("/jwks", Answer::Text(document));
        let (keys, app) = of(&issuer, &clock());
        let expected_status = if has_key { 200 } else { 503 };
        assert_eq!(
            status(&app, &token(&good, issuer.name())).await,
            expected_status
        );
        let state = keys.state();
        let reported = |skipped: &[tower_jwt_auth::keys::SkippedKey]| {
            let keys: Vec<_> = skipped
                .iter()
                .map(|key| (key.index, key.key_id.clone(), key.reason))
                .collect();
            let expected =
                expected.map(|(index, kid, reason)| (index, kid.map(str::to_owned), reason));
            assert_eq!(keys, expected);
        };
        reported(&state.skipped);
        assert_eq!(state.issuer.as_deref(), Some(issuer.name()));
        let url = format!("{}/jwks", issuer.name());
        if has_key {
            assert_eq!(state.url, Some(url));
        } else {
            let error = state.last_error.unwrap();
            assert_eq!(error.url(), Some(&*url));
            reported(error.skipped());
        }
        let said = state.skipped[0].to_string();
        assert!(
            said.contains(r#"(kid "e")"#) && said.contains("encryption"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn the_text_of_a_skipped_key_is_short_and_on_one_line() {
    let issuer = Issuer::start().await;
    let long = format!("a\\n{}", "x".repeat(100_000));
    let bad = format!(r#"{{"keys":[{{"kty":"XX","kid":"{long}"}}]}}"#);
    issuer.answer("/jwks", Answer::Text(bad));
    let (keys, app) = of(&issuer, &clock());
    assert_eq!(status(&app, &token(&key("1"), issuer.name())).await, 503);
    let said = keys.state().skipped[0].to_string();
    assert!(said.len() < 300 && !said.contains('\n'), "{said}");
}
