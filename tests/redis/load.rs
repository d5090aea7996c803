//! A continuous load of revocations on several nodes.
//!
//! It records what was acknowledged, and what each node has reported as revoked.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio::task::JoinHandle;
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::revocation::{Revocation, RevocationStore, TokenIdentity};
use tower_jwt_auth::store::RedisStore;

pub(crate) const ISSUER: &str = "https://id.example.com";

pub(crate) fn in_seconds(seconds: u64) -> NumericDate {
    (SystemTime::now() + Duration::from_secs(seconds)).into()
}

/// A thing to revoke: the kinds alternate.
#[derive(Clone, Debug)]
pub(crate) struct Thing {
    number: u64,
    name: String,
    expires_at: NumericDate,
}

impl Thing {
    pub(crate) fn new(number: u64, expires_at: NumericDate) -> Self {
        Self {
            number,
            name: format!("thing-{number}"),
            expires_at,
        }
    }

    pub(crate) fn token(&self) -> TokenIdentity<'_> {
        let token = TokenIdentity::new(self.expires_at).issuer(ISSUER);
        // Issued long ago.
        let token = token.issued_at(NumericDate::from_seconds(1_000_000_000).unwrap());
        match self.number % 6 {
            0 | 1 => token.jti(&self.name),
            2 => token.jti("other").sid(&self.name),
            3 => token.jti("other").subject(&self.name).generation(3),
            _ => token.jti("other").subject(&self.name),
        }
    }

    pub(crate) fn revocation(&self) -> Revocation<'_> {
        let (issuer, until) = (Some(ISSUER), self.expires_at);
        match self.number % 6 {
            0 | 1 => Revocation::Token {
                issuer,
                jti: &self.name,
                expires_at: until,
            },
            2 => Revocation::Session {
                issuer,
                sid: &self.name,
                until,
            },
            3 => Revocation::Generation {
                issuer,
                subject: &self.name,
                generation: 4,
                until,
            },
            4 => Revocation::Cutoff {
                issuer,
                subject: &self.name,
                issued_at: NumericDate::from_seconds(1_000_000_001).unwrap(),
                until,
            },
            _ => Revocation::Block {
                issuer,
                subject: &self.name,
            },
        }
    }
}

pub(crate) struct Load {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

struct Shared {
    nodes: Vec<RedisStore>,
    expires_at: NumericDate,
    next: AtomicU64,
    failures: AtomicU64,
    stops: AtomicBool,
    acknowledged: Mutex<Vec<u64>>,
    /// What each node has reported as revoked, or has revoked.
    held: Vec<Mutex<HashSet<u64>>>,
    violations: Mutex<Vec<String>>,
}

impl Shared {
    /// Asserts that a node still reports what it has reported once, unless it is stale.
    fn look(&self, node: usize, number: u64) -> Option<bool> {
        let thing = Thing::new(number, self.expires_at);
        // First: the node may learn of it in between.
        let was_held = self.held[node].lock().unwrap().contains(&number);
        let answer = self.nodes[node].peek(&thing.token());
        match answer {
            Some(true) => drop(self.held[node].lock().unwrap().insert(number)),
            Some(false) if was_held => {
                let what = format!("node {node} no longer holds {number}");
                self.violations.lock().unwrap().push(what);
            }
            _ => {}
        }
        answer
    }
}

impl Load {
    /// Revokes on every node, with this pause between revocations.
    pub(crate) fn on(nodes: &[RedisStore], pause: Duration) -> Self {
        let shared = Arc::new(Shared {
            nodes: nodes.to_vec(),
            expires_at: in_seconds(600),
            next: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            stops: AtomicBool::new(false),
            acknowledged: Mutex::default(),
            held: nodes.iter().map(|_| Mutex::default()).collect(),
            violations: Mutex::default(),
        });
        let mut tasks = Vec::new();
        for node in 0..nodes.len() {
            let shared = Arc::clone(&shared);
            tasks.push(tokio::spawn(async move {
                while !shared.stops.load(Ordering::SeqCst) {
                    let number = shared.next.fetch_add(1, Ordering::SeqCst);
                    let thing = Thing::new(number, shared.expires_at);
                    match shared.nodes[node].revoke(&thing.revocation()).await {
                        Ok(()) => {
                            shared.held[node].lock().unwrap().insert(number);
                            shared.acknowledged.lock().unwrap().push(number);
                            shared.look(node, number);
                        }
                        Err(_) => drop(shared.failures.fetch_add(1, Ordering::SeqCst)),
                    }
                    tokio::time::sleep(pause).await;
                }
            }));
        }
        let looking = Arc::clone(&shared);
        tasks.push(tokio::spawn(async move {
            while !looking.stops.load(Ordering::SeqCst) {
                for number in 0..looking.next.load(Ordering::SeqCst) {
                    for node in 0..looking.nodes.len() {
                        looking.look(node, number);
                    }
                    if number % 64 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }));
        Self { shared, tasks }
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.shared.acknowledged.lock().unwrap().len()
    }

    /// Waits until this many more are acknowledged.
    pub(crate) async fn go_on(&self, more: usize) {
        let least = self.acknowledged() + more;
        super::eventually("writes go on", || self.acknowledged() >= least).await;
    }

    /// Ends the load, and returns what was acknowledged.
    pub(crate) async fn stop(&mut self) -> Vec<Thing> {
        self.shared.stops.store(true, Ordering::SeqCst);
        for task in self.tasks.drain(..) {
            task.await.unwrap();
        }
        let acknowledged = self.shared.acknowledged.lock().unwrap();
        let numbers = acknowledged.iter();
        numbers
            .map(|number| Thing::new(*number, self.shared.expires_at))
            .collect()
    }

    /// Ends the load. Asserts that all these nodes learn what was acknowledged or reported by any
    /// node, and that none has forgotten anything.
    pub(crate) async fn settle(mut self, more: &[&RedisStore]) {
        self.stop().await;
        let shared = &self.shared;
        let mut numbers: HashSet<u64> = shared
            .acknowledged
            .lock()
            .unwrap()
            .iter()
            .copied()
            .collect();
        for node in &shared.held {
            numbers.extend(node.lock().unwrap().iter());
        }
        let began = Instant::now();
        loop {
            let mut missing = Vec::new();
            for number in &numbers {
                for node in 0..shared.nodes.len() {
                    if shared.look(node, *number) != Some(true) {
                        missing.push((node, *number));
                    }
                }
                let thing = Thing::new(*number, shared.expires_at);
                for (index, node) in more.iter().enumerate() {
                    if node.peek(&thing.token()) != Some(true) {
                        missing.push((100 + index, *number));
                    }
                }
            }
            if missing.is_empty() {
                break;
            }
            assert!(
                began.elapsed() < super::LONG,
                "not all nodes hold {} of {}: {:?}",
                missing.len(),
                numbers.len(),
                &missing[..missing.len().min(10)]
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let violations = shared.violations.lock().unwrap();
        assert!(violations.is_empty(), "{violations:?}");
        println!(
            "{} revocations hold on {} nodes; {} failed meanwhile",
            numbers.len(),
            shared.nodes.len() + more.len(),
            shared.failures.load(Ordering::SeqCst)
        );
    }
}
