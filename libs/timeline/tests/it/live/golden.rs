//! Playlists as they are, for people to look at.

use reelay_model::Track;
use reelay_timeline::{
    hls::{Ladder, MasterPlaylist, MediaPlaylist, Report, Variant},
    window::LiveTrack,
};

use super::log::{Log, rung};

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
    let mut master = MasterPlaylist::new([variant(Track::Audio), variant(Track::Video)]);
    insta::assert_snapshot!("master_video_and_audio", master.render());
    master.video.clear();
    insta::assert_snapshot!("master_audio_alone", master.render());
}

#[test]
fn a_rung() {
    let mut log = Log::new(true);
    log.claim();
    log.segments(2);
    (0..3).for_each(|_| log.part(false));
    log.claim();
    insta::assert_snapshot!(playlist(&log, &rung()).render(&[], false));
}

#[test]
fn a_multivariant_playlist_with_a_ladder() {
    let mut log = Log::new(true);
    log.claim();
    log.segments(3);
    let index = log.learn(0);
    let wanted = ["360p".parse().unwrap(), "240p".parse().unwrap()];
    let mut variants = Ladder::of(&index, &wanted).listed;
    // As in the others, but for the name and the size.
    let like = |id: &str, width, height, bandwidth| {
        let mut variant = Variant::indexed(&rung(), &index).unwrap();
        variant.track = Track::Rung(id.parse().unwrap());
        let format = std::sync::Arc::make_mut(&mut variant.format);
        (format.width, format.height, format.bandwidth) = (width, height, bandwidth);
        variant.bandwidth = bandwidth.into();
        variant
    };
    variants.extend([
        like("240p", 426, 240, 400_000),
        like("480p-b", 854, 480, 1_400_000),
        like("480p-a", 854, 480, 1_400_000),
        like("480p", 854, 480, 1_500_000),
    ]);
    for track in [Track::Audio, Track::Video] {
        variants.extend(Variant::of(&track, &log.read_all(&track)));
    }
    insta::assert_snapshot!(
        "master_ladder",
        MasterPlaylist::new(variants.clone()).render()
    );
    // Where browsers cannot play the source, they begin with what stands in for it.
    for variant in variants.iter_mut().filter(|v| v.track == Track::Video) {
        std::sync::Arc::make_mut(&mut variant.format).codecs = "hvc1.1.6.L93.B0".into();
    }
    variants.push(like("source-h264", 1280, 720, 3_000_000));
    insta::assert_snapshot!("master_compatible", MasterPlaylist::new(variants).render());
}
