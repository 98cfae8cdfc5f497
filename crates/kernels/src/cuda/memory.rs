//! Memory of a GPU: columns that grow on first use and are then kept, and mirrors that are uploaded only when they have
//! changed. What goes there and back passes through page-locked memory of the host, which the device reads by itself: the
//! driver need not copy it once more, nor hold up the caller until it has.

use super::Cuda;
use super::gpu::failed;
use crate::Error;
use cudarc::driver::{
    CudaContext, CudaSlice, CudaStream, DevicePtr, DeviceRepr, PinnedHostSlice, result, sys,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of page-locked memory in each direction. Larger copies are bound by the bus, not by calls, and go without it.
const STAGED: usize = 4 << 20;

/// Alignment of what lies there.
const STAGED_ALIGN: usize = 64;

/// Page-locked memory in both directions. Uploads lie one behind the other until the stream has ended them all.
#[derive(Debug)]
pub(crate) struct Staging(Mutex<Staged>);

#[derive(Debug)]
struct Staged {
    stream: Arc<CudaStream>,
    /// Write-combined: the processor writes it in one go and never reads it.
    up: Locked,
    /// Bytes of it that the device may still have to read.
    taken: usize,
    down: Locked,
}

/// [`STAGED`] bytes of page-locked memory.
#[derive(Debug)]
struct Locked {
    at: *mut u8,
    /// Gives it back.
    _memory: PinnedHostSlice<u8>,
}

// SAFETY: the address is that of memory that goes with it and that nobody else has.
unsafe impl Send for Locked {}

impl Locked {
    fn new(context: &Arc<CudaContext>, flags: u32) -> Result<Self, Error> {
        let text = |e| failed("page-lock memory of the host", e);
        // SAFETY: what is there before it is written is never read.
        let mut memory = unsafe { context.alloc_pinned_with_flags::<u8>(STAGED, flags) }.map_err(text)?;
        let at = memory.as_mut_ptr().map_err(text)?;
        Ok(Self { at, _memory: memory })
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // The device may be reading what is about to be given back. An error has been told of where it came up.
        let _ = self.stream.synchronize();
    }
}

impl Staging {
    pub(crate) fn new(context: &Arc<CudaContext>, stream: &Arc<CudaStream>) -> Result<Self, Error> {
        let up = Locked::new(context, sys::CU_MEMHOSTALLOC_WRITECOMBINED)?;
        let down = Locked::new(context, 0)?;
        Ok(Self(Mutex::new(Staged { stream: Arc::clone(stream), up, taken: 0, down })))
    }

    fn lock(&self) -> MutexGuard<'_, Staged> {
        // Nothing between locking and unlocking leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream has ended all copies.
    pub(crate) fn ended(&self) {
        self.lock().taken = 0;
    }

    /// Starts to copy `data` to `to`.
    ///
    /// # Safety
    /// `to` is the address of as much memory of the device, alive until the stream is synchronized.
    unsafe fn upload<T: DeviceRepr>(&self, to: u64, data: &[T]) -> Result<(), Error> {
        let mut staged = self.lock();
        let bytes = size_of_val(data);
        let text = |e| failed("take data", e);
        staged.stream.context().bind_to_thread().map_err(text)?;
        if bytes > STAGED {
            // SAFETY: promised by the caller; the driver has read memory that is not page-locked when it returns.
            return unsafe { result::memcpy_htod_async(to, data, staged.stream.cu_stream()) }.map_err(text);
        }
        if bytes > STAGED - staged.taken {
            staged.stream.synchronize().map_err(text)?;
            staged.taken = 0;
        }
        let first = staged.taken;
        staged.taken = (first + bytes).next_multiple_of(STAGED_ALIGN).min(STAGED);
        // SAFETY: there is room from `first` on for `bytes`, aligned as any number is, which no copy reads any more; both
        // kinds of memory are distinct. The device reads it before `ended` is called.
        unsafe {
            let at = staged.up.at.add(first).cast::<T>();
            std::ptr::copy_nonoverlapping(data.as_ptr(), at, data.len());
            let data = std::slice::from_raw_parts(at, data.len());
            result::memcpy_htod_async(to, data, staged.stream.cu_stream()).map_err(text)
        }
    }

    /// Copies from `from` to `out`, and waits for everything in the stream.
    ///
    /// # Safety
    /// `from` is the address of as much memory of the device.
    unsafe fn download<T: DeviceRepr>(&self, from: u64, out: &mut [T]) -> Result<(), Error> {
        let mut staged = self.lock();
        let bytes = size_of_val(out);
        let text = |e| failed("give results", e);
        staged.stream.context().bind_to_thread().map_err(text)?;
        let stream = staged.stream.cu_stream();
        if bytes > STAGED {
            // SAFETY: promised by the caller; `out` is not touched before the stream has ended.
            unsafe { result::memcpy_dtoh_async(out, from, stream) }.map_err(text)?;
            staged.stream.synchronize().map_err(text)?;
        } else {
            let at = staged.down.at.cast::<T>();
            // SAFETY: there is room for `bytes`, aligned as any number is, that nobody else uses while this is locked, and
            // the device has written all of them before they are read: plain numbers, as `DeviceRepr` says.
            unsafe {
                let staging = std::slice::from_raw_parts_mut(at, out.len());
                result::memcpy_dtoh_async(staging, from, stream).map_err(text)?;
                staged.stream.synchronize().map_err(text)?;
                std::ptr::copy_nonoverlapping(at.cast_const(), out.as_mut_ptr(), out.len());
            }
        }
        staged.taken = 0;
        Ok(())
    }
}

/// Elements on a device. Contents are lost when it grows.
#[derive(Debug)]
pub(crate) struct Column<T> {
    slice: Option<CudaSlice<T>>,
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self { slice: None }
    }
}

