//! A claim that must have one value.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// A claim and its value.
pub(super) struct RequiredClaim {
    name: Box<str>,
    value: Value,
}

impl RequiredClaim {
    pub(super) fn new(name: &str, value: Value) -> Self {
        Self {
            name: name.into(),
            value,
        }
    }

    /// Whether the payload has the claim once, with this value.
    pub(super) fn is_in(&self, payload: &str) -> bool {
        let mut reader = serde_json::Deserializer::from_str(payload);
        let found = ClaimReader(&self.name).deserialize(&mut reader);
        let found = found.and_then(|found| reader.end().map(|()| found));
        found.is_ok_and(|found| found.as_ref() == Some(&self.value))
    }
}

/// Shows the name.
impl fmt::Debug for RequiredClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(&self.name).finish()
    }
}

/// Reads one claim. A duplicate is an error.
struct ClaimReader<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for ClaimReader<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ClaimReader<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a claims set")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if name != *self.0 {
                map.next_value::<IgnoredAny>()?;
            } else if found.replace(map.next_value()?).is_some() {
                return Err(A::Error::custom("a claim comes twice"));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_there_once_and_equal() {
        let verified = RequiredClaim::new("email_verified", true.into());
        assert!(verified.is_in(r#"{"a":{},"email_verified":true}"#));
        assert!(verified.is_in(r#"{"email\u005fverified":true}"#));
        for payload in [
            "{}",
            r#"{"email_verified":false}"#,
            r#"{"email_verified":"true"}"#,
            r#"{"email_verified":1}"#,
            r#"{"email_verified":null}"#,
            r#"{"email_verified":[true]}"#,
            r#"{"a":{"email_verified":true}}"#,
            r#"{"email_verified":true,"email_verified":true}"#,
            r#"{"email_verified":false,"email\u005fverified":true}"#,
        ] {
            assert!(!verified.is_in(payload), "{payload}");
        }
        let client = RequiredClaim::new("azp", "app".into());
        assert!(client.is_in(r#"{"azp":"app"}"#));
        assert!(!client.is_in(r#"{"azp":"App"}"#));
        assert!(!client.is_in(r#"{"azp":["app"]}"#));
        assert!(RequiredClaim::new("n", 7.into()).is_in(r#"{"n":7}"#));
    }
}
