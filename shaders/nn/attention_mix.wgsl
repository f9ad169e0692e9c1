// o[n, i, c] = sum_j s[n, c / head_dim, i, j] v[n, j, c]; 0 in the padding of c.
//
// s: [n * heads][tokens][t4] vec4, zero past the last token.
// v: [n][tokens][v_stride] vec4, its channels start at vec4 `v_offset`. o: [n][tokens][o_stride] vec4, likewise.
// With VECTOR all four channels of a vec4 are in one head; otherwise each lane looks up its own.
// An invocation makes 4 queries of one vec4 of channels. Channels vary fastest, then queries, then images.
#import lib/index
struct Params {
    count: u32,
    heads: u32,
    head_dim: u32,
    tokens: u32,
    v_stride: u32,
    v_offset: u32,
    o_stride: u32,
    o_offset: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> s: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> o: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i >= params.count {
        return;
    }
    let t4 = (params.tokens + 3u) / 4u;
    let inner = params.heads * params.head_dim;
    let c4 = (inner + 3u) / 4u;
    let column = i % c4;
    let row = i / c4 % t4 * 4u;
    let image = i / c4 / t4;
    let v_first = image * params.tokens;
    let v_start = params.v_offset + column;
    // The first row of s in each lane's head.
#if VECTOR
    let head0 = (image * params.heads + 4u * column / params.head_dim) * params.tokens;
#else
#for l in 0..4
    let head$l = (image * params.heads + min((4u * column + $lu) / params.head_dim, params.heads - 1u)) * params.tokens;
#end
#endif
#for r in 0..4
    let row$r = min(row + $ru, params.tokens - 1u);
    var o$r = vec4<f32>(0.0);
#end
    for (var j = 0u; j < t4; j++) {
#for l in 0..4
        let v$l = v[(v_first + min(4u * j + $lu, params.tokens - 1u)) * params.v_stride + v_start];
#end
        let m = mat4x4<f32>(v0, v1, v2, v3);
#if VECTOR
#for r in 0..4
        o$r += m * s[(head0 + row$r) * t4 + j];
#end
#else
        let t = transpose(m);
#for r in 0..4
        o$r += vec4<f32>(
#for l in 0..4
            dot(s[(head$l + row$r) * t4 + j], t[$l]),
#end
        );
#end
#endif
    }
    let real = 4u * column + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(inner);
#for r in 0..4
    if row + $ru < params.tokens {
        o[(image * params.tokens + row + $ru) * params.o_stride + params.o_offset + column] = select(vec4<f32>(0.0), o$r, real);
    }
#end
}
