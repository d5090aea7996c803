//! Holds `src/` to its structure: no long file, no circle of files that use each other, and the
//! modules in the order of `ARCHITECTURE.md`. Holds `tests/quick.sh` to the test targets.
//! Clippy holds functions to `too-many-lines-threshold`. Run with `cargo test --test structure`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics fails"
)]

#[path = "support/files.rs"]
mod files;
#[path = "support/rust_code.rs"]
mod rust_code;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use files::{read, rust_files};
use rust_code::{Token, tokens, without_tests};

/// Lines of the longest file, with comments and without its tests.
const MAX_LINES: usize = 450;

#[test]
fn files_are_short() {
    let mut long = Vec::new();
    let mut code_lines = 0;
    for file in source_files() {
        let text = read(&file);
        let all = tokens(&text);
        let of_tests = lines_of(&all).len();
        let kept = without_tests(all);
        code_lines += lines_of(&kept).len();
        let of_tests = of_tests - lines_of(&kept).len();
        // Blank lines and comments of tests are few enough to be left out of the account.
        let lines = text.lines().count() - of_tests;
        if lines > MAX_LINES {
            println!("{file}: {lines} lines");
            long.push(file);
        }
    }
    println!("{code_lines} lines of code in src/ without tests");
    assert!(long.is_empty(), "more than {MAX_LINES} lines: {long:?}");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let sources = source_files().into_iter().map(|file| {
        let text = read(&file);
        (file, text)
    });
    let circles = Crate::new(sources).circles();
    for circle in &circles {
        println!("circle: {}", circle.join(" -> "));
    }
    assert!(circles.is_empty(), "{} circles", circles.len());
}

/// The table of modules in `ARCHITECTURE.md` lists what each module of the crate uses.
#[test]
fn modules_use_what_the_architecture_says() {
    let architecture = read("ARCHITECTURE.md");
    let (_, table) = architecture
        .split_once("| module | holds | uses |")
        .unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let mut listed = BTreeMap::new();
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').collect();
        let names = |cell: &str| -> BTreeSet<_> {
            let words = cell.split('`').skip(1).step_by(2);
            words.map(str::to_owned).collect()
        };
        let uses = names(cells[3]);
        for module in names(cells[1]) {
            listed.insert(module, uses.clone());
        }
    }

    let sources = source_files().into_iter().map(|file| {
        let text = read(&file);
        (file, text)
    });
    let the_crate = Crate::new(sources);
    let mut actual = BTreeMap::<_, BTreeSet<String>>::new();
    for (file, used) in the_crate.uses() {
        let module = top_module(file);
        let others = used.into_iter().map(top_module);
        let uses = actual.entry(module.clone()).or_default();
        uses.extend(others.filter(|other| *other != module));
    }
    // It only declares the others.
    actual.remove("lib");
    assert_eq!(listed, actual);
}

/// `store` for `src/store/memory.rs`, `clock` for `src/clock.rs`, `bin/gate` for the program.
fn top_module(file: &str) -> String {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let levels = if path.starts_with("bin/") { 2 } else { 1 };
    path.split('/').take(levels).collect::<Vec<_>>().join("/")
}

/// Each target that `cargo test` runs is in one list of `tests/quick.sh`.
#[test]
fn the_quick_check_names_each_test_target() {
    let script = read("tests/quick.sh");
    let list = |name: &str| {
        let (_, list) = script.split_once(&format!("\n{name}=(")).unwrap();
        let (list, _) = list.split_once(')').unwrap();
        list.split_whitespace().map(str::to_owned)
    };
    let listed: Vec<_> = list("fast").chain(list("slow")).collect();
    let manifest = read("Cargo.toml");
    let skipped: BTreeSet<_> = manifest
        .split("\n[[test]]")
        .skip(1)
        .map(|target| target.split("\n[").next().unwrap())
        .filter(|target| target.contains("\ntest = false"))
        .map(|target| target.split('"').nth(1).unwrap())
        .collect();
    let targets: BTreeSet<_> = rust_files("tests")
        .iter()
        .map(|file| file.trim_start_matches("tests/").trim_end_matches(".rs"))
        .map(|name| name.strip_suffix("/main").unwrap_or(name))
        .filter(|name| !name.contains('/') && !skipped.contains(name))
        .map(str::to_owned)
        .collect();
    let listed_once = BTreeSet::from_iter(listed.iter().cloned());
    assert_eq!(listed_once, targets);
    assert_eq!(listed.len(), targets.len(), "a target is listed twice");
}

/// The files of `src/` that are not tests as a whole.
fn source_files() -> Vec<String> {
    let mut files = rust_files("src");
    files.retain(|file| !file.ends_with("/tests.rs") && !file.contains("/tests/"));
    files
}

