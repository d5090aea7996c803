//! Reads an answer (RFC 7662 §2.2).

use std::borrow::Cow;
use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::claims::{NumericDate, PayloadError};
use crate::json::is_shallow;
use crate::keys::remote::{FetchError, FetchErrorKind, Timestamp};

/// What the issuer says of an active token.
pub(crate) struct Answer {
    /// The JSON object.
    pub(crate) payload: Box<str>,
    /// What the members say of the kind of token.
    pub(crate) kind: TokenKind,
    pub(crate) lifespan: Lifespan,
}

/// How long an answer is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifespan {
    /// The start of the question. The token may be revoked after it.
    pub(crate) asked: Timestamp,
    pub(crate) length: Duration,
}

impl Lifespan {
    #[inline]
    pub(crate) fn contains(&self, now: Duration) -> bool {
        self.asked.age(now) < self.length
    }

    /// Its end, since the epoch.
    pub(crate) fn end(&self) -> Duration {
        self.asked.later_by(self.length)
    }
}

/// The kind of token, as `token_type` and `token_use` tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Access,
    /// It may be a refresh token: issuers say that it is active too.
    Unknown,
    Other,
}

/// What an answer says.
pub(super) enum Reply {
    Active {
        payload: Box<str>,
        kind: TokenKind,
        expires_at: Option<NumericDate>,
    },
    Inactive,
}

impl Reply {
    pub(super) fn read(body: &Bytes) -> Result<Self, FetchError> {
        let malformed = |place| FetchError::because(FetchErrorKind::MalformedAnswer, place);
        let text = std::str::from_utf8(body).map_err(|_| malformed(MalformedAnswer::NOT_JSON))?;
        if !is_shallow(body) {
            return Err(malformed(MalformedAnswer::NOT_JSON));
        }
        let mut member = None;
        let mut reader = serde_json::Deserializer::from_str(text);
        let members = reader
            .deserialize_map(MembersReader {
                current: &mut member,
            })
            .and_then(|members| reader.end().map(|()| members))
            .map_err(|error| malformed(MalformedAnswer::at(member, &error)))?;
        match members.active {
            Some(true) => Ok(Self::Active {
                payload: text.into(),
                kind: members.kind(),
                expires_at: members.expires_at,
            }),
            Some(false) => Ok(Self::Inactive),
            None => Err(malformed(MalformedAnswer {
                member: Some("active"),
                ..MalformedAnswer::NOT_JSON
            })),
        }
    }
}

/// The members that have a meaning here.
#[derive(Default)]
struct Members<'a> {
    active: Option<bool>,
    expires_at: Option<NumericDate>,
    token_type: Option<Cow<'a, str>>,
    token_use: Option<Value>,
    has_confirmation: bool,
}

impl Members<'_> {
    fn kind(&self) -> TokenKind {
        // Some issuers tell the kind in a member of their own.
        let is_use = |text: &Value| matches!(text.as_str(), Some("access_token" | "access"));
        if self.token_use.as_ref().is_some_and(|text| !is_use(text)) {
            return TokenKind::Other;
        }
        let is_type = |name: &str, wanted: &str| name.eq_ignore_ascii_case(wanted);
        match self.token_type.as_deref() {
            Some(name) if is_type(name, "Bearer") || is_type(name, "access_token") => {
                TokenKind::Access
            }
            // RFC 9449 §5: such a token is bound to a key.
            Some(name) if is_type(name, "DPoP") && self.has_confirmation => TokenKind::Access,
            Some(_) => TokenKind::Other,
            None if self.token_use.is_some() => TokenKind::Access,
            None => TokenKind::Unknown,
        }
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads the object. A duplicate member is an error, whatever its name.
struct MembersReader<'c> {
    /// The member that is being read.
    current: &'c mut Option<&'static str>,
}

