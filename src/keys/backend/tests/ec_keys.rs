//! EC keys.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{
    AsBigEndian, AsDer, EcPrivateKeyBin, EcPrivateKeyRfc5915Der, PublicKeyX509Der,
};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P256K1_SHA256_FIXED_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
};

use super::{check_agreement, signer_error, verifier_error};
use crate::keys::algorithm::Algorithm;
use crate::keys::encoding::{EncodedSigningKey, EncodedVerifyingKey};
use crate::keys::error::KeyError;

pub(super) static EC: LazyLock<[(Algorithm, EcdsaKeyPair); 4]> = LazyLock::new(|| {
    [
        (Algorithm::ES256, &ECDSA_P256_SHA256_FIXED_SIGNING),
        (Algorithm::ES384, &ECDSA_P384_SHA384_FIXED_SIGNING),
        (Algorithm::ES512, &ECDSA_P521_SHA512_FIXED_SIGNING),
        (Algorithm::ES256K, &ECDSA_P256K1_SHA256_FIXED_SIGNING),
    ]
    .map(|(algorithm, curve)| (algorithm, EcdsaKeyPair::generate(curve).unwrap()))
});

pub(super) fn scalar(key: &EcdsaKeyPair) -> Vec<u8> {
    let scalar: EcPrivateKeyBin<'_> = key.private_key().as_be_bytes().unwrap();
    scalar.as_ref().to_vec()
}

pub(super) fn sec1(key: &EcdsaKeyPair) -> Vec<u8> {
    let der: EcPrivateKeyRfc5915Der<'_> = key.private_key().as_der().unwrap();
    der.as_ref().to_vec()
}

/// A compressed point (SEC1 §2.3.3): the sign of y, then x.
fn compressed(point: &[u8]) -> Vec<u8> {
    let x = &point[1..=point.len() / 2];
    [&[2 + point[point.len() - 1] % 2], x].concat()
}

#[test]
fn ecdsa() {
    for (algorithm, key) in &*EC {
        let point = key.public_key().as_ref();
        let info: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        let pkcs8 = key.to_pkcs8v1().unwrap();
        check_agreement(
            *algorithm,
            &[
                EncodedSigningKey::Der(pkcs8.as_ref()),
                EncodedSigningKey::Der(&sec1(key)),
                EncodedSigningKey::EcScalar {
                    scalar: &scalar(key),
                    point,
                },
            ],
            &[
                EncodedVerifyingKey::EcPoint(point),
                EncodedVerifyingKey::EcPoint(info.as_ref()),
                EncodedVerifyingKey::EcPoint(&compressed(point)),
            ],
        );
    }
}

#[test]
fn ecdsa_points_that_are_none() {
    for (algorithm, key) in &*EC {
        let point = key.public_key().as_ref();
        let mut off = point.to_vec();
        off[point.len() - 1] ^= 1;
        // The hybrid (X9.62) and compact forms.
        let hybrid = [&[6 + point[point.len() - 1] % 2], &point[1..]].concat();
        let compact = [&[5], &point[1..=point.len() / 2]].concat();
        for bad in [
            &[][..],
            &[0],
            &[4],
            &off,
            &hybrid,
            &compact,
            &point[1..],
            &point[..point.len() - 1],
            &[point, &[0]].concat(),
            &[&[4][..], &vec![0; point.len() - 1]].concat(),
            &[&[4][..], &vec![0xff; point.len() - 1]].concat(),
        ] {
            let error = verifier_error(*algorithm, &EncodedVerifyingKey::EcPoint(bad));
            assert_eq!(error, Some(KeyError::Unreadable), "{algorithm} {bad:x?}");
        }
        for (other, _) in EC.iter().filter(|(other, _)| other != algorithm) {
            let info: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
            for point in [point, info.as_ref()] {
                let error = verifier_error(*other, &EncodedVerifyingKey::EcPoint(point));
                assert_eq!(error, Some(KeyError::Unreadable), "{algorithm} as {other}");
            }
            // Half of all numbers are an x coordinate on the other curve.
            verifier_error(*other, &EncodedVerifyingKey::EcPoint(&compressed(point)));
        }
    }
}

#[test]
fn ecdsa_private_keys_that_are_none() {
    for (algorithm, key) in &*EC {
        let point = key.public_key().as_ref();
        let good = scalar(key);
        let mut near = good.clone();
        *near.last_mut().unwrap() ^= 1;
        for bad in [&near, &vec![0; good.len()], &vec![0xff; good.len()]] {
            let encoded = EncodedSigningKey::EcScalar { scalar: bad, point };
            let error = signer_error(*algorithm, &encoded);
            assert_eq!(error, Some(KeyError::Unreadable), "{algorithm} {bad:x?}");
        }

        let pkcs8 = key.to_pkcs8v1().unwrap();
        for der in [&sec1(key), pkcs8.as_ref()] {
            assert_eq!(signer_error(*algorithm, &EncodedSigningKey::Der(der)), None);
            // The public key is at the end.
            let mut other_half = der.to_vec();
            *other_half.last_mut().unwrap() ^= 1;
            for bad in [&[][..], &der[..der.len() - 1], &other_half] {
                let error = signer_error(*algorithm, &EncodedSigningKey::Der(bad));
                assert_eq!(error, Some(KeyError::Unreadable), "{algorithm}");
            }
            for (other, _) in EC.iter().filter(|(other, _)| other != algorithm) {
                let error = signer_error(*other, &EncodedSigningKey::Der(der));
                assert_eq!(error, Some(KeyError::Unreadable), "{algorithm} as {other}");
            }
        }
    }
}

/// RFC 5915 allows omitting the public key. Then only the named curve distinguishes two curves of
/// the same size.
#[test]
fn sec1_without_the_public_half() {
    const P256: &[u8] = b"\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
    const K256: &[u8] = b"\xa0\x07\x06\x05\x2b\x81\x04\x00\x0a";
    let der = |curve: &[u8]| {
        let version_and_key = [b"\x02\x01\x01\x04\x20", &[7; 32][..], curve].concat();
        [
            &[0x30, version_and_key.len().try_into().unwrap()],
            &version_and_key[..],
        ]
        .concat()
    };
    for (algorithm, own, other) in [
        (Algorithm::ES256, P256, K256),
        (Algorithm::ES256K, K256, P256),
    ] {
        let of = |curve| signer_error(algorithm, &EncodedSigningKey::Der(&der(curve)));
        assert_eq!(of(own), None, "{algorithm}");
        assert_eq!(of(&[]), None, "{algorithm}");
        assert_eq!(of(other), Some(KeyError::Unreadable), "{algorithm}");
    }
}
