//! Tables and their indexes: one request after the other, each on a connection of its own.

use crate::data_set::DataSet;
use crate::framing::{Answer, Protocol};
use crate::keys::Random;
use crate::template::{Body, Noise};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// A table is there at once with JormunDB; others take their time.
const ACTIVE_MAX: Duration = Duration::from_secs(20);

/// An index is there when it has been filled.
const FILLED_MAX: Duration = Duration::from_secs(3_600);

const SERIES_KEY: &str = concat!(
    r#""AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},"#,
    r#"{"AttributeName":"sk","AttributeType":"N"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},"#,
    r#"{"AttributeName":"sk","KeyType":"RANGE"}]"#
);

const ALL: &str = r#""Projection":{"ProjectionType":"ALL"}"#;

/// Creates both tables of a data set.
pub fn create_tables(address: SocketAddr, data: &DataSet) -> io::Result<()> {
    create_table(address, &data.table, &items_definition(data.indexes.unwrap_or(0)))?;
    create_table(address, &data.series_table, SERIES_KEY)
}

fn create_table(address: SocketAddr, name: &str, definition: &str) -> io::Result<()> {
    let body = format!(r#"{{"TableName":"{name}","BillingMode":"PAY_PER_REQUEST",{definition}}}"#);
    demand(address, "CreateTable", &body)?;
    let begun = Instant::now();
    while !table_status(address, name)?.is_some_and(|table| table.contains(r#""TableStatus":"ACTIVE""#)) {
        pause(begun, ACTIVE_MAX, name)?;
    }
    Ok(())
}

/// The key and the indexes of the items table.
fn items_definition(indexes: u32) -> String {
    let attribute = |name: &str| format!(r#"{{"AttributeName":"{name}","AttributeType":"S"}}"#);
    let names = std::iter::once("pk".to_owned()).chain((1..=indexes).map(|number| format!("g{number}")));
    let attributes: Vec<_> = names.map(|name| attribute(&name)).collect();
    let mut definition = format!(
        r#""AttributeDefinitions":[{}],"KeySchema":[{{"AttributeName":"pk","KeyType":"HASH"}}]"#,
        attributes.join(",")
    );
    if indexes > 0 {
        let indexes: Vec<_> = (1..=indexes).map(index_definition).collect();
        definition += &format!(r#","GlobalSecondaryIndexes":[{}]"#, indexes.join(","));
    }
    definition
}

/// An index with all attributes, `by-g<number>`.
fn index_definition(number: u32) -> String {
    format!(r#"{{"IndexName":"by-g{number}","KeySchema":[{{"AttributeName":"g{number}","KeyType":"HASH"}}],{ALL}}}"#)
}

/// Asks for the first index; it is filled when [`first_index_is_active`].
pub fn create_first_index(address: SocketAddr, table: &str) -> io::Result<()> {
    let attributes = r#"[{"AttributeName":"g1","AttributeType":"S"}]"#;
    let updates = format!(r#"[{{"Create":{}}}]"#, index_definition(1));
    let change = format!(r#""AttributeDefinitions":{attributes},"GlobalSecondaryIndexUpdates":{updates}"#);
    demand(address, "UpdateTable", &format!(r#"{{"TableName":"{table}",{change}}}"#))
}

pub fn delete_first_index(address: SocketAddr, table: &str) -> io::Result<()> {
    let update = r#"[{"Delete":{"IndexName":"by-g1"}}]"#;
    demand(address, "UpdateTable", &format!(r#"{{"TableName":"{table}","GlobalSecondaryIndexUpdates":{update}}}"#))?;
    let begun = Instant::now();
    while table_status(address, table)?.is_some_and(|table| table.contains(r#""IndexName":"by-g1""#)) {
        pause(begun, FILLED_MAX, table)?;
    }
    Ok(())
}

pub fn first_index_is_active(address: SocketAddr, table: &str) -> io::Result<bool> {
    Ok(table_status(address, table)?.is_some_and(|table| table.contains(r#""IndexStatus":"ACTIVE""#)))
}

/// Removes the tables of a data set, if there are any.
pub fn delete_tables(address: SocketAddr, data: &DataSet) -> io::Result<()> {
    for name in data.tables() {
        let (deleted, _) = call(address, "DeleteTable", &format!(r#"{{"TableName":"{name}"}}"#))?;
        let begun = Instant::now();
        while deleted && table_status(address, name)?.is_some() {
            pause(begun, ACTIVE_MAX, name)?;
        }
    }
    Ok(())
}

/// What DescribeTable answers, without the blanks that some servers write; `None` when there is no such table.
fn table_status(address: SocketAddr, name: &str) -> io::Result<Option<String>> {
    let (found, answer) = call(address, "DescribeTable", &format!(r#"{{"TableName":"{name}"}}"#))?;
    Ok(found.then(|| answer.replace(": ", ":")))
}

fn pause(begun: Instant, patience: Duration, name: &str) -> io::Result<()> {
    if begun.elapsed() > patience {
        return Err(io::Error::other(format!("the table {name} does not get ready")));
    }
    thread::sleep(Duration::from_millis(20));
    Ok(())
}

/// A request that has to succeed.
fn demand(address: SocketAddr, operation: &str, body: &str) -> io::Result<()> {
    match call(address, operation, body)? {
        (true, _) => Ok(()),
        (false, answer) => Err(io::Error::other(format!("{operation}: {answer}"))),
    }
}

/// One request; whether its status was 200, and its body.
fn call(address: SocketAddr, operation: &str, body: &str) -> io::Result<(bool, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ACTIVE_MAX))?;
    let mut request = Vec::new();
    let template = Body::default().text(body).dynamodb(&address.to_string(), operation);
    template.write(&[], &mut Random::new(0), &Noise::empty(), &mut request);
    stream.write_all(&request)?;
    let mut input = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        input.extend_from_slice(&buffer[..count]);
        let malformed = |_| io::Error::other("an answer is not well-formed");
        match Protocol::Http.frame(&input).map_err(malformed)? {
            Some(Answer { success, body, .. }) => {
                return Ok((success, String::from_utf8_lossy(&input[body]).into_owned()));
            }
            None if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_json_and_name_each_index() {
        for count in [0, 1, 5] {
            let text = format!("{{{}}}", items_definition(count));
            let definition: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(definition["AttributeDefinitions"].as_array().unwrap().len(), 1 + count as usize);
            let indexes = definition["GlobalSecondaryIndexes"].as_array().map_or(0, Vec::len);
            assert_eq!(indexes, count as usize, "{text}");
        }
    }
}
