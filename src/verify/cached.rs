//! The verifier's side of the [token cache](crate::cache): which tokens it keeps, and for which
//! keys.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::token::VerifiedToken;
use crate::cache::TokenCache;

/// The tokens that a verifier has verified. Clones share them.
#[derive(Clone)]
pub(super) struct VerifiedTokens {
    /// No token is kept if it is 0.
    bytes: usize,
    /// Made with the first token: a chain of builder calls drops many of these.
    cache: Arc<OnceLock<TokenCache<VerifiedToken>>>,
}

/// Where a token is in the cache, or would be.
pub(super) struct Slot<'a> {
    cache: &'a TokenCache<VerifiedToken>,
    token: &'a [u8],
}

impl VerifiedTokens {
    pub(super) fn within(bytes: usize) -> Self {
        Self {
            bytes,
            cache: Arc::default(),
        }
    }

    /// An empty cache of the same size.
    pub(super) fn emptied(&self) -> Self {
        Self::within(self.bytes)
    }

    /// `None` if this token is never kept.
    #[inline]
    pub(super) fn slot<'a>(&'a self, token: &'a [u8]) -> Option<Slot<'a>> {
        if self.bytes == 0 || !TokenCache::<VerifiedToken>::accepts(token) {
            return None;
        }
        let cache = self.cache.get_or_init(|| TokenCache::new(self.bytes));
        Some(Slot { cache, token })
    }
}

impl Slot<'_> {
    #[inline]
    pub(super) fn find(&self) -> Option<VerifiedToken> {
        self.cache.find(self.token)
    }

    pub(super) fn keep(&self, token: VerifiedToken) {
        self.cache.keep(self.token, token);
    }
}

impl fmt::Debug for VerifiedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedTokens")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::cache::Cached;
    use crate::claims::RegisteredClaims;
    use crate::clock::ManualClock;
    use crate::keys::SigningKey;
    use crate::verify::Verifier;
    use crate::verify::keys_version::KeysVersion;

    const NOW: u64 = 1_800_000_000;

    impl VerifiedTokens {
        fn colliding(bytes: usize) -> Self {
            let tokens = Self::within(bytes);
            let _ = tokens.cache.set(TokenCache::colliding(bytes));
            tokens
        }

        fn count(&self) -> usize {
            self.cache.get().map_or(0, TokenCache::count)
        }
    }

    fn key() -> SigningKey {
        SigningKey::hs256([7; 32]).unwrap()
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
        assert_eq!(verifier.cache.count(), 0);
        verifier.verify(&good).unwrap();
        for token in &bad {
            assert!(verifier.verify(token).is_err(), "{token}");
        }
        assert_eq!(verifier.cache.count(), 1);
    }

    #[test]
    fn a_tampered_token_whose_hash_collides_never_hits() {
        let mut verifier = verifier();
        verifier.cache = VerifiedTokens::colliding(1 << 20);
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
        assert_eq!(verifier.cache.count(), 2);
    }

    #[test]
    fn an_entry_of_other_keys_does_not_count() {
        let verifier = verifier();
        let token = key().sign(&claims()).unwrap();
        let stale = verifier.verify(&token).unwrap();
        for times in [1, 100] {
            let slot = verifier.cache.slot(token.as_bytes()).unwrap();
            slot.keep(stale.with_keys_version(9).unwrap());
            // Hot, so that copies of it are about.
            for _ in 0..times {
                let _ = slot.find();
            }
            let anew = verifier.verify(&token).unwrap();
            assert!(!std::ptr::eq(stale.payload(), anew.payload()));
            assert_eq!(slot.find().unwrap().keys_version(), KeysVersion::default());
        }
    }

    /// Ten short fields.
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only their memory matters")]
    struct Fields {
        iss: String,
        sub: String,
        aud: String,
        exp: u64,
        iat: u64,
        jti: String,
        client_id: String,
        tenant: u32,
        email_verified: bool,
        scope: String,
    }

    #[test]
    fn a_hot_copy_reserves_what_was_learned_since() {
        let verifier = verifier().cache(1 << 20);
        let verify = |roles: usize| {
            let mut claims = claims();
            claims["roles"] = vec!["reader"; roles].into();
            verifier.verify(key().sign(&claims).unwrap()).unwrap()
        };
        // A struct takes less of its payload's largest size than a `Value`.
        verify(0).claims::<RegisteredClaims>().unwrap();
        let large = verify(30);
        large.claims::<Value>().unwrap();
        let size_within = |max_size| large.deep_clone(max_size).map(|copy| copy.size());
        assert!(size_within(usize::MAX).unwrap() > large.size());
        assert_eq!(size_within(large.size()), Some(large.size()));
        assert_eq!(size_within(100), None);
    }

    #[test]
    fn three_thousand_tokens_are_held_in_four_mebibytes() {
        let verifier = verifier().cache(4 << 20);
        let decode = |token: &str| verifier.verify(token).unwrap().claims::<Fields>().unwrap();
        let tokens: Vec<_> = (0..3_000)
            .map(|number| {
                let claims = json!({
                    "iss": "a", "sub": format!("user {number:06}"), "aud": "api",
                    "exp": NOW + 300, "iat": NOW, "jti": format!("{}{number:06}", "j".repeat(30)),
                    "client_id": "web", "tenant": number % 100, "email_verified": true,
                    "scope": "openid profile email notes:read notes:write offline_access and more",
                });
                key().sign(&claims).unwrap()
            })
            .collect();
        for token in &tokens {
            decode(token);
        }
        assert!(verifier.cache.count() >= 2_970);
        let kept = tokens
            .iter()
            .filter(|token| Arc::ptr_eq(&decode(token), &decode(token)));
        assert!(kept.count() >= 2_970);
    }

    #[test]
    fn the_size_includes_the_header() {
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
