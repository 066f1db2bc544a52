//! The kinds of requests, and what a right answer to each looks like.

use crate::framing::Protocol;

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `GET /`: what a request costs that no operation is behind.
    Health,
    GetItem,
    GetMissing,
    /// One of the items that were inserted last; it may not be there yet.
    GetLatest,
    /// An item that others delete and put back.
    GetAny,
    PutItem,
    /// A new item.
    InsertItem,
    PutItemIf,
    UpdateItem,
    /// An update that also creates the item.
    UpdateAny,
    /// Each item once.
    DeleteItem,
    DeleteAny,
    Query(usize),
    /// The same on the first global index.
    QueryIndex(usize),
    Scan,
    BatchWrite(usize),
    BatchGet(usize),
    TransactWrite(usize),
    /// A GetItem; the connection's next request is the PutItem of the same key, which is the workload's last step.
    ReadModify,
    /// BatchWriteItem of all items in turn.
    LoadItems(usize),
    LoadSeries(usize),
    RedisGet,
    RedisSet,
    /// SET of all keys in turn.
    RedisLoad,
}

impl Step {
    pub fn label(self) -> &'static str {
        match self {
            Step::Health => "GET /",
            Step::GetItem | Step::GetMissing | Step::GetLatest | Step::GetAny => "read",
            Step::PutItem | Step::PutItemIf => "write",
            Step::InsertItem => "insert",
            Step::UpdateItem | Step::UpdateAny => "update",
            Step::DeleteItem | Step::DeleteAny => "delete",
            Step::ReadModify => "read to modify",
            Step::Query(_) => "query",
            Step::QueryIndex(_) => "query on an index",
            Step::Scan => "scan",
            Step::BatchWrite(_) | Step::LoadItems(_) | Step::LoadSeries(_) => "batch write",
            Step::BatchGet(_) => "batch get",
            Step::TransactWrite(_) => "transaction",
            Step::RedisGet => "GET",
            Step::RedisSet | Step::RedisLoad => "SET",
        }
    }

    pub fn protocol(self) -> Protocol {
        match self {
            Step::RedisGet | Step::RedisSet | Step::RedisLoad => Protocol::Resp,
            _ => Protocol::Http,
        }
    }

    /// Items that a right answer stands for; `None` when it is not what was asked for.
    pub fn items(self, body: &[u8]) -> Option<u64> {
        let one_if = |right: bool| right.then_some(1);
        match self {
            Step::Health => one_if(body.starts_with(b"healthy")),
            Step::GetItem | Step::ReadModify => one_if(body.starts_with(br#"{"Item""#)),
            Step::GetLatest | Step::GetAny => one_if(body.starts_with(b"{")),
            Step::Query(_) | Step::QueryIndex(_) | Step::Scan => count(body),
            Step::BatchGet(items) => nothing_left(body, br#""UnprocessedKeys":"#).then_some(items as u64),
            Step::BatchWrite(items) | Step::LoadItems(items) | Step::LoadSeries(items) => {
                nothing_left(body, br#""UnprocessedItems":"#).then_some(items as u64)
            }
            Step::TransactWrite(items) => (body == b"{}").then_some(items as u64),
            Step::RedisGet => one_if(!body.is_empty()),
            Step::RedisSet | Step::RedisLoad => one_if(body == b"+OK\r\n"),
            Step::GetMissing
            | Step::PutItem
            | Step::InsertItem
            | Step::PutItemIf
            | Step::UpdateItem
            | Step::UpdateAny
            | Step::DeleteItem
            | Step::DeleteAny => one_if(body == b"{}"),
        }
    }
}

/// The `Count` of a page.
fn count(body: &[u8]) -> Option<u64> {
    let digits = at_an_end(body, br#""Count":"#)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// Whether the map of what was not done is empty.
fn nothing_left(body: &[u8], name: &[u8]) -> bool {
    at_an_end(body, name).is_some_and(|rest| rest.starts_with(b"{}"))
}

/// What follows a name and its colon that stand near the beginning or the end of a body, without the blank that some
/// servers write there: the middle of a large answer is not read.
fn at_an_end<'b>(body: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
    const NEAR_BYTES: usize = 512;
    let tail = &body[body.len().saturating_sub(NEAR_BYTES)..];
    let head = &body[..body.len().min(NEAR_BYTES)];
    let behind = |part: &'b [u8]| Some(&part[memchr::memmem::find(part, name)? + name.len()..]);
    [tail, head].into_iter().find_map(behind).map(<[u8]>::trim_ascii_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_checked() {
        let rows: &[(Step, &str, Option<u64>)] = &[
            (Step::GetItem, r#"{"Item":{"pk":{"S":"a"}}}"#, Some(1)),
            (Step::GetItem, r#"{"Item": {"pk": {"S": "a"}}}"#, Some(1)),
            (Step::GetItem, "{}", None),
            (Step::GetAny, "{}", Some(1)),
            (Step::GetMissing, "{}", Some(1)),
            (Step::GetMissing, r#"{"Item":{}}"#, None),
            (Step::Query(10), r#"{"Items":[],"Count":10,"ScannedCount":10}"#, Some(10)),
            (Step::QueryIndex(10), r#"{"Items": [], "Count": 10, "ScannedCount": 10}"#, Some(10)),
            (Step::Scan, r#"{"Count":7,"Items":[]}"#, Some(7)),
            (Step::Scan, r#"{"Items":[]}"#, None),
            (Step::BatchWrite(25), r#"{"UnprocessedItems":{}}"#, Some(25)),
            (Step::BatchWrite(25), r#"{"UnprocessedItems": {}}"#, Some(25)),
            (Step::BatchWrite(25), r#"{"UnprocessedItems":{"T":[]}}"#, None),
            (Step::RedisSet, "+OK\r\n", Some(1)),
            (Step::RedisGet, "", None),
        ];
        for (step, body, items) in rows {
            assert_eq!(step.items(body.as_bytes()), *items, "{step:?} {body}");
        }
    }
}
