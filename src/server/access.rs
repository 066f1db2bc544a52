//! Access keys: who may use the server, and whether a request comes from them.
//!
//! ```text
//! head --[examine]--> Unverified --[verify, with the hash of the body]--> admitted
//!          |                          \--> InvalidSignature
//!          \--> expired, another scope, UnrecognizedClient
//! ```
//!
//! Invariants:
//! 1. A secret leaves this file only as an argument of [`SigningKey::derive`]; `Debug` of nothing here shows one.
//! 2. What is kept for a key does not grow: the signing keys of two days, since around midnight clients sign for both.
//!    A signature in the query may be a week old and derives its key anew, which costs 1 us.

use crate::clock::Clock;
use crate::http::auth::signature::{self, HASH_BYTES, SigningKey};
use crate::http::auth::{AuthError, Claim};
use crate::http::request::Head;
use std::fmt;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// More keys than applications share one server. It bounds the signing keys of a loop to 400 KB.
const KEYS_MAX: usize = 1024;

/// Canonical forms that wait for their bodies at one time usually, and how long most are.
const SPARE_FORMS_MAX: usize = 64;
const SPARE_FORM_BYTES_MAX: usize = 4096;

/// A text that is not to be seen.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

/// One pair, or triple, of credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    id: Box<str>,
    secret: Secret,
    /// Requests must carry exactly this token, or none.
    session_token: Option<Secret>,
}

/// All keys of a server, sorted by id.
#[derive(Clone, Debug)]
pub struct AccessKeys(Vec<AccessKey>);

/// The access keys as one loop uses them.
pub struct Access {
    keys: Arc<AccessKeys>,
    region: Box<str>,
    clock: Clock,
    /// Beside each key what was derived from it.
    derived: Vec<[Option<Derived>; 2]>,
    /// Forms to be used again.
    #[expect(clippy::vec_box, reason = "the boxes are used again, not the values")]
    spare_forms: Vec<Box<Form>>,
}

struct Derived {
    day: [u8; 8],
    key: SigningKey,
}

/// Which of the keys a request was signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPlace(u16);

const _: () = assert!(KEYS_MAX <= u16::MAX as usize, "a place is two bytes");

/// A request of a known key whose body has not been hashed yet. One word, as every connection has room for it.
pub struct Unverified(Box<Form>);

#[derive(Default)]
struct Form {
    /// The canonical form without the hash of the body.
    canonical: Vec<u8>,
    date: [u8; 16],
    /// `None`: not a signature at all.
    signature: Option<[u8; HASH_BYTES]>,
    /// Place of the key.
    key: usize,
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl fmt::Debug for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The canonical form may hold a session token.
        f.debug_struct("Unverified").field("key", &self.0.key).finish_non_exhaustive()
    }
}

impl AccessKey {
    /// The error says what is wrong without repeating a secret.
    pub fn new(id: &str, secret: impl Into<Secret>, session_token: Option<&str>) -> Result<AccessKey, String> {
        let secret = secret.into();
        // The id stands between slashes and commas in a header.
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@+".contains(&byte);
        if !(1..=128).contains(&id.len()) || !id.bytes().all(fits) {
            return Err(format!("the access key id {id:?} is not 1 to 128 letters, digits and _ - . @ +"));
        }
        if secret.0.is_empty() {
            return Err(format!("the secret of access key {id} is empty"));
        }
        Ok(AccessKey { id: id.into(), secret, session_token: session_token.map(Secret::from) })
    }
}

