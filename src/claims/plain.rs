//! The same pass for payloads that are written plainly, as nearly all are: on one line, no escapes, whole numbers, little nesting.
//!
//! It takes a third of the time of the general reader. It never decides against a payload: at the first thing that is not
//! plain, or not right, it gives up, and the general reader has the word. What it does read, it reads as that one would.

use std::borrow::Cow;

use super::NumericDate;
use super::scan::{AudienceMember, Generation, RegisteredMembers};

/// Reads `payload` into `members`, unless something in it needs more care: `None`, and `members` are worth nothing.
pub(super) fn read<'a>(payload: &'a str, members: &mut RegisteredMembers<'a>) -> Option<()> {
    if !is_plain(payload.as_bytes()) {
        return None;
    }
    let mut reader = Reader {
        payload,
        rest: payload.as_bytes(),
    };
    reader.expect(b'{')?;
    if reader.comes(b'}') {
        return reader.end();
    }
    loop {
        let name = reader.string()?;
        reader.expect(b':')?;
        match name {
            "iss" => set(&mut members.issuer, Cow::Borrowed(reader.string()?))?,
            "sub" => set(&mut members.subject, Cow::Borrowed(reader.string()?))?,
            "aud" => set(&mut members.audience, reader.audience()?)?,
            "exp" => set(&mut members.expires_at, reader.date()?)?,
            "nbf" => set(&mut members.not_before, reader.date()?)?,
            "iat" => set(&mut members.issued_at, reader.date()?)?,
            "jti" => set(&mut members.token_id, Cow::Borrowed(reader.string()?))?,
            "sid" => set(&mut members.session_id, Cow::Borrowed(reader.string()?))?,
            "generation" => set(
                &mut members.generation,
                Generation(Some(reader.whole_number()?)),
            )?,
            // Rare, and refused in most cases.
            "events" | "cnf" => return None,
            _ => reader.skip(Reader::DEPTH)?,
        }
        if reader.comes(b'}') {
            return reader.end();
        }
        reader.expect(b',')?;
    }
}

fn set<T>(member: &mut Option<T>, value: T) -> Option<()> {
    if member.is_some() {
        return None;
    }
    *member = Some(value);
    Some(())
}

struct Reader<'a> {
    payload: &'a str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Deeper nesting is not plain.
    const DEPTH: u8 = 8;

    /// The next byte that is no white space (RFC 8259 §2), and what follows it. Of white space there are only spaces here.
    #[inline]
    fn next(&self) -> Option<(u8, &'a [u8])> {
        let (mut byte, mut rest) = self.rest.split_first()?;
        while *byte == b' ' {
            (byte, rest) = rest.split_first()?;
        }
        Some((*byte, rest))
    }

    #[inline]
    fn comes(&mut self, wanted: u8) -> bool {
        match self.next() {
            Some((byte, rest)) if byte == wanted => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.comes(byte).then_some(())
    }

    fn end(&self) -> Option<()> {
        self.next().is_none().then_some(())
    }

    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let start = self.payload.len().checked_sub(self.rest.len())?;
        let length = until_quote(self.rest)?;
        let text = self.payload.get(start..start.checked_add(length)?)?;
        self.rest = self.rest.get(length.checked_add(1)?..)?;
        Some(text)
    }

    fn date(&mut self) -> Option<NumericDate> {
        NumericDate::from_seconds(self.whole_number()?)
    }

    /// Digits, without a leading zero, and nothing that would make it another kind of number.
    fn whole_number(&mut self) -> Option<u64> {
        const MOST_DIGITS: u8 = 18;
        let (first @ b'0'..=b'9', mut rest) = self.next()? else {
            return None;
        };
        let mut number = u64::from(first & 0x0f);
        let mut digits = 1u8;
        while let Some((digit @ b'0'..=b'9', after)) = rest.split_first() {
            if first == b'0' || digits == MOST_DIGITS {
                return None;
            }
            // 18 digits are less than 2^60.
            number = number
                .wrapping_mul(10)
                .wrapping_add(u64::from(digit & 0x0f));
            digits = digits.wrapping_add(1);
            rest = after;
        }
        self.rest = rest;
        matches!(self.next(), Some((b',' | b'}' | b']', _))).then_some(number)
    }

    fn audience(&mut self) -> Option<AudienceMember<'a>> {
        if !self.comes(b'[') {
            return Some(AudienceMember::One(Cow::Borrowed(self.string()?)));
        }
        let mut names = Vec::new();
        loop {
            names.push(Cow::Borrowed(self.string()?));
            if self.comes(b']') {
                return Some(AudienceMember::Many(names));
            }
            self.expect(b',')?;
        }
    }

    fn skip(&mut self, depth: u8) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match self.next()? {
            (b'"', _) => self.string().map(drop),
            (b'{', rest) => self.skip_all(rest, b'}', |reader| {
                reader.string()?;
                reader.expect(b':')?;
                reader.skip(depth)
            }),
            (b'[', rest) => self.skip_all(rest, b']', |reader| reader.skip(depth)),
            (b't', rest) => self.skip_word(rest, b"rue"),
            (b'f', rest) => self.skip_word(rest, b"alse"),
            (b'n', rest) => self.skip_word(rest, b"ull"),
            _ => self.whole_number().map(drop),
        }
    }

    fn skip_all(
        &mut self,
        inside: &'a [u8],
        end: u8,
        skip: impl Fn(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.rest = inside;
        if self.comes(end) {
            return Some(());
        }
        loop {
            skip(self)?;
            if self.comes(end) {
                return Some(());
            }
            self.expect(b',')?;
        }
    }

    fn skip_word(&mut self, rest: &'a [u8], word: &[u8]) -> Option<()> {
        self.rest = rest.strip_prefix(word)?;
        Some(())
    }
}

