//! A fast reader for plain payloads: one line, no escapes, whole numbers, little nesting. Nearly
//! all payloads are plain.
//!
//! It takes a third of the time of the general reader. It never rejects a payload: where a payload
//! is not plain, or not valid, it gives up, and the general reader decides. Whatever it reads, it
//! reads as the general reader would.

use std::borrow::Cow;

use super::members::{AudienceMember, Generation, Member, RegisteredMembers};
use super::numeric_date::NumericDate;

/// Reads `payload` into `members`. `None` if the payload is not plain; then `members` are
/// undefined.
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
        match reader.name()? {
            Member::Issuer => set(&mut members.issuer, Cow::Borrowed(reader.string()?))?,
            Member::Subject => set(&mut members.subject, Cow::Borrowed(reader.string()?))?,
            Member::Audience => set(&mut members.audience, reader.audience()?)?,
            Member::ExpiresAt => set(&mut members.expires_at, reader.date()?)?,
            Member::NotBefore => set(&mut members.not_before, reader.date()?)?,
            Member::IssuedAt => set(&mut members.issued_at, reader.date()?)?,
            Member::TokenIdentity => set(&mut members.token_id, Cow::Borrowed(reader.string()?))?,
            Member::SessionId => set(&mut members.session_id, Cow::Borrowed(reader.string()?))?,
            Member::Generation => set(
                &mut members.generation,
                Generation(Some(reader.whole_number()?)),
            )?,
            // Rare, and mostly rejected.
            Member::Events | Member::Confirmation => return None,
            Member::Other => reader.skip(Reader::DEPTH)?,
        }
        if reader.comes(b'}') {
            return reader.end();
        }
        reader.expect(b',')?;
    }
}

#[inline]
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
    /// Payloads that nest deeper are not plain.
    const DEPTH: u8 = 8;

    /// The next byte that is not white space (RFC 8259 §2). A plain payload has only spaces.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        if let Some(b' ') = self.rest.first() {
            self.skip_spaces();
        }
        self.rest.first().copied()
    }

    #[cold]
    fn skip_spaces(&mut self) {
        while let Some((b' ', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }

    #[inline]
    fn comes(&mut self, wanted: u8) -> bool {
        if self.next() != Some(wanted) {
            return false;
        }
        self.rest = self.rest.get(1..).unwrap_or_default();
        true
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.comes(byte).then_some(())
    }

    fn end(&mut self) -> Option<()> {
        self.next().is_none().then_some(())
    }

    /// A member's name and the colon. Names of three letters are read without a search for their
    /// end.
    #[inline]
    fn name(&mut self) -> Option<Member> {
        self.expect(b'"')?;
        let short = self.rest.split_first_chunk().and_then(|(start, rest)| {
            let name = match start {
                b"iss\":" => Member::Issuer,
                b"sub\":" => Member::Subject,
                b"aud\":" => Member::Audience,
                b"exp\":" => Member::ExpiresAt,
                b"nbf\":" => Member::NotBefore,
                b"iat\":" => Member::IssuedAt,
                b"jti\":" => Member::TokenIdentity,
                b"sid\":" => Member::SessionId,
                _ => return None,
            };
            Some((name, rest))
        });
        if let Some((name, rest)) = short {
            self.rest = rest;
            return Some(name);
        }
        let name = self.until_quote()?;
        self.expect(b':')?;
        Some(Member::named(name))
    }

    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        self.until_quote()
    }

    #[inline]
    fn until_quote(&mut self) -> Option<&'a str> {
        let start = self.payload.len().checked_sub(self.rest.len())?;
        let length = until_quote(self.rest)?;
        let text = self.payload.get(start..start.checked_add(length)?)?;
        self.rest = self.rest.get(length.checked_add(1)?..)?;
        Some(text)
    }

    #[inline]
    fn date(&mut self) -> Option<NumericDate> {
        NumericDate::from_seconds(self.whole_number()?)
    }

    /// Digits without a leading zero, sign, fraction or exponent.
    #[inline]
    fn whole_number(&mut self) -> Option<u64> {
        const MOST_DIGITS: u8 = 18;
        let first @ b'0'..=b'9' = self.next()? else {
            return None;
        };
        let (mut number, mut digits, mut rest) = (0u64, 0u8, self.rest);
        if let Some((chunk, after)) = rest.split_first_chunk()
            && let Some(eight) = eight_digits(*chunk)
        {
            (number, digits, rest) = (eight, 8, after);
        }
        while let Some((digit @ b'0'..=b'9', after)) = rest.split_first() {
            if digits == MOST_DIGITS {
                return None;
            }
            // 18 digits are less than 2^60.
            number = number
                .wrapping_mul(10)
                .wrapping_add(u64::from(digit & 0x0f));
            digits = digits.wrapping_add(1);
            rest = after;
        }
        if first == b'0' && digits > 1 {
            return None;
        }
        self.rest = rest;
        matches!(self.next(), Some(b',' | b'}' | b']')).then_some(number)
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
            b'"' => self.string().map(drop),
            b'{' => self.skip_all(b'}', |reader| {
                reader.string()?;
                reader.expect(b':')?;
                reader.skip(depth)
            }),
            b'[' => self.skip_all(b']', |reader| reader.skip(depth)),
            b't' => self.skip_word(b"true"),
            b'f' => self.skip_word(b"false"),
            b'n' => self.skip_word(b"null"),
            _ => self.whole_number().map(drop),
        }
    }

    /// The bytes between the next bracket and its `end`.
    fn skip_all(&mut self, end: u8, skip: impl Fn(&mut Self) -> Option<()>) -> Option<()> {
        self.rest = self.rest.get(1..)?;
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

    fn skip_word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }
}

