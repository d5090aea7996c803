//! Looks tokens up on nodes, and holds the answers against the model: I1, I2, I4, I5.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::model::{Model, Status};
use crate::random::Random;
use crate::record::FAULT;
use crate::run::{Living, Run};
use crate::wire::{Answer, Request};
use crate::world::HEALS_WITHIN;

/// What an answer about a token must be.
struct Expected {
    token: usize,
    /// The node must say that it is revoked: it has acknowledged that, or said so before.
    must: bool,
    /// It must not say that it is not.
    must_not_pass: bool,
    /// What was acknowledged was that before the node was born.
    is_new: bool,
    /// Nobody has ever tried to revoke it, and nothing was lost since.
    is_valid: bool,
    why: String,
}

fn expected(model: &Model, token: usize, life: usize, now: Instant) -> Expected {
    let issued = &model.tokens[token];
    let born = model.world.lives[life].born;
    let mut expected = Expected {
        token,
        must: issued.seen_by.contains(&life),
        must_not_pass: false,
        is_new: false,
        is_valid: false,
        why: "it has said so before".to_owned(),
    };
    let mut live = 0;
    for &number in &issued.causes {
        let cause = &model.causes[number];
        live += usize::from(cause.status != Status::Void);
        if !cause.covers(issued) || !model.requires(cause, life, now) {
            continue;
        }
        let was_known = expected.must || expected.must_not_pass;
        if cause.holders.contains(&life) {
            expected.must = true;
        } else {
            expected.must_not_pass = true;
        }
        expected.is_new |= cause.end.is_some_and(|end| end < born);
        if !was_known {
            let age = cause
                .end
                .map_or(Duration::ZERO, |end| now.duration_since(end));
            let holds = cause.holders.contains(&life);
            expected.why = format!(
                "{:?} was acknowledged {age:?} ago, {:?}, {}",
                cause.what,
                cause.safety,
                if holds {
                    "by this node or seen there"
                } else {
                    "elsewhere"
                }
            );
        }
    }
    let lost = model.world.lost_since(issued.begun);
    // A node that is stale, or was so until now, goes by an old block.
    let late = model.world.max_staleness + Duration::from_secs(1);
    let clean_since = model.world.clean_since(life);
    let is_current = clean_since.is_some_and(|since| since + late < now)
        && !model.is_lift_unread(&issued.token.subject, now);
    expected.is_valid = live == 0 && issued.is_settled && !lost && is_current;
    expected
}

/// Looks at these tokens, on this node.
pub(crate) async fn at_tokens(run: &Run, living: &Living, tokens: Vec<usize>) {
    let life = living.life;
    let (expectations, request) = {
        let mut model = run.model();
        model.settle();
        let now = Instant::now();
        let of = |token: &usize| expected(&model, *token, life, now);
        let expectations: Vec<_> = tokens.iter().map(of).collect();
        let of = |token: &usize| model.tokens[*token].token.clone();
        (
            expectations,
            Request::Look {
                tokens: tokens.iter().map(of).collect(),
            },
        )
    };
    let Answer::Looked(answers) = living.node.ask(request).await else {
        return;
    };
    check_freshness(run, life, answers.contains('-'));
    for (expected, answer) in expectations.iter().zip(answers.chars()) {
        check(run, life, expected, answer);
    }
}

fn check(run: &Run, life: usize, expected: &Expected, answer: char) {
    let (text, subject, is_dead_now, name) = {
        let model = run.model();
        let issued = &model.tokens[expected.token];
        let token = &issued.token;
        let live = |number: &&usize| model.causes[**number].status != Status::Void;
        let sid = token.sid.as_deref().unwrap_or("none");
        let text = format!(
            "jti {} sid {sid} generation {:?}",
            token.jti, token.generation
        );
        let is_dead_now = issued.causes.iter().any(|number| live(&number));
        let name = model.world.lives[life].name.clone();
        (
            text,
            token.subject.clone(),
            is_dead_now || model.world.lost_since(issued.begun),
            name,
        )
    };
    if expected.must || expected.must_not_pass {
        let holds = answer == 't' || !expected.must && answer == '-';
        let invariant = match expected.is_new {
            true => "I2 new nodes know",
            false => "I1 revoked stays revoked",
        };
        run.record.check(invariant, holds, &subject, || {
            format!(
                "{name} says {answer} of {text} of {subject}: {}",
                expected.why
            )
        });
    }
    if expected.is_valid && answer != '-' {
        // Something may have begun meanwhile.
        let holds = answer == 'f' || is_dead_now;
        run.record
            .check("I4 nothing else is refused", holds, &subject, || {
                format!("{name} says {answer} of {text} of {subject}: nobody has revoked it")
            });
    }
    if answer == 't' {
        run.model().see(expected.token, life);
    }
}

