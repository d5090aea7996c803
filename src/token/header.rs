//! The protected header (RFC 7515 §4), in one strict parse.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::base64url;
use super::thumbprints::Thumbprints;
use crate::json::is_shallow;

/// The members of a header that have a meaning here.
///
/// `jwk`, `jku`, `x5u` and `x5c` are ignored: a token does not choose the key to trust.
#[derive(Debug)]
pub(crate) struct JoseHeader {
    /// `alg`
    pub(crate) algorithm: String,
    /// `kid`
    pub(crate) key_id: Option<String>,
    /// `x5t` and `x5t#S256`
    pub(crate) thumbprints: Option<Thumbprints>,
    /// `typ`
    pub(crate) token_type: Option<String>,
}

/// Why a header is rejected, with any key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// Not base64url, not a JSON object, nested too deeply, a member of the wrong type, or a
    /// duplicate member.
    Malformed,
    /// `crit` (RFC 7515 §4.1.11): no extension is supported.
    Critical,
    /// `b64` (RFC 7797).
    UnencodedPayload,
    /// `zip`: compressed payloads are not supported.
    Compressed,
    /// `cty: JWT` (RFC 7519 §5.2): the payload is another token.
    Nested,
}

impl JoseHeader {
    /// Decodes and reads the first segment of a token.
    pub(crate) fn decode(segment: &[u8]) -> Result<Self, HeaderFault> {
        let json = base64url::decode(segment).map_err(|_| HeaderFault::Malformed)?;
        // serde_json does not check that the strings it skips are UTF-8.
        let json = std::str::from_utf8(&json).map_err(|_| HeaderFault::Malformed)?;
        if !is_shallow(json.as_bytes()) {
            return Err(HeaderFault::Malformed);
        }
        let members: Members<'_> =
            serde_json::from_str(json).map_err(|_| HeaderFault::Malformed)?;
        // Read apart: few headers have them, and the others must not pay for them.
        let thumbprints = members
            .has_thumbprints
            .then(|| Thumbprints::read(json.as_bytes()))
            .flatten();
        let header = members.into_header()?;
        Ok(Self {
            thumbprints,
            ..header
        })
    }
}

#[derive(Default)]
struct Members<'a> {
    alg: Option<Cow<'a, str>>,
    kid: Option<Cow<'a, str>>,
    typ: Option<Cow<'a, str>>,
    cty: Option<Cow<'a, str>>,
    crit: bool,
    b64: bool,
    zip: bool,
    has_thumbprints: bool,
}

impl Members<'_> {
    fn into_header(self) -> Result<JoseHeader, HeaderFault> {
        if self.crit {
            return Err(HeaderFault::Critical);
        }
        if self.b64 {
            return Err(HeaderFault::UnencodedPayload);
        }
        if self.zip {
            return Err(HeaderFault::Compressed);
        }
        if self.cty.is_some_and(|cty| is_media_type(&cty, "jwt")) {
            return Err(HeaderFault::Nested);
        }
        Ok(JoseHeader {
            algorithm: self.alg.ok_or(HeaderFault::Malformed)?.into_owned(),
            key_id: self.kid.map(Cow::into_owned),
            thumbprints: None,
            token_type: self.typ.map(Cow::into_owned),
        })
    }
}

/// Whether `value` names `application/{subtype}`, whose prefix may be left out (RFC 7515 §4.1.9).
pub(crate) fn is_media_type(value: &str, subtype: &str) -> bool {
    const PREFIX: &str = "application/";
    let rest = match value.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => value,
    };
    rest.eq_ignore_ascii_case(subtype)
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        fn text<'de, A: MapAccess<'de>>(
            map: &mut A,
            member: &mut Option<Cow<'de, str>>,
        ) -> Result<(), A::Error> {
            let Text(value) = map.next_value()?;
            *member = Some(value);
            Ok(())
        }

        let mut members = Members::default();
        let mut seen = HashSet::new();
        while let Some(Text(name)) = map.next_key()? {
            match &*name {
                "alg" => text(&mut map, &mut members.alg)?,
                "kid" => text(&mut map, &mut members.kid)?,
                "typ" => text(&mut map, &mut members.typ)?,
                "cty" => text(&mut map, &mut members.cty)?,
                other => {
                    match other {
                        "crit" => members.crit = true,
                        "b64" => members.b64 = true,
                        "zip" => members.zip = true,
                        "x5t" | "x5t#S256" => members.has_thumbprints = true,
                        _ => {}
                    }
                    map.next_value::<IgnoredAny>()?;
                }
            }
            if !seen.insert(name) {
                return Err(A::Error::custom("a member comes twice"));
            }
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<(String, Option<String>), HeaderFault> {
        let header = JoseHeader::decode(base64url::encode(json.as_bytes()).as_bytes())?;
        Ok((header.algorithm, header.key_id))
    }

    #[test]
    fn reads_what_decides_and_ignores_the_rest() {
        let header =
            r#"{"typ":"JWT","alg":"ES256","kid":"\u0061","jku":"https://evil.example","x":[{}]}"#;
        assert_eq!(read(header), Ok(("ES256".into(), Some("a".into()))));
    }

    #[test]
    fn a_member_that_comes_twice_is_refused_even_in_disguise() {
        for header in [
            r#"{"alg":"HS256","alg":"HS256"}"#,
            r#"{"alg":"HS256","\u0061lg":"none"}"#,
            r#"{"alg":"HS256","x":1,"x":1}"#,
        ] {
            assert_eq!(read(header), Err(HeaderFault::Malformed), "{header}");
        }
    }

    #[test]
    fn media_types() {
        for typ in ["JWT", "jwt", "application/jwt", "APPLICATION/JWT"] {
            assert!(is_media_type(typ, "jwt"), "{typ}");
        }
        for typ in [
            "",
            "application/",
            "text/jwt",
            "application/application/jwt",
            "jwt ",
        ] {
            assert!(!is_media_type(typ, "jwt"), "{typ}");
        }
    }
}
