//! Writes headers, payloads and key sets from choices of the fuzzer.

use std::sync::LazyLock;

use arbitrary::{Result as Choice, Unstructured};
use serde_json::{Map, Value};

/// JSON of a plausible token with rare faults. Many tokens have at most one, and a good part none.
struct Writer<'a, 'b> {
    choices: &'a mut Unstructured<'b>,
    out: String,
}

impl Writer<'_, '_> {
    /// Not for the bytes 0 and 255, which a fuzzer likes; nor once the choices are used up.
    fn one_in(&mut self, many: u8) -> bool {
        let choice = self.choices.arbitrary().unwrap_or(0u8);
        choice < u8::MAX && choice % many == many - 1
    }

    fn pick(&mut self, from: &[&'static str]) -> Choice<&'static str> {
        self.choices.choose(from).copied()
    }

    fn space(&mut self) {
        if self.one_in(16) {
            let space = match self.one_in(32) {
                false => self.pick(&[" ", "\n", "\t", "\r", "  \n "]),
                true => self.pick(&["\u{b}", "\u{a0}", ",", "\0"]),
            };
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
        let whole = match self.choices.int_in_range(0..=15u8)? {
            15 => self.pick(&[
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
            8..=11 => {
                let near = self.choices.int_in_range(-310..=310i64)?;
                self.out.push_str(&(1_800_050_000 + near).to_string());
                ""
            }
            12..=14 => self.pick(&[
                "1800049970",
                "1800050030",
                "1800050000",
                "1800050300",
                "1800049700",
            ])?,
            _ => "1800053600",
        };
        self.out.push_str(whole);
        if self.one_in(6) {
            let tail = self.pick(&[
                ".0",
                ".5",
                ".25",
                ".999999999",
                "e0",
                "E-0",
                ".0e1",
                ".1e-1",
                ".",
                "e",
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

    /// An object with most of `usual`, and some of `more`. Seldom one twice.
    fn object(&mut self, depth: u8, usual: &[&'static str], more: &[&'static str]) -> Choice<()> {
        let mut names: Vec<&str> = Vec::new();
        for name in usual {
            if !self.one_in(24) {
                names.push(name);
            }
        }
        for _ in 0..self.choices.int_in_range(0..=4u8)? {
            let place = self.choices.int_in_range(0..=names.len())?;
            let name = self.pick(more)?;
            if !names.contains(&name) || self.one_in(12) {
                names.insert(place, name);
            }
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
        if self.one_in(32) {
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
            "typ" if !self.one_in(8) => self.pick(&[
                "at+jwt",
                "JWT",
                "AT+JWT",
                "application/at+jwt",
                "Application/JWT",
            ])?,
            "typ" => self.pick(&[
                "logout+jwt",
                "application/",
                "application/application/jwt",
                "JWT ",
                "",
            ])?,
            "cty" if self.one_in(4) => self.pick(&["JWT", "application/jwt", "aPPlication/JWT"])?,
            "cty" => "json",
            "iss" if self.one_in(8) => self.pick(&["https://id.example.com/", "", "B"])?,
            "iss" => self.pick(&["https://id.example.com", "https://id.example.com", "b"])?,
            "aud" if self.one_in(3) => {
                let many = match self.one_in(4) {
                    false => self.pick(&[r#"["api"]"#, r#"["x","b"]"#, r#"["\u0061pi","api"]"#])?,
                    true => self.pick(&["[]", r#"["api",1]"#, r#"["API",null]"#, "[[]]"])?,
                };
                self.out.push_str(many);
                return Ok(());
            }
            "aud" if self.one_in(8) => self.pick(&["API", "", "api "])?,
            "aud" => self.pick(&["api", "api", "b"])?,
            "sub" | "jti" | "sid" | "kid" => self.pick(&["a", "", "zoë", "\u{1f600}", "\"\\\n"])?,
            _ => return self.value(depth),
        };
        self.text(text);
        Ok(())
    }
}

/// The last four are refused, whatever they hold.
const HEADER: [&str; 24] = [
    "kid", "kid", "kid", "kid", "kid", "kid", "cty", "cty", "jwk", "jku", "x5c", "x5u", "x", "x",
    "enc", "enc", "url", "url", "typ", "alg", "crit", "b64", "zip", "crit",
];
const CLAIMS: [&str; 24] = [
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
    "sub",
    "nbf",
    "iat",
    "iat",
    "jti",
    "sid",
    "generation",
    "generation",
    "name",
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
    let damaged = writer.one_in(24);
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

/// Good keys of every kind, public and private.
static KEYS: LazyLock<Vec<Map<String, Value>>> = LazyLock::new(|| {
    let documents = [
        include_str!("../seeds/jwks/set_tokens"),
        include_str!("../seeds/jwks/set"),
        include_str!("../seeds/jwks/set_curves"),
        include_str!("../seeds/jwks/set_private"),
    ];
    let keys = documents.iter().flat_map(|document| {
        let mut document: Value = serde_json::from_str(document).unwrap();
        document["keys"].as_array_mut().unwrap().split_off(0)
    });
    keys.map(|key| key.as_object().unwrap().clone()).collect()
});

impl Writer<'_, '_> {
    /// One of [`KEYS`], with a change or two, or none.
    fn key(&mut self) -> Choice<()> {
        let key = self.choices.choose(&KEYS)?;
        let mut members: Vec<(&str, Value)> = key
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        for _ in 0..self.choices.int_in_range(0..=2u8)? {
            let (name, values): (_, &[&str]) = match self.choices.int_in_range(0..=8u8)? {
                0 => ("kid", &["e", "d", "h", "", "zoë"]),
                1 => (
                    "alg",
                    &[
                        "HS256", "HS384", "RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519",
                        "RSA-OAEP", "es256",
                    ],
                ),
                2 => ("use", &["sig", "sig", "enc", "SIG", ""]),
                3 => {
                    let all = ["verify", "verify", "sign", "encrypt"];
                    let some = self.choices.int_in_range(0..=3)?;
                    members.push(("key_ops", all[some..].into()));
                    continue;
                }
                4 => (
                    "crv",
                    &["P-256", "P-384", "secp256k1", "Ed25519", "X25519", "p-256"],
                ),
                5 => ("kty", &["EC", "OKP", "RSA", "oct", "ec"]),
                6 => ("d", &["jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI", ""]),
                other => {
                    let index = self.choices.choose_index(members.len())?;
                    let (_, value) = &mut members[index];
                    match (other, &*value) {
                        (7, Value::String(text)) if text.is_ascii() && !text.is_empty() => {
                            let (place, by) = (self.choices.choose_index(text.len())?, "A");
                            let mut text = text.clone();
                            match self.choices.int_in_range(0..=3u8)? {
                                0 => text.replace_range(place..=place, by),
                                1 => text.insert_str(place, by),
                                2 => drop(text.remove(place)),
                                _ => text.truncate(place),
                            }
                            *value = text.into();
                        }
                        (7, _) => *value = Value::Null,
                        _ => drop(members.remove(index)),
                    }
                    if members.is_empty() {
                        break;
                    }
                    continue;
                }
            };
            if !self.one_in(16) {
                members.retain(|(member, _)| *member != name);
            }
            members.push((name, self.pick(values)?.into()));
        }
        self.out.push('{');
        for (index, (name, value)) in members.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.space();
            self.text(name);
            self.out.push(':');
            match value {
                _ if self.one_in(64) => self.value(1)?,
                Value::String(text) => self.text(text),
                other => self.out.push_str(&other.to_string()),
            }
        }
        if self.one_in(8) {
            self.out.push_str(r#","x5c":[{"kty":null}]"#);
        }
        self.out.push('}');
        Ok(())
    }

    fn keys(&mut self) -> Choice<()> {
        self.text("keys");
        self.out.push_str(":[");
        for index in 0..self.choices.int_in_range(0..=4u8)? {
            if index > 0 {
                self.out.push(',');
            }
            match self.one_in(32) {
                true => self.value(2)?,
                false => self.key()?,
            }
        }
        self.out.push(']');
        Ok(())
    }
}

pub fn key_set(choices: &mut Unstructured<'_>) -> Choice<String> {
    let mut writer = Writer {
        choices,
        out: String::new(),
    };
    writer.space();
    writer.out.push('{');
    if writer.one_in(6) {
        writer.text("a");
        writer.out.push(':');
        writer.value(2)?;
        writer.out.push(',');
    }
    writer.keys()?;
    if writer.one_in(24) {
        writer.out.push(',');
        writer.keys()?;
    }
    writer.out.push('}');
    writer.space();
    Ok(writer.out)
}
