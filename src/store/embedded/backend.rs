//! The storage backend of redb: the store's file, with additional checks and syncs.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::StorageBackend;

use super::error::EmbeddedStoreError as Error;
use super::header;

/// A backend that outlives each database opened over it. So the lock on the file stays in force
/// while the database is reopened.
///
/// After a failed sync, the system may report data as written that is not on disk. The store does
/// not rely on such data: the second sync of a commit writes only the header, and redb writes the
/// header again when it opens.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    inner: Arc<dyn StorageBackend>,
    /// The length that was last asked or set. To ask takes as long as to read a page.
    known_length: Arc<AtomicU64>,
    /// `None` in tests, for a backend that is not a file.
    location: Option<Arc<Location>>,
}

impl Backend {
    pub(super) fn new(inner: impl StorageBackend, location: Option<Location>) -> Self {
        Self {
            inner: Arc::new(inner),
            known_length: Arc::default(),
            location: location.map(Arc::new),
        }
    }

    pub(super) fn location(&self) -> Option<&Location> {
        self.location.as_deref()
    }

    /// Fails if the path leads elsewhere: the next process to open it would miss what is written.
    pub(super) fn check_path(&self) -> Result<(), Error> {
        match &self.location {
            Some(location) if !location.is_current()? => Err(Error::FileGone),
            _ => Ok(()),
        }
    }

    /// Checks the header before redb reads it: redb panics if it does not match the file.
    pub(super) fn check_header(&self) -> Result<(), Error> {
        let length = self.inner.len()?;
        if length == 0 {
            return Ok(());
        }
        let whole = usize::try_from(length).unwrap_or(usize::MAX);
        let bytes = self.inner.read(0, header::MARKED_LENGTH.min(whole))?;
        header::check(&bytes, length)
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        let length = self.inner.len()?;
        self.known_length.store(length, Ordering::Relaxed);
        Ok(length)
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        // A damaged page can ask for gigabytes. A failed allocation would end the process.
        let end = u64::try_from(len)
            .ok()
            .and_then(|len| offset.checked_add(len));
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        // On Windows redb reads beyond the end for ever, so the length is never taken from memory.
        let is_inside = !cfg!(windows) && end <= self.known_length.load(Ordering::Relaxed);
        if !is_inside && end > self.len()? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.inner.read(offset, len)
    }

    /// Syncs a longer file at once. redb does not open a file that is shorter than its header says.
    fn set_len(&self, len: u64) -> io::Result<()> {
        let grows = len > self.inner.len()?;
        self.inner.set_len(len)?;
        self.known_length.store(len, Ordering::Relaxed);
        if grows {
            self.inner.sync_data(false)?;
        }
        Ok(())
    }

    fn sync_data(&self, _: bool) -> io::Result<()> {
        self.inner.sync_data(false)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match header::with_mark(data) {
            Some(marked) if offset == 0 => self.inner.write(0, &marked),
            _ => self.inner.write(offset, data),
        }
    }
}

/// A file, and the path that must lead to it.
#[derive(Debug)]
pub(super) struct Location {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

impl Location {
    /// Whether the path still leads to the file.
    fn is_current(&self) -> io::Result<bool> {
        #[cfg(unix)]
        if std::os::unix::fs::MetadataExt::nlink(&self.file.metadata()?) == 0 {
            return Ok(false);
        }
        match fs::metadata(&self.path) {
            Ok(found) => Ok(is_same_file(&found, &self.file.metadata()?)),
            // The process may have dropped the right to read the directory.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(true),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(false),
                _ => Err(error),
            },
        }
    }
}

#[cfg(unix)]
pub(super) fn is_same_file(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// On other systems an open file can be neither removed nor replaced.
#[cfg(not(unix))]
pub(super) fn is_same_file(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}
