//! The binary as a user runs it: what it prints and where, exit codes, and the files it makes.

#[path = "../common/mod.rs"]
mod common;

mod generate;
#[cfg(target_os = "linux")]
mod lost_device;
#[cfg(all(feature = "train", unix))]
mod stop;
#[cfg(feature = "train")]
mod train;
#[cfg(feature = "train")]
mod train_commands;
