//! Flags of the hot-item cache.

use super::{GIB, MIB, Size, parse_size};
use clap::Args;

#[derive(Clone, Debug, Args)]
pub struct HotCacheFlags {
    /// Memory for items that are read often, kept above the block cache; 0 is none
    #[arg(long, env = "JORMUN_HOT_CACHE", value_name = "SIZE", default_value = "128MB", value_parser = parse_hot_cache)]
    pub hot_cache: Size,
}

fn parse_hot_cache(text: &str) -> Result<Size, String> {
    match text {
        "0" => Ok(Size(0)),
        _ => parse_size(text, Size(MIB), Size(1024 * GIB)).map_err(|error| format!("0 or {error}")),
    }
}
