//! The writes of this node that it has not read back from the stream yet.
//!
//! A call writes one or more stream entries, and all its other changes, in one step: the server
//! keeps all of it or nothing. So it is enough to expect the last entry of each call.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::random_id::ID_LENGTH;
use super::stream_position::ReadPosition;
use super::timestamp::Timestamp;

/// The writes of this node by the nonce of the call.
#[derive(Default)]
pub(super) struct PendingWrites(Mutex<HashMap<Vec<u8>, WriteState>>);

#[derive(Default)]
struct WriteState {
    /// The tag of the last entry of this call, from the server's answer.
    tag: Option<Vec<u8>>,
    /// Since when this node expects to read the entry.
    expected_since: Option<Timestamp>,
    /// Whether a caller waits until the entry is read.
    is_awaited: bool,
    /// The last entry of this call that was read, and its tag. A repetition of the call may have
    /// written it, on another server.
    read: Option<(ReadPosition, Vec<u8>)>,
    /// Whether the call had no answer yet when the last load began.
    is_older_than_load: bool,
}

impl WriteState {
    fn read_position(&self) -> Option<ReadPosition> {
        let (position, tag) = self.read.as_ref()?;
        (self.tag.as_ref() == Some(tag)).then_some(*position)
    }

    fn is_missing(&self) -> bool {
        self.expected_since.is_some() && self.read_position().is_none()
    }
}

/// A write in progress. Dropped before it is acknowledged, it is forgotten.
pub(super) struct PendingWrite<'a> {
    writes: &'a PendingWrites,
    pub(super) nonce: String,
}

impl PendingWrites {
    /// `is_awaited`: whether the caller will ask where the entry was read.
    pub(super) fn begin(&self, nonce: String, is_awaited: bool) -> PendingWrite<'_> {
        let state = WriteState {
            is_awaited,
            ..WriteState::default()
        };
        self.writes().insert(nonce.clone().into_bytes(), state);
        PendingWrite {
            writes: self,
            nonce,
        }
    }

    /// Notes that the entry with this tag was read.
    pub(super) fn record_read(&self, tag: &[u8], position: ReadPosition) {
        let Some(nonce) = tag.get(..ID_LENGTH) else {
            return;
        };
        let mut writes = self.writes();
        let Some(write) = writes.get_mut(nonce) else {
            return;
        };
        if write.read_position().is_some() {
            return;
        }
        write.read = Some((position, tag.to_vec()));
        if write.read_position().is_some() && !write.is_awaited {
            writes.remove(nonce);
        }
    }

    /// Whether a write is missing that the server acknowledged before `timestamp`.
    ///
    /// The caller must have read all that the server had written by then.
    pub(super) fn is_any_missing(&self, timestamp: Timestamp) -> bool {
        let writes = self.writes();
        let mut missing = writes.values().filter(|write| write.is_missing());
        missing.any(|write| {
            write
                .expected_since
                .is_some_and(|since| since.is_before(timestamp))
        })
    }

    /// Forgets what was acknowledged so far.
    ///
    /// The caller must write back everything that the node knows now.
    ///
    /// Call it when the node knows from where it will read the stream, and before it reads the
    /// state.
    pub(super) fn begin_load(&self) {
        let mut writes = self.writes();
        writes.retain(|_, write| write.is_awaited || write.tag.is_none());
        for write in writes.values_mut() {
            write.expected_since = None;
            write.is_older_than_load = write.tag.is_none();
            if write.is_older_than_load {
                // It was read in a history that a repetition of the call may not belong to.
                write.read = None;
            }
        }
    }

    /// Ends a load. Whether the caller must write back what the node holds.
    ///
    /// It must if a call began before the load and was acknowledged during it. Its entry may be
    /// before the position from which the stream is read, so this no longer expects it.
    pub(super) fn end_load(&self) -> bool {
        let mut writes = self.writes();
        let mut must_write_back = false;
        writes.retain(|_, write| {
            if write.is_older_than_load && write.is_missing() {
                must_write_back = true;
                write.expected_since = None;
                return write.is_awaited;
            }
            true
        });
        must_write_back
    }

    fn writes(&self) -> MutexGuard<'_, HashMap<Vec<u8>, WriteState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingWrite<'_> {
    /// Notes the tag that the server answered. This node must know the content of the write.
    pub(super) fn acknowledge(&mut self, tag: &[u8]) {
        let mut writes = self.writes.writes();
        if let Some(write) = writes.get_mut(self.nonce.as_bytes()) {
            write.tag = Some(tag.to_vec());
            write.expected_since = Some(Timestamp::now());
        }
    }

    /// Where the acknowledged entry was read. `None` until then.
    pub(super) fn read_position(&self) -> Option<ReadPosition> {
        let writes = self.writes.writes();
        writes.get(self.nonce.as_bytes())?.read_position()
    }
}

