//! One run of a seed: its nodes, its model and its record.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use crate::front::Rules;
use crate::model::Model;
use crate::node::Node;
use crate::plan::Frame;
use crate::record::{FAULT, Record};
use crate::service::{Address, Setup};
use crate::wire::{Answer, Request};
use crate::world::{HEALS_WITHIN, World};

/// A node that lives, and which of the lives it is.
#[derive(Clone)]
pub(crate) struct Living {
    pub(crate) life: usize,
    pub(crate) node: Arc<Node>,
}

pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) frame: Frame,
    pub(crate) rules: Rules,
    address: Address,
    model: Mutex<Model>,
    pub(crate) record: Record,
    /// The only kind of faults that is made, if one is named.
    pub(crate) only: Option<String>,
    pub(crate) slots: Mutex<Vec<Option<Living>>>,
    pub(crate) stops: AtomicBool,
    /// Operations wait while this is set.
    pub(crate) is_quiet: AtomicBool,
    /// When the ballast and minted tokens expire, and which cause the ballast is.
    pub(crate) expires_at: u64,
    pub(crate) ballast: Mutex<Option<usize>>,
}

/// A stall of the checker's own runtime that is longer makes no window reliable: the nodes, which
/// share the machine with it, have stood still too. Windows begin again after it.
const STALL: Duration = Duration::from_millis(120);

pub(crate) fn seconds_now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs()
}

impl Run {
    pub(crate) fn new(
        seed: u64,
        frame: Frame,
        rules: Rules,
        address: Address,
        is_verbose: bool,
        only: Option<String>,
    ) -> Self {
        let world = World::new(frame.max_staleness, frame.replicas > 0);
        Self {
            seed,
            slots: Mutex::new((0..frame.nodes).map(|_| None).collect()),
            frame,
            rules,
            address,
            model: Mutex::new(Model::new(world)),
            record: Record::new(is_verbose),
            only,
            stops: AtomicBool::new(false),
            is_quiet: AtomicBool::new(false),
            expires_at: seconds_now() + 3600,
            ballast: Mutex::new(None),
        }
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.stops.load(Ordering::SeqCst)
    }

    /// Starts a node that the way to the servers knows by this number. None if it was not ready,
    /// which is a violation if nothing was wrong for so long.
    pub(crate) async fn start_node(&self, number: usize) -> Option<Living> {
        let setup = Setup {
            address: self.address.clone(),
            user: format!("n{number}"),
            max_staleness: self.frame.max_staleness,
            replicas: self.frame.replicas,
        };
        let born = Instant::now();
        let life = {
            let mut model = self.model();
            let name = format!("n{number}/{}", model.world.lives.len());
            model.world.is_born(name, born)
        };
        let started = Node::start(&setup, self.frame.has_processes, HEALS_WITHIN).await;
        let mut model = self.model();
        let clean_since = model.world.servers_clean_since();
        match started {
            Ok(node) => {
                model.world.lives[life].ready = Some(Instant::now());
                let took = u64::try_from(born.elapsed().as_millis()).unwrap();
                self.record
                    .count_many("note", "milliseconds that new nodes took", took);
                self.record.count("note", "new nodes");
                let node = Arc::new(node);
                Some(Living { life, node })
            }
            Err(error) => {
                model.die(life);
                drop(model);
                let is_excused = clean_since.is_none_or(|since| since > born);
                self.record.check("I5 nodes heal", is_excused, FAULT, || {
                    format!("a new node is not ready after {HEALS_WITHIN:?}: {error}")
                });
                None
            }
        }
    }

    /// Keeps trying until there is a node in the slot again.
    pub(crate) async fn fill(&self, slot: usize) {
        loop {
            if let Some(living) = self.start_node(slot).await {
                self.slots.lock().unwrap()[slot] = Some(living);
                return;
            }
            // No busy loop while the servers are away.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn kill_node(&self, slot: usize) -> bool {
        let living = self.slots.lock().unwrap()[slot].take();
        let Some(living) = living else {
            return false;
        };
        self.model().die(living.life);
        living.node.kill();
        true
    }

    pub(crate) fn living(&self) -> Vec<Living> {
        self.slots
            .lock()
            .unwrap()
            .iter()
            .flatten()
            .cloned()
            .collect()
    }

    pub(crate) fn node(&self, pick: usize) -> Option<Living> {
        let living = self.living();
        (!living.is_empty()).then(|| living[pick % living.len()].clone())
    }

    pub(crate) fn name(&self, life: usize) -> String {
        self.model().world.lives[life].name.clone()
    }

    /// Notes stalls of this process, so that what took long because of them is nobody's fault.
    pub(crate) async fn watch_stalls(self: Arc<Self>) {
        while !self.has_stopped() {
            let before = Instant::now();
            tokio::time::sleep(Duration::from_millis(20)).await;
            if before.elapsed() > STALL {
                self.model().world.stall();
                self.record.count("note", "stalls of the machine");
            }
        }
    }

    /// Notes failovers that no fault has made: a machine that stalls makes a master silent.
    pub(crate) async fn watch_failovers(
        self: Arc<Self>,
        epoch: impl Fn() -> Option<u64> + Send + Sync,
    ) {
        let mut before = epoch();
        while before.is_some() && !self.has_stopped() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let Some(now) = epoch() else { continue };
            if before != Some(now) && !self.model().world.is_losing() {
                self.model()
                    .add_loss(Instant::now() + Duration::from_secs(3));
                self.record.count("note", "failovers of a busy machine");
            }
            before = Some(now);
        }
    }

    /// Revokes the ballast on the first node.
    pub(crate) async fn lay_ballast(&self) {
        const PARTS: usize = 40;
        let cause = self.model().begin(crate::model::What::Ballast);
        let first = self.node(0).unwrap();
        let (count, expires_at) = (self.frame.ballast, self.expires_at);
        let parts = (0..PARTS).map(|part| {
            let (from, to) = (count * part / PARTS, count * (part + 1) / PARTS);
            let node = Arc::clone(&first.node);
            let request = Request::Ballast {
                from,
                to,
                expires_at,
            };
            tokio::spawn(async move {
                // Servers that sync a file always may be slow.
                for _ in 0..100 {
                    if let Answer::Done = node.ask(request.clone()).await {
                        return true;
                    }
                }
                false
            })
        });
        let parts: Vec<_> = parts.collect();
        for part in parts {
            assert!(part.await.unwrap(), "the ballast cannot be revoked");
        }
        self.model().acknowledge(cause, first.life, false, false);
        *self.ballast.lock().unwrap() = Some(cause);
    }

    /// Waits until all nodes know the ballast.
    pub(crate) async fn read_ballast(&self) {
        let began = Instant::now();
        for living in self.living() {
            while !crate::looks::at_ballast(self, &living).await {
                assert!(
                    began.elapsed() < Duration::from_secs(60),
                    "the ballast is not read"
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
