//! The look-up of a verified token: answered at once, or waited for.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::error::{AuthError, AuthErrorKind};
use crate::revocation::{FailurePolicy, NoRevocation, Outage, RevocationStore, TokenIdentity};
use crate::verify::VerifiedToken;

/// 250 ms: longer than any healthy store on the same network takes, and short enough that a client does not give up.
pub(super) const DEFAULT_DEADLINE: Duration = Duration::from_millis(250);

/// A store, and how it is asked.
pub(super) struct Revocations<V> {
    store: Arc<V>,
    policy: FailurePolicy,
    pub(super) deadline: Duration,
    /// Whether a token without `jti` is accepted, which could not be revoked.
    pub(super) token_id_optional: bool,
    is_none: bool,
    health: Arc<StoreHealth>,
}

/// What a look-up said, or that it has to be waited for.
pub(super) enum Verdict {
    Counts,
    Refused(AuthError),
    Unknown,
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

    /// An outage is remembered under the policy that it was judged by.
    pub(super) fn set_policy(&mut self, policy: FailurePolicy) {
        self.policy = policy;
        self.health = Arc::new(StoreHealth::new());
    }
}

impl<V: RevocationStore> Revocations<V> {
    /// What can be said without waiting.
    #[inline]
    pub(super) fn peek(&self, token: &VerifiedToken) -> Verdict {
        if self.is_none {
            // Of all tokens that have a `sid`, only those of `Sessions` have a `generation` too.
            if token.generation().is_some() && token.session_id().is_some() {
                self.health.warn_of_no_store();
            }
            return Verdict::Counts;
        }
        if !self.token_id_optional && token.token_id().is_none_or(str::is_empty) {
            return Verdict::Refused(AuthErrorKind::MissingTokenId.into());
        }
        match self.store.peek(&TokenIdentity::from(token)) {
            Some(revoked) => {
                self.health.answered(self.policy);
                if revoked {
                    Verdict::Refused(AuthErrorKind::Revoked.into())
                } else {
                    Verdict::Counts
                }
            }
            None => Verdict::Unknown,
        }
    }

    /// Both one after the other, where there is time to wait anyway.
    #[cfg(feature = "jwks")]
    pub(super) async fn check(&self, token: &VerifiedToken) -> Result<(), AuthError> {
        match self.peek(token) {
            Verdict::Counts => Ok(()),
            Verdict::Refused(error) => Err(error),
            Verdict::Unknown => self.ask(token).await,
        }
    }

    /// Asks the store, and waits no longer than the deadline.
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
        // Without a runtime there is no timer, and nothing here may wait for ever.
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

/// How the store fares, for [`FailurePolicy::AllowFor`]. One for all clones of a layer.
struct StoreHealth {
    /// Whether there is an outage: all that a look-up reads while there is none.
    failing: AtomicBool,
    outage: Mutex<Outage>,
    start: Instant,
    /// Whether it was said that there is no store.
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
        // A read first: threads share a value that nobody writes any more.
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

/// Why there is no answer, where the store is not the one who says so.
#[derive(Clone, Copy, Debug)]
enum LookUpFailure {
    Deadline,
    Runtime,
}

impl fmt::Display for LookUpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "the store did not answer within the deadline",
            Self::Runtime => "there is no tokio runtime whose timer could keep the deadline",
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
            "the revocation store failed: a request passes unasked"
        );
    } else {
        tracing::warn!(
            reason,
            "the revocation store failed: a request is turned away"
        );
    }
}

#[cfg(feature = "tracing")]
fn report_no_store() {
    tracing::warn!(
        "a token of a session passes a layer without a revocation store: logged out or not, it \
         counts until it expires. Set `JwtAuthLayer::revocation`, to `NoRevocation` if you mean it"
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
