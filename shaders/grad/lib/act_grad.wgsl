// Derivatives of the activations in lib/act, safe for every finite argument as those are. `act_grad` is the
// derivative of the activation named by the flag ACT_*; without a flag it is 1.

// s + x s (1 - s), s = sigmoid(x)
fn silu_grad(x: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(x));
    let s = select(e, vec4<f32>(1.0), x >= vec4<f32>(0.0)) / (1.0 + e);
    return s + x * (e / ((1.0 + e) * (1.0 + e)));
}

// t + x (1 - t^2) sigmoid(x), t = tanh(log(1 + exp(x))) as in `mish`
fn mish_grad(x: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(x));
    let positive = x >= vec4<f32>(0.0);
    let above = select(e * (e + 2.0), 1.0 + 2.0 * e, positive);
    let more = select(vec4<f32>(2.0), 2.0 * e * e, positive);
    let t = above / (above + more);
    let s = select(e, vec4<f32>(1.0), positive) / (1.0 + e);
    return t + x * (more / (above + more) * (1.0 + t) * s);
}

// P + x exp(-x^2 / 2) / sqrt(2 pi), P = (1 + erf(x / sqrt(2))) / 2 as in `gelu`
fn gelu_grad(x: vec4<f32>) -> vec4<f32> {
    // Past 9 the result is 0 or 1 in f32. The bound keeps z * z, and x times the remainder, from overflowing.
    let z = min(abs(x) * 0.70710678, vec4<f32>(9.0));
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let series = t * (0.254829592 + t * (-0.284496736
        + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    let bell = exp(-z * z);
    let half_erfc = 0.5 * series * bell;
    let slope = 0.56418958 * z * bell;
    return select(half_erfc - slope, 1.0 - half_erfc + slope, x >= vec4<f32>(0.0));
}

// 0 at 0, as in PyTorch
fn relu_grad(x: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(0.0), vec4<f32>(1.0), x > vec4<f32>(0.0));
}

fn act_grad(x: vec4<f32>) -> vec4<f32> {
    var d = vec4<f32>(1.0);
#if ACT_SILU
    d = silu_grad(x);
#endif
#if ACT_MISH
    d = mish_grad(x);
#endif
#if ACT_GELU
    d = gelu_grad(x);
#endif
#if ACT_RELU
    d = relu_grad(x);
#endif
    return d;
}
