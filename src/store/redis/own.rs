//! What this node has written to the stream and not read there yet.

//!
//! A call writes one or more entries to the stream, and everything else that it does, in one step:
//! the server keeps all of it or nothing. So it is enough to expect one entry of each call, the
//! last one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::health::Moment;
use super::shared::{NAME, Position};

/// The entries of this node's writes, by the nonce of the call.
#[derive(Default)]
pub(super) struct Own(Mutex<HashMap<Vec<u8>, Entry>>);

#[derive(Default)]
struct Entry {
    /// The tag of the entry that the server is known to have written.
    tag: Option<Vec<u8>>,
    /// Since when it is expected to be read.
    expected: Option<Moment>,
    /// Whether somebody waits for it to be read.
    is_awaited: bool,
    /// The last entry of this call that was read. Another execution of the call may have written
    /// it, on another server.
    read: Option<(Read, Vec<u8>)>,
    /// Whether the call was under way when the node last began to read the state.
    is_early: bool,
}

impl Entry {
    fn where_read(&self) -> Option<Read> {
        let (read, tag) = self.read.as_ref()?;
        (self.tag.as_ref() == Some(tag)).then_some(*read)
    }

    fn is_missing(&self) -> bool {
        self.expected.is_some() && self.where_read().is_none()
    }
}

/// Where an entry was read.
#[derive(Clone, Copy)]
pub(super) struct Read {
    pub(super) position: Position,
    /// How often the state had been read before.
    pub(super) loads: u64,
}

/// A write that is under way. If it is given up before the server is known to have it, nothing is expected of it.
pub(super) struct Ticket<'a> {
    own: &'a Own,
    pub(super) nonce: String,
}

