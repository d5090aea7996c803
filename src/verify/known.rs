//! The verifier's side of the [cache](crate::cache): which tokens are kept, and for which keys.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::ring::Epoch;
use super::token::VerifiedToken;
use crate::cache::{Copyable, TokenCache};

/// The tokens that a verifier knows. Clones share them.
#[derive(Clone)]
pub(super) struct KnownTokens {
    /// None are kept if it is 0.
    bytes: usize,
    /// Made with the first token: a chain of builder calls goes through many of these.
    cache: Arc<OnceLock<TokenCache<Known>>>,
}

#[derive(Clone)]
pub(super) struct Known {
    pub(super) token: VerifiedToken,
    /// Of the keys it was verified with.
    pub(super) epoch: Epoch,
    pub(super) span: Span,
}

/// A span of time, from the epoch on, in which a token's times are known to be good.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) from: Duration,
    pub(super) until: Duration,
}

impl Span {
    #[inline]
    pub(super) fn holds(self, now: Duration) -> bool {
        self.from <= now && now < self.until
    }
}

impl Copyable for Known {
    fn apart(&self) -> Self {
        Self {
            token: self.token.apart(),
            epoch: self.epoch,
            span: self.span,
        }
    }
}

/// Where a token is, or would be.
pub(super) struct Place<'a> {
    cache: &'a TokenCache<Known>,
    token: &'a [u8],
}

impl KnownTokens {
    pub(super) fn within(bytes: usize) -> Self {
        Self {
            bytes,
            cache: Arc::default(),
        }
    }

    /// The same settings, and no token.
    pub(super) fn anew(&self) -> Self {
        Self::within(self.bytes)
    }

    /// `None` if it is not kept, whatever comes of it.
    #[inline]
    pub(super) fn place_of<'a>(&'a self, token: &'a [u8]) -> Option<Place<'a>> {
        if self.bytes == 0 || !TokenCache::<Known>::takes(token) {
            return None;
        }
        let cache = self.cache.get_or_init(|| TokenCache::new(self.bytes));
        Some(Place { cache, token })
    }
}

impl Place<'_> {
    #[inline]
    pub(super) fn find(&self) -> Option<Known> {
        self.cache.find(self.token)
    }

    pub(super) fn keep(&self, token: &VerifiedToken, epoch: Epoch, span: Span) {
        let known = Known {
            token: token.clone(),
            epoch,
            span,
        };
        self.cache.keep(self.token, known, token.size());
    }
}

