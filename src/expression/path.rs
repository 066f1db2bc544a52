//! Document paths with their names filled in.
//!
//! Paths are ordered by their elements, indexes before names, so that in a sorted list all paths through one parent
//! stand together and every path stands right before the first one that it contains. Projections and updates walk
//! sorted lists level by level ([`children`]).

use std::cmp::Ordering;
use std::fmt;

use bumpalo::Bump;

use crate::model::{Document, Value};

use super::error::{ExpressionError, ExpressionKind};

/// One step into a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    Index(u32),
    Name(&'a str),
}

/// A top-level attribute, or something inside one.
///
/// Invariant: there is a first element, and it is a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path<'a>(&'a [Element<'a>]);

impl<'a> Path<'a> {
    pub(super) fn new(elements: &'a [Element<'a>]) -> Path<'a> {
        debug_assert!(matches!(elements, [Element::Name(_), ..]));
        Path(elements)
    }

    /// The path of a top-level attribute.
    pub(super) fn of_attribute(name: &'a str, arena: &'a Bump) -> Path<'a> {
        Path(arena.alloc([Element::Name(name)]))
    }

    /// The top-level attribute.
    pub fn name(&self) -> &'a str {
        match self.0 {
            [Element::Name(name), ..] => name,
            _ => unreachable!("a path begins with a name"),
        }
    }

    pub fn elements(&self) -> &'a [Element<'a>] {
        self.0
    }

    /// Whether the path leads into an attribute.
    pub fn is_nested(&self) -> bool {
        self.0.len() > 1
    }

    /// What stands at the path.
    pub fn resolve<'d>(&self, document: &impl Document<'d>) -> Option<Value<'d>> {
        let mut value = document.attribute(self.name())?;
        for element in &self.0[1..] {
            value = match (value, *element) {
                (Value::M(map), Element::Name(name)) => map.get(name)?,
                (Value::L(elements), Element::Index(index)) => *elements.get(index as usize)?,
                _ => return None,
            };
        }
        Some(value)
    }

    fn contains(&self, other: &Path<'_>) -> bool {
        self.0.len() <= other.0.len() && self.0.iter().zip(other.0).all(|(left, right)| left == right)
    }

    /// The paths use one parent as a map and as a list.
    fn conflicts_with(&self, other: &Path<'_>) -> bool {
        let different = self.0.iter().zip(other.0).find(|(left, right)| left != right);
        matches!(different, Some((Element::Name(_), Element::Index(_)) | (Element::Index(_), Element::Name(_))))
    }
}

impl Ord for Element<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Element::Index(left), Element::Index(right)) => left.cmp(right),
            (Element::Index(_), Element::Name(_)) => Ordering::Less,
            (Element::Name(_), Element::Index(_)) => Ordering::Greater,
            // One placeholder may be used a thousand times and stand for 64 KB.
            (Element::Name(left), Element::Name(right)) if std::ptr::eq(*left, *right) => Ordering::Equal,
            (Element::Name(left), Element::Name(right)) => left.cmp(right),
        }
    }
}

impl PartialOrd for Element<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As DynamoDB's errors show paths: `[a, [1], b]`.
impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, element) in self.0.iter().enumerate() {
            formatter.write_str(if position == 0 { "[" } else { ", " })?;
            match element {
                Element::Name(name) => formatter.write_str(name)?,
                Element::Index(index) => write!(formatter, "[{index}]")?,
            }
        }
        formatter.write_str("]")
    }
}

impl fmt::Debug for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Something that stands at a path: the path itself, or an update's action.
pub(super) trait Located<'a>: Copy {
    fn path(&self) -> Path<'a>;
}

impl<'a> Located<'a> for Path<'a> {
    fn path(&self) -> Path<'a> {
        *self
    }
}

/// Splits a sorted list, all of whose paths share their first `level` elements, by the element at `level`.
pub(super) fn children<'a, 'p, T: Located<'a>>(
    located: &'p [T],
    level: usize,
) -> impl Iterator<Item = (Element<'a>, &'p [T])> {
    let element = move |item: &T| item.path().0[level];
    located.chunk_by(move |left, right| element(left) == element(right)).map(move |group| (element(&group[0]), group))
}

