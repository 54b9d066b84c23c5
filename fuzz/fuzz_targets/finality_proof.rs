#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alys_fuzz::run("finality_proof", data));
