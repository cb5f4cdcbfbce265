//! What this crate needs of FFmpeg beyond the safe wrapper.

mod encode;
mod libraries;
mod resound;

pub(crate) use encode::{AAC_FRAME, AacEncoder, X264, receive};
use ffmpeg_next::{codec::Parameters, ffi, util::log};
pub(crate) use libraries::loaded_libraries;
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

/// Gives a codec that is not opened yet its configuration.
pub(crate) fn set_extradata(
    context: &mut ffmpeg_next::codec::Context,
    bytes: &[u8],
) -> Result<(), ffmpeg_next::Error> {
    let padding = ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
    let length = i32::try_from(bytes.len()).map_err(|_| ffmpeg_next::Error::InvalidData)?;
    // SAFETY: the context is valid and not opened; the new allocation, zeroed and padded as FFmpeg
    // asks for, becomes the context's, which frees it. What was there before is freed.
    unsafe {
        let raw = context.as_mut_ptr();
        let copy: *mut u8 = ffi::av_mallocz(bytes.len() + padding).cast();
        if copy.is_null() {
            return Err(ffmpeg_next::Error::Other {
                errno: ffmpeg_next::error::ENOMEM,
            });
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len());
        ffi::av_freep((&raw mut (*raw).extradata).cast());
        (*raw).extradata = copy;
        (*raw).extradata_size = length;
    }
    Ok(())
}
