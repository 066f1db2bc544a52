//! Content codings: gzip and deflate (which means the zlib format) of request and response bodies.
//!
//! DynamoDB accepts compressed requests, gzip in several members too, and compresses answers of 4 KB or more for
//! clients that ask for it. Other codings are ignored.

use flate2::Compression;
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use std::io::{Read, Write};

/// Smaller answers go out plain, as DynamoDB's do: they fit few packets anyway.
pub const COMPRESSED_BODY_BYTES_MIN: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Deflate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Not what the header promised, or empty.
    Broken,
    /// More than the caller's limit when unpacked.
    TooLarge,
}

impl Coding {
    /// The value of `content-encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
        }
    }

    /// The coding of a request by its `Content-Encoding`; an unknown one counts as none.
    pub fn of_request(content_encoding: Option<&[u8]>) -> Option<Coding> {
        Coding::named(content_encoding?)
    }

    /// The coding that `Accept-Encoding` prefers, gzip when both are equal. `None` when neither is wanted.
    pub fn accepted(accept_encoding: Option<&[u8]>) -> Option<Coding> {
        let mut best = None;
        for offer in accept_encoding?.split(|&byte| byte == b',') {
            let mut parts = offer.split(|&byte| byte == b';');
            let Some(coding) = Coding::named(parts.next().unwrap_or_default()) else { continue };
            let weight = parts.find_map(weight_thousandths).unwrap_or(1000);
            let preference = (weight, coding == Coding::Gzip);
            if weight > 0 && best.is_none_or(|(known, _)| preference > known) {
                best = Some((preference, coding));
            }
        }
        best.map(|(_, coding)| coding)
    }

    fn named(name: &[u8]) -> Option<Coding> {
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") {
            Some(Coding::Gzip)
        } else if name.eq_ignore_ascii_case(b"deflate") {
            Some(Coding::Deflate)
        } else {
            None
        }
    }

    /// Unpacks `body` into `plain`, which is cleared first and never grows beyond `plain_bytes_max`.
    pub fn decode(self, body: &[u8], plain: &mut Vec<u8>, plain_bytes_max: usize) -> Result<(), DecodeError> {
        plain.clear();
        // One byte beyond the limit tells "exactly at the limit" from "over it".
        let limit = plain_bytes_max as u64 + 1;
        let unpacked = match self {
            Coding::Gzip => MultiGzDecoder::new(body).take(limit).read_to_end(plain),
            Coding::Deflate => ZlibDecoder::new(body).take(limit).read_to_end(plain),
        };
        match unpacked {
            Ok(count) if count > plain_bytes_max => Err(DecodeError::TooLarge),
            Ok(_) if !body.is_empty() => Ok(()),
            Ok(_) | Err(_) => Err(DecodeError::Broken),
        }
    }

    /// Appends the packed form of `body` to `packed`.
    pub fn encode(self, body: &[u8], packed: &mut Vec<u8>) {
        // The fastest level: JSON shrinks by four fifths of what the best level gains, at a tenth of its cost.
        let level = Compression::fast();
        let written = match self {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(packed, level);
                encoder.write_all(body).and_then(|()| encoder.finish().map(drop))
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(packed, level);
                encoder.write_all(body).and_then(|()| encoder.finish().map(drop))
            }
        };
        written.expect("writing to a Vec cannot fail");
    }
}

/// Reads `q=0.5` as 500. Anything unreadable is no weight.
fn weight_thousandths(parameter: &[u8]) -> Option<u32> {
    let (name, value) = std::str::from_utf8(parameter).ok()?.split_once('=')?;
    let weight: f32 = value.trim().parse().ok()?;
    // The range keeps the conversion exact.
    (name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&weight)).then_some((weight * 1000.0) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(coding: Coding, body: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        coding.encode(body, &mut packed);
        packed
    }

    fn decode(coding: Coding, body: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
        let mut plain = b"left over".to_vec();
        coding.decode(body, &mut plain, limit).map(|()| plain)
    }

    #[test]
    fn round_trip_and_limit() {
        let body = b"{\"TableName\":\"t\"}".repeat(100);
        for coding in [Coding::Gzip, Coding::Deflate] {
            let small = packed(coding, &body);
            assert!(small.len() < body.len() / 4);
            assert_eq!(decode(coding, &small, body.len()), Ok(body.clone()), "exactly the limit");
            assert_eq!(decode(coding, &small, body.len() - 1), Err(DecodeError::TooLarge));
            for cut in 0..small.len() {
                assert_eq!(decode(coding, &small[..cut], 1 << 20), Err(DecodeError::Broken), "cut at {cut}");
            }
            assert_eq!(decode(coding, b"plain text", 100), Err(DecodeError::Broken));
        }
    }

    #[test]
    fn gzip_members_are_concatenated() {
        let two = [packed(Coding::Gzip, b"{\"a\":"), packed(Coding::Gzip, b"1}")].concat();
        assert_eq!(decode(Coding::Gzip, &two, 100), Ok(b"{\"a\":1}".to_vec()));
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = packed(Coding::Gzip, &vec![b' '; 32 << 20]);
        let mut plain = Vec::new();
        assert_eq!(Coding::Gzip.decode(&bomb, &mut plain, 1 << 20), Err(DecodeError::TooLarge));
        assert!(plain.capacity() <= 4 << 20);
    }

    #[test]
    fn accept_encoding() {
        let check = |header: &str, coding: Option<Coding>| {
            assert_eq!(Coding::accepted(Some(header.as_bytes())), coding, "{header:?}");
        };
        check("identity", None);
        check("", None);
        check("*", None);
        check("br", None);
        check("gzip", Some(Coding::Gzip));
        check("GZIP", Some(Coding::Gzip));
        check("deflate", Some(Coding::Deflate));
        check("gzip, deflate, br", Some(Coding::Gzip));
        check("deflate, gzip", Some(Coding::Gzip));
        check("gzip;q=0", None);
        check("gzip;q=0.0, deflate;q=0.5", Some(Coding::Deflate));
        check("gzip;q=0.2,deflate;q=0.8", Some(Coding::Deflate));
        check("gzip ; q=1.0", Some(Coding::Gzip));
        check("gzip;q=x", Some(Coding::Gzip));
        assert_eq!(Coding::accepted(None), None);
        assert_eq!(Coding::of_request(Some(b" Gzip ")), Some(Coding::Gzip));
        assert_eq!(Coding::of_request(Some(b"zstd")), None);
    }
}
