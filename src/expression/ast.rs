//! Parsed expressions: what the text alone says, before names and values are known.
//!
//! A tree here is a handful of flat vectors that refer to each other by 16-bit index, so parsing allocates few times,
//! dropping never recurses, and a cached tree is compact. Two vectors keep the order of the text, because errors are
//! reported in it: `elements` (all path elements) and `values` (all value placeholders). `operands` holds the arguments
//! of functions and lists, always before whatever refers to them.
//!
//! Blanks, letter case of keywords and superfluous parentheses are not part of a tree, so texts that mean the same have
//! equal trees.

use super::error::ExpressionKind;

/// A piece of [`Terms::text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    pub start: u16,
    pub end: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    Name(Word),
    /// With its `#`.
    Placeholder(Word),
    Index(u32),
}

/// A range of [`Terms::elements`]; the first is not an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    pub first: u16,
    pub count: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    Path(Path),
    /// An index into [`Terms::values`].
    Value(u16),
    Call(Call),
}

/// A function and its arguments, a range of [`Terms::operands`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub function: Function,
    pub first: u16,
    pub count: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    AttributeExists,
    AttributeNotExists,
    AttributeType,
    BeginsWith,
    Contains,
    Size,
    IfNotExists,
    ListAppend,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// The names, paths and operands of one expression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Names and placeholders one after the other, in the order of the expression.
    pub text: String,
    pub elements: Vec<Element>,
    /// With their `:`.
    pub values: Vec<Word>,
    pub operands: Vec<Operand>,
}

/// How much of [`Terms`] has been used up to some point of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    pub elements: u16,
    pub values: u16,
    pub operands: u16,
}

/// A condition, filter or key condition as a linear program over one boolean register.
///
/// `a AND NOT (b OR c)` is `Test a, And, Test b, Or, Test c, Not`: `And` and `Or` stand between their sides and jump
/// over the right one when the left one decides. No stack is needed to run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionAst {
    pub kind: ExpressionKind,
    pub terms: Terms,
    pub predicates: Vec<Predicate>,
    pub steps: Vec<Step>,
}

/// One step of a condition. A combinator knows the range of steps that are its operands and itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Sets the register to the result of a predicate, given by its index.
    Test(u16),
    /// Inverts the register. Its operand is `start..` up to this step.
    Not { start: u16 },
    /// If the register is false, goes on at `end`. Its left side begins at `start`, its right side is what lies
    /// between.
    And { start: u16, end: u16 },
    /// If the register is true, goes on at `end`.
    Or { start: u16, end: u16 },
}

/// A clause of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predicate {
    pub test: Test,
    /// The clause's terms are those between the preceding clause's end and this.
    pub end: Extent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    Compare(Comparator, Operand, Operand),
    /// Value, lower bound, upper bound.
    Between([Operand; 3]),
    /// The list is a range of [`Terms::operands`].
    In {
        value: Operand,
        first: u16,
        count: u16,
    },
    Call(Call),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionAst {
    pub terms: Terms,
    pub paths: Vec<Path>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateAst {
    pub terms: Terms,
    /// In the order of the text.
    pub actions: Vec<Action>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    pub path: Path,
    pub change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Set(Expression),
    Remove,
    /// An index into [`Terms::values`], as for `Delete`.
    Add(u16),
    Delete(u16),
}

/// The right-hand side of a SET action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expression {
    Operand(Operand),
    Plus(Operand, Operand),
    Minus(Operand, Operand),
}

impl Function {
    const ALL: [Function; 8] = [
        Function::AttributeExists,
        Function::AttributeNotExists,
        Function::AttributeType,
        Function::BeginsWith,
        Function::Contains,
        Function::Size,
        Function::IfNotExists,
        Function::ListAppend,
    ];

    /// Function names are case-sensitive.
    pub fn find(name: &str) -> Option<Function> {
        Function::ALL.into_iter().find(|function| function.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Function::AttributeExists => "attribute_exists",
            Function::AttributeNotExists => "attribute_not_exists",
            Function::AttributeType => "attribute_type",
            Function::BeginsWith => "begins_with",
            Function::Contains => "contains",
            Function::Size => "size",
            Function::IfNotExists => "if_not_exists",
            Function::ListAppend => "list_append",
        }
    }

    pub fn operand_count(self) -> usize {
        match self {
            Function::AttributeExists | Function::AttributeNotExists | Function::Size => 1,
            Function::AttributeType
            | Function::BeginsWith
            | Function::Contains
            | Function::IfNotExists
            | Function::ListAppend => 2,
        }
    }

    /// Whether the function belongs to update expressions; all others belong to conditions.
    pub fn is_for_updates(self) -> bool {
        matches!(self, Function::IfNotExists | Function::ListAppend)
    }
}

impl Comparator {
    pub fn symbol(self) -> &'static str {
        match self {
            Comparator::Equal => "=",
            Comparator::NotEqual => "<>",
            Comparator::Less => "<",
            Comparator::LessEqual => "<=",
            Comparator::Greater => ">",
            Comparator::GreaterEqual => ">=",
        }
    }

    /// The operator for the same comparison with its sides exchanged.
    pub fn mirrored(self) -> Comparator {
        match self {
            Comparator::Less => Comparator::Greater,
            Comparator::LessEqual => Comparator::GreaterEqual,
            Comparator::Greater => Comparator::Less,
            Comparator::GreaterEqual => Comparator::LessEqual,
            Comparator::Equal | Comparator::NotEqual => self,
        }
    }
}

impl Terms {
    pub fn word(&self, word: Word) -> &str {
        &self.text[usize::from(word.start)..usize::from(word.end)]
    }

    pub fn path_elements(&self, path: Path) -> &[Element] {
        &self.elements[usize::from(path.first)..][..usize::from(path.count)]
    }

    pub fn arguments(&self, first: u16, count: u16) -> &[Operand] {
        &self.operands[usize::from(first)..][..usize::from(count)]
    }

    /// How much has been used so far.
    pub fn extent(&self) -> Extent {
        Extent {
            elements: self.elements.len() as u16,
            values: self.values.len() as u16,
            operands: self.operands.len() as u16,
        }
    }

    /// Heap memory, for the cache's budget.
    fn memory_bytes(&self) -> usize {
        self.text.capacity()
            + self.elements.capacity() * size_of::<Element>()
            + self.values.capacity() * size_of::<Word>()
            + self.operands.capacity() * size_of::<Operand>()
    }
}

impl ConditionAst {
    pub fn memory_bytes(&self) -> usize {
        self.terms.memory_bytes()
            + self.predicates.capacity() * size_of::<Predicate>()
            + self.steps.capacity() * size_of::<Step>()
    }
}

impl ProjectionAst {
    pub fn memory_bytes(&self) -> usize {
        self.terms.memory_bytes() + self.paths.capacity() * size_of::<Path>()
    }
}

impl UpdateAst {
    pub fn memory_bytes(&self) -> usize {
        self.terms.memory_bytes() + self.actions.capacity() * size_of::<Action>()
    }
}
