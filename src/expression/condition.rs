//! Conditions and filters: bound to a request's values, then asked about documents.
//!
//! Comparison knows no third truth value. An operand that is missing or of another type makes `=`, `<`, `BETWEEN`, `IN`
//! and every function but `attribute_not_exists` false and `<>` true, and `NOT` merely inverts that.

use std::cmp::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bumpalo::Bump;
use memchr::memmem;

use crate::model::{Document, Number, Value};

use super::ast::{self, Comparator, ConditionAst, Extent, Function, Step, Test};
use super::bind::{Binder, Bound};
use super::error::ExpressionError;
use super::path::{Element, Path};
use super::substitution::Substitutions;

/// Most elements in the list of an `IN`.
pub(super) const IN_LIST_COUNT_MAX: u16 = 100;

/// What DynamoDB prints as the type of a path where the type must be known.
const ANY_TYPE: &str = "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}";

/// A bound condition: a program over one boolean register, see [`ConditionAst`].
#[derive(Clone, Copy, Debug)]
pub struct Condition<'a> {
    predicates: &'a [Predicate<'a>],
    steps: &'a [Step],
}

/// One test on a document.
#[derive(Clone, Copy, Debug)]
pub(super) enum Predicate<'a> {
    Compare(Comparator, Operand<'a>, Operand<'a>),
    /// Value, lower bound, upper bound.
    Between([Operand<'a>; 3]),
    In(Operand<'a>, &'a [Operand<'a>]),
    Exists {
        path: Path<'a>,
        expected: bool,
    },
    /// The name of a type, as on the wire.
    HasType(Operand<'a>, &'a str),
    BeginsWith(Operand<'a>, Operand<'a>),
    Contains(Operand<'a>, Operand<'a>),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Operand<'a> {
    Path(Path<'a>),
    Value(Value<'a>),
    SizeOfPath(Path<'a>),
    SizeOfValue(Value<'a>),
}

impl ConditionAst {
    /// Gives names and values their meaning and checks the operands, clause by clause.
    pub fn bind<'a>(
        &self,
        substitutions: &Substitutions<'a>,
        arena: &'a Bump,
    ) -> Result<Condition<'a>, ExpressionError> {
        let binder = Binder::new(self.kind, &self.terms, substitutions, arena);
        let mut predicates = bumpalo::collections::Vec::with_capacity_in(self.predicates.len(), arena);
        let mut start = Extent::default();
        for predicate in &self.predicates {
            predicates.push(bind_predicate(&binder, start, predicate)?);
            start = predicate.end;
        }
        Ok(Condition { predicates: predicates.into_bump_slice(), steps: arena.alloc_slice_copy(&self.steps) })
    }
}

impl<'a> Condition<'a> {
    /// For the legacy parameters.
    pub(super) fn new(predicates: &'a [Predicate<'a>], steps: &'a [Step]) -> Condition<'a> {
        Condition { predicates, steps }
    }

    pub(super) fn predicates(&self) -> &'a [Predicate<'a>] {
        self.predicates
    }

    /// Whether the document meets the condition. A missing item is the empty document.
    pub fn evaluate<'d>(&self, document: &impl Document<'d>) -> bool {
        let mut register = true;
        let mut position = 0;
        while let Some(step) = self.steps.get(position) {
            position += 1;
            match *step {
                Step::Test(index) => register = self.predicates[usize::from(index)].evaluate(document),
                Step::Not { .. } => register = !register,
                Step::And { end, .. } if !register => position = usize::from(end),
                Step::Or { end, .. } if register => position = usize::from(end),
                Step::And { .. } | Step::Or { .. } => {}
            }
        }
        register
    }

    /// All paths that the condition names, in the order of the text.
    pub fn paths(&self) -> impl Iterator<Item = Path<'a>> {
        self.predicates.iter().flat_map(|predicate| {
            let (operands, list) = predicate.operands();
            operands.into_iter().flatten().chain(list.iter().copied()).filter_map(|operand| operand.path())
        })
    }
}

impl<'a> Predicate<'a> {
    fn operands(&self) -> ([Option<Operand<'a>>; 3], &'a [Operand<'a>]) {
        match *self {
            Predicate::Compare(_, left, right)
            | Predicate::BeginsWith(left, right)
            | Predicate::Contains(left, right) => ([Some(left), Some(right), None], &[]),
            Predicate::Between(operands) => (operands.map(Some), &[]),
            Predicate::In(value, list) => ([Some(value), None, None], list),
            Predicate::Exists { path, .. } => ([Some(Operand::Path(path)), None, None], &[]),
            Predicate::HasType(operand, _) => ([Some(operand), None, None], &[]),
        }
    }

    fn evaluate<'d>(&self, document: &impl Document<'d>) -> bool {
        let mut digits = [itoa::Buffer::new(), itoa::Buffer::new(), itoa::Buffer::new()];
        let [first, second, third] = &mut digits;
        match self {
            Predicate::Compare(comparator, left, right) => {
                let (left, right) = (left.resolve(document, first), right.resolve(document, second));
                compare(*comparator, left, right)
            }
            Predicate::Between([value, lower, upper]) => {
                let value = value.resolve(document, first);
                compare(Comparator::GreaterEqual, value, lower.resolve(document, second))
                    && compare(Comparator::LessEqual, value, upper.resolve(document, third))
            }
            Predicate::In(value, list) => {
                let value = value.resolve(document, first);
                value.is_some() && list.iter().any(|element| value == element.resolve(document, second))
            }
            Predicate::Exists { path, expected } => path.resolve(document).is_some() == *expected,
            Predicate::HasType(operand, type_name) => {
                operand.resolve(document, first).is_some_and(|value| value.type_name() == *type_name)
            }
            Predicate::BeginsWith(text, prefix) => {
                match (text.resolve(document, first), prefix.resolve(document, second)) {
                    (Some(Value::S(text)), Some(Value::S(prefix))) => text.starts_with(prefix),
                    (Some(Value::B(bytes)), Some(Value::B(prefix))) => bytes.starts_with(prefix),
                    _ => false,
                }
            }
            Predicate::Contains(container, member) => {
                match (container.resolve(document, first), member.resolve(document, second)) {
                    (Some(container), Some(member)) => contains(container, member),
                    _ => false,
                }
            }
        }
    }
}

impl<'a> Operand<'a> {
    fn path(&self) -> Option<Path<'a>> {
        match *self {
            Operand::Path(path) | Operand::SizeOfPath(path) => Some(path),
            Operand::Value(_) | Operand::SizeOfValue(_) => None,
        }
    }

    /// The operand's value. `digits` holds the text of a number that is computed.
    fn resolve<'v, 'd: 'v>(&self, document: &impl Document<'d>, digits: &'v mut itoa::Buffer) -> Option<Value<'v>>
    where
        'a: 'v,
    {
        let sized = match *self {
            Operand::Path(path) => return path.resolve(document),
            Operand::Value(value) => return Some(value),
            Operand::SizeOfPath(path) => path.resolve(document)?,
            Operand::SizeOfValue(value) => value,
        };
        Some(Value::N(Number::from_canonical(digits.format(count(sized)?))))
    }
}

/// What `size` counts: UTF-16 units of a string, bytes of a binary, elements of anything that has elements.
fn count(value: Value<'_>) -> Option<usize> {
    match value {
        Value::S(text) if text.is_ascii() => Some(text.len()),
        Value::S(text) => Some(text.chars().map(char::len_utf16).sum()),
        Value::B(bytes) => Some(bytes.len()),
        Value::Ss(members) => Some(members.len()),
        Value::Ns(members) => Some(members.len()),
        Value::Bs(members) => Some(members.len()),
        Value::L(elements) => Some(elements.len()),
        Value::M(map) => Some(map.len()),
        Value::N(_) | Value::Bool(_) | Value::Null => None,
    }
}

fn compare(comparator: Comparator, left: Option<Value<'_>>, right: Option<Value<'_>>) -> bool {
    let (Some(left), Some(right)) = (left, right) else { return comparator == Comparator::NotEqual };
    let order = || left.compare(&right);
    match comparator {
        Comparator::Equal => left == right,
        Comparator::NotEqual => left != right,
        Comparator::Less => order() == Some(Ordering::Less),
        Comparator::LessEqual => matches!(order(), Some(Ordering::Less | Ordering::Equal)),
        Comparator::Greater => order() == Some(Ordering::Greater),
        Comparator::GreaterEqual => matches!(order(), Some(Ordering::Greater | Ordering::Equal)),
    }
}

/// Substring of a string, run of bytes in a binary, member of a set, element of a list.
fn contains(container: Value<'_>, member: Value<'_>) -> bool {
    match (container, member) {
        (Value::S(text), Value::S(part)) => memmem::find(text.as_bytes(), part.as_bytes()).is_some(),
        (Value::B(bytes), Value::B(part)) => memmem::find(bytes, part).is_some(),
        (Value::Ss(members), Value::S(member)) => members.binary_search(&member).is_ok(),
        (Value::Ns(members), Value::N(member)) => members.binary_search(&member).is_ok(),
        (Value::Bs(members), Value::B(member)) => members.binary_search(&member).is_ok(),
        (Value::L(elements), member) => elements.contains(&member),
        _ => false,
    }
}

/// The terms of one clause, resolved.
struct Clause<'t, 'a> {
    binder: &'t Binder<'t, 'a>,
    elements: Bound<'a, Element<'a>>,
    values: Bound<'a, Value<'a>>,
}

/// Checks one clause in DynamoDB's order: names, values, numbers of operands, distinct operands, operand types.
fn bind_predicate<'a>(
    binder: &Binder<'_, 'a>,
    start: Extent,
    predicate: &ast::Predicate,
) -> Result<Predicate<'a>, ExpressionError> {
    let end = predicate.end;
    let elements = binder.elements(start.elements..end.elements)?;
    let values = binder.values(start.values..end.values)?;
    for operand in binder.terms.arguments(start.operands, end.operands - start.operands) {
        if let ast::Operand::Call(call) = operand {
            binder.check_operand_count(*call)?;
        }
    }
    Clause { binder, elements, values }.bind(&predicate.test)
}

