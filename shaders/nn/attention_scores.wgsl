// s[n, head, i, j] = scale * (query i of the head) . (key j of the head), 0 for the padding of j.
//
// q [n][t_q][q_stride] vec4, heads side by side from vec4 q_offset on; k the same with t_k rows;
// s [n * heads][t_q][k4] vec4. Without VECTOR (a head's start may be off a vec4) q and k are bound
// as f32. An invocation makes 4 queries x 4 keys: keys fastest, then queries, heads, images.
#import lib/index
struct Params {
    count: u32,
    heads: u32,
    head_dim: u32,
    t_q: u32,
    t_k: u32,
    q_stride: u32,
    q_offset: u32,
    k_stride: u32,
    k_offset: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
#if VECTOR
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
const LANES = 4u;
#else
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
const LANES = 1u;
#endif
@group(0) @binding(3) var<storage, read_write> s: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i >= params.count {
        return;
    }
    let k4 = (params.t_k + 3u) / 4u;
    let q4 = (params.t_q + 3u) / 4u;
    let column = i % k4;
    let row = i / k4 % q4 * 4u;
    let item = i / k4 / q4;
    let image = item / params.heads;
    let width = params.head_dim / LANES;
    let start = item % params.heads * width;
    let q_start = params.q_offset * (4u / LANES) + start;
    let k_start = params.k_offset * (4u / LANES) + start;
    let q_first = image * params.t_q;
    let k_first = image * params.t_k;
    // Rows past the end repeat the last one; what they make is not stored, or masked.
#for r in 0..4
    let qr$r = (q_first + min(row + $ru, params.t_q - 1u)) * params.q_stride * (4u / LANES) + q_start;
    let kr$r = (k_first + min(4u * column + $ru, params.t_k - 1u)) * params.k_stride * (4u / LANES) + k_start;
    var s$r = vec4<f32>(0.0);
#end
    for (var d = 0u; d < width; d++) {
#for r in 0..4
        let k$r = k[kr$r + d];
#end
#for r in 0..4
        let q$r = q[qr$r + d];
#if VECTOR
        s$r += vec4<f32>(dot(q$r, k0), dot(q$r, k1), dot(q$r, k2), dot(q$r, k3));
#else
        s$r += q$r * vec4<f32>(k0, k1, k2, k3);
#endif
#end
    }
    let real = 4u * column + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.t_k);
#for r in 0..4
    if row + $ru < params.t_q {
        s[(item * params.t_q + row + $ru) * k4 + column] = select(vec4<f32>(0.0), params.scale * s$r, real);
    }
#end
}
