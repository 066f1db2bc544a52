//! What the verification of a signature costs: a GetItem as boto3 signs it, with small and larger bodies.
//!
//! `cargo bench --bench signature`

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use jormundb::clock::Clock;
use jormundb::http::auth::{form, signature};
use jormundb::http::request;
use jormundb::server::{Access, AccessKey, AccessKeys};

const REGION: &str = "us-east-1";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const HEAD: &str = "POST / HTTP/1.1\r\nHost: localhost:8000\r\nAccept-Encoding: identity\r\n\
    X-Amz-Target: DynamoDB_20120810.GetItem\r\nContent-Type: application/x-amz-json-1.0\r\n\
    User-Agent: Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.12 md/arch#x86_64 lang/python#3.13 cfg/x#legacy\r\n\
    X-Amz-Date: 20260102T030405Z\r\nAuthorization: AWS4-HMAC-SHA256 \
    Credential=AKIDEXAMPLE/20260102/us-east-1/dynamodb/aws4_request, \
    SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=";

/// The head of a request with this body.
fn signed(body: &[u8]) -> String {
    let unsigned = format!("{HEAD}0\r\n\r\n");
    let head = request::parse(unsigned.as_bytes()).expect("a good head").expect("a complete head");
    let mut text = Vec::new();
    let claim = form::read(&head).expect("a good form");
    signature::write_canonical_head(&head, &claim, &mut text).expect("all is signed");
    signature::write_hex(&signature::hash(body), &mut text);
    let canonical_bytes = text.len();
    signature::write_string_to_sign(b"20260102T030405Z", REGION, &mut text);
    let key = signature::SigningKey::derive(SECRET, b"20260102", REGION);
    let mut hex = Vec::new();
    signature::write_hex(&key.sign(&text[canonical_bytes..]), &mut hex);
    format!("{HEAD}{}\r\n\r\n", String::from_utf8_lossy(&hex))
}

fn verification(criterion: &mut Criterion) {
    let key = AccessKey::new("AKIDEXAMPLE", SECRET, None).expect("a good key");
    let keys = Arc::new(AccessKeys::new(vec![key]).expect("one key"));
    let now_ms = Clock::Manual(Arc::new(AtomicU64::new(1_767_323_045_000)));
    let mut access = Access::new(keys, REGION, now_ms);
    let mut group = criterion.benchmark_group("verify");
    for body_bytes in [100, 5000, 65536] {
        let body = vec![b'x'; body_bytes];
        let text = signed(&body);
        let head = request::parse(text.as_bytes()).expect("a good head").expect("a complete head");
        group.throughput(Throughput::Bytes(body_bytes as u64));
        group.bench_function(format!("{body_bytes} bytes"), |bencher| {
            bencher.iter(|| {
                let claim = form::read(black_box(&head)).expect("a good form");
                let unverified = access.examine(&head, &claim).expect("a known key");
                access.verify(unverified, &signature::hash(black_box(&body))).expect("the right signature");
            });
        });
    }
    group.finish();

    let text = signed(b"{}");
    criterion.bench_function("form only", |bencher| {
        let head = request::parse(text.as_bytes()).expect("a good head").expect("a complete head");
        bencher.iter(|| form::read(black_box(&head)).is_ok());
    });
    criterion.bench_function("derive a signing key", |bencher| {
        bencher.iter(|| signature::SigningKey::derive(black_box(SECRET), b"20260102", REGION));
    });
}

criterion_group!(benches, verification);
criterion_main!(benches);
