//! The back-end of RustCrypto crates and ed25519-dalek. Keys are kept parsed, as in `aws_lc`.

use std::marker::PhantomData;
use std::sync::Arc;

use ::p256::elliptic_curve::sec1::{ModulusSize, ValidatePublicKey};
use ::p256::elliptic_curve::{ALGORITHM_OID, Curve, FieldBytesSize, PublicKey, SecretKey};
use ed25519_dalek as ed25519;
use hmac::{Hmac, Mac};
use rand_core::{OsRng, RngCore};
use rsa::pkcs1::UintRef;
use rsa::pkcs8::spki::AlgorithmIdentifierRef;
use rsa::pkcs8::{AssociatedOid, DecodePrivateKey, PrivateKeyInfo, SubjectPublicKeyInfoRef};
use rsa::signature::{RandomizedSigner, SignatureEncoding, Verifier};
use rsa::traits::PrivateKeyParts;
use rsa::{BigUint, RsaPrivateKey, RsaPublicKey};
use sec1::EcPrivateKey;
use sha2::digest::{Digest, FixedOutputReset, KeyInit};
use sha2::{Sha256, Sha384, Sha512};

use super::bounds::{MAX_RSA_BITS, ec_bounds, ed25519_bounds, rsa_bounds};
use super::signature::{Sign, Signer, SigningFailed, VerifySignature};
use crate::keys::algorithm::Algorithm;
use crate::keys::encoding::{
    EncodedSigningKey, EncodedVerifyingKey, RsaPrivateComponents, without_leading_zeros,
};
use crate::keys::error::KeyError;

type Verify = Arc<dyn VerifySignature>;

/// The library functions of an algorithm.
enum Primitive {
    Hmac(fn(&[u8]) -> Result<Signer, KeyError>),
    Rsa {
        verify: fn(RsaPublicKey) -> Verify,
        sign: fn(RsaPrivateKey) -> Arc<dyn Sign>,
    },
    Ec {
        verifier: fn(&[u8]) -> Result<Verify, KeyError>,
        from_der: fn(&[u8]) -> Result<Signer, KeyError>,
        from_scalar: fn(&[u8], &[u8]) -> Result<Signer, KeyError>,
        generate: fn(OsRng) -> Result<Signer, KeyError>,
    },
    Ed25519,
}

fn primitive(algorithm: Algorithm) -> Primitive {
    match algorithm {
        Algorithm::HS256 => Primitive::Hmac(mac::<Hmac<Sha256>>),
        Algorithm::HS384 => Primitive::Hmac(mac::<Hmac<Sha384>>),
        Algorithm::HS512 => Primitive::Hmac(mac::<Hmac<Sha512>>),
        Algorithm::RS256 => pkcs1::<Sha256>(),
        Algorithm::RS384 => pkcs1::<Sha384>(),
        Algorithm::RS512 => pkcs1::<Sha512>(),
        Algorithm::PS256 => pss::<Sha256>(),
        Algorithm::PS384 => pss::<Sha384>(),
        Algorithm::PS512 => pss::<Sha512>(),
        Algorithm::ES256 => p256::ECDSA,
        Algorithm::ES384 => p384::ECDSA,
        Algorithm::ES512 => p521::ECDSA,
        Algorithm::ES256K => k256::ECDSA,
        Algorithm::EdDSA | Algorithm::Ed25519 => Primitive::Ed25519,
    }
}

pub(crate) fn verifier(
    algorithm: Algorithm,
    encoded: &EncodedVerifyingKey<'_>,
) -> Result<Verify, KeyError> {
    match (primitive(algorithm), encoded) {
        (Primitive::Hmac(mac), EncodedVerifyingKey::Secret(secret)) => Ok(mac(secret)?.verify),
        (Primitive::Rsa { verify, .. }, EncodedVerifyingKey::RsaDer(der)) => {
            let der = subject_public_key(der, rsa::pkcs1::ALGORITHM_ID);
            let key = rsa::pkcs1::RsaPublicKey::try_from(der).map_err(|_| KeyError::Unreadable)?;
            let (n, e) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
            Ok(verify(rsa_public(n, e)?))
        }
        (Primitive::Rsa { verify, .. }, EncodedVerifyingKey::RsaComponents { n, e }) => {
            Ok(verify(rsa_public(n, e)?))
        }
        (Primitive::Ec { verifier, .. }, EncodedVerifyingKey::EcPoint(point)) => verifier(point),
        (Primitive::Ed25519, EncodedVerifyingKey::Ed25519(key)) => ed25519_verifier(key),
        _ => Err(encoded.is_not_for(algorithm)),
    }
}

