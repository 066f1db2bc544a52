//! What a claim has to share with the server: the time, the region, the service.

use super::{AuthError, Claim};
use crate::http::date;

/// The service in every scope, that of the streams too.
pub const SERVICE: &str = "dynamodb";

/// The last part of every scope.
pub const TERMINATOR: &str = "aws4_request";

/// How far the clocks of client and server may be apart, and how long a signature is good that does not say more.
const SKEW_SECONDS_MAX: i64 = 15 * 60;

/// A signature in the query may be good for a week.
const EXPIRES_SECONDS_MAX: i64 = 7 * 24 * 60 * 60;

impl Claim<'_> {
    pub fn key_id(&self) -> &[u8] {
        self.credential.split(|&byte| byte == b'/').next().unwrap_or_default()
    }

    /// Whether the signature is of this time.
    pub fn check_time(&self, now_seconds: i64) -> Result<(), AuthError> {
        let lifetime = self.expires.as_deref().map_or(Ok(SKEW_SECONDS_MAX), read_expires)?;
        let basic = |seconds: i64| date::to_basic(seconds.max(0).unsigned_abs());
        let signed_at = String::from_utf8_lossy(&self.date);
        if self.signed_at < now_seconds - lifetime {
            return Err(AuthError::invalid(format!(
                "Signature expired: {signed_at} is now earlier than {} ({} - {})",
                basic(now_seconds - lifetime),
                basic(now_seconds),
                if self.expires.is_none() { "15 min.".to_owned() } else { format!("{lifetime} sec.") }
            )));
        }
        if self.signed_at > now_seconds + SKEW_SECONDS_MAX {
            return Err(AuthError::invalid(format!(
                "Signature not yet current: {signed_at} is still later than {} ({} + 15 min.)",
                basic(now_seconds + SKEW_SECONDS_MAX),
                basic(now_seconds)
            )));
        }
        Ok(())
    }

    /// Whether the credential is for this server and the day of the signature.
    pub fn check_scope(&self, expected_region: &str) -> Result<(), AuthError> {
        let mut parts = self.credential.split(|&byte| byte == b'/').skip(1);
        let mut next = || parts.next().unwrap_or_default();
        let (day, region, service, terminator) = (next(), next(), next(), next());
        let expected_day = &self.date[..8];
        let fits = region == expected_region.as_bytes()
            && service == SERVICE.as_bytes()
            && terminator == TERMINATOR.as_bytes()
            && day == expected_day;
        if fits {
            return Ok(());
        }
        let text = |part| String::from_utf8_lossy(part);
        let mut message = String::new();
        if region != expected_region.as_bytes() {
            message += &format!("Credential should be scoped to a valid region, not '{}'. ", text(region));
        }
        if service != SERVICE.as_bytes() {
            message += &format!("Credential should be scoped to correct service: '{SERVICE}'. ");
        }
        if terminator != TERMINATOR.as_bytes() {
            message += &format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{}'. ",
                text(terminator)
            );
        }
        if day != expected_day {
            message += &format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
                 '{}' != '{}', from '{}'.",
                text(day),
                text(expected_day),
                text(&self.date)
            );
        }
        Err(AuthError::invalid(message))
    }
}

