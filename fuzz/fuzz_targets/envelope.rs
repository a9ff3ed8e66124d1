#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pli_fuzz::envelope(data));