impl AccessKeys {
    /// The same key may be given more than once, but only with one secret.
    pub fn new(mut keys: Vec<AccessKey>) -> Result<AccessKeys, String> {
        keys.sort_by(|one, other| one.id.cmp(&other.id));
        let differ = |pair: &&[AccessKey]| {
            pair[0].id == pair[1].id
                && (pair[0].secret != pair[1].secret || pair[0].session_token != pair[1].session_token)
        };
        if let Some(pair) = keys.windows(2).find(differ) {
            return Err(format!("access key {} is given twice with different secrets", pair[0].id));
        }
        keys.dedup_by(|one, other| one.id == other.id);
        match keys.len() {
            1..=KEYS_MAX => Ok(AccessKeys(keys)),
            count => Err(format!("{count} access keys: 1 to {KEYS_MAX} are allowed")),
        }
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn id(&self, KeyPlace(place): KeyPlace) -> &str {
        &self.0[usize::from(place)].id
    }

    fn position(&self, id: &[u8]) -> Option<usize> {
        self.0.binary_search_by(|key| key.id.as_bytes().cmp(id)).ok()
    }
}

impl Access {
    pub fn new(keys: Arc<AccessKeys>, region: &str, clock: Clock) -> Access {
        let derived = keys.0.iter().map(|_| [None, None]).collect();
        Access { keys, region: region.into(), clock, derived, spare_forms: Vec::new() }
    }

    /// Checks what the head alone decides, in DynamoDB's order.
    pub fn examine(&mut self, head: &Head<'_>, claim: &Claim<'_>) -> Result<Unverified, AuthError> {
        // Milliseconds in a u64 fit as seconds into an i64.
        claim.check_time((self.clock.now_ms() / 1000) as i64)?;
        let mut form = self.spare_forms.pop().unwrap_or_default();
        match self.fill(&mut form, head, claim) {
            Ok(()) => Ok(Unverified(form)),
            Err(error) => {
                self.take_back(form);
                Err(error)
            }
        }
    }

    fn fill(&self, form: &mut Form, head: &Head<'_>, claim: &Claim<'_>) -> Result<(), AuthError> {
        signature::write_canonical_head(head, claim, &mut form.canonical)?;
        claim.check_scope(&self.region)?;
        form.key = self.keys.position(claim.key_id()).ok_or_else(AuthError::unknown_key)?;
        let tokens_agree = match (&self.keys.0[form.key].session_token, &claim.session_token) {
            (None, None) => true,
            (Some(known), Some(given)) => known.0.as_bytes().ct_eq(given).into(),
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !tokens_agree {
            return Err(AuthError::wrong_token());
        }
        // A claim has a date of this length.
        form.date.copy_from_slice(&claim.date);
        form.signature = signature::read_hex(&claim.signature);
        Ok(())
    }

    /// Decides with the hash of the body as it was sent.
    pub fn verify(&mut self, request: Unverified, body_hash: &[u8; HASH_BYTES]) -> Result<KeyPlace, AuthError> {
        let Unverified(mut form) = request;
        signature::write_hex(body_hash, &mut form.canonical);
        let canonical_bytes = form.canonical.len();
        signature::write_string_to_sign(&form.date, &self.region, &mut form.canonical);
        let (canonical, to_sign) = form.canonical.split_at(canonical_bytes);
        let signing_key = self.signing_key(form.key, &form.date);
        let result = match form.signature.is_some_and(|signature| signing_key.accepts(to_sign, &signature)) {
            true => Ok(KeyPlace(form.key as u16)),
            false => Err(AuthError::mismatch(canonical, to_sign)),
        };
        self.take_back(form);
        result
    }

    fn signing_key(&mut self, key: usize, date: &[u8; 16]) -> &SigningKey {
        let mut day = [0; 8];
        day.copy_from_slice(&date[..8]);
        let slots = &mut self.derived[key];
        let is_of_day = |slot: &Option<Derived>| slot.as_ref().is_some_and(|derived| derived.day == day);
        if !is_of_day(&slots[0]) {
            // The day that was used last comes first.
            slots.swap(0, 1);
            if !is_of_day(&slots[0]) {
                slots[0] = None;
            }
        }
        let secret = &self.keys.0[key].secret;
        let derive = || Derived { day, key: SigningKey::derive(&secret.0, &day, &self.region) };
        &slots[0].get_or_insert_with(derive).key
    }

    fn take_back(&mut self, mut form: Box<Form>) {
        if self.spare_forms.len() < SPARE_FORMS_MAX && form.canonical.capacity() <= SPARE_FORM_BYTES_MAX {
            form.canonical.clear();
            self.spare_forms.push(form);
        }
    }
}

#[cfg(test)]
mod tests;