fn read_expires(text: &[u8]) -> Result<i64, AuthError> {
    let seconds = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match seconds.and_then(|digits| digits.parse().ok()) {
        Some(seconds @ 1..=EXPIRES_SECONDS_MAX) => Ok(seconds),
        _ => Err(AuthError::incomplete(format!(
            "'X-Amz-Expires' must be a number of seconds from 1 to {EXPIRES_SECONDS_MAX}. Re-examine the query-string \
             parameters."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::auth::{AuthErrorKind, form};
    use crate::http::request;

    fn with_claim<R>(text: &str, action: impl FnOnce(&Claim<'_>) -> R) -> R {
        let head = request::parse(text.as_bytes()).expect("a good head").expect("a complete head");
        action(&form::read(&head).expect("a good form"))
    }

    fn header(credential: &str) -> String {
        format!(
            "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Date: 20130609T100015Z\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential={credential}, SignedHeaders=host;x-amz-date, Signature=00\r\n\r\n"
        )
    }

    fn query(expires: &str) -> String {
        format!(
            "POST /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/b/c/d/e&X-Amz-Date=20130609T100015Z\
             &X-Amz-SignedHeaders=host&X-Amz-Signature=x{expires} HTTP/1.1\r\nHost: x\r\n\r\n"
        )
    }

    fn time_of(request: &str, now: &str) -> Result<(), String> {
        let now = date::from_basic(now.as_bytes()).expect("a date");
        with_claim(request, |claim| claim.check_time(now)).map_err(|error| {
            assert_eq!(error.kind, AuthErrorKind::InvalidSignature);
            error.message
        })
    }

    #[test]
    fn signatures_live_fifteen_minutes_to_the_second() {
        let request = header("a/b/c/d/e");
        for now in ["20130609T100015Z", "20130609T101515Z", "20130609T094515Z"] {
            assert_eq!(time_of(&request, now), Ok(()), "{now}");
        }
        let expired = "Signature expired: 20130609T100015Z is now earlier than 20130609T100016Z \
                       (20130609T101516Z - 15 min.)";
        assert_eq!(time_of(&request, "20130609T101516Z"), Err(expired.into()));
        let early = "Signature not yet current: 20130609T100015Z is still later than 20130609T100014Z \
                     (20130609T094514Z + 15 min.)";
        assert_eq!(time_of(&request, "20130609T094514Z"), Err(early.into()));
        assert!(time_of(&request.replace("2013", "0000"), "19700101T000000Z").is_err());
        assert!(time_of(&request.replace("2013", "9999"), "20130609T100015Z").is_err());
    }

    #[test]
    fn signatures_in_the_query_say_how_long_they_live() {
        for (expires, last, first_expired) in [
            ("", "20130609T101515Z", "20130609T101516Z"),
            ("&X-Amz-Expires=1", "20130609T100016Z", "20130609T100017Z"),
            ("&X-Amz-Expires=604800", "20130616T100015Z", "20130616T100016Z"),
            // The canonical form of both names is the same, so they have to mean the same.
            ("&X%2DAmz-Expires=60", "20130609T100115Z", "20130609T100116Z"),
        ] {
            assert_eq!(time_of(&query(expires), last), Ok(()), "{expires}");
            assert!(time_of(&query(expires), first_expired).is_err(), "{expires}");
        }
        let early = time_of(&query("&X-Amz-Expires=604800"), "20130609T094514Z");
        assert!(early.is_err_and(|text| text.starts_with("Signature not yet current")));
        for expires in ["0", "604801", "-1", "+1", "x", "", "1e3", "99999999999999999999"] {
            let request = query(&format!("&X-Amz-Expires={expires}"));
            let error = with_claim(&request, |claim| claim.check_time(1_370_772_015)).expect_err(expires);
            assert_eq!(error.kind, AuthErrorKind::IncompleteSignature, "{expires}");
        }
    }

    #[test]
    fn scopes_name_this_server_and_this_day() {
        let check = |credential: &str, message: &str| {
            let seen = with_claim(&header(credential), |claim| claim.check_scope("us-east-1"));
            let expected = if message.is_empty() { Ok(()) } else { Err(AuthError::invalid(message.into())) };
            assert_eq!(seen, expected, "{credential}");
        };
        check("a/20130609/us-east-1/dynamodb/aws4_request", "");
        check("a/20130609/c/dynamodb/aws4_request", "Credential should be scoped to a valid region, not 'c'. ");
        check("a/20130609/us-east-1/s3/aws4_request", "Credential should be scoped to correct service: 'dynamodb'. ");
        check(
            "a/b/c/d/e",
            "Credential should be scoped to a valid region, not 'c'. Credential should be scoped to correct service: \
             'dynamodb'. Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. Date in \
             Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: 'b' != '20130609', from \
             '20130609T100015Z'.",
        );
        with_claim(&header("key/b/c/d/e"), |claim| assert_eq!(claim.key_id(), b"key"));
    }
}
