//! Nonces (RFC 9449 §8 and §9) that no node has to remember: keyed hashes of the time.

use std::time::Duration;

use subtle::ConstantTimeEq;

use crate::keys::{KeyError, SigningKey};
use crate::token::base64url;

/// Makes and checks nonces. Nodes with one secret accept each other's nonces.
pub(super) struct Nonces(SigningKey);

/// What a proof's nonce is worth.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NonceState {
    Current,
    /// It is still accepted, but the client should use this one next.
    Ending(String),
    /// It is not accepted. The client should use this one.
    Invalid(String),
}

impl Nonces {
    /// 5 minutes. A nonce is accepted for one to two periods. A client with one request a period
    /// always learns the next nonce in time.
    const PERIOD: Duration = Duration::from_secs(5 * 60);

    /// How far the clocks of two nodes may differ: one may issue the next nonce before the other
    /// makes it.
    const CLOCK_DIFFERENCE: Duration = Duration::from_secs(30);

    /// 16 bytes of the hash cannot be guessed, and headers stay short.
    const BYTES: usize = 16;

    pub(super) fn new(secret: &[u8]) -> Result<Self, KeyError> {
        SigningKey::hs256(secret).map(Self)
    }

    /// `None` if the crypto back-end fails.
    pub(super) fn check(&self, nonce: Option<&str>, now: Duration) -> Option<NonceState> {
        let current = self.at(now)?;
        let Some(nonce) = nonce else {
            return Some(NonceState::Invalid(current));
        };
        if is_same(nonce, &current)
            || is_same(nonce, &self.at(now.saturating_add(Self::CLOCK_DIFFERENCE))?)
        {
            return Some(NonceState::Current);
        }
        let previous = now.checked_sub(Self::PERIOD);
        let is_previous = match previous {
            Some(time) => is_same(nonce, &self.at(time)?),
            None => false,
        };
        Some(if is_previous {
            NonceState::Ending(current)
        } else {
            NonceState::Invalid(current)
        })
    }

    /// The nonce of the period around `time`.
    fn at(&self, time: Duration) -> Option<String> {
        // A JWS never begins with these bytes, so no signature of a token can pass for a nonce.
        const PURPOSE: &[u8] = b"tower-jwt-auth DPoP nonce\0";
        let period = time.as_secs().checked_div(Self::PERIOD.as_secs())?;
        let mac = self.0.mac(&[PURPOSE, &period.to_be_bytes()].concat())?;
        Some(base64url::encode(mac.get(..Self::BYTES)?))
    }
}

fn is_same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(all(test, any(feature = "aws_lc_rs", feature = "rust_crypto")))]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_current_then_ending_then_invalid() {
        let nonces = Nonces::new(&[7; 32]).unwrap();
        let other_node = Nonces::new(&[7; 32]).unwrap();
        let start = Duration::from_secs(300 * 1_000_000);
        let nonce = other_node.at(start).unwrap();
        let check = |seconds: u64| {
            let time = start + Duration::from_secs(seconds);
            nonces.check(Some(&nonce), time).unwrap()
        };
        assert_eq!(check(0), NonceState::Current);
        assert_eq!(check(299), NonceState::Current);
        let next = nonces.at(start + Nonces::PERIOD).unwrap();
        assert_eq!(check(300), NonceState::Ending(next.clone()));
        assert_eq!(check(599), NonceState::Ending(next));
        assert!(matches!(check(600), NonceState::Invalid(_)));
        // Another node's clock is ahead by up to 30 seconds.
        let before = |seconds| nonces.check(Some(&nonce), start - Duration::from_secs(seconds));
        assert_eq!(before(30), Some(NonceState::Current));
        assert!(matches!(before(31), Some(NonceState::Invalid(_))));
    }

    #[test]
    fn other_text_is_no_nonce() {
        let nonces = Nonces::new(&[7; 32]).unwrap();
        let now = Duration::from_secs(1_800_000_000);
        let nonce = nonces.at(now).unwrap();
        let others = Nonces::new(&[8; 32]).unwrap().at(now).unwrap();
        for text in [None, Some(""), Some(&*others), Some(&nonce[1..])] {
            let state = nonces.check(text, now);
            assert_eq!(state, Some(NonceState::Invalid(nonce.clone())), "{text:?}");
        }
        assert_eq!(Nonces::new(b"short").err().map(|_| ()), Some(()));
    }
}
