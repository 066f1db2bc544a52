//! Request and response pairs from `tests/samples`, in order, against one server.
//!
//! In these files `$any` stands for any value, `$num` for any number, `$region` and `$account` for the server's own.
//! Lists under the names in `unordered` compare as sets, and so do sets and the items of Scan and BatchGetItem.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::harness::Server;
use crate::http::Request;

/// Samples of operations that the server does not have, and why. One that passes must leave this list.
const NOT_THERE: &[(&str, &str)] = &[
    ("58-partiql-select", "no PartiQL"),
    ("59-partiql-duplicate", "no PartiQL"),
    ("60-ttl-enable", "no expiry"),
    ("61-ttl-describe-other", "no expiry"),
    ("64-streams-list", "no streams"),
    ("65-streams-records", "no streams"),
];

/// What the newer layer puts before the text of some errors.
const ENVELOPE: &str = "1 validation error detected: ";

const REGION: &str = "us-east-1";
const ACCOUNT: &str = "000000000000";

#[test]
fn samples_are_answered_as_written() {
    let (server, _directory) = Server::start();
    let mut connection = server.connect();
    let mut problems = Vec::new();
    let mut passed = 0;
    for (name, sample) in samples() {
        let target = sample["target"].as_str().unwrap();
        let request = fill_in(&sample["request"]);
        let response = connection.exchange(&Request::new(target, &request.to_string()));
        let body = if response.body.is_empty() { Value::Null } else { response.json() };
        let expected = fill_in(&sample["response"]);
        let comparison = Comparison { unordered: unordered(target, &sample) };
        let difference = match u64::from(response.status) == sample["status"].as_u64().unwrap() {
            true => comparison.compare("", &expected, &body).err(),
            false => Some(format!("status {}", response.status)),
        };
        match (difference, NOT_THERE.iter().any(|(listed, _)| *listed == name)) {
            (None, true) => problems.push(format!("{name} passes: remove it from NOT_THERE")),
            (None, false) => passed += 1,
            (Some(_), true) => {}
            (Some(difference), false) => problems.push(format!("{name}: {difference}\n  got {body}")),
        }
    }
    println!("{passed} samples answered as written, {} of operations not there", NOT_THERE.len());
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

fn samples() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert_eq!(files.len(), 72);
    let read = |path: &std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
    };
    files.iter().map(read).collect()
}

/// Replaces `$region` and `$account`.
fn fill_in(value: &Value) -> Value {
    serde_json::from_str(&value.to_string().replace("$region", REGION).replace("$account", ACCOUNT)).unwrap()
}

fn unordered(target: &str, sample: &Value) -> Vec<String> {
    let listed = sample["unordered"].as_array().into_iter().flatten();
    let mut names: Vec<_> = listed.map(|name| name.as_str().unwrap().to_owned()).collect();
    names.extend(["SS", "NS", "BS"].map(str::to_owned));
    match target.rsplit('.').next() {
        Some("Scan") => names.push("Items".to_owned()),
        Some("BatchGetItem") => names.push("orders".to_owned()),
        _ => {}
    }
    names
}

struct Comparison {
    unordered: Vec<String>,
}

impl Comparison {
    fn compare(&self, path: &str, expected: &Value, found: &Value) -> Result<(), String> {
        let differs = || Err(format!("at {path:?} expected {expected}, found {found}"));
        match (expected, found) {
            (Value::String(text), _) if text == "$any" || text == "$iterator" => Ok(()),
            (Value::String(text), Value::Number(_)) if text == "$num" => Ok(()),
            // `1`, `1.0` and `1E0` are one number.
            (Value::Number(expected), Value::Number(found)) if expected.as_f64() == found.as_f64() => Ok(()),
            (Value::Object(expected), Value::Object(found)) => self.compare_members(path, expected, found),
            (Value::Array(expected), Value::Array(found)) => self.compare_elements(path, expected, found),
            (Value::String(expected), Value::String(found)) if is_same_text(path, expected, found) => Ok(()),
            _ if expected == found => Ok(()),
            _ => differs(),
        }
    }

    fn compare_members(
        &self,
        path: &str,
        expected: &Map<String, Value>,
        found: &Map<String, Value>,
    ) -> Result<(), String> {
        for (name, value) in expected {
            let path = format!("{path}/{name}");
            self.compare(&path, value, found.get(name).ok_or_else(|| format!("{path:?} is missing"))?)?;
        }
        match found.keys().find(|name| !expected.contains_key(*name)) {
            Some(name) => Err(format!("{path}/{name} is not expected")),
            None => Ok(()),
        }
    }

    fn compare_elements(&self, path: &str, expected: &[Value], found: &[Value]) -> Result<(), String> {
        if expected.len() != found.len() {
            return Err(format!("{path} has {} elements, not {}", found.len(), expected.len()));
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        if !self.unordered.iter().any(|unordered| unordered == name) {
            let mut pairs = expected.iter().zip(found).enumerate();
            return pairs.try_for_each(|(index, (a, b))| self.compare(&format!("{path}/{index}"), a, b));
        }
        let mut left: Vec<_> = found.iter().collect();
        for element in expected {
            let position = left.iter().position(|found| self.compare(path, element, found).is_ok());
            left.remove(position.ok_or_else(|| format!("{path}: no {element} in {found:?}"))?);
        }
        Ok(())
    }
}

/// Error types compare after `#`, messages with or without the envelope.
fn is_same_text(path: &str, expected: &str, found: &str) -> bool {
    let after = |text: &str| text.rsplit('#').next().unwrap_or_default().to_owned();
    match path {
        "/__type" => after(expected) == after(found),
        "/message" | "/Message" => found.strip_prefix(ENVELOPE).unwrap_or(found) == expected || found == expected,
        _ => expected == found,
    }
}
