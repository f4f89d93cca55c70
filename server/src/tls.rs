//! TLS with rustls, configured by `api.ssl`.

use std::{io, sync::Arc};

use futures_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::config::Ssl;

/// Returns the cryptography for both directions.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Creates the acceptor of TLS connections; `None` if TLS is not enabled.
pub(crate) fn acceptor(ssl: &Ssl) -> Result<Option<TlsAcceptor>, String> {
    if !ssl.enabled {
        return Ok(None);
    }
    let wrong = |path: &std::path::Path, e: &dyn std::fmt::Display| {
        format!("api.ssl: {}: {e}", path.display())
    };
    let certificates = CertificateDer::pem_file_iter(&ssl.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong(&ssl.cert, &e))?;
    let key = PrivateKeyDer::from_pem_file(&ssl.key).map_err(|e| wrong(&ssl.key, &e))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)
        .and_then(|config| {
            let config = config.with_no_client_auth();
            config.with_single_cert(certificates, key).map_err(io::Error::other)
        })
        .map_err(|e| wrong(&ssl.cert, &e))?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}
