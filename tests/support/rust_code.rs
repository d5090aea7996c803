//! A lexer of Rust, exact enough to count lines of code and to follow paths.

use std::iter::Peekable;

/// A word, a literal, `::` or one punctuation mark.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) first_line: usize,
    pub(crate) last_line: usize,
}

impl Token {
    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(is_of_word)
    }
}

/// The tokens of a file, without comments.
pub(crate) fn tokens(code: &str) -> Vec<Token> {
    let chars: Vec<char> = code.chars().collect();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let end = token_end(&chars, at);
        let lines = chars[at..end].iter().filter(|c| **c == '\n').count();
        let text: String = chars[at..end].iter().collect();
        let is_comment = text.starts_with("//") || text.starts_with("/*");
        if !is_comment && !text.starts_with(char::is_whitespace) {
            tokens.push(Token {
                text,
                first_line: line,
                last_line: line + lines,
            });
        }
        line += lines;
        at = end;
    }
    tokens
}

/// The tokens without the items, variants and arms that are only compiled for tests.
pub(crate) fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept: Vec<Token> = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        kept.push(token);
        if let Some(attribute) = test_attribute(&kept) {
            kept.truncate(attribute);
            skip_item(&mut tokens);
        }
    }
    kept
}

/// Where the attribute starts with which the tokens end, if it means "only for tests".
fn test_attribute(tokens: &[Token]) -> Option<usize> {
    tokens.last().filter(|token| token.text == "]")?;
    let start = tokens.iter().rposition(|token| token.text == "#")?;
    let attribute: String = tokens[start..].iter().map(|token| &*token.text).collect();
    let is_complete = attribute.matches('[').count() == attribute.matches(']').count();
    let is_test = attribute == "#[cfg(test)]" || attribute.starts_with("#[cfg(all(test,");
    (is_complete && is_test).then_some(start)
}

fn skip_item(tokens: &mut Peekable<impl Iterator<Item = Token>>) {
    const KEYWORDS: [&str; 9] = [
        "const", "enum", "fn", "impl", "mod", "static", "struct", "type", "use",
    ];
    let mut depth = 0_usize;
    let mut is_item = false;
    while let Some(token) = tokens.next_if(|token| depth > 0 || token.text != "}") {
        let text = &*token.text;
        is_item |= KEYWORDS.contains(&text);
        match text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 && (matches!(text, ";" | "}") || text == "," && !is_item) {
            break;
        }
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where the token, comment or white space ends that starts at `at`.
fn token_end(chars: &[char], at: usize) -> usize {
    let rest = &chars[at..];
    let length = match rest {
        ['/', '/', ..] => rest.iter().take_while(|c| **c != '\n').count(),
        ['/', '*', ..] => block_comment(rest),
        ['b', '\'', ..] => 1 + quoted(&rest[1..], '\''),
        ['b' | 'c', '"', ..] => 1 + quoted(&rest[1..], '"'),
        ['"', ..] => quoted(rest, '"'),
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => quoted(rest, '\''),
        [':', ':', ..] => 2,
        [first, ..] if first.is_whitespace() => {
            rest.iter().take_while(|c| c.is_whitespace()).count()
        }
        [first, ..] if is_of_word(*first) => {
            raw_string(rest).unwrap_or_else(|| rest.iter().take_while(|c| is_of_word(**c)).count())
        }
        _ => 1,
    };
    at + length
}

/// The length of a comment that may hold others.
fn block_comment(chars: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < chars.len() {
        match chars[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a string or character with its quotes.
fn quoted(chars: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// The length of a raw string, if one starts here.
fn raw_string(chars: &[char]) -> Option<usize> {
    let prefix = chars.iter().take(3).take_while(|c| is_of_word(**c)).count();
    let name: String = chars[..prefix].iter().collect();
    let marks = chars[prefix..].iter().take_while(|c| **c == '#').count();
    let open = prefix + marks;
    if !matches!(&*name, "r" | "br" | "cr") || chars.get(open) != Some(&'"') {
        return None;
    }
    let is_end = |window: &[char]| window[0] == '"' && window[1..].iter().all(|c| *c == '#');
    let length = chars[open + 1..]
        .windows(marks + 1)
        .position(is_end)
        .unwrap();
    Some(open + 1 + length + marks + 1)
}
