//! How a metric is declared: its doc comment says when it moves and is also its `# HELP`, a sentence
//! that begins with what it does: a counter counts, a gauge shows, a histogram measures.

use std::fmt;
use std::marker::PhantomData;

use metrics::{Counter, Gauge, Histogram, Label as Pair, with_recorder};

/// The values of a label: an enum, so that no peer can invent one.
pub trait Label: Copy + 'static {
    /// The label's name.
    const NAME: &'static str;
    /// Every value.
    const ALL: &'static [Self];

    /// As it is shown.
    fn value(self) -> &'static str;

    /// Its place in [`Self::ALL`].
    fn index(self) -> usize;
}

/// One metric for each value of a label.
pub struct Per<L, M> {
    metrics: Box<[M]>,
    label: PhantomData<L>,
}

impl<L: Label, M> Per<L, M> {
    /// The metric of one value.
    pub fn of(&self, label: L) -> &M {
        &self.metrics[label.index()]
    }
}

impl<L: Label, M> fmt::Debug for Per<L, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Per({})", L::NAME)
    }
}

/// Something that a group may hold. Registered with the recorder of the moment.
pub trait Metric: Sized {
    /// Makes it known, with its help.
    fn describe(name: &'static str, help: &'static str);
    /// Registers one series.
    fn register(name: &'static str, labels: Vec<Pair>) -> Self;
}

macro_rules! metric {
    ($type:ident, $describe:ident, $register:ident) => {
        impl Metric for $type {
            fn describe(name: &'static str, help: &'static str) {
                with_recorder(|recorder| recorder.$describe(name.into(), None, help.into()));
            }

            fn register(name: &'static str, labels: Vec<Pair>) -> Self {
                const METADATA: metrics::Metadata<'static> =
                    metrics::Metadata::new("pli_node", metrics::Level::INFO, None);
                let key = metrics::Key::from_parts(name, labels);
                with_recorder(|recorder| recorder.$register(&key, &METADATA))
            }
        }
    };
}
metric!(Counter, describe_counter, register_counter);
metric!(Gauge, describe_gauge, register_gauge);
metric!(Histogram, describe_histogram, register_histogram);

impl<L: Label, M: Metric> Metric for Per<L, M> {
    fn describe(name: &'static str, help: &'static str) {
        M::describe(name, help);
    }

    fn register(name: &'static str, labels: Vec<Pair>) -> Self {
        let one = |value: &L| {
            let mut labels = labels.clone();
            labels.push(Pair::from_static_parts(L::NAME, value.value()));
            M::register(name, labels)
        };
        Self {
            metrics: L::ALL.iter().map(one).collect(),
            label: PhantomData,
        }
    }
}

/// Declares a group of metrics: `pli_<group>_<name>`.
macro_rules! group {
    (
        $(#[doc = $doc:literal])*
        $group:literal => $name:ident {
            $( $(#[doc = $help:literal])+ $metric:ident: $type:ty; )*
        }
    ) => {
        $(#[doc = $doc])*
        pub struct $name {
            $( $(#[doc = $help])+ pub $metric: $type, )*
        }

        impl $name {
            fn register() -> Self {
                Self { $( $metric: {
                    const NAME: &str = concat!("pli_", $group, "_", stringify!($metric));
                    <$type as Metric>::describe(NAME, concat!($($help),+).trim_ascii_start());
                    <$type as Metric>::register(NAME, Vec::new())
                }, )* }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}
pub(super) use group;

/// Declares the values of a label.
macro_rules! label {
    (
        $(#[doc = $doc:literal])*
        $label:literal => $name:ident {
            $( $(#[doc = $value_doc:literal])+ $variant:ident = $value:literal, )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum $name {
            $( $(#[doc = $value_doc])+ $variant, )*
        }

        impl Label for $name {
            const NAME: &'static str = $label;
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            fn value(self) -> &'static str {
                match self { $(Self::$variant => $value),* }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}
pub(super) use label;
