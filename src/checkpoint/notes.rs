//! What was assumed because a model folder leaves something open.

use std::fmt;

/// An assumption that affects what the pictures look like, or a repair. Its text is a sentence; [`Note::flag`] says how
/// to change it on the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// There is no `scheduler_config.json`.
    NoScheduler,
    /// DDIM replaces the sampler that it belongs to.
    OtherScheduler {
        /// Its class in diffusers.
        class: String,
    },
    /// There are averaged weights beside those that are read.
    Averaged {
        /// Their folder.
        folder: String,
    },
    /// There are several files of weights, and none has the plain name.
    OneOfSeveral {
        /// The one that is read.
        used: String,
        /// One that is not.
        other: String,
    },
    /// The names of all tensors begin with the same words, which were removed.
    Prefix {
        /// The words, with the dot after them.
        prefix: String,
    },
    /// The path is a model in the hub's cache, which keeps snapshots.
    Snapshot {
        /// The snapshot's folder.
        folder: String,
    },
}

impl Note {
    /// The flags, or the path, that change what was assumed.
    pub fn flag(&self) -> Option<String> {
        match self {
            Self::NoScheduler => {
                Some("--beta-schedule, --beta-start, --beta-end, --prediction-type".to_owned())
            }
            Self::OtherScheduler { .. } => Some("--sampler".to_owned()),
            Self::Averaged { folder } => Some(format!("the path MODEL/{folder}")),
            Self::OneOfSeveral { .. } | Self::Prefix { .. } | Self::Snapshot { .. } => None,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoScheduler => f.write_str(
                "the model has no scheduler_config.json, so it is assumed to be trained as DDPM's default: 1000 \
                 timesteps, linear betas from 0.0001 to 0.02, epsilon prediction",
            ),
            Self::OtherScheduler { class } => {
                write!(f, "the checkpoint's sampler is {class}; DDIM samples it with the same betas")
            }
            Self::Averaged { folder } => {
                write!(f, "{folder}/ holds averaged weights, which often sample better; unet/ is used")
            }
            Self::OneOfSeveral { used, other } => {
                write!(f, "the weights are read from {used}; {other} is another version of them")
            }
            Self::Prefix { prefix } => {
                write!(f, "the names of all tensors begin with `{prefix}`, which is left out")
            }
            Self::Snapshot { folder } => write!(f, "the model is read from {folder}"),
        }
    }
}
