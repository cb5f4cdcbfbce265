//! The rungs of a stream as the multivariant playlist shows them, by what `index` says.
//!
//! A gateway follows the media of a rung only while somebody plays it, so what a master
//! playlist says of rungs comes from `index` alone. Gateways that have read the same of it
//! list the same rungs.

use reelay_model::{Micros, RungId, Track};

use super::Variant;
use crate::track::IndexReader;

/// A rung that is further behind the source than this is not offered to players: its
/// transcoding has stopped, or cannot keep up. It is more than a takeover takes.
const BEHIND_MOST: Micros = Micros(12_000_000);

/// With fewer finished segments than this a stream is young: its rungs may be about to begin.
const YOUNG_SEGMENTS: usize = 3;

/// The rungs of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ladder {
    /// Those that can be played, in the order in which they were asked for.
    pub listed: Vec<Variant>,
    /// Those of which there has been nothing so far.
    pub missing: Vec<RungId>,
}

impl Ladder {
    /// What `index` says of the rungs `wanted`.
    pub fn of(index: &IndexReader, wanted: &[RungId]) -> Self {
        let mut ladder = Self::default();
        for rung in wanted {
            let track = Track::Rung(rung.clone());
            match Variant::indexed(&track, index) {
                Some(variant) if behind(index, &track) <= BEHIND_MOST => {
                    ladder.listed.push(variant);
                }
                Some(_) => {}
                None if index.segments(&track).next().is_none() => {
                    ladder.missing.push(rung.clone());
                }
                None => {}
            }
        }
        ladder
    }

    /// Whether the stream began so lately that a rung without segments is no surprise.
    pub fn is_young(index: &IndexReader) -> bool {
        index.segments(&Track::Video).take(YOUNG_SEGMENTS).count() < YOUNG_SEGMENTS
    }
}

/// How much of the source lies behind the end of `track`.
fn behind(index: &IndexReader, track: &Track) -> Micros {
    let last = index.segments(track).next_back().map(|last| last.number);
    let later = index.segments(&Track::Video).rev();
    let later = later.take_while(|segment| Some(segment.number) > last);
    Micros(later.map(|segment| segment.duration_micros().0).sum())
}
