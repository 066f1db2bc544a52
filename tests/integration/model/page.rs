//! Query and Scan: what a page shows of the items that it evaluates, and where the next one begins.

use serde_json::{Value as Json, json};

use super::capacity::{Halves, Report, read_halves};
use super::database::{Database, Operation, Outcome, View, schema};
use super::expression::{Comparison, Condition, Path, Placeholders, attribute, project};
use super::schema::{Index, Key};
use super::value::{Item, answered, item_size, sent};

/// A page ends with the item that brings it to this.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// A table or an index of it.
#[derive(Clone, Copy)]
pub struct Source {
    pub table: usize,
    pub index: Option<&'static Index>,
}

impl Source {
    pub fn hash_names(&self) -> Vec<&'static str> {
        self.index.map_or_else(|| vec![schema(self.table).hash], |index| index.hash.to_vec())
    }

    pub fn range_names(&self) -> Vec<&'static str> {
        self.index.map_or_else(|| schema(self.table).range.into_iter().collect(), |index| index.range.to_vec())
    }

    pub fn is_global(&self) -> bool {
        self.index.is_some_and(|index| !index.is_local)
    }

    pub fn projects(&self, name: &str) -> bool {
        self.index.is_none_or(|index| index.projects(schema(self.table), name))
    }

    /// What the source holds of an item of the table.
    pub fn row(&self, item: &Item) -> Option<Item> {
        self.index.map_or_else(|| Some(item.clone()), |index| index.entry(schema(self.table), item))
    }

    /// The items that it has rows of.
    pub fn items<'d>(&self, database: &'d Database) -> Vec<&'d Item> {
        database.tables[self.table].values().filter(|item| self.row(item).is_some()).collect()
    }

    /// Orders the rows of a partition: by sort key, then by primary key.
    pub fn order(&self, item: &Item) -> (Key, Key) {
        (self.range_names().iter().map(|name| item[*name].clone()).collect(), schema(self.table).key_of(item))
    }

    /// LastEvaluatedKey: the key of the row and that of the table.
    pub fn row_key(&self, item: &Item) -> Item {
        let names = [self.hash_names(), self.range_names(), schema(self.table).key_names().collect()].concat();
        names.iter().map(|name| ((*name).to_owned(), item[*name].clone())).collect()
    }
}

/// Select and the projection.
#[derive(Clone)]
pub enum Show {
    /// All that the source holds.
    Row,
    Count,
    Paths(Vec<Path>),
    /// Select=ALL_ATTRIBUTES: a local index has the rest fetched from the table.
    AllAttributes,
}

/// What Query and Scan have in common.
#[derive(Clone)]
pub struct Page {
    pub source: Source,
    pub limit: Option<usize>,
    pub filter: Option<Condition>,
    pub show: Show,
    pub consistent: bool,
    pub report: Report,
}

impl Page {
    /// Everything of the source.
    pub fn all(source: Source) -> Page {
        Page { source, limit: None, filter: None, show: Show::Row, consistent: false, report: Report::None }
    }

    pub fn parameters(&self, placeholders: &mut Placeholders) -> Json {
        let mut request = json!({"TableName": schema(self.source.table).name, "ConsistentRead": self.consistent});
        if let Some(index) = self.source.index {
            request["IndexName"] = json!(index.name);
        }
        if let Some(limit) = self.limit {
            request["Limit"] = json!(limit);
        }
        if let Some(filter) = &self.filter {
            request["FilterExpression"] = json!(filter.text(placeholders));
        }
        match &self.show {
            Show::Row => {}
            Show::Count => request["Select"] = json!("COUNT"),
            Show::AllAttributes => request["Select"] = json!("ALL_ATTRIBUTES"),
            Show::Paths(paths) => request["ProjectionExpression"] = json!(placeholders.projection(paths)),
        }
        self.report.parameter(&mut request);
        request
    }

    /// Whether a local index lacks something that is asked for.
    fn fetches(&self) -> bool {
        let Some(index) = self.source.index.filter(|index| index.is_local) else { return false };
        let lacks = |name: &str| !index.projects(schema(self.source.table), name);
        let shown = match &self.show {
            Show::Row | Show::Count => false,
            Show::AllAttributes => !matches!(index.projection, super::schema::Projection::All),
            Show::Paths(paths) => paths.iter().any(|path| lacks(attribute(path))),
        };
        let filtered = self.filter.iter().flat_map(Condition::attributes).any(lacks);
        shown || filtered
    }

