// The gradient of a scale-shift vector: d_scale = gamma S2 + beta S1 and d_shift = S1, c values each.
//
// sums: [n][4][c padded] f32, S1 and S2 first (grad/norm_sums). gamma, beta: [c padded] f32.
// d_vec: [n][stride4] vec4, written from vec4 `offset4` on, zero in the padding.
// Invocation i makes vec4 i % width of image i / width; width is the number of vec4s of 2 c values.
#import lib/index
struct Params {
    count: u32,
    c: u32,
    stride4: u32,
    offset4: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_vec: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i >= params.count {
        return;
    }
    let width = (2u * params.c + 3u) / 4u;
    let image = i / width;
    let padded = (params.c + 3u) / 4u * 4u;
    let s1 = 4u * image * padded;
    var d = vec4<f32>(0.0);
#for l in 0..4
    let c$l = 4u * (i % width) + $lu;
    if c$l < params.c {
        d[$l] = gamma[c$l] * sums[s1 + padded + c$l] + beta[c$l] * sums[s1 + c$l];
    } else if c$l < 2u * params.c {
        d[$l] = sums[s1 + c$l - params.c];
    }
#end
    d_vec[image * params.stride4 + params.offset4 + i % width] = d;
}
