//! Flags about a disk that is full or damaged.

use super::{GIB, MIB, Size, parse_size};
use clap::Args;

#[derive(Clone, Debug, Args)]
pub struct DiskFlags {
    /// Free space below which writes are refused, so that what was written can still be flushed and the server stopped
    /// cleanly; 0 is none
    #[arg(long, env = "JORMUN_DISK_RESERVE", value_name = "SIZE", default_value = "512MB",
          value_parser = parse_reserve)]
    pub disk_reserve: Size,

    /// Start although the log is damaged, without the writes that it lost; the log says which. Copy the directory first
    #[arg(long, env = "JORMUN_RECOVER_DAMAGED_LOG", value_parser = clap::builder::FalseyValueParser::new())]
    pub recover_damaged_log: bool,
}

fn parse_reserve(text: &str) -> Result<Size, String> {
    match text {
        "0" => Ok(Size(0)),
        _ => parse_size(text, Size(MIB), Size(1024 * GIB)).map_err(|error| format!("0 or {error}")),
    }
}
