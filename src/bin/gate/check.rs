//! Verifies one token, and says what each check says.

use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use base64_simd::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use tower_jwt_auth::VerifyErrorKind::{self, *};
use tower_jwt_auth::keys::remote::{FetchError, IssuerMismatch};
use tower_jwt_auth::verify::Stage;
use tower_jwt_auth::{AuthError, Require, VerifiedToken, VerifyError};
use tower_service::Service;

use super::keys::Keys;
use super::options::Options;
use super::token_text::read_token;

/// One check.
struct Check {
    name: &'static str,
    /// Whether it is what rejects a token.
    rejects: fn(VerifyErrorKind) -> bool,
    /// Why these options leave it out.
    left_out: fn(&Options) -> Option<&'static str>,
}

impl Check {
    const fn new(name: &'static str, rejects: fn(VerifyErrorKind) -> bool) -> Self {
        Self {
            name,
            rejects,
            left_out: |_| None,
        }
    }

    const fn unless(mut self, left_out: fn(&Options) -> Option<&'static str>) -> Self {
        self.left_out = left_out;
        self
    }
}

const SHAPE: Check = Check::new("three segments", |kind| kind.stage() == Stage::Token);
const HEADER: Check = Check::new("header", |kind| {
    kind.stage() == Stage::Header && kind != WrongType
});
const TYPE: Check = Check::new("typ", |kind| kind == WrongType);
const KEY: Check = Check::new("key", |kind| {
    kind.stage() == Stage::Key && kind != WrongKeyIssuer
});
const SIGNATURE: Check = Check::new("signature", |kind| kind == BadSignature);
const PAYLOAD: Check = Check::new("claims are readable", |kind| kind == MalformedClaims);
const ISSUER: Check = Check::new("iss", |kind| {
    matches!(kind, MissingIssuer | WrongIssuer | UnknownIssuer)
})
.unless(|options| (!options.has_issuer()).then_some("no --issuer"));
const KEY_ISSUER: Check = Check::new("issuer of the key", |kind| {
    matches!(kind, WrongKeyIssuer | WrongTenant)
})
.unless(|options| (!options.keys.are_jwks()).then_some("only a JWK names its issuer"));
const BEARER: Check = Check::new("a bearer access token", |kind| {
    matches!(
        kind,
        LogoutToken
            | SenderConstrained
            | MissingCertificate
            | WrongCertificate
            | MalformedCertificate
            | UntrustedProxy
    )
});
const TIMES: Check = Check::new("exp, nbf, iat", |kind| {
    matches!(
        kind,
        MissingExpiry | Expired | NotYetValid | IssuedInFuture | ExpiresBeforeIssued
    )
});
const AUDIENCE: Check = Check::new("aud", |kind| {
    matches!(kind, MissingAudience | WrongAudience | UnexpectedAudience)
})
.unless(|options| match options.any_audience {
    true => Some("--any-audience"),
    // A token with an audience is rejected.
    false => (options.audiences.is_empty()).then_some("no --audience, and the token has no aud"),
});
const REQUIRED: Check = Check::new("other required claims", |kind| kind == MissingClaim)
    .unless(|options| (!options.rfc9068).then_some("no --rfc9068"));

/// The checks in their order.
const CHECKS: [Check; 12] = [
    SHAPE, HEADER, TYPE, KEY, SIGNATURE, PAYLOAD, ISSUER, KEY_ISSUER, BEARER, TIMES, AUDIENCE,
    REQUIRED,
];

/// The checks in their order where `iss` chooses the keys, or keys would have to be fetched.
const CHECKS_BY_ISSUER: [Check; 12] = [
    SHAPE, PAYLOAD, ISSUER, HEADER, TYPE, KEY, SIGNATURE, KEY_ISSUER, BEARER, TIMES, AUDIENCE,
    REQUIRED,
];

const NOT_CHECKED: u8 = 3;

