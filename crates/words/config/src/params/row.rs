//! What a row of the parameter table says.

/// The number of a parameter: its place in [`super::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub(crate) u16);

impl Id {
    /// The place of the parameter in [`super::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The row.
    #[must_use]
    pub fn row(self) -> &'static Row {
        super::ALL[self.index()]
    }

    /// The parameter's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }
}

/// How the text of a value is read. A bound of 0 is no bound, as in Postfix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text with `$name` expanded; bounds are of its length in bytes.
    Text {
        /// Least length.
        min: i64,
        /// Greatest length.
        max: i64,
    },
    /// Text whose `$name` is expanded later, by whom it concerns.
    Raw {
        /// Least length.
        min: i64,
        /// Greatest length.
        max: i64,
    },
    /// `yes` or `no`.
    Bool,
    /// A whole number of 32 bits.
    Int {
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
    },
    /// A whole number of 64 bits.
    Long {
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
    },
    /// A span of time; without a unit it has the unit of the default value. Bounds are in seconds.
    Time {
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
    },
    /// Set by the running program; main.cf cannot change it.
    ReadOnly,
}

/// Whether a setting has its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Read by the named crates; `postconf` for what is only shown.
    Honoured(&'static str),
    /// Known, and without effect so far; a setting is reported when the configuration is loaded.
    NotYet,
    /// Accepted and without effect, for good; the reason.
    NoEffect(&'static str),
}

/// One parameter.
#[derive(Debug)]
pub struct Row {
    /// As in main.cf.
    pub name: &'static str,
    /// How its text is read.
    pub kind: Kind,
    /// The default as an expression; [`COMPUTED`] where it is made from the [`crate::Environment`].
    pub default: &'static str,
    /// The programs of Postfix that read it, separated by commas.
    pub readers: &'static str,
    /// Whether a setting has its effect.
    pub status: Status,
    /// What it is for, in one sentence.
    pub doc: &'static str,
}

/// Stands as the default of what is made from the environment of the program.
pub const COMPUTED: &str = "\u{0}computed";

/// Where the first group of rows begins.
pub(super) const END: u16 = 0;

#[allow(unused_imports)] // Rows choose among them.
pub(super) use self::Status::{Honoured, NoEffect, NotYet};

pub(super) const fn text(min: i64, max: i64) -> Kind {
    Kind::Text { min, max }
}

pub(super) const fn raw(min: i64, max: i64) -> Kind {
    Kind::Raw { min, max }
}

pub(super) const fn flag() -> Kind {
    Kind::Bool
}

pub(super) const fn int(min: i64, max: i64) -> Kind {
    Kind::Int { min, max }
}

pub(super) const fn long(min: i64, max: i64) -> Kind {
    Kind::Long { min, max }
}

pub(super) const fn time(min: i64, max: i64) -> Kind {
    Kind::Time { min, max }
}

pub(super) const fn read_only() -> Kind {
    Kind::ReadOnly
}

/// Makes the rows of one group and a constant [`Id`] for each, numbered on from the group before it.
macro_rules! rows {
    (after $before:ident; $($ident:ident $(= $name:literal)?: $kind:expr, $default:expr, $readers:literal, $status:expr, $doc:literal;)*) => {
        const BASE: u16 = super::$before::END;

        #[allow(non_camel_case_types, clippy::enum_variant_names)]
        enum Place { $($ident,)* Last }

        pub(super) const END: u16 = BASE + Place::Last as u16;

        $(
            #[doc = concat!("postconf(5) `", stringify!($ident), "`. ", $doc)]
            #[allow(non_upper_case_globals)]
            pub const $ident: Id = Id(BASE + Place::$ident as u16);
        )*

        pub(super) const ROWS: &[Row] = &[
            $(Row { name: rows!(@name $ident $($name)?), kind: $kind, default: $default, readers: $readers, status: $status, doc: $doc },)*
        ];
    };
    (@name $ident:ident) => { stringify!($ident) };
    (@name $ident:ident $name:literal) => { $name };
}
pub(super) use rows;
