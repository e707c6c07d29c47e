//! Each call, before it is anybody's: who asks, whether they may, and for how long.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::request::Parts;
use tonic::codegen::http::{Request, Response, header};
use tonic::codegen::{BoxFuture, Service};
use tonic::service::Routes;

use super::allowlist::{self, Rule};
use super::caller::{Caller, Proof};
use super::connection::{Peer, Shown};
use super::ending::{Ending, Way};
use super::registrar::Registrar;
use super::revocations::{Revocations, what};
use crate::pki::{Clock, Digest, Identity, Kind, Role, Token};

/// Stands before all services.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) routes: Routes,
    pub(crate) post: Arc<Post>,
}

/// What a guard goes by.
pub(crate) struct Post {
    pub(crate) registrar: Arc<dyn Registrar>,
    pub(crate) revocations: Revocations,
    pub(crate) clock: Clock,
    /// None without TLS.
    pub(crate) authority: Option<Digest>,
}

impl Service<Request<Body>> for Guard {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.routes, context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that is ready is used, and its copy becomes ready for the next call.
        let fresh = self.routes.clone();
        let routes = std::mem::replace(&mut self.routes, fresh);
        let post = self.post.clone();
        Box::pin(async move { Ok(post.lead(routes, request).await) })
    }
}

impl Post {
    async fn lead(&self, mut routes: Routes, request: Request<Body>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let peer = parts.extensions.get::<Peer>();
        let Some(_place) = peer.map_or_else(|| None, Peer::place) else {
            let many = "there are too many calls of a connection that has shown neither a certificate nor a key";
            return Status::resource_exhausted(many).into_http();
        };
        let caller = match self.admit(&parts).await {
            Ok(caller) => caller,
            Err(refused) => {
                audit(&parts, &refused);
                return refused.status.into_http();
            }
        };
        let Some(caller) = caller else {
            return within(routes.call(Request::from_parts(parts, body)).await);
        };
        let peer = parts.extensions.get::<Peer>().cloned();
        let end = || {
            let (ended, peer) = (self.revocations.clone().ended(caller.clone()), peer.clone());
            Box::pin(async move {
                let status = ended.await;
                if let Some(peer) = peer {
                    peer.banish();
                }
                status
            })
        };
        let body = Ending::of(body, Way::Up, end());
        parts.extensions.insert(caller.clone());
        let mut over = end();
        let response = tokio::select! {
            response = routes.call(Request::from_parts(parts, body)) => within(response),
            status = &mut over => return status.into_http(),
        };
        response.map(|body| Ending::of(body, Way::Down, over))
    }

    /// Who asks, and whether they may; nobody where all may.
    async fn admit(&self, parts: &Parts) -> Result<Option<Caller>, Refused> {
        let rule = allowlist::rule(parts.uri.path());
        if rule == Some(Rule::Open) {
            return Ok(None);
        }
        let caller = self.identify(parts).await.map_err(Refused::unknown)?;
        let Some(rule) = rule else {
            let status =
                Status::permission_denied("there is no such method, or none that anybody may call");
            return Err(Refused {
                caller: Some(caller),
                status,
            });
        };
        if rule.admits(&caller) || caller.proof == Proof::Loopback {
            return Ok(Some(caller));
        }
        let status = Status::permission_denied(format!(
            "{} {} may not call {}: that is for {}",
            caller.role,
            caller.name,
            parts.uri.path().trim_start_matches('/'),
            rule.told()
        ));
        Err(Refused {
            caller: Some(caller),
            status,
        })
    }

    async fn identify(&self, parts: &Parts) -> Result<Caller, Status> {
        let peer = parts.extensions.get::<Peer>();
        let peer = peer.ok_or_else(|| Status::internal("the connection is not known"))?;
        let mut keys = parts.headers.get_all(header::AUTHORIZATION).iter();
        match (&peer.shown, keys.next(), keys.next()) {
            (Shown::Plain, ..) => Ok(Caller {
                name: ":loopback".to_owned(),
                role: Role::Admin,
                scope: String::new(),
                proof: Proof::Loopback,
                expires: None,
            }),
            (Shown::Certificate(identity), None, _) => match &**identity {
                Ok(identity) => self.certified(identity).await,
                Err(error) => Err(Status::unauthenticated(error.to_string())),
            },
            (Shown::Nothing, Some(key), None) => {
                let caller = self.keyed(key.to_str().unwrap_or_default()).await?;
                peer.prove();
                Ok(caller)
            }
            (Shown::Nothing, None, _) => Err(Status::unauthenticated(
                "the call shows neither a certificate nor an API key; log in with sloth-runner login, or set \
                 SLOTH_RUNNER_API_KEY",
            )),
            (_, Some(_), _) => Err(Status::unauthenticated(
                "the call shows more than one proof of who calls; show either a certificate or one API key",
            )),
        }
    }

