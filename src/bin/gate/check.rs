//! Verifies one token, and says what each check says.

use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;

use base64_simd::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use tower_jwt_auth::VerifyErrorKind::{self, *};
use tower_jwt_auth::verify::Stage;
use tower_jwt_auth::{Verifier, VerifyError};

use super::options::Options;

/// One check, and whether it is what rejects a token.
struct Check {
    name: &'static str,
    rejects: fn(VerifyErrorKind) -> bool,
}

const fn check_named(name: &'static str, rejects: fn(VerifyErrorKind) -> bool) -> Check {
    Check { name, rejects }
}

const SHAPE: Check = check_named("three segments", |kind| kind.stage() == Stage::Token);
const HEADER: Check = check_named("header", |kind| {
    kind.stage() == Stage::Header && kind != WrongType
});
const TYPE: Check = check_named("typ", |kind| kind == WrongType);
const KEY: Check = check_named("key", |kind| {
    kind.stage() == Stage::Key && kind != WrongKeyIssuer
});
const SIGNATURE: Check = check_named("signature", |kind| kind == BadSignature);
const PAYLOAD: Check = check_named("claims are readable", |kind| kind == MalformedClaims);
const ISSUER: Check = check_named("iss", |kind| {
    matches!(kind, MissingIssuer | WrongIssuer | UnknownIssuer)
});
const TENANT: Check = check_named("issuer of the key, tid", |kind| {
    matches!(kind, WrongKeyIssuer | WrongTenant)
});
const BEARER: Check = check_named("a bearer access token", |kind| {
    matches!(kind, LogoutToken | SenderConstrained)
});
const TIMES: Check = check_named("exp, nbf, iat", |kind| {
    matches!(
        kind,
        MissingExpiry | Expired | NotYetValid | IssuedInFuture | ExpiresBeforeIssued
    )
});
const AUDIENCE: Check = check_named("aud", |kind| {
    matches!(kind, MissingAudience | WrongAudience | UnexpectedAudience)
});
const REQUIRED: Check = check_named("other required claims", |kind| kind == MissingClaim);

/// The checks in their order.
const CHECKS: [Check; 12] = [
    SHAPE, HEADER, TYPE, KEY, SIGNATURE, PAYLOAD, ISSUER, TENANT, BEARER, TIMES, AUDIENCE, REQUIRED,
];

/// The checks in their order where `iss` chooses the keys.
const CHECKS_BY_ISSUER: [Check; 12] = [
    SHAPE, PAYLOAD, ISSUER, HEADER, TYPE, KEY, SIGNATURE, TENANT, BEARER, TIMES, AUDIENCE, REQUIRED,
];

/// Prints what it finds.
pub(crate) async fn check(options: Options) -> Result<ExitCode, Box<dyn Error>> {
    let verifier: Verifier = options.verifier()?.without_cache();
    let token = options.read_token()?;
    let result = verifier.fetch_and_verify(&token).await;
    let checks = if options.keys.name_issuer() {
        &CHECKS_BY_ISSUER
    } else {
        &CHECKS
    };
    let error = result.as_ref().err();
    print!("{}{}", contents(&token), verdicts(checks, error));
    Ok(match error {
        None => {
            println!("accepted");
            ExitCode::SUCCESS
        }
        Some(error) => {
            println!("rejected: {}: {error}", error.kind().name());
            ExitCode::from(1)
        }
    })
}

fn verdicts(checks: &[Check], error: Option<&VerifyError>) -> String {
    let mut lines = "checks:\n".to_owned();
    let mut is_over = false;
    for check in checks {
        let verdict = match error {
            _ if is_over => "not reached".to_owned(),
            Some(error) if (check.rejects)(error.kind()) => {
                is_over = true;
                rejection(error)
            }
            _ => "ok".to_owned(),
        };
        let _ = writeln!(lines, "  {:<24} {verdict}", check.name);
    }
    lines
}

/// The kind, and the causes: they name what is configured.
fn rejection(error: &VerifyError) -> String {
    let mut text = format!("rejected: {}", error.kind().name());
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {}", printable(&error.to_string()));
        cause = error.source();
    }
    text
}

/// The header, and the names of the claims.
fn contents(token: &str) -> String {
    let mut segments = token.split('.').map(decoded);
    let mut text = String::new();
    match segments
        .next()
        .flatten()
        .map(|json| serde_json::from_slice(&json))
    {
        Some(Ok(Value::Object(header))) => {
            text.push_str("header:\n");
            text.push_str(&members(&header));
        }
        _ => text.push_str("header: not a JSON object in base64url\n"),
    }
    let names = segments.next().flatten();
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

    const KINDS: [VerifyErrorKind; 30] = [
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
        // Only extracting typed claims gives it, and `gate` has no type.
        names.retain(|name| *name != "ClaimsMismatch");
        assert_eq!(names, KINDS.map(|kind| format!("{kind:?}")));
    }
}