/// Whether there is neither a backslash nor a control character. The compiler checks many bytes at
/// once.
fn is_plain(bytes: &[u8]) -> bool {
    let odd = |odd, byte: &u8| odd | (*byte < 0x20) | (*byte == b'\\');
    !bytes.iter().fold(false, odd)
}

/// The number of bytes before a quote. Checks eight at a time.
#[inline]
fn until_quote(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);

    let mut length = 0usize;
    let mut rest = bytes;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        // The first byte is the lowest, so that the lowest bit found is right; one above it may be
        // set too.
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

/// Eight digits at once, as dates have them: digits are joined to pairs, pairs to fours, and fours
/// to the number.
#[inline]
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    /// Added to a byte over 9, this sets its high bit.
    const OVER_NINE: u64 = u64::from_ne_bytes([0x76; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

    let digits = u64::from_le_bytes(text) ^ u64::from_ne_bytes([b'0'; 8]);
    if (digits | digits.wrapping_add(OVER_NINE)) & HIGHS != 0 {
        return None;
    }
    // The first digit is the lowest byte. Nothing carries: a byte holds up to 99, two bytes up to
    // 9999.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    let eight = fours.wrapping_mul(10_000).wrapping_add(fours >> 32);
    Some(eight & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::Allowances;
    use proptest::prelude::*;

    fn plain(payload: &str) -> Option<RegisteredMembers<'_>> {
        let mut members = RegisteredMembers::default();
        read(payload, &mut members).map(|()| members)
    }

    fn general(payload: &str) -> Option<RegisteredMembers<'_>> {
        RegisteredMembers::read(payload, Allowances::default()).ok()
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
            r#"{"exp" : 12345678 , "expo":123456789,"ex":0, "nbf":7}"#,
            r#"{"":"","exp'":1,"éxp":1}"#,
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
            r#"{"a":01234567}"#,
            r#"{"a":012345678}"#,
            r#"{"a":12345678e}"#,
            r#"{"exp:1}"#,
            r#"{"exp" 1}"#,
            r#"{"exp""#,
            r#"{"exp":"#,
            r#"{"exp":1,"exp" :1}"#,
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

    /// JSON as tokens have it, and damaged JSON.
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
        fn eight_digits_are_a_number(
            text in prop_oneof!["[0-9]{8}", "[ -~]{8}", "[0-9]{3}.{2}[0-9]{3}", "[/-:]{8}"],
        ) {
            let Ok(bytes) = <[u8; 8]>::try_from(text.as_bytes()) else {
                return Ok(());
            };
            // `parse` accepts a sign.
            let are_digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = are_digits.then(|| text.parse().unwrap());
            prop_assert_eq!(eight_digits(bytes), number);
        }

        #[test]
        fn quotes_and_odd_bytes_are_found(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), b'a'..=b'z'], 0..40),
        ) {
            prop_assert_eq!(until_quote(&bytes), bytes.iter().position(|byte| *byte == b'"'));
            let is_odd = |byte: &u8| matches!(byte, 0..0x20 | b'\\');
            prop_assert_eq!(is_plain(&bytes), !bytes.iter().any(is_odd));
        }
    }
}
