//! For the tests of a service that authenticates: tokens, time, and a store that fails on command.
//!
//! A test mints the tokens of a [`TestIssuer`], moves its clock, and breaks a [`FailingStore`]; nothing sleeps. The service
//! under test takes its layer as an argument, with any store.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```text")]
//! use axum::{Router, body::Body, http::{Request, StatusCode}, routing::get};
//! use tower::ServiceExt;
//! use tower_jwt_auth::{JwtAuthLayer, Require, middleware::ProblemJson, store::MemoryStore};
//! use tower_jwt_auth::revocation::{Revocation, RevocationStore, TokenIdentity};
//! use tower_jwt_auth::testing::{FailingStore, TestIssuer};
//!
//! fn app<V: RevocationStore>(layer: JwtAuthLayer<ProblemJson, V>) -> Router {
//!     let read = get(async || "notes").layer(Require::scope("notes:read"));
//!     Router::new().route("/notes", read).layer(layer)
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! // In a test: #[tokio::test(start_paused = true)]
//! let issuer = TestIssuer::new();
//! let store = FailingStore::new(MemoryStore::with_clock(issuer.clock().clone()));
//! let app = app(issuer.layer().revocation(store.clone()));
//! let ask = async |token: &str| {
//!     let request = Request::get("/notes").header("Authorization", format!("Bearer {token}"));
//!     app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status()
//! };
//! let alice = || issuer.token("alice").claim("scope", "notes:read").sign();
//!
//! let old = alice();
//! assert_eq!(ask(&old).await, StatusCode::OK);
//! assert_eq!(ask(&issuer.token("bob").sign()).await, StatusCode::FORBIDDEN);
//! issuer.expire();
//! assert_eq!(ask(&old).await, StatusCode::UNAUTHORIZED);
//!
//! let (stolen, other) = (alice(), alice());
//! let token = issuer.verify(&stolen);
//! let revocation = Revocation::of_token(&TokenIdentity::from(&token)).unwrap();
//! store.store().revoke(&revocation).unwrap();
//! assert_eq!(ask(&stolen).await, StatusCode::UNAUTHORIZED);
//! assert_eq!(ask(&other).await, StatusCode::OK);
//!
//! store.fail();
//! assert_eq!(ask(&other).await, StatusCode::SERVICE_UNAVAILABLE);
//! store.hang(); // 250 milliseconds, which tokio skips while its clock is paused
//! assert_eq!(ask(&other).await, StatusCode::SERVICE_UNAVAILABLE);
//! # }
//! ```

#[expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a test has nobody to hand an error to"
)]
mod session_store;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::claims::{NumericDate, RegisteredClaims};
use crate::clock::ManualClock;
use crate::keys::{Algorithm, SigningKey, TokenHeader, VerifyingKey};
use crate::middleware::JwtAuthLayer;
use crate::revocation::{RevocationStore, TokenIdentity};
use crate::session::{
    CreationOutcome, Rotation, RotationOutcome, Session, SessionId, SessionStore, Subject,
    SubjectState,
};
use crate::verify::{VerifiedToken, Verifier};

pub use session_store::session_store_contract;
#[doc(hidden)]
pub use session_store::{SESSION_STORE_MUSTS, session_store_must};

/// An issuer with a key of its own, whose clock a test moves. Clones share both.
///
/// See the [module docs](self) for an example.
#[derive(Clone, Debug)]
pub struct TestIssuer {
    key: SigningKey,
    clock: ManualClock,
    name: Arc<str>,
    audience: Option<Arc<str>>,
    minted: Arc<AtomicU64>,
}

impl TestIssuer {
    /// The `iss` of tokens.
    pub const NAME: &str = "https://issuer.test";

    /// The time at which the clock stands at first: 2100-01-01T00:00:00Z, in seconds since the epoch. So far ahead that a store
    /// by the system's clock, left in by mistake, forgets nothing.
    pub const START: u64 = 4_102_444_800;

    /// Tokens count for 5 minutes.
    pub const LIFETIME: Duration = Duration::from_secs(300);