/// The numbers of the lines that hold code.
fn lines_of(tokens: &[Token]) -> BTreeSet<usize> {
    let lines = tokens
        .iter()
        .map(|token| token.first_line..=token.last_line);
    lines.flatten().collect()
}

type Path = Vec<String>;

/// What one file has to say about its module.
struct Module {
    file: String,
    /// Names of the items that the file defines, with those of modules inside it.
    items: BTreeSet<String>,
    /// Names of the modules that have files.
    children: BTreeSet<String>,
    /// What `use` declarations import, by its name here.
    imports: BTreeMap<String, Path>,
    /// The paths of the code, without `use` declarations.
    paths: Vec<Path>,
    /// The words of the code, without `use` declarations.
    words: BTreeSet<String>,
}

/// The modules, by their paths from the root of the crate.
struct Crate(BTreeMap<Path, Module>);

impl Crate {
    fn new(sources: impl IntoIterator<Item = (String, String)>) -> Self {
        let modules = sources.into_iter().map(|(file, text)| {
            let path = module_path(&file);
            (path, Module::new(file, &without_tests(tokens(&text))))
        });
        Self(modules.collect())
    }

    /// A shortest circle through each file that is in one.
    fn circles(&self) -> BTreeSet<Vec<String>> {
        let uses = self.uses();
        let mut circles = BTreeSet::new();
        for start in uses.keys() {
            if let Some(mut circle) = way_back(start, &uses) {
                // The same circle from another file is the same circle.
                let first = circle.iter().min().unwrap().clone();
                let at = circle.iter().position(|file| *file == first).unwrap();
                circle.rotate_left(at);
                circle.push(first);
                circles.insert(circle);
            }
        }
        circles
    }

    /// The files that each file uses.
    fn uses(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut uses = BTreeMap::new();
        for (at, module) in &self.0 {
            // A public import that the code does not mention is only a re-export.
            let imports = module.imports.iter();
            let imports = imports
                .filter(|(name, _)| module.words.contains(*name))
                .map(|(_, path)| path);
            let used: BTreeSet<&str> = imports
                .chain(&module.paths)
                .filter_map(|path| self.definer(at, path, 0))
                .filter(|file| *file != module.file)
                .collect();
            uses.insert(&*module.file, used);
        }
        uses
    }

    /// The file that defines the item at a path, seen from a module.
    fn definer(&self, at: &[String], path: &[String], depth: usize) -> Option<&str> {
        let module = self.0.get(at)?;
        // Crates may import from each other in circles, as long as an item has one definition.
        let (first, rest) = path.split_first().filter(|_| depth < 16)?;
        let parent = &at[..at.len().saturating_sub(1)];
        match first.as_str() {
            "crate" => self.definer(&[], rest, depth + 1),
            "self" => self.definer(at, rest, depth + 1),
            "super" => self.definer(parent, rest, depth + 1),
            name if module.items.contains(name) => Some(&module.file),
            name if module.children.contains(name) => {
                let child = [at, std::slice::from_ref(first)].concat();
                self.definer(&child, rest, depth + 1)
            }
            name => {
                let target = module.imports.get(name)?;
                // `use name::…` of another crate imports from itself, seen from here.
                let path = [target, rest].concat();
                (target.first() != Some(first)).then(|| self.definer(at, &path, depth + 1))?
            }
        }
    }
}

/// `["store", "redis"]` for `src/store/redis.rs` and `src/store/redis/mod.rs`.
fn module_path(file: &str) -> Path {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let segments = path
        .split('/')
        .filter(|name| !matches!(*name, "lib" | "mod"));
    segments.map(str::to_owned).collect()
}

impl Module {
    fn new(file: String, tokens: &[Token]) -> Self {
        let mut module = Self {
            file,
            items: BTreeSet::new(),
            children: BTreeSet::new(),
            imports: BTreeMap::new(),
            paths: Vec::new(),
            words: BTreeSet::new(),
        };
        let mut at = 0;
        while at < tokens.len() {
            let is_public = at > 0 && matches!(&*tokens[at - 1].text, "pub" | ")");
            at += module.read(&tokens[at..], is_public);
        }
        module
    }

