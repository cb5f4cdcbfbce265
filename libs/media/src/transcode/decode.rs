//! A fresh decoder for one segment: samples in, pictures with the samples' presentation times
//! out, in the order in which they are shown.

use ffmpeg_next::{
    Error, Packet, codec,
    codec::{Compliance, packet::Flags},
    decoder, frame,
};

use super::input::{SourceCodec, SourceSample, SourceTrack};
use crate::av::set_extradata;

/// Decodes one segment, on the caller's thread.
pub(super) struct SegmentDecoder {
    decoder: decoder::Video,
    /// H.264 without a word about its depth of reordering (VUI `max_num_reorder_frames`).
    may_reorder: bool,
}

impl SegmentDecoder {
    /// A decoder for samples of this track.
    pub(super) fn new(track: &SourceTrack) -> Result<Self, Error> {
        // By name: which of several AV1 decoders FFmpeg prefers depends on its build.
        let name = match track.codec {
            SourceCodec::H264 => "h264",
            SourceCodec::H265 => "hevc",
            SourceCodec::Av1 => "libdav1d",
            SourceCodec::Vp9 => "vp9",
        };
        let codec = decoder::find_by_name(name).ok_or(Error::DecoderNotFound)?;
        let mut context = codec::Context::new_with_codec(codec);
        // One thread: more would give frames late, and damaged pictures differ from run to run.
        context.set_threading(codec::threading::Config::count(1));
        // Cropping to the pixel, whatever alignment the machine's SIMD would like.
        context.set_flags(codec::Flags::UNALIGNED);
        if track.codec != SourceCodec::Vp9 {
            set_extradata(&mut context, &track.config)?;
        }
        Ok(Self {
            decoder: context.decoder().video()?,
            may_reorder: track.codec == SourceCodec::H264,
        })
    }

    /// Decodes a sample; `give` gets the pictures that are ready. What cannot be decoded gives
    /// nothing.
    pub(super) fn decode(
        &mut self,
        sample: &SourceSample,
        data: &[u8],
        give: &mut impl FnMut(frame::Video) -> Result<(), super::Failure>,
    ) -> Result<(), super::Failure> {
        if data.is_empty() {
            return Ok(());
        }
        if self.may_reorder && sample.presentation != sample.decode {
            // A stream that reorders without saying how far: FFmpeg would begin without delay
            // and drop what comes out of order. So it takes the depth of the stream's level.
            self.decoder.compliance(Compliance::Strict);
            self.may_reorder = false;
        }
        let mut packet = Packet::copy(data);
        packet.set_pts(Some(sample.presentation));
        packet.set_dts(Some(sample.decode));
        if sample.sync {
            packet.set_flags(Flags::KEY);
        }
        // Errors are of this sample alone: what is missing is seen by its time.
        let _ = self.send(&packet);
        self.receive(give)
    }

    fn send(&mut self, packet: &Packet) -> Result<(), Error> {
        self.decoder.send_packet(packet)
    }

    /// Gives the pictures that are left; nothing can be decoded any more.
    pub(super) fn finish(
        &mut self,
        give: &mut impl FnMut(frame::Video) -> Result<(), super::Failure>,
    ) -> Result<(), super::Failure> {
        let _ = self.decoder.send_eof();
        self.receive(give)
    }

    fn receive(
        &mut self,
        give: &mut impl FnMut(frame::Video) -> Result<(), super::Failure>,
    ) -> Result<(), super::Failure> {
        // A decoder that gives an error may have pictures behind it; one that does so for ever
        // has none.
        let mut errors = 0;
        loop {
            let mut picture = frame::Video::empty();
            match self.decoder.receive_frame(&mut picture) {
                Ok(()) => give(picture)?,
                Err(Error::Eof) => return Ok(()),
                Err(Error::Other { errno }) if errno == ffmpeg_next::error::EAGAIN => {
                    return Ok(());
                }
                Err(_) => {
                    errors += 1;
                    if errors > 8 {
                        return Ok(());
                    }
                }
            }
        }
    }
}
