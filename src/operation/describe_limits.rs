//! DescribeLimits: AWS's default quotas. This server enforces none of them.

use super::call::Call;
use super::shared::table_definition::parameters::Unread;
use super::worker::{Failure, RequestMemory};
use crate::json::decode;

const ACCOUNT_UNITS_MAX: u64 = 80_000;
const TABLE_UNITS_MAX: u64 = 40_000;

pub(super) fn run(call: &mut Call<'_>, memory: &RequestMemory) -> Result<(), Failure> {
    decode::<Unread>(&memory.body, &memory.arena)?;
    call.writer().object(|writer| {
        writer.name("AccountMaxReadCapacityUnits").integer(ACCOUNT_UNITS_MAX);
        writer.name("AccountMaxWriteCapacityUnits").integer(ACCOUNT_UNITS_MAX);
        writer.name("TableMaxReadCapacityUnits").integer(TABLE_UNITS_MAX);
        writer.name("TableMaxWriteCapacityUnits").integer(TABLE_UNITS_MAX);
    });
    Ok(())
}
