//! The scopes of a token.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::builder_error::report;
use crate::middleware::is_scope_token;

/// Required scopes, and where the claims contain the granted ones.
#[derive(Clone)]
pub(super) struct Scopes {
    names: Arc<[Box<str>]>,
    requires_all: bool,
    /// The member names of the path. `None`: `scope`, otherwise `scp`.
    path: Option<Arc<[Box<str>]>>,
}

impl Scopes {
    /// # Panics
    ///
    /// If there are no names, or a name is not a scope-token (RFC 6749 §3.3).
    #[track_caller]
    pub(super) fn new<N: AsRef<str>>(
        names: impl IntoIterator<Item = N>,
        requires_all: bool,
    ) -> Self {
        let names: Arc<[Box<str>]> = names.into_iter().map(|name| name.as_ref().into()).collect();
        if names.is_empty() {
            report("no scope is required");
        }
        if !names.iter().all(|name| is_scope_token(name)) {
            report("a scope is printable ASCII without spaces, quotes and backslashes");
        }
        let path = None;
        Self {
            names,
            requires_all,
            path,
        }
    }

    /// # Panics
    ///
    /// If `path` is empty.
    #[track_caller]
    pub(super) fn at<N: AsRef<str>>(&mut self, path: impl IntoIterator<Item = N>) {
        let path: Arc<[Box<str>]> = path.into_iter().map(|name| name.as_ref().into()).collect();
        if path.is_empty() {
            report("the path of the scopes is empty");
        }
        self.path = Some(path);
    }

    pub(super) fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The scopes that a client can ask for. Values at a configured path, such as roles, are not
    /// included.
    pub(super) fn requestable(&self) -> &[Box<str>] {
        if self.path.is_none() {
            &self.names
        } else {
            &[]
        }
    }

    /// Whether the payload grants the required scopes. An unreadable claim does not grant any.
    pub(super) fn are_granted_by(&self, payload: &str) -> bool {
        let granted = match &self.path {
            None => serde_json::from_str(payload)
                .map(|claims: ScopeClaims<'_>| claims.scope.or(claims.scp).unwrap_or_default()),
            Some(path) => {
                let mut reader = serde_json::Deserializer::from_str(payload);
                ScopesAtPath(path)
                    .deserialize(&mut reader)
                    .and_then(|granted| reader.end().map(|()| granted.unwrap_or_default()))
            }
        };
        let Ok(granted) = granted else {
            return false;
        };
        let mut names = self.names.iter().map(|name| &**name);
        if self.requires_all {
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
            .field("requires_all", &self.requires_all)
            .field("path", &self.path)
            .finish()
    }
}

/// `scope` (RFC 9068 §2.2.3), or `scp`, which some providers use.
#[derive(Deserialize)]
struct ScopeClaims<'a> {
    #[serde(borrow, default)]
    scope: Option<GrantedScopes<'a>>,
    #[serde(borrow, default)]
    scp: Option<GrantedScopes<'a>>,
}

/// A space-separated string (RFC 6749 §3.3), or an array of strings.
#[derive(Default)]
struct GrantedScopes<'a>(Vec<Cow<'a, str>>);

impl GrantedScopes<'_> {
    fn contains(&self, wanted: &str) -> bool {
        self.0.iter().any(|name| name == wanted)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for GrantedScopes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = GrantedScopes<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_borrowed_str<E>(self, names: &'de str) -> Result<Self::Value, E> {
                Ok(GrantedScopes(names.split(' ').map(Cow::Borrowed).collect()))
            }

            fn visit_str<E>(self, names: &str) -> Result<Self::Value, E> {
                let own = |name: &str| Cow::Owned(name.to_owned());
                Ok(GrantedScopes(names.split(' ').map(own).collect()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                #[derive(Deserialize)]
                struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

                let mut names = Vec::new();
                while let Some(Name(name)) = seq.next_element()? {
                    names.push(name);
                }
                Ok(GrantedScopes(names))
            }
        }

        deserializer.deserialize_any(Names)
    }
}

/// Deserialises the value at a path. A duplicate member on the path is an error.
struct ScopesAtPath<'p>(&'p [Box<str>]);

impl<'de> DeserializeSeed<'de> for ScopesAtPath<'_> {
    type Value = Option<GrantedScopes<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            GrantedScopes::deserialize(deserializer).map(Some)
        } else {
            deserializer.deserialize_map(self)
        }
    }
}

impl<'de> Visitor<'de> for ScopesAtPath<'_> {
    type Value = Option<GrantedScopes<'de>>;

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
            } else if found
                .replace(map.next_value_seed(ScopesAtPath(rest))?)
                .is_some()
            {
                return Err(A::Error::custom("duplicate member"));
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
            assert!(read.are_granted_by(payload), "{payload}");
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
            assert!(!read.are_granted_by(payload), "{payload}");
        }
    }

    #[test]
    fn all_or_any() {
        let payload = r#"{"scope":"a b"}"#;
        assert!(Scopes::new(["a", "b"], true).are_granted_by(payload));
        assert!(!Scopes::new(["a", "c"], true).are_granted_by(payload));
        assert!(Scopes::new(["c", "a"], false).are_granted_by(payload));
        assert!(!Scopes::new(["c", "d"], false).are_granted_by(payload));
    }

    #[test]
    fn a_custom_path() {
        let mut admin = Scopes::new(["admin"], true);
        admin.at(["realm_access", "roles"]);
        for payload in [
            r#"{"realm_access":{"roles":["user","admin"]}}"#,
            r#"{"realm_access":{"x":[{}],"roles":"user admin"},"scope":""}"#,
        ] {
            assert!(admin.are_granted_by(payload), "{payload}");
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
            assert!(!admin.are_granted_by(payload), "{payload}");
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
