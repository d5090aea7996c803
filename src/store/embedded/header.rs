//! Checks the header of a redb file before redb reads it, because redb panics at a damaged one.
//!
//! The header is the first 320 bytes of a file of redb 2 (see `design.md` in its repository): the
//! magic number, flags, the layout, and two commit slots of 128 bytes. Each slot has a checksum. A
//! flag says which slot is the primary one. No checksum covers that flag. So the store writes a
//! mark behind the header: the transaction ID of the primary slot, and a checksum of it.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::error::EmbeddedStoreError as Error;

/// The header of redb, in bytes.
const LENGTH: usize = 320;
/// The header and the mark, in bytes. redb does not use the bytes of the mark: its first page
/// begins at 4,096.
pub(super) const MARKED_LENGTH: usize = LENGTH + MARK_LENGTH;
const MARK_LENGTH: usize = 16;

const PAGE_SIZE: u64 = 4096;
/// The pages of a region before its data, in the files that this crate creates.
const REGION_HEADER_PAGES: u64 = 130;
/// The data pages of a region, in the files that this crate creates.
const REGION_DATA_PAGES: u64 = 1 << 20;

const SECOND_SLOT_IS_PRIMARY: u8 = 1;
const TWO_PHASE_COMMIT: u8 = 4;
/// The format of redb 2.
const REDB_VERSION: u8 = 3;

/// The bytes of a slot that its checksum covers.
const SLOT_PAYLOAD: usize = 112;

/// Checks the first bytes of a file of that length.
pub(super) fn check(bytes: &[u8], file_length: u64) -> Result<(), Error> {
    let Slots {
        flags,
        primary,
        secondary,
    } = Slots::read(bytes).ok_or(Error::Corrupt)?;
    match (primary.version(), secondary.version()) {
        (Some(REDB_VERSION), Some(REDB_VERSION)) => {}
        (Some(one), Some(two)) if one > REDB_VERSION && two > REDB_VERSION => {
            return Err(Error::NewerFormat);
        }
        // This crate never created such files.
        (Some(one), Some(two)) if one < REDB_VERSION && two < REDB_VERSION => {
            return Err(Error::ForeignFile);
        }
        _ => return Err(Error::Corrupt),
    }
    let is_valid = has_layout_for(bytes, file_length) == Some(true)
        && flags & TWO_PHASE_COMMIT != 0
        && primary.has_valid_checksum()
        // A commit that becomes primary writes the flag and the mark at once, the flag first. A
        // slot that is newer than the mark belongs to a commit that a crash interrupted.
        && read_mark(bytes).is_none_or(|marked| Some(marked) <= primary.transaction());
    is_valid.then_some(()).ok_or(Error::Corrupt)
}

/// Appends the mark to a header. `None`: the bytes are not a header.
pub(super) fn with_mark(header: &[u8]) -> Option<Vec<u8>> {
    if header.len() != LENGTH {
        return None;
    }
    let transaction = Slots::read(header)?.primary.transaction()?.to_le_bytes();
    let checksum = xxh3_64(&transaction).to_le_bytes();
    Some([header, &transaction, &checksum].concat())
}

/// The primary transaction at the last write of the header.
fn read_mark(bytes: &[u8]) -> Option<u64> {
    let (transaction, checksum) = bytes.get(LENGTH..MARKED_LENGTH)?.split_at_checked(8)?;
    (xxh3_64(transaction).to_le_bytes() == *checksum).then(|| read_u64(transaction, 0))?
}

/// Whether the file is as long as its layout says, or longer by pages that redb can add.
fn has_layout_for(bytes: &[u8], file_length: u64) -> Option<bool> {
    let page_size = read_u32(bytes, 12)?;
    let (region_header, region_data) = (read_u32(bytes, 16)?, read_u32(bytes, 20)?);
    if (page_size, region_header, region_data)
        != (PAGE_SIZE, REGION_HEADER_PAGES, REGION_DATA_PAGES)
    {
        return Some(false);
    }
    let region = REGION_HEADER_PAGES.checked_add(REGION_DATA_PAGES)?;
    let (full_regions, partial) = (read_u32(bytes, 24)?, read_u32(bytes, 28)?);
    let partial = match partial {
        0 => 0,
        pages => pages.checked_add(REGION_HEADER_PAGES)?,
    };
    let pages = full_regions.checked_mul(region)?.checked_add(partial)?;
    let present = file_length.checked_sub(PAGE_SIZE)?;
    let rest = (present / PAGE_SIZE).checked_rem(region)?;
    Some(
        pages > 0
            && partial < region
            && present % PAGE_SIZE == 0
            && present / PAGE_SIZE >= pages
            && (rest == 0 || rest > REGION_HEADER_PAGES),
    )
}

