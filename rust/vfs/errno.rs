// SPDX-License-Identifier: GPL-2.0

//! Error numbers that the kernel crate does not name.

use crate::bindings;
use kernel::error::Error;

macro_rules! errno {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        pub(crate) fn $name() -> Error {
            Error::from_errno(-(bindings::$name as i32))
        }
    )*};
}

#[allow(non_snake_case)]
mod names {
    use super::*;

    errno! {
        /// The file system is damaged ("structure needs cleaning").
        EUCLEAN,
        /// The operation is not supported here.
        EOPNOTSUPP,
        /// The directory is not empty.
        ENOTEMPTY,
        /// The name is too long.
        ENAMETOOLONG,
        /// The NFS file handle is stale.
        ESTALE,
    }
}

pub(crate) use names::*;
