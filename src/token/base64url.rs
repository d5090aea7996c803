//! Strict base64url (RFC 7515 §2): no padding, no white space, no stray bits.

use base64_simd::{Out, URL_SAFE_NO_PAD};

/// The text is not base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotBase64Url;

pub(crate) fn decode(text: &[u8]) -> Result<Vec<u8>, NotBase64Url> {
    URL_SAFE_NO_PAD
        .decode_to_vec(text)
        .map_err(|_| NotBase64Url)
}

/// Decodes into `buffer`. Text that does not fit is an error.
pub(crate) fn decode_into<'b>(text: &[u8], buffer: &'b mut [u8]) -> Result<&'b [u8], NotBase64Url> {
    let length = URL_SAFE_NO_PAD
        .decoded_length(text)
        .map_err(|_| NotBase64Url)?;
    // `decode` panics when the buffer is too small.
    let out = buffer.get_mut(..length).ok_or(NotBase64Url)?;
    URL_SAFE_NO_PAD
        .decode(text, Out::from_slice(out))
        .map(|bytes| &*bytes)
        .map_err(|_| NotBase64Url)
}

/// Decodes the digest of SHA-256. It has one spelling.
pub(crate) fn decode_sha256(text: &str) -> Option<[u8; 32]> {
    let mut buffer = [0; 32];
    let length = decode_into(text.as_bytes(), &mut buffer).ok()?.len();
    (length == buffer.len()).then_some(buffer)
}

/// Whether the byte is a digit of base64url.
#[cfg(feature = "introspection")]
pub(crate) fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// The number of characters that `length` bytes take.
#[inline]
pub(crate) fn encoded_length(length: usize) -> usize {
    // No payload is so long that this overflows.
    length.saturating_mul(4).div_ceil(3)
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

pub(crate) fn encode_append(bytes: &[u8], text: &mut String) {
    URL_SAFE_NO_PAD.encode_append(bytes, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 4648 §5 written out digit by digit, slow and plain.
    fn reference(text: &[u8]) -> Option<Vec<u8>> {
        let mut bits: Vec<bool> = Vec::new();
        for &character in text {
            let value = match character {
                b'A'..=b'Z' => character - b'A',
                b'a'..=b'z' => character - b'a' + 26,
                b'0'..=b'9' => character - b'0' + 52,
                b'-' => 62,
                b'_' => 63,
                _ => return None,
            };
            bits.extend((0..6).rev().map(|bit| value >> bit & 1 == 1));
        }
        let whole = bits.len() / 8 * 8;
        let stray = &bits[whole..];
        if stray.len() >= 6 || stray.contains(&true) {
            return None;
        }
        let byte = |bits: &[bool]| {
            bits.iter()
                .fold(0u8, |byte, &bit| byte << 1 | u8::from(bit))
        };
        Some(bits[..whole].chunks(8).map(byte).collect())
    }

    proptest! {
        #[test]
        fn agrees_with_the_reference(text in "[A-Za-z0-9_=+/ \n-]{0,90}") {
            prop_assert_eq!(decode(text.as_bytes()).ok(), reference(text.as_bytes()));
        }

        #[test]
        fn agrees_with_the_reference_on_the_alphabet(text in "[A-Za-z0-9_-]{0,90}") {
            let expected = reference(text.as_bytes());
            let mut buffer = [0; 90];
            prop_assert_eq!(decode_into(text.as_bytes(), &mut buffer).ok(), expected.as_deref());
            prop_assert_eq!(decode(text.as_bytes()).ok(), expected);
        }

        #[test]
        fn encoding_is_undone(bytes: Vec<u8>) {
            let text = encode(&bytes);
            prop_assert_eq!(text.len(), encoded_length(bytes.len()));
            prop_assert_eq!(decode(text.as_bytes()), Ok(bytes));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(decode_into(b"AAAA", &mut [0; 2]), Err(NotBase64Url));
        assert_eq!(decode_into(b"AAAA", &mut [0; 3]), Ok(&[0, 0, 0][..]));
    }
}
