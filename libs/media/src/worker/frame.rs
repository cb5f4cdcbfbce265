//! Frames between parent and worker: two lengths (big-endian `u32`), a head in JSON, raw bytes.
//!
//! Media bytes never pass through JSON. Both sides are the same program, so the form may change
//! between versions. What the heads mean: here for sources, `transcode_frame` for transcoding.

use std::io::{self, Read, Write};

use bytes::Bytes;
use reelay_model::{Micros, PartNumber, Ticks, Track};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{
    MediaChunk, SegmentJob, SourceJob, SourceMessage, SourceProblem, SourceProblemCode, TrackInfo,
    TracksMessage,
};

const MAX_HEAD_BYTES: u32 = 1 << 20;
/// Greatest body: 6 s of 80 Mbit/s in one chunk fit, a length read from garbage does not.
const MAX_BODY_BYTES: u32 = 64 << 20;

/// What the parent says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Command {
    /// The first frame of a source worker.
    Job(Box<SourceJob>),
    /// End at the next end of a segment.
    Stop,
    /// The first frame of a transcode worker.
    Transcode,
    /// A segment begins; the body is its init segment. So many chunks of pre-roll follow it.
    Segment {
        job: Box<SegmentJob>,
        pre_roll: usize,
    },
    /// The body is a chunk of the segment before the one that has begun.
    PreRoll,
    /// The body is a chunk of the segment.
    Push { last: bool },
    /// The segment ends.
    End { duration: Option<Ticks> },
}

/// What a source worker says, without the raw bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Head {
    /// The body holds the init segments, one after the other.
    Tracks {
        first_segment: u64,
        discontinuity: bool,
        tracks: Vec<TrackInfo>,
        init_lengths: Vec<u32>,
    },
    /// The body is the chunk.
    Chunk(ChunkHead),
    Problem(SourceProblem),
    Recovered(SourceProblemCode),
    Ended,
    /// Nothing to say, but alive.
    Heartbeat,
}

/// All of a [`MediaChunk`] but its bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ChunkHead {
    pub track: Track,
    pub segment: u64,
    pub part: PartNumber,
    pub independent: bool,
    pub open: bool,
    pub last: bool,
    pub decode_time: Ticks,
    pub duration: Ticks,
    pub capture_time: Micros,
    pub cursor: Option<u64>,
}

/// Writes one frame; the body is the pieces one after the other. Does not flush.
pub(crate) fn write_frame<H: Serialize>(
    to: &mut impl Write,
    head: &H,
    body: &[&[u8]],
) -> io::Result<()> {
    let head = serde_json::to_vec(head)?;
    let body_length: usize = body.iter().map(|piece| piece.len()).sum();
    let body_length = u32::try_from(body_length)
        .ok()
        .filter(|length| *length <= MAX_BODY_BYTES)
        .ok_or_else(|| io::Error::other(format!("a frame of {body_length} bytes is too long")))?;
    let mut start = Vec::with_capacity(8 + head.len());
    // Heads are some hundred bytes: the init segments are in the body.
    start.extend_from_slice(&(head.len() as u32).to_be_bytes());
    start.extend_from_slice(&body_length.to_be_bytes());
    start.extend_from_slice(&head);
    to.write_all(&start)?;
    for piece in body {
        to.write_all(piece)?;
    }
    Ok(())
}

fn lengths(start: [u8; 8]) -> io::Result<(usize, usize)> {
    let [a, b, c, d, e, f, g, h] = start;
    let head = u32::from_be_bytes([a, b, c, d]);
    let body = u32::from_be_bytes([e, f, g, h]);
    if head > MAX_HEAD_BYTES || body > MAX_BODY_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("frame of {head} + {body} bytes is longer than allowed"),
        ));
    }
    Ok((head as usize, body as usize))
}

/// Reads one command and its body; none at the end of the input.
pub(crate) fn read_command(from: &mut impl Read) -> io::Result<Option<(Command, Bytes)>> {
    let mut start = [0; 8];
    match from.read_exact(&mut start) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let (head_length, body_length) = lengths(start)?;
    let mut head = vec![0; head_length];
    from.read_exact(&mut head)?;
    let mut body = vec![0; body_length];
    from.read_exact(&mut body)?;
    Ok(Some((serde_json::from_slice(&head)?, body.into())))
}

/// What comes from a worker.
pub(crate) trait Message: Sized + Send + 'static {
    /// Puts head and body together; none for a heartbeat.
    fn read(head: &[u8], body: Bytes) -> io::Result<Option<Self>>;
    /// Nothing more will be said about what the worker was asked first.
    fn ends_work(&self) -> bool;
    /// Nothing follows.
    fn is_last(&self) -> bool;
}

/// Reads one message of a worker; none at the end of its output.
///
/// Not cancel safe: a frame that was read in part is lost.
pub(crate) async fn read_message<M: Message>(
    from: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<Option<M>>> {
    let mut start = [0; 8];
    match from.read_exact(&mut start).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let (head_length, body_length) = lengths(start)?;
    let mut head = vec![0; head_length];
    from.read_exact(&mut head).await?;
    let mut body = vec![0; body_length];
    from.read_exact(&mut body).await?;
    M::read(&head, body.into()).map(Some)
}

impl Message for SourceMessage {
    fn read(head: &[u8], body: Bytes) -> io::Result<Option<Self>> {
        source_message(serde_json::from_slice(head)?, body)
    }

    fn ends_work(&self) -> bool {
        false
    }

    fn is_last(&self) -> bool {
        *self == Self::Ended
    }
}

fn source_message(head: Head, mut body: Bytes) -> io::Result<Option<SourceMessage>> {
    Ok(Some(match head {
        Head::Heartbeat => return Ok(None),
        Head::Problem(problem) => SourceMessage::Problem(problem),
        Head::Recovered(code) => SourceMessage::Recovered(code),
        Head::Ended => SourceMessage::Ended,
        Head::Chunk(head) => SourceMessage::Chunk(MediaChunk {
            track: head.track,
            segment: head.segment,
            part: head.part,
            independent: head.independent,
            open: head.open,
            last: head.last,
            decode_time: head.decode_time,
            duration: head.duration,
            capture_time: head.capture_time,
            cursor: head.cursor,
            data: body,
        }),
        Head::Tracks {
            first_segment,
            discontinuity,
            mut tracks,
            init_lengths,
        } => {
            let total: usize = init_lengths.iter().map(|length| *length as usize).sum();
            if tracks.len() != init_lengths.len() || total != body.len() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "init segments do not match the tracks",
                ));
            }
            for (track, length) in tracks.iter_mut().zip(init_lengths) {
                track.init = body.split_to(length as usize);
            }
            SourceMessage::Tracks(TracksMessage {
                first_segment,
                discontinuity,
                tracks,
            })
        }
    }))
}
