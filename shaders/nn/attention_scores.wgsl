// s[n, head, i, j] = scale q[n, i, head] . k[n, j, head]; 0 in the padding of j.
//
// q: [n][tokens][q_stride] vec4, heads side by side from vec4 `q_offset` on. k: [n][tokens][k_stride] vec4, likewise.
// s: [n * heads][tokens][t4] vec4.
// Without VECTOR a head may start inside a vec4, and q and k are bound as f32.
// An invocation makes 4 queries x 4 keys. Squares of `side` x `side` invocations read the same rows of q and k, so they
// run side by side; keys vary fastest in a square, then queries. Squares follow in the same order, then heads and images.
#import lib/index
struct Params {
    count: u32,
    heads: u32,
    head_dim: u32,
    tokens: u32,
    q_stride: u32,
    q_offset: u32,
    k_stride: u32,
    k_offset: u32,
    scale: f32,
    side: u32, // a divisor of t4
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
    let t4 = (params.tokens + 3u) / 4u;
    let square = i / (params.side * params.side);
    let squares = t4 / params.side;
    let column = square % squares * params.side + i % params.side;
    let row = (square / squares % squares * params.side + i / params.side % params.side) * 4u;
    let item = square / squares / squares;
    let image = item / params.heads;
    let width = params.head_dim / LANES;
    let start = item % params.heads * width;
    let q_start = params.q_offset * (4u / LANES) + start;
    let k_start = params.k_offset * (4u / LANES) + start;
    let first = image * params.tokens;
    // Rows past the end repeat the last one; their results are masked or not stored.
#for r in 0..4
    let qr$r = (first + min(row + $ru, params.tokens - 1u)) * params.q_stride * (4u / LANES) + q_start;
    let kr$r = (first + min(4u * column + $ru, params.tokens - 1u)) * params.k_stride * (4u / LANES) + k_start;
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
    let real = 4u * column + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.tokens);
#for r in 0..4
    if row + $ru < params.tokens {
        s[(item * params.tokens + row + $ru) * t4 + column] = select(vec4<f32>(0.0), params.scale * s$r, real);
    }
#end
}
