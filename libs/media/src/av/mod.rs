//! What this crate needs of FFmpeg beyond the safe wrapper.

mod encode;
mod libraries;
mod picture;
mod resound;

pub(crate) use encode::{AAC_FRAME, AacEncoder, X264, receive};
use ffmpeg_next::{
    codec::{Id, Parameters},
    ffi, media,
    util::log,
};
pub(crate) use libraries::loaded_libraries;
pub(crate) use picture::PictureDecoder;
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

/// Parameters of a stream that no demuxer has described. Video has no sample rate; `sample_bits`
/// are those of a coded sample, 0 if that is nothing fixed.
pub(crate) fn stream_parameters(
    codec: Id,
    extradata: &[u8],
    sample_rate: u32,
    channels: u32,
    sample_bits: u32,
) -> Parameters {
    let mut parameters = Parameters::new();
    parameters.set_medium(if sample_rate > 0 {
        media::Type::Audio
    } else {
        media::Type::Video
    });
    parameters.set_id(codec);
    // SAFETY: the pointer is valid as long as `parameters`. The extradata is allocated by FFmpeg
    // with its padding, which `av_mallocz` clears, and is freed by it with the parameters.
    unsafe {
        let raw = &mut *parameters.as_mut_ptr();
        if sample_rate > 0 {
            raw.sample_rate = sample_rate as i32;
            raw.bits_per_coded_sample = sample_bits as i32;
            ffi::av_channel_layout_default(&mut raw.ch_layout, channels.clamp(1, 8) as i32);
        }
        if !extradata.is_empty() {
            let size = extradata.len() + ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
            let copy = ffi::av_mallocz(size).cast::<u8>();
            if !copy.is_null() {
                std::ptr::copy_nonoverlapping(extradata.as_ptr(), copy, extradata.len());
                raw.extradata = copy;
                raw.extradata_size = extradata.len() as i32;
            }
        }
    }
    parameters
}
