//! Cookies, and requests that another site makes a browser send.

use std::borrow::Cow;
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::any;
use http::header::{CACHE_CONTROL, HeaderName, VARY};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use tower_jwt_auth::cookie::{CookieError, SameSite, TokenCookie};
use tower_jwt_auth::csrf::{CsrfLayer, Origin};
use tower_jwt_auth::{
    AuthError, AuthErrorKind, Claims, JwtAuthLayer, TokenSource, VerifiedToken, VerifyErrorKind,
};

use crate::support::{Answer, app, claims, good, hs256_token, layer, panics, send, with_headers};

const NAME: &str = "__Host-access";

fn cookie_layer() -> JwtAuthLayer {
    layer().sources([TokenSource::cookie(NAME)])
}

/// `GET /claims` with these `Cookie` headers.
async fn with_cookies(app: &Router, cookies: &[&str]) -> Answer {
    let headers: Vec<_> = cookies.iter().map(|cookie| ("cookie", *cookie)).collect();
    send(app, with_headers("GET", &headers)).await
}

#[tokio::test]
async fn i01_a_repeated_cookie() {
    let app = app(cookie_layer());
    let named = |name: &str| hs256_token(claims(json!({ "sub": name })));
    let (ours, tossed) = (named("alice"), named("mallory"));
    let (ours, tossed) = (&format!("{NAME}={ours}"), &format!("{NAME}={tossed}"));
    let empty = &format!("{NAME}=");
    for cookies in [
        // From a subdomain or for a longer path, before ours or after; the header split by HTTP/2.
        &[&*format!("{ours}; {tossed}")][..],
        &[&format!("{tossed}; {ours}")],
        &[&format!("{ours};{tossed}")],
        &[&format!("a=b; {ours}; c=d; {tossed}")],
        &[ours, tossed],
        &[tossed, ours],
        &[ours, "a=b", tossed],
        &[&format!("{ours}; {tossed}; {ours}")],
        &[ours, empty],
        &[empty, ours],
        &[&format!("{ours}; {NAME}=x")],
        &[&format!("{ours}; {ours}x")],
        &[&format!("{ours}; {ours} ")],
    ] {
        let answer = with_cookies(&app, cookies).await;
        answer.malformed();
        assert_eq!(answer.kind(), Some(AuthErrorKind::SeveralTokens));
    }
    for cookies in [
        &[&**ours][..],
        &[&format!("a=b; {ours}; c=d")],
        &["a=b", ours, "c=d"],
        // The same value twice says the same.
        &[&format!("{ours}; {ours}")],
        &[ours, ours],
        &[ours, "", ";", "; ;", "x"],
    ] {
        assert_eq!(with_cookies(&app, cookies).await.accepted()["sub"], "alice");
    }
    for nothing in [&[][..], &[""], &[empty], &[empty, empty], &["a=b"]] {
        let answer = with_cookies(&app, nothing).await;
        assert_eq!(answer.kind(), Some(AuthErrorKind::MissingToken));
    }
}

