//! TransactGetItems: up to 100 items as they were at one moment.

use super::call::Call;
use super::get_item::write_projected;
use super::shared::batch::is_distinct;
use super::shared::constraint::Constraints;
use super::shared::expressions::{ProjectionParameters, check_fault};
use super::shared::key::PrimaryKey;
use super::shared::report::{CapacityReport, ReportParameters, read_halves, write_transaction_reads};
use super::shared::transaction::{ACTION_COUNT_MAX, cancelled, duplicate_targets};
use super::worker::{Failure, RequestMemory};
use crate::error::ApiError;
use crate::expression::Projection;
use crate::json::reader::structure;
use crate::json::{AttributeMap, Writer, decode};
use crate::model::{EncodedItem, StoredDocument};
use crate::storage::{Lookup, Table};

structure!(Parameters<'a>, "TransactGetItemsInput", {
    "TransactItems" => transact_items: Option<&'a [Option<TransactGetItem<'a>>]>,
}, {
    reports: ReportParameters<'a>,
}, [reports.member]);

structure!(TransactGetItem<'a>, "TransactGetItem", {
    "Get" => get: Option<Get<'a>>,
});

structure!(Get<'a>, "Get", {
    "TableName" => table_name: Option<&'a str>,
    "Key" => key: Option<AttributeMap<'a>>,
}, {
    projection: ProjectionParameters<'a>,
}, [projection.member]);

/// One read, ready to be done.
struct Read<'a> {
    table: std::sync::Arc<Table>,
    row_key: &'a [u8],
    projection: Option<Projection<'a>>,
}

pub(super) fn run(call: &mut Call<'_>, memory: &RequestMemory) -> Result<(), Failure> {
    let arena = &memory.arena;
    let parameters: Parameters<'_> = decode(&memory.body, arena)?;
    let mut constraints = Constraints::new(call.wording);
    let capacity = parameters.reports.capacity(&mut constraints);
    let gets = check_constraints(&parameters, constraints)?;
    let reads = prepare(call, &gets, arena)?;
    let mut out = std::mem::take(call.out);
    let result = write_answer(call, &reads, capacity, arena, &mut Writer::new(&mut out));
    *call.out = out;
    result
}

fn check_constraints<'a>(parameters: &Parameters<'a>, mut constraints: Constraints) -> Result<Vec<Get<'a>>, ApiError> {
    constraints.required(parameters.transact_items.is_some(), "transactItems");
    let items = parameters.transact_items.unwrap_or_default();
    if parameters.transact_items.is_some() {
        let echo = if items.is_empty() { "[]" } else { "[...]" };
        constraints.length(items.len(), (1, ACTION_COUNT_MAX), echo, "transactItems");
    }
    let mut gets = Vec::with_capacity(items.len().min(ACTION_COUNT_MAX));
    for (position, item) in items.iter().enumerate().take(ACTION_COUNT_MAX) {
        let path = |member: &str| format!("transactItems.{}.member.{member}", position + 1);
        let get = item.and_then(|item| item.get);
        constraints.required(get.is_some(), &path("get"));
        let Some(get) = get else { continue };
        constraints.required(get.table_name.is_some(), &path("get.tableName"));
        constraints.required(get.key.is_some(), &path("get.key"));
        gets.push(get);
    }
    constraints.check()?;
    Ok(gets)
}

/// Action by action what does not need a table, then the tables, then the keys: a bad key cancels the transaction.
fn prepare<'a>(call: &mut Call<'_>, gets: &[Get<'a>], arena: &'a bumpalo::Bump) -> Result<Vec<Read<'a>>, ApiError> {
    let mut projections = Vec::with_capacity(gets.len());
    for get in gets {
        get.projection.check_mixing(call.wording)?;
        check_fault(get.key.and_then(|key| key.fault), call.wording)?;
        projections.push(get.projection.bind(call, arena)?);
    }
    let tables = call.tables(gets.iter().map(|get| get.table_name.unwrap_or_default()))?;
    let mut keys = Vec::with_capacity(gets.len());
    for (get, table) in gets.iter().zip(tables) {
        let key = PrimaryKey::from_key(table.definition(), get.key.map(|key| key.map).unwrap_or_default());
        keys.push((table, key));
    }
    if keys.iter().any(|(_, key)| key.is_err()) {
        return Err(cancelled(keys.iter().map(|(_, key)| key.as_ref().err())));
    }
    let mut reads = Vec::with_capacity(gets.len());
    for ((table, key), projection) in keys.into_iter().zip(projections) {
        let row_key = key?.row_key(&table, arena);
        reads.push(Read { table, row_key, projection });
    }
    if !is_distinct(reads.iter().map(|read| read.row_key)) {
        return Err(duplicate_targets());
    }
    Ok(reads)
}

