//! Ed25519 keys.

use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

use super::{check_agreement, signer_error, verifier_error};
use crate::keys::algorithm::Algorithm;
use crate::keys::encoding::{EncodedSigningKey, EncodedVerifyingKey};
use crate::keys::error::KeyError;

#[test]
fn ed25519() {
    let key = Ed25519KeyPair::generate().unwrap();
    let public = key.public_key().as_ref();
    let seed: Curve25519SeedBin<'_> = key.seed().unwrap().as_be_bytes().unwrap();
    let (v1, v2) = (key.to_pkcs8v1().unwrap(), key.to_pkcs8().unwrap());
    for algorithm in [Algorithm::EdDSA, Algorithm::Ed25519] {
        check_agreement(
            algorithm,
            &[
                EncodedSigningKey::Der(v1.as_ref()),
                EncodedSigningKey::Der(v2.as_ref()),
                EncodedSigningKey::Ed25519Seed {
                    seed: seed.as_ref(),
                    public,
                },
            ],
            &[EncodedVerifyingKey::Ed25519(public)],
        );
    }

    let mut other = public.to_vec();
    other[0] ^= 1;
    for (seed, public) in [
        (seed.as_ref(), &other[..]),
        (seed.as_ref(), &public[1..]),
        (&seed.as_ref()[1..], public),
        (&[7; 32], public),
    ] {
        let encoded = EncodedSigningKey::Ed25519Seed { seed, public };
        let error = signer_error(Algorithm::EdDSA, &encoded);
        assert_eq!(error, Some(KeyError::Unreadable));
    }
    let der = v2.as_ref();
    let mut other_half = der.to_vec();
    *other_half.last_mut().unwrap() ^= 1;
    for bad in [&[][..], &der[..der.len() - 1], &other_half, seed.as_ref()] {
        let error = signer_error(Algorithm::EdDSA, &EncodedSigningKey::Der(bad));
        assert_eq!(error, Some(KeyError::Unreadable));
    }
}

#[test]
fn ed25519_public_keys_of_low_order() {
    let of = |key: &[u8]| verifier_error(Algorithm::EdDSA, &EncodedVerifyingKey::Ed25519(key));
    for sign in [0, 0x80] {
        for (first, middle, last) in [
            (0, 0, 0),
            (1, 0, 0),
            (0xec, 0xff, 0x7f),
            (0xed, 0xff, 0x7f),
            (0xee, 0xff, 0x7f),
        ] {
            let mut key = [middle; 32];
            (key[0], key[31]) = (first, last | sign);
            assert_eq!(of(&key), Some(KeyError::LowOrder), "{key:x?}");
        }
    }
    for length in [0, 1, 31, 33, 64] {
        assert_eq!(of(&vec![9; length]), Some(KeyError::Unreadable), "{length}");
    }
}
