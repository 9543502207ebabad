//! Converts JSON to msgpack and back: actors read and write msgpack, people JSON.
//!
//! What JSON does not have is an object with one key that begins with `$`:
//!
//! | JSON | msgpack |
//! |---|---|
//! | `{"$text": "é"}` | binary, which is a text |
//! | `{"$base64": "/w=="}` | any binary |
//! | `{"$map": [[0, "a"]]}` | a map with keys that are no texts, such as the variant of an enum |
//! | `{"$float": "NaN"}` | `NaN`, `Infinity` or `-Infinity` |
//! | `{"$extension": [1, "/w=="]}` | an extension with its type |

use std::collections::HashSet;
use std::fmt;

use data_encoding::BASE64;
use rmp::encode;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_bytes::ByteBuf;
use serde_json::{Map, Value, json};

const TEXT: &str = "$text";
const BINARY: &str = "$base64";
const MAP: &str = "$map";
const FLOAT: &str = "$float";
const EXTENSION: &str = "$extension";

/// How deeply values may be nested, as in the reader of JSON.
const DEEPEST: usize = 128;

/// Returns JSON as msgpack.
///
/// # Errors
/// The reason, if an object with one key that begins with `$` is none of those above, or something is too long.
pub(crate) fn of_json(value: &Value) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    write(value, &mut bytes)?;
    Ok(bytes)
}

/// Returns msgpack as JSON, or `None` unless the bytes are one value of msgpack and nothing more.
pub(crate) fn to_json(bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes;
    let mut deserializer = rmp_serde::Deserializer::new(&mut rest);
    deserializer.set_max_depth(DEEPEST);
    let Json(value) = Json::deserialize(&mut deserializer).ok()?;
    rest.is_empty().then_some(value)
}

/// Returns bytes as JSON: as a text if they are one.
pub(crate) fn binary(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ TEXT: text }),
        Err(_) => json!({ BINARY: BASE64.encode(bytes) }),
    }
}

fn write(value: &Value, bytes: &mut Vec<u8>) -> Result<(), String> {
    match value {
        Value::Null => done(encode::write_nil(bytes)),
        Value::Bool(value) => done(encode::write_bool(bytes, *value)),
        Value::Number(number) => done(match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), _, _) => encode::write_uint(bytes, number).map(drop),
            (_, Some(number), _) => encode::write_sint(bytes, number).map(drop),
            (_, _, number) => encode::write_f64(bytes, number.unwrap_or(f64::NAN)),
        }),
        Value::String(text) => {
            length(text.len())?;
            done(encode::write_str(bytes, text))
        }
        Value::Array(values) => {
            done(encode::write_array_len(bytes, length(values.len())?))?;
            values.iter().try_for_each(|value| write(value, bytes))
        }
        Value::Object(fields) => match special(fields) {
            Some((name, value)) => write_special(name, value, bytes),
            None => {
                done(encode::write_map_len(bytes, length(fields.len())?))?;
                fields.iter().try_for_each(|(name, value)| {
                    length(name.len())?;
                    done(encode::write_str(bytes, name))?;
                    write(value, bytes)
                })
            }
        },
    }
}

/// Returns the only field of an object, if its name begins with `$`.
fn special(fields: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, value) = fields.iter().next()?;
    (fields.len() == 1 && name.starts_with('$')).then_some((name.as_str(), value))
}

fn write_special(name: &str, value: &Value, bytes: &mut Vec<u8>) -> Result<(), String> {
    match name {
        TEXT => write_binary(value.as_str().ok_or("$text is no text")?.as_bytes(), bytes),
        BINARY => write_binary(&of_base64(value).ok_or("$base64 is not in base64")?, bytes),
        FLOAT => {
            let number = match value.as_str() {
                Some("NaN") => f64::NAN,
                Some("Infinity") => f64::INFINITY,
                Some("-Infinity") => f64::NEG_INFINITY,
                _ => return Err("$float is none of NaN, Infinity and -Infinity".to_owned()),
            };
            done(encode::write_f64(bytes, number))
        }
        MAP => {
            let pairs = value.as_array().ok_or("$map is no list of pairs")?;
            done(encode::write_map_len(bytes, length(pairs.len())?))?;
            pairs.iter().try_for_each(|pair| match pair.as_array().map(Vec::as_slice) {
                Some([key, value]) => write(key, bytes).and_then(|()| write(value, bytes)),
                _ => Err("$map is no list of pairs".to_owned()),
            })
        }
        EXTENSION => match value.as_array().map(Vec::as_slice) {
            Some([kind, data]) => {
                let kind = kind.as_i64().and_then(|kind| i8::try_from(kind).ok());
                let (kind, data) = kind.zip(of_base64(data)).ok_or("$extension is no type with base64")?;
                done(encode::write_ext_meta(bytes, length(data.len())?, kind))?;
                bytes.extend_from_slice(&data);
                Ok(())
            }
            _ => Err("$extension is no type with base64".to_owned()),
        },
        other => Err(format!(
            "{other} is unknown: the names with $ are {TEXT}, {BINARY}, {MAP}, {FLOAT} and {EXTENSION}; a map with such a key \
             is written as {{\"{MAP}\": [[key, value]]}}"
        )),
    }
}

