//! Measures the set of revocations: memory, lookups, and how writers slow down readers.
//!
//! Subjects take turns in one process, batch by batch, so a machine whose speed drifts favours
//! none. Compare the ratios of their medians; absolute times mean little.
//!
//! `cargo bench --bench revocation [-- memory | look-ups | threads | writers]`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    reason = "a bench: it panics, prints, and reads the time"
)]

use std::collections::HashSet;
use std::fmt;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use allocation_counter::AllocationInfo;
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::revocation::{Revocation, RevocationSet, TokenIdentity};

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://id.example.com";
const MINUTES: u64 = 15 * 60;
const DAY: u64 = 24 * 60 * 60;

/// SplitMix64.
fn random(mut x: u64) -> u64 {
    x = x.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// The text of a UUID.
fn uuid(number: u64) -> String {
    let (a, b) = (random(number), random(!number));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 48 & 0xfff,
        b & 0xffff_ffff_ffff
    )
}

fn sid(number: u64) -> String {
    uuid(number ^ 1 << 40)[..22].to_owned()
}

fn subject(number: u64) -> String {
    uuid(number ^ 1 << 41)[..20].to_owned()
}

fn at(seconds: u64) -> NumericDate {
    NumericDate::from_seconds(seconds).unwrap()
}

fn expiry(number: u64, spread: u64) -> NumericDate {
    at(NOW + 1 + random(number ^ 7 << 50) % spread)
}

fn set() -> RevocationSet {
    RevocationSet::new()
        .clock(ManualClock::at(NOW))
        .capacity(usize::MAX)
}

fn revoke(set: &RevocationSet, number: u64, expires_at: NumericDate) {
    let jti = uuid(number);
    set.revoke(&Revocation::Token {
        issuer: Some(ISSUER),
        jti: &jti,
        expires_at,
    })
    .unwrap();
}

fn filled(entries: u64, spread: u64) -> RevocationSet {
    let set = set();
    for number in 0..entries {
        revoke(&set, number, expiry(number, spread));
    }
    set
}

/// What `make` makes, and what it has left on the heap.
fn measured<T>(make: impl FnOnce() -> T) -> (T, AllocationInfo) {
    let mut made = None;
    let bytes = allocation_counter::measure(|| made = Some(make()));
    (made.unwrap(), bytes)
}

fn memory() {
    println!("\nheap bytes an entry (the set itself says) and at the peak while it grew");
    let mut all = Vec::new();
    for (name, spread) in [("15 min", MINUTES), ("24 h", DAY)] {
        for entries in [500_000, 700_000, 1_000_000, 1_400_000] {
            let (set, bytes) = measured(|| filled(entries, spread));
            let live = bytes.bytes_current as f64 / entries as f64;
            let peak = bytes.bytes_max as f64 / entries as f64;
            let said = set.state().heap_bytes as f64 / entries as f64;
            assert_eq!(set.state().tokens as u64, entries);
            println!("{name:>7} {entries:>9} {live:>7.2} ({said:.2}) {peak:>7.2}");
            all.push(live);
        }
    }
    let worst = all.iter().copied().fold(0.0, f64::max);
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    println!("worst {worst:.2} (target 20), mean {mean:.2} (target 14)");

    let rows = set();
    let ((), sessions) = measured(|| {
        for number in 0..100_000 {
            let sid = sid(number);
            rows.revoke(&Revocation::Session {
                issuer: Some(ISSUER),
                sid: &sid,
                until: at(NOW + 300),
            })
            .unwrap();
        }
    });
    let ((), subjects) = measured(|| (0..100_000).for_each(|number| raise(&rows, number)));
    println!(
        "of 100,000: {:.1} a session, {:.1} a subject",
        sessions.bytes_current as f64 / 1e5,
        subjects.bytes_current as f64 / 1e5
    );
}

fn raise(set: &RevocationSet, number: u64) {
    let subject = subject(number);
    set.revoke(&Revocation::Generation {
        issuer: Some(ISSUER),
        subject: &subject,
        generation: 3,
        until: at(NOW + DAY),
    })
    .unwrap();
}

/// Tokens whose strings are adjacent in memory, in the order of their lookups. A request has just
/// read them, so they must not add cache misses to the lookup.
#[derive(Default)]
struct Tokens {
    text: String,
    ends: Vec<([u32; 4], NumericDate)>,
}