pub(crate) fn signer(
    algorithm: Algorithm,
    encoded: &EncodedSigningKey<'_>,
) -> Result<Signer, KeyError> {
    match (primitive(algorithm), encoded) {
        (Primitive::Hmac(mac), EncodedSigningKey::Secret(secret)) => mac(secret),
        (Primitive::Rsa { verify, sign }, EncodedSigningKey::Der(der)) => {
            Ok(rsa_signer(rsa_from_der(der)?, verify, sign))
        }
        (Primitive::Rsa { verify, sign }, EncodedSigningKey::RsaComponents(components)) => {
            Ok(rsa_signer(rsa_private(components)?, verify, sign))
        }
        (Primitive::Ec { from_der, .. }, EncodedSigningKey::Der(der)) => from_der(der),
        (Primitive::Ec { from_scalar, .. }, EncodedSigningKey::EcScalar { scalar, point }) => {
            from_scalar(scalar, point)
        }
        (Primitive::Ed25519, EncodedSigningKey::Der(der)) => {
            let key = ed25519::SigningKey::from_pkcs8_der(der);
            ed25519_signer(key.map_err(|_| KeyError::Unreadable)?)
        }
        (Primitive::Ed25519, EncodedSigningKey::Ed25519Seed { seed, public }) => {
            let key = ed25519::SigningKey::try_from(*seed).map_err(|_| KeyError::Unreadable)?;
            if key.verifying_key().as_bytes() != public {
                return Err(KeyError::Unreadable);
            }
            ed25519_signer(key)
        }
        _ => Err(encoded.is_not_for(algorithm)),
    }
}

/// Generates a random key. RSA keys have 2048 bits.
pub(crate) fn generate(algorithm: Algorithm) -> Result<Signer, KeyError> {
    let mut random = randomness().map_err(|_| KeyError::GenerationFailed)?;
    match primitive(algorithm) {
        Primitive::Hmac(mac) => {
            let mut secret = vec![0; algorithm.secret_length()];
            random.fill_bytes(&mut secret);
            mac(&secret)
        }
        Primitive::Rsa { verify, sign } => {
            let key =
                RsaPrivateKey::new(&mut random, 2048).map_err(|_| KeyError::GenerationFailed)?;
            Ok(rsa_signer(key, verify, sign))
        }
        Primitive::Ec { generate, .. } => generate(random),
        Primitive::Ed25519 => ed25519_signer(ed25519::SigningKey::generate(&mut random)),
    }
}

/// The randomness of the operating system. It is checked because its users panic on failure.
fn randomness() -> Result<OsRng, SigningFailed> {
    OsRng
        .try_fill_bytes(&mut [0; 16])
        .map_err(|_| SigningFailed)?;
    Ok(OsRng)
}

/// The key in a SubjectPublicKeyInfo of this algorithm, otherwise the bytes unchanged.
fn subject_public_key<'a>(key: &'a [u8], algorithm: AlgorithmIdentifierRef<'_>) -> &'a [u8] {
    SubjectPublicKeyInfoRef::try_from(key)
        .ok()
        .filter(|info| info.algorithm == algorithm)
        .and_then(|info| info.subject_public_key.as_bytes())
        .unwrap_or(key)
}

/// A key and the type of its signatures.
struct Key<K, S> {
    key: K,
    signature: PhantomData<fn() -> S>,
}

impl<K, S> Key<K, S> {
    fn new(key: K) -> Arc<Self> {
        Arc::new(Self {
            key,
            signature: PhantomData,
        })
    }
}

impl<K: RandomizedSigner<S> + Send + Sync, S: SignatureEncoding> Sign for Key<K, S> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let signature = self.key.try_sign_with_rng(&mut randomness()?, message);
        Ok(signature.map_err(|_| SigningFailed)?.to_vec())
    }
}

impl<K: Verifier<S> + Send + Sync, S: SignatureEncoding> VerifySignature for Key<K, S> {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        S::try_from(signature).is_ok_and(|signature| self.key.verify(message, &signature).is_ok())
    }
}

fn mac<M>(secret: &[u8]) -> Result<Signer, KeyError>
where
    M: Mac + KeyInit + Clone + Send + Sync + 'static,
{
    let key = <M as Mac>::new_from_slice(secret).map_err(|_| KeyError::Unreadable)?;
    let key = Arc::new(KeyedMac(key));
    Ok(Signer {
        sign: Arc::clone(&key) as _,
        verify: key,
        public: None,
    })
}

/// A MAC that has absorbed its key.
struct KeyedMac<M>(M);

