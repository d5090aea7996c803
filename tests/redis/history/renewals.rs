//! Renewals of sessions, and what their outcome says: I3, I4.

use std::time::{Duration, Instant};

use crate::clients::check_availability;
use crate::logins::{blocks_of, check_blocks};
use crate::model::{Cause, Model, Safety, Session, Status, What};
use crate::run::{Living, Run};
use crate::service::GRACE;
use crate::wire::{Answer, Request, Token};

/// How far the clocks of servers that take each other's place may be apart, and a bit.
const CLOCKS: Duration = Duration::from_millis(1200);

/// One of the newest sessions.
pub(crate) fn pick(model: &Model, pick: usize) -> Option<usize> {
    let count = model.sessions.len();
    (count > 0).then(|| count - 1 - pick % count.min(16))
}

/// Takes a session that nobody else renews, and its refresh token that is so far back.
fn take(run: &Run, choice: usize, back: usize) -> Option<(usize, usize)> {
    let mut model = run.model();
    let number = pick(&model, choice)?;
    let session = &mut model.sessions[number];
    if session.is_busy {
        return None;
    }
    let index = session.chain.len().checked_sub(1 + back)?;
    session.is_busy = true;
    Some((number, index))
}

pub(crate) async fn refresh(run: &Run, living: &Living, choice: usize, back: usize) {
    if let Some((session, index)) = take(run, choice, back) {
        renew(run, living, session, index).await;
        run.model().sessions[session].is_busy = false;
    }
}

/// Tries a session that was ended: nothing may bring it back.
pub(crate) async fn refresh_ended(run: &Run, living: &Living, choice: usize) {
    let ended = {
        let mut model = run.model();
        let is_ended = |session: &Session| {
            let mut causes = model.causes.iter();
            let is_known = |cause: &Cause| cause.status == Status::Known;
            causes.any(|cause| is_known(cause) && cause.covers_session(session))
        };
        let sessions = model.sessions.iter().enumerate().rev().take(40);
        let ended = sessions.filter(|(_, session)| !session.is_busy && is_ended(session));
        let ended: Vec<usize> = ended.map(|(number, _)| number).collect();
        let ended = (!ended.is_empty()).then(|| ended[choice % ended.len()]);
        if let Some(number) = ended {
            model.sessions[number].is_busy = true;
        }
        ended
    };
    if let Some(session) = ended {
        let index = run.model().sessions[session].chain.len() - 1;
        renew(run, living, session, index).await;
        run.model().sessions[session].is_busy = false;
    }
}

pub(crate) async fn race(run: &Run, nodes: [&Living; 2], choice: usize) {
    if let Some((session, index)) = take(run, choice, 0) {
        let [one, other] = nodes.map(|living| renew(run, living, session, index));
        tokio::join!(one, other);
        run.model().sessions[session].is_busy = false;
    }
}

/// What was known of a session when its renewal began.
struct Before {
    token: String,
    sid: String,
    subject: String,
    began: Instant,
    /// What has ended it for sure, as the servers know.
    ends: Vec<(usize, Safety)>,
    blocks: Vec<(usize, Safety)>,
    /// The renewal may be one too many, which ends the session.
    theft: usize,
    /// When the token after this one was asked for, and given.
    used: Option<(Instant, Instant)>,
    /// How many tokens came after this one.
    back: usize,
}

fn before(run: &Run, session: usize, index: usize) -> Before {
    let mut model = run.model();
    model.settle();
    let began = Instant::now();
    let found = &model.sessions[session];
    let ends = model
        .causes
        .iter()
        .enumerate()
        .filter(|(_, cause)| cause.covers_session(found) && cause.is_safe_since(began));
    let ends = ends.map(|(number, cause)| (number, cause.safety)).collect();
    let (sid, subject) = (found.sid.clone(), found.subject.clone());
    let token = found.chain[index].0.clone();
    let used = found
        .chain
        .get(index + 1)
        .map(|(_, begin, end)| (*begin, *end));
    let back = found.chain.len() - 1 - index;
    let blocks = blocks_of(&model, &subject, began);
    let theft = model.begin(What::Session {
        sid: sid.clone(),
        ends: true,
    });
    Before {
        token,
        sid,
        subject,
        began,
        ends,
        blocks,
        theft,
        used,
        back,
    }
}

