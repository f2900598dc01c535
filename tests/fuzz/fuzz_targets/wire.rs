//! Records of the ring: see `diffkeeper_ebpf::wire`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = diffkeeper_ebpf::wire::decode(bytes);
});
