// o[n, i, head] = sum_j softmax_j(scale q[n, i, head] . k[n, j, head]) v[n, j, head] without a score matrix: whenever
// a larger score appears, the sums so far are rescaled (Milakov and Gimelshein 2018). The tiles are FlashAttention's.
//
// q, k, v: [n][tokens][stride] vec4, heads of D4 vec4s side by side from vec4 `offset` on.
// o: [n][tokens][heads * D4] vec4.
// An invocation makes one query of one head. Queries vary fastest, then heads, then images. With SERIAL every
// invocation reads the keys itself. Otherwise the 64 queries of a workgroup belong to one head and share tiles of keys.
struct Params {
    count: u32,
    heads: u32,
    tokens: u32,
    q_stride: u32,
    q_offset: u32,
    k_stride: u32,
    k_offset: u32,
    v_stride: u32,
    v_offset: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> o: array<vec4<f32>>;

const NONE = -3.0e38;

#if !SERIAL
// Keys in a tile. For the largest heads, of 64 channels, the two arrays take 8 KiB.
const TILE = 16u;
var<workgroup> tile_k: array<vec4<f32>, TILE * D4>;
var<workgroup> tile_v: array<vec4<f32>, TILE * D4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let group = id.y * FOLD + id.x;
    if group >= params.count {
        return;
    }
    let blocks = (params.tokens + 63u) / 64u;
    let item = group / blocks;
    let query = group % blocks * 64u + thread;
#else
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.y * (FOLD * 64u) + id.x;
    if i >= params.count {
        return;
    }
    let item = i / params.tokens;
    let query = i % params.tokens;
#endif
    let first = item / params.heads * params.tokens;
    let start = item % params.heads * D4;
    let last = params.tokens - 1u;
    let q_row = (first + min(query, last)) * params.q_stride + params.q_offset + start;
#for d in 0..D4
    let q$d = params.scale * q[q_row + $du];
    var o$d = vec4<f32>(0.0);
#end
    var top = NONE;
    var sum = 0.0;
#if !SERIAL
    for (var from_key = 0u; from_key < params.tokens; from_key += TILE) {
        workgroupBarrier();
        for (var e = thread; e < TILE * D4; e += 64u) {
            let row = first + min(from_key + e / D4, last);
            tile_k[e] = k[row * params.k_stride + params.k_offset + start + e % D4];
            tile_v[e] = v[row * params.v_stride + params.v_offset + start + e % D4];
        }
        workgroupBarrier();
        for (var j = from_key; j < from_key + TILE; j += 4u) {
#for l in 0..4
            let k$l = (j - from_key + $lu) * D4;
            let v$l = k$l;
#end
#else
    {
        for (var j = 0u; j < params.tokens; j += 4u) {
#for l in 0..4
            let row$l = first + min(j + $lu, last);
            let k$l = row$l * params.k_stride + params.k_offset + start;
            let v$l = row$l * params.v_stride + params.v_offset + start;
#end
#endif
            var s = vec4<f32>(0.0);
#for d in 0..D4
#if SERIAL
            s += vec4<f32>(dot(q$d, k[k0 + $du]), dot(q$d, k[k1 + $du]), dot(q$d, k[k2 + $du]), dot(q$d, k[k3 + $du]));
#else
            s += vec4<f32>(dot(q$d, tile_k[k0 + $du]), dot(q$d, tile_k[k1 + $du]), dot(q$d, tile_k[k2 + $du]), dot(q$d, tile_k[k3 + $du]));
#endif
#end
            let real = j + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.tokens);
            s = select(vec4<f32>(NONE), s, real);
            let high = max(top, max(max(s.x, s.y), max(s.z, s.w)));
            let keep = exp(top - high);
            let p = select(vec4<f32>(0.0), exp(s - high), real);
            top = high;
            sum = sum * keep + ((p.x + p.y) + (p.z + p.w));
#for d in 0..D4
#if SERIAL
            o$d = o$d * keep + (p.x * v[v0 + $du] + p.y * v[v1 + $du] + p.z * v[v2 + $du] + p.w * v[v3 + $du]);
#else
            o$d = o$d * keep + (p.x * tile_v[v0 + $du] + p.y * tile_v[v1 + $du] + p.z * tile_v[v2 + $du] + p.w * tile_v[v3 + $du]);
#endif
#end
        }
    }
    if query < params.tokens {
        let o_row = (first + query) * params.heads * D4 + start;
#for d in 0..D4
        o[o_row + $du] = o$d / sum;
#end
    }
}
