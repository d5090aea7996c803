//! Why claims do not decode as a type: which claim it is, without its value.
//!
//! `serde_json` names the claim only in its messages, which may quote values. So the claims are
//! decoded once more, with an error that keeps names alone. This happens only after a failure.

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

/// Why the claims do not decode as a type.
#[derive(Debug)]
pub(super) struct Mismatch {
    type_name: &'static str,
    fault: Fault,
    line: usize,
    column: usize,
}

/// An error without values.
#[derive(Debug, Default)]
struct Fault {
    /// The claim whose value is at fault.
    claim: Option<Box<str>>,
    /// The field of the type that is missing, in the claims or in this claim.
    missing: Option<&'static str>,
    /// The claim that the type does not know.
    unknown: Option<Box<str>>,
}

impl Mismatch {
    /// Why `payload` does not decode as `T`, for which `error` was reported.
    #[cold]
    pub(super) fn of<T: DeserializeOwned>(payload: &str, error: &serde_json::Error) -> Self {
        let fault = match serde_json::from_str::<Value>(payload) {
            Ok(value) => T::deserialize(Node::claims(&value)).err(),
            Err(_) => None,
        };
        Self {
            type_name: std::any::type_name::<T>(),
            fault: fault.unwrap_or_default(),
            line: error.line(),
            column: error.column(),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault {
            claim,
            missing,
            unknown,
        } = &self.fault;
        let name = self.type_name;
        match (claim, missing, unknown) {
            (Some(claim), Some(field), _) => {
                write!(f, "`{name}` needs `{field}` in the claim {claim:?}")
            }
            (Some(claim), None, _) => write!(f, "`{name}` cannot read the claim {claim:?}"),
            (None, Some(field), _) => write!(f, "`{name}` needs the claim `{field}`"),
            (None, None, Some(claim)) => write!(f, "`{name}` does not know the claim {claim:?}"),
            (None, None, None) => write!(f, "`{name}` cannot read the claims"),
        }?;
        write!(
            f,
            ", at line {}, column {} of the payload",
            self.line, self.column
        )
    }
}

impl std::error::Error for Mismatch {}

impl Error for Fault {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::default()
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            missing: Some(field),
            ..Self::default()
        }
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self {
            unknown: Some(field.into()),
            ..Self::default()
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the claims do not decode")
    }
}

impl std::error::Error for Fault {}

/// A value in the claims.
struct Node<'de> {
    value: &'de Value,
    /// Whether it is the whole claims set, whose names are claims.
    is_claims: bool,
}

impl<'de> Node<'de> {
    fn claims(value: &'de Value) -> Self {
        Self {
            value,
            is_claims: true,
        }
    }

    fn inner(value: &'de Value) -> Self {
        Self {
            value,
            is_claims: false,
        }
    }

    fn members(&self, members: &'de Map<String, Value>) -> Members<'de> {
        Members {
            rest: members.iter(),
            current: None,
            are_claims: self.is_claims,
        }
    }
}

impl<'de> IntoDeserializer<'de, Fault> for Node<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (None, Some(number), _) => visitor.visit_i64(number),
                (None, None, Some(number)) => visitor.visit_f64(number),
                (None, None, None) => Err(Fault::default()),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(values) => {
                visitor.visit_seq(SeqDeserializer::new(values.iter().map(Self::inner)))
            }
            Value::Object(members) => visitor.visit_map(self.members(members)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.value {
            Value::String(variant) => {
                visitor.visit_enum(BorrowedStrDeserializer::new(variant.as_str()))
            }
            Value::Object(members) => {
                visitor.visit_enum(MapAccessDeserializer::new(self.members(members)))
            }
            _ => Err(Fault::default()),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The members of an object.
struct Members<'de> {
    rest: serde_json::map::Iter<'de>,
    current: Option<(&'de String, &'de Value)>,
    are_claims: bool,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.current = self.rest.next();
        let Some((name, _)) = self.current else {
            return Ok(None);
        };
        seed.deserialize(BorrowedStrDeserializer::new(name.as_str()))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (name, value) = self.current.take().ok_or_else(Fault::default)?;
        let result = seed.deserialize(Node::inner(value));
        if !self.are_claims {
            return result;
        }
        result.map_err(|fault| Fault {
            claim: Some(name.as_str().into()),
            missing: fault.missing,
            unknown: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only decoded")]
    struct Access {
        roles: Vec<String>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only decoded")]
    struct User {
        name: String,
        age: Option<u8>,
        realm_access: Option<Access>,
        #[serde(default)]
        teams: HashMap<String, u8>,
        #[serde(default)]
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only decoded")]
    enum Kind {
        Human,
        Machine(u8),
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {}

    fn said<T: DeserializeOwned + fmt::Debug>(payload: &str) -> String {
        let error = serde_json::from_str::<T>(payload).unwrap_err();
        let text = Mismatch::of::<T>(payload, &error).to_string();
        let (text, place) = text.rsplit_once(", at line 1, column ").unwrap();
        assert!(place.ends_with(" of the payload"), "{place}");
        text.replace("tower_jwt_auth::verify::mismatch::tests::", "")
    }

    #[test]
    fn the_claim_is_named_and_no_value() {
        for (payload, text) in [
            ("{}", "`User` needs the claim `name`"),
            (r#"{"name":7}"#, r#"`User` cannot read the claim "name""#),
            (
                r#"{"name":"secret","age":256}"#,
                r#"`User` cannot read the claim "age""#,
            ),
            (
                r#"{"name":"secret","realm_access":{}}"#,
                r#"`User` needs `roles` in the claim "realm_access""#,
            ),
            (
                r#"{"name":"secret","realm_access":{"roles":["secret",1]}}"#,
                r#"`User` cannot read the claim "realm_access""#,
            ),
            (
                r#"{"name":"secret","teams":{"secret":"secret"}}"#,
                r#"`User` cannot read the claim "teams""#,
            ),
            (
                r#"{"name":"secret","kind":"secret"}"#,
                r#"`User` cannot read the claim "kind""#,
            ),
            (
                r#"{"name":"secret","kind":{"Machine":"secret"}}"#,
                r#"`User` cannot read the claim "kind""#,
            ),
        ] {
            assert_eq!(said::<User>(payload), text, "{payload}");
        }
        assert_eq!(
            said::<Strict>(r#"{"a\nb":"secret"}"#),
            r#"`Strict` does not know the claim "a\nb""#
        );
        assert_eq!(
            said::<Vec<u8>>(r#"{"a":1}"#),
            "`alloc::vec::Vec<u8>` cannot read the claims"
        );
    }

    #[test]
    fn a_name_in_a_custom_message_is_not_believed() {
        #[derive(Debug)]
        struct Liar;

        impl<'de> Deserialize<'de> for Liar {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = String::deserialize(deserializer)?;
                Err(D::Error::custom(format!("missing field `{value}`")))
            }
        }

        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only decoded")]
        struct Claims {
            claim: Liar,
        }

        assert_eq!(
            said::<Claims>(r#"{"claim":"secret"}"#).rsplit("::").next(),
            Some(r#"Claims` cannot read the claim "claim""#)
        );
    }

    #[test]
    fn what_decodes_here_decodes_there() {
        let payload = r#"{"name":"a","age":1,"realm_access":{"roles":["x"]},"teams":{"t":1},
            "kind":{"Machine":1},"x":[1.5,-1,true,null]}"#;
        let value: Value = serde_json::from_str(payload).unwrap();
        assert!(User::deserialize(Node::claims(&value)).is_ok());
        assert_eq!(Value::deserialize(Node::claims(&value)).unwrap(), value);
    }
}
