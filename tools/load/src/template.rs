//! Prebuilt requests: the bytes of a whole request with places of fixed width for what differs from one to the next.
//!
//! ```text
//! request = head body          the head's Content-Length never changes, since no field changes its width
//! field   = 10 digits of a key, given or random | a number, right-aligned in 10 columns | bytes of payload
//! ```

use crate::keys::Random;

/// Digits of a key number.
pub const KEY_DIGITS: usize = 10;

/// Text that payloads are cut from at random places, so that neither the disk's compression nor a cache finds the same
/// payload twice. It compresses like base64, by about a quarter.
const NOISE_BYTES: usize = 1 << 20;

#[derive(Clone, Copy, Debug)]
enum Field {
    /// The key number with this index.
    Key(usize),
    /// The same without leading zeros, which JSON does not allow.
    Number(usize),
    /// Digits of a random number below this.
    Random(u64),
    Payload(usize),
}

#[derive(Clone, Copy, Debug)]
struct Place {
    at: usize,
    field: Field,
}

/// A request, ready to be patched and sent.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

/// A template's body while it is being put together.
#[derive(Default)]
pub struct Body {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

impl Body {
    pub fn text(mut self, text: &str) -> Body {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    pub fn key(mut self, index: usize) -> Body {
        self.places.push(Place { at: self.bytes.len(), field: Field::Key(index) });
        self.bytes.extend_from_slice(&[b'0'; KEY_DIGITS]);
        self
    }

    pub fn number(mut self, index: usize) -> Body {
        self.places.push(Place { at: self.bytes.len(), field: Field::Number(index) });
        self.bytes.extend_from_slice(&[b' '; KEY_DIGITS]);
        self
    }

    /// A key number that is drawn anew for each request, uniform below `bound`.
    pub fn random(mut self, bound: u64) -> Body {
        self.places.push(Place { at: self.bytes.len(), field: Field::Random(bound) });
        self.bytes.extend_from_slice(&[b'0'; KEY_DIGITS]);
        self
    }

    pub fn payload(mut self, length: usize) -> Body {
        self.places.push(Place { at: self.bytes.len(), field: Field::Payload(length) });
        self.bytes.resize(self.bytes.len() + length, b'x');
        self
    }

    /// A request of DynamoDB's, with the headers that an AWS SDK sends.
    pub fn dynamodb(self, host: &str, operation: &str) -> Template {
        let head = format!(
            "POST / HTTP/1.1\r\n\
             Host: {host}\r\n\
             User-Agent: aws-sdk-load/1.0 ua/2.1 os/linux lang/python md/arch#x86_64 cfg/retry-mode#standard\r\n\
             X-Amz-Target: DynamoDB_20120810.{operation}\r\n\
             Content-Type: application/x-amz-json-1.0\r\n\
             X-Amz-Date: 20260101T000000Z\r\n\
             amz-sdk-invocation-id: 4b5a1c7e-5d0f-4a33-9d7a-0f1e2d3c4b5a\r\n\
             amz-sdk-request: ttl=20260101T000100Z; attempt=1; max=3\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/dynamodb/aws4_request, \
             SignedHeaders=amz-sdk-invocation-id;amz-sdk-request;content-type;host;x-amz-date;x-amz-target, \
             Signature={signature}\r\n\
             Accept: */*\r\n\
             Accept-Encoding: identity\r\n\
             Content-Length: {length}\r\n\r\n",
            signature = "fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024",
            length = self.bytes.len(),
        );
        self.behind(head.as_bytes())
    }

    /// The body alone is the request.
    pub fn bare(self) -> Template {
        self.behind(b"")
    }

    fn behind(self, head: &[u8]) -> Template {
        let places = self.places.iter().map(|place| Place { at: place.at + head.len(), ..*place }).collect();
        Template { bytes: [head, &self.bytes].concat(), places }
    }
}

impl Template {
    /// A request with the same headers for the server's fixed answer: `GET /`.
    pub fn health(host: &str) -> Template {
        let post = Body::default().dynamodb(host, "None");
        let bytes = post.bytes.strip_prefix(b"POST").map(|rest| [b"GET", rest].concat());
        Template { bytes: bytes.unwrap_or(post.bytes), places: Vec::new() }
    }

