//! Text to tokens.
//!
//! ```text
//! name        = [A-Za-z] [A-Za-z0-9_]*
//! placeholder = ( '#' | ':' ) [A-Za-z0-9_]+
//! number      = [0-9]+                       -- only inside '[' ']'
//! symbol      = '=' '<>' '<' '<=' '>' '>=' '+' '-' '(' ')' '[' ']' ',' '.'
//! blank       = ' ' | TAB | CR | LF          -- between any two tokens
//! ```
//!
//! A character that begins none of these is a token of its own that no grammar accepts, so the parser reports it like
//! any other misplaced token.

/// Longest expression, in bytes before substitution. It lets positions be 16 bits wide.
pub const EXPRESSION_BYTES_MAX: usize = 4096;

const _: () = assert!(EXPRESSION_BYTES_MAX < u16::MAX as usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    Name,
    NamePlaceholder,
    ValuePlaceholder,
    Number,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Plus,
    Minus,
    OpenParenthesis,
    CloseParenthesis,
    OpenBracket,
    CloseBracket,
    Comma,
    Dot,
    /// A character that cannot begin a token.
    Illegal,
    /// Stands after the last token, and is empty.
    End,
}

/// A token and where in the text it stands, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub start: u16,
    pub end: u16,
}

/// Splits a text of at most [`EXPRESSION_BYTES_MAX`] bytes; the last token is `End`.
pub fn tokenize(text: &str) -> Vec<Token> {
    debug_assert!(text.len() <= EXPRESSION_BYTES_MAX);
    let bytes = text.as_bytes();
    let mut tokens = Vec::with_capacity(bytes.len() / 3 + 2);
    let mut start = 0;
    while start < bytes.len() {
        if matches!(bytes[start], b' ' | b'\t' | b'\r' | b'\n') {
            start += 1;
            continue;
        }
        let (kind, length) = scan(&text[start..]);
        tokens.push(Token { kind, start: start as u16, end: (start + length) as u16 });
        start += length;
    }
    tokens.push(Token { kind: TokenKind::End, start: start as u16, end: start as u16 });
    tokens
}

/// The token at the start of `text`, which is neither empty nor blank there, and its length in bytes.
fn scan(text: &str) -> (TokenKind, usize) {
    let bytes = text.as_bytes();
    let symbol = |kind| (kind, 1);
    match (bytes[0], bytes.get(1)) {
        (b'A'..=b'Z' | b'a'..=b'z', _) => (TokenKind::Name, word_length(bytes)),
        (b'0'..=b'9', _) => (TokenKind::Number, bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()),
        (b'#', Some(&next)) if is_word(next) => (TokenKind::NamePlaceholder, 1 + word_length(&bytes[1..])),
        (b':', Some(&next)) if is_word(next) => (TokenKind::ValuePlaceholder, 1 + word_length(&bytes[1..])),
        (b'<', Some(b'>')) => (TokenKind::NotEqual, 2),
        (b'<', Some(b'=')) => (TokenKind::LessEqual, 2),
        (b'>', Some(b'=')) => (TokenKind::GreaterEqual, 2),
        (b'<', _) => symbol(TokenKind::Less),
        (b'>', _) => symbol(TokenKind::Greater),
        (b'=', _) => symbol(TokenKind::Equal),
        (b'+', _) => symbol(TokenKind::Plus),
        (b'-', _) => symbol(TokenKind::Minus),
        (b'(', _) => symbol(TokenKind::OpenParenthesis),
        (b')', _) => symbol(TokenKind::CloseParenthesis),
        (b'[', _) => symbol(TokenKind::OpenBracket),
        (b']', _) => symbol(TokenKind::CloseBracket),
        (b',', _) => symbol(TokenKind::Comma),
        (b'.', _) => symbol(TokenKind::Dot),
        _ => (TokenKind::Illegal, text.chars().next().map_or(1, char::len_utf8)),
    }
}

fn word_length(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| is_word(byte)).count()
}

/// A character that a name or placeholder may hold after its first.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use TokenKind::*;

    fn check(text: &str, expected: &[(TokenKind, &str)]) {
        let tokens = tokenize(text);
        let seen: Vec<_> =
            tokens.iter().map(|token| (token.kind, &text[token.start as usize..token.end as usize])).collect();
        let (last, rest) = seen.split_last().unwrap();
        assert_eq!((rest, *last), (expected, (End, "")), "{text}");
    }

    #[test]
    fn tokens() {
        check("", &[]);
        check(" \t\r\n", &[]);
        check(
            "a.b[0]",
            &[(Name, "a"), (Dot, "."), (Name, "b"), (OpenBracket, "["), (Number, "0"), (CloseBracket, "]")],
        );
        check("#a<>:b", &[(NamePlaceholder, "#a"), (NotEqual, "<>"), (ValuePlaceholder, ":b")]);
        check("#1 :_", &[(NamePlaceholder, "#1"), (ValuePlaceholder, ":_")]);
        check(
            "a<=b>=c<d>e=f",
            &[
                (Name, "a"),
                (LessEqual, "<="),
                (Name, "b"),
                (GreaterEqual, ">="),
                (Name, "c"),
                (Less, "<"),
                (Name, "d"),
                (Greater, ">"),
                (Name, "e"),
                (Equal, "="),
                (Name, "f"),
            ],
        );
        check(
            "a1_+-(),",
            &[(Name, "a1_"), (Plus, "+"), (Minus, "-"), (OpenParenthesis, "("), (CloseParenthesis, ")"), (Comma, ",")],
        );
        check("_a", &[(Illegal, "_"), (Name, "a")]);
        check("_1", &[(Illegal, "_"), (Number, "1")]);
        check("# a : b", &[(Illegal, "#"), (Name, "a"), (Illegal, ":"), (Name, "b")]);
        check("aé\"", &[(Name, "a"), (Illegal, "é"), (Illegal, "\"")]);
        check("4a", &[(Number, "4"), (Name, "a")]);
        check("a\u{a0}b", &[(Name, "a"), (Illegal, "\u{a0}"), (Name, "b")]);
        check("a\u{b}b", &[(Name, "a"), (Illegal, "\u{b}"), (Name, "b")]);
    }
}
