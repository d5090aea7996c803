//! The header `Client-Cert` of a proxy (RFC 9440).

use base64_simd::STANDARD;
use http::HeaderMap;
use http::header::HeaderName;

pub(super) const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");

/// The longest value, in bytes: as much as common proxies accept for all headers. A certificate
/// with an RSA key has about 2 KiB.
const MAX_LENGTH: usize = 16 * 1024;

/// The header occurs several times, is too long, or is no byte sequence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The certificate in DER. `None` without the header, and for an empty byte sequence: a proxy may
/// write that for a client without a certificate.
pub(super) fn certificate(headers: &HeaderMap) -> Result<Option<Vec<u8>>, Malformed> {
    let mut values = headers.get_all(CLIENT_CERT).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match byte_sequence(value.as_bytes()) {
            Some(der) => Ok(Some(der).filter(|der| !der.is_empty())),
            None => Err(Malformed),
        },
        (Some(_), Some(_)) => Err(Malformed),
    }
}

/// Decodes a byte sequence (RFC 8941 §3.3.5) without parameters. The base64 must be as RFC 8941
/// §4.1.8 writes it, with padding.
fn byte_sequence(value: &[u8]) -> Option<Vec<u8>> {
    if value.len() > MAX_LENGTH {
        return None;
    }
    let text = value.strip_prefix(b":")?.strip_suffix(b":")?;
    STANDARD.decode_to_vec(text).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&[u8]]) -> Result<Option<Vec<u8>>, Malformed> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CLIENT_CERT, HeaderValue::from_bytes(value).unwrap());
        }
        certificate(&headers)
    }

    #[test]
    fn a_byte_sequence_is_a_certificate() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[b"::"]), Ok(None));
        for (value, der) in [
            (&b":MA==:"[..], &b"0"[..]),
            (b":MAA=:", b"0\0"),
            (b":MAAA:", b"0\0\0"),
            (b":+/+/:", b"\xfb\xff\xbf"),
        ] {
            assert_eq!(read(&[value]), Ok(Some(der.to_vec())));
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        for value in [
            &b""[..],
            b":",
            b":::",
            b"MAAA",
            b":MAAA",
            b"MAAA:",
            b"\"MAAA\"",
            b" :MAAA:",
            b":MAAA: ",
            b": MAAA :",
            b":MA AA:",
            b":MA\tAA:",
            b":-_-_:",
            b":MA:",
            b":MA=:",
            b":MA===:",
            b":MB==:",
            b":MAA==:",
            b":====:",
            b":MAAA:;a",
            b":MAAA:;a=1",
            b":MAAA:,:MAAA:",
            b":MAAA:, :MAAA:",
            b"(:MAAA:)",
            b"a=:MAAA:",
            b":MAAA\xff:",
            b"?1",
        ] {
            assert_eq!(read(&[value]), Err(Malformed), "{}", value.escape_ascii());
        }
        assert_eq!(read(&[b":MAAA:", b":MAAA:"]), Err(Malformed));
        assert_eq!(read(&[b"", b":MAAA:"]), Err(Malformed));
        assert_eq!(read(&[b"::", b":MAAA:"]), Err(Malformed));
    }

    #[test]
    fn the_length_is_bounded() {
        let of = |groups: usize| format!(":{}:", "MAAA".repeat(groups));
        let longest = of(MAX_LENGTH / 4 - 1);
        assert_eq!(longest.len(), MAX_LENGTH - 2);
        assert!(read(&[longest.as_bytes()]).is_ok());
        assert_eq!(read(&[of(MAX_LENGTH / 4).as_bytes()]), Err(Malformed));
    }
}
