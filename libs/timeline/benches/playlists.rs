//! `cargo bench -p reelay-timeline --bench playlists`: reading a log and writing its playlist.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "../tests/it/live/log.rs"]
mod log;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use reelay_model::Track;
use reelay_timeline::{
    hls::MediaPlaylist,
    track::{Start, TrackReader},
    window::LiveTrack,
};
use reelay_wire::Topic;

use log::{Log, TARGET};

fn playlists(criterion: &mut Criterion) {
    let mut log = Log::new(true);
    log.claim();
    log.segments(14);
    (0..5).for_each(|_| log.part(false));
    let live = log.read_all(&Track::Video);
    let playlist = MediaPlaylist::of(log.uid, &Track::Video, &live).unwrap();
    let audio = log.read_all(&Track::Audio);
    let audio = MediaPlaylist::of(log.uid, &Track::Audio, &audio).unwrap();
    let reports: Vec<_> = audio.report(&Track::Audio).into_iter().collect();

    criterion.bench_function("playlist: take a picture of the window", |bencher| {
        bencher.iter(|| MediaPlaylist::of(log.uid, &Track::Video, black_box(&live)));
    });
    criterion.bench_function("playlist: render 10 segments, 35 parts", |bencher| {
        bencher.iter(|| black_box(&playlist).render(&reports, false));
    });
    criterion.bench_function("playlist: render a delta update", |bencher| {
        bencher.iter(|| black_box(&playlist).render(&reports, true));
    });

    let records = log.topics[&Topic::Source].len() as u64;
    let mut group = criterion.benchmark_group("log");
    group.throughput(Throughput::Elements(records));
    group.bench_function("read the records of a track", |bencher| {
        bencher.iter(|| {
            let start = Start::Claim(Default::default());
            let mut live = LiveTrack::new(TrackReader::new(log.uid, Track::Video, start), TARGET);
            for entry in log.entries(&Topic::Source, 0) {
                black_box(live.read(entry));
            }
            live
        });
    });
    group.finish();
}

criterion_group!(benches, playlists);
criterion_main!(benches);
