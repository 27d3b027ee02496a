// SPDX-License-Identifier: GPL-2.0

//! Mounting and remounting: the file system's side of `struct fs_context`.
//!
//! C header: [`include/linux/fs_context.h`](srctree/include/linux/fs_context.h)

use super::{
    debugfs,
    export,
    super_ops,
    xattr,
    Inode,
    NewSuperBlock,
    SuperBlock, //
};
use crate::bindings;
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    num::casts::u32_as_usize,
    prelude::*,
    sync::aref::ARef,
    types::ForeignOwnable, //
};

/// How volumes of the file system are mounted.
pub(crate) trait Operations:
    super_ops::Operations + export::Operations + xattr::Operations
{
    /// What one mount or remount asks for, collected option by option.
    type Context: Default + Send + 'static;

    /// Takes one option. `value` is what follows the equals sign, if anything does.
    ///
    /// # Errors
    ///
    /// [`ENOPARAM`] if there is no such option: the VFS then names it in its refusal.
    fn parse_param(context: &mut Self::Context, key: &CStr, value: Option<&CStr>) -> Result;

    /// Reads the volume and makes the mount's private part.
    ///
    /// Nothing is written to the device: the mount may still fail.
    fn fill_super(
        sb: &mut NewSuperBlock<'_, Self>,
        context: &Self::Context,
    ) -> Result<Pin<KBox<Self::Super>>>;

    /// Reads the root directory.
    fn root(sb: &SuperBlock<Self>) -> Result<ARef<Inode<Self>>>;

    /// Last step of a mount; the first that may write to the device.
    fn mounted(sb: &SuperBlock<Self>) -> Result;

    /// Changes a mount in use. `rdonly` is what it is to be afterwards.
    ///
    /// Everything dirty was written out just before. C sets or clears `SB_RDONLY` when this
    /// succeeds.
    fn reconfigure(sb: &SuperBlock<Self>, context: &Self::Context, rdonly: bool) -> Result;
}

/// The C side of [`Operations`].
pub(super) struct VTable<T>(PhantomData<T>);

impl<T: Operations> VTable<T> {
    const TABLE: bindings::fs_context_operations = bindings::fs_context_operations {
        free: Some(Self::free),
        parse_param: Some(Self::parse_param),
        get_tree: Some(Self::get_tree),
        reconfigure: Some(Self::reconfigure),
        ..pin_init::zeroed()
    };

    /// Starts a mount or a remount.
    ///
    /// # Safety
    ///
    /// Called by the VFS with a new context of this file system.
    pub(super) unsafe extern "C" fn init_fs_context(
        fc: *mut kernel::bindings::fs_context,
    ) -> c_int {
        // The kernel crate knows the type by name only; ours is the same C type in full.
        let fc = fc.cast::<bindings::fs_context>();
        from_result(|| {
            let context = KBox::new(T::Context::default(), GFP_KERNEL)?;
            // SAFETY: The context is valid, and nobody else uses it yet.
            unsafe {
                (*fc).fs_private = context.into_foreign();
                (*fc).ops = &Self::TABLE;
            }
            Ok(0)
        })
    }

    /// Returns the options collected so far.
    ///
    /// # Safety
    ///
    /// `fc` was initialised by [`Self::init_fs_context`], and the VFS lends it to this task alone.
    unsafe fn context<'a>(fc: *mut bindings::fs_context) -> &'a mut T::Context {
        // SAFETY: `fs_private` came from `into_foreign` of a `KBox<T::Context>`, and is lent to us.
        unsafe { &mut *(*fc).fs_private.cast::<T::Context>() }
    }

    /// # Safety
    ///
    /// Called by the VFS as the last use of a context.
    unsafe extern "C" fn free(fc: *mut bindings::fs_context) {
        // SAFETY: As in `context`.
        let private = unsafe { (*fc).fs_private };
        if !private.is_null() {
            // SAFETY: As in `context`; this is the last use.
            drop(unsafe { KBox::<T::Context>::from_foreign(private) });
        }
    }

