// The invocation's number in a grid made by `grid_1d` with workgroups of 64: rows of 32,768 of them.
fn index_1d(id: vec3<u32>) -> u32 {
    return id.y * 2097152u + id.x;
}
