//! BatchGetItem: up to 100 items by their primary keys, from several tables.

use super::call::Call;
use super::get_item::write_projected;
use super::shared::batch;
use super::shared::constraint::Constraints;
use super::shared::expressions::{ProjectionParameters, check_fault};
use super::shared::key::PrimaryKey;
use super::shared::page::LOOP_BYTES_MAX;
use super::shared::report::{CapacityReport, ReportParameters, read_halves, write_consumed_capacity};
use super::worker::{Failure, RequestMemory};
use crate::error::ApiError;
use crate::expression::Projection;
use crate::json::reader::structure;
use crate::json::{AttributeMap, Entries, Writer, decode};
use crate::model::EncodedItem;
use crate::model::limits::{BATCH_GET_BYTES_MAX, BATCH_GET_COUNT_MAX};
use crate::storage::{Lookup, Table};

structure!(Parameters<'a>, "BatchGetItemInput", {
    "RequestItems" => request_items: Option<Entries<'a, Option<KeysAndAttributes<'a>>>>,
}, {
    reports: ReportParameters<'a>,
}, [reports.member]);

structure!(
    /// What is wanted of one table.
    KeysAndAttributes<'a>, "KeysAndAttributes", {
    "Keys" => keys: Option<&'a [Option<AttributeMap<'a>>]>,
    "ConsistentRead" => consistent_read: Option<bool>,
}, {
    projection: ProjectionParameters<'a>,
}, [projection.member]);

/// The reads of one table, ready to be done.
struct TableReads<'a> {
    /// As the request names it.
    name: &'a str,
    table: std::sync::Arc<Table>,
    request: &'a KeysAndAttributes<'a>,
    row_keys: Vec<&'a [u8]>,
    projection: Option<Projection<'a>>,
}

/// What has been read of one table.
#[derive(Clone, Copy, Default)]
struct Done {
    key_count: usize,
    halves: u64,
}

pub(super) fn run(call: &mut Call<'_>, memory: &RequestMemory) -> Result<(), Failure> {
    let parameters: Parameters<'_> = decode(&memory.body, &memory.arena)?;
    let mut constraints = Constraints::new(call.wording);
    let capacity = parameters.reports.capacity(&mut constraints);
    let tables = check_constraints(&parameters, constraints)?;
    let reads = prepare(call, tables, &memory.arena)?;
    let mut out = std::mem::take(call.out);
    let result = write_answer(call, &reads, capacity, &memory.arena, &mut Writer::new(&mut out));
    *call.out = out;
    result
}

/// The tables asked, by name.
type Tables<'a> = &'a [(&'a str, Option<KeysAndAttributes<'a>>)];

fn check_constraints<'a>(parameters: &Parameters<'a>, mut constraints: Constraints) -> Result<Tables<'a>, ApiError> {
    let Some(Entries(tables)) = parameters.request_items else {
        constraints.required(false, "requestItems");
        constraints.check()?;
        return Ok(&[]);
    };
    constraints.length(tables.len(), (1, BATCH_GET_COUNT_MAX), "{}", "requestItems");
    batch::check_table_names(tables.iter().map(|(name, _)| *name), "requestItems", &mut constraints);
    for (name, request) in tables {
        let path = format!("requestItems.{name}.member.keys");
        match request.and_then(|request| request.keys) {
            Some(keys) => constraints.length(keys.len(), (1, BATCH_GET_COUNT_MAX), "[...]", &path),
            None => constraints.required(false, &path),
        }
    }
    constraints.check()?;
    Ok(tables)
}

