//! How much memory to reserve for the decoded claims of a token.

use std::sync::atomic::{AtomicU32, Ordering};

/// The part of their maximum size that decoded claims really take. It is learned from earlier
/// tokens, because tokens of one issuer are alike.
#[derive(Default)]
pub(super) struct DecodedSizes {
    /// In parts of `WHOLE`. 0: nothing has been decoded.
    needed: AtomicU32,
}

impl DecodedSizes {
    const WHOLE: u64 = 1 << 16;

    /// The memory to reserve for the decoded claims of a token, in bytes.
    pub(super) fn reserve(&self, payload: &str) -> usize {
        let largest = largest(payload);
        match u64::from(self.needed.load(Ordering::Relaxed)) {
            0 => largest,
            needed => u64::try_from(largest)
                .ok()
                .and_then(|largest| largest.checked_mul(needed))
                .and_then(|size| usize::try_from(size / Self::WHOLE).ok())
                .unwrap_or(largest),
        }
    }

    /// Learns from a payload whose claims took `size` bytes.
    pub(super) fn learn(&self, payload: &str, size: usize) {
        let largest = u64::try_from(largest(payload)).unwrap_or(u64::MAX);
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        // A sixteenth more, so that claims that are a little larger fit too.
        let room = size.saturating_add(size / 16).saturating_mul(Self::WHOLE);
        let needed = room.div_ceil(largest.max(1)).min(Self::WHOLE);
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        let old = self.needed.load(Ordering::Relaxed);
        // Larger claims count at once. Otherwise they would never be kept.
        let new = match old.checked_sub(needed) {
            Some(excess) if old > 0 => old.saturating_sub(excess.div_ceil(64)),
            _ => needed,
        };
        if new != old {
            self.needed.store(new, Ordering::Relaxed);
        }
    }
}

/// The size of the decoded payload in bytes, at most: as a `serde_json::Value`, which is larger
/// than a struct.
///
/// Every string is an allocation and every member a part of a node. Vectors and trees are up to
/// half empty, and a vector starts with room for four.
fn largest(payload: &str) -> usize {
    /// With the feature `preserve_order` of serde_json it is more than twice as large.
    const VALUE: usize = size_of::<serde_json::Value>();
    const NODE: usize = 11 * (size_of::<String>() + VALUE) + 32;
    const STRING: usize = 32;
    const ARRAY: usize = 4 * VALUE + 16 + STRING;
    const OBJECT: usize = NODE + 2 * STRING;
    const MEMBER: usize = NODE / 6 + 2 * STRING;

    let each = |wanted: u8, size: usize| {
        let count = payload.bytes().filter(|byte| *byte == wanted).count();
        count.saturating_mul(size)
    };
    let sizes = [each(b'{', OBJECT), each(b'[', ARRAY), each(b',', MEMBER)];
    // A value without members is an `Arc` and a string.
    sizes
        .into_iter()
        .fold(payload.len().saturating_mul(2), usize::saturating_add)
        .saturating_add(128)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::claims::decode_measured;

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
        // However large claims are, no more is reserved than for a `Value`.
        sizes.learn(&payload, 1 << 20);
        assert_eq!(sizes.reserve(&payload), largest(&payload));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<u64>().prop_map(Value::from),
            ".{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 200, 30, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..30).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{0,12}", inner, 0..30)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_value_is_larger_than_the_largest(value in json()) {
            let payload = value.to_string();
            let (_, size) = decode_measured::<Value>(&payload).unwrap();
            prop_assert!(size <= largest(&payload), "{} of {}", size, largest(&payload));
        }
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
