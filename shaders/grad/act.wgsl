// dx = dy act'(x).
//
// x, dy, dx: [count] vec4. Invocation i makes dx[i].
#import grad/lib/act_grad
#import lib/index
struct Params {
    count: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i >= params.count {
        return;
    }
    dx[i] = dy[i] * act_grad(x[i]);
}
