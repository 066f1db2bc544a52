//! Tests of the whole store on a real directory.

pub mod fixture;
