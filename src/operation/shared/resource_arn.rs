//! The tag operations: which table a ResourceArn means, and which tags are permitted.

use std::collections::HashSet;
use std::sync::Arc;

use super::constraint::Constraints;
use super::table_definition::parameters::read_text;
use super::table_name;
use crate::error::{ApiError, ErrorKind};
use crate::json::reader::structure;
use crate::model::arn::Location;
use crate::model::limits::{TAG_COUNT_MAX, TAG_KEY_LENGTH_MAX, TAG_VALUE_LENGTH_MAX};
use crate::model::table::Tag;
use crate::storage::{Catalog, Table};

/// Lengths of the parameter.
const ARN_LENGTH: (usize, usize) = (1, 1283);

structure!(TagParameter<'a>, "Tag", {
    "Key" => key: Option<&'a str>,
    "Value" => value: Option<&'a str>,
});

/// What the tag operations demand before anything else: a ResourceArn, not empty and not too long.
pub fn require<'a>(arn: Option<&'a str>, constraints: &mut Constraints) -> Result<&'a str, ApiError> {
    let arn = arn.ok_or_else(|| ApiError::validation("Invalid TableArn"))?;
    Ok(read_text(Some(arn), ARN_LENGTH, "resourceArn", constraints))
}

/// The name of the table of an ARN of this account; `operation` is for the text that refuses another one.
pub fn table_name<'a>(arn: &'a str, location: &Location, operation: &str) -> Result<&'a str, ApiError> {
    if !arn.starts_with("arn:") {
        return Err(ApiError::invalid_parameters(format_args!("ARNs must start with 'arn:': {arn}")));
    }
    let invalid = || ApiError::validation(format!("Invalid TableArn: Invalid ResourceArn provided as input {arn}"));
    let (region, account, name) = split(arn).ok_or_else(invalid)?;
    if account != location.account {
        return Err(ApiError::new(
            ErrorKind::AccessDenied,
            format!(
                "User: arn:aws:iam::{}:root is not authorized to perform: dynamodb:{operation} on resource: {arn}",
                location.account
            ),
        ));
    }
    if region != location.region {
        return Err(not_found(arn));
    }
    Ok(name)
}

/// Region, account and table name of a well-formed table ARN.
fn split(arn: &str) -> Option<(&str, &str, &str)> {
    let (region, rest) = arn.strip_prefix("arn:aws:dynamodb:")?.split_once(':')?;
    let (account, resource) = rest.split_once(':')?;
    let name = resource.strip_prefix("table/")?;
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (!region.is_empty() && is_account && !name.is_empty() && table_name::is_name(name))
        .then_some((region, account, name))
}

/// The table of an ARN that passed [`table_name`].
pub fn find<'c>(catalog: &'c Catalog, name: &str, arn: &str) -> Result<&'c Arc<Table>, ApiError> {
    catalog.table(name).ok_or_else(|| not_found(arn))
}

fn not_found(arn: &str) -> ApiError {
    ApiError::new(ErrorKind::ResourceNotFound, format!("Requested resource not found: ResourceArn: {arn} not found"))
}

/// Reads Tags; what is given back means something only after `Constraints::check`.
pub fn read_tags<'a>(tags: &[Option<TagParameter<'a>>], constraints: &mut Constraints) -> Vec<(&'a str, &'a str)> {
    // More than a table can have are refused by their number.
    let elements = tags.iter().take(TAG_COUNT_MAX + 1).enumerate();
    elements
        .map(|(index, tag)| {
            let tag = tag.unwrap_or_default();
            let path = format!("tags.{}.member", index + 1);
            let key = read_text(tag.key, (1, TAG_KEY_LENGTH_MAX), &format!("{path}.key"), constraints);
            let value = read_text(tag.value, (0, TAG_VALUE_LENGTH_MAX), &format!("{path}.value"), constraints);
            (key, value)
        })
        .collect()
}

/// Reads TagKeys; what is given back means something only after `Constraints::check`.
pub fn read_tag_keys<'a>(keys: &[Option<&'a str>], constraints: &mut Constraints) -> Vec<&'a str> {
    let elements = keys.iter().take(TAG_COUNT_MAX + 1).enumerate();
    elements
        .map(|(index, key)| {
            let path = format!("tagKeys.{}.member", index + 1);
            read_text(*key, (1, TAG_KEY_LENGTH_MAX), &path, constraints)
        })
        .collect()
}

