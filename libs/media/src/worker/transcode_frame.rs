//! What a transcode worker says, as frames.

use std::io;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::frame::Message;
use crate::{RungChunk, SegmentReport, TranscodeMessage, TranscodeProblem};

/// A message without the raw bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TranscodeHead {
    /// The body is the init segment, of so many bytes, and the chunk.
    Chunk {
        #[serde(flatten)]
        chunk: RungChunk,
        init_length: u32,
    },
    /// The body is the picture.
    Thumbnail,
    Done(SegmentReport),
    Failed(TranscodeProblem),
    /// Nothing to say, but alive.
    Heartbeat,
}

impl Message for TranscodeMessage {
    fn read(head: &[u8], mut body: Bytes) -> io::Result<Option<Self>> {
        Ok(Some(match serde_json::from_slice(head)? {
            TranscodeHead::Heartbeat => return Ok(None),
            TranscodeHead::Thumbnail => Self::Thumbnail(body),
            TranscodeHead::Done(report) => Self::Done(report),
            TranscodeHead::Failed(problem) => Self::Failed(problem),
            TranscodeHead::Chunk {
                mut chunk,
                init_length,
            } => {
                let init_length = init_length as usize;
                if init_length > body.len() {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "an init segment is longer than its frame",
                    ));
                }
                let init = body.split_to(init_length);
                chunk.init = (init_length > 0).then_some(init);
                chunk.data = body;
                Self::Chunk(chunk)
            }
        }))
    }

    fn ends_work(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed(_))
    }

    fn is_last(&self) -> bool {
        false
    }
}