/// Checks everything that does not need a read, in AWS's order: each table's parameters, then tables and keys.
fn prepare<'a>(
    call: &mut Call<'_>,
    tables: Tables<'a>,
    arena: &'a bumpalo::Bump,
) -> Result<Vec<TableReads<'a>>, ApiError> {
    let requests = || tables.iter().filter_map(|(name, request)| Some((*name, request.as_ref()?)));
    let count: usize = requests().filter_map(|(_, request)| request.keys).map(<[_]>::len).sum();
    if count > BATCH_GET_COUNT_MAX {
        return Err(ApiError::validation("Too many items requested for the BatchGetItem call"));
    }
    ProjectionParameters::check_mixing_of_all(requests().map(|(_, request)| &request.projection), call.wording)?;
    let mut projections = Vec::with_capacity(tables.len());
    for (_, request) in requests() {
        request.projection.check_mixing(call.wording)?;
        for key in request.keys.unwrap_or_default() {
            check_fault(key.as_ref().and_then(|key| key.fault), call.wording)?;
        }
        projections.push(request.projection.bind(call, arena)?);
    }
    let mut reads = Vec::with_capacity(tables.len());
    for ((name, request), projection) in requests().zip(projections) {
        let table = call.table(name)?;
        let mut row_keys = Vec::with_capacity(request.keys.map_or(0, <[_]>::len));
        for key in request.keys.unwrap_or_default() {
            let key = key.map(|key| key.map).unwrap_or_default();
            row_keys.push(PrimaryKey::from_key(table.definition(), key)?.row_key(&table, arena));
        }
        reads.push(TableReads { name, table, request, row_keys, projection });
    }
    batch::check_distinct(reads.iter().flat_map(|table| table.row_keys.iter().copied()))?;
    Ok(reads)
}

