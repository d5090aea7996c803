//! The version of the keys that verified a token.

/// Which keys verified a token. The keys of a source that never change have the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KeysVersion {
    /// The position among the sources of the issuer.
    pub(super) source: usize,
    /// Counts the changes of that source.
    pub(super) number: u64,
    /// The number of the resolver's answer. 0 if the issuer was configured.
    pub(super) answer: u64,
}

impl KeysVersion {
    /// The version of a source that never changes.
    pub(super) fn of_fixed(source: usize) -> Self {
        Self {
            source,
            ..Self::default()
        }
    }

    /// As keys of an issuer that a resolver approved.
    pub(super) fn of_answer(self, answer: u64) -> Self {
        Self { answer, ..self }
    }
}
