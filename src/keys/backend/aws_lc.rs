//! The back-end aws-lc-rs.
//!
//! Keys are kept parsed: parsing an RSA key takes a seventh of the time of a verification.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self as aws, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, ParsedPublicKey,
    RsaEncoding, RsaKeyPair, RsaParameters, RsaPublicKeyComponents, RsaSubjectPublicKey,
    VerificationAlgorithm,
};
use aws_lc_rs::{hmac, rsa};

use super::bounds::{ec_bounds, ed25519_bounds, rsa_bounds};
use super::signature::{Sign, Signer, SigningFailed, VerifySignature};
use crate::keys::algorithm::Algorithm;
use crate::keys::encoding::{
    EncodedSigningKey, EncodedVerifyingKey, RsaPrivateComponents, without_leading_zeros,
};
use crate::keys::error::KeyError;

/// The library's names for the parts of an algorithm.
enum Primitive {
    Hmac(hmac::Algorithm),
    Rsa(&'static RsaParameters, &'static dyn RsaEncoding),
    Ec(
        &'static dyn VerificationAlgorithm,
        &'static EcdsaSigningAlgorithm,
    ),
    Ed25519,
}

fn primitive(algorithm: Algorithm) -> Primitive {
    use Primitive::{Ec, Hmac, Rsa};
    match algorithm {
        Algorithm::HS256 => Hmac(hmac::HMAC_SHA256),
        Algorithm::HS384 => Hmac(hmac::HMAC_SHA384),
        Algorithm::HS512 => Hmac(hmac::HMAC_SHA512),
        Algorithm::RS256 => Rsa(&aws::RSA_PKCS1_2048_8192_SHA256, &aws::RSA_PKCS1_SHA256),
        Algorithm::RS384 => Rsa(&aws::RSA_PKCS1_2048_8192_SHA384, &aws::RSA_PKCS1_SHA384),
        Algorithm::RS512 => Rsa(&aws::RSA_PKCS1_2048_8192_SHA512, &aws::RSA_PKCS1_SHA512),
        Algorithm::PS256 => Rsa(&aws::RSA_PSS_2048_8192_SHA256, &aws::RSA_PSS_SHA256),
        Algorithm::PS384 => Rsa(&aws::RSA_PSS_2048_8192_SHA384, &aws::RSA_PSS_SHA384),
        Algorithm::PS512 => Rsa(&aws::RSA_PSS_2048_8192_SHA512, &aws::RSA_PSS_SHA512),
        Algorithm::ES256 => Ec(
            &aws::ECDSA_P256_SHA256_FIXED,
            &aws::ECDSA_P256_SHA256_FIXED_SIGNING,
        ),
        Algorithm::ES384 => Ec(
            &aws::ECDSA_P384_SHA384_FIXED,
            &aws::ECDSA_P384_SHA384_FIXED_SIGNING,
        ),
        Algorithm::ES512 => Ec(
            &aws::ECDSA_P521_SHA512_FIXED,
            &aws::ECDSA_P521_SHA512_FIXED_SIGNING,
        ),
        Algorithm::ES256K => Ec(
            &aws::ECDSA_P256K1_SHA256_FIXED,
            &aws::ECDSA_P256K1_SHA256_FIXED_SIGNING,
        ),
        Algorithm::EdDSA | Algorithm::Ed25519 => Primitive::Ed25519,
    }
}

