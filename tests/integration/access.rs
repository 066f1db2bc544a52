//! A server with access keys: who gets in over a real connection, and what the others are told and cost.

use std::fs;
use std::io::Write;
use std::time::SystemTime;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Server, run_to_end};
use crate::http::Request;
use crate::monitor::{CREATE, PUT};

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn server() -> (Server, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--access-key-id", ID, "--secret-access-key", SECRET];
    (Server::start_in(directory.path(), &flags), directory)
}

/// Replaces the date and the signature of a request by good ones.
fn signed_by(secret: &str, request: Request) -> Request {
    let mut request = request.without("X-Amz-Date").without("Authorization");
    let identity = Credentials::new(ID, secret, None, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("dynamodb")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let signed = headers.filter(|(name, _)| !matches!(*name, "Content-Length" | "Transfer-Encoding"));
    let signable = SignableRequest::new("POST", "http://localhost/", signed, SignableBody::Bytes(&request.body));
    let (instructions, _) = sign(signable.unwrap(), &params).unwrap().into_parts();
    let added = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>();
    request.headers.extend(added);
    request
}

fn signed(operation: &str, body: &[u8]) -> Request {
    signed_by(SECRET, Request::new(operation, "").body(body))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn bodies_of_every_size_and_coding_are_verified() {
    let (server, _directory) = server();
    let mut connection = server.connect();
    // Those above 256 KB are hashed on the pool.
    for length in [2, 1000, 100_000, 300_000, 16 << 20] {
        let body = [b"{".to_vec(), vec![b' '; length - 2], b"}".to_vec()].concat();
        let good = signed("ListTables", &body);
        assert_eq!(connection.exchange(&good).text(), r#"{"TableNames":[]}"#, "{length}");
        let mut changed = good.clone();
        changed.body[1] = if length == 2 { b'{' } else { b'\n' };
        let response = connection.exchange(&changed);
        assert_eq!(response.status, 400);
        // Another body, but JSON all the same, is told about its signature; the check for JSON comes before.
        let expected = if length == 2 { "SerializationException" } else { "InvalidSignatureException" };
        assert!(response.text().contains(expected), "{length}: {}", response.text());
    }
    let packed = gzip(b"{\"Limit\": 1}");
    let good = signed_by(SECRET, Request::new("ListTables", "").body(&packed).with("Content-Encoding", "gzip"));
    assert_eq!(connection.exchange(&good).text(), r#"{"TableNames":[]}"#);
    let text = b"{\"Limit\": 1}";
    let chunked = signed("ListTables", text).chunked(&[&text[..3], &text[3..]]);
    assert_eq!(connection.exchange(&chunked).text(), r#"{"TableNames":[]}"#);
}

#[test]
fn strangers_are_refused_and_nothing_happens() {
    let (server, _directory) = server();
    let mut connection = server.connect();
    let create = json!({
        "TableName": "t", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    })
    .to_string();
    let with_key_id = |id: &str| {
        let mut request = signed("CreateTable", create.as_bytes());
        request.headers.iter_mut().for_each(|(_, value)| *value = value.replace(ID, id));
        request
    };
    for (request, error) in [
        (Request::new("CreateTable", &create), "InvalidSignatureException"),
        (Request::new("CreateTable", &create).without("Authorization"), "MissingAuthenticationTokenException"),
        (signed_by("wrong", Request::new("CreateTable", &create)), "InvalidSignatureException"),
        (with_key_id("AKIDOTHER"), "UnrecognizedClientException"),
        (with_key_id(""), "UnrecognizedClientException"),
        (
            signed("ListTables", b"{}").with("X-Amz-Target", "DynamoDB_20120810.CreateTable"),
            "InvalidSignatureException",
        ),
        (signed("CreateTable", create.as_bytes()).with("Host", "other"), "InvalidSignatureException"),
    ] {
        let response = connection.exchange(&request);
        assert_eq!(response.status, 400);
        let prefix = format!(r#"{{"__type":"com.amazon.coral.service#{error}","message":""#);
        assert!(response.text().starts_with(&prefix), "{}", response.text());
    }
    assert_eq!(connection.exchange(&signed("ListTables", b"{}")).text(), r#"{"TableNames":[]}"#);
    // The health answer is for balancers, which have no key.
    assert_eq!(connection.exchange(&Request::bare("GET / HTTP/1.1")).status, 200);
}

#[test]
fn nothing_is_unpacked_for_strangers() {
    let (server, _directory) = server();
    let mut connection = server.connect();
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let plain = Request::new("ListTables", "").body(&bomb).with("Content-Encoding", "gzip");
    for request in [plain.clone(), plain.clone().without("Authorization"), signed_by("wrong", plain.clone())] {
        let response = connection.exchange(&request);
        // Unpacked, it would be an InternalServerError.
        assert_eq!(response.status, 400, "{}", response.text());
    }
    let response = connection.exchange(&signed_by(SECRET, plain));
    assert_eq!(response.status, 500, "{}", response.text());
}

#[tokio::test]
async fn the_sdk_gets_in_with_a_key_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    let text = format!(
        "[default]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n\n[temporary]\naws_access_key_id = \
         ASIAEXAMPLE\naws_secret_access_key = other\naws_session_token = a/token+==\n"
    );
    fs::write(&file, text).unwrap();
    let flags = ["--credentials-file", file.to_str().unwrap(), "--region", "eu-west-1"];
    let server = Server::start_in(&directory.path().join("data"), &flags);
    let list = async |id: &str, secret: &str, token: Option<&str>, region: &'static str| {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(Credentials::new(id, secret, token.map(str::to_owned), None, "test"))
            .endpoint_url(format!("http://{}", server.address))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        let answer = Client::from_conf(config).list_tables().send().await;
        answer.map(|_| ()).map_err(|error| error.code().unwrap_or_default().to_owned())
    };
    let refused = |error: &str| Err(error.to_owned());
    assert_eq!(list(ID, SECRET, None, "eu-west-1").await, Ok(()));
    assert_eq!(list("ASIAEXAMPLE", "other", Some("a/token+=="), "eu-west-1").await, Ok(()));
    assert_eq!(list(ID, SECRET, None, "us-east-1").await, refused("InvalidSignatureException"));
    assert_eq!(list(ID, "wrong", None, "eu-west-1").await, refused("InvalidSignatureException"));
    assert_eq!(list("AKIDOTHER", SECRET, None, "eu-west-1").await, refused("UnrecognizedClientException"));
    assert_eq!(list("ASIAEXAMPLE", "other", None, "eu-west-1").await, refused("UnrecognizedClientException"));
}

#[test]
fn bad_credentials_stop_the_start_without_being_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    fs::write(&file, "[default]\naws_secret_access_key = hidden\n").unwrap();
    for (flags, cause) in [
        (vec!["--credentials-file", file.to_str().unwrap()], "aws_access_key_id is missing"),
        (vec!["--credentials-file", "/nowhere/credentials"], "/nowhere/credentials: No such file"),
        (vec!["--secret-access-key", "hidden"], "--access-key-id"),
        (vec!["--access-key-id", "a/b", "--secret-access-key", "hidden"], "--access-key-id: the access key id \"a/b\""),
        (vec!["--access-key-id", "a", "--secret-access-key", ""], "is empty"),
    ] {
        let (status, text) = run_to_end(&directory.path().join("data"), &flags);
        assert!(!status.success());
        assert!(text.contains(cause) && !text.contains("hidden") && !text.contains("panicked"), "{flags:?}: {text}");
    }
}

/// Without keys, whoever can connect is obeyed: that is fine on the machine itself and said aloud elsewhere.
#[test]
fn an_open_server_warns_unless_it_listens_on_the_loopback() {
    let keys = ["--access-key-id", "a", "--secret-access-key", "hidden"];
    let warns = |flags: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let text = Server::start_in_and_stop(directory.path(), flags);
        assert!(!text.contains("hidden"), "{text}");
        text.contains("WARN") && text.contains("no access keys: everybody on this network")
    };
    assert!(warns(&["--host", "0.0.0.0"]));
    assert!(!warns(&[&["--host", "0.0.0.0"], &keys[..]].concat()));
    assert!(!warns(&[]));
    assert!(!warns(&["--host", "127.0.0.2"]));
}

#[test]
fn the_audit_log_names_the_key_of_a_write() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("audit");
    let flags = ["--access-key-id", ID, "--secret-access-key", SECRET, "--audit-log", log.to_str().unwrap()];
    let server = Server::start_in(&directory.path().join("data"), &flags);
    let mut connection = server.connect();
    assert_eq!(connection.exchange(&signed("CreateTable", CREATE.as_bytes())).status, 200);
    assert_eq!(connection.exchange(&signed("PutItem", PUT.as_bytes())).status, 200);
    assert_eq!(connection.exchange(&signed_by("wrong", Request::new("PutItem", PUT))).status, 400);
    drop(connection);
    assert_eq!(server.terminate().code(), Some(0));
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    for line in text.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(entry["accessKeyId"], ID, "{line}");
    }
    assert!(!text.contains(SECRET) && !text.contains("Signature"), "{text}");
}
