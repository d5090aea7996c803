//! The interface to a store of used proofs.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

/// What a [`ReplayStore`] remembers of a proof.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ProofIdentity<'a> {
    /// The thumbprint of the client's key (RFC 7638): 43 characters of base64url.
    pub key: &'a str,
    /// `jti` of the proof: 1 to 256 bytes, unique for the key. The client chooses them.
    pub jti: &'a str,
    /// `iss` of the token, or of the tokens of the session.
    pub issuer: Option<&'a str>,
    /// `sub` of the token, or the subject of the login or the session.
    pub subject: Option<&'a str>,
    /// When the store may forget the proof: 30 seconds after it expires. This margin covers
    /// clocks of nodes that differ, and calls that arrive late.
    pub forget_at: SystemTime,
    /// The time, by the clock of the layer or the sessions.
    pub now: SystemTime,
}

impl<'a> ProofIdentity<'a> {
    /// A proof of a token without `iss` and `sub`, for tests of a store.
    #[must_use]
    pub fn new(key: &'a str, jti: &'a str, forget_at: SystemTime, now: SystemTime) -> Self {
        Self {
            key,
            jti,
            issuer: None,
            subject: None,
            forget_at,
            now,
        }
    }
}

/// Shows the times alone.
impl fmt::Debug for ProofIdentity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofIdentity")
            .field("forget_at", &self.forget_at)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// Whether a proof may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayVerdict {
    /// The proof is new. It is remembered now.
    New,
    /// The proof was used before, or the store cannot know whether it was: 401, or 400 at login and
    /// refresh.
    Replayed,
    /// The client's key or its subject has used its share of the store: 429.
    TooMany,
}

/// Remembers used proofs, so that each is accepted once (RFC 9449 §11.1).
///
/// [`ReplayMemory`](super::ReplayMemory) is the default. Implement this trait to share the proofs
/// among nodes:
///
/// ```
/// use std::{collections::HashSet, convert::Infallible, sync::Mutex};
/// use tower_jwt_auth::dpop::{ProofIdentity, ReplayStore, ReplayVerdict};
///
/// /// Stands for a database that all nodes use.
/// struct Database(Mutex<HashSet<String>>);
///
/// impl ReplayStore for Database {
///     type Error = Infallible;
///
///     async fn remember(&self, proof: &ProofIdentity<'_>) -> Result<ReplayVerdict, Infallible> {
///         // As `SET key value NX PXAT …` does in Redis: one atomic step.
///         let key = format!("{} {}", proof.key, proof.jti);
///         let is_new = self.0.lock().unwrap().insert(key);
///         Ok(if is_new { ReplayVerdict::New } else { ReplayVerdict::Replayed })
///     }
/// }
/// ```
///
/// The contract:
///
/// - Of several calls with one `key` and `jti`, only one returns [`ReplayVerdict::New`] until
///   `forget_at`. Looking up and remembering is one atomic step.
/// - If the store does not know the answer, it returns an error or
///   [`ReplayVerdict::Replayed`], never `New`. After an error the request is rejected with 503.
/// - A client can send many proofs. Limit how many proofs one key and one subject can store, so
///   that other clients are served.
/// - The layer may drop a call before it finishes, because it waits for a limited time.
pub trait ReplayStore: Send + Sync + 'static {
    /// Why a call failed. The layer logs its `Display` text, so it must not contain a value of the
    /// proof.
    type Error: Error + Send + Sync + 'static;

    /// Remembers the proof, unless it was used before.
    fn remember(
        &self,
        proof: &ProofIdentity<'_>,
    ) -> impl Future<Output = Result<ReplayVerdict, Self::Error>> + Send;

    /// As [`remember`](ReplayStore::remember), if the store answers without waiting.
    ///
    /// On `None`, the default, the layer calls [`remember`](ReplayStore::remember). An answer here
    /// saves the request an allocation.
    fn remember_now(
        &self,
        proof: &ProofIdentity<'_>,
    ) -> Option<Result<ReplayVerdict, Self::Error>> {
        let _ = proof;
        None
    }
}

impl<S: ReplayStore> ReplayStore for Arc<S> {
    type Error = S::Error;

    fn remember(
        &self,
        proof: &ProofIdentity<'_>,
    ) -> impl Future<Output = Result<ReplayVerdict, S::Error>> + Send {
        (**self).remember(proof)
    }

    fn remember_now(&self, proof: &ProofIdentity<'_>) -> Option<Result<ReplayVerdict, S::Error>> {
        (**self).remember_now(proof)
    }
}

/// Why a proof cannot be remembered.
pub(crate) type RememberError = Arc<dyn Error + Send + Sync>;

pub(super) type Answer = Result<ReplayVerdict, RememberError>;

/// A [`ReplayStore`] of any type.
pub(super) trait ErasedStore: Send + Sync {
    fn remember<'a>(
        &'a self,
        proof: &'a ProofIdentity<'_>,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;
    fn remember_now(&self, proof: &ProofIdentity<'_>) -> Option<Answer>;
}

impl<S: ReplayStore> ErasedStore for S {
    fn remember<'a>(
        &'a self,
        proof: &'a ProofIdentity<'_>,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        Box::pin(async move {
            let answer = ReplayStore::remember(self, proof).await;
            answer.map_err(|error| Arc::new(error) as _)
        })
    }

    fn remember_now(&self, proof: &ProofIdentity<'_>) -> Option<Answer> {
        let answer = ReplayStore::remember_now(self, proof)?;
        Some(answer.map_err(|error| Arc::new(error) as _))
    }
}
