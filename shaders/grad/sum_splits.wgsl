// out[i] += sum over s of partials[s][i], in the order of s. This is the last step of a sum that was computed in
// parts.
//
// partials [splits][len], out [len], vec4; an invocation makes one vec4.
struct Params {
    len: u32,
    splits: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
    let i = gid.y * (FOLD * 64u) + gid.x;
    if i >= params.len {
        return;
    }
    var sum = vec4<f32>(0.0);
    for (var s = 0u; s < params.splits; s++) {
        sum += partials[s * params.len + i];
    }
    out[i] += sum;
}
