//! The `aud` claim.

use std::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};

/// The audiences of a token (RFC 7519 §4.1.3): one string or an array. An empty array names nobody.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Audience(Vec<String>);

impl Audience {
    /// Whether `name` is one of them: compared whole, byte for byte.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|audience| audience == name)
    }

    /// The names, in the order of the token.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl From<&str> for Audience {
    fn from(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }
}

impl From<String> for Audience {
    fn from(name: String) -> Self {
        Self(vec![name])
    }
}

/// An empty list names nobody. A verifier rejects a token with an empty `aud` if it requires an
/// audience.
impl From<Vec<String>> for Audience {
    fn from(names: Vec<String>) -> Self {
        Self(names)
    }
}

/// An empty list names nobody. A verifier rejects a token with an empty `aud` if it requires an
/// audience.
impl<S: Into<String>, const N: usize> From<[S; N]> for Audience {
    fn from(names: [S; N]) -> Self {
        Self::from_iter(names)
    }
}

impl<S: Into<String>> FromIterator<S> for Audience {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

/// Shows the number of names only.
impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Audience({} names)", self.0.len())
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let [name] = self.0.as_slice() {
            return serializer.serialize_str(name);
        }
        let mut names = serializer.serialize_seq(Some(self.0.len()))?;
        for name in &self.0 {
            names.serialize_element(name)?;
        }
        names.end()
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Audience;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Audience, E> {
                Ok(Audience::from(name))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Audience, A::Error> {
                let mut audience = Vec::new();
                while let Some(name) = names.next_element()? {
                    audience.push(name);
                }
                Ok(Audience(audience))
            }
        }

        deserializer.deserialize_any(Names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audiences() {
        let read = |json| serde_json::from_str::<Audience>(json).ok();
        assert_eq!(read(r#""a""#), Some(Audience::from("a")));
        assert_eq!(read(r#"["a","b"]"#), Some(Audience::from_iter(["a", "b"])));
        assert_eq!(read("[]"), Some(Audience::default()));
        for json in ["1", "null", "[1]", "{}", r#"["a",null]"#] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
