//! Refresh tokens: session ID, counter and a MAC over both.
//!
//! A refresh token is not a JWT, so it cannot be used as an access token, nor the reverse.

use std::fmt;

use super::session_id::SessionId;
use crate::keys::{Algorithm, KeyError, SigningKey};
use crate::token::base64url;

/// The secrets that authenticate refresh tokens: the current one, and previous ones that are
/// still accepted.
///
/// Use another secret than for access tokens: if one leaks, the other stays safe.
///
/// ```
/// use tower_jwt_auth::session::RefreshKeys;
///
/// # let (this_year, last_year) = ([1; 32], [2; 32]);
/// let keys = RefreshKeys::new(this_year)?.previous(last_year)?;
/// # Ok::<_, tower_jwt_auth::keys::KeyError>(())
/// ```
#[derive(Clone)]
pub struct RefreshKeys {
    current: SigningKey,
    previous: Vec<SigningKey>,
}

impl RefreshKeys {
    /// Creates keys from a secret of at least 32 bytes.
    ///
    /// # Errors
    ///
    /// As [`SigningKey::hs256`].
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Ok(Self {
            current: SigningKey::hs256(secret)?,
            previous: Vec::new(),
        })
    }

    /// Creates keys from a random secret. Refresh tokens become invalid when the process ends.
    ///
    /// # Errors
    ///
    /// As [`SigningKey::generate`].
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self {
            current: SigningKey::generate(Algorithm::HS256)?,
            previous: Vec::new(),
        })
    }

    /// Adds a previous secret: its refresh tokens are still accepted, but it issues no new ones.
    ///
    /// Keep a previous secret for the [idle lifetime](super::Sessions::idle_lifetime) of sessions.
    ///
    /// # Errors
    ///
    /// As [`SigningKey::hs256`].
    pub fn previous(mut self, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        self.previous.push(SigningKey::hs256(secret)?);
        Ok(self)
    }

    /// Encodes a refresh token. Equal contents give equal tokens.
    pub(super) fn encode(&self, contents: RefreshTokenContents) -> Option<String> {
        let mut bytes = Vec::with_capacity(TOKEN_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&contents.sid.to_bytes());
        bytes.extend_from_slice(&contents.counter.to_be_bytes());
        let mac = self.current.mac(&mac_input(&bytes))?;
        bytes.extend_from_slice(&mac);
        Some(base64url::encode(&bytes))
    }

    /// Verifies a refresh token with any of the keys. `None` if none authenticates it.
    pub(super) fn verify(&self, token: &str) -> Option<RefreshTokenContents> {
        let mut buffer = [0; TOKEN_BYTES];
        if token.len() != TOKEN_CHARACTERS {
            return None;
        }
        let bytes = base64url::decode_into(token.as_bytes(), &mut buffer).ok()?;
        let (message, mac) = bytes.split_at_checked(MESSAGE_BYTES)?;
        let (version, rest) = message.split_first()?;
        let (sid, counter) = rest.split_first_chunk()?;
        let counter = counter.first_chunk()?;
        let input = mac_input(message);
        let is_authentic = std::iter::once(&self.current)
            .chain(&self.previous)
            .any(|key| key.verifying_key().verifies(&input, mac));
        (*version == VERSION && is_authentic).then(|| RefreshTokenContents {
            sid: SessionId::from_bytes(*sid),
            counter: u64::from_be_bytes(*counter),
        })
    }
}

/// Shows the number of previous secrets, but no secret.
impl fmt::Debug for RefreshKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshKeys")
            .field("previous", &self.previous.len())
            .finish_non_exhaustive()
    }
}

/// The contents of an authentic refresh token.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct RefreshTokenContents {
    pub(super) sid: SessionId,
    pub(super) counter: u64,
}

const VERSION: u8 = 1;
/// Version, session ID and counter.
const MESSAGE_BYTES: usize = 1 + 16 + 8;
/// The message and 32 bytes of HMAC-SHA-256.
const TOKEN_BYTES: usize = MESSAGE_BYTES + 32;
/// The length of a token in base64url.
const TOKEN_CHARACTERS: usize = 76;

/// The input of the MAC. A JWS never starts with this prefix. So no signature of a JWT can pass
/// for this MAC, even if the secret also signs JWTs.
fn mac_input(message: &[u8]) -> Vec<u8> {
    [b"tower-jwt-auth refresh token\0", message].concat()
}

#[cfg(all(test, any(feature = "aws_lc_rs", feature = "rust_crypto")))]
mod tests {
    use super::*;

    fn contents(counter: u64) -> RefreshTokenContents {
        RefreshTokenContents {
            sid: SessionId::from_bytes([7; 16]),
            counter,
        }
    }

    #[test]
    fn a_token_decodes_as_it_was_encoded() {
        let keys = RefreshKeys::new([1; 32]).unwrap();
        for counter in [0, 1, u64::MAX] {
            let token = keys.encode(contents(counter)).unwrap();
            assert_eq!(token.len(), TOKEN_CHARACTERS);
            assert_eq!(keys.encode(contents(counter)).unwrap(), token);
            assert_eq!(keys.verify(&token), Some(contents(counter)));
        }
    }

    #[test]
    fn l11_a_changed_token_is_rejected() {
        let keys = RefreshKeys::new([1; 32]).unwrap();
        let token = keys.encode(contents(5)).unwrap();
        for index in 0..token.len() {
            for other in [b'A', b'B', b'-', b'=', b' '] {
                let mut changed = token.clone().into_bytes();
                if changed[index] == other {
                    continue;
                }
                changed[index] = other;
                assert_eq!(keys.verify(&String::from_utf8(changed).unwrap()), None);
            }
        }
        for text in ["", "a", &token[1..], &format!("{token}A")] {
            assert_eq!(keys.verify(text), None, "{text}");
        }
        let others = RefreshKeys::new([2; 32]).unwrap();
        assert_eq!(others.verify(&token), None);
    }

    #[test]
    fn previous_secrets_verify_and_issue_nothing() {
        let old = RefreshKeys::new([1; 32]).unwrap();
        let new = RefreshKeys::new([2; 32])
            .unwrap()
            .previous([1; 32])
            .unwrap();
        let token = old.encode(contents(5)).unwrap();
        assert_eq!(new.verify(&token), Some(contents(5)));
        let token = new.encode(contents(5)).unwrap();
        assert_eq!(old.verify(&token), None);
    }
}
