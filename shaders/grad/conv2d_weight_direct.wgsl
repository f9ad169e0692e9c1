// d_w[ky,kx,c,o] = sum over n, y, x of in[n, y*STRIDE + ky - pad, x*STRIDE + kx - pad, c] * d_out[n,y,x,o],
// `in` being 0 outside the image: the adjoint of nn/conv2d with respect to its weights.
//
// x [n][h_in][w_in][c], d_out [n][h_out][w_out][co], out [splits][K*K*c*4][co], all vec4; with ADD there
// is one split and `out`, the gradient itself, is added to.
//
// One invocation makes the K taps of a row x 4 input channels x OC vec4s of output channels, over the
// images of its split; neighbouring invocations take neighbouring output channels. As in
// nn/conv2d_direct no workgroup memory, and PX pixels of a row share what they load.
struct Params {
    h_in: u32,
    w_in: u32,
    h_out: u32,
    w_out: u32,
    c: u32, // vec4s
    co: u32,
    n: u32,
    pad: u32,
    groups: u32, // of OC vec4s along the output channels
    images: u32, // of a split
    splits: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> d_out: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
    let index = gid.y * (FOLD * 64u) + gid.x;
    let group = index % params.groups;
    let c_in = params.c;
    let c = index / params.groups % c_in;
    let ky = index / (params.groups * c_in) % K;
    let split = index / (params.groups * c_in * K);
    if (split >= params.splits) {
        return;
    }
    let co = params.co;
    // The last group may hang over the end; what it computes there is not stored.
#for j in 0..OC
    let o$j = min(group * OC + $j, co - 1u);
#end
#for kx in 0..K
#for l in 0..4
#for j in 0..OC
    var acc$kx_$l_$j = vec4<f32>(0.0);
    var sum$kx_$l_$j = vec4<f32>(0.0);
#end
#end
#end
    let w_in = i32(params.w_in);
    let w_out = params.w_out;
    let last = min((split + 1u) * params.images, params.n);
    for (var n = split * params.images; n < last; n++) {
        for (var y = 0u; y < params.h_out; y++) {
            let row = i32(y * STRIDE + ky) - i32(params.pad);
            if (row >= 0 && row < i32(params.h_in)) {
            let line = (n * params.h_in + u32(row)) * params.w_in;
            let line_d = (n * params.h_out + y) * w_out;
            for (var px = 0u; px < w_out; px += PX) {
                let left = i32(px * STRIDE) - i32(params.pad);
#for i in 0..COLS
                let column$i = u32(clamp(left + $i, 0, w_in - 1));
                let v$i = select(vec4<f32>(0.0), x[(line + column$i) * c_in + c], (left + $i >= 0) & (left + $i < w_in));
#end
#for i in 0..PX
                let at$i = (line_d + min(px + $i, w_out - 1u)) * co;
#for j in 0..OC
                let d$i_$j = select(vec4<f32>(0.0), d_out[at$i + o$j], px + $i < w_out);
#end
#end
                {
                    let v = array<vec4<f32>, COLS>(
#for i in 0..COLS
                        v$i,
#end
                    );
#for i in 0..PX
#for kx in 0..K
#for j in 0..OC
                    acc$kx_0_$j += v[$i * STRIDE + $kx].x * d$i_$j;
                    acc$kx_1_$j += v[$i * STRIDE + $kx].y * d$i_$j;
                    acc$kx_2_$j += v[$i * STRIDE + $kx].z * d$i_$j;
                    acc$kx_3_$j += v[$i * STRIDE + $kx].w * d$i_$j;
#end
#end
#end
                }
            }
            }
        }
        // Each image is summed apart: the error of f32 grows with the number of terms.
#for kx in 0..K
#for l in 0..4
#for j in 0..OC
        sum$kx_$l_$j += acc$kx_$l_$j;
        acc$kx_$l_$j = vec4<f32>(0.0);
#end
#end
#end
    }

    let rows = K * K * c_in * 4u;
#for j in 0..OC
    if (group * OC + $j < co) {
#for kx in 0..K
#for l in 0..4
        {
            let to = (split * rows + ((ky * K + $kx) * c_in + c) * 4u + $l) * co + o$j;
#if ADD
            out[to] += sum$kx_$l_$j;
#else
            out[to] = sum$kx_$l_$j;
#endif
        }
#end
#end
    }
#end
}