pub(crate) fn verifier(
    algorithm: Algorithm,
    encoded: &EncodedVerifyingKey<'_>,
) -> Result<Arc<dyn VerifySignature>, KeyError> {
    let parse = |algorithm: &'static dyn VerificationAlgorithm, bytes: &[u8]| {
        ParsedPublicKey::new(algorithm, bytes).map_err(|_| KeyError::Unreadable)
    };
    let key = match (primitive(algorithm), encoded) {
        (Primitive::Hmac(hash), EncodedVerifyingKey::Secret(secret)) => {
            return Ok(Arc::new(Mac(hmac::Key::new(hash, secret))));
        }
        (Primitive::Rsa(parameters, _), EncodedVerifyingKey::RsaDer(der)) => {
            let key = RsaSubjectPublicKey::from_der(der).map_err(|_| KeyError::Unreadable)?;
            let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(&key);
            rsa_bounds(&n, &e)?;
            parse(parameters, der)?
        }
        (Primitive::Rsa(parameters, _), EncodedVerifyingKey::RsaComponents { n, e }) => {
            let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
            rsa_bounds(n, e)?;
            RsaPublicKeyComponents { n, e }
                .to_parsed_public_key(parameters)
                .map_err(|_| KeyError::Unreadable)?
        }
        (Primitive::Ec(curve, _), EncodedVerifyingKey::EcPoint(point)) => {
            ec_bounds(point)?;
            parse(curve, point)?
        }
        (Primitive::Ed25519, EncodedVerifyingKey::Ed25519(key)) => {
            ed25519_bounds(key)?;
            parse(&aws::ED25519, key)?
        }
        _ => return Err(encoded.is_not_for(algorithm)),
    };
    Ok(Arc::new(key))
}

/// Signs and verifies: HMAC verifies by computing the MAC again.
struct Mac(hmac::Key);

impl VerifySignature for Mac {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        // Compares in constant time and rejects truncated tags.
        hmac::verify(&self.0, message, signature).is_ok()
    }

    fn mac(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.sign(message).ok()
    }
}

impl VerifySignature for ParsedPublicKey {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verify_sig(message, signature).is_ok()
    }
}

pub(crate) fn signer(
    algorithm: Algorithm,
    encoded: &EncodedSigningKey<'_>,
) -> Result<Signer, KeyError> {
    match (primitive(algorithm), encoded) {
        (Primitive::Hmac(hash), EncodedSigningKey::Secret(secret)) => {
            Ok(mac(hmac::Key::new(hash, secret)))
        }
        (Primitive::Rsa(_, encoding), EncodedSigningKey::Der(der)) => {
            let key = match RsaKeyPair::from_der(der).map_err(rsa_rejected) {
                Err(KeyError::Unreadable) => RsaKeyPair::from_pkcs8(der).map_err(rsa_rejected),
                read => read,
            };
            rsa(algorithm, key?, encoding)
        }
        (Primitive::Rsa(_, encoding), EncodedSigningKey::RsaComponents(components)) => {
            rsa(algorithm, rsa_key_pair(components)?, encoding)
        }
        (Primitive::Ec(_, curve), EncodedSigningKey::Der(der)) => {
            let key = EcdsaKeyPair::from_private_key_der(curve, der);
            ec(algorithm, key.map_err(|_| KeyError::Unreadable)?)
        }
        (Primitive::Ec(_, curve), EncodedSigningKey::EcScalar { scalar, point }) => {
            let key = EcdsaKeyPair::from_private_key_and_public_key(curve, scalar, point);
            ec(algorithm, key.map_err(|_| KeyError::Unreadable)?)
        }
        (Primitive::Ed25519, EncodedSigningKey::Der(der)) => ed25519(
            algorithm,
            Ed25519KeyPair::from_pkcs8(der).map_err(|_| KeyError::Unreadable)?,
        ),
        (Primitive::Ed25519, EncodedSigningKey::Ed25519Seed { seed, public }) => {
            let key = Ed25519KeyPair::from_seed_and_public_key(seed, public);
            ed25519(algorithm, key.map_err(|_| KeyError::Unreadable)?)
        }
        _ => Err(encoded.is_not_for(algorithm)),
    }
}

