//! Tables that are read without locks while one writer writes.
//!
//! A table is an array of cache lines of eight places, probed from the line that a fingerprint's upper bits name. A place
//! is empty (0) or holds a fingerprint, and never changes again: nothing is moved or deleted in place. A table that is too
//! full, or holds too much that has expired, is built anew aside and swapped for the old one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fingerprint::Fingerprint;

pub(super) const PLACES: usize = 8;

/// One line of the cache: a look-up that finds room in it needs no other.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Line([AtomicU64; PLACES]);

/// How many entries may lie in so many lines: three quarters of their places. Then four of five look-ups end in the first
/// line.
pub(super) const fn room(lines: usize) -> usize {
    lines.saturating_mul(PLACES * 3 / 4)
}

/// How many lines a new table gets: a quarter more than its entries need, so that an entry is moved about four times in
/// its life, and takes between 10.7 and 13.3 bytes.
pub(super) const fn lines_for(entries: usize) -> usize {
    // 8 places * 3/4 / (5/4) = 4.8 entries a line.
    entries.saturating_mul(10).div_ceil(48)
}

pub(super) fn empty_lines<L: FromIterator<Line>>(lines: usize) -> L {
    (0..lines).map(|_| Line::default()).collect()
}

/// The line where the search begins.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "less than the number of lines, which is a usize"
)]
fn home(lines: &[Line], fingerprint: Fingerprint) -> usize {
    (u128::from(fingerprint.bits()).wrapping_mul(lines.len() as u128) >> 64) as usize
}

#[inline]
fn after(lines: &[Line], index: usize) -> usize {
    let next = index.wrapping_add(1);
    if next == lines.len() { 0 } else { next }
}

/// Whether the fingerprint is in the table.
#[inline]
pub(super) fn contains(lines: &[Line], fingerprint: Fingerprint) -> bool {
    let mut index = home(lines, fingerprint);
    for _ in 0..lines.len() {
        let Some(line) = lines.get(index) else {
            return false;
        };
        let mut found = false;
        let mut last = 0;
        for place in &line.0 {
            last = place.load(Ordering::Acquire);
            found |= last == fingerprint.bits();
        }
        // The places of a line are filled in order.
        if found || last == 0 {
            return found;
        }
        index = after(lines, index);
    }
    false
}

/// Calls `visit` with each place of the fingerprint, until it answers `true`.
#[inline]
pub(super) fn find(
    lines: &[Line],
    fingerprint: Fingerprint,
    mut visit: impl FnMut(usize) -> bool,
) -> bool {
    let mut index = home(lines, fingerprint);
    for _ in 0..lines.len() {
        let Some(line) = lines.get(index) else {
            return false;
        };
        let mut found = 0_u8;
        let mut last = 0;
        for place in &line.0 {
            last = place.load(Ordering::Acquire);
            found = found >> 1 | u8::from(last == fingerprint.bits()) << 7;
        }
        while found != 0 {
            let place = index
                .wrapping_mul(PLACES)
                .wrapping_add(found.trailing_zeros() as usize);
            if visit(place) {
                return true;
            }
            found &= found.wrapping_sub(1);
        }
        if last == 0 {
            return false;
        }
        index = after(lines, index);
    }
    false
}

/// Puts a fingerprint in, after `fill` has prepared what belongs to its place. Only one writer at a time may do so, and
/// it sees to it that there is [`room`].
pub(super) fn put(lines: &[Line], fingerprint: Fingerprint, fill: impl FnOnce(usize)) {
    let mut index = home(lines, fingerprint);
    for _ in 0..lines.len() {
        let Some(line) = lines.get(index) else {
            return;
        };
        let vacant = line
            .0
            .iter()
            .enumerate()
            .find(|(_, place)| place.load(Ordering::Relaxed) == 0);
        if let Some((offset, place)) = vacant {
            fill(index.wrapping_mul(PLACES).wrapping_add(offset));
            place.store(fingerprint.bits(), Ordering::Release);
            return;
        }
        index = after(lines, index);
    }
    debug_assert!(false, "a table without room");
}

/// All fingerprints, each with its place.
pub(super) fn entries(lines: &[Line]) -> impl Iterator<Item = (usize, Fingerprint)> {
    lines
        .iter()
        .flat_map(|line| &line.0)
        .map(|place| place.load(Ordering::Relaxed))
        .enumerate()
        .filter(|(_, bits)| *bits != 0)
        .map(|(place, bits)| (place, Fingerprint::new(bits)))
}

/// The fingerprints of a table in a bigger one, with room for one more.
pub(super) fn grown(lines: &[Line], entries: usize) -> Arc<[Line]> {
    let grown: Arc<[Line]> = empty_lines(lines_for(entries.saturating_add(1)));
    for (_, fingerprint) in self::entries(lines) {
        put(&grown, fingerprint, |_| ());
    }
    grown
}
