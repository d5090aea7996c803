//! Looks up a verified token in the revocation store, at once or with waiting.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::error::AuthError;
use super::error_kind::AuthErrorKind;
use crate::revocation::{FailurePolicy, NoRevocation, Outage, RevocationStore, TokenIdentity};
use crate::verify::VerifiedToken;

/// 250 ms: more than a healthy store on the same network needs, and less than a client waits.
pub(super) const DEFAULT_DEADLINE: Duration = Duration::from_millis(250);

/// A store and the settings of its look-ups.
pub(super) struct Revocations<V> {
    store: Arc<V>,
    policy: FailurePolicy,
    pub(super) deadline: Duration,
    /// Whether a token without `jti`, which cannot be revoked alone, is accepted.
    pub(super) token_id_optional: bool,
    is_none: bool,
    health: Arc<StoreHealth>,
}

/// The result of a look-up.
pub(super) enum Verdict {
    NotRevoked,
    Rejected(AuthError),
    /// The store has to be awaited.
    Pending,
}

impl Revocations<NoRevocation> {
    pub(super) fn none() -> Self {
        Self {
            is_none: true,
            ..Self::new(NoRevocation)
        }
    }
}

impl<V> Revocations<V> {
    pub(super) fn new(store: V) -> Self {
        Self {
            store: Arc::new(store),
            policy: FailurePolicy::default(),
            deadline: DEFAULT_DEADLINE,
            token_id_optional: false,
            is_none: false,
            health: Arc::new(StoreHealth::new()),
        }
    }

    /// The same settings for another store.
    pub(super) fn with_store<V2>(&self, store: V2) -> Revocations<V2> {
        Revocations {
            policy: self.policy,
            deadline: self.deadline,
            token_id_optional: self.token_id_optional,
            ..Revocations::new(store)
        }
    }

    /// Sets the policy and forgets a current outage: its duration was counted under the old policy.
    pub(super) fn set_policy(&mut self, policy: FailurePolicy) {
        self.policy = policy;
        self.health = Arc::new(StoreHealth::new());
    }
}

impl<V: RevocationStore> Revocations<V> {
    /// Looks up a token without waiting.
    #[inline]
    pub(super) fn peek(&self, token: &VerifiedToken) -> Verdict {
        if self.is_none {
            // Only tokens of `Sessions` have both.
            if token.generation().is_some() && token.session_id().is_some() {
                self.health.warn_of_no_store();
            }
            return Verdict::NotRevoked;
        }
        if !self.token_id_optional && token.token_id().is_none_or(str::is_empty) {
            return Verdict::Rejected(AuthErrorKind::MissingTokenId.into());
        }
        match self.store.peek(&TokenIdentity::from(token)) {
            Some(revoked) => {
                self.health.answered(self.policy);
                if revoked {
                    Verdict::Rejected(AuthErrorKind::Revoked.into())
                } else {
                    Verdict::NotRevoked
                }
            }
            None => Verdict::Pending,
        }
    }

    /// Looks up a token, and waits if that is needed.
    #[cfg(feature = "jwks")]
    pub(super) async fn check(&self, token: &VerifiedToken) -> Result<(), AuthError> {
        match self.peek(token) {
            Verdict::NotRevoked => Ok(()),
            Verdict::Rejected(error) => Err(error),
            Verdict::Pending => self.ask(token).await,
        }
    }

    /// Asks the store, and waits until the deadline.
    pub(super) async fn ask(&self, token: &VerifiedToken) -> Result<(), AuthError> {
        let failure: Arc<dyn Error + Send + Sync> = match self.answer(token).await {
            Ok(revoked) => {
                self.health.answered(self.policy);
                return if revoked {
                    Err(AuthErrorKind::Revoked.into())
                } else {
                    Ok(())
                };
            }
            Err(failure) => failure,
        };
        let passes = self.health.failed(self.policy);
        report(&*failure, passes);
        if passes {
            Ok(())
        } else {
            Err(AuthError::unavailable(failure))
        }
    }

