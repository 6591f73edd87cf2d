// SPDX-License-Identifier: GPL-2.0

//! File attributes as `chattr(1)`, `lsattr(1)` and `FS_IOC_FS[GS]ETXATTR` know them.
//!
//! C header: [`include/linux/fileattr.h`](srctree/include/linux/fileattr.h)

use crate::bindings;

/// The attributes asked for or to be set. The VFS keeps the two forms, `FS_*_FL` and `FS_XFLAG_*`, in step.
pub(crate) struct FileAttr<'a>(&'a mut bindings::file_kattr);

impl<'a> FileAttr<'a> {
    /// # Safety
    ///
    /// `raw` is valid and ours for `'a`.
    pub(super) unsafe fn from_raw(raw: *mut bindings::file_kattr) -> Self {
        // SAFETY: The caller's promise.
        Self(unsafe { &mut *raw })
    }

    /// `FS_*_FL` of `include/uapi/linux/fs.h`.
    pub(crate) fn flags(&self) -> u32 {
        self.0.flags
    }

    /// Sets what a query answers, in both forms.
    pub(crate) fn fill(&mut self, flags: u32, project: u32) {
        // SAFETY: The structure is ours during the call.
        unsafe { bindings::fileattr_fill_flags(self.0, flags) };
        self.0.fsx_projid = project;
    }

    /// The project, if the call is one that sets it.
    pub(crate) fn project(&self) -> Option<u32> {
        self.0.fsx_valid().then_some(self.0.fsx_projid)
    }

    /// Whether something is to be set that `FS_*_FL` and a project cannot say: extent sizes and the like.
    pub(crate) fn has_foreign(&self) -> bool {
        let common = bindings::FS_XFLAG_SYNC
            | bindings::FS_XFLAG_IMMUTABLE
            | bindings::FS_XFLAG_APPEND
            | bindings::FS_XFLAG_NODUMP
            | bindings::FS_XFLAG_NOATIME
            | bindings::FS_XFLAG_PROJINHERIT;
        self.0.fsx_valid()
            && (self.0.fsx_xflags & !common != 0
                || self.0.fsx_extsize != 0
                || self.0.fsx_cowextsize != 0)
    }
}
