//! Init segments: `ftyp` and `moov` of one track.

use mp4_atom::{
    Audio, Av01, Av1c, Avc1, Avcc, AvccExt, Compressor, Dinf, Dops, Dref, DrefEntry, Encode,
    FixedPoint, FourCC, Ftyp, Hdlr, Hvc1, HvcCArray, Hvcc, Mdhd, Mdia, Minf, Moov, Mp4a, Mvex,
    Mvhd, Opus, OpusChannelMapping, Smhd, Stbl, Stco, Stsd, Tkhd, Trak, Trex, Url, Visual, Vmhd,
    Vp09, VpcC,
    esds::{DecoderConfig, DecoderSpecific, EsDescriptor, Esds, SLConfig},
};

use super::{AUDIO_TRACK, VIDEO_TRACK};
use crate::codec::{
    AacConfig, Av1Config, AvcConfig, HEVC_PPS, HEVC_SPS, HEVC_VPS, HevcConfig, OpusConfig,
    VideoConfig, Vp9Config,
};

/// A track's codec and its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Codec {
    Avc(AvcConfig),
    Hevc(HevcConfig),
    Av1(Av1Config),
    Vp9(Vp9Config),
    Aac(AacConfig),
    Opus(OpusConfig),
}

impl From<VideoConfig> for Codec {
    fn from(config: VideoConfig) -> Self {
        match config {
            VideoConfig::Avc(config) => Self::Avc(config),
            VideoConfig::Hevc(config) => Self::Hevc(config),
            VideoConfig::Av1(config) => Self::Av1(config),
            VideoConfig::Vp9(config) => Self::Vp9(config),
        }
    }
}

impl Codec {
    /// `track_ID` of its track.
    pub(crate) fn track_id(&self) -> u32 {
        match self {
            Self::Avc(_) | Self::Hevc(_) | Self::Av1(_) | Self::Vp9(_) => VIDEO_TRACK,
            Self::Aac(_) | Self::Opus(_) => AUDIO_TRACK,
        }
    }

    /// RFC 6381 codecs.
    pub(crate) fn codecs(&self) -> String {
        match self {
            Self::Avc(config) => config.codecs(),
            Self::Hevc(config) => config.codecs(),
            Self::Av1(config) => config.codecs(),
            Self::Vp9(config) => config.codecs(),
            Self::Aac(config) => config.codecs(),
            Self::Opus(_) => "opus".to_owned(),
        }
    }

    /// Width and height; 0 for audio. Each stream refuses what has no 16 bits.
    fn size(&self) -> (u16, u16) {
        let (width, height) = match self {
            Self::Avc(config) => (config.width, config.height),
            Self::Hevc(config) => (config.info.width, config.info.height),
            Self::Av1(config) => (config.width, config.height),
            Self::Vp9(config) => (config.width, config.height),
            Self::Aac(_) | Self::Opus(_) => (0, 0),
        };
        (width as u16, height as u16)
    }

    fn sample_entry(&self) -> mp4_atom::Codec {
        match self {
            Self::Avc(config) => avc1(config).into(),
            Self::Hevc(config) => hvc1(config).into(),
            Self::Av1(config) => av01(config).into(),
            Self::Vp9(config) => vp09(config).into(),
            Self::Aac(config) => mp4a(config).into(),
            Self::Opus(config) => opus(config).into(),
        }
    }
}

/// `ftyp` and `moov` of a track with samples of `codec` and times in `timescale`.
pub(crate) fn init_segment(codec: &Codec, timescale: u32) -> Result<Vec<u8>, mp4_atom::Error> {
    let track_id = codec.track_id();
    let (width, height) = codec.size();
    let video = track_id == VIDEO_TRACK;
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
        visual: visual(config.width, config.height),
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

fn visual(width: u32, height: u32) -> Visual {
    Visual {
        data_reference_index: 1,
        // The streams refuse what does not fit.
        width: width as u16,
        height: height as u16,
        compressor: Compressor::default(),
        ..Visual::default()
    }
}

fn hvc1(config: &HevcConfig) -> Hvc1 {
    let info = &config.info;
    let array = |nal_unit_type, nalus: &[Vec<u8>]| HvcCArray {
        // All there are, as `hvc1` says (ISO/IEC 14496-15 §8.4.3).
        completeness: true,
        nal_unit_type,
        nalus: nalus.to_vec(),
    };
    Hvc1 {
        visual: visual(info.width, info.height),
        hvcc: Hvcc {
            configuration_version: 1,
            general_profile_space: info.profile_space,
            general_tier_flag: info.high_tier,
            general_profile_idc: info.profile,
            general_profile_compatibility_flags: info.compatibility,
            general_constraint_indicator_flags: info.constraints,
            general_level_idc: info.level,
            chroma_format_idc: info.chroma_format,
            bit_depth_luma_minus8: info.bit_depth_luma - 8,
            bit_depth_chroma_minus8: info.bit_depth_chroma - 8,
            num_temporal_layers: info.temporal_layers,
            temporal_id_nested: info.temporal_nesting,
            length_size_minus_one: 3,
            arrays: vec![
                array(HEVC_VPS, &config.vps),
                array(HEVC_SPS, &config.sps),
                array(HEVC_PPS, &config.pps),
            ],
            ..Hvcc::default()
        },
        ..Hvc1::default()
    }
}

fn av01(config: &Av1Config) -> Av01 {
    Av01 {
        visual: visual(config.width, config.height),
        av1c: Av1c {
            seq_profile: config.profile,
            seq_level_idx_0: config.level,
            seq_tier_0: config.high_tier,
            high_bitdepth: config.bit_depth > 8,
            twelve_bit: config.bit_depth == 12,
            monochrome: config.monochrome,
            chroma_subsampling_x: config.subsampling.0,
            chroma_subsampling_y: config.subsampling.1,
            chroma_sample_position: config.sample_position,
            initial_presentation_delay: None,
            config_obus: config.sequence_header.clone(),
        },
        ..Av01::default()
    }
}

fn vp09(config: &Vp9Config) -> Vp09 {
    Vp09 {
        visual: visual(config.width, config.height),
        vpcc: VpcC {
            profile: config.profile,
            level: config.level,
            bit_depth: config.bit_depth,
            chroma_subsampling: config.chroma_subsampling,
            video_full_range_flag: config.full_range,
            // Unspecified (ISO/IEC 23091-2).
            color_primaries: 2,
            transfer_characteristics: 2,
            matrix_coefficients: 2,
            codec_initialization_data: Vec::new(),
        },
        btrt: None,
        colr: None,
        pasp: None,
        spatial: None,
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
