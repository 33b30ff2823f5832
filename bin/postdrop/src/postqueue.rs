//! postqueue: its module lands with its owner.

use std::ffi::OsString;

pub(crate) fn main(_args: &[OsString]) -> i32 {
    69
}