impl Tokens {
    fn of(numbers: impl Iterator<Item = u64>, spread: u64) -> Self {
        let mut tokens = Self::default();
        for number in numbers {
            let mut ends = [tokens.text.len() as u32; 4];
            let texts = [
                uuid(number),
                sid(number | 1 << 35),
                subject(number | 1 << 35),
            ];
            for (text, end) in texts.iter().zip(&mut ends[1..]) {
                tokens.text.push_str(text);
                *end = tokens.text.len() as u32;
            }
            tokens.ends.push((ends, expiry(number, spread)));
        }
        tokens
    }

    fn ids(&self) -> Vec<TokenIdentity<'_>> {
        (0..self.ends.len()).map(|index| self.id(index)).collect()
    }

    fn id(&self, index: usize) -> TokenIdentity<'_> {
        let ([start, jti, sid, subject], expires_at) = self.ends[index % self.ends.len()];
        let text = |start, end| &self.text[start as usize..end as usize];
        TokenIdentity::new(expires_at)
            .issuer(ISSUER)
            .jti(text(start, jti))
            .sid(text(jti, sid))
            .subject(text(sid, subject))
            .issued_at(at(NOW - 5))
            .generation(1)
    }
}

/// One look-up of the given number, and reading what it looks for.
type Subject<'a> = (&'a mut dyn FnMut(usize), &'a mut dyn FnMut(usize));

/// Nanoseconds of each, in batches that take turns.
///
/// Alone: each lookup is timed by itself. In a row, the processor starts the next lookup before
/// this one ends, which helps no server. A batch reads its tokens before the clock starts, since a
/// request has them at hand. The table is as cold as it gets among so many entries.
fn interleaved<const N: usize>(
    rounds: usize,
    batch: usize,
    is_alone: bool,
    mut subjects: [Subject<'_>; N],
) -> [Vec<f64>; N] {
    let mut samples = [const { Vec::new() }; N];
    for round in 0..rounds {
        for ((look, read), samples) in subjects.iter_mut().zip(&mut samples) {
            let range = round * batch..(round + 1) * batch;
            range.clone().for_each(&mut **read);
            let mut took = Duration::ZERO;
            if is_alone {
                for index in range {
                    let start = Instant::now();
                    look(index);
                    took += start.elapsed();
                }
            } else {
                let start = Instant::now();
                range.for_each(&mut **look);
                took = start.elapsed();
            }
            samples.push(took.as_secs_f64() * 1e9 / batch as f64);
        }
    }
    for samples in &mut samples {
        samples.sort_by(f64::total_cmp);
    }
    samples
}

fn quantile(samples: &[f64], part: f64) -> f64 {
    samples[((samples.len() - 1) as f64 * part) as usize]
}

fn key(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&random(number).to_le_bytes());
    key[8..].copy_from_slice(&random(!number).to_le_bytes());
    key
}

