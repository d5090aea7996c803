//! Which operations and faults a seed makes. They depend on nothing but the seed; when they happen,
//! and what they meet, is up to the machine.

use std::time::Duration;

use crate::group::Kind;
use crate::random::Random;
use crate::world::after_loss;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Login,
    /// By the current refresh token, the one before, or one long gone.
    Refresh(usize),
    /// By the refresh token of a session that has ended.
    RefreshEnded,
    /// Two renewals at once by the same token, on two nodes.
    Race,
    Logout,
    EndSession,
    LogoutEverywhere,
    Block,
    Unblock,
    RevokeToken {
        waits: bool,
    },
    RevokeSession,
    /// A token of an issuer that knows neither sessions nor generations.
    Mint,
    Cutoff,
    List,
    Subject,
}

/// An operation with its arguments. Choices are numbers, of which the rest by what there is counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) pause: Duration,
    pub(crate) operation: Operation,
    pub(crate) node: usize,
    pub(crate) other_node: usize,
    pub(crate) subject: usize,
    pub(crate) pick: usize,
}

pub(crate) fn step(random: &mut Random) -> Step {
    use Operation::*;
    let operation = random.weighted(&[
        (24, Login),
        (22, Refresh(0)),
        (8, Refresh(1)),
        (3, Refresh(2)),
        (8, RefreshEnded),
        (6, Race),
        (7, Logout),
        (3, EndSession),
        (4, LogoutEverywhere),
        (4, Block),
        (7, Unblock),
        (6, RevokeToken { waits: false }),
        (4, RevokeToken { waits: true }),
        (3, RevokeSession),
        (6, Mint),
        (2, Cutoff),
        (4, List),
        (4, Subject),
    ]);
    Step {
        pause: Duration::from_millis(random.between(20, 250)),
        operation,
        node: random.below(1 << 20),
        other_node: random.below(1 << 20),
        subject: random.below(1 << 20),
        pick: random.below(1 << 20),
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// FLUSHALL.
    Flush,
    /// DEL of one of the store's keys.
    Delete(usize),
    /// The replica takes the master's place, which is killed or still runs. Before that the replica
    /// is told nothing for a while.
    Replace {
        kills: bool,
        lag: u64,
        rejoins_after: u64,
    },
    /// The master is killed and started again.
    Restart {
        keeps_file: bool,
        down: u64,
    },
    FreezeServer {
        time: u64,
    },
    FreezeNode {
        node: usize,
        time: u64,
    },
    /// Another node starts in its place.
    KillNode {
        node: usize,
        down: u64,
    },
    Partition {
        node: usize,
        time: u64,
    },
    /// Answers to those who read the stream come late.
    HoldReads {
        node: Option<usize>,
        time: u64,
    },
    /// Calls are carried out, and their answers are lost.
    LoseAnswers {
        node: usize,
        time: u64,
    },
    HoldReplication {
        time: u64,
    },
    Delay {
        by: u64,
        time: u64,
    },
    Cut {
        node: Option<usize>,
    },
    /// A server's clock is that much behind.
    Clock {
        server: usize,
        behind: i64,
    },
    /// Everything is lost; while nodes write it back they cannot read the stream, and the replica
    /// that takes the master's place has the first part of it.
    LostPage {
        wait: u64,
        lag: u64,
        held: u64,
    },
    /// A call is carried out and read by its node, and its answer is lost. On the replica that
    /// takes the master's place, whose clock is behind, others write, and then the call is made
    /// again.
    RepeatedCall {
        node: usize,
        repeated_after: u64,
    },
}

impl Fault {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Flush => "flush",
            Self::Delete(_) => "delete a key",
            Self::Replace { kills: true, .. } => "kill the master, promote",
            Self::Replace { .. } => "promote",
            Self::Restart {
                keeps_file: true, ..
            } => "restart with file",
            Self::Restart { .. } => "restart without file",
            Self::FreezeServer { .. } => "freeze the server",
            Self::FreezeNode { .. } => "freeze a node",
            Self::KillNode { .. } => "kill a node",
            Self::Partition { .. } => "partition a node",
            Self::HoldReads { .. } => "hold reads",
            Self::LoseAnswers { .. } => "lose answers",
            Self::HoldReplication { .. } => "hold replication",
            Self::Delay { .. } => "delay",
            Self::Cut { .. } => "cut connections",
            Self::Clock { .. } => "step a server's clock",
            Self::LostPage { .. } => "lose a restored page",
            Self::RepeatedCall { .. } => "repeat a call",
        }
    }
}

