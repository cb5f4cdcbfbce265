//! What holds for all that is cut, whatever comes in.

use proptest::prelude::*;

use super::*;
use crate::{codec::FrameKind, publish};

const RATE: u32 = 48_000;
const AUDIO_FRAME: i64 = 1024;
const SILENCE: u32 = u32::MAX;

fn video_rules(part_target: i64) -> VideoRules {
    VideoRules {
        least_segment: 135_000,
        greatest_segment: 585_000,
        part_target,
    }
}

fn audio_rules() -> AudioRules<u32> {
    AudioRules {
        rate: RATE,
        silence_samples: AUDIO_FRAME as u32,
        silence: Box::new(|| SILENCE),
        part_target: 9 * AUDIO_FRAME,
        grid: None,
    }
}

fn video(id: u32, time: i64, kind: FrameKind) -> VideoFrame<u32> {
    VideoFrame {
        presentation: time,
        decode_bound: Some(time),
        reorder: None,
        kind,
        discontinuity: false,
        format: 0,
        capture: Micros(0),
        cursor: Some(u64::from(id)),
        payload: id,
    }
}

fn audio(id: u32, time: i64) -> AudioFrame<u32> {
    AudioFrame {
        time,
        duration: AUDIO_FRAME as u32,
        discontinuity: false,
        capture: Micros(0),
        cursor: None,
        payload: id,
    }
}

fn drain(segmenter: &mut Segmenter<u32>, events: &mut Vec<Event<u32>>) {
    while let Some(event) = segmenter.next() {
        events.push(event);
    }
}

fn parts(events: &[Event<u32>], kind: Kind) -> Vec<&Part<u32>> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Part(part) if part.kind == kind => Some(part),
            _ => None,
        })
        .collect()
}

fn breaks(events: &[Event<u32>]) -> Vec<u64> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Begin {
                segment,
                discontinuity: true,
                ..
            } => Some(*segment),
            _ => None,
        })
        .collect()
}

/// Numbers without hole or repeat, decode times that continue but for declared breaks; gives
/// start and end of each segment.
fn check_line(parts: &[&Part<u32>], breaks: &[u64]) -> Vec<(i64, i64)> {
    let mut segments = Vec::new();
    let Some(first) = parts.first() else {
        return segments;
    };
    let (mut number, mut part_number) = (0, 0);
    let (mut time, mut start) = (first.decode_time, first.decode_time);
    for part in parts {
        assert_eq!((part.segment, part.part), (number, part_number));
        assert!(part.duration > 0);
        if part.part == 0 && breaks.contains(&part.segment) {
            assert!(part.decode_time >= time, "the line never turns back");
            time = part.decode_time;
        }
        if part.part == 0 {
            start = part.decode_time;
            assert!(part.independent);
        }
        assert_eq!(part.decode_time, time);
        let sum: i64 = part
            .frames
            .iter()
            .map(|frame| i64::from(frame.duration))
            .sum();
        assert_eq!(sum, part.duration);
        assert!(
            part.frames
                .iter()
                .skip(1)
                .all(|frame| !frame.sync || part.kind == Kind::Audio)
        );
        time += part.duration;
        part_number += 1;
        if part.last {
            segments.push((start, time));
            (number, part_number) = (number + 1, 0);
        }
    }
    segments
}

