//! The floor: the daemon's own HTTP client in a bare loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Request, Url};
use tesa_reconciler::tesamanager::{Connections, http_client};

use super::sandbox::{ORG, Sandbox, TOKEN};

/// Reads at once, here and in the daemon's configuration.
pub const IN_FLIGHT: usize = 16;

/// The client as the daemon builds it.
pub fn client(url: &str, idle: usize) -> Result<Client> {
    Ok(http_client(&Connections {
        section: "tesamanager",
        url,
        ca_file: None,
        connect_timeout: Duration::from_secs(3),
        idle,
    })?)
}

/// Asks for the list and for each of `ids`, and says how long that took. On a task of the runtime, as the daemon's
/// runs are.
pub async fn run(sandbox: &Sandbox, ids: &Arc<Vec<String>>) -> Result<Duration> {
    let base = format!("{}/tesa/orgs/{ORG}/requests", sandbox.base_url());
    let ids = Arc::clone(ids);
    tokio::spawn(async move {
        let client = client(&base, IN_FLIGHT)?;
        let headers = headers();
        let begun = Instant::now();
        get(&client, &base, &headers).await?;
        futures::stream::iter(0..ids.len())
            .map(|place| {
                let (client, headers, url) = (&client, &headers, format!("{base}/{}", ids[place]));
                async move { get(client, &url, headers).await }
            })
            .buffer_unordered(IN_FLIGHT)
            .try_collect::<()>()
            .await?;
        Ok(begun.elapsed())
    })
    .await?
}

fn headers() -> HeaderMap {
    let bearer = HeaderValue::from_str(&format!("Bearer {TOKEN}"));
    let correlation = "3f0e8f0c-6a8e-4a57-9a57-3f0e8f0c6a8e";
    let mut headers = HeaderMap::new();
    headers.extend(bearer.ok().map(|bearer| (AUTHORIZATION, bearer)));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(
        "request-correlation-id",
        HeaderValue::from_static(correlation),
    );
    headers
}

async fn get(client: &Client, url: &str, headers: &HeaderMap) -> Result<()> {
    let mut request = Request::new(Method::GET, Url::parse(url)?);
    *request.headers_mut() = headers.clone();
    let mut answer = client.execute(request).await?.error_for_status()?;
    while answer.chunk().await?.is_some() {}
    Ok(())
}
