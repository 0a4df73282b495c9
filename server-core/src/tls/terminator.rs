//! The TLS side of a worker: the context that new connections get, and when it is replaced.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::tls::context::Context;
use crate::tls::material::Material;
use crate::tls::settings::TlsSettings;
use crate::tls::tickets::{Seed, Tickets};
use crate::tls::watch::{Sight, Watch};

/// Shared by all TLS connections of a worker.
#[derive(Debug)]
pub struct Terminator {
    settings: TlsSettings,
    tickets: Option<Arc<Tickets>>,
    context: RefCell<Rc<Context>>,
    watch: RefCell<Watch>,
}

impl Terminator {
    /// Begins with the files as they are now. When they cannot be used, or not by this process, `handed` serves: what
    /// whoever started us could read.
    ///
    /// # Errors
    /// What is wrong with which file, when that cannot be used either.
    pub fn new(settings: TlsSettings, handed: Option<&Material>, seed: Option<Seed>) -> Result<Self, String> {
        let tickets = seed.and_then(|seed| Tickets::new(seed, settings.session_timeout)).map(Arc::new);
        let sight = Sight::of(settings.files());
        let current = Material::read(&settings).and_then(|read| Context::build(&settings, &read, tickets.clone()));
        let context = match (current, handed) {
            (Ok(context), _) => context,
            (Err(message), None) => return Err(message),
            (Err(message), Some(handed)) => {
                let context = Context::build(&settings, handed, tickets.clone())?;
                tracing::info!("{message}; serving with the certificates the server was started with");
                context
            }
        };
        Ok(Self { settings, tickets, context: RefCell::new(Rc::new(context)), watch: RefCell::new(Watch::new(sight)) })
    }

    /// What new connections are accepted with.
    pub fn context(&self) -> Rc<Context> {
        Rc::clone(&self.context.borrow())
    }

    /// Reads all files again. What cannot be used is logged, and the old certificates stay in use.
    pub fn reload(&self) {
        *self.watch.borrow_mut() = Watch::new(Sight::of(self.settings.files()));
        let read = Material::read(&self.settings);
        match read.and_then(|material| Context::build(&self.settings, &material, self.tickets.clone())) {
            Ok(context) => {
                self.context.replace(Rc::new(context));
                tracing::info!("SSL certificates reloaded");
            }
            Err(message) => tracing::error!("SSL certificates stay as they were: {message}"),
        }
    }

    /// Looks at the files from time to time and reloads what has changed; never returns unless that is switched off.
    /// Done on the worker's thread: a few `stat` calls on files that are in use cost microseconds.
    pub async fn follow_files(&self) {
        if self.settings.check_interval.is_zero() {
            return;
        }
        loop {
            tokio::time::sleep(self.settings.check_interval).await;
            if self.watch.borrow_mut().look(Sight::of(self.settings.files())) {
                self.reload();
            }
        }
    }
}
