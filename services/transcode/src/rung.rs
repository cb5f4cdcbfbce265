//! Records of rungs and pictures, made of a source segment. Functions of data.

use bytes::Bytes;
use reelay_media::RungChunk;
use reelay_model::{Micros, RungId, RungProfile, StreamId, StreamUid, Ticks};
use reelay_timeline::gaps;
use reelay_wire::{Attempt, Fingerprint, Format, Header, Kind, PartNumber, Track};
use sha2::{Digest as _, Sha256};

use crate::source::{RUNG_TIMESCALE, SourceSegment};

/// Whose records they are.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The stream.
    pub stream: StreamId,
    /// Its incarnation.
    pub uid: StreamUid,
    /// Whether the live edge has passed the segment by.
    pub late: bool,
}

impl Identity {
    fn header(&self, track: Track, kind: Kind, source: &SourceSegment) -> Header {
        let mut header = Header::new(self.stream.clone(), self.uid, track, kind);
        header.epoch = Some(source.epoch);
        header.segment = source.number;
        header.discontinuity_sequence = source.discontinuity_sequence;
        header.capture_time = source.capture_time;
        header.late = self.late;
        header
    }

    /// Header of a part of a rung.
    pub fn chunk(
        &self,
        source: &SourceSegment,
        profile: &RungProfile,
        fingerprint: Fingerprint,
        chunk: &RungChunk,
    ) -> Header {
        let kind = Kind::Chunk {
            part: chunk.part,
            independent: chunk.independent,
            last_part: chunk.last,
            open: false,
            init_length: chunk.init.as_ref().map_or(0, |init| init.len() as u32),
            cursor: None,
            format: Format {
                fingerprint,
                codecs: chunk.codecs.clone(),
                width: chunk.width,
                height: chunk.height,
                frame_rate_milli: chunk.frame_rate_milli,
                channels: 0,
                sample_rate: 0,
                bandwidth: profile.cap,
            },
        };
        let mut header = self.header(Track::Rung(profile.id.clone()), kind, source);
        header.timescale = RUNG_TIMESCALE;
        header.decode_time = chunk.decode_time;
        header.duration = chunk.duration;
        let start = gaps::rescale(source.decode_time, source.timescale, RUNG_TIMESCALE);
        let since = Ticks(chunk.decode_time.0.saturating_sub(start.0));
        header.capture_time = Micros(source.capture_time.0 + since.to_micros(RUNG_TIMESCALE).0);
        header
    }

    /// Header of a gap record.
    pub fn gap(&self, source: &SourceSegment, rung: &RungId) -> Header {
        let mut header = self.header(Track::Rung(rung.clone()), Kind::Gap, source);
        header.timescale = RUNG_TIMESCALE;
        (header.decode_time, header.duration) = source.rung_times();
        header
    }

    /// Header of the picture of a segment.
    pub fn thumbnail(&self, source: &SourceSegment, jpeg: &Bytes) -> Header {
        let digest = Sha256::digest(jpeg);
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&digest[..16]);
        let kind = Kind::Chunk {
            part: PartNumber(0),
            independent: true,
            last_part: true,
            open: false,
            init_length: 0,
            cursor: None,
            format: Format {
                fingerprint: Fingerprint(fingerprint),
                codecs: "jpeg".to_owned(),
                width: 0,
                height: 0,
                frame_rate_milli: 0,
                channels: 0,
                sample_rate: 0,
                bandwidth: 0,
            },
        };
        self.timed(kind, source)
    }

    /// Header and value of an attempt record.
    pub fn attempt(&self, source: &SourceSegment, count: u32, reason: &str) -> (Header, Bytes) {
        let value = Attempt::new("transcode", count, reason).encode();
        (self.timed(Kind::Attempt, source), value)
    }

    /// Of the source track, with the source segment's times.
    fn timed(&self, kind: Kind, source: &SourceSegment) -> Header {
        let mut header = self.header(Track::Video, kind, source);
        header.timescale = source.timescale;
        header.decode_time = source.decode_time;
        header.duration = source.duration.unwrap_or_default();
        header
    }
}
