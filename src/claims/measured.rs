//! Decodes claims, and measures the memory that they take.
//!
//! The cache is bounded by memory, but only the type that you request says how large its claims
//! are. So strings, sequences and maps are measured while they are decoded. What a type allocates
//! beyond its JSON is not seen.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

/// The memory that an allocation of `size` bytes takes: whole units of 16 bytes, with a header of 8
/// bytes. This is exact for glibc, and nearly exact for other allocators.
pub(crate) fn allocation(size: usize) -> usize {
    match size {
        0 => 0,
        _ => size
            .saturating_add(8)
            .checked_next_multiple_of(16)
            .unwrap_or(usize::MAX)
            .max(32),
    }
}

/// Decodes the claims, and measures the memory that they take in an `Arc`.
pub(crate) fn decode_measured<T: DeserializeOwned>(
    payload: &str,
) -> serde_json::Result<(T, usize)> {
    let memory = Memory::default();
    let mut deserializer = serde_json::Deserializer::from_str(payload);
    let claims = T::deserialize(Measured::new(&mut deserializer, &memory))?;
    deserializer.end()?;
    memory.add(size_of::<T>().saturating_add(16));
    Ok((claims, memory.0.get()))
}

/// Memory that was allocated.
#[derive(Default)]
struct Memory(Cell<usize>);

impl Memory {
    fn add(&self, size: usize) {
        self.0.set(self.0.get().saturating_add(allocation(size)));
    }

    fn add_sequence(&self, elements: &Elements) {
        let capacity = match elements.count.get() {
            0 => 0,
            count => count.checked_next_power_of_two().unwrap_or(count).max(4),
        };
        self.add(capacity.saturating_mul(elements.size.get()));
    }

    fn add_map(&self, members: &Elements, is_table: bool) {
        let (count, size) = (members.count.get(), members.size.get());
        if count == 0 {
            return;
        }
        if is_table {
            // A power of two of places, an eighth of which stays empty, with a byte for each.
            let places = count.saturating_mul(8).div_ceil(7).max(4);
            let places = places.checked_next_power_of_two().unwrap_or(places);
            self.add(
                size.saturating_add(1)
                    .saturating_mul(places)
                    .saturating_add(16),
            );
            return;
        }
        // Nodes of eleven members, which are half empty if there are several.
        let node = allocation(size.saturating_mul(11).saturating_add(16));
        let nodes = if count <= 11 { 1 } else { count.div_ceil(6) };
        self.0
            .set(self.0.get().saturating_add(node.saturating_mul(nodes)));
    }
}

/// The elements of a sequence or a map: how many there are, and the size of one.
#[derive(Default)]
struct Elements {
    count: Cell<usize>,
    size: Cell<usize>,
}

impl Elements {
    fn count(&self, size: usize) {
        self.size.set(self.size.get().max(size));
        self.count.set(self.count.get().saturating_add(1));
    }
}

/// Passes everything on, and measures what is allocated. It wraps the deserializer, visitors, seeds
/// and accesses of serde.
struct Measured<'m, T> {
    inner: T,
    memory: &'m Memory,
    /// Of a visitor: whether a string, a sequence or a map is an allocation of its own.
    allocates: bool,
}

impl<'m, T> Measured<'m, T> {
    fn new(inner: T, memory: &'m Memory) -> Self {
        Self {
            inner,
            memory,
            allocates: false,
        }
    }

    fn wrap<U>(&self, inner: U) -> Measured<'m, U> {
        Measured::new(inner, self.memory)
    }

    fn add(&self, size: usize) {
        if self.allocates {
            self.memory.add(size);
        }
    }
}

