//! Requirements that every back-end enforces, whatever its library accepts.

use crate::keys::error::KeyError;

/// The maximum length of an RSA modulus in bits.
pub(super) const MAX_RSA_BITS: usize = 8192;

/// Checks the modulus and the exponent: big-endian numbers without leading zeros.
pub(super) fn rsa_bounds(n: &[u8], e: &[u8]) -> Result<(), KeyError> {
    let bits = |number: &[u8]| match number.first() {
        None => 0,
        Some(first) => number
            .len()
            .saturating_mul(8)
            .saturating_sub(usize::try_from(first.leading_zeros()).unwrap_or(0)),
    };
    if bits(n) < 2048 {
        return Err(KeyError::WeakRsa);
    }
    if bits(n) > MAX_RSA_BITS {
        return Err(KeyError::LargeRsa);
    }
    let odd = e.last().is_some_and(|last| last & 1 == 1);
    if !odd || bits(e) < 2 || bits(e) > 33 {
        return Err(KeyError::InvalidRsaExponent);
    }
    // A product of two odd primes is odd.
    if n.last().is_some_and(|last| last & 1 == 0) {
        return Err(KeyError::Unreadable);
    }
    Ok(())
}

/// Rejects the hybrid and compact forms, which RFC 5480 §2.2 excludes and some libraries accept.
pub(super) fn ec_bounds(point: &[u8]) -> Result<(), KeyError> {
    match point.first() {
        Some(5..=7) => Err(KeyError::Unreadable),
        _ => Ok(()),
    }
}

/// Rejects points of low order, for which anybody can forge signatures. `key` has the 32 bytes of
/// RFC 8032 §5.1.5.
pub(super) fn ed25519_bounds(key: &[u8]) -> Result<(), KeyError> {
    /// The y coordinates, without the sign bit, of the points whose order divides 8. Some are not
    /// canonical.
    const LOW_ORDER: [[u8; 32]; 7] = [
        [0; 32],
        first_and_rest(0x01, 0x00, 0x00),
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
        first_and_rest(0xec, 0xff, 0x7f),
        first_and_rest(0xed, 0xff, 0x7f),
        first_and_rest(0xee, 0xff, 0x7f),
    ];

    let mut y = <[u8; 32]>::try_from(key).map_err(|_| KeyError::Unreadable)?;
    if let Some(sign) = y.last_mut() {
        *sign &= 0x7f;
    }
    if LOW_ORDER.contains(&y) {
        return Err(KeyError::LowOrder);
    }
    Ok(())
}

/// `first`, then 30 times `middle`, then `last`.
const fn first_and_rest(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}
