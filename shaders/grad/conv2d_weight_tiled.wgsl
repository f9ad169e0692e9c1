// The operation of conv2d_weight_direct.wgsl (same tensors, same bindings) as one matrix product: rows
// are (ky, kx, c), as packed weights have them, columns the output channels, and the sum runs over the
// pixels of all images.
//
// A workgroup makes BM4 x 4 rows x BN4 vec4s of columns over the pixels of its split; an invocation TM
// vec4s of rows (TY apart) x 1 vec4. Workgroup memory holds 16 pixels of both factors at a time.
struct Params {
    h_in: u32,
    w_in: u32,
    h_out: u32,
    w_out: u32,
    c: u32, // vec4s
    co: u32,
    n: u32,
    pad: u32,
    groups: u32, // of BN4 vec4s along the output channels
    pixels: u32, // of a split, a multiple of 16
    splits: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> d_out: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

const TY = BM4 / TM;
const THREADS = TY * BN4;
var<workgroup> tile_x: array<vec4<f32>, 16u * BM4>;
var<workgroup> tile_d: array<vec4<f32>, 16u * BN4>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = workgroup.y * FOLD + workgroup.x;
    let c_in = params.c;
    let co = params.co;
    let rows = K * K * c_in; // vec4s
    let row_tiles = (rows + BM4 - 1u) / BM4;
    let first_o = index % params.groups * BN4;
    let first_m = index / params.groups % row_tiles * BM4;
    let split = index / (params.groups * row_tiles);
    if (split >= params.splits) {
        return;
    }
    let image = params.h_out * params.w_out;
    let start = split * params.pixels;
    let end = min(start + params.pixels, params.n * image);
    let tx = local % BN4;
    let ty = local / BN4;
#for i in 0..TM
#for l in 0..4
    var acc$i_$l = vec4<f32>(0.0);
    var sum$i_$l = vec4<f32>(0.0);
#end
#end
    for (var k0 = start; k0 < end; k0 += 16u) {
        workgroupBarrier();
        for (var e = local; e < 16u * BM4; e += THREADS) {
            let m = first_m + e % BM4;
            let pixel = k0 + e / BM4;
            var v = vec4<f32>(0.0);
            if (pixel < end && m < rows) {
                let tap = m / c_in;
                let y = i32(pixel % image / params.w_out * STRIDE + tap / K) - i32(params.pad);
                let column = i32(pixel % params.w_out * STRIDE + tap % K) - i32(params.pad);
                if (y >= 0 && y < i32(params.h_in) && column >= 0 && column < i32(params.w_in)) {
                    let at = (pixel / image * params.h_in + u32(y)) * params.w_in + u32(column);
                    v = x[at * c_in + m % c_in];
                }
            }
            tile_x[e] = v;
        }
        for (var e = local; e < 16u * BN4; e += THREADS) {
            let o = first_o + e % BN4;
            let pixel = k0 + e / BN4;
            var v = vec4<f32>(0.0);
            if (pixel < end && o < co) {
                v = d_out[pixel * co + o];
            }
            tile_d[e] = v;
        }
        workgroupBarrier();
        for (var k = 0u; k < 16u; k++) {
            let d = tile_d[k * BN4 + tx];
#for i in 0..TM
            let v$i = tile_x[k * BM4 + ty + $i * TY];
            acc$i_0 = fma(vec4<f32>(v$i.x), d, acc$i_0);
            acc$i_1 = fma(vec4<f32>(v$i.y), d, acc$i_1);
            acc$i_2 = fma(vec4<f32>(v$i.z), d, acc$i_2);
            acc$i_3 = fma(vec4<f32>(v$i.w), d, acc$i_3);
#end
        }
        // Sums of sums of 256: the error of f32 grows with the number of terms.
        if ((k0 - start) % 256u == 240u || k0 + 16u >= end) {
#for i in 0..TM
#for l in 0..4
            sum$i_$l += acc$i_$l;
            acc$i_$l = vec4<f32>(0.0);
#end
#end
        }
    }

    let o = first_o + tx;
    if (o < co) {
#for i in 0..TM
        {
            let m = first_m + ty + $i * TY;
            if (m < rows) {
                let to = (split * rows + m) * 4u * co + o;
#for l in 0..4
#if ADD
                out[to + $l * co] += sum$i_$l;
#else
                out[to + $l * co] = sum$i_$l;
#endif
#end
            }
        }
#end
    }
}
