//! The calls to the provider with what only this console knows: the code against tokens, a token against userinfo.

use super::Inner;
use super::error::{OidcError, chain, plain, refused};
use super::http::HttpFailed;
use super::provider::Metadata;
use super::token::{Claims, OtherClaims, Tokens, Userinfo};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreRequestTokenError, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreTokenIntrospectionResponse,
};
use openidconnect::{
    AuthType, AuthorizationCode, ClientSecret, EndpointMaybeSet, EndpointNotSet, EndpointSet, OAuth2TokenResponse,
    PkceCodeVerifier, StandardErrorResponse, UserInfoError,
};
use secrecy::ExposeSecret;

/// The console as `openidconnect` sees it.
pub(super) type Client = openidconnect::Client<
    OtherClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

impl Inner {
    /// A client with the provider's endpoints.
    pub(super) fn client(&self, metadata: &Metadata) -> Client {
        let secret = self.client_secret.as_ref();
        let secret = secret.map(|secret| ClientSecret::new(secret.expose_secret().to_owned()));
        Client::from_provider_metadata(metadata.clone(), self.client_id.clone(), secret)
            .set_auth_type(auth_type(metadata))
            .set_redirect_uri(self.redirect_url.clone())
    }

    /// Trades the code for tokens.
    pub(super) async fn exchange(
        &self,
        metadata: &Metadata,
        code: AuthorizationCode,
        verifier: PkceCodeVerifier,
    ) -> Result<Tokens, OidcError> {
        let mut secrets = vec![code.secret().clone(), verifier.secret().clone()];
        secrets.extend(
            self.client_secret
                .iter()
                .map(|secret| secret.expose_secret().to_owned()),
        );
        self.client(metadata)
            .exchange_code(code)
            .map_err(|error| OidcError::Provider(chain(&error)))?
            .set_pkce_verifier(verifier)
            .request_async(&self.provider.http)
            .await
            .map_err(|error| not_exchanged(error, &secrets))
    }

    /// What the userinfo endpoint says of the same subject.
    pub(super) async fn userinfo(
        &self,
        tokens: &Tokens,
        claims: &Claims,
        metadata: &Metadata,
    ) -> Result<Userinfo, OidcError> {
        let token = tokens.access_token();
        // `openidconnect` panics on a token that no header can carry.
        if !token.secret().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(OidcError::Provider("its access token fits into no header".to_owned()));
        }
        self.client(metadata)
            .user_info(token.clone(), Some(claims.subject().clone()))
            .map_err(|error| OidcError::Provider(chain(&error)))?
            .request_async(&self.provider.http)
            .await
            .map_err(|error| no_userinfo(&error))
    }
}

/// How the token endpoint wants to see the secret: in a header unless it says otherwise (Discovery 1.0, section 3).
fn auth_type(metadata: &Metadata) -> AuthType {
    match metadata.token_endpoint_auth_methods_supported() {
        Some(methods)
            if methods.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic) =>
        {
            AuthType::RequestBody
        }
        _ => AuthType::BasicAuth,
    }
}

fn not_exchanged(error: CoreRequestTokenError<HttpFailed>, secrets: &[String]) -> OidcError {
    match error {
        CoreRequestTokenError::ServerResponse(answer) => {
            let said = [
                Some(answer.error().as_ref()),
                answer.error_description().map(String::as_str),
            ];
            let said: Vec<&str> = said.into_iter().flatten().collect();
            // Some providers repeat what they were sent.
            let masked = secrets
                .iter()
                .fold(said.join(": "), |text, secret| text.replace(secret, "***"));
            let text = plain(&masked);
            match answer.error() {
                CoreErrorResponseType::InvalidGrant => refused(&format!("the provider did not take the code: {text}")),
                _ => OidcError::Provider(format!("its token endpoint answered {text}")),
            }
        }
        CoreRequestTokenError::Request(error) => OidcError::Provider(format!("its token endpoint: {}", chain(&error))),
        // The answer may hold tokens, and the cause of a parser's failure may quote them.
        CoreRequestTokenError::Parse(..) => {
            OidcError::Provider("its token endpoint's answer, or the ID token in it, cannot be read".to_owned())
        }
        CoreRequestTokenError::Other(text) => OidcError::Provider(format!("its token endpoint: {}", plain(&text))),
    }
}

fn no_userinfo(error: &UserInfoError<HttpFailed>) -> OidcError {
    match error {
        UserInfoError::ClaimsVerification(error) => {
            refused(&format!("userinfo is not to be believed: {}", chain(error)))
        }
        UserInfoError::Response(status, _, text) => {
            OidcError::Provider(format!("its userinfo endpoint answered {status}: {}", plain(text)))
        }
        error => OidcError::Provider(format!("its userinfo endpoint: {}", chain(error))),
    }
}
