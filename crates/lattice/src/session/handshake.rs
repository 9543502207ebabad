//! The steps of a handshake: Hello and Answer, then Finish and Confirm.

use std::sync::{Arc, MutexGuard, PoisonError};

use nkeys::{KeyPair, KeyPairType};

use super::attempts::{Attempts, Stage};
use super::counts::count;
use super::frame::{Frame, HandshakeId, KEY, Step};
use super::keys::{Mac, SessionKeys, same};
use super::noise::{self, Identity, Opened, Parties, Role};
use super::table::{Session, Terms};
use super::{HandshakeError, MIN_LIFETIME, MIN_MESSAGES, Sessions};

/// What a message of a handshake has led to.
#[derive(Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reaction {
    /// The next message: the reply to the request, or, if the message was itself a reply, the next request.
    pub reply: Option<Vec<u8>>,
    /// The host with which a session has been established.
    pub established: Option<String>,
}

impl Sessions {
    pub(super) fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn try_begin(&self, peer: &str) -> Option<Vec<u8>> {
        if peer == &*self.own || !is_host_key(peer) {
            return None;
        }
        let now = self.clock.now();
        let mut attempts = self.attempts();
        self.sweep(&mut attempts, now);
        if !attempts.may_begin(peer, now) {
            return None;
        }
        let mut id = HandshakeId::default();
        getrandom::fill(&mut id).ok()?;
        let parties = Parties { initiator: &self.own, responder: peer };
        let mut noise = self.noise.begin(Role::Initiator, &id, parties).ok()?;
        let hello = noise::write(&mut noise, &[]).ok()?;
        attempts.begin(id, peer, noise, now);
        count(&self.counters.begun);
        Some(Frame { id, step: Step::Hello { claimed: &self.own, noise: &hello } }.write())
    }

    pub(super) fn step(&self, message: &[u8]) -> Result<Reaction, HandshakeError> {
        let frame = Frame::read(message)?;
        let now = self.clock.now();
        let mut attempts = self.attempts();
        self.sweep(&mut attempts, now);
        match frame.step {
            Step::Hello { claimed, noise } => self.on_hello(&mut attempts, frame.id, claimed, noise, now),
            Step::Answer(noise) => self.on_answer(&mut attempts, frame.id, noise, now),
            Step::Finish(noise) => self.on_finish(&mut attempts, frame.id, noise, now),
            Step::Confirm(mac) => self.on_confirm(&mut attempts, frame.id, &mac, now),
        }
    }

    fn sweep(&self, attempts: &mut Attempts, now: u64) {
        let failed = attempts.sweep(now);
        self.counters.unanswered.fetch_add(failed, std::sync::atomic::Ordering::Relaxed);
    }

    fn on_hello(
        &self,
        attempts: &mut Attempts,
        id: HandshakeId,
        claimed: &str,
        message: &[u8],
        now: u64,
    ) -> Result<Reaction, HandshakeError> {
        if claimed == &*self.own {
            return Err(HandshakeError::WrongHost);
        }
        // All that costs time comes after this check.
        if !attempts.may_answer(&id, now) {
            return Err(HandshakeError::TooMany);
        }
        if !is_host_key(claimed) {
            return Err(HandshakeError::Malformed);
        }
        let parties = Parties { initiator: claimed, responder: &self.own };
        let mut noise = self.noise.begin(Role::Responder, &id, parties)?;
        if !noise::read(&mut noise, message)?.is_empty() {
            return Err(HandshakeError::Malformed);
        }
        let identity = self.identity()?;
        let answer = self.noise.prove(&mut noise, Role::Responder, &identity, &self.key)?;
        attempts.answer(id, claimed, noise, identity.key_id, now);
        count(&self.counters.answered);
        Ok(Reaction { reply: Some(Frame { id, step: Step::Answer(&answer) }.write()), established: None })
    }

    fn on_answer(
        &self,
        attempts: &mut Attempts,
        id: HandshakeId,
        message: &[u8],
        now: u64,
    ) -> Result<Reaction, HandshakeError> {
        let begun = attempts.begun(&id).ok_or(HandshakeError::Unknown)?;
        let Stage::Answer(noise) = &mut begun.stage else { return Err(HandshakeError::Unknown) };
        // A message that does not decrypt may be of anyone: the true answer may still come.
        let opened = Opened::read(noise, message)?;
        match self.finish(&opened, begun.peer.clone(), noise, now) {
            Ok((session, finish)) => {
                begun.stage = Stage::Confirmation(session);
                Ok(Reaction { reply: Some(Frame { id, step: Step::Finish(&finish) }.write()), established: None })
            }
            Err(error) => {
                attempts.end(&id, false, now);
                Err(error)
            }
        }
    }

