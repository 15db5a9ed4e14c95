//! Answers that come at another time than usual, or to others: delays, rapid commit, BOOTP.

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcp::v4::{MessageType, Reply, code};
use leases::Clock;

use super::answer;
use super::engine::Engine;
use super::request::Ctx;

impl Engine {
    /// An offer, or what stands in its place, waits this long.
    pub(super) fn delay(&self, ctx: &Ctx<'_>, address: Ipv4Addr) -> Duration {
        self.settings.dhcp.manners.delay(&answer::tags(ctx, &self.settings, address))
    }

    pub(super) fn send_after(&mut self, now: Clock, delay: Duration, address: Ipv4Addr, link: usize, reply: Reply) {
        match now.running.checked_add(delay) {
            Some(at) if !delay.is_zero() => self.delayed.put(address, at, link, reply),
            _ => self.send(link, reply),
        }
    }

    /// Whether the client asks for its lease without an offer, and may have it so (RFC 4039).
    pub(super) fn commits_rapidly(&self, ctx: &Ctx<'_>) -> bool {
        self.settings.dhcp.manners.rapid_commit
            && ctx.packet.message_type() == Some(MessageType::Discover)
            && ctx.packet.option(code::RAPID_COMMIT).is_some()
    }

    /// A BOOTP client gets what is laid down for it, or what `bootp-dynamic` admits it to.
    pub(super) fn admits_bootp(&self, ctx: &Ctx<'_>, address: Ipv4Addr) -> Result<(), String> {
        let laid_down = || ctx.host.as_ref().is_some_and(|host| host.address == Some(address));
        if !ctx.packet.is_bootp() || laid_down() {
            return Ok(());
        }
        let tags = answer::tags(ctx, &self.settings, address);
        if self.settings.dhcp.manners.bootp.iter().any(|expr| expr.holds(&tags)) {
            return Ok(());
        }
        Err("it speaks BOOTP, and no address is laid down for it (dhcp-host), nor does bootp-dynamic hold".into())
    }
}
