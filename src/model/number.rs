//! DynamoDB's number: exact decimals of up to 38 significant digits between 1E-130 and 9.99…E+125.
//!
//! A number is kept as its canonical text, which is also how it is stored and answered:
//!
//! ```text
//! number   = [ '-' ] ( integer [ '.' fraction ] )
//! integer  = '0' | nonzero digit*
//! fraction = digit* nonzero          -- no trailing zeros
//! ```
//!
//! `-0` does not occur. So two numbers are equal exactly when their texts are, a read copies bytes, and only ordering
//! and arithmetic look at the digits.

use std::cmp::Ordering;

use bumpalo::Bump;

/// Most significant digits a number may have.
pub const DIGITS_MAX: usize = 38;

/// Exponent of the first digit of the largest number, 9.99…E+125.
const EXPONENT_MAX: i32 = 125;

/// Exponent of the first digit of the smallest number, 1E-130.
const EXPONENT_MIN: i32 = -130;

/// Exponent of the last digit of the smallest number with all its digits.
const LAST_DIGIT_MIN: i32 = EXPONENT_MIN - (DIGITS_MAX as i32 - 1);

/// A valid number in canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Number<'a>(&'a str);

/// Why a text is not a number, or a result cannot be one. The texts are AWS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// Not of the form `[+-] digits [. digits] [e [+-] digits]`.
    Syntax,
    Overflow,
    Underflow,
    /// More than 38 significant digits.
    Precision,
}

impl<'a> Number<'a> {
    pub const ZERO: Number<'static> = Number("0");

