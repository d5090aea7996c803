//! A disk in memory that fails as real disks do.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the files of these tests are small"
)]

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

/// A disk that can be full and can fail. A power failure loses what was not synced.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<DiskState>>);

#[derive(Debug, Default)]
pub(super) struct DiskState {
    /// The bytes that survive a power failure.
    pub(super) synced: Vec<u8>,
    /// The bytes that reads return.
    visible: Vec<u8>,
    /// The operations since the last sync.
    pending: Vec<Operation>,
    syncs: u64,
    /// In bytes. With this many in use, the first write to a page fails.
    pub(super) capacity: Option<usize>,
    pub(super) written_pages: BTreeSet<u64>,
    pub(super) fail_reads: bool,
    pub(super) fail_writes: bool,
    pub(super) fail_syncs: Option<SyncFailure>,
    /// How many syncs succeed before one fails.
    pub(super) fail_one_sync: Option<(u64, SyncFailure)>,
    /// The states that a power failure could leave. `None`: do not record them.
    pub(super) crash_images: Option<Vec<CrashImage>>,
    pub(super) acknowledged: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncFailure {
    /// Nothing reached the disk.
    Lost,
    /// Everything reached the disk.
    Kept,
}

#[derive(Clone, Debug)]
enum Operation {
    Length(u64),
    Write(u64, Vec<u8>),
}

/// The bytes after a power failure, and how many steps were acknowledged before it.
pub(super) struct CrashImage {
    pub(super) bytes: Vec<u8>,
    pub(super) acknowledged: u64,
}

impl fmt::Debug for CrashImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrashImage").finish_non_exhaustive()
    }
}

fn apply(bytes: &mut Vec<u8>, operation: &Operation) {
    match operation {
        Operation::Length(length) => bytes.resize(*length as usize, 0),
        Operation::Write(offset, data) => {
            let (start, end) = (*offset as usize, *offset as usize + data.len());
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[start..end].copy_from_slice(data);
        }
    }
}

impl DiskState {
    /// Records what a power failure could leave now: any of the operations since the last sync, in
    /// any order, and the last one torn.
    fn record_crash_images(&mut self) {
        let Some(mut images) = self.crash_images.take() else {
            return;
        };
        let mut add = |operations: &[&Operation]| {
            let mut bytes = self.synced.clone();
            for operation in operations {
                apply(&mut bytes, operation);
            }
            images.push(CrashImage {
                bytes,
                acknowledged: self.acknowledged,
            });
        };
        let pending: Vec<_> = self.pending.iter().collect();
        // None of them, and all of them.
        add(&[]);
        add(&pending);
        if let Some((last, before)) = pending.split_last() {
            // The last alone, and torn: without the others, and with them.
            add(&[last]);
            if let Operation::Write(offset, data) = last {
                for part in [1, data.len() / 2, data.len().saturating_sub(1)] {
                    let torn = Operation::Write(*offset, data[..part].to_vec());
                    add(&[&torn]);
                    let mut all = before.to_vec();
                    all.push(&torn);
                    add(&all);
                }
            }
            // All but one of the others.
            for missing in 0..before.len() {
                let mut some = pending.clone();
                some.remove(missing);
                add(&some);
            }
        }
        self.crash_images = Some(images);
    }

    fn operate(&mut self, operation: Operation) {
        apply(&mut self.visible, &operation);
        self.pending.push(operation);
        self.record_crash_images();
    }
}

impl Disk {
    pub(super) fn state(&self) -> MutexGuard<'_, DiskState> {
        self.0.lock().unwrap()
    }

    pub(super) fn with_bytes(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.state().visible = bytes.clone();
        disk.state().synced = bytes;
        disk
    }

    pub(super) fn syncs(&self) -> u64 {
        self.state().syncs
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().visible.len() as u64)
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let state = self.state();
        if state.fail_reads {
            return Err(io::Error::other("no reading"));
        }
        let bytes = state.visible.get(offset as usize..offset as usize + len);
        bytes
            .map(<[u8]>::to_vec)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        if state.fail_writes {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        state.operate(Operation::Length(len));
        Ok(())
    }

    fn sync_data(&self, _: bool) -> io::Result<()> {
        let mut state = self.state();
        let mut failure = state.fail_syncs;
        if let Some((left, one)) = state.fail_one_sync {
            let next = left.checked_sub(1).map(|left| (left, one));
            state.fail_one_sync = next;
            failure = failure.or(next.is_none().then_some(one));
        }
        // As on Linux, after a failed sync the system takes the data for written.
        let pending = mem::take(&mut state.pending);
        if failure != Some(SyncFailure::Lost) {
            for operation in &pending {
                apply(&mut state.synced, operation);
            }
        }
        if failure.is_some() {
            return Err(io::Error::other("no syncing"));
        }
        state.syncs += 1;
        state.record_crash_images();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        if state.fail_writes {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        for page in offset / 4096..=(offset + data.len() as u64 - 1) / 4096 {
            let is_full = state
                .capacity
                .is_some_and(|capacity| state.written_pages.len() * 4096 >= capacity);
            if !state.written_pages.contains(&page) && is_full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.written_pages.insert(page);
        }
        state.operate(Operation::Write(offset, data.to_vec()));
        Ok(())
    }
}
