//! Drops expired revocations and sessions.

use std::time::Duration;

use redb::ReadableTable;

use super::failure::Failure;
use super::metadata::{HORIZON, put_number};
use super::write::{Tables, by_expiry_key, expiry_second, first_by_expiry_key};
use crate::claims::NumericDate;
use crate::session::SessionId;
use crate::store::embedded::error::EmbeddedStoreError as Error;
use crate::store::embedded::row::encoding::Reader;

impl Tables<'_> {
    /// Drops what expired more than `leeway` ago. Reads at most `max_rows` rows, and returns
    /// whether there may be more.
    pub(in crate::store::embedded) fn prune(
        &mut self,
        now: NumericDate,
        leeway: Duration,
        max_rows: usize,
    ) -> Result<bool, Error> {
        let end = now.since_epoch().saturating_sub(leeway).as_secs();
        let mut remaining = max_rows;
        remaining = remaining.saturating_sub(self.prune_revocations(end, remaining)?);
        remaining = remaining.saturating_sub(self.prune_sessions(end, remaining)?);
        if remaining < max_rows {
            self.is_modified = true;
        }
        Ok(remaining == 0)
    }

    /// Drops up to `max_rows` revocations that expired before the second `end`, and raises the
    /// horizon. Returns how many rows it read.
    fn prune_revocations(&mut self, end: u64, max_rows: usize) -> Result<usize, Error> {
        let mut expired = Vec::new();
        let end = end.to_be_bytes();
        for entry in self.revocations.range(..&end[..])?.take(max_rows) {
            expired.push(entry?.0.value().to_vec());
        }
        for key in &expired {
            self.revocations.remove(&**key)?;
        }
        if let Some(last) = expired.last() {
            // Not the time of the clock: it may be ahead, and later revocations were not dropped.
            let latest = Reader(last).number().ok_or(Error::Corrupt)?;
            let horizon = self.horizon()?.max(latest);
            put_number(&mut self.metadata, HORIZON, horizon)?;
        }
        Ok(expired.len())
    }

    /// Reads up to `max_rows` sessions that may have expired before the second `end`. Drops those
    /// that have, and moves the others to their new expiry. Returns how many rows it read.
    fn prune_sessions(&mut self, end: u64, max_rows: usize) -> Result<usize, Error> {
        let mut due = Vec::new();
        let before_end = ..first_by_expiry_key(end);
        for entry in self.by_expiry.range(before_end)?.take(max_rows) {
            due.push(entry?.0.value());
        }
        for key in &due {
            self.by_expiry.remove(key)?;
            let Some(sid) = key.last_chunk() else {
                continue;
            };
            let sid = SessionId::from_bytes(*sid);
            // A damaged row stays, so that calls that read it report the damage.
            let Ok(Some(mut row)) = self.session(sid) else {
                continue;
            };
            let expiry = expiry_second(&row.session);
            if expiry < end {
                self.remove_session(&row).map_err(Failure::into_error)?;
            } else {
                row.indexed_expiry = expiry;
                self.sessions.insert(sid.to_bytes(), &*row.encode()?)?;
                self.by_expiry.insert(by_expiry_key(&row), ())?;
            }
        }
        Ok(due.len())
    }
}