/// Names that a careless parser takes for ours, and that browsers let others set.
#[tokio::test]
async fn i01_cookies_in_disguise() {
    let app = app(cookie_layer());
    let (good, evil) = (good(), hs256_token(claims(json!({ "sub": "mallory" }))));
    let ours = format!("{NAME}={good}");
    for disguised in [
        // Without a name, browsers send the value alone.
        format!("={NAME}={evil}"),
        format!("={evil}"),
        // White space that only Unicode knows, before the name and after.
        format!("\u{2000}{NAME}={evil}"),
        format!("\u{a0}{NAME}={evil}"),
        format!("\u{feff}{NAME}={evil}"),
        format!("{NAME}\u{2003}={evil}"),
        format!("{NAME} ={evil}"),
        format!("{NAME}\t={evil}"),
        // In other cases, and in part.
        format!("__host-access={evil}"),
        format!("__HOST-ACCESS={evil}"),
        format!("__Host-accesS={evil}"),
        format!("access={evil}"),
        format!("__Host-access2={evil}"),
        format!("x__Host-access={evil}"),
        // Encoded.
        format!("__Host%2Daccess={evil}"),
        format!("\"{NAME}\"={evil}"),
        // Inside of another cookie's value.
        format!("a={NAME}={evil}"),
        format!("a=\"x, {NAME}={evil}\""),
        format!("a=b, {NAME}={evil}"),
        format!("$Version=1, {NAME}={evil}"),
        // No pair at all.
        NAME.to_owned(),
        format!("{NAME} {evil}"),
    ] {
        let alone = with_cookies(&app, &[&disguised]).await;
        assert_eq!(
            alone.kind(),
            Some(AuthErrorKind::MissingToken),
            "{disguised}"
        );
        for beside in [
            format!("{ours}; {disguised}"),
            format!("{disguised}; {ours}"),
        ] {
            let answer = with_cookies(&app, &[&beside]).await;
            assert_eq!(answer.accepted()["sub"], "alice");
        }
    }
    // A value is taken as it is: no encoding, no white space.
    for value in [
        format!(" {good}"),
        format!("{good} "),
        good.replace('.', "%2E"),
        format!("{good}=x"),
    ] {
        let answer = with_cookies(&app, &[&format!("{NAME}={value}")]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{value}");
    }
}

/// Java's `CookieManager` adds quotes, which RFC 6265 §4.1.1 allows.
#[tokio::test]
async fn i15_quotes_around_a_cookie() {
    let app = app(cookie_layer());
    let (good, evil) = (good(), hs256_token(claims(json!({ "sub": "mallory" }))));
    for accepted in [
        format!("{NAME}=\"{good}\""),
        format!("$Version=\"1\"; {NAME}=\"{good}\";$Path=\"/\";$Domain=\"localhost.local\""),
        // The same token twice.
        format!("{NAME}=\"{good}\"; {NAME}={good}"),
        // A cookie ends at a semicolon, also between quotes: no cookie swallows another one.
        format!("a=\"x; {NAME}={good}; b=y\""),
        format!("a=\"; {NAME}=\"{good}\"; b=\""),
    ] {
        let answer = with_cookies(&app, &[&accepted]).await;
        assert_eq!(answer.accepted()["sub"], "alice", "{accepted}");
    }
    for value in [
        format!("\"{good}"),
        format!("{good}\""),
        format!("\"\"{good}\"\""),
        format!("\"{good}\" "),
        format!("\"{good}\"x"),
        format!("\" {good}\""),
        format!("'{good}'"),
        format!("\"{good}; a=\""),
        "\"".to_owned(),
    ] {
        let answer = with_cookies(&app, &[&format!("{NAME}={value}")]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{value}");
        assert_ne!(answer.kind(), Some(AuthErrorKind::MissingToken), "{value}");
    }
    let empty = with_cookies(&app, &[&format!("{NAME}=\"\"")]).await;
    assert_eq!(empty.kind(), Some(AuthErrorKind::MissingToken));
    let tossed = format!("{NAME}=\"{evil}\"; {NAME}={good}");
    let answer = with_cookies(&app, &[&tossed]).await;
    assert_eq!(answer.kind(), Some(AuthErrorKind::SeveralTokens));
}

#[test]
fn i02_host_cookies_with_a_path_or_domain() {
    for name in [
        "__Host-a",
        "__host-a",
        "__HOST-a",
        "__Host-",
        "__Host-Http-a",
        "__HOST-http-a",
    ] {
        let cookie = || TokenCookie::new(name).unwrap();
        for path in ["/x", "/ ", "", "//", "/;", "x"] {
            assert_eq!(cookie().path(path).err(), Some(CookieError::Prefix));
        }
        for domain in ["example.com", "localhost", ".", ""] {
            assert_eq!(cookie().domain(domain).err(), Some(CookieError::Prefix));
        }
        let set = cookie().path("/").unwrap().same_site(SameSite::Strict);
        let set = set.unwrap();
        let set = set.set("t", Duration::from_secs(1)).unwrap();
        assert_eq!(
            set,
            format!("{name}=t; Max-Age=1; Path=/; Secure; HttpOnly; SameSite=Strict")
        );
    }
    // Another name may have both.
    for name in [
        "__Secure-a",
        "__Http-a",
        "a",
        "__Host",
        "__HostHttp-a",
        "x__Host-a",
    ] {
        let cookie = TokenCookie::new(name).unwrap();
        let cookie = cookie.path("/x").unwrap().domain("example.com").unwrap();
        let set = cookie.clear().unwrap();
        assert_eq!(
            set,
            format!(
                "{name}=; Max-Age=0; Domain=example.com; Path=/x; Secure; HttpOnly; SameSite=Lax"
            )
        );
    }
}

/// Of a cookie with a prefix, browsers look at the attributes (draft-ietf-httpbis-rfc6265bis
/// §4.1.3, in any case).
#[test]
fn i02_prefixed_cookies_are_secure_and_out_of_reach_of_scripts() {
    for prefix in ["__Secure-", "__Host-", "__Http-", "__Host-Http-"] {
        for name in [
            format!("{prefix}a"),
            prefix.to_owned(),
            format!("{}A", prefix.to_lowercase()),
            format!("{}a", prefix.to_uppercase()),
        ] {
            let cookie = TokenCookie::new(&name).unwrap();
            assert_eq!(
                cookie.clone().insecure().err(),
                Some(CookieError::Prefix),
                "{name}"
            );
            for set in [
                cookie.set("t", Duration::from_secs(1)).unwrap(),
                cookie.clear().unwrap(),
            ] {
                assert!(
                    set.to_str()
                        .unwrap()
                        .contains("; Path=/; Secure; HttpOnly;")
                );
            }
        }
    }
    for name in [
        "a",
        "__Http",
        "__Httpa",
        "_Http-a",
        "Http-a",
        "x__Http-a",
        "__Host",
    ] {
        assert!(TokenCookie::new(name).unwrap().insecure().is_ok(), "{name}");
    }
}

#[test]
fn i02_attributes_that_bring_others_along() {
    let cookie = || TokenCookie::new("a").unwrap();
    for path in [
        "",
        "x",
        "/;Domain=x",
        "/\r\nSet-Cookie: b",
        "/ x",
        "/\u{e9}",
        "/\0",
    ] {
        assert_eq!(cookie().path(path).err(), Some(CookieError::Attribute));
    }
    let longest = "a".repeat(1024);
    let cookie_of_all = TokenCookie::new(&longest).unwrap();
    let cookie_of_all = cookie_of_all.domain(&longest).unwrap();
    let cookie_of_all = cookie_of_all.path(&format!("/{}", "a".repeat(1023)));
    assert!(cookie_of_all.unwrap().clear().is_ok());
    assert_eq!(
        TokenCookie::new(&format!("{longest}a")).err(),
        Some(CookieError::Name)
    );
    let longest = format!("/{}", "a".repeat(1023));
    assert!(cookie().path(&longest).is_ok());
    assert_eq!(
        cookie().path(&format!("{longest}a")).err(),
        Some(CookieError::Attribute)
    );
    assert_eq!(
        cookie().domain(&"a".repeat(1025)).err(),
        Some(CookieError::Attribute)
    );
    for domain in ["", "x;Secure", "x x", "x/", "x:1", "x,y", "\u{e9}", "x\r\n"] {
        assert_eq!(cookie().domain(domain).err(), Some(CookieError::Attribute));
    }
    for value in [
        "", "a b", "a;b", "a,b", "a\"", "a\\", "a\r\nb", "\u{e9}", "\0", "\u{7f}",
    ] {
        let set = cookie().set(value, Duration::ZERO);
        assert_eq!(set.err(), Some(CookieError::Value));
    }
    for name in [
        "", "a=b", "a;b", "a b", " a", "a\t", "a,b", "\u{e9}", "a\0", "(a)", "a/b",
    ] {
        assert_eq!(TokenCookie::new(name).err(), Some(CookieError::Name));
        assert!(panics(|| TokenSource::cookie(name)));
    }
    assert!(!panics(|| TokenSource::cookie("a")));
}

/// A service that a cookie opens, asked with a good one.
struct Site(Router);

impl Site {
    fn new(layer: JwtAuthLayer) -> Self {
        let app = Router::new().route("/claims", any(|| async { "{}" }));
        Self(app.layer(layer.sources([TokenSource::cookie(NAME)])))
    }

    /// Rules that do not hang on a token.
    fn alone(layer: CsrfLayer) -> Self {
        let app = Router::new().route("/claims", any(|| async { "{}" }));
        Self(app.layer(layer))
    }

    async fn ask(&self, method: &str, headers: &[(&str, &str)]) -> Answer {
        let cookie = format!("{NAME}={}", good());
        let headers = [&[("cookie", &*cookie)], headers].concat();
        send(&self.0, with_headers(method, &headers)).await
    }

    #[track_caller]
    fn is(allowed: bool, answer: &Answer) {
        if allowed {
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.asked);
        } else {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.asked);
            assert_eq!(answer.kind(), Some(AuthErrorKind::CrossSite));
            assert_eq!(answer.challenge(), None);
        }
    }
}

