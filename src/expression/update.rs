//! Updates: bound to a request's values, then applied to an item.
//!
//! All right-hand sides read the item as it was, so the order of actions does not matter. Targets do not overlap, so
//! the actions, sorted by path, form a tree that mirrors the item, and applying them is one merge of two sorted
//! structures: untouched values are shared with the old item, not copied.
//!
//! Invariants: actions are sorted by path; no target contains or conflicts with another; recursion follows the old
//! item's own nesting, which is bounded by [`NESTING_DEPTH_MAX`].

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;

use crate::model::limits::{ITEM_BYTES_MAX, NESTING_DEPTH_MAX};
use crate::model::{Attribute, Document, Item, KeySchema, Map, Value};

use super::ast::{self, Function, UpdateAst};
use super::bind::{Binder, Bound};
use super::error::{ExpressionError, ExpressionKind, UpdateError};
use super::path::{Element, Located, Path, children, sort_disjoint};
use super::projection::project_document;
use super::set;
use super::substitution::Substitutions;

/// A bound update.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    actions: &'a [Action<'a>],
    /// What the actions' operands refer to by index.
    sources: &'a [Source<'a>],
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Action<'a> {
    pub path: Path<'a>,
    pub change: Change<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Change<'a> {
    Set(Expression<'a>),
    Remove,
    /// A number to add to a number, or a set to unite with a set.
    Add(Value<'a>),
    /// A set to take out of a set.
    Delete(Value<'a>),
    /// The legacy ADD: as `Add`, and lists are appended.
    LegacyAdd(Value<'a>),
    /// The legacy DELETE with a value.
    LegacyDelete(Value<'a>),
}

/// The right-hand side of a SET.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expression<'a> {
    Source(Source<'a>),
    Plus(Source<'a>, Source<'a>),
    Minus(Source<'a>, Source<'a>),
}

/// Where a value comes from. Indexes refer to [`Update::sources`], always to earlier ones than the referring one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    Path(Path<'a>),
    Value(Value<'a>),
    IfNotExists { path: Path<'a>, default: u16 },
    ListAppend { front: u16, back: u16 },
}

impl<'a> Located<'a> for Action<'a> {
    fn path(&self) -> Path<'a> {
        self.path
    }
}

impl UpdateAst {
    /// Gives names and values their meaning, and checks targets, then operands.
    pub fn bind<'a>(&self, substitutions: &Substitutions<'a>, arena: &'a Bump) -> Result<Update<'a>, ExpressionError> {
        let binder = Binder::new(ExpressionKind::Update, &self.terms, substitutions, arena);
        let extent = self.terms.extent();
        let elements = binder.elements(0..extent.elements)?;
        let values = binder.values(0..extent.values)?;
        let targets = arena.alloc_slice_fill_iter(self.actions.iter().map(|action| elements.path(action.path)));
        sort_disjoint(ExpressionKind::Update, targets, arena)?;
        let sides = RightHandSides { binder: &binder, elements, values };
        sides.check_add_and_delete(&self.actions)?;
        let sources = sides.bind_sources()?;
        let mut actions = ArenaVec::with_capacity_in(self.actions.len(), arena);
        for (action, path) in self.actions.iter().zip(targets.iter()) {
            actions.push(Action { path: *path, change: sides.bind_change(action.change, sources)? });
        }
        Ok(Update::new(actions, sources))
    }
}

impl<'a> Update<'a> {
    /// An update without actions: it creates the item if there is none.
    pub const NOTHING: Update<'static> = Update { actions: &[], sources: &[] };

    /// The targets must be disjoint.
    pub(super) fn new(actions: ArenaVec<'a, Action<'a>>, sources: &'a [Source<'a>]) -> Update<'a> {
        let actions = actions.into_bump_slice_mut();
        actions.sort_unstable_by_key(Located::path);
        Update { actions, sources }
    }

    /// What the actions change, sorted.
    pub fn targets(&self) -> impl Iterator<Item = Path<'a>> {
        self.actions.iter().map(|action| action.path)
    }

    /// Refuses targets that are, or lie in, attributes of the table's key.
    pub fn check_key(&self, key: &KeySchema) -> Result<(), UpdateError> {
        match self.targets().find(|target| key.contains(target.name())) {
            None => Ok(()),
            Some(target) if target.is_nested() => Err(UpdateError::NestedKey(target.name().to_owned())),
            Some(target) => Err(UpdateError::KeyAttribute(target.name().to_owned())),
        }
    }

    /// The item that the update makes of `old`. Where there is no item it begins with `key`, and an update that only
    /// takes away leaves none (`None`).
    pub fn apply<'s>(
        &self,
        old: Option<Item<'s>>,
        key: Item<'s>,
        arena: &'s Bump,
    ) -> Result<Option<Item<'s>>, UpdateError>
    where
        'a: 's,
    {
        if old.is_none() && !self.actions.is_empty() && self.actions.iter().all(|action| action.change.only_removes()) {
            return Ok(None);
        }
        let document = old.unwrap_or(Map::EMPTY);
        let application = Application { update: self, old: document, item_exists: old.is_some(), arena };
        // A missing item has no attributes to read, but it gets the attributes of its key.
        let base = old.unwrap_or(key);
        let mut list_elements = 0;
        let new = application.merge_map(base, self.actions, 0, &mut list_elements)?;
        Ok(Some(new))
    }

    /// The touched parts of an item: of the old one for UPDATED_OLD, of the new one for UPDATED_NEW. Empty if there are
    /// none.
    pub fn touched<'d>(&self, item: &impl Document<'d>, arena: &'d Bump) -> Item<'d>
    where
        'a: 'd,
    {
        project_document(self.actions, item, arena)
    }
}

