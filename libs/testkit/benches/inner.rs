//! `cargo bench -p reelay-testkit --bench inner`: the inner parts that every record passes, with
//! criterion. Their input is the sound log that the checker's tests make.

#![allow(clippy::unwrap_used, dead_code)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use reelay_testkit::linearity::LogJudge;
use reelay_wire::{Header, IndexRecord, Kind, Topic};

#[path = "../tests/it/linearity/boxes.rs"]
mod boxes;
#[path = "../tests/it/linearity/sound.rs"]
mod sound;

use sound::{Log, Made, Owner, What};

/// A hundred segments of ten parts, of one owner.
fn log() -> Vec<Made> {
    let mut log = Log::new(None);
    let owner = Owner {
        segments: vec![What::Media(10); 100],
        cut: None,
        unindexed: 0,
        zombie: false,
        repeats: false,
    };
    sound::stream(&mut log, "door", &[owner]);
    log.records
}

fn wire(criterion: &mut Criterion) {
    let records = log();
    let chunk = records
        .iter()
        .find(|r| matches!(r.header.kind, Kind::Chunk { .. }))
        .unwrap();
    let bytes = chunk.header.encode();
    criterion.bench_function("wire: read a header", |b| {
        b.iter(|| Header::decode(black_box(&bytes)).unwrap());
    });
    criterion.bench_function("wire: write a header", |b| {
        b.iter(|| black_box(&chunk.header).encode())
    });
    let index = records.iter().rfind(|r| r.topic == Topic::Index).unwrap();
    criterion.bench_function("wire: read an index record of 10 parts", |b| {
        b.iter(|| IndexRecord::decode(black_box(&index.value)).unwrap());
    });
}

fn checker(criterion: &mut Criterion) {
    let records: Vec<_> = log().iter().map(Made::record).collect();
    let mut group = criterion.benchmark_group("checker");
    group.throughput(Throughput::Elements(records.len() as u64));
    group.bench_function("judge a log", |b| {
        b.iter(|| {
            let mut judge = LogJudge::new();
            records.iter().for_each(|record| judge.read(record));
            assert!(judge.finish().sound());
        });
    });
    group.finish();
}

criterion_group!(inner, wire, checker);
criterion_main!(inner);
