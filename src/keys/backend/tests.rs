//! Both back-ends accept the same keys and verify each other's signatures.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics fails"
)]

use std::sync::{Arc, LazyLock};

use aws_lc_rs::encoding::{AsBigEndian, AsDer};
use aws_lc_rs::encoding::{Curve25519SeedBin, EcPrivateKeyBin, EcPrivateKeyRfc5915Der};
use aws_lc_rs::encoding::{Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P256K1_SHA256_FIXED_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RsaKeyPair,
};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey};

use super::signature::{Signer, VerifySignature};
use super::{aws_lc, rust_crypto};
use crate::keys::algorithm::Algorithm;
use crate::keys::encoding::{EncodedSigningKey, EncodedVerifyingKey, RsaPrivateComponents};
use crate::keys::error::KeyError;

const MESSAGE: &[u8] = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9";

fn verifiers(
    algorithm: Algorithm,
    encoded: &EncodedVerifyingKey<'_>,
) -> [Result<Arc<dyn VerifySignature>, KeyError>; 2] {
    [
        aws_lc::verifier(algorithm, encoded),
        rust_crypto::verifier(algorithm, encoded),
    ]
}

fn signers(algorithm: Algorithm, encoded: &EncodedSigningKey<'_>) -> [Result<Signer, KeyError>; 2] {
    [
        aws_lc::signer(algorithm, encoded),
        rust_crypto::signer(algorithm, encoded),
    ]
}

/// The error of both back-ends for a public key.
#[track_caller]
fn verifier_error(algorithm: Algorithm, encoded: &EncodedVerifyingKey<'_>) -> Option<KeyError> {
    let [one, other] = verifiers(algorithm, encoded).map(Result::err);
    assert_eq!(one, other, "{algorithm}");
    one
}

/// The error of both back-ends for a private key.
#[track_caller]
fn signer_error(algorithm: Algorithm, encoded: &EncodedSigningKey<'_>) -> Option<KeyError> {
    let [one, other] = signers(algorithm, encoded).map(Result::err);
    assert_eq!(one, other, "{algorithm}");
    one
}

