//! Chunks: `moof` and `mdat` of one part.

use mp4_atom::{Encode, Mfhd, Moof, Tfdt, Tfhd, Traf, Trun, TrunEntry};

/// `sample_depends_on` = 2: a sync sample (ISO/IEC 14496-12 §8.8.3.1).
const SYNC: u32 = 0x0200_0000;
/// `sample_depends_on` = 1, `sample_is_non_sync_sample`.
const NOT_SYNC: u32 = 0x0101_0000;

/// One sample, in decode order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    pub size: u32,
    /// In the track's timescale.
    pub duration: u32,
    /// Presentation time less decode time; negative with reordered frames.
    pub composition_offset: i32,
    pub sync: bool,
}

/// The `moof` box and the head of the `mdat` box, which the samples' bytes have to follow.
///
/// `sequence` is the `mfhd` sequence number. `decode_time` is that of the first sample.
pub(crate) fn chunk(
    track_id: u32,
    sequence: u32,
    decode_time: u64,
    samples: &[Sample],
) -> Result<Vec<u8>, mp4_atom::Error> {
    let one_duration = samples
        .first()
        .map(|first| first.duration)
        .filter(|first| samples.iter().all(|sample| sample.duration == *first));
    let in_order = samples.iter().all(|sample| sample.composition_offset == 0);
    let all_sync = samples.iter().all(|sample| sample.sync);
    // A sync sample starts a part, so only the first can differ from the default.
    let only_first_sync = !all_sync && samples.iter().skip(1).all(|sample| !sample.sync);
    let entries: Vec<_> = samples
        .iter()
        .enumerate()
        .map(|(at, sample)| TrunEntry {
            duration: one_duration.is_none().then_some(sample.duration),
            size: Some(sample.size),
            flags: match (all_sync, only_first_sync) {
                (true, _) => None,
                (_, true) => (at == 0 && sample.sync).then_some(SYNC),
                _ => Some(if sample.sync { SYNC } else { NOT_SYNC }),
            },
            cts: (!in_order).then_some(i64::from(sample.composition_offset)),
        })
        .collect();
    let mut moof = Moof {
        mfhd: Mfhd {
            sequence_number: sequence,
        },
        traf: vec![Traf {
            tfhd: Tfhd {
                track_id,
                default_base_is_moof: true,
                default_sample_duration: one_duration,
                default_sample_flags: Some(if all_sync { SYNC } else { NOT_SYNC }),
                ..Tfhd::default()
            },
            tfdt: Some(Tfdt {
                base_media_decode_time: decode_time,
            }),
            trun: vec![Trun {
                data_offset: Some(0),
                samples: entries.into(),
            }],
            ..Traf::default()
        }],
    };
    let mut head = Vec::with_capacity(128 + samples.len() * 16);
    moof.encode(&mut head)?;
    // The box has a fixed size, whatever its offset field holds.
    let offset = head.len() + 8;
    if let Some(trun) = moof.traf.first_mut().and_then(|traf| traf.trun.first_mut()) {
        trun.data_offset = Some(offset as i32);
    }
    head.clear();
    moof.encode(&mut head)?;
    let payload: u64 = samples.iter().map(|sample| u64::from(sample.size)).sum();
    // Chunks are far below 4 GiB: the worker protocol allows 64 MiB.
    head.extend_from_slice(&(payload as u32 + 8).to_be_bytes());
    head.extend_from_slice(b"mdat");
    Ok(head)
}

#[cfg(test)]
mod tests {
    use mp4_atom::Decode;

    use super::*;

    fn sample(size: u32, duration: u32, composition_offset: i32, sync: bool) -> Sample {
        Sample {
            size,
            duration,
            composition_offset,
            sync,
        }
    }

    #[test]
    fn a_chunk_reads_back() {
        let samples = [
            sample(1000, 3600, 0, true),
            sample(10, 3600, 7200, false),
            sample(20, 3601, -3600, false),
        ];
        let head = chunk(1, 7, 90_000, &samples).unwrap();
        let mut rest = &head[..];
        let moof = Moof::decode(&mut rest).unwrap();
        assert_eq!(rest, [&1038_u32.to_be_bytes()[..], b"mdat"].concat());
        let traf = &moof.traf[0];
        assert_eq!(traf.tfdt.as_ref().unwrap().base_media_decode_time, 90_000);
        let trun = &traf.trun[0];
        assert_eq!(trun.data_offset, Some(head.len() as i32));
        let read: Vec<_> = trun
            .samples
            .iter()
            .map(|entry| (entry.size, entry.duration, entry.cts, entry.flags))
            .collect();
        assert_eq!(
            read,
            [
                (Some(1000), Some(3600), Some(0), Some(SYNC)),
                (Some(10), Some(3600), Some(7200), None),
                (Some(20), Some(3601), Some(-3600), None),
            ]
        );
        assert_eq!(traf.tfhd.default_sample_flags, Some(NOT_SYNC));
    }

    #[test]
    fn equal_durations_are_written_once() {
        let head = chunk(
            2,
            1,
            0,
            &[sample(5, 1024, 0, true), sample(6, 1024, 0, true)],
        )
        .unwrap();
        let moof = Moof::decode(&mut &head[..]).unwrap();
        assert_eq!(moof.traf[0].tfhd.default_sample_duration, Some(1024));
        assert_eq!(moof.traf[0].tfhd.default_sample_flags, Some(SYNC));
        assert!(
            moof.traf[0].trun[0]
                .samples
                .iter()
                .all(|entry| entry.duration.is_none())
        );
    }
}
