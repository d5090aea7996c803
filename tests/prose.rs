//! Holds the words of the repository to its style: short sentences, short lines, plain phrases.
//! `CONTRIBUTING.md` has the rules. Run with `cargo test --test prose`.
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test that panics fails"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Words of the longest sentence.
const MAX_WORDS: usize = 25;

/// Columns of the longest line. Tables cannot be wrapped.
const MAX_COLUMNS: usize = 100;

/// Phrases that have to be read twice, in lower case.
const PHRASES: &[&str] = &[
    "one's own",
    "of one's",
    "anew",
    "amiss",
    "whoever",
    "whatever comes of it",
    "comes again",
    "come again",
    "seen before",
    "first sight",
    "fares",
    "how they fare",
    "of old",
    "made-up",
    "lies around",
    "lie around",
    "takes along",
    "take along",
    "heard of",
    "keys that go",
    "eats the",
    "nobody is",
    "it cannot be helped",
    "has the word",
];

/// The files and directories that hold to the rules. The others are to be reworded.
const ROOTS: &[&str] = &[
    "examples",
    "src/cache.rs",
    "src/claims",
    "src/clock.rs",
    "src/cookie.rs",
    "src/extract.rs",
    "src/guard",
    "src/guides",
    "src/json.rs",
    "src/keys",
    "src/lib.rs",
    "src/middleware",
    "src/openid",
    "src/per_thread.rs",
    "src/revocation",
    "src/routes",
    "src/session",
    "src/store/embedded",
    "src/store/memory.rs",
    "src/store/redis",
    "src/testing",
    "src/token",
    "src/verify",
    "tests/embedded_attacks.rs",
    "tests/embedded_crash.rs",
    "tests/embedded_faults.rs",
    "tests/redis/access.rs",
    "tests/redis/attacks.rs",
    "tests/redis/edge.rs",
    "tests/redis/eviction.rs",
    "tests/redis/faults.rs",
    "tests/redis/foreign.rs",
    "tests/redis/groups.rs",
    "tests/redis/histories.rs",
    "tests/redis/load.rs",
    "tests/redis/main.rs",
    "tests/redis/process.rs",
    "tests/redis/proxy.rs",
    "tests/redis/revocations.rs",
    "tests/redis/runtime.rs",
    "tests/redis/server.rs",
    "tests/redis/sessions.rs",
    "tests/redis/subjects.rs",
    "tests/redis/trimming.rs",
];
const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
];

/// A paragraph, and the number of its first line.
struct Paragraph {
    line: usize,
    text: String,
}

/// The Rust files at a path.
fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            files(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(path.to_owned());
    }
}

/// The text of a comment line, of a Markdown line, or nothing.
fn prose(line: &str, is_markdown: bool) -> Option<&str> {
    if is_markdown {
        return Some(line.trim());
    }
    let comment = line.trim_start().strip_prefix("//")?;
    let comment = comment.strip_prefix(['/', '!']).unwrap_or(comment);
    Some(comment.trim())
}

fn is_list_item(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.starts_with("- ")
        || text.starts_with("* ")
        || digits > 0 && text[digits..].starts_with(". ")
}

/// Whether a line of Markdown is a code block by its indentation, as pictures in text are.
fn is_indented(line: &str) -> bool {
    line.starts_with("    ") && !line.trim_start().starts_with("//")
}

/// Paragraphs outside of code blocks, tables and headings.
fn paragraphs(text: &str, is_markdown: bool) -> Vec<Paragraph> {
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    let mut is_open = false;
    let mut is_code = false;
    for (index, line) in text.lines().enumerate() {
        let Some(text) = prose(line, is_markdown) else {
            is_open = false;
            is_code = false;
            continue;
        };
        if text.starts_with("```") {
            is_code = !is_code;
            is_open = false;
        } else if is_code
            || text.is_empty()
            || text.starts_with(['|', '#', '<'])
            || is_indented(line)
        {
            is_open = false;
        } else if is_open && !is_list_item(text) {
            let paragraph = paragraphs.last_mut().unwrap();
            paragraph.text.push(' ');
            paragraph.text.push_str(text);
        } else {
            is_open = true;
            let text = text.to_owned();
            let line = index + 1;
            paragraphs.push(Paragraph { line, text });
        }
    }
    paragraphs
}

