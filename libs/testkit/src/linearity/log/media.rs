//! Compares the bytes of a media record with what its header says of them.

use bytes::Bytes;
use reelay_wire::{Fingerprint, Format, Header, Track};
use sha2::{Digest, Sha256};

use super::Fault;
use crate::linearity::boxes::{self, Init};
use crate::linearity::finding::Rule;

/// An init segment that was read.
#[derive(Debug, Clone)]
pub struct KnownInit {
    /// SHA-256 of its bytes.
    pub hash: [u8; 32],
    /// Its length in bytes.
    pub length: u32,
    pub boxes: Init,
}

/// What a chunk's bytes were found to be.
pub struct Facts {
    /// The chunk without an init segment before it.
    pub chunk: Bytes,
    /// Duration of the first sample, ticks: of audio, an audio frame.
    pub frame: u64,
    /// The init segment, if the record begins with one that can be read.
    pub init: Option<KnownInit>,
}

/// What of a header's chunk kind matters here.
pub struct Said<'a> {
    pub part: u32,
    pub independent: bool,
    pub open: bool,
    pub init_length: u32,
    pub format: &'a Format,
}

/// Reads the bytes. `known` is the init segment of the segment that the chunk goes on with.
pub fn examine(
    header: &Header,
    said: &Said<'_>,
    value: &Bytes,
    known: Option<&KnownInit>,
    faults: &mut Vec<Fault>,
) -> Facts {
    let mut fault = |rule, expected: String, found: String| faults.push((rule, expected, found));
    let mut facts = Facts {
        chunk: value.clone(),
        frame: 0,
        init: None,
    };
    if said.part == 0 {
        if said.init_length == 0 || said.init_length as usize > value.len() {
            let expected = format!("an init segment within {} bytes", value.len());
            fault(
                Rule::Media,
                expected,
                format!("init_length {}", said.init_length),
            );
        } else {
            let init = value.slice(..said.init_length as usize);
            facts.chunk = value.slice(said.init_length as usize..);
            match boxes::parse_init(&init) {
                Err(e) => fault(Rule::Media, "an init segment".into(), e.to_string()),
                Ok(boxes) => {
                    let hash = Sha256::digest(&init).into();
                    let length = said.init_length;
                    facts.init = Some(KnownInit {
                        hash,
                        length,
                        boxes,
                    });
                }
            }
        }
    }
    let Some(init) = facts.init.as_ref().or(known) else {
        // The segment's first part is missing or cannot be read: that is a finding already.
        return facts;
    };
    let mut own = [0; 16];
    own.copy_from_slice(&init.hash[..16]);
    // A rung's fingerprint says with what it was encoded.
    let is_hash = matches!(header.track, Track::Video | Track::Audio);
    if is_hash && said.format.fingerprint != Fingerprint(own) {
        let expected = format!(
            "fingerprint {} as the init segment's hash",
            Fingerprint(own)
        );
        fault(Rule::Init, expected, said.format.fingerprint.to_string());
    }
    let track_id = if header.track == Track::Audio { 2 } else { 1 };
    if init.boxes.track_id != track_id {
        fault(
            Rule::Media,
            format!("track_ID {track_id}"),
            init.boxes.track_id.to_string(),
        );
    }
    if init.boxes.timescale != header.timescale.0 {
        let expected = format!("timescale {} as in the init segment", init.boxes.timescale);
        fault(Rule::Media, expected, header.timescale.to_string());
    }
    let chunk = match boxes::parse_chunk(&facts.chunk, &init.boxes) {
        Ok(chunk) => chunk,
        Err(e) => {
            fault(Rule::Media, "one chunk (moof, mdat)".into(), e.to_string());
            return facts;
        }
    };
    facts.frame = chunk.samples.first().map_or(0, |s| s.duration.into());
    if chunk.track_id != track_id {
        fault(
            Rule::Media,
            format!("track_ID {track_id} in tfhd"),
            chunk.track_id.to_string(),
        );
    }
    if chunk.decode_time != header.decode_time.0 {
        let expected = format!("tfdt {} as in the header", header.decode_time);
        fault(Rule::Media, expected, chunk.decode_time.to_string());
    }
    if chunk.duration() != header.duration.0 {
        let expected = format!("samples of {} ticks as in the header", header.duration);
        fault(Rule::Media, expected, chunk.duration().to_string());
    }
    if header.track != Track::Audio {
        keyframe(said, &chunk, &facts.chunk, &init.boxes, faults);
    }
    facts
}

/// `independent` by the sample flags and, for H.264, by the first slice's NAL unit type.
fn keyframe(
    said: &Said<'_>,
    chunk: &boxes::Chunk,
    bytes: &[u8],
    init: &Init,
    faults: &mut Vec<Fault>,
) {
    let sync = chunk.samples.first().is_some_and(boxes::Sample::is_sync);
    if said.part == 0 && !sync {
        faults.push((
            Rule::Keyframe,
            "a sync sample first".into(),
            "a non-sync sample".into(),
        ));
    }
    if sync != said.independent {
        let found = format!("independent={}", said.independent);
        faults.push((
            Rule::Keyframe,
            format!("independent={sync} as the samples say"),
            found,
        ));
    }
    match chunk.first_nal_types(bytes, init) {
        Err(e) => faults.push((Rule::Media, "NAL units".into(), e.to_string())),
        Ok(None) => {}
        Ok(Some(types)) => {
            // Slices have types 1 to 5; 5 is an IDR picture.
            let slice = types.iter().find(|t| (1..=5).contains(*t)).copied();
            let idr = slice == Some(5);
            if said.part == 0 && !idr && !said.open {
                let found = format!("NAL unit types {types:?}");
                faults.push((Rule::Keyframe, "an IDR picture first".into(), found));
            } else if slice.is_none() {
                let found = format!("NAL unit types {types:?}");
                faults.push((Rule::Media, "a slice in the first sample".into(), found));
            }
        }
    }
}