    /// Whether a certificate is good still, so that its connection need not prove anything. A store that cannot say
    /// keeps nobody out whom the next call would let in.
    pub(crate) async fn welcomes(&self, identity: &Identity) -> bool {
        match self.registrar.certificate(&identity.serial).await {
            Ok(known) => {
                known.is_some_and(|known| !known.revoked && known.subject == identity.subject)
            }
            Err(_) => true,
        }
    }

    async fn certified(&self, identity: &Identity) -> Result<Caller, Status> {
        let known = self.registrar.certificate(&identity.serial).await?;
        let proof = Proof::Certificate(identity.serial.clone());
        let Some(known) = known.filter(|known| known.subject == identity.subject) else {
            return Err(Status::unauthenticated(
                "the certificate is not known here; was the master's store put back to an earlier day? Join anew",
            ));
        };
        // The handshake was perhaps long ago.
        self.still(&proof, known.revoked, identity.expires)?;
        Ok(Caller {
            name: identity.subject.name.to_string(),
            role: identity.subject.role,
            scope: known.scope,
            proof,
            expires: Some(identity.expires),
        })
    }

    async fn keyed(&self, header: &str) -> Result<Caller, Status> {
        let wrong = |why: &str| Status::unauthenticated(why.to_owned());
        let key = header
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, key)| key)
            .ok_or_else(|| wrong("the authorization is not of the form: Bearer KEY"))?;
        let key = Token::parse(key, Kind::Key).map_err(|error| wrong(&error.to_string()))?;
        if Some(key.authority()) != self.authority {
            return Err(wrong("the API key is for another master"));
        }
        let known = self.registrar.token(&key.digest()).await?;
        // Of a join token the same is said as of nothing: who tries secrets learns nothing.
        let Some(known) = known.filter(|known| known.kind == Kind::Key) else {
            return Err(wrong(
                "the API key is not known here; make one with sloth-runner token create --key",
            ));
        };
        let proof = Proof::Key(known.id.clone());
        self.still(&proof, known.revoked, known.expires)?;
        Ok(Caller {
            // No certificate has such a name.
            name: format!("key:{}", known.id),
            role: known.role,
            scope: known.scope,
            proof,
            expires: Some(known.expires),
        })
    }

    fn still(
        &self,
        proof: &Proof,
        revoked: bool,
        expires: std::time::SystemTime,
    ) -> Result<(), Status> {
        if revoked || self.revocations.has(proof) {
            return Err(Status::unauthenticated(format!(
                "{} was revoked",
                what(proof)
            )));
        }
        if expires <= self.clock.now() {
            return Err(Status::unauthenticated(format!(
                "{} has run out",
                what(proof)
            )));
        }
        Ok(())
    }
}

struct Refused {
    caller: Option<Caller>,
    status: Status,
}

impl Refused {
    const fn unknown(status: Status) -> Self {
        Self {
            caller: None,
            status,
        }
    }
}

fn within(response: Result<Response<Body>, Infallible>) -> Response<Body> {
    let Ok(response) = response;
    response
}

/// Every call that is refused is written down.
fn audit(parts: &Parts, refused: &Refused) {
    let address = parts
        .extensions
        .get::<Peer>()
        .map(|peer| peer.address.to_string());
    let method: String = parts.uri.path().chars().take(120).collect();
    let caller = refused.caller.as_ref();
    tracing::warn!(
        target: "audit",
        ?method,
        caller = caller.map_or("-", |caller| caller.name.as_str()),
        role = caller.map_or("-", |caller| caller.role.as_str()),
        address = address.as_deref().unwrap_or("-"),
        "a call is refused: {}",
        refused.status.message()
    );
}
