//! Headers and payloads from a fuzzer's choices.

use arbitrary::{Result as Choice, Unstructured};

/// JSON of somebody who knows what a token holds, and errs now and then.
struct Writer<'a, 'b> {
    choices: &'a mut Unstructured<'b>,
    out: String,
}

impl Writer<'_, '_> {
    fn one_in(&mut self, many: u8) -> bool {
        self.choices.int_in_range(1..=many).unwrap_or(many) == 1 && !self.choices.is_empty()
    }

    fn pick(&mut self, from: &[&'static str]) -> Choice<&'static str> {
        self.choices.choose(from).copied()
    }

    fn space(&mut self) {
        if self.one_in(16) {
            let space = self.pick(&[" ", "\n", "\t", "\r", "  \n ", "\u{b}", "\u{a0}"]);
            self.out.push_str(space.unwrap_or_default());
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        let escaped = self.one_in(8);
        for (index, character) in text.chars().enumerate() {
            match character {
                '"' | '\\' | '\0'..' ' => {
                    self.out.push_str(&format!("\\u{:04X}", character as u32))
                }
                _ if escaped && index == 0 && character.is_ascii() => {
                    self.out.push_str(&format!("\\u{:04x}", character as u32));
                }
                _ => self.out.push(character),
            }
        }
        self.out.push('"');
    }

    fn date(&mut self) -> Choice<()> {
        let whole = match self.choices.int_in_range(0..=9u8)? {
            0 => self.pick(&[
                "0",
                "1",
                "-0",
                "-1",
                "00",
                "253402300799",
                "253402300800",
                "18446744073709551615",
                "18446744073709551616",
                "9223372036854775808",
                "1e3",
                "1e999",
                "0e999",
                "1E10",
                "-1e-999",
            ])?,
            1..=4 => {
                let near = self.choices.int_in_range(-310..=310i64)?;
                self.out.push_str(&(1_800_050_000 + near).to_string());
                ""
            }
            5 => self.pick(&[
                "1800049970",
                "1800050030",
                "1800050000",
                "1800050300",
                "1800049700",
            ])?,
            _ => "1800053600",
        };
        self.out.push_str(whole);
        if self.one_in(4) {
            let tail = self.pick(&[
                ".0",
                ".5",
                ".25",
                ".999999999",
                "e0",
                "E-0",
                ".0e1",
                ".",
                "e",
                ".1e-1",
            ])?;
            self.out.push_str(tail);
        }
        Ok(())
    }

    fn value(&mut self, depth: u8) -> Choice<()> {
        match self
            .choices
            .int_in_range(0..=if depth == 0 { 8 } else { 11u8 })?
        {
            0 => self.out.push_str("null"),
            1 => self.out.push_str("true"),
            2 => self.out.push_str("false"),
            3 => self
                .out
                .push_str(&self.choices.arbitrary::<i64>()?.to_string()),
            4 => self.date()?,
            5 => {
                let odd = self.pick(&[
                    r#""\ud800""#,
                    r#""\ud83d\ude00""#,
                    r#""\udc00\ud800""#,
                    "1e400",
                    "-1.5E-7",
                    r#""\/\b\f""#,
                    "[]",
                    "{}",
                    "\"\u{7f}\u{2028}é😀\"",
                    "nul",
                    "NaN",
                    "\"\t\"",
                ])?;
                self.out.push_str(odd);
            }
            6 => {
                let text: String = self.choices.arbitrary()?;
                self.text(&text);
            }
            7 | 8 => {
                let text = self.pick(&[
                    "api",
                    "b",
                    "https://id.example.com",
                    "a",
                    "JWT",
                    "at+jwt",
                    "",
                    "application/at+JWT",
                ])?;
                self.text(text);
            }
            9 => {
                self.out.push('[');
                for index in 0..self.choices.int_in_range(0..=3u8)? {
                    if index > 0 {
                        self.out.push(',');
                    }
                    self.value(depth - 1)?;
                }
                self.out.push(']');
            }
            10 => self.object(depth - 1, &[], &["a", "b", "exp", "jkt", "alg"])?,
            _ => {
                let levels = usize::from(self.choices.arbitrary::<u8>()?);
                self.out.push_str(&"[".repeat(levels));
                self.out.push_str(&"]".repeat(levels));
            }
        }
        Ok(())
    }

    /// An object with most of `usual`, and some of `more`.
    fn object(&mut self, depth: u8, usual: &[&'static str], more: &[&'static str]) -> Choice<()> {
        let mut names: Vec<&str> = Vec::new();
        for name in usual {
            if !self.one_in(24) {
                names.push(name);
            }
        }
        for _ in 0..self.choices.int_in_range(0..=4u8)? {
            let place = self.choices.int_in_range(0..=names.len())?;
            names.insert(place, self.pick(more)?);
        }
        self.space();
        self.out.push('{');
        for (index, name) in names.into_iter().enumerate() {
            if index > 0 {
                self.out.push(',');
                self.space();
            }
            self.text(name);
            self.space();
            self.out.push(':');
            self.space();
            self.member(name, depth)?;
            self.space();
        }
        self.out.push('}');
        self.space();
        Ok(())
    }

    fn member(&mut self, name: &str, depth: u8) -> Choice<()> {
        if self.one_in(12) {
            return self.value(depth);
        }
        let text = match name {
            "exp" | "nbf" | "iat" => return self.date(),
            "generation" => {
                let number = self.pick(&[
                    "0",
                    "7",
                    "18446744073709551615",
                    "18446744073709551616",
                    "123456789012345678",
                    "-1",
                    "-0",
                    "1.0",
                    "1e0",
                    "1e999",
                    "null",
                    r#"{"\ud800":1}"#,
                    r#"["\ud800",1e999]"#,
                ])?;
                self.out.push_str(number);
                return Ok(());
            }
            "cnf" => return self.object(0, &["jkt"], &["jkt", "x5t#S256"]),
            "alg" if self.one_in(5) => self.pick(&[
                "none", "hs256", "HS256 ", "HS384", "HS384", "ES256", "EdDSA", "Ed25519", "RS256",
            ])?,
            "alg" => "HS256",
            "typ" => self.pick(&[
                "JWT",
                "at+jwt",
                "jwt",
                "AT+JWT",
                "application/at+jwt",
                "Application/JWT",
                "logout+jwt",
                "application/",
                "application/application/jwt",
                "JWT ",
                "",
            ])?,
            "cty" => self.pick(&["JWT", "json", "application/jwt", "aPPlication/JWT"])?,
            "iss" => self.pick(&[
                "https://id.example.com",
                "https://id.example.com",
                "b",
                "https://id.example.com/",
                "",
            ])?,
            "aud" if self.one_in(3) => {
                let many = self.pick(&[
                    r#"["api"]"#,
                    r#"["x","b"]"#,
                    "[]",
                    r#"["api",1]"#,
                    r#"["\u0061pi"]"#,
                ])?;
                self.out.push_str(many);
                return Ok(());
            }
            "aud" => self.pick(&["api", "api", "b", "API", ""])?,
            "sub" | "jti" | "sid" | "kid" => self.pick(&["a", "", "zoë", "\u{1f600}", "\"\\\n"])?,
            _ => return self.value(depth),
        };
        self.text(text);
        Ok(())
    }
}

const HEADER: [&str; 13] = [
    "typ", "kid", "cty", "crit", "b64", "zip", "jwk", "jku", "x5c", "alg", "x", "enc", "url",
];
const CLAIMS: [&str; 15] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "sid",
    "generation",
    "events",
    "cnf",
    "scope",
    "name",
    "Exp",
    "z",
];

fn json(
    choices: &mut Unstructured<'_>,
    usual: &[&'static str],
    more: &[&'static str],
) -> Choice<Vec<u8>> {
    let mut writer = Writer {
        choices,
        out: String::new(),
    };
    writer.object(3, usual, more)?;
    let damaged = writer.one_in(12);
    let mut bytes = writer.out.into_bytes();
    if damaged {
        let place = choices.choose_index(bytes.len())?;
        bytes[place] = choices.arbitrary()?;
    }
    Ok(bytes)
}

pub fn header_and_payload(choices: &mut Unstructured<'_>) -> Choice<(Vec<u8>, Vec<u8>)> {
    let header = json(choices, &["alg", "typ"], &HEADER)?;
    let skipped = choices.int_in_range(0..=2)?;
    let payload = json(choices, &["iss", "aud", "exp"][skipped..], &CLAIMS)?;
    Ok((header, payload))
}