    /// Checks `text` and brings it into canonical form; canonical text is borrowed, not copied.
    pub fn parse(text: &'a str, arena: &'a Bump) -> Result<Number<'a>, NumberError> {
        if is_canonical_integer(text.as_bytes()) {
            return Ok(Number(text));
        }
        let parts = Parts::scan(text.as_bytes()).ok_or(NumberError::Syntax)?;
        let decimal = parts.normalize()?;
        Ok(Number(arena.alloc_str(decimal.text().as_str())))
    }

    /// The number that is spelled `text`, if that is its canonical text: for text that comes back from the disk.
    pub fn canonical(text: &'a str) -> Option<Number<'a>> {
        let is_canonical = is_canonical_integer(text.as_bytes()) || {
            let decimal = Parts::scan(text.as_bytes())?.normalize().ok()?;
            decimal.text().as_str() == text
        };
        is_canonical.then_some(Number(text))
    }

    /// Trusts that `text` is canonical: for text that this type wrote before.
    pub fn from_canonical(text: &'a str) -> Number<'a> {
        Number(text)
    }

    pub fn as_str(self) -> &'a str {
        self.0
    }

    pub fn is_negative(self) -> bool {
        self.0.starts_with('-')
    }

    /// DynamoDB's size in bytes: one, plus one for two digits on each side of the point, plus one for a sign.
    /// Leading and trailing zeros do not count.
    pub fn size(self) -> usize {
        let (negative, integer, fraction) = self.split();
        if integer == b"0" && fraction.is_empty() {
            return 1;
        }
        let integer_digits = if fraction.is_empty() {
            integer.len() - integer.iter().rev().take_while(|&&digit| digit == b'0').count()
        } else if integer == b"0" {
            0
        } else {
            integer.len()
        };
        let leading_zeros =
            if integer == b"0" { fraction.iter().take_while(|&&digit| digit == b'0').count() } else { 0 };
        let fraction_digits = fraction.len() - leading_zeros;
        1 + integer_digits.div_ceil(2) + fraction_digits.div_ceil(2) + usize::from(negative)
    }

    /// Exact sum, or the error that DynamoDB gives instead of rounding.
    pub fn add<'b>(self, other: Number<'_>, arena: &'b Bump) -> Result<Number<'b>, NumberError> {
        self.combine(other, other.is_negative(), arena)
    }

    /// Exact difference, or the error that DynamoDB gives instead of rounding.
    pub fn subtract<'b>(self, other: Number<'_>, arena: &'b Bump) -> Result<Number<'b>, NumberError> {
        self.combine(other, !other.is_negative(), arena)
    }

    /// `self` plus the magnitude of `other` with the given sign.
    fn combine<'b>(self, other: Number<'_>, other_negative: bool, arena: &'b Bump) -> Result<Number<'b>, NumberError> {
        let negative = self.is_negative();
        let (mut left, right) = (FixedPoint::new(self), FixedPoint::new(other));
        let result_negative = if negative == other_negative {
            left.add(&right);
            negative
        } else if left.compare(&right) == Ordering::Less {
            let mut swapped = right;
            swapped.subtract(&left);
            left = swapped;
            other_negative
        } else {
            left.subtract(&right);
            negative
        };
        left.into_number(result_negative, arena)
    }

    /// Sign, integer digits (`0` alone if there are none) and fraction digits.
    pub fn split(self) -> (bool, &'a [u8], &'a [u8]) {
        let bytes = self.0.as_bytes();
        let (negative, digits) = match bytes.split_first() {
            Some((b'-', rest)) => (true, rest),
            _ => (false, bytes),
        };
        match memchr::memchr(b'.', digits) {
            Some(point) => (negative, &digits[..point], &digits[point + 1..]),
            None => (negative, digits, b""),
        }
    }

    fn compare_magnitude(self, other: Number<'_>) -> Ordering {
        let ((_, integer, fraction), (_, other_integer, other_fraction)) = (self.split(), other.split());
        integer
            .len()
            .cmp(&other_integer.len())
            .then_with(|| integer.cmp(other_integer))
            // Fractions have no trailing zeros, so a longer one with the same start is larger: plain byte order.
            .then_with(|| fraction.cmp(other_fraction))
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative(), other.is_negative()) {
            (false, false) => self.compare_magnitude(*other),
            (true, true) => other.compare_magnitude(*self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl NumberError {
    /// AWS's text. `text` is what the client wrote.
    pub fn message(self, text: &str) -> String {
        match self {
            NumberError::Syntax => format!("The parameter cannot be converted to a numeric value: {text}"),
            NumberError::Overflow => {
                "Number overflow. Attempting to store a number with magnitude larger than supported range".into()
            }
            NumberError::Underflow => {
                "Number underflow. Attempting to store a number with magnitude smaller than supported range".into()
            }
            NumberError::Precision => "Attempting to store more than 38 significant digits in a Number".into(),
        }
    }
}

/// The common case: an integer of few digits as every client writes it.
fn is_canonical_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    match digits {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.len() < DIGITS_MAX && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// The pieces of a number as written.
struct Parts<'t> {
    negative: bool,
    integer: &'t [u8],
    fraction: &'t [u8],
    /// Clamped to 32 bits; beyond 64 bits AWS calls the text malformed.
    exponent: i64,
}

impl<'t> Parts<'t> {
    fn scan(text: &'t [u8]) -> Option<Parts<'t>> {
        let (negative, rest) = match text.split_first()? {
            (b'-', rest) => (true, rest),
            (b'+', rest) => (false, rest),
            _ => (false, text),
        };
        let (integer, rest) = split_digits(rest);
        let (fraction, rest) = match rest.split_first() {
            Some((b'.', rest)) => split_digits(rest),
            _ => (&b""[..], rest),
        };
        if integer.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match rest.split_first() {
            None => 0,
            Some((b'e' | b'E', digits)) => {
                // `i64::from_str` takes exactly [+-] digits.
                std::str::from_utf8(digits).ok()?.parse::<i64>().ok()?
            }
            Some(_) => return None,
        };
        Some(Parts { negative, integer, fraction, exponent: exponent.clamp(i32::MIN.into(), i32::MAX.into()) })
    }

    /// Strips zeros and checks the range, then the precision: the order in which AWS reports them.
    fn normalize(&self) -> Result<Decimal, NumberError> {
        let mut digits = [0u8; DIGITS_MAX];
        let mut count = 0usize;
        let mut pending_zeros = 0usize;
        let mut first_exponent = 0i64;
        for (index, &digit) in self.integer.iter().chain(self.fraction).enumerate() {
            if digit == b'0' {
                pending_zeros += usize::from(count > 0);
                continue;
            }
            if count == 0 {
                first_exponent = self.integer.len() as i64 - 1 - index as i64 + self.exponent;
            }
            count += pending_zeros;
            pending_zeros = 0;
            if let Some(slot) = digits.get_mut(count) {
                *slot = digit - b'0';
            }
            count += 1;
        }
        if count == 0 {
            // AWS checks the range of a zero by its written exponent.
            first_exponent = self.exponent - self.fraction.len() as i64;
        }
        if first_exponent > EXPONENT_MAX.into() {
            return Err(NumberError::Overflow);
        }
        if first_exponent < EXPONENT_MIN.into() {
            return Err(NumberError::Underflow);
        }
        if count > DIGITS_MAX {
            return Err(NumberError::Precision);
        }
        Ok(Decimal { negative: self.negative, digits, count, first_exponent: first_exponent as i32 })
    }
}

fn split_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let count = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    bytes.split_at(count)
}

/// Digit `i` stands at 10^(first_exponent - i). No leading or trailing zero digits; zero has no digits.
struct Decimal {
    negative: bool,
    digits: [u8; DIGITS_MAX],
    count: usize,
    first_exponent: i32,
}

/// A sign, 126 integer digits or a `0.`, and fraction digits down to the last place.
const TEXT_MAX: usize = 3 + (EXPONENT_MAX + 1 - LAST_DIGIT_MIN) as usize;

impl Decimal {
    /// The canonical text.
    fn text(&self) -> TextBuffer {
        let mut text = TextBuffer { bytes: [0; TEXT_MAX], len: 0 };
        if self.count == 0 {
            text.push(b'0');
            return text;
        }
        if self.negative {
            text.push(b'-');
        }
        let last_exponent = self.first_exponent - (self.count as i32 - 1);
        if self.first_exponent < 0 {
            text.push(b'0');
        }
        for exponent in (last_exponent.min(0)..=self.first_exponent.max(-1)).rev() {
            if exponent == -1 {
                text.push(b'.');
            }
            let index = self.first_exponent - exponent;
            let digit = usize::try_from(index).ok().filter(|&index| index < self.count);
            text.push(b'0' + digit.map_or(0, |index| self.digits[index]));
        }
        text
    }
}

struct TextBuffer {
    bytes: [u8; TEXT_MAX],
    len: usize,
}

impl TextBuffer {
    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("only ASCII is pushed")
    }
}

/// One digit for every place that a number can have and one for a carry: addition is school arithmetic.
struct FixedPoint {
    /// `digits[place]` stands at 10^(place + LAST_DIGIT_MIN).
    digits: [u8; PLACES],
    /// The places outside `low..high` are zero.
    low: usize,
    high: usize,
}

const PLACES: usize = (EXPONENT_MAX + 1 - LAST_DIGIT_MIN + 1) as usize;

/// The place of 10^0.
const UNIT_PLACE: usize = (-LAST_DIGIT_MIN) as usize;

impl FixedPoint {
    fn new(number: Number<'_>) -> FixedPoint {
        let (_, integer, fraction) = number.split();
        let mut digits = [0u8; PLACES];
        let (low, high) = (UNIT_PLACE - fraction.len(), UNIT_PLACE + integer.len());
        let places = digits[low..high].iter_mut().rev();
        for (slot, digit) in places.zip(integer.iter().chain(fraction)) {
            *slot = digit - b'0';
        }
        FixedPoint { digits, low, high }
    }

    fn compare(&self, other: &FixedPoint) -> Ordering {
        self.digits.iter().rev().cmp(other.digits.iter().rev())
    }

    fn add(&mut self, other: &FixedPoint) {
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high) + 1;
        let mut carry = 0;
        for place in self.low..self.high {
            let sum = self.digits[place] + other.digits[place] + carry;
            self.digits[place] = sum % 10;
            carry = sum / 10;
        }
    }

    /// Requires `self >= other`.
    fn subtract(&mut self, other: &FixedPoint) {
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
        let mut borrow = 0;
        for place in self.low..self.high {
            let minuend = self.digits[place] + 10 - borrow;
            let difference = minuend - other.digits[place];
            self.digits[place] = difference % 10;
            borrow = u8::from(difference < 10);
        }
    }

    fn into_number(self, negative: bool, arena: &Bump) -> Result<Number<'_>, NumberError> {
        let used = &self.digits[self.low..self.high];
        let Some(first) = used.iter().rposition(|&digit| digit != 0) else { return Ok(Number::ZERO) };
        let last = used.iter().position(|&digit| digit != 0).unwrap_or(first);
        let first_exponent = (self.low + first) as i32 + LAST_DIGIT_MIN;
        if first_exponent > EXPONENT_MAX {
            return Err(NumberError::Overflow);
        }
        if first_exponent < EXPONENT_MIN {
            return Err(NumberError::Underflow);
        }
        let count = first - last + 1;
        if count > DIGITS_MAX {
            return Err(NumberError::Precision);
        }
        let mut digits = [0; DIGITS_MAX];
        for (slot, digit) in digits.iter_mut().zip(used[last..=first].iter().rev()) {
            *slot = *digit;
        }
        let decimal = Decimal { negative, digits, count, first_exponent };
        Ok(Number(arena.alloc_str(decimal.text().as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bigdecimal::BigDecimal;
    use proptest::prelude::*;
    use std::str::FromStr;

    fn parse(text: &str) -> Result<String, NumberError> {
        let arena = Bump::new();
        Number::parse(text, &arena).map(|number| number.as_str().to_owned())
    }

    #[test]
    fn canonical_texts() {
        let nines = format!("{}{}", "9".repeat(38), "0".repeat(88));
        let largest = format!("9.{}E+125", "9".repeat(37));
        let e125 = format!("1{}", "0".repeat(125));
        let e_130 = format!("0.{}1", "0".repeat(129));
        for (input, expected) in [
            ("007", "7"),
            ("+1.5", "1.5"),
            ("-0", "0"),
            ("0.00", "0"),
            ("0e5", "0"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("5.", "5"),
            ("1.e5", "100000"),
            ("1.10", "1.1"),
            ("100.000", "100"),
            ("1e3", "1000"),
            ("1E+3", "1000"),
            ("123e-2", "1.23"),
            ("1e-20", "0.00000000000000000001"),
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
            ("0.1230e1", "1.23"),
            ("0e125", "0"),
            ("0.0e126", "0"),
            ("0e-130", "0"),
            ("1e125", e125.as_str()),
            ("1e-130", e_130.as_str()),
            (largest.as_str(), nines.as_str()),
        ] {
            assert_eq!(parse(input).as_deref(), Ok(expected), "{input}");
            assert_eq!(Number::canonical(expected), Some(Number(expected)));
            assert_eq!(Number::canonical(input).is_some(), input == expected, "{input}");
        }
    }

    #[test]
    fn refused_texts() {
        use NumberError::*;
        for (input, expected) in [
            ("", Syntax),
            (" 1", Syntax),
            ("1 ", Syntax),
            ("1e", Syntax),
            ("+e2", Syntax),
            ("1.2.3", Syntax),
            ("1+2", Syntax),
            ("0x10", Syntax),
            ("NaN", Syntax),
            ("Infinity", Syntax),
            ("1_000", Syntax),
            ("-", Syntax),
            (".", Syntax),
            ("--1", Syntax),
            ("١", Syntax),
            ("1e9223372036854775808", Syntax),
            ("1e126", Overflow),
            ("0e126", Overflow),
            ("1e2147483648", Overflow),
            ("10e125", Overflow),
            ("1e-131", Underflow),
            ("0e-131", Underflow),
            ("1e-99999999999", Underflow),
            ("123456789012345678901234567890123456789", Precision),
            ("1.23456789012345678901234567890123456789", Precision),
        ] {
            assert_eq!(parse(input), Err(expected), "{input}");
        }
    }

    #[test]
    fn sizes() {
        let arena = Bump::new();
        for (input, expected) in [
            ("0", 1),
            ("1", 2),
            ("-1", 3),
            ("1e125", 2),
            ("123456", 4),
            ("3.14159", 5),
            ("0.0000001", 2),
            ("120", 2),
            ("100.5", 4),
            ("1.05", 3),
        ] {
            assert_eq!(Number::parse(input, &arena).map(Number::size), Ok(expected), "{input}");
        }
    }

    #[test]
    fn arithmetic_is_exact_or_refused() {
        let arena = Bump::new();
        let number = |text| Number::parse(text, &arena).expect(text);
        for (left, right, sum) in [
            ("1", "2", Ok("3")),
            ("0.1", "0.2", Ok("0.3")),
            ("-1", "1", Ok("0")),
            ("5", "-7", Ok("-2")),
            ("999", "1", Ok("1000")),
            ("1e50", "1", Err(NumberError::Precision)),
            ("9.9999999999999999999999999999999999999e125", "1e88", Err(NumberError::Overflow)),
            ("9e125", "1e125", Err(NumberError::Overflow)),
            ("1.1e-130", "-1e-130", Err(NumberError::Underflow)),
        ] {
            assert_eq!(number(left).add(number(right), &arena).map(Number::as_str), sum, "{left} + {right}");
        }
        assert_eq!(number("1").subtract(number("0.5"), &arena).map(Number::as_str), Ok("0.5"));
        assert_eq!(number("1").subtract(number("-0.5"), &arena).map(Number::as_str), Ok("1.5"));
    }

    fn decimal_text() -> impl Strategy<Value = String> {
        let short = (-99_999_999i64..99_999_999, -12i32..12).prop_map(|(n, e)| format!("{n}e{e}"));
        let long = ("-?[0-9]{1,38}", -130i32..88).prop_map(|(n, e)| format!("{n}e{e}"));
        prop_oneof![short, long]
    }

    proptest! {
        #[test]
        fn agrees_with_a_big_decimal_library(left in decimal_text(), right in decimal_text()) {
            let arena = Bump::new();
            let big = |text: &str| BigDecimal::from_str(text).unwrap();
            if let (Ok(a), Ok(b)) = (Number::parse(&left, &arena), Number::parse(&right, &arena)) {
                prop_assert_eq!(big(a.as_str()), big(&left));
                prop_assert_eq!(a.cmp(&b), big(&left).cmp(&big(&right)));
                prop_assert_eq!(Number::parse(a.as_str(), &arena), Ok(a));
                for (ours, exact) in [
                    (a.add(b, &arena), big(&left) + big(&right)),
                    (a.subtract(b, &arena), big(&left) - big(&right)),
                ] {
                    let digits = exact.normalized().as_bigint_and_exponent().0.magnitude().to_string();
                    match ours {
                        Ok(number) => prop_assert_eq!(big(number.as_str()), exact),
                        Err(NumberError::Precision) => prop_assert!(digits.len() > DIGITS_MAX),
                        Err(_) => prop_assert!(
                            exact.abs() >= big("1e126") || exact.abs() < big("1e-130"), "{}", exact),
                    }
                }
            }
        }

        #[test]
        fn never_panics(text in "[-+0-9.eE ]{0,60}") {
            let arena = Bump::new();
            if let Ok(number) = Number::parse(&text, &arena) {
                prop_assert_eq!(Number::parse(number.as_str(), &arena), Ok(number));
            }
        }
    }
}
