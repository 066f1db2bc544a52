//! `jormundb restore`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::backup::shown;
use super::console::{Console, Unit};
use super::failed;
use crate::storage::restore;

#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Directory that holds the backups; the new data directory (--data-dir) must be empty or not exist
    #[arg(value_name = "BACKUP_DIR")]
    directory: PathBuf,

    /// Which backup [default: the latest]
    #[arg(long, value_name = "ID")]
    backup_id: Option<u32>,
}

pub fn run(arguments: &Arguments, data_dir: &Path) -> ExitCode {
    let mut console = Console::new(Unit::Bytes);
    let restored = restore(&arguments.directory, arguments.backup_id, data_dir, &mut console);
    console.finish();
    match restored {
        Ok(info) => {
            println!("{} is restored to {}", shown(&info), data_dir.display());
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}
