//! `jormundb verify`.

use std::path::Path;
use std::process::ExitCode;

use indicatif::HumanCount;

use super::console::{Console, Unit};
use super::{DIFFERENCES, failed};
use crate::storage::{Directory, TableSummary, Verification};

pub fn run(data_dir: &Path) -> ExitCode {
    let directory = match Directory::open(data_dir) {
        Ok(directory) => directory,
        Err(error) => return failed(&error),
    };
    let mut console = Console::new(Unit::Rows);
    let verified = directory.verify(&mut console);
    console.finish();
    match verified {
        Ok(verification) => report(&verification),
        Err(error) => failed(&format!("{}: the catalog cannot be read: {error}", data_dir.display())),
    }
}

fn report(verification: &Verification) -> ExitCode {
    for TableSummary { name, items, bytes, indexes } in &verification.tables {
        println!("table {name}: {} items of {} bytes", HumanCount(*items), HumanCount(*bytes));
        for (index, entries, bytes) in indexes {
            println!("index {name}.{index}: {} entries of {} bytes", HumanCount(*entries), HumanCount(*bytes));
        }
    }
    match verification.difference_count {
        0 => {
            println!("all is well: {} tables", verification.tables.len());
            ExitCode::SUCCESS
        }
        count => {
            println!("{} differences in {} tables", HumanCount(count), verification.tables.len());
            ExitCode::from(DIFFERENCES)
        }
    }
}