impl<'de> Visitor<'de> for MembersReader<'_> {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::default();
        let mut names = HashSet::new();
        while let Some(Name(name)) = map.next_key()? {
            *self.current = known(&name);
            match self.current {
                Some("active") => members.active = Some(map.next_value()?),
                Some("exp") => members.expires_at = map.next_value()?,
                Some("token_type") => {
                    let text: Option<Name<'_>> = map.next_value()?;
                    members.token_type = text.map(|Name(text)| text);
                }
                Some("token_use") => members.token_use = map.next_value()?,
                _ => {
                    members.has_confirmation |= name == "cnf";
                    map.next_value::<IgnoredAny>()?;
                }
            }
            if !names.insert(name) {
                return Err(A::Error::custom("a member comes twice"));
            }
            *self.current = None;
        }
        Ok(members)
    }
}

fn known(name: &str) -> Option<&'static str> {
    let names = ["active", "exp", "token_type", "token_use"];
    names.into_iter().find(|known| *known == name)
}

/// Where an answer is malformed. The parser's own message may quote a value.
#[derive(Debug)]
struct MalformedAnswer {
    member: Option<&'static str>,
    line: usize,
    column: usize,
}

impl MalformedAnswer {
    const NOT_JSON: Self = Self {
        member: None,
        line: 0,
        column: 0,
    };

    fn at(member: Option<&'static str>, error: &serde_json::Error) -> Self {
        Self {
            member,
            line: error.line(),
            column: error.column(),
        }
    }
}

/// The error for an answer whose registered claims are malformed.
pub(crate) fn malformed_claims(error: &PayloadError) -> FetchError {
    FetchError::because(
        FetchErrorKind::MalformedAnswer,
        MalformedAnswer::at(error.claim, &error.error),
    )
}

impl fmt::Display for MalformedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            member,
            line,
            column,
        } = self;
        match member {
            Some(member) if *line == 0 => write!(f, "`{member}` is missing"),
            _ if *line == 0 => f.write_str("it is not a JSON object that nests up to 127 levels"),
            Some(member) => write!(f, "`{member}`, at line {line}, column {column}"),
            None => write!(f, "at line {line}, column {column}"),
        }
    }
}

impl Error for MalformedAnswer {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Reply, FetchError> {
        Reply::read(&Bytes::copy_from_slice(json.as_bytes()))
    }

    #[test]
    fn the_kind_of_token() {
        use TokenKind::{Access, Other, Unknown};
        for (members, expected) in [
            ("", Unknown),
            (r#","token_type":null"#, Unknown),
            (r#","token_type":"Bearer""#, Access),
            (r#","token_type":"bearer""#, Access),
            (r#","token_type":"DPoP","cnf":{"jkt":"x"}"#, Access),
            (r#","token_type":"DPoP""#, Other),
            (r#","token_type":"N_A""#, Other),
            (r#","token_type":"refresh_token""#, Other),
            (r#","token_use":"access_token""#, Access),
            (r#","token_use":"refresh_token""#, Other),
            (
                r#","token_type":"Bearer","token_use":"refresh_token""#,
                Other,
            ),
            (r#","token_type":"Bearer","token_use":1"#, Other),
        ] {
            let Ok(Reply::Active { kind, .. }) = read(&format!(r#"{{"active":true{members}}}"#))
            else {
                panic!("{members}");
            };
            assert_eq!(kind, expected, "{members}");
        }
    }

    #[test]
    fn an_error_says_where_and_quotes_nothing() {
        for (json, expected) in [
            ("", "at line 1, column 0"),
            ("{}", "`active` is missing"),
            (r#"{"active":"secret"}"#, "`active`, at line 1, column 18"),
            (
                r#"{"active":true,"exp":"secret"}"#,
                "`exp`, at line 1, column 29",
            ),
        ] {
            let error = read(json).err().unwrap();
            assert_eq!(error.source().unwrap().to_string(), expected, "{json}");
            assert!(!format!("{error:?}").contains("secret"), "{json}");
        }
    }
}
