//! The text of a verified token.

use crate::cache::is_same;
use crate::token::{Segments, base64url};

/// The payload, and for the cache the rest of the token. The encoded payload is not kept. To
/// compare a token, its payload is decoded.
#[derive(Clone)]
pub(super) struct TokenText {
    /// The payload, the strings of the claims that have escapes, and the rest of the token.
    text: Box<str>,
    payload_end: u32,
    rest_start: u32,
    rest: Rest,
}

/// The rest of a token, besides its payload.
#[derive(Clone, Copy, PartialEq)]
enum Rest {
    /// The token is not in the cache.
    None,
    /// The header and the signature, as sent.
    Signed {
        header_length: u16,
        /// How many characters `=` the payload has.
        padding: u8,
    },
    /// The whole token: the payload is the issuer's answer.
    #[cfg(feature = "introspection")]
    Opaque,
}

/// A token that the cache keeps.
#[derive(Clone, Copy)]
pub(super) enum SentToken<'a> {
    Signed(Segments<'a>),
    #[cfg(feature = "introspection")]
    Opaque(&'a [u8]),
}

impl TokenText {
    /// The text of a token that the cache does not keep. `None` if it is 4 GiB long.
    pub(super) fn of_payload(mut payload: String, unescaped: &str) -> Option<Self> {
        let payload_end = u32::try_from(payload.len()).ok()?;
        payload.push_str(unescaped);
        Some(Self {
            payload_end,
            rest_start: u32::try_from(payload.len()).ok()?,
            text: payload.into(),
            rest: Rest::None,
        })
    }

    /// The text of a token that the cache keeps. `None` if it is too long for that.
    pub(super) fn of_token(payload: &str, unescaped: &str, token: SentToken<'_>) -> Option<Self> {
        let (parts, rest) = match token {
            SentToken::Signed(segments) => {
                let unpadded = base64url::encoded_length(payload.len());
                let padding = segments.payload.len().checked_sub(unpadded)?;
                let rest = Rest::Signed {
                    header_length: u16::try_from(segments.header.len()).ok()?,
                    padding: u8::try_from(padding).ok()?,
                };
                ([segments.header, segments.signature], rest)
            }
            #[cfg(feature = "introspection")]
            SentToken::Opaque(token) => ([token, &[]], Rest::Opaque),
        };
        let [first, second] = parts.map(|part| str::from_utf8(part).ok());
        let rest_start = payload.len().checked_add(unescaped.len())?;
        Some(Self {
            text: [payload, unescaped, first?, second?].concat().into(),
            payload_end: u32::try_from(payload.len()).ok()?,
            rest_start: u32::try_from(rest_start).ok()?,
            rest,
        })
    }

    /// Whether the token is in the cache, or will be.
    pub(super) fn has_token(&self) -> bool {
        self.rest != Rest::None
    }

    #[inline]
    pub(super) fn payload(&self) -> &str {
        let end = usize::try_from(self.payload_end).ok();
        end.and_then(|end| self.text.get(..end)).unwrap_or_default()
    }

    /// The text that the positions of claims refer to.
    #[inline]
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this is the text of `token`. It takes the same time wherever two tokens of one
    /// length differ.
    #[inline]
    pub(super) fn is_of(&self, token: &[u8]) -> bool {
        match self.rest {
            Rest::None => false,
            Rest::Signed {
                header_length,
                padding,
            } => is_signed(
                token,
                self.rest(),
                header_length.into(),
                self.payload(),
                padding.into(),
            )
            .unwrap_or(false),
            #[cfg(feature = "introspection")]
            Rest::Opaque => is_same(token, self.rest()),
        }
    }

    /// Whether both are of one token.
    pub(super) fn is_of_token_of(&self, other: &Self) -> bool {
        if self.rest != other.rest || self.rest() != other.rest() {
            return false;
        }
        match self.rest {
            Rest::None | Rest::Signed { .. } => self.payload() == other.payload(),
            #[cfg(feature = "introspection")]
            Rest::Opaque => true,
        }
    }

    #[inline]
    fn rest(&self) -> &[u8] {
        let start = usize::try_from(self.rest_start).ok();
        let rest = start.and_then(|start| self.text.as_bytes().get(start..));
        rest.unwrap_or_default()
    }
}

/// Whether `token` has the header and the signature of `rest`, and the payload. `None` if its
/// length differs.
#[inline]
fn is_signed(
    token: &[u8],
    rest: &[u8],
    header_length: usize,
    payload: &str,
    padding: usize,
) -> Option<bool> {
    let (header, signature) = rest.split_at_checked(header_length)?;
    let (sent_header, sent) = token.split_at_checked(header_length)?;
    let (first_dot, sent) = sent.split_first()?;
    let (sent_payload, sent) = sent.split_at_checked(base64url::encoded_length(payload.len()))?;
    let (sent_padding, sent) = sent.split_at_checked(padding)?;
    let (second_dot, sent_signature) = sent.split_first()?;
    let is_padding = sent_padding.iter().all(|byte| *byte == b'=');
    Some(
        is_same(sent_header, header)
            & is_same(sent_signature, signature)
            & is_encoded(sent_payload, payload.as_bytes())
            & ([*first_dot, *second_dot] == *b"..")
            & is_padding,
    )
}

/// Whether `segment` is the encoding of `payload`, which has one.
#[inline]
fn is_encoded(segment: &[u8], payload: &[u8]) -> bool {
    /// Bytes of the payload that are compared at once: whole groups of three.
    const BYTES: usize = 768;
    const CHARACTERS: usize = BYTES / 3 * 4;

    let mut buffer = [0; BYTES];
    let mut is_equal = true;
    for (characters, bytes) in segment.chunks(CHARACTERS).zip(payload.chunks(BYTES)) {
        // An error depends on the request alone, so its time reveals nothing.
        let decoded = base64url::decode_into(characters, &mut buffer);
        is_equal &= decoded.is_ok_and(|decoded| is_same(decoded, bytes));
    }
    is_equal
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text_of(token: &[u8]) -> (TokenText, String) {
        let segments = Segments::split(token, usize::MAX).unwrap();
        let payload = base64url::decode(segments.without_padding().payload).unwrap();
        let payload = String::from_utf8(payload).unwrap();
        let text = TokenText::of_token(&payload, "unescaped", SentToken::Signed(segments));
        (text.unwrap(), payload)
    }

    proptest! {
        #[test]
        fn it_is_of_its_token_alone(
            header in "[A-Za-z0-9_-]{1,90}",
            payload in ".{1,1200}",
            signature in "[A-Za-z0-9_-]{1,350}",
            padded: bool,
            at: prop::sample::Index,
            other: u8,
        ) {
            let encoded = base64url::encode(payload.as_bytes());
            let padding = if padded { (4 - encoded.len() % 4) % 4 } else { 0 };
            let token = format!("{header}.{encoded}{}.{signature}", "=".repeat(padding));
            let (text, kept) = text_of(token.as_bytes());
            prop_assert_eq!(&kept, &payload);
            prop_assert_eq!(text.payload(), payload);
            prop_assert!(text.is_of(token.as_bytes()));
            let mut tampered = token.clone().into_bytes();
            let at = at.index(tampered.len());
            tampered[at] = other;
            prop_assert_eq!(text.is_of(&tampered), tampered == token.as_bytes());
            tampered.remove(at);
            prop_assert!(!text.is_of(&tampered));
            prop_assert!(!text.is_of([token.as_bytes(), b"="].concat().as_slice()));
            prop_assert!(!text.is_of(&token.as_bytes()[1..]));
        }
    }

    #[test]
    fn every_character_counts() {
        let payload = format!(r#"{{"claim":"{}"}}"#, "x".repeat(1600));
        let encoded = base64url::encode(payload.as_bytes());
        let token = format!("header.{encoded}.{}", "s".repeat(86));
        let (text, _) = text_of(token.as_bytes());
        for at in 0..token.len() {
            for other in *b"AQgw_.=" {
                let mut tampered = token.clone().into_bytes();
                tampered[at] = other;
                assert_eq!(text.is_of(&tampered), tampered == token.as_bytes(), "{at}");
            }
        }
    }

    #[test]
    fn a_token_that_is_not_kept_is_no_token() {
        let text = TokenText::of_payload("payload".into(), "").unwrap();
        assert!(!text.is_of(b""));
        assert!(!text.is_of(b"payload"));
    }
}
