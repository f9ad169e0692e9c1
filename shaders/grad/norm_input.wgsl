// dx = a dz - A1 - xhat A2, where dz = dy act'(a x + b) and xhat = (x - mean) rstd. ADD adds another gradient of x.
//
// x, dy, add, dx: [n][pixels][c4] vec4. affine: [n][4][c4] vec4: a, b, mean, rstd.
// sums: [n][4][c4] vec4: S1, S2, A1, A2 from grad/norm_sums. Invocation i makes dx[i].
#import grad/lib/act_grad
#import lib/index
struct Params {
    count: u32,
    pixels: u32,
    c4: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> affine: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> sums: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> dy: array<vec4<f32>>;
#if ADD
@group(0) @binding(5) var<storage, read> add: array<vec4<f32>>;
#endif
@group(0) @binding(OUT) var<storage, read_write> dx: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i >= params.count {
        return;
    }
    let c4 = params.c4;
    let table = i / c4 / params.pixels * 4u * c4 + i % c4;
    let value = x[i];
    let a = affine[table];
    let dz = dy[i] * act_grad(a * value + affine[table + c4]);
    let xhat = (value - affine[table + 2u * c4]) * affine[table + 3u * c4];
    var d = a * dz - sums[table + 2u * c4] - xhat * sums[table + 3u * c4];
#if ADD
    d += add[i];
#endif
    dx[i] = d;
}
