//! Limits and permits of known tokens, apart from those of new ones: a flood of random tokens must
//! not lock out the users whose answers are due again.

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

/// One of so many questions on their way is reserved for known tokens.
const RESERVED_PART: usize = 4;

/// Whether the issuer said that the token is active when it was last asked.
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

/// A question needs permits while it is on its way: one of all, and before that one for new tokens
/// if its token is new. So new tokens never take the permits that are reserved.
pub(super) struct Turns {
    all: Semaphore,
    new: Semaphore,
}

impl Turns {
    pub(super) fn new(most: usize) -> Self {
        let reserved = most.checked_div(RESERVED_PART).unwrap_or_default();
        Self {
            all: Semaphore::new(most),
            new: Semaphore::new(most.saturating_sub(reserved)),
        }
    }

    /// Waits for the permits, which are there while the answer lives.
    pub(super) async fn take(&self, standing: Standing) -> Turn<'_> {
        let of_new = match standing {
            Standing::Known => None,
            Standing::New => Some(self.new.acquire().await),
        };
        let of_all = self.all.acquire().await;
        Turn {
            _of_new: of_new,
            _of_all: of_all,
        }
    }
}

type Permit<'a> = Result<SemaphorePermit<'a>, AcquireError>;

/// Drops in this order, so that new tokens never have too many of all.
pub(super) struct Turn<'a> {
    _of_all: Permit<'a>,
    _of_new: Option<Permit<'a>>,
}
