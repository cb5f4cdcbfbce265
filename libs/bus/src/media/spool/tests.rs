//! Whatever is pushed, handed over and acknowledged in whatever order, the line keeps its promises.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

fn piece(track: Track, number: u64, token: u64, last: bool) -> Piece<u64> {
    Piece {
        track,
        number: SegmentNumber(number),
        duration: Micros(200_000),
        last,
        bytes: 100,
        token,
        record: token,
    }
}

fn limits(media: i64, bytes: usize) -> SpoolLimits {
    SpoolLimits {
        media: Micros(media),
        bytes,
        segments_in_client: 2,
    }
}

/// Two tracks whose segments have as many parts as `lengths` says, cyclically.
struct Source {
    lengths: Vec<u64>,
    tracks: [(Track, u64, u64); 2],
    token: u64,
    /// What was pushed: token to track and segment.
    pushed: HashMap<u64, (Track, SegmentNumber)>,
}

impl Source {
    fn new(lengths: Vec<u64>) -> Self {
        Self {
            lengths,
            tracks: [(Track::Video, 1, 0), (Track::Audio, 1, 0)],
            token: 0,
            pushed: HashMap::new(),
        }
    }

    fn push(&mut self, spool: &mut Spool<u64>, track: usize) {
        let length = self.lengths[self.tracks[track].1 as usize % self.lengths.len()];
        let (track, number, part) = &mut self.tracks[track];
        let last = *part + 1 >= length;
        self.token += 1;
        let piece = piece(track.clone(), *number, self.token, last);
        self.pushed
            .insert(self.token, (piece.track.clone(), piece.number));
        (*number, *part) = if last {
            (*number + 1, 0)
        } else {
            (*number, *part + 1)
        };
        spool.push(piece);
    }

