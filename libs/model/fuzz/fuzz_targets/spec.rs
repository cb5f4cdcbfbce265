//! Specs as they come from anybody: valid ones are the same after they have been written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelay_model::{RawStreamSpec, StreamSpec, StreamUid};

fuzz_target!(|bytes: &[u8]| {
    let Ok(raw) = serde_json::from_slice::<RawStreamSpec>(bytes) else {
        return;
    };
    let uid = StreamUid::from_bytes([1; 16]);
    if let Ok(spec) = StreamSpec::validate(raw, uid, &[]) {
        assert_eq!(StreamSpec::validate(spec.to_raw(), uid, &[]), Ok(spec));
    }
});
