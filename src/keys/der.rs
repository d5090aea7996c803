//! The part of a DER parser that recognises one complete value.

const SEQUENCE: u8 = 0x30;
const CONSTRUCTED: u8 = 0x20;
/// A tag of several bytes. Keys do not have one.
const LONG_TAG: u8 = 0x1f;

/// Splits off the first element: its tag, its content, and the bytes after it.
pub(super) fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
            let length = length
                .iter()
                .fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// Whether the bytes are exactly one SEQUENCE, not nested deeper than keys and certificates are.
///
/// The libraries that parse keys ignore trailing bytes, and recurse for each level.
pub(super) fn is_one_sequence(bytes: &[u8]) -> bool {
    const DEEPEST: usize = 16;

    if !matches!(element(bytes), Some((SEQUENCE, _, []))) {
        return false;
    }
    // The unread bytes of each level.
    let mut levels = vec![bytes];
    while let Some(rest) = levels.pop() {
        if rest.is_empty() {
            continue;
        }
        let Some((tag, content, after)) = element(rest) else {
            return false;
        };
        levels.push(after);
        if tag & LONG_TAG == LONG_TAG || levels.len() > DEEPEST {
            return false;
        }
        if tag & CONSTRUCTED != 0 {
            levels.push(content);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Vec<u8> {
        let mut der = Vec::new();
        for _ in 0..levels {
            let length = u32::try_from(der.len()).unwrap().to_be_bytes();
            der = [&[SEQUENCE, 0x83], &length[1..], &der].concat();
        }
        der
    }

    #[test]
    fn one_sequence_and_no_more() {
        assert!(is_one_sequence(&[0x30, 0]));
        assert!(is_one_sequence(&[0x30, 3, 2, 1, 5]));
        assert!(is_one_sequence(&nested(15)));
        for bytes in [
            &[][..],
            &[0x30],
            &[0x31, 0],
            &[2, 1, 5],
            &[0x30, 0, 0],
            &[0x30, 3, 2, 1],
            &[0x30, 3, 2, 2, 5],
            &[0x30, 2, 0x1f, 0],
            &[0x30, 0x80],
        ] {
            assert!(!is_one_sequence(bytes), "{bytes:x?}");
        }
        for levels in [17, 400, 100_000] {
            assert!(!is_one_sequence(&nested(levels)), "{levels}");
        }
    }
}
