//! ReturnConsumedCapacity and ReturnItemCollectionMetrics.
//!
//! Units are counted in halves, because an eventually consistent read costs half a unit.

use std::sync::Arc;

use bumpalo::Bump;

use super::constraint::Constraints;
use crate::json::Writer;
use crate::json::reader::take_members;
use crate::model::EncodedItem;
use crate::model::limits::{READ_UNIT_BYTES, WRITE_UNIT_BYTES};
use crate::storage::{self, Table, index_changes};

/// ReturnConsumedCapacity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CapacityReport {
    #[default]
    None,
    Total,
    Indexes,
}

/// What a write reports besides its outcome.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reports {
    pub capacity: CapacityReport,
    pub collection_metrics: bool,
}

/// The two parameters as they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReportParameters<'a> {
    capacity: Option<&'a str>,
    collection_metrics: Option<&'a str>,
}

impl<'a> ReportParameters<'a> {
    take_members!(
        member, {
            "ReturnConsumedCapacity" => capacity,
            "ReturnItemCollectionMetrics" => collection_metrics,
        }
    );

    pub fn capacity(&self, constraints: &mut Constraints) -> CapacityReport {
        let known =
            [("NONE", CapacityReport::None), ("TOTAL", CapacityReport::Total), ("INDEXES", CapacityReport::Indexes)];
        constraints.report(self.capacity, "returnConsumedCapacity", "INDEXES, TOTAL, NONE", &known).unwrap_or_default()
    }

    pub fn collection_metrics(&self, constraints: &mut Constraints) -> bool {
        let known = [("NONE", false), ("SIZE", true)];
        constraints
            .report(self.collection_metrics, "returnItemCollectionMetrics", "SIZE, NONE", &known)
            .unwrap_or_default()
    }
}

/// Half units of a read of `bytes` in all.
pub fn read_halves(bytes: usize, consistent: bool) -> u64 {
    let units = bytes.div_ceil(READ_UNIT_BYTES).max(1) as u64;
    if consistent { 2 * units } else { units }
}

/// Units that a write took from a table and its indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteUnits {
    table: u64,
    /// Position in the table's list of indexes, and units; in ascending order.
    indexes: Vec<(usize, u64)>,
}

impl WriteUnits {
    /// Units of replacing `old` by `new`.
    ///
    /// An index counts from when it is ACTIVE. What DynamoDB answers while it fills one is not documented; in its
    /// metrics it accounts that work apart (OnlineIndexConsumedWriteCapacity). Whether a write maintains an entry of an
    /// index being created depends on how far the back-fill is, which no client can see; this way the same write costs
    /// the same until the index can be queried, and the total is always the sum of the arms.
    pub fn of(
        table: &Table,
        old: Option<EncodedItem<'_>>,
        new: Option<EncodedItem<'_>>,
        scratch: &Bump,
    ) -> Result<WriteUnits, storage::Error> {
        let bytes = old.map_or(0, |item| item.size()).max(new.map_or(0, |item| item.size()));
        let changes = index_changes(table, old, new, scratch)?;
        let charged = changes.iter().filter(|change| !table.indexes()[change.index].is_being_created());
        Ok(WriteUnits {
            table: bytes.div_ceil(WRITE_UNIT_BYTES).max(1) as u64,
            indexes: charged.map(|change| (change.index, change.write_units())).collect(),
        })
    }

    pub fn add(&mut self, other: &WriteUnits) {
        self.table += other.table;
        for &(index, units) in &other.indexes {
            match self.indexes.binary_search_by_key(&index, |(index, _)| *index) {
                Ok(position) => self.indexes[position].1 += units,
                Err(position) => self.indexes.insert(position, (index, units)),
            }
        }
    }

    /// The ConsumedCapacity of a write.
    pub fn write(&self, table: &Table, report: CapacityReport, writer: &mut Writer<'_>) {
        self.consumed(table, 1, None).write(report, writer);
    }

    /// The ConsumedCapacity of the writes of a transaction: the table's part counts twice, that of its indexes once.
    pub fn write_of_transaction(&self, table: &Table, report: CapacityReport, writer: &mut Writer<'_>) {
        self.consumed(table, 2, Some("WriteCapacityUnits")).write(report, writer);
    }

