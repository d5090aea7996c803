//! The middle of samples.

pub(crate) fn median<T: Copy + PartialOrd>(samples: &mut [T]) -> T {
    samples.sort_by(|one, other| one.partial_cmp(other).unwrap());
    samples[samples.len() / 2]
}
