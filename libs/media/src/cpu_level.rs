//! Which SIMD instructions the codecs use: for the tests that rungs are the same bytes whatever
//! the machine has. Not part of the API; services never call it.

use std::sync::atomic::{AtomicU8, Ordering};

use ffmpeg_next::ffi;

/// The most that codecs, scaler and encoders may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuLevel {
    /// No SIMD.
    Plain = 1,
    /// Up to SSE2, as every x86-64 machine has.
    Sse2 = 2,
    /// Up to AVX2.
    Avx2 = 3,
}

impl CpuLevel {
    /// By name: `plain`, `sse2`, `avx2`.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Plain, Self::Sse2, Self::Avx2]
            .into_iter()
            .find(|level| level.names()[0] == name)
    }

    /// Its own name, and x264's, x265's and SVT-AV1's.
    fn names(self) -> [&'static str; 4] {
        match self {
            Self::Plain => ["plain", "0", "0", "c"],
            Self::Sse2 => ["sse2", "SSE2", "sse2", "sse2"],
            Self::Avx2 => ["avx2", "AVX2", "avx2", "avx2"],
        }
    }

    pub(crate) fn x264(self) -> &'static str {
        self.names()[1]
    }

    pub(crate) fn x265(self) -> &'static str {
        self.names()[2]
    }

    pub(crate) fn svt_av1(self) -> &'static str {
        self.names()[3]
    }

    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    fn flags(self) -> i32 {
        let sse2 = ffi::AV_CPU_FLAG_MMX
            | ffi::AV_CPU_FLAG_MMXEXT
            | ffi::AV_CPU_FLAG_SSE
            | ffi::AV_CPU_FLAG_SSE2
            | ffi::AV_CPU_FLAG_CMOV;
        match self {
            Self::Plain => 0,
            Self::Sse2 => sse2,
            Self::Avx2 => {
                sse2 | ffi::AV_CPU_FLAG_SSE3
                    | ffi::AV_CPU_FLAG_SSSE3
                    | ffi::AV_CPU_FLAG_SSE4
                    | ffi::AV_CPU_FLAG_SSE42
                    | ffi::AV_CPU_FLAG_AVX
                    | ffi::AV_CPU_FLAG_AVX2
                    | ffi::AV_CPU_FLAG_FMA3
                    | ffi::AV_CPU_FLAG_BMI1
                    | ffi::AV_CPU_FLAG_BMI2
            }
        }
    }

    /// Elsewhere the levels differ in the encoders only.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "x86")))]
    fn flags(self) -> i32 {
        0
    }
}

static LEVEL: AtomicU8 = AtomicU8::new(0);

/// Limits this process; to be called before it does anything else.
pub fn limit_cpu(level: CpuLevel) {
    LEVEL.store(level as u8, Ordering::Relaxed);
    // SAFETY: takes a plain value; no codec has been opened yet.
    unsafe { ffi::av_force_cpu_flags(level.flags()) }
}

/// The limit, if there is one.
pub(crate) fn cpu_limit() -> Option<CpuLevel> {
    match LEVEL.load(Ordering::Relaxed) {
        1 => Some(CpuLevel::Plain),
        2 => Some(CpuLevel::Sse2),
        3 => Some(CpuLevel::Avx2),
        _ => None,
    }
}