/// The rules behind a cookie, and alone.
fn sites() -> [Site; 2] {
    [Site::new(layer()), Site::alone(CsrfLayer::new())]
}

const HOST: (&str, &str) = ("host", "app.example.com");
const OWN: (&str, &str) = ("origin", "https://app.example.com");
const FOREIGN: (&str, &str) = ("origin", "https://evil.example");

#[tokio::test]
async fn i04_sec_fetch_site() {
    const UNSAFE: [&str; 8] = [
        "POST", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE", "PURGE", "get",
    ];
    for site in sites() {
        for method in UNSAFE {
            for (value, allowed) in [
                ("same-origin", true),
                ("none", true),
                ("cross-site", false),
                ("same-site", false),
                ("", false),
                ("same-origin ", false),
                ("Same-Origin", false),
                ("SAME-ORIGIN", false),
                ("NONE", false),
                ("null", false),
                ("\"same-origin\"", false),
                ("same-origin, cross-site", false),
                ("same-origin,same-origin", false),
                ("same-origin;", false),
                ("sameorigin", false),
                ("same-origin\u{a0}", false),
            ] {
                let sent = ("sec-fetch-site", value);
                Site::is(allowed, &site.ask(method, &[HOST, sent]).await);
                // The same origin does not make up for it, and a foreign one does not spoil it.
                for origin in [OWN, FOREIGN] {
                    let answer = site.ask(method, &[HOST, origin, sent]).await;
                    Site::is(allowed, &answer);
                }
            }
            let twice = [("sec-fetch-site", "same-origin"); 2];
            Site::is(false, &site.ask(method, &twice).await);
            Site::is(true, &site.ask(method, &twice[..1]).await);
        }
        for method in ["GET", "HEAD", "OPTIONS"] {
            for value in ["cross-site", "same-site", ""] {
                let headers = [HOST, FOREIGN, ("sec-fetch-site", value)];
                Site::is(true, &site.ask(method, &headers).await);
            }
        }
    }
}

#[tokio::test]
async fn i05_origin_and_host() {
    for site in sites() {
        for (origin, host, allowed) in [
            ("https://app.example.com", "app.example.com", true),
            ("http://app.example.com", "app.example.com", true),
            ("https://app.example.com", "APP.example.COM", true),
            ("https://app.example.com", "app.example.com:443", true),
            ("http://app.example.com", "app.example.com:80", true),
            ("https://app.example.com:8443", "app.example.com:8443", true),
            ("http://localhost:3000", "localhost:3000", true),
            ("http://127.0.0.1:3000", "127.0.0.1:3000", true),
            ("https://[::1]", "[::1]", true),
            ("https://[::1]", "[::1]:443", true),
            ("https://[::1]:8443", "[::1]:8443", true),
            ("https://[2001:db8::1]", "[2001:DB8::1]", true),
            // Another host, and no host.
            ("https://evil.example", "app.example.com", false),
            ("null", "app.example.com", false),
            ("null", "null", false),
            ("", "app.example.com", false),
            ("", "", false),
            ("https://", "", false),
            ("://", "", false),
            ("app.example.com", "app.example.com", false),
            ("file://", "", false),
            // Another port.
            ("https://app.example.com:8443", "app.example.com", false),
            ("https://app.example.com", "app.example.com:8443", false),
            ("https://app.example.com:444", "app.example.com:443", false),
            ("https://app.example.com", "app.example.com:80", false),
            ("http://app.example.com", "app.example.com:443", false),
            ("https://app.example.com:80", "app.example.com:80", true),
            ("http://[::1]:3000", "[::1]:3001", false),
            ("http://[::1]:3000", "[::1]", false),
            ("https://[::1]", "[::1:443]", false),
            // A suffix, a prefix, and what only looks like the host.
            ("https://app.example.com.evil", "app.example.com", false),
            ("https://evil-app.example.com", "app.example.com", false),
            ("https://evil.app.example.com", "app.example.com", false),
            ("https://example.com", "app.example.com", false),
            ("https://app.example.com", "example.com", false),
            ("https://app.example.com.", "app.example.com", false),
            ("https://app.example.com", "app.example.com.", false),
            ("https://app.example.com", "app.example.com.evil", false),
            ("https://app.example.com/", "app.example.com", false),
            ("https://app.example.com/x", "app.example.com", false),
            (
                "https://app.example.com@evil.example",
                "app.example.com",
                false,
            ),
            (
                "https://evil.example#app.example.com",
                "app.example.com",
                false,
            ),
            (
                "https://evil.example?app.example.com",
                "app.example.com",
                false,
            ),
            ("https://user@app.example.com", "app.example.com", false),
            ("https://*.example.com", "app.example.com", false),
            ("https://app\u{2024}example.com", "app.example.com", false),
            ("https://\u{e4}pp.example", "\u{e4}pp.example", false),
            ("https://127.1", "127.0.0.1", false),
            ("https://[0:0:0:0:0:0:0:1]", "[::1]", false),
            // Two in one.
            (
                "https://app.example.com, https://evil.example",
                "app.example.com",
                false,
            ),
            (
                "https://app.example.com https://app.example.com",
                "app.example.com",
                false,
            ),
            (" https://app.example.com", "app.example.com", false),
            (
                "https://app.example.com",
                "app.example.com,app.example.com",
                false,
            ),
            // Schemes of extensions and apps.
            ("ftp://app.example.com", "app.example.com", false),
            (
                "chrome-extension://app.example.com",
                "app.example.com",
                false,
            ),
            ("wss://app.example.com", "app.example.com", false),
            ("HTTPS://app.example.com", "app.example.com", false),
            ("//app.example.com", "app.example.com", false),
        ] {
            for method in ["POST", "DELETE"] {
                let headers = [("host", host), ("origin", origin)];
                Site::is(allowed, &site.ask(method, &headers).await);
            }
            let headers = [("host", host), ("origin", origin)];
            Site::is(true, &site.ask("GET", &headers).await);
        }
    }
}

