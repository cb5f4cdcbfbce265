//! The header `chunk`, which says what a record of a media topic or of `index` is.

use bytes::Bytes;
use prost::Message;
use reelay_model::{
    Epoch, FieldError, Micros, PartNumber, SegmentNumber, StreamId, StreamUid, Ticks, Timescale,
    Track,
};

use crate::{WireError, hex::hex_bytes, proto};

/// Name of the Kafka header that holds the protobuf `ChunkHeader`.
pub const CHUNK_HEADER: &str = "chunk";

/// Name of the Kafka header with the W3C trace context of the segment.
pub const TRACEPARENT_HEADER: &str = "traceparent";

/// Greatest size of the header `chunk` in bytes; a valid one has about 200.
pub const MAX_HEADER_BYTES: usize = 4096;

hex_bytes! {
    /// Identifies an encoding: equal input and fingerprint give equal bytes. Of source and
    /// audio it is the start of the init segment's SHA-256.
    Fingerprint, 16, "fingerprint"
}

hex_bytes! {
    /// Random bytes by which a claimant knows its own claim.
    Nonce, 16, "nonce"
}

/// Format of the media in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// Identifies the encoding.
    pub fingerprint: Fingerprint,
    /// RFC 6381 codecs.
    pub codecs: String,
    /// Width in pixels; 0 for audio.
    pub width: u32,
    /// Height in pixels; 0 for audio.
    pub height: u32,
    /// Frames per 1000 seconds; 0 for audio and where it varies.
    pub frame_rate_milli: u32,
    /// Channels; 0 for video.
    pub channels: u32,
    /// Samples per second; 0 for video.
    pub sample_rate: u32,
    /// Peak bits per second (HLS BANDWIDTH); 0 while not known.
    pub bandwidth: u32,
}

/// What a record is, with what only that kind has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// One CMAF chunk; in `index`, one finished segment (then `part` is 0 and the times are the
    /// segment's).
    Chunk {
        /// Part of the segment, from 0.
        part: PartNumber,
        /// Starts with a keyframe.
        independent: bool,
        /// Last part of its segment.
        last_part: bool,
        /// The segment's keyframe is no IDR.
        open: bool,
        /// Bytes of init segment before the chunk in the value.
        init_length: u32,
        /// Where in a seekable source the segment begins.
        cursor: Option<u64>,
        /// Format of the media.
        format: Format,
    },
    /// A fence; in `source` a first claim has no epoch, since its offset becomes the epoch.
    Claim {
        /// By which the claimant knows its own.
        nonce: Nonce,
    },
    /// How the epoch's time line begins; the value is an [`Opening`](crate::Opening).
    Opening {
        /// Nonce of the claim that it follows.
        nonce: Nonce,
    },
    /// The end of a segment that has no part with the last-part flag.
    Close,
    /// A missing segment.
    Gap,
    /// The end of the stream.
    End,
    /// In `index`: a worker died at the segment; the value is an [`Attempt`](crate::Attempt).
    Attempt,
}

/// A validated header `chunk`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The stream.
    pub stream: StreamId,
    /// The stream's incarnation.
    pub uid: StreamUid,
    /// The track.
    pub track: Track,
    /// The ownership period; absent in a first claim in `source` alone.
    pub epoch: Option<Epoch>,
    /// The segment; 0 for claims, openings and ends.
    pub segment: SegmentNumber,
    /// HLS discontinuity sequence of the segment.
    pub discontinuity_sequence: u64,
    /// Ticks per second of the times below; 1 or more for chunks and gaps.
    pub timescale: Timescale,
    /// Decode time (`tfdt`) of the chunk or of the missing segment.
    pub decode_time: Ticks,
    /// Duration of the chunk or of the missing segment.
    pub duration: Ticks,
    /// When the first frame was captured.
    pub capture_time: Micros,
    /// Made after the live edge had passed it by.
    pub late: bool,
    /// What the record is.
    pub kind: Kind,
}

impl Header {
    /// A header of `kind` for `track` of a stream, with all numbers and times 0.
    pub fn new(stream: StreamId, uid: StreamUid, track: Track, kind: Kind) -> Self {
        Self {
            stream,
            uid,
            track,
            epoch: None,
            segment: SegmentNumber(0),
            discontinuity_sequence: 0,
            timescale: Timescale(0),
            decode_time: Ticks(0),
            duration: Ticks(0),
            capture_time: Micros(0),
            late: false,
            kind,
        }
    }

    /// Decode time at the end of the chunk or missing segment.
    pub const fn end_time(&self) -> Ticks {
        Ticks(self.decode_time.0.saturating_add(self.duration.0))
    }

    /// The header in bytes.
    pub fn encode(&self) -> Bytes {
        self.to_proto().encode_to_vec().into()
    }

