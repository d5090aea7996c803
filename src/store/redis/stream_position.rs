//! Positions in the stream.

use super::reply::text;

/// The ID of a stream entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamPosition {
    milliseconds: u64,
    sequence: u64,
}

/// How far this node has read the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StreamCursor {
    pub(super) position: StreamPosition,
    /// The hash of the entry at the position.
    pub(super) hash: Vec<u8>,
}

/// Where this node has read an entry.
///
/// A load may switch to the stream of another server. Compare positions of equal load counts only.
#[derive(Clone, Copy)]
pub(super) struct ReadPosition {
    pub(super) position: StreamPosition,
    /// How often this node had loaded the state before it read the entry.
    pub(super) load_count: u64,
}

impl StreamPosition {
    #[cfg(test)]
    pub(super) const START: Self = Self {
        milliseconds: 0,
        sequence: 0,
    };

    pub(super) fn parse(id: &[u8]) -> Option<Self> {
        let (milliseconds, sequence) = text(id)?.split_once('-')?;
        Some(Self {
            milliseconds: milliseconds.parse().ok()?,
            sequence: sequence.parse().ok()?,
        })
    }

    pub(super) fn to_text(self) -> String {
        format!("{}-{}", self.milliseconds, self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_parsed_as_the_server_writes_them() {
        let parse = StreamPosition::parse;
        assert!(parse(b"12-3") < parse(b"12-4"));
        assert!(parse(b"9-9") < parse(b"10-0"));
        assert_eq!(parse(b"12-3").unwrap().to_text(), "12-3");
        for text in ["", "12", "-", "a-1", "1-a", "99999999999999999999-0"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