fn look_ups(rounds: usize, entries: u64) {
    const BATCH: usize = 256;
    const POOL: u64 = 1 << 16;
    println!(
        "\none look-up among {entries}, ns: median (quartiles); against a ready key in RwLock<HashSet> (targets: hit 1.0, miss 1.3)"
    );
    let ready: HashSet<[u8; 16], foldhash::fast::RandomState> = (0..entries).map(key).collect();
    let ready = RwLock::new(ready);
    let hit_keys: Vec<_> = (0..POOL)
        .map(|number| key(random(number) % entries))
        .collect();
    let miss_keys: Vec<_> = (0..POOL).map(|number| key(number | 1 << 45)).collect();
    for (name, spread) in [("15 min", MINUTES), ("24 h", DAY)] {
        let hits = Tokens::of((0..POOL).map(|number| random(number) % entries), spread);
        let misses = Tokens::of((0..POOL).map(|number| number | 1 << 45), spread);
        let set = filled(entries, spread);
        for rows in [0, 10_000, 100_000] {
            for number in (rows / 10)..rows {
                let sid = sid(number);
                set.revoke(&Revocation::Session {
                    issuer: Some(ISSUER),
                    sid: &sid,
                    until: at(NOW + DAY),
                })
                .unwrap();
                raise(&set, number);
            }
            let (hits, misses) = (hits.ids(), misses.ids());
            let look = |tokens: &[TokenIdentity<'_>], index: usize, expected| {
                let id = &tokens[index % tokens.len()];
                assert_eq!(black_box(set.is_revoked(id)), expected);
            };
            let find = |keys: &[[u8; 16]], index: usize, expected| {
                let found = ready.read().unwrap().contains(&keys[index % keys.len()]);
                assert_eq!(black_box(found), expected);
            };
            let read = |tokens: &[TokenIdentity<'_>], index: usize| {
                let id = &tokens[index % tokens.len()];
                for text in [id.issuer, id.jti, id.sid, id.subject]
                    .into_iter()
                    .flatten()
                {
                    black_box(text.bytes().map(u64::from).sum::<u64>());
                }
            };
            let read_key = |keys: &[[u8; 16]], index: usize| {
                black_box(
                    keys[index % keys.len()]
                        .iter()
                        .copied()
                        .map(u64::from)
                        .sum::<u64>(),
                );
            };
            for (way, is_alone) in [("alone", true), ("in a row", false)] {
                let samples = interleaved(
                    rounds,
                    BATCH,
                    is_alone,
                    [
                        (&mut |index| look(&hits, index, true), &mut |index| {
                            read(&hits, index);
                        }),
                        (&mut |index| find(&hit_keys, index, true), &mut |index| {
                            read_key(&hit_keys, index);
                        }),
                        (&mut |index| look(&misses, index, false), &mut |index| {
                            read(&misses, index);
                        }),
                        (&mut |index| find(&miss_keys, index, false), &mut |index| {
                            read_key(&miss_keys, index);
                        }),
                        (
                            &mut |index| assert!(black_box(index) < usize::MAX),
                            &mut |_| (),
                        ),
                    ],
                );
                // What the clock costs, or the loop.
                let idle = quantile(&samples[4], 0.5);
                let at = |subject: usize, part| quantile(&samples[subject], part) - idle;
                let show = |subject| {
                    let [low, median, high] = [0.25, 0.5, 0.75].map(|part| at(subject, part));
                    format!("{median:.0} ({low:.0}-{high:.0})")
                };
                println!(
                    "{name:>7}, {rows:>6} sessions and subjects, {way:>8}: hit {} / {} = {:.2}, miss {} / {} = {:.2}",
                    show(0),
                    show(1),
                    at(0, 0.5) / at(1, 0.5),
                    show(2),
                    show(3),
                    at(2, 0.5) / at(3, 0.5),
                );
            }
        }
    }
}

/// Every other one is revoked.
fn mixed() -> Tokens {
    Tokens::of(
        (0..1 << 14).map(|number| number | (number % 2) << 45),
        MINUTES,
    )
}

/// Look-ups a second of so many threads.
fn throughput(set: &RevocationSet, threads: usize, tokens: &Tokens, length: Duration) -> f64 {
    let stop = AtomicBool::new(false);
    let start = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..threads)
            .map(|thread| {
                let (stop, start) = (&stop, &start);
                scope.spawn(move || {
                    start.wait();
                    let (began, mut count) = (Instant::now(), 0_usize);
                    while !stop.load(Ordering::Relaxed) {
                        for index in 0..256 {
                            let id = tokens.id(count + index + thread * 77);
                            black_box(set.is_revoked(&id));
                        }
                        count += 256;
                    }
                    count as f64 / began.elapsed().as_secs_f64()
                })
            })
            .collect();
        start.wait();
        thread::sleep(length);
        stop.store(true, Ordering::Relaxed);
        readers
            .into_iter()
            .map(|reader| reader.join().unwrap())
            .sum()
    })
}

fn threads(rounds: usize, entries: u64, length: Duration) {
    let set = filled(entries, MINUTES);
    for number in 0..10_000 {
        raise(&set, number);
    }
    let tokens = mixed();
    let mut ratios: Vec<_> = (0..rounds)
        .map(|_| {
            let one = throughput(&set, 1, &tokens, length);
            throughput(&set, 2, &tokens, length) / one
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "\ntwo readers against one: {:.2} times the look-ups (median of {rounds}; {:.2}-{:.2})",
        quantile(&ratios, 0.5),
        quantile(&ratios, 0.0),
        quantile(&ratios, 1.0)
    );
}

/// How often this thread was taken off its processor against its will.
fn preemptions() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}