    async fn answer(&self, token: &VerifiedToken) -> Result<bool, Arc<dyn Error + Send + Sync>> {
        // Without a runtime there is no timer, and no request may wait for ever.
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Arc::new(LookUpFailure::Runtime));
        }
        let id = TokenIdentity::from(token);
        match timeout(self.deadline, self.store.is_revoked(&id)).await {
            Ok(Ok(revoked)) => Ok(revoked),
            Ok(Err(error)) => Err(Arc::new(error)),
            Err(_) => Err(Arc::new(LookUpFailure::Deadline)),
        }
    }
}

impl<'a> From<&'a VerifiedToken> for TokenIdentity<'a> {
    fn from(token: &'a VerifiedToken) -> Self {
        let mut id = Self::new(token.expires_at());
        id.issuer = token.issuer();
        id.jti = token.token_id();
        id.sid = token.session_id();
        id.subject = token.subject();
        id.issued_at = token.issued_at();
        id.generation = token.generation();
        id
    }
}

/// The health of the store, for [`FailurePolicy::AllowFor`]. Clones of a layer share it.
struct StoreHealth {
    /// Whether there is an outage. While there is none, a look-up reads only this.
    failing: AtomicBool,
    outage: Mutex<Outage>,
    start: Instant,
    /// Whether the warning of a missing store was logged.
    has_warned: AtomicBool,
}

impl StoreHealth {
    fn new() -> Self {
        Self {
            failing: AtomicBool::new(false),
            outage: Mutex::default(),
            start: Instant::now(),
            has_warned: AtomicBool::new(false),
        }
    }

    fn answered(&self, policy: FailurePolicy) {
        if self.failing.load(Ordering::Relaxed) {
            let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
            let over = outage.answered(policy, self.start.elapsed());
            self.failing.store(!over, Ordering::Relaxed);
        }
    }

    fn warn_of_no_store(&self) {
        // Read first: a value that is no longer written stays in every processor's cache.
        if !self.has_warned.load(Ordering::Relaxed)
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            report_no_store();
        }
    }

    fn failed(&self, policy: FailurePolicy) -> bool {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        self.failing.store(true, Ordering::Relaxed);
        outage.failed(policy, self.start.elapsed())
    }
}

/// A failure of a look-up that is not the store's error.
#[derive(Clone, Copy, Debug)]
enum LookUpFailure {
    Deadline,
    Runtime,
}

impl fmt::Display for LookUpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "the store did not answer within the deadline",
            Self::Runtime => "there is no tokio runtime with a timer for the deadline",
        })
    }
}

impl Error for LookUpFailure {}

#[cfg(feature = "tracing")]
fn report(failure: &dyn Error, passes: bool) {
    let reason = tracing::field::display(failure);
    if passes {
        tracing::warn!(
            reason,
            "the revocation store failed: a request passes without a look-up"
        );
    } else {
        tracing::warn!(reason, "the revocation store failed: a request is rejected");
    }
}

#[cfg(feature = "tracing")]
fn report_no_store() {
    tracing::warn!(
        "a token of a session passes a layer without a revocation store: it stays valid until it \
         expires, even after a logout. Set `JwtAuthLayer::revocation`, or pass `NoRevocation`"
    );
}

#[cfg(not(feature = "tracing"))]
fn report_no_store() {}

#[cfg(not(feature = "tracing"))]
fn report(_: &dyn Error, _: bool) {}

impl<V> Clone for Revocations<V> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            policy: self.policy,
            deadline: self.deadline,
            token_id_optional: self.token_id_optional,
            is_none: self.is_none,
            health: Arc::clone(&self.health),
        }
    }
}

impl<V> fmt::Debug for Revocations<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("policy", &self.policy)
            .field("deadline", &self.deadline)
            .field("token_id_optional", &self.token_id_optional)
            .finish_non_exhaustive()
    }
}