impl fmt::Debug for KnownTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownTokens")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::claims::{NumericDate, Times};
    use crate::clock::ManualClock;
    use crate::keys::SigningKey;
    use crate::verify::Verifier;

    const NOW: u64 = 1_800_000_000;

    impl KnownTokens {
        fn colliding(bytes: usize) -> Self {
            let known = Self::within(bytes);
            let _ = known.cache.set(TokenCache::colliding(bytes));
            known
        }

        fn count(&self) -> usize {
            self.cache.get().map_or(0, TokenCache::count)
        }
    }

    fn key() -> SigningKey {
        SigningKey::hs256([7; 32]).unwrap()
    }

    /// Dates at both ends and in between, with and without a fraction.
    fn date() -> impl Strategy<Value = NumericDate> {
        let second = prop_oneof![0..400_u64, 253_402_300_000..253_402_300_799_u64, Just(NOW)];
        let nanosecond = prop_oneof![Just(0), Just(999_999_999), 0..1_000_000_000_u32];
        (second, nanosecond)
            .prop_map(|(second, nanosecond)| Duration::new(second, nanosecond))
            .prop_map(|date| NumericDate::from_since_epoch(date).unwrap())
    }

    proptest! {
        #[test]
        fn a_span_is_what_is_checked_of_times(
            expires_at in date(),
            not_before in proptest::option::of(date()),
            issued_at in proptest::option::of(date()),
            leeway in prop_oneof![Just(0), Just(300_000), 0..300_000_u64],
            edge in 0..5_usize,
            beyond in prop_oneof![-2..=2_i64, -400_000_000_000..400_000_000_000_i64],
        ) {
            // Such a token is refused for that, whenever it comes.
            prop_assume!(issued_at.is_none_or(|issued_at| issued_at <= expires_at));
            let leeway = Duration::from_millis(leeway);
            let verifier = verifier().leeway(leeway);
            let times = Times { expires_at, not_before, issued_at };
            let start = |date: Option<NumericDate>| {
                date.map_or(Duration::ZERO, |date| date.since_epoch().saturating_sub(leeway))
            };
            let end = expires_at.since_epoch().saturating_add(leeway);
            let edge = [end, start(not_before), start(issued_at), Duration::ZERO, Duration::MAX][edge];
            let by = Duration::from_nanos(beyond.unsigned_abs());
            let now = match beyond {
                ..0 => edge.saturating_sub(by),
                _ => edge.saturating_add(by),
            };
            let checked = verifier.check_times(times, now).is_ok();
            prop_assert_eq!(verifier.span_of(times).holds(now), checked, "{:?}", now);
        }
    }

    fn verifier() -> Verifier {
        Verifier::new(key().verifying_key())
            .issuer("a")
            .audience("api")
            .clock(ManualClock::at(NOW))
    }

    fn claims() -> Value {
        json!({ "iss": "a", "aud": "api", "sub": "me", "exp": NOW + 300 })
    }

    #[test]
    fn nothing_unverified_gets_in() {
        let verifier = verifier();
        let good = key().sign(&claims()).unwrap();
        let (unsigned, _) = good.rsplit_once('.').unwrap();
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            key().sign(&claims).unwrap()
        };
        let stranger = SigningKey::hs256([8; 32]).unwrap();
        let bad = [
            String::new(),
            "a.b.c".into(),
            format!("{unsigned}."),
            format!("{unsigned}.AAAA"),
            format!("{good}="),
            stranger.sign(&claims()).unwrap(),
            with("exp", json!(NOW - 300)),
            with("exp", json!("never")),
            with("nbf", json!(NOW + 300)),
            with("iat", json!(NOW + 300)),
            with("iss", json!("b")),
            with("aud", json!("b")),
            with("events", json!({})),
            with("cnf", json!({ "jkt": "x" })),
        ];
        for token in &bad {
            for _ in 0..100 {
                assert!(verifier.verify(token).is_err(), "{token}");
            }
        }
        assert_eq!(verifier.known.count(), 0);
        verifier.verify(&good).unwrap();
        for token in &bad {
            assert!(verifier.verify(token).is_err(), "{token}");
        }
        assert_eq!(verifier.known.count(), 1);
    }

    #[test]
    fn a_tampered_token_whose_hash_collides_never_hits() {
        let mut verifier = verifier();
        verifier.known = KnownTokens::colliding(1 << 20);
        let token = key().sign(&claims()).unwrap();
        for _ in 0..100 {
            verifier.verify(&token).unwrap();
        }
        for at in 0..token.len() {
            let mut tampered = token.clone();
            tampered.replace_range(at..=at, if &token[at..=at] == "A" { "B" } else { "A" });
            assert!(verifier.verify(&tampered).is_err(), "{at}");
        }
        let mut claims = claims();
        claims["sub"] = json!("she");
        let other = key().sign(&claims).unwrap();
        for _ in 0..100 {
            assert_eq!(verifier.verify(&token).unwrap().subject(), Some("me"));
            assert_eq!(verifier.verify(&other).unwrap().subject(), Some("she"));
        }
        assert_eq!(verifier.known.count(), 2);
    }

    #[test]
    fn an_entry_of_other_keys_does_not_count() {
        let verifier = verifier();
        let token = key().sign(&claims()).unwrap();
        let stale = verifier.verify(&token).unwrap();
        for times in [1, 100] {
            let place = verifier.known.place_of(token.as_bytes()).unwrap();
            place.keep(&stale, Epoch(9), verifier.span_of(stale.times()));
            // Hot, so that copies of it are about.
            for _ in 0..times {
                let _ = place.find();
            }
            let anew = verifier.verify(&token).unwrap();
            assert!(!std::ptr::eq(stale.payload(), anew.payload()));
            assert_eq!(place.find().unwrap().epoch, Epoch::default());
        }
    }

    #[test]
    fn what_a_header_holds_is_reckoned_with() {
        let size = |name: &str| {
            let token = key().with_key_id(name).sign(&claims()).unwrap();
            let known = verifier();
            // The header that is shared is another.
            known.verify(key().sign(&claims()).unwrap()).unwrap();
            known.verify(&token).unwrap().size()
        };
        assert!(size(&"k".repeat(2000)) >= size("k") + 1999);
    }
}
