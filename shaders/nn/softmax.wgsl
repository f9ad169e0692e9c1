// s[row][j] = exp(s[row][j] - max_j) / sum_j for j < c, 0 in the padding; in place.
//
// s: [rows][c4] vec4. With SERIAL invocation i makes row i. Otherwise LANES invocations of a workgroup of 64 share a
// row, and workgroup i makes the 64 / LANES rows from i * 64 / LANES on.
struct Params {
    rows: u32,
    c: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> s: array<vec4<f32>>;

#if SERIAL
const LANES = 1u;
#else
var<workgroup> shared_part: array<f32, 64>;
#endif

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = (id.y * FOLD + id.x) * (64u / LANES) + thread / LANES;
    let lane = thread % LANES;
    let c4 = (params.c + 3u) / 4u;
    let start = row * c4;
    // A row past the end gets no columns instead of returning, so that every invocation reaches the barriers.
    let columns = select(0u, c4, row < params.rows);

    var high = vec4<f32>(-3.0e38);
    for (var j = lane; j < columns; j += LANES) {
        high = max(high, select(vec4<f32>(-3.0e38), s[start + j], real(j)));
    }
    var top = max(max(high.x, high.y), max(high.z, high.w));
#if !SERIAL
    shared_part[thread] = top;
    for (var reach = LANES / 2u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if lane < reach {
            shared_part[thread] = max(shared_part[thread], shared_part[thread + reach]);
        }
    }
    workgroupBarrier();
    top = shared_part[thread - lane];
    workgroupBarrier();
#endif

    var sums = vec4<f32>(0.0);
    for (var j = lane; j < columns; j += LANES) {
        let e = select(vec4<f32>(0.0), exp(s[start + j] - top), real(j));
        s[start + j] = e;
        sums += e;
    }
    var sum = (sums.x + sums.y) + (sums.z + sums.w);
#if !SERIAL
    shared_part[thread] = sum;
    for (var reach = LANES / 2u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if lane < reach {
            shared_part[thread] += shared_part[thread + reach];
        }
    }
    workgroupBarrier();
    sum = shared_part[thread - lane];
#endif
    let norm = 1.0 / sum;
    for (var j = lane; j < columns; j += LANES) {
        s[start + j] *= norm;
    }
}

fn real(j: u32) -> vec4<bool> {
    return 4u * j + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.c);
}
