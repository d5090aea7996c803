//! Whether a token is revoked.

use std::time::Duration;

use super::buckets;
use super::fingerprint::Fingerprint;
use super::fingerprinted::SubjectBlock;
use super::rows::{Row, RowKind, RowTable, Rows};
use super::shared::Shared;
use super::token_identity::TokenIdentity;

impl Shared {
    #[inline]
    pub(super) fn is_revoked(&self, token: &TokenIdentity<'_>) -> bool {
        let published = self.published.load();
        let expires_at = token.expires_at.since_epoch();
        if published.is_behind_horizon(expires_at) {
            return true;
        }
        let present = published.present;
        let issuer = self.fingerprinter.issuer(token.issuer);
        let jti = token.jti.map(|jti| issuer.token(jti));
        let bucket = jti.and_then(|fingerprint| {
            let bucket = published.tokens.get(buckets::bucket_of(expires_at))?;
            // Bucket, session and subject are far apart in memory. Reading all three at once takes
            // as long as reading one.
            bucket.prefetch(fingerprint);
            Some((bucket, fingerprint))
        });
        let shard = |table, fingerprint| {
            Some((
                published.shard_if_maybe_in(table, fingerprint)?,
                fingerprint,
            ))
        };
        let session = token
            .sid
            .filter(|_| present.sessions)
            .and_then(|sid| shard(RowTable::Sessions, issuer.session(sid)));
        let subject = token
            .subject
            .filter(|_| present.subjects)
            .and_then(|subject| shard(RowTable::Subjects, issuer.subject(subject)));

        bucket.is_some_and(|(bucket, fingerprint)| bucket.contains(fingerprint))
            || session.is_some_and(|(rows, fingerprint)| {
                self.has_row(rows, fingerprint, RowKind::Session, expires_at)
            })
            || subject.is_some_and(|(rows, fingerprint)| {
                self.is_subject_revoked(rows, fingerprint, token)
            })
            || present.tokens
                && jti.is_some_and(|fingerprint| {
                    published
                        .shard_if_maybe_in(RowTable::Sessions, fingerprint)
                        .is_some_and(|rows| {
                            self.has_row(rows, fingerprint, RowKind::Token, expires_at)
                        })
                })
    }

    #[inline]
    fn has_row(
        &self,
        rows: &Rows,
        fingerprint: Fingerprint,
        kind: RowKind,
        expires_at: Duration,
    ) -> bool {
        rows.find(fingerprint, kind)
            .is_some_and(|row| self.applies(row, expires_at))
    }

    /// Whether a row applies to a token with this `exp`: the row was written for such tokens, or it
    /// has not expired. Only the second case reads the clock.
    fn applies(&self, row: Row<'_>, expires_at: Duration) -> bool {
        let until = row.until();
        expires_at <= Duration::from_secs(until) || !self.has_expired(until, self.now())
    }

    #[inline]
    fn is_subject_revoked(
        &self,
        rows: &Rows,
        fingerprint: Fingerprint,
        token: &TokenIdentity<'_>,
    ) -> bool {
        let Some(subject) = rows.subject(fingerprint) else {
            return false;
        };
        let expires_at = token.expires_at.since_epoch();
        let was_issued_by = |cutoff| token.issued_at.is_none_or(|at| at.seconds() <= cutoff);

        // Read the block before the generation. In the other order a writer could raise the
        // generation and lift the block between the two reads, and the token would pass both.
        let block = subject.block.and_then(|row| {
            let applies = self.applies(row, expires_at);
            let block = SubjectBlock::from_word(row.value());
            (block.in_force || applies).then_some(block)
        });
        if block.is_some_and(|block| block.in_force) {
            return true;
        }
        // A writer may have added rows between the search above and the lifting of the block.
        let subject = match subject.block {
            Some(_) => rows.subject(fingerprint).unwrap_or(subject),
            None => subject,
        };
        let value = |row: Row<'_>| self.applies(row, expires_at).then(|| row.value());
        let generation = subject.generation.and_then(value);
        if generation.is_some_and(|least| token.generation.unwrap_or(0) < least) {
            return true;
        }
        let is_by_generation = generation.is_some() && token.generation.is_some();
        if let Some(block) = block
            && !(is_by_generation && block.by_generation)
            && was_issued_by(block.cutoff)
        {
            return true;
        }
        subject.cutoff.and_then(value).is_some_and(was_issued_by)
    }
}
