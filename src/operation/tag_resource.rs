//! TagResource: adds tags to a table or gives them new values. The answer has no body.

use super::call::Call;
use super::shared::constraint::Constraints;
use super::shared::resource_arn::{self, TagParameter, define_tags, read_tags};
use super::worker::{Failure, RequestMemory};
use crate::error::{ApiError, Wording};
use crate::json::decode;
use crate::json::reader::structure;
use crate::model::arn::Location;
use crate::model::table::Tag;

structure!(Parameters<'a>, "TagResourceInput", {
    "ResourceArn" => arn: Option<&'a str>,
    "Tags" => tags: Option<&'a [Option<TagParameter<'a>>]>,
});

pub(super) fn run(call: &mut Call<'_>, memory: &RequestMemory) -> Result<(), Failure> {
    let parameters: Parameters<'_> = decode(&memory.body, &memory.arena)?;
    let (arn, name, tags) = check(&parameters, &call.service.location)?;
    let (arn, name) = (arn.to_owned(), name.to_owned());
    call.service.store.alter(move |draft| -> Result<(), Failure> {
        let table = resource_arn::find(draft.catalog(), &name, &arn)?.clone();
        let mut definition = table.definition().clone();
        definition.tags = merge(&definition.tags, tags)?;
        draft.replace(&table, definition)?;
        Ok(())
    })
}

/// The ARN, the name of its table, and the tags.
fn check<'a>(parameters: &Parameters<'a>, location: &Location) -> Result<(&'a str, &'a str, Vec<Tag>), ApiError> {
    let mut constraints = Constraints::new(Wording::Older);
    let arn = resource_arn::require(parameters.arn, &mut constraints)?;
    constraints.required(parameters.tags.is_some(), "tags");
    let tags = read_tags(parameters.tags.unwrap_or_default(), &mut constraints);
    constraints.check()?;
    let name = resource_arn::table_name(arn, location, "TagResource")?;
    if tags.is_empty() {
        return Err(ApiError::validation("Atleast one Tag needs to be provided as Input."));
    }
    Ok((arn, name, define_tags(&tags)?))
}

/// Both lists are in the order of keys, and so is the result.
fn merge(old: &[Tag], added: Vec<Tag>) -> Result<Vec<Tag>, ApiError> {
    let kept = old.iter().filter(|tag| added.binary_search_by(|new| new.key.cmp(&tag.key)).is_err());
    let mut merged: Vec<Tag> = kept.cloned().collect();
    merged.extend(added);
    merged.sort_unstable_by(|left, right| left.key.cmp(&right.key));
    resource_arn::check_count(merged.len())?;
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use bumpalo::Bump;

    use super::*;

    const ARN: &str = r#""ResourceArn":"arn:aws:dynamodb:r:000000000000:table/kvs""#;

    fn tag(key: &str, value: &str) -> Tag {
        Tag { key: key.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn parameters() {
        let here = Location { region: "r".into(), account: "000000000000".into() };
        for (members, expected) in [
            (r#""Tags":[]"#, "Invalid TableArn"),
            (
                ARN,
                "1 validation error detected: Value null at 'tags' failed to satisfy constraint: Member must not be \
                 null",
            ),
            (
                r#""ResourceArn":"","Tags":[{}]"#,
                "3 validation errors detected: Value '' at 'resourceArn' failed to satisfy constraint: Member must \
                 have length greater than or equal to 1; Value null at 'tags.1.member.key' failed to satisfy \
                 constraint: Member must not be null; Value null at 'tags.1.member.value' failed to satisfy \
                 constraint: Member must not be null",
            ),
            (
                r#""ResourceArn":"x","Tags":[{"Key":"a","Value":""},{"Key":"","Value":""}]"#,
                "1 validation error detected: Value '' at 'tags.2.member.key' failed to satisfy constraint: Member \
                 must have length greater than or equal to 1",
            ),
            (
                r#""ResourceArn":"x","Tags":[]"#,
                "One or more parameter values were invalid: ARNs must start with 'arn:': x",
            ),
            (&format!(r#"{ARN},"Tags":[]"#), "Atleast one Tag needs to be provided as Input."),
            (
                &format!(r#"{ARN},"Tags":[{{"Key":"a","Value":""}},{{"Key":"a","Value":""}}]"#),
                "Duplicate Tag Keys provided as input: Duplicate Tag Key found a",
            ),
            (
                r#""ResourceArn":"arn:aws:dynamodb:q:000000000000:table/kvs","Tags":[{"Key":"a","Value":""}]"#,
                "Requested resource not found: ResourceArn: arn:aws:dynamodb:q:000000000000:table/kvs not found",
            ),
        ] {
            let body = format!("{{{members}}}");
            let arena = Bump::new();
            let parameters = decode::<Parameters<'_>>(body.as_bytes(), &arena).expect("well-formed");
            let found = check(&parameters, &here);
            assert_eq!(found.map(|_| ()).map_err(|error| error.message), Err(expected.into()), "{body}");
        }
    }

    #[test]
    fn tags_are_added_and_overwritten_up_to_fifty() {
        let old = [tag("a", "1"), tag("c", "1")];
        let merged = merge(&old, vec![tag("b", "2"), tag("c", "2")]);
        assert_eq!(merged, Ok(vec![tag("a", "1"), tag("b", "2"), tag("c", "2")]));
        let full: Vec<Tag> = (10..60).map(|number| tag(&number.to_string(), "")).collect();
        assert_eq!(merge(&full, vec![tag("20", "x")]).map(|tags| tags.len()), Ok(50));
        assert_eq!(
            merge(&full, vec![tag("x", "")]).map_err(|error| error.message),
            Err("Number of Tags exceed the current limit for the provided ResourceArn".into())
        );
    }
}
