//! The line that is logged for a request that took long.
//!
//! It names what somebody needs to find the cause: the operation and its table, the stages, how large request and
//! answer were, and the expressions as they were sent, cut off at a bound. Values are not logged: they are data.

use crate::http::response::RequestId;
use crate::operation::Response;
use crate::server::request_log::table_name;
use crate::server::timings::Timings;
use std::cell::Cell;
use std::fmt::Write;
use std::time::Duration;

/// Lines of one loop in one second. When everything is slow, a few hundred lines say so as well as a million.
const LINES_PER_SECOND_MAX: u32 = 50;

/// What is kept of the text of an expression.
const EXPRESSION_BYTES_MAX: usize = 256;

/// Members of a request that are logged. `Statement` is not among them, since it may hold values.
const EXPRESSIONS: [&str; 5] =
    ["KeyConditionExpression", "FilterExpression", "ConditionExpression", "UpdateExpression", "ProjectionExpression"];

/// Which requests of a loop are logged.
#[derive(Debug)]
pub struct SlowLog {
    threshold: Option<Duration>,
    second: Cell<u32>,
    lines: Cell<u32>,
    suppressed: Cell<u64>,
}

/// A request that will be logged once its answer is sent.
pub struct SlowRequest {
    operation: &'static str,
    table: String,
    status: u16,
    request_bytes: usize,
    response_bytes: usize,
    item_count: Option<u64>,
    expressions: String,
    suppressed: u64,
}

impl SlowLog {
    /// Zero milliseconds: nothing is logged.
    pub fn new(threshold_ms: u64) -> SlowLog {
        let threshold = (threshold_ms > 0).then(|| Duration::from_millis(threshold_ms));
        SlowLog { threshold, second: Cell::new(0), lines: Cell::new(0), suppressed: Cell::new(0) }
    }

    pub fn is_on(&self) -> bool {
        self.threshold.is_some()
    }

    pub fn is_slow(&self, time: Duration) -> bool {
        self.threshold.is_some_and(|threshold| time >= threshold)
    }

    /// Takes down what is known of a slow request, unless this second has had its lines. `now` is in seconds.
    pub fn note(
        &self,
        now: u32,
        operation: &'static str,
        body: &[u8],
        request_bytes: usize,
        response: &Response,
    ) -> Option<Box<SlowRequest>> {
        if self.second.replace(now) != now {
            self.lines.set(0);
        }
        if self.lines.get() == LINES_PER_SECOND_MAX {
            self.suppressed.set(self.suppressed.get() + 1);
            return None;
        }
        self.lines.set(self.lines.get() + 1);
        Some(Box::new(SlowRequest {
            operation,
            table: table_name(body),
            status: response.status,
            request_bytes,
            response_bytes: response.body.len(),
            item_count: item_count(&response.body),
            expressions: expressions(body),
            suppressed: self.suppressed.take(),
        }))
    }
}

impl SlowRequest {
    pub fn log(&self, request_id: RequestId, total: Duration, timings: &Timings) {
        let mut stages = String::new();
        for (name, milliseconds) in timings.stages() {
            // A String takes whatever is written.
            let _ = write!(stages, "{name}={milliseconds:.3} ");
        }
        tracing::warn!(
            operation = self.operation,
            table = %self.table,
            status = self.status,
            request_id = request_id.as_str(),
            total_ms = total.as_secs_f64() * 1e3,
            stages_ms = stages.trim_end(),
            request_bytes = self.request_bytes,
            response_bytes = self.response_bytes,
            items = self.item_count,
            expressions = %self.expressions,
            suppressed = self.suppressed,
            "slow request"
        );
    }
}

/// `Count` of the answer to a Query or Scan. An attribute of that name is followed by an object, and a quote inside of
/// a string by a backslash's work: neither looks like this.
fn item_count(body: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"\"Count\":";
    memchr::memmem::find_iter(body, NAME).find_map(|at| {
        let digits = body[at + NAME.len()..].iter().take_while(|byte| byte.is_ascii_digit()).take(18);
        digits.fold(None, |sum, digit| Some(sum.unwrap_or(0) * 10 + u64::from(digit - b'0')))
    })
}

/// `Name: text` of each expression of a request, as JSON has it.
fn expressions(body: &[u8]) -> String {
    let mut found = String::new();
    for name in EXPRESSIONS {
        let quoted = format!("\"{name}\"");
        for at in memchr::memmem::find_iter(body, quoted.as_bytes()).take(2) {
            let rest = body[at + quoted.len()..].trim_ascii_start();
            let Some(rest) = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start) else { continue };
            let Some(text) = rest.strip_prefix(b"\"") else { continue };
            let end = text.iter().position(|&byte| byte == b'"').unwrap_or(text.len());
            let kept = &text[..end.min(EXPRESSION_BYTES_MAX)];
            let more = if kept.len() < end { "..." } else { "" };
            let separator = if found.is_empty() { "" } else { "; " };
            // A String takes whatever is written.
            let _ = write!(found, "{separator}{name}: {}{more}", String::from_utf8_lossy(kept));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_cut_and_values_left_out() {
        let check = |body: &str, expected: &str| assert_eq!(expressions(body.as_bytes()), expected, "{body}");
        check("{}", "");
        check(
            r#"{"UpdateExpression" : "SET a = :v","ExpressionAttributeValues":{":v":{"S":"secret"}}}"#,
            "UpdateExpression: SET a = :v",
        );
        check(
            r#"{"FilterExpression":"a = :a","KeyConditionExpression":"k = :k"}"#,
            "KeyConditionExpression: k = :k; FilterExpression: a = :a",
        );
        check(r#"{"FilterExpression":5,"ConditionExpression""#, "");
        check(r#"{"FilterExpression":"#, "");
        let long = format!(r#"{{"FilterExpression":"{}"}}"#, "x".repeat(1000));
        check(&long, &format!("FilterExpression: {}...", "x".repeat(EXPRESSION_BYTES_MAX)));
    }

    #[test]
    fn counts_of_answers() {
        let check = |body: &str, count| assert_eq!(item_count(body.as_bytes()), count, "{body}");
        check(r#"{"Count":12,"Items":[],"ScannedCount":40}"#, Some(12));
        check(r#"{"Items":[{"Count":{"N":"7"}}],"Count":1,"ScannedCount":1}"#, Some(1));
        check(r#"{"Items":[{"a":{"S":"\"Count\":9"}}],"Count":1}"#, Some(1));
        check(r#"{"Item":{}}"#, None);
        check(r#"{"Count":99999999999999999999999}"#, Some(999_999_999_999_999_999));
    }

    #[test]
    fn lines_are_bounded_and_what_is_left_out_is_told() {
        let log = SlowLog::new(1);
        assert!(log.is_on() && log.is_slow(Duration::from_millis(1)) && !log.is_slow(Duration::from_micros(999)));
        assert!(!SlowLog::new(0).is_slow(Duration::MAX));
        let note = |second| log.note(second, "Scan", b"{}", 2, &Response::default());
        let logged = (0..LINES_PER_SECOND_MAX + 7).filter(|_| note(1).is_some()).count();
        assert_eq!(logged, LINES_PER_SECOND_MAX as usize);
        assert_eq!(note(2).map(|request| request.suppressed), Some(7));
        assert_eq!(note(2).map(|request| request.suppressed), Some(0));
    }
}
