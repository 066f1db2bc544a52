//! `jormundb rebuild-index`.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use indicatif::HumanCount;

use super::console::{Console, Unit};
use super::{DIFFERENCES, failed};
use crate::storage::{Directory, Repair, Selection};

#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Only the indexes of this table
    #[arg(long, value_name = "NAME")]
    table: Option<String>,

    /// Only indexes of this name
    #[arg(long, value_name = "NAME")]
    index: Option<String>,

    /// Report what differs, change nothing
    #[arg(long)]
    dry_run: bool,
}

pub fn run(arguments: &Arguments, data_dir: &Path) -> ExitCode {
    let opened = match arguments.dry_run {
        true => Directory::open(data_dir),
        false => Directory::open_for_repair(data_dir),
    };
    let directory = match opened {
        Ok(directory) => directory,
        Err(error) => return failed(&error),
    };
    let selection = Selection { table: arguments.table.clone(), index: arguments.index.clone() };
    let mut console = Console::new(Unit::Rows);
    let rebuilt = directory.rebuild(&selection, arguments.dry_run, &mut console);
    console.finish();
    match rebuilt {
        Ok(repair) => report(&repair, arguments),
        Err(error) => failed(&format!("{}: {error}", data_dir.display())),
    }
}

fn report(repair: &Repair, arguments: &Arguments) -> ExitCode {
    if repair.table_count == 0 && (arguments.table.is_some() || arguments.index.is_some()) {
        return failed(&"no table has that name, or it has no such index");
    }
    let Repair { table_count, index_count, difference_count, damage_count } = *repair;
    let what = match (difference_count, arguments.dry_run) {
        (0, _) => "nothing differs".to_owned(),
        (count, true) => format!("{} differences, nothing is changed", HumanCount(count)),
        (count, false) => format!("{} differences, all repaired", HumanCount(count)),
    };
    println!("{} indexes of {} tables: {what}", HumanCount(index_count), HumanCount(table_count));
    if damage_count > 0 {
        println!("{} times rows are damaged: restore a backup to be rid of that", HumanCount(damage_count));
    }
    match damage_count > 0 || arguments.dry_run && difference_count > 0 {
        true => ExitCode::from(DIFFERENCES),
        false => ExitCode::SUCCESS,
    }
}
