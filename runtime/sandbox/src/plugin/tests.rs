//! Values go to a plugin and come back as they were, whatever their types.

use proptest::collection::vec;
use proptest::prelude::*;
use sloth_workflow::{Value, cbor};
use wasmtime::component::{ResourceAny, Val};

use super::lift::{Taken, lift};
use super::lower::{Given, lower};
use super::shape::{Resource, Shape};

/// No types of these tests have resources: the plugins that are called by the tests beside do.
struct Nobody;

impl Given for Nobody {
    fn given(&mut self, _: i64, _: usize, _: bool) -> Result<ResourceAny, String> {
        Err("there are none".to_owned())
    }

    fn has_room(&mut self, _: usize) -> bool {
        true
    }
}

impl Taken for Nobody {
    fn taken(&mut self, _: ResourceAny, _: usize) -> Result<i64, String> {
        Err("there are none".to_owned())
    }

    fn resources(&self) -> &[Resource] {
        &[]
    }
}

fn names(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    count.prop_map(|count| (0..count).map(|index| format!("n-{index}")).collect())
}

fn shapes() -> impl Strategy<Value = Shape> {
    let plain = prop_oneof![
        Just(Shape::Bool),
        Just(Shape::S8),
        Just(Shape::U8),
        Just(Shape::S16),
        Just(Shape::U16),
        Just(Shape::S32),
        Just(Shape::U32),
        Just(Shape::S64),
        Just(Shape::U64),
        Just(Shape::Float32),
        Just(Shape::Float64),
        Just(Shape::Char),
        Just(Shape::String),
        Just(Shape::Bytes),
        names(1..4).prop_map(Shape::Enum),
        names(1..5).prop_map(Shape::Flags),
    ];
    plain.prop_recursive(4, 24, 4, |inner| {
        let some = prop::option::of(inner.clone());
        let boxed = || some.clone().prop_map(|inner| inner.map(Box::new));
        prop_oneof![
            // A list of bytes is a type of its own.
            inner.clone().prop_map(|item| match item {
                Shape::U8 => Shape::Bytes,
                item => Shape::List(item.into()),
            }),
            inner.clone().prop_map(|inner| Shape::Option(inner.into())),
            (inner.clone(), 1_u32..4).prop_map(|(item, length)| Shape::Fixed(item.into(), length)),
            vec(inner.clone(), 1..4).prop_map(Shape::Tuple),
            vec(inner.clone(), 1..4).prop_map(|fields| {
                let fields = fields.into_iter().zip(0..);
                Shape::Record(
                    fields
                        .map(|(field, index)| (format!("f-{index}"), field))
                        .collect(),
                )
            }),
            vec(some.clone(), 1..4).prop_map(|cases| {
                let cases = cases.into_iter().zip(0..);
                Shape::Variant(
                    cases
                        .map(|(case, index)| (format!("c-{index}"), case))
                        .collect(),
                )
            }),
            (boxed(), boxed()).prop_map(|(ok, err)| Shape::Result(ok, err)),
            inner.prop_map(|inner| Shape::Map(Shape::String.into(), inner.into())),
        ]
    })
}

fn payload(shape: Option<&Shape>) -> BoxedStrategy<Option<Box<Val>>> {
    match shape {
        None => Just(None).boxed(),
        Some(shape) => values(shape)
            .prop_map(|value| Some(Box::new(value)))
            .boxed(),
    }
}

fn all(shapes: &[Shape]) -> BoxedStrategy<Vec<Val>> {
    shapes.iter().map(values).collect::<Vec<_>>().boxed()
}

