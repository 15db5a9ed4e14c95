//! Lists that are read again while we serve: on SIGHUP, and whenever a file in a watched folder changes.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use config::dnsmasq::lower::{self, Service};
use config::dnsmasq::{Directives, Disk, Lists, Reading};
use config::{Diagnostic, Diagnostics};
use host::watch::{Changed, Watch};
use server::{Running, dhcp, dns};

use super::lines::{Level, Line, Part};
use super::log::Logger;
use super::signals::Reload;
use crate::setup;

/// The configuration with its lists, read and watched since before they were read.
pub struct Live {
    directives: Directives,
    lists: Lists,
    watch: Option<Watch>,
}

impl Live {
    /// Reads the lists. Gives what is worth a warning.
    pub fn read(directives: Directives) -> (Live, Diagnostics) {
        let mut lists = Lists::named(&directives);
        let watch = watch(&lists);
        let Reading { found, .. } = lists.read(&Disk);
        (Live { directives, lists, watch }, found)
    }

    /// What all of it comes to.
    ///
    /// # Errors
    /// What is wrong in it, each with its place.
    pub fn lower(&self) -> Result<(Service, Diagnostics), Diagnostics> {
        lower::lower_with(&self.directives, &self.lists, &setup::this_host())
    }

    pub fn directives(&self) -> &Directives {
        &self.directives
    }

    /// From now on hands every new reading to the services that run.
    ///
    /// # Errors
    /// When the kernel gives no more threads.
    pub fn serve(mut self, running: &Running, logger: Logger) -> io::Result<Reloader> {
        let watch = self.watch.take();
        let dhcp = running.dhcp.as_ref().map(dhcp::DhcpService::orders);
        let dns = running.dns.as_ref().map(dns::DnsService::orders);
        let serving = Reloader(Arc::new(Serving { live: Mutex::new(self), dhcp, dns, logger }));
        if let Some(watch) = watch {
            let serving = serving.clone();
            thread::Builder::new().name("lists".into()).spawn(move || serving.0.follow(&watch))?;
        }
        Ok(serving)
    }
}

/// Watches the folders that are there. `None`: there is none to watch.
fn watch(lists: &Lists) -> Option<Watch> {
    let mut watch = None;
    for folder in lists.watched() {
        // Reading it tells what is wrong.
        let Some(watch) = watch.get_or_insert_with(|| Watch::new().ok()) else { continue };
        let _ = watch.add(folder);
    }
    watch.flatten()
}

/// Reads the lists again when told.
#[derive(Clone)]
pub struct Reloader(Arc<Serving>);

struct Serving {
    live: Mutex<Live>,
    dhcp: Option<dhcp::Orders>,
    dns: Option<dns::Orders>,
    logger: Logger,
}

impl Reload for Reloader {
    fn reload(&mut self) -> Result<Vec<String>, Diagnostics> {
        let mut live = self.0.live();
        if !live.lists.is_empty() {
            let reading = live.lists.read(&Disk);
            self.0.tell(&live, reading);
        }
        Ok(Vec::new())
    }
}

impl Serving {
    fn follow(&self, watch: &Watch) {
        while let Ok(changes) = watch.next() {
            let mut live = self.live();
            // Programs that keep a file for each machine write thousands at once.
            let mut all = Reading::default();
            for change in changes {
                let Reading { files, found } = match change {
                    Changed::File { folder, name } => live.lists.read_one(&folder, &name, &Disk),
                    Changed::Anything => live.lists.read(&Disk),
                };
                all.files.extend(files);
                all.found.extend(found);
            }
            self.tell(&live, all);
        }
    }

    /// Hands what was read to the service, whole or not at all, and logs it.
    fn tell(&self, live: &Live, Reading { files, found }: Reading) {
        if files.is_empty() && found.is_empty() {
            return;
        }
        let part = |path| if live.lists.holds_servers(path) { Part::Main } else { Part::Dhcp };
        let mut lines: Vec<Line> =
            files.iter().map(|(path, _)| Line::info(part(path), format!("read {}", path.display()))).collect();
        lines.extend(warnings(&found, Level::Error));
        match live.lower() {
            Ok((Service { config, .. }, _)) => {
                if let Some((orders, dhcp)) = self.dhcp.as_ref().zip(config.dhcp) {
                    orders.give(dhcp::Order::Reconfigure(Box::new(dhcp)));
                }
                if let Some((orders, dns)) = self.dns.as_ref().zip(config.dns) {
                    orders.give(dns::Order::Reconfigure(Box::new(dns)));
                }
            }
            Err(found) => {
                lines.extend(warnings(&found, Level::Error));
                lines.push(Line::new(Level::Error, Part::Dhcp, "what was served before is still served"));
            }
        }
        self.logger.write(&lines);
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        // What a panic elsewhere left is read again.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn warnings(found: &Diagnostics, level: Level) -> impl Iterator<Item = Line> + '_ {
    let text = |found: &Diagnostic| {
        let fix = found.fix.as_ref().map(|fix| format!(" ({fix})")).unwrap_or_default();
        format!("{}: {}{fix}", found.place, found.what).replace('\n', " ")
    };
    found.iter().map(move |found| Line::new(level, Part::Dhcp, text(found)))
}