    /// # Safety
    ///
    /// Called by the VFS with a context of this file system and a valid parameter.
    unsafe extern "C" fn parse_param(
        fc: *mut bindings::fs_context,
        param: *mut bindings::fs_parameter,
    ) -> c_int {
        from_result(|| {
            // SAFETY: Both are valid, by our requirements; the union holds what `type` says.
            let (context, key, value) = unsafe {
                let value = match (*param).type_() {
                    bindings::fs_value_type_fs_value_is_string => {
                        Some(CStr::from_char_ptr((*param).__bindgen_anon_1.string))
                    }
                    bindings::fs_value_type_fs_value_is_flag => None,
                    _ => return Err(ENOPARAM),
                };
                (Self::context(fc), CStr::from_char_ptr((*param).key), value)
            };
            T::parse_param(context, key, value).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// Called by the VFS with a context of this file system.
    unsafe extern "C" fn get_tree(fc: *mut bindings::fs_context) -> c_int {
        // SAFETY: By our requirements; `fill_super` expects what C gives it.
        unsafe { bindings::get_tree_bdev(fc, Some(Self::fill_super)) }
    }

    /// # Safety
    ///
    /// Called by `get_tree_bdev` with a new super block on its device, and `s_umount` held.
    unsafe extern "C" fn fill_super(
        sb: *mut bindings::super_block,
        fc: *mut bindings::fs_context,
    ) -> c_int {
        from_result(|| {
            // SAFETY: The context is lent to us for this call.
            let context = unsafe { Self::context(fc) };
            // SAFETY: `fc` is valid.
            let flags = u32_as_usize(unsafe { (*fc).sb_flags });
            let silent = flags & bindings::COHFS_CONST_SB_SILENT != 0;
            // SAFETY: The super block is new and only ours, by our requirements.
            let mut new = unsafe { NewSuperBlock::from_raw(sb, silent) };

            let data = T::fill_super(&mut new, context)?;
            // SAFETY: `sb` is ours alone. The pointer is taken back by `fail` or by `put_super`.
            unsafe {
                (*sb).s_fs_info = data.into_foreign();
                (*sb).s_op = &super_ops::VTable::<T>::TABLE;
                // The kernel crate knows the type by name only; ours is the same C type in full.
                (*sb).s_export_op = ptr::from_ref(&export::VTable::<T>::TABLE).cast();
                (*sb).s_xattr = xattr::VTable::<T>::HANDLERS.as_ptr().cast();
            }
            // SAFETY: `s_fs_info` is set.
            let sb_ref = unsafe { SuperBlock::from_raw(sb) };
            let root = T::root(sb_ref).and_then(|root| {
                // SAFETY: The reference to the inode goes to C, which drops it if it fails.
                let root = unsafe { bindings::d_make_root(ARef::into_raw(root).as_ptr().cast()) };
                ptr::NonNull::new(root).ok_or(ENOMEM)
            });
            match root {
                // SAFETY: The super block is ours; from here on C calls `put_super` if we fail.
                Ok(root) => unsafe { (*sb).s_root = root.as_ptr() },
                Err(error) => {
                    // SAFETY: Without a root C does not call `put_super`; no inode is left that
                    // could use the private part.
                    drop(unsafe { super_ops::VTable::<T>::take_data(sb) });
                    return Err(error);
                }
            }
            T::mounted(sb_ref)?;
            debugfs::add(sb_ref);
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the VFS with a context whose root is that of a mount of this file system, and
    /// `s_umount` held.
    unsafe extern "C" fn reconfigure(fc: *mut bindings::fs_context) -> c_int {
        from_result(|| {
            // SAFETY: By our requirements; a mount in use has its private part.
            let (context, sb) = unsafe {
                let sb = (*(*fc).root).d_sb;
                to_result(bindings::sync_filesystem(sb))?;
                (Self::context(fc), SuperBlock::from_raw(sb))
            };
            // SAFETY: `fc` is valid.
            let (flags, mask) = unsafe { ((*fc).sb_flags, (*fc).sb_flags_mask) };
            // As `reconfigure_super` in `fs/super.c`: only what is under the mask changes.
            let asked = |bits| u32_as_usize(bits) & bindings::COHFS_CONST_SB_RDONLY != 0;
            let rdonly = if asked(mask) {
                asked(flags)
            } else {
                sb.is_rdonly()
            };
            T::reconfigure(sb, context, rdonly).map(|()| 0)
        })
    }
}