/// The flags and commit slots of a header.
struct Slots<'a> {
    flags: u8,
    primary: Slot<'a>,
    secondary: Slot<'a>,
}

impl<'a> Slots<'a> {
    fn read(header: &'a [u8]) -> Option<Self> {
        let flags = *header.get(9)?;
        let first = Slot(header.get(64..192)?);
        let second = Slot(header.get(192..LENGTH)?);
        let (primary, secondary) = match flags & SECOND_SLOT_IS_PRIMARY {
            0 => (first, second),
            _ => (second, first),
        };
        Some(Self {
            flags,
            primary,
            secondary,
        })
    }
}

struct Slot<'a>(&'a [u8]);

impl Slot<'_> {
    fn version(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn transaction(&self) -> Option<u64> {
        read_u64(self.0, 104)
    }

    fn has_valid_checksum(&self) -> bool {
        self.0
            .split_at_checked(SLOT_PAYLOAD)
            .is_some_and(|(payload, checksum)| xxh3_128(payload).to_le_bytes() == *checksum)
    }
}

fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    let (bytes, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u64> {
    let (bytes, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u32::from_le_bytes(*bytes).into())
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;
    use redb::{Database, StorageBackend, TableDefinition};

    use super::*;

    #[derive(Clone, Debug)]
    struct SharedBackend(std::sync::Arc<InMemoryBackend>);

    impl StorageBackend for SharedBackend {
        fn len(&self) -> std::io::Result<u64> {
            self.0.len()
        }

        fn read(&self, offset: u64, len: usize) -> std::io::Result<Vec<u8>> {
            self.0.read(offset, len)
        }

        fn set_len(&self, len: u64) -> std::io::Result<()> {
            self.0.set_len(len)
        }

        fn sync_data(&self, eventual: bool) -> std::io::Result<()> {
            self.0.sync_data(eventual)
        }

        fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
            self.0.write(offset, data)
        }
    }

    /// The constants above must match the linked version of redb.
    #[test]
    fn the_header_of_a_new_file_is_valid() {
        let backend = SharedBackend(InMemoryBackend::new().into());
        let database = Database::builder()
            .create_with_file_format_v3(true)
            .create_with_backend(backend.clone())
            .unwrap();
        let mut transaction = database.begin_write().unwrap();
        transaction.set_quick_repair(true);
        const TABLE: TableDefinition<'_, u8, u8> = TableDefinition::new("table");
        transaction.open_table(TABLE).unwrap().insert(1, 1).unwrap();
        transaction.commit().unwrap();
        let read_header = || backend.read(0, MARKED_LENGTH).unwrap();
        check(&read_header(), backend.len().unwrap()).unwrap();
        drop(database);
        let header = read_header();
        let length = backend.len().unwrap();
        check(&header, length).unwrap();
        let marked = with_mark(&header[..LENGTH]).unwrap();
        check(&marked, length).unwrap();
        assert_eq!(read_mark(&header), None);
        for shorter in [0, 1, 4096, 8192, length - 4096, length - 1] {
            assert!(check(&marked, shorter).is_err(), "{shorter}");
        }
        for end in 0..LENGTH {
            assert!(check(&marked[..end], length).is_err(), "{end}");
        }
        let mut other = marked;
        other[9] ^= SECOND_SLOT_IS_PRIMARY;
        assert!(check(&other, length).is_err(), "older than the mark");
        other.truncate(LENGTH);
        assert!(check(&other, length).is_ok(), "an interrupted commit");
    }
}