    /// The answer for the items that are left, in their order, and how many of them it took.
    pub fn answer(&self, items: &[&Item]) -> (Json, usize) {
        let (mut row_bytes, mut fetched, mut evaluated) = (0, 0, 0);
        let mut shown = Vec::new();
        let mut is_full = false;
        for item in items {
            let row = self.source.row(item).unwrap_or_default();
            row_bytes += item_size(&row);
            evaluated += 1;
            let visible = if self.fetches() {
                fetched += read_halves(item_size(item), self.consistent);
                (*item).clone()
            } else {
                row
            };
            if self.filter.as_ref().is_none_or(|filter| filter.holds(&visible)) {
                shown.push(match &self.show {
                    Show::Paths(paths) => answered(&project(&visible, paths)),
                    _ => answered(&visible),
                });
            }
            is_full = self.limit == Some(evaluated) || row_bytes >= PAGE_BYTES_MAX;
            if is_full {
                break;
            }
        }
        let mut answer = json!({"Count": shown.len(), "ScannedCount": evaluated});
        if is_full {
            answer["LastEvaluatedKey"] = answered(&self.source.row_key(items[evaluated - 1]));
        }
        if !matches!(self.show, Show::Count) {
            answer["Items"] = shown.into();
        }
        let halves = match self.source.index {
            None => Halves::read(row_bytes, self.consistent),
            Some(index) => Halves::read_index(index, read_halves(row_bytes, self.consistent), fetched),
        };
        self.report.answer(&mut answer, schema(self.source.table).name, &halves);
        (answer, evaluated)
    }
}

#[derive(Clone)]
pub struct Query {
    pub page: Page,
    /// Clauses of KeyConditionExpression.
    pub key: Vec<Condition>,
    pub forward: bool,
    /// The item that the page before ended with.
    pub start: Option<Item>,
}

impl Query {
    /// Whether the condition names one item of a table.
    fn names_one_item(&self) -> bool {
        let equalities = self.key.iter().filter(|clause| matches!(clause, Condition::Compare(_, Comparison::Equal, _)));
        self.page.source.index.is_none() && equalities.count() == schema(self.page.source.table).key_names().count()
    }

    /// The items that are left to be evaluated.
    fn items<'d>(&self, database: &'d Database) -> Vec<&'d Item> {
        let source = self.page.source;
        let mut items = source.items(database);
        items.retain(|item| self.key.iter().all(|clause| clause.holds(item)));
        items.sort_by_cached_key(|item| source.order(item));
        if !self.forward {
            items.reverse();
        }
        if let Some(start) = &self.start {
            let start = source.order(start);
            let is_left =
                |item: &&Item| if self.forward { source.order(item) > start } else { source.order(item) < start };
            items.retain(is_left);
        }
        items
    }

    /// The request for the next page, if this one ended before the end.
    pub fn next(&self, database: &Database) -> Option<Query> {
        let items = self.items(database);
        let (answer, evaluated) = self.page.answer(&items);
        answer.get("LastEvaluatedKey")?;
        Some(Query { start: Some(self.page.source.row_key(items[evaluated - 1])), ..self.clone() })
    }
}

impl Operation for Query {
    fn name(&self) -> &'static str {
        "Query"
    }

    fn parameters(&self) -> Json {
        let mut placeholders = Placeholders::default();
        let mut request = self.page.parameters(&mut placeholders);
        let clauses: Vec<String> = self.key.iter().map(|clause| clause.text(&mut placeholders)).collect();
        request["KeyConditionExpression"] = json!(clauses.join(" AND "));
        request["ScanIndexForward"] = json!(self.forward);
        if let Some(start) = &self.start {
            request["ExclusiveStartKey"] = sent(&self.page.source.row_key(start));
        }
        placeholders.finish(&mut request);
        request
    }

    fn outcome(&self, database: &Database, _: View) -> Outcome {
        if self.start.is_some() && self.names_one_item() {
            return Outcome::invalid("The query can return at most one row and cannot be restarted");
        }
        Outcome::success(self.page.answer(&self.items(database)).0)
    }
}

/// Scan. Its order is the server's, so the model cannot foretell a page without having seen the items in this order.
#[derive(Clone)]
pub struct Scan {
    pub page: Page,
    /// Number and count.
    pub segment: Option<(u64, u64)>,
    pub start: Option<Json>,
}

impl Scan {
    pub fn parameters(&self) -> Json {
        let mut placeholders = Placeholders::default();
        let mut request = self.page.parameters(&mut placeholders);
        if let Some((number, count)) = self.segment {
            request["Segment"] = json!(number);
            request["TotalSegments"] = json!(count);
        }
        if let Some(start) = &self.start {
            request["ExclusiveStartKey"] = start.clone();
        }
        placeholders.finish(&mut request);
        request
    }
}
