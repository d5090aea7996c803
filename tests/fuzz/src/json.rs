//! A plain parser of JSON (RFC 8259): every member, in order, without limits on depth or numbers.

pub enum Json {
    Null,
    Bool,
    /// As it is written.
    Number(String),
    /// `None` if it holds half of a surrogate pair, and so is no text.
    Text(Option<String>),
    Array(Vec<Json>),
    Object(Vec<(Option<String>, Json)>),
}

impl Json {
    pub fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader(text.as_bytes());
        let value = reader.value()?;
        reader.space();
        reader.0.is_empty().then_some(value)
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => text.as_deref(),
            _ => None,
        }
    }

    /// Containers within containers, this one included.
    pub fn depth(&self) -> usize {
        let inner = match self {
            Self::Array(all) => all.iter().map(Self::depth).max(),
            Self::Object(all) => all.iter().map(|(_, value)| value.depth()).max(),
            _ => return 0,
        };
        1 + inner.unwrap_or(0)
    }

    /// Whether `check` holds for this or for anything inside.
    pub fn any(&self, check: &impl Fn(&Self) -> bool) -> bool {
        check(self)
            || match self {
                Self::Array(all) => all.iter().any(|value| value.any(check)),
                Self::Object(all) => all.iter().any(|(_, value)| value.any(check)),
                _ => false,
            }
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn takes(&mut self, word: &[u8]) -> bool {
        match self.0.strip_prefix(word) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Option<Json> {
        self.space();
        match self.0.first()? {
            b'{' => {
                let mut members = Vec::new();
                self.list(b'}', |reader| {
                    reader.space();
                    let name = reader.string()?;
                    reader.space();
                    reader.takes(b":").then_some(())?;
                    members.push((name, reader.value()?));
                    Some(())
                })?;
                Some(Json::Object(members))
            }
            b'[' => {
                let mut elements = Vec::new();
                self.list(b']', |reader| {
                    elements.push(reader.value()?);
                    Some(())
                })?;
                Some(Json::Array(elements))
            }
            b'"' => self.string().map(Json::Text),
            b't' => self.takes(b"true").then_some(Json::Bool),
            b'f' => self.takes(b"false").then_some(Json::Bool),
            b'n' => self.takes(b"null").then_some(Json::Null),
            _ => self.number(),
        }
    }

    fn list(&mut self, end: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.byte()?;
        self.space();
        if self.takes(&[end]) {
            return Some(());
        }
        loop {
            item(self)?;
            self.space();
            match self.byte()? {
                b',' => {}
                byte => return (byte == end).then_some(()),
            }
        }
    }

    fn digits(&mut self) -> usize {
        let count = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        self.0 = &self.0[count..];
        count
    }

    fn number(&mut self) -> Option<Json> {
        let start = self.0;
        self.takes(b"-");
        let zero = self.0.first() == Some(&b'0');
        let whole = self.digits();
        if whole == 0 || (zero && whole > 1) {
            return None;
        }
        if self.takes(b".") && self.digits() == 0 {
            return None;
        }
        if self.takes(b"e") || self.takes(b"E") {
            let _ = self.takes(b"+") || self.takes(b"-");
            if self.digits() == 0 {
                return None;
            }
        }
        let text = &start[..start.len() - self.0.len()];
        Some(Json::Number(String::from_utf8(text.to_vec()).ok()?))
    }

    /// `Some(None)` for half of a surrogate pair.
    fn string(&mut self) -> Option<Option<String>> {
        self.takes(b"\"").then_some(())?;
        let mut bytes = Vec::new();
        let mut halved = false;
        loop {
            match self.byte()? {
                b'"' => break,
                0..0x20 => return None,
                b'\\' => {
                    let character = match self.byte()? {
                        byte @ (b'"' | b'\\' | b'/') => char::from(byte),
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        b'u' => self.escaped(&mut halved)?,
                        _ => return None,
                    };
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                byte => bytes.push(byte),
            }
        }
        let text = String::from_utf8(bytes).ok()?;
        Some((!halved).then_some(text))
    }

    fn escaped(&mut self, halved: &mut bool) -> Option<char> {
        let first = self.hex()?;
        if let Some(character) = char::from_u32(first) {
            return Some(character);
        }
        let before = self.0;
        if first < 0xdc00 && self.takes(b"\\u") {
            let second = self.hex()?;
            if (0xdc00..0xe000).contains(&second) {
                return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
            }
            self.0 = before;
        }
        *halved = true;
        Some('\u{fffd}')
    }

    fn hex(&mut self) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(4)?;
        self.0 = rest;
        digits.iter().try_fold(0, |number, digit| {
            Some(number * 16 + char::from(*digit).to_digit(16)?)
        })
    }
}
