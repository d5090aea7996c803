//! What happened, what was checked, and what was violated.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The invariants. See the head of `main.rs`.
pub(crate) const INVARIANTS: [&str; 9] = [
    "I1 revoked stays revoked",
    "I2 new nodes know",
    "I3 blocked gets no token",
    "I3 dead sessions do not renew",
    "I3 generations rise",
    "I3 reuse and successors",
    "I4 nothing else is refused",
    "I5 nodes heal",
    "I6 memory and stream",
];

#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    pub(crate) text: String,
    pub(crate) at: Instant,
    pub(crate) tags: Vec<String>,
}

pub(crate) struct Record {
    pub(crate) began: Instant,
    events: Mutex<Vec<(Instant, String, String)>>,
    pub(crate) counts: Mutex<BTreeMap<String, u64>>,
    violations: Mutex<Vec<Violation>>,
    is_verbose: bool,
}

/// The tag of events that concern everything.
pub(crate) const FAULT: &str = "fault";

/// How far back the printed history reaches, and how many of its events are printed.
const REACH: Duration = Duration::from_secs(12);
const MOST_EVENTS: usize = 60;

/// How many violations are printed with their history.
const MOST_VIOLATIONS: usize = 3;

impl Record {
    pub(crate) fn new(is_verbose: bool) -> Self {
        Self {
            began: Instant::now(),
            events: Mutex::default(),
            counts: Mutex::default(),
            violations: Mutex::default(),
            is_verbose,
        }
    }

    pub(crate) fn count(&self, group: &str, name: &str) {
        self.count_many(group, name, 1);
    }

    pub(crate) fn count_many(&self, group: &str, name: &str, number: u64) {
        let mut counts = self.counts.lock().unwrap();
        *counts.entry(format!("{group}: {name}")).or_default() += number;
    }

    /// `tag`: a subject, or `FAULT`.
    pub(crate) fn event(&self, tag: &str, text: String) {
        if self.is_verbose && tag == FAULT {
            println!("{:9.3} {text}", self.began.elapsed().as_secs_f64());
        }
        let mut events = self.events.lock().unwrap();
        events.push((Instant::now(), tag.to_owned(), text));
    }

    /// Counts a check of an invariant, and notes it if it is violated.
    pub(crate) fn check(
        &self,
        invariant: &'static str,
        holds: bool,
        tag: &str,
        text: impl FnOnce() -> String,
    ) {
        self.count("check", invariant);
        if holds {
            return;
        }
        self.count("violation", invariant);
        let tags = vec![tag.to_owned(), FAULT.to_owned()];
        let mut violations = self.violations.lock().unwrap();
        // One finding shows in many look-ups.
        if violations
            .iter()
            .any(|known| known.invariant == invariant && known.tags == tags)
        {
            return;
        }
        let text = text();
        let at = Instant::now();
        self.event(tag, format!("VIOLATION of {invariant}: {text}"));
        violations.push(Violation {
            invariant,
            text,
            at,
            tags,
        });
    }

    pub(crate) fn has_violations(&self) -> bool {
        !self.violations.lock().unwrap().is_empty()
    }

    /// The violated invariants, each with the part of the history that concerns it.
    pub(crate) fn print_violations(&self, seed: u64, mode: &str) {
        let events = self.events.lock().unwrap();
        let time = |at: Instant| at.duration_since(self.began).as_secs_f64();
        let violations = self.violations.lock().unwrap();
        for Violation {
            invariant,
            text,
            at,
            ..
        } in violations.iter()
        {
            println!(
                "FOUND SEED={seed} mode={mode} {:.3} s, {invariant}: {text}",
                time(*at)
            );
        }
        for Violation {
            invariant,
            text,
            at,
            tags,
        } in violations.iter().take(MOST_VIOLATIONS)
        {
            println!("\nVIOLATED at {:.3} s, {invariant}", time(*at));
            println!("  {text}\n  SEED={seed} mode={mode}; before it:");
            let is_near = |then: &Instant| *then <= *at && at.duration_since(*then) < REACH;
            let part: Vec<_> = events
                .iter()
                .filter(|(then, tag, _)| is_near(then) && tags.contains(tag))
                .collect();
            for (then, _, text) in part.iter().skip(part.len().saturating_sub(MOST_EVENTS)) {
                println!("  {:9.3} {text}", time(*then));
            }
        }
    }
}
