//! How to trust the tokens of each provider, and what the tokens look like.
//!
//! | provider | `iss` | `aud` | client | scopes and roles |
//! | --- | --- | --- | --- | --- |
//! | [Auth0](#auth0) | `https://TENANT.eu.auth0.com/` | the API | `azp`, `client_id` | `scope`, `permissions` |
//! | [Okta](#okta) | `https://ORG.okta.com/oauth2/default` | `api://default` | `cid` | `scp` |
//! | [Entra v2.0](#microsoft-entra-id-v20-tokens) | `https://login.microsoftonline.com/TENANT_ID/v2.0` | the API's client ID | `azp` | `scp`, `roles` |
//! | [Entra v1.0](#microsoft-entra-id-v10-tokens) | `https://sts.windows.net/TENANT_ID/` | `api://CLIENT_ID` | `appid` | `scp`, `roles` |
//! | [Entra, many tenants](#microsoft-entra-id-for-many-tenants) | one for each tenant | the API's client ID | `azp` | `scp`, `roles` |
//! | [Azure AD B2C](#azure-ad-b2c) | `https://TENANT.b2clogin.com/TENANT_ID/v2.0/` | the API's client ID | `azp` | `scp` |
//! | [Google](#google) | `https://accounts.google.com` | the client | `azp` | |
//! | [Apple](#apple) | `https://appleid.apple.com` | the app | | |
//! | [Cognito](#aws-cognito) | `https://cognito-idp.REGION.amazonaws.com/POOL_ID` | none | `client_id` | `scope`, `cognito:groups` |
//! | [Keycloak](#keycloak) | `https://HOST/realms/REALM` | by a mapper | `azp` | `scope`, `realm_access.roles` |
//! | [Firebase](#firebase) | `https://securetoken.google.com/PROJECT_ID` | the project | | your custom claims |
//! | [Supabase](#supabase) | `https://PROJECT.supabase.co/auth/v1` | `authenticated` | | `role` |
//! | [GitHub Actions](#github-actions) | `https://token.actions.githubusercontent.com` | what the workflow asks for | `repository` | |
//! | [Kubernetes](#kubernetes) | the cluster | what the volume asks for | `sub` | |
//! | [Cloudflare Access](#cloudflare-access) | `https://TEAM.cloudflareaccess.com` | the application | | |
//! | [Google Cloud IAP](#google-cloud-iap) | `https://cloud.google.com/iap` | the backend service | | |
//! | [AWS ALB](#aws-application-load-balancer) | your provider | none | `signer` in the header | |
//! | [Ory Hydra](#ory-hydra) | the server | what the client asks for | `client_id` | `scp` |
//! | [AD FS](#ad-fs) | `http://HOST/adfs/services/trust` | the API | `appid` | `scp` |
//! | [Zitadel](#zitadel) | the instance | the project | `client_id` | an object of roles |
//! | [Authentik](#authentik) | `https://HOST/application/o/SLUG/` | the client | `azp` | `scope`, `groups` |
//!
//! Replace the names in capitals with your own. Providers change, and administrators configure
//! them, so look at one of your tokens with `gate`. It prints the header, the names of the claims
//! and each check. `tests/providers.rs` runs this code with tokens that have these claims.
//!
//! - `iss` and `aud` are compared byte for byte: a slash at the end counts.
//! - Check other claims with a guard: [`Require::claim`](crate::Require::claim).
//! - If a provider's tokens have no `aud`, call `any_audience`, and put such a guard on every
//!   route. Otherwise tokens for other applications of this issuer pass.
//! - If you trust several issuers, call `any_audience`, `typ` and `allow_…` on the
//!   [`TrustedIssuer`](crate::TrustedIssuer) that needs them, not on the layer.
//! - Tokens of Cognito, Okta and others may have no `typ`. If you require one, as the layer of
//!   `SessionRoutes` does, call [`typ_optional`](crate::TrustedIssuer::typ_optional) on the issuer.
//!
//! # Auth0
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//!
//! let keys = RemoteKeys::discover("https://TENANT.eu.auth0.com/").build()?;
//! let layer = JwtAuthLayer::new(keys).audience("https://api.example.com");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - The issuer ends with a slash. `aud` is the identifier of your API.
//! - With the access token profile "RFC 9068" of the API, add `.rfc9068()`.
//! - `scope` is a string. With RBAC, `permissions` is an array:
//!   `Require::scope("read:notes").at(["permissions"])`.
//! - If the authorization request names no audience, your API cannot verify the access token.
//!
//! # Okta
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//!
//! let keys = RemoteKeys::discover("https://ORG.okta.com/oauth2/default").build()?;
//! let layer = JwtAuthLayer::new(keys).audience("api://default");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - Use a custom authorization server, such as `default`. Access tokens of the org server
//!   (`https://ORG.okta.com`) are for Okta alone.
//! - `scp` is an array, which `Require::scope` reads. `cid` is the client: `Require::claim("cid",
//!   "0oa…")`.
//!
//! # Microsoft Entra ID, v2.0 tokens
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//!
//! let keys = RemoteKeys::discover("https://login.microsoftonline.com/TENANT_ID/v2.0").build()?;
//! let layer = JwtAuthLayer::new(keys).audience("CLIENT_ID_OF_YOUR_API");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - The version of access tokens is set by the API's manifest, `requestedAccessTokenVersion`.
//!   `ver` is `2.0`.
//! - `scp` is a string, `roles` an array. Identify a user by `tid` and `oid`: `sub` differs for
//!   each application.
//!
//! # Microsoft Entra ID, v1.0 tokens
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//!
//! let keys = RemoteKeys::discover("https://sts.windows.net/TENANT_ID/")
//!     .jwks_origins(&["https://login.microsoftonline.com"])
//!     .build()?;
//! let layer = JwtAuthLayer::new(keys).audience("api://CLIENT_ID_OF_YOUR_API");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - `ver` is `1.0`, and the issuer ends with a slash. `aud` is the Application ID URI. `appid` is
//!   the client.
//!
//! # Microsoft Entra ID for many tenants
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//! use tower_jwt_auth::TrustedIssuer;
//!
//! let pattern = "https://login.microsoftonline.com/{tenantid}/v2.0";
//! let keys = RemoteKeys::discover(pattern).build()?;
//! let tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47";
//! let entra = TrustedIssuer::tenants(pattern, keys).tenant(tenant);
//! let layer = JwtAuthLayer::new(entra).audience("CLIENT_ID_OF_YOUR_API");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - See [`TrustedIssuer::tenants`](crate::TrustedIssuer::tenants): `tid` must be the tenant in
//!   `iss`.
//!
//! # Azure AD B2C
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//!
//! let policy = "https://TENANT.b2clogin.com/TENANT.onmicrosoft.com/B2C_1_signin";
//! let keys = RemoteKeys::jwks(format!("{policy}/discovery/v2.0/keys")).build()?;
//! let layer = JwtAuthLayer::new(keys)
//!     .issuer("https://TENANT.b2clogin.com/TENANT_ID/v2.0/")
//!     .audience("CLIENT_ID_OF_YOUR_API");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - The metadata URL contains the policy. The issuer does not. So the example fetches the keys by
//!   their URL.
//! - `tfp` (or `acr`) names the policy: `Require::claim("tfp", "B2C_1_signin")`.
//!
//! # Google
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//!
//! let keys = RemoteKeys::discover("https://accounts.google.com")
//!     .jwks_origins(&["https://www.googleapis.com"])
//!     .build()?;
//! let layer = JwtAuthLayer::new(keys).audience("CLIENT_ID.apps.googleusercontent.com");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - These are ID tokens: Google's access tokens are opaque. See [social
//!   login](super::social_login) for the login itself.
//! - To require a verified e-mail address, use `Require::claim("email_verified", true)`. `hd` is
//!   the Workspace domain, and is absent for private accounts.
//!
//! # Apple
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//!
//! let keys = RemoteKeys::discover("https://appleid.apple.com").build()?;
//! let layer = JwtAuthLayer::new(keys).audience("com.example.app");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - `aud` is the bundle ID or the Services ID. `email_verified` may be `true` or `"true"`: combine
//!   two `Require::claim` with `or`.
//!
//! # AWS Cognito
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//! use tower_jwt_auth::Require;
//!
//! let issuer = "https://cognito-idp.eu-west-1.amazonaws.com/POOL_ID";
//! let keys = RemoteKeys::discover(issuer).build()?;
//! let layer = JwtAuthLayer::new(keys).any_audience();
//! let guard = Require::claim("token_use", "access").and(Require::claim("client_id", "CLIENT_ID"));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - **Access tokens have no `aud`.** The guard must be on every route: it takes the place of the
//!   audience.
//! - `cognito:groups` is an array: `Require::scope("admin").at(["cognito:groups"])`.
//!
//! # Keycloak
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//!
//! let keys = RemoteKeys::discover("https://id.example.com/realms/REALM").build()?;
//! let layer = JwtAuthLayer::new(keys).audience("api");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - Add an audience mapper for your API to the client or a client scope. By default `aud` is often
//!   `account` alone.
//! - Roles: `Require::scope("admin").at(["realm_access", "roles"])`, or `.at(["resource_access",
//!   "api", "roles"])`.
//! - The header `typ` is `JWT`. If the layer requires `at+jwt`, as that of `SessionRoutes` does,
//!   call `typ("JWT")` on the `TrustedIssuer`.
//! - `azp` is the client: `Require::claim("azp", "web")`.
//! - The claim `typ` is `Bearer` in access tokens, and `ID` in ID tokens. The `aud` of an ID token
//!   is the client, so `audience("api")` rejects it with 401 unless a client is named `api`.
//! - `Require::claim("typ", "Bearer")` rejects ID tokens with 403 `insufficient_scope`, as for
//!   every wrong claim. For 401, extract [`Claims<T>`](crate::Claims). Give `T` a field
//!   `typ: Kind`, with `enum Kind { Bearer }`. No other value decodes.
//!
//! # Firebase
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//!
//! let keys = RemoteKeys::jwks(
//!     "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
//! )
//! .build()?;
//! let layer = JwtAuthLayer::new(keys)
//!     .issuer("https://securetoken.google.com/PROJECT_ID")
//!     .audience("PROJECT_ID");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - All projects share the keys. Only issuer and audience identify your project.
//!
//! # Supabase
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//! use tower_jwt_auth::{TrustedIssuer, keys::VerifyingKey};
//!
//! # let secret = [7; 32];
//! let issuer = "https://PROJECT.supabase.co/auth/v1";
//! let keys = RemoteKeys::jwks(format!("{issuer}/.well-known/jwks.json")).build()?;
//! let legacy = VerifyingKey::hs256(secret)?;
//! let layer = JwtAuthLayer::new(TrustedIssuer::new(issuer, legacy).keys(keys))
//!     .audience("authenticated");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - Leave the legacy secret out once the last token that it signed has expired:
//!   `TrustedIssuer::new(issuer, keys)`.
//! - `role` is `authenticated`. `is_anonymous` is true for an anonymous user.
//!
//! # GitHub Actions
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//! use tower_jwt_auth::Require;
//!
//! let keys = RemoteKeys::discover("https://token.actions.githubusercontent.com").build()?;
//! let layer = JwtAuthLayer::new(keys).audience("https://deploy.example.com");
//! let guard = Require::claim("repository", "OWNER/REPOSITORY")
//!     .and(Require::claim("ref", "refs/heads/main"));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - **Every repository on GitHub gets tokens of this issuer.** The guard must be on every route.
//! - The workflow names the audience when it asks for the token. `repository_id` survives a
//!   renaming.
//!
//! # Kubernetes
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//!
//! let keys = RemoteKeys::discover("https://kubernetes.default.svc.cluster.local").build()?;
//! let layer = JwtAuthLayer::new(keys).audience("my-service");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - The issuer is that of the cluster (`kubectl get --raw /.well-known/openid-configuration`).
//! - For projected tokens: the pod's volume names the audience. `sub` is
//!   `system:serviceaccount:NAMESPACE:NAME`.
//! - Requests to the API server may need a token and the CA of the cluster: write a
//!   [`Fetch`](crate::keys::remote::Fetch). Legacy tokens from secrets have no `exp`: ask the API
//!   server instead (TokenReview).
//!
//! # Cloudflare Access
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//! use tower_jwt_auth::TokenSource;
//!
//! let issuer = "https://TEAM.cloudflareaccess.com";
//! let keys = RemoteKeys::jwks(format!("{issuer}/cdn-cgi/access/certs")).build()?;
//! let layer = JwtAuthLayer::new(keys)
//!     .issuer(issuer)
//!     .audience("AUD_TAG_OF_THE_APPLICATION")
//!     .sources([TokenSource::header("cf-access-jwt-assertion")]);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - The proxy sends the token in its own header. `email` is the user.
//!
//! # Google Cloud IAP
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//! use tower_jwt_auth::TokenSource;
//!
//! let keys = RemoteKeys::jwks("https://www.gstatic.com/iap/verify/public_key-jwk").build()?;
//! let layer = JwtAuthLayer::new(keys)
//!     .issuer("https://cloud.google.com/iap")
//!     .audience("/projects/PROJECT_NUMBER/global/backendServices/SERVICE_ID")
//!     .sources([TokenSource::header("x-goog-iap-jwt-assertion")]);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - All projects share issuer and keys. Only the audience identifies your service. For App Engine
//!   it is `/projects/PROJECT_NUMBER/apps/PROJECT_ID`.
//!
//! # AWS Application Load Balancer
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//! use std::borrow::Cow;
//! use tower_jwt_auth::{TokenSource, keys::{Algorithm, KeySet, VerifyingKey}};
//!
//! # use std::error::Error;
//! # fn f(pem: &str, key_id: &str, load_balancer_arn: String) -> Result<(), Box<dyn Error>> {
//! /// The header of the token names its load balancer. The signature covers the header.
//! fn signer(token: &str) -> Option<String> {
//!     let header = token.split('.').next()?.trim_end_matches('=');
//!     let json = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(header).ok()?;
//!     let header: serde_json::Value = serde_json::from_slice(&json).ok()?;
//!     Some(header.get("signer")?.as_str()?.to_owned())
//! }
//!
//! let key = VerifyingKey::from_pem(Algorithm::ES256, pem)?.with_key_id(key_id);
//! let layer = JwtAuthLayer::new(KeySet::new([key])?)
//!     .issuer("https://id.example.com")
//!     .allow_padding()
//!     .sources([TokenSource::custom(move |request| {
//!         let token = request.headers.get("x-amzn-oidc-data")?.to_str().ok()?;
//!         (signer(token)? == load_balancer_arn).then_some(Cow::Borrowed(token))
//!     })]);
//! # Ok(())
//! # }
//! ```
//!
//! - **Check `signer`.** AWS requires this check, and the token has no `aud`.
//! - The segments have padding, so the layer must [allow it](crate::Verifier::allow_padding).
//! - Each key is a PEM file at `https://public-keys.auth.elb.REGION.amazonaws.com/KEY_ID`, so
//!   `RemoteKeys` cannot fetch them.
//! - If the provider's own access token is a JWT, verify that instead: it is in
//!   `x-amzn-oidc-accesstoken`.
//!
//! # Ory Hydra
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//!
//! let keys = RemoteKeys::discover("https://hydra.example.com").build()?;
//! let layer = JwtAuthLayer::new(keys).audience("api");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - Access tokens are JWTs only with `strategies.access_token: jwt`.
//! - `aud` is empty unless the client asks for one. If it is empty, call `.any_audience()` and
//!   require the client: `Require::claim("client_id", "web")`.
//! - `scp` is an array, which `Require::scope` reads.
//!
//! # AD FS
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//!
//! let keys = RemoteKeys::jwks("https://adfs.example.com/adfs/discovery/keys").build()?;
//! let layer = JwtAuthLayer::new(keys)
//!     .issuer("http://adfs.example.com/adfs/services/trust")
//!     .audience("microsoft:identityserver:CLIENT_ID_OF_YOUR_API");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - `iss` of access tokens is not the `issuer` of the metadata, but `access_token_issuer`. So
//!   `discover` does not work.
//!
//! # Zitadel
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//!
//! let keys = RemoteKeys::discover("https://INSTANCE.zitadel.cloud").build()?;
//! let layer = JwtAuthLayer::new(keys).audience("PROJECT_ID");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - Set the access token type of the application to JWT. By default it is opaque.
//! - The roles are the member names of the object `urn:zitadel:iam:org:project:roles`. Use
//!   [`Require::claims`](crate::Require::claims).
//!
//! # Authentik
//!
//! ```
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//!
//! let keys = RemoteKeys::discover("https://id.example.com/application/o/SLUG/").build()?;
//! let layer = JwtAuthLayer::new(keys).audience("CLIENT_ID");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! - Select a signing key for the provider. Without one, tokens are signed with the client secret
//!   (HS256), and no key is published.
//! - The issuer ends with a slash. `groups` is an array: `Require::scope("admins").at(["groups"])`.
