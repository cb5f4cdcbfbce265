//! What comes out of an encoder, as it goes into a track: the init segment, and samples without
//! what stands in it.

use bytes::Bytes;
use ffmpeg_next::Packet;
use reelay_model::RungCodec;

use super::Failure;
use crate::{
    cmaf::{Codec, init_segment},
    codec::{VideoKind, VideoStream},
    publish::Payload,
    segmenter::VIDEO_TIMESCALE,
};

/// The coded stream of one rung.
pub(super) struct RungStream {
    stream: VideoStream,
    codecs: String,
    init: Bytes,
}

impl RungStream {
    /// A stream with the configuration that the encoder gave.
    pub(super) fn new(codec: RungCodec, extradata: &[u8]) -> Result<Self, Failure> {
        let kind = match codec {
            RungCodec::H264 => VideoKind::Avc,
            RungCodec::H265 => VideoKind::Hevc,
            RungCodec::Av1 => VideoKind::Av1,
        };
        let stream = VideoStream::new(kind, extradata)?;
        let config = stream.config().ok_or_else(|| {
            Failure::internal(format!("the {codec} encoder gives no configuration"))
        })?;
        let codec = Codec::from(config);
        Ok(Self {
            stream,
            codecs: codec.codecs(),
            init: init_segment(&codec, VIDEO_TIMESCALE)?.into(),
        })
    }

    /// RFC 6381 codecs.
    pub(super) fn codecs(&self) -> &str {
        &self.codecs
    }

    /// `ftyp` and `moov`.
    pub(super) fn init(&self) -> &Bytes {
        &self.init
    }

    /// The sample of an encoder's packet.
    pub(super) fn payload(&mut self, packet: Packet) -> Result<Payload, Failure> {
        let data = packet.data().unwrap_or_default();
        let mut unit = self.stream.frame(data, packet.is_key())?;
        if let VideoStream::Avc(_) = self.stream {
            unit.nals
                .retain(|nal| !is_signature(data.get(nal.clone()).unwrap_or_default()));
        }
        Ok(if self.stream.has_lengths() {
            Payload::Nals(packet, unit.nals)
        } else {
            Payload::Pieces(packet, unit.nals)
        })
    }
}

/// x264 signs each stream's first picture with its settings, in 600 bytes: an SEI message
/// `user_data_unregistered` (ISO/IEC 14496-10 §D.2.7). A stream of one segment is not to spend
/// so much on that.
fn is_signature(nal: &[u8]) -> bool {
    matches!(nal, [0x06, 0x05, ..])
}
