//! Parameter groups and checks that operations have in common. A group takes the members that are its own while a
//! request is decoded and gives the others back.

/// What the batch operations have in common.
pub mod batch;

/// Member constraints of a whole request in one message.
pub mod constraint;

/// Expression parameters and their legacy forms: which are given, how they mix, what they are bound to.
pub mod expressions;

/// Primary keys and index keys in items and parameters.
pub mod key;

/// The parameters that expressions replaced.
pub mod legacy;

/// Pages of Query and Scan.
pub mod page;

/// What the parameters of Query and Scan have in common.
pub mod read;

/// ReturnConsumedCapacity and ReturnItemCollectionMetrics.
pub mod report;

/// ARNs of tagged tables.
pub mod resource_arn;

/// TableName of data operations.
pub mod table_name;

/// Parameters of tables and indexes, and their validation.
pub mod table_definition;

/// The answer's TableDescription.
pub mod table_description;

/// What the transactional operations have in common.
pub mod transaction;

/// PutItem, UpdateItem, DeleteItem: what their parameters have in common.
pub mod write;

/// What tests of operations run in.
#[cfg(test)]
pub mod fixture;
