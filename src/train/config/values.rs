//! Values that can be written in more than one way.

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;

/// `[height, width]` in pixels, or that of the data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Resolution(pub Option<[usize; 2]>);

impl Resolution {
    /// The same number of pixels along each side.
    pub const fn square(side: usize) -> Self {
        Self(Some([side, side]))
    }
}

impl Serialize for Resolution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => serializer.serialize_u64(0),
            Some([h, w]) if h == w => serializer.serialize_u64(h as u64),
            Some(sides) => sides.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Resolution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Sides)
    }
}

struct Sides;

impl<'de> Visitor<'de> for Sides {
    type Value = Resolution;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of pixels, or [height, width]")
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<Resolution, E> {
        match usize::try_from(n) {
            Ok(0) => Ok(Resolution(None)),
            Ok(side) => Ok(Resolution::square(side)),
            Err(_) => Err(E::invalid_value(de::Unexpected::Signed(n), &self)),
        }
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Resolution, E> {
        self.visit_i64(i64::try_from(n).unwrap_or(-1))
    }

    /// `32x48`, as in flags.
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Resolution, E> {
        let sides = text.split_once(['x', 'X']);
        let sides = sides.and_then(|(h, w)| Some([h.trim().parse().ok()?, w.trim().parse().ok()?]));
        match sides {
            Some([h, w]) if h > 0 && w > 0 => Ok(Resolution(Some([h, w]))),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Resolution, A::Error> {
        let (h, w) = (items.next_element::<usize>()?, items.next_element::<usize>()?);
        match (h, w, items.next_element::<usize>()?) {
            (Some(h), Some(w), None) if h > 0 && w > 0 => Ok(Resolution(Some([h, w]))),
            _ => Err(de::Error::invalid_value(de::Unexpected::Seq, &self)),
        }
    }
}

/// A list, or a single item.
pub(super) fn one_or_more<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<f64>, D::Error> {
    deserializer.deserialize_any(Numbers)
}

struct Numbers;

impl<'de> Visitor<'de> for Numbers {
    type Value = Vec<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a list of numbers")
    }

    fn visit_f64<E: de::Error>(self, x: f64) -> Result<Vec<f64>, E> {
        Ok(vec![x])
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<Vec<f64>, E> {
        Ok(vec![n as f64])
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Vec<f64>, E> {
        Ok(vec![n as f64])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<f64>, A::Error> {
        let mut numbers = Vec::new();
        while let Some(x) = items.next_element()? {
            numbers.push(x);
        }
        Ok(numbers)
    }
}
