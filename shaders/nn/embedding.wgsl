// y[n] = table[index[n]], the index rounded and clamped to the table.
//
// index: [n] vec4, of which the first lane is used. table: [rows][c4] vec4. y: [n][c4] vec4.
// Invocation i makes y[i].
#import lib/index
struct Params {
    count: u32,
    c4: u32,
    rows: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i >= params.count {
        return;
    }
    let last = params.rows - 1u;
    let row = u32(clamp(index[i / params.c4].x + 0.5, 0.0, f32(last) + 0.5));
    y[i] = table[min(row, last) * params.c4 + i % params.c4];
}