macro_rules! pass_on_types {
    ($($method:ident($($name:ident: $type:ty),*) $allocates:literal)*) => {
        $(
            fn $method<V: Visitor<'de>>(
                self,
                $($name: $type,)*
                visitor: V,
            ) -> Result<V::Value, D::Error> {
                let mut visitor = self.wrap(visitor);
                visitor.allocates = $allocates;
                self.inner.$method($($name,)* visitor)
            }
        )*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Measured<'_, D> {
    type Error = D::Error;

    pass_on_types! {
        deserialize_any() true
        deserialize_bool() false
        deserialize_i8() false
        deserialize_i16() false
        deserialize_i32() false
        deserialize_i64() false
        deserialize_i128() false
        deserialize_u8() false
        deserialize_u16() false
        deserialize_u32() false
        deserialize_u64() false
        deserialize_u128() false
        deserialize_f32() false
        deserialize_f64() false
        deserialize_char() false
        deserialize_str() true
        deserialize_string() true
        deserialize_bytes() true
        deserialize_byte_buf() true
        deserialize_option() false
        deserialize_unit() false
        deserialize_unit_struct(name: &'static str) false
        deserialize_newtype_struct(name: &'static str) false
        deserialize_seq() true
        deserialize_tuple(length: usize) false
        deserialize_tuple_struct(name: &'static str, length: usize) false
        deserialize_map() true
        deserialize_struct(name: &'static str, fields: &'static [&'static str]) false
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) false
        deserialize_identifier() false
        deserialize_ignored_any() false
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Measured<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let deserializer = self.wrap(deserializer);
        self.inner.deserialize(deserializer)
    }
}

macro_rules! pass_on_values {
    ($($method:ident $type:ty)*) => {
        $(
            fn $method<E: serde::de::Error>(self, value: $type) -> Result<V::Value, E> {
                self.inner.$method(value)
            }
        )*
    };
}

macro_rules! measure_values {
    ($($method:ident $type:ty)*) => {
        $(
            fn $method<E: serde::de::Error>(self, value: $type) -> Result<V::Value, E> {
                self.add(value.len());
                self.inner.$method(value)
            }
        )*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Measured<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    pass_on_values! {
        visit_bool bool
        visit_i8 i8
        visit_i16 i16
        visit_i32 i32
        visit_i64 i64
        visit_i128 i128
        visit_u8 u8
        visit_u16 u16
        visit_u32 u32
        visit_u64 u64
        visit_u128 u128
        visit_f32 f32
        visit_f64 f64
        visit_char char
    }

    measure_values! {
        visit_str &str
        visit_borrowed_str &'de str
        visit_string String
        visit_bytes &[u8]
        visit_borrowed_bytes &'de [u8]
        visit_byte_buf Vec<u8>
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.wrap(deserializer);
        self.inner.visit_some(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<V::Value, D::Error> {
        let deserializer = self.wrap(deserializer);
        self.inner.visit_newtype_struct(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let elements = Elements::default();
        let value = self.inner.visit_seq(MeasuredAccess {
            access,
            memory: self.memory,
            elements: &elements,
        })?;
        if self.allocates {
            self.memory.add_sequence(&elements);
        }
        Ok(value)
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let members = Elements::default();
        let value = self.inner.visit_map(MeasuredAccess {
            access,
            memory: self.memory,
            elements: &members,
        })?;
        if self.allocates {
            // The other maps are trees.
            let is_table = size_of::<V::Value>() == size_of::<HashMap<(), ()>>();
            self.memory.add_map(&members, is_table);
        }
        Ok(value)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = self.wrap(access);
        self.inner.visit_enum(access)
    }
}

struct MeasuredAccess<'m, A> {
    access: A,
    memory: &'m Memory,
    elements: &'m Elements,
}

impl<'m, A> MeasuredAccess<'m, A> {
    fn wrap<S>(&self, inner: S) -> Measured<'m, S> {
        Measured::new(inner, self.memory)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for MeasuredAccess<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let seed = self.wrap(seed);
        let element = self.access.next_element_seed(seed)?;
        if element.is_some() {
            self.elements.count(size_of::<S::Value>());
        }
        Ok(element)
    }

    fn size_hint(&self) -> Option<usize> {
        self.access.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for MeasuredAccess<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let seed = self.wrap(seed);
        self.access.next_key_seed(seed)
    }

    /// Keys are nearly always strings.
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.wrap(seed);
        let value = self.access.next_value_seed(seed)?;
        let size = size_of::<String>().saturating_add(size_of::<S::Value>());
        self.elements.count(size);
        Ok(value)
    }

    fn size_hint(&self) -> Option<usize> {
        self.access.size_hint()
    }
}

impl<'de, 'm, A: EnumAccess<'de>> EnumAccess<'de> for Measured<'m, A> {
    type Error = A::Error;
    type Variant = Measured<'m, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let (seed, memory) = (self.wrap(seed), self.memory);
        let (value, inner) = self.inner.variant_seed(seed)?;
        Ok((value, Measured::new(inner, memory)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Measured<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.wrap(seed);
        self.inner.newtype_variant_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.wrap(visitor);
        self.inner.tuple_variant(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.wrap(visitor);
        self.inner.struct_variant(fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde::Deserialize;
    use serde_json::{Map, Value, json};

    use super::*;

    /// Compares with what the allocator was asked for.
    #[track_caller]
    fn check<T: DeserializeOwned>(claims: &Value) {
        let payload = claims.to_string();
        let mut measured = 0;
        let mut decoded = None;
        let allocated = allocation_counter::measure(|| {
            let (claims, size) = decode_measured::<T>(&payload).unwrap();
            measured = size;
            decoded = Some(Arc::new(claims));
        });
        drop(decoded);
        let requested = usize::try_from(allocated.bytes_current).unwrap();
        let allocations = usize::try_from(allocated.count_current).unwrap();
        assert!(
            measured >= requested,
            "{measured} measured, {requested} allocated"
        );
        let most = (requested + 24 * allocations) * 5 / 4;
        assert!(
            measured <= most,
            "{measured} measured, {most} allocated at most"
        );
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its memory matters")]
    struct Fields {
        sub: String,
        id: u64,
        nickname: Option<String>,
        kind: Kind,
        point: (u8, String),
        #[serde(default)]
        roles: Vec<String>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only its memory matters")]
    enum Kind {
        Unit,
        One(String),
        Many { name: String, roles: Vec<String> },
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its memory matters")]
    struct Flattened {
        sub: String,
        #[serde(flatten)]
        more: Map<String, Value>,
    }

    #[test]
    fn claims_take_what_is_measured() {
        let text = "a string that is longer than a few characters";
        let fields = |kind: Value| {
            json!({
                "sub": text, "id": 1, "nickname": text, "kind": kind, "point": [7, text],
                "roles": ["reader", "writer", "administrator of all"], "ignored": [text, {"a": 1}],
            })
        };
        check::<Fields>(&fields(json!("unit")));
        check::<Fields>(&fields(json!({ "one": text })));
        check::<Fields>(&fields(
            json!({ "many": { "name": text, "roles": [text] } }),
        ));
        check::<Value>(&fields(json!({ "one": text })));
        check::<Flattened>(&fields(json!({ "one": text })));
        check::<Value>(&json!([[0], [0, [text]], {}, { "a": {} }]));
        check::<Vec<u8>>(&json!([1, 2, 3, 4, 5, 6, 7, 8, 9]));
        for count in [1, 3, 4, 7, 8, 14, 15, 29, 100] {
            let members = (0..count).map(|number| (format!("member {number}"), json!(text)));
            let members = Value::Object(members.collect());
            check::<BTreeMap<String, String>>(&members);
            check::<HashMap<String, String>>(&members);
            check::<Value>(&members);
        }
        check::<String>(&json!(text));
        check::<()>(&json!(null));
    }

    #[test]
    fn an_error_is_that_of_plain_decoding() {
        let payload = json!({ "sub": "alice", "id": "one" }).to_string();
        let measured = decode_measured::<Fields>(&payload).map(|_| ()).unwrap_err();
        let plain = serde_json::from_str::<Fields>(&payload)
            .map(|_| ())
            .unwrap_err();
        assert_eq!(measured.to_string(), plain.to_string());
        assert!(decode_measured::<Value>("{} {}").is_err());
    }
}
