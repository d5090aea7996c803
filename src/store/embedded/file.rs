//! The file under the database: locked as long as the store is open, and told to the disk in the right order.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::error::EmbeddedStoreError;
use super::header;

/// A backend that outlives the databases opened over it, so that the lock is kept while one is opened anew.
///
/// After a sync that failed the system may take for written what is not on disk. Nothing here counts on that: the second of
/// a commit's syncs writes the header alone, and redb writes that anew when it opens.
#[derive(Clone, Debug)]
pub(super) struct Device(Arc<dyn StorageBackend>);

impl Device {
    pub(super) fn bytes(&self) -> io::Result<u64> {
        self.0.len()
    }

    /// Whether redb can be trusted with what lies there. It panics at a header that does not fit.
    pub(super) fn check(&self) -> Result<(), EmbeddedStoreError> {
        let length = self.0.len()?;
        if length == 0 {
            return Ok(());
        }
        let whole = usize::try_from(length).unwrap_or(usize::MAX);
        let bytes = self.0.read(0, header::ALL.min(whole))?;
        header::check(&bytes, length)
    }
}

impl StorageBackend for Device {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        // A damaged page can ask for gigabytes, and memory that is not there ends the process.
        let end = u64::try_from(len)
            .ok()
            .and_then(|len| offset.checked_add(len));
        if end.is_none_or(|end| self.0.len().is_ok_and(|length| end > length)) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.0.read(offset, len)
    }

    /// A longer file is on disk before anything is written that counts on it: redb does not open one that is shorter than
    /// its header says.
    fn set_len(&self, len: u64) -> io::Result<()> {
        let grows = len > self.0.len()?;
        self.0.set_len(len)?;
        if grows {
            self.0.sync_data(false)?;
        }
        Ok(())
    }

    fn sync_data(&self, _: bool) -> io::Result<()> {
        self.0.sync_data(false)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match header::marked(data) {
            Some(marked) if offset == 0 => self.0.write(0, &marked),
            _ => self.0.write(offset, data),
        }
    }
}

/// A file that is locked, and to be given its name once it holds a store.
pub(super) struct Opened {
    pub(super) device: Device,
    unnamed: Option<(PathBuf, PathBuf)>,
}

impl Opened {
    #[cfg(test)]
    pub(super) fn over(backend: Box<dyn StorageBackend>) -> Self {
        Self {
            device: Device(Arc::from(backend)),
            unnamed: None,
        }
    }

    /// Opens and locks the file of a store, or one that will be it.
    ///
    /// A new store is made under another name, since a file that was made halfway is no store, and would be refused for ever.
    pub(super) fn at(path: &Path) -> Result<Self, EmbeddedStoreError> {
        if exists(path)? {
            return Self::existing(path);
        }
        let mut making = path.as_os_str().to_owned();
        making.push(".new");
        let making = PathBuf::from(making);
        let file = options().create(true).truncate(false).open(&making)?;
        let backend = lock(file)?;
        // Whoever had the lock may have finished in the meantime.
        if exists(path)? {
            drop(backend);
            return Self::existing(path);
        }
        backend.set_len(0)?;
        Ok(Self {
            device: Device(Arc::new(backend)),
            unnamed: Some((making, path.to_owned())),
        })
    }

    fn existing(path: &Path) -> Result<Self, EmbeddedStoreError> {
        /// What a file of redb begins with.
        const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";
        let mut file = options().open(path)?;
        let mut magic = [0; MAGIC.len()];
        match file.read_exact(&mut magic) {
            Ok(()) if magic == MAGIC => {}
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error.into()),
            _ => return Err(EmbeddedStoreError::ForeignFile),
        }
        Ok(Self {
            device: Device(Arc::new(lock(file)?)),
            unnamed: None,
        })
    }

    /// Gives a new store its name.
    pub(super) fn name(self) -> Result<Device, EmbeddedStoreError> {
        if let Some((making, path)) = self.unnamed {
            self.device.sync_data(false)?;
            fs::rename(making, &path)?;
            #[cfg(unix)]
            {
                let directory = match path.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => parent,
                    _ => Path::new("."),
                };
                File::open(directory)?.sync_all()?;
            }
        }
        Ok(self.device)
    }
}

/// An empty file is none: nothing was ever in it.
fn exists(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(!metadata.is_file() || metadata.len() > 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Names and labels of people are nobody else's business.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn lock(file: File) -> Result<FileBackend, EmbeddedStoreError> {
    Ok(FileBackend::new(file)?)
}
