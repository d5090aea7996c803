//! The refresh token: no JWT, so that neither can stand in for the other.

use std::fmt;

use crate::keys::{Algorithm, KeyError, SigningKey};
use crate::token::base64url;

/// The id of a session: 128 random bits. As text, and as the `sid` of access tokens, 22 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// A new random id.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        Ok(Self(id))
    }

    /// Reads `sid` of an access token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 16];
        // 22 characters make 16 bytes; the buffer must hold what they could at most.
        let mut buffer = [0; 24];
        if text.len() != 22 {
            return None;
        }
        let bytes = base64url::decode_into(text.as_bytes(), &mut buffer).ok()?;
        id.copy_from_slice(bytes.get(..16)?);
        Some(Self(id))
    }

    /// The id as bytes, for a store.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The id that a store kept.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

/// Shows nothing: it is the value of a claim.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// The secrets that refresh tokens are authenticated with: one that makes them, and older ones that still count.
///
/// Not the key of access tokens: whoever learns one must not be able to make the other.
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
    /// A secret of at least 32 bytes.
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

    /// A new random secret. Refresh tokens then do not outlive the process.
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

    /// Also accepts tokens made with an older secret. Keep it for as long as a session may lie idle.
    ///
    /// # Errors
    ///
    /// As [`SigningKey::hs256`].
    pub fn previous(mut self, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        self.previous.push(SigningKey::hs256(secret)?);
        Ok(self)
    }

    /// The token for this state of a session. The same whoever asks, and however often.
    pub(super) fn token(&self, presented: Presented) -> Option<String> {
        let mut bytes = Vec::with_capacity(TOKEN_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&presented.sid.0);
        bytes.extend_from_slice(&presented.counter.to_be_bytes());
        let mac = self.current.mac(&mac_input(&bytes))?;
        bytes.extend_from_slice(&mac);
        Some(base64url::encode(&bytes))
    }

    /// Reads a token that one of the keys made.
    pub(super) fn read(&self, token: &str) -> Option<Presented> {
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
        let authentic = std::iter::once(&self.current)
            .chain(&self.previous)
            .any(|key| key.verifying_key().verifies(&input, mac));
        (*version == VERSION && authentic).then(|| Presented {
            sid: SessionId(*sid),
            counter: u64::from_be_bytes(*counter),
        })
    }
}

/// Shows how many secrets there are.
impl fmt::Debug for RefreshKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshKeys")
            .field("previous", &self.previous.len())
            .finish_non_exhaustive()
    }
}

/// What an authentic refresh token says.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Presented {
    pub(super) sid: SessionId,
    pub(super) counter: u64,
}

const VERSION: u8 = 1;
/// Version, session and counter.
const MESSAGE_BYTES: usize = 1 + 16 + 8;
/// And 32 bytes of HMAC-SHA-256.
const TOKEN_BYTES: usize = MESSAGE_BYTES + 32;
/// In base64url.
const TOKEN_CHARACTERS: usize = 76;

/// What is authenticated. A secret that signs JWTs too would never sign this: a JWS begins with its header.
fn mac_input(message: &[u8]) -> Vec<u8> {
    [b"tower-jwt-auth refresh token\0", message].concat()
}

#[cfg(all(test, any(feature = "aws_lc_rs", feature = "rust_crypto")))]
mod tests {
    use super::*;

    fn presented(counter: u64) -> Presented {
        Presented {
            sid: SessionId([7; 16]),
            counter,
        }
    }

    #[test]
    fn a_token_is_read_as_it_was_made() {
        let keys = RefreshKeys::new([1; 32]).unwrap();
        for counter in [0, 1, u64::MAX] {
            let token = keys.token(presented(counter)).unwrap();
            assert_eq!(token.len(), TOKEN_CHARACTERS);
            assert_eq!(keys.token(presented(counter)).unwrap(), token);
            assert_eq!(keys.read(&token), Some(presented(counter)));
        }
    }

    #[test]
    fn l11_a_changed_token_is_no_token() {
        let keys = RefreshKeys::new([1; 32]).unwrap();
        let token = keys.token(presented(5)).unwrap();
        for index in 0..token.len() {
            for other in [b'A', b'B', b'-', b'=', b' '] {
                let mut changed = token.clone().into_bytes();
                if changed[index] == other {
                    continue;
                }
                changed[index] = other;
                assert_eq!(keys.read(&String::from_utf8(changed).unwrap()), None);
            }
        }
        for text in ["", "a", &token[1..], &format!("{token}A")] {
            assert_eq!(keys.read(text), None, "{text}");
        }
        let others = RefreshKeys::new([2; 32]).unwrap();
        assert_eq!(others.read(&token), None);
    }

    #[test]
    fn older_secrets_still_count_and_make_nothing() {
        let old = RefreshKeys::new([1; 32]).unwrap();
        let new = RefreshKeys::new([2; 32])
            .unwrap()
            .previous([1; 32])
            .unwrap();
        let token = old.token(presented(5)).unwrap();
        assert_eq!(new.read(&token), Some(presented(5)));
        let token = new.token(presented(5)).unwrap();
        assert_eq!(old.read(&token), None);
    }

    #[test]
    fn an_id_is_written_as_it_is_read() {
        let id = SessionId::random().unwrap();
        assert_eq!(SessionId::parse(&id.to_string()), Some(id));
        assert_eq!(SessionId::from_bytes(id.to_bytes()), id);
        for text in [
            "",
            "a",
            "AAAAAAAAAAAAAAAAAAAAAB",
            "AAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
    }
}
