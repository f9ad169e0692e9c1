// y = act(a x + b), where x has the channels of x0 and then, with SECOND, those of x1. The padding stays zero,
// because act(0) = 0 for every activation.
//
// x0: [n][pixels][first4] vec4. x1: [n][pixels][second4] vec4. y: [n][pixels][c4] vec4.
// affine (with AFFINE): [n][2][c4] vec4, a row of a and a row of b; with STATS two more rows follow.
// Invocation i makes y[i].
#import lib/act
#import lib/index
struct Params {
    count: u32,
    pixels: u32,
    first4: u32,
    second4: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x0: array<vec4<f32>>;
#if SECOND
@group(0) @binding(2) var<storage, read> x1: array<vec4<f32>>;
#endif
#if AFFINE
@group(0) @binding(AFFINE) var<storage, read> affine: array<vec4<f32>>;
#endif
@group(0) @binding(OUT) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i >= params.count {
        return;
    }
    let c4 = params.first4 + params.second4;
    let pixel = i / c4;
    let q = i % c4;
#if SECOND
    var x: vec4<f32>;
    if q < params.first4 {
        x = x0[pixel * params.first4 + q];
    } else {
        x = x1[pixel * params.second4 + q - params.first4];
    }
#else
    var x = x0[i];
#endif
#if AFFINE
#if STATS
    let a = pixel / params.pixels * 4u * c4 + q;
#else
    let a = pixel / params.pixels * 2u * c4 + q;
#endif
    x = affine[a] * x + affine[a + c4];
#endif
    y[i] = act(x);
}