#[test]
fn an_hour_of_25_fps_has_equal_segments_and_parts() {
    let mut segmenter = Segmenter::new(Some(video_rules(18_000)), Some(audio_rules()));
    let mut events = Vec::new();
    let mut sound = 0;
    for frame in 0..25 * 3600_i64 {
        while sound * AUDIO_FRAME * 90_000 < (frame + 1) * 3600 * i64::from(RATE) {
            segmenter.push_audio(audio(sound as u32, sound * AUDIO_FRAME));
            sound += 1;
        }
        let kind = if frame % 50 == 0 {
            FrameKind::Idr
        } else {
            FrameKind::Delta
        };
        segmenter.push_video(video(frame as u32, frame * 3600, kind));
        drain(&mut segmenter, &mut events);
    }
    segmenter.finish(3600);
    drain(&mut segmenter, &mut events);
    let video = parts(&events, Kind::Video);
    assert!(
        video
            .iter()
            .all(|part| part.duration == 18_000 && part.frames.len() == 5)
    );
    let segments = check_line(&video, &[]);
    assert_eq!(segments.len(), 1800);
    let sounds = parts(&events, Kind::Audio);
    assert!(
        sounds
            .iter()
            .all(|part| part.duration == 9 * AUDIO_FRAME || part.last)
    );
    for ((_, video_end), (_, audio_end)) in segments.iter().zip(check_line(&sounds, &[])) {
        let off = audio_end * 90_000 - video_end * i64::from(RATE);
        assert!(2 * off.abs() <= AUDIO_FRAME * 90_000);
    }
    assert!(!events.iter().any(|event| matches!(event, Event::Part(part) if part.frames.iter().any(|frame| frame.payload == SILENCE))));
}

#[test]
fn a_part_leaves_as_soon_as_the_frame_after_it_has_come() {
    let mut segmenter = Segmenter::new(Some(video_rules(18_000)), None);
    let mut events = Vec::new();
    for frame in 0..6 {
        drain(&mut segmenter, &mut events);
        assert!(parts(&events, Kind::Video).is_empty());
        let kind = if frame == 0 {
            FrameKind::Idr
        } else {
            FrameKind::Delta
        };
        segmenter.push_video(video(frame, i64::from(frame) * 3600, kind));
    }
    drain(&mut segmenter, &mut events);
    assert_eq!(parts(&events, Kind::Video).len(), 1);
}

#[test]
fn a_recovery_point_opens_an_open_segment_with_its_leading_pictures() {
    let mut segmenter = Segmenter::new(Some(video_rules(18_000)), None);
    let mut events = Vec::new();
    let mut push = |id: u32, pts: i64, dts: i64, kind| {
        let mut frame = video(id, pts * 3600, kind);
        frame.decode_bound = Some(dts * 3600);
        segmenter.push_video(frame);
        drain(&mut segmenter, &mut events);
    };
    push(0, 0, -2, FrameKind::Idr);
    for n in 1..50 {
        push(n, i64::from(n), i64::from(n) - 2, FrameKind::Delta);
    }
    // In decode order: the keyframe at 52, then 50 and 51, which are shown before it.
    push(50, 52, 48, FrameKind::Recovery);
    push(51, 50, 49, FrameKind::Delta);
    push(52, 51, 50, FrameKind::Delta);
    for n in 53..110 {
        push(n, i64::from(n), i64::from(n) - 2, FrameKind::Delta);
    }
    let parts = parts(&events, Kind::Video);
    let second = parts.iter().find(|part| part.segment == 1).unwrap();
    assert!(second.open && second.independent);
    assert_eq!(
        second.decode_time,
        50 * 3600,
        "earliest presentation, not the keyframe's"
    );
    assert_eq!(second.frames[0].composition_offset, 2 * 3600);
    assert_eq!(second.frames[1].composition_offset, -3600);
    assert!(!parts[0].open);
}

#[test]
fn leading_pictures_at_the_very_start_are_left_out() {
    let mut segmenter = Segmenter::new(Some(video_rules(18_000)), None);
    let mut events = Vec::new();
    segmenter.push_video(video(0, 0, FrameKind::Delta));
    segmenter.push_video(video(1, 10_000, FrameKind::Recovery));
    segmenter.push_video(video(2, 3_000, FrameKind::Delta));
    segmenter.push_video(video(3, 13_600, FrameKind::Delta));
    segmenter.finish(3600);
    drain(&mut segmenter, &mut events);
    let parts = parts(&events, Kind::Video);
    let ids: Vec<_> = parts
        .iter()
        .flat_map(|part| &part.frames)
        .map(|frame| frame.payload)
        .collect();
    assert_eq!(ids, [1, 3]);
    assert_eq!(parts[0].decode_time, 10_000);
}

