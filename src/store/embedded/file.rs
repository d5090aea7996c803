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
pub(super) struct Device {
    backend: Arc<dyn StorageBackend>,
    place: Option<Arc<Place>>,
}

/// A file, and the path that must lead to it.
#[derive(Debug)]
struct Place {
    file: File,
    path: PathBuf,
}

impl Place {
    fn is_left(&self) -> io::Result<bool> {
        #[cfg(unix)]
        if std::os::unix::fs::MetadataExt::nlink(&self.file.metadata()?) == 0 {
            return Ok(false);
        }
        match fs::metadata(&self.path) {
            Ok(there) => Ok(is_same(&there, &self.file.metadata()?)),
            // The process may have given up the right to look.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(true),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(false),
                _ => Err(error),
            },
        }
    }
}

#[cfg(unix)]
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Elsewhere an open file can be neither removed nor replaced.
#[cfg(not(unix))]
fn is_same(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

impl Device {
    /// Whether what is written is there for the next to open the path.
    pub(super) fn check_place(&self) -> Result<(), EmbeddedStoreError> {
        match &self.place {
            Some(place) if !place.is_left()? => Err(EmbeddedStoreError::FileGone),
            _ => Ok(()),
        }
    }

    pub(super) fn bytes(&self) -> io::Result<u64> {
        self.backend.len()
    }

    /// Whether redb can be trusted with what lies there. It panics at a header that does not fit.
    pub(super) fn check(&self) -> Result<(), EmbeddedStoreError> {
        let length = self.backend.len()?;
        if length == 0 {
            return Ok(());
        }
        let whole = usize::try_from(length).unwrap_or(usize::MAX);
        let bytes = self.backend.read(0, header::ALL.min(whole))?;
        header::check(&bytes, length)
    }
}

impl StorageBackend for Device {
    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        // A damaged page can ask for gigabytes, and memory that is not there ends the process.
        let end = u64::try_from(len)
            .ok()
            .and_then(|len| offset.checked_add(len));
        if end.is_none_or(|end| self.backend.len().is_ok_and(|length| end > length)) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.backend.read(offset, len)
    }

    /// A longer file is on disk before anything is written that counts on it: redb does not open one that is shorter than
    /// its header says.
    fn set_len(&self, len: u64) -> io::Result<()> {
        let grows = len > self.backend.len()?;
        self.backend.set_len(len)?;
        if grows {
            self.backend.sync_data(false)?;
        }
        Ok(())
    }

    fn sync_data(&self, _: bool) -> io::Result<()> {
        self.backend.sync_data(false)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match header::marked(data) {
            Some(marked) if offset == 0 => self.backend.write(0, &marked),
            _ => self.backend.write(offset, data),
        }
    }
}

/// A file that is locked, and to be given its name once it holds a store.
pub(super) struct Opened {
    pub(super) device: Device,
    unnamed: Option<PathBuf>,
}

impl Opened {
    #[cfg(test)]
    pub(super) fn over(backend: Box<dyn StorageBackend>) -> Self {
        Self {
            device: Device {
                backend: Arc::from(backend),
                place: None,
            },
            unnamed: None,
        }
    }

    fn new(backend: FileBackend, file: File, path: PathBuf, unnamed: Option<PathBuf>) -> Self {
        Self {
            device: Device {
                backend: Arc::new(backend),
                place: Some(Arc::new(Place { file, path })),
            },
            unnamed,
        }
    }

    /// Opens and locks the file of a store, or one that will be it.
    ///
    /// A new store is made under another name, since a file that was made halfway is no store, and would be refused for ever.
    pub(super) fn at(path: &Path) -> Result<Self, EmbeddedStoreError> {
        // The process may change its directory later.
        let path = std::path::absolute(path)?;
        if exists(&path)? {
            return Self::existing(path);
        }
        let mut making = path.as_os_str().to_owned();
        making.push(".new");
        let making = PathBuf::from(making);
        let (backend, file) = make(&making)?;
        // Whoever had the lock may have finished in the meantime.
        if exists(&path)? {
            fs::remove_file(&making)?;
            drop(backend);
            return Self::existing(path);
        }
        Ok(Self::new(backend, file, path, Some(making)))
    }

    fn existing(path: PathBuf) -> Result<Self, EmbeddedStoreError> {
        /// What a file of redb begins with.
        const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";
        let mut file = options().open(&path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(EmbeddedStoreError::ForeignFile);
        }
        let mut magic = [0; MAGIC.len()];
        match file.read_exact(&mut magic) {
            Ok(()) if magic == MAGIC => {}
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error.into()),
            _ => return Err(EmbeddedStoreError::ForeignFile),
        }
        let backend = lock(file.try_clone()?)?;
        shut_out_others(&file, &metadata);
        Ok(Self::new(backend, file, path, None))
    }

    /// Gives a new store its name.
    pub(super) fn name(self) -> Result<Device, EmbeddedStoreError> {
        if let (Some(making), Some(place)) = (self.unnamed, &self.device.place) {
            self.device.sync_data(false)?;
            fs::rename(making, &place.path)?;
            #[cfg(unix)]
            {
                let directory = match place.path.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => parent,
                    _ => Path::new("."),
                };
                File::open(directory)?.sync_all()?;
            }
        }
        self.device.check_place()?;
        Ok(self.device)
    }
}

/// Makes a file and locks it. Nothing that lies there is followed, kept or written to.
fn make(path: &Path) -> Result<(FileBackend, File), EmbeddedStoreError> {
    /// Each round more is one that another process has won.
    const ROUNDS: usize = 100;
    for _ in 0..ROUNDS {
        // This never follows a link.
        match options().create_new(true).open(path) {
            Ok(file) => {
                let backend = lock(file.try_clone()?)?;
                // Before it was locked another may have taken it for left behind.
                if leads_to(path, &file)? {
                    return Ok((backend, file));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => remove_stale(path)?,
            Err(error) => return Err(error.into()),
        }
    }
    Err(EmbeddedStoreError::InUse)
}

/// Removes what a crash left behind, but not what another process is making.
fn remove_stale(path: &Path) -> Result<(), EmbeddedStoreError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return remove(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let file = match options().open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let _lock = lock(file.try_clone()?)?;
    match leads_to(path, &file)? {
        true => remove(path),
        false => Ok(()),
    }
}

fn remove(path: &Path) -> Result<(), EmbeddedStoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Whether that file lies there itself, not behind a link.
fn leads_to(path: &Path, file: &File) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(metadata.is_file() && is_same(&metadata, &file.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// An empty file is none: nothing was ever in it. A link to nothing is an error: a store in its
/// place would not be where the link says.
fn exists(path: &Path) -> Result<bool, EmbeddedStoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(metadata.len() > 0),
        // To open a pipe may wait for ever.
        Ok(metadata) if !metadata.is_dir() => Err(EmbeddedStoreError::ForeignFile),
        Ok(_) => Ok(true),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        Err(error) => match fs::symlink_metadata(path) {
            Ok(_) => Err(error.into()),
            Err(_) => Ok(false),
        },
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

/// A backup may have come back readable for everybody. What the group may do stays as it is.
fn shut_out_others(file: &File, metadata: &fs::Metadata) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode();
        if mode & 0o007 != 0 {
            // Some file systems have no modes, and only the owner may set one.
            let _ = file.set_permissions(fs::Permissions::from_mode(mode & !0o007 & 0o7777));
        }
    }
    #[cfg(not(unix))]
    let _ = (file, metadata);
}

fn lock(file: File) -> Result<FileBackend, EmbeddedStoreError> {
    Ok(FileBackend::new(file)?)
}
