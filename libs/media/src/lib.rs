//! FFmpeg and its worker processes: demux, cut into segments, CMAF chunks.
