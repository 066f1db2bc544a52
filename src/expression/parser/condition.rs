//! Conditions, filters and key conditions.
//!
//! ```text
//! or        = and { OR and }
//! and       = not { AND not }
//! not       = NOT not | primary
//! primary   = '(' or ')' | predicate
//! predicate = operand comparator operand
//!           | operand BETWEEN operand AND operand
//!           | operand IN '(' operand { ',' operand } ')'
//!           | function
//! operand   = '(' operand ')' | function | value | path     -- a path may go on after ')'
//! function  = name '(' operand { ',' operand } ')'
//! ```
//!
//! An operator-precedence parser: what is open stands on a stack of [`Frame`]s, and the newest complete piece of text
//! is the [`Subject`]. Whether `(` opens a condition or an operand is not known until its end, so both are subjects:
//!
//! ```text
//! read_subject: NOT, '(' and calls push frames until an operand completes -> subject
//! extend:       the subject becomes the left side of an operator -> read_subject
//! close:        the innermost frame takes the subject in, and yields a larger subject
//! ```

use crate::expression::ast::{Call, Comparator, ConditionAst, Function, Operand, Predicate, Step, Test};
use crate::expression::error::{ExpressionError, ExpressionKind};
use crate::expression::lexer::{Token, TokenKind};

use super::{Lapse, Reader};

const KEYWORDS: &[&str] = &["AND", "OR", "NOT", "BETWEEN", "IN"];

/// A construct that is open, with what has been read of it.
enum Frame {
    /// `operand_only`: the parentheses stand where no condition can.
    Parenthesis {
        operand_only: bool,
    },
    Not {
        start: u16,
    },
    /// The step to be told where the right side ends.
    And {
        start: u16,
        step: usize,
    },
    Or {
        start: u16,
        step: usize,
    },
    Compare(Comparator, Operand),
    BetweenLower(Operand),
    BetweenUpper(Operand, Operand),
    /// `base` is the number of pending operands that belong to outer constructs.
    In {
        value: Operand,
        base: usize,
    },
    Call {
        function: Function,
        name: Token,
        base: usize,
    },
}

/// A complete piece of text.
struct Subject {
    form: Form,
    /// It ends with the parenthesis that closes it.
    parenthesized: bool,
}

enum Form {
    Operand(Operand),
    /// A predicate or an operand, depending on what surrounds it.
    Call(Call, Token),
    /// Steps from `start` to the newest.
    Condition {
        start: u16,
    },
}

impl From<Form> for Subject {
    fn from(form: Form) -> Subject {
        Subject { form, parenthesized: false }
    }
}

struct Parser<'t> {
    reader: Reader<'t>,
    frames: Vec<Frame>,
    /// Finished elements of unfinished lists.
    pending: Vec<Operand>,
    predicates: Vec<Predicate>,
    steps: Vec<Step>,
    redundant_parentheses: bool,
    misused_function: Lapse,
}

impl ConditionAst {
    /// `kind` is Condition, Filter or KeyCondition; it only shows in errors.
    pub fn parse(kind: ExpressionKind, text: &str) -> Result<ConditionAst, ExpressionError> {
        let mut parser = Parser {
            reader: Reader::new(kind, text, KEYWORDS)?,
            frames: Vec::new(),
            pending: Vec::new(),
            predicates: Vec::new(),
            steps: Vec::new(),
            redundant_parentheses: false,
            misused_function: Lapse::default(),
        };
        parser.read_condition()?;
        parser.check()?;
        parser.predicates.shrink_to_fit();
        parser.steps.shrink_to_fit();
        let Parser { reader, predicates, steps, .. } = parser;
        Ok(ConditionAst { kind, terms: reader.into_terms(), predicates, steps })
    }
}