impl Change<'_> {
    fn only_removes(&self) -> bool {
        match self {
            Change::Remove | Change::Delete(_) | Change::LegacyDelete(_) => true,
            Change::Set(_) | Change::Add(_) | Change::LegacyAdd(_) => false,
        }
    }
}

/// One application of an update to one item.
struct Application<'u, 'a, 's> {
    update: &'u Update<'a>,
    old: Item<'s>,
    item_exists: bool,
    arena: &'s Bump,
}

impl<'a: 's, 's> Application<'_, 'a, 's> {
    /// A map with the actions whose paths lead into it at `level` done. `list_elements` counts what list_append made.
    fn merge_map(
        &self,
        map: Map<'s>,
        actions: &[Action<'a>],
        level: usize,
        list_elements: &mut usize,
    ) -> Result<Map<'s>, UpdateError> {
        let mut old = map.iter().copied().peekable();
        let mut new = ArenaVec::with_capacity_in(map.len() + actions.len(), self.arena);
        for (element, group) in children(actions, level) {
            let Element::Name(name) = element else { return Err(UpdateError::DocumentPath) };
            while let Some(before) = old.next_if(|attribute| attribute.name < name) {
                new.push(before);
            }
            let current = old.next_if(|attribute| attribute.name == name).map(|attribute| attribute.value);
            let value = self.change(current, group, level + 1, list_elements)?;
            new.extend(value.map(|value| Attribute { name, value }));
        }
        new.extend(old);
        Ok(Map::from_sorted(new.into_bump_slice()))
    }

