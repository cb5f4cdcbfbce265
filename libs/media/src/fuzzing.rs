//! Doors for the fuzz targets to every parser of foreign bytes that is this crate's own.
//!
//! Compiled with feature `fuzzing` alone; no part of the interface.

use bytes::Bytes;

use crate::{
    codec::{
        AacConfig, OpusConfig, VideoKind, VideoStream, adts_header_length, opus_packet_samples,
    },
    rtp::{AacFormat, Depacketizer, RtpPacket},
    source,
};

/// A stream's configuration and frames: lengths of 16 bits stand before each.
fn pieces(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let [high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (piece, after) = rest.split_at(length);
        pieces.push(piece);
        bytes = after;
    }
    pieces
}

fn video(kind: VideoKind, bytes: &[u8]) {
    let pieces = pieces(bytes);
    let Some((extradata, frames)) = pieces.split_first() else {
        return;
    };
    let Ok(mut stream) = VideoStream::new(kind, extradata) else {
        return;
    };
    for frame in frames {
        if let Ok(unit) = stream.frame(frame, false) {
            // What is to go into the sample lies in the packet.
            assert!(unit.nals.iter().all(|nal| frame.get(nal.clone()).is_some()));
        }
        let _ = (stream.config(), stream.reorder(), stream.frame_rate());
    }
}

/// H.264.
pub fn h264(bytes: &[u8]) {
    video(VideoKind::Avc, bytes);
}

/// H.265.
pub fn h265(bytes: &[u8]) {
    video(VideoKind::Hevc, bytes);
}

/// AV1.
pub fn av1(bytes: &[u8]) {
    video(VideoKind::Av1, bytes);
}

/// VP9.
pub fn vp9(bytes: &[u8]) {
    video(VideoKind::Vp9, bytes);
}

/// AAC and Opus.
pub fn audio(bytes: &[u8]) {
    let _ = AacConfig::read(bytes);
    let _ = AacConfig::from_adts(bytes);
    let _ = adts_header_length(bytes);
    let _ = OpusConfig::read(bytes);
    let _ = opus_packet_samples(bytes);
}

/// RTP payloads: the first byte chooses the format, the first of each piece says marker and loss.
pub fn rtp(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let mut depacketizer = match choice % 7 {
        0 => Depacketizer::h264(),
        1 => Depacketizer::h265(),
        2 => Depacketizer::aac(AacFormat::default()),
        3 => Depacketizer::av1(),
        4 => Depacketizer::vp9(),
        5 => Depacketizer::joined(),
        _ => Depacketizer::Whole,
    };
    let mut frames = Vec::new();
    for piece in pieces(bytes) {
        let Some((flags, payload)) = piece.split_first() else {
            continue;
        };
        let packet = RtpPacket {
            timestamp: i64::from(flags >> 2),
            marker: flags & 1 != 0,
            loss: flags & 2 != 0,
            payload: Bytes::copy_from_slice(payload),
        };
        depacketizer.push(&packet, &mut frames);
        assert!(frames.iter().all(|frame| !frame.data.is_empty()));
        frames.clear();
    }
}

/// Descriptions of cameras.
pub fn sdp(bytes: &[u8]) {
    source::read_description(&String::from_utf8_lossy(bytes));
}
