//! What must hold: tokens, sessions, and whatever has ended them, with who knows of it.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::wire::Token;
use crate::world::{World, after_loss};

/// Why tokens are dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Token(String),
    /// `ends`: the store has dropped the session too. Otherwise it goes with its next renewal.
    Session {
        sid: String,
        ends: bool,
    },
    /// Whatever the subject was issued before: a logout everywhere, or a block.
    Subject {
        name: String,
        blocks: bool,
    },
    Cutoff {
        subject: String,
        second: u64,
    },
    Ballast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    /// It failed: it may have happened, or not.
    Unsure,
    /// It was acknowledged, or a living node was seen to know of it.
    Known,
    /// It did not happen.
    Void,
}

/// Whether a server has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Safety {
    Safe(Instant),
    /// The server may have lost it, and a living node knows of it.
    AtRisk,
    /// The server may have lost it, and no living node knows of it. The docs permit that.
    Lost,
}

#[derive(Clone, Debug)]
pub(crate) struct Cause {
    pub(crate) what: What,
    pub(crate) begin: Instant,
    pub(crate) end: Option<Instant>,
    pub(crate) status: Status,
    pub(crate) safety: Safety,
    /// The nodes that have acknowledged it, or were seen to know of it.
    pub(crate) holders: HashSet<usize>,
    /// `revoke_and_wait` has returned, and nothing was lost since.
    pub(crate) was_waited_for: bool,
    /// A replica has it, and nothing was lost since.
    is_replicated: bool,
    /// The servers had lost something that nodes had not told them again when it began. A subject
    /// may then have two histories, and until they are put together its generation may be too low.
    is_split: bool,
}

pub(crate) struct Issued {
    pub(crate) token: Token,
    /// When the session's login began and ended: of a token without a session, its own issue.
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    /// Whether, when it was issued, the nodes had told the servers all that they knew. What comes
    /// back later may end it.
    pub(crate) is_settled: bool,
    /// All that may have ended it.
    pub(crate) causes: Vec<usize>,
    /// The nodes that have said that it is revoked.
    pub(crate) seen_by: HashSet<usize>,
}

pub(crate) struct Session {
    pub(crate) sid: String,
    pub(crate) subject: String,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    pub(crate) until: u64,
    /// Its refresh tokens, the newest last, and when the call that gave each began and ended.
    pub(crate) chain: Vec<(String, Instant, Instant)>,
    pub(crate) is_busy: bool,
    /// A renewal failed, so that it is not known which token is the current one.
    pub(crate) unsure_since: Option<Instant>,
    /// As of its tokens.
    pub(crate) is_settled: bool,
}

/// A lifted block, or an attempt at it.
pub(crate) struct Lift {
    pub(crate) subject: String,
    pub(crate) begin: Instant,
    /// None while it may still happen.
    pub(crate) end: Option<Instant>,
    pub(crate) is_known: bool,
    /// Not all nodes had told the servers what they hold: the block may come back with another
    /// history of the subject.
    pub(crate) is_split: bool,
}

pub(crate) struct Model {
    pub(crate) world: World,
    pub(crate) causes: Vec<Cause>,
    pub(crate) tokens: Vec<Issued>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) lifts: Vec<Lift>,
    /// The refresh token that each one was renewed to.
    pub(crate) successors: HashMap<String, String>,
    /// The highest generation seen of a subject: when that call began, and when it ended.
    pub(crate) generations: HashMap<String, (u64, Instant, Instant)>,
}

impl Cause {
    /// Whether the token is dead for sure, once this was acknowledged.
    pub(crate) fn covers(&self, issued: &Issued) -> bool {
        self.may_cover(issued)
            && match &self.what {
                What::Subject { .. } | What::Cutoff { .. } => issued.ended < self.begin,
                _ => true,
            }
    }

    /// Whether the token may be dead by this.
    pub(crate) fn may_cover(&self, issued: &Issued) -> bool {
        let token = &issued.token;
        match &self.what {
            What::Token(jti) => *jti == token.jti,
            What::Session { sid, .. } => Some(sid) == token.sid.as_ref(),
            What::Subject { name, .. } => *name == token.subject && self.may_concern(issued.begun),
            What::Cutoff { subject, second } => {
                *subject == token.subject && token.issued_at <= *second
            }
            What::Ballast => false,
        }
    }

    /// Whether it may be later than what was begun then. A call that failed may happen late.
    fn may_concern(&self, begun: Instant) -> bool {
        self.status != Status::Known || self.end.is_none_or(|end| begun <= end)
    }

