//! Memory of a GPU: columns that grow on first use and are then kept, and mirrors that are uploaded only when they have
//! changed.

use super::Cuda;
use super::gpu::failed;
use crate::Error;
use cudarc::driver::{CudaSlice, DevicePtr, DeviceRepr};

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
        if let Some(slice) = &mut self.slice
            && !data.is_empty()
        {
            gpu.stream().memcpy_htod(data, slice).map_err(|e| failed("take data", e))?;
        }
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
        let Some(slice) = &mut self.slice else { panic!("nothing to write {} elements to", data.len()) };
        let mut to = slice.slice_mut(first..first + data.len());
        gpu.stream().memcpy_htod(data, &mut to).map_err(|e| failed("take data", e))
    }

    /// Copies the first elements from the device, and waits for it.
    pub(crate) fn download(&self, gpu: &Cuda, out: &mut [T]) -> Result<(), Error> {
        if let Some(slice) = &self.slice
            && !out.is_empty()
        {
            let view = slice.slice(0..out.len());
            gpu.stream().memcpy_dtoh(&view, out).map_err(|e| failed("give results", e))?;
        }
        gpu.finish("give results")
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
