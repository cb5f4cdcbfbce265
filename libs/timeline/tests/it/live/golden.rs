//! Playlists as they are, for people to look at.

use reelay_model::Track;
use reelay_timeline::{
    hls::{MasterPlaylist, MediaPlaylist, Report, Variant},
    window::LiveTrack,
};

use super::log::Log;

fn playlist(log: &Log, track: &Track) -> MediaPlaylist {
    MediaPlaylist::of(log.uid, track, &log.read_all(track)).unwrap()
}

fn audio_report(log: &Log) -> Vec<Report> {
    playlist(log, &Track::Audio)
        .report(&Track::Audio)
        .into_iter()
        .collect()
}

#[test]
fn a_low_latency_stream() {
    let mut log = Log::new(true);
    log.claim();
    log.segments(12);
    (0..3).for_each(|_| log.part(false));
    insta::assert_snapshot!(playlist(&log, &Track::Video).render(&audio_report(&log), false));
}

#[test]
fn a_delta_update() {
    let mut log = Log::new(true);
    log.claim();
    log.segments(12);
    insta::assert_snapshot!(playlist(&log, &Track::Video).render(&audio_report(&log), true));
}

#[test]
fn a_stream_without_parts() {
    let mut log = Log::new(false);
    log.claim();
    log.segments(3);
    (0..3).for_each(|_| log.part(false));
    insta::assert_snapshot!(playlist(&log, &Track::Audio).render(&[], false));
}

#[test]
fn a_takeover_a_gap_a_new_format_and_the_end() {
    let mut log = Log::new(true);
    log.claim();
    log.segments(1);
    (0..4).for_each(|_| log.part(false));
    log.claim();
    log.segments(1);
    log.gap();
    log.discontinuity();
    log.segments(1);
    log.end();
    insta::assert_snapshot!(playlist(&log, &Track::Video).render(&[], false));
}

#[test]
fn a_multivariant_playlist() {
    let mut log = Log::new(true);
    log.claim();
    log.segments(3);
    let variant = |track: Track| {
        let live: LiveTrack = log.read_all(&track);
        Variant::of(&track, &live).unwrap()
    };
    let mut master = MasterPlaylist {
        video: vec![variant(Track::Video)],
        audio: Some(variant(Track::Audio)),
    };
    insta::assert_snapshot!("master_video_and_audio", master.render());
    master.video.clear();
    insta::assert_snapshot!("master_audio_alone", master.render());
}
