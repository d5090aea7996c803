//! Reads a header and a payload by the rules of the crate, written out over plain JSON.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;

use crate::json::Json;

/// 9999-12-31T23:59:59Z
const LATEST: Duration = Duration::from_secs(253_402_300_799);

pub struct Header {
    pub alg: String,
    pub kid: Option<String>,
    pub typ: Option<String>,
}

pub struct Claims {
    pub iss: Option<String>,
    pub sub: Option<String>,
    pub jti: Option<String>,
    pub sid: Option<String>,
    pub generation: Option<u64>,
    pub aud: Option<Vec<String>>,
    pub exp: Duration,
    pub nbf: Option<Duration>,
    pub iat: Option<Duration>,
    pub cnf: Option<Vec<String>>,
    pub events: bool,
}

/// The members by name; `None` if one is no text, or `once` comes twice.
struct Members(Vec<(String, Json)>);

impl Members {
    fn read(json: Json, once: impl Fn(&str) -> bool) -> Option<Self> {
        let Json::Object(members) = json else {
            return None;
        };
        let members: Vec<_> = members
            .into_iter()
            .map(|(name, value)| Some((name?, value)))
            .collect::<Option<_>>()?;
        let mut seen = HashSet::new();
        let single = members
            .iter()
            .all(|(name, _)| !once(name) || seen.insert(name));
        single.then_some(Self(members))
    }

    fn get(&self, name: &str) -> Option<&Json> {
        Some(&self.0.iter().find(|(member, _)| member == name)?.1)
    }

    /// `None` if it is there and no text; `Some(None)` if it is not there.
    fn text(&self, name: &str) -> Option<Option<String>> {
        self.optional(name, |value| value.text().map(str::to_owned))
    }

    fn date(&self, name: &str) -> Option<Option<Duration>> {
        self.optional(name, date)
    }

    fn optional<T>(&self, name: &str, read: impl Fn(&Json) -> Option<T>) -> Option<Option<T>> {
        match self.get(name) {
            None => Some(None),
            Some(value) => read(value).map(Some),
        }
    }
}

/// What `serde_json` does not read into a value.
const TOO_DEEP: usize = 128;

pub fn read_header(bytes: &[u8]) -> Option<Header> {
    let json = Json::parse(std::str::from_utf8(bytes).ok()?)?;
    (json.depth() < TOO_DEEP).then_some(())?;
    let members = Members::read(json, |_| true)?;
    let refused = ["crit", "b64", "zip"]
        .iter()
        .any(|name| members.get(name).is_some());
    let cty = members
        .text("cty")?
        .unwrap_or_default()
        .to_ascii_lowercase();
    let nested = cty == "jwt" || cty == "application/jwt";
    (!refused && !nested).then_some(())?;
    Some(Header {
        alg: members.text("alg")??,
        kid: members.text("kid")?,
        typ: members.text("typ")?,
    })
}

pub fn read_claims(json: Json) -> Option<Claims> {
    const ONCE: [&str; 10] = [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "sid",
        "cnf",
        "generation",
    ];
    (json.depth() < TOO_DEEP).then_some(())?;
    let members = Members::read(json, |name| ONCE.contains(&name))?;
    Some(Claims {
        iss: members.text("iss")?,
        sub: members.text("sub")?,
        jti: members.text("jti")?,
        sid: members.text("sid")?,
        generation: members.optional("generation", generation)?.flatten(),
        aud: members.optional("aud", |value| match value {
            Json::Array(names) => names.iter().map(|n| n.text().map(str::to_owned)).collect(),
            name => Some(vec![name.text()?.to_owned()]),
        })?,
        exp: members.date("exp")??,
        nbf: members.date("nbf")?,
        iat: members.date("iat")?,
        cnf: members.optional("cnf", |value| match value {
            Json::Object(methods) => methods.iter().map(|(name, _)| name.clone()).collect(),
            _ => None,
        })?,
        events: members.get("events").is_some(),
    })
}

/// A whole number. Anything else is none, but a reader that needs the value must not skip one that
/// is too large.
fn generation(json: &Json) -> Option<Option<u64>> {
    let held = match json {
        Json::Number(text) => serde_json::from_str::<f64>(text).is_ok(),
        Json::Text(text) => text.is_some(),
        Json::Object(members) => members.iter().all(|(name, _)| name.is_some()),
        _ => true,
    };
    held.then(|| match json {
        Json::Number(text) => text.parse().ok(),
        _ => None,
    })
}

fn date(json: &Json) -> Option<Duration> {
    let Json::Number(text) = json else {
        return None;
    };
    let date = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let seconds: f64 = serde_json::from_str(text).ok()?;
            // serde_json may miss the nearest number by a hair.
            let nearest: f64 = text.parse().unwrap();
            assert!((seconds - nearest).abs() <= nearest.abs() * 1e-12);
            Duration::try_from_secs_f64(seconds).ok()?
        }
    };
    (date <= LATEST).then_some(date)
}

/// Whether `serde_json::Value` cannot hold this, though it is JSON.
pub fn is_beyond_value(json: &Json) -> bool {
    json.depth() >= TOO_DEEP
        || json.any(&|json| match json {
            Json::Number(text) => serde_json::from_str::<Value>(text).is_err(),
            Json::Text(text) => text.is_none(),
            Json::Object(members) => members.iter().any(|(name, _)| name.is_none()),
            _ => false,
        })
}