/// The text with code as one word, and links as their text.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', ']']) {
        plain.push_str(&rest[..at]);
        let is_code = rest[at..].starts_with('`');
        rest = &rest[at + 1..];
        let end = match is_code {
            true => rest.find('`').map(|end| end + 1),
            false if rest.starts_with('(') => rest.find(')').map(|end| end + 1),
            false => None,
        };
        if is_code {
            plain.push_str("code");
        }
        rest = &rest[end.unwrap_or(0)..];
    }
    plain.push_str(rest);
    plain
}

/// Sentences end with a mark, white space and a capital letter or a link. So does a clause before a
/// colon or semicolon: each is read by itself.
fn sentences(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    for (at, mark) in text.char_indices() {
        if !matches!(mark, '.' | '!' | '?' | ':' | ';') {
            continue;
        }
        let end = at + mark.len_utf8();
        let next = text[end..].trim_start_matches([')', '"', '*']);
        if next.starts_with(' ') {
            let first = next.trim_start().chars().next().unwrap_or(' ');
            if matches!(mark, ':' | ';')
                || first.is_uppercase()
                || matches!(first, '[' | '*' | 'c' | '(')
            {
                sentences.push(&text[start..end]);
                start = end;
            }
        }
    }
    sentences.push(&text[start..]);
    sentences
}

#[test]
fn words_are_plain() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = DOCUMENTS.iter().map(|name| root.join(name)).collect();
    for name in ROOTS {
        files(&root.join(name), &mut paths);
    }
    let mut faults = Vec::new();
    for path in &paths {
        let name = path.strip_prefix(root).unwrap().display();
        let is_markdown = path.extension().is_some_and(|extension| extension == "md");
        let text = fs::read_to_string(path).unwrap();
        for (index, line) in text.lines().enumerate() {
            let is_table = prose(line, is_markdown).is_some_and(|text| text.starts_with('|'));
            let columns = line.chars().count();
            // A string cannot be broken everywhere, nor can an address.
            let is_one_word = line.contains("://") || line.contains('"');
            if columns > MAX_COLUMNS && !is_table && !is_one_word {
                faults.push(format!("{name}:{}: {columns} columns", index + 1));
            }
        }
        for Paragraph { line, text } in paragraphs(&text, is_markdown) {
            let text = plain(&text);
            let lower = text.to_lowercase();
            for phrase in PHRASES {
                if lower.contains(phrase) {
                    faults.push(format!("{name}:{line}: \"{phrase}\""));
                }
            }
            for sentence in sentences(&text) {
                let words = sentence.split_whitespace().count();
                if words > MAX_WORDS {
                    faults.push(format!("{name}:{line}: {words} words: {}", sentence.trim()));
                }
            }
        }
    }
    for fault in &faults {
        println!("{fault}");
    }
    assert!(faults.is_empty(), "{} places to reword", faults.len());
}

#[test]
fn the_lint_sees_what_it_is_for() {
    let long = "word ".repeat(MAX_WORDS + 1);
    let text =
        format!("/// {long}\n/// word. Next [one](https://example.com/x).\nfn f() {{}}\n// a\n");
    let found = paragraphs(&text, false);
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].line, found[1].line), (1, 4));
    let text = plain(&found[0].text);
    let words: Vec<_> = sentences(&text)
        .iter()
        .map(|sentence| sentence.split_whitespace().count())
        .collect();
    assert_eq!(words, [MAX_WORDS + 2, 2]);
    assert_eq!(plain("a `b c` [d e](f g) h"), "a code [d e h");
}
