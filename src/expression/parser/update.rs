//! Updates.
//!
//! ```text
//! update   = section { section }
//! section  = SET set { ',' set } | REMOVE path { ',' path }
//!          | ADD path value { ',' path value } | DELETE path value { ',' path value }
//! set      = path '=' sum
//! sum      = '(' sum ')' | operand [ ( '+' | '-' ) operand ]
//! operand  = '(' operand ')' | function | value | path
//! function = name '(' operand { ',' operand } ')'
//! ```
//!
//! Sections come in any order, each at most once; a repeated one is reported after reserved words and unknown
//! functions. Right-hand sides are read as conditions are: what is open stands on a stack of [`Frame`]s.

use crate::expression::ast::{Action, Call, Change, Expression, Function, Operand, UpdateAst};
use crate::expression::error::{ExpressionError, ExpressionKind};
use crate::expression::lexer::TokenKind;

use super::Reader;

const KEYWORDS: &[&str] = &["SET", "REMOVE", "ADD", "DELETE"];

/// An open construct on the right-hand side of a SET action.
enum Frame {
    /// `operand_only`: the parentheses stand where no sum can.
    Parenthesis { operand_only: bool },
    /// A sum that lacks its right side.
    Sum { left: Operand, minus: bool },
    /// `base` is the number of pending operands that belong to outer calls.
    Call { function: Function, base: usize },
}

struct Parser<'t> {
    reader: Reader<'t>,
    actions: Vec<Action>,
    frames: Vec<Frame>,
    /// Finished arguments of unfinished calls.
    pending: Vec<Operand>,
}

impl UpdateAst {
    pub fn parse(text: &str) -> Result<UpdateAst, ExpressionError> {
        let mut parser = Parser {
            reader: Reader::new(ExpressionKind::Update, text, KEYWORDS)?,
            actions: Vec::new(),
            frames: Vec::new(),
            pending: Vec::new(),
        };
        let repeated_section = parser.read_sections()?;
        let reader = &parser.reader;
        reader.check_operators()?;
        reader.check_reserved_words()?;
        reader.check_functions()?;
        reader.check_list_indexes()?;
        if let Some(section) = repeated_section {
            return Err(reader
                .invalid(format_args!("The \"{section}\" section can only be used once in an update expression;")));
        }
        let Parser { reader, mut actions, .. } = parser;
        actions.shrink_to_fit();
        Ok(UpdateAst { terms: reader.into_terms(), actions })
    }
}

impl Parser<'_> {
    /// Answers the first section that is there twice.
    fn read_sections(&mut self) -> Result<Option<&'static str>, ExpressionError> {
        let mut seen = Vec::with_capacity(KEYWORDS.len());
        let mut repeated = None;
        while let Some(section) = self.reader.keyword() {
            self.reader.advance();
            if seen.contains(&section) {
                repeated = repeated.or(Some(section));
            } else {
                seen.push(section);
            }
            self.read_action(section)?;
            while self.reader.accept(TokenKind::Comma) {
                self.read_action(section)?;
            }
        }
        if seen.is_empty() || self.reader.peek_kind() != TokenKind::End {
            return Err(self.reader.syntax_error());
        }
        Ok(repeated)
    }

    fn read_action(&mut self, section: &'static str) -> Result<(), ExpressionError> {
        let path = self.reader.read_path()?;
        let change = match section {
            "SET" => {
                self.reader.expect(TokenKind::Equal)?;
                Change::Set(self.read_expression()?)
            }
            "REMOVE" => Change::Remove,
            "ADD" => Change::Add(self.reader.read_value()?),
            _ => Change::Delete(self.reader.read_value()?),
        };
        self.actions.push(Action { path, change });
        Ok(())
    }

    fn read_expression(&mut self) -> Result<Expression, ExpressionError> {
        let mut operand = self.read_operand()?;
        loop {
            if let Some(minus) = self.accept_sign() {
                self.frames.push(Frame::Sum { left: operand, minus });
                operand = self.read_operand()?;
                continue;
            }
            match self.frames.pop() {
                None => return Ok(Expression::Operand(operand)),
                Some(Frame::Parenthesis { .. }) => {
                    self.reader.expect(TokenKind::CloseParenthesis)?;
                }
                Some(Frame::Sum { left, minus }) => {
                    let sum = if minus { Expression::Minus(left, operand) } else { Expression::Plus(left, operand) };
                    return self.close_sum(sum);
                }
                Some(Frame::Call { function, base }) => {
                    self.pending.push(operand);
                    if self.reader.accept(TokenKind::Comma) {
                        self.frames.push(Frame::Call { function, base });
                        operand = self.read_operand()?;
                        continue;
                    }
                    self.reader.expect(TokenKind::CloseParenthesis)?;
                    operand = Operand::Call(self.take_arguments(function, base));
                }
            }
        }
    }

    /// Opens whatever opens here, up to and including the first operand.
    fn read_operand(&mut self) -> Result<Operand, ExpressionError> {
        loop {
            let reader = &mut self.reader;
            if reader.accept(TokenKind::OpenParenthesis) {
                let operand_only = self.operand_only();
                self.frames.push(Frame::Parenthesis { operand_only });
            } else if reader.at_call() {
                let (function, _) = reader.read_call(true);
                self.frames.push(Frame::Call { function, base: self.pending.len() });
            } else if reader.peek_kind() == TokenKind::ValuePlaceholder {
                return Ok(Operand::Value(reader.read_value()?));
            } else {
                return Ok(Operand::Path(reader.read_path()?));
            }
        }
    }

    /// Whether the innermost construct takes an operand and no sum.
    fn operand_only(&self) -> bool {
        match self.frames.last() {
            None => false,
            Some(Frame::Parenthesis { operand_only }) => *operand_only,
            Some(Frame::Sum { .. } | Frame::Call { .. }) => true,
        }
    }

    /// Reads `+` or `-` where the left side of a sum ends; true for `-`.
    fn accept_sign(&mut self) -> Option<bool> {
        let minus = match self.reader.peek_kind() {
            TokenKind::Plus => false,
            TokenKind::Minus => true,
            _ => return None,
        };
        if self.operand_only() {
            return None;
        }
        self.reader.advance();
        self.reader.operator_count += 1;
        Some(minus)
    }

    /// A sum is no operand: around it there can be nothing but parentheses.
    fn close_sum(&mut self, sum: Expression) -> Result<Expression, ExpressionError> {
        while let Some(Frame::Parenthesis { .. }) = self.frames.pop() {
            self.reader.expect(TokenKind::CloseParenthesis)?;
        }
        Ok(sum)
    }

    fn take_arguments(&mut self, function: Function, base: usize) -> Call {
        let operands = &mut self.reader.terms.operands;
        let first = operands.len() as u16;
        operands.extend(self.pending.drain(base..));
        Call { function, first, count: operands.len() as u16 - first }
    }
}
