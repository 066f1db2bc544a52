//! Bodies: the chunked coding, then the content codings.
//!
//! Input: one byte for the limit of the body, one that says where to cut, then the bytes of a connection. Checked:
//! 1. The body, its end and its refusal are the same for bytes that come in two pieces, or one by one.
//! 2. A decoded body is what a naive reader of the grammar finds, and is within the limit.
//! 3. Unpacking any bytes stays within the limit, and unpacking what was packed gives it back.

#![no_main]

use jormundb_fuzz::http::chunked::{ChunkedDecoder, ChunkedError};
use jormundb_fuzz::http::encoding::{Coding, DecodeError};
use libfuzzer_sys::fuzz_target;

/// Body, bytes that belong to it, and whether it is complete.
type Decoded = Result<(Vec<u8>, usize, bool), ChunkedError>;

fuzz_target!(|input: &[u8]| {
    let &[limit, cut, ref bytes @ ..] = input else { return };
    // A packer costs more than all the rest, so an input goes through one of them only.
    let coding = if limit % 2 == 0 { Coding::Gzip } else { Coding::Deflate };
    let limit = 4 * usize::from(limit);
    let cut = usize::from(cut) * (bytes.len() + 1) / 256;
    let whole = decode([bytes], limit);
    assert_eq!(decode([&bytes[..cut], &bytes[cut..]], limit), whole, "cut at {cut}");
    assert_eq!(decode(bytes.chunks(1), limit), whole, "byte by byte");
    match whole {
        Ok((body, consumed, true)) => {
            assert!(body.len() <= limit);
            assert_eq!(naive(&bytes[..consumed]), Some(body.clone()));
            check_coding(coding, &body, limit);
        }
        _ => check_coding(coding, bytes, limit),
    }
});

fn decode<'b>(pieces: impl IntoIterator<Item = &'b [u8]>, limit: usize) -> Decoded {
    let mut decoder = ChunkedDecoder::default();
    let (mut body, mut consumed) = (Vec::new(), 0);
    for piece in pieces {
        let progress = decoder.decode(piece, &mut body, limit)?;
        consumed += progress.consumed;
        if progress.done {
            return Ok((body, consumed, true));
        }
        assert_eq!(progress.consumed, piece.len(), "an unfinished body takes all bytes");
    }
    Ok((body, consumed, false))
}

/// A complete body, by the grammar alone.
fn naive(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut line = || {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let line = &bytes[..end];
        bytes = &bytes[end + 2..];
        Some(line)
    };
    let mut body = Vec::new();
    loop {
        let size = line()?.split(|byte| *byte == b';').next()?;
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        // A chunk may hold line ends of its own.
        let mut chunk = line()?.to_vec();
        while chunk.len() < size {
            chunk.extend_from_slice(b"\r\n");
            chunk.extend_from_slice(line()?);
        }
        assert_eq!(chunk.len(), size, "a chunk ends with a line end");
        body.extend_from_slice(&chunk);
    }
    while !line()?.is_empty() {}
    assert!(bytes.is_empty(), "bytes of the next request");
    Some(body)
}

fn check_coding(coding: Coding, bytes: &[u8], limit: usize) {
    let mut plain = Vec::new();
    let unpacked = coding.decode(bytes, &mut plain, limit);
    assert!(plain.len() <= limit + 1, "{unpacked:?} with {} bytes", plain.len());
    let mut packed = Vec::new();
    coding.encode(bytes, &mut packed);
    let expected = if bytes.len() > limit { Err(DecodeError::TooLarge) } else { Ok(()) };
    assert_eq!(coding.decode(&packed, &mut plain, limit), expected);
    assert!(expected.is_err() || plain == bytes);
}