impl Own {
    pub(super) fn ticket(&self, nonce: String, is_awaited: bool) -> Ticket<'_> {
        let entry = Entry {
            is_awaited,
            ..Entry::default()
        };
        self.entries().insert(nonce.clone().into_bytes(), entry);
        Ticket { own: self, nonce }
    }

    /// Notes that the entry with that tag was read.
    pub(super) fn read(&self, tag: &[u8], read: Read) {
        let Some(nonce) = tag.get(..NAME) else {
            return;
        };
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(nonce) else {
            return;
        };
        if entry.where_read().is_some() {
            return;
        }
        entry.read = Some((read, tag.to_vec()));
        if entry.where_read().is_some() && !entry.is_awaited {
            entries.remove(nonce);
        }
    }

    /// Whether an entry is missing that the server had before `moment`, up to which the stream was read.
    pub(super) fn is_missing(&self, moment: Moment) -> bool {
        let entries = self.entries();
        let mut missing = entries.values().filter(|entry| entry.is_missing());
        missing.any(|entry| entry.expected.is_some_and(|at| at.is_before(moment)))
    }

    /// The node knows from where it will read the stream, and is about to read the state. It
    /// expects nothing any more that was acknowledged by now: the caller must write back all that
    /// the node holds at this moment.
    pub(super) fn begin_load(&self) {
        let mut entries = self.entries();
        entries.retain(|_, entry| entry.is_awaited || entry.tag.is_none());
        for entry in entries.values_mut() {
            entry.expected = None;
            entry.is_early = entry.tag.is_none();
            if entry.is_early {
                // Read in a history that the next execution may not belong to.
                entry.read = None;
            }
        }
    }

    /// The state was read. Whether a call was acknowledged meanwhile that was under way when that
    /// began. It may have been written before the place from where the stream is read, so it is not
    /// expected: the caller must write back what the node holds.
    pub(super) fn end_load(&self) -> bool {
        let mut entries = self.entries();
        let mut is_any = false;
        entries.retain(|_, entry| {
            if entry.is_early && entry.is_missing() {
                is_any = true;
                entry.expected = None;
                return entry.is_awaited;
            }
            true
        });
        is_any
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket<'_> {
    /// The server has written the entry with that tag, and this node holds what it says.
    pub(super) fn acknowledge(&mut self, tag: &[u8]) {
        let mut entries = self.own.entries();
        if let Some(entry) = entries.get_mut(self.nonce.as_bytes()) {
            entry.tag = Some(tag.to_vec());
            entry.expected = Some(Moment::now());
        }
    }

    /// Where the entry was read that was acknowledged, if it was.
    pub(super) fn read(&self) -> Option<Read> {
        let entries = self.own.entries();
        entries.get(self.nonce.as_bytes())?.where_read()
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut entries = self.own.entries();
        match entries.get_mut(self.nonce.as_bytes()) {
            Some(entry) if entry.is_missing() => entry.is_awaited = false,
            _ => drop(entries.remove(self.nonce.as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "00000000000000aa";
    const TAG: &[u8] = b"00000000000000aa0123456789abcdef";
    /// Of the same call, executed in another history.
    const OTHER: &[u8] = b"00000000000000aafedcba9876543210";

    const READ: Read = Read {
        position: Position::START,
        loads: 1,
    };

    fn ticket(own: &Own, is_awaited: bool) -> Ticket<'_> {
        own.ticket(NONCE.to_owned(), is_awaited)
    }

    fn is_missing(own: &Own) -> bool {
        std::thread::sleep(std::time::Duration::from_millis(1));
        own.is_missing(Moment::now())
    }

    #[test]
    fn what_was_acknowledged_and_is_not_read_is_missing() {
        let own = Own::default();
        let mut ticket = ticket(&own, false);
        assert!(!is_missing(&own));
        let before = Moment::now();
        std::thread::sleep(std::time::Duration::from_millis(1));
        ticket.acknowledge(TAG);
        drop(ticket);
        assert!(!own.is_missing(before));
        assert!(is_missing(&own));
        own.read(TAG, READ);
        assert!(!is_missing(&own));
        assert!(own.entries().is_empty());
    }

    #[test]
    fn another_execution_of_the_same_call_is_not_what_was_acknowledged() {
        let own = Own::default();
        let mut ticket = ticket(&own, false);
        own.read(OTHER, READ);
        ticket.acknowledge(TAG);
        assert!(ticket.read().is_none());
        drop(ticket);
        assert!(is_missing(&own));
        own.read(OTHER, READ);
        assert!(is_missing(&own));
        own.read(TAG, READ);
        assert!(!is_missing(&own));
    }

    #[test]
    fn of_several_entries_of_a_call_the_last_is_expected() {
        let own = Own::default();
        let mut ticket = ticket(&own, false);
        own.read(OTHER, READ);
        own.read(TAG, READ);
        ticket.acknowledge(TAG);
        assert!(ticket.read().is_some());
        drop(ticket);
        assert!(own.entries().is_empty());
    }

    #[test]
    fn what_was_given_up_is_not_expected() {
        let own = Own::default();
        drop(ticket(&own, false));
        drop(ticket(&own, true));
        assert!(own.entries().is_empty());
    }

    #[test]
    fn what_was_awaited_in_vain_is_still_expected() {
        let own = Own::default();
        let mut ticket = ticket(&own, true);
        ticket.acknowledge(TAG);
        drop(ticket);
        assert!(is_missing(&own));
        own.read(TAG, READ);
        assert!(own.entries().is_empty());
    }

    #[test]
    fn what_is_awaited_is_kept_until_the_ticket_goes() {
        let own = Own::default();
        let mut ticket = ticket(&own, true);
        // It may be read before the answer is here.
        own.read(TAG, READ);
        ticket.acknowledge(TAG);
        assert!(ticket.read().is_some());
        own.begin_load();
        assert!(!own.end_load());
        assert!(ticket.read().is_some());
        drop(ticket);
        assert!(own.entries().is_empty());
    }

    #[test]
    fn what_was_acknowledged_before_the_state_is_read_is_not_expected() {
        let own = Own::default();
        let mut ticket = ticket(&own, false);
        ticket.acknowledge(TAG);
        drop(ticket);
        own.begin_load();
        assert!(!is_missing(&own));
        assert!(!own.end_load());
    }

    /// It may have been written before the place from where the stream is read, by a server that is
    /// lost.
    #[test]
    fn what_is_acknowledged_while_the_state_is_read_is_written_back_or_expected() {
        let own = Own::default();
        let mut early = ticket(&own, false);
        // On a server that was replaced.
        own.read(TAG, READ);
        own.begin_load();
        let mut late = own.ticket("00000000000000bb".to_owned(), false);
        early.acknowledge(TAG);
        late.acknowledge(b"00000000000000bb0123456789abcdef");
        assert!(own.end_load());
        assert!(is_missing(&own));
        own.read(b"00000000000000bb0123456789abcdef", READ);
        assert!(!is_missing(&own));
        assert!(!own.end_load());
    }
}