#[test]
fn video_that_stops_does_not_pile_up_audio() {
    let mut segmenter = Segmenter::new(Some(video_rules(18_000)), Some(audio_rules()));
    let mut events = Vec::new();
    segmenter.push_video(video(0, 0, FrameKind::Idr));
    segmenter.push_video(video(1, 3600, FrameKind::Delta));
    for n in 0..200_000 {
        segmenter.push_audio(audio(n, i64::from(n) * AUDIO_FRAME));
    }
    // Video comes back after more than an hour.
    for n in 0..100 {
        let kind = if n % 50 == 0 {
            FrameKind::Idr
        } else {
            FrameKind::Delta
        };
        segmenter.push_video(video(2 + n, 384_000_000 + i64::from(n) * 3600, kind));
    }
    segmenter.finish(3600);
    drain(&mut segmenter, &mut events);
    assert!(events.contains(&Event::VideoStopped) && events.contains(&Event::VideoBack));
    let breaks = breaks(&events);
    assert_eq!(breaks, [1]);
    check_line(&parts(&events, Kind::Video), &breaks);
    let sounds = parts(&events, Kind::Audio);
    check_line(&sounds, &breaks);
    let silent = sounds
        .iter()
        .flat_map(|part| &part.frames)
        .filter(|frame| frame.payload == SILENCE);
    assert!(silent.count() < 1000);
}

/// A frame as it may come: distance to the next in ticks, and kind.
fn frames() -> impl Strategy<Value = Vec<(i64, u8)>> {
    let kind = prop_oneof![20 => Just(0_u8), 1 => Just(1), 1 => Just(2)];
    prop::collection::vec((1_i64..40_000, kind), 2..400)
}

