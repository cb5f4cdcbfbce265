//! Addresses of sources: what is read is written as it was read, and no password gets in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelay_model::SourceAddress;

fuzz_target!(|text: &str| {
    if let Ok(address) = text.parse::<SourceAddress>() {
        let written = address.to_string();
        assert_eq!(written.parse::<SourceAddress>().as_ref(), Ok(&address));
        if let SourceAddress::Rtsp(address) = &address {
            assert!(address.url().username().is_empty() && address.url().password().is_none());
        }
    }
});
