//! Two shapes that many profiles share: an octet that stands for a word, and a field of named bits.

/// An enum over one octet. Codes without a name are kept as `Reserved`, never rejected.
macro_rules! coded {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $code:literal => $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$item_doc])* $item,)*
            /// A code that the specification reserves. Never one of the above if made by `from_code`.
            Reserved(u8),
        }

        impl $name {
            /// From its octet. Total.
            #[must_use]
            pub const fn from_code(code: u8) -> Self {
                match code {
                    $($code => Self::$item,)*
                    other => Self::Reserved(other),
                }
            }

            /// Its octet.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$item => $code,)*
                    Self::Reserved(code) => code,
                }
            }

            /// In words.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$item => $text,)*
                    Self::Reserved(_) => "reserved",
                }
            }

            /// From the octet of a read.
            ///
            /// # Errors
            /// Short or trailing.
            pub fn decode(value: &[u8]) -> Result<Self, $crate::gatt::DecodeError> {
                let mut octets = $crate::gatt::octets::Octets::new(value)?;
                let code = octets.u8(stringify!($name))?;
                octets.finish(false)?;
                Ok(Self::from_code(code))
            }

            /// The octet of a read.
            #[must_use]
            pub fn encode(self) -> alloc::vec::Vec<u8> {
                alloc::vec::Vec::from([self.code()])
            }
        }
    };
}

/// A field of bits with names. Bits without a name are kept as they came.
macro_rules! bits {
    ($(#[$doc:meta])* $name:ident($int:ty) { $($(#[$item_doc:meta])* $item:ident = $bit:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name(pub $int);

        impl $name {
            $($(#[$item_doc])* pub const $item: Self = Self(1 << $bit);)*

            /// True if any bit of `other` is set.
            #[must_use]
            pub const fn has(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// Both sets of bits.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
    };
}

pub(super) use {bits, coded};
