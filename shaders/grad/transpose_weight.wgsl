// out[K-1-ky, K-1-kx, o, c] = w[ky, kx, c, o]: the weights of the convolution that is the adjoint of a
// convolution with respect to its input.
//
// w: [taps][c * 4][co] vec4. out: [taps][co * 4][c] vec4. An invocation moves a block of 4 x 4.
struct Params {
    taps: u32,
    c: u32, // vec4s
    co: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
    let i = gid.y * (FOLD * 64u) + gid.x;
    let o = i % params.co;
    let c = i / params.co % params.c;
    let tap = i / (params.co * params.c);
    if tap >= params.taps {
        return;
    }
    let source = (tap * params.c + c) * 4u * params.co + o;
    let block = transpose(mat4x4<f32>(
        w[source], w[source + params.co], w[source + 2u * params.co], w[source + 3u * params.co],
    ));
    let to = ((params.taps - 1u - tap) * params.co + o) * 4u * params.c + c;
    out[to] = block[0];
    out[to + params.c] = block[1];
    out[to + 2u * params.c] = block[2];
    out[to + 3u * params.c] = block[3];
}