    /// Reads a declaration, a path or a token, and returns its length in tokens.
    fn read(&mut self, tokens: &[Token], is_public: bool) -> usize {
        let text = |at: usize| tokens.get(at).map_or("", |token| &*token.text);
        let is_name = |at: usize| tokens.get(at).is_some_and(Token::is_word);
        let name = text(1).to_owned();
        match text(0) {
            "use" if is_name(1) || name == "::" => {
                let end = tokens.iter().position(|token| token.text == ";").unwrap();
                self.import(&[], &tokens[1..end], is_public);
                return end + 1;
            }
            "mod" if text(2) == ";" => {
                self.children.insert(name);
                return 2;
            }
            "struct" | "enum" | "trait" | "type" | "fn" | "const" | "static" | "union" | "mod"
                if is_name(1) =>
            {
                self.items.insert(name);
                return 2;
            }
            "macro_rules" => {
                self.items.insert(text(2).to_owned());
                return 3;
            }
            _ => {}
        }
        let mut path = Path::new();
        while is_name(2 * path.len()) {
            path.push(text(2 * path.len()).to_owned());
            if text(2 * path.len() - 1) != "::" {
                break;
            }
        }
        self.words.extend(path.first().cloned());
        let length = (2 * path.len()).saturating_sub(1).max(1);
        if path.len() > 1 {
            self.paths.push(path);
        }
        length
    }

    /// Reads a tree of a `use` declaration.
    fn import(&mut self, prefix: &[String], tree: &[Token], is_public: bool) {
        let end = tree
            .iter()
            .position(|token| matches!(&*token.text, "{" | "as"))
            .unwrap_or(tree.len());
        let words = tree[..end].iter().filter(|token| token.is_word());
        let mut path = prefix.to_vec();
        path.extend(words.map(|token| token.text.clone()));
        if tree.get(end).is_some_and(|token| token.text == "{") {
            for part in split_at_commas(&tree[end + 1..tree.len() - 1]) {
                self.import(&path, part, is_public);
            }
            return;
        }
        if path.last().is_some_and(|name| name == "self") {
            path.pop();
        }
        if !is_public {
            self.paths.push(path.clone());
        }
        // After `as`, or the last name.
        if let Some(name) = tree.last().filter(|name| name.text != "self") {
            self.imports.insert(name.text.clone(), path);
        } else if let Some(name) = path.last() {
            self.imports.insert(name.clone(), path);
        }
    }
}

/// The parts between commas that are not in braces.
fn split_at_commas(tokens: &[Token]) -> impl Iterator<Item = &[Token]> {
    let mut depth = 0_usize;
    let parts = tokens.split(move |token| {
        match &*token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        depth == 0 && token.text == ","
    });
    parts.filter(|part| !part.is_empty())
}

/// The shortest way from a file over what it uses back to it, without its end.
fn way_back(start: &str, uses: &BTreeMap<&str, BTreeSet<&str>>) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut ways = VecDeque::from([vec![start.to_owned()]]);
    while let Some(way) = ways.pop_front() {
        for next in uses.get(&**way.last().unwrap()).into_iter().flatten() {
            if *next == start {
                return Some(way);
            }
            if seen.insert(*next) {
                let mut way = way.clone();
                way.push((*next).to_owned());
                ways.push_back(way);
            }
        }
    }
    None
}

#[test]
fn the_check_sees_circles_through_re_exports() {
    let sources = [
        ("src/lib.rs", "mod a; mod b; pub use a::one::One;"),
        ("src/a/mod.rs", "mod one; pub use one::{One, Two};"),
        (
            "src/a/one.rs",
            "use crate::b::{self, Other as Them}; // use super::two\n\
             pub struct One(Them); pub enum Two { A(&'static str) } const X: char = '{';",
        ),
        (
            "src/b.rs",
            "pub struct Other; #[cfg(test)] fn f() -> crate::a::One {} \
             fn g() { crate::One::new(r#\"crate::a\"#) }",
        ),
        (
            "src/c.rs",
            "use crate::a::Two; use std::fmt; fn h(a: Two) {}",
        ),
    ];
    let circles_of = |sources: &[(&str, &str)]| {
        let sources = sources.iter().copied();
        let sources = sources.map(|(file, text)| (file.to_owned(), text.to_owned()));
        Crate::new(sources).circles()
    };
    let circle = ["src/a/one.rs", "src/b.rs", "src/a/one.rs"].map(str::to_owned);
    assert_eq!(circles_of(&sources), BTreeSet::from([circle.to_vec()]));
    let mut without = sources;
    without[3].1 = "pub struct Other; #[cfg(test)] fn f() -> crate::a::One {}";
    assert_eq!(circles_of(&without), BTreeSet::new());
}

#[test]
fn lines_are_counted_without_comments_and_tests() {
    let code = "//! a\n\nfn f() {\n    /* b\n c */ \"d\n//e\";\n}\n\
                #[cfg(test)]\nmod tests {\n    fn g() {}\n}\n";
    let all = tokens(code);
    assert_eq!(lines_of(&all), BTreeSet::from([3, 5, 6, 7, 8, 9, 10, 11]));
    assert_eq!(lines_of(&without_tests(all)), BTreeSet::from([3, 5, 6, 7]));
}
