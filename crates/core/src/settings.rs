//! Strict settings: one macro turns a list of documented keys into a struct, its defaults and a table from
//! which help texts, checks and nearest-name hints follow.

/// One key of a settings struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Name as it stands in files and on the command line.
    pub name: &'static str,
    /// Other names for the same thing.
    pub aliases: &'static [&'static str],
    /// Its Rust type, as text.
    pub kind: &'static str,
    /// Its default, as text.
    pub default: &'static str,
    /// What it does, with units.
    pub explain: &'static str,
}

/// Declares a settings struct: every field has a doc comment (its manual), optional `#[alias("..")]` names and
/// a default. Generates the struct (serde, unknown fields refused, all fields optional in files), `Default`, and
/// `KEYS`.
///
/// ```
/// coact_core::settings! {
///     /// Settings of an example.
///     pub struct Example {
///         /// Discount factor per step.
///         gamma: f32 = 0.99,
///         /// Transitions that replay holds.
///         #[alias("replay_buffer_size")]
///         buffer_size: usize = 10_000,
///     }
/// }
/// assert_eq!(Example::default().buffer_size, 10_000);
/// assert_eq!(Example::KEYS[1].aliases, ["replay_buffer_size"]);
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $head:literal])+
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[alias($($alias:literal),+)])?
                $key:ident : $kind:ty = $default:expr
            ),+ $(,)?
        }
    ) => {
        $(#[doc = $head])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $key: $kind, )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $key: $default, )+ }
            }
        }

        impl $name {
            /// Every key with its default and its manual.
            pub const KEYS: &'static [$crate::settings::Key] = &[
                $( $crate::settings::Key {
                    name: stringify!($key),
                    aliases: &[$($($alias),+)?],
                    kind: stringify!($kind),
                    default: stringify!($default),
                    explain: concat!($($doc),+),
                }, )+
            ];
        }
    };
}
