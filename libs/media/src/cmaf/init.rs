//! Init segments: `ftyp` and `moov` of one track.

use mp4_atom::{
    Audio, Avc1, Avcc, AvccExt, Compressor, Dinf, Dops, Dref, DrefEntry, Encode, FixedPoint,
    FourCC, Ftyp, Hdlr, Mdhd, Mdia, Minf, Moov, Mp4a, Mvex, Mvhd, Opus, OpusChannelMapping, Smhd,
    Stbl, Stco, Stsd, Tkhd, Trak, Trex, Url, Visual, Vmhd,
    esds::{DecoderConfig, DecoderSpecific, EsDescriptor, Esds, SLConfig},
};

use super::{AUDIO_TRACK, VIDEO_TRACK};
use crate::codec::{AacConfig, AvcConfig, OpusConfig};

/// A track's codec and its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Codec {
    Avc(AvcConfig),
    Aac(AacConfig),
    Opus(OpusConfig),
}

impl Codec {
    /// `track_ID` of its track.
    pub(crate) fn track_id(&self) -> u32 {
        match self {
            Self::Avc(_) => VIDEO_TRACK,
            Self::Aac(_) | Self::Opus(_) => AUDIO_TRACK,
        }
    }

    /// RFC 6381 codecs.
    pub(crate) fn codecs(&self) -> String {
        match self {
            Self::Avc(config) => config.codecs(),
            Self::Aac(config) => config.codecs(),
            Self::Opus(_) => "opus".to_owned(),
        }
    }

    fn sample_entry(&self) -> mp4_atom::Codec {
        match self {
            Self::Avc(config) => avc1(config).into(),
            Self::Aac(config) => mp4a(config).into(),
            Self::Opus(config) => opus(config).into(),
        }
    }
}

/// `ftyp` and `moov` of a track with samples of `codec` and times in `timescale`.
pub(crate) fn init_segment(codec: &Codec, timescale: u32) -> Result<Vec<u8>, mp4_atom::Error> {
    let track_id = codec.track_id();
    let (width, height) = match codec {
        Codec::Avc(config) => (config.width as u16, config.height as u16),
        _ => (0, 0),
    };
    let video = matches!(codec, Codec::Avc(_));
    let ftyp = Ftyp {
        major_brand: FourCC::new(b"cmfc"),
        minor_version: 0,
        compatible_brands: vec![
            FourCC::new(b"cmfc"),
            FourCC::new(b"iso6"),
            FourCC::new(b"mp41"),
        ],
    };
    let moov = Moov {
        mvhd: Mvhd {
            timescale,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: track_id + 1,
            ..Mvhd::default()
        },
        mvex: Some(Mvex {
            mehd: None,
            trex: vec![Trex {
                track_id,
                default_sample_description_index: 1,
                ..Trex::default()
            }],
        }),
        trak: vec![Trak {
            tkhd: Tkhd {
                track_id,
                enabled: true,
                in_movie: true,
                volume: FixedPoint::from(u8::from(!video)),
                width: width.into(),
                height: height.into(),
                ..Tkhd::default()
            },
            mdia: Mdia {
                mdhd: Mdhd {
                    timescale,
                    language: "und".to_owned(),
                    ..Mdhd::default()
                },
                hdlr: Hdlr {
                    handler: FourCC::new(if video { b"vide" } else { b"soun" }),
                    name: String::new(),
                },
                minf: Minf {
                    vmhd: video.then(Vmhd::default),
                    smhd: (!video).then(Smhd::default),
                    dinf: Dinf {
                        dref: Dref {
                            entries: vec![DrefEntry::Url(Url::default())],
                        },
                    },
                    stbl: Stbl {
                        stsd: Stsd {
                            codecs: vec![codec.sample_entry()],
                        },
                        stco: Some(Stco::default()),
                        ..Stbl::default()
                    },
                    ..Minf::default()
                },
            },
            ..Trak::default()
        }],
        ..Moov::default()
    };
    let mut bytes = Vec::with_capacity(1024);
    ftyp.encode(&mut bytes)?;
    moov.encode(&mut bytes)?;
    Ok(bytes)
}