#[tokio::test]
async fn i05_repeated_headers() {
    for site in sites() {
        Site::is(true, &site.ask("POST", &[HOST, OWN]).await);
        for headers in [
            &[HOST, OWN, OWN][..],
            &[HOST, OWN, FOREIGN],
            &[HOST, FOREIGN, OWN],
            &[HOST, HOST, OWN],
            &[HOST, ("host", "evil.example"), FOREIGN],
            &[("host", "evil.example"), HOST, FOREIGN],
            &[HOST, OWN, ("origin", "")],
            &[OWN],
            &[HOST, OWN, FOREIGN, ("sec-fetch-site", "none")],
            &[
                HOST,
                OWN,
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-site", "cross-site"),
            ],
        ] {
            Site::is(false, &site.ask("POST", headers).await);
        }
    }
}

/// RFC 9112 §3.2.2: the target's authority overrides `Host`. HTTP/2 has it as `:authority`.
#[tokio::test]
async fn i05_the_authority_of_the_target_counts_before_host() {
    const EVIL: (&str, &str) = ("host", "evil.example");
    for site in sites() {
        for (target, headers, allowed) in [
            ("https://app.example.com/claims", &[OWN][..], true),
            ("https://app.example.com/claims", &[OWN, EVIL], true),
            ("https://app.example.com:443/claims", &[OWN], true),
            ("https://app.example.com/claims", &[FOREIGN, EVIL], false),
            ("https://app.example.com/claims", &[FOREIGN], false),
            ("https://evil.example/claims", &[OWN, HOST], false),
            ("https://app.example.com:8443/claims", &[OWN, HOST], false),
            ("https://user@app.example.com/claims", &[OWN, HOST], false),
            (
                "https://app.example.com@evil.example/claims",
                &[OWN, HOST],
                false,
            ),
            ("/claims", &[OWN, HOST], true),
            ("/claims", &[OWN, EVIL], false),
            ("//app.example.com/claims", &[OWN], false),
        ] {
            let cookie = format!("{NAME}={}", good());
            let headers = [&[("cookie", &*cookie)], headers].concat();
            let mut request = with_headers("POST", &headers);
            *request.uri_mut() = target.parse().unwrap();
            Site::is(allowed, &send(&site.0, request).await);
        }
    }
}

#[tokio::test]
async fn i05_what_a_proxy_may_have_written_does_not_count() {
    for site in sites() {
        for name in ["x-forwarded-host", "forwarded", "x-original-host", "x-host"] {
            for value in ["evil.example", "host=evil.example"] {
                let headers = [HOST, FOREIGN, (name, value)];
                Site::is(false, &site.ask("POST", &headers).await);
                Site::is(true, &site.ask("POST", &[HOST, OWN, (name, value)]).await);
            }
        }
        let referer = ("referer", "https://app.example.com/");
        Site::is(false, &site.ask("POST", &[HOST, referer]).await);
        Site::is(false, &site.ask("POST", &[HOST, FOREIGN, referer]).await);
        let requested = ("x-requested-with", "XMLHttpRequest");
        Site::is(false, &site.ask("POST", &[HOST, requested]).await);
    }
}

const TRUSTED: &str = "https://www.example.org:8443";

#[tokio::test]
async fn i05_trusted_origins() {
    for site in [
        Site::new(layer().trusted_origin(TRUSTED)),
        Site::alone(CsrfLayer::new().trusted_origin(TRUSTED)),
    ] {
        for fetch_site in ["cross-site", "same-site", "", "new-value"] {
            let sent = ("sec-fetch-site", fetch_site);
            let trusted = ("origin", TRUSTED);
            Site::is(true, &site.ask("POST", &[HOST, trusted, sent]).await);
            Site::is(true, &site.ask("POST", &[trusted]).await);
            for origin in [
                "https://www.example.org",
                "https://www.example.org:8444",
                "http://www.example.org:8443",
                "https://www.example.org:8443/",
                "https://www.example.org:8443.evil.example",
                "https://evil.www.example.org:8443",
                "https://WWW.example.org:8443",
                "https://www.example.org:84430",
                "www.example.org:8443",
                "null",
                "",
            ] {
                for headers in [
                    &[HOST, ("origin", origin), sent][..],
                    &[HOST, ("origin", origin)],
                    &[HOST, trusted, ("origin", origin), sent],
                ] {
                    Site::is(false, &site.ask("POST", headers).await);
                }
            }
            let both = [HOST, trusted, trusted, sent];
            Site::is(false, &site.ask("POST", &both).await);
        }
        Site::is(true, &site.ask("POST", &[HOST, OWN]).await);
        Site::is(false, &site.ask("POST", &[HOST, FOREIGN]).await);
    }
    for origin in [
        "null",
        "",
        "*",
        "https://*.example.org",
        "https://example.org/",
        "https://example.org:08443",
        "https://127.1",
        "https://[0:0:0:0:0:0:0:1]",
        "https://example.org,evil.example",
    ] {
        assert!(panics(|| layer().trusted_origin(origin)));
        assert!(panics(|| CsrfLayer::new().trusted_origin(origin)));
    }
    assert!(!panics(|| layer().trusted_origin(TRUSTED)));
}

