//! Asks about tokens, and lets requests wait for the answers.
//!
//! One task asks about a token; all requests with that token wait for the task. It stores the
//! answer before it ends, also if no request waits any more. If no runtime drives the task, a
//! waiting request replaces it by a task in its own runtime.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::answer::{Answer, Lifespan, Reply};
use super::endpoint::IntrospectionEndpoint;
use super::events::{FailureLog, report};
use super::memory::{Digest, Memory, Outcome};
use super::standing::{ByStanding, Standing, Turns};
use crate::clock::ClockSource;
use crate::keys::remote::{FetchError, FetchErrorKind, Timestamp};

/// The maximum number of waiting requests with tokens of one standing, to bound the memory.
const MAX_WAITING: usize = 4096;

/// The maximum number of questions under way about tokens of one standing, with those that wait for
/// their turn. Each holds a token.
const MAX_FLIGHTS: usize = 1024;

/// The time after a failure until the issuer is asked again about the same token.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// Some time beyond the deadline, for a busy runtime.
const SLACK: Duration = Duration::from_millis(500);

/// How often a task may end with its runtime during one wait.
const MAX_INTERRUPTIONS: usize = 3;

/// How long answers are remembered, and how the issuer is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) lifetime: Duration,
    pub(super) inactive_lifetime: Duration,
    pub(super) deadline: Duration,
    pub(super) max_questions: usize,
    /// Whether an answer need not tell the kind of token.
    pub(super) unknown_kind_allowed: bool,
}

impl Limits {
    /// The maximum time of a flight.
    fn max_wait(self) -> Duration {
        self.deadline.saturating_add(SLACK)
    }
}

/// An issuer that is asked about tokens.
pub(super) struct Questions {
    pub(super) endpoint: IntrospectionEndpoint,
    pub(super) limits: Limits,
    pub(super) memory: Memory,
    pub(super) asked: AtomicU64,
    pub(super) last_error: Mutex<Option<FetchError>>,
    log: FailureLog,
    flights: Mutex<Flights>,
    turns: Turns,
    waiting: ByStanding<AtomicUsize>,
}

/// The questions under way. Foreign code never runs under their lock.
#[derive(Default)]
struct Flights {
    by_token: HashMap<Digest, Flight>,
    /// How many of these are about new tokens.
    new: usize,
    /// How many there were.
    count: u64,
    /// When those that no runtime drives were last removed.
    swept: Option<Instant>,
}

impl Flights {
    fn under_way(&self, standing: Standing) -> usize {
        match standing {
            Standing::Known => self.by_token.len().saturating_sub(self.new),
            Standing::New => self.new,
        }
    }

    fn insert(&mut self, digest: Digest, flight: Flight) {
        let is_new = flight.standing == Standing::New;
        self.new = self.new.saturating_add(usize::from(is_new));
        self.by_token.insert(digest, flight);
    }

    fn remove(&mut self, digest: &Digest) {
        let removed = self.by_token.remove(digest);
        let was_new = removed.is_some_and(|flight| flight.standing == Standing::New);
        self.new = self.new.saturating_sub(usize::from(was_new));
    }

    /// Removes those that no runtime drives, now and then.
    fn remove_overdue(&mut self, limit: Duration) {
        if self.swept.is_some_and(|swept| swept.elapsed() < SLACK) {
            return;
        }
        self.swept = Some(Instant::now());
        self.by_token
            .retain(|_, flight| flight.began.elapsed() < limit);
        let new = self
            .by_token
            .values()
            .filter(|flight| flight.standing == Standing::New);
        self.new = new.count();
    }
}

struct Flight {
    number: u64,
    standing: Standing,
    began: Instant,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// What a request does next.
enum NextStep {
    Use(Outcome),
    Wait(watch::Receiver<Option<Outcome>>, Standing),
}

impl Questions {
    pub(super) fn new(endpoint: IntrospectionEndpoint, limits: Limits, memory: Memory) -> Self {
        Self {
            endpoint,
            limits,
            memory,
            asked: AtomicU64::new(0),
            last_error: Mutex::default(),
            log: FailureLog::default(),
            flights: Mutex::default(),
            turns: Turns::new(limits.max_questions, limits.max_wait()),
            waiting: ByStanding::default(),
        }
    }

    pub(super) fn waiting(&self) -> usize {
        let ByStanding { known, new } = &self.waiting;
        let (known, new) = (known.load(Ordering::Relaxed), new.load(Ordering::Relaxed));
        known.saturating_add(new)
    }

    pub(super) fn last_error(&self) -> MutexGuard<'_, Option<FetchError>> {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the answer about a token.
    pub(super) async fn answer(
        self: &Arc<Self>,
        token: &str,
        digest: Digest,
        clock: &ClockSource,
    ) -> Outcome {
        for _ in 0..MAX_INTERRUPTIONS {
            let (mut outcome, standing) = match self.begin(token, digest, clock)? {
                NextStep::Use(outcome) => return outcome,
                NextStep::Wait(outcome, standing) => (outcome, standing),
            };
            let waiting = WaitingRequest::begin(self.waiting.of(standing))?;
            let waited = timeout(self.limits.max_wait(), outcome.wait_for(Option::is_some)).await;
            drop(waiting);
            match waited {
                Ok(Ok(outcome)) => {
                    if let Some(outcome) = &*outcome {
                        return outcome.clone();
                    }
                }
                // The task has ended with its runtime.
                Ok(Err(_)) => {}
                Err(_) => return Err(FetchErrorKind::Timeout.into()),
            }
        }
        Err(FetchErrorKind::NoRuntime.into())
    }

