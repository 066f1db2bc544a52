//! HTTP/1.1 as pure functions over bytes: no sockets, no clock, nothing of the rest of the project.
//!
//! A request travels through these files in this order: [`request`] finds the end of a head and reads it, [`chunked`]
//! and [`encoding`] turn what follows into the plain body, [`auth`] looks at the signature, and
//! [`response`] writes the head of the answer.

pub mod request;

pub mod chunked;

pub mod encoding;

pub mod auth;

pub mod response;

pub mod date;
