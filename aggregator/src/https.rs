//! Calls to servers of others: one HTTP/1.1 request over TLS 1.3, its answer bounded in size and time, no redirect followed.
//!
//! Promises: a name is asked for once, and what was found is what is connected to, so that [`Reach::Public`] cannot be led
//! into this network by a name that answers differently the second time. Must not know: what is said.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proto::clock::Clock;
use proto::tls::TlsError;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Roots of certificates as Debian keeps them.
pub const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Longest answer that is read.
const ANSWER: usize = 256 * 1024;

/// Which addresses are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those that the operator named.
    Any,
    /// Those of the open network alone: who names them is not trusted.
    Public,
}

/// Why there is no answer; in words that may be shown.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No address such as `https://example.org/path`.
    #[error("it is no https address")]
    Address,
    /// Its name leads into this machine or this network.
    #[error("it lies in a network that must not be called")]
    Forbidden,
    /// In time.
    #[error("no answer within {0} s")]
    Late(u64),
    /// The name, the connection, TLS or HTTP.
    #[error("{0}")]
    Line(String),
}

fn line(error: impl std::fmt::Display) -> CallError {
    CallError::Line(error.to_string())
}

/// Calls servers whose certificates come from some roots.
#[derive(Clone)]
pub struct Client {
    tls: TlsConnector,
    patience: Duration,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// Trusts these roots; a server that takes longer than `patience` does not answer.
    ///
    /// # Errors
    /// [`TlsError`] if no root can be used.
    pub fn new(
        roots: Vec<CertificateDer<'static>>,
        clock: Clock,
        patience: Duration,
    ) -> Result<Self, TlsError> {
        let config = proto::tls::web_client_config(roots, clock)?;
        Ok(Self {
            tls: Arc::new(config).into(),
            patience,
        })
    }

    /// Sends a request to its own URI.
    ///
    /// # Errors
    /// [`CallError`]; an answer of whatever status is none.
    pub async fn call(
        &self,
        request: Request<Bytes>,
        reach: Reach,
    ) -> Result<Response<Bytes>, CallError> {
        let answer = tokio::time::timeout(self.patience, self.try_call(request, reach)).await;
        answer.unwrap_or(Err(CallError::Late(self.patience.as_secs())))
    }

    async fn try_call(
        &self,
        request: Request<Bytes>,
        reach: Reach,
    ) -> Result<Response<Bytes>, CallError> {
        let (mut parts, body) = request.into_parts();
        let (host, port) = place(&parts.uri)?;
        let found = tokio::net::lookup_host((host.as_str(), port)).await;
        let found: Vec<SocketAddr> = found.map_err(line)?.collect();
        if reach == Reach::Public && !found.iter().all(|address| is_public(address.ip())) {
            return Err(CallError::Forbidden);
        }
        let name = ServerName::try_from(host.clone()).map_err(line)?;
        let tcp = TcpStream::connect(&found[..]).await.map_err(line)?;
        let stream = self.tls.connect(name, tcp).await.map_err(line)?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(line)?;
        let authority = parts.uri.authority().ok_or(CallError::Address)?;
        let authority = HeaderValue::from_str(authority.as_str()).map_err(line)?;
        parts.headers.insert(header::HOST, authority);
        let agent = concat!("vitaltwin/", env!("CARGO_PKG_VERSION"));
        let agent = HeaderValue::from_static(agent);
        parts.headers.insert(header::USER_AGENT, agent);
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = path.parse().map_err(line)?;
        let request = Request::from_parts(parts, Full::new(body));
        let driver = tokio::spawn(connection);
        let answer = async {
            let answer = sender.send_request(request).await.map_err(line)?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER).collect().await.map_err(line)?;
            Ok::<_, CallError>(Response::from_parts(parts, body.to_bytes()))
        };
        let answer = answer.await;
        driver.abort();
        answer
    }
}

/// Roots that a server's certificate may come from, of a PEM file; [`ROOTS`] where none is named. `None`: it cannot be read.
#[must_use]
pub fn roots(file: Option<&str>) -> Option<Vec<CertificateDer<'static>>> {
    let roots = CertificateDer::pem_file_iter(file.unwrap_or(ROOTS)).ok()?;
    Some(roots.filter_map(Result::ok).collect())
}

/// Percent-encoded, all but what needs none anywhere (RFC 3986, section 2.3).
#[must_use]
pub fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// Host and port of an https address.
fn place(uri: &Uri) -> Result<(String, u16), CallError> {
    let host = uri.host().filter(|_| uri.scheme_str() == Some("https"));
    let host = host.ok_or(CallError::Address)?;
    let has_user = uri
        .authority()
        .is_some_and(|all| all.as_str().contains('@'));
    if has_user {
        return Err(CallError::Address);
    }
    let host = host.trim_matches(['[', ']']).to_owned();
    Ok((host, uri.port_u16().unwrap_or(443)))
}

/// Whether an address belongs to the open network.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let benchmark = a == 198 && (18..20).contains(&b);
            let special = a == 192 && b == 0 && c == 0;
            !(a == 0
                || a >= 240
                || v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || shared
                || benchmark
                || special)
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            // Global unicast alone, and of it neither documentation nor what carries an address of IPv4.
            let global = first & 0xe000 == 0x2000;
            let documentation = first == 0x2001 && second == 0xdb8 || first == 0x3fff;
            let carries = first == 0x2002 || (first == 0x2001 && second == 0);
            global && !documentation && !carries
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_open_network_is_public() {
        for public in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "100.128.0.1"] {
            assert!(is_public(public.parse().expect("an address")), "{public}");
        }
        for closed in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::",
            "fc00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(closed.parse().expect("an address")), "{closed}");
        }
    }

    #[test]
    fn only_https_without_a_user_is_called() {
        let place = |text: &str| place(&text.parse().expect("a URI")).ok();
        assert_eq!(
            place("https://a.example/x"),
            Some(("a.example".into(), 443))
        );
        assert_eq!(place("https://[::1]:8443/"), Some(("::1".into(), 8443)));
        for other in [
            "http://a.example/",
            "/x",
            "https://u:p@a.example/",
            "ftp://a.example/",
        ] {
            assert_eq!(place(other), None, "{other}");
        }
    }
}
