//! The scopes of a token.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::misuse::misuse;

/// Names of scopes, and where in the claims they must stand.
#[derive(Clone)]
pub(super) struct Scopes {
    names: Arc<[Box<str>]>,
    all: bool,
    /// The names of the members on the way, from the outside in. None: `scope`, or else `scp`.
    path: Option<Arc<[Box<str>]>>,
}

impl Scopes {
    /// # Panics
    ///
    /// If there is no name, or one that is no scope-token (RFC 6749 §3.3).
    #[track_caller]
    pub(super) fn new<N: AsRef<str>>(names: impl IntoIterator<Item = N>, all: bool) -> Self {
        let names: Arc<[Box<str>]> = names.into_iter().map(|name| name.as_ref().into()).collect();
        if names.is_empty() {
            misuse("no scope is required");
        }
        let character = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if !names
            .iter()
            .all(|name| !name.is_empty() && name.bytes().all(character))
        {
            misuse("a scope is printable ASCII without spaces, quotes and backslashes");
        }
        let path = None;
        Self { names, all, path }
    }

    /// # Panics
    ///
    /// If `path` is empty.
    #[track_caller]
    pub(super) fn at<N: AsRef<str>>(&mut self, path: impl IntoIterator<Item = N>) {
        let path: Arc<[Box<str>]> = path.into_iter().map(|name| name.as_ref().into()).collect();
        if path.is_empty() {
            misuse("the path of the scopes is empty");
        }
        self.path = Some(path);
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Whether the payload grants them. What cannot be read grants nothing.
    pub(super) fn granted_by(&self, payload: &str) -> bool {
        let granted = match &self.path {
            None => serde_json::from_str(payload)
                .map(|claims: Usual<'_>| claims.scope.or(claims.scp).unwrap_or_default()),
            Some(path) => {
                let mut reader = serde_json::Deserializer::from_str(payload);
                At(path)
                    .deserialize(&mut reader)
                    .and_then(|granted| reader.end().map(|()| granted.unwrap_or_default()))
            }
        };
        let Ok(granted) = granted else {
            return false;
        };
        let mut names = self.names();
        if self.all {
            names.all(|name| granted.contains(name))
        } else {
            names.any(|name| granted.contains(name))
        }
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scopes")
            .field("names", &self.names)
            .field("all", &self.all)
            .field("path", &self.path)
            .finish()
    }
}

/// `scope` (RFC 9068 §2.2.3), or `scp`, as some providers call it.
#[derive(Deserialize)]
struct Usual<'a> {
    #[serde(borrow, default)]
    scope: Option<Granted<'a>>,
    #[serde(borrow, default)]
    scp: Option<Granted<'a>>,
}

/// One string with spaces between (RFC 6749 §3.3), or an array of strings.
#[derive(Default)]
struct Granted<'a>(Vec<Cow<'a, str>>);

impl Granted<'_> {
    fn contains(&self, wanted: &str) -> bool {
        self.0.iter().any(|name| name == wanted)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Granted<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Granted<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_borrowed_str<E>(self, names: &'de str) -> Result<Self::Value, E> {
                Ok(Granted(names.split(' ').map(Cow::Borrowed).collect()))
            }

            fn visit_str<E>(self, names: &str) -> Result<Self::Value, E> {
                let own = |name: &str| Cow::Owned(name.to_owned());
                Ok(Granted(names.split(' ').map(own).collect()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                #[derive(Deserialize)]
                struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

                let mut names = Vec::new();
                while let Some(Name(name)) = seq.next_element()? {
                    names.push(name);
                }
                Ok(Granted(names))
            }
        }

        deserializer.deserialize_any(Names)
    }
}

/// Reads what stands at the end of a path. A member on the way that comes twice is an error.
struct At<'p>(&'p [Box<str>]);

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<Granted<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            Granted::deserialize(deserializer).map(Some)
        } else {
            deserializer.deserialize_map(self)
        }
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<Granted<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((wanted, rest)) = self.0.split_first() else {
            return Ok(None);
        };
        let mut found = None;
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if name != **wanted {
                map.next_value::<IgnoredAny>()?;
            } else if found.replace(map.next_value_seed(At(rest))?).is_some() {
                return Err(A::Error::custom("a member comes twice"));
            }
        }
        Ok(found.flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_stand_in_scope_or_scp() {
        let read = Scopes::new(["read"], true);
        for payload in [
            r#"{"scope":"read"}"#,
            r#"{"scope":"write read"}"#,
            r#"{"scope":["write","read"]}"#,
            r#"{"scp":"read write"}"#,
            r#"{"scp":["read"]}"#,
            r#"{"scope":"re\u0061d"}"#,
        ] {
            assert!(read.granted_by(payload), "{payload}");
        }
        for payload in [
            "{}",
            r#"{"scope":""}"#,
            r#"{"scope":"readwrite"}"#,
            r#"{"scope":"Read"}"#,
            r#"{"scope":"read\twrite"}"#,
            r#"{"scope":["read write"]}"#,
            r#"{"scope":{"read":true}}"#,
            r#"{"scope":["read",1]}"#,
            r#"{"scope":1,"scp":"read"}"#,
            r#"{"scope":"write","scp":"read"}"#,
            r#"{"scope":"read","scope":"read"}"#,
            r#"{"scope":"read","sc\u006fpe":""}"#,
        ] {
            assert!(!read.granted_by(payload), "{payload}");
        }
    }

    #[test]
    fn all_or_any() {
        let payload = r#"{"scope":"a b"}"#;
        assert!(Scopes::new(["a", "b"], true).granted_by(payload));
        assert!(!Scopes::new(["a", "c"], true).granted_by(payload));
        assert!(Scopes::new(["c", "a"], false).granted_by(payload));
        assert!(!Scopes::new(["c", "d"], false).granted_by(payload));
    }

    #[test]
    fn a_path_of_ones_own() {
        let mut admin = Scopes::new(["admin"], true);
        admin.at(["realm_access", "roles"]);
        for payload in [
            r#"{"realm_access":{"roles":["user","admin"]}}"#,
            r#"{"realm_access":{"x":[{}],"roles":"user admin"},"scope":""}"#,
        ] {
            assert!(admin.granted_by(payload), "{payload}");
        }
        for payload in [
            "{}",
            r#"{"scope":"admin"}"#,
            r#"{"roles":["admin"]}"#,
            r#"{"realm_access":["roles","admin"]}"#,
            r#"{"realm_access":{"roles":{"admin":1}}}"#,
            r#"{"realm_access":{"roles":["admin"]},"realm_access":{}}"#,
            r#"{"realm_access":{"roles":[],"roles":["admin"]}}"#,
        ] {
            assert!(!admin.granted_by(payload), "{payload}");
        }
    }

    #[test]
    #[should_panic(expected = "a scope is printable ASCII")]
    fn a_scope_that_no_token_can_hold() {
        let _ = Scopes::new(["a b"], true);
    }

    #[test]
    #[should_panic(expected = "no scope is required")]
    fn none_of_no_scopes() {
        let _ = Scopes::new(Vec::<&str>::new(), true);
    }
}
