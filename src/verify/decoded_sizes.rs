//! How much memory to reserve for the decoded claims of a token.

use std::sync::atomic::{AtomicU32, Ordering};

/// How large decoded claims are, in proportion to their JSON. Tokens of one issuer are alike, so it
/// is learned from those that were decoded before.
#[derive(Default)]
pub(super) struct DecodedSizes {
    /// In 256ths. 0: nothing has been decoded.
    ratio: AtomicU32,
}

impl DecodedSizes {
    /// The memory to reserve for the decoded claims of a token, in bytes.
    pub(super) fn reserve(&self, payload: &str) -> usize {
        match self.ratio.load(Ordering::Relaxed) {
            0 => largest(payload),
            ratio => payload.len().saturating_mul(widen(ratio)) >> 8,
        }
    }

    /// Learns from a payload whose claims took `size` bytes.
    pub(super) fn learn(&self, payload: &str, size: usize) {
        if size > largest(payload) {
            return;
        }
        // An eighth more, so that claims that are a little larger fit too.
        let needed = size.saturating_add(size >> 3) << 8;
        let needed = needed.div_ceil(payload.len().max(1));
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        let old = self.ratio.load(Ordering::Relaxed);
        // Larger claims count at once. Otherwise they would never be kept.
        let new = match old.checked_sub(needed) {
            Some(excess) if old > 0 => old.saturating_sub(excess.div_ceil(64)),
            _ => needed,
        };
        self.ratio.store(new, Ordering::Relaxed);
    }
}

fn widen(ratio: u32) -> usize {
    usize::try_from(ratio).unwrap_or(usize::MAX)
}

/// The size of the decoded payload in bytes, at most: as a `serde_json::Value`, which is larger
/// than a struct.
///
/// Every string is an allocation and every member a node of a tree. Vectors and trees are up to
/// half empty, and a vector starts with room for four.
fn largest(payload: &str) -> usize {
    /// With the feature `preserve_order` of serde_json it is more than twice as large.
    const VALUE: usize = size_of::<serde_json::Value>();
    const ARRAY: usize = 4 * VALUE + 16;
    const MEMBER: usize = 2 * VALUE + 48;

    let each = |wanted: u8, size: usize| {
        let count = payload.bytes().filter(|byte| *byte == wanted).count();
        count.saturating_mul(size)
    };
    let sizes = [each(b'{', 640), each(b'[', ARRAY), each(b',', MEMBER)];
    sizes
        .into_iter()
        .fold(payload.len().saturating_mul(2), usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The size of the vectors of a value, in bytes.
    fn vectors(value: &Value) -> usize {
        let Value::Array(values) = value else {
            return 0;
        };
        let size = values.capacity() * size_of::<Value>();
        size + values.iter().map(vectors).sum::<usize>()
    }

    #[test]
    fn what_was_needed_is_reserved_next_time() {
        let sizes = DecodedSizes::default();
        let payload = json!({ "sub": "alice", "roles": ["reader", "writer"] }).to_string();
        assert_eq!(sizes.reserve(&payload), largest(&payload));
        sizes.learn(&payload, 200);
        assert!((200..=230).contains(&sizes.reserve(&payload)));
        // Larger claims count at once, smaller ones slowly.
        sizes.learn(&payload, 400);
        assert!((400..=460).contains(&sizes.reserve(&payload)));
        sizes.learn(&payload, 200);
        assert!((400..=460).contains(&sizes.reserve(&payload)));
        for _ in 0..1000 {
            sizes.learn(&payload, 200);
        }
        assert!((200..=230).contains(&sizes.reserve(&payload)));
        // A type whose memory is not that of its JSON reserves nothing.
        sizes.learn(&payload, 1 << 20);
        assert!((200..=230).contains(&sizes.reserve(&payload)));
    }

    #[test]
    fn small_arrays_are_counted() {
        for payload in [
            format!("{}{}", "[".repeat(100), "]".repeat(100)),
            format!("[{}0]", "[0],".repeat(100)),
            format!("[{}0]", "[0,0,0,0,0],".repeat(100)),
            format!("{}0{}", "[".repeat(100), "]".repeat(100)),
        ] {
            let value: Value = serde_json::from_str(&payload).unwrap();
            assert!(largest(&payload) >= vectors(&value), "{payload}");
        }
    }
}
