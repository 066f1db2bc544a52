//! ListTagsOfResource: tags in pages of ten, in the order of keys.
//!
//! ```text
//! NextToken = base64( key of the last tag of the page )      -- so that a page goes on rightly after tags were changed
//! ```

use base64::prelude::{BASE64_STANDARD, Engine};

use super::call::Call;
use super::shared::constraint::Constraints;
use super::shared::resource_arn;
use super::worker::{Failure, RequestMemory};
use crate::error::{ApiError, Wording};
use crate::json::reader::structure;
use crate::json::{Writer, decode};
use crate::model::limits::TAG_PAGE_COUNT;
use crate::model::table::Tag;

structure!(Parameters<'a>, "ListTagsOfResourceInput", {
    "ResourceArn" => arn: Option<&'a str>,
    "NextToken" => next_token: Option<&'a str>,
});

pub(super) fn run(call: &mut Call<'_>, memory: &RequestMemory) -> Result<(), Failure> {
    let parameters: Parameters<'_> = decode(&memory.body, &memory.arena)?;
    let mut constraints = Constraints::new(Wording::Older);
    let arn = resource_arn::require(parameters.arn, &mut constraints)?;
    constraints.check()?;
    let name = resource_arn::table_name(arn, &call.service.location, "ListTagsOfResource")?;
    let after = read_token(parameters.next_token)?;
    let catalog = call.catalog();
    let table = resource_arn::find(&catalog, name, arn)?;
    write_page(&table.definition().tags, after.as_deref(), &mut call.writer());
    Ok(())
}

fn read_token(token: Option<&str>) -> Result<Option<String>, ApiError> {
    let Some(token) = token else { return Ok(None) };
    let key = BASE64_STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    key.map(Some).ok_or_else(|| ApiError::validation("Invalid NextToken"))
}

fn write_page(tags: &[Tag], after: Option<&str>, writer: &mut Writer<'_>) {
    let start = after.map_or(0, |after| tags.partition_point(|tag| tag.key.as_str() <= after));
    let rest = &tags[start..];
    let page = &rest[..rest.len().min(TAG_PAGE_COUNT)];
    writer.object(|writer| {
        writer.name("Tags").array(|writer| {
            for tag in page {
                writer.object(|writer| {
                    writer.name("Key").string(&tag.key);
                    writer.name("Value").string(&tag.value);
                });
            }
        });
        if let Some(last) = page.last()
            && page.len() < rest.len()
        {
            writer.name("NextToken").string(&BASE64_STANDARD.encode(&last.key));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(tags: &[Tag], token: Option<&str>) -> serde_json::Value {
        let after = read_token(token).expect("a token of ours");
        let mut out = Vec::new();
        write_page(tags, after.as_deref(), &mut Writer::new(&mut out));
        serde_json::from_slice(&out).expect("JSON")
    }

    #[test]
    fn pages_cover_all_tags_in_order() {
        for count in [0, 1, 9, 10, 11, 20, 21, 50] {
            let tag = |number: usize| Tag { key: format!("é{number:02}"), value: number.to_string() };
            let tags: Vec<Tag> = (0..count).map(tag).collect();
            let (mut found, mut token) = (Vec::new(), None);
            loop {
                let page = page(&tags, token.as_deref());
                let elements = page["Tags"].as_array().expect("a list");
                assert!(elements.len() <= TAG_PAGE_COUNT);
                found.extend(elements.iter().map(|tag| tag["Key"].as_str().expect("a key").to_owned()));
                token = page["NextToken"].as_str().map(str::to_owned);
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(found, tags.iter().map(|tag| tag.key.clone()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn other_tokens_are_refused() {
        for token in ["?", "AAA", "/w=="] {
            assert_eq!(read_token(Some(token)).map_err(|error| error.message), Err("Invalid NextToken".into()));
        }
    }
}
