//! Symbols of a dependency that the library must not export.
//!
//! `minio` builds `crc-fast` with its C interface, whose functions would become symbols of this library.
//! If object files disagree about the visibility of a symbol, the linker applies the strictest one (gABI,
//! "Symbol Visibility"). So it is enough to declare each symbol as hidden here. The declarations are
//! weak, so that the symbols need not exist. A test checks the exported symbols.

macro_rules! hide {
    ($($symbol:literal,)*) => {
        std::arch::global_asm!($(concat!(".weak ", $symbol, "\n.hidden ", $symbol),)*);
    };
}

hide! {
    "crc_fast_checksum",
    "crc_fast_checksum_combine",
    "crc_fast_checksum_combine_with_params",
    "crc_fast_checksum_file",
    "crc_fast_checksum_file_with_params",
    "crc_fast_checksum_with_params",
    "crc_fast_clear_error",
    "crc_fast_crc32_iscsi",
    "crc_fast_crc32_iso_hdlc",
    "crc_fast_crc64_nvme",
    "crc_fast_digest_combine",
    "crc_fast_digest_finalize",
    "crc_fast_digest_finalize_reset",
    "crc_fast_digest_free",
    "crc_fast_digest_get_amount",
    "crc_fast_digest_get_state",
    "crc_fast_digest_new",
    "crc_fast_digest_new_with_init_state",
    "crc_fast_digest_new_with_params",
    "crc_fast_digest_reset",
    "crc_fast_digest_update",
    "crc_fast_error_message",
    "crc_fast_get_calculator_target",
    "crc_fast_get_custom_params",
    "crc_fast_get_last_error",
    "crc_fast_get_version",
}