async fn renew(run: &Run, living: &Living, session: usize, index: usize) {
    let before = before(run, session, index);
    let life = living.life;
    let name = run.name(life);
    let answer = living
        .node
        .ask(Request::Refresh {
            token: before.token.clone(),
        })
        .await;
    let ended = Instant::now();
    check_availability(run, living, before.began, &answer);
    let said = match &answer {
        Answer::Pair { .. } => "ok".to_owned(),
        answer => format!("{answer:?}"),
    };
    let Before {
        sid, subject, back, ..
    } = &before;
    run.record.event(
        subject,
        format!("{name} renews {sid} by its token {back} back: {said}"),
    );
    check_blocks(run, &before.blocks, subject, &answer, life);
    check_ends(run, &before, &answer, &name);
    check_reuse(run, session, &before, &answer, ended, &name);
    if answer.refusal().is_some() {
        check_refusal(run, session, &before, &answer, ended, &name);
    }
    match answer {
        Answer::Pair {
            access, refresh, ..
        } => {
            run.model().void(before.theft);
            check_successor(run, &before, &refresh);
            let token = Token::of_jwt(&access);
            let mut model = run.model();
            let found = &mut model.sessions[session];
            found.until = found.until.max(token.expires_at);
            if !found.chain.iter().any(|(known, ..)| *known == refresh) {
                // It may have been used by a call that failed, before this one.
                let since = found.unsure_since.take().unwrap_or(before.began);
                found.chain.push((refresh, since, ended));
            }
            // A renewal does not take the session beyond what ended it: it counts from its login.
            let (begun, login) = (found.begun, found.ended);
            let token = model.issue(token, begun, login);
            model.tokens[token].is_settled &= model.sessions[session].is_settled;
        }
        Answer::Failed(kind) => {
            let mut model = run.model();
            match &*kind {
                "reuse_detected" => model.acknowledge(before.theft, life, false, false),
                "ended" | "expired" | "blocked" | "logged_out" | "invalid_token" => {
                    model.void(before.theft);
                }
                _ => {
                    model.fail(before.theft);
                    let unsure_since = &mut model.sessions[session].unsure_since;
                    unsure_since.get_or_insert(before.began);
                }
            }
        }
        _ => {}
    }
}

fn check_ends(run: &Run, before: &Before, answer: &Answer, name: &str) {
    let end = {
        let model = run.model();
        let stands = |(number, safety): &&(usize, Safety)| model.causes[*number].safety == *safety;
        let end = before.ends.iter().find(stands);
        end.map(|(number, safety)| (model.causes[*number].what.clone(), *safety))
    };
    if let Some((what, safety)) = end {
        let is_refused = !matches!(answer, Answer::Pair { .. });
        let (sid, subject) = (&before.sid, &before.subject);
        run.record
            .check("I3 dead sessions do not renew", is_refused, subject, || {
                format!("{name} renews {sid} of {subject}, which {what:?} has ended, {safety:?}")
            });
    }
}

/// A token that was used before, by anybody but one who is quick, ends the session.
fn check_reuse(
    run: &Run,
    session: usize,
    before: &Before,
    answer: &Answer,
    ended: Instant,
    name: &str,
) {
    let Some((begin, end)) = before.used else {
        return;
    };
    {
        let model = run.model();
        let session = &model.sessions[session];
        if model.world.lost_since(session.begun) || session.unsure_since.is_some() {
            return;
        }
    }
    let (sid, subject) = (&before.sid, &before.subject);
    let is_late = before.began.duration_since(end) > GRACE + CLOCKS;
    let is_early = ended.saturating_duration_since(begin) + CLOCKS < GRACE;
    if before.back > 1 || is_late {
        let holds = !matches!(answer, Answer::Pair { .. });
        run.record
            .check("I3 reuse and successors", holds, subject, || {
                format!(
                    "{name} renews {sid} by a token that was used {:?} ago",
                    end.elapsed()
                )
            });
    } else if before.back == 1 && is_early {
        let is_called_theft = answer.refusal() == Some("reuse_detected");
        run.record
            .check("I3 reuse and successors", !is_called_theft, subject, || {
                format!(
                    "{name} calls {sid} stolen, {:?} after its renewal",
                    begin.elapsed()
                )
            });
    }
}

fn check_successor(run: &Run, before: &Before, next: &str) {
    let known = {
        let mut model = run.model();
        let known = model.successors.entry(before.token.clone());
        known.or_insert_with(|| next.to_owned()).clone()
    };
    let subject = &before.subject;
    // The one before the current one is renewed to the current one.
    run.record
        .check("I3 reuse and successors", known == next, subject, || {
            format!("a refresh token of {} has two successors", before.sid)
        });
}