    /// Verifies the peer, and makes the session. Calls and answers are accepted with it from now on; it is used to send when
    /// the peer has confirmed it.
    fn finish(
        &self,
        opened: &Opened,
        peer: Arc<str>,
        noise: &mut snow::HandshakeState,
        now: u64,
    ) -> Result<(Arc<Session>, Vec<u8>), HandshakeError> {
        let proven = opened.verify(Role::Responder)?;
        self.check(&proven, &peer)?;
        let identity = self.identity()?;
        let finish = self.noise.prove(noise, Role::Initiator, &identity, &self.key)?;
        let session = self.session(proven, identity.key_id, noise, now)?;
        self.table_mut().insert(session.clone(), now)?;
        Ok((session, finish))
    }

    fn on_finish(
        &self,
        attempts: &mut Attempts,
        id: HandshakeId,
        message: &[u8],
        now: u64,
    ) -> Result<Reaction, HandshakeError> {
        let answered = attempts.answered(&id).ok_or(HandshakeError::Unknown)?;
        let opened = Opened::read(&mut answered.noise, message)?;
        let mut answered = attempts.take_answered(&id).ok_or(HandshakeError::Unknown)?;
        let proven = opened.verify(Role::Initiator)?;
        self.check(&proven, &answered.claimed)?;
        let session = self.session(proven, answered.key_id, &mut answered.noise, now)?;
        let is_rotation = self.has(&session.peer);
        self.table_mut().insert(session.clone(), now)?;
        self.established(is_rotation);
        // The peer is there and trusts this host: there is no need to wait before the next handshake with it.
        attempts.forgive(&session.peer);
        let confirmation = session.keys.send_answer.confirmation(&id);
        Ok(Reaction {
            reply: Some(Frame { id, step: Step::Confirm(confirmation) }.write()),
            established: Some(session.peer.to_string()),
        })
    }

    fn on_confirm(
        &self,
        attempts: &mut Attempts,
        id: HandshakeId,
        mac: &Mac,
        now: u64,
    ) -> Result<Reaction, HandshakeError> {
        let begun = attempts.begun(&id).ok_or(HandshakeError::Unknown)?;
        let Stage::Confirmation(session) = &begun.stage else { return Err(HandshakeError::Unknown) };
        if !same(&session.keys.receive_answer.confirmation(&id), mac) {
            return Err(HandshakeError::Forged);
        }
        let session = session.clone();
        attempts.end(&id, true, now);
        let is_rotation = self.has(&session.peer);
        if session.confirm() {
            self.established(is_rotation);
        }
        Ok(Reaction { reply: None, established: Some(session.peer.to_string()) })
    }

    fn established(&self, is_rotation: bool) {
        count(&self.counters.established);
        if is_rotation {
            count(&self.counters.rotations);
        }
    }

    /// Returns what this host proves in one handshake.
    fn identity(&self) -> Result<Identity, HandshakeError> {
        Ok(Identity {
            host: self.own.clone(),
            incarnation: self.incarnation,
            key_id: getrandom::u64().map_err(|_| HandshakeError::Failed)?,
            lifetime: self.lifetime,
            messages: self.messages,
            endorsement: self.endorsement.clone(),
        })
    }

    /// Checks that a proven identity is of the expected host, and that the host is trusted.
    fn check(&self, proven: &Identity, expected: &str) -> Result<(), HandshakeError> {
        if *proven.host != *expected {
            return Err(HandshakeError::WrongHost);
        }
        let namespace = self.namespace.as_str();
        let is_vouched_for = || {
            let endorsement = proven.endorsement.as_ref();
            endorsement
                .is_some_and(|one| self.trust.trusts_cluster(&one.cluster) && one.is_signed(namespace, &proven.host))
        };
        if !self.trust.trusts_host(&proven.host) && !is_vouched_for() {
            return Err(HandshakeError::Untrusted);
        }
        // Shorter sessions would keep this host busy with handshakes.
        if proven.lifetime < MIN_LIFETIME || proven.messages < MIN_MESSAGES {
            return Err(HandshakeError::Malformed);
        }
        Ok(())
    }

    fn session(
        &self,
        proven: Identity,
        own_id: u64,
        noise: &mut snow::HandshakeState,
        now: u64,
    ) -> Result<Arc<Session>, HandshakeError> {
        let terms = Terms {
            made_at: now,
            lifetime: self.lifetime.min(proven.lifetime),
            messages: self.messages.min(proven.messages),
            is_begun_here: noise.is_initiator(),
        };
        Ok(Arc::new(Session::new(proven, own_id, SessionKeys::derive(noise)?, terms)))
    }
}

fn is_host_key(key: &str) -> bool {
    key.len() == KEY && KeyPair::from_public_key(key).is_ok_and(|key| key.key_pair_type() == KeyPairType::Server)
}
