//! Tokens to trees: the part that the three grammars share.
//!
//! Parsers keep their own stacks, never the thread's, so nesting costs memory in proportion to the text and nothing
//! else. A syntax error ends a parse at once. What else the text alone shows to be wrong (a reserved word, an unknown
//! function) is noted as a [`Lapse`] and reported when the whole text has proved well-formed, because a syntax error
//! comes first.
//!
//! ```text
//! path = element { '[' number ']' | '.' element }
//! element = name | '#'placeholder
//! ```

mod condition;

mod projection;

mod update;

use super::ast::{Element, Function, Path, Terms, Word};
use super::error::{ExpressionError, ExpressionKind};
use super::lexer::{EXPRESSION_BYTES_MAX, Token, TokenKind, tokenize};
use super::reserved::is_reserved;

/// Most operators in one expression. Parentheses and functions do not count.
const OPERATOR_COUNT_MAX: usize = 300;

/// Largest list index: DynamoDB keeps it in a signed 32-bit number.
const LIST_INDEX_MAX: u32 = i32::MAX as u32;

/// Reads the tokens of one expression and collects its terms.
struct Reader<'t> {
    kind: ExpressionKind,
    text: &'t str,
    tokens: Vec<Token>,
    position: usize,
    /// Words that are keywords in this grammar, and so neither names nor functions. Upper case.
    keywords: &'static [&'static str],
    terms: Terms,
    operator_count: usize,
    reserved_word: Lapse,
    list_index: Lapse,
    unknown_function: Lapse,
}

/// The first occurrence in the text of one kind of mistake.
#[derive(Clone, Copy, Default)]
struct Lapse(Option<Token>);

impl Lapse {
    /// Parsers may meet mistakes out of order: an outer function is reduced after an inner one.
    fn note(&mut self, token: Token) {
        if self.0.is_none_or(|first| token.start < first.start) {
            self.0 = Some(token);
        }
    }
}