    /// An issuer named [`TestIssuer::NAME`], with a new random key for HS256.
    ///
    /// # Panics
    ///
    /// Without a crypto back-end.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test has nobody to hand an error to")]
    pub fn new() -> Self {
        let key = SigningKey::generate(Algorithm::HS256).expect("a crypto back-end");
        Self::with_key(key)
    }

    /// An issuer with a key of one's own: of another algorithm, or one that the service under test trusts already.
    #[must_use]
    pub fn with_key(key: SigningKey) -> Self {
        Self {
            key,
            clock: ManualClock::at(Self::START),
            name: Self::NAME.into(),
            audience: None,
            minted: Arc::default(),
        }
    }

    /// Sets `iss`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into().into();
        self
    }

    /// Sets `aud` of its tokens, and requires it in [`layer`](TestIssuer::layer). None by default.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into().into());
        self
    }

    /// The key that verifies its tokens.
    #[must_use]
    pub fn key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// Its clock, which stands still until it is moved.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// A layer that trusts this issuer's key and name, by its clock.
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

    /// One of its tokens, verified: what a handler would be handed, to revoke it by, say.
    ///
    /// # Panics
    ///
    /// If it is none, or has expired.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test has nobody to hand an error to")]
    pub fn verify(&self, token: &str) -> VerifiedToken {
        self.verifier()
            .verify(token)
            .expect("a token of this issuer")
    }

    /// Moves the clock to where every token minted by now has expired for the layer, unless it was given a longer life.
    pub fn expire(&self) {
        self.clock
            .advance(Self::LIFETIME.saturating_add(Verifier::DEFAULT_LEEWAY));
    }

    /// Begins a token for `subject`, issued now, with a `jti` of its own: `test-1`, `test-2`, and so on.
    pub fn token(&self, subject: impl Into<String>) -> TestToken {
        let number = self.minted.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
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

/// A token in the making.
#[derive(Clone)]
#[must_use = "it is no token before it is signed"]
pub struct TestToken {
    key: SigningKey,
    clock: ManualClock,
    header: TokenHeader,
    claims: Map<String, Value>,
}

impl TestToken {
    /// Sets a claim, in place of one that is there: `scope`, `aud`, `sid`, or one of the service's own.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Sets all members of a value as claims.
    ///
    /// # Panics
    ///
    /// If the value does not serialise to a JSON object.
    #[expect(clippy::panic, reason = "a test has nobody to hand an error to")]
    pub fn claims(mut self, claims: impl Serialize) -> Self {
        match serde_json::to_value(claims) {
            Ok(Value::Object(members)) => self.claims.extend(members),
            _ => panic!("the claims are no JSON object"),
        }
        self
    }

    /// Leaves a claim out.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets `exp` to `lifetime` from now, in whole seconds.
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

    /// The token in compact form.
    ///
    /// # Panics
    ///
    /// If the crypto back-end fails.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test has nobody to hand an error to")]
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

/// A [`RevocationStore`], and [`SessionStore`], around another, that fails on command. Clones share the store and the state.
///
/// ```
/// use tower_jwt_auth::{revocation::NoRevocation, testing::{FailingStore, TestIssuer}};
///
/// let store = FailingStore::new(NoRevocation);
/// let layer = TestIssuer::new().layer().revocation(store.clone());
/// store.fail(); // 503 from now on
/// store.heal();
/// ```
#[derive(Debug)]
pub struct FailingStore<S> {
    store: Arc<S>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    mood: Mutex<Mood>,
    asked: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default)]
enum Mood {
    #[default]
    Healthy,
    Failing,
    Hanging,
    Late(Duration),
}

impl<S> FailingStore<S> {
    /// Answers as `store` does, until told otherwise.
    pub fn new(store: S) -> Self {
        Self {
            store: Arc::new(store),
            state: Arc::default(),
        }
    }

    /// Look-ups fail at once.
    pub fn fail(&self) {
        self.set(Mood::Failing);
    }

    /// Look-ups never end: what is left is the layer's deadline. A test that does not want to wait for that pauses tokio's
    /// clock, by `#[tokio::test(start_paused = true)]` and tokio's feature `test-util`.
    pub fn hang(&self) {
        self.set(Mood::Hanging);
    }

    /// Look-ups answer after this time, on tokio's clock, which `tokio::time::pause` makes jump.
    pub fn delay(&self, by: Duration) {
        self.set(Mood::Late(by));
    }

    /// Look-ups answer as the store inside does.
    pub fn heal(&self) {
        self.set(Mood::Healthy);
    }

    /// How many look-ups were waited for so far; those that could be answered at once do not count.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.state.asked.load(Ordering::SeqCst)
    }

    /// The store inside.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    fn set(&self, mood: Mood) {
        *self
            .state
            .mood
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = mood;
    }

    fn mood(&self) -> Mood {
        *self
            .state
            .mood
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Clone for FailingStore<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            state: Arc::clone(&self.state),
        }
    }
}

