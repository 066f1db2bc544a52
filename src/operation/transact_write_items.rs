//! TransactWriteItems: up to 100 writes and condition checks, all or nothing.

use std::sync::Arc;

use bumpalo::Bump;
use xxhash_rust::xxh3::Xxh3;

use super::call::Call;
use super::plan::{Action, ActionResult, AnswerForm, Change, IdempotencyToken, Plan, ReturnValues};
use super::put_item::check_size;
use super::shared::batch::is_distinct;
use super::shared::constraint::Constraints;
use super::shared::expressions::check_fault;
use super::shared::key::{ItemKeyWording, PrimaryKey, check_index_keys};
use super::shared::report::{ReportParameters, Reports};
use super::shared::transaction::{ACTION_COUNT_MAX, cancelled, duplicate_targets};
use super::shared::write::WriteParameters;
use super::worker::RequestMemory;
use crate::error::ApiError;
use crate::expression::{Condition, Update};
use crate::json::reader::structure;
use crate::json::{AttributeMap, decode};
use crate::model::{EncodedItem, Map};
use crate::storage::Table;

/// All items and keys of one transaction.
const TRANSACTION_BYTES_MAX: usize = 4 * 1024 * 1024;

/// ClientRequestToken.
const TOKEN_LENGTH: (usize, usize) = (1, 36);

structure!(Parameters<'a>, "TransactWriteItemsInput", {
    "TransactItems" => transact_items: Option<&'a [Option<TransactWriteItem<'a>>]>,
    "ClientRequestToken" => token: Option<&'a str>,
}, {
    reports: ReportParameters<'a>,
}, [reports.member]);

structure!(
    /// Exactly one of the actions is to be given.
    TransactWriteItem<'a>, "TransactWriteItem", {
    "ConditionCheck" => condition_check: Option<ActionParameters<'a>>,
    "Put" => put: Option<ActionParameters<'a>>,
    "Delete" => delete: Option<ActionParameters<'a>>,
    "Update" => update: Option<ActionParameters<'a>>,
});

structure!(
    /// One action; which members it may have depends on its kind.
    ActionParameters<'a>, "TransactWriteItem", {
    "Item" => item: Option<AttributeMap<'a>>,
    "Key" => key: Option<AttributeMap<'a>>,
}, {
    write: WriteParameters<'a>,
}, [write.update_member, write.member]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    ConditionCheck,
    Put,
    Delete,
    Update,
}

impl Kind {
    fn member(self) -> &'static str {
        match self {
            Kind::ConditionCheck => "conditionCheck",
            Kind::Put => "put",
            Kind::Delete => "delete",
            Kind::Update => "update",
        }
    }
}

impl<'a> TransactWriteItem<'a> {
    fn action(&self) -> Result<(Kind, &ActionParameters<'a>), ApiError> {
        let kinds = [
            (Kind::ConditionCheck, &self.condition_check),
            (Kind::Put, &self.put),
            (Kind::Delete, &self.delete),
            (Kind::Update, &self.update),
        ];
        let mut given = kinds.iter().filter_map(|(kind, action)| Some((*kind, action.as_ref()?)));
        match (given.next(), given.next()) {
            (Some(action), None) => Ok(action),
            _ => Err(ApiError::validation("TransactItems can only contain one of Check, Put, Update or Delete")),
        }
    }
}

/// An action whose expressions are bound; its table is not known yet.
struct Bound<'a> {
    kind: Kind,
    table_name: &'a str,
    /// The item of a Put, the key of the others.
    attributes: Map<'a>,
    update: Update<'a>,
    condition: Option<Condition<'a>>,
    item_on_failure: bool,
}

pub(super) fn plan<'a>(call: &mut Call<'_>, memory: &'a RequestMemory) -> Result<Plan<'a>, ApiError> {
    let arena = &memory.arena;
    let parameters: Parameters<'a> = decode(&memory.body, arena)?;
    let mut constraints = Constraints::new(call.wording);
    let reports = Reports {
        capacity: parameters.reports.capacity(&mut constraints),
        collection_metrics: parameters.reports.collection_metrics(&mut constraints),
    };
    let items = check_constraints(&parameters, constraints)?;
    let mut actions = Vec::with_capacity(items.len());
    for item in &items {
        let (kind, action) = item.action()?;
        actions.push(bind(kind, action, call, arena)?);
    }
    check_total_size(&actions)?;
    let actions = resolve(&actions, call, arena)?;
    let now_ms = call.service.clock.now_ms();
    let token = parameters.token.map(|token| IdempotencyToken { token, fingerprint: fingerprint(&items), now_ms });
    Ok(Plan { actions, form: AnswerForm::Transaction { token }, reports })
}