    /// Asks in a task, unless a question about this token is under way or has just been answered.
    fn begin(
        self: &Arc<Self>,
        token: &str,
        digest: Digest,
        clock: &ClockSource,
    ) -> Result<NextStep, FetchError> {
        let runtime = Handle::try_current().map_err(|_| FetchErrorKind::NoRuntime)?;
        let now = clock.since_epoch();
        let mut flights = self.flights();
        if let Some(flight) = flights.by_token.get(&digest) {
            if flight.began.elapsed() < self.limits.max_wait() {
                return Ok(NextStep::Wait(flight.outcome.clone(), flight.standing));
            }
            // No runtime drives that task. This one replaces it.
            flights.remove(&digest);
        }
        // Checked under the lock, because a task stores its answer before it ends.
        if let Some(outcome) = self.memory.find(&digest, now) {
            return Ok(NextStep::Use(outcome));
        }
        let standing = match self.memory.was_active(&digest) {
            true => Standing::Known,
            false => Standing::New,
        };
        if flights.under_way(standing) >= MAX_FLIGHTS {
            flights.remove_overdue(self.limits.max_wait());
        }
        if flights.under_way(standing) >= MAX_FLIGHTS {
            return Err(FetchErrorKind::TooManyWaiting.into());
        }
        let (sender, outcome) = watch::channel(None);
        flights.count = flights.count.wrapping_add(1);
        let flight = RunningFlight {
            questions: Arc::clone(self),
            number: flights.count,
            standing,
            digest,
            clock: clock.clone(),
            asked: Timestamp::at(now),
            reply: None,
            sender,
        };
        let known = Flight {
            number: flights.count,
            standing,
            began: Instant::now(),
            outcome: outcome.clone(),
        };
        flights.insert(digest, known);
        // A runtime that shuts down drops the task at once, and that takes the lock.
        drop(flights);
        runtime.spawn(flight.run(token.to_owned()));
        Ok(NextStep::Wait(outcome, standing))
    }
}

/// A question under way. Dropping it stores the answer and wakes the requests: also after a panic,
/// and when the runtime shuts down.
struct RunningFlight {
    questions: Arc<Questions>,
    number: u64,
    standing: Standing,
    digest: Digest,
    clock: ClockSource,
    /// The start of the question.
    asked: Timestamp,
    reply: Option<Result<Reply, FetchError>>,
    sender: watch::Sender<Option<Outcome>>,
}

impl RunningFlight {
    async fn run(mut self, token: String) {
        let questions = Arc::clone(&self.questions);
        let deadline = questions.limits.deadline;
        let began = Instant::now();
        let turn = timeout(deadline, questions.turns.take(self.number, self.standing)).await;
        self.reply = Some(match turn {
            Ok(turn) => {
                self.asked = Timestamp::at(self.clock.since_epoch());
                questions.asked.fetch_add(1, Ordering::Relaxed);
                let left = deadline.saturating_sub(began.elapsed());
                let reply = questions.endpoint.ask(&token, &self.clock, left).await;
                drop(turn);
                reply
            }
            Err(_) => Err(FetchErrorKind::TooManyWaiting.into()),
        });
    }

    /// Stores a reply, and returns what requests are told.
    fn keep(&self, reply: Result<Reply, FetchError>) -> Outcome {
        let Limits {
            lifetime,
            inactive_lifetime,
            ..
        } = self.questions.limits;
        let memory = &self.questions.memory;
        let lifespan = |length| Lifespan {
            asked: self.asked,
            length,
        };
        match reply {
            Ok(Reply::Active {
                payload,
                kind,
                expires_at,
            }) => {
                let length = match expires_at {
                    Some(date) => lifetime.min(self.asked.until(date.since_epoch())),
                    None => lifetime,
                };
                let answer = Arc::new(Answer {
                    payload,
                    kind,
                    lifespan: lifespan(length),
                });
                memory.keep_active(self.digest, Arc::clone(&answer));
                Ok(Some(answer))
            }
            Ok(Reply::Inactive) => {
                memory.keep_inactive(self.digest, lifespan(inactive_lifetime));
                Ok(None)
            }
            // The issuer was not asked.
            Err(error) if error.kind() == FetchErrorKind::TooManyWaiting => Err(error),
            Err(error) => {
                // The pause begins at the end of the question.
                let lifespan = Lifespan {
                    asked: Timestamp::at(self.clock.since_epoch()),
                    length: PAUSE,
                };
                memory.keep_failure(self.digest, error.clone(), lifespan);
                Err(error)
            }
        }
    }
}

impl Drop for RunningFlight {
    fn drop(&mut self) {
        let questions = &self.questions;
        let is_current = || {
            let flights = questions.flights();
            let flight = flights.by_token.get(&self.digest);
            flight.is_some_and(|flight| flight.number == self.number)
        };
        if !is_current() {
            return;
        }
        let reply = match self.reply.take() {
            None if std::thread::panicking() => Some(Err(FetchErrorKind::Panic.into())),
            reply => reply,
        };
        let outcome = reply.map(|reply| self.keep(reply));
        questions.flights().remove(&self.digest);
        match &outcome {
            Some(Ok(_)) => *questions.last_error() = None,
            Some(Err(error)) => {
                *questions.last_error() = Some(error.clone());
                let now = self.clock.since_epoch();
                report(&questions.log, &questions.endpoint.issuer, error, now);
            }
            None => {}
        }
        self.sender.send_replace(outcome);
    }
}

/// One waiting request, removed from the total when dropped.
struct WaitingRequest<'a>(&'a AtomicUsize);

impl<'a> WaitingRequest<'a> {
    fn begin(count: &'a AtomicUsize) -> Result<Self, FetchError> {
        let waiting = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) < MAX_WAITING {
            Ok(waiting)
        } else {
            Err(FetchErrorKind::TooManyWaiting.into())
        }
    }
}

impl Drop for WaitingRequest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
