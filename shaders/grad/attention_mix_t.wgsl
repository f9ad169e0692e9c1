// o[n, j, c] = sum_i s[n, c / head_dim, i, j] v[n, i, c], 0 in the padding of c: nn/attention_mix with the score
// matrices transposed.
//
// s: [n * heads][tokens][t4] vec4.
// v: [n][tokens][v_stride] vec4, its channels start at vec4 `v_offset`. o: [n][tokens][o_stride] vec4, likewise.
// With VECTOR all four channels of a vec4 are in one head; otherwise each lane looks up its own.
// An invocation makes 4 keys j of one vec4 of channels. Channels vary fastest, then keys, then images.
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
    let tokens = params.tokens;
    let t4 = (tokens + 3u) / 4u;
    let inner = params.heads * params.head_dim;
    let c4 = (inner + 3u) / 4u;
    let column = i % c4;
    let key4 = i / c4 % t4;
    let image = i / c4 / t4;
    let v_start = image * tokens * params.v_stride + params.v_offset + column;
    // The column of s in the first row of each lane's head.
#if VECTOR
    let s0 = (image * params.heads + 4u * column / params.head_dim) * tokens * t4 + key4;
#else
#for l in 0..4
    let s$l = (image * params.heads + min((4u * column + $lu) / params.head_dim, params.heads - 1u)) * tokens * t4 + key4;
#end
#endif
#for r in 0..4
    var o$r = vec4<f32>(0.0);
#end
    for (var row = 0u; row < tokens; row++) {
        let value = v[v_start + row * params.v_stride];
#if VECTOR
        let weight = s[s0 + row * t4];
#for r in 0..4
        o$r += weight[$r] * value;
#end
#else
        let weights = transpose(mat4x4<f32>(
#for l in 0..4
            s[s$l + row * t4],
#end
        ));
#for r in 0..4
        o$r += weights[$r] * value;
#end
#endif
    }
    let real = 4u * column + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(inner);
#for r in 0..4
    if 4u * key4 + $ru < tokens {
        o[(image * tokens + 4u * key4 + $ru) * params.o_stride + params.o_offset + column] = select(vec4<f32>(0.0), o$r, real);
    }
#end
}
