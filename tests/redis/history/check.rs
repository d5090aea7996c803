//! One seed: starts everything, lets it run and fail, heals it, and looks at what is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tower_jwt_auth::store::redis::client::cmd;

use crate::clients::keep_working;
use crate::faults::Faults;
use crate::group::Group;
use crate::looks;
use crate::model::Status;
use crate::plan::Frame;
use crate::record::FAULT;
use crate::run::Run;
use crate::wire::{Answer, Request};
use crate::world::{HEALS_WITHIN, after_loss};
use crate::{Arguments, Mode};

/// What came of a seed.
pub(crate) struct Outcome {
    counts: BTreeMap<String, u64>,
    holds: bool,
}

impl Outcome {
    /// Adds what was counted. Whether all held.
    pub(crate) fn add_to(self, counts: &mut BTreeMap<String, u64>) -> bool {
        for (name, count) in self.counts {
            *counts.entry(name).or_default() += count;
        }
        self.holds
    }
}

pub(crate) async fn check(mode: Mode, seed: u64, arguments: &Arguments) -> Outcome {
    let Arguments {
        seconds,
        is_verbose,
        ..
    } = *arguments;
    let frame = Frame::of(seed, mode.kind, mode.has_processes);
    println!("SEED={seed} mode={} {seconds} s: {frame:?}", mode.name);
    let group = Group::start(mode.kind, frame.keeps_file).await;
    let (rules, address) = (group.rules.clone(), group.address());
    let run = Arc::new(Run::new(
        seed,
        frame,
        rules,
        address,
        is_verbose,
        arguments.only.clone(),
    ));
    // The others read it in pages, which is faster than entry by entry.
    run.fill(0).await;
    run.lay_ballast().await;
    for slot in 1..run.frame.nodes {
        run.fill(slot).await;
    }
    run.read_ballast().await;
    let mut tasks = vec![
        tokio::spawn(Arc::clone(&run).watch_stalls()),
        tokio::spawn(Arc::clone(&run).watch_failovers(group.epoch())),
        tokio::spawn(looks::keep_visiting(Arc::clone(&run))),
    ];
    for worker in 0..run.frame.workers {
        tasks.push(tokio::spawn(keep_working(Arc::clone(&run), worker as u64)));
    }
    for slot in 0..run.frame.nodes {
        tasks.push(tokio::spawn(looks::keep_looking(Arc::clone(&run), slot)));
    }
    let mut faults = Faults {
        run: Arc::clone(&run),
        group,
    };
    faults
        .keep_failing(Instant::now() + Duration::from_secs(seconds))
        .await;
    heal(&run, &mut faults).await;
    run.stops.store(true, Ordering::SeqCst);
    for task in tasks {
        // A panic of a task is one of the checker.
        task.await.unwrap();
    }
    look_at_everything(&run).await;
    check_bounds(&run, &faults.group).await;
    run.record.print_violations(seed, mode.name);
    let counts = run.record.counts.lock().unwrap().clone();
    Outcome {
        counts,
        holds: !run.record.has_violations(),
    }
}

/// Nothing fails any more. All nodes are fresh in time, and know by then what any of them knew.
async fn heal(run: &Run, faults: &mut Faults) {
    // For so long the longest fault that goes on beside others.
    tokio::time::sleep(Duration::from_millis(3200)).await;
    run.rules.clear();
    faults.group.heal().await;
    for slot in 0..run.frame.nodes {
        let is_empty = || run.slots.lock().unwrap()[slot].is_none();
        while is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    run.record.event(FAULT, "everything is healed".to_owned());
    let healed = Instant::now();
    for living in run.living() {
        let is_fresh = |state: &Answer| matches!(state, Answer::State { is_fresh: true, .. });
        // A stall of the machine counts as a fault.
        let is_in_time = || {
            let clean_since = run.model().world.clean_since(living.life);
            healed.elapsed() < HEALS_WITHIN
                || clean_since.is_none_or(|since| since.elapsed() < HEALS_WITHIN)
        };
        let mut state = living.node.ask(Request::State).await;
        while !is_fresh(&state) && is_in_time() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            state = living.node.ask(Request::State).await;
        }
        let is_fresh = is_fresh(&state);
        if !is_fresh {
            faults.group.describe();
        }
        run.record.check("I5 nodes heal", is_fresh, FAULT, || {
            let name = run.name(living.life);
            format!("{name} is not fresh {HEALS_WITHIN:?} after the last fault: {state:?}")
        });
    }
    let max_staleness = run.frame.max_staleness;
    tokio::time::sleep(after_loss(max_staleness) + max_staleness).await;
    // With operations still going on.
    tokio::time::sleep(Duration::from_secs(1)).await;
}

