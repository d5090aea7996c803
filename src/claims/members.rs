//! Reads the registered claims of any payload in one strict pass, without copying.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::confirmation::Confirmation;
use super::numeric_date::NumericDate;
use super::subject::SubjectReader;

/// When a token is valid.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) expires_at: NumericDate,
    pub(crate) not_before: Option<NumericDate>,
    pub(crate) issued_at: Option<NumericDate>,
}

/// The claims that are checked. A duplicate or a wrong type is an error.
#[derive(Default)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct RegisteredMembers<'a> {
    pub(crate) issuer: Option<Cow<'a, str>>,
    pub(crate) subject: Option<Cow<'a, str>>,
    pub(crate) audience: Option<AudienceMember<'a>>,
    pub(crate) expires_at: Option<NumericDate>,
    pub(crate) not_before: Option<NumericDate>,
    pub(crate) issued_at: Option<NumericDate>,
    pub(crate) token_id: Option<Cow<'a, str>>,
    pub(crate) session_id: Option<Cow<'a, str>>,
    pub(crate) generation: Option<Generation>,
    /// Whether `events` is there, with any value: a security event token (RFC 8417 §2.2).
    pub(crate) events: bool,
    /// `cnf` (RFC 7800 §3.1).
    pub(crate) confirmation: Option<Confirmation>,
}

impl RegisteredMembers<'_> {
    /// `None` without `exp`, unless tokens without it expire at `max_age` after `iat`.
    pub(crate) fn times(&self, max_age: Option<Duration>) -> Option<Times> {
        let implied = || Some(self.issued_at?.later_by(max_age?));
        Some(Times {
            expires_at: self.expires_at.or_else(implied)?,
            not_before: self.not_before,
            issued_at: self.issued_at,
        })
    }
}

/// What may deviate from RFC 7519 in the tokens of an issuer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowances {
    /// `null` in a registered claim is the same as its absence.
    pub(crate) null_claims: bool,
    /// A whole number in `sub` is the same as its decimal string.
    pub(crate) integer_subject: bool,
}

impl Allowances {
    pub(crate) const ALL: Self = Self {
        null_claims: true,
        integer_subject: true,
    };
}

/// Why a payload cannot be read.
#[derive(Debug)]
pub(crate) struct PayloadError {
    /// The claim that is at fault, if it has a meaning here.
    pub(crate) claim: Option<&'static str>,
    pub(crate) error: serde_json::Error,
}

#[cfg_attr(test, derive(Debug))]
pub(crate) enum AudienceMember<'a> {
    One(Cow<'a, str>),
    Many(Vec<Cow<'a, str>>),
}

impl AudienceMember<'_> {
    /// An empty array.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Many(names) if names.is_empty())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let names = match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        };
        names.iter().map(|name| &**name)
    }
}

/// `generation`: a whole number in tokens of this crate. Other issuers may use the name for
/// something else, so any other value is ignored.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Generation(pub(crate) Option<u64>);

