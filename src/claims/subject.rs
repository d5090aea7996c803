//! Reads `sub` where it may be a number.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

/// Reads `sub` where it may be a whole number.
pub(super) struct SubjectReader {
    /// Whether `null` counts as absent.
    pub(super) null_allowed: bool,
}

impl SubjectReader {
    /// 19 digits: what a 64-bit integer has. Nothing is read through a float.
    fn number<'a, E: serde::de::Error>(text: String) -> Result<Option<Cow<'a, str>>, E> {
        let is_whole = matches!(text.as_bytes(), [b'0'] | [b'1'..=b'9', ..])
            && text.len() <= 19
            && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_whole {
            Ok(Some(Cow::Owned(text)))
        } else {
            Err(E::custom(
                "the subject is not a whole number of at most 19 digits",
            ))
        }
    }
}

impl<'de> DeserializeSeed<'de> for SubjectReader {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for SubjectReader {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a whole number")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Self::number(number.to_string())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        if self.null_allowed {
            Ok(None)
        } else {
            Err(E::invalid_type(serde::de::Unexpected::Unit, &self))
        }
    }

    /// A number, under the feature `arbitrary_precision` of serde_json.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let number = serde_json::Number::deserialize(MapAccessDeserializer::new(map))?;
        Self::number(number.to_string())
    }
}
