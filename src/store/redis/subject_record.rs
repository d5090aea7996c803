//! The record of a subject: its access epoch, its generation and its block.

/// The record of a subject in Redis: `access_epoch:until:blocked:cutoff:changes:generation:tags`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SubjectRecord {
    pub(super) access_epoch: u64,
    /// The end of the last token of a lower access epoch, in seconds.
    pub(super) until: u64,
    pub(super) blocked: bool,
    /// When the subject was last blocked or unblocked, in seconds. 0: never.
    pub(super) cutoff: u64,
    /// The number of changes.
    changes: u64,
    generation: u64,
    /// The tags of the last changes, the newest first.
    tags: Box<str>,
}

/// Which of two records is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordOrder {
    /// This one is the other with further changes, or the same.
    Newer,
    /// The other is this one with further changes.
    Older,
    /// Each has changes that the other lacks: a server lost some.
    Diverged,
}

impl SubjectRecord {
    /// The length of a tag.
    const TAG_LENGTH: usize = 8;

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.splitn(7, ':');
        let mut number = || parts.next()?.parse().ok();
        let (access_epoch, until) = (number()?, number()?);
        let (blocked, cutoff) = (number()?, number()?);
        let (changes, generation) = (number()?, number()?);
        Some(Self {
            access_epoch,
            until,
            blocked: blocked != 0,
            cutoff,
            changes,
            generation,
            tags: parts.next()?.into(),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let Self {
            access_epoch,
            until,
            blocked,
            cutoff,
            changes,
            generation,
            tags,
        } = self;
        format!(
            "{access_epoch}:{until}:{}:{cutoff}:{changes}:{generation}:{tags}",
            u8::from(*blocked)
        )
    }

    /// Compares two records of one subject, as `write_back_subjects.lua` does.
    ///
    /// The tags name the last 24 changes only. An older record than that is `Diverged`.
    pub(super) fn compare(&self, other: &Self) -> RecordOrder {
        if self.includes(other) {
            RecordOrder::Newer
        } else if other.includes(self) {
            RecordOrder::Older
        } else {
            RecordOrder::Diverged
        }
    }

    /// Whether the last change of the other is one of these.
    fn includes(&self, other: &Self) -> bool {
        match other.tags.get(..Self::TAG_LENGTH) {
            Some(newest) => self.tags.split(',').any(|tag| tag == newest),
            None => true,
        }
    }

    /// A record that rejects every token that either record rejects.
    pub(super) fn strictest(&self, other: &Self) -> Self {
        let [(epoch, generation), (other_epoch, other_generation)] =
            [self.raised_beside(other), other.raised_beside(self)];
        // Either may have been raised last, so the next epoch is the only safe one.
        let step = u64::from(epoch.min(other_epoch) > 0);
        let access_epoch = epoch.max(other_epoch).saturating_add(step);
        let generation = match generation.min(other_generation) {
            0 => generation.max(other_generation),
            _ => access_epoch,
        };
        Self {
            access_epoch,
            until: self.until.max(other.until),
            blocked: self.blocked || other.blocked,
            cutoff: self.cutoff.max(other.cutoff),
            changes: self.changes.max(other.changes),
            generation,
            tags: self.tags.clone(),
        }
    }

    /// The access epoch and the generation. A block raises neither if the server does not know that
    /// the subject has sessions here. Here the other record knows.
    fn raised_beside(&self, other: &Self) -> (u64, u64) {
        match (self.access_epoch, self.cutoff, other.access_epoch) {
            (0, 1.., 1..) => (1, 1),
            _ => (self.access_epoch, self.generation),
        }
    }

    /// Whether a token that has not expired may be rejected by it.
    pub(super) fn is_in_force(&self, now: u64, leeway: u64) -> bool {
        self.blocked || now < self.until.saturating_add(leeway)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_parsed_as_they_are_written() {
        let text = "3:1800000000:1:1799999999:2:1:0123abcd,89abcdef";
        let record = SubjectRecord::parse(text.as_bytes()).unwrap();
        assert_eq!((record.access_epoch, record.generation), (3, 1));
        assert!(record.blocked);
        assert_eq!(record.to_text(), text);
        for text in [
            "",
            "1:2:3:4:5:6",
            "1:2:0:4:5:aaaaaaaa,",
            "a:2:0:4:5:1:",
            "1:2:0:4:5:1\u{fffd}",
            "-1:2:0:4:5:1:",
        ] {
            assert_eq!(SubjectRecord::parse(text.as_bytes()), None, "{text}");
        }
    }

    fn record(changes: u64, tags: &str) -> SubjectRecord {
        SubjectRecord::parse(format!("1:2:0:3:{changes}:1:{tags}").as_bytes()).unwrap()
    }

    #[test]
    fn a_record_is_newer_than_those_whose_last_change_it_names() {
        let old = record(1, "aaaaaaaa,");
        let new = record(2, "bbbbbbbb,aaaaaaaa,");
        let other = record(2, "cccccccc,aaaaaaaa,");
        assert_eq!(new.compare(&old), RecordOrder::Newer);
        assert_eq!(old.compare(&new), RecordOrder::Older);
        assert_eq!(new.compare(&new), RecordOrder::Newer);
        assert_eq!(new.compare(&other), RecordOrder::Diverged);
        assert_eq!(other.compare(&new), RecordOrder::Diverged);
    }

    #[test]
    fn a_record_that_is_far_behind_may_have_diverged() {
        let old = record(1, "aaaaaaaa,");
        let new = record(99, "11111111,22222222,33333333,44444444");
        assert_eq!(old.compare(&new), RecordOrder::Diverged);
        assert_eq!(new.compare(&old), RecordOrder::Diverged);
    }

    #[test]
    fn the_strictest_of_two_records_rejects_what_either_does() {
        let parse = |text: &str| SubjectRecord::parse(text.as_bytes()).unwrap();
        let (one, other) = (
            parse("3:9:1:5:4:1:aaaaaaaa,"),
            parse("2:10:0:7:6:2:bbbbbbbb,"),
        );
        let both = "4:10:1:7:6:4:aaaaaaaa,";
        assert_eq!(one.strictest(&other).to_text(), both);
        // Only one of them logged the subject out.
        let invalidated = parse("1:9:0:5:4:0:aaaaaaaa,");
        let strictest = invalidated.strictest(&other);
        assert_eq!(strictest.to_text(), "3:10:0:7:6:2:aaaaaaaa,");
        assert_eq!(other.strictest(&one).blocked, one.blocked);
        // A block that took the subject for one of another issuer.
        let foreign = parse("0:0:1:8:1:0:cccccccc,");
        let raised = foreign.strictest(&other).to_text();
        assert_eq!(raised, "3:10:1:8:6:3:cccccccc,");
        let raised = other.strictest(&foreign).to_text();
        assert_eq!(raised, "3:10:1:8:6:3:bbbbbbbb,");
        let both = parse("0:0:0:9:2:0:dddddddd,").strictest(&foreign);
        assert_eq!((both.access_epoch, both.generation), (0, 0));
    }
}
