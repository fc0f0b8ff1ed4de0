//! A stranger's bytes against the codec.
#![no_main]

#[path = "../codec_check.rs"]
mod codec_check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| codec_check::check(data));
