//! libFuzzer drives the target of this name in `tests/fuzz/targets`.

#![no_main]
#![allow(dead_code, reason = "each of these knows one of the targets")]

mod corpus;
#[path = "../../tests/fuzz/targets/mod.rs"]
mod targets;

use targets::rooms_file as target;

libfuzzer_sys::fuzz_target!(
    init: corpus::write("rooms_file", &target::corpus()),
    |input: &[u8]| target::run(input)
);
