//! The line that `--verbose` prints for each request.

use crate::server::door::Envelope;
use std::time::Instant;

/// A request that is being answered.
pub struct RequestLog {
    operation: &'static str,
    table: String,
    begun: Instant,
}

impl RequestLog {
    pub fn begin(envelope: &Envelope, body: &[u8]) -> RequestLog {
        RequestLog { operation: envelope.row().name(), table: table_name(body), begun: Instant::now() }
    }

    pub fn end(self, status: u16) {
        // A u64 is a number in JSON, a u128 a text.
        let micros = self.begun.elapsed().as_micros() as u64;
        tracing::info!(operation = self.operation, table = %self.table, status, micros, "request");
    }
}

/// The first `"TableName":"…"` of a body, as far as one can tell without decoding it; `-` when there is none.
pub fn table_name(body: &[u8]) -> String {
    let found = text_member(body, b"\"TableName\"");
    found.map_or_else(|| "-".to_owned(), |name| String::from_utf8_lossy(name).into_owned())
}

/// The text of the first member with this name, which is given with its quotes, up to the next quote.
pub fn text_member<'b>(body: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
    let at = memchr::memmem::find(body, name)?;
    let mut parts = body[at + name.len()..].split(|&byte| byte == b'"');
    (parts.next()?.trim_ascii() == b":").then(|| parts.next())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_for_the_log() {
        let check = |body: &str, name: &str| assert_eq!(table_name(body.as_bytes()), name, "{body}");
        check(r#"{"TableName":"Music","Key":{}}"#, "Music");
        check(r#"{"Key":{}, "TableName" : "Music"}"#, "Music");
        check(r#"{"TableName":5}"#, "-");
        check(r#"{"RequestItems":{}}"#, "-");
        check(r#"{"TableName":""#, "");
        check("", "-");
    }
}
