//! The table of metadata: the format of the file, and numbers.

use redb::{ReadableTable, Table};

use crate::store::embedded::error::EmbeddedStoreError as Error;
use crate::store::embedded::row::encoding::{Reader, TableId};

/// Revocations that expire in this second or earlier may have been dropped.
pub(super) const HORIZON: &str = "forgotten until";
/// The number of commits.
pub(super) const COMMITS: &str = "commits";

const FORMAT_KEY: &str = "format";
const FORMAT_MAGIC: [u8; 16] = *b"tower-jwt-auth\0\x01";
const FORMAT_VERSION: u32 = 5;

pub(super) fn put_format(
    metadata: &mut Table<'_, &'static str, &'static [u8]>,
) -> Result<(), Error> {
    let mut format = [&FORMAT_MAGIC[..], &FORMAT_VERSION.to_be_bytes()].concat();
    TableId::Metadata.append_checksum(FORMAT_KEY.as_bytes(), &mut format);
    metadata.insert(FORMAT_KEY, &*format)?;
    Ok(())
}

pub(super) fn check_format(
    metadata: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<(), Error> {
    let Some(format) = metadata.get(FORMAT_KEY)? else {
        return Err(Error::ForeignFile);
    };
    let Some(version) = format.value().strip_prefix(&FORMAT_MAGIC) else {
        return Err(Error::ForeignFile);
    };
    match version
        .first_chunk()
        .map(|version| u32::from_be_bytes(*version))
    {
        Some(FORMAT_VERSION) => TableId::Metadata
            .verify_checksum(FORMAT_KEY.as_bytes(), format.value())
            .map(drop),
        Some(version) if version > FORMAT_VERSION => Err(Error::NewerFormat),
        Some(version) if version > 0 => Err(Error::OlderFormat),
        _ => Err(Error::ForeignFile),
    }
}

/// Reads a number. A number that was never written is 0.
pub(super) fn number(
    metadata: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<u64, Error> {
    match metadata.get(name)? {
        None => Ok(0),
        Some(bytes) => {
            let number = TableId::Metadata.verify_checksum(name.as_bytes(), bytes.value())?;
            Reader(number).number().ok_or(Error::Corrupt)
        }
    }
}

pub(super) fn put_number(
    metadata: &mut Table<'_, &'static str, &'static [u8]>,
    name: &str,
    number: u64,
) -> Result<(), Error> {
    let mut value = number.to_be_bytes().to_vec();
    TableId::Metadata.append_checksum(name.as_bytes(), &mut value);
    metadata.insert(name, &*value)?;
    Ok(())
}
