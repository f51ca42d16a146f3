//! What parameters are made of: each type has a name in the interface description, and says itself what it can be read of.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The type of a parameter, or of a part of a reply.
pub trait Parameter: Sized {
    /// Its name in Varlink's language.
    fn type_name() -> String;

    /// Reads it; `None` = the value cannot be this.
    fn read(value: Value) -> Option<Self>;

    /// What it is if it is missing or null; `None` = it must be there.
    fn missing() -> Option<Self> {
        None
    }

    /// Whether it is left out when it is written.
    fn is_absent(&self) -> bool {
        false
    }
}

/// Parameters of a call, or a reply: named values. Declared with `object!`.
pub trait Object: Sized {
    /// Names and types, in the order in which people read them.
    fn members() -> Vec<(&'static str, String)>;

    /// Takes its members out of `parameters`; `Err` = the name of one that is missing or wrong.
    fn take(parameters: &mut Parameters) -> Result<Self, &'static str>;
}

/// Declares an [`Object`]: a struct, each field with its comment. The fields are what goes over the wire.
macro_rules! object {
    ($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $(
                $(#[$field_about])*
                #[serde(skip_serializing_if = "crate::parameter::Parameter::is_absent")]
                pub $field: $type,
            )*
        }

        impl $crate::parameter::Object for $name {
            fn members() -> Vec<(&'static str, String)> {
                vec![$((stringify!($field), <$type as $crate::parameter::Parameter>::type_name())),*]
            }

            fn take(_parameters: &mut $crate::parameter::Parameters) -> Result<Self, &'static str> {
                Ok(Self { $($field: _parameters.take(stringify!($field))?),* })
            }
        }
    };
}
pub(crate) use object;

/// The parameters of a call that were not taken yet.
#[derive(Debug, Default)]
pub struct Parameters(pub(crate) Map<String, Value>);

impl Parameters {
    /// Takes one; `Err` = its name, as it is missing or wrong.
    pub fn take<T: Parameter>(&mut self, name: &'static str) -> Result<T, &'static str> {
        match self.0.remove(name) {
            None | Some(Value::Null) => T::missing(),
            Some(value) => T::read(value),
        }
        .ok_or(name)
    }

    /// One that nobody has taken: it would be silently ignored.
    pub fn unknown(&self) -> Option<&str> {
        self.0.keys().next().map(String::as_str)
    }
}

impl<T: Parameter> Parameter for Option<T> {
    fn type_name() -> String {
        format!("?{}", T::type_name())
    }

    fn read(value: Value) -> Option<Self> {
        T::read(value).map(Some)
    }

    fn missing() -> Option<Self> {
        Some(None)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Parameter> Parameter for Vec<T> {
    fn type_name() -> String {
        format!("[]{}", T::type_name())
    }

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Array(values) => values.into_iter().map(T::read).collect(),
            _ => None,
        }
    }
}

impl<T: Parameter + Ord> Parameter for BTreeSet<T> {
    fn type_name() -> String {
        Vec::<T>::type_name()
    }

    fn read(value: Value) -> Option<Self> {
        Vec::read(value).map(|values| values.into_iter().collect())
    }
}

impl<T: Parameter> Parameter for BTreeMap<String, T> {
    fn type_name() -> String {
        format!("[string]{}", T::type_name())
    }

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Object(map) => map.into_iter().map(|(name, value)| Some((name, T::read(value)?))).collect(),
            _ => None,
        }
    }
}

/// Types that serde reads as they are.
macro_rules! plain {
    ($($type:ty: $name:literal,)+) => {$(
        impl Parameter for $type {
            fn type_name() -> String {
                $name.to_owned()
            }

            fn read(value: Value) -> Option<Self> {
                serde_json::from_value(value).ok()
            }
        }
    )+};
}
pub(crate) use plain;

plain! {
    String: "string",
    bool: "bool",
    u64: "int",
    i32: "int",
}

/// An object that is described elsewhere, as it came: also what a newer daemon says and `T` does not know.
#[derive(Clone, Debug, PartialEq)]
pub struct Described<T> {
    /// As it came.
    pub value: Value,
    known: PhantomData<fn() -> T>,
}

impl<T: Serialize> Described<T> {
    /// `known` as it goes over the wire.
    ///
    /// # Panics
    /// Never for our own types: they have only string keys and no values that fail to serialise.
    pub fn of(known: &T) -> Self {
        Self::from(serde_json::to_value(known).expect("wire types have string keys and finite numbers"))
    }
}

impl<T: DeserializeOwned> Described<T> {
    /// What we know of it.
    pub fn known(self) -> Result<T, serde_json::Error> {
        serde_json::from_value(self.value)
    }
}

impl<T> From<Value> for Described<T> {
    fn from(value: Value) -> Self {
        Self { value, known: PhantomData }
    }
}

impl<T> Default for Described<T> {
    fn default() -> Self {
        Self::from(Value::Null)
    }
}

impl<T> Serialize for Described<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Described<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}

impl<T> Parameter for Described<T> {
    fn type_name() -> String {
        "object".to_owned()
    }

    fn read(value: Value) -> Option<Self> {
        value.is_object().then(|| value.into())
    }
}