/// A node may know nothing only for so long after a fault.
fn check_freshness(run: &Run, life: usize, is_stale: bool) {
    let (clean_since, name) = {
        let model = run.model();
        (
            model.world.clean_since(life),
            model.world.lives[life].name.clone(),
        )
    };
    let clean_for = clean_since.map_or(Duration::ZERO, |since| since.elapsed());
    if clean_for > HEALS_WITHIN {
        run.record.check("I5 nodes heal", !is_stale, FAULT, || {
            format!("{name} knows nothing, {clean_for:?} after the last fault")
        });
    }
}

/// Looks at the ballast. Whether the node knows all of it.
pub(crate) async fn at_ballast(run: &Run, living: &Living) -> bool {
    let life = living.life;
    let Some(number) = *run.ballast.lock().unwrap() else {
        return true;
    };
    let (must, must_not_pass, is_new, safety, name) = {
        let mut model = run.model();
        model.settle();
        let cause = &model.causes[number];
        let holds = cause.holders.contains(&life);
        let required = model.requires(cause, life, Instant::now());
        let born = model.world.lives[life].born;
        let is_new = cause.end.is_some_and(|end| end < born);
        let name = model.world.lives[life].name.clone();
        (holds, required, is_new, format!("{:?}", cause.safety), name)
    };
    let count = run.frame.ballast;
    let request = Request::LookAtBallast {
        count,
        expires_at: run.expires_at,
    };
    let answer = living.node.ask(request).await;
    let Answer::Ballast {
        revoked,
        passed,
        unknown,
        first,
    } = answer
    else {
        return false;
    };
    if must || must_not_pass {
        let invariant = match is_new {
            true => "I2 new nodes know",
            false => "I1 revoked stays revoked",
        };
        let holds = passed == 0 && (!must || unknown == 0);
        run.record.check(invariant, holds, "ballast", || {
            format!(
                "{passed} of {count} revocations pass on {name}, {unknown} are not known, number \
                 {first} is the first; {safety}"
            )
        });
    }
    if revoked == count {
        run.model().causes[number].holders.insert(life);
    }
    revoked == count
}

/// The newest tokens, and some of the others.
fn some_tokens(run: &Run, random: &mut Random) -> Vec<usize> {
    let count = run.model().tokens.len();
    let newest = count.saturating_sub(100)..count;
    let older = (0..40.min(count)).map(|_| random.below(count.max(1)));
    newest.chain(older).collect()
}

/// Looks at the node in a slot, for as long as the run takes.
pub(crate) async fn keep_looking(run: Arc<Run>, slot: usize) {
    let mut random = Random::new(run.seed, 2000 + slot as u64);
    let mut round = 0_u64;
    while !run.has_stopped() {
        round += 1;
        let living = run.slots.lock().unwrap()[slot].clone();
        if let Some(living) = living {
            at_tokens(&run, &living, some_tokens(&run, &mut random)).await;
            if round.is_multiple_of(8) {
                at_ballast(&run, &living).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(80)).await;
    }
}

/// Starts a new node now and then, and looks whether it knows everything.
pub(crate) async fn keep_visiting(run: Arc<Run>) {
    while !run.has_stopped() {
        if !run.is_quiet.load(Ordering::SeqCst) {
            visit(&run).await;
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

pub(crate) async fn visit(run: &Run) -> bool {
    let Some(living) = run.start_node(9).await else {
        return false;
    };
    let all = (0..run.model().tokens.len()).rev().take(600).collect();
    at_tokens(run, &living, all).await;
    at_ballast(run, &living).await;
    run.model().die(living.life);
    living.node.kill();
    run.record.count("note", "new nodes that were asked");
    true
}
