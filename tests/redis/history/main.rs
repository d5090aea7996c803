//! A checker of random histories over Redis with faults: nodes log in, renew, log out, block and
//! revoke, while servers and the ways to them fail. It records what was acknowledged, looks up
//! every token on every node, and holds the answers against what the store's docs promise.
//!
//! `bash tests/redis/history.sh` runs it. The invariants:
//!
//! | invariant | what must hold |
//! | --- | --- |
//! | I1 | what was acknowledged as revoked, or was seen by a living node, is revoked on every fresh node once it had time to get there; on the node that acknowledged or saw it at once and for ever |
//! | I2 | the same on a node that starts afterwards and is ready |
//! | I3 | a blocked subject gets no token; a dead session never renews, and is not listed; generations only rise; an old refresh token ends its session, and each has one successor |
//! | I4 | what nobody has ended is not refused |
//! | I5 | nodes are fresh, and calls succeed, within a bounded time after the last fault |
//! | I6 | nodes hold no more than was revoked, and the stream is bounded |
//!
//! The docs permit some losses, and nothing else is excused:
//!
//! - A call that failed may have happened or not.
//! - Revocations that a server has lost, and that no living node knew of. While a living node knows,
//!   others must know again within `world::after_loss` of the loss, with nothing else wrong.
//! - Sessions that a server has lost.
//! - A node may be behind by `max_staleness`, unless `revoke_and_wait` has returned.
//!
//! A seed decides which operations and faults there are, with their arguments, and their order for
//! each worker. Time stays real: what a fault meets differs from run to run, and a seed that has
//! failed may need a few runs to fail again.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a checker that panics fails, and real servers go by real time"
)]

mod check;
mod clients;
mod faults;
mod front;
mod group;
mod logins;
mod looks;
mod model;
mod node;
mod plan;
mod programs;
mod random;
mod record;
mod renewals;
mod run;
#[path = "../server.rs"]
#[expect(dead_code, reason = "the tests of the store use more of it")]
mod server;
mod service;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::SystemTime;

use group::Kind;
use record::INVARIANTS;

#[derive(Clone, Copy)]
pub(crate) struct Mode {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) has_processes: bool,
}

const MODES: [Mode; 4] = [
    Mode {
        name: "single",
        kind: Kind::Single,
        has_processes: false,
    },
    Mode {
        name: "processes",
        kind: Kind::Single,
        has_processes: true,
    },
    Mode {
        name: "sentinel",
        kind: Kind::Sentinel,
        has_processes: false,
    },
    Mode {
        name: "cluster",
        kind: Kind::Cluster,
        has_processes: false,
    },
];

pub(crate) struct Arguments {
    modes: Vec<Mode>,
    seeds: Vec<u64>,
    pub(crate) seconds: u64,
    pub(crate) is_verbose: bool,
    /// Faults of this kind alone, by its name in the summary.
    pub(crate) only: Option<String>,
}

fn arguments() -> Result<Arguments, lexopt::Error> {
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_env();
    let mut count = 1;
    let mut arguments = Arguments {
        modes: MODES.to_vec(),
        seeds: Vec::new(),
        seconds: 30,
        is_verbose: false,
        only: None,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("mode") => {
                let name = parser.value()?.string()?;
                arguments.modes.retain(|mode| mode.name == name);
                if arguments.modes.is_empty() {
                    return Err("a mode is single, processes, sentinel or cluster".into());
                }
            }
            Long("seed") => arguments.seeds.push(parser.value()?.parse()?),
            Long("seeds") => count = parser.value()?.parse()?,
            Long("seconds") => arguments.seconds = parser.value()?.parse()?,
            Long("fault") => arguments.only = Some(parser.value()?.string()?),
            Long("verbose") => arguments.is_verbose = true,
            _ => return Err(argument.unexpected()),
        }
    }
    if arguments.seeds.is_empty() {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let first = u64::from(now.subsec_nanos());
        arguments.seeds = (first..first + count).collect();
    }
    Ok(arguments)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    if let [_, what, setup, deadline] = &words[..]
        && what == "--node"
    {
        runtime.block_on(node::serve(setup, deadline));
        return ExitCode::SUCCESS;
    }
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut all_hold = true;
    for mode in &arguments.modes {
        let mut counts = BTreeMap::new();
        for seed in &arguments.seeds {
            let check = check::check(*mode, *seed, &arguments);
            all_hold &= runtime.block_on(check).add_to(&mut counts);
        }
        all_hold &= summarise(mode.name, arguments.seeds.len(), &counts);
    }
    match all_hold {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Prints how often what was done. An invariant that was never checked is a failure too.
fn summarise(mode: &str, seeds: usize, counts: &BTreeMap<String, u64>) -> bool {
    println!("\n{mode}, {seeds} seeds:");
    for group in [
        "operation",
        "fault",
        "skipped",
        "check",
        "note",
        "violation",
    ] {
        let start = format!("{group}: ");
        let parts = counts
            .iter()
            .filter_map(|(name, count)| Some(format!("{} {count}", name.strip_prefix(&start)?)));
        let parts: Vec<_> = parts.collect();
        if !parts.is_empty() {
            println!("  {group}: {}", parts.join(", "));
        }
    }
    let never = INVARIANTS
        .iter()
        .filter(|name| !counts.contains_key(&format!("check: {name}")));
    let never: Vec<_> = never.collect();
    if !never.is_empty() {
        println!("  NEVER CHECKED: {never:?}");
    }
    never.is_empty()
}
