//! What the checker knows of nodes, servers and faults: who lives, since when nothing was wrong,
//! and when servers may have lost writes.

use std::time::{Duration, Instant};

/// How long after a loss, with nothing else wrong, until what any living node knew is known to the
/// server again. The docs of the store say "a second or so", and that a node notices after half of
/// `max_staleness` at the latest. Two seconds at `max_staleness` = 1 second.
pub(crate) fn after_loss(max_staleness: Duration) -> Duration {
    max_staleness / 2 + Duration::from_millis(1500)
}

/// How long after the last fault until a node is fresh. A dead connection is given up after 1.5 s,
/// the attempt at the next one after 5 s, two such attempts are a second apart at most, and then
/// the state is read.
pub(crate) const HEALS_WITHIN: Duration = Duration::from_secs(10);

/// A node from its start to its end.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) name: String,
    /// When its start began, and when it was ready.
    pub(crate) born: Instant,
    pub(crate) ready: Option<Instant>,
    pub(crate) died: bool,
    faults: u32,
    clean_since: Instant,
}

/// A time in which a server may have lost writes, and when it ended.
#[derive(Debug)]
struct Loss {
    end: Option<Instant>,
    /// But for those that a replica had: it took the server's place.
    keeps_replicated: bool,
}

impl Loss {
    fn is_since(&self, then: Instant) -> bool {
        self.end.is_none_or(|end| end >= then)
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) max_staleness: Duration,
    /// Whether acknowledged writes are on a replica.
    pub(crate) is_replicated: bool,
    pub(crate) lives: Vec<Life>,
    faults: u32,
    clean_since: Instant,
    losses: Vec<Loss>,
}

impl World {
    pub(crate) fn new(max_staleness: Duration, is_replicated: bool) -> Self {
        Self {
            max_staleness,
            is_replicated,
            lives: Vec::new(),
            faults: 0,
            clean_since: Instant::now(),
            losses: Vec::new(),
        }
    }

    pub(crate) fn is_born(&mut self, name: String, born: Instant) -> usize {
        self.lives.push(Life {
            name,
            born,
            ready: None,
            died: false,
            faults: 0,
            clean_since: born,
        });
        self.lives.len() - 1
    }

    /// Something is wrong with the servers, or the way to them, or with one node.
    pub(crate) fn begin_fault(&mut self, life: Option<usize>) {
        match life {
            Some(life) => self.lives[life].faults += 1,
            None => self.faults += 1,
        }
    }

    pub(crate) fn end_fault(&mut self, life: Option<usize>) {
        let now = Instant::now();
        match life {
            Some(life) => {
                self.lives[life].faults -= 1;
                self.lives[life].clean_since = now;
            }
            None => {
                self.faults -= 1;
                self.clean_since = now;
            }
        }
    }

    /// The machine was busy with something else, for so long that no window can be trusted.
    pub(crate) fn stall(&mut self) {
        self.clean_since = Instant::now();
    }

    pub(crate) fn begin_loss(&mut self, keeps_replicated: bool) {
        self.faults += 1;
        self.losses.push(Loss {
            end: None,
            keeps_replicated,
        });
    }

    pub(crate) fn end_loss(&mut self) {
        if let Some(loss) = self.losses.last_mut() {
            loss.end = Some(Instant::now());
        }
        self.end_fault(None);
    }

    /// Whether a loss goes on.
    pub(crate) fn is_losing(&self) -> bool {
        self.losses.iter().any(|loss| loss.end.is_none())
    }

    /// A loss that nobody made has been noticed. Until `end` it may go on.
    pub(crate) fn add_loss(&mut self, end: Instant) {
        self.losses.push(Loss {
            end: Some(end),
            keeps_replicated: false,
        });
        self.clean_since = end;
    }

    /// Whether what was begun then may have been lost since.
    pub(crate) fn lost_since(&self, then: Instant) -> bool {
        self.losses.iter().any(|loss| loss.is_since(then))
    }

    /// The same of what a replica had before it was acknowledged.
    pub(crate) fn lost_replicated_since(&self, then: Instant) -> bool {
        self.losses
            .iter()
            .any(|loss| !loss.keeps_replicated && loss.is_since(then))
    }

    pub(crate) fn count_of_losses(&self) -> usize {
        self.losses.len()
    }

    /// Since when nothing is wrong with the servers and this node.
    pub(crate) fn clean_since(&self, life: usize) -> Option<Instant> {
        let life = &self.lives[life];
        let is_clean = self.faults == 0 && life.faults == 0 && !life.died;
        let ready = life.ready?;
        is_clean.then(|| life.clean_since.max(self.clean_since).max(ready))
    }

    /// Since when nothing is wrong with the servers.
    pub(crate) fn servers_clean_since(&self) -> Option<Instant> {
        (self.faults == 0).then_some(self.clean_since)
    }
}
