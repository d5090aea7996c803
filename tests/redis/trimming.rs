//! The server keeps the stream for as long as nodes need it and not much longer, even if its clock
//! is set.

use std::time::Duration;

use tower_jwt_auth::store::RedisStore;
use tower_jwt_auth::store::redis::client::cmd;

use crate::load::{Thing, in_seconds};
use crate::server::Server;
use crate::{LONG, connect, options};

/// Entries between two steps of the clock.
const ENTRIES: u64 = 200;

/// How many more entries the server may keep: it drops whole blocks of a hundred.
const SLACK: u64 = 300;

async fn write(node: &RedisStore, round: u64) {
    let expires_at = in_seconds(3000);
    for number in 0..ENTRIES {
        let thing = Thing::new((round * ENTRIES + number) * 6, expires_at);
        node.revoke(&thing.revocation()).await.unwrap();
    }
}

fn length(server: &Server) -> u64 {
    server.ask(cmd("XLEN").arg("{jwt}:stream"))
}

/// Writes at each of these times. Asserts that the server keeps the entries of at least the last
/// `least` of them, and of at most the last `most`.
async fn bounded(clocks: &[i64], least: u64, most: u64) {
    let (server, clock) = Server::with_clock();
    clock.set(clocks[0]);
    // A long staleness, so that heartbeats are too rare to matter.
    let node = connect(
        options().max_staleness(Duration::from_secs(20)),
        server.client(),
    )
    .await;
    let mut longest = 0;
    for (round, seconds) in (0..).zip(clocks) {
        clock.set(*seconds);
        write(&node, round).await;
        longest = longest.max(length(&server));
    }
    let kept = length(&server);
    println!("{clocks:?}: {kept} entries at the end, {longest} at most");
    assert!(kept >= least * ENTRIES, "{kept} entries");
    assert!(kept <= most * ENTRIES + SLACK, "{kept} entries");
    assert_eq!(node.state().loads, 1);
    let new = connect(options().max_staleness(LONG), server.client()).await;
    assert_eq!(new.state().loads, 1);
}

/// In steps of 61 seconds.
fn minutes(from: i64, count: i64) -> impl Iterator<Item = i64> {
    (0..count).map(move |minute| from + 61 * minute)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_is_kept_for_two_minutes_at_most() {
    bounded(&minutes(0, 8).collect::<Vec<_>>(), 2, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_set_back_keeps_the_stream_no_longer() {
    let clocks: Vec<_> = minutes(0, 4).chain(minutes(-3600, 8)).collect();
    bounded(&clocks, 2, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_ahead_keeps_the_stream_no_longer() {
    let clocks: Vec<_> = minutes(36_000, 1).chain(minutes(0, 8)).collect();
    bounded(&clocks, 2, 3).await;
}

/// One second back every half minute changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_back_often_keeps_the_stream_for_a_minute() {
    let clocks: Vec<_> = (0..24).map(|step| step / 2 * 31 - (step % 2)).collect();
    bounded(&clocks, 4, 10).await;
}

/// All entries of the last minute are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_is_kept_for_a_minute_at_least() {
    bounded(&(0..20).map(|step| step * 10).collect::<Vec<_>>(), 6, 13).await;
}

/// The IDs of the deleted stream are higher than those of the next. The next must not be trimmed by
/// them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_stream_does_not_trim_the_next() {
    let (server, clock) = Server::with_clock();
    let node = connect(
        options().max_staleness(Duration::from_secs(20)),
        server.client(),
    )
    .await;
    for (round, seconds) in (0..).zip(minutes(0, 4)) {
        clock.set(seconds);
        write(&node, round).await;
    }
    clock.set(-3600);
    server.ask::<u64>(cmd("DEL").arg("{jwt}:stream"));
    write(&node, 4).await;
    write(&node, 5).await;
    let kept = length(&server);
    assert!(kept >= 2 * ENTRIES, "{kept} entries");
}
