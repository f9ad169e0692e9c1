// Reads vec4 q of a pixel in x0 [pixels][first4], or with SECOND in x0 and x1 [pixels][second4] side by side.
fn load(p: Params, pixel: u32, q: u32) -> vec4<f32> {
#if SECOND
    let second = q >= p.first4;
    let at0 = pixel * p.first4 + q;
    let at1 = pixel * p.second4 + q - p.first4;
#if SERIAL
    if (second) {
        return x1[at1];
    }
    return x0[at0];
#else
    // GPUs read both sources, one of them at element 0, because a load behind a branch would have to be waited for.
    let a = x0[select(at0, 0u, second)];
    let b = x1[select(0u, at1, second)];
    return select(a, b, second);
#endif
#else
    return x0[pixel * p.first4 + q];
#endif
}
