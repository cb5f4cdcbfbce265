//! What H.264 and H.265 have in common: NAL units in samples and byte streams, Exp-Golomb codes,
//! SEI messages.

use std::ops::Range;

use memchr::memmem;

use super::Malformed;

/// How NAL units are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Start codes (annex B).
    StartCodes,
    /// Each NAL unit has a length of so many bytes before it (ISO/IEC 14496-15 §5.3).
    Lengths(usize),
}

/// Where a decoder can begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// An IDR picture: nothing after it refers to anything before it.
    Idr,
    /// A recovery point that is no IDR picture: frames that come after it in decode order but
    /// before it in presentation order may refer to frames before it.
    Recovery,
    /// Any other frame.
    Delta,
}

impl FrameKind {
    /// Whether a segment may start with it.
    pub(crate) fn is_key(self) -> bool {
        self != Self::Delta
    }
}

/// One access unit (or temporal unit), as it goes into a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessUnit {
    pub kind: FrameKind,
    /// The NAL units (or OBUs, or the frame) that belong into the sample, as ranges of the packet.
    pub nals: Vec<Range<usize>>,
    /// The parameter sets differ from those before: the track needs a new configuration.
    pub new_config: bool,
}

/// The NAL units of `data`, without start codes or lengths; empty ones are left out.
pub(super) fn split(data: &[u8], layout: Layout) -> Result<Vec<Range<usize>>, Malformed> {
    let mut nals = Vec::with_capacity(4);
    match layout {
        Layout::Lengths(size) => {
            let mut at = 0;
            while at < data.len() {
                let length = data.get(at..at + size).map(|bytes| {
                    bytes
                        .iter()
                        .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
                });
                let start = at + size;
                match length.and_then(|length| start.checked_add(length)) {
                    Some(end) if end <= data.len() => {
                        if end > start {
                            nals.push(start..end);
                        }
                        at = end;
                    }
                    _ => return Err(Malformed::new("NAL unit longer than its packet")),
                }
            }
        }
        Layout::StartCodes => {
            let mut starts = memmem::find_iter(data, &[0, 0, 1])
                .map(|at| at + 3)
                .peekable();
            while let Some(start) = starts.next() {
                let mut end = starts.peek().map_or(data.len(), |next| next - 3);
                // Zero bytes before a start code belong to it; no NAL unit ends with one
                // (§7.4.1.1).
                while end > start && data[end - 1] == 0 {
                    end -= 1;
                }
                if end > start {
                    nals.push(start..end);
                }
            }
        }
    }
    Ok(nals)
}

/// Reads bits. Of a NAL unit as it is only its first bytes: ids and slice types come so early that
/// no emulation prevention can occur before them.
pub(super) struct Bits<'a> {
    pub bytes: &'a [u8],
    /// Bits that have been read.
    pub at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | self.bit()?;
        }
        Some(value)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        Some(self.bit()? == 1)
    }

    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        let at = self.at.checked_add(count)?;
        (at <= self.bytes.len() * 8).then(|| self.at = at)
    }

    pub(super) fn bit(&mut self) -> Option<u32> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(u32::from(bit))
    }

    /// An Exp-Golomb code (§9.1).
    pub(super) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 20 {
                return None;
            }
        }
        let mut value = 1;
        for _ in 0..zeros {
            value = value << 1 | self.bit()?;
        }
        Some(value - 1)
    }
}

pub(super) fn take_set<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (set, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = after;
    Some(set)
}

pub(super) fn sei_number(rest: &mut &[u8]) -> Option<usize> {
    let mut sum = 0;
    loop {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        sum += usize::from(*byte);
        if *byte != 0xff {
            return Some(sum);
        }
    }
}
