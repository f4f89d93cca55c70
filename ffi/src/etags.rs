//! ETags of an upload to part URLs.

/// The ETag of each part that the service has confirmed, in the order of the parts.
#[derive(Debug)]
pub(crate) struct Etags(pub(crate) Vec<String>);

#[cfg(feature = "s3")]
impl Etags {
    pub(crate) fn new(parts: Vec<wingback::UploadedPart>) -> Self {
        Etags(parts.into_iter().map(|part| part.etag).collect())
    }
}
