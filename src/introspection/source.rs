//! An issuer that is asked about its tokens.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::memory::{Digest, Outcome};
use super::questions::Questions;
use crate::clock::ClockSource;
use crate::keys::remote::FetchError;
use crate::keys::sha256;

/// An issuer that is asked about its tokens (RFC 7662). Cheap to clone; clones share what they
/// remember.
///
/// See the [module docs](super) for when it is asked.
#[derive(Clone)]
pub struct Introspection(Arc<Questions>);

/// What is known of a token.
pub(crate) enum Found {
    Known(Outcome),
    /// The issuer has to be asked first.
    Unknown(Question),
    /// It has characters that no token has.
    NoToken,
}

/// A question that a token needs before it can be verified.
pub(crate) struct Question {
    questions: Arc<Questions>,
    token: Box<str>,
    digest: Digest,
    clock: ClockSource,
}

impl Question {
    /// Waits for the answer.
    pub(crate) async fn answer(self) -> Outcome {
        let Self {
            questions,
            token,
            digest,
            clock,
        } = self;
        questions.answer(&token, digest, &clock).await
    }
}

impl Introspection {
    pub(super) fn new(questions: Questions) -> Self {
        Self(Arc::new(questions))
    }

    /// The issuer whose tokens these are.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.endpoint.issuer
    }

    /// The state, for monitoring.
    #[must_use]
    pub fn state(&self) -> IntrospectionState {
        let (active, inactive) = self.0.memory.counts();
        IntrospectionState {
            questions: self.0.asked.load(Ordering::Relaxed),
            waiting: self.0.waiting(),
            active,
            inactive,
            last_error: self.0.last_error().clone(),
        }
    }

    /// Whether an active token whose kind is not known may be an access token.
    pub(crate) fn allows_unknown_kind(&self) -> bool {
        self.0.limits.unknown_kind_allowed
    }

    /// What is known of `token` at `now`, a reading of `clock`.
    pub(crate) fn find(&self, token: &[u8], clock: &ClockSource, now: Duration) -> Found {
        let digest = sha256(token).and_then(|digest| Digest::try_from(digest).ok());
        let (Some(token), Some(digest)) = (b64token(token), digest) else {
            return Found::NoToken;
        };
        match self.0.memory.find(&digest, now) {
            Some(outcome) => Found::Known(outcome),
            None => Found::Unknown(Question {
                questions: Arc::clone(&self.0),
                token: token.into(),
                digest,
                clock: clock.clone(),
            }),
        }
    }
}

/// The text of a `b64token` (RFC 6750 §2.1). Other text would reach the issuer's logs and parsers.
fn b64token(token: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(token).ok()?;
    let digits = text.trim_end_matches('=').as_bytes();
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    (!digits.is_empty() && digits.iter().all(is_allowed)).then_some(text)
}

/// The state of an [`Introspection`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IntrospectionState {
    /// The number of questions so far.
    pub questions: u64,
    /// The number of requests that wait for an answer.
    pub waiting: usize,
    /// The number of active tokens in memory. Some may be too old to be used.
    pub active: usize,
    /// The number of other tokens in memory. Some may be too old to be used.
    pub inactive: usize,
    /// The error of the last question, if it failed: its [kind](FetchError::kind), address and
    /// source.
    pub last_error: Option<FetchError>,
}

/// Shows the issuer, the limits and the state, and no token.
impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection")
            .field("issuer", &self.issuer())
            .field("limits", &self.0.limits)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_token_may_be() {
        for token in ["a", "a.b.c", "-._~+/Az09==", "a="] {
            assert_eq!(b64token(token.as_bytes()), Some(token));
        }
        for other in [
            "", "=", "a=b", "a b", "a\n", "a\0", "a\"", "é", "a&b", "%61",
        ] {
            assert_eq!(b64token(other.as_bytes()), None, "{other:?}");
        }
        assert_eq!(b64token(b"a\xff"), None);
    }
}