    /// The header that `bytes` hold.
    ///
    /// # Errors
    /// If they are no protobuf, of an unknown kind, or a field holds what it must not hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > MAX_HEADER_BYTES {
            return Err(WireError::TooLong {
                what: "the header `chunk`",
                bytes: bytes.len(),
                limit: MAX_HEADER_BYTES,
            });
        }
        let proto = proto::ChunkHeader::decode(bytes).map_err(|source| WireError::Protobuf {
            what: "the header `chunk`",
            source,
        })?;
        Self::from_proto(proto)
    }

    fn to_proto(&self) -> proto::ChunkHeader {
        let mut proto = proto::ChunkHeader {
            stream: self.stream.to_string(),
            uid: Bytes::copy_from_slice(self.uid.as_bytes()),
            track: self.track.to_string(),
            epoch: self.epoch.map(|epoch| epoch.0),
            segment: self.segment.0,
            discontinuity_sequence: self.discontinuity_sequence,
            timescale: self.timescale.0,
            decode_time: self.decode_time.0,
            duration: self.duration.0,
            capture_time_us: self.capture_time.0,
            late: self.late,
            ..Default::default()
        };
        let kind = match &self.kind {
            Kind::Chunk {
                part,
                independent,
                last_part,
                open,
                init_length,
                cursor,
                format,
            } => {
                proto.part = part.0;
                proto.independent = *independent;
                proto.last_part = *last_part;
                proto.open = *open;
                proto.init_length = *init_length;
                proto.cursor = *cursor;
                proto.fingerprint = Bytes::copy_from_slice(&format.fingerprint.0);
                proto.codecs = format.codecs.clone();
                proto.width = format.width;
                proto.height = format.height;
                proto.frame_rate_milli = format.frame_rate_milli;
                proto.channels = format.channels;
                proto.sample_rate = format.sample_rate;
                proto.bandwidth = format.bandwidth;
                proto::Kind::Chunk
            }
            Kind::Claim { nonce } => {
                proto.nonce = Bytes::copy_from_slice(&nonce.0);
                proto::Kind::Claim
            }
            Kind::Opening { nonce } => {
                proto.nonce = Bytes::copy_from_slice(&nonce.0);
                proto::Kind::Opening
            }
            Kind::Close => proto::Kind::Close,
            Kind::Gap => proto::Kind::Gap,
            Kind::End => proto::Kind::End,
            Kind::Attempt => proto::Kind::Attempt,
        };
        proto.set_kind(kind);
        proto
    }

    fn from_proto(proto: proto::ChunkHeader) -> Result<Self, WireError> {
        let track: Track = proto.track.parse()?;
        let wire_kind = proto::Kind::try_from(proto.kind)
            .ok()
            .filter(|kind| *kind != proto::Kind::Unspecified)
            .ok_or(WireError::UnknownKind(proto.kind))?;
        let timed = matches!(wire_kind, proto::Kind::Chunk | proto::Kind::Gap);
        if timed && proto.timescale == 0 {
            return Err(FieldError::new("timescale", 0, "1 or more").into());
        }
        if timed && proto.decode_time.checked_add(proto.duration).is_none() {
            return Err(FieldError::new(
                "decode_time",
                format!("{} and duration {}", proto.decode_time, proto.duration),
                "a sum below 2^64",
            )
            .into());
        }
        let epochless_claim = wire_kind == proto::Kind::Claim && track == Track::Video;
        if proto.epoch.is_none() && !epochless_claim {
            return Err(FieldError::new("epoch", "absent", "an epoch").into());
        }
        if proto.segment == u64::MAX {
            return Err(FieldError::new("segment", proto.segment, "less than 2^64 - 1").into());
        }
        let kind = match wire_kind {
            proto::Kind::Chunk => {
                if proto.init_length > 0 && proto.part > 0 {
                    return Err(FieldError::new(
                        "init_length",
                        proto.init_length,
                        "0 in parts above 0",
                    )
                    .into());
                }
                Kind::Chunk {
                    part: PartNumber(proto.part),
                    independent: proto.independent,
                    last_part: proto.last_part,
                    open: proto.open,
                    init_length: proto.init_length,
                    cursor: proto.cursor,
                    format: Format {
                        fingerprint: Fingerprint::from_slice(&proto.fingerprint)?,
                        codecs: valid_codecs(proto.codecs)?,
                        width: proto.width,
                        height: proto.height,
                        frame_rate_milli: proto.frame_rate_milli,
                        channels: proto.channels,
                        sample_rate: proto.sample_rate,
                        bandwidth: proto.bandwidth,
                    },
                }
            }
            proto::Kind::Claim => Kind::Claim {
                nonce: Nonce::from_slice(&proto.nonce)?,
            },
            proto::Kind::Opening => Kind::Opening {
                nonce: Nonce::from_slice(&proto.nonce)?,
            },
            proto::Kind::Close => Kind::Close,
            proto::Kind::Gap => Kind::Gap,
            proto::Kind::End => Kind::End,
            proto::Kind::Attempt => Kind::Attempt,
            proto::Kind::Unspecified => return Err(WireError::UnknownKind(proto.kind)),
        };
        Ok(Self {
            stream: proto.stream.parse()?,
            uid: StreamUid::from_bytes(proto.uid.as_ref().try_into().map_err(|_| {
                FieldError::new("uid", format!("{} bytes", proto.uid.len()), "16 bytes")
            })?),
            track,
            epoch: proto.epoch.map(Epoch),
            segment: SegmentNumber(proto.segment),
            discontinuity_sequence: proto.discontinuity_sequence,
            timescale: Timescale(proto.timescale),
            decode_time: Ticks(proto.decode_time),
            duration: Ticks(proto.duration),
            capture_time: Micros(proto.capture_time_us),
            late: proto.late,
            kind,
        })
    }
}

/// Codecs stand in playlists between quotation marks (RFC 8216bis §4.2).
fn valid_codecs(codecs: String) -> Result<String, FieldError> {
    let sound = codecs.len() <= 128
        && codecs
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".,-_".contains(&b));
    if sound {
        return Ok(codecs);
    }
    Err(FieldError::new(
        "codecs",
        codecs,
        "RFC 6381 codecs of at most 128 characters",
    ))
}
