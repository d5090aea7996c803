//! RSA keys.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{KeyPair, RsaKeyPair};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey};

use super::{MESSAGE, check_agreement, signer_error, verifier_error, verifiers};
use crate::keys::algorithm::Algorithm;
use crate::keys::encoding::{EncodedSigningKey, EncodedVerifyingKey, RsaPrivateComponents};
use crate::keys::error::KeyError;

const RSA_ALGORITHMS: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

pub(super) static RSA: LazyLock<RsaPrivateKey> =
    LazyLock::new(|| RsaPrivateKey::new(&mut rand_core::OsRng, 2048).unwrap());

pub(super) fn components(key: &RsaPrivateKey) -> RsaPrivateComponents {
    RsaPrivateComponents {
        n: key.n().to_bytes_be(),
        e: key.e().to_bytes_be(),
        d: key.d().to_bytes_be(),
        p: key.primes()[0].to_bytes_be(),
        q: key.primes()[1].to_bytes_be(),
        dp: key.dp().unwrap().to_bytes_be(),
        dq: key.dq().unwrap().to_bytes_be(),
        qi: key.crt_coefficient().unwrap().to_bytes_be(),
    }
}

#[test]
fn rsa() {
    // With 2049 bits, the padded message of PSS is a byte shorter than the modulus.
    for bits in [2048, 2049] {
        let key = RsaPrivateKey::new(&mut rand_core::OsRng, bits).unwrap();
        let pkcs8 = key.to_pkcs8_der().unwrap();
        let pkcs1 = key.to_pkcs1_der().unwrap();
        let theirs = RsaKeyPair::from_pkcs8(pkcs8.as_bytes()).unwrap();
        let public = theirs.public_key();
        let info: PublicKeyX509Der<'_> = public.as_der().unwrap();
        let (n, e) = (key.n().to_bytes_be(), key.e().to_bytes_be());
        for algorithm in RSA_ALGORITHMS {
            check_agreement(
                algorithm,
                &[
                    EncodedSigningKey::Der(pkcs8.as_bytes()),
                    EncodedSigningKey::Der(pkcs1.as_bytes()),
                    EncodedSigningKey::RsaComponents(Box::new(components(&key))),
                ],
                &[
                    EncodedVerifyingKey::RsaDer(public.as_ref()),
                    EncodedVerifyingKey::RsaDer(info.as_ref()),
                    EncodedVerifyingKey::RsaComponents { n: &n, e: &e },
                ],
            );
        }
    }
}

#[test]
fn rsa_salts_of_another_length() {
    use rsa::pss::BlindedSigningKey;
    use rsa::signature::{RandomizedSigner, SignatureEncoding};
    use sha2::Sha256;

    let (n, e) = (RSA.n().to_bytes_be(), RSA.e().to_bytes_be());
    let public = EncodedVerifyingKey::RsaComponents { n: &n, e: &e };
    for salt in [0, 20, 31, 32, 33, 48, 222] {
        let key = BlindedSigningKey::<Sha256>::new_with_salt_len(RSA.clone(), salt);
        let signature = key.sign_with_rng(&mut rand_core::OsRng, MESSAGE).to_vec();
        for verifier in verifiers(Algorithm::PS256, &public) {
            let passes = verifier.unwrap().verify(MESSAGE, &signature);
            assert_eq!(passes, salt == 32, "{salt}");
        }
    }
}

#[test]
fn rsa_public_keys_at_the_bounds() {
    let of = |n: &[u8], e: &[u8]| {
        verifier_error(
            Algorithm::RS256,
            &EncodedVerifyingKey::RsaComponents { n, e },
        )
    };
    let modulus = |bits: usize| {
        let mut n = vec![0xd5; bits.div_ceil(8)];
        n[0] >>= n.len() * 8 - bits;
        n
    };
    const E: [u8; 3] = [1, 0, 1];
    for (bits, expected) in [
        (1024, Some(KeyError::WeakRsa)),
        (2047, Some(KeyError::WeakRsa)),
        (2048, None),
        (3000, None),
        (4096, None),
        (4097, None),
        (8192, None),
        (8193, Some(KeyError::LargeRsa)),
    ] {
        assert_eq!(of(&modulus(bits), &E), expected, "{bits}");
        let padded = [&[0, 0], &modulus(bits)[..]].concat();
        assert_eq!(of(&padded, &[0, 1, 0, 1]), expected, "{bits}");
    }
    let n = modulus(2048);
    for (e, expected) in [
        (&[][..], Some(KeyError::InvalidRsaExponent)),
        (&[0], Some(KeyError::InvalidRsaExponent)),
        (&[1], Some(KeyError::InvalidRsaExponent)),
        (&[2], Some(KeyError::InvalidRsaExponent)),
        (&[3], None),
        (&[1, 0, 0], Some(KeyError::InvalidRsaExponent)),
        (&[1, 0xff, 0xff, 0xff, 0xff], None),
        (&[2, 0, 0, 0, 1], Some(KeyError::InvalidRsaExponent)),
    ] {
        assert_eq!(of(&n, e), expected, "{e:?}");
    }
    let mut even = n;
    *even.last_mut().unwrap() &= 0xfe;
    assert_eq!(of(&even, &E), Some(KeyError::Unreadable));
}

