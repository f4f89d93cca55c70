//! A safe wrapper for the one function of Intel's [ISA-L](https://github.com/intel/isa-l) that wingback
//! needs.
//!
//! All `unsafe` code of the engine is in this crate.

use isal_sys::igzip_lib as sys;

/// Compresses to raw deflate at ISA-L's level 2.
///
/// The output is valid on every processor. Its bytes differ between processors, and sometimes between
/// runs.
pub struct Deflater {
    stream: Box<sys::isal_zstream>,
    /// The stream points to this buffer, so the buffer must not move or shrink.
    level_buf: Box<[u8]>,
}

// SAFETY: the pointers in `stream` lead to `level_buf`, which is on the heap and owned by this struct,
// and to constant tables of ISA-L. Those to the caller's slices are used only during `deflate`, which
// sets them anew each time. Nothing is bound to a thread.
unsafe impl Send for Deflater {}

impl Deflater {
    /// Makes an encoder, which has about 360 KiB of memory.
    pub fn new() -> Self {
        // SAFETY: zeroed memory is a valid `isal_zstream`: a C struct of integers, arrays of integers and
        // nullable pointers.
        let stream = Box::new(unsafe { std::mem::zeroed::<sys::isal_zstream>() });
        let level_buf = vec![0; sys::ISAL_DEF_LVL2_DEFAULT as usize].into_boxed_slice();
        let mut deflater = Deflater { stream, level_buf };
        // SAFETY: the pointer comes from a box that this function owns, so it is valid and exclusive.
        unsafe { sys::isal_deflate_init(&mut *deflater.stream) };
        deflater
    }

    /// Compresses `raw` into `out`, as deflate blocks that end with a full flush; none is marked as the
    /// last. Returns the number of bytes written, or `None` if `out` is too small or a slice is over
    /// 4 GiB.
    pub fn deflate(&mut self, raw: &[u8], out: &mut [u8]) -> Option<usize> {
        let stream = &mut *self.stream;
        let (avail_in, avail_out) = (raw.len().try_into().ok()?, out.len().try_into().ok()?);
        // SAFETY: `stream` is a valid, exclusive reference, and `new` has initialized the struct.
        unsafe { sys::isal_deflate_reset(stream) };
        stream.level = 2;
        stream.level_buf = self.level_buf.as_mut_ptr();
        stream.level_buf_size = sys::ISAL_DEF_LVL2_DEFAULT;
        stream.flush = sys::FULL_FLUSH as u16;
        stream.end_of_stream = 0;
        stream.gzip_flag = 0;
        // `next_in` is `*mut` in the header, but ISA-L only reads from it.
        stream.next_in = raw.as_ptr().cast_mut();
        stream.avail_in = avail_in;
        stream.next_out = out.as_mut_ptr();
        stream.avail_out = avail_out;
        // SAFETY: this function has set each pointer with the length of its slice. Two slices are borrowed
        // from the caller for the whole call, the third is owned by `self`; borrow rules keep the two
        // that are written to from overlapping any other.
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
