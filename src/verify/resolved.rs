//! The answers of an [`IssuerResolver`](super::IssuerResolver), and how requests wait for them.
//!
//! Approved issuers and refused names are remembered apart, each in a bounded cache. So a flood of
//! names evicts no approved issuer. One task calls the resolver for a name; all requests for that
//! name wait for the task. It stores the answer before it ends.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, UnitWeighter};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::error::VerifyError;
use super::resolver::{
    AnyResolver, IssuerResolution, ResolutionError, ResolutionLimits, ResolverError,
};
use super::trusted_issuer::{IssuerTrust, TrustedIssuer};
use crate::clock::ClockSource;
use crate::keys::remote::Timestamp;

/// Bytes of the longest name that the resolver is asked for. Issuers are short URLs.
const MAX_NAME: usize = 512;

/// How many refused names are remembered: 2 MiB at most.
const MAX_REFUSED: usize = 4096;

/// The time after a failure until the resolver is asked again for the same name.
const PAUSE: Duration = Duration::from_secs(1);

/// The maximum number of waiting requests, to bound the memory.
const MAX_WAITING: usize = 4096;

/// The answers as one verifier uses them: the headers it caches hold for its own settings.
#[derive(Clone)]
pub(super) struct ResolvedIssuers(Arc<Answers>);

struct Answers {
    resolver: Arc<dyn AnyResolver>,
    limits: ResolutionLimits,
    approved: Remembered<Arc<ApprovedIssuer>>,
    refused: Remembered<Refusal>,
    /// Counts the approvals.
    newest: AtomicU64,
    calls: Mutex<Calls>,
    waiting: AtomicUsize,
}

/// Answers by name, in one shard: an entry is evicted only if all together are too many.
type Remembered<V> = Cache<Box<str>, V>;

/// An issuer that the resolver approved.
pub(super) struct ApprovedIssuer {
    trust: IssuerTrust,
    /// Its number among all answers. It tells the cached tokens of an older answer apart.
    number: u64,
    at: Timestamp,
    /// The second in which its renewal was last requested.
    renewal_at: AtomicU64,
}

/// Why an issuer is not approved.
#[derive(Clone)]
struct Refusal {
    at: Timestamp,
    /// `None` if the resolver said so.
    failure: Option<ResolverError>,
}

/// The calls under way. Foreign code never runs under this lock.
#[derive(Default)]
struct Calls {
    by_name: HashMap<Box<str>, Call>,
    /// How many are for unknown issuers.
    unknown: usize,
    /// How many calls there were.
    count: u64,
}

struct Call {
    number: u64,
    began: Instant,
    /// Closed when the call has ended.
    end: watch::Receiver<()>,
    is_renewal: bool,
}

/// An issuer that a token needs before it can be verified.
pub(crate) struct IssuerRequest {
    answers: Arc<Answers>,
    name: Box<str>,
    clock: ClockSource,
}

/// Why an issuer is neither approved nor refused.
pub(super) enum Unresolved {
    /// The resolver has to be asked first.
    Pending(IssuerRequest),
    /// The resolver has failed a moment ago.
    Failed(VerifyError),
}

impl ResolvedIssuers {
    /// Also returns the issuers that are known without the resolver.
    pub(super) fn new(resolution: IssuerResolution) -> (Self, Vec<TrustedIssuer>) {
        let IssuerResolution {
            resolver,
            limits,
            issuers,
        } = resolution;
        (Self(Arc::new(Answers::new(resolver, limits))), issuers)
    }

    /// Forgets all answers, without effect on clones.
    pub(super) fn clear(&mut self) {
        let Answers {
            resolver, limits, ..
        } = &*self.0;
        *self = Self(Arc::new(Answers::new(Arc::clone(resolver), *limits)));
    }

    /// The approved issuer of this name. `None` if the resolver refused it.
    pub(super) fn find(
        &self,
        name: &str,
        clock: &ClockSource,
        now: Duration,
    ) -> Result<Option<Arc<ApprovedIssuer>>, Unresolved> {
        if name.len() > MAX_NAME {
            return Ok(None);
        }
        let answers = &self.0;
        if let Some(approved) = answers.approved.get(name) {
            let age = approved.at.age(now);
            if age >= answers.limits.lifetime && approved.claim_renewal(now) {
                // Without a runtime nobody can ask. Then the answer serves until it is too old.
                let _ = answers.call(name, clock, true);
            }
            if answers.is_usable(age) {
                return Ok(Some(approved));
            }
        }
        match answers.refusal(name, now) {
            Some(Refusal { failure: None, .. }) => Ok(None),
            Some(Refusal {
                failure: Some(error),
                ..
            }) => Err(Unresolved::Failed(outage(error))),
            None => Err(Unresolved::Pending(IssuerRequest {
                answers: Arc::clone(answers),
                name: name.into(),
                clock: clock.clone(),
            })),
        }
    }
}

