//! Shader variants as plain WGSL, without a GPU.

use unnoise::kernels::{Call, Number, Param};

/// Asserts that a call's shader passes naga with only the capabilities that it declares, and that `Params` and the
/// storage bindings are what the call says.
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
    let naga::TypeInner::Struct { members, .. } = &params.expect("Params").1.inner else {
        panic!("{what}: Params")
    };
    let shaders: Vec<_> = members.iter().map(|member| declared(&module, member)).collect();
    let calls: Vec<_> = call.params.iter().map(given).collect();
    assert_eq!(calls, shaders, "{what}: parameters of the call, and the shader's struct Params");
    let storage = module
        .global_variables
        .iter()
        .filter(|(_, v)| matches!(v.space, naga::AddressSpace::Storage { .. }));
    assert_eq!(storage.count(), call.shader.bindings.len(), "{what}: bindings");
    assert!(call.shader.bindings.len() <= 8, "{what}: more bindings than WebGPU grants");
}

/// A member of a shader's `struct Params`: its name and type.
fn declared(module: &naga::Module, member: &naga::StructMember) -> (String, naga::Scalar) {
    let name = member.name.clone().expect("a name");
    match module.types[member.ty].inner {
        naga::TypeInner::Scalar(scalar) => (name, scalar),
        ref other => panic!("params.{name} is no number: {other:?}"),
    }
}

/// The same of a parameter that a call gives.
fn given(param: &Param) -> (String, naga::Scalar) {
    let scalar = match param.value {
        Number::U32(_) => naga::Scalar::U32,
        Number::F32(_) => naga::Scalar::F32,
    };
    (param.name.to_owned(), scalar)
}
