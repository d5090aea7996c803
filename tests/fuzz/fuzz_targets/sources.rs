//! Sends requests through the layer and through the CSRF layer alone. Compares both with the rules
//! of token sources, written out plainly. The result shows which token is found.
//!
//! Input: a line `METHOD target`, and lines `Name: value` of any bytes. A name of one byte, such as
//! a digit, is one of [`NAMES`]. `$good`, `$old` and `$forged` in a value are tokens. Control
//! characters represent what is hard to generate. Input that `http` rejects is skipped.
#![no_main]

use std::borrow::Cow;
use std::collections::HashSet;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use http::header::{CACHE_CONTROL, HeaderName, VARY, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use libfuzzer_sys::fuzz_target;
use tower::util::ServiceFn;
use tower::{Layer, Service, service_fn};
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::csrf::CsrfLayer;
use tower_jwt_auth::keys::VerifyingKey;
use tower_jwt_auth::{
    AuthError, AuthErrorKind, JwtAuthLayer, TokenSource, VerifiedToken, VerifyErrorKind,
};
use tower_jwt_auth_fuzz::count;
use tower_jwt_auth_fuzz::tokens::{self, SECRET};

const NOW: u64 = 1_800_000_000;
const TRUSTED: &str = "https://app.example.com";

static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| minted(NOW + 60));
static OLD: LazyLock<Vec<u8>> = LazyLock::new(|| minted(NOW - 60));
static FORGED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut token = GOOD.clone();
    let last = token.len() - 2;
    token[last] = if token[last] == b'A' { b'B' } else { b'A' };
    token
});