    fn consumed<'t>(&self, table: &'t Table, factor: u64, transaction: Option<&'static str>) -> Consumed<'t> {
        let index_halves = self.indexes.iter().map(|(index, units)| (*index, 2 * units)).collect();
        Consumed { table, table_halves: 2 * factor * self.table, index_halves, transaction }
    }
}

/// Half units that one table and its indexes, by position, gave.
pub struct Consumed<'t> {
    pub table: &'t Table,
    pub table_halves: u64,
    pub index_halves: Vec<(usize, u64)>,
    /// In transactions: the member that says which kind of units these are.
    pub transaction: Option<&'static str>,
}

impl Consumed<'_> {
    pub fn write(&self, report: CapacityReport, writer: &mut Writer<'_>) {
        let total = self.table_halves + self.index_halves.iter().map(|(_, halves)| halves).sum::<u64>();
        writer.object(|writer| {
            writer.name("TableName").string(self.table.name());
            self.write_units(total, writer);
            if report != CapacityReport::Indexes {
                return;
            }
            writer.name("Table").object(|writer| self.write_units(self.table_halves, writer));
            for (name, global) in [("GlobalSecondaryIndexes", true), ("LocalSecondaryIndexes", false)] {
                let arms = self.index_halves.iter().map(|&(index, halves)| (&self.table.indexes()[index], halves));
                let mut arms = arms.filter(|(index, _)| index.definition().is_global() == global).peekable();
                if arms.peek().is_some() {
                    writer.name(name).object(|writer| {
                        for (index, halves) in arms {
                            writer.name(index.name()).object(|writer| self.write_units(halves, writer));
                        }
                    });
                }
            }
        });
    }

    fn write_units(&self, halves: u64, writer: &mut Writer<'_>) {
        writer.name("CapacityUnits").units(halves);
        if let Some(kind) = self.transaction {
            writer.name(kind).units(halves);
        }
    }
}

/// `ConsumedCapacity` of a read.
pub fn write_consumed_capacity(
    table: &Table,
    report: CapacityReport,
    table_halves: u64,
    index_halves: &[(usize, u64)],
    writer: &mut Writer<'_>,
) {
    let index_halves = index_halves.to_vec();
    Consumed { table, table_halves, index_halves, transaction: None }.write(report, writer);
}

/// The list of ConsumedCapacity of a transaction that read: one entry a table, in the order of their first items.
pub fn write_transaction_reads<'t>(
    reads: impl Iterator<Item = (&'t Arc<Table>, u64)>,
    report: CapacityReport,
    writer: &mut Writer<'_>,
) {
    let mut tables: Vec<(&Arc<Table>, u64)> = Vec::new();
    for (table, halves) in reads {
        match tables.iter_mut().find(|(known, _)| Arc::ptr_eq(known, table)) {
            Some((_, sum)) => *sum += halves,
            None => tables.push((table, halves)),
        }
    }
    writer.name("ConsumedCapacity").array(|writer| {
        for (table, table_halves) in tables {
            let transaction = Some("ReadCapacityUnits");
            Consumed { table, table_halves, index_halves: Vec::new(), transaction }.write(report, writer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_cost_a_unit_per_started_4_kb_and_half_of_it_if_not_consistent() {
        for (bytes, consistent, halves) in
            [(0, true, 2), (0, false, 1), (4096, true, 2), (4097, true, 4), (4097, false, 2), (1 << 20, false, 256)]
        {
            assert_eq!(read_halves(bytes, consistent), halves, "{bytes} {consistent}");
        }
    }

    #[test]
    fn units_of_several_writes_add_up_per_index() {
        let mut sum = WriteUnits { table: 1, indexes: vec![(1, 2)] };
        sum.add(&WriteUnits { table: 3, indexes: vec![(0, 1), (1, 1), (4, 5)] });
        assert_eq!(sum, WriteUnits { table: 4, indexes: vec![(0, 1), (1, 3), (4, 5)] });
    }
}
