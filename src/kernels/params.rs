//! A kernel's uniform `params`: numbers, named as in the shader's `struct Params`.

/// One member of a shader's `struct Params`, and its value in one call.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Param {
    /// The member's name.
    pub name: &'static str,
    /// Its type and value.
    pub value: Number,
}

impl Param {
    /// The value as the GPU reads it.
    pub const fn word(&self) -> u32 {
        match self.value {
            Number::U32(number) => number,
            Number::F32(number) => number.to_bits(),
        }
    }
}

/// A parameter's value, of one of two types.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    /// A size, an offset or flags.
    U32(u32),
    /// A factor.
    F32(f32),
}

impl From<u32> for Number {
    fn from(number: u32) -> Self {
        Self::U32(number)
    }
}

impl From<f32> for Number {
    fn from(number: f32) -> Self {
        Self::F32(number)
    }
}

/// A size. In a plan that fits a device, every size fits `u32`; other plans are refused before a kernel runs.
impl From<usize> for Number {
    fn from(size: usize) -> Self {
        Self::U32(u32::try_from(size).unwrap_or(u32::MAX))
    }
}

/// A call's parameters, written as a struct literal: `params! { count: shape.len4(), scale }`.
///
/// The members are those of the shader's `struct Params`, in the same order. A test compares names, order and
/// types for every variant of every shader.
macro_rules! params {
    ($($name:ident $(: $value:expr)?),* $(,)?) => {
        vec![$($crate::kernels::Param {
            name: stringify!($name),
            value: $crate::kernels::Number::from(params!(@value $name $($value)?)),
        }),*]
    };
    (@value $name:ident) => { $name };
    (@value $name:ident $value:expr) => { $value };
}
pub(crate) use params;
