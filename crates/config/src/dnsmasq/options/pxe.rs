//! PXE menus: `pxe-service`, `pxe-prompt`.

use dhcp::ClientArch;

use super::answers::Server;
use super::tags::{TagTest, leading_tests};
use super::{Meaning, Read, Said, number};
use crate::dnsmasq::text::Text;
use crate::nearest::nearest;

/// An entry of the menu.
#[derive(Clone, Debug, PartialEq)]
pub struct PxeService {
    pub tests: Vec<TagTest>,
    /// The machines that see it.
    pub arch: ClientArch,
    pub text: Text,
    pub boot: PxeBoot,
    /// `None`: us.
    pub server: Option<Server>,
}

/// What an entry does.
#[derive(Clone, Debug, PartialEq)]
pub enum PxeBoot {
    /// Loads this file; where its name has no suffix, PXE adds the layer: `.0`.
    File(Text),
    /// Looks for a boot server of this type.
    Server(u16),
    /// Goes on from the machine's own disks.
    Local,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PxePrompt {
    pub tests: Vec<TagTest>,
    pub text: Text,
    /// Seconds until the first entry is taken; `None`: wait for a key.
    pub timeout_secs: Option<u32>,
}

/// The manual's names of architectures; the place in the list is the code.
const ARCHITECTURES: &[&str] = &[
    "x86PC",
    "PC98",
    "IA64_EFI",
    "Alpha",
    "Arc_x86",
    "Intel_Lean_Client",
    "IA32_EFI",
    "x86-64_EFI",
    "Xscale_EFI",
    "BC_EFI",
    "ARM32_EFI",
    "ARM64_EFI",
];

pub(in super::super) fn pxe_service(said: &mut Said<'_>) -> Read {
    let mut fields = said.text().split(',');
    let tests = leading_tests(&mut fields)?;
    let [arch, text, rest @ ..] = &*fields else {
        let fix = "write pxe-service=x86PC,\"Install\",pxelinux";
        return Err(said.wrong("a kind of machine and the entry's text are wanted", fix));
    };
    let named = ARCHITECTURES.iter().position(|name| name.eq_ignore_ascii_case(arch.as_str()));
    let code = match named {
        Some(code) => code as u16,
        None => number(arch, u16::MAX.into()).map_err(|wrong| {
            let fix = match nearest(arch.as_str(), ARCHITECTURES.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("write a number, or one of {}", ARCHITECTURES.join(", ")),
            };
            if arch.as_str().bytes().all(|c| c.is_ascii_digit()) {
                return wrong;
            };
            arch.wrong(format!("`{arch}` is no kind of machine"), fix)
        })? as u16,
    };
    let boot = match rest.first().filter(|file| !file.is_empty()) {
        None => PxeBoot::Local,
        Some(file) => match file.as_str().parse() {
            Ok(0) => PxeBoot::Local,
            Ok(kind) => PxeBoot::Server(kind),
            Err(_) => PxeBoot::File(file.clone()),
        },
    };
    super::nothing_more(rest.get(2..).unwrap_or_default(), "pxe-service=machine,text[,file[,server]]")?;
    let server = rest.get(1).and_then(Server::read);
    Ok(Meaning::PxeService(PxeService { tests, arch: ClientArch(code), text: text.clone(), boot, server }))
}

pub(in super::super) fn pxe_prompt(said: &mut Said<'_>) -> Read {
    let mut fields = said.text().split(',');
    let tests = leading_tests(&mut fields)?;
    let Some(text) = fields.first().cloned() else {
        return Err(said.wrong("the prompt is missing", "write pxe-prompt=\"Press F8\",10"));
    };
    let timeout_secs = fields.get(1).map(|seconds| number(seconds, u32::MAX)).transpose()?;
    super::nothing_more(fields.get(2..).unwrap_or_default(), "pxe-prompt=text[,seconds]")?;
    Ok(Meaning::PxePrompt(PxePrompt { tests, text, timeout_secs }))
}

pub(in super::super) fn pxe_vendor(said: &mut Said<'_>) -> Read {
    Ok(Meaning::PxeVendor(said.list()))
}
