//! Playlists as text (RFC 8216bis), and the names of the files that they list.

mod master;
mod media;
mod uri;

pub use master::{MasterPlaylist, Variant};
pub use media::{MediaPlaylist, Report, part_hold_back};
pub use uri::{MediaName, init_name, parse_init_name};

use std::fmt;

use reelay_model::Micros;

/// Microseconds as a decimal number of seconds without needless digits, and at least one
/// after the point.
pub(crate) struct Seconds(pub(crate) Micros);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.0.max(0);
        let (whole, mut fraction) = (micros / 1_000_000, micros % 1_000_000);
        let mut digits = 6;
        while digits > 1 && fraction % 10 == 0 {
            fraction /= 10;
            digits -= 1;
        }
        write!(f, "{whole}.{fraction:0digits$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact_and_short() {
        for (micros, text) in [
            (0, "0.0"),
            (200_000, "0.2"),
            (2_000_000, "2.0"),
            (208_980, "0.20898"),
            (1, "0.000001"),
        ] {
            assert_eq!(Seconds(Micros(micros)).to_string(), text);
        }
    }
}
