//! The chunked transfer coding, decoded as its bytes arrive.
//!
//! ```text
//! body    = *chunk last-chunk *( trailer-field CRLF ) CRLF
//! chunk   = size [ ";" extension ] CRLF  <size bytes>  CRLF
//! size    = 1*16 HEXDIG, last-chunk has size 0
//! ```
//!
//! ```text
//! Size --";"--> Extension --CR--> SizeEnd --LF, size > 0--> Data --size bytes--> DataCr --CR--> DataLf --LF--> Size
//!   \------------CR------------/     \--LF, size = 0--> TrailerStart --CR--> FinalLf --LF--> Done
//!                                                        |     ^
//!                                                     byte     LF
//!                                                        v     |
//!                                                     Trailer --CR--> TrailerLf
//! ```
//!
//! Extensions and trailers are read and forgotten; their length is bounded. Every line ends in CRLF, nothing else.

/// Extension and trailer bytes of one body, which mean nothing to us and must not be endless.
const IGNORED_BYTES_MAX: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    FinalLf,
    Done,
}

/// Decoder of one body.
#[derive(Clone, Debug)]
pub struct ChunkedDecoder {
    state: State,
    /// The size of the chunk while it is read, then what is left of it.
    remaining: u64,
    size_digits: u8,
    ignored_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkedError {
    /// More than the caller's limit: 413.
    TooLarge,
    /// Not the chunked coding: 400.
    Malformed,
}

/// What a call of [`ChunkedDecoder::decode`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the input that belong to this body.
    pub consumed: usize,
    pub done: bool,
}

impl Default for ChunkedDecoder {
    fn default() -> Self {
        ChunkedDecoder { state: State::Size, remaining: 0, size_digits: 0, ignored_bytes: 0 }
    }
}

impl ChunkedDecoder {
    /// Appends what `input` holds of the body to `body`, which never grows beyond `body_bytes_max`.
    pub fn decode(
        &mut self,
        input: &[u8],
        body: &mut Vec<u8>,
        body_bytes_max: usize,
    ) -> Result<Progress, ChunkedError> {
        let mut at = 0;
        while at < input.len() && self.state != State::Done {
            if self.state == State::Data {
                let available = (input.len() - at) as u64;
                // No more than the input is long, so it fits a usize.
                let taken = self.remaining.min(available) as usize;
                body.extend_from_slice(&input[at..at + taken]);
                at += taken;
                self.remaining -= taken as u64;
                if self.remaining == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            self.state = self.step(input[at])?;
            at += 1;
            if self.state == State::Data && self.remaining > (body_bytes_max - body.len()) as u64 {
                return Err(ChunkedError::TooLarge);
            }
        }
        Ok(Progress { consumed: at, done: self.state == State::Done })
    }

    /// One byte of anything but data.
    fn step(&mut self, byte: u8) -> Result<State, ChunkedError> {
        Ok(match (self.state, byte) {
            (State::Size, b'\r') if self.size_digits > 0 => State::SizeEnd,
            (State::Size, b';') if self.size_digits > 0 => self.ignore(State::Extension)?,
            (State::Size, _) => self.size_digit(byte)?,
            (State::Extension, b'\r') => State::SizeEnd,
            (State::Extension, b'\n') => return Err(ChunkedError::Malformed),
            (State::Extension, _) => self.ignore(State::Extension)?,
            (State::SizeEnd, b'\n') if self.remaining == 0 => State::TrailerStart,
            (State::SizeEnd, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => {
                self.size_digits = 0;
                State::Size
            }
            (State::TrailerStart, b'\r') => State::FinalLf,
            (State::TrailerStart | State::Trailer, b'\n') => return Err(ChunkedError::Malformed),
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::TrailerStart | State::Trailer, _) => self.ignore(State::Trailer)?,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::FinalLf, b'\n') => State::Done,
            _ => return Err(ChunkedError::Malformed),
        })
    }

