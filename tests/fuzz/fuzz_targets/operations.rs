//! Operations against a plain model: see the module.
#![no_main]

#[path = "../../../store/tests/fuzz/operations.rs"]
mod operations;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| operations::run(bytes));
