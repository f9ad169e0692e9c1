// The limit of dynamic thresholding for each image: the quantile of |kx x_t + ko o| over its c channels, with linear
// interpolation, clamped to 1 .. cap. It is exact: the order statistic of rank `below` is found bit by bit, by
// counting smaller elements. (The bits of non-negative floats are ordered as the values are.)
//
// state: [8] and table: [steps][3] vec4 as in diffusion/step. o: [n][pixels][o4] vec4. x_t: [n][pixels][c4] vec4.
// limits: [n] vec4, the limit in the first lane.
//
// Workgroup i makes limits[i]. Nothing happens when step >= steps.
struct Params {
    pixels: u32,
    c: u32,
    c4: u32,
    o4: u32,
    below: u32,
    weight: f32,
    cap: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> output: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> x_t: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> limits: array<vec4<f32>>;

var<workgroup> shared_count: array<u32, 256>;
var<workgroup> shared_next: array<u32, 256>;

// The bits of the absolute values in the image's vec4 j. Those of the padding sort last.
fn magnitudes(image: u32, j: u32, k: vec2<f32>) -> vec4<u32> {
    let pixel = image * params.pixels + j / params.c4;
    let q = j % params.c4;
    let x0 = k.x * x_t[pixel * params.c4 + q] + k.y * output[pixel * params.o4 + q];
    let inside = 4u * q + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.c);
    return select(vec4<u32>(0xffffffffu), bitcast<vec4<u32>>(abs(x0)), inside);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let step = state[0];
    if step >= state[1] {
        return;
    }
    let image = group.x;
    let count4 = params.pixels * params.c4;
    let k = table[3u * step].xy;

    // The largest value with at most `below` smaller elements.
    var low = 0u;
    for (var bit = 0u; bit < 31u; bit++) {
        let candidate = low | (0x40000000u >> bit);
        var smaller = vec4<u32>(0u);
        for (var j = lane; j < count4; j += 256u) {
            smaller += vec4<u32>(magnitudes(image, j, k) < vec4<u32>(candidate));
        }
        workgroupBarrier();
        shared_count[lane] = smaller.x + smaller.y + smaller.z + smaller.w;
        for (var s = 128u; s > 0u; s /= 2u) {
            workgroupBarrier();
            if lane < s {
                shared_count[lane] += shared_count[lane + s];
            }
        }
        workgroupBarrier();
        if shared_count[0] <= params.below {
            low = candidate;
        }
    }

    // The next order statistic: `low` itself if it is repeated, otherwise the smallest element above it.
    var repeats = vec4<u32>(0u);
    var next = vec4<u32>(0xffffffffu);
    for (var j = lane; j < count4; j += 256u) {
        let bits = magnitudes(image, j, k);
        repeats += vec4<u32>(bits <= vec4<u32>(low));
        next = min(next, select(vec4<u32>(0xffffffffu), bits, bits > vec4<u32>(low)));
    }
    workgroupBarrier();
    shared_count[lane] = repeats.x + repeats.y + repeats.z + repeats.w;
    shared_next[lane] = min(min(next.x, next.y), min(next.z, next.w));
    for (var s = 128u; s > 0u; s /= 2u) {
        workgroupBarrier();
        if lane < s {
            shared_count[lane] += shared_count[lane + s];
            shared_next[lane] = min(shared_next[lane], shared_next[lane + s]);
        }
    }
    workgroupBarrier();
    if lane == 0u {
        let value = bitcast<f32>(low);
        var above = value;
        if shared_count[0] < params.below + 2u && params.weight > 0.0 {
            above = bitcast<f32>(shared_next[0]);
        }
        let quantile = value + params.weight * (above - value);
        limits[image] = vec4<f32>(min(max(quantile, 1.0), params.cap), 0.0, 0.0, 0.0);
    }
}