proptest! {
    /// Any frames, any gaps, audio that comes and goes: the rules hold.
    #[test]
    fn the_rules_hold_for_any_frames(
        frames in frames(),
        offset in -20_000_i64..60_000,
        missing in prop::collection::vec(any::<bool>(), 8),
        part_target in 3_000_i64..20_000,
        discontinuity in 0_usize..400,
        format in 0_usize..400,
    ) {
        let mut segmenter = Segmenter::new(Some(video_rules(part_target)), Some(audio_rules()));
        let mut events = Vec::new();
        let (mut time, mut sound) = (0, offset);
        for (at, (distance, kind)) in frames.iter().enumerate() {
            while sound * 90_000 < (time + distance) * i64::from(RATE) {
                let second = (sound / i64::from(RATE)).unsigned_abs() as usize;
                if !missing[second % missing.len()] {
                    segmenter.push_audio(audio(1, sound));
                }
                sound += AUDIO_FRAME;
            }
            let kind = match (at, kind) {
                (0, _) | (_, 1) => FrameKind::Idr,
                (_, 2) => FrameKind::Recovery,
                _ => FrameKind::Delta,
            };
            let mut frame = video(at as u32, time, kind);
            frame.discontinuity = at == discontinuity;
            frame.format = u32::from(at >= format);
            segmenter.push_video(frame);
            time += distance;
            drain(&mut segmenter, &mut events);
        }
        segmenter.finish(3600);
        drain(&mut segmenter, &mut events);

        let breaks = breaks(&events);
        let pictures = parts(&events, Kind::Video);
        let segments = check_line(&pictures, &breaks);
        for part in &pictures {
            prop_assert!(part.duration <= part_target || part.frames.len() == 1);
            prop_assert_eq!(part.cursor.is_some(), part.part == 0);
        }
        for (start, end) in &segments {
            prop_assert!(end - start <= 585_000);
        }
        // Frames are left out only in front of a break.
        let ids: Vec<_> = pictures.iter().flat_map(|part| &part.frames).map(|frame| frame.payload).collect();
        prop_assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        let left_out = events.iter().any(|event| matches!(event, Event::KeyframesTooFar { .. }));
        // Behind a break, frames are left out up to a keyframe, which may never come.
        let unbroken = breaks.is_empty() && discontinuity >= frames.len();
        if unbroken && !left_out {
            prop_assert_eq!(ids.len(), frames.len());
        }

        let sounds = parts(&events, Kind::Audio);
        let sound_segments = check_line(&sounds, &breaks);
        prop_assert_eq!(sound_segments.len(), segments.len(), "the same segments in both tracks");
        for part in &sounds {
            prop_assert!(part.duration <= 9 * AUDIO_FRAME);
        }
        for ((start, end), (sound_start, sound_end)) in segments.iter().zip(&sound_segments) {
            // Shorter segments than a frame of audio still have one.
            if (end - start) * i64::from(RATE) >= 2 * AUDIO_FRAME * 90_000 {
                let off = |sound: &i64, picture: &i64| (sound * 90_000 - picture * i64::from(RATE)).abs();
                prop_assert!(2 * off(sound_end, end) <= (AUDIO_FRAME + 2) * 90_000);
                if *start > 0 {
                    prop_assert!(2 * off(sound_start, start) <= 3 * AUDIO_FRAME * 90_000);
                }
            }
        }
    }

    /// A thousand passes of a file whose tracks have any lengths: sound is never further than half
    /// a frame from where the file has it, and what is missing is silence.
    #[test]
    fn sound_stays_with_the_picture_over_a_thousand_passes(
        video_frames in 40_i64..90,
        sounds in 60_i64..160,
        late in -500_i64..2000,
    ) {
        let mut segmenter = Segmenter::new(Some(video_rules(18_000)), Some(audio_rules()));
        let audio_end = (late + sounds * AUDIO_FRAME) * 90_000 / i64::from(RATE);
        let video_end = video_frames * 3600;
        // As `source::line` has it.
        let frame = AUDIO_FRAME * 90_000 / i64::from(RATE);
        let length = if audio_end > video_end + frame { audio_end.min(video_end + 90_000) } else { video_end };
        let mut events = Vec::new();
        let mut heard = 0_u64;
        for pass in 0..1000 {
            let start = pass * length;
            let mut sound = 0;
            for at in 0..video_frames {
                let time = start + at * 3600;
                let next = if at + 1 == video_frames { start + length } else { time + 3600 };
                while sound < sounds {
                    let true_time = rescale(start, 90_000, RATE) + late + sound * AUDIO_FRAME;
                    if true_time * 90_000 >= next * i64::from(RATE)
                        || true_time + AUDIO_FRAME / 2 >= rescale(start + length, 90_000, RATE)
                    {
                        break;
                    }
                    // The payload says where it should be, to be compared with where it is.
                    segmenter.push_audio(audio((true_time & 0x3fff_ffff) as u32, true_time));
                    sound += 1;
                }
                let kind = if at == 0 { FrameKind::Idr } else { FrameKind::Delta };
                segmenter.push_video(video(0, time, kind));
            }
            drain(&mut segmenter, &mut events);
            for event in events.drain(..) {
                let Event::Part(part) = event else { continue };
                prop_assert!(part.kind == Kind::Video || part.part > 0 || part.segment < 2 || part.decode_time > 0);
                if part.kind == Kind::Video {
                    continue;
                }
                let mut time = part.decode_time;
                for frame in part.frames {
                    if frame.payload != SILENCE {
                        // Modulo 2^30, towards zero.
                        let off = ((time - i64::from(frame.payload) + (1 << 29)) & 0x3fff_ffff) - (1 << 29);
                        prop_assert!(2 * off.abs() <= AUDIO_FRAME, "{off} samples off in pass {pass}");
                        heard += 1;
                    }
                    time += i64::from(frame.duration);
                }
            }
        }
        let in_length = (rescale(length, 90_000, RATE) - late) / AUDIO_FRAME;
        let expected = sounds.min(in_length) as u64 * 998;
        prop_assert!(heard + 2000 >= expected, "{heard} of {expected} frames of sound were heard");
    }
}

#[test]
fn rescaling_rounds_to_the_nearest() {
    assert_eq!(rescale(1, 90_000, 48_000), 1);
    assert_eq!(rescale(-1, 90_000, 48_000), -1);
    assert_eq!(rescale(3, 2, 1), 2);
    assert_eq!(
        rescale(i64::from(u32::MAX) * 90_000, 90_000, 48_000),
        i64::from(u32::MAX) * 48_000
    );
    // Parts of audio follow the same rule as parts of video.
    let target = publish::part_target(Micros(200_000), 1024, reelay_model::Timescale(RATE));
    assert_eq!(target, Micros(192_000));
}
