//! The thumbprints of a certificate, as a header or a JWK names it.

use serde::Deserialize;

/// `x5t` and `x5t#S256` (RFC 7515 §4.1.7, §4.1.8; RFC 7517 §4.8, §4.9). At least one is present.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
pub(crate) struct Thumbprints {
    #[serde(rename = "x5t")]
    pub(crate) sha1: Option<Box<str>>,
    #[serde(rename = "x5t#S256")]
    pub(crate) sha256: Option<Box<str>>,
}

impl Thumbprints {
    /// Reads the members of a JSON object. `None` if it has neither, or one of the wrong type.
    pub(crate) fn read(json: &[u8]) -> Option<Self> {
        let read: Self = serde_json::from_slice(json).ok()?;
        let sha1 = read.sha1.filter(|text| !text.is_empty());
        let sha256 = read.sha256.filter(|text| !text.is_empty());
        (sha1.is_some() || sha256.is_some()).then_some(Self { sha1, sha256 })
    }

    /// Whether they are of the same certificate: one is equal, character by character, and none
    /// differs.
    pub(crate) fn match_those_of(&self, other: &Self) -> bool {
        let pairs = [(&self.sha256, &other.sha256), (&self.sha1, &other.sha1)];
        let mut both = pairs
            .into_iter()
            .filter_map(|(one, other)| Some((one.as_deref()?, other.as_deref()?)))
            .peekable();
        both.peek().is_some() && both.all(|(one, other)| one == other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_equal_and_none_differs() {
        let of = |sha1: &str, sha256: &str| {
            let json = serde_json::json!({ "x5t": sha1, "x5t#S256": sha256 });
            Thumbprints::read(json.to_string().as_bytes())
        };
        assert_eq!(of("", ""), None);
        for (one, other, expected) in [
            (of("a", "b"), of("a", "b"), true),
            (of("a", "b"), of("a", ""), true),
            (of("", "b"), of("a", "b"), true),
            (of("a", "b"), of("a", "c"), false),
            (of("a", "b"), of("c", "b"), false),
            (of("a", ""), of("", "a"), false),
            (of("a", ""), of("A", ""), false),
            (of("a", ""), of("a=", ""), false),
        ] {
            let (one, other) = (one.unwrap(), other.unwrap());
            assert_eq!(one.match_those_of(&other), expected, "{one:?} {other:?}");
            assert_eq!(other.match_those_of(&one), expected, "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_member_of_the_wrong_type_is_none() {
        for json in [
            r#"{"x5t":null,"x5t#S256":[]}"#,
            r#"{"x5t":"a","x5t":"a"}"#,
            r#"{"x5t":1}"#,
            "{}",
            "[",
        ] {
            assert_eq!(Thumbprints::read(json.as_bytes()), None, "{json}");
        }
    }
}
