//! Rows that belong to no table or index of the catalog. Nobody reads them: what a drop left is no fault, rows of an id
//! that was never given are one.

use std::collections::BTreeMap;

use super::Reporter;
use super::walk::{SCAN, Step, walk};
use crate::storage::bounds::Bounds;
use crate::storage::catalog::{Catalog, TABLE_ROWS};
use crate::storage::engine::Engine;
use crate::storage::layout::{SPACE_BYTES, TABLE_ID_FIRST};
use crate::storage::scan::Row;
use crate::storage::{Error, Space};

/// Greater than every row key: an id is never the greatest of its type.
const UPPER: [u8; SPACE_BYTES] = [0xff; SPACE_BYTES];

/// Looks at the first row of each space, and reads those whose table or index does not exist.
pub(super) fn check(engine: &Engine, catalog: &Catalog, reporter: &mut Reporter<'_>) -> Result<(), Error> {
    reporter.observer.begin("rows of dropped tables", 0);
    // By table id: the number that its next index gets.
    let ids: BTreeMap<u32, u16> =
        catalog.tables().map(|table| (table.id(), table.definition().next_index_number)).collect();
    let mut lower = Space { table_id: TABLE_ID_FIRST, index_number: TABLE_ROWS }.prefix();
    while let Some(space) = first_space(engine, &lower, reporter) {
        let exists = catalog
            .tables()
            .any(|table| table.space() == space || table.indexes().iter().any(|index| index.space() == space));
        if !exists {
            let was_given = match ids.get(&space.table_id) {
                Some(next_index_number) => space.index_number < *next_index_number,
                None => space.table_id < catalog.next_table_id(),
            };
            report(engine, space, was_given, reporter)?;
        }
        let Some(next) = after(space) else { break };
        lower = next;
    }
    Ok(())
}

/// The space of the first row from `lower` on. Where that cannot be read, what is behind it is not looked at.
fn first_space(engine: &Engine, lower: &[u8], reporter: &mut Reporter<'_>) -> Option<Space> {
    let mut rows = engine.scan(Bounds { lower, upper: &UPPER }, SCAN);
    match rows.advance() {
        Ok(Row::Found { key, .. }) => match key.first_chunk::<SPACE_BYTES>() {
            Some(&[a, b, c, d, e, f]) => {
                Some(Space { table_id: u32::from_be_bytes([a, b, c, d]), index_number: u16::from_be_bytes([e, f]) })
            }
            None => {
                reporter.find("files", format!("a row with the key {key:02x?}, which is too short"));
                None
            }
        },
        Ok(Row::End | Row::WouldBlock) => None,
        Err(error) => {
            reporter.find("files", error.to_string());
            None
        }
    }
}

fn report(engine: &Engine, space: Space, was_given: bool, reporter: &mut Reporter<'_>) -> Result<(), Error> {
    let (mut rows, mut bytes) = (0u64, 0);
    walk(engine, space, |step| {
        if let Step::Row { key, value } = step {
            rows += 1;
            bytes += key.len() + value.len();
        }
        Ok(())
    })?;
    let Space { table_id, index_number } = space;
    let what = format!("{rows} rows ({bytes} bytes) of table id {table_id}, index number {index_number}");
    match was_given {
        true => reporter.observer.note(&format!("{what}: what a drop has left")),
        false => reporter.find("files", format!("{what}, which never existed")),
    }
    Ok(())
}

/// Where the space after this one begins.
fn after(space: Space) -> Option<[u8; SPACE_BYTES]> {
    let Space { table_id, index_number } = space;
    let next = match index_number.checked_add(1) {
        Some(index_number) => Space { table_id, index_number },
        None => Space { table_id: table_id.checked_add(1)?, index_number: TABLE_ROWS },
    };
    Some(next.prefix())
}
