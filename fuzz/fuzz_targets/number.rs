//! Numbers against `bigdecimal`.
//!
//! Input: two texts with a line feed between them. Checked:
//! 1. A text is a number exactly if it is `[+-] digits [. digits] [e [+-] digits]` with a 64-bit exponent.
//! 2. What is refused is out of range or too long, what is accepted has the value of the text and is canonical.
//! 3. The order of two numbers is that of their values, their sum and difference are exact or refused for what they
//!    are.

#![no_main]

use std::str::FromStr;

use bigdecimal::{BigDecimal, Zero};
use bumpalo::Bump;
use jormundb_fuzz::generate::check_number;
use jormundb_fuzz::model::{Number, NumberError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (left, right) = input.split_once('\n').unwrap_or((input, "1"));
    let arena = Bump::new();
    let (Some(left), Some(right)) = (checked(left, &arena), checked(right, &arena)) else { return };
    let (left_value, right_value) = (decimal(left), decimal(right));
    assert_eq!(left.cmp(&right), left_value.cmp(&right_value), "{left:?} {right:?}");
    assert_eq!(left == right, left_value == right_value);
    check_result(left.add(right, &arena), &left_value + &right_value);
    check_result(left.subtract(right, &arena), &left_value - &right_value);
    check_result(right.subtract(left, &arena), right_value - left_value);
});

/// The number that the text is, after it was compared to what the text says.
fn checked<'a>(text: &'a str, arena: &'a Bump) -> Option<Number<'a>> {
    let parsed = Number::parse(text, arena);
    let Some((mantissa, exponent)) = split(text) else {
        assert_eq!(parsed, Err(NumberError::Syntax), "{text:?}");
        return None;
    };
    let value = BigDecimal::from_str(mantissa).expect("digits and a point");
    let fraction_digits = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len() as i128);
    // Beyond this no text of a fuzzer's length comes back into range, and `bigdecimal` would write all the zeros.
    const EXPONENT_MAX: i64 = 100_000;
    if value.is_zero() {
        // AWS checks the range of a zero by its written exponent.
        let expected = match i128::from(exponent) - fraction_digits {
            126.. => Err(NumberError::Overflow),
            -130..126 => Ok(Number::ZERO),
            _ => Err(NumberError::Underflow),
        };
        assert_eq!(parsed, expected, "{text:?}");
    } else if exponent > EXPONENT_MAX {
        assert_eq!(parsed, Err(NumberError::Overflow), "{text:?}");
    } else if exponent < -EXPONENT_MAX {
        assert_eq!(parsed, Err(NumberError::Underflow), "{text:?}");
    } else {
        let (digits, scale) = value.into_bigint_and_exponent();
        check_result(parsed, BigDecimal::new(digits, scale - exponent));
    }
    parsed.ok()
}

/// Sign and digits, and the exponent; `None` if the text is no number.
fn split(text: &str) -> Option<(&str, i64)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
        None => (text, 0),
    };
    let digits = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number =
        integer.len() + fraction.len() > 0 && integer.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    is_number.then_some((mantissa, exponent))
}

fn decimal(number: Number<'_>) -> BigDecimal {
    BigDecimal::from_str(number.as_str()).expect("canonical text")
}

/// A result is the exact value if that is a number, and says why if it is not.
fn check_result(result: Result<Number<'_>, NumberError>, exact: BigDecimal) {
    let (digits, scale) = exact.normalized().into_bigint_and_exponent();
    let digit_count = digits.magnitude().to_string().len() as i64;
    let first_exponent = digit_count - 1 - scale;
    let expected = match first_exponent {
        _ if exact.is_zero() => Ok(()),
        126.. => Err(NumberError::Overflow),
        ..-130 => Err(NumberError::Underflow),
        _ if digit_count > 38 => Err(NumberError::Precision),
        _ => Ok(()),
    };
    assert_eq!(result.map(drop), expected, "{exact}");
    if let Ok(number) = result {
        assert_eq!(decimal(number), exact);
        check_number(number);
        assert!((1..=22).contains(&number.size()), "{number:?} has size {}", number.size());
    }
}
