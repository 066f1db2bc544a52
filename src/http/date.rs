//! Dates as they are written on the wire: the `date` header, `Sat, 21 Nov 2026 03:00:00 GMT`, always 29 bytes, and
//! ISO 8601's basic format, `20261121T030000Z`, always 16 bytes.

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A formatted date. A loop keeps one and renews it once a second, so that a response only copies it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HttpDate([u8; 29]);

impl HttpDate {
    pub fn from_unix_seconds(seconds: u64) -> HttpDate {
        let days = seconds / 86_400;
        let second_of_day = seconds % 86_400;
        let (year, month, day) = civil_from_days(days);
        let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
        text[0..3].copy_from_slice(DAYS[(days % 7) as usize].as_bytes());
        two_digits(&mut text[5..7], day);
        text[8..11].copy_from_slice(MONTHS[month as usize - 1].as_bytes());
        two_digits(&mut text[12..14], year / 100);
        two_digits(&mut text[14..16], year % 100);
        two_digits(&mut text[17..19], second_of_day / 3600);
        two_digits(&mut text[20..22], second_of_day / 60 % 60);
        two_digits(&mut text[23..25], second_of_day % 60);
        HttpDate(text)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// `20261121T030000Z` in seconds since 1970-01-01. `None`: another format, or no date of the calendar.
pub fn from_basic(text: &[u8]) -> Option<i64> {
    let digits = |range: std::ops::Range<usize>| {
        text[range].iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    if text.len() != 16 || text[8] != b'T' || text[15] != b'Z' {
        return None;
    }
    let (year, month, day) = (digits(0..4)?, digits(4..6)?, digits(6..8)?);
    let (hour, minute, second) = (digits(9..11)?, digits(11..13)?, digits(13..15)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let exists =
        (1..=12).contains(&month) && (1..=days_in_month).contains(&day) && hour < 24 && minute < 60 && second < 60;
    exists.then(|| days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// The basic format of a time that has a year of four digits.
pub fn to_basic(seconds: u64) -> String {
    let (year, month, day) = civil_from_days(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

fn two_digits(text: &mut [u8], value: u64) {
    // Both are below ten: the callers pass a calendar field of two digits.
    text[0] = b'0' + (value / 10 % 10) as u8;
    text[1] = b'0' + (value % 10) as u8;
}

/// Year, month 1-12 and day 1-31 of a day counted from 1970-01-01, in the Gregorian calendar.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    // Howard Hinnant's algorithm: years that begin in March put the leap day last, in eras of 400 years.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// The other direction; days before 1970-01-01 are negative.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let march_year = if month <= 2 { year - 1 } else { year };
    let march_month = (month + 9) % 12;
    let year_of_era = march_year.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * march_month + 2) / 5 + day - 1;
    march_year.div_euclid(400) * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_format_there_and_back() {
        let check = |text: &str, seconds| assert_eq!(from_basic(text.as_bytes()), seconds, "{text}");
        check("19700101T000000Z", Some(0));
        check("19691231T235959Z", Some(-1));
        check("20000229T000000Z", Some(951_782_400));
        check("20261121T030000Z", Some(1_795_230_000));
        check("00000101T000000Z", Some(-62_167_219_200));
        let wrong = "2026112T0030000Z 20261121030000ZZ 20261121t030000Z 20261121T030000z 20261121T03000Z \
                     20260001T000000Z 20261301T000000Z 20260100T000000Z 20260431T000000Z 20260229T000000Z \
                     21000229T000000Z 20260101T240000Z 20260101T006000Z 20260101T000060Z +0260101T000000Z";
        wrong.split_whitespace().for_each(|text| check(text, None));
        // Every day of a cycle of the calendar, at a second that moves through the day.
        for day in 0..146_097 {
            let seconds = day * 86_400 + day % 86_400;
            assert_eq!(from_basic(to_basic(seconds).as_bytes()), Some(seconds as i64), "{seconds}");
        }
    }

    #[test]
    fn formats_known_dates() {
        let check = |seconds: u64, text: &str| {
            assert_eq!(HttpDate::from_unix_seconds(seconds).as_bytes(), text.as_bytes(), "{seconds}");
        };
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT");
        check(1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT");
        check(1_795_230_000, "Sat, 21 Nov 2026 03:00:00 GMT");
        check(4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT");
    }
}