impl Drop for PendingWrite<'_> {
    fn drop(&mut self) {
        let mut writes = self.writes.writes();
        match writes.get_mut(self.nonce.as_bytes()) {
            Some(write) if write.is_missing() => write.is_awaited = false,
            _ => drop(writes.remove(self.nonce.as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::redis::stream_position::StreamPosition;

    const NONCE: &str = "00000000000000aa";
    const TAG: &[u8] = b"00000000000000aa0123456789abcdef";
    /// The tag of the same call, repeated in another history.
    const OTHER_TAG: &[u8] = b"00000000000000aafedcba9876543210";

    const POSITION: ReadPosition = ReadPosition {
        position: StreamPosition::START,
        load_count: 1,
    };

    fn begin(writes: &PendingWrites, is_awaited: bool) -> PendingWrite<'_> {
        writes.begin(NONCE.to_owned(), is_awaited)
    }

    fn is_any_missing(writes: &PendingWrites) -> bool {
        std::thread::sleep(std::time::Duration::from_millis(1));
        writes.is_any_missing(Timestamp::now())
    }

    #[test]
    fn a_write_that_was_acknowledged_and_not_read_is_missing() {
        let writes = PendingWrites::default();
        let mut write = begin(&writes, false);
        assert!(!is_any_missing(&writes));
        let before = Timestamp::now();
        std::thread::sleep(std::time::Duration::from_millis(1));
        write.acknowledge(TAG);
        drop(write);
        assert!(!writes.is_any_missing(before));
        assert!(is_any_missing(&writes));
        writes.record_read(TAG, POSITION);
        assert!(!is_any_missing(&writes));
        assert!(writes.writes().is_empty());
    }

    #[test]
    fn the_entry_of_a_repeated_call_is_not_the_acknowledged_one() {
        let writes = PendingWrites::default();
        let mut write = begin(&writes, false);
        writes.record_read(OTHER_TAG, POSITION);
        write.acknowledge(TAG);
        assert!(write.read_position().is_none());
        drop(write);
        assert!(is_any_missing(&writes));
        writes.record_read(OTHER_TAG, POSITION);
        assert!(is_any_missing(&writes));
        writes.record_read(TAG, POSITION);
        assert!(!is_any_missing(&writes));
    }

    #[test]
    fn the_last_of_several_entries_of_a_call_is_expected() {
        let writes = PendingWrites::default();
        let mut write = begin(&writes, false);
        writes.record_read(OTHER_TAG, POSITION);
        writes.record_read(TAG, POSITION);
        write.acknowledge(TAG);
        assert!(write.read_position().is_some());
        drop(write);
        assert!(writes.writes().is_empty());
    }

    #[test]
    fn an_abandoned_write_is_not_expected() {
        let writes = PendingWrites::default();
        drop(begin(&writes, false));
        drop(begin(&writes, true));
        assert!(writes.writes().is_empty());
    }

    #[test]
    fn a_write_is_still_expected_after_its_caller_stops_waiting() {
        let writes = PendingWrites::default();
        let mut write = begin(&writes, true);
        write.acknowledge(TAG);
        drop(write);
        assert!(is_any_missing(&writes));
        writes.record_read(TAG, POSITION);
        assert!(writes.writes().is_empty());
    }

    #[test]
    fn an_awaited_write_is_kept_until_it_is_dropped() {
        let writes = PendingWrites::default();
        let mut write = begin(&writes, true);
        // The entry may be read before the answer arrives.
        writes.record_read(TAG, POSITION);
        write.acknowledge(TAG);
        assert!(write.read_position().is_some());
        writes.begin_load();
        assert!(!writes.end_load());
        assert!(write.read_position().is_some());
        drop(write);
        assert!(writes.writes().is_empty());
    }

    #[test]
    fn a_write_acknowledged_before_a_load_is_not_expected() {
        let writes = PendingWrites::default();
        let mut write = begin(&writes, false);
        write.acknowledge(TAG);
        drop(write);
        writes.begin_load();
        assert!(!is_any_missing(&writes));
        assert!(!writes.end_load());
    }

    /// A server that is lost may have written it before the position from which the stream is read.
    #[test]
    fn a_write_acknowledged_during_a_load_is_written_back_or_expected() {
        let writes = PendingWrites::default();
        let mut early = begin(&writes, false);
        // On a server that was replaced.
        writes.record_read(TAG, POSITION);
        writes.begin_load();
        let mut late = writes.begin("00000000000000bb".to_owned(), false);
        early.acknowledge(TAG);
        late.acknowledge(b"00000000000000bb0123456789abcdef");
        assert!(writes.end_load());
        assert!(is_any_missing(&writes));
        writes.record_read(b"00000000000000bb0123456789abcdef", POSITION);
        assert!(!is_any_missing(&writes));
        assert!(!writes.end_load());
    }
}
