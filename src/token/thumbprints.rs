//! The thumbprints of a certificate, as a header or a JWK names it.

use serde::Deserialize;
use serde_json::Value;

use super::base64url;

/// `x5t` and `x5t#S256` (RFC 7515 §4.1.7, §4.1.8; RFC 7517 §4.8, §4.9). At least one is present.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Thumbprints {
    pub(crate) sha1: Option<Box<str>>,
    pub(crate) sha256: Option<Box<str>>,
}

impl Thumbprints {
    /// Reads the members of a JSON object. An empty one, or one that is no string, is absent.
    pub(crate) fn read(json: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Members {
            #[serde(default)]
            x5t: Value,
            #[serde(default, rename = "x5t#S256")]
            x5t_s256: Value,
        }

        let members: Members = serde_json::from_slice(json).ok()?;
        let [sha1, sha256] = [members.x5t, members.x5t_s256].map(|member| {
            let text = member.as_str().filter(|text| !text.is_empty());
            text.map(Box::from)
        });
        (sha1.is_some() || sha256.is_some()).then_some(Self { sha1, sha256 })
    }

    /// Whether they are of the same certificate: one is equal, character by character, and none
    /// differs.
    pub(crate) fn match_those_of(&self, other: &Self) -> bool {
        let mut both = self.pairs(other).peekable();
        both.peek().is_some() && both.all(|(one, other)| one == other)
    }

    /// Whether they are of different certificates: one differs. The same digest in hexadecimal
    /// digits, as some issuers write it, does not count as different.
    pub(crate) fn contradict(&self, other: &Self) -> bool {
        self.pairs(other).any(|(one, other)| {
            one != other && !is_in_hexadecimal(one, other) && !is_in_hexadecimal(other, one)
        })
    }

    /// The thumbprints that both have.
    fn pairs<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = [(&self.sha256, &other.sha256), (&self.sha1, &other.sha1)];
        let both = |(one, other): (&'a Option<Box<str>>, &'a Option<Box<str>>)| {
            Some((one.as_deref()?, other.as_deref()?))
        };
        pairs.into_iter().filter_map(both)
    }
}

/// Whether `text` is the digest of `thumbprint` in hexadecimal digits, themselves in base64url or
/// not.
fn is_in_hexadecimal(text: &str, thumbprint: &str) -> bool {
    // Of SHA-256 at most: the text of a header may be long, and no signature was verified yet.
    const MAX_LENGTH: usize = 43;
    if thumbprint.len() > MAX_LENGTH {
        return false;
    }
    let Ok(digest) = base64url::decode(thumbprint.as_bytes()) else {
        return false;
    };
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    text.eq_ignore_ascii_case(&digits)
        || base64url::decode(text.as_bytes())
            .is_ok_and(|inner| inner.eq_ignore_ascii_case(digits.as_bytes()))
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
            // Without a pair they neither match nor contradict each other.
            let has_pair = one.pairs(&other).next().is_some();
            assert_eq!(one.contradict(&other), has_pair && !expected);
            assert_eq!(other.contradict(&one), has_pair && !expected);
        }
    }

    #[test]
    fn hexadecimal_digits_of_the_same_digest_do_not_contradict_it() {
        let of = |sha1: &str| Thumbprints {
            sha1: Some(sha1.into()),
            sha256: None,
        };
        let thumbprint = base64url::encode(&[0xab; 20]);
        let digits = "aB".repeat(20);
        for same in [digits.clone(), base64url::encode(digits.as_bytes())] {
            for (one, other) in [(&same, &thumbprint), (&thumbprint, &same)] {
                assert!(!of(one).contradict(&of(other)), "{one}");
                assert!(!of(one).match_those_of(&of(other)), "{one}");
            }
        }
        for other in ["AC".repeat(20), "AB".repeat(19), "AB".repeat(21)] {
            for other in [base64url::encode(other.as_bytes()), other] {
                assert!(of(&other).contradict(&of(&thumbprint)), "{other}");
                assert!(of(&thumbprint).contradict(&of(&other)), "{other}");
            }
        }
    }

    #[test]
    fn a_member_of_the_wrong_type_is_absent() {
        let half = Thumbprints::read(br#"{"x5t":5,"x5t#S256":"a"}"#).unwrap();
        assert_eq!((half.sha1, half.sha256.as_deref()), (None, Some("a")));
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
