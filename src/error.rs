//! What DynamoDB answers when it refuses: the table of error types, and the texts that several layers share.

use std::borrow::Cow;

/// Which of AWS's two wordings of value and parameter checks an operation answers in, as us-east-1 does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wording {
    /// PutItem, UpdateItem, DeleteItem: today's texts inside `1 validation error detected: `.
    Enveloped,
    /// GetItem, BatchGetItem, Query: today's texts, bare.
    Current,
    /// Scan, BatchWriteItem, transactions, control plane: the older texts, bare.
    Older,
}

impl Wording {
    /// Wraps a text as this wording does.
    pub fn envelope(self, message: impl Into<Cow<'static, str>>) -> Cow<'static, str> {
        let message = message.into();
        match self {
            Wording::Enveloped => Cow::Owned(format!("1 validation error detected: {message}")),
            Wording::Current | Wording::Older => message,
        }
    }
}

/// Every error type that this server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    Serialization,
    UnknownOperation,
    AccessDenied,
    Validation,
    ResourceNotFound,
    ResourceInUse,
    LimitExceeded,
    ConditionalCheckFailed,
    TransactionCanceled,
    TransactionInProgress,
    IdempotentParameterMismatch,
    ItemCollectionSizeLimitExceeded,
    Throttling,
    InternalServerError,
    ServiceUnavailable,
}

/// Namespaces of error types.
const CORAL: &str = "com.amazon.coral.service#";
const VALIDATE: &str = "com.amazon.coral.validate#";
const DYNAMODB: &str = "com.amazonaws.dynamodb.v20120810#";

impl ErrorKind {
    /// Namespace, name, HTTP status and the member that carries the text.
    pub fn wire(self) -> (&'static str, &'static str, u16, &'static str) {
        match self {
            ErrorKind::Serialization => (CORAL, "SerializationException", 400, "Message"),
            ErrorKind::UnknownOperation => (CORAL, "UnknownOperationException", 400, "message"),
            ErrorKind::AccessDenied => (CORAL, "AccessDeniedException", 400, "Message"),
            ErrorKind::Validation => (VALIDATE, "ValidationException", 400, "message"),
            ErrorKind::ResourceNotFound => (DYNAMODB, "ResourceNotFoundException", 400, "message"),
            ErrorKind::ResourceInUse => (DYNAMODB, "ResourceInUseException", 400, "message"),
            ErrorKind::LimitExceeded => (DYNAMODB, "LimitExceededException", 400, "message"),
            ErrorKind::ConditionalCheckFailed => (DYNAMODB, "ConditionalCheckFailedException", 400, "message"),
            ErrorKind::TransactionCanceled => (DYNAMODB, "TransactionCanceledException", 400, "Message"),
            ErrorKind::TransactionInProgress => (DYNAMODB, "TransactionInProgressException", 400, "Message"),
            ErrorKind::IdempotentParameterMismatch => {
                (DYNAMODB, "IdempotentParameterMismatchException", 400, "Message")
            }
            ErrorKind::ItemCollectionSizeLimitExceeded => {
                (DYNAMODB, "ItemCollectionSizeLimitExceededException", 400, "message")
            }
            ErrorKind::Throttling => (DYNAMODB, "ThrottlingException", 400, "message"),
            ErrorKind::InternalServerError => (DYNAMODB, "InternalServerError", 500, "message"),
            ErrorKind::ServiceUnavailable => (DYNAMODB, "ServiceUnavailable", 503, "message"),
        }
    }
}

/// An answer that is not a success.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    pub kind: ErrorKind,
    /// Empty: the body has no text at all, as for a body that is not JSON.
    pub message: Cow<'static, str>,
    pub detail: Detail,
}

/// What an error carries besides its text.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Detail {
    #[default]
    None,
    /// The stored form of the item that failed a condition.
    Item(Box<[u8]>),
    /// Why a transaction was cancelled, one entry an action, in order.
    Reasons(Vec<CancellationReason>),
}

/// One entry of CancellationReasons.
#[derive(Clone, Debug, PartialEq)]
pub struct CancellationReason {
    pub code: &'static str,
    pub message: Option<Cow<'static, str>>,
    /// The stored form of the item that failed a condition.
    pub item: Option<Box<[u8]>>,
}

impl ApiError {
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError { kind, message: message.into(), detail: Detail::None }
    }

    pub fn validation(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(ErrorKind::Validation, message)
    }

    /// `One or more parameter values were invalid: …`
    pub fn invalid_parameters(reason: impl std::fmt::Display) -> ApiError {
        ApiError::validation(format!("One or more parameter values were invalid: {reason}"))
    }

    /// The body is not JSON.
    pub fn malformed() -> ApiError {
        ApiError::new(ErrorKind::Serialization, "")
    }

    /// JSON of another type than the member's.
    pub fn serialization(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(ErrorKind::Serialization, message)
    }

    /// A table that data operations cannot find.
    pub fn resource_not_found() -> ApiError {
        ApiError::new(ErrorKind::ResourceNotFound, "Requested resource not found")
    }

    /// A table that control-plane operations cannot find.
    pub fn table_not_found(name: &str) -> ApiError {
        ApiError::new(ErrorKind::ResourceNotFound, format!("Requested resource not found: Table: {name} not found"))
    }

    /// The resource is in a state that does not admit the change; it passes by itself.
    pub fn resource_in_use(state: impl std::fmt::Display) -> ApiError {
        let message = format!("Attempt to change a resource which is still in use: {state}");
        ApiError::new(ErrorKind::ResourceInUse, message)
    }

    /// A limit of the account or of a table.
    pub fn limit_exceeded(limit: impl std::fmt::Display) -> ApiError {
        ApiError::new(ErrorKind::LimitExceeded, format!("Subscriber limit exceeded: {limit}"))
    }

    pub fn condition_failed(item: Option<Box<[u8]>>) -> ApiError {
        ApiError {
            kind: ErrorKind::ConditionalCheckFailed,
            message: "The conditional request failed".into(),
            detail: item.map_or(Detail::None, Detail::Item),
        }
    }

    /// The commit queue is full; SDKs retry.
    pub fn throttled() -> ApiError {
        ApiError::new(
            ErrorKind::Throttling,
            "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your \
             table or index so please try again shortly. If exceptions persist, check if you have a hot key: \
             https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html",
        )
    }

    /// No space on the disk: the write was not done, and one later may be. An InternalServerError would leave open
    /// whether it was. SDKs retry both.
    pub fn disk_full() -> ApiError {
        ApiError::new(
            ErrorKind::ServiceUnavailable,
            "The server has no disk space left for writes. The request was not processed. Please try again later.",
        )
    }

    /// A fault of ours. What went wrong is logged, not answered.
    pub fn internal() -> ApiError {
        ApiError::new(
            ErrorKind::InternalServerError,
            "The request processing has failed because of an unknown error, exception or failure.",
        )
    }
}
