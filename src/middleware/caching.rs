//! Tells shared caches what they may store.

use std::sync::Arc;

use http::HeaderValue;
use http::header::{CACHE_CONTROL, COOKIE, HeaderMap, HeaderName, VARY};

/// Overrides `Cache-Control` for caches in front of many users (RFC 9213).
const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// What a shared cache must be told about a response.
#[derive(Clone)]
pub(super) enum CacheDirective {
    /// Nothing: the request has `Authorization`, and caches know what that means (RFC 9111 §3.5).
    None,
    /// The response is for one person.
    Private,
    /// The response is for anybody, but depends on these headers.
    VariesBy(Arc<[HeaderName]>),
    /// The response must not be stored: the next one to the same cookie may differ.
    NotStored,
}

impl CacheDirective {
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        match self {
            Self::None => {}
            Self::Private => keep_private(headers),
            Self::VariesBy(names) => vary_by(headers, names),
            Self::NotStored => prevent_storing(headers),
        }
    }
}

/// Keeps a response that depends on cookies out of all caches, whatever the handler allows.
pub(crate) fn prevent_storing(headers: &mut HeaderMap) {
    forbid_storing(headers);
    vary_by(headers, &[COOKIE]);
}

/// Keeps a response out of all caches, whatever the handler allows.
pub(super) fn forbid_storing(headers: &mut HeaderMap) {
    const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
    headers.insert(CACHE_CONTROL, NO_STORE);
    if headers.contains_key(&CDN_CACHE_CONTROL) {
        headers.insert(CDN_CACHE_CONTROL, NO_STORE);
    }
}

/// Protects a response like one to a request with `Authorization` (RFC 9111 §3.5): shared caches do
/// not store it unless the handler allows it. Unlike there, `must-revalidate` alone does not allow
/// it.
pub(super) fn keep_private(headers: &mut HeaderMap) {
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("private"));
    for name in [CACHE_CONTROL, CDN_CACHE_CONTROL] {
        let lines = headers.get_all(&name);
        if lines.iter().next().is_none() || is_decided(&lines) {
            continue;
        }
        // In front: a string that is not closed would include what follows.
        let value = one_line([&b"private"[..]], &lines);
        headers.insert(name, value);
    }
}

type Lines<'a> = http::header::GetAll<'a, HeaderValue>;

/// Joins the lines of a header: some caches read only the first line, or the last.
fn one_line<'a>(parts: impl IntoIterator<Item = &'a [u8]>, lines: &Lines<'a>) -> HeaderValue {
    let lines = lines.iter().map(HeaderValue::as_bytes);
    let parts = parts
        .into_iter()
        .chain(lines)
        .filter(|part| !part.is_empty());
    let value = parts.collect::<Vec<_>>().join(&b", "[..]);
    // Header values joined by commas are a header value.
    HeaderValue::from_bytes(&value).unwrap_or(HeaderValue::from_static("private"))
}

/// Whether the directives say who may store the response.
fn is_decided(lines: &Lines<'_>) -> bool {
    let mut decided = false;
    for line in lines.iter() {
        match members(line.as_bytes()) {
            Some(directives) => decided |= directives.into_iter().any(decides),
            // Caches differ in how they read this.
            None => return false,
        }
    }
    decided
}

/// Whether a directive decides it. `private="…"` applies to some headers only.
fn decides(directive: &[u8]) -> bool {
    let mut parts = directive.splitn(2, |byte| *byte == b'=');
    let is = |name: &[u8], wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
    match (parts.next(), parts.next()) {
        (Some(name), None) => ["private", "no-store", "public"]
            .iter()
            .any(|wanted| is(name, wanted)),
        (Some(name), Some(argument)) if is(name, "s-maxage") => {
            let quoted = argument.strip_prefix(b"\"");
            let quoted = quoted.and_then(|rest| rest.strip_suffix(b"\""));
            let seconds = quoted.unwrap_or(argument);
            !seconds.is_empty() && seconds.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

/// The members of a list (RFC 9110 §5.6.1), which commas separate outside of quoted strings. `None`
/// if a string is not closed.
fn members(line: &[u8]) -> Option<Vec<&[u8]>> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    let members = line.split(|byte| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match byte {
            b'"' if !was_escaped => is_quoted = !is_quoted,
            b'\\' if is_quoted && !was_escaped => is_escaped = true,
            b',' => return !is_quoted,
            _ => {}
        }
        false
    });
    let members = members.map(<[u8]>::trim_ascii).collect();
    (!is_quoted).then_some(members)
}

fn vary_by(headers: &mut HeaderMap, names: &[HeaderName]) {
    let lines = headers.get_all(VARY);
    let said: Vec<_> = lines
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    if said.contains(&&b"*"[..]) {
        return;
    }
    let is_said = |name: &HeaderName| {
        said.iter()
            .any(|said| said.eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !is_said(name))
        .map(|name| name.as_str().as_bytes())
        .collect();
    if !missing.is_empty() {
        let value = one_line(missing, &lines);
        headers.insert(VARY, value);
    }
}