    /// A list with the actions done. Indexes are those of the old list; what is set past its end is appended.
    fn merge_list(
        &self,
        list: &'s [Value<'s>],
        actions: &[Action<'a>],
        level: usize,
        list_elements: &mut usize,
    ) -> Result<&'s [Value<'s>], UpdateError> {
        let mut new = ArenaVec::with_capacity_in(list.len() + actions.len(), self.arena);
        let mut copied = 0;
        for (element, group) in children(actions, level) {
            let Element::Index(index) = element else { return Err(UpdateError::DocumentPath) };
            let index = list.len().min(index as usize);
            new.extend_from_slice(&list[copied..index]);
            copied = list.len().min(index + 1);
            new.extend(self.change(list.get(index).copied(), group, level + 1, list_elements)?);
        }
        new.extend_from_slice(&list[copied..]);
        Ok(new.into_bump_slice())
    }

    /// What becomes of a value that the actions' first `level` elements lead to; `None` is no value.
    fn change(
        &self,
        current: Option<Value<'s>>,
        actions: &[Action<'a>],
        level: usize,
        list_elements: &mut usize,
    ) -> Result<Option<Value<'s>>, UpdateError> {
        if actions[0].path.elements().len() == level {
            return self.change_target(current, &actions[0], list_elements);
        }
        match (current, actions[0].path.elements()[level]) {
            (Some(Value::M(map)), Element::Name(_)) => {
                Ok(Some(Value::M(self.merge_map(map, actions, level, list_elements)?)))
            }
            (Some(Value::L(list)), Element::Index(_)) => {
                Ok(Some(Value::L(self.merge_list(list, actions, level, list_elements)?)))
            }
            (None, _) if !self.item_exists && actions.iter().all(|action| action.change.only_removes()) => Ok(None),
            _ => Err(UpdateError::DocumentPath),
        }
    }

    fn change_target(
        &self,
        current: Option<Value<'s>>,
        action: &Action<'a>,
        list_elements: &mut usize,
    ) -> Result<Option<Value<'s>>, UpdateError> {
        let new = match action.change {
            Change::Remove => None,
            Change::Set(expression) => Some(self.evaluate(expression, list_elements)?),
            Change::Add(operand) => Some(self.add(current, operand)?.ok_or(UpdateError::OperandType)?),
            Change::LegacyAdd(operand) => Some(match (current, operand) {
                (Some(Value::L(front)), Value::L(back)) => Value::L(self.concatenate(front, back)),
                (None, operand) => operand,
                _ => self.add(current, operand)?.ok_or(UpdateError::LegacyType)?,
            }),
            Change::Delete(_) | Change::LegacyDelete(_) if current.is_none() => None,
            Change::Delete(operand) => self.delete(current, operand).ok_or(UpdateError::OperandType)?,
            Change::LegacyDelete(operand) => self.delete(current, operand).ok_or(UpdateError::LegacyType)?,
        };
        if let Some(value @ (Value::L(_) | Value::M(_))) = new {
            let levels_above = action.path.elements().len() - 1;
            if levels_above + value.depth() > NESTING_DEPTH_MAX {
                return Err(UpdateError::Nesting);
            }
        }
        Ok(new)
    }

    /// The sum or union; `None` if the types do not go together.
    fn add(&self, current: Option<Value<'s>>, operand: Value<'a>) -> Result<Option<Value<'s>>, UpdateError> {
        let arena = self.arena;
        Ok(match (current, operand) {
            (None, operand) => Some(operand),
            (Some(Value::N(left)), Value::N(right)) => Some(Value::N(left.add(right, arena)?)),
            (Some(Value::Ss(left)), Value::Ss(right)) => Some(Value::Ss(set::union(left, right, arena))),
            (Some(Value::Ns(left)), Value::Ns(right)) => Some(Value::Ns(set::union(left, right, arena))),
            (Some(Value::Bs(left)), Value::Bs(right)) => Some(Value::Bs(set::union(left, right, arena))),
            _ => None,
        })
    }

    /// What is left of a set, which is no attribute if nothing is; `None` if the types do not go together.
    fn delete(&self, current: Option<Value<'s>>, operand: Value<'a>) -> Option<Option<Value<'s>>> {
        let arena = self.arena;
        match (current, operand) {
            (Some(Value::Ss(left)), Value::Ss(right)) => Some(set::difference(left, right, arena).map(Value::Ss)),
            (Some(Value::Ns(left)), Value::Ns(right)) => Some(set::difference(left, right, arena).map(Value::Ns)),
            (Some(Value::Bs(left)), Value::Bs(right)) => Some(set::difference(left, right, arena).map(Value::Bs)),
            _ => None,
        }
    }

    fn evaluate(&self, expression: Expression<'a>, list_elements: &mut usize) -> Result<Value<'s>, UpdateError> {
        let number = |source| match self.resolve(source) {
            Source::ListAppend { .. } => Err(UpdateError::OperandType),
            leaf => match self.leaf(leaf)? {
                Value::N(number) => Ok(number),
                _ => Err(UpdateError::OperandType),
            },
        };
        Ok(match expression {
            Expression::Plus(left, right) => Value::N(number(left)?.add(number(right)?, self.arena)?),
            Expression::Minus(left, right) => Value::N(number(left)?.subtract(number(right)?, self.arena)?),
            Expression::Source(source) => match self.resolve(source) {
                Source::ListAppend { front, back } => Value::L(self.append(front, back, list_elements)?),
                leaf => self.leaf(leaf)?,
            },
        })
    }

    /// Decides every `if_not_exists` on the way to a path, a value or a list_append.
    fn resolve(&self, source: Source<'a>) -> Source<'a> {
        let mut source = source;
        while let Source::IfNotExists { path, default } = source {
            source = match path.resolve(&self.old) {
                Some(_) => Source::Path(path),
                None => self.update.sources[usize::from(default)],
            };
        }
        source
    }

    fn leaf(&self, source: Source<'a>) -> Result<Value<'s>, UpdateError> {
        match source {
            Source::Value(value) => Ok(value),
            Source::Path(path) => path.resolve(&self.old).ok_or(UpdateError::MissingOperand),
            Source::IfNotExists { .. } | Source::ListAppend { .. } => unreachable!("resolve ends at leaves"),
        }
    }

    /// All lists that nested list_appends join, in one copy. Each element takes a byte of the item at least, so an
    /// update that makes more elements than an item has bytes is given up before it fills the memory.
    fn append(&self, front: u16, back: u16, list_elements: &mut usize) -> Result<&'s [Value<'s>], UpdateError> {
        let sources = self.update.sources;
        // The stack first, and large enough: then the elements are the arena's last allocation, which grows in place.
        let mut open = ArenaVec::with_capacity_in(sources.len() + 1, self.arena);
        let mut elements = ArenaVec::new_in(self.arena);
        open.extend([back, front]);
        while let Some(index) = open.pop() {
            match self.resolve(sources[usize::from(index)]) {
                Source::ListAppend { front, back } => open.extend([back, front]),
                leaf => {
                    let Value::L(list) = self.leaf(leaf)? else { return Err(UpdateError::OperandType) };
                    *list_elements += list.len();
                    if *list_elements > ITEM_BYTES_MAX {
                        return Err(UpdateError::ItemSize);
                    }
                    elements.extend_from_slice(list);
                }
            }
        }
        Ok(elements.into_bump_slice())
    }

    fn concatenate(&self, front: &[Value<'s>], back: &[Value<'s>]) -> &'s [Value<'s>] {
        let mut elements = ArenaVec::with_capacity_in(front.len() + back.len(), self.arena);
        elements.extend_from_slice(front);
        elements.extend_from_slice(back);
        elements.into_bump_slice()
    }
}

