//! The presets that ship inside the binary. One file in `configs/` and one line here.

use coact_core::nearest;

use crate::{Error, Result};

/// A named configuration.
pub struct Preset {
    /// Name users type.
    pub name: &'static str,
    /// The file's text. Its first comment line says what the preset is for.
    pub text: &'static str,
}

macro_rules! presets {
    ($($name:literal),+ $(,)?) => {
        /// Every preset, in the order in which it is listed to users.
        pub static ALL: &[Preset] = &[
            $(Preset { name: $name, text: include_str!(concat!("../../../configs/", $name, ".toml")) }),+
        ];
    };
}

presets![
    "two-agent-cartpole",
    "coupled-cartpole",
    "spread-vdn",
    "particle-double-dqn",
    "climbing",
    "penalty",
    "epymarl/simple_spread-maddpg",
    "epymarl/simple_spread-iql",
    "epymarl/simple_spread-vdn",
    "epymarl/simple_spread-qmix",
    "epymarl/simple_spread-ippo",
    "epymarl/simple_spread-mappo",
    "epymarl/simple_speaker_listener-maddpg",
    "epymarl/simple_tag-maddpg",
    "fast/simple_spread-ippo",
    "fast/simple_spread-mappo",
    "fast/simple_spread-qmix",
    "fast/simple_spread-pqn-vdn",
    "fast/simple_speaker_listener-mappo",
    "fast/simple_reference-mappo",
    "fast/simple_tag-mappo",
    "fast/lbf-8x8-2p-2f-coop",
    "fast/lbf-2s-8x8-2p-2f-coop",
    "fast/lbf-10x10-3p-3f",
    "fast/rware-tiny-2ag",
    "fast/rware-tiny-4ag",
    "fast/switch_riddle-mappo",
    "jaxmarl/simple_spread-vdn",
    "jaxmarl/simple_spread-vdn-rnn",
    "jaxmarl/simple_spread-qmix-rnn",
    "jaxmarl/simple_spread-pqn-vdn",
    "jaxmarl/simple_spread-ippo",
    "jaxmarl/simple_spread-mappo-rnn",
];

impl Preset {
    /// What it is for: its first comment line.
    pub fn summary(&self) -> &'static str {
        self.text.lines().next().map_or("", |line| line.trim_start_matches('#').trim())
    }
}

/// The preset called `name`.
///
/// # Errors
/// No such preset; the error names the nearest.
pub fn find(name: &str) -> Result<&'static Preset> {
    ALL.iter().find(|p| p.name == name).ok_or_else(|| {
        let hint = nearest::hint(name, ALL.iter().map(|p| p.name));
        Error::usage(format!("unknown preset `{name}`{hint} (`coact list presets` shows all)"))
    })
}