fn minted(exp: u64) -> Vec<u8> {
    let claims = format!(r#"{{"sub":"me","exp":{exp}}}"#);
    tokens::hs256(br#"{"alg":"HS256"}"#, claims.as_bytes())
}

#[derive(Clone, Copy)]
enum Source {
    Bearer,
    Cookie(&'static str),
    Header(&'static str),
    /// The first header of the name, read by a closure.
    Custom(&'static str),
    /// The same, said to be what browsers send on their own.
    Ambient(&'static str),
}

use Source::{Ambient, Bearer, Cookie, Custom, Header};

struct Setup {
    sources: &'static [Source],
    optional: bool,
    trusted: bool,
}

const SETUPS: [Setup; 6] = [
    Setup {
        sources: &[Bearer],
        optional: false,
        trusted: false,
    },
    Setup {
        sources: &[Bearer, Cookie("access"), Header("x-token")],
        optional: false,
        trusted: true,
    },
    Setup {
        sources: &[Cookie("access")],
        optional: false,
        trusted: false,
    },
    Setup {
        sources: &[
            Header("x-token"),
            Cookie("__Host-a"),
            Cookie("access"),
            Bearer,
        ],
        optional: true,
        trusted: true,
    },
    // A closure may read what a cookie source reads too.
    Setup {
        sources: &[Custom("cookie"), Header("x-token"), Cookie("access")],
        optional: true,
        trusted: false,
    },
    Setup {
        sources: &[Custom("x-token"), Ambient("cookie"), Bearer],
        optional: false,
        trusted: true,
    },
];

/// What [`Custom`] and [`Ambient`] read: an empty text too, which is no token.
fn first<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

impl Setup {
    fn layer(&self) -> JwtAuthLayer {
        let layer = JwtAuthLayer::new(VerifyingKey::hs256(SECRET).unwrap())
            .clock(ManualClock::at(NOW))
            .sources(self.sources.iter().map(|source| match source {
                Bearer => TokenSource::bearer(),
                Cookie(name) => TokenSource::cookie(name),
                Header(name) => TokenSource::header(name),
                Custom(name) => {
                    TokenSource::custom(|request| first(request.headers, name).map(Cow::Borrowed))
                }
                Ambient(name) => TokenSource::custom_ambient(|request| {
                    first(request.headers, name).map(|text| Cow::Owned(text.to_owned()))
                }),
            }));
        let layer = if self.optional {
            layer.optional()
        } else {
            layer
        };
        match self.trusted {
            true => layer.trusted_origin(TRUSTED),
            false => layer,
        }
    }
}

#[derive(Debug, PartialEq)]
enum Answer {
    /// Whether the answer must be marked private for caches.
    Passed {
        private: bool,
    },
    Anonymous,
    Missing,
    Expired,
    Bad,
    Malformed,
    CrossSite,
}

impl Answer {
    fn status(&self) -> u16 {
        match self {
            Self::Passed { .. } | Self::Anonymous => 200,
            Self::Missing | Self::Expired | Self::Bad => 401,
            Self::Malformed => 400,
            Self::CrossSite => 403,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Passed { private: true } => "passed, private",
            Self::Passed { private: false } => "passed",
            Self::Anonymous => "anonymous",
            Self::Missing => "missing",
            Self::Expired => "expired",
            Self::Bad => "bad",
            Self::Malformed => "malformed",
            Self::CrossSite => "cross-site",
        }
    }
}

fn values(headers: &HeaderMap, name: &str) -> Vec<Vec<u8>> {
    headers
        .get_all(name)
        .iter()
        .map(|value| value.as_bytes().to_vec())
        .collect()
}

/// What a source holds: nothing, one token, or something that is answered with 400.
fn found(source: Source, headers: &HeaderMap) -> Result<Option<Vec<u8>>, ()> {
    let held = match source {
        Cookie(name) => {
            let cookies = values(headers, "cookie").join(&b';');
            let named = cookies.split(|byte| *byte == b';').filter_map(|pair| {
                let pair = pair.trim_ascii_start();
                let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
                let quoted = value.strip_prefix(b"\"");
                let unquoted = quoted.and_then(|value| value.strip_suffix(b"\""));
                Some(unquoted.unwrap_or(value).to_vec())
            });
            named.collect::<HashSet<_>>().into_iter().collect()
        }
        Header(name) => values(headers, name),
        Bearer => values(headers, "authorization"),
        Custom(name) | Ambient(name) => first(headers, name)
            .into_iter()
            .map(|text| text.as_bytes().to_vec())
            .collect(),
    };
    let value = match held.as_slice() {
        [] => return Ok(None),
        [value] if value.is_empty() => return Ok(None),
        [value] => value,
        _ => return Err(()),
    };
    if !matches!(source, Bearer) {
        return Ok(Some(value.clone()));
    }
    let lower = value.to_ascii_lowercase();
    if let Some(rest) = lower.strip_prefix(b"bearer") {
        // One or more blanks and one token; anything else that begins so is malformed.
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        let token = &value[b"bearer".len() + spaces..];
        let one = spaces > 0 && !token.is_empty() && !token.contains(&b' ');
        return if one {
            Ok(Some(token.to_vec()))
        } else {
            Err(())
        };
    }
    // Two headers that something joined are two values.
    let joined = lower.split(|byte| *byte == b',').skip(1).any(|part| {
        let mut words = part.split(|byte| matches!(byte, b' ' | b'\t'));
        words.find(|word| !word.is_empty()) == Some(b"bearer")
    });
    if joined { Err(()) } else { Ok(None) }
}

fn same_site(trusts: bool, method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let marks = [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
    ];
    let safe = ["GET", "HEAD", "OPTIONS"].contains(&method.as_str());
    // HTTP/2 in clear text is the same request over another protocol.
    let upgrades = values(headers, "upgrade").join(&b',');
    let mut protocols = upgrades.split(|byte| *byte == b',');
    let upgrades = headers.contains_key("upgrade")
        && !protocols.all(|name| name.trim_ascii().to_ascii_lowercase() == b"h2c");
    if safe && !upgrades && !marks.iter().any(|name| headers.contains_key(*name)) {
        return true;
    }
    let (site, origin) = (values(headers, "sec-fetch-site"), values(headers, "origin"));
    if site.len() > 1 || origin.len() > 1 {
        return false;
    }
    if site == [b"same-origin"] || site == [b"none"] {
        return true;
    }
    if trusts && origin == [TRUSTED.as_bytes()] {
        return true;
    }
    if !site.is_empty() || origin.is_empty() {
        return false;
    }
    let hosts = match uri.authority() {
        Some(authority) => vec![authority.as_str().as_bytes().to_vec()],
        None => values(headers, "host"),
    };
    let [host] = hosts.as_slice() else {
        return false;
    };
    [(&b"https://"[..], &b":443"[..]), (b"http://", b":80")]
        .iter()
        .any(|(scheme, port)| {
            let host = host.strip_suffix(*port).unwrap_or(host);
            origin[0].strip_prefix(*scheme).is_some_and(|own| {
                !host.is_empty() && own.is_ascii() && host.eq_ignore_ascii_case(own)
            })
        })
}

fn expected(setup: &Setup, method: &Method, uri: &Uri, headers: &HeaderMap) -> Answer {
    for source in setup.sources {
        let token = match found(*source, headers) {
            Ok(None) => continue,
            Ok(Some(token)) => token,
            Err(()) => return Answer::Malformed,
        };
        let by_cookie = matches!(source, Cookie(_) | Ambient(_));
        if by_cookie && !same_site(setup.trusted, method, uri, headers) {
            return Answer::CrossSite;
        }
        return match token {
            good if good == *GOOD => Answer::Passed {
                // To `Authorization` it is told only if the handler names a lifetime (RFC 9111
                // §3.5).
                private: !matches!(source, Bearer),
            },
            old if old == *OLD => Answer::Expired,
            // What is no `b64token` (RFC 6750 §2.1) is no credentials.
            odd if matches!(source, Bearer)
                && !odd
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte)) =>
            {
                Answer::Malformed
            }
            _ => Answer::Bad,
        };
    }
    match setup.optional {
        true => Answer::Anonymous,
        false => Answer::Missing,
    }
}

/// The body names the subject that the inner service found.
type Body = Vec<u8>;
type Inner = ServiceFn<fn(Request<()>) -> Ready<Result<Response<Body>, Infallible>>>;

fn answer<L, S>(layer: L, request: Request<()>) -> Response<Body>
where
    L: Layer<Inner, Service = S>,
    S: Service<Request<()>, Response = Response<Body>, Error = Infallible>,
{
    let inner: Inner = service_fn(|request| {
        let token = request.extensions().get::<VerifiedToken>();
        let subject = token.and_then(|token| token.subject()).unwrap_or("nobody");
        ready(Ok(Response::new(subject.as_bytes().to_vec())))
    });
    let mut service = layer.layer(inner);
    let mut future = pin!(service.call(request));
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(Ok(response)) => response,
        Poll::Pending => panic!("nothing here waits"),
    }
}

fn respond(error: &AuthError) -> Response<Body> {
    let mut response = Response::new(error.to_string().into_bytes());
    *response.status_mut() = error.status();
    response
}

const NAMES: [&str; 10] = [
    "authorization",
    "cookie",
    "x-token",
    "origin",
    "host",
    "sec-fetch-site",
    "upgrade",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

fn request(data: &[u8]) -> (Method, Uri, HeaderMap) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut words = lines.next().unwrap_or_default().splitn(2, |b| *b == b' ');
    let method = Method::from_bytes(words.next().unwrap_or_default()).unwrap_or_default();
    let uri = Uri::try_from(words.next().unwrap_or_default()).unwrap_or_default();
    let mut headers = HeaderMap::new();
    for line in lines.take(32) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let value = filled(
            line[colon + 1..]
                .strip_prefix(b" ")
                .unwrap_or(&line[colon + 1..]),
        );
        let name = match &line[..colon] {
            [byte] => NAMES[usize::from(byte.wrapping_sub(b'0')) % NAMES.len()].as_bytes(),
            name => name,
        };
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name),
            HeaderValue::from_bytes(&value),
        ) {
            headers.append(name, value);
        }
    }
    (method, uri, headers)
}

