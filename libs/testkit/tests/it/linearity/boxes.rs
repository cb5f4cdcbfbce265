//! Writes the least that an init segment and a chunk have to hold.

use bytes::Bytes;

fn boxed(kind: &[u8; 4], body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let mut out = u32::try_from(body.len() + 8)
        .unwrap()
        .to_be_bytes()
        .to_vec();
    out.extend_from_slice(kind);
    out.extend(body);
    out
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

/// `variant` makes init segments that differ.
pub fn init(track_id: u32, timescale: u32, avc: bool, variant: u8) -> Bytes {
    let entry = if avc {
        let configuration = boxed(b"avcC", &[&[1, 100, 0, 31, 0xff, 0xe0, 0, variant]]);
        boxed(b"avc1", &[&[0; 78], &configuration])
    } else {
        boxed(b"mp4a", &[&[0; 28], &[variant]])
    };
    let stsd = boxed(b"stsd", &[&words(&[0, 1]), &entry]);
    let media = boxed(b"minf", &[&boxed(b"stbl", &[&stsd])]);
    let mdhd = boxed(b"mdhd", &[&words(&[0, 0, 0, timescale, 0, 0])]);
    let tkhd = boxed(b"tkhd", &[&words(&[0, 0, 0, track_id, 0])]);
    let trak = boxed(b"trak", &[&tkhd, &boxed(b"mdia", &[&mdhd, &media])]);
    let trex = boxed(b"trex", &[&words(&[0, track_id, 1, 0, 0, 0])]);
    let moov = boxed(b"moov", &[&trak, &boxed(b"mvex", &[&trex])]);
    [boxed(b"ftyp", &[b"iso6", &words(&[0]), b"cmfc"]), moov]
        .concat()
        .into()
}

/// How the first sample of a chunk looks.
#[derive(Clone, Copy, PartialEq)]
pub struct First {
    pub sync: bool,
    pub nal_type: u8,
}

pub const KEY: First = First {
    sync: true,
    nal_type: 5,
};
pub const NO_KEY: First = First {
    sync: false,
    nal_type: 1,
};

/// `samples` samples of `duration` ticks each.
pub fn chunk(track_id: u32, time: u64, samples: u32, duration: u32, first: First) -> Bytes {
    let payload = |i: u32| {
        let nal = if i == 0 { first.nal_type } else { 1 };
        let data = [0x60 | nal, time as u8, (time >> 8) as u8, i as u8];
        [&words(&[4]), &data[..]].concat()
    };
    let moof = |data_offset: u32| {
        let mut run = words(&[0x0000_0701, samples, data_offset]);
        for i in 0..samples {
            let sync = if i == 0 { first.sync } else { track_id == 2 };
            let flags = if sync { 0x0200_0000 } else { 0x0101_0000 };
            run.extend(words(&[duration, 8, flags]));
        }
        let tfhd = boxed(b"tfhd", &[&words(&[0x0002_0000, track_id])]);
        let tfdt = boxed(b"tfdt", &[&words(&[0x0100_0000]), &time.to_be_bytes()]);
        let traf = boxed(b"traf", &[&tfhd, &tfdt, &boxed(b"trun", &[&run])]);
        boxed(b"moof", &[&boxed(b"mfhd", &[&words(&[0, 1])]), &traf])
    };
    let length = u32::try_from(moof(0).len()).unwrap();
    let data: Vec<u8> = (0..samples).flat_map(payload).collect();
    [moof(length + 8), boxed(b"mdat", &[&data])].concat().into()
}
