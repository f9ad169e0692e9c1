// The operation of conv2d_weight_direct.wgsl (same tensors, same bindings) as one matrix product. Its rows are
// (ky, kx, c), in the order of packed weights. Its columns are the output channels. Its sum runs over the pixels of all
// images, in steps of 16.
//
// A workgroup makes BM4 x 4 rows x BN4 vec4s of columns, over the pixels of its split. An invocation makes TM vec4s of
// rows (TY apart) x 1 vec4. Workgroup memory holds one step of both factors.
//
// Loads run ahead of the multiply-adds; the header of nn/conv2d_tiled.wgsl says what that requires. An invocation
// always loads the same tap and channel, and its pixels are 16 apart. So their coordinates are computed by counting
// up, without divisions.
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
var<workgroup> tile_x: array<array<vec4<f32>, BM4>, 16>;
// 16 rows are used. If there are more invocations than vec4s in a step, the surplus ones store into the other rows.
var<workgroup> tile_d: array<array<vec4<f32>, BN4>, RD * THREADS / BN4>;

// An output pixel, or a distance between two.
struct Pixel {
    image: u32,
    y: u32,
    x: u32,
}

// A row of (ky, kx, c).
struct Row {
    exists: bool,
    dy: i32, // of its tap, minus the padding
    dx: i32,
    c: u32,
}

// A vec4 of the input on its way into workgroup memory.
struct Fetched {
    exists: bool,
    x: vec4<f32>,
}

fn pixel_at(p: Params, index: u32) -> Pixel {
    let image = p.h_out * p.w_out;
    return Pixel(index / image, index % image / p.w_out, index % p.w_out);
}

// The sum of two of them, with carries.
fn plus(p: Params, a: Pixel, b: Pixel) -> Pixel {
    var s = Pixel(a.image + b.image, a.y + b.y, a.x + b.x);
    let right = s.x >= p.w_out;
    s.x -= select(0u, p.w_out, right);
    s.y += select(0u, 1u, right);
    let below = s.y >= p.h_out;
    s.y -= select(0u, p.h_out, below);
    s.image += select(0u, 1u, below);
    return s;
}

fn row_at(p: Params, index: u32) -> Row {
    let rows = K * K * p.c;
    let tap = min(index, rows - 1u) / p.c;
    let dy = i32(tap / K) - i32(p.pad);
    let dx = i32(tap % K) - i32(p.pad);
    return Row(index < rows, dy, dx, min(index, rows - 1u) % p.c);
}

// Starts to load what a row reads at a pixel, or element 0 if that is outside the image.
fn fetch(p: Params, row: Row, at: Pixel, exists: bool) -> Fetched {
    // Negative coordinates become large numbers.
    let y = u32(i32(at.y * STRIDE) + row.dy);
    let column = u32(i32(at.x * STRIDE) + row.dx);
    let inside = exists & row.exists & (y < p.h_in) & (column < p.w_in);
    let index = ((at.image * p.h_in + y) * p.w_in + column) * p.c + row.c;
    return Fetched(inside, x[select(0u, index, inside)]);
}

fn staged(f: Fetched) -> vec4<f32> {
    return select(vec4<f32>(0.0), f.x, f.exists);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let p = params;
    let index = workgroup.y * FOLD + workgroup.x;
    let co = p.co;
    let rows = K * K * p.c; // vec4s
    let row_tiles = (rows + BM4 - 1u) / BM4;
    let first_o = index % p.groups * BN4;
    let first_row = index / p.groups % row_tiles * BM4;
    let split = index / (p.groups * row_tiles);
    if (split >= p.splits) {
        return;
    }
    let all = p.n * p.h_out * p.w_out;
    let start = split * p.pixels;
    let end = min(start + p.pixels, all);

    // What this invocation loads: one row at RX pixels, one column at RD pixels, of the 16 of a step. (THREADS is a
    // multiple of BM4 and of BN4.)
    let x_slot = local / BM4;
    let x_column = local % BM4;
    let row = row_at(p, first_row + x_column);
    let d_slot = local / BN4;
    let d_column = local % BN4;
    // Columns past the last channel read the last channel; their results are not stored. Pixels past the last one read
    // the last one, and are multiplied by zeros.
    let d_o = min(first_o + d_column, co - 1u);
    let sixteen = pixel_at(p, 16u);
#for r in 0..RX
    var at$r = pixel_at(p, start + x_slot + $ru * (THREADS / BM4));
    var x$r = staged(fetch(p, row, at$r, start + x_slot + $ru * (THREADS / BM4) < end));
#end
#for r in 0..RD
    var d$r = d_out[min(start + d_slot + $ru * (THREADS / BN4), all - 1u) * co + d_o];
#end

    // What this invocation makes.
    let ty = local / BN4;
    let tx = local % BN4;
#for i in 0..TM
    let y$i = ty + $iu * TY;
#for l in 0..4
    var acc$i_$l = vec4<f32>(0.0);
    var sum$i_$l = vec4<f32>(0.0);
#end
#end

    // Sums of sums of 256: the error of f32 grows with the number of terms.
    for (var chunk = start; chunk < end; chunk += 256u) {
    let stop = min(chunk + 256u, end);
    for (var now = chunk; now < stop; now += 16u) {
        // Store into workgroup memory, once every invocation has finished with its previous contents.
        workgroupBarrier();
#for r in 0..RX
        tile_x[x_slot + $ru * (THREADS / BM4)][x_column] = x$r;
#end
#for r in 0..RD
        tile_d[d_slot + $ru * (THREADS / BN4)][d_column] = d$r;
#end
        workgroupBarrier();

        let next = now + 16u;
#for r in 0..RX
        at$r = plus(p, at$r, sixteen);
        let fetched$r = fetch(p, row, at$r, next + x_slot + $ru * (THREADS / BM4) < end);
#end
#for r in 0..RD
        d$r = d_out[min(next + d_slot + $ru * (THREADS / BN4), all - 1u) * co + d_o];
#end

#for k in 0..16
        {
            let d = tile_d[$k][tx];
#for i in 0..TM
            let v$i = tile_x[$k][y$i];
            acc$i_0 = fma(vec4<f32>(v$i.x), d, acc$i_0);
            acc$i_1 = fma(vec4<f32>(v$i.y), d, acc$i_1);
            acc$i_2 = fma(vec4<f32>(v$i.z), d, acc$i_2);
            acc$i_3 = fma(vec4<f32>(v$i.w), d, acc$i_3);
#end
        }
#end

#for r in 0..RX
        x$r = staged(fetched$r);
#end
    }
#for i in 0..TM
#for l in 0..4
    sum$i_$l += acc$i_$l;
    acc$i_$l = vec4<f32>(0.0);
#end
#end
    }

    let o = first_o + tx;
    if (o < co) {
#for i in 0..TM
        {
            let m = first_row + y$i;
            if (m < rows) {
                let to = (split * rows + m) * 4u * co + o;
#for l in 0..4
#if ADD
                out[to + $lu * co] += sum$i_$l;
#else
                out[to + $lu * co] = sum$i_$l;
#endif
#end
            }
        }
#end
    }
}