fn values(shape: &Shape) -> BoxedStrategy<Val> {
    match shape {
        Shape::Bool => any::<bool>().prop_map(Val::Bool).boxed(),
        Shape::S8 => any::<i8>().prop_map(Val::S8).boxed(),
        Shape::U8 => any::<u8>().prop_map(Val::U8).boxed(),
        Shape::S16 => any::<i16>().prop_map(Val::S16).boxed(),
        Shape::U16 => any::<u16>().prop_map(Val::U16).boxed(),
        Shape::S32 => any::<i32>().prop_map(Val::S32).boxed(),
        Shape::U32 => any::<u32>().prop_map(Val::U32).boxed(),
        Shape::S64 => any::<i64>().prop_map(Val::S64).boxed(),
        // What Lua has an integer for.
        Shape::U64 => (0..=i64::MAX.unsigned_abs()).prop_map(Val::U64).boxed(),
        Shape::Float32 => any::<f32>().prop_map(Val::Float32).boxed(),
        Shape::Float64 => any::<f64>().prop_map(Val::Float64).boxed(),
        Shape::Char => any::<char>().prop_map(Val::Char).boxed(),
        Shape::String => any::<String>().prop_map(Val::String).boxed(),
        Shape::Bytes => vec(any::<u8>().prop_map(Val::U8), 0..8)
            .prop_map(Val::List)
            .boxed(),
        Shape::List(item) => vec(values(item), 0..4).prop_map(Val::List).boxed(),
        Shape::Fixed(item, length) => vec(values(item), *length as usize)
            .prop_map(Val::FixedLengthList)
            .boxed(),
        Shape::Map(_, inner) => prop::collection::btree_map("[a-z]{1,6}", Just(()), 0..4)
            .prop_flat_map({
                let inner = (**inner).clone();
                move |keys| {
                    let keys: Vec<String> = keys.into_keys().collect();
                    let count = keys.len();
                    vec(values(&inner), count).prop_map(move |values| {
                        let keys = keys.iter().cloned().map(Val::String);
                        Val::Map(keys.zip(values).collect())
                    })
                }
            })
            .boxed(),
        Shape::Record(fields) => {
            let (names, shapes): (Vec<_>, Vec<_>) = fields.iter().cloned().unzip();
            all(&shapes)
                .prop_map(move |values| Val::Record(names.iter().cloned().zip(values).collect()))
                .boxed()
        }
        Shape::Tuple(shapes) => all(shapes).prop_map(Val::Tuple).boxed(),
        Shape::Variant(cases) => {
            let cases = cases.clone();
            (0..cases.len())
                .prop_flat_map(move |index| {
                    let (name, shape) = cases[index].clone();
                    payload(shape.as_ref()).prop_map(move |value| Val::Variant(name.clone(), value))
                })
                .boxed()
        }
        Shape::Enum(names) => prop::sample::select(names.clone())
            .prop_map(Val::Enum)
            .boxed(),
        Shape::Option(inner) => prop::option::of(values(inner))
            .prop_map(|value| Val::Option(value.map(Box::new)))
            .boxed(),
        Shape::Result(ok, err) => prop_oneof![
            payload(ok.as_deref()).prop_map(|value| Val::Result(Ok(value))),
            payload(err.as_deref()).prop_map(|value| Val::Result(Err(value))),
        ]
        .boxed(),
        Shape::Flags(names) => prop::sample::subsequence(names.clone(), 0..=names.len())
            .prop_map(Val::Flags)
            .boxed(),
        Shape::Own(_) | Shape::Borrow(_) => unreachable!("none is made"),
    }
}

proptest! {
    #[test]
    fn what_a_plugin_gives_is_taken_back_as_it_was(
        (shape, value) in shapes().prop_flat_map(|shape| {
            let values = values(&shape);
            (Just(shape), values)
        })
    ) {
        let given = lift(value.clone(), &shape, "it", &mut Nobody).unwrap();
        // The way through the guest.
        let bounds = cbor::Bounds { size: 1 << 24, depth: 100, entries: 100_000 };
        let carried = cbor::decode(&cbor::encode(&given), bounds).unwrap();
        let back = lower(carried, &shape, "it", &mut Nobody).unwrap();
        prop_assert_eq!(back, value);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_nothing_panics(
        (shape, other) in (shapes(), shapes().prop_flat_map(|shape| values(&shape).prop_map(move |value| (shape.clone(), value))))
    ) {
        let (of, value) = other;
        let given = lift(value, &of, "it", &mut Nobody).unwrap();
        if let Err(problem) = lower(given, &shape, "it", &mut Nobody) {
            prop_assert!(problem.starts_with("it"), "{}", problem);
        }
    }
}

#[test]
fn an_empty_table_is_an_empty_list_and_gaps_are_nothing() {
    let list = Shape::List(Shape::U32.into());
    assert_eq!(
        lower(Value::empty(), &list, "it", &mut Nobody),
        Ok(Val::List(Vec::new()))
    );
    let pair = Shape::Tuple(vec![Shape::Option(Shape::U8.into()), Shape::U8]);
    let gap = Value::Map([("2".to_owned(), Value::Integer(5))].into());
    let lowered = lower(gap, &pair, "it", &mut Nobody);
    assert_eq!(lowered, Ok(Val::Tuple(vec![Val::Option(None), Val::U8(5)])));
}
