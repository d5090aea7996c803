//! Makes faults, and tells the model what each of them may lose.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tower_jwt_auth::store::redis::client::cmd;

use crate::clients::operate;
use crate::front::{Use, What};
use crate::group::{Group, Kind};
use crate::plan::{Fault, Operation, Step, fault};
use crate::random::Random;
use crate::record::FAULT;
use crate::run::{Living, Run};
use crate::wire::{Answer, Request};
use crate::world::after_loss;

const KEYS: [&str; 4] = [
    "{jwt}:revoked",
    "{jwt}:subjects",
    "{jwt}:stream",
    "{jwt}:last",
];

pub(crate) struct Faults {
    pub(crate) run: Arc<Run>,
    pub(crate) group: Group,
}

fn milliseconds(time: u64) -> Duration {
    Duration::from_millis(time)
}

impl Faults {
    /// Makes one fault after the other, until that moment.
    pub(crate) async fn keep_failing(&mut self, until: Instant) {
        let mut random = Random::new(self.run.seed, 3000);
        loop {
            let (pause, fault) = fault(&mut random, &self.run.frame);
            if Instant::now() + pause >= until {
                tokio::time::sleep_until(until.into()).await;
                return;
            }
            if self
                .run
                .only
                .as_ref()
                .is_some_and(|only| only != fault.name())
            {
                continue;
            }
            tokio::time::sleep(pause).await;
            self.say(format!("FAULT {fault:?}"));
            let is_made = self.make(fault).await;
            let name = fault.name();
            self.run
                .record
                .count(if is_made { "fault" } else { "skipped" }, name);
        }
    }

    fn say(&self, text: String) {
        self.run.record.event(FAULT, text);
    }

    /// From now on writes may be lost.
    fn begin_loss(&self, keeps_replicated: bool) {
        self.run.model().begin_loss(keeps_replicated);
    }

    fn end_loss(&self) {
        self.run.model().world.end_loss();
        self.say("the loss is over".to_owned());
    }

    /// Something is wrong with all nodes' way, or one node, or its way, for a while.
    fn for_a_while(&self, life: Option<usize>, time: u64, end: impl FnOnce(&Run) + Send + 'static) {
        self.run.model().world.begin_fault(life);
        let run = Arc::clone(&self.run);
        tokio::spawn(async move {
            tokio::time::sleep(milliseconds(time)).await;
            end(&run);
            run.model().world.end_fault(life);
        });
    }

    fn way(
        &self,
        life: Option<usize>,
        node: Option<u8>,
        usage: Option<Use>,
        what: What,
        time: u64,
    ) {
        let rule = self.run.rules.add(node, usage, what);
        self.for_a_while(life, time, move |run| run.rules.remove(rule));
    }

    fn living(&self, slot: usize) -> Option<Living> {
        self.run.slots.lock().unwrap()[slot].clone()
    }