/// Prints what it finds.
pub(crate) async fn check(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let keys = options.keys.read()?;
    let token = read_token(options.token_file.as_ref())?;
    let verifier = options.verifier(keys.trust.clone()).without_cache();
    print!("{}", contents(&token));
    if let Err(error) = keys.wait().await {
        print!("{}", metadata(&error));
        println!("not checked: keys_unavailable: {}", chain(&error));
        return Ok(ExitCode::from(NOT_CHECKED));
    }
    let result = verifier.fetch_and_verify(&token).await;
    let issuer_comes_first = options.keys.name_issuer() || keys.lack_key_of(&header(&token));
    let checks = match issuer_comes_first {
        true => &CHECKS_BY_ISSUER,
        false => &CHECKS,
    };
    print!("{}", verdicts(checks, options, result.as_ref().err()));
    let (name, told) = match result {
        Ok(token) => match check_scopes(options, &token).await {
            None => {
                println!("accepted");
                return Ok(ExitCode::SUCCESS);
            }
            Some(error) => (error.kind().name(), error.to_string()),
        },
        Err(error) => {
            print!("{}", hints(error.kind(), &token, &keys));
            (error.kind().name(), told(error.kind()))
        }
    };
    if name == KeysUnavailable.name() {
        println!("not checked: {name}: {told}");
        return Ok(ExitCode::from(NOT_CHECKED));
    }
    println!("rejected: {name}: {told}");
    Ok(ExitCode::from(1))
}

fn verdicts(checks: &[Check], options: &Options, error: Option<&VerifyError>) -> String {
    let mut lines = "checks:\n".to_owned();
    let mut is_over = false;
    for check in checks {
        let verdict = match (error, (check.left_out)(options)) {
            _ if is_over => "not reached".to_owned(),
            (Some(error), _) if (check.rejects)(error.kind()) => {
                is_over = true;
                verdict(error.kind().name(), error)
            }
            (_, Some(why)) => format!("not checked ({why})"),
            _ => "ok".to_owned(),
        };
        lines.push_str(&line(check.name, &verdict));
    }
    if is_over {
        lines.push_str(&line(SCOPES, "not reached"));
    }
    lines
}

fn line(name: &str, verdict: &str) -> String {
    format!("  {name:<24} {verdict}\n")
}

/// The last check. A guard makes it, not the verifier.
const SCOPES: &str = "scopes";

/// Prints the verdict.
async fn check_scopes(options: &Options, token: &VerifiedToken) -> Option<AuthError> {
    let Some(scopes) = options.scopes() else {
        print!("{}", line(SCOPES, "not checked (no --scope)"));
        return None;
    };
    let error = lacking(scopes, token).await;
    let verdict = error
        .as_ref()
        .map(|error| verdict(error.kind().name(), error));
    print!("{}", line(SCOPES, verdict.as_deref().unwrap_or("ok")));
    error
}

/// What the token lacks.
async fn lacking(scopes: Require, token: &VerifiedToken) -> Option<AuthError> {
    let mut request = Request::new(Body::empty());
    request.extensions_mut().insert(token.clone());
    let mut app = Router::new()
        .route("/", get(async || {}))
        .route_layer(scopes);
    let response = app.call(request).await;
    let response = response.unwrap_or_else(|never| match never {});
    response.extensions().get().cloned()
}

/// The message, with the options of this program.
fn told(kind: VerifyErrorKind) -> String {
    match kind {
        UnexpectedAudience => {
            "the token has an aud: give --audience NAME or --any-audience".to_owned()
        }
        kind => kind.to_string(),
    }
}

/// What else to look at. It holds nothing of the token.
fn hints(kind: VerifyErrorKind, token: &str, keys: &Keys) -> String {
    let mut hints = String::new();
    let is_padded = token.split('.').any(|segment| segment.ends_with('='));
    if is_padded && matches!(kind, Malformed | MalformedHeader) {
        hints.push_str("hint: a segment ends in `=`: a token has no padding (RFC 7515 §2)\n");
    }
    if is_unsigned(token) {
        hints.push_str("hint: the token is unsigned: its alg is none\n");
    }
    if let (BadSignature, Some(length)) = (kind, keys.base64_secret) {
        let hint = "if it is base64 text, decode it first";
        let _ = writeln!(hints, "hint: the secret has {length} bytes; {hint}");
    }
    hints
}

fn is_unsigned(token: &str) -> bool {
    let header = header(token);
    let algorithm = header.get("alg").and_then(Value::as_str);
    token.ends_with('.') && algorithm.is_some_and(|name| name.eq_ignore_ascii_case("none"))
}

/// `Null` if it is not JSON.
fn header(token: &str) -> Value {
    let header = token.split('.').next().and_then(decoded);
    let header = header.and_then(|json| serde_json::from_slice(&json).ok());
    header.unwrap_or_default()
}