/// Binds what the actions take their values from.
struct RightHandSides<'t, 'a> {
    binder: &'t Binder<'t, 'a>,
    elements: Bound<'a, Element<'a>>,
    values: Bound<'a, Value<'a>>,
}

impl<'a> RightHandSides<'_, 'a> {
    fn check_add_and_delete(&self, actions: &[ast::Action]) -> Result<(), ExpressionError> {
        for action in actions {
            let (operator, value, numbers) = match action.change {
                ast::Change::Add(index) => ("ADD", self.values.value(index), true),
                ast::Change::Delete(index) => ("DELETE", self.values.value(index), false),
                ast::Change::Set(_) | ast::Change::Remove => continue,
            };
            let type_name = match value {
                Value::Ss(_) | Value::Ns(_) | Value::Bs(_) => continue,
                Value::N(_) if numbers => continue,
                Value::N(_) => "NUMBER",
                Value::S(_) => "STRING",
                Value::B(_) => "BINARY",
                Value::Bool(_) => "BOOLEAN",
                Value::Null => "NULL",
                Value::L(_) => "LIST",
                Value::M(_) => "MAP",
            };
            return Err(self.binder.invalid(format_args!(
                "Incorrect operand type for operator or function; operator: {operator}, operand type: {type_name}"
            )));
        }
        Ok(())
    }

    /// The functions' arguments. They stand before what refers to them, so one pass suffices.
    fn bind_sources(&self) -> Result<&'a [Source<'a>], ExpressionError> {
        let operands = &self.binder.terms.operands;
        let mut sources = ArenaVec::with_capacity_in(operands.len(), self.binder.arena);
        for operand in operands {
            let source = self.bind_source(*operand, &sources)?;
            sources.push(source);
        }
        Ok(sources.into_bump_slice())
    }

    fn bind_source(&self, operand: ast::Operand, earlier: &[Source<'a>]) -> Result<Source<'a>, ExpressionError> {
        let call = match operand {
            ast::Operand::Path(path) => return Ok(Source::Path(self.elements.path(path))),
            ast::Operand::Value(index) => return Ok(Source::Value(self.values.value(index))),
            ast::Operand::Call(call) => call,
        };
        self.binder.check_operand_count(call)?;
        let second = call.first + 1;
        if call.function == Function::IfNotExists {
            return match earlier[usize::from(call.first)] {
                Source::Path(path) => Ok(Source::IfNotExists { path, default: second }),
                _ => Err(self.binder.document_path(call.function)),
            };
        }
        for argument in [call.first, second] {
            match earlier[usize::from(argument)] {
                Source::Value(Value::L(_)) => {}
                Source::Value(value) => {
                    return Err(self.binder.operand_type(call.function.name(), value.type_name()));
                }
                Source::Path(_) | Source::IfNotExists { .. } | Source::ListAppend { .. } => {}
            }
        }
        Ok(Source::ListAppend { front: call.first, back: second })
    }

    fn bind_change(&self, change: ast::Change, sources: &'a [Source<'a>]) -> Result<Change<'a>, ExpressionError> {
        Ok(match change {
            ast::Change::Remove => Change::Remove,
            ast::Change::Add(index) => Change::Add(self.values.value(index)),
            ast::Change::Delete(index) => Change::Delete(self.values.value(index)),
            ast::Change::Set(expression) => Change::Set(match expression {
                ast::Expression::Operand(operand) => Expression::Source(self.bind_source(operand, sources)?),
                ast::Expression::Plus(left, right) => {
                    Expression::Plus(self.bind_number("+", left, sources)?, self.bind_number("+", right, sources)?)
                }
                ast::Expression::Minus(left, right) => {
                    Expression::Minus(self.bind_number("-", left, sources)?, self.bind_number("-", right, sources)?)
                }
            }),
        })
    }

    /// One side of a sum.
    fn bind_number(
        &self,
        operator: &str,
        operand: ast::Operand,
        sources: &'a [Source<'a>],
    ) -> Result<Source<'a>, ExpressionError> {
        match self.bind_source(operand, sources)? {
            Source::Value(value) if !matches!(value, Value::N(_)) => {
                Err(self.binder.operand_type(operator, value.type_name()))
            }
            Source::ListAppend { .. } => Err(self.binder.operand_type(operator, "L")),
            source => Ok(source),
        }
    }
}
