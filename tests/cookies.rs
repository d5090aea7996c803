//! Holds the attributes of token cookies to what browsers accept. Run with
//! `cargo test --test cookies --all-features`.
#![cfg(feature = "axum")]
#![expect(clippy::unwrap_used, reason = "a test that panics fails")]

use std::time::Duration;

use tower_jwt_auth::cookie::{CookieError, SameSite, TokenCookie};
use tower_jwt_auth::routes::SessionCookies;

const FIVE_MINUTES: Duration = Duration::from_secs(300);

fn cookie(name: &str) -> TokenCookie {
    TokenCookie::new(name).unwrap()
}

fn set(cookie: &TokenCookie) -> String {
    let header = cookie.set("t", FIVE_MINUTES).unwrap();
    header.to_str().unwrap().to_owned()
}

fn clear(cookie: &TokenCookie) -> String {
    let header = cookie.clear().unwrap();
    header.to_str().unwrap().to_owned()
}

/// The two headers that delete the cookies of a session.
fn cleared(cookies: &SessionCookies) -> [String; 2] {
    let [access, refresh] = cookies.clear().unwrap().try_into().unwrap();
    [access, refresh].map(|header| header.to_str().unwrap().to_owned())
}

#[test]
fn a_cookie_for_other_sites_is_secure() {
    let cross_site = cookie("a").same_site(SameSite::None).unwrap();
    assert_eq!(
        set(&cross_site),
        "a=t; Max-Age=300; Path=/; Secure; HttpOnly; SameSite=None"
    );
    assert_eq!(cross_site.insecure().err(), Some(CookieError::Insecure));
    let insecure = cookie("a").insecure().unwrap();
    assert_eq!(
        insecure.clone().same_site(SameSite::None).err(),
        Some(CookieError::Insecure)
    );
    assert!(insecure.same_site(SameSite::Strict).is_ok());
}

#[test]
fn a_partitioned_cookie_is_secure() {
    let partitioned = cookie("__Host-a").partitioned().unwrap();
    let partitioned = partitioned.same_site(SameSite::None).unwrap();
    assert_eq!(
        set(&partitioned),
        "__Host-a=t; Max-Age=300; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"
    );
    let partitioned = cookie("a").partitioned().unwrap();
    assert_eq!(partitioned.insecure().err(), Some(CookieError::Insecure));
    let insecure = cookie("a").insecure().unwrap();
    assert_eq!(insecure.partitioned().err(), Some(CookieError::Insecure));
}

#[test]
fn a_cookie_without_max_age_is_still_deleted_by_one() {
    let cookie = cookie("a").without_max_age();
    assert_eq!(set(&cookie), "a=t; Path=/; Secure; HttpOnly; SameSite=Lax");
    assert_eq!(
        clear(&cookie),
        "a=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax"
    );
    let longest = "x".repeat(cookie.max_token_length());
    assert!(cookie.set(&longest, Duration::MAX).is_ok());
    assert!(cookie.set(&format!("{longest}x"), Duration::MAX).is_err());
}

/// Browsers look at the domain, the path and the partition of a cookie, and reject one that lacks
/// `Secure`.
#[test]
fn a_cookie_is_deleted_with_the_attributes_that_set_it() {
    let all = cookie("a").domain("example.com").unwrap();
    let all = all.path("/api").unwrap().partitioned().unwrap();
    let all = all.same_site(SameSite::None).unwrap();
    assert_eq!(
        clear(&all),
        "a=; Max-Age=0; Domain=example.com; Path=/api; Secure; HttpOnly; SameSite=None; Partitioned"
    );
    let cookies = SessionCookies::new().unwrap().cross_site().unwrap();
    let cookies = cookies.partitioned().unwrap().without_max_age();
    for header in cleared(&cookies) {
        let attributes = "=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=None; Partitioned";
        assert!(header.ends_with(attributes), "{header}");
    }
}

/// A cookie from before the `Domain` would stay beside the new one.
#[test]
fn cookies_with_a_domain_delete_those_without() {
    let of_domain = |name| cookie(name).domain("example.com").unwrap();
    let cookies = SessionCookies::new().unwrap();
    let cookies = cookies.with_cookies(of_domain("a"), cookie("r")).unwrap();
    let headers = cookies.clear().unwrap();
    assert_eq!(
        headers,
        [
            "a=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax",
            "a=; Max-Age=0; Domain=example.com; Path=/; Secure; HttpOnly; SameSite=Lax",
            "r=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax",
        ]
    );
}

#[test]
fn insecure_session_cookies_are_not_for_other_sites() {
    let insecure = SessionCookies::insecure_for_localhost().unwrap();
    assert_eq!(
        insecure.clone().cross_site().err(),
        Some(CookieError::Insecure)
    );
    assert_eq!(insecure.partitioned().err(), Some(CookieError::Insecure));
}

#[test]
fn an_environment_stands_after_the_prefix() {
    let cookies = SessionCookies::new().unwrap();
    let [access, refresh] = cleared(&cookies.environment("staging").unwrap());
    assert!(access.starts_with("__Host-staging-access=;"), "{access}");
    assert!(refresh.starts_with("__Host-staging-refresh=;"), "{refresh}");
    let insecure = SessionCookies::insecure_for_localhost().unwrap();
    let [access, _] = cleared(&insecure.environment("staging").unwrap());
    assert!(access.starts_with("staging-access=;"), "{access}");
    for (name, expected) in [
        ("__Host-Http-a", "__Host-Http-x-a=;"),
        ("__http-a", "__http-x-a=;"),
        ("__Secure-a", "__Secure-x-a=;"),
        ("a", "x-a=;"),
    ] {
        let cookies = SessionCookies::new().unwrap();
        let cookies = cookies.with_cookies(cookie(name), cookie("b")).unwrap();
        let [access, _] = cleared(&cookies.environment("x").unwrap());
        assert!(access.starts_with(expected), "{access}");
    }
}

/// `__Host` before a dash would promise what the cookie does not keep.
#[test]
fn an_environment_makes_no_prefix() {
    for environment in [
        "", "-", "-a", "a-", "__Host", "_a", "a_b", "a b", "a=b", "a;b", "\u{e9}",
    ] {
        for cookies in [
            SessionCookies::new().unwrap(),
            SessionCookies::insecure_for_localhost().unwrap(),
        ] {
            assert_eq!(
                cookies.environment(environment).err(),
                Some(CookieError::Name),
                "{environment}"
            );
        }
    }
    let cookies = SessionCookies::new().unwrap();
    let too_long = cookies.environment(&"a".repeat(1024));
    assert_eq!(too_long.err(), Some(CookieError::Name));
}
