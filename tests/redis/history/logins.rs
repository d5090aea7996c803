//! Logins, and what keeps a subject from them: I3, I4.

use std::time::Instant;

use crate::clients::check_availability;
use crate::model::{Lift, Model, Safety, What};
use crate::renewals;
use crate::run::{Living, Run};
use crate::wire::{Answer, Request, Token};

/// The blocks that keep a subject from getting tokens, as of now.
pub(crate) fn blocks_of(model: &Model, subject: &str, now: Instant) -> Vec<(usize, Safety)> {
    let causes = model.causes.iter().enumerate();
    let blocks = causes.filter(|(_, cause)| {
        matches!(&cause.what, What::Subject { name, blocks: true } if name == subject)
            && cause.is_safe_since(now)
    });
    blocks
        .map(|(number, cause)| (number, cause.safety))
        .collect()
}

/// A token was issued in spite of these blocks, or was not.
pub(crate) fn check_blocks(
    run: &Run,
    blocks: &[(usize, Safety)],
    subject: &str,
    answer: &Answer,
    life: usize,
) {
    let standing: Vec<_> = {
        let model = run.model();
        let stands = |(number, safety): &&(usize, Safety)| {
            let cause = &model.causes[*number];
            let may_lift = |lift: &Lift| {
                lift.subject == subject && lift.end.is_none_or(|end| end >= cause.begin)
            };
            cause.safety == *safety && !model.lifts.iter().any(may_lift)
        };
        blocks.iter().filter(stands).copied().collect()
    };
    if let Some((number, safety)) = standing.first() {
        let got_none = !matches!(answer, Answer::Pair { .. });
        run.record
            .check("I3 blocked gets no token", got_none, subject, || {
                format!(
                    "{} got {subject} a token; block #{number} {safety:?}",
                    run.name(life)
                )
            });
    }
}

pub(crate) async fn login(run: &Run, living: &Living, subject: &str) {
    let began = Instant::now();
    let (blocks, is_settled) = {
        let mut model = run.model();
        model.settle();
        (blocks_of(&model, subject, began), model.is_settled(began))
    };
    let answer = living
        .node
        .ask(Request::Login {
            subject: subject.to_owned(),
        })
        .await;
    let ended = Instant::now();
    let name = run.name(living.life);
    check_availability(run, living, began, &answer);
    check_blocks(run, &blocks, subject, &answer, living.life);
    match &answer {
        Answer::Pair {
            access,
            refresh,
            sid,
        } => {
            let token = Token::of_jwt(access);
            let generation = token.generation.unwrap();
            run.record.event(
                subject,
                format!("{name} logs {subject} in: {sid}, generation {generation}"),
            );
            renewals::check_generation(run, subject, generation, began);
            let mut model = run.model();
            let session = crate::model::Session {
                sid: sid.clone(),
                subject: subject.to_owned(),
                begun: began,
                ended,
                until: token.expires_at,
                chain: vec![(refresh.clone(), began, ended)],
                is_busy: false,
                unsure_since: None,
                is_settled,
            };
            model.sessions.push(session);
            model.issue(token, began, ended);
        }
        _ => {
            run.record
                .event(subject, format!("{name} logs {subject} in: {answer:?}"));
            if let Some(refusal) = answer.refusal() {
                let is_excused =
                    !is_settled || is_login_excused(&run.model(), subject, began, refusal);
                run.record
                    .check("I4 nothing else is refused", is_excused, subject, || {
                        format!(
                            "{name} refuses a login of {subject}: {refusal}, and nobody wanted it"
                        )
                    });
            }
        }
    }
}

fn is_login_excused(model: &Model, subject: &str, began: Instant, refusal: &str) -> bool {
    let lost = |since| model.world.lost_since(since);
    if lost(began) {
        return true;
    }
    let lifts = || {
        model
            .lifts
            .iter()
            .filter(|lift| lift.subject == subject && lift.is_known && !lift.is_split)
    };
    model.causes.iter().any(|cause| match &cause.what {
        What::Subject { name, blocks } if name == subject => {
            let is_later = cause.end.is_none_or(|end| end >= began);
            let is_lifted = lifts().any(|lift| {
                cause.end.is_some_and(|end| end < lift.begin)
                    && lift.end.is_some_and(|end| end < began)
                    && !lost(lift.begin)
            });
            match refusal {
                "logged_out" => is_later,
                _ => *blocks && !is_lifted,
            }
        }
        _ => false,
    })
}