#[test]
fn rsa_encodings_that_are_damaged() {
    let pkcs8 = RSA.to_pkcs8_der().unwrap();
    let pkcs1 = RSA.to_pkcs1_der().unwrap();
    let pair = RsaKeyPair::from_pkcs8(pkcs8.as_bytes()).unwrap();
    let public = pair.public_key().as_ref();
    for der in [
        &[][..],
        &public[1..],
        &public[..public.len() - 1],
        &[public, &[0]].concat(),
    ] {
        let error = verifier_error(Algorithm::RS256, &EncodedVerifyingKey::RsaDer(der));
        assert_eq!(error, Some(KeyError::Unreadable));
    }
    for der in [pkcs1.as_bytes(), pkcs8.as_bytes()] {
        for der in [&der[1..], &der[..der.len() - 1], public] {
            let error = signer_error(Algorithm::RS256, &EncodedSigningKey::Der(der));
            assert_eq!(error, Some(KeyError::Unreadable));
        }
    }
    let of = |spoil: fn(&mut RsaPrivateComponents)| {
        let mut components = components(&RSA);
        spoil(&mut components);
        let encoded = EncodedSigningKey::RsaComponents(Box::new(components));
        signer_error(Algorithm::PS256, &encoded)
    };
    let unreadable = Some(KeyError::Unreadable);
    assert_eq!(of(|_| {}), None);
    assert_eq!(
        of(|key| key.n = key.n[1..].to_vec()),
        Some(KeyError::WeakRsa)
    );
    assert_eq!(
        of(|key| key.e = vec![1]),
        Some(KeyError::InvalidRsaExponent)
    );
    assert_eq!(of(|key| key.e = vec![3]), unreadable);
    assert_eq!(of(|key| key.n[9] ^= 4), unreadable);
    assert_eq!(of(|key| key.d[9] ^= 4), unreadable);
    assert_eq!(of(|key| key.p[9] ^= 4), unreadable);
    assert_eq!(of(|key| key.q[9] ^= 4), unreadable);
    assert_eq!(of(|key| key.dp[9] ^= 4), unreadable);
    assert_eq!(of(|key| key.dq[9] ^= 4), unreadable);
    assert_eq!(of(|key| key.qi[9] ^= 4), unreadable);
    assert_eq!(of(|key| key.q = vec![]), unreadable);
    assert_eq!(
        of(|key| (key.p, key.q) = (key.n.clone(), vec![1])),
        unreadable
    );
}

#[test]
fn rsa_private_keys_under_2048_bits() {
    let small = RsaPrivateKey::new(&mut rand_core::OsRng, 1024).unwrap();
    for der in [
        small.to_pkcs8_der().unwrap().as_bytes(),
        small.to_pkcs1_der().unwrap().as_bytes(),
    ] {
        let error = signer_error(Algorithm::RS256, &EncodedSigningKey::Der(der));
        assert_eq!(error, Some(KeyError::WeakRsa));
    }
}

/// Neither number of a key may have more than 8192 bits.
#[test]
fn rsa_numbers_without_bounds() {
    let huge = BigUint::from_bytes_be(&[0xff; 4096]).to_bytes_be();
    for (n, e) in [(&huge[..], &[3][..]), (&RSA.n().to_bytes_be(), &huge)] {
        let error = verifier_error(
            Algorithm::RS256,
            &EncodedVerifyingKey::RsaComponents { n, e },
        );
        assert!(matches!(
            error,
            Some(KeyError::LargeRsa | KeyError::InvalidRsaExponent)
        ));
    }
}
