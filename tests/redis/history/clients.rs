//! Operations on nodes, and what their outcome says: I3, I4.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::logins;
use crate::model::{Lift, What};
use crate::plan::{Operation, Step, step};
use crate::random::Random;
use crate::renewals;
use crate::run::{Living, Run, seconds_now};
use crate::wire::{Answer, Request, Token};
use crate::world::HEALS_WITHIN;

/// How long a call that failed may still be on its way to a server: longer than any way is held.
pub(crate) const MAY_COME_LATE: Duration = Duration::from_secs(6);

/// Makes one operation after the other, for as long as the run takes.
pub(crate) async fn keep_working(run: Arc<Run>, worker: u64) {
    let mut random = Random::new(run.seed, worker);
    while !run.has_stopped() {
        let step = step(&mut random);
        tokio::time::sleep(step.pause).await;
        while run.is_quiet.load(Ordering::SeqCst) && !run.has_stopped() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if let Some(living) = run.node(step.node) {
            operate(&run, &living, step).await;
        }
    }
}

pub(crate) async fn operate(run: &Run, living: &Living, step: Step) {
    let name = match step.operation {
        Operation::Login => "login",
        Operation::Refresh(0) => "refresh by the current token",
        Operation::Refresh(1) => "refresh by the one before",
        Operation::Refresh(_) => "refresh by an old one",
        Operation::RefreshEnded => "refresh of an ended session",
        Operation::Race => "two refreshes at once",
        Operation::Logout => "logout",
        Operation::EndSession => "end a session",
        Operation::LogoutEverywhere => "logout everywhere",
        Operation::Block => "block",
        Operation::Unblock => "unblock",
        Operation::RevokeToken { waits: false } => "revoke a token",
        Operation::RevokeToken { .. } => "revoke and wait",
        Operation::RevokeSession => "revoke a session",
        Operation::Mint => "mint",
        Operation::Cutoff => "cutoff",
        Operation::List => "list",
        Operation::Subject => "look at a subject",
    };
    run.record.count("operation", name);
    let subject = format!("s{}", step.subject % run.frame.subjects);
    let foreign = format!("c{}", step.subject % 3);
    match step.operation {
        Operation::Login => logins::login(run, living, &subject).await,
        Operation::Refresh(back) => renewals::refresh(run, living, step.pick, back).await,
        Operation::RefreshEnded => renewals::refresh_ended(run, living, step.pick).await,
        Operation::Race => {
            let other = run.node(step.other_node).unwrap_or_else(|| living.clone());
            renewals::race(run, [living, &other], step.pick).await;
        }
        Operation::Logout | Operation::EndSession => end(run, living, step).await,
        Operation::LogoutEverywhere => {
            let request = Request::LogoutEverywhere {
                subject: subject.clone(),
            };
            let what = What::Subject {
                name: subject.clone(),
                blocks: false,
            };
            revoke(run, living, what, request, &subject).await;
        }
        Operation::Block => {
            let request = Request::Block {
                subject: subject.clone(),
            };
            let what = What::Subject {
                name: subject.clone(),
                blocks: true,
            };
            revoke(run, living, what, request, &subject).await;
        }
        Operation::Unblock => unblock(run, living, &subject).await,
        Operation::RevokeToken { waits } => revoke_token(run, living, step.pick, waits).await,
        Operation::RevokeSession => revoke_session(run, living, step.pick).await,
        Operation::Mint => mint(run, &foreign, step.pick),
        Operation::Cutoff => {
            // Whole seconds: what was issued in this one would be dead, whenever in it that was.
            let second = seconds_now() - 1;
            let until = run.expires_at;
            let request = Request::Cutoff {
                subject: foreign.clone(),
                second,
                until,
            };
            let what = What::Cutoff {
                subject: foreign.clone(),
                second,
            };
            revoke(run, living, what, request, &foreign).await;
        }
        Operation::List => renewals::list(run, living, &subject).await,
        Operation::Subject => look_at_subject(run, living, &subject).await,
    }
}

/// An answer that is none, of a node and servers that nothing is wrong with.
pub(crate) fn check_availability(run: &Run, living: &Living, began: Instant, answer: &Answer) {
    let clean_since = run.model().world.clean_since(living.life);
    if clean_since.is_some_and(|since| since + HEALS_WITHIN < began) {
        run.record.check(
            "I5 nodes heal",
            !answer.is_unknown(),
            crate::record::FAULT,
            || format!("{} answers {answer:?}", run.name(living.life)),
        );
    }
}

