//! Services with many users, at the defaults: the mean cost of a request, and how often the cache
//! has its token.
//!
//! All subjects get the same tokens in the same order, in turns. Each figure is the median of five
//! rounds, and each round has a mean of its own: a mean counts misses as often as they occur.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::routing::get;
use tower_jwt_auth::Claims;
use tower_jwt_auth::keys::Algorithm;

use crate::subjects::{self, Call, Setting};
use crate::{Access, access, machine, median};

const ROUNDS: usize = 5;

/// How many times the subjects take turns in a round.
const TURNS: usize = 20;

/// The tokens of a service, and the order in which requests bring them.
struct Scene {
    name: String,
    order: Vec<usize>,
}

impl Scene {
    fn in_turn(tokens: usize, requests: usize) -> Self {
        Self {
            name: format!("{tokens} in turn"),
            order: (0..requests).map(|number| number % tokens).collect(),
        }
    }

    /// The user of rank `r` sends a share of the requests that is proportional to `1 / r`.
    fn zipf(tokens: usize, requests: usize) -> Self {
        let mut sum = 0.0;
        let weights = (1..=tokens).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        let weights: Vec<_> = weights.collect();
        // SplitMix64, from a fixed seed: each run has the same order.
        let mut state = 0u64;
        let mut draw = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = state;
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (bits ^ (bits >> 31)) as f64 / u64::MAX as f64
        };
        let order = (0..requests).map(|_| {
            let at = draw() * sum;
            weights
                .partition_point(|weight| *weight < at)
                .min(tokens - 1)
        });
        Self {
            name: format!("{tokens} by Zipf"),
            order: order.collect(),
        }
    }
}

pub fn tokens(setting: &Setting, count: usize) -> Vec<HeaderValue> {
    let token = |number| {
        let mut access = access();
        access.sub = format!("{:012}", 248_289_761_001 + number);
        access.jti = format!("6b1d5a9e-6a52-4c0e-9d29-{number:012x}");
        setting.authorization(&access)
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let numbers: Vec<_> = (0..count).collect();
    std::thread::scope(|scope| {
        let parts = numbers.chunks(count.div_ceil(threads));
        let parts: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().copied().map(token).collect::<Vec<_>>()))
            .collect();
        let parts = parts.into_iter().map(|part| part.join().unwrap());
        parts.flatten().collect()
    })
}

/// The decoded claims of each token, as they were last seen. They are held, so that no others get
/// their place in memory.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<(Vec<Option<Claims<Access>>>, usize)>>);

async fn count(State(seen): State<Seen>, claims: Claims<Access>) -> StatusCode {
    let number = claims.jti.rsplit_once('-').unwrap().1;
    let number = usize::from_str_radix(number, 16).unwrap();
    let (all, hits) = &mut *seen.0.lock().unwrap();
    if number >= all.len() {
        all.resize(number + 1, None);
    }
    let before = all[number].replace(claims.clone());
    *hits += usize::from(before.is_some_and(|before| Arc::ptr_eq(&before.0, &claims.0)));
    StatusCode::OK
}

/// The part of the requests after the first `skipped` whose token is in the cache, in percent.
fn hit_rate(setting: &Setting, tokens: &[HeaderValue], order: &[usize], skipped: usize) -> f64 {
    let seen = Seen::default();
    let router = Router::new()
        .route("/me", get(count))
        .layer(subjects::layer(setting))
        .with_state(seen.clone());
    let mut call = subjects::call(router);
    let (skipped, counted) = order.split_at(skipped);
    skipped.iter().for_each(|number| call(&tokens[*number]));
    seen.0.lock().unwrap().1 = 0;
    counted.iter().for_each(|number| call(&tokens[*number]));
    100.0 * seen.0.lock().unwrap().1 as f64 / counted.len() as f64
}

struct Subject {
    name: &'static str,
    over: usize,
    call: Call,
    /// Microseconds a request, by round.
    means: Vec<f64>,
}

fn subjects(setting: &Setting) -> Vec<Subject> {
    let ours = [
        ("this crate", subjects::ours(setting)),
        ("this crate without cache", subjects::ours_uncached(setting)),
    ];
    let ours = ours.map(|(name, router)| (name, 0, Some(subjects::call(router))));
    let rows = subjects::bare_rows().into_iter().chain(ours);
    let rows = rows.chain(subjects::peers(setting));
    rows.filter_map(|(name, over, call)| {
        Some(Subject {
            name,
            over,
            call: call?,
            means: Vec::new(),
        })
    })
    .collect()
}

/// The mean costs over the bare router, in the order of the subjects.
fn costs(setting: &Setting, tokens: &[HeaderValue], warm: &[usize], order: &[usize]) -> Vec<f64> {
    let mut all = subjects(setting);
    for subject in &mut all {
        // Others have no cache to fill.
        let warm = if subject.name == "this crate" {
            warm
        } else {
            &warm[..100]
        };
        warm.iter()
            .for_each(|number| (subject.call)(&tokens[*number]));
    }
    for round in order.chunks_exact(order.len() / ROUNDS) {
        let mut sums = vec![0.0; all.len()];
        for turn in round.chunks_exact(round.len() / TURNS) {
            for (subject, sum) in all.iter_mut().zip(&mut sums) {
                let start = Instant::now();
                turn.iter()
                    .for_each(|number| (subject.call)(&tokens[*number]));
                *sum += start.elapsed().as_secs_f64() * 1e6;
            }
        }
        for (subject, sum) in all.iter_mut().zip(sums) {
            subject.means.push(sum / round.len() as f64);
        }
    }
    let over = |subject: &Subject| {
        let bare = &all[subject.over].means;
        let means = subject.means.iter().zip(bare);
        median(means.map(|(mean, bare)| mean - bare).collect())
    };
    all.iter().map(over).collect()
}

/// `users`: tokens of the larger scene, and a fifth of the requests that fill the cache.
pub fn table(users: usize) {
    let setting = Setting::new(Algorithm::RS256);
    let tokens = tokens(&setting, users);
    let (warm, measured) = (5 * users, users);
    let requests = warm + measured;
    let scenes = [
        Scene::in_turn(users / 10, requests),
        Scene::zipf(users, requests),
    ];
    let columns = scenes.each_ref().map(|scene| {
        let (warm, order) = scene.order.split_at(warm);
        costs(&setting, &tokens, warm, order)
    });
    let names = scenes.each_ref().map(|scene| scene.name.as_str());
    println!(
        "| RS256, over bare axum, mean µs a request | {} |",
        names.join(" | ")
    );
    println!("| --- | --- | --- |");
    for (index, subject) in subjects(&setting).iter().enumerate().skip(2) {
        let cells = columns
            .each_ref()
            .map(|column| format!("{:.1}", column[index]));
        println!("| {} | {} |", subject.name, cells.join(" | "));
    }
    let rates = scenes.each_ref().map(|scene| {
        let rate = hit_rate(&setting, &tokens, &scene.order, warm);
        format!("{rate:.1} %")
    });
    println!("| hit rate of this crate | {} |", rates.join(" | "));
    println!(
        "\n{}. Tokens of {} bytes, and a cache of the default size.",
        machine(),
        tokens[0].len() - "Bearer ".len(),
    );
}
