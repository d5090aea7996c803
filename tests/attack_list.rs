//! Holds `tests/attacks/attacks.tsv` to the tests: each row has a test whose name begins with the
//! row's id, and each test that is named by an id has a row.
#![expect(clippy::unwrap_used, reason = "a test that panics fails")]

#[path = "support/files.rs"]
mod files;

use std::collections::BTreeSet;

use files::{read, rust_files};

/// The ids of the list, in lower case as test names have them.
fn listed() -> BTreeSet<String> {
    let rows = include_str!("attacks/attacks.tsv").lines().skip(1);
    let ids: Vec<_> = rows
        .map(|row| row.split('\t').next().unwrap().to_lowercase())
        .collect();
    let set: BTreeSet<_> = ids.iter().cloned().collect();
    assert_eq!(set.len(), ids.len(), "an id is twice in the list");
    set
}

/// The id at the start of a function's name: a letter, two digits, perhaps a letter, an underscore.
fn id_of(function: &str) -> Option<&str> {
    let (id, _) = function.split_once('_')?;
    let [group, tens, ones, rest @ ..] = id.as_bytes() else {
        return None;
    };
    let is_id = group.is_ascii_lowercase()
        && tens.is_ascii_digit()
        && ones.is_ascii_digit()
        && (rest.is_empty() || matches!(rest, [letter] if letter.is_ascii_lowercase()));
    is_id.then_some(id)
}

#[test]
fn each_row_has_a_test_and_each_test_named_by_an_id_has_a_row() {
    let mut tested = BTreeSet::new();
    for file in ["src", "tests"].into_iter().flat_map(rust_files) {
        let code = read(&file);
        let names = code.split("fn ").skip(1);
        tested.extend(names.filter_map(id_of).map(str::to_owned));
    }
    let listed = listed();
    let untested: Vec<_> = listed.difference(&tested).collect();
    let unlisted: Vec<_> = tested.difference(&listed).collect();
    assert!(untested.is_empty(), "rows without a test: {untested:?}");
    assert!(unlisted.is_empty(), "tests without a row: {unlisted:?}");
}
