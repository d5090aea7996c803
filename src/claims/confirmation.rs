//! `cnf`: what the sender of a token must prove (RFC 7800 §3.1).

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::token::{JwkThumbprint, base64url};

/// The member of `cnf` that binds a token to a key (RFC 9449 §6.1).
pub(crate) const KEY_THUMBPRINT: &str = "jkt";

/// The member of `cnf` that binds a token to a certificate (RFC 8705 §3.1).
pub(crate) const CERTIFICATE_THUMBPRINT: &str = "x5t#S256";

/// What the sender of a token must prove.
#[derive(Default)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Confirmation {
    /// The names of the members.
    pub(crate) methods: Vec<String>,
    pub(crate) binding: Binding,
}

/// What a token is bound to. A part is `None` if its member is missing, is no thumbprint, or occurs
/// several times.
#[derive(Clone, Copy, Default)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Binding {
    /// `jkt` (RFC 9449 §6.1).
    pub(crate) key: Option<JwkThumbprint>,
    /// `x5t#S256` (RFC 8705 §3.1): the SHA-256 of a certificate in DER.
    pub(crate) certificate: Option<[u8; 32]>,
}

impl<'de> Deserialize<'de> for Confirmation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Methods;

        impl<'de> Visitor<'de> for Methods {
            type Value = Confirmation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a confirmation")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut methods = Vec::new();
                let (mut key, mut certificate) = (None, None);
                while let Some(name) = map.next_key::<String>()? {
                    match &*name {
                        KEY_THUMBPRINT => thumbprint(&mut map, &mut key, JwkThumbprint::parse)?,
                        CERTIFICATE_THUMBPRINT => {
                            thumbprint(&mut map, &mut certificate, base64url::decode_sha256)?;
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                    methods.push(name);
                }
                let binding = Binding {
                    key: key.flatten(),
                    certificate: certificate.flatten(),
                };
                Ok(Confirmation { methods, binding })
            }
        }

        deserializer.deserialize_map(Methods)
    }
}

/// Reads a thumbprint into `found`: `Some(None)` if it is malformed, or occurs again.
fn thumbprint<'de, A: MapAccess<'de>, T>(
    map: &mut A,
    found: &mut Option<Option<T>>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<(), A::Error> {
    let value: Value = map.next_value()?;
    let text = value.as_str().filter(|_| found.is_none());
    *found = Some(text.and_then(parse));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thumbprint_of_a_kind_binds_a_token() {
        let thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        let read = |confirmation: &str| {
            let confirmation: Confirmation = serde_json::from_str(confirmation).unwrap();
            let binding = confirmation.binding;
            [
                binding.key.map(JwkThumbprint::to_text),
                binding.certificate.map(|digest| base64url::encode(&digest)),
            ]
        };
        for (index, (member, disguised)) in
            [("jkt", r"\u006akt"), ("x5t#S256", r"\u0078\u0035t#S256")]
                .into_iter()
                .enumerate()
        {
            let bound = format!(r#"{{"kid":"a","{disguised}":"{thumbprint}"}}"#);
            let mut expected = [None, None];
            expected[index] = Some(thumbprint.to_owned());
            assert_eq!(read(&bound), expected, "{bound}");
            let upper = member.to_uppercase().replace("X5T", "x5T");
            for other in [
                "{}".to_owned(),
                format!(r#"{{"{member}":null}}"#),
                format!(r#"{{"{member}":"x"}}"#),
                format!(r#"{{"{member}":["{thumbprint}"]}}"#),
                format!(r#"{{"{member}":"{thumbprint}","{member}":"{thumbprint}"}}"#),
                format!(r#"{{"{member}":1,"{disguised}":"{thumbprint}"}}"#),
                format!(r#"{{"{upper}":"{thumbprint}"}}"#),
            ] {
                assert_eq!(read(&other), [None, None], "{other}");
            }
        }
    }
}
