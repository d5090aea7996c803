//! How keys and values are encoded: numbers big-endian, texts with their length in front. A value
//! begins with a version and ends with a checksum.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::claims::NumericDate;
use crate::store::embedded::error::EmbeddedStoreError as Error;

/// The maximum length of a text, in bytes. A longer one is an error: `TooLong`.
pub(super) const MAX_TEXT_BYTES: usize = 4096;

/// The first byte of each value. Rows have one format so far; `FORMAT_VERSION` in
/// `tables/metadata.rs` is that of the file.
pub(super) const VERSION: u8 = 1;
/// Stands for the length of a text that is `None`.
const NO_TEXT: u16 = u16::MAX;

/// The table of a row. The checksum of the row depends on it, so never reuse a number.
#[derive(Clone, Copy)]
pub(in crate::store::embedded) enum TableId {
    Metadata = 1,
    Session = 2,
    Subject = 3,
    Revocation = 4,
}

impl TableId {
    /// Appends the checksum of a key and its value.
    ///
    /// It detects accidents, not an attacker who can write to the file. It covers the key, so it
    /// also detects a value under another key.
    pub(in crate::store::embedded) fn append_checksum(self, key: &[u8], value: &mut Vec<u8>) {
        let checksum = self.checksum(key, value);
        value.extend_from_slice(&checksum);
    }

    /// Returns the value without its checksum.
    pub(in crate::store::embedded) fn verify_checksum<'a>(
        self,
        key: &[u8],
        bytes: &'a [u8],
    ) -> Result<&'a [u8], Error> {
        match bytes.split_last_chunk() {
            Some((value, checksum)) if self.checksum(key, value) == *checksum => Ok(value),
            _ => Err(Error::Corrupt),
        }
    }

    fn checksum(self, key: &[u8], value: &[u8]) -> [u8; 8] {
        let seed = xxh3_64_with_seed(key, self as u64);
        xxh3_64_with_seed(value, seed).to_be_bytes()
    }
}

pub(super) fn put_date(bytes: &mut Vec<u8>, date: NumericDate) {
    let since_epoch = date.since_epoch();
    bytes.extend_from_slice(&since_epoch.as_secs().to_be_bytes());
    bytes.extend_from_slice(&since_epoch.subsec_nanos().to_be_bytes());
}

pub(super) fn put_text(bytes: &mut Vec<u8>, text: Option<&str>) -> Result<(), Error> {
    let Some(text) = text else {
        bytes.extend_from_slice(&NO_TEXT.to_be_bytes());
        return Ok(());
    };
    let length = u16::try_from(text.len()).map_err(|_| Error::TooLong)?;
    if text.len() > MAX_TEXT_BYTES {
        return Err(Error::TooLong);
    }
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Reads encoded values from the front of some bytes. `None`: the bytes are not valid.
pub(in crate::store::embedded) struct Reader<'a>(pub(in crate::store::embedded) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn version(&mut self) -> Option<()> {
        (self.byte()? == VERSION).then_some(())
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(in crate::store::embedded) fn number(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*bytes))
    }

    pub(super) fn date(&mut self) -> Option<NumericDate> {
        let seconds = self.number()?;
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        let nanoseconds = u32::from_be_bytes(*bytes);
        if nanoseconds >= 1_000_000_000 {
            return None;
        }
        NumericDate::from_since_epoch(Duration::new(seconds, nanoseconds))
    }

    #[expect(
        clippy::option_option,
        reason = "the outer `None` is invalid bytes, the inner one is an absent text"
    )]
    pub(super) fn text(&mut self) -> Option<Option<&'a str>> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        let length = u16::from_be_bytes(*bytes);
        if length == NO_TEXT {
            self.0 = rest;
            return Some(None);
        }
        let (text, rest) = rest.split_at_checked(usize::from(length))?;
        self.0 = rest;
        Some(Some(std::str::from_utf8(text).ok()?))
    }

    pub(super) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
