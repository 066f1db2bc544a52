//! Tables: one request after the other on a connection of their own.

use crate::framing::{Answer, Protocol};
use crate::keys::Random;
use crate::template::{Body, Noise};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A table is there at once with JormunDB; others take their time.
const ACTIVE_MAX: Duration = Duration::from_secs(20);

const ITEMS_KEY: &str = concat!(
    r#""AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"#,
    r#""KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}]"#
);
const SERIES_KEY: &str = concat!(
    r#""AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},"#,
    r#"{"AttributeName":"sk","AttributeType":"N"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},"#,
    r#"{"AttributeName":"sk","KeyType":"RANGE"}]"#
);

/// Creates both tables of a data set.
pub fn create_tables(address: SocketAddr, table: &str, series_table: &str) -> io::Result<()> {
    for (name, key) in [(table, ITEMS_KEY), (series_table, SERIES_KEY)] {
        let body = format!(r#"{{"TableName":"{name}","BillingMode":"PAY_PER_REQUEST",{key}}}"#);
        let (success, answer) = call(address, "CreateTable", &body)?;
        if !success {
            return Err(io::Error::other(format!("cannot create the table {name}: {answer}")));
        }
        await_active(address, name)?;
    }
    Ok(())
}

/// Removes tables of this name, if there are any.
pub fn delete_tables(address: SocketAddr, tables: [&str; 2]) -> io::Result<()> {
    for name in tables {
        let body = format!(r#"{{"TableName":"{name}"}}"#);
        let (deleted, _) = call(address, "DeleteTable", &body)?;
        let begun = Instant::now();
        while deleted && call(address, "DescribeTable", &body)?.0 {
            pause(begun, name)?;
        }
    }
    Ok(())
}

fn await_active(address: SocketAddr, name: &str) -> io::Result<()> {
    let begun = Instant::now();
    let body = format!(r#"{{"TableName":"{name}"}}"#);
    while !call(address, "DescribeTable", &body)?.1.contains(r#""TableStatus":"ACTIVE""#) {
        pause(begun, name)?;
    }
    Ok(())
}

fn pause(begun: Instant, name: &str) -> io::Result<()> {
    if begun.elapsed() > ACTIVE_MAX {
        return Err(io::Error::other(format!("the table {name} does not get ready")));
    }
    std::thread::sleep(Duration::from_millis(50));
    Ok(())
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
