// The invocation's number in a grid from `grid_1d` with workgroups of 64. A full row of the grid has FOLD workgroups.
fn index_1d(id: vec3<u32>) -> u32 {
    return id.y * (FOLD * 64u) + id.x;
}
