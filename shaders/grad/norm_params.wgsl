// d_gamma[c] += sum over n of (1 + s) S2 and d_beta[c] += sum over n of (1 + s) S1. Without SCALE_SHIFT s is 0.
//
// sums: [n][4][c4] vec4, S1 and S2 first (grad/norm_sums). temb (with SCALE_SHIFT): [n][stride] f32, the c scales from
// `offset` on. d_gamma, d_beta: [c4] vec4. Invocation i makes vec4 i of both and goes through n in order.
#import lib/index
struct Params {
    n: u32,
    c: u32,
    stride: u32,
    offset: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<vec4<f32>>;
#if SCALE_SHIFT
@group(0) @binding(2) var<storage, read> temb: array<f32>;
#endif
@group(0) @binding(GAMMA) var<storage, read_write> d_gamma: array<vec4<f32>>;
@group(0) @binding(BETA) var<storage, read_write> d_beta: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    let c4 = (params.c + 3u) / 4u;
    if i >= c4 {
        return;
    }
    var gamma = vec4<f32>(0.0);
    var beta = vec4<f32>(0.0);
    for (var n = 0u; n < params.n; n++) {
        var scale = vec4<f32>(1.0);
#if SCALE_SHIFT
#for l in 0..4
        // Past the channels the sums are zero, and this reads the last channel's scale, which is finite.
        scale[$l] += temb[n * params.stride + params.offset + min(4u * i + $lu, params.c - 1u)];
#end
#endif
        beta += scale * sums[4u * n * c4 + i];
        gamma += scale * sums[(4u * n + 1u) * c4 + i];
    }
    d_gamma[i] += gamma;
    d_beta[i] += beta;
}