/// What a seed decides once.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) nodes: usize,
    pub(crate) workers: usize,
    pub(crate) subjects: usize,
    pub(crate) ballast: usize,
    /// The servers keep an append-only file, and sync always.
    pub(crate) keeps_file: bool,
    pub(crate) replicas: usize,
    pub(crate) max_staleness: Duration,
    pub(crate) has_processes: bool,
}

impl Frame {
    pub(crate) fn of(seed: u64, kind: Kind, has_processes: bool) -> Self {
        let mut random = Random::new(seed, 1000);
        Self {
            nodes: 2 + random.below(3),
            workers: 4,
            subjects: 3 + random.below(3),
            ballast: 1000 * (1 + random.below(5)),
            keeps_file: random.percent(40),
            // Of two replicas one may be promoted that was not waited for, and where the only one
            // was promoted no call succeeds until there is another.
            replicas: usize::from(random.percent(20) && kind == Kind::Single),
            max_staleness: random.weighted(&[
                (3, Duration::from_secs(1)),
                (1, Duration::from_secs(2)),
                (2, Duration::from_secs(5)),
            ]),
            // Of a Cluster's seeds every other one.
            has_processes: has_processes || kind == Kind::Cluster && seed.is_multiple_of(2),
        }
    }
}

/// The next fault, and how long to wait before it. Most come in quick succession, so that one meets
/// what another has begun.
pub(crate) fn fault(random: &mut Random, frame: &Frame) -> (Duration, Fault) {
    // Long enough for what was lost to be back, and for that to be checked.
    let window = u64::try_from(after_loss(frame.max_staleness).as_millis()).unwrap();
    let pause = match random.percent(60) {
        true => random.between(5, 600),
        false => window + random.between(500, 3000),
    };
    let node = random.below(frame.nodes);
    let time = random.between(50, 3000);
    let some = random.percent(70).then_some(node);
    let lag = match random.percent(50) {
        true => 0,
        false => random.between(20, 800),
    };
    let down = random.between(0, 1500);
    // A node whose sign of life is not to be read for longer reads everything again.
    let staleness = u64::try_from(frame.max_staleness.as_millis()).unwrap();
    let most = (staleness / 2).saturating_sub(250).min(800);
    let all = [
        (6, Fault::Flush),
        (2, Fault::Delete(random.below(4))),
        (
            7,
            Fault::Replace {
                kills: true,
                lag,
                rejoins_after: down,
            },
        ),
        (
            5,
            Fault::Replace {
                kills: false,
                lag,
                rejoins_after: 0,
            },
        ),
        (
            4,
            Fault::Restart {
                keeps_file: frame.keeps_file,
                down,
            },
        ),
        (
            2,
            Fault::Restart {
                keeps_file: false,
                down,
            },
        ),
        (
            3,
            Fault::FreezeServer {
                time: time.min(2500),
            },
        ),
        (
            if frame.has_processes { 7 } else { 0 },
            Fault::FreezeNode { node, time },
        ),
        (6, Fault::KillNode { node, down }),
        (5, Fault::Partition { node, time }),
        (
            6,
            Fault::HoldReads {
                node: some,
                time: time.min(1500),
            },
        ),
        (
            6,
            Fault::LoseAnswers {
                node,
                time: time.min(900),
            },
        ),
        (5, Fault::HoldReplication { time }),
        (
            3,
            Fault::Delay {
                by: random.between(5, 120),
                time,
            },
        ),
        (6, Fault::Cut { node: some }),
        (
            4,
            Fault::Clock {
                server: random.below(6),
                behind: [0, 300, 900][random.below(3)],
            },
        ),
        (
            5,
            Fault::LostPage {
                wait: random.between(0, 60),
                lag: random.between(50, most),
                held: most + 100,
            },
        ),
        (
            5,
            Fault::RepeatedCall {
                node,
                repeated_after: random.between(300, 850),
            },
        ),
    ];
    let fault = random.weighted(&all);
    (Duration::from_millis(pause), fault)
}
