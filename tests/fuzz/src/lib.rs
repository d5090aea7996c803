//! Shared by the fuzz targets.

pub mod json;
pub mod reading;
pub mod tokens;
pub mod writing;

use std::collections::BTreeMap;
use std::sync::{Mutex, Once};

/// How often what happened, by group and category.
static COUNTS: Mutex<BTreeMap<(&str, &str), u64>> = Mutex::new(BTreeMap::new());

/// Counts a case, to tell at the end how far the inputs got.
pub fn count(group: &'static str, category: &'static str) -> u64 {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        atexit(show_counts);
    });
    let mut counts = COUNTS.lock().unwrap();
    let count = counts.entry((group, category)).or_default();
    *count += 1;
    *count
}

/// Counts a case that is remarkable and no failure, and shows the first of its category.
pub fn note(group: &'static str, category: &'static str, case: impl FnOnce() -> String) {
    if count(group, category) == 1 {
        eprintln!("note: {group}: {category}, first: {}", case());
    }
}

unsafe extern "C" {
    safe fn atexit(function: extern "C" fn()) -> i32;
}

extern "C" fn show_counts() {
    for ((group, category), count) in &*COUNTS.lock().unwrap() {
        eprintln!("count: {group}: {category}: {count}");
    }
}
