//! The fingerprint of an encoding: all that decides its bytes beside the source.

use std::{ffi::CStr, sync::LazyLock};

use ffmpeg_next::ffi;
use reelay_model::{LatencyMode, RungProfile};
use reelay_wire::Fingerprint;
use sha2::{Digest, Sha256};

use super::options::encoder_options;

/// To be raised when this crate makes other bytes of the same input: other scaling, cutting,
/// packing.
const REVISION: u32 = 1;

/// The fingerprint of a rung: 16 bytes of the SHA-256 of the versions of the libraries, the
/// encoder's options, the profile and the architecture. Rungs of the same fingerprint and source
/// are the same bytes.
pub fn fingerprint(profile: &RungProfile, latency: LatencyMode) -> Fingerprint {
    let mut hash = Sha256::new();
    // Each text ends with a byte that no text holds, so that no two lists are alike.
    let mut add = |text: &str| {
        hash.update(text.as_bytes());
        hash.update([0xff]);
    };
    add(&format!("reelay {REVISION}"));
    add(std::env::consts::ARCH);
    for version in LIBRARIES.iter() {
        add(version);
    }
    add(&profile.to_string());
    let encoder = encoder_options(profile, latency);
    add(encoder.name);
    for (key, value) in &encoder.options {
        add(key);
        add(value);
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Fingerprint(bytes)
}

/// FFmpeg's version and how it was built, and the builds of the libraries that are loaded.
static LIBRARIES: LazyLock<Vec<String>> = LazyLock::new(|| {
    // SAFETY: these functions return static strings and take nothing.
    let (info, configuration) = unsafe {
        (
            CStr::from_ptr(ffi::av_version_info()),
            CStr::from_ptr(ffi::avcodec_configuration()),
        )
    };
    let mut versions = vec![
        info.to_string_lossy().into_owned(),
        configuration.to_string_lossy().into_owned(),
    ];
    versions.extend(crate::av::loaded_libraries());
    versions
});
