//! Shader variants as plain WGSL, without a GPU.

use unnoise::kernels::Call;

/// Asserts that a call's shader passes naga without any capability but what it says it needs, and that `Params` and the storage
/// bindings are what the call says.
///
/// # Panics
/// If not.
pub fn assert_valid(call: &Call) {
    let what = format!("{} {:?}", call.shader.name, call.shader.flags);
    let source = call.shader.source().unwrap_or_else(|e| panic!("{what}: {e}"));
    let module = naga::front::wgsl::parse_str(&source)
        .unwrap_or_else(|e| panic!("{what}: {}", e.emit_to_string(&source)));
    let mut validator = naga::valid::Validator::new(
        naga::valid::ValidationFlags::all(),
        match call.shader.flags.contains(&"SUBGROUPS") {
            true => naga::valid::Capabilities::SUBGROUP,
            false => naga::valid::Capabilities::empty(),
        },
    );
    let info = validator.validate(&module);
    info.unwrap_or_else(|e| panic!("{what}: {}", e.emit_to_string(&source)));
    let params = module.types.iter().find(|(_, t)| t.name.as_deref() == Some("Params"));
    let naga::TypeInner::Struct { span, .. } = params.expect("Params").1.inner else {
        panic!("{what}: Params")
    };
    assert_eq!(span as usize, call.params.len() * 4, "{what}: words of Params");
    let storage = module
        .global_variables
        .iter()
        .filter(|(_, v)| matches!(v.space, naga::AddressSpace::Storage { .. }));
    assert_eq!(storage.count(), call.shader.bindings.len(), "{what}: bindings");
    assert!(call.shader.bindings.len() <= 8, "{what}: more bindings than WebGPU grants");
}
