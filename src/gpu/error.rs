//! What can go wrong on a GPU, as data.

use crate::kernels::wgsl::ExpandError;

/// An error from the GPU layer.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum GpuError {
    /// There is no adapter, or none with the requested name or index.
    #[error("no graphics adapter{}; there is {}", wanted_text(.wanted), available_text(.available))]
    NoAdapter {
        /// What was requested.
        wanted: Option<String>,
        /// The machine's adapters (empty in a browser, which does not list them).
        available: Vec<String>,
    },
    /// The adapter refused to open a device.
    #[error("the adapter `{adapter}` gave no device: {reason}")]
    NoDevice {
        /// Adapter name.
        adapter: String,
        /// The driver's words.
        reason: String,
    },
    /// The device is gone: driver reset, unplugged, or destroyed. Ask for a new one.
    #[error("the graphics device was lost: {reason}")]
    Lost {
        /// The driver's words.
        reason: String,
    },
    /// The GPU does not have enough memory left.
    #[error("out of GPU memory: {what}")]
    OutOfMemory {
        /// What was being allocated.
        what: String,
    },
    /// The driver refused a call or a shader. Only a bug in this crate causes this, and results since the last
    /// successful check cannot be trusted.
    #[error("the graphics driver refused: {message}")]
    Validation {
        /// The driver's words, with the label of the object.
        message: String,
    },
    /// The driver failed on a valid call.
    #[error("the graphics driver failed: {message}")]
    Internal {
        /// The driver's words.
        message: String,
    },
    /// A plan needs more than the device grants. Detected before anything is allocated.
    #[error("{what} needs {need} but this device grants {have}")]
    TooLarge {
        /// The buffer, binding or dispatch, and the unit.
        what: String,
        /// What it needs.
        need: u64,
        /// What the device has.
        have: u64,
    },
    /// A plan contradicts itself, or a call contradicts its plan. Only a bug in this crate causes this.
    #[error("inconsistent plan: {what}")]
    Plan {
        /// The contradiction.
        what: String,
    },
    /// A shader file could not be expanded.
    #[error(transparent)]
    Shader(#[from] ExpandError),
}

fn wanted_text(wanted: &Option<String>) -> String {
    wanted.as_ref().map(|w| format!(" matches `{w}`")).unwrap_or_else(|| " was found".into())
}

fn available_text(available: &[String]) -> String {
    if available.is_empty() { "none".into() } else { available.join(", ") }
}

impl GpuError {
    /// Converts what an error scope or the uncaptured-error handler caught. `what` says what was being done, for
    /// out-of-memory errors, which carry no text of their own.
    pub(super) fn from_wgpu(error: wgpu::Error, what: &str) -> Self {
        match error {
            wgpu::Error::OutOfMemory { .. } => Self::OutOfMemory { what: what.to_owned() },
            wgpu::Error::Validation { description, .. } => {
                Self::Validation { message: description }
            }
            wgpu::Error::Internal { description, .. } => Self::Internal { message: description },
        }
    }
}
