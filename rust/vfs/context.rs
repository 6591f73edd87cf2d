// SPDX-License-Identifier: GPL-2.0

//! Mounting and remounting: options are collected in a context, then a super block is made or changed.
//!
//! C header: [`include/linux/fs_context.h`](srctree/include/linux/fs_context.h)

use super::{
    super_block::{self, SuperBlock},
    FileSystem,
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{error::from_result, prelude::*, types::ForeignOwnable};

/// The value of a mount option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParamValue<'a> {
    /// The option was given by its name alone.
    Flag,
    /// `name=value`.
    String(&'a [u8]),
}

impl ParamValue<'_> {
    /// The value as a decimal number; `EINVAL` if it is not one.
    pub(crate) fn number(&self) -> Result<u64> {
        match self {
            Self::String(digits) if !digits.is_empty() => {
                digits.iter().try_fold(0u64, |sum, digit| {
                    let digit = digit
                        .checked_sub(b'0')
                        .filter(|digit| *digit < 10)
                        .ok_or(EINVAL)?;
                    sum.checked_mul(10)
                        .and_then(|sum| sum.checked_add(digit.into()))
                        .ok_or(EINVAL)
                })
            }
            _ => Err(EINVAL),
        }
    }

    /// Refuses a value where there should be none.
    pub(crate) fn flag(&self) -> Result {
        match self {
            Self::Flag => Ok(()),
            Self::String(_) => Err(EINVAL),
        }
    }
}

struct Context<T>(PhantomData<T>);

impl<T: FileSystem> Context<T> {
    const OPS: bindings::fs_context_operations = bindings::fs_context_operations {
        free: Some(Self::free),
        dup: None,
        parse_param: Some(Self::parse_param),
        parse_monolithic: None,
        get_tree: Some(Self::get_tree),
        reconfigure: Some(Self::reconfigure),
    };

    unsafe extern "C" fn free(fc: *mut bindings::fs_context) {
        // SAFETY: "Callback pointer"; `fs_private` is null or came from `into_foreign` in `init_fs_context`.
        unsafe {
            let private = (*fc).fs_private;
            if !private.is_null() {
                drop(<KBox<T::Options> as ForeignOwnable>::from_foreign(
                    private.cast(),
                ));
            }
        }
    }

    unsafe extern "C" fn parse_param(
        fc: *mut bindings::fs_context,
        param: *mut bindings::fs_parameter,
    ) -> c_int {
        // SAFETY: "Callback pointer" for both; `fs_private` holds our options, and the context is locked.
        unsafe {
            let source = bindings::vfs_parse_fs_param_source(fc, param);
            if source != ENOPARAM.to_errno() {
                return source;
            }
            let key = super::bytes_of((*param).key);
            let value = match (*param).type_() {
                bindings::fs_value_type_fs_value_is_flag => ParamValue::Flag,
                bindings::fs_value_type_fs_value_is_string => {
                    ParamValue::String(super::bytes_of((*param).__bindgen_anon_1.string))
                }
                _ => return EINVAL.to_errno(),
            };
            let options = &mut *(*fc).fs_private.cast::<T::Options>();
            from_result(|| T::parse_param(options, key, value).map(|()| 0))
        }
    }

    unsafe extern "C" fn get_tree(fc: *mut bindings::fs_context) -> c_int {
        // SAFETY: "Callback pointer"; `fill_super` fits a file system registered as `T`.
        unsafe { bindings::get_tree_bdev(fc, Some(super_block::fill_super::<T>)) }
    }

    unsafe extern "C" fn reconfigure(fc: *mut bindings::fs_context) -> c_int {
        // SAFETY: "Callback pointer"; `root` is set for a remount, its super block is a live one of `T` and
        // `s_umount` is held for writing.
        unsafe {
            let raw = (*(*fc).root).d_sb;
            let options = &*(*fc).fs_private.cast::<T::Options>();
            let read_only = (*fc).sb_flags as usize & bindings::SB_RDONLY != 0;
            from_result(|| {
                bindings::sync_filesystem(raw);
                T::reconfigure(SuperBlock::from_raw(raw), options, read_only).map(|()| 0)
            })
        }
    }
}

/// `file_system_type::init_fs_context`: gives the context its options and operations.
pub(super) unsafe extern "C" fn init_fs_context<T: FileSystem>(
    fc: *mut bindings::declared::fs_context,
) -> c_int {
    let fc: *mut bindings::fs_context = fc.cast();
    // SAFETY: "Callback pointer"; on a remount `root` belongs to a live super block of `T`.
    unsafe {
        let root = (*fc).root;
        let sb = (!root.is_null()).then(|| SuperBlock::<T>::from_raw((*root).d_sb));
        from_result(|| {
            let options = KBox::new(T::options(sb)?, GFP_KERNEL)?;
            (*fc).fs_private = options.into_foreign().cast();
            (*fc).ops = &Context::<T>::OPS;
            Ok(0)
        })
    }
}
