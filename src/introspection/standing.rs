//! Limits and turns of known tokens, apart from those of new ones: a flood of random tokens must
//! not lock out the users whose answers are due again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// One of every four questions on their way is reserved for known tokens.
const RESERVED_PART: usize = 4;

/// How often a question looks whether it is its turn, besides when one has ended. The task that was
/// woken may be in a runtime that nobody drives.
const POLL: Duration = Duration::from_millis(50);

/// Whether the issuer's last answer, if it is still remembered, says that the token is active.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Known,
    New,
}

#[derive(Default)]
pub(super) struct ByStanding<T> {
    pub(super) known: T,
    pub(super) new: T,
}

impl<T> ByStanding<T> {
    pub(super) fn of(&self, standing: Standing) -> &T {
        match standing {
            Standing::Known => &self.known,
            Standing::New => &self.new,
        }
    }
}

/// A question needs a turn while it is on its way. New tokens never take those that are reserved.
pub(super) struct Turns {
    most: usize,
    most_of_new: usize,
    /// After this time a turn is taken back: no runtime drives its task.
    longest: Duration,
    taken: Mutex<Vec<TakenTurn>>,
    ended: ByStanding<Notify>,
}

struct TakenTurn {
    number: u64,
    standing: Standing,
    began: Instant,
}

/// The turn of a question, which ends when this is dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    number: u64,
}

impl Turns {
    pub(super) fn new(most: usize, longest: Duration) -> Self {
        let reserved = most.checked_div(RESERVED_PART).unwrap_or_default();
        Self {
            most,
            most_of_new: most.saturating_sub(reserved),
            longest,
            taken: Mutex::default(),
            ended: ByStanding::default(),
        }
    }

    /// Waits for a turn. `number`: that of the question, which no other one has.
    pub(super) async fn take(&self, number: u64, standing: Standing) -> Turn<'_> {
        while !self.try_take(number, standing) {
            let _ = timeout(POLL, self.ended.of(standing).notified()).await;
        }
        Turn {
            turns: self,
            number,
        }
    }

    fn try_take(&self, number: u64, standing: Standing) -> bool {
        let mut taken = self.taken();
        // The first is the oldest.
        let is_overdue = |turn: &TakenTurn| turn.began.elapsed() >= self.longest;
        if taken.first().is_some_and(is_overdue) {
            taken.retain(|turn| !is_overdue(turn));
        }
        if !self.has_room(&taken, standing) {
            return false;
        }
        taken.push(TakenTurn {
            number,
            standing,
            began: Instant::now(),
        });
        true
    }

    fn has_room(&self, taken: &[TakenTurn], standing: Standing) -> bool {
        let is_new = |turn: &&TakenTurn| turn.standing == Standing::New;
        taken.len() < self.most
            && (standing == Standing::Known
                || taken.iter().filter(is_new).count() < self.most_of_new)
    }

    fn taken(&self) -> MutexGuard<'_, Vec<TakenTurn>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.taken().retain(|turn| turn.number != self.number);
        self.turns.ended.known.notify_one();
        self.turns.ended.new.notify_one();
    }
}
