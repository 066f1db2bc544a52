//! `jormundb backup`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use indicatif::HumanBytes;

use super::console::{Console, Unit};
use super::{control, failed};
use crate::clock::utc_label;
use crate::storage::{BackupInfo, BackupReport, BackupSource, list_backups};

#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Directory that holds the backups; created if missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// List the backups in DIR
    #[arg(long, conflicts_with = "keep")]
    list: bool,

    /// Remove all but the latest COUNT backups afterwards
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
}

pub fn run(arguments: &Arguments, data_dir: &Path) -> ExitCode {
    if arguments.list {
        return list(&arguments.directory);
    }
    let mut console = Console::new(Unit::Bytes);
    let made = make(arguments, data_dir, &mut console);
    console.finish();
    match made {
        Ok(report) => {
            println!("{}, {} copied", shown(&report.info), HumanBytes(report.copied_bytes));
            if report.purged_count > 0 {
                println!("{} older backups removed", report.purged_count);
            }
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

/// Asks the server for it, or makes it here if none runs.
fn make(arguments: &Arguments, data_dir: &Path, console: &mut Console) -> Result<BackupReport, String> {
    let target = std::path::absolute(&arguments.directory).map_err(|error| error.to_string())?;
    let server = control::connect(data_dir)
        .map_err(|error| format!("{}: the server cannot be asked: {error}", data_dir.display()))?;
    match server {
        Some(server) => control::request_backup(server, &target, arguments.keep, console),
        None => {
            let source = BackupSource::open(data_dir).map_err(|error| error.to_string())?;
            source.create(&target, arguments.keep.map(|keep| keep as usize), console).map_err(|error| error.to_string())
        }
    }
}

fn list(directory: &Path) -> ExitCode {
    match list_backups(directory) {
        Ok(backups) => {
            backups.iter().for_each(|info| println!("{}", shown(info)));
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

pub fn shown(info: &BackupInfo) -> String {
    let time = utc_label(info.time_s * 1000);
    let seconds = time.split('.').next().unwrap_or_default();
    format!("backup {}: {seconds}Z, {} files of {}", info.id, info.file_count, HumanBytes(info.bytes))
}
