//! Files of the repository, for the tests that read its sources.

use std::fs;
use std::path::{Path, PathBuf};

/// A path of the repository.
pub(crate) fn in_repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The Rust files at a path of the repository, by their paths from its root, in order.
/// A path may be a directory or a file.
pub(crate) fn rust_files(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(name, &mut found);
    found.sort();
    found
}

fn collect(name: &str, found: &mut Vec<String>) {
    let path = in_repository(name);
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap().file_name();
            // Another package may build below the directory.
            if entry != "target" {
                collect(&format!("{name}/{}", entry.to_str().unwrap()), found);
            }
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(name.to_owned());
    }
}

pub(crate) fn read(name: &str) -> String {
    fs::read_to_string(in_repository(name)).unwrap()
}