impl<M: Mac + Clone + Send + Sync> Sign for KeyedMac<M> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let tag = self.0.clone().chain_update(message).finalize();
        Ok(tag.into_bytes().to_vec())
    }
}

impl<M: Mac + Clone + Send + Sync> VerifySignature for KeyedMac<M> {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        // Compares in constant time and rejects truncated tags.
        let message = self.0.clone().chain_update(message);
        message.verify_slice(signature).is_ok()
    }

    fn mac(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.sign(message).ok()
    }
}

fn pkcs1<D>() -> Primitive
where
    D: Digest + AssociatedOid + Send + Sync + 'static,
{
    use rsa::pkcs1v15::{Signature, SigningKey, VerifyingKey};
    Primitive::Rsa {
        verify: |key| Key::<_, Signature>::new(VerifyingKey::<D>::new(key)),
        sign: |key| Key::<_, Signature>::new(SigningKey::<D>::new(key)),
    }
}

/// The salt is as long as the hash (RFC 7518 §3.5).
fn pss<D>() -> Primitive
where
    D: Digest + FixedOutputReset + Send + Sync + 'static,
{
    use rsa::pss::{BlindedSigningKey, Signature, VerifyingKey};
    Primitive::Rsa {
        verify: |key| {
            let salt = <D as Digest>::output_size();
            Key::<_, Signature>::new(VerifyingKey::<D>::new_with_salt_len(key, salt))
        },
        sign: |key| {
            let salt = <D as Digest>::output_size();
            Key::<_, Signature>::new(BlindedSigningKey::<D>::new_with_salt_len(key, salt))
        },
    }
}

fn rsa_public(n: &[u8], e: &[u8]) -> Result<RsaPublicKey, KeyError> {
    let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
    rsa_bounds(n, e)?;
    let [n, e] = [n, e].map(BigUint::from_bytes_be);
    // The library's default limit is 4096 bits.
    RsaPublicKey::new_with_max_size(n, e, MAX_RSA_BITS).map_err(|_| KeyError::Unreadable)
}

fn rsa_signer(
    key: RsaPrivateKey,
    verify: fn(RsaPublicKey) -> Verify,
    sign: fn(RsaPrivateKey) -> Arc<dyn Sign>,
) -> Signer {
    use rsa::traits::PublicKeyParts;

    let public = EncodedVerifyingKey::RsaComponents {
        n: &key.n().to_bytes_be(),
        e: &key.e().to_bytes_be(),
    }
    .components();
    Signer {
        verify: verify(key.to_public_key()),
        sign: sign(key),
        public,
    }
}

/// Parses PKCS#8 or PKCS#1.
fn rsa_from_der(der: &[u8]) -> Result<RsaPrivateKey, KeyError> {
    use rsa::pkcs1::{ALGORITHM_ID, RsaPrivateKey, Version};

    let der = match PrivateKeyInfo::try_from(der) {
        Ok(info) if info.algorithm == ALGORITHM_ID => info.private_key,
        Ok(_) => return Err(KeyError::Unreadable),
        Err(_) => der,
    };
    let key = RsaPrivateKey::try_from(der).map_err(|_| KeyError::Unreadable)?;
    if key.version() != Version::TwoPrime {
        return Err(KeyError::Unreadable);
    }
    let bytes = |number: UintRef<'_>| number.as_bytes().to_vec();
    rsa_private(&RsaPrivateComponents {
        n: bytes(key.modulus),
        e: bytes(key.public_exponent),
        d: bytes(key.private_exponent),
        p: bytes(key.prime1),
        q: bytes(key.prime2),
        dp: bytes(key.exponent1),
        dq: bytes(key.exponent2),
        qi: bytes(key.coefficient),
    })
}

fn rsa_private(components: &RsaPrivateComponents) -> Result<RsaPrivateKey, KeyError> {
    rsa_bounds(
        without_leading_zeros(&components.n),
        without_leading_zeros(&components.e),
    )?;
    let [n, e, d, p, q, dp, dq, qi] = [
        &components.n,
        &components.e,
        &components.d,
        &components.p,
        &components.q,
        &components.dp,
        &components.dq,
        &components.qi,
    ]
    .map(|number| BigUint::from_bytes_be(number));
    let key = RsaPrivateKey::from_components(n, e, d, vec![p, q]);
    let key = key.map_err(|_| KeyError::Unreadable)?;
    // The library recomputes these. A difference means that the key is damaged.
    let agree = key.dp() == Some(&dp) && key.dq() == Some(&dq) && key.crt_coefficient() == Some(qi);
    agree.then_some(key).ok_or(KeyError::Unreadable)
}

