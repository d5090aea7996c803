//! What redb's header must be, looked at before redb does: it panics where it is not.
//!
//! The first 320 bytes of a file of redb 2 (`design.md` there): the magic number, flags, the
//! layout, and two slots of 128 bytes for commits, each with a checksum. A flag says which slot
//! counts. No checksum covers that flag, so what is written behind the header names that commit
//! again.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::error::EmbeddedStoreError as Error;

/// The header of redb.
pub(super) const REDB: usize = 320;
/// With the mark behind it, in bytes that redb leaves alone: its first page is at 4,096.
pub(super) const ALL: usize = REDB + MARK;
const MARK: usize = 16;

const PAGE: u64 = 4096;
/// Pages of a region before its data. Files that this crate has redb make have these two.
const REGION_HEADER: u64 = 130;
const REGION_DATA: u64 = 1 << 20;

const SECOND_SLOT_COUNTS: u8 = 1;
const TWO_PHASES: u8 = 4;
const VERSION: u8 = 3;

/// The part of a slot that its checksum covers.
const COVERED: usize = 112;

struct Slot<'a>(&'a [u8]);

impl Slot<'_> {
    fn version(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn transaction(&self) -> Option<u64> {
        number(self.0, 104)
    }

    fn is_whole(&self) -> bool {
        self.0
            .split_at_checked(COVERED)
            .is_some_and(|(covered, checksum)| xxh3_128(covered).to_le_bytes() == *checksum)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let (bytes, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

fn short(bytes: &[u8], at: usize) -> Option<u64> {
    let (bytes, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u32::from_le_bytes(*bytes).into())
}

/// The flags, the slot that counts, and the other.
fn parts(header: &[u8]) -> Option<(u8, Slot<'_>, Slot<'_>)> {
    let flags = *header.get(9)?;
    let slots = (Slot(header.get(64..192)?), Slot(header.get(192..REDB)?));
    Some(match flags & SECOND_SLOT_COUNTS {
        0 => (flags, slots.0, slots.1),
        _ => (flags, slots.1, slots.0),
    })
}

/// The header with a mark behind it that says which commit counts. `None`: it is no header.
pub(super) fn marked(header: &[u8]) -> Option<Vec<u8>> {
    if header.len() != REDB {
        return None;
    }
    let transaction = parts(header)?.1.transaction()?.to_le_bytes();
    let checksum = xxh3_64(&transaction).to_le_bytes();
    Some([header, &transaction, &checksum].concat())
}

/// The commit that counted when the header was written last.
fn mark(bytes: &[u8]) -> Option<u64> {
    let (transaction, checksum) = bytes.get(REDB..ALL)?.split_at_checked(8)?;
    (xxh3_64(transaction).to_le_bytes() == *checksum).then(|| number(transaction, 0))?
}

/// Looks at what a file of that length begins with.
pub(super) fn check(bytes: &[u8], length: u64) -> Result<(), Error> {
    let (flags, counts, other) = parts(bytes).ok_or(Error::Corrupt)?;
    match (counts.version(), other.version()) {
        (Some(VERSION), Some(VERSION)) => {}
        (Some(one), Some(two)) if one > VERSION && two > VERSION => return Err(Error::NewerFormat),
        // This crate never had redb make these.
        (Some(one), Some(two)) if one < VERSION && two < VERSION => return Err(Error::ForeignFile),
        _ => return Err(Error::Corrupt),
    }
    let is_fitting = has_layout_for(bytes, length) == Some(true)
        && flags & TWO_PHASES != 0
        && counts.is_whole()
        // A commit that counts writes the flag and the mark at once, the flag first. A slot that is
        // newer without a mark is of a commit that a crash cut short.
        && mark(bytes).is_none_or(|marked| Some(marked) <= counts.transaction());
    is_fitting.then_some(()).ok_or(Error::Corrupt)
}

/// Whether the file is as long as its layout says, or longer by pages that redb can take in.
fn has_layout_for(bytes: &[u8], length: u64) -> Option<bool> {
    if (short(bytes, 12)?, short(bytes, 16)?, short(bytes, 20)?)
        != (PAGE, REGION_HEADER, REGION_DATA)
    {
        return Some(false);
    }
    let region = REGION_HEADER.checked_add(REGION_DATA)?;
    let (full, partial) = (short(bytes, 24)?, short(bytes, 28)?);
    let partial = match partial {
        0 => 0,
        pages => pages.checked_add(REGION_HEADER)?,
    };
    let pages = full.checked_mul(region)?.checked_add(partial)?;
    let there = length.checked_sub(PAGE)?;
    let rest = (there / PAGE).checked_rem(region)?;
    Some(
        pages > 0
            && partial < region
            && there % PAGE == 0
            && there / PAGE >= pages
            && (rest == 0 || rest > REGION_HEADER),
    )
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;
    use redb::{Database, StorageBackend, TableDefinition};

    use super::*;

    /// These constants are those of the redb that is linked.
    #[test]
    fn the_header_of_a_new_file_is_fine() {
        #[derive(Clone, Debug)]
        struct Shared(std::sync::Arc<InMemoryBackend>);
        impl StorageBackend for Shared {
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
        let backend = Shared(InMemoryBackend::new().into());
        let database = Database::builder()
            .create_with_file_format_v3(true)
            .create_with_backend(backend.clone())
            .unwrap();
        let mut transaction = database.begin_write().unwrap();
        transaction.set_quick_repair(true);
        const TABLE: TableDefinition<'_, u8, u8> = TableDefinition::new("table");
        transaction.open_table(TABLE).unwrap().insert(1, 1).unwrap();
        transaction.commit().unwrap();
        let look = || backend.read(0, ALL).unwrap();
        check(&look(), backend.len().unwrap()).unwrap();
        drop(database);
        let header = look();
        let length = backend.len().unwrap();
        check(&header, length).unwrap();
        let marked = marked(&header[..REDB]).unwrap();
        check(&marked, length).unwrap();
        assert_eq!(mark(&header), None);
        for shorter in [0, 1, 4096, 8192, length - 4096, length - 1] {
            assert!(check(&marked, shorter).is_err(), "{shorter}");
        }
        for end in 0..REDB {
            assert!(check(&marked[..end], length).is_err(), "{end}");
        }
        let mut other = marked;
        other[9] ^= SECOND_SLOT_COUNTS;
        assert!(check(&other, length).is_err(), "the mark tells");
        other.truncate(REDB);
        assert!(check(&other, length).is_ok(), "a commit cut short");
    }
}
