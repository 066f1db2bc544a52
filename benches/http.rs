//! What HTTP framing costs: the head of a request as boto3 sends it, a chunked body, the head of an answer.
//!
//! Budget: `GET /` without any operation costs 3 to 4 us, of which the kernel takes 80 to 90 %; so all of this together
//! has to stay below 0.4 us for a request with a content length.
//!
//! `cargo bench --bench http`

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};

use jormundb::http::chunked::ChunkedDecoder;
use jormundb::http::date::HttpDate;
use jormundb::http::request::parse;
use jormundb::http::response::{ContentType, RequestId, ResponseHead};

const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

fn head(length: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\n\
         Host: 127.0.0.1:8002\r\n\
         Accept-Encoding: identity\r\n\
         X-Amz-Target: DynamoDB_20120810.PutItem\r\n\
         Content-Type: application/x-amz-json-1.0\r\n\
         User-Agent: Boto3/1.40.1 md/Botocore#1.40.1 ua/2.1 os/linux#6.18 md/arch#x86_64 lang/python#3.11.7\r\n\
         X-Amz-Date: 20260314T092653Z\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260314/us-east-1/dynamodb/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
         Signature=fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024\r\n\
         amz-sdk-invocation-id: 4b5a1c7e-5d0f-4a33-9d7a-0f1e2d3c4b5a\r\n\
         amz-sdk-request: attempt=1\r\n\
         {length}\r\n\r\n"
    )
}

fn request(criterion: &mut Criterion) {
    let head = head("Content-Length: 500");
    criterion.bench_function("http/request head", |bencher| {
        bencher.iter(|| parse(black_box(head.as_bytes())).is_ok_and(|head| head.is_some()));
    });
    // What a slow client costs: the head has not all arrived, and what is there is looked at in vain.
    let part = &head.as_bytes()[..head.len() - 1];
    criterion.bench_function("http/request head, incomplete", |bencher| {
        bencher.iter(|| parse(black_box(part)).is_ok_and(|head| head.is_none()));
    });
}

fn chunked(criterion: &mut Criterion) {
    let mut body = Vec::with_capacity(64 * 1024);
    // What is in them does not matter.
    for (name, body_bytes) in [("500 B in one", 500), ("20 KB in three", 20_000)] {
        let mut coded = Vec::new();
        for chunk in vec![b'x'; body_bytes].chunks(8192) {
            coded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            coded.extend_from_slice(chunk);
            coded.extend_from_slice(b"\r\n");
        }
        coded.extend_from_slice(b"0\r\n\r\n");
        criterion.bench_function(&format!("http/chunked body/{name}"), |bencher| {
            bencher.iter(|| {
                body.clear();
                ChunkedDecoder::default().decode(black_box(&coded), &mut body, BODY_BYTES_MAX).is_ok_and(|end| end.done)
            });
        });
    }
}

fn response(criterion: &mut Criterion) {
    let mut out = Vec::with_capacity(1024);
    let date = HttpDate::from_unix_seconds(1_773_480_413);
    criterion.bench_function("http/response head", |bencher| {
        bencher.iter(|| {
            out.clear();
            let head = ResponseHead {
                status: 200,
                content_type: Some(ContentType::AmzJson),
                content_length: black_box(500),
                crc32: black_box(2_745_614_147),
                coding: None,
                keep_alive: true,
                cors: false,
                request_id: RequestId::from_random(black_box([1, 2, 3])),
                date: &date,
                extra_lines: b"",
            };
            head.write(&mut out);
        });
    });
}

criterion_group!(benches, request, chunked, response);
criterion_main!(benches);