#[tokio::test]
async fn i05_origins_that_a_predicate_trusts() {
    let is_preview =
        |origin: &Origin| origin.scheme() == "https" && origin.host().ends_with(".preview.example");
    let is_app = |origin: &Origin| origin.as_str() == "capacitor://localhost";
    for site in [
        Site::new(
            layer()
                .trusted_origin(TRUSTED)
                .trusted_origins_by(is_preview)
                .trusted_origins_by(is_app),
        ),
        Site::alone(
            CsrfLayer::new()
                .trusted_origin(TRUSTED)
                .trusted_origins_by(is_preview)
                .trusted_origins_by(is_app),
        ),
    ] {
        for (origin, allowed) in [
            ("https://a.preview.example", true),
            ("https://a.b.preview.example:8443", true),
            ("capacitor://localhost", true),
            (TRUSTED, true),
            ("http://a.preview.example", false),
            ("https://preview.example", false),
            ("https://xpreview.example", false),
            ("https://a.preview.example.evil.example", false),
            ("https://evil.example/.preview.example", false),
            ("https://evil.example#.preview.example", false),
            ("https://A.preview.example", false),
            ("tauri://localhost", false),
            ("null", false),
            ("", false),
        ] {
            let cross = [HOST, ("origin", origin), ("sec-fetch-site", "cross-site")];
            Site::is(allowed, &site.ask("POST", &cross).await);
            let twice = [cross[0], cross[1], cross[1], cross[2]];
            Site::is(false, &site.ask("POST", &twice).await);
        }
    }
}

/// What is no origin is not shown to the predicate, which could take it for one.
#[tokio::test]
async fn i05_a_predicate_sees_origins_alone() {
    let site = Site::new(layer().trusted_origins_by(|_| true));
    for (origin, allowed) in [
        ("https://evil.example", true),
        ("null", false),
        ("", false),
        ("https://a, https://b", false),
        ("https://a.example/", false),
        ("https://127.1", false),
    ] {
        let headers = [HOST, ("origin", origin), ("sec-fetch-site", "cross-site")];
        Site::is(allowed, &site.ask("POST", &headers).await);
    }
    let none = [HOST, ("sec-fetch-site", "cross-site")];
    Site::is(false, &site.ask("POST", &none).await);
}

#[tokio::test]
async fn i06_a_token_in_authorization_needs_no_origin_if_exempted() {
    let route = || Router::new().route("/claims", any(|| async { "{}" }));
    let exempting = route().layer(CsrfLayer::new().exempt_authorization());
    let strict = route().layer(CsrfLayer::new());
    let post = async |app: &Router, headers: &[(&str, &str)]| {
        send(app, with_headers("POST", headers)).await
    };
    for (authorization, exempt) in [
        ("Bearer abc.def", true),
        ("bearer   abc.def", true),
        ("DPoP abc.def", true),
        ("Basic YTpi", false),
        ("Negotiate YTpi", false),
        ("NTLM YTpi", false),
        ("Digest username=a", false),
        ("Bearer", false),
        ("Bearer ", false),
        ("Bearer a b", false),
        ("Bearer a,Basic b", false),
        ("Bearerabc", false),
        ("Basic YTpi, Bearer abc", false),
        ("", false),
    ] {
        let header = ("authorization", authorization);
        Site::is(exempt, &post(&exempting, &[header]).await);
        Site::is(false, &post(&strict, &[header]).await);
        Site::is(false, &post(&exempting, &[header, header]).await);
        for browser in [
            ("cookie", "a=b"),
            ("cookie", ""),
            FOREIGN,
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", ""),
        ] {
            Site::is(false, &post(&exempting, &[header, browser]).await);
        }
    }
    Site::is(false, &post(&exempting, &[]).await);
}

#[tokio::test]
async fn i06_neither_header() {
    for site in sites() {
        for method in ["POST", "PUT", "PATCH", "DELETE", "LINK"] {
            Site::is(false, &site.ask(method, &[]).await);
            Site::is(false, &site.ask(method, &[HOST]).await);
            Site::is(true, &site.ask(method, &[HOST, OWN]).await);
        }
        for method in ["GET", "HEAD", "OPTIONS"] {
            Site::is(true, &site.ask(method, &[]).await);
        }
    }
}

#[tokio::test]
async fn i06_only_requests_with_a_cookie_are_checked() {
    let sources = [
        TokenSource::bearer(),
        TokenSource::header("x-token"),
        TokenSource::custom(|request| {
            let value = request.headers.get("x-custom")?;
            value.to_str().ok().map(Cow::Borrowed)
        }),
        TokenSource::custom_ambient(|request| {
            let value = request.headers.get("x-ambient")?;
            value.to_str().ok().map(Cow::Borrowed)
        }),
        TokenSource::cookie(NAME),
    ];
    let app = app(layer().sources(sources));
    let token = good();
    let (authorization, cookie) = (format!("Bearer {token}"), format!("{NAME}={token}"));
    for (header, ambient) in [
        (("authorization", &authorization), false),
        (("x-token", &token), false),
        (("x-custom", &token), false),
        (("x-ambient", &token), true),
        (("cookie", &cookie), true),
    ] {
        let (name, value) = header;
        let cross = [(name, &**value), FOREIGN, ("sec-fetch-site", "cross-site")];
        Site::is(!ambient, &send(&app, with_headers("POST", &cross)).await);
        Site::is(
            !ambient,
            &send(&app, with_headers("POST", &cross[..1])).await,
        );
        let own = [(name, &**value), ("sec-fetch-site", "same-origin")];
        Site::is(true, &send(&app, with_headers("POST", &own)).await);
    }
    // The header decides who comes by what, though the browser added the cookie.
    let both = [
        ("authorization", &*authorization),
        ("cookie", &cookie),
        ("sec-fetch-site", "cross-site"),
    ];
    Site::is(true, &send(&app, with_headers("POST", &both)).await);
}

