//! Fixed-size byte strings that are shown as hexadecimal.

macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $length:literal, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $length]);

        impl $name {
            /// The value of exactly these bytes, if there are as many as needed.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, reelay_model::FieldError> {
                bytes.try_into().map(Self).map_err(|_| {
                    reelay_model::FieldError::new(
                        $field,
                        format!("{} bytes", bytes.len()),
                        concat!(stringify!($length), " bytes"),
                    )
                })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = reelay_model::FieldError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let error = || {
                    reelay_model::FieldError::new(
                        $field, text, concat!("twice ", stringify!($length), " digits 0-9 and a-f"),
                    )
                };
                let digits = text.as_bytes();
                if digits.len() != 2 * $length {
                    return Err(error());
                }
                let mut bytes = [0; $length];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    let nibble = |digit: u8| match digit {
                        b'0'..=b'9' => Ok(digit - b'0'),
                        b'a'..=b'f' => Ok(digit - b'a' + 10),
                        _ => Err(error()),
                    };
                    *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
                }
                Ok(Self(bytes))
            }
        }
    };
}
pub(crate) use hex_bytes;

hex_bytes! {
    /// SHA-256 of an init segment (`ftyp` and `moov`).
    InitHash, 32, "init_hash"
}

impl InitHash {
    /// The fingerprint that a source or audio track with this init segment has.
    pub fn fingerprint(&self) -> crate::Fingerprint {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.0[..16]);
        crate::Fingerprint(bytes)
    }
}