fn write_answer(
    call: &Call<'_>,
    reads: &[TableReads<'_>],
    capacity: CapacityReport,
    arena: &bumpalo::Bump,
    writer: &mut Writer<'_>,
) -> Result<(), Failure> {
    let mut bytes_left = BATCH_GET_BYTES_MAX;
    let mut done = Vec::with_capacity(reads.len());
    writer.open(b'{');
    writer.name("Responses");
    writer.open(b'{');
    for table in reads {
        writer.name(table.name);
        writer.open(b'[');
        done.push(table.read(call, &mut bytes_left, arena, writer)?);
        writer.close(b']');
    }
    writer.close(b'}');
    writer.name("UnprocessedKeys").object(|writer| {
        for (table, done) in reads.iter().zip(&done).filter(|(table, done)| done.key_count < table.row_keys.len()) {
            writer.name(table.name);
            table.write_unprocessed(done.key_count, writer);
        }
    });
    if capacity != CapacityReport::None {
        writer.name("ConsumedCapacity").array(|writer| {
            for (table, done) in reads.iter().zip(&done) {
                write_consumed_capacity(&table.table, capacity, done.halves, &[], writer);
            }
        });
    }
    writer.close(b'}');
    Ok(())
}

impl TableReads<'_> {
    /// Reads until the answer is full.
    fn read(
        &self,
        call: &Call<'_>,
        bytes_left: &mut usize,
        arena: &bumpalo::Bump,
        writer: &mut Writer<'_>,
    ) -> Result<Done, Failure> {
        let consistent = self.request.consistent_read.unwrap_or(false);
        let mut done = Done::default();
        for row_key in &self.row_keys {
            if *bytes_left == 0 {
                break;
            }
            if BATCH_GET_BYTES_MAX - *bytes_left > LOOP_BYTES_MAX {
                call.require_pool()?;
            }
            done.key_count += 1;
            match call.service.store.get(row_key, call.tier)? {
                Lookup::Found(stored) => {
                    let item = EncodedItem::open(&stored)?;
                    *bytes_left = bytes_left.saturating_sub(item.size());
                    done.halves += read_halves(item.size(), consistent);
                    write_projected(item, self.projection.as_ref(), arena, writer)?;
                }
                Lookup::Missing => done.halves += read_halves(0, consistent),
                Lookup::WouldBlock => return Err(Failure::WouldBlock),
            }
        }
        Ok(done)
    }

    /// The part of the request that a client is to send again.
    fn write_unprocessed(&self, done_count: usize, writer: &mut Writer<'_>) {
        writer.object(|writer| {
            writer.name("Keys").array(|writer| {
                let keys = self.request.keys.unwrap_or_default();
                keys.iter().skip(done_count).flatten().for_each(|key| writer.item(key.map));
            });
            if let Some(consistent) = self.request.consistent_read {
                writer.name("ConsistentRead").boolean(consistent);
            }
            self.request.projection.write(writer);
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::operation::shared::fixture::Database;

    #[test]
    fn items_of_several_tables_with_their_own_projections() {
        let mut database = Database::with_tables();
        database.fill("hashed", &[r#"{"p":{"S":"a"},"x":{"N":"1"}}"#]);
        database.fill("sorted", &[r#"{"p":{"S":"a"},"r":{"N":"1"},"y":{"N":"2"}}"#]);
        let request = r#"{"RequestItems":{"hashed":{"Keys":[{"p":{"S":"a"}},{"p":{"S":"none"}}],
            "ProjectionExpression":"x"},"sorted":{"Keys":[{"p":{"S":"a"},"r":{"N":"1"}}],"ConsistentRead":true}},
            "ReturnConsumedCapacity":"TOTAL"}"#;
        let answer = concat!(
            r#"{"Responses":{"hashed":[{"x":{"N":"1"}}],"sorted":[{"p":{"S":"a"},"r":{"N":"1"},"y":{"N":"2"}}]},"#,
            r#""UnprocessedKeys":{},"ConsumedCapacity":[{"TableName":"hashed","CapacityUnits":1.0},"#,
            r#"{"TableName":"sorted","CapacityUnits":1.0}]}"#
        );
        database.answers("BatchGetItem", request, answer);
    }

    #[test]
    fn an_answer_is_cut_at_16_mb_and_the_rest_handed_back() {
        let mut database = Database::with_tables();
        let payload = "x".repeat(400_000);
        let mut keys = Vec::new();
        for number in 0..50 {
            let key = format!(r#""p":{{"S":"{number}"}}"#);
            database.fill("hashed", &[&format!(r#"{{{key},"x":{{"S":"{payload}"}}}}"#)]);
            keys.push(format!("{{{key}}}"));
        }
        let request = format!(r#"{{"RequestItems":{{"hashed":{{"Keys":[{}]}}}}}}"#, keys.join(","));
        let (status, body) = database.call("BatchGetItem", &request);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let count = |value: &serde_json::Value| value.as_array().unwrap().len();
        let done = count(&body["Responses"]["hashed"]);
        assert_eq!((status, done), (200, 42), "42 items of 400 KB pass 16 MiB");
        assert_eq!(count(&body["UnprocessedKeys"]["hashed"]["Keys"]), 50 - done);
    }

    #[test]
    fn keys_are_limited_and_distinct() {
        let mut database = Database::with_tables();
        let keys = |count: usize| {
            let keys: Vec<String> = (0..count).map(|number| format!(r#"{{"p":{{"S":"{number}"}}}}"#)).collect();
            keys.join(",")
        };
        for (keys, text) in [
            (r#"{"p":{"S":"a"}},{"p":{"S":"a"}}"#.to_owned(), "Provided list of item keys contains duplicates"),
            (
                keys(101),
                "1 validation error detected: Value at 'RequestItems.hashed.member.Keys' failed to satisfy constraint: \
                 Member must have length less than or equal to 100",
            ),
            (
                String::new(),
                "1 validation error detected: Value at 'RequestItems.hashed.member.Keys' failed to satisfy constraint: \
                 Member must have length greater than or equal to 1",
            ),
        ] {
            let body = format!(r#"{{"RequestItems":{{"hashed":{{"Keys":[{keys}]}}}}}}"#);
            database.refuses("BatchGetItem", &body, "ValidationException", text);
        }
        let empty = "1 validation error detected: Value at 'RequestItems' failed to satisfy constraint: Member must \
                     have length greater than or equal to 1";
        database.refuses("BatchGetItem", r#"{"RequestItems":{}}"#, "ValidationException", empty);
    }
}
