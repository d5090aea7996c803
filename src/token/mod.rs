//! Splits untrusted bytes into segments and reads the header. Verifies nothing.

pub(crate) mod base64url;
mod header;
mod jwk_thumbprint;
mod thumbprints;

pub(crate) use header::{HeaderFault, JoseHeader, is_media_type};
pub(crate) use jwk_thumbprint::JwkThumbprint;
pub(crate) use thumbprints::Thumbprints;

use memchr::memchr;

/// The three segments of a JWS in compact serialization (RFC 7515 §3.1), still encoded.
#[derive(Clone, Copy)]
pub(crate) struct Segments<'a> {
    pub(crate) header: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) signature: &'a [u8],
    /// Header and payload with the dot between them: what is signed (RFC 7515 §5.2).
    pub(crate) signing_input: &'a [u8],
}

/// Why bytes are not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShapeFault {
    TooLong,
    /// Not exactly three segments, or one of them is empty.
    Segments,
    /// Five segments: a JWE (RFC 7516 §3.1), which this crate does not decrypt.
    Encrypted,
}

impl<'a> Segments<'a> {
    /// Splits `token`. The length is checked first, so that the work is bounded.
    pub(crate) fn split(token: &'a [u8], max_length: usize) -> Result<Self, ShapeFault> {
        if token.len() > max_length {
            return Err(ShapeFault::TooLong);
        }
        let (header, rest) = split_at_dot(token).ok_or(ShapeFault::Segments)?;
        let (payload, signature) = split_at_dot(rest).ok_or(ShapeFault::Segments)?;
        if let Some((_, more)) = split_at_dot(signature) {
            let dots = memchr::memchr_iter(b'.', more).count();
            return Err(match dots {
                1 => ShapeFault::Encrypted,
                _ => ShapeFault::Segments,
            });
        }
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(ShapeFault::Segments);
        }
        let signed = token
            .len()
            .saturating_sub(signature.len().saturating_add(1));
        let signing_input = token.get(..signed).ok_or(ShapeFault::Segments)?;
        Ok(Self {
            header,
            payload,
            signature,
            signing_input,
        })
    }
}

impl<'a> Segments<'a> {
    /// Removes correct padding (RFC 4648 §3.2) from the segments. What is signed stays as it is.
    ///
    /// Wrong padding stays too: then the segment is not base64url.
    pub(crate) fn without_padding(self) -> Self {
        Self {
            header: unpadded(self.header),
            payload: unpadded(self.payload),
            signature: unpadded(self.signature),
            ..self
        }
    }
}

fn unpadded(segment: &[u8]) -> &[u8] {
    let text = segment
        .strip_suffix(b"==")
        .or_else(|| segment.strip_suffix(b"="));
    // A padded segment is whole groups of four, and the last group has at least two digits.
    text.filter(|_| segment.len().is_multiple_of(4))
        .unwrap_or(segment)
}

#[inline]
fn split_at_dot(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, from_dot) = bytes.split_at_checked(memchr(b'.', bytes)?)?;
    Some((before, from_dot.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_segments_and_what_is_signed() {
        let segments = Segments::split(b"aa.bbb.c", 100).unwrap();
        assert_eq!(segments.header, b"aa");
        assert_eq!(segments.payload, b"bbb");
        assert_eq!(segments.signature, b"c");
        assert_eq!(segments.signing_input, b"aa.bbb");
    }

    #[test]
    fn only_correct_padding_is_removed() {
        for (segment, text) in [
            ("QQ==", "QQ"),
            ("QUI=", "QUI"),
            ("QUJD", "QUJD"),
            ("QUJDRA==", "QUJDRA"),
            ("QQ", "QQ"),
            ("QQ=", "QQ="),
            ("QUI==", "QUI=="),
            ("Q===", "Q="),
            ("=", "="),
            ("====", "=="),
            ("QQ==QQ==", "QQ==QQ"),
        ] {
            assert_eq!(unpadded(segment.as_bytes()), text.as_bytes(), "{segment}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let fault = |token: &[u8]| Segments::split(token, 20).err();
        for token in [
            "",
            "a",
            "a.b",
            "a.b.c.d",
            "a.b.c.d.e.f",
            "..",
            ".b.c",
            "a..c",
            "a.b.",
        ] {
            assert_eq!(
                fault(token.as_bytes()),
                Some(ShapeFault::Segments),
                "{token}"
            );
        }
        assert_eq!(fault(b"a.b.c.d.e"), Some(ShapeFault::Encrypted));
        assert_eq!(fault(b"...."), Some(ShapeFault::Encrypted));
        assert_eq!(fault(&[b'.'; 21]), Some(ShapeFault::TooLong));
    }
}