/// Whether there is neither a backslash nor a control character. The processor looks at many bytes at once.
fn is_plain(bytes: &[u8]) -> bool {
    let odd = |odd, byte: &u8| odd | (*byte < 0x20) | (*byte == b'\\');
    !bytes.iter().fold(false, odd)
}

/// How many bytes come before a quote: eight at a time.
#[inline]
fn until_quote(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);

    let mut length = 0usize;
    let mut rest = bytes;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        // The first byte is the lowest, so that the lowest bit found is right; one above it may be set too.
        let word = u64::from_le_bytes(*chunk) ^ QUOTES;
        let found = word.wrapping_sub(ONES) & !word & HIGHS;
        if found != 0 {
            let byte = found.trailing_zeros() / 8;
            return length.checked_add(usize::try_from(byte).ok()?);
        }
        length = length.wrapping_add(8);
        rest = after;
    }
    let last = rest.iter().position(|byte| *byte == b'"')?;
    length.checked_add(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(payload: &str) -> Option<RegisteredMembers<'_>> {
        let mut members = RegisteredMembers::default();
        read(payload, &mut members).map(|()| members)
    }

    fn general(payload: &str) -> Option<RegisteredMembers<'_>> {
        serde_json::from_str(payload).ok()
    }

    #[track_caller]
    fn agree(payload: &str) -> bool {
        let Some(plain) = plain(payload) else {
            return false;
        };
        let general = general(payload).unwrap_or_else(|| panic!("invalid, but read: {payload}"));
        // `Debug` hides dates.
        let dates = |members: &RegisteredMembers<'_>| {
            [members.expires_at, members.not_before, members.issued_at]
                .map(|date| date.map(NumericDate::since_epoch))
        };
        assert_eq!(dates(&plain), dates(&general), "{payload}");
        assert_eq!(format!("{plain:?}"), format!("{general:?}"), "{payload}");
        true
    }

    #[test]
    fn plain_payloads_are_read_here() {
        for payload in [
            "{}",
            " { } ",
            r#"{"sub":"a","iss":"zoë","aud":"b","exp":1,"nbf":0,"iat":253402300799,"jti":"","sid":"s","generation":7}"#,
            r#"{ "aud" : [ "a" , "b" ] , "x" : [ ] , "y" : { } }  "#,
            r#"{"realm_access":{"roles":["a","b"]},"n":123456789012345678,"t":true,"f":false,"z":null}"#,
        ] {
            assert!(agree(payload), "{payload}");
        }
    }

    #[test]
    fn everything_else_is_left_to_the_general_reader() {
        for payload in [
            "",
            "[]",
            "{",
            "{}x",
            "{}{}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{,}"#,
            r#"{"a":01}"#,
            r#"{"a":1.5}"#,
            r#"{"a":-1}"#,
            r#"{"a":1e3}"#,
            r#"{"a":"\n"}"#,
            "{\"a\":\"\n\"}",
            r#"{"exp":"1"}"#,
            r#"{"exp":253402300800}"#,
            r#"{"exp":1,"exp":1}"#,
            r#"{"aud":[]}"#,
            r#"{"aud":1}"#,
            r#"{"sub":null}"#,
            r#"{"events":1}"#,
            r#"{"cnf":{}}"#,
            r#"{"a":tru}"#,
            r#"{"a":truex}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":[[[[[[[[[[1]]]]]]]]]]}"#,
            r#"{"a":1234567890123456789}"#,
            r#"{"a":"b" "c":1}"#,
            "{\n}",
            "{\t\"exp\":1}",
        ] {
            assert!(plain(payload).is_none(), "{payload}");
        }
    }

    /// JSON as tokens put it, and damage to it.
    fn payloads() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            r#""[a-zé\\ "{}:,]{0,20}""#,
            Just(r#""plain""#.to_owned()),
            "-?[0-9]{1,20}",
            "[0-9]{1,3}[.e][0-9]{1,2}",
            prop_oneof!["true", "false", "null", "nul"].prop_map(String::from),
        ];
        let value = leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3)
                    .prop_map(|all| format!("[{}]", all.join(","))),
                prop::collection::vec(inner, 0..3).prop_map(|all| {
                    let all: Vec<_> = all.iter().map(|value| format!(r#""k":{value}"#)).collect();
                    format!("{{{}}}", all.join(", "))
                }),
            ]
        });
        let name = prop_oneof![
            "exp",
            "iat",
            "nbf",
            "sub",
            "iss",
            "aud",
            "jti",
            "sid",
            "generation",
            "other",
            "x"
        ];
        prop::collection::vec((name, value), 0..6).prop_map(|members| {
            let members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!(r#""{name}" :{value}"#))
                .collect();
            format!("{{{}}}", members.join(", "))
        })
    }

    proptest! {
        #[test]
        fn what_is_read_here_reads_the_same_there(payload in payloads()) {
            agree(&payload);
        }

        #[test]
        fn damaged_too(payload in payloads(), at: prop::sample::Index, by in "[ {}\\[\\]\",:0-9a-z\\\\\n]") {
            let mut characters: Vec<char> = payload.chars().collect();
            let at = at.index(characters.len());
            characters[at] = by.chars().next().unwrap();
            agree(&characters.into_iter().collect::<String>());
        }

        #[test]
        fn quotes_and_odd_bytes_are_found(bytes in prop::collection::vec(prop_oneof![any::<u8>(), b'a'..=b'z'], 0..40)) {
            prop_assert_eq!(until_quote(&bytes), bytes.iter().position(|byte| *byte == b'"'));
            prop_assert_eq!(is_plain(&bytes), !bytes.iter().any(|byte| matches!(byte, 0..0x20 | b'\\')));
        }
    }
}