#[tokio::test]
async fn i06_another_site_learns_nothing_about_the_cookie() {
    let app = app(cookie_layer());
    let ask = async |cookie: &str, site: &str| {
        let headers = [("cookie", cookie), ("sec-fetch-site", site)];
        send(&app, with_headers("POST", &headers)).await
    };
    let good = format!("{NAME}={}", good());
    let expired = format!("{NAME}={}", hs256_token(r#"{"exp":1}"#));
    let bad = format!("{NAME}=x");
    let first = ask(&good, "cross-site").await;
    for cookie in [&good, &expired, &bad] {
        let answer = ask(cookie, "cross-site").await;
        Site::is(false, &answer);
        assert_eq!(answer.body, first.body);
        assert_eq!(answer.headers, first.headers);
    }
    ask(&good, "none").await.accepted();
    ask(&expired, "none")
        .await
        .refused(VerifyErrorKind::Expired);
    ask(&bad, "none").await.refused(VerifyErrorKind::Malformed);
}

#[tokio::test]
async fn i09_login_and_refresh() {
    let login = Router::new().route("/claims", any(|| async { "{}" }));
    let site = Site(login.layer(CsrfLayer::new()));
    // No cookie is there yet: the point is to set one.
    let ask = async |method: &str, headers: &[(&str, &str)]| {
        send(&site.0, with_headers(method, headers)).await
    };
    for (headers, allowed) in [
        (&[HOST, OWN][..], true),
        (&[("sec-fetch-site", "same-origin")], true),
        (&[("sec-fetch-site", "none")], true),
        (&[], false),
        (&[HOST], false),
        (&[HOST, FOREIGN], false),
        (&[HOST, ("origin", "null")], false),
        (&[HOST, OWN, ("sec-fetch-site", "same-site")], false),
        (&[HOST, FOREIGN, ("sec-fetch-site", "cross-site")], false),
        // A form can be of this kind.
        (&[HOST, FOREIGN, ("content-type", "text/plain")], false),
        // What a page may set for itself proves nothing.
        (&[HOST, FOREIGN, ("authorization", "Bearer x")], false),
    ] {
        Site::is(allowed, &ask("POST", headers).await);
        Site::is(true, &ask("GET", headers).await);
    }
}

#[tokio::test]
async fn i09_a_header_that_overrides_the_method() {
    for site in sites() {
        for name in [
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
            "X-HTTP-Method-Override",
        ] {
            for method in ["GET", "HEAD", "OPTIONS", "POST"] {
                for value in ["POST", "delete", "GET", ""] {
                    let headers = [HOST, FOREIGN, (name, value)];
                    Site::is(false, &site.ask(method, &headers).await);
                    Site::is(false, &site.ask(method, &[(name, value)]).await);
                    Site::is(true, &site.ask(method, &[HOST, OWN, (name, value)]).await);
                }
            }
        }
        Site::is(true, &site.ask("GET", &[HOST, FOREIGN]).await);
    }
}

/// A header that the browser sends once comes twice: it is not known which one is the browser's.
#[tokio::test]
async fn i13_several_sec_fetch_site_headers() {
    const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");
    const NONE: (&str, &str) = ("sec-fetch-site", "none");
    const CROSS: (&str, &str) = ("sec-fetch-site", "cross-site");
    let trusting = [
        Site::new(layer().trusted_origin(TRUSTED)),
        Site::alone(CsrfLayer::new().trusted_origin(TRUSTED)),
    ];
    for site in sites().into_iter().chain(trusting) {
        for twice in [[SAME, SAME], [SAME, CROSS], [CROSS, SAME], [NONE, SAME]] {
            for origin in [&[][..], &[OWN], &[("origin", TRUSTED)], &[FOREIGN]] {
                let headers = [&twice[..], &[HOST], origin].concat();
                Site::is(false, &site.ask("POST", &headers).await);
                let override_method = [&headers[..], &[("x-http-method", "DELETE")]].concat();
                Site::is(false, &site.ask("GET", &override_method).await);
            }
        }
        for origins in [[OWN, OWN], [OWN, FOREIGN], [FOREIGN, OWN]] {
            let headers = [HOST, origins[0], origins[1]];
            Site::is(false, &site.ask("POST", &headers).await);
            let headers = [HOST, origins[0], origins[1], SAME];
            Site::is(false, &site.ask("POST", &headers).await);
        }
    }
}

/// Neither option opens a safe method that another header overrides.
#[tokio::test]
async fn i14_exempt_requests_with_a_method_override() {
    let app = Router::new()
        .route("/claims", any(|| async { "{}" }))
        .layer(CsrfLayer::new().exempt_authorization());
    let token = ("authorization", "Bearer abc.def");
    for name in [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
    ] {
        let changed = (name, "DELETE");
        for method in ["GET", "HEAD", "OPTIONS", "POST"] {
            let ask = async |headers: &[(&str, &str)]| {
                let headers = [&[changed], headers].concat();
                send(&app, with_headers(method, &headers)).await
            };
            Site::is(false, &ask(&[]).await);
            Site::is(true, &ask(&[token]).await);
            for from_browser in [("cookie", "a=b"), FOREIGN, ("sec-fetch-site", "cross-site")] {
                Site::is(false, &ask(&[token, from_browser]).await);
            }
            Site::is(false, &ask(&[("authorization", "Basic YTpi")]).await);
        }
    }
}

#[tokio::test]
async fn i10_websockets_of_another_site() {
    for site in sites() {
        for protocols in [
            &["websocket"][..],
            &["WebSocket"],
            &[""],
            &["h2c, websocket"],
            &["websocket, h2c"],
            &["h2c,websocket"],
            &["h2c", "websocket"],
            &["websocket", "h2c"],
            // Not known, and not quite `h2c`.
            &["h2"],
            &["h2c/1"],
            &["h2c websocket"],
            &["h2c;websocket"],
            &["\"h2c\""],
            &["h2c\u{a0}"],
            &["connect-udp"],
            &["h2c,"],
            &["h2c, , h2c"],
        ] {
            let protocols = protocols.iter().map(|protocol| ("upgrade", *protocol));
            let mut upgrade = vec![("connection", "Upgrade"), HOST];
            upgrade.extend(protocols);
            for (headers, allowed) in [
                (&[OWN][..], true),
                (&[("sec-fetch-site", "same-origin")], true),
                (&[], false),
                (&[FOREIGN], false),
                (&[("origin", "null")], false),
                (&[("origin", "https://app.example.com.evil")], false),
                (&[("origin", "wss://app.example.com")], false),
                (&[OWN, ("sec-fetch-site", "cross-site")], false),
                (&[OWN, ("sec-fetch-site", "same-site")], false),
            ] {
                let headers = [&upgrade[..], headers].concat();
                Site::is(allowed, &site.ask("GET", &headers).await);
                Site::is(allowed, &site.ask("OPTIONS", &headers).await);
            }
        }
        // Java's client and `curl --http2` offer HTTP/2 in clear text with every request (RFC 7540
        // §3.2).
        for protocols in [
            &["h2c"][..],
            &["H2C"],
            &["h2c, h2c"],
            &["h2c", "h2c"],
            &[" h2c\t"],
        ] {
            let mut upgrade = vec![("connection", "Upgrade, HTTP2-Settings"), HOST];
            upgrade.extend(protocols.iter().map(|protocol| ("upgrade", *protocol)));
            for headers in [&[][..], &[FOREIGN], &[("sec-fetch-site", "cross-site")]] {
                let headers = [&upgrade[..], headers].concat();
                Site::is(true, &site.ask("GET", &headers).await);
                Site::is(false, &site.ask("POST", &headers).await);
            }
        }
        // Over HTTP/2 a WebSocket begins with CONNECT (RFC 8441).
        Site::is(false, &site.ask("CONNECT", &[HOST, FOREIGN]).await);
        Site::is(true, &site.ask("GET", &[HOST, FOREIGN]).await);
    }
}

const ALICE: &str = "alice";

/// Answers with these `Cache-Control` lines and this `Vary`, and says who asked.
fn cached(
    layer: JwtAuthLayer,
    control: &'static [&'static str],
    vary: &'static [&'static str],
) -> Router {
    let handler = move |token: Option<VerifiedToken>| async move {
        let name = token.as_ref().and_then(VerifiedToken::subject);
        let mut response = name.unwrap_or("nobody").to_owned().into_response();
        for line in control {
            let line = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            response.headers_mut().append(CACHE_CONTROL, line);
        }
        for line in vary {
            response
                .headers_mut()
                .append(VARY, HeaderValue::from_static(line));
        }
        response
    };
    Router::new().route("/claims", any(handler)).layer(layer)
}

