//! The trainer, its data sets, and the folder that a run leaves.
#![cfg(feature = "train")]

#[path = "../common/mod.rs"]
mod common;

mod checkpoint;
mod config;
mod damage;
mod data_files;
mod dataset;
mod dataset_arrays;
mod dataset_found;
mod dataset_malformed;
mod export;
mod folder;
#[cfg(unix)]
mod interrupt;
#[cfg(unix)]
mod kill;
mod log;
mod resume;
mod run;
mod small_run;
mod small_training;
mod steps;
mod tables;