impl<'a> Clause<'_, 'a> {
    fn bind(&self, test: &Test) -> Result<Predicate<'a>, ExpressionError> {
        match *test {
            Test::Compare(comparator, left, right) => {
                self.check_counts(&[left, right])?;
                self.check_distinct(comparator.symbol(), left, right)?;
                let (left, right) = (self.operand(left)?, self.operand(right)?);
                if !matches!(comparator, Comparator::Equal | Comparator::NotEqual) {
                    self.check_ordered(comparator.symbol(), &[left, right])?;
                }
                Ok(Predicate::Compare(comparator, left, right))
            }
            Test::Between(operands) => {
                self.check_counts(&operands)?;
                let [value, lower, upper] = operands;
                let operands = [self.operand(value)?, self.operand(lower)?, self.operand(upper)?];
                self.check_ordered("BETWEEN", &operands)?;
                self.check_bounds(operands[1], operands[2])?;
                Ok(Predicate::Between(operands))
            }
            Test::In { value, first, count } => {
                self.check_counts(&[value])?;
                if count > IN_LIST_COUNT_MAX {
                    return Err(self.binder.operand_count("IN", usize::from(count) + 1));
                }
                let arena = self.binder.arena;
                let mut list = bumpalo::collections::Vec::with_capacity_in(count.into(), arena);
                for operand in self.binder.terms.arguments(first, count) {
                    list.push(self.operand(*operand)?);
                }
                Ok(Predicate::In(self.operand(value)?, list.into_bump_slice()))
            }
            Test::Call(call) => self.bind_call(call),
        }
    }

    fn bind_call(&self, call: ast::Call) -> Result<Predicate<'a>, ExpressionError> {
        self.binder.check_operand_count(call)?;
        let function = call.function;
        match (function, self.binder.terms.arguments(call.first, call.count)) {
            (Function::AttributeExists | Function::AttributeNotExists, [operand]) => {
                let ast::Operand::Path(path) = *operand else { return Err(self.binder.document_path(function)) };
                let expected = function == Function::AttributeExists;
                Ok(Predicate::Exists { path: self.elements.path(path), expected })
            }
            (Function::AttributeType, [operand, type_name]) => {
                self.check_distinct(function.name(), *operand, *type_name)?;
                Ok(Predicate::HasType(self.operand(*operand)?, self.attribute_type(*type_name)?))
            }
            (Function::BeginsWith, [text, prefix]) => {
                self.check_distinct(function.name(), *text, *prefix)?;
                let (text, prefix) = (self.operand(*text)?, self.operand(*prefix)?);
                self.check_types(function.name(), &[text, prefix], &["S", "B"])?;
                Ok(Predicate::BeginsWith(text, prefix))
            }
            (Function::Contains, [container, member]) => {
                self.check_distinct(function.name(), *container, *member)?;
                Ok(Predicate::Contains(self.operand(*container)?, self.operand(*member)?))
            }
            _ => unreachable!("the parser refuses other functions as conditions, and their operands are counted"),
        }
    }

    fn operand(&self, operand: ast::Operand) -> Result<Operand<'a>, ExpressionError> {
        let call = match operand {
            ast::Operand::Path(path) => return Ok(Operand::Path(self.elements.path(path))),
            ast::Operand::Value(index) => return Ok(Operand::Value(self.values.value(index))),
            ast::Operand::Call(call) => call,
        };
        // The parser admits no other function as an operand, and one within it yields a number, which has no size.
        match self.binder.terms.arguments(call.first, call.count) {
            [ast::Operand::Path(path)] => Ok(Operand::SizeOfPath(self.elements.path(*path))),
            [ast::Operand::Value(index)] => {
                let value = self.values.value(*index);
                match count(value) {
                    Some(_) => Ok(Operand::SizeOfValue(value)),
                    None => Err(self.binder.operand_type(Function::Size.name(), value.type_name())),
                }
            }
            _ => Err(self.binder.operand_type(Function::Size.name(), "N")),
        }
    }

    fn check_counts(&self, operands: &[ast::Operand]) -> Result<(), ExpressionError> {
        operands.iter().try_for_each(|operand| match operand {
            ast::Operand::Call(call) => self.binder.check_operand_count(*call),
            ast::Operand::Path(_) | ast::Operand::Value(_) => Ok(()),
        })
    }

    /// Refuses one path on both sides. One placeholder on both sides is fine.
    fn check_distinct(&self, operator: &str, left: ast::Operand, right: ast::Operand) -> Result<(), ExpressionError> {
        let (ast::Operand::Path(left), ast::Operand::Path(right)) = (left, right) else { return Ok(()) };
        let (left, right) = (self.elements.path(left), self.elements.path(right));
        if left != right {
            return Ok(());
        }
        Err(self.binder.invalid(format_args!(
            "The first operand must be distinct from the remaining operands for this operator or function; operator: \
             {operator}, first operand: {left}"
        )))
    }

    /// Refuses operands whose type is known and has no order.
    fn check_ordered(&self, operator: &str, operands: &[Operand<'a>]) -> Result<(), ExpressionError> {
        self.check_types(operator, operands, &["S", "N", "B"])
    }

    fn check_types(&self, operator: &str, operands: &[Operand<'a>], types: &[&str]) -> Result<(), ExpressionError> {
        let known_types = operands.iter().filter_map(|operand| match operand {
            Operand::Value(value) => Some(value.type_name()),
            Operand::SizeOfPath(_) | Operand::SizeOfValue(_) => Some("N"),
            Operand::Path(_) => None,
        });
        match known_types.into_iter().find(|known| !types.contains(known)) {
            None => Ok(()),
            Some(type_name) => Err(self.binder.operand_type(operator, type_name)),
        }
    }

    /// Refuses bounds that are both given as values and that no value can lie between.
    fn check_bounds(&self, lower: Operand<'a>, upper: Operand<'a>) -> Result<(), ExpressionError> {
        let (Operand::Value(lower), Operand::Value(upper)) = (lower, upper) else { return Ok(()) };
        let requirement = match lower.compare(&upper) {
            None => "same data type for lower and upper bounds",
            Some(Ordering::Greater) => "upper bound to be greater than or equal to lower bound",
            Some(Ordering::Less | Ordering::Equal) => return Ok(()),
        };
        Err(self.binder.invalid(format_args!(
            "The BETWEEN operator requires {requirement}; lower bound operand: AttributeValue: {}, upper bound \
             operand: AttributeValue: {}",
            describe(lower),
            describe(upper)
        )))
    }

    /// The type that a placeholder names.
    fn attribute_type(&self, operand: ast::Operand) -> Result<&'a str, ExpressionError> {
        let operator = Function::AttributeType.name();
        match operand {
            ast::Operand::Path(_) => Err(self.binder.operand_type(operator, ANY_TYPE)),
            ast::Operand::Call(_) => Err(self.binder.operand_type(operator, "N")),
            ast::Operand::Value(index) => match self.values.value(index) {
                Value::S(name @ ("S" | "SS" | "N" | "NS" | "B" | "BS" | "BOOL" | "NULL" | "L" | "M")) => Ok(name),
                Value::S(name) => Err(self.binder.invalid(format_args!(
                    "Invalid attribute type name found; type: {name}, valid types: {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}"
                ))),
                value => Err(self.binder.operand_type(operator, value.type_name())),
            },
        }
    }
}

/// A string, number or binary as DynamoDB's errors show it.
pub(super) fn describe(value: Value<'_>) -> String {
    match value {
        Value::S(text) => format!("{{S:{text}}}"),
        Value::N(number) => format!("{{N:{}}}", number.as_str()),
        Value::B(bytes) => format!("{{B:{}}}", STANDARD.encode(bytes)),
        other => format!("{{{}}}", other.type_name()),
    }
}
