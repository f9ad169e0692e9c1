// Activations of a vec4. They are safe for every finite argument, because they take exponentials only of numbers <= 0.
//
// `act` is the activation named by the flag ACT_SILU, ACT_MISH, ACT_GELU or ACT_RELU. Without a flag it is the
// identity. `pre_act` does the same for PRE_*, so a kernel can have one activation on its input and another on its
// output.

// x * sigmoid(x)
fn silu(x: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(x));
    return x * (select(e, vec4<f32>(1.0), x >= vec4<f32>(0.0)) / (1.0 + e));
}

// x * tanh(log(1 + exp(x))), where tanh(log(u)) = (u^2 - 1) / (u^2 + 1)
fn mish(x: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(x));
    let positive = x >= vec4<f32>(0.0);
    let above = select(e * (e + 2.0), 1.0 + 2.0 * e, positive);
    let more = select(vec4<f32>(2.0), 2.0 * e * e, positive);
    return x * (above / (above + more));
}

// x * (1 + erf(x / sqrt(2))) / 2, with erfc for x >= 0 from Abramowitz and Stegun 7.1.26 (absolute error 1.5e-7).
// Computing it from erfc rather than erf preserves the digits of the negative tail.
fn gelu(x: vec4<f32>) -> vec4<f32> {
    let z = abs(x) * 0.70710678;
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let series = t * (0.254829592 + t * (-0.284496736
        + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    // Past 9 erfc is 0 in f32. The bound keeps z * z from overflowing.
    let near = min(z, vec4<f32>(9.0));
    let half_erfc = 0.5 * series * exp(-near * near);
    return x * select(half_erfc, 1.0 - half_erfc, x >= vec4<f32>(0.0));
}

fn relu(x: vec4<f32>) -> vec4<f32> {
    return max(x, vec4<f32>(0.0));
}

fn act(x: vec4<f32>) -> vec4<f32> {
    var y = x;
#if ACT_SILU
    y = silu(x);
#endif
#if ACT_MISH
    y = mish(x);
#endif
#if ACT_GELU
    y = gelu(x);
#endif
#if ACT_RELU
    y = relu(x);
#endif
    return y;
}

fn pre_act(x: vec4<f32>) -> vec4<f32> {
    var y = x;
#if PRE_SILU
    y = silu(x);
#endif
#if PRE_MISH
    y = mish(x);
#endif
#if PRE_GELU
    y = gelu(x);
#endif
#if PRE_RELU
    y = relu(x);
#endif
    return y;
}
