// The loss L = factor sum_i w_i mean(l(o_i - y_i)), where the mean of an item is over its c channels and all pixels,
// and its gradient d_o = factor w_i / (pixels c) l'(o - y). With d = o - y:
//   l = d^2; with ABSOLUTE |d|, with gradient 0 at 0; with HUBER d^2 / 2 if |d| < delta, else
//   delta (|d| - delta / 2), as torch.nn.functional.huber_loss.
//
// items: [n][2] vec4 from train/items, w in lane z of the second. output: [n][pixels][o4] vec4.
// aim (the target y): [n][pixels][c4] vec4. d_output: as output, zero in the channels past c.
// item_loss: [n] vec4: the mean of l, w times that mean, and two zeros. A kernel that trains the channels past c (a
// learned variance) runs after this one: it fills those channels, and writes its term in place of the zeros.
//
// With SERIAL invocation i makes item i; otherwise workgroup i does.
struct Params {
    n: u32,
    pixels: u32,
    c: u32,
    o4: u32,
    factor: f32,
    delta: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> items: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> output: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> aim: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> d_output: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> item_loss: array<vec4<f32>>;

fn loss(d: vec4<f32>) -> vec4<f32> {
#if ABSOLUTE
    return abs(d);
#else
#if HUBER
    let size = abs(d);
    let far = params.delta * (size - 0.5 * params.delta);
    return select(far, 0.5 * d * d, size < vec4<f32>(params.delta));
#else
    return d * d;
#endif
#endif
}

fn slope(d: vec4<f32>) -> vec4<f32> {
#if ABSOLUTE
    return unless_finite(d, sign(d));
#else
#if HUBER
    return unless_finite(d, clamp(d, vec4<f32>(-params.delta), vec4<f32>(params.delta)));
#else
    return 2.0 * d;
#endif
#endif
}

// A NaN or infinity must reach the gradient's norm, but clamp and sign may drop it.
fn unless_finite(d: vec4<f32>, value: vec4<f32>) -> vec4<f32> {
    let exponent = bitcast<vec4<u32>>(d) & vec4<u32>(0x7f800000u);
    return select(value, d, exponent == vec4<u32>(0x7f800000u));
}

#if !SERIAL
const THREADS = 256u;
var<workgroup> shared_sum: array<f32, 256>;

// The sum over the workgroup, always in the same order. Only invocation 0 gets it.
fn reduce(value: f32, lane: u32) -> f32 {
    shared_sum[lane] = value;
    for (var s = THREADS / 2u; s > 0u; s /= 2u) {
        workgroupBarrier();
        if lane < s {
            shared_sum[lane] += shared_sum[lane + s];
        }
    }
    return shared_sum[0];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = id.y * FOLD + id.x;
#else
const THREADS = 1u;

fn reduce(value: f32, lane: u32) -> f32 {
    return value;
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = 0u;
    let i = id.y * (FOLD * 8u) + id.x;
#endif
    if i >= params.n {
        return;
    }
    let weight = bitcast<f32>(items[2u * i + 1u].z);
    let count = f32(params.pixels * params.c);
    let scale = params.factor * weight / count;
    let c4 = (params.c + 3u) / 4u;
    let first = i * params.pixels;

    // Sums of 256 terms are summed: the error of f32 grows with the number of terms in one chain.
    var total = vec4<f32>(0.0);
    let elements = params.pixels * params.o4;
    for (var chunk = lane; chunk < elements; chunk += 256u * THREADS) {
        var sum = vec4<f32>(0.0);
        let to = min(chunk + 256u * THREADS, elements);
        for (var j = chunk; j < to; j += THREADS) {
            let q = j % params.o4;
            let at = first * params.o4 + j;
            var gradient = vec4<f32>(0.0);
            if q < c4 {
                let inside = 4u * q + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.c);
                let d = output[at] - aim[(first + j / params.o4) * c4 + q];
                gradient = select(gradient, scale * slope(d), inside);
                sum += select(vec4<f32>(0.0), loss(d), inside);
            }
            d_output[at] = gradient;
        }
        total += sum;
    }
    let mean = reduce((total.x + total.y) + (total.z + total.w), lane) / count;
    if lane == 0u {
        item_loss[i] = vec4<f32>(mean, weight * mean, 0.0, 0.0);
    }
}