    pub(crate) fn covers_session(&self, session: &Session) -> bool {
        match &self.what {
            What::Session { sid, .. } => *sid == session.sid,
            What::Subject { name, .. } => *name == session.subject && session.ended < self.begin,
            _ => false,
        }
    }

    pub(crate) fn may_cover_session(&self, session: &Session) -> bool {
        match &self.what {
            What::Session { sid, .. } => *sid == session.sid,
            What::Subject { name, .. } => {
                *name == session.subject && self.may_concern(session.begun)
            }
            _ => false,
        }
    }

    /// Whether the servers know of it, since before that moment.
    pub(crate) fn is_safe_since(&self, moment: Instant) -> bool {
        self.status == Status::Known && matches!(self.safety, Safety::Safe(since) if since < moment)
    }
}

impl Model {
    pub(crate) fn new(world: World) -> Self {
        Self {
            world,
            causes: Vec::new(),
            tokens: Vec::new(),
            sessions: Vec::new(),
            lifts: Vec::new(),
            successors: HashMap::new(),
            generations: HashMap::new(),
        }
    }

    /// Something that may end tokens has begun.
    pub(crate) fn begin(&mut self, what: What) -> usize {
        let number = self.causes.len();
        let cause = Cause {
            begin: Instant::now(),
            end: None,
            status: Status::Pending,
            safety: Safety::AtRisk,
            holders: HashSet::new(),
            was_waited_for: false,
            is_replicated: false,
            is_split: matches!(what, What::Subject { .. }) && !self.is_settled(Instant::now()),
            what,
        };
        let covered = self
            .tokens
            .iter_mut()
            .filter(|issued| cause.may_cover(issued));
        covered.for_each(|issued| issued.causes.push(number));
        self.causes.push(cause);
        number
    }

    /// It was acknowledged by that node.
    /// `is_replicated`: whether replicas were waited for, if they are.
    pub(crate) fn acknowledge(
        &mut self,
        number: usize,
        life: usize,
        was_waited_for: bool,
        is_replicated: bool,
    ) {
        self.causes[number].is_replicated = is_replicated && self.world.is_replicated;
        self.know(number, life);
        let cause = &mut self.causes[number];
        cause.was_waited_for = was_waited_for && matches!(cause.safety, Safety::Safe(_));
    }

    /// That node knows of it.
    fn know(&mut self, number: usize, life: usize) {
        let now = Instant::now();
        let cause = &mut self.causes[number];
        cause.holders.insert(life);
        if cause.status == Status::Known {
            return;
        }
        cause.status = Status::Known;
        cause.end = Some(now);
        let is_lost = match cause.is_replicated {
            true => self.world.lost_replicated_since(cause.begin),
            false => self.world.lost_since(cause.begin),
        };
        cause.is_replicated &= !is_lost;
        cause.safety = match () {
            () if !is_lost && !cause.is_split => Safety::Safe(now),
            () if self.world.lives[life].died => Safety::Lost,
            () => Safety::AtRisk,
        };
    }

    /// Whether a node may not have read yet that a block of the subject was lifted.
    pub(crate) fn is_lift_unread(&self, subject: &str, now: Instant) -> bool {
        let late = self.world.max_staleness + Duration::from_secs(1);
        self.lifts.iter().any(|lift| {
            let is_read =
                |end: Instant| end + late < now && !self.world.lost_since(lift.begin.min(now));
            lift.subject == subject && (lift.is_split || !lift.end.is_some_and(is_read))
        })
    }

    /// That node says that the token is revoked, which tells whether it knows of the cause.
    pub(crate) fn see(&mut self, token: usize, life: usize) {
        let issued = &self.tokens[token];
        if self.world.lost_since(issued.begun)
            || self.is_lift_unread(&issued.token.subject, Instant::now())
        {
            // It may speak of a block that was lifted before the token was issued; or the
            // generation has gone beyond it when histories were put together.
            return;
        }
        if issued
            .causes
            .iter()
            .any(|number| self.causes[*number].covers(issued))
        {
            self.tokens[token].seen_by.insert(life);
        }
        let issued = &self.tokens[token];
        let status = |number: &usize| self.causes[*number].status;
        let mut live = issued
            .causes
            .iter()
            .filter(|number| status(number) != Status::Void);
        if let (Some(&number), None) = (live.next(), live.next())
            && status(&number) != Status::Pending
        {
            self.know(number, life);
        }
    }

