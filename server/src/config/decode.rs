//! Decodes the configuration's tree with serde. A null value means the default of the key. All other
//! values mean what they mean to Go's `yaml.v2`, which Wings uses.

use std::rc::Rc;

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};

use super::{
    error::Error,
    scalar::{Scalar, Value},
    yaml::{Content, Entry, Node},
};

/// Implements the methods of [`Deserializer`] for numbers.
macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let number = self.scalar("a number").and_then(Scalar::int);
            let value = number.and_then(|number| match u64::try_from(number) {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_i64(number),
            });
            value.map_err(|e| e.at(self.line))
        }
    )*};
}

impl<'de> Deserializer<'de> for &Node {
    type Error = Error;

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    forward_to_deserialize_any! { f32 f64 i128 u128 char bytes byte_buf unit unit_struct }

    /// Decodes a scalar by its own type.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.scalar("a single value").and_then(Scalar::value);
        let value = value.and_then(|value| match value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Int(value) => visitor.visit_i64(value),
            Value::Big(value) => visitor.visit_u64(value),
            Value::Float(value) => visitor.visit_f64(value),
            Value::Text(text) => visitor.visit_str(text),
        });
        value.map_err(|e| e.at(self.line))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.scalar("true or false").and_then(Scalar::bool);
        value.and_then(|value| visitor.visit_bool(value)).map_err(|e| e.at(self.line))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let text = self.scalar("text").and_then(Scalar::text);
        text.and_then(|text| visitor.visit_str(text)).map_err(|e| e.at(self.line))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let text = self.scalar("a word").and_then(Scalar::text);
        let value = text.and_then(|text| visitor.visit_enum(text.into_deserializer()));
        value.map_err(|e| e.at(self.line))
    }

    /// The value is never null: [`Node::entries`] leaves null values out.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Content::List(list) = &self.content else {
            return Err(Error::new("it must be a list").at(self.line));
        };
        visitor.visit_seq(List(list.iter())).map_err(|e| e.at(self.line))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_struct("", &[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let entries = if self.is_null() { Ok(Vec::new()) } else { self.entries() };
        let entries = entries.and_then(|entries| once_each(entries, fields));
        let block = entries.map(|entries| Block { entries: entries.into_iter(), value: None });
        block.and_then(|block| visitor.visit_map(block)).map_err(|e| e.at(self.line))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

/// Returns the entries, or an error if a key in `fields` has two values.
fn once_each(entries: Vec<Entry>, fields: &[&str]) -> Result<Vec<Entry>, Error> {
    for (at, entry) in entries.iter().enumerate() {
        let is_known = fields.contains(&&*entry.key);
        if is_known && entries[..at].iter().any(|earlier| earlier.key == entry.key) {
            return Err(Error::new(format!("{} has two values", entry.key)).at(entry.value.line));
        }
    }
    Ok(entries)
}

struct List<'a>(std::slice::Iter<'a, Rc<Node>>);

impl<'de> SeqAccess<'de> for List<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.0.next().map(|node| seed.deserialize(&**node)).transpose()
    }
}

struct Block {
    entries: std::vec::IntoIter<Entry>,
    value: Option<Rc<Node>>,
}

impl<'de> MapAccess<'de> for Block {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        self.value = Some(entry.value);
        let key: de::value::StringDeserializer<Error> = entry.key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let node = self.value.take().expect("serde asks for a key before its value");
        seed.deserialize(&*node)
    }
}