/// Member constraints of the whole request.
fn check_constraints<'a>(
    parameters: &Parameters<'a>,
    mut constraints: Constraints,
) -> Result<Vec<&'a TransactWriteItem<'a>>, ApiError> {
    if let Some(token) = parameters.token {
        constraints.length(token.chars().count(), TOKEN_LENGTH, token, "clientRequestToken");
    }
    constraints.required(parameters.transact_items.is_some(), "transactItems");
    let items = parameters.transact_items.unwrap_or_default();
    if parameters.transact_items.is_some() {
        let echo = if items.is_empty() { "[]" } else { "[...]" };
        constraints.length(items.len(), (1, ACTION_COUNT_MAX), echo, "transactItems");
    }
    for (position, item) in items.iter().enumerate().take(ACTION_COUNT_MAX) {
        let Some(Ok((kind, action))) = item.as_ref().map(TransactWriteItem::action) else { continue };
        let path = |member: &str| format!("transactItems.{}.member.{}.{member}", position + 1, kind.member());
        constraints.required(action.write.table_name().is_some(), &path("tableName"));
        match kind {
            Kind::Put => constraints.required(action.item.is_some(), &path("item")),
            _ => constraints.required(action.key.is_some(), &path("key")),
        }
        match kind {
            Kind::ConditionCheck => {
                constraints.required(action.write.has_condition_expression(), &path("conditionExpression"));
            }
            Kind::Update => constraints.required(action.write.has_update_expression(), &path("updateExpression")),
            Kind::Put | Kind::Delete => {}
        }
    }
    constraints.check()?;
    let missing = || ApiError::validation("TransactItems can only contain one of Check, Put, Update or Delete");
    items.iter().map(|item| item.as_ref().ok_or_else(missing)).collect()
}

/// Everything about one action that does not need its table.
fn bind<'a>(
    kind: Kind,
    action: &ActionParameters<'a>,
    call: &mut Call<'_>,
    arena: &'a Bump,
) -> Result<Bound<'a>, ApiError> {
    let write = &action.write;
    let mut constraints = Constraints::new(call.wording);
    let checked = write.check_constraints(&mut constraints)?;
    constraints.check()?;
    write.check_mixing(call.wording)?;
    let attributes = if kind == Kind::Put { action.item } else { action.key }.expect("required");
    check_fault(attributes.fault, call.wording)?;
    let (update, condition) = match kind {
        Kind::Update => write.bind_update(call, arena)?,
        _ => (Update::NOTHING, write.bind_condition(call, arena)?),
    };
    if kind == Kind::Put {
        check_size(attributes.map)?;
    }
    Ok(Bound {
        kind,
        table_name: checked.table_name,
        attributes: attributes.map,
        update,
        condition,
        item_on_failure: checked.item_on_failure,
    })
}

fn check_total_size(actions: &[Bound<'_>]) -> Result<(), ApiError> {
    let bytes: usize = actions.iter().map(|action| action.attributes.size()).sum();
    if bytes > TRANSACTION_BYTES_MAX {
        return Err(ApiError::validation("Collection of items in a transaction request: size cannot exceed 4 MB"));
    }
    Ok(())
}

/// Finds tables and keys. What is wrong with a key or with index keys cancels the transaction.
fn resolve<'a>(actions: &[Bound<'a>], call: &Call<'_>, arena: &'a Bump) -> Result<Vec<Action<'a>>, ApiError> {
    let tables = call.tables(actions.iter().map(|action| action.table_name))?;
    let keys: Vec<_> = actions.iter().zip(&tables).map(|(action, table)| check_against_table(action, table)).collect();
    if let Some(Err(error)) = keys.iter().find(|key| key.as_ref().is_err_and(is_empty_key)) {
        return Err(error.clone());
    }
    if keys.iter().any(Result::is_err) {
        return Err(cancelled(keys.iter().map(|key| key.as_ref().err())));
    }
    let mut resolved = Vec::with_capacity(actions.len());
    for ((action, table), key) in actions.iter().zip(tables).zip(keys) {
        resolved.push(Action {
            row_key: key?.row_key(&table, arena),
            table,
            key: action.attributes,
            change: match action.kind {
                Kind::ConditionCheck => Change::Check,
                Kind::Put => Change::Put(EncodedItem::encode(action.attributes, arena)),
                Kind::Delete => Change::Delete,
                Kind::Update => Change::Update(action.update),
            },
            condition: action.condition,
            returns: ReturnValues::None,
            item_on_failure: action.item_on_failure,
            result: ActionResult::default(),
        });
    }
    if !is_distinct(resolved.iter().map(|action| action.row_key)) {
        return Err(duplicate_targets());
    }
    Ok(resolved)
}