    pub(crate) fn fail(&mut self, number: usize) {
        self.causes[number].status = Status::Unsure;
    }

    pub(crate) fn void(&mut self, number: usize) {
        self.causes[number].status = Status::Void;
    }

    pub(crate) fn issue(&mut self, token: Token, begun: Instant, ended: Instant) -> usize {
        let mut issued = Issued {
            token,
            begun,
            ended,
            is_settled: self.is_settled(begun),
            causes: Vec::new(),
            seen_by: HashSet::new(),
        };
        let causes = self.causes.iter().enumerate();
        let may = causes.filter(|(_, cause)| cause.may_cover(&issued));
        issued.causes = may.map(|(number, _)| number).collect();
        self.tokens.push(issued);
        self.tokens.len() - 1
    }

    /// Whether all nodes had told the servers, by then, whatever was lost before.
    pub(crate) fn is_settled(&self, then: Instant) -> bool {
        let window = after_loss(self.world.max_staleness);
        let lives = 0..self.world.lives.len();
        let mut living = lives.filter(|life| !self.world.lives[*life].died);
        self.world.count_of_losses() == 0
            || living.all(|life| {
                self.world.lives[life].ready.is_none()
                    || self
                        .world
                        .clean_since(life)
                        .is_some_and(|since| since + window < then)
            })
    }

    /// Notes what the nodes have told the servers again by now.
    pub(crate) fn settle(&mut self) {
        let now = Instant::now();
        let is_settled = self.is_settled(now);
        let world = &self.world;
        let window = after_loss(world.max_staleness);
        for cause in &mut self.causes {
            if cause.status != Status::Known || cause.safety != Safety::AtRisk {
                continue;
            }
            let living = |life: &&usize| !world.lives[**life].died;
            let holders = cause.holders.iter().filter(living);
            let told = holders
                .filter_map(|life| Some(world.clean_since(*life)? + window))
                .min();
            // Two histories are put together once all nodes have told theirs.
            let told = told.filter(|told| *told <= now && (is_settled || !cause.is_split));
            if let Some(told) = told {
                let end = cause.end.unwrap_or(now);
                cause.safety = Safety::Safe(if cause.is_split { now } else { told.max(end) });
            }
        }
    }

    /// From now on a server may lose writes. `keeps_replicated`: but for those that a replica has.
    pub(crate) fn begin_loss(&mut self, keeps_replicated: bool) {
        self.settle();
        self.world.begin_loss(keeps_replicated);
        self.put_at_risk(keeps_replicated);
    }

    /// Sentinels have replaced a master unasked: it was silent, as a busy machine makes it. Until
    /// `end` nodes may still use it.
    pub(crate) fn add_loss(&mut self, end: Instant) {
        self.world.add_loss(end);
        self.put_at_risk(false);
    }

    fn put_at_risk(&mut self, keeps_replicated: bool) {
        for cause in &mut self.causes {
            if keeps_replicated && cause.is_replicated {
                continue;
            }
            cause.is_replicated = false;
            cause.was_waited_for = false;
            if cause.status == Status::Known && cause.safety != Safety::Lost {
                cause.safety = Safety::AtRisk;
            }
        }
        self.bury();
    }

    pub(crate) fn die(&mut self, life: usize) {
        self.settle();
        self.world.lives[life].died = true;
        self.bury();
    }

    /// What no living node knows of any more is lost.
    fn bury(&mut self) {
        let world = &self.world;
        for cause in &mut self.causes {
            let is_held = cause.holders.iter().any(|life| !world.lives[*life].died);
            if cause.status == Status::Known && cause.safety == Safety::AtRisk && !is_held {
                cause.safety = Safety::Lost;
            }
        }
    }

    /// Whether a node must say by now that the token is revoked, and by which cause.
    pub(crate) fn requires(&self, cause: &Cause, life: usize, now: Instant) -> bool {
        if cause.status != Status::Known {
            return false;
        }
        let is_safe = matches!(cause.safety, Safety::Safe(_));
        if cause.holders.contains(&life) && (is_safe || !cause.is_split) {
            return true;
        }
        let Safety::Safe(since) = cause.safety else {
            return false;
        };
        let born = self.world.lives[life].born;
        let known = now.checked_sub(self.world.max_staleness);
        cause.was_waited_for || since < born || known.is_some_and(|known| since < known)
    }
}
