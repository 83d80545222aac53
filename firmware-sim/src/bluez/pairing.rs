//! Pairing: `org.bluez.AgentManager1`, and what the daemon does to get a bond.
//!
//! As measured on BlueZ 5.66: who reads a protected value starts pairing without having asked for it; without a default
//! agent the call then hangs for as long as D-Bus waits; with one that answers, the bond is there within half a second.
//! Which agent is asked: the caller's own for `Pair`, the default one for everything else. A bond outlives links and the
//! daemon; `RemoveDevice` ends it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use zbus::message::Header;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, Value};

use super::adapter::client_of;
use super::error::Error;
use super::peer::Peer;
use super::world::World;
use crate::wearable::Pairing;

const AGENT: &str = "org.bluez.Agent1";
/// What a program may say of its keys and display; nothing said means the last.
const CAPABILITIES: [&str; 6] = [
    "DisplayOnly",
    "DisplayYesNo",
    "KeyboardOnly",
    "NoInputNoOutput",
    "KeyboardDisplay",
    "",
];
/// How long a call hangs that needs an agent where there is none: the daemon's own ATT time-out.
const HANGS: Duration = Duration::from_secs(30);

/// Breaks a pairing off.
pub(crate) type Cancel = Arc<Notify>;

/// A program that answers for people.
#[derive(Clone, Debug)]
struct Agent {
    client: String,
    path: OwnedObjectPath,
    capability: String,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    by_client: BTreeMap<String, Agent>,
    default: Option<String>,
}

impl Agents {
    /// A client left the bus.
    pub(crate) fn forget_client(&mut self, client: &str) {
        self.by_client.remove(client);
        self.default.take_if(|default| default == client);
    }

    fn for_caller(&self, caller: Option<&str>) -> Option<Agent> {
        let own = caller.and_then(|caller| self.by_client.get(caller));
        let default = || self.by_client.get(self.default.as_deref()?);
        own.or_else(default).cloned()
    }
}

impl World {
    /// Makes a bond; `caller` is who asked for it by name.
    pub(crate) async fn pair(&self, peer: &Peer, caller: Option<&str>) -> Result<(), Error> {
        let cancel = Cancel::default();
        {
            let mut link = peer.link();
            if link.bonded {
                return Err(Error::already_exists());
            }
            if link.pairing.is_some() {
                return Err(Error::in_progress());
            }
            link.pairing = Some(Arc::clone(&cancel));
        }
        let agent = self.agents().for_caller(caller);
        let outcome = tokio::select! {
            () = cancel.notified() => {
                self.tell_canceled(agent.as_ref()).await;
                Err(Error::authentication_canceled())
            }
            outcome = self.agree(peer, agent.as_ref()) => outcome,
        };
        {
            let mut link = peer.link();
            link.pairing = None;
            link.bonded = outcome.is_ok();
        }
        outcome?;
        let changes: [(&str, Value<'_>); 2] = [("Paired", true.into()), ("Bonded", true.into())];
        self.device_changed(peer, &changes).await;
        Ok(())
    }

    /// Before a protected value is read, written or subscribed to.
    pub(crate) async fn unlock(&self, peer: &Peer) -> Result<(), Error> {
        if peer.link().bonded {
            return Ok(());
        }
        if self.agents().for_caller(None).is_none() {
            // As measured; a client that waits less long sees its own time-out.
            tokio::time::sleep(HANGS).await;
            return Err(Error::not_paired());
        }
        // A bond that somebody else made meanwhile is as good.
        let outcome = self.pair(peer, None).await;
        if outcome.is_ok() || peer.link().bonded {
            Ok(())
        } else {
            Err(Error::not_paired())
        }
    }

    /// Asks the agent what this device needs to know.
    async fn agree(&self, peer: &Peer, agent: Option<&Agent>) -> Result<(), Error> {
        let agent = agent.ok_or_else(Error::authentication_failed)?;
        let device = ObjectPath::try_from(peer.path.as_str()).map_err(|e| Error::ZBus(e.into()))?;
        match peer.pairing {
            // A device that protects nothing still pairs.
            Pairing::None | Pairing::JustWorks => {
                let answer = self.ask(agent, "RequestAuthorization", &device).await;
                answer
                    .map(|_| ())
                    .map_err(|_| Error::authentication_rejected())
            }
            Pairing::Passkey(shown) => {
                if !["KeyboardOnly", "KeyboardDisplay", ""].contains(&agent.capability.as_str()) {
                    return Err(Error::authentication_failed());
                }
                let answer = self.ask(agent, "RequestPasskey", &device).await;
                let answer = answer.map_err(|_| Error::authentication_rejected())?;
                let typed: u32 = answer.body().deserialize().map_err(Error::ZBus)?;
                (typed == shown)
                    .then_some(())
                    .ok_or_else(Error::authentication_failed)
            }
        }
    }

    async fn ask(
        &self,
        agent: &Agent,
        question: &str,
        device: &ObjectPath<'_>,
    ) -> zbus::Result<zbus::Message> {
        let client = Some(agent.client.as_str());
        let path = agent.path.as_str();
        self.connection
            .call_method(client, path, Some(AGENT), question, device)
            .await
    }

    async fn tell_canceled(&self, agent: Option<&Agent>) {
        let Some(agent) = agent else { return };
        let client = Some(agent.client.as_str());
        let path = agent.path.as_str();
        // An agent that does not listen has lost nothing: the pairing is over for it, too.
        let _answer = self
            .connection
            .call_method(client, path, Some(AGENT), "Cancel", &())
            .await;
    }
}

/// `org.bluez.AgentManager1`.
#[derive(Debug)]
pub(crate) struct AgentManager1 {
    world: Arc<World>,
}

impl AgentManager1 {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }
}

#[zbus::interface(name = "org.bluez.AgentManager1")]
impl AgentManager1 {
    fn register_agent(
        &self,
        agent: OwnedObjectPath,
        capability: &str,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        if !CAPABILITIES.contains(&capability) {
            return Err(Error::bad_capability());
        }
        let client = client_of(&header);
        let mut agents = self.world.agents();
        if agents.by_client.contains_key(&client) {
            return Err(Error::already_exists());
        }
        let agent = Agent {
            client: client.clone(),
            path: agent,
            capability: capability.into(),
        };
        agents.by_client.insert(client, agent);
        Ok(())
    }

    fn unregister_agent(
        &self,
        agent: OwnedObjectPath,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let client = client_of(&header);
        let mut agents = self.world.agents();
        match agents.by_client.get(&client) {
            Some(known) if known.path == agent => {
                agents.forget_client(&client);
                Ok(())
            }
            _ => Err(Error::does_not_exist()),
        }
    }

    fn request_default_agent(
        &self,
        agent: OwnedObjectPath,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let client = client_of(&header);
        let mut agents = self.world.agents();
        match agents.by_client.get(&client) {
            Some(known) if known.path == agent => {
                agents.default = Some(client);
                Ok(())
            }
            _ => Err(Error::does_not_exist()),
        }
    }
}