fn write_binary(data: &[u8], bytes: &mut Vec<u8>) -> Result<(), String> {
    length(data.len())?;
    done(encode::write_bin(bytes, data))
}

fn of_base64(value: &Value) -> Option<Vec<u8>> {
    BASE64.decode(value.as_str()?.as_bytes()).ok()
}

fn length(length: usize) -> Result<u32, String> {
    u32::try_from(length).map_err(|_| "a value is longer than msgpack allows".to_owned())
}

fn done<T, E: fmt::Display>(written: Result<T, E>) -> Result<(), String> {
    written.map(drop).map_err(|error| error.to_string())
}

/// JSON that was read from msgpack.
struct Json(Value);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Reader).map(Json)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of msgpack")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(match value {
            _ if value.is_finite() => value.into(),
            _ if value.is_nan() => json!({ FLOAT: "NaN" }),
            _ if value > 0.0 => json!({ FLOAT: "Infinity" }),
            _ => json!({ FLOAT: "-Infinity" }),
        })
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(binary(value))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, extension: D) -> Result<Value, D::Error> {
        let (kind, data) = <(i8, ByteBuf)>::deserialize(extension)?;
        Ok(json!({ EXTENSION: [kind, BASE64.encode(&data)] }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        // The announced length is not trusted: a list grows with what is read.
        let mut values = Vec::new();
        while let Some(Json(value)) = elements.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((Json(key), Json(value))) = entries.next_entry()? {
            pairs.push((key, value));
        }
        Ok(object(pairs))
    }
}

/// Returns a map as an object, or as pairs if an object would not say the same.
fn object(pairs: Vec<(Value, Value)>) -> Value {
    let names: HashSet<&str> = pairs.iter().filter_map(|(key, _)| key.as_str()).collect();
    let is_special = pairs.len() == 1 && names.iter().any(|name| name.starts_with('$'));
    if names.len() < pairs.len() || is_special {
        let pairs: Vec<Value> = pairs.into_iter().map(|(key, value)| Value::Array(vec![key, value])).collect();
        return json!({ MAP: pairs });
    }
    let named = |(key, value)| match key {
        Value::String(name) => Some((name, value)),
        _ => None,
    };
    Value::Object(pairs.into_iter().filter_map(named).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Request {
        method: String,
        query_string: String,
        #[serde(with = "serde_bytes")]
        body: Vec<u8>,
        status: u16,
    }

    #[test]
    fn json_is_what_an_sdk_writes() {
        let written = of_json(&json!({"method": "GET", "queryString": "", "body": {"$text": "é"}, "status": 200}));
        let request = Request {
            method: "GET".to_owned(),
            query_string: String::new(),
            body: "é".as_bytes().to_vec(),
            status: 200,
        };
        let expected = to_json(&rmp_serde::to_vec_named(&request).unwrap()).unwrap();
        assert_eq!(to_json(&written.unwrap()).unwrap(), expected);
        assert_eq!(expected["body"], json!({"$text": "é"}));
    }

    #[test]
    fn every_value_of_msgpack_returns_as_it_was() {
        let cases: [(&[u8], Value); 9] = [
            (b"\xc0", json!(null)),
            (b"\xc4\x01\xff", json!({"$base64": "/w=="})),
            (b"\x81\x00\xa1a", json!({"$map": [[0, "a"]]})),
            (b"\x81\xa5$text\x01", json!({"$map": [["$text", 1]]})),
            (b"\x82\xa1a\x01\xa1a\x02", json!({"$map": [["a", 1], ["a", 2]]})),
            (b"\xd4\x05\xff", json!({"$extension": [5, "/w=="]})),
            (b"\xcb\x7f\xf0\0\0\0\0\0\0", json!({"$float": "Infinity"})),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", json!(u64::MAX)),
            (b"\xd3\x80\0\0\0\0\0\0\0", json!(i64::MIN)),
        ];
        for (bytes, value) in cases {
            assert_eq!(to_json(bytes).as_ref(), Some(&value), "{bytes:x?}");
            assert_eq!(of_json(&value).as_deref(), Ok(bytes), "{value}");
        }
        let nan = of_json(&json!({"$float": "NaN"})).unwrap();
        assert_eq!(to_json(&nan), Some(json!({"$float": "NaN"})));
    }

    #[test]
    fn what_is_not_one_value_is_not_msgpack() {
        let deep = [vec![0x91; 1000], vec![0xc0]].concat();
        for bytes in
            [&b""[..], b"Hello", b"\xc1", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff\x01", b"\xa5abc", &deep]
        {
            assert_eq!(to_json(bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn a_mistyped_special_value_is_refused() {
        for (value, part) in [
            (json!({"$bytes": "AA"}), "$bytes is unknown"),
            (json!({"$base64": "?"}), "$base64"),
            (json!([{"$text": 1}]), "$text"),
            (json!({"$map": [[1]]}), "$map"),
            (json!({"a": {"$float": "1"}}), "$float"),
            (json!({"$extension": [200, ""]}), "$extension"),
        ] {
            assert!(of_json(&value).unwrap_err().contains(part), "{value}");
        }
    }

    proptest! {
        #[test]
        fn bytes_from_actors_are_harmless_and_return(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(value) = to_json(&bytes) {
                let again = of_json(&value).unwrap();
                prop_assert_eq!(to_json(&again), Some(value));
            }
        }
    }
}
