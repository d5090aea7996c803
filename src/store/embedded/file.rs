//! Opens, creates and locks the file of a store.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::backend::{Backend, Location, is_same_file};
use super::error::EmbeddedStoreError as Error;

/// A locked file. A new one has a temporary name until it contains a store.
pub(super) struct LockedFile {
    pub(super) backend: Backend,
    temporary_path: Option<PathBuf>,
}

impl LockedFile {
    /// Opens and locks the file of a store, or creates one.
    ///
    /// A new store is created under another name. A crash in between would leave half a store at
    /// the path, and every later `open` would refuse it.
    pub(super) fn open_or_create(path: &Path) -> Result<Self, Error> {
        // The process may change its directory later.
        let path = std::path::absolute(path)?;
        if exists(&path)? {
            return Self::open(path);
        }
        let mut temporary_path = path.as_os_str().to_owned();
        temporary_path.push(".new");
        let temporary_path = PathBuf::from(temporary_path);
        let (backend, file) = create(&temporary_path)?;
        // The process that had the lock before may have finished its store.
        if exists(&path)? {
            fs::remove_file(&temporary_path)?;
            drop(backend);
            return Self::open(path);
        }
        Ok(Self {
            backend: Backend::new(backend, Some(Location { file, path })),
            temporary_path: Some(temporary_path),
        })
    }

    fn open(path: PathBuf) -> Result<Self, Error> {
        /// The first bytes of a file of redb.
        const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";
        let mut file = open_options().open(&path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(Error::ForeignFile);
        }
        let mut magic = [0; MAGIC.len()];
        match file.read_exact(&mut magic) {
            Ok(()) if magic == MAGIC => {}
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error.into()),
            _ => return Err(Error::ForeignFile),
        }
        let backend = lock(file.try_clone()?)?;
        remove_access_of_others(&file, &metadata);
        Ok(Self {
            backend: Backend::new(backend, Some(Location { file, path })),
            temporary_path: None,
        })
    }

    #[cfg(test)]
    pub(super) fn over(backend: impl StorageBackend) -> Self {
        Self {
            backend: Backend::new(backend, None),
            temporary_path: None,
        }
    }

    /// Renames a new file to its path.
    pub(super) fn publish(self) -> Result<Backend, Error> {
        if let Some(location) = self.backend.location() {
            if let Some(temporary_path) = self.temporary_path {
                self.backend.sync_data(false)?;
                fs::rename(temporary_path, &location.path)?;
                sync_directory(&location.path)?;
            } else {
                // The process that renamed the file may have ended before it synced the name.
                sync_directory(&location.path).ok();
            }
        }
        self.backend.check_path()?;
        Ok(self.backend)
    }
}

/// Makes the name of the file durable.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether there is a file at the path, or another thing that must not be replaced.
///
/// An empty file does not count as one: it never had contents. A link to nothing is an error: a
/// store created in its place would not be where the link points.
fn exists(path: &Path) -> Result<bool, Error> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(metadata.len() > 0),
        // Opening a pipe may block for ever.
        Ok(metadata) if !metadata.is_dir() => Err(Error::ForeignFile),
        Ok(_) => Ok(true),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        Err(error) => match fs::symlink_metadata(path) {
            Ok(_) => Err(error.into()),
            Err(_) => Ok(false),
        },
    }
}

/// Creates a file and locks it. Removes what is at the path, and neither follows links nor writes
/// to an existing file.
fn create(path: &Path) -> Result<(FileBackend, File), Error> {
    /// Another process wins each failed attempt, so this many failures in a row are unlikely.
    const MAX_ATTEMPTS: usize = 100;
    for _ in 0..MAX_ATTEMPTS {
        // `create_new` never follows a link.
        match open_options().create_new(true).open(path) {
            Ok(file) => {
                let backend = lock(file.try_clone()?)?;
                // Before the lock, another process may have removed the file as stale.
                if is_file_at(path, &file)? {
                    return Ok((backend, file));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => remove_stale(path)?,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::InUse)
}

/// Removes what a crash left behind, unless another process holds its lock.
fn remove_stale(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return remove(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let file = match open_options().open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let _lock = lock(file.try_clone()?)?;
    match is_file_at(path, &file)? {
        true => remove(path),
        false => Ok(()),
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Whether the path is a name of that file itself, not a link to it.
fn is_file_at(path: &Path, file: &File) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(metadata.is_file() && is_same_file(&metadata, &file.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A new file is readable only by its owner: it contains names and labels of users.
fn open_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Removes the access of other users, which a restored backup may have. The group keeps its access.
fn remove_access_of_others(file: &File, metadata: &fs::Metadata) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode();
        if mode & 0o007 != 0 {
            // This may fail: some file systems have no modes, and only the owner may set one.
            let _ = file.set_permissions(fs::Permissions::from_mode(mode & !0o007 & 0o7777));
        }
    }
    #[cfg(not(unix))]
    let _ = (file, metadata);
}

fn lock(file: File) -> Result<FileBackend, Error> {
    Ok(FileBackend::new(file)?)
}
