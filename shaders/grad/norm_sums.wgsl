// The sums that GroupNorm's adjoint needs. With dz = dy act'(a x + b) and xhat = (x - mean) rstd:
// S1_c = sum of dz and S2_c = sum of dz xhat over an image's pixels; A1 = sum of a_c S1_c / M and
// A2 = sum of a_c S2_c / M over a group's channels, where M = pixels * channels of a group.
//
// x, dy: [n][pixels][c4] vec4. affine: [n][4][c4] vec4: a, b, mean, rstd.
// sums: [n][4][c4 * 4] f32: S1, S2, A1, A2. A1 and A2 are repeated for every channel of the group; the padding is zero.
//
// With SERIAL invocation i makes group i % groups of image i / groups. Otherwise workgroup i does: its invocations
// are `lanes` vec4s wide, so that neighbours read neighbours, and 256 / lanes pixels high.
#import grad/lib/act_grad
struct Params {
    count: u32,
    groups: u32,
    pixels: u32,
    c: u32,
    lanes: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> affine: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

// 1 for the lanes of vec4 `q` that are channels of [begin, end).
fn inside(q: u32, begin: u32, end: u32) -> vec4<f32> {
    let c = 4u * q + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(0.0), vec4<f32>(1.0), (c >= vec4<u32>(begin)) & (c < vec4<u32>(end)));
}

#if !SERIAL
var<workgroup> first_sum: array<vec4<f32>, 256>;
var<workgroup> second_sum: array<vec4<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let i = id.y * FOLD + id.x;
    let lanes = params.lanes;
    let rows = 256u / lanes;
    let lane = thread % lanes;
    let row = thread / lanes;
#else
@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.y * (FOLD * 8u) + id.x;
    let lanes = 1u;
    let rows = 1u;
    let lane = 0u;
    let row = 0u;
#endif
    if i >= params.count {
        return;
    }
    let image = i / params.groups;
    let group = i % params.groups;
    let size = params.c / params.groups;
    let begin = group * size;
    let end = begin + size;
    let q0 = begin / 4u;
    let width = (end + 3u) / 4u - q0;
    let c4 = (params.c + 3u) / 4u;
    let first = image * params.pixels * c4;
    let table = 4u * image * c4;
    // The last group also clears the padding.
    let last = select(end, 4u * c4, end == params.c);

    var group_first = vec4<f32>(0.0);
    var group_second = vec4<f32>(0.0);
    for (var block = 0u; block < width; block += lanes) {
        let q = q0 + block + lane;
        var s1 = vec4<f32>(0.0);
        var s2 = vec4<f32>(0.0);
        var a = vec4<f32>(0.0);
        if block + lane < width {
            a = affine[table + q];
            let b = affine[table + c4 + q];
            let mean = affine[table + 2u * c4 + q];
            // Sums of 256 terms are summed: the error of f32 grows with the number of terms in one chain.
            for (var chunk = row; chunk < params.pixels; chunk += 256u * rows) {
                var t1 = vec4<f32>(0.0);
                var t2 = vec4<f32>(0.0);
                let to = min(chunk + 256u * rows, params.pixels);
                for (var p = chunk; p < to; p += rows) {
                    let at = first + p * c4 + q;
                    let value = x[at];
                    let dz = dy[at] * act_grad(a * value + b);
                    t1 += dz;
                    t2 += dz * (value - mean);
                }
                s1 += t1;
                s2 += t2;
            }
            let scale = inside(q, begin, end);
            s1 *= scale;
            s2 *= scale * affine[table + 3u * c4 + q];
        }
#if !SERIAL
        workgroupBarrier();
        first_sum[thread] = s1;
        second_sum[thread] = s2;
        for (var reach = rows / 2u; reach > 0u; reach /= 2u) {
            workgroupBarrier();
            if row < reach {
                first_sum[thread] += first_sum[thread + reach * lanes];
                second_sum[thread] += second_sum[thread + reach * lanes];
            }
        }
        s1 = first_sum[thread];
        s2 = second_sum[thread];
#endif
        if row == 0u && block + lane < width {
            group_first += a * s1;
            group_second += a * s2;
#for l in 0..4
            if 4u * q + $lu >= begin && 4u * q + $lu < last {
                sums[4u * (table + q) + $lu] = s1[$l];
                sums[4u * (table + c4 + q) + $lu] = s2[$l];
            }
#end
        }
    }

    var total = vec2<f32>(dot(group_first, vec4<f32>(1.0)), dot(group_second, vec4<f32>(1.0)));
#if !SERIAL
    workgroupBarrier();
    first_sum[thread] = vec4<f32>(total, 0.0, 0.0);
    for (var reach = 128u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if thread < reach {
            first_sum[thread] += first_sum[thread + reach];
        }
    }
    workgroupBarrier();
    total = first_sum[0].xy;
#endif
    total /= f32(params.pixels * size);
    for (var block = 0u; block < width; block += lanes) {
        let q = q0 + block + lane;
        if row == 0u && block + lane < width {
            let scale = inside(q, begin, end);
#for l in 0..4
            if 4u * q + $lu >= begin && 4u * q + $lu < last {
                sums[4u * (table + 2u * c4 + q) + $lu] = total.x * scale[$l];
                sums[4u * (table + 3u * c4 + q) + $lu] = total.y * scale[$l];
            }
#end
        }
    }
}
