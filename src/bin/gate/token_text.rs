//! Reads one token from text that was pasted.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read};

use super::keys::open;
use super::options::Failure;

/// The token of the file or of standard input, without white space and `Bearer` around it.
pub(crate) fn read_token(file: Option<&OsString>) -> Result<String, Failure> {
    /// The longest token that a verifier can accept, and a line end.
    const LONGEST: u64 = 64 * 1024 + 64;

    let source: Box<dyn Read> = match file {
        Some(file) if *file != "-" => Box::new(open(file)?),
        _ => {
            if io::stdin().is_terminal() {
                eprintln!("gate: reading the token from standard input");
            }
            Box::new(io::stdin())
        }
    };
    let mut text = Vec::new();
    source.take(LONGEST).read_to_end(&mut text)?;
    // A token is ASCII. Anything else is not a token, and is reported so.
    Ok(token_in(&String::from_utf8_lossy(&text))?.to_owned())
}

/// The error says what else was pasted, without a part of it.
fn token_in(text: &str) -> Result<&str, &'static str> {
    const NO_TOKEN: &str = "no token was read";

    let text = text.trim();
    if starts_with(text, "authorization:") {
        return Err("leave out `Authorization:` before the token");
    }
    if text.starts_with(['"', '\'']) || text.ends_with(['"', '\'']) {
        return Err("leave out the quotes around the token");
    }
    let token = match text {
        scheme if scheme.eq_ignore_ascii_case("bearer") => "",
        text if starts_with(text, "bearer ") => text.get(7..).unwrap_or_default().trim_start(),
        text => text,
    };
    let mut parts = token.split_whitespace();
    let is_whole = |part: &&str| part.bytes().filter(|byte| *byte == b'.').count() >= 2;
    if token.is_empty() {
        Err(NO_TOKEN)
    } else if parts.clone().filter(is_whole).count() > 1 {
        Err("more than one token was read: give one")
    } else if parts.by_ref().count() == 1 {
        Ok(token)
    } else if token.contains(['\n', '\r']) {
        Err("the token contains line breaks: put it on one line")
    } else {
        Err("the token contains spaces")
    }
}

fn starts_with(text: &str, prefix: &str) -> bool {
    let start = text.get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pasted_around_a_token_is_named() {
        for (text, told) in [
            ("", Err("no token")),
            (" \n", Err("no token")),
            ("Bearer", Err("no token")),
            ("a.b.c", Ok("a.b.c")),
            (" bearer  a.b.c\r\n", Ok("a.b.c")),
            ("secret", Ok("secret")),
            ("AUTHORIZATION: Bearer a.b.c", Err("`Authorization:`")),
            ("\"a.b.c\"", Err("quotes")),
            ("a.b.c'", Err("quotes")),
            ("a.b.c\nd.e.f", Err("more than one token")),
            ("Bearer a.b.c Bearer d.e.f", Err("more than one token")),
            ("a.b\nb.c", Err("line breaks")),
            ("aa\naa.b.c", Err("line breaks")),
            ("a.b c.d", Err("spaces")),
        ] {
            match (token_in(text), told) {
                (Ok(token), Ok(expected)) => assert_eq!(token, expected),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
                (found, _) => panic!("{text:?}: {found:?}"),
            }
        }
    }
}
