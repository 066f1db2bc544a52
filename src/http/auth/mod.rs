//! Who sent a request, and is it what they sent?
//!
//! ```text
//! head --[form]--> Claim --[scope]--> the key, the time and the region fit --[signature]--> the sender has the secret
//! ```
//!
//! [`form`] reads what a request says of itself and refuses what is incomplete; without access keys that is all that is
//! checked, as in DynamoDB Local. [`scope`] compares the claim with the server, [`signature`] computes Signature
//! Version 4. The texts and their order are those of DynamoDB.

pub mod form;

pub mod scope;

pub mod signature;

pub use form::Claim;

/// The only algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// An error of the door; every one is answered with status 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthError {
    pub kind: AuthErrorKind,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthErrorKind {
    MissingAuthenticationToken,
    IncompleteSignature,
    InvalidSignature,
    UnrecognizedClient,
}

impl AuthErrorKind {
    pub fn name(self) -> &'static str {
        match self {
            AuthErrorKind::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            AuthErrorKind::IncompleteSignature => "IncompleteSignatureException",
            AuthErrorKind::InvalidSignature => "InvalidSignatureException",
            AuthErrorKind::UnrecognizedClient => "UnrecognizedClientException",
        }
    }
}

impl AuthError {
    fn incomplete(message: String) -> AuthError {
        AuthError { kind: AuthErrorKind::IncompleteSignature, message }
    }

    fn invalid(message: String) -> AuthError {
        AuthError { kind: AuthErrorKind::InvalidSignature, message }
    }

    /// A header that has to be signed is not. `names` is quoted.
    fn unsigned(names: &str) -> AuthError {
        AuthError::invalid(format!("{names} must be a 'SignedHeader' in the AWS Authorization."))
    }

    /// Nobody has this access key id.
    pub fn unknown_key() -> AuthError {
        let message = "The security token included in the request is invalid.".into();
        AuthError { kind: AuthErrorKind::UnrecognizedClient, message }
    }

    /// The session token is missing, superfluous or another one.
    pub fn wrong_token() -> AuthError {
        // Without the full stop, as DynamoDB says it.
        let message = "The security token included in the request is invalid".into();
        AuthError { kind: AuthErrorKind::UnrecognizedClient, message }
    }

    /// The signature is not that of the request. Says what the server has signed, which helps authors of clients and
    /// contains nothing that the sender does not know.
    pub fn mismatch(canonical: &[u8], to_sign: &[u8]) -> AuthError {
        AuthError::invalid(format!(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.\n\nThe Canonical String for \
             this request should have been\n'{}'\n\nThe String-to-Sign should have been\n'{}'\n",
            String::from_utf8_lossy(canonical),
            String::from_utf8_lossy(to_sign)
        ))
    }

    /// Appends the JSON body of the answer.
    pub fn write_body(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"__type\":\"com.amazon.coral.service#");
        out.extend_from_slice(self.kind.name().as_bytes());
        out.extend_from_slice(b"\",\"message\":\"");
        write_escaped(&self.message, out);
        out.extend_from_slice(b"\"}");
    }
}

/// Appends `text` as the inside of a JSON string.
fn write_escaped(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies() {
        let check = |error: AuthError, expected: &str| {
            let mut out = Vec::new();
            error.write_body(&mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        };
        check(
            AuthError::incomplete("a\"b\\c\td\u{e9}".into()),
            "{\"__type\":\"com.amazon.coral.service#IncompleteSignatureException\",\
             \"message\":\"a\\\"b\\\\c\\u0009d\u{e9}\"}",
        );
        check(
            AuthError::unknown_key(),
            "{\"__type\":\"com.amazon.coral.service#UnrecognizedClientException\",\
             \"message\":\"The security token included in the request is invalid.\"}",
        );
        let mismatch = AuthError::mismatch(b"POST\n/", b"AWS4");
        assert_eq!(mismatch.kind, AuthErrorKind::InvalidSignature);
        assert!(mismatch.message.ends_with("been\n'POST\n/'\n\nThe String-to-Sign should have been\n'AWS4'\n"));
    }
}