fn lines<'a>(answer: &'a Answer, name: &HeaderName) -> Vec<&'a str> {
    let lines = answer.headers.get_all(name).iter();
    lines
        .map(|line| str::from_utf8(line.as_bytes()).unwrap())
        .collect()
}

/// RFC 9111 §3.5 keeps an answer to `Authorization` out of shared caches. No cache knows as much of
/// cookies.
#[tokio::test]
async fn i11_an_answer_by_cookie_is_for_one_person() {
    let sources = [
        TokenSource::bearer(),
        TokenSource::cookie(NAME),
        TokenSource::header("x-token"),
        TokenSource::custom_ambient(|request| {
            let value = request.headers.get("x-ambient")?;
            value.to_str().ok().map(Cow::Borrowed)
        }),
    ];
    let token = good();
    let cookie = format!("{NAME}={token}");
    let bearer = format!("Bearer {token}");
    for (control, private) in [
        // Nothing says that it may be shared.
        (&[][..], true),
        (&[""], true),
        (&["max-age=60"], true),
        (&["max-age=60, must-revalidate"], true),
        (&["must-revalidate"], true),
        (&["no-cache"], true),
        (&["max-age=60", "stale-while-revalidate=5"], true),
        (&["immutable,max-age=31536000"], true),
        // For a part of the answer alone.
        (&["private=\"set-cookie\", max-age=60"], true),
        (&["private=set-cookie"], true),
        (&["no-cache=\"private\", max-age=60"], true),
        (&["no-store=\"x\""], true),
        (&["public=1"], true),
        // Not the directive, or inside of a text.
        (&["x-private, max-age=60"], true),
        (&["privately"], true),
        (&["ext=private"], true),
        (
            &["ext=\"a, no-store, private, public, s-maxage=1\", max-age=60"],
            true,
        ),
        (
            &["ext=\"a\\\", no-store, \\\\\\\" private\", max-age=60"],
            true,
        ),
        (&["ext=\"unclosed, no-store", "private"], true),
        (&["no store"], true),
        (&["no-store;x"], true),
        (&["s-maxage"], true),
        (&["s-maxage="], true),
        (&["s-maxage=x"], true),
        (&["s-maxage=-1"], true),
        (&["private\u{a0}"], true),
        // It is private already, or is not stored at all.
        (&["private"], false),
        (&["private, max-age=60"], false),
        (&["max-age=60,private"], false),
        (&["max-age=60", "private"], false),
        (&["PRIVATE"], false),
        (&["max-age=60 ,\tPrivate "], false),
        (&[", ,private,"], false),
        (&["private=\"x\", private"], false),
        (&["no-store"], false),
        (&["No-Store, max-age=0"], false),
        (&["ext=\"a\\\"b\", no-store"], false),
        // The handler means it.
        (&["public, max-age=60"], false),
        (&["Public"], false),
        (&["s-maxage=60"], false),
        (&["max-age=1, S-MaxAge=60"], false),
        (&["s-maxage=\"60\""], false),
    ] {
        let app = cached(layer().sources(sources.clone()), control, &["Origin"]);
        for header in [
            ("cookie", &*cookie),
            ("x-token", &*token),
            ("x-ambient", &*token),
        ] {
            let answer = send(&app, with_headers("GET", &[header])).await;
            assert_eq!(answer.body, ALICE);
            let sent = lines(&answer, &CACHE_CONTROL);
            if private {
                // In front, where nothing before it can swallow it, and in one line, of which every
                // cache reads all.
                let joined = control.join(", ");
                let expected = if joined.is_empty() {
                    "private".to_owned()
                } else {
                    format!("private, {joined}")
                };
                assert_eq!(sent, [expected]);
            } else {
                assert_eq!(sent, control);
            }
            // It needs no `Vary` where no cache may answer.
            assert_eq!(lines(&answer, &VARY), ["Origin"]);
        }
        let by_header = send(&app, with_headers("GET", &[("authorization", &bearer)])).await;
        assert_eq!(by_header.body, ALICE);
        assert_eq!(lines(&by_header, &CACHE_CONTROL), control);
    }
}

