//! The flags that choose an activation in `shaders/lib/act.wgsl`.

use crate::config::unet::Activation;

/// The flag that makes `act` compute this activation. Without a flag `act` is the identity.
pub const fn flag(act: Activation) -> &'static str {
    match act {
        Activation::Silu => "ACT_SILU",
        Activation::Mish => "ACT_MISH",
        Activation::Gelu => "ACT_GELU",
        Activation::Relu => "ACT_RELU",
    }
}

/// The flag that makes `pre_act`, which is applied to a kernel's input, compute this activation.
pub const fn pre_flag(act: Activation) -> &'static str {
    match act {
        Activation::Silu => "PRE_SILU",
        Activation::Mish => "PRE_MISH",
        Activation::Gelu => "PRE_GELU",
        Activation::Relu => "PRE_RELU",
    }
}
