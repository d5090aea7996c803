//! Reads the registered claims of any payload in one strict pass, without copying.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::numeric_date::NumericDate;

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
    /// The names of the members of `cnf` (RFC 7800 §3.1).
    pub(crate) confirmation: Option<Vec<Cow<'a, str>>>,
}

impl RegisteredMembers<'_> {
    /// `None` without `exp`.
    pub(crate) fn times(&self) -> Option<Times> {
        Some(Times {
            expires_at: self.expires_at?,
            not_before: self.not_before,
            issued_at: self.issued_at,
        })
    }
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

impl<'de: 'a, 'a> Deserialize<'de> for RegisteredMembers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = RegisteredMembers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a claims set")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = RegisteredMembers::default();
                while let Some(member) = map.next_key()? {
                    match member {
                        Member::Issuer => text(&mut map, &mut members.issuer)?,
                        Member::Subject => text(&mut map, &mut members.subject)?,
                        Member::Audience => once(&mut map, &mut members.audience)?,
                        Member::ExpiresAt => once(&mut map, &mut members.expires_at)?,
                        Member::NotBefore => once(&mut map, &mut members.not_before)?,
                        Member::IssuedAt => once(&mut map, &mut members.issued_at)?,
                        Member::TokenIdentity => text(&mut map, &mut members.token_id)?,
                        Member::SessionId => text(&mut map, &mut members.session_id)?,
                        Member::Generation => once(&mut map, &mut members.generation)?,
                        Member::Events => {
                            members.events = true;
                            map.next_value::<IgnoredAny>()?;
                        }
                        Member::Confirmation => {
                            let mut methods = None;
                            once(&mut map, &mut methods)?;
                            if let Some(Methods(methods)) = methods {
                                set(&mut members.confirmation, methods)?;
                            }
                        }
                        Member::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

fn set<T, E: serde::de::Error>(member: &mut Option<T>, value: T) -> Result<(), E> {
    match member.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom("a claim comes twice")),
    }
}

fn once<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    member: &mut Option<T>,
) -> Result<(), A::Error> {
    let value = map.next_value()?;
    set(member, value)
}

fn text<'de, A: MapAccess<'de>>(
    map: &mut A,
    member: &mut Option<Cow<'de, str>>,
) -> Result<(), A::Error> {
    let Text(value) = map.next_value()?;
    set(member, value)
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

/// The names of the members of `cnf`.
struct Methods<'a>(Vec<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Methods<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Methods<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a confirmation")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut names = Vec::new();
                while let Some(Text(name)) = map.next_key()? {
                    map.next_value::<IgnoredAny>()?;
                    names.push(name);
                }
                Ok(Methods(names))
            }
        }

        deserializer.deserialize_map(Names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_a_whole_number_or_none() {
        let read = |value: &str| {
            let payload = format!(r#"{{"generation":{value}}}"#);
            serde_json::from_str::<RegisteredMembers<'_>>(&payload)
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
            assert!(
                serde_json::from_str::<RegisteredMembers<'_>>(payload).is_err(),
                "{payload}"
            );
        }
    }
}
