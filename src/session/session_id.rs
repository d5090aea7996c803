//! The ID of a session.

use std::fmt;

use crate::token::base64url;

/// The ID of a session: 128 random bits.
///
/// As text, and as the claim `sid` of access tokens, it has 22 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; Self::BYTES]);

impl SessionId {
    const BYTES: usize = 16;
    const CHARACTERS: usize = 22;

    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut id = [0; Self::BYTES];
        getrandom::fill(&mut id)?;
        Ok(Self(id))
    }

    /// Parses the claim `sid` of an access token. `None` if it is not the ID of a session.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != Self::CHARACTERS {
            return None;
        }
        let mut id = [0; Self::BYTES];
        base64url::decode_into(text.as_bytes(), &mut id).ok()?;
        Some(Self(id))
    }

    /// The ID as bytes, for a store.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Creates an ID from the bytes that a store has kept.
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

/// Hides the ID: it is the value of a claim.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_parsed_as_it_was_written() {
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