async fn look_at_everything(run: &Run) {
    let nodes = run.living();
    let all: Vec<usize> = (0..run.model().tokens.len()).collect();
    for living in &nodes {
        looks::at_tokens(run, living, all.clone()).await;
        looks::at_ballast(run, living).await;
    }
    let is_ready = looks::visit(run).await;
    run.record.check("I5 nodes heal", is_ready, FAULT, || {
        "a node that starts at the end is not ready".to_owned()
    });
    for (number, living) in nodes.iter().enumerate() {
        let request = Request::Login {
            subject: format!("last-{number}"),
        };
        let answer = living.node.ask(request).await;
        let is_logged_in = matches!(answer, Answer::Pair { .. });
        run.record.check("I5 nodes heal", is_logged_in, FAULT, || {
            format!(
                "{} answers {answer:?} to a login at the end",
                run.name(living.life)
            )
        });
    }
}

/// How far the stream reaches back at most: it is trimmed at a checkpoint that is one to two
/// minutes old. Trimming drops whole parts of 100 entries.
const RETENTION: Duration = Duration::from_secs(120);
const TRIMMED_LATE: Duration = Duration::from_secs(15);
const PARTS: u64 = 200;

async fn check_bounds(run: &Run, group: &Group) {
    const I6: &str = "I6 memory and stream";
    let (revoked, losses) = {
        let model = run.model();
        let live = model
            .causes
            .iter()
            .filter(|cause| cause.status != Status::Void);
        (
            live.count() + run.frame.ballast,
            model.world.count_of_losses(),
        )
    };
    // Generation, block and cutoff.
    let most = revoked + 3 * run.frame.subjects;
    for living in run.living() {
        let state = living.node.ask(Request::State).await;
        let Answer::State {
            subjects,
            entries,
            bytes,
            ..
        } = state
        else {
            continue;
        };
        let is_bounded =
            subjects <= run.frame.subjects && entries <= most && bytes <= (1 << 20) + 64 * most;
        run.record.check(I6, is_bounded, FAULT, || {
            format!("{subjects} subjects, {entries} entries of {most}, {bytes} bytes")
        });
    }
    let master = group.master().await;
    let length: u64 = group
        .ask(master, cmd("XLEN").arg("{jwt}:stream"))
        .unwrap_or(0);
    let operations: u64 = {
        let counts = run.record.counts.lock().unwrap();
        let operations = counts
            .iter()
            .filter(|(name, _)| name.starts_with("operation"));
        operations.map(|(_, count)| count).sum()
    };
    // Signs of life, up to ten a second; what operations write; and what is written back.
    let nodes = run.frame.nodes + 2;
    let written_back = (losses + 1) * nodes * most;
    let seconds = (RETENTION + TRIMMED_LATE).as_secs();
    let longest = seconds * nodes as u64 * 10 + 6 * operations + written_back as u64;
    run.record.check(I6, length <= longest, FAULT, || {
        format!("the stream has {length} entries, and {longest} at most were written")
    });
    let mut first = cmd("XRANGE");
    first
        .arg("{jwt}:stream")
        .arg("-")
        .arg("+")
        .arg("COUNT")
        .arg(1);
    let first: Option<Vec<(String, Vec<String>)>> = group.ask(master, &first);
    let time: Option<(u64, u64)> = group.ask(master, &cmd("TIME"));
    if let (Some(first), Some((now, _))) = (first, time)
        && let Some((id, _)) = first.first()
    {
        let written: u64 = id.split('-').next().unwrap().parse().unwrap();
        let age = now.saturating_sub(written / 1000);
        run.record
            .check(I6, age <= seconds || length <= PARTS, FAULT, || {
                format!("the stream's first entry is {age} s old")
            });
    }
}
