// The sums of squares of a gradient buffer, one for every CHUNK vec4s.
//
// g: [len4] vec4. partials: f32. One is written for each chunk of g, from `first` on.
// With SERIAL invocation i makes sum i; otherwise workgroup i does.
struct Params {
    len4: u32,
    first: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;

fn square(j: u32) -> f32 {
    return dot(g[j], g[j]);
}

#if SERIAL
@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.y * (FOLD * 8u) + id.x;
    let begin = i * CHUNK;
    if begin >= params.len4 {
        return;
    }
    // Sums of 64 terms are summed: the error of f32 grows with the number of terms in one chain.
    let end = min(begin + CHUNK, params.len4);
    var total = 0.0;
    for (var row = begin; row < end; row += 64u) {
        var sum = 0.0;
        for (var j = row; j < min(row + 64u, end); j++) {
            sum += square(j);
        }
        total += sum;
    }
    partials[params.first + i] = total;
}
#else
const THREADS = 256u;
var<workgroup> shared_sum: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = id.y * FOLD + id.x;
    let begin = i * CHUNK;
    if begin >= params.len4 {
        return;
    }
    let end = min(begin + CHUNK, params.len4);
    var sum = 0.0;
    for (var j = begin + lane; j < end; j += THREADS) {
        sum += square(j);
    }
    shared_sum[lane] = sum;
    for (var s = THREADS / 2u; s > 0u; s /= 2u) {
        workgroupBarrier();
        if lane < s {
            shared_sum[lane] += shared_sum[lane + s];
        }
    }
    if lane == 0u {
        partials[params.first + i] = shared_sum[0];
    }
}
#endif
