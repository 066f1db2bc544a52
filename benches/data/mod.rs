//! The items that several benches measure: an order as a shop stores it, in two sizes.

use bumpalo::Bump;
use jormundb::json::reader::Member;
use jormundb::json::{AttributeMap, Structure, decode};
use jormundb::model::Item;
use serde::de::MapAccess;

/// An item of a dozen attributes: strings, numbers, a set, a map.
const ORDER: &str = concat!(
    r#""pk":{"S":"CUSTOMER#48213"},"sk":{"S":"ORDER#2026-03-14T09:26:53Z"},"state":{"S":"shipped"},"#,
    r#""total":{"N":"129.95"},"currency":{"S":"EUR"},"items":{"N":"3"},"weight":{"N":"2.4"},"#,
    r#""tags":{"SS":["gift","priority"]},"paid":{"BOOL":true},"coupon":{"NULL":true},"#,
    r#""address":{"M":{"street":{"S":"Kirkegata 15"},"city":{"S":"Oslo"},"zip":{"S":"0153"},"country":{"S":"NO"}}},"#,
    r#""note":{"S":"Leave the parcel with the neighbour on the second floor"}"#
);

/// A PutItem of about 500 bytes.
pub fn medium() -> String {
    format!(r#"{{"TableName":"orders","Item":{{{ORDER}}}}}"#)
}

/// A PutItem of about 20 KB: the same order with a line for each of 247 articles.
pub fn large() -> String {
    let line = |index: u32| {
        format!(
            r#"{{"M":{{"sku":{{"S":"A-{:06}"}},"name":{{"S":"Article {index}"}},"quantity":{{"N":"{}"}}}}}}"#,
            index * 7919,
            index % 9 + 1
        )
    };
    let lines: Vec<_> = (1..=247).map(line).collect();
    format!(r#"{{"TableName":"orders","Item":{{{ORDER},"lines":{{"L":[{}]}}}}}}"#, lines.join(","))
}

/// As much of a request as all operations on one item have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    pub table_name: Option<&'a str>,
    pub key: Option<AttributeMap<'a>>,
    pub item: Option<AttributeMap<'a>>,
}

impl<'a> Structure<'a> for Request<'a> {
    const NAME: &'static str = "Request";

    fn member<A: MapAccess<'a>>(&mut self, name: &str, member: Member<'_, 'a, A>) -> Result<(), A::Error> {
        match name {
            "TableName" => self.table_name = member.read()?,
            "Key" => self.key = member.read()?,
            "Item" => self.item = member.read()?,
            _ => member.skip()?,
        }
        Ok(())
    }
}

/// The item of a PutItem.
pub fn item<'a>(body: &'a str, arena: &'a Bump) -> Item<'a> {
    let request: Request<'a> = decode(body.as_bytes(), arena).expect("a request");
    request.item.expect("an item").map
}