fn check_against_table<'a>(action: &Bound<'a>, table: &Arc<Table>) -> Result<PrimaryKey<'a>, ApiError> {
    let definition = table.definition();
    match action.kind {
        Kind::Put => {
            let key = PrimaryKey::from_item(definition, action.attributes, ItemKeyWording::Named)?;
            check_index_keys(definition, action.attributes, false)?;
            Ok(key)
        }
        Kind::Update => {
            let key = PrimaryKey::from_key(definition, action.attributes)?;
            let updatable = action.update.check_key(&definition.key);
            updatable.map_err(|error| ApiError::validation(error.to_string()))?;
            Ok(key)
        }
        Kind::ConditionCheck | Kind::Delete => PrimaryKey::from_key(definition, action.attributes),
    }
}

/// An empty key value is an error of the request and not of one action.
fn is_empty_key(error: &ApiError) -> bool {
    error.message.starts_with("One or more parameter values are not valid.")
}

/// What two requests with one token must have in common: every action, not what is reported of it.
fn fingerprint(items: &[&TransactWriteItem<'_>]) -> u128 {
    let mut hasher = Xxh3::new();
    let scratch = Bump::new();
    for item in items {
        let Ok((kind, action)) = item.action() else { continue };
        hasher.update(kind.member().as_bytes());
        for attributes in [action.item, action.key].into_iter().flatten() {
            hasher.update(EncodedItem::encode(attributes.map, &scratch).as_bytes());
        }
        action.write.hash_into(&mut hasher, &scratch);
    }
    hasher.digest128()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use crate::clock::Clock;
    use crate::operation::shared::fixture::Database;

    #[test]
    fn all_or_nothing() {
        let mut database = Database::with_tables();
        database.fill("hashed", &[r#"{"p":{"S":"a"},"n":{"N":"1"}}"#]);
        let transaction = |limit: u32| {
            format!(
                r#"{{"TransactItems":[
                {{"Put":{{"TableName":"hashed","Item":{{"p":{{"S":"b"}}}}}}}},
                {{"Update":{{"TableName":"sorted","Key":{{"p":{{"S":"a"}},"r":{{"N":"1"}}}},
                    "UpdateExpression":"SET x = :v","ExpressionAttributeValues":{{":v":{{"N":"1"}}}}}}}},
                {{"ConditionCheck":{{"TableName":"hashed","Key":{{"p":{{"S":"a"}}}},"ConditionExpression":"n < :limit",
                    "ExpressionAttributeValues":{{":limit":{{"N":"{limit}"}}}},
                    "ReturnValuesOnConditionCheckFailure":"ALL_OLD"}}}}],"ReturnConsumedCapacity":"TOTAL"}}"#
            )
        };
        let (status, body) = database.call("TransactWriteItems", &transaction(1));
        assert_eq!(status, 400);
        let cancelled = concat!(
            r#""Message":"Transaction cancelled, please refer cancellation reasons for specific reasons [None, None, "#,
            r#"ConditionalCheckFailed]","CancellationReasons":[{"Code":"None"},{"Code":"None"},"#,
            r#"{"Code":"ConditionalCheckFailed","Message":"The conditional request failed","#,
            r#""Item":{"n":{"N":"1"},"p":{"S":"a"}}}]}"#
        );
        assert!(body.ends_with(cancelled), "{body}");
        let get = r#"{"TableName":"hashed","Key":{"p":{"S":"b"}}}"#;
        database.answers("GetItem", get, "{}");
        let committed = concat!(
            r#"{"ConsumedCapacity":[{"TableName":"hashed","CapacityUnits":4.0,"WriteCapacityUnits":4.0},"#,
            r#"{"TableName":"sorted","CapacityUnits":2.0,"WriteCapacityUnits":2.0}]}"#
        );
        database.answers("TransactWriteItems", &transaction(2), committed);
        database.answers("GetItem", get, r#"{"Item":{"p":{"S":"b"}}}"#);
    }

    /// A transaction that adds 1 to `n` of item `a` if it is below `limit`.
    fn increment(token: &str, limit: u32) -> String {
        format!(
            r#"{{"TransactItems":[{{"Update":{{"TableName":"hashed","Key":{{"p":{{"S":"a"}}}},
                "UpdateExpression":"ADD n :one","ConditionExpression":"n < :limit",
                "ExpressionAttributeValues":{{":one":{{"N":"1"}},":limit":{{"N":"{limit}"}}}}}}}}],
                "ReturnConsumedCapacity":"TOTAL","ClientRequestToken":"{token}"}}"#
        )
    }

    const DONE: &str = r#"{"ConsumedCapacity":[{"TableName":"hashed","CapacityUnits":2.0,"WriteCapacityUnits":2.0}]}"#;
    const REPLAYED: &str =
        r#"{"ConsumedCapacity":[{"TableName":"hashed","CapacityUnits":2.0,"ReadCapacityUnits":2.0}]}"#;
    const GET: &str = r#"{"TableName":"hashed","Key":{"p":{"S":"a"}},"ProjectionExpression":"n"}"#;

    #[test]
    fn a_token_is_done_once_in_ten_minutes() {
        let now_ms = Arc::new(AtomicU64::new(1_772_345_678_123));
        let mut database = Database::with_tables_at(Clock::Manual(Arc::clone(&now_ms)));
        let count = |database: &mut Database, n: u32| {
            database.answers("GetItem", GET, &format!(r#"{{"Item":{{"n":{{"N":"{n}"}}}}}}"#));
        };
        database.fill("hashed", &[r#"{"p":{"S":"a"},"n":{"N":"0"}}"#]);
        database.answers("TransactWriteItems", &increment("t", 9), DONE);
        database.answers("TransactWriteItems", &increment("t", 9), REPLAYED);
        database.answers("TransactWriteItems", &increment("u", 9), DONE);
        count(&mut database, 2);
        // What is reported is not part of the comparison, what is done is.
        let silent = increment("t", 9).replace("TOTAL", "NONE");
        database.answers("TransactWriteItems", &silent, "{}");
        let text = "DynamoDB rejected the request because you retried a request with a different payload but with an \
                    idempotent token that was already used.";
        let mismatch = "IdempotentParameterMismatchException";
        database.refuses("TransactWriteItems", &increment("t", 8), mismatch, text);
        // The last millisecond, which is in another bucket, and after a restart.
        now_ms.fetch_add(599_999, Ordering::Relaxed);
        database = database.restart();
        database.answers("TransactWriteItems", &increment("t", 9), REPLAYED);
        count(&mut database, 2);
        now_ms.fetch_add(1, Ordering::Relaxed);
        database.answers("TransactWriteItems", &increment("t", 8), DONE);
        count(&mut database, 3);
    }

    #[test]
    fn the_token_of_a_cancelled_transaction_can_be_used_again() {
        let mut database = Database::with_tables();
        database.fill("hashed", &[r#"{"p":{"S":"a"},"n":{"N":"5"}}"#]);
        let text = "Transaction cancelled, please refer cancellation reasons for specific reasons \
                    [ConditionalCheckFailed]";
        database.refuses("TransactWriteItems", &increment("t", 5), "TransactionCanceledException", text);
        database.answers("TransactWriteItems", &increment("t", 6), DONE);
        database.answers("TransactWriteItems", &increment("t", 6), REPLAYED);
        database.answers("GetItem", GET, r#"{"Item":{"n":{"N":"6"}}}"#);
    }

    #[test]
    fn requests_that_are_wrong_as_a_whole() {
        let mut database = Database::with_tables();
        let put = |key: &str| format!(r#"{{"Put":{{"TableName":"hashed","Item":{{"p":{key}}}}}}}"#);
        let one = put(r#"{"S":"a"}"#);
        for (items, text) in [
            (
                String::new(),
                "1 validation error detected: Value '[]' at 'transactItems' failed to satisfy constraint: Member must \
                 have length greater than or equal to 1",
            ),
            (format!("{one},{one}"), "Transaction request cannot include multiple operations on one item"),
            ("{}".to_owned(), "TransactItems can only contain one of Check, Put, Update or Delete"),
            (
                put(r#"{"S":""}"#),
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an \
                 empty string value. Key: p",
            ),
        ] {
            let body = format!(r#"{{"TransactItems":[{items}]}}"#);
            database.refuses("TransactWriteItems", &body, "ValidationException", text);
        }
        let mistyped = format!(r#"{{"TransactItems":[{one},{}]}}"#, put(r#"{"N":"1"}"#));
        let text =
            "Transaction cancelled, please refer cancellation reasons for specific reasons [None, ValidationError]";
        database.refuses("TransactWriteItems", &mistyped, "TransactionCanceledException", text);
    }
}
