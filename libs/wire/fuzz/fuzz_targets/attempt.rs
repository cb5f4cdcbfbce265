//! Any bytes: either an error, or a value that reads back equal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelay_wire::Attempt;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = Attempt::decode(bytes) {
        assert_eq!(Attempt::decode(&value.encode()).as_ref(), Ok(&value));
    }
});
