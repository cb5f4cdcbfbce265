//! Any bytes: either an error, or a value that reads back equal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelay_wire::Opening;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = Opening::decode(bytes) {
        assert_eq!(Opening::decode(&value.encode()).as_ref(), Ok(&value));
    }
});
