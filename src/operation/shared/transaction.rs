//! What TransactWriteItems and TransactGetItems have in common.

use std::borrow::Cow;

use crate::error::{ApiError, CancellationReason, Detail, ErrorKind};

/// Actions of one transaction.
pub const ACTION_COUNT_MAX: usize = 100;

/// The reason of an action that did not stand in the way.
const NONE: CancellationReason = CancellationReason { code: "None", message: None, item: None };

/// Refuses two actions on one item.
pub fn duplicate_targets() -> ApiError {
    ApiError::validation("Transaction request cannot include multiple operations on one item")
}

/// A token under which something else was done within ten minutes.
pub fn token_mismatch() -> ApiError {
    ApiError::new(
        ErrorKind::IdempotentParameterMismatch,
        "DynamoDB rejected the request because you retried a request with a different payload but with an idempotent \
         token that was already used.",
    )
}

/// A transaction that did not happen: one entry an action, `None` for those that were fine.
pub fn cancelled<'e>(errors: impl Iterator<Item = Option<&'e ApiError>>) -> ApiError {
    let reasons: Vec<CancellationReason> = errors.map(|error| error.map_or(NONE, reason)).collect();
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code).collect();
    ApiError {
        kind: ErrorKind::TransactionCanceled,
        message: Cow::Owned(format!(
            "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
            codes.join(", ")
        )),
        detail: Detail::Reasons(reasons),
    }
}

fn reason(error: &ApiError) -> CancellationReason {
    let code = match error.kind {
        ErrorKind::ConditionalCheckFailed => "ConditionalCheckFailed",
        ErrorKind::ItemCollectionSizeLimitExceeded => "ItemCollectionSizeLimitExceeded",
        ErrorKind::Throttling => "ThrottlingError",
        _ => "ValidationError",
    };
    let item = match &error.detail {
        Detail::Item(item) => Some(item.clone()),
        _ => None,
    };
    CancellationReason { code, message: Some(error.message.clone()), item }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_stand_in_the_order_of_the_actions() {
        let errors = [None, Some(ApiError::condition_failed(None)), Some(ApiError::validation("v")), None];
        let error = cancelled(errors.iter().map(Option::as_ref));
        assert_eq!(
            error.message,
            "Transaction cancelled, please refer cancellation reasons for specific reasons [None, \
             ConditionalCheckFailed, ValidationError, None]"
        );
        let Detail::Reasons(reasons) = error.detail else { panic!("reasons are given") };
        assert_eq!(reasons[0], NONE);
        assert_eq!(reasons[1].message.as_deref(), Some("The conditional request failed"));
        assert_eq!((reasons[2].code, reasons[2].message.as_deref()), ("ValidationError", Some("v")));
    }
}
