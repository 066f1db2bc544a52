//! Trees to text, for logs and for the test `parse(print(tree)) == tree`.
//!
//! Operands of AND, OR and NOT that are themselves AND or OR get parentheses, except at the front of a chain of one
//! operator.

use std::fmt::{self, Display, Formatter};

use super::ast::{
    Call, Change, ConditionAst, Element, Expression, Function, Operand, Path, ProjectionAst, Step, Terms, Test,
    UpdateAst,
};

impl Terms {
    fn print_path(&self, path: Path, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (position, element) in self.path_elements(path).iter().enumerate() {
            match element {
                Element::Index(index) => write!(formatter, "[{index}]")?,
                Element::Name(word) | Element::Placeholder(word) => {
                    let separator = if position == 0 { "" } else { "." };
                    write!(formatter, "{separator}{}", self.word(*word))?;
                }
            }
        }
        Ok(())
    }

    /// Functions nest, so what is left to print is kept on a stack.
    fn print_operand(&self, operand: Operand, formatter: &mut Formatter<'_>) -> fmt::Result {
        enum Piece {
            Operand(Operand),
            Text(&'static str),
        }
        let mut pieces = vec![Piece::Operand(operand)];
        while let Some(piece) = pieces.pop() {
            match piece {
                Piece::Text(text) => formatter.write_str(text)?,
                Piece::Operand(Operand::Path(path)) => self.print_path(path, formatter)?,
                Piece::Operand(Operand::Value(index)) => self.print_value(index, formatter)?,
                Piece::Operand(Operand::Call(Call { function, first, count })) => {
                    write!(formatter, "{}(", function.name())?;
                    pieces.push(Piece::Text(")"));
                    for (position, argument) in self.arguments(first, count).iter().enumerate().rev() {
                        pieces.push(Piece::Operand(*argument));
                        pieces.push(Piece::Text(if position == 0 { "" } else { ", " }));
                    }
                }
            }
        }
        Ok(())
    }

    fn print_value(&self, index: u16, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word(self.values[usize::from(index)]))
    }

    fn print_test(&self, test: Test, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut print = |text: &str, operand| {
            formatter.write_str(text)?;
            self.print_operand(operand, formatter)
        };
        match test {
            Test::Compare(comparator, left, right) => {
                print("", left)?;
                print(&format!(" {} ", comparator.symbol()), right)
            }
            Test::Between([value, lower, upper]) => {
                print("", value)?;
                print(" BETWEEN ", lower)?;
                print(" AND ", upper)
            }
            Test::In { value, first, count } => {
                print("", value)?;
                for (position, element) in self.arguments(first, count).iter().enumerate() {
                    print(if position == 0 { " IN (" } else { ", " }, *element)?;
                }
                formatter.write_str(")")
            }
            Test::Call(call) => print("", Operand::Call(call)),
        }
    }
}

impl Display for ConditionAst {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let spans = self.spans();
        for (position, step) in (0u16..).zip(&self.steps) {
            for (_, _, opening, _) in spans.iter().filter(|(start, ..)| *start == position) {
                formatter.write_str(opening)?;
            }
            match *step {
                Step::Test(index) => self.terms.print_test(self.predicates[usize::from(index)].test, formatter)?,
                Step::And { .. } => formatter.write_str(" AND ")?,
                Step::Or { .. } => formatter.write_str(" OR ")?,
                Step::Not { .. } => {}
            }
            for (_, _, _, closing) in spans.iter().filter(|(_, end, ..)| *end == position + 1) {
                formatter.write_str(closing)?;
            }
        }
        Ok(())
    }
}

impl ConditionAst {
    /// What stands before and after the steps of each combinator, outer combinators first.
    fn spans(&self) -> Vec<(u16, u16, &'static str, &'static str)> {
        let whole = self.steps.len() as u16;
        let mut spans: Vec<_> = (0u16..)
            .zip(&self.steps)
            .filter_map(|(position, step)| match *step {
                Step::Test(_) => None,
                Step::Not { start } => Some((start, position + 1, "NOT ", "")),
                Step::And { start: 0, end } | Step::Or { start: 0, end } if end == whole => None,
                Step::And { start, end } | Step::Or { start, end } if self.leads_chain(*step, start, end) => None,
                Step::And { start, end } | Step::Or { start, end } => Some((start, end, "(", ")")),
            })
            .collect();
        spans.sort_by_key(|(start, end, ..)| (*start, std::cmp::Reverse(*end)));
        spans
    }

    /// Whether a combinator is the left side of one of its own kind, as `a AND b` is in `a AND b AND c`.
    fn leads_chain(&self, step: Step, start: u16, end: u16) -> bool {
        match (step, self.steps.get(usize::from(end))) {
            (Step::And { .. }, Some(Step::And { start: outer, .. }))
            | (Step::Or { .. }, Some(Step::Or { start: outer, .. })) => *outer == start,
            _ => false,
        }
    }
}

impl Display for ProjectionAst {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (position, path) in self.paths.iter().enumerate() {
            formatter.write_str(if position == 0 { "" } else { ", " })?;
            self.terms.print_path(*path, formatter)?;
        }
        Ok(())
    }
}

impl Display for UpdateAst {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut open_section = "";
        for action in &self.actions {
            let section = match action.change {
                Change::Set(_) => "SET",
                Change::Remove => "REMOVE",
                Change::Add(_) => "ADD",
                Change::Delete(_) => "DELETE",
            };
            match open_section {
                "" => write!(formatter, "{section} ")?,
                open if open == section => formatter.write_str(", ")?,
                _ => write!(formatter, " {section} ")?,
            }
            open_section = section;
            self.terms.print_path(action.path, formatter)?;
            self.print_change(action.change, formatter)?;
        }
        Ok(())
    }
}

impl UpdateAst {
    fn print_change(&self, change: Change, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (left, operator, right) = match change {
            Change::Remove => return Ok(()),
            Change::Add(index) | Change::Delete(index) => {
                formatter.write_str(" ")?;
                return self.terms.print_value(index, formatter);
            }
            Change::Set(Expression::Operand(operand)) => (operand, "", None),
            Change::Set(Expression::Plus(left, right)) => (left, " + ", Some(right)),
            Change::Set(Expression::Minus(left, right)) => (left, " - ", Some(right)),
        };
        formatter.write_str(" = ")?;
        self.terms.print_operand(left, formatter)?;
        formatter.write_str(operator)?;
        right.map_or(Ok(()), |right| self.terms.print_operand(right, formatter))
    }
}

impl Display for Function {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
