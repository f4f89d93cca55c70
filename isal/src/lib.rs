//! The one call of Intel's [ISA-L](https://github.com/intel/isa-l) that wingback needs, made safe.
//!
//! All of the engine's `unsafe` is in this crate.

use isal_sys::igzip_lib as sys;

/// Compresses into raw deflate at ISA-L's level 2.
///
/// The output is right on every processor, but its bytes differ between processors, and now and
/// then between runs.
pub struct Deflater {
    stream: Box<sys::isal_zstream>,
    /// Referred to by the stream, so it is neither moved nor shortened.
    level_buf: Box<[u8]>,
}

// SAFETY: the stream's pointers lead to `level_buf`, which it owns, to tables that never change,
// and, only during a call, to the caller's slices.
unsafe impl Send for Deflater {}

impl Deflater {
    /// An encoder with its memory of about 360 KiB.
    pub fn new() -> Self {
        // SAFETY: `isal_zstream` is a C struct of integers, arrays of them and raw pointers, for
        // all of which zero is a value.
        let stream = Box::new(unsafe { std::mem::zeroed::<sys::isal_zstream>() });
        let level_buf = vec![0; sys::ISAL_DEF_LVL2_DEFAULT as usize].into_boxed_slice();
        let mut deflater = Deflater { stream, level_buf };
        // SAFETY: the pointer is to a whole, exclusive `isal_zstream`.
        unsafe { sys::isal_deflate_init(&mut *deflater.stream) };
        deflater
    }

    /// Compresses all of `raw` into `out`: blocks of which none is the last, ended by a full flush.
    /// Returns how many bytes that took, or `None` if `out` is too small or `raw` over 4 GiB.
    pub fn deflate(&mut self, raw: &[u8], out: &mut [u8]) -> Option<usize> {
        let stream = &mut *self.stream;
        let (avail_in, avail_out) = (raw.len().try_into().ok()?, out.len().try_into().ok()?);
        // SAFETY: as in `new`; it forgets all that came before.
        unsafe { sys::isal_deflate_reset(stream) };
        stream.level = 2;
        stream.level_buf = self.level_buf.as_mut_ptr();
        stream.level_buf_size = sys::ISAL_DEF_LVL2_DEFAULT;
        stream.flush = sys::FULL_FLUSH as u16;
        stream.end_of_stream = 0;
        stream.gzip_flag = 0;
        // `next_in` is `*mut` in the header, but only ever read.
        stream.next_in = raw.as_ptr().cast_mut();
        stream.avail_in = avail_in;
        stream.next_out = out.as_mut_ptr();
        stream.avail_out = avail_out;
        // SAFETY: in, out and level buffers are valid for the lengths given, do not overlap, and
        // outlive the call.
        let status = unsafe { sys::isal_deflate(stream) };
        let done = status == sys::COMP_OK as i32
            && stream.avail_in == 0
            && stream.avail_out > 0
            && stream.internal_state.state == sys::isal_zstate_state_ZSTATE_NEW_HDR;
        done.then(|| out.len() - stream.avail_out as usize)
    }
}

impl Default for Deflater {
    fn default() -> Self {
        Deflater::new()
    }
}
