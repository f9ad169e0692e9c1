//! What a checkpoint folder says: diffusers' JSON files, key by key.

pub mod scheduler;
pub mod unet;

pub use scheduler::SchedulerConfig;
pub use unet::UNetConfig;
