//! See `diffkeeper_store::fuzz::pack`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diffkeeper_store::fuzz::pack(bytes));