/// Copies a list of paths and sorts it, or refuses it because of two paths that overlap or, failing that, conflict.
pub(super) fn sort_disjoint<'a, T: Located<'a>>(
    kind: ExpressionKind,
    located: &[T],
    arena: &'a Bump,
) -> Result<&'a mut [T], ExpressionError> {
    let sorted = arena.alloc_slice_copy(located);
    sorted.sort_unstable_by_key(Located::path);
    check_pairs(kind, "overlap", located, sorted, |one, two| one.contains(two) || two.contains(one))?;
    check_pairs(kind, "conflict", located, sorted, |one, two| one.conflicts_with(two))?;
    Ok(sorted)
}

/// If any two paths of a sorted list are in one of the two relations, then so are two neighbours.
fn check_pairs<'a, T: Located<'a>>(
    kind: ExpressionKind,
    relation_name: &str,
    located: &[T],
    sorted: &[T],
    related: impl Fn(&Path<'a>, &Path<'a>) -> bool,
) -> Result<(), ExpressionError> {
    let has_pair = |sorted: &[T]| sorted.windows(2).any(|pair| related(&pair[0].path(), &pair[1].path()));
    if !has_pair(sorted) {
        return Ok(());
    }
    // Bisecting for the first path that is related to an earlier one keeps thousands of paths cheap to refuse.
    let (mut without, mut with) = (1, located.len());
    while without + 1 < with {
        let middle = without.midpoint(with);
        let mut prefix = located[..middle].to_vec();
        prefix.sort_unstable_by_key(Located::path);
        if has_pair(&prefix) {
            with = middle;
        } else {
            without = middle;
        }
    }
    let two = located[with - 1].path();
    let one = located[..with - 1].iter().map(Located::path).find(|one| related(one, &two)).unwrap_or(two);
    Err(ExpressionError::invalid(
        kind,
        format_args!(
            "Two document paths {relation_name} with each other; must remove or rewrite one of these paths; path one: \
             {one}, path two: {two}"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Element::{Index, Name};
    use proptest::collection::vec;

    #[test]
    fn related_paths_are_neighbours_in_order() {
        let (a, b) = ([Name("a")], [Name("b")]);
        let (a0, a10, a_b) = ([Name("a"), Index(0)], [Name("a"), Index(10)], [Name("a"), Name("b")]);
        let a0c = [Name("a"), Index(0), Name("c")];
        let mut paths = [&b[..], &a_b, &a10, &a0c, &a0, &a].map(Path::new);
        paths.sort_unstable();
        assert_eq!(paths, [&a[..], &a0, &a0c, &a10, &a_b, &b].map(Path::new));
    }

    /// Every pair, in the order in which a reader meets them.
    fn first_pair<'a>(paths: &[Path<'a>], related: impl Fn(&Path, &Path) -> bool) -> Option<(Path<'a>, Path<'a>)> {
        (0..paths.len())
            .find_map(|two| paths[..two].iter().find(|one| related(one, &paths[two])).map(|one| (*one, paths[two])))
    }

    proptest::proptest! {
        #[test]
        fn finds_the_first_related_pair(codes in vec(vec(0u32..5, 1..4), 1..9)) {
            let arena = Bump::new();
            let paths: Vec<Path> = codes.iter().map(|codes| {
                let elements = codes.iter().enumerate().map(|(position, &code)| match code {
                    0 | 1 if position > 0 => Index(code),
                    _ => Name(["a", "b", "c", "d", "e"][code as usize]),
                });
                Path::new(arena.alloc_slice_fill_iter(elements.collect::<Vec<_>>()))
            }).collect();
            let expected = first_pair(&paths, |one, two| one.contains(two) || two.contains(one))
                .map(|pair| ("overlap", pair))
                .or_else(|| first_pair(&paths, |one, two| one.conflicts_with(two)).map(|pair| ("conflict", pair)));
            let seen = sort_disjoint(ExpressionKind::Projection, &paths, &arena).map(|sorted| sorted.len());
            match (seen, expected) {
                (Ok(count), None) => proptest::prop_assert_eq!(count, paths.len()),
                (Err(error), Some((relation, (one, two)))) => {
                    let text = format!("paths {relation} with each other; must remove or rewrite one of these paths; \
                        path one: {one}, path two: {two}");
                    proptest::prop_assert!(error.message().ends_with(&text), "{} / {}", error, text);
                }
                (seen, expected) => proptest::prop_assert!(false, "{:?} / {:?}", seen, expected),
            }
        }
    }
}