impl<T: DeviceRepr> Column<T> {
    pub(crate) fn len(&self) -> usize {
        self.slice.as_ref().map_or(0, CudaSlice::len)
    }

    /// Its address; null if nothing was ever there.
    pub(crate) fn at(&self) -> u64 {
        self.slice.as_ref().map_or(0, |slice| slice.device_ptr(slice.stream()).0)
    }

    /// Makes room for `len` elements, at least, and returns their address; null if there are none.
    ///
    /// # Errors
    /// [`Error::Gpu`] says how much was asked for and how much is free.
    pub(crate) fn fit(&mut self, gpu: &Cuda, len: usize) -> Result<u64, Error> {
        if len > self.len() {
            // First the old memory goes, so that both need not fit.
            self.slice = None;
            // SAFETY: what is there before it is written is never read.
            let slice = unsafe { gpu.stream().alloc::<T>(len) };
            self.slice = Some(slice.map_err(|e| {
                let free = gpu.stream().context().mem_get_info().map_or(0, |(free, _)| free);
                failed(&format!("take {} bytes of its memory ({free} are free)", len * size_of::<T>()), e)
            })?);
        }
        Ok(match &self.slice {
            Some(slice) if len > 0 => slice.device_ptr(gpu.stream()).0,
            _ => 0,
        })
    }

    /// Copies `data` to the device and returns its address there; null if there is none.
    pub(crate) fn upload(&mut self, gpu: &Cuda, data: &[T]) -> Result<u64, Error> {
        let at = self.fit(gpu, data.len())?;
        self.write(gpu, 0, data)?;
        Ok(at)
    }

    /// Copies `data` to the elements from `first` on.
    ///
    /// # Panics
    /// If there are not as many.
    pub(crate) fn write(&mut self, gpu: &Cuda, first: usize, data: &[T]) -> Result<(), Error> {
        if data.is_empty() {
            return Ok(());
        }
        assert!(
            first + data.len() <= self.len(),
            "{} elements from {first} on, and room for {}",
            data.len(),
            self.len()
        );
        // SAFETY: there are as many elements from there on.
        unsafe { gpu.staging().upload(self.at() + (first * size_of::<T>()) as u64, data) }
    }

    /// Copies the first elements from the device, and waits for it.
    ///
    /// # Panics
    /// If there are not as many, and some ever were.
    pub(crate) fn download(&self, gpu: &Cuda, out: &mut [T]) -> Result<(), Error> {
        if self.slice.is_none() || out.is_empty() {
            return gpu.finish("give results");
        }
        assert!(out.len() <= self.len(), "{} elements of {}", out.len(), self.len());
        // SAFETY: there are as many elements.
        unsafe { gpu.staging().download(self.at(), out) }
    }
}

/// Floats that are uploaded again only when they have changed, such as parameters between two updates.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    column: Column<f32>,
    copy: Vec<f32>,
}

fn bits(x: &[f32]) -> &[u32] {
    // SAFETY: both are four bytes, of the same alignment, and any bits are a number.
    unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
}

impl Mirror {
    /// Address of `data` on the device.
    pub(crate) fn upload(&mut self, gpu: &Cuda, data: &[f32]) -> Result<u64, Error> {
        // As bits: zeros of different sign are equal as numbers.
        if bits(&self.copy) == bits(data) {
            return self.column.fit(gpu, data.len());
        }
        // What is on the device is unknown until the copy succeeds.
        self.copy.clear();
        let at = self.column.upload(gpu, data)?;
        self.copy.extend_from_slice(data);
        Ok(at)
    }
}

/// Booleans as the bytes that they are.
pub(crate) fn bytes(flags: &[bool]) -> &[u8] {
    // SAFETY: a boolean is one byte, 0 or 1.
    unsafe { std::slice::from_raw_parts(flags.as_ptr().cast(), flags.len()) }
}