/// Directives for shared caches beside `Cache-Control` (RFC 9213) are private too.
#[tokio::test]
async fn i11_a_targeted_field_is_no_way_around() {
    let handler = || async {
        (
            [
                ("cdn-cache-control", "max-age=60"),
                ("cache-control", "no-cache"),
            ],
            "in",
        )
    };
    let app = Router::new()
        .route("/claims", any(handler))
        .layer(cookie_layer());
    let answer = with_cookies(&app, &[&format!("{NAME}={}", good())]).await;
    assert_eq!(answer.headers["cdn-cache-control"], "private, max-age=60");
    assert_eq!(answer.headers["cache-control"], "private, no-cache");
}

#[tokio::test]
async fn i11_an_anonymous_answer_varies_by_what_could_have_named_somebody() {
    let cookie = || TokenSource::cookie(NAME);
    let header = || TokenSource::header("X-Token");
    let custom = || TokenSource::custom(|_| None);
    let ambient = || TokenSource::custom_ambient(|_| None);
    for (sources, before, after) in [
        (vec![cookie()], &[][..], &["cookie"][..]),
        (vec![TokenSource::bearer(), cookie()], &[], &["cookie"]),
        (
            vec![cookie(), TokenSource::cookie("b"), ambient()],
            &[],
            &["cookie"],
        ),
        (vec![ambient()], &[], &["cookie"]),
        (vec![header()], &[], &["x-token"]),
        (vec![header(), cookie()], &[], &["cookie, x-token"]),
        (vec![cookie()], &["Origin"], &["cookie, Origin"]),
        (
            vec![cookie()],
            &["Origin, Accept"],
            &["cookie, Origin, Accept"],
        ),
        (vec![cookie()], &["Cookie"], &["Cookie"]),
        (
            vec![cookie()],
            &["Origin", "accept,COOKIE"],
            &["Origin", "accept,COOKIE"],
        ),
        (
            vec![cookie()],
            &["Origin", "", "Accept"],
            &["cookie, Origin, Accept"],
        ),
        (vec![cookie()], &["*"], &["*"]),
        (vec![cookie()], &["Origin, *"], &["Origin, *"]),
        (
            vec![cookie()],
            &["X-Cookie, Set-Cookie"],
            &["cookie, X-Cookie, Set-Cookie"],
        ),
        (vec![TokenSource::bearer()], &[], &[]),
        (vec![custom()], &["Origin"], &["Origin"]),
        (vec![custom()], &[], &[]),
    ] {
        let app = cached(layer().sources(sources).optional(), &["max-age=60"], before);
        let answer = send(&app, with_headers("GET", &[])).await;
        assert_eq!(answer.body, "nobody");
        assert_eq!(lines(&answer, &VARY), after);
        assert_eq!(lines(&answer, &CACHE_CONTROL), ["max-age=60"]);
    }
}

#[tokio::test]
async fn i11_refusals_are_not_kept_by_shared_caches() {
    let app = cached(
        layer().sources([TokenSource::bearer(), TokenSource::cookie(NAME)]),
        &[],
        &[],
    );
    for (headers, status) in [
        (&[][..], 401),
        (&[("cookie", "__Host-access=x")], 401),
        (&[("authorization", "Bearer")], 400),
    ] {
        let answer = send(&app, with_headers("GET", headers)).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers[CACHE_CONTROL], "no-store");
    }
    // Another answers by its own words: not for everybody either.
    let own = layer().optional().respond(|error: &AuthError| {
        (error.status(), [(CACHE_CONTROL, "max-age=60")], "sorry").into_response()
    });
    let app = Router::new()
        .route("/claims", any(|_: Claims<Value>| async { "in" }))
        .layer(own);
    for headers in [&[][..], &[("authorization", "Bearer x")]] {
        let answer = send(&app, with_headers("GET", headers)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.headers[CACHE_CONTROL], "private, max-age=60");
    }
}

#[test]
#[should_panic(expected = "`Cookie` is read by")]
fn i04_the_cookie_header_is_no_header_source() {
    let _ = TokenSource::header("cookie");
}