/// Whether anybody has done something for which a renewal may be refused.
fn check_refusal(
    run: &Run,
    session: usize,
    before: &Before,
    answer: &Answer,
    ended: Instant,
    name: &str,
) {
    let is_excused = {
        let model = run.model();
        let found = &model.sessions[session];
        let causes = model.causes.iter().enumerate();
        let mut causes = causes
            .filter(|(number, cause)| *number != before.theft && cause.status != Status::Void);
        let may_be_reuse = match before.used {
            None => false,
            Some((begin, _)) => {
                before.back > 1 || ended.saturating_duration_since(begin) + CLOCKS >= GRACE
            }
        };
        // The docs say that a token is not used up by a call that failed; it may be.
        found.unsure_since.is_some()
            || may_be_reuse
            || !found.is_settled
            || model.world.lost_since(found.begun)
            || causes.any(|(_, cause)| cause.may_cover_session(found))
    };
    run.record.check(
        "I4 nothing else is refused",
        is_excused,
        &before.subject,
        || {
            format!(
                "{name} refuses to renew {}: {answer:?}, and nobody wanted that",
                before.sid
            )
        },
    );
}

/// The generation of a subject never falls, as long as nothing is lost.
pub(crate) fn check_generation(run: &Run, subject: &str, generation: u64, began: Instant) {
    let mut model = run.model();
    let known = model.generations.get(subject).copied();
    let is_kept = |(_, asked, seen): &(u64, Instant, Instant)| {
        *seen < began && !model.world.lost_since(*asked)
    };
    if let Some((highest, ..)) = known.filter(is_kept) {
        run.record.check(
            "I3 generations rise",
            generation >= highest,
            subject,
            || format!("{subject} is of generation {generation}, and was of {highest}"),
        );
    }
    // What the servers know to be ended is of an earlier generation, whatever was lost.
    let mut ended = None;
    for cause in &model.causes {
        let is_ours = matches!(&cause.what, What::Subject { name, .. } if name == subject);
        if is_ours && cause.is_safe_since(began) && cause.end.is_some_and(|end| end < began) {
            let covered = model.tokens.iter().filter(|issued| cause.covers(issued));
            ended = ended.max(covered.filter_map(|issued| issued.token.generation).max());
        }
    }
    if let Some(ended) = ended {
        run.record
            .check("I3 generations rise", generation > ended, subject, || {
                format!("{subject} is of generation {generation}; tokens of {ended} were ended")
            });
    }
    let is_higher = known
        .is_none_or(|(highest, asked, _)| generation > highest || model.world.lost_since(asked));
    if is_higher {
        model
            .generations
            .insert(subject.to_owned(), (generation, began, Instant::now()));
    }
}

/// The list has what lives, and nothing that was ended, as long as nothing is lost.
pub(crate) async fn list(run: &Run, living: &Living, subject: &str) {
    let began = Instant::now();
    let request = Request::List {
        subject: subject.to_owned(),
    };
    let before: Vec<(String, bool)> = {
        let model = run.model();
        let sessions = model.sessions.iter();
        let ours = sessions.filter(|session| {
            session.subject == subject && session.is_settled && session.ended < began
        });
        let is_ended = |session| {
            let mut causes = model.causes.iter();
            let ends = |what: &What| !matches!(what, What::Session { ends: false, .. });
            causes.any(|cause| {
                cause.covers_session(session) && cause.is_safe_since(began) && ends(&cause.what)
            })
        };
        ours.map(|session| (session.sid.clone(), is_ended(session)))
            .collect()
    };
    let answer = living.node.ask(request).await;
    check_availability(run, living, began, &answer);
    let Answer::Sessions(listed) = answer else {
        return;
    };
    let name = run.name(living.life);
    for (sid, is_ended) in before {
        let (is_lost, may_be_ended) = {
            let model = run.model();
            let found = model
                .sessions
                .iter()
                .find(|session| session.sid == sid)
                .unwrap();
            let mut causes = model.causes.iter();
            let may_be_ended =
                causes.any(|cause| cause.status != Status::Void && cause.may_cover_session(found));
            (model.world.lost_since(found.begun), may_be_ended)
        };
        let is_listed = listed.contains(&sid);
        if !is_lost && is_ended {
            run.record
                .check("I3 dead sessions do not renew", !is_listed, subject, || {
                    format!("{name} lists {sid}, which was ended")
                });
        } else if !is_lost && !may_be_ended {
            run.record
                .check("I4 nothing else is refused", is_listed, subject, || {
                    format!("{name} does not list {sid}, which nobody has ended")
                });
        }
    }
}
