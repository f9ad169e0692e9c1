// The gradient's norm, and the factor that torch.nn.utils.clip_grad_norm_ multiplies the gradient by:
//   factor = min(1, max_norm / (norm + 1e-6)); 1 if max_norm is 0, and 0 if the norm is not finite.
//
// partials: [parts] f32, sums of squares. result: vec4: norm, factor, 1 if the norm is finite or else 0, and zero.
// One workgroup (with SERIAL one invocation) does it.
struct Params {
    parts: u32,
    max_norm: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<vec4<f32>>;

#if !SERIAL
const THREADS = 256u;
var<workgroup> shared_sum: array<f32, 256>;

@compute @workgroup_size(256)
#else
const THREADS = 1u;

@compute @workgroup_size(1)
#endif
fn main(@builtin(local_invocation_index) lane: u32) {
    // Sums of 64 terms are summed: the error of f32 grows with the number of terms in one chain.
    var sum = 0.0;
    for (var begin = lane; begin < params.parts; begin += 64u * THREADS) {
        var part = 0.0;
        for (var j = begin; j < min(begin + 64u * THREADS, params.parts); j += THREADS) {
            part += partials[j];
        }
        sum += part;
    }
#if !SERIAL
    shared_sum[lane] = sum;
    for (var s = THREADS / 2u; s > 0u; s /= 2u) {
        workgroupBarrier();
        if lane < s {
            shared_sum[lane] += shared_sum[lane + s];
        }
    }
    if lane > 0u {
        return;
    }
    sum = shared_sum[0];
#endif
    // Test the bits, because a compiler may assume that every float is finite.
    let finite = (bitcast<u32>(sum) & 0x7f800000u) != 0x7f800000u;
    let norm = sqrt(sum);
    var factor = 1.0;
    if params.max_norm > 0.0 {
        factor = min(1.0, params.max_norm / (norm + 1e-6));
    }
    result[0] = vec4<f32>(norm, select(0.0, factor, finite), select(0.0, 1.0, finite), 0.0);
}
