// d_table[row] += the sum of dy[n] over all n with index[n] = row. The index is rounded and clamped as in
// nn/embedding.
//
// index: [n] vec4, of which the first lane is used. dy: [n][c4] vec4. d_table: [rows][c4] vec4.
// Invocation i makes d_table[i] and goes through n in order.
#import lib/index
struct Params {
    count: u32,
    c4: u32,
    rows: u32,
    n: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> d_table: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i >= params.count {
        return;
    }
    let last = params.rows - 1u;
    var sum = vec4<f32>(0.0);
    for (var n = 0u; n < params.n; n++) {
        let row = u32(clamp(index[n].x + 0.5, 0.0, f32(last) + 0.5));
        if min(row, last) == i / params.c4 {
            sum += dy[n * params.c4 + i % params.c4];
        }
    }
    d_table[i] += sum;
}