fn write_answer(
    call: &Call<'_>,
    reads: &[Read<'_>],
    capacity: CapacityReport,
    arena: &bumpalo::Bump,
    writer: &mut Writer<'_>,
) -> Result<(), Failure> {
    let snapshot = call.service.store.snapshot();
    let mut halves = Vec::with_capacity(reads.len());
    writer.open(b'{');
    writer.name("Responses");
    writer.open(b'[');
    for read in reads {
        writer.open(b'{');
        let bytes = match snapshot.get(read.row_key, call.tier)? {
            Lookup::Found(stored) => {
                let item = EncodedItem::open(&stored)?;
                write_item(item, read.projection.as_ref(), arena, writer)?;
                item.size()
            }
            Lookup::Missing => 0,
            Lookup::WouldBlock => return Err(Failure::WouldBlock),
        };
        writer.close(b'}');
        // A transaction reads twice what a consistent read does.
        halves.push(2 * read_halves(bytes, true));
    }
    writer.close(b']');
    if capacity != CapacityReport::None {
        write_transaction_reads(reads.iter().map(|read| &read.table).zip(halves), capacity, writer);
    }
    writer.close(b'}');
    Ok(())
}

/// `Item`, which is left out if the projection picks nothing of it.
fn write_item(
    item: EncodedItem<'_>,
    projection: Option<&Projection<'_>>,
    arena: &bumpalo::Bump,
    writer: &mut Writer<'_>,
) -> Result<(), Failure> {
    if let Some(projection) = projection {
        let document = StoredDocument::new(item, arena);
        let is_empty = projection.apply(&document, arena).is_empty();
        document.check()?;
        if is_empty {
            return Ok(());
        }
    }
    writer.name("Item");
    write_projected(item, projection, arena, writer)
}

#[cfg(test)]
mod tests {
    use crate::operation::shared::fixture::Database;

    #[test]
    fn answers_stand_in_the_order_of_the_request() {
        let mut database = Database::with_tables();
        database.fill("hashed", &[r#"{"p":{"S":"a"},"x":{"N":"1"}}"#]);
        let get = |key: &str, rest: &str| {
            format!(r#"{{"Get":{{"TableName":"hashed","Key":{{"p":{{"S":"{key}"}}}}{rest}}}}}"#)
        };
        let gets = [get("none", ""), get("a", r#","ProjectionExpression":"x""#)];
        let request = format!(r#"{{"TransactItems":[{}],"ReturnConsumedCapacity":"TOTAL"}}"#, gets.join(","));
        let answer = concat!(
            r#"{"Responses":[{},{"Item":{"x":{"N":"1"}}}],"ConsumedCapacity":[{"TableName":"hashed","#,
            r#""CapacityUnits":4.0,"ReadCapacityUnits":4.0}]}"#
        );
        database.answers("TransactGetItems", &request, answer);
        let nothing = format!(r#"{{"TransactItems":[{}]}}"#, get("a", r#","ProjectionExpression":"y""#));
        database.answers("TransactGetItems", &nothing, r#"{"Responses":[{}]}"#);
        let twice = format!(r#"{{"TransactItems":[{},{}]}}"#, get("a", ""), get("a", ""));
        let text = "Transaction request cannot include multiple operations on one item";
        database.refuses("TransactGetItems", &twice, "ValidationException", text);
    }

    #[test]
    fn a_bad_key_cancels() {
        let mut database = Database::with_tables();
        let request = r#"{"TransactItems":[{"Get":{"TableName":"hashed","Key":{"p":{"N":"1"}}}}]}"#;
        let text = "Transaction cancelled, please refer cancellation reasons for specific reasons [ValidationError]";
        database.refuses("TransactGetItems", request, "TransactionCanceledException", text);
    }
}
