//! Training on the GPU, with the shaders that generate: the graph of `model` is differentiated, and one
//! training step (noise the batch, forward, loss, backward, clip, AdamW, EMA) is one plan.
//!
//! ```text
//! config ─► recipe ──────────────┐
//! dataset ─► order, loader ─► feed ─► engine (step: one plan, replayed) ─► trainer ─► checkpoint, log, preview
//! ```
//!
//! * [`config`], [`presets`]: the settings. [`dataset`]: what is learned from.
//! * [`gradient`] makes a plan of network, loss and adjoint; [`step`] one of a whole training step.
//! * [`engine`] runs it on a GPU. [`recipe`] and [`feed`] say what each step is told: [`order`], [`lr`],
//!   [`optimizer`], [`weighting`] are functions of the seed and the step.
//! * [`trainer`] is the loop in a run's [`folder`], once `checks` let it and `say` has told what it will be:
//!   [`checkpoint`]s, [`log`]s, [`preview`]s (their files: `samples`), [`interrupt`]ions, the [`watch`] for what is not
//!   finite, the [`dashboard`]. [`error`]: why it cannot begin or go on.

pub mod checkpoint;
mod checks;
pub mod config;
pub mod dashboard;
pub mod dataset;
pub mod engine;
pub mod error;
pub mod feed;
pub mod folder;
pub mod gradient;
pub mod init;
pub mod interrupt;
pub mod log;
pub mod lr;
pub mod optimizer;
pub mod order;
pub mod presets;
pub mod preview;
pub mod recipe;
mod samples;
mod say;
pub mod step;
pub mod trainer;
pub mod watch;
pub mod weighting;
