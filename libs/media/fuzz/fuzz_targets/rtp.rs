//! RTP payloads of every format: no bytes make them panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| reelay_media::fuzzing::rtp(bytes));
