//! What this node has written to the stream and not read there yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::health::Moment;
use super::shared::Position;

/// The entries of this node's writes, by the nonce of the call.
#[derive(Default)]
pub(super) struct Own(Mutex<HashMap<String, Entry>>);

#[derive(Default)]
struct Entry {
    /// Since when the server is known to have it.
    acknowledged: Option<Moment>,
    /// Whether somebody waits for it to be read.
    is_awaited: bool,
    read: Option<Read>,
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
        self.entries().insert(nonce.clone(), entry);
        Ticket { own: self, nonce }
    }

    /// Notes that the entry of that call was read.
    pub(super) fn read(&self, nonce: &str, read: Read) {
        let mut entries = self.entries();
        match entries.get_mut(nonce) {
            Some(entry) if entry.is_awaited => entry.read = Some(read),
            Some(_) => drop(entries.remove(nonce)),
            None => {}
        }
    }

    /// Whether an entry is missing that the server had before `moment`, up to which the stream was read.
    pub(super) fn is_missing(&self, moment: Moment) -> bool {
        let entries = self.entries();
        let mut unread = entries.values().filter(|entry| entry.read.is_none());
        unread.any(|entry| entry.acknowledged.is_some_and(|at| at.is_before(moment)))
    }

    /// Expects nothing any more of what the server has now: the state is about to be read, and what it lacks to be restored.
    pub(super) fn forget_acknowledged(&self) {
        let mut entries = self.entries();
        entries.retain(|_, entry| entry.is_awaited || entry.acknowledged.is_none());
        entries
            .values_mut()
            .for_each(|entry| entry.acknowledged = None);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket<'_> {
    /// The server has it, and so does the set of this node.
    pub(super) fn acknowledge(&mut self) {
        if let Some(entry) = self.own.entries().get_mut(&self.nonce) {
            entry.acknowledged = Some(Moment::now());
        }
    }

    /// Where it was read, if it was, and is awaited.
    pub(super) fn read(&self) -> Option<Read> {
        self.own.entries().get(&self.nonce)?.read
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut entries = self.own.entries();
        match entries.get_mut(&self.nonce) {
            Some(entry) if entry.acknowledged.is_some() && entry.read.is_none() => {
                entry.is_awaited = false;
            }
            _ => drop(entries.remove(&self.nonce)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Read = Read {
        position: Position::START,
        loads: 1,
    };

    #[test]
    fn what_was_acknowledged_and_is_not_read_is_missing() {
        let own = Own::default();
        let mut ticket = own.ticket("a".to_owned(), false);
        assert!(!own.is_missing(Moment::now()));
        let before = Moment::now();
        std::thread::sleep(std::time::Duration::from_millis(1));
        ticket.acknowledge();
        drop(ticket);
        assert!(!own.is_missing(before));
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(own.is_missing(Moment::now()));
        own.read("a", READ);
        assert!(!own.is_missing(Moment::now()));
        assert!(own.entries().is_empty());
    }

    #[test]
    fn what_was_given_up_is_not_expected() {
        let own = Own::default();
        drop(own.ticket("a".to_owned(), false));
        drop(own.ticket("b".to_owned(), true));
        assert!(own.entries().is_empty());
    }

    #[test]
    fn what_was_awaited_in_vain_is_still_expected() {
        let own = Own::default();
        let mut ticket = own.ticket("a".to_owned(), true);
        ticket.acknowledge();
        drop(ticket);
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(own.is_missing(Moment::now()));
        own.read("a", READ);
        assert!(own.entries().is_empty());
    }

    #[test]
    fn what_is_awaited_is_kept_until_the_ticket_goes() {
        let own = Own::default();
        let mut ticket = own.ticket("a".to_owned(), true);
        // It may be read before the answer is here.
        own.read("a", READ);
        ticket.acknowledge();
        assert!(ticket.read().is_some());
        own.forget_acknowledged();
        assert!(ticket.read().is_some());
        drop(ticket);
        assert!(own.entries().is_empty());
    }
}
