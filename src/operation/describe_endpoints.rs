//! DescribeEndpoints: where clients with endpoint discovery are to send their requests, which is here.

use super::call::Call;
use super::shared::table_definition::parameters::Unread;
use super::worker::{Failure, RequestMemory};
use crate::json::decode;

/// How long clients keep the answer.
const CACHE_PERIOD_MINUTES: u64 = 1440;

pub(super) fn run(call: &mut Call<'_>, memory: &RequestMemory) -> Result<(), Failure> {
    decode::<Unread>(&memory.body, &memory.arena)?;
    let address = &call.service.endpoint;
    call.writer().object(|writer| {
        writer.name("Endpoints").array(|writer| {
            writer.object(|writer| {
                writer.name("Address").string(address);
                writer.name("CachePeriodInMinutes").integer(CACHE_PERIOD_MINUTES);
            });
        });
    });
    Ok(())
}
