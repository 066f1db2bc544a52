//! UntagResource: takes tags from a table; keys that it does not have are no error. The answer has no body.

use super::call::Call;
use super::shared::constraint::Constraints;
use super::shared::resource_arn;
use super::worker::{Failure, RequestMemory};
use crate::error::{ApiError, Wording};
use crate::json::decode;
use crate::json::reader::structure;
use crate::model::arn::Location;

structure!(Parameters<'a>, "UntagResourceInput", {
    "ResourceArn" => arn: Option<&'a str>,
    "TagKeys" => keys: Option<&'a [Option<&'a str>]>,
});

pub(super) fn run(call: &mut Call<'_>, memory: &RequestMemory) -> Result<(), Failure> {
    let parameters: Parameters<'_> = decode(&memory.body, &memory.arena)?;
    let (arn, name, keys) = check(&parameters, &call.service.location)?;
    let (arn, name) = (arn.to_owned(), name.to_owned());
    let keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
    call.service.store.alter(move |draft| -> Result<(), Failure> {
        let table = resource_arn::find(draft.catalog(), &name, &arn)?.clone();
        let mut definition = table.definition().clone();
        definition.tags.retain(|tag| !keys.contains(&tag.key));
        if definition.tags.len() < table.definition().tags.len() {
            draft.replace(&table, definition)?;
        }
        Ok(())
    })
}

/// The ARN, the name of its table, and the keys.
fn check<'a>(parameters: &Parameters<'a>, location: &Location) -> Result<(&'a str, &'a str, Vec<&'a str>), ApiError> {
    let mut constraints = Constraints::new(Wording::Older);
    let arn = resource_arn::require(parameters.arn, &mut constraints)?;
    constraints.required(parameters.keys.is_some(), "tagKeys");
    let keys = resource_arn::read_tag_keys(parameters.keys.unwrap_or_default(), &mut constraints);
    constraints.check()?;
    let name = resource_arn::table_name(arn, location, "UntagResource")?;
    if keys.is_empty() {
        return Err(ApiError::validation("Atleast one Tag Key needs to be provided as Input."));
    }
    resource_arn::check_count(keys.len())?;
    Ok((arn, name, keys))
}

#[cfg(test)]
mod tests {
    use bumpalo::Bump;

    use super::*;

    #[test]
    fn parameters() {
        let here = Location { region: "r".into(), account: "000000000000".into() };
        let arn = r#""ResourceArn":"arn:aws:dynamodb:r:000000000000:table/kvs""#;
        let many = vec![r#""k""#; 51].join(",");
        for (members, expected) in [
            (r#""TagKeys":["a"]"#, Err("Invalid TableArn")),
            (
                arn,
                Err("1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: Member must \
                     not be null"),
            ),
            (
                r#""ResourceArn":"x","TagKeys":["a",""]"#,
                Err(
                    "1 validation error detected: Value '' at 'tagKeys.2.member' failed to satisfy constraint: Member \
                     must have length greater than or equal to 1",
                ),
            ),
            (
                r#""ResourceArn":"arn:x","TagKeys":["a"]"#,
                Err("Invalid TableArn: Invalid ResourceArn provided as input arn:x"),
            ),
            (&format!(r#"{arn},"TagKeys":[]"#), Err("Atleast one Tag Key needs to be provided as Input.")),
            (
                &format!(r#"{arn},"TagKeys":[{many}]"#),
                Err("Number of Tags exceed the current limit for the provided ResourceArn"),
            ),
            (&format!(r#"{arn},"TagKeys":["a","aws:b","a"]"#), Ok(("kvs", vec!["a", "aws:b", "a"]))),
        ] {
            let body = format!("{{{members}}}");
            let arena = Bump::new();
            let parameters = decode::<Parameters<'_>>(body.as_bytes(), &arena).expect("well-formed");
            let found = check(&parameters, &here).map(|(_, name, keys)| (name, keys));
            assert_eq!(found.map_err(|error| error.message), expected.map_err(Into::into), "{body}");
        }
    }
}
