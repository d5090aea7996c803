//! A browser as far as a login needs one: it stores cookies, follows redirects, and sends forms.

use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::{Method, StatusCode};
use reqwest::Url;
use reqwest::redirect::Policy;

#[derive(Clone)]
pub(crate) struct Browser {
    client: reqwest::Client,
    cookies: Vec<Cookie>,
    /// Where it stops.
    home: Option<String>,
}

#[derive(Clone)]
struct Cookie {
    host: String,
    path: String,
    name: String,
    value: String,
}

/// What the browser shows.
pub(crate) struct Page {
    pub(crate) url: Url,
    /// None: the browser stopped before it.
    pub(crate) status: Option<StatusCode>,
    pub(crate) body: String,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self {
            client: client(),
            cookies: Vec::new(),
            home: None,
        }
    }

    /// Stops at the first redirect to an address that begins with `home`, which need not exist.
    pub(crate) fn stop_at(mut self, home: impl Into<String>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// Shows what is at `url`, after all redirects.
    pub(crate) async fn open(&mut self, url: Url) -> Page {
        self.request(Method::GET, url, None).await
    }

    /// Sends an empty `POST`, as a script of the page does.
    pub(crate) async fn post(&mut self, url: Url) -> Page {
        self.request(Method::POST, url, None).await
    }

    /// Opens `url`, and logs in and consents wherever the provider asks. Returns the first other
    /// page.
    pub(crate) async fn log_in(&mut self, url: Url, account: &str) -> Page {
        let mut page = self.open(url).await;
        for _ in 0..4 {
            let form: &[(&str, &str)] = match page.input("prompt") {
                Some("login") => &[("prompt", "login"), ("login", account), ("password", "x")],
                Some("consent") => &[("prompt", "consent")],
                _ => return page,
            };
            let action = page.action();
            page = self.request(Method::POST, action, Some(form)).await;
        }
        panic!("the provider asks without end");
    }

    /// Opens the provider's page for logging out, and agrees.
    pub(crate) async fn log_out(&mut self, url: Url) -> Page {
        let page = self.open(url).await;
        let secret = page.input("xsrf").expect("a form to log out").to_owned();
        let form = [("xsrf", &*secret), ("logout", "yes")];
        self.request(Method::POST, page.action(), Some(&form)).await
    }

    /// Sends a request, and follows the redirects.
    async fn request(&mut self, method: Method, url: Url, form: Option<&[(&str, &str)]>) -> Page {
        let mut next = (method, url, form);
        for _ in 0..10 {
            let (method, url, form) = next;
            let mut request = self.client.request(method.clone(), url.clone());
            if method == Method::POST {
                request = request.header("sec-fetch-site", "same-origin");
            }
            if let Some(cookies) = self.cookies_for(&url) {
                request = request.header(COOKIE, cookies);
            }
            if let Some(form) = form {
                request = with_form(request, form);
            }
            let response = request.send().await.unwrap();
            let status = response.status();
            let headers = response.headers().clone();
            let body = response.text().await.unwrap();
            for line in headers.get_all(SET_COOKIE) {
                self.keep(&url, line.to_str().unwrap());
            }
            let Some(location) = headers.get(LOCATION).filter(|_| status.is_redirection()) else {
                return Page {
                    url,
                    status: Some(status),
                    body,
                };
            };
            let url = url.join(location.to_str().unwrap()).unwrap();
            if self
                .home
                .as_ref()
                .is_some_and(|home| url.as_str().starts_with(home))
            {
                return Page {
                    url,
                    status: None,
                    body: String::new(),
                };
            }
            next = (Method::GET, url, None);
        }
        panic!("redirects without end");
    }

    fn keep(&mut self, url: &Url, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let attributes: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let attribute = |wanted: &str| {
            let found = attributes
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| *value)
        };
        let cookie = Cookie {
            // Cookies do not distinguish ports (RFC 6265 §8.5): two servers of one host share
            // cookies of the same name.
            host: url.host_str().unwrap().to_owned(),
            path: attribute("path").unwrap_or("/").to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
        };
        self.cookies.retain(|old| {
            (&old.host, &old.path, &old.name) != (&cookie.host, &cookie.path, &cookie.name)
        });
        if !value.is_empty() && attribute("max-age") != Some("0") {
            self.cookies.push(cookie);
        }
    }

    fn cookies_for(&self, url: &Url) -> Option<String> {
        let fit = |cookie: &&Cookie| {
            let rest = url.path().strip_prefix(cookie.path.trim_end_matches('/'));
            url.host_str() == Some(&cookie.host)
                && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let pairs: Vec<_> = self.cookies.iter().filter(fit).map(Cookie::pair).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

impl Cookie {
    fn pair(&self) -> String {
        format!("{}={}", self.name, self.value)
    }
}

impl Page {
    /// The parameter of the address.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.url.query_pairs();
        pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }

    /// The value of a hidden field.
    fn input(&self, name: &str) -> Option<&str> {
        between(&self.body, &format!(r#"name="{name}" value=""#))
    }

    /// Where its form goes.
    fn action(&self) -> Url {
        self.url
            .join(between(&self.body, r#"action=""#).expect("a form"))
            .unwrap()
    }
}

fn between<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once('"')?.0)
}

/// A client that follows no redirects and stores no cookies by itself.
pub(crate) fn client() -> reqwest::Client {
    let client = reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy();
    client.build().unwrap()
}

/// `url` with parameters.
pub(crate) fn with_parameters(url: &str, parameters: &[(&str, &str)]) -> Url {
    Url::parse_with_params(url, parameters).unwrap()
}

/// The request with a form for a body.
pub(crate) fn with_form(
    request: reqwest::RequestBuilder,
    form: &[(&str, &str)],
) -> reqwest::RequestBuilder {
    let encoded = with_parameters("form:", form);
    request
        .header("content-type", "application/x-www-form-urlencoded")
        .body(encoded.query().unwrap_or_default().to_owned())
}
