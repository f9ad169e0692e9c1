//! Training on the GPU with the shaders that generate. The graph of `model` is differentiated; one training step (noise
//! the batch, forward, loss, backward, clip, AdamW, EMA) is one plan.
//!
//! ```text
//! config ─► recipe ──────────────┐
//! dataset ─► order, loader ─► feed ─► engine (step: one plan, replayed) ─► trainer ─► checkpoint, log, preview
//! ```
//!
//! * [`trainer`] is the training loop: start reading there.
//! * [`config`], [`presets`]: the settings. [`dataset`]: the pictures.
//! * [`objective`] is the loss. [`gradient`] makes a plan of network, loss and adjoint; [`step`] makes the plan of a
//!   whole training step, and [`engine`] runs it on a GPU.
//! * [`recipe`] and [`feed`] give each step its pictures and numbers. [`order`], [`lr`], [`optimizer`] and
//!   [`weighting`] are functions of the seed and the step.
//! * `run` is a run in progress: `checks` decides whether it can begin, `say` prints what it will do, `accounting`
//!   reads its metrics, `saving` and `drawing` leave [`checkpoint`]s and [`preview`]s (`samples`) in its [`folder`],
//!   beside the [`log`]s and the [`dashboard`].
//! * [`estimate`]: how long it takes. [`watch`]: updates that are not finite. [`caller`], [`interrupt`]: whoever
//!   started it, and when to stop. [`error`]: why it cannot begin or continue.

mod accounting;
pub mod caller;
pub mod checkpoint;
mod checks;
pub mod config;
pub mod dashboard;
pub mod dataset;
mod drawing;
pub mod engine;
pub mod error;
pub mod estimate;
pub mod feed;
pub mod folder;
pub mod gradient;
pub mod init;
pub mod interrupt;
pub mod log;
pub mod lr;
pub mod objective;
pub mod optimizer;
pub mod order;
pub mod presets;
pub mod preview;
pub mod recipe;
mod run;
mod samples;
mod saving;
mod say;
pub mod step;
pub mod trainer;
pub mod watch;
pub mod weighting;
