//! Scratch memory: floats on a 64-byte boundary that grow on first use, and may be written by several threads
//! in disjoint parts.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

const ALIGN: usize = 64;

/// An owned block of floats. Contents are lost when it grows.
pub(crate) struct Buffer {
    ptr: NonNull<f32>,
    len: usize,
}

// SAFETY: the block is owned and holds plain floats.
unsafe impl Send for Buffer {}
// SAFETY: shared access reads only, but for `part`, whose contract is disjointness.
unsafe impl Sync for Buffer {}

impl Buffer {
    pub(crate) const fn new() -> Self {
        Self { ptr: NonNull::dangling(), len: 0 }
    }

    fn layout(len: usize) -> Layout {
        match Layout::from_size_align(len * 4, ALIGN) {
            Ok(layout) => layout,
            Err(_) => panic!("a scratch buffer of {len} floats does not fit memory"),
        }
    }

    /// Makes room for `len` floats, zeroed if it has to grow.
    pub(crate) fn fit(&mut self, len: usize) {
        if len <= self.len {
            return;
        }
        let layout = Self::layout(len);
        // SAFETY: the layout is not empty, as len > self.len >= 0.
        let raw = unsafe { alloc_zeroed(layout) };
        let Some(ptr) = NonNull::new(raw.cast::<f32>()) else { handle_alloc_error(layout) };
        *self = Self { ptr, len };
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        // SAFETY: `ptr` holds `len` initialized floats (or dangles with len 0).
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above, and access is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }

    /// `len` floats from `start`, writable through a shared reference.
    ///
    /// # Safety
    /// While the result lives, nobody else may read or write these floats.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn part(&self, start: usize, len: usize) -> &mut [f32] {
        assert!(start + len <= self.len, "part {start}+{len} of a buffer of {}", self.len);
        // SAFETY: in bounds by the assertion; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr().add(start), len) }
    }

    /// `len` floats from `start` to read.
    ///
    /// # Safety
    /// While the result lives, nobody may write these floats.
    pub(crate) unsafe fn view(&self, start: usize, len: usize) -> &[f32] {
        assert!(start + len <= self.len, "view {start}+{len} of a buffer of {}", self.len);
        // SAFETY: in bounds by the assertion; unwritten by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr().add(start), len) }
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: allocated by `fit` with the same layout.
            unsafe { dealloc(self.ptr.as_ptr().cast(), Self::layout(self.len)) }
        }
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} floats)", self.len)
    }
}

/// A caller's slice that several threads write in disjoint parts.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a, T> {
    ptr: *mut T,
    len: usize,
    owner: std::marker::PhantomData<&'a mut [T]>,
}

// SAFETY: access goes through `part`, whose contract is disjointness.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { ptr: slice.as_mut_ptr(), len: slice.len(), owner: std::marker::PhantomData }
    }

    /// `len` elements from `start`.
    ///
    /// # Safety
    /// While the result lives, nobody else may read or write these elements.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn part(&self, start: usize, len: usize) -> &mut [T] {
        assert!(start + len <= self.len, "part {start}+{len} of a slice of {}", self.len);
        // SAFETY: in bounds by the assertion; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.add(start), len) }
    }
}