impl<'de> Deserialize<'de> for Generation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl<'de> Visitor<'de> for Number {
            type Value = Generation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Generation, E> {
                Ok(Generation(Some(number)))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Generation, E> {
                Ok(Generation(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Generation, E> {
                Ok(Generation(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Generation, E> {
                Ok(Generation(None))
            }

            fn visit_str<E>(self, _: &str) -> Result<Generation, E> {
                Ok(Generation(None))
            }

            fn visit_unit<E>(self) -> Result<Generation, E> {
                Ok(Generation(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Generation, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Generation(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Generation, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Generation(None))
            }
        }

        deserializer.deserialize_any(Number)
    }
}

/// The members of a claims set that have a meaning here.
#[derive(Clone, Copy)]
pub(super) enum Member {
    Issuer,
    Subject,
    Audience,
    ExpiresAt,
    NotBefore,
    IssuedAt,
    TokenIdentity,
    SessionId,
    Generation,
    Events,
    Confirmation,
    Other,
}

impl Member {
    pub(super) fn named(name: &str) -> Self {
        match name {
            "iss" => Self::Issuer,
            "sub" => Self::Subject,
            "aud" => Self::Audience,
            "exp" => Self::ExpiresAt,
            "nbf" => Self::NotBefore,
            "iat" => Self::IssuedAt,
            "jti" => Self::TokenIdentity,
            "sid" => Self::SessionId,
            "generation" => Self::Generation,
            "events" => Self::Events,
            "cnf" => Self::Confirmation,
            _ => Self::Other,
        }
    }

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Issuer => "iss",
            Self::Subject => "sub",
            Self::Audience => "aud",
            Self::ExpiresAt => "exp",
            Self::NotBefore => "nbf",
            Self::IssuedAt => "iat",
            Self::TokenIdentity => "jti",
            Self::SessionId => "sid",
            Self::Generation => "generation",
            Self::Events => "events",
            Self::Confirmation => "cnf",
            Self::Other => return None,
        })
    }

    /// A bit of its own.
    fn bit(self) -> u16 {
        1_u16.wrapping_shl(self as u32)
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = Member;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a claim's name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Member, E> {
                Ok(Member::named(name))
            }
        }

        deserializer.deserialize_identifier(Name)
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> RegisteredMembers<'a> {
    /// Reads any payload that does not nest too deeply.
    pub(super) fn read(payload: &'a str, allowed: Allowances) -> Result<Self, PayloadError> {
        let mut reader = serde_json::Deserializer::from_str(payload);
        let mut current = None;
        let members = MembersReader {
            allowed,
            current: &mut current,
        };
        let members = reader
            .deserialize_map(members)
            .and_then(|members| reader.end().map(|()| members));
        members.map_err(|error| PayloadError {
            claim: current.and_then(Member::name),
            error,
        })
    }
}

/// Reads a claims set.
struct MembersReader<'c> {
    allowed: Allowances,
    /// The member that is being read.
    current: &'c mut Option<Member>,
}

impl<'de> Visitor<'de> for MembersReader<'_> {
    type Value = RegisteredMembers<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a claims set")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = RegisteredMembers::default();
        let mut seen = 0;
        while let Some(member) = map.next_key::<Member>()? {
            *self.current = Some(member);
            if !matches!(member, Member::Other | Member::Events) {
                if seen & member.bit() != 0 {
                    return Err(A::Error::custom("a claim comes twice"));
                }
                seen |= member.bit();
            }
            members.read_member(member, &mut map, self.allowed)?;
            *self.current = None;
        }
        Ok(members)
    }
}

impl<'de> RegisteredMembers<'de> {
    fn read_member<A: MapAccess<'de>>(
        &mut self,
        member: Member,
        map: &mut A,
        allowed: Allowances,
    ) -> Result<(), A::Error> {
        match member {
            Member::Issuer => self.issuer = text(map, allowed)?,
            Member::Subject if allowed.integer_subject => {
                self.subject = map.next_value_seed(SubjectReader {
                    null_allowed: allowed.null_claims,
                })?;
            }
            Member::Subject => self.subject = text(map, allowed)?,
            Member::Audience => self.audience = value(map, allowed)?,
            Member::ExpiresAt => self.expires_at = value(map, allowed)?,
            Member::NotBefore => self.not_before = value(map, allowed)?,
            Member::IssuedAt => self.issued_at = value(map, allowed)?,
            Member::TokenIdentity => self.token_id = text(map, allowed)?,
            Member::SessionId => self.session_id = text(map, allowed)?,
            Member::Generation => self.generation = Some(map.next_value()?),
            Member::Events => {
                self.events = true;
                map.next_value::<IgnoredAny>()?;
            }
            Member::Confirmation => {
                self.confirmation = Some(map.next_value()?);
            }
            Member::Other => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

fn value<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    allowed: Allowances,
) -> Result<Option<T>, A::Error> {
    if allowed.null_claims {
        map.next_value()
    } else {
        map.next_value().map(Some)
    }
}

fn text<'de, A: MapAccess<'de>>(
    map: &mut A,
    allowed: Allowances,
) -> Result<Option<Cow<'de, str>>, A::Error> {
    let value = value(map, allowed)?;
    Ok(value.map(|Text(text)| text))
}