impl ApprovedIssuer {
    pub(super) fn trust(&self) -> &IssuerTrust {
        &self.trust
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Lets one request a second ask for a renewal: the others need not lock for it.
    fn claim_renewal(&self, now: Duration) -> bool {
        let (now, before) = (now.as_secs(), self.renewal_at.load(Ordering::Relaxed));
        let order = Ordering::Relaxed;
        now != before
            && self
                .renewal_at
                .compare_exchange(before, now, order, order)
                .is_ok()
    }
}

fn remembered<V: Clone>(capacity: usize) -> Remembered<V> {
    let mut options = OptionsBuilder::new();
    options
        .weight_capacity(u64::try_from(capacity).unwrap_or(u64::MAX))
        .estimated_items_capacity(capacity)
        .shards(1);
    #[expect(clippy::expect_used, reason = "both required options are set")]
    let options = options.build().expect("no option is missing");
    Cache::with_options(
        options,
        UnitWeighter,
        Default::default(),
        DefaultLifecycle::default(),
    )
}

fn outage(error: ResolverError) -> VerifyError {
    VerifyError::outage(PAUSE, error)
}

impl Answers {
    fn new(resolver: Arc<dyn AnyResolver>, limits: ResolutionLimits) -> Self {
        Self {
            resolver,
            limits,
            approved: remembered(limits.max_issuers),
            refused: remembered(MAX_REFUSED),
            newest: AtomicU64::new(0),
            calls: Mutex::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The maximum time a request waits: the deadline of a call, and some time for a busy runtime.
    fn max_wait(&self) -> Duration {
        self.limits.deadline.saturating_add(PAUSE)
    }

    fn is_usable(&self, age: Duration) -> bool {
        age < self.limits.lifetime.saturating_add(self.limits.max_stale)
    }

    /// A refusal or a failure that still counts.
    fn refusal(&self, name: &str, now: Duration) -> Option<Refusal> {
        let refusal = self.refused.get(name)?;
        let lifetime = match refusal.failure {
            None => self.limits.refusal_lifetime,
            Some(_) => PAUSE,
        };
        (refusal.at.age(now) < lifetime).then_some(refusal)
    }

    /// Whether there is an answer that a request can use.
    fn is_answered(&self, name: &str, now: Duration) -> bool {
        let approved = self.approved.get(name);
        approved.is_some_and(|approved| self.is_usable(approved.at.age(now)))
            || self.refusal(name, now).is_some()
    }

    /// Calls the resolver in a task, unless a call for this name is under way. `None` if there is
    /// an answer by now.
    fn call(
        self: &Arc<Self>,
        name: &str,
        clock: &ClockSource,
        is_renewal: bool,
    ) -> Result<Option<watch::Receiver<()>>, ResolutionError> {
        let runtime = Handle::try_current().map_err(|_| ResolutionError::NoRuntime)?;
        let now = clock.since_epoch();
        let mut calls = self.calls();
        if let Some(call) = calls.by_name.get(name) {
            if call.began.elapsed() < self.max_wait() {
                return Ok(Some(call.end.clone()));
            }
            // No runtime drives that task. This call replaces it.
            calls.remove(name);
        }
        // Checked under the lock, because a call stores its answer before it ends.
        if !is_renewal && self.is_answered(name, now) {
            return Ok(None);
        }
        if !is_renewal && calls.unknown >= self.limits.max_calls {
            calls.remove_overdue(self.max_wait());
            if calls.unknown >= self.limits.max_calls {
                return Err(ResolutionError::TooManyCalls);
            }
        }
        let (begin, end) = watch::channel(());
        let number = calls.insert(name, end.clone(), is_renewal);
        drop(calls);
        let call = RunningCall {
            answers: Arc::clone(self),
            number,
            name: name.into(),
            clock: clock.clone(),
            answer: Err(Arc::new(ResolutionError::Interrupted)),
            at: Timestamp::at(now),
            _end: begin,
        };
        runtime.spawn(call.run());
        Ok(Some(end))
    }

    fn approve(&self, name: &str, mut trust: IssuerTrust, at: Timestamp) {
        // The issuer may be a clone that another verifier uses.
        trust.clear_headers();
        trust.require_audience();
        let number = self.newest.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let renewal_at = AtomicU64::new(0);
        let approved = ApprovedIssuer {
            trust,
            number,
            at,
            renewal_at,
        };
        self.approved.insert(name.into(), Arc::new(approved));
        self.refused.remove(name);
    }

    fn refuse(&self, name: &str, failure: Option<ResolverError>, at: Timestamp) {
        let is_refused = failure.is_none();
        self.refused.insert(name.into(), Refusal { at, failure });
        if is_refused {
            self.approved.remove(name);
        }
    }
}

impl Calls {
    fn insert(&mut self, name: &str, end: watch::Receiver<()>, is_renewal: bool) -> u64 {
        self.count = self.count.wrapping_add(1);
        self.unknown = self.unknown.saturating_add(usize::from(!is_renewal));
        let call = Call {
            number: self.count,
            began: Instant::now(),
            end,
            is_renewal,
        };
        self.by_name.insert(name.into(), call);
        self.count
    }

    /// Whether no other call has replaced the call of this number.
    fn is_current(&self, name: &str, number: u64) -> bool {
        let call = self.by_name.get(name);
        call.is_some_and(|call| call.number == number)
    }

    /// Removes the calls that no runtime drives.
    fn remove_overdue(&mut self, limit: Duration) {
        self.by_name.retain(|_, call| call.began.elapsed() < limit);
        let unknown = self.by_name.values().filter(|call| !call.is_renewal);
        self.unknown = unknown.count();
    }

    fn remove(&mut self, name: &str) {
        if let Some(call) = self.by_name.remove(name) {
            let ended = usize::from(!call.is_renewal);
            self.unknown = self.unknown.saturating_sub(ended);
        }
    }
}

/// A call of the resolver. Dropping it stores the answer and wakes the requests: also after a
/// panic, and when the runtime shuts down.
struct RunningCall {
    answers: Arc<Answers>,
    number: u64,
    name: Box<str>,
    clock: ClockSource,
    answer: Result<Option<TrustedIssuer>, ResolverError>,
    /// The start of the call. The approval may be withdrawn after it.
    at: Timestamp,
    _end: watch::Sender<()>,
}

impl RunningCall {
    async fn run(mut self) {
        let answers = Arc::clone(&self.answers);
        let call = answers.resolver.resolve_any(&self.name);
        self.answer = match timeout(answers.limits.deadline, call).await {
            Ok(Ok(Some(issuer))) if !issuer.is_named(&self.name) => {
                Err(Arc::new(ResolutionError::OtherIssuer))
            }
            Ok(answer) => answer,
            Err(_) => Err(Arc::new(ResolutionError::Timeout)),
        };
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        if !self.answers.calls().is_current(&self.name, self.number) {
            return;
        }
        let interrupted = Err(Arc::new(ResolutionError::Interrupted) as _);
        match std::mem::replace(&mut self.answer, interrupted) {
            Ok(Some(issuer)) => self.answers.approve(&self.name, issuer.trust, self.at),
            Ok(None) => self.answers.refuse(&self.name, None, self.at),
            // The pause begins at the end of the call.
            Err(error) => {
                let at = Timestamp::at(self.clock.since_epoch());
                self.answers.refuse(&self.name, Some(error), at);
            }
        }
        self.answers.calls().remove(&self.name);
    }
}

impl IssuerRequest {
    /// Waits for an answer. Afterwards the caller must look for it.
    pub(super) async fn wait(self) -> Result<(), VerifyError> {
        let failed = |error: ResolutionError| outage(Arc::new(error));
        let answers = &self.answers;
        let waiting = WaitingRequest::begin(&answers.waiting).map_err(failed)?;
        let call = answers.call(&self.name, &self.clock, false);
        if let Some(mut end) = call.map_err(failed)? {
            timeout(answers.max_wait(), end.changed())
                .await
                // The sender is gone: the call has ended.
                .map_err(|_| failed(ResolutionError::Timeout))
                .map(drop)?;
        }
        drop(waiting);
        Ok(())
    }
}

/// One waiting request, removed from the total when dropped.
struct WaitingRequest<'a>(&'a AtomicUsize);

impl<'a> WaitingRequest<'a> {
    fn begin(count: &'a AtomicUsize) -> Result<Self, ResolutionError> {
        let waiting = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) < MAX_WAITING {
            Ok(waiting)
        } else {
            Err(ResolutionError::TooManyCalls)
        }
    }
}

impl Drop for WaitingRequest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for ResolvedIssuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolvedIssuers")
            .field("limits", &self.0.limits)
            .field("approved", &self.0.approved.len())
            .field("refused", &self.0.refused.len())
            .finish_non_exhaustive()
    }
}