impl<'t> Reader<'t> {
    fn new(
        kind: ExpressionKind,
        text: &'t str,
        keywords: &'static [&'static str],
    ) -> Result<Reader<'t>, ExpressionError> {
        if text.is_empty() {
            return Err(ExpressionError::invalid(kind, "The expression can not be empty;"));
        }
        if text.len() > EXPRESSION_BYTES_MAX {
            let detail = "Expression size has exceeded the maximum allowed size;";
            return Err(match kind {
                ExpressionKind::Update => ExpressionError::invalid(kind, detail),
                _ => ExpressionError::invalid(kind, format_args!("{detail} expression size: {}", text.len())),
            });
        }
        Ok(Reader {
            kind,
            text,
            tokens: tokenize(text),
            position: 0,
            keywords,
            terms: Terms::default(),
            operator_count: 0,
            reserved_word: Lapse::default(),
            list_index: Lapse::default(),
            unknown_function: Lapse::default(),
        })
    }

    /// The token to be read next; `End` repeats.
    fn peek(&self) -> Token {
        self.tokens[self.position]
    }

    fn peek_kind(&self) -> TokenKind {
        self.peek().kind
    }

    fn advance(&mut self) -> Token {
        let token = self.peek();
        if token.kind != TokenKind::End {
            self.position += 1;
        }
        token
    }

    /// Reads a token of this kind if it comes next.
    fn accept(&mut self, kind: TokenKind) -> bool {
        let found = self.peek_kind() == kind;
        if found {
            self.position += 1;
        }
        found
    }

    fn expect(&mut self, kind: TokenKind) -> Result<Token, ExpressionError> {
        if self.peek_kind() == kind { Ok(self.advance()) } else { Err(self.syntax_error()) }
    }

    fn source(&self, token: Token) -> &'t str {
        &self.text[usize::from(token.start)..usize::from(token.end)]
    }

    /// The next token as a keyword of this grammar, in upper case.
    fn keyword(&self) -> Option<&'static str> {
        let token = self.peek();
        if token.kind != TokenKind::Name {
            return None;
        }
        let source = self.source(token);
        self.keywords.iter().copied().find(|keyword| keyword.eq_ignore_ascii_case(source))
    }

    fn accept_keyword(&mut self, keyword: &str) -> bool {
        let found = self.keyword() == Some(keyword);
        if found {
            self.position += 1;
        }
        found
    }

    /// The next token is a name that opens a function call.
    fn at_call(&self) -> bool {
        self.peek_kind() == TokenKind::Name
            && self.keyword().is_none()
            && self.tokens[self.position + 1].kind == TokenKind::OpenParenthesis
    }

    /// Reads `name '('`. An unknown function is noted, and stands for another one until the parse fails at its end.
    fn read_call(&mut self, for_updates: bool) -> (Function, Token) {
        let token = self.advance();
        self.advance();
        let function = Function::find(self.source(token)).filter(|function| function.is_for_updates() == for_updates);
        if function.is_none() {
            self.unknown_function.note(token);
        }
        (function.unwrap_or(Function::Size), token)
    }

    /// Whether the next token can begin a path.
    fn at_path(&self) -> bool {
        match self.peek_kind() {
            TokenKind::Name => self.keyword().is_none(),
            TokenKind::NamePlaceholder => true,
            _ => false,
        }
    }

    fn read_path(&mut self) -> Result<Path, ExpressionError> {
        let first = self.terms.elements.len() as u16;
        self.read_element()?;
        let mut path = Path { first, count: 1 };
        while self.read_path_tail(&mut path)? {}
        Ok(path)
    }

    /// Reads one `.name` or `[index]` if it comes next. The path must be the last one read.
    fn read_path_tail(&mut self, path: &mut Path) -> Result<bool, ExpressionError> {
        if self.accept(TokenKind::Dot) {
            self.read_element()?;
        } else if self.accept(TokenKind::OpenBracket) {
            let token = self.expect(TokenKind::Number)?;
            let index = self.source(token).parse().ok().filter(|&index| index <= LIST_INDEX_MAX);
            if index.is_none() {
                self.list_index.note(token);
            }
            self.terms.elements.push(Element::Index(index.unwrap_or_default()));
            self.expect(TokenKind::CloseBracket)?;
        } else {
            return Ok(false);
        }
        path.count += 1;
        Ok(true)
    }

    fn read_element(&mut self) -> Result<(), ExpressionError> {
        if !self.at_path() {
            return Err(self.syntax_error());
        }
        let token = self.advance();
        if token.kind == TokenKind::Name && is_reserved(self.source(token)) {
            self.reserved_word.note(token);
        }
        let word = self.add_word(token);
        self.terms.elements.push(match token.kind {
            TokenKind::NamePlaceholder => Element::Placeholder(word),
            _ => Element::Name(word),
        });
        Ok(())
    }

    /// Reads a value placeholder that comes next, and answers its index.
    fn read_value(&mut self) -> Result<u16, ExpressionError> {
        let token = self.expect(TokenKind::ValuePlaceholder)?;
        let word = self.add_word(token);
        self.terms.values.push(word);
        Ok(self.terms.values.len() as u16 - 1)
    }

    fn add_word(&mut self, token: Token) -> Word {
        let start = self.terms.text.len() as u16;
        self.terms.text.push_str(self.source(token));
        Word { start, end: self.terms.text.len() as u16 }
    }

    /// `near` runs from the token before the refused one to the one after it.
    fn syntax_error(&self) -> ExpressionError {
        let refused = self.peek();
        let before = self.position.checked_sub(1).map_or(refused, |index| self.tokens[index]);
        let after = self.tokens.get(self.position + 1).filter(|token| token.kind != TokenKind::End);
        let (token, end) = match refused.kind {
            TokenKind::End => ("<EOF>", before.end),
            _ => (self.source(refused), after.unwrap_or(&refused).end),
        };
        let near = &self.text[usize::from(before.start)..usize::from(end)];
        self.invalid(format_args!("Syntax error; token: \"{token}\", near: \"{near}\""))
    }

    /// Ends a successful parse with the first of the mistakes that every grammar knows.
    fn check_operators(&self) -> Result<(), ExpressionError> {
        if self.operator_count > OPERATOR_COUNT_MAX {
            let count = self.operator_count;
            return Err(
                self.invalid(format_args!("The expression contains too many operators; operator count: {count}"))
            );
        }
        Ok(())
    }

    fn check_functions(&self) -> Result<(), ExpressionError> {
        let Some(token) = self.unknown_function.0 else { return Ok(()) };
        Err(self.invalid(format_args!("Invalid function name; function: {}", self.source(token))))
    }

    fn check_reserved_words(&self) -> Result<(), ExpressionError> {
        let Some(token) = self.reserved_word.0 else { return Ok(()) };
        let word = self.source(token);
        Err(self.invalid(format_args!("Attribute name is a reserved keyword; reserved keyword: {word}")))
    }

    fn check_list_indexes(&self) -> Result<(), ExpressionError> {
        let Some(token) = self.list_index.0 else { return Ok(()) };
        let index = self.source(token);
        Err(self.invalid(format_args!("List index is not within the allowable range; index: [{index}]")))
    }

    fn invalid(&self, detail: std::fmt::Arguments<'_>) -> ExpressionError {
        ExpressionError::invalid(self.kind, detail)
    }

    /// The terms, without the spare room of their vectors: trees are kept in a cache.
    fn into_terms(self) -> Terms {
        let mut terms = self.terms;
        terms.text.shrink_to_fit();
        terms.elements.shrink_to_fit();
        terms.values.shrink_to_fit();
        terms.operands.shrink_to_fit();
        terms
    }
}
