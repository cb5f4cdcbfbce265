//! What this crate needs of FFmpeg beyond the safe wrapper.

mod encode;
mod resound;

pub(crate) use encode::{AAC_FRAME, AacEncoder, X264};
use ffmpeg_next::{codec::Parameters, util::log};
pub(crate) use resound::{Resound, silent_aac};

/// Prepares FFmpeg for this process: only warnings and errors go to stderr, repeated ones once.
pub(crate) fn init() -> Result<(), ffmpeg_next::Error> {
    ffmpeg_next::init()?;
    log::set_level(log::Level::Warning);
    log::set_flags(log::Flags::SKIP_REPEATED);
    Ok(())
}

/// The codec configuration of a stream.
pub(crate) fn extradata(parameters: &Parameters) -> &[u8] {
    // SAFETY: the pointer is valid as long as `parameters`; FFmpeg keeps `extradata` (null or an
    // allocation of at least `extradata_size` bytes) unchanged as long.
    unsafe {
        let raw = &*parameters.as_ptr();
        if raw.extradata.is_null() || raw.extradata_size <= 0 {
            &[]
        } else {
            std::slice::from_raw_parts(raw.extradata, raw.extradata_size as usize)
        }
    }
}