impl<S: RevocationStore> RevocationStore for FailingStore<S> {
    type Error = StoreFailure<S::Error>;

    async fn is_revoked(&self, token: &TokenIdentity<'_>) -> Result<bool, Self::Error> {
        self.obey().await?;
        let answer = self.store.is_revoked(token).await;
        answer.map_err(StoreFailure::Store)
    }

    fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool> {
        match self.mood() {
            Mood::Healthy => self.store.peek(token),
            _ => None,
        }
    }
}

impl<S> FailingStore<S> {
    /// Does as it was told before the store inside is asked.
    async fn obey<E>(&self) -> Result<(), StoreFailure<E>> {
        self.state.asked.fetch_add(1, Ordering::SeqCst);
        match self.mood() {
            Mood::Healthy => Ok(()),
            Mood::Failing => Err(StoreFailure::OnCommand),
            Mood::Hanging => std::future::pending().await,
            Mood::Late(by) => {
                tokio::time::sleep(by).await;
                Ok(())
            }
        }
    }
}

/// Fails before anything is changed.
impl<S: SessionStore> SessionStore for FailingStore<S> {
    async fn subject(&self, subject: &Subject<'_>) -> Result<SubjectState, Self::Error> {
        self.obey().await?;
        self.store
            .subject(subject)
            .await
            .map_err(StoreFailure::Store)
    }

    async fn create(&self, session: &Session) -> Result<CreationOutcome, Self::Error> {
        self.obey().await?;
        self.store
            .create(session)
            .await
            .map_err(StoreFailure::Store)
    }

    async fn find(&self, sid: SessionId) -> Result<Option<Session>, Self::Error> {
        self.obey().await?;
        self.store.find(sid).await.map_err(StoreFailure::Store)
    }

    async fn rotate(
        &self,
        sid: SessionId,
        rotation: &Rotation,
    ) -> Result<RotationOutcome, Self::Error> {
        self.obey().await?;
        let rotated = self.store.rotate(sid, rotation).await;
        rotated.map_err(StoreFailure::Store)
    }

    async fn end(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
        revoke_until: NumericDate,
    ) -> Result<Option<Session>, Self::Error> {
        self.obey().await?;
        let ended = self.store.end(sid, issuer, revoke_until).await;
        ended.map_err(StoreFailure::Store)
    }

    async fn raise_generation(&self, subject: &Subject<'_>) -> Result<u64, Self::Error> {
        self.obey().await?;
        let raised = self.store.raise_generation(subject).await;
        raised.map_err(StoreFailure::Store)
    }

    async fn block(&self, subject: &Subject<'_>) -> Result<(), Self::Error> {
        self.obey().await?;
        self.store.block(subject).await.map_err(StoreFailure::Store)
    }

    async fn unblock(&self, subject: &Subject<'_>) -> Result<(), Self::Error> {
        self.obey().await?;
        self.store
            .unblock(subject)
            .await
            .map_err(StoreFailure::Store)
    }

    async fn list(
        &self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> Result<Vec<Session>, Self::Error> {
        self.obey().await?;
        self.store
            .list(subject, now)
            .await
            .map_err(StoreFailure::Store)
    }
}

/// The error of a [`FailingStore`].
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreFailure<E> {
    /// It was told to fail.
    OnCommand,
    /// The store inside failed by itself.
    Store(E),
}

impl<E> fmt::Display for StoreFailure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OnCommand => "the store fails on command",
            Self::Store(_) => "the store inside failed",
        })
    }
}

impl<E: Error + 'static> Error for StoreFailure<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::OnCommand => None,
            Self::Store(error) => Some(error),
        }
    }
}
