//! What comes out of an encoder, as it goes into a track: the init segment, and samples without
//! what stands in it.

use bytes::Bytes;
use ffmpeg_next::Packet;
use reelay_model::RungCodec;

use super::{Failure, TranscodeProblem, TranscodeProblemCode};
use crate::{
    cmaf::{Codec, init_segment},
    codec::AvcStream,
    publish::Payload,
    segmenter::VIDEO_TIMESCALE,
};

/// The coded stream of one rung.
pub(super) struct RungStream {
    coding: Coding,
    codecs: String,
    init: Bytes,
}

enum Coding {
    H264(Box<AvcStream>),
}

impl RungStream {
    /// A stream with the configuration that the encoder gave.
    pub(super) fn new(
        codec: RungCodec,
        extradata: &[u8],
        _size: (u32, u32),
    ) -> Result<Self, Failure> {
        let (coding, codec) = match codec {
            RungCodec::H264 => {
                let stream = AvcStream::new(extradata)?;
                let config = stream
                    .config()
                    .cloned()
                    .ok_or_else(|| Failure::internal("x264 gives no parameter sets"))?;
                (Coding::H264(Box::new(stream)), Codec::Avc(config))
            }
            other => {
                return Err(Failure::Problem(TranscodeProblem::new(
                    TranscodeProblemCode::UnsupportedCodec,
                    format!("rungs in {other} are not made yet"),
                )));
            }
        };
        Ok(Self {
            coding,
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
        match &mut self.coding {
            Coding::H264(stream) => {
                let data = packet.data().unwrap_or_default();
                let mut unit = stream.access_unit(data, packet.is_key())?;
                unit.nals
                    .retain(|nal| !is_signature(data.get(nal.clone()).unwrap_or_default()));
                Ok(Payload::Nals(packet, unit.nals))
            }
        }
    }
}

/// x264 signs each stream's first picture with its settings, in 600 bytes: an SEI message
/// `user_data_unregistered` (ISO/IEC 14496-10 §D.2.7). A stream of one segment is not to spend
/// so much on that.
fn is_signature(nal: &[u8]) -> bool {
    matches!(nal, [0x06, 0x05, ..])
}