/// The tags of a request, each key permitted and given once, in the order of keys.
pub fn define_tags(tags: &[(&str, &str)]) -> Result<Vec<Tag>, ApiError> {
    let mut keys = HashSet::new();
    for (key, value) in tags {
        if key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
            return Err(ApiError::validation(format!("Tag Key cannot be prefixed with aws:, Key: {key}")));
        }
        if !is_permitted(key) {
            return Err(ApiError::validation(format!("The Tag Key provided is invalid, Key: {key}")));
        }
        if !is_permitted(value) {
            return Err(ApiError::validation(format!("The Tag Value provided is invalid, Value: {value}")));
        }
        if !keys.insert(*key) {
            return Err(ApiError::validation(format!(
                "Duplicate Tag Keys provided as input: Duplicate Tag Key found {key}"
            )));
        }
    }
    check_count(tags.len())?;
    let tag = |(key, value): &(&str, &str)| Tag { key: (*key).to_owned(), value: (*value).to_owned() };
    let mut defined: Vec<Tag> = tags.iter().map(tag).collect();
    defined.sort_unstable_by(|left, right| left.key.cmp(&right.key));
    Ok(defined)
}

pub fn check_count(count: usize) -> Result<(), ApiError> {
    if count > TAG_COUNT_MAX {
        return Err(ApiError::validation("Number of Tags exceed the current limit for the provided ResourceArn"));
    }
    Ok(())
}

/// Letters, digits and blanks of any script, and these signs.
fn is_permitted(text: &str) -> bool {
    text.chars().all(|character| {
        character.is_alphanumeric()
            || character.is_whitespace()
            || matches!(character, '+' | '-' | '=' | '.' | '_' | ':' | '/' | '@')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_arns() {
        let here = Location { region: "us-east-1".into(), account: "000000000000".into() };
        let check = |arn: &str, expected: Result<&str, &str>| {
            let found = table_name(arn, &here, "TagResource");
            assert_eq!(
                found.as_ref().map_err(|error| &*error.message),
                expected.as_ref().map_err(|text| *text),
                "{arn}"
            );
        };
        check("arn:aws:dynamodb:us-east-1:000000000000:table/kvs", Ok("kvs"));
        check("x", Err("One or more parameter values were invalid: ARNs must start with 'arn:': x"));
        for arn in [
            "arn:",
            "arn:aws:s3:us-east-1:000000000000:table/kvs",
            "arn:aws:dynamodb:us-east-1:0:table/kvs",
            "arn:aws:dynamodb::000000000000:table/kvs",
            "arn:aws:dynamodb:us-east-1:000000000000:table/",
            "arn:aws:dynamodb:us-east-1:000000000000:table/a/index/b",
            "arn:aws:dynamodb:us-east-1:000000000000:kvs",
        ] {
            check(arn, Err(&format!("Invalid TableArn: Invalid ResourceArn provided as input {arn}")));
        }
        let elsewhere = "arn:aws:dynamodb:eu-west-1:000000000000:table/kvs";
        check(elsewhere, Err(&format!("Requested resource not found: ResourceArn: {elsewhere} not found")));
        let foreign = "arn:aws:dynamodb:us-east-1:111111111111:table/kvs";
        let error = table_name(foreign, &here, "TagResource").expect_err("another account's");
        assert_eq!(error.kind, ErrorKind::AccessDenied);
        assert!(
            error.message.ends_with(&format!("not authorized to perform: dynamodb:TagResource on resource: {foreign}"))
        );
    }

    #[test]
    fn tags() {
        let many: Vec<String> = (0..51).map(|number| format!("k{number}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|key| (&**key, "")).collect();
        let permitted = [("b", ""), ("ä 1+-=._:/@", "väl"), ("a", "x")];
        let defined = define_tags(&permitted).expect("permitted");
        assert_eq!(defined.iter().map(|tag| &*tag.key).collect::<Vec<_>>(), ["a", "b", "ä 1+-=._:/@"]);
        assert_eq!(define_tags(&many[..50]).map(|tags| tags.len()), Ok(50));
        for (tags, text) in [
            (&[("a,b", "")][..], "The Tag Key provided is invalid, Key: a,b"),
            (&[("a", "<")], "The Tag Value provided is invalid, Value: <"),
            (&[("aws:x", "")], "Tag Key cannot be prefixed with aws:, Key: aws:x"),
            (&[("AWS:x", "")], "Tag Key cannot be prefixed with aws:, Key: AWS:x"),
            (&[("a", "1"), ("b", ""), ("a", "2")], "Duplicate Tag Keys provided as input: Duplicate Tag Key found a"),
            (&many, "Number of Tags exceed the current limit for the provided ResourceArn"),
        ] {
            assert_eq!(define_tags(tags).map_err(|error| error.message), Err(text.into()));
        }
    }
}