    fn size_digit(&mut self, byte: u8) -> Result<State, ChunkedError> {
        let digit = char::from(byte).to_digit(16).ok_or(ChunkedError::Malformed)?;
        if self.size_digits == 16 {
            return Err(ChunkedError::Malformed);
        }
        self.size_digits += 1;
        // `remaining` is zero when a size begins: the chunk before it has been read to its end.
        self.remaining = self.remaining << 4 | u64::from(digit);
        Ok(State::Size)
    }

    fn ignore(&mut self, next: State) -> Result<State, ChunkedError> {
        self.ignored_bytes += 1;
        if self.ignored_bytes > IGNORED_BYTES_MAX { Err(ChunkedError::Malformed) } else { Ok(next) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 64;

    /// Decodes `input` in pieces of `step` bytes.
    fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), ChunkedError> {
        let mut decoder = ChunkedDecoder::default();
        let mut body = Vec::new();
        let mut consumed = 0;
        for piece in input.chunks(step) {
            let progress = decoder.decode(piece, &mut body, LIMIT)?;
            consumed += progress.consumed;
            if progress.done {
                return Ok((body, consumed, true));
            }
            assert_eq!(progress.consumed, piece.len(), "an unfinished body takes all bytes");
        }
        Ok((body, consumed, false))
    }

    #[test]
    fn decodes_the_same_in_pieces_of_any_size() {
        let rows = [
            ("0\r\n\r\n", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "hello"),
            ("5\r\nhello\r\n00006\r\n world\r\n0\r\n\r\n", "hello world"),
            ("5;name=value\r\nhello\r\n0;x\r\n\r\n", "hello"),
            ("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
            ("1\r\nx\r\n0\r\nTrailer: y\r\nOther: z\r\n\r\n", "x"),
            ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ];
        for (input, body) in rows {
            let followed = format!("{input}POST / HTTP/1.1");
            for step in 1..=followed.len() {
                let seen = decode(followed.as_bytes(), step);
                assert_eq!(seen, Ok((body.as_bytes().to_vec(), input.len(), true)), "{input:?} by {step}");
            }
            for cut in 0..input.len() {
                let (_, consumed, done) = decode(&input.as_bytes()[..cut], 7).expect("a prefix is no error");
                assert_eq!((consumed, done), (cut, false), "{input:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn refuses_what_is_not_chunked() {
        let rows = [
            "\r\n",
            "x\r\n",
            " 5\r\nhello\r\n",
            "5 \r\nhello\r\n",
            "-5\r\n",
            "0x5\r\nhello\r\n",
            ";a\r\n",
            "5\nhello\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhelloX\r\n",
            "5\r\nhello\r\r\n",
            "5;a\nhello",
            "5\rhello",
            "0\r\n\n",
            "0\r\n\rx",
            "0\r\na: b\n\r\n",
        ];
        for row in rows {
            for step in 1..=row.len() {
                assert_eq!(decode(row.as_bytes(), step), Err(ChunkedError::Malformed), "{row:?} by {step}");
            }
        }
    }

    #[test]
    fn bounds_size_digits_extensions_and_trailers() {
        assert_eq!(decode(b"41\r\n", 1), Err(ChunkedError::TooLarge), "65 bytes announced, 64 allowed");
        assert_eq!(decode(b"ffffffffffffffff\r\n", 1), Err(ChunkedError::TooLarge));
        assert_eq!(decode(b"00000000000000001\r\n", 1), Err(ChunkedError::Malformed), "17 digits");
        let exact = format!("20\r\n{0}\r\n20\r\n{0}\r\n0\r\n\r\n", "x".repeat(32));
        assert_eq!(decode(exact.as_bytes(), 9).map(|(body, ..)| body.len()), Ok(64));
        let beyond = format!("20\r\n{0}\r\n21\r\n", "x".repeat(32));
        assert_eq!(decode(beyond.as_bytes(), 9), Err(ChunkedError::TooLarge));
        let endless = "x".repeat(IGNORED_BYTES_MAX + 1);
        assert_eq!(decode(format!("5;{endless}").as_bytes(), 4096), Err(ChunkedError::Malformed));
        assert_eq!(decode(format!("0\r\n{endless}").as_bytes(), 4096), Err(ChunkedError::Malformed));
    }
}
