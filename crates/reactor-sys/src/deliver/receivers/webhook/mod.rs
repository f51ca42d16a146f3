//! Webhooks: one request for each message. Whether it has arrived is what the server answers.
//!
//! | answer | what follows |
//! | --- | --- |
//! | 2xx | it has arrived |
//! | 408, 425, 429, 5xx, none | again, not before `Retry-After` says |
//! | other 4xx | refused for good |
//! | 3xx | again: a message is not sent elsewhere than the table says, so somebody has to mend that |
//!
//! Addresses and headers may be secrets: what is said of a failure names the host only. No proxy of the environment is used.

mod formats;

use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use reactor_core::settings::notify::{Webhook as Settings, WebhookUrl};
use rustls::crypto::ring;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use ureq::http::{HeaderName, HeaderValue, Request, Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body};

use super::super::failure::{Failure, Then};
use super::super::parcel::{Parcel, line};
use super::super::{roots, secrets};
use super::{Receiver, left};

/// Headers of an answer; and what is read of its body, for the log.
const MAX_HEADERS: usize = 32 * 1024;
const MAX_BODY: u64 = 512;

/// A webhook.
pub(super) struct Webhook {
    settings: Settings,
}

impl Webhook {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone() }
    }

    fn url(&self) -> Result<Uri, Failure> {
        let (text, from) = match &self.settings.url {
            WebhookUrl::Url(url) => (url.clone(), "url".to_owned()),
            WebhookUrl::File(path) => (secrets::first_line(path)?, path.display().to_string()),
        };
        // The address itself is not shown.
        let bad = || Failure::again(format!("{from} has no address that begins with http:// or https://"));
        let url: Uri = text.trim().parse().map_err(|_| bad())?;
        let is_good =
            matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty());
        if is_good { Ok(url) } else { Err(bad()) }
    }

    fn agent(&self, is_tls: bool, until: Instant) -> Result<Agent, Failure> {
        let mut config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(MAX_HEADERS)
            .max_idle_connections(0)
            .user_agent(concat!("storage-reactor/", env!("CARGO_PKG_VERSION")))
            .timeout_global(Some(left(until)?));
        if is_tls {
            let roots = roots::certificates(self.settings.ca_file.as_deref())?;
            let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
            let tls = TlsConfig::builder()
                .provider(TlsProvider::Rustls)
                .root_certs(RootCerts::new_with_certs(&roots))
                .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()));
            config = config.tls_config(tls.build());
        }
        Ok(config.build().new_agent())
    }

    fn request(&self, url: Uri, parcel: &Parcel) -> Result<Request<Vec<u8>>, Failure> {
        let (kind, body) = formats::body(self.settings.format, parcel);
        let mut request = Request::post(url).header(CONTENT_TYPE, kind).header("Idempotency-Key", parcel.id.as_str());
        for (name, value) in &self.settings.headers {
            let bad = || Failure::again(format!("the header {} can't be sent", line(name, 64)));
            let name: HeaderName = name.parse().map_err(|_| bad())?;
            let value: HeaderValue = value.parse().map_err(|_| bad())?;
            request = request.header(name, value);
        }
        if let Some(path) = &self.settings.token_file {
            let token = format!("Bearer {}", secrets::first_line(path)?);
            let bad = |_| Failure::again(format!("the token in {} can't be sent", path.display()));
            request = request.header(AUTHORIZATION, HeaderValue::try_from(token).map_err(bad)?);
        }
        request.body(body).map_err(|_| Failure::again("the request can't be made"))
    }
}

impl Receiver for Webhook {
    fn deliver(&mut self, parcel: &Parcel, _told: &mut usize, until: Instant) -> Result<(), Failure> {
        let url = self.url()?;
        let host = url.host().unwrap_or_default().to_owned();
        let agent = self.agent(url.scheme_str() == Some("https"), until)?;
        let answer = agent.run(self.request(url, parcel)?);
        let mut answer = answer.map_err(|error| Failure::again(format!("{host}: {}", plain(&error))))?;
        judge(&host, &mut answer)
    }
}

/// What ureq says, without addresses.
fn plain(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_) => "the address can't be used".to_owned(),
        other => crate::chain::chain(other).to_string(),
    }
}

fn judge(host: &str, answer: &mut Response<Body>) -> Result<(), Failure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let mut said = Vec::new();
    // What it says is only for people: what can't be read is not shown.
    let _ = answer.body_mut().as_reader().take(MAX_BODY).read_to_end(&mut said);
    let said = line(&String::from_utf8_lossy(&said), 256);
    let mut why = format!("{host} answers {status}");
    if !said.is_empty() {
        why = format!("{why}: {said}");
    }
    match status.as_u16() {
        408 | 425 | 429 | 500..=599 => Err(Failure { why, then: Then::Again(wish(answer)) }),
        400..=499 => Err(Failure::refused(why)),
        300..=399 => Err(Failure::again(format!(
            "{why}; it sends elsewhere, which is not followed: the address has to be mended"
        ))),
        _ => Err(Failure::again(why)),
    }
}

/// `Retry-After`: seconds, or a date.
fn wish(answer: &Response<Body>) -> Option<Duration> {
    let text = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    SystemTime::from(date).duration_since(SystemTime::now()).ok()
}