/// Parses PKCS#8 or SEC1.
fn ec_from_der<C>(der: &[u8]) -> Result<SecretKey<C>, KeyError>
where
    C: Curve + AssociatedOid + ValidatePublicKey,
    FieldBytesSize<C>: ModulusSize,
{
    let der = match PrivateKeyInfo::try_from(der) {
        Ok(info) => {
            let ours = info.algorithm.assert_oids(ALGORITHM_OID, C::OID);
            ours.map_err(|_| KeyError::Unreadable)?;
            info.private_key
        }
        Err(_) => der,
    };
    let key = EcPrivateKey::try_from(der).map_err(|_| KeyError::Unreadable)?;
    // The library checks the public key if present, but not the named curve.
    if key
        .parameters
        .is_some_and(|curve| curve.named_curve() != Some(C::OID))
    {
        return Err(KeyError::Unreadable);
    }
    SecretKey::try_from(key).map_err(|_| KeyError::Unreadable)
}

/// ECDSA on one curve, by the crate of the curve.
macro_rules! curve {
    ($library:ident, $curve:ident) => {
        mod $library {
            use ::$library::ecdsa::{Signature, SigningKey, VerifyingKey};
            use ::$library::$curve;

            use super::*;

            pub(super) const ECDSA: Primitive = Primitive::Ec {
                verifier,
                from_der: |der| signer(&ec_from_der(der)?),
                from_scalar,
                generate: |mut random| signer(&SecretKey::random(&mut random)),
            };

            fn verifier(point: &[u8]) -> Result<Verify, KeyError> {
                let point = subject_public_key(
                    point,
                    AlgorithmIdentifierRef {
                        oid: ALGORITHM_OID,
                        parameters: Some((&$curve::OID).into()),
                    },
                );
                ec_bounds(point)?;
                let key = VerifyingKey::from_sec1_bytes(point);
                Ok(Arc::new(Point(key.map_err(|_| KeyError::Unreadable)?)))
            }

            fn signer(secret: &SecretKey<$curve>) -> Result<Signer, KeyError> {
                let key = SigningKey::from_bytes(&secret.to_bytes());
                let key = key.map_err(|_| KeyError::Unreadable)?;
                let verify = VerifyingKey::from(&key);
                let point = verify.to_encoded_point(false);
                Ok(Signer {
                    public: EncodedVerifyingKey::EcPoint(point.as_bytes()).components(),
                    verify: Arc::new(Point(verify)),
                    sign: Key::<_, Signature>::new(key),
                })
            }

            fn from_scalar(scalar: &[u8], point: &[u8]) -> Result<Signer, KeyError> {
                let secret = SecretKey::from_slice(scalar).map_err(|_| KeyError::Unreadable)?;
                let public = PublicKey::from_sec1_bytes(point);
                if public.map_err(|_| KeyError::Unreadable)? != secret.public_key() {
                    return Err(KeyError::Unreadable);
                }
                signer(&secret)
            }

            struct Point(VerifyingKey);

            impl VerifySignature for Point {
                fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
                    let Ok(signature) = Signature::from_slice(signature) else {
                        return false;
                    };
                    // Both s and n - s are valid: RFC 7518 §3.4 requires neither. k256 accepts only
                    // the lower one.
                    let signature = signature.normalize_s().unwrap_or(signature);
                    self.0.verify(message, &signature).is_ok()
                }
            }
        }
    };
}

curve!(p256, NistP256);
curve!(p384, NistP384);
curve!(p521, NistP521);
curve!(k256, Secp256k1);

fn ed25519_verifier(key: &[u8]) -> Result<Verify, KeyError> {
    ed25519_bounds(key)?;
    let key = ed25519::VerifyingKey::try_from(key).map_err(|_| KeyError::Unreadable)?;
    Ok(Arc::new(key))
}

impl VerifySignature for ed25519::VerifyingKey {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        ed25519::Signature::from_slice(signature)
            .is_ok_and(|signature| self.verify_strict(message, &signature).is_ok())
    }
}

fn ed25519_signer(key: ed25519::SigningKey) -> Result<Signer, KeyError> {
    let public = key.verifying_key().to_bytes();
    Ok(Signer {
        sign: Arc::new(key),
        verify: ed25519_verifier(&public)?,
        public: EncodedVerifyingKey::Ed25519(&public).components(),
    })
}

impl Sign for ed25519::SigningKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        use ed25519::ed25519::signature::Signer;
        let signature = self.try_sign(message).map_err(|_| SigningFailed)?;
        Ok(signature.to_vec())
    }
}
