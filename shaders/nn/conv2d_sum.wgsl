// The second half of a convolution whose sum conv2d_tiled.wgsl has computed in parts:
// out = act((sum over the parts, in order + bias + add + residual) * scale).
//
// parts [parts][rows][co], bias [co], add [n][add_stride], residual and out [rows][co], all vec4. The rows are the
// pixels of all images. An invocation makes one vec4.
#import lib/act

struct Params {
    len: u32, // rows * co
    parts: u32,
    co: u32,
    pixels: u32, // of an image
    add_stride: u32,
    add_offset: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<vec4<f32>>;
#if BIAS
@group(0) @binding(B_BIAS) var<storage, read> bias: array<vec4<f32>>;
#endif
#if ADD
@group(0) @binding(B_ADD) var<storage, read> add: array<vec4<f32>>;
#endif
#if RESIDUAL
@group(0) @binding(B_RESIDUAL) var<storage, read> residual: array<vec4<f32>>;
#endif
@group(0) @binding(B_OUT) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
    let i = gid.y * (FOLD * 64u) + gid.x;
    let len = params.len;
    if (i >= len) {
        return;
    }
    let count = params.parts;
    let o = i % params.co;
    var result = vec4<f32>(0.0);
    // Four loads are in flight at once; the sum keeps its order.
    var part = 0u;
    for (; part + 4u <= count; part += 4u) {
        let at = part * len + i;
#for k in 0..4
        let p$k = parts[at + $ku * len];
#end
#for k in 0..4
        result += p$k;
#end
    }
    for (; part < count; part++) {
        result += parts[part * len + i];
    }
#if BIAS
    result += bias[o];
#endif
#if ADD
    result += add[i / params.co / params.pixels * params.add_stride + params.add_offset + o];
#endif
#if RESIDUAL
    result += residual[i];
#endif
    out[i] = act(result * params.scale);
}