impl<'de: 'a, 'a> Deserialize<'de> for AudienceMember<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = AudienceMember<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(AudienceMember::One(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(AudienceMember::One(Cow::Owned(name.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut names = Vec::new();
                while let Some(Text(name)) = seq.next_element()? {
                    names.push(name);
                }
                Ok(AudienceMember::Many(names))
            }
        }

        deserializer.deserialize_any(Names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_a_whole_number_or_none() {
        let read = |value: &str| {
            let payload = format!(r#"{{"generation":{value}}}"#);
            RegisteredMembers::read(&payload, Allowances::default())
                .ok()
                .map(|members| members.generation)
        };
        let generation = |number| Some(Some(Generation(number)));
        assert_eq!(read("0"), generation(Some(0)));
        assert_eq!(read("18446744073709551615"), generation(Some(u64::MAX)));
        for other in [
            "-1",
            "1.5",
            "1e3",
            "\"1\"",
            "null",
            "true",
            "[1,{}]",
            r#"{"a":[]}"#,
        ] {
            assert_eq!(read(other), generation(None), "{other}");
        }
        assert_eq!(read("1e999"), None);
    }

    #[test]
    fn a_registered_claim_that_comes_twice_is_refused_even_in_disguise() {
        for payload in [
            r#"{"exp":1,"exp":1}"#,
            r#"{"exp":1,"\u0065xp":9}"#,
            r#"{"iss":"a","iss":"a"}"#,
            r#"{"aud":"a","aud":["a"]}"#,
            r#"{"cnf":{},"cnf":{}}"#,
            r#"{"generation":1,"generation":"a"}"#,
        ] {
            for null_claims in [false, true] {
                let allowed = Allowances {
                    null_claims,
                    integer_subject: true,
                };
                assert!(
                    RegisteredMembers::read(payload, allowed).is_err(),
                    "{payload}"
                );
            }
        }
    }

    #[test]
    fn a_null_claim_counts_as_seen() {
        let allowed = Allowances {
            null_claims: true,
            ..Allowances::default()
        };
        let payload = r#"{"iss":null,"sub":null,"aud":null,"exp":null,"nbf":null,"jti":null}"#;
        let members = RegisteredMembers::read(payload, allowed).unwrap();
        assert!(members.issuer.is_none() && members.expires_at.is_none());
        for payload in [
            r#"{"sub":null,"sub":"a"}"#,
            r#"{"exp":1,"exp":null}"#,
            r#"{"aud":null,"aud":null}"#,
            r#"{"cnf":null}"#,
            r#"{"aud":[null]}"#,
        ] {
            assert!(
                RegisteredMembers::read(payload, allowed).is_err(),
                "{payload}"
            );
        }
    }

    #[test]
    fn a_subject_may_be_a_whole_number_as_written() {
        let allowed = Allowances {
            integer_subject: true,
            ..Allowances::default()
        };
        let read = |value: &str| {
            let payload = format!(r#"{{"sub":{value}}}"#);
            let members = RegisteredMembers::read(&payload, allowed).ok()?;
            members.subject.map(Cow::into_owned)
        };
        for number in ["0", "1", "42", "9223372036854775807", "9999999999999999999"] {
            assert_eq!(read(number).as_deref(), Some(number));
        }
        assert_eq!(read(r#""42""#).as_deref(), Some("42"));
        assert_eq!(read(r#""\u0034""#).as_deref(), Some("4"));
        for other in [
            "-1",
            "-0",
            "1.0",
            "1e3",
            "10000000000000000000",
            "18446744073709551616",
            "01",
            "null",
            "true",
            "[1]",
            "{}",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn an_error_names_the_claim() {
        for (payload, claim) in [
            (r#"{"exp":"soon"}"#, Some("exp")),
            (r#"{"iss":"a","sub":1}"#, Some("sub")),
            (r#"{"x":1,"aud":[1]}"#, Some("aud")),
            (r#"{"exp":1,"exp":1}"#, Some("exp")),
            (r#"{"exp":1,"x":tru}"#, None),
            (r#"{"exp":1"#, None),
            ("[]", None),
        ] {
            let error = RegisteredMembers::read(payload, Allowances::default()).unwrap_err();
            assert_eq!(error.claim, claim, "{payload}");
        }
    }
}