    /// Ends the segments that are open.
    fn finish(&mut self, spool: &mut Spool<u64>) {
        for track in 0..2 {
            while self.tracks[track].2 != 0 {
                self.push(spool, track);
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Op {
    Push(usize),
    Control,
    HandOver,
    PutBack,
    Acknowledge(prop::sample::Index),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..2_usize).prop_map(Op::Push),
        1 => Just(Op::Control),
        3 => Just(Op::HandOver),
        1 => Just(Op::PutBack),
        3 => any::<prop::sample::Index>().prop_map(Op::Acknowledge),
    ]
}

/// What came out of the line.
#[derive(Default)]
struct Out {
    /// First tokens of what was handed over, in order.
    order: Vec<u64>,
    pieces: Vec<u64>,
    gaps: Vec<Gap<u64>>,
    unacknowledged: Vec<Option<SegmentNumber>>,
}

impl Out {
    fn take(&mut self, next: Next<u64>) {
        match next {
            Next::Piece(piece) => {
                self.order.push(piece.token);
                self.pieces.push(piece.token);
                self.unacknowledged.push(Some(piece.number));
            }
            Next::Control { token, .. } => {
                self.order.push(token);
                self.unacknowledged.push(None);
            }
            Next::Gap(gap) => {
                self.order.push(gap.first);
                self.gaps.push(gap);
                self.unacknowledged.push(None);
            }
        }
    }
}

proptest! {
    #[test]
    fn line_keeps_its_promises(
        lengths in prop::collection::vec(1..6_u64, 1..5),
        ops in prop::collection::vec(op(), 1..400),
        media in 400_000..4_000_000_i64,
        bytes in 300..3_000_usize,
    ) {
        let mut spool = Spool::new(limits(media, bytes));
        let mut source = Source::new(lengths);
        let mut out = Out::default();
        let mut controls = Vec::new();
        for op in ops {
            match op {
                Op::Push(track) => source.push(&mut spool, track),
                Op::Control => {
                    source.token += 1;
                    controls.push(source.token);
                    spool.push_control(source.token, 0, source.token);
                }
                Op::HandOver => if let Some(next) = spool.next() { out.take(next) },
                Op::PutBack => if let Some(next) = spool.next() { spool.put_back(next) },
                Op::Acknowledge(index) => if !out.unacknowledged.is_empty() {
                    let number = out.unacknowledged.remove(index.index(out.unacknowledged.len()));
                    spool.acknowledged(number);
                },
            }
            // No more than two segments are in the client's hands.
            let held: HashSet<_> = out.unacknowledged.iter().flatten().collect();
            prop_assert!(held.len() <= 2);
            prop_assert_eq!(spool.depth().in_client, out.unacknowledged.len());
            // Too long only by what has been begun and cannot be dropped.
            let droppable = spool.line.iter().any(|entry| matches!(entry, Entry::Piece(p)
                if spool.begun.get(&p.track).is_none_or(|begun| p.number > *begun)));
            prop_assert!(!(spool.is_too_long() && droppable));
            // The counts are those of the line.
            let waiting: usize = spool.line.iter()
                .map(|entry| if let Entry::Piece(p) = entry { p.bytes } else { 0 }).sum();
            prop_assert_eq!(spool.depth().bytes, waiting);
        }
        source.finish(&mut spool);
        while let Some(next) = spool.next() {
            out.take(next);
            for number in std::mem::take(&mut out.unacknowledged) {
                spool.acknowledged(number);
            }
        }
        for number in out.unacknowledged.drain(..) {
            spool.acknowledged(number);
        }
        while let Some(next) = spool.next() {
            out.take(next);
            for number in std::mem::take(&mut out.unacknowledged) {
                spool.acknowledged(number);
            }
        }
        prop_assert!(spool.is_idle());
        prop_assert_eq!(spool.depth(), SpoolDepth::default());

        // In the order of the pushes; a gap stands where its segment began.
        prop_assert!(out.order.is_sorted());
        // Everything went exactly one way.
        let mut tokens: Vec<u64> = out.pieces.iter().copied().chain(controls)
            .chain(out.gaps.iter().flat_map(|gap| gap.tokens.clone())).collect();
        tokens.sort_unstable();
        prop_assert_eq!(tokens, (1..=source.token).collect::<Vec<_>>());
        // Whole segments: handed over or a gap, never both, and one gap each.
        let whole: HashSet<_> = out.pieces.iter().map(|token| source.pushed[token].clone()).collect();
        let mut gone = HashSet::new();
        for gap in &out.gaps {
            let segment = (gap.track.clone(), gap.number);
            prop_assert!(!whole.contains(&segment));
            prop_assert!(gap.complete);
            prop_assert_eq!(gap.duration.0, 200_000 * gap.tokens.len() as i64);
            let all = source.pushed.iter().filter(|(_, s)| **s == segment).count();
            prop_assert_eq!(gap.tokens.len(), all);
            prop_assert!(gone.insert(segment), "one gap for each segment");
        }
        // Each drop was told of once.
        let mut told = 0;
        while let Some(notice) = spool.notice() {
            prop_assert!(gone.remove(&(notice.track, notice.number)));
            told += 1;
        }
        prop_assert_eq!(told, out.gaps.len());
    }
}

#[test]
fn oldest_whole_segment_goes_first() {
    let mut spool = Spool::new(limits(1_000_000, 1 << 20));
    for number in 1..=4 {
        spool.push(piece(Track::Video, number, number * 10, false));
        if number == 1 {
            // The first segment is in the client's hands from here on.
            assert!(matches!(spool.next(), Some(Next::Piece(_))));
        }
        spool.push(piece(Track::Video, number, number * 10 + 1, true));
    }
    let notice = spool.notice().unwrap();
    assert_eq!(notice.number, SegmentNumber(2));
    assert_eq!(notice.tokens, [20, 21]);
    // In line: the rest of segment 1, the gap, segment 3; segment 4 waits for room.
    assert!(matches!(spool.next(), Some(Next::Piece(p)) if p.token == 11));
    assert!(matches!(spool.next(), Some(Next::Gap(g)) if g.number == SegmentNumber(2)));
    assert!(matches!(spool.next(), Some(Next::Piece(p)) if p.token == 30));
    assert!(matches!(spool.next(), Some(Next::Piece(p)) if p.token == 31));
    assert_eq!(spool.next(), None);
    spool.acknowledged(Some(SegmentNumber(1)));
    spool.acknowledged(Some(SegmentNumber(1)));
    assert!(matches!(spool.next(), Some(Next::Piece(p)) if p.token == 40));
}

#[test]
fn segment_that_is_dropped_while_it_comes_is_one_gap_of_its_whole_length() {
    let mut spool = Spool::new(limits(500_000, 1 << 20));
    for token in 1..=3 {
        spool.push(piece(Track::Video, 7, token, false));
    }
    assert_eq!(spool.notice(), None, "its length is not known yet");
    assert_eq!(spool.next(), None, "nothing may overtake it");
    spool.push(piece(Track::Video, 7, 4, true));
    let notice = spool.notice().unwrap();
    assert_eq!(notice.duration, Micros(800_000));
    assert!(matches!(spool.next(), Some(Next::Gap(gap)) if gap.tokens == [1, 2, 3, 4]));
}
