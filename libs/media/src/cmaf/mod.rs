//! CMAF boxes (ISO/IEC 23000-19 on ISO/IEC 14496-12): init segments and chunks.

mod chunk;
mod init;

pub(crate) use chunk::{Sample, chunk};
pub(crate) use init::{Codec, init_segment};

/// `track_ID` of video and of audio, fixed so that a merged `moov` fits all chunks.
pub(crate) const VIDEO_TRACK: u32 = 1;
/// See [`VIDEO_TRACK`].
pub(crate) const AUDIO_TRACK: u32 = 2;