fn filled(value: &[u8]) -> Vec<u8> {
    let mut filled = Vec::new();
    let mut rest = value;
    'next: while let Some((first, after)) = rest.split_first() {
        let words: [(&str, &[u8]); 11] = [
            ("$good", &GOOD),
            ("$old", &OLD),
            ("$forged", &FORGED),
            ("\x01", &GOOD),
            ("\x02", &OLD),
            ("\x03", b"Bearer "),
            ("\x04", b"access="),
            ("\x05", b"; access="),
            ("\x06", b"; __Host-a="),
            ("\x07", TRUSTED.as_bytes()),
            ("\x08", b"https://api.example.com"),
        ];
        for (name, word) in words {
            if let Some(after) = rest.strip_prefix(name.as_bytes()) {
                filled.extend_from_slice(word);
                rest = after;
                continue 'next;
            }
        }
        filled.push(*first);
        rest = after;
    }
    filled
}

static LAYERS: LazyLock<Vec<JwtAuthLayer>> =
    LazyLock::new(|| SETUPS.iter().map(Setup::layer).collect());

fuzz_target!(|data: &[u8]| {
    let (method, uri, headers) = request(data);
    let request = || {
        let mut request = Request::new(());
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        request
    };
    for trusts in [false, true] {
        let layer = match trusts {
            false => CsrfLayer::new(),
            true => CsrfLayer::new().trusted_origin(TRUSTED),
        };
        let response = answer(layer.respond(respond), request());
        let passes = same_site(trusts, &method, &uri, &headers);
        count("csrf alone", if passes { "passed" } else { "cross-site" });
        assert_eq!(response.status(), if passes { 200 } else { 403 });
    }
    for (setup, layer) in SETUPS.iter().zip(&*LAYERS) {
        let response = answer(layer.clone().respond(respond), request());
        let expected = expected(setup, &method, &uri, &headers);
        assert_eq!(response.status(), expected.status(), "{expected:?}");
        count("layer", expected.name());

        let header = |name| response.headers().get(name).map(HeaderValue::as_bytes);
        let error = response
            .extensions()
            .get::<AuthError>()
            .map(AuthError::kind);
        let cache = match expected {
            Answer::Passed { private: true } => Some(&b"private"[..]),
            Answer::Passed { private: false } | Answer::Anonymous => None,
            _ => Some(&b"no-store"[..]),
        };
        assert_eq!(header(CACHE_CONTROL), cache);
        let mut read: Vec<_> = setup
            .sources
            .iter()
            .filter_map(|source| match source {
                Cookie(_) | Ambient(_) => Some("cookie"),
                Header(name) => Some(name),
                // RFC 9111 §3.5 keeps caches from storing answers to `Authorization`.
                Bearer | Custom(_) => None,
            })
            .collect();
        read.sort_unstable();
        read.dedup();
        let anonymous = expected == Answer::Anonymous && !read.is_empty();
        let read = read.join(", ");
        assert_eq!(header(VARY), anonymous.then_some(read.as_bytes()));
        let challenged = matches!(expected.status(), 400 | 401);
        assert_eq!(header(WWW_AUTHENTICATE).is_some(), challenged);
        let fits = match expected {
            Answer::Passed { .. } => error.is_none() && response.body() == b"me",
            Answer::Anonymous => error.is_none() && response.body() == b"nobody",
            Answer::Missing => error == Some(AuthErrorKind::MissingToken),
            Answer::Expired => error == Some(AuthErrorKind::InvalidToken(VerifyErrorKind::Expired)),
            Answer::Bad => matches!(error, Some(AuthErrorKind::InvalidToken(_))),
            Answer::Malformed => matches!(
                error,
                Some(AuthErrorKind::MalformedCredentials | AuthErrorKind::SeveralTokens)
            ),
            Answer::CrossSite => error == Some(AuthErrorKind::CrossSite),
        };
        assert!(fits, "{expected:?}, but {error:?}");
    }
});
