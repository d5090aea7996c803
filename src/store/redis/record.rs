//! What is kept of a subject.

/// A subject as Redis keeps it: `generation:until:blocked:cutoff:tags`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) generation: u64,
    /// Until when tokens of earlier generations may live, in seconds.
    pub(super) until: u64,
    pub(super) blocked: bool,
    /// When it was last blocked, or that was lifted, in seconds; 0 if never.
    pub(super) cutoff: u64,
    /// The last changes, the newest first.
    tags: Box<str>,
}

impl Record {
    /// How long a tag is.
    const TAG: usize = 8;

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.splitn(5, ':');
        let mut number = || parts.next()?.parse().ok();
        let (generation, until) = (number()?, number()?);
        let (blocked, cutoff) = (number()?, number()?);
        Some(Self {
            generation,
            until,
            blocked: blocked != 0,
            cutoff,
            tags: parts.next()?.into(),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let Self {
            generation,
            until,
            blocked,
            cutoff,
            tags,
        } = self;
        format!(
            "{generation}:{until}:{}:{cutoff}:{tags}",
            u8::from(*blocked)
        )
    }

    /// Whether this one came of the other by further changes, or is the same.
    pub(super) fn descends_from(&self, other: &Self) -> bool {
        match other.tags.get(..Self::TAG) {
            Some(newest) => self.tags.split(',').any(|tag| tag == newest),
            None => true,
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
        let text = "3:1800000000:1:1799999999:0123abcd,89abcdef";
        let record = Record::parse(text.as_bytes()).unwrap();
        assert_eq!((record.generation, record.blocked), (3, true));
        assert_eq!(record.to_text(), text);
        for text in ["", "1:2:3:4", "a:2:0:4:", "1:2:0:4\u{fffd}", "-1:2:0:4:"] {
            assert_eq!(Record::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_record_descends_from_those_whose_change_it_knows() {
        let record = |tags: &str| Record::parse(format!("1:2:0:3:{tags}").as_bytes()).unwrap();
        let old = record("aaaaaaaa");
        let new = record("bbbbbbbb,aaaaaaaa");
        let other = record("cccccccc,aaaaaaaa");
        assert!(new.descends_from(&old) && !old.descends_from(&new));
        assert!(!new.descends_from(&other) && !other.descends_from(&new));
        assert!(new.descends_from(&new));
    }
}
