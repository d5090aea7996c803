//! The names of the keys.

/// The names of the four keys that every script gets. The scripts derive the names of the others
/// from them. A common hash tag keeps all keys in one Cluster slot.
pub(super) struct KeyNames {
    pub(super) revoked: String,
    pub(super) subjects: String,
    pub(super) stream: String,
    pub(super) last: String,
}

impl KeyNames {
    /// Uses `prefix` as the hash tag.
    pub(super) fn new(prefix: &str) -> Self {
        let name = |name: &str| format!("{{{prefix}}}:{name}");
        Self {
            revoked: name("revoked"),
            subjects: name("subjects"),
            stream: name("stream"),
            last: name("last"),
        }
    }

    /// The keys of a script, in the order of `header.lua`.
    pub(super) fn all(&self) -> [&str; 4] {
        [&self.revoked, &self.subjects, &self.stream, &self.last]
    }
}
