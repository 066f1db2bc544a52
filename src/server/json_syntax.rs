//! Is this text JSON? Only for requests that are refused anyway.
//!
//! DynamoDB says that a body is not JSON before it says that the target is unknown or the signature is missing.
//! Requests with a known target are decoded by their operation, which finds out by itself. This check keeps its nesting
//! in a bit per level and not on the stack, so that no depth can overflow it.

/// Whether `text` is one JSON value in UTF-8.
pub fn is_json(text: &[u8]) -> bool {
    if std::str::from_utf8(text).is_err() {
        return false;
    }
    let mut scanner = Scanner { text, at: 0 };
    let complete = scanner.document().is_some();
    complete && scanner.at == text.len()
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

/// What may come next.
enum Expected {
    Value,
    /// A value, or the end of an array that has just begun.
    ValueOrEnd,
    Name,
    /// A name, or the end of an object that has just begun.
    NameOrEnd,
    CommaOrEnd,
}

impl Scanner<'_> {
    /// `None` when the text is not JSON.
    fn document(&mut self) -> Option<()> {
        // True for an object, false for an array, the innermost last.
        let mut nesting: Vec<bool> = Vec::new();
        let mut expected = Expected::Value;
        loop {
            let byte = self.next_token()?;
            expected = match (expected, byte) {
                (Expected::Value | Expected::ValueOrEnd, b'{') => {
                    nesting.push(true);
                    Expected::NameOrEnd
                }
                (Expected::Value | Expected::ValueOrEnd, b'[') => {
                    nesting.push(false);
                    Expected::ValueOrEnd
                }
                (Expected::ValueOrEnd | Expected::CommaOrEnd, b']') if nesting.pop() == Some(false) => {
                    Expected::CommaOrEnd
                }
                (Expected::NameOrEnd | Expected::CommaOrEnd, b'}') if nesting.pop() == Some(true) => {
                    Expected::CommaOrEnd
                }
                (Expected::Value | Expected::ValueOrEnd, byte) => {
                    self.scalar(byte)?;
                    Expected::CommaOrEnd
                }
                (Expected::Name | Expected::NameOrEnd, b'"') => {
                    self.string()?;
                    if self.next_token()? != b':' {
                        return None;
                    }
                    Expected::Value
                }
                (Expected::CommaOrEnd, b',') => match nesting.last()? {
                    true => Expected::Name,
                    false => Expected::Value,
                },
                _ => return None,
            };
            if nesting.is_empty() {
                self.skip_blanks();
                return Some(());
            }
        }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn next_token(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.next_byte()
    }

    fn next_byte(&mut self) -> Option<u8> {
        let byte = *self.text.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// A string, number or literal that begins with `first`, which has been read.
    fn scalar(&mut self, first: u8) -> Option<()> {
        match first {
            b'"' => self.string(),
            b't' => self.rest_of_literal(b"rue"),
            b'f' => self.rest_of_literal(b"alse"),
            b'n' => self.rest_of_literal(b"ull"),
            b'-' => {
                let first = self.next_byte()?;
                self.number(first)
            }
            _ => self.number(first),
        }
    }

    fn rest_of_literal(&mut self, rest: &[u8]) -> Option<()> {
        self.text[self.at..].starts_with(rest).then(|| self.at += rest.len())
    }

    fn string(&mut self) -> Option<()> {
        loop {
            match self.next_byte()? {
                b'"' => return Some(()),
                b'\\' => match self.next_byte()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        for _ in 0..4 {
                            self.next_byte().filter(u8::is_ascii_hexdigit)?;
                        }
                    }
                    _ => return None,
                },
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    fn number(&mut self, first: u8) -> Option<()> {
        match first {
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return None,
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(())
    }

    fn some_digits(&mut self) -> Option<()> {
        self.next_byte().filter(u8::is_ascii_digit)?;
        self.skip_digits();
        Some(())
    }

    fn skip_digits(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json() {
        let rows = [
            "{}",
            "[]",
            "null",
            " true\n",
            "false",
            "0",
            "-0",
            "12.50e+3",
            "1E5",
            "\"\"",
            "\"a\\u00e9\\n\\\"/\"",
            "{\"a\":{\"b\":[1,2,{\"c\":[]}]},\"d\":\"\u{e9}\"}",
            "[ 1 , [ ] , { } ]",
            "\t{\"a\" : 1 }\r\n",
        ];
        for row in rows {
            assert!(is_json(row.as_bytes()), "{row:?}");
            // Cutting a value that has an end of its own leaves no JSON.
            if row.starts_with(['{', '[', '"']) {
                for cut in 0..row.len() {
                    assert!(!is_json(&row.as_bytes()[..cut]), "{row:?} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn not_json() {
        let rows = [
            "",
            " ",
            "{",
            "}",
            "[1,]",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "[1 2]",
            "{]",
            "[}",
            "{\"a\":1]",
            "nul",
            "nulll",
            "01",
            "1.",
            ".5",
            "-",
            "1e",
            "+1",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "'a'",
            "{} {}",
            "1 2",
            "[1}",
            "hello",
            "{\"a\" 1}",
            "{1:2}",
            "\"open",
        ];
        for row in rows {
            assert!(!is_json(row.as_bytes()), "{row:?}");
        }
        assert!(!is_json(b"\"\xff\""), "not UTF-8");
    }

    #[test]
    fn depth_does_not_matter() {
        let depth = 1 << 20;
        let deep = "[".repeat(depth) + &"]".repeat(depth);
        assert!(is_json(deep.as_bytes()));
        assert!(!is_json("[".repeat(depth).as_bytes()));
    }
}