fn avc1(config: &AvcConfig) -> Avc1 {
    // A configuration's first SPS has 4 bytes or more.
    let header = config.sps.first().map_or(&[][..], Vec::as_slice);
    let byte = |at: usize| header.get(at).copied().unwrap_or_default();
    // Only these profiles have the fields (ISO/IEC 14496-15 §5.3.3.1.2).
    let ext = matches!(byte(1), 100 | 110 | 122 | 144).then(|| AvccExt {
        chroma_format: config.chroma_format,
        bit_depth_luma: config.bit_depth_luma,
        bit_depth_chroma: config.bit_depth_chroma,
        sequence_parameter_sets_ext: config.sps_extensions.clone(),
    });
    Avc1 {
        visual: Visual {
            data_reference_index: 1,
            // AvcStream refuses what does not fit.
            width: config.width as u16,
            height: config.height as u16,
            compressor: Compressor::default(),
            ..Visual::default()
        },
        avcc: Avcc {
            configuration_version: 1,
            avc_profile_indication: byte(1),
            profile_compatibility: byte(2),
            avc_level_indication: byte(3),
            length_size: 4,
            sequence_parameter_sets: config.sps.clone(),
            picture_parameter_sets: config.pps.clone(),
            ext,
        },
        ..Avc1::default()
    }
}

fn audio(channels: u32, rate: u32) -> Audio {
    Audio {
        data_reference_index: 1,
        channel_count: channels as u16,
        sample_size: 16,
        // 16.16: rates above 65,535 Hz do not fit; the codec's own configuration counts then
        // (ISO/IEC 14496-12 §12.2.3).
        sample_rate: u16::try_from(rate).unwrap_or(0).into(),
    }
}

fn mp4a(config: &AacConfig) -> Mp4a {
    Mp4a {
        audio: audio(config.channels(), config.rate),
        esds: Esds {
            es_desc: EsDescriptor {
                dec_config: DecoderConfig {
                    // AAC, AudioStream (ISO/IEC 14496-1 §7.2.6.6).
                    object_type_indication: 0x40,
                    stream_type: 5,
                    dec_specific: Some(DecoderSpecific {
                        raw: config.specific.clone(),
                        ..DecoderSpecific::default()
                    }),
                    ..DecoderConfig::default()
                },
                sl_config: SLConfig::default(),
                ..EsDescriptor::default()
            },
        },
        btrt: None,
        taic: None,
    }
}

fn opus(config: &OpusConfig) -> Opus {
    Opus {
        audio: audio(u32::from(config.channels), 48_000),
        dops: Dops {
            output_channel_count: config.channels,
            pre_skip: config.pre_skip,
            input_sample_rate: config.input_rate,
            output_gain: config.gain,
            channel_mapping: config.mapping.clone().map(
                |(family, stream_count, coupled_count, channel_mapping)| OpusChannelMapping {
                    family,
                    stream_count,
                    coupled_count,
                    channel_mapping,
                },
            ),
        },
        btrt: None,
    }
}

#[cfg(test)]
mod tests {
    use mp4_atom::Decode;

    use super::*;

    #[test]
    fn an_audio_init_segment_reads_back() {
        let config = AacConfig::read(&[0x11, 0x90]).unwrap();
        let bytes = init_segment(&Codec::Aac(config), 48_000).unwrap();
        let mut rest = &bytes[..];
        Ftyp::decode(&mut rest).unwrap();
        let moov = Moov::decode(&mut rest).unwrap();
        assert!(rest.is_empty());
        assert_eq!(moov.trak[0].tkhd.track_id, AUDIO_TRACK);
        assert_eq!(moov.trak[0].mdia.mdhd.timescale, 48_000);
        let mp4_atom::Codec::Mp4a(entry) = &moov.trak[0].mdia.minf.stbl.stsd.codecs[0] else {
            panic!("no mp4a");
        };
        let specific = entry.esds.es_desc.dec_config.dec_specific.as_ref().unwrap();
        assert_eq!(specific.raw, [0x11, 0x90]);
    }
}