    /// Appends a request with these key numbers to `output`.
    pub fn write(&self, keys: &[u64], random: &mut Random, noise: &Noise, output: &mut Vec<u8>) {
        let start = output.len();
        output.extend_from_slice(&self.bytes);
        let request = &mut output[start..];
        for place in &self.places {
            match place.field {
                Field::Key(index) => write_digits(keys[index], &mut request[place.at..place.at + KEY_DIGITS]),
                Field::Number(index) => write_number(keys[index], &mut request[place.at..place.at + KEY_DIGITS]),
                Field::Random(bound) => {
                    write_digits(random.below(bound), &mut request[place.at..place.at + KEY_DIGITS])
                }
                Field::Payload(length) => noise.fill(random, &mut request[place.at..place.at + length]),
            }
        }
    }
}

fn write_digits(mut number: u64, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn write_number(mut number: u64, columns: &mut [u8]) {
    for column in columns.iter_mut().rev() {
        *column = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
}

/// Payload to cut from. Letters and digits only, which JSON leaves as they are.
pub struct Noise(Vec<u8>);

impl Noise {
    pub fn new() -> Noise {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut random = Random::new(4);
        Noise((0..NOISE_BYTES).map(|_| LETTERS[random.below(64) as usize]).collect())
    }

    /// For requests without payload.
    pub fn empty() -> Noise {
        Noise(Vec::new())
    }

    fn fill(&self, random: &mut Random, payload: &mut [u8]) {
        let start = random.below((self.0.len() - payload.len()) as u64) as usize;
        payload.copy_from_slice(&self.0[start..start + payload.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(template: &Template, keys: &[u64]) -> String {
        let mut output = b"before".to_vec();
        template.write(keys, &mut Random::new(5), &Noise::new(), &mut output);
        String::from_utf8(output).unwrap().strip_prefix("before").unwrap().to_owned()
    }

    #[test]
    fn keys_are_patched_in_place() {
        let template = Body::default().text("a=").key(1).text(" b=").key(0).bare();
        assert_eq!(written(&template, &[7, 1_234_567_890]), "a=1234567890 b=0000000007");
        assert_eq!(written(&template, &[0, 42]), "a=0000000042 b=0000000000");
        let template = Body::default().text("[").number(0).text("]").bare();
        assert_eq!(written(&template, &[0]), "[         0]");
        assert_eq!(written(&template, &[1_250]), "[      1250]");
    }

    #[test]
    fn random_keys_are_below_their_bound_and_differ() {
        let template = Body::default().random(1_000).text(" ").random(1_000).bare();
        let request = written(&template, &[]);
        let (left, right) = request.split_once(' ').unwrap();
        assert_ne!(left, right);
        assert!([left, right].iter().all(|key| key.starts_with("0000000") && key.len() == KEY_DIGITS), "{request}");
    }

    #[test]
    fn payloads_differ_and_need_no_escape() {
        let template = Body::default().text("[").payload(50).text("|").payload(50).text("]").bare();
        let request = written(&template, &[]);
        let (left, right) = request[1..request.len() - 1].split_once('|').unwrap();
        assert_ne!(left, right);
        assert!(left.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{left}");
    }

    #[test]
    fn the_length_of_a_request_is_that_of_its_body() {
        let body = Body::default().text(r#"{"Key":{"pk":{"S":"user"#).key(0).text(r#""}}}"#);
        let request = written(&body.dynamodb("127.0.0.1:8002", "GetItem"), &[5]);
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, r#"{"Key":{"pk":{"S":"user0000000005"}}}"#);
        assert!(head.contains("\r\nX-Amz-Target: DynamoDB_20120810.GetItem\r\n"));
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
        assert!((600..900).contains(&head.len()), "as long as an SDK's: {}", head.len());
    }
}