/// Generates a random key. RSA keys have 2048 bits.
pub(crate) fn generate(algorithm: Algorithm) -> Result<Signer, KeyError> {
    match primitive(algorithm) {
        Primitive::Hmac(hash) => {
            let mut secret = vec![0; algorithm.secret_length()];
            aws_lc_rs::rand::fill(&mut secret).map_err(|_| KeyError::GenerationFailed)?;
            Ok(mac(hmac::Key::new(hash, &secret)))
        }
        Primitive::Rsa(_, encoding) => {
            let key = RsaKeyPair::generate(rsa::KeySize::Rsa2048);
            rsa(
                algorithm,
                key.map_err(|_| KeyError::GenerationFailed)?,
                encoding,
            )
        }
        Primitive::Ec(_, curve) => {
            let key = EcdsaKeyPair::generate(curve);
            ec(algorithm, key.map_err(|_| KeyError::GenerationFailed)?)
        }
        Primitive::Ed25519 => {
            let key = Ed25519KeyPair::generate();
            ed25519(algorithm, key.map_err(|_| KeyError::GenerationFailed)?)
        }
    }
}

fn mac(key: hmac::Key) -> Signer {
    let key = Arc::new(Mac(key));
    Signer {
        sign: Arc::clone(&key) as _,
        verify: key,
        public: None,
    }
}

impl Sign for Mac {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

struct Rsa {
    key: RsaKeyPair,
    encoding: &'static dyn RsaEncoding,
}

fn rsa(
    algorithm: Algorithm,
    key: RsaKeyPair,
    encoding: &'static dyn RsaEncoding,
) -> Result<Signer, KeyError> {
    let public = EncodedVerifyingKey::RsaDer(key.public_key().as_ref());
    let (verify, public) = (verifier(algorithm, &public)?, public.components());
    Ok(Signer {
        sign: Arc::new(Rsa { key, encoding }),
        verify,
        public,
    })
}

fn rsa_key_pair(components: &RsaPrivateComponents) -> Result<RsaKeyPair, KeyError> {
    let (n, e) = (
        without_leading_zeros(&components.n),
        without_leading_zeros(&components.e),
    );
    rsa_bounds(n, e)?;
    RsaKeyPair::from_components(&rsa::KeyPairComponents {
        public_key: RsaPublicKeyComponents { n, e },
        d: components.d.as_slice(),
        p: components.p.as_slice(),
        q: components.q.as_slice(),
        dP: components.dp.as_slice(),
        dQ: components.dq.as_slice(),
        qInv: components.qi.as_slice(),
    })
    .map_err(rsa_rejected)
}

fn rsa_rejected(error: aws_lc_rs::error::KeyRejected) -> KeyError {
    match error.to_string().as_str() {
        "TooSmall" => KeyError::WeakRsa,
        "TooLarge" => KeyError::LargeRsa,
        _ => KeyError::Unreadable,
    }
}

impl Sign for Rsa {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(self.encoding, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| SigningFailed)?;
        Ok(signature)
    }
}

fn ec(algorithm: Algorithm, key: EcdsaKeyPair) -> Result<Signer, KeyError> {
    let public = EncodedVerifyingKey::EcPoint(key.public_key().as_ref());
    let (verify, public) = (verifier(algorithm, &public)?, public.components());
    Ok(Signer {
        sign: Arc::new(key),
        verify,
        public,
    })
}

impl Sign for EcdsaKeyPair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let signature = EcdsaKeyPair::sign(self, &SystemRandom::new(), message);
        Ok(signature.map_err(|_| SigningFailed)?.as_ref().to_vec())
    }
}

fn ed25519(algorithm: Algorithm, key: Ed25519KeyPair) -> Result<Signer, KeyError> {
    let public = EncodedVerifyingKey::Ed25519(key.public_key().as_ref());
    let (verify, public) = (verifier(algorithm, &public)?, public.components());
    Ok(Signer {
        sign: Arc::new(key),
        verify,
        public,
    })
}

impl Sign for Ed25519KeyPair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let signature = self.try_sign(message).map_err(|_| SigningFailed)?;
        Ok(signature.as_ref().to_vec())
    }
}
