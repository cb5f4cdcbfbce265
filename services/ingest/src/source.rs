//! What problems of a source mean for its stream.

use reelay_media::SourceProblemCode;
use reelay_model::Phase;

/// Whether a source with this problem may come back by itself, or needs somebody to act.
pub const fn phase_of(code: SourceProblemCode) -> Phase {
    match code {
        SourceProblemCode::NotFound
        | SourceProblemCode::AccessDenied
        | SourceProblemCode::AddressRefused
        | SourceProblemCode::InvalidFormat
        | SourceProblemCode::UnsupportedCodec
        | SourceProblemCode::NoMedia => Phase::Failed,
        _ => Phase::Reconnecting,
    }
}