/// Makes a call that revokes something, and looks at once whether the node knows it.
pub(crate) async fn revoke(
    run: &Run,
    living: &Living,
    what: What,
    request: Request,
    subject: &str,
) {
    let number = run.model().begin(what.clone());
    let name = run.name(living.life);
    let began = Instant::now();
    let waits = matches!(request, Request::RevokeToken { waits: true, .. });
    run.record
        .event(subject, format!("{name} begins {what:?} (#{number})"));
    let answer = living.node.ask(request).await;
    run.record
        .event(subject, format!("{name} answers {answer:?} (#{number})"));
    check_availability(run, living, began, &answer);
    let covered: Vec<usize> = {
        let mut model = run.model();
        if !matches!(answer, Answer::Done) {
            return model.fail(number);
        }
        model.acknowledge(number, living.life, waits, true);
        let cause = &model.causes[number];
        let tokens = model.tokens.iter().enumerate().rev();
        let covered = tokens.filter(|(_, issued)| cause.covers(issued));
        covered.map(|(token, _)| token).take(20).collect()
    };
    crate::looks::at_tokens(run, living, covered).await;
}

async fn end(run: &Run, living: &Living, step: Step) {
    let found = {
        let model = run.model();
        let session = renewals::pick(&model, step.pick).map(|number| &model.sessions[number]);
        session.map(|session| {
            let tokens = session.chain.len();
            let (token, ..) = &session.chain[tokens - 1 - step.other_node % tokens.min(3)];
            (session.sid.clone(), session.subject.clone(), token.clone())
        })
    };
    if let Some((sid, subject, token)) = found {
        let request = match step.operation {
            Operation::Logout => Request::Logout { token },
            _ => Request::EndSession { sid: sid.clone() },
        };
        revoke(
            run,
            living,
            What::Session { sid, ends: true },
            request,
            &subject,
        )
        .await;
    }
}

async fn unblock(run: &Run, living: &Living, subject: &str) {
    let name = run.name(living.life);
    let began = Instant::now();
    let number = {
        let mut model = run.model();
        let is_split = !model.is_settled(began);
        model.lifts.push(Lift {
            subject: subject.to_owned(),
            begin: began,
            end: None,
            is_known: false,
            is_split,
        });
        model.lifts.len() - 1
    };
    run.record
        .event(subject, format!("{name} begins to unblock {subject}"));
    let answer = living
        .node
        .ask(Request::Unblock {
            subject: subject.to_owned(),
        })
        .await;
    run.record
        .event(subject, format!("{name} unblocks {subject}: {answer:?}"));
    check_availability(run, living, began, &answer);
    let mut model = run.model();
    let lift = &mut model.lifts[number];
    lift.is_known = matches!(answer, Answer::Done);
    lift.end = Some(match lift.is_known {
        true => Instant::now(),
        false => Instant::now() + MAY_COME_LATE,
    });
}

async fn revoke_token(run: &Run, living: &Living, pick: usize, waits: bool) {
    let token = {
        let model = run.model();
        let count = model.tokens.len();
        let newest = |count: usize| count - 1 - pick % count.min(20);
        (count > 0).then(|| model.tokens[newest(count)].token.clone())
    };
    if let Some(token) = token {
        let (what, subject) = (What::Token(token.jti.clone()), token.subject.clone());
        revoke(
            run,
            living,
            what,
            Request::RevokeToken { token, waits },
            &subject,
        )
        .await;
    }
}

async fn revoke_session(run: &Run, living: &Living, pick: usize) {
    let found = {
        let model = run.model();
        let session = renewals::pick(&model, pick).map(|number| &model.sessions[number]);
        // A renewal that is under way may hand out a token that lives a little longer.
        session.map(|session| {
            (
                session.sid.clone(),
                session.subject.clone(),
                session.until + 60,
            )
        })
    };
    if let Some((sid, subject, until)) = found {
        let what = What::Session {
            sid: sid.clone(),
            ends: false,
        };
        revoke(
            run,
            living,
            what,
            Request::RevokeSession { sid, until },
            &subject,
        )
        .await;
    }
}

fn mint(run: &Run, subject: &str, pick: usize) {
    let mut model = run.model();
    let token = Token {
        jti: format!("minted-{}-{pick}", model.tokens.len()),
        sid: None,
        subject: subject.to_owned(),
        issued_at: seconds_now(),
        expires_at: run.expires_at,
        generation: None,
    };
    let now = Instant::now();
    model.issue(token, now, now);
}

async fn look_at_subject(run: &Run, living: &Living, subject: &str) {
    let began = Instant::now();
    let answer = living
        .node
        .ask(Request::Subject {
            subject: subject.to_owned(),
        })
        .await;
    check_availability(run, living, began, &answer);
    if let Answer::Subject { generation, .. } = answer {
        renewals::check_generation(run, subject, generation, began);
    }
}