    /// Whether it could be made.
    async fn make(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::Flush => {
                let master = self.group.master().await;
                self.begin_loss(false);
                let _ = self.group.ask::<()>(master, &cmd("FLUSHALL"));
                self.end_loss();
            }
            Fault::Delete(key) => {
                let master = self.group.master().await;
                self.begin_loss(false);
                let _ = self.group.ask::<u64>(master, cmd("DEL").arg(KEYS[key]));
                self.end_loss();
            }
            Fault::Replace {
                kills,
                lag,
                rejoins_after,
            } => {
                return self.replace(kills, lag, rejoins_after).await;
            }
            Fault::Restart { keeps_file, down } => self.restart(keeps_file, down).await,
            Fault::FreezeServer { time } => self.freeze(time).await,
            Fault::HoldReads { node: None, time } => {
                self.way(None, None, Some(Use::Reads), What::Holds, time);
            }
            Fault::HoldReplication { time } => {
                let rule = self
                    .run
                    .rules
                    .add(None, Some(Use::Replication), What::Holds);
                let run = Arc::clone(&self.run);
                tokio::spawn(async move {
                    tokio::time::sleep(milliseconds(time)).await;
                    run.rules.remove(rule);
                });
            }
            Fault::Delay { by, time } => {
                let by = milliseconds(by);
                self.way(None, None, Some(Use::Calls), What::Delays(by), time);
                self.way(None, None, Some(Use::Reads), What::Delays(by), time);
            }
            Fault::Cut { node } => {
                self.run.model().world.begin_fault(None);
                self.run.rules.cut(node.map(digit), None);
                self.run.model().world.end_fault(None);
            }
            Fault::Clock { server, behind } => self.group.set_clock(server, -behind),
            Fault::LostPage { wait, lag, held } => return self.lose_page(wait, lag, held).await,
            Fault::RepeatedCall {
                node,
                repeated_after,
            } => {
                return self.repeat_call(node, repeated_after).await;
            }
            Fault::FreezeNode { node, .. }
            | Fault::KillNode { node, .. }
            | Fault::Partition { node, .. }
            | Fault::HoldReads {
                node: Some(node), ..
            }
            | Fault::LoseAnswers { node, .. } => return self.fail_node(fault, node),
        }
        true
    }

    fn fail_node(&self, fault: Fault, slot: usize) -> bool {
        let Some(living) = self.living(slot) else {
            return false;
        };
        let (life, node) = (Some(living.life), Some(digit(slot)));
        match fault {
            Fault::FreezeNode { time, .. } => {
                if !living.node.signal("-STOP") {
                    return false;
                }
                self.for_a_while(life, time, move |_| {
                    living.node.signal("-CONT");
                });
            }
            Fault::KillNode { down, .. } => {
                if !self.run.kill_node(slot) {
                    return false;
                }
                let run = Arc::clone(&self.run);
                tokio::spawn(async move {
                    tokio::time::sleep(milliseconds(down)).await;
                    run.fill(slot).await;
                });
            }
            Fault::Partition { time, .. } => self.way(life, node, None, What::Holds, time),
            Fault::HoldReads { time, .. } => {
                self.way(life, node, Some(Use::Reads), What::Holds, time);
            }
            Fault::LoseAnswers { time, .. } => {
                let calls = Some(Use::Calls);
                let rule = self.run.rules.add(node, calls, What::HoldsAnswers);
                self.for_a_while(life, time, move |run| {
                    run.rules.cut(node, calls);
                    run.rules.remove(rule);
                });
            }
            _ => return false,
        }
        true
    }

    async fn replace(&mut self, kills: bool, lag: u64, rejoins_after: u64) -> bool {
        let master = self.group.master().await;
        if !self.group.has_replica(master) {
            return false;
        }
        let replication = Some(Use::Replication);
        let rule = (lag > 0).then(|| self.run.rules.add(None, replication, What::Holds));
        tokio::time::sleep(milliseconds(lag)).await;
        self.begin_loss(self.run.frame.replicas > 0);
        if kills {
            self.group.kill(master);
        }
        self.group.promote(master).await;
        self.end_loss();
        if let Some(rule) = rule {
            self.run.rules.remove(rule);
        }
        self.rejoin(master, rejoins_after).await;
        true
    }

    /// The old master comes back, to be a replica.
    async fn rejoin(&mut self, server: usize, after: u64) {
        tokio::time::sleep(milliseconds(after)).await;
        self.group.run_if_killed(server);
    }

    async fn restart(&mut self, keeps_file: bool, down: u64) {
        let master = self.group.master().await;
        let loses = !keeps_file || self.group.kind != Kind::Single;
        match loses {
            true => self.begin_loss(false),
            false => self.run.model().world.begin_fault(None),
        }
        self.group.kill(master);
        tokio::time::sleep(milliseconds(down)).await;
        self.group.run(master, keeps_file);
        if self.group.kind != Kind::Single {
            // Another one may have taken its place.
            self.group.heal().await;
        }
        match loses {
            true => self.end_loss(),
            false => self.run.model().world.end_fault(None),
        }
    }

    async fn freeze(&mut self, time: u64) {
        let master = self.group.master().await;
        let is_single = self.group.kind == Kind::Single;
        match is_single {
            true => self.run.model().world.begin_fault(None),
            // Another one takes its place, and it goes on for a moment when it wakes.
            false => self.begin_loss(false),
        }
        self.group.signal(master, "-STOP");
        tokio::time::sleep(milliseconds(time)).await;
        self.group.signal(master, "-CONT");
        if is_single {
            self.run.model().world.end_fault(None);
        } else {
            self.group.heal().await;
            self.end_loss();
        }
    }

    async fn loads(&self) -> u64 {
        let mut loads = 0;
        for living in self.run.living() {
            if let Answer::State { loads: one, .. } = living.node.ask(Request::State).await {
                loads += one;
            }
        }
        loads
    }

    async fn lose_page(&mut self, wait: u64, lag: u64, held: u64) -> bool {
        let master = self.group.master().await;
        if !self.group.has_replica(master) {
            return false;
        }
        // A write of a node's own that is lost has it read everything again.
        self.run.is_quiet.store(true, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(150)).await;
        let loads = self.loads().await;
        // One page after the other, and not all of them at once.
        let rules = self.run.rules.clone();
        let slow = What::Delays(Duration::from_millis(40));
        let slow = rules.add(None, Some(Use::Calls), slow);
        self.begin_loss(false);
        let _ = self.group.ask::<()>(master, &cmd("FLUSHALL"));
        let began = Instant::now();
        while self.loads().await <= loads && began.elapsed() < Duration::from_secs(3) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(milliseconds(wait)).await;
        let replication = rules.add(None, Some(Use::Replication), What::Holds);
        self.way(None, None, Some(Use::Reads), What::HoldsAnswers, held);
        tokio::time::sleep(milliseconds(lag)).await;
        let mut members = cmd("ZCARD");
        members.arg(KEYS[0]);
        let written: Option<u64> = self.group.ask(master, &members);
        let next = self.group.promote(master).await;
        let kept: Option<u64> = self.group.ask(next, &members);
        self.say(format!(
            "of {written:?} revocations the new master has {kept:?}"
        ));
        rules.remove(replication);
        rules.remove(slow);
        self.end_loss();
        tokio::time::sleep(milliseconds(held)).await;
        self.run.is_quiet.store(false, Ordering::SeqCst);
        self.let_checks_happen().await;
        true
    }

    async fn repeat_call(&mut self, slot: usize, repeated_after: u64) -> bool {
        let master = self.group.master().await;
        let living = self.living(slot);
        let others = self.run.living();
        let other = others
            .into_iter()
            .find(|one| Some(one.life) != living.as_ref().map(|x| x.life));
        let (Some(living), Some(other)) = (living, other) else {
            return false;
        };
        let Some(replica) = self.group.replica_of(master) else {
            return false;
        };
        self.run.is_quiet.store(true, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(150)).await;
        self.group.set_clock(master, 0);
        self.group.set_clock(replica, -900);
        let rules = self.run.rules.clone();
        let replication = rules.add(None, Some(Use::Replication), What::Holds);
        let node = Some(digit(slot));
        let answers = rules.add(node, Some(Use::Calls), What::HoldsAnswers);
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.run.model().world.begin_fault(Some(living.life));
        let written = Instant::now();
        let call = self.operate(&living, Operation::RevokeToken { waits: false });
        // Until the node has read what it was not told.
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.begin_loss(self.run.frame.replicas > 0);
        let way = rules.add(node, None, What::Holds);
        self.group.kill(master);
        self.group.promote(master).await;
        rules.remove(replication);
        rules.remove(answers);
        self.end_loss();
        let calls = [Operation::Block, Operation::RevokeToken { waits: false }];
        let calls = calls.map(|operation| self.operate(&other, operation));
        let moment = written + milliseconds(repeated_after);
        tokio::time::sleep_until(moment.into()).await;
        rules.remove(way);
        self.run.model().world.end_fault(Some(living.life));
        let _ = call.await;
        for call in calls {
            let _ = call.await;
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
        self.run.is_quiet.store(false, Ordering::SeqCst);
        self.rejoin(master, 300).await;
        self.let_checks_happen().await;
        true
    }

    /// Nothing is made until what was lost must be known again, and new nodes were asked for it.
    async fn let_checks_happen(&self) {
        let window = after_loss(self.run.frame.max_staleness);
        tokio::time::sleep(window + Duration::from_secs(2)).await;
    }

    fn operate(&self, living: &Living, operation: Operation) -> tokio::task::JoinHandle<()> {
        let (run, living) = (Arc::clone(&self.run), living.clone());
        let step = Step {
            pause: Duration::ZERO,
            operation,
            node: 0,
            other_node: 0,
            subject: run.model().causes.len(),
            pick: 0,
        };
        tokio::spawn(async move { operate(&run, &living, step).await })
    }
}

/// How the ways call the node in a slot.
fn digit(slot: usize) -> u8 {
    u8::try_from(slot).unwrap()
}