/// Every verifier accepts the signature of every signer. Modified messages and signatures are
/// rejected.
fn check_agreement(
    algorithm: Algorithm,
    private: &[EncodedSigningKey<'_>],
    public: &[EncodedVerifyingKey<'_>],
) {
    let signers: Vec<Signer> = private
        .iter()
        .flat_map(|encoded| signers(algorithm, encoded))
        .map(|signer| signer.unwrap())
        .chain([aws_lc::generate, rust_crypto::generate].map(|new| new(algorithm).unwrap()))
        .collect();
    let (ours, new) = signers.split_at(signers.len() - 2);
    let verifiers: Vec<_> = public
        .iter()
        .flat_map(|encoded| verifiers(algorithm, encoded))
        .map(|verifier| verifier.unwrap())
        .chain(ours.iter().map(|signer| Arc::clone(&signer.verify)))
        .collect();
    for signer in ours {
        let signature = signer.sign.sign(MESSAGE).unwrap();
        for verifier in &verifiers {
            assert!(verifier.verify(MESSAGE, &signature), "{algorithm}");
        }
    }
    for (signer, verifier) in [(0, 1), (1, 0), (0, 0)] {
        let signature = ours[signer].sign.sign(MESSAGE).unwrap();
        check_rejections(algorithm, &*verifiers[verifier], &signature);
    }
    for signer in new {
        let signature = signer.sign.sign(MESSAGE).unwrap();
        assert!(signer.verify.verify(MESSAGE, &signature), "{algorithm}");
        assert!(!verifiers[0].verify(MESSAGE, &signature), "{algorithm}");
        assert!(!verifiers[1].verify(MESSAGE, &signature), "{algorithm}");
    }
}

fn check_rejections(algorithm: Algorithm, verifier: &dyn VerifySignature, signature: &[u8]) {
    for at in 0..signature.len() {
        let mut other = signature.to_vec();
        other[at] ^= 1 << (at % 8);
        assert!(!verifier.verify(MESSAGE, &other), "{algorithm}: {at}");
    }
    for at in 0..MESSAGE.len() {
        let mut other = MESSAGE.to_vec();
        other[at] ^= 1 << (at % 8);
        assert!(!verifier.verify(&other, signature), "{algorithm}: {at}");
    }
    let length = signature.len();
    for other in [
        &signature[1..],
        &signature[..length - 1],
        &signature[..length / 2],
        &[],
        &[&[0], signature].concat(),
        &[signature, &[0]].concat(),
        &vec![0; length],
        &vec![0xff; length],
    ] {
        assert!(!verifier.verify(MESSAGE, other), "{algorithm}");
    }
}

#[test]
fn hmac() {
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        // HMAC hashes a secret that is longer than a block first.
        for length in [algorithm.secret_length(), 64, 65, 128, 129, 1000] {
            let secret = vec![0xa5; length];
            check_agreement(
                algorithm,
                &[EncodedSigningKey::Secret(&secret)],
                &[EncodedVerifyingKey::Secret(&secret)],
            );
        }
    }
}

const RSA_ALGORITHMS: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

static RSA: LazyLock<RsaPrivateKey> =
    LazyLock::new(|| RsaPrivateKey::new(&mut rand_core::OsRng, 2048).unwrap());

fn components(key: &RsaPrivateKey) -> RsaPrivateComponents {
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

static EC: LazyLock<[(Algorithm, EcdsaKeyPair); 4]> = LazyLock::new(|| {
    [
        (Algorithm::ES256, &ECDSA_P256_SHA256_FIXED_SIGNING),
        (Algorithm::ES384, &ECDSA_P384_SHA384_FIXED_SIGNING),
        (Algorithm::ES512, &ECDSA_P521_SHA512_FIXED_SIGNING),
        (Algorithm::ES256K, &ECDSA_P256K1_SHA256_FIXED_SIGNING),
    ]
    .map(|(algorithm, curve)| (algorithm, EcdsaKeyPair::generate(curve).unwrap()))
});

fn scalar(key: &EcdsaKeyPair) -> Vec<u8> {
    let scalar: EcPrivateKeyBin<'_> = key.private_key().as_be_bytes().unwrap();
    scalar.as_ref().to_vec()
}

fn sec1(key: &EcdsaKeyPair) -> Vec<u8> {
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

/// The keys are valid, but their encodings name RSASSA-PSS (RFC 4055), P-192 and X25519.
#[test]
fn encodings_that_name_another_algorithm() {
    let renamed = |der: &[u8], name: &[u8], last: u8| {
        let at = memchr::memmem::find(der, name).unwrap() + name.len() - 1;
        let mut der = der.to_vec();
        der[at] = last;
        der
    };
    let pkcs8 = RSA.to_pkcs8_der().unwrap();
    let pair = RsaKeyPair::from_pkcs8(pkcs8.as_bytes()).unwrap();
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let (es256, ec) = &EC[0];
    let of_rsa: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let of_ec: PublicKeyX509Der<'_> = ec.public_key().as_der().unwrap();
    let of_ed25519: PublicKeyX509Der<'_> = ed25519.public_key().as_der().unwrap();
    const RSA_NAME: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    const EC_NAME: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";
    const ED25519_NAME: &[u8] = b"\x2b\x65\x70";

    let unreadable = Some(KeyError::Unreadable);
    let der = renamed(of_rsa.as_ref(), RSA_NAME, 10);
    let error = verifier_error(Algorithm::RS256, &EncodedVerifyingKey::RsaDer(&der));
    assert_eq!(error, unreadable);
    let der = renamed(of_ec.as_ref(), EC_NAME, 1);
    let error = verifier_error(*es256, &EncodedVerifyingKey::EcPoint(&der));
    assert_eq!(error, unreadable);
    let der = renamed(of_ed25519.as_ref(), ED25519_NAME, 0x6e);
    let error = verifier_error(Algorithm::EdDSA, &EncodedVerifyingKey::Ed25519(&der));
    assert_eq!(error, unreadable);

    let der = renamed(pkcs8.as_bytes(), RSA_NAME, 10);
    let error = signer_error(Algorithm::RS256, &EncodedSigningKey::Der(&der));
    assert_eq!(error, unreadable);
    let der = renamed(ec.to_pkcs8v1().unwrap().as_ref(), EC_NAME, 1);
    assert_eq!(
        signer_error(*es256, &EncodedSigningKey::Der(&der)),
        unreadable
    );
    let der = renamed(ed25519.to_pkcs8v1().unwrap().as_ref(), ED25519_NAME, 0x6e);
    let error = signer_error(Algorithm::EdDSA, &EncodedSigningKey::Der(&der));
    assert_eq!(error, unreadable);
}

/// The back-ends differ in two cases, where aws-lc-rs accepts more. One is a key that is not a
/// point: then no signature is valid. The other is trailing bytes after a private key.
#[test]
fn what_only_aws_lc_rs_takes() {
    // This y does not have an x.
    let mut key = [0; 32];
    key[0] = 2;
    let [aws_lc, rust_crypto] = verifiers(Algorithm::EdDSA, &EncodedVerifyingKey::Ed25519(&key));
    let aws_lc = aws_lc.unwrap();
    for signature in [[0; 64], [1; 64]] {
        assert!(!aws_lc.verify(MESSAGE, &signature));
    }
    assert_eq!(rust_crypto.err(), Some(KeyError::Unreadable));

    let pkcs8 = RSA.to_pkcs8_der().unwrap();
    let pkcs1 = RSA.to_pkcs1_der().unwrap();
    let (algorithm, ec) = &EC[0];
    for (algorithm, der) in [
        (Algorithm::RS256, pkcs8.as_bytes()),
        (Algorithm::RS256, pkcs1.as_bytes()),
        (*algorithm, &sec1(ec)),
        (*algorithm, ec.to_pkcs8v1().unwrap().as_ref()),
    ] {
        let longer = [der, &[0]].concat();
        let [aws_lc, rust_crypto] = signers(algorithm, &EncodedSigningKey::Der(&longer));
        assert!(aws_lc.is_ok());
        assert_eq!(rust_crypto.err(), Some(KeyError::Unreadable));
    }
}

#[test]
fn keys_of_another_kind() {
    let (n, e) = (RSA.n().to_bytes_be(), RSA.e().to_bytes_be());
    let pkcs8 = RSA.to_pkcs8_der().unwrap();
    let pair = RsaKeyPair::from_pkcs8(pkcs8.as_bytes()).unwrap();
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let ec = &EC[0].1;
    let ed25519_der: Pkcs8V1Der<'_> = ed25519.as_der().unwrap();
    let ec_der = ec.to_pkcs8v1().unwrap();
    let public = [
        EncodedVerifyingKey::Secret(&[7; 64]),
        EncodedVerifyingKey::RsaDer(pair.public_key().as_ref()),
        EncodedVerifyingKey::RsaComponents { n: &n, e: &e },
        EncodedVerifyingKey::EcPoint(ec.public_key().as_ref()),
        EncodedVerifyingKey::Ed25519(ed25519.public_key().as_ref()),
    ];
    let private = [
        EncodedSigningKey::Secret(&[7; 64]),
        EncodedSigningKey::Der(pkcs8.as_bytes()),
        EncodedSigningKey::Der(ec_der.as_ref()),
        EncodedSigningKey::Der(ed25519_der.as_ref()),
        EncodedSigningKey::RsaComponents(Box::new(components(&RSA))),
        EncodedSigningKey::EcScalar {
            scalar: &scalar(ec),
            point: ec.public_key().as_ref(),
        },
        EncodedSigningKey::Ed25519Seed {
            seed: &[7; 32],
            public: ed25519.public_key().as_ref(),
        },
    ];
    for algorithm in Algorithm::ALL {
        for encoded in &public {
            verifier_error(algorithm, encoded);
        }
        for encoded in &private {
            signer_error(algorithm, encoded);
        }
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
