//! The interface to the cryptography libraries.
//!
//! A back-end parses a key once, into a verifier or a signer. It also enforces `bounds`, because it
//! can parse the encodings.
//!
//! The back-end is chosen at compile time: `aws_lc` if it is enabled, otherwise `rust_crypto`. The
//! process-wide provider of `jsonwebtoken` is not used: other crates may set it, and it panics if
//! both back-ends are enabled.

#[cfg(feature = "aws_lc_rs")]
mod aws_lc;
#[cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
mod bounds;
mod digest;
#[cfg(not(any(feature = "aws_lc_rs", feature = "rust_crypto")))]
mod none;
// If both are enabled, only the tests use this one.
#[cfg(all(feature = "rust_crypto", any(test, not(feature = "aws_lc_rs"))))]
mod rust_crypto;
mod signature;

#[cfg(all(test, feature = "aws_lc_rs", feature = "rust_crypto"))]
mod tests;

pub(super) use digest::sha1;
pub(crate) use digest::sha256;
pub(super) use signature::{Sign, Signer, VerifySignature};

#[cfg(feature = "aws_lc_rs")]
pub(crate) use aws_lc::{generate, signer, verifier};

#[cfg(all(feature = "rust_crypto", not(feature = "aws_lc_rs")))]
pub(crate) use rust_crypto::{generate, signer, verifier};

#[cfg(not(any(feature = "aws_lc_rs", feature = "rust_crypto")))]
pub(crate) use none::{generate, signer, verifier};
