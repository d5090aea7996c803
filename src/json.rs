//! Limits the nesting depth of JSON.

use memchr::memchr2;

/// `serde_json` deserialises at most 127 levels, but skips any number of levels in ignored members.
/// Without this limit, the handler's type would decide whether a token is accepted.
const MAX_LEVELS: usize = 127;

/// Whether `json` is not nested deeper than `serde_json` can deserialise. The result is meaningless
/// for invalid JSON.
pub(crate) fn is_shallow(json: &[u8]) -> bool {
    is_shallow_within(json, 0)
}

/// As [`is_shallow`], for JSON inside of `outer` levels of other JSON.
pub(crate) fn is_shallow_within(json: &[u8], outer: usize) -> bool {
    let mut levels = outer;
    let mut rest = json;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'[' | b'{' => {
                levels = levels.saturating_add(1);
                if levels > MAX_LEVELS {
                    return false;
                }
            }
            b']' | b'}' => levels = levels.saturating_sub(1),
            b'"' => rest = after_string(rest),
            _ => {}
        }
    }
    true
}

/// The text after the end of a string.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(place) = memchr2(b'"', b'\\', rest) {
        let is_end = rest.get(place) == Some(&b'"');
        let skipped = if is_end { 1 } else { 2 };
        rest = rest
            .get(place.saturating_add(skipped)..)
            .unwrap_or_default();
        if is_end {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn as_deep_as_serde_json_and_no_deeper() {
        for (open, inner, close) in [
            ("[", "", "]"),
            ("[", r#""[[[[""#, "]"),
            ("[", r#""\\","]]]]""#, "]"),
            (r#"{"":"#, r#""\\\"[{""#, "}"),
            (r#"{"}\"}":"#, "[]", "}"),
            (r#"[{"a":1},"#, "1", "]"),
        ] {
            for levels in [0, 1, 60, 125, 126, 127, 128, 129, 10_000] {
                let json = format!(r#"{}{inner}{}"#, open.repeat(levels), close.repeat(levels));
                let Ok(reads) =
                    serde_json::from_str::<Value>(&json)
                        .map(|_| true)
                        .or_else(|error| match error.to_string() {
                            text if text.contains("recursion") => Ok(false),
                            _ => Err(()),
                        })
                else {
                    continue;
                };
                assert_eq!(is_shallow(json.as_bytes()), reads, "{levels} {open}{inner}");
            }
        }
    }

    #[test]
    fn what_is_no_json_ends_somewhere() {
        for json in ["", "\"", "\"\\", "]]]]", "\"\\\"[", "[\"", "}[{"] {
            assert!(is_shallow(json.as_bytes()), "{json}");
        }
    }
}
