//! What the targets share.

pub mod json;
pub mod reading;
pub mod tokens;
pub mod writing;

use std::collections::BTreeMap;
use std::sync::{Mutex, Once};

/// What is remarkable and no failure, by category: how often.
static NOTES: Mutex<BTreeMap<(&str, &str), u64>> = Mutex::new(BTreeMap::new());

/// Counts a case, and shows the first of its category. The counts are shown at the end.
pub fn note(group: &'static str, category: &'static str, case: impl FnOnce() -> String) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        atexit(show_notes);
    });
    let mut notes = NOTES.lock().unwrap();
    let count = notes.entry((group, category)).or_default();
    *count += 1;
    if *count == 1 {
        eprintln!("note: {group}: {category}, first: {}", case());
    }
}

unsafe extern "C" {
    safe fn atexit(function: extern "C" fn()) -> i32;
}

extern "C" fn show_notes() {
    for ((group, category), count) in &*NOTES.lock().unwrap() {
        eprintln!("note: {group}: {category}: {count} times");
    }
}
