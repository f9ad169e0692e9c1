//! What a checkpoint holds: safetensors, names, and their packing for the kernels.

pub mod pack;
