//! ListTables: names in byte order, in pages.

use super::call::Call;
use super::shared::constraint::Constraints;
use super::shared::table_definition::parameters::check_identifier;
use super::worker::{Failure, RequestMemory};
use crate::error::{ApiError, Wording};
use crate::json::reader::structure;
use crate::json::{Writer, decode};
use crate::model::limits::TABLE_PAGE_COUNT_MAX;

structure!(Parameters<'a>, "ListTablesInput", {
    "ExclusiveStartTableName" => exclusive_start: Option<&'a str>,
    "Limit" => limit: Option<i64>,
});

pub(super) fn run(call: &mut Call<'_>, memory: &RequestMemory) -> Result<(), Failure> {
    let parameters: Parameters<'_> = decode(&memory.body, &memory.arena)?;
    let limit = check(&parameters)?;
    let catalog = call.catalog();
    // No name sorts before the empty one.
    let tables = catalog.tables_after(parameters.exclusive_start.unwrap_or_default());
    write_page(tables.map(|table| table.name()), limit, &mut call.writer());
    Ok(())
}

/// The number of names in a page.
fn check(parameters: &Parameters<'_>) -> Result<usize, ApiError> {
    let mut constraints = Constraints::new(Wording::Older);
    if let Some(name) = parameters.exclusive_start {
        check_identifier(name, "exclusiveStartTableName", &mut constraints);
    }
    constraints.at_least(parameters.limit, 1, "limit");
    constraints.at_most(parameters.limit, TABLE_PAGE_COUNT_MAX as i64, "limit");
    constraints.check()?;
    Ok(parameters.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(TABLE_PAGE_COUNT_MAX))
}

fn write_page<'n>(mut names: impl Iterator<Item = &'n str>, limit: usize, writer: &mut Writer<'_>) {
    writer.object(|writer| {
        let mut last = None;
        writer.name("TableNames").array(|writer| {
            for name in names.by_ref().take(limit) {
                writer.string(name);
                last = Some(name);
            }
        });
        if let Some(last) = last
            && names.next().is_some()
        {
            writer.name("LastEvaluatedTableName").string(last);
        }
    });
}

#[cfg(test)]
mod tests {
    use bumpalo::Bump;

    use super::*;

    #[test]
    fn pages() {
        for (names, limit, expected) in [
            (&[][..], 100, r#"{"TableNames":[]}"#),
            (&["a", "b"], 100, r#"{"TableNames":["a","b"]}"#),
            (&["a", "b"], 2, r#"{"TableNames":["a","b"]}"#),
            (&["a", "b"], 1, r#"{"TableNames":["a"],"LastEvaluatedTableName":"a"}"#),
        ] {
            let mut out = Vec::new();
            write_page(names.iter().copied(), limit, &mut Writer::new(&mut out));
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn parameters() {
        for (body, expected) in [
            ("{}", Ok(100)),
            (r#"{"Limit":1,"ExclusiveStartTableName":"abc"}"#, Ok(1)),
            (
                r#"{"Limit":0}"#,
                Err(
                    "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have \
                     value greater than or equal to 1",
                ),
            ),
            (
                r#"{"Limit":101}"#,
                Err("1 validation error detected: Value '101' at 'limit' failed to satisfy constraint: Member must \
                     have value less than or equal to 100"),
            ),
            (
                r#"{"Limit":101,"ExclusiveStartTableName":"a;"}"#,
                Err("3 validation errors detected: Value 'a;' at 'exclusiveStartTableName' failed to satisfy \
                     constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; Value 'a;' at \
                     'exclusiveStartTableName' failed to satisfy constraint: Member must have length greater than or \
                     equal to 3; Value '101' at 'limit' failed to satisfy constraint: Member must have value less than \
                     or equal to 100"),
            ),
            (r#"{"Limit":"1"}"#, Err("STRING_VALUE cannot be converted to Integer")),
        ] {
            let arena = Bump::new();
            let found = decode::<Parameters<'_>>(body.as_bytes(), &arena).and_then(|parameters| check(&parameters));
            assert_eq!(found.map_err(|error| error.message), expected.map_err(Into::into), "{body}");
        }
    }
}
