//! An issuer for tests, and the tokens it issues.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderValue;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::claims::{NumericDate, RegisteredClaims};
use crate::clock::ManualClock;
use crate::keys::{Algorithm, SigningKey, TokenHeader, VerifyingKey};
use crate::middleware::JwtAuthLayer;
use crate::verify::{VerifiedToken, Verifier};

/// An issuer with its own key and a clock that the test controls. Clones share both.
///
/// See the [module docs](super) for an example.
#[derive(Clone, Debug)]
pub struct TestIssuer {
    key: SigningKey,
    clock: ManualClock,
    name: Arc<str>,
    audience: Option<Arc<str>>,
    issued: Arc<AtomicU64>,
}

impl TestIssuer {
    /// The `iss` claim of the tokens.
    pub const NAME: &str = "https://issuer.test";

    /// The initial time of the clock: 2100-01-01T00:00:00Z, in seconds since the epoch. It is in
    /// the far future: if a store uses the system clock by mistake, its entries do not expire.
    pub const START: u64 = 4_102_444_800;

    /// The lifetime of the tokens: 5 minutes.
    pub const LIFETIME: Duration = Duration::from_secs(300);

    /// An issuer named [`TestIssuer::NAME`] with a random key for HS256.
    ///
    /// # Panics
    ///
    /// If no crypto back-end is enabled.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a failed test panics")]
    pub fn new() -> Self {
        let key = SigningKey::generate(Algorithm::HS256).expect("a crypto back-end");
        Self::with_key(key)
    }

    /// An issuer with your key. Use it for another algorithm, or for a key that the service under
    /// test already trusts.
    #[must_use]
    pub fn with_key(key: SigningKey) -> Self {
        Self {
            key,
            clock: ManualClock::at(Self::START),
            name: Self::NAME.into(),
            audience: None,
            issued: Arc::default(),
        }
    }

    /// Sets `iss`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into().into();
        self
    }

    /// Sets the `aud` claim of the tokens, and requires it in [`layer`](TestIssuer::layer). None by
    /// default.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into().into());
        self
    }

    /// The key that verifies the tokens.
    #[must_use]
    pub fn key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// The issuer's clock. It does not advance by itself. Stores, sessions, and guards with
    /// [`max_age`](crate::Require::max_age) need it too.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// A layer that trusts this issuer and uses its clock.
    #[must_use]
    pub fn layer(&self) -> JwtAuthLayer {
        JwtAuthLayer::with_verifier(self.verifier())
    }

    fn verifier(&self) -> Verifier {
        let verifier = Verifier::new(self.key())
            .issuer(&*self.name)
            .clock(self.clock.clone());
        match &self.audience {
            Some(audience) => verifier.audience(&**audience),
            None => verifier,
        }
    }

    /// Verifies a token of this issuer. Use the result to revoke the token, for example.
    ///
    /// # Panics
    ///
    /// If the token is invalid or has expired.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a failed test panics")]
    pub fn verify(&self, token: &str) -> VerifiedToken {
        self.verifier()
            .verify(token)
            .expect("a token of this issuer")
    }

    /// Advances the clock by the lifetime and the leeway. The layer then rejects every token issued
    /// so far, except tokens with a longer lifetime.
    pub fn expire(&self) {
        self.clock
            .advance(Self::LIFETIME.saturating_add(Verifier::DEFAULT_LEEWAY));
    }

    /// Builds a token for `subject`, issued now, with a unique `jti`: `test-1`, `test-2` and so on.
    pub fn token(&self, subject: impl Into<String>) -> TestToken {
        let number = self.issued.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let mut claims = RegisteredClaims::valid_for(Self::LIFETIME, self.clock.now())
            .issuer(&*self.name)
            .subject(subject)
            .token_id(format!("test-{number}"));
        claims.audience = self.audience.as_deref().map(Into::into);
        TestToken {
            key: self.key.clone(),
            clock: self.clock.clone(),
            header: TokenHeader::new(),
            claims: Map::new(),
        }
        .claims(claims)
    }
}

impl Default for TestIssuer {
    fn default() -> Self {
        Self::new()
    }
}

/// A token that is not signed yet.
#[derive(Clone)]
#[must_use = "it is no token before it is signed"]
pub struct TestToken {
    key: SigningKey,
    clock: ManualClock,
    header: TokenHeader,
    claims: Map<String, Value>,
}

impl TestToken {
    /// Sets or replaces a claim, such as `scope`, `aud`, `sid` or your own.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Sets all members of a value as claims.
    ///
    /// # Panics
    ///
    /// If the value does not serialise to a JSON object.
    #[expect(clippy::panic, reason = "a failed test panics")]
    pub fn claims(mut self, claims: impl Serialize) -> Self {
        match serde_json::to_value(claims) {
            Ok(Value::Object(members)) => self.claims.extend(members),
            _ => panic!("the claims are not a JSON object"),
        }
        self
    }

    /// Removes a claim.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets `exp` to `lifetime` from now, rounded down to seconds.
    pub fn lifetime(self, lifetime: Duration) -> Self {
        let expires_at = self.clock.now().checked_add(lifetime);
        let expires_at = expires_at.map_or(NumericDate::MAX, NumericDate::from);
        self.claim("exp", expires_at.seconds())
    }

    /// Sets the header's `typ`. `JWT` by default.
    pub fn typ(mut self, typ: impl Into<String>) -> Self {
        self.header = self.header.typ(typ);
        self
    }

    /// Signs the token: its compact serialisation.
    ///
    /// # Panics
    ///
    /// If the crypto back-end fails.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a failed test panics")]
    pub fn sign(self) -> String {
        self.key
            .sign_with(&self.header, &self.claims)
            .expect("claims that can be signed")
    }

    /// The value of an `Authorization` header with the token.
    ///
    /// # Panics
    ///
    /// As [`TestToken::sign`].
    #[must_use]
    #[expect(clippy::expect_used, reason = "base64url is ASCII")]
    pub fn bearer(self) -> HeaderValue {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.sign()))
            .expect("a token is a header's value");
        value.set_sensitive(true);
        value
    }
}

/// Shows the names of the claims.
impl fmt::Debug for TestToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.claims.keys().collect();
        f.debug_struct("TestToken")
            .field("header", &self.header)
            .field("claims", &names)
            .finish_non_exhaustive()
    }
}