/// The look-ups of one reader.
#[derive(Default)]
struct Waits {
    look_ups: usize,
    /// Lookups that took longer than a millisecond, mostly because the thread was preempted.
    preempted: usize,
    others: usize,
    /// The longest without preemption, in microseconds.
    longest: f64,
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} look-ups, over 1 ms {} preempted and {} others, longest of the others {:.0} µs",
            self.look_ups, self.preempted, self.others, self.longest
        )
    }
}

/// Times every look-up of one reader while `write` runs.
fn waits(set: &RevocationSet, write: impl FnOnce() + Send) -> Waits {
    let done = AtomicBool::new(false);
    let start = Barrier::new(2);
    let tokens = mixed();
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut waits = Waits::default();
            let mut known = preemptions();
            start.wait();
            while !done.load(Ordering::Relaxed) {
                let id = tokens.id(waits.look_ups);
                let began = Instant::now();
                black_box(set.is_revoked(&id));
                let took = began.elapsed().as_secs_f64() * 1e6;
                waits.look_ups += 1;
                if took > 20.0 && took > waits.longest {
                    let now = preemptions();
                    let is_preempted = now.is_none() || now != known;
                    known = now;
                    match is_preempted {
                        true => waits.preempted += usize::from(took > 1000.0),
                        false => {
                            waits.others += usize::from(took > 1000.0);
                            waits.longest = took;
                        }
                    }
                }
            }
            waits
        });
        start.wait();
        write();
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    })
}

fn writers(entries: u64) {
    println!(
        "
what one reader notices while a writer"
    );
    let clock = ManualClock::at(NOW);
    let set = RevocationSet::new()
        .clock(clock.clone())
        .capacity(usize::MAX);
    // The same work on another set: what the scheduler and the memory bus do to a reader.
    let other = self::set();
    let fill = |set: &RevocationSet, pauses: &mut [f64; 2]| {
        for number in 0..entries {
            let jti = uuid(number);
            let start = Instant::now();
            set.revoke(&Revocation::Token {
                issuer: Some(ISSUER),
                jti: &jti,
                expires_at: expiry(number, MINUTES),
            })
            .unwrap();
            let took = start.elapsed().as_secs_f64() * 1e6;
            pauses[0] += took;
            pauses[1] = pauses[1].max(took);
        }
    };
    let mut control = [0.0; 2];
    let began = Instant::now();
    println!(
        "grows another set to {entries}: {}",
        waits(&set, || fill(&other, &mut control))
    );
    let took = began.elapsed();
    drop(other);
    println!(
        "sleeps: {}",
        waits(&set, || thread::sleep(took.min(Duration::from_secs(10))))
    );
    let mut pauses = [0.0; 2];
    println!(
        "grows this set to {entries}: {}",
        waits(&set, || fill(&set, &mut pauses))
    );
    println!(
        "  a write: {:.2} µs on average, {:.0} µs at the longest",
        pauses[0] / entries as f64,
        pauses[1]
    );
    let bytes = set.state().heap_bytes as f64 / entries as f64;
    println!("  {bytes:.2} bytes an entry");
    let mut steps = Vec::new();
    println!(
        "prunes it, a minute at a time: {}",
        waits(&set, || {
            while set.state().tokens > 0 {
                clock.advance(Duration::from_secs(60));
                let start = Instant::now();
                set.prune();
                steps.push(start.elapsed().as_secs_f64() * 1e6);
                thread::sleep(Duration::from_millis(20));
            }
        })
    );
    steps.sort_by(f64::total_cmp);
    println!(
        "  a prune: {:.0} µs at the median, {:.0} µs at the longest",
        quantile(&steps, 0.5),
        quantile(&steps, 1.0)
    );
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this too, to see that it works.
    let full = args.iter().any(|arg| arg == "--bench");
    let chosen: Vec<_> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let wants = |name: &str| chosen.is_empty() || chosen.iter().any(|arg| *arg == name);
    if full {
        if wants("memory") {
            memory();
        }
        if wants("look-ups") {
            for entries in [500_000, 700_000, 1_000_000, 1_400_000] {
                look_ups(1500, entries);
            }
        }
        if chosen.iter().any(|arg| *arg == "small") {
            look_ups(1500, 1000);
        }
        if wants("threads") {
            threads(9, 1_000_000, Duration::from_millis(500));
        }
        if wants("writers") {
            writers(10_000_000);
        }
    } else {
        look_ups(3, 1000);
        threads(1, 1000, Duration::from_millis(20));
        writers(10_000);
    }
}