impl Parser<'_> {
    fn read_condition(&mut self) -> Result<(), ExpressionError> {
        let mut subject = self.read_subject()?;
        loop {
            if self.extend(&mut subject)? {
                subject = self.read_subject()?;
                continue;
            }
            match self.close(subject)? {
                Some(closed) => subject = closed,
                None if self.frames.is_empty() => return Ok(()),
                None => subject = self.read_subject()?,
            }
        }
    }

    /// Mistakes other than of syntax, in DynamoDB's order.
    fn check(&self) -> Result<(), ExpressionError> {
        self.reader.check_operators()?;
        if self.redundant_parentheses {
            return Err(self.reader.invalid(format_args!("The expression has redundant parentheses;")));
        }
        self.reader.check_functions()?;
        if let Some(token) = self.misused_function.0 {
            return Err(self.reader.invalid(format_args!(
                "The function is not allowed to be used this way in an expression; function: {}",
                self.reader.source(token)
            )));
        }
        self.reader.check_reserved_words()?;
        self.reader.check_list_indexes()
    }

    /// Opens whatever opens here, up to and including the first operand.
    fn read_subject(&mut self) -> Result<Subject, ExpressionError> {
        loop {
            let reader = &mut self.reader;
            if reader.accept(TokenKind::OpenParenthesis) {
                let operand_only = self.operand_only();
                self.frames.push(Frame::Parenthesis { operand_only });
            } else if reader.at_call() {
                let (function, name) = reader.read_call(false);
                self.frames.push(Frame::Call { function, name, base: self.pending.len() });
            } else if reader.at_path() {
                return Ok(Form::Operand(Operand::Path(reader.read_path()?)).into());
            } else if reader.peek_kind() == TokenKind::ValuePlaceholder {
                return Ok(Form::Operand(Operand::Value(reader.read_value()?)).into());
            } else if !self.operand_only() && self.reader.accept_keyword("NOT") {
                self.reader.operator_count += 1;
                self.frames.push(Frame::Not { start: self.steps.len() as u16 });
            } else {
                return Err(self.reader.syntax_error());
            }
        }
    }

    /// Whether the innermost construct takes an operand and no condition.
    fn operand_only(&self) -> bool {
        match self.frames.last() {
            None | Some(Frame::Not { .. } | Frame::And { .. } | Frame::Or { .. }) => false,
            Some(Frame::Parenthesis { operand_only }) => *operand_only,
            Some(
                Frame::Compare(..)
                | Frame::BetweenLower(_)
                | Frame::BetweenUpper(..)
                | Frame::In { .. }
                | Frame::Call { .. },
            ) => true,
        }
    }

    /// Lengthens a path, or makes the subject the left side of an operator that comes next. True if a new subject must
    /// be read.
    fn extend(&mut self, subject: &mut Subject) -> Result<bool, ExpressionError> {
        if let Form::Operand(Operand::Path(path)) = &mut subject.form {
            while self.reader.read_path_tail(path)? {
                subject.parenthesized = false;
            }
        }
        if self.operand_only() || matches!(subject.form, Form::Condition { .. }) {
            return Ok(false);
        }
        let frame = if let Some(comparator) = comparator(self.reader.peek_kind()) {
            self.reader.advance();
            Frame::Compare(comparator, self.operand(&subject.form)?)
        } else if self.reader.accept_keyword("BETWEEN") {
            Frame::BetweenLower(self.operand(&subject.form)?)
        } else if self.reader.accept_keyword("IN") {
            self.reader.expect(TokenKind::OpenParenthesis)?;
            Frame::In { value: self.operand(&subject.form)?, base: self.pending.len() }
        } else {
            return Ok(false);
        };
        self.reader.operator_count += 1;
        self.frames.push(frame);
        Ok(true)
    }

    /// Gives the subject to the innermost open construct. Answers the construct if that completes it, and otherwise
    /// `None`: the next subject is due, or, with no frame left, the text has ended.
    fn close(&mut self, subject: Subject) -> Result<Option<Subject>, ExpressionError> {
        let closed = match self.frames.pop() {
            None => return self.close_group(subject, None),
            Some(Frame::Parenthesis { operand_only }) => return self.close_group(subject, Some(operand_only)),
            Some(Frame::Not { start }) => {
                self.condition(&subject.form)?;
                self.steps.push(Step::Not { start });
                Form::Condition { start }
            }
            Some(Frame::And { start, step }) => {
                self.condition(&subject.form)?;
                self.steps[step] = Step::And { start, end: self.steps.len() as u16 };
                Form::Condition { start }
            }
            Some(Frame::Or { start, step }) => {
                let right = self.condition(&subject.form)?;
                if self.reader.accept_keyword("AND") {
                    self.frames.push(Frame::Or { start, step });
                    self.push_and(right);
                    return Ok(None);
                }
                self.steps[step] = Step::Or { start, end: self.steps.len() as u16 };
                Form::Condition { start }
            }
            Some(Frame::Compare(comparator, left)) => {
                let right = self.operand(&subject.form)?;
                self.push_predicate(Test::Compare(comparator, left, right))
            }
            Some(Frame::BetweenLower(value)) => {
                let lower = self.operand(&subject.form)?;
                if !self.reader.accept_keyword("AND") {
                    return Err(self.reader.syntax_error());
                }
                self.frames.push(Frame::BetweenUpper(value, lower));
                return Ok(None);
            }
            Some(Frame::BetweenUpper(value, lower)) => {
                let upper = self.operand(&subject.form)?;
                self.push_predicate(Test::Between([value, lower, upper]))
            }
            Some(Frame::In { value, base }) => {
                if self.continue_list(&subject.form)? {
                    self.frames.push(Frame::In { value, base });
                    return Ok(None);
                }
                let (first, count) = self.take_list(base);
                self.push_predicate(Test::In { value, first, count })
            }
            Some(Frame::Call { function, name, base }) => {
                if self.continue_list(&subject.form)? {
                    self.frames.push(Frame::Call { function, name, base });
                    return Ok(None);
                }
                let (first, count) = self.take_list(base);
                Form::Call(Call { function, first, count }, name)
            }
        };
        Ok(Some(closed.into()))
    }

    /// Closes the subject inside parentheses, or in the whole text if `operand_only` is `None`.
    fn close_group(
        &mut self,
        mut subject: Subject,
        operand_only: Option<bool>,
    ) -> Result<Option<Subject>, ExpressionError> {
        let reopen = operand_only.map(|operand_only| Frame::Parenthesis { operand_only });
        let takes_conditions = operand_only != Some(true);
        if takes_conditions && matches!(self.reader.keyword(), Some("AND" | "OR")) {
            let start = self.condition(&subject.form)?;
            self.frames.extend(reopen);
            if self.reader.accept_keyword("AND") {
                self.push_and(start);
            } else {
                self.reader.advance();
                self.reader.operator_count += 1;
                self.frames.push(Frame::Or { start, step: self.steps.len() });
                self.steps.push(Step::Or { start, end: 0 });
            }
            return Ok(None);
        }
        if reopen.is_none() {
            self.condition(&subject.form)?;
            return if self.reader.peek_kind() == TokenKind::End { Ok(None) } else { Err(self.reader.syntax_error()) };
        }
        self.reader.expect(TokenKind::CloseParenthesis)?;
        self.redundant_parentheses |= subject.parenthesized;
        subject.parenthesized = true;
        Ok(Some(subject))
    }

    fn push_and(&mut self, start: u16) {
        self.reader.operator_count += 1;
        self.frames.push(Frame::And { start, step: self.steps.len() });
        self.steps.push(Step::And { start, end: 0 });
    }

    fn push_predicate(&mut self, test: Test) -> Form {
        let start = self.steps.len() as u16;
        self.steps.push(Step::Test(self.predicates.len() as u16));
        self.predicates.push(Predicate { test, end: self.reader.terms.extent() });
        Form::Condition { start }
    }

    /// Takes the subject as an element of a list. True after a comma, false after the closing parenthesis.
    fn continue_list(&mut self, form: &Form) -> Result<bool, ExpressionError> {
        let operand = self.operand(form)?;
        self.pending.push(operand);
        if self.reader.accept(TokenKind::Comma) {
            return Ok(true);
        }
        self.reader.expect(TokenKind::CloseParenthesis)?;
        Ok(false)
    }

    /// Moves the pending operands of a finished list to where they stay.
    fn take_list(&mut self, base: usize) -> (u16, u16) {
        let operands = &mut self.reader.terms.operands;
        let first = operands.len() as u16;
        operands.extend(self.pending.drain(base..));
        (first, operands.len() as u16 - first)
    }

    /// The subject used as an operand; the next token is at fault if it cannot be one.
    fn operand(&mut self, form: &Form) -> Result<Operand, ExpressionError> {
        match *form {
            Form::Operand(operand) => Ok(operand),
            Form::Call(call, name) => {
                if call.function != Function::Size {
                    self.misused_function.note(name);
                }
                Ok(Operand::Call(call))
            }
            Form::Condition { .. } => Err(self.reader.syntax_error()),
        }
    }

    /// The subject used as a condition: its first step. The next token is at fault if it cannot be one.
    fn condition(&mut self, form: &Form) -> Result<u16, ExpressionError> {
        match *form {
            Form::Operand(_) => Err(self.reader.syntax_error()),
            Form::Call(call, name) => {
                if call.function == Function::Size {
                    self.misused_function.note(name);
                }
                self.push_predicate(Test::Call(call));
                Ok(self.steps.len() as u16 - 1)
            }
            Form::Condition { start } => Ok(start),
        }
    }
}

fn comparator(kind: TokenKind) -> Option<Comparator> {
    Some(match kind {
        TokenKind::Equal => Comparator::Equal,
        TokenKind::NotEqual => Comparator::NotEqual,
        TokenKind::Less => Comparator::Less,
        TokenKind::LessEqual => Comparator::LessEqual,
        TokenKind::Greater => Comparator::Greater,
        TokenKind::GreaterEqual => Comparator::GreaterEqual,
        _ => return None,
    })
}
