//! Index records: each says of one segment what its media records are.

use std::collections::{BTreeMap, btree_map::Entry};

use reelay_wire::{Epoch, Header, IndexRecord, Kind, Offset};

use super::Fault;
use super::track::{SegmentSeen, same_format};
use crate::linearity::finding::{Place, Rule};

/// A valid index record.
#[derive(Debug, Clone)]
pub struct Indexed {
    /// Epoch of the owner that wrote it.
    pub writer: Epoch,
    /// Where it is.
    pub place: Place,
    pub header: Header,
    pub record: IndexRecord,
    /// It was compared with its media and agrees.
    pub agreed: bool,
}

/// The index of one track.
#[derive(Debug, Default)]
pub struct TrackIndex {
    /// By number: the record of the highest writer.
    pub records: BTreeMap<u64, Indexed>,
}

impl TrackIndex {
    /// Takes a valid index record.
    pub fn add(&mut self, new: Indexed, faults: &mut Vec<Fault>) {
        let number = new.header.segment.0;
        if let Some(known) = self.records.get(&number) {
            // A new owner corrects what its predecessor said of parts that turned out void.
            if new.writer <= known.writer {
                let expected = format!("segment {number} once by epoch {}", known.writer);
                faults.push((Rule::Repeat, expected, "an index record of it again".into()));
                return;
            }
        } else if let Some((last, _)) = self.records.last_key_value()
            && number != last + 1
        {
            let (rule, found) = if number > last + 1 {
                (Rule::Hole, format!("segment {number}"))
            } else {
                (
                    Rule::Repeat,
                    format!("segment {number}, below the last one"),
                )
            };
            faults.push((rule, format!("segment {} in the index", last + 1), found));
        }
        self.records.insert(number, new);
    }

    /// Takes an index record of a rung, unless its number has one: two transcodes may have
    /// worked on it, and which of them comes first here says nothing.
    pub fn add_derived(&mut self, new: Indexed, copies: &mut u64) {
        match self.records.entry(new.header.segment.0) {
            Entry::Vacant(place) => drop(place.insert(new)),
            Entry::Occupied(_) => *copies += 1,
        }
    }

    /// The number of the first segment in the index.
    pub fn first(&self) -> Option<u64> {
        self.records.first_key_value().map(|(n, _)| *n)
    }

    /// The number of the last segment in the index.
    pub fn last(&self) -> Option<u64> {
        self.records.last_key_value().map(|(n, _)| *n)
    }
}

/// Whether the media records can be expected to have been read: `read_to` is the highest
/// offset read of the media topic's partition, `read_from` the lowest.
pub fn comparable(indexed: &Indexed, read_from: Offset, read_to: Offset) -> Option<bool> {
    let first = indexed.record.parts.first().map_or(read_from, |p| p.offset);
    let last = indexed.record.parts.last().map_or(read_to, |p| p.offset);
    if first < read_from {
        // Retention has removed the media, or the check began behind it.
        return None;
    }
    Some(last <= read_to)
}

/// Whether the record is of another encoding of a rung's segment than the one that counts: no
/// reader looks at it for media.
pub fn is_of_other_encoding(indexed: &Indexed, segment: Option<&SegmentSeen>) -> bool {
    let counts = segment.and_then(|s| s.format.as_ref());
    match (&indexed.header.kind, counts) {
        (Kind::Chunk { format, .. }, Some(counts)) => format.fingerprint != counts.fingerprint,
        // A gap in one, media in the other: the first one in the media topic counts.
        (Kind::Gap, Some(_)) | (Kind::Chunk { .. }, None) => segment.is_some(),
        _ => false,
    }
}

/// Compares an index record with the segment of its number.
pub fn compare(indexed: &Indexed, segment: Option<&SegmentSeen>, faults: &mut Vec<Fault>) {
    let Indexed { header, record, .. } = indexed;
    let mut differ = |what: &str, media: String, index: String| {
        if media != index {
            faults.push((
                Rule::Index,
                format!("{what} {media} as in the media records"),
                index,
            ));
        }
    };
    let Some(segment) = segment else {
        let found = format!("an index record of segment {}", header.segment);
        faults.push((
            Rule::Index,
            "a valid segment in the media topic".into(),
            found,
        ));
        return;
    };
    differ("epoch", segment.epoch.to_string(), record.epoch.to_string());
    differ(
        "gap",
        segment.gap.to_string(),
        matches!(header.kind, Kind::Gap).to_string(),
    );
    differ(
        "start",
        segment.start.to_string(),
        header.decode_time.to_string(),
    );
    differ(
        "end",
        segment.end.to_string(),
        header.end_time().to_string(),
    );
    differ(
        "timescale",
        segment.timescale.to_string(),
        header.timescale.to_string(),
    );
    let sequence = segment.discontinuity.to_string();
    differ(
        "discontinuity sequence",
        sequence,
        header.discontinuity_sequence.to_string(),
    );
    let Kind::Chunk {
        open,
        cursor,
        format,
        ..
    } = &header.kind
    else {
        return;
    };
    differ(
        "capture time",
        segment.capture.to_string(),
        header.capture_time.to_string(),
    );
    differ("open", segment.open.to_string(), open.to_string());
    differ(
        "cursor",
        format!("{:?}", segment.cursor),
        format!("{cursor:?}"),
    );
    differ(
        "part count",
        segment.parts.len().to_string(),
        record.parts.len().to_string(),
    );
    for (i, (seen, said)) in segment.parts.iter().zip(&record.parts).enumerate() {
        let part = |what: &str| format!("part {i}: {what}");
        if !seen.copies.contains(&said.offset) {
            differ(
                &part("offset"),
                seen.offset.to_string(),
                said.offset.to_string(),
            );
        }
        differ(
            &part("bytes"),
            seen.bytes.to_string(),
            said.bytes.to_string(),
        );
        differ(
            &part("duration"),
            seen.duration.to_string(),
            said.duration.to_string(),
        );
        differ(
            &part("independent"),
            seen.independent.to_string(),
            said.independent.to_string(),
        );
    }
    if let Some(init) = &segment.init {
        let said = record.init_hash.map(|h| h.to_string()).unwrap_or_default();
        differ("init hash", hex(&init.hash), said);
        differ(
            "init length",
            init.length.to_string(),
            record.init_length.to_string(),
        );
    }
    if let Some(first) = &segment.format
        && !same_format(first, format)
    {
        faults.push((
            Rule::Index,
            format!("the format {first:?}"),
            format!("{format:?}"),
        ));
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
