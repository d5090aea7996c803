//! What is kept of a subject.

/// A subject as Redis keeps it: `generation:until:blocked:cutoff:changes:tags`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) generation: u64,
    /// Until when tokens of earlier generations may live, in seconds.
    pub(super) until: u64,
    pub(super) blocked: bool,
    /// When it was last blocked, or that was lifted, in seconds; 0 if never.
    pub(super) cutoff: u64,
    /// How often it was changed.
    changes: u64,
    /// The last changes, the newest first.
    tags: Box<str>,
}

/// Which of two records is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lineage {
    /// This one came of the other by further changes, or is the same.
    Newer,
    /// The other came of this one.
    Older,
    /// Neither did: a server lost what another had been told.
    Split,
}

impl Record {
    /// How long a tag is.
    const TAG: usize = 8;

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.splitn(6, ':');
        let mut number = || parts.next()?.parse().ok();
        let (generation, until) = (number()?, number()?);
        let (blocked, cutoff) = (number()?, number()?);
        let changes = number()?;
        Some(Self {
            generation,
            until,
            blocked: blocked != 0,
            cutoff,
            changes,
            tags: parts.next()?.into(),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let Self {
            generation,
            until,
            blocked,
            cutoff,
            changes,
            tags,
        } = self;
        format!(
            "{generation}:{until}:{}:{cutoff}:{changes}:{tags}",
            u8::from(*blocked)
        )
    }

    /// How this one stands to the other. As in `restore_subject.lua`.
    pub(super) fn lineage(&self, other: &Self) -> Lineage {
        // One that is so far behind that its last change is told no more cannot be told from one of another history.
        if self.knows(other) {
            Lineage::Newer
        } else if other.knows(self) {
            Lineage::Older
        } else {
            Lineage::Split
        }
    }

    fn knows(&self, other: &Self) -> bool {
        match other.tags.get(..Self::TAG) {
            Some(newest) => self.tags.split(',').any(|tag| tag == newest),
            None => true,
        }
    }

    /// A record that refuses what either of the two does.
    pub(super) fn strictest(&self, other: &Self) -> Self {
        // Either may have been the later one to be raised.
        let both = u64::from(self.generation.min(other.generation) > 0);
        let generation = self.generation.max(other.generation);
        Self {
            generation: generation.saturating_add(both),
            until: self.until.max(other.until),
            blocked: self.blocked || other.blocked,
            cutoff: self.cutoff.max(other.cutoff),
            changes: self.changes.max(other.changes),
            tags: self.tags.clone(),
        }
    }

    /// Whether a token could still be refused for it.
    pub(super) fn counts(&self, now: u64, leeway: u64) -> bool {
        self.blocked || now < self.until.saturating_add(leeway)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_are_written() {
        let text = "3:1800000000:1:1799999999:2:0123abcd,89abcdef";
        let record = Record::parse(text.as_bytes()).unwrap();
        assert_eq!((record.generation, record.blocked), (3, true));
        assert_eq!(record.to_text(), text);
        for text in [
            "",
            "1:2:3:4:5",
            "a:2:0:4:5:",
            "1:2:0:4:5\u{fffd}",
            "-1:2:0:4:5:",
        ] {
            assert_eq!(Record::parse(text.as_bytes()), None, "{text}");
        }
    }

    fn record(changes: u64, tags: &str) -> Record {
        Record::parse(format!("1:2:0:3:{changes}:{tags}").as_bytes()).unwrap()
    }

    #[test]
    fn a_record_descends_from_those_whose_change_it_knows() {
        let old = record(1, "aaaaaaaa,");
        let new = record(2, "bbbbbbbb,aaaaaaaa,");
        let other = record(2, "cccccccc,aaaaaaaa,");
        assert_eq!(new.lineage(&old), Lineage::Newer);
        assert_eq!(old.lineage(&new), Lineage::Older);
        assert_eq!(new.lineage(&new), Lineage::Newer);
        assert_eq!(new.lineage(&other), Lineage::Split);
        assert_eq!(other.lineage(&new), Lineage::Split);
    }

    #[test]
    fn a_record_that_is_far_behind_may_be_of_another_history() {
        let old = record(1, "aaaaaaaa,");
        let new = record(99, "11111111,22222222,33333333,44444444");
        assert_eq!(old.lineage(&new), Lineage::Split);
        assert_eq!(new.lineage(&old), Lineage::Split);
    }

    #[test]
    fn the_strictest_of_two_refuses_what_either_does() {
        let parse = |text: &str| Record::parse(text.as_bytes()).unwrap();
        let (one, other) = (parse("3:9:1:5:4:aaaaaaaa,"), parse("2:10:0:7:6:bbbbbbbb,"));
        let both = "4:10:1:7:6:aaaaaaaa,";
        assert_eq!(one.strictest(&other).to_text(), both);
        assert_eq!(other.strictest(&one).blocked, one.blocked);
    }
}
