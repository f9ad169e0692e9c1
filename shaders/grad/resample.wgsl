// Adjoints of the operations that change the size:
//   UP:   dx[r][c] = the sum of the 2x2 pixels of dy from (2 r, 2 c) on;
//   DOWN: dx[r][c] = dy[r / 2][c / 2] / 4;
//   otherwise (a stride of 2 alone) dx[2 r][2 c] = dy[r][c], with zeros between.
// Where dy has no such pixel, dx is zero.
//
// dy: [n][h][w][c4] vec4. dx: [n][h_out][w_out][c4] vec4. Invocation i makes dx[i].
#import lib/index
struct Params {
    count: u32,
    h: u32,
    w: u32,
    c4: u32,
    h_out: u32,
    w_out: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i >= params.count {
        return;
    }
    let c4 = params.c4;
    let pixel = i / c4;
    let line = pixel / params.w_out;
    let first = line / params.h_out * params.h;
    let row = line % params.h_out;
    let column = pixel % params.w_out;
    let q = i % c4;
#if UP
    let top = ((first + 2u * row) * params.w + 2u * column) * c4 + q;
    let bottom = top + params.w * c4;
    dx[i] = (dy[top] + dy[top + c4]) + (dy[bottom] + dy[bottom + c4]);
#else
    let source = ((first + row / 2u) * params.w + column / 2u) * c4 + q;
    var found = row / 2u < params.h && column / 2u < params.w;
#if DOWN
    let scale = 0.25;
#else
    let scale = 1.0;
    found = found && (row | column) % 2u == 0u;
#endif
    var d = vec4<f32>(0.0);
    if found {
        d = scale * dy[source];
    }
    dx[i] = d;
#endif
}
