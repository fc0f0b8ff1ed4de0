//! Another node's bytes against the conversion of frames.
#![no_main]

#[path = "../wire_check.rs"]
mod wire_check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wire_check::check(data));