/// The other name, if the metadata are those of another issuer.
fn metadata(error: &FetchError) -> String {
    let source = error.source().and_then(|source| source.downcast_ref());
    let Some(IssuerMismatch {
        configured, found, ..
    }) = source
    else {
        return String::new();
    };
    let found: String = found.chars().take(200).collect();
    let (found, configured) = (printable(&found), printable(configured));
    format!("metadata: name \"{found}\", you gave \"{configured}\"\n")
}

fn verdict(name: &str, error: &dyn Error) -> String {
    let verdict = match name == KeysUnavailable.name() {
        true => "not checked",
        false => "rejected",
    };
    match error.source() {
        None => format!("{verdict}: {name}"),
        Some(cause) => format!("{verdict}: {name}: {}", chain(cause)),
    }
}

/// The error and its causes: they name what is configured.
fn chain(error: &dyn Error) -> String {
    let mut text = printable(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {}", printable(&error.to_string()));
        cause = error.source();
    }
    text
}

/// The header, and the names of the claims.
fn contents(token: &str) -> String {
    let mut text = match header(token) {
        Value::Object(header) => format!("header:\n{}", members(&header)),
        _ => "header: not a JSON object in base64url\n".to_owned(),
    };
    let names = token.split('.').nth(1).and_then(decoded);
    match names.map(|json| serde_json::from_slice::<Names>(&json)) {
        Some(Ok(Names(names))) => {
            let names: Vec<_> = names.iter().map(|name| printable(name)).collect();
            let _ = writeln!(text, "claims: {}", names.join(", "));
        }
        _ => text.push_str("claims: not a JSON object in base64url\n"),
    }
    text
}

fn members(header: &Map<String, Value>) -> String {
    let mut lines = String::new();
    for (name, value) in header {
        let (name, value) = (printable(name), printable(&value.to_string()));
        let _ = writeln!(lines, "  {name}: {value}");
    }
    lines
}

/// Padding is tolerated here: the verdict speaks of it.
fn decoded(segment: &str) -> Option<Vec<u8>> {
    let text = segment.trim_end_matches('=');
    URL_SAFE_NO_PAD.decode_to_vec(text).ok()
}

/// Text for a terminal: control characters, and others that change how text looks, are escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => out.push(character),
            other => out.extend(other.escape_debug()),
        }
    }
    out
}

/// The names of an object's members, in order, with duplicates.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Names;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [VerifyErrorKind; 34] = [
        TooLong,
        Malformed,
        Encrypted,
        MalformedHeader,
        CriticalHeader,
        UnencodedPayload,
        Compressed,
        Nested,
        WrongType,
        NoFittingKey,
        SeveralFittingKeys,
        WrongKeyIssuer,
        KeysUnavailable,
        BadSignature,
        MalformedClaims,
        MissingExpiry,
        MissingClaim,
        Expired,
        NotYetValid,
        IssuedInFuture,
        ExpiresBeforeIssued,
        MissingIssuer,
        WrongIssuer,
        UnknownIssuer,
        WrongTenant,
        MissingAudience,
        WrongAudience,
        UnexpectedAudience,
        LogoutToken,
        SenderConstrained,
        MissingCertificate,
        WrongCertificate,
        MalformedCertificate,
        UntrustedProxy,
    ];

    #[test]
    fn one_check_rejects_each_kind_of_error() {
        for kind in KINDS {
            for checks in [CHECKS, CHECKS_BY_ISSUER] {
                let rejecting = checks.iter().filter(|check| (check.rejects)(kind));
                assert_eq!(rejecting.count(), 1, "{kind:?}");
            }
        }
    }

    /// The enumeration is non-exhaustive, so its source must tell which kinds there are.
    #[test]
    fn no_kind_of_error_is_forgotten() {
        let source = include_str!("../../verify/error.rs");
        let (_, kinds) = source.split_once("pub enum VerifyErrorKind {").unwrap();
        let (kinds, _) = kinds.split_once("\n}").unwrap();
        let mut names: Vec<_> = kinds
            .lines()
            .filter_map(|line| line.trim().strip_suffix(','))
            .filter(|name| !name.starts_with("//"))
            .collect();
        // Only extracting typed claims gives the first, and `gate` has no type. It verifies JWTs,
        // and asks no issuer about opaque tokens.
        let others = ["ClaimsMismatch", "Inactive", "IntrospectionUnavailable"];
        names.retain(|name| !others.contains(name));
        assert_eq!(names, KINDS.map(|kind| format!("{kind:?}")));
    }
}
